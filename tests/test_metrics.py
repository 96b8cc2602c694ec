"""What the queue looks like right now, asked of the table at scrape time."""

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from outbound import __version__, callback, db, metrics, schema
from outbound.call import FINAL, Report
from tests.conftest import World, forget_settings

# Every label, and how many values it may have at most: no id, no number and no word of a stranger among them.
LABELS = {"status": 10, "rule": 4, "result": 6, "reason": 7, "duty": 4, "version": 1}


def _scrape() -> str:
    """What Prometheus would read now, past the cache."""
    registry = CollectorRegistry()
    registry.register(metrics._Queue())
    return generate_latest(registry).decode()


def _samples(text: str) -> dict[tuple[str, ...], float]:
    """{(name, label's value): value}"""
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
    live = ("queued", "claimed", "initiated", "ringing", "in-progress")
    assert _shown(samples, "outbound_calls") == dict.fromkeys(live, 0)
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
    assert samples["outbound_duty_last_success_timestamp_seconds", "reconcile"] == 1793534400


def test_every_total_is_there_before_its_first_event(world: World) -> None:
    samples = _samples(_scrape())

    assert _shown(samples, "outbound_calls_ended_total") == dict.fromkeys(FINAL, 0)
    assert _shown(samples, "outbound_leads_total")["created"] == 0
    assert _shown(samples, "outbound_callbacks_total")["moved"] == 0


def test_a_life_shows_in_the_totals(world: World, nudges: list[object]) -> None:
    call_id = world.initiated()
    for status, source in (("initiated", "create"), ("ringing", "callback"), ("completed", "lookup")):
        callback.record(call_id, Report("CA" + "1" * 32, status, source))  # type: ignore[arg-type]

    samples = _samples(_scrape())

    assert samples["outbound_dials_total", "accepted"] == 1
    assert samples["outbound_callbacks_total", "moved"] == 1
    assert samples["outbound_lookups_total", "moved"] == 1
    assert samples["outbound_calls_ended_total", "completed"] == 1


# The form


def _everything(world: World) -> list[Metric]:
    """Every metric that there is, each with a value at least."""
    for name in ("dial", "report.create", "report.callback", "report.lookup", "ended", "lead", "cleanup", "reconcile"):
        world.do("insert into counter (name, label, slot, value) values (%s, 'moved', 0, 1)", name)
    world.do("insert into duty values ('claimed')")
    return [
        *text_string_to_metric_families(_scrape()),
        *(each for each in text_string_to_metric_families(metrics.exposition().decode()) if "refused" in each.name),
    ]


def test_every_name_says_what_it_counts_and_in_what_unit(world: World) -> None:
    families = _everything(world)

    assert len(families) >= 17
    for family in families:
        assert re.fullmatch(r"outbound_[a-z]+(_[a-z]+)*", family.name)
        assert not re.search(r"_(ms|milliseconds|minutes|hours|count|sum|bucket|info_total)$", family.name)
        assert len(family.documentation) > 10
        assert family.documentation.endswith(".") or family.name.endswith("_created")
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")


def test_no_label_can_grow_without_bound(world: World) -> None:
    for family in _everything(world):
        for sample in family.samples:
            assert set(sample.labels) <= set(LABELS)
            assert len(sample.labels) <= 1
        for label in {name for sample in family.samples for name in sample.labels}:
            assert len({sample.labels[label] for sample in family.samples}) <= LABELS[label]


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
    assert samples["outbound_schema_missing_migrations",] == len(schema.known_migrations())


def test_a_database_with_an_older_schema_shows_as_an_error(world: World) -> None:
    schema.rollback("0004_leads_one_per_phone")

    samples = _samples(_scrape())

    assert samples["outbound_scrape_error",] == 1
    assert samples["outbound_schema_missing_migrations",] == len(schema.known_migrations()) - 4


# The cost


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
    statement = metrics.sql.read_metrics.sql % {"worker_silent_s": 10}

    plan = world.value(f"explain (analyze, format json) {statement}")[0]["Plan"]

    reads = [node for node in _nodes(plan) if node.get("Relation Name") == "call_log"]
    assert reads
    assert [node["Node Type"] for node in reads if node["Node Type"] == "Seq Scan"] == []
    assert sum(_rows(node) for node in reads) <= 10 * live
    assert not any(node.get("Relation Name") == "call_event" for node in _nodes(plan))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)


def _rows(node: dict[str, Any]) -> float:
    """How many rows a scan looked at, those that it threw away included."""
    return float((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
