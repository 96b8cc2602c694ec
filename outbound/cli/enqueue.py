"""`outbound enqueue` and `outbound import`: calls are put in the queue, one by one or by the file."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from outbound import os_user
from outbound.cli.common import AsJson, By, MaybeBusiness, MaybeCampaign, ToColumn, importing, ready, tell_import
from outbound.printing import say, tell_done

commands = typer.Typer()


@commands.command()
def enqueue(
    to: Annotated[str, typer.Option(help="The number to call.")],
    business: MaybeBusiness = None,
    campaign: MaybeCampaign = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="The number that calls; the campaign's choice, the business's first.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="Not before this moment, with its time, like 2026-11-30T09:00: by the callee's clocks where those are"
            " known, else the business's."
        ),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Your name for this call: one key never makes two calls.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="The callee's, like Asia/Jerusalem.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put one call in the queue."""
    from outbound import names
    from outbound.calls import enqueue as step
    from outbound.monitoring.why import why_new

    with ready():
        whose = names.whose(business, campaign)
        call = step.enqueue(**whose, to_number=to, from_number=from_, due_at=at, key=key, time_zone=time_zone)
        waits = why_new(call.call_id)
    state = "queued" if call.created else f"was there already, {call.status}"
    if call.note:
        say(call.note)
    tell_done(asdict(call), f"call {call.call_id} {state}", as_json=as_json)
    say(*([f"at: {call.due}"] if call.due else []), *waits)


@commands.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV or .xlsx, or - for standard input; a line names the columns: to (or phone_number, mobile,"
            " טלפון …), from, at, key, business, time_zone, and what is known of the callee."
        ),
    ],
    business: MaybeBusiness = None,
    campaign: MaybeCampaign = None,
    batch: Annotated[
        str | None,
        typer.Option(help="Name of this set of calls, in its campaign or business; by default the file's."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Take numbers that were called lately, too.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Take a file that is probably not what is meant.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would come of it.")] = False,
    to_column: ToColumn = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """
    Put a file of calls in the queue.  Exit status 1 where lines were refused.

    Correct the refused lines and import the file again: whom this batch has reached is not called by it again, whatever
    was changed in the line, and neither is a call that was canceled; `--batch NEW` calls them again.  A number
    that the business called lately (`outbound business set ID --look-back-hours`, 24) is held out and listed; `--again`
    takes it.

    The number's column may be called as VICIdial, HubSpot, Salesforce, Google Contacts, Outlook, ElevenLabs, Vapi,
    Bolna and Hebrew spreadsheets call it; of several, each row's first number counts, mobiles before others.  A title
    above the columns' names is stepped over.  `at` needs a time (2026-11-30T09:00, or 30/11/2026 09:00 with day and
    month in the order of the business's region): a date alone is refused.
    """
    from outbound import names
    from outbound.calls.import_calls import import_calls
    from outbound.monitoring import situation

    with ready(), importing(file) as progress:
        whose = names.whose(business, campaign)
        report = import_calls(
            file,
            business_id=whose["business_id"],
            campaign_id=whose["campaign_id"],
            batch=batch,
            again=again,
            anyway=anyway,
            dry_run=dry_run,
            to_column=to_column,
            progress=progress,
            actor=by or os_user.name(),
        )
        waits = [] if dry_run else situation.after_queueing(whose["business_id"], whose["campaign_id"])
    if not as_json:
        say(*report.outcome())
    try:
        tell_import(report, report.summary(), as_json=as_json)
    finally:  # also where refused lines end it
        say(*waits)
