"""A schema of our own (OUTBOUND_SCHEMA) in a database whose `public` holds another application's tables."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from outbound import config, db, db_session
from outbound.calls import dispatch, enqueue
from outbound.checks import doctor
from outbound.checks.finding import Finding
from outbound.database import migrations, postgres_tools
from outbound.errors import SettingsError
from outbound.local.supervisor import process_commands
from outbound.monitoring import health
from outbound.rules import business
from outbound.simulator.server import RunningSimulator
from tests import ROOT, forked, yoyo_here
from tests.calls import test_life
from tests.calls.test_life import FAST, System
from tests.checks.test_verify import failed
from tests.conftest import (
    CLAIM,
    Environment,
    Servers,
    World,
    address_of_schema,
    create_database,
    drop_database,
    open_database,
    until,
)
from tests.database.test_database_as_people_have_it import life_of_a_call, outbound, refusal
from tests.pgbouncer import needs_pgbouncer, pgbouncer
from tests.ports import free_ports, take_free_ports

RUNBOOK = ROOT / "ops" / "runbook.md"
OURS = "calls"
# Names that our own tables have, with other columns; one is an index's name, for what looks in the catalog by name.
FOREIGN = """
create table business (id serial primary key, name text, business_type text not null, phone_number text);
create table leads (id serial primary key, tenant_id integer not null, phone_e164 varchar(64), source varchar(32));
create table call_log (
    id serial primary key, business_id integer not null, lead_id integer references leads, call_sid varchar(64),
    status varchar(32), created_at timestamp
);
create table counter (id integer, note text);
create table call_event (note text);
create table dialing_stop (cause text, reason text);
insert into business (name, business_type) values ('theirs', 'clinic');
insert into leads (tenant_id, phone_e164) values (1, '+15005550199');
insert into call_log (business_id, lead_id, status) select 1, 1, 'recorded' from generate_series(1, 20);
insert into dialing_stop values ('recovery', 'theirs');
"""


def theirs(world: World) -> list[object]:
    """All that is in `public`: a digest of each table's rows, and the catalog's entries."""
    tables = world.rows("select tablename as name from pg_tables where schemaname = 'public' order by 1")
    digest = "select md5(string_agg(row::text, ' ' order by row::text)) from public.{} as row"
    catalog = "select oid, xmin::text, relname from pg_class where relnamespace = 'public'::regnamespace order by 1"
    return [*((row.name, world.value(digest.format(row.name))) for row in tables), *world.rows(catalog)]


@contextmanager
def untouched(url: str) -> Iterator[World]:
    """The database, whose `public` stays as it is."""
    with Environment(OUTBOUND_SCHEMA=OURS):
        world = World(url)
        world.do(f"set search_path to {OURS}")
        before = theirs(world)
        yield world
        assert theirs(world) == before
        world.connection.close()


@pytest.fixture
def beside(empty_database: str) -> Iterator[World]:
    """Before `outbound migrate`."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(FOREIGN.encode())
    with untouched(empty_database) as world:
        yield world


@pytest.fixture(scope="module")
def migrated_once(servers: Servers) -> Iterator[str]:
    """A database that is migrated, to be copied."""
    name = f"outbound_test_own_schema_{os.getpid()}"
    url = create_database(servers, name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FOREIGN.encode())
    with Environment(DATABASE_URL=url, OUTBOUND_SCHEMA=OURS):
        migrations.migrate()
    yield name
    drop_database(servers, name)


@pytest.fixture
def migrated(servers: Servers, migrated_once: str) -> Iterator[World]:
    """After `outbound migrate`."""
    with open_database(servers, migrated_once) as url, untouched(url) as world:
        yield world


# The setting.


@pytest.mark.parametrize("name", ["Calls", "my schema", '"calls"', "calls,public", "1st", "pg_calls", "c" * 64])
def test_a_name_that_is_no_plain_identifier_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_SCHEMA", name)

    with pytest.raises(SettingsError, match="OUTBOUND_SCHEMA"):
        config.load()


def test_the_prefix_in_redis_follows_the_schema_unless_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUTBOUND_BROKER_NAMESPACE", raising=False)
    assert config.load().broker_namespace == "outbound"

    monkeypatch.setenv("OUTBOUND_SCHEMA", OURS)
    assert config.load().broker_namespace == OURS

    monkeypatch.setenv("OUTBOUND_BROKER_NAMESPACE", "mine")
    assert config.load().broker_namespace == "mine"


@pytest.mark.parametrize("path", ["public", "calls,public", '"Calls"'])
def test_an_address_that_names_another_schema_is_refused(beside: World, path: str) -> None:
    url = address_of_schema(beside.url, path.replace('"', "%22"))

    for command in ("migrate", "status"):
        line = refusal(url, command)
        assert "OUTBOUND_SCHEMA says calls" in line
        assert "take search_path out of DATABASE_URL's options" in line


@pytest.mark.parametrize("path", ["calls", "CALLS", '"calls"', "calls,pg_temp", "pg_catalog,calls"])
def test_an_address_that_names_the_same_schema_is_taken(migrated: World, path: str) -> None:
    with (
        Environment(DATABASE_URL=address_of_schema(migrated.url, path.replace('"', "%22"))),
        db.connect() as connection,
    ):
        assert connection.execute("show search_path").fetchone() == ("calls, pg_temp",)


def test_search_path_is_taken_out_of_an_address_and_nothing_else() -> None:
    url = "postgresql://me@host/db?host=%2Frun&options=-c%20search_path%3Da%20--search-path=b%20-c%20jit%3Doff&user=me"

    assert db_session.without_search_path(url) == "postgresql://me@host/db?host=%2Frun&options=-c%20jit%3Doff&user=me"
    assert db_session.without_search_path("postgresql://h/d?options=-csearch_path%3Da") == "postgresql://h/d"
    assert db_session.without_search_path("postgresql://h/d") == "postgresql://h/d"


# Migrate makes the schema; without it nothing works, and nothing looks elsewhere.


COMMANDS = (
    "status|worker|scheduler|web|up|verify|cleanup|psql -c select|rollback 0001|recover --yes|purge --older-than-days 9"
    "|enqueue --business 1 --to +15005550101"
)


@pytest.mark.parametrize("arguments", [words.split() for words in COMMANDS.split("|")])
def test_without_the_schema_every_command_says_what_to_run(
    beside: World, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    take_free_ports(monkeypatch)

    line = refusal(beside.url, *arguments)

    assert line == "outbound: there is no schema calls in this database: run `outbound migrate`, which makes it"


def test_without_the_schema_doctor_ready_and_readyz_say_it_too(beside: World) -> None:
    said = "there is no schema calls in this database"

    found = {finding.check: finding for finding in doctor.examine()}

    assert (found["database"].state, found["database"].text) == ("fail", said)
    assert found["database"].mend == "run `outbound migrate`, which makes it"
    assert {found[name].state for name in ("schema", "migrations", "schema drift", "database writable")} == {"skip"}
    assert health.check().missing["database"].startswith(said)


def test_a_schema_that_was_meant_is_named(beside: World) -> None:
    with Environment(OUTBOUND_SCHEMA="another"):
        migrations.migrate()

    with pytest.raises(db.SchemaMissing, match=r"no schema calls .*\(outbound's tables are in another\)"):
        migrations.require()


def test_migrate_makes_the_schema_says_so_and_makes_nothing_elsewhere(beside: World) -> None:
    told: list[str] = []

    applied = migrations.migrate(tell=told.append)

    assert (applied, told) == (migrations.known_migrations(), ["made the schema calls"])
    assert migrations.migrate(tell=told.append) == []
    assert len(told) == 1
    with db.connect() as connection:
        assert connection.execute("show search_path").fetchone() == ("calls, pg_temp",)
        assert migrations.parts(connection) == migrations.parts_of_migrations(connection, "scratch")
    assert db.with_connection(migrations.current) == OURS


def test_of_two_that_migrate_at_once_one_makes_it_and_both_end_well(beside: World) -> None:
    command = [sys.executable, "-m", "outbound", "migrate"]
    both = [forked.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]

    outputs = [process.communicate(timeout=100) for process in both]

    assert [process.returncode for process in both] == [0, 0], outputs
    assert migrations.missing_migrations() == []


@pytest.mark.parametrize("name", ["business", "call_log", "counter", "user", "_"])
def test_the_name_of_the_schema_may_be_a_table_s_or_a_word_of_sql(beside: World, name: str) -> None:
    with Environment(OUTBOUND_SCHEMA=name):
        migrations.migrate()

        with db.connect() as connection:
            assert migrations.parts(connection) == migrations.parts_of_migrations(connection, "scratch")
        beside.do(f'set search_path to "{name}"')
        life_of_a_call(beside)


def test_rolled_back_it_leaves_an_empty_schema(migrated: World) -> None:
    migrations.rollback("")

    left = "select relname from pg_class where relnamespace = 'calls'::regnamespace and relname not like '%%yoyo%%'"
    assert migrated.rows(left) == []
    assert migrated.rows("select from pg_proc where pronamespace = 'calls'::regnamespace") == []
    assert migrations.migrate() == migrations.known_migrations()


# Life beside other tables.


@pytest.fixture
def system(servers: Servers, phones: RunningSimulator, tmp_path: Path, empty_database: str) -> Iterator[System]:
    port = free_ports(1)[0]
    environment = FAST | {"OUTBOUND_WEB_PORT": str(port), "OUTBOUND_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    environment |= {"TWILIO_API_URL": phones.url, "OUTBOUND_SCHEMA": OURS}
    with Environment(**environment):
        system = System(empty_database)
        system.do(FOREIGN)
        migrations.migrate()
        system.do(f"set search_path to {OURS}")
        system.carrier = phones
        phones.reset()
        with forked.processes(process_commands(simulator=False, in_process=False)) as processes:
            system.processes = processes
            until(lambda: system.value("select count(*) from worker") > 0, timeout_s=30)
            yield system
        system.connection.close()


def test_a_call_lives_its_whole_life_beside_tables_of_the_same_names(system: System) -> None:
    before = theirs(system)

    test_life.test_a_call_lives_from_enqueue_to_lead(system)

    assert theirs(system) == before


def test_poisoned_search_paths_change_nothing(migrated: World) -> None:
    name = migrated.connection.info.dbname
    migrated.do(f"alter database {name} set search_path to public, nowhere")
    db.close()

    life_of_a_call(migrated)


def test_a_session_that_sees_the_other_tables_meets_our_guards(migrated: World) -> None:
    call_id = migrated.claimed()
    migrated.do("set search_path to public")

    migrated.do("update calls.call_log set status = 'canceled' where id = %s", call_id)

    with pytest.raises(psycopg.errors.CheckViolation, match="may not move from canceled to queued"):
        migrated.do("update calls.call_log set status = 'queued' where id = %s", call_id)
    unpinned = (
        "select proname from pg_proc, unnest(proconfig) as setting where pronamespace = 'calls'::regnamespace"
        " and setting like 'search_path=%%' and setting <> 'search_path=calls, pg_temp'"
    )
    assert migrated.rows(unpinned) == []


def test_where_no_schema_is_said_ours_is_found_beside_the_other_tables(beside: World) -> None:
    with Environment(OUTBOUND_SCHEMA="outbound"):
        migrations.migrate()
    with Environment(OUTBOUND_SCHEMA=""):
        beside.do("set search_path to outbound")

        life_of_a_call(beside)

        ran = outbound(beside.url, "psql", "-XAtc", "select current_schema(), count(*) from call_log")
        assert (ran.stdout, ran.stderr) == ("outbound|1\n", "")
        found = {finding.check: finding for finding in doctor.examine()}
        assert (found["schema"].state, found["schema"].text) == ("ok", "outbound")
        assert found["schema drift"].state == "ok"


# The operator's tools.


def test_psql_looks_in_our_schema_and_in_no_other(migrated: World) -> None:
    ran = outbound(migrated.url, "psql", "-XAtc", "show search_path")

    assert (ran.stdout, ran.returncode) == ('"calls",pg_temp\n', 0)


@needs_pgbouncer
def test_psql_refuses_to_look_elsewhere_where_a_pooler_drops_the_schema(migrated: World) -> None:
    with pgbouncer(migrated.url, "session") as url:
        assert "a pooler drops search_path" in refusal(url, "psql", "-XAtc", "select 1")
        with Environment(DATABASE_URL=url):
            assert migrations.missing_migrations() == []


def test_psql_opens_where_our_own_commands_refuse_the_database(migrated: World) -> None:
    migrated.do("create role kept_out login")
    try:
        name = migrated.connection.info.dbname
        ran = outbound(as_role(migrated.url, "kept_out"), "psql", "-XAtc", "select current_database()")
        assert (ran.stdout, ran.stderr) == (f"{name}\n", "")
    finally:
        migrated.do("drop role kept_out")


def test_doctor_says_in_which_schema_it_looked_and_whom_it_keeps_out(migrated: World) -> None:
    found = {finding.check: finding for finding in doctor.examine()}
    assert (found["schema"].state, found["schema"].text) == ("ok", "calls, as OUTBOUND_SCHEMA says")
    assert {found[name].state for name in ("migrations", "schema drift", "indexes", "database writable")} == {"ok"}

    migrated.do("create role kept_out")
    try:
        migrated.do("grant select on call_log, leads to kept_out")
        found = {finding.check: finding for finding in doctor.examine()}
        assert found["schema"].state == "warn"
        assert "kept_out" in found["schema"].text
        migrated.do(re.findall("`(.*)`", found["schema"].mend)[0])
        found = {finding.check: finding for finding in doctor.examine()}
        assert found["schema"].state == "ok"
    finally:
        migrated.do("drop owned by kept_out; drop role kept_out")


def test_verify_works_in_a_third_schema_and_touches_neither(migrated: World) -> None:
    migrated.initiated()
    before = migrated.rows("select * from call_log"), migrated.rows("select * from counter order by 1, 2, 3")

    ran = outbound(migrated.url, "verify")

    assert (failed(ran), ran.returncode, ran.stderr) == ({}, 0, "")
    assert (migrated.rows("select * from call_log"), migrated.rows("select * from counter order by 1, 2, 3")) == before
    assert migrated.value("select count(*) from pg_namespace where nspname like 'outbound_verify%%'") == 0


def test_yoyo_by_hand_works_in_the_schema_that_the_address_names(beside: World) -> None:
    beside.do("create schema calls")
    url = address_of_schema(beside.url, OURS)

    yoyo_here.apply_all(url)

    migrations.require()
    assert migrations.migrate() == []
    with db.connect() as connection:
        assert migrations.parts(connection) == migrations.parts_of_migrations(connection, "scratch")
    life_of_a_call(beside)
    with db.connect() as connection:
        db.statements("checks/verify_scratch").empty_tables(connection)
    yoyo_here.roll_back_all(f"{url}%20-coutbound.lose_rows%3Don")
    assert len(migrations.missing_migrations()) == len(migrations.known_migrations())


# Roles.


def as_role(url: str, role: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}").geturl()


def runbook_section() -> str:
    _, _, rest = RUNBOOK.read_text().partition("\n## Beside another application's tables\n")
    return rest.partition("\n## ")[0]


def blocks(language: str) -> list[str]:
    """The section's blocks of one language, for our schema."""
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", runbook_section(), re.M | re.S)
    return [re.sub(r"\boutbound\b", OURS, block) if language == "sql" else block for block in found]


@contextmanager
def documented_roles(world: World) -> Iterator[None]:
    grants = blocks("sql")[0]
    roles = re.findall(r"create role (\w+)", grants)
    assert roles == ["dialer_owner", "dialer_app", "dialer_reader"]
    try:
        world.do(grants)
        yield
    finally:
        world.do(f"drop schema if exists {OURS} cascade")
        for role in roles:
            world.do(f"drop owned by {role} cascade; drop role {role}")


def test_the_grants_of_the_runbook_are_enough_and_no_more(beside: World) -> None:
    with documented_roles(beside):
        with Environment(DATABASE_URL=as_role(beside.url, "dialer_app")):
            with pytest.raises(
                db.UnfitDatabase, match=r"may make no tables in the schema calls.*grant create on schema"
            ):
                migrations.migrate()
            found = {finding.check: finding for finding in doctor.examine()}
            assert (found["schema"].state, found["migrations"].state) == ("fail", "skip")
            assert "`grant create on schema calls to dialer_app`" in found["schema"].mend
        with Environment(DATABASE_URL=as_role(beside.url, "dialer_owner")):
            assert migrations.migrate() == migrations.known_migrations()
        with Environment(DATABASE_URL=as_role(beside.url, "dialer_app")):
            assert migrations.migrate() == []  # nothing is missing: so says the unit that starts with the others
            life_of_a_call(beside)
            business.add("Acme", twiml="<Response/>", phones=["+15005550007"])
            found = {finding.check: finding for finding in doctor.examine()}
            assert found["schema"] == Finding(
                "schema", "ok", "calls, as OUTBOUND_SCHEMA says; this role makes no tables in it"
            )
            assert found["database writable"].state == "ok", found["database writable"]
            assert found["schema drift"].state == "warn"
            for forbidden in ("drop table calls.leads", "create table calls.more ()", "select * from public.leads"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), db.connect() as connection:
                    connection.execute(forbidden.encode())
        with Environment(DATABASE_URL=as_role(beside.url, "dialer_reader")), db.connect() as connection:
            assert connection.execute("select count(*) from call_log").fetchone() == (1,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("update call_log set paused_at = now()")


def test_a_role_that_may_not_make_the_schema_is_told_which_right_it_needs(beside: World) -> None:
    beside.do("create role newcomer login")
    try:
        line = refusal(as_role(beside.url, "newcomer"), "migrate")
        assert "this role may not make it: `create schema calls authorization …`" in line
        assert "`grant create on database …" in line

        migrations.migrate()
        for command in ("status", "migrate"):
            line = refusal(as_role(beside.url, "newcomer"), command)
            assert line.startswith("outbound: this role may not use the schema calls: `grant usage on schema calls to")
    finally:
        beside.do("drop role newcomer")


# Backup and restore.


def test_our_schema_alone_is_dumped_and_restored_beside_the_other_tables(migrated: World, tmp_path: Path) -> None:
    migrated.worker()
    enqueue.enqueue(business_id=migrated.business(), to_number="+15005550101")
    assert db.transact(dispatch._claim)  # the first claim writes down which database this is
    dump_command, restore_command = (line for block in blocks("sh") for line in block.splitlines() if "pg_" in line)
    dump, restore = (
        line.replace("outbound", OURS).replace("postgresql://dialer_owner@db.example.com/crm", migrated.url).split()
        for line in (dump_command.strip(), restore_command.strip())
    )
    binaries = postgres_tools.tool_path("psql").parent
    for words in (dump, restore):
        words[0] = str(binaries / words[0])
    subprocess.run(dump, check=True, capture_output=True, timeout=60, cwd=tmp_path)
    db.close()
    migrated.do(blocks("sql")[1])
    with pytest.raises(db.SchemaMissing):
        migrations.require()

    subprocess.run(restore, check=True, capture_output=True, timeout=60, cwd=tmp_path)

    migrations.require()
    assert migrated.statuses() == ["claimed"]
    with db.connect() as connection:
        assert migrations.parts(connection) == migrations.parts_of_migrations(connection, "scratch")
    # It is an earlier state of the queue: nobody is dialed before the carrier's calls were taken in.
    assert migrated.value("select identity_fault()") == "copy"
    assert db.transact(dispatch._claim) == []
    assert "outbound recover" in str(health.check().missing["dialing"])


def test_a_schema_that_is_renamed_works_once_its_functions_have_the_new_name(migrated: World) -> None:
    migrated.simulated()
    business_id = migrated.business()
    _, _, section = RUNBOOK.read_text().partition("   alter schema outbound rename to calls;\n")
    rename, query = f"alter schema {OURS} rename to renamed", section.partition("   ```")[0]
    call = json.dumps({"business_id": business_id, "to_number": "+15005550101"})
    db.close()
    migrated.do(f"{rename}; set search_path to public")

    with pytest.raises(psycopg.errors.UndefinedFunction):
        migrated.value("select renamed.enqueue_call(%s)", call)
    for (statement,) in migrated.rows(re.sub(r"\bcalls\b", "renamed", query).replace("%", "%%")):
        migrated.do(statement)

    assert migrated.value("select renamed.enqueue_call(%s)", call)["created"]
    with Environment(OUTBOUND_SCHEMA="renamed"), db.connect() as connection:
        assert migrations.parts(connection) == migrations.parts_of_migrations(connection, "scratch")


# Two installations in one database.


def test_two_schemas_of_one_database_share_no_lock(migrated: World) -> None:
    with Environment(OUTBOUND_SCHEMA="others"):
        migrations.migrate()
    migrated.worker()
    migrated.queued()
    other = psycopg.connect(migrated.url, autocommit=True)
    other.execute("set search_path to others")
    lock_names = ("outbound.dispatch", "outbound.broker_works")
    try:
        for lock in lock_names:
            other.execute(f"select pg_advisory_lock(hashtext('{lock}'), 'call_log'::regclass::int)".encode())
        assert other.execute(migrations.sql.take_migration_lock.sql).fetchone() == (True,)
        migrated.do("insert into counter (name, label, slot, value) values ('x', 'y', 0, 1)")

        assert migrations.migrate(wait_s=0.1) == []
        assert [row.status for row in db.transact(dispatch._claim)] == ["claimed"]
        broker_away = {"code": "other", "reason": "away", "away_s": 60, "told_after_s": 5}
        db.run(dispatch.sql.broker_fails, **broker_away)
        assert migrated.value("select count(*) from dialing_stop where cause = 'broker'") == 1

        # In one schema, these locks keep two apart.
        with Environment(OUTBOUND_SCHEMA="others"):
            assert db.transact(dispatch.sql.take_turn) is False
            with pytest.raises(migrations.MigrationLocked, match=rf"pg_terminate_backend\({other.info.backend_pid}\)"):
                migrations.migrate(wait_s=0.1)
    finally:
        other.close()


def test_a_notice_of_one_schema_costs_the_other_a_look_that_finds_nothing(migrated: World) -> None:
    migrated.worker()
    with db.connect() as listener:
        db.listen(listener, "outbound_due")
        with Environment(OUTBOUND_SCHEMA="others"):
            migrations.migrate()
            others_business = business.add("Theirs", twiml="<Response/>", phones=["+15005550008"])
            enqueue.enqueue(business_id=others_business, to_number="+15005550101")

        assert db.wait_for_notice(listener, 10)
        assert db.run(dispatch.sql.claim_due_calls, **CLAIM) == []
