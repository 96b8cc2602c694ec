"""An operator has a call made again, or at another time."""

from dataclasses import dataclass
from datetime import datetime

from outbound import db, drivers, logs, names
from outbound.calls import call_request, enqueue
from outbound.calls import reschedule as step
from outbound.calls.reschedule import BadRetry, Moved
from outbound.formats import moments, time_zones
from outbound.rules import decision

sql = db.statements("calls/call_again")
log = logs.get("call_again")


@dataclass(frozen=True)
class Again:
    """
    The call that is made in another one's place.

    `created` is False where it was there already; `is_retry` then says whether it is the retry of that call, or another
    call that is live to the same telephone.  `may_have_rung`: nobody knows whether the call before rang.  `due` is the
    moment that was given, as it was understood; `note` says that a call which was there waits for another one.
    """

    call_id: int
    status: str
    created: bool
    is_retry: bool
    may_have_rung: bool
    was: str
    due: str | None = None
    note: str | None = None


def retry(
    call_id: int, *, at: datetime | str | None = None, reason: str | None = None, actor: str | None = None
) -> Again:
    """
    Put a new call to the same telephone in the queue, in place of one that has ended; asked twice, it is one call.

    It is a call like any other: do-not-call list, consents, calling hours, destinations and caps hold for it, and its
    retry policy begins again.  It is of no batch: a batch reaches a telephone once, and another import of it goes on to
    find this one reached.

    Args:
        at: not before this moment, as of `reschedule`; by default at once.

    Raises:
        BadRetry: it is live, or came in, or the carrier is still asked whether it rang.
        BadCall: it may not be put in the queue.
        NoSuchName: there is no such call.
    """
    reason, actor = decision.one_line(reason, "the reason"), decision.actor(actor)
    due = understood = None
    if at is not None:
        work = step.moment(call_id, at)
        due, zone, _, note = db.with_connection(lambda connection: drivers.answer_own(connection, work))
        understood = moments.Moment(due, note).understood(zone)

    def move(connection: db.Connection) -> Again:
        old = sql.lock_ended_call(connection, call_id=call_id)
        _refuse_unended(call_id, old)
        key = f"{call_request.AGAIN}{old.id}"
        done = enqueue.enqueue_call(
            connection,
            business_id=old.business_id,
            campaign_id=old.campaign_id,
            to_number=old.to_number,
            from_number=None if old.campaign_calls or old.is_borrowed else old.from_number,
            due_at=due,
            own_key=key,
            contact=old.contact,
            # A version before took UTC for a callee's; no one can state another one here.
            time_zone=None if old.time_zone == time_zones.UNIVERSAL else old.time_zone,
        )
        sql.write_audit(
            connection,
            who=actor,
            key=str(old.id),
            details=db.json({"call": done.call_id, "new": done.created, "reason": reason}),
        )
        took = understood if done.created else None
        note = None if done.created else done.note
        return Again(done.call_id, done.status, done.created, done.has_key, old.may_have_rung, old.status, took, note)

    again = db.transact(move)
    log.info("call_again.retry", call_id=call_id, again=again.call_id, created=again.created)
    return again


def _refuse_unended(call_id: int, old: db.Row) -> None:
    if old is None:
        raise names.NoSuchName(f"there is no call {call_id}: see `outbound calls`")
    if old.direction != "outbound":
        raise BadRetry(f"call {call_id} came in: `outbound enqueue` calls its number")
    if old.is_live:
        raise BadRetry(f"call {call_id} is live: {old.status}; it is not made again before it has ended")
    if old.is_in_doubt:
        raise BadRetry(
            f"nobody knows yet whether call {call_id} rang: the carrier is asked; wait until `outbound call show"
            f" {call_id}` says how it ended"
        )


def reschedule(call_id: int, at: datetime | str, *, reason: str | None = None, actor: str | None = None) -> Moved:
    """`reschedule.reschedule` on a connection of our own."""
    reason, actor = decision.one_line(reason, "the reason"), decision.actor(actor)
    work = step.reschedule(call_id, at, reason=reason, actor=actor)
    moved = db.with_connection(lambda connection: drivers.answer_own(connection, work))
    log.info("call_again.reschedule", call_id=call_id)
    return moved
