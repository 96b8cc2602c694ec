"""Is everything sound, and if not, how is it mended: a healthy system, and one that is broken in one place each."""

import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
import redis

from outbound.checks import database, doctor
from outbound.rules import control
from outbound.rules.scope import Scope
from outbound.simulator.server import RunningSimulator
from tests import forked
from tests.conftest import Environment, Servers, World, open_database, until
from tests.pgbouncer import needs_pgbouncer, pgbouncer
from tests.ports import free_ports


class Visit:
    """What `outbound doctor --json` said."""

    def __init__(self, ran: subprocess.CompletedProcess[str]) -> None:
        assert "Traceback" not in ran.stderr, ran.stderr
        said = json.loads(ran.stdout)
        self.exit_status = ran.returncode
        self.found: dict[str, Any] = {check["check"]: check for check in said["checks"]}
        assert said["ok"] == (ran.returncode == 0)

    def names(self, state: str) -> set[str]:
        return {name for name, found in self.found.items() if found["state"] == state}

    def only_failing(self, name: str) -> Any:
        """What was found by the one check that failed."""
        assert self.names("fail") == {name}, self.found
        assert self.exit_status == 1
        assert self.found[name]["mend"]
        return self.found[name]


def visit(**env: str) -> Visit:
    return Visit(forked.run("doctor", "--json", env=os.environ | env))


@pytest.fixture(scope="module")
def system(servers: Servers, template: str, phones: RunningSimulator) -> Iterator[World]:
    """A worker, a scheduler and a web process that are well."""
    port = free_ports(1)[0]
    environment = {
        "OUTBOUND_WEB_PORT": str(port),
        "OUTBOUND_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "TWILIO_API_URL": phones.url,
        "OUTBOUND_TICK_S": "0.5",
    }
    with open_database(servers, template) as url, Environment(**environment):
        system = World(url)
        with forked.processes({name: [name] for name in ("worker", "scheduler", "web")}) as processes:
            until(lambda: system.value("select count(*) from worker") > 0, timeout_s=60)
            until(lambda: system.value("select count(*) from duty") >= 4, timeout_s=60)
            until(lambda: _listens(port), timeout_s=60)
            yield system
            processes.tend()
        system.connection.close()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_in_a_healthy_system_nothing_fails(system: World) -> None:
    before = system.rows("select oid from pg_class order by 1"), system.rows("select nspname from pg_namespace")

    seen = visit()

    assert (seen.names("fail"), seen.names("skip"), seen.exit_status) == (set(), set(), 0), seen.found
    # A simulator, and a superuser of the tests' own server: that is said, and stops nobody.
    assert seen.names("warn") == {"carrier", "database role"}
    assert len(seen.found) == 28
    assert all(found["said"] == found["text"] for found in seen.found.values())  # its former name, for one release
    assert (
        system.rows("select oid from pg_class order by 1"),
        system.rows("select nspname from pg_namespace"),
    ) == before


def test_the_table_says_the_same_to_people(system: World) -> None:
    ran = forked.run("doctor", env=os.environ | {"COLUMNS": "160"})

    assert ran.returncode == 0, ran.stdout
    for check in visit().found:
        assert check in ran.stdout
    assert "OUTBOUND_CARRIER=twilio" in ran.stdout


# The database.


def test_a_database_that_is_away_is_said_and_what_needs_it_is_skipped(system: World) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{free_ports(1)[0]}/calls"

    seen = visit(DATABASE_URL=nowhere)

    assert "refused" in seen.only_failing("database")["text"]
    assert {"migrations", "schema drift", "workers", "scheduler", "pooler"} <= seen.names("skip")
    assert seen.found["workers"]["text"] == "needs migrations"
    assert {"broker", "public URL", "callbacks"} <= seen.names("ok")


def test_a_password_is_never_shown(system: World) -> None:
    nowhere = f"postgresql://somebody:hunter2@127.0.0.1:{free_ports(1)[0]}/calls"

    assert "hunter2" not in json.dumps(visit(DATABASE_URL=nowhere).found)


@contextmanager
def broken(system: World, breaks: str, mends: str) -> Iterator[None]:
    system.do(breaks)
    try:
        yield
    finally:
        system.do(mends)


def test_an_index_whose_concurrent_build_failed_is_found(system: World) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        system.do("create unique index concurrently half_built on phone_zone ((1))")

    with broken(system, "select", "drop index half_built"):
        found = visit().only_failing("indexes")

    assert found["text"] == "invalid: half_built"
    assert "reindex index concurrently half_built" in found["mend"]


@pytest.mark.parametrize(
    ("breaks", "mends", "named"),
    [
        (
            "alter table call_event drop column received_at",
            "alter table call_event add column received_at timestamptz not null default now()",
            "column call_event.received_at",
        ),
        (
            "alter index call_log_overdue rename to gone",
            "alter index gone rename to call_log_overdue",
            "index call_log.call_log_overdue",
        ),
        (
            "alter table call_log rename constraint call_log_deadline to gone",
            "alter table call_log rename constraint gone to call_log_deadline",
            "constraint call_log.call_log_deadline",
        ),
        (
            "alter trigger call_log_guard on call_log rename to gone",
            "alter trigger gone on call_log rename to call_log_guard",
            "trigger call_log.call_log_guard",
        ),
    ],
)
def test_what_somebody_took_from_the_schema_is_named(system: World, breaks: str, mends: str, named: str) -> None:
    with broken(system, breaks, mends):
        found = visit().only_failing("schema drift")

    assert found["text"].startswith("missing: ")
    assert named in found["text"]


def test_a_function_that_somebody_changed_is_named(system: World) -> None:
    original = system.value("select pg_get_functiondef('call_is_in_doubt'::regproc)")
    changed = (
        "create or replace function call_is_in_doubt(status text, error_code text) returns boolean"
        " language sql immutable parallel safe return false"
    )
    with broken(system, changed, original):
        found = visit().only_failing("schema drift")

    assert found["text"] == "not as the migrations make it: function call_is_in_doubt(status text, error_code text)"


def test_what_somebody_added_is_a_warning(system: World) -> None:
    added = "create index by_hand on call_log (created_at); create table not_ours (id int)"
    with broken(system, added, "drop index by_hand; drop table not_ours"):
        seen = visit()

    assert (seen.names("fail"), seen.exit_status) == (set(), 0)
    assert seen.found["schema drift"]["text"] == "not made by these migrations: index call_log.by_hand"


def test_a_missing_migration_fails_and_says_which_command_to_run(system: World) -> None:
    last = system.value("select max(migration_id) from _yoyo_migration")
    take, give = "update _yoyo_migration set migration_id = '{}' where migration_id = '{}'", "9999_taken"
    with broken(system, take.format(give, last), take.format(last, give)):
        found = visit().only_failing("migrations")

    assert last in found["text"]
    assert found["mend"] == "run `outbound migrate`"


def test_a_migration_that_this_version_does_not_know_is_a_warning(system: World) -> None:
    # The schema goes first in an upgrade: a gate must let the older hosts through.
    later = (
        "insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc) values ('f', '9999_later', now())"
    )
    with broken(system, later, "delete from _yoyo_migration where migration_id = '9999_later'"):
        seen = visit()

    assert (seen.names("fail"), seen.exit_status) == (set(), 0)
    assert "9999_later" in seen.found["migrations"]["text"]


def test_a_database_that_takes_no_writes_fails(system: World) -> None:
    name = system.connection.info.dbname
    with broken(
        system,
        f"alter database {name} set default_transaction_read_only = on",
        f"set default_transaction_read_only = off; alter database {name} reset default_transaction_read_only",
    ):
        found = visit().only_failing("database writable")

    assert "read-only" in found["text"]


def test_a_table_without_autovacuum_fails(system: World) -> None:
    off, on = "set (autovacuum_enabled = false)", "reset (autovacuum_enabled)"
    with broken(system, f"alter table duty {off}", f"alter table duty {on}"):
        seen = visit()

    assert seen.names("fail") == {"autovacuum", "schema drift"}
    assert "alter table duty reset" in seen.found["autovacuum"]["mend"]


def test_a_snapshot_that_is_held_for_long_is_named(system: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_SNAPSHOT_WARN_S", 0)
    with psycopg.connect(system.url, application_name="a report") as reporting:
        reporting.execute("select count(*) from call_log")
        reporting.execute("declare held cursor for select * from call_log")
        said = database._snapshots()

    assert said.state == "warn"
    assert "a report, idle in transaction" in said.text


@needs_pgbouncer
def test_a_pooler_that_lends_by_the_transaction_is_found_out(system: World) -> None:
    with pgbouncer(system.url, "transaction") as url:
        found = visit(DATABASE_URL=url).only_failing("pooler")

    assert "session" in found["mend"]


@needs_pgbouncer
def test_a_pooler_that_keeps_sessions_is_told_from_none(system: World) -> None:
    with pgbouncer(system.url, "session") as url:
        seen = visit(DATABASE_URL=url)

    assert (seen.names("fail"), seen.exit_status) == (set(), 0), seen.found
    assert seen.found["pooler"]["state"] == "warn"


# The broker.


def test_a_broker_that_is_away_is_said_and_what_needs_it_is_skipped(system: World) -> None:
    seen = visit(REDIS_URL=f"redis://127.0.0.1:{free_ports(1)[0]}/0")

    assert seen.only_failing("broker")
    assert seen.names("skip") == {"broker policy", "broker clock"}


def test_a_broker_that_may_evict_nudges_fails(system: World, servers: Servers) -> None:
    client = redis.Redis.from_url(servers.redis_url)
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        found = visit().only_failing("broker policy")
    finally:
        client.config_set("maxmemory-policy", "noeviction")

    assert "allkeys-lru" in found["text"]


class _OffBy(socketserver.ThreadingTCPServer):
    """A broker whose clock is wrong: it hands everything on, and answers TIME itself."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, redis_url: str, ahead_s: int) -> None:
        self.redis_url, self.ahead_s = redis_url, ahead_s
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(socketserver.BaseRequestHandler):
    server: _OffBy

    def handle(self) -> None:
        connection = redis.Redis.from_url(self.server.redis_url).connection_pool.get_connection()
        upstream: Any = connection._sock  # connected, and logged in where that is needed
        upstream.settimeout(None)
        threading.Thread(target=self._pump, args=(upstream,), daemon=True).start()
        while asked := self.request.recv(65_536):
            if asked.upper().endswith(b"$4\r\nTIME\r\n"):
                seconds = str(int(time.time()) + self.server.ahead_s).encode()
                self.request.sendall(b"*2\r\n$%d\r\n%s\r\n$1\r\n0\r\n" % (len(seconds), seconds))
            else:
                upstream.sendall(asked)

    def _pump(self, upstream: socket.socket) -> None:
        with suppress(OSError):
            while data := upstream.recv(65_536):
                self.request.sendall(data)


@pytest.mark.parametrize(("ahead_s", "state"), [(3600, "fail"), (-20, "warn")])
def test_a_clock_that_is_off_is_measured(system: World, servers: Servers, ahead_s: int, state: str) -> None:
    with _OffBy(servers.redis_url, ahead_s) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        seen = visit(REDIS_URL=f"redis://127.0.0.1:{proxy.server_address[1]}/0")
        proxy.shutdown()

    assert seen.found["broker clock"]["state"] == state, seen.found
    assert ("ahead of" if ahead_s > 0 else "behind") in seen.found["broker clock"]["text"]
    assert "NTP" in seen.found["broker clock"]["mend"]


# The carrier, and its way back.


def test_a_carrier_that_does_not_let_us_in_fails(system: World) -> None:
    # Another token than the carrier's is another one than the web process's too.
    seen = visit(TWILIO_AUTH_TOKEN="another-token-than-the-carriers")

    assert seen.names("fail") == {"carrier", "callbacks"}
    assert "TWILIO_AUTH_TOKEN" in seen.found["carrier"]["mend"]


def test_a_public_url_that_leads_nowhere_fails(system: World) -> None:
    seen = visit(OUTBOUND_PUBLIC_URL=f"http://127.0.0.1:{free_ports(1)[0]}")

    assert "refused" in seen.only_failing("public URL")["text"]
    assert seen.names("skip") == {"callbacks"}


def test_a_public_url_that_leads_to_somebody_else_fails(system: World, phones: RunningSimulator) -> None:
    found = visit(OUTBOUND_PUBLIC_URL=phones.url).only_failing("public URL")

    assert "not as ours" in found["text"]


def test_a_web_process_with_another_token_fails(system: World, phones: RunningSimulator) -> None:
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    another = {"OUTBOUND_WEB_PORT": str(port), "OUTBOUND_PUBLIC_URL": url, "TWILIO_AUTH_TOKEN": "another-token"}
    web = forked.Popen([sys.executable, "-m", "outbound", "web"], env=os.environ | another)
    try:
        until(lambda: _listens(port), timeout_s=60)
        found = visit(OUTBOUND_PUBLIC_URL=url).only_failing("callbacks")
    finally:
        web.terminate()
        web.wait(30)

    assert "TWILIO_AUTH_TOKEN" in found["mend"]


# The processes, in a system of its own, in which none runs.


def test_without_workers_and_scheduler_it_says_which_to_start(world: World, carrier: RunningSimulator) -> None:
    seen = visit()

    assert "outbound worker" in seen.found["workers"]["mend"]
    assert seen.found["scheduler"]["text"] == "it has never run"
    assert {"workers", "scheduler"} <= seen.names("fail")


def test_a_worker_and_a_scheduler_that_fell_silent_are_found(world: World, carrier: RunningSimulator) -> None:
    world.worker()
    world.scheduler()
    assert {"workers", "scheduler"} <= visit().names("ok")

    world.do("update worker set seen_at = now() - interval '11 s'")
    world.do("update duty set last_success_at = now() - interval '61 s' where name = 'no_call_sid'")
    seen = visit()

    assert {"workers", "scheduler"} <= seen.names("fail")
    assert seen.found["scheduler"]["text"] == "not within 60 s: no_call_sid"


def test_a_pause_is_a_warning_that_says_who_and_why(world: World, carrier: RunningSimulator) -> None:
    control.pause(Scope("account", ""), reason="Lunch", actor="anna")

    seen = visit().found["dialing"]

    assert seen["state"] == "warn"
    assert " by anna: Lunch. `outbound resume everything` lets it go." in seen["text"]


# Webhooks.

KEY = "0123456789abcdef" * 2


def endpoint(world: World, **values: object) -> None:
    """An endpoint whose address has a secret in its path."""
    given = {"url": "https://hooks.example.com:8443/services/T0/hush", "created_by": "test"} | values
    world.do(
        f"insert into webhook_endpoint ({', '.join(given)}) values ({', '.join(['%s'] * len(given))})",  # noqa: S608
        *given.values(),
    )


def test_an_endpoint_that_is_off_or_fails_is_named_without_its_path(world: World, carrier: RunningSimulator) -> None:
    endpoint(world)
    assert visit(OUTBOUND_WEBHOOK_KEY=KEY).found["webhooks"]["state"] == "ok"

    endpoint(world, state="off", state_reason="It answered 410: it is gone.")
    endpoint(world, failures=7, failing_since="2026-11-30 09:00+00")
    found = visit(OUTBOUND_WEBHOOK_KEY=KEY).found["webhooks"]

    assert found["state"] == "warn"
    assert "endpoint 2 (https://hooks.example.com:8443) is off: It answered 410: it is gone" in found["text"]
    assert "endpoint 3 (https://hooks.example.com:8443) fails since" in found["text"]
    assert "7 times in a row" in found["text"]
    assert "hush" not in str(found)


def test_endpoints_without_the_key_fail(world: World, carrier: RunningSimulator) -> None:
    assert visit().found["webhooks"]["state"] == "ok"

    endpoint(world)
    found = visit().found["webhooks"]

    assert found["state"] == "fail"
    assert found["text"] == "OUTBOUND_WEBHOOK_KEY is not set: nothing is sent to any endpoint"


@pytest.mark.parametrize(
    ("allowed", "state"),
    [("0.0.0.0/0", "warn"), ("10.0.0.0/8, 128.0.0.0/1", "warn"), ("::/0", "warn"), ("10.0.0.0/8,fc00::/7", "ok")],
)
def test_a_setting_that_opens_networks_of_others_is_a_warning(
    world: World, carrier: RunningSimulator, allowed: str, state: str
) -> None:
    assert visit(OUTBOUND_WEBHOOK_ALLOW=allowed).found["webhooks"]["state"] == state


def test_a_schema_that_was_never_made_fails_without_a_traceback(empty_database: str) -> None:
    seen = visit()

    assert seen.found["migrations"]["mend"] == "run `outbound migrate`"
    assert {"schema drift", "workers", "scheduler"} <= seen.names("skip")


def test_settings_that_are_wrong_are_told_and_nothing_else_is_looked_at(system: World) -> None:
    found = visit(OUTBOUND_RING_S="soon").only_failing("settings")

    assert found["text"].startswith("OUTBOUND_RING_S: ")


def test_what_is_skipped_for_wrong_settings_is_every_other_check() -> None:
    refused = doctor.refused(["OUTBOUND_RING_S: wrong"])

    assert [found.check for found in refused[1:]] == [check.name for check in doctor.CHECKS]
    assert not doctor.is_sound(refused)
