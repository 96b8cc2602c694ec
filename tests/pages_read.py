"""How many pages a transaction has touched: what a statement costs, by the plan that its connection keeps of it."""

from outbound import db


def pages_read(connection: db.Connection) -> int:
    """Pages of 8 KiB of our tables and of their indexes that this transaction has touched so far."""
    (row,) = connection.execute(
        "select sum(pg_stat_get_xact_blocks_fetched(oid))::bigint"
        " from pg_class where relnamespace = current_schema()::regnamespace and relkind in ('r', 'i')",
        prepare=False,
    ).fetchall()
    return int(row[0])
