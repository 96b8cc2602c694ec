"""Parses and validates one requested call: its numbers, due time, key and contact."""

import json
import re
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from operator import attrgetter
from typing import NamedTuple

from outbound.errors import Fault, UserError
from outbound.formats import moments, phone_numbers, plain_text, row_id, time_zones, twiml_template
from outbound.formats.file_text import is_text
from outbound.named_sql import Row, array, plain

KEY_MAX = 255  # characters; an index entry has room for this many, whatever they are
PAST_MAX = timedelta(days=2 * 365)  # of `at`: what was due longer ago is a slip, or somebody's old list
AHEAD_MAX = timedelta(days=10 * 365)
FIELDS_MAX = 50  # of a contact
FIELD_MAX = 1000  # characters of one, and of its name a tenth
CONTACT_MAX = 8192  # bytes of all of them as JSON, which each attempt carries with it

AGAIN = "again:"  # the keys of calls that an operator has made again
KEY_OF_ANOTHER = "the key belongs to a call of another number: give this call a key of its own, or none"
NO_NUMBER_OF_THEIRS = "`from` is no number of this business: give one of its own, or leave it out"
_OWN_KEYS = ("retry:", AGAIN)  # and of further attempts
_NAMED = re.compile(r"\A`(\w+)`")
_json = json.JSONEncoder(ensure_ascii=False).encode


class BadCall(UserError, ValueError):
    """The call cannot be put in the queue; the message says why and what to do, and nothing was changed."""


class DoubtfulDay(BadCall):
    """`at` may be two days: it cannot be read without the order of day and month."""


class NotTheirs(BadCall):
    """
    There is no such business or campaign, or the campaign is another business's.

    Attributes:
        what: which of the two it is, in a word.
        is_none: whether there is none.
    """

    def __init__(self, message: str, what: str, *, is_none: bool) -> None:
        super().__init__(message)
        self.what = what
        self.is_none = is_none


class NewCall(NamedTuple):
    """A call as call_log takes it; numbers in E.164, the moment in UTC."""

    business_id: int
    from_number: str | None  # None: the one of the campaign's that suits the callee
    to_number: str
    due_at: datetime | None
    idempotency_key: str | None
    contact: str | None  # JSON
    time_zone: str | None
    note: str | None = None  # what was made of a moment that the clocks of that day leave in doubt
    zone: str | None = None  # whose clocks `due_at` was read by, unless it had an offset


def read(
    caller: Row,
    to_number: str,
    from_number: str | None,
    due_at: datetime | str | None,
    key: str | None,
    contact: Mapping[str, str] | None,
    time_zone: str | None,
    zone_of: Callable[[str], str | None],
    order: moments.Order | None = None,
    *,
    are_texts: bool = False,
) -> NewCall:
    """
    Read one call request of a caller, which is a row of find_callers; or raise BadCall.

    A moment without an offset is by the callee's clocks, where *time_zone* or *zone_of* their number tells which those
    are, else by the business's.  Of a date that may be two days, `order` says which comes first, the day or the month;
    without it, DoubtfulDay.  *are_texts* where the types are these for sure, as in each row of a file.
    """
    if not are_texts:
        _refuse_types(to_number, from_number, due_at, key, contact, time_zone)
    to = _number(to_number, caller, "to")
    stated = _callees_zone(time_zone)
    zone = (stated or zone_of(to) or caller.time_zone) if due_at else None
    due = _due(due_at, caller, zone, order)
    return NewCall(
        caller.id,
        _caller(from_number, caller),
        to,
        due and due.at,
        _key(key),
        _contact(contact, caller),
        stated,
        due and due.note and f"`at` {due.note}",
        zone,
    )


def faults_of(
    caller: Row,
    to_number: str,
    from_number: str | None,
    due_at: datetime | str | None,
    key: str | None,
    contact: Mapping[str, str] | None,
    time_zone: str | None,
) -> list[Fault]:
    """Each field at fault: all at once, where `read` stops at the first.  The types are right."""
    looks: dict[str, Callable[[], object]] = {
        "to": lambda: _number(to_number, caller, "to"),
        "from": lambda: _caller(from_number, caller),
        "at": lambda: _due(due_at, caller, caller.time_zone, None),
        "key": lambda: _key(key),
        "contact": lambda: _contact(contact, caller),
        "time_zone": lambda: _callees_zone(time_zone),
    }
    found = []
    for field, look in looks.items():
        try:
            look()
        except BadCall as refusal:
            found.append(Fault(field, str(refusal)))
    return found


def _refuse_types(to: object, from_: object, at: object, key: object, contact: object, time_zone: object) -> None:
    """Refuse what is of another type: who calls from Python or sends JSON may give anything."""
    if to is None or to == "":
        raise BadCall("`to` is empty: give a phone number")
    for value, name in ((to, "to"), (from_, "from"), (key, "key"), (time_zone, "time_zone")):
        if value is not None and not isinstance(value, str):
            raise BadCall(f"`{name}` must be text")
    if at is not None and not isinstance(at, date | str):
        raise BadCall(f"`at` must be a moment: write it like {moments.TIME_FORM}")
    if contact is not None and not (isinstance(contact, Mapping) and all(isinstance(name, str) for name in contact)):
        raise BadCall("`contact` must have a text for each name")


def renamed(text: str, fields: Mapping[str, str]) -> str:
    """A refusal or a note that begins with a name of a field here, with the name that the caller has for it."""
    return _NAMED.sub(lambda found: f"`{fields.get(found[1], found[1])}`", text, count=1)


def read_id(value: str | int | None, what: str) -> int:
    """The id of a business or a campaign as it is written in a file, or raise BadCall."""
    if isinstance(value, str):
        value = row_id.read(value)
    if isinstance(value, int) and not isinstance(value, bool) and row_id.possible(value) == value:
        return int(value)
    raise BadCall(f"`{what}` is not the id of one: see `outbound {what} list`")


def _number(text: str, business: Row, column: str) -> str:
    try:
        return phone_numbers.read(text, business.default_region)
    except phone_numbers.NoPhoneNumber as refusal:
        raise BadCall(f"`{column}` {refusal}") from None


def is_number(text: str, business: Row) -> bool:
    """Is this a phone number, as the business writes them?"""
    return number_or_none(text, business) is not None


def number_or_none(text: object, business: Row) -> str | None:
    """The phone number in E.164 that a text is, as the business writes them, or None."""
    try:
        return _number(text, business, "to") if isinstance(text, str) else None
    except BadCall:
        return None


def _caller(text: str | None, business: Row) -> str | None:
    if text:
        return _number(text, business, "from")
    if business.campaign_calls:
        return None
    if business.own_number is None:
        raise BadCall(f"business {business.id} has no number of its own: give a from number")
    return str(business.own_number)


def _due(
    value: datetime | str | None, caller: Row, zone: str | None, order: moments.Order | None
) -> moments.Moment | None:
    """Return when a call is due.  A date alone would be midnight, an hour at which nobody wants to be called."""
    if value is None:
        return None
    if value == "":  # a variable that was not set: it must not ring somebody at once
        raise BadCall("`at` is empty: leave it out to call at once, or give a moment")
    try:
        due = moments.read(value, zone or caller.time_zone, order=order)
    except moments.DoubtfulDay as fault:
        raise DoubtfulDay(f"`at` {fault}") from None
    except moments.NoSuchZone as fault:
        raise BadCall(f"`at` {fault}; or `outbound business set {caller.id} --time-zone …`") from None
    except moments.BadMoment as fault:
        raise BadCall(f"`at` {fault}") from None
    ahead = due.at - datetime.now(UTC)  # of a horizon, not of a deadline: any clock will do
    if ahead < -PAST_MAX:
        raise BadCall(f"`at` lies more than {PAST_MAX.days // 365} years in the past: leave it empty to call at once")
    if ahead > AHEAD_MAX:
        raise BadCall(f"`at` lies more than {AHEAD_MAX.days // 365} years ahead: give an earlier moment")
    ends_at = caller.ends_at and datetime.fromisoformat(caller.ends_at)
    if ends_at and due.at >= ends_at:
        campaign, ends = caller.campaign_id, moments.shown(ends_at, caller.time_zone)
        raise BadCall(
            f"`at` is not before the end of campaign {campaign}, {ends}: `outbound campaign set {campaign} --ends …`"
        )
    return due


def _key(key: str | None) -> str | None:
    if key is None:
        return None
    if not key:  # without a key, the next run would call again
        raise BadCall("`key` is empty: leave it out, or give the call one of its own")
    if len(key) > KEY_MAX or not is_text(key):
        raise BadCall(f"`key` must be text of {KEY_MAX} characters at most")
    if fault := plain_text.fault(key):
        raise BadCall(f"`key` {fault}")
    if key.strip() != key:  # an Idempotency-Key has none either: a header loses them on its way
        raise BadCall("`key` begins or ends with a space: leave that out")
    if key.startswith(_OWN_KEYS):
        raise BadCall(f"`key` may not begin with {key.split(':')[0]}: which is how further attempts are named")
    text: str = plain(key)
    return text


def _contact(contact: Mapping[str, str] | None, caller: Row) -> str | None:
    """
    Return what is known of the callee, by the names that placeholders use, as JSON; nothing where every field is empty.
    """
    given = [(twiml_template.field_name(name), value) for name, value in (contact or {}).items() if _is_given(value)]
    if not given:
        return None
    known = {name: plain_text.cell(value) if isinstance(value, str) else value for name, value in given}
    if len(known) < len(given):
        raise BadCall("two fields of the contact have one name, as neither case nor spaces count: rename one of them")
    if len(known) > FIELDS_MAX:
        raise BadCall(f"a contact has at most {FIELDS_MAX} fields")
    for place, (name, value) in enumerate(known.items(), start=1):
        if not (name and len(name) <= FIELD_MAX // 10 and is_text(name)):
            raise BadCall(f"the name of field {place} of the contact must be text of 1 to {FIELD_MAX // 10} characters")
        if not (isinstance(value, str) and len(value) <= FIELD_MAX and is_text(value)):
            raise BadCall(f"field {place} of the contact must be text of {FIELD_MAX} characters at most")
        if fault := plain_text.cell_fault(value):
            raise BadCall(f"field {place} of the contact {fault}")
    written = _json(known)
    if len(written.encode()) > CONTACT_MAX:
        raise BadCall(f"the contact's fields have more than {CONTACT_MAX} bytes in all")
    length = len(twiml_template.render(caller.twiml, known) or "")
    if length > twiml_template.TWIML_MAX:
        raise BadCall(
            f"with this contact's fields the TwiML has {length} characters: {twiml_template.TWIML_MAX} are allowed"
        )
    return written


def _is_given(value: object) -> bool:
    """Is it more than nothing?  A 0 or a list is: it is refused as what is no text, and does not vanish."""
    return value is not None and not (isinstance(value, str) and value == "")


def _callees_zone(name: str | None) -> str | None:
    if not name or not name.strip():
        return None
    try:
        zone = time_zones.present(name, _known_zones())
    except time_zones.BadTimeZone as fault:
        raise BadCall(f"`time_zone` {fault}") from None
    if zone == time_zones.UNIVERSAL:  # an application's default: calling hours would be hours off
        raise BadCall(f"`time_zone` is UTC, by whose clocks nobody lives: give the callee's, like {time_zones.SAMPLE}")
    return zone


@cache
def _known_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def ids(business_id: int | None, campaign_id: int | None) -> tuple[int | None, int | None]:
    """The ids of a business and of a campaign, each None where it is not given; or raise BadCall."""
    return (
        None if business_id is None else read_id(business_id, "business"),
        None if campaign_id is None else read_id(campaign_id, "campaign"),
    )


def able(caller: Row | None, campaign_id: int | None) -> Row:
    """The business that was found, if it can call, and for this campaign."""
    if caller is None:
        # In a file whose columns are mixed up the id is a phone number: it is not repeated here.
        what = "business" if campaign_id is None else "campaign"
        raise NotTheirs(f"there is no such {what}: see `outbound {what} list`", what, is_none=True)
    if campaign_id is not None and caller.campaign_id is None:
        message = f"the campaign is not one of business {caller.id}: see `outbound campaign list`"
        raise NotTheirs(message, "campaign", is_none=False)
    if caller.has_ended:
        raise BadCall(f"campaign {campaign_id} has ended: `outbound campaign set {campaign_id} --ends …`")
    if not caller.can_speak:
        raise BadCall(f"business {caller.id} has nothing to say: `outbound business set {caller.id} --twiml …`")
    return caller


_KEYS = {
    "business_ids": "business_id",
    "to_numbers": "to_number",
    "idempotency_keys": "idempotency_key",
    "due_ats": "due_at",
}
_COLUMNS = _KEYS | {"from_numbers": "from_number", "contacts": "contact", "time_zones": "time_zone"}


def keys(calls: Sequence[NewCall]) -> dict[str, str]:
    """Calls as find_calls_there takes them."""
    return _arrays(calls, _KEYS)


def columns(calls: Sequence[NewCall]) -> dict[str, str]:
    """Calls as enqueue_calls takes them."""
    return _arrays(calls, _COLUMNS)


def _arrays(calls: Sequence[NewCall], fields: Mapping[str, str]) -> dict[str, str]:
    given = {name: map(attrgetter(field), calls) for name, field in fields.items()}
    return {name: array(map(_written, values) if name == "due_ats" else values) for name, values in given.items()}


@lru_cache(1000)  # a file has few, and to write one takes longer than all else of a call
def _written(moment: datetime | None) -> str | None:
    return None if moment is None else str(moment)
