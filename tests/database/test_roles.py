"""The database's four roles: each signs in, does all that it must, and is denied the rest."""

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

import outbound
from outbound import db
from outbound.calls import cleanup, enqueue, lead, retention
from outbound.checks import doctor
from outbound.database import migrations, postgres_tools, roles
from outbound.local.supervisor import process_commands
from outbound.monitoring import metrics
from outbound.rules import audit, business, calling_window, campaign, consent, control, retry_policy, suppression
from outbound.rules.scope import scope_of
from outbound.simulator.server import RunningSimulator
from tests import forked
from tests.calls import test_life
from tests.calls.test_life import FAST, System
from tests.conftest import Environment, Servers, World, open_database, until
from tests.database.test_database_as_people_have_it import life_of_a_call
from tests.database.test_own_schema import as_role
from tests.database.test_sql import STATEMENTS, try_statement
from tests.ports import free_ports

Denied = psycopg.errors.InsufficientPrivilege
HELLO = "<Response><Say>Hello</Say></Response>"
# What the owner alone runs: it makes or drops tables, or touches those of the system before.
OWNERS = (
    "database/backup",
    "adopt/batches",
    "adopt/calls",
    "adopt/jobs",
    "checks/verify",
    "checks/verify_old",
    "checks/verify_scratch",
)
OWNERS_STATEMENTS = {
    ("database/migrations", "break_own_yoyo_lock"),  # migrate's
    ("checks/database", "grow_a_file"),  # who may make no table is spared this look
    ("calls/person", "unmention"),  # a person is forgotten by the owner, in whatever table they stand
    ("calls/person", "erase_audit"),
}

_names = iter(range(1_000_000))


class Roles:
    """An account for each role, which signs in without a password, as the tests' own server lets everybody."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.prefix = f"calls_{world.connection.info.dbname[-20:]}_{next(_names)}"
        roles.apply(self.prefix)
        for name in roles.NAMES:
            world.do(f"create user {self.account(name)} in role {self.prefix}_{name}")

    def account(self, name: str) -> str:
        return f"{self.prefix}_{name}_account"

    def url(self, name: str) -> str:
        return as_role(self.world.url, self.account(name))

    def connect(self, name: str) -> psycopg.Connection:
        return psycopg.connect(self.url(name), autocommit=True)

    def denies(self, name: str, *queries: str) -> None:
        with self.connect(name) as connection:
            for query in queries:
                with pytest.raises(Denied):
                    connection.execute(query.encode())

    def drop(self) -> None:
        self.world.do(f"reassign owned by {self.prefix}_owner to current_user")
        for name in roles.NAMES:
            self.world.do(f"drop owned by {self.account(name)}, {self.prefix}_{name} cascade")
            self.world.do(f"drop role {self.account(name)}, {self.prefix}_{name}")


@pytest.fixture
def four(world: World) -> Iterator[Roles]:
    four = Roles(world)
    try:
        yield four
    finally:
        db.close()
        four.drop()


# The application.


@pytest.mark.parametrize(
    ("step", "name"), [one for one in STATEMENTS if one[0] not in OWNERS and one not in OWNERS_STATEMENTS]
)
def test_the_application_may_run_every_statement_of_its_own(application: str, step: str, name: str) -> None:
    if step == "adopt/bridge":
        pytest.skip("the tables of the system before are granted by their owner")
    with psycopg.connect(application) as connection:
        try_statement(connection, step, name)


@pytest.fixture(scope="module")
def application(servers: Servers, template: str) -> Iterator[str]:
    with open_database(servers, template) as url:
        four = Roles(World(url))
        yield four.url("application")
        db.close()
        four.drop()
        four.world.connection.close()


def test_the_application_may_enqueue_by_sql_and_nobody_else_may(four: Roles, world: World) -> None:
    world.simulated()
    call = f"""'{{"business_id": {world.business()}, "to_number": "+15005550101"}}'"""
    with four.connect("application") as connection:
        row = connection.execute(f"select enqueue_call({call})".encode()).fetchone()
        assert row is not None
        connection.execute("select why(%s)", [row[0]["call_id"]])
        connection.execute("select cancel_call(%s)", [row[0]["call_id"]])

    assert world.statuses() == ["canceled"]
    for name in ("reader", "voice"):
        four.denies(name, f"select enqueue_call({call})", "select why(1)", "select cancel_call(1)")


def test_the_application_does_all_that_an_operator_asks_for(
    four: Roles, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Environment(DATABASE_URL=four.url("application")):
        assert migrations.missing_migrations() == []
        acme = business.add("Acme", twiml=HELLO, default_region="US", phones=["+15005550006"])
        business.change(acme, name="Acme Dental")
        recall = campaign.add(acme, {"name": "Recall"}, actor="Dana")
        campaign.change(recall, {"live_max": 3}, actor="Dana")
        retry_policy.add(acme, "usual", "busy: 5m", per_day=3, per_week=5, actor="Dana")
        hours = calling_window.add("office", "mon-fri 09:00-17:00", actor="Dana")
        calling_window.assign("business", acme, hours, actor="Dana")
        calling_window.assign("business", acme, None, actor="Dana")
        suppression.suppress("+15005550199", actor="Dana", business_id=acme)
        consent.give_consent("+15005550101", actor="Dana", business_id=acme)
        scope = scope_of("business", str(acme))
        control.pause(scope, reason="lunch", actor="Dana")
        control.resume(scope, actor="Dana")
        call = enqueue.enqueue(campaign_id=recall, to_number="+15005550101")
        control.cancel(scope_of("call", str(call.call_id)), actor="Dana")
        life_of_a_call(world)
        lead._create("CA1")
        cleanup.cleanup_stuck_dialing_jobs()
        metrics.read()
        retention.purge(8)
        assert len(audit.latest(100)) > 5
        found = {finding.check: finding for finding in doctor.examine()}
    assert found["database role"].state == "ok"
    assert found["database writable"].state == "ok", found["database writable"]
    assert found["migrations"].state == "ok"
    assert world.value("select count(*) from leads") == 1


def test_a_call_lives_from_enqueue_to_lead_while_every_process_is_the_application(
    servers: Servers, template: str, phones: RunningSimulator
) -> None:
    port = free_ports(1)[0]
    environment = FAST | {"OUTBOUND_WEB_PORT": str(port), "OUTBOUND_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    with open_database(servers, template) as url, Environment(**environment, TWILIO_API_URL=phones.url):
        system = System(url)
        four = Roles(system)
        system.carrier = phones
        phones.reset()
        with (
            Environment(DATABASE_URL=four.url("application")),
            forked.processes(process_commands(simulator=False, in_process=False)) as processes,
        ):
            system.processes = processes
            until(lambda: system.value("select count(*) from worker") > 0, timeout_s=60)
            test_life.test_a_call_lives_from_enqueue_to_lead(system)
        four.drop()
        system.connection.close()


def test_the_application_changes_no_table_no_audit_and_no_record_of_migrations(four: Roles) -> None:
    four.denies(
        "application",
        "drop table leads",
        "alter table call_log drop column error_message",
        "alter table call_log disable trigger all",
        "create table more ()",
        "truncate call_log cascade",
        "create or replace function call_contact(call_sid text) returns jsonb return '{}'::jsonb",
        "update audit set who = 'somebody else'",
        "delete from audit",
        "truncate audit",
        "delete from _yoyo_migration",
        "insert into _yoyo_migration (migration_hash) values ('x')",
        "delete from phone_zone",
        f"set role {four.prefix}_owner",
        "create role more",
        "copy call_log to program 'true'",
        "select pg_read_file('/etc/hostname')",
    )


# The owner.


def test_the_owner_migrates_back_and_forth_and_rules_what_it_makes(four: Roles, world: World) -> None:
    last = migrations.known_migrations()[-1]
    with Environment(DATABASE_URL=four.url("owner")):
        assert migrations.rollback(migrations.known_migrations()[-2]) == [last]
        assert migrations.migrate() == [last]
        db.with_connection(lambda connection: connection.execute("create table audit_more (id bigint, who text)"))
        db.with_connection(lambda connection: connection.execute("create table more (id bigint, phone text)"))
        assert roles.apply(four.prefix) == [f"{four.prefix}_{name}" for name in roles.NAMES]
        assert [found.state for found in doctor.examine() if found.check == "database role"] == ["warn"]
    owners = "select distinct relowner::regrole::text as name from pg_class where relnamespace = 'public'::regnamespace"
    assert [row.name for row in world.rows(owners)] == [f"{four.prefix}_owner"]
    four.denies("application", "insert into audit_more values (1, 'Dana')", "drop table more")
    with four.connect("application") as connection:
        connection.execute("select * from audit_more")
        connection.execute("update more set id = 1")
    four.denies("reader", "select phone from more")
    four.denies("owner", "create database more", "create role more", "copy call_log to program 'true'")


def test_the_application_claims_between_a_migration_and_the_next_roles(four: Roles, world: World) -> None:
    """Before: permission denied for view cap_room, in each claim of every scheduler until `outbound roles` was run."""
    migrations.rollback("0042_comments")
    migrations.migrate()

    with four.connect("application") as connection:
        connection.execute("select * from room_of_scopes(null, null, 1)")
        connection.execute("select * from queue_load, stale_calls, scope_usage")


def test_roles_are_made_while_a_process_and_we_wait_for_each_other(world: World) -> None:
    """Before: `deadlock detected; try again`, where the scheduler of a running system read in another order."""
    prefix = f"calls_{world.connection.info.dbname[-20:]}_busy"
    waits = "select exists (select from pg_locks where not granted and relation = 'leads'::regclass)"
    with psycopg.connect(world.url, autocommit=True) as process, ThreadPoolExecutor(1) as threads:
        process.execute("set deadlock_timeout = '10min'")  # so it is never the one that PostgreSQL gives up
        process.execute("begin; select from leads")
        made = threads.submit(roles.apply, prefix)
        until(lambda: world.value(waits) or made.done())
        process.execute("select from call_log")
        process.execute("commit")

        assert made.result() == [f"{prefix}_{name}" for name in roles.NAMES]

    world.do(f"reassign owned by {prefix}_owner to current_user")
    for name in roles.NAMES:
        world.do(f"drop owned by {prefix}_{name} cascade")
        world.do(f"drop role {prefix}_{name}")


def test_a_table_that_an_account_of_the_owner_made_is_ruled_whoever_asks(four: Roles) -> None:
    with four.connect("owner") as connection:
        connection.execute("create table more (id bigint)")
    four.denies("application", "insert into more values (1)")

    roles.apply(four.prefix)  # as a superuser

    with four.connect("application") as connection:
        connection.execute("insert into more values (1)")


# The reader.


def test_the_reader_counts_and_sees_no_number_and_nothing_that_somebody_wrote(four: Roles, world: World) -> None:
    call_id = world.initiated(call_sid="CA1")
    world.do(
        "insert into dial_control (scope, key, live_max) values ('business', '1', 5), ('number', '+15005560001', 3);"
        "insert into spend_cap (scope, key, calls_per_hour) values ('business', '1', 7)"
    )
    with four.connect("reader") as connection:
        seen = connection.execute("select id, business_id, status, call_sid, created_at, overdue_at from call_log")
        assert seen.fetchall()[0][:4] == (call_id, 1, "initiated", "CA1")
        for query in (
            "select count(*) from call_event where call_id > 0",
            "select count(*), max(created_at) from leads",
            "select id, name from business",
            "select id, name from campaign",
            "select name, label, sum(value) from counter group by name, label",
            "select scope, state, live_max from dial_control",
            "select id, at, scope from audit",
            "select migration_id from _yoyo_migration",
            "select * from queue_load",
            "select * from stale_calls",
        ):
            connection.execute(query.encode())
        used = connection.execute(
            b"select scope, business_id, live, live_max, calls_this_hour, calls_per_hour, held_until from scope_usage"
        )
        assert [row[:6] for row in used if row[0] == "business"] == [("business", 1, 1, 5, 0, 7)]
        numbers = connection.execute(
            b"select count(*), count(from_number) from scope_usage_now() where scope = 'number'"
        )
        assert numbers.fetchone() == (1, 0)
    four.denies(
        "reader",
        "select * from call_log",
        "select to_number from call_log",
        "select from_number from call_log",
        "select contact from call_log",
        "select idempotency_key from call_log",
        "select error_message from call_log",
        "select phone from leads",
        "select phone from suppression",
        "select phone from business_number",
        "select key from dial_control",
        "select details from audit",
        "select payload from call_event",
        "select twiml from business",
        "select voice_url from campaign",
        "select from_number from lane",
        "select from_number from scope_usage",
        "select call_contact('CA1')",
        "select is_suppressed('+15005550101', 1, null)",
        "update call_log set paused_at = now()",
        "insert into audit (who, action, scope, key) values ('x', 'x', 'account', '')",
        "create table more ()",
        "create temp table more () on commit drop; select to_number from call_log",
    )


def test_get_call_and_why_are_the_applications_and_not_the_readers(four: Roles, world: World) -> None:
    call_id = world.initiated(call_sid="CA1")

    with four.connect("application") as connection:
        found = outbound.get_call(connection, call_id)
        assert (found and found.call_id, bool(outbound.why(connection, call_id).sentence)) == (call_id, True)
    with four.connect("reader") as connection:
        with pytest.raises(outbound.BadConnection, match="grant outbound_application"):
            outbound.get_call(connection, call_id)
        with pytest.raises(outbound.BadConnection, match="grant outbound_application"):
            outbound.why(connection, call_id)


def test_no_column_that_a_reader_sees_is_one_that_may_hold_a_number(four: Roles, world: World) -> None:
    granted = world.rows(
        "select attrelid::regclass::text as relation, attname::text as name, atttypid::regtype::text as type"
        "  from pg_attribute inner join pg_class on pg_class.oid = attrelid"
        " where relnamespace = 'public'::regnamespace and attnum > 0 and not attisdropped"
        "   and has_column_privilege(%s::text, attrelid, attnum, 'select')",
        f"{four.prefix}_reader",
    )

    assert len(granted) > 50
    odd = r"phone|number|contact|payload|details|reason|who|note|source|message|key|twiml|url|email|address"
    assert [
        row for row in granted if re.search(odd, row.name) and row.type in ("text", "jsonb", "bytea", "text[]")
    ] == []


# The voice application.


def test_the_voice_application_asks_for_the_contact_of_a_live_call_and_for_nothing_else(
    four: Roles, world: World
) -> None:
    live, over = world.initiated(call_sid="CA1"), world.initiated(to="+15005550102", call_sid="CA2")
    world.do('update call_log set contact = \'{"name": "Dana"}\'')
    world.do("update call_log set status = 'completed', ended_at = now(), overdue_at = null where id = %s", over)

    with four.connect("voice") as connection:
        ask = b"select call_contact('CA1'), call_contact('CA2'), call_contact('CA3'), call_contact(null)"
        assert connection.execute(ask).fetchone() == ({"name": "Dana"}, None, None, None)
        for status in ("ringing", "in-progress"):
            world.do("update call_log set status = %s where id = %s", status, live)
            assert connection.execute(b"select call_contact('CA1')").fetchone() == ({"name": "Dana"},)
        connection.execute(b"set search_path to pg_temp, public")
        connection.execute(b"create temp table call_log (call_sid text, status text, contact jsonb)")
        assert connection.execute(b"select public.call_contact('CA1')").fetchone() == ({"name": "Dana"},)
    tables = [row.name for row in world.rows("select tablename as name from pg_tables where schemaname = 'public'")]
    assert len(tables) > 20
    four.denies(
        "voice",
        *(f"select from {table}" for table in tables),
        *(f"delete from {table}" for table in tables),  # noqa: S608
        "select from lane",
        "select is_suppressed('+15005550101', 1, null)",
        "select has_consent(1, '+15005550101')",
        "create table more ()",
    )


def test_nobody_executes_call_contact_who_was_not_let(world: World, four: Roles) -> None:
    world.do(f"create user {four.prefix}_stranger")
    try:
        with psycopg.connect(as_role(world.url, f"{four.prefix}_stranger"), autocommit=True) as connection:
            for query in (b"select call_contact('CA1')", b"select id from call_log"):
                with pytest.raises(Denied):
                    connection.execute(query)
    finally:
        world.do(f"drop user {four.prefix}_stranger")


# The script.


def test_twice_is_once(four: Roles, world: World) -> None:
    acl = "select relname, relacl::text, relowner from pg_class where relnamespace = 'public'::regnamespace order by 1"
    before = world.rows(acl)

    roles.apply(four.prefix)

    assert world.rows(acl) == before


def test_psql_runs_the_same_script(four: Roles, world: World) -> None:
    world.do(f"grant update on audit to {four.prefix}_application")
    script = db.sql_dir() / "roles.sql"
    command = [
        str(postgres_tools.tool_path("psql")),
        four.url("owner"),
        "-Xq",
        "-v",
        "ON_ERROR_STOP=1",
        "--single-transaction",
    ]
    command += ["-c", f"set outbound.role_prefix = '{four.prefix}'", "-f", str(script)]

    subprocess.run(command, check=True, capture_output=True, timeout=60)

    four.denies("application", "update audit set who = 'x'")


def test_tables_of_others_keep_their_owner_and_their_grants(world: World) -> None:
    world.do("create role others; create table theirs (id bigint); alter table theirs owner to others")
    four = Roles(world)
    try:
        assert world.value("select relowner::regrole::text from pg_class where relname = 'theirs'") == "others"
        four.denies("application", "select from theirs")
    finally:
        db.close()
        four.drop()
        world.do("drop table theirs; drop role others")


@pytest.mark.parametrize("prefix", ["Calls", "a b", "pg_calls", "x'; drop table leads; --", "", "a" * 60])
def test_a_prefix_that_is_no_plain_name_is_refused(world: World, prefix: str) -> None:
    with pytest.raises(roles.BadPrefix):
        roles.apply(prefix)


def test_the_command_works_as_the_owner_that_the_settings_name(four: Roles, world: World, tmp_path: Path) -> None:
    with Environment(
        DATABASE_URL=four.url("application"),
        OUTBOUND_OWNER_DATABASE_URL=four.url("owner"),
        OUTBOUND_DATA_DIR=str(tmp_path),
    ):
        for arguments in (["migrate"], ["roles", "--prefix", four.prefix]):
            done = forked.run(*arguments)
            assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"{four.prefix}_{name}" for name in roles.NAMES]
