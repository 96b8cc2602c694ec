"""PostgreSQL: the only file that knows psycopg and aiosql."""

import os
import re
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import aiosql
import psycopg
from aiosql.adapters.pyformat import PyFormatAdapter
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from outbound.config import settings

T = TypeVar("T")
Connection = psycopg.Connection[Any]
Conflict = psycopg.errors.UniqueViolation
_ReadOnly = psycopg.errors.ReadOnlySqlTransaction  # a standby, or a primary that was told not to write
# The database is away, or coming back, or gave up on us while we were stopped: try again later.
Unavailable = (psycopg.OperationalError, _ReadOnly, psycopg.errors.IdleInTransactionSessionTimeout)
NoSuchTable = psycopg.errors.UndefinedTable
NotAllowed = psycopg.errors.InsufficientPrivilege
Error = psycopg.Error
json = Jsonb
Row = Any  # a named tuple whose fields are the statement's columns

_AGAIN_S = 0.5
_WAIT_S = 5  # for a connection of the pool
_FRESH_S = 60  # a connection that was of use so lately, and on which nothing was heard since, needs no round trip
_MAX_IDLE_S = 60  # the pool gives up one connection, of some 5 MB in the server, each time so long that it needs fewer
_RECONNECT_S = 3  # the pool waits twice as long after each failure: after that it begins anew when somebody asks
_TIMEOUT_MS = 30_000  # nothing that we do takes seconds; a lock that is held that long is somebody's accident
_CONNECT_OPTIONS: dict[str, Any] = {
    "autocommit": True,  # one move = one statement = one transaction = one round trip
    "application_name": "outbound",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds; a half-open socket never raises by itself
    # One plan per connection, whatever the parameters: what the tests explain is what runs, and large statements take
    # longer to plan than to run.
    "options": "-c jit=off -c plan_cache_mode=force_generic_plan -c enable_seqscan=off"
    f" -c statement_timeout={_TIMEOUT_MS} -c idle_in_transaction_session_timeout={_TIMEOUT_MS}",
}

PREPARED: dict[str, Any] = {"prepare_threshold": 0}  # for a connection that runs the same statements again and again


def sql_dir() -> Path:
    """Where the statements are: inside an installed package, or beside it in a checkout."""
    here = Path(__file__).parent
    inside = here / "sql"
    return inside if inside.is_dir() else here.parent / "sql"


class _Adapter(PyFormatAdapter):
    """Fetches at once (aiosql's own select runs only when somebody iterates) and names each statement to the server."""

    def __init__(self, step: str) -> None:
        super().__init__(row_factory=namedtuple_row)  # type: ignore[no-untyped-call]
        self._step = step

    def process_sql(self, query_name: str, op_type: Any, sql: str) -> str:
        plain = sql.replace("%", "%%")  # the statements are plain SQL; psycopg would take their % for a parameter
        with_parameters = super().process_sql(query_name, op_type, plain)  # type: ignore[no-untyped-call]
        return f"/* {self._step}.{query_name} */ {with_parameters}"

    def select(self, *args: Any, **kwargs: Any) -> list[Any]:  # type: ignore[override]
        return list(super().select(*args, **kwargs))


@cache
def statements(step: str) -> Any:
    """The named statements of one step: `statements("dial").begin_dials`."""
    return aiosql.from_path(sql_dir() / f"{step}.sql", lambda: _Adapter(step), kwargs_only=True)


def run(statement: Any, **parameters: Any) -> Any:
    """
    Run one statement in a transaction of its own.

    Returns what the statement's name says: `^` one row or None, `$` one value or None, `!` how many rows were moved,
    nothing a list of rows.

    Raises:
        Unavailable: the database cannot be reached; whether the statement was applied is then unknown.
    """
    with _lent_connection() as connection:
        return statement(connection, **parameters)


def persist(write: Callable[[], T], for_s: float) -> T:
    """
    Write down what must not be forgotten, and return what *write* does: while the database is away, or where two
    transactions waited for each other and ours was given up, try again for *for_s* seconds.

    *write* must restate what it moves from, since an attempt that was not answered may have been applied.

    Raises:
        Unavailable: the database did not come back in time.
    """
    deadline = time.monotonic() + for_s
    while True:
        try:
            return write()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN_S)


def with_connection(work: Callable[[Connection], T]) -> T:
    """Let *work* use a connection of the pool; each statement is a transaction of its own."""
    with _lent_connection() as connection:
        return work(connection)


def transact(work: Callable[[Connection], T], own: Connection | None = None) -> T:
    """Let *work* use a connection of the pool, or the caller's *own*, all its statements in one transaction."""
    with nullcontext(own) if own else _lent_connection() as connection, connection.transaction():
        return work(connection)


@contextmanager
def connect(url: str | None = None, **options: Any) -> Iterator[Connection]:
    """A connection of one's own, outside the pool, for LISTEN and for locks that live as long as it does."""
    address = url or _url()
    with psycopg.connect(address, **_with_options_of(address, _CONNECT_OPTIONS | options)) as connection:
        yield connection


def _with_options_of(url: str, ours: dict[str, Any]) -> dict[str, Any]:
    """Our settings of a connection, then those that the address asks for, such as `?options=-csearch_path%3Dcalls`."""
    theirs = psycopg.conninfo.conninfo_to_dict(url).get("options") or ""
    return ours | {"options": f"{ours['options']} {theirs}".strip()}


def wait_for_notice(connection: Connection, timeout_s: float) -> bool:
    """Wait until somebody notifies a channel that *connection* listens to, at most *timeout_s*; was there a notice?"""
    return _heard(connection) or (_readable(connection, timeout_s) and _heard(connection))


def _heard(connection: Connection) -> bool:
    return bool(list(connection.notifies(timeout=0)))  # all of them: many notices are one reason to look


def listen(connection: Connection, channel: str) -> None:
    """Begin to listen to *channel*."""
    connection.execute(psycopg.sql.SQL("listen {}").format(psycopg.sql.Identifier(channel)))


def make_schema(connection: Connection, name: str) -> None:
    """Make a schema; NotAllowed where this user may not."""
    connection.execute(psycopg.sql.SQL("create schema {}").format(psycopg.sql.Identifier(name)))


def drop_schema(connection: Connection, name: str) -> None:
    """Drop a schema with all that is in it; nothing where there is none."""
    connection.execute(psycopg.sql.SQL("drop schema if exists {} cascade").format(psycopg.sql.Identifier(name)))


def see_only(connection: Connection, name: str) -> None:
    """Let the rest of the transaction see nothing but the schema *name*."""
    connection.execute(psycopg.sql.SQL("set local search_path to {}").format(psycopg.sql.Identifier(name)))


def url_of_schema(url: str, name: str) -> str:
    """The address of the same database, for connections that see nothing but the schema *name*."""
    base, _, query = url.partition("?")
    others = [pair for pair in query.split("&") if pair and not pair.startswith("options=")]
    return f"{base}?{'&'.join([*others, f'options=-csearch_path%3D{name}'])}"


def array(values: Iterable[object]) -> str:
    """
    A list as PostgreSQL writes its arrays, for a parameter that the statement casts: `:to_numbers::text[]`.

    psycopg would take a list as it is, and several times as long: it looks at each value twice.
    """
    return "{" + ",".join(["NULL" if value is None else _element(str(value)) for value in values]) + "}"


def _element(text: str) -> str:
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def explain(connection: Connection, statement: Any, **parameters: Any) -> None:
    """Have the server plan a statement, and run nothing; it raises where the tables are not what it needs."""
    connection.execute(f"explain {statement.sql}".encode(), parameters)


def run_script(connection: Connection, text: str) -> None:
    """Run several statements without parameters, as a migration's file holds them."""
    connection.execute(text.encode(), prepare=False)


def without_password(url: str) -> tuple[str, dict[str, str]]:
    """An address as libpq takes it, without its password, and the environment that hands libpq the password."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    password = parts.pop("password", None)
    return psycopg.conninfo.make_conninfo("", **parts), {} if password is None else {"PGPASSWORD": str(password)}


def recreate_database(name: str, template: str | None = None) -> str:
    """Make a database *name* on the configured server, empty or a copy, in place of an older one; return its URL."""
    identifier = psycopg.sql.Identifier(name)
    original = psycopg.sql.Identifier(template or "template1")
    with connect() as connection:
        connection.execute(psycopg.sql.SQL("drop database if exists {} with (force)").format(identifier))
        connection.execute(psycopg.sql.SQL("create database {} template {}").format(identifier, original))
    return re.sub(r"^(\w+://[^/?]*)(/[^?]*)?", rf"\1/{name}", _url())


def close() -> None:
    """Close this process's pool; the next statement opens another."""
    pool = _pools.pop(os.getpid(), None)
    if pool is not None:
        pool.close()


def _url() -> str:
    url = settings().database_url
    if url is None:
        raise RuntimeError("DATABASE_URL is not set, and no embedded server was started")
    return url


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
    """
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
        kwargs=_with_options_of(url, _CONNECT_OPTIONS | PREPARED),
        min_size=1,
        max_size=settings().worker_threads + 4,
        open=True,
        timeout=_WAIT_S,
        reconnect_timeout=_RECONNECT_S,
        max_idle=_MAX_IDLE_S,
        check=_check,
    )
