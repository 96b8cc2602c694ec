"""Bounded before believed: what a stranger sends costs little, whatever it is and however long it takes."""

# ruff: noqa: F811 (fixtures of test_web)

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from uvicorn.config import Config
from uvicorn.protocols.http import httptools_impl
from uvicorn.server import Server, ServerState

from outbound.monitoring import process_counters
from outbound.web import protocol, refusals
from outbound.web.connections import Connections
from tests.cli.test_logs import heard
from tests.conftest import World, forget_settings, until
from tests.web.test_web import (  # noqa: F401
    FORM_TYPE,
    SOME_SIGNATURE,
    Nudges,
    _NoTrace,
    _path,
    _post,
    _sign,
    _told,
    address,
    call_id,
    database,
    public_url,
    serving,
    shared_database,
)

HEAD = b"POST /callbacks/1/x HTTP/1.1\r\nHost: x\r\n"


def _connect(address: str) -> socket.socket:
    url = urlsplit(address)
    return socket.create_connection((str(url.hostname), url.port or 0), timeout=20)


def _said(address: str, *pieces: bytes) -> bytes:
    """All that is answered to these bytes, until the connection ends."""
    with closing(_connect(address)) as line:
        try:
            for piece in pieces:
                line.sendall(piece)
        except OSError:
            pass  # it was closed meanwhile
        return _rest(line)


def asked_first(address: str, head: bytes, body: bytes) -> list[int]:
    """The codes that one is answered who sends the body once the server wants it, as curl does with a large file."""
    with closing(_connect(address)) as line:
        line.sendall(head + b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
        said = line.recv(65_536)
        line.sendall(body)
        return _codes(said + _rest(line))


def _drip(line: socket.socket, request: bytes) -> None:
    """A byte now and then."""
    for byte in request:
        line.sendall(bytes([byte]))
        with suppress(TimeoutError):
            line.recv(1000)


def _rest(line: socket.socket) -> bytes:
    said = b""
    try:
        while piece := line.recv(65_536):
            said += piece
    except OSError:
        pass
    return said


def _ended(reason: str) -> float:
    return process_counters.registry.get_sample_value("outbound_connections_refused_total", {"reason": reason}) or 0


def _codes(said: bytes) -> list[int]:
    return [int(line.split()[1]) for line in said.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines that a test can wait for."""
    for name in ("IDLE_S", "LINGER_S"):
        monkeypatch.setattr(protocol, name, 0.3)
    monkeypatch.setattr(protocol.BoundedHttp, "request_s", 0.3)


@pytest.fixture
def narrow(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that has room for eight connections."""
    monkeypatch.setenv("OUTBOUND_WEB_CONNECTIONS_MAX", "8")
    forget_settings()
    with serving() as where:
        yield where


# Bytes that are no body


@pytest.mark.parametrize(
    "piece",
    [b"X-Trailer: " + b"a" * 1000 + b"\r\n", b"a:b\r\n", b"X-" + b"a" * 70_000],
    ids=["long", "short", "one name"],
)
def test_trailers_are_counted(address: str, piece: bytes) -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\nTrailer: X-Trailer\r\n\r\n1\r\na\r\n0\r\n"
    before = _ended("head_too_large")

    with closing(_connect(address)) as line:
        line.sendall(head)
        with pytest.raises(OSError, match=r"reset|pipe|aborted"):
            line.sendall(piece * (200_000_000 // len(piece)))

    assert _ended("head_too_large") == before + 1


def test_sizes_and_extensions_of_chunks_are_counted(address: str) -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    for chunk in (b"1;" + b"x" * 5000 + b"\r\na\r\n", b"1\r\na\r\n" * 1000):
        before = _ended("head_too_large")

        _said(address, head, *[chunk] * 40)

        assert _ended("head_too_large") == before + 1


@pytest.mark.parametrize("header", [b"X-A: " + b"a" * 20_000 + b"\r\n", b"a:b\r\n" * 101], ids=len)
def test_a_large_head_is_refused(address: str, header: bytes) -> None:
    before = _ended("head_too_large")

    assert _codes(_said(address, HEAD + header + b"\r\n")) == [400]

    assert _ended("head_too_large") == before + 1


def test_a_small_trailer_is_read_by_nobody(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    path, form = _path(call_id), _told()
    signed = _post(address, path, form).request
    headers = b"".join(
        b"%s: %s\r\n" % (name.encode(), str(value).encode())
        for name, value in signed.headers.items()
        if name != "Content-Length"
    )
    body = str(signed.body).encode()
    trailer = b"X-Twilio-Signature: x\r\nContent-Type: text/plain\r\n"
    request = b"POST %s HTTP/1.1\r\nHost: x\r\n%sTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    request += b"%x\r\n%s\r\n0\r\n%s\r\n"
    headers = headers.replace(b"Connection: keep-alive\r\n", b"")

    assert _codes(_said(address, request % (path.encode(), headers, len(body), body, trailer))) == [204]


def test_what_comes_after_an_answer_is_bounded(address: str, world: World, call_id: int) -> None:
    """Refused by its head, it is not read: but what comes is taken off the line."""
    before = _ended("body_too_large")
    head = HEAD.replace(b"/callbacks/1/x", _path(call_id).encode())

    said = _said(address, head + b"Content-Length: 99999999\r\n\r\n", *[b"x" * 65_536] * 50)

    assert _codes(said)[0] == 403
    assert _ended("body_too_large") == before + 1


# What says where a body ends

CODED = [  # a head's lines, and how they are refused
    (b"Transfer-Encoding: gzip, chunked", 501),
    (b"Transfer-Encoding: identity, chunked", 501),
    (b"Transfer-Encoding: x, Chunked ", 501),
    (b"Transfer-Encoding: chunked, chunked", 400),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    (b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", 501),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400),
    (b"Transfer-Encoding: chunked;a=b", 501),
    (b"Transfer-Encoding: gzip", 501),
    (b"Transfer-Encoding: identity", 501),
    (b"Transfer-Encoding: xchunked", 501),
    (b"Transfer-Encoding: ", 400),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 4", 400),
    (b"Content-Length: 4\r\nTransfer-Encoding: chunked", 400),
    (b"Content-Length: 4\r\nContent-Length: 4", 400),
    (b"Content-Length: 4, 4", 400),
    (b"Content-Length: +4", 400),
    (b"Content-Length: 4_0", 400),
    (b"Content-Length: 0x4", 400),
    (b"Content-Length: ", 400),
]


def coded(path: bytes, lines: bytes, version: bytes = b"1.1") -> bytes:
    """The head of a request with these lines."""
    return b"POST %s HTTP/%s\r\nHost: x\r\n%s\r\n\r\n" % (path, version, lines)


@pytest.mark.parametrize(("lines", "status"), CODED)
def test_a_body_whose_end_may_be_seen_elsewhere_is_refused_by_its_head(address: str, lines: bytes, status: int) -> None:
    before = _ended("malformed")

    assert _codes(_said(address, coded(b"/callbacks/1/x", lines))) == [status]

    assert _ended("malformed") == before + 1


def test_chunks_are_of_http_1_1(address: str) -> None:
    lines, end = b"Connection: close\r\nTransfer-Encoding: Chunked", b"0\r\n\r\n"

    assert _codes(_said(address, coded(b"/callbacks/inbound", lines) + end)) == [403]
    assert _codes(_said(address, coded(b"/callbacks/inbound", lines, b"1.0") + end)) == [400]


# Upgrade, pipelines


@pytest.mark.parametrize(
    "header",
    [
        b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
        b"Connection: upgrade\r\nUpgrade: x\r\n",
        b"Upgrade: x\r\n",
    ],
)
def test_an_upgrade_is_refused_and_its_body_is_no_other_request(address: str, header: bytes) -> None:
    inner = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    before = _ended("upgrade")

    said = _said(address, HEAD + header + b"Content-Length: %d\r\n\r\n" % len(inner), inner)

    assert _codes(said) == [400]
    assert b"outbound_" not in said
    assert _ended("upgrade") == before + 1


def test_a_body_after_connection_upgrade_alone_is_a_body(address: str) -> None:
    inner = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    head = b"POST /callbacks/inbound HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\n"

    said = _said(address, head + b"Content-Length: %d\r\n\r\n" % len(inner) + inner)

    assert _codes(said) == [403]


def test_a_request_that_is_sent_before_the_answer_to_the_last_is_refused(address: str) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    before = _ended("pipelined")

    said = _said(address, one * 100)

    assert len(_codes(said)) <= 1
    assert _ended("pipelined") == before + 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00" * 100,
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"POST / HTTP/1.1\r\nHost : x\r\n\r\n",
    ],
    ids=lambda garbage: repr(garbage[:24]),
)
def test_what_is_no_request_gets_one_answer_and_no_traceback(address: str, garbage: bytes) -> None:
    with heard() as said:
        codes = _codes(_said(address, garbage))

    assert all(400 <= code < 500 for code in codes)
    assert len(codes) <= 1
    assert "Traceback" not in said.getvalue()


# Time


@pytest.mark.parametrize(
    ("sent", "reason", "codes"),
    [
        (b"", "idle", []),
        (b"P", "slow", [408]),
        (HEAD, "slow", [408]),
        (
            HEAD.replace(b"/1/x", b"/inbound")
            + SOME_SIGNATURE.encode()
            + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nCallSid",
            "slow",
            [408],
        ),
        (HEAD.replace(b"/1/x", b"/inbound") + b"Content-Length: 9\r\n\r\nCallSid", "slow", [403]),
    ],
    ids=["silent", "a byte", "half a head", "half a body", "half a body of what is refused"],
)
def test_what_does_not_come_is_not_waited_for(
    address: str, soon: None, sent: bytes, reason: str, codes: list[int]
) -> None:
    before = _ended(reason)

    said = _said(address, sent) if sent else _rest(_connect(address))

    assert _codes(said)[:1] == codes[:1]
    assert _ended(reason) == before + 1


def test_a_request_that_comes_byte_by_byte_has_no_more_time(address: str, soon: None) -> None:
    before = _ended("slow")

    with closing(_connect(address)) as line:
        line.settimeout(0.05)
        with pytest.raises(OSError, match=r"reset|pipe|aborted"):
            _drip(line, b"POST /callbacks/inbound HTTP/1.1\r\n" + b"X-A: a\r\n" * 1000)

    assert _ended("slow") == before + 1


def test_many_requests_one_after_the_other_are_no_slow_one(address: str, soon: None) -> None:
    before = _ended("slow"), _ended("idle")

    with requests.Session() as session:
        for _ in range(300):
            assert session.get(f"{address}/healthz", timeout=20).ok

    assert (_ended("slow"), _ended("idle")) == before


# How many


def test_who_has_waited_longest_makes_room_for_who_comes(narrow: str, world: World) -> None:
    before = _ended("too_many")

    with ExitStack() as open_lines:
        lines = [open_lines.enter_context(closing(_connect(narrow))) for _ in range(40)]
        until(lambda: _ended("too_many") >= before + 32)
        assert requests.get(f"{narrow}/healthz", timeout=20).ok
        assert _codes(_rest(lines[0])) == [503]
        lines[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert _codes(_rest(lines[-1])) == [200]


class _Line:
    def __init__(self) -> None:
        self.is_out = False

    def crowd_out(self) -> None:
        self.is_out = True


def test_one_address_has_its_part_of_the_connections_and_this_host_has_all() -> None:
    lines, neighbour = Connections(most=20, most_of_address=3), _Line()
    assert lines.admit(neighbour, "203.0.113.8") is None
    of_one = [_Line() for _ in range(5)]

    assert [lines.admit(line, "203.0.113.7") for line in of_one] == [None] * 5
    assert [line.is_out for line in of_one] == [True, True, False, False, False]
    for line in of_one[2:]:
        lines.is_answered(line)
    assert lines.admit(_Line(), "203.0.113.7") == "too_many_of_address"
    assert not neighbour.is_out
    assert [lines.admit(_Line(), where) for where in ("127.0.0.1", "::1", None, "127.9.9.9", "::ffff:127.0.0.1")] == [
        None
    ] * 5


def test_a_subscriber_of_ipv6_has_one_address() -> None:
    lines = Connections(most=20, most_of_address=2)

    def fill(*addresses: str) -> list[str | None]:
        reasons = []
        for where in addresses:
            line = _Line()
            reasons.append(lines.admit(line, where))
            lines.is_answered(line)
        return reasons

    assert fill(*(f"2001:db8:1:2::{host:x}" for host in range(3))) == [None, None, "too_many_of_address"]
    assert fill("2001:db8:1:3::1") == [None]
    assert fill(*["::ffff:203.0.113.7"] * 3) == [None, None, "too_many_of_address"]


def test_who_is_being_answered_makes_no_room() -> None:
    lines, served, waits = Connections(most=2, most_of_address=9), _Line(), _Line()
    lines.admit(served, None)
    lines.admit(waits, None)
    lines.is_answered(served)

    assert lines.admit(_Line(), None) is None
    assert (served.is_out, waits.is_out) == (False, True)


def test_one_without_a_head_makes_room_first_and_one_that_was_let_in_last() -> None:
    lines, (let_in, has_head, says_nothing) = Connections(most=3, most_of_address=9), (_Line() for _ in range(3))
    for line in (let_in, has_head, says_nothing):
        lines.admit(line, None)
    for line in (let_in, has_head):
        lines.has_head(line)
    lines.is_let_in(let_in)
    in_turn = []
    for _ in range(3):
        newcomer = _Line()
        lines.admit(newcomer, None)
        lines.is_answered(newcomer)
        lines.is_let_in(newcomer)
        in_turn.append((says_nothing.is_out, has_head.is_out, let_in.is_out))

    assert in_turn == [(True, False, False), (True, True, False), (True, True, True)]
    assert lines.admit(_Line(), None) == "too_many"


def test_where_everybody_is_being_answered_nobody_comes_in() -> None:
    lines, served = Connections(most=1, most_of_address=9), _Line()
    lines.admit(served, None)
    lines.is_answered(served)

    assert lines.admit(_Line(), None) == "too_many"
    lines.forget(served)
    assert lines.admit(_Line(), None) is None


# Before the body


@pytest.mark.parametrize(
    "signature",
    ["", "X-Twilio-Signature: x\r\n", "X-Twilio-Signature: " + "A" * 27 + "\r\n", "X-Twilio-Signature: é\r\n"],
)
def test_a_body_that_nobody_can_have_signed_is_not_waited_for(
    address: str, world: World, nudges: Nudges, call_id: int, signature: str
) -> None:
    head = f"POST {_path(call_id)} HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n{signature}\r\n".encode("latin-1")

    with _NoTrace(world, nudges, "forged"), closing(_connect(address)) as line:
        line.sendall(head)
        assert line.recv(1000).startswith(b"HTTP/1.1 403 ")


def test_a_body_for_a_path_that_we_did_not_make_is_not_waited_for(
    address: str, world: World, nudges: Nudges, call_id: int
) -> None:
    head = f"POST /callbacks/{call_id}/{'A' * 32} HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n{SOME_SIGNATURE}\r\n"

    with _NoTrace(world, nudges, "wrong_tag"), closing(_connect(address)) as line:
        line.sendall(head.encode())
        assert line.recv(1000).startswith(b"HTTP/1.1 403 ")


def test_a_body_that_says_it_is_large_is_not_waited_for(
    address: str, world: World, nudges: Nudges, call_id: int
) -> None:
    head = (
        f"POST {_path(call_id)} HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n{SOME_SIGNATURE}"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )

    with _NoTrace(world, nudges, "too_large"), closing(_connect(address)) as line:
        line.sendall(head.encode())
        assert line.recv(1000).startswith(b"HTTP/1.1 413 ")


# The log


def test_refusals_are_logged_at_most_some_a_second_with_who_made_them(
    address: str, world: World, nudges: Nudges, call_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock: dict[str, Any] = {"now": 1000.0}
    monkeypatch.setattr("outbound.web.refusals.time.monotonic", lambda: clock["now"])
    monkeypatch.setattr(refusals, "_pace", refusals._Pace())

    with heard() as said:
        for _ in range(50):
            refusals.note_callback("forged", "203.0.113.7")
        clock["now"] += 1
        refusals.note_connection("slow", "203.0.113.8")

    lines = [line for line in said.getvalue().splitlines() if "web." in line]
    assert len(lines) == refusals.LINES_PER_S + 1
    assert all("peer=203.0.113.7" in line for line in lines[:-1])
    assert "peer=203.0.113.8" in lines[-1]
    assert f"more={50 - refusals.LINES_PER_S}" in lines[-1]


def test_a_refusal_says_who_made_it(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    with heard() as said:
        until(lambda: _post(address, _path(call_id), _told(), {}) is not None and "web.refused" in said.getvalue())

    assert "peer=127.0.0.1" in next(line for line in said.getvalue().splitlines() if "web.refused" in line)


def test_an_answer_is_one_write_and_a_head_waits_for_no_body() -> None:
    class Written(asyncio.Transport):
        def __init__(self) -> None:
            super().__init__()
            self.pieces: list[bytes] = []

        def write(self, data: object) -> None:
            self.pieces.append(bytes(data))  # type: ignore[call-overload]

    async def write(*pieces: bytes) -> list[bytes]:
        written = Written()
        answer = protocol.Answer(written, asyncio.get_running_loop())
        for piece in pieces:
            answer.write(piece)
        await asyncio.sleep(0)
        return written.pieces

    assert asyncio.run(write(b"head ", b"body")) == [b"head body"]
    assert asyncio.run(write(b"head ", b"body", b" more")) == [b"head body", b" more"]
    assert asyncio.run(write(b"head ")) == [b"head "]


def test_a_callback_whose_sender_waits_until_the_body_is_wanted_is_taken(
    address: str, world: World, nudges: Nudges, call_id: int
) -> None:
    path, form = _path(call_id), _told()
    body = urlencode(form)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM_TYPE}\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in _sign(path, form).items())

    assert asked_first(address, head.encode(), body.encode()) == [100, 204]
    assert world.call(call_id).status == "ringing"


def test_the_inner_parts_of_uvicorn_that_we_use_are_there() -> None:
    """A newer uvicorn that renames one of them fails here, and not at night; pyproject.toml bounds its version."""
    inside = vars(httptools_impl.RequestResponseCycle)["__init__"].__code__.co_names
    steps = ("connection_made", "data_received", "connection_lost", "on_response_complete")
    read = ("on_message_begin", "on_header", "on_headers_complete", "on_body", "on_message_complete")
    serve = ("startup", "main_loop", "on_tick", "handle_exit", "shutdown")

    async def parts_of_a_connection() -> set[str]:
        config = Config("outbound.web.app:app", log_config=None)
        return set(vars(httptools_impl.HttpToolsProtocol(config, ServerState(), {})))

    assert {"client", "cycle", "headers", "loop", "parser", "transport"} <= asyncio.run(parts_of_a_connection())
    assert {"response_started", "response_complete", "disconnected", "message_event", "transport"} <= set(inside)
    own = ("_unset_keepalive_if_required", "timeout_keep_alive_handler", *steps, *read)
    assert [name for name in own if not hasattr(httptools_impl.HttpToolsProtocol, name)] == []
    assert [name for name in serve if not hasattr(Server, name)] == []
    assert httptools_impl.STATUS_LINE[503].startswith(b"HTTP/1.1 503 ")
