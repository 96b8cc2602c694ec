"""Ring one claimed call, at most once, and write down what came of it."""

from collections.abc import Iterator, Sequence
from threading import Barrier, Thread

import psycopg
import pytest

from outbound import db
from outbound.call import DialOrder
from outbound.calls import cleanup, dial, dispatch
from outbound.carrier import Accepted, Answered, CallNotSent, CallRefused
from outbound.formats import twiml_template
from outbound.simulator.server import RunningSimulator
from tests.conftest import CLAIM, World, begin, forget_settings, until

pytestmark = pytest.mark.rows_only


def test_the_intent_to_dial_is_committed_before_the_carrier_is_asked(world: World, carrier: RunningSimulator) -> None:
    call_id = world.claimed(to="+15005550119")  # the carrier accepts and holds its answer
    dialing = Thread(target=dial.dial_call, args=(call_id,))
    dialing.start()

    until(lambda: len(carrier.log()) == 1)

    call = world.call(call_id)
    assert (call.status, call.call_sid) == ("initiated", None)
    assert call.dialed_at is not None
    assert call.overdue_at is not None
    dialing.join(10)


def test_an_accepted_call_keeps_its_call_sid_and_gets_a_new_deadline(world: World, carrier: RunningSimulator) -> None:
    call_id = world.claimed()

    dial.dial_call(call_id)

    call = world.call(call_id)
    assert call.status == "initiated"
    assert call.call_sid == carrier.log()[0]["call_sid"]
    assert call.overdue_at > call.dialed_at
    assert world.count("report.create", "moved") + world.count("report.create", "unchanged") == 1


def test_a_refused_call_fails_with_the_carriers_code_and_words(world: World, carrier: RunningSimulator) -> None:
    call_id = world.claimed(to="+15005550115")

    dial.dial_call(call_id)

    call = world.call(call_id)
    assert (call.status, call.error_code, call.overdue_at) == ("failed", "21211", None)
    assert "phone number" in call.error_message
    assert call.ended_at is not None
    assert world.count("dial", "refused") == 1
    assert world.count("ended", "failed") == 1


def test_a_call_that_was_not_sent_goes_back_and_no_attempt_is_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_id = world.claimed()
    monkeypatch.setenv("TWILIO_API_URL", "http://127.0.0.1:1")
    forget_settings()

    dial.dial_call(call_id)

    call = world.call(call_id)
    assert (call.status, call.call_sid, call.dialed_at, call.overdue_at) == ("queued", None, None, None)
    assert call.put_backs == 1
    assert call.due_at > world.value("select now()")
    assert world.count("dial", "not_sent") == 1


def test_a_call_that_is_put_back_waits_longer_each_time_and_never_more_than_six_minutes(world: World) -> None:
    call_id = world.claimed()
    waits = []
    for _ in range(12):
        world.do(
            "update call_log set status = 'initiated', overdue_at = now() + interval '30 s' where id = %s",
            call_id,
        )
        _put_back(call_id)
        waits.append(world.value("select extract(epoch from due_at - now())::float from call_log"))
        world.do("update call_log set status = 'claimed', overdue_at = now() + interval '30 s' where id = %s", call_id)

    assert 1 < waits[0] < 3
    assert 2 < waits[1] < 6
    assert 200 < waits[-1] < 376


@pytest.mark.parametrize("fate", ["18", "19", "20", "21", "24", "26", "30"])
def test_a_dial_of_unknown_outcome_is_never_put_back_in_the_queue(
    world: World, carrier: RunningSimulator, fate: str
) -> None:
    call_id = world.claimed(to=f"+150055501{fate}")

    dial.dial_call(call_id)
    dial.dial_call(call_id)  # and a repeated nudge changes nothing

    call = world.call(call_id)
    assert (call.status, call.call_sid, call.error_code) == ("initiated", None, None)
    assert call.overdue_at > world.value("select now()")
    assert world.count("dial", "unknown") == 1
    assert len(carrier.log()) == 1


def test_a_phone_rings_once_whatever_is_redelivered(world: World, carrier: RunningSimulator) -> None:
    call_id = world.claimed()
    together = Barrier(8)

    def redelivered() -> None:
        together.wait()
        for _ in range(5):
            dial.dial_call(call_id)

    threads = [Thread(target=redelivered) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(carrier.log()) == 1


@pytest.mark.parametrize("status", ["queued", "initiated", "ringing", "in-progress", "completed", "failed", "canceled"])
def test_only_a_claimed_call_is_dialed(world: World, carrier: RunningSimulator, status: str) -> None:
    call_id = world.claimed()
    world.do("update call_log set status = %s where id = %s", status, call_id)

    dial.dial_call(call_id)

    assert world.call(call_id).status == status
    assert carrier.log() == []


def test_a_call_that_does_not_exist_rings_nobody(world: World, carrier: RunningSimulator) -> None:
    dial.dial_call(4711)

    assert carrier.log() == []


def test_a_stale_put_back_cannot_move_a_dial_that_somebody_else_began(world: World) -> None:
    call_id = world.claimed()
    world.worker()
    begin(call_id)
    db.run(
        dial.sql.put_back, call_id=call_id, fence=1, wait_s=2, reason="ConnectTimeout"
    )  # its answer gets lost on the way to the worker
    world.age(call_id, 600)
    db.run(dispatch.sql.claim_due_calls, **CLAIM)
    second = begin(call_id)

    moved = _put_back(call_id)

    assert moved == 0
    assert world.call(call_id).status == "initiated"
    assert second.fence == 2


def test_a_refusal_that_comes_after_a_callback_adopted_the_call_changes_nothing(world: World) -> None:
    call_id = world.initiated(call_sid="CA" + "1" * 32)

    _refuse(call_id)

    assert world.call(call_id).status == "initiated"
    assert world.count("dial", "refused") == 0


@pytest.mark.rows_only(False)
def test_no_transaction_is_open_while_a_phone_is_asked_for(world: World, carrier: RunningSimulator) -> None:
    call_id = world.claimed(to="+15005550119")
    dialing = Thread(target=dial.dial_call, args=(call_id,))
    dialing.start()
    until(lambda: len(carrier.log()) == 1)

    open_transactions = world.value(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and state like 'idle in transaction%%' and pid <> pg_backend_pid()"
    )

    assert open_transactions == 0
    dialing.join(10)


def test_a_refusal_that_comes_after_the_call_was_closed_is_the_better_reason(
    world: World, nudges: list[object]
) -> None:
    call_id = world.initiated()
    world.age(call_id, 200)
    cleanup.cleanup_stuck_dialing_jobs()

    _refuse(call_id)

    call = world.call(call_id)
    assert (call.status, call.error_code, call.overdue_at) == ("failed", "21211", None)
    assert (world.count("dial", "refused"), world.count("ended", "failed")) == (1, 1)


def test_a_call_that_was_closed_before_we_knew_that_nothing_was_sent_says_so_and_stays_closed(
    world: World, nudges: list[object]
) -> None:
    call_id = world.initiated()
    world.age(call_id, 200)
    cleanup.cleanup_stuck_dialing_jobs()

    _put_back(call_id)

    call = world.call(call_id)
    assert (call.status, call.error_code, call.error_message) == ("failed", "not_sent", "Not sent: ConnectTimeout.")


def test_a_call_that_waits_after_it_was_not_sent_says_why(world: World) -> None:
    call_id = world.initiated()

    _put_back(call_id)

    assert world.call(call_id).error_message == "Not sent: ConnectTimeout."
    world.do("update call_log set status = 'claimed', overdue_at = now() + interval '30 s' where id = %s", call_id)
    begin(call_id)
    assert world.call(call_id).error_message is None


def test_a_nudge_that_comes_after_the_claim_s_deadline_rings_nobody(world: World) -> None:
    call_id = world.claimed()
    world.age(call_id, 31)

    assert begin(call_id) is None

    assert world.statuses() == ["queued"]
    assert world.count("claim", "given_back") == 1


def test_a_call_whose_campaign_ended_or_whose_consent_is_gone_since_its_claim_is_not_begun(world: World) -> None:
    business_id = world.business()
    for place, rule in enumerate(("ends_at = now()", "consent_required = true")):
        campaign_id = world.value(
            "insert into campaign (business_id, name) values (%s, %s) returning id", business_id, rule
        )
        call_id = world.claimed(business_id, f"+1500555010{place}")
        world.do("update call_log set campaign_id = %s where id = %s", campaign_id, call_id)
        world.do(f"update campaign set {rule} where id = %s", campaign_id)  # noqa: S608 (one of the two above)

        assert begin(call_id) is None


def _refuse(call_id: int) -> None:
    refusal = {"error_code": "21211", "error_message": "no such number", "at_fault": None}
    assert db.run(dial.sql.record_refusal, call_id=call_id, fence=1, **refusal) is None


def _put_back(call_id: int) -> int:
    return int(db.run(dial.sql.put_back, call_id=call_id, fence=1, wait_s=2, reason="ConnectTimeout"))


def test_a_claim_whose_moment_has_passed_rings_nobody_and_waits_for_its_next_turn(world: World) -> None:
    call_id = world.claimed()
    world.do("update call_log set dial_by = now() - interval '1 ms'")

    assert begin(call_id) is None, "however soon it could be sent"

    assert (world.call(call_id).status, world.call(call_id).dialed_at) == ("queued", None)
    assert world.count("claim", "given_back") == 1


def test_a_paced_call_that_was_begun_too_late_to_be_sent_goes_back_and_one_without_a_pace_is_sent(
    world: World, carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced, other = world.claimed(to="+15005550102"), world.claimed(to="+15005550103")
    world.do("update call_log set dial_by = now() + interval '1 minute' where id = %s", paced)
    monkeypatch.setattr(dial, "_SEND_S", -120)

    dial.dial_call(paced, other)

    assert [world.call(call_id).status for call_id in (paced, other)] == ["queued", "initiated"]
    assert world.call(paced).error_message == "Not sent: its moment had passed."
    assert [entry["to"] for entry in carrier.log()] == ["+15005550103"]


@pytest.mark.parametrize("scope", ["account", "business", "campaign", "number"])
def test_a_claim_of_a_scope_that_is_paused_rings_nobody(world: World, carrier: RunningSimulator, scope: str) -> None:
    call_id = world.claimed()
    call = world.call(call_id)
    campaign_id = world.value(
        "insert into campaign (business_id, name) values (%s, 'May') returning id", call.business_id
    )
    world.do("update call_log set campaign_id = %s", campaign_id)
    keys = {"account": "", "business": call.business_id, "campaign": campaign_id, "number": call.from_number}
    pause = (
        "insert into dial_control (scope, key, state) values (%s, %s, 'paused')"
        " on conflict (scope, key) do update set state = 'paused'"
    )
    world.do(pause, scope, str(keys[scope]))

    dial.dial_call(call_id)

    assert carrier.log() == []
    assert world.call(call_id).status == "queued"


def test_one_answer_that_cannot_be_written_spoils_none_of_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, refused, taken, unsent = (world.claimed(to=f"+150055502{number:02}") for number in range(4))
    answers: list[Answered] = [
        (odd, CallRefused("21211", "no \0 number")),  # PostgreSQL has no NUL in a text
        (refused, CallRefused("21211", "no such number")),
        (taken, Accepted("CA" + "1" * 32, 0)),
        (unsent, CallNotSent("ConnectionTimeoutError")),
    ]

    class Carrier:
        def place_calls(self, _orders: Sequence[DialOrder]) -> Iterator[list[Answered]]:
            yield answers[:2]
            yield answers[2:]

    monkeypatch.setattr(dial, "carrier", Carrier)

    with pytest.raises(psycopg.DataError):
        dial.dial_call(odd, refused, taken, unsent)

    calls = [world.call(call_id) for call_id in (odd, refused, taken, unsent)]
    assert [call.status for call in calls] == ["initiated", "failed", "initiated", "queued"]
    assert [call.call_sid for call in calls] == [None, None, "CA" + "1" * 32, None]


def test_a_call_whose_text_cannot_be_made_is_set_aside_and_the_others_are_dialed(
    world: World, carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, other = world.claimed(to="+15005550102"), world.claimed(to="+15005550103")
    render, turns = twiml_template.render, iter([True, False])
    monkeypatch.setattr(twiml_template, "render", lambda *given: 1 / 0 if next(turns) else render(*given))

    dial.dial_call(odd, other)

    statuses = {(call.status, call.error_code) for call in map(world.call, (odd, other))}
    assert statuses == {("failed", "odd_row"), ("initiated", None)}
    assert len(carrier.log()) == 1
