"""The old tables of every old system are read through the same views."""

from collections.abc import Iterator

import psycopg
import pytest

from outbound.database import migrations
from tests import old_system
from tests.conftest import Environment, Servers, World, address_of_schema, open_database

SHAPES: tuple[old_system.Shape, ...] = ("whole", "fixed", "small")


@pytest.fixture
def system(request: pytest.FixtureRequest, servers: Servers) -> Iterator[World]:
    """An old system of the given shape, with our schema beside it, and a connection that sees ours."""
    with open_database(servers, template=None) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(old_system.tables_sql(request.param).encode())
            connection.execute(old_system.rows_sql(request.param).encode())
            connection.execute(b"create schema outbound")
        own = address_of_schema(url, "outbound")
        with Environment(DATABASE_URL=own):
            migrations.migrate()
            world = World(own)
            yield world
            world.connection.close()


@pytest.mark.parametrize("system", SHAPES, indirect=True)
def test_the_views_show_each_row_of_each_system(system: World) -> None:
    system.do("select make_old_views('public')")

    for view, table in (("old_business", "business"), ("old_call", "call_log"), ("old_lead", "leads")):
        count = "select (select count(*) from {}) as seen, (select count(*) from public.{}) as rows".format
        (counted,) = system.rows(count(view, table))
        assert counted.seen == counted.rows > 0
    assert system.value("select phone from old_business where id = 1") == "+97235550001"
    assert system.value("select count(created_at) from old_call") > 0


def test_what_a_small_system_lacks_is_there_without_rows(servers: Servers) -> None:
    with open_database(servers, template=None) as url, psycopg.connect(url) as connection:
        connection.execute(old_system.tables_sql("small").encode())
        connection.execute(b"create schema outbound")
        with Environment(DATABASE_URL=address_of_schema(url, "outbound")):
            connection.commit()
            migrations.migrate()
        connection.execute(b"set search_path to outbound")
        connection.execute(b"select make_old_views('public')")

        rows = connection.execute(b"select 1 from old_job cross join old_run cross join old_settings").fetchall()

    assert rows == []


@pytest.mark.parametrize("system", ["whole"], indirect=True)
def test_a_view_finds_a_row_by_the_old_table_s_own_index(system: World) -> None:
    system.do("select make_old_views('public')")

    plan = "\n".join(row[0] for row in system.rows("explain select * from old_lead where id = 5::bigint"))

    assert "Index Cond" in plan
