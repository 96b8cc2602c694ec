"""CSV that people open in a spreadsheet: no cell of it is run as a formula."""

import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TextIO

from outbound.formats import plain_text, urls

_NUMBER = re.compile(r"\+[0-9]{5,18}|-?[0-9]{1,18}(?:\.[0-9]{1,9})?", re.ASCII)
_HARMLESS_CELL = r"(?:[A-Za-z0-9][A-Za-z0-9_.:+ -]*|\+[0-9]{5,18})"  # as most are
_HARMLESS = re.compile(_HARMLESS_CELL, re.ASCII)
_HARMLESS_ROW = re.compile(rf"{_HARMLESS_CELL}?(?:\0{_HARMLESS_CELL}?)*", re.ASCII)  # its cells with \0 between them
# Of rows whose cells have commas, and which end with line feeds: what they may hold, and how a cell begins that
# needs care, the first in a row or another one.
_HARMLESS_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:+ -,\n"
_ODD_BEGIN = r"(?:[^A-Za-z0-9,\n+]|\+(?![0-9]{5,18}[,\n]))"
_ODD_CELL, _ODD_ROW = re.compile(f",{_ODD_BEGIN}", re.ASCII), re.compile(f"\n{_ODD_BEGIN}", re.ASCII)
# What a spreadsheet takes for the beginning of a formula, also in the wide forms of East Asian keyboards.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Where a spreadsheet that parts cells by semicolons, as in Germany, would begin one with a formula.
_NEXT_CELL = re.compile(rf""";(?!(?:{_NUMBER.pattern})(?:;|\Z))(?=[\s"]*[{re.escape("".join(_FORMULA))}])""")


def cell(value: object) -> str:
    """
    A value as a cell: moments in ISO 8601, None empty.

    A text that a spreadsheet would run gets an apostrophe in front, and so does what stands behind a semicolon in it,
    which ends a cell in some countries whatever the quotation marks say.  A phone number in E.164, or a plain number,
    is digits behind its sign and can be no formula: it stays as it is, so that people and programs can read it.
    """
    text = _text(value)
    if not text or _HARMLESS.fullmatch(text):
        return text
    is_run = text.lstrip(" \u00a0").startswith(_FORMULA) and not _NUMBER.fullmatch(text)
    text = _NEXT_CELL.sub(";'", plain_text.visible(urls.without_password(text)))
    return f"'{text}" if is_run else text


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _is_harmless(texts: list[str]) -> bool:
    """May the cells of a row be written as they are, with commas between them?"""
    together = "\0".join(texts)
    return together.count("\0") < len(texts) and _HARMLESS_ROW.fullmatch(together) is not None


def _harmless_lines(rows: list[list[str | None]]) -> str | None:
    """These rows as they may be written; None where a cell of them needs care."""
    lines = "".join([",".join([text or "" for text in row]) + "\n" for row in rows])
    commas = sum(map(len, rows)) - len(rows)
    is_parted = lines.count(",") == commas and lines.count("\n") == len(rows)
    has_only = is_parted and lines.isascii() and not lines.encode().translate(None, _HARMLESS_BYTES)
    return lines if has_only and not _ODD_CELL.search(lines) and not _ODD_ROW.search("\n" + lines) else None


class Writer:
    """Writes rows, the columns' names first; to standard output unless another file is given."""

    def __init__(self, columns: Iterable[str], to: TextIO | None = None) -> None:
        self._columns = list(columns)
        self._file = to or sys.stdout
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(self._columns)

    def write(self, row: Mapping[str, object]) -> None:
        """Write those of the row's values that are in the columns."""
        values = [row.get(name) for name in self._columns]
        self._write([value if type(value) is str else _text(value) for value in values])

    def write_texts(self, rows: list[list[str | None]]) -> None:
        """Write rows of as many texts as there are columns: all at once where all are harmless."""
        if (lines := _harmless_lines(rows)) is not None and len(self._columns) > 1:
            self._file.write(lines)
            return
        for row in rows:
            self._write([text or "" for text in row])

    def _write(self, texts: list[str]) -> None:
        if len(texts) > 1 and _is_harmless(texts):  # as most rows are: a tenth of the time
            self._file.write(",".join(texts) + "\n")
        else:
            self._writer.writerow([cell(text) for text in texts])
