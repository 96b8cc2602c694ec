"""Makes the place of a demo: a directory, servers, a database and ports that no other demo has."""

import fcntl
import os
import re
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from outbound import config, db, db_session
from outbound.local import embedded_servers, environment

sql = db.statements("local/demo")

PLACES_MAX = 99
DATABASE = "outbound_demo"  # on a configured server; one of our own has the database that every command finds there


@dataclass(frozen=True)
class Place:
    """The place that this demo has for itself."""

    directory: Path  # logs/ in it and, without configured ones, the servers
    log_dir: Path
    embedded: bool  # whether the database is in the directory, where later commands find it


@contextmanager
def directory_of_our_own() -> Iterator[Place]:
    """
    The first directory that no demo plays in and whose servers nobody uses: `demo`, `demo-2`, …

    Raises:
        embedded.EmbeddedError: there is none, and what to do about it.
    """
    settings = config.load()
    base = (settings.data_dir or embedded_servers.default_data_dir()).absolute()
    with ExitStack() as stack, embedded_servers.explained(base):
        names = [Path("demo"), *(Path(f"demo-{number}") for number in range(2, PLACES_MAX + 1))]
        free = (base / name for name in names if _is_ours_now(stack, base / name))
        directory = next(free, None)
        if directory is None:
            raise embedded_servers.EmbeddedError(
                f"{PLACES_MAX} demos play in {base}: end one, or {embedded_servers.ELSEWHERE}"
            )
        yield Place(directory, _new_log_dir(directory), embedded=settings.database_url is None)


def _is_ours_now(stack: ExitStack, directory: Path) -> bool:
    embedded_servers.make_home(directory)
    lock = os.open(directory / "demo.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    stack.callback(os.close, lock)
    return not embedded_servers.is_owned(directory)


def _new_log_dir(directory: Path) -> Path:
    log_dir = directory / "logs"
    shutil.rmtree(log_dir, ignore_errors=True)
    log_dir.mkdir(parents=True)
    return log_dir


@contextmanager
def database_of_our_own(place: Place) -> Iterator[None]:
    """
    Make an empty database and a broker's namespace without messages, and use them from here on.

    On a configured server the database has the first name that no other demo has.  What a demo leaves in a configured
    broker is deleted at its end.
    """
    names = ["outbound"] if place.embedded else [DATABASE, *(f"{DATABASE}_{n}" for n in range(2, PLACES_MAX + 1))]
    if place.embedded:  # from outside the one that is made again
        _use(re.sub(r"^(\w+://[^/?]*)/[^?]*", r"\1/postgres", config.settings().database_url or ""))
    with db.connect(needs_schema=False) as holder:
        name = next(name for name in names if sql.hold_name(holder, name=name))
        _use(db.recreate_database(name))
        with _namespace_of_our_own(place):
            try:
                yield
            finally:
                db.close()


@contextmanager
def _namespace_of_our_own(place: Place) -> Iterator[None]:
    name = "outbound" if place.embedded else f"{DATABASE}_{secrets.token_hex(6)}"
    config.use(config.environment() | {"OUTBOUND_BROKER_NAMESPACE": name})
    from outbound.broker import forget_namespace  # binds to the broker that is configured now

    forget_namespace(name)  # what a demo that was killed left in a broker of our own
    yield
    if not place.embedded:
        forget_namespace(name)


def _use(url: str) -> None:
    db.close()
    config.use(config.environment() | {"DATABASE_URL": db_session.without_search_path(url)})


@contextmanager
def ports_of_our_own(count: int) -> Iterator[list[int]]:
    """
    Ports on loopback that no other program is given for as long as this lasts, and our children may listen to.

    On Linux a socket that is bound and does not listen keeps a port, and who names the port may listen to it
    (SO_REUSEADDR, which asyncio and socket.create_server set); elsewhere they are free at this moment and no more.
    """
    with ExitStack() as stack:
        keepers = [stack.enter_context(socket.socket()) for _ in range(count)]
        for keeper in keepers:
            keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            keeper.bind(("127.0.0.1", 0))
        ports = [keeper.getsockname()[1] for keeper in keepers]
        if not sys.platform.startswith("linux"):
            stack.close()
        yield ports


@contextmanager
def servers_of_our_own(place: Place) -> Iterator[None]:
    """Start what is not configured in the demo's directory; see environment.prepared_environment."""
    config.use(config.environment() | {"OUTBOUND_DATA_DIR": str(place.directory)})
    settings = config.settings()
    with embedded_servers.servers(
        place.directory, postgres=place.embedded, broker=settings.redis_url is None, lasting=True
    ) as found:
        environment.invent_account(settings)
        environment.lead_to(found)
        yield
