"""
A client that reads lists of calls at a steady rate, each request on a connection of its own.

    python -m tests.bench.reader BASE_URL RATE

takes the token from TOKEN, and goes on until SIGTERM.
"""

import asyncio
import os
import sys
from urllib.parse import urlsplit

from tests.bench.forger import send_on

if __name__ == "__main__":
    base_url, rate = sys.argv[1], float(sys.argv[2])
    request = (
        f"GET /v1/calls?limit=100 HTTP/1.1\r\nHost: {urlsplit(base_url).netloc}\r\n"
        f"Authorization: Bearer {os.environ['TOKEN']}\r\nConnection: close\r\n\r\n"
    )
    asyncio.run(send_on(base_url, [request.encode()], rate))
