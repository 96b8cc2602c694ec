"""Write down what the carrier says happened, in any order."""

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from outbound.call import FINAL, IN_THE_AIR, STATUSES, WAITING, CallEvent
from outbound.calls import events as callback
from tests.conftest import World, until

pytestmark = pytest.mark.rows_only

Nudges = list[tuple[str, tuple[Any, ...]]]

BEGAN_AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
LIFE = ("initiated", "ringing", "in-progress", "completed")

# Deadlines that the default settings make, in seconds.
RING_S, TALK_S, LEAD_S, RELOOK_S = 30 + 30, 900 + 30, 30, 10


def _sid(number: int = 1) -> str:
    return f"CA{number:032d}"


def _phone(number: int) -> str:
    return f"+1500555{number:04d}"


def _report(status: str, call_sid: str = _sid(), source: Any = "callback", **more: Any) -> CallEvent:
    """A report of an ordinary call, whose events lie a second apart."""
    number = LIFE.index(status) if status in LIFE else 3
    told: dict[str, Any] = {"sequence_number": number, "occurred_at": BEGAN_AT + timedelta(seconds=number)}
    if status in FINAL:
        told |= {"duration_s": 7 if status == "completed" else 0, "sip_code": 200 if status == "completed" else 487}
    return CallEvent(call_sid=call_sid, status=status, source=source, **(told | more))


def _created(call_sid: str = _sid()) -> CallEvent:
    return CallEvent(call_sid=call_sid, status="initiated", source="create")


def _call_in(world: World, status: str, business_id: int, number: int = 1, call_sid: str | None = None) -> int:
    """A call in this status; `number` makes its phone."""
    if status == "queued":
        return world.queued(business_id, _phone(number))
    if status == "claimed":
        return world.claimed(business_id, _phone(number))
    call_id = world.initiated(business_id, _phone(number), call_sid)
    if status != "initiated":
        world.do("update call_log set status = %s where id = %s", status, call_id)
    return call_id


def _closed(world: World, error_code: str, business_id: int, number: int = 1, call_sid: str | None = None) -> int:
    """A call that ended as failed, for this reason."""
    call_id = world.initiated(business_id, _phone(number), call_sid)
    world.do(
        "update call_log set status = 'failed', error_code = %s, error_message = 'said then',"
        " ended_at = '2026-11-01 12:01+00', overdue_at = null where id = %s",
        error_code,
        call_id,
    )
    return call_id


def _events(world: World, call_id: int) -> int:
    return int(world.value("select count(*) from call_event where call_id = %s", call_id))


def _deadline_s(world: World, call_id: int) -> Any:
    """How many seconds a call still has."""
    return world.value("select extract(epoch from overdue_at - now())::float8 from call_log where id = %s", call_id)


def _about(seconds: float) -> Any:
    return pytest.approx(seconds, abs=5)


def _snapshot(world: World) -> list[Any]:
    """Every row that a report could change, without the time at which it was written."""
    tables = "select to_jsonb(call_log) - 'updated_at' from call_log order by id", "select * from call_event"
    return [world.rows(query) for query in tables]


# Forward, never backward


def test_every_live_status_is_moved_by_each_word_that_is_further_along(world: World, nudges: Nudges) -> None:
    business_id, number = world.business(), 0
    for position, start in enumerate(IN_THE_AIR):
        for word in IN_THE_AIR[position + 1 :] + FINAL:
            number += 1
            call_id = _call_in(world, start, business_id, number, _sid(number))

            result = callback.record(call_id, _report(word, _sid(number)))

            assert (result, world.call(call_id).status) == ("moved", word)
            world.do("delete from call_event where call_id = %s", call_id)
            world.do("delete from call_log where id = %s", call_id)


def test_no_report_moves_a_call_backwards(world: World, nudges: Nudges) -> None:
    business_id, number = world.business(), 0
    for position, start in enumerate(IN_THE_AIR):
        for word in IN_THE_AIR[: position + 1]:
            number += 1
            call_id = _call_in(world, start, business_id, number, _sid(number))
            before = world.call(call_id)

            result = callback.record(call_id, _report(word, _sid(number)))

            assert (result, world.call(call_id).status) == ("unchanged", start)
            assert world.call(call_id).overdue_at == before.overdue_at
            assert _events(world, call_id) == 1


def test_an_ended_call_stays_as_it_ended(world: World, nudges: Nudges) -> None:
    business_id, number = world.business(), 0
    for end in FINAL:
        number += 1
        call_id = _call_in(world, "initiated", business_id, number, _sid(number))
        callback.record(call_id, _report(end, _sid(number)))
        before = world.call(call_id)
        for word in IN_THE_AIR + FINAL + ("unheard-of",):
            if word == end:
                continue

            callback.record(call_id, _report(word, _sid(number)))

            after = world.call(call_id)
            kept = ("status", "ended_at", "error_code", "error_message", "overdue_at")
            assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]


def test_the_same_report_twice_is_one_event_and_one_move(world: World, nudges: Nudges) -> None:
    call_id = world.initiated(call_sid=_sid())

    results = [callback.record(call_id, _report("ringing")) for _ in range(3)]

    assert results == ["moved", "unchanged", "unchanged"]
    assert _events(world, call_id) == 1


def test_an_event_is_kept_word_for_word(world: World, nudges: Nudges) -> None:
    call_id = world.initiated(call_sid=_sid())

    callback.record(call_id, _report("ringing", payload={"CallStatus": "ringing", "StirStatus": "B", "Extra": "%?:x"}))

    event = world.rows("select * from call_event")[0]
    assert event.payload == {"CallStatus": "ringing", "StirStatus": "B", "Extra": "%?:x"}
    assert (event.call_sid, event.source, event.status) == (_sid(), "callback", "ringing")
    assert (event.sequence_number, event.occurred_at) == (1, BEGAN_AT + timedelta(seconds=1))


# Any order


def test_in_whatever_order_and_however_often_they_come_the_reports_end_in_the_same_row(
    world: World, nudges: Nudges
) -> None:
    business_id, number = world.business(), 0
    for order in itertools.permutations(LIFE):
        for words in (order, [word for word in order for _ in range(2)], order * 2):
            number += 1
            call_id = _call_in(world, "initiated", business_id, number)

            for word in words:
                callback.record(call_id, _report(word, _sid(number)))

            call = world.call(call_id)
            assert (call.status, call.call_sid, call.error_code, call.duration_s) == (
                "completed",
                _sid(number),
                None,
                7,
            )
            assert call.answered_at == BEGAN_AT + timedelta(seconds=2), words
            assert call.ended_at == BEGAN_AT + timedelta(seconds=3)
            assert _deadline_s(world, call_id) == _about(LEAD_S)
            assert _events(world, call_id) == len(LIFE)
            assert ("create_lead_from_call_job", (_sid(number),)) in nudges

    assert world.count("ended", "completed") == number
    assert world.count("report.callback", "moved") + world.count("report.callback", "unchanged") == number * len(LIFE)


def test_wherever_the_create_answer_falls_among_the_callbacks_the_row_ends_the_same(
    world: World, nudges: Nudges
) -> None:
    business_id = world.business()
    for position in range(len(LIFE) + 1):
        call_id = _call_in(world, "initiated", business_id, position)
        reports = [_report(word, _sid(position)) for word in LIFE]
        reports.insert(position, _created(_sid(position)))

        for report in reports:
            callback.record(call_id, report)

        call = world.call(call_id)
        assert (call.status, call.ended_at) == ("completed", BEGAN_AT + timedelta(seconds=3))
        assert _deadline_s(world, call_id) == _about(LEAD_S)


def test_many_reports_at_once_end_in_the_same_row(world: World, nudges: Nudges) -> None:
    business_id = world.business()
    calls = {number: _call_in(world, "initiated", business_id, number) for number in range(3)}
    told = [(calls[number], _report(word, _sid(number))) for number in calls for word in LIFE for _ in range(10)]
    random.Random(2).shuffle(told)

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda each: callback.record(*each), told))

    assert set(results) <= {"moved", "unchanged"}
    for number, call_id in calls.items():
        call = world.call(call_id)
        assert (call.status, call.call_sid) == ("completed", _sid(number))
        assert (call.answered_at, call.ended_at) == tuple(BEGAN_AT + timedelta(seconds=s) for s in (2, 3))
        assert _deadline_s(world, call_id) == _about(LEAD_S)
        assert _events(world, call_id) == len(LIFE)
    taken = world.count("report.callback", "moved") + world.count("report.callback", "unchanged")
    assert taken == len(told) / 10  # repeated ones change nothing, not even a count
    assert world.count("ended", "completed") == len(calls)


def test_an_answer_that_a_look_up_saw_late_gets_its_true_time_from_the_callback(world: World, nudges: Nudges) -> None:
    call_id = world.initiated(call_sid=_sid())
    callback.record(call_id, CallEvent(call_sid=_sid(), status="in-progress", source="lookup"))

    callback.record(call_id, _report("in-progress"))

    assert world.call(call_id).answered_at == BEGAN_AT + timedelta(seconds=2)


# Deadlines and the lead


def test_each_state_gets_the_deadline_that_fits_it(world: World, nudges: Nudges) -> None:
    call_id = world.initiated()
    seen = []

    for report in (_created(), _report("ringing"), _report("in-progress"), _report("completed")):
        world.do("update call_log set overdue_at = now() where id = %s", call_id)
        callback.record(call_id, report)
        seen.append(_deadline_s(world, call_id))

    assert seen == [_about(RING_S), _about(RING_S), _about(TALK_S), _about(LEAD_S)]


def test_the_lead_is_nudged_once_when_somebody_answers(world: World, nudges: Nudges) -> None:
    call_id = world.initiated()
    counts = []

    for report in (_created(), _report("initiated"), _report("ringing"), _report("in-progress"), _report("completed")):
        callback.record(call_id, report)
        counts.append(len(nudges))

    assert counts == [0, 0, 0, 1, 1]
    assert nudges == [("create_lead_from_call_job", (_sid(),))]


@pytest.mark.parametrize("before", [(), ("ringing",)])
def test_the_lead_of_a_call_that_nobody_answered_is_nudged_at_its_end(
    world: World, nudges: Nudges, before: tuple[str, ...]
) -> None:
    call_id = world.initiated()
    for status in before:
        callback.record(call_id, _report(status))

    callback.record(call_id, _report("no-answer"))

    assert nudges == [("create_lead_from_call_job", (_sid(),))]


def test_a_report_that_is_told_again_nudges_again_for_its_first_nudge_may_be_lost(world: World, nudges: Nudges) -> None:
    call_id = world.initiated()
    for _ in range(2):
        callback.record(call_id, _report("completed"))

    assert len(nudges) == 2


def test_a_call_that_has_its_lead_needs_no_nudge_and_has_no_deadline_at_its_end(world: World, nudges: Nudges) -> None:
    call_id = world.initiated(call_sid=_sid())
    world.do(
        "with lead as (insert into leads (business_id, phone) select business_id, to_number from call_log returning id)"
        " update call_log set lead_id = lead.id from lead"
    )

    callback.record(call_id, _report("completed"))

    assert world.call(call_id).overdue_at is None
    assert nudges == []


def test_a_look_up_without_news_gives_a_live_call_a_new_deadline(world: World, nudges: Nudges) -> None:
    business_id = world.business()
    for number, status in enumerate(IN_THE_AIR):
        call_id = _call_in(world, status, business_id, number, _sid(number))
        world.age(call_id, 120)

        result = callback.record(call_id, CallEvent(call_sid=_sid(number), status=status, source="lookup"))

        assert result == "unchanged"
        assert _deadline_s(world, call_id) == _about(RELOOK_S)


def test_a_look_up_without_news_leaves_an_ended_call_alone(world: World, nudges: Nudges) -> None:
    call_id = world.initiated(call_sid=_sid())
    callback.record(call_id, _report("completed"))
    world.age(call_id, 100)
    before = world.call(call_id)

    for source in ("lookup", "callback"):
        callback.record(call_id, _report("completed", source=source))

    assert world.call(call_id)._replace(updated_at=None) == before._replace(updated_at=None)


# Adoption


def test_a_callback_that_comes_before_the_dial_is_written_still_finds_its_call(world: World, nudges: Nudges) -> None:
    call_id = world.initiated()

    assert callback.record(call_id, _report("initiated")) == "unchanged"

    adopted = world.call(call_id)
    assert (adopted.status, adopted.call_sid) == ("initiated", _sid())
    assert _deadline_s(world, call_id) == _about(RING_S)

    callback.record(call_id, _report("ringing"))
    before = world.call(call_id)
    assert callback.record(call_id, _created()) == "unchanged"
    assert world.call(call_id)._replace(updated_at=None) == before._replace(updated_at=None)


def test_a_call_that_we_believed_unsent_leaves_the_queue_when_the_carrier_answers_that_it_has_it(
    world: World, nudges: Nudges
) -> None:
    business_id, number = world.business(), 0
    for waiting in WAITING:
        for word in ("queued", "initiated", "ringing", "completed", "claimed", "unheard-of"):
            number += 1
            call_id = _call_in(world, waiting, business_id, number)

            result = callback.record(call_id, _report(word, _sid(number), source="lookup"))

            call = world.call(call_id)
            assert (result, call.call_sid) == ("moved", _sid(number))
            assert call.status == (word if word in LIFE else "initiated")
            assert call.dialed_at is not None
            assert _deadline_s(world, call_id) == _about(LEAD_S if word == "completed" else RING_S)


def test_a_report_with_another_call_sid_changes_nothing(world: World, nudges: Nudges) -> None:
    business_id = world.business()
    calls = [_call_in(world, status, business_id, number, _sid(number)) for number, status in enumerate(IN_THE_AIR)]
    calls.append(_closed(world, "no_call_sid", business_id, 8, _sid(8)))
    before = _snapshot(world)

    results = {callback.record(call_id, _report("completed", _sid(9))) for call_id in calls}

    assert results == {"other_call_sid"}
    assert _snapshot(world) == before
    assert nudges == []


def test_a_report_of_a_call_that_is_not_ours_changes_nothing(world: World, nudges: Nudges) -> None:
    world.initiated()
    before = _snapshot(world)

    assert callback.record(999_999, _report("completed")) == "unknown_call"
    assert callback.record_by_call_sid(_report("completed")) == "unknown_call"

    assert _snapshot(world) == before
    assert nudges == []
    assert world.rows("select from counter") == []


def test_an_unknown_word_is_kept_and_moves_nothing_but_adopts(world: World, nudges: Nudges) -> None:
    business_id = world.business()
    fresh = _call_in(world, "initiated", business_id, 1)
    ringing = _call_in(world, "ringing", business_id, 2, _sid(2))

    results = [
        callback.record(call_id, _report("transmogrified", _sid(number)))
        for number, call_id in ((1, fresh), (2, ringing))
    ]

    assert results == ["unknown_status", "unknown_status"]
    assert (world.call(fresh).status, world.call(fresh).call_sid) == ("initiated", _sid(1))
    assert world.call(ringing).status == "ringing"
    assert world.value("select count(*) from call_event where status = 'transmogrified'") == 2
    assert world.count("report.callback", "unknown_status") == 2


# The truth that comes late


@pytest.mark.parametrize("error_code", ["no_call_sid", "several_candidates"])
def test_a_call_closed_for_want_of_a_call_sid_gets_its_true_end(world: World, nudges: Nudges, error_code: str) -> None:
    business_id = world.business()
    for number, end in enumerate(FINAL):
        call_id = _closed(world, error_code, business_id, number)

        result = callback.record(call_id, _report(end, _sid(number)))

        call = world.call(call_id)
        assert (result, call.status, call.call_sid) == ("moved", end, _sid(number))
        assert (call.error_code, call.error_message) == (
            ("sip_487", "The carrier could not complete the call.") if end == "failed" else (None, None)
        )
        assert call.ended_at == BEGAN_AT + timedelta(seconds=3)
        assert _deadline_s(world, call_id) == _about(LEAD_S)
        assert callback.record(call_id, _report("busy", _sid(number), sequence_number=9)) == "unchanged"


@pytest.mark.parametrize("error_code", ["no_call_sid", "several_candidates"])
def test_a_closed_call_lives_again_where_nobody_has_its_number(world: World, nudges: Nudges, error_code: str) -> None:
    business_id = world.business()
    for number, word in enumerate(IN_THE_AIR):
        call_id = _closed(world, error_code, business_id, number)

        callback.record(call_id, _report(word, _sid(number)))

        call = world.call(call_id)
        assert (call.status, call.call_sid) == (word, _sid(number))
        assert (call.error_code, call.error_message, call.ended_at) == (None, None, None)
        assert _deadline_s(world, call_id) == _about(TALK_S if word == "in-progress" else RING_S)


def test_a_closed_call_whose_number_another_live_call_holds_waits_for_its_end(world: World, nudges: Nudges) -> None:
    business_id = world.business()
    for number, holder in enumerate(status for status in STATUSES if status not in FINAL):
        call_id = _closed(world, "no_call_sid", business_id, number)
        _call_in(world, holder, business_id, number)

        results = [callback.record(call_id, _report(word, _sid(number))) for word in ("ringing", "in-progress")]

        assert results == ["unchanged", "unchanged"]
        waiting = world.call(call_id)
        assert (waiting.status, waiting.error_code, waiting.call_sid) == ("failed", "no_call_sid", _sid(number))
        assert _events(world, call_id) == 2

        assert callback.record(call_id, _report("completed", _sid(number))) == "moved"
        ended = world.call(call_id)
        assert (ended.status, ended.error_code) == ("completed", None)
        assert ended.answered_at == BEGAN_AT + timedelta(seconds=2)


def test_calls_that_do_not_hold_the_number_do_not_keep_a_closed_one_from_living(world: World, nudges: Nudges) -> None:
    business_id = world.business()
    call_id = _closed(world, "no_call_sid", business_id)
    _closed(world, "21211", business_id)
    _call_in(world, "ringing", world.business("Other"), call_sid=_sid(2))
    world.do(
        "insert into call_log (business_id, direction, from_number, to_number, call_sid, status, overdue_at)"
        " values (%s, 'inbound', '+15005550009', %s, %s, 'ringing', now())",
        business_id,
        _phone(1),
        _sid(3),
    )

    assert callback.record(call_id, _report("ringing")) == "moved"


def test_a_call_that_failed_for_any_other_reason_stays_failed(world: World, nudges: Nudges) -> None:
    business_id = world.business()
    for number, code in enumerate(("21211", "sip_404", "carrier_failed", "not_sent")):
        for call_sid in (_sid(2 * number), None):
            call_id = _closed(world, code, business_id, number, call_sid)

            for word in (*LIFE, "busy"):
                callback.record(call_id, _report(word, call_sid or _sid(2 * number + 1)))

            call = world.call(call_id)
            assert (call.status, call.error_code, call.error_message) == ("failed", code, "said then")
            assert call.ended_at == datetime(2026, 11, 1, 12, 1, tzinfo=UTC)


def test_a_call_that_the_carrier_failed_says_why(world: World, nudges: Nudges) -> None:
    business_id = world.business()
    coded = _call_in(world, "ringing", business_id, 1, _sid(1))
    plain = _call_in(world, "ringing", business_id, 2, _sid(2))

    callback.record(coded, _report("failed", _sid(1), sip_code=404))
    callback.record(plain, _report("failed", _sid(2), sip_code=None))

    assert (world.call(coded).error_code, world.call(plain).error_code) == ("sip_404", "carrier_failed")
    assert {world.call(call_id).error_message for call_id in (coded, plain)} == {
        "The carrier could not complete the call."
    }


def test_a_call_that_ended_otherwise_has_no_error(world: World, nudges: Nudges) -> None:
    business_id = world.business()
    for number, end in enumerate(set(FINAL) - {"failed"}):
        call_id = _call_in(world, "ringing", business_id, number, _sid(number))

        callback.record(call_id, _report(end, _sid(number)))

        assert (world.call(call_id).error_code, world.call(call_id).error_message) == (None, None)


def test_a_report_without_a_time_is_dated_by_the_database(world: World, nudges: Nudges) -> None:
    call_id = world.initiated(call_sid=_sid())

    for word in ("in-progress", "completed"):
        callback.record(call_id, _report(word, occurred_at=None))

    assert world.value("select now() - answered_at < interval '10 s' and ended_at >= answered_at from call_log")


# Races with other connections


def test_a_call_sid_that_another_call_has_is_refused(world: World, nudges: Nudges) -> None:
    business_id = world.business()
    _call_in(world, "ringing", business_id, 1, _sid())
    second = _call_in(world, "initiated", business_id, 2)
    before = _snapshot(world)

    result = callback.record(second, _report("ringing"))

    assert result == "other_call_sid"
    assert _snapshot(world) == before
    assert nudges == []


def test_a_number_that_is_taken_between_our_look_and_our_write_stays_with_its_taker(
    world: World, nudges: Nudges
) -> None:
    business_id = world.business()
    call_id = _closed(world, "no_call_sid", business_id)

    with ThreadPoolExecutor(1) as thread, psycopg.connect(world.url) as other:
        other.execute(
            "insert into call_log (business_id, from_number, to_number) values (%s, '+15005550006', %s)",
            (business_id, _phone(1)),
        )  # not committed: our look does not see it, our write waits for it
        recording = thread.submit(callback.record, call_id, _report("ringing"))
        until(lambda: world.value("select count(*) from pg_locks where not granted") == 1)
        other.commit()
        result = recording.result(timeout=10)

    assert result == "unchanged"
    call = world.call(call_id)
    assert (call.status, call.error_code, call.call_sid) == ("failed", "no_call_sid", _sid())
    assert world.statuses() == ["failed", "queued"]
    assert _events(world, call_id) == 1


def test_an_adoption_that_loses_to_a_closing_still_takes_its_truth(world: World, nudges: Nudges) -> None:
    call_id = world.initiated()

    with ThreadPoolExecutor(1) as thread, psycopg.connect(world.url) as other:
        other.execute("update call_log set status = 'failed', error_code = 'no_call_sid', overdue_at = null")
        recording = thread.submit(callback.record, call_id, _report("ringing"))
        until(lambda: world.value("select count(*) from pg_locks where not granted") == 1)
        other.commit()
        result = recording.result(timeout=10)

    assert result == "moved"
    call = world.call(call_id)
    assert (call.status, call.error_code, call.call_sid) == ("ringing", None, _sid())


# Counters


def test_every_report_is_counted_by_its_source_and_effect_and_every_end_once(world: World, nudges: Nudges) -> None:
    call_id = world.initiated()

    callback.record(call_id, _created())
    for word in ("ringing", "ringing", "in-progress", "completed", "completed"):
        callback.record(call_id, _report(word))
    callback.record(call_id, replace(_report("completed"), source="lookup"))

    events = "select name, label, sum(value)::int as value from counter where right(name, 8) <> '_seconds'"
    counted = world.rows(f"{events} group by 1, 2 order by 1, 2")
    assert [tuple(row) for row in counted] == [
        ("ended", "completed", 1),
        ("report.callback", "moved", 3),
        ("report.create", "unchanged", 1),
        ("report.lookup", "unchanged", 1),
    ]


# Calls that come in


def test_an_inbound_call_to_a_number_of_ours_is_written_down(world: World, nudges: Nudges) -> None:
    business_id = world.business(phone="+15005559001")
    world.do("update business set voice_url = 'https://voice.example/hello'")

    answer = callback.record_inbound_call(_sid(), "+15005550101", "+15005559001")

    assert answer == ("https://voice.example/hello", "<Response/>")
    call = world.rows("select * from call_log")[0]
    assert (call.business_id, call.direction, call.status, call.call_sid) == (business_id, "inbound", "ringing", _sid())
    assert (call.from_number, call.to_number) == ("+15005550101", "+15005559001")
    assert _deadline_s(world, call.id) == _about(RING_S)
    assert nudges == [("create_lead_from_call_job", (_sid(),))]


def test_an_inbound_call_to_a_number_of_nobodys_is_given_to_nobody(world: World, nudges: Nudges) -> None:
    world.business()

    assert callback.record_inbound_call(_sid(), "+15005550101", "+15005559999") is None

    assert world.rows("select from call_log") == []
    assert world.rows("select from counter") == []
    assert nudges == []


def test_an_inbound_call_asked_about_twice_is_one_call(world: World, nudges: Nudges) -> None:
    world.business(phone="+15005559001")

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(callback.record_inbound_call, _sid(), "+15005550101", "+15005559001") for _ in range(8)]
        answers = {each.result() for each in asked}

    assert answers == {(None, "<Response/>")}
    assert world.statuses() == ["ringing"]


def test_an_inbound_call_is_moved_on_by_its_call_sid_alone(world: World, nudges: Nudges) -> None:
    world.business(phone="+15005559001")
    callback.record_inbound_call(_sid(), "+15005550101", "+15005559001")

    results = [callback.record_by_call_sid(_report(word)) for word in ("in-progress", "completed", "ringing")]

    assert results == ["moved", "moved", "unchanged"]
    assert world.statuses() == ["completed"]


def test_a_report_that_names_another_number_adopts_no_call(world: World, nudges: list[object]) -> None:
    call_id = world.queued(to="+15005550101")

    result = callback.record(call_id, CallEvent("CA" + "9" * 32, "completed", "callback", to_number="+15005550999"))

    assert result == "other_call_sid"
    assert (world.call(call_id).status, world.call(call_id).call_sid) == ("queued", None)


def test_a_late_truth_overrules_a_carrier_that_denied_the_call(world: World, nudges: list[object]) -> None:
    call_sid = "CA" + "8" * 32
    call_id = world.initiated(call_sid=call_sid)
    world.do("update call_log set status = 'failed', error_code = 'unknown_to_carrier' where id = %s", call_id)

    callback.record(call_id, CallEvent(call_sid, "completed", "callback", duration_s=42))

    assert (world.call(call_id).status, world.call(call_id).error_code) == ("completed", None)


# Machine detection


def test_who_answered_is_kept_with_its_event_however_often_it_is_told(world: World, nudges: Nudges) -> None:
    call_id = world.initiated(call_sid=_sid())
    before = world.call(call_id)

    results = [callback.record_answered_by(call_id, _sid(), "machine_start", {"Extra": "x"}) for _ in range(3)]

    call = world.call(call_id)
    assert results == ["kept"] * 3
    assert (call.answered_by, call.status, call.overdue_at) == ("machine_start", "initiated", before.overdue_at)
    event = world.rows("select * from call_event")[0]
    assert (event.source, event.status, event.payload) == ("answered-by", "machine_start", {"Extra": "x"})
    assert _events(world, call_id) == 1


def test_who_answered_may_be_told_after_the_end(world: World, nudges: Nudges) -> None:
    call_id = world.initiated(call_sid=_sid())
    callback.record(call_id, _report("completed"))

    callback.record_answered_by(call_id, _sid(), "human", {})

    assert (world.call(call_id).status, world.call(call_id).answered_by) == ("completed", "human")


def test_a_verdict_adopts_no_call_and_belongs_to_no_other(world: World, nudges: Nudges) -> None:
    business_id = world.business()
    unbound, bound = world.initiated(business_id), world.initiated(business_id, _phone(2), _sid(2))
    before = _snapshot(world)

    results = [
        callback.record_answered_by(call_id, _sid(), "human", {"CallSid": _sid()}) for call_id in (unbound, bound, 4711)
    ]

    assert results == ["no_call_sid_yet", "other_call_sid", "unknown_call"]
    assert _snapshot(world) == before
