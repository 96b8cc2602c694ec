"""
No migration keeps others from call_log while it reads it: how long that takes grows with the table.

What can be known without a clock: which locks a transaction holds on call_log, and how many of its rows it has read.
`python -m tests.migration_locks` measures the time.
"""

import re
from collections.abc import Iterator
from functools import cache

import psycopg
import pytest
from yoyo.migrations import read_sql_migration

from outbound import db
from outbound.database import migrations
from tests.conftest import Servers, World
from tests.database.test_migrations import Chain, dump, in_one_transaction, old_rows, yoyo_apply_up_to

ALL = migrations.known_migrations()
ROWS = 60
# A session that wants to read waits for the first; one that wants to write, for each of them.
_HELD = """
select coalesce(array_agg(distinct mode), '{}')
  from pg_locks
 where relation = 'call_log'::regclass and pid = pg_backend_pid() and granted
   and mode in ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')
"""
# Of this transaction and of what the server has not yet added up of those before.
_READ = "select coalesce(pg_stat_get_xact_tuples_returned(oid), 0) + coalesce(pg_stat_get_xact_tuples_fetched(oid), 0)"
_READ += " from pg_class where oid = 'call_log'::regclass"


@pytest.fixture
def first_level(empty_database: str) -> Iterator[World]:
    """Rows of every kind, before the second migration."""
    world = World(empty_database)
    for statement in statements(ALL[0])[0]:
        world.do(statement.replace("%", "%%"))
    old_rows(world, ROWS)
    world.do("set enable_indexscan = off; set enable_bitmapscan = off; set enable_indexonlyscan = off")
    yield world
    world.connection.close()


@pytest.fixture(scope="module")
def chain(servers: Servers) -> Iterator[Chain]:
    chain = Chain(servers, ROWS)
    yield chain
    chain.drop()


@cache
def statements(name: str) -> list[list[str]]:
    """The transactions of a migration, each a list of its statements, as yoyo runs them."""
    directives, _, found = read_sql_migration(str(db.sql_dir() / "migrations" / f"{name}.sql"))
    return [[one] for one in found] if directives.get("transactional") == "false" else [found]


def commits_by_itself(statement: str) -> bool:
    return bool(re.search(r"\bconcurrently\b|\bcommit;", statement))


def test_no_transaction_of_a_migration_reads_call_log_while_it_keeps_others_from_it(first_level: World) -> None:
    world = first_level
    for name in ALL[1:]:
        for transaction in statements(name):
            if any(commits_by_itself(one) for one in transaction):
                for one in transaction:
                    world.do(one.replace("%", "%%"))
                continue
            with world.connection.transaction():
                before = world.value(_READ)
                for one in transaction:
                    world.do(one.replace("%", "%%"))
                held, read = world.value(_HELD), world.value(_READ) - before
            assert not (held and read >= ROWS), f"{name} holds {held} and reads {read} rows: {transaction[0][:300]}"
    assert world.value("select count(*) from call_log") == ROWS


def test_what_commits_in_between_takes_no_lock_that_keeps_others_out() -> None:
    for name in ALL:
        for transaction in statements(name):
            for one in transaction:
                if re.search(r"\bcommit;", one):
                    assert not re.search(r"\b(alter|create|drop|lock) (table|index|unique|trigger)\b", one), name


def test_an_index_of_call_log_is_built_beside_readers_and_writers() -> None:
    for name in ALL:
        text = (db.sql_dir() / "migrations" / f"{name}.sql").read_text()
        assert re.findall(r"create (?:unique )?index (?!concurrently)[\w ]+?\s+on call_log\b", text) == [], name


# Killed anywhere, each of those that commit in between goes on when it is run again.


@pytest.mark.parametrize("name", [name for name in ALL if not in_one_transaction(name) and len(statements(name)) > 1])
def test_a_migration_outside_a_transaction_goes_on_after_a_kill_behind_any_of_its_statements(
    chain: Chain, template: str, name: str
) -> None:
    with chain.below(name) as world:
        for last in range(1, len(statements(name)) + 1):
            for (statement,) in statements(name)[:last]:
                world.do(statement.replace("%", "%%"))

        migrations.migrate()

        migrated = World(world.url.replace(f"/{world.connection.info.dbname}", f"/{template}"))
        assert dump(world) == dump(migrated)
        assert world.value("select count(*) from call_log") == ROWS
        assert world.value("select count(*) from call_log where status in ('queued', 'claimed')") == 0
        migrated.connection.close()


def test_rows_that_a_killed_migration_had_moved_are_moved_once(empty_database: str) -> None:
    world = World(empty_database)
    yoyo_apply_up_to(ALL[0])
    world.do("insert into business (name) values ('Acme')")
    world.do(
        "insert into call_log (business_id, direction, from_number, to_number, status)"
        " select 1, 'outbound', '+15005550006', '+1500555' || 10000 + n, 'queued' from generate_series(1, 5000) as n"
    )
    world.do(
        "create function dies() returns trigger language plpgsql as $$begin raise 'killed'; end$$;"
        "create trigger dies before update on call_log for each row when (old.id = 4500) execute function dies()"
    )

    with pytest.raises(db.Error, match="killed"):
        migrations.migrate()
    moved = "select count(*) from call_log where status = 'initiated'"
    first = world.value(moved)
    world.do("drop trigger dies on call_log; drop function dies()")
    deadlines = world.rows("select id, overdue_at from call_log where overdue_at is not null order by id")
    migrations.migrate()

    assert 0 < first < 4500
    assert world.value(moved) == 5000
    kept = world.rows("select id, overdue_at from call_log where id <= %s order by id", deadlines[-1].id)
    assert kept == deadlines
    world.connection.close()


def test_an_index_that_a_killed_build_left_is_built_anew(empty_database: str) -> None:
    world = World(empty_database)
    yoyo_apply_up_to("0014_latency_buckets")
    world.business()
    world.do(
        "insert into call_log (business_id, from_number, to_number, status, ended_at)"
        " select 1, '+15005550006', '+15005550101', 'failed', '2026-01-01' from generate_series(1, 2)"
    )
    with pytest.raises(psycopg.errors.UniqueViolation):  # as a killed build does, this leaves an index nobody uses
        world.do("create unique index concurrently call_log_ended on call_log (ended_at)")
    assert world.value("select not indisvalid from pg_index where indexrelid = 'call_log_ended'::regclass")

    migrations.migrate()

    assert world.value("select indisvalid from pg_index where indexrelid = 'call_log_ended'::regclass")
    assert world.value("select pg_get_indexdef('call_log_ended'::regclass)").startswith("CREATE INDEX")
    assert world.value("select count(*) from pg_index where not indisvalid") == 0
    world.connection.close()
