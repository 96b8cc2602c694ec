"""`outbound suppress`, `outbound consent` and `outbound registry`: each command is one call to one step."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outbound import os_user
from outbound.cli.calls import HIDDEN, AsCsv, Limit, limit_of, one_form
from outbound.cli.common import AsJson, By, Number, Region, ToColumn, importing, ready, tell_import
from outbound.errors import UserError
from outbound.formats import moments
from outbound.printing import Table, out, say, tell, tell_done, tell_json

if TYPE_CHECKING:
    from outbound.formats.file_report import ImportReport

CSV_ENTRY = ("id", "phone", "business_id", "business", "campaign_id", "campaign", "created_at", "reason")

suppress = typer.Typer(name="suppress", no_args_is_help=True, help="The do-not-call list.")
consent = typer.Typer(name="consent", no_args_is_help=True, help="Records of who agreed to be called.")
registry = typer.Typer(name="registry", no_args_is_help=True, help="Results of do-not-call registry checks.")
commands = typer.Typer()
for group in (suppress, consent, registry):
    commands.add_typer(group)

File = Annotated[Path, typer.Argument(help="CSV; a line names the columns.")]
Everybody = Annotated[bool, typer.Option("--everybody", help="No business may call it.")]
Business = Annotated[
    str | None, typer.Option(help="This business may not call it: its name or id in `outbound business list`.")
]
Campaign = Annotated[
    str | None, typer.Option(help="This campaign may not call it: its name or id in `outbound campaign list`.")
]
Whose = Annotated[
    str, typer.Option("--business", help="Whose calls it allows: its name or id in `outbound business list`.")
]
Given = Annotated[str | None, typer.Option(help="When it was given, like 2026-11-30.")]


@suppress.command("add")
def suppress_add(
    phone: Number,
    everybody: Everybody = False,
    business: Business = None,
    campaign: Campaign = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the entry.")] = "",
    region: Region = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """
    Let nobody call a number from now on, and end its calls that wait.

    Name for whom: --everybody, --business or --campaign.
    """
    from outbound import names
    from outbound.rules import suppression

    _say_for_whom(everybody, business, campaign)
    with ready():
        whose = names.whose(business, campaign)
        done = suppression.suppress(phone, actor=os_user.named(by), **whose, reason=reason, region=region)
    state = "added" if done.created else "there already"
    narrower = [f"{what} {whose[f'{what}_id']}" for what in ("campaign", "business") if whose[f"{what}_id"] is not None]
    line = (
        f"{done.phone} is on the do-not-call list of {(narrower or ['everybody'])[0]}: {state},"
        f" {done.canceled} waiting calls canceled"
    )
    tell_done(asdict(done), line, as_json=as_json)


@suppress.command("remove")
def suppress_remove(
    phone: Number,
    everybody: Everybody = False,
    business: Business = None,
    campaign: Campaign = None,
    region: Region = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """
    Take an entry off the list: the one of exactly this scope.  Exit status 1 where there is none.

    Name for whom: --everybody, --business or --campaign.
    """
    from outbound import names
    from outbound.rules import suppression

    _say_for_whom(everybody, business, campaign)
    with ready():
        removed = suppression.unsuppress(
            phone, actor=os_user.named(by), **names.whose(business, campaign), region=region
        )
    line = "removed" if removed else "nothing changed: there is no such entry, see `outbound suppress check`"
    tell_done({"removed": removed}, line, as_json=as_json)
    if not removed:
        raise typer.Exit(1)


@suppress.command("check")
def suppress_check(
    phone: Number,
    business: Annotated[
        str | None, typer.Option(help="Only what holds for this business: its name or id in `outbound business list`.")
    ] = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Show all that is known of a number: do-not-call entries, consents, registry checks."""
    from outbound import names
    from outbound.rules import suppression

    with ready():
        business_id = names.maybe("business", business)
        rows = suppression.known_of(phone, business_id=business_id, region=region)
        zone = suppression.zone_of(phone, business_id=business_id, region=region)
    if as_json:
        tell_json([row._asdict() for row in rows])
        return
    table = Table("", "business", "campaign", "since", "until", "reason or source")
    for row in rows:
        shown = (moments.shown(one, zone) if isinstance(one, datetime) else one for one in row[1:])
        table.add_row(row.fact.replace("_", " "), *shown)
    out.print(table if rows else "nothing is known of it")


@suppress.command("list")
def suppress_list(
    everybody: Annotated[bool, typer.Option("--everybody", help="Only what holds for everybody.")] = False,
    business: Annotated[
        str | None, typer.Option(help="Only this business's own entries: its name or id in `outbound business list`.")
    ] = None,
    campaign: Annotated[
        str | None, typer.Option(help="Only this campaign's own entries: its name or id in `outbound campaign list`.")
    ] = None,
    limit: Limit = None,
    before: Annotated[int, typer.Option(min=0, help="Go on before this entry: what the page before ended with.")] = 0,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the do-not-call entries, the newest first."""
    from outbound import names
    from outbound.formats.spreadsheet import Writer
    from outbound.rules import suppression

    one_form(as_json, as_csv)
    if everybody and (business is not None or campaign is not None):
        raise UserError("give --everybody, or --business or --campaign")
    with ready():
        scope = names.whose(business, campaign)
        rows, last = suppression.entries(
            **scope, everybody=everybody, limit=limit_of(limit, as_csv=as_csv), before=before
        )
    if as_json:
        tell_json({"entries": rows, "next": last})
        return
    if as_csv:
        writer = Writer(CSV_ENTRY)
        for row in rows:
            writer.write(row)
    elif rows:
        table = Table("id", "number", "for", "since", "reason")
        for row in rows:
            table.add_row(
                row["id"], row.get("phone", HIDDEN), _whom(row), f"{row['created_at']:%Y-%m-%d}", row.get("reason")
            )
        out.print(table)
    else:
        tell("there is no such entry")
    if last is not None:
        say(f"more: --before {last}")


def _whom(row: dict[str, Any]) -> str:
    if row["campaign_id"] is not None:
        return f"campaign {row['campaign_id']} {row['campaign']}"
    return "everybody" if row["business_id"] is None else f"business {row['business_id']} {row['business']}"


@suppress.command("import")
def suppress_import(
    file: File,
    everybody: Everybody = False,
    business: Business = None,
    campaign: Campaign = None,
    reason: Annotated[str | None, typer.Option(help="Of lines without one; by default the file's name.")] = None,
    region: Region = None,
    to_column: ToColumn = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Put a file of numbers on the list: phone, reason.  A second time adds nothing; exit status 1 if some are bad."""
    from outbound import names
    from outbound.rules import suppression

    _say_for_whom(everybody, business, campaign)
    _import(
        file,
        as_json,
        lambda progress: suppression.import_suppressions(
            file,
            actor=os_user.named(by),
            **names.whose(business, campaign),
            reason=reason,
            region=region,
            to_column=to_column,
            progress=progress,
        ),
    )


@consent.command("give")
def consent_give(
    phone: Number,
    business: Whose,
    given_at: Given = None,
    expires_at: Annotated[str | None, typer.Option(help="From when it no longer counts, like 2027-11-30.")] = None,
    source: Annotated[str, typer.Option(help="How it can be proved: a form, a recording.")] = "",
    region: Region = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Write down a consent."""
    from outbound import names
    from outbound.rules import consent

    with ready():
        new = consent.give_consent(
            phone,
            actor=os_user.named(by),
            business_id=names.find("business", business),
            given_at=given_at,
            expires_at=expires_at,
            source=source,
            region=region,
            tell=say,
        )
    line = "written" if new else "nothing changed: a newer consent or revocation is on record"
    tell_done({"written": new}, line, as_json=as_json)


@consent.command("revoke")
def consent_revoke(
    phone: Number, business: Whose, region: Region = None, by: By = None, as_json: AsJson = False
) -> None:
    """Write down that somebody does not agree, or no longer."""
    from outbound import names
    from outbound.rules import consent

    with ready():
        new = consent.revoke_consent(
            phone, actor=os_user.named(by), business_id=names.find("business", business), region=region
        )
    line = "revoked" if new else "nothing changed: it was revoked already"
    tell_done({"revoked": new}, line, as_json=as_json)


@consent.command("import")
def consent_import(
    file: File,
    business: Whose,
    given_at: Given = None,
    region: Region = None,
    to_column: ToColumn = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Write down a file of consents: phone, given_at, expires_at, source.  Exit status 1 where lines were refused."""
    from outbound import names
    from outbound.rules import consent

    _import(
        file,
        as_json,
        lambda progress: consent.import_consents(
            file,
            actor=os_user.named(by),
            business_id=names.find("business", business),
            given_at=given_at,
            region=region,
            to_column=to_column,
            progress=progress,
            tell=say,
        ),
    )


@registry.command("import")
def registry_import(
    file: File,
    checked_at: Annotated[str, typer.Option(help="When the registry was asked, like 2026-11-30T09:00+02:00.")],
    region: Region = None,
    to_column: ToColumn = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Write down a registry's answers: phone, listed (yes or no).  Exit status 1 where lines were refused."""
    from outbound.rules import registry

    _import(
        file,
        as_json,
        lambda progress: registry.import_registry(
            file,
            actor=os_user.named(by),
            checked_at=checked_at,
            region=region,
            to_column=to_column,
            progress=progress,
            tell=say,
        ),
    )


def _say_for_whom(everybody: bool, business: str | None, campaign: str | None) -> None:
    """An option that was forgotten must not keep the neighbours from calling, or let them call again."""
    narrower = [f"--{name}" for name, given in (("business", business), ("campaign", campaign)) if given is not None]
    if everybody and narrower:
        raise UserError(f"--everybody means every business: leave out {' and '.join(narrower)}, or --everybody")
    if not (everybody or narrower):
        raise UserError("say for whom: --everybody, or --business, or --campaign")


def _import(file: Path, as_json: bool, work: Callable[[Callable[[int], None]], "ImportReport"]) -> None:
    with ready(), importing(file) as progress:
        report = work(progress)
    if report.rejected:
        say(
            f"{report.rejected} lines could not be read, and nothing is written down for them, neither a yes nor a no:"
            " mend them and import the file again"
        )
    summary = f"{report.created} new, {report.already_there} there already, {report.rejected} refused"
    tell_import(report, summary, as_json=as_json)
