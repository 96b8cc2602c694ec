"""Calls that somebody looks for, newest first, and the end of those that wait or ring."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from outbound import db, logs, names
from outbound.call import FINAL, IN_THE_AIR, RINGING, STATUSES, WAITING
from outbound.errors import UserError
from outbound.formats import moments, phone_numbers, plain_text, row_id
from outbound.rules import decision
from outbound.rules.scope import Scope

sql = db.statements("calls/call_search")
log = logs.get("call_search")

LIMIT_MAX = 1_000_000  # calls that one command shows
PAGE_MAX = 1000  # calls that one statement gives
EXPORT_PAGE_MAX = 4000  # that one gives to an export, 1 to 2 MB; the first, whose span nobody knows, has PAGE_MAX
SCAN_MAX = 100_000  # calls that one statement looks at, where no index has all that is asked for
LOOKS_PER_CALL = 10  # calls that are looked at first for each that is asked for
SCANS_MAX = 5  # such statements that are waited for before a search says how far it came
PASSES_MAX = 5  # of a cancel: what was between two statuses during one is found by the next
TEXT_MAX = 200  # characters of what is asked for
_SPAN_MIN, _SPAN_MAX = timedelta(seconds=1), timedelta(days=3650)  # of a page of an export
_AGAIN_S = 40  # for a database that is away in the middle of a cancel

GROUPS = {"waiting": WAITING, "in-the-air": IN_THE_AIR, "live": WAITING + IN_THE_AIR, "ended": FINAL}
CANCELABLE = WAITING + RINGING


class BadSearch(UserError):
    """The error where what was asked for is wrong; the message says what, and nothing was changed."""


@dataclass(frozen=True)
class Asked:
    """
    The search as somebody writes it; what is None does not matter.

    number: in any writing; without a country code in `region`, else in the one of the businesses.
    statuses: STATUSES and GROUPS.  business, campaign: names or ids; the id of a business that there is, where it is an
    int.  batch: the name of an import, or its id.
    since, until: from the first moment on, and before the second, a call ended, was dialed, or is due; without an
    offset they are in the business's time zone.
    """

    number: str | None = None
    region: str | None = None
    statuses: Sequence[str] = ()
    campaign: str | int | None = None
    batch: str | None = None
    business: str | int | None = None
    since: datetime | str | None = None
    until: datetime | str | None = None
    answered_by: str | None = None
    error_code: str | None = None


class Wanted(NamedTuple):
    """A search as the statement's parameters."""

    number: str | None
    business_id: int | None
    campaign_id: int | None
    statuses: list[str] | None
    error_code: str | None
    answered_by: str | None
    batch_id: int | None
    since: datetime | None
    until: datetime | None

    @property
    def is_everything(self) -> bool:
        """Is nothing asked for?"""
        return all(value is None for value in self)


class Place(NamedTuple):
    """The end of a page: the next begins behind it."""

    at: datetime
    id: int

    def __str__(self) -> str:
        return f"{self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}/{self.id}"


class Page(NamedTuple):
    """
    Some calls, newest first, as rows of find_calls and, where the role may see them, of words_of_calls.

    `next` is where the next page begins, None behind the last call; `is_cut` says that the search ended before it found
    as many as were asked for.
    """

    calls: list[dict[str, Any]]
    next: Place | None
    is_cut: bool


class Canceled(NamedTuple):
    """The number of calls that waited, that rang, and that were left alone, as somebody was talking."""

    waiting: int
    ringing: int
    talking: int


def read(asked: Asked, *, tell: Callable[[str], None] = lambda _: None) -> Wanted:
    """
    Return what is asked for, with names resolved.

    Args:
        tell: called with each moment as it was understood.

    Raises:
        BadSearch: a status, a region, a moment or a text is none.
        NoSuchName: nothing is named so, or several things are.
    """
    business_id = asked.business
    if not isinstance(business_id, int):
        business_id = names.maybe("business", business_id, is_strict=True)
    campaign_id = names.maybe("campaign", asked.campaign, business_id=business_id, is_strict=True)
    if fault := phone_numbers.region_fault(asked.region):
        raise BadSearch.about("region", fault)
    number = asked.number
    if number is not None:
        number = names.number_of(number, region=asked.region, business_id=business_id)
    for what, text in (("--batch", asked.batch), ("--answered-by", asked.answered_by), ("--error", asked.error_code)):
        if text is not None and (not text.strip() or len(text) > TEXT_MAX or plain_text.fault(text)):
            raise BadSearch(f"{what} is one line of 1 to {TEXT_MAX} characters")
    batch_id = None
    if asked.batch is not None:
        batch_id = names.batch(asked.batch, business_id=business_id, campaign_id=campaign_id)
    zone = _zone(business_id, asked)
    since, until = _moment("--since", asked.since, zone), _moment("--until", asked.until, zone)
    if since and until and since >= until:
        raise BadSearch("--since must lie before --until")
    for what, moment in (("since", since), ("until", until)):
        if moment is not None:
            tell(f"{what}: {moments.shown(moment, zone)}")
    return Wanted(
        number,
        business_id,
        campaign_id,
        _statuses(asked.statuses),
        asked.error_code,
        asked.answered_by,
        batch_id,
        since,
        until,
    )


def check_limit(limit: int) -> None:
    """Raise BadSearch where this is no number of rows that one command shows."""
    if not 1 <= limit <= LIMIT_MAX:
        raise BadSearch(f"--limit is a whole number from 1 to {LIMIT_MAX}")


def find(wanted: Wanted, *, limit: int, before: Place | None = None, looks_max: int | None = None) -> Page:
    """
    The newest calls that are wanted, *limit* of them at most.

    Args:
        looks_max: where no index has all that is asked for, about how many calls are looked at, or a page of each
            business and status; by default SCAN_MAX by each of SCANS_MAX statements.

    Raises BadSearch where the limit is none.
    """
    check_limit(limit)
    calls: list[dict[str, Any]] = []
    scans, scans_max = 0, SCANS_MAX if looks_max is None else 1
    # A telephone's calls, or a batch's, are found all together.
    scan_max = looks_max if wanted.number is None and wanted.batch_id is None else None
    for page in pages(wanted, before=before, page_max=min(limit, PAGE_MAX), scan_max=scan_max):
        calls += page.calls
        if len(calls) >= limit:
            more = page.next is not None or len(calls) > limit
            calls = calls[:limit]
            return Page(calls, _place(calls[-1]) if more else None, is_cut=False)
        scans += page.is_cut
        if scans == scans_max:
            return Page(calls, page.next, is_cut=True)
    return Page(calls, None, is_cut=False)


def pages(
    wanted: Wanted, *, before: Place | None = None, page_max: int = PAGE_MAX, scan_max: int | None = None
) -> Iterator[Page]:
    """Page after page of the calls that are wanted; each is a statement, and looks at a bounded number of calls."""
    while True:
        page = db.with_connection(partial(_page, _asked(wanted, before, page_max, scan_max)))
        yield page
        if page.next is None:
            return
        before = page.next


def lines(wanted: Wanted, *, as_cells: bool = False) -> Iterator[str]:
    """
    Page after page of the calls that are wanted, each call a line of JSON: an object, or with *as_cells* the texts and
    nulls of a row of a sheet.

    A page is the newest of what each business and status has: without a first moment each would give a whole page, and
    most of it would be read again for the next one.
    """
    before: Place | None = None
    since, page_max = wanted.since, PAGE_MAX
    while True:
        asked = _asked(wanted._replace(since=since), before, page_max)
        page = db.run(sql.lines_of_calls, **asked, as_cells=as_cells)
        yield page.lines or ""
        end = _end_of(page, page_max)
        if end is None:
            if since is None or since == wanted.since:
                return
            end = Place(since, 0)  # what is of this very moment was read
        begin_at = before.at if before else page.first_at or end.at
        fullness = max(0.001, page.calls / EXPORT_PAGE_MAX)
        before, since = end, _earlier(wanted.since, end.at, (begin_at - end.at) / fullness)
        page_max = EXPORT_PAGE_MAX


def _end_of(page: db.Row, page_max: int) -> Place | None:
    """Where the page behind one of lines begins: behind its last call where it is full, else where it was cut."""
    if page.calls == page_max:
        return Place(page.last_at, page.last_id)
    return None if page.cut_at is None else Place(page.cut_at, page.cut_id)


def _earlier(first: datetime | None, end: datetime, span: timedelta) -> datetime | None:
    """The first moment of a page that ends at *end* and is to be *span* long; None where all that is left is one."""
    if span > _SPAN_MAX:
        return first
    begin = end - max(span, _SPAN_MIN)
    return begin if first is None else max(first, begin)


def place_of(text: str | None) -> Place | None:
    """Return where a page ended, as it was printed, None where nothing was given; or raise BadSearch."""
    if text is None:
        return None
    moment, _, written = text.strip().rpartition("/")
    call_id = row_id.read(written)
    try:
        at = datetime.fromisoformat(moment)
        if at.tzinfo is None or call_id is None:
            raise ValueError
        return Place(at, call_id)
    except ValueError:
        raise BadSearch("--before is what the page before ended with, like 2026-11-30T09:00:00.000000Z/812") from None


def _page(asked: dict[str, Any], line: db.Connection) -> Page:
    rows, page_max = _found(asked, line), asked["page_max"]
    calls = [row._asdict() for row in rows if row.id is not None]
    words = {}
    if calls and calls[0]["sees_numbers"]:
        found = sql.words_of_calls(line, call_ids=[call["id"] for call in calls])
        words = {row.id: row._asdict() for row in found}
    for call in calls:
        del call["cut_id"], call["sees_numbers"]
        call.update(words.get(call["id"], {}))
    end = _next(rows, page_max)
    # A search that was led by just what was asked for was cut because the page is full, and goes on without a word.
    return Page(calls, end, is_cut=len(calls) < page_max and end is not None)


def _found(asked: dict[str, Any], line: db.Connection) -> list[db.Row]:
    """
    The rows of a page.

    No index has who answered: calls are looked at one by one, and most pages are found among the first of them.
    """
    if asked["answered_by"] is not None and asked["number"] is None and asked["error_code"] is None:
        few = min(asked["scan_max"], LOOKS_PER_CALL * asked["page_max"])
        rows: list[db.Row] = sql.find_calls(line, **asked | {"scan_max": few})
        if len(rows) > asked["page_max"] or all(row.id is not None for row in rows):
            return rows  # it is full, or nothing is behind it
    return list(sql.find_calls(line, **asked))


def _asked(wanted: Wanted, before: Place | None, page_max: int, scan_max: int | None = None) -> dict[str, Any]:
    """A page as the parameters of its statement."""
    place = {"before_at": before and before.at, "before_id": before and before.id}
    return wanted._asdict() | place | {"page_max": page_max, "scan_max": scan_max or SCAN_MAX}


def _next(rows: list[db.Row], page_max: int) -> Place | None:
    """Where the page behind these rows begins: behind the last call of a full one, else where the search was cut."""
    calls = [row for row in rows if row.id is not None]
    if len(calls) == page_max:
        return Place(calls[-1].at, calls[-1].id)
    return next((Place(row.at, row.cut_id) for row in rows if row.id is None), None)


def _place(call: dict[str, Any]) -> Place:
    return Place(call["at"], call["id"])


def _statuses(given: Sequence[str]) -> list[str] | None:
    asked = [word.strip().lower() for text in given for word in text.split(",")]
    for word in asked:
        if word not in (*STATUSES, *GROUPS):
            raise BadSearch(f"--status is one of {', '.join((*STATUSES, *GROUPS))}")
    chosen = {status for word in asked for status in GROUPS.get(word, (word,))}
    return [status for status in STATUSES if status in chosen] or None


def _zone(business_id: int | None, asked: Asked) -> str | None:
    """By which clocks a moment without an offset is meant: the business's, or those of all businesses."""
    if asked.since is None and asked.until is None:
        return None
    zones = [row.time_zone for row in db.run(sql.zones, business_id=business_id)]
    return zones[0] if len(zones) == 1 else None


def _moment(what: str, value: datetime | str | None, zone: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return moments.read(value, zone, day_alone=True).at
    except moments.BadMoment as fault:
        more = "" if zone else "; or name the --business whose clocks are meant"
        raise BadSearch(f"{what} {fault}{more}") from None


def to_cancel(wanted: Wanted) -> Wanted:
    """Those of the wanted calls that a cancel is about; or raise BadSearch where none can be."""
    if wanted.is_everything:
        raise BadSearch("say which calls: by --number, --campaign, --batch …; or `outbound cancel everything`")
    chosen = [status for status in wanted.statuses or CANCELABLE if status in CANCELABLE]
    if not chosen:
        raise BadSearch(f"only calls that wait or ring can be canceled: {', '.join(CANCELABLE)}")
    return wanted._replace(statuses=chosen)


def scope_of(wanted: Wanted) -> Scope | None:
    """Everything, or the business or campaign, whose calls are all wanted: it is held while they end; else None."""
    others = wanted._replace(business_id=None, campaign_id=None, statuses=None)
    if not others.is_everything or wanted.statuses != list(CANCELABLE):
        return None
    if wanted.campaign_id is not None:
        return Scope("campaign", str(wanted.campaign_id))
    if wanted.business_id is not None:
        return Scope("business", str(wanted.business_id))
    return Scope("account", "")


def first_to_cancel(scope: Scope, limit: int) -> list[dict[str, Any]]:
    """The newest calls that a cancel of this scope is about; of a from-number's, among the newest of all that wait."""
    wanted = Wanted(*[None] * len(Wanted._fields))._replace(statuses=list(CANCELABLE))
    if scope.scope in ("account", "business", "campaign"):
        business_id = scope.id if scope.scope == "business" else None
        campaign_id = scope.id if scope.scope == "campaign" else None
        return find(wanted._replace(business_id=business_id, campaign_id=campaign_id), limit=limit).calls
    if not names.sees_numbers():
        return []
    if scope.scope == "call":
        wanted = wanted._replace(number=db.run(sql.words_of_calls, call_ids=[scope.id])[0].number)
    calls = (call for page in islice(pages(wanted), SCANS_MAX) for call in page.calls)
    return list(islice((one for one in calls if scope.key in (one["from_number"], str(one["id"]))), limit))


def count_to_cancel(wanted: Wanted) -> Canceled:
    """Return how many calls `cancel` would close, end, and leave alone; changes nothing."""
    counts = dict.fromkeys((*CANCELABLE, "in-progress"), 0)
    statuses = to_cancel(wanted).statuses or []
    talking = ["in-progress"] if wanted.statuses is None else []
    for page in pages(wanted._replace(statuses=[*statuses, *talking])):
        for call in page.calls:
            counts[call["status"]] += 1
    waiting, ringing = counts["queued"] + counts["claimed"], counts["initiated"] + counts["ringing"]
    return Canceled(waiting, ringing, counts["in-progress"])


def cancel(
    wanted: Wanted,
    *,
    reason: str | None = None,
    actor: str | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> Canceled:
    """
    Close the wanted calls that wait, and ask for an end of those that ring; what is enqueued later is not meant.

    Nothing else is held meanwhile: a call that begins to ring while this is at work is ended at the carrier.
    `hang_up_requested_calls` tells the carrier.

    Args:
        tell: called with the number of calls that were closed so far.

    Raises:
        BadSearch: nothing is asked for, or nothing that can be canceled.
        BadControl: the reason is no line of text.
    """
    chosen = to_cancel(wanted)
    reason, actor = decision.one_line(reason, "the reason"), decision.actor(actor)
    scope, key = "account", ""
    if chosen.business_id is not None:
        scope, key = "business", str(chosen.business_id)
    if chosen.campaign_id is not None:
        scope, key = "campaign", str(chosen.campaign_id)
    given = {name: value for name, value in chosen._asdict().items() if value is not None}
    details = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in given.items()}
    id_max = int(db.run(sql.newest_id))
    db.run(sql.write_audit, who=actor, scope=scope, key=key, details=db.json(details | {"reason": reason}))
    waiting = ringing = 0
    for _ in range(PASSES_MAX):
        moved = 0
        for page in pages(chosen):
            one = {"call_ids": [call["id"] for call in page.calls], "id_max": id_max, "reason": reason, "who": actor}
            # First those that ring: one that is marked makes no next attempt, which would be queued again.
            ended, closed = _end(one)
            ringing, waiting, moved = ringing + ended, waiting + closed, moved + ended + closed
            tell(waiting)
        if not moved:
            break
    log.info("call_search.cancel", scope=scope, waiting=waiting, ringing=ringing)
    return Canceled(waiting, ringing, 0)


def _end(one: dict[str, Any]) -> tuple[int, int]:
    def move(connection: db.Connection) -> tuple[int, int]:
        return int(sql.end_ringing(connection, **one)), int(sql.cancel_waiting(connection, **one))

    return db.persist(lambda: db.transact(move), for_s=_AGAIN_S)
