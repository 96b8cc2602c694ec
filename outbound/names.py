"""Finds what an operator calls a thing: a business, campaign or window by name, a call by CA…, key or number."""

from typing import Literal

from outbound import db, errors
from outbound.formats import phone_numbers, plain_text, row_id

sql = db.statements("names")

NoSuchName = errors.NoSuchName

Kind = Literal["business", "campaign", "window"]


class BadNumber(NoSuchName):
    """
    What was given in the place of a number is no phone number, and nothing was changed.

    Attributes:
        lacks_region: it may be one, if a country is named whose it is.
    """

    lacks_region = False


DIGITS = "a name of digits alone would be taken for an id: write a word beside them"
LISTED_MAX = 8  # candidates that an error names
_PLURAL = {"business": "businesses", "campaign": "campaigns", "window": "windows"}
_WAYS = ("id", "sid", "key", "number")  # to write a call: `key:812` is no id


def find(kind: Kind, text: str | int, *, business_id: int | None = None, is_strict: bool = False) -> int:
    """
    The id of what *text* names: an id, or a name in whichever case.

    An id that nothing has is returned unless *is_strict*: the caller's own look-up then reports it.

    Args:
        business_id: only look among this business's.

    Raises:
        NoSuchName: nothing has this name, or several have.
    """
    written = str(text).strip()
    number = row_id.read(written)
    if fault := plain_text.fault(written):
        raise NoSuchName(f"the name of a {kind} {fault}")
    if number is not None and db.run(sql.is_there, kind=kind, id=number, business_id=business_id):
        return number
    found = db.run(sql.find_named, kind=kind, name=written, business_id=business_id)
    named = [row for row in found if row.is_name]
    if len(named) == 1:
        return int(named[0].id)
    if named:
        raise NoSuchName(f"{len(named)} {_PLURAL[kind]} are named {written}: give the id of one: {_listed(named)}")
    if number is not None and not is_strict:
        return number
    if number is not None:
        whose = "" if business_id is None or kind == "business" else f" of business {business_id}"
        raise NoSuchName(f"there is no {kind} {number}{whose}: see `outbound {kind} list`")
    like = f"; there is {_listed(found)}" if written and found else ""
    raise NoSuchName(f"there is no {kind} named {written or 'so'}: see `outbound {kind} list`{like}")


def batch(text: str, *, business_id: int | None = None, campaign_id: int | None = None) -> int:
    """
    The id of the batch that *text* names: what an import was called, or else an id.

    Args:
        business_id, campaign_id: only look among this business's, or this campaign's.

    Raises:
        NoSuchName: there is none, or several have this name, or this database role may not read their names.
    """
    if not sees_numbers():
        raise NoSuchName("this database role may not read the names of batches: look for something else")
    found = db.run(sql.find_batches, name=text, id=row_id.read(text), business_id=business_id, campaign_id=campaign_id)
    named = [row for row in found if row.is_name] or [row for row in found if row.is_id]
    if len(named) == 1:
        return int(named[0].id)
    if named:
        raise NoSuchName(
            f"{len(named)} batches are named {text}: name the --business or --campaign, or give the id of one:"
            f" {_listed(named)}"
        )
    like = f": there is {_listed(found)}" if found else ": it is the name of the file, or what --batch called it"
    raise NoSuchName(f"there is no batch named {text}{like}")


def maybe(kind: Kind, text: str | int | None, *, business_id: int | None = None, is_strict: bool = False) -> int | None:
    """`find`, where something was given."""
    return None if text is None else find(kind, text, business_id=business_id, is_strict=is_strict)


def whose(business: str | int | None, campaign: str | int | None) -> dict[str, int | None]:
    """`business_id` and `campaign_id` of what was given of both."""
    business_id = maybe("business", business)
    return {"business_id": business_id, "campaign_id": maybe("campaign", campaign, business_id=business_id)}


def call(text: str, *, region: str | None = None) -> int:
    """
    The id of the call that *text* names: its id, its call_sid (CA…), its key, or a number in any writing.

    Of a number that is the call that is live, else the newest.  `id:`, `sid:`, `key:` or `number:` in front says which
    of these is meant.

    Raises:
        NoSuchName: no call is named so, or several are; an id that no call has is given back as it is.
    """
    way, _, rest = text.strip().partition(":")
    way, written = (way, rest.strip()) if way in _WAYS and rest else ("", text.strip())
    found: list[tuple[db.Row, str]] = []
    number = row_id.read(written)
    if way in ("", "id", "sid"):
        own = db.run(
            sql.find_call_by_id,
            id=number if way != "sid" else None,
            call_sid=written if way != "id" and written.startswith("CA") else None,
        )
        found += [(row, "") for row in own]
    if way in ("", "key") and sees_numbers() and plain_text.fault(written) is None:
        keyed = db.run(sql.find_calls_by_key, key=written)
        found += [(row, f"its key, of business {row.business_id} {row.business}") for row in keyed]
    if not found and way in ("", "number"):
        may_be_id = way == "" and number is not None and not written.startswith("0")
        phone = number_of(written, region=region) if way else _number_or_none(written, region, may_be_id=may_be_id)
        if phone is not None:
            rows = db.run(sql.find_calls_by_number, phone=phone)
            found += [(row, f"of business {row.business_id} {row.business}, {row.status}") for row in rows]
    if len(found) == 1:
        return int(found[0][0].id)
    if not found and number is not None and way in ("", "id") and not written.startswith("0"):
        return number  # the caller's own look-up reports that there is none
    if not found:
        shown = "with this number" if _number_or_none(written, region, may_be_id=True) else plain_text.visible(written)
        raise NoSuchName(f"there is no call {shown}: give its id, its CA…, its key or its number; see `outbound calls`")
    candidates = "; ".join(f"id:{row.id} ({about or 'its id'})" for row, about in found)
    raise NoSuchName(f"{len(found)} calls may be meant: {candidates}")


def number_of(text: str, *, region: str | None = None, business_id: int | None = None) -> str:
    """
    A number in E.164, from any writing of it.

    Args:
        region: two letters, like IL: the country of a number without a code; by default the business's, or the one that
            all businesses have.

    Raises:
        BadNumber: it is no number.
        NoSuchName: the region is none, or this database role may not look for a number.
    """
    if not sees_numbers():
        raise NoSuchName("this database role may not read phone numbers: ask by id or CA…")
    if fault := phone_numbers.region_fault(region):
        raise NoSuchName.about("region", fault)
    region = region_of(business_id) if region is None else region
    try:
        return phone_numbers.read(text, region and region.upper())
    except phone_numbers.NoPhoneNumber as refusal:
        error = BadNumber.about("number", f"the number {refusal.or_with_option()}")
        error.lacks_region = refusal.lacks_region
        raise error from None


def region_of(business_id: int | None = None) -> str | None:
    """The country of numbers without a code: the business's, or the one that all businesses have; None without one."""
    found = [row.region for row in db.run(sql.regions, business_id=business_id)]
    return found[0] if len(found) == 1 else None


def sees_numbers() -> bool:
    """May this database role read phone numbers, and what somebody wrote?"""
    return bool(db.run(sql.sees_numbers))


def _number_or_none(text: str, region: str | None, *, may_be_id: bool) -> str | None:
    """The number that a text is, or None; or raise BadNumber where nothing but the region lacks."""
    try:
        return number_of(text, region=region)
    except NoSuchName as refusal:
        if isinstance(refusal, BadNumber) and refusal.lacks_region and not may_be_id:
            raise
        return None


def _listed(rows: list[db.Row]) -> str:
    listed = [f"{row.id} {row.name}" + (f" ({row.about})" if row.about else "") for row in rows[:LISTED_MAX]]
    return "; ".join(listed) + (" and others" if len(rows) > LISTED_MAX else "")
