"""Ask the carrier about calls that we are unsure of."""

from outbound import callback, db, logs
from outbound.call import DialOrder, Report
from outbound.carrier import Carrier, CarrierSilent
from outbound.carrier.twilio import carrier
from outbound.config import settings

sql = db.statements("reconcile")
log = logs.get("reconcile")

LOOKS_MIN = 2  # the carrier's lists lag behind: absence is believed when it was seen twice, some seconds apart


def reconcile_overdue_calls() -> int:
    """
    One round: ask the carrier about overdue calls, as many as the limit per minute allows; return how many.

    A carrier that does not answer ends the round: nothing moves, and clean-up closes what has waited too long.
    """
    config = settings()
    batch_max = max(1, int(config.lookups_per_minute * config.tick_s / 60))
    calls = db.run(sql.take_calls_to_ask_about, batch_max=batch_max, relook_s=config.relook_s)
    for asked, call in enumerate(calls):
        try:
            _look_up(call)
        except CarrierSilent as reason:
            log.warning("reconcile.carrier_silent", call=call.id, reason=str(reason))
            return asked
    db.run(sql.reconcile_done)
    return len(calls)


def _look_up(call: db.Row) -> None:
    ask: Carrier = carrier()
    if call.call_sid is None:
        _look_for(call, ask)
        return
    report = ask.fetch_call(call.call_sid)
    if report is not None:
        callback.record(call.id, report)
    elif db.run(sql.close_disowned, call_id=call.id, looks_min=LOOKS_MIN):
        log.error("reconcile.disowned", call=call.id, call_sid=call.call_sid)


def _look_for(call: db.Row, ask: Carrier) -> None:
    """Look for a call that has no call_sid among those that the carrier made of its numbers at that time."""
    found = _unbound(ask.find_calls(DialOrder(call.id, call.from_number, call.to_number, None, None), call.dialed_at))
    if len(found) == 1:
        log.info("reconcile.found", call=call.id, call_sid=found[0].call_sid)
        callback.record(call.id, found[0])
    elif found:
        db.run(sql.close_for_a_human, call_id=call.id, call_sids=[report.call_sid for report in found])
        log.error("reconcile.several_candidates", call=call.id, candidates=len(found))
    elif db.run(sql.close_unfound, call_id=call.id, looks_min=LOOKS_MIN):
        log.warning("reconcile.unfound", call=call.id)


def _unbound(reports: list[Report]) -> list[Report]:
    rows = db.run(sql.still_unbound, call_sids=[report.call_sid for report in reports])
    free = {row.call_sid for row in rows}
    return [report for report in reports if report.call_sid in free]
