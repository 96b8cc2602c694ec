"""One stream of a browser keeps all its tabs up to date."""

import re

from playwright.sync_api import Page, expect

from outbound.rules import control
from outbound.rules.scope import scope_of
from tests.conftest import World
from tests.page.conftest import SignIn, Watch


def is_fresh(tab: Page) -> None:
    expect(tab.locator("#age")).to_have_text(re.compile("old"))


def has_opened(watch: Watch, tab: Page) -> None:
    """Wait until the browser has opened a stream: a page calls its own numbers fresh before that."""
    while not watch.streams:
        tab.wait_for_timeout(20)


def test_two_tabs_hold_one_stream_and_the_second_takes_it_over(
    world: World, page_url: str, sign_in: SignIn, watch: Watch
) -> None:
    world.worker()
    world.scheduler()
    business_id = world.business("Acme")
    first = sign_in(lands_on="")
    has_opened(watch, first)
    second = first.context.new_page()
    second.goto(f"{page_url}/")
    is_fresh(second)
    assert len(watch.streams) == 1

    first.close()
    control.pause(scope_of("business", str(business_id)), reason="lunch", actor="Dana")
    expect(second.locator(".needs")).to_contain_text("lunch", timeout=15_000)
    assert len(watch.streams) == 2


def test_a_tab_that_watches_more_is_served_by_the_same_stream(world: World, page_url: str, sign_in: SignIn) -> None:
    world.business("Acme")
    call_id = world.initiated(call_sid="CA" + "1" * 32)
    first = sign_in(lands_on="")
    is_fresh(first)
    second = first.context.new_page()
    second.goto(f"{page_url}/calls/{call_id}")
    is_fresh(second)
    world.do("update call_log set status = 'in-progress', answered_at = now() where id = %s", call_id)
    expect(second.locator(".facts .state").first).to_have_text("in progress", timeout=15_000)
    is_fresh(first)
