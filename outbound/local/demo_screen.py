"""
Shows a demo: a screen that fits the terminal, or lines where there is none.

Calls in the air come first, then those that are held, then faults with what was done about them, newest first; calls
that ended without one are only counted.
"""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live

from outbound import db
from outbound.printing import Table, cell

ENDED = 5  # call_status_rank of all final statuses
_STYLES = {"completed": "green", "failed": "red", "in-progress": "bold", "ringing": "bold"}
_HEADER_LINES = 5  # above the rows, the table's own included


class Display(Protocol):
    """Shows the progress of the demo."""

    slow: bool  # whether somebody must have the time to see a thing

    def __enter__(self) -> "Display": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, summary: dict[str, Any], calls: Sequence[db.Row], notes: Sequence[str]) -> None:
        """Show what is so now, and what has just happened beside the calls."""


def display(out: Console, limits: dict[str, int]) -> Display:
    """A screen on a terminal that can move its cursor, else lines."""
    return Screen(out, limits) if out.is_terminal and not out.is_dumb_terminal else Lines(out)


class Screen:
    """One screen that changes."""

    slow = True

    def __init__(self, out: Console, limits: dict[str, int]) -> None:
        self._out = out
        self._limits = limits
        self._note = ""
        self.drawn = Group()  # what is on it
        self._began = time.monotonic()
        self._live = Live(console=out, auto_refresh=False, transient=True)

    def __enter__(self) -> "Screen":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, summary: dict[str, Any], calls: Sequence[db.Row], notes: Sequence[str]) -> None:
        """Draw all of it again."""
        self._note = notes[-1] if notes else self._note
        rows_max = max(1, self._out.size.height - _HEADER_LINES - bool(self._note) - 1)
        lines = [
            f"{time.monotonic() - self._began:3.0f} s   {_counted(calls)}   {summary['leads']} leads",
            f"live now   {live_now(summary['live'], self._limits)}",
            f"ended without a fault   {_ends(call for call in calls if call.rank == ENDED and not call.trace)}",
        ]
        if self._note:
            lines.append(self._note)
        self.drawn = Group(*map(cell, lines), "", _table(_shown(calls), rows_max))
        self._live.update(self.drawn, refresh=True)


class Lines:
    """A line for each call that has ended and for whatever else happens."""

    slow = False

    def __init__(self, out: Console) -> None:
        self._out = out
        self._told: set[int] = set()
        self._began = time.monotonic()

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, summary: dict[str, Any], calls: Sequence[db.Row], notes: Sequence[str]) -> None:
        """Print what has happened since the last time."""
        del summary
        for text in notes:
            self._line(text)
        for call in reversed(calls):
            if call.rank == ENDED and call.id not in self._told:
                self._told.add(call.id)
                self._line(f"call {call.id:2} {call.status:11} {call.story:28} {call.trace or ''}")

    def _line(self, text: str) -> None:
        line = f"{time.monotonic() - self._began:3.0f} s  {text}".rstrip()
        self._out.print(line, soft_wrap=not self._out.is_terminal)


def faults(calls: Sequence[db.Row]) -> Group:
    """Every call that had a fault, the newest first, and what came of the others."""
    faulty, others = ([call for call in calls if bool(call.trace) is has_fault] for has_fault in (True, False))
    return Group(_table(faulty, len(calls)), cell(f"the other {len(others)} of {len(calls)}: {_statuses(others)}"))


def live_now(live: dict[str, int], limits: dict[str, int]) -> str:
    """Return how many calls of each business are live, and how many may be."""
    return ", ".join(f"{name} {live.get(name, 0)} of {live_max}" for name, live_max in limits.items())


def _counted(calls: Sequence[db.Row]) -> str:
    """Return how many calls are where."""
    held = sum(call.waits_for == "paused" for call in calls)
    waiting = sum(call.rank == 0 for call in calls) - held
    ended = sum(call.rank == ENDED for call in calls)
    parts = {"waiting": waiting, "held": held, "in the air": len(calls) - waiting - held - ended, "ended": ended}
    return f"{len(calls)} calls: " + ", ".join(f"{count} {name}" for name, count in parts.items())


def _ends(calls: Iterable[db.Row]) -> str:
    ended = list(calls)
    return f"{len(ended)}: {_statuses(ended)}" if ended else "0"


def _statuses(calls: Iterable[db.Row]) -> str:
    return ", ".join(f"{count} {status}" for status, count in Counter(call.status for call in calls).most_common())


def _shown(calls: Sequence[db.Row]) -> list[db.Row]:
    in_the_air = [call for call in calls if 0 < call.rank < ENDED]
    held = [call for call in calls if call.waits_for == "paused"]
    faulty = [call for call in calls if call.trace and call.rank in (0, ENDED)]
    return [*in_the_air, *held, *faulty]


def _table(calls: Sequence[db.Row], rows_max: int) -> Table:
    table = Table("call", "what phone and carrier do", "now", "what outbound did", box=None, pad_edge=False)
    over = len(calls) - rows_max
    for call in calls[: rows_max - 1] if over > 0 else calls:
        did = "held: its campaign is paused" if call.waits_for == "paused" else call.trace
        table.add_row(call.id, call.story, cell(call.status, style=_STYLES.get(call.status, "")), did)
    if over > 0:
        table.add_row("", f"and {over + 1} before these")
    return table
