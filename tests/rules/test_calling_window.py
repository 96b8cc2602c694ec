"""When callees may be called, by the clocks at their place, and whose calls keep to it."""

import json
import random
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import phonenumbers
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from phonenumbers.timezone import time_zones_for_number
from phonenumbers.tzdata import TIMEZONE_DATA
from typer.testing import CliRunner

from outbound import db, logs, os_user
from outbound.calls import dispatch
from outbound.cli import app
from outbound.errors import UserError
from outbound.formats import weekly_hours
from outbound.formats.weekly_hours import BadHours
from outbound.rules import calling_window
from outbound.rules.calling_window import BadWindow
from outbound.rules.calling_window_presets import PRESETS
from tests.conftest import CLAIM, World

pytestmark = pytest.mark.rows_only

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
HORIZON = timedelta(days=15)
STEP = timedelta(minutes=5)  # every hour and every clock change of these tests is at a multiple of it
ALWAYS = "mon-sun 00:00-24:00"
NIGHT = "mon-sun 00:00-01:40, mon-sun 02:20-03:10, mon-sun 23:15-24:00"
HELLO = "<Response/>"
HADAR = "+97231234567"

# Facts of the calendars, written down by hand.
REST_DAYS = """
    2026-04-02 2026-04-08 2026-04-22 2026-05-22 2026-09-12 2026-09-13 2026-09-21 2026-09-26 2026-10-03
    2027-04-22 2027-04-28 2027-05-12 2027-06-11 2027-10-02 2027-10-03 2027-10-11 2027-10-16 2027-10-23
"""
BANK_HOLIDAYS = """
    2026-01-01 2026-04-03 2026-04-06 2026-05-04 2026-05-25 2026-08-31 2026-12-25 2026-12-26 2026-12-28
    2027-01-01 2027-03-26 2027-03-29 2027-05-03 2027-05-31 2027-08-30 2027-12-25 2027-12-26 2027-12-27 2027-12-28
"""
rest_days, bank_holidays = ({date.fromisoformat(day) for day in days.split()} for days in (REST_DAYS, BANK_HOLIDAYS))

RENAMED = {
    "Africa/Asmera": "Africa/Asmara",
    "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
    "America/Godthab": "America/Nuuk",
    "Asia/Calcutta": "Asia/Kolkata",
    "Asia/Choibalsan": "Asia/Ulaanbaatar",
    "Asia/Katmandu": "Asia/Kathmandu",
    "Asia/Rangoon": "Asia/Yangon",
    "Atlantic/Faeroe": "Atlantic/Faroe",
    "Pacific/Enderbury": "Pacific/Kanton",
    "Pacific/Ponape": "Pacific/Pohnpei",
    "Pacific/Truk": "Pacific/Chuuk",
}
MOBILE = "2992 2994 2995 346 347 5939 614 642 68988 68989 79 9765 9766 9767 9768 9769"

Rule = Callable[[datetime], bool]  # is this local time within the hours?


def us(local: datetime) -> bool:
    return 8 <= local.hour < 21


def uk(local: datetime) -> bool:
    if local.date() in bank_holidays or local.weekday() == 6:
        return False
    return 9 <= local.hour < (17 if local.weekday() == 5 else 20)


def il(local: datetime) -> bool:
    if local.date() in rest_days or local.weekday() == 5:
        return False
    short = local.weekday() == 4 or local.date() + timedelta(days=1) in rest_days
    return 9 <= local.hour < (13 if short else 20)


def night(local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    return minute < 100 or 140 <= minute < 190 or minute >= 1395


def opening(rules: Iterable[Rule], zones: Iterable[str], after: datetime, for_s: float) -> datetime | None:
    """What next_opening must say, found by looking at every clock at every fifth minute."""
    clocks = [ZoneInfo(zone) for zone in zones]
    rules = list(rules)
    asked: dict[datetime, bool] = {}

    def is_open(slot: datetime) -> bool:
        if slot not in asked:
            asked[slot] = all(rule(slot.astimezone(clock)) for clock in clocks for rule in rules)
        return asked[slot]

    slot = after - (after - BEGIN) % STEP
    moment = after
    while slot < after + HORIZON:
        until, ring = moment + timedelta(seconds=for_s), slot
        while ring <= until and is_open(ring):
            ring += STEP
        if ring > until:
            return moment if until < after + HORIZON else None
        slot = moment = ring + STEP
    return None


@cache
def clock_changes(zone: str) -> list[datetime]:
    """When clocks are changed there, as zoneinfo knows it."""
    clock = ZoneInfo(zone)

    def ahead(moment: datetime) -> timedelta | None:
        return moment.astimezone(clock).utcoffset()

    changes = []
    day = BEGIN - timedelta(days=20)
    while day < END + timedelta(days=20):
        following = day + timedelta(days=1)
        if ahead(day) != ahead(following):
            quarters = (day + timedelta(minutes=minute) for minute in range(15, 1441, 15))
            changes.append(next(quarter for quarter in quarters if ahead(quarter) != ahead(day)))
        day = following
    return changes


@pytest.fixture
def in_2026(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset has the days off of 2026 and of the years ahead, whatever year it is now."""
    monkeypatch.setattr(calling_window, "_this_year", lambda: 2026)


def all_zones(world: World) -> list[str]:
    return [row.zone for row in world.rows("select distinct unnest(zones) as zone from phone_zone order by 1")]


_same: list[str] = []


def zones_of_one_mind(world: World) -> list[str]:
    """The zones of which this server and this Python's zoneinfo know the same: laws change faster than packages."""
    if _same:
        return _same
    zones = all_zones(world)
    moments = sorted(
        {BEGIN + timedelta(days=day) for day in range(0, 750, 5)}
        | {change - before for zone in zones for change in clock_changes(zone) for before in (timedelta(0), STEP)}
    )
    rows = world.rows(
        "select zone, array_agg(extract(epoch from clock_ahead(zone, at))::integer order by at) as ahead"
        " from unnest(%s::text[]) as zone cross join unnest(%s::timestamptz[]) as at group by zone order by zone",
        zones,
        moments,
    )
    for zone, ahead in rows:
        clock = ZoneInfo(zone)
        if ahead == [int((moment.astimezone(clock).utcoffset() or timedelta()).total_seconds()) for moment in moments]:
            _same.append(zone)
    assert len(_same) >= len(zones) - 10
    return _same


def next_openings(world: World, questions: list[tuple[list[int], list[str], datetime]], for_s: float) -> list[datetime]:
    """All in one query."""
    asked = json.dumps([[windows, zones, after.isoformat()] for windows, zones, after in questions])
    rows = world.rows(
        "select next_opening(array(select value::bigint from jsonb_array_elements_text(question -> 0)),"
        " array(select jsonb_array_elements_text(question -> 1)), (question ->> 2)::timestamptz, %s) as opens_at"
        " from jsonb_array_elements(%s::jsonb) with ordinality as asked (question, place) order by place",
        for_s,
        asked,
    )
    return [row.opens_at for row in rows]


def next_opening(world: World, windows: list[int], zones: list[str], after: datetime, for_s: float) -> datetime | None:
    (found,) = next_openings(world, [(windows, zones, after)], for_s)
    return found


def add(week: str, name: str = "hours", **more: object) -> int:
    return calling_window.add(name, week, actor="Dana", **more)  # type: ignore[arg-type]


def local(text: str, zone: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


# What next_opening says, against clocks that are read one by one.


def test_every_preset_opens_when_the_clocks_of_every_zone_say_so(world: World, in_2026: None) -> None:
    rules = [
        (calling_window.add_preset(preset, actor="Dana"), rule) for preset, rule in (("us", us), ("uk", uk), ("il", il))
    ]
    dice = random.Random(8)
    questions, expected = [], []
    for zone in zones_of_one_mind(world):
        moments = [
            BEGIN + timedelta(seconds=dice.randrange(int((END - HORIZON - BEGIN).total_seconds()))) for _ in rules
        ]
        moments += [change - timedelta(hours=dice.randrange(12)) for change in clock_changes(zone)[1:3]]
        for moment, (window_id, rule) in zip(moments, rules + rules, strict=False):
            questions.append(([window_id], [zone], moment))
            expected.append(opening([rule], [zone], moment, 75))

    assert next_openings(world, questions, 75) == expected


def test_on_the_night_when_clocks_change_the_hours_are_what_the_clocks_show(world: World) -> None:
    window_id = add(NIGHT)
    questions, expected = [], []
    for zone in zones_of_one_mind(world):
        for change in clock_changes(zone):
            for minutes in (-190, -61, -1, 0, 55):
                moment = change + timedelta(minutes=minutes, seconds=-30)
                questions.append(([window_id], [zone], moment))
                expected.append(opening([night], [zone], moment, 45))

    assert len(questions) > 1000
    assert next_openings(world, questions, 45) == expected


cuts = st.sets(st.integers(0, 288), max_size=4).map(sorted)
shifts = cuts.map(lambda cuts: list(zip(cuts[::2], cuts[1::2], strict=False)))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_hours_in_any_zones_open_when_all_clocks_say_so(world: World, data: st.DataObject) -> None:
    zones = data.draw(st.lists(st.sampled_from(zones_of_one_mind(world)), min_size=1, max_size=3, unique=True), "zones")
    change = data.draw(st.sampled_from([BEGIN + timedelta(days=90), *clock_changes(zones[0])[1:-1]]), "near")
    after = change + timedelta(seconds=data.draw(st.integers(-17 * 86400, 86400), "seconds"))
    for_s = data.draw(st.integers(15, 7200), "for_s")
    with world.connection.transaction(force_rollback=True):
        windows, rules = [], []
        for place in range(data.draw(st.integers(1, 2), "windows")):
            week = data.draw(st.lists(shifts, min_size=7, max_size=7).filter(any), "week")
            days = {
                (change + timedelta(days=day)).date(): own
                for day, own in data.draw(st.dictionaries(st.integers(-16, 16), shifts, max_size=3), "days").items()
            }
            windows.append(_write(world, place, week, days))
            rules.append(_rule(week, days))

        found = next_opening(world, windows, zones, after, for_s)

    assert found == opening(rules, zones, after, for_s)


Shifts = list[tuple[int, int]]  # in slots of five minutes


def _write(world: World, place: int, week: list[Shifts], days: dict[date, Shifts]) -> int:
    def multirange(shifts: Shifts, day: int = 0) -> str:
        return ",".join(f"[{day * 1440 + first * 5},{day * 1440 + last * 5})" for first, last in shifts)

    weekly = ",".join(filter(None, (multirange(shifts, day) for day, shifts in enumerate(week))))
    add = "insert into calling_window (name, hours) values (%s, %s::int4multirange) returning id"
    window_id = int(world.value(add, f"window {place}", f"{{{weekly}}}"))
    for day, own in days.items():
        world.do(
            "insert into calling_day (window_id, day, hours) values (%s, %s, %s::int4multirange)",
            window_id,
            day,
            f"{{{multirange(own)}}}",
        )
    return window_id


def _rule(week: list[Shifts], days: dict[date, Shifts]) -> Rule:
    def rule(local: datetime) -> bool:
        slot = (local.hour * 60 + local.minute) // 5
        return any(first <= slot < last for first, last in days.get(local.date(), week[local.weekday()]))

    return rule


def test_no_zone_changes_its_clocks_twice_within_what_one_look_sees(world: World) -> None:
    for zone in all_zones(world):
        changes = clock_changes(zone)
        assert all(later - earlier > timedelta(days=16) for earlier, later in pairwise(changes))


# Windows by example.


def test_a_window_that_would_close_during_the_ring_is_closed(world: World) -> None:
    window_id = calling_window.add_preset("us", actor="Dana")
    zone = "America/New_York"

    just = next_opening(world, [window_id], [zone], local("2026-07-06 20:58:59", zone), 60)
    late = next_opening(world, [window_id], [zone], local("2026-07-06 20:59:00", zone), 60)

    assert just == local("2026-07-06 20:58:59", zone)
    assert late == local("2026-07-07 08:00", zone)


def test_where_a_number_may_be_in_several_zones_it_is_called_when_all_are_open(world: World) -> None:
    window_id = calling_window.add_preset("us", actor="Dana")
    zones = ["America/New_York", "America/Los_Angeles"]

    found = next_opening(world, [window_id], zones, local("2026-07-06 08:00", zones[0]), 60)
    late = next_opening(world, [window_id], zones, local("2026-07-06 21:00", zones[0]), 60)

    assert found == local("2026-07-06 08:00", zones[1])
    assert late == local("2026-07-07 08:00", zones[1])


def test_zones_and_windows_that_never_open_together_never_open(world: World) -> None:
    morning, evening = add("mon-sun 09:00-12:00", "morning"), add("mon-sun 18:00-20:00", "evening")
    after = local("2026-07-06 10:00", "Asia/Jerusalem")

    assert next_opening(world, [morning, evening], ["Asia/Jerusalem"], after, 60) is None
    assert next_opening(world, [morning], ["Asia/Jerusalem", "America/New_York"], after, 60) is None
    assert next_opening(world, [morning], [], after, 60) is None


def test_an_israeli_holiday_is_closed_from_its_eve_at_one_until_the_morning_after(world: World, in_2026: None) -> None:
    window_id = calling_window.add_preset("il", actor="Dana")
    zone = "Asia/Jerusalem"

    def found(text: str) -> datetime | None:
        return next_opening(world, [window_id], [zone], local(text, zone), 60)

    assert found("2026-09-11 12:00") == local("2026-09-11 12:00", zone)  # Friday, and the eve of Rosh Hashanah
    assert found("2026-09-11 13:00") == local("2026-09-14 09:00", zone)
    assert found("2026-09-20 12:00") == local("2026-09-20 12:00", zone)  # Sunday, the eve of Yom Kippur
    assert found("2026-09-20 13:00") == local("2026-09-22 09:00", zone)
    assert found("2026-07-10 13:00") == local("2026-07-12 09:00", zone)  # any Friday
    assert found("2026-03-26 20:00") == local("2026-03-27 09:00", zone)  # clocks go forward on this Friday


def test_after_the_last_day_that_is_known_a_window_is_closed(world: World) -> None:
    window_id = add(ALWAYS, known_until="2026-07-06")

    assert next_opening(world, [window_id], ["UTC"], local("2026-07-06 23:00", "UTC"), 60) is not None
    assert next_opening(world, [window_id], ["UTC"], local("2026-07-07 00:00", "UTC"), 60) is None
    assert next_opening(world, [window_id], ["UTC"], local("2026-09-07 12:00", "UTC"), 60) is None


def test_an_hour_that_comes_twice_is_open_twice_and_one_that_is_skipped_never(world: World) -> None:
    window_id = add("mon-sun 02:10-02:30")
    zone = "Europe/Berlin"

    autumn, spring = "2026-10-25", "2026-03-29"
    once = next_opening(world, [window_id], [zone], local(f"{autumn} 02:00", zone), 60)
    again = next_opening(world, [window_id], [zone], local(f"{autumn} 02:30", zone), 60)
    skipped = next_opening(world, [window_id], [zone], local(f"{spring} 01:59", zone), 60)

    assert once == local(f"{autumn} 02:10", zone)
    assert again == local(f"{autumn} 02:10", zone, fold=1)
    assert skipped == local("2026-03-30 02:10", zone)


# Where a number is.


def test_the_zones_of_numbers_are_those_of_libphonenumber(world: World) -> None:
    expected = {
        prefix: sorted({RENAMED.get(zone, zone) for zone in zones})
        for prefix, zones in TIMEZONE_DATA.items()
        if prefix not in MOBILE.split()
    }

    assert {row.prefix: row.zones for row in world.rows("select * from phone_zone")} == expected


def test_every_zone_of_a_number_is_known_to_the_database_and_to_python(world: World) -> None:
    zones = all_zones(world)

    assert [zone for zone in zones if not world.value("select is_time_zone(%s)", zone)] == []
    assert [ZoneInfo(zone).key for zone in zones] == zones


def test_a_mobile_of_no_place_may_be_anywhere_in_its_country(world: World) -> None:
    shared = {"1", "262", "7"}  # codes of several countries: there a number's own country is enough
    regions = [r for r in phonenumbers.SUPPORTED_REGIONS if str(phonenumbers.country_code_for_region(r)) not in shared]
    examples = [
        number
        for region in [*regions, "RU"]
        if (number := phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE))
    ]
    for number in examples:
        e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        zones = world.value("select callee_zones(%s, null)", e164)
        assert _clocks(zones) == _clocks(time_zones_for_number(number)), e164[:5]


def _clocks(zones: Iterable[str]) -> set[tuple[timedelta | None, ...]]:
    """What the clocks of the zones show in the four quarters of a year."""
    quarters = [datetime(2026, month, 15, tzinfo=UTC) for month in (1, 4, 7, 10)]
    return {tuple(moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in quarters) for zone in zones}


def test_a_stated_zone_counts_before_the_number_s_and_some_numbers_have_none(world: World) -> None:
    def zones(number: str, stated: str | None) -> object:
        return world.value("select callee_zones(%s, %s)", number, stated)

    assert zones("+12125550101", None) == ["America/New_York"]
    assert zones("+12125550101", "America/Denver") == ["America/Denver"]
    assert len(world.value("select callee_zones('+18005550101', null)")) > 10
    assert zones("+80012345678", None) == []


# What the claim makes of it.


def later_today(world: World) -> tuple[str, datetime]:
    """Hours that are closed now, in UTC, and the moment at which they open."""
    now = world.value("select now()").astimezone(UTC)
    opens_at = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)
    ends = "24:00" if opens_at.hour == 23 else f"{opens_at.hour + 1:02}:00"
    return f"mon-sun {opens_at.hour:02}:00-{ends}", opens_at


def in_utc(world: World, call_id: int) -> int:
    world.do("update call_log set time_zone = 'UTC' where id = %s", call_id)
    return call_id


def test_a_call_outside_its_hours_waits_for_them_and_is_dialed_then(world: World, nudges: list[object]) -> None:
    business_id = world.business()
    call_id = in_utc(world, world.queued(business_id))
    world.worker()
    week, opens_at = later_today(world)
    window_id = add(week)
    calling_window.assign("business", business_id, window_id, actor="Dana")

    dispatch.dispatch_once()

    held = world.call(call_id)
    assert (held.status, held.held_by, held.due_at, held.attempt) == ("queued", "outside_window", opens_at, 1)
    assert nudges == []
    world.do("update calling_window set hours = '{[0,10080)}'")  # the hours come ...
    dispatch.dispatch_once()
    assert world.call(call_id).status == "queued"
    world.age(call_id, 7200)
    dispatch.dispatch_once()  # ... and with them its turn
    assert (world.call(call_id).status, world.call(call_id).held_by) == ("claimed", None)


def test_a_campaign_keeps_to_its_own_hours_and_to_its_business_s(world: World, nudges: list[object]) -> None:
    business_id = world.business()
    campaign_id = world.value("insert into campaign (business_id, name) values (%s, 'A') returning id", business_id)
    of_campaign = in_utc(world, world.queued(business_id))
    world.do("update call_log set campaign_id = %s", campaign_id)
    of_business = in_utc(world, world.queued(business_id, "+15005550102"))
    world.worker()
    week, _ = later_today(world)
    always, closed = add(ALWAYS, "always"), add(week, "closed")
    calling_window.assign("business", business_id, always, actor="Dana")
    calling_window.assign("campaign", campaign_id, closed, actor="Dana")

    dispatch.dispatch_once()

    assert world.call(of_business).status == "claimed"
    assert world.call(of_campaign).held_by == "outside_window"


def test_a_call_that_would_ring_past_closing_time_is_not_begun(world: World, nudges: list[object]) -> None:
    business_id = world.business()
    call_id = in_utc(world, world.queued(business_id))
    world.worker()
    day_off = world.value("select (now() at time zone 'UTC')::date + 2").isoformat()
    calling_window.assign("business", business_id, add(ALWAYS, days_off=[day_off]), actor="Dana")
    three_days = 3 * 86400

    db.run(dispatch.sql.claim_due_calls, **(CLAIM | {"ring_s": three_days}))

    assert world.call(call_id).held_by == "outside_window"
    assert world.call(call_id).due_at.date().isoformat() > day_off


def test_calls_outside_their_hours_are_in_nobody_s_way(world: World, nudges: list[object]) -> None:
    business_id = world.business()
    world.do(
        "insert into call_log (business_id, from_number, to_number, time_zone)"
        " select %s, '+15005550006', '+1500' || (1000000 + n), 'Asia/Tokyo' from generate_series(1, 500) as n",
        business_id,
    )
    behind = in_utc(world, world.queued(business_id))
    other = in_utc(world, world.queued(world.business("Other"), "+15005550102"))
    world.worker()
    hour = world.value("select now()").astimezone(UTC).hour
    in_utc_alone = ", ".join(f"mon-sun {h:02}:00-{h + 1:02}:00" for h in (hour, (hour + 1) % 24))  # 9 hours away
    calling_window.assign("business", business_id, add(in_utc_alone), actor="Dana")

    dispatch.dispatch_once()
    assert world.call(other).status == "claimed"
    turns = 1
    while world.call(behind).status == "queued" and turns < 100:
        dispatch.dispatch_once()
        turns += 1

    assert world.call(behind).status == "claimed"
    assert turns <= 1 + 500 // 20
    assert nudges == [("dial_call", (other,)), ("dial_call", (behind,))]


def test_without_a_time_zone_a_call_with_hours_ends_with_a_reason(world: World, nudges: list[object]) -> None:
    business_id = world.business()
    nowhere = world.queued(business_id, "+80012345678")
    fine = in_utc(world, world.queued(business_id, "+15005550103"))
    world.worker()
    calling_window.assign("business", business_id, add(ALWAYS), actor="Dana")

    dispatch.dispatch_once()

    call = world.call(nowhere)
    assert (call.status, call.error_code) == ("canceled", "no_time_zone")
    assert "state time_zone" in call.error_message
    assert world.call(fine).status == "claimed"


def test_without_hours_a_call_needs_no_time_zone(world: World, nudges: list[object]) -> None:
    call_id = world.queued(to="+80012345678")
    world.worker()

    dispatch.dispatch_once()

    assert world.call(call_id).status == "claimed"


# What an operator does.


@pytest.fixture
def held(world: World, nudges: list[object]) -> tuple[int, int, int]:
    """A business, its window, and a call that waits for it."""
    business_id = world.business()
    call_id = in_utc(world, world.queued(business_id))
    world.worker()
    window_id = add(later_today(world)[0])
    calling_window.assign("business", business_id, window_id, actor="Dana")
    dispatch.dispatch_once()
    return business_id, window_id, call_id


def test_without_its_window_a_call_that_waited_is_due_at_once(world: World, held: tuple[int, int, int]) -> None:
    business_id, _, call_id = held

    assert calling_window.assign("business", business_id, None, actor="Dana").waited == 1

    assert world.call(call_id).held_by is None
    dispatch.dispatch_once()
    assert world.call(call_id).status == "claimed"


def test_a_day_with_other_hours_lets_waiting_calls_ask_anew(world: World, held: tuple[int, int, int]) -> None:
    _, window_id, call_id = held
    now = world.value("select now()").astimezone(UTC)

    for day in (now.date(), now.date() + timedelta(days=1)):
        calling_window.set_day(window_id, day.isoformat(), "00:00-24:00", actor="Dana")
    dispatch.dispatch_once()
    assert world.call(call_id).status == "claimed"
    world.do("update call_log set status = 'queued', overdue_at = null where id = %s", call_id)
    for day in (now.date(), now.date() + timedelta(days=1)):
        calling_window.set_day(window_id, day.isoformat(), None, actor="Dana")
    dispatch.dispatch_once()

    assert world.call(call_id).held_by == "outside_window"
    assert calling_window.one(window_id)[1] == []


def test_calls_of_others_and_calls_that_wait_for_something_else_stay_where_they_are(
    world: World, held: tuple[int, int, int]
) -> None:
    business_id, _, _ = held
    campaign_id = world.value("insert into campaign (business_id, name) values (%s, 'A') returning id", business_id)
    waiting = world.queued(business_id, "+15005550103")
    others = world.queued(world.business("Other"), "+15005550104")
    world.do("update call_log set due_at = now() + interval '1 day' where id = any(%s)", [waiting, others])
    world.do("update call_log set held_by = 'attempts_per_day' where id = %s", waiting)
    world.do("update call_log set held_by = 'outside_window' where id = %s", others)

    assert calling_window.assign("campaign", campaign_id, None, actor="Dana").waited == 0
    assert calling_window.assign("business", business_id, None, actor="Dana").waited == 1

    assert world.call(waiting).held_by == "attempts_per_day"
    assert world.call(others).held_by == "outside_window"


def test_every_move_is_written_down_with_who_made_it(world: World) -> None:
    business_id = world.business()
    window_id = calling_window.add_preset("us", actor="Dana")
    calling_window.assign("business", business_id, window_id, actor="Noam")
    calling_window.assign("business", business_id, None, actor="Noam")
    calling_window.set_day(window_id, "2026-12-25", "off", actor="Dana")

    rows = world.rows("select who, action, scope, key, details from audit order by id")
    assert [row[:4] for row in rows] == [
        ("Dana", "add_window", "window", str(window_id)),
        ("Noam", "set_window", "business", str(business_id)),
        ("Noam", "set_window", "business", str(business_id)),
        ("Dana", "set_day", "window", str(window_id)),
    ]
    assert [row.details for row in rows[1:]] == [
        {"window_id": window_id, "was": None},
        {"window_id": None, "was": window_id},
        {"day": "2026-12-25", "hours": "{}"},
    ]


def test_presets_know_their_days_off_some_years_ahead_and_say_that_they_are_policy(world: World, in_2026: None) -> None:
    for preset, closed in (("us", set()), ("uk", bank_holidays), ("il", rest_days)):
        window_id = calling_window.add_preset(preset, actor="Dana")
        row, days = calling_window.one(window_id)
        off = {day.day for day in days if day.hours == "off"}
        assert {day for day in off if day.year < 2028} == closed
        assert row.note.startswith("Policy, not legal advice")
        assert "Not in it: " in row.note
        assert row.note.isascii()
        assert row.hours == PRESETS[preset].hours
        if closed:
            assert row.known_until == date(2029, 12, 31)
            assert max(off).year == row.known_until.year


def test_a_refresh_adds_the_years_that_are_missing_and_opens_nothing_that_an_operator_closed(
    world: World, in_2026: None
) -> None:
    window_id = calling_window.add_preset("il", actor="Dana")
    before = calling_window.one(window_id)
    calling_window.set_day(window_id, "2026-07-23", "off", actor="Dana")  # the Ninth of Av
    calling_window.set_day(window_id, "2028-04-10", "off", actor="Dana")  # an eve, which the preset leaves half open
    own = add(ALWAYS, "own", known_until="2027-12-31")
    world.do("delete from calling_day where day > '2027-12-31' and day <> '2028-04-10'")
    world.do("update calling_window set known_until = '2027-12-31'")

    (learned,) = calling_window.refresh(actor="Noam")
    assert calling_window.refresh(actor="Noam") == []

    row, days = calling_window.one(window_id)
    assert (learned.id, row.known_until) == (window_id, before[0].known_until)
    own_days = {date(2026, 7, 23), date(2028, 4, 10)}
    assert [day for day in days if day.day not in own_days] == [day for day in before[1] if day.day not in own_days]
    assert {day.day for day in days if day.hours == "off"} >= own_days
    assert calling_window.one(own)[0].known_until == date(2027, 12, 31)
    last = world.rows("select who, action, key from audit order by id desc limit 1")
    assert last == [("Noam", "refresh_window", str(window_id))]


def test_calls_of_a_window_that_ran_out_are_due_again_after_a_refresh(world: World, nudges: list[object]) -> None:
    business_id = world.business()
    call_id = in_utc(world, world.queued(business_id))
    world.worker()
    window_id = calling_window.add_preset("il", actor="Dana")
    world.do("update calling_window set known_until = '2026-01-01', hours = '{[0,10080)}'")
    world.do("delete from calling_day")
    calling_window.assign("business", business_id, window_id, actor="Dana")
    dispatch.dispatch_once()
    assert world.call(call_id).held_by == "outside_window"

    calling_window.refresh(actor="Dana")

    assert world.call(call_id).held_by is None


# What is refused.


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not a weekday and its hours"),
        ("sun", "is not a weekday and its hours"),
        ("09:00-20:00", "is not a weekday and its hours"),
        ("sunn 09:00-20:00", "`sunn` is not a weekday"),
        ("mon- 09:00-20:00", "is not a weekday"),
        ("mon-tue-wed 09:00-20:00", "`tue-wed` is not a weekday"),
        ("mon 9-17", "is not a time from which"),
        ("mon 09:00-17", "is not a time from which"),
        ("mon 09:00", "is not a time from which"),
        ("mon ٠٩:00-17:00", "is not a time from which"),
        ("mon 09:60-17:00", "beyond the clock"),
        ("mon 09:00-24:01", "beyond the clock"),
        ("mon 24:00-24:00", "beyond the clock"),
        ("mon 25:00-26:00", "beyond the clock"),
        ("mon 09:00-09:00", "is empty"),
        ("mon 22:00-02:00", "goes over midnight: write 22:00-24:00 for that day and 00:00-02:00 for the next"),
        ("mon 22:00-00:00", "ends before it begins: write 22:00-24:00"),
        ("mon 17:00-09:00", "goes over midnight"),
        ("mon-fri 09:00-17:00, fri 09:00-13:00", "fri 09:00-13:00 and fri 09:00-17:00 overlap"),
        ("mon 09:00-12:00, mon 11:59-13:00", "mon 09:00-12:00 and mon 11:59-13:00 overlap"),
        ("mon mon 09:00-12:00", "overlap"),
        ("mon 09:00-12:00,", "is not a weekday and its hours"),
    ],
)
def test_hours_that_are_none_are_refused_with_how_to_write_them(text: str, why: str) -> None:
    with pytest.raises(BadHours, match=why):
        weekly_hours.of_week(text)


def test_hours_are_kept_and_shown_as_they_were_written(world: World) -> None:
    for text, shown in (
        ("sun-thu 09:00-20:00, fri 09:00-13:00", None),
        ("MON-Friday 9:00-17:00", "mon-fri 09:00-17:00"),
        ("sat-mon 10:00-12:00", "mon 10:00-12:00, sat-sun 10:00-12:00"),
        ("mon wed fri 10:00-12:00", "mon 10:00-12:00, wed 10:00-12:00, fri 10:00-12:00"),
        ("mon 09:00-12:00, mon 13:00-17:00", None),
        ("mon 22:00-24:00, tue 00:00-02:00", None),
        (ALWAYS, None),
    ):
        assert calling_window.one(add(text, name=text))[0].hours == (shown or text)


@given(week=st.lists(shifts, min_size=7, max_size=7).filter(any))
@example(week=[[(0, 288)]] * 7)
def test_what_is_shown_of_any_week_can_be_read_again(week: list[Shifts]) -> None:
    minutes = [(d * 1440 + first * 5, d * 1440 + last * 5) for d, own in enumerate(week) for first, last in own]

    assert weekly_hours.of_week(weekly_hours.week_text(minutes)) == sorted(minutes)


def test_every_fault_of_a_window_is_named_at_once_and_nothing_is_added(world: World) -> None:
    with pytest.raises(BadWindow) as refusal:
        calling_window.add(
            " ",
            "sun-thu 20:00-20:00",
            actor="Dana",
            days_off=["2026-12-25", "2026-02-30", "2026-12-24", "Christmas"],
            half_days=["2026-12-24 09:00-13:00", "2026-12-31", "2027-01-02 22:00-02:00"],
            known_until="soon",
            note="one\ntwo",
        )

    assert str(refusal.value).split("; ") == [
        "a window needs a name, in one line",
        "a note is one line",
        "`20:00-20:00` is empty",
        "a whole day is 00:00-24:00",
        "`soon` is not a date: write it like 2026-12-25",
        "`2026-02-30` is no day: February 2026 has 28 days",
        "`Christmas` is not a date: write it like 2026-12-25",
        "2026-12-24 is there twice",
        "`2026-12-31` has no hours: write it like `2026-12-24 09:00-13:00`",
        "a day without any is a day off",
        "`22:00-02:00` goes over midnight: write 22:00-24:00 for that day and 00:00-02:00 for the next",
    ]
    assert calling_window.every() == []
    assert world.rows("select * from audit") == []


def test_what_is_not_there_is_refused_with_where_to_look_and_changes_nothing(world: World) -> None:
    business_id = world.business()
    window_id = add(ALWAYS)
    before = world.rows("select * from audit"), world.rows("select * from business"), calling_window.every()

    for unknown in (4711, 10**30, -1, 0):
        with pytest.raises(BadWindow, match="outbound window list"):
            calling_window.assign("business", business_id, unknown, actor="Dana")
        with pytest.raises(BadWindow, match="outbound business list"):
            calling_window.assign("business", unknown, window_id, actor="Dana")
        with pytest.raises(BadWindow, match="outbound campaign list"):
            calling_window.assign("campaign", unknown, None, actor="Dana")
        with pytest.raises(BadWindow, match="outbound window list"):
            calling_window.set_day(unknown, "2026-12-25", "off", actor="Dana")
        with pytest.raises(BadWindow, match="outbound window list"):
            calling_window.one(unknown)
    for day, own in (("25.12.2026", "off"), ("2026-12-25", "closed"), ("2026-12-25", "09:00-12:00, 11:00-13:00")):
        with pytest.raises(BadWindow):
            calling_window.set_day(window_id, day, own, actor="Dana")
    with pytest.raises(BadWindow, match="another name"):
        add(ALWAYS)
    with pytest.raises(BadWindow, match="choose from us, uk, il"):
        calling_window.add_preset("fr", actor="Dana")
    for zone in ("Israel Standard Time", "Nowhere5", "", "../UTC"):
        with pytest.raises(BadWindow, match="is not an IANA time zone"):
            calling_window.opens_at(window_id, zone)

    assert (world.rows("select * from audit"), world.rows("select * from business"), calling_window.every()) == before


def test_hours_that_nobody_could_mean_cannot_be_written_into_the_table_either(world: World) -> None:
    for week in ("{}", "{[-5,10)}", "{[0,10081)}"):
        with pytest.raises(psycopg.errors.CheckViolation):
            world.do("insert into calling_window (name, hours) values ('bad', %s::int4multirange)", week)


# The command.


@pytest.fixture
def outbound(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command inside this process, and return what it prints."""
    monkeypatch.setattr(logs, "set_up", lambda *_: None)  # it would write to the runner's output for ever
    monkeypatch.setenv("COLUMNS", "200")

    def run(*command: str) -> str:
        done = CliRunner().invoke(app.app, command, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_the_command_adds_shows_and_assigns_hours(world: World, outbound: Callable[..., str]) -> None:
    business_id = world.business()
    campaign_id = world.value("insert into campaign (business_id, name) values (%s, 'A') returning id", business_id)

    preset = outbound("window", "preset", "il", "--by", "Dana").strip()
    own = outbound(
        "window", "add", "--name", "own", "--hours", "sun-thu 10:00-16:00", "--day-off", "2027-01-01",
        "--half-day", "2026-12-31 10:00-12:00", "--note", "as agreed",
    ).strip()  # fmt: skip
    outbound("window", "day", own, "2026-12-30", "--hours", "off", "--by", "Dana")
    outbound("window", "assign", "--window", preset, "--business", str(business_id))
    outbound("window", "assign", "--window", own, "--campaign", str(campaign_id))

    shown = outbound("window", "show", own, "--zone", "Asia/Jerusalem")
    listed = json.loads(outbound("window", "list", "--json"))
    assert shown.splitlines()[:5] == [
        "own: sun-thu 10:00-16:00",
        "as agreed",
        "Wed 2026-12-30 off",
        "Thu 2026-12-31 10:00-12:00",
        "Fri 2027-01-01 off",
    ]
    assert "next call in Asia/Jerusalem: 2" in shown
    assert [(row["name"], row["businesses"], row["campaigns"]) for row in listed] == [
        ("il", [business_id], []),
        ("own", [], [campaign_id]),
    ]
    assert outbound("window", "refresh") == "nothing changed: every window knows its days\n"
    assert json.loads(outbound("window", "show", preset, "--json"))["days"][0]["note"] == "eve of Pesach"
    outbound("window", "assign", "--none", "--business", str(business_id))
    assert world.value("select window_id from business where id = %s", business_id) is None
    assert {row.who for row in world.rows("select who from audit")} == {"Dana", os_user.name()}


def test_half_a_command_is_refused_with_what_is_missing() -> None:
    for command in (
        "window assign --business 1",
        "window assign --window 1",
        "window assign --window 1 --none --business 1",
        "window assign --window 1 --business 1 --campaign 1",
        "window day 1 2026-12-25",
        "window day 1 2026-12-25 --hours off --usual",
    ):
        done = CliRunner().invoke(app.app, command.split())
        assert isinstance(done.exception, UserError), command


def test_the_operator_is_whoever_became_root_or_the_user_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "noam")
    assert os_user.name() == "noam"

    monkeypatch.delenv("SUDO_USER")
    monkeypatch.setenv("LOGNAME", "dana")
    assert os_user.name() == "dana"

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    assert os_user.name()


def test_a_zone_that_the_server_does_not_know_any_more_is_none_and_stops_nobody(world: World) -> None:
    assert world.value("select callee_zones('+12125550100', 'US/Gone')") == []
