"""What lies in the old system's Redis: read without running it, set aside, given back; written by the real RQ."""

import subprocess
import sys
import types
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import rq
from redis.connection import AbstractConnection
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from outbound.adopt import old_redis
from outbound.adopt.old_job import LEAD, OldJob
from outbound.broker import redis_client
from tests.adopt.test_old_job import SHAPES, Bomb, nested, packed, sid
from tests.conftest import until

NUDGE = "server.routes_outbound.process_next_queued_job"
PROMPT = "server.jobs.prompts.rebuild_prompt_job"


@pytest.fixture
def old(old_redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(old_redis_url) as client:
        client.flushall()
        yield client


def add(old: Any, function: str, *args: Any, queue: str = "default", **options: Any) -> bytes:
    """One job, added by RQ itself; its id."""
    made = rq.Queue(queue, connection=old).enqueue_call(function, args, **{"ttl": 600, "timeout": 300} | options)
    return str(made.id).encode()


def add_raw(old: Any, data: bytes, queue: str = "default") -> bytes:
    job_id = uuid.uuid4().hex.encode()
    old.hset(b"rq:job:" + job_id, mapping={"data": data, "status": "queued"})
    old.rpush(f"rq:queue:{queue}", job_id)
    return job_id


def listed(old: Any, key: bytes | str = "rq:queue:default") -> list[bytes]:
    return list(old.lrange(key, 0, -1))


def everything(old: Any) -> dict[bytes, Any]:
    """Each key with what it holds, and its time to live in tens of minutes, rounded up."""
    keys = list(old.scan_iter(count=1000))
    types = answers(old, [("TYPE", key) for key in keys])
    lives = answers(old, [("PTTL", key) for key in keys])
    held = answers(old, [READ[of](key) for key, of in zip(keys, types, strict=True)])
    found = {}
    for key, of, what, life in zip(keys, types, held, lives, strict=True):
        found[key] = (of, sorted(what) if of == b"set" else what, _rounded(life))
        if key.endswith(b":ttl"):  # how long the others had to live
            found[key] = (of, {job: _rounded(int(had)) for job, had in what.items()}, _rounded(life))
    return found


READ: dict[bytes, Callable[[bytes], tuple[Any, ...]]] = {
    b"list": lambda key: ("LRANGE", key, 0, -1),
    b"set": lambda key: ("SMEMBERS", key),
    b"hash": lambda key: ("HGETALL", key),
    b"zset": lambda key: ("ZRANGE", key, 0, -1, "WITHSCORES"),
    b"string": lambda key: ("GET", key),
}


def answers(old: Any, commands: list[tuple[Any, ...]]) -> list[Any]:
    pipeline = old.pipeline()
    for command in commands:
        pipeline.execute_command(*command)
    return list(pipeline.execute())


def _rounded(life_ms: int) -> int:
    return life_ms if life_ms < 0 else -(-life_ms // 600_000)


def kinds(old: Any) -> Counter[str]:
    """How many jobs of each kind lie anywhere."""
    return sum((counts.kinds for counts in old_redis.read(old).places.values()), Counter())


def furnish(old: Any, rounds: int = 4, businesses: tuple[int, ...] = (7, 8)) -> dict[str, list[bytes]]:
    """A small Redis of the old shape; the ids of what is ours, and of the others' jobs."""
    ours, others = [], []
    for number in range(rounds):
        others.append(add(old, PROMPT, number))
        ours.append(add(old, LEAD, sid(number)))
        ours.append(add(old, NUDGE, number, 1, job_id=f"process_next_{number}", ttl=None))
    others.append(add_raw(old, b"garbage"))
    ours.append(add(old, LEAD, sid(9), queue="low"))
    others.append(add(old, PROMPT, 9, queue="receipts"))
    ours.append(add(old, LEAD, sid(10), queue="high"))
    old.lmove("rq:queue:high", "rq:queue:high:intermediate")
    soon = timedelta(hours=1)
    ours.append(rq.Queue("low", connection=old).enqueue_in(soon, LEAD, sid(11), job_ttl=None).id.encode())
    others.append(rq.Queue("low", connection=old).enqueue_in(soon, PROMPT, 11).id.encode())
    for business in businesses:
        old.rpush(f"outbound_queue:{business}", 101, 102, 103)
        old.sadd(f"outbound_queued:{business}", 101, 102, 103)
        old.expire(f"outbound_queued:{business}", 3500)
        old.sadd(f"outbound_slots:{business}", 99, 100)
        for job in (99, 100):
            old.set(f"outbound_inflight:{business}:{job}", "processing", ex=550)
    old.set("rq:queue:odd", "a text")
    old.set("session:1", "somebody's")
    return {"ours": ours, "others": others}


def test_ten_thousand_jobs_of_rq_are_counted_by_what_becomes_of_them(old: Any, tmp_path: Path) -> None:
    wanted: Counter[str] = Counter()
    for start in range(0, 9_000, 1_000):
        batches: dict[str, list[Any]] = {"default": [], "low": []}
        for number in range(start, start + 1_000):
            args, kwargs = SHAPES[number % len(SHAPES)](sid(number))
            function = LEAD if number % 3 else NUDGE if number % 2 else PROMPT
            wanted["lead" if number % 3 else "nudge" if number % 2 else "other"] += 1
            batches["low" if number % 5 == 0 else "default"].append(
                rq.Queue.prepare_data(function, args, kwargs, ttl=600, timeout=300)
            )
        for queue, batch in batches.items():
            rq.Queue(queue, connection=old).enqueue_many(batch)
    for _ in range(300):
        add_raw(old, packed(LEAD, None, (Bomb(tmp_path / "run"),), {}))
        add_raw(old, packed(LEAD, None, (nested(20, width=10),), {}))
        add_raw(old, b"\x80garbage")
    for number in range(100):
        old.rpush("rq:queue:default", uuid.uuid4().hex)  # the hash has expired
        rq.Queue("default", connection=old, serializer=JSONSerializer).enqueue(LEAD, call_sid=sid(number))
    wanted += {"unreadable": 900, "missing": 100, "lead": 100}
    before = old.dbsize()

    found = old_redis.read(old)

    assert sum((counts.kinds for counts in found.places.values()), Counter()) == wanted
    assert sum((counts.refusals for counts in found.places.values()), Counter()) == Counter(
        code=300, long=300, garbage=300
    )
    assert sum((counts.functions for counts in found.places.values()), Counter()) == {PROMPT: wanted["other"]}
    assert {place.queue: place.where for place in found.places} == {"default": "queue", "low": "queue"}
    assert old.dbsize() == before
    assert not (tmp_path / "run").exists()


def test_a_look_changes_nothing_and_finds_every_place(old: Any) -> None:
    furnish(old)
    old.zadd("rq:failed:low", {add(old, LEAD, sid(20), queue="away"): 1})
    old.zadd("rq:deferred:low", {add(old, NUDGE, 1, 2, queue="away"): 1})
    of_rq_1, of_rq_2 = add(old, LEAD, sid(21), queue="away"), add(old, PROMPT, queue="away")
    old.zadd("rq:wip:low", {of_rq_1: 1, of_rq_2 + b":" + uuid.uuid4().hex.encode(): 2, b"a:b:c": 3})
    old.delete("rq:queue:away")
    before = everything(old)

    found = old_redis.read(old)

    by_place = {(place.where, place.queue): dict(counts.kinds) for place, counts in found.places.items()}
    assert by_place == {
        ("queue", "default"): {"lead": 4, "nudge": 4, "other": 4, "unreadable": 1},
        ("queue", "low"): {"lead": 1},
        ("queue", "receipts"): {"other": 1},
        ("intermediate", "high"): {"lead": 1},
        ("scheduled", "low"): {"lead": 1, "other": 1},
        ("failed", "low"): {"lead": 1},
        ("deferred", "low"): {"nudge": 1},
        ("in progress", "low"): {"lead": 1, "other": 1, "missing": 1},
    }
    assert found.dialer[7] == old_redis.Dialer([101, 102, 103], [101, 102, 103], [99, 100], [99, 100])
    assert set(found.dialer) == {7, 8}
    assert found.odd_keys == ["rq:queue:odd"]
    assert found.may_evict is False
    assert everything(old) == before


def test_keys_of_the_wrong_type_and_garbage_are_counted_and_left_alone(old: Any, old_redis_url: str) -> None:
    garbage = b"\xff\xfe\x00:\n"
    old.rpush("rq:queue:default", garbage, b"", b"x" * 10_000, b"text", b"set", b"empty", b"huge", b"zero")
    old.set("rq:job:text", "no hash")
    old.sadd("rq:job:set", "no hash")
    old.hset("rq:job:empty", "last_heartbeat", "2026-01-01T00:00:00.000000Z")
    old.hset("rq:job:huge", "data", b"x" * 3_000_000)
    old.hset("rq:job:zero", "data", b"")
    old.hset(b"rq:job:" + garbage, "data", packed(LEAD, None, (sid(1),), {}))
    old.rpush(b"rq:queue:\xff\n", garbage)
    old.set("rq:queues", "no set")
    old.hset("rq:wip:low", "no", "zset")
    old.rpush("rq:scheduled:low", "no zset")
    old.set("outbound_queue:7", "no list")
    old.rpush("outbound_queue:8", "101", b"\xff", "-1", "9" * 30)
    old.rpush("outbound_slots:8", "no set")
    old.set("outbound_queue:eight", "no business")
    old.hset("outbound_inflight:8:3", "no", "text")
    before = everything(old)

    for client in (old, redis_client.client(old_redis_url, 5)):
        found = old_redis.read(client)
        by_queue = {place.queue: dict(counts.kinds) for place, counts in found.places.items()}
        assert by_queue == {"default": {"lead": 1, "missing": 2, "unreadable": 5}, "\\xff\\x0a": {"lead": 1}}
        assert found.places[old_redis.Place(b"rq:queue:default", "queue", "default")].refusals == {
            "no hash": 2,
            "no data": 2,
            "large": 1,
        }
        assert found.dialer == {8: old_redis.Dialer(waiting=[101], odd=3)}
        assert len(found.odd_keys) == 5
        assert everything(old) == before
        assert not old_redis.living_workers(client)

        assert sum(old_redis.set_aside(client, "1").jobs.values()) == 2
        old_redis.give_back(client, "1")
        assert everything(old) == before


def test_a_client_that_decodes_is_refused(old_redis_url: str) -> None:
    with redis.Redis.from_url(old_redis_url, decode_responses=True) as client:
        for ask in (old_redis.read, old_redis.living_workers, old_redis.stamps):
            with pytest.raises(ValueError, match="decode_responses"):
                ask(client)
        with pytest.raises(ValueError, match="decode_responses"):
            old_redis.set_aside(client, "1")


@pytest.mark.parametrize("stamp", ["", "a:b", "*", "x" * 41, "1 2"])
def test_a_stamp_that_could_be_taken_for_something_else_is_refused(old: Any, stamp: str) -> None:
    with pytest.raises(ValueError, match="a stamp is"):
        old_redis.set_aside(old, stamp)
    with pytest.raises(ValueError, match="a stamp is"):
        old_redis.give_back(old, stamp)


def waits_for_a_job(old: Any) -> bool:
    """Has the worker started?  Until then it writes its key more than once."""
    return any(client["cmd"] in {"blmove", "blpop", "brpoplpush"} for client in old.client_list())


def test_a_worker_of_rq_that_lives_is_seen_also_when_its_key_was_evicted(old: Any, old_redis_url: str) -> None:
    command = [str(Path(sys.executable).with_name("rq")), "worker", "--url", old_redis_url, "--name", "w1", "default"]
    alive = old_redis.Living(("w1",), {})
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:
        try:
            until(lambda: waits_for_a_job(old))
            assert old_redis.living_workers(old) == alive
            old.delete("rq:worker:w1")
            assert old_redis.living_workers(old) == alive
            old.srem("rq:workers", "rq:worker:w1")  # which the clean-up of any other worker does then
            assert old_redis.living_workers(old) == alive
        finally:
            worker.kill()  # asked to end, it may wait for a job for minutes first
    old.delete("rq:worker:w1")  # which its last heartbeat may have written again
    until(lambda: not old_redis.living_workers(old))


def test_a_worker_of_another_database_of_the_server_is_none_of_ours(old: Any, old_redis_url: str) -> None:
    with redis.Redis.from_url(old_redis_url, db=1, client_name="w1") as other, other.pubsub() as listening:
        listening.subscribe("rq:pubsub:w1")
        until(old.pubsub_channels)
        assert not old_redis.living_workers(old)
        assert old_redis.living_workers(other)


def ago(seconds: float, form: str = "%Y-%m-%dT%H:%M:%S.%fZ") -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime(form)


@pytest.mark.parametrize(
    ("lives", "fields"),
    [
        (True, {"last_heartbeat": lambda: ago(60)}),
        (True, {"last_heartbeat": lambda: ago(60, "%Y-%m-%dT%H:%M:%SZ")}),
        (True, {"last_heartbeat": lambda: ago(60, "%s")}),
        (True, {"last_heartbeat": lambda: ago(-3600)}),
        (True, {"last_heartbeat": "yesterday"}),
        (True, {"last_heartbeat": b"\xff\xfe"}),
        (True, {"last_heartbeat": "nan"}),
        (True, {"last_heartbeat": ""}),
        (True, {"state": "idle"}),
        (False, {"last_heartbeat": lambda: ago(421)}),
        (False, {"last_heartbeat": lambda: ago(421, "%Y-%m-%dT%H:%M:%SZ")}),
        (False, {"last_heartbeat": "1700000000.5"}),
        (False, {"last_heartbeat": lambda: ago(60), "death": lambda: ago(1)}),
    ],
)
def test_a_worker_lives_unless_its_last_sign_of_life_is_readable_and_old(
    old: Any, lives: bool, fields: dict[str, Any]
) -> None:
    # A test may begin long after its parameters were written down.
    old.hset("rq:worker:w1", mapping={name: value() if callable(value) else value for name, value in fields.items()})
    old.sadd("rq:workers", "rq:worker:w1", "rq:worker:gone", b"\xff")

    assert old_redis.living_workers(old) == old_redis.Living(("w1",) if lives else (), {})


def test_a_worker_that_promised_its_next_sign_for_later_lives(old: Any) -> None:
    old.hset("rq:worker:w1", "last_heartbeat", ago(1000))
    old.expire("rq:worker:w1", 2660)  # of a --worker-ttl of an hour
    old.hset("rq:worker:w2", "last_heartbeat", ago(450))
    old.expire("rq:worker:w2", 30)
    old.set("rq:worker:odd", "no hash")
    old.zadd("rq:worker:w1:executions", {"of RQ 3": 1})

    assert old_redis.living_workers(old).workers == ("odd", "w1")


def test_jobs_in_progress_count_as_life(old: Any) -> None:
    old.zadd("rq:wip:low", {"a": 1, "b:c": 2})
    old.zadd("rq:wip:done", {"a": 1})
    old.zrem("rq:wip:done", "a")

    found = old_redis.living_workers(old)

    assert found
    assert found == old_redis.Living((), {"low": 2})


def test_what_is_set_aside_is_out_of_reach_and_the_others_stay_in_order(old: Any) -> None:
    made = furnish(old)
    before = everything(old)

    moved = old_redis.set_aside(old, "1")

    assert moved.jobs == {
        "rq:queue:default": 8,
        "rq:queue:low": 1,
        "rq:queue:high:intermediate": 1,
        "rq:scheduled:low": 1,
    }
    assert moved.keys == {7: 5, 8: 5}
    assert kinds(old) == {"other": 6, "unreadable": 1}
    assert listed(old) == [each for each in before[b"rq:queue:default"][1] if each in made["others"]]
    assert old_redis.read(old).dialer == {}
    assert [old.ttl(b"rq:job:" + each) for each in made["ours"]] == [-1] * len(made["ours"])
    after = everything(old)
    for key in (*(b"rq:job:" + each for each in made["others"]), b"rq:queue:receipts", b"session:1", b"rq:queue:odd"):
        assert after[key] == before[key]
    assert old_redis.set_aside(old, "1") == old_redis.Moved()
    assert old_redis.set_aside(old, "2") == old_redis.Moved()
    assert everything(old) == after


def test_what_is_given_back_is_as_it_was_to_the_byte(old: Any) -> None:
    furnish(old)
    before = everything(old)
    old_redis.set_aside(old, "1")

    moved = old_redis.give_back(old, "1")

    assert everything(old) == before
    assert (sum(moved.jobs.values()), moved.keys, moved.left) == (11, {7: 5, 8: 5}, [])
    assert old_redis.give_back(old, "1") == old_redis.Moved()
    assert everything(old) == before


def test_what_came_since_comes_after_what_is_given_back(old: Any) -> None:
    lead, prompt, nudge = add(old, LEAD, sid(1)), add(old, PROMPT, 1), add(old, NUDGE, 2, 1, job_id="next_2")
    gone, last = add(old, PROMPT, 2), add(old, LEAD, sid(3))
    old.rpush("outbound_queue:7", 1, 2)
    old.sadd("outbound_slots:7", 3)
    old.set("outbound_inflight:7:3", "processing", ex=600)
    old_redis.set_aside(old, "1")
    old.lrem("rq:queue:default", 1, gone.decode())  # an old worker of the others' has done it
    new = add(old, LEAD, sid(4))
    assert add(old, NUDGE, 2, 1, job_id="next_2") == nudge
    old.rpush("outbound_queue:7", 2, 5)
    old.sadd("outbound_slots:7", 6)
    old.set("outbound_inflight:7:3", "again")

    old_redis.give_back(old, "1", done={lead})

    assert listed(old) == [prompt, nudge, last, new]
    assert 0 < old.ttl(b"rq:job:" + lead) <= 600
    assert listed(old, "outbound_queue:7") == [b"1", b"2", b"5"]
    assert old.smembers("outbound_slots:7") == {b"3", b"6"}
    assert old.get("outbound_inflight:7:3") == b"again"
    assert old_redis.stamps(old) == []


def test_what_ended_meanwhile_does_not_come_back(old: Any) -> None:
    nudge, lead = add(old, NUDGE, 1, 1, ttl=None), add(old, LEAD, sid(1))
    old.rpush("outbound_queue:7", 1, 2)
    old.sadd("outbound_queued:7", 1, 2)
    old.sadd("outbound_slots:7", 3)
    old.set("outbound_inflight:7:3", "processing", ex=600)
    old_redis.set_aside(old, "1")
    done = {job_id for job_id, job in old_redis.jobs_aside(old, "1") if job and sid(1) in job.call_sids}

    old_redis.give_back(old, "1", done=done | {nudge}, ended=[1, 3])

    assert listed(old) == []
    assert old.ttl(b"rq:job:" + nudge) > 0
    assert 0 < old.ttl(b"rq:job:" + lead) <= 600
    assert listed(old, "outbound_queue:7") == [b"2"]
    assert old.smembers("outbound_queued:7") == {b"2"}
    assert not old.exists("outbound_slots:7", "outbound_inflight:7:3")


def test_what_the_server_evicted_of_our_notes_loses_no_job(old: Any) -> None:
    furnish(old)
    before = listed(old)
    old_redis.set_aside(old, "1")
    old.delete("outbound:adopted:1:ttl")
    old.lpop("rq:queue:default")
    old.hset(b"rq:job:" + before[0], "status", "finished")  # a prompt

    old_redis.give_back(old, "1")

    assert listed(old) == before[1:]
    assert kinds(old)["lead"] == 7
    assert 0 < old.ttl("outbound_inflight:7:99") <= 600
    assert 0 < old.ttl("outbound_queued:7") <= 3600


def test_only_what_belongs_to_the_adopted_businesses_is_set_aside(old: Any) -> None:
    furnish(old)
    mixed = add(old, LEAD, sid(1), sid(2))
    before = everything(old)

    moved = old_redis.set_aside(old, "1", mine=old_redis.of_calls({sid(1), sid(11)}), businesses={7})

    assert (moved.jobs, moved.keys) == ({"rq:queue:default": 1, "rq:scheduled:low": 1}, {7: 5})
    assert set(old_redis.read(old).dialer) == {8}
    assert mixed in listed(old)
    old_redis.give_back(old, "1")
    assert everything(old) == before


def test_a_second_stamp_takes_what_came_and_both_go_back_newest_first(old: Any) -> None:
    furnish(old)
    first = listed(old)
    old_redis.set_aside(old, "1")
    prompt, lead = add(old, PROMPT, 50), add(old, LEAD, sid(50))
    old.rpush("outbound_queue:7", 104)

    assert old_redis.set_aside(old, "2") == old_redis.Moved(Counter({"rq:queue:default": 1}), Counter({7: 1}))

    assert old_redis.stamps(old) == ["2", "1"]
    for stamp in old_redis.stamps(old):
        old_redis.give_back(old, stamp)
    assert listed(old) == [*first, prompt, lead]
    assert listed(old, "outbound_queue:7") == [b"101", b"102", b"103", b"104"]
    assert old.ttl(b"rq:job:" + lead) > 0


def test_the_same_stamp_takes_what_came_since_too(old: Any) -> None:
    furnish(old)
    first = listed(old)
    old_redis.set_aside(old, "1")
    prompt, lead = add(old, PROMPT, 50), add(old, LEAD, sid(50))
    add(old, NUDGE, 0, 1, job_id="process_next_0", ttl=300)
    old.rpush("outbound_queue:7", 104)
    old.sadd("outbound_slots:7", 7)

    old_redis.set_aside(old, "1")

    assert old.ttl("rq:job:process_next_0") == -1
    assert lead not in listed(old)
    old_redis.give_back(old, "1")
    assert listed(old) == [*first, prompt, lead]  # one job, once
    assert 0 < old.ttl("rq:job:process_next_0") <= 300
    assert listed(old, "outbound_queue:7") == [b"101", b"102", b"103", b"104"]
    assert old.smembers("outbound_slots:7") == {b"99", b"100", b"7"}


def test_a_key_that_is_something_else_by_now_is_not_overwritten(old: Any) -> None:
    furnish(old)
    before = everything(old)
    old_redis.set_aside(old, "1")
    old.delete("rq:queue:default")
    for key in ("rq:queue:default", "outbound_queue:7"):
        old.set(key, "a text")

    assert sorted(old_redis.give_back(old, "1").left) == ["outbound_queue:7", "rq:queue:default"]

    assert old.get("rq:queue:default") == b"a text"
    old.delete("rq:queue:default", "outbound_queue:7")
    old_redis.give_back(old, "1")
    ours_only = [each for each in before[b"rq:queue:default"][1] if old.ttl(b"rq:job:" + each) > 0 or b"next" in each]
    assert set(listed(old)) <= set(ours_only)
    assert len(listed(old)) == 8
    assert listed(old, "outbound_queue:7") == [b"101", b"102", b"103"]


def test_a_job_that_comes_between_look_and_move_is_not_lost(old: Any) -> None:
    lead = add(old, LEAD, sid(1))
    came: list[bytes] = []

    def mine(job: OldJob) -> bool:
        if len(came) < 4:
            came.extend([add(old, PROMPT, len(came)), add(old, LEAD, sid(2 + len(came)))])
        return True

    assert old_redis.set_aside(old, "1", mine=mine).jobs == {"rq:queue:default": 3}
    assert listed(old) == came[::2]
    old_redis.give_back(old, "1")
    assert listed(old) == [lead, *came]


def test_a_queue_that_never_stands_still_is_left_as_it_is(old: Any) -> None:
    add(old, LEAD, sid(1))

    def mine(job: OldJob) -> bool:
        add(old, LEAD, sid(1))
        return True

    with pytest.raises(old_redis.OldRedisBusy, match="rq:queue:default changes all the time: stop"):
        old_redis.set_aside(old, "1", mine=mine)

    assert old.keys("outbound:adopted:*") == []
    assert all(old.ttl(b"rq:job:" + each) > 0 for each in listed(old))


class Killed(BaseException):
    """The process is gone: nothing else that it does counts."""


class Killer:
    """Lets a process die at its n-th message to the server: before it is sent, or before the answer is read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: int | None = None
        self.sent = False
        self.count = 0
        send = AbstractConnection.send_packed_command

        def counting(connection: Any, *args: Any, **options: Any) -> Any:
            self.count += 1
            if self.count == self.at and not self.sent:
                raise Killed
            result = send(connection, *args, **options)  # type: ignore[no-untyped-call]
            if self.count == self.at:
                connection.read_response(disconnect_on_error=False)  # it was done
                raise Killed
            return result

        monkeypatch.setattr(AbstractConnection, "send_packed_command", counting)

    def messages(self, work: Callable[[], Any]) -> int:
        """How many messages *work* takes where it is let live."""
        self.at, self.count = None, 0
        work()
        return self.count

    def kill(self, work: Callable[[], Any], at: int, sent: bool) -> None:
        self.at, self.count, self.sent = at, 0, sent
        try:
            with pytest.raises(Killed):
                work()
        finally:
            self.at = None


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("of", ["the way there", "the way back"])
def test_a_kill_between_any_two_commands_costs_nothing(
    old: Any, old_redis_url: str, of: str, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(old, rounds=1, businesses=(7,))
    before = everything(old)

    def with_a_client(work: Callable[[Any], Any]) -> None:
        with redis.Redis.from_url(old_redis_url, client_name="mortal") as client:
            work(client)

    def aside() -> None:
        with_a_client(lambda client: old_redis.set_aside(client, "1"))

    def back() -> None:
        with_a_client(lambda client: old_redis.give_back(client, "1"))

    killer = Killer(monkeypatch)
    to_take = killer.messages(aside)
    after = everything(old)
    to_give = killer.messages(back)
    assert everything(old) == before
    assert to_take > 20
    assert to_give > 20

    for at in range(1, to_take + 1 if of == "the way there" else 1):
        killer.kill(aside, at, sent)
        if at % 2:
            aside()  # the next run does the rest
            assert everything(old) == after, at
        back()  # and the way back needs no next run
        assert everything(old) == before, at
    for at in range(1, to_give + 1 if of == "the way back" else 1):
        aside()
        killer.kill(back, at, sent)
        back()
        assert everything(old) == before, at


def test_a_worker_of_rq_runs_what_was_given_back_in_order_and_nothing_while_it_is_aside(
    old: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, Any]] = []

    def recorder(word: str) -> Callable[..., None]:
        return lambda *args: ran.append((word, args))

    for function in (LEAD, NUDGE, PROMPT):
        parts = function.split(".")
        for end in range(1, len(parts)):
            name = ".".join(parts[:end])
            monkeypatch.setitem(sys.modules, name, sys.modules.get(name) or types.ModuleType(name))
        module, _, word = function.rpartition(".")
        monkeypatch.setattr(sys.modules[module], word, recorder(word), raising=False)

    class Worker(rq.SimpleWorker):
        death_penalty_class = TimerDeathPenalty  # alarms belong to the test runner

        def _install_signal_handlers(self) -> None:
            pass

    add(old, LEAD, sid(1))
    add(old, PROMPT, 1)
    add(old, NUDGE, 2, 1)
    add(old, LEAD, sid(3), sid(3))
    old_redis.set_aside(old, "1")

    Worker(["default"], connection=old).work(burst=True)
    assert ran == [("rebuild_prompt_job", (1,))]
    assert not old_redis.living_workers(old)
    old_redis.give_back(old, "1")
    Worker(["default"], connection=old).work(burst=True)

    assert [word for word, _ in ran[1:]] == [LEAD.rpartition(".")[2], NUDGE.rpartition(".")[2], LEAD.rpartition(".")[2]]
    assert ran[1][1] == (sid(1),)
    assert kinds(old) == {}
