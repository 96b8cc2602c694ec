"""Applications' own connections, each with its way to commit: what enqueue_call is given."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import asyncpg
import django.conf
import psycopg
import sqlalchemy
from psycopg.rows import class_row, dict_row, tuple_row
from sqlalchemy import orm
from sqlalchemy.ext import asyncio as sqlalchemy_asyncio

import outbound
from outbound import aio

T = TypeVar("T")


class Application:
    """A connection in a transaction; what is asked of `outbound` goes through it."""

    connection: Any

    def ask(self, name: str, *given: Any, **named: Any) -> Any:
        """Call the function of this name of `outbound`."""
        return getattr(outbound, name)(self.connection, *given, **named)

    def value(self, query: str) -> Any:
        """One value, by the application's own means, in the same transaction."""
        raise NotImplementedError

    def commit(self) -> None:
        self.connection.commit()

    def rollback(self) -> None:
        self.connection.rollback()

    def close(self) -> None:
        self.connection.close()


class Psycopg(Application):
    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url)

    def value(self, query: str) -> Any:
        cursor = psycopg.Cursor(self.connection, row_factory=tuple_row)
        found = cursor.execute(query.encode()).fetchone()
        return found and found[0]


class Odd:
    """What an application may want its rows to be."""

    def __init__(self, **values: object) -> None:
        self.values = values


class OddPsycopg(Psycopg):
    """Rows of another kind, parameters in the client alone, and nothing prepared, as behind PgBouncer."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(
            url, row_factory=class_row(Odd), cursor_factory=psycopg.ClientCursor, prepare_threshold=None
        )


class RawPsycopg(Psycopg):
    """Placeholders of another kind, and each statement prepared at once."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(
            url, row_factory=dict_row, cursor_factory=psycopg.RawCursor, prepare_threshold=0
        )


class SqlalchemyConnection(Application):
    def __init__(self, url: str) -> None:
        self.engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
        self.connection = self.engine.connect()

    def value(self, query: str) -> Any:
        return self.connection.execute(sqlalchemy.text(query)).scalar()

    def close(self) -> None:
        self.connection.close()
        self.engine.dispose()


class SqlalchemySession(SqlalchemyConnection):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.connection.close()
        self.connection = orm.Session(self.engine)


class ScopedSession(SqlalchemySession):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.connection = orm.scoped_session(orm.sessionmaker(self.engine))


def configure_django() -> None:
    if not django.conf.settings.configured:
        engine = "django.db.backends.postgresql"
        django.conf.settings.configure(DATABASES={"default": {"ENGINE": engine, "NAME": "none"}}, USE_TZ=False)


class Django(Application):
    """Django's own `connection`, in an atomic block."""

    def __init__(self, url: str) -> None:
        configure_django()
        from django.db import connection, connections, transaction

        parts = psycopg.conninfo.conninfo_to_dict(url)
        connections.settings["default"] |= {
            "NAME": parts["dbname"],
            "USER": parts.get("user") or "",
            "PASSWORD": parts.get("password") or "",
            "HOST": parts.get("host") or "",
            "PORT": str(parts.get("port") or ""),
        }
        if hasattr(connections._connections, "default"):
            del connections["default"]
        self.connection, self._transaction = connection, transaction
        self._begin()

    def _begin(self) -> None:
        self._atomic = self._transaction.atomic()
        self._atomic.__enter__()

    def value(self, query: str) -> Any:
        with self.connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0]

    def commit(self) -> None:
        self._atomic.__exit__(None, None, None)
        self._begin()

    def rollback(self) -> None:
        self._transaction.set_rollback(True)
        self.commit()

    def close(self) -> None:
        self._transaction.set_rollback(True)
        self._atomic.__exit__(None, None, None)
        self.connection.close()


class Awaited(Application):
    """A connection that is awaited, in a loop of its own."""

    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self.run(self.open(url))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def open(self, url: str) -> None:
        raise NotImplementedError

    def ask(self, name: str, *given: Any, **named: Any) -> Any:
        return self.run(getattr(aio, name)(self.connection, *given, **named))

    def commit(self) -> None:
        self.run(self.connection.commit())

    def rollback(self) -> None:
        self.run(self.connection.rollback())

    def close(self) -> None:
        self.run(self.connection.close())
        self.runner.close()


class AsyncPsycopg(Awaited):
    async def open(self, url: str) -> None:
        self.connection = await psycopg.AsyncConnection.connect(url, row_factory=dict_row)

    def value(self, query: str) -> Any:
        async def ask() -> Any:
            cursor = await self.connection.execute(query)
            return next(iter((await cursor.fetchone()).values()))

        return self.run(ask())


class AsyncSqlalchemy(Awaited):
    """An AsyncConnection over psycopg."""

    async def open(self, url: str) -> None:
        self.engine = self.make_engine(url)
        self.connection = await self.engine.connect()

    def make_engine(self, url: str) -> Any:
        async def connect() -> Any:
            return await psycopg.AsyncConnection.connect(url)

        return sqlalchemy_asyncio.create_async_engine("postgresql+psycopg://", async_creator=connect)

    def value(self, query: str) -> Any:
        async def ask() -> Any:
            return (await self.connection.execute(sqlalchemy.text(query))).scalar()

        return self.run(ask())

    def close(self) -> None:
        self.run(self.connection.close())
        self.run(self.engine.dispose())
        self.runner.close()


class AsyncSession(AsyncSqlalchemy):
    async def open(self, url: str) -> None:
        self.engine = self.make_engine(url)
        self.connection = sqlalchemy_asyncio.AsyncSession(self.engine)


class AsyncSessionOverAsyncpg(AsyncSession):
    def make_engine(self, url: str) -> Any:
        async def connect() -> Any:
            return await asyncpg.connect(url)

        return sqlalchemy_asyncio.create_async_engine("postgresql+asyncpg://", async_creator=connect)


class AsyncConnectionOverAsyncpg(AsyncSqlalchemy):
    make_engine = AsyncSessionOverAsyncpg.make_engine


class Asyncpg(Awaited):
    async def open(self, url: str) -> None:
        self.connection = await asyncpg.connect(url)
        await self.begin()

    async def begin(self) -> None:
        self.transaction = self.connection.transaction()
        await self.transaction.start()

    def value(self, query: str) -> Any:
        return self.run(self.connection.fetchval(query))

    def commit(self) -> None:
        self.run(self.transaction.commit())
        self.run(self.begin())

    def rollback(self) -> None:
        self.run(self.transaction.rollback())
        self.run(self.begin())


class AsyncpgPool(Asyncpg):
    """A connection out of a pool, which is a proxy of one, without prepared statements."""

    async def open(self, url: str) -> None:
        self.pool = await asyncpg.create_pool(url, min_size=1, max_size=1, statement_cache_size=0)
        self.connection = await self.pool.acquire()
        await self.begin()

    def close(self) -> None:
        self.run(self.transaction.rollback())
        self.run(self.pool.release(self.connection))
        self.run(self.pool.close())
        self.runner.close()


KINDS: list[Callable[[str], Application]] = [
    Psycopg,
    OddPsycopg,
    RawPsycopg,
    SqlalchemyConnection,
    SqlalchemySession,
    ScopedSession,
    Django,
    AsyncPsycopg,
    AsyncSqlalchemy,
    AsyncSession,
    AsyncSessionOverAsyncpg,
    AsyncConnectionOverAsyncpg,
    Asyncpg,
    AsyncpgPool,
]
