"""
Run `outbound` as a process of its own, forked by a process that has imported its libraries already.

A command spends most of a second on imports, a worker two, and the tests start hundreds of each.  `run` stands for
`subprocess.run` of `python -m outbound`, `Popen` for `subprocess.Popen`, and `processes` for `Processes`: the process
has its own pid, environment, directory, arguments, streams, signals and exit status, and is a child of the process that
asked for it.  The process that forks is tests/forking.py.

Two things differ: /proc shows another command line, and what is imported lies in memory already.  So each process is
started by Python itself in some test: those of a host in tests/processes/test_systemd_notify.py and test_worker.py,
`up` with all that it starts in tests/local/test_supervisor.py and test_page_token.py, `demo` in
tests/local/test_demo.py, `verify` in tests/checks/test_verify.py.
"""

import atexit
import ctypes
import inspect
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

from outbound.local.supervisor import Processes
from outbound.processes.parent_death import die_with
from tests import ROOT

PR_SET_CHILD_SUBREAPER = 36
_ENVIRONMENT = dict(os.environ)  # in which the process that forks has started
PRELOADED = ("LD_PRELOAD", "HOST_CLOCK")


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
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": stdout or out, "stderr": err}
        with Popen([sys.executable, "-m", "outbound", *arguments], env=env, cwd=cwd, **streams) as process:
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(arguments, process.returncode, out.read(), err.read())


@contextmanager
def processes(commands: dict[str, list[str]], *arguments: Any) -> Iterator[Processes]:
    """`Processes`, each of which is forked, also one that is started again."""
    executed, subprocess.Popen = subprocess.Popen, Popen  # type: ignore[misc]
    try:
        with Processes(commands, *arguments) as running:
            yield running
    finally:
        subprocess.Popen = executed  # type: ignore[misc]


class Popen(subprocess.Popen[Any]):
    """
    What `subprocess.Popen` is, where it runs `python -m MODULE`: forked and not executed.

    What cannot be had in a forked process is started as ever: another program, files that are passed on, another user,
    a terminal, an environment in which Python itself starts otherwise.
    """

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, *more: Any) -> None:
        """Let the process be forked, as a child of this one."""
        pass_fds, cwd, env, _, _, shell, *ends = more
        (stdin, _, _, stdout, _, stderr), (_, gid, gids, uid, umask, session, group) = ends[:6], ends[6:]
        env = dict(os.environ if env is None else env)
        streams = [own if end == -1 else end for own, end in enumerate((stdin, stdout, stderr))]
        usual = close_fds and not pass_fds and not shell and executable in {None, sys.executable}
        usual = usual and (preexec_fn is None or preexec_fn.__module__ == die_with.__module__)
        usual = usual and (gid, gids, uid, umask, group) == (None, None, None, -1, -1)
        module = module_of(args)
        if module is None or not usual or not _starts_alike(env) or any(map(os.isatty, streams)):
            super()._execute_child(args, executable, preexec_fn, close_fds, *more)  # type: ignore[misc]
            return
        request = {
            "module": module,
            "arguments": [os.fspath(word) for word in args[3:]],
            "env": env,
            "cwd": str(cwd or Path.cwd()),
            "umask": _umask(),
            "session": session,
            "dies_with": _dies_with(preexec_fn),
        }
        try:
            self.pid = _parent(env).start(request, streams)
            self._child_created = True
        finally:
            self._close_pipe_fds(*ends[:6])  # type: ignore[attr-defined]


def module_of(args: Any) -> str | None:
    """The module that these arguments run; None where they run something else."""
    return str(args[2]) if list(args[:2]) in ([sys.executable, "-m"], [sys.executable, "-Pm"]) else None


def _starts_alike(env: Mapping[str, str]) -> bool:
    """
    Does nothing in *env* change how Python itself, or a library that is imported before the fork, starts?

    What is preloaded does: each has a parent that has it too.
    """
    read_at_start = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "dramatiq_")

    def of(environment: Mapping[str, str]) -> dict[str, str]:
        return {
            name: value
            for name, value in environment.items()
            if name.startswith(read_at_start) and name not in {"PYTHONPATH", *PRELOADED}
        }

    return sys.platform == "linux" and of(env) == of(_ENVIRONMENT) and (_own is None or not _preloaded(env))


def _preloaded(env: Mapping[str, str]) -> tuple[str, ...]:
    """What the loader puts into a process, and what that reads."""
    return tuple(env.get(name, "") for name in PRELOADED if env.get("LD_PRELOAD"))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _dies_with(preexec_fn: Any) -> tuple[int, int] | None:
    """What `die_with` was given, as the process that is to call it is another than this one."""
    if preexec_fn is None:
        return None
    given = inspect.getclosurevars(preexec_fn).nonlocals
    return given["parent_pid"], int(given["stop_signal"])


class Parent:
    """The process that forks, as the process sees it that asks."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._line.settimeout(60)
        self._lock = threading.Lock()

    def start(self, request: dict[str, Any], files: list[int]) -> int:
        """Have a process forked, which is a child of this one; return its pid."""
        with self._lock:
            _adopt(orphans=True)
            try:
                socket.send_fds(self._line, [json.dumps(request).encode()], files)
                answer = self._line.recv(64)
            except TimeoutError:
                self._line.close()  # a late answer must not be taken for that of another start
                raise
            finally:
                _adopt(orphans=False)
        if not answer:
            raise RuntimeError("the process that forks has ended: its standard error says why")
        pid, fault = map(int, answer.split())
        if fault:
            os.waitpid(pid, 0)
            raise OSError(fault, os.strerror(fault), request["cwd"])
        return pid

    def close(self) -> None:
        self._line.close()


_own: Parent | None = None  # of a process that was forked itself


def use(own: Parent) -> None:
    """Let what this process starts be forked by *own*, from now on."""
    global _own  # noqa: PLW0603
    _own = own
    subprocess.Popen = Popen  # type: ignore[misc]


def _parent(env: Mapping[str, str]) -> Parent:
    """The process that forks for this one."""
    return _own or _started_parent(_preloaded(env))


def _adopt(*, orphans: bool) -> None:
    """Be the parent of what our descendants leave behind, or no longer."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, int(orphans), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


@cache
def _started_parent(preloaded: tuple[str, ...]) -> Parent:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.forking", str(theirs.fileno())]
    env = _ENVIRONMENT | dict(zip(PRELOADED, preloaded, strict=False))
    process = subprocess.Popen(command, cwd=ROOT, env=env, pass_fds=[theirs.fileno()])
    theirs.close()
    found = Parent(ours)
    atexit.register(process.wait, 10)
    atexit.register(found.close)
    return found
