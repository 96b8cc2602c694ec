"""What the processes that the units start tell systemd, received where systemd would receive it."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from outbound.processes import systemd_notify, systemd_units
from tests import forked
from tests.conftest import Servers, World, until

Process = subprocess.Popen[Any]
UNITS = ("outbound-worker@.service", "outbound-scheduler.service", "outbound-web.service", "outbound-api.service")
LISTENING = UNITS[2:]
SILENT_S = 5  # longer than any loop leaves systemd without a sign: the worker's takes HEARTBEAT_S, the others' 1 s
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


class Supervisor:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self.said: list[str] = []
        self.heard_at = time.monotonic()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        threading.Thread(target=self._listen, name="supervisor", daemon=True).start()

    def heard(self, assignment: str) -> bool:
        return any(assignment in said.splitlines() for said in self.said)

    def is_fed(self) -> bool:
        """Was there a heartbeat since we last asked?"""
        said, self.said = self.said, []
        return any("WATCHDOG=1" in each.splitlines() for each in said)

    def is_silent(self) -> bool:
        return time.monotonic() - self.heard_at > SILENT_S

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while said := self._socket.recv(4096):
                self.heard_at = time.monotonic()
                self.said.append(said.decode())


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "notify")
    yield supervisor
    supervisor.close()


def exec_start(unit: str) -> list[str]:
    """The command that a unit runs, with the `outbound` of this checkout."""
    lines = systemd_units.units(systemd_units.this_program())[unit].splitlines()
    return shlex.split(next(line for line in lines if line.startswith("ExecStart=")).removeprefix("ExecStart="))


@contextmanager
def started(unit: str, supervisor: Supervisor, *, by_python: bool = False, port: int = 0) -> Iterator[Process]:
    """The process of a unit as systemd starts it, and as systemd stops it; forked, unless by Python itself."""
    ports = {"OUTBOUND_WEB_PORT": str(port), "OUTBOUND_API_PORT": "0"}
    environment = os.environ | ports | {"NOTIFY_SOCKET": supervisor.address}
    command = exec_start(unit)
    if by_python:
        process: Process = subprocess.Popen(command, env=environment, start_new_session=True)
    else:
        command = [sys.executable, "-m", "outbound", *command[1:]]
        process = forked.Popen(command, env=environment, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def locked(world: World, table: str) -> Iterator[None]:
    """Nobody else's statement on *table* comes to an end."""
    with psycopg.connect(world.url) as connection:
        connection.execute(f"lock table {table} in access exclusive mode".encode())
        yield


@contextmanager
def away(world: World, servers: Servers) -> Iterator[None]:
    """The database lets nobody in, and throws out who is there."""
    name = world.value("select current_database()")
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f"alter database {name} allow_connections false".encode())
        try:
            leave = (
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and application_name = %s"
            )
            connection.execute(leave, (name, "outbound"))
            yield
        finally:
            connection.execute(f"alter database {name} allow_connections true".encode())


@pytest.mark.parametrize("unit", UNITS)
def test_each_process_says_that_it_is_up_and_at_work_and_that_it_stops(
    world: World, supervisor: Supervisor, unit: str
) -> None:
    with started(unit, supervisor, by_python=True) as process:
        until(lambda: supervisor.heard("READY=1"))
        until(supervisor.is_fed)
        until(supervisor.is_fed)
        assert not supervisor.heard("STOPPING=1")

    assert supervisor.heard("STOPPING=1")
    assert process.returncode in {0, 143}  # SuccessExitStatus


@pytest.mark.parametrize(("unit", "table"), [(UNITS[0], "worker"), (UNITS[1], "call_log")])
def test_a_loop_that_hangs_on_the_database_gives_no_sign_of_life_until_it_turns_again(
    world: World, supervisor: Supervisor, unit: str, table: str
) -> None:
    with started(unit, supervisor):
        until(supervisor.is_fed)

        with locked(world, table):
            until(supervisor.is_silent)

        supervisor.is_fed()
        until(supervisor.is_fed)


def test_a_web_process_whose_threads_all_hang_gives_no_sign_of_life(world: World, supervisor: Supervisor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with started("outbound-web.service", supervisor, port=port):
        until(supervisor.is_fed)

        with locked(world, "call_log"):
            asking = [threading.Thread(target=_ask, args=(port,)) for _ in range(60)]  # there are 40 threads
            for thread in asking:
                thread.start()
            until(supervisor.is_silent)

        supervisor.is_fed()
        until(supervisor.is_fed)
        for thread in asking:
            thread.join(60)


def _ask(port: int) -> None:
    with suppress(requests.RequestException):
        requests.get(f"http://127.0.0.1:{port}/metrics", timeout=50)


@pytest.mark.parametrize("unit", UNITS)
def test_a_process_that_is_frozen_gives_no_sign_of_life(world: World, supervisor: Supervisor, unit: str) -> None:
    with started(unit, supervisor) as process:
        until(supervisor.is_fed)

        os.killpg(process.pid, signal.SIGSTOP)
        until(supervisor.is_silent)

        supervisor.is_fed()
        os.killpg(process.pid, signal.SIGCONT)
        until(supervisor.is_fed)


@pytest.mark.parametrize("unit", UNITS)
def test_a_database_that_is_away_is_no_reason_to_be_restarted(
    world: World, servers: Servers, supervisor: Supervisor, unit: str
) -> None:
    with started(unit, supervisor) as process:
        until(supervisor.is_fed)

        with away(world, servers):
            supervisor.is_fed()
            for _ in range(3):
                until(supervisor.is_fed)

        assert process.poll() is None


@pytest.mark.parametrize("unit", UNITS)
def test_under_systemd_a_process_waits_for_its_database_and_says_so(
    world: World, servers: Servers, supervisor: Supervisor, unit: str
) -> None:
    with ExitStack() as running:
        with away(world, servers):
            process = running.enter_context(started(unit, supervisor))
            until(lambda: supervisor.heard("STATUS=the database does not answer"))
            assert supervisor.heard("EXTEND_TIMEOUT_USEC=60000000")
            assert not supervisor.heard("READY=1")
            assert process.poll() is None

        until(lambda: supervisor.heard("READY=1"))


def test_a_supervisor_may_have_a_name_outside_the_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"outbound-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)

        systemd_notify.stopping()

        assert b"STOPPING=1" in listener.recv(4096).splitlines()


def test_without_a_supervisor_or_with_one_that_is_gone_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd_notify.stopping()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    systemd_notify.stopping()


def test_sockets_that_were_meant_for_another_process_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", "1")

    assert systemd_notify.inherited_sockets() == []
    assert "LISTEN_FDS" not in os.environ


def _activated(
    listener: socket.socket, supervisor: Supervisor, unit: str = "outbound-web.service"
) -> subprocess.Popen[bytes]:
    """The process of a unit, with a socket that is not its own, as systemd starts it."""
    command = [sys.executable, "-c", ACTIVATE, str(listener.fileno()), *exec_start(unit)]
    environment = os.environ | {"NOTIFY_SOCKET": supervisor.address}
    return subprocess.Popen(command, env=environment, pass_fds=[listener.fileno()], start_new_session=True)


@pytest.mark.parametrize("unit", LISTENING)
def test_while_a_process_that_listens_is_restarted_no_connection_is_refused_and_none_is_lost(
    world: World, supervisor: Supervisor, unit: str
) -> None:
    answers: list[str] = []
    enough = threading.Event()

    def call_back() -> None:
        while not enough.is_set():
            try:
                answers.append(str(requests.get(url, timeout=30, headers={"connection": "close"}).status_code))
            except requests.RequestException as error:
                answers.append(type(error).__name__)

    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/healthz"
        callers = [threading.Thread(target=call_back) for _ in range(3)]
        process = _activated(listener, supervisor, unit)
        try:
            for caller in callers:
                caller.start()
            for _ in range(3):
                until(supervisor.is_fed)
                process.terminate()
                process.wait(30)
                process = _activated(listener, supervisor, unit)
            so_far = len(answers)
            until(lambda: len(answers) > so_far + 10)
        finally:
            enough.set()
            for caller in callers:
                caller.join(30)
            process.terminate()
            process.wait(30)

    assert set(answers) == {"200"}


def test_a_socket_off_loopback_wants_the_metrics_token(world: World, supervisor: Supervisor) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104 (that is the point)
        process = _activated(listener, supervisor)
        assert process.wait(30) == 2
