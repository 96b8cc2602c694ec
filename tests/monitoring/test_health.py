"""Can calls be made right now; asked of the step, of the web process, and on the command line."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
import requests

from outbound import broker
from outbound.monitoring import health
from outbound.processes import systemd_units
from outbound.rules import control
from outbound.rules.scope import Scope
from outbound.web import app
from tests.conftest import Environment, Servers, World, forget_settings, until

AWAY = "postgresql://outbound:hush@127.0.0.1:1/outbound"


@pytest.fixture
def shared_broker(servers: Servers, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker of a process that shares it with others."""
    made = broker.make(servers.redis_url)
    monkeypatch.setattr(broker, "current", lambda: made)


@pytest.fixture
def address(database: str) -> Iterator[str]:
    server = app.server("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, name="web")
    thread.start()
    until(lambda: server.started)
    host, port = server.servers[0].sockets[0].getsockname()
    yield f"http://{host}:{port}"
    server.should_exit = True
    thread.join(20)


def test_with_database_schema_broker_and_a_living_worker_nothing_is_missing(world: World, shared_broker: None) -> None:
    world.worker()
    world.scheduler()

    assert health.check() == ({}, {})


def test_without_a_worker_that_is_alive_the_consumers_are_missing(world: World, shared_broker: None) -> None:
    world.worker()
    world.scheduler()
    world.do("update worker set seen_at = now() - interval '1 minute'")

    assert health.check().missing == {
        "consumers": "No worker is alive, so that nothing is dialed: start `outbound worker`."
    }


def test_without_a_scheduler_that_is_alive_nobody_dispatches(world: World, shared_broker: None) -> None:
    world.worker()
    never = health.check().missing["scheduler"]
    world.scheduler()
    world.do("update duty set last_success_at = '2025-12-01 07:00Z'")

    assert "none has ever run" in never
    assert health.check().missing == {
        "scheduler": "No scheduler is alive, so that nothing is dialed or cleaned up (silent since Mon 2025-12-01 07:00"
        " UTC): start `outbound scheduler`."
    }


def test_what_a_person_did_on_purpose_is_said_and_makes_nobody_restart_anything(
    world: World, shared_broker: None
) -> None:
    world.worker()
    world.scheduler()
    control.pause(Scope("account", ""), reason="Lunch", actor="anna")

    found = health.check()

    assert found.missing == {}
    assert found.held["paused"].startswith("Everything is paused since ")
    assert found.held["paused"].endswith(" by anna: Lunch. `outbound resume everything` lets it go.")


def test_a_dispatcher_that_cannot_reach_the_broker_makes_every_host_not_ready(
    world: World, shared_broker: None
) -> None:
    world.worker()
    world.scheduler()
    world.do("insert into dialing_stop (cause, reason) values ('broker', 'The broker takes no writes: see doctor.')")

    assert health.check().missing["broker"].startswith("The broker takes no writes: see doctor. Nothing is dialed ")


def test_without_a_broker_that_answers_no_worker_can_be_reached(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.worker()
    world.scheduler()
    made = broker.make("redis://outbound:hush@127.0.0.1:1")
    monkeypatch.setattr(broker, "current", lambda: made)

    assert health.check().missing == {"broker": "does not answer", "consumers": "no nudge reaches them"}


def test_an_old_schema_is_named_with_what_mends_it(world: World, shared_broker: None) -> None:
    world.do("delete from _yoyo_migration where migration_id = '0007_counter_and_worker'")

    assert health.check().missing == {"schema": "lacks 1 migrations: run `outbound migrate`"}


def test_a_database_that_does_not_let_us_read_it_is_missing(world: World, shared_broker: None) -> None:
    world.do("drop table worker cascade")

    assert health.check().missing == {"database": "cannot be read"}


def test_while_the_database_is_away_the_process_is_alive_and_not_ready_and_says_no_more(
    world: World, address: str
) -> None:
    with Environment(DATABASE_URL=AWAY):
        ready = requests.get(f"{address}/readyz", timeout=20)
        alive = requests.get(f"{address}/healthz", timeout=20)

    assert (ready.status_code, ready.json()) == (
        503,
        {"ready": False, "missing": {"database": "does not answer"}, "held": {}},
    )
    assert alive.status_code == 200


def test_a_process_is_ready_where_nothing_is_missing(
    world: World, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.worker()
    world.scheduler()
    ready = requests.get(f"{address}/readyz", timeout=20)
    control.pause(Scope("account", ""), actor="anna")
    paused = requests.get(f"{address}/readyz", timeout=20)
    monkeypatch.setenv("OUTBOUND_METRICS_TOKEN", "a-long-enough-token")
    forget_settings()
    from_outside = requests.get(f"{address}/readyz", timeout=20)
    shown = {"authorization": "Bearer a-long-enough-token"}
    from_inside = requests.get(f"{address}/readyz", headers=shown, timeout=20)

    assert (ready.status_code, ready.json()) == (200, {"ready": True, "missing": {}, "held": {}})
    assert (paused.status_code, paused.json()["ready"]) == (200, True)
    assert " by anna: " in paused.json()["held"]["paused"]
    assert (from_outside.status_code, list(from_outside.json()["held"])) == (200, ["paused"])
    assert "anna" not in from_outside.text
    assert from_inside.json() == paused.json()


def test_a_database_that_hangs_keeps_no_prober_waiting_and_is_asked_once(world: World, address: str) -> None:
    answers: list[requests.Response] = []
    with psycopg.connect(world.url) as connection:
        connection.execute("lock table worker in access exclusive mode")
        began = time.monotonic()

        probers = [
            threading.Thread(target=lambda: answers.append(requests.get(f"{address}/readyz", timeout=20)))
            for _ in range(5)
        ]
        for prober in probers:
            prober.start()
        waiting = """select count(*) from pg_stat_activity
                      where wait_event_type = 'Lock' and query like '/* monitoring/situation.%%'"""
        until(lambda: world.value(waiting) == 1)
        assert requests.get(f"{address}/healthz", timeout=20).elapsed.total_seconds() < 5
        for prober in probers:
            prober.join(20)

        assert world.value(waiting) == 1
        assert time.monotonic() - began < 15
    assert [answer.status_code for answer in answers] == [503] * 5


def test_the_command_says_what_is_missing_and_fails(world: World) -> None:
    world.worker()
    world.scheduler()
    control.pause(Scope("account", ""), actor="anna")
    environment = os.environ | {"REDIS_URL": "redis://127.0.0.1:1"}

    done = subprocess.run(
        [systemd_units.this_program(), "ready"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    *missing, held = done.stdout.splitlines()
    assert missing == ["broker: does not answer", "consumers: no nudge reaches them"]
    assert held.startswith("paused: Everything is paused since ")
