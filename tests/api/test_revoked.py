"""A token that is revoked, or expires, while what it began goes on: nothing more is read or written with it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from outbound.api import context, route
from outbound.rules import api_token
from tests.api.conftest import Client
from tests.conftest import World, until

pytestmark = pytest.mark.rows_only

NUMBERS = b"to\n+12125550101\n+12125550102\n"
EndToken = Callable[[World, httpx.Client], None]


def revoke(_: World, http: httpx.Client) -> None:
    api_token.revoke(http.headers["authorization"].split("_")[1], actor="test")


def expire(world: World, http: httpx.Client) -> None:
    public_id = http.headers["authorization"].split("_")[1]
    world.do("update api_token set expires_at = now() where public_id = %s", public_id)


@pytest.fixture(autouse=True)
def _asked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question for a token is asked of the database."""
    monkeypatch.setattr(context, "TOKEN_CACHE_S", 0)
    monkeypatch.setattr(route, "ASKED_AGAIN_S", 0)


def calls(world: World, count: int) -> int:
    """A business with so many calls."""
    business = world.business("Shop")
    world.do(
        "insert into call_log (business_id, from_number, to_number, status, ended_at, error_message)"
        " select %s, '+12125550100', '+1' || 2000000000 + n, 'failed', now(), 'x' from generate_series(1, %s) as n",
        business,
        count,
    )
    return business


@contextmanager
def half_sent(http: httpx.Client, path: str, kind: str, body: bytes) -> Iterator[socket.socket]:
    """A connection on which all but the last bytes of a request were sent."""
    where = urlsplit(str(http.base_url))
    head = (
        f"POST /v1{path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        f"authorization: {http.headers['authorization']}\r\n\r\n"
    )
    with socket.create_connection((where.hostname or "", where.port or 80), timeout=30) as line:
        line.sendall(head.encode() + body[:-5])
        yield line


@contextmanager
def no_turns(http: httpx.Client) -> Iterator[None]:
    """No work that may take minutes is begun as long as the block lasts; *http* may do all."""
    assert http.get("/audit/verify").status_code == 200  # the limit belongs to the event loop that uses it first
    limiter, others = context.limit("slow", context.SLOW_AT_ONCE), [object() for _ in range(context.SLOW_AT_ONCE)]
    for other in others:
        limiter.acquire_on_behalf_of_nowait(other)
    try:
        yield
    finally:
        for other in others:
            limiter.release_on_behalf_of(other)


@pytest.mark.parametrize("end", [revoke, expire])
@pytest.mark.parametrize("accept", ["text/csv", "application/x-ndjson"])
def test_a_list_is_cut_off_where_its_token_ends(world: World, client: Client, accept: str, end: EndToken) -> None:
    http = client(business_id=calls(world, 30_000))

    with http.stream("GET", "/exports/calls", headers={"accept": accept}) as answer:
        pieces = answer.iter_raw(1000)
        next(pieces)
        end(world, http)
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            b"".join(pieces)


@pytest.mark.parametrize("end", [revoke, expire])
@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/imports?batch=spring", "text/csv", NUMBERS),
        ("/suppressions/import", "text/csv", NUMBERS.replace(b"to", b"phone")),
        ("/calls", "application/json", b'{"to": "+12125550101"}'),
        ("/calls/bulk", "application/json", b'{"calls": [{"to": "+12125550101"}]}'),
    ],
)
def test_what_comes_of_a_body_after_its_token_ended_is_not_done(
    world: World, client: Client, path: str, kind: str, body: bytes, end: EndToken
) -> None:
    http = client(business_id=world.business("Shop"))

    with half_sent(http, path, kind, body) as line:
        until(lambda: route.tokens._known)  # the head was read
        if path.startswith("/imports"):
            until(lambda: world.value("select count(*) from call_import") == 1)
        end(world, http)
        line.sendall(body[-5:])
        answer = line.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b'"code":"bad_token"' in answer
    kept = "select (select count(*) from call_log) + (select count(*) from suppression)"
    assert world.value(kept) + world.value("select count(*) from call_import") == 0


def test_a_body_of_a_live_token_is_not_cut_off_by_who_guesses_beside_it(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = client(business_id=world.business("Shop"))
    monkeypatch.setattr(context, "REFUSED_AT_ONCE", 3)
    monkeypatch.setattr(context, "REFUSED_PER_S", 0.0)
    monkeypatch.setattr(context, "TOKENS_CACHED", 1)  # it knows the last guess alone

    with half_sent(http, "/imports?batch=spring", "text/csv", NUMBERS) as line:
        until(lambda: world.value("select count(*) from call_import") == 1)
        guesses = [
            httpx.get(f"{http.base_url}token", headers={"authorization": f"Bearer outb_abcdefgh_{place}"}).status_code
            for place in range(5)
        ]
        line.sendall(NUMBERS[-5:])
        answer = line.recv(65_536)

    assert guesses == [401, 401, 401, 429, 429]
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert world.value("select count(*) from call_log") == 2


def test_a_file_that_waits_for_its_turn_is_not_read_once_its_token_ended(world: World, client: Client) -> None:
    shop = world.business("Shop")
    http, other = client(business_id=shop), client(business_id=shop)
    headers = {"content-type": "text/csv", "prefer": "respond-async"}
    http.get("/token")

    with no_turns(client()):
        answer = http.post("/imports", params={"batch": "spring"}, content=NUMBERS, headers=headers)
        assert answer.status_code == 202
        revoke(world, http)

    until(lambda: other.get(f"/imports/{answer.json()['id']}").json()["state"] == "refused")
    assert "revoked" in other.get(f"/imports/{answer.json()['id']}").json()["reason"]
    assert world.value("select count(*) from call_log") == 0


def test_a_long_list_that_waits_for_its_turn_is_not_answered_once_its_token_ended(world: World, client: Client) -> None:
    world.business("Shop")
    http, other, statuses = client(), client(), list[int]()
    http.get("/token")

    with no_turns(other):
        asking = threading.Thread(target=lambda: statuses.append(http.get("/audit/verify").status_code))
        asking.start()
        until(lambda: context._limits["slow"].statistics().tasks_waiting == 1)
        revoke(world, http)
    until(lambda: other.get("/token").is_success and not asking.is_alive())

    assert statuses == [401]
