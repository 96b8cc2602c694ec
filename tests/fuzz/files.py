"""Odd files for every import: a file is refused whole and changes nothing, or each of its lines is reported."""

import codecs
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from outbound.calls import import_calls
from outbound.formats.file_report import ImportReport
from outbound.rules import consent, registry, suppression
from tests.conftest import World
from tests.fuzz.inside import attack, complain, place, raw
from tests.fuzz.result import Result

_HEADERS = (
    *(
        "to",
        "phone",
        "to,name,key",
        "phone;listed",
        "phone\tgiven\tsource",
        "טלפון,שם",
        "to,to",
        "to,business,at,time_zone",
    ),
    *("phone,reason", "phone,given,expires,source", "phone,listed", "", "name", "sep=;", '"to', "to|name|from"),
)
_CELLS = (
    *("+15005550101", "0501234567", "15005550102", '="0501234567"', "\u202a+15005550103\u202c", "yes", "no", "1", ""),
    *(
        "2026-11-30T09:00",
        "30/11/2026 09:00",
        "Asia/Jerusalem",
        "=cmd|' /C calc'!A0",
        '"',
        '""',
        ",",
        ";",
        "\n",
        "a" * 5000,
    ),
)
_BINARY = (
    b"PK\x03\x04",
    b"%PDF-1.7",
    b"\x1f\x8b",
    b"\xd0\xcf\x11\xe0",
    b"\x00" * 64,
    b"\xff" * 64,
    b"{}",
    b"<html>",
    b"[{",
)
_ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1255", "latin-1")


def run(seed: int, count: int) -> Result:
    """Import *count* files."""
    chance = random.Random(seed)
    with place() as world, tempfile.TemporaryDirectory() as folder:
        business_id = world.business()
        imports: tuple[Callable[[Path], ImportReport], ...] = (
            lambda file: import_calls.import_calls(file, business_id=business_id),
            lambda file: suppression.import_suppressions(file, actor="fuzz"),
            lambda file: consent.import_consents(file, actor="fuzz", business_id=business_id, given_at="2026-01-01"),
            lambda file: registry.import_registry(file, actor="fuzz", checked_at="2026-01-01T00:00Z", region="IL"),
        )

        def one(result: Result) -> None:
            file = Path(folder) / "odd.csv"
            file.write_bytes(_content(chance))
            _import(world, file, chance.choice(imports), result)

        return attack("files", count, one)


def _import(world: World, file: Path, step: Callable[[Path], ImportReport], result: Result) -> None:
    before = _rows(world)
    created = 0
    try:
        created = step(file).created
    except (import_calls.BadFile, suppression.BadFile, suppression.BadSuppression):
        pass
    except Exception as error:  # noqa: BLE001 (whatever it is, it is what we look for)
        result.tracebacks += 1
        complain(f"files: {type(error).__name__}: {error}; {file.read_bytes()[:1000]!r}")
    if _rows(world) - before != created:
        result.state_changes += 1
        complain(f"files: {_rows(world) - before} rows are new, and {created} were said: {file.read_bytes()[:1000]!r}")


def _rows(world: World) -> int:
    """How many rows the imports have written."""
    tables = ("call_log", "suppression", "consent", "registry_check")
    return sum(int(world.value(f"select count(*) from {table}")) for table in tables)  # noqa: S608


def _content(chance: random.Random) -> bytes:
    kind = chance.random()
    if kind < 0.1:
        return chance.choice(_BINARY) + chance.randbytes(chance.randint(0, 500))
    separator = chance.choice(",;\t|")
    lines = [chance.choice(_HEADERS)]
    rows = range(chance.randint(0, 12))
    lines += [separator.join(_cell(chance) for _ in range(chance.randint(0, 5))) for _ in rows]
    text = chance.choice(("\n", "\r\n", "\r")).join(lines)
    content = codecs.encode(text, chance.choice(_ENCODINGS), errors="replace")
    return _cut(content, chance) if kind < 0.4 else content


def _cell(chance: random.Random) -> str:
    cell = raw(chance) if chance.random() < 0.3 else chance.choice(_CELLS)
    return f'"{cell}"' if chance.random() < 0.3 else cell


def _cut(content: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, or the end cut off."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 5)):
        if changed:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed[: chance.randint(0, len(changed))]) if chance.random() < 0.3 else bytes(changed)
