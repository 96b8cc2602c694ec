"""Ask the carrier about calls that we are unsure of."""

from collections.abc import Callable
from functools import partial

from outbound import callback, db, logs, set_aside
from outbound.call import DialOrder, Report
from outbound.carrier import CarrierSilent, OddAnswer
from outbound.carrier.twilio import carrier
from outbound.config import LOOKS_MIN, settings
from outbound.confirm import Budget, confirm_live_calls, is_news
from outbound.failpoint import crash_here

sql = db.statements("reconcile")
log = logs.get("reconcile")


def reconcile_overdue_calls() -> int:
    """
    One round: ask the carrier about live calls and overdue ones, within the limit per minute; return how many answers.

    A carrier that does not answer ends the round, so that a carrier in trouble (429) gets one question per round.
    Nothing moves then, and clean-up closes what has waited too long.
    """
    config = settings()
    budget = Budget(config.lookups_per_minute, config.tick_s)
    ask = partial(_ask_about, budget=budget)
    try:
        # First those that have no call_sid, which will soon be closed, but not so many that live calls are forgotten.
        _ask_about_overdue(ask, budget, until=budget.singles // 2, only_unbound=True)
        confirm_live_calls(budget, ask)
        _ask_about_overdue(ask, budget)
    except CarrierSilent as reason:
        log.outage("reconcile.carrier_silent", str(reason))
        return budget.asked
    db.run(sql.reconcile_done)
    return budget.asked


def _ask_about_overdue(
    ask: Callable[[db.Row], None], budget: Budget, *, until: int = 0, only_unbound: bool = False
) -> None:
    relook_s = settings().relook_s
    while budget.singles > until:
        call = db.run(sql.take_call_to_ask_about, relook_s=relook_s)
        if call is None:
            return
        crash_here("reconcile.taken")
        ask(call)
        if only_unbound and call.call_sid is not None:
            return  # they come last


def _ask_about(call: db.Row, budget: Budget) -> None:
    budget.spend_single(call)
    with logs.about(call_id=call.id, call_sid=call.call_sid):
        try:
            _look_up(call)
        except OddAnswer as reason:
            log.warning("reconcile.odd_answer", reason=str(reason))
        except CarrierSilent:
            raise
        except db.Error as error:
            if not db.is_of_a_row(error):
                raise
            set_aside.set_aside("reconcile", call.id, error)
        except Exception:
            log.exception("reconcile.failed")  # one call must not end the others' round; it is asked about again
    budget.asked += 1


def _look_up(call: db.Row) -> None:
    reports = _reports(call)
    crash_here("reconcile.answered")
    if len(reports) == 1:
        if is_news(call, reports[0].status):
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
    order = DialOrder(call.id, call.from_number or "", call.to_number or "", None, None)
    if call.call_sid is not None:
        report = carrier().fetch_call(call.call_sid, order if call.direction == "outbound" else None)
        return [] if report is None else [report]
    if call.dialed_at is None:
        return []  # a row of the old system: nobody could say which call it was
    found = carrier().find_calls(order, call.dialed_at, call.ended_at)
    rows = db.run(sql.still_unbound, call_sids=[report.call_sid for report in found])
    unbound = {row.call_sid for row in rows}
    return [report for report in found if report.call_sid in unbound]
