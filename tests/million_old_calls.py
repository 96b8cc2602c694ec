"""
By hand: a million old calls are taken over with a reader and a writer beside it.

    python -m tests.million_old_calls [ROWS]

It starts servers of its own, and prints how long adopt took, the longest that the reader and the writer of the old
call_log waited for one statement, and how much memory the process used at most.
No scheduler runs: where adopt took longer than 120 s, check 14 of `verify --old` says so.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import psycopg

from outbound.local import embedded_servers
from tests import old_system

ROWS = 1_000_000
PAUSE_S = 0.01  # between two statements of the reader, and of the writer

FILL = b"""
insert into call_log (business_id, call_sid, direction, from_number, to_number, status, call_status, duration, summary,
                      created_at, updated_at)
select 1, 'CA' || lpad((10000 + n)::text, 32, '0'), case when n %% 5 = 0 then 'inbound' else 'outbound' end,
       case when n %% 5 = 0 then '+97252' || lpad((n %% 300000)::text, 7, '0') else '+97235550001' end,
       case when n %% 5 = 0 then '+97235550001' else '+97252' || lpad((n %% 300000)::text, 7, '0') end,
       (array['completed', 'recorded', 'processed', 'busy', 'no-answer', 'failed'])[1 + n %% 6], 'completed', n %% 300,
       repeat('words ', 20), now() - make_interval(mins => n::integer), now() - make_interval(mins => n::integer)
  from generate_series(1, %s::bigint) as n
"""
READ = b"select * from call_log where business_id = 1 order by created_at desc limit 50"
INSERT = b"""
insert into call_log (business_id, direction, status, created_at) values (1, 'inbound', 'received', now())
returning id
"""
UPDATE = b"update call_log set status = 'processed', updated_at = now() where id = %s"


class Waits(NamedTuple):
    """What one of those beside adopt saw: how many statements, and the longest, in seconds."""

    statements: list[float]

    def said(self) -> str:
        """For a person."""
        took = sorted(self.statements)
        most = took[len(took) - 1 - len(took) // 1000]
        return f"{len(took)} statements, longest {took[-1]:.3f} s, 99.9 % within {most:.3f} s"


def beside(url: str, stop: threading.Event, waits: Waits, *, writes: bool) -> None:
    """Read, or write, the old call_log until stopped."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        number = 0
        while not stop.wait(PAUSE_S):
            began = time.monotonic()
            if not writes:
                connection.execute(READ).fetchall()
            elif number % 2:
                connection.execute(INSERT)
            else:
                connection.execute(UPDATE, (1000 + number % 1000,))
            waits.statements.append(time.monotonic() - began)
            number += 1


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory(prefix="outbound-million-") as name:
        Path(name).chmod(0o755)
        with embedded_servers.servers(Path(name), postgres=True, broker=True, durable=True) as servers:
            url = str(servers.database_url)
            began = time.monotonic()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(old_system.tables_sql("whole").encode())
                connection.execute(old_system.rows_sql("whole").encode())
                connection.execute(FILL, (rows,))
                connection.execute(b"vacuum analyze call_log")
            print(f"{rows} rows made in {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
            measure(url, str(servers.redis_url))


def measure(url: str, redis_url: str) -> None:
    """Adopt all history, and then look at it, with a reader and a writer beside it."""
    environment = os.environ | {"DATABASE_URL": url, "OUTBOUND_SCHEMA": "outbound", "REDIS_URL": redis_url}
    for words in (
        ("adopt", "--old-is-stopped", "--yes", "--json", "--history-days", "all"),
        ("verify", "--old"),
        ("adopt", "--undo", "--yes"),
    ):
        stop, reader, writer = threading.Event(), Waits([]), Waits([])
        threads = [
            threading.Thread(target=beside, args=(url, stop, waits), kwargs={"writes": writes})
            for waits, writes in ((reader, False), (writer, True))
        ]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "outbound", *words], env=environment, capture_output=True, text=True, check=False
        )
        took = time.monotonic() - began
        stop.set()
        for thread in threads:
            thread.join()
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"outbound {' '.join(words[:2])}: status {done.returncode}, {took:.0f} s, peak {peak:.0f} MB")  # noqa: T201
        print(f"  reader: {reader.said()}\n  writer: {writer.said()}", flush=True)  # noqa: T201
        if words[0] == "adopt" and done.returncode == 0 and "--json" in words:
            fates = json.loads(done.stdout)["businesses"][0]["fates"]["call"]
            print(f"  fates of business 1: {fates}", flush=True)  # noqa: T201
        elif done.returncode:
            print(done.stdout[-3000:] + done.stderr[-3000:], flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
