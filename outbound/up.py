"""Keep the processes of one machine running: start them, start again what dies, stop them all and lose nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from outbound import logs
from outbound.parent import die_with

log = logs.get("up")

STOP_S = 65  # a worker finishes the dials that it has begun: 45 s at most, and what it takes to write them down
_LONG_LIFE_S = 10  # a process that lived this long is started again at once
_WAIT_MAX_S = 30


class _Child:
    def __init__(self, name: str, arguments: list[str], output: IO[bytes] | None, more: dict[str, str]) -> None:
        self.name = name
        self._more = more
        self._arguments = arguments
        self._output = output
        self._wait_s = 0.5
        self.start()

    def start(self) -> None:
        self._started_at = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "outbound", *self._arguments],
            stdout=self._output,
            stderr=self._output,
            stdin=subprocess.DEVNULL,
            env=os.environ | self._more,
            start_new_session=True,  # Ctrl-C reaches us alone: a second signal would make Dramatiq drop its dials
            preexec_fn=die_with(os.getpid(), signal.SIGTERM),  # noqa: PLW1509 (no threads yet)
        )

    def restart_if_dead(self) -> None:
        if self.process.poll() is None:
            return
        lived_s = time.monotonic() - self._started_at
        self._wait_s = 0.5 if lived_s > _LONG_LIFE_S else self._wait_s
        if lived_s < self._wait_s:
            return
        self._wait_s = min(self._wait_s * 2, _WAIT_MAX_S)
        log.warning("up.restart", process=self.name, exit_status=self.process.returncode)
        self.start()


class Processes:
    """
    Our own doors as child processes, by name: `{"web": ["web"]}`.  Use as a context: leaving it stops them all.

    Args:
        log_dir: where each writes NAME.log; without it they share our output.
        more: what they find in their environment beside ours.
    """

    def __init__(
        self, doors: dict[str, list[str]], log_dir: Path | None = None, more: dict[str, str] | None = None
    ) -> None:
        self._files = [(log_dir / f"{name}.log").open("ab") for name in doors] if log_dir else []
        outputs: list[IO[bytes] | None] = [*self._files] or [None] * len(doors)
        self._children = [
            _Child(name, arguments, output, more or {})
            for (name, arguments), output in zip(doors.items(), outputs, strict=True)
        ]

    def pids(self) -> dict[str, int]:
        """The process id of each door."""
        return {child.name: child.process.pid for child in self._children}

    def tend(self) -> None:
        """Start again what has died; call it every second or so, from the main thread."""
        for child in self._children:
            child.restart_if_dead()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.process.terminate()
        deadline = time.monotonic() + STOP_S
        for child in self._children:
            try:
                child.process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("up.killed", process=child.name)
                child.process.kill()
                child.process.wait()
        for file in self._files:
            file.close()


def doors(*, simulator: bool, in_process: bool) -> dict[str, list[str]]:
    """Which processes one machine runs; with the in-process broker, one of them does everything but simulate."""
    ours = (
        {"all": ["worker", "--with-web"]} if in_process else {name: [name] for name in ("worker", "scheduler", "web")}
    )
    return {"simulator": ["simulator"]} | ours if simulator else ours
