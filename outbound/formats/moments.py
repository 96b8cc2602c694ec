"""Dates and times as people and spreadsheets write them, and the moment that each means; or why it means none."""

import re
import unicodedata
import zoneinfo
from calendar import month_name, monthrange
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Literal, NamedTuple

YEARS = range(1970, 2200)  # further away it is a slip, and past 9999 Python could not read it back
TIME_FORM = "2026-11-30T09:00"
JUST_TYPED = timedelta(minutes=1)  # a moment that is past by no more was meant for now

# What an empty cell becomes in spreadsheets, databases and programs that count from there, also west of Greenwich.
_NULL_DATES = {
    *((1, 1, 1), (1601, 1, 1), (1753, 1, 1), (1899, 12, 30), (1899, 12, 31), (1900, 1, 0), (1900, 1, 1)),
    *((1904, 1, 1), (1969, 12, 31), (1970, 1, 1), (1980, 1, 1), (9999, 12, 31)),
}
_ALL_ZEROS = re.compile(r"0[0.,:/\-T Z]*")
_NULL = "as an empty date is saved: leave it empty"

_DATE_AND_TIME = re.compile(
    r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})"
    r"(?:(?:,? +|T)(\d{1,2})(?::(\d{2})(?::(\d{2}))?)?(?: *([ap])\.?m\.?)?)?(?: *(Z|UTC|[+-]\d{2}:?\d{2}))?",
    re.IGNORECASE | re.ASCII,
)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # whatever the locale calls them
_ISO_DAY = re.compile(r"\d{4}(?:-|\d{4}$)", re.ASCII)
_DAY_COUNT = re.compile(r"[2-7]\d{4}(?:\.\d+)?", re.ASCII)  # a spreadsheet's: days since 1899-12-30
_ISO_PARTS = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2}))?", re.ASCII)
_EPOCH = re.compile(r"\d{10}(?:\d{3})?(?:\.\d+)?", re.ASCII)


# With the month's name, as spreadsheets write it too: 30-Nov-2026 9:00, Nov 30, 2026 9:00 AM.
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG_MONTHS = ("uary", "ruary", "ch", "il", "", "e", "y", "ust", "tember", "ober", "ember", "ember")
_NAME = "|".join(f"{short}(?:{rest})?" for short, rest in zip(_MONTHS, _LONG_MONTHS, strict=True))
_NAMED_MONTH = re.compile(
    rf"(?:(\d{{1,2}})([- ])({_NAME})\.?(?:\2|, ?)|({_NAME})\.? (\d{{1,2}}),? )(\d{{4}})\b", re.IGNORECASE | re.ASCII
)

Order = Literal["day", "month"]  # which of them a date by numbers has first
# Where the month is written first (CLDR's short dates), and where both orders are met, or the year comes first.
_MONTH_FIRST = {"US", "AS", "FM", "GU", "MH", "MP", "PR", "PW", "UM", "VI"}
_NO_ORDER = {"CA", "CN", "HU", "JP", "KP", "KR", "LT", "MN", "PA", "PH", "TW"}


class BadMoment(ValueError):
    """The text is no moment; the message, which goes after what was named, says why and how to write one."""


class DoubtfulDay(BadMoment):
    """A date that cannot be read without the order of day and month."""


class NoSuchZone(BadMoment):
    """The moment has no offset, and nobody knows the zone that it should be in."""


class Moment(NamedTuple):
    """A moment in UTC; and, where the clocks of that day leave a doubt, what it was taken for."""

    at: datetime
    note: str | None = None

    def understood(self, zone: str | None) -> str:
        """Return what a command prints of a moment that it was given: by a zone's clocks, and with the doubt."""
        return shown(self.at, zone) + (f" ({self.note})" if self.note else "")


def read(
    value: datetime | date | str, zone: str | None, *, day_alone: bool = False, order: Order | None = None
) -> Moment:
    """
    The moment that is meant.

    Args:
        value: ISO 8601; or, with a time, a date by numbers whose order cannot be mistaken (30/11/2026 09:00, 11/30/2026
            9:00 AM).
        zone: the IANA name of where it is, without an offset of its own; without a zone, only a date alone will do,
            in UTC.
        day_alone: whether a date alone is its beginning, and no mistake.
        order: of a date like 11/12/2026 or 11/12/26; without it there is no guess.

    Raises:
        DoubtfulDay: a date that may be two.
        BadMoment: no date, or what an empty one is saved as; a date alone; beyond YEARS.
        NoSuchZone: it has no offset, and *zone* is None or unknown.
    """
    if isinstance(value, str):
        return _of_text(value, zone, day_alone, order)
    return _moment(_plain(value) if isinstance(value, datetime) else value, zone, day_alone)


def _plain(at: datetime) -> datetime:
    """A datetime of Python's own class: a library's may be written otherwise, or be no moment, as pandas' NaT is."""
    try:
        day, hours = (at.year, at.month, at.day), (at.hour, at.minute, at.second, at.microsecond)
        zone = None if at.utcoffset() is None else at.tzinfo
        return datetime(*day, *hours, tzinfo=zone, fold=at.fold)
    except (AttributeError, TypeError, ValueError):
        raise BadMoment(f"is not a date and time: write it like {TIME_FORM}") from None


def order_of(region: str | None) -> Order | None:
    """Return which of day and month people write first in a country, two letters; None where nobody can be sure."""
    if region is None or region in _NO_ORDER:
        return None
    return "month" if region in _MONTH_FIRST else "day"


def order_shown(text: str) -> Order | None:
    """
    Return which of day and month stands first in a date by numbers that has its year last and can only be in one order.
    """
    found = _DATE_AND_TIME.match(_clean(text))
    if found is None or len(found[1]) > 2:
        return None
    one, two = int(found[1]), int(found[3])
    if one > 12 >= two > 0:
        return "day"
    return "month" if two > 12 >= one > 0 else None


def shown(at: datetime, zone: str | None) -> str:
    """A moment as people are shown it, like `Mon 2026-11-30 09:00 Asia/Jerusalem`; moment_text in SQL does the same."""
    try:
        local = at.astimezone(zoneinfo.ZoneInfo(zone or "UTC"))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # a name that the database knows, and we do not
        local, zone = at.astimezone(UTC), None
    seconds = f"{local:%S}" if local.second or local.microsecond else ""
    return f"{DAYS[local.weekday()]} {local:%Y-%m-%d %H:%M}{seconds and ':' + seconds} {zone or 'UTC'}"


def short(at: datetime | None, zone: str, *, seconds: bool = False) -> str:
    """
    A moment in a table whose zone is named beside it, like `Mon 11-30 09:00`, and of another year than the present one
    like `Tue 2027-11-30 09:00`; empty for None.
    """
    if at is None:
        return ""
    try:
        local = at.astimezone(zoneinfo.ZoneInfo(zone))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return shown(at, None)
    day = f"{local:%m-%d}" if local.year == datetime.now(local.tzinfo).year else f"{local:%Y-%m-%d}"
    return f"{DAYS[local.weekday()]} {day} {local:%H:%M}" + (f":{local:%S}" if seconds else "")


@lru_cache(1000)  # a file's rows have few
def _of_text(text: str, zone: str | None, day_alone: bool, order: Order | None) -> Moment:
    value = _written(_clean(text), order)
    if day_alone and not isinstance(value, datetime) and not _ISO_DAY.match(_clean(text)):
        raise BadMoment(f"is not a date as ISO 8601 has it: write it like {TIME_FORM[:10]}, or {TIME_FORM}")
    return _moment(value, zone, day_alone)


def _moment(value: datetime | date, zone: str | None, day_alone: bool) -> Moment:
    _refuse_null((value.year, value.month, value.day))
    if not isinstance(value, datetime):
        if not day_alone:
            raise BadMoment(f"is a date without a time: write it like {TIME_FORM}")
        value = datetime.combine(value, time.min, None if zone else UTC)
    if value.year not in YEARS:
        raise BadMoment(f"is in the year {value.year}: give one between {YEARS[0]} and {YEARS[-1]}")
    if value.tzinfo is None and zone is None:
        raise BadMoment(f"has no offset: write it like {TIME_FORM}+02:00, or give the date alone")
    local = value if value.tzinfo else value.replace(tzinfo=_zone(zone))
    moment = local.astimezone(UTC)
    _refuse_null((moment.year, moment.month, moment.day))
    return Moment(moment, None if value.tzinfo else _doubt(local))


def _zone(name: str | None) -> tzinfo:
    try:
        return zoneinfo.ZoneInfo(name or "")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise NoSuchZone(f"needs an offset, like +02:00: the time zone {name} is unknown") from None


def _written(text: str, order: Order | None) -> datetime | date:
    text = _NAMED_MONTH.sub(_numbered_month, text, count=1)
    if _ALL_ZEROS.fullmatch(text):
        raise BadMoment(f"is zero, {_NULL}")
    for read_as in (date.fromisoformat, datetime.fromisoformat):
        try:
            return read_as(text)
        except ValueError:
            continue
    if fault := impossible(text):
        raise BadMoment(fault)
    found = _DATE_AND_TIME.fullmatch(text)
    if found:
        return _by_numbers(found, order)
    if _DAY_COUNT.fullmatch(text):
        raise BadMoment("is a spreadsheet's count of days: format the column as yyyy-mm-dd hh:mm, and save it again")
    if _EPOCH.fullmatch(text):
        raise BadMoment(f"looks like a count of seconds, no date: write it like {TIME_FORM}")
    raise BadMoment(f"is not a date and time: write it like {TIME_FORM}")


def _numbered_month(found: re.Match[str]) -> str:
    month = (found[3] or found[4])[:3].lower()
    return f"{found[6]}-{_MONTHS.index(month) + 1:02}-{int(found[1] or found[5]):02}"


def impossible(text: str) -> str | None:
    """
    Return why a date that is written well is no day, or its time none of a day; None where it is written otherwise.
    """
    found = _ISO_PARTS.match(text)
    if found is None:
        return None
    year, month, day, hour, minute = (None if part is None else int(part) for part in found.groups())
    if not (year and month and day):
        return None
    if month > 12:
        return f"has a month {month}: there are 12; write it like {TIME_FORM}"
    days = monthrange(year, month)[1]
    if day > days:
        return f"is no day: {month_name[month]} {year} has {days} days"
    if (hour or 0) > 23 or (minute or 0) > 59:
        return f"is beyond the clock: times are 00:00 to 23:59, like {TIME_FORM}"
    return None


def _by_numbers(found: re.Match[str], order: Order | None) -> datetime | date:
    first, mark, second, third, hour, minute, second_s, half, offset = found.groups()
    year, month, day = _day(first, second, third, order, is_plain=mark != "-")
    _refuse_null((year, month, day))
    try:
        if hour is None:
            return date(year, month, day)
        if minute is None and half is None:
            raise ValueError
        zone = (
            datetime.fromisoformat("2000-01-01T00:00" + offset.upper().replace("UTC", "Z")).tzinfo if offset else None
        )
        return datetime(year, month, day, _hour(int(hour), half), int(minute or 0), int(second_s or 0), tzinfo=zone)
    except ValueError:
        raise BadMoment(f"is not a date and time: write it like {TIME_FORM}") from None


def _day(first: str, second: str, third: str, order: Order | None, *, is_plain: bool) -> tuple[int, int, int]:
    """Year, month and day; where the year is last and both others may be the month, the order says which is."""
    if len(first) == 4:
        return int(first), int(second), int(third)
    if len(first) > 2 or len(third) not in (2, 4):
        raise BadMoment(f"does not say its year in four digits: write it like {TIME_FORM}")
    one, two, year = int(first), int(second), int(third)
    if len(third) == 2:
        # 30/11/26 has its year last wherever day or month comes first; 26-11-30 may have it first.
        year = _in_this_century(year, order if is_plain else None, one, two)
    if one == 0 or two == 0:
        return year, 1, 0  # 00/01/1900 is how a spreadsheet writes an empty date; of other years it is none
    if one <= 12 and two <= 12 and one != two:
        if order is None:
            raise DoubtfulDay(f"may be day and month or month and day: write it like {TIME_FORM}")
        return (year, two, one) if order == "day" else (year, one, two)
    return (year, two, one) if two <= 12 else (year, one, two)


def _in_this_century(year: int, order: Order | None, one: int, two: int) -> int:
    if order is None or (one if order == "day" else two) == 0 or (two if order == "day" else one) > 12:
        raise DoubtfulDay(f"does not say its year in four digits: write it like {TIME_FORM}")
    return 2000 + year


def _hour(hour: int, half: str | None) -> int:
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError
    return hour % 12 + (12 if half in "pP" else 0)


def _refuse_null(day: tuple[int, int, int]) -> None:
    if day in _NULL_DATES:
        year, month, of_month = day
        if year not in YEARS:
            raise BadMoment(f"is in the year {year}, {_NULL}, or give one between {YEARS[0]} and {YEARS[-1]}")
        raise BadMoment(f"is {year:04}-{month:02}-{of_month:02}, {_NULL}")


def _doubt(local: datetime) -> str | None:
    """Return what was made of a time that the clocks there never show that day, or show twice."""
    shown = local.astimezone(UTC).astimezone(local.tzinfo)
    if shown.replace(tzinfo=None) != local.replace(tzinfo=None):
        return f"{local:%H:%M} does not exist that day in {local.tzinfo}: taken as {shown:%H:%M}"
    later = local.replace(fold=1)
    if later.utcoffset() != local.utcoffset():
        return f"{local:%H:%M} comes twice that day in {local.tzinfo}: taken as the first, {local:%z}"
    return None


def _clean(text: str) -> str:
    """The text without the marks of the direction of writing, and with plain spaces."""
    seen = "".join(" " if c.isspace() else c for c in text if unicodedata.category(c) != "Cf")
    return seen.strip()
