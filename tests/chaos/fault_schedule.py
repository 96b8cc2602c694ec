"""Draws faults from a shuffled deck of every kind, so that each comes equally often, and ends them in time."""

import time
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass

import psutil

from outbound import logs
from tests.chaos.cluster import Cluster, NotNow
from tests.chaos.kinds import KINDS
from tests.chaos.watch import Watch

log = logs.get("chaos")


@dataclass
class _Active:
    kind: str
    began_at: float
    ends_at: float
    context: AbstractContextManager[None]


class FaultSchedule:
    """
    Faults, one every *every_s* seconds or so, *at_once_max* at the same time.  Call `step` often, from the main thread.

    With at most one at once, each waits until the system has recovered from the last: its time is then its own.
    """

    def __init__(self, cluster: Cluster, watch: Watch, every_s: float, at_once_max: int) -> None:
        self.caused: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self._cluster = cluster
        self._watch = watch
        self._every_s = every_s
        self._at_once_max = at_once_max
        self._deck: list[str] = []
        self._active: list[_Active] = []
        self._next_at = time.monotonic() + every_s

    def step(self) -> None:
        """End what has lasted long enough; begin another fault when it is time."""
        now = time.monotonic()
        for fault in [fault for fault in self._active if fault.ends_at <= now]:
            self._end(fault)
        trouble = len(self._active) + (self._watch.recovering if self._at_once_max == 1 else 0)
        if now >= self._next_at and trouble < self._at_once_max:
            self._next_at = now + self._every_s * self._cluster.rng.uniform(0.5, 1.5)
            self._begin_next()

    def stop(self) -> None:
        """End every fault, and begin no other."""
        self._next_at = float("inf")
        while self._active:
            self._end(self._active[0])

    def _begin_next(self) -> None:
        if not self._deck:
            self._deck = list(KINDS)
            self._cluster.rng.shuffle(self._deck)
        broken = {KINDS[fault.kind].target for fault in self._active}
        for kind in self._deck:
            if KINDS[kind].target not in broken:
                self._deck.remove(kind)
                self._begin(kind)
                return

    def _begin(self, kind: str) -> None:
        began_at = time.time()
        try:
            context = KINDS[kind].cause(self._cluster)
            if kind.startswith("worker"):
                self._watch.hold_in_mind(kind)
            context.__enter__()
        except (NotNow, psutil.NoSuchProcess):  # whom it would hit is just starting, or gone: it is hit later
            self._deck.append(kind)
            return
        lasts_s = self._cluster.rng.uniform(*KINDS[kind].lasts_s(self._cluster))
        log.info("chaos.fault", kind=kind, lasts_s=round(lasts_s, 1))
        self.caused[kind] += 1
        fault = _Active(kind, began_at, time.monotonic() + lasts_s, context)
        self._active.append(fault)
        if lasts_s == 0:
            self._end(fault)

    def _end(self, fault: _Active) -> None:
        self._active.remove(fault)
        fault.context.__exit__(None, None, None)
        self._watch.expect_recovery(fault.kind, fault.began_at)
