"""The line of a file that names its columns: where it stands, and what separates its names."""

import csv
import re
from collections.abc import Iterator, Mapping

from outbound.formats import columns
from outbound.formats.columns import Columns
from outbound.formats.file_report import ImportReport
from outbound.formats.file_text import BadFile, Lines, TooLong, is_whole

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
HEAD_ROWS_MAX = 20  # rows that may stand above the names of the columns: a title, a date, nothing

_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T]+\d{1,2}:[\d:.]*)?", re.ASCII)


class Header:
    """
    The search for the line that names the columns.

    It is the first that names one which holds phone numbers, with whichever separator gives it the most names.  Above
    it there may be a title or nothing, but no phone number: a row is never taken for a title.
    """

    def __init__(self, lines: Lines, known: Mapping[str, str], to_column: str | None, report: ImportReport) -> None:
        self._lines, self._known, self._to_column, self._report = lines, known, to_column, report
        self._heads: list[list[str]] = []  # the first row that is not empty, by separator
        self._fault: Exception | None = None
        self._is_broken = False

    def find(self) -> tuple[Iterator[list[str]], Columns]:
        """The reader of the rows below the header, and what each column is; or raise BadFile."""
        try:
            # Excel's own first line
            directive = re.fullmatch(r'"?sep=([,;\t|])"?\s*', next(self._lines, ""), re.IGNORECASE)
        except TooLong:
            directive = None
        self._above = 1 if directive else 0
        best: tuple[int, int, str, Columns, list[tuple[int, str]]] | None = None
        for separator in directive[1] if directive else SEPARATORS:
            found = self._search(separator)
            if found and (best is None or len(found[1].names) > best[0]):
                rows, header, stepped = found
                best = len(header.names), rows, separator, header, stepped
        if best is None:
            raise self._nothing()
        _, rows, separator, header, self._report.stepped_over = best
        reader = self._reader(separator)
        for _ in range(rows):
            self._lines.begin_row()
            next(reader)
        self._report.separator, self._report.header_line = SEPARATORS[separator], self._lines.number
        return reader, header

    def first(self) -> tuple[Iterator[list[str]], Columns]:
        """As `find`, where the first line must be that one, with commas: no row below it is taken for a header."""
        self._above = 0
        reader = self._reader(",")
        try:
            names = next(reader)
        except TooLong as error:
            self._fault, names = error, []
        header = columns.of_header(names, self._known, self._to_column)
        if header is None:
            self._heads.append(names)
            raise self._nothing()
        return reader, header

    def _reader(self, separator: str) -> Iterator[list[str]]:
        self._lines.rewind()
        for _ in range(self._above):
            next(self._lines)
        # Strict, so that a quote that is never closed is reported and does not swallow the lines below it in silence.
        return csv.reader(self._lines, delimiter=separator, strict=True)

    def _search(self, separator: str) -> tuple[int, Columns, list[tuple[int, str]]] | None:
        """Return how many rows there are down to the header, what its columns are, and the lines above."""
        reader = self._reader(separator)
        head: list[str] = []
        stepped: list[tuple[int, str]] = []
        for rows in range(1, HEAD_ROWS_MAX + 1):
            self._lines.begin_row()
            try:
                cells = next(reader)
            except StopIteration:
                break
            except (csv.Error, TooLong) as error:
                self._fault = self._fault or error
                break
            if not all(map(is_whole, cells)):
                self._is_broken = True  # another separator may find the names above this row
                break
            head = head or [cell for cell in cells if cell.strip()]
            header = columns.of_header(cells, self._known, self._to_column)
            if header:
                return rows, header, stepped
            if any(map(is_number, cells)):
                break
            stepped.append((self._lines.number, "a title" if any(map(str.strip, cells)) else "empty"))
        self._heads.append(head)
        return None

    def _nothing(self) -> BadFile:
        if self._is_broken:
            return BadFile("the file is not UTF-8 text: save it as CSV UTF-8")
        head = max(self._heads, key=len, default=[])
        if self._fault and len(head) < 2:  # no separator makes names of it
            return BadFile(f"the first line is not CSV: {self._fault}")
        self._lines.rewind()
        if next(self._lines, None) is None:
            return BadFile("the file is empty: its first line must name the columns, `to` among them")
        name = "to" if self._to_column is None else self._to_column
        found = f"found are {columns.shown(head)}" if head and not any(map(is_number, head)) else ""
        what = found or "the first line is no line of names"
        if self._to_column is not None:
            return BadFile(f"no column is named `{columns.visible(name)}`: {what}")
        return BadFile(
            f"no column is named `to`, or as one that holds phone numbers: {what}."
            f"  Known are {columns.KNOWN_SHOWN} and their like; for another give --to-column NAME"
        )


def is_number(cell: str) -> bool:
    """May this be somebody's phone number, and no name of a column and no date?"""
    text = cell.strip()
    digits = sum(map(str.isdigit, text))
    return digits >= 7 and sum(map(str.isalpha, text)) < digits and not _DATE.fullmatch(text)
