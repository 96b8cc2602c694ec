"""
A CSV file of calls into the queue, beside two COPYs of the same rows; and an application's calls, 10,000 at once.

The first goes into a table without index or check; the second into call_log itself, which shows what its indexes,
checks and foreign keys cost, and so what is left to our own code.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import psutil
import psycopg

import outbound
from outbound.calls.enqueue import CALLS_MAX
from tests import ROOT
from tests.bench import spy
from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, Round, median
from tests.bench.world import World, world

_LOOK_S = 0.1
_CHUNK_BYTES = 1 << 16


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """Rows a second, and how much memory the import takes at its end, in what it took after a tenth."""
    file = cluster.home / "calls.csv"
    write(file, options.import_rows)
    ours, copies, indexed, together = [], [], [], []
    for _ in range(options.rounds):
        with world(cluster, "copy") as here:
            copies.append(_copy(here, file))
        with world(cluster, "copy_indexed") as here:
            indexed.append(copy_into_call_log(here, options.import_rows))
        with world(cluster, "import") as here:
            ours.append(_import(here, file, options))
        with world(cluster, "enqueue_calls") as here:
            together.append(_enqueue(here))
    rows = options.import_rows
    rate, copied = rows / median(ours, "seconds"), rows / median(copies, "seconds")
    most = rows / median(indexed, "seconds")
    details = {"rows": rows, "ours": ours[-1], "COPY": copies[-1], "COPY into call_log": indexed[-1]}
    return [
        Line("import", rate, "rows/s", copied, "rows/s by COPY", 0.4, details=details),
        Line("import, beside its indexes", rate, "rows/s", most, "rows/s by COPY into call_log"),
        Line("enqueue_calls of 10,000", median(together, "seconds"), "s", target=2, is_at="most", details=together[-1]),
        Line(
            "import, memory", median(ours, "most_mb"), "MB", median(ours, "early_mb"), "MB after a tenth", 1.1, "most"
        ),
    ]


def _enqueue(here: World) -> Round:
    """As many calls as enqueue_calls takes, on an application's own connection, until they are committed."""
    calls = [{"to_number": f"+1201{2_000_000 + n}", "key": f"row-{n}"} for n in range(CALLS_MAX)]
    with psycopg.connect(here.database_url) as connection:
        outbound.get_call(connection, 1)  # imports what is needed
        began_at, before, own = time.monotonic(), here.cpu(), time.process_time()
        answers = outbound.enqueue_calls(connection, calls, business_id=1)
        own = time.process_time() - own
        connection.commit()
    seconds = time.monotonic() - began_at
    used = here.cpu().get("postgres", 0) - before.get("postgres", 0)
    if any(isinstance(answer, outbound.RefusedCall) or not answer.created for answer in answers):
        raise AssertionError("not every call was created")
    return {"seconds": seconds, "own_cpu_s": own, "postgres_cpu_s": used}


def write(file: Path, rows: int) -> None:
    """A file of calls."""
    with file.open("w") as out:
        out.write("to,at,key\n")
        out.writelines(f"+1201{2_000_000 + row},2030-11-30T09:00:00+00:00,row-{row}\n" for row in range(rows))


def _copy(here: World, file: Path) -> Round:
    here.sql("create table bare (to_number text, due_at timestamptz, key text)")
    with file.open("rb") as source:
        return _timed_copy(here, "copy bare from stdin (format csv, header true)", source)


def copy_into_call_log(here: World, rows: int) -> Round:
    """Copy as many rows into call_log, which shows what its indexes, checks and foreign keys cost."""
    columns = "business_id, direction, from_number, to_number, status, due_at, idempotency_key"
    path = here.cluster.home / "call_log.txt"
    with path.open("w") as out:
        out.writelines(
            f"1\toutbound\t+15005550001\t+1201{2_000_000 + row}\tqueued\t2030-11-30T09:00:00+00:00\trow-{row}\n"
            for row in range(rows)
        )
    with path.open("rb") as source:
        return _timed_copy(here, f"copy call_log ({columns}) from stdin", source)


def _timed_copy(here: World, statement: str, source: BinaryIO) -> Round:
    began_at, before = time.monotonic(), here.cpu()
    with psycopg.connect(here.database_url) as connection, connection.cursor() as cursor:
        with cursor.copy(statement.encode()) as copy:
            while chunk := source.read(_CHUNK_BYTES):
                copy.write(chunk)
        rows = cursor.rowcount
        connection.commit()
    seconds = time.monotonic() - began_at
    used = here.cpu().get("postgres", 0) - before.get("postgres", 0)
    return {"seconds": seconds, "postgres_cpu_us_per_row": 1e6 * used / rows}


def _import(here: World, file: Path, options: Options) -> Round:
    command = [sys.executable, "-m", "outbound", "import", str(file), "--business", "1"]
    began_at = time.monotonic()
    before = here.cpu()
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    memory, own = [], 0.0
    with spy.watching(options, "import", {"import": child.pid}):
        while child.poll() is None:
            try:
                process = psutil.Process(child.pid)
                memory.append((time.monotonic() - began_at, process.memory_info().rss / 1e6))
                own = sum(process.cpu_times()[:2])
            except psutil.Error:
                break
            time.sleep(_LOOK_S)
        said, _ = child.communicate()
    seconds = time.monotonic() - began_at
    used = here.cpu().get("postgres", 0) - before.get("postgres", 0)
    if child.returncode or here.number("select count(*) from call_log") != options.import_rows:
        raise AssertionError(f"the import failed: {said[-500:]}")
    early = [size for at, size in memory if at <= seconds / 10 + 1]
    return {
        "seconds": seconds,
        "early_mb": max(early, default=0),
        "most_mb": max((size for _, size in memory), default=0),
        "import_cpu_us_per_row": 1e6 * own / options.import_rows,
        "postgres_cpu_us_per_row": 1e6 * used / options.import_rows,
        "file_mb": os.path.getsize(file) / 1e6,  # noqa: PTH202 (as good as stat)
    }
