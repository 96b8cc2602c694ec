"""A signed status callback to a committed event and a moved status, beside the same server with one bare INSERT."""

import json
import subprocess
import sys
from typing import Any

from tests import ROOT
from tests.bench import bare_web, cpu, spy
from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, Round, median
from tests.bench.sender import STATUSES
from tests.bench.world import World, listens, until, world

_READY_S = 30
_MOST_S = 600


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """One web process each, as many connections, the same callbacks."""
    ours, bare = [], []
    for _ in range(options.rounds):
        bare.append(_bare(cluster, options))
        ours.append(_ours(cluster, options))
    details = {"ours": _medians(ours), "bare": _medians(bare), "connections": options.lines}
    rate, floor = median(ours, "rate"), median(bare, "rate")
    return [Line("callbacks", rate, "callbacks/s", floor, "callbacks/s by a bare app", 0.6, details=details)]


def _ours(cluster: Cluster, options: Options) -> Round:
    with world(cluster, "callbacks") as here:
        calls = here.put_calls_in_the_air(100 + options.callbacks // len(STATUSES))
        here.spawn("web", "outbound", "web")
        until(lambda: listens(here.web_url), "web listens", _READY_S)
        _send(here, calls[:100], options)
        with spy.watching(options, "callbacks", {"web": here.pids["web"]}):
            told = _timed(here, calls[100:], options, "204")
        moved = here.number("select count(*) from call_log where status = 'completed'")
        events = here.number("select count(*) from call_event")
        if moved != len(calls) or events != len(calls) * len(STATUSES):
            raise AssertionError(f"{moved} of {len(calls)} calls moved, {events} events")
        return told


def _bare(cluster: Cluster, options: Options) -> Round:
    with world(cluster, "bare_web") as here:
        here.sql(bare_web.TABLE)
        calls = here.put_calls_in_the_air(100 + options.callbacks // len(STATUSES))
        here.spawn("web", "tests.bench.bare_web", here.web_url.rpartition(":")[2])
        until(lambda: listens(here.web_url), "the bare app listens", _READY_S)
        _send(here, calls[:100], options)
        return _timed(here, calls[100:], options, "204")


def _timed(here: World, calls: list[tuple[Any, ...]], options: Options, wanted: str) -> dict[str, float]:
    before = here.cpu()
    told = _send(here, calls, options)
    used = cpu.between(before, here.cpu())
    callbacks = len(calls) * len(STATUSES)
    if told.pop("answers") != {wanted: callbacks}:
        raise AssertionError("a callback was not taken")
    return told | {f"{name}_cpu_ms": 1000 * seconds / callbacks for name, seconds in used.items()}


def _send(here: World, calls: list[tuple[Any, ...]], options: Options) -> dict[str, Any]:
    """What the sender, a process of its own, tells."""
    command = [sys.executable, "-m", "tests.bench.sender", here.web_url, str(options.lines)]
    rows = "".join(f"{call_id} {call_sid} {to}\n" for call_id, call_sid, to in calls)
    done = subprocess.run(command, input=rows, capture_output=True, text=True, check=True, cwd=ROOT, timeout=_MOST_S)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _medians(rounds: list[Round]) -> dict[str, float]:
    return {key: median(rounds, key) for key in rounds[0]}
