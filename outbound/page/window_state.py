"""Calling windows as a week of shifts, who keeps to them, and whether they are open by a business's clocks."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from markupsafe import Markup

from outbound import db
from outbound.formats import weekly_hours
from outbound.formats.weekly_hours import DAY_MIN
from outbound.page.words import Words
from outbound.rules import calling_window

sql = db.statements("page/window_state")

KEEPERS_MAX = 100
DAYS_MAX = 200  # of the days ahead
_SOON_DAYS = 60  # days; a window that knows the holidays of fewer is marked


class Bar(NamedTuple):
    """A shift in the picture of a day: where it begins and how long it is, in minutes."""

    begins: int
    length: int


class Day(NamedTuple):
    """The hours of a day: as bars, and as people write them; '' of a closed one."""

    name: str
    bars: list[Bar]
    hours: str


def counts(business_id: int | None) -> dict[int, db.Row]:
    """How many businesses and campaigns keep to each window."""
    return {row.id: row for row in db.run(sql.count_keepers, business_id=business_id)}


def keepers(window_id: int, business_id: int | None) -> list[db.Row]:
    """The businesses and campaigns that keep to a window."""
    return list(db.run(sql.find_keepers, window_id=window_id, business_id=business_id, rows_max=KEEPERS_MAX))


def week(hours: str, t: Words) -> list[Day]:
    """The seven days of hours like `sun-thu 09:00-20:00`, in the order of the language."""
    shifts = weekly_hours.of_week(hours)
    return [_day(name, weekly_hours.on_weekday(shifts, place)) for place, name in t.weekdays()]


def ahead(window: dict[str, Any], t: Words) -> list[dict[str, Any]]:
    """The days from yesterday on that have hours of their own; yesterday, since it is not over everywhere."""
    first = (datetime.now(UTC) - timedelta(days=1)).date()
    notes = {row.day.isoformat(): row.note for row in db.run(sql.find_notes, window_id=window["id"], rows_max=DAYS_MAX)}
    coming = [day for day in window["days"] if day["day"] >= first.isoformat()][:DAYS_MAX]
    return [
        day | {"drawn": _day(t.date(day["day"]), _of_day(day["hours"])), "note": notes.get(day["day"])}
        for day in coming
    ]


def _of_day(hours: str) -> list[weekly_hours.Shift]:
    return [] if hours == calling_window.OFF else weekly_hours.of_day(hours)


def _day(name: str, shifts: list[weekly_hours.Shift]) -> Day:
    bars = [Bar(first, min(last, DAY_MIN) - first) for first, last in shifts]
    return Day(name, bars, weekly_hours.day_text(shifts))


def sentence(window: dict[str, Any], in_zone: str, t: Words) -> Markup:
    """Is a window open there now, and if not, when next."""
    opens_at = calling_window.opens_at(window["id"], in_zone)
    values = {"name": window["name"], "zone": t.zone(in_zone)}
    if opens_at is None:
        return t("window.is.closed", **values)
    if opens_at <= datetime.now(UTC):
        return t("window.is.open", **values)
    return t("window.is.later", at=t.moment(opens_at, in_zone), **values)


def is_nearly_unknown(known_until: str | None) -> bool:
    """Are the days ahead known for a short while only?"""
    soon = (datetime.now(UTC) + timedelta(days=_SOON_DAYS)).date()
    return known_until is not None and known_until < soon.isoformat()
