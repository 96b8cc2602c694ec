"""A real API process's application behind a real socket, and clients with tokens."""

import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from outbound.api import app, context, route, server
from outbound.rules import api_token
from tests.conftest import World, forget_settings, until
from tests.ports import free_ports

Client = Callable[..., httpx.Client]


def is_served(port: int) -> bool:
    """Does an API process answer there?"""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture
def api_url(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the API of this test is served, by a thread of this process."""
    (port,) = free_ports(1)
    monkeypatch.setenv("OUTBOUND_API_RATE", "10000")
    monkeypatch.setenv("OUTBOUND_WEBHOOK_KEY", "0123456789abcdef" * 2)
    monkeypatch.setattr(context, "REFUSED_AT_ONCE", 10_000)
    forget_settings()
    running = server.server(app.app(), "127.0.0.1", port)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until(lambda: running.started or not thread.is_alive())
    assert running.started, "it ended"
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    running.handle_exit(15, None)
    thread.join(20)
    route.tokens.forget()


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
