"""Finds what an operator's control is of: everything, a business, a campaign, a from-number or a call."""

from typing import NamedTuple

from outbound import db, names
from outbound.formats import phone_numbers
from outbound.rules import decision

sql = db.statements("rules/scope")

BadControl = decision.BadControl


class Scope(NamedTuple):
    """
    The thing that is controlled: `account` with key '', `business`, `campaign` or `call` with an id, `number` with
    E.164.
    """

    scope: str
    key: str

    @property
    def id(self) -> int | None:
        """The id in its key, if it has one."""
        return int(self.key) if self.scope in ("business", "campaign", "call") else None

    def __str__(self) -> str:
        return "everything" if self.scope == "account" else f"{self.scope} {self.key}"


def scope_of(what: str, key: str | None = None) -> Scope:
    """
    Return what an operator means: `everything`, or a business, campaign, number or call and which.

    Raises:
        BadControl: there is no such thing.
    """
    scope = _read_scope(what, key)
    if not db.run(sql.is_known, **scope._asdict(), id=scope.id):
        if scope.scope == "number":
            raise BadControl(
                "nobody calls from this number: no business, no campaign and no call that waits; `number` is the number"
                " that calls, and `outbound cancel --number …` is about the one that is called"
            )
        if scope.scope == "call":
            raise BadControl(f"there is no outbound {scope}: `outbound enqueue` printed its id")
        raise BadControl(f"there is no {scope}: see `outbound {scope.scope} list`")
    return scope


def _read_scope(what: str, key: str | None) -> Scope:
    if what == "everything":
        if key is not None:
            raise BadControl("nothing comes after `everything`: leave the rest out, or say `business ID` and the like")
        return Scope("account", "")
    if what == "number":
        try:
            return Scope("number", phone_numbers.read(key or "", names.region_of()))
        except phone_numbers.NoPhoneNumber as refusal:
            raise BadControl(f"which number?  It {refusal}") from None
    if what not in ("business", "campaign", "call"):
        raise BadControl("say what: everything, business ID, campaign ID, number +972…, or call ID")
    if not key:
        raise BadControl(
            f"which {what}?  Give its id" + (", its CA…, its key or its number" if what == "call" else " or name")
        )
    try:
        return Scope(what, str(names.call(key) if what == "call" else names.find(what, key)))  # type: ignore[arg-type]
    except names.NoSuchName as refusal:
        raise BadControl(str(refusal)) from None
