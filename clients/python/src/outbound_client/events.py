"""Events: read from the stream as they happen, and out of webhooks whose signature is verified."""

import base64
import hmac
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

RECONNECT_S = 2.0  # after a stream that broke
OLD_S = 300  # seconds; what was signed longer ago is refused, so that nobody can send it again
_PREFIX = "whsec_"
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_UNIX_SECONDS = re.compile("[0-9]{1,12}")


class NotGenuine(Exception):
    """
    The webhook was not signed with this secret, or more than five minutes ago, or is no event: answer 400, and do
    nothing else.
    """


@dataclass(frozen=True)
class WebhookEvent:
    """
    Something that happened.

    Attributes:
        id: the same however often the event comes.
        data: its fields, as docs/webhooks.md has them for each type.
        place: where the stream goes on after it; None where it came as a webhook.
    """

    id: str
    type: str
    timestamp: datetime
    business_id: int | None
    data: dict[str, Any]
    place: str | None = None


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes | str) -> WebhookEvent:
    """
    The event of a webhook.

    Args:
        secret: `whsec_…`, of `outbound webhook secret`.
        headers: of the request, whatever the case of their names.
        body: of the request, as it came: another writing of the same JSON is not what was signed.

    Raises:
        NotGenuine: it is none of outbound's.
        ValueError: the secret is none.
        TypeError: what is given is not the secret, the headers or the body of a request.
    """
    key = _key(secret)
    if not callable(getattr(headers, "items", None)):
        raise TypeError(f"headers is a mapping, such as request.headers, not {type(headers).__name__}")
    if not isinstance(body, bytes | bytearray | memoryview | str):
        raise TypeError(f"body is the bytes of the request, as they came, not {type(body).__name__}")
    lower = {str(name).lower(): value for name, value in headers.items()}
    if missing := [name for name in _HEADERS if not lower.get(name)]:
        raise NotGenuine(f"it has no header {missing[0]}")
    if not _is_signed(key, lower, body.encode(errors="replace") if isinstance(body, str) else bytes(body)):
        raise NotGenuine("it was not signed with this secret within the last 5 minutes")
    try:
        return _event(json.loads(body if isinstance(body, str) else bytes(body)), None)
    except (ValueError, LookupError, TypeError, RecursionError):
        raise NotGenuine("it was signed with this secret, and is no event of outbound") from None


def _key(secret: str) -> bytes:
    if not isinstance(secret, str):
        raise TypeError(f"secret is a text, whsec_..., not {type(secret).__name__}")
    try:
        key = base64.b64decode(secret.strip().removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ValueError("the secret is none: give the whsec_... that `outbound webhook secret` prints, all of it")
    return key


def _is_signed(key: bytes, headers: Mapping[str, str], body: bytes) -> bool:
    """Does one of the signatures fit, and is it new?  As Standard Webhooks has it."""
    public_id, timestamp, given = (str(headers[name]) for name in _HEADERS)
    if not _UNIX_SECONDS.fullmatch(timestamp) or abs(time.time() - int(timestamp)) > OLD_S:
        return False
    signed = f"{public_id}.{timestamp}.".encode(errors="replace") + body
    wanted = b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))
    return any(hmac.compare_digest(wanted, each.encode(errors="replace")) for each in given.split(" "))


class Lines:
    """Reads the lines of a stream, and keeps the place after which it goes on."""

    def __init__(self, place: str | None) -> None:
        self.place = place
        self._coming: str | None = None

    def read(self, line: str) -> Iterator[WebhookEvent]:
        """The event that this line ends, if it ends one."""
        if line.startswith("id: "):
            self._coming = line.removeprefix("id: ")
        elif line.startswith("data: "):
            self.place = self._coming
            yield _event(json.loads(line.removeprefix("data: ")), self.place)
        elif not line:
            self.place = self._coming or self.place


def _event(told: Mapping[str, Any], place: str | None) -> WebhookEvent:
    return WebhookEvent(
        str(told["id"]),
        str(told["type"]),
        datetime.fromisoformat(told["timestamp"]),
        told["business_id"],
        dict(told["data"]),
        place,
    )
