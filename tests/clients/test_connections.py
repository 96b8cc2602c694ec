"""The Python client: whose its connections are, of several processes and event loops."""

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from outbound_client import AsyncClient, Client, NewCall, Unanswered

from tests.api.conftest import api_url
from tests.clients.test_python_client import token
from tests.conftest import World

pytestmark = pytest.mark.rows_only

__all__ = ["api_url"]  # a fixture


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("url", "proxy", "is_tls"),
    [
        ("http://127.0.0.1:8082", "", False),
        ("http://127.0.0.1:8082", "http://127.0.0.1:3128", False),
        ("http://calls.example.com", "https://127.0.0.1:3128", True),
        ("https://calls.example.com", "", True),
        ("HTTPS://calls.example.com", "", True),
    ],
)
def test_the_certificates_of_authorities_are_read_only_where_tls_is_spoken(
    monkeypatch: pytest.MonkeyPatch, kind: type[Client | AsyncClient], url: str, proxy: str, is_tls: bool
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("http_proxy", proxy)

    verify = kind(url, "token")._settings["verify"]

    assert (verify.cert_store_stats()["x509"] > 0) == is_tls
    assert verify.verify_mode == ssl.CERT_REQUIRED
    assert verify.check_hostname


@contextmanager
def counting(answer: bytes) -> Iterator[tuple[str, list[socket.socket]]]:
    """A server that gives each request this answer and keeps its connection open; the connections that came."""
    came: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with suppress(ConnectionError):
            while connection.recv(65_536):
                connection.sendall(answer)

    def take() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            came.append(connection)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", came
        server.shutdown(socket.SHUT_RDWR)


ME = b'{"id": 1, "public_id": "p", "name": "n", "business_id": null, "scopes": [], "expires_at": null}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(ME), ME)


def in_child(act: Callable[[], object]) -> str:
    """What came of this in a child of this process: '' where all went well."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            act()
            said = b""
        except BaseException as error:  # noqa: BLE001 (the parent tells)
            said = repr(error).encode()
        os.write(writing, said)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        said = told.read()
    os.waitpid(pid, 0)
    return said.decode()


def test_a_forked_process_opens_connections_of_its_own_and_leaves_its_parents_open() -> None:
    def ask_and_close() -> None:
        outbound.show_token()
        outbound.close()

    with counting(ANSWER) as (url, came), Client(url, "t") as outbound:
        outbound.show_token()
        assert in_child(ask_and_close) == ""
        assert len(came) == 2
        assert in_child(outbound.close) == ""
        outbound.show_token()
        assert len(came) == 2


def test_a_forked_process_has_an_event_loop_with_connections_of_its_own() -> None:
    async def ask() -> None:
        await outbound.show_token()

    def ask_in_child() -> None:
        asyncio.run(ask())
        asyncio.run(outbound.close())

    with counting(ANSWER) as (url, came), asyncio.Runner() as runner:
        outbound = AsyncClient(url, "t")
        runner.run(ask())
        assert in_child(ask_in_child) == ""
        assert len(came) == 2
        runner.run(ask())
        assert len(came) == 2
        runner.run(outbound.close())


def test_one_client_serves_event_loops_one_after_the_other(world: World, api_url: str) -> None:
    outbound = AsyncClient(api_url, token(world.business()))
    for place in range(4):
        made = asyncio.run(outbound.create_call(NewCall(to=f"+1212555010{place}")))
        assert made.created
        assert len(outbound._pools) == 1

    asyncio.run(outbound.close())


def test_one_client_serves_event_loops_side_by_side() -> None:
    with counting(ANSWER) as (url, came), asyncio.Runner() as one, asyncio.Runner() as other:
        outbound = AsyncClient(url, "t")
        for runner in (one, other, one, other):
            assert runner.run(outbound.show_token()).id == 1
        assert len(came) == 2


def test_a_client_that_was_closed_says_so() -> None:
    outbound, awaited = Client("http://127.0.0.1:1", "t"), AsyncClient("http://127.0.0.1:1", "t")
    outbound.close()
    asyncio.run(awaited.close())

    with pytest.raises(RuntimeError, match="make another one"):
        outbound.show_token()
    with pytest.raises(RuntimeError, match="make another one"):
        asyncio.run(awaited.show_token())


def test_whatever_fails_once_a_file_is_being_sent_is_unanswered() -> None:
    def broken() -> Iterator[bytes]:
        yield b"to\n"
        raise RuntimeError("the disk is gone")

    with (
        counting(ANSWER) as (url, _),
        Client(url, "t") as outbound,
        pytest.raises(Unanswered, match="RuntimeError") as failure,
    ):
        outbound.import_calls(broken(), batch="b", idempotency_key="list-7")

    assert failure.value.key == "list-7"


def test_an_export_that_is_no_text_is_unanswered() -> None:
    lines = b"\xff\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ncontent-length: %d\r\n\r\n" % len(lines)
    with counting(head + lines) as (url, _), Client(url, "t") as outbound, pytest.raises(Unanswered):
        list(outbound.export_calls())
