"""The demo, as a newcomer runs it: what it shows is what happened, and another one beside it changes nothing."""

import fcntl
import json
import os
import pty
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from outbound.local import demo_screen
from outbound.local.demo_place import ports_of_our_own
from tests import forked

PLAY_S = 115
LINES, COLUMNS = 24, 80


@pytest.fixture
def data_dir() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="outbound-demo-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def environment(data_dir: Path) -> dict[str, str]:
    """As a newcomer has it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OUTBOUND_", "TWILIO_"))}
    clean = {name: value for name, value in clean.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    return clean | {"OUTBOUND_DATA_DIR": str(data_dir)}


def play(data_dir: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "outbound", "demo", *options]
    output = subprocess.PIPE
    return forked.Popen(command, env=environment(data_dir), stdout=output, stderr=output, text=True)


def on_a_terminal(data_dir: Path) -> tuple[int, str]:
    """Play one on a terminal of 80 columns and 24 lines; return its exit status and all that it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    env = environment(data_dir) | {"TERM": "xterm"}
    command = [sys.executable, "-m", "outbound", "demo"]
    demo = subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while text := os.read(ours, 65536):
            written += text
    except OSError:  # EIO: nobody writes to it any more
        pass
    os.close(ours)
    return demo.wait(PLAY_S), written.decode()


@pytest.mark.timeout(300)
def test_two_demos_at_once_keep_their_promises_though_a_worker_of_one_is_killed(data_dir: Path) -> None:
    demo = play(data_dir, "--json")
    assert demo.stderr is not None
    shown: list[tuple[int, str]] = []
    beside = threading.Thread(target=lambda: shown.append(on_a_terminal(data_dir)))
    for line in demo.stderr:
        if line.startswith("data"):
            beside.start()
        if line.startswith("processes"):
            worker = int(re.findall(r"worker=(\d+)", line)[0])
        if line.startswith("imported"):
            assert line.split(maxsplit=1)[1] == "23 queued, 0 there already, 1 twice in the file, 1 refused\n"
            os.kill(worker, signal.SIGKILL)
            break

    output, errors = demo.communicate(timeout=PLAY_S)
    beside.join(PLAY_S)

    assert demo.returncode == 0, errors
    told = json.loads(output.splitlines()[-1])
    assert told["calls"] == sum(told["by_status"].values()) == 26
    assert all(0 < told["live_at_most"][name] <= live_max for name, live_max in told["live_max"].items())
    assert set(told["by_status"]) <= {"completed", "busy", "no-answer", "failed"}
    assert (told["pending_without_call_sid"], told["rung_more_than_once"], told["queue_len"]) == (0, 0, 0)
    assert told["leads"] >= 18
    assert (told["held"]["calls"], told["held"]["dialed"]) == (3, 0)
    assert told["restarts"] == 1
    assert "process worker had ended and was started again" in errors

    status, screens = shown[0]
    assert status == 0, screens
    assert "every promise was kept" in screens
    assert "held: its campaign is paused" in screens
    assert "no_call_sid after" in screens  # a fault, and what was done about it
    assert not re.search(r"level=|timestamp=|WARNING", screens)  # no log line stands between
    try_each_suggestion(screens, environment(data_dir))


def try_each_suggestion(screens: str, env: dict[str, str]) -> None:
    """What is suggested at the end works as it stands, once the demo has ended."""
    suggested = re.findall(r"^  (\S.*?)\r?$", screens.split("what to try next:")[1], re.M)
    assert [shlex.split(line)[-1] for line in suggested if line.endswith("up")] == ["up"]
    for line in suggested:
        if line.endswith(" up"):
            continue
        done = subprocess.run(["sh", "-c", line], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "completed" in done.stdout or "It has ended" in done.stdout


def test_a_port_that_a_demo_has_is_given_to_nobody_else_and_its_own_process_may_listen() -> None:
    with ports_of_our_own(2) as ports, ports_of_our_own(50) as others:
        assert not set(ports) & set(others)
        with socket.create_server(("127.0.0.1", ports[0])):
            pass


def screen_of(calls: list[SimpleNamespace], *, lines: int = LINES) -> list[str]:
    """What stands on a terminal of that size."""
    with Path(os.devnull).open("w") as nowhere:
        out = Console(file=nowhere, width=COLUMNS, height=lines, force_terminal=True, record=True)
        screen = demo_screen.Screen(out, {"Acme": 4})
        screen.show({"leads": 1, "live": {"Acme": 4}}, calls, ["a campaign is paused"])
        out.print(screen.drawn)
        return out.export_text().splitlines()


def test_on_a_small_terminal_newest_faults_are_seen_and_what_ended_well_is_counted() -> None:
    calls = [
        SimpleNamespace(id=n, status="failed", rank=5, story=f"story {n}", waits_for=None, trace="closed")
        for n in range(40, 10, -1)
    ]
    calls += [
        SimpleNamespace(id=n, status="completed", rank=5, story=f"plain {n}", waits_for=None, trace=None)
        for n in range(1, 8)
    ]
    calls += [SimpleNamespace(id=50, status="queued", rank=0, story="recall", waits_for="paused", trace=None)]

    shown = screen_of(calls)

    assert len(shown) <= LINES - 1
    assert "38 calls: 0 waiting, 1 held, 0 in the air, 37 ended" in shown[0]
    assert "7: 7 completed" in shown[2]
    rows = shown[shown.index(next(line for line in shown if line.startswith("call"))) + 1 :]
    assert "held: its campaign is paused" in rows[0]
    assert [int(row.split()[0]) for row in rows[1:-1]] == list(range(40, 40 - len(rows) + 2, -1))
    assert f"and {30 - len(rows) + 2} before these" in rows[-1]
    assert not any("plain" in row for row in rows)
    with Path(os.devnull).open("w") as nowhere:
        out = Console(file=nowhere, width=COLUMNS, record=True)
        out.print(demo_screen.faults(calls))
        assert out.export_text().endswith("the other 8 of 38: 7 completed, 1 queued\n")
