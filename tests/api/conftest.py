"""A real API process's application behind a real socket, and clients with tokens."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from starlette.types import ASGIApp

from outbound.api import app, context, route, server
from outbound.rules import api_token
from outbound.web import server as web_server
from tests.conftest import World, forget_settings, until
from tests.ports import free_ports

Client = Callable[..., httpx.Client]


def is_served(port: int) -> bool:
    """Does an API process answer there?"""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def served(make: Callable[[], ASGIApp], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where an application of the API process is served, by a thread of this process, as long as the block lasts."""
    (port,) = free_ports(1)
    monkeypatch.setenv("OUTBOUND_API_RATE", "10000")
    monkeypatch.setenv("OUTBOUND_WEBHOOK_KEY", "0123456789abcdef" * 2)
    monkeypatch.setattr(context, "REFUSED_AT_ONCE", 10_000)
    monkeypatch.setattr(web_server, "LAST_REQUESTS_S", 0)  # when it stops, nobody has just been let in
    forget_settings()
    running = server.server(make(), "127.0.0.1", port)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until(lambda: running.started or not thread.is_alive())
    assert running.started, "it ended"
    yield f"http://127.0.0.1:{port}"
    running.handle_exit(signal.SIGTERM, None)
    thread.join(20)
    route.tokens.forget()


@pytest.fixture
def api_url(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the API of this test is served."""
    with served(app.app, monkeypatch) as url:
        yield url


@pytest.fixture
def client(api_url: str) -> Iterator[Client]:
    """A client with a token: `client("calls:read", business_id=1)`."""
    made: list[httpx.Client] = []

    def make(*scopes: str, business_id: int | None = None) -> httpx.Client:
        wanted = scopes or tuple(scope for scope in api_token.SCOPES if business_id is None or scope != "operator")
        token = api_token.add("test", scopes=wanted, business_id=business_id, actor="test").token
        one = httpx.Client(base_url=f"{api_url}/v1", headers={"authorization": f"Bearer {token}"}, timeout=30)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()
