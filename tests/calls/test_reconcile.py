"""Ask the carrier about calls that we are unsure of."""

from threading import Thread

import pytest
import requests

from outbound.call import CallEvent
from outbound.calls import cleanup, dial, events, reconcile
from outbound.simulator.server import RunningSimulator
from tests.conftest import ACCOUNT_SID, AUTH_TOKEN, World, forget_settings, let_it_end

pytestmark = pytest.mark.rows_only

SID = "CA" + "b" * 32


def test_a_call_that_rang_unknown_to_us_is_found_at_the_carrier_and_adopted(
    world: World, carrier: RunningSimulator
) -> None:
    call_id = world.claimed(to="+15005550127")  # rings, cuts the connection, and never calls back
    dial.dial_call(call_id)
    let_it_end(carrier, carrier.log()[0])
    world.do("update call_log set overdue_at = now()")

    assert reconcile.reconcile_overdue_calls() == 1

    call = world.call(call_id)
    assert (call.status, call.call_sid) == ("completed", carrier.log()[0]["call_sid"])


def test_absence_is_believed_only_at_the_second_look(world: World, carrier: RunningSimulator) -> None:
    call_id = world.claimed(to="+15005550124")
    dial.dial_call(call_id)
    world.do("update call_log set overdue_at = now()")

    reconcile.reconcile_overdue_calls()
    first = world.call(call_id)
    reconcile.reconcile_overdue_calls()  # too soon for another look
    between = world.call(call_id)
    world.age(call_id, 11)
    reconcile.reconcile_overdue_calls()

    call = world.call(call_id)
    assert (first.status, first.looks) == ("initiated", 1)
    assert between.looks == 1
    assert (call.status, call.error_code) == ("failed", "no_call_sid")
    assert "asked 2 times" in call.error_message
    assert world.count("reconcile", "no_call_sid") == 1


def test_two_candidates_are_left_to_a_human(world: World, carrier: RunningSimulator) -> None:
    call_id = world.claimed(to="+15005550127")
    dial.dial_call(call_id)
    world.do("update call_log set status = 'initiated', overdue_at = now()")
    _create_by_hand(carrier, to="+15005550127")

    reconcile.reconcile_overdue_calls()

    call = world.call(call_id)
    assert (call.status, call.error_code, call.call_sid) == ("failed", "several_candidates", None)
    assert all(entry["call_sid"] in call.error_message for entry in carrier.log())


def test_two_candidates_for_a_closed_call_are_asked_about_once(
    world: World, carrier: RunningSimulator, nudges: list[object]
) -> None:
    call_id = world.claimed(to="+15005550127")
    dial.dial_call(call_id)
    _create_by_hand(carrier, to="+15005550127")
    world.do("update call_log set overdue_at = now() - interval '60 s'")
    cleanup.cleanup_stuck_dialing_jobs()

    reconcile.reconcile_overdue_calls()

    call = world.call(call_id)
    assert (call.error_code, call.overdue_at) == ("several_candidates", None)
    assert world.count("ended", "failed") == 1


def test_only_absences_in_a_row_are_believed(world: World, carrier: RunningSimulator, nudges: list[object]) -> None:
    call_id = world.initiated(call_sid=SID)
    world.age(call_id, 61)
    reconcile.reconcile_overdue_calls()
    events.record(call_id, CallEvent(SID, "ringing", "callback"))
    world.age(call_id, 61)

    reconcile.reconcile_overdue_calls()

    assert world.call(call_id).status == "ringing"


def test_a_call_at_the_carrier_that_another_row_has_is_no_candidate(world: World, carrier: RunningSimulator) -> None:
    earlier = world.claimed(to="+15005550101")
    dial.dial_call(earlier)
    let_it_end(carrier, carrier.log()[0])
    world.do("update call_log set status = 'completed' where id = %s", earlier)
    unsure = world.initiated(world.call(earlier).business_id, "+15005550101")
    world.do("update call_log set overdue_at = now() where id = %s", unsure)

    reconcile.reconcile_overdue_calls()

    assert world.call(unsure).call_sid is None
    assert world.call(unsure).looks == 1


def test_a_call_that_went_silent_takes_its_status_from_the_carrier(world: World, carrier: RunningSimulator) -> None:
    call_id = world.claimed(to="+15005550122")
    dial.dial_call(call_id)
    let_it_end(carrier, carrier.log()[0])
    world.age(call_id, 61)

    reconcile.reconcile_overdue_calls()

    assert world.call(call_id).status == "completed"


def test_a_live_call_is_never_closed_because_a_callback_was_late(world: World, carrier: RunningSimulator) -> None:
    call_id = world.claimed(to="+15005550131")  # rings until it is canceled
    dial.dial_call(call_id)
    for _ in range(5):
        world.age(call_id, 100)
        reconcile.reconcile_overdue_calls()

    call = world.call(call_id)
    assert call.status in ("initiated", "ringing")
    assert call.overdue_at > world.value("select now()")


def test_a_call_sid_that_the_carrier_disowns_twice_is_closed(world: World, carrier: RunningSimulator) -> None:
    call_id = world.initiated(call_sid=SID)
    world.age(call_id, 61)
    reconcile.reconcile_overdue_calls()
    assert world.call(call_id).status == "initiated"
    world.age(call_id, 11)

    reconcile.reconcile_overdue_calls()

    call = world.call(call_id)
    assert (call.status, call.error_code) == ("failed", "unknown_to_carrier")


@pytest.mark.parametrize("call_sid", [None, SID])
def test_a_carrier_that_cannot_be_reached_closes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, call_sid: str | None
) -> None:
    monkeypatch.setenv("TWILIO_API_URL", "http://127.0.0.1:1")
    forget_settings()
    call_id = world.initiated(call_sid=call_sid)
    for _ in range(3):
        world.age(call_id, 100)
        assert reconcile.reconcile_overdue_calls() == 0

    call = world.call(call_id)
    assert (call.status, call.looks) == ("initiated", 0)  # a question without an answer is no look


def test_no_more_is_asked_in_a_round_than_the_limit_per_minute_allows(
    world: World, carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_LOOKUPS_PER_MINUTE", "36")  # three per round of five seconds
    forget_settings()
    business_id = world.business()
    for number in range(7):
        world.age(world.initiated(business_id, f"+1500555020{number}"), 61)

    assert [reconcile.reconcile_overdue_calls() for _ in range(3)] == [3, 3, 1]


def test_a_carrier_in_trouble_gets_one_question_per_round(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_API_URL", "http://127.0.0.1:1")
    forget_settings()
    business_id = world.business()
    for number in range(3):
        world.age(world.initiated(business_id, f"+1500555020{number}"), 61)

    reconcile.reconcile_overdue_calls()

    assert world.value("select count(*) from call_log where looked_at is not null") == 1


def test_two_hosts_ask_about_a_call_once(world: World, carrier: RunningSimulator) -> None:
    call_id = world.initiated()
    world.age(call_id, 61)

    threads = [Thread(target=reconcile.reconcile_overdue_calls) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert world.call(call_id).looks == 1


def test_a_call_without_a_call_sid_is_asked_about_before_those_that_have_one(
    world: World, carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_LOOKUPS_PER_MINUTE", "12")  # one per round
    forget_settings()
    business_id = world.business()
    for number in range(3):
        world.age(world.initiated(business_id, f"+1500555020{number}", f"CA{number:032d}"), 1000)
    unsure = world.initiated(business_id, "+15005550210")
    world.age(unsure, 61)

    reconcile.reconcile_overdue_calls()

    assert world.call(unsure).looks == 1


def test_calls_about_which_nobody_can_answer_keep_no_other_call_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_API_URL", "http://127.0.0.1:1")
    forget_settings()
    business_id = world.business()
    for number in range(4):
        world.age(world.initiated(business_id, f"+1500555020{number}", f"CA{number:032d}"), 1000 - number)

    for _ in range(4):
        reconcile.reconcile_overdue_calls()
        world.do("update call_log set looked_at = looked_at - interval '11 s'")

    assert world.value("select count(*) from call_log where looked_at is not null") == 4


def test_a_call_that_was_closed_while_nobody_could_be_asked_is_asked_about_afterwards(
    world: World, carrier: RunningSimulator, nudges: list[object]
) -> None:
    call_id = world.claimed(to="+15005550127")
    dial.dial_call(call_id)
    let_it_end(carrier, carrier.log()[0])
    world.do("update call_log set overdue_at = now() - interval '60 s'")
    cleanup.cleanup_stuck_dialing_jobs()
    assert world.call(call_id).error_code == "no_call_sid"

    reconcile.reconcile_overdue_calls()

    call = world.call(call_id)
    assert (call.status, call.call_sid) == ("completed", carrier.log()[0]["call_sid"])


def test_a_closed_call_never_takes_the_call_sid_of_its_successor(
    world: World, carrier: RunningSimulator, nudges: list[object]
) -> None:
    closed = world.initiated(to="+15005550127")
    world.do("update call_log set overdue_at = now() - interval '60 s'")
    cleanup.cleanup_stuck_dialing_jobs()
    successor = world.claimed(world.call(closed).business_id, "+15005550127")
    dial.dial_call(successor)  # rings, and nobody hears of it
    let_it_end(carrier, carrier.log()[0])

    reconcile.reconcile_overdue_calls()  # the closed one's turn
    world.do("update call_log set overdue_at = now() where id = %s", successor)
    reconcile.reconcile_overdue_calls()
    reconcile.reconcile_overdue_calls()

    assert world.call(closed).call_sid is None
    assert world.call(successor).call_sid == carrier.log()[0]["call_sid"]


def test_a_call_that_was_adopted_while_another_held_its_number_is_asked_about_until_its_end_is_known(
    world: World, carrier: RunningSimulator, nudges: list[object]
) -> None:
    call_id = world.claimed(to="+15005550122")
    dial.dial_call(call_id)
    call_sid = carrier.log()[0]["call_sid"]
    world.do("alter table call_log disable trigger call_log_guard")
    world.do("update call_log set status = 'failed', error_code = 'no_call_sid', call_sid = null, overdue_at = null")
    world.do("alter table call_log enable trigger call_log_guard")
    world.queued(world.call(call_id).business_id, "+15005550122")
    events.record(call_id, CallEvent(call_sid, "ringing", "callback"))
    assert world.call(call_id).status == "failed"
    let_it_end(carrier, carrier.log()[0])
    world.age(call_id, 61)

    reconcile.reconcile_overdue_calls()

    assert (world.call(call_id).status, world.call(call_id).error_code) == ("completed", None)


def _create_by_hand(carrier: RunningSimulator, to: str) -> None:
    url = f"{carrier.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"
    form = {"To": to, "From": "+15005550006", "Twiml": "<Response/>"}
    with pytest.raises(requests.ConnectionError):  # this number's scenario
        requests.post(url, data=form, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5)
