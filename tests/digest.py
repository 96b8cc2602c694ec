"""All that a database holds, in one value: what was refused, or reported before, must not change a byte of it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it sets what every test needs, and no other program
    from tests.conftest import World

# What the processes say of themselves every few seconds.
_SIGNS_OF_LIFE = ("web_presence", "worker", "duty")
# A token's last use is noted with each request that shows it, also with one that is refused.
_ROWS = {"api_token": "(to_jsonb(t) - 'last_used_at')::text"}


def digest(world: "World") -> dict[str, str]:
    """A hash of each table, whatever the order of its rows."""
    tables = world.rows(
        "select tablename from pg_tables where schemaname = current_schema() and tablename <> all(%s) order by 1",
        list(_SIGNS_OF_LIFE),
    )
    hashed = (
        "select md5(coalesce(string_agg(row, chr(10) order by row), '')) from (select {} as row from {} as t) as rows"
    )
    return {name: world.value(hashed.format(_ROWS.get(name, "t::text"), name)) for (name,) in tables}
