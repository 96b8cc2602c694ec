"""What became of a call can be read: who did what, when by the callee's clocks, why, and what came of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from outbound.call import CallEvent
from outbound.calls import call_again, call_timeline, enqueue, events, import_calls, lead
from outbound.rules import control
from outbound.rules.scope import scope_of
from tests.cli.test_cli import _outbound
from tests.conftest import World, begin

pytestmark = pytest.mark.rows_only

TO = "+97235550101"


def how_it_ended(timeline: call_timeline.Timeline) -> str | None:
    return None if timeline.ending is None else timeline.ending.sentence


def whole(timeline: call_timeline.Timeline) -> list[tuple[str, str | None, str | None]]:
    return [(entry.what, entry.by, entry.why) for entry in timeline.entries]


def report(call_id: int, status: str, sequence: int, **rest: Any) -> None:
    events.record(call_id, CallEvent("CA1", status, "callback", TO, sequence_number=sequence, **rest))


def test_a_call_tells_its_whole_life_by_the_callees_clocks(world: World, nudges: list[object]) -> None:
    business_id = world.business("Acme", "+97231234567")
    world.do("update business set time_zone = 'Europe/London' where id = %s", business_id)
    call_id = enqueue.enqueue(business_id=business_id, to_number=TO).call_id
    control.pause(scope_of("business", "Acme"), reason="lunch", actor="Dana")
    control.resume(scope_of("business", "Acme"), actor="Dana")
    world.do("update call_log set status = 'claimed', fence = 1, overdue_at = now() + interval '30 s'")
    begin(call_id)
    report(call_id, "ringing", 1)
    report(call_id, "in-progress", 2, answered_by="human")
    report(call_id, "completed", 3, duration_s=42, payload={"SipResponseCode": "200", "CallDuration": "42"})
    lead._create("CA1")

    timeline = call_timeline.of(call_id)

    assert (timeline.zone, timeline.zone_is) == ("Asia/Jerusalem", "the callee's")
    told = whole(timeline)
    assert told[0][:1] == ("put in the queue",)
    assert told[0][1] is not None, "somebody put it in the queue"
    assert ("paused: business 1", "Dana", "lunch") in told
    assert ("resumed: business 1", "Dana", None) in told
    assert ("dialed from +97231234567", None, None) in told
    assert ("the carrier: ringing", None, None) in told
    assert ("the carrier: completed", None, "SIP 200, seconds 42") in told
    assert ("ended: completed after 42 s", None, None) in told
    assert how_it_ended(timeline) == (
        "the callee hung up, or what the call played came to its end: the carrier does not say which"
    )
    assert timeline.call["lead_id"] == 1
    assert [entry.at for entry in timeline.entries] == sorted(entry.at for entry in timeline.entries)


def test_it_says_who_hung_up_and_why(world: World) -> None:
    business_id = world.business("Acme")
    stopped = world.initiated(business_id, "+97235550102", "CA2")
    long = world.initiated(business_id, "+97235550103", "CA3")
    canceled = world.queued(business_id, "+97235550104")
    failed = world.initiated(business_id, "+97235550105", "CA5")
    control.stop(scope_of("call", str(stopped)), reason="complaint", actor="Dana")
    control.cancel(scope_of("call", str(canceled)), reason="wrong list", actor="Uri")
    end = "update call_log set status = %s, duration_s = %s, ended_at = now(), overdue_at = null where id = %s"
    world.do(end, "completed", 7, stopped)
    world.do(end, "completed", 900, long)
    world.do(end, "failed", None, failed)
    world.do("update call_log set error_code = 'sip_404', error_message = 'No such number.' where id = %s", failed)

    assert how_it_ended(call_timeline.of(stopped)) == "Dana stopped it: complaint"
    assert how_it_ended(call_timeline.of(canceled)) == "Uri canceled it: wrong list"
    assert how_it_ended(call_timeline.of(long)) == "the carrier hung up at the time limit of 900 s"
    assert how_it_ended(call_timeline.of(failed)) == "sip_404: No such number."


def test_it_says_what_holds_it_and_which_calls_belong_to_it(world: World) -> None:
    business_id = world.business("Acme")
    first = world.initiated(business_id, TO, "CA1")
    world.do("update call_log set status = 'busy', ended_at = now(), overdue_at = null where id = %s", first)
    second = world.queued(business_id, TO)
    world.do(
        "update call_log set attempt = 2, retry_of = %s, held_by = 'outside_window', due_at = now() + interval '1 h'"
        " where id = %s",
        *(first, second),
    )

    waiting = call_timeline.of(second)

    assert [(one["id"], one["status"]) for one in waiting.attempts] == [(first, "busy"), (second, "queued")]
    assert whole(waiting)[0] == (
        "put in the queue as attempt 2",
        f"the retry policy, after attempt 1 of call {first}",
        None,
    )
    assert whole(waiting)[-1] == ("held until then", None, "It is outside the calling hours at the callee's.")
    control.cancel(scope_of("call", str(second)))
    again = call_again.retry(first).call_id
    assert call_timeline.of(first).again_id == again
    assert call_timeline.of(again).again_for_id == first
    assert whole(call_timeline.of(again))[0][1] is not None


def test_what_happened_in_one_second_stands_in_the_order_of_a_calls_life(world: World) -> None:
    second = datetime(2026, 11, 24, 12, tzinfo=UTC)
    call_id = world.initiated(world.business("Acme"), TO, "CA1")
    world.do(
        "update call_log set created_at = %s, dialed_at = %s, status = 'completed', ended_at = %s, overdue_at = null",
        *(second + timedelta(seconds=0.4), second + timedelta(seconds=0.5), second),
    )
    for status, received_s in (("completed", 0.9), ("ringing", 0.8), ("initiated", 0.7)):
        world.do(
            "insert into call_event (call_id, call_sid, status, source, occurred_at, received_at)"
            " values (%s, 'CA1', %s, 'callback', %s, %s)",
            *(call_id, status, second, second + timedelta(seconds=received_s)),
        )

    assert [entry.what for entry in call_timeline.of(call_id).entries] == [
        "put in the queue",
        "dialed from +15005550006",
        "the carrier: initiated",
        "the carrier: ringing",
        "the carrier: completed",
        "ended: completed",
    ]


def test_of_a_call_that_was_never_dialed_nobody_hung_up(world: World, database: str, tmp_path: Path) -> None:
    business_id = world.business("Acme")
    call_id = world.queued(business_id, TO)
    control.cancel(scope_of("call", str(call_id)), reason="wrong list", actor="Uri")
    refused = world.queued(business_id, "+97235550104")
    world.do(
        "update call_log set status = 'canceled', ended_at = now(), error_code = 'suppressed',"
        " error_message = 'The number is on a do-not-call list.' where id = %s",
        refused,
    )

    outbound = _outbound(database, tmp_path)
    shown, other = (" ".join(outbound("call", "show", f"id:{one}").stdout.split()) for one in (call_id, refused))

    assert "how it ended: Uri canceled it: wrong list" in shown
    assert "ended: canceled │ Uri │ wrong list" in shown
    assert "how it ended: suppressed: The number is on a do-not-call list." in other
    assert "hung up" not in shown + other


def test_it_says_who_imported_it(world: World, tmp_path: Any) -> None:
    business_id = world.business("Acme")
    (tmp_path / "november.csv").write_text(f"to\n{TO}\n")
    import_calls.import_calls(tmp_path / "november.csv", business_id=business_id, actor="Noa")

    first = whole(call_timeline.of(1))[0]

    assert first == ("put in the queue from november.csv", "Noa", None)
