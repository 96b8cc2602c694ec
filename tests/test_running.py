"""Say whether a process of the host is running."""

import subprocess
import sys

import psutil
import pytest

from tests.conftest import until
from tests.running import is_running


def test_a_process_runs_until_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = psutil.Process(child.pid)
        assert is_running(process)

        child.kill()

        until(lambda: process.status() == psutil.STATUS_ZOMBIE)
        assert not is_running(process)
    assert not is_running(process)


def test_a_process_that_ends_while_it_is_looked_at_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = psutil.Process(child.pid)
        runs = process.is_running

        def ends_after() -> bool:
            ran = runs()
            child.kill()
            child.wait()
            return ran

        monkeypatch.setattr(process, "is_running", ends_after)

        assert not is_running(process)
