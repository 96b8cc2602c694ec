"""What is meant by a call that somebody asks for: its numbers, its moment, its contact; or why it cannot be."""

import json
import re
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import NamedTuple

from outbound import phone_numbers, voice
from outbound.calls_file import is_text
from outbound.db import Row

KEY_MAX = 255  # characters; an index entry has room for this many, whatever they are
ID_DIGITS_MAX = 19  # a bigint has no more
_BIGINT_MAX = 2**63 - 1
YEARS = range(1970, 2200)  # of `at`: further away it is a slip, and past 9999 Python could not read it back
FIELDS_MAX = 50  # of a contact
FIELD_MAX = 1000  # characters of one, and of its name a tenth
CONTACT_MAX = 8192  # bytes of all of them as JSON, which each attempt carries with it

_ROUNDED = re.compile(r"\d(?:[.,]\d+)?e\+?\d+", re.IGNORECASE)  # 9.72501E+11: the rest of the number is lost
_OWN_KEYS = "retry:"  # the keys of further attempts
_json = json.JSONEncoder(ensure_ascii=False).encode


class BadCall(ValueError):
    """The call cannot be put in the queue; the message says why and what to do, and nothing was changed."""


class NewCall(NamedTuple):
    """A call as call_log takes it; numbers in E.164, the moment in UTC."""

    business_id: int
    from_number: str | None  # None: the one of the campaign's that suits the callee
    to_number: str
    due_at: datetime | None
    idempotency_key: str | None
    contact: str | None  # JSON
    time_zone: str | None


def read(
    caller: Row,
    to_number: str,
    from_number: str | None,
    due_at: datetime | str | None,
    key: str | None,
    contact: Mapping[str, str] | None,
    time_zone: str | None,
    batch: str | None = None,
) -> NewCall:
    """
    A call as who makes it means it, which is a row of find_caller; or raise BadCall.

    Without a key of its own it has its batch's and its number's.
    """
    to = _number(to_number, caller, "to")
    return NewCall(
        caller.id,
        _caller(from_number, caller),
        to,
        moment(due_at, "at", caller.id, caller.time_zone),
        _key(key) or (f"{batch}:{to}" if batch else None),
        _contact(contact, caller),
        _callees_zone(time_zone),
    )


def row_id(value: str | int | None, what: str) -> int:
    """The id of a business or a campaign as it is written in a file, or raise BadCall."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= ID_DIGITS_MAX:
        value = int(value)
    if isinstance(value, int) and 0 <= value <= _BIGINT_MAX:
        return value
    raise BadCall(f"`{what}` is not the id of one: see `outbound {what} list`")


def _number(text: str, business: Row, column: str) -> str:
    number = phone_numbers.normalize(text, business.default_region)
    if number is not None:
        return number
    if not text:
        raise BadCall(f"`{column}` is empty: give a phone number")
    if _ROUNDED.fullmatch(text.strip()):
        raise BadCall(f"`{column}` was rounded by a spreadsheet: format its column as text, enter it again, save again")
    hint = "" if business.default_region else ", with its country code: the business has no default region"
    raise BadCall(f"`{column}` is not a phone number: write it like +97231234567{hint}")


def _caller(text: str | None, business: Row) -> str | None:
    if text:
        return _number(text, business, "from")
    if business.campaign_calls:
        return None
    if business.own_number is None:
        raise BadCall(f"business {business.id} has no number of its own: give a from number")
    return str(business.own_number)


def moment(value: datetime | str | None, column: str, business_id: int, time_zone: str) -> datetime | None:
    """A moment in UTC; without an offset it is in the business's time zone.  Raises BadCall."""
    if not value:
        return None
    if isinstance(value, str):
        return _written_moment(value, column, business_id, time_zone)
    return _in_utc(value, column, business_id, time_zone)


@lru_cache(1000)  # a file's calls have few moments
def _written_moment(text: str, column: str, business_id: int, time_zone: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise BadCall(f"`{column}` is not a date and time: write it like 2026-11-30T09:00") from None
    return _in_utc(value, column, business_id, time_zone)


def _in_utc(value: datetime, column: str, business_id: int, time_zone: str) -> datetime:
    if value.year not in YEARS:
        raise BadCall(f"`{column}` is in the year {value.year}: give one between {YEARS[0]} and {YEARS[-1]}")
    if value.tzinfo is None:
        try:
            value = value.replace(tzinfo=zoneinfo.ZoneInfo(time_zone))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            hint = f"`outbound business set {business_id} --time-zone …`, or give `{column}` with an offset"
            raise BadCall(f"the time zone of business {business_id} is unknown: {hint}") from None
    return value.astimezone(UTC)


def _key(key: str | None) -> str | None:
    if key and (len(key) > KEY_MAX or not is_text(key)):
        raise BadCall(f"`key` must be text of {KEY_MAX} characters at most")
    if key and key.startswith(_OWN_KEYS):
        raise BadCall(f"`key` may not begin with {_OWN_KEYS} which is how further attempts are named")
    return key or None


def _contact(contact: Mapping[str, str] | None, caller: Row) -> str | None:
    """What is known of the callee, by the names that placeholders use, as JSON; nothing where every field is empty."""
    known = {voice.field_name(name): value for name, value in (contact or {}).items() if value}
    if len(known) > FIELDS_MAX:
        raise BadCall(f"a contact has at most {FIELDS_MAX} fields")
    for place, (name, value) in enumerate(known.items(), start=1):
        is_good = isinstance(value, str) and len(value) <= FIELD_MAX and is_text(value)
        if not (is_good and name and len(name) <= FIELD_MAX // 10 and is_text(name)):
            raise BadCall(f"field {place} of the contact must be text of {FIELD_MAX} characters at most")
    written = _json(known) if known else ""
    if len(written.encode()) > CONTACT_MAX:
        raise BadCall(f"the contact's fields have more than {CONTACT_MAX} bytes in all")
    said = len(voice.render(caller.twiml, known) or "")
    if said > voice.TWIML_MAX:
        raise BadCall(f"with this contact's fields the TwiML has {said} characters: {voice.TWIML_MAX} are allowed")
    return written or None


def _callees_zone(name: str | None) -> str | None:
    if name and name not in _known_zones():
        raise BadCall("`time_zone` is not an IANA time zone, like Asia/Jerusalem")
    return name or None


@cache
def _known_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
