"""Leads and inbound: who was reached, who called us, and what a business sees of it."""

import pytest
from playwright.sync_api import expect

from outbound.page import inbound_calls
from tests.conftest import World
from tests.page.conftest import SignIn
from tests.page.test_campaigns import saved

pytestmark = pytest.mark.rows_only


def lead(world: World, business: int, phone: str, hours_ago: int = 0) -> int:
    """A lead with one call that has ended."""
    made = world.value(
        "insert into leads (business_id, phone, updated_at) values (%s, %s, now() - make_interval(hours => %s))"
        " returning id",
        business,
        phone,
        hours_ago,
    )
    call_id = world.initiated(business, phone, "CA" + phone[1:].zfill(32))
    world.do(
        "update call_log set status = 'completed', ended_at = now(), overdue_at = null, lead_id = %s where id = %s",
        made,
        call_id,
    )
    return int(made)


def inbound(world: World, business: int, phone: str) -> int:
    return int(
        world.value(
            "insert into call_log (business_id, from_number, to_number, direction, status, call_sid, ended_at)"
            " values (%s, %s, '+15005550006', 'inbound', 'completed', %s, now()) returning id",
            business,
            phone,
            "CB" + phone[1:].zfill(32),
        )
    )


def test_leads_stand_newest_first_with_their_calls_and_inbound_calls_beside_them(
    world: World, sign_in: SignIn, page_url: str
) -> None:
    business = world.business()
    old, new = lead(world, business, "+12125550101", 3), lead(world, business, "+12125550102")
    call_id = inbound(world, business, "+12125550199")
    tab = sign_in()

    tab.goto(f"{page_url}/leads")

    leads = tab.get_by_role("region", name="Leads")
    assert [row.split()[0] for row in leads.locator("tbody tr").all_inner_texts()] == [str(new), str(old)]
    expect(leads).to_contain_text("+121255501••")
    calls = tab.get_by_role("region", name="Inbound calls")
    expect(calls.get_by_role("link", name=str(call_id))).to_be_visible()
    expect(tab.locator("main")).not_to_contain_text("0102")
    assert [row["phone"] for row in saved(tab, "Save all leads", "leads.csv")] == ["+12125550102", "+12125550101"]


def test_another_business_s_leads_and_inbound_calls_are_not_shown(world: World, sign_in: SignIn, page_url: str) -> None:
    own, other = world.business("Mine"), world.business("Theirs")
    lead(world, other, "+12125550101")
    inbound(world, other, "+12125550199")
    tab = sign_in(business_id=own)

    tab.goto(f"{page_url}/leads")

    expect(tab.locator("h1")).to_have_text("There is no lead yet")
    expect(tab.locator("main")).to_contain_text("Nobody has called yet")
    assert saved(tab, "Save all leads", "leads.csv") == []


def test_leads_and_inbound_calls_are_paged_each_by_itself(world: World, sign_in: SignIn, page_url: str) -> None:
    business = world.business()
    for place in range(30):
        lead(world, business, f"+1212555{1000 + place}", place)
        inbound(world, business, f"+1212555{2000 + place}")
    tab = sign_in(javascript=False)

    tab.goto(f"{page_url}/leads")
    expect(tab.get_by_role("region", name="Leads").locator("tbody tr")).to_have_count(25)
    tab.get_by_role("link", name="Older").first.click()
    expect(tab.get_by_role("region", name="Leads").locator("tbody tr")).to_have_count(5)
    expect(tab.get_by_role("region", name="Inbound calls").locator("tbody tr")).to_have_count(25)
    tab.get_by_role("link", name="Older").click()
    expect(tab.get_by_role("region", name="Inbound calls").locator("tbody tr")).to_have_count(5)
    expect(tab.get_by_role("region", name="Leads").locator("tbody tr")).to_have_count(5)


def test_a_look_for_inbound_calls_is_bounded_and_goes_on_where_it_ended(world: World) -> None:
    business = world.business()
    call_id = inbound(world, business, "+12125550199")
    for place in range(5):
        world.queued(business, f"+1212555010{place}")
    asked = {"business_id": None, "page_max": 10, "scan_max": 3}

    first = list(inbound_calls.sql.newest_inbound(world.connection, before_id=None, **asked))
    second = list(inbound_calls.sql.newest_inbound(world.connection, before_id=first[0].id, **asked))

    assert [(row.id, row.status) for row in first] == [(call_id + 3, None)]
    assert [(row.id, row.status) for row in second] == [(call_id, "completed"), (call_id, None)]
