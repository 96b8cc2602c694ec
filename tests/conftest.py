"""
Real PostgreSQL and a real Redis-compatible broker for every test; only the carrier is simulated.

DATABASE_URL and REDIS_URL are used when they are set (each test gets a database and a namespace of its own there);
else the servers come out of the wheels.
"""

import gc
import itertools
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dramatiq
import httpx
import psycopg
import pytest
import requests
from psycopg.rows import namedtuple_row

# The actors bind to a broker when they are imported: here to one inside this process, until a test gives them its own.
# What the caller configured is kept beside it, for the test processes that this one starts.
CONFIGURED = {
    name: os.environ.setdefault(f"CONFIGURED_{name}", os.environ.get(name, ""))
    for name in ("DATABASE_URL", "REDIS_URL")
}
os.environ["REDIS_URL"] = "memory://"

from outbound import broker, config, db, db_session
from outbound.call import DialOrder
from outbound.calls import dial, lead
from outbound.carrier import Accepted, Carrier, twilio
from outbound.database import migrations
from outbound.local import embedded_servers
from outbound.simulator import server as simulated
from tests import ROOT
from tests.kept_databases import Keeper, Kept

ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "a-token-that-signs-nothing-real"
PUBLIC_URL = "http://127.0.0.1:9"  # nobody listens there: a test that wants callbacks says where

SETTINGS = {
    "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
    "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
    "OUTBOUND_PUBLIC_URL": PUBLIC_URL,
    "OUTBOUND_CARRIER_TIMEOUT_S": "2",
}


# What dispatch gives the claim, for tests that call the statement itself.
CLAIM = {
    "batch_max": 200,
    "claims_per_thread": 2,
    "claim_s": 30,
    "worker_silent_s": 10,
    "ring_s": 30,
    "late_s": 0.15,
    "heads_min": 20,
    "account_rate": None,
}

# Each client of httpx reads all certificates again, which takes 60 ms; the tests' own clients ask this machine alone.
httpx._transports.default.create_ssl_context = cache(httpx.create_ssl_context)  # type: ignore[attr-defined]

IN_MEMORY_MIN = 6 << 30  # bytes; three servers and their logs take less than one

_numbers = itertools.count()


_NAME_OF_A_TEST = re.compile(r"\w+_\w+")


def _named(config: pytest.Config) -> str | None:
    """The test, or the part of its name, that -k gives; None where it gives nothing, or an expression."""
    name = config.option.keyword.lower()
    return name if _NAME_OF_A_TEST.fullmatch(name) and _is_in_a_name(name) else None


@cache
def _is_in_a_name(name: str) -> bool:
    """Is it in the name of a test, and not only in the id of a parameter, which no file need hold?"""
    files = (ROOT / "tests").rglob("test_*.py")
    return any(re.search(rf"def (?=test_)\w*{name}", file.read_text().lower()) for file in files)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run a test that -k names in this process, unless -n is given: three more start no sooner."""
    if _named(config) and not any(argument.startswith("-n") for argument in config.invocation_params.args):
        config.option.numprocesses = 0


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """
    Where -k names a test, import only the files that have the name: to import all takes 10 s.

    Of a directory without one, its conftest.py is not imported either: that of tests/api makes all routes of the API.
    """
    name = _named(config)
    given = {Path(argument.split("::")[0]).resolve() for argument in config.args}
    if name is None or any(one.is_relative_to(collection_path) for one in given):
        return None
    if not collection_path.is_dir() and not collection_path.match("test_*.py"):
        return None
    files = collection_path.rglob("test_*.py") if collection_path.is_dir() else [collection_path]
    return not any(name in f"{file.name} {file.read_text()}".lower() for file in files) or None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Let the garbage collector wait until all is collected: nearly all of what is imported and made stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what was imported and collected: it stays, and is most of what there is."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Servers:
    """Where the servers of this test session are."""

    database_url: str
    redis_url: str


def _in_memory() -> str | None:
    """
    A directory in memory, where there is room and programs may run; else None, which is the usual one.

    A database for each test is some hundred files that are made and deleted: ext4 spends more processor time on them
    than PostgreSQL does, as it does not use an inode again for seconds.
    """
    with suppress(OSError):
        shared = os.statvfs("/dev/shm")  # noqa: S108 (mkdtemp makes a directory of our own in it)
        if shared.f_bavail * shared.f_frsize > IN_MEMORY_MIN and not shared.f_flag & os.ST_NOEXEC:
            return "/dev/shm"  # noqa: S108
    return None


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    database_url, redis_url = CONFIGURED["DATABASE_URL"], CONFIGURED["REDIS_URL"]
    data_dir = Path(tempfile.mkdtemp(prefix="outbound-tests-", dir=_in_memory()))
    data_dir.chmod(0o755)  # as root, PostgreSQL runs as nobody, who must get there
    try:
        with embedded_servers.servers(data_dir, postgres=not database_url, broker=not redis_url, durable=False) as own:
            yield Servers(database_url or own.database_url or "", redis_url or own.redis_url or "")
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


@pytest.fixture(scope="module")
def old_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The old system's Redis, a server of one file of tests alone: RQ's keys have no namespace."""
    with embedded_servers.servers(tmp_path_factory.mktemp("old-redis"), postgres=False, durable=False) as own:
        assert own.redis_url is not None
        yield own.redis_url


@pytest.fixture(scope="session")
def template(servers: Servers) -> Iterator[str]:
    """A migrated database, to be cloned for each test."""
    name = f"outbound_test_template_{os.getpid()}"
    with Environment(DATABASE_URL=create_database(servers, name), REDIS_URL=servers.redis_url):
        migrations.migrate()
    yield name
    drop_database(servers, name)


@pytest.fixture
def empty_database(servers: Servers) -> Iterator[str]:
    """An empty database, and the settings of a process that uses it."""
    with open_database(servers, template=None) as url:
        yield url


@pytest.fixture(scope="module")
def keeper(servers: Servers, template: str) -> Iterator[Keeper]:
    """Of one file: other tests, which may look at all sessions of the server, see none of its connections."""
    keeper = make_keeper(servers, template)
    yield keeper
    keeper.close()


def make_keeper(servers: Servers, template: str) -> Keeper:
    """What lends copies of *template* to tests, one after the other."""

    def make() -> tuple[str, str]:
        name = _new_name()
        return name, create_database(servers, name, template)

    return Keeper(make, lambda name: drop_database(servers, name), lambda url: _working_on(servers, url))


@pytest.fixture
def kept_database(request: pytest.FixtureRequest, keeper: Keeper) -> Iterator[Kept | None]:
    """What a test has that is marked `rows_only`: a migrated database that others have used and left as it was."""
    marker = request.node.get_closest_marker("rows_only")
    if marker is None or marker.args == (False,):
        yield None
        return
    with keeper.lent() as kept:
        yield kept


@pytest.fixture
def database(servers: Servers, template: str, kept_database: Kept | None) -> Iterator[str]:
    """A migrated database, and the settings of a process that uses it."""
    if kept_database is not None:
        yield kept_database.url
        return
    with open_database(servers, template) as url:
        yield url


@contextmanager
def open_database(servers: Servers, template: str | None) -> Iterator[str]:
    """A database of one's own, a copy of *template* or empty, for as long as the block lasts."""
    name = _new_name()
    url = create_database(servers, name, template)
    with _working_on(servers, url):
        yield url
    drop_database(servers, name)


def _new_name() -> str:
    return f"outbound_test_{os.getpid()}_{next(_numbers)}"


def _working_on(servers: Servers, url: str) -> "Environment":
    """The settings of a process that uses this database; it shares no broker with what used it before."""
    base = SETTINGS | {"DATABASE_URL": url, "REDIS_URL": servers.redis_url}
    return Environment(**base, OUTBOUND_BROKER_NAMESPACE=_new_name())


def create_database(servers: Servers, name: str, template: str | None = None) -> str:
    """Make a database, a copy of *template* or empty, in place of an older one; return its address."""
    admin = _admin(servers.database_url)
    admin.execute(f"drop database if exists {name} with (force)".encode())
    # The strategy wal_log also writes each page to the log, and takes 1.5 times as long.
    strategy = " strategy file_copy" if admin.info.server_version >= 150_000 else ""
    admin.execute(f"create database {name} template {template or 'template1'}{strategy}".encode())
    parts = urlsplit(db_session.without_search_path(servers.database_url))
    return parts._replace(path=f"/{name}").geturl()


def drop_database(servers: Servers, name: str) -> None:
    """Drop a database, and end the connections to it."""
    admin = _admin(servers.database_url)
    end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
    while admin.execute(end, [name]).fetchall():
        # A connection that was just closed lingers for about 2 ms; PostgreSQL itself looks again after 0.1 s.
        time.sleep(0.002)
    admin.execute(f"drop database {name} with (force)".encode())


@cache
def _admin(url: str) -> psycopg.Connection[Any]:
    """What makes and drops databases: to connect takes as long as to make one."""
    return psycopg.connect(url, autocommit=True)


def address_of_schema(url: str, name: str) -> str:
    """The address of the same database, for connections that see nothing but the schema *name*."""
    return f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{name}"


class World:
    """The rows of one test, read and aged by hand."""

    def __init__(self, url: str, connection: psycopg.Connection[Any] | None = None) -> None:
        self.url = url
        self.connection = connection or psycopg.connect(url, autocommit=True, row_factory=namedtuple_row)

    def rows(self, query: str, *parameters: object) -> list[Any]:
        return self.connection.execute(query.encode(), parameters).fetchall()

    def do(self, query: str, *parameters: object) -> None:
        self.connection.execute(query.encode(), parameters)

    def value(self, query: str, *parameters: object) -> Any:
        return self.rows(query, *parameters)[0][0]

    def empty(self, *tables: str) -> None:
        """
        Delete all rows of these tables, and of those that refer to them, without a trigger.

        After a `truncate` each session reads the tables' definitions again and plans all its statements again.
        """
        referring = (
            "with recursive found (id) as (select unnest(%s::regclass[])::oid union"
            " select conrelid from pg_constraint join found on confrelid = id where contype = 'f')"
            " select id::regclass::text as name from found"
        )
        names = [row.name for row in self.rows(referring, list(tables))]
        with self.connection.transaction():
            self.do("set local session_replication_role = replica")
            self.do("; ".join(f"delete from {name}" for name in names))  # noqa: S608 (the database's own names)

    def call(self, call_id: int) -> Any:
        return self.rows("select * from call_log where id = %s", call_id)[0]

    def statuses(self) -> list[str]:
        return [row.status for row in self.rows("select status from call_log order by id")]

    def business(self, name: str = "Acme", phone: str | None = None) -> int:
        phone = phone or f"+1500556{next(_numbers) % 10_000:04d}"  # nobody whom a test calls
        found = self.value("insert into business (name, twiml) values (%s, '<Response/>') returning id", name)
        self.do("insert into business_number (phone, business_id) values (%s, %s)", phone, found)
        return int(found)

    def queued(self, business_id: int | None = None, to: str = "+15005550101") -> int:
        """One call that waits to be dialed now."""
        business_id = self.business() if business_id is None else business_id
        insert = (
            "insert into call_log (business_id, from_number, to_number) values (%s, '+15005550006', %s) returning id"
        )
        return int(self.value(insert, business_id, to))

    def claimed(self, business_id: int | None = None, to: str = "+15005550101") -> int:
        call_id = self.queued(business_id, to)
        claim = "update call_log set status = 'claimed', fence = 1, overdue_at = now() + interval '30 s' where id = %s"
        self.do(claim, call_id)
        return call_id

    def initiated(self, business_id: int | None = None, to: str = "+15005550101", call_sid: str | None = None) -> int:
        """A call whose dial has begun; with a call_sid, one that the carrier took."""
        call_id = self.claimed(business_id, to)
        self.do(
            "update call_log set status = 'initiated', dialed_at = now(), overdue_at = now() + interval '60 s',"
            " call_sid = %s where id = %s",
            call_sid,
            call_id,
        )
        return call_id

    def age(self, call_id: int, seconds: float) -> None:
        """Let *seconds* pass for one call."""
        self.do(
            "update call_log set due_at = due_at - make_interval(secs => %(s)s),"
            " overdue_at = overdue_at - make_interval(secs => %(s)s),"
            " dialed_at = dialed_at - make_interval(secs => %(s)s),"
            " looked_at = looked_at - make_interval(secs => %(s)s),"
            " created_at = created_at - make_interval(secs => %(s)s)"
            " where id = %(id)s".replace("%(s)s", str(float(seconds))).replace("%(id)s", str(int(call_id)))
        )

    def worker(self, threads: int = 8) -> None:
        """A worker that is alive, also to a test that is slow."""
        self.do(
            "insert into worker (id, threads, seen_at) values (gen_random_uuid(), %s, now() + interval '5 min')",
            threads,
        )

    def simulated(self) -> None:
        """A dispatcher has looked at this database, and dials through the simulator."""
        self.do(
            "insert into identity (database_oid, carrier)"
            " select oid, 'simulator' from pg_database where datname = current_database()"
        )

    def scheduler(self) -> None:
        """A scheduler that is alive, also to a test that is slow."""
        self.do(
            "insert into duty (name, last_success_at)"
            " select unnest(array['claimed', 'no_call_sid', 'no_lead', 'campaign_ended', 'reconcile']),"
            " now() + interval '5 min'"
            " on conflict (name) do update set last_success_at = excluded.last_success_at"
        )

    def count(self, name: str, label: str) -> int:
        return int(
            self.value("select coalesce(sum(value), 0) from counter where name = %s and label = %s", name, label)
        )


@pytest.fixture
def world(database: str, kept_database: Kept | None) -> Iterator[World]:
    world = World(database, kept_database.connection if kept_database else None)
    yield world
    if kept_database is None:
        world.connection.close()


@pytest.fixture
def nudges(database: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Any, ...]]]:
    """The messages that a real in-process broker was given, in order, and that no worker takes."""
    quiet = broker.make(broker.IN_PROCESS)
    sent: list[tuple[str, tuple[Any, ...]]] = []

    class Recorder(dramatiq.Middleware):
        def after_enqueue(self, _broker: dramatiq.Broker, message: dramatiq.Message[Any], _delay: int | None) -> None:
            sent.append((message.actor_name, message.args))

    quiet.add_middleware(Recorder())
    for actor in (dial.dial_call, lead.create_lead_from_call_job):
        quiet.declare_actor(actor)
        monkeypatch.setattr(actor, "broker", quiet)
    return sent


def place(carrier: Carrier, order: DialOrder) -> Accepted:
    """What the carrier says to one order; what is no acceptance is raised."""
    (((_, answer),),) = carrier.place_calls([order])
    if isinstance(answer, Exception):
        raise answer
    return answer


def begin(call_id: int) -> Any:
    """Begin to dial a claimed call, as a worker does; None where it may not."""
    begun = db.run(dial.sql.begin_dials, call_ids=[call_id], ask_s=60, send_s=0.1, life_s=3600)
    return begun[0] if begun else None


def until(condition: Callable[[], object], timeout_s: float = 60) -> None:
    """Wait for a condition, and fail where it does not come true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def phones() -> Iterator[simulated.RunningSimulator]:
    """The simulated carrier, with phones that ring fast."""
    with simulated.in_thread(
        account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, speed=100, stall_s=4, nobody_at=PUBLIC_URL
    ) as running:
        yield running


@pytest.fixture
def carrier(phones: simulated.RunningSimulator, monkeypatch: pytest.MonkeyPatch) -> simulated.RunningSimulator:
    """The simulator as this process's carrier, with an empty log."""
    monkeypatch.setenv("TWILIO_API_URL", phones.url)
    forget_settings()
    phones.reset()
    return phones


def let_it_end(carrier: simulated.RunningSimulator, entry: dict[str, Any]) -> None:
    """Wait until a simulated call, given by its entry in the log, is over at the carrier."""
    url = f"{carrier.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{entry['call_sid']}.json"
    auth = (ACCOUNT_SID, AUTH_TOKEN)
    until(lambda: requests.get(url, auth=auth, timeout=5).json()["status"] == "completed")


def forget_settings() -> None:
    """Let the next look at the settings read the environment again."""
    config.use(None)
    twilio.close()


class Environment:
    """Settings for as long as the block lasts; the pool and the settings are read again before and after."""

    def __init__(self, **values: str) -> None:
        self._values = values
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> None:
        for name, value in self._values.items():
            self._patch.setenv(name, value)
        self._forget()

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
        self._forget()

    @staticmethod
    def _forget() -> None:
        forget_settings()  # first: a thread that asks in between opens a pool at the new address
        db.close()
