"""The demo, as a newcomer runs it, with a worker killed in the middle."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def data_dir() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="outbound-demo-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_the_demo_keeps_its_promises_though_a_worker_is_killed_in_the_middle(data_dir: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OUTBOUND_", "TWILIO_"))}
    clean = {name: value for name, value in clean.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    demo = subprocess.Popen(
        [sys.executable, "-m", "outbound", "demo", "--json"],
        env=clean | {"OUTBOUND_DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stderr is not None
    for line in demo.stderr:
        if line.startswith("processes"):
            worker = int(re.findall(r"worker=(\d+)", line)[0])
        if line.startswith("imported"):
            assert line.split() == ["imported", "23", "queued,", "1", "there", "already,", "1", "refused"]
            os.kill(worker, signal.SIGKILL)
            break

    output, errors = demo.communicate(timeout=110)

    assert demo.returncode == 0, errors
    told = json.loads(output.splitlines()[-1])
    assert told["calls"] == 26
    assert sum(told["by_status"].values()) == 26
    assert all(0 < told["live_at_most"][name] <= live_max for name, live_max in told["live_max"].items())
    assert set(told["by_status"]) <= {"completed", "busy", "no-answer", "failed"}
    assert (told["pending_without_call_sid"], told["rung_more_than_once"], told["queue_len"]) == (0, 0, 0)
    assert told["leads"] >= 18
