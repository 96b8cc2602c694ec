"""Opening hours as systems write them become calling hours, or are said to be unreadable."""

import pytest

from outbound.adopt import old_hours
from outbound.formats import weekly_hours

FRIDAY_TO = "sun-thu 09:00-18:00, fri 09:00-13:00"


@pytest.mark.parametrize(
    ("said", "text", "days", "week"),
    [
        (None, "09:00-18:00", "sun-thu", "sun-thu 09:00-18:00"),
        (None, "9:00 \u2013 18:00", '["sun", "mon"]', "sun-mon 09:00-18:00"),
        (None, "09:00-12:00, 14:00-18:00", "mon", "mon 09:00-12:00, mon 14:00-18:00"),
        (None, "09:00:00-18:00:00", "א-ה", "sun-thu 09:00-18:00"),
        (None, "09:00-18:00", "ראשון, שני", "sun-mon 09:00-18:00"),
        (None, FRIDAY_TO, None, FRIDAY_TO),
        ('{"sun": [["08:00", "16:00"]]}', "09:00-18:00", "mon", "sun 08:00-16:00"),
        ('{"sunday": {"open": "08:00", "close": "16:00"}, "monday": {"closed": true}}', None, None, "sun 08:00-16:00"),
        ('{"יום ראשון": "08:00-16:00", "שבת": "סגור"}', None, None, "sun 08:00-16:00"),
        ('{"Sun": ["08:00", "16:00"], "Mon": null, "Tue": []}', None, None, "sun 08:00-16:00"),
        ('{"sun": ["08:00-12:00", "13:00-16:00"]}', None, None, "sun 08:00-12:00, sun 13:00-16:00"),
        ('{"sun-thu": "08:00-16:00"}', None, None, "sun-thu 08:00-16:00"),
        ('[{"day": "sunday", "open": "08:00", "close": "24:00"}]', None, None, "sun 08:00-24:00"),
        ('{"days": ["sun", "mon"], "start": "08:00", "end": "00:00"}', None, None, "sun-mon 08:00-24:00"),
        ("{}", "08:00-16:00", "sun", "sun 08:00-16:00"),
        (None, '{"sun": "08:00-16:00"}', None, "sun 08:00-16:00"),
    ],
)
def test_hours_of_days_are_read(said: str | None, text: str | None, days: str | None, week: str) -> None:
    read, has_days = old_hours.read(said, text, days)

    assert read == weekly_hours.week_text(weekly_hours.of_week(week))
    assert has_days


@pytest.mark.parametrize("days", [None, "", "[]", "0,1,2,3,4", "5"])
def test_hours_without_days_that_can_be_told_are_of_every_day(days: str | None) -> None:
    assert old_hours.read(None, "09:00-18:00", days) == ("mon-sun 09:00-18:00", False)


@pytest.mark.parametrize("said", [(None, None, None), ("", "", ""), ("null", " ", None), ("{}", "[]", None)])
def test_where_nothing_is_said_there_are_no_hours(said: tuple[str | None, str | None, str | None]) -> None:
    assert old_hours.read(*said) == (None, False)


@pytest.mark.parametrize(
    ("said", "text", "days"),
    [
        (None, "always", None),
        (None, "09:00-18:00", "sun-someday"),
        (None, "22:00-02:00", "sun"),
        (None, "25:00-26:00", "sun"),
        (None, "18:00", "sun"),
        ('{"0": "08:00-16:00"}', None, None),
        ('{"sun": {"open": "08:00"}}', None, None),
        ('{"sun": 8}', None, None),
        ('{"sun": "closed", "mon": []}', None, None),
        ('{"sun": ["08:00-12:00", "11:00-16:00"]}', None, None),
        ('["08:00", "16:00"]', None, None),
        ("true", None, None),
        ("17", None, None),
    ],
)
def test_what_cannot_be_read_whole_is_not_read_in_part(said: str | None, text: str | None, days: str | None) -> None:
    with pytest.raises(old_hours.NoHours):
        old_hours.read(said, text, days)


def test_hours_within_others_are_what_both_allow() -> None:
    usual = "sun-thu 09:00-20:00, fri 09:00-13:00"

    assert old_hours.within("mon-sun 08:00-18:00", usual) == FRIDAY_TO
    assert old_hours.within("sat 08:00-18:00", usual) is None
