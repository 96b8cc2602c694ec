"""
Decides which lines of our libraries are logged, and how often.

A traceback means a bug.  What ends when the database, the broker or the carrier comes back is one line of level
warning with its cause, at most one a second of a kind.
"""

import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

_EVERY_S = 1
_KINDS_MAX = 1000  # that are remembered; more are none that a person could tell apart


class _Line(NamedTuple):
    """A library's line: the beginning of its logger's name and of its text, and our event in its place."""

    logger: str
    text: str
    event: str | None  # None: the line is dropped
    is_always: bool = True  # or only where it reports an outage


# Dramatiq's, psycopg's, APScheduler's and aiohttp's words, as of the versions in requirements.lock.
_LINES = (
    _Line("dramatiq.worker.ConsumerThread", "Consumer encountered a connection error", "broker.connection_lost"),
    _Line("dramatiq.worker.ConsumerThread", "Consumer encountered an unexpected", "broker.connection_lost", False),
    _Line("dramatiq.worker.ConsumerThread", "Restarting consumer", None),
    _Line("dramatiq.worker.ConsumerThread", "Failed to post_process_message", "broker.unacknowledged"),
    _Line("dramatiq.worker.ConsumerThread", "Unhandled error during post_process", "broker.unacknowledged", False),
    _Line("dramatiq.worker.Worker", "Failed to requeue messages", "broker.unavailable"),
    _Line("dramatiq.worker.WorkerThread", "Failed to process message", "worker.interrupted", False),
    _Line("dramatiq.middleware.retries", "Retries exceeded", None),  # that it failed was logged before
    _Line("psycopg.pool", "discarding closed connection", None),  # its user got the reason as an exception
    _Line("psycopg.pool", "", "database.connection_lost"),
    _Line("psycopg", "error ignored", "database.connection_lost"),
    _Line("psycopg", "query", "database.connection_lost"),
    _Line("apscheduler", "Execution of job", "scheduler.skipped"),
    _Line("apscheduler", "Run time of job", "scheduler.late"),
    _Line("asyncio", "Unclosed", "process.unclosed"),
    _Line("asyncio", "socket.send() raised exception", "process.peer_gone"),
    _Line("uvicorn.error", "Invalid HTTP request received", "web.unreadable"),
)
_MADE_ANEW = ("event", "exc_info", "level", "timestamp")
_STAYS = ("process.died", "process.thread_died")  # an outage is the cause, but that a process ends is no outage

_outages: list[type[BaseException]] = [ConnectionError]
_lock = threading.Lock()
_written: dict[
    tuple[str, str], tuple[float, int]
] = {}  # kind: when its last line was written, and lines held back since


def expect(*outages: type[BaseException]) -> None:
    """Let these errors mean that something outside is away for a while; nobody's bug."""
    _outages.extend(outages)


def is_outage(error: BaseException | None) -> bool:
    """Is this error, or its cause, one that follows from a server that is away?"""
    return isinstance(error, tuple(_outages)) or (
        error is not None and bool(error.args) and isinstance(error.args[0], BaseException) and is_outage(error.args[0])
    )


def cause(error: BaseException | str | None) -> str:
    """An error in one word: the code of a server's answer, or its class.  Its text may hold an address or a number."""
    while isinstance(error, BaseException) and error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]  # Dramatiq wraps the broker's errors in its own
    if error is None or isinstance(error, str):
        return error or "unknown"
    text = getattr(error, "cause", None)
    return text if isinstance(text, str) else type(error).__name__


def suppressed(event: str, why: str) -> int | None:
    """May a line of this kind be written now?  How many were not since the last one that was; None: not this one."""
    now = time.monotonic()
    with _lock:
        written_at, more = _written.get((event, why), (float("-inf"), 0))
        if now - written_at < _EVERY_S:
            _written[event, why] = written_at, more + 1
            return None
        if len(_written) >= _KINDS_MAX:
            _written.clear()
        _written[event, why] = now, 0
        return more


class Outages(logging.Filter):
    """Says with *say* (event, error or cause, further values) what ours are to say, and keeps back the lines it was."""

    def __init__(self, say: Callable[..., None]) -> None:
        super().__init__()
        self._say = say

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a line in whose place another one was written, or none."""
        ours = record.msg if isinstance(record.msg, dict) else None
        error = _error(ours.get("exc_info") if ours is not None else record.exc_info)
        if ours is not None:
            if not is_outage(error) or ours.get("event") in _STAYS:
                return True
            more = {name: value for name, value in ours.items() if name not in _MADE_ANEW}
            self._say(str(ours["event"]), error, **more)
            return False
        line = _line_of(record)
        if line is None:
            if record.exc_info and is_outage(error):
                self._say("process.interrupted", error, of=record.name)
                return False
            return True
        if not (line.is_always or is_outage(error)):
            return True
        if line.event is not None:
            self._say(line.event, error or _argument(record), **_subject(record))
        return False


def _line_of(record: logging.LogRecord) -> _Line | None:
    for line in _LINES:
        if record.name.startswith(line.logger) and str(record.msg).startswith(line.text):
            return line if record.levelno >= logging.WARNING or line.event is None else None
    return None


def _error(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    error: BaseException | None = exc_info[1] if isinstance(exc_info, tuple) else None
    return error or (sys.exc_info()[1] if exc_info else None)


def _argument(record: logging.LogRecord) -> BaseException | str | None:
    """The error that a line without traceback is about, as far as it is among its arguments."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    return next((argument for argument in arguments if isinstance(argument, BaseException)), None)


def _subject(record: logging.LogRecord) -> dict[str, str]:
    """Return which queue or task the line is about, where its logger or its text says so."""
    queue = re.search(r"ConsumerThread\((\w+)\)", record.name)
    if queue:
        return {"queue": queue[1]}
    if record.name.startswith("apscheduler") and isinstance(record.args, tuple) and record.args:
        return {"task": str(getattr(record.args[0], "id", ""))}
    return {}
