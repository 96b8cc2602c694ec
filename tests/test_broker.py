"""A message is only a nudge: whatever is in the broker, no worker stops for it and nothing is lost with it."""

import json
import time
from collections.abc import Iterator

import dramatiq
import pytest
import redis

from outbound import broker, dial, lead
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
