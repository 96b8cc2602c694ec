"""
Ask the carrier for its lists of live calls, up to 1,000 in one answer, since the last callback of each may be lost.

The lists of live calls tell who still talks.  A call of ours that is in none has probably ended: but lists lag behind,
so its end is believed only where the call itself says so, on a page of recent calls or fetched singly.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from outbound import db, logs
from outbound.call import STATUSES, CallEvent
from outbound.calls import events
from outbound.carrier import EARLY, Carrier, CarrierCall, CarrierSilent, NoCredentials
from outbound.carrier.twilio import carrier, opened
from outbound.carrier.twilio_rest import is_older
from outbound.config import CONFIRM_S, settings

sql = db.statements("calls/confirm")
log = logs.get("confirm")

WEB_SILENT_S = 10  # without a sign of a web process for this long, callbacks may have been lost
_CALLS_MAX = 10_000  # per round
_BATCH_MAX = 100  # reports that one statement writes down
_MINUTE_S = 60
_EMPTY_PAGES_MAX = 3  # of recent calls, none of them ours: strangers', or ours are older; fetching does better then
_EMPTY_PAGES_MANY = 15  # the same where fetching would take minutes
_SILENT_MAX = 3  # accounts for which no answer came: then the carrier is away, and the others wait too
_MANY_ROUNDS = 10  # fetching takes minutes where it takes more rounds than this

# The lists in which a call may be whose last known status is this one; in Twilio's statuses.
_LISTS = {
    "initiated": ("queued", "ringing", "in-progress"),
    "ringing": ("ringing", "in-progress"),
    "in-progress": ("in-progress",),
}

_spent: dict[Carrier | None, deque[float]] = {}  # when this process asked, by the carrier it asked


class Budget:
    """
    The requests that one round may make: so many calls singly, and pages up to half of a minute's requests.

    Over any minute of this process's life, the requests together are no more than *per_minute*.
    """

    def __init__(self, per_minute: int, round_s: float) -> None:
        self._per_minute = per_minute
        self.kept = per_minute // 4  # pages leave so many requests to calls that no page tells of
        self._pages = max(1, per_minute // 2)
        self._singles = max(1, int(per_minute * round_s / _MINUTE_S))
        self.asked = 0  # questions that were answered
        self.silent: set[str] = set()  # accounts for which no answer came, as statements name them
        self._unanswered = 0

    @contextmanager
    def account(self, account: str | None) -> Iterator[None]:
        """
        Ask one account: where no answer comes, the rest of this round is about the others.

        Raises:
            CarrierSilent: no answer came for so many accounts that the carrier is away.
        """
        try:
            yield
        except CarrierSilent as reason:
            log.outage("reconcile.carrier_silent", str(reason))
            self.silent.add(account or "")
            if isinstance(reason, NoCredentials):
                return  # nobody was asked
            self._unanswered += 1
            if self._unanswered >= _SILENT_MAX:
                raise

    @property
    def singles(self) -> int:
        """Return how many calls may still be asked about one by one."""
        return min(self._singles, self._left())

    @property
    def pages(self) -> int:
        """Return how many pages may still be asked for."""
        return min(self._pages, self._left())

    def _left(self) -> int:
        spent = _spent.get(opened(), deque())
        while spent and spent[0] < time.monotonic() - _MINUTE_S:
            spent.popleft()
        return self._per_minute - len(spent)

    def spend_single(self, call: db.Row) -> None:
        """This call is about to be asked about: without a call_sid by two lists, those that wait and those dialed."""
        self._singles -= 1
        self._spend(2 if call.call_sid is None else 1)

    def spend_page(self) -> None:
        """A page is about to be asked for."""
        self._pages -= 1
        self._spend(1)

    def _spend(self, requests: int) -> None:
        line = carrier()
        for other in [other for other in _spent if other is not line]:
            _spent.pop(other, None)
        _spent.setdefault(line, deque()).extend([time.monotonic()] * requests)


def note_web_process() -> None:
    """A web process can take callbacks, and write them down."""
    db.run(sql.web_is_here, silent_s=WEB_SILENT_S)


def is_news(call: db.Row, status: str) -> bool:
    """
    Is what the carrier says of *call* worth writing down?

    A status that is no later than ours is not, unless the call's deadline has passed: that moves on.
    """
    if call.is_overdue or status not in STATUSES or call.status not in STATUSES:
        return True
    return STATUSES.index(status) > STATUSES.index(call.status)


def confirm_live_calls(budget: Budget, ask: Callable[[db.Row], None]) -> None:
    """
    Ask about the live calls that are due; what cannot be asked within *budget* is due again in the next round.

    Args:
        ask: asks about one call, which it takes from *budget*, and writes down the answer.

    Raises:
        CarrierSilent: the carrier is away; its calls are due again soon.
    """
    silent = list(budget.silent)
    calls = db.run(sql.take_calls_to_confirm, confirm_s=CONFIRM_S, batch_max=_CALLS_MAX, silent=silent)
    accounts = by_account(calls)
    for place, (account, own) in enumerate(accounts.items()):
        try:
            with budget.account(account):
                _confirm(own, carrier(account), budget, ask)
        except BaseException:
            rest = [call.id for others in list(accounts.values())[place + 1 :] for call in others]
            db.run(sql.ask_again, call_ids=rest, since_s=CONFIRM_S)
            raise


def by_account(calls: Iterable[db.Row]) -> Mapping[str | None, list[db.Row]]:
    """The calls of each of the carrier's accounts, in their order."""
    found: defaultdict[str | None, list[db.Row]] = defaultdict(list)
    for call in calls:
        found[call.carrier_account].append(call)
    return found


def _confirm(calls: Sequence[db.Row], line: Carrier, budget: Budget, ask: Callable[[db.Row], None]) -> None:
    waiting = {call.call_sid: call for call in calls}
    since_s: float = CONFIRM_S
    try:
        _read_live_lists(waiting, line, budget)
        _read_recent_calls(waiting, line, budget)
        _fetch_singly(waiting, budget, ask)
    except CarrierSilent:
        since_s -= min(CONFIRM_S, settings().relook_s)
        raise
    finally:
        if waiting:
            db.run(sql.ask_again, call_ids=[call.id for call in waiting.values()], since_s=since_s)


def _lists_of(calls: Iterable[db.Row]) -> list[str]:
    """The lists in which these calls may be, in the order of a call's life: none slips by while they are read."""
    wanted = {word for call in calls for word in _LISTS[call.status]}
    return [word for word in ("queued", "ringing", "in-progress") if word in wanted]


def _read_live_lists(waiting: dict[str, db.Row], line: Carrier, budget: Budget) -> None:
    lists = _lists_of(waiting.values())
    for word in lists:
        _read(line.list_calls(status=word), waiting, budget, fewest=len(lists))


def _read_recent_calls(waiting: dict[str, db.Row], line: Carrier, budget: Budget) -> None:
    dials = [call.dialed_at for call in waiting.values() if call.dialed_at is not None]
    oldest = min(dials, default=datetime.now(UTC)) - EARLY
    _read(line.list_calls(), waiting, budget, fewest=budget.singles, oldest=oldest)


def _read(
    pages: Iterator[list[CarrierCall]],
    waiting: dict[str, db.Row],
    budget: Budget,
    *,
    fewest: int,
    oldest: datetime | None = None,
) -> None:
    """Read on as long as that tells of more calls than fetching them would; *fewest* calls had better be fetched."""
    empty = 0
    empty_max = _EMPTY_PAGES_MANY if len(waiting) > _MANY_ROUNDS * budget.singles else _EMPTY_PAGES_MAX
    while len(waiting) > fewest and budget.pages > budget.kept and empty < empty_max:
        page = next_of(pages, budget)
        if page is None:
            return
        empty = 0 if _settle(waiting, page) else empty + 1
        if oldest is not None and is_older(page, oldest):
            return


def next_of(pages: Iterator[list[CarrierCall]], budget: Budget) -> list[CarrierCall] | None:
    """The next page, which is taken from *budget*; None after the last one."""
    try:
        page = next(pages, None)
    except CarrierSilent:
        budget.spend_page()
        raise
    if page is not None:
        budget.spend_page()
        budget.asked += 1
    return page


def _settle(waiting: dict[str, db.Row], page: Iterable[CarrierCall]) -> int:
    """Record what a page reports of the calls that wait for an answer; return of how many it had a report."""
    known = [(waiting.pop(call.call_sid), call) for call in page if call.call_sid in waiting]
    reports = [(ours.id, theirs.report()) for ours, theirs in known if is_news(ours, theirs.status)]
    for first in range(0, len(reports), _BATCH_MAX):
        _record(reports[first : first + _BATCH_MAX])
    return len(known)


def _record(reports: Sequence[tuple[int, CallEvent]]) -> None:
    try:
        events.record_all(reports)
    except db.Unavailable:
        raise
    except Exception:
        if len(reports) == 1:
            log.exception("confirm.unwritten", call_id=reports[0][0])
            return
        for report in reports:
            _record([report])


def _fetch_singly(waiting: dict[str, db.Row], budget: Budget, ask: Callable[[db.Row], None]) -> None:
    for call_sid, call in list(waiting.items()):
        if budget.singles <= 0:
            return
        ask(call)
        del waiting[call_sid]
