"""Businesses: the tenants, their from-numbers, and the TwiML or voice URL of their calls."""

import zoneinfo
from collections.abc import Callable, Sequence
from typing import Any

from outbound import db, names
from outbound.carrier import accounts
from outbound.config import settings
from outbound.errors import Fault, UserError
from outbound.formats import phone_numbers, plain_text, row_id, time_zones, twiml_template

sql = db.statements("rules/business")

DEFAULT_ACCOUNT = "default"  # TWILIO_ACCOUNT_SID
_SILENT = "a call must play something: give a voice URL or TwiML (--voice-url, --twiml)"
LOOK_BACK_HOURS = range(169)  # calls of the last 8 days are never deleted for their age


class BadBusiness(UserError):
    """The error where what was given of a business is wrong; the message says what, and nothing was changed."""


def add(
    name: str,
    *,
    time_zone: str = "UTC",
    default_region: str | None = None,
    voice_url: str | None = None,
    twiml: str | None = None,
    phones: Sequence[str] = (),
    account: str | None = None,
    faults: Sequence[Fault] = (),
    own: db.Connection | None = None,
) -> int:
    """
    Add a business and return its id.

    Args:
        time_zone: an IANA name, like Asia/Jerusalem; a former one becomes that of today.
        default_region: two letters (IL, US): the country of numbers that are written without a country code.
        voice_url, twiml: what a call plays; one of them.
        phones: its own numbers.
        account: the SID of the carrier's account that its calls are dialed with; by default TWILIO_ACCOUNT_SID.
        faults: what the caller found wrong, to be said with the rest.
        own: the caller's connection, whose transaction this is part of.

    Raises:
        BadBusiness: names everything that is wrong at once.
    """
    silent = voice_url is None and twiml is None
    given = (name, time_zone, default_region, voice_url, twiml, phones, account)
    values, numbers = _checked(*given, silent=silent, known_faults=faults)
    return int(_write(sql.add_business, own, numbers, **values))


def change(
    business_id: int,
    *,
    name: str | None = None,
    time_zone: str | None = None,
    default_region: str | None = None,
    voice_url: str | None = None,
    twiml: str | None = None,
    phones: Sequence[str] = (),
    account: str | None = None,
    look_back_hours: int | None = None,
) -> list[str]:
    """
    Update a business; numbers are added, and one that it has already is accepted.  One without its country's code is
    of the business's region.

    The account `default` is TWILIO_ACCOUNT_SID again.  Calls in the air keep the account that they were dialed with.

    An import holds out numbers that the business called in the last `look_back_hours`, 0 to 168.

    Returns the names of what is another now, as of the arguments: none where all was so already.

    Raises BadBusiness as `add` does.
    """
    if look_back_hours is not None and look_back_hours not in LOOK_BACK_HOURS:
        raise BadBusiness(f"a business looks back {LOOK_BACK_HOURS[0]} to {LOOK_BACK_HOURS[-1]} hours")
    own_region = names.region_of(business_id) if phones else None
    given = (name, time_zone, default_region, voice_url, twiml, phones, account)
    values, numbers = _checked(*given, own_region=own_region)
    values["look_back_hours"] = look_back_hours
    changed = _write(sql.set_business, None, numbers, business_id=business_id, **values)
    if changed is None:
        raise BadBusiness(f"there is no business {business_id}: see `outbound business list`")
    return list(changed)


def every() -> list[db.Row]:
    """All businesses with their numbers, oldest first."""
    return page()[::-1]


def page(business_id: int | None = None, *, before: int | None = None, limit: int | None = None) -> list[db.Row]:
    """All businesses, or one, newest first: *limit* at most with a smaller id than *before*; None for no bound."""
    return list(db.run(sql.list_businesses, business_id=business_id, before_id=before, page_max=limit))


def show(business_id: int, *, campaigns_max: int | None = None) -> dict[str, Any]:
    """
    One business: who it is, what it plays, what limits and holds it, its campaigns, and how many calls are live.

    What the database role may not see is left out.

    Args:
        campaigns_max: of so many campaigns, the newest; None for all.  `campaigns_next` is the id before which the
            others are, None where there is none.

    Raises:
        BadBusiness: there is no such business.
    """
    row = db.run(sql.show_business, business_id=row_id.possible(business_id))
    if row is None:
        raise BadBusiness(f"there is no business {business_id}: see `outbound business list`")
    shown: dict[str, Any] = row._asdict()
    if names.sees_numbers():
        shown |= db.run(sql.words_of_business, business_id=business_id)._asdict()
    campaigns = list(db.run(sql.campaigns_of, business_id=business_id, newest_max=campaigns_max))
    shown["live"] = live(business_id)
    shown["campaigns"] = [one._asdict() for one in campaigns]
    shown["campaigns_next"] = campaigns[0].id if len(campaigns) == campaigns_max else None
    return shown


def live(business_id: int) -> dict[str, int]:
    """How many calls of a business wait, up to 100,000, and are in the air, by status."""
    return {one.status: one.calls for one in db.run(sql.count_live, business_id=business_id)}


def _write(
    statement: Callable[..., db.Row], own: db.Connection | None, numbers: Sequence[str], **values: object
) -> db.Row:
    """
    Run a statement.

    Args:
        numbers: the values' phones in the order in which they were given.

    Raises:
        BadBusiness: names each of them that belongs to another business.
    """
    try:
        return db.transact(lambda connection: statement(connection, **values), own)
    except db.Conflict:
        owners = dict(db.transact(lambda connection: sql.owners_of_numbers(connection, phones=list(numbers)), own))
        mine = values.get("business_id")
        faults = [
            Fault(
                f"numbers/{place}", f"own number {place + 1} belongs to business {owners[number]} already: leave it out"
            )
            for place, number in enumerate(numbers)
            if owners.get(number, mine) != mine
        ]
        raise BadBusiness.of(faults) from None


def _checked(
    name: str | None,
    time_zone: str | None,
    default_region: str | None,
    voice_url: str | None,
    twiml: str | None,
    phones: Sequence[str],
    account: str | None,
    *,
    silent: bool = False,
    own_region: str | None = None,
    known_faults: Sequence[Fault] = (),
) -> tuple[dict[str, object], list[str]]:
    """What is given as columns, and the numbers in E.164 in the order of *phones*; or raise BadBusiness."""
    region = default_region.upper() if default_region else None
    zone_faults: list[Fault] = []
    zone = _time_zone(time_zone, zone_faults)
    faults = [
        *known_faults,
        *_fault("name", _name_fault(name)),
        *zone_faults,
        *_fault("region", phone_numbers.region_fault(region)),
        *_fault("", _SILENT if silent else None),
        *_fault("account", _account_fault(account)),
        *twiml_template.faults(voice_url, twiml, may_be_http=settings().http_voice_urls),
    ]
    numbers = _own_numbers(phones, region or own_region, faults)
    if faults:
        raise BadBusiness.of(faults)
    values: dict[str, object] = {
        "name": name and name.strip(),
        "time_zone": zone,
        "default_region": region,
        "voice_url": voice_url,
        "twiml": twiml,
        "phones": sorted(set(numbers)),
        "carrier_account": "" if account == DEFAULT_ACCOUNT else account,
    }
    return values, numbers


def _fault(field: str, sentence: str | None) -> list[Fault]:
    return [Fault(field, sentence)] if sentence else []


def _name_fault(name: str | None) -> str | None:
    if name is None:
        return None
    fault = plain_text.fault(name)
    if name.strip() and fault is None:
        return names.DIGITS if row_id.read(name.strip()) is not None else None
    return "a business needs a name, in one line" + (f", and this {fault}" if fault else "")


def _own_numbers(phones: Sequence[str], region: str | None, faults: list[Fault]) -> list[str]:
    """The numbers in E.164; what is none is named in *faults* by its place."""
    numbers = []
    for place, phone in enumerate(phones, start=1):
        try:
            numbers.append(phone_numbers.read(phone, region))
        except phone_numbers.NoPhoneNumber as refusal:
            faults.append(Fault(f"numbers/{place - 1}", f"own number {place} {refusal}"))
    return numbers


def _time_zone(name: str | None, faults: list[Fault]) -> str | None:
    """The IANA name of today."""
    if name is None:
        return None
    try:
        return time_zones.present(name, zoneinfo.available_timezones())
    except time_zones.BadTimeZone as fault:
        faults.append(Fault("time_zone", f"{name or '``'} {fault}"))
        return None


def _account_fault(account: str | None) -> str | None:
    if account in (None, DEFAULT_ACCOUNT) or accounts.SID.fullmatch(account or ""):
        return None
    return (
        f"an account is its SID, AC and 32 hexadecimal digits, or `{DEFAULT_ACCOUNT}`: its credentials are never given"
    )
