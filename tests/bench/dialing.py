"""From rows that are due to rows that have a call_sid, at a carrier that answers at once and at a slow one."""

import time

from tests.bench import cpu, floors, spy
from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, Round, median
from tests.bench.world import carrier, until, world

_SLOW_S = 0.25
_MOST_S = 600
_PROCESSES = ("worker", "scheduler")
# Nothing becomes stale while we measure: the stand-in never calls back, and asking it would be other work.
_PATIENT = {"OUTBOUND_RING_S": "600", "OUTBOUND_MARGIN_S": "80000", "OUTBOUND_CARRIER_TIMEOUT_S": "15"}


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """Ours beside naive actors, round by round; then ours at a slow carrier beside ours at a quick one."""
    quick, naive, slow = [], [], []
    for _ in range(options.rounds):
        naive.append(_naive(cluster, options))
        quick.append(one_round(cluster, options, threads=options.threads, delay_s=0, name="dialing"))
        slow.append(
            one_round(cluster, options, threads=options.slow_threads, delay_s=_SLOW_S, name="dialing, slow carrier")
        )
    shape = f"{options.processes} processes of {options.threads} threads"
    slow_shape = f"{options.processes} processes of {options.slow_threads} threads"
    rate, naive_rate = median(quick, "rate"), median(naive, "rate")
    return [
        Line(
            "dialing, instant carrier", rate, "calls/s", naive_rate, "calls/s by naive actors", 2.0,
            details={"both as": shape, "ours": _medians(quick), "naive": _medians(naive)},
        ),
        Line(
            "dialing, CPU per call", median(quick, "cpu_ms"), "ms", median(naive, "cpu_ms"), "ms by naive actors",
            1.0, "most", details={"counted": "worker, scheduler or producer, PostgreSQL, broker; not the carrier"},
        ),
        Line(
            "dialing, 250 ms carrier", median(slow, "rate"), "calls/s", rate, "calls/s at an instant carrier", 0.9,
            details={"as": slow_shape, "ours": _medians(slow)},
        ),
        Line(
            "dialing, 250 ms carrier, memory", median(slow, "worker_mb"), "MB (PSS)", target=200, is_at="most",
            details={"of": "all worker processes together, Dramatiq's master too"},
        ),
    ]  # fmt: skip


def one_round(
    cluster: Cluster, options: Options, *, threads: int, delay_s: float, name: str, prepare: str = "select"
) -> Round:
    """Calls per second, and CPU milliseconds of a call in each process, in a database in which *prepare* has run."""
    shape = {"OUTBOUND_WORKER_PROCESSES": str(options.processes), "OUTBOUND_WORKER_THREADS": str(threads)}
    with world(cluster, "dialing", **shape, **_PATIENT) as here, carrier(here, delay_s):
        here.sql(prepare)
        for process in _PROCESSES:
            here.spawn(process, "outbound", process)
        here.wait_for_workers(options.processes)
        warm = options.warm_calls
        here.put_calls(warm)
        until(lambda: here.ask_carrier("/count") >= warm, "the warm-up's calls", _MOST_S)
        time.sleep(1)
        before = here.cpu()
        with spy.watching(options, name, {process: here.pids[process] for process in _PROCESSES}):
            began_at = here.put_calls(options.calls, first=warm)
            until(lambda: here.ask_carrier("/count") >= warm + options.calls, "all calls at the carrier", _MOST_S)
            here.wait(
                "select count(*) from call_log where call_sid is not null and status = 'initiated'",
                at_least=warm + options.calls,
                most_s=30,
            )
        used = cpu.between(before, here.cpu())
        memory_mb = cpu.memory_mb(here.pids["worker"])
        ended = [
            float(row[0])
            for row in here.sql(
                "select extract(epoch from received_at) from call_event where source = 'create' and call_id > %s", warm
            )
        ]
        return _round(ended, began_at, used, options.calls) | {"worker_mb": memory_mb}


def _naive(cluster: Cluster, options: Options) -> Round:
    with world(cluster, "naive") as here, carrier(here, 0):
        stamps, began_at, used = floors.naive(here, options)
        return _round(stamps, began_at, used, options.calls)


def _round(ended: list[float], began_at: float, used: cpu.Seconds, calls: int) -> dict[str, float]:
    """The rate of the middle four fifths, so that neither the first nudge nor the last straggler counts."""
    ended = sorted(ended)
    if len(ended) != calls:
        raise AssertionError(f"{len(ended)} of {calls} calls were dialed once")
    first, last = len(ended) // 10, len(ended) * 9 // 10
    work = {name: 1000 * seconds / calls for name, seconds in used.items() if name != "carrier"}
    return {
        "rate": (last - first) / (ended[last] - ended[first]),
        "took_s": ended[-1] - began_at,
        "cpu_ms": sum(work.values()),
        **{f"{name}_cpu_ms": value for name, value in work.items()},
        "carrier_cpu_ms": 1000 * used["carrier"] / calls,
    }


def _medians(rounds: list[Round]) -> dict[str, float]:
    return {key: median(rounds, key) for key in rounds[0]}
