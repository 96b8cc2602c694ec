"""The chaos suite in short: `make chaos` runs the long one."""

import subprocess
import sys

import pytest

from tests import ROOT


@pytest.mark.timeout(240)
def test_three_hundred_calls_under_every_kind_of_fault_lose_none_ring_none_twice_and_leave_none_stuck() -> None:
    command = [sys.executable, "-m", "tests.chaos", "--calls", "300", "--seed", "1", "--faults-every", "1.2"]

    run = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=230)

    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-4000:]
