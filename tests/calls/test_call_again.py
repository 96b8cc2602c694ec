"""A call is made again as a new call, once and within all rules; one that waits is moved, and never while claimed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from outbound import db, names
from outbound.call import CallEvent
from outbound.calls import call_again, dispatch, enqueue, events, import_calls
from outbound.calls.reschedule import BadRetry
from outbound.rules import suppression
from tests.conftest import CLAIM, World, until

pytestmark = pytest.mark.rows_only

TO = "+15005550101"
FROM = "+15005550006"


def ended(world: World, status: str = "busy", *, error: str | None = None) -> int:
    business_id = world.business("Acme", FROM)
    call_id = world.initiated(business_id, TO, None if error == "no_call_sid" else "CA1")
    world.do(
        "update call_log set status = %s, error_code = %s, ended_at = now(), overdue_at = null where id = %s",
        *(status, error, call_id),
    )
    return call_id


def test_a_retry_is_a_new_call_and_pressed_twice_it_is_one(world: World) -> None:
    old = ended(world)
    world.do("update call_log set contact = '{\"name\": \"Dana\"}', time_zone = 'Asia/Jerusalem' where id = %s", old)

    year = datetime.now(UTC).year + 1
    first = call_again.retry(old, at=f"{year}-02-03T09:00", reason="she asked", actor="Dana")
    second = call_again.retry(old, actor="Dana")

    assert (first.created, first.was, second.created, second.is_retry) == (True, "busy", False, True)
    assert second.call_id == first.call_id != old
    new, before = world.call(first.call_id), world.call(old)
    assert new.due_at == datetime(year, 2, 3, 7, tzinfo=UTC), "nine o'clock of the callee"
    assert (first.due or "")[4:] == f"{year}-02-03 09:00 Asia/Jerusalem"
    assert (new.status, new.to_number, new.from_number, new.contact) == ("queued", TO, FROM, {"name": "Dana"})
    assert (new.idempotency_key, new.attempt, new.retry_of, new.time_zone) == (
        f"again:{old}",
        1,
        None,
        "Asia/Jerusalem",
    )
    assert before.status == "busy"
    assert world.value("select count(*) from call_log") == 2
    notes = world.rows("select who, key, details ->> 'reason' as reason from audit where action = 'retry' order by id")
    assert notes == [("Dana", str(old), "she asked"), ("Dana", str(old), None)]


def test_pressed_again_for_another_moment_it_says_for_which_one_the_call_waits(world: World) -> None:
    """The moment that was given came back as the call's, which waited for the first one."""
    old, year = ended(world), datetime.now(UTC).year + 1
    call_again.retry(old, at=f"{year}-02-03T09:00Z")

    other, now = call_again.retry(old, at=f"{year}-02-03T10:00Z"), call_again.retry(old)

    assert (other.created, other.due, now.due) == (False, None, None)
    for note in (other.note, now.note):
        assert note is not None
        assert "the call waits for " in note
        assert f"{year}-02-03" in note


def test_a_call_that_a_version_before_took_with_utc_is_made_again_by_the_clocks_of_its_number(world: World) -> None:
    old = ended(world)
    world.do("update call_log set time_zone = 'UTC' where id = %s", old)

    again = call_again.retry(old)

    assert (again.created, world.call(again.call_id).time_zone) == (True, None)


def test_two_who_press_at_once_make_one_call(world: World) -> None:
    old = ended(world)

    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: call_again.retry(old).call_id, range(4)))

    assert len(set(made)) == 1
    assert world.value("select count(*) from call_log") == 2


def test_a_call_that_is_live_is_not_made_again(world: World) -> None:
    call_id = world.queued(world.business("Acme", FROM), TO)

    for status in ("queued", "claimed", "initiated", "ringing", "in-progress"):
        world.do(
            "update call_log set status = %s, call_sid = %s, overdue_at = now() + interval '1 min'",
            *(status, None if status in ("queued", "claimed") else "CA1"),
        )
        with pytest.raises(BadRetry, match=f"call {call_id} is live: {status}"):
            call_again.retry(call_id)
    assert world.value("select count(*) from call_log") == 1


def test_a_call_that_may_still_be_ringing_is_not_made_again_until_the_carrier_was_asked(world: World) -> None:
    old = ended(world, "failed", error="no_call_sid")
    world.do("update call_log set overdue_at = now() + interval '1 min' where id = %s", old)

    with pytest.raises(BadRetry, match="nobody knows yet whether"):
        call_again.retry(old)
    world.do("update call_log set overdue_at = null where id = %s", old)
    again = call_again.retry(old)

    assert (again.created, again.may_have_rung) == (True, True)
    # The carrier's word of the old call comes late: it does not ring beside the new one.
    events.record(old, CallEvent("CA9", "ringing", "lookup", to_number=TO))
    assert world.call(old).status == "failed"


def test_where_another_call_to_the_number_is_live_nothing_is_added(world: World) -> None:
    old = ended(world)
    live = world.queued(world.call(old).business_id, TO)

    again = call_again.retry(old)

    assert (again.call_id, again.created, again.is_retry) == (live, False, False)


def test_a_retry_keeps_to_every_rule(world: World, nudges: list[object]) -> None:
    old = ended(world)
    business_id = world.call(old).business_id
    suppression.suppress(TO, actor="Dana", business_id=business_id, reason="asked us")
    world.worker()

    again = call_again.retry(old)
    dispatch.dispatch_once()

    assert (world.call(again.call_id).status, world.call(again.call_id).error_code) == ("canceled", "suppressed")


def test_a_call_that_came_in_or_may_not_be_called_is_not_made_again(world: World) -> None:
    old = ended(world)
    world.do("update call_log set direction = 'inbound' where id = %s", old)
    with pytest.raises(BadRetry, match="came in"):
        call_again.retry(old)
    world.do("update call_log set direction = 'outbound' where id = %s", old)
    world.do("update business set twiml = null, voice_url = null")
    with pytest.raises(enqueue.BadCall, match="has nothing to say"):
        call_again.retry(old)
    with pytest.raises(names.NoSuchName, match="there is no call 999"):
        call_again.retry(999)
    world.do("update business set twiml = '<Response/>'")
    with pytest.raises(enqueue.BadCall, match="may not begin with again:"):
        enqueue.enqueue(business_id=1, to_number=TO, key=f"again:{old}")
    assert world.value("select count(*) from call_log") == 1


def test_whom_a_batch_has_reached_is_rung_again_by_a_retry_alone(world: World, tmp_path: Path) -> None:
    business_id = world.business("Acme", FROM)
    file = tmp_path / "list.csv"
    file.write_text(f"to\n{TO}\n")
    end = "update call_log set status = 'completed', ended_at = now(), dialed_at = now() where status = 'queued'"
    import_calls.import_calls(file, business_id=business_id)
    world.do(end)
    (old,) = (row.id for row in world.rows("select id from call_log"))

    again = call_again.retry(old)
    meanwhile = import_calls.import_calls(file, business_id=business_id, again=True)
    world.do(end)
    afterwards = import_calls.import_calls(file, business_id=business_id, again=True)

    assert again.created
    assert [world.call(call_id).batch_id for call_id in (old, again.call_id)] == [1, None]
    assert (meanwhile.created, afterwards.created) == (0, 0)
    assert call_again.retry(old).created is False
    assert world.value("select count(*) from call_log") == 2


# At another time.


def test_a_call_that_waits_is_moved_by_the_callees_clocks_and_asks_its_rules_anew(world: World) -> None:
    call_id = world.queued(to="+97235550101")
    world.do("update call_log set held_by = 'outside_window', due_at = now() + interval '3 days'")
    year = datetime.now(UTC).year + 1

    moved = call_again.reschedule(call_id, f"{year}-02-03T09:00", reason="she asked", actor="Dana")

    call = world.call(call_id)
    assert (moved.zone, moved.zone_is) == ("Asia/Jerusalem", "the callee's")
    assert call.due_at == moved.at == datetime(year, 2, 3, 7, tzinfo=UTC)
    assert (call.status, call.held_by) == ("queued", None)
    ((who, key, details),) = world.rows("select who, key, details from audit where action = 'reschedule'")
    assert (who, key, details["reason"]) == ("Dana", str(call_id), "she asked")
    assert datetime.fromisoformat(details["to"]) == call.due_at
    call_again.reschedule(call_id, "now")
    assert world.value("select due_at <= now() from call_log")


def test_a_moment_that_is_none_moves_nothing(world: World) -> None:
    call_id = world.queued()
    before = world.call(call_id).due_at

    for at, refusal in (
        ("yesterday", "--at is not a date and time"),
        ("2026-11-30", "--at is a date without a time"),
        ("2020-01-01T09:00", "2020-01-01 09:00 .* is past"),
        ("2150-01-01T09:00", "more than 10 years ahead"),
    ):
        with pytest.raises(BadRetry, match=refusal):
            call_again.reschedule(call_id, at)
    assert world.call(call_id).due_at == before


def test_a_call_that_does_not_wait_is_not_moved(world: World) -> None:
    business_id = world.business()
    claimed, ringing = world.claimed(business_id), world.initiated(business_id, "+15005550102", "CA1")
    waiting = world.queued(business_id, "+15005550103")
    campaign = "insert into campaign (business_id, name, ends_at) values (%s, 'x', now() + interval '1 h') returning id"
    world.do("update call_log set campaign_id = %s where id = %s", world.value(campaign, business_id), waiting)
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    for call_id, status in ((claimed, "claimed"), (ringing, "initiated")):
        with pytest.raises(BadRetry, match=f"does not wait any more: {status}$"):
            call_again.reschedule(call_id, tomorrow)
    with pytest.raises(BadRetry, match="its campaign ends before"):
        call_again.reschedule(waiting, tomorrow)
    assert world.value("select count(*) from audit where action = 'reschedule'") == 0


def test_a_claim_that_had_looked_at_a_call_before_it_was_moved_leaves_it_until_it_is_due(world: World) -> None:
    call_id = world.queued()
    world.worker()
    # The claim stops between its look at the queue and its locks, as long as somebody holds this lock.
    world.do("alter function call_windows(bigint, bigint) rename to call_windows_of")
    world.do(
        "create function call_windows(bigint, bigint) returns bigint[] language plpgsql as $$ begin"
        " perform pg_advisory_lock(4711); perform pg_advisory_unlock(4711); return call_windows_of($1, $2); end $$"
    )
    waits = "select count(*) from pg_locks where locktype = 'advisory' and objid = 4711 and not granted"

    with ThreadPoolExecutor(1) as threads, psycopg.connect(world.url) as holder:
        holder.execute("select pg_advisory_lock(4711)")
        claim = threads.submit(db.run, dispatch.sql.claim_due_calls, **CLAIM)
        until(lambda: world.value(waits) == 1)
        call_again.reschedule(call_id, datetime.now(UTC) + timedelta(hours=1))
        holder.execute("select pg_advisory_unlock(4711)")
        taken = claim.result(30)

    assert taken == []
    assert world.call(call_id).status == "queued"


def test_who_claims_first_has_the_call(world: World) -> None:
    call_id = world.queued()
    world.worker()

    with psycopg.connect(world.url) as claim:
        claim.execute("set outbound.carrier = 'simulator'")
        claim.execute("update call_log set status = 'claimed', overdue_at = now() + interval '30 s'")
        with ThreadPoolExecutor(1) as threads:
            moving = threads.submit(call_again.reschedule, call_id, datetime.now(UTC) + timedelta(hours=1))
            until(lambda: world.value("select count(*) from pg_locks where not granted") > 0)
            claim.commit()
            with pytest.raises(BadRetry, match="does not wait any more: claimed"):
                moving.result(30)
