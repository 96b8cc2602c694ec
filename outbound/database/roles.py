"""The database's roles: what owner, application, reader and voice may do in the schema that holds our tables."""

import re

from outbound import db
from outbound.errors import UserError

sql = db.statements("database/roles_check")

NAMES = ("owner", "application", "reader", "voice")
_AGAIN_FOR_S = 15  # while our processes run, one of them and we may wait for each other, and PostgreSQL gives us up


class BadPrefix(UserError):
    """Roles cannot be named so; the message says how they can, and nothing was changed."""


def apply(prefix: str = "outbound") -> list[str]:
    """
    Make the four roles where they are missing, and give each what it may do, as sql/roles.sql says; return their names.

    To be run after each migration, as a superuser or the owner of the tables.  Safe to repeat.

    Args:
        prefix: what their names begin with, letters, digits and underscores.

    Raises:
        BadPrefix: it is no such name.
        db.Error: this account may not do it, or a table stays locked; nothing was changed.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,40}", prefix) or prefix.startswith("pg_"):
        raise BadPrefix("the prefix of roles is letters, digits and underscores, like outbound")
    script = (db.sql_dir() / "roles.sql").read_text()

    def run(connection: db.Connection) -> None:
        sql.name_roles(connection, prefix=prefix)
        db.run_script(connection, script)

    with db.connect() as connection:
        db.persist(lambda: db.transact(run, own=connection), for_s=_AGAIN_FOR_S)
    return [f"{prefix}_{name}" for name in NAMES]


def present() -> db.Row:
    """The `name` of the role that we have, `is_superuser`, and `is_owner` of our tables."""
    return db.run(sql.present_role)
