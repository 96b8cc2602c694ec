"""
uvicorn's HTTP/1.1, within bounds: nothing of a request is believed before its signature, so nothing may cost much.

The parser in C bounds neither head nor trailers, and the server waits for ever for what does not come.  A proxy in
front would bound both, but is not always there, and knows no signature.
"""

import asyncio
import socket
import struct
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from outbound.web import refusals
from outbound.web.connections import Connections

HEAD_MAX = 16_384  # bytes that are not body: head, trailers, sizes of chunks; Twilio sends some hundred
HEADERS_MAX = 100
BODY_MAX = 131_072  # bytes; callbacks are refused at half of that, this bounds what comes after an answer
IDLE_S = 10.0  # for the first byte of a first request; between two, uvicorn's keep-alive
HEAD_S = 10.0  # from a request's first byte to the end of its head
REQUEST_S = 10.0  # from its first byte to its last
ANSWER_S = 30.0  # from there until the answer has left; the carrier gives up after 15 s
LINGER_S = 5.0  # for an answer to leave once the connection is closing

TEXTS = {
    400: "this is no request that is answered here",
    408: "the request took too long",
    413: "the request is too large",
    501: "a body is read as it is, or in chunks: send no other Transfer-Encoding",
    503: "there are too many connections",
}


class _Refused(Exception):
    """Raised inside the parser: it stops there."""


class Answer:
    """
    The transport of one answer, which writes its head and the beginning of its body together: each write is a system
    call, and often a packet.  A head whose body is not there yet goes when the event loop comes round.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Write the head, or what follows it."""
        if self._head is None:
            self._head = data
            self._loop.call_soon(self._write_head)
        else:
            head, self._head = self._head, b""
            self._transport.write(head + data)

    def _write_head(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Close the connection when all is sent."""
        self._write_head()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        """Whatever else the server asks of a transport is asked of the connection's own."""
        return getattr(self._transport, name)


class AnswerWithoutChunks(Answer):
    """
    The transport of an answer in HTTP/1.0, which has no chunks: without a length, it ends with the connection.

    One that breaks off is reset, by which the client knows that it is not whole.
    """

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, cycle: RequestResponseCycle
    ) -> None:
        super().__init__(transport, loop)
        self._cycle, self._send = cycle, cycle.send

    async def send(self, message: Any) -> None:
        """Send a part of the answer; takes the place of the cycle's own `send`."""
        if message["type"] == "http.response.start":
            if all(name.lower() != b"content-length" for name, _ in message.get("headers", ())):
                self._cycle.chunked_encoding = False
        elif not self._cycle.expected_content_length:
            self._cycle.expected_content_length = len(message.get("body", b""))
        await self._send(message)

    def close(self) -> None:
        """Close the connection when all is sent; or reset it."""
        if self._cycle.response_complete:
            super().close()
        else:
            line = self._transport.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()


class BoundedHttp(HttpToolsProtocol):
    """One connection; a server whose requests or answers are larger gives other bounds in a class of its own."""

    body_max = BODY_MAX
    head_s = HEAD_S
    request_s = REQUEST_S
    answer_s = ANSWER_S

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        connections: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._all = connections
        self._is_over = False
        self._is_reading = False  # from the first byte of a request to its last
        self._begun_at = 0.0
        self._has_head = False
        self._is_last = False  # another request came before this one's answer: nothing more is read
        self._not_body = 0  # bytes of this request
        self._body = 0
        self._refusal: tuple[str, int] | None = None
        self._deadline = 0.0
        self._late = "idle"  # what it is, if the deadline passes
        self._timer: asyncio.TimerHandle | None = None

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connects."""
        super().connection_made(transport)
        reason = self._all.admit(self, self._peer)
        if reason is not None:
            self._refuse(reason, 503)
        else:
            self._expect(IDLE_S, "idle")

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._is_over:
            return
        self._not_body += len(data)
        if self._is_last:
            self._bound_what_nobody_reads()
            return
        self._unset_keepalive_if_required()
        if not self._is_reading and not self._is_answering:
            self._begin_to_read()
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._read_no_more()
            return
        if self._not_body > HEAD_MAX:
            self._refuse("head_too_large", 400)

    def _begin_to_read(self) -> None:
        self._is_reading = True
        self._begun_at = self.loop.time()
        self._expect(min(self.head_s, self.request_s), "slow")

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _read_no_more(self) -> None:
        if self._is_last:
            self._bound_what_nobody_reads()
        else:
            self._refuse(*(self._refusal or ("malformed", 400)))

    def _bound_what_nobody_reads(self) -> None:
        """Take a little of it off the line, since a connection that is closed before that may lose its answer."""
        if self._not_body > HEAD_MAX:
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        self._all.forget(self)
        super().connection_lost(exc)

    def crowd_out(self) -> None:
        """Make room for another connection."""
        self._refuse("too_many", 503)

    # The request, as the parser reads it

    def on_message_begin(self) -> None:
        """A request begins.  Sent before the answer to the one before, it is not read: that answer is the last one."""
        if self._is_answering:
            refusals.note_connection("pipelined", self._peer)
            self._is_last, self.cycle.keep_alive = True, False
            raise _Refused
        if not self._is_reading:  # it came together with the end of the one before
            self._begin_to_read()
        self._has_head = False
        self._body = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; what comes after the body is read by nobody."""
        if self._has_head:
            return
        if len(self.headers) >= HEADERS_MAX:
            self._stop("head_too_large", 400)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there.  What follows an upgrade would be read as another request."""
        self._has_head = True
        if self.parser.should_upgrade() or any(name == b"upgrade" for name, _ in self.headers):
            self._stop("upgrade", 400)
        self._refuse_coding()
        super().on_headers_complete()
        self._all.has_head(self)
        self._expect(self._begun_at + self.request_s - self.loop.time(), "slow")
        if self.parser.get_http_version() == "1.0":
            answer: Answer = AnswerWithoutChunks(self.transport, self.loop, self.cycle)
            self.cycle.send = answer.send  # type: ignore[method-assign]
        else:
            answer = Answer(self.transport, self.loop)
        self.cycle.transport = answer  # type: ignore[assignment]

    def _refuse_coding(self) -> None:
        """Refuse a body of which a proxy and we might each see another end, or that we would read as it is coded."""
        codings = [value.strip().lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and codings != [b"chunked"]:
            self._stop("malformed", 501)
        if codings and self.parser.get_http_version() != "1.1":
            self._stop("malformed", 400)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._not_body -= len(body)
        self._body += len(body)
        if self._body > self.body_max:
            self._stop("body_too_large", 413)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there."""
        if self._not_body > HEAD_MAX:
            self._stop("head_too_large", 400)
        self._is_reading = False
        self._not_body = 0
        super().on_message_complete()
        if self.cycle.response_complete:  # it was refused by its head
            self._wait_for_another()
        else:
            self._all.is_answered(self)
            self._expect(self.answer_s, "unread")

    def _stop(self, reason: str, status: int) -> None:
        self._refusal = (reason, status)
        raise _Refused

    # The answer

    def on_response_complete(self) -> None:
        """The answer is written, though perhaps not sent."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect(LINGER_S, "unread")
        elif not self._is_reading:
            self._wait_for_another()
        else:  # of a body that was refused, the rest is waited for no longer than for another request
            self._expect(min(IDLE_S, self._deadline - self.loop.time()), "slow")

    def _wait_for_another(self) -> None:
        self._all.waits(self)
        self._expect(LINGER_S if self.transport.get_write_buffer_size() else IDLE_S, "unread")

    def timeout_keep_alive_handler(self) -> None:
        """No other request came."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    # The bounds

    def _expect(self, seconds: float, late: str) -> None:
        """Let the connection end after *seconds*, unless it gets further until then."""
        self._late = late
        self._deadline = self.loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_at(self._deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        self._timer = None
        if self.loop.time() < self._deadline:
            self._timer = self.loop.call_at(self._deadline, self._check_deadline)
        elif self._is_over or self._late == "unread":
            self.transport.abort()
        else:
            self._refuse(self._late, 408)

    def _refuse(self, reason: str, status: int) -> None:
        """Count it, answer why unless another answer is being sent, and close."""
        self._is_over = True
        refusals.note_connection(reason, self._peer)
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the application's answer has no receiver
            self.cycle.message_event.set()
        if reason != "idle":
            self.transport.write(self.refusal(status))
        self.transport.close()
        self._expect(LINGER_S, "unread")

    def refusal(self, status: int) -> bytes:
        """The answer to what is no request, or comes too slowly, or finds no room."""
        return last_answer(status, {"content-type": "text/plain; charset=utf-8"}, f"{TEXTS[status]}\n".encode())

    @property
    def _peer(self) -> str | None:
        return self.client[0] if self.client else None


def last_answer(status: int, headers: dict[str, str], body: bytes) -> bytes:
    """The bytes of an answer with which the connection ends."""
    lines = headers | {"content-length": str(len(body)), "connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return STATUS_LINE[status] + head.encode() + b"\r\n" + body
