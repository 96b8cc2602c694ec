"""Make a lead from a call_sid and nothing else."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import dramatiq
import psycopg
import pytest
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker

from outbound import broker
from outbound.call import FINAL, IN_THE_AIR
from outbound.calls import lead
from outbound.config import settings
from tests.cli.test_logs import heard
from tests.conftest import Servers, World, until

pytestmark = pytest.mark.rows_only

QUEUE = "default"
JOIN_MS = 20_000


def _sid(number: int = 1) -> str:
    return f"CA{number:032d}"


def _call(
    world: World,
    business_id: int,
    status: str = "completed",
    number: int = 1,
    direction: str = "outbound",
    caller: str = "+15005550101",
) -> int:
    """A call with a call_sid and a deadline; `caller` is the phone of the person, in either direction."""
    ours = "+15005550006"
    return int(
        world.value(
            "insert into call_log (business_id, direction, from_number, to_number, call_sid, status, overdue_at)"
            " values (%s, %s, %s, %s, %s, %s, now() + interval '30 s') returning id",
            business_id,
            direction,
            ours if direction == "outbound" else caller,
            caller if direction == "outbound" else ours,
            _sid(number),
            status,
        )
    )


def _make_lead(call_sid: str | None) -> None:
    lead.create_lead_from_call_job(call_sid)


def _leads(world: World) -> list[tuple[int, str]]:
    return [tuple(row) for row in world.rows("select business_id, phone from leads order by id")]


# One lead per caller and business


@pytest.mark.parametrize("direction", ["outbound", "inbound"])
def test_the_phone_of_a_lead_is_that_of_the_person_whoever_called(world: World, direction: str) -> None:
    business_id = world.business()
    call_id = _call(world, business_id, direction=direction)

    _make_lead(_sid())

    assert _leads(world) == [(business_id, "+15005550101")]
    assert world.call(call_id).lead_id == world.value("select id from leads")
    assert world.count("lead", "created") == 1


def test_a_lead_is_made_once_however_often_it_is_asked_for(world: World) -> None:
    business_id = world.business()
    calls = [_call(world, business_id, "completed", number) for number in range(3)]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(_make_lead, [_sid(number) for number in range(3)] * 8))

    assert len(_leads(world)) == 1
    assert {world.call(call_id).lead_id for call_id in calls} == {world.value("select id from leads")}
    assert world.count("lead", "created") == 1
    assert world.count("lead", "existing") == 3 * 8 - 1


def test_a_person_who_calls_and_is_called_is_one_lead(world: World) -> None:
    business_id = world.business()
    _call(world, business_id, number=1)
    _call(world, business_id, number=2, direction="inbound")

    for number in (1, 2):
        _make_lead(_sid(number))

    assert len(_leads(world)) == 1
    assert world.value("select count(distinct lead_id) from call_log where lead_id is not null") == 1


def test_two_businesses_that_know_one_person_have_a_lead_each(world: World) -> None:
    first, second = world.business("first"), world.business("second")
    calls = [_call(world, first, number=1), _call(world, second, number=2)]

    for number in (1, 2):
        _make_lead(_sid(number))

    assert _leads(world) == [(first, "+15005550101"), (second, "+15005550101")]
    assert len({world.call(call_id).lead_id for call_id in calls}) == 2


def test_of_several_leads_of_the_old_system_the_oldest_is_the_one(world: World) -> None:
    business_id = world.business()
    insert = "insert into leads (business_id, phone, duplicate_of) values (%s, '+15005550101', %s) returning id"
    oldest = world.value(insert, business_id, None)
    world.value(insert, business_id, oldest)
    call_id = _call(world, business_id)

    _make_lead(_sid())

    assert world.call(call_id).lead_id == oldest
    assert len(_leads(world)) == 2


def test_the_link_of_a_call_to_its_lead_never_changes(world: World) -> None:
    call_id = _call(world, world.business())
    _make_lead(_sid())
    first = world.call(call_id).lead_id
    world.do("update call_log set to_number = '+15005550102'")

    _make_lead(_sid())

    assert world.call(call_id).lead_id == first
    assert [phone for _, phone in _leads(world)] == ["+15005550101", "+15005550102"]  # it is the call's that stays
    with pytest.raises(psycopg.errors.CheckViolation, match="already has a lead"):
        world.do("update call_log set lead_id = null")


# What it leaves alone


def test_a_lead_job_never_writes_a_status(world: World) -> None:
    business_id = world.business()
    statuses = IN_THE_AIR + FINAL
    for number, status in enumerate(statuses):
        _call(world, business_id, status, number, caller=f"+1500555{number:04d}")
    rest = "select to_jsonb(call_log) - '{lead_id,overdue_at,updated_at}'::text[] from call_log order by id"
    before = world.rows(rest)

    for number in range(len(statuses)):
        _make_lead(_sid(number))

    assert world.rows(rest) == before
    assert len(_leads(world)) == len(statuses)


def test_a_lead_clears_the_deadline_of_an_ended_call_but_not_of_a_live_one(world: World) -> None:
    business_id = world.business()
    for number, status in enumerate(IN_THE_AIR + FINAL):
        call_id = _call(world, business_id, status, number, caller=f"+1500555{number:04d}")
        before = world.call(call_id).overdue_at

        _make_lead(_sid(number))

        assert world.call(call_id).overdue_at == (before if status in IN_THE_AIR else None)


def test_a_call_that_ends_while_its_lead_is_made_keeps_its_end(world: World) -> None:
    call_id = _call(world, world.business(), "in-progress")

    with ThreadPoolExecutor(1) as thread, psycopg.connect(world.url) as other:
        other.execute("update call_log set status = 'completed', overdue_at = now() + interval '30 s'")
        making = thread.submit(_make_lead, _sid())
        until(lambda: world.value("select count(*) from pg_locks where not granted") == 1)
        other.commit()
        making.result(timeout=10)

    call = world.call(call_id)
    assert (call.status, call.overdue_at) == ("completed", None)
    assert call.lead_id is not None


def test_nobody_becomes_a_lead_who_has_no_number(world: World) -> None:
    business_id = world.business()
    for number, caller in enumerate(("anonymous", "Restricted", "", "client:alice", "+")):
        ended = _call(world, business_id, "completed", number, "inbound", caller)
        live = _call(world, business_id, "in-progress", number + 10, "inbound", caller)

        _make_lead(_sid(number))
        _make_lead(_sid(number + 10))

        assert world.call(ended).overdue_at is None
        assert world.call(live).overdue_at is not None

    assert _leads(world) == []
    assert world.count("lead", "no_phone") == 10


def test_a_call_sid_that_is_no_calls_makes_nothing(world: World) -> None:
    _call(world, world.business())

    _make_lead(_sid(9))

    assert _leads(world) == []
    assert world.count("lead", "unknown_call") == 1


# Messages, old and new, through a real worker


@dataclass(frozen=True)
class Post:
    """A broker, and a worker of Dramatiq's that takes what it is given."""

    broker: dramatiq.Broker
    worker: dramatiq.Worker
    namespace: str

    def send(self, *args: object, **kwargs: object) -> None:
        self.broker.enqueue(
            dramatiq.Message(
                queue_name=QUEUE,
                actor_name="create_lead_from_call_job",
                args=args,
                kwargs=kwargs,
                options={},
            )
        )

    def settle(self) -> None:
        """Wait until every message was taken and dealt with."""
        if isinstance(self.broker, StubBroker):
            self.broker.join(QUEUE, timeout=JOIN_MS, fail_fast=False)
        else:
            self.broker.join(QUEUE, timeout=JOIN_MS)
        self.worker.join()

    def dead_letters(self) -> int:
        if isinstance(self.broker, StubBroker):
            return len(self.broker.dead_letters_by_queue[QUEUE])
        assert isinstance(self.broker, RedisBroker)
        return int(self.broker.client.zcard(f"{self.namespace}:{QUEUE}.XQ"))

    def waiting(self) -> int:
        """Messages that a worker has yet to take, those that wait for a retry included."""
        if isinstance(self.broker, StubBroker):
            return sum(self.broker.queues[name].qsize() for name in (QUEUE, f"{QUEUE}.DQ"))
        assert isinstance(self.broker, RedisBroker)
        return sum(int(self.broker.client.llen(f"{self.namespace}:{name}")) for name in (QUEUE, f"{QUEUE}.DQ"))


@pytest.fixture(params=["redis", "in this process"])
def post(
    request: pytest.FixtureRequest, servers: Servers, database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Post]:
    where = servers.redis_url if request.param == "redis" else broker.IN_PROCESS
    made = broker.make(where)
    made.declare_actor(lead.create_lead_from_call_job)
    monkeypatch.setattr(lead.create_lead_from_call_job, "broker", made)
    worker = dramatiq.Worker(made, worker_threads=2, worker_timeout=50)
    worker.start()
    try:
        yield Post(made, worker, settings().broker_namespace)
    finally:
        worker.stop()
        made.flush_all()
        made.close()


def test_a_nudge_becomes_a_lead(world: World, post: Post) -> None:
    business_id = world.business()
    _call(world, business_id)

    assert lead.nudge(_sid())
    post.settle()

    assert _leads(world) == [(business_id, "+15005550101")]
    assert post.dead_letters() == 0


def test_messages_of_the_old_system_are_taken_and_what_else_they_say_is_ignored(world: World, post: Post) -> None:
    business_id = world.business()
    for number in range(4):
        _call(world, business_id, "completed", number, caller=f"+1500555010{number}")

    post.send(_sid(0), from_number="+19995550000", business_id=77, direction="inbound")
    post.send(_sid(1), "+19995550000", 77, "inbound")
    post.send(call_sid=_sid(2), business_id=None, from_number=None, direction=None)
    post.send(_sid(3), "+19995550000", direction="sideways", surprise={"deep": [1, 2]})
    post.settle()

    assert sorted(_leads(world)) == [(business_id, f"+1500555010{number}") for number in range(4)]
    assert post.dead_letters() == 0


def test_a_message_without_a_call_sid_is_set_aside_once(world: World, post: Post) -> None:
    _call(world, world.business())
    nothings: list[dict[str, Any]] = [{"call_sid": None}, {"call_sid": ""}, {"call_sid": 5}, {}]

    with heard() as said:
        for nothing in nothings:
            post.send(**nothing, from_number="+15005550101", business_id=1, direction="inbound")
        post.settle()

    assert world.count("lead", "set_aside") == len(nothings)
    assert (post.dead_letters(), post.waiting()) == (len(nothings), 0)
    assert said.getvalue().count("lead.set_aside") == len(nothings)
    assert _leads(world) == []


def test_no_phone_number_of_an_old_message_is_logged(world: World, post: Post) -> None:
    _call(world, world.business())
    numbers = ["+15005550101", "15005550102", "0501234567", "050-765-4321", "+1 (500) 555-0103", "(500) 555-0104"]

    with heard("DEBUG") as said:
        for number in numbers:
            post.send(_sid(), from_number=number, to_number=number)  # made
            post.send(None, number, 1, "inbound")  # set aside
            post.send("CA\0", from_number=number)  # fails, and is logged with its traceback
        post.settle()

    text = said.getvalue()
    assert post.dead_letters() == 2 * len(numbers)
    assert text.count("Received message") == 3 * len(numbers)
    assert text.count("Traceback") == text.count("unhandled exception") == len(numbers)
    assert _sid() in text
    assert [number for number in numbers if number in text] == []
    assert not any(tail in text for tail in ("5550101", "5550102", "1234567", "765-4321", "555-0103", "555-0104"))


def test_a_message_that_lies_in_the_broker_in_the_old_form_is_read(world: World, post: Post) -> None:
    """As the old system's producer wrote it, byte for byte."""
    business_id = world.business()
    _call(world, business_id)
    kept = (
        b'{"queue_name":"default","actor_name":"create_lead_from_call_job","args":[],"kwargs":{"call_sid":"%s",'
        b'"business_id":1,"from_number":"+19995550000"},"options":{"redis_message_id":"x"},"message_id":"m-1",'
        b'"message_timestamp":1700000000000}' % _sid().encode()
    )

    post.broker.enqueue(dramatiq.Message.decode(kept))
    post.settle()

    assert _leads(world) == [(business_id, "+15005550101")]


def test_a_nudge_that_no_broker_takes_is_said_to_be_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    away = broker.make("redis://127.0.0.1:1")
    away.declare_actor(lead.create_lead_from_call_job)
    monkeypatch.setattr(lead.create_lead_from_call_job, "broker", away)

    assert lead.nudge(_sid()) is False
