"""The timeline of one call: who enqueued it, what paused it, what the carrier reported, how it ended, its lead."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from outbound import db, names
from outbound.call import IN_THE_AIR, STATUSES
from outbound.config import settings
from outbound.formats import moments

sql = db.statements("calls/call_timeline")

_LIMIT_SLACK_S = 2  # the carrier rounds a duration
# Of all that a carrier says beside a status, what an operator asks for; by their names in its callbacks and answers.
_SAID = {
    "SipResponseCode": "SIP",
    "sip_response_code": "SIP",
    "AnsweredBy": "answered by",
    "answered_by": "answered by",
    "CallDuration": "seconds",
    "duration": "seconds",
    "ErrorCode": "error",
    "ErrorMessage": "error",
}
_SOURCES = {
    "create": "the carrier's answer",
    "callback": "the carrier",
    "lookup": "the carrier, when asked",
    "answered-by": "machine detection",
}
_ACTIONS = {
    "pause": "paused",
    "resume": "resumed",
    "drain": "drained",
    "stop": "stopped",
    "cancel": "canceled",
    "reschedule": "moved",
    "retry": "dialed again, as another call",
}
CODES = (
    *("came_in", "enqueued", "enqueued_from_file", "next_attempt", "reported", "dialed", "answered", "due", "held"),
    *("ended", *_ACTIONS),
)
ENDINGS = ("stopped", "canceled", "time_limit", "far_end", "busy", "no_answer", "failed")
_HIDDEN = "(this database role may not see it)"


@dataclass(frozen=True)
class Entry:
    """
    An event and its moment; `by` is who did it, None where nobody is known.

    `scope` is what an operator's control was of: account, business, campaign, number or call; None of other entries.
    `code`, a word of CODES, and `details` say the same as `what`, for who tells it in another language.
    """

    at: datetime
    what: str
    code: str
    by: str | None = None
    why: str | None = None
    scope: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ending:
    """How a call ended, or who asked for that: `code` is a word of ENDINGS; `sentence` says the same in English."""

    code: str
    sentence: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class Timeline:
    """
    One call.

    Attributes:
        call: its columns; without numbers and words where the database role may not see them.
        zone, zone_is: the IANA name of the callee's time zone where it is known, else the business's; and whose it is.
        entries: what happened, in the order of time.
        attempts: of the retry policy, as rows of the statement; itself among them.
        again_id, again_for_id: the call that an operator had made in its place, and the one it was made for.
        ending: who hung up and why, else how it ended; None while it is not over.
    """

    call: dict[str, Any]
    zone: str
    zone_is: str
    entries: list[Entry] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    again_id: int | None = None
    again_for_id: int | None = None
    ending: Ending | None = None


def of(call_id: int) -> Timeline:
    """
    Return what became of a call.

    Raises:
        NoSuchName: there is no such call.
    """
    call = _known(call_id, db.run(sql.find_call, call_id=call_id, call_limit_s=settings().time_limit_s))
    sees_numbers = names.sees_numbers()
    words = _known(call_id, db.run(sql.words_of_call, call_id=call_id)) if sees_numbers else {}
    zones = words.pop("zones", None) or []
    imported = words.pop("imported_by", None), words.pop("imported_from", None)
    call |= words
    timeline = Timeline(call, zones[0], "the callee's") if len(zones) == 1 else _in_business_zone(call)
    timeline.attempts = [row._asdict() for row in db.run(sql.attempts, call_id=call_id)]
    placed = [_placed(_enqueued(call, imported))]
    said_of = {row.id: row for row in db.run(sql.words_of_events, call_id=call_id)} if sees_numbers else {}
    placed += [
        _placed(_event(row, said_of.get(row.id)), row.status, received_at=row.received_at)
        for row in db.run(sql.events_of_call, call_id=call_id)
    ]
    if sees_numbers:
        again = _known(call_id, db.run(sql.dialed_again, call_id=call_id))
        timeline.again_id, timeline.again_for_id = again["again_id"], again["again_for_id"]
        placed += [_placed(_operator(row, timeline.zone)) for row in db.run(sql.audit_of_call, call_id=call_id)]
    placed += [_placed(entry, status) for entry, status in _own(call)]
    timeline.ending = _ending(call)
    timeline.entries = [entry for _, entry in sorted(placed, key=lambda one: one[0])]
    return timeline


def _placed(
    entry: Entry, status: str = "queued", *, received_at: datetime | None = None
) -> tuple[tuple[datetime, datetime, int], Entry]:
    """
    An entry behind its place: by seconds, and within one by the life of a call.

    A carrier names whole seconds: what it says happened within that second, and before it *received_at* was known here.
    """
    second = entry.at.replace(microsecond=0)
    within = entry.at
    if entry.at == second:
        latest = second + timedelta(microseconds=999_999)
        within = max(entry.at, min(received_at or latest, latest))
    return (second, within, STATUSES.index(status) if status in STATUSES else 0), entry


def _known(call_id: int, row: db.Row | None) -> dict[str, Any]:
    """Return what is known of the call; or raise NoSuchName, also where it was deleted since the last look."""
    if row is None:
        raise names.NoSuchName(f"there is no call {call_id}: see `outbound calls`")
    return dict(row._asdict())


def _in_business_zone(call: dict[str, Any]) -> Timeline:
    return Timeline(call, call["business_zone"], "the business's")


def _enqueued(call: dict[str, Any], imported: tuple[str | None, str | None]) -> Entry:
    who, file = imported
    at = call["created_at"]
    if call["direction"] == "inbound":
        return Entry(at, "it came in", "came_in")
    if call["attempt"] > 1:
        what = f"put in the queue as attempt {call['attempt']}"
        details = {"attempt": call["attempt"], "retry_of": call["retry_of"]}
        return Entry(at, what, "next_attempt", by=f"the retry policy, after {_before(call)}", details=details)
    if who is not None and file:
        return Entry(at, f"put in the queue from {file}", "enqueued_from_file", by=who, details={"file": file})
    return Entry(at, "put in the queue", "enqueued", by=call.get("created_by") if who is None else who)


def _before(call: dict[str, Any]) -> str:
    return f"attempt {call['attempt'] - 1} of call {call['retry_of']}" if call["retry_of"] else "an attempt before"


def _event(row: db.Row, words: db.Row | None) -> Entry:
    source = None if words is None else words.source
    payload = {} if words is None or not isinstance(words.payload, dict) else words.payload
    parts: dict[str, str] = {}
    for name, shown in _SAID.items():
        value = payload.get(name)
        if isinstance(value, str | int) and str(value) != "":
            parts.setdefault(f"{shown} {value}", "")
    return Entry(
        row.occurred_at or row.received_at,
        f"{_SOURCES.get(source or '', source or 'the carrier')}: {row.status}",
        "reported",
        why=", ".join(parts) or None,
        details={"source": source, "status": row.status},
    )


def _operator(row: db.Row, zone: str) -> Entry:
    did = _ACTIONS[row.action]
    details: dict[str, Any] = {"scope": row.scope, "key": row.key}
    if row.action == "reschedule":
        did = f"moved from {moments.short(row.was_due_at, zone)} to {moments.short(row.due_at, zone)}"
        details |= {"from": row.was_due_at.isoformat(), "to": row.due_at.isoformat()}
    whom = "everything" if row.scope == "account" else f"{row.scope} {row.key}"
    what = did if row.scope == "call" else f"{did}: {whom}"
    return Entry(row.at, what, row.action, by=row.who, why=row.reason, scope=row.scope, details=details)


def _own(call: dict[str, Any]) -> list[tuple[Entry, str]]:
    """Return what the row itself says, each with the status that it came to."""
    entries: list[tuple[Entry, str]] = []
    if call["dialed_at"] is not None:
        number = call.get("from_number") if call["direction"] == "outbound" else None
        what = f"dialed from {number}" if number else "dialed"
        entries.append((Entry(call["dialed_at"], what, "dialed", details={"from_number": number or None}), "claimed"))
    if call["answered_at"] is not None:
        entries.append((Entry(call["answered_at"], "answered", "answered"), "in-progress"))
    if call["status"] == "queued":
        entries.append((_waiting(call), "queued"))
    if call["ended_at"] is not None:
        entries.append((_ended(call), call["status"]))
    return entries


def _ended(call: dict[str, Any]) -> Entry:
    lasted = f" after {call['duration_s']} s" if call["duration_s"] else ""
    return Entry(
        call["ended_at"],
        f"ended: {call['status']}{lasted}",
        "ended",
        by=call.get("stopped_by"),
        why=call.get("stop_reason") or call.get("error_message") or call["error_code"],
        details={"status": call["status"], "duration_s": call["duration_s"] or None, "error_code": call["error_code"]},
    )


def _waiting(call: dict[str, Any]) -> Entry:
    held_by = call["held_by"]
    if held_by is None:
        return Entry(call["due_at"], "due", "due")
    why = db.run(sql.blocker_text, code=held_by) if names.sees_numbers() else None
    why = why or f"held: {held_by.replace('_', ' ')}"
    return Entry(call["due_at"], "held until then", "held", why=why, details={"held_by": held_by})


def _ending(call: dict[str, Any]) -> Ending | None:
    """Say who hung up and why; None while that is not known."""
    if call["status"] in IN_THE_AIR:
        return _asked(call) if call["hang_up"] else None
    if call["ended_at"] is None:
        return None
    if call["hang_up"] is not None or call.get("stopped_by") is not None:
        return _asked(call)
    if call["status"] == "completed":
        limit_s = call["time_limit_s"]
        if (call["duration_s"] or 0) >= limit_s - _LIMIT_SLACK_S:
            return Ending("time_limit", f"the carrier hung up at the time limit of {limit_s} s", {"seconds": limit_s})
        return Ending(
            "far_end", "the callee hung up, or what the call played came to its end: the carrier does not say which"
        )
    if call["status"] == "busy":
        return Ending("busy", "the callee's line was busy")
    if call["status"] == "no-answer":
        return Ending("no_answer", "nobody answered")
    message = call.get("error_message") if "error_message" in call else _HIDDEN
    sentence = ": ".join(filter(None, [call["error_code"], message]))
    return Ending("failed", sentence, {"error_code": call["error_code"], "message": message}) if sentence else None


def _asked(call: dict[str, Any]) -> Ending:
    who, reason = call.get("stopped_by"), call.get("stop_reason")
    did = "stopped" if call["hang_up"] == "completed" else "canceled"
    sentence = f"{who or 'an operator'} {did} it{f': {reason}' if reason else ''}"
    return Ending(did, sentence, {"who": who, "reason": reason})
