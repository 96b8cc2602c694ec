"""Write down what the carrier says happened, in any order."""

from collections.abc import Mapping

from outbound import db, lead, logs, voice
from outbound.call import Report
from outbound.config import settings
from outbound.failpoint import crash_here

sql = db.statements("callback")
log = logs.get("callback")


def record(call_id: int, report: Report) -> str:
    """
    Keep *report* and move the call forward if it is news; nudge its lead when there is somebody to make one of.

    Returns:
        `moved`, `unchanged`, `unknown_status` (kept, moved nothing), `other_call_sid` or `unknown_call` (refused).
    """
    with logs.about(call_id=call_id, call_sid=report.call_sid):
        return _record_and_nudge(call_id, report)


def _record_and_nudge(call_id: int, report: Report) -> str:
    try:
        row = _record(call_id, report)
    except db.Conflict:
        # Another call took the number, or another row this call_sid, between our look and our write.  Look again.
        try:
            row = _record(call_id, report)
        except db.Conflict:
            log.error(f"{report.source}.call_sid_of_another_call")
            return "other_call_sid"
    log.info(f"{report.source}.{row.result}", status=row.status, told=report.status)
    crash_here("callback.recorded")
    if row.lead_due:
        lead.nudge(report.call_sid)
    return str(row.result)


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


def _record(call_id: int, report: Report) -> db.Row:
    config = settings()
    return db.run(
        sql.record_report,
        call_id=call_id,
        call_sid=report.call_sid,
        to_number=report.to_number,
        status=report.status,
        source=report.source,
        sequence_number=report.sequence_number,
        occurred_at=report.occurred_at,
        duration_s=report.duration_s,
        answered_by=report.answered_by,
        sip_code=report.sip_code,
        payload=db.json(dict(report.payload)),
        ring_s=config.ring_s + config.margin_s,
        talk_s=config.time_limit_s + config.margin_s,
        lead_s=config.lead_s,
        relook_s=config.relook_s,
    )
