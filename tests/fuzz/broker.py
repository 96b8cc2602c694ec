"""Odd messages in the broker: a worker sets them aside and goes on, and no call is moved by one."""

import json
import random
import time
from typing import Any

import dramatiq
import redis

from outbound import broker as brokers
from outbound.calls import dial, lead
from outbound.config import settings
from tests.cli.test_logs import heard
from tests.conftest import World, until
from tests.fuzz.inside import attack, complain, digest, place, raw
from tests.fuzz.result import Result

_ARGS: tuple[object, ...] = (
    None,
    0,
    -1,
    1,
    2,
    3,
    4,
    10**18,
    10**30,
    1.5,
    True,
    "1",
    "seven",
    "",
    [],
    {},
    [1],
    {"id": 1},
    "CA" + "0" * 32,
    "\x00",
)
_BATCH = 20  # messages that one worker takes


def run(seed: int, count: int) -> Result:
    """Put *count* messages in the queues of a worker."""
    chance = random.Random(seed)
    with place() as world:
        _calls(world)
        made = brokers.make(settings().redis_url or "")
        actors: tuple[dramatiq.Actor[Any, Any], ...] = (dial.dial_call, lead.create_lead_from_call_job)
        own = [actor.broker for actor in actors]
        for actor in actors:
            made.declare_actor(actor)
            actor.broker = made
        client = redis.Redis.from_url(settings().redis_url or "")
        worker = dramatiq.Worker(made, worker_threads=2, worker_timeout=100)
        worker.start()
        try:
            return attack("broker", count, lambda result: _send(made, client, world, chance, result))
        finally:
            worker.stop(10_000)
            made.close()
            client.close()
            for actor, before in zip(actors, own, strict=True):
                actor.broker = before


def _calls(world: World) -> None:
    """One call of each kind that a message must not move."""
    world.queued(to="+15005550101")
    world.initiated(to="+15005550102", call_sid="CA" + "1" * 32)
    ended = world.initiated(to="+15005550103", call_sid="CA" + "2" * 32)
    world.do("update call_log set status = 'completed', ended_at = now(), overdue_at = null where id = %s", ended)
    held = world.queued(to="+15005550104")
    world.do("update call_log set paused_at = now() where id = %s", held)


def _send(made: Any, client: redis.Redis, world: World, chance: random.Random, result: Result) -> None:
    name_of_queue = chance.choice(("dial", "default"))
    queue = f"{settings().broker_namespace}:{name_of_queue}"
    before = digest(world)
    with heard() as said:
        messages = chance.randint(1, _BATCH)
        for number in range(messages):
            name = f"odd-{time.monotonic_ns()}-{number}"
            client.hset(f"{queue}.msgs", name, _message(chance, name_of_queue, name))
            client.rpush(queue, name)
        made.wake(name_of_queue, messages)  # which a worker that has nothing to do waits for
        until(lambda: client.llen(queue) == 0, timeout_s=60)
        dial.nudge([4711])  # no call: a live worker takes it
        until(lambda: client.llen(f"{settings().broker_namespace}:dial") == 0, timeout_s=60)
    if "thread_died" in said.getvalue() or "process.died" in said.getvalue():
        result.tracebacks += 1
        complain(f"broker: {said.getvalue()}")
    if digest(world) != before:
        result.state_changes += 1
        complain("broker: a message changed the database")


def _message(chance: random.Random, queue: str, name: str) -> bytes:
    if chance.random() < 0.2:
        return chance.randbytes(chance.randint(0, 200))
    body: dict[str, Any] = {
        "queue_name": queue,
        "actor_name": chance.choice(("dial_call", "create_lead_from_call_job", "nobody", "", None, raw(chance))),
        "args": chance.choice(([], [chance.choice(_ARGS)], [chance.choice(_ARGS)] * 3, None, "x", {})),
        "kwargs": chance.choice(({}, {"call_id": chance.choice(_ARGS)}, {"call_sid": chance.choice(_ARGS)}, None, [])),
        "options": chance.choice(({"redis_message_id": name}, {}, None, {"retries": 10**9, "eta": -1})),
        "message_id": chance.choice((name, None, raw(chance))),
        "message_timestamp": chance.choice((int(time.time() * 1000), -1, 10**20, None, "x")),
    }
    for missing in chance.sample(sorted(body), chance.choice((0, 0, 0, 1, 3))):
        del body[missing]
    return json.dumps(body).encode()
