"""`outbound business`: the tenants; what `add` asks and says of the new one's time zone and calling hours."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from outbound import os_user
from outbound.cli.common import AsJson, By, ready
from outbound.errors import UserError
from outbound.formats import digits, moments, time_zones
from outbound.printing import Table, cell, err, out, say, tell_added, tell_changed, tell_json

if TYPE_CHECKING:
    from outbound.rules.new_business import Added

commands = typer.Typer()
business_app = typer.Typer(no_args_is_help=True, help="The tenants.")
commands.add_typer(business_app, name="business")

BusinessArgument = Annotated[str, typer.Argument(help="Its name or id in `outbound business list`.")]
Account = Annotated[
    str | None,
    typer.Option(
        help="SID of the Twilio account that its calls are dialed with, AC…; `default` is TWILIO_ACCOUNT_SID."
    ),
]

UTC = "UTC"


@business_app.command("add")
def business_add(
    name: Annotated[str, typer.Option(help="What people call it.")],
    voice_url: Annotated[str | None, typer.Option(help="Where the carrier asks what a call plays.")] = None,
    twiml: Annotated[str | None, typer.Option(help="What a call plays, as TwiML.")] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="IANA name, like Asia/Jerusalem; by default the region's, where that has one.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Country of numbers without a code, like IL.")] = None,
    number: Annotated[list[str] | None, typer.Option(help="A number of its own; may be repeated.")] = None,
    account: Account = None,
    any_hour: Annotated[
        bool, typer.Option("--any-hour", help="Call at any hour; else it keeps to its region's calling hours.")
    ] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """
    Add a business and print its id.

    What its calls play must be said: --twiml or --voice-url.
    """
    from outbound.rules import new_business

    zone, why = (time_zone, "") if time_zone else time_zone_of(region, number or [])
    with ready():
        added = new_business.add(
            name,
            actor=os_user.named(by),
            time_zone=zone,
            default_region=region,
            voice_url=voice_url,
            twiml=twiml,
            phones=number or [],
            account=account,
            any_hour=any_hour,
        )
    hours = None if added.hours is None else added.hours.name
    tell_added("business", {"id": added.id, "name": name, "time_zone": zone, "calling_hours": hours}, as_json=as_json)
    say_hours(added, zone, why, new_business.place(region, number or [], zone), any_hour=any_hour)
    _tell_of_account(account)


@business_app.command("set")
def business_set(
    business_id: BusinessArgument,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    voice_url: Annotated[str | None, typer.Option(help="Where the carrier asks what a call plays.")] = None,
    twiml: Annotated[str | None, typer.Option(help="What a call plays, as TwiML.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="IANA name, like Asia/Jerusalem.")] = None,
    region: Annotated[str | None, typer.Option(help="Country of numbers without a code, like IL.")] = None,
    number: Annotated[list[str] | None, typer.Option(help="One more number; may be repeated.")] = None,
    account: Account = None,
    look_back_hours: Annotated[
        int | None,
        typer.Option(min=0, max=168, help="An import holds out who was called since; 0 to 168, 24 at first."),
    ] = None,
    _by: By = None,
    as_json: AsJson = False,
) -> None:
    """Update a business; options that are not given stay as they are."""
    from outbound import names
    from outbound.rules import business

    with ready():
        found = names.find("business", business_id)
        changed = business.change(
            found,
            name=name,
            voice_url=voice_url,
            twiml=twiml,
            time_zone=time_zone,
            default_region=region,
            phones=number or [],
            account=account,
            look_back_hours=look_back_hours,
        )
    tell_changed("business", found, changed, as_json=as_json)
    _tell_of_account(account)


def _tell_of_account(account: str | None) -> None:
    from outbound.carrier import accounts
    from outbound.rules import business

    if account not in (None, business.DEFAULT_ACCOUNT) and accounts.credentials(account) is None:
        say(f"its calls wait until every worker's host has {account}.json in TWILIO_ACCOUNTS_DIR; this one has not")


@business_app.command("list")
def business_list(as_json: AsJson = False) -> None:
    """Show the businesses."""
    from outbound.rules import business

    with ready():
        rows = business.every()
    if as_json:
        tell_json([row._asdict() for row in rows])
        return
    has_accounts = any(row.carrier_account for row in rows)
    table = Table("id", "name", "time zone", "region", "own numbers", *["account"] * has_accounts, "plays")
    for row in rows:
        account = [row.carrier_account or ""] * has_accounts
        plays = row.voice_url or ("TwiML" if row.has_twiml else "nothing: it cannot call")
        table.add_row(
            str(row.id), row.name, row.time_zone, row.default_region or "", " ".join(row.phones), *account, plays
        )
    out.print(table)


@business_app.command("show")
def business_show(business: BusinessArgument, as_json: AsJson = False) -> None:
    """Show one business: its numbers, what it plays, what limits and holds it, and its campaigns."""
    from outbound import names
    from outbound.rules import business as step

    with ready():
        shown = step.show(names.find("business", business))
    if as_json:
        tell_json(shown)
        return
    table = Table("", "", show_header=False)
    for name, value in shown.items():
        if value not in (None, [], {}):
            table.add_row(name.removesuffix("_name").replace("_", " "), _shown_value(value, shown["time_zone"]))
    out.print(table)


def _shown_value(value: object, zone: str) -> Text:
    """A list as a line each, counts beside their names, a moment by the business's clocks."""
    if isinstance(value, datetime):
        return cell(moments.shown(value, zone))
    if isinstance(value, dict):
        return cell("  ".join(f"{name} {count}" for name, count in value.items()))
    if isinstance(value, list):
        return cell(*(f"{one['id']} {one['name']}" if isinstance(one, dict) else one for one in value))
    return cell(value)


def time_zone_of(region: str | None, phones: Sequence[str]) -> tuple[str, str]:
    """
    The zone of a business that was given none: its place's where that has one, else the one that somebody chooses; and
    why it is UTC, to be printed once the business is there.

    Raises UserError where its region has several and nobody can be asked.
    """
    from outbound.rules import new_business

    place = new_business.place(region, phones)
    choices = time_zones.choices(place or "")
    if len(choices) == 1:
        return choices[0], ""
    if not choices:
        return UTC, ", as no --region and no --time-zone says another: moments without a zone are read in UTC"
    if err.is_terminal and sys.stdin.isatty():
        return _ask(place or "", choices), ""
    named = f"{', '.join(choices[:-1])} or {choices[-1]}"
    if region:
        raise UserError(f"{place} has several time zones: give --time-zone, like {named}")
    return UTC, f", as {place}, where its number is, has several: `outbound business set` takes {named}"


def _ask(place: str, choices: Sequence[str]) -> str:
    """The zone that a person at the terminal names, by its number or its name."""
    say(f"{place} has several time zones:", *(f"  {number}  {zone}" for number, zone in enumerate(choices, start=1)))
    while True:
        answer = typer.prompt("time zone of the business, its number or its name", err=True).strip()
        if (number := digits.whole(answer)) is not None and 1 <= number <= len(choices):
            return choices[number - 1]
        try:
            return time_zones.present(answer)
        except time_zones.BadTimeZone as fault:
            say(f"{answer} {fault}")


def say_hours(added: "Added", time_zone: str, why: str, place: str | None, *, any_hour: bool) -> None:
    """Tell by which clocks a new business lives, and when it calls."""
    say(f"time zone: {time_zone}{why}")
    if added.hours is not None:
        say(f"calling hours, by each callee's clocks: {added.hours.name}, {added.hours.hours}")
    elif any_hour:
        say("calling hours: any hour, as --any-hour says")
    else:
        known = f"none of {place} are known here" if place else "none, as no --region was given"
        say(
            f"calling hours: {known}, so that it calls at any hour: `outbound window add` and `outbound window assign"
            f" --business {added.id}` give it some"
        )
