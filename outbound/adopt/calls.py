"""Take over the old calls: those that may be in the air, and those that have ended."""

from collections.abc import Callable, Sequence
from datetime import datetime

from outbound import db, logs
from outbound.adopt.batches import Run, give_fates, pages, read_numbers, slices
from outbound.calls import reconcile
from outbound.config import settings

sql = db.statements("adopt/calls")
log = logs.get("adopt")

_ROUNDS_MAX = 12


def adopt_live(run: Run) -> None:
    """Calls that may be in the air: asked for at the carrier, and never dialed."""
    ids = [row.id for row in sql.live_calls(run.connection, businesses=run.scope)]
    for batch in slices(ids):
        give_fates(
            run, "call", batch, lambda of: sql.adopt_live_calls(run.connection, ids=list(of), **_numbers(run, of))
        )


def adopt_ended(run: Run, since: datetime | None) -> None:
    """Calls that have ended, with their leads, since that moment; calls that are older get an outcome of that name."""
    for batch in pages(run, "call"):
        give_fates(run, "call", batch, lambda of: _ended(run, of, since, is_asked_for=False))


def adopt_asked_for(run: Run, call_sids: Sequence[str]) -> None:
    """Calls of which a lead is asked for, however old they are."""
    rows = sql.calls_of(run.connection, call_sids=list(call_sids))
    for batch in slices(sorted((row.id for row in rows), reverse=True)):
        give_fates(run, "call", batch, lambda of: _ended(run, of, None, is_asked_for=True))


def adopt_leads(run: Run) -> None:
    """Say of each old lead which one of ours it is."""
    for batch in pages(run, "lead"):
        give_fates(run, "lead", batch, lambda of: _lead_fates(run, of))


def _ended(run: Run, ids: Sequence[int], since: datetime | None, *, is_asked_for: bool) -> None:
    numbers = _numbers(run, ids)
    sql.adopt_ended_calls(run.connection, ids=list(ids), since=since, is_asked_for=is_asked_for, **numbers)


def _lead_fates(run: Run, ids: Sequence[int]) -> None:
    numbers = read_numbers(run, sql.phones_of_leads(run.connection, ids=list(ids)))
    sql.write_lead_fates(run.connection, ids=list(ids), **numbers)


def _numbers(run: Run, ids: Sequence[int]) -> dict[str, str]:
    return read_numbers(run, sql.odd_numbers_of_calls(run.connection, ids=list(ids)))


def ask_carrier(run: Run, wait: Callable[[float], None]) -> str | None:
    """
    Ask the carrier about the calls that were taken over live, in rounds, until it has answered about each.

    Returns:
        what is not known yet and who goes on asking; None where all is known.
    """
    config = settings()
    if not _unasked(run):
        return None
    if not config.has_login:
        return "no carrier is configured: the scheduler asks about the live calls once there is one"
    for look in range(_ROUNDS_MAX):
        if look:
            wait(config.relook_s)
        if not reconcile.reconcile_overdue_calls():
            return "the carrier does not answer: the scheduler goes on asking about the live calls"
        left = _unasked(run)
        run.tell("asking", left)
        if not left:
            return None
    return f"of {_unasked(run)} calls the carrier has not said yet how they ended: the scheduler goes on asking"


def _unasked(run: Run) -> int:
    return int(sql.count_unasked(run.connection))
