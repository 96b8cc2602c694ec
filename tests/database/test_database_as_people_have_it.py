"""The database as people have it: settings of roles and databases, encodings, poolers, dumps, errors."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from outbound import db, db_session
from outbound.calls import cleanup, dispatch, enqueue, events
from outbound.database import error_messages, migrations, postgres_tools
from outbound.monitoring import metrics
from tests import forked
from tests.conftest import CLAIM, Environment, Servers, World, address_of_schema, begin, open_database
from tests.pgbouncer import needs_pgbouncer, pgbouncer
from tests.test_api import promised

HOSTILE = {
    "default_transaction_isolation": "serializable",
    "DateStyle": "'SQL, DMY'",
    "IntervalStyle": "sql_standard",
    "TimeZone": "'Asia/Kathmandu'",
    "search_path": "''",
    "standard_conforming_strings": "off",
    "client_encoding": "LATIN1",
    "row_security": "on",
    "enable_indexscan": "off",
    "enable_nestloop": "off",
    "jit": "on",
    "plan_cache_mode": "force_custom_plan",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "quote_all_identifiers": "on",
    "lock_timeout": "'1ms'",
    "statement_timeout": "'1min'",
    "idle_session_timeout": "'1s'",
    "exit_on_error": "on",
    "session_replication_role": "replica",
    "synchronous_commit": "off",
    "lc_messages": "'C'",
}


def hostile(world: World, settings: dict[str, str]) -> None:
    """Let every later session of this database begin with these settings."""
    for name, value in settings.items():
        world.do(f"alter database {world.connection.info.dbname} set {name} to {value}")
    db.close()


def life_of_a_call(world: World) -> None:
    """From the queue to the lead's nudge, by the service's own statements."""
    call_id = enqueue.enqueue(business_id=world.business("שלום"), to_number="+15005550101").call_id
    world.worker()
    (claimed,) = db.run(dispatch.sql.claim_due_calls, **CLAIM)
    assert claimed.id == call_id
    assert begin(call_id) is not None
    reports: list[dict[str, object]] = [
        {
            "call_id": call_id,
            "call_sid": "CA1",
            "status": status,
            "source": "callback",
            "signed_for": [""],
            "payload": {},
        }
        for status in ("ringing", "completed")
    ]
    for report in reports:
        db.run(events.sql.record_reports, reports=db.json([report]), ring_s=60, talk_s=60, lead_s=30, relook_s=10)
    db.run(cleanup.sql.release_overdue_claims, batch_max=10, only_id=None)
    metrics.read()
    assert world.call(call_id).status == "completed"


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_the_database_sets_a_call_lives_its_whole_life(world: World, name: str) -> None:
    hostile(world, {name: HOSTILE[name]})

    life_of_a_call(world)


def test_all_of_it_at_once_does_not_matter_either(world: World) -> None:
    hostile(world, HOSTILE)

    life_of_a_call(world)


def test_migrations_do_not_mind_either(empty_database: str) -> None:
    empty = World(empty_database)
    empty.do("create schema other")
    hostile(empty, HOSTILE | {"search_path": "other"})

    migrations.migrate()

    assert migrations.missing_migrations() == []
    with db.connect() as connection:
        assert migrations.parts(connection) == migrations.parts_of_migrations(connection, "scratch")
    empty.connection.close()


def test_the_environment_of_libpq_changes_nothing(world: World) -> None:
    wild = {"PGOPTIONS": "-c search_path=nowhere -c jit=on", "PGTZ": "Asia/Kathmandu", "PGDATESTYLE": "SQL, DMY"}
    with Environment(**wild, PGCLIENTENCODING="SQL_ASCII"):
        life_of_a_call(world)


def test_a_trigger_that_is_off_for_the_role_is_refused_where_we_may_not_turn_it_on(world: World) -> None:
    with role_of(world) as url:
        world.do("alter role outbound_tester set session_replication_role = replica")

        with pytest.raises(db.UnfitDatabase, match="session_replication_role"), db.connect(url):
            pass


@contextmanager
def role_of(world: World) -> Iterator[str]:
    """A role of its own without any right, and the database's address for it."""
    name = world.connection.info.dbname
    world.do("drop role if exists outbound_tester")
    world.do("create role outbound_tester login password 'hush'")
    try:
        parts = urlsplit(world.url)
        host = parts.netloc.rpartition("@")[2]
        yield parts._replace(netloc=f"outbound_tester:hush@{host}").geturl()
    finally:
        world.do(f"drop owned by outbound_tester; revoke all on database {name} from outbound_tester")
        world.do("drop role outbound_tester")


def test_our_tables_are_found_where_the_session_looks_elsewhere(empty_database: str) -> None:
    world = World(empty_database)
    world.do("create schema calls")
    world.do("create schema other")
    with Environment(DATABASE_URL=address_of_schema(world.url, "calls")):
        migrations.migrate()
    hostile(world, {"search_path": "other"})

    assert migrations.missing_migrations() == []
    assert db.with_connection(migrations.current) == "calls"
    world.connection.close()


def test_among_several_schemas_nobody_guesses(empty_database: str) -> None:
    world = World(empty_database)
    for name in ("one", "two"):
        world.do(f"create schema {name}")
        with Environment(DATABASE_URL=address_of_schema(world.url, name)):
            migrations.migrate()

    with pytest.raises(db.UnfitDatabase, match="one, two each hold"):
        migrations.require()
    world.connection.close()


def test_what_the_address_asks_for_is_set_and_nothing_of_it_is_sent_at_the_start() -> None:
    asked = db_session.settings_of(r"-csearch_path=calls -c application_name=a\ b --work-mem=4MB -d 1")

    assert asked == ({"search_path": "calls", "application_name": "a b", "work_mem": "4MB"}, "-d 1")


# What cannot be.


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_another_encoding_is_refused_in_one_line_by_every_command(
    database: str, servers: Servers, encoding: str
) -> None:
    name = f"outbound_test_{encoding.lower()}_{os.getpid()}"
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        made = f"create database {name} encoding '{encoding}' locale 'C' locale_provider libc template template0"
        admin.execute(made.encode())
        try:
            parts = urlsplit(servers.database_url)
            url = parts._replace(path=f"/{name}").geturl()
            for command in ("migrate", "status", "worker"):
                assert f"the encoding of the database is {encoding}" in refusal(url, command)
            ran = outbound(url, "doctor")
            assert (ran.returncode, "Traceback" in ran.stderr) == (1, False)
            assert encoding in ran.stdout
        finally:
            admin.execute(f"drop database {name} with (force)".encode())


def test_a_server_that_is_too_old_is_refused() -> None:
    with pytest.raises(db.UnfitDatabase, match=r"PostgreSQL 13\.14: upgrade it to 14"):
        db_session.refuse_unfit(130014, "UTF8")


def outbound(url: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return forked.run(*arguments, env=os.environ | {"DATABASE_URL": url, "COLUMNS": "200"} | env)


def refusal(url: str, *arguments: str) -> str:
    """The one line with which a command ended."""
    ran = outbound(url, *arguments)
    assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
    (line,) = ran.stderr.splitlines()
    assert line.startswith("outbound: ")
    return line


# Functions carry their own search_path.

_UNBOUND = """
with recursive reached as (
    select pg_proc.oid, prosqlbody is not null as is_bound, proconfig
      from pg_depend
     inner join pg_proc on pg_proc.oid = refobjid
     where refclassid = 'pg_proc'::regclass and classid <> 'pg_proc'::regclass
       and pronamespace = 'public'::regnamespace
    union
    select oid, prosqlbody is not null, proconfig from pg_proc
     where pronamespace = 'public'::regnamespace and proname = any(%s)
    union
    select pg_proc.oid, prosqlbody is not null, pg_proc.proconfig
      from reached
     inner join pg_depend on classid = 'pg_proc'::regclass and objid = reached.oid and refclassid = 'pg_proc'::regclass
     inner join pg_proc on pg_proc.oid = refobjid
     where is_bound and pronamespace = 'public'::regnamespace
)
select oid::regprocedure::text as name
  from reached
 where not is_bound and not coalesce('search_path=public, pg_temp' = any(proconfig), false)
"""


def test_every_function_that_others_call_finds_its_names_anywhere(world: World) -> None:
    """Those that a trigger, constraint, index, default or view calls, and those that docs/api.md has."""
    # `create or replace` drops the search_path: a migration that does so to one of them runs the block of 0025 or 0059
    # again.
    assert world.rows(_UNBOUND, promised()["functions"]) == []


def test_a_change_from_a_session_that_sees_nothing_of_ours_meets_the_guards(world: World) -> None:
    call_id = world.claimed()
    world.do("set search_path to ''")

    world.do("update public.call_log set status = 'canceled' where id = %s", call_id)

    with pytest.raises(psycopg.errors.CheckViolation, match="may not move from canceled to queued"):
        world.do("update public.call_log set status = 'queued' where id = %s", call_id)


def test_a_dump_is_restored_with_its_rows_and_guards(world: World, servers: Servers) -> None:
    world.initiated(call_sid="CA1")
    world.queued(to="+15005550102")
    binaries = postgres_tools.tool_path("psql").parent
    dumped = subprocess.run(
        [binaries / "pg_dump", world.url], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    with open_database(servers, template=None) as url:
        restored = World(url)
        hostile(restored, {"search_path": "nowhere"})
        restore = [str(binaries / "psql"), "-Xqv", "ON_ERROR_STOP=1", url]
        subprocess.run(restore, input=dumped, check=True, capture_output=True, text=True, timeout=60)

        restored.do("set search_path to ''")
        assert restored.value("select count(*) from public.call_log") == 2
        with pytest.raises(psycopg.errors.CheckViolation):
            restored.do("update public.call_log set call_sid = 'CA2' where call_sid = 'CA1'")
        migrations.require()
        with db.connect() as connection:
            assert migrations.parts(connection) == migrations.parts_of_migrations(connection, "scratch")
        restored.connection.close()


# Sessions that migrate waits for, and poolers.


def test_migrate_says_whom_it_waits_for_and_gives_up(world: World) -> None:
    world.do("set application_name to 'left behind'")
    world.do("select pg_advisory_lock(hashtext('outbound.migrate'), hashtext('public'))")
    told: list[str] = []
    pid = world.connection.info.backend_pid

    with pytest.raises(migrations.MigrationLocked, match=rf"left behind.*pg_terminate_backend\({pid}\)"):
        migrations.migrate(wait_s=0.1, tell=told.append)

    assert len(told) == 1
    assert f"process {pid} (application left behind" in told[0]


@needs_pgbouncer
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_by_the_transaction_is_refused_by_every_command_and_keeps_nothing(world: World, mode: str) -> None:
    with pgbouncer(world.url, mode) as url:
        for command in ("migrate", "status", "scheduler"):
            assert "a pooler lends connections by the transaction" in refusal(url, command)

        ran = outbound(url, "doctor")
        assert (ran.returncode, "Traceback" in ran.stderr) == (1, False)
        left = world.value("select count(*) from pg_locks where locktype = 'advisory'")
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as other:
            path = other.execute("show search_path").fetchone()

    assert (left, path) == (0, ('"$user", public',))


@needs_pgbouncer
@pytest.mark.parametrize("ignored", ["options", ""])
def test_a_pooler_by_the_session_is_as_good_as_none(world: World, ignored: str) -> None:
    with pgbouncer(world.url, "session", ignored=ignored) as url, Environment(DATABASE_URL=url):
        world.url = url
        hostile(world, {name: value for name, value in HOSTILE.items() if name != "idle_session_timeout"})

        assert migrations.migrate() == []
        life_of_a_call(world)

        with Environment(DATABASE_URL=f"{url}?options=-csearch_path%3Dpublic"):
            assert migrations.missing_migrations() == []


# Errors are one line.


def test_a_role_without_rights_is_told_what_it_lacks(world: World) -> None:
    with role_of(world) as url:
        assert "permission denied for table" in refusal(url, "status")
        ran = outbound(url, "doctor")

    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("53100", "the database's disk is full"),
        ("53200", "the database is out of memory"),
        ("53300", "the database has too many connections"),
        ("57P01", "the database ended the connection"),
        ("57014", "the database gave up a statement"),
        ("55P03", "a lock is held by somebody else"),
        ("40001", "the database gave up a transaction"),
        ("25006", "the database takes no writes"),
        ("22021", "the database cannot hold this text"),
        ("58030", "the database server has trouble with its files"),
        ("XX001", "the database server has trouble of its own"),
    ],
)
def test_what_fails_in_the_database_is_one_line(world: World, state: str, words: str) -> None:
    world.do(
        "create function fails() returns trigger language plpgsql as"
        f" $$begin raise exception using errcode = '{state}', message = 'it failed', detail = '+15005550101'; end$$"
    )
    world.do("create trigger fails before insert on business execute function fails()")

    line = refusal(world.url, "business", "add", "--name", "Acme", "--twiml", "<Response/>")

    assert line.startswith(f"outbound: {words}")
    assert "+15005550101" not in line


def test_a_small_dev_shm_is_told_from_a_full_disk() -> None:
    segment = psycopg.errors.DiskFull('could not resize shared memory segment "/PostgreSQL.1": No space left on device')
    file = psycopg.errors.DiskFull('could not extend file "base/5/1": No space left on device')

    assert "shm-size" in str(error_messages.line_of(segment))
    assert "free space" in str(error_messages.line_of(file))


@pytest.mark.parametrize("table", ["call_log", "call_event", "counter", "leads", "worker", "duty", "audit"])
@pytest.mark.parametrize(("state", "words"), [("53100", "disk is full"), ("42501", "may not do that")])
def test_doctor_writes_and_names_the_table_that_cannot_be_written(
    world: World, table: str, state: str, words: str
) -> None:
    world.do(
        "create function fails() returns trigger language plpgsql as"
        f" $$begin raise exception using errcode = '{state}', message = 'it failed'; end$$"
    )
    world.do(f"create trigger fails before insert or update on {table} execute function fails()")
    from outbound.checks import database, doctor
    from outbound.checks.finding import Check

    said = doctor._run(Check("database writable", database._writable))

    assert said.state == "fail"
    assert said.text.startswith(f"{table}: ")
    assert words in said.text
    assert said.mend
    assert world.value("select count(*) from business") == 0


# Standard output.


@pytest.mark.parametrize(
    "arguments", [("--help",), ("version",), ("status",), ("status", "--json"), ("business", "list", "--json")]
)
def test_a_full_disk_behind_standard_output_is_one_line_and_status_1(database: str, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        ran = forked.run(*arguments, stdout=full)

    assert ran.returncode == 1
    assert ran.stderr == "outbound: what was printed could not be written: No space left on device\n"


@pytest.mark.parametrize("arguments", [("--help",), ("status",), ("status", "--json")])
def test_a_reader_that_left_is_no_trouble(database: str, arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = forked.run(*arguments, stdout=writer)
    finally:
        os.close(writer)

    assert (ran.returncode, ran.stderr) == (1, "")
