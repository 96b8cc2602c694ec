# ruff: noqa: T201
"""
How long does each migration keep others from call_log?  By hand: `python -m tests.migration_locks --rows 1000000`.

A database of its own is filled at the level of the first migration; then every other one is applied as
`outbound migrate` does, beside a reader and a writer that work row by row.  Takes some minutes at a million rows.
"""

import argparse
import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

os.environ.setdefault("REDIS_URL", "memory://")

from outbound import db
from outbound.database import migrations
from outbound.local import embedded_servers
from tests.conftest import SETTINGS, Environment, until

LIMIT_S = 1.0
STATEMENTS_MIN = 300  # of each, before the first migration, to compare with
PAUSE_S = 0.002  # between two statements of each of them
ROWS = """
insert into business (name) select 'business ' || n from generate_series(1, 20) as n;
insert into leads (business_id, phone)
select 1 + n % 20, '+1500555' || lpad((n % 10000)::text, 4, '0') from generate_series(1, 100000) as n;
insert into call_log (business_id, call_sid, direction, from_number, to_number, status, created_at, updated_at)
select 1 + n % 20, case when n % 10 > 0 then 'CA' || md5(n::text) end, 'outbound', '+15005550006',
       '+1' || 2000000000 + n, (array['completed', 'busy', 'no-answer', 'failed', 'ended', 'recorded', 'ringing'])
                               [1 + case when n % 1000 = 0 then 6 else n % 6 end],
       now() - make_interval(secs => n), now() - make_interval(secs => n)
  from generate_series(1, {rows}) as n;
"""


WAITS = """
select application_name, extract(epoch from clock_timestamp() - waitstart)::float8
  from pg_locks
 inner join pg_stat_activity using (pid)
 where not granted and waitstart is not null and application_name in ('reader', 'writer')
"""


class Watch:
    """One connection that works on call_log row by row, and how long its longest statement took, for any reason."""

    def __init__(self, url: str, rows: int, work: Callable[[psycopg.Connection, int], None]) -> None:
        self._url, self._rows, self._work = url, rows, work
        self.longest_s = 0.0
        self.statements = 0
        self.error: BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        dice = random.Random(1)
        try:
            with psycopg.connect(
                self._url, autocommit=True, prepare_threshold=None, application_name=self._work.__name__
            ) as connection:
                while not self._stopped.wait(PAUSE_S):
                    begun = time.monotonic()
                    self._work(connection, dice.randint(1, self._rows))
                    self.longest_s = max(self.longest_s, time.monotonic() - begun)
                    self.statements += 1
        except psycopg.Error as error:
            self.error = error

    def lap(self) -> float:
        """The longest wait since the last lap, in seconds."""
        longest, self.longest_s = self.longest_s, 0.0
        if self.error:
            raise self.error
        return longest

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(60)


def reader(connection: psycopg.Connection, call_id: int) -> None:
    connection.execute("select * from call_log where id = %s", [call_id]).fetchall()


def writer(connection: psycopg.Connection, call_id: int) -> None:
    """A new call that has ended, then a change of an old one: both are legal at every level of the schema."""
    connection.execute(
        "insert into call_log (business_id, direction, from_number, to_number, status)"
        " values (1, 'outbound', '+15005550006', '+15005550101', 'completed')"
    )
    connection.execute(
        "update call_log set from_number = '+15005550007' where id = %s and status = 'completed'", [call_id]
    )


def lock_waits(connection: psycopg.Connection, _: int) -> None:
    """Look for how long the other two have waited for a lock: on a busy machine a statement takes long without one."""
    for name, waited_s in connection.execute(WAITS).fetchall():
        LOCK_WAITS[name] = max(LOCK_WAITS.get(name, 0.0), waited_s)


LOCK_WAITS: dict[str, float] = {}


@contextmanager
def filled(rows: int) -> Iterator[str]:
    """A server of its own, with a database at the first migration's level."""
    data_dir = Path(tempfile.mkdtemp(prefix="outbound-migrations-"))
    data_dir.chmod(0o755)
    try:
        with (
            embedded_servers.servers(data_dir, postgres=True, broker=False, durable=False) as own,
            Environment(**SETTINGS, DATABASE_URL=own.database_url or "", REDIS_URL="memory://"),
        ):
            url = db.recreate_database("migrations")
            with Environment(DATABASE_URL=url):
                with migrations._alone() as backend:
                    backend.apply_one(migrations._migrations()[0])
                with psycopg.connect(url, autocommit=True) as connection:
                    connection.execute(ROWS.format(rows=rows).encode())
                    connection.execute("vacuum analyze call_log")
                yield url
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


def measure(rows: int) -> list[tuple[str, float]]:
    """Each migration but the first, and for how many seconds the reader or the writer waited for a lock at most."""
    found = []
    with filled(rows) as url:
        watches = [Watch(url, rows, work) for work in (reader, writer, lock_waits)]
        until(lambda: all(watch.error or watch.statements >= STATEMENTS_MIN for watch in watches))
        print(f"before: reader {watches[0].lap():.3f} s   writer {watches[1].lap():.3f} s")
        for name in migrations.known_migrations()[1:]:
            begun = time.monotonic()
            with migrations._alone() as backend:
                pending = backend.to_apply(migrations._migrations()).filter(
                    lambda migration, name=name: migration.id == name
                )
                backend.apply_migrations(pending)
            took = time.monotonic() - begun
            longest = [watch.lap() for watch in watches[:2]]
            locked_s = max(LOCK_WAITS.values(), default=0.0)
            LOCK_WAITS.clear()
            found.append((name, locked_s))
            print(
                f"{name:32} took {took:7.2f} s   reader {longest[0]:6.3f} s   writer {longest[1]:6.3f} s"
                f"   of that for a lock {locked_s:6.3f} s",
                flush=True,
            )
        for watch in watches:
            watch.stop()
        assert migrations.missing_migrations() == []
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    found = measure(parser.parse_args().rows)
    worst = max(locked_s for _, locked_s in found)
    print(f"longest wait for a lock: {worst:.3f} s, allowed: {LIMIT_S:g} s")
    raise SystemExit(worst > LIMIT_S)


if __name__ == "__main__":
    main()
