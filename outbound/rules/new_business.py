"""A new business as an operator adds it: by its place's clocks, and with its place's calling hours."""

from collections.abc import Sequence
from typing import NamedTuple

from outbound import db
from outbound.formats import numbering_plan, phone_numbers, time_zones
from outbound.rules import business, calling_window


class Added(NamedTuple):
    """The new business's id, and the calling hours that it keeps to: a row of `window.of_region`, or None."""

    id: int
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
    time_zone: str,
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
        account: as of `business.add`.
        any_hour: it keeps to none.

    Raises BadBusiness as `business.add` does.
    """

    def write(connection: db.Connection) -> Added:
        added = business.add(
            name,
            time_zone=time_zone,
            default_region=default_region,
            voice_url=voice_url,
            twiml=twiml,
            phones=phones,
            account=account,
            own=connection,
        )
        region = place(default_region, phones, time_zone)
        found = None if any_hour else calling_window.of_region(region, actor=actor, own=connection)
        if found is not None:
            calling_window.assign("business", added, found.id, actor=actor, own=connection)
        return Added(added, found)

    return db.transact(write)
