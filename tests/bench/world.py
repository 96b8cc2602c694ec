"""One measurement's own database, and the processes that are measured."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis

from outbound import db
from outbound.processes.parent_death import die_with
from tests import ROOT
from tests.bench import cpu
from tests.bench.cluster import NAMESPACE, TEMPLATE, Cluster
from tests.ports import free_ports

BUSINESSES = 5
READY_S = 60
_STOP_S = 60


@dataclass
class World:
    """One measurement's database and processes."""

    cluster: Cluster
    database_url: str
    carrier_url: str
    web_url: str
    pids: dict[str, int] = field(default_factory=dict)
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def spawn(self, name: str, *module_and_arguments: str, through: Sequence[str] = ()) -> int:
        """Start `python -m …` with this world's settings, under the group *name*, *through* what execs it; its pid."""
        with (self.cluster.home / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                [*through, sys.executable, "-m", *module_and_arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with(os.getpid(), signal.SIGTERM),  # noqa: PLW1509 (no threads yet)
            )
        self._children.append(child)
        self.pids[name] = child.pid
        return child.pid

    def sql(self, query: str, *parameters: object) -> list[Any]:
        """One statement on a connection of its own, without a time limit."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def number(self, query: str, *parameters: object) -> float:
        """The one number that a statement gives."""
        return float(self.sql(query, *parameters)[0][0] or 0)

    def cpu(self) -> cpu.Seconds:
        """CPU seconds so far, by group."""
        return cpu.spent(self.pids | self.cluster.server_pids)

    def open_businesses(self) -> None:
        """BUSINESSES of them, each with a number of its own and something to say."""
        for number in range(1, BUSINESSES + 1):
            phone = f"+1500555{number:04}"
            self.sql("insert into business (name, twiml) values (%s, %s)", f"business {number}", "<Response/>")
            self.sql("insert into business_number (phone, business_id) values (%s, %s)", phone, number)

    def put_calls(self, calls: int, *, first: int = 0) -> float:
        """Put so many calls in the queue, shared out over the businesses; return when, by the database's clock."""
        return self.number(
            """
            with calls as (
                insert into call_log (business_id, from_number, to_number)
                select 1 + n %% %s, '+1500555' || lpad((1 + n %% %s)::text, 4, '0'),
                       '+1' || 20000000 + n || '50'
                  from generate_series(%s::bigint, %s::bigint) as n
                returning id
            )
            select extract(epoch from clock_timestamp()), pg_notify('outbound_due', '') from calls limit 1
            """,
            BUSINESSES, BUSINESSES, first, first + calls - 1,
        )  # fmt: skip

    def put_calls_in_the_air(self, calls: int) -> list[tuple[Any, ...]]:
        """Put calls that the carrier has taken and reported nothing more of: id, call_sid and callee of each."""
        self.put_calls(calls)
        self.sql(
            "update call_log set status = 'initiated', dialed_at = now(), overdue_at = now() + interval '1 day',"
            " call_sid = 'CA' || md5(id::text)"
        )
        self.sql("vacuum analyze call_log")
        return self.sql("select id, call_sid, to_number from call_log order by id")

    def metric(self, name: str) -> float:
        """What the web process shows of a metric: all its labels together, or those that *name* gives."""
        with urllib.request.urlopen(f"{self.web_url}/metrics", timeout=30) as answer:  # noqa: S310 (our own loopback)
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def wait(self, what: str, *, at_least: float, most_s: float) -> None:
        """Until a statement's number has come up to *at_least*."""
        until(lambda: self.number(what) >= at_least, f"{what} >= {at_least}", most_s)

    def wait_for_workers(self, processes: int) -> None:
        """Wait until so many worker processes have a heartbeat."""
        self.wait("select count(*) from worker", at_least=processes, most_s=READY_S)

    def ask_carrier(self, path: str) -> Any:
        """What the stand-in tells of itself."""
        with urllib.request.urlopen(self.carrier_url + path, timeout=30) as answer:  # noqa: S310 (our own loopback)
            return json.load(answer)

    def stop(self) -> None:
        """Stop every process of this world."""
        for child in self._children:
            child.terminate()
        deadline = time.monotonic() + _STOP_S
        for child in self._children:
            try:
                child.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def world(cluster: Cluster, name: str, **settings: str) -> Iterator[World]:
    """A migrated database, and settings for the processes to come; at the end all is stopped and dropped."""
    carrier_port, web_port = free_ports(2)
    cluster.settle(cluster.database_url, {})
    url = db.recreate_database(f"outbound_bench_{name}", template=TEMPLATE)
    carrier_url, web_url = f"http://127.0.0.1:{carrier_port}", f"http://127.0.0.1:{web_port}"
    ports = {"OUTBOUND_WEB_PORT": str(web_port), "OUTBOUND_SIMULATOR_PORT": str(carrier_port)}
    cluster.settle(url, ports | {"TWILIO_API_URL": carrier_url, "OUTBOUND_PUBLIC_URL": web_url} | settings)
    here = World(cluster, url, carrier_url, web_url)
    try:
        here.open_businesses()
        yield here
    finally:
        here.stop()
        forget_nudges(cluster)
        cluster.settle(cluster.database_url, {})
        with db.connect() as connection:
            connection.execute(f"drop database if exists outbound_bench_{name} with (force)".encode())


@contextmanager
def carrier(here: World, delay_s: float, error_share: float = 0) -> Iterator[None]:
    """The stand-in carrier of this world, which answers each create after *delay_s*, some with an error."""
    port = here.carrier_url.rpartition(":")[2]
    here.spawn("carrier", "tests.bench.carrier", port, str(delay_s), str(error_share))
    until(lambda: listens(here.carrier_url), "the carrier listens", READY_S)
    yield


def listens(url: str) -> bool:
    """Does anybody take connections there?"""
    where = urlsplit(url)
    with suppress(OSError), socket.create_connection((where.hostname or "", where.port or 80), timeout=1):
        return True
    return False


def forget_nudges(cluster: Cluster) -> None:
    """Clear away what a world left in the broker."""
    with redis.Redis.from_url(cluster.redis_url) as broker:
        for key in broker.scan_iter(f"{NAMESPACE}:*"):
            broker.delete(key)


def until(is_so: Callable[[], bool], what: str, most_s: float) -> None:
    """Wait until something is so, looking ten times a second."""
    deadline = time.monotonic() + most_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {most_s:.0f} s: {what}")
        time.sleep(0.1)
