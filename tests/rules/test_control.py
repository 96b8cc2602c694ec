"""Pause, limit and resume: everything, a business, a campaign, a from-number or one call, within one dispatch turn."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from threading import Event, Thread

import dramatiq
import psycopg
import pytest
import requests

from outbound import broker, db
from outbound.call import CallEvent, DialOrder
from outbound.calls import dial, dispatch, events, lead
from outbound.calls.hang_up import hang_up_requested_calls
from outbound.carrier import twilio
from outbound.rules import control
from outbound.rules.limits import set_limits
from outbound.rules.scope import BadControl, Scope, scope_of
from outbound.simulator import server as simulated
from outbound.simulator.server import RunningSimulator
from tests.cli.test_cli import refuses, run
from tests.conftest import ACCOUNT_SID, AUTH_TOKEN, World, begin, forget_settings, place, until

pytestmark = pytest.mark.rows_only

EVERYTHING = Scope("account", "")
NUMBER = "+15005550006"  # that World.queued calls from


@pytest.fixture
def campaign_id(world: World) -> int:
    """A campaign of a new business, which calls from NUMBER."""
    business_id = world.business()
    return int(world.value("insert into campaign (business_id, name) values (%s, 'May') returning id", business_id))


def queued(world: World, campaign_id: int, to: str = "+15005550101") -> int:
    business_id = world.value("select business_id from campaign where id = %s", campaign_id)
    call_id = world.queued(business_id, to)
    world.do("update call_log set campaign_id = %s where id = %s", campaign_id, call_id)
    return call_id


def claimed(world: World, campaign_id: int, to: str = "+15005550101") -> int:
    call_id = queued(world, campaign_id, to)
    world.do(
        "update call_log set status = 'claimed', fence = 1, overdue_at = now() + interval '30 s' where id = %s",
        call_id,
    )
    return call_id


def dialed(world: World, campaign_id: int, to: str) -> int:
    """A call that the carrier took."""
    call_id = claimed(world, campaign_id, to)
    dial.dial_call(call_id)
    return call_id


def scopes(world: World, campaign_id: int) -> dict[str, Scope]:
    business_id = world.value("select business_id from campaign where id = %s", campaign_id)
    return {
        "everything": EVERYTHING,
        "business": Scope("business", str(business_id)),
        "campaign": Scope("campaign", str(campaign_id)),
        "number": Scope("number", NUMBER),
    }


def at_the_carrier(carrier: RunningSimulator, call_sid: str) -> str:
    url = f"{carrier.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{call_sid}.json"
    return str(requests.get(url, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5).json()["status"])


def audited(world: World) -> list[tuple[str, str, str, str]]:
    return [(row.who, row.action, row.scope, row.key) for row in world.rows("select * from audit order by id")]


@pytest.fixture
def workers(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Real worker threads, and a real broker, in this process."""
    own = broker.make(broker.IN_PROCESS)
    for actor in (dial.dial_call, lead.create_lead_from_call_job):
        own.declare_actor(actor)
        monkeypatch.setattr(actor, "broker", own)
    worker = dramatiq.Worker(own, worker_timeout=50, worker_threads=4)
    worker.start()
    yield
    worker.stop()


@pytest.fixture
def slow_phones(monkeypatch: pytest.MonkeyPatch, database: str) -> Iterator[RunningSimulator]:
    """Phones on which somebody talks long enough to be hung up on."""
    with simulated.in_thread(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, speed=20) as phones:
        monkeypatch.setenv("TWILIO_API_URL", phones.url)
        forget_settings()
        yield phones


@pytest.mark.parametrize("what", ["everything", "business", "campaign", "number"])
def test_a_pause_takes_back_what_was_claimed_and_nothing_of_it_is_claimed_again_until_it_is_resumed(
    world: World, nudges: list[object], campaign_id: int, what: str
) -> None:
    call_id = claimed(world, campaign_id)
    other = world.queued(world.business("other"), "+15005550102")
    world.do("update call_log set from_number = '+15005550007' where id = %s", other)
    world.worker()
    scope = scopes(world, campaign_id)[what]

    assert control.pause(scope, reason="the script is wrong", actor="anna").claims_taken_back == 1
    dispatch.dispatch_once()

    assert world.call(call_id).status == "queued"
    assert world.call(other).status == ("queued" if what == "everything" else "claimed")
    paused = world.rows("select * from dial_control where state = 'paused'")
    assert [(row.scope, row.key, row.state_reason) for row in paused] == [(*scope, "the script is wrong")]

    assert control.resume(scope, actor="ben")
    dispatch.dispatch_once()

    assert world.call(call_id).status == "claimed"
    assert not control.resume(scope)
    assert audited(world)[:2] == [("anna", "pause", *scope), ("ben", "resume", *scope)]
    assert world.value("select details ->> 'reason' from audit order by id limit 1") == "the script is wrong"


def test_after_a_pause_in_mid_run_no_create_reaches_the_carrier(
    world: World, carrier: RunningSimulator, workers: None
) -> None:
    business_id = world.business()
    world.do(
        "insert into call_log (business_id, from_number, to_number)"
        " select %s, '+15005550006', '+1500' || (1000000 + 100 * n) from generate_series(1, 2000) as n",
        business_id,
    )
    world.do("insert into worker (id, threads, seen_at) values (gen_random_uuid(), 4, now() + interval '1 hour')")
    stop = Event()
    dispatching = Thread(target=dispatch.dispatch_until, args=(stop,))
    dispatching.start()
    try:
        until(lambda: len(carrier.log()) > 30)

        control.pause(EVERYTHING)

        paused_at = datetime.now(UTC)
        assert "claimed" not in world.statuses()
        on_the_wire = "select count(*) from call_log where status = 'initiated' and call_sid is null"
        until(lambda: world.value(on_the_wire) == 0)
        sent = len(carrier.log())
        for _ in range(20):
            assert dispatch.dispatch_once() == 0
        assert len(carrier.log()) == sent < 2000
        # What a worker was sending at that instant is the last.
        late = [entry for entry in carrier.log() if datetime.fromisoformat(entry["at"]) > paused_at]
        assert len(late) <= 4 * 16  # of four threads
        assert set(world.statuses()) == {"queued", "initiated"}

        control.resume(EVERYTHING)
        until(lambda: len(carrier.log()) > sent + 30)
    finally:
        control.pause(EVERYTHING)
        stop.set()
        dispatching.join(10)
    assert all(entry["outcome"] == "accepted" for entry in carrier.log())


def test_a_claim_that_began_before_the_pause_does_not_outlive_it(world: World, campaign_id: int) -> None:
    call_id = queued(world, campaign_id)
    with psycopg.connect(world.url) as dispatcher:
        dispatcher.execute("select pg_try_advisory_xact_lock(hashtext('outbound.dispatch'), 'call_log'::regclass::int)")
        claim = "update call_log set status = 'claimed', fence = 1, overdue_at = now() + interval '30 s' where id = %s"
        dispatcher.execute(claim, (call_id,))
        pausing = Thread(target=control.pause, args=(Scope("campaign", str(campaign_id)),))
        pausing.start()
        until(lambda: world.value("select count(*) from pg_locks where locktype = 'advisory' and not granted") == 1)
        assert world.rows("select * from dial_control where state = 'paused'") == []
    pausing.join(10)

    assert world.call(call_id).status == "queued"
    assert world.value("select state from dial_control where scope = 'campaign'") == "paused"


def test_a_worker_that_was_nudged_before_the_pause_rings_nobody(
    world: World, carrier: RunningSimulator, campaign_id: int
) -> None:
    call_id = claimed(world, campaign_id)
    control.pause(Scope("campaign", str(campaign_id)))

    dial.dial_call(call_id)

    assert carrier.log() == []
    assert world.call(call_id).status == "queued"


def test_what_is_paused_does_not_delay_the_others(world: World, nudges: list[object], campaign_id: int) -> None:
    for number in range(40):
        queued(world, campaign_id, f"+150055502{number:02d}")
    others = [world.queued(world.business("other"), f"+150055503{number:02d}") for number in range(4)]
    world.worker(threads=2)
    control.pause(Scope("campaign", str(campaign_id)))

    dispatch.dispatch_once()

    assert [world.call(other).status for other in others] == ["claimed"] * 4


def test_a_resume_wakes_the_dispatchers(world: World) -> None:
    control.pause(EVERYTHING)
    with psycopg.connect(world.url, autocommit=True) as listener:
        listener.execute("listen outbound_due")

        control.resume(EVERYTHING)

        assert [notice.channel for notice in listener.notifies(timeout=5, stop_after=1)] == ["outbound_due"]


@pytest.mark.parametrize("what", ["everything", "business", "campaign", "number"])
def test_a_cancel_closes_what_waits_and_leaves_the_neighbours_alone(
    world: World, nudges: list[object], campaign_id: int, what: str
) -> None:
    calls = [queued(world, campaign_id, f"+150055502{number:02d}") for number in range(3)]
    calls.append(claimed(world, campaign_id, "+15005550210"))
    world.do("update call_log set paused_at = now() where id = %s", calls[0])
    world.do("update call_log set due_at = now() + interval '1 day' where id = %s", calls[1])
    other = world.queued(world.business("other"), "+15005550102")
    world.do("update call_log set from_number = '+15005550007' where id = %s", other)
    scope = scopes(world, campaign_id)[what]

    canceled = control.cancel(scope, reason="wrong list", actor="anna")

    assert canceled == (5 if what == "everything" else 4, 0)
    for call_id in calls:
        call = world.call(call_id)
        assert (call.status, call.error_code, call.overdue_at) == ("canceled", "operator_canceled", None)
        assert call.error_message == "An operator canceled it: wrong list."
        assert call.ended_at is not None
    assert world.call(other).status == ("canceled" if what == "everything" else "queued")
    assert world.count("ended", "canceled") == canceled.waiting
    assert audited(world) == [("anna", "cancel", *scope)]

    world.worker()
    later = queued(world, campaign_id)  # canceled is not paused
    dispatch.dispatch_once()
    assert world.call(later).status == "claimed"


def test_many_calls_are_canceled_in_batches_that_keep_nobody_waiting(world: World, campaign_id: int) -> None:
    world.do(
        "insert into call_log (business_id, campaign_id, from_number, to_number)"
        " select business_id, id, '+15005550006', '+1500' || (1000000 + n) from campaign, generate_series(1, 2500) as n"
    )
    progress: list[int] = []

    canceled = control.cancel(Scope("campaign", str(campaign_id)), tell=progress.append)

    assert progress == [1000, 2000, 2500]
    assert canceled.waiting == 2500
    assert set(world.statuses()) == {"canceled"}


def test_nothing_of_a_scope_is_begun_while_its_calls_are_being_canceled(
    world: World, nudges: list[object], campaign_id: int
) -> None:
    world.do(
        "insert into call_log (business_id, campaign_id, from_number, to_number)"
        " select business_id, id, '+15005550006', '+1500' || (1000000 + n) from campaign, generate_series(1, 1100) as n"
    )
    world.worker()
    seen: list[tuple[int, int]] = []
    newcomers: list[int] = []

    def meanwhile(_canceled: int) -> None:
        newcomers.append(queued(world, campaign_id, f"+150055502{len(newcomers):02d}"))
        waiting = world.value("select count(*) from call_log where status = 'queued'")
        seen.append((waiting, dispatch.dispatch_once()))

    control.cancel(Scope("campaign", str(campaign_id)), tell=meanwhile)

    assert seen == [(101, 0), (2, 0)]
    assert [world.call(newcomer).status for newcomer in newcomers] == ["queued", "queued"]
    assert dispatch.dispatch_once() == 2


def test_a_cancel_ends_what_rings_and_leaves_alone_who_is_talking(
    world: World, slow_phones: RunningSimulator, nudges: list[object], campaign_id: int
) -> None:
    ringing = dialed(world, campaign_id, "+15005550131")
    talking = dialed(world, campaign_id, "+15005550129")
    sids = {call_id: world.call(call_id).call_sid for call_id in (ringing, talking)}
    until(lambda: at_the_carrier(slow_phones, sids[talking]) == "in-progress")

    canceled = control.cancel(Scope("campaign", str(campaign_id)))
    assert hang_up_requested_calls() == 2  # the report that somebody answered had not come yet

    assert canceled == (0, 2)
    assert at_the_carrier(slow_phones, sids[ringing]) == "canceled"
    assert at_the_carrier(slow_phones, sids[talking]) == "in-progress"
    assert [world.call(call_id).status for call_id in (ringing, talking)] == ["canceled", "in-progress"]
    _age_hang_ups(world)
    assert hang_up_requested_calls() == 0


def test_a_stop_hangs_up_whoever_is_talking_and_keeps_what_waits(
    world: World, slow_phones: RunningSimulator, nudges: list[object], campaign_id: int
) -> None:
    talking = dialed(world, campaign_id, "+15005550129")
    ringing = dialed(world, campaign_id, "+15005550131")
    waiting = queued(world, campaign_id, "+15005550199")
    sids = {call_id: world.call(call_id).call_sid for call_id in (ringing, talking)}
    until(lambda: at_the_carrier(slow_phones, sids[talking]) == "in-progress")
    events.record(talking, CallEvent(sids[talking], "in-progress", "callback"))

    assert control.stop(Scope("campaign", str(campaign_id))).hung_up == 2
    hang_up_requested_calls()

    assert at_the_carrier(slow_phones, sids[talking]) == "completed"
    assert at_the_carrier(slow_phones, sids[ringing]) == "canceled"
    assert [world.call(call_id).status for call_id in (talking, ringing)] == ["completed", "canceled"]
    assert world.call(waiting).status == "queued"
    assert world.value("select state from dial_control where scope = 'campaign'") == "paused"


def test_a_call_that_was_stopped_and_comes_back_unsent_is_not_dialed_again(
    world: World, nudges: list[object], campaign_id: int
) -> None:
    call_id = claimed(world, campaign_id)
    world.worker()
    begun = begin(call_id)
    control.stop(Scope("call", str(call_id)))

    db.run(dial.sql.put_back, call_id=call_id, fence=begun.fence, wait_s=2, reason="HTTP 429")

    world.do("update call_log set due_at = now()")
    assert dispatch.dispatch_once() == 0
    assert world.statuses() == ["queued"]


def test_a_call_whose_call_sid_comes_after_the_stop_is_hung_up_then(
    world: World, carrier: RunningSimulator, nudges: list[object]
) -> None:
    call_id = world.initiated(to="+15005550131")
    placed = place(twilio.carrier(), DialOrder(call_id, NUMBER, "+15005550131", None, "<Response/>"))

    control.stop(EVERYTHING)
    assert hang_up_requested_calls() == 0
    events.record(call_id, CallEvent(placed.call_sid, "ringing", "callback"))
    assert hang_up_requested_calls() == 1

    assert at_the_carrier(carrier, placed.call_sid) == "canceled"
    assert world.call(call_id).status == "canceled"


def test_a_carrier_that_does_not_answer_is_told_again(
    world: World, carrier: RunningSimulator, nudges: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    call_id = world.claimed(to="+15005550131")
    dial.dial_call(call_id)
    control.stop(EVERYTHING)
    monkeypatch.setenv("TWILIO_API_URL", "http://127.0.0.1:1")
    forget_settings()

    assert hang_up_requested_calls() == 0
    monkeypatch.setenv("TWILIO_API_URL", carrier.url)
    forget_settings()
    assert hang_up_requested_calls() == 0  # not at once
    _age_hang_ups(world)
    assert hang_up_requested_calls() == 1

    assert world.call(call_id).status == "canceled"


def test_a_call_that_is_over_or_unknown_at_the_carrier_is_no_error(
    world: World, carrier: RunningSimulator, nudges: list[object]
) -> None:
    over, unknown = world.claimed(to="+15005550111"), world.initiated(to="+15005550112", call_sid="CA" + "0" * 32)
    dial.dial_call(over)
    until(lambda: at_the_carrier(carrier, world.call(over).call_sid) == "busy")

    control.stop(EVERYTHING)
    hang_up_requested_calls()

    assert [world.call(call_id).status for call_id in (over, unknown)] == ["busy", "initiated"]


def test_a_call_that_was_canceled_while_it_was_not_sent_does_not_go_back_to_the_queue(world: World) -> None:
    canceled, stopped = world.initiated(to="+15005550101"), world.initiated(to="+15005550102")
    control.cancel(Scope("call", str(canceled)))
    control.stop(Scope("call", str(stopped)))

    for call_id in (canceled, stopped):
        db.run(dial.sql.put_back, call_id=call_id, fence=1, wait_s=2, reason="HTTP 429")

    rows = [world.call(call_id) for call_id in (canceled, stopped)]
    assert [(row.status, row.error_code, row.hang_up) for row in rows] == [
        ("canceled", "operator_canceled", None),
        ("queued", None, None),
    ]
    assert (world.count("ended", "canceled"), world.count("dial", "not_sent")) == (1, 2)


def test_a_drain_waits_until_nothing_is_in_the_air_and_stays_paused(
    world: World, nudges: list[object], campaign_id: int
) -> None:
    live = claimed(world, campaign_id)
    world.do("update call_log set status = 'in-progress', call_sid = 'CA1' where id = %s", live)
    waiting = claimed(world, campaign_id, "+15005550102")
    seen: list[int] = []

    def tell(calls: int) -> None:
        seen.append(calls)
        world.do("update call_log set status = 'completed' where id = %s", live)

    assert control.drain(Scope("campaign", str(campaign_id)), tell=tell) == 0

    assert seen == [1, 0]
    assert world.call(waiting).status == "queued"
    assert world.value("select state from dial_control where scope = 'campaign'") == "paused"
    assert audited(world)[0][1] == "drain"


def test_a_drain_that_takes_too_long_or_is_interrupted_says_what_is_left(world: World) -> None:
    world.initiated()
    stopped = Event()
    stopped.set()

    assert control.drain(EVERYTHING, timeout_s=0.01) == 1
    assert control.drain(EVERYTHING, stopped=stopped) == 1
    with pytest.raises(BadControl, match="seconds"):
        control.drain(EVERYTHING, timeout_s=float("nan"))


def test_one_call_is_paused_resumed_and_canceled(world: World, nudges: list[object]) -> None:
    call_id, other = world.claimed(), world.queued(to="+15005550102")
    scope = scope_of("call", str(call_id))
    world.worker()

    assert control.pause(scope, reason="asked us to wait").claims_taken_back == 1
    dispatch.dispatch_once()
    assert [world.call(each).status for each in (call_id, other)] == ["queued", "claimed"]

    assert control.resume(scope)
    dispatch.dispatch_once()
    assert world.call(call_id).status == "claimed"

    assert control.cancel(scope) == (1, 0)
    assert (world.call(call_id).status, world.call(other).status) == ("canceled", "claimed")
    assert world.value("select count(*) from dial_control where hold_until is not null") == 0


@pytest.mark.parametrize(
    ("status", "act", "refusal"),
    [
        ("ringing", control.pause, "is ringing: `outbound stop call"),
        ("completed", control.pause, "has ended: completed"),
        ("in-progress", control.cancel, "is in-progress: `outbound stop call"),
        ("failed", control.cancel, "has ended: failed"),
        ("failed", control.stop, "has ended: failed"),
        ("queued", control.drain, "not drained"),
    ],
)
def test_what_cannot_be_done_to_a_call_is_refused_and_changes_nothing(
    world: World, status: str, act: Callable[[Scope], object], refusal: str
) -> None:
    call_id = world.initiated()
    if status == "queued":
        call_id = world.queued(to="+15005550102")
    world.do("update call_log set status = %s where id = %s", status, call_id)
    before = world.call(call_id)

    with pytest.raises(BadControl, match=refusal):
        act(Scope("call", str(call_id)))

    assert world.call(call_id) == before
    assert audited(world) == []


@pytest.mark.parametrize(
    ("what", "key", "refusal"),
    [
        ("everthing", None, "say what: everything, business ID"),
        ("everything", "3", "nothing comes after"),
        ("business", None, "which business"),
        ("business", "4711", "there is no business 4711"),
        ("campaign", "-1", "there is no campaign named -1"),
        ("campaign", "9" * 30, "there is no campaign named 9"),
        ("campaign", "4711", "there is no campaign 4711"),
        ("call", "4711", "there is no outbound call 4711"),
        ("call", "CA4711", "there is no call CA4711"),
        ("number", "5550006", "which number"),
        ("number", "+15005559999", "nobody calls from this number"),
    ],
)
def test_what_does_not_exist_cannot_be_controlled(world: World, what: str, key: str | None, refusal: str) -> None:
    with pytest.raises(BadControl, match=refusal):
        scope_of(what, key)


def test_a_number_is_known_by_its_business_its_campaign_or_a_call_that_waits(world: World, campaign_id: int) -> None:
    world.business("other", phone="+15005550601")
    world.do("insert into campaign_number (campaign_id, phone) values (%s, '+15005550602')", campaign_id)
    world.queued()

    for number in ("+1 500-555-0601", "+15005550602", NUMBER):
        assert scope_of("number", number).scope == "number"


def test_a_limit_holds_from_the_next_turn_and_can_be_lifted(
    world: World, nudges: list[object], campaign_id: int
) -> None:
    for number in range(6):
        queued(world, campaign_id, f"+150055502{number:02d}")
    world.worker()
    campaign = Scope("campaign", str(campaign_id))

    set_limits(campaign, live_max="2", actor="anna")
    dispatch.dispatch_once()
    assert world.statuses().count("claimed") == 2

    set_limits(campaign, live_max="none", calls_per_second="2.5", weight="3")
    row = world.rows("select * from dial_control where scope = 'campaign' and key = %s", campaign.key)[0]
    assert (row.live_max, row.calls_per_second, row.weight) == (None, 2.5, 3)

    set_limits(campaign, calls_per_second="none")
    dispatch.dispatch_once()
    assert world.statuses().count("claimed") == 6
    row = world.rows("select * from dial_control where scope = 'campaign' and key = %s", campaign.key)[0]
    assert (row.calls_per_second, row.weight) == (None, 3)
    assert world.rows("select details from audit order by id limit 1")[0].details == {"live_max": 2}


@pytest.mark.parametrize(
    ("limits", "refusal"),
    [
        ({}, "say which"),
        ({"calls_per_second": "0"}, "--calls-per-second is a number from 0.001"),
        ({"calls_per_second": "-1"}, "--calls-per-second is a number from 0.001"),
        ({"calls_per_second": "5e-324"}, "--calls-per-second is a number from 0.001"),  # PostgreSQL would underflow
        ({"calls_per_second": "nan"}, "--calls-per-second is a number from 0.001"),
        ({"calls_per_second": "1001"}, "--calls-per-second is a number from 0.001"),
        ({"live_max": "-1"}, "--live-max is a whole number"),
        ({"live_max": "1.5"}, "--live-max is a whole number"),
        ({"live_max": "9" * 5000}, "--live-max is a whole number"),
        ({"live_max": "many"}, "--live-max is a whole number"),
        ({"live_max": "1_0"}, "--live-max is a whole number"),
        ({"live_max": "+5"}, "--live-max is a whole number"),
        ({"live_max": "\u0665"}, "--live-max is a whole number"),
        ({"calls_per_day": " 5"}, "--calls-per-day is a whole number"),
        ({"calls_per_second": "1_0"}, "--calls-per-second is a number from 0.001"),
        ({"calls_per_second": "1e2"}, "--calls-per-second is a number from 0.001"),
        ({"weight": "+2"}, "--weight is a number"),
        ({"weight": "none"}, "--weight is a number"),
        ({"weight": "inf"}, "--weight is a number"),
        ({"weight": "1"}, "only a business or a campaign"),
        ({"calls_per_second": "x", "live_max": "y"}, "per-second.*; --live-max"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(world: World, limits: dict[str, str], refusal: str) -> None:
    before = world.rows("select * from dial_control")

    with pytest.raises(BadControl, match=refusal):
        set_limits(EVERYTHING, **limits)

    assert world.rows("select * from dial_control") == before
    assert audited(world) == []


def test_a_reason_that_is_no_line_of_text_is_refused(world: World) -> None:
    for reason in ("a\nb", "a\0", "\udcff", "x" * 201):
        with pytest.raises(BadControl, match="the reason must be one line"):
            control.pause(EVERYTHING, reason=reason)
        with pytest.raises(BadControl, match="--by must be one line"):
            control.resume(EVERYTHING, actor=reason)

    assert audited(world) == []


def test_who_moved_it_is_the_person_behind_sudo(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "dana")

    control.pause(EVERYTHING)

    assert audited(world) == [("dana", "pause", "account", "")]


def test_the_commands_of_an_operator(world: World, carrier: RunningSimulator, tmp_path: Path, campaign_id: int) -> None:
    call_id = queued(world, campaign_id)
    settings = {"DATABASE_URL": world.url, "REDIS_URL": "memory://", "TWILIO_API_URL": carrier.url}
    settings |= {"TWILIO_ACCOUNT_SID": ACCOUNT_SID, "TWILIO_AUTH_TOKEN": AUTH_TOKEN}

    def outbound(*arguments: str) -> CompletedProcess[str]:
        return run(tmp_path, settings, *arguments)

    def says(*arguments: str) -> str:
        done = outbound(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    campaign = ("campaign", str(campaign_id))
    assert "is paused, 0 claims" in says("pause", *campaign, "--reason", "a [b] c", "--by", "anna")
    assert "a [b] c" in says("why", str(call_id))
    assert "live max 3" in says("limit", *campaign, "--live-max", "3")
    assert f"campaign {campaign_id}" in says("control")
    rows = {(row["scope"], row["key"]): row for row in json.loads(says("control", "--json"))}
    assert rows["campaign", str(campaign_id)]["live_max"] == 3
    assert rows["campaign", str(campaign_id)]["state_reason"] == "a [b] c"
    assert "goes on" in says("resume", *campaign)
    assert "0 calls are in the air" in says("drain", *campaign)
    world.do("update call_log set status = 'initiated', overdue_at = now() + interval '30 s' where id = %s", call_id)
    assert outbound("drain", *campaign, "--timeout", "0.1").returncode == 1
    assert "campaign 1" in outbound("resume", *campaign).stdout
    dialing = dialed(world, campaign_id, "+15005550131")
    assert "2 calls are hung up" in says("stop", "everything")
    assert at_the_carrier(carrier, world.call(dialing).call_sid) == "canceled"
    assert "0 waiting calls canceled, 1 in the air" in says("cancel", "everything", "--yes")
    entries = json.loads(says("audit", "--last", "50", "--json"))
    moves = [entry["action"] for entry in entries if entry["action"] not in ("insert", "update", "delete")]
    assert moves[-3:] == ["resume", "stop", "cancel"]
    assert datetime.fromisoformat(entries[0]["at"]) > datetime.now(UTC) - timedelta(minutes=5)
    assert "everything" in says("audit")
    refuses(outbound("pause", "campaign", "4711"), "there is no campaign 4711")
    refuses(outbound("audit", "--last", "0"), "--last is a whole number")


@pytest.mark.parametrize("verb", ["pause", "stop"])
@pytest.mark.parametrize("scope", ["business", "call"])
def test_what_was_paused_before_is_said_to_be_so(world: World, tmp_path: Path, verb: str, scope: str) -> None:
    settings = {"DATABASE_URL": world.url, "REDIS_URL": "memory://"}
    call_id = world.queued(world.business())
    what = (verb, scope, str(call_id) if scope == "call" else "1")

    first = run(tmp_path, settings, *what)
    second = run(tmp_path, settings, *what, "--json")
    third = run(tmp_path, settings, *what)

    assert f"{scope} {what[2]} is paused, 0" in first.stdout, first.stderr
    assert json.loads(second.stdout)["was_paused"] is True
    assert f"{scope} {what[2]} was paused already, 0" in third.stdout


def _age_hang_ups(world: World) -> None:
    world.do("update call_log set hang_up_asked_at = hang_up_asked_at - interval '1 minute'")
