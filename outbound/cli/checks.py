"""`outbound doctor`, `verify`, `rollback`, `purge` and `roles`."""

from enum import StrEnum
from typing import Annotated

import typer

from outbound.cli.common import AsJson, ready
from outbound.errors import SettingsError, UserError
from outbound.printing import Table, cell, out, say, tell, tell_done, tell_json

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}


def doctor(as_json: AsJson = False) -> None:
    """Look at everything that calls depend on, and say how to mend it; exit status 1 where something is broken."""
    from outbound import db, logs
    from outbound.checks import doctor as checks
    from outbound.local.environment import prepared_environment
    from outbound.processes import service_settings

    logs.set_up("CRITICAL")  # what it finds is printed below
    try:
        service_settings.read()
        with prepared_environment(broker=True, lasting=False):
            findings = checks.examine()
            db.close()
    except SettingsError as wrong:
        findings = checks.refused(wrong.faults)
    if as_json:
        shown = [found._asdict() | {"said": found.text} for found in findings]  # `text` was `said` before
        tell_json({"ok": checks.is_sound(findings), "checks": shown})
    else:
        table = Table("check", "", "what was found", "what to do")
        for found in findings:
            state = cell(found.state, style=_STYLES[found.state])
            table.add_row(found.check, state, found.text, found.mend)
        out.print(table)
    if not checks.is_sound(findings):
        raise typer.Exit(1)


def verify(
    old: Annotated[
        bool, typer.Option("--old", help="Look at the tables of the system before as well, after `outbound adopt`.")
    ] = False,
    from_schema: Annotated[
        str | None, typer.Option(help="The schema of those tables; default: where adopt found them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove on the live servers, in a place of its own, that the old system's faults cannot come back."""
    from outbound import logs
    from outbound.adopt import own_schema
    from outbound.checks import verify as checks
    from outbound.processes import service_settings

    if from_schema is not None and not old:
        raise UserError("--from-schema goes with --old")
    if old:
        service_settings.read()
        own_schema.use()
    with ready(check_schema=False, broker=True, as_owner=True):
        logs.set_up("ERROR")
        verdicts = checks.verify(old=old, old_schema=from_schema)
    passed = sum(verdict.passed for verdict in verdicts)
    if as_json:
        tell_json({"passed": passed, "checks": [verdict._asdict() for verdict in verdicts]})
    else:
        table = Table("", "check", "", "why")
        for number, verdict in enumerate(verdicts, 1):
            state = cell("passed", style="green") if verdict.passed else cell("FAILED", style="bold red")
            table.add_row(number, verdict.name, state, verdict.why)
        out.print(table)
        tell(f"{passed}/{len(verdicts)} passed")
    if passed < len(verdicts):
        raise typer.Exit(1)


def rollback(
    to: Annotated[str, typer.Argument(help="The last migration to keep: its id, or its number.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would be lost.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take back migrations, newest first; what they added is lost for good.  Stop every process before."""
    from outbound import db
    from outbound.database import migrations

    with ready(check_schema=False, as_owner=True):
        with db.connect() as connection:
            migrations.refuse_foreign(connection)
        down_to = migrations.named(to)
        losses = migrations.losses(down_to)
        lines = [f"{name}: {', '.join(lost) or 'no data'}" for name, lost in losses.items()]
        if losses and not yes:
            tell_done({"would_lose": losses, "rolled_back": []}, *lines, as_json=as_json)
            raise UserError(
                f"this would be lost for good: stop every process, back up, then `outbound rollback {to} --yes`"
            )
        done = migrations.rollback(down_to, tell=say) if losses else []
    lines = lines or ["nothing to roll back"]
    tell_done({"lost": losses, "rolled_back": done}, *lines, as_json=as_json)
    if done:
        say(f"rolled back {len(done)} migrations; run the version that fits, or `outbound migrate`")


class Purged(StrEnum):
    """The kinds of data that may be purged."""

    calls = "calls"
    leads = "leads"
    registry = "registry"
    batches = "batches"
    audit = "audit"


def purge(
    older_than_days: Annotated[int, typer.Option("--older-than-days", help="8 to 36500.")],
    what: Annotated[Purged, typer.Option(help="Of the audit, details are blanked and entries stay.")] = Purged.calls,
    as_json: AsJson = False,
) -> None:
    """Delete calls that ended more than so many days ago, with their events; or what --what says."""
    from outbound.calls import retention

    with ready():
        if what is Purged.calls:
            deleted = retention.purge(older_than_days)._asdict()
            line = f"{deleted['calls']} calls and {deleted['events']} events deleted"
        else:
            deleted = {what.value: retention.purge_rest(what.value, older_than_days)}
            line = f"{deleted[what.value]} rows of {what.value} deleted or blanked"
    tell_done({"deleted": deleted}, line, as_json=as_json)


def roles(
    prefix: Annotated[str, typer.Option(help="What the roles' names begin with.")] = "outbound",
    as_json: AsJson = False,
) -> None:
    """Make the database's roles (owner, application, reader, voice) and say what each may do; after each migration."""
    from outbound.database import roles as step

    with ready(as_owner=True):
        names = step.apply(prefix)
    tell_done({"roles": names}, *names, as_json=as_json)


commands = typer.Typer()
for command in (doctor, verify, rollback, purge, roles):
    commands.command()(command)
