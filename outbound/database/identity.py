"""
Is this the database that dialed last?  What it has begun is also known outside of it: in the broker, and on this host.

A server that was restored, promoted or copied tells by itself that it is another one (identity_fault in SQL).  One that
was set back, by a snapshot of its disk, cannot know that.  So a worker that begins dials reports outside how many there
were, and each one that claims, or is about to dial, compares.  The number grows in the transaction that says
'initiated', and is reported when that is on disk: a crash forgets none that is known outside.  What is lost outside
(a broker that was flushed, a new host) is no reason to stop; it is reported again with the next dial.
"""

import fcntl
import json
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outbound import broker, db, logs
from outbound.config import settings

sql = db.statements("database/identity")
log = logs.get("identity")

Dials = dict[int, int]  # calls begun, by slot
Seen = dict[str, Dials]  # by the line of a database

_LOOK_S = 2  # between two looks outside
_WRITE_S = 1  # between two writes of one process to its host's file


class _Outside:
    """
    The dials that this process knows of; what it began is kept outside by a thread of its own, so that no dial waits.
    """

    def __init__(self, namespace: str, path: Path | None) -> None:
        self._namespace = namespace
        self._path = path
        self._lock = threading.Lock()
        self._known: Seen = {}
        self._looked_at = float("-inf")
        self._untold: Seen = {}
        self._told = threading.Event()
        self._teller: threading.Thread | None = None

    def seen(self) -> Seen:
        with self._lock:
            is_old = time.monotonic() - self._looked_at > _LOOK_S
        if is_old:
            found = [broker.remembered_dials(self._namespace), _read(self._path)]
            with self._lock:
                for line, dials in filter(None, found):
                    _merge(self._known, line, dials)
                self._looked_at = time.monotonic()
        with self._lock:
            return {line: dict(dials) for line, dials in self._known.items()}

    def tell(self, line: str, slot: int, calls: int) -> None:
        with self._lock:
            if line not in self._known:
                self._known.clear()  # those before were taken in, or this one could not have dialed
            _merge(self._known, line, {slot: calls})
            self._untold = {line: dict(self._known[line])}
            if self._teller is None:
                self._teller = threading.Thread(target=self._tell_on, name="identity", daemon=True)
                self._teller.start()
        self._told.set()

    def _tell_on(self) -> None:
        written_at = float("-inf")
        unwritten: Seen = {}
        while True:
            self._told.wait(max(0, written_at + _WRITE_S - time.monotonic()) if unwritten else None)
            self._told.clear()
            with self._lock:
                untold, self._untold = self._untold, {}
            for line, dials in untold.items():
                broker.remember_dials(self._namespace, line, dials)
                unwritten = {line: dials}
            if unwritten and time.monotonic() - written_at >= _WRITE_S:
                for line, dials in unwritten.items():
                    _write(self._path, line, dials)
                unwritten, written_at = {}, time.monotonic()


def seen() -> Seen:
    """Return what is known outside the database, by this process, the broker and this host, at most some 2 s old."""
    return _outside().seen()


def stop_unless_known(connection: db.Connection) -> bool:
    """
    May this database dial?  Where it is not the one that dialed last, or does not know of all that it has begun, all
    dialing is stopped until `outbound recover`.
    """
    found = sql.look_at_identity(connection, seen=as_json(seen()))
    if found.is_news:
        log.error("identity.dialing_stopped", reason=found.reason)
    return found.reason is None


def report_begun(line: str | None, slot: int, calls: int, known: Seen) -> bool:
    """
    Tell the outside what begin_dials counted; False where the calls must not be dialed.

    *known* was seen before it counted, and all of that was on disk by then: a count that is not higher means that the
    database has forgotten dials.
    """
    if line is None:
        return True  # no dispatcher has looked at it yet
    before = known.get(line)
    forgotten = calls <= before.get(slot, 0) if before is not None else bool(known)
    if forgotten and not db.with_connection(stop_unless_known):
        return False
    _outside().tell(line, slot, calls)
    return True


def as_json(known: Seen) -> Any:
    """Return what is known outside, as the statements take it."""
    return db.json([{"line": line, "dials": dials} for line, dials in known.items()])


def state_file() -> Path | None:
    """Return where this host keeps what it has seen; None where no directory was given for such things."""
    given = settings().data_dir or os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) / f"dials.{settings().broker_namespace}.json" if given else None


def _read(path: Path | None) -> tuple[str, Dials] | None:
    if path is None:
        return None
    try:
        kept = json.loads(path.read_text())
        return str(kept["line"]), {int(slot): int(calls) for slot, calls in kept["dials"].items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("identity.unreadable", error=type(error).__name__)
        return None


def _write(path: Path | None, line: str, dials: Mapping[int, int]) -> None:
    """Keep the highest of each slot; processes of one host write one by one, and no reader sees half a file."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = _read(path)
            merged: Seen = {line: dict(kept[1])} if kept is not None and kept[0] == line else {}
            _merge(merged, line, dials)
            draft = path.with_suffix(".new")
            with draft.open("w") as file:
                json.dump({"line": line, "dials": merged[line]}, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
    except OSError as error:
        log.warning("identity.unwritten", error=type(error).__name__)


def _merge(into: Seen, line: str, dials: Mapping[int, int]) -> None:
    own = into.setdefault(line, {})
    for slot, calls in dials.items():
        own[slot] = max(calls, own.get(slot, 0))


# One per process: a fork has no thread that would tell.
_outsides: dict[tuple[int, str], _Outside] = {}
_opening = threading.Lock()


def _outside() -> _Outside:
    namespace = settings().broker_namespace
    with _opening:
        key = (os.getpid(), namespace)
        if key not in _outsides:
            _outsides[key] = _Outside(namespace, state_file())
        return _outsides[key]


def forget() -> None:
    """Forget what this process knows; the next look reads it again."""
    with _opening:
        _outsides.clear()
