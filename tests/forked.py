"""
Run `outbound` as a process of its own, forked by a process that has imported its libraries already.

A command spends most of a second on imports, a worker two, and the tests start hundreds of each.  `run` stands for
`subprocess.run` of `python -m outbound`, `Popen` for `subprocess.Popen`, and `processes` for `Processes`: the process
has its own pid, environment, directory, arguments, streams, signals and exit status, and is a child of the process that
asked for it.  Modules that read the environment when they are imported are imported after the fork.

Two things differ: /proc shows another command line, and what is imported lies in memory already.  So each process is
started by Python itself in some test: those of a host in tests/processes/test_systemd_notify.py and test_worker.py,
`up` with all that it starts in tests/local/test_supervisor.py and test_page_token.py, `demo` in
tests/local/test_demo.py, `verify` in tests/checks/test_verify.py.
"""

import atexit
import ctypes
import gc
import importlib
import inspect
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

from outbound.local.supervisor import Processes
from outbound.processes.parent_death import die_with
from tests import ROOT

REQUEST_MAX = 1 << 20  # bytes: the arguments and the environment of one process
PR_SET_CHILD_SUBREAPER = 36
# What processes import; none of these reads the environment when it is imported.
LIBRARIES = (
    *("aiohttp.web", "aiosql", "aiosql.adapters.pyformat", "apscheduler.schedulers.background"),
    *("dramatiq.brokers.redis", "dramatiq.brokers.stub", "dramatiq.cli", "fastapi", "httptools", "openpyxl"),
    *("phonenumbers", "prometheus_client", "psycopg", "psycopg.rows", "psycopg.types.json", "psycopg_pool", "pydantic"),
    *("redis", "requests", "rich.live", "rich.progress", "rich.table", "starlette.applications", "structlog"),
    *("twilio.http", "twilio.request_validator", "twilio.rest", "twilio.twiml.voice_response", "typer"),
    *("uvicorn.loops.uvloop", "uvicorn.protocols.http.httptools_impl", "uvloop", "yoyo"),
    *("yoyo.backends.core.postgresql", "zoneinfo", "outbound.local.embedded_servers", "outbound.local.supervisor"),
    *("outbound.calls.call_again", "outbound.calls.enqueue", "outbound.calls.person", "outbound.database.migrations"),
    *("outbound.rules.campaign", "outbound.rules.control", "outbound.rules.destination", "outbound.rules.new_business"),
)
# These read it: where to print, which broker.
NOT_BEFORE = ("outbound.printing", "outbound.broker", "typer.rich_utils")
_ENVIRONMENT = dict(os.environ)  # in which the process that forks has started
_execve = os.execve
PRELOADED = ("LD_PRELOAD", "HOST_CLOCK")
STARTERS = {"demo", "up", "verify"}  # commands that start processes of their own


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
        module = _module(args)
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


def _module(args: Any) -> str | None:
    """The module that these arguments run; None where they run something else."""
    return str(args[2]) if list(args[:2]) == [sys.executable, "-m"] else None


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


_own: "_Parent | None" = None  # of a process that was forked itself


class _Parent:
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


def _parent(env: Mapping[str, str]) -> _Parent:
    """The process that forks for this one."""
    return _own or _started_parent(_preloaded(env))


def _adopt(*, orphans: bool) -> None:
    """Be the parent of what our descendants leave behind, or no longer."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, int(orphans), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


@cache
def _started_parent(preloaded: tuple[str, ...]) -> _Parent:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.forked", str(theirs.fileno())]
    env = _ENVIRONMENT | dict(zip(PRELOADED, preloaded, strict=False))
    process = subprocess.Popen(command, cwd=ROOT, env=env, pass_fds=[theirs.fileno()])
    theirs.close()
    found = _Parent(ours)
    atexit.register(process.wait, 10)
    atexit.register(found.close)
    return found


# The process that forks.


def _serve(line: socket.socket) -> dict[str, Any] | None:
    """Answer requests until nobody can ask, and return None; in each forked process, return its request."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    while True:
        data, files, _, _ = socket.recv_fds(line, REQUEST_MAX, 3)
        if not data:
            return None
        if (between := os.fork()) == 0:
            between = os.getpid()
            if os.fork():
                os._exit(0)
            while os.getppid() == between:  # and then it is the process that asked
                time.sleep(0.0005)
            request: dict[str, Any] = json.loads(data)
            _begin(request, files, line)
            return request
        os.waitpid(between, 0)
        for file in files:
            os.close(file)


def _begin(request: dict[str, Any], files: list[int], line: socket.socket) -> None:
    """Do in the new process what subprocess does before the program is executed, and say that it is done."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for place, file in enumerate(files):
        os.dup2(file, place)
    os.umask(request["umask"])
    try:
        os.chdir(request["cwd"])
    except OSError as error:
        line.send(f"{os.getpid()} {error.errno}".encode())
        os._exit(1)
    if request["session"]:
        os.setsid()
    if request["dies_with"] and (ask := die_with(*request["dies_with"])):
        ask()
    line.send(f"{os.getpid()} 0".encode())
    os.closerange(3, max(line.detach(), *files) + 1)


def _become(request: dict[str, Any]) -> NoReturn:
    """Be `python -m MODULE` in this process."""
    if STARTERS & {*request["arguments"][:1]} and (theirs := _parent_of_its_own()):
        request = theirs
    os.execve = _execute_again  # type: ignore[assignment]
    _run_module(request["module"], request["arguments"], request["env"])


def _parent_of_its_own() -> dict[str, Any] | None:
    """Let what this process starts be forked too, from what it is now; in such a process, return its request."""
    global _own  # noqa: PLW0603
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        theirs.close()
        _own = _Parent(ours)
        subprocess.Popen = Popen  # type: ignore[misc]
        return None
    ours.close()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):  # a reader of them need not wait for this process
        os.dup2(nothing, stream)
    request = _serve(theirs)
    if request is None:
        os._exit(0)
    return request


def _execute_again(path: Any, args: Any, env: Any) -> NoReturn:
    """Be another `python -m MODULE`, as after `os.execve`: of the program nothing is left, of libraries all."""
    module = _module(args)
    if module is None or threading.active_count() > 1:
        _execve(path, args, env)
    for name in [name for name in sys.modules if name.partition(".")[0] in {"dramatiq", "outbound"}]:
        del sys.modules[name]
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.collect()
    _run_module(module, args[3:], env)


def _run_module(module: str, arguments: list[str], env: Mapping[str, str]) -> NoReturn:
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
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
