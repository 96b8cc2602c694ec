"""A CSV file or a workbook, as people and programs write them: its rows, and which lines are refused, and why."""

import csv
import hashlib
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice
from pathlib import Path

from outbound.formats import columns, file_text, numbering_plan, plain_text, workbook
from outbound.formats.columns import Columns
from outbound.formats.csv_header import Header
from outbound.formats.file_report import REJECTED_SHOWN_MAX, ImportReport
from outbound.formats.file_text import ROW_MAX, BadFile, Lines, TooLong, is_text, is_whole

__all__ = [
    "CALL_COLUMNS",
    "REJECTED_SHOWN_MAX",
    "ROW_MAX",
    "TABLE",
    "BadFile",
    "ImportReport",
    "Numbers",
    "Row",
    "Rows",
    "again",
    "is_text",
    "name_of",
    "open_file",
    "open_input",
    "sha256",
]

CALL_COLUMNS = columns.named(
    {
        "from": "from|from number|מאת",
        "at": (
            "at|due at|call at|dial at|call time|scheduled at|scheduled for|שעה|מועד|מועד שיחה|מועד השיחה|מועד חיוג|"
            "זמן שיחה|זמן חיוג|שעת שיחה|שעת חיוג|תאריך שיחה|תאריך חיוג|תאריך ושעת שיחה|תאריך ושעת חיוג"
        ),
        "key": "key|מפתח",
        "business": "business|business id|עסק",
        "time_zone": "time zone|timezone|tz|אזור זמן",
    }
)

TABLE = ".outbound-table"  # ends the name of a file that this program wrote itself, as CSV in UTF-8

_MORE_CELLS = "more cells than the first line has names: put one that holds a comma in quotes"

Row = tuple[int, dict[str, str]]  # a line's number, and its values by column


class Numbers(Enum):
    """Chooses which of a row's phone numbers are meant, where several columns hold one."""

    FIRST = "the first that is one"
    EVERY = "each of them, as a row of its own"
    ONE = "there must be one column"


class _Sheet(io.BufferedReader):
    """The rows of a workbook's sheet as CSV, and what that was."""

    def __init__(self, converted: workbook.Converted, digest: str) -> None:
        super().__init__(_Look(converted.file.fileno(), converted.file))
        self.digest = digest
        other = f", not from {columns.shown(converted.left_out)}" if converted.left_out else ""
        self.said = f"read from the sheet {columns.shown([converted.sheet])}{other}"


class _Table(io.BufferedReader):
    """A file that this program wrote: its first line names the columns, and each cell is meant as it stands."""


class _Look(io.RawIOBase):
    """A file that is open, read from its beginning at a place of its own."""

    def __init__(self, descriptor: int, owner: object = None) -> None:
        self._descriptor, self._owner, self._place = descriptor, owner, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        before = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: os.fstat(self._descriptor).st_size}
        self._place = before[whence] + place
        return self._place

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        read = os.pread(self._descriptor, len(buffer), self._place)
        buffer[: len(read)] = read
        self._place += len(read)
        return len(read)

    def fileno(self) -> int:
        return self._descriptor


def refuse_directory(path: Path) -> None:
    """Raise BadFile where a directory is given in place of a file."""
    if path.is_dir():
        raise BadFile(f"{path} is a directory: give a file")


def open_file(path: Path) -> io.BufferedReader:
    """Open a file of text, or a workbook as one, that can be read twice, or raise BadFile."""
    refuse_directory(path)
    try:
        file = path.open("rb")
    except OSError as error:
        mend = f" from {Path.cwd()}: give the path of a file" if isinstance(error, FileNotFoundError) else ""
        raise BadFile(f"{path}: {error.strerror}{mend}") from None
    if not file.seekable():
        file.close()
        raise BadFile(f"{path} is a pipe, which cannot be read twice: save it as a file first")
    return _Table(file.detach()) if path.suffix == TABLE else _checked(file, str(path))


def open_input() -> io.BufferedReader:
    """Standard input to its end, as open_file does it, or raise BadFile."""
    kept = tempfile.TemporaryFile()  # noqa: SIM115 (the caller's)
    shutil.copyfileobj(sys.stdin.buffer, kept)
    kept.flush()
    return _checked(io.BufferedReader(_Look(kept.fileno(), kept)), "standard input")


def again(file: io.BufferedReader) -> io.BufferedReader:
    """Open the file again from its beginning; another reader keeps its own position."""
    kind = _Table if isinstance(file, _Table) else io.BufferedReader
    return kind(_Look(file.fileno(), file))


def _checked(file: io.BufferedReader, name: str) -> io.BufferedReader:
    try:
        if workbook.is_workbook(file):
            with file:
                digest = sha256(file)
                return _Sheet(workbook.convert(file), digest)
        fault = file_text.binary(file.read(file_text.HEAD_BYTES))
        if fault is None and name.lower().endswith((".xlsx", ".xlsm")):
            fault = (
                "is named like a workbook and is none: name a file of text .csv, or save it as .xlsx in a spreadsheet"
            )
        file.seek(0)
    except BadFile as refusal:
        file.close()
        raise BadFile(f"{name}: {refusal}") from None
    if fault:
        file.close()
        raise BadFile(f"{name} {fault}")
    return file


def sha256(file: io.BufferedReader) -> str:
    """The digest of the whole file as it was given, 64 hexadecimal digits; the file is at its beginning again."""
    if isinstance(file, _Sheet):
        return file.digest
    content = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return content


def name_of(path: Path) -> str:
    """A file's name, as text that can be kept and shown, whatever its bytes."""
    return plain_text.visible(path.name.encode(errors="replace").decode())


class Rows:
    """
    The rows below the header; a line that is not CSV is rejected in *report*, with all that its quote swallowed.

    Commas, semicolons, tabs or bars, as the header shows; UTF-8, or what a spreadsheet in Hebrew makes of it.  The
    report says how it was read.  A number that a spreadsheet saved as a formula, ="050…", is that number.  Any other
    formula stays the text that it is: to us a cell is data, and who writes it into a spreadsheet again must quote it.
    In a TABLE, which no spreadsheet has saved, every formula does, and the names stand in the first line alone; a line
    with a cell more is rejected for the reason that stands there.

    Args:
        known: our name of each key that is no phone number's, as `columns.named` makes them.
        to_column: the file's name of the one column that holds the number.
        numbers: which number of a row is meant where several columns hold one; *holds* says of a cell's text and its
            row whether it is a number.

    Raises:
        BadFile: its columns are not named, or none of them holds phone numbers, or two mean the same.
    """

    def __init__(
        self,
        file: io.BufferedReader,
        report: ImportReport,
        known: Mapping[str, str] = CALL_COLUMNS,
        *,
        to_column: str | None = None,
        numbers: Numbers = Numbers.FIRST,
        holds: Callable[[str, dict[str, str]], bool] = lambda _, __: True,
    ) -> None:
        report.sheet = file.said if isinstance(file, _Sheet) else None
        self._is_table = isinstance(file, _Table)
        encoding = "utf-8" if self._is_table else file_text.encoding(file)
        report.encoding = {"utf-16": "UTF-16", "cp1255": "windows-1255"}.get(encoding, "UTF-8")
        # What is not UTF-8 stays recognizable, so that one bad line does not cost the others.
        errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
        self._lines = Lines(io.TextIOWrapper(file, encoding, errors=errors, newline=""))
        self._report, self._known, self._numbers, self._holds = report, known, numbers, holds
        header = Header(self._lines, known, to_column, report)
        self._csv, self._columns = header.first() if self._is_table else header.find()
        self._check(self._columns, report)
        self.columns = self._columns.fields
        self.is_address_book = self._columns.is_address_book
        phone = self._columns.phones[0]
        self._is_plain = len(self._columns.phones) == 1 and phone.label is None and self._columns.code is None
        self._place = phone.place
        # A key is judged as it stands, with what cannot be seen in it, as where a call is given in another way.
        self._key = self.columns.index("key") if "key" in self.columns else -1
        self._foreign: int | None = None  # the line of another header, below which nothing is understood

    def _check(self, found: Columns, report: ImportReport) -> None:
        report.number_columns = [found.names[phone.place] for phone in found.phones]
        report.code_column = None if found.code is None else found.names[found.code]
        report.columns = found.taken
        for name in set(self._known.values()):
            if found.fields.count(name) > 1:
                raise BadFile(f"two columns mean `{name}`: leave one of them")
        for name in report.number_columns:
            if report.number_columns.count(name) > 1:
                raise BadFile(f"two columns are named `{name}`: rename one of them")
        if self._numbers is Numbers.ONE and len(found.phones) > 1:
            raise BadFile(f"{columns.shown(report.number_columns)} hold phone numbers: say which with --to-column NAME")
        ours = {*self._known.values(), "to"}
        report.fields = [name for name in found.fields if name and name not in ours]

    def found(self) -> str:
        """The columns that the file has, for a message."""
        return f"found are {columns.shown(self._columns.names)}"

    def chunks(self, size: int) -> Iterator[list[Row]]:
        """The rows, *size* at a time; the last chunk is shorter, and may be empty."""
        rows = iter(self)
        while True:
            chunk = list(islice(rows, size))
            yield chunk
            if len(chunk) < size:
                return

    def __iter__(self) -> Iterator[Row]:
        width = len(self.columns)
        while True:
            first = self._lines.number + 1
            self._lines.begin_row()
            try:
                cells = next(self._csv)
            except StopIteration:
                return
            except (csv.Error, TooLong) as error:
                self._reject(first, self._lines.number, error)
                continue
            line = self._lines.number
            text = "".join(cells)
            may_be_formula = "=" in text and not self._is_table
            values = list(map(_plain, cells)) if may_be_formula else [cell.strip() for cell in cells]
            is_printable = text.isprintable()
            if not ((is_printable and text.isascii()) or is_whole(text)):
                encoding, has_nul = self._report.encoding, "\0" in text
                mend = f"not {encoding} text: save the file as CSV UTF-8"
                self._report.reject(line, f"not {encoding} text: it holds a NUL byte" if has_nul else mend)
                continue
            key = (cells if self._is_table else values)[self._key] if 0 <= self._key < len(cells) else ""
            if not is_printable:
                values = [plain_text.cell(value).strip() for value in values]
            if key:
                values[self._key] = key
            if len(values) > width and any(values[width:]):
                self._report.reject(line, values[width] if self._is_table else _MORE_CELLS)
            elif any(values) and not self._is_no_row(line, values):
                row = dict(zip(self.columns, values, strict=False))
                if self._is_plain:
                    yield line, row
                else:
                    yield from self._of_several(line, values, row)

    def _of_several(self, line: int, values: list[str], row: dict[str, str]) -> Iterator[Row]:
        """The rows that a line means whose number stands in one of several cells, or in two parts."""
        try:
            found = list(self._candidates(values))
        except _BadCode:
            self._report.reject(line, f"`{self._report.code_column}` is not a country's calling code, like 972")
            return
        if self._numbers is not Numbers.EVERY:
            found = [next((one for one in found if self._holds(one[1], row)), found[0])] if found else []
        for name, number in found or [("", "")]:
            if name:
                self._report.numbers_from[name] += 1
            yield line, row | {"to": number}

    def _candidates(self, values: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The column and the text of each cell of a row that may hold its number, the likeliest first."""
        found = []
        for phone in self._columns.phones:
            cell = values[phone.place] if phone.place < len(values) else ""
            label = values[phone.label] if phone.label is not None and phone.label < len(values) else ""
            rank = columns.rank_of_label(label, phone.rank) if label else phone.rank
            if cell and rank is not None:
                found.append((rank, phone.place, cell))
        for _, place, cell in sorted(found):
            for number in cell.split(":::"):  # how Google keeps several of one kind
                yield self._columns.names[place], self._with_code(number.strip(), values)

    def _with_code(self, number: str, values: Sequence[str]) -> str:
        place = self._columns.code
        code = values[place].lstrip("+").removeprefix("00") if place is not None and place < len(values) else ""
        if not code or number.startswith(("+", "00")):
            return number
        if code.isdecimal() and code.isascii() and len(code) <= 4 and code[0] != "0":
            return f"+{code} {number}"
        if self._columns.lenient_code:
            meant = numbering_plan.calling_code(code)  # IL
            return f"+{meant} {number}" if meant else number
        raise _BadCode

    def _is_no_row(self, line: int, values: Sequence[str]) -> bool:
        """Refuse a header that comes again, and what stands below one of another order."""
        if self._foreign is not None:
            self._report.reject(line, f"stands below another header, in line {self._foreign}: make two files of it")
            return True
        cell = values[self._place] if self._place < len(values) else ""
        if self._is_table or not cell or cell[-1].isdigit() or any(map(str.isdigit, cell)):
            return False
        if not columns.is_header_again(values, self._columns, self._known):
            return False
        again = list(map(columns.key, values)) == list(map(columns.key, self._columns.names))
        self._report.reject(line, "names columns, and is no row: two files were joined")
        self._foreign = None if again else line
        return True

    def _reject(self, first: int, last: int, error: Exception) -> None:
        if first >= last:
            self._report.reject(first, f"not CSV: {error}")
        else:
            reason = f"lines {first} to {last} were read as one: a quote is not closed"
            self._report.reject(first, reason, lines=last - first + 1)


class _BadCode(Exception):
    pass


_NUMBER_AS_FORMULA = re.compile(r'="([^"]*)"')


def _plain(cell: str) -> str:
    text = cell.strip()
    formula = _NUMBER_AS_FORMULA.fullmatch(text)
    return formula[1].strip() if formula else text
