"""Put calls in the queue, once each, on whatever connection."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from outbound import drivers
from outbound.calls import call_request
from outbound.calls.call_request import KEY_MAX, KEY_OF_ANOTHER, NO_NUMBER_OF_THEIRS, BadCall, NewCall, renamed
from outbound.errors import Fault
from outbound.formats import moments
from outbound.named_sql import Questions, Row, Work, array

if TYPE_CHECKING:
    from outbound import db

__all__ = [
    "CALLS_MAX",
    "KEY_MAX",
    "KEY_OF_ANOTHER",
    "BadCall",
    "EnqueuedCall",
    "RefusedCall",
    "Requested",
    "enqueue",
    "enqueue_call",
    "enqueue_calls",
    "many",
    "one",
]

sql = Questions("calls/enqueue")
session_sql = Questions("db")

CALLS_MAX = 10_000  # at a time: their locks are held until the caller commits
_LOOKS = 5  # a duplicate that was committed meanwhile is visible at the second one
_NO_BATCH = {"batch_businesses": "{}", "batch_ids": "{}"}


@dataclass(frozen=True)
class EnqueuedCall:
    """
    A call that is in the queue now; `created` is False where it was there already.

    `note` says what was made of a due moment that the clocks of that day show twice, or not at all, or that is past; or
    that a call which was there already waits for another moment than was given now, or is under way.  `due` is the
    moment as it was understood, with weekday and zone, where one was given and the call is new.  `has_key` is False
    where the call that was there already is a live call to the same number, queued under another key or under none.
    """

    call_id: int
    status: str
    created: bool
    note: str | None = None
    due: str | None = None
    has_key: bool = True

    def renamed(self, fields: Mapping[str, str]) -> "EnqueuedCall":
        """Return this call with a note that calls a field what *fields* says, by the name that it has here."""
        return replace(self, note=renamed(self.note, fields)) if self.note else self


@dataclass(frozen=True)
class RefusedCall:
    """A call that was not put in the queue: its place among those that were given, from 0, and what to do."""

    place: int
    fault: str


class Requested(NamedTuple):
    """
    One call as `enqueue_call` takes it; `by` is who asks for it, where that is not the session's user.

    `own_key` is a key of our own making, which no caller may give.  With `all_faults`, a refusal names all fields at
    fault; their types must be right.  Where `is_tenants`, a from-number must be the business's own or its campaign's:
    another business's is refused like nobody's.
    """

    to_number: str
    business_id: int | None = None
    campaign_id: int | None = None
    from_number: str | None = None
    due_at: datetime | str | None = None
    key: str | None = None
    contact: Mapping[str, str] | None = None
    time_zone: str | None = None
    by: str | None = None
    own_key: str | None = None
    all_faults: bool = False
    is_tenants: bool = False


_GIVEN = Requested._fields[:-4]  # by who calls us
_Outcomes = dict[int, EnqueuedCall | BadCall]  # by the place among the calls that were given
_Whose = tuple[int | None, int | None]  # the ids of a business and of a campaign


def one(request: Requested) -> Work[EnqueuedCall]:
    """Put one call in the queue, or raise BadCall, which says what is wrong and what to do."""
    [outcome] = yield from together([request])
    if isinstance(outcome, BadCall):
        raise outcome
    return outcome


def many(
    calls: Iterable[Mapping[str, Any]], *, business_id: int | None = None, campaign_id: int | None = None
) -> Work[list[EnqueuedCall | RefusedCall]]:
    """
    Put calls in the queue, by one statement for each campaign; the answers are in the order given.

    Args:
        calls: each by the names of `enqueue_call`'s arguments, CALLS_MAX at most.
        business_id, campaign_id: of those that name neither.

    Raises:
        BadCall: they are too many, or no list of calls; nothing was queued then.
    """
    whose = {"business_id": business_id, "campaign_id": campaign_id}
    outcomes = yield from together([_requested(call, whose) for call in _listed(calls)])
    return [
        RefusedCall(place, str(outcome)) if isinstance(outcome, BadCall) else outcome
        for place, outcome in enumerate(outcomes)
    ]


def _listed(calls: object) -> list[Any]:
    if isinstance(calls, str | bytes | Mapping) or not isinstance(calls, Iterable):
        raise BadCall("give a list of calls, each like {'to_number': '+97231234567'}")
    given = list(islice(calls, CALLS_MAX + 1))
    if len(given) > CALLS_MAX:
        raise BadCall(f"these are more than {CALLS_MAX:,} calls: give the others afterwards")
    return given


def _requested(call: Any, whose: Mapping[str, int | None]) -> Requested | BadCall:
    if not isinstance(call, Mapping):
        return BadCall("this is no call: give its fields by name, like {'to_number': '+97231234567'}")
    if unknown := sorted(str(name)[:50] for name in call if name not in _GIVEN):
        named = ", ".join(map(repr, unknown[:3]))
        return BadCall(f"a call has no field {named}: there are {', '.join(_GIVEN)}")
    is_owned = call.get("business_id") is not None or call.get("campaign_id") is not None
    return Requested(**{"to_number": "", **call, **({} if is_owned else whose)})


def together(requests: Sequence[Requested | BadCall]) -> Work[list[EnqueuedCall | BadCall]]:
    """
    Put several calls in the queue; a refusal concerns that one alone.

    Args:
        requests: a BadCall is one that was refused before.

    Returns:
        what became of each.
    """
    outcomes: _Outcomes = {place: request for place, request in enumerate(requests) if isinstance(request, BadCall)}
    given = {place: request for place, request in enumerate(requests) if isinstance(request, Requested)}
    callers = yield from _callers(given, outcomes)
    zones = yield from _zones(given, callers)
    theirs = yield from _numbers_of_tenants(given, callers)
    written: dict[tuple[int | None, str | None], dict[int, NewCall]] = defaultdict(dict)
    for place, caller in callers.items():
        request = given[place]
        try:
            call = _read(request, caller, zones)
            if place in theirs and call.from_number not in theirs[place]:
                raise BadCall(NO_NUMBER_OF_THEIRS)
            written[request.campaign_id, request.by][place] = call
        except BadCall as refusal:
            outcomes[place] = refusal
    for (campaign_id, by), calls in written.items():
        if by is not None:
            yield session_sql.speak_for(who=by)
        yield from _write(campaign_id, calls, outcomes)
    return [outcomes[place] for place in range(len(requests))]


def faults(request: Requested) -> Work[list[Fault]]:
    """What is wrong with the fields of a request, whose types must be right; nothing where its business cannot call."""
    callers = yield from _callers({0: request}, {})
    return [fault for caller in callers.values() for fault in call_request.faults_of(caller, *_fields(request))]


def _callers(requests: Mapping[int, Requested], outcomes: _Outcomes) -> Work[dict[int, Row]]:
    """Of each request the business that calls, as find_callers has it; those that cannot call are refused."""
    asked: dict[_Whose, list[int]] = defaultdict(list)
    for place, request in requests.items():
        try:
            if request.business_id is None and request.campaign_id is None:
                raise BadCall("say whose call this is: give a business or a campaign")
            asked[call_request.ids(request.business_id, request.campaign_id)].append(place)
        except BadCall as refusal:
            outcomes[place] = refusal
    given = {"business_ids": array(one for one, _ in asked), "campaign_ids": array(one for _, one in asked)}
    rows = {row.place: row for row in (yield sql.find_callers(**given))}
    callers: dict[int, Row] = {}
    for number, ((_, campaign_id), places) in enumerate(asked.items(), start=1):
        try:
            callers |= dict.fromkeys(places, call_request.able(rows.get(number), campaign_id))
        except BadCall as refusal:
            outcomes |= dict.fromkeys(places, refusal)
    return callers


def _numbers_of_tenants(requests: Mapping[int, Requested], callers: Mapping[int, Row]) -> Work[dict[int, set[str]]]:
    """Of each tenant's request that gives a from-number, the numbers that it may be."""
    found: dict[tuple[int, int | None], set[str]] = {}
    numbers = {}
    for place, caller in callers.items():
        if requests[place].is_tenants and requests[place].from_number:
            whose = caller.id, caller.campaign_id
            if whose not in found:
                rows = yield sql.numbers_to_call_from(business_id=whose[0], campaign_id=whose[1])
                found[whose] = {row.phone for row in rows}
            numbers[place] = found[whose]
    return numbers


def _zones(requests: Mapping[int, Requested], callers: Mapping[int, Row]) -> Work[dict[str, str]]:
    """The time zones that numbers tell, of calls with a moment."""
    dated = [place for place in callers if requests[place].due_at]
    numbers = {call_request.number_or_none(requests[place].to_number, callers[place]) for place in dated} - {None}
    rows = (yield sql.zones_of_callees(to_numbers=array(numbers))) if numbers else []
    return {row.number: row.zone for row in rows}


_Fields = tuple[str, str | None, datetime | str | None, str | None, Mapping[str, str] | None, str | None]


def _fields(request: Requested) -> _Fields:
    """The fields as `call_request.read` takes them."""
    return (
        *(request.to_number, request.from_number, request.due_at),
        *(request.key, request.contact, request.time_zone),
    )


def _read(request: Requested, caller: Row, zones: Mapping[str, str]) -> NewCall:
    given = _fields(request)
    try:
        call = call_request.read(caller, *given, zones.get)
    except BadCall as refusal:
        if request.all_faults:
            refusal.field_faults = call_request.faults_of(caller, *given)
        raise
    return call if request.own_key is None else call._replace(idempotency_key=request.own_key)


def _write(campaign_id: int | None, calls: dict[int, NewCall], outcomes: _Outcomes) -> Work[None]:
    """Write calls of one campaign, or of none, in the queue, and say of the others which call is there."""
    for _ in range(_LOOKS):
        left = yield from _insert(campaign_id, calls, outcomes)
        if left:
            yield from _find(left, outcomes)
        calls = {place: call for place, call in calls.items() if place not in outcomes}
        if not calls:
            return
    outcomes |= dict.fromkeys(calls, BadCall("another call to this number is being written at this moment: try again"))


class _Left(NamedTuple):
    """Calls of which it is not known yet what became; one of them may be one of the ids that were created."""

    calls: dict[int, NewCall]
    created: set[int]


def _insert(campaign_id: int | None, calls: dict[int, NewCall], outcomes: _Outcomes) -> Work[_Left | None]:
    """Write those that may be, and return those that were not written, or were given twice."""
    given = call_request.columns(list(calls.values())) | _NO_BATCH
    done, *left_out = yield sql.enqueue_calls(campaign_id=campaign_id, again=True, dry=False, **given)
    places = list(calls)
    outcomes |= {places[row.place - 1]: BadCall(row.about) for row in left_out}
    written = dict(zip(zip(done.businesses or (), done.numbers or (), strict=True), done.ids or (), strict=True))
    telephones = Counter((call.business_id, call.to_number) for place, call in calls.items() if place not in outcomes)
    left = {}
    for place, call in calls.items():
        telephone = call.business_id, call.to_number
        if telephone in written and telephones[telephone] == 1:
            outcomes[place] = _created(written.pop(telephone), call)
        elif place not in outcomes:
            left[place] = call
    return _Left(left, set(written.values())) if left else None


def _find(left: _Left, outcomes: _Outcomes) -> Work[None]:
    """Say of calls what is there of each; of one that was given twice, the first was created."""
    calls, created = left
    found = yield sql.find_calls_there(created_ats="{}", **call_request.keys(list(calls.values())), **_NO_BATCH)
    there = dict(zip(calls, found, strict=True))
    for place in sorted(there, key=lambda place: (not there[place].has_key, place)):
        row, call = there[place], calls[place]
        if row.key_of_another:
            outcomes[place] = BadCall(KEY_OF_ANOTHER)
        elif row.id in created and row.has_key == (call.idempotency_key is not None):
            created.discard(row.id)
            outcomes[place] = _created(row.id, call)
        elif row.id is not None:
            outcomes[place] = EnqueuedCall(row.id, row.status, created=False, note=row.note, has_key=row.has_key)


def _created(call_id: int, call: NewCall) -> EnqueuedCall:
    if call.due_at is None:
        return EnqueuedCall(call_id, "queued", created=True)
    is_past = call.due_at < datetime.now(UTC) - moments.JUST_TYPED  # for the note alone: any clock will do
    note = "`at` is past: the call is due at once" if is_past else None
    return EnqueuedCall(
        call_id, "queued", created=True, note=call.note or note, due=moments.shown(call.due_at, call.zone)
    )


def enqueue_calls(connection: "db.Connection", requests: Sequence[Requested]) -> list[EnqueuedCall | BadCall]:
    """`together`, inside the transaction of a connection of ours."""
    return drivers.answer_own(connection, together(requests))


def enqueue_call(connection: "db.Connection", **call: Any) -> EnqueuedCall:
    """`one`, inside the transaction of a connection of ours."""
    return drivers.answer_own(connection, one(Requested(**call)))


def enqueue(**call: Any) -> EnqueuedCall:
    """`one`, in a transaction of its own."""
    from outbound import db

    return db.with_connection(lambda connection: enqueue_call(connection, **call))
