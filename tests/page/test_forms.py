"""Forms that come twice, too late, or with what nobody expects: they are answered, and change nothing else."""

import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from outbound.api import calls
from tests.conftest import World
from tests.digest import digest
from tests.page.conftest import OWN_FORM, cookie_of, token
from tests.page.rows import Rows

pytestmark = pytest.mark.rows_only

RTL_OVERRIDE = "\u202e"


class Browser:
    """Somebody who is signed in and sends forms, without a browser's checks of their fields."""

    def __init__(self, page_url: str, language: str = "en") -> None:
        self._url = page_url
        self._headers = cookie_of(page_url, token()) | OWN_FORM | {"accept-language": language}

    def get(self, path: str, method: str = "GET") -> httpx.Response:
        return httpx.request(method, self._url + path, headers=self._headers, timeout=60)

    def send(self, path: str, **fields: str) -> httpx.Response:
        return httpx.post(self._url + path, data=fields, headers=self._headers, timeout=60)

    def act(self, verb: str, scope: str, key: object, **more: str) -> httpx.Response:
        return self.send("/control/act", verb=verb, scope=scope, key=str(key), **more)

    def twice(self, path: str, **fields: str) -> list[httpx.Response]:
        with ThreadPoolExecutor(2) as both:
            return list(both.map(lambda _: self.send(path, **fields), range(2)))


def fault(answer: httpx.Response) -> str:
    """What a screen says is wrong, as markup."""
    found = re.search(r'class="fault"[^>]*>(.*?)</p>', answer.text, re.DOTALL)
    return found[1] if found else ""


def done(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    return str(re.findall(r"outbound-done=(\w+)", answer.headers["set-cookie"])[0])


@pytest.fixture
def dana(page_url: str) -> Browser:
    return Browser(page_url)


def test_two_supervisors_who_pause_at_once_both_see_it_paused(
    world: World, rows: Rows, page_url: str, dana: Browser
) -> None:
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(lambda one: one.act("pause", "campaign", rows.campaign), (dana, Browser(page_url))))
    assert [done(one) for one in answers] == ["pause", "pause"]
    assert world.value("select state from dial_control where scope = 'campaign'") == "paused"


def test_what_is_not_paused_any_more_is_not_said_to_go_on(rows: Rows, dana: Browser) -> None:
    dana.act("pause", "campaign", rows.campaign)
    assert done(dana.act("resume", "campaign", rows.campaign)) == "resume"
    assert done(dana.act("resume", "campaign", rows.campaign)) == "no_resume"
    assert done(dana.act("resume", "call", rows.calls[-1])) == "no_resume"


@pytest.mark.parametrize("language", ["en", "he"])
def test_a_form_about_a_call_that_has_ended_meanwhile_changes_nothing_and_says_so(
    world: World, rows: Rows, page_url: str, language: str
) -> None:
    somebody, ended = Browser(page_url, language), rows.calls[-1]
    before = digest(world)
    answers = [somebody.act(verb, "call", ended, agreed="yes") for verb in ("pause", "cancel", "stop")]
    answers.append(somebody.send(f"/calls/{ended}/reschedule", at="2030-01-01T09:00"))
    for answer in answers:
        assert answer.status_code == 422
        assert str(ended) in fault(answer)
        assert ('lang="en"' in fault(answer)) == (language == "en")
    assert digest(world) == before


def test_a_form_that_is_sent_twice_makes_one(world: World, rows: Rows, dana: Browser) -> None:
    made = dana.twice(f"/calls/{rows.calls[-2]}/retry")
    assert len({answer.headers["location"] for answer in made}) == 1
    made = dana.twice("/campaigns", name="Spring", business_id=str(rows.business))
    assert sorted(answer.status_code for answer in made) == [303, 422]
    assert world.value("select count(*) from campaign where name = 'Spring'") == 1


@pytest.mark.parametrize("name", [RTL_OVERRIDE + "evil", "\U0001f600" * 200, "\u0639" * 200, "a\nb", " ", ""])
def test_a_name_that_would_change_how_others_are_read_is_refused(
    world: World, rows: Rows, dana: Browser, name: str
) -> None:
    answer = dana.send("/campaigns", name=name, business_id=str(rows.business))
    assert answer.status_code == 422
    assert fault(answer)
    assert world.value("select count(*) from campaign") == 1


def test_a_long_name_of_any_script_is_shown_whole_and_isolated(world: World, rows: Rows, dana: Browser) -> None:
    name = "\u0645\u0648\u0639\u062f \U0001f9b7 \u05ea\u05d5\u05e8 <b>" + "\u0639" * 80
    done(dana.send("/campaigns", name=name, business_id=str(rows.business)))
    shown = dana.get("/campaigns").text
    assert f"<bdi>{name.replace('<', '&lt;').replace('>', '&gt;')}</bdi>" in shown


@pytest.mark.parametrize(
    ("number", "status"),
    [
        *(
            (text, 200)
            for text in ("054-555 0199", "(054) 555.0199", "+972 54\u2011555\u20110199", "tel:+972545550199")
        ),
        *((text, 200) for text in ("\u0660\u0665\u0664\u0665\u0665\u0665\u0660\u0661\u0669\u0669", "00972545550199")),
        *((text, 422) for text in ("", "   ", "abc", "054-ABC-0199", "0199 555 054", "9" * 10_000, "054 or 055", "\0")),
    ],
)
def test_a_number_in_every_writing_is_read_or_refused_with_its_mend(
    rows: Rows, dana: Browser, number: str, status: int
) -> None:
    answer = dana.send("/callees", number=number, business_id=str(rows.business))
    assert answer.status_code == status, fault(answer)
    assert status == 422 or "+972 54-555-0199" in answer.text
    assert bool(fault(answer)) == (status == 422)


def test_a_form_without_its_fields_is_refused(world: World, rows: Rows, dana: Browser) -> None:
    before = digest(world)
    assert [dana.send(path).status_code for path in ("/callees", "/control/act", "/tokens")] == [422, 400, 422]
    assert dana.send("/callees", number="x" * 70_000).status_code == 413
    assert digest(world) == before


@pytest.mark.parametrize(
    "path", ["/campaigns?before=x", "/campaigns?before=idle-0", "/calls?before=x", "/leads?before=-1"]
)
def test_a_wrong_place_in_a_list_is_answered(rows: Rows, dana: Browser, path: str) -> None:
    answer = dana.get(path)
    assert answer.status_code in (200, 422)
    assert answer.status_code == 200 or fault(answer)


def test_head_is_answered_like_get_without_a_body(rows: Rows, dana: Browser) -> None:
    for path in ("/", "/campaigns", f"/campaigns/{rows.campaign}", f"/calls/{rows.calls[0]}", "/calls/987654321"):
        answer = dana.get(path, "HEAD")
        assert answer.status_code == dana.get(path).status_code
        assert answer.content == b""


def test_a_time_that_the_clocks_skip_is_the_hour_after(world: World, rows: Rows, dana: Browser) -> None:
    answer = dana.send(f"/calls/{rows.calls[2]}/reschedule", at="2032-03-26T02:30")  # at 2:00 it becomes 3:00 in Israel
    assert done(answer) == "reschedule"
    due = "select to_char(due_at at time zone 'Asia/Jerusalem', 'HH24:MI') from call_log where id = %s"
    assert world.value(due, rows.calls[2]) == "03:30"
    assert "03:30" in dana.get(f"/calls/{rows.calls[2]}").text


def test_an_hour_that_comes_twice_is_shown_with_the_call(world: World, rows: Rows, dana: Browser) -> None:
    world.do("update call_log set due_at = '2032-10-31 01:30+02' where id = %s", rows.calls[1])
    assert "01:30" in dana.get(f"/calls/{rows.calls[1]}").text


def test_while_phones_ring_and_nobody_talks_no_number_of_people_is_said(
    world: World, rows: Rows, dana: Browser
) -> None:
    world.do("update call_log set status = 'completed', ended_at = now() where status = 'in-progress'")
    call_id = world.initiated(rows.business, "+97235550299", "CA" + "9" * 32)
    world.do("update call_log set campaign_id = %s where id = %s", rows.campaign, call_id)
    assert "nobody is on the phone" in dana.get("/").text
    assert "nobody is on the phone" in dana.get(f"/campaigns/{rows.campaign}").text


def test_a_search_that_found_nothing_so_far_does_not_say_that_there_is_none(
    world: World, page_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LOOKS_MAX", 1)
    business = world.business("Acme")
    campaign = world.value("insert into campaign (business_id, name) values (%s, 'Spring') returning id", business)
    world.do(
        "insert into call_log (business_id, from_number, to_number, status, ended_at, error_code)"
        " select %s, '+15005550006', '+1500' || (1000000 + n), 'failed', now() - n * interval '1 min', '13224'"
        " from generate_series(1, 120) as n",
        business,
    )
    browser = Browser(page_url)

    searched = browser.send("/calls", campaign_id=str(campaign), error_code="13224").text
    without = browser.send("/calls", campaign_id=str(campaign), error_code="99999").text

    assert "None of the newest calls is like that" in searched
    assert "No call is like that" in without
