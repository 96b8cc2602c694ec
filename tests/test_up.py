"""Keep the processes of one machine running."""

import os
import signal
import subprocess
import sys

import psutil

from outbound.up import Processes, doors
from tests.conftest import World, until


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
    assert set(doors(simulator=True, in_process=True)) == {"simulator", "all"}
    assert set(doors(simulator=False, in_process=False)) == {"worker", "scheduler", "web"}


def test_when_the_supervisor_is_killed_its_processes_stop(world: World) -> None:
    supervisor = subprocess.Popen([sys.executable, "-m", "outbound", "up"], env=os.environ | {"OUTBOUND_WEB_PORT": "0"})
    try:
        until(lambda: world.value("select count(*) from worker") > 0, timeout_s=30)
        family = psutil.Process(supervisor.pid).children(recursive=True)
    finally:
        supervisor.kill()
        supervisor.wait(10)

    assert len(family) >= 4
    until(lambda: not any(process.is_running() and process.status() != "zombie" for process in family), timeout_s=60)
