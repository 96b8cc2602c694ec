"""The result of a run, for people and for machines."""

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.fault_schedule import FaultSchedule
from tests.chaos.watch import Watch


def summary(
    ledger: Mapping[str, Any],
    verdict: Mapping[str, int],
    schedule: FaultSchedule,
    watch: Watch,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything worth telling of a run."""
    return {
        **more,
        **verdict,
        **ledger,
        "bound_s": watch.bound_s,
        "oldest_pending_without_call_sid_s": round(watch.oldest_pending_s, 1),
        "looks": watch.looks,
        "longest_between_looks_s": round(watch.longest_blind_s, 2),
        "longest_database_gap_s": round(watch.longest_database_gap_s, 1),
        "faults_caused": dict(schedule.caused),
        "longest_recovery_s": {kind: round(max(times), 1) for kind, times in watch.recovered_s.items()},
        "longest_held_by_a_hurt_worker_s": {kind: round(max(times), 1) for kind, times in watch.held_s.items()},
    }


def tell(out: Console, told: Mapping[str, Any]) -> None:
    """A table of faults, and a line for each number that matters."""
    table = Table("fault", "times", "longest time to recover", "longest until held calls moved on")
    for kind, times in told["faults_caused"].items():
        recovery = told["longest_recovery_s"].get(kind)
        held = told["longest_held_by_a_hurt_worker_s"].get(kind)
        table.add_row(kind, str(times), _seconds(recovery), _seconds(held))
    out.print(table)
    for name in (
        "calls",
        "rows",
        "lost",
        "rung_twice",
        "stuck",
        "by_status",
        "by_error",
        "creates",
        "closed_though_it_rang",
    ):
        out.print(f"{name.replace('_', ' '):30} {_words(told[name])}", highlight=False, soft_wrap=True)
    for name in (
        "oldest_pending_without_call_sid_s",
        "bound_s",
        "longest_between_looks_s",
        "database_away_s",
        "longest_database_gap_s",
        "took_s",
        "settled_s",
    ):
        out.print(f"{name.replace('_', ' '):38} {told[name]}", highlight=False)
    for name, count in told["faults"].items():
        if count:
            out.print(f"BROKEN  {name}: {count}", style="bold red", highlight=False)
    if told["stuck_seen"]:
        out.print(f"BROKEN  pending beyond the bound: calls {told['stuck_seen']}", style="bold red", highlight=False)


def as_line(told: Mapping[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(told)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _words(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {count}" for name, count in sorted(value.items()))
    return str(value)
