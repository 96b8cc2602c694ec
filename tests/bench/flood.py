"""How long a genuine callback takes, alone and while somebody sends 300 forged ones a second."""

import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests import ROOT
from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, Round, median, percentile
from tests.bench.sender import requests_of
from tests.bench.world import World, listens, until, world

_FORGED_PER_S = 300
_MEAN_GAP_S = 0.05  # between two genuine callbacks
_REFUSED = "outbound_callbacks_refused_total"


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """Medians of callbacks that come each on a connection of its own, as the carrier's do."""
    rounds = [_round(cluster, options) for _ in range(options.rounds)]
    alone, flooded = median(rounds, "alone"), median(rounds, "flooded")
    details = {
        "p99 ms": median(rounds, "flooded_p99"),
        "p99 ms alone": median(rounds, "alone_p99"),
        "forged per second": median(rounds, "forged"),
        "genuine": options.genuine,
    }
    name = f"callback beside {_FORGED_PER_S} forged/s, p50"
    return [
        Line("callback, p50", alone, "ms"),
        Line(name, flooded, "ms", target=50, is_at="most", details=details),
    ]


def _round(cluster: Cluster, options: Options) -> Round:
    with world(cluster, "flood") as here:
        calls = here.put_calls_in_the_air(2 * options.genuine)
        here.spawn("web", "outbound", "web")
        until(lambda: listens(here.web_url), "web listens", 30)
        alone = took_ms(here, calls[: options.genuine])
        with _forger(here, calls):
            until(lambda: here.metric(_REFUSED) > _FORGED_PER_S, "the first forged callbacks are refused", 30)
            before, began_at = here.metric(_REFUSED), time.monotonic()
            flooded = took_ms(here, calls[options.genuine :])
            forged = (here.metric(_REFUSED) - before) / (time.monotonic() - began_at)
        moved = here.number("select count(*) from call_log where status = 'ringing'")
    if moved != len(calls):
        raise AssertionError(f"{moved} of {len(calls)} calls ring")
    return {
        "alone": percentile(alone, 50),
        "alone_p99": percentile(alone, 99),
        "flooded": percentile(flooded, 50),
        "flooded_p99": percentile(flooded, 99),
        "forged": forged,
    }


def took_ms(here: World, calls: list[tuple[Any, ...]]) -> list[float]:
    """Milliseconds of the first callback of each call, one after the other at random moments."""
    where, rng, took = urlsplit(here.web_url), random.Random(1), []
    requests = [requests_of(here.web_url, *call)[0] for call in calls]
    for request in requests:
        time.sleep(rng.expovariate(1 / _MEAN_GAP_S))
        began_at = time.monotonic()
        with socket.create_connection((where.hostname, where.port)) as line:
            line.sendall(request)
            answer = line.recv(65_536)
        took.append(1000 * (time.monotonic() - began_at))
        if answer[9:12] != b"204":
            raise AssertionError(f"a genuine callback was answered {answer[9:12].decode()}")
    return took


@contextmanager
def _forger(here: World, calls: list[tuple[Any, ...]]) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.bench.forger", here.web_url, str(_FORGED_PER_S)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, cwd=ROOT) as forger:
        assert forger.stdin is not None
        forger.stdin.write("".join(" ".join(map(str, call)) + "\n" for call in calls))
        forger.stdin.close()
        try:
            yield
        finally:
            forger.send_signal(signal.SIGKILL)
