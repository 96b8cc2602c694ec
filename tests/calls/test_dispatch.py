"""Take what is due, within every limit, and nudge a worker for each."""

import uuid
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import dramatiq
import psycopg
import pytest

from outbound import broker, db
from outbound.calls import dial, dispatch, enqueue
from tests.conftest import CLAIM, World, forget_settings, until

pytestmark = pytest.mark.rows_only


def test_a_due_call_is_claimed_and_a_worker_is_nudged(world: World, nudges: list[object]) -> None:
    call_id = world.queued()
    world.worker()

    assert dispatch.dispatch_once() == 1

    call = world.call(call_id)
    assert (call.status, call.fence) == ("claimed", 1)
    assert call.overdue_at is not None
    assert nudges == [("dial_call", (call_id,))]


def test_nothing_is_claimed_while_no_worker_is_alive(world: World, nudges: list[object]) -> None:
    world.queued()
    world.worker()
    world.do("update worker set seen_at = now() - interval '11 s'")

    assert dispatch.dispatch_once() == 0

    assert world.statuses() == ["queued"]
    assert nudges == []


def test_a_call_is_not_claimed_before_it_is_due(world: World, nudges: list[object]) -> None:
    call_id = world.queued()
    world.worker()
    world.do("update call_log set due_at = now() + interval '1 s'")

    assert dispatch.dispatch_once() == 0

    world.age(call_id, 2)
    assert dispatch.dispatch_once() == 1


def test_a_business_that_has_nothing_to_say_calls_nobody(world: World, nudges: list[object]) -> None:
    world.queued()
    world.worker()
    world.do("update business set twiml = null")

    assert dispatch.dispatch_once() == 0


def test_no_more_is_claimed_than_the_living_threads_can_soon_dial(world: World, nudges: list[object]) -> None:
    business_id = world.business()
    for number in range(20):
        world.queued(business_id, f"+150055502{number:02}")
    world.worker(threads=1)  # and sixteen claims per thread

    assert dispatch.dispatch_once() == 16
    assert dispatch.dispatch_once() == 0

    world.do("update call_log set status = 'initiated' where id = (select min(id) from call_log)")
    assert dispatch.dispatch_once() == 1


def test_businesses_take_turns_whoever_has_more(world: World, nudges: list[object]) -> None:
    big, small = world.business("big"), world.business("small")
    for number in range(30):
        world.queued(big, f"+150055502{number:02d}")
    late = world.queued(small, "+15005550301")
    world.worker(threads=1)

    dispatch.dispatch_once()

    claimed = world.rows("select id, business_id from call_log where status = 'claimed'")
    assert len(claimed) == 16
    assert (late, small) in claimed


def test_claims_whose_nudge_cannot_be_sent_are_given_back_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    business_id = world.business()
    for number in range(3):
        world.queued(business_id, f"+1500555020{number}")
    world.worker()
    monkeypatch.setattr(dial.dial_call, "broker", _unreachable_broker())

    with pytest.raises(dispatch.BrokerAway):
        dispatch.dispatch_once()

    assert world.statuses() == ["queued"] * 3


@pytest.mark.rows_only(False)
def test_dispatch_wakes_up_when_a_call_is_enqueued(
    world: World, nudges: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_POLL_S", "3600")  # only a notice can wake it
    forget_settings()
    business_id = world.business()
    world.worker()
    stop = Event()
    thread = Thread(target=dispatch.dispatch_until, args=(stop,))
    thread.start()
    try:
        waits = "select count(*) from pg_stat_activity where query = 'COMMIT' and state = 'idle'"
        until(lambda: world.value(waits) == 1)
        enqueue.enqueue(business_id=business_id, to_number="+15005550101")
        until(lambda: world.statuses() == ["claimed"])
    finally:
        stop.set()
        world.do("select pg_notify('outbound_due', '')")
        thread.join(10)
    assert not thread.is_alive()


def test_a_poll_asks_first_whether_anything_is_due(world: World) -> None:
    def is_due() -> bool:
        return bool(db.run(dispatch.sql.is_anything_due))

    assert not is_due()
    call_id = world.queued()
    assert is_due()
    world.do("update call_log set due_at = now() + interval '1 hour'")
    assert not is_due()
    later = world.queued()  # behind, in the same lane or in another
    assert is_due()
    world.do("update call_log set paused_at = now() where id = %s", later)
    assert not is_due()
    world.age(call_id, 7200)
    assert is_due()


@pytest.mark.rows_only(False)
def test_a_claim_reads_a_few_rows_of_each_business_however_many_wait(world: World) -> None:
    big, small = world.business("big"), world.business("small")
    world.do(
        "insert into call_log (business_id, from_number, to_number)"
        " select %s, '+15005550006', '+1500' || (1000000 + n) from generate_series(1, 20000) as n",
        big,
    )
    world.queued(small)
    world.worker(threads=4)
    world.do("analyze call_log")
    statement = dispatch.sql.claim_due_calls.sql % (CLAIM | {"account_rate": "null", "heads_min": 5})

    plan = world.value(f"explain (analyze, buffers, format json) {statement.replace(chr(37), chr(37) * 2)}")

    assert _rows_read(plan[0]["Plan"], "call_log_lane") <= 2 * 8
    assert "call_log" not in _scanned_whole(plan[0]["Plan"])


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)


def _rows_read(plan: dict[str, Any], index: str) -> float:
    reads = [node for node in _nodes(plan) if node.get("Index Name") == index]
    return float(sum(node["Actual Rows"] * node["Actual Loops"] for node in reads))


def _scanned_whole(plan: dict[str, Any]) -> list[str]:
    return [node["Relation Name"] for node in _nodes(plan) if node["Node Type"] == "Seq Scan"]


def _unreachable_broker() -> dramatiq.Broker:
    unreachable = broker.make("redis://127.0.0.1:1")
    unreachable.declare_actor(dial.dial_call)
    return unreachable


def test_a_worker_that_says_farewell_gets_no_more_calls(world: World, nudges: list[object]) -> None:
    worker_id = uuid.uuid4()
    dispatch.heartbeat(worker_id, 8)
    world.queued()
    dispatch.farewell(worker_id)

    assert dispatch.dispatch_once() == 0
    assert db.run(dispatch.sql.release_claims, call_ids=[]) == 0


def test_a_row_that_somebody_holds_does_not_stop_the_claim(world: World, nudges: list[object]) -> None:
    business_id = world.business()
    held, free = world.queued(business_id, "+15005550201"), world.queued(business_id, "+15005550202")
    world.worker()
    with psycopg.connect(world.url) as somebody:
        somebody.execute("select from call_log where id = %s for update", (held,))
        turn = Thread(target=dispatch.dispatch_once)
        turn.start()

        until(lambda: world.call(free).status == "claimed", timeout_s=5)

    turn.join(10)
    assert world.call(held).status == "queued"


def test_a_call_that_is_paused_is_not_claimed_with_the_others_of_its_lane(world: World, nudges: list[object]) -> None:
    business_id = world.business()
    paused, other = world.queued(business_id, "+15005550201"), world.queued(business_id, "+15005550202")
    world.do("update call_log set paused_at = now() where id = %s", paused)
    world.worker()

    assert dispatch.dispatch_once() == 1

    assert [world.call(each).status for each in (paused, other)] == ["queued", "claimed"]


def test_what_a_thread_began_is_claimed_anew_as_one_nudge_of_the_same_size(world: World, nudges: list[object]) -> None:
    business_id = world.business()
    for number in range(20):
        world.queued(business_id, to=f"+1500555{number:04}")
    world.worker(threads=1)
    assert dispatch.dispatch_once() == 16

    world.do("update call_log set status = 'initiated' where status = 'claimed'")
    assert dispatch.dispatch_once() == 4

    assert [len(nudge[1]) for nudge in nudges] == [16, 4]  # type: ignore[index]
