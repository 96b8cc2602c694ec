"""Signing in and out in a real browser, in both languages, with and without JavaScript."""

import re

import pytest
from playwright.sync_api import expect

from outbound.rules import api_token
from tests.conftest import World
from tests.page.conftest import SignIn, Watch, give_token, token

pytestmark = pytest.mark.rows_only


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
@pytest.mark.parametrize(
    ("language", "fault", "out"), [("en", "no live token", "Sign out"), ("he", "לא טוקן תקף", "יציאה")]
)
def test_somebody_signs_in_and_out(
    world: World, page_url: str, sign_in: SignIn, watch: Watch, language: str, fault: str, out: str, javascript: bool
) -> None:
    tab = sign_in(language, javascript=javascript, by_form=True)
    expect(tab.locator("html")).to_have_attribute("dir", "rtl" if language == "he" else "ltr")
    tab.get_by_role("button", name=out).click()
    tab.wait_for_url(f"{page_url}/sign-in")
    assert world.value("select count(*) from page_session") == 0
    tab.goto(f"{page_url}/calls")
    tab.wait_for_url(f"{page_url}/sign-in?next=/page/calls")

    give_token(tab, "outb_aaaaaaaa_" + "a" * 32 + "_aaaaaa")
    expect(tab.get_by_role("alert")).to_contain_text(fault)
    give_token(tab, token())
    tab.wait_for_url(f"{page_url}/calls")
    assert "outb_" not in str(tab.context.cookies()), "the token stays in no cookie"
    watch.faults[:] = [one for one in watch.faults if "401" not in one]


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
def test_the_language_is_changed_by_one_click_and_kept(page_url: str, sign_in: SignIn, javascript: bool) -> None:
    tab = sign_in("en", javascript=javascript)
    tab.goto(f"{page_url}/calls")
    tab.get_by_role("button", name="עברית").click()
    expect(tab.locator("h1")).to_have_text("שיחות")
    expect(tab.locator("html")).to_have_attribute("dir", "rtl")
    assert tab.url == f"{page_url}/calls"
    tab.goto(f"{page_url}/")
    expect(tab.locator("html")).to_have_attribute("lang", "he")


def test_an_open_page_ends_within_seconds_of_its_tokens_end(world: World, sign_in: SignIn) -> None:
    world.worker()
    world.scheduler()
    tab = sign_in(by_form=True)
    expect(tab.locator("h1")).to_contain_text("Nothing waits")
    (revoked,) = world.rows("select public_id from api_token")[0]
    api_token.revoke(revoked, actor="Dana")
    tab.wait_for_url(re.compile("/page/sign-in"), timeout=20_000)


def test_a_business_s_token_sees_its_own_alone(world: World, page_url: str, sign_in: SignIn, watch: Watch) -> None:
    own, other = world.business("Acme", "+15005550006"), world.business("Hadar", "+97235550006")
    mine = world.initiated(own, "+15005550101", "CA" + "1" * 32)
    theirs = world.initiated(other, "+97235550102", "CA" + "2" * 32)
    tab = sign_in(business_id=own, by_form=True)

    expect(tab.get_by_role("link", name=str(mine), exact=True).first).to_be_visible()
    assert "Hadar" not in tab.content()
    expect(tab.get_by_role("link", name=str(theirs), exact=True)).to_have_count(0)
    assert tab.locator("nav a[href='/page/health']").count() == 0
    tab.goto(f"{page_url}/calls")
    expect(tab.get_by_role("link", name=str(theirs), exact=True)).to_have_count(0)
    for path in (f"/calls/{theirs}", "/calls/987654321"):
        answer = tab.goto(page_url + path)
        assert answer is not None
        assert answer.status == 404
    watch.faults[:] = [one for one in watch.faults if "404" not in one]
