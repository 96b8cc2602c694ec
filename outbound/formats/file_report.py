"""Reports what came of a file that was imported, and how it was read."""

from collections import Counter
from dataclasses import dataclass, field

from outbound.formats import columns

REJECTED_SHOWN_MAX = 1000  # the report names this many bad rows and counts the others


@dataclass
class ImportReport:
    """
    The report of a file: what came of it, and how it was read.

    Attributes:
        created: how many are new.
        already_there: how many were there before this import.
        duplicates: how many lines came back to somebody whom this import had added.
        rejected, rejected_lines: how many lines were refused, and the first of them with the reason.
        encoding: how the file's letters were read: UTF-8, UTF-16, or windows-1255.
        separator: what stands between its columns: commas, semicolons, tabs, bars.
        header_line: the line that names the columns.
        stepped_over: lines above it, and what they are.
        number_columns: the columns that hold phone numbers, by the file's names, the likeliest first.
        numbers_from: where there are several, how many rows took their number from each.
        code_column: the column of the country's calling code.
        columns: the file's name of each of our columns.
        fields: the columns that are not ours; in a file of calls, what is known of the callee.
        remarks: lines of which something was understood that may be wrong, and what.
        overdue: how many calls were due before now.
        kept: whether the fields are kept.
        sheet: which sheet of a workbook was read.
    """

    created: int = 0
    already_there: int = 0
    duplicates: int = 0
    rejected: int = 0
    rejected_lines: list[tuple[int, str]] = field(default_factory=list)
    encoding: str = "UTF-8"
    separator: str = "commas"
    header_line: int = 1
    stepped_over: list[tuple[int, str]] = field(default_factory=list)
    number_columns: list[str] = field(default_factory=list)
    numbers_from: Counter[str] = field(default_factory=Counter)
    code_column: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    remarks: list[tuple[int, str]] = field(default_factory=list)
    overdue: int = 0
    kept: bool = False
    sheet: str | None = None

    def reject(self, line: int, reason: str, lines: int = 1) -> None:
        """Refuse one line of the file, or several that were read as one."""
        self.rejected += lines
        if len(self.rejected_lines) < REJECTED_SHOWN_MAX:
            self.rejected_lines.append((line, reason))

    def remark(self, line: int, what: str) -> None:
        """Say what was made of a line."""
        if len(self.remarks) < REJECTED_SHOWN_MAX:
            self.remarks.append((line, what))

    def add(self, other: "ImportReport") -> None:
        """Count what *other* says of the same file too."""
        self.created += other.created
        self.already_there += other.already_there
        self.duplicates += other.duplicates
        self.rejected += other.rejected
        self.rejected_lines = sorted(self.rejected_lines + other.rejected_lines)[:REJECTED_SHOWN_MAX]

    def counts(self) -> dict[str, int]:
        """Return how many lines came to what."""
        return {
            "created": self.created,
            "already_there": self.already_there,
            "duplicates": self.duplicates,
            "rejected": self.rejected,
        }

    def readings(self) -> list[str]:
        """Return how the file was read, where that is not plain from its own words: sentences for people."""
        plain = ["to"], ["phone"]
        parts = [self.sheet] if self.sheet else []
        parts += [f"read as {self.encoding}"] if self.encoding != "UTF-8" else []
        parts += [f"read with {self.separator} between the columns"] if self.separator != "commas" else []
        if self.stepped_over:
            lines = ", ".join(f"{line} ({what})" for line, what in self.stepped_over)
            parts.append(f"the columns are named in line {self.header_line}; stepped over: line {lines}")
        names = [name.casefold() for name in self.number_columns]
        if names and (names not in plain or self.code_column):
            counts = self.numbers_from if len(names) > 1 else {}
            of = [f"`{name}`" + (f" ({counts.get(name, 0)})" if counts else "") for name in self.number_columns]
            code = f", with the country's code from `{self.code_column}`" if self.code_column else ""
            parts.append(f"the number is from {', else '.join(of)}{code}")
        own = [
            f"`{ours}` is from `{name}`"
            for ours, name in self.columns.items()
            if columns.key(name) != columns.key(ours)
        ]
        parts += [", ".join(own)] if own else []
        if self.fields and self.kept:
            parts.append(f"kept with each call, for {{{{…}}}} in TwiML: {', '.join(self.fields)}")
        return parts + ([f"{self.overdue} due before now: they are called at once"] if self.overdue else [])

    def as_json(self) -> dict[str, object]:
        """All of it, by plain names."""
        return {
            "created": self.created,
            "already_there": self.already_there,
            "duplicates": self.duplicates,
            "refused": self.rejected,
            "refused_lines": [{"line": line, "reason": why} for line, why in self.rejected_lines],
            "remarks": [{"line": line, "remark": what} for line, what in self.remarks],
            "overdue": self.overdue,
            "encoding": self.encoding,
            "separator": self.separator,
            "sheet": self.sheet,
            "header_line": self.header_line,
            "stepped_over": [{"line": line, "what": what} for line, what in self.stepped_over],
            "number_columns": self.number_columns,
            "numbers_from": dict(self.numbers_from),
            "code_column": self.code_column,
            "columns": self.columns,
            "fields": self.fields,
        }
