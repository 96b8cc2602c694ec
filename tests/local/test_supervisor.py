"""Keep the processes of one machine running."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from outbound import config
from outbound.local.supervisor import PortTaken, Processes, process_commands, require_ports
from tests import forked
from tests.cli.test_cli import refuses, run
from tests.conftest import World, forget_settings, until
from tests.ports import free_ports
from tests.running import is_running


def test_a_process_that_is_killed_is_started_again_and_all_are_stopped_at_the_end(world: World) -> None:
    with Processes({"scheduler": ["scheduler"]}) as processes:
        first = processes.pids()["scheduler"]
        until(lambda: world.value("select count(*) from duty") >= 3)

        os.kill(first, signal.SIGKILL)

        def another() -> bool:
            processes.tend()
            return processes.pids()["scheduler"] != first

        until(another)
        second = processes.pids()["scheduler"]
    assert not psutil.pid_exists(first)
    assert not psutil.pid_exists(second)


def test_with_the_in_process_broker_one_process_does_everything_but_simulate() -> None:
    assert set(process_commands(simulator=True, in_process=True)) == {"simulator", "all"}
    assert set(process_commands(simulator=False, in_process=False)) == {"worker", "scheduler", "web"}


@pytest.mark.parametrize("start", [subprocess.Popen, forked.Popen])
def test_when_the_supervisor_is_killed_its_processes_stop(world: World, start: type[subprocess.Popen[bytes]]) -> None:
    ports = dict(zip(("WEB", "API", "SIMULATOR"), map(str, free_ports(3)), strict=True))
    given = {f"OUTBOUND_{name}_PORT": port for name, port in ports.items()}
    supervisor = start([sys.executable, "-m", "outbound", "up"], env=os.environ | given)
    try:
        until(lambda: world.value("select count(*) from worker") > 0, timeout_s=30)
        family = psutil.Process(supervisor.pid).children(recursive=True)
    finally:
        supervisor.kill()
        supervisor.wait(10)

    assert len(family) >= 4
    until(lambda: not any(map(is_running, family)), timeout_s=60)


@pytest.mark.parametrize("setting", ["OUTBOUND_WEB_PORT", "OUTBOUND_SIMULATOR_PORT"])
def test_a_port_that_is_taken_is_refused_before_anything_is_started(tmp_path: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        given = {"OUTBOUND_WEB_PORT": "0", "OUTBOUND_SIMULATOR_PORT": "0", setting: str(port)}

        done = run(tmp_path, {"OUTBOUND_DATA_DIR": str(tmp_path / "data")} | given, "up")

    (line,) = refuses(done, f"port {port} on 127.0.0.1, which ")
    assert f"or set {setting} to another port" in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"OUTBOUND_WEB_PORT": "18999", "OUTBOUND_SIMULATOR_PORT": "18999"}, "cannot share port 18999"),
        ({"OUTBOUND_WEB_HOST": "203.0.113.7"}, "set OUTBOUND_WEB_HOST to an address of this host"),
        ({"OUTBOUND_WEB_HOST": "nowhere.invalid"}, "set OUTBOUND_WEB_HOST"),
    ],
)
def test_where_nobody_can_listen_the_setting_to_change_is_named(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], words: str
) -> None:
    for name, value in ({"OUTBOUND_METRICS_TOKEN": "sixteen-characters-or-more"} | given).items():
        monkeypatch.setenv(name, value)
    forget_settings()

    with pytest.raises(PortTaken, match=words):
        require_ports(config.settings(), simulator="OUTBOUND_SIMULATOR_PORT" in given)
    monkeypatch.undo()
    forget_settings()


def test_a_port_whose_last_connections_are_still_closing_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)), listener.accept()[0] as accepted:
        accepted.close()  # first: it waits in TIME_WAIT
    listener.close()
    monkeypatch.setenv("OUTBOUND_WEB_PORT", str(port))
    forget_settings()

    require_ports(config.settings(), simulator=False)
    monkeypatch.undo()
    forget_settings()
