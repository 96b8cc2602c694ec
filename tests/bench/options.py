"""How large a run is."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """
    Sizes of one run.

    Attributes:
        rounds: how often each figure and its floor are measured, alternately; their medians count.
        processes, threads: of the worker, ours and the naive one's alike.
        slow_threads: of each of our worker processes, where the carrier takes 250 ms.
        api_calls, api_lines: calls that are put in the queue over HTTP, and connections that they come by.
        genuine: callbacks of the carrier, alone and beside a flood.
        rows: of history in call_log, for what must not grow with it.
        host_calls, host_threads: of each host, where several are measured.
        snapshot_s: how long a snapshot is held, seconds.
        error_s: how long creates are counted for each share of errors, seconds.
        profile_dir: where py-spy's recordings go; None records nothing.
    """

    rounds: int = 5
    calls: int = 5000
    warm_calls: int = 200
    processes: int = 2
    threads: int = 8
    slow_threads: int = 24
    noops: int = 20_000
    statements: int = 20_000
    callbacks: int = 15_000
    lines: int = 32
    api_calls: int = 10_000
    api_lines: int = 12
    genuine: int = 300
    lives: int = 5000
    import_rows: int = 1_000_000
    wakeups: int = 200
    idle_s: float = 60
    rows: int = 10_000_000
    few_rows: int = 10_000
    repeats: int = 500
    snapshot_s: float = 600
    snapshot_rate: float = 50
    host_calls: int = 1000
    host_threads: int = 2
    error_s: float = 40
    profile_dir: Path | None = None


QUICK = {
    "rounds": 1,
    "calls": 1500,
    "noops": 4000,
    "statements": 4000,
    "callbacks": 3000,
    "api_calls": 4000,
    "genuine": 100,
    "lives": 600,
    "import_rows": 30_000,
    "wakeups": 40,
    "idle_s": 20,
    "rows": 300_000,
    "repeats": 200,
    "snapshot_s": 60,
    "host_calls": 600,
    "error_s": 15,
}


def parse(arguments: list[str] | None, names: Sequence[str]) -> tuple[argparse.Namespace, Options]:
    """The command line, and the sizes that it means."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Each figure beside its floor; exit status 0 also where a target is missed.",
    )
    parser.add_argument("--quick", action="store_true", help="one round, small sizes")
    parser.add_argument("--only", action="append", choices=names, help="measure this alone; may be repeated")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), help="where the JSON goes (%(default)s)")
    parser.add_argument("--profile", action="store_true", help="record with py-spy, and name the top functions")
    parser.add_argument("--keep", action="store_true", help="keep logs and data")
    for name in ("rounds", "calls", "rows", "processes", "threads", "slow_threads", "import_rows"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N")
    parser.add_argument("--snapshot-s", type=float, metavar="S", help="how long the snapshot is held")
    given = parser.parse_args(arguments)
    sizes = dict(QUICK) if given.quick else {}
    for name in ("rounds", "calls", "rows", "processes", "threads", "slow_threads", "import_rows", "snapshot_s"):
        if getattr(given, name) is not None:
            sizes[name] = getattr(given, name)
    return given, Options(**sizes)  # type: ignore[arg-type]
