"""Calling hours that are common where people are called: policy, to begin with, and never legal advice."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from outbound.formats import weekly_hours
from outbound.formats.weekly_hours import Shift

Days = dict[date, tuple[list[Shift], str]]  # hours of days that are not like their weekday, none where closed, and why

FRIDAY = 4


@dataclass(frozen=True)
class Preset:
    """Hours of the week, and what the days of some years are that are not like their weekday."""

    hours: str
    note: str
    days_off: Callable[[Iterable[int]], Days] | None = None  # None: every day of the year is like its weekday


def _england(years: Iterable[int]) -> Days:
    import holidays  # it takes 50 ms, and only two commands want it

    return {day: ([], name) for day, name in sorted(holidays.country_holidays("GB", "ENG", years).items())}


def _israel(years: Iterable[int]) -> Days:
    """Rest days closed; the day before one like a Friday, unless its weekday is closed anyway."""
    import holidays

    closed = sorted(holidays.country_holidays("IL", years=years, language="en_US").items())
    week = weekly_hours.of_week(PRESETS["il"].hours)
    friday = weekly_hours.on_weekday(week, FRIDAY)
    days: Days = {}
    for day, name in closed:
        eve = day - timedelta(days=1)
        if weekly_hours.on_weekday(week, eve.weekday()):  # Saturday is closed, eve or not
            days.setdefault(eve, (friday, f"eve of {name}"))
        days[day] = ([], name)
    return dict(sorted(days.items()))


# Which preset is whose; the federal hours of the United States count in its territories as well.
OF_REGION = dict.fromkeys(("US", "PR", "GU", "VI", "AS", "MP"), "us") | {"GB": "uk", "IL": "il"}

PRESETS = {
    "us": Preset(
        "mon-sun 08:00-21:00",
        "Policy, not legal advice. The federal hours of the TSR and the TCPA, by the clocks of the called party, every"
        " day. Not in it: what states add (shorter hours, Sundays, holidays: FL, MD, OK, TX, WA and others), consent,"
        " do-not-call lists. A mobile may be far from its area code: state time_zone where it is known.",
    ),
    "uk": Preset(
        "mon-fri 09:00-20:00, sat 09:00-17:00",
        "Policy, not legal advice: no British statute names hours. Closed on Sundays and the bank holidays of England"
        " and Wales. Not in it: bank holidays of Scotland and Northern Ireland, days that are proclaimed later"
        " (`outbound window refresh` learns them with a newer version), TPS screening, consent.",
        _england,
    ),
    "il": Preset(
        "sun-thu 09:00-20:00, fri 09:00-13:00",
        "Policy, not legal advice: no Israeli statute names hours. Days of rest and Independence Day are closed, their"
        " eves end at 13:00 as Fridays do, and nobody is called from then to Saturday night. Not in it: the weekdays of"
        " Passover and Sukkot, Holocaust Remembrance Day, the Ninth of Av, holidays of other faiths (close them with"
        " `outbound window day`), the do-not-call registry, consent.",
        _israel,
    ),
}
