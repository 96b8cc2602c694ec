"""Client of outbound's HTTP API, sync (`Client`) and async (`AsyncClient`)."""

from outbound_client.client import AsyncClient, Client
from outbound_client.models import *  # noqa: F403
from outbound_client.transport import Refused, Unanswered

__all__ = ["AsyncClient", "Client", "Refused", "Unanswered"]  # and the models
