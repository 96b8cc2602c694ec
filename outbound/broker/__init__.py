"""The only file that chooses a broker and its middleware.  A message is a nudge: losing one costs a little time."""

import inspect
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from queue import PriorityQueue
from typing import Any, ParamSpec, TypeVar, cast
from weakref import WeakKeyDictionary

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import BrokerConnectionError, ConnectionClosed, DecodeError
from dramatiq.middleware import Retries

from outbound import library_logs, logs
from outbound.broker import redis_client
from outbound.broker.redis_client import Fault
from outbound.config import settings

P = ParamSpec("P")
R = TypeVar("R")

IN_PROCESS = "memory://"

_SOCKET_TIMEOUT_S = 5  # Dramatiq's scripts take milliseconds; a broker that is slower is away
_BELL_S = 5  # between two looks of a worker that hears no bell: one that was lost costs this much at most
_LAST_BELL_S = 1  # and of one that was told to stop, which takes nothing more and says that it is alive
_STOP_BELL_S = 60  # a bell that calls a worker to its end is forgotten after this, should nobody hear it any more
_BELLS_MAX = 64
_LAST_LOOK_S = 0.05  # between two looks of a thread that was told to stop, until Dramatiq lets it
_FULL_WAIT_MS = 20  # between two looks of a worker that has all the messages it may hold
_AWAY_S = 2  # after a failure nobody waits for the broker again for this long: a callback must not hang on a nudge

library_logs.expect(redis.ConnectionError, redis.TimeoutError, BrokerConnectionError)
log = logs.get("broker")


def make(url: str) -> dramatiq.Broker:
    """
    A broker at *url*: Redis or Valkey, or the one inside this process for `memory://`.

    Its own retries, delays and priorities are not used: time and order live in SQL, sweepers repeat lost nudges.
    Retries stays as the middleware that sets a failed message aside instead of dropping it.
    """
    middleware: list[dramatiq.Middleware] = [_Ids(), Retries(max_retries=0)]
    if url.startswith(IN_PROCESS):
        return StubBroker(middleware=middleware)
    return _Redis(url, settings().broker_namespace, [*middleware, _Quiet()])


class _Ids(dramatiq.Middleware):
    """Lets every line that is logged while a message is at work carry its call_id or call_sid, Dramatiq's own too."""

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Begin."""
        logs.forget()
        if message.actor_name in broker.actors:
            given = (
                dict(zip(_parameters(broker.actors[message.actor_name]), message.args, strict=False)) | message.kwargs
            )
            if "call_ids" in given and len(message.args) == 1:  # of several, each line names its own
                given["call_id"] = message.args[0]
            logs.remember(**{name: given[name] for name in ("call_id", "call_sid") if name in given})

    def after_process_message(self, *_: object, **_outcome: object) -> None:
        """End."""
        logs.forget()


@cache
def _parameters(actor: dramatiq.Actor[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(actor.fn).parameters)


class _Quiet(dramatiq.Middleware):
    """Lets whoever has nothing to do sleep, until there is something to do or the worker is told to stop."""

    def before_worker_boot(self, broker: dramatiq.Broker, worker: Any) -> None:  # noqa: ARG002
        """Before there are threads."""
        worker.work_queue = _WorkQueue()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: Any) -> None:
        """While there still are."""
        worker.work_queue.close()
        try:
            cast("_Redis", broker).stop_fetching()
        except redis.RedisError as error:
            log.outage("broker.unavailable", error)


class _WorkQueue(PriorityQueue[Any]):
    """Wakes a thread when there is something to do, or an end to it; Dramatiq's own wakes each of them every second."""

    def __init__(self) -> None:
        super().__init__()
        self._is_closed = False

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """
        The next message; *timeout* is not looked at, for a thread has nothing to do until there is one.

        Raises:
            Empty: another thread was quicker, or there will be no more.
        """
        if block:
            with self.not_empty:
                self.not_empty.wait_for(lambda: self._is_closed or self._qsize())
        return super().get(block, _LAST_LOOK_S if block else timeout)

    def close(self) -> None:
        """Nobody need wait any longer; what is in it can still be taken."""
        with self.not_empty:
            self._is_closed = True
            self.not_empty.notify_all()


class _Consumer(_RedisConsumer):
    """Waits at the bell for its next message; Dramatiq's own sleeps, up to a second, between two looks."""

    def __next__(self) -> Any:
        """The next message, or None after a wait."""
        try:
            if not self.message_cache and self.outstanding_message_count < self.prefetch:
                room = 0 if self.broker.is_stopping else self.prefetch - self.outstanding_message_count
                self.message_cache = self.broker.do_fetch(self.queue_name, room)
                if not self.message_cache:
                    self.broker.wait_for_bell(self.queue_name)
                    return None
            return super().__next__()  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]

    def ack(self, message: dramatiq.MessageProxy) -> None:
        """Tell the broker that a message is done; who has not told it when it stops leaves that to the row's state."""
        self._tell(super().ack, message)

    def nack(self, message: dramatiq.MessageProxy) -> None:
        """Tell the broker to set a message aside."""
        self._tell(super().nack, message)

    def _tell(self, what: Callable[[Any], None], message: dramatiq.MessageProxy) -> None:
        try:
            what(message)
        except (ConnectionClosed, redis.RedisError) as error:
            if not self.broker.is_stopping:
                raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
            log.outage("broker.unavailable", error)

    def requeue(self, messages: Iterable[dramatiq.MessageProxy]) -> None:
        """Give back what was not begun, and wake another worker for it; clean-up does where the broker is away."""
        given_back = list(messages)
        try:
            super().requeue(given_back)  # type: ignore[no-untyped-call]
            if given_back:
                self.broker.ring(self.queue_name, len(given_back))
        except redis.RedisError as error:
            log.outage("broker.unavailable", error)


class _Redis(RedisBroker):
    """
    Dramatiq's, with a bell for what is new, and no delay queues: time lives in SQL, so nobody need look at them.

    It sets a message aside that nobody can read; Dramatiq would stop for 3 s, and give it to every next worker.
    """

    is_stopping = False

    def __init__(self, url: str, namespace: str, middleware: list[dramatiq.Middleware]) -> None:
        super().__init__(client=redis_client.client(url, _SOCKET_TIMEOUT_S), namespace=namespace, middleware=middleware)  # type: ignore[no-untyped-call]
        self._waiting = redis_client.client(url, _BELL_S + _SOCKET_TIMEOUT_S)
        self._here = threading.local()
        dispatch = self.scripts["dispatch"]
        # Dramatiq's own way to Redis, but into this thread's pipeline while it has one.
        self.scripts["dispatch"] = lambda **said: dispatch(**said, client=getattr(self._here, "pipeline", None))

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue, and no other beside it."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        """
        Send a message.

        Raises:
            ValueError: with a delay; nobody would take it.
        """
        if delay is not None:
            raise ValueError("a nudge has no delay: `due_at` and `overdue_at` say when, in SQL")
        return super().enqueue(message)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 0) -> dramatiq.Consumer:  # noqa: ARG002
        """See `dramatiq.Broker.consume`; *timeout* is not used: what is new is announced by the bell."""
        return _Consumer(self, queue_name, prefetch, _FULL_WAIT_MS)  # type: ignore[no-untyped-call]

    def bell(self, queue_name: str) -> str:
        """The list that is pushed to when there is something to fetch."""
        return f"{self.namespace}:{queue_name}.bell"

    def ring(self, queue_name: str, messages: int) -> None:
        """Wake whoever waits, at most one for each message; a bell that nobody hears is kept short."""
        pipeline = self.client.pipeline(transaction=False)
        self._ring_in(pipeline, queue_name, messages)
        pipeline.execute()

    def _ring_in(self, pipeline: Any, queue_name: str, messages: int) -> None:
        pipeline.lpush(self.bell(queue_name), *["1"] * min(messages, _BELLS_MAX))
        pipeline.ltrim(self.bell(queue_name), 0, _BELLS_MAX - 1)

    @contextmanager
    def in_one_go(self, queue_name: str) -> Iterator[None]:
        """Send what is sent inside, by this thread to this queue, when it is over: all in one go, with its bell."""
        with self._collected() as pipeline:
            yield
        self._ring_in(pipeline, queue_name, len(pipeline))
        pipeline.execute()

    @contextmanager
    def _collected(self) -> Iterator[Any]:
        """Collect what this thread asks of the queues inside, instead of sending it."""
        pipeline = self._here.pipeline = self.client.pipeline(transaction=False)
        try:
            yield pipeline
        finally:
            self._here.pipeline = None

    def prove(self) -> None:
        """
        Send one message to a queue of its own, wait for its bell and take it, by the commands that every nudge needs.

        Raises:
            redis.RedisError: no nudge would get through.
        """
        queue_name, message_id = f"proof.{uuid.uuid4().hex}", "1"
        with self._collected() as pipeline:
            self.do_enqueue(queue_name, message_id, message_id)
            self._dispatch("fetch")(queue_name, 1)  # type: ignore[no-untyped-call]
            self.do_ack(queue_name, message_id)
        self._ring_in(pipeline, queue_name, 1)
        pipeline.expire(self.bell(queue_name), _STOP_BELL_S)
        pipeline.blpop([self.bell(queue_name)], timeout=_LAST_BELL_S)
        _, fetched, *_ = pipeline.execute()
        if fetched != [message_id.encode()]:
            raise redis_client.Refused("ERR")

    def wait_for_bell(self, queue_name: str) -> None:
        """Wait until there may be something to fetch, or until we are told to stop."""
        if self.is_stopping:  # the other bell is for those who stay
            self._waiting.blpop([self._stop_bell(queue_name)], timeout=_LAST_BELL_S)
        else:
            self._waiting.blpop([self.bell(queue_name), self._stop_bell(queue_name)], timeout=_BELL_S)

    def stop_fetching(self) -> None:
        """Leave what is new to others, and wake our own consumers, so that nobody waits for them to end."""
        self.is_stopping = True
        pipeline = self.client.pipeline(transaction=False)
        for queue_name in self.queues:
            pipeline.lpush(self._stop_bell(queue_name), "1")
            pipeline.expire(self._stop_bell(queue_name), _STOP_BELL_S)
        pipeline.execute()

    def _stop_bell(self, queue_name: str) -> str:
        """Heard by this process alone; one for each consumer, so that none takes the other's."""
        return f"{self.bell(queue_name)}.{self.broker_id}"

    def do_fetch(self, queue_name: str, prefetch: int) -> list[bytes | None]:
        """Take messages from the queue, those that can be read."""
        fetched: list[bytes | None] = self._dispatch("fetch")(queue_name, prefetch)  # type: ignore[no-untyped-call]
        return [data for data in fetched if data is None or self._is_readable(queue_name, data)]

    def _is_readable(self, queue_name: str, data: bytes) -> bool:
        try:
            if "redis_message_id" in dramatiq.Message.decode(data).options:
                return True
        except (DecodeError, TypeError):
            pass
        log.error("broker.set_aside", queue=queue_name, reason="not a message")
        for message_id, content in self.client.hscan_iter(f"{self.namespace}:{queue_name}.msgs"):
            if content == data:
                self.do_nack(queue_name, message_id)
        return False


_away_until: MutableMapping[dramatiq.Broker, float] = WeakKeyDictionary()
_last_fault: MutableMapping[dramatiq.Broker, Fault] = WeakKeyDictionary()


def nudge_each(actor: dramatiq.Actor[..., Any], all_args: Sequence[tuple[int | str, ...]]) -> bool:
    """
    Tell workers of things to do, a message for each; False, after a log line, where the broker did not take them all.

    It may have taken some.  The first failure may take _SOCKET_TIMEOUT_S; for _AWAY_S after it nobody asks it again.
    """
    if not all_args or time.monotonic() < _away_until.get(actor.broker, 0):
        return False
    in_one_go = actor.broker.in_one_go(actor.queue_name) if isinstance(actor.broker, _Redis) else nullcontext()
    try:
        with in_one_go:
            for args in all_args:
                actor.send(*args)
    except (BrokerConnectionError, redis.RedisError) as error:
        _away_until[actor.broker] = time.monotonic() + _AWAY_S
        _last_fault[actor.broker] = redis_client.fault(error)
        log.outage("broker.unavailable", error, actor=actor.actor_name)
        return False
    return True


def last_fault(of: dramatiq.Broker) -> Fault:
    """Why nudge_each returned False the last time that it did."""
    return _last_fault.get(of) or redis_client.fault(ConnectionError())


def fault(of: dramatiq.Broker | None = None) -> Fault | None:
    """
    Why no message gets through the broker (default: this process's own); None where one did: it was sent and taken.

    Takes 15 s at most.  A broker that lives in this process has no faults.
    """
    asked = current() if of is None else of
    if not isinstance(asked, _Redis):
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
    """What remember_dials kept last; None where nothing was kept, was lost, or cannot be read now."""
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


@cache
def current() -> dramatiq.Broker:
    """
    The broker of this process, at REDIS_URL, with all actors that are defined; made when it is first asked for.

    Raises:
        RuntimeError: REDIS_URL is not set: a process that needs a broker is given an embedded one before.
    """
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
        _actors.append(self)

    @property
    def broker(self) -> dramatiq.Broker:
        """Where its messages are sent to."""
        return self._given or current()

    @broker.setter
    def broker(self, given: dramatiq.Broker) -> None:
        self._given = given


def actor(*, queue_name: str, **options: Any) -> Callable[[Callable[P, R]], Actor[P, R]]:
    """A function that a worker runs when it gets a message; *options* are those of our middleware."""
    return lambda function: Actor(function, queue_name, options)


_actors: list[Actor[..., Any]] = []
