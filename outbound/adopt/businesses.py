"""Take over the businesses: names, numbers, time zones, regions and calling hours."""

import zoneinfo
from collections.abc import Sequence

from outbound import db, os_user
from outbound.adopt import old_hours
from outbound.adopt.batches import Run, give_fates, sql
from outbound.formats import numbering_plan, phone_numbers, time_zones, weekly_hours
from outbound.rules import calling_window
from outbound.rules.calling_window_presets import PRESETS

_PRESETS = {"IL": "il", "GB": "uk", "US": "us"}
_CAUTIOUS = "mon-fri 10:00-17:00"  # where nothing says what is usual there
INACTIVE = "Inactive in the system before."


def adopt(run: Run, *, knows_activity: bool) -> None:
    """
    Take over the businesses that were not yet; what is in doubt is noted, one doubt to a line.

    Args:
        knows_activity: the old table says which businesses are active.
    """
    olds = {old.id: old for old in sql.list_businesses(run.connection, businesses=run.scope)}

    def move(ids: Sequence[int]) -> None:
        for old_id in ids:
            _adopt(run, olds[old_id], knows_activity=knows_activity)

    for old_id in olds:
        give_fates(run, "business", [old_id], move)
    with run.connection.transaction():
        sql.move_business_ids(run.connection)


def _adopt(run: Run, old: db.Row, *, knows_activity: bool) -> None:
    doubts: list[str] = []
    zone = _zone(old.time_zone, doubts)
    phone, region = _number(old.phone, zone, doubts)
    name = " ".join("".join(c if c.isprintable() else " " for c in old.name or "").split()) or f"business {old.id}"
    values = {"old_id": old.id, "name": name, "time_zone": zone or "UTC", "region": region, "phone": phone}
    made = sql.adopt_business(run.connection, **values)
    if made.zone_unknown:
        doubts.append("this server does not know its time zone: UTC counts")
    if made.number_taken:
        doubts.append("its number is another business's here: it has none")
    _give_window(run, made.id, old, region, doubts)
    if knows_activity and not old.is_active:
        sql.pause(run.connection, scope="business", key=str(made.id), reason=INACTIVE)
        doubt = "is not active there" if old.is_active is False else "may not be active there"
        doubts.append(f"it {doubt}: it is paused until `outbound resume business {made.id}`")
    note = "\n".join(doubts) or None
    sql.write_fate(
        run.connection, kind="business", old_id=old.id, new_id=made.id, business_id=made.id, fate="adopted", note=note
    )


def _zone(name: str | None, doubts: list[str]) -> str | None:
    if not (name or "").strip():
        doubts.append("no time zone is known: UTC counts")
        return None
    try:
        return time_zones.present(name or "", zoneinfo.available_timezones())
    except time_zones.BadTimeZone:
        doubts.append("its time zone is none that is known: UTC counts")
        return None


def _number(number: str | None, zone: str | None, doubts: list[str]) -> tuple[str | None, str | None]:
    """Its own number and its region: that of the number, else the country of its time zone."""
    region = zone and time_zones.country(zone)
    phone = None
    if (number or "").strip():
        try:
            phone = phone_numbers.read(number or "", region)
        except phone_numbers.NoPhoneNumber:
            doubts.append("its number is no phone number that can be read: it has none")
    else:
        doubts.append("no number is known")
    of_number = phone and numbering_plan.region_of(phone)
    if of_number:
        return phone, of_number
    if region:
        doubts.append(f"its region is taken to be {region}, that of its time zone")
    else:
        doubts.append("its region is not known: numbers without a country code are not read")
    return phone, region


def _give_window(run: Run, business_id: int, old: db.Row, region: str | None, doubts: list[str]) -> None:
    """Its hours as a calling window; where they cannot be read, those that are usual there."""
    preset = _PRESETS.get(region or "")
    usual = PRESETS[preset].hours if preset else _CAUTIOUS
    week = None
    try:
        week, has_days = old_hours.read(old.hours_json, old.hours, old.days)
        if week is None:
            doubts.append(f"no hours are known: it calls {usual}")
        elif not has_days:
            week = old_hours.within(week, usual)
            doubts.append(f"its hours name no days: it calls {week or usual}")
    except (old_hours.NoHours, weekly_hours.BadHours, RecursionError) as fault:
        doubts.append(f"its hours cannot be read ({fault}): it calls {usual}")
        week = None
    name, actor = f"hours of business {business_id}", os_user.name()
    note = "Taken over from the system before. Its days off are not in it: close them with `outbound window day`."
    if calling_window.sql.find_window(run.connection, name=name) is not None:
        name += f", adopted {old.id}"
    if week is None and preset is not None:
        window_id = calling_window.add_preset(preset, actor=actor, name=name, own=run.connection)
    else:
        window_id = calling_window.add(name, week or usual, actor=actor, note=note, own=run.connection)
    calling_window.assign("business", business_id, window_id, actor=actor, own=run.connection)
