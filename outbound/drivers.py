"""
Runs our work on an application's own connection, inside its transaction, whatever driver or framework that is of.

What is there already is recognised and nothing is imported: who works with asyncpg needs no psycopg, and the reverse.
Nothing here commits, rolls back or sets anything.  Of SQLAlchemy and Django the driver's connection is used, so that
what they log and what their errors repeat holds no telephone numbers.
"""

import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any, TypeVar

from outbound.errors import UserError
from outbound.named_sql import Question, Row, Work

T = TypeVar("T")
Ask = Callable[[Question], list[Row]]
AskLater = Callable[[Question], Awaitable[list[Row]]]

TAKEN = (
    "a connection of psycopg 3, a Session or Connection of SQLAlchemy over psycopg, or Django's `connection`; in"
    " outbound.aio an async one of psycopg or asyncpg, or an AsyncSession or AsyncConnection of SQLAlchemy"
)
_PSYCOPG_2 = "this connection is one of psycopg2, and psycopg 3 is needed: `pip install 'psycopg[binary]'`"
_GIVEN_UP = "25P02"  # SQLSTATE of a statement in a transaction that has failed
_MAY_ONLY_READ = "25006"  # of one that writes where the transaction, or the server, may not
_NOT_PREPARED = ("26000", "42P05")  # of a prepared statement that is another server process's
_NOT_FOUND = ("42P01", "42883", "42703", "3F000")  # of a table, function, column or schema


_BUSY = "this connection is in the middle of a COPY or of another statement: let that end, and then ask again"


class BadConnection(UserError):
    """The connection cannot be worked with as it is; the message says why and what to do."""


def answer(connection: object, work: Work[T]) -> T:
    """
    Run work that asks the database, in the transaction of an application's connection.

    Raises:
        TypeError: it is no connection that can be used; the message says what to give.
        BadConnection: it cannot be worked with as it is; the message says why.
    """
    with _explained():
        ask = _ask(connection)
    rows: Any = None
    while True:
        try:
            question = work.send(rows)
        except StopIteration as done:
            value: T = done.value
            return value
        with _explained():
            rows = ask(question)


async def answer_later(connection: object, work: Work[T]) -> T:
    """`answer` for a connection that is awaited."""
    with _explained():
        ask = await _ask_later(connection)
    rows: Any = None
    while True:
        try:
            question = work.send(rows)
        except StopIteration as done:
            value: T = done.value
            return value
        with _explained():
            rows = await ask(question)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        state = getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)
        if state == _GIVEN_UP:
            raise BadConnection(
                "this transaction has failed before: roll it back, or to a savepoint, and then ask again"
            ) from error
        if state == _MAY_ONLY_READ:
            raise BadConnection(
                "this transaction may only read: ask in one that may write, on a server that is no standby"
            ) from error
        if state in _NOT_PREPARED:
            raise BadConnection(
                "a pooler lends this connection by the transaction, and prepared statements stay behind: connect with"
                " prepare_threshold=None (psycopg) or statement_cache_size=0 (asyncpg), or let the pooler carry them"
                " (max_prepared_statements of PgBouncer 1.21 or newer)"
            ) from error
        if _is(error, "asyncpg.InterfaceError") and "another operation is in progress" in str(error):
            raise BadConnection(_BUSY) from error
        if state in _NOT_FOUND:
            raise BadConnection(
                "this connection does not see outbound's tables, or sees those of another version: put their schema in"
                " its search_path, or run `outbound migrate`"
            ) from error
        raise


# Which connection it is

_SESSION = ("sqlalchemy.orm.Session", "sqlalchemy.orm.scoped_session")
_DJANGO = ("django.db.backends.base.base.BaseDatabaseWrapper", "django.utils.connection.ConnectionProxy")
_ASYNC_SESSION = ("sqlalchemy.ext.asyncio.AsyncSession", "sqlalchemy.ext.asyncio.async_scoped_session")
_ASYNC_SQLALCHEMY = "sqlalchemy.ext.asyncio.AsyncConnection"
_ASYNCPG = ("asyncpg.Connection", "asyncpg.pool.PoolConnectionProxy")
_AT_ONCE = ("psycopg.Connection", "sqlalchemy.Connection", *_SESSION, *_DJANGO)
_LATER = ("psycopg.AsyncConnection", _ASYNC_SQLALCHEMY, *_ASYNC_SESSION, *_ASYNCPG)


def _ask(connection: Any) -> Ask:
    if _is(connection, *_DJANGO):
        return _of_django(connection)
    if _is(connection, *_SESSION):
        return _of_sqlalchemy(connection.connection())
    if _is(connection, "sqlalchemy.Connection"):
        return _of_sqlalchemy(connection)
    return _of_psycopg(connection)


async def _ask_later(connection: Any) -> AskLater:
    if _is(connection, *_ASYNC_SESSION):
        return await _of_async_sqlalchemy(await connection.connection())
    if _is(connection, _ASYNC_SQLALCHEMY):
        return await _of_async_sqlalchemy(connection)
    return _of_async_driver(connection)


def _is(value: object, *names: str) -> bool:
    """Is it of one of these classes, of libraries that were imported?"""
    return any(isinstance(value, kind) for kind in map(_imported, names) if kind is not None)


def _imported(name: str) -> type | None:
    library, _, kind = name.rpartition(".")
    return getattr(sys.modules.get(library), kind, None)


def _refused(connection: object) -> TypeError:
    kind = type(connection)
    library = kind.__module__.partition(".")[0]
    name = f"{library}.{kind.__qualname__}"
    if library == "psycopg2":
        return TypeError(_PSYCOPG_2)
    if library == "psycopg_pool" or name == "asyncpg.Pool":
        return TypeError(f"this is a {name}: take a connection out of it, and give that")
    if library == "sqlalchemy" and kind.__name__.endswith("Engine"):
        return TypeError(f"this is a {name}: give the connection of a transaction of it (`with engine.begin() as …`)")
    if _is(connection, *_LATER):
        return TypeError(f"this is a {name}, which is awaited: use the function of this name in outbound.aio")
    if _is(connection, *_AT_ONCE):
        return TypeError(f"this is a {name}, which is not awaited: use the function of this name in outbound itself")
    return TypeError(f"this is a {name}: give {TAKEN}")


# Each driver


def _of_psycopg(connection: Any) -> Ask:
    if not _is(connection, "psycopg.Connection"):
        raise _refused(connection)

    def ask(question: Question) -> list[Row]:
        _refuse_busy(connection)
        with _cursor("Cursor", connection) as cursor:
            cursor.execute(question.text, question.parameters)
            return cursor.fetchall() if question.has_rows else []

    return ask


def _of_async_driver(connection: Any) -> AskLater:
    if _is(connection, *_ASYNCPG):
        return _of_asyncpg(connection)
    if not _is(connection, "psycopg.AsyncConnection"):
        raise _refused(connection)

    async def ask(question: Question) -> list[Row]:
        _refuse_busy(connection)
        async with _cursor("AsyncCursor", connection) as cursor:
            await cursor.execute(question.text, question.parameters)
            return await cursor.fetchall() if question.has_rows else []

    return ask


def _cursor(kind: str, connection: Any) -> Any:
    """A cursor of our own, whatever kind, rows and types the application wants of its own."""
    rows: Any = sys.modules["psycopg.rows"]
    return _own_kind(kind, connection.info.encoding)(connection, row_factory=rows.namedtuple_row)


@cache
def _own_kind(kind: str, encoding: str) -> Any:
    adapters = _adapters(encoding)
    return type(kind, (getattr(sys.modules["psycopg"], kind),), {"adapters": property(lambda _: adapters)})


def _adapters(encoding: str) -> Any:
    """The types as psycopg has them before anybody registers others; text is text in SQL_ASCII too."""
    psycopg: Any = sys.modules["psycopg"]
    defaults: Any = import_module("psycopg.postgres")
    own = psycopg.adapt.AdaptersMap()
    defaults.register_default_types(own.types)
    defaults.register_default_adapters(own)
    psycopg.types.array.register_all_arrays(own)
    if encoding == _SQL_ASCII:
        for name in _TEXTS:
            own.register_loader(name, _read_as_utf8(psycopg.types.string.TextLoader))
    return own


_SQL_ASCII = "ascii"  # as psycopg calls it; the server sends what it has, and psycopg would leave it as bytes
_TEXTS = ("text", "varchar", "name")


def _read_as_utf8(loader: Any) -> Any:
    return type("Utf8Loader", (loader,), {"load": lambda _, data: str(data, "utf-8")})


def _refuse_busy(connection: Any) -> None:
    """Refuse a psycopg connection that would wait for ever for the end of its own COPY; in a pipeline it queues."""
    info, kinds = connection.info, sys.modules["psycopg"].pq
    if info.transaction_status == kinds.TransactionStatus.ACTIVE and info.pipeline_status == kinds.PipelineStatus.OFF:
        raise BadConnection(_BUSY)


_PLACEHOLDER = re.compile(r"%\((\w+)\)s|%%")


def _of_asyncpg(connection: Any) -> AskLater:
    async def ask(question: Question) -> list[Row]:
        text, values = numbered(question)
        return [SimpleNamespace(**record) for record in await connection.fetch(text, *values)]

    return ask


def numbered(question: Question) -> tuple[str, list[object]]:
    """A question as asyncpg takes it; each value says its type, so that `:ids::bigint[]` may be given as text."""
    places: dict[str, int] = {}

    def placeholder(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "%"
        place = places.setdefault(name, len(places) + 1)
        return f"${place}{_CASTS.get(type(question.parameters[name]), '')}"

    text = _PLACEHOLDER.sub(placeholder, question.text)
    return text, [question.parameters[name] for name in places]


_CASTS: dict[type, str] = {str: "::text", int: "::bigint", bool: "::boolean"}


# Each framework


def _of_django(connection: Any) -> Ask:
    if connection.vendor != "postgresql":
        raise TypeError(f"this connection of Django's leads to {connection.display_name}: give one to PostgreSQL")
    connection.validate_thread_sharing()
    if connection.needs_rollback:
        raise BadConnection("this atomic block has failed before: let it end, and then ask again")
    connection.ensure_connection()
    ask = _of_psycopg(connection.connection)

    def ask_wrapped(question: Question) -> list[Row]:
        with connection.wrap_database_errors:
            return ask(question)

    return ask_wrapped


_BEGIN = "select 1"  # SQLAlchemy begins its transaction, and its driver's, with the first statement


def _of_sqlalchemy(connection: Any) -> Ask:
    driver = connection.connection.driver_connection
    if not _is(driver, "psycopg.Connection"):
        raise _refused_of_sqlalchemy(driver, "postgresql+psycopg://…")
    connection.exec_driver_sql(_BEGIN)
    return _of_psycopg(driver)


async def _of_async_sqlalchemy(connection: Any) -> AskLater:
    driver = (await connection.get_raw_connection()).driver_connection
    if not _is(driver, "psycopg.AsyncConnection", *_ASYNCPG):
        raise _refused_of_sqlalchemy(driver, "postgresql+psycopg://… or postgresql+asyncpg://…")
    await connection.exec_driver_sql(_BEGIN)
    return _of_async_driver(driver)


def _refused_of_sqlalchemy(driver: Any, address: str) -> TypeError:
    library = type(driver).__module__.partition(".")[0]
    if library == "asyncpg" or _is(driver, "psycopg.AsyncConnection"):
        return TypeError("this Session is of an AsyncSession, inside of run_sync: give that itself to outbound.aio")
    return TypeError(
        f"this connection of SQLAlchemy's is over {library}: let its engine's address begin with {address}"
    )
