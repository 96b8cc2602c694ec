"""How far the database is migrated, and bringing it up to date; the only file that knows yoyo."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

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


def known_migrations() -> list[str]:
    """The ids of the migrations that this version has, oldest first."""
    names = (path.stem for path in (db.sql_dir() / "migrations").glob("*.sql"))
    return sorted(name for name in names if not name.endswith(".rollback"))


def missing_migrations() -> list[str]:
    """The ids of the migrations that the database lacks, oldest first."""
    return db.with_connection(_missing)


def _missing(connection: db.Connection) -> list[str]:
    try:
        applied = {row.migration_id for row in sql.applied_migrations(connection)}
    except db.NoSuchTable:
        applied = set()
    return [name for name in known_migrations() if name not in applied]


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
    """Take back every migration newer than *down_to* (an id), newest first; return the ids of what was taken back."""
    with _alone(wait_s) as backend:
        newer = backend.to_rollback(_migrations()).filter(lambda migration: migration.id > down_to)
        backend.rollback_migrations(newer)
        return [migration.id for migration in newer]


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
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    query = [parts.query] if parts.query else []
    if "," in hosts:  # yoyo knows one host; what is in the query it hands to libpq as it is
        pairs = [host.partition(":") for host in hosts.split(",")]
        query.append("host=" + ",".join(name for name, _, _ in pairs))
        query.append("port=" + ",".join(port or "5432" for _, _, port in pairs))
        hosts = ""
    query.append(f"options=-c%20lock_timeout%3D{_LOCK_TIMEOUT_MS}")
    return f"postgresql+psycopg://{login}{at}{hosts}{parts.path}?{'&'.join(query)}"
