"""Claim due calls within every limit, and nudge workers to dial them."""

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from uuid import UUID

from outbound import broker as nudges
from outbound import db, logs
from outbound.broker.redis_client import FAULTS, Fault
from outbound.calls import dial
from outbound.carrier import accounts
from outbound.config import PACE_LATE_S, WORKER_SILENT_S, settings
from outbound.database import identity
from outbound.failpoint import crash_here

sql = db.statements("calls/dispatch")
log = logs.get("dispatch")

_BUSY_WAIT_S = 0.02  # between two cycles while there is work, or was _BUSY_S ago: threads become free at any moment
_BUSY_S = 2
_HEADS_MIN = 20  # least calls per lane and cycle that are looked at: a blocked head is soon out of the way
_AWAY_WAIT_S = 2  # after the database or the broker was away
_STOP_AFTER_S = 5  # a broker that is away for less was restarted: no alert


def dispatch_once(connection: db.Connection | None = None) -> int:
    """
    One cycle: claim what is due and nudge a worker for each call; return how many calls were moved.

    Moved are also those that were blocked: closed, or deferred.  Claims whose nudge could not be sent are released.

    Args:
        connection: reuse this one, whose plan is cached; default: one from the pool.
    """
    moved = _claim_or_set_aside(connection)
    claimed = [row.id for row in moved if row.status == "claimed"]
    crash_here("dispatch.claimed")
    if claimed and not dial.nudge(claimed):
        db.run(sql.release_claims, call_ids=claimed)  # a nudge that got through all the same finds no claim
        raise BrokerAway(nudges.last_fault(dial.dial_call.broker))
    crash_here("dispatch.nudged")
    if moved:
        log.info("dispatch.claimed", calls=len(claimed), blocked=len(moved) - len(claimed))
    return len(moved)


def _claim_or_set_aside(connection: db.Connection | None) -> list[db.Row]:
    """Claim; where a call makes that raise, set it aside and claim the others."""
    try:
        return db.transact(_claim, connection)
    except db.Error as error:
        if not db.is_of_a_row(error):
            raise
        if not db.transact(_set_aside_odd_heads, connection):
            raise
    return db.transact(_claim, connection)


def _set_aside_odd_heads(connection: db.Connection) -> int:
    if not sql.take_turn(connection):
        return 0
    config = settings()
    bounds = {"claim_s": config.claim_s, "ring_s": config.ring_s, "heads_min": _HEADS_MIN}
    odd = sql.set_aside_odd_heads(connection, batch_max=config.batch_max, **bounds)
    for call in odd:
        log.error("set_aside.call", call_id=call.id, step="claim")
    return len(odd)


def _claim(connection: db.Connection) -> list[db.Row]:
    if not sql.take_turn(connection):
        return []
    if not identity.stop_unless_known(connection):
        return []
    config = settings()
    rows: list[db.Row] = sql.claim_due_calls(
        connection,
        batch_max=config.batch_max,
        claims_per_thread=config.claims_per_thread,
        claim_s=config.claim_s,
        worker_silent_s=WORKER_SILENT_S,
        ring_s=config.ring_s,
        late_s=PACE_LATE_S,
        heads_min=_HEADS_MIN,
        account_rate=config.account_rate,
    )
    return rows


class BrokerAway(Exception):
    """The broker takes no nudge, and *fault* says why; what was claimed was released."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault
        self.cause = fault.code


def dispatch_until(stop: Event, each_cycle: Callable[[], None] = lambda: None) -> None:
    """
    Dispatch until *stop* is set: wakes on NOTIFY, and polls every poll_s in case a notification was lost.

    It has a connection of its own, which keeps the claim's plan.  A poll asks first whether anything is due, a small
    part of a claim's work.  Nothing is claimed before the broker took a message and gave it back; while it does not,
    dialing_stop says so.

    Args:
        each_cycle: called before each cycle, and before each attempt to reach the database and the broker.
    """
    away_since: float | None = None
    while not stop.is_set():
        each_cycle()
        try:
            with db.connect(**db.PREPARED) as connection:
                _prove_broker(connection)
                away_since = None
                db.listen(connection, "outbound_due")
                busy_until, moved, notified = 0.0, 0, True
                while not stop.is_set():
                    each_cycle()
                    moved = dispatch_once(connection) if notified or moved or sql.is_anything_due(connection) else 0
                    if moved:
                        busy_until = time.monotonic() + _BUSY_S
                    busy = time.monotonic() < busy_until
                    notified = db.wait_for_notice(connection, _BUSY_WAIT_S if busy else settings().poll_s)
        except BrokerAway as away:
            away_since = time.monotonic() if away_since is None else away_since
            log.outage("dispatch.waiting", away)
            with suppress(*db.Unavailable):
                _record_fault(away.fault, time.monotonic() - away_since)
            stop.wait(_AWAY_WAIT_S)
        except db.Error as error:
            if db.is_of_a_row(error):  # no call raises by itself: a process that dies would claim no more
                log.exception("dispatch.failed")
            elif isinstance(error, db.Unavailable):
                log.outage("dispatch.waiting", error)
            else:
                raise
            stop.wait(_AWAY_WAIT_S)


def _prove_broker(connection: db.Connection) -> None:
    fault = nudges.fault(dial.dial_call.broker)
    if fault is not None:
        raise BrokerAway(fault)
    sql.say_broker_works(connection)
    sql.end_broker_stop(connection)


def _record_fault(fault: Fault, away_s: float) -> None:
    code = fault.code.lower() if fault.code in FAULTS else "other"
    reason = f"The broker {fault}, so that no call reaches a worker: {fault.mend}."
    db.run(sql.broker_fails, code=code, reason=reason, away_s=away_s, told_after_s=_STOP_AFTER_S)


def heartbeat(worker_id: UUID, threads: int) -> None:
    """Say that a worker process is alive, can dial *threads* calls at once, and with which accounts."""
    db.run(sql.worker_seen, worker_id=worker_id, threads=threads, accounts=accounts.usable())
    db.with_connection(identity.stop_unless_known)  # what other workers have begun is known here then


def farewell(worker_id: UUID) -> None:
    """Say that a worker process stops, so that nothing more is claimed for it."""
    db.run(sql.worker_gone, worker_id=worker_id)
