"""Sessions of one browser are apart, and none takes what belongs to others."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from outbound.page import live, session
from outbound.page.app import app
from tests.api.conftest import served
from tests.conftest import World, forget_settings
from tests.page.conftest import OWN_FORM, cookie_of, token

pytestmark = pytest.mark.rows_only


def mark_of(page_url: str, cookie: dict[str, str]) -> str:
    return httpx.get(f"{page_url}/", headers=cookie).text.partition('data-session="')[2].partition('"')[0]


def test_who_signs_in_once_more_ends_the_session_before(world: World, page_url: str) -> None:
    before = cookie_of(page_url, token())
    again = httpx.post(f"{page_url}/sign-in", data={"token": token()}, headers=OWN_FORM | before)
    assert again.status_code == 303
    session.forget()
    assert httpx.get(f"{page_url}/", headers=before).status_code == 303
    assert world.value("select count(*) from page_session") == 1


@pytest.mark.parametrize(
    ("form", "sent_from", "screen"),
    [
        ("/control/act", "/campaigns/7", "/campaigns/7"),
        ("/control/act", "/control/act", "/control"),
        ("/calls/7/retry", None, "/calls/7"),
        ("/calls/7/retry", "//elsewhere.example/x", "/calls/7"),
    ],
)
def test_a_form_of_a_session_that_ended_is_not_done_which_is_said_before_the_screen_comes_back(
    world: World, page_url: str, form: str, sent_from: str | None, screen: str
) -> None:
    cookie = cookie_of(page_url, token())
    world.do("delete from page_session")
    session.forget()
    referer = {} if sent_from is None else {"referer": page_url + sent_from if sent_from[1] != "/" else sent_from}
    fields = {"scope": "account", "verb": "pause", "agreed": "STOP"}
    answer = httpx.post(page_url + form, data=fields, headers=cookie | OWN_FORM | referer)
    assert answer.headers["location"] == f"/page/sign-in?next=/page{screen}&undone="
    assert "was not done" in httpx.get(page_url + answer.headers["location"].removeprefix("/page")).text
    assert "was not done" not in httpx.get(f"{page_url}/sign-in?next=/page{screen}").text
    assert world.value("select count(*) from dial_control where state <> 'running'") == 0


def test_a_stream_is_given_to_the_sign_in_that_the_tab_was_opened_with(world: World, page_url: str) -> None:
    own, other = (cookie_of(page_url, token()) for _ in range(2))
    wanted = {"watch": "now:en", "session": mark_of(page_url, own)}
    assert httpx.get(f"{page_url}/live", params=wanted, headers=other).status_code == 409


def test_one_session_does_not_take_all_streams_and_none_without_a_topic(world: World, page_url: str) -> None:
    world.worker()
    cookie = cookie_of(page_url, token())
    wanted = {"watch": "now:en", "session": mark_of(page_url, cookie)}
    assert httpx.get(f"{page_url}/live", params=wanted | {"watch": "call:\u00b2"}, headers=cookie).status_code == 400
    with ExitStack() as open_ones, httpx.Client(headers=cookie, timeout=30) as client:
        reading = []  # a stream of which nobody reads on is closed
        for _ in range(live.STREAMS_OF_SESSION_MAX):
            answer = open_ones.enter_context(client.stream("GET", f"{page_url}/live", params=wanted))
            reading.append(answer.iter_lines())
            assert next(reading[-1]).startswith("retry:")
        assert httpx.get(f"{page_url}/live", params=wanted, headers=cookie).status_code == 503


def test_a_server_that_stops_ends_its_streams_where_they_are(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off after 15 s, each restart would take as long."""
    world.worker()
    monkeypatch.setenv("OUTBOUND_PAGE", "true")
    with ExitStack() as serving, ExitStack() as reading:
        url = serving.enter_context(served(app, monkeypatch)) + "/page"
        cookie = cookie_of(url, token())
        wanted = {"watch": "now:en", "session": mark_of(url, cookie)}
        lines = reading.enter_context(httpx.stream("GET", f"{url}/live", params=wanted, headers=cookie)).iter_lines()
        assert next(lines).startswith("retry:")
        with ThreadPoolExecutor(1) as stopping:
            stopping.submit(serving.close)
            for _ in lines:  # cut off, it raises RemoteProtocolError
                pass


def test_a_file_that_is_saved_is_cut_off_where_the_token_of_the_session_ends(
    world: World, page_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_CACHE_S", 0)
    business = world.business()
    campaign = world.value("insert into campaign (business_id, name) values (%s, 'Spring') returning id", business)
    world.do(
        "insert into call_log (business_id, campaign_id, from_number, to_number, status, ended_at)"
        " select %s, %s, '+12125550100', '+1' || 2000000000 + n, 'failed', now() from generate_series(1, 30000) as n",
        business,
        campaign,
    )
    cookie = cookie_of(page_url, token())

    with httpx.stream("GET", f"{page_url}/campaigns/{campaign}/calls.csv", headers=cookie, timeout=30) as answer:
        pieces = answer.iter_raw(1000)
        next(pieces)
        world.do("update api_token set revoked_at = now()")
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            b"".join(pieces)


def test_a_link_cannot_say_that_something_was_done(world: World, page_url: str) -> None:
    cookie = cookie_of(page_url, token())
    assert 'class="notice"' not in httpx.get(f"{page_url}/?done=stop", headers=cookie).text
    done = cookie | {"cookie": f"{cookie['cookie']}; outbound-done=resume"}
    shown = httpx.get(f"{page_url}/", headers=done)
    assert 'class="notice"' in shown.text
    assert "Max-Age=0" in shown.headers["set-cookie"], "it is said once"


def test_a_user_whom_a_proxy_names_is_let_in_whatever_address_the_proxy_forwards(
    world: World, page_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_PAGE_USER_HEADER", "X-Forwarded-User")
    forget_settings()
    headers = {"x-forwarded-user": "dana", "x-forwarded-for": "203.0.113.9"}
    assert httpx.get(f"{page_url}/", headers=headers, timeout=60).status_code == 200


def test_who_watches_a_lot_takes_nothing_from_the_applications_of_the_token(
    world: World, page_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = token()
    cookie = cookie_of(page_url, shown)
    monkeypatch.setenv("OUTBOUND_API_RATE", "1")
    forget_settings()
    with ThreadPoolExecutor(8) as at_once:
        answers = at_once.map(lambda _: httpx.get(f"{page_url}/calls", headers=cookie, timeout=60), range(8))
        assert 429 in [answer.status_code for answer in answers]
    api = page_url.removesuffix("/page") + "/v1/calls"
    assert httpx.get(api, headers={"authorization": f"Bearer {shown}"}).status_code == 200
