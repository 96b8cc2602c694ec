"""A receiver of webhooks that prints what comes, for developers of receivers."""

import base64
import hmac
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from outbound.errors import UserError
from outbound.formats import digits, plain_text
from outbound.webhooks import signature

BODY_MAX = 1 << 20  # bytes
OLD_S = 300  # signed more than this before or after now, an attempt is refused, so that nobody can send it again


class BadListener(UserError):
    """The port cannot be had, or the secret is none."""


@contextmanager
def listening(port: int, secret: str | None, show: Callable[[str], None]) -> Iterator[None]:
    """
    Take webhooks on a port of this host, and show each with what its signature says, for as long as the block lasts.

    Args:
        secret: `whsec_…`, to verify with; without one the signature is not looked at.

    Raises:
        BadListener: says what is wrong.
    """
    key = None if secret is None else _key(secret)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = digits.whole(self.headers.get("content-length", ""))
            if size is None or not 0 <= size <= BODY_MAX:
                self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                return
            body = self.rfile.read(size)
            result = verdict(key, {name.lower(): value for name, value in self.headers.items()}, body)
            show(f"{result}: {plain_text.visible(body.decode(errors='replace'))}")
            self.send_response(HTTPStatus.NO_CONTENT if result != "not verified" else HTTPStatus.BAD_REQUEST)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Write no line of access: each webhook is shown."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError:
        raise BadListener(f"port {port} cannot be had: give another one with --port") from None
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def verdict(key: bytes | None, headers: dict[str, str], body: bytes) -> str:
    """Check a webhook's signature: verified, not verified, or not looked at."""
    if key is None:
        return "not looked at"
    public_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    sent_at = digits.whole(timestamp)
    if sent_at is None or abs(time.time() - sent_at) > OLD_S:
        return "not verified"
    expected = signature.sign(key, public_id, timestamp, body)
    given = headers.get("webhook-signature", "").split()
    return (
        "verified" if any(hmac.compare_digest(expected.encode(), each.encode()) for each in given) else "not verified"
    )


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(signature.PREFIX), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise BadListener("a secret is whsec_ and base64, as `outbound webhook secret` prints it")
    return key
