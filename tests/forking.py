"""
The process that forks for tests/forked.py: it imports the libraries, and becomes each process that is asked for.

Modules that read the environment when they are imported are imported after the fork.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from outbound.processes.parent_death import die_with
from tests import forked

REQUEST_MAX = 1 << 20  # bytes: the arguments and the environment of one process
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
_execve = os.execve
STARTERS = {"demo", "up", "verify"}  # commands that start processes of their own


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
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        theirs.close()
        forked.use(forked.Parent(ours))
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
    module = forked.module_of(args)
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
