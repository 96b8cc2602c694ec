"""
Shows what happens to our calls in the tables of the system before, for as long as its screens are in use.

Triggers write it in the transaction that moves the call.  What cannot be written there fails nothing here: it is noted,
and written again by the scheduler.
"""

from outbound import db, logs
from outbound.formats import numbering_plan

sql = db.statements("adopt/bridge")
log = logs.get("bridge")

_BATCH_MAX = 200  # per round, each in a transaction of its own of some milliseconds
_WAIT_S, _WAIT_MAX_S = 5, 300  # between two trials of one entry


def make(connection: db.Connection, old_schema: str) -> None:
    """Begin to write to the tables in *old_schema*; begun before, write the columns that they have by now."""
    regions = [writing._asdict() for writing in numbering_plan.writings()]
    sql.know_regions(connection, regions=db.json(regions))
    sql.make_bridge(connection, old_schema=old_schema)


def drop(connection: db.Connection) -> None:
    """End it; what was written to the old tables stays there."""
    sql.drop_bridge(connection)


def write_late_to_old_tables() -> int:
    """One round: write again what could not be written; return how many entries were done.  Safe on many hosts."""
    done = 0
    failed = set()
    for entry in db.run(sql.waiting, batch_max=_BATCH_MAX, wait_s=_WAIT_S, wait_max_s=_WAIT_MAX_S):
        state = db.run(sql.write_again, kind=entry.kind, call_id=entry.call_id)
        if state is None:
            done += 1
            continue
        failed.add(state)
        if state == db.TOOK_TOO_LONG:
            break
    if failed:
        log.warning("bridge.failed", states=",".join(sorted(failed)))
    if done:
        log.info("bridge.written_late", entries=done)
    return done
