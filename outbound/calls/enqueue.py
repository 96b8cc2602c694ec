"""Put one call in the queue, once."""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from outbound import db
from outbound.calls import call_request, import_writer
from outbound.calls.call_request import KEY_MAX, BadCall, NewCall
from outbound.calls.import_writer import KEY_OF_ANOTHER
from outbound.config import settings
from outbound.formats import moments
from outbound.rules.callee_zone import zone_of

__all__ = [
    "KEY_MAX",
    "KEY_OF_ANOTHER",
    "BadCall",
    "EnqueuedCall",
    "Requested",
    "enqueue",
    "enqueue_call",
    "enqueue_calls",
]

sql = db.statements("calls/enqueue")

_TOGETHER_MAX = 200  # of one statement, which compares each call that it wrote with each that was given
_LOOKS = 5  # a twin that was committed in this instant is seen at the second one
_NO_BATCH = {"batch_businesses": "{}", "batch_ids": "{}"}


@dataclass(frozen=True)
class EnqueuedCall:
    """
    A call that is in the queue now; `created` is False where it was there already.

    `note` says what was made of a due moment that the clocks of that day show twice, or not at all; `due` is the moment
    as it was understood, with weekday and zone, where one was given.  `has_key` is False where another key, or none,
    has the call that was there already: it is a live one to the same telephone.
    """

    call_id: int
    status: str
    created: bool
    note: str | None = None
    due: str | None = None
    has_key: bool = True


class Requested(NamedTuple):
    """One call as `enqueue_call` takes it; `by` is who asks for it, where that is not the session's user."""

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


def enqueue_call(
    connection: db.Connection,
    *,
    to_number: str,
    business_id: int | None = None,
    campaign_id: int | None = None,
    from_number: str | None = None,
    due_at: datetime | str | None = None,
    key: str | None = None,
    contact: Mapping[str, str] | None = None,
    time_zone: str | None = None,
    own_key: str | None = None,
) -> EnqueuedCall:
    """
    Put one call in the queue, inside the caller's own transaction; it is dialed after that commits.

    Args:
        connection: a psycopg 3 connection.
        business_id, campaign_id: whose call this is; a campaign says its business itself.
        to_number, from_number: any writing of a number; without a country code, the business's region is taken.
            Without from_number, the campaign's that suits the callee, or else the business's first own number calls.
        due_at: not before this moment, at most 2 years ago or 10 ahead; text is ISO 8601 or a date by numbers that can
            only be one, with a time, and without an offset by the callee's clocks where those are known, else by the
            business's.
        key: the caller's own name for this call: the same key never makes a second one, and belongs to one number.
        contact: what is known of the callee, for `{{field}}` in TwiML and for call_contact(call_sid); at most 50
            fields of 1,000 characters, 8 KiB in all.
        time_zone: the callee's, an IANA name, which becomes that of today; otherwise it follows from the number.
        own_key: a key of our own making, which no caller may give.

    Returns:
        the new call, or the one that is there already: same key, or a live call of this business to this number.

    Raises:
        BadCall: says what is wrong and what to do.
    """
    request = Requested(
        to_number, business_id, campaign_id, from_number, due_at, key, contact, time_zone, own_key=own_key
    )
    (outcome,) = enqueue_calls(connection, [request])
    if isinstance(outcome, BadCall):
        raise outcome
    return outcome


def enqueue(**call: object) -> EnqueuedCall:
    """`enqueue_call` in a transaction of its own."""
    return db.with_connection(lambda connection: enqueue_call(connection, **call))  # type: ignore[arg-type]


def enqueue_calls(connection: db.Connection, requests: Sequence[Requested]) -> list[EnqueuedCall | BadCall]:
    """
    Put several calls in the queue, inside the caller's own transaction: what `enqueue_call` does of one.

    Returns:
        what became of each: a refusal concerns that one alone.
    """
    outcomes: dict[int, EnqueuedCall | BadCall] = {}
    together: dict[tuple[int | None, str | None], dict[int, NewCall]] = defaultdict(dict)
    callers = _callers(connection, requests)
    for place, request in enumerate(requests):
        try:
            call = _read(connection, request, callers[place])
        except BadCall as refusal:
            outcomes[place] = refusal
        else:
            together[request.campaign_id, request.by][place] = call
    for (campaign_id, by), calls in together.items():
        if by is not None:
            db.speak_for(connection, by)
        for part in _parts(calls):
            outcomes |= _write(connection, campaign_id, part)
    return [outcomes[place] for place in range(len(requests))]


def _callers(connection: db.Connection, requests: Sequence[Requested]) -> dict[int, db.Row | BadCall]:
    """Of each request the business that calls, as find_callers has it, or why it cannot."""
    found: dict[int, db.Row | BadCall] = {}
    asked: dict[tuple[int | None, int | None], list[int]] = defaultdict(list)
    for place, request in enumerate(requests):
        try:
            if request.business_id is None and request.campaign_id is None:
                raise BadCall("say whose call this is: give a business or a campaign")
            asked[call_request.ids(request.business_id, request.campaign_id)].append(place)
        except BadCall as refusal:
            found[place] = refusal
    given = {"business_ids": [one for one, _ in asked], "campaign_ids": [one for _, one in asked]}
    rows = {row.place: row for row in sql.find_callers(connection, **given, carrier=settings().carrier)}
    for number, ((_, campaign_id), places) in enumerate(asked.items(), start=1):
        try:
            caller = call_request.able(rows.get(number), campaign_id)
        except BadCall as refusal:
            caller = refusal
        found |= dict.fromkeys(places, caller)
    return found


def _read(connection: db.Connection, request: Requested, caller: db.Row | BadCall) -> NewCall:
    if isinstance(caller, BadCall):
        raise caller
    call = call_request.read(
        caller,
        request.to_number,
        request.from_number,
        request.due_at,
        request.key,
        request.contact,
        request.time_zone,
        lambda number: zone_of(number, connection),
    )
    return call if request.own_key is None else call._replace(idempotency_key=request.own_key)


def _write(
    connection: db.Connection, campaign_id: int | None, calls: dict[int, NewCall]
) -> dict[int, EnqueuedCall | BadCall]:
    """What became of each of these calls of one campaign, or of none."""
    outcomes: dict[int, EnqueuedCall | BadCall] = {}
    for _ in range(_LOOKS):
        outcomes |= _insert(connection, campaign_id, _without(calls, outcomes))
        outcomes |= _find(connection, _without(calls, outcomes))
        if len(outcomes) == len(calls):
            return outcomes
    busy = BadCall("another call to this number is being written at this moment: try again")
    return dict.fromkeys(calls, busy) | outcomes


def _parts(calls: dict[int, NewCall]) -> Iterator[dict[int, NewCall]]:
    """The calls, some at a time."""
    places = list(calls)
    for start in range(0, len(places), _TOGETHER_MAX):
        yield {place: calls[place] for place in places[start : start + _TOGETHER_MAX]}


def _without(calls: dict[int, NewCall], outcomes: Container[int]) -> dict[int, NewCall]:
    return {place: call for place, call in calls.items() if place not in outcomes}


def _insert(
    connection: db.Connection, campaign_id: int | None, calls: dict[int, NewCall]
) -> dict[int, EnqueuedCall | BadCall]:
    """Those that were written, and those that may not be; of one that was given twice, the first."""
    places, ids = list(calls), set()
    outcomes: dict[int, EnqueuedCall | BadCall] = {}
    given = import_writer.columns(list(calls.values())) | _NO_BATCH
    _, *rows = sql.enqueue_calls(connection, campaign_id=campaign_id, again=True, dry=False, each=True, **given)
    for row in sorted(rows, key=lambda row: row.place):
        place = places[row.place - 1]
        if row.fault:
            outcomes[place] = BadCall(import_writer.fault_of(row))
        elif row.id not in ids:
            ids.add(row.id)
            outcomes[place] = EnqueuedCall(row.id, "queued", True, calls[place].note, _understood(calls[place]))
    return outcomes


def _find(connection: db.Connection, calls: dict[int, NewCall]) -> dict[int, EnqueuedCall | BadCall]:
    """Those that are there already."""
    if not calls:
        return {}
    outcomes: dict[int, EnqueuedCall | BadCall] = {}
    found = sql.find_calls(connection, created_ats="{}", **import_writer.keys(list(calls.values())), **_NO_BATCH)
    for place, there in zip(calls, found, strict=True):
        if there.key_of_another:
            outcomes[place] = BadCall(KEY_OF_ANOTHER)
        elif there.id is not None:
            outcomes[place] = EnqueuedCall(there.id, there.status, created=False, has_key=there.has_key)
    return outcomes


def _understood(call: NewCall) -> str | None:
    return moments.shown(call.due_at, call.zone) if call.due_at else None
