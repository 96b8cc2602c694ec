"""Whole lives: from the queue through the carrier and its four callbacks to a lead, the simulator being the carrier."""

from tests.bench import cpu, spy
from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, Round, median
from tests.bench.world import listens, until, world

_SPEED = "1000"  # a life of half a minute in some hundredths of a second: we are measured, not the phones
_PROCESSES = ("web", "worker", "scheduler")
_DONE = "select count(*) from call_log where status = 'completed' and lead_id is not null"
_MOST_S = 600


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """How many calls live and die in a second."""
    rounds = [one_round(cluster, options) for _ in range(options.rounds)]
    details = {
        "CPU per life": {key: median(rounds, key) for key in rounds[0] if key != "rate"},
        "counted": "create, four callbacks, lead; the simulator shares the machine, its CPU is told apart",
    }
    return [Line("whole lives", median(rounds, "rate"), "calls/s", target=200, details=details)]


def one_round(cluster: Cluster, options: Options) -> Round:
    """Calls per second, and CPU milliseconds of a life in each process."""
    shape = {
        "OUTBOUND_WORKER_PROCESSES": str(options.processes),
        "OUTBOUND_WORKER_THREADS": str(options.threads),
        "OUTBOUND_SIMULATOR_SPEED": _SPEED,
    }
    with world(cluster, "lives", **shape) as here:
        for process in ("simulator", *_PROCESSES):
            here.spawn(process, "outbound", process)
        here.wait_for_workers(options.processes)
        until(lambda: listens(here.carrier_url) and listens(here.web_url), "simulator and web listen", 30)
        here.put_calls(options.warm_calls)
        here.wait(_DONE, at_least=options.warm_calls, most_s=_MOST_S)
        before = here.cpu()
        with spy.watching(options, "lives", {process: here.pids[process] for process in _PROCESSES}):
            began_at = here.put_calls(options.lives, first=options.warm_calls)
            here.wait(_DONE, at_least=options.warm_calls + options.lives, most_s=_MOST_S)
        used = cpu.between(before, here.cpu())
        ended_at = here.number("select extract(epoch from max(updated_at)) from call_log")
        return {
            "rate": options.lives / (ended_at - began_at),
            **{f"{name}_cpu_ms": 1000 * seconds / options.lives for name, seconds in used.items()},
        }
