"""The servers of a whole run, and the settings of this process and of its children."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from outbound import config, db
from outbound.database import migrations
from outbound.local import embedded_servers

ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "a-token-that-signs-nothing-real"
NAMESPACE = f"bench-{os.getpid()}"
TEMPLATE = "outbound_bench_template"

_OURS = ("OUTBOUND_", "TWILIO_", "DATABASE_URL", "REDIS_URL")


@dataclass(frozen=True)
class Cluster:
    """Where the servers are; `server_pids` is empty for those that somebody else runs."""

    home: Path
    database_url: str
    redis_url: str
    server_pids: dict[str, int]

    def settle(self, database_url: str, settings: Mapping[str, str]) -> None:
        """Make these, and nothing else, the settings of this process and of its children."""
        db.close()
        for name in [name for name in os.environ if name.startswith(_OURS)]:
            del os.environ[name]
        os.environ.update(
            {
                "DATABASE_URL": database_url,
                "REDIS_URL": self.redis_url,
                "OUTBOUND_DATA_DIR": str(self.home),
                "OUTBOUND_BROKER_NAMESPACE": NAMESPACE,
                "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
                "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
                **settings,
            }
        )
        config.use(None)


@contextmanager
def running(home: Path) -> Iterator[Cluster]:
    """The servers: those that DATABASE_URL and REDIS_URL name, else our own, which keep what they commit (fsync)."""
    own = {name: value for name, value in os.environ.items() if name.startswith(_OURS)}
    database_url, redis_url = own.get("DATABASE_URL"), own.get("REDIS_URL")
    with embedded_servers.servers(home, postgres=not database_url, broker=not redis_url, durable=True) as servers:
        pids = {}
        if not database_url:
            pids["postgres"] = int((home / "postgres" / "postmaster.pid").read_text().split()[0])
        if not redis_url:
            pids["broker"] = int((home / "broker" / "valkey.pid").read_text().split()[0])
        cluster = Cluster(home, database_url or servers.database_url or "", redis_url or servers.redis_url or "", pids)
        try:
            cluster.settle(cluster.database_url, {})
            cluster.settle(db.recreate_database(TEMPLATE), {})
            migrations.migrate()
            yield cluster
        finally:
            cluster.settle(cluster.database_url, {})
            with suppress(psycopg.Error), db.connect() as connection:
                connection.execute(f"drop database if exists {TEMPLATE} with (force)".encode())
            db.close()
            for name in [name for name in os.environ if name.startswith(_OURS)]:
                del os.environ[name]
            os.environ.update(own)
