"""What attacks on files, commands, messages and cells share: a database, odd texts, the command in this process."""

import contextlib
import io
import logging
import os
import random
import re
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import psutil
import structlog

from outbound import config
from outbound.cli import app
from outbound.database import migrations
from outbound.local import embedded_servers
from tests.conftest import Servers, World, open_database
from tests.fuzz.result import Result

UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_WARM_UP = 10  # tries after which the memory counts: what is imported late was imported by then
# What a process writes of itself while it runs.
_OWN_TABLES = ("worker", "duty", "web_presence", "identity", "dials_begun", "counter")

_PIECES = (
    *("[/red]", "[bold]", "[/]", "[link=https://example.com]x[/link]", ":boom:", "\\[", "{}", "{0}", "%s", "%(x)s"),
    *("\x1b[31m", "\x1b]0;t\x07", "\x9b1m", "\x00", "\x08", "\r", "\n", "\t", "\x0b", "\x7f", "\x85"),
    *("\u202e", "\u2066", "\u2069", "\u200f", "\u200e", "\u061c", "\ufeff", "\u200b", "\u2028", "\u2029", "\u00ad"),
    *("\U000e0041", "\ue000", "\U0010ffff", "\u0301" * 20, "שלום", "مرحبا", "日本", "😀", "ẞ", "\u200d"),
    *("'; drop table leads; --", "$(true)", "`true`", "../../etc/passwd", "=1+1", "@x", "+15005550101", "0501234567"),
    *("https://user:hush@example.com/x", "postgresql://u:p@ss@h/db", "NULL", "null", "NaN", "Infinity", "-1", "1e400"),
    *("9" * 19, "9" * 40, "0", "00", "true", "{{name}}", "<!DOCTYPE x>", "<Response/>", "&lol;", "a" * 2000),
)


class Said(NamedTuple):
    """What a command printed, and how it ended; None where it did not end but raised."""

    exit_status: int | None
    text: str


@contextlib.contextmanager
def place() -> Iterator[World]:
    """A migrated database of its own: on the configured servers, else on some that are started for it."""
    with _servers() as servers, open_database(servers, template=None) as url:
        migrations.migrate()
        world = World(url)
        try:
            yield world
        finally:
            world.connection.close()


@contextlib.contextmanager
def _servers() -> Iterator[Servers]:
    database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL", "")
    if database_url and "memory:" not in redis_url:
        yield Servers(database_url, redis_url)
        return
    with tempfile.TemporaryDirectory(prefix="outbound-fuzz-") as folder:
        Path(folder).chmod(0o755)  # as root, PostgreSQL runs as another user, who must get there
        with embedded_servers.servers(Path(folder), durable=False) as own:
            yield Servers(own.database_url or "", own.redis_url or "")


def text(chance: random.Random, pieces_max: int = 4) -> str:
    """An odd text, which an operating system could hand over: without a NUL byte."""
    return "".join(chance.choices(_PIECES, k=chance.randint(1, pieces_max))).replace("\x00", "\\0")


def raw(chance: random.Random, pieces_max: int = 4) -> str:
    """An odd text, with NUL bytes."""
    return "".join(chance.choices(_PIECES, k=chance.randint(1, pieces_max)))


def stored(chance: random.Random) -> str:
    """An odd text that PostgreSQL can hold."""
    return text(chance).replace("\x00", "")


def digest(world: World) -> dict[str, str]:
    """A hash of all rows of each table, but of those in which a process writes of itself."""
    tables = world.rows("select tablename as name from pg_tables where schemaname = current_schema() order by 1")
    names = [
        row.name
        for row in tables
        if row.name not in (*_OWN_TABLES, "phone_zone", "former_zone") and "yoyo" not in row.name
    ]
    parts = [
        f"select '{name}', md5(coalesce(string_agg(row::text, ' ' order by row::text), '')) from {name} as row"  # noqa: S608
        for name in names
    ]
    return {str(row[0]): str(row[1]) for row in world.rows(" union all ".join(parts))}  # in whatever order they come


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The tables that differ."""
    return [name for name in before if before[name] != after[name]]


def command(*arguments: str) -> Said:
    """Run `outbound` in this process, which has started already."""
    said = io.StringIO()
    root = logging.getLogger()
    handlers, hooks = list(root.handlers), (sys.excepthook, threading.excepthook)
    with tempfile.TemporaryFile() as printed:
        kept = os.dup(1)
        os.dup2(printed.fileno(), 1)
        try:
            argv, environment = mock.patch.object(sys, "argv", ["outbound", *arguments]), mock.patch.dict(os.environ)
            with contextlib.redirect_stderr(said), argv, environment:
                exit_status = _ended(said)
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            root.handlers[:] = handlers
            sys.excepthook, threading.excepthook = hooks
            structlog.reset_defaults()
            config.use(None)
        printed.seek(0)
        return Said(exit_status, printed.read().decode() + said.getvalue())


def _ended(said: io.StringIO) -> int | None:
    try:
        app.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001 (whatever it is, it is what we look for)
        traceback.print_exc(file=said)
    return None


def odd(said: Said) -> bool:
    """Did it end in an error that nobody expected, or reach the terminal with what cannot be seen?"""
    return said.exit_status not in (0, 1, 2) or "Traceback" in said.text or bool(UNSEEN.search(said.text))


def attack(name: str, count: int, one: Callable[[Result], None]) -> Result:
    """Do *one* attack *count* times; it counts what came of it."""
    result = Result(name)
    memory = psutil.Process().memory_info
    for number in range(count):
        if number in (0, min(_WARM_UP, count - 1)):
            result.memory_before = memory().rss
        one(result)
        result.tries += 1
    result.memory_after = memory().rss
    return result


def complain(what: str) -> None:
    """Say what was found, so that it can be mended; the seed brings it back."""
    print(what[:4000], file=sys.stderr)  # noqa: T201
