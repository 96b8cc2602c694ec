"""Parses and validates one do-not-call entry, consent or registry answer."""

import re
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import NamedTuple, ParamSpec, TypeVar

from outbound.errors import UserError
from outbound.formats import columns, moments, phone_numbers, plain_text
from outbound.formats.file_text import is_text

P = ParamSpec("P")
T = TypeVar("T")

TEXT_MAX = 500  # characters of a reason, a source, or a name

SUPPRESSION_COLUMNS = columns.named({"reason": "reason|סיבה"})
CONSENT_COLUMNS = columns.named(
    {
        "given_at": "given at|given|תאריך הסכמה",
        "expires_at": "expires at|expires|תוקף|בתוקף עד",
        "source": "source|מקור",
    }
)
REGISTRY_COLUMNS = columns.named({"listed": "listed|is listed|רשום|ברשימה"})
_LINE_BREAKS = re.compile(r"\s*[\t\r\n]\s*")
_YES, _NO = ("yes", "y", "true", "1", "כן"), ("no", "n", "false", "0", "לא")
FORGOTTEN = "this person asked to be forgotten: nothing is written down of them"


class BadSuppression(UserError):
    """The error where what was given is wrong; the message says what and what to do, and nothing was changed."""


class BadConsent(BadSuppression):
    """BadSuppression, of a consent."""


class BadRegistryEntry(BadSuppression):
    """BadSuppression, of a registry's answer."""


def refusing_as(kind: type[BadSuppression]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function refuse with an error of this kind what all that is known of a number is refused for alike."""

    def wrapped(work: Callable[P, T]) -> Callable[P, T]:
        @wraps(work)
        def do(*args: P.args, **named: P.kwargs) -> T:
            try:
                return work(*args, **named)
            except BadSuppression as refusal:
                error = kind(str(refusal))
                error.field_faults = refusal.field_faults
                raise error from None

        return do

    return wrapped


class ContactScope(NamedTuple):
    """For whom something holds: a campaign, a business, or, with neither, everybody; and how its numbers are read."""

    business_id: int | None
    campaign_id: int | None
    region: str | None
    time_zone: str | None


class Consent(NamedTuple):
    """A consent as the table takes it; the number in E.164, moments in UTC."""

    phone: str
    given_at: datetime
    expires_at: datetime | None
    source: str
    zone: str | None  # whose clocks the moments were read by, unless they had an offset


def consent(
    given_phone: str,
    given_at: datetime | str | None,
    expires_at: datetime | str | None,
    source: str,
    scope: ContactScope,
    now: datetime,
    zone_of: Callable[[str], str | None],
) -> Consent:
    """
    A consent, given *now* (the database's) where nobody says when; or raise BadSuppression.

    Moments without an offset are by the callee's clocks where *zone_of* the number tells them, else the business's.
    """
    number = phone(given_phone, scope)
    zone = zone_of(number) or scope.time_zone
    given = moment(given_at, "given_at", zone, now) if given_at else now
    expires = moment(expires_at, "expires_at", zone) if expires_at else None
    if expires and expires <= given:
        raise BadSuppression("`expires_at` is not after the moment the consent was given: give a later one")
    return Consent(number, given, expires, text(source, "source"), zone)


def phone(written: str, scope: ContactScope) -> str:
    """A number in E.164, or raise BadSuppression."""
    if not written.strip():
        raise BadSuppression.about("phone", "there is no phone number: give one")
    try:
        return phone_numbers.read(written, scope.region)
    except phone_numbers.NoPhoneNumber as refusal:
        raise BadSuppression.about("phone", f"`phone` {refusal.or_with_option()}") from None


def is_listed(word: str) -> bool:
    """A registry's yes or no, or raise BadSuppression."""
    if word.lower() not in _YES + _NO:
        raise BadSuppression("`listed` must be yes or no")
    return word.lower() in _YES


def moment(value: datetime | str, name: str, time_zone: str | None, now: datetime | None = None) -> datetime:
    """
    A moment in UTC, not after *now*; or raise BadSuppression.

    Without an offset it is in *time_zone*, and a date alone is its beginning there; where there is none, only a date
    alone will do: its beginning in UTC.
    """
    try:
        at = moments.read(value, time_zone, day_alone=True).at
    except moments.BadMoment as fault:
        raise BadSuppression(f"`{name}` {fault}") from None
    if now and at > now:
        raise BadSuppression(f"`{name}` lies in the future")
    return at


def region(letters: str | None) -> str | None:
    """The two letters of a country, or raise BadSuppression."""
    if fault := phone_numbers.region_fault(letters):
        raise BadSuppression.about("region", fault)
    return letters and letters.upper()


def in_one_line(cell: str) -> str:
    """The text of a cell, which may hold several lines."""
    return _LINE_BREAKS.sub(" ", cell)


def text(value: str, name: str) -> str:
    """A text of one line that the table can keep, or raise BadSuppression."""
    if len(value) > TEXT_MAX or not is_text(value):
        raise BadSuppression(f"`{name}` must be text of {TEXT_MAX} characters at most")
    if fault := plain_text.fault(value, allowed="\u200c\u200d"):
        raise BadSuppression(f"`{name}` {fault}")
    return value


def actor(name: str) -> str:
    """The person who decided it, or raise BadSuppression."""
    if not name.strip():
        raise BadSuppression("say who decided it")
    return text(name, "who")
