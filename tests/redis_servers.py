"""Debian's redis-server and redis-sentinel on free ports, for what the broker of the wheels cannot show: failovers."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

from tests.conftest import until
from tests.ports import free_ports

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="Debian's redis-server is not installed")
needs_sentinel = pytest.mark.skipif(
    shutil.which("redis-sentinel") is None, reason="Debian's redis-sentinel is not installed"
)


@contextmanager
def redis_server(home: Path, *options: str, port: int | None = None) -> Iterator[int]:
    """A server of its own, with nothing in it; its port."""
    port = port or free_ports(1)[0]
    fixed = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(home), "--save", "", "--daemonize", "no"]
    with _running(["redis-server", *fixed, *options], port):
        yield port


@contextmanager
def sentinels(home: Path, primary_port: int, count: int = 3) -> Iterator[list[int]]:
    """Sentinels that call the server on *primary_port* `calls`, and fail over after a second; their ports."""
    ports = free_ports(count)
    servers = []
    try:
        for port in ports:
            configuration = home / f"sentinel-{port}.conf"
            configuration.write_text(
                f"port {port}\nbind 127.0.0.1\ndir {home}\n"
                f"sentinel monitor calls 127.0.0.1 {primary_port} 2\n"
                "sentinel down-after-milliseconds calls 1000\n"
                "sentinel failover-timeout calls 5000\n"
            )
            server = _running(["redis-sentinel", str(configuration)], port)
            server.__enter__()
            servers.append(server)
        yield ports
    finally:
        for server in servers:
            server.__exit__(None, None, None)


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: _answers(port))
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def _answers(port: int) -> bool:
    try:
        with redis.Redis(port=port, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.AuthenticationError:
        return True
    except redis.RedisError:
        return False


def become_replica(port: int, of: int) -> None:
    """Let one server follow another, as an orchestrator does after a failover."""
    with redis.Redis(port=port) as client:
        client.replicaof("127.0.0.1", str(of))


def become_primary(port: int) -> None:
    """Let a server follow nobody."""
    with redis.Redis(port=port) as client:
        client.replicaof("no", "one")
