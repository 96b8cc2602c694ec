"""Events: read from the stream as they happen, and out of webhooks whose signature is verified."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

RECONNECT_S = 2.0  # after a stream that broke


class NotGenuine(Exception):
    """The webhook was not signed with this secret, or more than five minutes ago: answer 400, and do nothing else."""


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


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes) -> WebhookEvent:
    """
    The event of a webhook.

    Args:
        secret: `whsec_…`, of `outbound webhook secret`.
        headers: of the request, whatever the case of their names.
        body: of the request, as it came: another writing of the same JSON is not what was signed.

    Raises:
        NotGenuine: it is none of outbound's.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        told = Webhook(secret).verify(body, lower)
    except WebhookVerificationError as error:
        raise NotGenuine(str(error)) from None
    return _event(told, None)


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
