"""The chain of migrations: forward, back, twice at once, and killed anywhere; and what the schema itself refuses."""

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from yoyo.backends import DatabaseBackend
from yoyo.migrations import StepCollector, read_sql_migration

from outbound import db
from outbound.calls import cleanup
from outbound.database import migrations
from tests.conftest import (
    Environment,
    Servers,
    World,
    address_of_schema,
    create_database,
    drop_database,
    forget_settings,
    open_database,
)
from tests.digest import digest

MIGRATIONS = db.sql_dir() / "migrations"
FIRST, SECOND, *_ = ALL = migrations.known_migrations()
OLD_STATUSES = (
    *("queued", "initiated", "dialing", "calling", "ringing", "in_progress", "in-progress", "In_Progress"),
    *("ended", "completed", "busy", "no_answer", "no-answer", "canceled", "cancelled", "failed", None, "", "???"),
)


@pytest.fixture
def empty(empty_database: str) -> Iterator[World]:
    world = World(empty_database)
    yield world
    world.connection.close()


def yoyo(command: str, url: str, *arguments: str) -> None:
    """yoyo's own command line, as an operator runs it."""
    plain = url.replace("postgresql://", "postgresql+psycopg://")
    executable = Path(sys.executable).with_name("yoyo")
    options = ["--batch", "--no-config-file", "--database", plain, str(MIGRATIONS), *arguments]
    done = subprocess.run([executable, command, *options], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-1000:]


def by_hand(world: World, name: str) -> None:
    """Apply a migration's SQL as yoyo does, one transaction or statement by statement, without marking it."""
    path = MIGRATIONS / f"{name}.sql"
    if in_one_transaction(name):
        with world.connection.transaction():
            db.run_script(world.connection, path.read_text())
        return
    for statement in read_sql_migration(str(path))[2]:
        world.do(statement.replace("%", "%%"))


def in_one_transaction(name: str) -> bool:
    """What the directive says; to split a migration into its statements takes a hundred times as long."""
    return "-- transactional: false" not in (MIGRATIONS / f"{name}.sql").read_text()


def dump(world: World) -> dict[str, list[Any]]:
    """All that makes up the schema, by name; the order of columns is no part of it."""
    return {
        "columns": world.rows(
            "select table_name, column_name, data_type, character_maximum_length, is_nullable, column_default,"
            " is_identity, identity_generation from information_schema.columns where table_schema = 'public'"
            " and table_name not like '%%yoyo%%' order by 1, 2"
        ),
        "constraints": world.rows(
            "select conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated from pg_constraint"
            " where connamespace = 'public'::regnamespace and conrelid::regclass::text not like '%%yoyo%%'"
            " and contype <> 'n' order by 1, 2"
        ),
        "indexes": world.rows(
            "select indexname, indexdef from pg_indexes where schemaname = 'public' and tablename not like '%%yoyo%%'"
            " order by 1"
        ),
        "functions": world.rows(
            "select proname, pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace"
            " order by 1, 2"
        ),
        "triggers": world.rows(
            "select tgname, pg_get_triggerdef(oid) from pg_trigger where not tgisinternal order by 1"
        ),
        "comments": world.rows(
            "select pg_identify_object(classoid, objoid, objsubid)::text, description from pg_description"
            " left join pg_class on classoid = 'pg_class'::regclass and pg_class.oid = objoid"
            " left join pg_proc on classoid = 'pg_proc'::regclass and pg_proc.oid = objoid"
            " where coalesce(relnamespace, pronamespace) = 'public'::regnamespace order by 1"
        ),
        "options": world.rows(
            "select relname, reloptions from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
            " and relname not like '%%yoyo%%' order by 1"
        ),
    }


def old_rows(world: World, calls: int) -> None:
    """What the old system left behind: everything that its code could write, and more than once."""
    dice = random.Random(2)
    world.do("insert into business (name) select 'business ' || n from generate_series(1, 3) as n")
    insert = (
        "insert into call_log"
        " (business_id, call_sid, direction, from_number, to_number, status, created_at, updated_at)"
        " values (%s, %s, %s, %s, %s, %s, now() - make_interval(mins => %s), now() - make_interval(mins => %s))"
    )
    directions = ("outbound", "outbound-api", "outbound-dial", "inbound", None, "sideways")
    for status in itertools.islice(itertools.cycle(OLD_STATUSES), calls):
        sid = dice.choice([None, None, "", f"CA{dice.randrange(calls // 2):032x}"])
        number = dice.choice([None, "050-123", f"+1500555{dice.randrange(40):04d}"])
        minutes = dice.randrange(100_000)
        world.do(
            insert, dice.randint(1, 3), sid, dice.choice(directions), "+15005550006", number, status, minutes, minutes
        )
    world.do(
        "insert into leads (business_id, phone)"
        " select 1 + n %% 3, '+1500555010' || n %% 7 from generate_series(1, 100) as n"
    )


KEPT = "select id, business_id, from_number, to_number, created_at from call_log order by id"


def test_the_chain_is_applied_on_an_empty_database_and_then_there_is_nothing_to_apply(empty: World) -> None:
    first, second = migrations.migrate(), migrations.migrate()

    assert (first, second) == (ALL, [])
    migrations.require()


def test_yoyo_s_own_command_line_makes_the_same_schema(empty: World, template: str) -> None:
    yoyo("apply", empty.url)

    ours = _world_on(empty, template)
    assert dump(empty) == dump(ours)
    ours.connection.close()
    migrations.require()
    assert migrations.migrate() == []


def _name(world: World) -> str:
    return world.connection.info.dbname


def _world_on(world: World, database: str) -> World:
    return World(world.url.replace(f"/{_name(world)}", f"/{database}"))


def test_the_second_migration_brings_the_two_columns_that_clean_up_once_died_for(empty: World) -> None:
    yoyo("apply", empty.url, "--revision", SECOND)

    columns = empty.rows(
        "select column_name, data_type, character_maximum_length, is_nullable, column_default"
        " from information_schema.columns where table_name = 'call_log' and column_name like 'error%%' order by 1"
    )
    assert columns == [
        ("error_code", "character varying", 64, "YES", None),
        ("error_message", "text", None, "YES", None),
    ]


@pytest.mark.parametrize("how", ["yoyo apply", "outbound migrate"])
def test_an_upgrade_of_the_old_system_keeps_every_row_and_dials_none(empty: World, how: str) -> None:
    yoyo_apply_up_to(FIRST)
    old_rows(empty, 1000)
    calls, leads = (
        empty.rows(KEPT),
        empty.rows("select * from leads order by id"),
    )
    sids = empty.value("select count(distinct call_sid) from call_log where call_sid <> ''")

    yoyo("apply", empty.url) if how == "yoyo apply" else migrations.migrate()

    assert empty.rows(KEPT) == calls
    kept_leads = empty.rows("select id, business_id, phone, created_at, updated_at from leads order by id")
    assert kept_leads == leads
    assert empty.value("select count(*) from leads where duplicate_of is null") == 21
    assert empty.value("select count(*) from call_log where status in ('queued', 'claimed')") == 0
    assert empty.value("select count(*) from call_log where call_sid is not null") == sids
    assert empty.value("select count(*) from call_log where status = 'failed' and error_code = 'unknown_status'") > 0
    assert empty.value("select bool_and(call_status_rank(status) is not null) from call_log")
    assert empty.value("select count(*) from call_log where error_code is not null and error_message is null") == 0


def test_what_the_old_system_left_in_flight_without_a_call_sid_is_closed_by_the_first_clean_up(empty: World) -> None:
    yoyo_apply_up_to(FIRST)
    old_rows(empty, 200)
    migrations.migrate()
    pending = (
        "select count(*) from call_log where call_sid is null and status in ('initiated', 'ringing', 'in-progress')"
    )
    before = empty.value(pending)
    empty.do("update call_log set overdue_at = overdue_at - interval '5 min' where overdue_at is not null")

    cleanup.cleanup_stuck_dialing_jobs()

    assert before > 0
    assert empty.value(pending) == 0


def test_every_migration_has_a_rollback_and_only_ascii() -> None:
    # yoyo reads a file in whatever encoding the machine has.
    for name in ALL:
        assert (MIGRATIONS / f"{name}.rollback.sql").read_text().strip()
        assert (MIGRATIONS / f"{name}.sql").read_text().isascii()


@pytest.mark.timeout(600)  # each migration twice, and a dump after each
@pytest.mark.parametrize("rows", [0, 100])
def test_rolled_back_one_by_one_and_applied_again_the_schema_is_identical(empty: World, rows: int) -> None:
    shapes = {}
    for name in ALL:
        yoyo_apply_up_to(name)
        shapes[name] = dump(empty)
        if name == FIRST and rows:
            old_rows(empty, rows)

    for name, below in zip(reversed(ALL), [*reversed(ALL[:-1]), ""], strict=True):
        if not below and rows:
            with pytest.raises(db.Error, match=rf"it would lose 3 rows of business, {rows} rows of call_log, 100 rows"):
                migrations.rollback("")
            empty.do("truncate business, call_log, leads")
        assert migrations.rollback(below) == [name]
        assert dump(empty) == (shapes[below] if below else {part: [] for part in shapes[FIRST]})
        if below == FIRST:
            assert empty.value("select count(*) from call_log") == rows

    assert migrations.migrate() == ALL
    assert dump(empty) == shapes[ALL[-1]]


def yoyo_apply_up_to(name: str) -> None:
    with migrations._alone() as backend:
        backend.apply_migrations(
            backend.to_apply(migrations._migrations()).filter(lambda migration: migration.id <= name)
        )


def test_a_queue_that_was_rolled_back_and_applied_again_dials_nobody_twice(empty: World) -> None:
    migrations.migrate()
    live = [empty.queued(), empty.claimed(to="+15005550102"), empty.initiated(to="+15005550103", call_sid="CA1")]
    final = empty.initiated(to="+15005550104", call_sid="CA2")
    empty.do("update call_log set status = 'completed' where id = %s", final)

    migrations.rollback(SECOND)
    migrations.migrate()

    assert empty.value("select count(*) from call_log where status in ('queued', 'claimed')") == 0
    assert [row.id for row in empty.rows("select id from call_log order by id")] == [*live, final]
    assert empty.call(final).status == "completed"
    assert empty.call(final).call_sid == "CA2"


def test_a_call_of_a_zone_that_the_server_has_forgotten_keeps_no_migration_from_being_rolled_back(empty: World) -> None:
    migrations.migrate()
    call_id = empty.queued()
    empty.do("alter table call_log disable trigger call_log_zone")
    empty.do("update call_log set status = 'failed', time_zone = 'Mars/Olympus' where id = %s", call_id)
    empty.do("alter table call_log enable trigger call_log_zone")

    migrations.rollback("0018_callee_zones")

    assert empty.call(call_id).time_zone == "Mars/Olympus"


# Two at once, and killed anywhere.


def test_two_that_migrate_at_once_apply_each_migration_once(empty: World) -> None:
    program = "from outbound.database import migrations; print(' '.join(migrations.migrate()))"
    both = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]

    ends = [process.communicate(timeout=60) for process in both]

    assert [process.returncode for process in both] == [0, 0], ends
    assert sorted(said.split() for said, _ in ends) == [[], ALL]
    assert empty.value("select count(*) from _yoyo_log where operation = 'apply'") == len(ALL)


class Chain:
    """A database that goes up the chain of migrations, with rows of the old system, and is copied at each level."""

    def __init__(self, servers: Servers, rows: int) -> None:
        self._servers, self._rows = servers, rows
        self._name = f"outbound_test_chain_{os.getpid()}"
        self._url = create_database(servers, self._name)
        self._level = ""

    @contextmanager
    def below(self, name: str) -> Iterator[World]:
        """A copy that lacks the migration *name* and all after it; ask for the migrations in their order."""
        assert self._level < name
        with Environment(DATABASE_URL=self._url):
            for level in [one for one in ALL if self._level < one < name]:
                yoyo_apply_up_to(level)
                self._level = level
                if level == FIRST:
                    world = World(self._url)
                    old_rows(world, self._rows)
                    world.connection.close()
        with open_database(self._servers, self._name) as url:
            world = World(url)
            yield world
            world.connection.close()

    def drop(self) -> None:
        drop_database(self._servers, self._name)


@pytest.fixture(scope="module")
def chain(servers: Servers) -> Iterator[Chain]:
    chain = Chain(servers, rows=40)
    yield chain
    chain.drop()


def all_rows(world: World) -> dict[str, str]:
    """A hash of what every table holds, but yoyo's own."""
    return {name: found for name, found in digest(world).items() if "yoyo" not in name}


@pytest.mark.parametrize("name", ALL)
def test_a_migration_that_was_applied_and_not_marked_is_applied_again_and_changes_nothing(
    chain: Chain, name: str
) -> None:
    with chain.below(name) as world:
        by_hand(world, name)
        schema, rows = dump(world), all_rows(world)

        yoyo_apply_up_to(name)

        assert migrations.missing_migrations() == ALL[ALL.index(name) + 1 :]
        assert (dump(world), all_rows(world)) == (schema, rows)
        assert world.value("select count(*) from call_log") == (0 if name == FIRST else 40)


def test_a_migration_that_is_applied_again_leaves_what_waits_since(empty: World) -> None:
    name = "0005_call_log_queue"
    yoyo_apply_up_to(ALL[ALL.index(name) - 1])
    by_hand(empty, name)
    empty.do("insert into business (name) values ('Acme')")
    waiting = empty.value(
        "insert into call_log (business_id, direction, from_number, to_number, status)"
        " values (1, 'outbound', '+15005550006', '+15005550101', 'queued') returning id"
    )

    by_hand(empty, name)

    assert empty.call(waiting).status == "queued"


def test_the_lock_of_a_migrate_that_was_killed_is_broken(empty: World) -> None:
    yoyo_apply_up_to(FIRST)
    empty.do("insert into yoyo_lock (locked, ctime, pid) values (1, now(), 0)")

    assert migrations.migrate() == ALL[1:]

    assert empty.value("select count(*) from yoyo_lock") == 0


def test_the_lock_of_a_yoyo_by_hand_is_respected(empty: World) -> None:
    yoyo_apply_up_to(FIRST)
    empty.do("insert into yoyo_lock (locked, ctime, pid) values (1, now(), 4711)")

    with pytest.raises(migrations.MigrationLocked, match=r"4711.*`yoyo break-lock`"):
        migrations.migrate(yoyo_wait_s=0.1)
    with pytest.raises(migrations.MigrationLocked):
        migrations.rollback("", yoyo_wait_s=0.1)

    assert empty.value("select pid from yoyo_lock") == 4711
    assert migrations.missing_migrations() == ALL[1:]


def test_a_rollback_does_not_lose_its_lock_to_a_migrate(empty: World) -> None:
    migrations.migrate()

    with migrations._alone(), db.connect() as other:
        taken = other.execute(migrations.sql.take_migration_lock.sql).fetchone()

    assert taken == (False,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without a name")
def test_a_user_without_a_name_can_migrate(empty: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)  # what getpass asks, and what no /etc/passwd has

    assert migrations.migrate() == ALL


# What a process refuses to start on.


def test_a_schema_older_than_needed_is_refused_with_what_is_missing_and_what_to_run(empty: World) -> None:
    with pytest.raises(migrations.SchemaTooOld, match=rf"{FIRST}, .*`outbound migrate`"):
        migrations.require()

    migrations.migrate()
    empty.do("delete from _yoyo_migration where migration_id = %s", ALL[-1])
    with pytest.raises(migrations.SchemaTooOld) as refusal:
        migrations.require()

    assert str(refusal.value) == f"the database lacks {ALL[-1]}: run `outbound migrate`"


def test_a_newer_schema_is_accepted(world: World) -> None:
    world.do(
        "insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc) values ('f', '9999_later', now())"
    )

    migrations.require()

    assert migrations.migrate() == []


def test_a_schema_of_its_own_that_the_address_names_is_where_everything_is(
    empty: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty.do("create schema calls")
    monkeypatch.setenv("DATABASE_URL", address_of_schema(empty.url, "calls"))
    forget_settings()

    assert migrations.migrate() == ALL

    migrations.require()
    assert empty.value("select count(*) from pg_class where relnamespace = 'public'::regnamespace") == 0
    assert db.with_connection(migrations.current) == "calls"


# What the schema is made of, and what a rollback would cost.


def test_what_the_migrations_make_can_be_told_without_making_it(world: World) -> None:
    with db.connect() as connection:
        made = migrations.parts_of_migrations(connection, "scratch")

        assert made == migrations.parts(connection)

    kinds = {part.kind for part in made}
    assert kinds == {"table", "view", "column", "constraint", "index", "trigger", "function"}
    assert world.value("select count(*) from pg_namespace where nspname = 'scratch'") == 0


def test_a_migration_may_be_named_by_its_number() -> None:
    assert migrations.named("0002") == migrations.named(SECOND) == SECOND
    with pytest.raises(migrations.NoSuchMigration, match=FIRST):
        migrations.named("2")


def test_a_rollback_tells_before_which_tables_and_columns_it_takes(empty: World) -> None:
    migrations.migrate()

    losses = migrations.losses(FIRST)

    assert list(losses) == list(reversed(ALL[1:]))
    assert losses[SECOND] == ["column call_log.error_code", "column call_log.error_message"]
    tables = {row.name for row in empty.rows("select tablename as name from pg_tables where schemaname = 'public'")}
    migrations.rollback(FIRST)
    left = {row.name for row in empty.rows("select tablename as name from pg_tables where schemaname = 'public'")}
    assert {f"table {name}" for name in tables - left} == {
        loss for lost in losses.values() for loss in lost if loss.startswith("table")
    }
    assert migrations.losses(FIRST) == {}


# What the schema itself refuses, from any program.


def refused(world: World, statement: str, *parameters: object) -> str:
    with pytest.raises(psycopg.errors.CheckViolation) as refusal:
        world.do(statement, *parameters)
    return str(refusal.value)


def test_no_call_moves_backwards_or_back_to_life(world: World) -> None:
    ringing = world.initiated(call_sid="CA1")
    world.do("update call_log set status = 'ringing' where id = %s", ringing)
    ended = world.initiated(to="+15005550102", call_sid="CA2")
    world.do("update call_log set status = 'completed' where id = %s", ended)
    dialing = world.initiated(to="+15005550103")

    for call_id, moves in (
        (ringing, ("queued", "claimed", "initiated")),
        (ended, ("queued", "claimed", "initiated", "ringing", "in-progress", "busy", "failed", "canceled")),
        (dialing, ("claimed",)),
    ):
        for status in moves:
            message = refused(world, "update call_log set status = %s where id = %s", status, call_id)
            assert "may not move" in message
            assert str(call_id) in message

    assert [world.call(call_id).status for call_id in (ringing, ended, dialing)] == [
        "ringing",
        "completed",
        "initiated",
    ]


def test_a_call_may_go_back_to_the_queue_only_while_nobody_took_it(world: World) -> None:
    claimed, sent = world.claimed(), world.initiated(to="+15005550102")
    taken = world.initiated(to="+15005550103", call_sid="CA1")

    world.do("update call_log set status = 'queued' where id in (%s, %s)", claimed, sent)

    assert "may not move" in refused(world, "update call_log set status = 'queued' where id = %s", taken)


def test_a_call_closed_for_lack_of_a_call_sid_lives_again_only_with_one(world: World) -> None:
    closed = world.initiated()
    world.do("update call_log set status = 'failed', error_code = 'no_call_sid' where id = %s", closed)

    refused(world, "update call_log set status = 'completed' where id = %s", closed)
    world.do("update call_log set status = 'completed', call_sid = 'CA1', error_code = null where id = %s", closed)

    refused(world, "update call_log set status = 'busy' where id = %s", closed)


def test_a_call_keeps_its_call_sid_and_its_lead_for_ever(world: World) -> None:
    call_id = world.initiated(call_sid="CA1")
    world.do("insert into leads (business_id, phone) select business_id, to_number from call_log")
    world.do("insert into leads (business_id, phone) select business_id, from_number from call_log")
    world.do("update call_log set lead_id = 1")

    for change in (
        "update call_log set call_sid = 'CA2'",
        "update call_log set call_sid = null",
        "update call_log set lead_id = 2",
        "update call_log set lead_id = null",
    ):
        assert "never changes" in refused(world, change)

    assert (world.call(call_id).call_sid, world.call(call_id).lead_id) == ("CA1", 1)


def test_a_change_by_hand_is_dated(world: World) -> None:
    call_id = world.queued()
    before = world.call(call_id).updated_at

    world.do("update call_log set updated_at = '2001-01-01', due_at = now() where id = %s", call_id)

    assert world.call(call_id).updated_at > before


def test_a_row_that_could_get_stuck_or_cannot_be_dialed_is_refused(world: World) -> None:
    world.business()
    insert = (
        "insert into call_log (business_id, direction, from_number, to_number, status, overdue_at, call_sid)"
        " values (1, %s, %s, %s, %s, case when %s then now() end, %s)"
    )
    own, to = "+15005550006", "+15005550101"

    rows: list[tuple[str, tuple[object, ...]]] = [
        ("call_log_status", ("outbound", own, to, "dialing", True, None)),
        ("call_log_status", ("outbound", own, to, "Queued", True, None)),
        ("call_log_direction", ("outbound-api", own, to, "initiated", True, None)),
        ("call_log_deadline", ("outbound", own, to, "claimed", False, None)),
        ("call_log_deadline", ("outbound", own, to, "initiated", False, None)),
        ("call_log_deadline", ("outbound", own, to, "ringing", False, "CA1")),
        ("call_log_deadline", ("outbound", own, to, "in-progress", False, "CA1")),
        ("call_log_dialable", ("outbound", own, "0501234567", "queued", False, None)),
        ("call_log_dialable", ("outbound", own, "+12345", "queued", False, None)),
        ("call_log_dialable", ("outbound", own, "+1234567890123456", "queued", False, None)),
        ("call_log_dialable", ("outbound", own, to + "\n", "queued", False, None)),
        ("call_log_dialable", ("outbound", own, None, "queued", False, None)),
        ("call_log_dialable", ("outbound", "5550006", to, "queued", False, None)),
        ("call_log_dialable", ("outbound", None, to, "queued", False, None)),
        ("call_log_dialable", ("outbound", own, to, "queued", False, "CA1")),
        ("call_log_dialable", ("inbound", own, to, "queued", False, None)),
        ("call_log_dialable", (None, own, to, "queued", False, None)),
    ]
    for constraint, row in rows:
        assert constraint in refused(world, insert, *row), row

    assert world.statuses() == []


def test_a_number_that_is_no_number_belongs_to_nobody(world: World) -> None:
    world.business()

    refused(world, "insert into business_number (phone, business_id) values ('0501234567', 1)")


def test_the_private_parts_of_yoyo_that_migrations_use_are_there() -> None:
    """A newer yoyo that renames one of them fails here, and not at night; pyproject.toml bounds its version."""
    backend = vars(DatabaseBackend)
    ours = ("init_database", "copy", "savepoint", "savepoint_rollback", "_insert_lock_row", "_delete_lock_row")
    (migration, *_) = migrations._migrations()

    assert [name for name in (*ours, "__exit__", "connect") if name not in backend] == []
    assert hasattr(DatabaseBackend, "_is_locked")
    assert {"_depends", "steps"} <= vars(migration).keys()
    assert callable(StepCollector.add_step)
    assert callable(StepCollector.create_steps)


def test_a_function_of_somebody_else_s_that_is_named_like_ours_keeps_its_search_path(world: World) -> None:
    """The migration that gave ours a search_path gave it to all of these names in the schema."""
    world.do("create function why(ticket text) returns text language sql set search_path = crm as 'select ticket'")
    for name in ("0059_callers_path.rollback.sql", "0059_callers_path.sql"):
        world.do((db.sql_dir() / "migrations" / name).read_text().replace("%", "%%"))

    assert world.value("select proconfig from pg_proc where oid = 'why(text)'::regprocedure") == ["search_path=crm"]
    path = world.value("select proconfig from pg_proc where oid = 'why(bigint)'::regprocedure")
    assert path == ["search_path=public, pg_temp"]
