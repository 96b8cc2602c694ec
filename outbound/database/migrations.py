"""
Finds how far the database is migrated, and brings it up to date; the only file that knows yoyo.

The rule of upgrades: a version works on its own schema and on every later one, so the schema goes first.  A migration
therefore only adds (expand); what the version before still uses is taken away one version later (contract).
"""

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from yoyo import default_migration_table, read_migrations
from yoyo.backends import DatabaseBackend
from yoyo.backends.core import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri
from yoyo.exceptions import LockTimeout
from yoyo.migrations import Migration, MigrationList, StepCollector, parse_metadata_from_sql_comments

from outbound import db
from outbound.config import settings
from outbound.database import foreign_tables
from outbound.errors import UserError

sql = db.statements("database/migrations")

_FIRST = "0001_business_call_log_leads"
# yoyo's lock is a row with the pid of its holder.  Ours says 0, so that the row of an `outbound migrate` that was
# killed can be distinguished from the row of a `yoyo apply` that somebody runs by hand.
_OWN_PID = 0
# A migration that waits behind somebody's open transaction makes everybody wait behind it: it gives up instead.
_LOCK_LIMIT = "10s"
_LOOK_S = 0.5  # between two looks whether another `outbound migrate` has ended
WAIT_S = 60  # for that; a migration of large tables can take longer, and says so


class SchemaTooOld(UserError):
    """The database lacks migrations that this version needs; the message says which command to run."""


class ForeignTables(SchemaTooOld):
    """Tables that are not ours stand where ours are, or would be made; the message names them and the mend."""

    def __init__(self, text: str, mend: str) -> None:
        super().__init__(f"{text}: {mend}")
        self.text, self.mend = text, mend


class MigrationLocked(UserError):
    """Somebody else is migrating; the message says who, and what to do."""


class NoSuchMigration(UserError):
    """There is no migration of this name; the message says which there are."""


class Part(NamedTuple):
    """A table, column, index, constraint, trigger, view or function: what it is, and what it should be."""

    kind: str
    owner: str
    name: str


Tell = Callable[[str], None]
Parts = dict[Part, str]  # what each of them says of itself


def known_migrations() -> list[str]:
    """The ids of the migrations that this version has, oldest first."""
    names = (path.stem for path in (db.sql_dir() / "migrations").glob("*.sql"))
    return sorted(name for name in names if not name.endswith(".rollback"))


def known_tables() -> list[str]:
    """The names of the tables that the migrations make."""
    return re.findall(r"create table if not exists (\w+)", _texts())


@cache
def _texts() -> str:
    return "\n".join((db.sql_dir() / "migrations" / f"{name}.sql").read_text() for name in known_migrations())


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
        ForeignTables: it is not ours to migrate; names the tables and the mend.
        SchemaTooOld: says what is missing and which command to run.
        db.Unavailable: the database does not answer, and why; a pool would try again in silence.
    """
    with db.connect() as connection:
        missing = _missing(connection)
        if missing:
            refuse_foreign(connection)
    if missing:
        raise SchemaTooOld(f"the database lacks {', '.join(missing)}: run `outbound migrate`")


def refuse_foreign(connection: db.Connection) -> None:
    """
    Refuse to work where tables, or other things with our names, were not made by our migrations.

    Raises:
        ForeignTables: names them and the mend.  Nothing was changed.
    """
    is_begun = _FIRST in _applied(connection)
    theirs = foreign_tables.found(connection, migrations=_texts(), is_begun=is_begun)
    if theirs:
        raise ForeignTables(foreign_tables.sentence(current(connection) or "", theirs), foreign_tables.MEND)


def migrate(wait_s: float = WAIT_S, yoyo_wait_s: float = 10, tell: Tell = lambda _: None) -> list[str]:
    """
    Apply what is missing and return the ids of what was applied.

    Safe to run twice at once (the second waits) and after a kill at any point.

    Args:
        wait_s: how long another `outbound migrate` may be at work before we give up.
        yoyo_wait_s: how long a `yoyo` by hand may hold yoyo's lock before we give up.
        tell: called once, with whom we wait for.

    Raises:
        ForeignTables: tables of somebody else stand where ours would be made; nothing at all was changed.
        MigrationLocked: another one is at work, a `yoyo apply` by hand holds yoyo's lock, or one died with it.
        db.UnfitDatabase: this role may not make the schema that OUTBOUND_SCHEMA names, or no tables in it.
    """
    _make_schema(tell)
    if not _may_migrate():
        return []
    with _alone(wait_s, yoyo_wait_s, tell) as backend:
        if not _missing(backend.connection):  # yoyo would read all files first, which takes a second
            return []
        pending = backend.to_apply(_migrations())
        backend.apply_migrations(pending)
        return [migration.id for migration in pending]


def _make_schema(tell: Tell) -> None:
    """Make the schema that OUTBOUND_SCHEMA names, where it is missing."""
    try:
        db.open_connection().close()
    except db.SchemaMissing:
        name = settings().database_schema or ""
        with db.connect(needs_schema=False) as connection:
            try:
                db.make_schema(connection, name)
            except db.NotAllowed:
                raise db.UnfitDatabase(
                    f"there is no schema {name} in this database, and this role may not make it",
                    f"`create schema {name} authorization …` (this role), or `grant create on database … to …`",
                ) from None
            except db.SchemaThere:
                return  # another `outbound migrate` made it
        tell(f"made the schema {name}")


def _may_migrate() -> bool:
    """
    May this role apply what is missing; False where nothing is, and it may not.

    Raises:
        db.UnfitDatabase: something is missing, and this role may make no table.
    """
    with db.connect() as connection:
        if sql.may_create(connection) is not False:
            return True
        if _missing(connection):
            name = current(connection)
            raise db.UnfitDatabase(
                f"this role may make no tables in the schema {name}",
                f"`grant create on schema {name} to …` as its owner, or migrate as its owner",
            )
    return False


def rollback(down_to: str, wait_s: float = WAIT_S, yoyo_wait_s: float = 10, tell: Tell = lambda _: None) -> list[str]:
    """
    Take back every migration newer than *down_to* (an id; '' for all), newest first; return what was taken back.

    What they added is gone with all that was written there: `losses` says what.  It waits as `migrate` does.

    Raises:
        ForeignTables: they are not ours to take away.
        MigrationLocked: as of `migrate`.
        db.Error: the tables of 0001 have rows, which even this does not drop.
    """
    with _alone(wait_s, yoyo_wait_s, tell, _LosingBackend) as backend:
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
    """
    Return what a rollback to *down_to* would take away for good: the tables and columns of each migration, newest
    first.
    """
    with db.connect() as connection:
        applied = _applied(connection)
    return {name: losses_of(name) for name in reversed(known_migrations()) if name > down_to and name in applied}


def losses_of(migration: str) -> list[str]:
    """The tables and columns that the rollback of one migration drops; an index or a function can be made again."""
    rollback_sql = (db.sql_dir() / "migrations" / f"{migration}.rollback.sql").read_text()
    found = re.findall(r"drop (table) if exists (\w+)|alter table (\w+) drop column if exists (\w+)", rollback_sql)
    return [f"table {table}" if kind else f"column {owner}.{column}" for kind, table, owner, column in found]


def parts(connection: db.Connection) -> Parts:
    """Return what the current schema of *connection* is made of."""
    return {Part(row.kind, row.owner, row.name): row.says for row in sql.parts(connection)}


def parts_of_migrations(connection: db.Connection, scratch: str) -> Parts:
    """
    Return what the migrations make, on this very server: they are run in a schema *scratch*, which nobody ever sees.

    All of it is rolled back, and the live tables are neither read nor locked; it takes a second or two, and the right
    to create a schema.
    """
    with connection.transaction(force_rollback=True):
        rehearse(connection, scratch)
        return parts(connection)


def rehearse(connection: db.Connection, name: str) -> None:
    """Make a schema and all that the migrations make in it, in the caller's transaction, which then sees no other."""
    db.make_schema(connection, name)
    db.see_only(connection, name)
    for migration in known_migrations():
        file = db.sql_dir() / "migrations" / f"{migration}.sql"
        # Nobody else is here who could be kept waiting, and there is no CONCURRENTLY inside a transaction.
        db.run_script(connection, re.sub(r"\bconcurrently\b", "", file.read_text(), flags=re.IGNORECASE))


def current(connection: db.Connection) -> str | None:
    """The schema in which *connection* finds our tables; None where it can find none."""
    return db.current_schema(connection)


@cache
def _migrations() -> MigrationList:
    """Read once in a process: yoyo takes files apart again each time."""
    found = read_migrations(str(db.sql_dir() / "migrations"))
    by_name = {migration.id: migration for migration in found}
    for migration in found:
        text = Path(migration.path).read_text("utf-8")
        directives, _, _ = parse_metadata_from_sql_comments(text)
        if directives.get("transactional") != "false":
            _send_whole(migration, text, {by_name[name] for name in directives.get("depends", "").split()})
    return found


def _send_whole(migration: Migration, text: str, depends: set[Migration]) -> None:
    """
    Give yoyo the file of one transaction as one step, and its rollback too.

    yoyo makes a step of each statement.  To find where the statements end takes longer than to run them, and only what
    commits between them needs it.
    """
    steps = StepCollector(migration)
    steps.add_step(text, Path(migration.path).with_suffix(".rollback.sql").read_text("utf-8"))
    migration.steps = steps.create_steps(use_transactions=True)
    migration._depends = depends  # noqa: SLF001


@contextmanager
def _alone(
    wait_s: float = WAIT_S,
    yoyo_wait_s: float = 10,
    tell: Tell = lambda _: None,
    kind: "Callable[[object, str], DatabaseBackend] | None" = None,
) -> Iterator[DatabaseBackend]:
    """yoyo, with our lock and its own, under our pid."""
    with db.connect(time_limit="0") as connection:
        _take_lock(connection, wait_s, tell)
        try:
            refuse_foreign(connection)  # before yoyo makes the tables that it keeps its records in
            if sql.has_yoyo_lock(connection):
                sql.break_own_yoyo_lock(connection, own_pid=_OWN_PID)
            backend = _backend(kind or _Backend)
            try:
                with _yoyo_lock(backend, yoyo_wait_s):
                    yield backend
            finally:
                backend.connection.close()
        finally:
            _give_lock_back(connection)


def _take_lock(connection: db.Connection, wait_s: float, tell: Tell) -> None:
    deadline = time.monotonic() + wait_s
    is_reported = False
    while not sql.take_migration_lock(connection):
        holder = sql.migration_lock_holder(connection)
        if holder is None:  # it has just ended
            continue
        at_work = f"another `outbound migrate` holds the lock: {holder.holder}"
        if time.monotonic() > deadline:
            raise MigrationLocked(
                f"{at_work}; wait until it has ended, or, if it is nobody's,"
                f" end it with `select pg_terminate_backend({holder.pid})` and migrate again"
            )
        if not is_reported:
            tell(f"{at_work}; waiting for it, {wait_s:g} s at most")
            is_reported = True
        time.sleep(_LOOK_S)


def _give_lock_back(connection: db.Connection) -> None:
    """The end of the connection would do, but a pooler may keep it."""
    with suppress(db.Error):  # the connection is gone, and the lock with it
        sql.give_migration_lock_back(connection)


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


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo has no types
    """
    yoyo on one connection of ours: whatever the database or a pooler sets otherwise, a migration runs as we expect.

    yoyo itself opens a connection for each migration, makes a savepoint for each statement, and releases none of them:
    two thirds of the time that all migrations take.  None of ours goes on after a statement that failed.
    """

    def connect(self, _dburi: object) -> db.Connection:
        return db.open_connection(time_limit="0", lock_limit=_LOCK_LIMIT)

    def copy(self) -> "_Backend":
        """For the next migration: this one."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the connection open for the next migration; `_alone` closes it."""

    def savepoint(self, _name: str) -> None:
        """Make none."""

    def savepoint_rollback(self, _name: str) -> None:
        """Nothing: the error goes on, and takes back the whole transaction."""


class _LosingBackend(_Backend):
    """The backend of a rollback that the operator has confirmed: its connections may drop tables that have rows."""

    def connect(self, dburi: object) -> db.Connection:
        connection = super().connect(dburi)
        sql.lose_rows(connection)
        return connection


def _backend(kind: "Callable[[object, str], DatabaseBackend]") -> DatabaseBackend:
    logging.getLogger("yoyo").setLevel(logging.CRITICAL)  # it logs two errors per run even when there is nothing to do
    os.environ.setdefault("USERNAME", "outbound")  # yoyo notes who migrated; in a container the uid may have no name
    backend = kind(parse_uri("postgresql+psycopg:///"), default_migration_table)
    backend.init_database()
    return backend
