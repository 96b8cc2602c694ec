"""
A carrier that only calls back: callbacks are signed and written out before the clock starts, then sent over a few
connections that stay open, one at a time on each, and one call's always on the same one, in their order.

    python -m tests.bench.sender BASE_URL LINES

reads `call_id call_sid to_number` per line from stdin, and prints what came of it as JSON.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import selectors
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from outbound.carrier import callback_tag

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
STATUSES = ("ringing", "in-progress", "completed")


@dataclass
class _Line:
    """One connection, and what is still to be sent on it."""

    sock: socket.socket
    requests: list[bytes] = field(default_factory=list)
    sent: int = 0
    sent_at: float = 0
    answer: bytes = b""


def requests_of(base_url: str, call_id: str, call_sid: str, to_number: str) -> list[bytes]:
    """The callbacks of one call, as Twilio sends them."""
    token = os.environ["TWILIO_AUTH_TOKEN"].encode()
    url = f"{base_url}/callbacks/{call_id}/{callback_tag.make(int(call_id), to_number)}"
    written = []
    for number, status in enumerate(STATUSES, start=1):
        form = {
            "AccountSid": os.environ["TWILIO_ACCOUNT_SID"],
            "ApiVersion": "2010-04-01",
            "CallSid": call_sid,
            "CallStatus": status,
            "CallbackSource": "call-progress-events",
            "Called": to_number,
            "CalledCountry": "US",
            "Caller": "+15005550001",
            "CallerCountry": "US",
            "Direction": "outbound-api",
            "From": "+15005550001",
            "FromCountry": "US",
            "SequenceNumber": str(number),
            "Timestamp": "Sat, 21 Nov 2026 12:00:00 +0000",
            "To": to_number,
            "ToCountry": "US",
        } | ({"CallDuration": "9", "Duration": "1"} if status == "completed" else {})
        signed = url + "".join(name + form[name] for name in sorted(form))
        signature = base64.b64encode(hmac.new(token, signed.encode(), hashlib.sha1).digest()).decode()
        body = urlencode(form)
        head = (
            f"POST {urlsplit(url).path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nX-Twilio-Signature: {signature}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        written.append((head + body).encode())
    return written


def send(base_url: str, calls: list[tuple[str, str, str]], lines: int) -> dict[str, object]:
    """Send every callback; what was answered, how fast, and what the sending itself cost."""
    requests: list[list[bytes]] = [[] for _ in range(lines)]
    for number, call in enumerate(calls):
        requests[number % lines] += requests_of(base_url, *call)
    return talk(base_url, requests)


def talk(base_url: str, requests: list[list[bytes]]) -> dict[str, object]:
    """Send each list of requests over a connection of its own; what was answered, and how fast."""
    where = urlsplit(base_url)
    selector = selectors.DefaultSelector()
    open_lines = [_Line(socket.create_connection((where.hostname, where.port)), given) for given in requests]
    took: list[float] = []
    answers: Counter[str] = Counter()
    cpu_before, began_at = time.process_time(), time.monotonic()
    for line in open_lines:
        line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(line.sock, selectors.EVENT_READ, line)
        _next(line, selector)
    while selector.get_map():
        for key, _ in selector.select():
            line = key.data
            line.answer += line.sock.recv(65_536)
            if not _is_whole(line.answer):
                continue
            took.append(time.monotonic() - line.sent_at)
            answers[line.answer[9:12].decode()] += 1
            _next(line, selector)
    seconds = time.monotonic() - began_at
    return {
        "rate": len(took) / seconds,
        "p50_ms": 1000 * sorted(took)[len(took) // 2],
        "p99_ms": 1000 * sorted(took)[len(took) * 99 // 100],
        "sender_cpu_ms": 1000 * (time.process_time() - cpu_before) / len(took),
        "answers": dict(answers),
    }


def _is_whole(answer: bytes) -> bool:
    """Whether an answer is complete; one of a connection that was closed is, too."""
    head, gap, body = answer.partition(b"\r\n\r\n")
    told = _LENGTH.search(head)
    return not answer or (bool(gap) and len(body) >= (int(told[1]) if told else 0))


def _next(line: _Line, selector: selectors.BaseSelector) -> None:
    if line.sent == len(line.requests):
        selector.unregister(line.sock)
        line.sock.close()
        return
    line.answer = b""
    line.sent_at = time.monotonic()
    line.sock.sendall(line.requests[line.sent])
    line.sent += 1


if __name__ == "__main__":
    rows = [(call_id, call_sid, to) for call_id, call_sid, to in (row.split() for row in sys.stdin)]
    print(json.dumps(send(sys.argv[1], rows, int(sys.argv[2]))))  # noqa: T201 (its output is its answer)
