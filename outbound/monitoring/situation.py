"""The situation now and what to do about it, as sentences that one statement makes."""

from contextlib import suppress
from datetime import datetime
from typing import Literal, NamedTuple

from outbound import db
from outbound.config import SCHEDULER_SILENT_S, WORKER_SILENT_S, as_started, settings

sql = db.statements("monitoring/situation")

Kind = Literal["ok", "broken", "held", "on_purpose"]

_OVERDUE_S = 15  # a call that is due for less is about to be taken
_ALL_IS_WELL = ("dialing", "in_the_air", "idle")


class Fact(NamedTuple):
    """
    One thing that is so.

    Attributes:
        code: one word for machines, like paused or no_worker.
        kind: ok; broken (somebody must mend it), held (it ends by itself) or on_purpose (a person wants it so).
        sentence: the text for people, with what to do about it.
        since, until: when it began and when it ends, where that is known.
        holder: of a fact about the first call that waits, what holds it: the scope (account, everything, business,
            campaign, number) whose limit or pause it is, installation, or call; None of other facts.
    """

    code: str
    kind: Kind
    sentence: str
    since: datetime | None
    until: datetime | None
    holder: str | None = None


def read(
    business_id: int | None = None, campaign_id: int | None = None, *, overdue_s: float = _OVERDUE_S
) -> list[Fact]:
    """
    Return what is so, of everything or of a business or campaign; what matters most is first, and one fact at least.

    Args:
        overdue_s: the next call is asked why it waits once it has been due for so many seconds.
    """
    config = settings()
    rows = db.run(
        sql.look_at_now,
        business_id=business_id,
        campaign_id=campaign_id,
        overdue_s=overdue_s,
        worker_silent_s=WORKER_SILENT_S,
        scheduler_silent_s=SCHEDULER_SILENT_S,
        claim_s=config.claim_s,
        ring_s=config.ring_s,
        claims_per_thread=config.claims_per_thread,
        account_rate=config.account_rate,
    )
    return _facts(rows)


def blockers() -> list[Fact]:
    """List the reasons that keep every call from being dialed, of all businesses."""
    rows = db.run(sql.find_blockers, worker_silent_s=WORKER_SILENT_S, scheduler_silent_s=SCHEDULER_SILENT_S)
    return _facts(rows)


def _facts(rows: list[db.Row]) -> list[Fact]:
    return [Fact(*row)._replace(sentence=as_started(row.sentence)) for row in rows]


def after_queueing(business_id: int | None = None, campaign_id: int | None = None) -> list[str]:
    """
    Return what becomes of calls that were just put in the queue, in sentences; none where all are dialed in their turn.

    The list is empty where the database is away by now: what was queued stays queued.
    """
    with suppress(db.Error):
        facts = read(business_id, campaign_id, overdue_s=0)
        # Beside what waits stands what does not: part of an import is dialed while the rest is due later.
        if any(fact.code not in _ALL_IS_WELL for fact in facts):
            return [fact.sentence for fact in facts]
    return []
