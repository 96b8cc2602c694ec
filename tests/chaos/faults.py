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
from tests.chaos.city import City, NotNow
from tests.chaos.proxy import unix
from tests.chaos.servers import Server, socket_path

_TABLES = ("call_log", "call_event", "counter", "leads", "worker", "duty")
_DISK_FULL = """
create or replace function chaos_disk_full() returns trigger language plpgsql as
$$begin raise disk_full using message = 'could not extend file: No space left on device'; end$$
"""


# PostgreSQL


@contextmanager
def restart_postgres(city: City) -> Iterator[None]:
    """A fast shutdown, and a start."""
    with city.outages.one():
        city.postgres.stop()
        city.postgres.start()
    yield


@contextmanager
def kill_postgres(city: City) -> Iterator[None]:
    """kill -9 of the postmaster, and a start that replays its log."""
    with city.outages.one():
        city.postgres.kill()
        city.postgres.start()
    yield


@contextmanager
def terminate_backends(city: City) -> Iterator[None]:
    """Every connection of ours is ended, one by one."""
    for backend in city.ask("select pid from pg_stat_activity where application_name = 'outbound'"):
        city.ask("select pg_terminate_backend(%s)", backend.pid)
        time.sleep(0.02)
    yield


@contextmanager
def leave_sockets_half_open(city: City) -> Iterator[None]:
    """Nothing reaches PostgreSQL and nothing comes back, and no socket closes; then all of it flows, or none."""
    with city.outages.one():
        city.database_proxy.hold()
        try:
            yield
            if city.rng.random() < 0.5:
                city.database_proxy.cut()
        finally:
            city.database_proxy.flow()


@contextmanager
def make_read_only(city: City) -> Iterator[None]:
    """Every transaction is read-only, as on a standby."""
    with city.outages.one():
        city.ask("alter system set default_transaction_read_only = on")
        city.ask("select pg_reload_conf()")
        try:
            yield
        finally:
            city.ask("alter system reset default_transaction_read_only")
            city.ask("select pg_reload_conf()")


@contextmanager
def fill_the_disk(city: City) -> Iterator[None]:
    """Every write fails with PostgreSQL's error for a full disk; triggers raise it, the real disk is not filled."""
    with city.outages.one():
        city.ask(_DISK_FULL)
        try:
            for table in _TABLES:
                city.ask(f"create trigger chaos before insert or update on {table} execute function chaos_disk_full()")
            yield
        finally:
            for table in _TABLES:
                city.ask(f"drop trigger if exists chaos on {table}")


# The broker


@contextmanager
def flush_broker(city: City) -> Iterator[None]:
    """The broker forgets everything."""
    with city.redis() as line:
        line.flushall()
    yield


@contextmanager
def restart_broker(city: City) -> Iterator[None]:
    """A stop, and a start from its append-only file."""
    city.broker.stop()
    city.broker.start()
    yield


@contextmanager
def take_broker_away(city: City) -> Iterator[None]:
    """Killed, and not started again for a while."""
    city.broker.kill()
    try:
        yield
    finally:
        city.broker.start()


@contextmanager
def freeze_broker(city: City) -> Iterator[None]:
    """The broker takes connections and answers none."""
    with _stopped(psutil.Process(city.broker.pid)):
        yield


@contextmanager
def fail_over_broker(city: City) -> Iterator[None]:
    """
    The spare becomes the master, at the same address and without what the old one knew; the old one takes no writes.

    Connections to the old one stay open: nobody tells their owners.
    """
    old, new = city.brokers
    with _line_to(new) as line:
        line.execute_command("REPLICAOF", "NO", "ONE")
        line.flushall()
    city.broker_proxy.lead_to(unix(socket_path(new.url)))
    with _line_to(old) as line:
        line.execute_command("REPLICAOF", "127.0.0.1", "1")
    city.brokers.reverse()
    yield


def _line_to(broker: Server) -> redis.Redis:
    return redis.Redis.from_url(broker.url, socket_timeout=5)


@contextmanager
def repeat_nudges(city: City) -> Iterator[None]:
    """Every nudge of some calls ten times over, finished calls among them."""
    messages.repeat(city)
    yield


@contextmanager
def poison_queues(city: City) -> Iterator[None]:
    """Messages that no worker can do anything with."""
    messages.poison(city)
    yield


# Our own processes


def kill(name: str) -> Callable[[City], AbstractContextManager[None]]:
    """kill -9."""
    return lambda city: _signalled(city.master(name), signal.SIGKILL)


def terminate(name: str) -> Callable[[City], AbstractContextManager[None]]:
    """The graceful end: what is in flight is finished."""
    return lambda city: _signalled(city.master(name), signal.SIGTERM)


def stop(name: str) -> Callable[[City], AbstractContextManager[None]]:
    """SIGSTOP, longer than any deadline of what it holds, and SIGCONT."""
    return lambda city: _stopped(city.worker_process() if name == "worker" else city.master(name))


def kill_worker_process(city: City) -> AbstractContextManager[None]:
    """kill -9 of the process that dials, below its master."""
    return _signalled(city.worker_process(), signal.SIGKILL)


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
def set_clock(city: City) -> Iterator[None]:
    """The clock of the host on which our processes run is set by an hour or a day, to stay so."""
    if city.clock is None:
        raise NotNow
    city.clock.set(city.rng.choice((-86_400, -3_600, 0, 3_600, 86_400)))
    yield


# The way to the carrier; what single numbers do (429, 500, nonsense, cuts before and after accepting) is their scenario


@contextmanager
def hold_carrier(city: City) -> Iterator[None]:
    """Requests and answers are held back."""
    city.carrier_proxy.hold()
    try:
        yield
    finally:
        city.carrier_proxy.flow()


@contextmanager
def cut_carrier(city: City) -> Iterator[None]:
    """Every request that is under way is cut, before or after it was accepted."""
    for _ in range(5):
        city.carrier_proxy.cut()
        time.sleep(0.1)
    yield


@contextmanager
def take_carrier_away(city: City) -> Iterator[None]:
    """Connections are refused."""
    city.carrier_proxy.leave()
    try:
        yield
    finally:
        city.carrier_proxy.come_back()


@contextmanager
def lose_callbacks(city: City) -> Iterator[None]:
    """The carrier's callbacks are refused, longer than it tries again: final ones are lost for good."""
    city.callback_proxy.leave()
    try:
        yield
    finally:
        city.callback_proxy.come_back()
