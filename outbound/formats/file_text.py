"""The text of a file: how its letters are to be read, what is no text at all, and its lines, none too long."""

import io
import re

from outbound.errors import UserError

ROW_MAX = 100_000  # characters of one row; what is longer is skipped unread, so that no line fills the memory
HEAD_BYTES = 2048  # by which a file is recognized as no text

_AS_CSV = "open it in a spreadsheet and save it as CSV (UTF-8) or .xlsx"


class BadFile(UserError, ValueError):
    """The file cannot be imported at all; nothing was changed."""


def binary(head: bytes) -> str | None:
    """Return what a file is that begins so, where it is no CSV, and what to do."""
    for begins, kind in (
        (b"PK\x03\x04", "is a zip archive, or a workbook of another program (.ods, .numbers)"),
        (b"\xd0\xcf\x11\xe0", "is a workbook of an older Excel (.xls), or one with a password"),
        (b"%PDF", "is a PDF document"),
        (b"\x1f\x8b", "is compressed (.gz)"),
        (b"BZh", "is compressed (.bz2)"),
        (b"7z\xbc\xaf", "is compressed (.7z)"),
        (b"Rar!", "is compressed (.rar)"),
        (b"SQLite format 3", "is a SQLite database"),
        (b"PAR1", "is a Parquet file"),
        (b"{\\rtf", "is a document (.rtf)"),
    ):
        if head.startswith(begins):
            return f"{kind}: {_AS_CSV}"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for begins, kind in (
        (b"begin:vcard", "is a file of contacts (vCard), not CSV: export the contacts as CSV"),
        (b"<", f"is a web page or XML, not CSV: {_AS_CSV}"),
        (b"[{", f"is JSON, not CSV: {_AS_CSV}"),
        (b"{", f"is JSON, not CSV: {_AS_CSV}"),
    ):
        if text.startswith(begins):
            return kind
    return None


def encoding(file: io.BufferedReader) -> str:
    """Return how the letters of a file are to be read; the file is at its beginning again."""
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


class TooLong(Exception):
    """The row has more than ROW_MAX characters; its line was read to the end."""

    def __init__(self) -> None:
        super().__init__(f"more than {ROW_MAX} characters")


class Lines:
    """The lines of a text, counted, of which no row may take more than ROW_MAX characters."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.rewind()

    def rewind(self) -> None:
        """Begin again."""
        self._text.seek(0)
        self.number = 0
        self.begin_row()

    def begin_row(self) -> None:
        """Note that what follows is another row."""
        self._room = ROW_MAX

    def __iter__(self) -> "Lines":
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
        raise TooLong


def is_whole(cell: str) -> bool:
    """Is this text, none of whose letters got lost on the way?"""
    return is_text(cell) and "\ufffd" not in cell


def is_text(value: str) -> bool:
    """Is this what PostgreSQL can store: no NUL, and no bytes that were not UTF-8?"""
    return "\0" not in value and (value.isascii() or not _NO_TEXT.search(value))


_NO_TEXT = re.compile("[\ud800-\udfff]")
