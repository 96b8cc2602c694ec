"""
Databases that several tests of a process use, one after the other, with warm connections.

To make and drop a database takes 50 ms of processor time, and a new server process reads the catalog, compiles each
function and plans each statement again, which takes longer still.  So a test that is marked `rows_only` gets a database
that another one has left: its rows, its sequences and its sessions are as in a new one, and what it cached is still
there.  Where anything but rows has changed, or somebody else is still connected, the database is dropped instead.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from outbound import config, db, os_user

USES_MAX = 50  # rows that are deleted still lie in the files
# Whatever defines something, or says how the planner sees it, in the database and for all of them.
CATALOGS = (
    *("pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index", "pg_proc", "pg_trigger", "pg_rewrite"),
    *("pg_policy", "pg_namespace", "pg_type", "pg_default_acl", "pg_event_trigger", "pg_extension", "pg_publication"),
    *("pg_largeobject_metadata", "pg_statistic", "pg_statistic_ext"),
)
# Of this database alone: tests of other processes may share the server.
SETTINGS_HERE = (
    "(select xmin from pg_db_role_setting"
    " where setdatabase = (select oid from pg_database where datname = current_database())) as setting"
)
LOOKS = 50  # 2 ms apart: a connection that was just closed or given back lingers as long
SESSIONS = (
    "select pid, (select count(*) from pg_locks where pg_locks.pid = pg_stat_activity.pid and locktype = 'advisory')"
    " as locks from pg_stat_activity where datname = current_database() and backend_type = 'client backend'"
)
SESSION = "set session authorization default; reset all; close all; unlisten *; select pg_advisory_unlock_all()"


class Kept:
    """A migrated database and the connections to it."""

    def __init__(self, name: str, url: str) -> None:
        self.name, self.url = name, url
        self.connection = _connected(url)
        self._pool: Any = None
        self._pool_of: tuple[Any, ...] = ()
        self._uses, self._owner = 0, os.getpid()
        # One that fires no triggers, and plans each statement once.
        self._own = _connected(url, options="-csession_replication_role=replica -cplan_cache_mode=force_generic_plan")
        self._own.prepare_threshold = 0
        self._since = str(self._value("select pg_current_xact_id()::text"))
        found = "select relname::text from pg_class where relkind = %s and relnamespace = 'public'::regnamespace"
        tables, sequences = ([row[0] for row in self._own.execute(found, [kind])] for kind in ("r", "S"))
        new = "count(*) filter (where age(xmin) < age(%(since)s::xid)) as new"
        places = {name: name for name in (*CATALOGS, *tables)} | {"settings": SETTINGS_HERE}
        arms = (f"select '{name}' as name, count(*) as rows, {new} from {place}" for name, place in places.items())  # noqa: S608
        self._counts = " union all ".join(arms)
        self._counts += " union all select 'seen by the planner', sum(relpages), sum(reltuples) from pg_class"
        self._sequences = " union all ".join(map(self._as_now, sequences))
        self._was = self._counted()
        self._tables = {table: self._copied(table) if self._was[table][0] else b"" for table in tables}

    def open_pool(self, make: Callable[[], Any]) -> Any:
        """The pool that the test before has left, where a new one would be like it."""
        if os.getpid() != self._owner:  # a fork has no threads, and its parent speaks through these sockets
            return make()
        wanted = _settings_of_pool()
        pool, self._pool = self._pool, None
        if pool is not None and self._pool_of == wanted:
            for connection in pool._pool:
                connection.execute(SESSION, prepare=False)
                db._settle(connection, self.url)
            return pool
        if pool is not None:
            pool.close()
        self._pool_of = wanted
        return make()

    def take_back(self, pool: Any) -> bool:
        """Make it as new, and keep *pool* for the next test; False where the database has to be dropped."""
        self._uses += 1
        self._pool = pool or self._pool
        try:
            return self._uses < USES_MAX and self._is_alone() and self._has_rows_of_a_new_one()
        except psycopg.Error:
            return False

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
        self.connection.close()
        self._own.close()

    def _is_alone(self) -> bool:
        """Is nobody connected but we and the pool, and is nobody at work?"""
        if self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            return False
        self.connection.execute(SESSION, prepare=False)
        for _ in range(LOOKS):
            there = self._own.execute(SESSIONS).fetchall()
            if any(row.locks for row in there):
                return False
            if self._is_idle() and self._pids() >= {row.pid for row in there}:
                return True
            time.sleep(0.002)
        return False

    def _is_idle(self) -> bool:
        """Is every connection of the pool there, and may it have as many as before?"""
        if self._pool is None:
            return True
        self._pool.resize(self._pool.min_size, self._pool_of[0])
        return not self._pool.closed and len(self._pool._pool) == self._pool._nconns

    def _pids(self) -> set[int]:
        pooled = list(self._pool._pool) if self._pool is not None else []
        return {one.info.backend_pid for one in (self.connection, self._own, *pooled)}

    def _has_rows_of_a_new_one(self) -> bool:
        """Let tables and sequences be as they were; False where something is defined otherwise."""
        now = self._counted()
        changed = {name for name, found in now.items() if found != self._was[name]}
        if not changed <= self._tables.keys():
            return False
        with self._own.transaction():
            for table in changed:
                self._own.execute(f"delete from {table}".encode())  # noqa: S608
                if self._tables[table]:
                    with self._own.cursor().copy(f"copy {table} from stdin".encode()) as into:
                        into.write(self._tables[table])
            self._own.execute(self._sequences.encode())
        self._since = str(self._value("select pg_current_xact_id()::text"))
        return True

    def _counted(self) -> dict[str, tuple[Any, Any]]:
        """How many rows each catalog and table has, and how many of them are new."""
        found = self._own.execute(self._counts.encode(), {"since": self._since})
        return {row.name: (row.rows, row.new) for row in found}

    def _copied(self, table: str) -> bytes:
        with self._own.cursor().copy(f"copy {table} to stdout".encode()) as out:
            return b"".join(bytes(part) for part in out)

    def _as_now(self, sequence: str) -> str:
        state: Any = self._own.execute(f"select last_value, is_called from {sequence}".encode()).fetchone()  # noqa: S608
        return f"select setval('{sequence}', {state.last_value}, {state.is_called})"

    def _value(self, query: str) -> Any:
        row: Any = self._own.execute(query.encode()).fetchone()
        return row[0]


def _connected(url: str, **options: Any) -> psycopg.Connection[Any]:
    return psycopg.connect(url, autocommit=True, row_factory=namedtuple_row, **options)


def _settings_of_pool() -> tuple[Any, ...]:
    """What a pool is made from, and each session of it; how many there may be comes first."""
    now = config.settings()
    return (
        *(db.pool_size(), now.database_url, now.database_schema, now.carrier, now.time_limit_s),
        *(os_user.name(), os_user.spoken_for()),
    )


class Keeper:
    """Lends each test a database, and drops those that cannot be lent again."""

    def __init__(
        self,
        make: Callable[[], tuple[str, str]],
        drop: Callable[[str], None],
        working_on: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        """*make* gives the name and the address of a new one, *working_on* the settings of who uses an address."""
        self._make, self._drop, self._working_on = make, drop, working_on
        self._idle: list[Kept] = []

    @contextmanager
    def lent(self) -> Iterator[Kept]:
        """A database of one's own, and the settings of a process that uses it, for as long as the block lasts."""
        kept = self._idle.pop() if self._idle else Kept(*self._make())
        make = db._open_pool
        with pytest.MonkeyPatch.context() as patch, self._working_on(kept.url):
            patch.setattr(db, "_open_pool", lambda: kept.open_pool(make))
            yield kept
            pool = db._pools.pop(os.getpid(), None)
        if kept.take_back(pool):
            self._idle.append(kept)
        else:
            self._end(kept)

    def close(self) -> None:
        while self._idle:
            self._end(self._idle.pop())

    def _end(self, kept: Kept) -> None:
        with suppress(psycopg.Error):
            kept.close()
        self._drop(kept.name)
