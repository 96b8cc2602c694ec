"""What `dramatiq outbound.processes.worker` loads, as real processes."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from outbound.calls import dispatch
from outbound.simulator.server import RunningSimulator
from tests.conftest import Servers, World, until
from tests.running import is_running

DRAMATIQS_OWN = [sys.executable, "-m", "dramatiq", "outbound.processes.worker:set_up", "--processes=1", "--threads=1"]


@contextmanager
def _worker(servers: Servers, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "outbound", "worker"],
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def _dispatch(servers: Servers, monkeypatch: pytest.MonkeyPatch, calls: int = 1) -> None:
    from outbound import broker
    from outbound.calls import dial

    shared = broker.make(servers.redis_url)
    shared.declare_actor(dial.dial_call)
    monkeypatch.setattr(dial.dial_call, "broker", shared)
    assert dispatch.dispatch_once() == calls


def test_a_worker_says_that_it_is_alive_and_says_farewell(world: World, servers: Servers) -> None:
    with _worker(servers, OUTBOUND_WORKER_PROCESSES="2", OUTBOUND_WORKER_THREADS="3"):
        until(lambda: world.value("select sum(threads) from worker") == 6)

    assert world.value("select count(*) from worker") == 0


def test_a_worker_that_is_told_to_stop_finishes_the_dial_that_it_has_begun(
    world: World, servers: Servers, carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_CARRIER_TIMEOUT_S", "20")
    call_id = world.queued(to="+15005550119")  # the carrier accepts, and answers four seconds later
    with _worker(servers):
        until(lambda: world.value("select count(*) from worker") == 1)
        _dispatch(servers, monkeypatch)
        until(lambda: len(carrier.log()) == 1)

    assert world.call(call_id).call_sid == carrier.log()[0]["call_sid"]


def test_a_call_whose_carrier_is_slow_keeps_no_other_thread_from_dialing(
    world: World, servers: Servers, carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_CARRIER_TIMEOUT_S", "20")
    business_id = world.business()
    slow = [world.queued(business_id, f"+150055502{number}19") for number in range(3)]
    quick = world.queued(business_id, "+15005550301")
    with _worker(servers):
        until(lambda: world.value("select count(*) from worker") == 1)
        _dispatch(servers, monkeypatch, calls=4)

        until(lambda: world.call(quick).call_sid is not None)

        assert {world.call(call_id).call_sid for call_id in slow} == {None}


def test_a_worker_that_is_killed_leaves_nothing_running(world: World, servers: Servers) -> None:
    with _worker(servers, OUTBOUND_WORKER_PROCESSES="2") as master:
        until(lambda: world.value("select count(*) from worker") == 2)
        family = psutil.Process(master.pid).children(recursive=True)

        master.kill()

        until(lambda: not any(map(is_running, family)))


def test_a_worker_that_is_killed_before_it_is_up_leaves_nothing_running(world: World, servers: Servers) -> None:
    with _worker(servers, OUTBOUND_WORKER_PROCESSES="2") as master:
        family = psutil.Process(master.pid)
        until(lambda: len(family.children()) >= 2)
        children = family.children(recursive=True)

        master.kill()

        until(lambda: not any(map(is_running, children)))


def _by_dramatiqs_own_command(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run until it ends by itself."""
    command = [
        sys.executable,
        "-m",
        "dramatiq",
        "outbound.processes.worker:set_up",
        "--processes",
        "1",
        "--threads",
        "1",
    ]
    env = {name: value for name, value in (os.environ | environment).items() if value}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_worker_process_that_boots_while_the_database_is_away_ends(world: World, servers: Servers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"postgresql://127.0.0.1:{closed.getsockname()[1]}/nothing"

    finished = _by_dramatiqs_own_command(DATABASE_URL=nobody)

    assert finished.returncode != 0
    assert "outbound worker: the database does not answer" in finished.stderr + finished.stdout
    assert "Traceback" not in finished.stderr + finished.stdout


def test_a_worker_process_that_may_not_read_the_schema_ends(world: World, servers: Servers) -> None:
    world.do("alter table _yoyo_migration rename column migration_id to something_else")

    finished = _by_dramatiqs_own_command()

    assert finished.returncode != 0
    assert "outbound worker: not started" in finished.stderr + finished.stdout


@pytest.mark.parametrize("name", ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"])
def test_a_worker_process_without_an_account_ends(world: World, servers: Servers, name: str) -> None:
    finished = _by_dramatiqs_own_command(**{name: ""})

    assert finished.returncode != 0
    assert f"outbound worker: {name}: must be set" in finished.stderr + finished.stdout
    assert "Traceback" not in finished.stderr + finished.stdout


def test_a_worker_that_is_killed_while_the_database_is_silent_leaves_nothing_running(
    world: World, servers: Servers
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never says a word
        address = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/nothing"
        command = [
            sys.executable,
            "-m",
            "dramatiq",
            "outbound.processes.worker:set_up",
            "--processes",
            "1",
            "--threads",
            "1",
        ]
        master = subprocess.Popen(command, env=os.environ | {"DATABASE_URL": address}, stderr=subprocess.DEVNULL)
        try:
            silent.settimeout(30)
            asked, _ = silent.accept()
            with asked:
                family = psutil.Process(master.pid).children(recursive=True)
                assert family

                master.kill()

                until(lambda: not any(map(is_running, family)))
        finally:
            master.kill()
            master.wait(20)


def test_a_worker_refuses_a_schema_older_than_it_needs(world: World, servers: Servers) -> None:
    world.do("delete from _yoyo_migration where migration_id = '0007_counter_and_worker'")

    finished = _by_dramatiqs_own_command()

    assert finished.returncode != 0
    assert "the database lacks 0007_counter_and_worker: run `outbound migrate`" in finished.stderr + finished.stdout
