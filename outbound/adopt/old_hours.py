"""Opening hours as the old tables have them, in text or JSON, English or Hebrew, as calling hours of a week."""

import json
import re
from collections.abc import Iterator
from typing import Any

from outbound.formats import weekly_hours

_PLACES = {name: place for place, name in enumerate(weekly_hours.WEEKDAYS)}
_NAMES = _PLACES | {
    name: place
    for place, names in enumerate(
        (
            ("monday", "mo", "שני", "ב"),
            ("tuesday", "tues", "tu", "שלישי", "ג"),
            ("wednesday", "weds", "we", "רביעי", "ד"),
            ("thursday", "thurs", "thur", "th", "חמישי", "ה"),
            ("friday", "fr", "שישי", "\u05d5"),
            ("saturday", "sa", "שבת", "ש"),
            ("sunday", "su", "ראשון", "א"),
        )
    )
    for name in names
}
_TIME = re.compile(r"(\d{1,2})(?::?([0-5]\d))?(?::[0-5]\d)?", re.ASCII)
_DASH = re.compile("\\s*(?:[-\u2013\u2014\u05be]|\\bto\\b|\\bעד\\b)\\s*")
_CLOSED = {"", "closed", "off", "none", "null", "false", "סגור"}
_OPEN_KEYS, _CLOSE_KEYS = ("open", "start", "from", "opens", "begin"), ("close", "end", "to", "closes", "until")
_SHUT_KEYS, _IS_OPEN_KEYS = ("closed", "is_closed"), ("is_open", "enabled", "active")


class NoHours(ValueError):
    """These hours cannot be read; the message says why."""


def read(hours_json: str | None, text: str | None, days: str | None) -> tuple[str | None, bool]:
    """
    The hours in the form that hours.of_week reads, and whether they say of which days they are.

    Without days, they are those of every day.  None: they name no hours.

    Args:
        hours_json: what the column of JSON holds, which comes before the others where there is anything.
        text: like `09:00-18:00`, or JSON.
        days: like `sun-thu` or a JSON list of names.

    Raises:
        NoHours: a part of them cannot be read, or no day is open.
    """
    for hours in (hours_json, text):
        value = _value(hours)
        if value in (None, "", {}, []):
            continue
        if isinstance(value, str):
            return _of_text(value, days)
        return _week(dict(_of_json(value))), True
    return None, False


def _value(hours: str | None) -> Any:
    if hours is None:
        return None
    try:
        return json.loads(hours)
    except ValueError:
        return hours.strip()


def _of_text(text: str, days: str | None) -> tuple[str, bool]:
    try:
        return weekly_hours.week_text(weekly_hours.of_week(text)), True
    except weekly_hours.BadHours:
        pass
    shifts = [_shift(part) for part in re.split(r"[,;&]", text)]
    named = _days(days)
    return _week(dict.fromkeys(named if named is not None else range(7), shifts)), named is not None


def _days(text: str | None) -> list[int] | None:
    """The days that are meant; None where there are none, or only numbers, of which nobody knows where they begin."""
    value = _value(text)
    if value in (None, "", []) or isinstance(value, int | float):
        return None
    parts = value if isinstance(value, list) else re.split(r"[,;\s]+", re.sub(_DASH, "-", str(value)))
    if all(str(part).isdigit() for part in parts):
        return None
    return sorted({place for part in parts if part for place in _range(str(part))})


def _range(text: str) -> Iterator[int]:
    first, dash, last = text.partition("-")
    begins = _place(first)
    for step in range((_place(last) - begins) % 7 + 1 if dash else 1):
        yield (begins + step) % 7


def _place(name: str) -> int:
    key = name.strip().strip("'\u05f3").removeprefix("יום").strip().lower()
    if key not in _NAMES:
        raise NoHours("a weekday cannot be read")
    return _NAMES[key]


def _of_json(value: Any) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    if isinstance(value, dict) and "days" in value and isinstance(value["days"], list):
        for name in value["days"]:
            yield _place(str(name)), _shifts({key: of for key, of in value.items() if key != "days"})
    elif isinstance(value, dict):
        for name, of in value.items():
            shifts = _shifts(of)
            for place in _range(str(name)):
                yield place, shifts
    elif isinstance(value, list) and all(isinstance(of, dict) for of in value):
        for of in value:
            name = next((of[key] for key in ("day", "weekday", "name") if key in of), None)
            yield _place(str(name)), _shifts({key: part for key, part in of.items() if part != name})
    else:
        raise NoHours("the JSON is not of days and their hours")


def _shifts(of: Any) -> list[tuple[int, int]]:
    """The shifts of one day, in any of the ways that were seen."""
    if of is None or of is False or (isinstance(of, str) and of.strip().lower() in _CLOSED):
        return []
    if isinstance(of, str):
        return [_shift(part) for part in of.split(",")]
    if isinstance(of, dict):
        if any(of.get(key) is True for key in _SHUT_KEYS) or any(of.get(key) is False for key in _IS_OPEN_KEYS):
            return []
        pair = [next((of[key] for key in keys if key in of), None) for keys in (_OPEN_KEYS, _CLOSE_KEYS)]
        if None in pair:
            raise NoHours("a day has no time from which or to which")
        return [_pair(*pair)]
    if isinstance(of, list):
        if len(of) == 2 and all(isinstance(part, str) and not _DASH.search(part) for part in of):
            return [_pair(*of)]
        return [shift for part in of for shift in _shifts(part)]
    raise NoHours("the hours of a day cannot be read")


def _shift(text: str) -> tuple[int, int]:
    parts = _DASH.split(text.strip())
    if len(parts) != 2:
        raise NoHours("a time from which and to which cannot be read")
    return _pair(*parts)


def _pair(first: Any, last: Any) -> tuple[int, int]:
    begins, ends = _minute(first), _minute(last)
    ends = weekly_hours.DAY_MIN if ends == 0 else ends
    if begins >= ends or ends > weekly_hours.DAY_MIN:
        raise NoHours("hours end before they begin, or go over midnight")
    return begins, ends


def _minute(text: Any) -> int:
    found = _TIME.fullmatch(str(text).strip())
    if found is None or int(found[1]) > 24:
        raise NoHours("a time cannot be read")
    return int(found[1]) * 60 + int(found[2] or 0)


def _week(days: dict[int, list[tuple[int, int]]]) -> str:
    shifts = [
        (place * weekly_hours.DAY_MIN + begins, place * weekly_hours.DAY_MIN + ends)
        for place, of in days.items()
        for begins, ends in of
    ]
    if not shifts:
        raise NoHours("no day is open")
    text = weekly_hours.week_text(sorted(shifts))
    try:
        return weekly_hours.week_text(weekly_hours.of_week(text))
    except weekly_hours.BadHours:
        raise NoHours("hours overlap") from None


def within(week: str, limits: str) -> str | None:
    """The part of *week* that is within *limits*, both in the form of hours.of_week; None where none is."""
    both = [
        (max(one[0], other[0]), min(one[1], other[1]))
        for one in weekly_hours.of_week(week)
        for other in weekly_hours.of_week(limits)
        if max(one[0], other[0]) < min(one[1], other[1])
    ]
    return weekly_hours.week_text(sorted(both)) if both else None
