"""Callee: what it says of a number, and the entries that are made from it."""

import pytest
from playwright.sync_api import expect

from tests.conftest import World
from tests.page.conftest import SignIn

pytestmark = pytest.mark.rows_only

PHONE = "+972541234567"


@pytest.mark.parametrize(("language", "javascript"), [("en", True), ("he", True), ("en", False), ("he", False)])
def test_a_callee_is_suppressed_in_two_clicks_from_its_call(
    world: World, sign_in: SignIn, page_url: str, language: str, javascript: bool
) -> None:
    call_id = world.queued(to=PHONE)
    tab = sign_in(language, javascript=javascript)
    tab.goto(f"{page_url}/calls/{call_id}")

    tab.locator('a[href$="/callee?suppress"]').click()
    tab.locator('button[name="verb"][value="suppress"]').click()

    expect(tab.locator(".notice")).to_be_visible()
    expect(tab.locator(".state.bad").first).to_be_visible()
    assert PHONE not in tab.url
    assert world.call(call_id).error_code == "suppressed"
    entry = world.rows("select phone, business_id, reason from suppression")[0]
    assert (entry.phone, entry.business_id) == (PHONE, world.call(call_id).business_id)
    assert entry.reason
    assert world.value("select who from audit where action = 'suppress'").startswith("token test (")


def test_a_number_in_any_writing_is_judged_for_each_business(world: World, sign_in: SignIn, page_url: str) -> None:
    world.business("Acme")
    closed = world.business("Closed")
    world.do("insert into suppression (phone, business_id, reason) values (%s, %s, 'by letter')", PHONE, closed)
    tab = sign_in()
    tab.goto(f"{page_url}/callees")

    tab.fill("#number", "(+972) 54-123 4567")
    tab.get_by_role("button", name="Find").click()

    expect(tab.locator("h1")).to_contain_text("+972 54-123-4567 may be called now by some, not by others")
    verdicts = tab.get_by_role("region", name="May it be called, by whom and when")
    expect(verdicts.get_by_role("row", name="Acme").locator(".state")).to_have_text("yes")
    expect(verdicts.get_by_role("row", name="Closed").locator(".state")).to_have_text("no")
    expect(verdicts.get_by_role("row", name="Closed")).to_contain_text("it is on a do-not-call list")
    expect(tab.get_by_role("region", name="What is known of the number")).to_contain_text("by letter")


def test_an_entry_is_removed_and_a_consent_is_given_and_revoked(world: World, sign_in: SignIn, page_url: str) -> None:
    acme = world.business("Acme")
    world.do("insert into suppression (phone, business_id) values (%s, %s)", PHONE, acme)
    tab = sign_in(business_id=acme)
    tab.goto(f"{page_url}/callees")
    tab.fill("#number", PHONE)
    tab.get_by_role("button", name="Find").click()
    expect(tab.locator("h1")).to_contain_text("may not be called: it is on a do-not-call list")

    tab.get_by_role("button", name="Remove entry").click()
    expect(tab.locator(".notice")).to_have_text("The entry is removed.")
    expect(tab.locator("h1")).to_contain_text("may be called now")

    tab.get_by_text("Consent…").click()
    tab.fill("#consent-source", "web form")
    tab.get_by_role("button", name="Record the consent").click()
    expect(tab.get_by_role("region", name="What is known of the number")).to_contain_text("web form")
    tab.get_by_role("button", name="Revoke consent").click()
    expect(tab.get_by_role("region", name="What is known of the number")).to_contain_text("consent revoked")
    assert world.value("select count(*) from suppression") == 0
    assert world.value("select revoked_at is not null from consent")


def test_what_is_no_number_is_answered_with_the_form_and_how_it_is_mended(
    world: World, sign_in: SignIn, page_url: str
) -> None:
    world.business("Acme")
    tab = sign_in(javascript=False)
    tab.goto(f"{page_url}/callees")
    tab.fill("#number", "12 three")
    tab.get_by_role("button", name="Find").click()

    expect(tab.locator("#fault")).to_contain_text("the number")
    expect(tab.locator("#number")).to_have_value("12 three")
    expect(tab.locator("#fault")).not_to_contain_text("choose the business")


def test_a_number_without_country_code_is_read_once_its_business_is_chosen(
    world: World, sign_in: SignIn, page_url: str
) -> None:
    for name, region in (("Acme", "US"), ("Hadar", "IL")):
        world.do("update business set default_region = %s where id = %s", region, world.business(name))
    tab = sign_in(javascript=False)
    tab.goto(f"{page_url}/callees")
    tab.fill("#number", "054-555 0199")
    tab.get_by_role("button", name="Find").click()
    expect(tab.locator("#fault")).to_contain_text("Or choose the business")
    tab.select_option("#business_id", label="Hadar")
    tab.get_by_role("button", name="Find").click()
    expect(tab.locator("h1")).to_contain_text("+972 54-555-0199")


def test_calling_hours_and_attempts_say_until_when_a_number_is_not_called(
    world: World, sign_in: SignIn, page_url: str
) -> None:
    acme = world.business("Acme")
    policy = world.value(
        "insert into retry_ladder (business_id, name, attempts_per_day_max, attempts_per_week_max)"
        " values (%s, 'once', 1, 3) returning id",
        acme,
    )
    world.do("update business set ladder_id = %s where id = %s", policy, acme)
    call_id = world.initiated(acme, to=PHONE)
    world.do("update call_log set status = 'no-answer', ended_at = now(), overdue_at = null where id = %s", call_id)
    tab = sign_in("he")
    tab.goto(f"{page_url}/calls/{call_id}/callee")

    expect(tab.locator("h1")).to_contain_text("מספר הניסיונות המותר ליום נוצל")
    row = tab.get_by_role("region", name="למי מותר להתקשר, וממתי").get_by_role("row", name="Acme")
    expect(row.locator(".state")).to_have_text("עוד לא")


def test_a_callee_of_another_business_is_not_shown(world: World, sign_in: SignIn, page_url: str) -> None:
    acme, other = world.business("Acme"), world.business("Other")
    call_id = world.queued(other, to=PHONE)
    world.do("insert into suppression (phone, business_id, reason) values (%s, %s, 'their secret')", PHONE, other)
    tab = sign_in(business_id=acme)

    answer = tab.goto(f"{page_url}/calls/{call_id}/callee")
    assert answer is not None
    assert answer.status == 404
    tab.goto(f"{page_url}/callees")
    tab.fill("#number", PHONE)
    tab.get_by_role("button", name="Find").click()
    expect(tab.locator("h1")).to_contain_text("may be called now")
    assert "their secret" not in tab.content()
    assert "Other" not in tab.content()


@pytest.mark.parametrize(
    ("language", "many", "never"),
    [("en", "more than 20 businesses", "may not be called"), ("he", "יש יותר מ־20 עסקים", "אסור להתקשר")],
)
def test_of_more_businesses_than_are_looked_at_one_must_be_chosen(
    world: World, sign_in: SignIn, page_url: str, language: str, many: str, never: str
) -> None:
    last = [world.business(f"no. {place}") for place in range(21)][-1]
    world.do("insert into suppression (phone, business_id) values (%s, %s)", PHONE, last)
    tab = sign_in(language, javascript=False)
    tab.goto(f"{page_url}/callees")
    tab.fill("#number", PHONE)
    tab.click("main button.main")

    expect(tab.locator("h1")).to_contain_text(many)
    expect(tab.locator("#verdicts tbody tr")).to_have_count(20)
    expect(tab.locator(f'#suppress-for option[value="business {last}"]')).to_have_count(1)
    expect(tab.locator(f'#consent-for option[value="business {last}"]')).to_have_count(1)

    tab.fill("#number", PHONE)
    tab.select_option("#business_id", str(last))
    tab.locator("form:has(#number) button.main").click()
    expect(tab.locator("h1")).to_contain_text(never)
    expect(tab.locator("#suppress-for option")).to_have_count(2)


def test_of_more_campaigns_than_are_looked_at_the_newest_are_judged_which_is_said(
    world: World, sign_in: SignIn, page_url: str
) -> None:
    acme = world.business("Acme")
    first, *_ = (
        world.value("insert into campaign (business_id, name) values (%s, %s) returning id", acme, f"no. {place}")
        for place in range(21)
    )
    suppress = "insert into suppression (phone, business_id, campaign_id) values (%s, %s, %s)"
    world.do(suppress, PHONE, acme, first)
    tab = sign_in(business_id=acme, javascript=False)
    tab.goto(f"{page_url}/callees")
    tab.fill("#number", PHONE)
    tab.get_by_role("button", name="Find").click()

    expect(tab.locator("h1")).to_contain_text("For the 20 newest campaigns: +972 54-123-4567 may be called now")
    expect(tab.locator("#verdicts tbody tr")).to_have_count(21)
