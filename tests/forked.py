"""
Run `outbound` as a process of its own, forked by a process that has imported its libraries already.

A command spends most of a second on imports, and the tests start hundreds of commands.  `run` stands for
`subprocess.run` of `python -m outbound`: the process has its own pid, environment, directory, arguments, streams,
signals and exit status.  Modules that read the environment when they are imported are imported after the fork.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

from tests import ROOT

REQUEST_MAX = 1 << 20  # bytes: the arguments and the environment of one process
# What commands import; none of these reads the environment when it is imported.
LIBRARIES = (
    *("aiohttp.web", "aiosql", "aiosql.adapters.pyformat", "apscheduler.schedulers.background"),
    *("dramatiq.brokers.redis", "dramatiq.brokers.stub", "openpyxl", "requests"),
    *("phonenumbers", "psycopg", "psycopg.rows", "psycopg.types.json", "psycopg_pool", "pydantic", "redis"),
    *("rich.live", "rich.progress", "rich.table", "starlette.applications", "structlog", "twilio.http", "twilio.rest"),
    *("twilio.twiml.voice_response", "typer", "uvicorn", "yoyo"),
    *("yoyo.backends.core.postgresql", "zoneinfo", "outbound.local.embedded_servers", "outbound.local.supervisor"),
    *("outbound.calls.call_again", "outbound.calls.enqueue", "outbound.calls.person", "outbound.database.migrations"),
    *("outbound.rules.campaign", "outbound.rules.control", "outbound.rules.destination", "outbound.rules.new_business"),
)
# These read it: where to print, which broker.
NOT_BEFORE = ("outbound.printing", "outbound.broker", "typer.rich_utils")


def run(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdout: IO[Any] | int | None = None,
    timeout: float = 90,
) -> subprocess.CompletedProcess[str]:
    """
    Run `outbound` until it ends, with an empty standard input.

    Standard output is captured unless *stdout* says where it goes; standard error is always captured.

    Raises subprocess.TimeoutExpired after *timeout* seconds; the process is killed first.
    """
    env = dict(os.environ if env is None else env)
    if not _starts_alike(env):
        command = [sys.executable, "-m", "outbound", *arguments]
        streams: dict[str, Any] = {"stdout": subprocess.PIPE if stdout is None else stdout, "stderr": subprocess.PIPE}
        return subprocess.run(command, env=env, cwd=cwd, text=True, timeout=timeout, check=False, **streams)
    with (
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
        Path(os.devnull).open() as nothing,
    ):
        files = [nothing.fileno(), _number(out if stdout is None else stdout), err.fileno()]
        status = _server().run(arguments, env, cwd or Path.cwd(), files, timeout)
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(arguments, status, out.read(), err.read())


def _number(stream: IO[Any] | int) -> int:
    return stream if isinstance(stream, int) else stream.fileno()


def _starts_alike(env: Mapping[str, str]) -> bool:
    """Does nothing in *env* change how Python itself, or a library that is imported before the fork, starts?"""
    read_at_start = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "dramatiq_")

    def of(environment: Mapping[str, str]) -> dict[str, str]:
        return {
            name: value
            for name, value in environment.items()
            if name.startswith(read_at_start) and name != "PYTHONPATH"
        }

    return hasattr(os, "pidfd_open") and of(env) == of(os.environ)


@cache
def _server() -> "_Server":
    return _Server()


class _Server:
    """The process that forks, as its client sees it."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        command = [sys.executable, "-m", "tests.forked", str(theirs.fileno())]
        self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()])
        theirs.close()
        atexit.register(self._close)

    def run(self, arguments: tuple[str, ...], env: dict[str, str], cwd: Path, files: list[int], timeout: float) -> int:
        """Fork a process and return its exit status; negative: the signal that ended it."""
        mask = os.umask(0)
        os.umask(mask)
        pid = self._ask({"arguments": arguments, "env": env, "cwd": str(cwd), "umask": mask}, files)
        ended = os.pidfd_open(pid)
        try:
            if not select.select([ended], [], [], timeout)[0]:
                signal.pidfd_send_signal(ended, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["outbound", *arguments], timeout)
        finally:
            os.close(ended)
            status = self._ask({"wait_for": pid}, [])
        return status

    def _ask(self, request: dict[str, Any], files: list[int]) -> int:
        with self._lock:
            socket.send_fds(self._line, [json.dumps(request).encode()], files)
            return int(self._line.recv(64))

    def _close(self) -> None:
        self._line.close()
        self._process.wait(10)


def _serve(line: socket.socket) -> dict[str, Any] | None:
    """Answer requests until the client is gone, and return None; in each forked process, return its request."""
    while True:
        data, files, _, _ = socket.recv_fds(line, REQUEST_MAX, 3)
        if not data:
            return None
        request: dict[str, Any] = json.loads(data)
        if "wait_for" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait_for"], 0)[1])
        elif (answer := os.fork()) == 0:
            for place, file in enumerate(files):
                os.dup2(file, place)
            os.closerange(3, max(line.detach(), *files) + 1)
            return request
        for file in files:
            os.close(file)
        line.send(str(answer).encode())


def _become(request: dict[str, Any]) -> None:
    """Be `python -m outbound` in this process."""
    os.umask(request["umask"])
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.argv[1:] = request["arguments"]
    try:
        runpy.run_module("outbound", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise  # Python prints it
        _end(end.code or 0)
    _end(0)


def _end(status: int) -> NoReturn:
    """Do what Python does at the end of a process, except freeing each object: that copies all shared memory."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except OSError:
        sys.exit(status)  # Python says what it could not write
    os._exit(status)


def main() -> None:
    """Import the libraries, then fork until the client is gone."""
    line = socket.socket(fileno=int(sys.argv[1]))
    for name in LIBRARIES:
        importlib.import_module(name)
    if early := {*NOT_BEFORE} & {*sys.modules}:
        raise RuntimeError(f"imported before the environment was set: {early}")
    for migration in importlib.import_module("outbound.database.migrations")._migrations():
        migration.load()  # some commands apply all
    gc.freeze()  # a forked process then writes to no memory that it shares
    if request := _serve(line):
        _become(request)


if __name__ == "__main__":
    main()
