"""What a run found: each figure beside its floor and its target, for people and for machines."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

Round = Mapping[str, float]


@dataclass(frozen=True)
class Line:
    """
    One figure.

    Attributes:
        value, unit: what was measured, the median of all rounds.
        floor, floor_name: what it is compared with, measured in the same rounds; None where the target is absolute.
        target: the bound, of value / floor where there is a floor, else of the value; None where none is set.
        is_at: whether the target is to be reached (`least`) or not to be passed (`most`).
        details: whatever explains the figure.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    floor_name: str = ""
    target: float | None = None
    is_at: Literal["least", "most"] = "least"
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """The figure, in floors."""
        return None if not self.floor else self.value / self.floor

    @property
    def met(self) -> bool | None:
        """Is the target met?  None where there is none."""
        if self.target is None:
            return None
        measured = self.value if self.floor is None else self.ratio
        if measured is None:
            return False
        return measured >= self.target if self.is_at == "least" else measured <= self.target


def median(rounds: Sequence[Round], key: str) -> float:
    """The median of what the rounds say under *key*."""
    return statistics.median(one[key] for one in rounds)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that *percent* of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -int(-len(ordered) * percent // 100) - 1))]


def tell(out: Console, lines: Sequence[Line]) -> None:
    """A table, what explains each figure, and the names of the targets that were missed."""
    table = Table("figure", "measured", "floor", "ratio", "target", "")
    for line in lines:
        table.add_row(
            line.name,
            f"{_short(line.value)} {line.unit}",
            f"{_short(line.floor)} {line.floor_name}" if line.floor is not None else "",
            f"{line.ratio:.2f}" if line.ratio is not None else "",
            f"{'≥' if line.is_at == 'least' else '≤'} {_short(line.target)}" if line.target is not None else "",
            {True: "met", False: "MISSED", None: ""}[line.met],
            style="red" if line.met is False else None,
        )
    out.print(table)
    for line in lines:
        for name, value in line.details.items():
            out.print(f"{line.name} · {name}: {_words(value)}", highlight=False, soft_wrap=True)
    missed = [line.name for line in lines if line.met is False]
    out.print(f"missed: {', '.join(missed)}" if missed else "every target was met", highlight=False, soft_wrap=True)


def write(path: Path, machine: Mapping[str, Any], lines: Sequence[Line]) -> None:
    """Write the figures as JSON."""
    figures = [asdict(line) | {"ratio": line.ratio, "met": line.met} for line in lines]
    path.write_text(json.dumps({"machine": machine, "figures": figures}, indent=2, default=str) + "\n")


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return "  ".join(f"{name} {_words(inner)}" for name, inner in value.items())
    return _short(value) if isinstance(value, float) else str(value)
