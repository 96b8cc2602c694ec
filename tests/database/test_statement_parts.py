"""The functions that the long statements are made of, each asked by itself as a person with psql would."""

import json
from typing import Any

import psycopg
import pytest

from tests import old_system
from tests.conftest import World

pytestmark = pytest.mark.rows_only

US, CALLEE, OTHER = "+15005550006", "+15005550101", "+15005550102"
CALL = "jsonb_populate_record(null::call_log, %s)"  # a call that is in no table


def call(**columns: object) -> str:
    return json.dumps({"direction": "outbound", "status": "ringing", "to_number": CALLEE, **columns})


def ended(world: World, status: str, *, to: str = CALLEE, error: str | None = None, batch: int | None = None) -> int:
    """An outbound call of the newest business, dialed a minute ago."""
    insert = (
        "insert into call_log (business_id, from_number, to_number, status, dialed_at, ended_at, call_sid, error_code,"
        " batch_id) select max(id), %s, %s, %s, now() - interval '1 min', now(), %s, %s, %s from business returning id"
    )
    return int(world.value(insert, US, to, status, f"CA{to}{status}", error, batch))


@pytest.fixture
def acme(world: World) -> int:
    return world.business()


def test_the_live_call_of_a_telephone_is_found_until_it_has_ended(world: World, acme: int) -> None:
    ended(world, "busy")
    call_id = world.queued(acme, CALLEE)

    live = "select id from live_call(%s, %s)"
    assert world.rows(live, acme, CALLEE) == [(call_id,)]
    assert world.rows(live, acme, OTHER) == world.rows(live, acme + 1, CALLEE) == []

    world.do("update call_log set status = 'canceled', ended_at = now() where id = %s", call_id)
    assert world.rows(live, acme, CALLEE) == []


def test_a_report_says_what_becomes_of_its_call_and_until_when_the_next_word_is_waited_for(world: World) -> None:
    asked: list[tuple[str, str, bool, str, int | None]] = [
        (call(status="initiated"), "ringing", True, "create", 1),
        (call(call_sid="CA1", status="initiated"), "in-progress", True, "callback", 2),
        (call(call_sid="CA1"), "completed", True, "callback", 3),
        (call(call_sid="CA1", lead_id=1), "completed", True, "callback", None),
        (call(call_sid="CA1"), "ringing", False, "lookup", 4),
        (call(call_sid="CA1"), "initiated", False, "callback", None),
        (call(call_sid="CA1", status="failed", error_code="no_call_sid"), "ringing", False, "lookup", 4),
        (call(status="failed", error_code="no_call_sid"), "ringing", False, "callback", 1),
    ]
    deadline = f"select extract(epoch from next_deadline({CALL}, %s, %s, %s, 1, 2, 3, 4) - now())::int"  # noqa: S608
    assert [world.value(deadline, *row[:4]) for row in asked] == [row[4] for row in asked]

    after = f"select * from call_after_report({CALL}, %s, %s, 'callback', %s, %s, 1, 2, 3, 4)"  # noqa: S608
    noon = "2026-11-24 12:00+00"
    (talked,) = world.rows(after, call(call_sid="CA1"), "in-progress", True, noon, None)
    (failed,) = world.rows(after, call(call_sid="CA1"), "failed", True, noon, 486)
    (stale,) = world.rows(after, call(call_sid="CA1", status="busy", error_code="x"), "ringing", False, noon, None)
    assert (talked.status, talked.answered_at.hour, talked.ended_at) == ("in-progress", 12, None)
    assert (failed.status, failed.error_code, failed.ended_at.hour) == ("failed", "sip_486", 12)
    assert (stale.status, stale.error_code, stale.answered_at) == ("busy", "x", None)


def test_a_report_moves_a_call_forward_alone_and_what_was_closed_unknown_to_its_truth(world: World, acme: int) -> None:
    unknown = call(id=0, status="failed", error_code="no_call_sid", business_id=acme)
    news = [
        world.value(f"select report_is_news({CALL}, %s)", row, reported)
        for row, reported in (
            (call(), "in-progress"),
            (call(), "ringing"),
            (call(status="completed"), "busy"),
            (call(status="failed", error_code="carrier_failed"), "completed"),
            (unknown, "completed"),
            (unknown, "ringing"),
        )
    ]
    assert news == [True, False, False, False, True, True]

    world.queued(acme, CALLEE)
    assert not world.value(f"select report_is_news({CALL}, 'ringing')", unknown)
    assert world.value(f"select report_is_news({CALL}, 'completed')", unknown)


def test_a_report_s_lead_is_due_once_and_the_first_word_of_a_call_is_timed(world: World) -> None:
    due = f"select report_makes_lead_due({CALL}, %s, %s)"
    asked: list[tuple[str, str, bool]] = [
        (call(), "in-progress", True),
        (call(status="in-progress"), "completed", True),
        (call(status="completed"), "completed", False),
        (call(), "ringing", False),
        (call(lead_id=1), "completed", True),
    ]
    assert [world.value(due, *row) for row in asked] == [True, False, True, False, False]

    timed = "select name, label from seconds_of_report(%s, now() - interval '3 s', now() - interval '40 ms')"
    assert world.rows(timed, "create") == [("dial_seconds", "5"), ("dial_seconds", "sum_ms")]
    assert world.rows(timed, "callback") == [("callback_lag_seconds", "0.05"), ("callback_lag_seconds", "sum_ms")]
    assert world.rows(timed, "lookup") == []


def test_a_call_that_the_carrier_takes_ends_the_troubles_of_its_own_scopes(world: World, acme: int) -> None:
    other = world.business("other")
    world.do(
        "insert into dial_control (scope, key, troubles, carrier_holds) select scope, key, 2, 1 from"
        " (values ('account', ''), ('business', %s), ('business', %s), ('number', %s)) as given (scope, key)"
        " on conflict (scope, key) do update set troubles = 2, carrier_holds = 1",
        str(acme),
        str(other),
        US,
    )
    in_trouble = "select scope, key from dial_control where troubles > 0 order by scope, key"
    world.value(f"select end_troubles(array[{CALL}])", call(business_id=acme, from_number=US, carrier_account="theirs"))
    assert world.rows(in_trouble) == [("account", ""), ("business", str(other))]

    world.value(f"select end_troubles(array[{CALL}])", call(business_id=acme, from_number=US))
    assert world.rows(in_trouble) == [("business", str(other))]


def test_reports_are_read_and_each_may_speak_of_its_own_call_alone(world: World, acme: int) -> None:
    reports = [{"call_id": 1, "call_sid": "CA1", "status": "odd"}, {"call_id": 2, "status": "busy"}]
    read = world.rows("select call_id, status, reported, is_strange from read_reports(%s)", json.dumps(reports))
    assert read == [(1, "odd", "initiated", True), (2, "busy", "busy", False)]

    may = f"select may_report({CALL}, %s, %s, %s, %s, array['', 'AC1'])"
    own = call(call_sid="CA1", business_id=acme, dialed_at="2026-11-24T12:00Z")
    assert world.value(may, own, "CA1", CALLEE, "callback", False)
    assert world.value(may, own, "CA1", None, "lookup", False)
    assert not world.value(may, own, "CA1", OTHER, "callback", False)
    assert not world.value(may, own, "CA2", CALLEE, "callback", False)
    assert not world.value(may, own, "CA1", CALLEE, "callback", True)
    assert world.value(may, call(dialed_at="2026-11-24T12:00Z"), "CA2", CALLEE, "callback", False)

    call_id = world.initiated(acme, call_sid="CA1")
    why = "select report_refusal(%s, %s, %s, %s)"
    assert world.value(why, call_id + 1, "callback", False, [""]) == "unknown_call"
    assert world.value(why, call_id, "callback", False, ["AC1"]) == "other_account"
    assert world.value(why, call_id, "callback", True, [""]) == "untagged"
    assert world.value(why, call_id, "callback", False, [""]) == "other_call_sid"


def test_the_next_attempt_is_the_retry_policy_s_and_nobody_s_where_an_operator_hung_up(world: World, acme: int) -> None:
    policy = "insert into retry_ladder (business_id, name, attempts_per_day_max, attempts_per_week_max)"
    world.do(policy + " values (%s, 'once', 9, 9)", acme)
    world.do("insert into retry_step (ladder_id, outcome, step, wait) values (1, 'busy', 1, '2 h')")
    world.do("update business set ladder_id = 1")
    busy, failed = ended(world, "busy"), ended(world, "failed")

    next_one = "select next.*, extract(hour from wait)::int as hours from call_log"
    next_one += " cross join lateral next_attempt(call_log) as next where id = %s"
    (found,) = world.rows(next_one, busy)
    assert (found.attempt, found.retry_of, found.from_number, found.hours) == (2, busy, US, 2)
    assert world.rows(next_one, failed) == []

    world.do("update call_log set hang_up = 'completed' where id = %s", busy)
    assert world.rows(next_one, busy) == []


def test_a_call_in_question_is_held_and_the_carrier_asked_once(world: World, acme: int) -> None:
    call_id = world.claimed(acme)

    asked = [world.value("select put_in_question(%s, 'CA1', false)", call_id) for _ in range(2)]

    assert asked == [True, False]
    held = world.call(call_id)
    assert (held.status, held.overdue_at, held.paused_at is None) == ("queued", None, False)
    assert world.value("select key from audit where action = 'pause' and scope = 'call'") == str(call_id)


def test_a_search_is_planned_and_each_of_its_branches_finds_its_own(world: World, acme: int) -> None:
    batch = world.value("insert into batch (business_id, name) values (%s, 'list.csv') returning id", acme)
    world.do("insert into campaign (business_id, name) values (%s, 'spring')", acme)
    busy, failed = ended(world, "busy", batch=batch), ended(world, "failed", error="sip_404")
    world.do("update call_log set campaign_id = 1 where id = %s", busy)
    waiting, paused = world.queued(acme, OTHER), world.queued(acme, "+15005550103")
    world.do("update call_log set paused_at = now() where id = %s", paused)

    plan = "select lead, is_picky from plan_search(%s, null, null, %s, %s, %s, null, null, null, null, 10)"
    assert world.rows(plan, CALLEE, None, None, None) == [("number", False)]
    assert world.rows(plan, None, "sip_404", "human", None) == [("error", True)]
    assert world.rows(plan, None, None, None, batch) == [("batch", False)]
    assert world.rows(plan, None, None, None, None) == [("business", False)]

    before = "'-infinity', 'infinity', 0, 10"
    assert world.rows(f"select id from calls_ended_in_business(%s, 'busy', {before})", acme) == [(busy,)]  # noqa: S608
    assert world.rows(f"select id from calls_ended_in_campaign(1, 'busy', {before})") == [(busy,)]  # noqa: S608
    assert world.rows(f"select id from ended_in_campaign(1, 'busy', {before})") == [(busy,)]  # noqa: S608
    assert world.rows(f"select id from calls_ended_with_error(%s, 'sip_404', 'failed', {before})", acme) == [(failed,)]  # noqa: S608
    assert world.rows(f"select id from calls_waiting_in_lane(%s, 0, %s, {before})", acme, US) == [(waiting,)]  # noqa: S608
    assert set(world.rows("select id from calls_of_telephone(%s, 10)", CALLEE)) == {(busy,), (failed,)}
    few = "select id from few_calls(%s, %s, null, null, %s, 10)"
    assert world.rows(few, "business", None, None) == [(paused,)]
    assert world.rows(few, "batch", None, batch) == [(busy,)]
    assert set(world.rows(few, "number", CALLEE, None)) == {(busy,), (failed,)}

    branches = "select id, fits, is_end from search_branches('business', %s, '-infinity', 'infinity', 0,"
    branches += " null, null, null, %s, null, %s, null, 1, 1) order by id"
    each = [(busy, True, True), (failed, True, True), (waiting, True, True), (paused, True, False)]
    assert world.rows(branches, False, None, None) == each
    assert world.rows(branches, False, ["busy"], None) == [(busy, True, True)]
    assert world.rows(branches, True, None, "human") == [(busy, None, True), (failed, None, True)]
    assert world.rows(branches.replace("1, 1)", "2, 2)"), True, None, "human") == []
    fits = f"select call_fits({CALL}, %s, null, null, null, null, null)"
    assert [world.value(fits, call(), statuses) for statuses in (None, ["ringing"], ["busy"])] == [True, True, False]


def test_the_heads_of_a_lane_are_due_and_neither_paused_nor_set_aside(world: World, acme: int) -> None:
    due, later, paused, aside = (world.queued(acme, f"+1500555010{place}") for place in range(4))
    world.do("update call_log set due_at = now() + interval '1 h' where id = %s", later)
    world.do("update call_log set paused_at = now() where id = %s", paused)
    world.do("insert into call_set_aside (call_id, step, reason) values (%s, 'claim', 'odd')", aside)

    heads = "select id from due_heads(%s, 0, %s, %s)"
    assert world.rows(heads, acme, US, 10) == [(due,)]
    assert world.rows(heads, acme, US, 0) == world.rows(heads, acme, "+15005550007", 10) == []

    lanes = "select business_id, campaign_key, window_ids from dialable_lanes()"
    assert world.rows(lanes) == [(acme, f"of business {acme}", [])]
    world.do("update business set twiml = null")
    assert world.rows(lanes) == []
    odd = "select finite_service(served) from unnest(array[2.5, 'nan', 'infinity', null]::float8[]) as served"
    assert world.rows(odd) == [(2.5,), (0,), (0,), (0,)]


def codes(world: World, function: str, *parameters: object) -> list[Any]:
    marks = ", ".join(["%s"] * len(parameters))
    return [row.code for row in world.rows(f"select code from {function}({marks}) order by place", *parameters)]  # noqa: S608


NO_LIMIT = 1_000_000_000  # tokens of who has no pace
LANES = "lanes_with_room(200, 2, 10, null)"
HEADS = "judged_heads(200, 2, 10, null, 20, 30, 30)"
CLAIMED = "calls_to_claim(200, 2, 10, null, 20, 30, 30)"


def test_a_claim_begins_with_the_lanes_that_have_room_and_with_what_their_limits_leave(world: World, acme: int) -> None:
    other = world.business("other")
    for business_id in (acme, other):
        world.queued(business_id)
    free = f"select business_id, free, business_room, floor(business_tokens) from {LANES} order by business_id"  # noqa: S608
    assert world.rows(free) == [], "no thread is there that could dial"

    world.worker(threads=4)
    assert world.rows(free) == [(acme, 8, 8, None), (other, 8, 8, None)]

    world.do(
        "insert into dial_control (scope, key, calls_per_second, tokens, refilled_at, live_max) values"
        " ('business', %s, 0.1, 1, now(), null), ('business', %s, null, 0, now(), 3)",
        *(str(one) for one in (acme, other)),
    )
    assert world.rows(free) == [(acme, 8, 1, 1), (other, 8, 3, NO_LIMIT)]

    world.do(
        "update dial_control set state = 'paused', state_reason = 'x', state_since = now() where key = %s", str(acme)
    )
    assert world.rows(free) == [(other, 8, 3, NO_LIMIT)]


def test_a_claim_asks_what_stands_in_the_way_of_each_head(world: World, acme: int) -> None:
    world.simulated()
    world.worker(threads=4)
    free, suppressed = world.queued(acme, CALLEE), world.queued(acme, OTHER)
    world.do("insert into suppression (phone) values (%s)", OTHER)

    judged = f"select id, code, is_final from {HEADS} order by id"  # noqa: S608 (no value in it)
    assert world.rows(judged) == [(free, None, False), (suppressed, "suppressed", True)]


def test_a_claim_takes_within_each_limit_and_breaks_ties_by_luck(world: World, acme: int) -> None:
    world.simulated()
    world.worker(threads=2)
    waiting = [world.queued(acme, f"+15005550{place}") for place in range(200, 206)]
    refused = world.queued(acme, OTHER)
    world.do("insert into suppression (phone) values (%s)", OTHER)
    taken = f"select id from {CLAIMED} where code is null order by id"  # noqa: S608 (no value in it)
    assert world.rows(taken) == [(one,) for one in waiting[:4]], "two claims of each thread, in the order of their rows"
    assert world.rows(f"select id, code from {CLAIMED} where code is not null") == [(refused, "suppressed")]  # noqa: S608

    world.do("insert into dial_control (scope, key, live_max) values ('number', %s, 3)", US)
    assert world.rows(taken) == [(one,) for one in waiting[:3]]

    others = [world.business(f"b{place}") for place in range(8)]
    world.do("delete from call_log where business_id = %s", acme)
    for place, business_id in enumerate(others):
        world.queued(business_id, f"+15005550{300 + place}")
    first = {world.rows(f"select business_id from {CLAIMED} limit 1")[0] for _ in range(40)}  # noqa: S608
    assert len(first) > 1, "who was served alike is not served in one order for ever"


def test_the_reasons_that_keep_a_call_are_asked_for_group_by_group(world: World, acme: int) -> None:
    world.do("select set_config('outbound.carrier', 'simulator', false)")  # who may be called is another test's
    call_id = world.queued(acme)

    assert codes(world, "why_by_status", call_id) == []
    assert codes(world, "why_by_status", call_id + 1) == ["unknown_call"]
    assert codes(world, "why_by_rules", call_id, 30, 30, 10) == []
    assert codes(world, "why_by_limits", call_id, None) == []
    assert codes(world, "why_by_processes", call_id, 10, 16, 60) == ["no_worker", "no_scheduler", "workers_busy", "due"]

    world.do("update business set twiml = null")
    world.do("update call_log set due_at = now() + interval '1 h'")
    world.do(
        "insert into dial_control (scope, key, state, live_max, hold_until)"
        " values ('business', %s, 'paused', 0, now() + interval '1 h')",
        str(acme),
    )
    assert codes(world, "why_by_rules", call_id, 30, 30, 10) == ["nothing_to_say", "not_due"]
    assert codes(world, "why_by_limits", call_id, None) == ["paused", "hold", "live_max"]
    scopes = "select called, state, live_max from scopes_of_call(%s, null) where scope <> 'account'"
    assert world.rows(scopes, call_id) == [(f"business {acme}", "paused", 0)]

    world.do("update call_log set status = 'canceled', ended_at = now()")
    assert codes(world, "why_by_status", call_id) == ["ended"]
    assert codes(world, "why_by_limits", call_id, None) == []


def test_what_is_so_of_lanes_is_said_of_the_lanes_that_are_given(world: World, acme: int) -> None:
    beta = world.business("Beta")
    first, second = world.queued(acme), world.queued(beta)
    world.do("update call_log set due_at = now() - interval '1 h' where id = %s", first)

    waiting = "select id from first_waiting_call(array(select lane from lane where business_id = any(%s)))"
    assert world.rows(waiting, [acme, beta]) == [(first,)]
    assert world.rows(waiting, []) == []

    world.do("insert into dial_control (scope, key, state) values ('business', %s, 'paused')", str(acme))
    so = "select code, kind from situation_of_scopes(array(select lane from lane where business_id = any(%s)))"
    assert world.rows(waiting, [acme, beta]) == [(second,)]
    assert world.rows(so, [acme, beta]) == [("paused", "on_purpose")]
    assert world.rows(so, [beta]) == []

    world.do("delete from business_number")
    assert world.rows("select name from stranded_businesses(null)") == [("Acme",), ("Beta",)]
    assert world.rows("select name from stranded_businesses(%s)", beta) == [("Beta",)]


def test_a_lost_call_of_the_carrier_s_finds_the_rows_that_it_could_be(world: World, acme: int) -> None:
    call_id = world.queued(acme)
    rows = "select id from rows_of_lost_call(%s, %s, now() + make_interval(mins => %s), 5, 5)"
    assert world.rows(rows, US, CALLEE, 0) == [], "dialing goes on"

    world.do("insert into dialing_stop (cause, reason) values ('recovery', 'restored')")
    assert world.rows(rows, US, CALLEE, 0) == [(call_id,)]
    assert world.rows(rows, US, CALLEE, -1) == world.rows(rows, "+15005550007", CALLEE, 0) == []

    own = world.value("select phone from business_number")
    world.do("insert into campaign (business_id, name) values (%s, 'spring')", acme)
    world.do("insert into campaign_number (campaign_id, phone) values (1, '+15005550009')")
    owner = "select business_of_number(%s)"
    assert [world.value(owner, phone) for phone in (own, "+15005550009", CALLEE)] == [acme, acme, None]


def test_an_enqueue_asks_once_for_numbers_that_are_alike_and_whom_it_has_reached(world: World, acme: int) -> None:
    alike = "select fault from destination_fault_of_alike(%s, %s)"
    assert world.rows(alike, CALLEE, acme) == world.rows("select fault from destination_fault(%s, %s)", CALLEE, acme)
    world.do("insert into destination (place, allowed) values ('+1500555', false)")
    assert world.rows(alike, CALLEE, acme) == []

    batch = world.value("insert into batch (business_id, name) values (%s, 'list.csv') returning id", acme)
    busy = ended(world, "busy", batch=batch)
    since = "select id from dialed_since(%s, %s, now() - make_interval(mins => %s))"
    assert world.rows(since, acme, CALLEE, 2) == [(busy,)]
    assert world.rows(since, acme, CALLEE, 0) == world.rows(since, acme, OTHER, 2) == []

    reached = "select batch_id from reached_by(%s, %s)"
    assert world.rows(reached, batch, CALLEE) == []
    world.do("insert into batch_reached (batch_id, hash) values (%s, person_hash(%s))", batch, CALLEE)
    assert world.rows(reached, batch, CALLEE) == [(batch,)]


def test_calls_are_canceled_once_and_their_rows_say_who_wanted_it_and_why(world: World, acme: int) -> None:
    call_id, dialed = world.claimed(acme), world.initiated(acme, OTHER)

    cancel = "select cancel_waiting_calls(%s, 'wrong list', 'Dana')"
    assert [world.value(cancel, [call_id, dialed]) for _ in range(2)] == [1, 0]

    assert world.statuses() == ["canceled", "initiated"]
    closed = world.call(call_id)
    assert (closed.error_message, closed.stopped_by) == ("An operator canceled it: wrong list.", "Dana")
    assert world.count("ended", "canceled") == 1


def test_what_is_written_to_old_tables_follows_the_columns_that_they_have(world: World) -> None:
    with psycopg.connect(world.url) as connection:
        connection.execute(b"create schema before; set local search_path to before")
        connection.execute(old_system.tables_sql("small").encode())
        connection.execute(b"reset search_path; select make_old_views('before')")
        columns: dict[str, str] = dict(
            connection.execute("select name, value from old_call_columns('before')").fetchall()
        )
        (job,) = connection.execute("select old_job_update('before')").fetchall()[0]
        meaning = connection.execute("select word, is_live from old_call_meaning").fetchall()
        ((query,),) = connection.execute("select old_calls_to_write()").fetchall()
        here = connection.execute("select current_schema()").fetchall()[0][0]
        known = query.format(here=here, calls="before.call_log").replace("unnest(call_ids)", "unnest(array[1])")
        rows = connection.execute(known.encode()).fetchall()
        connection.rollback()

    assert "to_number" in columns
    assert "update before.outbound_call_jobs as o" in job
    assert meaning == rows == []
