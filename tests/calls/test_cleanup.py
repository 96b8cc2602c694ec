"""Close or take back whatever is overdue."""

from threading import Barrier, Thread

import psycopg
import pytest

from outbound import db
from outbound.call import CallEvent
from outbound.calls import cleanup, events
from tests.conftest import World, forget_settings

pytestmark = pytest.mark.rows_only

SID = "CA" + "a" * 32


def test_an_overdue_claim_goes_back_to_the_queue_and_a_fresh_one_stays(world: World, nudges: list[object]) -> None:
    overdue, fresh = world.claimed(to="+15005550101"), world.claimed(to="+15005550102")
    world.age(overdue, 31)

    moved = cleanup.cleanup_stuck_dialing_jobs()

    assert moved["claimed"] == 1
    assert world.call(overdue).status == "queued"
    assert world.call(fresh).status == "claimed"
    assert world.count("cleanup", "claimed") == 1


@pytest.mark.parametrize("status", ["initiated", "ringing", "in-progress"])
def test_a_call_that_never_got_a_call_sid_is_closed_with_its_reason(
    world: World, nudges: list[object], status: str
) -> None:
    stuck = world.initiated()
    world.do("update call_log set status = %s where id = %s", status, stuck)
    world.age(stuck, 106)

    moved = cleanup.cleanup_stuck_dialing_jobs()

    call = world.call(stuck)
    assert moved["no_call_sid"] == 1
    assert (call.status, call.error_code) == ("failed", "no_call_sid")
    assert "No call_sid came within 10" in call.error_message  # seconds; a slow machine adds some
    assert call.ended_at is not None
    assert (world.count("cleanup", "no_call_sid"), world.count("ended", "failed")) == (1, 1)


def test_a_call_without_a_call_sid_is_left_alone_until_the_carrier_was_asked(
    world: World, nudges: list[object]
) -> None:
    waiting = world.initiated()
    world.age(waiting, 100)

    assert cleanup.cleanup_stuck_dialing_jobs()["no_call_sid"] == 0

    assert world.call(waiting).status == "initiated"


def test_a_call_that_has_a_call_sid_is_never_closed_by_clean_up(world: World, nudges: list[object]) -> None:
    live = world.initiated(call_sid=SID)
    world.age(live, 100_000)

    cleanup.cleanup_stuck_dialing_jobs()

    assert world.call(live).status == "initiated"


def test_an_ended_call_without_a_lead_gets_its_nudge_again_once_per_deadline(
    world: World, nudges: list[object]
) -> None:
    call_id = world.initiated(call_sid=SID)
    events.record(call_id, CallEvent(SID, "completed", "callback"))
    nudges.clear()
    assert cleanup.cleanup_stuck_dialing_jobs()["no_lead"] == 0
    world.age(call_id, 31)

    assert cleanup.cleanup_stuck_dialing_jobs()["no_lead"] == 1
    assert cleanup.cleanup_stuck_dialing_jobs()["no_lead"] == 0

    assert nudges == [("create_lead_from_call_job", (SID,))]


def test_clean_up_takes_more_than_one_batch(
    world: World, nudges: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_BATCH_MAX", "2")
    forget_settings()
    business_id = world.business()
    for number in range(5):
        world.age(world.claimed(business_id, f"+1500555020{number}"), 31)

    assert cleanup.cleanup_stuck_dialing_jobs()["claimed"] == 5


def test_what_an_ended_campaign_leaves_in_the_queue_is_canceled_whatever_it_waits_for(
    world: World, nudges: list[object]
) -> None:
    """Before, only what the claim came to was: not where the lane had no room, or the call was paused or not due."""
    business_id = world.business()
    ended, going_on = world.rows(
        "insert into campaign (business_id, name, ends_at) values (%s, 'x', now()), (%s, 'y', now() + interval '1 h')"
        " returning id",
        business_id,
        business_id,
    )
    world.do("insert into dial_control (scope, key, live_max) values ('business', %s, 0)", str(business_id))
    due, later, paused, other, of_none = (world.queued(business_id, f"+1500555010{place}") for place in range(5))
    world.do("update call_log set campaign_id = %s where id <= %s", ended.id, paused)
    world.do("update call_log set campaign_id = %s where id = %s", going_on.id, other)
    world.do("update call_log set due_at = now() + interval '1 day' where id = %s", later)
    world.do("update call_log set paused_at = now() where id = %s", paused)

    assert cleanup.cleanup_stuck_dialing_jobs()["campaign_ended"] == 3

    for call_id in (due, later, paused):
        call = world.call(call_id)
        assert (call.status, call.error_code) == ("canceled", "campaign_ended")
        assert call.error_message == "Its campaign has ended."
        assert call.ended_at is not None
    assert {world.call(call_id).status for call_id in (other, of_none)} == {"queued"}
    assert world.count("cleanup", "campaign_ended") == world.count("refused_by_rule", "campaign_ended") == 3
    assert world.count("ended", "canceled") == 3


def test_what_an_ended_campaign_leaves_stays_while_a_restored_database_is_compared(
    world: World, nudges: list[object]
) -> None:
    call_id = world.queued()
    world.do("insert into campaign (business_id, name, ends_at) select id, 'x', now() from business")
    world.do("update call_log set campaign_id = (select id from campaign)")
    world.do("insert into dialing_stop (cause, reason) values ('recovery', 'It was restored.')")

    assert cleanup.cleanup_stuck_dialing_jobs()["campaign_ended"] == 0

    assert world.call(call_id).status == "queued"


def test_a_rule_that_fails_stops_no_other_rule(world: World, nudges: list[object]) -> None:
    overdue, stuck = world.claimed(to="+15005550101"), world.initiated(to="+15005550102")
    world.age(overdue, 31)
    world.age(stuck, 200)
    world.do("alter table call_log rename column error_message to error_message_gone")  # the old system's death

    moved = cleanup.cleanup_stuck_dialing_jobs()

    assert moved == {"claimed": 1, "no_call_sid": None, "no_lead": 0, "campaign_ended": None}
    assert world.call(overdue).status == "queued"


def test_two_hosts_that_clean_up_at_once_close_each_call_once(world: World, nudges: list[object]) -> None:
    business_id = world.business()
    for number in range(40):
        world.age(world.initiated(business_id, f"+150055502{number:02d}"), 200)
    together = Barrier(4)
    closed = []

    def host() -> None:
        together.wait()
        closed.append(cleanup.cleanup_stuck_dialing_jobs()["no_call_sid"])

    threads = [Thread(target=host) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sum(count or 0 for count in closed) == 40
    assert world.count("cleanup", "no_call_sid") == 40
    assert set(world.statuses()) == {"failed"}


def test_a_callback_that_adopts_a_call_while_clean_up_looks_at_it_wins(world: World, nudges: list[object]) -> None:
    stuck = world.initiated()
    world.age(stuck, 200)
    with psycopg.connect(world.url) as adopting:
        adopting.execute("update call_log set call_sid = %s where id = %s", (SID, stuck))
        together = Thread(target=cleanup.cleanup_stuck_dialing_jobs)
        together.start()
        together.join(10)  # clean-up skips the row that somebody holds
        adopting.commit()

    cleanup.cleanup_stuck_dialing_jobs()

    assert world.call(stuck).status == "initiated"


def test_a_call_that_was_closed_for_want_of_a_call_sid_gets_its_true_status_from_a_late_callback(
    world: World, nudges: list[object]
) -> None:
    stuck = world.initiated()
    world.age(stuck, 200)
    cleanup.cleanup_stuck_dialing_jobs()

    events.record(stuck, CallEvent(SID, "completed", "callback", duration_s=7))

    call = world.call(stuck)
    assert (call.status, call.call_sid, call.error_code, call.duration_s) == ("completed", SID, None, 7)


def test_each_rule_says_when_it_last_succeeded(world: World, nudges: list[object]) -> None:
    cleanup.cleanup_stuck_dialing_jobs()

    tasks = {row.name: row.age for row in world.rows("select name, now() - last_success_at as age from duty")}
    assert set(tasks) == set(cleanup.RULES)
    assert db.run(cleanup.sql.release_overdue_claims, batch_max=1, only_id=None) == []
