"""What is meant by a call that somebody asks for: its numbers, its moment, its key; or why it cannot be."""

from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from outbound import phone_numbers
from outbound.calls_file import is_text
from outbound.db import Row

KEY_MAX = 255  # characters; an index entry has room for this many, whatever they are
ID_DIGITS_MAX = 19  # a bigint has no more
YEARS = range(1970, 2200)  # of `at`: further away it is a slip, and past 9999 Python could not read it back


class BadCall(ValueError):
    """The call cannot be put in the queue; the message says why and what to do, and nothing was changed."""


class NewCall(NamedTuple):
    """A call as call_log takes it; numbers in E.164, the moment in UTC."""

    business_id: int
    from_number: str
    to_number: str
    due_at: datetime | None
    idempotency_key: str | None


def read(
    business: Row, to_number: str, from_number: str | None, due_at: datetime | str | None, key: str | None
) -> NewCall:
    """A call as its business means it, which is a row of find_business; or raise BadCall."""
    to = _number(to_number, business, "to")
    return NewCall(business.id, _caller(from_number, business), to, _moment(due_at, business), _key(key))


def business_id(value: str | int | None) -> int:
    """The id of a business as it is written in a file, or raise BadCall."""
    if isinstance(value, int):
        return value
    if value and value.isdecimal() and len(value) <= ID_DIGITS_MAX:
        return int(value)
    raise BadCall("`business` is not the id of one: see `outbound business list`")


def _number(text: str, business: Row, column: str) -> str:
    number = phone_numbers.normalize(text, business.default_region)
    if number is not None:
        return number
    if not text:
        raise BadCall(f"`{column}` is empty: give a phone number")
    hint = "" if business.default_region else ", with its country code: the business has no default region"
    raise BadCall(f"`{column}` is not a phone number: write it like +97231234567{hint}")


def _caller(text: str | None, business: Row) -> str:
    if text:
        return _number(text, business, "from")
    if business.own_number is None:
        raise BadCall(f"business {business.id} has no number of its own: give a from number")
    return str(business.own_number)


def _moment(value: datetime | str | None, business: Row) -> datetime | None:
    if not value:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise BadCall("`at` is not a date and time: write it like 2026-11-30T09:00") from None
    if value.year not in YEARS:
        raise BadCall(f"`at` is in the year {value.year}: give one between {YEARS[0]} and {YEARS[-1]}")
    return (value if value.tzinfo else value.replace(tzinfo=_zone(business))).astimezone(UTC)


def _zone(business: Row) -> ZoneInfo:
    try:
        return ZoneInfo(business.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        hint = f"`outbound business set {business.id} --time-zone …`, or give `at` with an offset"
        raise BadCall(f"the time zone of business {business.id} is unknown: {hint}") from None


def _key(key: str | None) -> str | None:
    if key and (len(key) > KEY_MAX or not is_text(key)):
        raise BadCall(f"`key` must be text of {KEY_MAX} characters at most")
    return key or None
