"""
One version apart, both ways: yesterday's processes on tomorrow's schema, and today's on yesterday's.

The rule: a migration only adds (expand), and what a version still uses is taken away by the version after the next
(contract).  So the schema goes first, while the processes of the version before go on.
"""

import os
from collections.abc import Iterator

import pytest

from outbound.database import migrations
from outbound.local.supervisor import Processes
from outbound.simulator.server import RunningSimulator
from tests import forked
from tests.conftest import Environment, Servers, World, forget_settings, open_database, until
from tests.database.test_sql import STATEMENTS, try_statement
from tests.ports import free_ports

ALL = migrations.known_migrations()
PROCESSES = ("worker", "scheduler", "web")

# What the next version's migrations may do, all at once: everything that expands.
TOMORROW = """
alter table call_log add column tomorrow text null;
alter table call_log add column tomorrows_count integer not null default 0;
alter table call_event add column tomorrow jsonb null;
alter table business add column tomorrow boolean not null default false;
create table tomorrows_table (call_id bigint primary key, noted_at timestamptz not null default now());
create index tomorrows_index on call_log (tomorrow) where tomorrow is not null;
create or replace function tomorrows_function(status text) returns boolean language sql immutable return status is null;
insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc) values ('f', '9999_tomorrow', now());
"""


@pytest.fixture
def tomorrow(world: World) -> World:
    world.do(TOMORROW)
    return world


@pytest.mark.parametrize(("step", "name"), STATEMENTS)
def test_every_statement_of_today_runs_on_tomorrow_s_schema(tomorrow_once: World, step: str, name: str) -> None:
    try_statement(tomorrow_once.connection, step, name)


@pytest.fixture(scope="module")
def tomorrow_once(servers: Servers, template: str) -> Iterator[World]:
    with open_database(servers, template) as url:
        world = World(url)
        world.do(TOMORROW)
        yield world
        world.connection.close()


def test_processes_of_today_live_through_tomorrow_s_migration_and_on_its_schema(
    world: World, carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_ports(1)[0]
    monkeypatch.setenv("OUTBOUND_WEB_PORT", str(port))
    monkeypatch.setenv("OUTBOUND_PUBLIC_URL", f"http://127.0.0.1:{port}")
    forget_settings()
    business_id = world.business()

    def calls_live(first: int, last: int) -> None:
        for number in range(first, last + 1):
            world.queued(business_id, f"+15005{number:04d}01")
        ended = "select count(*) from call_log where lead_id is not null and status = 'completed'"
        until(lambda: world.value(ended) == last, timeout_s=60)

    with forked.processes({name: [name] for name in PROCESSES}) as running:
        until(lambda: world.value("select count(*) from worker") > 0, timeout_s=60)
        calls_live(1, 20)  # so many that the server has planned each statement for good
        before = running.pids()

        world.do(TOMORROW)  # while they run

        calls_live(21, 40)
        running.tend()
        assert running.pids() == before  # none of them died of it
    with forked.processes({name: [name] for name in PROCESSES}):  # and they start on it
        calls_live(41, 45)

    assert len(carrier.log()) == 45


def test_a_newer_schema_is_no_reason_to_refuse(tomorrow: World) -> None:
    migrations.require()

    assert migrations.unknown_migrations() == ["9999_tomorrow"]
    assert migrations.migrate() == []


@pytest.mark.parametrize("command", [*PROCESSES, "enqueue", "cleanup", "purge"])
def test_on_yesterday_s_schema_everything_refuses_and_touches_no_row(world: World, command: str) -> None:
    migrations.rollback(ALL[-2])
    rows = [world.initiated(), world.claimed(to="+15005550102"), world.queued(to="+15005550103")]
    for call_id in rows:
        world.age(call_id, 10_000)
    before = world.rows("select * from call_log order by id")
    arguments = {
        "enqueue": ["--business", "1", "--to", "+15005550104"],
        "purge": ["--older-than-days", "8"],
    }

    refused = forked.run(command, *arguments.get(command, []), env=os.environ | {"OUTBOUND_WEB_PORT": "0"})

    assert refused.returncode == 2
    assert refused.stderr == f"outbound: the database lacks {ALL[-1]}: run `outbound migrate`\n"
    assert world.rows("select * from call_log order by id") == before
    assert world.value("select count(*) from worker") == 0


def test_after_the_migration_the_same_processes_start_and_take_up_what_waited(
    world: World, carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_ports(1)[0]
    business_id = world.business()
    with Environment(
        OUTBOUND_WEB_PORT=str(port), OUTBOUND_PUBLIC_URL=f"http://127.0.0.1:{port}", TWILIO_API_URL=carrier.url
    ):
        migrations.rollback(ALL[-2])
        call_id = world.queued(business_id)
        with forked.processes({name: [name] for name in PROCESSES}) as refusing:  # again and again, as by systemd
            until(lambda: _has_died(refusing), timeout_s=60)

            migrations.migrate()

            def done() -> bool:
                refusing.tend()
                return world.call(call_id).lead_id is not None

            until(done, timeout_s=90)

    assert world.call(call_id).status == "completed"
    assert len(carrier.log()) == 1


def _has_died(processes: Processes) -> bool:
    first = processes.pids()
    processes.tend()
    return any(processes.pids()[name] != pid for name, pid in first.items())
