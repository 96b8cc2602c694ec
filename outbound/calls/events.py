"""Record call events that the carrier reports, in any order."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from outbound import db, logs
from outbound.call import CallEvent
from outbound.calls import lead, set_aside
from outbound.carrier import accounts
from outbound.config import settings
from outbound.failpoint import crash_here
from outbound.formats import twiml_template

sql = db.statements("calls/events")
log = logs.get("callback")

WORD_MAX = 64  # characters of a carrier's word that are kept; it goes into an index, which takes some 2,700 bytes
_COUNT_MAX = 2**31 - 1  # PostgreSQL's integer


def record(call_id: int, report: CallEvent) -> str:
    """Record one report and return its result; see `record_all`."""
    return record_all([(call_id, report)])[0]


def record_all(reports: Sequence[tuple[int, CallEvent]]) -> list[str]:
    """
    Keep reports, at most one of a call, and move each call forward if that is news; nudge the leads that are due.

    Returns:
        a word for each: `moved`, `unchanged`, `unknown_status` (kept, moved nothing), `never_dialed` (kept; the call is
        held until the carrier was asked), `set_aside` (its call makes the database raise, and is closed),
        `other_account`, `untagged`, `other_call_sid` or `unknown_call` (refused).
    """
    words: dict[int, str] = {}
    try:
        rows = _record(reports)
    except db.Error as error:
        if not db.is_of_a_row(error):
            raise
        # Another call took the number, or another row this call_sid, between our look and our write; or one of them
        # cannot be written at all.  Look again, at each by itself.
        rows = [row for one in reports for row in _record_alone(one, words)]
    by_call = dict(reports)
    for row in rows:
        report = by_call[row.call_id]
        with logs.about(call_id=row.call_id, call_sid=report.call_sid):
            write = log.error if row.result == "never_dialed" else log.info
            write(f"{report.source}.{row.result}", status=row.status, reported=report.status)
    crash_here("callback.recorded")
    lead.nudge_all([by_call[row.call_id].call_sid for row in rows if row.lead_due])
    words |= {row.call_id: str(row.result) for row in rows}
    return [words.get(call_id, "other_call_sid") for call_id, _ in reports]


def _record_alone(one: tuple[int, CallEvent], words: dict[int, str]) -> list[db.Row]:
    """Record one report; where nothing can be recorded, put into *words* why."""
    call_id, report = one
    with logs.about(call_id=call_id, call_sid=report.call_sid):
        try:
            return _record([one])
        except db.Conflict:
            log.error(f"{report.source}.call_sid_of_another_call")
            words[call_id] = "other_call_sid"
        except db.Error as error:
            set_aside.set_aside("report", call_id, error)
            words[call_id] = "set_aside"
    return []


def called_number(call_id: int) -> str | None:
    """The number that a call is made to; None where there is no such call."""
    number: str | None = db.run(sql.called_number, call_id=call_id)
    return number


def record_answered_by(
    call_id: int,
    call_sid: str,
    answered_by: str,
    payload: Mapping[str, object],
    *,
    is_untagged: bool = False,
    account: str | None = None,
) -> str:
    """
    Keep who answered, in the carrier's words.

    Args:
        account: whose signature it has; None for TWILIO_ACCOUNT_SID.

    Returns:
        `kept`; `no_call_sid_yet`, `other_account`, `untagged`, `other_call_sid` or `unknown_call` (refused).
    """
    answer = {
        "call_sid": call_sid,
        "answered_by": _word(answered_by),
        "payload": db.json(_kept(payload)),
        "is_untagged": is_untagged,
        "signed_for": accounts.names(account),
    }
    result = str(db.run(sql.record_answered_by, call_id=call_id, **answer))
    log.info(f"answered_by.{result}", call_id=call_id, call_sid=call_sid, answered_by=answered_by)
    return result


def record_by_call_sid(report: CallEvent) -> str:
    """Record a report of an inbound call, which is found by its call_sid."""
    call_id = db.run(sql.find_inbound_call, call_sid=report.call_sid)
    return "unknown_call" if call_id is None else record(call_id, report)


def record_inbound_call(
    call_sid: str, from_number: str, to_number: str, account: str | None = None
) -> tuple[str | None, str | None] | None:
    """
    Write down an inbound call; return its business's (voice_url, twiml).

    None where the number is nobody's, or its business has another account than the one that signed.
    """
    answer = db.run(
        sql.record_inbound_call,
        call_sid=call_sid,
        from_number=from_number,
        to_number=to_number,
        ring_s=settings().ring_s + settings().margin_s,
        signed_for=accounts.names(account),
    )
    if answer is None:
        log.warning("inbound.number_of_nobody", call_sid=call_sid)
        return None
    lead.nudge(call_sid)
    return answer.voice_url, twiml_template.render(answer.twiml, None)  # nobody's row says who calls


def _record(reports: Sequence[tuple[int, CallEvent]]) -> list[db.Row]:
    config = settings()
    rows: list[db.Row] = db.run(
        sql.record_reports,
        reports=db.json([_fields(call_id, report) for call_id, report in reports]),
        ring_s=config.ring_s + config.margin_s,
        talk_s=config.time_limit_s + config.margin_s,
        lead_s=config.lead_s,
        relook_s=config.relook_s,
    )
    return rows


def _fields(call_id: int, report: CallEvent) -> dict[str, object]:
    """
    A report as the statement takes it.

    A field that the database could not hold, or an index, is left out: the rest of the report still counts.
    """
    return {
        "call_id": call_id,
        "call_sid": report.call_sid,
        "to_number": _text(report.to_number),
        "status": _word(report.status),
        "source": report.source,
        "sequence_number": _count(report.sequence_number),
        "occurred_at": _moment(report.occurred_at),
        "duration_s": _count(report.duration_s),
        "answered_by": None if report.answered_by is None else _word(report.answered_by),
        "sip_code": _count(report.sip_code),
        "payload": _kept(report.payload),
        "is_untagged": report.is_untagged,
        "signed_for": accounts.names(report.account),
    }


def _text(text: str | None) -> str | None:
    """Without what PostgreSQL has in no text: NUL, and halves of a character."""
    return None if text is None else text.replace("\0", "").encode(errors="replace").decode()


def _word(word: str) -> str:
    return (_text(word) or "")[:WORD_MAX]


def _count(number: int | None) -> int | None:
    return number if number is not None and 0 <= number <= _COUNT_MAX else None


def _moment(moment: datetime | None) -> str | None:
    try:
        return None if moment is None else moment.astimezone(UTC).isoformat()
    except OverflowError:  # at an end of the calendar
        return None


def _kept(payload: Mapping[str, object]) -> dict[str, object]:
    """The payload without the characters that PostgreSQL allows in no text."""
    return {_text(name) or "": _text(value) if isinstance(value, str) else value for name, value in payload.items()}
