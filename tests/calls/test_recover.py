"""A restored, promoted or copied database dials nobody until what the carrier knows has been taken in."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dramatiq
import pytest
import redis

from outbound import broker, config, db
from outbound.calls import dial, dispatch, lead, reconcile, recover
from outbound.carrier import CarrierCall
from outbound.carrier.twilio import carrier as line
from outbound.checks import doctor
from outbound.database import identity, migrations, postgres_tools
from outbound.failpoint import RECOVERY_POINTS
from outbound.local import embedded_servers
from outbound.monitoring import health, why
from outbound.simulator.server import RunningSimulator
from tests import forked
from tests.conftest import SETTINGS, Environment, Servers, World, begin, until

FROM = "+15005550006"
THREADS = 4
LATER = 400  # calls until the backup, more than recovery binds in one batch


def number(place: int) -> str:
    """One of 10,000 phones that are answered."""
    return f"+1500{place:05}01"


def at_once(_seconds: float) -> None:
    """The simulator's list does not lag, and everything that was begun here has ended."""


@pytest.fixture
def workers(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Worker threads on a broker inside this process; what this gives dispatches until nothing more is claimed."""
    with running_workers(monkeypatch) as drain:
        yield drain


@contextmanager
def running_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    inside = broker.make(broker.IN_PROCESS)
    for actor in (dial.dial_call, lead.create_lead_from_call_job):
        inside.declare_actor(actor)
        monkeypatch.setattr(actor, "broker", inside)
    threads = dramatiq.Worker(inside, worker_timeout=20, worker_threads=THREADS)
    threads.start()

    worker_id = uuid.uuid4()

    def drain() -> None:
        dispatch.heartbeat(worker_id, THREADS)
        while dispatch.dispatch_once():
            inside.join(dial.dial_call.queue_name)
            dispatch.heartbeat(worker_id, THREADS)
        inside.join(lead.create_lead_from_call_job.queue_name)

    try:
        yield drain
    finally:
        threads.stop()


def rung(carrier: RunningSimulator) -> Counter[str]:
    """How often each phone rang."""
    return Counter(entry["to"] for entry in carrier.log() if entry["rang"])


def enqueue(world: World, business_id: int, first: int, past: int) -> None:
    world.do(
        "insert into call_log (business_id, from_number, to_number)"
        " select %s, %s, '+1500' || lpad(n::text, 5, '0') || '01' from generate_series(%s::int, %s::int) as n",
        *(business_id, FROM, first, past - 1),
    )


@contextmanager
def home(directory: Path, carrier: RunningSimulator) -> Iterator[World]:
    """A server of one's own in *directory*, and this process working for it."""
    with embedded_servers.servers(directory, broker=False, durable=False) as servers:
        url = servers.database_url or ""
        settings = SETTINGS | {"DATABASE_URL": url, "TWILIO_API_URL": carrier.url, "OUTBOUND_DATA_DIR": str(directory)}
        settings |= {"OUTBOUND_CARRIER_TIMEOUT_S": "40", "OUTBOUND_HOLD_MAX_S": "0"}  # on a busy machine too
        with Environment(**settings, OUTBOUND_BROKER_NAMESPACE=f"recover_{directory.name}".lower()):
            identity.forget()
            migrations.migrate()
            world = World(url)
            if not world.value("select count(*) from business"):
                world.business(phone=FROM)
            yield world
            world.connection.close()


@pytest.fixture
def directory() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="outbound-recover-"))
    made.chmod(0o755)  # as root, PostgreSQL runs as nobody
    yield made
    shutil.rmtree(made, ignore_errors=True)


def copy(source: Path, target: Path) -> None:
    """Of a stopped server, as a snapshot of its disk would be: same cluster, same time line, same database."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", source, target], check=True)


@pytest.mark.timeout(900)  # 510 calls, and three starts of a server
def test_after_a_restore_no_phone_rings_twice(
    directory: Path, carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outbound.carrier.twilio_rest.PAGE_SIZE", 200)  # the carrier's list has several pages
    with home(directory, carrier) as world, running_workers(monkeypatch) as drain:
        enqueue(world, 1, 0, 100)
        dial_all(world, drain)
        enqueue(world, 1, 100, LATER)
    copy(directory / "postgres", directory / "backup")
    with home(directory, carrier) as world, running_workers(monkeypatch) as drain:
        enqueue(world, 1, LATER, LATER + 100)  # of these the backup knows nothing
        dial_all(world, drain)
        begun = world.value("select sum(calls) from dials_begun")
        until(lambda: sum(kept(directory).values()) == begun)
    until(lambda: len(rung(carrier)) == LATER + 100)
    copy(directory / "backup", directory / "postgres")

    with home(directory, carrier) as world, running_workers(monkeypatch) as drain:
        waiting = world.value("select min(id) from call_log where status = 'queued'")
        drain()
        assert set(rung(carrier).values()) == {1}, "nothing is dialed before it is recovered"
        assert "outbound recover" in health.check().missing["dialing"]
        assert why.why(waiting).code == "stopped_recovery"
        (found,) = [found for found in doctor.examine() if found.check == "identity"]
        assert (found.state, "set back to an earlier moment" in found.text) == ("fail", True)

        report = recover.recover(wait=at_once)

        assert (report.bound, report.added, report.unsure, report.let_go) == (LATER - 100, 100, [], True)
        enqueue(world, 1, 2000, 2010)
        dial_all(world, drain)
        until(lambda: len(rung(carrier)) == LATER + 110)
        assert set(rung(carrier).values()) == {1}
        assert world.value("select count(*) from call_log where call_sid is null") == 0
        assert "dialing" not in health.check().missing


def dial_all(world: World, drain: Callable[[], None]) -> None:
    """Until nothing waits, also what could not be sent at once."""

    def is_done() -> bool:
        world.do("update call_log set due_at = now() where status = 'queued' and due_at > now()")
        drain()
        return not world.value("select count(*) from call_log where status in ('queued', 'claimed')")

    until(is_done, timeout_s=600)


def kept(directory: Path) -> dict[str, int]:
    """What the host's file says."""
    found: dict[str, int] = json.loads(next(directory.glob("dials.*.json")).read_text())["dials"]
    return found


def test_a_database_on_another_time_line_is_recovered(
    directory: Path, carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = postgres_tools.tool_path("psql").parent
    with home(directory, carrier) as world, running_workers(monkeypatch) as drain:
        drain()
        enqueue(world, 1, 0, 40)
        url = config.settings().database_url or ""
        (sockets,) = parse_qs(urlsplit(url).query)["host"]
        done = subprocess.run(
            [
                *(binaries / "pg_basebackup", "-h", sockets, "-U", "postgres", "-X", "stream", "-c", "fast"),
                *("-D", directory / "backup"),
            ],
            env={"LC_ALL": "C"},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        drain()
    owner = (directory / "postgres").stat()
    shutil.rmtree(directory / "postgres")
    (directory / "backup" / "recovery.signal").touch()
    with (directory / "backup" / "postgresql.auto.conf").open("a") as file:
        file.write("restore_command = 'false'\n")
    (directory / "backup").rename(directory / "postgres")
    for path in ((directory / "postgres"), *(directory / "postgres").rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    next(directory.glob("dials.*.json")).unlink()  # what the server tells by itself suffices

    with home(directory, carrier) as world, running_workers(monkeypatch) as drain:
        drain()
        assert len(rung(carrier)) == 40
        assert "another time line" in health.check().missing["dialing"]
        report = recover.recover(wait=at_once)
        drain()

        assert (report.bound, report.added) == (40, 0)
        assert set(rung(carrier).values()) == {1}
        assert world.value("select count(*) from identity") == 2


# In one database, whose rows are set back by hand.


def forgets(world: World, *call_ids: int) -> None:
    """The database is another server's, and knows nothing of the dials of these calls."""
    world.do("set session_replication_role = replica")  # no trigger: a restore asks none
    world.do("delete from call_event where call_id = any(%s)", list(call_ids))
    world.do(
        "update call_log set status = 'queued', call_sid = null, dialed_at = null, ended_at = null, overdue_at = null,"
        " lead_id = null where id = any(%s)",
        list(call_ids),
    )
    world.do("set session_replication_role = origin")
    world.do("update identity set system_identifier = '1' where ended_at is null")


def test_a_copy_of_a_database_dials_nobody(
    world: World, workers: Callable[[], None], carrier: RunningSimulator
) -> None:
    workers()
    world.do("update identity set database_oid = database_oid + 1")
    world.queued()

    workers()

    assert carrier.log() == []
    assert "a copy" in health.check().missing["dialing"]


def test_a_copy_of_a_database_stops_at_the_first_look(
    world: World, nudges: list[object], carrier: RunningSimulator
) -> None:
    world.worker()
    world.queued()
    db.with_connection(identity.stop_unless_known)
    world.do("update identity set database_oid = database_oid + 1")

    dispatch.dispatch_once()

    assert (world.statuses(), nudges) == (["queued"], [])


def test_a_claim_that_was_restored_is_not_dialed_even_before_a_dispatcher_looks(
    world: World, workers: Callable[[], None], carrier: RunningSimulator
) -> None:
    workers()
    call_id = world.claimed()
    world.do("update identity set timeline = timeline + 1")

    dial.dial_call(call_id)

    assert (world.call(call_id).status, carrier.log()) == ("queued", [])


def test_a_worker_that_knows_of_more_dials_than_the_database_dials_nobody(
    world: World, workers: Callable[[], None], carrier: RunningSimulator
) -> None:
    workers()
    identity.report_begun(world.value("select line::text from identity"), 0, 0, {})
    world.do("delete from dials_begun")
    for slot in range(8):
        identity.report_begun(world.value("select line::text from identity"), slot, 100, {})
    call_id = world.claimed()

    dial.dial_call(call_id)

    call = world.call(call_id)
    assert (call.status, call.dialed_at, carrier.log()) == ("queued", None, [])
    assert world.value("select cause from dialing_stop") == "recovery"


def test_where_calls_are_begun_one_by_one_each_count_is_told(
    world: World, workers: Callable[[], None], carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool lends another connection for each, which counts in another slot."""
    workers()
    business_id = world.business()
    calls = [world.claimed(business_id, number(place)) for place in range(3)]
    begin = dial._begin
    monkeypatch.setattr(
        dial, "_begin", lambda ids: [row._replace(slot=place, begun=1) for place, row in enumerate(begin(ids))]
    )
    told: list[int] = []

    def begun(_line: str, slot: int, *_count: object) -> bool:
        told.append(slot)
        return True

    monkeypatch.setattr(identity, "report_begun", begun)

    dial.dial_call(*calls)

    assert told == [0, 1, 2]


def test_a_broker_that_knows_of_more_dials_stops_dialing_and_a_flushed_one_does_not(
    world: World, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = broker.make(servers.redis_url)
    monkeypatch.setattr(broker, "current", lambda: made)
    namespace = config.settings().broker_namespace
    db.with_connection(identity.stop_unless_known)
    first = world.claimed()
    begun = begin(first)
    identity.report_begun(begun.line, begun.slot, begun.begun, {})
    until(lambda: broker.remembered_dials(namespace) == (begun.line, {begun.slot: 1}))

    identity.forget()
    assert db.with_connection(identity.stop_unless_known)
    redis.Redis.from_url(servers.redis_url).delete(f"{namespace}:dials")
    identity.forget()
    assert db.with_connection(identity.stop_unless_known)
    broker.remember_dials(namespace, begun.line, {begun.slot: 2})
    identity.forget()
    assert not db.with_connection(identity.stop_unless_known)


def test_a_new_database_beside_an_old_memory_is_taken_for_what_it_is(
    world: World, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_DATA_DIR", str(directory))
    config.use(None)
    identity.forget()
    path = identity.state_file()
    assert path is not None
    path.write_text(json.dumps({"line": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "dials": {"0": 7}}))

    assert db.with_connection(identity.stop_unless_known), "it has never dialed"
    assert db.with_connection(identity.stop_unless_known)
    world.do("delete from identity")
    world.initiated()
    assert not db.with_connection(identity.stop_unless_known), "it has dialed, and is not what dialed last"
    assert "another database" in world.value("select reason from dialing_stop")


def test_a_crash_of_the_server_is_no_restore(directory: Path, carrier: RunningSimulator) -> None:
    with home(directory, carrier) as world:
        db.with_connection(identity.stop_unless_known)
        begun = begin(world.claimed(1, number(1)))
        assert identity.report_begun(begun.line, begun.slot, begun.begun, {})
        (pid,) = [int((directory / "postgres" / "postmaster.pid").read_text().split()[0])]
        victim = world.value("select pg_backend_pid()")
        os.kill(victim, signal.SIGKILL)  # the postmaster ends all others, and replays its log
        assert pid

        def is_known() -> bool:
            try:
                return db.with_connection(identity.stop_unless_known)
            except db.Unavailable:
                return False

        until(is_known)


def test_attempts_of_one_call_are_bound_in_their_order(
    world: World, workers: Callable[[], None], carrier: RunningSimulator
) -> None:
    business_id = world.business(phone="+15005550009")
    world.do(
        "insert into retry_ladder (business_id, name, attempts_per_day_max, attempts_per_week_max)"
        " values (%s, 'all', 9, 9)",
        business_id,
    )
    world.do(
        "insert into retry_step (ladder_id, outcome, step, wait)"
        " select id, 'busy', n, '5 min' from retry_ladder, generate_series(1, 3) as n"
    )
    world.do("update business set ladder_id = (select id from retry_ladder) where id = %s", business_id)
    call_id = world.queued(business_id, "+15005550111")  # busy
    workers()
    settle(world)
    world.do("update call_log set due_at = now()")
    workers()
    settle(world)
    assert len(carrier.log()) == 2
    world.do("delete from call_event")
    world.do("delete from call_log where id <> %s", call_id)
    forgets(world, call_id)
    workers()

    recover.recover(wait=at_once)
    workers()

    assert len(carrier.log()) == 2
    attempts = world.rows("select attempt, status, call_sid from call_log order by attempt")
    assert [(row.attempt, row.status) for row in attempts] == [(1, "busy"), (2, "busy"), (3, "queued")]
    # The carrier's moments are whole seconds; of two calls of one second it does not say which was first.
    assert {row.call_sid for row in attempts[:2]} == {entry["call_sid"] for entry in carrier.log()}


def settle(world: World) -> None:
    """Let the simulated calls end, and hear of it."""

    def asked() -> bool:
        world.do(
            "update call_log set overdue_at = now(), looked_at = null where call_sid is not null and ended_at is null"
        )
        reconcile.reconcile_overdue_calls()
        return not world.value("select count(*) from call_log where call_sid is not null and ended_at is null")

    until(asked)


def test_what_nobody_can_tell_is_closed_and_not_dialed(
    world: World, workers: Callable[[], None], carrier: RunningSimulator
) -> None:
    one, other = world.business(phone=FROM), world.business()
    call_id = world.queued(one)
    workers()
    twin = world.queued(other)  # same numbers, another business
    forgets(world, call_id)
    workers()

    report = recover.recover(wait=at_once)
    workers()

    assert report.unsure == [call_id, twin]
    assert {world.call(each).error_code for each in report.unsure} == {"unsure_after_restore"}
    assert len(carrier.log()) == 1


def test_a_dry_run_changes_nothing(world: World, workers: Callable[[], None], carrier: RunningSimulator) -> None:
    call_id = world.queued(world.business(phone=FROM))
    workers()
    forgets(world, call_id)
    workers()

    report = recover.recover(dry_run=True)

    assert (report.bound, report.let_go) == (1, False)
    assert world.call(call_id).status == "queued"
    assert world.value("select count(*) from dialing_stop") == 1


def test_without_a_yes_nothing_is_dialed(world: World, workers: Callable[[], None], carrier: RunningSimulator) -> None:
    workers()
    world.do("update identity set timeline = timeline + 1")
    world.queued()

    recover.recover(confirm=lambda _: False, wait=at_once)
    workers()

    assert carrier.log() == []


def test_it_is_refused_while_somebody_else_still_dials(
    world: World, workers: Callable[[], None], carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers()
    world.do("update identity set timeline = timeline + 1")
    made = iter(range(100))

    def one_more(**_: object) -> Iterator[list[CarrierCall]]:
        call_sid = f"CA{next(made):032}"
        yield [
            CarrierCall(
                call_sid, "completed", "completed", number(1), FROM, "outbound-api", created_at=datetime.now(UTC)
            )
        ]

    monkeypatch.setattr(line(), "list_calls", one_more)

    with pytest.raises(recover.CannotRecover, match="stop whatever still dials"):
        recover.recover(wait=at_once)
    assert world.value("select count(*) from dialing_stop") == 1


def test_where_nothing_was_restored_nothing_is_done(world: World, carrier: RunningSimulator) -> None:
    assert recover.recover() == recover.RecoveryReport()
    assert world.value("select count(*) from identity") == 1


@pytest.mark.parametrize("point", RECOVERY_POINTS)
def test_killed_half_way_it_is_run_again(
    world: World, workers: Callable[[], None], carrier: RunningSimulator, point: str, tmp_path: Path
) -> None:
    business_id = world.business(phone=FROM)
    calls = [world.queued(business_id, number(place)) for place in range(5)]
    workers()
    forgets(world, *calls[:3])
    world.do("set session_replication_role = replica")
    world.do("delete from call_event where call_id = any(%s)", calls[3:])
    world.do("delete from call_log where id = any(%s)", calls[3:])
    world.do("set session_replication_role = origin")
    workers()
    world.do("update dialing_stop set since = since - interval '1 hour'")
    (tmp_path / point).touch()

    killed = run_recover(world, tmp_path)
    workers()
    assert len(carrier.log()) == 5, "nothing is dialed between"
    again = run_recover(world, tmp_path)
    workers()

    assert (killed.returncode, again.returncode) == (-signal.SIGKILL, 0), again.stderr
    assert set(rung(carrier).values()) == {1}
    assert world.value("select count(*) from call_log where call_sid is not null") == 5
    assert world.value("select count(*) from dialing_stop") == 0


def run_recover(world: World, crash_at: Path) -> Any:
    return forked.run(
        *("recover", "--yes"),
        env=os.environ
        | {
            "CRASH_OUTBOUND_AT": str(crash_at),
            "DATABASE_URL": world.url,
            "OUTBOUND_RELOOK_S": "0.1",
            "REDIS_URL": "memory://",
        },
    )


def test_the_safe_moment_lies_before_the_last_dial_that_is_known(world: World, carrier: RunningSimulator) -> None:
    call_id = world.initiated()
    db.with_connection(identity.stop_unless_known)
    world.do("update identity set timeline = timeline + 1")

    report = recover.recover(wait=at_once)

    assert report.since == world.call(call_id).dialed_at - timedelta(minutes=10)


def made(to: str, minutes_ago: float, place: int) -> CarrierCall:
    """A call that is over, as the carrier lists it."""
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return CarrierCall(f"CA{place:032}", "completed", "completed", to, FROM, "outbound-api", created_at=at)


@pytest.fixture
def lists(world: World, monkeypatch: pytest.MonkeyPatch, carrier: RunningSimulator) -> list[CarrierCall]:
    """What the carrier lists of one of our numbers after a restore; the database's last dial was two hours ago."""
    calls: list[CarrierCall] = []

    def since(created_after: datetime) -> Iterator[list[CarrierCall]]:
        yield [call for call in calls if call.created_at is not None and call.created_at >= created_after]

    monkeypatch.setattr(line(), "list_calls", since)
    call_id = world.initiated(world.business(phone=FROM), number(9), "CA" + "9" * 32)
    world.do("update call_log set status = 'completed', dialed_at = now() - interval '2 h' where id = %s", call_id)
    db.with_connection(identity.stop_unless_known)
    world.do("update identity set timeline = timeline + 1")
    return calls


def test_a_run_that_broke_off_does_not_make_the_next_one_begin_later(
    world: World, lists: list[CarrierCall], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest call was taken in, and one that was made long before was not."""
    lists += [made(number(1), 60, 1), made(number(1), 40, 2), made(number(2), 1, 3)]
    pieces = iter(range(2))
    monkeypatch.setattr(recover, "crash_here", lambda point: point == "recover.recorded" and next(pieces) and 1 / 0)
    monkeypatch.setattr(recover, "_BATCH_MAX", 1)
    with pytest.raises(ZeroDivisionError):
        recover.recover(wait=at_once)
    assert world.value("select max(dialed_at) > now() - interval '2 min' from call_log")
    monkeypatch.setattr(recover, "crash_here", lambda _: None)

    report = recover.recover(wait=at_once)

    assert (report.listed, report.known, report.added) == (3, 2, 1)


def test_a_call_that_was_held_in_the_backup_and_let_go_later_is_not_dialed_again(
    world: World, lists: list[CarrierCall]
) -> None:
    call_id = world.queued(world.value("select min(id) from business"), number(1))
    world.do(
        "update call_log set created_at = now() - interval '1 h', held_by = 'registry_check_old',"
        " due_at = now() + interval '10 min' where id = %s",
        call_id,
    )
    lists.append(made(number(1), 5, 1))

    report = recover.recover(wait=at_once)

    assert (report.bound, report.added) == (1, 0)
    assert (world.call(call_id).status, world.call(call_id).call_sid) == ("completed", lists[0].call_sid)


def test_a_number_that_the_carrier_writes_otherwise_is_the_same_telephone(
    world: World, lists: list[CarrierCall]
) -> None:
    call_id = world.queued(world.value("select min(id) from business"), "+5491123456789")
    world.do("update call_log set created_at = now() - interval '1 h' where id = %s", call_id)
    world.do("update call_log set due_at = created_at where id = %s", call_id)
    lists += [made("+541123456789", 9, 1), made("+5491123456789", 5, 2)]

    report = recover.recover(wait=at_once)

    assert (report.bound, report.added) == (1, 1)
    assert world.call(call_id).call_sid == lists[0].call_sid
