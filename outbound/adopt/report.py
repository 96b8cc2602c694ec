"""Reports what was taken over, by business and by outcome, and what to do next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from outbound import db
from outbound.adopt.batches import sql

_SHOWN_MAX = 20  # campaigns and doubts that are named one by one; JSON has them all


@dataclass
class AdoptionReport:
    """
    The report of one run of adopt.

    Attributes:
        is_rehearsal: nothing was changed.
        businesses: each with `old_id`, `id`, `name`, and how many old rows, by kind and outcome.
        others: the same of rows whose business was not taken over.
        doubts: what a person should look at, by our id of the business.
        notes: what else is to be known of this run.
        next: what to do next, in order.
        redis: what lies in the old Redis and became of it; None where it was not looked at.
    """

    old_schema: str
    our_schema: str
    is_rehearsal: bool = False
    businesses: list[dict[str, Any]] = field(default_factory=list)
    others: dict[str, dict[str, int]] = field(default_factory=dict)
    doubts: list[tuple[int | None, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    next: list[str] = field(default_factory=list)
    redis: dict[str, Any] | None = None

    def total(self, kind: str) -> dict[str, int]:
        """Return how many old rows of a kind have which outcome, of all businesses."""
        found: dict[str, int] = {}
        for fates in (*(business["fates"] for business in self.businesses), self.others):
            for fate, rows in fates.get(kind, {}).items():
                found[fate] = found.get(fate, 0) + rows
        return found


def collect(connection: db.Connection, old_schema: str, our_schema: str, notes: Sequence[str]) -> AdoptionReport:
    """Read what was taken over up to now."""
    report = AdoptionReport(old_schema, our_schema, notes=list(notes))
    fates: dict[int | None, dict[str, dict[str, int]]] = {}
    for row in sql.count_fates(connection):
        fates.setdefault(row.business_id, {}).setdefault(row.kind, {})[row.fate] = row.rows
    silent, nameless = [], []
    for row in sql.list_adopted_businesses(connection):
        if row.id is None:
            report.doubts.append((None, f"old business {row.old_id} could not be taken over: {row.note}"))
            continue
        report.businesses.append({"old_id": row.old_id, "id": row.id, "name": row.name, "fates": fates.pop(row.id, {})})
        report.doubts += [(row.id, doubt) for doubt in (row.note or "").splitlines()]
        if row.fate == "adopted":
            silent += [] if row.can_speak else [row.id]
            nameless += [] if row.has_number else [row.id]
    for rest in fates.values():
        for kind, of in rest.items():
            for fate, rows in of.items():
                kinds = report.others.setdefault(kind, {})
                kinds[fate] = kinds.get(fate, 0) + rows
    report.next = list(_next(connection, our_schema, silent, nameless))
    return report


def _next(connection: db.Connection, our_schema: str, silent: list[int], nameless: list[int]) -> list[str]:
    steps = [f"set OUTBOUND_SCHEMA={our_schema} for every process of outbound"]
    if nameless:
        steps.append(f"give {_ids(nameless)} a number: `outbound business set ID --number +972…`")
    if silent:
        steps.append(f"say what the calls of {_ids(silent)} play: `outbound business set ID --voice-url https://…`")
    steps.append("look at the calling hours: `outbound window list`")
    campaigns = sql.list_campaigns(connection)
    steps += [
        f"let {one.waiting} calls of {one.name} be dialed: `outbound resume campaign {one.id}`"
        for one in campaigns[:_SHOWN_MAX]
    ]
    if len(campaigns) > _SHOWN_MAX:
        steps.append(f"and {len(campaigns) - _SHOWN_MAX} more campaigns: `outbound campaign list`")
    steps.append("inbound calls come here once you move the URLs of their numbers at the carrier")
    return steps


def _ids(ids: list[int]) -> str:
    shown = ", ".join(map(str, ids[:_SHOWN_MAX]))
    return f"business {shown}" if len(ids) == 1 else f"businesses {shown}{' …' if len(ids) > _SHOWN_MAX else ''}"
