"""
How far the database is migrated, and bringing it up to date; the only file that knows yoyo.

The rule of upgrades: a version works on its own schema and on every later one, so the schema goes first.  A migration
therefore only adds (expand); what the version before still uses is taken away one version later (contract).
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from yoyo import get_backend, read_migrations
from yoyo.backends import DatabaseBackend
from yoyo.exceptions import LockTimeout
from yoyo.migrations import MigrationList

from outbound import db
from outbound.config import settings

sql = db.statements("schema")

# yoyo's lock is a row with the pid of whoever holds it.  Ours says 0, so that the row of an `outbound migrate` that was
# killed can be told from the row of a `yoyo apply` that somebody runs by hand.
_OWN_PID = 0
_LOCK_TIMEOUT_MS = 10_000


class SchemaTooOld(RuntimeError):
    """The database lacks migrations that this version needs; the message says which command to run."""


class MigrationLocked(RuntimeError):
    """Somebody else is migrating by hand."""


class NoSuchMigration(ValueError):
    """There is no migration of this name; the message says which there are."""


class Part(NamedTuple):
    """A table, column, index, constraint, trigger, view or function: what it is, and what it should be."""

    kind: str
    owner: str
    name: str


Parts = dict[Part, str]  # what each of them says of itself


def known_migrations() -> list[str]:
    """The ids of the migrations that this version has, oldest first."""
    names = (path.stem for path in (db.sql_dir() / "migrations").glob("*.sql"))
    return sorted(name for name in names if not name.endswith(".rollback"))


def missing_migrations() -> list[str]:
    """The ids of the migrations that the database lacks, oldest first."""
    return db.with_connection(_missing)


def unknown_migrations() -> list[str]:
    """The ids of migrations that the database has and this version does not know: a newer version's."""
    return sorted(db.with_connection(_applied) - set(known_migrations()))


def _missing(connection: db.Connection) -> list[str]:
    applied = _applied(connection)
    return [name for name in known_migrations() if name not in applied]


def _applied(connection: db.Connection) -> set[str]:
    try:
        return {row.migration_id for row in sql.applied_migrations(connection)}
    except db.NoSuchTable:
        return set()


def require() -> None:
    """
    Refuse to work on a schema older than this version needs; a newer one is fine.

    Raises:
        SchemaTooOld: says what is missing and which command to run.
        db.Unavailable: the database does not answer, and why; a pool would try again in silence.
    """
    with db.connect() as connection:
        missing = _missing(connection)
    if missing:
        raise SchemaTooOld(f"the database lacks {', '.join(missing)}: run `outbound migrate`")


def migrate(wait_s: float = 10) -> list[str]:
    """
    Apply what is missing and return the ids of what was applied.

    Safe to run twice at once (the second waits) and after a kill at any point.

    Args:
        wait_s: how long a `yoyo` by hand may hold yoyo's lock before we give up.

    Raises:
        MigrationLocked: a `yoyo apply` by hand holds yoyo's lock, or died with it.
    """
    with _alone(wait_s) as backend:
        pending = backend.to_apply(_migrations())
        backend.apply_migrations(pending)
        return [migration.id for migration in pending]


def rollback(down_to: str, wait_s: float = 10) -> list[str]:
    """
    Take back every migration newer than *down_to* (an id; '' for all), newest first; return what was taken back.

    What they added is gone with all that was written there: `losses` says what.
    """
    with _alone(wait_s) as backend:
        newer = backend.to_rollback(_migrations()).filter(lambda migration: migration.id > down_to)
        backend.rollback_migrations(newer)
        return [migration.id for migration in newer]


def named(text: str) -> str:
    """
    The id of the migration that is meant by *text*: an id, or its number.

    Raises:
        NoSuchMigration: names those that there are.
    """
    found = [name for name in known_migrations() if name == text or name.split("_")[0] == text]
    if not found:
        raise NoSuchMigration(f"there is no migration {text!r}: give one of {', '.join(known_migrations())}")
    return found[0]


def losses(down_to: str) -> dict[str, list[str]]:
    """What a rollback to *down_to* would take away for good: the tables and columns of each migration, newest first."""
    applied = db.with_connection(_applied)
    return {
        name: _dropped((db.sql_dir() / "migrations" / f"{name}.rollback.sql").read_text())
        for name in reversed(known_migrations())
        if name > down_to and name in applied
    }


def _dropped(rollback_sql: str) -> list[str]:
    """Tables and columns that hold data; an index or a function can be made again."""
    found = re.findall(r"drop (table) if exists (\w+)|alter table (\w+) drop column if exists (\w+)", rollback_sql)
    return [f"table {table}" if kind else f"column {owner}.{column}" for kind, table, owner, column in found]


def parts(connection: db.Connection) -> Parts:
    """What the current schema of *connection* is made of."""
    return {Part(row.kind, row.owner, row.name): row.says for row in sql.parts(connection)}


def parts_of_migrations(connection: db.Connection, scratch: str) -> Parts:
    """
    What the migrations make, on this very server: they are run in a schema *scratch*, which nobody ever sees.

    All of it is rolled back, and the live tables are neither read nor locked; it takes a second or two, and the right
    to create a schema.
    """
    files = [db.sql_dir() / "migrations" / f"{name}.sql" for name in known_migrations()]
    with connection.transaction(force_rollback=True):
        db.make_schema(connection, scratch)
        db.see_only(connection, scratch)
        for file in files:
            # Nobody else is here who could be kept waiting, and there is no CONCURRENTLY inside a transaction.
            db.run_script(connection, re.sub(r"\bconcurrently\b", "", file.read_text(), flags=re.IGNORECASE))
        return parts(connection)


def current(connection: db.Connection) -> str | None:
    """The schema in which *connection* finds our tables; None where it can find none."""
    name: str | None = sql.current_schema(connection)
    return name


def _migrations() -> MigrationList:
    return read_migrations(str(db.sql_dir() / "migrations"))


@contextmanager
def _alone(wait_s: float) -> Iterator[DatabaseBackend]:
    """yoyo, with our lock and its own, under our pid."""
    with db.connect(options="") as connection:
        sql.take_migration_lock(connection)
        if sql.has_yoyo_lock(connection):
            sql.break_own_yoyo_lock(connection, own_pid=_OWN_PID)
        backend = _backend()
        try:
            with _yoyo_lock(backend, wait_s):
                yield backend
        finally:
            backend.connection.close()


@contextmanager
def _yoyo_lock(backend: DatabaseBackend, wait_s: float) -> Iterator[None]:
    # Its own `lock()` would write our true pid.
    try:
        backend._insert_lock_row(_OWN_PID, timeout=wait_s)  # noqa: SLF001
    except LockTimeout as held:
        raise MigrationLocked(f"{held}; if that is no `yoyo` at work, run `yoyo break-lock`") from None
    backend._is_locked = True  # noqa: SLF001
    try:
        yield
    finally:
        backend._is_locked = False  # noqa: SLF001
        backend._delete_lock_row(_OWN_PID)  # noqa: SLF001


def _backend() -> DatabaseBackend:
    logging.getLogger("yoyo").setLevel(logging.CRITICAL)  # it logs two errors per run even when there is nothing to do
    os.environ.setdefault("USERNAME", "outbound")  # yoyo notes who migrated; in a container the uid may have no name
    return get_backend(yoyo_url(db_url()))


def db_url() -> str:
    """The configured database, for those who print it or hand it on."""
    url = settings().database_url
    if url is None:
        raise RuntimeError("DATABASE_URL is not set")
    return url


def yoyo_url(url: str) -> str:
    """The same address as yoyo wants it: plain `postgresql://` would mean psycopg 2."""
    # A migration that waits behind somebody's open transaction makes everybody wait behind it: it gives up instead.
    address = urlsplit(url)
    login, at, hosts = address.netloc.rpartition("@")
    given = [pair for pair in address.query.split("&") if pair]
    query = [pair for pair in given if not pair.startswith("options=")]
    own = [unquote(pair.removeprefix("options=")) for pair in given if pair not in query]
    options = " ".join([f"-c lock_timeout={_LOCK_TIMEOUT_MS}", *own])
    if "," in hosts:  # yoyo knows one host; what is in the query it hands to libpq as it is
        pairs = [host.partition(":") for host in hosts.split(",")]
        query.append("host=" + ",".join(name for name, _, _ in pairs))
        query.append("port=" + ",".join(port or "5432" for _, _, port in pairs))
        hosts = ""
    query.append(f"options={quote(options)}")
    return f"postgresql+psycopg://{login}{at}{hosts}{address.path}?{'&'.join(query)}"
