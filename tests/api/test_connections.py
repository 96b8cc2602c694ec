"""What a connection may do: requests that come too early or too slowly, and who makes room for whom."""

import json
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from tests.api.conftest import Client
from tests.conftest import World
from tests.web.test_bounded import _codes as codes
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
