"""After a restore, a failover or a copy: take in what the carrier knows of, and only then let dialing go on."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from outbound import broker, db, logs, os_user
from outbound.calls import events
from outbound.carrier import EARLY, LATE, CarrierCall, accounts
from outbound.carrier.twilio import carrier
from outbound.config import LOOKS_MIN, settings
from outbound.database import identity
from outbound.errors import UserError
from outbound.failpoint import crash_here

sql = db.statements("calls/recover")
log = logs.get("recover")

MARGIN = timedelta(minutes=10)  # before the last dial that the database knows of: others may have been committed later
_SETTLE_MARGIN_S = 7  # on top of the carrier's timeout: to connect, and to write down
_PASSES_MAX = 6
_BATCH_MAX = 200
_NAMED_MAX = 1000  # calls that the report names one by one


class CannotRecover(UserError):
    """It is not done; the message says what to do.  What was taken in stays, and the next run goes on from there."""


@dataclass
class RecoveryReport:
    """
    The report of what was found and done.

    Attributes:
        reason: why dialing is stopped; None where it is not, and nothing was done.
        since: from which moment on the carrier's calls were listed.
        listed: calls of the carrier; `known`: whose row was there; `bound`: given to a row that waited to be dialed;
            `added`: whose row was lost; `strangers`: of numbers that are nobody's here.
        unsure: rows that nobody can tell of; they are closed, and a person must look.
        added_ids: the rows that were written again.
        claimed, unbound, due: rows that go on by themselves: claims that come back to the queue, dials without a
            call_sid that reconcile asks about and closes, and calls that will be dialed.
        let_go: may dialing go on.
    """

    reason: str | None = None
    since: datetime | None = None
    listed: int = 0
    known: int = 0
    bound: int = 0
    added: int = 0
    strangers: int = 0
    unsure: list[int] = field(default_factory=list)
    added_ids: list[int] = field(default_factory=list)
    claimed: int = 0
    unbound: int = 0
    due: int = 0
    let_go: bool = False


class _DryRun(Exception):
    """Roll back."""


def recover(
    since: datetime | None = None,
    *,
    dry_run: bool = False,
    confirm: Callable[[RecoveryReport], bool] = lambda _: True,
    wait: Callable[[float], None] = time.sleep,
) -> RecoveryReport:
    """
    List the carrier's calls since the database's last dial, give them to their rows, and let dialing go on.

    Safe to kill and run again: each step finds what is done.  It lists the calls of each account (_accounts) twice or
    more, some seconds apart, and not before whatever was being dialed when the stop began has had its answer; one
    request per 1,000 calls.

    Args:
        since: list from this moment on, or from an earlier one of a run that did not end; by default MARGIN before the
            last dial that the database knew of.
        dry_run: list once, say what would be done, and change nothing.
        confirm: is asked before dialing goes on.

    Raises:
        CannotRecover: calls are still being made elsewhere; or the credentials of a business's account are missing.
        CarrierSilent: the carrier does not answer.
    """
    db.with_connection(identity.stop_unless_known)
    stop = db.run(sql.find_stop)
    if stop is None and since is None:
        return RecoveryReport()
    if stop is None and not dry_run:
        db.run(sql.stop_dialing)
        stop = db.run(sql.find_stop)
    report = RecoveryReport(reason=stop.reason if stop else "dry run", since=since or _safe_moment())
    if dry_run:
        return _rehearse(report)
    report.since = db.run(sql.note_since, since=report.since, who=os_user.name())
    _settle(stop.age_s, wait)
    _take_in_until_nothing_is_new(report, wait)
    _count_the_rest(report)
    if not confirm(report):
        return report
    db.transact(lambda connection: _let_dial(connection, report))
    report.let_go = True
    log.warning("recover.done", bound=report.bound, added=report.added, unsure=len(report.unsure))
    return report


def _safe_moment() -> datetime:
    def ask(connection: db.Connection) -> datetime | None:
        db.allow_minutes(connection, 5)
        found: datetime | None = sql.last_known_dial(connection)
        return found

    found = db.transact(ask)
    return (found or datetime.now(UTC)) - MARGIN


def _settle(age_s: float, wait: Callable[[float], None]) -> None:
    """Wait until the carrier lists every call whose dial began before the stop: requests may take so long."""
    missing_s = settings().carrier_timeout_s + _SETTLE_MARGIN_S - age_s
    if missing_s > 0:
        wait(missing_s)


def _take_in_until_nothing_is_new(report: RecoveryReport, wait: Callable[[float], None]) -> None:
    """A list lags behind, so absence is believed at the second look; a call that is made meanwhile is somebody's."""
    listed: set[str] = set()
    dials = broker.remembered_dials(settings().broker_namespace)
    for look in range(_PASSES_MAX):
        if look:
            wait(settings().relook_s)
        calls = _list(report)
        unlisted = [call for call in calls if call.call_sid not in listed]
        _take_in(unlisted, report)
        listed |= {call.call_sid for call in calls}
        report.listed = len(listed)
        if dials != (broker.remembered_dials(settings().broker_namespace) or dials):
            raise CannotRecover(
                "a worker reported new dials while nothing may be dialed from this database: stop whatever"
                " still works for another database, then run it again"
            )
        if look + 1 >= LOOKS_MIN and not unlisted:
            return
    raise CannotRecover(
        f"at each of {_PASSES_MAX} looks the carrier had new calls, while nothing is dialed from this database: stop"
        " whatever still dials with this account, the old server's workers first, then run it again"
    )


def _list(report: RecoveryReport) -> list[CarrierCall]:
    """The calls of every account since that moment that were made as we make ours, oldest first."""
    found: dict[str, CarrierCall] = {}
    pause_s = 60 / settings().lookups_per_minute
    for number, (account, page) in enumerate(_pages(report)):
        if number:
            time.sleep(pause_s)
        ours = (call for call in page if call.is_as_ours and call.created_at is not None)
        found |= {call.call_sid: replace(call, account_sid=account) for call in ours}
    return sorted(found.values(), key=lambda call: (call.created_at, call.call_sid))


def _pages(report: RecoveryReport) -> Iterator[tuple[str | None, list[CarrierCall]]]:
    for account in _accounts(report):
        for page in carrier(account).list_calls(created_after=report.since):
            yield account, page


def _accounts(report: RecoveryReport) -> list[str | None]:
    """TWILIO_ACCOUNT_SID, and whichever other account one of the forgotten calls may have been dialed with."""
    of_businesses = {row.account: row.businesses for row in db.run(sql.accounts_of_businesses)}
    for account, businesses in of_businesses.items():
        if accounts.credentials(account) is None:
            raise CannotRecover(
                f"the credentials of account {account} are missing, so that nobody can ask which calls of business"
                f" {', '.join(map(str, businesses))} were dialed: put {account}.json into TWILIO_ACCOUNTS_DIR, or"
                f" change the account (`outbound business set {businesses[0]} --account …`), then run it again"
            )

    def ask(connection: db.Connection) -> list[db.Row]:
        db.allow_minutes(connection, 5)
        return list(sql.accounts_of_calls(connection, since=report.since))

    of_calls = {row.account for row in db.transact(ask)}
    known = {account for account in {*of_businesses, *of_calls, *accounts.beside()} if accounts.credentials(account)}
    return [None, *sorted(known - {settings().twilio_account_sid})]


def _take_in(calls: Sequence[CarrierCall], report: RecoveryReport) -> None:
    """Calls to one telephone are taken in one after the other: an attempt's end makes the next attempt's row."""
    for turn in _turns(calls):
        for batch in _batches(turn):
            by_call_sid = {call.call_sid: call for call in batch}
            rows = db.run(sql.take_in, **_reported(batch))
            crash_here("recover.taken_in")
            _count(rows, report)
            reports = [(row.call_id, by_call_sid[row.call_sid].report()) for row in rows if row.is_open]
            if reports:
                events.record_all(reports)
            crash_here("recover.recorded")


def _turns(calls: Sequence[CarrierCall]) -> Iterator[list[CarrierCall]]:
    numbers = {call.to_number for call in calls if call.to_number is not None}
    telephones = {row.phone: row.telephone for row in db.run(sql.telephones, numbers=list(numbers))}
    lines: dict[str | None, list[CarrierCall]] = defaultdict(list)
    for call in calls:
        lines[telephones.get(call.to_number)].append(call)
    for place in range(max(map(len, lines.values()), default=0)):
        yield [line[place] for line in lines.values() if place < len(line)]


def _batches(calls: Iterable[CarrierCall]) -> Iterator[list[CarrierCall]]:
    rest = iter(calls)
    while batch := list(islice(rest, _BATCH_MAX)):
        yield batch


def _reported(batch: Sequence[CarrierCall]) -> dict[str, object]:
    calls = [
        {
            "call_sid": call.call_sid,
            "from_number": call.from_number,
            "to_number": call.to_number,
            "created_at": call.created_at.isoformat() if call.created_at else None,
            "account": call.account_sid,
        }
        for call in batch
    ]
    return {"calls": db.json(calls), "early_s": EARLY.total_seconds(), "late_s": LATE.total_seconds()}


def _count(rows: Iterable[db.Row], report: RecoveryReport) -> None:
    rows = list(rows)
    kinds = Counter(row.what for row in rows)
    report.known += kinds["known"]
    report.bound += kinds["bound"]
    report.added += kinds["added"]
    report.strangers += kinds["stranger"]
    report.added_ids += [row.call_id for row in rows if row.what == "added"][: _NAMED_MAX - len(report.added_ids)]
    doubtful = {call_id for row in rows for call_id in row.doubtful}
    report.unsure = sorted({*report.unsure, *doubtful})


def _rehearse(report: RecoveryReport) -> RecoveryReport:
    """The first attempt of each number, rolled back: what later attempts become follows from the earlier ones."""
    calls = _list(report)
    report.listed = len(calls)

    def take_in(connection: db.Connection) -> None:
        sql.stop_dialing(connection)
        for turn in _turns(calls):
            for batch in _batches(turn):
                _count(sql.take_in(connection, **_reported(batch)), report)
        raise _DryRun

    try:
        db.transact(take_in)
    except _DryRun:
        _count_the_rest(report)
    return report


def _count_the_rest(report: RecoveryReport) -> None:
    rest = db.run(sql.waiting)
    report.claimed, report.unbound, report.due = rest.claimed, rest.unbound, rest.due


def _let_dial(connection: db.Connection, report: RecoveryReport) -> None:
    taken = {"bound": report.bound, "added": report.added, "unsure": report.unsure[:_NAMED_MAX]}
    seen = identity.as_json(identity.seen())
    sql.let_dial(connection, seen=seen, who=os_user.name(), details=db.json(taken))
    crash_here("recover.letting_go")
    sql.begin_line(connection)
