"""
A thief who knows the paths of calls, and not the token: each request on a connection of its own, at a steady rate.

    python -m tests.bench.forger BASE_URL RATE

reads `call_id call_sid to_number` per line from stdin, and goes on until SIGTERM.
"""

import asyncio
import base64
import os
import sys
from itertools import cycle
from urllib.parse import urlsplit

from tests.bench.sender import requests_of

_AT_ONCE_MAX = 400  # open at the same time; more would measure this process


async def send_on(base_url: str, requests: list[bytes], rate: float) -> None:
    """Send *rate* requests a second."""
    where = urlsplit(base_url)
    host, port = where.hostname or "", where.port or 0
    loop, free = asyncio.get_running_loop(), asyncio.Semaphore(_AT_ONCE_MAX)
    began_at, under_way = loop.time(), set()
    for number, request in enumerate(cycle(requests)):
        await asyncio.sleep(began_at + number / rate - loop.time())
        await free.acquire()
        task = loop.create_task(_one(host, port, request))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        task.add_done_callback(lambda _: free.release())


async def _one(host: str, port: int, request: bytes) -> None:
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request)
        await reader.readline()
        writer.close()
    except OSError:
        pass  # refused: that is what a flood meets


def _another_signature(request: bytes) -> bytes:
    head, rest = request.split(b"X-Twilio-Signature: ", maxsplit=1)
    signature = base64.b64encode(os.urandom(20))
    return head + b"X-Twilio-Signature: " + signature + rest[len(signature) :]


if __name__ == "__main__":
    calls = [line.split() for line in sys.stdin]
    forged = [_another_signature(each) for call in calls for each in requests_of(sys.argv[1], *call)]
    asyncio.run(send_on(sys.argv[1], forged, float(sys.argv[2])))
