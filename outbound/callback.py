"""Write down what the carrier says happened, in any order."""

from collections.abc import Mapping, Sequence

from outbound import db, lead, logs, voice
from outbound.call import Report
from outbound.config import settings
from outbound.failpoint import crash_here

sql = db.statements("callback")
log = logs.get("callback")


def record(call_id: int, report: Report) -> str:
    """The same for one report; return its word."""
    return record_all([(call_id, report)])[0]


def record_all(reports: Sequence[tuple[int, Report]]) -> list[str]:
    """
    Keep reports, at most one of a call, and move each call forward if that is news; nudge the leads that are due.

    Returns:
        a word for each: `moved`, `unchanged`, `unknown_status` (kept, moved nothing), `other_call_sid` or
        `unknown_call` (refused).
    """
    try:
        rows = _record(reports)
    except db.Conflict:
        # Another call took the number, or another row this call_sid, between our look and our write.  Look again, at
        # each by itself.
        rows = [row for one in reports for row in _record_alone(one)]
    told = dict(reports)
    for row in rows:
        report = told[row.call_id]
        with logs.about(call_id=row.call_id, call_sid=report.call_sid):
            log.info(f"{report.source}.{row.result}", status=row.status, told=report.status)
    crash_here("callback.recorded")
    lead.nudge_all([told[row.call_id].call_sid for row in rows if row.lead_due])
    words = {row.call_id: str(row.result) for row in rows}
    return [words.get(call_id, "other_call_sid") for call_id, _ in reports]


def _record_alone(one: tuple[int, Report]) -> list[db.Row]:
    try:
        return _record([one])
    except db.Conflict:
        call_id, report = one
        with logs.about(call_id=call_id, call_sid=report.call_sid):
            log.error(f"{report.source}.call_sid_of_another_call")
        return []


def record_answered_by(call_id: int, call_sid: str, answered_by: str, payload: Mapping[str, object]) -> str:
    """
    Keep who answered, in the carrier's words.

    Returns:
        `kept`; `no_call_sid_yet`, `other_call_sid` or `unknown_call` (refused).
    """
    told = {"call_sid": call_sid, "answered_by": answered_by, "payload": db.json(dict(payload))}
    result = str(db.run(sql.record_answered_by, call_id=call_id, **told))
    log.info(f"answered_by.{result}", call_id=call_id, call_sid=call_sid, answered_by=answered_by)
    return result


def record_by_call_sid(report: Report) -> str:
    """The same for a call that is known by its call_sid alone: an inbound one."""
    call_id = db.run(sql.find_call, call_sid=report.call_sid)
    return "unknown_call" if call_id is None else record(call_id, report)


def record_inbound_call(call_sid: str, from_number: str, to_number: str) -> tuple[str | None, str | None] | None:
    """Write down an inbound call; return its business's (voice_url, twiml), or None where the number is nobody's."""
    answer = db.run(
        sql.record_inbound_call,
        call_sid=call_sid,
        from_number=from_number,
        to_number=to_number,
        ring_s=settings().ring_s + settings().margin_s,
    )
    if answer is None:
        log.warning("inbound.number_of_nobody", call_sid=call_sid)
        return None
    lead.nudge(call_sid)
    return answer.voice_url, voice.render(answer.twiml, None)  # nobody's row says who calls


def _record(reports: Sequence[tuple[int, Report]]) -> list[db.Row]:
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


def _fields(call_id: int, report: Report) -> dict[str, object]:
    occurred_at = report.occurred_at.isoformat() if report.occurred_at else None
    return {**vars(report), "call_id": call_id, "occurred_at": occurred_at, "payload": dict(report.payload)}
