"""Tokens: one is made, shown once and revoked."""

import pytest
from playwright.sync_api import expect

from outbound.rules import api_token
from tests.conftest import World
from tests.page.conftest import SignIn

pytestmark = pytest.mark.rows_only


@pytest.mark.parametrize(("language", "javascript"), [("en", True), ("he", False)])
def test_a_token_is_made_shown_once_and_revoked(
    world: World, sign_in: SignIn, page_url: str, language: str, javascript: bool
) -> None:
    acme = world.business("Acme")
    tab = sign_in(language, javascript=javascript)
    tab.goto(f"{page_url}/tokens")
    tab.fill("#name", "crm")
    tab.select_option("#business_id", str(acme))
    tab.fill("#life_days", "30")
    tab.check('input[name="scope calls:write"]')
    with tab.expect_response(lambda answer: answer.request.method == "POST") as answer:
        tab.click("#make")
    assert answer.value.headers["cache-control"] == "no-store"

    text = tab.locator("#token-text").inner_text()
    found = api_token.find(text)
    assert found is not None
    assert (found.name, found.business_id, found.scopes) == ("crm", acme, ["calls:write"])
    tab.goto(f"{page_url}/tokens")
    assert text not in tab.content()

    tab.click(f"#revoke-{found.public_id}")
    assert api_token.find(text) is not None
    tab.click("main button.stop")
    expect(tab.locator(".notice")).to_be_visible()
    assert api_token.find(text) is None
    assert world.value("select who from audit where action = 'token.revoke'").startswith("token test (")


def test_a_token_makes_none_that_may_do_more(world: World, sign_in: SignIn, page_url: str) -> None:
    acme, other = world.business("Acme"), world.business("Other")
    tab = sign_in(business_id=acme, scopes=("calls:read", "tokens"))
    tab.goto(f"{page_url}/tokens")
    shown = tab.locator('input[type="checkbox"]').evaluate_all("boxes => boxes.map(box => box.name)")
    assert shown == ["scope calls:read", "scope tokens"]
    origin = {"sec-fetch-site": "same-origin"}
    refused: tuple[tuple[dict[str, str | float | bool], int], ...] = (
        ({"name": "more", "scope control": "yes"}, 403),
        ({"name": "other", "scope calls:read": "yes", "business_id": str(other)}, 404),
        ({"name": "none"}, 422),
        ({"name": "long", "scope calls:read": "yes", "life_days": "9999"}, 422),
    )
    for form, status in refused:
        answer = tab.request.post(f"{page_url}/tokens", form=form, headers=origin)
        assert answer.status == status, form
    assert world.value("select count(*) from api_token") == 1
    theirs = api_token.add("theirs", scopes=["calls:read"], business_id=other, actor="test")
    for agreed in ("", "yes"):
        answer = tab.request.post(
            f"{page_url}/tokens/{theirs.public_id}/revoke", form={"agreed": agreed}, headers=origin
        )
        assert answer.status == 404
    assert api_token.find(theirs.token) is not None
