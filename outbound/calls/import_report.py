"""Reports what came of a file of calls: who waits, who was reached already, who is held out, and why."""

from collections import Counter
from dataclasses import dataclass, field

from outbound.call import IN_THE_AIR, WAITING
from outbound.formats.file_report import REJECTED_SHOWN_MAX, ImportReport


@dataclass
class CallsReport(ImportReport):
    """
    The report of a file of calls: what came of it, and how it was read.

    Attributes:
        batch: the name of the set of calls that it is.
        was_there: whether that batch was imported before; `same_content` where it was under another name.
        there: how many of `already_there` are waiting, in the air, done and canceled.
        keeping_time: how many of the waiting keep another moment than the file has now.
        called_lately, lately_lines: how many are held out because their business called them a short while ago, and the
            first of them with when that was.
        dates: how dates were read that may be two days.
        clocks: by whose clocks moments were read, with the file's first as an example.
        is_dry: whether this is what would come of the file: nothing was written.
    """

    batch: str = ""
    was_there: bool = False
    same_content: bool = False
    there: Counter[str] = field(default_factory=Counter)
    keeping_time: int = 0
    called_lately: int = 0
    lately_lines: list[tuple[int, str]] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    clocks: str | None = None
    is_dry: bool = False

    def is_there(self, status: str) -> None:
        """Count a line whose call is there already, with this status."""
        self.already_there += 1
        self.there[_STATES.get(status, "done")] += 1

    def hold_out(self, line: int, when: str) -> None:
        """Count a line whose number was called lately."""
        self.called_lately += 1
        if len(self.lately_lines) < REJECTED_SHOWN_MAX:
            self.lately_lines.append((line, when))

    def add(self, other: ImportReport) -> None:
        """Count what *other* says of the same file too."""
        super().add(other)
        self.remarks = sorted(self.remarks + other.remarks)[:REJECTED_SHOWN_MAX]
        if isinstance(other, CallsReport):
            self.batch, self.was_there, self.same_content = other.batch, other.was_there, other.same_content
            self.there += other.there
            self.keeping_time += other.keeping_time
            self.called_lately += other.called_lately
            self.lately_lines = other.lately_lines

    def counts(self) -> dict[str, int]:
        """Return how many lines came to what."""
        return super().counts() | {"called_lately": self.called_lately}

    def readings(self) -> list[str]:
        """Return how the file was read, and what it was taken for."""
        return super().readings() + ([self.clocks] if self.clocks else []) + self.dates

    def _of_batch(self) -> list[str]:
        if self.same_content:
            return [f"the same content was imported before, as batch {self.batch}: it is that batch"]
        return (
            [f"this is batch {self.batch}, which was imported before"] if self.was_there and self.already_there else []
        )

    def outcome(self) -> list[str]:
        """Return what is so now of the lines that were not queued, and what to do: sentences for people."""
        lines = self._of_batch()
        lines += [f"line {line}: {when}: held out" for line, when in self.lately_lines]
        if self.called_lately:
            lines.append(f"{self.called_lately} called lately are held out: --again takes them")
        if self.keeping_time:
            lines.append(f"{self.keeping_time} waiting keep their time: the other one in the file is ignored")
        if self.there["done"]:
            lines.append(f"{self.there['done']} done are not dialed again in this batch")
        if self.there["canceled"]:
            lines.append(f"{self.there['canceled']} canceled: nothing will be dialed; --batch NEW calls them again")
        return lines

    def summary(self) -> str:
        """All counts in one line."""
        states = ", ".join(f"{self.there[state]} {state}" for state in _ORDER if self.there[state])
        there = f"{self.already_there} there already" + (f" ({states})" if states else "")
        lately = f", {self.called_lately} called lately" if self.called_lately else ""
        twice = f", {self.duplicates} twice in the file" if self.duplicates else ""
        queued = "would be queued" if self.is_dry else "queued"
        return f"{self.created} {queued}, {there}{lately}{twice}, {self.rejected} refused"

    def as_json(self) -> dict[str, object]:
        """All of it, by plain names."""
        return super().as_json() | {
            "dry_run": self.is_dry,
            "batch": self.batch,
            "batch_was_there": self.was_there,
            "batch_by_content": self.same_content,
            "there": {state.replace(" ", "_"): self.there[state] for state in _ORDER},
            "keeping_time": self.keeping_time,
            "called_lately": self.called_lately,
            "called_lately_lines": [{"line": line, "when": when} for line, when in self.lately_lines],
            "dates": self.dates,
            "clocks": self.clocks,
        }


_ORDER = ("waiting", "in the air", "done", "canceled")
_STATES = dict.fromkeys(WAITING, "waiting") | dict.fromkeys(IN_THE_AIR, "in the air") | {"canceled": "canceled"}
