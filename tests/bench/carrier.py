"""
A carrier that costs next to nothing: it takes every call, with a call_sid of its own for each, and never calls back.
A share of the creates, drawn by a fixed seed, can be answered with HTTP 500 instead.

One loop over plain sockets, since it shares two cores with what is measured.  `GET /count` says how many calls it took;
`GET /log` says of each, by our call's id, when its first byte came, on the machine's monotonic clock.
"""

import heapq
import json
import random
import re
import secrets
import selectors
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

_SID = "@SID@"
# About as much as Twilio answers.
_BODY = json.dumps(
    {
        "sid": _SID,
        "account_sid": "AC" + "0" * 32,
        "api_version": "2010-04-01",
        "direction": "outbound-api",
        "status": "queued",
        "from": "+15005550006",
        "to": "+15005550100",
        **dict.fromkeys(("answered_by", "caller_name", "date_created", "date_updated", "duration", "end_time"), None),
        **dict.fromkeys(("forwarded_from", "group_sid", "parent_call_sid", "price", "start_time", "trunk_sid"), None),
        "from_formatted": "(500) 555-0006",
        "phone_number_sid": "PN" + "0" * 32,
        "price_unit": "USD",
        "queue_time": "0",
        "to_formatted": "(500) 555-0100",
        "uri": f"/2010-04-01/Accounts/AC{'0' * 32}/Calls/{_SID}.json",
        "subresource_uris": {
            name: f"/2010-04-01/Accounts/AC{'0' * 32}/Calls/{_SID}/{name.title()}.json"
            for name in ("events", "notifications", "payments", "recordings", "siprec", "streams", "transcriptions")
        },
    }
).encode()
_ERROR = b'{"code": 20500, "message": "Something broke here.", "status": 500}'
_CALL_ID = re.compile(rb"callbacks%2F(\d+)")


@dataclass(eq=False)
class _Line:
    sock: socket.socket
    asked_at: float = 0
    received: bytes = b""


class StandIn:
    """Listens on *port* of loopback and answers each create after *delay_s*, *error_share* of them with HTTP 500."""

    def __init__(self, port: int, delay_s: float, error_share: float = 0) -> None:
        self._delay_s = delay_s
        self._error_share = error_share
        self._random = random.Random(1)
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._due: list[tuple[float, int, _Line]] = []
        self._run = secrets.token_hex(10)
        self._log: list[tuple[int, float]] = []

    def serve(self) -> None:
        """Answer until the process is ended."""
        while True:
            wait_s = max(0, self._due[0][0] - time.monotonic()) if self._due else None
            for key, _ in self._selector.select(wait_s):
                if key.data is None:
                    self._accept()
                else:
                    self._read(key.data)
            while self._due and self._due[0][0] <= time.monotonic():
                _, number, line = heapq.heappop(self._due)
                if self._random.random() < self._error_share:
                    self._send(line, b"500 Internal Server Error", _ERROR)
                    continue
                self._send(line, b"201 Created", _BODY.replace(_SID.encode(), f"CA{self._run}{number:012x}".encode()))

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                line = _Line(sock)
                self._selector.register(sock, selectors.EVENT_READ, line)

    def _read(self, line: _Line) -> None:
        try:
            data = line.sock.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(line.sock)
            line.sock.close()
            return
        if not line.received:
            line.asked_at = time.monotonic()
        line.received += data
        head, end, body = line.received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if not end or len(body) < (int(length[1]) if length else 0):
            return
        line.received = b""
        self._answer(line, head, body)

    def _answer(self, line: _Line, head: bytes, body: bytes) -> None:
        if head.startswith(b"POST"):
            call_id = _CALL_ID.search(body)
            self._log.append((int(call_id[1]) if call_id else 0, line.asked_at))
            heapq.heappush(self._due, (time.monotonic() + self._delay_s, len(self._log), line))
        elif head.startswith(b"GET /count"):
            self._send(line, b"200 OK", str(len(self._log)).encode())
        elif head.startswith(b"GET /log"):
            self._send(line, b"200 OK", json.dumps(self._log).encode())
        else:
            self._send(line, b"404 Not Found", b'{"code": 20404, "message": "not here", "status": 404}')

    def _send(self, line: _Line, status: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
        with suppress(OSError):
            line.sock.setblocking(True)  # only the log is longer than a socket's buffer
            line.sock.sendall(head + body)
            line.sock.setblocking(False)


if __name__ == "__main__":
    StandIn(int(sys.argv[1]), *map(float, sys.argv[2:])).serve()
