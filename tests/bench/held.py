"""Somebody holds a snapshot (a report, a dump) while calls live and die: what cannot be vacuumed must not hurt."""

import threading
import time
from pathlib import Path

import psycopg

from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, percentile
from tests.bench.world import World, listens, until, world

_SPEED = "1000"
_CALM_S = 30  # measured before the snapshot, after as much time to warm up
_TICK_S = 0.2
_METRIC = 'outbound_oldest_snapshot_seconds{holder="session"}'
_DONE = "select count(*) from call_log where status = 'completed'"


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """The p99 of the scheduler's own claims before a snapshot is taken, and in the last third of its time."""
    shape = {"OUTBOUND_SIMULATOR_SPEED": _SPEED, "OUTBOUND_WORKER_PROCESSES": str(options.processes)}
    with world(cluster, "held", **shape) as here:
        times = cluster.home / "claims.txt"
        times.unlink(missing_ok=True)
        for process in ("simulator", "web", "worker"):
            here.spawn(process, "outbound", process)
        here.spawn("scheduler", "tests.bench.timed_scheduler", str(times))
        here.wait_for_workers(options.processes)
        until(lambda: listens(here.carrier_url) and listens(here.web_url), "simulator and web listen", 30)
        with _load(here, options.snapshot_rate) as load:
            time.sleep(2 * _CALM_S)
            pages = [_pages_of_a_claim(here)]
            with psycopg.connect(here.database_url) as snapshot:
                snapshot.execute("set transaction isolation level repeatable read")
                snapshot.execute("select count(*) from call_log")
                held_at = time.monotonic()
                time.sleep(options.snapshot_s)
                released_at = time.monotonic()
                pages.append(_pages_of_a_claim(here))
                shown = here.metric(_METRIC)
                dead = here.number("select n_dead_tup from pg_stat_user_tables where relname = 'call_log'")
        done = here.number(_DONE)
    calm = _claims(times, held_at - _CALM_S, held_at)
    late = _claims(times, released_at - options.snapshot_s / 3, released_at)
    details = {
        "held s": options.snapshot_s,
        "calls enqueued": load.put,
        "completed": done,
        "claims": [len(calm), len(late)],
        "p50 ms": [percentile(calm, 50), percentile(late, 50)],
        "pages of one claim": pages,
        "dead rows of call_log at its end": dead,
        _METRIC: shown,
    }
    before, after = percentile(calm, 99), percentile(late, 99)
    return [Line("held snapshot, claim p99", after, "ms", before, "ms before", 3, "most", details=details)]


def _pages_of_a_claim(here: World) -> int:
    """What a claim reads at this moment, in pages of 8 KiB; it is undone."""
    from outbound.calls import dispatch

    asked: dict[str, float | None] = {"batch_max": 200, "claims_per_thread": 16, "claim_s": 30, "worker_silent_s": 10}
    asked |= {"ring_s": 30, "late_s": 0.15, "heads_min": 20, "account_rate": None}
    with psycopg.connect(here.database_url) as line:
        line.execute("set enable_seqscan = off")
        explain = "explain (analyze, buffers, format json) " + dispatch.sql.claim_due_calls.sql
        ((plan,),) = line.execute(explain.encode(), asked).fetchall()
        line.rollback()
    return int(plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"])


def _claims(times: Path, since: float, until_: float) -> list[float]:
    """Milliseconds of each claim that took a call in this span."""
    rows = [[float(word) for word in line.split()] for line in times.read_text().splitlines()]
    return [took_ms for at, took_ms, _ in rows if since <= at < until_]


class _load(threading.Thread):  # noqa: N801 (used as a context)
    """Enqueues so many calls a second for as long as the block lasts."""

    def __init__(self, here: World, rate: float) -> None:
        super().__init__(daemon=True)
        self.put = 0
        self._here = here
        self._rate = rate
        self._stop_asked = threading.Event()

    def run(self) -> None:
        """One small batch after another."""
        began_at = time.monotonic()
        while not self._stop_asked.wait(_TICK_S):
            wanted = int((time.monotonic() - began_at) * self._rate) - self.put
            if wanted > 0:
                self._here.put_calls(wanted, first=self.put)
                self.put += wanted

    def __enter__(self) -> "_load":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_asked.set()
        self.join(30)
