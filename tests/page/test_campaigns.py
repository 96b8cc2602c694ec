"""Campaigns: each in a sentence, paused and stopped by clicks, filled by a file, and saved as files."""

import csv
import io
from codecs import BOM_UTF8
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, expect

from outbound.page.campaign_state import ROWS_MAX
from outbound.rules.limits import set_limits
from outbound.rules.scope import Scope
from tests.conftest import World, until
from tests.page.conftest import SignIn

pytestmark = pytest.mark.rows_only

READ_MS = 30_000  # of a machine with much else to do, on which the reader rests the longer
BOTH = pytest.mark.parametrize("javascript", [True, False])


def campaign(world: World, name: str = "Winter recall", business: int | None = None) -> int:
    business = world.business() if business is None else business
    return int(world.value("insert into campaign (business_id, name) values (%s, %s) returning id", business, name))


def waiting(world: World, campaign_id: int, calls: int, hours: int = 0, held_by: str | None = None) -> None:
    for _ in range(calls):
        place = world.value("select count(*) from call_log")
        world.do(
            "insert into call_log (business_id, campaign_id, from_number, to_number, due_at, held_by)"
            " select business_id, id, '+15005550006', %s, now() + make_interval(hours => %s), %s"
            " from campaign where id = %s",
            f"+1212555{1000 + place}",
            hours,
            held_by,
            campaign_id,
        )


def talking(world: World, campaign_id: int, calls: int = 1) -> None:
    waiting(world, campaign_id, calls)
    world.do(
        "update call_log set status = 'in-progress', dialed_at = now(), answered_at = now(),"
        " overdue_at = now() + interval '1 hour', call_sid = 'CA' || lpad(id::text, 32, '0')"
        " where campaign_id = %s and status = 'queued'",
        campaign_id,
    )


def control_state(world: World, campaign_id: int) -> str:
    return str(world.value("select state from dial_control where scope = 'campaign' and key = %s", str(campaign_id)))


def form(page_url: str) -> dict[str, str]:
    """What a browser says of a form of our own."""
    return {"origin": page_url.removesuffix("/page"), "sec-fetch-site": "same-origin"}


def alive(world: World) -> None:
    world.worker()
    world.scheduler()


@BOTH
@pytest.mark.parametrize(
    ("language", "pause", "resume", "sentence"),
    [("en", "Pause", "Resume", "is paused since"), ("he", "השהיה", "חידוש", "בהשהיה מאז")],
)
def test_a_campaign_is_paused_and_goes_on_by_a_click_each(
    world: World,
    sign_in: SignIn,
    page_url: str,
    language: str,
    pause: str,
    resume: str,
    sentence: str,
    javascript: bool,
) -> None:
    alive(world)
    found = campaign(world)
    waiting(world, found, 2)
    tab = sign_in(language, javascript=javascript)

    tab.goto(f"{page_url}/campaigns/{found}")
    tab.get_by_role("button", name=pause).click()
    expect(tab.locator("h1")).to_contain_text(sentence)
    expect(tab.locator("h1")).to_contain_text("token test (")
    assert control_state(world, found) == "paused"
    assert world.value("select who from audit where action = 'pause'").startswith("token test (")

    tab.goto(f"{page_url}/campaigns")
    tab.get_by_role("button", name=resume).click()
    expect(tab.locator(".notice")).to_be_visible()
    assert control_state(world, found) == "running"
    assert tab.url == f"{page_url}/campaigns"


@BOTH
@pytest.mark.parametrize(
    ("language", "stop", "agree", "asked"),
    [("en", "Stop…", "Stop it", "hang up on 3 calls"), ("he", "עצירה…", "לעצור", "לנתק 3 שיחות")],
)
def test_a_campaign_is_stopped_by_two_clicks_of_which_the_second_says_how_many_are_talking(
    world: World, sign_in: SignIn, page_url: str, language: str, stop: str, agree: str, asked: str, javascript: bool
) -> None:
    alive(world)
    found = campaign(world)
    world.do("insert into dial_control (scope, key) values ('campaign', %s)", str(found))
    talking(world, found, 3)
    tab = sign_in(language, javascript=javascript)

    tab.goto(f"{page_url}/campaigns/{found}")
    tab.get_by_role("button", name=stop).click()
    expect(tab.locator("h1")).to_contain_text(asked)
    assert control_state(world, found) == "running"
    tab.get_by_role("button", name=agree, exact=True).click()

    expect(tab.locator(".notice")).to_be_visible()
    assert tab.url.startswith(f"{page_url}/campaigns/{found}")
    assert control_state(world, found) == "paused"
    assert world.value("select count(*) from call_log where hang_up = 'completed'") == 3


def test_what_goes_on_in_a_campaign_is_its_heading_and_follows_by_itself(
    world: World, sign_in: SignIn, page_url: str
) -> None:
    alive(world)
    found = campaign(world)
    tab = sign_in()

    tab.goto(f"{page_url}/campaigns/{found}")
    expect(tab.locator("h1")).to_have_text("Winter recall has no calls yet")
    expect(tab.locator("#age")).to_contain_text("s old")
    talking(world, found, 2)
    expect(tab.locator("h1")).to_have_text("Winter recall is dialing; 2 people are on the phone", timeout=READ_MS)


def test_a_file_that_was_chosen_stays_chosen_while_the_campaign_goes_on(
    world: World, sign_in: SignIn, page_url: str, tmp_path: Path
) -> None:
    found = campaign(world)
    file = tmp_path / "spring.csv"
    file.write_text("to\n+12125550101\n")
    tab = sign_in()
    tab.goto(f"{page_url}/campaigns/{found}")
    expect(tab.locator("#age")).to_contain_text("s old")
    before = tab.locator("[data-watch]").get_attribute("data-version") or ""

    tab.set_input_files("#file", file)
    tab.locator("h1").click()
    talking(world, found)
    expect(tab.locator("[data-watch]")).not_to_have_attribute("data-version", before, timeout=READ_MS)
    tab.wait_for_load_state("networkidle")

    assert tab.input_value("#file").endswith("spring.csv")


def test_calls_that_wait_are_told_by_reason_each_with_its_mend(world: World, sign_in: SignIn, page_url: str) -> None:
    alive(world)
    found = campaign(world)
    waiting(world, found, 3, 5, "outside_window")
    waiting(world, found, 1, 9)
    tab = sign_in()

    tab.goto(f"{page_url}/campaigns/{found}")

    expect(tab.locator("h1")).to_contain_text("nothing is dialed until")
    holds = tab.get_by_role("region", name="What waits")
    expect(holds.get_by_role("row", name="calling hours 3")).to_contain_text("at the callee's")
    expect(holds.get_by_role("row", name="due later 1")).to_be_visible()
    tab.get_by_role("button", name="Work out").click()
    expect(tab.locator("h1")).to_contain_text("all 4 calls are held")


def test_now_says_of_waiting_calls_what_the_campaign_s_own_screen_says(
    world: World, sign_in: SignIn, page_url: str
) -> None:
    alive(world)
    found = campaign(world)
    waiting(world, found, 4, held_by="outside_window")
    waiting(world, found, 2, 5, "outside_window")
    waiting(world, found, 1, 9)
    world.do("update call_log set paused_at = now() where id in (select id from call_log order by id limit 1)")
    tab = sign_in()

    tab.goto(f"{page_url}/campaigns/{found}")
    holds = tab.get_by_role("region", name="What waits")
    for row in ("its turn 3", "calling hours 2", "due later 1", "paused calls 1"):
        expect(holds.get_by_role("row", name=row)).to_be_visible()
    tab.goto(f"{page_url}/")

    shown = tab.get_by_role("region", name="Campaigns").get_by_role("row", name="Winter recall")
    for part in ("calling hours 2", "due later 1", "paused calls 1"):
        expect(shown).to_contain_text(part)
    expect(shown).not_to_contain_text("turn")


def test_the_operator_s_name_and_reason_are_not_told_to_a_business(
    world: World, sign_in: SignIn, page_url: str
) -> None:
    alive(world)
    business = world.business()
    found = campaign(world, business=business)
    world.do(
        "insert into dial_control (scope, key, state, state_since, state_reason)"
        " values ('campaign', %s, 'paused', now(), 'secret')",
        str(found),
    )
    tab = sign_in(business_id=business)

    for path in ("campaigns", f"campaigns/{found}"):
        tab.goto(f"{page_url}/{path}")
        expect(tab.locator("main")).to_contain_text("paused")
        expect(tab.locator("main")).not_to_contain_text("secret")


def test_another_business_s_campaign_is_answered_like_none(world: World, sign_in: SignIn, page_url: str) -> None:
    own, other = world.business("Mine"), campaign(world, business=world.business("Theirs"))
    tab = sign_in(business_id=own)

    for tail in ("", "/preview", "/calls.csv", "/results.csv"):
        answers = [tab.request.get(f"{page_url}/campaigns/{wanted}{tail}") for wanted in (other, 10**9)]
        assert [answer.status for answer in answers] == [404, 404], tail
        assert answers[0].text() == answers[1].text()
    tab.goto(f"{page_url}/campaigns")
    expect(tab.locator("h1")).to_have_text("There is no campaign yet")
    tab.goto(f"{page_url}/")
    limits = f"{page_url}/campaigns/{other}/limits"
    answer = tab.request.post(limits, form={"live_max": "1"}, headers=form(page_url))
    assert answer.status == 404
    assert world.rows("select from dial_control where scope = 'campaign'") == []


def test_a_file_is_imported_and_its_refused_lines_are_shown_and_saved(
    world: World, sign_in: SignIn, page_url: str, tmp_path: Path
) -> None:
    found = campaign(world)
    file = tmp_path / "spring.csv"
    file.write_text("to\n+12125550101\n+12125550102\nabc\n+12125550101\n")
    tab = sign_in()

    tab.goto(f"{page_url}/campaigns/{found}")
    tab.set_input_files("#file", file)
    tab.get_by_role("button", name="Import").click()

    expect(tab.locator("h1")).to_have_text("spring.csv is imported: 2 calls were queued")
    expect(tab.get_by_role("row", name="4")).to_contain_text("is not a phone number")
    rows = saved(tab, "Save the refused lines", "import-1-rejected.csv")
    assert [row["line"] for row in rows] == ["4"]
    assert world.value("select count(*) from call_log where campaign_id = %s", found) == 2
    tab.get_by_role("link", name="To the campaign").click()
    expect(tab.get_by_role("region", name="The latest imports")).to_contain_text("finished")


def test_a_file_may_be_tried_first_without_javascript(
    world: World, sign_in: SignIn, page_url: str, tmp_path: Path
) -> None:
    found = campaign(world)
    file = tmp_path / "spring.ndjson"
    file.write_text('{"to": "+12125550101"}\n{"to": "abc"}\n')
    tab = sign_in(javascript=False)

    tab.goto(f"{page_url}/campaigns/{found}")
    tab.set_input_files("#file", file)
    tab.get_by_role("button", name="Try it").click()

    expect(tab.locator("h1")).to_contain_text("nothing was queued: the file would make one call")
    expect(tab.locator("h2")).to_have_text("One line was refused")
    assert world.value("select count(*) from call_log") == 0


def test_a_file_of_which_most_lines_are_refused_is_taken_anyway(
    world: World, sign_in: SignIn, page_url: str, tmp_path: Path
) -> None:
    found = campaign(world)
    file = tmp_path / "spring.csv"
    file.write_text("to\n+12125550101\n" + "call me\n" * 9)
    tab = sign_in("he", javascript=False)

    tab.goto(f"{page_url}/campaigns/{found}")
    tab.set_input_files("#file", file)
    tab.locator("form", has=tab.locator("#file")).locator("button.main").click()
    tab.goto(f"{page_url}/imports/1")
    expect(tab.locator(".fault")).to_contain_text("9 מתוך 10 מספרים אינם תקפים בלי קידומת מדינה")
    assert tab.locator(".fault span[lang=en]").count() == 0

    tab.goto(f"{page_url}/campaigns/{found}")
    tab.set_input_files("#file", file)
    tab.check("#anyway")
    tab.locator("form", has=tab.locator("#file")).locator("button.main").click()
    tab.wait_for_url(f"{page_url}/imports/2")
    until(lambda: world.value("select count(*) from call_log where campaign_id = %s", found) == 1)


def test_a_file_that_is_none_is_refused_with_its_reason(
    world: World, sign_in: SignIn, page_url: str, tmp_path: Path
) -> None:
    found = campaign(world)
    file = tmp_path / "notes.csv"
    file.write_text("name\nDana\n")
    tab = sign_in()

    tab.goto(f"{page_url}/campaigns/{found}")
    tab.set_input_files("#file", file)
    tab.get_by_role("button", name="Import").click()

    expect(tab.locator("h1")).to_have_text("notes.csv was refused, and nothing was queued")
    expect(tab.locator(".fault")).to_contain_text("column")


def test_a_campaign_s_calls_and_results_are_saved_as_files(world: World, sign_in: SignIn, page_url: str) -> None:
    found = campaign(world, "=cmd|' /C calc'!A0")
    waiting(world, found, 2)
    tab = sign_in()
    tab.goto(f"{page_url}/campaigns/{found}")

    calls = saved(tab, "Save the calls", f"campaign-{found}-calls.csv")
    results = saved(tab, "Save what came of each", f"campaign-{found}-results.csv")

    assert [row["status"] for row in calls] == ["queued", "queued"]
    assert len(results) == 2


def saved(tab: Page, link: str, name: str) -> list[dict[str, str]]:
    """The rows of the file that a link saves under a name."""
    with tab.expect_download() as coming:
        tab.get_by_role("link", name=link).click()
    assert coming.value.suggested_filename == name
    content = Path(coming.value.path()).read_bytes()
    assert content.startswith(BOM_UTF8), "Excel would not read its Hebrew"
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_limits_are_set_and_shown_with_what_is_used(world: World, sign_in: SignIn, page_url: str) -> None:
    found = campaign(world)
    talking(world, found, 2)
    tab = sign_in(javascript=False)

    tab.goto(f"{page_url}/campaigns/{found}")
    tab.locator("summary").click()
    tab.fill("#live_max", "40")
    tab.fill("#calls_per_day", "500")
    tab.get_by_role("button", name="Set the limits").click()

    expect(tab.locator(".notice")).to_be_visible()
    row = tab.get_by_role("region", name="Limits").get_by_role("row", name="Campaign Winter recall")
    expect(row).to_contain_text("2 of 40")
    expect(row).to_contain_text("of 500")
    tab.locator("summary").click()
    tab.fill("#live_max", "")
    tab.get_by_role("button", name="Set the limits").click()
    expect(row).not_to_contain_text("of 40")
    assert world.value("select live_max from dial_control where key = %s", str(found)) is None


def test_limits_that_somebody_else_has_set_meanwhile_stay(world: World, sign_in: SignIn, page_url: str) -> None:
    found = campaign(world)
    set_limits(Scope("campaign", str(found)), live_max="40", calls_per_hour="1234567", weight="2")
    tab = sign_in(javascript=False)
    tab.goto(f"{page_url}/campaigns/{found}")
    tab.locator("summary").click()
    expect(tab.locator("#calls_per_hour")).to_have_value("1234567")
    set_limits(Scope("campaign", str(found)), live_max="20", calls_per_day="500", weight="3")

    tab.fill("#calls_per_hour", "")
    tab.get_by_role("button", name="Set the limits").click()

    expect(tab.locator(".notice")).to_be_visible()
    caps = world.rows("select calls_per_hour, calls_per_day from spend_cap")
    assert [tuple(row) for row in caps] == [(None, 500)]
    kept = world.rows("select live_max, weight from dial_control where scope = 'campaign'")
    assert [tuple(row) for row in kept] == [(20, 3)]


def test_a_campaign_is_made_by_a_form(world: World, sign_in: SignIn, page_url: str) -> None:
    business = world.business(phone="+15005560001")
    world.do("insert into business_number (phone, business_id) values ('+15005560002', %s)", business)
    tab = sign_in(business_id=business)

    tab.goto(f"{page_url}/campaigns")
    expect(tab.locator("h1")).to_have_text("There is no campaign yet")
    tab.fill("#name", "Spring")
    tab.fill("#numbers", "+15005560001\n+15005560002")
    tab.locator("summary").click()
    tab.fill("#starts", "2032-12-30T09:00")
    tab.fill("#live_max", "5")
    tab.get_by_role("button", name="Make it").click()

    expect(tab.locator("h1")).to_contain_text("Spring starts at")
    assert world.value("select array_agg(phone order by phone) from campaign_number") == [
        "+15005560001",
        "+15005560002",
    ]
    assert world.value("select live_max from dial_control where scope = 'campaign'") == 5


def test_the_list_goes_on_where_it_ended_and_has_those_with_calls_first(
    world: World, sign_in: SignIn, page_url: str
) -> None:
    business = world.business()
    with_calls = campaign(world, "With calls", business)
    waiting(world, with_calls, 1)
    for place in range(ROWS_MAX + 5):
        campaign(world, f"no. {place}", business)
    tab = sign_in()

    tab.goto(f"{page_url}/campaigns")
    names = tab.locator("tbody td:first-child a").all_inner_texts()
    tab.get_by_role("link", name="More").click()
    expect(tab.locator("h1")).to_have_text("Further campaigns")
    more = tab.locator("tbody td:first-child a").all_inner_texts()

    assert names[0] == "With calls"
    assert names[1:] + more == [f"no. {place}" for place in reversed(range(ROWS_MAX + 5))]


def test_who_may_only_read_is_shown_no_form(world: World, sign_in: SignIn, page_url: str) -> None:
    found = campaign(world)
    waiting(world, found, 1)
    tab = sign_in(scopes=("calls:read",))

    for path in ("campaigns", f"campaigns/{found}"):
        tab.goto(f"{page_url}/{path}")
        expect(tab.locator("main form[method=post]")).to_have_count(0)
    file: FilePayload = {"name": "spring.csv", "mimeType": "text/csv", "buffer": b"to\n+12125550101\n"}
    answer = tab.request.post(f"{page_url}/campaigns/{found}/import", multipart={"file": file}, headers=form(page_url))
    assert answer.status == 403
    assert world.value("select count(*) from call_log") == 1
    tab = sign_in(scopes=("calls:write",))
    assert tab.request.get(f"{page_url}/campaigns").status == 403
    assert tab.request.get(f"{page_url}/campaigns/{found}").status == 403


def test_an_import_that_runs_is_shown_to_its_end_without_a_reload(world: World, sign_in: SignIn, page_url: str) -> None:
    found = campaign(world)
    world.do(
        "insert into call_import (business_id, campaign_id, batch, created, created_by)"
        " select business_id, id, 'spring', 5000, 'test' from campaign where id = %s",
        found,
    )
    tab = sign_in()

    tab.goto(f"{page_url}/imports/1")
    expect(tab.locator("h1")).to_have_text("spring is being read; 5,000 calls are queued so far")
    world.do("update call_import set state = 'finished', created = 7000, finished_at = now()")
    expect(tab.locator("h1")).to_have_text("spring is imported: 7,000 calls were queued")
