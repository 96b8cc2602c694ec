"""What the queue looks like right now, asked of the table at scrape time."""

import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from outbound import __version__, broker, db
from outbound.call import FINAL, CallEvent
from outbound.calls import dial, events, retention
from outbound.database import migrations
from outbound.monitoring import metrics
from outbound.webhooks import delivery
from outbound.webhooks.http_client import Outcome
from tests.conftest import World, begin, forget_settings

pytestmark = pytest.mark.rows_only

# Every label, and how many values it may have at most: no number of a telephone and no word of a stranger among them.
LABELS = {
    "status": 10,
    "rule": 5,
    "result": 6,
    "reason": 9,
    "task": 6,
    "version": 1,
    "holder": 3,
    "by": 2,
    "le": 15,
    "step": 8,
}
LABELS |= {
    "code": len(metrics.BROKER_FAULTS),
    "cause": 2,
    "kind": 1 + len(retention.KINDS),  # and calls
    "scope": 4,
    "id": metrics.ROWS_MAX,
    "business": metrics.ROWS_MAX,
}


SCOPES = ("account", "business", "campaign", "number")


def _scrape() -> str:
    """What Prometheus would read now, past the cache."""
    registry = CollectorRegistry()
    registry.register(metrics._Queue())
    return generate_latest(registry).decode()


def _samples(text: str) -> dict[tuple[str, ...], float]:
    """{(name, the labels' values in the order of the labels' names): value}"""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _shown(samples: dict[tuple[str, ...], float], name: str) -> dict[str, float]:
    return {key[1]: value for key, value in samples.items() if key[0] == name and len(key) > 1}


def _phone(number: int) -> str:
    return f"+1500555{number:04d}"


# Numbers and rows


def test_an_empty_queue_shows_zeros_and_not_nothing(world: World) -> None:
    samples = _samples(_scrape())

    for name in ("queue_len", "due_calls", "oldest_due_seconds", "pending_without_call_sid", "worker_threads"):
        assert samples[f"outbound_{name}",] == 0
    for name in ("due", "oldest_due_seconds", "endpoints_off"):
        assert samples[f"outbound_webhook_{name}",] == 0
    live = ("queued", "claimed", "initiated", "ringing", "in-progress")
    assert _shown(samples, "outbound_calls") == dict.fromkeys(live, 0)
    assert _shown(samples, "outbound_withheld_calls") == dict.fromkeys(
        ("paused", "campaign_not_started", "spend_cap"), 0
    )
    assert _shown(samples, "outbound_oldest_snapshot_transactions").keys() == {"session", "prepared", "slot"}
    assert _shown(samples, "outbound_task_last_success_timestamp_seconds").keys() == set(metrics._TASKS)
    assert (samples["outbound_carrier_hold",], samples["outbound_broker_up",]) == (0, 1)
    assert _shown(samples, "outbound_dialing_stopped") == {"broker": 0, "recovery": 0}
    assert {key[1:]: value for key, value in samples.items() if key[0] == "outbound_paused_scopes"} == {
        (by, scope): 0 for scope in SCOPES for by in ("operator", "breaker")
    }
    assert _shown(samples, "outbound_stale_calls") == dict.fromkeys(("claimed", "no_call_sid", "silent", "no_lead"), 0)
    assert _shown(samples, "outbound_dials_total") == dict.fromkeys(("accepted", "refused", "not_sent", "unknown"), 0)
    assert (samples["outbound_scrape_error",], samples["outbound_schema_missing_migrations",]) == (0, 0)
    assert _shown(samples, "outbound_build_info") == {__version__: 1}


def test_calls_are_shown_by_status_and_the_queue_is_what_waits(world: World) -> None:
    business_id = world.business()
    for number in range(3):
        world.queued(business_id, _phone(number))
    for number in range(3, 5):
        world.claimed(business_id, _phone(number))
    for number, status in enumerate(("initiated", "ringing", "ringing", "in-progress"), start=5):
        call_id = world.initiated(business_id, _phone(number), f"CA{number}")
        world.do("update call_log set status = %s where id = %s", status, call_id)
    for number, status in enumerate(FINAL, start=9):
        call_id = world.initiated(business_id, _phone(number), f"CA{number}")
        world.do("update call_log set status = %s, overdue_at = null where id = %s", status, call_id)

    samples = _samples(_scrape())

    shown = {"queued": 3, "claimed": 2, "initiated": 1, "ringing": 2, "in-progress": 1}
    assert _shown(samples, "outbound_calls") == shown
    assert samples["outbound_queue_len",] == 5
    assert metrics.queue_len(metrics.read()) == 5


def test_a_due_call_shows_how_long_it_has_waited(world: World) -> None:
    first, second = world.business(), world.business("Other")
    world.age(world.queued(first, _phone(1)), 50)
    world.age(world.queued(second, _phone(2)), 70)
    world.age(world.queued(second, _phone(3)), -3600)
    world.age(world.claimed(second, _phone(4)), 900)

    samples = _samples(_scrape())

    assert samples["outbound_due_calls",] == 2
    assert samples["outbound_oldest_due_seconds",] == pytest.approx(70, abs=5)


def test_each_rule_of_what_is_stale_counts_its_own_calls(world: World) -> None:
    business_id = world.business()
    stale = {
        "claimed": [world.claimed(business_id, _phone(number)) for number in range(2)],
        "no_call_sid": [world.initiated(business_id, _phone(number)) for number in range(2, 5)],
        "silent": [world.initiated(business_id, _phone(number), f"CA{number}") for number in range(5, 9)],
        "no_lead": [world.initiated(business_id, _phone(number), f"CA{number}") for number in range(9, 14)],
    }
    for call_id in stale["no_lead"]:
        world.do("update call_log set status = 'completed' where id = %s", call_id)
    assert set(_shown(_samples(_scrape()), "outbound_stale_calls").values()) == {0}

    for call_ids in stale.values():
        for call_id in call_ids:
            world.age(call_id, 61)
    samples = _samples(_scrape())

    assert _shown(samples, "outbound_stale_calls") == {"claimed": 2, "no_call_sid": 3, "silent": 4, "no_lead": 5}
    oldest = _shown(samples, "outbound_oldest_stale_seconds")
    assert oldest["claimed"] == pytest.approx(31, abs=5)
    assert oldest["no_call_sid"] == pytest.approx(1, abs=5)
    assert samples["outbound_pending_without_call_sid",] == 3


def test_only_living_workers_are_counted(world: World) -> None:
    world.worker(4)
    world.do("update worker set seen_at = now() - interval '11 s'")
    world.worker(8)
    world.worker(2)

    assert _samples(_scrape())["outbound_worker_threads",] == 10


def test_totals_are_the_sums_of_their_counters(world: World) -> None:
    for name, label, slot, value in (
        ("dial", "refused", 0, 1),
        ("dial", "refused", 3, 2),
        ("dial", "unknown", 1, 4),
        ("report.create", "unchanged", 0, 5),
        ("report.create", "moved", 0, 6),
        ("report.callback", "moved", 0, 7),
        ("report.callback", "moved", 7, 8),
        ("report.lookup", "unchanged", 0, 9),
        ("ended", "completed", 0, 10),
        ("lead", "created", 0, 11),
        ("cleanup", "no_call_sid", 0, 12),
        ("reconcile", "no_call_sid", 0, 13),
    ):
        world.do("insert into counter (name, label, slot, value) values (%s, %s, %s, %s)", name, label, slot, value)
    world.do("insert into duty values ('reconcile', '2026-11-01 12:00+00')")

    samples = _samples(_scrape())

    assert _shown(samples, "outbound_dials_total") == {"accepted": 11, "refused": 3, "not_sent": 0, "unknown": 4}
    for name, shown in (
        ("callbacks", {"moved": 15}),
        ("lookups", {"unchanged": 9}),
        ("calls_ended", {"completed": 10}),
        ("leads", {"created": 11}),
        ("cleanup_calls", {"no_call_sid": 12}),
        ("reconcile_closed", {"no_call_sid": 13}),
    ):
        told = _shown(samples, f"outbound_{name}_total")
        assert {label: value for label, value in told.items() if value} == shown
    assert samples["outbound_task_last_success_timestamp_seconds", "reconcile"] == 1793534400


def test_every_total_is_there_before_its_first_event(world: World) -> None:
    samples = _samples(_scrape())

    assert _shown(samples, "outbound_calls_ended_total") == dict.fromkeys(FINAL, 0)
    assert _shown(samples, "outbound_leads_total")["created"] == 0
    results = ("delivered", "failed", "given_up", "unknown", "not_sent")
    assert _shown(samples, "outbound_webhook_deliveries_total") == dict.fromkeys(results, 0)
    assert samples["outbound_webhook_seconds_count",] == 0
    assert _shown(samples, "outbound_callbacks_total")["moved"] == 0


def test_a_life_shows_in_the_totals(world: World, nudges: list[object]) -> None:
    call_id = world.initiated()
    for status, source in (("initiated", "create"), ("ringing", "callback"), ("completed", "lookup")):
        events.record(call_id, CallEvent("CA" + "1" * 32, status, source))  # type: ignore[arg-type]

    samples = _samples(_scrape())

    assert samples["outbound_dials_total", "accepted"] == 1
    assert samples["outbound_callbacks_total", "moved"] == 1
    assert samples["outbound_lookups_total", "moved"] == 1
    assert samples["outbound_calls_ended_total", "completed"] == 1


# How long things take


def _seconds(name: str) -> dict[str, float]:
    """The buckets of a histogram, and its count and sum."""
    return {
        key[-1].removeprefix(f"{name}_"): value for key, value in _samples(_scrape()).items() if key[0].startswith(name)
    }


def test_python_and_sql_know_the_same_buckets(world: World) -> None:
    bounds = [float(bound) for bound in metrics._BOUNDS[:-1]]

    def label(seconds: float) -> object:
        return world.value("select label from seconds_counted('n', %s) where label <> 'sum_ms'", seconds)

    assert [label(bound) for bound in bounds] == list(metrics._BOUNDS[:-1])
    assert [label(bound + 0.001) for bound in bounds] == list(metrics._BOUNDS[1:])
    assert label(-1) == metrics._BOUNDS[0]
    assert world.rows("select from seconds_counted('n', null)") == []


def test_a_duration_counts_in_every_bucket_that_holds_it(world: World) -> None:
    for seconds in (0.2, 0.3, 7, 4000):
        world.do(
            "insert into counter (name, label, slot, value)"
            " select name, label, 0, value from seconds_counted('dial_seconds', %s)"
            " on conflict (name, label, slot) do update set value = counter.value + excluded.value",
            seconds,
        )

    shown = _seconds("outbound_dial_seconds")

    buckets = ("0.05", "0.1", "0.25", "0.5", "1", "5", "10", "3600", "+Inf")
    assert [shown[bound] for bound in buckets] == [0, 0, 1, 2, 2, 2, 3, 3, 4]
    assert shown["count"] == 4
    assert shown["sum"] == pytest.approx(4007.5)


def test_a_life_shows_how_long_its_steps_took(world: World, nudges: list[object]) -> None:
    call_id = world.claimed()
    world.age(call_id, 20)
    begun = begin(call_id)
    world.do("update call_log set dialed_at = dialed_at - interval '3 s' where id = %s", call_id)
    occurred_at = datetime.now(UTC) - timedelta(seconds=200)

    events.record(begun.id, CallEvent("CA" + "1" * 32, "initiated", "create"))
    events.record(begun.id, CallEvent("CA" + "1" * 32, "ringing", "callback", occurred_at=occurred_at))
    events.record(begun.id, CallEvent("CA" + "1" * 32, "in-progress", "callback"))  # it does not say when

    for name, seconds, bound in (("queue_wait", 20, "30"), ("dial", 3, "5"), ("callback_lag", 200, "300")):
        shown = _seconds(f"outbound_{name}_seconds")
        assert (shown["count"], shown[bound]) == (1, 1)
        assert shown["sum"] == pytest.approx(seconds, abs=2)


def test_a_refusal_is_an_answer_too(world: World) -> None:
    call_id = world.initiated()
    world.do("update call_log set dialed_at = dialed_at - interval '3 s' where id = %s", call_id)

    _refuse(world, call_id)

    assert _seconds("outbound_dial_seconds")["5"] == 1


def _refuse(world: World, call_id: int, at_fault: str | None = None) -> None:
    refusal = {"error_code": "21211", "error_message": "Invalid.", "at_fault": at_fault}
    db.run(dial.sql.record_refusal, call_id=call_id, fence=world.call(call_id).fence, **refusal)


# How much each scope may dial


def test_due_calls_that_an_operator_withholds_are_counted_apart(world: World) -> None:
    running, paused = world.business(), world.business()
    world.age(world.queued(running), 10)
    world.age(world.queued(paused, _phone(2)), 500)
    world.do("insert into dial_control (scope, key, state) values ('business', %s, 'paused')", str(paused))
    campaign = "insert into campaign (business_id, name, starts_at) values (%s, 'later', now() + interval '1 day')"
    campaign_id = world.value(f"{campaign} returning id", running)
    call_id = world.queued(running, _phone(3))
    world.do("update call_log set campaign_id = %s where id = %s", campaign_id, call_id)

    samples = _samples(_scrape())

    assert samples["outbound_due_calls",] == 1
    assert _shown(samples, "outbound_withheld_calls") == {"paused": 1, "campaign_not_started": 1, "spend_cap": 0}
    assert samples["outbound_oldest_due_seconds",] == pytest.approx(10, abs=5)
    assert samples["outbound_calls", "queued"] == 3

    world.do("update dial_control set state = 'paused' where scope = 'account'")
    assert _shown(_samples(_scrape()), "outbound_withheld_calls") == {
        "paused": 3,
        "campaign_not_started": 0,
        "spend_cap": 0,
    }


@pytest.mark.parametrize("scope", ["campaign", "number"])
def test_a_pause_of_any_scope_withholds_its_calls(world: World, scope: str) -> None:
    business_id = world.business()
    campaign_id = world.value("insert into campaign (business_id, name) values (%s, 'c') returning id", business_id)
    world.queued(business_id)
    world.do("update call_log set campaign_id = %s", campaign_id)
    key = str(campaign_id) if scope == "campaign" else "+15005550006"
    world.do("insert into dial_control (scope, key, state) values (%s, %s, 'paused')", scope, key)

    assert _shown(_samples(_scrape()), "outbound_withheld_calls")["paused"] == 1


def test_each_business_shows_its_own_calls_by_its_id(world: World) -> None:
    busy, idle = world.business(), world.business()
    world.age(world.queued(busy, _phone(1)), 30)
    world.age(world.queued(busy, _phone(2)), -3600)
    world.claimed(busy, _phone(3))
    world.initiated(busy, _phone(4), "CA4")

    samples = _samples(_scrape())

    shown = {name: _shown(samples, f"outbound_business_{name}") for name in ("live_calls", "due_calls", "queued_calls")}
    assert shown == {"live_calls": {str(busy): 2}, "due_calls": {str(busy): 1}, "queued_calls": {str(busy): 2}}
    assert samples["outbound_business_oldest_due_seconds", str(busy)] == pytest.approx(30, abs=5)
    assert str(idle) not in shown["live_calls"]


def test_of_many_businesses_the_busiest_are_shown(world: World) -> None:
    businesses = [world.business() for _ in range(metrics.ROWS_MAX + 5)]
    for number, business_id in enumerate(businesses):
        world.age(world.queued(business_id, _phone(number)), -60 if number < 5 else 60)

    shown = _shown(_samples(_scrape()), "outbound_business_queued_calls")

    assert shown.keys() == {str(business_id) for business_id in businesses[5:]}


def test_the_limits_of_scopes_are_shown_and_no_number_is_named(world: World) -> None:
    business_id = world.business()
    world.initiated(business_id, call_sid="CA1")
    world.do("update dial_control set calls_per_second = 3 where scope = 'account'")
    for scope, key in (("business", str(business_id)), ("number", "+15005550006"), ("campaign", "of business 7")):
        insert = "insert into dial_control (scope, key, live_max, calls_per_second) values (%s, %s, 4, 2)"
        world.do(insert, scope, key)

    text = _scrape()
    samples = _samples(text)

    assert "+1500" not in text
    assert samples["outbound_dial_limit_calls_per_second", "", "account"] == 3
    assert samples["outbound_dial_limit_calls_per_second", str(business_id), "business"] == 2
    assert samples["outbound_dial_limit_live_calls", str(business_id), "business"] == 4
    assert samples["outbound_dial_live_calls", str(business_id), "business"] == 1
    assert _shown(samples, "outbound_limited_scopes") == dict.fromkeys(SCOPES, 1)


def test_trouble_with_the_carrier_shows_as_a_hold_and_as_a_slower_pace(world: World) -> None:
    world.do("update dial_control set calls_per_second = 4 where scope = 'account'")
    db.run(dial.sql.slow_down, begun_at=None, troubles=5, in_a_row=5, of_account=False, hold_max_s=60, business_id=None)

    samples = _samples(_scrape())

    assert samples["outbound_carrier_hold",] == 1
    assert samples["outbound_dial_limit_calls_per_second", "", "account"] == 4
    assert samples["outbound_dial_pace_calls_per_second", "", "account"] == pytest.approx(2, abs=0.3)


def test_what_stops_all_dialing_is_shown_by_its_cause(world: World) -> None:
    world.do("insert into dialing_stop (cause, reason) values ('recovery', 'Run `outbound recover`.')")

    assert _shown(_samples(_scrape()), "outbound_dialing_stopped") == {"broker": 0, "recovery": 1}


def test_a_scope_that_the_breaker_paused_is_told_from_one_that_an_operator_paused(world: World) -> None:
    business_id = world.business()
    world.do("insert into dial_control (scope, key, state) values ('business', %s, 'paused')", str(business_id))
    for number in range(5):
        _refuse(world, world.initiated(business_id, _phone(number)), at_fault="number")

    samples = _samples(_scrape())

    paused = {key[1:] for key, value in samples.items() if key[0] == "outbound_paused_scopes" and value}
    assert paused == {("operator", "business"), ("breaker", "number")}


def test_every_reason_to_hold_or_refuse_a_call_is_shown_from_the_start(world: World) -> None:
    source = world.value("select pg_get_functiondef('obstacle_sentence(text)'::regprocedure)")
    samples = _samples(_scrape())

    shown = [_shown(samples, f"outbound_calls_{name}_total") for name in ("held", "refused_by_rule")]

    told = {*re.findall(r"'(\w+)'(?:::text)?\s+then", source, re.I)} - {"campaign_ends_first"}  # of calls not due yet
    assert sorted([*shown[0], *shown[1]]) == sorted(told)


# What PostgreSQL and the broker feel like


def test_a_snapshot_that_is_held_shows_its_age(world: World) -> None:
    with psycopg.connect(world.url) as holder:
        holder.execute("set transaction isolation level repeatable read")
        holder.execute("select 1")
        for number in range(3):
            world.queued(to=_phone(number))
        samples = _samples(_scrape())

        assert samples["outbound_oldest_snapshot_seconds", "session"] > 0
        assert samples["outbound_oldest_snapshot_transactions", "session"] >= 3

    assert _samples(_scrape())["outbound_oldest_snapshot_transactions", "session"] == 0


def test_a_broker_that_is_away_shows_and_hides_no_other_number(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    made = broker.make(f"redis://127.0.0.1:{port}")
    monkeypatch.setattr(broker, "current", lambda: made)

    samples = _samples(_scrape())

    assert (samples["outbound_broker_up",], samples["outbound_scrape_error",]) == (0, 0)
    assert samples["outbound_queue_len",] == 0


# The form


def _everything(world: World) -> list[Metric]:
    """Every metric that there is, each with a value at least."""
    for name in ("dial", "report.create", "report.callback", "report.lookup", "ended", "lead", "cleanup", "reconcile"):
        world.do("insert into counter (name, label, slot, value) values (%s, 'moved', 0, 1)", name)
    world.do("update dial_control set calls_per_second = 3, live_max = 4")
    world.queued()
    return [
        *text_string_to_metric_families(_scrape()),
        *(each for each in text_string_to_metric_families(metrics.exposition().decode()) if "refused" in each.name),
    ]


def test_every_name_says_what_it_counts_and_in_what_unit(world: World) -> None:
    families = _everything(world)

    assert len(families) >= 36
    for family in families:
        assert re.fullmatch(r"outbound_[a-z]+(_[a-z]+)*", family.name)
        assert not re.search(r"_(ms|milliseconds|minutes|hours|count|sum|bucket|info_total)$", family.name)
        assert family.type != "histogram" or family.name.endswith("_seconds")
        assert len(family.documentation) > 10
        assert family.documentation.endswith(".") or family.name.endswith("_created")
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")


def test_no_label_can_grow_without_bound(world: World) -> None:
    for family in _everything(world):
        for sample in family.samples:
            assert set(sample.labels) <= set(LABELS)
            assert len(sample.labels) <= 2
        for label in {name for sample in family.samples for name in sample.labels}:
            assert len({sample.labels.get(label) for sample in family.samples} - {None}) <= LABELS[label]


def test_no_label_is_a_number_or_an_id(world: World) -> None:
    world.initiated(call_sid="CA" + "1" * 32)

    text = _scrape()

    assert "CA1" not in text
    assert "+1500" not in text
    assert "5550101" not in text


def test_the_content_type_is_one_that_prometheus_3_takes() -> None:
    assert re.fullmatch(r"text/plain; version=(0\.0\.4|1\.0\.0); charset=utf-8", metrics.CONTENT_TYPE)


def test_several_scrapers_cost_one_read(world: World) -> None:
    queue = metrics._Queue()
    before = queue.collect()
    world.queued()

    assert queue.collect() is before

    queue._read_at -= metrics._CACHE_S
    assert queue.collect() is not before


# When it cannot be read


def test_a_database_that_is_away_shows_as_an_error_and_hides_no_other_number(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@127.0.0.1:{port}/none")
    forget_settings()
    db.close()
    db._pool().timeout = 0.2
    try:
        samples = _samples(_scrape())
    finally:
        db.close()

    assert samples["outbound_scrape_error",] == 1
    assert ("outbound_queue_len",) not in samples  # no number is better than a wrong one
    assert ("outbound_build_info", __version__) in samples


def test_a_database_without_our_tables_shows_as_an_error(empty_database: str) -> None:
    samples = _samples(_scrape())

    assert samples["outbound_scrape_error",] == 1
    assert samples["outbound_schema_missing_migrations",] == len(migrations.known_migrations())


def test_a_database_with_an_older_schema_shows_as_an_error(world: World) -> None:
    migrations.rollback("0004_leads_one_per_phone")

    samples = _samples(_scrape())

    assert samples["outbound_scrape_error",] == 1
    assert samples["outbound_schema_missing_migrations",] == len(migrations.known_migrations()) - 4


# Webhooks


def _endpoint(world: World, *, state: str = "on", is_failing: bool = False) -> int:
    return int(
        world.value(
            "insert into webhook_endpoint (url, state, failing_since, created_by)"
            " values ('https://a.example/', %s, case when %s then now() end, 'test') returning id",
            state,
            is_failing,
        )
    )


def _deliveries(world: World, endpoint_id: int, due_s_ago: int, *, state: str = "due", count: int = 1) -> None:
    """Deliveries of an endpoint that have been due for so long."""
    world.do(
        "with event as ("
        "    insert into event_log (business_id, type, public_id, data)"
        "    select %s, 'ping', 'evt_ping_' || gen_random_uuid(), '{}' from generate_series(1, %s) returning id"
        ") insert into webhook_delivery (endpoint_id, event_id, state, due_at)"
        " select %s, id, %s, now() - make_interval(secs => %s) from event",
        world.business(),
        count,
        endpoint_id,
        state,
        due_s_ago,
    )


def _webhooks() -> tuple[Any, ...]:
    samples = _samples(_scrape())
    names = ("due", "oldest_due_seconds", "endpoints_off")
    due, oldest_s, off = (samples[f"outbound_webhook_{name}",] for name in names)
    return due, oldest_s, off


def test_a_webhook_shows_while_it_is_due_or_being_sent(world: World) -> None:
    endpoint_id = _endpoint(world)
    _deliveries(world, endpoint_id, 40)
    _deliveries(world, endpoint_id, 70, state="sending")
    _deliveries(world, endpoint_id, -600)
    _deliveries(world, endpoint_id, 900, state="done")
    _deliveries(world, endpoint_id, 900, state="given_up")

    assert _webhooks() == (2, pytest.approx(70, abs=5), 0)


def test_what_waits_at_an_endpoint_that_fails_is_due_and_nobody_is_late(world: World) -> None:
    _deliveries(world, _endpoint(world, is_failing=True), 900)
    _deliveries(world, _endpoint(world), 10)

    assert _webhooks() == (2, pytest.approx(10, abs=5), 0)


def test_what_waits_at_an_endpoint_that_is_off_is_not_due(world: World) -> None:
    _deliveries(world, _endpoint(world, state="off", is_failing=True), 900)
    _deliveries(world, _endpoint(world, state="off"), 900)  # an operator switched it off

    assert _webhooks() == (0, 0, 1)


def test_of_very_many_webhooks_so_many_are_counted(world: World) -> None:
    for _ in range(2):
        _deliveries(world, _endpoint(world), 5, count=6000)

    assert _webhooks()[0] == 10_000


def test_a_delivery_shows_how_long_it_took_from_its_event(world: World) -> None:
    _deliveries(world, _endpoint(world), 0, state="sending")
    world.do("update event_log set at = now() - interval '20 s'")
    row = world.rows("select endpoint_id, event_id, attempts, 'evt_1' as public_id from webhook_delivery")[0]

    delivery.record([(row, Outcome("delivered", 200, None, 80))])

    shown = _seconds("outbound_webhook_seconds")
    assert (shown["10"], shown["30"], shown["count"]) == (0, 1, 1)
    assert shown["sum"] == pytest.approx(20, abs=5)
    assert _samples(_scrape())["outbound_webhook_deliveries_total", "delivered"] == 1


# The cost


@pytest.mark.rows_only(False)
def test_without_an_endpoint_a_scrape_reads_no_delivery(world: World) -> None:
    plan = world.value(f"explain (analyze, format json) {metrics.sql.read_webhooks.sql}")[0]["Plan"]

    reads = [node for node in _nodes(plan) if node.get("Relation Name") == "webhook_delivery"]
    assert reads
    assert {node["Actual Loops"] for node in reads} == {0}


@pytest.mark.rows_only(False)
@pytest.mark.parametrize("live", [0, 50])
def test_a_scrape_reads_no_history_however_long_it_is(world: World, live: int) -> None:
    business_id = world.business()
    world.do(
        "insert into call_log (business_id, from_number, to_number, status, call_sid, ended_at)"
        " select %s, '+15005550006', '+1500' || (1000000 + n), (array['completed', 'busy', 'failed'])[1 + n %% 3],"
        " 'CA' || n, now() from generate_series(1, 20000) as n",
        business_id,
    )
    world.do(
        "insert into call_log (business_id, from_number, to_number, status, overdue_at)"
        " select %s, '+15005550006', '+1501' || (1000000 + n),"
        " (array['queued', 'claimed', 'initiated', 'ringing', 'in-progress'])[1 + n %% 5], now()"
        " from generate_series(1, %s) as n",
        business_id,
        live,
    )
    world.do("vacuum analyze call_log")
    given = {"worker_silent_s": 10, "account_rate": "null::float8", "rows_max": metrics.ROWS_MAX}
    statements = [
        getattr(metrics.sql, name).sql.replace("%%", "%") % given
        for name in ("read_queue", "read_scopes", "read_spending", "read_webhooks", "read_totals")
    ]

    plans = [world.value(f"explain (analyze, format json) {statement}")[0]["Plan"] for statement in statements]

    nodes = [node for plan in plans for node in _nodes(plan)]
    reads = [node for node in nodes if node.get("Relation Name") == "call_log"]
    assert reads
    assert [node["Node Type"] for node in reads if node["Node Type"] == "Seq Scan"] == []
    assert sum(_rows(node) for node in reads) <= 10 * live
    assert not any(node.get("Relation Name") == "call_event" for node in nodes)


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)


def _rows(node: dict[str, Any]) -> float:
    """How many rows a scan looked at, those that it threw away included."""
    return float((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
