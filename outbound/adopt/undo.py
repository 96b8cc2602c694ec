"""`outbound adopt --undo`: give everything back to the system before, with what was done meanwhile."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from outbound import db, os_user
from outbound.adopt import bridge, jobs, messages, old_tables
from outbound.adopt.batches import sql
from outbound.adopt.old_tables import CannotAdopt
from outbound.failpoint import crash_here


@dataclass
class GivenBack:
    """
    The report of what was given back.

    Attributes:
        waiting: old jobs that have the word that they had before.
        reported: old jobs that were dialed here, whose row says now what became of them.
        canceled: calls that waited here and are canceled.
        kept_columns: columns that were added to the old call_log and stay, since something is in them.
        is_over: nothing more is taken over; False where only some businesses were given back.
        notes: what else is to be known.
    """

    waiting: int = 0
    reported: int = 0
    canceled: int = 0
    kept_columns: list[str] = field(default_factory=list)
    is_over: bool = False
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """All of it, for --json."""
        return asdict(self)


def undo(connection: db.Connection, businesses: Sequence[int] = (), old_redis: str | None = None) -> GivenBack:
    """
    Give back these businesses, or everything; run again, it goes on from where it was.

    What was taken over of history stays here, and is found again by another take-over.

    Args:
        old_redis: URL of the old system's Redis, where something was set aside there.

    Raises:
        CannotAdopt: nothing is taken over, or calls are in the air.
    """
    adoption = sql.find_adoption(connection) if sql.has_adoption(connection) else None
    if adoption is None:
        raise CannotAdopt("nothing was taken over, or all of it was given back: there is nothing to undo")
    tables = old_tables.find(connection, adoption.old_schema)
    scope = db.array(businesses) if businesses else None
    sql.make_old_views(connection, old_schema=adoption.old_schema)  # an undo that was killed may have dropped them
    if scope and (unknown := sql.not_adopted(connection, businesses=scope)):
        raise CannotAdopt(f"old business {', '.join(str(row.id) for row in unknown)} was not taken over")
    if adoption.redis_set_aside and not old_redis:
        raise CannotAdopt("jobs were set aside in the old Redis: give its URL, --old-redis, so that they are put back")
    given = GivenBack()
    dialed = [row.old_id for row in sql.dialed_jobs(connection, businesses=scope)]
    with connection.transaction():
        _give_back(connection, scope, given, tables=tables)
    crash_here("adopt.given_back")
    if old_redis:
        with messages.opened(old_redis) as client:
            left = messages.give_back(client, adoption.stamp, businesses, dialed)
        given.notes += [
            f"{key} in the old Redis is something else by now: what was set aside stays there" for key in left
        ]
        crash_here("adopt.put_back")
    if scope is None:
        _end(connection, adoption, given)
    return given


def _give_back(connection: db.Connection, scope: str | None, given: GivenBack, *, tables: db.Row) -> None:
    """Under the dispatch lock: nothing is claimed between the look at what is in the air and the end of it."""
    jobs.sql.take_dispatch_lock(connection)
    sql.still_bridge(connection)
    if in_the_air := jobs.sql.count_in_the_air(connection, businesses=scope):
        raise CannotAdopt(
            f"{in_the_air} calls that came from the old system are being dialed: `outbound pause everything`, and undo"
            " it once `outbound status` shows none in the air"
        )
    if tables.has_jobs:
        if tables.has_job_sids:
            jobs.sql.tell_job_sids(connection, businesses=scope)
        rows = jobs.sql.give_back_jobs(connection, businesses=scope)
        given.waiting, given.reported, given.canceled = rows.waiting, rows.told, rows.canceled
    sql.end_businesses(connection, businesses=scope)


def _end(connection: db.Connection, adoption: db.Row, given: GivenBack) -> None:
    added = adoption.error_columns_added
    with connection.transaction():
        bridge.drop(connection)
        sql.drop_old_views(connection)  # they read those columns

    def drop() -> None:
        given.kept_columns = sql.drop_error_columns(connection, old_schema=adoption.old_schema, added=added)

    if added and not old_tables.briefly(connection, drop):
        raise CannotAdopt(
            "the old call_log is locked by somebody, so that error_message and error_code stay there:"
            " run `outbound adopt --undo` again"
        )
    crash_here("adopt.columns_dropped")
    sql.end_adoption(connection, who=os_user.name())
    given.is_over = True
