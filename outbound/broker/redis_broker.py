"""
Dramatiq's Redis broker, with blocking waits instead of polling, and without delays: time lives in SQL.

This is the only file that uses private parts of Dramatiq; test_broker names each of them.
"""

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import PriorityQueue
from typing import Any, cast

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker as DramatiqRedisBroker
from dramatiq.brokers.redis import _RedisConsumer
from dramatiq.errors import ConnectionClosed, DecodeError

from outbound import logs
from outbound.broker import redis_client

SOCKET_TIMEOUT_S = 5  # Dramatiq's scripts take milliseconds; a broker that is slower is away
_WAKE_S = 5  # an idle worker looks for messages this often where no wake-up comes: what a lost one costs at most
_STOPPING_WAIT_S = 1  # between heartbeats of a consumer that is shutting down
_STOP_KEY_TTL_S = 60  # the key that wakes a stopping worker expires after this, where the worker has died
_WAKE_UPS_MAX = 64  # wake-ups that are kept for a queue
_LAST_LOOK_S = 0.05  # poll interval of a thread during shutdown
_FULL_WAIT_MS = 20  # poll interval of a worker that holds all the messages it may

log = logs.get("broker")


class IdleWait(dramatiq.Middleware):
    """Replaces Dramatiq's polling by blocking waits, so that idle workers use no CPU."""

    def before_worker_boot(self, broker: dramatiq.Broker, worker: Any) -> None:  # noqa: ARG002
        """Give the worker a queue that blocks, before its threads start."""
        worker.work_queue = WorkQueue()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: Any) -> None:
        """Wake the threads and the consumers, so that they see the end."""
        worker.work_queue.close()
        try:
            cast("RedisBroker", broker).stop_fetching()
        except redis.RedisError as error:
            log.outage("broker.unavailable", error)


class WorkQueue(PriorityQueue[Any]):
    """A queue whose threads block until a message comes or it is closed; with Dramatiq's, each wakes every second."""

    def __init__(self) -> None:
        super().__init__()
        self._is_closed = False

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """
        Return the next message; *timeout* is ignored: the thread blocks until one arrives or the queue is closed.

        Raises:
            Empty: another thread was quicker, or there will be no more.
        """
        if block:
            with self.not_empty:
                self.not_empty.wait_for(lambda: self._is_closed or self._qsize())
        return super().get(block, _LAST_LOOK_S if block else timeout)

    def close(self) -> None:
        """Wake every thread that waits; what is in the queue can still be taken."""
        with self.not_empty:
            self._is_closed = True
            self.not_empty.notify_all()


class Consumer(_RedisConsumer):
    """Blocks on the wake-up key until a message may be there; Dramatiq's consumer polls, up to a second apart."""

    def __next__(self) -> Any:
        """The next message, or None after a wait."""
        try:
            if not self.message_cache and self.outstanding_message_count < self.prefetch:
                room = 0 if self.broker.is_stopping else self.prefetch - self.outstanding_message_count
                self.message_cache = self.broker.do_fetch(self.queue_name, room)
                if not self.message_cache:
                    self.broker.wait_for_wake_up(self.queue_name)
                    return None
            return super().__next__()  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]

    def ack(self, message: dramatiq.MessageProxy) -> None:
        """Acknowledge a message; while the worker stops, a failure is logged: the row's state decides."""
        self._tell(super().ack, message)

    def nack(self, message: dramatiq.MessageProxy) -> None:
        """Move a message to the dead letters."""
        self._tell(super().nack, message)

    def _tell(self, what: Callable[[Any], None], message: dramatiq.MessageProxy) -> None:
        try:
            what(message)
        except (ConnectionClosed, redis.RedisError) as error:
            if not self.broker.is_stopping:
                raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
            log.outage("broker.unavailable", error)

    def requeue(self, messages: Iterable[dramatiq.MessageProxy]) -> None:
        """Return messages that were not begun, and wake another worker; clean-up does it where the broker is away."""
        given_back = list(messages)
        try:
            super().requeue(given_back)  # type: ignore[no-untyped-call]
            if given_back:
                self.broker.wake(self.queue_name, len(given_back))
        except redis.RedisError as error:
            log.outage("broker.unavailable", error)


class RedisBroker(DramatiqRedisBroker):
    """
    Dramatiq's Redis broker with a wake-up key per queue, and without delay queues.

    A message that cannot be read becomes a dead letter; Dramatiq would pause for 3 s and give it to the next worker.
    """

    is_stopping = False

    def __init__(self, url: str, namespace: str, middleware: list[dramatiq.Middleware]) -> None:
        super().__init__(client=redis_client.client(url, SOCKET_TIMEOUT_S), namespace=namespace, middleware=middleware)  # type: ignore[no-untyped-call]
        self._waiting = redis_client.client(url, _WAKE_S + SOCKET_TIMEOUT_S)
        self._here = threading.local()
        dispatch = self.scripts["dispatch"]
        # Dramatiq's own script, run in this thread's pipeline while it has one.
        self.scripts["dispatch"] = lambda **given: dispatch(**given, client=getattr(self._here, "pipeline", None))

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue, without a delay queue."""
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
        """Implements `dramatiq.Broker.consume`; *timeout* is ignored: the wake-up key announces messages."""
        return Consumer(self, queue_name, prefetch, _FULL_WAIT_MS)  # type: ignore[no-untyped-call]

    def wake_up_key(self, queue_name: str) -> str:
        """The list that is pushed to when there is something to fetch."""
        return f"{self.namespace}:{queue_name}.bell"

    def wake(self, queue_name: str, messages: int) -> None:
        """Wake waiting workers, at most one for each message."""
        pipeline = self.client.pipeline(transaction=False)
        self._wake_in(pipeline, queue_name, messages)
        pipeline.execute()

    def _wake_in(self, pipeline: Any, queue_name: str, messages: int) -> None:
        pipeline.lpush(self.wake_up_key(queue_name), *["1"] * min(messages, _WAKE_UPS_MAX))
        pipeline.ltrim(self.wake_up_key(queue_name), 0, _WAKE_UPS_MAX - 1)

    @contextmanager
    def pipelined(self, queue_name: str) -> Iterator[None]:
        """Send the messages of this block, by this thread to this queue, in one pipeline at its end, with wake-ups."""
        with self._collected() as pipeline:
            yield
        self._wake_in(pipeline, queue_name, len(pipeline))
        pipeline.execute()

    @contextmanager
    def _collected(self) -> Iterator[Any]:
        """Collect this thread's commands in a pipeline instead of sending them."""
        pipeline = self._here.pipeline = self.client.pipeline(transaction=False)
        try:
            yield pipeline
        finally:
            self._here.pipeline = None

    def prove(self) -> None:
        """
        Send one message through a queue of its own, by the commands that every nudge needs.

        Raises:
            redis.RedisError: the broker does not take and return messages.
        """
        queue_name, message_id = f"proof.{uuid.uuid4().hex}", "1"
        with self._collected() as pipeline:
            self.do_enqueue(queue_name, message_id, message_id)
            self._dispatch("fetch")(queue_name, 1)  # type: ignore[no-untyped-call]
            self.do_ack(queue_name, message_id)
        self._wake_in(pipeline, queue_name, 1)
        pipeline.expire(self.wake_up_key(queue_name), _STOP_KEY_TTL_S)
        pipeline.blpop([self.wake_up_key(queue_name)], timeout=_STOPPING_WAIT_S)
        _, fetched, *_ = pipeline.execute()
        if fetched != [message_id.encode()]:
            raise redis_client.Refused("ERR")

    def wait_for_wake_up(self, queue_name: str) -> None:
        """Block until there may be something to fetch, or until this process has to stop."""
        if self.is_stopping:  # the wake-up key is for the workers that go on
            self._waiting.blpop([self._stop_key(queue_name)], timeout=_STOPPING_WAIT_S)
        else:
            self._waiting.blpop([self.wake_up_key(queue_name), self._stop_key(queue_name)], timeout=_WAKE_S)

    def stop_fetching(self) -> None:
        """Take no new messages, and wake this process's consumers so that they end at once."""
        self.is_stopping = True
        pipeline = self.client.pipeline(transaction=False)
        for queue_name in self.queues:
            pipeline.lpush(self._stop_key(queue_name), "1")
            pipeline.expire(self._stop_key(queue_name), _STOP_KEY_TTL_S)
        pipeline.execute()

    def _stop_key(self, queue_name: str) -> str:
        """The key that wakes this process's consumer of a queue; no other process reads it."""
        return f"{self.wake_up_key(queue_name)}.{self.broker_id}"

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
