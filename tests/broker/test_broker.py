"""A message is only a nudge: whatever is in the broker, no worker stops for it and nothing is lost with it."""

import json
import time
from collections.abc import Iterator
from queue import Empty
from threading import Thread

import dramatiq
import pytest
import redis

from outbound import broker
from outbound.broker import redis_broker
from outbound.calls import dial, lead
from outbound.config import settings
from tests.conftest import Servers, World, until


@pytest.fixture
def shared(world: World, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[dramatiq.Broker]:
    """A real broker with our actors on it, and a worker that takes what is sent."""
    made = broker.make(servers.redis_url)
    for actor in (dial.dial_call, lead.create_lead_from_call_job):
        made.declare_actor(actor)
        monkeypatch.setattr(actor, "broker", made)
    worker = dramatiq.Worker(made, worker_threads=2, worker_timeout=100)
    worker.start()
    yield made
    worker.stop(10_000)
    made.close()


def _push(servers: Servers, queue: str, data: bytes, message_id: str) -> redis.Redis:
    client = redis.Redis.from_url(servers.redis_url)
    client.hset(f"{settings().broker_namespace}:{queue}.msgs", message_id, data)
    client.rpush(f"{settings().broker_namespace}:{queue}", message_id)
    return client


def _message(actor: str, *args: object) -> bytes:
    body = {
        "queue_name": "dial",
        "actor_name": actor,
        "args": args,
        "kwargs": {},
        "options": {"redis_message_id": "poison"},
        "message_id": "poison",
        "message_timestamp": int(time.time() * 1000),
    }
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    "poison",
    [_message("nobody_knows_this_actor", 1), _message("dial_call", "seven"), _message("dial_call"), b"\x00not json"],
)
def test_a_poisoned_message_is_set_aside_and_the_worker_goes_on(
    world: World, servers: Servers, shared: dramatiq.Broker, poison: bytes
) -> None:
    client = _push(servers, "dial", poison, "poison")
    call_id = world.initiated(call_sid="CA" + "c" * 32)

    lead.nudge("CA" + "c" * 32)
    client_queue = f"{settings().broker_namespace}:dial"

    until(lambda: world.call(call_id).lead_id is not None)
    until(lambda: client.llen(client_queue) == 0)
    dial.nudge([4711])  # the same queue still has a reader
    until(lambda: client.llen(client_queue) == 0)


def test_a_broker_that_is_away_is_said_to_be_away_and_nothing_is_raised(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = broker.make("redis://127.0.0.1:1")
    away.declare_actor(lead.create_lead_from_call_job)
    monkeypatch.setattr(lead.create_lead_from_call_job, "broker", away)

    assert lead.nudge("CA" + "c" * 32) is False


def test_a_message_that_is_none_goes_to_the_dead_letters_once(
    world: World, servers: Servers, shared: dramatiq.Broker
) -> None:
    client = _push(servers, "dial", b"\xff not a message", "poison")
    queue = f"{settings().broker_namespace}:dial"

    until(lambda: client.hexists(f"{queue}.XQ.msgs", "poison"))

    assert not client.hexists(f"{queue}.msgs", "poison")


def test_nobody_waits_twice_for_a_broker_that_does_not_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    away = broker.make("redis://127.0.0.1:1")
    away.declare_actor(lead.create_lead_from_call_job)
    monkeypatch.setattr(lead.create_lead_from_call_job, "broker", away)
    assert lead.nudge("CA" + "c" * 32) is False

    monkeypatch.setattr(away, "enqueue", lambda *_, **__: pytest.fail("it was asked"))

    assert lead.nudge("CA" + "c" * 32) is False


def test_no_thread_looks_for_delayed_messages_and_none_can_be_sent(shared: dramatiq.Broker) -> None:
    assert shared.get_declared_delay_queues() == set()
    with pytest.raises(ValueError, match="no delay"):
        dial.dial_call.send_with_options(args=(4711,), delay=1000)


def _consumer(servers: Servers, queue: str = "dial") -> tuple[redis_broker.RedisBroker, dramatiq.Consumer]:
    made = broker.make(servers.redis_url)
    assert isinstance(made, redis_broker.RedisBroker)
    made.declare_queue(queue)
    return made, made.consume(queue, prefetch=4)


def _nudge() -> dramatiq.Message[None]:
    return dramatiq.Message("dial", "dial_call", (4711,), {}, {})


def _look(consumer: dramatiq.Consumer) -> object:
    message = next(consumer)
    return message and message.args


def test_a_wakeup_between_a_check_and_the_wait_is_received(
    world: World, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_broker, "_WAKE_S", 3600)  # only the wake-up key can wake it
    made, consumer = _consumer(servers)
    look = made.do_fetch

    def look_and_miss(queue: str, room: int) -> list[bytes | None]:
        found = look(queue, room)
        if not found:
            made.enqueue(_nudge())
            made.wake("dial", 1)
        return found

    monkeypatch.setattr(made, "do_fetch", look_and_miss)

    assert _look(consumer) is None
    assert _look(consumer) == (4711,)


def test_a_worker_that_stops_takes_nothing_more_and_is_waited_for_by_nobody(
    world: World, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_broker, "_WAKE_S", 3600)
    made, consumer = _consumer(servers)
    waiting = Thread(target=next, args=(consumer,))
    waiting.start()

    made.stop_fetching()

    waiting.join(20)
    assert not waiting.is_alive()
    made.enqueue(_nudge())
    monkeypatch.setattr(redis_broker, "_STOPPING_WAIT_S", 0.01)
    made.wake("dial", 1)
    assert _look(consumer) is None
    assert made.client.llen(made.wake_up_key("dial")) == 1  # it is for those who stay
    assert _look(_consumer(servers)[1]) == (4711,)


def test_what_a_worker_gives_back_wakes_another_for_it(
    world: World, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_broker, "_WAKE_S", 3600)
    made, consumer = _consumer(servers)
    made.enqueue(_nudge())
    taken = next(consumer)
    assert taken is not None
    _, another = _consumer(servers)
    found: list[object] = []
    waiting = Thread(target=lambda: found.extend((_look(another), _look(another))))
    waiting.start()

    consumer.requeue([taken])

    waiting.join(20)
    assert (4711,) in found


def test_idle_threads_sleep_until_there_is_something_to_do_or_an_end_to_it() -> None:
    queue = redis_broker.WorkQueue()
    took: list[object] = []
    waiting = Thread(target=lambda: took.append(queue.get(timeout=0)))  # Dramatiq's wait of a second: over
    waiting.start()

    assert took == []
    queue.put(1)
    waiting.join(20)
    assert took == [1]

    def last_look() -> None:
        with pytest.raises(Empty):
            queue.get(timeout=3600)
        took.append(None)

    waiting = Thread(target=last_look)
    waiting.start()
    queue.close()
    waiting.join(20)
    assert took == [1, None]
    queue.put(2)
    assert queue.get_nowait() == 2  # given back to the broker


def test_the_private_parts_of_dramatiq_that_redis_broker_uses_are_there() -> None:
    """A newer Dramatiq that renames one of them fails here, and not at night; pyproject.toml bounds its version."""
    assert issubclass(redis_broker.Consumer, dramatiq.brokers.redis._RedisConsumer)
    parts = {
        dramatiq.brokers.redis._RedisConsumer: ("__next__", "ack", "nack", "requeue", "outstanding_message_count"),
        dramatiq.brokers.redis.RedisBroker: ("_dispatch",),
    }
    for kind, names in parts.items():
        assert [name for name in names if not hasattr(kind, name)] == []
    made = dramatiq.brokers.redis.RedisBroker(url="redis://127.0.0.1:1")
    assert "dispatch" in made.scripts
    assert [name for name in ("do_ack", "do_enqueue", "do_fetch", "do_nack") if not callable(getattr(made, name))] == []
    assert isinstance(made.broker_id, str)
    assert isinstance(made.queues, set)
    assert {"message_cache", "prefetch", "queue_name"} <= vars(made.consume("default")).keys()
    assert "work_queue" in vars(dramatiq.Worker(made))
