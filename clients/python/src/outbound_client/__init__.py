"""Client of outbound's HTTP API, sync (`Client`) and async (`AsyncClient`)."""

from outbound_client.client import AsyncClient, Client
from outbound_client.events import NotGenuine, WebhookEvent, verify_webhook
from outbound_client.models import *  # noqa: F403
from outbound_client.transport import Refused, Unanswered

__all__ = [
    "AsyncClient",
    "Client",
    "NotGenuine",
    "Refused",
    "Unanswered",
    "WebhookEvent",
    "verify_webhook",
]  # and the models
