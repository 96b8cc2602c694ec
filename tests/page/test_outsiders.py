"""What somebody outside has written is text on every screen: no element is made of it, and nothing of it runs."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from outbound.page import menu
from outbound.rules import api_token
from outbound.webhooks import endpoint
from tests.conftest import World
from tests.page.conftest import SignIn

pytestmark = pytest.mark.rows_only

PHONE = "+972541234567"
ATTACKS = {
    "script": "<script>window.hit=1</script>",
    "attribute": "\"'><img src=x onerror=window.hit=1>",
    "address": "javascript:window.hit=1",
    "template": "{{7*7}}${7*7}<%= 7*7 %>",
    "direction": "\u202egnp.exe\u2066\u2067",
    "closing": "</title></textarea></select></pre><svg onload=window.hit=1>",
}


def fill(world: World, text: str) -> dict[str, int]:
    """Put a text wherever somebody outside can put one; ids of what has it."""
    acme = world.business(text)
    world.do("update business set time_zone = 'Asia/Jerusalem' where id = %s", acme)
    campaign = world.value("insert into campaign (business_id, name) values (%s, %s) returning id", acme, text)
    call_id = world.initiated(acme, to=PHONE, call_sid="CA" + "2" * 32)
    world.do(
        "update call_log set campaign_id = %s, status = 'failed', ended_at = now(), overdue_at = null,"
        " error_code = '99999', error_message = %s, contact = jsonb_build_object(%s::text, %s::text),"
        " stopped_by = %s, stop_reason = %s where id = %s",
        *(campaign, text, text, text, text, text, call_id),
    )
    waiting = world.queued(acme, to=PHONE)
    world.do(
        "update call_log set campaign_id = %s, paused_at = now(), stop_reason = %s where id = %s",
        campaign,
        text,
        waiting,
    )
    world.do("insert into suppression (phone, business_id, reason) values (%s, %s, %s)", PHONE, acme, text)
    world.do("insert into consent (phone, business_id, given_at, source) values (%s, %s, now(), %s)", PHONE, acme, text)
    lead_id = world.value("insert into leads (business_id, phone) values (%s, %s) returning id", acme, PHONE)
    world.do("update call_log set lead_id = %s where id = %s", lead_id, call_id)
    for scope, key in (("business", acme), ("campaign", campaign)):
        world.do(
            "insert into dial_control (scope, key, state, state_reason, state_since)"
            " values (%s, %s, 'paused', %s, now())"
            " on conflict (scope, key) do update set state = 'paused', state_reason = excluded.state_reason,"
            " state_since = now()",
            *(scope, str(key), text),
        )
    world.do(
        "insert into audit (who, action, scope, key, details)"
        " values (%s, %s, %s, %s, jsonb_build_object(%s::text, %s::text))",
        *(text, text, text, text, text, text),
    )
    for scope, key in (("business", acme), ("campaign", campaign)):
        world.do(
            "insert into audit (who, action, scope, key, details)"
            " values (%s, 'pause', %s, %s, jsonb_build_object('reason', %s::text))",
            *(text, scope, str(key), text),
        )
    made = endpoint.add("https://events.example.com/hook", actor=text[:100]).id
    world.do("update webhook_endpoint set url = url || '?q=' || %s, state_reason = %s, state = 'off'", text, text)
    world.do(
        "with event as (insert into event_log (business_id, type, public_id, call_id, data)"
        " values (%s, 'call.ended', %s, %s, '{}') returning id)"
        " insert into webhook_delivery (endpoint_id, event_id, state, attempts, error)"
        " select %s, id, 'given_up', 10, %s from event",
        *(acme, f"evt_{text}", call_id, made, text),
    )
    api_token.add("shown", scopes=["calls:read"], business_id=acme, actor=text)
    world.do("update api_token set name = %s where name = 'shown'", text)
    return {"call": call_id, "endpoint": made, "campaign": campaign}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_outsiders_wrote_is_text_on_every_screen(
    world: World, sign_in: SignIn, page_url: str, attack: str
) -> None:
    text = ATTACKS[attack]
    tab = sign_in()
    ids = fill(world, text)
    paths = [entry.path for entry in menu.ENTRIES]
    paths += [f"/calls/{ids['call']}", f"/calls/{ids['call']}/callee", f"/webhooks/{ids['endpoint']}"]
    seen = 0
    for path in paths:
        answer = tab.goto(f"{page_url}{path}")
        assert answer is not None
        assert answer.status == 200, path
        seen += shows_as_text(tab, text, path)
    for path, form in (("/callees", {"number": PHONE}), ("/calls", {"number": PHONE})):
        tab.goto(f"{page_url}{path}")
        tab.fill("#number", form["number"])
        tab.locator("button.main").first.click()
        expect(tab.locator("h1")).to_be_visible()
        seen += shows_as_text(tab, text, path)
    assert seen > 20, "few screens show it: is it still put everywhere?"


def shows_as_text(tab: Page, text: str, path: str) -> int:
    """How often a screen shows the text; nothing of it may have become an element, an attribute or a link."""
    count: Callable[[str], Any] = tab.evaluate
    assert count("window.hit") is None, path
    assert count("document.querySelectorAll('script').length") == 1, path
    assert count("document.querySelectorAll('img, iframe, object, style, svg[onload]').length") == 0, path
    events = (
        "[...document.querySelectorAll('*')].some(one => one.getAttributeNames().some(name => name.startsWith('on')))"
    )
    assert count(events) is False, path
    links = "[...document.querySelectorAll('a')].every(one => one.href.startsWith(location.origin + '/page'))"
    assert count(links) is True, path
    content = str(count("document.body.textContent"))
    if "\u202e" in text:
        # A text that turns its direction is in an element of its own, which ends what it turned.
        loose = (
            "(text) => [...document.querySelectorAll('body *')].filter(one => one.children.length === 0"
            " && one.textContent.includes(text) && !one.closest('bdi, option, pre, code, [lang]'))"
            ".map(one => one.tagName)"
        )
        assert tab.evaluate(loose, text) == [], path
    return content.count(text)


def test_a_nul_is_refused_and_changes_nothing(world: World, sign_in: SignIn, page_url: str) -> None:
    acme = world.business("Acme")
    tab = sign_in()
    origin = {"sec-fetch-site": "same-origin"}
    refused: tuple[tuple[str, dict[str, str | float | bool]], ...] = (
        ("/callees", {"number": "05\0"}),
        ("/callees", {"number": PHONE, "verb": "suppress", "for": f"business {acme}", "reason": "a\0b"}),
        ("/control/act", {"scope": "business", "key": str(acme), "verb": "pause", "reason": "a\0b"}),
        ("/control/act", {"scope": "business", "key": "1\0", "verb": "pause"}),
        ("/webhooks", {"url": "https://example.com/\0"}),
        ("/tokens", {"name": "a\0b", "scope calls:read": "yes"}),
    )
    for path, form in refused:
        answer = tab.request.post(f"{page_url}{path}", form=form, headers=origin)
        assert answer.status in (400, 404, 422), (path, form, answer.status)
    shown = tab.request.post(f"{page_url}/control", form={"who": "a\0b", "key": "\0"}, headers=origin)
    assert shown.status == 200
    assert world.value("select count(*) from suppression") == 0
    assert world.value("select count(*) from webhook_endpoint") == 0
    assert world.value("select count(*) from dial_control where state <> 'running'") == 0
    assert world.value("select count(*) from api_token") == 1
