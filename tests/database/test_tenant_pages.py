"""What a tenant's lists read: its own rows, however many the others have."""

from typing import Any

import pytest

from outbound import db
from outbound.calls import lead_list
from outbound.rules import suppression
from tests.conftest import World

OTHERS, MORE_PAGES_MAX = 9000, 10
LISTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "leads": (
        lead_list.sql.newest_leads,
        dict.fromkeys(("since", "until", "before_at", "before_id")) | {"page_max": 20, "scan_max": 10_000},
    ),
    "suppression": (
        suppression.sql.list_entries,
        dict.fromkeys(("before_id", "campaign_id")) | {"everybody": False, "page_max": 20, "scan_max": 10_000},
    ),
}


def add(world: World, table: str, business: int, count: int) -> None:
    insert = f"insert into {table} (business_id, phone) select %s, '+1' || 2000000000 + 10000 * %s + n"
    world.do(f"{insert} from generate_series(1, %s) as n", business, business, count)


def pages(world: World, table: str, business: int) -> int:
    """How many pages of 8 KiB one page of a list reads."""
    statement, parameters = LISTS[table]
    asked = parameters | {"business_id": business}
    with db.connect(world.url, **db.PREPARED) as line:
        assert len([row for row in statement(line, **asked) if row.id is not None]) == 20
        plan: Any = line.execute(f"explain (analyze, buffers, format json) {statement.sql}".encode(), asked).fetchone()
    read = plan[0][0]["Plan"]
    return int(read["Shared Hit Blocks"] + read["Shared Read Blocks"])


@pytest.mark.parametrize("table", LISTS)
def test_a_tenant_s_list_does_not_read_the_rows_of_others(world: World, table: str) -> None:
    mine, other = world.business("Mine"), world.business("Other")
    add(world, table, mine, 30)
    alone = pages(world, table, mine)

    add(world, table, other, OTHERS)

    assert pages(world, table, mine) <= alone + MORE_PAGES_MAX
