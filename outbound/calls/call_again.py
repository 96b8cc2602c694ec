"""An operator has a call made again, or at another time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from outbound import db, logs, names
from outbound.call import IN_THE_AIR
from outbound.calls import call_request, enqueue
from outbound.errors import UserError
from outbound.formats import moments
from outbound.rules import audit

sql = db.statements("calls/call_again")
log = logs.get("call_again")

NOW = "now"
SLACK = timedelta(minutes=1)  # of a moment that somebody has just typed


class BadRetry(UserError):
    """That call cannot be made again, or at that time; the message says why and what can, and nothing was changed."""


@dataclass(frozen=True)
class Again:
    """
    The call that is made in another one's place.

    `created` is False where it was there already; `is_retry` then says whether it is the retry of that call, or another
    call that is live to the same telephone.  `may_have_rung`: nobody knows whether the call before rang.  `due` is the
    moment that was given, as it was understood.
    """

    call_id: int
    status: str
    created: bool
    is_retry: bool
    may_have_rung: bool
    was: str
    due: str | None = None


@dataclass(frozen=True)
class Moved:
    """A call that waits for another moment now; `zone` is the callee's where it is known, else the business's."""

    at: datetime
    was: datetime
    zone: str
    zone_is: str
    is_paused: bool
    note: str | None = None


def retry(
    call_id: int, *, at: datetime | str | None = None, reason: str | None = None, actor: str | None = None
) -> Again:
    """
    Put a new call to the same telephone in the queue, in place of one that has ended; asked twice, it is one call.

    It is a call like any other: do-not-call list, consents, calling hours, destinations and caps hold for it, and its
    retry policy begins anew.  It is of no batch: a batch reaches a telephone once, and another import of it goes on to
    find this one reached.

    Args:
        at: not before this moment, as of `reschedule`; by default at once.

    Raises:
        BadRetry: it is live, or came in, or the carrier is still asked whether it rang.
        BadCall: it may not be put in the queue.
        NoSuchName: there is no such call.
    """
    reason, actor = audit.one_line(reason, "the reason"), audit.actor(actor)
    due = understood = None
    if at is not None:
        due, zone, _, note = _moment(call_id, at)
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
            time_zone=old.time_zone,
        )
        sql.write_audit(
            connection,
            who=actor,
            key=str(old.id),
            details=db.json({"call": done.call_id, "new": done.created, "reason": reason}),
        )
        return Again(done.call_id, done.status, done.created, done.has_key, old.may_have_rung, old.status, understood)

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
    """
    Have a call that waits dialed from another moment on; what held it is asked again then.

    Args:
        at: a moment to come, or `now`; without an offset it is by the callee's clocks where their zone is known, else
            by the business's.

    Raises:
        BadRetry: it does not wait, its campaign ends before, or the moment is none.
        NoSuchName: there is no such call.
    """
    reason, actor = audit.one_line(reason, "the reason"), audit.actor(actor)
    due, zone, zone_is, note = _moment(call_id, at)
    row = db.run(sql.reschedule_call, call_id=call_id, due_at=due, who=actor, reason=reason)
    if row is None:
        raise BadRetry(f"call {call_id} came in: it is not dialed")
    if not row.is_moved:
        if row.status == "queued":
            ends = moments.shown(row.ends_at, zone)
            raise BadRetry(f"its campaign ends before, at {ends}: `outbound campaign set --ends …`")
        more = "; `outbound call retry` makes it again" if row.status not in ("claimed", *IN_THE_AIR) else ""
        raise BadRetry(f"call {call_id} does not wait any more: {row.status}{more}")
    log.info("call_again.reschedule", call_id=call_id)
    return Moved(due, row.was_due_at, zone, zone_is, row.is_paused, note)


def _moment(call_id: int, at: datetime | str) -> tuple[datetime, str, str, str | None]:
    """The moment, whose clocks it is by, and what was made of one that those show twice or never."""
    found = db.run(sql.clocks_of_call, call_id=call_id)
    if found is None:
        raise names.NoSuchName(f"there is no call {call_id}: see `outbound calls`")
    zone, zone_is = found.business_zone, "the business's"
    if len(found.zones) == 1:
        zone, zone_is = found.zones[0], "the callee's"
    if at == NOW:
        return found.now, zone, zone_is, None
    try:
        moment = moments.read(at, zone)
    except moments.BadMoment as fault:
        raise BadRetry(f"--at {fault}; or now") from None
    if moment.at < found.now - SLACK:
        raise BadRetry(f"--at {moments.shown(moment.at, zone)} is past: give a moment to come, or now")
    if moment.at > found.now + call_request.AHEAD_MAX:
        raise BadRetry(f"--at lies more than {call_request.AHEAD_MAX.days // 365} years ahead: give an earlier moment")
    return moment.at, zone, zone_is, moment.note
