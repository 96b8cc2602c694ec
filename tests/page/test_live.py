"""One stream of a browser keeps all its tabs up to date."""

import re

from playwright.sync_api import BrowserContext, Page, Request, expect

from outbound.rules import control
from outbound.rules.scope import scope_of
from tests.conftest import World
from tests.page.conftest import SignIn


class Streams:
    """The event streams that a browser's profile has opened from now on and not closed."""

    def __init__(self, browser: BrowserContext) -> None:
        self._open: set[Request] = set()
        browser.on("request", self._begun)
        browser.on("requestfailed", self._ended)
        browser.on("requestfinished", self._ended)

    def _begun(self, request: Request) -> None:
        if "/page/live" in request.url:
            self._open.add(request)

    def _ended(self, request: Request) -> None:
        self._open.discard(request)

    def __len__(self) -> int:
        return len(self._open)


def is_fresh(tab: Page) -> None:
    expect(tab.locator("#age")).to_have_text(re.compile("old"))


def test_two_tabs_hold_one_stream_and_the_second_takes_it_over(world: World, page_url: str, sign_in: SignIn) -> None:
    world.worker()
    world.scheduler()
    business_id = world.business("Acme")
    first = sign_in()
    is_fresh(first)
    further = Streams(first.context)
    second = first.context.new_page()
    second.goto(f"{page_url}/")
    is_fresh(second)
    assert len(further) == 0

    first.close()
    control.pause(scope_of("business", str(business_id)), reason="lunch", actor="Dana")
    expect(second.locator(".needs")).to_contain_text("lunch", timeout=15_000)
    assert len(further) == 1


def test_a_tab_that_watches_more_is_served_by_the_same_stream(world: World, page_url: str, sign_in: SignIn) -> None:
    world.business("Acme")
    call_id = world.initiated(call_sid="CA" + "1" * 32)
    first = sign_in()
    is_fresh(first)
    second = first.context.new_page()
    second.goto(f"{page_url}/calls/{call_id}")
    is_fresh(second)
    world.do("update call_log set status = 'in-progress', answered_at = now() where id = %s", call_id)
    expect(second.locator(".facts .state").first).to_have_text("in progress", timeout=15_000)
    is_fresh(first)
