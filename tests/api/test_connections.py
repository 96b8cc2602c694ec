"""What a connection may do: requests that come too early or too slowly, and who makes room for whom."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from outbound.api import server
from tests.api.conftest import Client
from tests.api.test_imports import half_files
from tests.conftest import World, until
from tests.web.test_bounded import _codes as codes
from tests.web.test_bounded import _ended as ended
from tests.web.test_bounded import _rest as rest
from tests.web.test_bounded import _said as said

pytestmark = pytest.mark.rows_only


def connect(http: httpx.Client) -> socket.socket:
    where = urlsplit(str(http.base_url))
    return socket.create_connection((where.hostname or "", where.port or 80), timeout=30)


def head(http: httpx.Client, method: str, path: str, **headers: object) -> bytes:
    """The head of a request with this client's token."""
    lines = {"host": "x", "authorization": http.headers["authorization"]} | headers
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"{method} /v1{path} HTTP/1.1\r\n{named}\r\n".encode()


def test_a_request_that_comes_before_the_answer_leaves_the_first_its_answer(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = client(business_id=world.business())
    body = b'{"to": "+12125550101"}'
    first = head(http, "POST", "/calls", content_type="application/json", content_length=len(body)) + body
    second = head(http, "GET", "/token")

    with connect(http) as line:
        line.sendall(first + second * 3)
        answer = rest(line)

    assert codes(answer) == [201]
    assert b"\r\nconnection: close\r\n" in answer
    assert world.value("select count(*) from call_log") == 1


def test_what_is_no_request_is_a_problem_like_others(client: Client, api_url: str) -> None:
    for sent, status, code in (
        (b"GET / HTTP/9.9\r\n\r\n", 400, "unreadable"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "unsupported_coding"),
    ):
        answer = said(api_url, sent)
        kind, _, body = answer.partition(b"\r\n\r\n")
        assert codes(answer) == [status]
        assert b"\r\ncontent-type: application/problem+json\r\n" in kind
        assert json.loads(body)["code"] == code


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has room for eight connections."""
    monkeypatch.setenv("OUTBOUND_WEB_CONNECTIONS_MAX", "8")


def test_half_a_head_breaks_no_upload_off(world: World, narrow: None, client: Client) -> None:
    http = client(business_id=world.business())
    before = ended("too_many")

    with half_files(http, 1) as (upload,), ExitStack() as open_lines:
        for _ in range(40):
            line = open_lines.enter_context(connect(http))
            line.sendall(b"GET / HTTP/1.1\r\n")
        until(lambda: ended("too_many") >= before + 30)
        upload.sendall(b" " * (1000 - len("to\n")))
        answer = upload.recv(65_536)

    assert codes(answer) == [200], "it was read to its end"


def test_half_a_head_has_seconds_and_not_an_hour(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.ApiHttp, "head_s", 0.2)
    http = client()

    with connect(http) as line:
        line.sendall(b"GET / HTTP/1.1\r\n")
        answer = rest(line)

    assert codes(answer) == [408]
    assert b'"code":"too_slow"' in answer
    assert server.ApiHttp.head_s < 60


def test_a_body_may_take_longer_than_its_head(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.ApiHttp, "head_s", 0.2)
    http = client(business_id=world.business())

    with half_files(http, 1) as (upload,), connect(http) as line:
        line.sendall(b"GET / HTTP/1.1\r\n")
        assert codes(rest(line)) == [408], "later than the upload's head might have come"
        upload.sendall(b" " * (1000 - len("to\n")))
        assert codes(upload.recv(65_536)) == [200]


@pytest.mark.parametrize("accept", ["text/csv", "application/x-ndjson"])
def test_http_1_0_gets_no_chunks_and_the_end_of_the_connection_is_the_end(
    world: World, client: Client, accept: str
) -> None:
    business = world.business()
    for last in range(3):
        world.queued(business, f"+1212555010{last}")
    http = client(business_id=business)
    asked = head(http, "GET", "/exports/calls", accept=accept)

    with connect(http) as line:
        line.sendall(asked.replace(b"HTTP/1.1", b"HTTP/1.0"))
        kind, _, body = rest(line).partition(b"\r\n\r\n")

    assert b"transfer-encoding" not in kind
    assert b"\r\nconnection: close" in kind
    assert body == http.get("/exports/calls", headers={"accept": accept}).content


def test_a_list_over_http_1_0_that_breaks_off_is_reset(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def pages(_: int) -> Iterator[list[dict[str, Any]]]:
        yield [{"place": 1}]
        raise ValueError

    monkeypatch.setattr("outbound.rules.audit.pages", pages)
    http = client()

    with connect(http) as line:
        line.sendall(head(http, "GET", "/exports/audit").replace(b"HTTP/1.1", b"HTTP/1.0"))
        with pytest.raises(ConnectionResetError):
            b"".join(iter(lambda: line.recv(65_536), b""))


@pytest.mark.parametrize(
    ("hosts", "version", "status"),
    [(b"", b"1.1", 400), (b"Host: x\r\nHost: x\r\n", b"1.1", 400), (b"Host: x\r\n", b"1.1", 200), (b"", b"1.0", 200)],
)
def test_a_request_names_one_host(client: Client, api_url: str, hosts: bytes, version: bytes, status: int) -> None:
    sent = b"GET /healthz HTTP/%s\r\n%sConnection: close\r\n\r\n" % (version, hosts)

    assert codes(said(api_url, sent)) == [status]
