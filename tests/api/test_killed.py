"""An API process is killed between its commit and its answer: the repeat finds what was done, and does nothing."""

import multiprocessing
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from outbound.api import app, route, server
from outbound.failpoint import API_POINTS
from outbound.rules import api_token, new_business, retry_policy
from outbound.webhooks import endpoint
from tests.api import test_isolation as isolation
from tests.api.conftest import is_served
from tests.conftest import World, forget_settings, until
from tests.digest import digest
from tests.ports import free_ports

BY_THEMSELVES = {"make_token"}  # it takes no key, as the document says
# They have committed before the answer is kept.
IN_PARTS = {"cancel", "cancel_calls", "import_calls", "import_suppressions", "import_consents", "import_registry"}


class Serving:
    """The API in a process of its own, forked, as what it imports is here already; started again where it died."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self.start()

    def start(self) -> None:
        self.process = multiprocessing.get_context("fork").Process(target=_serve, args=(self._port,))
        self.process.start()
        until(lambda: is_served(self._port))

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.http.close()


def _serve(port: int) -> None:
    route.tokens.forget()
    server.server(app.app(), "127.0.0.1", port).run()


@pytest.fixture
def serving(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    monkeypatch.setenv("CRASH_OUTBOUND_AT", str(tmp_path))
    monkeypatch.setenv("OUTBOUND_API_RATE", "1000")
    monkeypatch.setenv("OUTBOUND_WEBHOOK_KEY", "0123456789abcdef" * 2)
    forget_settings()
    (port,) = free_ports(1)
    one = Serving(port)
    yield one
    one.end()


def writing() -> list[isolation.Operation]:
    found = [one for one in isolation.operations() if one[0] != "get" and isolation.named(one) not in BY_THEMSELVES]
    return sorted(found, key=lambda one: one[0] == "delete")  # the others need what these remove


def is_cut_off(http: httpx.Client, operation: isolation.Operation, ids: dict[str, int], **key: str) -> bool:
    try:
        isolation.send(http, operation, ids, **key)
    except httpx.HTTPError:
        return True
    return False


@pytest.mark.parametrize("third", range(3))
@pytest.mark.parametrize("point", API_POINTS)
def test_the_repeat_of_each_writing_operation_is_answered_and_does_nothing_more(
    world: World, serving: Serving, tmp_path: Path, point: str, third: int
) -> None:
    ids = rows(world)
    token = api_token.add("test", scopes=api_token.SCOPES, actor="test").token
    serving.http.headers["authorization"] = f"Bearer {token}"
    serving.http.get("/v1/token")
    for place, operation in enumerate(writing()[third::3]):
        name, key = isolation.named(operation), {"idempotency-key": f"key-{place}"}
        given = ids if name == "retry_call" else ids | {"call": ids["waiting"]}  # that one is of a call that has ended
        (tmp_path / point).touch()
        before = digest(world)

        assert is_cut_off(serving.http, operation, given, **key), name
        serving.process.join(20)
        assert serving.process.exitcode == -signal.SIGKILL, name
        after = digest(world)
        assert (after != before) == (point == "api.committed" or name in IN_PARTS), name

        serving.start()
        again = isolation.send(serving.http, operation, given, **key)
        while again.status_code == 409:  # until the server has noticed that the session is gone
            assert again.json()["code"] == "in_progress", (name, again.text)
            again = isolation.send(serving.http, operation, given, **key)
        assert again.is_success, (name, again.text)
        if point == "api.committed":
            assert digest(world) == after, name


def rows(world: World) -> dict[str, int]:
    """Rows on which each operation can work."""
    business = new_business.add("Acme", actor="test", time_zone="UTC", default_region="US", twiml="<Response/>").id
    campaign = world.value("insert into campaign (business_id, name) values (%s, 'Spring') returning id", business)
    world.do("insert into business_number (phone, business_id) values ('+12125550700', %s)", business)
    call = world.value(
        "insert into call_log (business_id, from_number, to_number, status, ended_at)"
        " values (%s, '+12125550700', '+12125550777', 'completed', now()) returning id",
        business,
    )
    retry_policy.add(business, f"{isolation.MARK} policy", "busy: 5m", per_day=1, per_week=1, actor="test")
    window = world.value("select window_id from business where id = %s", business)
    token = api_token.add("other", scopes=["calls:read"], actor="test").id
    waiting = world.queued(business, "+12125550776")
    return {
        "business": business,
        "campaign": campaign,
        "call": call,
        "waiting": waiting,
        "window": window,
        "token": token,
        "import": 1,  # no writing operation is of one
        "endpoint": endpoint.add("https://example.com/", business_id=business, actor="test").id,
    }
