"""
A client that only puts calls in the queue: requests are written out before the clock starts, then sent over a few
connections that stay open, one at a time on each.

    python -m tests.bench.poster BASE_URL LINES CALLS FIRST

takes the token from TOKEN, and prints what came of it as JSON.
"""

import json
import os
import sys
from urllib.parse import urlsplit

from tests.bench import sender


def requests_of(base_url: str, lines: int, calls: int, first: int) -> list[list[bytes]]:
    """The requests of each connection."""
    host, token = urlsplit(base_url).netloc, os.environ["TOKEN"]
    requests: list[list[bytes]] = [[] for _ in range(lines)]
    for number in range(first, first + calls):
        body = f'{{"to": "+1201{2_000_000 + number}", "key": "bench-{number}", "contact": {{"name": "Dana"}}}}'
        head = (
            f"POST /v1/calls HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        requests[number % lines].append((head + body).encode())
    return requests


if __name__ == "__main__":
    base_url, lines, calls, first = sys.argv[1], *(int(word) for word in sys.argv[2:])
    print(json.dumps(sender.talk(base_url, requests_of(base_url, lines, calls, first))))  # noqa: T201 (its output is its answer)
