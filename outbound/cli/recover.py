"""`outbound recover`: after a restore, a failover or a copy, until calls may be dialed again."""

from datetime import datetime
from typing import Annotated

import typer

from outbound.cli.common import AsJson, DryRun, nobody_to_ask, ready
from outbound.errors import UserError
from outbound.formats import moments
from outbound.printing import Table, err, out, say, tell, tell_json

_SHOWN_MAX = 20  # ids in the table; --json has them all


def recover(
    since: Annotated[
        str | None,
        typer.Option(help="List the carrier's calls from this moment on, like 2026-11-30T09:00+02:00; UTC by default."),
    ] = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Let dialing go on without asking, for a failover.")] = False,
    as_json: AsJson = False,
) -> None:
    """After a restore or a failover: take in what the carrier knows, then dial on.  Exit status 1 until then."""
    moment = _moment(since)
    if not (yes or dry_run or as_json or err.is_terminal):
        raise nobody_to_ask()
    with ready(broker=True):
        from outbound.calls import recover as step
        from outbound.carrier import CarrierSilent

        def confirm(report: step.RecoveryReport) -> bool:
            if yes or as_json:
                return yes
            _show(report)
            return typer.confirm("Let calls be dialed again?", err=True)

        try:
            report = step.recover(moment, dry_run=dry_run, confirm=confirm)
        except CarrierSilent as silence:
            raise UserError(f"the carrier does not answer: {silence}; nothing is dialed, run it again") from None
    if as_json:
        tell_json(vars(report))
    elif report.reason is None:
        tell("nothing to recover: this is the database that dialed last")
    else:
        if yes or dry_run:
            _show(report)
        tell("dialing goes on" if report.let_go else "nothing is dialed")
    if report.reason is not None and not (report.let_go or dry_run):
        raise typer.Exit(1)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = moments.read(text, "UTC", day_alone=True)
    except moments.BadMoment as fault:
        raise UserError(f"--since {fault}") from None
    say(f"since: {moment.understood('UTC')}")
    return moment.at


def _show(report: object) -> None:
    from outbound.calls.recover import RecoveryReport

    if not isinstance(report, RecoveryReport) or report.since is None:
        return
    table = Table("", "calls", "what that means")
    for name, calls, meaning in (
        ("listed", report.listed, f"calls of the carrier since {moments.shown(report.since, 'UTC')}"),
        ("known", report.known, "their rows were there; what the carrier says of them is written down"),
        ("bound", report.bound, "were dialed, but waited here to be dialed: they are not dialed again"),
        ("added", report.added, f"their rows were lost and are written again{_ids(report.added_ids)}"),
        ("unsure", len(report.unsure), f"closed as unsure_after_restore: a person must look{_ids(report.unsure)}"),
        ("strangers", report.strangers, "of from-numbers that are nobody's here: left alone"),
        ("claimed", report.claimed, "the carrier has no call of theirs: they go back to the queue"),
        ("unbound", report.unbound, "were being dialed: they are asked about and closed, and not dialed again"),
        ("due", report.due, "will be dialed"),
    ):
        table.add_row(name, str(calls), meaning)
    out.print(table)
    say(
        "Lost for good: calls, do-not-call entries and consents that were entered since. Enter these again before you"
        " go on."
    )


def _ids(ids: list[int]) -> str:
    shown = ", ".join(map(str, ids[:_SHOWN_MAX]))
    return f": calls {shown}{' …' if len(ids) > _SHOWN_MAX else ''}" if ids else ""


commands = typer.Typer()
for command in (recover,):
    commands.command()(command)
