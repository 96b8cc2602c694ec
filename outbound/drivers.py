"""
Runs our work on an application's own connection, inside its transaction, whatever driver or framework that is of.

What is there already is recognised and nothing is imported: who works with asyncpg needs no psycopg, and the reverse.
Nothing here commits, rolls back or sets anything.  Of SQLAlchemy and Django the driver's connection is used, so that
what they log and what their errors repeat holds no telephone numbers.
"""

import json
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
_BUSY = "this connection is in the middle of a COPY or of another statement: let that end, and then ask again"
_CLOSED = "this connection is closed, or went back to its pool: give one that is open"
_FAILED = "this transaction has failed before: roll it back, or to a savepoint, and then ask again"
_PIPELINE_FAILED = (
    "an earlier statement of this pipeline has failed: let the pipeline end, roll the transaction back, and then ask"
    " again"
)
_SEVERAL = (
    "this Session has no engine, or one for each of several models: give its connection to the right one,"
    " `session.connection(bind_arguments={'bind': engine})`"
)
_OWN_BYTES = "this connection has a codec of its own for bytea: take it away with `reset_type_codec`"
_ENCODED = (
    "this connection cannot write every text, as its client_encoding is {}: say `set client_encoding to 'UTF8'`, or"
    " connect with client_encoding=UTF8"
)

_NOT_PREPARED = (
    "the prepared statements of this connection are gone, as where a pooler lends it by the transaction: connect with"
    " prepare_threshold=None (psycopg) or statement_cache_size=0 (asyncpg), or let the pooler carry them"
    " (max_prepared_statements of PgBouncer 1.21 or newer)"
)
_NOT_FOUND = (
    "this connection does not see outbound's tables, or sees those of another version: put their schema in its"
    " search_path and let its user have the role outbound_application, or run `outbound migrate`"
)
_BY_STATE = {  # what a SQLSTATE says of the connection
    "25P02": _FAILED,
    "25006": "this transaction may only read: ask in one that may write, on a server that is no standby",
    "26000": _NOT_PREPARED,
    "42P05": _NOT_PREPARED,
    "42501": (
        "this connection's user may not use outbound's tables: `grant outbound_application to …`, a role that"
        " `outbound roles` makes"
    ),
    **dict.fromkeys(("42P01", "42883", "42703", "3F000"), _NOT_FOUND),  # a table, function, column or schema
}


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

    def explained(question: Question) -> list[Row]:
        with _explained():
            return ask(question)

    return _answered(explained, work)


def answer_own(connection: Any, work: Work[T]) -> T:
    """`answer` on a connection of ours, whose errors stay the driver's: who runs our processes mends those."""
    return _answered(_of_psycopg(connection), work)


def _answered(ask: Ask, work: Work[T]) -> T:
    rows: Any = None
    while True:
        try:
            question = work.send(rows)
        except StopIteration as done:
            value: T = done.value
            return value
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
    except BadConnection:
        raise
    except Exception as error:
        if sentence := next(filter(None, map(_sentence_of, _causes(error))), None):
            raise BadConnection(sentence) from error
        raise


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it: a framework's is caused by its driver's."""
    while error is not None:
        yield error
        error = error.__cause__


def _sentence_of(driver: BaseException) -> str | None:
    """What an error says of the connection; None where it is about something else."""
    if _is(driver, *_ERRORS) and _IS_CLOSED.search(str(driver)):
        return _CLOSED
    if _is(driver, "sqlalchemy.exc.PendingRollbackError"):
        return _FAILED
    if _is(driver, "sqlalchemy.exc.UnboundExecutionError"):
        return _SEVERAL
    if _is(driver, "asyncpg.InterfaceError", "sqlalchemy.exc.InvalidRequestError") and _IS_BUSY.search(str(driver)):
        return _BUSY
    if _is(driver, "asyncpg.DataError") and getattr(driver, "severity", None) is None:  # else it is the server's
        return _OWN_BYTES
    return _BY_STATE.get(getattr(driver, "sqlstate", None) or "")


_ERRORS = (
    "psycopg.OperationalError",
    "asyncpg.InterfaceError",
    "sqlalchemy.exc.ResourceClosedError",
    "django.db.utils.InterfaceError",
)
_IS_BUSY = re.compile("another operation is in progress|concurrent operations are not permitted")
_IS_CLOSED = re.compile(r"(?i)connection (is|already) closed|released back to the pool")


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
    """Is it of one of these classes, of libraries that were imported?  What traces it says that it is of them, too."""
    kinds = tuple(kind for kind in map(_imported, names) if kind is not None)
    return isinstance(value, kinds) or issubclass(value.__class__, kinds)  # asyncpg answers isinstance() by itself


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
        _refuse_unfit(connection)
        with _cursor("Cursor", connection) as cursor:
            if _is_in_pipeline(connection):
                with _what_was_before():
                    cursor.execute(_NOTHING).fetchall()
            cursor.execute(question.text, question.parameters)
            return cursor.fetchall() if question.has_rows else []

    return ask


def _of_async_driver(connection: Any) -> AskLater:
    if _is(connection, *_ASYNCPG):
        return _of_asyncpg(connection)
    if not _is(connection, "psycopg.AsyncConnection"):
        raise _refused(connection)

    async def ask(question: Question) -> list[Row]:
        _refuse_unfit(connection)
        async with _cursor("AsyncCursor", connection) as cursor:
            if _is_in_pipeline(connection):
                with _what_was_before():
                    await (await cursor.execute(_NOTHING)).fetchall()
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


_UTF8 = "utf-8"  # as psycopg calls it
_SQL_ASCII = "ascii"  # as psycopg calls it; the server sends what it has, and psycopg would leave it as bytes
_TEXTS = ("text", "varchar", "name")


def _read_as_utf8(loader: Any) -> Any:
    return type("Utf8Loader", (loader,), {"load": lambda _, data: str(data, "utf-8")})


def _refuse_unfit(connection: Any) -> None:
    """Refuse a psycopg connection that would fail, or wait for ever for the end of its own COPY; a pipeline queues."""
    info, kinds = connection.info, sys.modules["psycopg"].pq
    if info.encoding not in (_UTF8, _SQL_ASCII):
        raise BadConnection(_ENCODED.format(info.parameter_status("client_encoding")))
    if info.pipeline_status == kinds.PipelineStatus.ABORTED:
        raise BadConnection(_PIPELINE_FAILED)
    if info.transaction_status == kinds.TransactionStatus.ACTIVE and not _is_in_pipeline(connection):
        raise BadConnection(_BUSY)


def _is_in_pipeline(connection: Any) -> bool:
    return bool(connection.info.pipeline_status)  # OFF is 0


_NOTHING = "select 1"  # SQLAlchemy begins its transaction with the first statement; a pipeline says what failed before


@contextmanager
def _what_was_before() -> Iterator[None]:
    """Ask whether what waits in a pipeline has failed, or else its error would be taken for one of our statement."""
    try:
        yield
    except sys.modules["psycopg"].DatabaseError as error:
        raise BadConnection(_PIPELINE_FAILED) from error


# The values of a question go to asyncpg as bytes, and those of its rows come back as such: an application may have
# codecs of its own for text, numbers and JSON, and another client_encoding.
_PLACEHOLDER = re.compile(r"%\((\w+)\)s|%%")
_CASTS: dict[type, str] = {str: "", int: "::bigint", bool: "::boolean"}
# The select of a statement itself is not indented, as those inside of its `with` are; a comment may stand before it.
_OWN_SELECT = re.compile(r"(?m)^(?:/\*.*?\*/ )?(?=select\b)")


def _of_asyncpg(connection: Any) -> AskLater:
    async def ask(question: Question) -> list[Row]:
        text, values = in_bytes(question)
        record_class: Any = sys.modules["asyncpg"].Record
        [record] = await connection.fetch(text, *values, record_class=record_class)
        if record[0] is None:
            return []
        if not isinstance(record[0], bytes):
            raise BadConnection(_OWN_BYTES)
        return [SimpleNamespace(**row) for row in json.loads(record[0])]

    return ask


def in_bytes(question: Question) -> tuple[str, list[bytes]]:
    """A question whose values are bytes, and which answers with one: its rows as JSON, NULL where there is none."""
    places: dict[str, int] = {}

    def placeholder(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "%"
        value = question.parameters[name]
        if value is None:
            return "null"
        place = places.setdefault(name, len(places) + 1)
        # By convert_from itself a text has the collation "C", by which no index of a text column is.
        return f"(convert_from(${place}::bytea, 'UTF8') collate \"default\"){_CASTS[type(value)]}"

    ours = question.text.rstrip().removesuffix(";")
    text = _OWN_SELECT.sub(r"\g<0>select convert_to(json_agg(of_ours)::text, 'UTF8') from (", ours, count=1)
    text += "\n) as of_ours"
    text = _PLACEHOLDER.sub(placeholder, text)
    return text, [str(question.parameters[name]).encode() for name in places]


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


def _of_sqlalchemy(connection: Any) -> Ask:
    driver = connection.connection.driver_connection
    if not _is(driver, "psycopg.Connection"):
        raise _refused_of_sqlalchemy(driver, "postgresql+psycopg://…")
    connection.exec_driver_sql(_NOTHING)
    return _of_psycopg(driver)


async def _of_async_sqlalchemy(connection: Any) -> AskLater:
    driver = (await connection.get_raw_connection()).driver_connection
    if not _is(driver, "psycopg.AsyncConnection", *_ASYNCPG):
        raise _refused_of_sqlalchemy(driver, "postgresql+psycopg://… or postgresql+asyncpg://…")
    await connection.exec_driver_sql(_NOTHING)
    return _of_async_driver(driver)


def _refused_of_sqlalchemy(driver: Any, address: str) -> TypeError:
    library = type(driver).__module__.partition(".")[0]
    if library == "asyncpg" or _is(driver, "psycopg.AsyncConnection"):
        return TypeError("this Session is of an AsyncSession, inside of run_sync: give that itself to outbound.aio")
    return TypeError(
        f"this connection of SQLAlchemy's is over {library}: let its engine's address begin with {address}"
    )
