"""What `outbound business add` asks and says beside its options: the new business's time zone and calling hours."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from outbound.errors import UserError
from outbound.formats import time_zones
from outbound.printing import err, say

if TYPE_CHECKING:
    from outbound.rules.new_business import Added

UTC = "UTC"


def time_zone_of(region: str | None, phones: Sequence[str]) -> tuple[str, str]:
    """
    The zone of a business that was given none: its place's where that has one, else the one that somebody chooses; and
    why it is UTC, to be said once the business is there.

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
        if answer.isdecimal() and 1 <= int(answer) <= len(choices):
            return choices[int(answer) - 1]
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
