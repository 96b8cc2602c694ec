"""Dates and times as people and spreadsheets write them."""

import zoneinfo
from datetime import UTC, date, datetime, tzinfo

import pytest

from outbound.formats import moments
from outbound.formats.moments import BadMoment
from tests.conftest import World

ZONE = "Asia/Jerusalem"
NINE = datetime(2026, 11, 30, 7, 0, tzinfo=UTC)  # there it is two hours later


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-30T09:00",
        "2026-11-30 09:00:00",
        "2026-11-30T09",
        "20261130T0900",
        "2026-11-30T07:00Z",
        "2026-11-30 07:00 UTC",
        "2026-11-30T09:00+02:00",
        "2026/11/30 09:00",
        "30/11/2026 09:00",
        "30/11/2026, 9:00",
        "30.11.2026 9:00:00",
        "30-11-2026 09:00",
        "11/30/2026 9:00 AM",
        "11/30/2026 9 a.m.",
        "30/11/2026 09:00 +0200",
        " \u200f2026-11-30\u00a009:00\u200e ",  # copied out of Hebrew text
    ],
)
def test_a_moment_may_be_written_in_many_ways(text: str) -> None:
    assert moments.read(text, ZONE) == (NINE, None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *((text, "is a date without a time: write it like") for text in ("2026-11-30", "30/11/2026", "20261130")),
        *((text, "may be day and month or month and day") for text in ("11/12/2026 09:00", "1.2.2026 9:00")),
        ("30/11/26 09:00", "year in four digits"),
        ("46356.375", "a spreadsheet's count of days"),
        ("1796029200", "a count of seconds"),
        ("1796029200000", "a count of seconds"),
        ("someday", "is not a date and time: write it like 2026-11-30T09:00"),
        ("30/11/2026 25:00", "is not a date and time"),
        ("30/11/2026 13:00 PM", "is not a date and time"),
        ("30/11/2026 9", "is not a date and time"),
        ("31/02/2026 09:00", "is not a date and time"),
        ("0/5/2026 09:00", "is not a date and time"),
        ("2026-13-01T09:00", "has a month 13: there are 12"),
        ("2200-01-01T09:00", "between 1970 and 2199"),
    ],
)
def test_what_is_no_moment_or_may_be_two_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadMoment) as refusal:
        moments.read(text, ZONE)

    assert why in str(refusal.value)


@pytest.mark.parametrize(
    "empty",
    [
        "0",
        "0.0",
        "00:00:00",
        "0000-00-00",
        "0000-00-00 00:00:00",
        "00/00/0000",
        "0001-01-01T00:00:00",
        "01/01/0001 00:00:00",
        "1601-01-01",
        "1753-01-01",
        "1899-12-30",
        "1899-12-30 00:00:00",
        "31/12/1899",
        "1900-01-00",
        "00/01/1900",
        "1/0/1900 0:00",
        "1900-01-01 00:00:00",
        "1904-01-01",
        "1970-01-01",
        "1970-01-01T00:00:00Z",
        "01/01/1970 00:00",
        "1969-12-31T19:00:00-05:00",
        "1970-01-01T02:00",  # in Jerusalem
        "1980-01-01",
        "9999-12-31T23:59",
        datetime(1970, 1, 1, tzinfo=UTC),
        date(1970, 1, 1),
    ],
)
@pytest.mark.parametrize("day_alone", [True, False])
def test_an_empty_date_as_programs_save_it_is_no_date(empty: str | date, day_alone: bool) -> None:
    with pytest.raises(BadMoment, match="as an empty date is saved: leave it empty"):
        moments.read(empty, ZONE, day_alone=day_alone)


def test_a_time_that_the_clocks_of_that_day_do_not_show_once_is_said() -> None:
    gap, fold = moments.read("2026-03-27T02:30", ZONE), moments.read("2026-10-25 01:30", ZONE)

    assert gap == (
        datetime(2026, 3, 27, 0, 30, tzinfo=UTC),
        "02:30 does not exist that day in Asia/Jerusalem: taken as 03:30",
    )
    assert fold == (
        datetime(2026, 10, 24, 22, 30, tzinfo=UTC),
        "01:30 comes twice that day in Asia/Jerusalem: taken as the first, +0300",
    )
    for sure in ("2026-03-27T02:30+02:00", "2026-10-25T01:30+03:00", "2026-03-27T03:00", "2026-10-25T02:00"):
        assert moments.read(sure, ZONE).note is None


class Written(datetime):
    """As some libraries have datetimes, which write them in their own way."""

    def __str__(self) -> str:
        return "nine o'clock"


class NotAtAll(datetime):
    """As pandas' NaT, which is a datetime too."""

    year = month = property(lambda _: float("nan"))


class Nowhere(tzinfo):
    """A zone of what has none."""

    def utcoffset(self, _: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


def test_a_datetime_of_a_librarys_own_class_is_read_as_pythons_or_refused() -> None:
    for at in (Written(2026, 11, 30, 9, tzinfo=zoneinfo.ZoneInfo(ZONE)), Written(2026, 11, 30, 9)):
        read = moments.read(at, ZONE).at
        assert (read, type(read)) == (NINE, datetime)
    assert moments.read(datetime(2026, 11, 30, 9, tzinfo=Nowhere()), ZONE).at == NINE
    with pytest.raises(BadMoment, match="is not a date and time"):
        moments.read(NotAtAll(2026, 11, 30, 9), ZONE)


def test_where_a_day_alone_will_do_it_is_its_beginning() -> None:
    assert moments.read("2026-11-30", ZONE, day_alone=True).at == datetime(2026, 11, 29, 22, tzinfo=UTC)
    assert moments.read("2026-11-30", None, day_alone=True).at == datetime(2026, 11, 30, tzinfo=UTC)
    with pytest.raises(BadMoment, match="is not a date as ISO 8601 has it"):
        moments.read("30/11/2026", ZONE, day_alone=True)
    with pytest.raises(BadMoment, match="has no offset"):
        moments.read("2026-11-30T09:00", None, day_alone=True)
    with pytest.raises(moments.NoSuchZone):
        moments.read("2026-11-30T09:00", "Mars/Olympus")


@pytest.mark.parametrize(
    ("at", "zone", "shown"),
    [
        (NINE, ZONE, "Mon 2026-11-30 09:00 Asia/Jerusalem"),
        (NINE.replace(second=5), "UTC", "Mon 2026-11-30 07:00:05 UTC"),
        (NINE.replace(microsecond=1), None, "Mon 2026-11-30 07:00:00 UTC"),
        (NINE, "Mars/Olympus", "Mon 2026-11-30 07:00 UTC"),
    ],
)
def test_a_moment_is_shown_with_its_weekday_and_its_zone_by_us_and_by_the_database_alike(
    world: World, at: datetime, zone: str | None, shown: str
) -> None:
    assert moments.shown(at, zone) == shown
    assert world.value("select moment_text(%s, %s)", at, zone) == shown


def test_a_moment_of_another_year_is_shown_with_it() -> None:
    present = datetime.now(UTC).replace(month=6, day=15, hour=9, minute=0)

    shown = [moments.short(present.replace(year=present.year + years), "UTC")[4:] for years in (-1, 0, 1)]

    assert shown == [f"{present.year - 1}-06-15 09:00", "06-15 09:00", f"{present.year + 1}-06-15 09:00"]
