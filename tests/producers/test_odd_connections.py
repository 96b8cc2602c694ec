"""An application's connection behind a pooler, in the middle of something, or in a transaction that may not write."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import asyncpg
import psycopg
import psycopg.adapt
import pytest
import sqlalchemy
import sqlalchemy.ext.asyncio
import sqlalchemy.orm

import outbound
from outbound import BadCall, BadConnection, aio, drivers
from outbound.calls import enqueue
from tests.conftest import World
from tests.pgbouncer import needs_pgbouncer, pgbouncer
from tests.producers.applications import (
    KINDS,
    Application,
    Asyncpg,
    AsyncpgPool,
    AsyncPsycopg,
    AsyncSession,
    AsyncSessionOverAsyncpg,
    Django,
    Psycopg,
    SqlalchemyConnection,
    SqlalchemySession,
)
from tests.producers.test_drivers import OUR_SETTINGS, TO, acme, application

pytestmark = pytest.mark.rows_only

__all__ = ["acme", "application"]

BUSY = "in the middle of"


def unprepared(connect: Any) -> Any:
    """A function of psycopg's that connects, for an application that has nothing prepared."""
    return lambda *given, **named: connect(*given, **named | {"prepare_threshold": None})


@needs_pgbouncer
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_behind_a_pooler_that_lends_by_the_transaction_all_works_and_nothing_stays_in_the_session(
    world: World, acme: int, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner in (psycopg, psycopg.AsyncConnection):  # as PgBouncer before 1.21 needs it
        monkeypatch.setattr(owner, "connect", unprepared(owner.connect))
    with pgbouncer(world.url, "transaction") as address:
        two: list[Application] = [kind(address), kind(address)]
        for place in range(16):
            one = two[place % 2]
            key, number = f"k{place}", f"+1500555{1000 + place}"
            made = one.ask("enqueue_call", business_id=acme, to_number=number, key=key)
            (again,) = one.ask("enqueue_calls", [{"to_number": number, "key": key}], business_id=acme)
            assert (made.created, again.call_id, again.created) == (True, made.call_id, False)
            with pytest.raises(BadCall):
                one.ask("enqueue_call", business_id=acme, to_number="nobody")
            assert one.ask("get_call", made.call_id).key == key
            assert one.ask("why", made.call_id).code
            if place % 4 == 3:
                one.ask("reschedule_call", made.call_id, "2032-01-15T09:00+00:00", by="Dana")
                one.ask("cancel_call", made.call_id, by="Dana")
            one.commit()
            assert one.value(OUR_SETTINGS) == ""
            one.commit()
        for one in two:
            with suppress(Exception):
                one.close()

    assert sorted(world.statuses()) == ["canceled"] * 4 + ["queued"] * 12


def test_a_transaction_that_may_only_read_is_said_to(world: World, acme: int, application: Application) -> None:
    application.value("select set_config('transaction_read_only', 'on', true)")

    with pytest.raises(BadConnection, match="may only read"):
        application.ask("enqueue_call", business_id=acme, to_number=TO)

    application.rollback()
    assert application.ask("enqueue_call", business_id=acme, to_number=TO).created


@pytest.mark.parametrize("to_stdin", [True, False])
def test_a_connection_of_psycopg_in_the_middle_of_a_copy_is_refused_and_the_copy_goes_on(
    world: World, acme: int, *, to_stdin: bool
) -> None:
    with psycopg.connect(world.url) as connection:
        connection.execute("create temporary table mine (n integer)")
        connection.execute("insert into mine select generate_series(1, 3)")
        text = "copy mine from stdin" if to_stdin else "copy mine to stdout"
        with connection.cursor().copy(text) as copy:
            rows = 0
            if to_stdin:
                copy.write_row((4,))
            else:
                rows += len(copy.read_row() or ())
            with pytest.raises(BadConnection, match=BUSY):
                outbound.enqueue_call(connection, business_id=acme, to_number=TO)
            if to_stdin:
                copy.write_row((5,))
            else:
                rows += sum(1 for _ in copy.rows())
        found = connection.execute("select count(*) from mine").fetchone()
        made = outbound.enqueue_call(connection, business_id=acme, to_number=TO)

    assert found == ((5,) if to_stdin else (3,))
    assert to_stdin or rows == 3
    assert made.created
    assert world.statuses() == ["queued"]


def test_a_connection_of_psycopg_that_is_awaited_in_the_middle_of_a_copy_is_refused(world: World, acme: int) -> None:
    async def work() -> Any:
        async with await psycopg.AsyncConnection.connect(world.url) as connection:
            await connection.execute("create temporary table mine (n integer)")
            async with connection.cursor().copy("copy mine from stdin") as copy:
                await copy.write_row((4,))
                with pytest.raises(BadConnection, match=BUSY):
                    await aio.enqueue_call(connection, business_id=acme, to_number=TO)
                await copy.write_row((5,))
            await aio.enqueue_call(connection, business_id=acme, to_number=TO)
            cursor = await connection.execute("select count(*) from mine")
            return await cursor.fetchone()

    assert asyncio.run(work()) == (2,)
    assert world.statuses() == ["queued"]


def test_a_connection_of_asyncpg_in_the_middle_of_a_copy_is_refused(world: World, acme: int) -> None:
    async def work() -> Any:
        connection = await asyncpg.connect(world.url)
        await connection.execute("create temporary table mine (n integer)")

        async def records() -> AsyncIterator[tuple[int]]:
            yield (4,)
            with pytest.raises(BadConnection, match=BUSY):
                await aio.enqueue_call(connection, business_id=acme, to_number=TO)
            yield (5,)

        await connection.copy_records_to_table("mine", records=records())
        await aio.enqueue_call(connection, business_id=acme, to_number=TO)
        found = await connection.fetchval("select count(*) from mine")
        await connection.close()
        return found

    assert asyncio.run(work()) == 2
    assert world.statuses() == ["queued"]


def test_in_the_middle_of_a_servers_cursor_or_a_stream_nothing_is_lost(world: World, acme: int) -> None:
    with psycopg.connect(world.url) as connection:
        with connection.cursor("mine") as cursor:
            cursor.execute("select generate_series(1, 5000)")
            assert cursor.fetchone() == (1,)
            outbound.enqueue_call(connection, business_id=acme, to_number=TO)
            assert len(cursor.fetchall()) == 4999
        rows: Iterator[Any] = connection.cursor().stream("select generate_series(1, 5000)")
        assert next(rows) == (1,)
        with pytest.raises(BadConnection, match=BUSY):
            outbound.enqueue_call(connection, business_id=acme, to_number="+15005550102")
        assert sum(1 for _ in rows) == 4999

    assert world.rows("select to_number from call_log") == [(TO,)]


def test_in_a_pipeline_of_psycopg_a_call_is_queued_with_what_is_around_it(world: World, acme: int) -> None:
    with psycopg.connect(world.url) as connection:
        connection.execute("create temporary table mine (n integer)")
        with connection.pipeline():
            connection.execute("insert into mine values (1)")
            made = outbound.enqueue_call(connection, business_id=acme, to_number=TO, key="k")
            connection.execute("insert into mine values (2)")
            with pytest.raises(BadCall):
                outbound.enqueue_call(connection, business_id=acme, to_number="nobody")
            again = outbound.enqueue_call(connection, business_id=acme, to_number=TO, key="k")
            outbound.cancel_call(connection, made.call_id, by="Dana")
        found = connection.execute("select count(*) from mine").fetchone()

    assert (made.created, again.created, found) == (True, False, (2,))
    assert world.statuses() == ["canceled"]


@needs_pgbouncer
def test_prepared_statements_that_a_pooler_leaves_behind_are_said_with_the_mend(world: World, acme: int) -> None:
    with pgbouncer(world.url, "transaction") as address:
        first, second = (psycopg.connect(address, prepare_threshold=0) for _ in range(2))
        outbound.enqueue_call(first, business_id=acme, to_number=TO)
        first.commit()
        with pytest.raises(BadConnection, match="prepare_threshold=None"):
            outbound.enqueue_call(second, business_id=acme, to_number="+15005550102")
        first.close()
        second.close()


@pytest.mark.parametrize("name", ["enqueue_call", "get_call", "why", "cancel_call", "reschedule_call"])
def test_each_function_works_on_a_connection_that_commits_by_itself(world: World, acme: int, name: str) -> None:
    with psycopg.connect(world.url, autocommit=True) as connection:
        made = outbound.enqueue_call(connection, business_id=acme, to_number=TO)
        given: dict[str, Any] = {
            "enqueue_call": {"business_id": acme, "to_number": "+15005550102"},
            "get_call": {"call_id": made.call_id},
            "why": {"call_id": made.call_id},
            "cancel_call": {"call_id": made.call_id},
            "reschedule_call": {"call_id": made.call_id, "at": "2032-01-15T09:00+00:00"},
        }
        assert getattr(outbound, name)(connection, **given[name])

        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert world.value("select count(*) from call_log") == (2 if name == "enqueue_call" else 1)


class Odd(psycopg.adapt.Loader):
    """Reads every value as what no function of ours can work with."""

    def load(self, _: Any) -> Any:
        return object()


class OddText(psycopg.adapt.Dumper):
    """Writes every text as another."""

    def dump(self, _: Any) -> bytes:
        return b"something else"


def own_types(connection: Any) -> None:
    for name in ("timestamptz", "int8", "int4", "bool", "text", "jsonb", "json"):
        connection.adapters.register_loader(name, Odd)
        connection.adapters.register_loader(connection.adapters.types[name].array_oid, Odd)
    connection.adapters.register_dumper(str, OddText)


ODD_SESSIONS: dict[str, dict[str, Any]] = {
    "German": {"options": "-c DateStyle=German"},
    "DMY": {"options": "-c DateStyle=SQL,DMY -c TimeZone=Asia/Kathmandu"},
    "intervals": {"options": "-c DateStyle=Postgres -c IntervalStyle=iso_8601 -c TimeZone=-4:30"},
    "bytes": {"client_encoding": "SQL_ASCII"},
    "numbers": {"options": "-c bytea_output=escape -c extra_float_digits=-5"},
}


@pytest.mark.parametrize("session", ODD_SESSIONS)
@pytest.mark.parametrize("has_own_types", [False, True])
def test_whatever_a_session_and_its_types_are_each_function_of_psycopg_says_what_it_always_says(
    world: World, acme: int, *, session: str, has_own_types: bool
) -> None:
    plain: dict[str, Any] = {"business_id": acme, "due_at": "2032-01-15T09:00", "time_zone": "Europe/Berlin"}
    with psycopg.connect(world.url, autocommit=True, **ODD_SESSIONS[session]) as odd, psycopg.connect(world.url) as one:
        if has_own_types:
            own_types(odd)
        made = outbound.enqueue_call(odd, to_number=TO, key="k", contact={"name": "André"}, **plain)
        again = outbound.enqueue_call(odd, to_number=TO, key="k", **plain)
        (many,) = outbound.enqueue_calls(odd, [{"to_number": "+15005550102", **plain}])

        assert (made.created, again.created, again.call_id, again.status) == (True, False, made.call_id, "queued")
        assert isinstance(many, outbound.EnqueuedCall)
        assert many.created
        assert outbound.get_call(odd, business_id=acme, key="k") == outbound.get_call(one, made.call_id)
        said, plainly = outbound.why(odd, made.call_id), outbound.why(one, made.call_id)
        assert (said.code, said.sentence, said.until) == (plainly.code, plainly.sentence, plainly.until)
        moved = outbound.reschedule_call(odd, made.call_id, "2032-02-15T09:00")
        assert (moved.at, moved.was) == (datetime(2032, 2, 15, 8, tzinfo=UTC), datetime(2032, 1, 15, 8, tzinfo=UTC))
        assert outbound.cancel_call(odd, made.call_id) == (1, 0)
    assert world.call(made.call_id).contact == {"name": "André"}


@pytest.mark.parametrize("session", ODD_SESSIONS)
def test_an_odd_session_of_psycopg_that_is_awaited_says_what_it_always_says(
    world: World, acme: int, session: str
) -> None:
    async def work() -> Any:
        async with await psycopg.AsyncConnection.connect(world.url, **ODD_SESSIONS[session]) as odd:
            own_types(odd)
            made = await aio.enqueue_call(odd, business_id=acme, to_number=TO, due_at="2032-01-15T09:00", key="k")
            return made, await aio.get_call(odd, made.call_id), await aio.why(odd, made.call_id)

    made, call, reason = asyncio.run(work())
    assert made.created
    assert (call.key, reason.until) == ("k", call.due_at)


def test_djangos_connection_with_another_style_of_dates_queues_a_call(world: World, acme: int) -> None:
    one = Django(world.url)
    one.value("select set_config('datestyle', 'German', false)")
    made = one.ask("enqueue_call", business_id=acme, to_number=TO, due_at="2032-01-15T09:00")
    one.commit()
    one.close()

    assert made.created
    assert world.statuses() == ["queued"]


HEBREW = {"name": "דנה"}


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1255"])
def test_a_session_that_cannot_write_every_text_is_refused_before_anything_is_asked_or_answers_right(
    world: World, acme: int, application: Application, encoding: str
) -> None:
    application.value(f"select set_config('client_encoding', '{encoding}', false)")
    is_asyncpg = "syncpg" in type(application).__name__

    if is_asyncpg:  # it is given bytes
        made = application.ask("enqueue_call", business_id=acme, to_number=TO, contact=HEBREW, key="דנה")
        assert application.ask("get_call", made.call_id).key == "דנה"
    else:
        for name, *given in (("why", 1), ("get_call", 1), ("cancel_call", 1), ("reschedule_call", 1, "now")):
            with pytest.raises(BadConnection, match=f"client_encoding is {encoding}: say `set client_encoding to"):
                application.ask(name, *given)
        with pytest.raises(BadConnection, match="client_encoding"):
            application.ask("enqueue_call", business_id=acme, to_number=TO)
        with pytest.raises(BadConnection, match="client_encoding"):
            application.ask("enqueue_calls", [{"to_number": TO}], business_id=acme)

    assert application.value("select 1") == 1  # the transaction goes on
    application.value("select set_config('client_encoding', 'UTF8', false)")
    assert application.ask("enqueue_call", business_id=acme, to_number=TO, contact=HEBREW).created is not is_asyncpg
    application.commit()
    assert world.statuses() == ["queued"]


def not_ours(_: Any) -> Any:
    """Encode nothing as it is, nor decode it."""
    return "[0]"


@pytest.mark.parametrize("kind", [Asyncpg, AsyncpgPool, AsyncSessionOverAsyncpg], ids=lambda kind: kind.__name__)
def test_whatever_codecs_a_connection_of_asyncpg_has_each_function_says_what_it_always_says(
    world: World, acme: int, kind: Any
) -> None:
    odd, plain = kind(world.url), kind(world.url)
    driver = odd.connection
    if kind is AsyncSessionOverAsyncpg:
        driver = odd.run(odd.run(odd.connection.connection()).get_raw_connection()).driver_connection
    for name in ("text", "varchar", "int8", "int4", "bool", "json", "jsonb", "timestamptz"):
        odd.run(driver.set_type_codec(name, schema="pg_catalog", encoder=not_ours, decoder=not_ours))

    given: dict[str, Any] = {"due_at": "2032-01-15T09:00", "time_zone": "Europe/Berlin", "business_id": acme}
    made = odd.ask("enqueue_call", to_number=TO, key='k "%s" \\', contact=HEBREW, **given)
    many = odd.ask("enqueue_calls", [{"to_number": "+15005550102", **given}, {"to_number": "nobody", **given}])
    odd.commit()

    assert (made.created, many[0].created, many[1].fault) == (True, True, plain_fault(plain, given))
    assert odd.ask("get_call", business_id=acme, key='k "%s" \\') == plain.ask("get_call", made.call_id)
    assert odd.ask("get_call", 4711) is None
    assert odd.ask("why", made.call_id) == plain.ask("why", made.call_id)
    moved = odd.ask("reschedule_call", made.call_id, "2032-02-15T09:00", by="Dana", reason="she asked")
    assert (moved.at, moved.was) == (datetime(2032, 2, 15, 8, tzinfo=UTC), datetime(2032, 1, 15, 8, tzinfo=UTC))
    assert odd.ask("cancel_call", made.call_id) == (1, 0)
    odd.commit()
    assert world.call(made.call_id).contact == HEBREW
    odd.close()
    plain.close()


def test_over_asyncpg_too_a_call_is_looked_for_by_its_key_and_its_telephone_in_the_indexes(
    world: World, acme: int
) -> None:
    """Before, the texts had the collation of a name, and each look read all calls of the business."""
    one = Asyncpg(world.url)
    given = {"business_ids": f"{{{acme}}}", "to_numbers": f"{{{TO}}}", "idempotency_keys": "{k}", "due_ats": "{null}"}
    none = dict.fromkeys(("batch_businesses", "batch_ids", "created_ats"), "{}")
    text, values = drivers.in_bytes(enqueue.sql.find_calls_there(**given, **none))
    one.run(one.connection.execute("set enable_seqscan = off; set enable_bitmapscan = off"))

    plan = "\n".join(row[0] for row in one.run(one.connection.fetch(f"explain {text}", *values)))

    conditions = [line for line in plan.splitlines() if "Index Cond:" in line]
    assert any("idempotency_key = " in line for line in conditions), plan
    assert sum("phone_key" in line or "END = CASE" in line for line in conditions) >= 2, plan
    one.close()


def test_an_error_of_the_applications_own_trigger_stays_the_drivers(world: World, acme: int) -> None:
    """Over asyncpg, it was said to be a codec for bytea."""
    world.do("create function odd() returns trigger language plpgsql as 'begin perform 1 / 0; return new; end'")
    world.do("create trigger odd before insert on call_log for each row execute function odd()")
    one = Asyncpg(world.url)

    with pytest.raises(asyncpg.DivisionByZeroError):
        one.ask("enqueue_call", business_id=acme, to_number=TO)
    one.close()


def plain_fault(plain: Application, given: dict[str, Any]) -> str:
    with pytest.raises(BadCall) as refusal:
        plain.ask("enqueue_call", to_number="nobody", **given)
    return str(refusal.value)


@pytest.mark.parametrize("fails", ["to encode", "to decode"])
def test_a_codec_for_bytea_of_asyncpg_is_said_with_the_mend(world: World, acme: int, fails: str) -> None:
    one = Asyncpg(world.url)
    encoder: Any = (lambda _: 7) if fails == "to encode" else lambda value: "\\x" + value.hex()
    one.run(one.connection.set_type_codec("bytea", schema="pg_catalog", encoder=encoder, decoder=not_ours))

    with pytest.raises(BadConnection, match="codec of its own for bytea: take it away with `reset_type_codec`"):
        one.ask("enqueue_call", business_id=acme, to_number=TO)

    one.rollback()
    one.run(one.connection.reset_type_codec("bytea", schema="pg_catalog"))
    assert one.ask("enqueue_call", business_id=acme, to_number=TO).created
    one.close()


@pytest.mark.parametrize("is_noticed", [True, False])
def test_a_pipeline_that_has_failed_is_said_to_have(world: World, acme: int, *, is_noticed: bool) -> None:
    with psycopg.connect(world.url) as connection:
        with suppress(psycopg.errors.UndefinedColumn, psycopg.errors.PipelineAborted), connection.pipeline():
            cursor = connection.execute("select nothing_of_that_name")
            if is_noticed:
                with pytest.raises(psycopg.errors.UndefinedColumn):
                    cursor.fetchone()
            for _ in range(2):
                with pytest.raises(BadConnection, match="an earlier statement of this pipeline has failed"):
                    outbound.enqueue_call(connection, business_id=acme, to_number=TO)
        connection.rollback()
        assert outbound.enqueue_call(connection, business_id=acme, to_number=TO).created

    assert world.statuses() == ["queued"]


def test_an_awaited_pipeline_that_has_failed_is_said_to_have(world: World, acme: int) -> None:
    async def work() -> None:
        async with await psycopg.AsyncConnection.connect(world.url) as connection:
            with suppress(psycopg.errors.UndefinedColumn, psycopg.errors.PipelineAborted):
                async with connection.pipeline():
                    await aio.enqueue_call(connection, business_id=acme, to_number=TO)
                    await connection.execute("select nothing_of_that_name")
                    for _ in range(2):
                        with pytest.raises(BadConnection, match="an earlier statement of this pipeline has failed"):
                            await aio.enqueue_call(connection, business_id=acme, to_number=TO)
            await connection.rollback()

    asyncio.run(work())
    assert world.statuses() == []


@pytest.mark.parametrize(
    "grant", ["", "grant usage on schema public to kept_out", "grant select on business to kept_out"]
)
def test_a_user_without_our_role_is_said_which_to_grant(
    world: World, acme: int, application: Application, grant: str
) -> None:
    world.do("create role kept_out")
    try:
        world.do(grant or "select 1")
        application.value("select set_config('role', 'kept_out', true)")
        with pytest.raises(BadConnection, match=r"the role outbound_application|`grant outbound_application to …`"):
            application.ask("enqueue_call", business_id=acme, to_number=TO)
        application.rollback()
        assert application.ask("enqueue_call", business_id=acme, to_number=TO).created
        application.rollback()
    finally:
        world.do("drop owned by kept_out; drop role kept_out")


def test_a_connection_that_is_closed_is_said_to_be(world: World, acme: int) -> None:
    for kind in (Psycopg, SqlalchemyConnection):
        one = kind(world.url)
        one.close()
        with pytest.raises(BadConnection, match="is closed"):
            one.ask("enqueue_call", business_id=acme, to_number=TO)
    for later in (AsyncPsycopg, Asyncpg):
        awaited = later(world.url)
        awaited.run(awaited.connection.close())
        with pytest.raises(BadConnection, match="is closed"):
            awaited.ask("enqueue_call", business_id=acme, to_number=TO)
        awaited.runner.close()


def test_a_connection_of_asyncpg_that_went_back_to_its_pool_is_said_to_have(world: World, acme: int) -> None:
    async def work() -> None:
        async with asyncpg.create_pool(world.url, min_size=1, max_size=1) as pool:
            async with pool.acquire() as connection:
                pass
            with pytest.raises(BadConnection, match="went back to its pool"):
                await aio.enqueue_call(connection, business_id=acme, to_number=TO)

    asyncio.run(work())


@pytest.mark.parametrize("kind", [AsyncSession, AsyncSessionOverAsyncpg], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("is_begun", [False, True])
def test_a_session_that_several_tasks_use_at_a_time_queues_or_refuses_each_of_their_calls(
    world: World, acme: int, *, kind: Any, is_begun: bool
) -> None:
    one = kind(world.url)
    if is_begun:
        one.value("select 1")

    async def work() -> list[Any]:
        asked = [aio.enqueue_call(one.connection, business_id=acme, to_number=f"+1500555020{n}") for n in range(4)]
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = one.run(work())
    one.commit()

    made = [answer for answer in answers if isinstance(answer, outbound.EnqueuedCall)]
    refused = [answer for answer in answers if isinstance(answer, BadConnection) and BUSY in str(answer)]
    assert len(made) + len(refused) == 4
    assert len(world.statuses()) == len(made) > 0
    one.close()


def test_a_session_of_sqlalchemy_whose_flush_has_failed_is_said_to_have(world: World, acme: int) -> None:
    mapper: Any = sqlalchemy.orm.registry()

    class Mine:
        pass

    mapper.map_imperatively(
        Mine, sqlalchemy.Table("no_such_table", mapper.metadata, sqlalchemy.Column("id", primary_key=True))
    )
    one = SqlalchemySession(world.url)
    one.connection.add(Mine())
    with pytest.raises(sqlalchemy.exc.ProgrammingError):
        one.connection.flush()

    with pytest.raises(BadConnection, match="has failed before"):
        one.ask("enqueue_call", business_id=acme, to_number=TO)

    one.rollback()
    assert one.ask("enqueue_call", business_id=acme, to_number=TO).created
    one.close()


def test_a_connection_that_is_closed_under_sqlalchemy_is_said_to_be(world: World, acme: int) -> None:
    async def work(address: str) -> None:
        engine = sqlalchemy.ext.asyncio.create_async_engine(address)
        async with engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.close()
            with pytest.raises(BadConnection, match="is closed"):
                await aio.enqueue_call(connection, business_id=acme, to_number=TO)
        await engine.dispose()

    for library in ("psycopg", "asyncpg"):
        asyncio.run(work(world.url.replace("postgresql://", f"postgresql+{library}://")))


class Traced:
    """A connection as libraries that trace have it: a proxy that says it is of the class of what it wraps."""

    def __init__(self, wrapped: object) -> None:
        self._wrapped = wrapped

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._wrapped)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


@pytest.mark.parametrize("kind", [Psycopg, AsyncPsycopg, Asyncpg, AsyncpgPool], ids=lambda kind: kind.__name__)
def test_a_connection_that_is_traced_is_taken_for_what_it_is(world: World, acme: int, kind: Any) -> None:
    one = kind(world.url)
    one.connection = Traced(one.connection)

    made = one.ask("enqueue_call", business_id=acme, to_number=TO)
    one.commit()

    assert made.created
    assert world.statuses() == ["queued"]
    one.connection = one.connection._wrapped
    one.close()


def test_a_session_of_sqlalchemy_without_an_engine_for_all_is_said_to_need_its_connection(
    world: World, acme: int
) -> None:
    class Mine(sqlalchemy.orm.DeclarativeBase):
        pass

    engine = sqlalchemy.create_engine(world.url.replace("postgresql://", "postgresql+psycopg://"))
    with sqlalchemy.orm.Session(binds={Mine: engine}) as session:
        with pytest.raises(BadConnection, match="bind_arguments"):
            outbound.enqueue_call(session, business_id=acme, to_number=TO)
        connection = session.connection(bind_arguments={"bind": engine})
        assert outbound.enqueue_call(connection, business_id=acme, to_number=TO).created
        session.commit()
    engine.dispose()

    assert world.statuses() == ["queued"]
