"""The only file that chooses a broker and its middleware.  A message is a nudge: losing one costs a little time."""

from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import BrokerConnectionError
from dramatiq.middleware import Retries
from redis.backoff import NoBackoff
from redis.retry import Retry

from outbound import logs
from outbound.config import settings

IN_PROCESS = "memory://"

_SOCKET_TIMEOUT_S = 5  # Dramatiq's scripts take milliseconds; a broker that is slower is away
_CONNECT_TIMEOUT_S = 2

log = logs.get("broker")


def make(url: str) -> dramatiq.Broker:
    """
    A broker at *url*: Redis or Valkey, or the one inside this process for `memory://`.

    Its own retries, delays and priorities are not used: time and order live in SQL, sweepers repeat lost nudges.
    Retries stays as the middleware that sets a failed message aside instead of dropping it.
    """
    middleware: list[dramatiq.Middleware] = [Retries(max_retries=0)]
    if url.startswith(IN_PROCESS):
        return StubBroker(middleware=middleware)
    client = redis.Redis.from_url(
        url,
        socket_timeout=_SOCKET_TIMEOUT_S,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),  # redis-py would try for 15 s; we look again at the next tick
    )
    return RedisBroker(client=client, namespace=settings().broker_namespace, middleware=middleware)  # type: ignore[no-untyped-call]


def nudge(actor: dramatiq.Actor[..., Any], *args: int | str) -> bool:
    """Tell a worker that there is something to do; False, after a log line, where the broker is away."""
    try:
        actor.send(*args)
    except (BrokerConnectionError, redis.RedisError) as error:
        log.warning("broker.unavailable", actor=actor.actor_name, error=type(error).__name__)
        return False
    return True


def _configured() -> dramatiq.Broker:
    url = settings().redis_url
    if url is None:
        raise RuntimeError("REDIS_URL is not set, and no embedded broker was started")
    return make(url)


broker = _configured()
dramatiq.set_broker(broker)  # `dramatiq outbound.worker` looks for it there
