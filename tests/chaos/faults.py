"""
Every fault that the suite can cause: a context that breaks something, lets it last, and mends it.

What is momentary (a kill, a flush) yields at once; `kinds.py` says how long the others last.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import psutil
import redis

from tests.chaos import messages
from tests.chaos.cluster import Cluster, NotNow
from tests.chaos.proxy import unix
from tests.chaos.servers import Server, socket_path

_TABLES = ("call_log", "call_event", "counter", "leads", "worker", "duty")
_DISK_FULL = """
create or replace function chaos_disk_full() returns trigger language plpgsql as
$$begin raise disk_full using message = 'could not extend file: No space left on device'; end$$
"""


# PostgreSQL


@contextmanager
def restart_postgres(cluster: Cluster) -> Iterator[None]:
    """A fast shutdown, and a start."""
    with cluster.outages.one():
        cluster.postgres.stop()
        cluster.postgres.start()
    yield


@contextmanager
def kill_postgres(cluster: Cluster) -> Iterator[None]:
    """kill -9 of the postmaster, and a start that replays its log."""
    with cluster.outages.one():
        cluster.postgres.kill()
        cluster.postgres.start()
    yield


@contextmanager
def terminate_backends(cluster: Cluster) -> Iterator[None]:
    """Every connection of ours is ended, one by one."""
    for backend in cluster.ask("select pid from pg_stat_activity where application_name = 'outbound'"):
        cluster.ask("select pg_terminate_backend(%s)", backend.pid)
        time.sleep(0.02)
    yield


@contextmanager
def leave_sockets_half_open(cluster: Cluster) -> Iterator[None]:
    """Nothing reaches PostgreSQL and nothing comes back, and no socket closes; then all of it flows, or none."""
    with cluster.outages.one():
        cluster.database_proxy.hold()
        try:
            yield
            if cluster.rng.random() < 0.5:
                cluster.database_proxy.cut()
        finally:
            cluster.database_proxy.flow()


@contextmanager
def make_read_only(cluster: Cluster) -> Iterator[None]:
    """Every transaction is read-only, as on a standby."""
    with cluster.outages.one():
        cluster.ask("alter system set default_transaction_read_only = on")
        cluster.ask("select pg_reload_conf()")
        try:
            yield
        finally:
            cluster.ask("alter system reset default_transaction_read_only")
            cluster.ask("select pg_reload_conf()")


@contextmanager
def fill_the_disk(cluster: Cluster) -> Iterator[None]:
    """Every write fails with PostgreSQL's error for a full disk; triggers raise it, the real disk is not filled."""
    with cluster.outages.one():
        cluster.ask(_DISK_FULL)
        try:
            for table in _TABLES:
                cluster.ask(
                    f"create trigger chaos before insert or update on {table} execute function chaos_disk_full()"
                )
            yield
        finally:
            for table in _TABLES:
                cluster.ask(f"drop trigger if exists chaos on {table}")


# The broker


@contextmanager
def flush_broker(cluster: Cluster) -> Iterator[None]:
    """The broker forgets everything."""
    with cluster.redis() as line:
        line.flushall()
    yield


@contextmanager
def restart_broker(cluster: Cluster) -> Iterator[None]:
    """A stop, and a start from its append-only file."""
    cluster.broker.stop()
    cluster.broker.start()
    yield


@contextmanager
def take_broker_away(cluster: Cluster) -> Iterator[None]:
    """Killed, and not started again for a while."""
    cluster.broker.kill()
    try:
        yield
    finally:
        cluster.broker.start()


@contextmanager
def freeze_broker(cluster: Cluster) -> Iterator[None]:
    """The broker takes connections and answers none."""
    with _stopped(psutil.Process(cluster.broker.pid)):
        yield


@contextmanager
def fail_over_broker(cluster: Cluster) -> Iterator[None]:
    """
    The spare becomes the master, at the same address and without what the old one knew; the old one takes no writes.

    Connections to the old one stay open: nobody tells their owners.
    """
    old, new = cluster.brokers
    with _line_to(new) as line:
        line.execute_command("REPLICAOF", "NO", "ONE")
        line.flushall()
    cluster.broker_proxy.lead_to(unix(socket_path(new.url)))
    with _line_to(old) as line:
        line.execute_command("REPLICAOF", "127.0.0.1", "1")
    cluster.brokers.reverse()
    yield


def _line_to(broker: Server) -> redis.Redis:
    return redis.Redis.from_url(broker.url, socket_timeout=5)


@contextmanager
def repeat_nudges(cluster: Cluster) -> Iterator[None]:
    """Every nudge of some calls ten times over, finished calls among them."""
    messages.repeat(cluster)
    yield


@contextmanager
def poison_queues(cluster: Cluster) -> Iterator[None]:
    """Messages that no worker can do anything with."""
    messages.poison(cluster)
    yield


# Our own processes


def kill(name: str) -> Callable[[Cluster], AbstractContextManager[None]]:
    """kill -9."""
    return lambda cluster: _signalled(cluster.master(name), signal.SIGKILL)


def terminate(name: str) -> Callable[[Cluster], AbstractContextManager[None]]:
    """The graceful end: what is in flight is finished."""
    return lambda cluster: _signalled(cluster.master(name), signal.SIGTERM)


def stop(name: str) -> Callable[[Cluster], AbstractContextManager[None]]:
    """SIGSTOP, longer than any deadline of what it holds, and SIGCONT."""
    return lambda cluster: _stopped(cluster.worker_process() if name == "worker" else cluster.master(name))


def kill_worker_process(cluster: Cluster) -> AbstractContextManager[None]:
    """kill -9 of the process that dials, below its master."""
    return _signalled(cluster.worker_process(), signal.SIGKILL)


@contextmanager
def _signalled(process: psutil.Process, number: int) -> Iterator[None]:
    process.send_signal(number)
    yield


@contextmanager
def _stopped(process: psutil.Process) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)


@contextmanager
def set_clock(cluster: Cluster) -> Iterator[None]:
    """The clock of the host on which our processes run is set by an hour or a day, to stay so."""
    if cluster.clock is None:
        raise NotNow
    cluster.clock.set(cluster.rng.choice((-86_400, -3_600, 0, 3_600, 86_400)))
    yield


# The way to the carrier; what single numbers do (429, 500, nonsense, cuts before and after accepting) is their scenario


@contextmanager
def hold_carrier(cluster: Cluster) -> Iterator[None]:
    """Requests and answers are held back."""
    cluster.carrier_proxy.hold()
    try:
        yield
    finally:
        cluster.carrier_proxy.flow()


@contextmanager
def cut_carrier(cluster: Cluster) -> Iterator[None]:
    """Every request that is under way is cut, before or after it was accepted."""
    for _ in range(5):
        cluster.carrier_proxy.cut()
        time.sleep(0.1)
    yield


@contextmanager
def take_carrier_away(cluster: Cluster) -> Iterator[None]:
    """Connections are refused."""
    cluster.carrier_proxy.leave()
    try:
        yield
    finally:
        cluster.carrier_proxy.come_back()


@contextmanager
def lose_callbacks(cluster: Cluster) -> Iterator[None]:
    """The carrier's callbacks are refused, longer than it tries again: final ones are lost for good."""
    cluster.callback_proxy.leave()
    try:
        yield
    finally:
        cluster.callback_proxy.come_back()
