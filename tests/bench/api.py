"""The HTTP API: calls put in the queue beside a bare app, files in and out, lists, and what waiting costs."""

import json
import os
import subprocess
import sys
from typing import Any

from outbound.rules import api_token
from tests import ROOT
from tests.bench import cpu, spy
from tests.bench.house import House
from tests.bench.options import Options
from tests.bench.report import Line, Round, median
from tests.bench.world import World, listens, until, world
from tests.ports import free_ports

_READY_S = 30
_MOST_S = 600
_WARM = 500


def measure(house: House, options: Options) -> list[Line]:
    """One API process, and the same connections to a bare app."""
    ours, bare = [], []
    for _ in range(options.rounds):
        bare.append(_bare(house, options))
        ours.append(_ours(house, options))
    details = {"ours": _medians(ours), "bare": _medians(bare), "connections": options.api_lines}
    rate, floor = median(ours, "rate"), median(bare, "rate")
    return [
        Line("POST /v1/calls", rate, "calls/s", floor, "answers/s by a bare app", details=details),
        Line("POST /v1/calls, p99", median(ours, "p99_ms"), "ms", target=15, is_at="most"),
    ]


def _ours(house: House, options: Options) -> Round:
    (port,) = free_ports(1)
    with world(house, "api", OUTBOUND_API_PORT=str(port), OUTBOUND_API_RATE="100000") as here:
        url = _serve(here, port)
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


def _bare(house: House, options: Options) -> Round:
    (port,) = free_ports(1)
    with world(house, "bare_api") as here:
        here.spawn("api", "tests.bench.bare_api", str(port))
        url = f"http://127.0.0.1:{port}"
        until(lambda: listens(url), "the bare app listens", _READY_S)
        _post(url, "none", options, _WARM, 0)
        told = _post(url, "none", options, options.api_calls, _WARM)
        told.pop("answers")
        return told


def _serve(here: World, port: int) -> str:
    here.spawn("api", "outbound", "api")
    url = f"http://127.0.0.1:{port}"
    until(lambda: listens(url), "the API listens", _READY_S)
    return url


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
