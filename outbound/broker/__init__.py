"""The only file that chooses a broker and its middleware.  A message is a nudge: losing one costs a little time."""

import threading
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import dramatiq
import redis
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import BrokerConnectionError
from dramatiq.middleware import Retries

from outbound import library_logs, logs
from outbound.broker import redis_client
from outbound.broker.log_context import LogContext
from outbound.broker.redis_broker import IdleWait, RedisBroker
from outbound.broker.redis_client import Fault
from outbound.config import settings

P = ParamSpec("P")
R = TypeVar("R")

IN_PROCESS = "memory://"

_AWAY_S = 2  # after a failure nobody waits for the broker again for this long: a callback must not hang on a nudge

library_logs.expect(redis.ConnectionError, redis.TimeoutError, BrokerConnectionError)
log = logs.get("broker")


def make(url: str) -> dramatiq.Broker:
    """
    A broker at *url*: Redis or Valkey, or the one inside this process for `memory://`.

    Its own retries, delays and priorities are not used: time and order live in SQL, sweepers repeat lost nudges.
    Retries stays as the middleware that sets a failed message aside instead of dropping it.
    """
    middleware: list[dramatiq.Middleware] = [LogContext(), Retries(max_retries=0)]
    if url.startswith(IN_PROCESS):
        return StubBroker(middleware=middleware)
    return RedisBroker(url, settings().broker_namespace, [*middleware, IdleWait()])


_away_until: MutableMapping[dramatiq.Broker, float] = WeakKeyDictionary()
_last_fault: MutableMapping[dramatiq.Broker, Fault] = WeakKeyDictionary()


def nudge_each(actor: dramatiq.Actor[..., Any], all_args: Sequence[tuple[int | str, ...]]) -> bool:
    """
    Tell workers of things to do, a message for each; False, after a log line, where the broker did not take them all.

    It may have taken some.  The first failure may take SOCKET_TIMEOUT_S; for _AWAY_S after it nobody asks it again.
    """
    if not all_args or time.monotonic() < _away_until.get(actor.broker, 0):
        return False
    pipelined = actor.broker.pipelined(actor.queue_name) if isinstance(actor.broker, RedisBroker) else nullcontext()
    try:
        with pipelined:
            for args in all_args:
                actor.send(*args)
    except (BrokerConnectionError, redis.RedisError) as error:
        _away_until[actor.broker] = time.monotonic() + _AWAY_S
        _last_fault[actor.broker] = redis_client.fault(error)
        log.outage("broker.unavailable", error, actor=actor.actor_name)
        return False
    return True


def last_fault(of: dramatiq.Broker) -> Fault:
    """Return why nudge_each returned False the last time that it did."""
    return _last_fault.get(of) or redis_client.fault(ConnectionError())


def fault(of: dramatiq.Broker | None = None) -> Fault | None:
    """
    Return why no message gets through the broker (default: this process's own); None where one did, sent and taken.

    Takes 15 s at most.  A broker that lives in this process has no faults.
    """
    asked = current() if of is None else of
    if not isinstance(asked, RedisBroker):
        return None
    try:
        try:
            asked.prove()
        except redis_client.Refused:  # perhaps on an old connection, to a server that is a replica now
            asked.prove()
    except redis.RedisError as error:
        log.outage("broker.unavailable", error)
        return redis_client.fault(error)
    return None


def waiting_messages(queue_name: str) -> list[bytes]:
    """The messages that lie in a queue and that no worker has taken, as they were sent."""
    client = getattr(current(), "client", None)
    if client is None:
        return [bytes(data) for data in list(current().queues[queue_name].queue)]
    return [bytes(data) for data in client.hvals(f"{settings().broker_namespace}:{queue_name}.msgs")]


def forget_namespace(namespace: str) -> None:
    """Delete all keys of a namespace that was made up for a while; a broker inside this process has none."""
    client = getattr(current(), "client", None)
    if client is not None:
        for key in client.scan_iter(match=f"{namespace}:*", count=1000):
            client.delete(key)


_REMEMBER = """
if redis.call('hget', KEYS[1], 'line') ~= ARGV[1] then
    redis.call('del', KEYS[1])
    redis.call('hset', KEYS[1], 'line', ARGV[1])
end
for place = 2, #ARGV, 2 do
    local known = redis.call('hget', KEYS[1], ARGV[place])
    if not known or tonumber(known) < tonumber(ARGV[place + 1]) then
        redis.call('hset', KEYS[1], ARGV[place], ARGV[place + 1])
    end
end
"""


def remember_dials(namespace: str, line: str, dials: Mapping[int, int]) -> bool:
    """Keep how many dials a database has begun, by slot, the highest of each; False where it could not be kept."""
    client = getattr(current(), "client", None)
    if client is None or time.monotonic() < _away_until.get(current(), 0):
        return client is None
    try:
        client.eval(_REMEMBER, 1, _dials_key(namespace), line, *(word for pair in dials.items() for word in pair))
    except redis.RedisError as error:
        log.warning("broker.unavailable", error=type(error).__name__)
        return False
    return True


def remembered_dials(namespace: str) -> tuple[str, dict[int, int]] | None:
    """Return what remember_dials kept last; None where nothing was kept, was lost, or cannot be read now."""
    client = getattr(current(), "client", None)
    if client is None or time.monotonic() < _away_until.get(current(), 0):
        return None
    try:
        kept = {name.decode(): value.decode() for name, value in client.hgetall(_dials_key(namespace)).items()}
    except redis.RedisError as error:
        log.warning("broker.unavailable", error=type(error).__name__)
        return None
    line = kept.pop("line", None)
    return None if line is None else (line, {int(slot): int(calls) for slot, calls in kept.items()})


def _dials_key(namespace: str) -> str:
    return f"{namespace}:dials"


def current() -> dramatiq.Broker:
    """
    The broker of this process, at REDIS_URL, with all actors that are defined; made when it is first asked for.

    Raises:
        RuntimeError: REDIS_URL is not set: a process that needs a broker is given an embedded one before.
    """
    with _making:
        return _made()


@cache
def _made() -> dramatiq.Broker:
    url = settings().redis_url
    if url is None:
        raise RuntimeError("REDIS_URL is not set, and no embedded broker was started")
    broker = make(url)
    for each in _actors:
        broker.declare_actor(each)
    return broker


class Actor(dramatiq.Actor[P, R]):
    """An actor of the process's own broker, unless it is given another one (`broker`)."""

    def __init__(self, function: Callable[P, R], queue_name: str, options: dict[str, Any]) -> None:
        undecided = StubBroker(middleware=[])  # Dramatiq declares an actor as soon as it is made
        super().__init__(
            function, broker=undecided, actor_name=function.__name__, queue_name=queue_name, priority=0, options=options
        )
        self._given: dramatiq.Broker | None = None
        with _making:
            _actors.append(self)
            if _made.cache_info().currsize:  # the broker was made before this actor's module was imported
                _made().declare_actor(self)

    @property
    def broker(self) -> dramatiq.Broker:
        """Return where its messages are sent to."""
        return self._given or current()

    @broker.setter
    def broker(self, given: dramatiq.Broker) -> None:
        self._given = given


def actor(*, queue_name: str, **options: Any) -> Callable[[Callable[P, R]], Actor[P, R]]:
    """A function that a worker runs when it gets a message; *options* are those of our middleware."""
    return lambda function: Actor(function, queue_name, options)


_actors: list[Actor[..., Any]] = []
_making = threading.RLock()  # two threads that ask first get one broker, and an actor is declared to it once
