"""An application's own connection, of whatever driver: what it asks for is done by its commit, and not before."""

import asyncio
import enum
import inspect
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import psycopg2
import pytest
import sqlalchemy
from psycopg_pool import ConnectionPool
from sqlalchemy.ext import asyncio as sqlalchemy_asyncio

import outbound
from outbound import BadCall, BadConnection, RefusedCall, aio, db
from tests.conftest import World
from tests.producers.applications import KINDS, Application, Django, Psycopg, SqlalchemyConnection

pytestmark = pytest.mark.rows_only

TO = "+15005550101"
SETTINGS = "select jsonb_object_agg(name, setting)::text from pg_settings where not starts_with(name, 'plpgsql.')"
OUR_SETTINGS = "select concat(current_setting('outbound.carrier', true), current_setting('outbound.by', true))"


@pytest.fixture
def acme(world: World) -> int:
    world.simulated()
    return world.business("Acme", "+15005550006")


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def application(request: pytest.FixtureRequest, database: str) -> Iterator[Application]:
    opened: Application = request.param(database)
    yield opened
    with suppress(Exception):
        opened.close()


def test_a_call_is_queued_and_the_dispatchers_are_woken_by_the_applications_commit(
    world: World, acme: int, application: Application
) -> None:
    with db.connect() as dispatcher:
        db.listen(dispatcher, "outbound_due")
        made = application.ask(
            "enqueue_call", business_id=acme, to_number=TO, due_at="2032-01-15T09:00", contact={"name": "דנה"}
        )
        seen_early, woken_early = world.statuses(), db.wait_for_notice(dispatcher, 0.05)

        application.commit()

        assert db.wait_for_notice(dispatcher, 5)
    assert (seen_early, woken_early) == ([], False)
    call = world.call(made.call_id)
    assert (made.created, call.status, call.to_number, call.contact) == (True, "queued", TO, {"name": "דנה"})
    assert call.due_at.isoformat() in ("2032-01-15T09:00:00+00:00", "2032-01-15T07:00:00+00:00")


def test_after_a_rollback_there_is_no_call(world: World, acme: int, application: Application) -> None:
    application.ask("enqueue_call", business_id=acme, to_number=TO)

    application.rollback()

    assert world.statuses() == []


def test_after_a_refusal_the_applications_transaction_goes_on(
    world: World, acme: int, application: Application
) -> None:
    for wrong in ({"to_number": "nobody"}, {"to_number": "+49110"}, {"to_number": TO, "time_zone": "EST"}):
        with pytest.raises(BadCall):
            application.ask("enqueue_call", business_id=acme, **wrong)

    application.ask("enqueue_call", business_id=acme, to_number=TO)
    application.commit()

    assert world.statuses() == ["queued"]


def test_what_is_said_of_a_call_names_the_arguments_of_the_function(acme: int, application: Application) -> None:
    for wrong in ({"to_number": "nobody"}, {"to_number": TO, "from_number": "x"}, {"to_number": TO, "due_at": "x"}):
        name = list(wrong)[-1]
        with pytest.raises(BadCall, match=rf"\A`{name}` "):
            application.ask("enqueue_call", business_id=acme, **wrong)
        (refused,) = application.ask("enqueue_calls", [wrong], business_id=acme)
        assert refused.fault.startswith(f"`{name}` ")
    with pytest.raises(BadCall, match=r"\A`business_id` "):
        application.ask("enqueue_call", business_id="x", to_number=TO)
    doubtful = {"to_number": TO, "due_at": "2032-03-28T02:30", "time_zone": "Europe/Berlin"}
    assert application.ask("enqueue_call", business_id=acme, **doubtful).note.startswith("`due_at` 02:30 does not")


def test_the_same_key_never_makes_a_second_call(world: World, acme: int, application: Application) -> None:
    first = application.ask("enqueue_call", business_id=acme, to_number=TO, key="invoice 12")
    application.commit()

    second = application.ask("enqueue_call", business_id=acme, to_number=TO, key="invoice 12")
    with pytest.raises(BadCall, match="the key belongs to a call of another number"):
        application.ask("enqueue_call", business_id=acme, to_number="+15005550102", key="invoice 12")

    assert (second.call_id, second.created, second.has_key) == (first.call_id, False, True)


def test_thousands_at_once_are_answered_in_the_order_given(world: World, acme: int, application: Application) -> None:
    calls: list[Any] = [{"to_number": f"+1500556{n:04d}", "key": f"key {n}"} for n in range(2000)]
    calls[7] = {"to_number": "nobody"}
    calls[1500] = {"to_number": "+15005560003"}

    answers = application.ask("enqueue_calls", calls, business_id=acme)
    application.commit()

    assert [place for place, answer in enumerate(answers) if isinstance(answer, RefusedCall)] == [7]
    assert (answers[7].place, answers[7].fault[:11]) == (7, "`to_number`")
    assert (answers[1500].created, answers[1500].call_id) == (False, answers[3].call_id)
    numbers = dict(world.rows("select id, to_number from call_log"))
    assert len(numbers) == 1998
    for place, answer in enumerate(answers):
        if place not in (7, 1500):
            assert numbers[answer.call_id] == calls[place]["to_number"]


def test_a_call_is_shown_explained_moved_and_canceled(world: World, acme: int, application: Application) -> None:
    made = application.ask("enqueue_call", business_id=acme, to_number=TO, key="k")

    shown = application.ask("get_call", made.call_id)
    assert shown == application.ask("get_call", business_id=acme, key="k")
    assert (shown.status, shown.to_number, shown.key, shown.attempt) == ("queued", TO, "k", 1)
    assert application.ask("get_call", 4711) is None

    moved = application.ask("reschedule_call", made.call_id, "2032-01-15T09:00+00:00", by="Dana")
    assert (moved.at.isoformat(), moved.was) == ("2032-01-15T09:00:00+00:00", shown.due_at)
    reason = application.ask("why", made.call_id)
    assert (reason.code, reason.until) == ("not_due", moved.at)

    assert application.ask("cancel_call", made.call_id, reason="she called", by="Dana") == (1, 0)
    with pytest.raises(BadCall, match="has ended: canceled"):
        application.ask("cancel_call", made.call_id)
    with pytest.raises(BadCall, match="does not wait any more"):
        application.ask("reschedule_call", made.call_id, "now")
    for name, *rest in (("cancel_call",), ("reschedule_call", "now")):
        with pytest.raises(BadCall, match="there is no"):
            application.ask(name, 4711, *rest)
    application.commit()

    assert world.call(made.call_id).stop_reason == "she called"
    assert world.rows("select action, who from audit order by id") == [("reschedule", "Dana"), ("cancel", "Dana")]


ODD: list[Any] = [True, False, 0, 1.5, b"Dana", [], {"a": "b"}, ("x",), object()]


def test_what_is_no_text_or_no_moment_is_refused_by_the_name_of_its_argument(
    world: World, acme: int, application: Application
) -> None:
    made = application.ask("enqueue_call", business_id=acme, to_number=TO)
    asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
    for odd in [*ODD, "x" * 201, "a\nb"]:
        for argument in ("reason", "by"):
            asked.append((argument, ("cancel_call",), {argument: odd}))
            asked.append((argument, ("reschedule_call", "now"), {argument: odd}))
    asked += [("at", ("reschedule_call", odd), {}) for odd in [*ODD, None, "1999-01-01T09:00Z", "2199-01-01T09:00Z"]]

    for argument, (name, *rest), named in asked:
        with pytest.raises(BadCall, match=f"^`{argument}` "):
            application.ask(name, made.call_id, *rest, **named)
    application.commit()

    assert world.statuses() == ["queued"]
    assert world.rows("select from audit") == []


class Named(str, enum.Enum):  # noqa: UP042 (whose text is its name, unlike that of a StrEnum)
    KEY = "invoice 12"


class Acme(enum.IntEnum):
    ID = 1


class Text(str):
    """As frameworks have texts of their own kind."""

    __slots__ = ()


@pytest.mark.parametrize("kind", [Named, Text])
def test_texts_and_numbers_of_an_applications_own_kind_are_what_they_equal(
    world: World, acme: int, application: Application, kind: Any
) -> None:
    text = kind("invoice 12")
    given: dict[str, Any] = {"to_number": Text(TO), "contact": {text: text}, "time_zone": Text("Europe/Berlin")}
    made = application.ask("enqueue_call", business_id=Acme.ID, key=text, due_at=Text("2032-01-15T09:00"), **given)

    assert acme == Acme.ID
    assert application.ask("get_call", business_id=Acme.ID, key=text).key == "invoice 12"
    assert application.ask("get_call", business_id=acme, key="invoice 12").call_id == made.call_id
    application.ask("reschedule_call", made.call_id, Text("2032-01-16T09:00"), by=text, reason=text)
    application.commit()

    assert world.call(made.call_id).contact == {"invoice 12": "invoice 12"}
    assert world.rows("select who, details ->> 'reason' from audit") == [("invoice 12", "invoice 12")]


@pytest.mark.parametrize("key", ["a\0b", "\ud800", 7, b"k"])
def test_a_key_that_no_call_can_have_is_refused(acme: int, application: Application, key: Any) -> None:
    with pytest.raises(BadCall, match=r"^`key` must be text"):
        application.ask("get_call", business_id=acme, key=key)

    assert application.ask("get_call", business_id=acme, key="k") is None


def test_no_setting_of_the_session_changes(acme: int, application: Application) -> None:
    before, ours = json.loads(application.value(SETTINGS)), application.value(OUR_SETTINGS)

    application.ask("enqueue_call", business_id=acme, to_number=TO)
    application.ask("why", 1)

    assert dict(json.loads(application.value(SETTINGS)).items() - before.items()) == {}
    assert application.value(OUR_SETTINGS) == ours


def test_a_transaction_that_has_failed_is_said_to_have(acme: int, application: Application) -> None:
    with pytest.raises(Exception, match="nothing_of_that_name"):
        application.value("select nothing_of_that_name")

    with pytest.raises(BadConnection, match="has failed before"):
        application.ask("enqueue_call", business_id=acme, to_number=TO)

    application.rollback()
    assert application.ask("enqueue_call", business_id=acme, to_number=TO).created


def test_a_connection_that_does_not_see_our_tables_is_told_so(acme: int, application: Application) -> None:
    application.value("select set_config('search_path', 'pg_catalog', true)")

    with pytest.raises(BadConnection, match="search_path") as refusal:
        application.ask("enqueue_call", business_id=acme, to_number=TO)

    assert TO not in str(refusal.value)


def test_each_statement_of_a_connection_that_commits_by_itself_is_done_at_once(world: World, acme: int) -> None:
    with psycopg.connect(world.url, autocommit=True) as connection:
        outbound.enqueue_call(connection, business_id=acme, to_number=TO)

        assert world.statuses() == ["queued"]


def test_a_savepoint_takes_back_what_was_asked_within_it(world: World, acme: int) -> None:
    with psycopg.connect(world.url) as connection:
        outbound.enqueue_call(connection, business_id=acme, to_number=TO)
        with suppress(ZeroDivisionError), connection.transaction():
            outbound.enqueue_call(connection, business_id=acme, to_number="+15005550102")
            raise ZeroDivisionError

    assert world.rows("select to_number from call_log") == [(TO,)]


def test_an_atomic_block_of_djangos_that_failed_inside_is_refused(database: str, acme: int) -> None:
    application = Django(database)
    application._transaction.set_rollback(True)

    with pytest.raises(BadConnection, match="atomic block"):
        application.ask("enqueue_call", business_id=acme, to_number=TO)

    application.close()


# What is no connection of those.


def refusal_of(connection: object) -> str:
    with pytest.raises(TypeError) as refusal:
        outbound.enqueue_call(connection, business_id=1, to_number=TO)
    return str(refusal.value)


def test_what_is_no_such_connection_is_refused_with_what_to_give(world: World) -> None:
    psycopg2_connection = psycopg2.connect(world.url)
    engine = sqlalchemy.create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(world.url))
    pool: Any = ConnectionPool(world.url, open=False)

    assert "give a connection of psycopg 3" in refusal_of(None)
    assert "give a connection of psycopg 3" in refusal_of(world.url)
    assert "psycopg 3 is needed" in refusal_of(psycopg2_connection)
    assert "take a connection out of it" in refusal_of(pool)
    assert "connection of a transaction" in refusal_of(engine)
    with engine.connect() as over_psycopg2:
        assert "postgresql+psycopg://" in refusal_of(over_psycopg2)
    psycopg2_connection.close()
    engine.dispose()


def test_what_is_awaited_and_what_is_not_are_told_apart(application: Application) -> None:
    is_awaited = hasattr(application, "runner")
    other = outbound if is_awaited else aio

    async def ask() -> None:
        answer = other.enqueue_call(application.connection, business_id=1, to_number=TO)
        if inspect.isawaitable(answer):
            await answer

    with pytest.raises(TypeError, match=r"in outbound\.aio$" if is_awaited else "in outbound itself$"):
        asyncio.run(ask())


def test_the_awaited_functions_take_what_their_namesakes_take() -> None:
    functions = [name for name in outbound.__all__ if inspect.isfunction(getattr(outbound, name))]

    assert sorted(aio.__all__) == sorted(set(functions) - {"import_calls"})
    for name in aio.__all__:
        assert inspect.signature(getattr(aio, name)) == inspect.signature(getattr(outbound, name))


@pytest.mark.parametrize("kind", [Psycopg, SqlalchemyConnection], ids=lambda kind: kind.__name__)
def test_what_the_server_refuses_names_no_telephone(world: World, acme: int, kind: Any) -> None:
    world.do("create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$")
    world.do("create trigger refuse before insert on call_log for each row execute function refuse()")
    application = kind(world.url)

    with pytest.raises(psycopg.Error) as refusal:
        application.ask("enqueue_call", business_id=acme, to_number=TO)

    application.close()
    assert not re.search(r"\d{7}", str(refusal.value))


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_a_session_inside_of_run_sync_is_said_to_be_of_an_async_one(world: World, acme: int, driver: str) -> None:
    async def work() -> None:
        engine = sqlalchemy_asyncio.create_async_engine(
            world.url.replace("postgresql://", f"postgresql+{driver}://"), poolclass=sqlalchemy.NullPool
        )
        async with sqlalchemy_asyncio.AsyncSession(engine) as session:
            with pytest.raises(TypeError, match=r"inside of run_sync: give that itself to outbound\.aio"):
                await session.run_sync(lambda one: outbound.enqueue_call(one, business_id=acme, to_number=TO))
        await engine.dispose()

    asyncio.run(work())
