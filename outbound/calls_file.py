"""A CSV file of calls, as people and spreadsheets write them: its rows, and which of its lines are refused, and why."""

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

REJECTED_SHOWN_MAX = 1000  # the report names this many bad rows and counts the others

_COLUMNS = {
    "to": "to",
    "to_number": "to",
    "phone": "to",
    "from": "from",
    "from_number": "from",
    "at": "at",
    "due_at": "at",
    "key": "key",
    "business": "business",
    "business_id": "business",
}

Row = tuple[int, dict[str, str]]  # a line's number, and its values by column


class BadFile(ValueError):
    """The file cannot be imported at all; nothing was changed."""


@dataclass
class ImportReport:
    """What came of a file: how many calls are new, how many were there already, and which lines were refused."""

    created: int = 0
    already_there: int = 0
    rejected: int = 0
    rejected_lines: list[tuple[int, str]] = field(default_factory=list)

    def reject(self, line: int, reason: str, lines: int = 1) -> None:
        """Refuse one line of the file, or several that were read as one."""
        self.rejected += lines
        if len(self.rejected_lines) < REJECTED_SHOWN_MAX:
            self.rejected_lines.append((line, reason))


def open_file(path: Path) -> io.BufferedReader:
    """Open a file that can be read twice, or raise BadFile."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from None
    if not file.seekable():
        file.close()
        raise BadFile(f"{path} is a pipe, which cannot be read twice: save it as a file first")
    return file


def digest(file: io.BufferedReader) -> str:
    """32 hexadecimal digits of the whole content; the file is at its beginning again."""
    content = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    file.seek(0)
    return content


class Rows:
    """The rows below the header; a line that is not CSV is rejected in *report*, with all that its quote swallowed."""

    def __init__(self, file: io.BufferedReader, report: ImportReport) -> None:
        # What is not UTF-8 stays recognizable, so that one bad line does not cost the others.
        # Strict, so that a quote that is never closed is reported and does not swallow the lines below it in silence.
        text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
        self._lines = csv.reader(text, strict=True)
        self._report = report
        self.columns = _columns(self._lines)

    def chunks(self, size: int) -> Iterator[list[Row]]:
        """The rows, *size* at a time; the last chunk is shorter, and may be empty."""
        rows = iter(self)
        while True:
            chunk = list(islice(rows, size))
            yield chunk
            if len(chunk) < size:
                return

    def __iter__(self) -> Iterator[Row]:
        while True:
            first = self._lines.line_num + 1
            try:
                values = next(self._lines)
            except StopIteration:
                return
            except csv.Error as error:
                self._reject(first, self._lines.line_num, error)
                continue
            if not all(map(is_text, values)):
                self._report.reject(self._lines.line_num, "not UTF-8 text")
            elif any(values):
                yield self._lines.line_num, dict(zip(self.columns, map(str.strip, values), strict=False))

    def _reject(self, first: int, last: int, error: csv.Error) -> None:
        if first == last:
            self._report.reject(first, f"not CSV: {error}")
        else:
            reason = f"lines {first} to {last} were read as one: a quote is not closed"
            self._report.reject(first, reason, lines=last - first + 1)


def _columns(lines: Iterator[list[str]]) -> list[str]:
    """What each column of the first line means, "" for one that we do not know, or raise BadFile."""
    try:
        header = next(lines)
    except StopIteration:
        raise BadFile("the file is empty: its first line must name the columns, `to` among them") from None
    except csv.Error as error:
        raise BadFile(f"the first line is not CSV: {error}") from None
    if not all(map(is_text, header)):
        raise BadFile("the file is not UTF-8 text: save it as CSV UTF-8")
    columns = [_COLUMNS.get(name.strip().lower(), "") for name in header]
    # Without a header the first line is a call: it is not repeated here.
    if "to" not in columns:
        raise BadFile("no column is named `to`: the first line must name the columns, with commas between them")
    for name in set(columns) - {""}:
        if columns.count(name) > 1:
            raise BadFile(f"two columns mean `{name}`: leave one of them")
    return columns


def is_text(value: str) -> bool:
    """Is this what PostgreSQL can store: no NUL, and no bytes that were not UTF-8?"""
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value)
