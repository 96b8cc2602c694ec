"""How far the database is migrated, and bringing it up to date; the only file that knows yoyo."""

import logging

from yoyo import get_backend, read_migrations
from yoyo.backends import DatabaseBackend
from yoyo.exceptions import LockTimeout

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
    try:
        applied = {row.migration_id for row in db.run(sql.applied_migrations)}
    except db.NoSuchTable:
        applied = set()
    return [name for name in known_migrations() if name not in applied]


def require() -> None:
    """
    Refuse to work on a schema older than this version needs; a newer one is fine.

    Raises:
        SchemaTooOld: says what is missing and which command to run.
    """
    missing = missing_migrations()
    if missing:
        raise SchemaTooOld(f"the database lacks {', '.join(missing)}: run `outbound migrate`")


def migrate() -> list[str]:
    """
    Apply what is missing and return the ids of what was applied.

    Safe to run twice at once (the second waits) and after a kill at any point.

    Raises:
        MigrationLocked: a `yoyo apply` by hand holds yoyo's lock, or died with it.
    """
    with db.connect(options="") as connection:
        sql.take_migration_lock(connection)
        if sql.has_yoyo_lock(connection):
            sql.break_own_yoyo_lock(connection, own_pid=_OWN_PID)
        return _apply()


def _apply() -> list[str]:
    backend = _backend()
    try:
        with _lock(backend):
            pending = backend.to_apply(read_migrations(str(db.sql_dir() / "migrations")))
            backend.apply_migrations(pending)
            return [migration.id for migration in pending]
    finally:
        backend.connection.close()


def rollback(down_to: str) -> list[str]:
    """Take back every migration newer than *down_to* (an id), newest first; return the ids of what was taken back."""
    backend = _backend()
    try:
        with _lock(backend):
            applied = backend.to_rollback(read_migrations(str(db.sql_dir() / "migrations")))
            newer = applied.filter(lambda migration: migration.id > down_to)
            backend.rollback_migrations(newer)
            return [migration.id for migration in newer]
    finally:
        backend.connection.close()


class _lock:  # noqa: N801 (reads as a verb where it is used)
    """yoyo's own lock, under our pid."""

    def __init__(self, backend: DatabaseBackend) -> None:
        self._backend = backend

    def __enter__(self) -> None:
        try:
            self._backend._insert_lock_row(_OWN_PID, timeout=10)  # noqa: SLF001 (yoyo has no other way)
        except LockTimeout as held:
            raise MigrationLocked(f"{held}; if no `yoyo` is running, run `yoyo break-lock`") from None
        self._backend._is_locked = True  # noqa: SLF001

    def __exit__(self, *_: object) -> None:
        self._backend._is_locked = False  # noqa: SLF001
        self._backend._delete_lock_row(_OWN_PID)  # noqa: SLF001


def _backend() -> DatabaseBackend:
    logging.getLogger("yoyo").setLevel(logging.CRITICAL)  # it logs two errors per run even when there is nothing to do
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
    separator = "&" if "?" in url else "?"
    return f"postgresql+psycopg{url[url.index('://') :]}{separator}options=-c%20lock_timeout%3D{_LOCK_TIMEOUT_MS}"
