"""Health: what doctor finds, the worst first, and one look for all who look."""

import re
import time

from playwright.sync_api import expect

from outbound.checks import doctor
from tests.conftest import World
from tests.page.conftest import SignIn


def test_what_must_be_mended_first_is_on_top_and_processes_are_listed(
    world: World, sign_in: SignIn, page_url: str
) -> None:
    world.worker(12)
    tab = sign_in()
    tab.goto(f"{page_url}/health")
    expect(tab.locator("h1")).to_have_text(re.compile("broken"))
    rows = tab.get_by_role("region", name="What was looked at").get_by_role("row")
    states = [text.split("\t")[1] for text in rows.all_inner_texts()[1:]]
    order = ["broken", "look", "not looked at", "sound"]
    assert [order.index(state) for state in states] == sorted(order.index(state) for state in states)
    assert set(states) >= {"broken", "sound"}
    found = {one.check for one in doctor.examine()}
    assert len(states) == len(found)
    processes = tab.get_by_role("region", name="Processes that this database has seen")
    expect(processes.get_by_role("row", name="worker")).to_contain_text("12")
    expect(processes.get_by_role("row", name="scheduler")).to_contain_text("outbound scheduler")


def test_one_look_is_shown_to_all_who_look_within_ten_seconds(world: World, sign_in: SignIn, page_url: str) -> None:
    tab = sign_in()
    tab.goto(f"{page_url}/health")
    expect(tab.get_by_role("row", name="workers").locator(".state")).to_have_text("broken")
    world.worker()
    began = time.monotonic()
    tab.request.get(f"{page_url}/health")
    assert time.monotonic() - began < 1, "it looked again"
    tab.goto(f"{page_url}/health")
    expect(tab.get_by_role("row", name="workers").locator(".state")).to_have_text("broken")


def test_health_is_for_the_operator(world: World, sign_in: SignIn, page_url: str) -> None:
    tab = sign_in(business_id=world.business("Acme"))
    answer = tab.goto(f"{page_url}/health")
    assert answer is not None
    assert answer.status == 403
    assert tab.request.get(f"{page_url}/control").status == 200
