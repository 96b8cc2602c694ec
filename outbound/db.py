"""PostgreSQL as our own processes use it: the only file that imports psycopg."""

import os
import re
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar

import psycopg
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool, PoolTimeout

from outbound import db_session, library_logs, named_sql, os_user
from outbound.config import settings

T = TypeVar("T")
Connection = psycopg.Connection[Any]
Conflict = psycopg.errors.UniqueViolation
_ReadOnly = psycopg.errors.ReadOnlySqlTransaction  # a standby, or a primary that is read-only
# The database is away, or coming back, or gave up on us while we were stopped: try again later.
Unavailable = (psycopg.OperationalError, _ReadOnly, psycopg.errors.IdleInTransactionSessionTimeout)
library_logs.expect(*Unavailable)
NoSuchTable = psycopg.errors.UndefinedTable
NotAllowed = psycopg.errors.InsufficientPrivilege
TOOK_TOO_LONG = "57014"  # SQLSTATE of a statement that was canceled for its time
LockNotAvailable = psycopg.errors.LockNotAvailable  # within lock_timeout
# The server is there, and gave up what waited for another, or took too long: it may go better without the others.
GaveUp = (LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.QueryCanceled)
SchemaThere = (psycopg.errors.DuplicateSchema, Conflict)
Error = psycopg.Error
array = named_sql.array
sql_dir = named_sql.sql_dir
UnfitDatabase = db_session.UnfitDatabase
SchemaMissing = db_session.SchemaMissing
# Classes of SQLSTATE that one row's content raises, as is_of_a_row in SQL has them; the others are the server's fault,
# or the schema's.  Some of these are OperationalError, too: ask for this first.
_ROW_CLASSES = ("21", "22", "23", "54", "P0", "XX")
json = Jsonb
Row = Any  # a named tuple whose fields are the statement's columns

_AGAIN_S = 0.5
_WAIT_S = 5  # for a connection of the pool
_CANCEL_S = 5  # for the server to take note that a statement is to end
_FRESH_S = 60  # a connection used within this time, without a notification since, needs no round trip
_POOLER_TRIALS = 5
_MAX_IDLE_S = 60  # the pool gives up one connection, of some 5 MB in the server, each time so long that it needs fewer
_RECONNECT_S = 3  # the pool waits twice as long after each failure: after that it begins again when somebody asks
_TIME_LIMIT = "30s"  # nothing that we do takes seconds; a lock that is held that long is somebody's accident
_CONNECT_OPTIONS: dict[str, Any] = {
    "autocommit": True,  # one move = one statement = one transaction = one round trip
    "application_name": "outbound",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds; a half-open socket never raises by itself
    "client_encoding": "UTF8",  # until pin_session has run, also where PGCLIENTENCODING says otherwise
}

PREPARED: dict[str, Any] = {"prepare_threshold": 0}  # for a connection that runs the same statements again and again


class _Adapter(named_sql.Adapter):
    """Fetches at once: aiosql's own select runs only when somebody iterates."""

    def __init__(self, step: str) -> None:
        super().__init__(step, row_factory=namedtuple_row)

    def select(self, *args: Any, **kwargs: Any) -> list[Any]:  # type: ignore[override]
        return list(super().select(*args, **kwargs))


@cache
def statements(step: str) -> Any:
    """The named statements of one step: `statements("dial").begin_dials`."""
    return named_sql.load(step, _Adapter(step))


sql = statements("db")


def run(statement: Any, **parameters: Any) -> Any:
    """
    Run one statement in a transaction of its own.

    Returns what the statement's name says: `^` one row or None, `$` one value or None, `!` how many rows were moved,
    nothing a list of rows.

    Raises:
        Unavailable: the database cannot be reached; whether the statement was applied is then unknown.
    """
    if _speaker.get() is not None:
        return transact(lambda connection: statement(connection, **parameters))
    with _lent_connection() as connection:
        return statement(connection, **parameters)


def persist(write: Callable[[], T], for_s: float) -> T:
    """
    Write down what must not be forgotten, and return what *write* does: while the database is away, or where two
    transactions waited for each other and ours was given up, try again for *for_s* seconds.

    *write* must restate what it moves from, since an attempt that was not answered may have been applied.  Inside of
    `one_transaction` there is one attempt: what came before it in the transaction is lost with it.

    Raises:
        Unavailable: the database did not come back in time.
    """
    if _shared.get() is not None:
        return write()
    deadline = time.monotonic() + for_s
    while True:
        try:
            return write()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN_S)


class Stop:
    """Ends statements that other threads run, and lets them begin no further ones; what is committed stays."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # so that none is canceled on a connection that another one has by now
        self._at_work: set[Connection] = set()
        self._is_over = False

    def ends(self, statement: Any) -> Callable[..., Any]:
        """The statement for `run` and `transact`, which raises Stopped after `now`, or QueryCanceled during it."""

        def noted(connection: Connection, **parameters: Any) -> Any:
            with self._lock:
                if self._is_over:
                    raise Stopped
                self._at_work.add(connection)
            try:
                return statement(connection, **parameters)
            finally:
                with self._lock:
                    self._at_work.discard(connection)

        return noted

    def now(self) -> None:
        """End them."""
        with self._lock:
            self._is_over = True
            for connection in self._at_work:
                with suppress(Error):  # a server that is away has ended it, or will
                    connection.cancel_safe(timeout=_CANCEL_S)


class Stopped(Exception):
    """A statement that was not begun, as its Stop had come."""


def is_of_a_row(error: BaseException) -> bool:
    """Is this an error that one row raises by what it holds, so that the same is done for the others without it?"""
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:
        return isinstance(error, psycopg.DataError)  # psycopg's own: it cannot write, or read, what is in a row
    return error.sqlstate[:2] in _ROW_CLASSES


def fault(error: BaseException) -> tuple[str, str]:
    """SQLSTATE and first line of a database's error; of any other error its type alone, which holds no data."""
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return error.sqlstate, error.diag.message_primary or type(error).__name__
    return "", type(error).__name__


def with_connection(work: Callable[[Connection], T]) -> T:
    """Let *work* use a connection of the pool; each statement is a transaction of its own."""
    with _lent_connection() as connection:
        return work(connection)


def transact(work: Callable[[Connection], T], own: Connection | None = None) -> T:
    """Let *work* use a connection of the pool, or the caller's *own*, all its statements in one transaction."""
    with nullcontext(own) if own else _lent_connection() as connection, connection.transaction():
        if (who := _speaker.get()) is not None:
            speak_for(connection, who)
        return work(connection)


@contextmanager
def one_transaction() -> Iterator[Connection]:
    """
    Let all that this thread runs in the block be one transaction, which commits at its end.

    `run`, `transact` and `with_connection` then use the connection that this gives; each `transact` is a savepoint.
    """
    with _lent_connection() as connection, connection.transaction():
        token = _shared.set(connection)
        try:
            yield connection
        finally:
            _shared.reset(token)


def speak_for(connection: Connection, who: str) -> None:
    """Let what this transaction writes be by *who*, in the audit and in `created_by`."""
    sql.speak_for(connection, who=who)


@contextmanager
def speaking_for(who: str) -> Iterator[None]:
    """Let what this thread writes in the block by `run` and `transact`, each a commit of its own, be by *who*."""
    token = _speaker.set(who)
    try:
        yield
    finally:
        _speaker.reset(token)


def wait_at_most(connection: Connection, ms: int) -> None:
    """Let this transaction wait for each lock so long at most, 0 for ever; LockNotAvailable then."""
    sql.wait_at_most(connection, ms=ms)


def cause_of(error: BaseException) -> BaseException:
    """Return why a pool had no connection to lend, by trying to make one; any other error is its own cause."""
    if isinstance(error, PoolTimeout):
        try:
            open_connection().close()
        except (Error, UnfitDatabase) as cause:
            return cause
    return error


@contextmanager
def connect(url: str | None = None, *, time_limit: str = _TIME_LIMIT, **options: Any) -> Iterator[Connection]:
    """A connection of one's own, for LISTEN and for locks that live as long as it does; see `open_connection`."""
    with open_connection(url, time_limit=time_limit, **options) as connection:
        yield connection


def open_connection(
    url: str | None = None,
    *,
    time_limit: str = _TIME_LIMIT,
    lock_limit: str = "0",
    needs_schema: bool = True,
    **options: Any,
) -> Connection:
    """
    A connection outside the pool, which the caller closes.

    Args:
        url: instead of the configured database's.
        time_limit: of each statement and of each idle transaction, as PostgreSQL writes it; '0' for none.
        lock_limit: of each wait for a lock, likewise.
        needs_schema: refuse a database without the schema that OUTBOUND_SCHEMA names; who makes it says False.
        options: psycopg's and libpq's.

    Raises:
        Unavailable: the database cannot be reached.
        UnfitDatabase: it cannot hold our calls, or a pooler lends its connections by the transaction.
        SchemaMissing: it lacks the schema that OUTBOUND_SCHEMA names.
    """
    address = url or _url()
    connection = _open(address, **options)
    try:
        _settle(connection, address, time_limit, lock_limit, needs_schema=needs_schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _open(address: str, **options: Any) -> Connection:
    """Connect; what the address asks for by `options`, and PGOPTIONS, are left to `_settle`, as poolers refuse both."""
    return psycopg.connect(address, **_connect_options(address) | options)


def _connect_options(address: str) -> dict[str, Any]:
    _, others = db_session.settings_of(options_of(address))
    return _CONNECT_OPTIONS | {"options": others}


def options_of(address: str) -> str:
    """Return what an address asks for by `options`, as libpq takes it."""
    return str(psycopg.conninfo.conninfo_to_dict(address).get("options") or "")


def _settle(
    connection: Connection,
    address: str,
    time_limit: str = _TIME_LIMIT,
    lock_limit: str = "0",
    *,
    needs_schema: bool = True,
) -> None:
    """
    Refuse a database that cannot hold our calls, then set what our statements rely on, and what the address asks for.

    Raises:
        UnfitDatabase: says why, and how it is mended.
    """
    db_session.refuse_unfit(connection.info.server_version, connection.info.parameter_status("server_encoding") or "?")
    asked, _ = db_session.settings_of(options_of(address))
    path = asked.pop("search_path", None)
    config = settings()
    schema = config.database_schema
    db_session.refuse_another_schema(schema, path)
    wanted = {"schema": schema, "search_path": path, "time_limit": time_limit, "lock_limit": lock_limit}
    wanted |= {"carrier": config.carrier, "call_limit_s": str(config.time_limit_s)}
    wanted |= {"os_user": os_user.name(), "by": os_user.spoken_for() or ""}
    own_pid = connection.info.backend_pid
    pinned = _pinned(connection, backend_pid=own_pid, **wanted)
    if pinned.backend_pid != own_pid:  # a pooler makes up the process id that it tells a client
        _refuse_transaction_pooler(connection, address)
        pinned = _pinned(connection, backend_pid=None, **wanted)
    db_session.refuse_several_homes(pinned.homes)
    if schema is not None and needs_schema:
        db_session.refuse_missing_schema(
            schema,
            is_there=pinned.schema_is_there,
            is_usable=pinned.schema_is_usable,
            elsewhere=pinned.elsewhere,
        )
    if asked:
        sql.set_session(connection, settings=Jsonb(asked))


def _pinned(connection: Connection, **parameters: Any) -> Any:
    try:
        return sql.pin_session(connection, **parameters)
    except NotAllowed as error:  # what only a superuser may set was set for this role or database
        raise db_session.UnfitDatabase(
            str(error.diag.message_primary),
            "reset it for this role and this database (`alter role … reset …`, `alter database … reset …`)",
        ) from None


Pooling = Literal["none", "session", "transaction"]
_session_poolers: set[str] = set()  # addresses behind which a pooler was seen to keep sessions


def _refuse_transaction_pooler(connection: Connection, address: str) -> None:
    if address in _session_poolers:
        return
    if _pooling(connection, address) == "transaction":
        raise db_session.UnfitDatabase(*TRANSACTION_POOLER)
    _session_poolers.add(address)


TRANSACTION_POOLER = (
    "a pooler lends connections by the transaction, where LISTEN, locks and settings of a session are lost",
    "set pool_mode = session for this database, or let DATABASE_URL lead to PostgreSQL itself",
)


def _pooling(first: Connection, address: str) -> Pooling:
    """
    Find out how a pooler pools: by transaction, several clients share a server process; by session, each has one.

    A direct connection also gets the server's own process id when it begins; a pooler makes one up.
    """
    pid = _backend_pid(first)
    if first.info.backend_pid == pid:
        return "none"
    with _open(address) as second:
        for _ in range(_POOLER_TRIALS):
            try:
                with second.transaction():
                    if _backend_pid(second) == pid or _backend_pid(first) != pid:
                        return "transaction"
            except psycopg.errors.ProtocolViolation:  # pool_mode = statement knows no transactions
                return "transaction"
    return "session"


def _backend_pid(connection: Connection) -> int:
    ((pid,),) = connection.execute("select pg_backend_pid()", prepare=False).fetchall()
    return int(pid)


class Server(NamedTuple):
    """The facts about a server that are known before anything is asked of it, and of a pooler in front of it."""

    version: str
    version_num: int
    encoding: str
    pooling: Pooling


def server() -> Server:
    """
    Return what stands behind the configured address; nothing is set there, and a database that is unfit is no error.

    Raises:
        Unavailable: the database cannot be reached.
    """
    address = _url()
    with _open(address) as connection:
        parameter = connection.info.parameter_status
        return Server(
            parameter("server_version") or "?",
            connection.info.server_version,
            parameter("server_encoding") or "?",
            _pooling(connection, address),
        )


def wait_for_notice(connection: Connection, timeout_s: float) -> bool:
    """Wait until somebody notifies a channel that *connection* listens to, at most *timeout_s*; was there a notice?"""
    return _heard(connection) or (_readable(connection, timeout_s) and _heard(connection))


def _heard(connection: Connection) -> bool:
    return bool(list(connection.notifies(timeout=0)))  # all of them: many notices are one reason to look


def listen(connection: Connection, channel: str) -> None:
    """Begin to listen to *channel*."""
    connection.execute(psycopg.sql.SQL("listen {}").format(psycopg.sql.Identifier(channel)))


def make_schema(connection: Connection, name: str) -> None:
    """Make a schema; NotAllowed where this user may not, SchemaThere where another one made it."""
    connection.execute(psycopg.sql.SQL("create schema {}").format(psycopg.sql.Identifier(name)))


def missing_ids(connection: Connection, schema: str, table: str, ids: Iterable[int]) -> list[int]:
    """Those of the ids that no row of a table in another schema has."""
    query = psycopg.sql.SQL("select id from unnest(%s::bigint[]) as given (id) where id not in (select id from {})")
    named = psycopg.sql.Identifier(schema, table)
    return [int(row[0]) for row in connection.execute(query.format(named), [list(ids)]).fetchall()]


def current_schema(connection: Connection) -> str | None:
    """The first schema of the connection's search_path that is there and may be used; None where none is."""
    name: str | None = sql.current_schema(connection)
    return name


def drop_schema(connection: Connection, name: str) -> None:
    """Drop a schema with all that is in it; nothing where there is none."""
    connection.execute(psycopg.sql.SQL("drop schema if exists {} cascade").format(psycopg.sql.Identifier(name)))


def see_only(connection: Connection, name: str) -> None:
    """Let the rest of the transaction see nothing but the schema *name*."""
    connection.execute(psycopg.sql.SQL("set local search_path to {}").format(psycopg.sql.Identifier(name)))


def explain(connection: Connection, statement: Any, **parameters: Any) -> None:
    """Have the server plan a statement, and run nothing; it raises where the tables are not what it needs."""
    connection.execute(f"explain {statement.sql}".encode(), parameters)


def allow_minutes(connection: Connection, minutes: int) -> None:
    """Let each statement take so long, for the rest of this transaction: it reads all of a table."""
    sql.allow_minutes(connection, minutes=minutes)


def stream(connection: Connection, statement: Any, **parameters: Any) -> Iterator[Row]:
    """The rows of a statement, some thousand at a time, in the transaction that *connection* is in."""
    with connection.cursor("stream", row_factory=namedtuple_row) as cursor:
        cursor.itersize = 2000
        cursor.execute(statement.sql.encode(), parameters)
        yield from cursor


def run_script(connection: Connection, text: str) -> None:
    """Run several statements without parameters, as a migration's file holds them."""
    connection.execute(text.encode(), prepare=False)


def split_password(url: str) -> tuple[str, dict[str, str]]:
    """An address as libpq takes it, without its password, and the environment that hands libpq the password."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    password = parts.pop("password", None)
    return psycopg.conninfo.make_conninfo("", **parts), {} if password is None else {"PGPASSWORD": str(password)}


def address_for_tools() -> tuple[str, dict[str, str]]:
    """Our address as pg_dump takes it, without its password, and the environment that hands it the password."""
    return split_password(_url())


def quoted(name: str) -> str:
    """A name as it stands in a statement."""
    return psycopg.sql.Identifier(name).as_string()


def address_for_psql() -> tuple[str, dict[str, str]]:
    """
    Our address as psql takes it, without its password, and the environment that hands psql the password.

    psql looks in the schema in which we work; where we cannot connect, it says itself why.

    Raises:
        SchemaMissing: the schema that OUTBOUND_SCHEMA names is not there.
        UnfitDatabase: a pooler drops what says where to look, and psql would look in another schema.
    """
    url = _url()
    name = _schema_to_name(url)
    if name is None:
        return split_password(url)
    path = f"{psycopg.sql.Identifier(name).as_string()},pg_temp"
    escaped = re.sub(r"([\\\s])", r"\\\1", path)
    options = f"{options_of(url)} -csearch_path={escaped}".strip()
    address = psycopg.conninfo.make_conninfo(url, options=options)
    with suppress(psycopg.OperationalError), psycopg.connect(address, **_CONNECT_OPTIONS) as connection:
        if sql.search_path(connection) != path:
            raise db_session.UnfitDatabase(
                f"a pooler drops search_path, and psql would not look in the schema {name}",
                "let DATABASE_URL lead to PostgreSQL itself",
            )
    return split_password(address)


def _schema_to_name(url: str) -> str | None:
    """The schema that must be named to psql; None where the address names it, or a session finds ours without."""
    schema = settings().database_schema
    asked, _ = db_session.settings_of(options_of(url))
    try:
        with _open(url) as plain, connect() as ours:
            found, wanted = current_schema(plain), current_schema(ours)
    except SchemaMissing:
        raise
    except (Error, UnfitDatabase):
        found, wanted = None, schema
    return None if "search_path" in asked or (schema is None and found == wanted) else wanted


def recreate_database(name: str, template: str | None = None) -> str:
    """
    Make a database *name* on the configured server, empty or a copy, in place of an older one; return its URL.

    That names no schema: one that the configured database has is not in a new one.
    """
    identifier = psycopg.sql.Identifier(name)
    original = psycopg.sql.Identifier(template or "template1")
    with connect(needs_schema=False) as connection:
        connection.execute(psycopg.sql.SQL("drop database if exists {} with (force)").format(identifier))
        connection.execute(psycopg.sql.SQL("create database {} template {}").format(identifier, original))
    return re.sub(r"^(\w+://[^/?]*)(/[^?]*)?", rf"\1/{name}", db_session.without_search_path(_url()))


def pool_size() -> int:
    """Return how many connections this process's pool has at most, unless `resize_pool` said otherwise."""
    return settings().worker_threads + 4


def resize_pool(connections: int) -> None:
    """Let this process's pool have so many connections at most; idle ones are given up, as ever."""
    pool = _pool()
    pool.resize(pool.min_size, connections)


def close() -> None:
    """Close this process's pool; the next statement opens another."""
    with _opening:  # so that a pool that another thread is opening is closed, too
        pool = _pools.pop(os.getpid(), None)
    if pool is not None:
        pool.close()


def _url() -> str:
    url = settings().database_url
    if url is None:
        raise RuntimeError("DATABASE_URL is not set, and no embedded server was started")
    return url


_shared: ContextVar[Connection | None] = ContextVar("shared", default=None)  # of one_transaction
_speaker: ContextVar[str | None] = ContextVar("speaker", default=None)  # of speaking_for

# One pool per process: a forked child must never speak through its parent's sockets.
_pools: "dict[int, ConnectionPool[_Connection]]" = {}
_opening = threading.Lock()


def _pool() -> "ConnectionPool[_Connection]":
    with _opening:
        pool = _pools.get(os.getpid())
        if pool is None:
            pool = _pools[os.getpid()] = _open_pool()
    return pool


class _Connection(psycopg.Connection[Any]):
    """One of the pool, which remembers when it last was of use (seconds of the monotonic clock)."""

    used_at = float("-inf")


@contextmanager
def _lent_connection() -> Iterator[Connection]:
    """
    A connection of the pool; one that may not write is closed, for the next one may lead to a server that may.

    Where one is dead, so are the others: the pool would find that out one by one, with ever longer waits between.
    Inside of `one_transaction` it is that one's.
    """
    if (shared := _shared.get()) is not None:
        yield shared
        return
    with _pool().connection() as connection:
        try:
            yield connection
        except _ReadOnly:
            connection.close()
            raise
        except psycopg.OperationalError:
            if connection.broken:
                _pool().drain()
            raise
        connection.used_at = time.monotonic()


def _check(connection: _Connection) -> None:
    """
    Before a connection is lent that lay idle, so that a restarted server costs nobody a failure.

    A server that ends a connection says so: one look at the socket tells.  One that vanished is found by a round trip.
    """
    try:
        if time.monotonic() - connection.used_at > _FRESH_S or _readable(connection, 0):
            ConnectionPool.check_connection(connection)
    except psycopg.OperationalError:
        _pool().drain()
        raise


def _readable(connection: Connection, within_s: float) -> bool:
    """Did the server send something that nobody has read?  psycopg, waiting itself, would wake ten times a second."""
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(within_s * 1000))


def _open_pool() -> ConnectionPool[_Connection]:
    url = _url()
    return ConnectionPool(
        url,
        connection_class=_Connection,
        kwargs=_connect_options(url) | PREPARED,
        configure=lambda connection: _settle(connection, url),
        min_size=0,  # with 1, psycopg_pool opens two for the first statement, which asks before the one is there
        max_size=pool_size(),
        open=True,
        timeout=_WAIT_S,
        reconnect_timeout=_RECONNECT_S,
        max_idle=_MAX_IDLE_S,
        check=_check,
    )
