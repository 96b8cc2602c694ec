"""
How fast, how cheap, how flat: each figure beside a floor of the same run.

A target that is missed is named; the exit status is 0 all the same, because a figure is no test.
"""

import dataclasses
import importlib
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from outbound import logs
from tests.bench import machine, report, spy
from tests.bench.cluster import Cluster, running
from tests.bench.options import Options, parse
from tests.bench.report import Line

# In this order; each is a module here, with a function `measure`.
FIGURES = (
    *("floors", "dialing", "callbacks", "flood", "lives", "imports", "api", "api_files", "api_lists", "api_flood"),
    *("wakeup", "flat", "held", "hosts", "errors", "bridge", "webhooks", "page"),
)
# Those whose processes py-spy can watch.
PROFILED = ("dialing", "callbacks", "lives", "imports", "api", "api_files")


def main() -> int:
    """Measure what was asked for, and tell."""
    given, options = parse(None, FIGURES)
    out = Console(width=None if sys.stdout.isatty() else 160)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    logs.set_up("ERROR")
    given.json.resolve().parent.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="outbound-bench-"))
    home.chmod(0o755)  # as root, PostgreSQL runs as nobody, who must get there
    recordings = given.json.resolve().with_suffix(".profile")
    recordings.mkdir(exist_ok=True)
    profiled = dataclasses.replace(options, profile_dir=recordings, rounds=1)
    if given.profile:
        options = dataclasses.replace(options, profile_dir=recordings)
    try:
        with running(home) as cluster:
            facts = machine.facts(cluster.database_url, cluster.redis_url, home) | {
                "options": dataclasses.asdict(options)
            }
            lines = []
            for name in given.only or FIGURES:
                out.print(f"{time.strftime('%H:%M:%S')} {name} …", highlight=False)
                found = _measured(name, cluster, options, out)
                lines += found
                if name in PROFILED and not given.profile and any(line.met is False for line in found):
                    out.print(f"{time.strftime('%H:%M:%S')} {name} missed a target: once more, under py-spy …")
                    _measured(name, cluster, profiled, out)
        report.tell(out, lines)
        report.write(given.json, facts, lines)
        for name, text in spy.found.items():
            out.print(f"\n{name}: {text}", highlight=False, soft_wrap=True, markup=False)
        out.print(f"all of it, with the machine's facts, is in {given.json}", highlight=False, soft_wrap=True)
    except KeyboardInterrupt:
        out.print("interrupted: everything is stopped")
        return 130
    finally:
        if given.keep:
            out.print(f"logs and data are kept in {home}", highlight=False, soft_wrap=True)
        else:
            shutil.rmtree(home, ignore_errors=True)
    return 0


def _measured(name: str, cluster: Cluster, options: Options, out: Console) -> list[Line]:
    """A figure that cannot be measured must not cost the others."""
    try:
        lines: list[Line] = importlib.import_module(f"tests.bench.{name}").measure(cluster, options)
    except Exception as error:  # noqa: BLE001 (reported, and shown as missed)
        out.print_exception(width=140, max_frames=6)
        return [Line(name, 0, "", target=1, details={"could not be measured": f"{type(error).__name__}: {error}"})]
    return lines


if __name__ == "__main__":
    sys.exit(main())
