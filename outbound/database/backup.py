"""
Back up what is in the database, and bring it back, with the tools of our own PostgreSQL.

`pg_dump` writes one file, in its custom format, with all of the schema that holds our tables.  A restore is one
transaction, which ends with a stop of all dialing: what was dialed since the dump is not in it.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from outbound import config, db, os_user
from outbound.database import migrations, postgres_tools
from outbound.errors import UserError
from outbound.formats import urls

sql = db.statements("database/backup")

LOCK_WAIT = "60s"  # for a migration that holds a table; then the dump gives up
_YOYO = ("_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock")
_TABLE = re.compile(r"^\d+; \d+ \d+ TABLE (\S+) call_log ", re.M)
_OF_SCHEMA = re.compile(r"; \d+ \d+ (SCHEMA - |COMMENT - SCHEMA |ACL - SCHEMA )")
_NEWER_SETTINGS = {b"SET transaction_timeout = 0;\n": 170_000}  # which an older server does not know


class CannotBackUp(UserError):
    """It is not dumped or restored; the message says why and what to do, and nothing was changed."""


class Dumped(NamedTuple):
    """The content of a dump: the schema and its size on disk, bytes."""

    file: str
    schema: str
    bytes: int


class Restored(NamedTuple):
    """The database after a restore, and the migrations that this version needs beside it, and does not know of."""

    file: str
    schema: str
    businesses: int
    calls: int
    missing_migrations: list[str]
    unknown_migrations: list[str]


def dump(file: Path, *, overwrite: bool = False) -> Dumped:
    """
    Write all that the schema of our tables holds to *file*, which only its owner may read, and return what was written.

    Raises:
        CannotBackUp: there is nothing to dump, the file is there already, or it cannot be written.
    """
    with db.connect() as connection:
        name = migrations.current(connection) or ""
        if _what_is_there(connection) is None:
            raise CannotBackUp("there is nothing to dump: the database has no tables of outbound's")
    if file.is_dir():
        raise CannotBackUp(f"{file} is a directory: give a file, like {file / 'calls.dump'}")
    if file.exists() and not overwrite:
        raise CannotBackUp(f"{file} is there already: give another name, or --overwrite")
    address, secret = db.address_for_tools()
    command = [_tool("pg_dump"), f"--dbname={address}", "--format=custom", f'--schema="{name}"']
    draft = file.with_name(f".{file.name}.new")
    try:
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600, exist_ok=False)
        with draft.open("wb") as output:
            _run([*command, f"--lock-wait-timeout={LOCK_WAIT}"], secret, output)
            output.flush()
            os.fsync(output.fileno())
        draft.replace(file)
    except OSError as error:
        raise CannotBackUp(f"{file} cannot be written: {error.strerror}; name a file where there is room") from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return Dumped(str(file), name, file.stat().st_size)


def restore(file: Path, *, replace: bool = False) -> Restored:
    """
    Bring back what a dump holds, in one transaction, and stop all dialing until `outbound recover`.

    Owners and grants are not taken from the dump: all belongs to this account, and `outbound roles` grants again.

    Args:
        replace: take away what is there, where that is more than empty tables.

    Raises:
        CannotBackUp: the file is no dump of ours, workers are at work, or there is something that would be lost.
    """
    contents = _contents(file)
    with db.connect(needs_schema=False) as connection:
        name = _schema_here(connection, contents)
        _refuse_to_lose(connection, name, replace=replace)
        drops = [row.statement for row in sql.drops(connection)] if migrations.current(connection) == name else []
    _load(file, name, contents, drops)
    with db.connect() as connection:
        there = _what_is_there(connection)
        done = Restored(
            str(file),
            name,
            there.businesses,
            there.calls,
            migrations.missing_migrations(),
            migrations.unknown_migrations(),
        )
        sql.note_restore(connection, who=os_user.name(), details=db.json({"calls": done.calls, "replaced": replace}))
    return done


def _what_is_there(connection: db.Connection) -> Any:
    """None where our tables are not there."""
    try:
        return sql.what_is_there(connection)
    except db.NoSuchTable:
        return None


def _schema_here(connection: db.Connection, contents: str) -> str:
    found = _TABLE.search(contents)
    if found is None:
        raise CannotBackUp("the file is a dump, but not of outbound: it has no table call_log")
    name = config.settings().database_schema or migrations.current(connection) or ""
    if name != found[1]:
        raise CannotBackUp(f"the dump holds the schema {found[1]}: set OUTBOUND_SCHEMA={found[1]}, and restore again")
    return name


def _refuse_to_lose(connection: db.Connection, name: str, *, replace: bool) -> None:
    if migrations.current(connection) != name:
        return  # the schema is not there
    others = [row.name for row in sql.tables_of_others(connection, ours=[*migrations.known_tables(), *_YOYO])]
    if others:
        raise CannotBackUp(
            f"the schema {name} also holds {', '.join(others[:3])}, which outbound did not make: restore into a"
            " database of its own (`create database …`, DATABASE_URL)"
        )
    there = _what_is_there(connection)
    if there is None:
        return
    if there.workers:
        raise CannotBackUp("workers are at work on this database: stop outbound on every host, then restore")
    kept = {name: count for name, count in there._asdict().items() if count}
    if kept and not replace:
        held = ", ".join(f"{count} {name}" for name, count in kept.items())
        raise CannotBackUp(
            f"the database is not empty, and this would be lost: {held}. Dump it first; --replace takes it away"
        )


def _contents(file: Path) -> str:
    if file.is_dir():
        raise CannotBackUp(f"{file} is a directory: give the file that `outbound dump` wrote")
    if not file.is_file():
        raise CannotBackUp(f"{file}: there is no such file")
    done = subprocess.run(
        [str(_tool("pg_restore")), "--list", str(file)], capture_output=True, text=True, check=False, errors="replace"
    )
    if done.returncode:
        raise CannotBackUp(f"{file} is no file of `outbound dump`: {_last_line(done.stderr)}")
    return done.stdout


def _load(file: Path, name: str, contents: str, drops: Sequence[str]) -> None:
    """Let psql run what pg_restore writes, between what takes away and what stops dialing, all in one transaction."""
    address, secret = db.address_for_tools()
    quoted = db.quoted(name)
    before = [*drops, f"create schema if not exists {quoted};"]
    after = [f"set search_path to {quoted}, pg_temp;", f"{sql.stop_after_restore.sql};"]
    with (
        tempfile.NamedTemporaryFile("w", suffix=".list") as wanted,  # the schema is here already, with its grants
        tempfile.TemporaryFile() as faults,
    ):
        wanted.write("".join(line for line in contents.splitlines(keepends=True) if not _OF_SCHEMA.search(line)))
        wanted.flush()
        reader = [_tool("pg_restore"), "--file=-", "--no-owner", "--no-privileges", f"--use-list={wanted.name}", file]
        writer = [_tool("psql"), "-Xq", "-v", "ON_ERROR_STOP=1", "--single-transaction", f"--dbname={address}", "-f-"]
        with (
            subprocess.Popen([str(word) for word in reader], stdout=subprocess.PIPE, stderr=faults) as source,
            subprocess.Popen(
                [str(word) for word in writer],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=faults,
                env=os.environ | secret,
            ) as target,
        ):
            is_whole = _pump(source, target, _lines(before), _lines(after))
        if not is_whole or target.returncode:
            faults.seek(0)
            why = _last_line(faults.read().decode(errors="replace"))
            raise CannotBackUp(f"it was not restored, and nothing was changed: {why}")


def _pump(source: Any, target: Any, before: bytes, after: bytes) -> bool:
    """Was all of it written?  A writer that has not got all is killed, and so commits nothing."""
    with suppress(BrokenPipeError):
        target.stdin.write(before)
        for line in _for_this_server(source.stdout):
            target.stdin.write(line)
        if source.wait() == 0:
            target.stdin.write(after)
            target.stdin.close()
            return bool(target.wait() == 0)
    target.kill()
    source.kill()
    with suppress(BrokenPipeError):
        target.stdin.close()
    return False


def _for_this_server(lines: IO[bytes]) -> Iterator[bytes]:
    unknown = {line for line, since in _NEWER_SETTINGS.items() if db.server().version_num < since}
    return (line for line in lines if line not in unknown)


def _lines(statements: Sequence[str]) -> bytes:
    return "".join(f"{statement}\n" for statement in statements).encode()


def _tool(name: str) -> Path:
    """
    The tool that fits the server: our own, and for a newer server than that one of PATH.

    Raises CannotBackUp where there is none.
    """
    major = db.server().version_num // 10_000
    if postgres_tools.major() >= major:
        return postgres_tools.tool_path(name)
    found = shutil.which(name)
    if found and _major_of(found) >= major:
        return Path(found)
    raise CannotBackUp(f"the server is PostgreSQL {major}, newer than our tools: install its {name} (PATH)")


def _major_of(program: str) -> int:
    text = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\) (\d+)", text)
    return int(found[1]) if found else 0


def _run(command: Sequence[object], secret: dict[str, str], output: IO[bytes]) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, env=os.environ | secret, stdout=output, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise CannotBackUp(f"it was not dumped: {_last_line(done.stderr.decode(errors='replace'))}")


def _last_line(text: str) -> str:
    """The first error of a tool, which names no row; a DETAIL may."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR:" in line or "error:" in line]
    return urls.without_password((errors or lines or ["it did not say why"])[0])
