"""PostgreSQL and the API's process end under an open page: it says that its numbers are old, and recovers by itself."""

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import expect

from outbound import config
from outbound.database import migrations
from tests import forked
from tests.api.conftest import is_served
from tests.chaos import servers as chaos_servers
from tests.chaos.servers import Server
from tests.conftest import SETTINGS, Environment, until
from tests.page.conftest import SignIn, Watch
from tests.ports import free_ports

OLD = 20_000  # milliseconds: the page says it after four seconds, and this machine may be busy
AGAIN = 60_000


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    """A PostgreSQL that may be killed, migrated."""
    home = Path(tempfile.mkdtemp(prefix="outbound-page-"))
    home.chmod(0o755)  # as root, PostgreSQL runs as nobody, who must get there
    with chaos_servers.running(home) as (server, brokers):
        with Environment(**SETTINGS | {"DATABASE_URL": server.url, "REDIS_URL": brokers[0].url}):
            migrations.migrate()
        yield server
    shutil.rmtree(home, ignore_errors=True)


class Api:
    """`outbound api` with the page, as a process of its own."""

    def __init__(self, port: int, log: Path) -> None:
        self._port, self._log = port, log
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = forked.Popen(
                [sys.executable, "-m", "outbound", "api"], env=config.environment(), stdout=log, stderr=log
            )
        until(lambda: is_served(self._port) or self.process.poll() is not None, timeout_s=60)
        assert self.process.poll() is None, self._log.read_text()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def api(postgres: Server, tmp_path: Path) -> Iterator[Api]:
    (port,) = free_ports(1)
    given = {"DATABASE_URL": postgres.url, "OUTBOUND_PAGE": "true", "OUTBOUND_API_PORT": str(port)}
    with Environment(**SETTINGS | given):
        one = Api(port, tmp_path / "api.log")
        yield one
        one.kill()


@pytest.fixture
def page_url(api: Api) -> str:
    del api
    return f"http://127.0.0.1:{config.settings().api_port}/page"


def pause(url: str, reason: str) -> None:
    """Something that an open page must come to show."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "update dial_control set state = 'paused', state_reason = %s, state_since = now() where scope = 'account'",
            (reason,),
        )


def outage_alone(watch: Watch) -> None:
    """What a browser says of itself when a server is away is no fault of the page."""
    told = (
        "ERR_CONNECTION_REFUSED",
        "ERR_INCOMPLETE_CHUNKED_ENCODING",
        "ERR_EMPTY_RESPONSE",
        "503",
        "CONNECTION_RESET",
    )
    watch.faults[:] = [one for one in watch.faults if not any(word in one for word in told)]


def test_postgresql_is_killed_under_an_open_page(postgres: Server, sign_in: SignIn, watch: Watch) -> None:
    tab = sign_in(lands_on="")
    age = tab.locator("#age")
    expect(age).to_contain_text("old")
    tab.evaluate("window.sameDocument = true")

    postgres.kill()
    expect(age).to_have_class("old", timeout=OLD)
    expect(age).to_contain_text("no news for")
    postgres.start()
    pause(postgres.url, "after the outage")

    expect(tab.locator(".needs")).to_contain_text("after the outage", timeout=AGAIN)
    expect(age).not_to_have_class("old", timeout=AGAIN)
    assert tab.evaluate("window.sameDocument"), "it was not loaded again"
    outage_alone(watch)


def test_the_process_is_killed_under_an_open_page(postgres: Server, api: Api, sign_in: SignIn, watch: Watch) -> None:
    tab = sign_in(lands_on="")
    age = tab.locator("#age")
    expect(age).to_contain_text("old")

    api.kill()
    expect(age).to_have_class("old", timeout=OLD)
    api.start()
    pause(postgres.url, "after the restart")

    expect(tab.locator(".needs")).to_contain_text("after the restart", timeout=AGAIN)
    expect(age).not_to_have_class("old", timeout=AGAIN)
    outage_alone(watch)


def test_a_screen_that_was_asked_for_in_an_outage_comes_by_itself(
    postgres: Server, page_url: str, sign_in: SignIn, watch: Watch
) -> None:
    tab = sign_in(javascript=False)
    postgres.kill()
    try:
        answer = tab.goto(f"{page_url}/calls", timeout=60_000)
        assert answer is not None
        assert answer.status == 503
        expect(tab.get_by_role("heading")).to_contain_text("The database does not answer")
    finally:
        postgres.start()
    expect(tab.get_by_role("heading", name="Calls", exact=True)).to_be_visible(timeout=AGAIN)
    outage_alone(watch)
