"""A workbook (.xlsx) as the CSV that it would be, row by row, so that one reader reads both."""

import csv
import io
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, BinaryIO, NamedTuple

from outbound.formats.file_text import BadFile

# What a file of a few kilobytes may unpack to.  A sheet is read as it is unpacked; the other parts stay in memory.
PARTS_MAX = 10_000
SHEET_BYTES_MAX = 1 << 30
OTHER_BYTES_MAX = 256 << 20
ROWS_MAX = 1_048_576  # Excel's own bound; a row may say that it is the billionth
_CELL_MAX = 100_000  # characters; Excel has 32,767

_EXACT_MAX = 10**15  # a number of more digits was rounded by the spreadsheet, and stays as it shows it
_BREAKS = str.maketrans("\r\n\t\v\f\x85\u2028\u2029", " " * 8)


class Converted(NamedTuple):
    """The rows of a sheet as CSV in UTF-8, a line for each row; whose they are, and which sheets were not read."""

    file: BinaryIO
    sheet: str
    left_out: list[str]


def is_workbook(file: BinaryIO) -> bool:
    """Is this a zip archive with a workbook of today in it?  The file is at its beginning again."""
    try:
        if file.read(4) != b"PK\x03\x04":
            return False
        with zipfile.ZipFile(file) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
    finally:
        file.seek(0)


def convert(file: BinaryIO) -> Converted:
    """
    The first visible sheet that has a row, as CSV in a file without a name, which is at its beginning.

    A date is written as ISO 8601, one at midnight without its time; a whole number without a decimal part; a formula as
    what the spreadsheet last made of it.  Rows and columns that are hidden are read too.

    Raises:
        BadFile: it is broken, unpacks to more than a list of calls has, or has nothing in it.
    """
    _refuse_bomb(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions that do not matter here
            return _convert(file)
    except BadFile:
        raise
    except Exception as error:  # noqa: BLE001 (whatever a library makes of bytes that are no workbook)
        raise BadFile(
            f"the workbook cannot be read ({type(error).__name__}): open it in a spreadsheet and save it again"
        ) from None


def _refuse_bomb(file: BinaryIO) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise BadFile("the workbook is broken: open it in a spreadsheet and save it again") from None
    finally:
        file.seek(0)
    sheets = [part.file_size for part in parts if part.filename.lower().lstrip("/").startswith("xl/worksheets/")]
    others = sum(part.file_size for part in parts) - sum(sheets)  # zipfile reads no more than a part says it has
    if len(parts) > PARTS_MAX or max(sheets, default=0) > SHEET_BYTES_MAX or others > OTHER_BYTES_MAX:
        raise BadFile("the workbook unpacks to more than a list of calls has: save the sheet with the numbers as CSV")


def _convert(file: BinaryIO) -> Converted:
    import openpyxl  # takes longer than all else of an import, and most files are CSV

    book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
    try:
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        for sheet in sheets:
            written = tempfile.TemporaryFile()  # noqa: SIM115 (the caller's, once it has something in it)
            if _write(sheet, written):
                written.seek(0)
                return Converted(written, sheet.title, [other.title for other in sheets if other is not sheet])
            written.close()
    finally:
        book.close()
    raise BadFile("the workbook is empty: no visible sheet has a row")


def _write(sheet: Any, out: BinaryIO) -> bool:
    """Write a sheet's rows; was there anything in them?"""
    sheet.reset_dimensions()  # what a sheet says of its size is often wrong, and would cut it off
    text = io.TextIOWrapper(out, "utf-8", newline="", write_through=True)
    rows = csv.writer(text, lineterminator="\n")
    found = False
    for place, row in enumerate(_rows(sheet), start=1):
        if place > ROWS_MAX:
            raise BadFile(f"the workbook has more than {ROWS_MAX} rows: save the sheet with the numbers as CSV")
        cells = list(map(_text, row))
        while cells and not cells[-1]:
            cells.pop()
        found = found or bool(cells)
        rows.writerow(cells)
    text.detach()
    return found


def _rows(sheet: Any) -> Iterator[tuple[object, ...]]:
    return iter(sheet.iter_rows(values_only=True))


def _text(value: object) -> str:
    """A cell as people see it, in one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_MAX:
        return str(int(value))
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value)[:_CELL_MAX].translate(_BREAKS)


def _moment(value: datetime) -> str:
    """To the second: a spreadsheet counts days in floating point."""
    near = (value + timedelta(microseconds=500_000)).replace(microsecond=0)
    if near.time() == time():
        return near.date().isoformat()
    return near.isoformat(" ", "seconds" if near.second else "minutes")
