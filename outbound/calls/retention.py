"""
Deletes what is older than its setting allows: calls with their events, leads, registry checks, details of the audit.

Calls are deleted and not moved to an archive: that would be the same rows, with the same phone numbers, in a table that
nobody prunes.  Whatever must be kept is copied out first, to a place where it may be:
`copy (select … from call_log where ended_at < …) to …`.
"""

from collections.abc import Callable
from typing import NamedTuple

from outbound import db, logs, os_user
from outbound.config import settings
from outbound.errors import UserError
from outbound.settings_model import RETENTION_DAYS_MAX, RETENTION_DAYS_MIN

sql = db.statements("calls/retention")
log = logs.get("retention")

EVENT_DAYS = 30  # the last attempt of a delivery is made within four
BATCH_MAX = 1000  # calls; one transaction of some 0.1 s, in which nothing that anybody waits for is locked


class KeptTooShortly(UserError):
    """The error where data of the last days, which is still needed, would go; the message says how many days."""


class Kind(NamedTuple):
    """A kind of data that grows old beside calls: its setting's field, and how one batch of it goes."""

    field: str
    batch: Callable[[int], int]


class KeptTooLong(UserError):
    """So many days are no date; the message says how many may be given."""


class Deleted(NamedTuple):
    """The number of calls and events that are gone."""

    calls: int
    events: int


def delete_old_calls() -> int:
    """
    Delete one batch of calls older than OUTBOUND_RETENTION_DAYS; nothing where that is 0 or not set.

    Returns how many it dealt with: some may be set aside, as another table points to them, and stay.

    One batch a tick is 17 million calls a day at the default tick, and a small part of what the queue itself writes.
    """
    keep_days = settings().retention_days
    if not keep_days:
        return 0
    deleted = _batch(keep_days)
    if deleted.calls:
        log.info("retention.deleted", calls=deleted.calls, events=deleted.events)
    return int(deleted.dealt_with)


def delete_old_rest() -> int:
    """
    Delete one batch of each of KINDS that is older than its setting (the audit: blank it); return how many rows.

    And of what has no setting: the API's answers that are kept for repeats of a request (72 hours), events
    (EVENT_DAYS), and what is known of imports (90 days).
    """
    total = int(db.run(sql.delete_old_requests, batch_max=BATCH_MAX))
    total += int(db.run(sql.delete_old_imports, batch_max=BATCH_MAX))
    total += int(db.run(sql.delete_old_events, keep_days=EVENT_DAYS, batch_max=BATCH_MAX))
    for name, kind in KINDS.items():
        keep_days = getattr(settings(), kind.field)
        rows = kind.batch(keep_days) if keep_days else 0
        if rows:
            log.info("retention.deleted", **{name: rows})
        total += rows
    return total


def purge_rest(name: str, keep_days: int) -> int:
    """
    Delete, or of the audit blank, all of one of KINDS that is more than *keep_days* days old; return how many rows.

    Raises:
        KeptTooShortly: *keep_days* is less than RETENTION_DAYS_MIN.
    """
    _refuse_unfit(keep_days)
    total = 0
    while rows := KINDS[name].batch(keep_days):
        total += rows
    return total


def purge(keep_days: int) -> Deleted:
    """
    Delete every call that ended more than *keep_days* days ago, batch by batch; safe beside everything, and to repeat.

    Raises:
        KeptTooShortly: *keep_days* is less than RETENTION_DAYS_MIN.
        KeptTooLong: it is more than RETENTION_DAYS_MAX.
    """
    _refuse_unfit(keep_days)
    total = Deleted(0, 0)
    while True:
        batch = _batch(keep_days)
        if not batch.dealt_with:  # not at the first batch that is not full: first attempts go after their later ones
            return total
        total = Deleted(total.calls + batch.calls, total.events + batch.events)


def _batch(keep_days: int) -> db.Row:
    try:
        return db.run(sql.delete_ended_calls, keep_days=keep_days, batch_max=BATCH_MAX, apart=False)
    except db.Error as error:
        if not db.is_of_a_row(error):
            raise
        return db.run(sql.delete_ended_calls, keep_days=keep_days, batch_max=BATCH_MAX, apart=True)


def _refuse_unfit(keep_days: int) -> None:
    if keep_days < RETENTION_DAYS_MIN:
        raise KeptTooShortly(
            f"calls of the last {RETENTION_DAYS_MIN} days are needed for the caps of retry policies: "
            f"give {RETENTION_DAYS_MIN} or more"
        )
    if keep_days > RETENTION_DAYS_MAX:
        raise KeptTooLong(f"give {RETENTION_DAYS_MAX} days at most, which is 100 years")


KINDS = {
    "leads": Kind("lead_days", lambda days: int(db.run(sql.delete_old_leads, keep_days=days, batch_max=BATCH_MAX))),
    "registry": Kind(
        "registry_days", lambda days: int(db.run(sql.delete_old_checks, keep_days=days, batch_max=BATCH_MAX))
    ),
    "batches": Kind(
        "batch_days", lambda days: int(db.run(sql.delete_old_batches, keep_days=days, batch_max=BATCH_MAX))
    ),
    "audit": Kind(
        "audit_days",
        lambda days: int(db.run(sql.erase_old_audit, keep_days=days, batch_max=BATCH_MAX, who=os_user.name())),
    ),
}
