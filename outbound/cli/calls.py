"""`outbound calls`, `outbound call` and `outbound leads`: calls are found, looked at, made again and moved."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column

from outbound.cli.common import AsJson, By, MaybeBusiness, MaybeCampaign, Region, ready
from outbound.errors import UserError
from outbound.formats import moments
from outbound.printing import Table, out, say, tell, tell_json

if TYPE_CHECKING:
    from outbound.calls.call_search import Page
    from outbound.calls.call_timeline import Timeline

call_app = typer.Typer(no_args_is_help=True, help="One call: what became of it; make it again, or at another time.")

Number = Annotated[str | None, typer.Option(help="The number that was called, or that called us, in any form.")]
Status = Annotated[
    list[str] | None,
    typer.Option(help="Like failed or busy,no-answer; or waiting, in-the-air, live, ended. May be repeated."),
]
Batch = Annotated[str | None, typer.Option(help="An import: its file's name, or what --batch called it.")]
Since = Annotated[
    str | None, typer.Option(help="Ended, dialed or due from this moment on, like 2026-11-30 or 2026-11-30T09:00.")
]
Until = Annotated[str | None, typer.Option(help="And before this one.")]
AnsweredBy = Annotated[str | None, typer.Option(help="The result of machine detection, like human or machine_start.")]
ErrorCode = Annotated[str | None, typer.Option("--error", help="The error's code, like 21211 or no_call_sid.")]
Limit = Annotated[
    int | None, typer.Option(help="How many at most, the newest ones; else 20, and in CSV all, up to 1000000.")
]
Before = Annotated[str | None, typer.Option(help="Go on behind a page: what it ended with.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV for a spreadsheet; no cell of it is run as a formula.")]
Which = Annotated[str, typer.Argument(metavar="CALL", help="Its id, its CA…, its key, or a number in any writing.")]
Why = Annotated[str | None, typer.Option(help="Why; the audit keeps it.")]

HIDDEN = "hidden"  # what the database role may not see
CSV_CALL = (
    *(
        "id",
        "business_id",
        "business",
        "campaign_id",
        "campaign",
        "batch",
        "direction",
        "number",
        "from_number",
        "to_number",
    ),
    *("status", "created_at", "due_at", "dialed_at", "answered_at", "ended_at", "duration_s", "answered_by"),
    *("error_code", "error_message", "attempt", "retry_of", "call_sid", "key", "lead_id", "created_by", "stopped_by"),
    "stop_reason",
)
CSV_LEAD = (*("id", "business_id", "business", "phone", "created_at", "updated_at", "calls", "call_id", "call_status"),)


def calls(
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
    limit: Limit = None,
    before: Before = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Find calls, the newest first: by when they ended, were dialed, or are due."""
    from outbound.calls import call_search as step

    one_form(as_json, as_csv)
    with ready():
        asked = step.Asked(
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
        place = step.place_of(before)
        page = step.find(step.read(asked, tell=say), limit=limit_of(limit, as_csv=as_csv), before=place)
    if as_json:
        tell_json({"calls": page.calls, "next": page.next and str(page.next), "is_cut": page.is_cut})
    elif as_csv:
        _write_csv(CSV_CALL, page)
    else:
        show_calls(page.calls)
        _say_what_follows(page, "calls")


def show_calls(rows: list[dict[str, Any]]) -> None:
    """A table of calls that fits into 80 columns."""
    if not rows:
        tell("no call was found: `outbound import` and `outbound enqueue` put calls in the queue")
        return
    table = Table(
        Column("id", no_wrap=True),
        Column("when", no_wrap=True),
        Column("number", no_wrap=True),
        Column("status", no_wrap=True),
        "what",
        "campaign",
    )
    for row in rows:
        campaign = row["campaign"] or f"({row['business']})"
        table.add_row(
            row["id"],
            moments.short(row["at"], row["time_zone"]),
            row.get("number", HIDDEN),
            row["status"],
            _what(row),
            campaign,
        )
    out.print(table)
    tell(f"when: ended, dialed or due; {_whose_clocks(rows)}")


def _what(row: dict[str, Any]) -> str:
    """Return what is worth to know of a call beside its status, in few words."""
    parts = []
    if row["direction"] == "inbound":
        parts.append("came in")
    if row["status"] == "queued":
        parts.append("paused" if row["paused_at"] else (row["held_by"] or "").replace("_", " "))
    if row["error_code"]:
        parts.append(str(row["error_code"]))
    if row["answered_by"]:
        parts.append(str(row["answered_by"]))
    if row["status"] == "completed" and row["duration_s"] is not None:
        parts.append(f"{row['duration_s']} s")
    if row["attempt"] > 1:
        parts.append(f"attempt {row['attempt']}")
    if row.get("stopped_by"):
        parts.append(f"by {row['stopped_by']}")
    return ", ".join(filter(None, parts))


@call_app.command("show")
def show(which: Which, region: Region = None, as_json: AsJson = False) -> None:
    """Show what became of a call, from its enqueue to its lead, by the callee's clocks."""
    from outbound import names
    from outbound.call import WAITING
    from outbound.calls import call_timeline

    with ready():
        call_id = names.call(which, region=region)
        timeline = call_timeline.of(call_id)
        reason = None
        if timeline.call["status"] in WAITING and names.sees_numbers():
            from outbound.monitoring import why

            reason = why.why(call_id).sentence
    if as_json:
        tell_json(asdict(timeline) | {"why": reason})
    else:
        _show(timeline, reason)


def _show(timeline: "Timeline", reason: str | None) -> None:
    call = timeline.call
    to_or_from = "from" if call["direction"] == "inbound" else "to"
    tell(f"call {call['id']} {to_or_from} {call.get('number', HIDDEN)}: {call['status']}")
    whose = f"campaign {call['campaign_id']} {call['campaign']} of " if call["campaign_id"] else ""
    tell(f"{whose}business {call['business_id']} {call['business']}")
    named = [call["call_sid"] or "no call_sid"]
    known = (("key", "key"), ("batch", "batch"), ("carrier_account", "account"))
    named += [f"{what} {call[name]}" for name, what in known if call.get(name)]
    tell(", ".join(named), f"times are by {timeline.zone_is} clocks, {timeline.zone}", "")
    table = Table(Column("when", no_wrap=True), "what", "by", "why", show_edge=False)
    for entry in timeline.entries:
        table.add_row(moments.short(entry.at, timeline.zone, seconds=True), entry.what, entry.by, entry.why)
    out.print(table)
    tell("")
    if timeline.ending:
        was_connected = call["dialed_at"] is not None and (call["hang_up"] or call["status"] == "completed")
        tell(f"{'who hung up' if was_connected else 'how it ended'}: {timeline.ending.sentence}")
    if reason:
        tell(f"why it is not dialed now: {reason}")
    if len(timeline.attempts) > 1:
        attempts = ", ".join(f"{one['id']} {one['status']}" for one in timeline.attempts)
        tell(f"attempts: {attempts}")
    if timeline.again_id:
        tell(f"made again as call {timeline.again_id}")
    if timeline.again_for_id:
        tell(f"made in place of call {timeline.again_for_id}")
    tell(f"lead: {call['lead_id'] or 'none'}")


@call_app.command("retry")
def retry(
    which: Which,
    at: Annotated[str | None, typer.Option(help="Not before this moment, like 2026-11-30T09:00.")] = None,
    region: Region = None,
    reason: Why = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """
    Make a call that has ended once more: a new call, within all rules; asked twice, it is one.

    Exit status 1 where another call is live to the same number, and none was added.
    """
    from outbound import names
    from outbound.calls import call_again
    from outbound.monitoring.why import why_new

    with ready():
        call_id = names.call(which, region=region)
        again = call_again.retry(call_id, at=at, reason=reason, actor=by)
        waits = why_new(again.call_id) if again.created else []
    if as_json:
        tell_json({"retry_of": call_id} | asdict(again))
    elif again.created:
        due = f"; due {again.due}" if again.due else ""
        tell(f"call {again.call_id} queued, in place of call {call_id}, which ended {again.was}{due}")
        if again.may_have_rung:
            say(f"nobody knows whether call {call_id} rang: the carrier has not reported it")
    elif again.is_retry:
        tell(f"nothing changed: call {again.call_id} was made in place of call {call_id} already, {again.status}")
    else:
        tell(f"nothing changed: call {again.call_id} to the same number is live, {again.status}")
    say(*waits, *([again.note] if again.note else []))
    if not again.created and not again.is_retry:
        raise typer.Exit(1)


@call_app.command("reschedule")
def reschedule(
    which: Which,
    at: Annotated[str, typer.Option(help="From when on it may be dialed, like 2026-11-30T09:00, or now.")],
    region: Region = None,
    reason: Why = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Have a call that waits dialed from another moment on; one that is being dialed is not moved."""
    from outbound import names
    from outbound.calls import call_again

    with ready():
        call_id = names.call(which, region=region)
        moved = call_again.reschedule(call_id, at, reason=reason, actor=by)
    if as_json:
        tell_json({"call_id": call_id} | asdict(moved))
        return
    if moved.note:
        say(moved.note)
    due = moments.shown(moved.at, moved.zone)
    was = moments.shown(moved.was, moved.zone)
    tell(f"call {call_id} is due {due} ({moved.zone_is} clocks), was due {was}")
    if moved.is_paused:
        tell(f"it is paused: `outbound resume call {call_id}` resumes it")


def leads(
    business: MaybeBusiness = None,
    number: Number = None,
    since: Annotated[str | None, typer.Option(help="Contacted from this moment on, like 2026-11-30.")] = None,
    until: Until = None,
    region: Region = None,
    limit: Limit = None,
    before: Before = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List leads, the latest contact first."""
    from outbound.calls import call_search as step
    from outbound.calls import lead_list

    one_form(as_json, as_csv)
    with ready():
        asked = step.Asked(number=number, region=region, business=business, since=since, until=until)
        place = step.place_of(before)
        page = lead_list.find(step.read(asked, tell=say), limit=limit_of(limit, as_csv=as_csv), before=place)
    if as_json:
        tell_json({"leads": page.calls, "next": page.next and str(page.next)})
        return
    if as_csv:
        _write_csv(CSV_LEAD, page)
        return
    if not page.calls:
        tell("there is no such lead")
        return
    table = Table(
        Column("id", no_wrap=True), Column("last contact", no_wrap=True), "number", "business", "calls", "last call"
    )
    for row in page.calls:
        last = f"{row['call_id']} {row['call_status']}" if row["call_id"] else ""
        many = "1000 or more" if row["calls"] == 1000 else row["calls"]
        phone = row.get("phone", HIDDEN)
        table.add_row(row["id"], moments.short(row["at"], row["time_zone"]), phone, row["business"], many, last)
    out.print(table)
    tell(_whose_clocks(page.calls))
    _say_what_follows(page, "leads")


def one_form(as_json: bool, as_csv: bool) -> None:
    """Refuse two forms at once."""
    if as_json and as_csv:
        raise UserError("give --json or --csv, one of them")


def limit_of(given: int | None, *, as_csv: bool) -> int:
    """Return how many rows a list has: a page for people, and for a spreadsheet as many as one command gives."""
    from outbound.calls.call_search import LIMIT_MAX

    return given if given is not None else LIMIT_MAX if as_csv else 20


def _write_csv(columns: tuple[str, ...], page: "Page") -> None:
    from outbound.formats.spreadsheet import Writer

    writer = Writer(columns)
    for row in page.calls:
        writer.write(row)
    if page.next is not None:
        say(f"there may be more: --before {page.next}")


def _say_what_follows(page: "Page", what: str) -> None:
    if page.next is None:
        return
    if page.is_cut:
        tell(f"the search stopped there; more {what} may be further back: --before {page.next}")
    else:
        tell(f"more {what}: --before {page.next}")


def _whose_clocks(rows: list[dict[str, Any]]) -> str:
    zones = sorted({row["time_zone"] for row in rows})
    return f"times in {zones[0]}" if len(zones) == 1 else "times by each business's clocks"


commands = typer.Typer()
for command in (calls, leads):
    commands.command()(command)
commands.add_typer(call_app, name="call")
