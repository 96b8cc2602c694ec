"""Sees the statements of this process as they run: how long each took, and how many buffers it read."""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import psycopg

from outbound import db

_NAME = re.compile(r"/\* (?:\w+/)*([\w.]+) \*/")  # calls/dispatch.claim_due_calls


class Seen:
    """Statements by name (`dispatch.claim_due_calls`): milliseconds of each run, and buffers of each explained one."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.took_ms: dict[str, list[float]] = defaultdict(list)
        self.buffers: dict[str, list[int]] = defaultdict(list)
        self.explain = False
        self._connection = connection
        connection.cursor_factory = self._cursor_class()

    def run(self, act: Callable[[], object]) -> None:
        """Do something whose statements go to this one's database."""

        @contextmanager
        def lent() -> Iterator[psycopg.Connection[Any]]:
            yield self._connection

        with mock.patch.object(db, "_lent_connection", lent):
            act()

    def _cursor_class(self) -> type[psycopg.Cursor[Any]]:
        seen = self

        class Watching(psycopg.Cursor[Any]):
            def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
                name = _NAME.match(str(query))
                if name is not None and seen.explain:
                    seen.buffers[name[1]].append(_buffers(self.connection, str(query), params))
                began_at = time.perf_counter()
                result = super().execute(query, params, **options)
                if name is not None and not seen.explain:
                    seen.took_ms[name[1]].append(1000 * (time.perf_counter() - began_at))
                return result

        return Watching


@contextmanager
def watching(url: str) -> Iterator[Seen]:
    """One connection for the statements of this process, with the settings they rely on, and what is seen there."""
    with db.connect(url, **db.PREPARED) as connection:
        yield Seen(connection)


def _buffers(connection: Any, query: str, params: Any) -> int:
    """What a statement reads and writes, in pages; it is undone."""
    with connection.transaction(force_rollback=True):
        plain = psycopg.Cursor(connection)
        plain.execute(f"explain (analyze, buffers, format json) {query}", params)
        row = plain.fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
