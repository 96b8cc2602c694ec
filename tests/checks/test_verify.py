"""The checks that the old system's three deaths left behind, as an operator runs them."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from outbound import db
from outbound.checks import verify
from outbound.database import migrations
from tests import forked
from tests.conftest import Servers, World, until
from tests.pgbouncer import needs_pgbouncer, pgbouncer

CHECKS = 8
OWN = "select count(*) from pg_namespace where nspname like 'outbound_verify%%'"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "outbound", *arguments]


def environment(**env: str) -> dict[str, str]:
    return os.environ | {"COLUMNS": "200"} | env


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return forked.run(*arguments, env=environment(**env), timeout=100)


def failed(ran: subprocess.CompletedProcess[str]) -> dict[int, str]:
    """The checks that failed, by number, and why."""
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in ran.stdout.splitlines() if "│" in line]
    found: dict[int, str] = {}
    number = 0
    for cells in rows:
        number = int(cells[0] or number)
        if cells[2] == "FAILED" or (not cells[0] and number in found):  # a long reason goes on in the next line
            found[number] = f"{found.get(number, '')} {cells[3]}".strip()
    assert re.search(rf"{CHECKS - len(found)}/{CHECKS} passed", ran.stdout), ran.stdout + ran.stderr
    return found


def everything(world: World) -> dict[str, list[Any]]:
    tables = "select tablename as name from pg_tables where schemaname = 'public' order by 1"
    return {row.name: world.rows(f"table {row.name} order by 1") for row in world.rows(tables)}


@pytest.mark.parametrize("broker", ["redis", "memory"])
def test_on_sound_servers_every_check_passes_and_no_live_row_is_touched(
    world: World, servers: Servers, broker: str
) -> None:
    stale, fresh = world.initiated(), world.queued(to="+15005550102")
    world.age(stale, 1000)
    before = everything(world)

    ran = run("verify", REDIS_URL=servers.redis_url if broker == "redis" else "memory://")

    assert (failed(ran), ran.returncode, ran.stderr) == ({}, 0, "")
    assert everything(world) == before
    assert world.call(fresh).status == "queued"
    assert world.value(OWN) == 0
    assert list(redis.Redis.from_url(servers.redis_url).scan_iter("outbound_verify*")) == []


@pytest.mark.parametrize("marked", [True, False])
def test_without_the_second_migration_s_columns_it_fails_at_checks_3_4_and_6_and_says_why(
    world: World, marked: bool
) -> None:
    rollback = (db.sql_dir() / "migrations" / "0002_call_log_error_fields.rollback.sql").read_text()
    # They read a column that goes.
    world.do("drop view stale_calls")
    world.do("drop function next_deadline, call_fits cascade")
    world.do(rollback.replace("%", "%%"))
    if not marked:
        world.do("delete from _yoyo_migration where migration_id = '0002_call_log_error_fields'")

    ran = run("verify")

    found = failed(ran)
    assert ran.returncode == 1
    assert set(found) == {3, 4, 6} | (set() if marked else {5})
    assert "call_log has no column error_message" in found[3]
    assert "call_log has no column error_code" in found[4]
    assert 'close_without_call_sid cannot run on the live tables: column "error_code"' in found[6]
    assert marked or "lacks 0002_call_log_error_fields: run `outbound migrate`" in found[5]


def test_rolled_back_before_the_second_migration_it_fails_there_too(world: World) -> None:
    rolled_back = run("rollback", "0001", "--yes")
    assert rolled_back.returncode == 0, rolled_back.stderr

    ran = run("verify")

    assert ran.returncode == 1
    assert set(failed(ran)) == {3, 4, 5, 6}


def test_columns_of_another_kind_fail(world: World) -> None:
    world.do("alter table call_log alter column error_message type varchar(9)")
    world.do("update call_log set error_code = '' where error_code is null")
    world.do("alter table call_log alter column error_code set not null")

    found = failed(run("verify"))

    assert found[3] == "call_log.error_message is character varying(9), nullable True"
    assert found[4] == "call_log.error_code is character varying(64), nullable False"


def test_what_a_killed_run_left_is_swept_by_the_next(world: World, servers: Servers) -> None:
    killed = forked.Popen(command("verify"), env=environment(), stdout=subprocess.DEVNULL)
    until(lambda: world.value(OWN) == 1, timeout_s=60)
    name = world.value("select nspname from pg_namespace where nspname like 'outbound_verify%%'")
    killed.kill()
    killed.wait(10)
    redis.Redis.from_url(servers.redis_url).set(f"{name}:dial", "left behind")

    assert failed(run("verify")) == {}

    assert world.value(OWN) == 0
    assert redis.Redis.from_url(servers.redis_url).exists(f"{name}:dial") == 0


def test_a_run_that_is_told_to_stop_leaves_nothing_behind(world: World) -> None:
    stopped = subprocess.Popen(command("verify"), env=environment(), stdout=subprocess.DEVNULL)
    until(lambda: world.value(OWN) == 1, timeout_s=60)

    stopped.send_signal(signal.SIGTERM)

    assert stopped.wait(30) == 143
    assert world.value(OWN) == 0


def test_a_run_that_lives_is_not_swept(world: World) -> None:
    world.do("create schema outbound_verify_0123456789ab")
    world.do("create schema outbound_verify_of_somebody_else")
    with db.connect() as living:
        living.execute("select pg_advisory_lock(hashtext('outbound_verify_0123456789ab'))")

        assert failed(run("verify")) == {}

    assert world.value(OWN) == 2


def test_a_user_who_may_not_create_a_schema_is_told_which_right_is_missing(world: World, servers: Servers) -> None:
    name = world.connection.info.dbname
    world.do("drop role if exists outbound_plain_user")
    world.do("create role outbound_plain_user login password 'plain'")
    try:
        world.do(f"grant usage on schema public to outbound_plain_user; revoke create on database {name} from public")
        world.do("grant select on all tables in schema public to outbound_plain_user")
        login = psycopg.conninfo.make_conninfo(world.url, user="outbound_plain_user", password="plain")
        parameters = psycopg.conninfo.conninfo_to_dict(login)
        url = f"postgresql:///{name}?" + "&".join(
            f"{key}={str(value).replace('/', '%2F')}" for key, value in parameters.items() if key != "dbname"
        )

        ran = run("verify", DATABASE_URL=url)
    finally:
        world.do("drop owned by outbound_plain_user; drop role outbound_plain_user")

    assert ran.returncode == 2
    assert "grant create on database" in ran.stderr


@needs_pgbouncer
def test_behind_a_pooler_that_drops_startup_options_it_keeps_to_a_place_of_its_own(world: World) -> None:
    stale = world.initiated()
    world.age(stale, 1000)
    before = everything(world)

    with pgbouncer(world.url, "session") as url:
        ran = run("verify", DATABASE_URL=url)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert everything(world) == before
    assert world.value(OWN) == 0


def test_rollback_says_what_would_be_lost_and_asks_first(world: World) -> None:
    before = migrations.known_migrations()

    asked = run("rollback", "0006")
    refused = run("rollback", "0999")

    assert (asked.returncode, refused.returncode) == (2, 2)
    assert "table suppression" in asked.stdout
    assert "table call_event" not in asked.stdout
    assert "`outbound rollback 0006 --yes`" in asked.stderr
    assert "there is no migration '0999'" in refused.stderr
    assert migrations.missing_migrations() == []

    done = run("rollback", "0006_call_event", "--yes")

    assert done.returncode == 0, done.stderr
    assert migrations.missing_migrations() == [name for name in before if name > "0006_call_event"]
    assert run("rollback", "0006").stdout == "nothing to roll back\n"


def test_the_statements_of_clean_up_that_are_planned_are_all_that_there_are() -> None:
    text = (db.sql_dir() / "calls" / "cleanup.sql").read_text()
    asked = Path(verify.__file__).read_text()

    for name in re.findall(r"^-- name: (\w+)", text, re.M):
        assert f'"{name}"' in asked
