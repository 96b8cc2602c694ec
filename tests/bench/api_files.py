"""Files through the HTTP API: calls into the queue, and the whole history out of it, while nothing holds a snapshot."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from outbound.rules import api_token
from tests.bench import cpu, history, imports, spy
from tests.bench.api import serve, serving
from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, Round, median
from tests.bench.world import World, world

_LOOK_S = 0.2
_PIECE_BYTES = 1 << 16
_MOST_S = 3600
_SNAPSHOT = b"""
select coalesce(extract(epoch from max(clock_timestamp() - xact_start)), 0)
  from pg_stat_activity
 where backend_xmin is not null and backend_type = 'client backend' and datname = current_database()
   and pid <> pg_backend_pid()
"""


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """One API process each: a CSV file of calls, then all rows of a large table as NDJSON and as CSV."""
    taken, copies = [], []
    for _ in range(options.rounds):
        taken.append(_import(cluster, options))
        with world(cluster, "api_import_copy") as here:
            copies.append(imports.copy_into_call_log(here, options.import_rows))
    rate, copied = median(taken, "rate"), options.import_rows / median(copies, "seconds")
    details = {"rows": options.import_rows, "ours": taken[-1]}
    lines = [
        Line("import by HTTP", rate, "rows/s", target=40_000, details=details),
        Line("import by HTTP, beside its indexes", rate, "rows/s", copied, "rows/s by COPY into call_log"),
        Line("import by HTTP, memory", median(taken, "most_mb"), "MB", target=200, is_at="most"),
    ]
    with serving(cluster, "api_export") as here:
        history.fill(here, options.rows)
        url = serve(here)
        token = api_token.add("bench", scopes=["calls:read"], actor="bench").token
        copied = _copy_out(here, options.rows)
        for name, kind in (("NDJSON", "application/x-ndjson"), ("CSV", "text/csv")):
            lines += _exported(here, name, _export(here, url, token, kind, options), copied, options)
    return lines


def _exported(here: World, name: str, found: Round, copied: float, options: Options) -> list[Line]:
    details = {"rows": options.rows, "ours": found, "API process, MB": cpu.most_mb(here.pids["api"])}
    return [
        Line(f"export by HTTP, {name}", found["rate"], "rows/s", target=50_000, details=details),
        Line(f"export by HTTP, {name}, beside COPY", found["rate"], "rows/s", copied, "rows/s by one COPY"),
        Line(f"export by HTTP, {name}, oldest snapshot", found["snapshot_s"], "s", target=5, is_at="most"),
    ]


def _copy_out(here: World, rows: int) -> float:
    """Rows a second of one COPY of all calls, which holds its snapshot to the end."""
    began_at = time.monotonic()
    with psycopg.connect(here.database_url) as connection, connection.cursor() as cursor:
        with cursor.copy("copy call_log to stdout (format csv)") as copy:
            for _ in copy:
                pass
        if cursor.rowcount != rows:
            raise AssertionError(f"{cursor.rowcount} rows were copied")
    return rows / (time.monotonic() - began_at)


def _import(cluster: Cluster, options: Options) -> Round:
    file = cluster.home / "calls.csv"
    imports.write(file, options.import_rows)
    with serving(cluster, "api_import") as here:
        url = serve(here)
        token = api_token.add("bench", scopes=["calls:write"], business_id=1, actor="bench").token
        before = here.cpu()
        with spy.watching(options, "import by HTTP", {"api": here.pids["api"]}):
            seconds = _send(url, token, file, options.import_rows)
        used = cpu.between(before, here.cpu())
        return {
            "rate": options.import_rows / seconds,
            "most_mb": cpu.most_mb(here.pids["api"]),
            "api_cpu_us_per_row": 1e6 * used["api"] / options.import_rows,
            "postgres_cpu_us_per_row": 1e6 * used.get("postgres", 0) / options.import_rows,
        }


def _send(url: str, token: str, file: Path, rows: int) -> float:
    """Seconds until the report of a file was there."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "text/csv",
        "Content-Length": str(file.stat().st_size),
    }
    began_at = time.monotonic()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_MOST_S)
    with file.open("rb") as body:
        connection.request("POST", "/v1/imports?batch=bench", body, headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
    connection.close()
    if answer.status != 200 or told["created"] != rows:
        raise AssertionError(f"the import answered {answer.status}: {str(told)[:500]}")
    return time.monotonic() - began_at


def _export(here: World, url: str, token: str, kind: str, options: Options) -> Round:
    before = here.cpu()
    with (
        _oldest_snapshot(here.database_url) as ages,
        spy.watching(options, "export by HTTP", {"api": here.pids["api"]}),
    ):
        began_at = time.monotonic()
        rows = _fetch(url, token, kind)
        seconds = time.monotonic() - began_at
    used = cpu.between(before, here.cpu())
    if rows != options.rows:
        raise AssertionError(f"{rows} rows came")
    return {
        "rate": rows / seconds,
        "snapshot_s": max(ages),
        "api_cpu_us_per_row": 1e6 * used["api"] / rows,
        "postgres_cpu_us_per_row": 1e6 * used.get("postgres", 0) / rows,
    }


def _fetch(url: str, token: str, kind: str) -> int:
    """How many rows came: lines, without the names of the columns."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_MOST_S)
    connection.request("GET", "/v1/exports/calls", headers={"Authorization": f"Bearer {token}", "Accept": kind})
    answer = connection.getresponse()
    lines = 0
    while piece := answer.read(_PIECE_BYTES):
        lines += piece.count(b"\n")
    connection.close()
    return lines - (kind == "text/csv")


@contextmanager
def _oldest_snapshot(database_url: str) -> Iterator[list[float]]:
    """The age of the oldest snapshot of any session, seconds, again and again while the block lasts."""
    ages, is_over = [0.0], threading.Event()

    def look() -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            while not is_over.wait(_LOOK_S):
                ages.extend(float(row[0]) for row in connection.execute(_SNAPSHOT))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield ages
    finally:
        is_over.set()
        watcher.join()
