"""Calls and Call: finding one, why it waits, and what is done to it."""

import re

import pytest
from playwright.sync_api import expect

from outbound.rules import control
from outbound.rules.scope import Scope
from tests.conftest import World
from tests.page.conftest import SignIn

pytestmark = pytest.mark.rows_only

PHONE = "+972541234567"
STORY = pytest.mark.parametrize(("language", "javascript"), [("en", True), ("he", True), ("en", False), ("he", False)])


@STORY
def test_why_a_call_waits_is_seen_in_two_clicks(
    world: World, sign_in: SignIn, page_url: str, language: str, javascript: bool
) -> None:
    business_id = world.business("Acme")
    call_id = world.queued(business_id, to=PHONE)
    world.queued(business_id, to="+972541234568")
    control.pause(Scope("business", str(business_id)), reason="wrong text", actor="dana")
    tab = sign_in(language, javascript=javascript)
    tab.goto(f"{page_url}/calls")

    tab.fill("#number", "(+972) 54-123 4567")
    tab.locator("form[action='/page/calls'] button").first.click()
    expect(tab.locator("tbody tr")).to_have_count(1)
    tab.locator("tbody a").first.click()

    assert tab.url == f"{page_url}/calls/{call_id}"
    expect(tab.locator(".why")).to_contain_text("wrong text")
    expect(tab.locator(".why")).to_contain_text("dana")


@STORY
def test_a_call_is_canceled_by_two_clicks(
    world: World, sign_in: SignIn, page_url: str, language: str, javascript: bool
) -> None:
    call_id = world.queued(to=PHONE)
    tab = sign_in(language, javascript=javascript)
    tab.goto(f"{page_url}/calls/{call_id}")

    tab.click(f"#cancel-call-{call_id}")
    assert world.call(call_id).status == "queued"
    tab.fill("#reason", "a double")
    tab.click("main button.stop")

    expect(tab.locator(".notice")).to_be_visible()
    call = world.call(call_id)
    assert (call.status, call.stop_reason) == ("canceled", "a double")
    expect(tab.locator(".life")).to_contain_text("a double")


@STORY
def test_a_call_that_rings_is_ended_by_two_clicks(
    world: World, sign_in: SignIn, page_url: str, language: str, javascript: bool
) -> None:
    call_id = world.initiated(to=PHONE, call_sid="CA" + "3" * 32)
    world.do("update call_log set status = 'ringing' where id = %s", call_id)
    tab = sign_in(language, javascript=javascript)
    tab.goto(f"{page_url}/calls/{call_id}")

    tab.click(f"#stop-call-{call_id}")
    assert world.call(call_id).hang_up is None
    tab.click("main button.stop")

    expect(tab.locator(".notice")).to_be_visible()
    assert world.call(call_id).hang_up == "completed"


def test_a_call_is_moved_to_another_moment_and_one_that_is_none_is_refused(
    world: World, sign_in: SignIn, page_url: str
) -> None:
    call_id = world.queued(to=PHONE)
    tab = sign_in(javascript=False)
    tab.goto(f"{page_url}/calls/{call_id}")

    tab.fill("#at", "2026-31-31T09:00")
    tab.get_by_role("button", name="Move", exact=False).click()
    assert tab.locator("h1").inner_text()
    due_at = world.call(call_id).due_at
    tab.goto(f"{page_url}/calls/{call_id}")
    tab.fill("#at", "2030-01-07T09:00")
    tab.get_by_role("button", name="Move", exact=False).click()

    expect(tab.locator(".notice")).to_be_visible()
    assert world.call(call_id).due_at.year == 2030
    assert due_at.year != 2030


def test_a_call_that_failed_is_made_once_more(world: World, sign_in: SignIn, page_url: str) -> None:
    call_id = world.initiated(to=PHONE)
    world.do(
        "update call_log set status = 'failed', error_code = 'no_call_sid', ended_at = now(), overdue_at = null"
        " where id = %s",
        call_id,
    )
    tab = sign_in(javascript=False)
    tab.goto(f"{page_url}/calls/{call_id}")

    tab.locator("form[action$='/retry'] button").click()

    again = int(tab.url.partition("?")[0].rpartition("/")[2])
    assert again != call_id
    assert world.call(again).to_number == PHONE
    expect(tab.locator(f"a[href='/page/calls/{call_id}']").first).to_be_visible()
    tab.goto(f"{page_url}/calls/{call_id}")
    expect(tab.locator("form[action$='/retry']")).to_have_count(0)


def test_calls_are_found_by_state_and_the_older_ones_follow(world: World, sign_in: SignIn, page_url: str) -> None:
    business_id = world.business("Acme")
    world.do("update business set time_zone = 'Asia/Jerusalem' where id = %s", business_id)
    world.do(
        "insert into call_log (business_id, from_number, to_number, status, ended_at, created_at)"
        " select %s, '+15005550006', '+1500555' || lpad(n::text, 4, '0'), 'completed', now() - n * interval '1 minute',"
        " now() - interval '1 day' from generate_series(1, 70) as n",
        business_id,
    )
    world.queued(business_id)
    tab = sign_in(business_id=business_id, javascript=False)
    tab.goto(f"{page_url}/calls")
    expect(tab.locator("main")).to_contain_text("Israel")
    tab.select_option("#status", "completed")
    tab.get_by_role("button", name="Find").click()

    expect(tab.locator("tbody tr")).to_have_count(50)
    seen = set(tab.locator("tbody tr td:first-child").all_inner_texts())
    tab.get_by_role("button", name="Older").click()
    expect(tab.locator("tbody tr")).to_have_count(20)
    assert not seen & set(tab.locator("tbody tr td:first-child").all_inner_texts())
    assert re.search(r"/calls$", tab.url)


def test_what_cannot_be_read_in_a_search_is_refused_with_its_mend(world: World, sign_in: SignIn, page_url: str) -> None:
    world.queued(to=PHONE)
    tab = sign_in(javascript=False)
    for field, text in (("#number", "call me"), ("#campaign_id", "spring")):
        tab.goto(f"{page_url}/calls")
        tab.fill(field, text)
        with tab.expect_response(lambda answer: answer.request.method == "POST") as answer:
            tab.get_by_role("button", name="Find").click()
        assert answer.value.status == 422
        assert tab.locator("tbody tr").count() == 0
    expect(tab.locator("h1")).to_contain_text("A campaign's number is digits alone")
