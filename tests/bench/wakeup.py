"""An idle system: how soon a call that is enqueued reaches the carrier's socket, and what waiting costs."""

import random
import time

from tests.bench import cpu
from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, percentile
from tests.bench.world import World, carrier, listens, until, world

_PROCESSES = ("web", "worker", "scheduler")
_SETTLE_S = 5
_PATIENT = {"OUTBOUND_RING_S": "600", "OUTBOUND_MARGIN_S": "80000"}


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """With the settings as they are when nobody sets any."""
    with world(cluster, "wakeup", **_PATIENT) as here, carrier(here, 0):
        for process in _PROCESSES:
            here.spawn(process, "outbound", process)
        here.wait_for_workers(1)
        until(lambda: listens(here.web_url), "web listens", 30)
        here.put_calls(10, first=10_000_000)
        until(lambda: here.ask_carrier("/count") == 10, "the warm-up's calls", 60)
        time.sleep(_SETTLE_S)
        before = here.cpu()
        time.sleep(options.idle_s)
        used = cpu.between(before, here.cpu())
        memory = {name: cpu.memory_mb(pid) for name, pid in (here.pids | cluster.server_pids).items()}
        waits_ms = _wakeups(here, options)
    for mine in (used, memory):
        mine.pop("carrier")
    percent = {name: 100 * seconds / options.idle_s for name, seconds in used.items()}
    return [
        Line(
            "wake-up, p99", percentile(waits_ms, 99), "ms", target=50, is_at="most",
            details={"p50 ms": percentile(waits_ms, 50), "worst ms": max(waits_ms), "enqueues": len(waits_ms)},
        ),
        Line(
            "idle, CPU", sum(percent.values()), "% of a core", target=1, is_at="most",
            details={"over s": options.idle_s, "of each": percent},
        ),
        Line("idle, memory", sum(memory.values()), "MB (PSS)", details={"of each": memory}),
    ]  # fmt: skip


def _wakeups(here: World, options: Options) -> list[float]:
    """Milliseconds from just before the INSERT until the request's first byte is at the carrier, by one clock."""
    from outbound.calls import enqueue

    enqueue.enqueue(business_id=1, to_number="+12012999999")  # which opens this process's first connection
    rng = random.Random(1)
    enqueued_at = {}
    for number in range(options.wakeups):
        time.sleep(rng.uniform(0.3, 1.7))  # long enough for all to be idle again, and never in step with a poll
        began_at = time.monotonic()
        call = enqueue.enqueue(business_id=1, to_number=f"+1201{3_000_000 + number}")
        enqueued_at[call.call_id] = began_at
    until(lambda: here.ask_carrier("/count") == 11 + options.wakeups, "all calls at the carrier", 60)
    asked_at = dict(here.ask_carrier("/log"))
    return [1000 * (asked_at[call_id] - at) for call_id, at in enqueued_at.items()]
