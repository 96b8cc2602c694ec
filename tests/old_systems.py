"""A database of the system before, for as long as a test needs it, and the commands that an operator runs beside it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from typer.testing import CliRunner

from outbound import config, db
from outbound.cli import app
from outbound.database import migrations
from tests import old_system
from tests.conftest import (
    Environment,
    Servers,
    World,
    address_of_schema,
    create_database,
    drop_database,
    open_database,
)


class OldSystem:
    """A database of the system before, with or without what was taken over."""

    def __init__(self, url: str, shape: old_system.Shape) -> None:
        self.url, self.shape = url, shape
        self.old = World(url)
        self.ours = World(address_of_schema(url, "outbound"))

    def close(self) -> None:
        self.old.connection.close()
        self.ours.connection.close()

    def digests(self) -> dict[str, str]:
        return {table: self.old.value(old_system.digest_sql(table)) for table in old_system.tables(self.shape)}

    def fates(self, kind: str) -> dict[int, str]:
        return {
            row.old_id: row.fate for row in self.ours.rows("select old_id, fate from adopted where kind = %s", kind)
        }

    def call_of(self, old_id: int, kind: str = "call") -> Any:
        find = (
            "select call_log.* from adopted inner join call_log on call_log.id = new_id where kind = %s and old_id = %s"
        )
        return self.ours.rows(find, kind, old_id)[0]

    def job(self, job_id: int) -> str:
        return str(self.old.value("select status from public.outbound_call_jobs where id = %s", job_id))


class Templates:
    """Databases of the system before to be copied, one of each shape, in which `outbound migrate` has run."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._names: dict[old_system.Shape, str] = {}

    def of(self, shape: old_system.Shape) -> str:
        """The name of the one of this shape."""
        if shape not in self._names:
            name = f"outbound_test_system_{shape}_{os.getpid()}"
            url = create_database(self._servers, name)
            _fill(url, shape)
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(b"create schema outbound")
            with Environment(DATABASE_URL=address_of_schema(url, "outbound")):
                migrations.migrate()
            self._names[shape] = name
        return self._names[shape]

    def drop(self) -> None:
        for name in self._names.values():
            drop_database(self._servers, name)


def _fill(url: str, shape: old_system.Shape) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(old_system.tables_sql(shape).encode())
        connection.execute(old_system.rows_sql(shape).encode())


@contextmanager
def open_old_system(
    servers: Servers, shape: old_system.Shape, templates: Templates | None = None
) -> Iterator[OldSystem]:
    """An old system of this shape, with its rows; without *templates* there is no schema of ours."""
    with open_database(servers, templates.of(shape) if templates else None) as url:
        if templates is None:
            _fill(url, shape)
        found = OldSystem(url, shape)
        with Environment(TWILIO_ACCOUNT_SID="", TWILIO_AUTH_TOKEN="", OUTBOUND_PUBLIC_URL=""):
            yield found
        found.close()


def outbound(*words: str) -> Any:
    """The command, in this process; what it changed in the environment is forgotten afterwards."""
    before = dict(os.environ)
    try:
        return CliRunner().invoke(app.app, words, catch_exceptions=False)
    finally:
        os.environ.clear()
        os.environ.update(before)
        config.use(None)
        db.close()


def adopt(*words: str) -> dict[str, Any]:
    done = outbound("adopt", "--old-is-stopped", "--yes", "--json", *words)
    assert done.exit_code == 0, done.output
    report: dict[str, Any] = json.loads(done.stdout)
    return report
