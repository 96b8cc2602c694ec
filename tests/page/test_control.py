"""Control and audit: what is paused and limited, by whom, and the forms that change it."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from outbound.rules import api_token, control
from outbound.rules.limits import set_limits
from outbound.rules.scope import Scope, scope_of
from tests.conftest import World
from tests.page.conftest import OWN_FORM, SignIn

pytestmark = pytest.mark.rows_only

SCOPES = "What is paused, limited and held"


@pytest.mark.parametrize(("language", "javascript"), [("en", True), ("he", True), ("en", False)])
def test_everything_is_paused_by_the_word_and_no_other(
    world: World, sign_in: SignIn, page_url: str, language: str, javascript: bool
) -> None:
    tab = sign_in(language, javascript=javascript)
    tab.goto(f"{page_url}/control")

    tab.click("#pause-everything")
    tab.fill("#agreed", "stop it")
    tab.fill("#reason", "wrong text")
    tab.click("main button.stop")
    expect(tab.locator(".fault")).to_contain_text("STOP")
    assert world.value("select count(*) from dial_control where state <> 'running'") == 0

    tab.fill("#agreed", "STOP")
    tab.click("main button.stop")
    expect(tab.locator(".notice")).to_be_visible()
    paused = world.rows("select scope, state_reason from dial_control where state <> 'running'")
    assert [tuple(row) for row in paused] == [("account", "wrong text")]
    expect(tab.get_by_text("wrong text").first).to_be_visible()
    tab.click("#resume-account-")
    assert world.value("select count(*) from dial_control where state <> 'running'") == 0


def test_a_scope_is_paused_with_a_reason_and_says_by_whom(world: World, sign_in: SignIn, page_url: str) -> None:
    acme = world.business("Acme")
    tab = sign_in()
    tab.goto(f"{page_url}/control")
    tab.get_by_text("Pause, stop or limit something else…").click()
    tab.select_option("#act-scope", "business")
    tab.fill("#act-key", str(acme))
    tab.fill("#act-reason", "until Monday")
    tab.locator("details").get_by_role("button", name="Pause", exact=True).click()

    row = tab.get_by_role("region", name="What is paused, limited and held").get_by_role("row", name="Acme")
    expect(row).to_contain_text("paused")
    expect(row).to_contain_text("until Monday")
    expect(row).to_contain_text("token test (")
    row.get_by_role("button", name="Resume").click()
    expect(tab.locator(".notice")).to_have_text("It goes on.")
    audit = tab.get_by_role("region", name="Entries of the audit")
    expect(audit.get_by_role("row").nth(1)).to_contain_text("resume")


def test_limits_are_set_shown_with_their_use_and_taken_away(world: World, sign_in: SignIn, page_url: str) -> None:
    acme = world.business("Acme")
    world.claimed(acme)
    tab = sign_in()
    tab.goto(f"{page_url}/control")
    tab.get_by_text("Pause, stop or limit something else…").click()
    tab.fill("#act-key", str(acme))
    tab.locator("details").get_by_role("button", name="Limits…").click()
    tab.fill("#live_max", "5")
    tab.fill("#calls_per_day", "100")
    tab.get_by_role("button", name="Set the limits").click()

    row = tab.get_by_role("region", name="What is paused, limited and held").get_by_role("row", name="Acme")
    expect(row).to_contain_text("Calls at once: 1 of 5")
    expect(row).to_contain_text("Calls a day: 1 of 100")
    row.get_by_role("button", name="Limits…").click()
    expect(tab.locator("#live_max")).to_have_value("5")
    tab.fill("#live_max", "")
    tab.get_by_role("button", name="Set the limits").click()
    limits = world.rows("select live_max from dial_control where scope = 'business'")[0]
    assert limits.live_max is None
    assert world.value("select calls_per_day from spend_cap where scope = 'business'") == 100


@pytest.mark.parametrize("scope", ["business", "campaign"])
def test_the_form_of_limits_names_what_nothing_rules_yet(
    world: World, sign_in: SignIn, page_url: str, scope: str
) -> None:
    acme = world.business("Acme")
    campaign = world.value("insert into campaign (business_id, name) values (%s, 'May') returning id", acme)
    tab = sign_in(javascript=False)
    for key, heading in ((str({"business": acme, "campaign": campaign}[scope]), "Acme|May"), ("999", "There is no")):
        tab.goto(f"{page_url}/control")
        tab.get_by_text("Pause, stop or limit something else…").click()
        tab.select_option("#act-scope", scope)
        tab.fill("#act-key", key)
        tab.locator("details").get_by_role("button", name="Limits…").click()
        expect(tab.locator("main")).to_contain_text(re.compile(heading))


def test_a_limit_of_everything_asks_for_the_word(world: World, sign_in: SignIn, page_url: str) -> None:
    tab = sign_in(javascript=False)
    tab.goto(f"{page_url}/control")
    tab.click("#limit-everything")
    tab.fill("#live_max", "7")
    tab.fill("#agreed", "yes")
    tab.get_by_role("button", name="Set the limits").click()
    expect(tab.locator(".fault")).to_contain_text("STOP")
    assert world.value("select live_max from dial_control where scope = 'account'") is None
    expect(tab.locator("#live_max")).to_have_value("7")
    tab.fill("#agreed", "STOP")
    tab.get_by_role("button", name="Set the limits").click()
    assert world.value("select live_max from dial_control where scope = 'account'") == 7


def test_the_audit_is_filtered_and_says_whether_its_chain_holds(world: World, sign_in: SignIn, page_url: str) -> None:
    for who, action in (("dana", "pause"), ("omer", "pause"), ("dana", "resume")):
        world.do(
            "insert into audit (who, action, scope, key, details) values (%s, %s, 'business', '1', %s)",
            who,
            action,
            '{"reason": "asked by +972541234567"}',
        )
    tab = sign_in()
    tab.goto(f"{page_url}/control")
    tab.fill("#audit-who", "dana")
    tab.fill("#audit-action", "pause")
    tab.locator("form", has=tab.locator("#audit-who")).get_by_role("button").click()
    entries = tab.get_by_role("region", name="Entries of the audit").get_by_role("row")
    expect(entries).to_have_count(2)
    expect(entries.nth(1)).to_contain_text("dana")
    assert "+972541234567" not in tab.content()
    assert "+9725412345••" in tab.content()

    tab.click("#verify")
    expect(tab.locator(".notice")).to_contain_text("The chain holds")
    world.do("set session_replication_role = replica; update audit set who = 'nobody' where who = 'omer'")
    tab.click("#verify")
    expect(tab.locator(".fault")).to_contain_text("the entry or its link was changed")


def test_what_was_done_up_to_a_day_is_found(world: World, sign_in: SignIn, page_url: str) -> None:
    for days, who in ((2, "dana"), (1, "omer"), (0, "rina")):
        world.do("insert into audit (who, action, scope, key) values (%s, 'pause', 'business', '1')", who)
        world.do("set session_replication_role = replica")  # so that an entry can be aged
        world.do("update audit set at = at - make_interval(days => %s) where who = %s", days, who)
        world.do("set session_replication_role = origin")
    tab = sign_in(javascript=False)
    tab.goto(f"{page_url}/control")
    tab.fill("#audit-until", world.value("select (now() at time zone 'UTC' - interval '1 day')::date::text"))
    tab.locator("form", has=tab.locator("#audit-until")).get_by_role("button").click()
    entries = tab.get_by_role("region", name="Entries of the audit").get_by_role("row")
    expect(entries).to_have_count(3)
    expect(entries.nth(1)).to_contain_text("omer")
    expect(entries.nth(2)).to_contain_text("dana")

    cookie = {"cookie": "; ".join(f"{one['name']}={one['value']}" for one in tab.context.cookies())}
    refused = httpx.post(f"{page_url}/control", data={"until": "9999-12-31"}, headers=cookie | OWN_FORM)
    assert refused.status_code == 422


def test_older_entries_of_the_audit_are_reached(world: World, sign_in: SignIn, page_url: str) -> None:
    for number in range(120):
        world.do("insert into audit (who, action, scope, key) values ('dana', 'pause', 'business', %s)", str(number))
    tab = sign_in(javascript=False)
    tab.goto(f"{page_url}/control")
    seen = []
    for _ in range(3):
        seen += tab.locator("table").last.get_by_text("business ").all_inner_texts()
        older = tab.get_by_role("button", name="Older")
        if older.count():
            older.click()
    assert seen == [f"business {number}" for number in range(119, -1, -1)]


def test_a_token_of_one_business_sees_and_changes_that_one_alone(world: World, sign_in: SignIn, page_url: str) -> None:
    acme, other = world.business("Acme"), world.business("Other")
    for scope, key in (("business", acme), ("business", other), ("account", "")):
        world.do(
            "insert into audit (who, action, scope, key, details) values ('dana', 'pause', %s, %s, %s)",
            scope,
            str(key),
            '{"reason": "their secret"}',
        )
        world.do(
            "insert into dial_control (scope, key, state, state_reason, state_since)"
            " values (%s, %s, 'paused', 'their secret', now())"
            " on conflict (scope, key) do update"
            " set state = 'paused', state_reason = 'their secret', state_since = now()",
            scope,
            str(key),
        )
    tab = sign_in(business_id=acme)
    tab.goto(f"{page_url}/control")

    scopes = tab.get_by_role("region", name="What is paused, limited and held").get_by_role("row")
    expect(scopes).to_have_count(2)
    expect(scopes.nth(1)).to_contain_text("by an operator")
    audit = tab.get_by_role("region", name="Entries of the audit")
    expect(audit).to_contain_text(f"business {acme}")
    expect(audit).not_to_contain_text(f"business {other}")
    assert "their secret" not in tab.content()
    assert "dana" not in tab.content()
    assert tab.locator("#pause-everything, #stop-everything, #limit-everything, #verify").count() == 0
    for key in (str(other), "999999"):
        tab.goto(f"{page_url}/control")
        tab.get_by_text("Pause, stop or limit something else…").click()
        tab.fill("#act-key", key)
        with tab.expect_response(lambda answer: answer.url.endswith("/control/act")) as answer:
            tab.locator("details").get_by_role("button", name="Pause", exact=True).click()
        assert answer.value.status == 404


def test_a_business_is_told_its_own_token_that_paused_it_and_neither_an_operator_s_nor_the_reason(
    world: World, sign_in: SignIn, page_url: str
) -> None:
    acme = world.business("Acme")
    dana = api_token.add("dana-of-ops", scopes=api_token.SCOPES, business_id=None, actor="test")
    actor = f"token dana-of-ops ({dana.public_id})"
    control.pause(scope_of("business", str(acme)), reason="their bill is unpaid", actor=actor)
    tab = sign_in(business_id=acme)
    tab.goto(f"{page_url}/control")

    row = tab.get_by_role("region", name=SCOPES).get_by_role("row", name="Acme")
    expect(row).to_contain_text("by an operator")
    assert "dana-of-ops" not in tab.content()
    assert "unpaid" not in tab.content()

    row.get_by_role("button", name="Resume").click()
    tab.get_by_text("Pause, stop or limit something else…").click()
    tab.fill("#act-key", str(acme))
    tab.fill("#act-reason", "until Monday")
    tab.locator("details").get_by_role("button", name="Pause", exact=True).click()
    expect(row).to_contain_text("token test (")
    expect(row).to_contain_text("until Monday")


@pytest.mark.parametrize(
    ("language", "one", "none"), [("en", "the one call in the air", "Stop it?"), ("he", "שיחה אחת שבאוויר", "לעצור?")]
)
def test_who_stops_something_is_told_how_many_calls_that_are_in_the_air_it_cuts_off(
    world: World, sign_in: SignIn, page_url: str, language: str, one: str, none: str
) -> None:
    acme = world.business("Acme")
    talking, waiting = world.initiated(acme), world.queued(acme, to="+15005550102")
    tab = sign_in(language, javascript=False)
    asked = {
        ("call", str(talking)): one,
        ("call", str(waiting)): none,
        ("number", "+15005550006"): one,
        ("number", "+15005550007"): none,
        ("business", str(acme)): one,
    }
    for (scope, key), wanted in asked.items():
        tab.goto(f"{page_url}/control")
        tab.locator("summary").first.click()
        tab.select_option("#act-scope", scope)
        tab.fill("#act-key", key)
        tab.locator('details button[value="stop"]').click()
        expect(tab.locator("h1")).to_contain_text(wanted)
        expect(tab.locator("h1")).not_to_contain_text("0")


def test_a_large_limit_stands_in_the_form_digit_by_digit(world: World, sign_in: SignIn, page_url: str) -> None:
    acme = world.business("Acme")
    set_limits(Scope("business", str(acme)), calls_per_day="1234567", calls_per_second="0.125")
    tab = sign_in(javascript=False)
    tab.goto(f"{page_url}/control")
    tab.get_by_role("row", name="Acme").get_by_role("button", name="Limits…").click()

    expect(tab.locator("#calls_per_day")).to_have_value("1234567")
    expect(tab.locator("#calls_per_second")).to_have_value("0.125")
    tab.get_by_role("button", name="Set the limits").click()
    expect(tab.locator(".notice")).to_have_text("No limit was changed.")
    assert world.value("select count(*) from audit where action = 'limit'") == 1


@pytest.mark.parametrize("scope", ["business", "account"])
def test_limits_that_somebody_else_has_set_meanwhile_stay(
    world: World, sign_in: SignIn, page_url: str, scope: str
) -> None:
    acme = world.business("Acme")
    key = str(acme) if scope == "business" else ""
    set_limits(Scope(scope, key), live_max="5", calls_per_hour="50")
    tab = sign_in(javascript=False)
    tab.goto(f"{page_url}/control")
    if scope == "account":
        tab.click("#limit-everything")
    else:
        tab.get_by_role("row", name="Acme").get_by_role("button", name="Limits…").click()
    set_limits(Scope(scope, key), calls_per_day="7", live_max="6")

    tab.fill("#calls_per_hour", "60")
    if scope == "account":
        tab.fill("#agreed", "yes")
        tab.get_by_role("button", name="Set the limits").click()
        expect(tab.locator(".fault")).to_contain_text("STOP")
        tab.fill("#agreed", "STOP")
    tab.get_by_role("button", name="Set the limits").click()

    expect(tab.locator(".notice")).to_be_visible()
    caps = world.rows("select calls_per_hour, calls_per_day from spend_cap where scope = %s", scope)
    assert [tuple(row) for row in caps] == [(60, 7)]
    assert world.value("select live_max from dial_control where scope = %s and key = %s", scope, key) == 6
