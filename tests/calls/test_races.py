"""Many dispatchers and many workers on one table."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg

from outbound import db
from outbound.call import CallEvent
from outbound.calls import cleanup, dial, dispatch, events
from outbound.simulator.server import RunningSimulator
from tests.conftest import CLAIM, World, begin, until


def test_two_dispatchers_never_take_the_same_call(world: World) -> None:
    businesses = [world.business(f"business {number}") for number in range(4)]
    for number in range(200):
        world.queued(businesses[number % 4], f"+1500556{number:04d}")
    world.worker(threads=200)
    together = Barrier(8)

    def dispatcher(_: int) -> list[int]:
        together.wait()
        taken = []
        for _turn in range(20):
            taken += [row.id for row in _claim(batch_max=17)]
        return taken

    with ThreadPoolExecutor(8) as threads:
        taken = [call_id for calls in threads.map(dispatcher, range(8)) for call_id in calls]

    assert len(taken) == len(set(taken)) == 200
    assert {row.fence for row in world.rows("select fence from call_log")} == {1}


def test_the_bound_on_claims_holds_for_all_dispatchers_together(world: World, nudges: list[object]) -> None:
    for number in range(40):
        world.queued(world.business(f"business {number}"), f"+1500559{number:04d}")
    world.worker(threads=1)  # and sixteen claims per thread

    with ThreadPoolExecutor(8) as threads:
        claimed = sum(threads.map(lambda _: dispatch.dispatch_once(), range(32)))

    assert claimed == 16


def test_nothing_is_claimed_while_another_dispatcher_has_its_turn(world: World, nudges: list[object]) -> None:
    world.queued(world.business(), "+15005590001")
    world.worker(threads=1)
    with psycopg.connect(world.url) as other:
        other.execute("select pg_advisory_xact_lock(hashtext('outbound.dispatch'), 'call_log'::regclass::int)")
        claimed_beside_it = dispatch.dispatch_once()

    assert (claimed_beside_it, dispatch.dispatch_once()) == (0, 1)


def test_many_workers_that_get_every_nudge_ring_each_phone_once(world: World, carrier: RunningSimulator) -> None:
    business_id = world.business()
    calls = [world.claimed(business_id, f"+15005570{number:02d}01") for number in range(30)]
    nudges = calls * 8
    random.Random(7).shuffle(nudges)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(dial.dial_call, nudges))

    rings = Counter(entry["status_callback"] for entry in carrier.log())
    assert len(rings) == 30
    assert set(rings.values()) == {1}


def test_a_worker_and_clean_up_that_meet_at_an_overdue_claim_do_not_both_have_it(world: World) -> None:
    business_id = world.business()
    calls = [world.claimed(business_id, f"+15005580{number:03d}") for number in range(60)]
    for call_id in calls:
        world.age(call_id, 31)
    together = Barrier(2)

    def dialed() -> set[int]:
        together.wait()
        begun = [begin(call_id) for call_id in calls]
        return {call.id for call in begun if call is not None}

    def clean() -> set[int]:
        together.wait()
        return {
            row.id for _ in range(12) for row in db.run(cleanup.sql.release_overdue_claims, batch_max=5, only_id=None)
        }

    with ThreadPoolExecutor(2) as threads:
        begun, cleaned = (future.result() for future in (threads.submit(dialed), threads.submit(clean)))

    assert begun == set()  # it is too late for all of them
    assert len(cleaned) + world.count("claim", "given_back") == len(calls)  # each by the one that was first
    assert set(world.statuses()) == {"queued"}


def test_the_create_answer_and_the_callbacks_may_come_in_any_order_at_once(world: World, nudges: list[object]) -> None:
    business_id = world.business()
    for number in range(20):
        call_id = world.initiated(business_id, f"+15005590{number:03d}")
        call_sid = f"CA{number:032d}"
        reports = [
            CallEvent(call_sid, "initiated", "create"),
            *(
                CallEvent(call_sid, status, "callback", sequence_number=sequence)
                for sequence, status in enumerate(["initiated", "ringing", "in-progress", "completed"])
            ),
        ]

        with ThreadPoolExecutor(5) as threads:
            results = list(threads.map(lambda report, call_id=call_id: events.record(call_id, report), reports))

        call = world.call(call_id)
        assert (call.status, call.call_sid) == ("completed", call_sid)
        assert set(results) <= {"moved", "unchanged"}
    assert world.value("select count(*) from call_event") == 100


def test_an_enqueue_and_a_dispatch_at_once_lose_nothing(world: World) -> None:
    business_id = world.business()
    world.worker(threads=100)

    def enqueue(number: int) -> None:
        world_of_its_own.do(
            "insert into call_log (business_id, from_number, to_number) values (%s, '+15005550006', %s)",
            business_id,
            f"+15005600{number:03d}",
        )

    world_of_its_own = World(world.url)
    with ThreadPoolExecutor(2) as threads:
        inserting = threads.submit(lambda: list(map(enqueue, range(100))))
        taken = []
        while not inserting.done() or "queued" in world.statuses():
            taken += [row.id for row in _claim(batch_max=7)]
    world_of_its_own.connection.close()

    assert len(taken) == len(set(taken)) == 100


def _claim(batch_max: int) -> list[db.Row]:
    return list(db.run(dispatch.sql.claim_due_calls, **(CLAIM | {"batch_max": batch_max})))


def test_answers_to_dials_end_the_troubles_of_their_businesses_in_one_order_whatever_that_of_the_calls(
    world: World,
) -> None:
    first, second = (world.business(name) for name in ("first", "second"))
    call_ids = [world.initiated(second, "+15005550102"), world.initiated(first, "+15005550101")]
    world.do(
        "insert into dial_control (scope, key, troubles) values ('business', %s, 1), ('business', %s, 1)"
        " on conflict (scope, key) do update set troubles = 1",
        *(str(one) for one in (first, second)),
    )
    reports = [(call_id, CallEvent(f"CA{call_id}", "initiated", "create")) for call_id in call_ids]
    lock = "select from dial_control where scope = 'business' and key = %s for update nowait"
    waits = "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%%record_reports%%'"

    with ThreadPoolExecutor(1) as threads, psycopg.connect(world.url) as other:
        other.execute(lock, [str(first)])
        recorded = threads.submit(events.record_all, reports)
        until(lambda: world.rows(waits))
        other.execute(lock, [str(second)])  # what waits for the first one has not taken this one yet
        other.rollback()
        recorded.result(30)

    assert world.value("select sum(troubles) from dial_control") == 0
