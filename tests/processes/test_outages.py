"""An outage is one line a second with its cause; a traceback, an error or worse means that somebody has to act."""

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import psycopg_pool
import pytest
import redis
from dramatiq.errors import ConnectionClosed

from outbound import library_logs, logs
from outbound.simulator.server import RunningSimulator
from tests import forked
from tests.chaos.proxy import Dial, Proxy, tcp, unix
from tests.chaos.servers import socket_path
from tests.cli.test_logs import heard
from tests.conftest import Servers, World, until
from tests.ports import free_ports

LINES_PER_S_MAX = 15  # of one process in an outage of everything: as many kinds as there are, once a second each


@pytest.fixture(autouse=True)
def nothing_said() -> None:
    library_logs._written.clear()


def lines(said: str) -> list[str]:
    return [re.sub(r"^timestamp=\S+ ", "", line) for line in said.splitlines()]


def test_an_outage_is_a_warning_with_its_cause_and_no_traceback_wherever_it_is_raised() -> None:
    with heard() as said:
        for error in (psycopg_pool.PoolTimeout("couldn't get a connection"), psycopg.errors.AdminShutdown("ended")):
            try:
                raise error
            except psycopg.Error:
                logs.get("step").exception("step.failed", rule="claimed")
                logging.getLogger("library").exception("something went wrong")

    assert lines(said.getvalue()) == [
        "level=warning event=step.failed rule=claimed cause=PoolTimeout",
        "level=warning event=process.interrupted of=library cause=PoolTimeout",
        "level=warning event=step.failed rule=claimed cause=AdminShutdown",
        "level=warning event=process.interrupted of=library cause=AdminShutdown",
    ]


def test_what_is_a_bug_keeps_its_level_and_its_traceback() -> None:
    with heard() as said:
        try:
            raise psycopg.errors.UndefinedColumn("error_message")
        except psycopg.Error:
            logs.get("step").exception("step.failed")
            logging.getLogger("dramatiq.worker.WorkerThread").error("Failed to process message %s …", 1, exc_info=True)

    assert said.getvalue().count("level=error") == said.getvalue().count("Traceback") == 2


def test_a_process_that_ends_for_an_outage_says_so_as_loud_as_ever() -> None:
    with heard() as said:
        sys.excepthook(psycopg.OperationalError, psycopg.OperationalError("away"), None)

    assert "level=critical event=process.died" in said.getvalue()


def test_of_a_kind_one_line_a_second_is_written_and_the_next_one_says_how_many_were_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("outbound.library_logs.time.monotonic", lambda: now[0])
    log = logs.get("step")
    with heard() as said:
        for _ in range(5):
            log.outage("step.away", redis.TimeoutError("slow"), call_id=7)
        log.outage("step.away", redis.ConnectionError("gone"))
        now[0] += 1
        log.outage("step.away", redis.TimeoutError("slow"))

    assert lines(said.getvalue()) == [
        "level=warning event=step.away call_id=7 cause=TimeoutError",
        "level=warning event=step.away cause=ConnectionError",
        "level=warning event=step.away cause=TimeoutError more=4",
    ]


CONSUMER = "dramatiq.worker.ConsumerThread(dial)"
FOREIGN = {
    "broker.connection_lost queue=dial cause=ConnectionError": (
        CONSUMER,
        logging.CRITICAL,
        "Consumer encountered a connection error: %s",
        ConnectionClosed(redis.ConnectionError("Connection closed by server.")),  # type: ignore[no-untyped-call]
    ),
    "broker.unacknowledged queue=dial cause=unknown": (
        CONSUMER,
        logging.WARNING,
        "Failed to post_process_message(%s) due to a connection error: %s\nThe operation …",
        "dial_call(7)",
    ),
    "database.connection_lost cause=OperationalError": (
        "psycopg.pool",
        logging.WARNING,
        "error connecting in %r: %s",
        psycopg.OperationalError("connection refused"),
    ),
    "scheduler.skipped task= cause=unknown": (
        "apscheduler.scheduler",
        logging.WARNING,
        'Execution of job "%s" skipped: maximum number of running instances reached (%d)',
        "cleanup",
    ),
    "process.unclosed cause=unknown": ("asyncio", logging.ERROR, "Unclosed client session\nclient_session: <x>", None),
    "web.unreadable cause=unknown": ("uvicorn.error", logging.WARNING, "Invalid HTTP request received.", None),
}


@pytest.mark.parametrize("ours", FOREIGN)
def test_what_a_library_says_of_an_outage_is_ours_to_say_once(ours: str) -> None:
    name, level, text, argument = FOREIGN[ours]
    arguments = tuple([argument] * text.count("%s")) if "%r" not in text else ("pool-1", argument)
    text = text.replace("(%d)", "(1)")
    with heard() as said:
        for _ in range(10):
            logging.getLogger(name).log(level, text, *arguments)

    assert lines(said.getvalue()) == [f"level=warning event={ours}"]


def test_a_task_of_a_loop_that_an_outage_ended_is_one_line() -> None:
    async def lose() -> None:
        task = asyncio.create_task(_reset())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task

    with heard() as said:
        asyncio.run(lose())

    assert lines(said.getvalue()) == ["level=warning event=process.interrupted of=asyncio cause=ConnectionResetError"]


async def _reset() -> None:
    raise ConnectionResetError


def test_a_process_that_asked_the_carrier_ends_without_a_word(world: World, carrier: RunningSimulator) -> None:
    call_id = world.initiated(call_sid="CA" + "c" * 32)

    done = forked.run("stop", "call", str(call_id), env=os.environ | {"REDIS_URL": "memory://"})

    assert done.returncode == 0, done.stderr
    assert "is paused" in done.stdout
    assert "Unclosed" not in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3, done.stderr


@pytest.fixture
def cluster(world: World, servers: Servers, carrier: RunningSimulator, tmp_path: Path) -> Iterator["Cluster"]:
    with ExitStack() as stack:
        yield Cluster(world, servers, tmp_path, stack)


class Cluster:
    """A worker and a scheduler as processes of their own, whose way to database and broker can be taken away."""

    def __init__(self, world: World, servers: Servers, home: Path, stack: ExitStack) -> None:
        database_port, broker_port = free_ports(2)
        self._world = world
        self.database = stack.enter_context(Proxy(database_port, _server_of(world)))
        self.broker = stack.enter_context(Proxy(broker_port, _broker_of(servers)))
        name = world.value("select current_database()")
        user = world.value("select current_user")
        environment = os.environ | {
            "DATABASE_URL": f"postgresql://{user}@127.0.0.1:{database_port}/{name}",
            "REDIS_URL": f"redis://127.0.0.1:{broker_port}",
            "OUTBOUND_TICK_S": "1",
            "OUTBOUND_WORKER_THREADS": "2",
        }
        self.files = [home / "worker.log", home / "scheduler.log"]
        for file in self.files:
            with file.open("w") as out:
                command = [sys.executable, "-m", "outbound", file.stem]
                process = forked.Popen(command, env=environment, stdout=out, stderr=out)
            stack.callback(_end, process)
        until(lambda: world.value("select count(*) from worker") > 0, timeout_s=60)

    def said(self) -> list[str]:
        return [line for file in self.files for line in file.read_text().splitlines()]

    def says_something(self) -> None:
        """Wait for a few lines more."""
        known = len(self.said())
        until(lambda: len(self.said()) > known + 3, timeout_s=60)

    def dials(self, call_ids: list[int]) -> None:
        """Wait until all of them were dialed."""
        until(lambda: all(self._world.call(call_id).dialed_at for call_id in call_ids), timeout_s=120)


def _server_of(world: World) -> Dial:
    directory = world.value("select split_part(current_setting('unix_socket_directories'), ',', 1)")
    return unix(f"{directory}/.s.PGSQL.{world.value('show port')}")


def _broker_of(servers: Servers) -> Dial:
    if servers.redis_url.startswith("unix"):
        return unix(socket_path(servers.redis_url))
    return tcp(int(servers.redis_url.rpartition(":")[2].split("/")[0]))


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def test_while_database_and_broker_go_away_and_come_back_nobody_logs_a_traceback_or_an_error(
    world: World, cluster: Cluster
) -> None:
    business_id = world.business()
    before = world.queued(business_id, to="+15005550101")
    until(lambda: world.call(before).dialed_at is not None, timeout_s=60)
    began = time.monotonic()
    for way in (cluster.broker, cluster.database):
        calls = [world.queued(business_id, to=f"+1500555{number:04d}") for number in range(200, 210)]
        way.leave()
        cluster.says_something()
        way.come_back()
        cluster.dials(calls)
        world.do("update call_log set status = 'completed', ended_at = now() where id = any(%s)", calls)
    took_s = time.monotonic() - began

    troubled = [line for line in cluster.said() if "level=info" not in line]
    assert troubled, "nobody said that something was away"
    assert not [line for line in troubled if "Traceback" in line]
    assert not [line for line in troubled if "level=warning" not in line]
    assert len(troubled) <= LINES_PER_S_MAX * took_s
