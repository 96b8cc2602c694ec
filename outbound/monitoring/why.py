"""Says why a call is not being dialed right now, and what a campaign would do if it were launched now."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from outbound import db
from outbound.calls.reason import Reason
from outbound.config import SCHEDULER_SILENT_S, WORKER_SILENT_S, as_started, settings
from outbound.formats import row_id
from outbound.monitoring import situation
from outbound.rules.scope import BadControl

sql = db.statements("monitoring/why")

GIVEN = "--call-s"  # says where the length of a call is from
PACE_USED = 0.75  # of a rate: what pace_tokens gives in the long run, so that no second sees more than the whole


@dataclass(frozen=True)
class Part:
    """The number of calls that share a reason, and until when it holds the first of them, where that is known."""

    calls: int
    sentence: str
    until: datetime | None


@dataclass
class Preview:
    """
    The forecast for a campaign's queued calls.

    Attributes:
        time_zone: the business's, in which moments are shown.
        now: calls that would be dialed now; `held`: that wait, by reason; `refused`: that would be closed, by reason.
        stopped_by: what keeps the whole campaign from being dialed, in sentences.
        calls_per_second: how fast it goes in the long run; None without any limit.
        limited_by: which limit that is.
        call_s: how long one call takes, seconds, and `call_s_from` where that is known from.
        duration_s: how long all that is not refused takes, within its hours; None without a limit, or at one of 0.
    """

    campaign_id: int
    name: str
    time_zone: str
    now: int = 0
    held: dict[str, Part] = field(default_factory=dict)
    refused: dict[str, Part] = field(default_factory=dict)
    stopped_by: list[str] = field(default_factory=list)
    calls_per_second: float | None = None
    limited_by: str | None = None
    call_s: float = 0
    call_s_from: str = ""
    duration_s: float | None = None

    @property
    def to_dial(self) -> int:
        """Calls that are not refused."""
        return self.now + sum(part.calls for part in self.held.values())


def why(call_id: int) -> Reason:
    """
    Return why this call is not being dialed: the first reason that holds, by the callee's clocks where they are known.
    """
    config = settings()
    if not 0 < call_id <= row_id.MAX:
        return Reason("unknown_call", f"There is no call {call_id}.", None, {})
    row = db.run(
        sql.why_not_dialed,
        call_id=call_id,
        claim_s=config.claim_s,
        ring_s=config.ring_s,
        worker_silent_s=WORKER_SILENT_S,
        claims_per_thread=config.claims_per_thread,
        account_rate=config.account_rate,
        scheduler_silent_s=SCHEDULER_SILENT_S,
    )
    return replace(Reason(*row), sentence=as_started(row.sentence))


def why_new(call_id: int) -> list[str]:
    """
    Return why a call that was just put in the queue is not dialed now, or at its time, in sentences; none where it is.

    Of a call that is due later that is what would cancel it as things stand; of one that has ended, what ended it.
    Nothing where the database is away by now: the call is in the queue.
    """
    with suppress(db.Error):
        reason = why(call_id)
        if reason.code == "not_due":
            return [blocker.sentence for blocker in situation.blockers()]
        has_failed = reason.code == "ended" and reason.details["error_code"] is not None
        if has_failed or reason.code not in ("due", "claimed", "in_the_air", "ended"):
            return [reason.sentence]
    return []


def preview(campaign_id: int, call_s: float | None = None) -> Preview:
    """
    Return what a campaign would do if it were launched now; changes nothing.  200,000 calls take some seconds.

    Args:
        call_s: how long one call takes, seconds, from its dial to its end; by default as long as the latest ones took.

    Raises:
        BadControl: there is no such campaign, or a call takes no time.
    """
    if call_s is not None and not 0 < call_s <= 86_400:
        raise BadControl("a call takes more than 0 seconds and a day at most: give --call-s, like 45")
    return db.transact(lambda connection: _preview(connection, campaign_id, call_s))


def _preview(connection: db.Connection, campaign_id: int, call_s: float | None) -> Preview:
    config = settings()
    sql.allow_minutes(connection)
    campaign = sql.find_campaign(connection, campaign_id=campaign_id) if 0 < campaign_id <= row_id.MAX else None
    if campaign is None:
        raise BadControl(f"there is no campaign {campaign_id}: see `outbound campaign list`")
    found = Preview(campaign.id, campaign.name, campaign.time_zone)
    rows = sql.preview_calls(connection, campaign_id=campaign_id, claim_s=config.claim_s, ring_s=config.ring_s)
    for row in rows:
        if row.code is None:
            found.now = row.calls
        else:
            parts = found.refused if row.is_final else found.held
            parts[row.code] = Part(row.calls, row.sentence, row.until)
    found.call_s, found.call_s_from = _call_s(connection, campaign_id, call_s)
    limits = sql.preview_limits(connection, campaign_id=campaign_id, account_rate=config.account_rate)
    _set_pace(found, limits)
    if not campaign.can_speak:
        found.stopped_by.append("nobody said what it plays: give it, or its business, a voice URL or TwiML")
    if campaign.account_fault is not None:
        found.stopped_by.append(campaign.account_fault)
    if campaign.starts is not None:
        found.stopped_by.append(f"it starts at {campaign.starts}")
    for limit in limits:
        if limit.is_paused:
            found.stopped_by.append(f"{limit.called}: paused: {limit.state_reason or 'no reason was given'}")
        if limit.capped is not None:
            found.stopped_by.append(limit.capped)
    return found


def _call_s(connection: db.Connection, campaign_id: int, given: float | None) -> tuple[float, str]:
    if given is not None:
        return given, GIVEN
    known = sql.mean_call_s(connection, campaign_id=campaign_id)
    return (known, "the latest calls") if known else (float(settings().ring_s), "OUTBOUND_RING_S: no call has ended")


def _set_pace(preview: Preview, limits: list[db.Row]) -> None:
    paces = [
        (limit.calls_per_second * PACE_USED, f"{limit.called}: {limit.calls_per_second:g} calls per second")
        for limit in limits
        if limit.calls_per_second is not None
    ]
    paces += [
        (limit.live_max / preview.call_s, f"{limit.called}: {limit.live_max} calls at once")
        for limit in limits
        if limit.live_max is not None
    ]
    paces += [
        (calls / period_s, f"{limit.called}: {calls} calls per {period}")
        for limit in limits
        for calls, period_s, period in ((limit.calls_per_hour, 3600, "hour"), (limit.calls_per_day, 86_400, "day"))
        if calls is not None
    ]
    if paces:
        preview.calls_per_second, preview.limited_by = min(paces)
        if preview.calls_per_second > 0:
            preview.duration_s = preview.to_dial / preview.calls_per_second
