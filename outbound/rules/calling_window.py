"""Calling windows: at which local times callees may be called, and which businesses and campaigns keep to them."""

import zoneinfo
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from outbound import config, db, names
from outbound.errors import Fault, UserError
from outbound.formats import moments, row_id, time_zones, weekly_hours
from outbound.formats.weekly_hours import BadHours, Shift
from outbound.rules.calling_window_presets import OF_REGION, PRESETS, Days

sql = db.statements("rules/calling_window")

YEARS_AHEAD = 3  # whose days off a preset knows, after the present year
OFF = "off"  # what a day is that is closed
NAMELESS = "a window needs a name, in one line"
UNKNOWN = "there is no window {}: see `outbound window list`"


class BadWindow(UserError):
    """The error where what was given of a window is wrong; the message says what, and nothing was changed."""


class NoSuchWindow(BadWindow):
    """There is no window of this id."""


class Assigned(NamedTuple):
    """Is it another window than before, and how many calls waited for one until now; these are claimed again."""

    is_another: bool
    waited: int


def add(
    name: str,
    week: str,
    *,
    actor: str,
    days_off: Sequence[str] = (),
    half_days: Sequence[str] = (),
    known_until: str | None = None,
    note: str = "",
    own: db.Connection | None = None,
) -> int:
    """
    Add a window and return its id; nobody keeps to it before it is assigned.

    Args:
        week: hours of each weekday, like `sun-thu 09:00-20:00, fri 09:00-13:00`; a weekday that is not there is closed.
        days_off: dates, like 2026-12-25.
        half_days: dates and their hours, like `2026-12-24 09:00-13:00`.
        known_until: the last day that it is good for; after it, it is closed.
        own: the caller's connection, whose transaction this is part of.

    Raises:
        BadWindow: names everything that is wrong at once.
    """
    faults = [Fault("name", fault) for fault in _name_faults(name)]
    if not note.isprintable():
        faults.append(Fault("note", "a note is one line"))
    shifts: list[Shift] = []
    days: Days = {}
    last = None
    with _noting(faults, "hours"):
        shifts = weekly_hours.of_week(week)
    with _noting(faults, "known_until"):
        last = None if known_until is None else _date(known_until)
    for place, text in enumerate(days_off):
        with _noting(faults, f"days_off/{place}"):
            _put(days, _date(text), [])
    for place, text in enumerate(half_days):
        with _noting(faults, f"half_days/{place}"):
            _put(days, *_half_day(text))
    if faults:
        raise BadWindow.of(faults)
    return _add(name, None, shifts, last, note, days, actor, own)


def add_preset(preset: str, *, actor: str, name: str | None = None, own: db.Connection | None = None) -> int:
    """
    Add the window of a preset (us, uk, il) and return its id; it knows the days off of this year and the next three.

    Raises BadWindow.
    """
    if preset not in PRESETS:
        raise BadWindow.about("preset", f"there is no preset {preset}: choose from {', '.join(PRESETS)}")
    name = preset if name is None else name
    if faults := [Fault("name", fault) for fault in _name_faults(name)]:
        raise BadWindow.of(faults)
    of = PRESETS[preset]
    last, days = _days_ahead(preset)
    return _add(name, preset, weekly_hours.of_week(of.hours), last, of.note, days, actor, own)


def of_region(region: str | None, *, actor: str, own: db.Connection) -> db.Row | None:
    """
    The calling hours of a country's preset (`id`, `name`, `hours`), which are added where nobody has; None without one.

    A window of the preset's name counts, even one that somebody added by hand.
    """
    preset = OF_REGION.get(region or "")
    if preset is None:
        return None
    found = sql.find_preset(own, preset=preset)
    if found is None:
        with suppress(BadWindow):  # somebody else adds it at this moment
            add_preset(preset, actor=actor, own=own)
        found = sql.find_preset(own, preset=preset)
    return found and found._replace(hours=weekly_hours.week_text(_shifts(found.hours)))


def set_day(window_id: int, day: str, own: str | None, *, actor: str) -> bool:
    """
    Give one day hours of its own: `09:00-13:00`, or `off` to close it; None makes it like its weekday again.

    Calls that wait for the window are checked again.  Returns whether the day had other hours.

    Raises:
        NoSuchWindow: there is none.
        BadWindow: the day or its hours cannot be read.
    """
    faults: list[Fault] = []
    shifts: list[Shift] | None = None
    with _noting(faults, ""):
        when = _date(day)
    with _noting(faults, "hours"):
        shifts = None if own is None else [] if own == OFF else weekly_hours.of_day(own)
    if faults:
        raise BadWindow.of(faults)
    text = None if shifts is None else _multirange(shifts)

    def write(connection: db.Connection) -> bool:
        window = row_id.possible(window_id)
        is_another = sql.set_day(connection, window_id=window, day=when, hours=text, note="", who=actor)
        if is_another is None:
            raise NoSuchWindow(UNKNOWN.format(window_id))
        _release(connection, window_ids=[window_id])
        return bool(is_another)

    return db.transact(write)


def assign(scope: str, key: int, window_id: int | None, *, actor: str, own: db.Connection | None = None) -> Assigned:
    """
    From now on the calls of a business or a campaign keep to a window, or, with None, to none of its own.

    A campaign's calls keep to its own and to its business's, both.  Calls that wait for a window are checked again.

    Args:
        scope: business or campaign; *key* is its id.

    Raises:
        BadWindow: there is no such window, or no such business or campaign; the message says which of them.
    """

    def write(connection: db.Connection) -> Assigned:
        wanted = None if window_id is None else row_id.possible(window_id)
        is_another = sql.set_window(connection, scope=scope, id=row_id.possible(key), window_id=wanted, who=actor)
        if is_another is None:
            is_there = wanted is None or sql.is_window(connection, window_id=wanted)
            if is_there:
                raise BadWindow(f"there is no {scope} {key}: see `outbound {scope} list`")
            raise BadWindow.about("window_id", UNKNOWN.format(window_id))
        business_id, campaign_id = (key, None) if scope == "business" else (None, key)
        return Assigned(bool(is_another), _release(connection, business_id=business_id, campaign_id=campaign_id))

    return db.transact(write, own)


def refresh(*, actor: str) -> list[db.Row]:
    """Let the windows of presets know the days off of this year and the next three; return those that learned some."""

    def write(connection: db.Connection) -> list[db.Row]:
        learned: list[db.Row] = []
        for preset in sorted(PRESETS):
            last, days = _days_ahead(preset)
            if last is not None:
                learned += sql.extend_windows(connection, preset=preset, known_until=last, who=actor, **_columns(days))
        _release(connection, window_ids=[window.id for window in learned])
        return learned

    return db.transact(write)


def every() -> list[db.Row]:
    """All windows, who keeps to them, and how many days they have of their own; `hours` is what `add` reads."""
    return _listed(with_keepers=True)[::-1]


def page(business_id: int | None = None, *, before: int | None = None, limit: int | None = None) -> list[db.Row]:
    """
    All windows, or the common ones and those that a business or a campaign of it keeps to, the newest first.

    Args:
        before: only those with a smaller id; *limit*: so many at most; None for no bound.
    """
    return _listed(business_id=business_id, before_id=before, page_max=limit)


def one(window_id: int, business_id: int | None = None) -> tuple[db.Row, list[db.Row]]:
    """
    A window and its days, each with the hours that `set_day` reads.

    Raises:
        NoSuchWindow: there is none, or it is not among those of the business.
    """
    found = _listed(window_id=row_id.possible(window_id), business_id=business_id, with_keepers=True, page_max=1)
    if not found:
        raise NoSuchWindow(UNKNOWN.format(window_id))
    days = db.run(sql.list_days, window_id=window_id)
    return found[0], [day._replace(hours=weekly_hours.day_text(_shifts(day.hours)) or OFF) for day in days]


def _listed(
    *,
    window_id: int | None = None,
    business_id: int | None = None,
    with_keepers: bool = False,
    before_id: int | None = None,
    page_max: int | None = None,
) -> list[db.Row]:
    rows = db.run(
        sql.list_windows,
        window_id=window_id,
        business_id=business_id,
        with_keepers=with_keepers,
        before_id=before_id,
        page_max=page_max,
    )
    return [row._replace(hours=weekly_hours.week_text(_shifts(row.hours))) for row in rows]


def opens_at(window_id: int, time_zone: str) -> datetime | None:
    """
    Return when a call may next be dialed there, so that the window stays open for its ring, by their clocks.

    That is now, where it is open.

    None where it is never within 15 days.  Raises BadWindow.
    """
    settings = config.settings()
    for_s = settings.claim_s + settings.ring_s
    try:
        zone = time_zones.present(time_zone, zoneinfo.available_timezones())
    except time_zones.BadTimeZone as fault:
        raise BadWindow(f"{time_zone} {fault}") from None
    found = db.run(sql.find_opening, window_id=row_id.possible(window_id), zone=zone, for_s=for_s)
    if not found.is_zone:
        raise BadWindow(f"{zone} is not an IANA time zone that the database knows, like Asia/Jerusalem")
    opening: datetime | None = found.opens_at
    return opening and opening.astimezone(zoneinfo.ZoneInfo(zone))


def _add(
    name: str,
    preset: str | None,
    shifts: Sequence[Shift],
    known_until: date | None,
    note: str,
    days: Days,
    actor: str,
    own: db.Connection | None,
) -> int:
    name = name.strip()
    values = {"name": name, "preset": preset, "hours": _multirange(shifts), "known_until": known_until, "note": note}
    try:
        return int(
            db.transact(lambda connection: sql.add_window(connection, **values, **_columns(days), who=actor), own)
        )
    except db.Conflict:
        message = f"there is a window {name} already: give this one another name"
        raise BadWindow.about("name", message) from None


def _release(
    connection: db.Connection,
    *,
    window_ids: Sequence[int] = (),
    business_id: int | None = None,
    campaign_id: int | None = None,
) -> int:
    released = sql.release_held_calls(
        connection, window_ids=list(window_ids), business_id=business_id, campaign_id=campaign_id
    )
    return int(released.calls)


def _days_ahead(preset: str) -> tuple[date | None, Days]:
    days_off = PRESETS[preset].days_off
    if days_off is None:
        return None, {}
    year = _this_year()
    return date(year + YEARS_AHEAD, 12, 31), days_off(range(year, year + YEARS_AHEAD + 1))


def _this_year() -> int:
    return datetime.now(UTC).year  # of a horizon, not of a deadline: any clock will do


def _columns(days: Days) -> dict[str, list[object]]:
    return {
        "days": list(days),
        "day_hours": [_multirange(shifts) for shifts, _ in days.values()],
        "day_notes": [note for _, note in days.values()],
    }


def _multirange(shifts: Sequence[Shift]) -> str:
    return "{" + ",".join(f"[{first},{last})" for first, last in shifts) + "}"


def _shifts(multirange: Iterable[Any]) -> list[Shift]:
    return [(shift.lower, shift.upper) for shift in multirange]


@contextmanager
def _noting(faults: list[Fault], field: str) -> Iterator[None]:
    try:
        yield
    except BadHours as fault:
        faults.append(Fault(field, str(fault)))


def _put(days: Days, day: date, shifts: list[Shift]) -> None:
    if day in days:
        raise BadHours(f"{day} is there twice")
    days[day] = shifts, ""


def _half_day(text: str) -> tuple[date, list[Shift]]:
    day, _, own = text.strip().partition(" ")
    if not own:
        raise BadHours(f"`{text}` has no hours: write it like `2026-12-24 09:00-13:00`; a day without any is a day off")
    return _date(day), weekly_hours.of_day(own)


def _date(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 (a day on the wall, in whichever zone)
    except ValueError:
        raise BadHours(f"`{text}` {moments.impossible(text) or 'is not a date: write it like 2026-12-25'}") from None


def _name_faults(name: str) -> list[str]:
    if not name.strip() or not name.isprintable():
        return [NAMELESS]
    return [names.DIGITS] if row_id.read(name.strip()) is not None else []
