"""PostgreSQL: the only file that knows psycopg and aiosql."""

import subprocess
import sys
import threading
import time

import psycopg
import pytest

from outbound import db
from tests.conftest import World, forget_settings, until

sql = db.statements("calls/cleanup")


def test_a_forked_process_never_speaks_through_its_parents_sockets(world: World) -> None:
    program = """
import os
from outbound import db
forked_at = db.with_connection(lambda connection: connection.execute("select clock_timestamp()").fetchone()[0])
child = os.fork()
if child == 0:
    own = "select backend_start from pg_stat_activity where pid = pg_backend_pid()"  # the pool may have had several
    os._exit(int(db.with_connection(lambda connection: connection.execute(own).fetchone()[0]) < forked_at))
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


def test_a_statement_without_a_suffix_runs_even_if_nobody_reads_its_rows(world: World) -> None:
    call_id = world.claimed()
    world.age(call_id, 60)

    db.run(sql.release_overdue_claims, batch_max=10, only_id=None)

    assert world.call(call_id).status == "queued"


def test_the_first_statement_opens_one_connection(world: World) -> None:
    db.run(sql.release_overdue_claims, batch_max=10, only_id=None)

    assert db._pool().get_stats()["pool_size"] == 1


def _end_others(world: World) -> None:
    others = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    world.do(f"select pg_terminate_backend(pid) {others}")
    until(lambda: world.value(f"select count(*) {others}") == 0)


@pytest.mark.parametrize("fresh_s", [db._FRESH_S, 0])
def test_an_idle_connection_that_the_server_ended_costs_nobody_a_failure(
    world: World, monkeypatch: pytest.MonkeyPatch, fresh_s: float
) -> None:
    monkeypatch.setattr(db, "_FRESH_S", fresh_s)
    db.run(sql.release_overdue_claims, batch_max=10, only_id=None)
    _end_others(world)

    assert db.run(sql.release_overdue_claims, batch_max=10, only_id=None) == []


def test_a_database_that_is_away_is_said_to_be_unavailable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    db.close()
    forget_settings()

    with pytest.raises(db.Unavailable), db.connect():
        pass


def test_every_statement_names_itself_to_the_server(world: World) -> None:
    assert sql.release_overdue_claims.sql.startswith("/* calls/cleanup.release_overdue_claims */")


def test_a_database_that_may_not_be_written_is_unavailable_until_it_may(world: World) -> None:
    name = world.value("select current_database()")
    world.do(f"alter database {name} set default_transaction_read_only = on")
    db.close()
    with pytest.raises(db.Unavailable):
        db.run(sql.release_overdue_claims, batch_max=10, only_id=None)

    world.do("set default_transaction_read_only = off")
    world.do(f"alter database {name} reset default_transaction_read_only")

    db.persist(
        lambda: db.run(sql.release_overdue_claims, batch_max=10, only_id=None), for_s=5
    )  # by a connection that was made since


def test_a_server_that_ended_many_connections_costs_nobody_a_failure_nor_a_wait(world: World) -> None:
    def sleep(connection: db.Connection) -> None:
        connection.execute("select pg_sleep(0.2)")

    many = [threading.Thread(target=db.with_connection, args=(sleep,)) for _ in range(8)]
    for thread in many:
        thread.start()
    for thread in many:
        thread.join()
    _end_others(world)

    began_at = time.monotonic()
    for _ in range(8):
        db.run(sql.release_overdue_claims, batch_max=10, only_id=None)

    assert time.monotonic() - began_at < 2  # the pool, left alone, finds one dead connection per wait


def test_a_server_that_ends_a_statement_costs_one_failure_and_nobody_a_wait(world: World) -> None:
    for _ in range(2):
        db.run(sql.release_overdue_claims, batch_max=10, only_id=None)

    with pytest.raises(db.Unavailable):
        db.with_connection(lambda connection: connection.execute("select pg_terminate_backend(pg_backend_pid())"))

    assert db.run(sql.release_overdue_claims, batch_max=10, only_id=None) == []


def test_a_session_that_was_ended_while_we_were_stopped_is_unavailable_and_no_surprise() -> None:
    assert issubclass(psycopg.errors.IdleInTransactionSessionTimeout, db.Unavailable)


def test_notices_that_came_during_other_work_are_heard_as_one(world: World) -> None:
    with db.connect() as line:
        db.listen(line, "outbound_due")
        for _ in range(3):
            world.do("notify outbound_due")
        line.execute("select 1")

        heard = [db.wait_for_notice(line, 0) for _ in range(3)]

    assert heard.count(True) == 1
