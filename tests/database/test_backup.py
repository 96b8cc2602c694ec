"""A dump is one file that brings everything back, nothing is lost by mistake, and what comes back dials nobody."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outbound import db
from outbound.calls import dispatch
from outbound.database import backup, identity, migrations, postgres_tools
from outbound.rules import suppression
from tests.cli.test_manners import Outbound, outbound_here
from tests.conftest import Servers, World, open_database

SECRET = "hush-hush"


@pytest.fixture
def outbound(database: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Outbound:
    return outbound_here(monkeypatch, capfd)


@pytest.fixture
def dumped(world: World, outbound: Outbound, tmp_path: Path) -> Path:
    """A dump of a business, a call and a do-not-call entry."""
    world.queued()
    suppression.suppress("+15005550199", actor="dana")
    identity.stop_unless_known(world.connection)
    done = outbound("dump", str(tmp_path / "calls.dump"))
    assert done.returncode == 0, done.stderr
    return tmp_path / "calls.dump"


@pytest.fixture
def another(servers: Servers) -> Iterator[World]:
    """An empty database, and the settings of a process that uses it."""
    with open_database(servers, template=None) as url:
        world = World(url)
        yield world
        world.connection.close()


def content(world: World) -> dict[str, Any]:
    tables = [
        row.name
        for row in world.rows(
            "select relname as name from pg_class where relkind = 'r'"
            " and relnamespace = 'public'::regnamespace order by 1"
        )
    ]
    changed = {"dialing_stop", "audit", "audit_link", "audit_head", "audit_change"}
    return {
        name: world.rows(f"select to_jsonb(t) from {name} as t order by 1")  # noqa: S608 (the catalog's names)
        for name in tables
        if name not in changed
    }


def test_a_dump_brings_everything_back_elsewhere_and_dials_nobody_until_recover(
    world: World, dumped: Path, outbound: Outbound, another: World
) -> None:
    before = content(world)

    done = outbound("restore", str(dumped))

    assert done.returncode == 0, done.stderr
    assert done.stdout == "restored 1 businesses and 1 calls into the schema public\n"
    assert "outbound recover" in done.stderr
    assert content(another) == before
    assert another.value("select reason from dialing_stop where cause = 'recovery'").endswith("Run `outbound recover`.")
    assert another.value("select count(*) from audit where action = 'restore'") == 1
    assert migrations.missing_migrations() == []
    another.worker()
    dispatch.dispatch_once()
    assert another.statuses() == ["queued"]
    assert outbound("audit", "verify").returncode == 0


def test_a_dump_that_comes_back_over_later_calls_stops_dialing_too(
    world: World, dumped: Path, outbound: Outbound
) -> None:
    world.queued(1, "+15005550102")

    refused = outbound("restore", str(dumped))
    assert refused.returncode == 2
    assert "1 businesses, 2 calls" in refused.stderr
    assert "--replace" in refused.stderr
    assert world.statuses() == ["queued", "queued"]

    done = outbound("restore", str(dumped), "--replace", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["calls"], told["dialing_stopped"]) == (1, True)
    assert world.statuses() == ["queued"]
    assert world.value("select count(*) from dialing_stop where cause = 'recovery'") == 1
    world.worker()
    dispatch.dispatch_once()
    assert world.statuses() == ["queued"]


def test_a_restore_while_workers_are_at_work_or_beside_tables_of_others_is_refused(
    world: World, dumped: Path, outbound: Outbound
) -> None:
    world.worker()
    working = outbound("restore", str(dumped), "--replace")
    world.do("delete from worker")
    world.do("create table their_calls (id int)")
    beside = outbound("restore", str(dumped), "--replace")

    assert (working.returncode, beside.returncode) == (2, 2)
    assert "stop outbound on every host" in working.stderr
    assert "their_calls" in beside.stderr
    assert world.statuses() == ["queued"]


def test_a_restore_that_fails_midway_changes_nothing(
    world: World, dumped: Path, outbound: Outbound, another: World
) -> None:
    whole = dumped.read_bytes()
    dumped.write_bytes(whole[: len(whole) // 2])  # its table of contents is there, and not all rows

    done = outbound("restore", str(dumped))

    assert done.returncode == 2
    assert "outbound: " in done.stderr
    assert another.rows("select relname from pg_class where relnamespace = 'public'::regnamespace") == []


def test_a_dump_is_for_its_owner_alone_and_no_password_is_seen(
    world: World, dumped: Path, outbound: Outbound, tmp_path: Path
) -> None:
    assert dumped.stat().st_mode & 0o777 == 0o600

    again = outbound("dump", str(dumped))
    assert (again.returncode, "--overwrite" in again.stderr) == (2, True)
    assert outbound("dump", str(dumped), "--overwrite").returncode == 0
    nowhere = outbound("dump", str(tmp_path / "none" / "calls.dump"))
    assert (nowhere.returncode, "cannot be written" in nowhere.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["calls.dump"]
    address, secret = db.split_password(f"postgresql://me:{SECRET}@db.example/outbound")
    assert SECRET not in address
    assert secret == {"PGPASSWORD": SECRET}


def test_what_is_no_dump_is_refused_and_a_newer_server_asks_for_its_own_tools(
    world: World, outbound: Outbound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "calls.csv").write_text("to\n1")
    for name, words in (("calls.csv", "is no file of `outbound dump`"), ("none.csv", "there is no such file")):
        done = outbound("restore", str(tmp_path / name))
        assert (done.returncode, words in done.stderr) == (2, True)

    newer = db.server()._replace(version_num=990_000)
    monkeypatch.setattr(db, "server", lambda: newer)
    with pytest.raises(backup.CannotBackUp, match=r"PostgreSQL 99, newer than our tools: install its pg_dump"):
        backup._tool("pg_dump")
    for name in ("pg_dump", "pg_restore", "psql"):
        assert os.access(postgres_tools.tool_path(name), os.X_OK)
