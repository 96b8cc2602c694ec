"""A PostgreSQL and a broker that may be stopped, killed and started again in mid-run, each at the address it had."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil
import psycopg
import redis

from outbound.local import embedded_servers

_START_S = 60


class Server:
    """One of the embedded servers.  Call it from the main thread alone: on Linux a server ends with its starter."""

    def __init__(
        self, name: str, home: Path, url: str, pid_file: Path, stop_signal: int, ready: Callable[[], bool]
    ) -> None:
        self.url = url
        self._pid_file = pid_file
        self._stop_signal = stop_signal
        self._ready = ready
        self._log = home / f"{name}.log"
        self._switch = embedded_servers._postgres_user(home) if name == "postgres" else {}
        self._command = psutil.Process(self.pid).cmdline()
        self._stack = ExitStack()

    @property
    def pid(self) -> int:
        """As the server itself wrote it down."""
        return int(self._pid_file.read_text().split()[0])

    def stop(self) -> None:
        """As an operator stops it."""
        self._end(self._stop_signal)

    def kill(self) -> None:
        """As a crash does."""
        self._end(signal.SIGKILL)

    def start(self) -> None:
        """Start it again, and wait until it answers."""
        env = embedded_servers.CLEAN_ENV | {"PG_GRANDPARENT_PID": str(self._ended_pid)}
        deadline = time.monotonic() + _START_S
        while True:
            try:
                embedded_servers._start(
                    self._stack, self._command, self._ready, self._log, self._stop_signal, self._switch, env
                )
                return
            except embedded_servers.EmbeddedError as error:  # a backend of a killed server ends after its statement
                if "is still in use" not in str(error) or time.monotonic() > deadline:
                    raise

    def close(self) -> None:
        """Stop what was started here."""
        self._stack.close()

    def _end(self, number: int) -> None:
        self._ended_pid = self.pid
        os.kill(self._ended_pid, number)
        with suppress(ChildProcessError):
            os.waitpid(self._ended_pid, 0)


@contextmanager
def running(home: Path) -> Iterator[tuple[Server, list[Server]]]:
    """PostgreSQL and two brokers under *home*, of which the second is a spare; all are stopped at the end."""
    with ExitStack() as stack:
        found = stack.enter_context(embedded_servers.servers(home, tcp=True))
        spare = stack.enter_context(embedded_servers.servers(home / "spare", postgres=False))
        assert found.database_url
        assert found.redis_url
        assert spare.redis_url
        url = found.database_url
        pid_file = home / "postgres" / "postmaster.pid"
        postgres = Server("postgres", home, url, pid_file, signal.SIGINT, lambda: _postgres_answers(url))
        stack.callback(postgres.close)
        brokers = [_broker(home, found.redis_url), _broker(home / "spare", spare.redis_url)]
        for broker in brokers:
            stack.callback(broker.close)
        yield postgres, brokers


def _broker(home: Path, url: str) -> Server:
    pid_file = home / "broker" / "valkey.pid"
    return Server("broker", home, url, pid_file, signal.SIGTERM, lambda: _broker_answers(url))


def socket_path(broker_url: str) -> str:
    """The socket of `unix://…`."""
    parts = urlsplit(broker_url)
    return unquote(parts.netloc + parts.path)


def _postgres_answers(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=2):
        return True
    return False


def _broker_answers(url: str) -> bool:
    with suppress(redis.RedisError), redis.Redis.from_url(url, socket_timeout=2) as client:
        return bool(client.ping())
    return False
