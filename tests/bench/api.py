"""The HTTP API: calls put in the queue beside a bare app, and what it costs that nobody asks."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from outbound.config import settings
from outbound.rules import api_token
from tests import ROOT
from tests.bench import cpu, spy
from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, Round, median
from tests.bench.world import World, listens, until, world
from tests.ports import free_ports

_READY_S = 30
_MOST_S = 600
_WARM = 500
# As the unit's CPUWeight= does, nice 5 gives a process a third of the weight of the others.  Some kernels share out the
# cores among sessions: then it is its session that needs it.
_AS_THE_UNIT = ("sh", "-c", '{ echo 5 > /proc/self/autogroup; } 2>/dev/null; exec nice -n 5 "$@"', "sh")
_SETTLE_S = 5  # after a start, and after the last request


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """One API process, and the same connections to a bare app."""
    ours, bare = [], []
    for _ in range(options.rounds):
        bare.append(_bare(cluster, options))
        ours.append(_ours(cluster, options))
    details = {"ours": _medians(ours), "bare": _medians(bare), "connections": options.api_lines}
    rate, floor = median(ours, "rate"), median(bare, "rate")
    percent, memory = _idle(cluster, options)
    return [
        Line("POST /v1/calls", rate, "calls/s", floor, "answers/s by a bare app", details=details),
        Line("POST /v1/calls, one process", rate, "calls/s", target=1000),
        Line("POST /v1/calls, p99", median(ours, "p99_ms"), "ms", target=15, is_at="most"),
        Line("API that nobody asks, CPU", percent, "% of a core", target=0.3, is_at="most"),
        Line("API that nobody asks, memory", memory, "MB (PSS)", target=60, is_at="most"),
    ]


@contextmanager
def serving(cluster: Cluster, name: str) -> Iterator[World]:
    """A world whose settings let an API process take what is asked of it; start that by `serve`."""
    (port,) = free_ports(1)
    with world(cluster, name, OUTBOUND_API_PORT=str(port), OUTBOUND_API_RATE="100000") as here:
        yield here


def serve(here: World) -> str:
    """Start the API of a world as it is installed, without greenlet, and return its address."""
    # structlog takes greenlet where that is: SQLAlchemy brings it, which the tests alone need.
    absent = here.cluster.home / "absent"
    absent.mkdir(exist_ok=True)
    (absent / "greenlet.py").write_text("raise ImportError\n", encoding="utf-8")
    here.spawn("api", "outbound", "api", through=(*_AS_THE_UNIT, "env", f"PYTHONPATH={absent}"))
    url = f"http://127.0.0.1:{settings().api_port}"
    until(lambda: listens(url), "the API listens", _READY_S)
    return url


def _ours(cluster: Cluster, options: Options) -> Round:
    with serving(cluster, "api") as here:
        url = serve(here)
        token = api_token.add("bench", scopes=["calls:write"], business_id=1, actor="bench").token
        _post(url, token, options, _WARM, 0)
        before = here.cpu()
        with spy.watching(options, "api", {"api": here.pids["api"]}):
            told = _post(url, token, options, options.api_calls, _WARM)
        used = cpu.between(before, here.cpu())
        made = here.number("select count(*) from call_log where idempotency_key like 'bench-%%'")
        if told.pop("answers") != {"201": options.api_calls} or made != options.api_calls + _WARM:
            raise AssertionError(f"{made} calls were made")
        return told | {f"{name}_cpu_ms": 1000 * seconds / options.api_calls for name, seconds in used.items()}


def _bare(cluster: Cluster, options: Options) -> Round:
    (port,) = free_ports(1)
    with world(cluster, "bare_api") as here:
        here.spawn("api", "tests.bench.bare_api", str(port))
        url = f"http://127.0.0.1:{port}"
        until(lambda: listens(url), "the bare app listens", _READY_S)
        _post(url, "none", options, _WARM, 0)
        told = _post(url, "none", options, options.api_calls, _WARM)
        told.pop("answers")
        return told


def _idle(cluster: Cluster, options: Options) -> tuple[float, float]:
    """Percent of a core, and MB, of a process that was asked once and then no more."""
    with serving(cluster, "api_idle") as here:
        url = serve(here)
        token = api_token.add("bench", scopes=["calls:write"], business_id=1, actor="bench").token
        _post(url, token, dataclasses.replace(options, api_lines=1), 1, 0)
        time.sleep(_SETTLE_S)
        before = here.cpu()
        time.sleep(options.idle_s)
        used = cpu.between(before, here.cpu())
        return 100 * used["api"] / options.idle_s, cpu.memory_mb(here.pids["api"])


def _post(url: str, token: str, options: Options, calls: int, first: int) -> dict[str, Any]:
    """What the client, a process of its own, tells."""
    command = [sys.executable, "-m", "tests.bench.poster", url, str(options.api_lines), str(calls), str(first)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=_MOST_S,
        env=os.environ | {"TOKEN": token},
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _medians(rounds: list[Round]) -> dict[str, float]:
    return {key: median(rounds, key) for key in rounds[0]}
