"""Tasks are due by elapsed time: what a host believes the time to be changes nothing, in any process."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from outbound.processes import scheduler
from outbound.simulator.server import RunningSimulator
from tests.conftest import Servers, World, until
from tests.host_clock import HostClock, build

HOUR_S, DAY_S = 3600, 86_400
STEPS = (-HOUR_S, HOUR_S, 0, -DAY_S, DAY_S, 0)  # from the true time, one after the other
TASKS = {"claimed", "no_call_sid", "no_lead", "campaign_ended", "reconcile"}


class Host(HostClock):
    """A host with one clock."""

    @contextmanager
    def process(self, name: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "outbound", name],
            env=os.environ | self.environment | environment,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is preloaded, built here."""
    built = build(tmp_path_factory.mktemp("clock"))
    if built is None:
        pytest.skip("no C compiler here: install gcc")
    return built


@pytest.fixture
def host(library: Path, tmp_path: Path) -> Host:
    return Host(library, tmp_path / "clock")


def _rounds_since(world: World, moment: object) -> set[str]:
    rows = world.rows("select name from duty where last_success_at > %s", moment)
    return {row.name for row in rows}


def test_every_task_goes_on_whatever_the_hosts_clock_is_set_to(world: World, servers: Servers, host: Host) -> None:
    with host.process("scheduler", OUTBOUND_TICK_S="0.5"):
        for step in STEPS:
            host.set(step)
            now = world.value("select now()")  # PostgreSQL's clock is not the host's
            until(lambda now=now: _rounds_since(world, now) >= TASKS)  # type: ignore[misc]
            now = world.value("select now()")
            until(lambda now=now: _rounds_since(world, now) >= TASKS)  # type: ignore[misc]


def test_a_call_lives_while_the_clock_of_every_process_is_set(
    world: World, servers: Servers, carrier: RunningSimulator, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = _free_port()
    monkeypatch.setenv("OUTBOUND_PUBLIC_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OUTBOUND_WEB_PORT", str(port))
    business_id = world.business()
    with host.process("web"), host.process("worker"), host.process("scheduler", OUTBOUND_TICK_S="0.5"):
        until(lambda: _answers(f"http://127.0.0.1:{port}/readyz"))
        for place, step in enumerate(STEPS):
            host.set(step)
            call_id = world.queued(business_id, f"+15005550{place}01")
            until(lambda call_id=call_id: world.call(call_id).lead_id is not None)  # type: ignore[misc]

    assert set(world.statuses()) == {"completed"}
    assert len(carrier.log()) == len(STEPS)


def test_what_deletes_old_rows_runs_each_tick_while_it_finds_some_and_else_seldom() -> None:
    batches = [1000, 7, 0, 1, 0]

    seldom = scheduler.seldom(lambda: batches.pop(0))
    left = [(seldom(), len(batches))[1] for _ in range(27)]

    assert left == [4, 3, *[2] * 12, 1, *[0] * 12]


def test_a_clock_that_was_set_is_noticed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    true_time = time.time
    clock = scheduler.HostClock()
    assert clock.jump_s() == 0

    monkeypatch.setattr(time, "time", lambda: true_time() - 3600)

    assert clock.jump_s() == pytest.approx(-3600, abs=1)
    assert clock.jump_s() == 0


def test_a_clock_that_is_slewed_is_noticed_once_it_is_a_second_off(monkeypatch: pytest.MonkeyPatch) -> None:
    true_time = time.time
    clock = scheduler.HostClock()

    for off_s in (0.25, 0.5, 0.75):
        monkeypatch.setattr(time, "time", lambda off_s=off_s: true_time() + off_s)
        assert clock.jump_s() == 0
    monkeypatch.setattr(time, "time", lambda: true_time() + 1.5)

    assert clock.jump_s() == pytest.approx(1.5, abs=0.5)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.ConnectionError:
        return False
