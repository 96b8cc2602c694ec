"""Signing in: every route of the page refuses strangers, forms of other sites and foreign names, and says how."""

import re
import time
from collections.abc import Iterator

import httpx
import pytest
from starlette.routing import Route

from outbound import config
from outbound.api.app import app as api_app
from outbound.errors import SettingsError
from outbound.page import render, session
from outbound.page.app import SCREENS, app
from tests.conftest import World, forget_settings
from tests.digest import digest
from tests.page.conftest import OWN_FORM, cookie_of, token
from tests.page.rows import Rows

pytestmark = pytest.mark.rows_only

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
CROSS_SITE: tuple[dict[str, str], ...] = (
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {},
)


def routes(method: str) -> list[str]:
    """The addresses of all routes of the page, with 1 for each id."""
    found = [route for screens in SCREENS for route in screens.routes if method in (route.methods or ())]
    return sorted({re.sub(r"\{[^}]*\}", "1", route.path) for route in found})


def own_routes(method: str) -> list[str]:
    """These, and those of signing in itself."""
    found = [route for route in app().routes if isinstance(route, Route) and route.path.startswith("/page")]
    return sorted({re.sub(r"\{[^}]*\}", "1", route.path) for route in found if method in (route.methods or ())})


@pytest.fixture
def host(page_url: str) -> str:
    return page_url.removesuffix("/page")


def signed_in(page_url: str) -> dict[str, str]:
    return cookie_of(page_url, token())


def test_every_answer_of_the_page_lets_a_browser_run_nothing_but_our_own_script(host: str, page_url: str) -> None:
    headers = signed_in(page_url)
    paths = ["/", "/page/static/page.css", "/page/static/page.js", "/page/nowhere", *routes("GET")]
    for path in paths:
        answer = httpx.get(host + path, headers=headers, timeout=60)  # Health looks at everything first
        assert answer.headers["content-security-policy"] == POLICY, path
        for name, value in render.HEADERS.items():
            wanted = "no-cache" if name == "cache-control" and "/static/" in path else value
            assert answer.headers[name] == wanted, (path, name)
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", answer.text), path
    for path in routes("POST"):
        assert httpx.post(host + path, headers=headers).headers["content-security-policy"] == POLICY, path


def test_nobody_is_let_in_who_has_not_signed_in(world: World, host: str) -> None:
    before = digest(world)
    for path in routes("GET"):
        answer = httpx.get(host + path)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/page/sign-in"), path
    for path in routes("POST"):
        answer = httpx.post(host + path, headers=OWN_FORM, data={"verb": "stop", "scope": "account", "agreed": "STOP"})
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/page/sign-in"), path
    assert httpx.get(f"{host}/page/live?watch=now:en").status_code == 401
    assert digest(world) == before


@pytest.mark.parametrize("sent", CROSS_SITE, ids=lambda sent: " ".join(sent.values()) or "nothing")
def test_a_form_that_another_site_sends_changes_nothing(
    world: World, host: str, page_url: str, sent: dict[str, str]
) -> None:
    headers = signed_in(page_url)
    before = digest(world)
    for path in own_routes("POST"):
        answer = httpx.post(
            host + path, headers=headers | sent, data={"verb": "pause", "scope": "business", "key": "1"}
        )
        assert answer.status_code == 403, path
        assert "nothing was done" in answer.text, path
    assert digest(world) == before


SENT = {
    "scope": "campaign",
    "key": "1",
    "agreed": "yes",
    "reason": "because",
    "live_max": "3",
    "was live_max": "",
    "name": "mine",
    "business_id": "1",
    "voice_url": "https://voice.example/",
    "hours": "sun-thu 09:00-20:00",
    "day": "2030-01-01",
    "url": "https://hooks.example/",
    "state": "off",
    "at": "now",
    "scope calls:read": "yes",
}
READS = ("/page/calls", "/page/control", "/page/control/limits")


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "stop"])
def test_who_may_only_read_changes_nothing_by_any_form(
    world: World, rows: Rows, host: str, page_url: str, verb: str
) -> None:
    headers = cookie_of(page_url, token("calls:read", "leads:read")) | OWN_FORM
    before = digest(world)
    for path in routes("POST"):
        own = {"verb": "suppress", "for": "everybody", "number": "+972541234567"} if path == "/page/callees" else {}
        answer = httpx.post(host + path, headers=headers, data=SENT | {"verb": verb} | own)
        assert answer.status_code == (200 if path in READS else 403), path
    assert digest(world) == before


def test_a_foreign_name_that_leads_here_is_refused(world: World, host: str, page_url: str) -> None:
    headers = signed_in(page_url)
    before = digest(world)
    for path in (*own_routes("GET"), "/page/live"):
        assert httpx.get(host + path, headers=headers | {"host": "evil.example"}).status_code == 421, path
    for path in own_routes("POST"):
        answer = httpx.post(host + path, headers=headers | OWN_FORM | {"host": "evil.example"})
        assert answer.status_code == 421, path
    assert digest(world) == before


def test_after_signing_in_somebody_goes_on_at_one_of_our_own_screens(page_url: str) -> None:
    shown = token()
    for asked, goes_to in (
        ("/page/calls/7", "/page/calls/7"),
        ("https://evil.example/", "/page/"),
        ("//evil.example", "/page/"),
        ("/page/\\evil.example", "/page/"),
        ("/elsewhere", "/page/"),
        ("/page/\r\nset-cookie: a=b", "/page/"),
    ):
        answer = httpx.post(f"{page_url}/sign-in", data={"token": shown, "next": asked}, headers=OWN_FORM)
        assert answer.headers["location"] == goes_to


def test_a_session_is_a_cookie_that_no_script_and_no_other_host_gets(world: World, page_url: str) -> None:
    answer = httpx.post(f"{page_url}/sign-in", data={"token": token()}, headers=OWN_FORM)
    name, *rest = answer.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-outbound=")
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= set(rest)
    secret = name.partition("=")[2]
    assert len(secret) == 43
    assert world.value("select count(*) from page_session where secret_sha256 = %s", secret.encode()) == 0


def test_without_the_setting_there_is_no_page() -> None:
    paths = [getattr(route, "path", "") for route in api_app().routes]
    assert not [path for path in paths if path.startswith("/page")]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"OUTBOUND_API_HOST": "0.0.0.0"}, "OUTBOUND_PAGE_URL"),  # noqa: S104
        ({"OUTBOUND_API_HOST": "0.0.0.0", "OUTBOUND_PAGE_URL": "http://127.0.0.1:8082"}, "OUTBOUND_PAGE_URL"),  # noqa: S104
        ({"OUTBOUND_PAGE_URL": "http://calls.example.com"}, "must be https"),
        (
            {
                "OUTBOUND_API_HOST": "0.0.0.0",  # noqa: S104
                "OUTBOUND_PAGE_URL": "https://calls.example.com",
                "OUTBOUND_PAGE_USER_HEADER": "X-Forwarded-User",
            },
            "OUTBOUND_PAGE_USER_HEADER",
        ),
    ],
)
def test_a_page_that_others_could_listen_to_does_not_start(
    database: str, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], named: str
) -> None:
    del database
    for name, value in {"OUTBOUND_PAGE": "true", **given}.items():
        monkeypatch.setenv(name, value)
    forget_settings()
    with pytest.raises(SettingsError, match=named):
        config.settings()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A proxy in front of the page names its users."""
    monkeypatch.setenv("OUTBOUND_PAGE_USER_HEADER", "X-Forwarded-User")
    monkeypatch.setenv("OUTBOUND_PAGE_USER_SCOPES", "calls:read control")
    yield
    forget_settings()


def test_whom_a_proxy_names_is_let_in_and_named_in_the_audit(world: World, proxy: None, page_url: str) -> None:
    del proxy
    business_id = world.business("Acme")
    dana = {"x-forwarded-user": "dana@example.com"}

    assert httpx.get(f"{page_url}/", headers=dana).status_code == 200
    assert httpx.get(f"{page_url}/").status_code == 303
    for odd in ("", "a" * 200, "a\u200bb"):
        assert httpx.get(f"{page_url}/", headers=[(b"x-forwarded-user", odd.encode())]).status_code in (303, 400)
    paused = {"scope": "business", "key": str(business_id), "verb": "pause", "reason": "lunch"}
    assert httpx.post(f"{page_url}/control/act", headers=dana, data=paused).status_code == 403, "no own form"
    assert httpx.post(f"{page_url}/control/act", headers=dana | OWN_FORM, data=paused).status_code == 303
    assert world.value("select who from audit where action = 'pause'") == "user dana@example.com"


def test_such_a_user_may_do_what_the_setting_says_and_no_more(world: World, proxy: None, page_url: str) -> None:
    del proxy
    world.business("Acme")
    call_id = world.queued()
    before = digest(world)
    dana = {"x-forwarded-user": "dana"} | OWN_FORM
    answer = httpx.post(f"{page_url}/calls/{call_id}/reschedule", headers=dana, data={"at": "now"})
    assert answer.status_code == 403
    assert "calls:write" in answer.text
    assert digest(world) == before


def test_a_session_whose_token_expires_soon_is_known_until_then(
    world: World, page_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_CACHE_S", 7200)
    headers = cookie_of(page_url, token())
    world.do("update api_token set expires_at = now() + interval '1 h'")
    session.forget()

    assert httpx.get(f"{page_url}/", headers=headers).status_code == 200

    (known,) = session._known.values()
    assert known.until - time.monotonic() <= 3600


def test_one_look_at_the_sessions_is_for_all_who_watch(page_url: str) -> None:
    headers = [cookie_of(page_url, token()) for _ in range(3)]
    for one in headers:
        httpx.get(f"{page_url}/", headers=one)
    for known in session._known.values():
        known.until = 0

    assert httpx.get(f"{page_url}/", headers=headers[0]).status_code == 200
    assert len(session._known) == 3
    assert all(known.until > time.monotonic() for known in session._known.values())


@pytest.mark.parametrize("path", ["/calls/{}", "/campaigns/{}", "/imports/{}", "/campaigns/{}/results.csv"])
def test_a_path_with_thousands_of_digits_is_none(page_url: str, path: str) -> None:
    cookie = cookie_of(page_url, token())

    assert httpx.get(page_url + path.format("9" * 5000), headers=cookie).status_code == 404


@pytest.mark.parametrize("digits", ["²", "٣", "9" * 19, "1e3"])
def test_what_is_no_id_of_a_row_is_answered_and_makes_nothing(world: World, page_url: str, digits: str) -> None:
    world.business()
    cookie = cookie_of(page_url, token())
    before = ("/campaigns?before=waiting-", "/leads?before_call=")
    for path in before:
        assert httpx.get(f"{page_url}{path}{digits}", headers=cookie).status_code == 200, path
    forms: tuple[tuple[str, dict[str, str], int], ...] = (
        ("/callees", {"number": "+12125550101", "business_id": digits}, 400),
        ("/tokens", {"name": "x", "scope calls:read": "yes", "business_id": digits}, 400),
        ("/webhooks", {"url": "https://example.com/x", "type call.completed": "yes", "business_id": digits}, 400),
        ("/control", {"before": digits}, 200),
        ("/control/act", {"scope": "campaign", "key": digits, "verb": "stop", "from": "campaign"}, 200),
    )
    for path, form, status in forms:
        answer = httpx.post(f"{page_url}{path}", data=form, headers=cookie | OWN_FORM)
        assert answer.status_code == status, (path, answer.text)
    assert world.value("select count(*) from webhook_endpoint") == 0
    assert world.value("select count(*) from api_token") == 1


@pytest.mark.parametrize("digits", ["²", "9" * 30])
def test_what_is_no_place_in_a_list_of_deliveries_is_the_first_page(world: World, page_url: str, digits: str) -> None:
    cookie = cookie_of(page_url, token())
    form = {"url": "https://example.com/x", "type call.completed": "yes"}
    made = httpx.post(f"{page_url}/webhooks", data=form, headers=cookie | OWN_FORM)
    where = made.headers["location"].partition("?")[0].removeprefix("/page")

    assert httpx.get(f"{page_url}{where}?before={digits}", headers=cookie).status_code == 200
