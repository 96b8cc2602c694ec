"""Ask the carrier about calls that we are unsure of."""

from outbound import callback, db, logs
from outbound.call import DialOrder, Report
from outbound.carrier import CarrierSilent
from outbound.carrier.twilio import carrier
from outbound.config import LOOKS_MIN, settings
from outbound.failpoint import crash_here

sql = db.statements("reconcile")
log = logs.get("reconcile")


def reconcile_overdue_calls() -> int:
    """
    One round: ask the carrier about overdue calls, as many as the limit per minute allows; return how many.

    A carrier that does not answer ends the round, so that a carrier in trouble (429) gets one question per round.
    Nothing moves then, and clean-up closes what has waited too long.
    """
    config = settings()
    questions_max = max(1, int(config.lookups_per_minute * config.tick_s / 60))
    for asked in range(questions_max):
        call = db.run(sql.take_call_to_ask_about, relook_s=config.relook_s)
        if call is None:
            break
        crash_here("reconcile.taken")
        try:
            with logs.about(call_id=call.id, call_sid=call.call_sid):
                _look_up(call)
        except CarrierSilent as reason:
            log.warning("reconcile.carrier_silent", call_id=call.id, reason=str(reason))
            return asked
    else:
        asked = questions_max
    db.run(sql.reconcile_done)
    return asked


def _look_up(call: db.Row) -> None:
    reports = _reports(call)
    crash_here("reconcile.answered")
    if len(reports) == 1:
        callback.record(call.id, reports[0])
    elif reports:
        db.run(sql.close_for_a_human, call_id=call.id, call_sids=[report.call_sid for report in reports])
        log.error("reconcile.several_candidates", call_id=call.id, candidates=len(reports))
    else:
        absent = db.run(sql.record_absence, call_id=call.id, call_sid=call.call_sid, looks_min=LOOKS_MIN)
        log.warning("reconcile.absent", call_id=call.id, status=absent and absent.status)
    crash_here("reconcile.written")


def _reports(call: db.Row) -> list[Report]:
    """What the carrier says of a call, or of each that this one may have become: same numbers, same time, unbound."""
    if call.call_sid is not None:
        report = carrier().fetch_call(call.call_sid)
        return [] if report is None else [report]
    order = DialOrder(call.id, call.from_number, call.to_number, None, None)
    found = carrier().find_calls(order, call.dialed_at, call.ended_at)
    rows = db.run(sql.still_unbound, call_sids=[report.call_sid for report in found])
    unbound = {row.call_sid for row in rows}
    return [report for report in found if report.call_sid in unbound]
