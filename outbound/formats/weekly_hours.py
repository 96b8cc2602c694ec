"""Calling hours as people write them, `sun-thu 09:00-20:00, fri 09:00-13:00`, and as minutes of a week or of a day."""

import re
from collections.abc import Callable, Iterable
from itertools import groupby, pairwise

DAY_MIN = 24 * 60
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK_FORM = "write it like `sun-thu 09:00-20:00, fri 09:00-13:00`"
DAY_FORM = "write it like `09:00-13:00`"

Shift = tuple[int, int]  # from the first minute up to the second, which is outside

_SHIFT = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})", re.ASCII)
_PLACES = {name: place for place, name in enumerate(WEEKDAYS)} | {
    name: place
    for place, name in enumerate(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))
}


class BadHours(ValueError):
    """These are no calling hours; the message says why, and how to write them."""


def of_week(text: str) -> list[Shift]:
    """
    Minutes of a week that begins on Monday at 00:00, sorted; at least one shift.

    Days are names or ranges of names, which may run over the weekend (`sat-mon`); 24:00 is the end of a day.

    Raises:
        BadHours: names the first part that is wrong: a weekday or a time that is none, a shift that is empty or goes
            over midnight, hours that overlap.
    """
    shifts: list[Shift] = []
    for part in text.split(","):
        *days, times = part.split() or [""]
        if not days:
            raise BadHours(f"`{part.strip()}` is not a weekday and its hours: {WEEK_FORM}")
        begins, ends = _shift(times, WEEK_FORM)
        shifts += [(place * DAY_MIN + begins, place * DAY_MIN + ends) for place in _places(days)]
    return _apart(shifts, week_text)


def of_day(text: str) -> list[Shift]:
    """
    Minutes of one day, sorted; at least one shift.

    Raises:
        BadHours: as of_week does.
    """
    return _apart([_shift(part.strip(), DAY_FORM) for part in text.split(",")], day_text)


def week_text(shifts: Iterable[Shift]) -> str:
    """Return what of_week reads, in the shortest way: days that are alike and follow each other are one range."""
    daily = [on_weekday(shifts, place) for place in range(7)]
    week = [6, *range(6)] if daily[6] == daily[0] != daily[5] else range(7)  # sun-thu is not sun and mon-thu
    parts = []
    for hours, run in groupby(week, key=daily.__getitem__):
        days = [WEEKDAYS[place] for place in run]
        name = days[0] if len(days) == 1 else f"{days[0]}-{days[-1]}"
        parts += [f"{name} {_text(shift)}" for shift in hours]
    return ", ".join(parts)


def day_text(shifts: Iterable[Shift]) -> str:
    """Return what of_day reads."""
    return ", ".join(_text(shift) for shift in shifts)


def on_weekday(shifts: Iterable[Shift], place: int) -> list[Shift]:
    """The hours of one weekday, Monday being 0, as minutes of a day."""
    begins = place * DAY_MIN
    cut = [(max(first - begins, 0), min(last - begins, DAY_MIN)) for first, last in shifts]
    return [(first, last) for first, last in cut if first < last]


def _text(shift: Shift) -> str:
    return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in shift)


def _places(days: list[str]) -> list[int]:
    places = []
    for day in days:
        first, dash, last = (name.lower() for name in day.partition("-"))
        for name in (first, last) if dash else (first,):
            if name not in _PLACES:
                raise BadHours(f"`{name or day}` is not a weekday: {WEEK_FORM}")
        begins = _PLACES[first]
        length = (_PLACES[last] - begins) % 7 + 1 if dash else 1
        places += [(begins + step) % 7 for step in range(length)]
    return places


def _shift(text: str, form: str) -> Shift:
    found = _SHIFT.fullmatch(text)
    if found is None:
        raise BadHours(f"`{text}` is not a time from which and a time to which: {form}")
    hour, minute, until_hour, until_minute = map(int, found.groups())
    begins, ends = hour * 60 + minute, until_hour * 60 + until_minute
    if minute > 59 or until_minute > 59 or begins >= DAY_MIN or ends > DAY_MIN:
        raise BadHours(f"`{text}` is beyond the clock: times are 00:00 to 24:00")
    if begins == ends:
        raise BadHours(f"`{text}` is empty; a whole day is 00:00-24:00")
    if begins > ends:
        first = _text((begins, DAY_MIN))
        if ends == 0:
            raise BadHours(f"`{text}` ends before it begins: write {first}")
        raise BadHours(f"`{text}` goes over midnight: write {first} for that day and {_text((0, ends))} for the next")
    return begins, ends


def _apart(shifts: list[Shift], text: Callable[[list[Shift]], str]) -> list[Shift]:
    shifts = sorted(shifts)
    for one, next_one in pairwise(shifts):
        if next_one[0] < one[1]:
            raise BadHours(f"{text([one])} and {text([next_one])} overlap: write each hour once")
    return shifts
