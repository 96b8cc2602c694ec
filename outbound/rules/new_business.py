"""A new business as an operator adds it: by its place's clocks, and with its place's calling hours."""

from collections.abc import Sequence
from typing import NamedTuple

from outbound import db
from outbound.errors import Fault
from outbound.formats import numbering_plan, phone_numbers, time_zones
from outbound.rules import business, calling_window


class Added(NamedTuple):
    """The new business's id and zone, and the calling hours that it keeps to: a row of `window.of_region`, or None."""

    id: int
    time_zone: str
    hours: db.Row | None


def place(region: str | None, phones: Sequence[str], time_zone: str | None = None) -> str | None:
    """The two letters of a business's country: its region, else its own numbers', else its zone's; or None."""
    if region:
        return region.upper()
    for phone in phones:
        try:
            found = numbering_plan.region_of(phone_numbers.read(phone, None))
        except phone_numbers.NoPhoneNumber:  # add says what is wrong with it
            continue
        if found is not None:
            return found
    try:
        return time_zones.country(time_zones.present(time_zone)) if time_zone else None
    except time_zones.BadTimeZone:
        return None


def add(
    name: str,
    *,
    actor: str,
    time_zone: str | None,
    default_region: str | None = None,
    voice_url: str | None = None,
    twiml: str | None = None,
    phones: Sequence[str] = (),
    account: str | None = None,
    any_hour: bool = False,
) -> Added:
    """
    Add a business that keeps to the calling hours of its place, where a preset knows them.

    Args:
        time_zone: None for its place's, where that has one.
        account: as of `business.add`.
        any_hour: it keeps to none.

    Raises BadBusiness as `business.add` does, and where it has no time zone.
    """
    faults: list[Fault] = []
    zone = time_zone or _only_zone(place(default_region, phones), faults)

    def write(connection: db.Connection) -> Added:
        added = business.add(
            name,
            time_zone=zone,
            default_region=default_region,
            voice_url=voice_url,
            twiml=twiml,
            phones=phones,
            account=account,
            faults=faults,
            own=connection,
        )
        region = place(default_region, phones, zone)
        found = None if any_hour else calling_window.of_region(region, actor=actor, own=connection)
        if found is not None:
            calling_window.assign("business", added, found.id, actor=actor, own=connection)
        return Added(added, zone, found)

    return db.transact(write)


def _only_zone(region: str | None, faults: list[Fault]) -> str:
    """The zone of a country that has one; of others UTC, and a fault says so."""
    choices = time_zones.choices(region or "")
    if len(choices) == 1:
        return choices[0]
    if choices:
        fault = f"`time_zone` is missing, and {region} has several, like {choices[0]}: give one of them"
    else:
        fault = "`time_zone` is missing, and neither a region nor a number of its own says it: give one of them"
    faults.append(Fault("time_zone", fault))
    return "UTC"
