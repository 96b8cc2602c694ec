"""`outbound audit` and `outbound person`: who did what, and one person's data."""

import json
from typing import Annotated, Any

import typer

from outbound import os_user
from outbound.cli.common import AsJson, By, Number, Region, ready
from outbound.formats import moments
from outbound.printing import Table, out, tell, tell_json

audit = typer.Typer(name="audit", help="Show who did what, and check that the record is complete.")
person = typer.Typer(name="person", no_args_is_help=True, help="All that is known of one person, and its end.")
commands = typer.Typer()
commands.add_typer(audit)
commands.add_typer(person)

Last = Annotated[int, typer.Option(help="How many, the latest ones.")]


@audit.callback(invoke_without_command=True)
def audit_(context: typer.Context, last: Last = 20, as_json: AsJson = False) -> None:
    """Show who did what, and which rows that decide what is dialed were changed, by whatever program."""
    if context.invoked_subcommand is None:
        _list(last, as_json=as_json)


@audit.command("list")
def audit_list(last: Last = 20, as_json: AsJson = False) -> None:
    """List the latest entries, as `outbound audit` does."""
    _list(last, as_json=as_json)


def _list(last: int, *, as_json: bool) -> None:
    from outbound.rules import audit as step

    with ready():
        rows = step.latest(last)
    if as_json:
        tell_json([row._asdict() for row in rows])
        return
    table = Table("at", "who", "as", "did", "to", "details")
    for row in rows:
        what = "everything" if row.scope == "account" else f"{row.scope} {row.key}".rstrip()
        details = ", ".join(f"{name} {_short(value)}" for name, value in row.details.items() if value is not None)
        role = "" if row.db_user is None else f"{row.db_user}/{row.os_user or '?'}"
        table.add_row(moments.shown(row.at, "UTC"), row.who, role, row.action, what, details)
    out.print(table)


@audit.command("verify")
def audit_verify(
    head: Annotated[str | None, typer.Option(help="What an earlier run printed, PLACE:HASH, kept elsewhere.")] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute the chain of the audit.  Exit status 1, and the first link that is wrong, where it does not hold."""
    from outbound.rules import audit as step

    with ready():
        verdict = step.verify(head)
    broken = verdict.broken
    if as_json:
        tell_json({"links": verdict.links, "head": verdict.head, "broken": broken and broken._asdict()})
    elif broken:
        place = "" if broken.fault in ("inserted", "cut_off") else f"link {broken.place}, "
        tell(f"the chain is broken: {place}{broken.entry}: {step.FAULTS[broken.fault]}")
    else:
        tell(f"{verdict.links} links hold; head {verdict.head}")
        tell(step.CANNOT_TELL)
    if broken:
        raise typer.Exit(1)


@person.command("show")
def person_show(number: Number, region: Region = None, as_json: AsJson = False) -> None:  # noqa: ARG001 (always JSON)
    """Print all that is known of a person, as JSON, for an access request.  Changes nothing."""
    from outbound.calls import person as step

    with ready():
        found = step.show(number, region=region)
    tell_json(found)


@person.command("forget")
def person_forget(number: Number, region: Region = None, by: By = None, as_json: AsJson = False) -> None:  # noqa: ARG001
    """
    Delete all that is known of a person, and never call or write down this number again.  It cannot be undone.

    Prints the receipt, as JSON, without the number.  Refused while a call with this person is live.
    """
    from outbound.calls import person as step

    with ready(as_owner=True):
        receipt = step.forget(number, actor=os_user.named(by), region=region)
    tell_json(receipt)


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
