"""`outbound destination`: where calls may go."""

from typing import Annotated

import typer

from outbound.cli.common import AsJson, By, ready
from outbound.printing import Table, out, tell, tell_done, tell_json

app = typer.Typer(no_args_is_help=True, help="Where calls may go: countries and first digits, allowed or closed.")
commands = typer.Typer()
commands.add_typer(app, name="destination")

Place = Annotated[str, typer.Argument(help="A country, like GB, or a number's first digits, like +4420.")]
Business = Annotated[
    str | None, typer.Option(help="The business: its name or id in `outbound business list`; by default all.")
]
Reason = Annotated[str, typer.Option(help="Why; refusals repeat it.")]

KINDS = {
    "ordinary": "ordinary numbers",
    "premium": "premium-rate numbers",
    "shared_cost": "shared-cost numbers",
    "personal": "personal numbers",
    "test": "personal numbers",
    "pager": "pagers",
    "voicemail": "voicemail services",
    "uan": "company-wide numbers (UAN)",
    "satellite": "satellite and international networks",
    "unknown": "numbers that no known plan has",
    "never": "numbers that are never dialed",
}


@app.command("allow")
def allow(place: Place, business: Business = None, reason: Reason = "", by: By = None, as_json: AsJson = False) -> None:
    """Let calls go there.  Premium-rate, satellite and the like are opened by their own range alone, like +1900."""
    from outbound import names
    from outbound.rules import destination

    with ready():
        business_id = names.maybe("business", business)
        changed = destination.allow(place, business_id=business_id, reason=reason, actor=by)
    line = f"{KINDS[changed.kind]} of {changed.place} are allowed for {_whom(business_id)}{_was(changed.was, now=True)}"
    tell_done(changed._asdict() | {"allowed": True, "business_id": business_id}, line, as_json=as_json)


@app.command("deny")
def deny(place: Place, business: Business = None, reason: Reason = "", by: By = None, as_json: AsJson = False) -> None:
    """Let no calls go there from now on; those that wait end when they are due."""
    from outbound import names
    from outbound.rules import destination

    with ready():
        business_id = names.maybe("business", business)
        changed = destination.deny(place, business_id=business_id, reason=reason, actor=by)
    line = f"{changed.place} is closed for {_whom(business_id)}{_was(changed.was, now=False)}"
    tell_done(changed._asdict() | {"allowed": False, "business_id": business_id}, line, as_json=as_json)


@app.command("remove")
def remove(place: Place, business: Business = None, by: By = None, as_json: AsJson = False) -> None:
    """Take an entry away: the one of exactly this place and business.  Exit status 1 where there is none."""
    from outbound import names
    from outbound.rules import destination

    with ready():
        business_id = names.maybe("business", business)
        removed = destination.remove(place, business_id=business_id, actor=by)
    line = "removed" if removed else "nothing changed: there is no such entry, see `outbound destination list`"
    tell_done({"removed": removed}, line, as_json=as_json)
    if not removed:
        raise typer.Exit(1)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show the entries; without one, a business may call its own country alone (in the simulator, all countries)."""
    from outbound.rules import destination

    with ready():
        rows = destination.every()
    if as_json:
        tell_json([row._asdict() for row in rows])
        return
    table = Table("for", "destination", "allowed", "numbers", "reason")
    for row in rows:
        whom = "everybody" if row.business_id is None else f"business {row.business_id}: {row.business}"
        table.add_row(whom, row.place, "yes" if row.allowed else "no", KINDS.get(row.kind, row.kind), row.reason)
    if rows:
        out.print(table)
    else:
        tell("no entries: each business may call its own country alone (in the simulator, all countries)")


@app.command("check")
def check(
    phone: Annotated[
        str, typer.Argument(help="The number, in any writing; without a country code, of the business's region.")
    ],
    business: Annotated[
        str, typer.Option(help="The business that would call: its name or id in `outbound business list`.")
    ],
    as_json: AsJson = False,
) -> None:
    """Say what a number is, and whether a business may call it.  Exit status 1 where it may not."""
    from outbound import names
    from outbound.rules import destination

    with ready():
        verdict = destination.check(phone, names.find("business", business))
    if as_json:
        tell_json(verdict._asdict())
    else:
        where = f" in {verdict.region}" if verdict.region else ""
        tell(f"{verdict.kind.replace('_', ' ')}{where}: {verdict.sentence or 'it may be called'}")
    if verdict.fault:
        raise typer.Exit(1)


def _whom(business: int | None) -> str:
    return "everybody" if business is None else f"business {business}"


def _was(was: bool | None, *, now: bool) -> str:
    if was is None:
        return ""
    return ", as before" if was is now else (", and were not before" if now else ", and was not before")
