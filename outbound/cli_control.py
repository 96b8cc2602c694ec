"""What an operator stops, slows, lets go and asks about: each command is one call to one step."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer
from rich.table import Column

from outbound import moments
from outbound.door import AsJson, By, ready, until_told_to_stop
from outbound.printing import Table, cell, err, out, tell, tell_json

What = Annotated[str, typer.Argument(help="everything, business, campaign, number or call.")]
Key = Annotated[str | None, typer.Argument(help="Which: its id, or the number like +97231234567.")]
Reason = Annotated[str | None, typer.Option(help="Why; `outbound why` repeats it.")]


def pause(what: What, key: Key = None, reason: Reason = None, by: By = None) -> None:
    """Begin no new call here; those in the air go on."""
    from outbound import control

    with ready():
        scope = control.scope_of(what, key)
        claims = control.pause(scope, reason=reason, by=by)
    tell(f"{scope} is paused, {claims} claims were taken back; `outbound resume {scope}` lets it go")


def resume(what: What, key: Key = None, by: By = None) -> None:
    """Let it go again, whoever paused it."""
    from outbound import control

    with ready():
        scope = control.scope_of(what, key)
        was_paused = control.resume(scope, by=by)
    tell(f"{scope} goes on" if was_paused else f"{scope} was not paused")


def drain(
    what: What,
    key: Key = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most; by default until it is done.")] = None,
    reason: Reason = None,
    by: By = None,
) -> None:
    """Pause, and wait until no call is in the air.  Exit status 1 where that was not waited for; it stays paused."""
    from outbound import control

    with ready(), err.status("") as status:
        scope = control.scope_of(what, key)
        live = control.drain(
            scope,
            timeout_s=timeout,
            stopped=until_told_to_stop(),
            tell=lambda live: status.update(f"{scope} is paused, {live} calls are in the air"),
            reason=reason,
            by=by,
        )
    tell(f"{scope} is paused, {live} calls are in the air")
    if live:
        raise typer.Exit(1)


def cancel(what: What, key: Key = None, reason: Reason = None, by: By = None) -> None:
    """Close all calls that wait, and end those that ring; who is talking goes on."""
    from outbound import control

    with ready(broker=True), err.status("") as status:
        scope = control.scope_of(what, key)
        canceled = control.cancel(
            scope, reason=reason, by=by, tell=lambda calls: status.update(f"{calls} calls canceled")
        )
        _hang_up(canceled.in_the_air)
    tell(f"{canceled.waiting} waiting calls canceled, {canceled.in_the_air} in the air")


def stop(what: What, key: Key = None, reason: Reason = None, by: By = None) -> None:
    """Pause, and hang up all calls that are in the air, also those in progress."""
    from outbound import control

    with ready(broker=True):
        scope = control.scope_of(what, key)
        hang_ups = control.stop(scope, reason=reason, by=by)
        _hang_up(hang_ups)
    tell(f"{scope} is paused, {hang_ups} calls are hung up; `outbound resume {scope}` lets it go")


def _hang_up(calls: int) -> None:
    """At once, and not when the scheduler, which may be down, has its next round."""
    if calls:
        from outbound.hang_up import hang_up_requested_calls

        hang_up_requested_calls()


def limit(
    what: What,
    key: Key = None,
    calls_per_second: Annotated[str | None, typer.Option(help="How many may begin per second, or none.")] = None,
    live_max: Annotated[str | None, typer.Option(help="How many may be in the air at once, or none.")] = None,
    weight: Annotated[str | None, typer.Option(help="Share of a business or campaign; 1 at first.")] = None,
    calls_per_hour: Annotated[str | None, typer.Option(help="Cap: calls that begin in one hour, or none.")] = None,
    calls_per_day: Annotated[str | None, typer.Option(help="Cap: calls that begin on one day, or none.")] = None,
    minutes_per_hour: Annotated[str | None, typer.Option(help="Cap: minutes of one hour's calls, or none.")] = None,
    minutes_per_day: Annotated[str | None, typer.Option(help="Cap: minutes of one day's calls, or none.")] = None,
    by: By = None,
) -> None:
    """Say how fast, how many at once, how much in all, and how large a share; what is not given stays."""
    from outbound import control

    with ready():
        scope = control.scope_of(what, key)
        control.limit(
            scope,
            calls_per_second=calls_per_second,
            live_max=live_max,
            weight=weight,
            calls_per_hour=calls_per_hour,
            calls_per_day=calls_per_day,
            minutes_per_hour=minutes_per_hour,
            minutes_per_day=minutes_per_day,
            by=by,
        )
    tell(f"{scope} is limited; see `outbound control`")


def control(as_json: AsJson = False) -> None:
    """Show what is paused, limited and held, and how much of each limit is used."""
    from outbound import control as step

    with ready():
        rows = step.rows()
    if as_json:
        tell_json([row._asdict() for row in rows])
        return
    table = Table(Column("scope", no_wrap=True), "state", "calls per second", "live", "caps", "weight", "why")
    for row in rows:
        pace = "" if row.rate_now is None else f"{row.rate_now:.4g}, {row.tokens:.2f} now"
        live = str(row.live) if row.live_max is None else f"{row.live} of {row.live_max}"
        if row.unknown:
            live += f", {row.unknown} unknown"
        held = f"held until {moments.shown(row.hold_until, row.time_zone)}" if row.hold_until else None
        until = row.spend_until and moments.shown(row.spend_until, row.time_zone)
        capped = f"{row.spend_code} reached until {until}" if row.spend_code else None
        why = "; ".join(filter(None, [row.state_reason, held, capped and capped.replace("_", " ")]))
        caps = ", ".join(
            f"{most} {name.replace('_', ' ')}" for name in step.CAPS if (most := getattr(row, name)) is not None
        )
        scope = cell(step.Scope(row.scope, row.key), *([row.name] if row.name else []))
        table.add_row(scope, row.state, pace, live, caps, f"{row.weight:g}", why)
    out.print(table)


def why(call_id: Annotated[int, typer.Argument(help="The call's id.")], as_json: AsJson = False) -> None:
    """Say why a call is not being dialed right now.  Exit status 2 where there is no such call."""
    from outbound import why as step

    with ready():
        reason = step.why(call_id)
    if as_json:
        tell_json(asdict(reason))
    else:
        tell(reason.sentence)
    if reason.code == "unknown_call":
        raise typer.Exit(2)


def preview(
    campaign: Annotated[int, typer.Argument(help="The campaign's id.")],
    call_s: Annotated[float | None, typer.Option(help="Seconds that one call takes; as the latest ones took.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a campaign would do if it were launched now; changes nothing."""
    from outbound import why as step

    with ready():
        found = step.preview(campaign, call_s)
    if as_json:
        tell_json(asdict(found) | {"to_dial": found.to_dial})
        return
    table = Table("calls", "would be", "because", "until", title=cell(f"campaign {found.campaign_id}: {found.name}"))
    table.add_row(str(found.now), "dialed now", "", "")
    for state, parts in (("held", found.held), ("refused", found.refused)):
        for part in parts.values():
            until = moments.shown(part.until, found.time_zone) if part.until else ""
            table.add_row(str(part.calls), state, part.sentence, until)
    out.print(table)
    for sentence in found.stopped_by:
        tell(f"it does not begin: {sentence}")
    if found.calls_per_second is None:
        tell("no limit is set: as fast as the workers dial")
    elif found.duration_s is None:
        tell(f"it never ends: {found.limited_by}")
    else:
        took = timedelta(seconds=round(found.duration_s))
        tell(
            f"{found.to_dial} calls take {took} within their hours ({found.limited_by}, {found.call_s:.0f} s per call)"
        )


commands = (pause, resume, drain, cancel, stop, limit, control, why, preview)
