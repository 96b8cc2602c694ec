"""Look up calls in doubt at the carrier."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from outbound import db, logs
from outbound.call import CallEvent, DialOrder
from outbound.calls import events, set_aside
from outbound.calls.confirm import Budget, by_account, confirm_live_calls, is_news, next_of
from outbound.carrier import EARLY, CarrierCall, CarrierSilent, OddAnswer, OtherCall
from outbound.carrier.twilio import carrier, may_have_become
from outbound.config import LOOKS_MIN, settings
from outbound.failpoint import crash_here

sql = db.statements("calls/reconcile")
log = logs.get("reconcile")

_FEW = 8  # calls without a call_sid that are asked about one by one, two requests each
_BATCH_MAX = 5000  # calls that are looked for in one list
_SPAN_S = 300  # dialed within so many seconds: a list that goes further back has too many pages

Numbers = tuple[str | None, str | None]  # from, to


def reconcile_overdue_calls() -> int:
    """
    One round: ask the carrier about live calls and overdue ones, within the limit per minute; return how many answers.

    An account for which the carrier does not answer is left alone until the next round, so that one in trouble (429)
    gets one question per round.  Nothing of it moves then, and clean-up closes what has waited too long.
    """
    config = settings()
    budget = Budget(config.lookups_per_minute, config.tick_s)
    ask = partial(_ask_about, budget=budget)
    try:
        # First those that have no call_sid, which will soon be closed, but not so many that live calls are forgotten.
        _look_for_unbound(budget)
        _ask_about_overdue(ask, budget, until=budget.singles // 2, only_unbound=True)
        _ask_about_questions(budget)
        confirm_live_calls(budget, ask)
        _ask_about_overdue(ask, budget)
    except CarrierSilent:
        return budget.asked
    if "" not in budget.silent:  # of another account only its businesses' calls were not asked about
        db.run(sql.reconcile_done)
    return budget.asked


def _ask_about_overdue(
    ask: Callable[[db.Row], None], budget: Budget, *, until: int = 0, only_unbound: bool = False
) -> None:
    relook_s = settings().relook_s
    while budget.singles > until:
        call = db.run(sql.take_call_to_ask_about, relook_s=relook_s, silent=list(budget.silent))
        if call is None:
            return
        crash_here("reconcile.taken")
        with budget.account(call.carrier_account):
            ask(call)
        if only_unbound and call.call_sid is not None:
            return  # they come last


def _ask_about_questions(budget: Budget) -> None:
    """Look up calls that had a callback though their rows were never dialed: after a restore they may have been."""
    relook_s = settings().relook_s
    kept = budget.singles // 2
    while budget.singles > kept:
        call = db.run(sql.take_call_in_question, relook_s=relook_s, silent=list(budget.silent))
        if call is None:
            return
        budget.spend_single(call)
        with budget.account(call.carrier_account):
            with _by_itself(call):
                _settle_question(call)
            budget.asked += 1


def _settle_question(call: db.Row) -> None:
    try:
        report = carrier(call.carrier_account).fetch_call(call.call_sid, _order(call))
    except OtherCall:
        answer = "other_call"
    else:
        if report is not None and events.record(call.id, report) != "other_call_sid":
            return
        answer = "absent" if report is None else "other_call"  # it is another row's
    settled = db.run(sql.answer_question, call_id=call.id, call_sid=call.call_sid, answer=answer, looks_min=LOOKS_MIN)
    log.error("reconcile.never_dialed", answer=answer, may_be_dialed=bool(settled and settled.may_be_dialed))


def _look_for_unbound(budget: Budget) -> None:
    """
    Look for many calls without a call_sid (a worker died, the carrier's answers were lost) in one list.

    What it says counts where it goes back to before the first of them was dialed; else each is asked about by itself.
    """
    bounds = {"more_than": _FEW, "span_s": _SPAN_S, "batch_max": _BATCH_MAX, "relook_s": settings().relook_s}
    calls = db.run(sql.take_unbound_calls, **bounds) if budget.pages > budget.kept else []
    for account, own in by_account(calls).items():
        with budget.account(account):
            _look_in_list(own, budget)


def _look_in_list(calls: Sequence[db.Row], budget: Budget) -> None:
    listed = _list_since(calls, budget) if len(calls) > _FEW else None
    if listed is None:
        db.run(sql.ask_singly, call_ids=[call.id for call in calls])
        return
    found = {call.id: _those_of(call, listed[call.from_number, call.to_number]) for call in calls}
    unbound = _unbound([report.call_sid for reports in found.values() for report in reports])
    for call in calls:
        with _by_itself(call):
            _settle(call, [report for report in found[call.id] if report.call_sid in unbound])


def _list_since(calls: Sequence[db.Row], budget: Budget) -> dict[Numbers, list[CarrierCall]] | None:
    """The carrier's calls since the first of these was dialed, by their numbers; None where it does not tell of all."""
    listed: dict[Numbers, list[CarrierCall]] = defaultdict(list)
    pages = carrier(calls[0].carrier_account).list_calls(min(call.dialed_at for call in calls) - EARLY)
    while budget.pages > budget.kept:
        try:
            page = next_of(pages, budget)
        except OddAnswer as reason:
            log.warning("reconcile.odd_answer", reason=str(reason))
            return None
        if page is None:
            return listed
        for call in page:
            listed[call.from_number, call.to_number].append(call)
    return None


def _those_of(call: db.Row, listed: Sequence[CarrierCall]) -> list[CallEvent]:
    """Return what a call may have become; one that moves from page to page while they are read is one call."""
    order = _order(call)
    fitting = (each for each in listed if may_have_become(order, call.dialed_at, call.ended_at, each))
    return list({each.call_sid: each.report() for each in fitting}.values())


def _ask_about(call: db.Row, budget: Budget) -> None:
    budget.spend_single(call)
    with _by_itself(call):
        reports = _reports(call)
        crash_here("reconcile.answered")
        _settle(call, reports)
    budget.asked += 1


@contextmanager
def _by_itself(call: db.Row) -> Iterator[None]:
    """Log the error of one call, so that the round goes on; CarrierSilent ends it for the call's account."""
    with logs.about(call_id=call.id, call_sid=call.call_sid):
        try:
            yield
        except OddAnswer as reason:
            log.warning("reconcile.odd_answer", reason=str(reason))
        except CarrierSilent:
            raise
        except db.Error as error:
            if not db.is_of_a_row(error):
                raise
            set_aside.set_aside("reconcile", call.id, error)
        except Exception:
            log.exception("reconcile.failed")  # it is asked about again


def _settle(call: db.Row, reports: Sequence[CallEvent]) -> None:
    """Write down what the carrier says of a call, or of each that this one may have become."""
    if len(reports) == 1:
        if is_news(call, reports[0].status):
            events.record(call.id, reports[0])
    elif reports:
        db.run(sql.close_for_a_human, call_id=call.id, call_sids=[report.call_sid for report in reports])
        log.error("reconcile.several_candidates", call_id=call.id, candidates=len(reports))
    else:
        absent = db.run(sql.record_absence, call_id=call.id, call_sid=call.call_sid, looks_min=LOOKS_MIN)
        log.warning("reconcile.absent", call_id=call.id, status=absent and absent.status)
    crash_here("reconcile.written")


def _reports(call: db.Row) -> list[CallEvent]:
    """
    Return what the carrier says of a call, or of each that this one may have become: same numbers, same time, unbound.
    """
    order, line = _order(call), carrier(call.carrier_account)
    if call.call_sid is not None:
        report = line.fetch_call(call.call_sid, order if call.direction == "outbound" else None)
        return [] if report is None else [report]
    if call.dialed_at is None:
        return []  # a row of the old system: nobody could say which call it was
    found = line.calls_of(order, call.dialed_at, call.ended_at)
    unbound = _unbound([report.call_sid for report in found])
    return [report for report in found if report.call_sid in unbound]


def _order(call: db.Row) -> DialOrder:
    return DialOrder(call.id, call.from_number or "", call.to_number or "", None, None)


def _unbound(call_sids: Sequence[str]) -> set[str]:
    return {row.call_sid for row in db.run(sql.still_unbound, call_sids=list(call_sids))}
