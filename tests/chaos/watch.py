"""
Looks at the table several times a second, past the proxy: is promise 3 kept now, and how soon does the system recover?

A fault is recovered from when, after its end, each of these was seen once:
    claims     a dispatcher claimed a call
    dials      a worker wrote down what came of a dial
    callbacks  the web process took a callback
    tasks      a scheduler finished a round of clean-up
Faults overlap, so one may be charged with the trouble of another: the times are upper bounds.
"""

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from tests.chaos.cluster import Cluster

SIGNS = ("claims", "dials", "callbacks", "tasks")
_EVERY_S = 0.25

_LOOK = """
select (select max(overdue_at) from call_log where status = 'claimed') as claims,
       (select sum(value) from counter where name in ('dial', 'report.create')) as dials,
       (select sum(value) from counter where name = 'report.callback') as callbacks,
       (select max(last_success_at) from duty where name <> 'reconcile') as tasks,
       (select count(*) from call_log where status in ('queued', 'claimed')) as waiting,
       (select count(*) from call_log
         where status in ('initiated', 'ringing', 'in-progress')
            or overdue_at is not null and call_sid is not null) as unsettled
"""
_PENDING = """
select id, extract(epoch from now() - dialed_at)::float8 as age_s
  from call_log
 where status in ('initiated', 'ringing', 'in-progress') and call_sid is null
"""
_HELD = """
select id, fence, status
  from call_log
 where status in ('claimed', 'initiated') and call_sid is null
"""


@dataclass
class _Recovery:
    kind: str
    began_at: float
    ended_at: float
    awaited: set[str] = field(default_factory=lambda: set(SIGNS))


@dataclass
class _Held:
    kind: str
    since: float
    calls: set[tuple[int, int, str]]


class Watch:
    """A thread that looks; the numbers are read when it has stopped.  *bound_s* is how old a pending call may get."""

    def __init__(self, cluster: Cluster, bound_s: float) -> None:
        self._cluster = cluster
        self.bound_s = bound_s
        self.stuck: set[int] = set()
        self.oldest_pending_s = 0.0
        self.longest_blind_s = 0.0
        self.looks = 0
        self.waiting = -1
        self.unsettled = -1
        self.recovered_s: defaultdict[str, list[float]] = defaultdict(list)
        self.held_s: defaultdict[str, list[float]] = defaultdict(list)
        self.longest_database_gap_s = 0.0
        self._recoveries: list[_Recovery] = []
        self._held: list[_Held] = []
        self._wanted: list[str] = []
        self._last: dict[str, Any] = {}
        self._looked_at = 0.0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(timeout=20)

    def expect_recovery(self, kind: str, began_at: float) -> None:
        """A fault has just ended: measure from now on."""
        with self._lock:
            self._recoveries.append(_Recovery(kind, began_at, time.time()))

    def hold_in_mind(self, kind: str) -> None:
        """A worker is about to be hurt: how long until every call that any worker holds now has moved on?"""
        with self._lock:
            self._wanted.append(kind)

    @property
    def recovering(self) -> int:
        """The number of faults from which the system has not recovered yet."""
        with self._lock:
            return len(self._recoveries)

    def expect_no_more(self) -> int:
        """No call is left to recover with: forget what is still open, and say how many that were."""
        with self._lock:
            forgotten, self._recoveries = len(self._recoveries), []
        return forgotten

    def _run(self) -> None:
        seen_at = time.time()
        while not self._stopping.is_set():
            try:
                with psycopg.connect(
                    self._cluster.database_url, autocommit=True, row_factory=namedtuple_row, connect_timeout=2
                ) as line:
                    while not self._stopping.wait(_EVERY_S):
                        self._look(line)
                        seen_at = self._saw(seen_at)
            except psycopg.OperationalError:
                self._stopping.wait(0.1)

    def _saw(self, before: float) -> float:
        now = time.time()
        self.looks += 1
        self.longest_blind_s = max(self.longest_blind_s, now - before - self._cluster.outages.within(before, now))
        return now

    def _look(self, line: psycopg.Connection[Any]) -> None:
        row: Any = line.execute(_LOOK).fetchone()
        pending = line.execute(_PENDING).fetchall()
        held = {(call.id, call.fence, call.status) for call in line.execute(_HELD).fetchall()}
        now = time.time()
        self.waiting, self.unsettled = row.waiting, row.unsettled
        self._judge(pending, now)
        with self._lock:
            self._note_signs({sign: getattr(row, sign) for sign in SIGNS}, now)
            self._note_held(held, now)

    def _judge(self, pending: list[Any], now: float) -> None:
        for call in pending:
            age_s = call.age_s - self._cluster.outages.within(now - call.age_s, now)
            self.oldest_pending_s = max(self.oldest_pending_s, age_s)
            if age_s > self.bound_s:
                self.stuck.add(call.id)

    def _note_signs(self, signs: dict[str, Any], now: float) -> None:
        changed = {sign for sign, value in signs.items() if value is not None and value != self._last.get(sign)}
        before, self._last, self._looked_at = self._looked_at, signs, now
        for recovery in [recovery for recovery in self._recoveries if recovery.ended_at < before]:
            recovery.awaited -= changed
            if not recovery.awaited:
                self._recoveries.remove(recovery)
                self.recovered_s[recovery.kind].append(now - recovery.ended_at)
                if recovery.kind.startswith("postgres"):
                    self.longest_database_gap_s = max(self.longest_database_gap_s, now - recovery.began_at)

    def _note_held(self, held: set[tuple[int, int, str]], now: float) -> None:
        for watched in list(self._held):
            watched.calls &= held
            if not watched.calls:
                self._held.remove(watched)
                self.held_s[watched.kind].append(now - watched.since)
        self._held += [_Held(kind, now, set(held)) for kind in self._wanted]
        self._wanted = []
