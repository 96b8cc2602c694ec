"""Have a call that waits dialed at another time, on whatever connection."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime

from outbound.calls import call_request
from outbound.errors import NoSuchName, UserError
from outbound.formats import moments
from outbound.named_sql import Questions, Work

sql = Questions("calls/call_again")

NOW = "now"


class BadRetry(UserError):
    """That call cannot be made again, or at that time; the message says why and what can, and nothing was changed."""


@dataclass(frozen=True)
class Moved:
    """A call that waits for another moment now; `zone` is the callee's where it is known, else the business's."""

    at: datetime
    was: datetime
    zone: str
    zone_is: str
    is_paused: bool
    note: str | None = None


def reschedule(call_id: int, at: datetime | str, *, reason: str | None, actor: str) -> Work[Moved]:
    """
    Have a call that waits dialed from another moment on; what held it is asked again then.

    Args:
        at: a moment to come, or `now`; without an offset it is by the callee's clocks where their zone is known, else
            by the business's.

    Raises:
        BadRetry: it does not wait, its campaign ends before, or the moment is none.
        NoSuchName: there is no such call.
    """
    due, zone, zone_is, note = yield from moment(call_id, at)
    given = {"due_at": due.astimezone(UTC).isoformat(), "reason": reason, "who": actor}
    [row] = yield sql.reschedule_call(call_id=call_id, **given)
    answer = json.loads(row.answer)
    if "fault" in answer:
        raise BadRetry(answer["fault"])
    return Moved(due, datetime.fromisoformat(answer["was_due_at"]), zone, zone_is, answer["is_paused"], note)


def moment(call_id: int, at: datetime | str) -> Work[tuple[datetime, str, str, str | None]]:
    """The moment, whose clocks it is by, and what was made of one that those show twice or never."""
    if not isinstance(at, date | str):  # who calls from Python may give anything
        raise BadRetry(f"--at must be a moment: write it like {moments.TIME_FORM}, or now")
    rows = yield sql.clocks_of_call(call_id=call_id)
    if not rows:
        raise NoSuchName(f"there is no call {call_id}: see `outbound calls`")
    found, now = rows[0], datetime.fromisoformat(rows[0].now)
    zone, zone_is = found.business_zone, "the business's"
    if len(found.zones) == 1:
        zone, zone_is = found.zones[0], "the callee's"
    if at == NOW:
        return now, zone, zone_is, None
    try:
        due = moments.read(at, zone)
    except moments.BadMoment as fault:
        raise BadRetry(f"--at {fault}; or now") from None
    if due.at < now - moments.JUST_TYPED:
        raise BadRetry(f"--at {moments.shown(due.at, zone)} is past: give a moment to come, or now")
    if due.at > now + call_request.AHEAD_MAX:
        raise BadRetry(f"--at lies more than {call_request.AHEAD_MAX.days // 365} years ahead: give an earlier moment")
    return due.at, zone, zone_is, due.note
