"""`outbound window`: when callees may be called, and whose calls keep to it."""

from typing import Annotated, Literal

import typer

from outbound import os_user
from outbound.cli.common import AsJson, By, ready
from outbound.errors import UserError
from outbound.formats import moments
from outbound.printing import Table, out, say, tell, tell_added, tell_done, tell_json

app = typer.Typer(no_args_is_help=True, help="When callees may be called, by the clocks at their place.")
commands = typer.Typer()
commands.add_typer(app, name="window")

WindowId = Annotated[str, typer.Argument(metavar="WINDOW", help="Its name or id in `outbound window list`.")]


@app.command("add")
def add(
    name: Annotated[str, typer.Option(help="What people call it.")],
    hours: Annotated[str, typer.Option(help="Each weekday's, like `sun-thu 09:00-20:00, fri 09:00-13:00`.")],
    day_off: Annotated[list[str] | None, typer.Option(help="A date, like 2026-12-25; may be repeated.")] = None,
    half_day: Annotated[
        list[str] | None, typer.Option(help="A date and its hours, like `2026-12-24 09:00-13:00`; may be repeated.")
    ] = None,
    known_until: Annotated[str | None, typer.Option(help="The last day it is good for; closed afterwards.")] = None,
    note: Annotated[str, typer.Option(help="Where the hours come from.")] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Add calling hours of one's own and print their id."""
    from outbound.rules import calling_window

    with ready():
        added = calling_window.add(
            name,
            hours,
            actor=os_user.named(by),
            days_off=day_off or [],
            half_days=half_day or [],
            known_until=known_until,
            note=note,
        )
    tell_added("window", {"id": added, "name": name}, as_json=as_json)


@app.command("preset")
def preset(
    preset: Annotated[str, typer.Argument(help="us, uk or il.")],
    name: Annotated[str | None, typer.Option(help="By default the preset's.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Add common calling hours, with the days off of the next years, and print their id.  Policy, not legal advice."""
    from outbound.rules import calling_window

    with ready():
        added = calling_window.add_preset(preset, name=name, actor=os_user.named(by))
        row, _ = calling_window.one(added)
    tell_added("window", {"id": added, "name": row.name, "note": row.note}, as_json=as_json)
    say(row.note)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List calling hours and who keeps to them."""
    from outbound.rules import calling_window

    with ready():
        rows = calling_window.every()
    if as_json:
        tell_json([row._asdict() for row in rows])
        return
    table = Table("id", "name", "hours", "own days", "known until", "businesses", "campaigns")
    for row in rows:
        users = (" ".join(map(str, ids)) for ids in (row.businesses, row.campaigns))
        table.add_row(str(row.id), row.name, row.hours, str(row.days), str(row.known_until or ""), *users)
    out.print(table)


@app.command("show")
def show(
    window_id: WindowId,
    zone: Annotated[str | None, typer.Option(help="Say when it opens there, like Asia/Jerusalem.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show calling hours, their days off and half-days, and what they do not cover."""
    from outbound import names
    from outbound.rules import calling_window

    with ready():
        shown = names.find("window", window_id)
        row, days = calling_window.one(shown)
        opening = calling_window.opens_at(shown, zone) if zone else None
    if as_json:
        data = row._asdict() | {"days": [day._asdict() for day in days]} | ({"opens_at": opening} if zone else {})
        tell_json(data)
        return
    lines = [f"{row.name}: {row.hours}", *([row.note] if row.note else [])]
    lines += [f"{day.day:%a %Y-%m-%d} {day.hours} {day.note}".rstrip() for day in days]
    if row.known_until:
        lines.append(f"closed after {row.known_until}, unless `outbound window refresh` extends it")
    if zone:
        when = f"{opening:%Y-%m-%d %H:%M} ({moments.DAYS[opening.weekday()]})" if opening else "never, within 15 days"
        lines.append(f"next call in {zone}: {when}")
    tell(*lines)


@app.command("day")
def day(
    window_id: WindowId,
    date: Annotated[str, typer.Argument(help="Like 2026-12-25.")],
    hours: Annotated[str | None, typer.Option(help="Its own hours, like `09:00-13:00`, or `off`.")] = None,
    usual: Annotated[bool, typer.Option("--usual", help="Make it like its weekday again.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Close one day, give it hours of its own, or make it like its weekday again."""
    from outbound import names
    from outbound.rules import calling_window

    if usual == (hours is not None):
        raise UserError("give the day's --hours (`off`, or like `09:00-13:00`), or --usual: one of them")
    with ready():
        found = names.find("window", window_id)
        is_another = calling_window.set_day(found, date, hours, actor=os_user.named(by))
    is_so = (
        "is like its weekday"
        if hours is None
        else "is closed"
        if hours == calling_window.OFF
        else f"has the hours {hours}"
    )
    line = f"{date} {is_so} now" if is_another else f"nothing changed: {date} {is_so} already"
    tell_done({"window_id": found, "day": date, "hours": hours, "changed": is_another}, line, as_json=as_json)


@app.command("assign")
def assign(
    window: Annotated[str | None, typer.Option(help="The window's name or id in `outbound window list`.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Take its window away.")] = False,
    business: Annotated[
        str | None, typer.Option(help="All calls of this business: its name or id in `outbound business list`.")
    ] = None,
    campaign: Annotated[
        str | None, typer.Option(help="The calls of this campaign: its name or id in `outbound campaign list`.")
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Let the calls of a business or a campaign keep to calling hours; a campaign keeps to its business's as well."""
    from outbound import names
    from outbound.rules.calling_window import assign

    if none == (window is not None):
        raise UserError("give a --window, or --none to take it away: one of them")
    if (business is None) == (campaign is None):
        raise UserError("say whose calls: --business or --campaign, one of them")
    scope: Literal["business", "campaign"] = "campaign" if business is None else "business"
    given = business or campaign or ""
    with ready():
        window_id = names.maybe("window", window)
        key = names.find(scope, given)
        done = assign(scope, key, window_id, actor=os_user.named(by))
    keeps = "keeps to no window of its own" if window_id is None else f"keeps to window {window_id}"
    line = f"{scope} {key} {keeps} now; {done.waited} waiting calls will be checked again"
    if not done.is_another:
        line = f"nothing changed: {scope} {key} {keeps} already; {done.waited} waiting calls will be checked again"
    tell_done(
        {"scope": scope, "id": key, "window_id": window_id, "changed": done.is_another, "waited": done.waited},
        line,
        as_json=as_json,
    )


@app.command("refresh")
def refresh(by: By = None, as_json: AsJson = False) -> None:
    """Teach the windows of presets the days off of the next years; once a year, and after an upgrade."""
    from outbound.rules import calling_window

    with ready():
        learned = calling_window.refresh(actor=os_user.named(by))
    lines = [f"{row.name}: {row.days} days more" for row in learned]
    lines = lines or ["nothing changed: every window knows its days"]
    tell_done({"windows": [row._asdict() for row in learned]}, *lines, as_json=as_json)
