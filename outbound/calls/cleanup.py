"""Close or release overdue calls: each rule is one statement in its own transaction with its own counter."""

from collections.abc import Callable
from typing import Any

from outbound import db, logs
from outbound.calls import lead, set_aside
from outbound.config import LOOKS_MIN, settings
from outbound.failpoint import crash_here

sql = db.statements("calls/cleanup")
log = logs.get("cleanup")

Once = Callable[[int, int | None], list[Any]]

_BATCHES_MAX = 50  # per rule and round; what is left waits for the next tick


def cleanup_stuck_dialing_jobs() -> dict[str, int | None]:
    """
    One round of every rule; safe on many hosts at once.

    A rule that fails stops no other rule.

    Returns:
        how many calls each rule moved, None where it failed, which is in the log.
    """
    return {rule: _apply(rule, once) for rule, once in RULES.items()}


def _apply(rule: str, once: Once) -> int | None:
    batch_max = settings().batch_max
    total = 0
    try:
        for _ in range(_BATCHES_MAX):
            moved = len(_batch(once, batch_max))
            total += moved
            if moved:
                crash_here("cleanup.applied")
            if moved < batch_max:
                break
    except db.Unavailable as error:
        log.outage("cleanup.database_away", error, rule=rule)
        return None
    except Exception:
        log.exception("cleanup.failed", rule=rule)
        return None
    if total:
        log.info("cleanup.done", rule=rule, calls=total)
    return total


def _batch(once: Once, batch_max: int) -> list[Any]:
    """One batch of a rule; where a call makes it raise, one by one, and that call is set aside."""
    try:
        return once(batch_max, None)
    except db.Error as error:
        if not db.is_of_a_row(error):
            raise
    suspects = [row.id for row in db.run(sql.suspect_calls, batch_max=batch_max)]
    return [row for rows in set_aside.each("cleanup", suspects, lambda call_id: once(1, call_id)) for row in rows]


def _release_overdue_claims(batch_max: int, only_id: int | None) -> list[Any]:
    return list(db.run(sql.release_overdue_claims, batch_max=batch_max, only_id=only_id))


def _close_without_call_sid(batch_max: int, only_id: int | None) -> list[Any]:
    grace_s = settings().close_s - settings().ask_s
    bounds = {"grace_s": grace_s, "looks_min": LOOKS_MIN}
    return list(db.run(sql.close_without_call_sid, batch_max=batch_max, only_id=only_id, **bounds))


def _renew_lead_nudges(batch_max: int, only_id: int | None) -> list[Any]:
    renewed = db.run(sql.renew_lead_nudges, batch_max=batch_max, only_id=only_id, lead_s=settings().lead_s)
    lead.nudge_all([call.call_sid for call in renewed])  # where the broker is away, the next deadline brings them back
    return list(renewed)


def _cancel_calls_of_ended_campaigns(batch_max: int, only_id: int | None) -> list[Any]:
    return list(db.run(sql.cancel_calls_of_ended_campaigns, batch_max=batch_max, only_id=only_id))


RULES: dict[str, Once] = {
    "claimed": _release_overdue_claims,
    "no_call_sid": _close_without_call_sid,
    "no_lead": _renew_lead_nudges,
    "campaign_ended": _cancel_calls_of_ended_campaigns,
}
