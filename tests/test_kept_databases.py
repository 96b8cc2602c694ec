"""A database that tests use one after the other is as new for each; where it cannot be, it is dropped."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from outbound import db
from tests.conftest import Servers, World, forget_settings, make_keeper, until
from tests.digest import digest
from tests.kept_databases import USES_MAX, Keeper, Kept


@pytest.fixture
def own(servers: Servers, template: str) -> Iterator[Keeper]:
    keeper = make_keeper(servers, template)
    yield keeper
    keeper.close()


def world_of(kept: Kept) -> World:
    return World(kept.url, kept.connection)


def state(kept: Kept) -> object:
    world = world_of(kept)
    return digest(world), world.rows("select sequencename, last_value from pg_sequences order by 1")


def lent_next(own: Keeper) -> str:
    with own.lent() as kept:
        return kept.name


def session() -> tuple[int, str]:
    """The server process that a statement of ours reaches, and a setting there."""
    asked = "select pg_backend_pid(), current_setting('enable_sort')"
    found: Any = db.with_connection(lambda one: one.execute(asked.encode()).fetchone())
    return found[0], found[1]


def pooled() -> list[psycopg.Connection[Any]]:
    """The sessions of the pool, once none is at work or about to be made."""
    session()
    pool: Any = db._pool()
    until(lambda: len(pool._pool) == pool._nconns)
    return list(pool._pool)


def test_rows_and_sequences_are_as_in_a_new_one(own: Keeper) -> None:
    with own.lent() as kept:
        name, before = kept.name, state(kept)
        call_id = world_of(kept).queued()
        for seeded in ("delete from person_key", "update dial_control set state_reason = 'more'"):
            world_of(kept).do(seeded)
        assert state(kept) != before

    for _ in range(2):
        with own.lent() as kept:
            assert (kept.name, state(kept)) == (name, before)
            assert world_of(kept).queued() == call_id


def test_the_sessions_are_kept_and_what_was_set_in_them_is_not(own: Keeper) -> None:
    with own.lent() as kept:
        kept.connection.execute("set search_path to nowhere")
        sessions = pooled()
        for one in sessions:
            one.execute("set enable_sort to off")

    with own.lent() as kept:
        pid, enable_sort = session()
        assert pid in {one.info.backend_pid for one in sessions}
        assert enable_sort == "on"
        assert kept.connection.execute("show search_path").fetchone() == ('"$user", public',)


def test_a_pool_of_other_settings_is_a_new_one(own: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    with own.lent():
        before = {one.info.backend_pid for one in pooled()}

    with own.lent():
        monkeypatch.setenv("OUTBOUND_TIME_LIMIT_S", "77")
        forget_settings()
        assert session()[0] not in before
        limit = "select current_setting('outbound.time_limit_s')"
        assert db.with_connection(lambda one: one.execute(limit.encode()).fetchone()) == ("77",)


@pytest.mark.parametrize(
    "act",
    [
        "alter table call_log add column more text",
        "alter table business drop column default_region",
        "create index on call_log (to_number)",
        "create schema another",
        "create table more ()",
        "create temporary table more ()",
        "drop function if exists call_obstacle cascade",
        "create or replace function more() returns int language sql return 1",
        "alter table business disable trigger all",
        "analyze call_log",
        "truncate call_event",
        "do $$ begin execute format('alter database %I set work_mem to ''5MB''', current_database()); end $$",
        "begin",
    ],
)
def test_where_more_than_rows_has_changed_it_is_dropped(own: Keeper, act: str) -> None:
    with own.lent() as kept:
        world_of(kept).business()
        kept.connection.execute(act.encode())
        name = kept.name

    assert lent_next(own) != name


@pytest.mark.parametrize("act", ["select 1", "select pg_advisory_lock(1)"])
def test_where_somebody_is_still_connected_it_is_dropped(own: Keeper, act: str) -> None:
    with own.lent() as kept:
        somebody: psycopg.Connection[Any] = psycopg.connect(kept.url, autocommit=True)
        somebody.execute(act.encode())
        name = kept.name

    assert lent_next(own) != name
    with pytest.raises(psycopg.OperationalError):
        somebody.execute("select 1")


def test_where_a_session_of_the_pool_is_at_work_it_is_dropped(own: Keeper) -> None:
    with ExitStack() as at_work, own.lent() as kept:
        at_work.enter_context(db._pool().connection())
        name = kept.name

    assert lent_next(own) != name


def test_it_is_used_so_often_and_not_for_ever(own: Keeper) -> None:
    names = [lent_next(own) for _ in range(USES_MAX + 1)]

    assert len(set(names)) == 2
    assert names[0] == names[-2] != names[-1]
