"""How much of its rate dialing keeps where the carrier answers a share of the creates with errors."""

import time

from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line
from tests.bench.world import carrier, until, world

_RATE = 16  # calls per second; what is granted in the long run is three quarters of it
_ANSWER_S = 0.05  # about what a carrier takes
_SHARES = (0.005, 0.02, 0.3, 1.0)
_LEAST = {0.005: 0.9, 0.02: 0.9}
_SETTLE_S = 5  # the bucket was full, and the first errors are not judged yet
_PROCESSES = ("worker", "scheduler")
_PATIENT = {"OUTBOUND_RING_S": "600", "OUTBOUND_MARGIN_S": "80000", "OUTBOUND_CARRIER_TIMEOUT_S": "15"}


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """Creates per second at each share of errors, beside those without an error, with and without a limit."""
    lines = []
    for name, limit in ((f"limit {_RATE}/s", _RATE), ("no limit", None)):
        well = _creates_per_s(cluster, options, 0, limit)
        for share in _SHARES:
            rate = _creates_per_s(cluster, options, share, limit)
            lines.append(
                Line(
                    f"errors {share:.1%}, {name}", rate, "creates/s", well, "creates/s without errors",
                    _LEAST.get(share), details={"of which errors": share},
                )
            )  # fmt: skip
    return lines


def _creates_per_s(cluster: Cluster, options: Options, share: float, limit: float | None) -> float:
    shape = {"OUTBOUND_WORKER_PROCESSES": str(options.processes), "OUTBOUND_WORKER_THREADS": str(options.threads)}
    with world(cluster, "errors", **shape, **_PATIENT) as here, carrier(here, _ANSWER_S, share):
        here.sql("update dial_control set calls_per_second = %s where scope = 'account'", limit)
        for process in _PROCESSES:
            here.spawn(process, "outbound", process)
        here.wait_for_workers(options.processes)
        here.put_calls(int((_SETTLE_S + options.error_s + 5) * (limit or 600)))
        until(lambda: here.ask_carrier("/count") > 0, "the first call at the carrier", 60)
        time.sleep(_SETTLE_S + options.error_s)
        moments: list[float] = [at for _, at in here.ask_carrier("/log")]
    first = min(moments) + _SETTLE_S
    return sum(first <= at < first + options.error_s for at in moments) / options.error_s
