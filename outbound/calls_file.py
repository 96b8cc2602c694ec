"""A CSV file, as people and spreadsheets write them: its rows, and which of its lines are refused, and why."""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from outbound.voice import field_name

REJECTED_SHOWN_MAX = 1000  # the report names this many bad rows and counts the others
ROW_MAX = 100_000  # characters of one row; what is longer is skipped unread, so that no line fills the memory

COLUMNS = {  # what people call them; another kind of file has others, `to` among them
    "to": "to",
    "to_number": "to",
    "phone": "to",
    "phone number": "to",
    "טלפון": "to",
    "מספר טלפון": "to",
    "טלפון נייד": "to",
    "נייד": "to",
    "מספר": "to",
    "from": "from",
    "from_number": "from",
    "מאת": "from",
    "at": "at",
    "due_at": "at",
    "שעה": "at",
    "מועד": "at",
    "key": "key",
    "מפתח": "key",
    "business": "business",
    "business_id": "business",
    "עסק": "business",
    "time_zone": "time_zone",
    "time zone": "time_zone",
    "timezone": "time_zone",
    "tz": "time_zone",
    "אזור זמן": "time_zone",
}

Row = tuple[int, dict[str, str]]  # a line's number, and its values by column


class BadFile(ValueError):
    """The file cannot be imported at all; nothing was changed."""


@dataclass
class ImportReport:
    """
    What came of a file.

    Attributes:
        created: how many are new.
        already_there: how many were there before this import.
        duplicates: how many lines came back to somebody whom this import had added.
        rejected, rejected_lines: how many lines were refused, and the first of them with the reason.
        encoding: how the file's letters were read: UTF-8, UTF-16, or windows-1255.
        fields: the columns that are not ours; in a file of calls, what is known of the callee.
    """

    created: int = 0
    already_there: int = 0
    duplicates: int = 0
    rejected: int = 0
    rejected_lines: list[tuple[int, str]] = field(default_factory=list)
    encoding: str = "UTF-8"
    fields: list[str] = field(default_factory=list)

    def reject(self, line: int, reason: str, lines: int = 1) -> None:
        """Refuse one line of the file, or several that were read as one."""
        self.rejected += lines
        if len(self.rejected_lines) < REJECTED_SHOWN_MAX:
            self.rejected_lines.append((line, reason))

    def add(self, other: "ImportReport") -> None:
        """Count what *other* says of the same file too."""
        self.created += other.created
        self.already_there += other.already_there
        self.duplicates += other.duplicates
        self.rejected += other.rejected
        self.rejected_lines = sorted(self.rejected_lines + other.rejected_lines)[:REJECTED_SHOWN_MAX]


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
    """
    The rows below the header; a line that is not CSV is rejected in *report*, with all that its quote swallowed.

    Commas, semicolons or tabs, as the header shows; UTF-8, or what a spreadsheet in Hebrew makes of it, which the
    report says.  A number that a spreadsheet saved as a formula, ="050…", is that number.  Any other formula stays the
    text that it is: to us a cell is data, and who writes it into a spreadsheet again must quote it there.
    """

    def __init__(self, file: io.BufferedReader, report: ImportReport, columns: Mapping[str, str] = COLUMNS) -> None:
        encoding = _encoding(file)
        report.encoding = {"utf-16": "UTF-16", "cp1255": "windows-1255"}.get(encoding, "UTF-8")
        # What is not UTF-8 stays recognizable, so that one bad line does not cost the others.
        errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
        self._lines = _Lines(io.TextIOWrapper(file, encoding, errors=errors, newline=""))
        self._report = report
        self._csv, self.columns = _header(self._lines, columns)
        report.fields = [name for name in self.columns if name and name not in columns.values()]

    def chunks(self, size: int) -> Iterator[list[Row]]:
        """The rows, *size* at a time; the last chunk is shorter, and may be empty."""
        rows = iter(self)
        while True:
            chunk = list(islice(rows, size))
            yield chunk
            if len(chunk) < size:
                return

    def __iter__(self) -> Iterator[Row]:
        columns, width = self.columns, len(self.columns)
        while True:
            first = self._lines.number + 1
            self._lines.begin_row()
            try:
                cells = next(self._csv)
            except StopIteration:
                return
            except (csv.Error, _TooLong) as error:
                self._reject(first, self._lines.number, error)
                continue
            line = self._lines.number
            text = "".join(cells)
            values = list(map(_plain, cells)) if "=" in text else list(map(str.strip, cells))
            if not _is_whole(text):
                self._report.reject(line, f"not {self._report.encoding} text")
            elif len(values) > width and any(values[width:]):
                self._report.reject(
                    line, "more cells than the first line has names: put one that holds a comma in quotes"
                )
            elif any(values):
                yield line, dict(zip(columns, values, strict=False))

    def _reject(self, first: int, last: int, error: Exception) -> None:
        if first >= last:
            self._report.reject(first, f"not CSV: {error}")
        else:
            reason = f"lines {first} to {last} were read as one: a quote is not closed"
            self._report.reject(first, reason, lines=last - first + 1)


class _TooLong(Exception):
    """The row has more than ROW_MAX characters; its line was read to the end."""

    def __init__(self) -> None:
        super().__init__(f"more than {ROW_MAX} characters")


class _Lines:
    """The lines of a text, counted, of which no row may take more than ROW_MAX characters."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.rewind()

    def rewind(self) -> None:
        """Begin anew."""
        self._text.seek(0)
        self.number = 0
        self.begin_row()

    def begin_row(self) -> None:
        """What follows is another row."""
        self._room = ROW_MAX

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(self._room + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._room -= len(line)
        if self._room >= 0:
            return line
        while line and not line.endswith(("\n", "\r")):
            line = self._text.readline(ROW_MAX)
        self.begin_row()
        raise _TooLong


def _header(lines: _Lines, known: Mapping[str, str]) -> tuple[Iterator[list[str]], list[str]]:
    """
    The reader of the rows below the header, and what each column is: ours by our name, others by their own.

    Raises BadFile.  Without a header the first line is a call: what stands in it is not repeated, as long as no `to` is
    among it.
    """
    try:
        said = re.fullmatch(r'"?sep=([,;\t])"?\s*', next(lines, ""), re.IGNORECASE)  # Excel's own first line
    except _TooLong:
        said = None
    for delimiter in said[1] if said else ",;\t":
        lines.rewind()
        if said:
            next(lines)
        # Strict, so that a quote that is never closed is reported and does not swallow the lines below it in silence.
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            header = next(reader)
        except StopIteration:
            raise BadFile("the file is empty: its first line must name the columns, `to` among them") from None
        except (csv.Error, _TooLong) as error:
            raise BadFile(f"the first line is not CSV: {error}") from None
        if not all(map(_is_whole, header)):
            raise BadFile("the file is not UTF-8 text: save it as CSV UTF-8")
        names = [field_name(cell) for cell in header]
        columns = [known.get(name, name) for name in names]
        if "to" in columns:
            break
    else:
        raise BadFile("no column is named `to`: the first line must name the columns, with commas between them")
    for name in known.values():
        if columns.count(name) > 1:
            raise BadFile(f"two columns mean `{name}`: leave one of them")
    return reader, columns


def _encoding(file: io.BufferedReader) -> str:
    """How the letters of a file are to be read; the file is at its beginning again."""
    start = file.read(2)
    file.seek(0)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    is_hebrew = is_foreign = False
    while piece := file.read(1 << 20):
        if piece.isascii():
            continue
        is_hebrew = is_hebrew or bool(_HEBREW_WORD.search(piece))
        is_foreign = is_foreign or bool(_NOT_HEBREW.search(piece))
    file.seek(0)
    return "cp1255" if is_hebrew and not is_foreign else "utf-8-sig"


# Bytes of windows-1255: a Hebrew word; and what no list of people has in that encoding: a byte that it does not know, a
# vowel point, a Hebrew letter glued to a Latin one, a Hebrew letter of UTF-8.  The other languages of one byte a letter
# have such bytes in almost every name, and must not be read as Hebrew.
_HEBREW_WORD = re.compile(rb"[\xe0-\xfa]{2}")
_NOT_HEBREW = re.compile(
    rb"[\x81\x8a\x8c-\x90\x9a\x9c-\x9f\xc0-\xd3\xd9-\xdf\xfb\xfc\xff]|[A-Za-z][\xe0-\xfa]|[\xe0-\xfa][A-Za-z]"
    rb"|\xd7[\x90-\xaa]"
)

_NUMBER_AS_FORMULA = re.compile(r'="([^"]*)"')


def _plain(cell: str) -> str:
    text = cell.strip()
    formula = _NUMBER_AS_FORMULA.fullmatch(text)
    return formula[1].strip() if formula else text


def _is_whole(cell: str) -> bool:
    """Is this text, none of whose letters got lost on the way?"""
    return is_text(cell) and "\ufffd" not in cell


def is_text(value: str) -> bool:
    """Is this what PostgreSQL can store: no NUL, and no bytes that were not UTF-8?"""
    return "\0" not in value and (value.isascii() or not _NO_TEXT.search(value))


_NO_TEXT = re.compile("[\ud800-\udfff]")
