"""Destinations: countries and number prefixes that are allowed or closed, for all or for one business."""

import re
from typing import NamedTuple

from outbound import db, names, os_user
from outbound.errors import UserError
from outbound.formats import numbering_plan, phone_numbers, row_id

sql = db.statements("rules/destination")

REASON_MAX = 200  # characters
_DIGITS = re.compile(r"\+[1-9][0-9]{0,14}")
_SEPARATORS = str.maketrans("", "", " ()-./")


class BadDestination(UserError):
    """That is no destination, or nobody's; the message says why, and nothing was changed."""


class Changed(NamedTuple):
    """
    The entry as it is now.

    Attributes:
        place: a country's two letters, or a plus and first digits.
        kind: which numbers there it is about: `ordinary`, or the one kind that all of them are.
        was: did it allow them before?  None where there was no entry.
    """

    place: str
    kind: str
    was: bool | None


class Decision(NamedTuple):
    """A number's country and kind, and the code and sentence of why it may not be called; None where it may."""

    region: str | None
    kind: str
    fault: str | None
    sentence: str | None


def allow(place: str, *, business_id: int | None = None, reason: str = "", actor: str | None = None) -> Changed:
    """
    Let calls go to a country, like GB, or to numbers that begin with some digits, like +4420.

    Of a country, and of digits behind which there are several kinds of numbers, the ordinary numbers are opened.  To
    open premium-rate, satellite and other special numbers, the digits must be of that kind alone.

    Args:
        business_id: who may call there; by default everybody.
        actor: the person who decided it, for the audit; by default the user of this process.

    Raises:
        BadDestination: it is no place, or nothing there may be dialed, or there is no such business.
    """
    return _set(place, business_id, reason, actor, allowed=True)


def deny(place: str, *, business_id: int | None = None, reason: str = "", actor: str | None = None) -> Changed:
    """Close a destination; calls that wait end at their claim.  As `allow`."""
    return _set(place, business_id, reason, actor, allowed=False)


def remove(place: str, *, business_id: int | None = None, actor: str | None = None) -> bool:
    """
    Take the entry of exactly this place and business away; False where there is none.

    Raises BadDestination where it is no place.
    """
    removed = db.run(
        sql.remove_destination, place=read(place), business_id=_id(business_id), who=actor or os_user.name()
    )
    return bool(removed)


def every() -> list[db.Row]:
    """All entries, those for everybody first."""
    return sorted(page(), key=lambda entry: (entry.business_id or 0, entry.place))


def page(business_id: int | None = None, *, before: int | None = None, limit: int | None = None) -> list[db.Row]:
    """
    All entries, or one business's and those for everybody, the newest first.

    Args:
        before: only those with a smaller id; *limit*: so many at most; None for no bound.
    """
    return list(db.run(sql.list_destinations, business_id=business_id, before_id=before, page_max=limit))


def check(phone: str, business_id: int) -> Decision:
    """
    May this business call this number?

    Raises:
        BadDestination: it is no phone number, or there is no such business.
    """
    number = phone.translate(_SEPARATORS)
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", number):  # also what no plan knows: that is what is asked about
        try:
            number = phone_numbers.read(phone, names.region_of(_id(business_id)))
        except phone_numbers.NoPhoneNumber as refusal:
            raise BadDestination.about("number", f"the number {refusal}") from None
    found = db.run(sql.find_number, phone=number, business_id=_id(business_id))
    if found is None:
        raise BadDestination(f"there is no business {business_id}: see `outbound business list`")
    return Decision(found.region, found.kind or "unknown", found.fault, found.sentence)


def read(place: str) -> str:
    """
    A destination as its table has it: GB, +4420.

    Raises:
        BadDestination: it is neither a country's two letters nor a plus and a number's first digits.
    """
    text = place.strip().translate(_SEPARATORS).upper()
    if _DIGITS.fullmatch(text) or numbering_plan.is_region(text):
        return text
    fault = (
        f"`{place[:20]}` is no destination: give a country's two letters, like GB, or a plus and the first digits of"
        " its numbers, like +4420"
    )
    raise BadDestination.about("place", fault)


def _set(place: str, business_id: int | None, reason: str, actor: str | None, *, allowed: bool) -> Changed:
    where = read(place)
    if not (len(reason) <= REASON_MAX and reason.isprintable()):
        raise BadDestination.about("reason", f"a reason is one line of {REASON_MAX} characters at most")
    kind = db.run(sql.find_place, place=where)
    if kind is None or (allowed and kind == "never"):
        fault = f"no number of {where} may be dialed: it is no number, or looks like an emergency number"
        raise BadDestination.about("place", fault)
    entry = db.run(
        sql.set_destination,
        business_id=_id(business_id),
        place=where,
        allowed=allowed,
        reason=reason,
        who=actor or os_user.name(),
    )
    if entry is None:
        raise BadDestination(f"there is no business {business_id}: see `outbound business list`")
    return Changed(where, entry.kind, entry.was)


def _id(business_id: int | None) -> int | None:
    """An id that a row can have, or NONE; None for everybody."""
    return None if business_id is None else row_id.possible(business_id)
