"""The old tables as they are found: are they there, may we read them, and are they another system's."""

import time
from collections.abc import Callable

from outbound import db
from outbound.adopt.batches import sql
from outbound.errors import UserError

_TRIALS = 100
_LOCK_WAIT_S = 0.5  # everybody who uses the old table waits behind us for so long at most
_LOCKED = "55P03"


class CannotAdopt(UserError):
    """The error where `outbound adopt` stops; the message says what to do."""


def find(connection: db.Connection, old_schema: str) -> db.Row:
    """
    Return what there is of the old tables.

    Raises:
        CannotAdopt: they are not there, or outbound's own, or this role may not use them.
    """
    tables = sql.find_old_tables(connection, old_schema=old_schema)
    if not tables.has_schema:
        raise CannotAdopt(f"there is no schema {old_schema}: name that of the old tables, --from-schema NAME")
    if tables.our_schema == old_schema:
        raise CannotAdopt(
            f"outbound works in the schema {old_schema}, where the old tables are looked for:"
            " set OUTBOUND_SCHEMA to one of its own"
        )
    if tables.missing:
        raise CannotAdopt(
            f"the schema {old_schema} has no table {', '.join(tables.missing)}:"
            " name the schema of the old tables, --from-schema NAME"
        )
    if tables.is_ours:
        raise CannotAdopt(f"the tables in the schema {old_schema} are outbound's own: there is nothing to take over")
    lacking = [row.mend for row in sql.find_lacking_grants(connection, old_schema=old_schema)]
    if lacking:
        raise CannotAdopt("\n".join(["this role may not use the old tables; have this run:", *lacking]))
    return tables


def add_error_columns(connection: db.Connection, old_schema: str) -> bool:
    """The owners' own first fix; False where the old table is locked by somebody for too long."""
    return briefly(connection, lambda: sql.add_error_columns(connection, old_schema=old_schema))


def briefly(connection: db.Connection, alter: Callable[[], object], wait: Callable[[float], None] = time.sleep) -> bool:
    """
    Let *alter* change an old table, in a transaction that waits for its lock for half a second, again and again.

    Returns:
        False where the lock could not be had: somebody's transaction is open for minutes.
    """
    for _ in range(_TRIALS):
        try:
            with connection.transaction():
                sql.wait_briefly(connection, wait_s=_LOCK_WAIT_S)
                alter()
        except db.Error as error:
            if db.fault(error)[0] != _LOCKED:
                raise
            wait(0.1)
        else:
            return True
    return False
