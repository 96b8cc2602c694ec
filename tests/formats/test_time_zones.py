"""The names of time zones as people write them."""

import zoneinfo

import pytest

from outbound.formats import time_zones
from outbound.formats.time_zones import BadTimeZone
from tests.conftest import World


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Asia/Jerusalem", "Asia/Jerusalem"),
        (" asia / jerusalem\u200f ", "Asia/Jerusalem"),
        ("America/New York", "America/New_York"),
        ("america/port au prince", "America/Port-au-Prince"),
        ("US/Eastern", "America/New_York"),
        ("US/Pacific", "America/Los_Angeles"),
        ("Canada/Eastern", "America/Toronto"),
        ("Israel", "Asia/Jerusalem"),
        ("Asia/Tel_Aviv", "Asia/Jerusalem"),
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("Europe/Kiev", "Europe/Kyiv"),
        ("America/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("America/Indianapolis", "America/Indiana/Indianapolis"),
        ("GB", "Europe/London"),
        ("Japan", "Asia/Tokyo"),
        ("UTC", "UTC"),
        ("utc", "UTC"),
        ("Etc/UTC", "UTC"),
        ("Zulu", "UTC"),
    ],
)
def test_a_name_becomes_the_one_of_today(name: str, zone: str) -> None:
    assert time_zones.present(name) == zone
    assert time_zones.present(zone) == zone


@pytest.mark.parametrize(
    ("name", "likely"),
    [
        ("EST", "America/New_York"),
        ("est", "America/New_York"),
        ("EDT", "America/New_York"),
        ("ET", "America/New_York"),
        ("EST5EDT", "America/New_York"),
        ("CST", "America/Chicago"),
        ("MST", "America/Denver"),
        ("MST7MDT", "America/Denver"),
        ("PST", "America/Los_Angeles"),
        ("PST8PDT", "America/Los_Angeles"),
        ("HST", "Pacific/Honolulu"),
        ("IST", "Asia/Jerusalem, Asia/Kolkata or Europe/Dublin"),
        ("IDT", "Asia/Jerusalem"),
        ("BST", "Europe/London"),
        ("CET", "Europe/"),
        ("GMT", "Europe/London"),
        ("Etc/GMT", "Europe/London"),
        ("Etc/GMT+5", "America/New_York"),
        ("Etc/GMT-2", "write a place"),
        ("UTC+3", "write a place"),
        ("GMT-05:00", "America/New_York"),
        ("+5:30", "Asia/Kolkata"),
        ("Factory", "Asia/Jerusalem"),
        ("localtime", "Asia/Jerusalem"),
        ("Israel Standard Time", "Asia/Jerusalem"),
        ("Eastern Standard Time", "America/New_York"),
        ("Pacific Daylight Time", "America/Los_Angeles"),
        ("(UTC-05:00) Eastern Time (US & Canada)", "America/New_York"),
        ("India Standard Time", "Asia/Kolkata"),  # where Windows' table has the former name
        ("Jerusalem", "Asia/Jerusalem"),
        ("tel aviv", "Asia/Jerusalem"),
        ("New York", "America/New_York"),
        ("Asia/Jeruslem", "Asia/Jerusalem"),
        ("Mars/Olympus", "Asia/Jerusalem"),
        ("UTC0", "Asia/Jerusalem"),  # whose likest name is refused of a callee
        ("", "Asia/Jerusalem"),
        ("../UTC", ""),
    ],
)
def test_what_is_no_place_is_refused_with_the_zone_to_use(name: str, likely: str) -> None:
    with pytest.raises(BadTimeZone) as refusal:
        time_zones.present(name)

    assert likely in str(refusal.value)


def test_every_name_that_is_known_is_a_zone_of_today_or_refused_and_never_another_clock() -> None:
    refused = set()
    for name in zoneinfo.available_timezones():
        try:
            zone = time_zones.present(name)
        except BadTimeZone:
            refused.add(name)
            continue
        assert zoneinfo.ZoneInfo(zone), name
        assert zone == "UTC" or "/" in zone, name

    assert not {name for name in refused if "/" in name and not name.startswith("Etc/")}


def test_a_zone_that_is_newer_than_our_table_is_taken_where_it_is_known_but_no_abbreviation() -> None:
    assert time_zones.present("Mars/Olympus", {"Mars/Olympus"}) == "Mars/Olympus"
    with pytest.raises(BadTimeZone):
        time_zones.present("EST", {"EST"})


def _zone(name: str) -> str | None:
    try:
        return time_zones.present(name)
    except BadTimeZone:
        return None


def test_the_database_knows_every_zone_of_today(world: World) -> None:
    names = [zone for zone in {_zone(name) for name in zoneinfo.available_timezones()} if zone]

    assert not world.rows("select name from unnest(%s::text[]) as name where not is_time_zone(name)", names)
