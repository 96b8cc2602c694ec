"""The page in Debian's Chromium: served by a thread of this process, on a real database, from a real socket."""

import shutil
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from outbound.page import session
from outbound.page.app import app
from outbound.rules import api_token
from tests.api.conftest import served
from tests.conftest import World
from tests.page.rows import Rows, fill

LANGUAGES = {"en": "en-US", "he": "he-IL"}

SignIn = Callable[..., Page]
ONLY_THIS_MACHINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"  # no other address is ever asked
OWN_FORM = {"sec-fetch-site": "same-origin"}

expect.set_options(timeout=30_000)  # a busy machine is slow


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """
    One browser for all tests of a file; each test has a context, which is a profile, of its own.

    Not of the whole process: while Playwright is there, nobody else in its thread may run an event loop.
    """
    # The shell shows a page as the whole browser does, and takes half the processor time.
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", ONLY_THIS_MACHINE])
        yield browser
        browser.close()


@pytest.fixture
def page_url(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the page of this test is, without a slash at its end."""
    monkeypatch.setenv("OUTBOUND_PAGE", "true")
    with served(app, monkeypatch) as url:
        yield f"{url}/page"
    session.forget()


SIGN_IN_S = 30  # the first request of a new database plans each statement, beside other tests


def token(*scopes: str, business_id: int | None = None, name: str = "test") -> str:
    """The text of a new token; with every scope where none is given."""
    wanted = scopes or tuple(scope for scope in api_token.SCOPES if business_id is None or scope != "operator")
    return api_token.add(name, scopes=wanted, business_id=business_id, actor="test").token


def cookie_of(page_url: str, shown: str) -> dict[str, str]:
    """The headers of a browser that has signed in with this token."""
    answer = httpx.post(f"{page_url}/sign-in", data={"token": shown}, headers=OWN_FORM, timeout=SIGN_IN_S)
    assert answer.status_code == 303, answer.text
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


class Watch:
    """
    What must not happen in a browser: a request to another host, a message on its console, a script that fails.

    `streams` are the event streams that it has opened.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.streams: list[Request] = []

    def over(self, browser: BrowserContext, page_url: str) -> None:
        """Watch a profile from now on."""
        own = urlsplit(page_url).netloc

        def ask(request: Request) -> None:
            if urlsplit(request.url).netloc != own:
                self.faults.append(f"a request to {request.url}")
            if urlsplit(request.url).path == "/page/live":
                self.streams.append(request)

        def look(answer: Response) -> None:
            if answer.status >= 400 and answer.request.resource_type != "document":
                self.faults.append(f"{answer.status} of {answer.url}")

        def note(message: ConsoleMessage) -> None:
            # The browser writes down each status of 400 and more: that of a screen is the test's own matter.
            if not message.text.startswith("Failed to load resource: the server responded with a status"):
                self.faults.append(f"{message.type}: {message.text}")

        browser.on("request", ask)
        browser.on("response", look)
        browser.on("console", note)
        browser.on("weberror", lambda error: self.faults.append(f"error: {error.error}"))


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test where something happened that must not; a test that causes some empties `faults` itself."""
    watch = Watch()
    yield watch
    assert watch.faults == []


def give_token(tab: Page, shown: str) -> None:
    """
    Sign in with this token, as somebody who types where the cursor is.

    Chromium writes a line on the console where a field is typed into before autofocus has reached it.
    """
    expect(tab.locator("#token")).to_be_focused()
    tab.fill("#token", shown)
    tab.click("button.main")


@pytest.fixture
def sign_in(chromium: Browser, page_url: str, watch: Watch) -> Iterator[SignIn]:
    """
    Opens a browser's profile and signs in: `sign_in("he", scopes=("calls:read",))` is its first tab.

    The tab shows nothing yet, unless *lands_on* says where Now leads to ('' is Now itself).  A request of the profile
    signs in as the form does; `by_form` types the token instead, and shows Now.

    Further keywords: business_id, scopes, width (1280), theme (light), javascript (True).
    """
    opened: list[BrowserContext] = []

    def make(
        language: str = "en",
        *,
        scopes: tuple[str, ...] = (),
        business_id: int | None = None,
        width: int = 1280,
        theme: str = "light",
        javascript: bool = True,
        by_form: bool = False,
        lands_on: str | None = None,
    ) -> Page:
        browser = chromium.new_context(
            locale=LANGUAGES[language],
            color_scheme="dark" if theme == "dark" else "light",
            viewport={"width": width, "height": 900},
            java_script_enabled=javascript,
        )
        browser.set_default_timeout(60_000)
        opened.append(browser)
        watch.over(browser, page_url)
        tab, shown = browser.new_page(), token(*scopes, business_id=business_id)
        if by_form:
            tab.goto(f"{page_url}/")
            give_token(tab, shown)
            tab.wait_for_url(f"{page_url}/")
        else:
            answer = browser.request.post(
                f"{page_url}/sign-in", form={"token": shown}, headers=OWN_FORM, max_redirects=0
            )
            assert answer.status == 303, answer.text()
        if lands_on is not None:
            tab.goto(f"{page_url}/")
            tab.wait_for_url(f"{page_url}/{lands_on}")
        return tab

    yield make
    for browser in opened:
        browser.close()


@pytest.fixture
def rows(world: World) -> Rows:
    """Rows that every screen has something to show of."""
    return fill(world)
