"""PostgreSQL: the only file that knows psycopg and aiosql."""

import subprocess
import sys

import pytest

from outbound import db
from tests.conftest import World, forget_settings

sql = db.statements("cleanup")


def test_a_forked_process_never_speaks_through_its_parents_sockets(world: World) -> None:
    program = """
import os
from outbound import db
pid = "select pg_backend_pid() as pid"
parents = db.with_connection(lambda connection: connection.execute(pid).fetchone()[0])
child = os.fork()
if child == 0:
    own = db.with_connection(lambda connection: connection.execute(pid).fetchone()[0])
    os._exit(int(own == parents))
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


def test_a_statement_without_a_suffix_runs_even_if_nobody_reads_its_rows(world: World) -> None:
    call_id = world.claimed()
    world.age(call_id, 60)

    db.run(sql.release_overdue_claims, batch_max=10)

    assert world.call(call_id).status == "queued"


def test_a_connection_that_the_server_ended_costs_nobody_a_failure(world: World) -> None:
    db.run(sql.release_overdue_claims, batch_max=10)
    world.do(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )

    assert db.run(sql.release_overdue_claims, batch_max=10) == []


def test_a_database_that_is_away_is_said_to_be_unavailable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    db.close()
    forget_settings()

    with pytest.raises(db.Unavailable), db.connect():
        pass


def test_every_statement_names_itself_to_the_server(world: World) -> None:
    assert sql.release_overdue_claims.sql.startswith("/* cleanup.release_overdue_claims */")
