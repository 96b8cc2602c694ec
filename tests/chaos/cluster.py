"""What the faults may touch, and for how long the database was away by our own doing."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
import psycopg
import redis
from psycopg.rows import namedtuple_row

from outbound.local.supervisor import Processes
from outbound.settings_model import Settings
from tests.chaos.proxy import Proxy
from tests.chaos.servers import Server
from tests.host_clock import HostClock
from tests.running import is_running


class NotNow(Exception):
    """This fault cannot be caused at this moment; another one can."""


class Outages:
    """When PostgreSQL was away, in seconds of the wall clock; threads may ask at any time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[tuple[float, float]] = []

    @contextmanager
    def one(self) -> Iterator[None]:
        """For as long as the block lasts, PostgreSQL is away."""
        with self._lock:
            self._spans.append((time.time(), float("inf")))
        try:
            yield
        finally:
            with self._lock:
                self._spans[-1] = (self._spans[-1][0], time.time())

    def within(self, start: float, end: float) -> float:
        """How many seconds of this span PostgreSQL was away."""
        with self._lock:
            return sum(max(0.0, min(end, b) - max(start, a)) for a, b in self._spans)

    def total_s(self) -> float:
        """All of it so far."""
        return self.within(0, time.time())


@dataclass
class Cluster:
    """Everything that runs, by name."""

    settings: Settings
    rng: random.Random
    database_url: str  # past the proxy
    postgres: Server
    brokers: list[Server]  # the first is the master, the second a spare
    database_proxy: Proxy
    broker_proxy: Proxy
    carrier_proxy: Proxy
    callback_proxy: Proxy
    clock: HostClock | None  # of our processes' host; None where it cannot be set
    carrier: Processes
    processes: Processes
    broker_out_s: float
    outages: Outages = field(default_factory=Outages)

    def ask(self, query: str, *parameters: object) -> list[Any]:
        """One statement on a connection of its own that no read-only default touches."""
        options = "-c default_transaction_read_only=off -c statement_timeout=10000 -c lock_timeout=5000"
        with psycopg.connect(self.database_url, autocommit=True, row_factory=namedtuple_row, options=options) as line:
            cursor = line.execute(query.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    @property
    def broker(self) -> Server:
        """The broker that is the master now."""
        return self.brokers[0]

    def redis(self) -> redis.Redis:
        """The broker itself, past the proxy."""
        return redis.Redis.from_url(self.broker.url, socket_timeout=5)

    def tend(self) -> None:
        """Start again what has died."""
        self.carrier.tend()
        self.processes.tend()

    def master(self, name: str) -> psutil.Process:
        """A living process whose name begins with *name*."""
        pids = [pid for full, pid in self.processes.pids().items() if full.startswith(name)]
        alive = [pid for pid in pids if is_running(pid)]
        if not alive:
            raise NotNow
        return psutil.Process(self.rng.choice(alive))

    def worker_process(self) -> psutil.Process:
        """The process below a Dramatiq master that dials."""
        children = [child for child in self.master("worker").children() if child.num_threads() > 4]
        if not children:
            raise NotNow  # it is starting
        return self.rng.choice(children)
