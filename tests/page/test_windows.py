"""Calling hours: a week drawn, the days ahead, who keeps to them; an operator changes a day."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from outbound.page import window_state, words
from outbound.rules import calling_window
from tests.conftest import World
from tests.page.conftest import SignIn

pytestmark = pytest.mark.rows_only


@pytest.fixture
def window(world: World) -> int:
    return calling_window.add("Office", "sun-thu 09:00-12:00, sun-thu 13:00-20:00, fri 09:00-13:00", actor="test")


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


@pytest.mark.parametrize(("language", "first"), [("en", "Monday"), ("he", "יום ראשון")])
def test_a_week_is_drawn_from_the_language_s_first_day_on(language: str, first: str) -> None:
    week = window_state.week("sun-thu 09:00-20:00, fri 09:00-13:00", words.of(language))

    assert week[0].name == first
    assert [len(day.bars) for day in week].count(0) == 1
    assert week[0].bars == [window_state.Bar(9 * 60, 11 * 60)]


def test_a_window_shows_its_week_its_days_ahead_and_who_keeps_to_it(
    world: World, sign_in: SignIn, page_url: str, window: int
) -> None:
    business = world.business("Acme")
    world.do("update business set window_id = %s", window)
    calling_window.set_day(window, in_days(5), "off", actor="test")
    calling_window.set_day(window, in_days(-5), "off", actor="test")
    tab = sign_in()

    tab.goto(f"{page_url}/windows")
    expect(tab.locator("h1")).to_have_text("One set of calling hours")
    expect(tab.locator("section.panel")).to_contain_text("one business")
    tab.get_by_role("link", name="Office").click()

    expect(tab.get_by_role("region", name="A week").locator("tbody tr")).to_have_count(7)
    expect(tab.get_by_role("region", name="Days ahead").locator("tbody tr")).to_have_count(1)
    expect(tab.locator("main")).to_contain_text("Business Acme")
    assert business


def test_an_operator_closes_a_day_and_makes_it_as_it_was(
    world: World, sign_in: SignIn, page_url: str, window: int
) -> None:
    tab = sign_in(javascript=False)
    days = tab.get_by_role("region", name="Days ahead").locator("tbody tr")

    tab.goto(f"{page_url}/windows/{window}")
    tab.fill("#day", in_days(3))
    tab.get_by_role("button", name="Change the day").click()
    expect(days).to_contain_text("closed")
    tab.fill("#day", in_days(3))
    tab.check("#what_hours")
    tab.fill("#hours", "09:00-11:30")
    tab.get_by_role("button", name="Change the day").click()
    expect(days).to_contain_text("09:00-11:30")
    tab.fill("#day", in_days(3))
    tab.check("#what_usual")
    tab.get_by_role("button", name="Change the day").click()
    expect(days).to_have_count(0)

    assert world.value("select count(*) from audit where action = 'set_day' and who like 'token test (%%'") == 3


def test_a_wrong_hour_is_refused_and_nothing_is_changed(
    world: World, sign_in: SignIn, page_url: str, window: int
) -> None:
    tab = sign_in()

    tab.goto(f"{page_url}/windows/{window}")
    tab.fill("#day", in_days(3))
    tab.check("#what_hours")
    tab.fill("#hours", "nine")
    tab.get_by_role("button", name="Change the day").click()

    expect(tab.locator(".fault")).to_contain_text("is not a time")
    assert world.value("select count(*) from calling_day") == 0


def test_a_business_sees_its_own_windows_and_changes_none(
    world: World, sign_in: SignIn, page_url: str, window: int
) -> None:
    own, other = world.business("Mine"), world.business("Theirs")
    hidden = calling_window.add("Secret", "mon 09:00-10:00", actor="test")
    world.do("update business set window_id = %s where id = %s", hidden, other)
    world.do("update business set window_id = %s where id = %s", window, own)
    tab = sign_in(business_id=own)

    tab.goto(f"{page_url}/windows")
    expect(tab.locator("main")).to_contain_text("Office")
    expect(tab.locator("main")).not_to_contain_text("Secret")
    expect(tab.locator("main form[method=post]")).to_have_count(0)
    assert tab.request.get(f"{page_url}/windows/{hidden}").status == 404
    tab.goto(f"{page_url}/windows/{window}")
    expect(tab.locator("main")).not_to_contain_text("Theirs")
    expect(tab.locator("main form[method=post]")).to_have_count(0)


def test_the_first_window_is_made_of_a_preset(world: World, sign_in: SignIn, page_url: str) -> None:
    tab = sign_in("he")

    tab.goto(f"{page_url}/windows")
    expect(tab.locator("h1")).to_have_text("אין שעות חיוג: שיחות יוצאות בכל שעה")
    tab.get_by_role("button", name="הוספה").first.click()

    expect(tab.locator("h1")).to_contain_text("il")
    assert world.value("select preset from calling_window") == "il"
