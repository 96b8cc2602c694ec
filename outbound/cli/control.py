"""`outbound pause`, `resume`, `drain`, `cancel`, `stop`, `limit`, `control`, `why` and `preview`."""

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column

from outbound.cli.calls import AnsweredBy, Batch, ErrorCode, Number, Since, Status, Until, Which, show_calls
from outbound.cli.common import AsJson, By, MaybeBusiness, MaybeCampaign, Region, nobody_to_ask, ready, stop_event
from outbound.errors import UserError
from outbound.formats import moments
from outbound.printing import Table, cell, err, out, say, tell, tell_done, tell_json

if TYPE_CHECKING:
    from outbound.calls.call_search import Asked
    from outbound.rules.control import Paused
    from outbound.rules.scope import Scope

What = Annotated[str, typer.Argument(help="everything, business, campaign, number (that calls) or call.")]
Key = Annotated[str | None, typer.Argument(help="Which: its name or id; of a call its id, CA…, key or number.")]
SHOWN_MAX = 10  # calls that a dry run shows
Reason = Annotated[str | None, typer.Option(help="Why; `outbound why` repeats it.")]


def pause(what: What, key: Key = None, reason: Reason = None, by: By = None, as_json: AsJson = False) -> None:
    """Begin no new call here; those in the air go on."""
    from outbound.rules import control
    from outbound.rules.scope import scope_of

    with ready():
        scope = scope_of(what, key)
        done = control.pause(scope, reason=reason, actor=by)
    _tell_paused(scope, done, "claims_taken_back", "claims were taken back", as_json=as_json)


def resume(what: What, key: Key = None, by: By = None, as_json: AsJson = False) -> None:
    """Resume dialing, whether an operator or the breaker paused it."""
    from outbound.rules import control
    from outbound.rules.scope import scope_of

    with ready():
        scope = scope_of(what, key)
        was_paused = control.resume(scope, actor=by)
    line = f"{scope} goes on" if was_paused else f"nothing changed: {scope} was not paused"
    tell_done(scope._asdict() | {"paused": False, "was_paused": was_paused}, line, as_json=as_json)


def drain(
    what: What,
    key: Key = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most; by default until it is done.")] = None,
    reason: Reason = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Pause, and wait until no call is in the air.  Exit status 1 where that was not waited for; it stays paused."""
    from outbound.rules import control
    from outbound.rules.scope import scope_of

    with ready(), err.status("") as status:
        scope = scope_of(what, key)
        live = control.drain(
            scope,
            timeout_s=timeout,
            stopped=stop_event(),
            tell=lambda live: status.update(f"{scope} is paused, {live} calls are in the air"),
            reason=reason,
            actor=by,
        )
    done = scope._asdict() | {"paused": True, "in_the_air": live}
    tell_done(done, f"{scope} is paused, {live} calls are in the air", as_json=as_json)
    if live:
        raise typer.Exit(1)


def cancel(
    what: Annotated[
        str | None, typer.Argument(help="everything, business, campaign, number (that calls) or call.")
    ] = None,
    key: Key = None,
    number: Number = None,
    status: Status = None,
    campaign: MaybeCampaign = None,
    batch: Batch = None,
    business: MaybeBusiness = None,
    since: Since = None,
    until: Until = None,
    answered_by: AnsweredBy = None,
    error: ErrorCode = None,
    region: Region = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which calls that would be; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Cancel everything without asking.")] = False,
    reason: Reason = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """
    Close calls that wait, and end those that ring; who is talking goes on.

    Which calls: everything, or those of a business, a campaign, a number that calls, or one call; or, by the options of
    `outbound calls`, those that are like that: --number is the number that is called.

    It asks before it cancels everything.
    """
    from outbound.calls import call_search

    asked = call_search.Asked(
        number=number,
        region=region,
        statuses=status or (),
        campaign=campaign,
        batch=batch,
        business=business,
        since=since,
        until=until,
        answered_by=answered_by,
        error_code=error,
    )
    if (what is not None) == (asked != call_search.Asked()):
        raise UserError(
            "say which calls: everything, business ID …, or options like --number, --campaign, --batch; not both"
        )
    if dry_run:
        _say_what_would_be_canceled(what, key, asked, as_json=as_json)
    else:
        _cancel(what, key, asked, reason, by, yes=yes, as_json=as_json)


def _cancel(
    what: str | None, key: str | None, asked: "Asked", reason: str | None, by: str | None, *, yes: bool, as_json: bool
) -> None:
    from outbound.calls import call_search
    from outbound.rules import control
    from outbound.rules.scope import scope_of

    with ready(broker=True):
        scope = scope_of(what, key) if what is not None else None
        wanted = call_search.to_cancel(call_search.read(asked, tell=say)) if scope is None else None
        if wanted is not None:
            scope = call_search.scope_of(wanted)
        if scope is not None and scope.scope == "account" and not yes:
            _ask(*control.count_to_cancel(scope), as_json=as_json)
        with err.status("") as status:

            def count(done: int) -> None:
                status.update(f"{done} calls canceled")

            if scope is not None:
                waiting, in_the_air = control.cancel(scope, reason=reason, actor=by, tell=count)
            elif wanted is not None:
                waiting, in_the_air, _ = call_search.cancel(wanted, reason=reason, actor=by, tell=count)
            _hang_up(in_the_air)
    line = f"{waiting} waiting calls canceled, {in_the_air} in the air"
    if not (waiting or in_the_air):
        line = f"nothing changed: no call of {scope} waits or rings" if scope else "nothing changed: no such call waits"
    where = {} if scope is None else scope._asdict()
    tell_done(where | {"waiting": waiting, "in_the_air": in_the_air}, line, as_json=as_json)


def _ask(waiting: int, ringing: int, _: int, *, as_json: bool) -> None:
    """Ask before every business's calls are canceled, which nothing brings back."""
    if as_json or not err.is_terminal:
        raise nobody_to_ask()
    question = f"Cancel the calls of all businesses: {waiting} that wait, {ringing} that ring or are being dialed?"
    if not typer.confirm(question, err=True):
        tell("nothing changed")
        raise typer.Exit(1)


def _say_what_would_be_canceled(what: str | None, key: str | None, asked: "Asked", *, as_json: bool) -> None:
    from outbound.calls import call_search
    from outbound.rules import control
    from outbound.rules.scope import scope_of

    with ready():
        if what is not None:
            scope = scope_of(what, key)
            counts = call_search.Canceled(*control.count_to_cancel(scope))
            first = call_search.first_to_cancel(scope, SHOWN_MAX)
        else:
            wanted = call_search.read(asked, tell=say)
            counts = call_search.count_to_cancel(wanted)
            first = call_search.find(call_search.to_cancel(wanted), limit=SHOWN_MAX).calls
    if as_json:
        tell_json({"dry_run": True} | counts._asdict() | {"first": first})
        return
    if first:
        show_calls(first)
        others = counts.waiting + counts.ringing - len(first)
        tell(*([f"and {others} more"] if others > 0 else []))
    tell(
        f"would be canceled: {counts.waiting} that wait, {counts.ringing} that ring or are being dialed;"
        f" {counts.talking} in which somebody talks go on; nothing was changed"
    )


def stop(what: What, key: Key = None, reason: Reason = None, by: By = None, as_json: AsJson = False) -> None:
    """Pause, and hang up all calls that are in the air, also those in progress."""
    from outbound.rules import control
    from outbound.rules.scope import scope_of

    with ready(broker=True):
        scope = scope_of(what, key)
        done = control.stop(scope, reason=reason, actor=by)
        _hang_up(done.hung_up)
    _tell_paused(scope, done, "hung_up", "calls are hung up", as_json=as_json)


def _tell_paused(scope: "Scope", done: "Paused", count: str, what: str, *, as_json: bool) -> None:
    """Say that a scope is paused, whether it was so before, and how many of *what* that concerned."""
    calls = getattr(done, count)
    state = "was paused already" if done.was_paused else "is paused"
    line = f"{scope} {state}, {calls} {what}; `outbound resume {scope}` resumes it"
    tell_done(scope._asdict() | {"paused": True, "was_paused": done.was_paused, count: calls}, line, as_json=as_json)


def _hang_up(calls: int) -> None:
    """At once, and not when the scheduler, which may be down, has its next round."""
    if calls:
        from outbound.calls.hang_up import hang_up_requested_calls

        hang_up_requested_calls()


def limit(
    what: What,
    key: Key = None,
    calls_per_second: Annotated[
        str | None, typer.Option(help="Calls that begin per second: 0.001 to 1000, or none.")
    ] = None,
    live_max: Annotated[str | None, typer.Option(help="Calls in the air at once: 0 to 1000000, or none.")] = None,
    weight: Annotated[str | None, typer.Option(help="Share of a business or campaign: 0.01 to 100.")] = None,
    calls_per_hour: Annotated[str | None, typer.Option(help="Cap: calls that begin in one hour, or none.")] = None,
    calls_per_day: Annotated[str | None, typer.Option(help="Cap: calls that begin on one day, or none.")] = None,
    minutes_per_hour: Annotated[str | None, typer.Option(help="Cap: minutes of one hour's calls, or none.")] = None,
    minutes_per_day: Annotated[str | None, typer.Option(help="Cap: minutes of one day's calls, or none.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Say how fast, how many at once, how much in all, and how large a share; what is not given stays."""
    from outbound.rules import limits as step
    from outbound.rules.scope import scope_of

    with ready():
        scope = scope_of(what, key)
        given = {
            "calls_per_second": calls_per_second,
            "live_max": live_max,
            "weight": weight,
            "calls_per_hour": calls_per_hour,
            "calls_per_day": calls_per_day,
            "minutes_per_hour": minutes_per_hour,
            "minutes_per_day": minutes_per_day,
        }
        step.set_limits(scope, **given, actor=by)
    limits = {name: value for name, value in given.items() if value is not None}
    shown = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in limits.items())
    tell_done(scope._asdict() | {"limits": limits}, f"{scope} has {shown}; see `outbound control`", as_json=as_json)


def control(as_json: AsJson = False) -> None:
    """Show what is paused, limited and held, and how much of each limit is used."""
    from outbound.rules import control as step
    from outbound.rules.limits import CAPS
    from outbound.rules.scope import Scope

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
            f"{most} {name.replace('_', ' ')}" for name in CAPS if (most := getattr(row, name)) is not None
        )
        scope = cell(Scope(row.scope, row.key), *([row.name] if row.name else []))
        table.add_row(scope, row.state, pace, live, caps, f"{row.weight:g}", why)
    out.print(table)


def why(which: Which, region: Region = None, as_json: AsJson = False) -> None:
    """Say why a call is not being dialed right now.  Exit status 2 where there is no such call."""
    from outbound import names
    from outbound.monitoring import why as step

    with ready():
        reason = step.why(names.call(which, region=region))
    if as_json:
        tell_json(asdict(reason))
    else:
        tell(reason.sentence + (" `outbound calls` finds calls." if reason.code == "unknown_call" else ""))
    if reason.code == "unknown_call":
        raise typer.Exit(2)


def preview(
    campaign: Annotated[str, typer.Argument(help="The campaign's name or id in `outbound campaign list`.")],
    call_s: Annotated[float | None, typer.Option(help="Seconds that one call takes; as the latest ones took.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a campaign would do if it were launched now; changes nothing."""
    from outbound import names
    from outbound.monitoring import why as step

    with ready():
        found = step.preview(names.find("campaign", campaign), call_s)
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


commands = typer.Typer()
for command in (pause, resume, drain, cancel, stop, limit, control, why, preview):
    commands.command()(command)
