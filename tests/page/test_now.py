"""Now: what it says, and that it says it within a second of a commit."""

import re

import pytest
from playwright.sync_api import expect

from tests.conftest import World
from tests.page.conftest import SignIn

pytestmark = pytest.mark.rows_only


@pytest.mark.parametrize(("language", "sentence"), [("en", "Nothing waits"), ("he", "אין שיחות בתור")])
def test_now_says_first_what_goes_on(world: World, sign_in: SignIn, language: str, sentence: str) -> None:
    world.worker()
    world.scheduler()
    expect(sign_in(language, lands_on="").locator("h1")).to_contain_text(sentence)


def test_a_call_that_begins_is_shown_without_a_reload(world: World, sign_in: SignIn) -> None:
    world.worker()
    world.scheduler()
    tab = sign_in(lands_on="")
    expect(tab.locator("#age")).to_have_text(re.compile("old"))
    call_id = world.initiated(call_sid="CA" + "1" * 32)
    world.age(call_id, 60)
    world.do("update call_log set status = 'in-progress', answered_at = now() where id = %s", call_id)
    expect(tab.locator("h1")).to_contain_text("One call is in the air")
    latest = tab.get_by_role("region", name="The latest calls")
    expect(latest.get_by_role("link", name=str(call_id), exact=True)).to_be_visible()


def test_a_pause_is_shown_and_ended_by_one_click(world: World, sign_in: SignIn) -> None:
    world.worker()
    world.scheduler()
    world.do(
        "update dial_control set state = 'paused', state_reason = 'wrong text', state_since = now()"
        " where scope = 'account'"
    )
    tab = sign_in(lands_on="")
    expect(tab.locator("h1")).to_contain_text("everything is paused")
    tab.get_by_role("button", name="Resume").click()
    expect(tab.locator(".notice")).to_have_text("It goes on.")
    assert world.value("select state from dial_control where scope = 'account'") == "running"
    assert world.value("select who from audit where action = 'resume'").startswith("token test (")


def test_who_may_not_control_is_shown_no_form_also_once_something_has_changed(world: World, sign_in: SignIn) -> None:
    world.worker()
    world.scheduler()
    tab = sign_in(scopes=("calls:read",), lands_on="")
    expect(tab.locator("#age")).to_have_text(re.compile("old"))
    world.do("insert into dial_control (scope, key, state, state_since) values ('business', '7', 'paused', now())")
    expect(tab.get_by_role("region", name="Needs a person")).to_contain_text("is paused")
    assert tab.get_by_role("button", name="Resume").count() == 0


def test_who_may_not_see_calls_sees_neither_now_nor_what_changes(world: World, sign_in: SignIn, page_url: str) -> None:
    world.worker()
    tab = sign_in(scopes=("leads:read",), lands_on="leads")
    assert tab.request.get(f"{page_url}/live?watch=now:en").status == 403
