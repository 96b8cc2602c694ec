"""How long a genuine callback takes, alone and while a client of the API asks for lists faster than it may."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from outbound.rules import api_token
from tests import ROOT
from tests.bench import flood, history
from tests.bench.api import serve
from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, percentile
from tests.bench.world import listens, until, world
from tests.ports import free_ports

_READS_PER_S = 300  # six times as many as a token may
_WARM_S = 2


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """The 99th percentile of the callbacks of all rounds, beside the reads and without them."""
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(options.rounds):
        _round(cluster, options, alone, beside)
    details = {
        "p50 ms": percentile(beside, 50),
        "p50 ms alone": percentile(alone, 50),
        "p99 ms alone": percentile(alone, 99),
    }
    ratio = percentile(beside, 99) / percentile(alone, 99)
    return [
        Line(f"callback beside {_READS_PER_S} reads/s, p99", percentile(beside, 99), "ms", details=details),
        Line("the same, of one alone", ratio, "x", target=1.2, is_at="most"),
    ]


def _round(cluster: Cluster, options: Options, alone: list[float], beside: list[float]) -> None:
    (port,) = free_ports(1)
    with world(cluster, "api_flood", OUTBOUND_API_PORT=str(port)) as here:
        calls = here.put_calls_in_the_air(2 * options.genuine)
        history.fill(here, options.few_rows)
        here.spawn("web", "outbound", "web")
        url = serve(here)
        until(lambda: listens(here.web_url), "web listens", 30)
        token = api_token.add("bench", scopes=["calls:read"], actor="bench").token
        alone += flood.took_ms(here, calls[: options.genuine])
        with _reader(url, token):
            beside += flood.took_ms(here, calls[options.genuine :])


@contextmanager
def _reader(url: str, token: str) -> Iterator[None]:
    # It stands for another machine, whose work takes no core of ours.
    command = ["nice", "-n", "19", sys.executable, "-m", "tests.bench.reader", url, str(_READS_PER_S)]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | {"TOKEN": token}) as reader:
        time.sleep(_WARM_S)
        try:
            yield
        finally:
            reader.send_signal(signal.SIGKILL)
