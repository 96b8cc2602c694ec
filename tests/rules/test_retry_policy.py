"""How often and when somebody is tried again, and never more often than that."""

import threading
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbound import db
from outbound.call import FINAL, CallEvent
from outbound.calls import cleanup, dial, dispatch, enqueue, events
from outbound.rules import retry_policy
from outbound.rules.retry_policy import BadRetryPolicy, Step
from tests.conftest import CLAIM, World, begin

pytestmark = pytest.mark.rows_only

Nudges = list[tuple[str, tuple[Any, ...]]]

STEPS = "busy: 5m, 30m; no-answer: 2h, next day; failed: none"
TO = "+15005550101"


def add(business_id: int, steps: str = STEPS, name: str = "usual", **more: Any) -> int:
    usual: dict[str, Any] = {"per_day": 10, "per_week": 20, "is_default": True, "actor": "dana"}
    return retry_policy.add(business_id, name, steps, **(usual | more))


def told(call_id: int, status: str, **more: Any) -> str:
    return events.record(call_id, CallEvent(f"CA{call_id:032d}", status, "callback", **more))


def begun(world: World, call_id: int) -> int:
    """A call that waited, dialed and taken by the carrier."""
    world.do(
        "update call_log set status = 'initiated', dialed_at = now(), overdue_at = now(), call_sid = %s where id = %s",
        f"CA{call_id:032d}",
        call_id,
    )
    return call_id


def next_of(world: World, call_id: int) -> Any:
    """The attempt that follows this one, or None."""
    call = world.call(call_id)
    found = world.rows(
        "select *, extract(epoch from due_at - now())::float8 as due_in_s from call_log"
        " where retry_of = %s and attempt = %s",
        call.retry_of or call.id,
        call.attempt + 1,
    )
    return found[0] if found else None


# A retry policy as people write it.


def test_a_retry_policy_is_kept_with_its_caps_and_shown_as_it_was_written(world: World) -> None:
    acme = world.business()

    added = add(acme)

    (row,) = retry_policy.every()
    assert (row.id, row.business_id, row.name, row.is_default) == (added, acme, "usual", True)
    assert (row.attempts_per_day_max, row.attempts_per_week_max) == (10, 20)
    assert retry_policy.written(row) == "busy: 5m, 30m; no-answer: 2h, 1d; failed: none"
    audit = world.rows("select who, action, scope, key, details from audit")
    assert [(entry.who, entry.action, entry.scope, entry.key) for entry in audit] == [
        ("dana", "retry_policy.add", "retry_policy", str(added))
    ]
    assert audit[0].details["steps"] == STEPS


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("busy:5m", [Step("busy", 1, timedelta(minutes=5))]),
        (" Busy : 1 M ; ", [Step("busy", 1, timedelta(minutes=1))]),
        ("no answer: next day, 30d", [Step("no-answer", n, timedelta(days=days)) for n, days in ((1, 1), (2, 30))]),
        ("no_answer: 90m", [Step("no-answer", 1, timedelta(minutes=90))]),
        ("failed: none", []),
    ],
)
def test_steps_may_be_written_in_several_ways(text: str, steps: list[Step]) -> None:
    assert retry_policy._read(text) == (steps, [])


@given(
    waits=st.dictionaries(
        st.sampled_from(retry_policy.OUTCOMES), st.lists(st.integers(1, 43_200), min_size=1, max_size=6), min_size=1
    )
)
def test_what_is_shown_of_a_retry_policy_reads_as_the_same_retry_policy(waits: dict[str, list[int]]) -> None:
    row = SimpleNamespace(
        outcomes=[outcome for outcome in waits for _ in waits[outcome]],
        waits_s=[minutes * 60 for outcome in waits for minutes in waits[outcome]],
    )

    steps, faults = retry_policy._read(retry_policy.written(row))

    assert not faults
    assert sorted(steps) == sorted(
        Step(outcome, place, timedelta(minutes=minutes))
        for outcome in waits
        for place, minutes in enumerate(waits[outcome], start=1)
    )


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"per_day": None, "per_week": None}, ["dialed per day: 1 to 100", "dialed per week: 1 to 100"]),
        ({"per_day": 0}, ["dialed per day"]),
        ({"per_week": 101}, ["dialed per week"]),
        ({"per_day": 5, "per_week": 4}, ["lower than the one per day"]),
        ({"steps": ""}, ["a retry policy needs steps"]),
        ({"steps": "5m"}, ["'5m' is not an outcome"]),
        ({"steps": "canceled: 5m"}, ["'canceled' is not an outcome"]),
        ({"steps": "no_call_sid: 5m"}, ["is not an outcome"]),
        ({"steps": "busy: 5m; busy: 6m"}, ["busy is there twice"]),
        ({"steps": "busy: 0m, -5m, 5s, 5, soon,"}, [f"wait {n} of busy" for n in range(1, 7)]),
        ({"steps": "busy: 31d, 999999d, 9999999d"}, [f"wait {n} of busy" for n in range(1, 4)]),
        ({"steps": "busy: none, 5m"}, ["wait 1 of busy"]),
        ({"steps": "busy: " + ", ".join(["5m"] * 21)}, ["at most 20 steps, and this has 21"]),
        ({"name": " "}, ["a retry policy needs a name"]),
        ({"name": "a\0b"}, ["a retry policy needs a name"]),
        ({"business_id": 4711}, ["no business 4711"]),
        ({"business_id": 10**30}, ["no business 1"]),
        (
            {"name": "", "steps": "rude: 5m; busy: 0m", "per_day": None, "per_week": 0},
            ["a retry policy needs a name", "'rude' is not", "wait 1 of busy", "per day", "per week"],
        ),
    ],
)
def test_a_bad_retry_policy_is_refused_with_all_its_faults_at_once(
    world: World, change: dict[str, Any], faults: list[str]
) -> None:
    acme = world.business()

    with pytest.raises(BadRetryPolicy) as refusal:
        add(**({"business_id": acme} | change))

    said = str(refusal.value).split("; ")
    for fault in faults:
        assert any(fault in one for one in said), (fault, said)
    assert len(said) >= len(faults)
    assert retry_policy.every() == []
    assert world.value("select count(*) from audit") == 0


def test_a_business_has_one_retry_policy_of_a_name_and_may_take_another_or_none(world: World) -> None:
    acme, other = world.business("Acme"), world.business("Other")
    first, second = add(acme), add(acme, name="gentle", is_default=False)
    add(other)
    with pytest.raises(BadRetryPolicy, match="already"):
        add(acme)

    def chosen() -> Any:
        return world.value("select ladder_id from business where id = %s", acme)

    assert chosen() == first
    retry_policy.use(acme, "gentle", actor="dana")
    assert chosen() == second
    retry_policy.use(acme, None, actor="dana")
    assert chosen() is None
    for business_id, name, see in ((acme, "nobody's", "retry-policy list"), (4711, "usual", "business list")):
        with pytest.raises(BadRetryPolicy, match=see):
            retry_policy.use(business_id, name, actor="dana")
    assert world.value("select count(*) from audit where action = 'retry_policy.use'") == 2


# Calls that are tried again.


def test_the_n_th_end_of_its_kind_takes_the_n_th_wait_and_then_nobody_is_tried_again(
    world: World, nudges: Nudges
) -> None:
    acme = world.business()
    add(acme, "busy: 5m, 30m; no-answer: 2h, next day; failed: 3d")
    call_id = first = begun(world, world.queued(acme))
    for number, (end, wait_s) in enumerate(
        [("busy", 300), ("no-answer", 7200), ("busy", 1800), ("no-answer", 86_400), ("failed", 259_200)], start=2
    ):
        told(call_id, end)

        following = next_of(world, call_id)
        assert (following.status, following.attempt, following.retry_of) == ("queued", number, first)
        assert following.due_in_s == pytest.approx(wait_s, abs=10)
        assert (following.call_sid, following.fence, following.dialed_at, following.lead_id) == (None, 0, None, None)
        assert (following.from_number, following.to_number) == ("+15005550006", TO)
        call_id = begun(world, following.id)

    told(call_id, "busy")

    assert next_of(world, call_id) is None  # a third busy has no wait
    assert world.value("select count(*) from call_log") == 6
    assert world.count("retry", "busy") == 2


@pytest.mark.parametrize("end", ["completed", "canceled", "failed"])
def test_who_was_reached_or_canceled_or_has_no_step_is_not_tried_again(world: World, nudges: Nudges, end: str) -> None:
    acme = world.business()
    add(acme)

    told(begun(world, world.queued(acme)), end)

    assert world.statuses() == [end]


def test_without_a_retry_policy_nobody_is_tried_again(world: World, nudges: Nudges) -> None:
    acme, other = world.business("Acme"), world.business("Other")
    add(other)
    add(acme, is_default=False)

    told(begun(world, world.queued(acme)), "busy")

    assert world.statuses() == ["busy"]


def test_an_end_that_is_told_again_is_none_even_where_a_retry_policy_has_come_since(
    world: World, nudges: Nudges
) -> None:
    acme = world.business()
    call_id = begun(world, world.queued(acme))
    told(call_id, "busy")
    add(acme)

    assert told(call_id, "busy", sequence_number=7) == "unchanged"

    assert world.statuses() == ["busy"]


def test_a_campaign_s_retry_policy_counts_before_its_business_s(world: World, nudges: Nudges) -> None:
    acme = world.business()
    add(acme)
    gentle = add(acme, "busy: 7d", name="gentle", is_default=False)
    campaign = world.value(
        "insert into campaign (business_id, name, ladder_id) values (%s, 'May', %s) returning id", acme, gentle
    )
    call_id = world.queued(acme)
    world.do(
        "update call_log set campaign_id = %s, contact = '{\"name\": \"Dana\"}', time_zone = 'Asia/Jerusalem'", campaign
    )

    told(begun(world, call_id), "busy")

    following = next_of(world, call_id)
    assert following.due_in_s == pytest.approx(7 * 86_400, abs=10)
    assert (following.campaign_id, following.contact, following.time_zone) == (
        campaign,
        {"name": "Dana"},
        "Asia/Jerusalem",
    )


def test_a_paused_campaign_keeps_its_next_attempt_and_an_ended_one_has_none(world: World, nudges: Nudges) -> None:
    acme = world.business()
    add(acme)
    for state, ends_at, expected in (("paused", None, 1), ("running", "2026-01-01", 0)):
        insert = "insert into campaign (business_id, name, ends_at) values (%s, %s, %s) returning id"
        campaign = world.value(insert, acme, state, ends_at)
        world.do("insert into dial_control (scope, key, state) values ('campaign', %s, %s)", str(campaign), state)
        call_id = world.queued(acme, f"+150055502{campaign:02d}")
        world.do("update call_log set campaign_id = %s where id = %s", campaign, call_id)

        told(begun(world, call_id), "busy")

        assert (next_of(world, call_id) is not None) == bool(expected), state


def test_whom_an_operator_hung_up_on_is_not_tried_again(world: World, nudges: Nudges) -> None:
    acme = world.business()
    add(acme)
    call_id = begun(world, world.queued(acme))
    world.do("update call_log set hang_up = 'completed'")

    told(call_id, "no-answer")

    assert next_of(world, call_id) is None


def test_a_refusal_by_the_carrier_is_never_tried_again(world: World, nudges: Nudges) -> None:
    acme = world.business()
    add(acme, "failed: 5m")
    call_id = world.claimed(acme)
    fence = begin(call_id).fence

    refusal = {"error_code": "21211", "error_message": "no", "at_fault": None}
    db.run(dial.sql.record_refusal, call_id=call_id, fence=fence, **refusal)

    assert world.statuses() == ["failed"]


def test_a_call_closed_without_call_sid_is_not_tried_again_until_its_true_end_is_known(
    world: World, nudges: Nudges
) -> None:
    acme = world.business()
    add(acme, "busy: 5m; failed: 5m")
    call_id = world.initiated(acme)
    world.age(call_id, 1000)
    cleanup.cleanup_stuck_dialing_jobs()
    assert (world.call(call_id).error_code, world.statuses()) == ("no_call_sid", ["failed"])

    results = [told(call_id, "busy") for _ in range(3)]

    assert results == ["moved", "unchanged", "unchanged"]
    assert world.statuses() == ["busy", "queued"]


def test_late_truth_makes_no_second_call_to_a_number_that_has_one(world: World, nudges: Nudges) -> None:
    acme = world.business()
    add(acme)
    call_id = world.initiated(acme)
    world.do("update call_log set status = 'failed', error_code = 'no_call_sid', overdue_at = null")
    another = enqueue.enqueue(business_id=acme, to_number=TO)

    assert told(call_id, "busy") == "moved"

    assert next_of(world, call_id) is None
    assert world.rows("select id from call_log where status = 'queued'") == [(another.call_id,)]


def test_an_inbound_call_is_never_called_back(world: World, nudges: Nudges) -> None:
    acme = world.business(phone="+15005550006")
    add(acme, "no-answer: 5m; failed: 5m")
    events.record_inbound_call("CA" + "1" * 32, TO, "+15005550006")

    events.record_by_call_sid(CallEvent("CA" + "1" * 32, "no-answer", "callback"))

    assert world.statuses() == ["no-answer"]


def test_a_number_of_the_old_system_that_nobody_can_dial_does_not_cost_a_report(world: World, nudges: Nudges) -> None:
    acme = world.business()
    add(acme)
    call_id = world.initiated(acme)
    world.do("update call_log set to_number = '050-123'")

    assert events.record(call_id, CallEvent(f"CA{call_id:032d}", "busy", "callback")) == "moved"

    assert world.statuses() == ["busy"]


def test_many_reports_of_one_end_at_once_make_one_next_attempt(world: World, nudges: Nudges) -> None:
    acme = world.business()
    add(acme)
    call_id = begun(world, world.queued(acme))
    start = threading.Barrier(6)

    def tell() -> None:
        start.wait()
        told(call_id, "busy")

    threads = [threading.Thread(target=tell) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert world.statuses() == ["busy", "queued"]


def test_an_enqueue_that_waits_for_the_end_of_a_call_meets_its_next_attempt(world: World, nudges: Nudges) -> None:
    acme = world.business()
    add(acme)
    call_id = begun(world, world.queued(acme))
    ends = [threading.Thread(target=told, args=(call_id, "busy"))]
    ends += [threading.Thread(target=lambda: enqueue.enqueue(business_id=acme, to_number=TO)) for _ in range(4)]
    for thread in ends:
        thread.start()
    for thread in ends:
        thread.join(10)

    live = world.value("select count(*) from call_log where status = 'queued'")
    assert live == 1
    assert world.call(call_id).status == "busy"


def test_a_key_of_a_further_attempt_is_nobody_elses(world: World) -> None:
    with pytest.raises(enqueue.BadCall, match="may not begin with retry:"):
        enqueue.enqueue(business_id=world.business(), to_number=TO, key="retry:1:2")


def test_nobody_is_dialed_more_often_than_the_caps_over_all_campaigns(world: World, nudges: Nudges) -> None:
    acme = world.business()
    add(acme, "busy: 1m, 1m, 1m, 1m, 1m", per_day=2, per_week=3)
    world.worker()
    call_id = world.queued(acme)
    dialed = 0
    for _ in range(4):
        world.do("update call_log set due_at = now() where status = 'queued'")
        claimed = [row.id for row in db.run(dispatch.sql.claim_due_calls, **CLAIM) if row.status == "claimed"]
        if not claimed:
            break
        dialed += 1
        told(begun(world, call_id), "busy")
        call_id = next_of(world, call_id).id

    assert dialed == 2
    assert (world.call(call_id).status, world.call(call_id).held_by) == ("queued", "attempts_per_day")


def test_every_outcome_that_a_retry_policy_knows_is_an_end(world: World) -> None:
    assert set(retry_policy.OUTCOMES) < set(FINAL)
    check = world.value(
        "select pg_get_constraintdef(oid) from pg_constraint"
        " where conrelid = 'retry_step'::regclass and conname like '%%outcome%%'"
    )
    assert all(f"'{outcome}'" in check for outcome in retry_policy.OUTCOMES)
