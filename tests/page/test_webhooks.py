"""Webhooks: adding, testing and removing an endpoint, and sending again what failed."""

import pytest
from playwright.sync_api import expect

from outbound.webhooks import endpoint
from tests.conftest import World
from tests.page.conftest import SignIn

pytestmark = pytest.mark.rows_only

URL = "https://events.example.com/hook"


def given_up(world: World, endpoint_id: int, count: int = 1) -> list[str]:
    """Events that were given up, by their public ids, the newest first."""
    ids = [f"evt_lost_{endpoint_id}_{number}" for number in range(count)]
    for public_id in ids:
        world.do(
            "with event as (insert into event_log (business_id, type, public_id, data)"
            " select business_id, 'call.ended', %s, '{}' from webhook_endpoint where id = %s returning id)"
            " insert into webhook_delivery (endpoint_id, event_id, state, attempts, status_code, error, took_ms)"
            " select %s, id, 'given_up', 10, 500, 'it answered 500', 12 from event",
            public_id,
            endpoint_id,
            endpoint_id,
        )
    return ids[::-1]


@pytest.mark.parametrize(("language", "javascript"), [("en", True), ("he", True), ("en", False), ("he", False)])
def test_a_failed_delivery_is_sent_again_in_two_clicks(
    world: World, sign_in: SignIn, page_url: str, language: str, javascript: bool
) -> None:
    tab = sign_in(language, javascript=javascript)
    made = endpoint.add(URL, actor="test").id
    lost = given_up(world, made, 2)
    tab.goto(f"{page_url}/webhooks")

    tab.locator(f'a[href$="/webhooks/{made}?state=given_up"]').click()
    tab.locator('button[id^="replay-"]:not(#replay-all)').first.click()

    expect(tab.locator(".notice")).to_be_visible()
    states = dict(world.rows("select public_id, state from webhook_delivery join event_log on id = event_id"))
    assert states == {lost[0]: "due", lost[1]: "given_up"}
    assert world.value("select who from audit where action = 'webhook.replay'").startswith("token test (")


def test_all_that_was_given_up_is_sent_again_once_somebody_agrees(world: World, sign_in: SignIn, page_url: str) -> None:
    tab = sign_in()
    made = endpoint.add(URL, actor="test").id
    given_up(world, made, 3)
    tab.goto(f"{page_url}/webhooks/{made}")
    tab.click("#replay-all")
    expect(tab.locator("h1")).to_contain_text("all 3 events")
    tab.get_by_role("button", name="Send them again").click()
    assert world.value("select count(*) from webhook_delivery where state = 'due' and is_replay") == 3


def test_an_endpoint_is_added_tested_switched_and_removed(world: World, sign_in: SignIn, page_url: str) -> None:
    world.business("Acme")
    tab = sign_in()
    tab.goto(f"{page_url}/webhooks")
    expect(tab.locator("h1")).to_have_text("No address receives events yet")
    tab.fill("#url", URL)
    tab.check('input[name="type lead.created"]')
    tab.get_by_role("button", name="Add the address").click()
    expect(tab.locator(".notice")).to_contain_text("receives events from now on")
    assert world.rows("select url, event_types from webhook_endpoint")[0] == (URL, ["lead.created"])

    tab.click("#test")
    expect(tab.get_by_role("region", name="What was sent")).to_contain_text("ping")
    tab.click("#off")
    expect(tab.locator("h1")).to_contain_text("Switched off since")
    tab.click("#on")
    expect(tab.locator(".notice")).to_contain_text("switched on")
    tab.fill("#url", f"{URL}/2")
    tab.get_by_role("button", name="Save").click()
    assert world.value("select url from webhook_endpoint") == f"{URL}/2"

    tab.click("#rotate")
    tab.get_by_role("button", name="Change the secret").click()
    assert world.value("select secret_generation from webhook_endpoint") == 2
    tab.click("#remove")
    expect(tab.locator("h1")).to_contain_text("the one event that waits")
    assert world.value("select count(*) from webhook_endpoint") == 1
    tab.get_by_role("button", name="Remove the address").click()
    assert world.value("select count(*) from webhook_endpoint") == 0
    actions = [
        row.action for row in world.rows("select action from audit where scope = 'webhook_endpoint' order by id")
    ]
    assert actions == [f"webhook.{verb}" for verb in ("add", "set", "set", "set", "rotate", "remove")]


def test_the_secret_is_shown_when_it_is_asked_for_and_is_in_no_address(
    world: World, sign_in: SignIn, page_url: str
) -> None:
    tab = sign_in()
    made = endpoint.add(URL, actor="test")
    tab.goto(f"{page_url}/webhooks/{made.id}")
    assert "whsec_" not in tab.content()
    tab.click("#secret")
    expect(tab.locator("#secret-text")).to_have_text(made.secret)
    assert "whsec_" not in tab.url
    tab.goto(f"{page_url}/webhooks/{made.id}")
    assert "whsec_" not in tab.content()


def test_an_endpoint_of_another_business_is_not_there(world: World, sign_in: SignIn, page_url: str) -> None:
    acme, other = world.business("Acme"), world.business("Other")
    tab = sign_in(business_id=acme)
    theirs = endpoint.add(URL, business_id=other, actor="test").id
    tab.goto(f"{page_url}/webhooks")
    expect(tab.locator("h1")).to_have_text("No address receives events yet")

    answer = tab.goto(f"{page_url}/webhooks/{theirs}")
    assert answer is not None
    assert answer.status == 404
    for verb in ("secret", "set", "test", "rotate", "remove", "replay"):
        form: dict[str, str | float | bool] = {"agreed": "yes", "event_id": "evt_1", "state": "off"}
        origin = {"sec-fetch-site": "same-origin"}
        refused = tab.request.post(f"{page_url}/webhooks/{theirs}/{verb}", form=form, headers=origin, max_redirects=0)
        assert refused.status == 404, verb
    assert world.value("select state from webhook_endpoint") == "on"
