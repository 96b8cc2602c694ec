"""The one reader of phone numbers: what a cell, an option or a caller id means, or why it is no phone number."""

import re
import unicodedata
from datetime import date

from outbound.call import WITHHELD_DIGITS
from outbound.formats import numbering_plan, plain_text
from outbound.formats.numbering_plan import spaced

__all__ = ["NoPhoneNumber", "caller", "read", "region_fault", "spaced"]

CHARACTERS_MAX = 200  # of a cell that is looked at; no writing of one number is longer
EXAMPLE = "write it like +97231234567"


class NoPhoneNumber(ValueError):
    """
    The text is no phone number; the message goes on from its name ("`to` …") and says why, what was probably meant
    where that is known, and what to do.

    Attributes:
        lacks_region: the digits may be a number, if a country is named whose it is.
    """

    def __init__(self, message: str, *, lacks_region: bool = False) -> None:
        super().__init__(message)
        self.lacks_region = lacks_region

    def or_with_option(self) -> str:
        """The message where a region may be given with the number."""
        return f"{self}; or give --region, like IL" if self.lacks_region else str(self)


def region_fault(letters: str | None) -> str | None:
    """Say that these are no country's two letters; None where they are, in either case, or where there are none."""
    if letters is None or numbering_plan.is_region(letters.upper()):
        return None
    mend = "the United Kingdom is GB" if letters.upper() == "UK" else "two letters, like IL"
    return f"`{plain_text.visible(letters)}` is not a region: {mend}"


def read(text: str, region: str | None) -> str:
    """
    The phone number in E.164 that a text means.

    Its digits are those of the text, except for what the country's rules take off or put in front: the prefix of calls
    inside the country (050 -> +97250), of calls abroad (00), Argentina's 15.

    Args:
        region: two letters, like IL: the country of numbers without a country code.

    Raises:
        NoPhoneNumber: it is none, or it is more than a number: two of them, an extension, a decimal part.
    """
    if _USUAL.fullmatch(text):
        digits = text.translate(_SEPARATORS)
        number = numbering_plan.e164(digits, region) if len(digits) >= _USUAL_MIN else None
        if number and not numbering_plan.else_abroad(digits, number, region):
            return number
    try:
        return _read(_cleaned(text), region)
    except NoPhoneNumber as refusal:
        if region is None and str(refusal).endswith(EXAMPLE):
            hint = "with its country code: no region says that of numbers without one"
            raise NoPhoneNumber(f"{refusal}, {hint}", lacks_region=refusal.lacks_region) from None
        raise


# Digits in groups, as most people write them: longer than any date, and without anything that could be one.
_USUAL = re.compile(r"(?:\+|\+?[0-9]{1,3}[ -]?)?(?:\([0-9]{1,4}\)[ -]?)?[0-9]+(?:[ -][0-9]+)*", re.ASCII)
_USUAL_MIN = 9
_SEPARATORS = str.maketrans("", "", "-() ")


# First every kind of space, dash and digit becomes the plain one, and what cannot be seen goes.

_SAME = {
    **dict.fromkeys("\u2212\u223c\uff5e~\u00af\u30fc\u02d7", "-"),
    **dict.fromkeys("\u2044\u2215\uff0f", "/"),
    **dict.fromkeys("\u00b7\u2022\u2219\u30fb\uff0e\uff61\u3002", "."),
    **dict.fromkeys("\uff0c\u060c\u3001", ","),
    "\uff1b": ";",
    "\uff1a": ":",
    "\uff0b": "+",
    "\uff08": "(",
    "\uff09": ")",
    "[": "(",
    "]": ")",
    "\uff03": "#",
    "\uff0a": "*",
}


def _cleaned(text: str) -> str:
    if len(text) > CHARACTERS_MAX:
        raise NoPhoneNumber(f"has {len(text)} characters: {EXAMPLE}")
    return "".join(map(_plain_character, text)).strip()


def _plain_character(character: str) -> str:
    if character in "\t \n\r":
        return " " if character in "\t " else "\n"
    if character.isascii():
        return _SAME.get(character, character)
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    return {"Cf": "", "Zs": " ", "Zl": "\n", "Zp": "\n", "Pd": "-"}.get(category) or _SAME.get(
        character, "" if category == "Cf" else character
    )


# Then what is around a number goes, and what is left must be a number and nothing else.

_SCHEME = re.compile(r"(?:tel|callto|whatsapp)\s*:\s*(?://)?", re.IGNORECASE)
_IN_PARENTHESES = re.compile(r"^\((?:([0-9 +./-]{7,})\)$|(\+[0-9]{1,3})\))", re.ASCII)  # all of it, or (+972)
_NUMBER = re.compile(r"\+? ?[0-9(][0-9 ()./-]*")


def _read(text: str, region: str | None) -> str:
    text = text.removeprefix("'").removeprefix("\u2019").strip()
    scheme = _SCHEME.match(text)
    if scheme:
        text, region = _without_context(text[scheme.end() :], region)
    text = text.rstrip(" .,;-/\n")
    text = _IN_PARENTHESES.sub(r"\1\2", text)
    if not text:
        raise NoPhoneNumber("is empty: give a phone number")
    _refuse_what_is_none(text, region)
    digits = "".join(c for c in text if c in "+0123456789")
    number = numbering_plan.e164(digits, region)
    if number is None:
        raise NoPhoneNumber(_why(digits, region), lacks_region=region is None and not _abroad(digits))
    abroad = numbering_plan.else_abroad(digits, number, region)
    if abroad:
        either = f"{numbering_plan.shown(number, inside=True)} or {numbering_plan.shown(abroad, inside=False)}"
        raise NoPhoneNumber(f"may be {either}: write its 0 or its plus")
    return number


def _without_context(text: str, region: str | None) -> tuple[str, str | None]:
    """Return what a `tel:` URI says (RFC 3966): a local number stands behind its context."""
    number, *parameters = text.split(";")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name.lower() != "phone-context":
            raise NoPhoneNumber(_EXTENSION if name.lower() == "ext" else f"has a parameter of its own: {EXAMPLE}")
        if not number.strip().startswith("+"):
            if not value.startswith("+"):
                raise NoPhoneNumber(f"is a local number of a domain, not of a country: {EXAMPLE}")
            number = value + number
    return number, region


_NONE = f"is not a phone number: {EXAMPLE}"
_EXTENSION = f"is a number with an extension, and dial extensions are not supported: {EXAMPLE}, alone"
_TWO = f"holds two numbers: give each a line of its own, and {EXAMPLE}"


def _refuse_what_is_none(text: str, region: str | None) -> None:
    """Refuse what is more than digits with separators between them: libphonenumber would drop or append the rest."""
    for pattern, reason in _NOT_ONE_NUMBER:
        if pattern.search(text):
            raise NoPhoneNumber(reason)
    if _EXTENDED.search(text):
        raise NoPhoneNumber(_EXTENSION)
    _refuse_two(text)
    _refuse_amount(text, region)
    _refuse_date(text, region)
    if not _NUMBER.fullmatch(text):
        letters = any(map(str.isalpha, text)) and _count(text) >= 5
        raise NoPhoneNumber(f"has letters in it: {EXAMPLE}" if letters else _NONE)
    _refuse_tail(text)


_NOT_ONE_NUMBER = [
    (re.compile(pattern, re.IGNORECASE), f"{reason}: {EXAMPLE}")
    for pattern, reason in (
        (r"^[^0-9]*$", "is not a phone number"),
        (r"^sips?:|@", "is a SIP or mail address, not a phone number"),
        (r"^[*#]", "is a code of the network, with * or #, not a phone number"),
        (r"[0-9]\s*%", "looks like a percentage"),
        (r"[$\u20ac\u00a3\u20aa\u00a5]", "looks like an amount of money"),
        (r"^-", "looks like a negative number, for which a spreadsheet took it"),
        (r"^[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?:\s*[ap]\.?m\.?)?$", "looks like a time of day"),
    )
]
_EXTENDED = re.compile(
    r"[0-9)][\s.,;:/-]*(?:[#*]|,\s*,|ext|x|ex\b|int\b|[pw](?=[\s.:]*[0-9])|\u05e9\u05dc\u05d5\u05d7\u05d4|\u05e9\u05dc')",
    re.IGNORECASE,
)

_BETWEEN = re.compile(r"[/,;|&\n\\+]|\s+-\s+|\b(?:or|and)\b|\b\u05d0\u05d5\b", re.IGNORECASE)


def _refuse_two(text: str) -> None:
    separated = [_count(part) for part in _BETWEEN.split(text)]
    spaced = [_count(part) for part in text.split()]
    if sum(digits >= 7 for digits in separated) > 1 or sum(digits >= 9 for digits in spaced) > 1:
        raise NoPhoneNumber(_TWO)


# Numbers as spreadsheets show them

_SCIENTIFIC = re.compile(r"([0-9])(?:[.,]([0-9]+))?e\+?([0-9]+)", re.IGNORECASE)
_DECIMAL = re.compile(r"([+0-9 ()-]+)[.,]([0-9]{1,3})")
_DOTTED_DECIMAL = re.compile(r"([+0-9 ()./-]*[0-9]{3,}[ ()-]*)[.,]([0-9]{1,2})")
_THOUSANDS = re.compile(r"([0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]*)?")


def _refuse_amount(text: str, region: str | None) -> None:
    as_text = f"{EXAMPLE}, and format its column as text"
    scientific = _SCIENTIFIC.fullmatch(text)
    if scientific:
        digits, exponent = scientific[1] + (scientific[2] or ""), int(scientific[3][:3])
        meant = _meant(digits, region) if exponent == len(digits) - 1 else ""
        likely = f"looks like {meant}, and " if meant else ""
        raise NoPhoneNumber(f"{likely}was rounded by a spreadsheet: {as_text}, enter it again, save again")
    decimal = _DECIMAL.fullmatch(text) or _DOTTED_DECIMAL.fullmatch(text)
    for found, what in ((_THOUSANDS.fullmatch(text), "thousands separators"), (decimal, "a decimal part")):
        if found:
            meant = _meant(re.sub(r"[^+0-9]", "", found[1]), region) or "an amount"
            raise NoPhoneNumber(f"looks like {meant} with {what}: {as_text}")


def _meant(digits: str, region: str | None) -> str:
    """Return how people write the number that these digits would be, or nothing where they would be none."""
    number = numbering_plan.e164(digits, region)
    if number:
        return numbering_plan.shown(number, inside=digits[0] != "+")
    return _abroad(digits)


def _abroad(digits: str) -> str:
    """Suggest a number for digits that would be one behind a plus."""
    number = numbering_plan.e164("+" + digits.removeprefix("+").removeprefix("00"), None)
    return numbering_plan.shown(number, inside=False) if number else ""


# Dates

_DATE = re.compile(
    r"(?:(?P<y>[0-9]{4})(?P<a>[-/.])(?P<m>[0-9]{1,2})(?P=a)(?P<d>[0-9]{1,2})"
    r"|(?P<p>[0-9]{1,2})(?P<b>[-/.])(?P<q>[0-9]{1,2})(?P=b)(?P<z>[0-9]{4}|[0-9]{2}))"
    r"(?:[T ]+[0-9]{1,2}:[0-9]{2}.*)?"
)
_MONTH = re.compile(r"[0-9]{4}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{4}")


def _refuse_date(text: str, region: str | None) -> None:
    written = _DATE.fullmatch(text)
    if written:
        year = int(written["y"] or written["z"])
        days = (written["m"], written["d"]) if written["y"] else (written["p"], written["q"])
        is_date = _is_date(year if year > 99 else 2000 + year, *map(int, days))
    else:
        # Eight digits alone, whose trunk prefix a spreadsheet would have taken: 20261130 or 30112026.
        text = text.replace(" ", "")
        is_bare = text.isdecimal() and len(text) == 8 and numbering_plan.has_trunk_prefix(region)
        is_date = bool(_MONTH.fullmatch(text)) or (
            is_bare
            and any(
                1900 <= int(year) < 2100 and _is_date(int(year), int(days[:2]), int(days[2:]))
                for year, days in ((text[:4], text[4:]), (text[4:], text[:4]))
            )
        )
    if is_date:
        raise NoPhoneNumber(f"looks like a date: if it is a phone number, {EXAMPLE}")


def _is_date(year: int, one: int, other: int) -> bool:
    """Are these a month and a day, in either order?"""
    for month, day in ((one, other), (other, one)):
        try:
            date(year, month, day)
        except ValueError:
            continue
        return True
    return False


# What stands behind a number

_BEFORE_MAX = 6  # digits of an area code, or of a country code with a 0 behind it


def _refuse_tail(text: str) -> None:
    """Refuse digits that a slash or parentheses set apart at the end: 03-5550134/5, 03-5550134 (5)."""
    if _count(text) < 7 and "/" in text:
        raise NoPhoneNumber(_NONE)
    for mark in re.finditer(r"[/(]", text):
        before, after = _count(text[: mark.start()]), _count(text[mark.end() :])
        if before > _before_max(text) or (mark[0] == "/" and after < 4):
            raise NoPhoneNumber(_EXTENSION if after < 7 else _TWO)
    closing = text.rfind(")")
    if closing >= 0 and _count(text[closing:]) < 4:
        raise NoPhoneNumber(_EXTENSION)


def _before_max(text: str) -> int:
    return _BEFORE_MAX + 3 if text.startswith(("+", "00")) else _BEFORE_MAX


def _count(text: str) -> int:
    return sum(map(str.isdecimal, text))


# Why digits are no number


def _why(digits: str, region: str | None) -> str:
    if digits[0] == "+":
        return f"is not a phone number of the country whose code it begins with: {EXAMPLE}"
    abroad = _abroad(digits)
    mend = f"; looks like {abroad}: write the plus" if abroad else f": {EXAMPLE}"
    if region is None or not numbering_plan.is_region(region):
        return f"is not a phone number{mend}"
    if numbering_plan.e164(digits[:-1], region):
        lacks_plus = f", or is {abroad} without its plus" if abroad else ""
        return f"has one digit too many for {region}{lacks_plus}: {EXAMPLE}"
    if abroad:
        return f"is not a phone number of {region}{mend}"
    if any(numbering_plan.e164(digits + more, region) for more in "0123456789"):
        return f"has one digit too few for {region}: {EXAMPLE}"
    return f"is not a phone number of {region}{mend}"


# Callers, as carriers name them

CALLER_MAX = 64  # characters of a caller that is no phone number and is known by what the carrier calls it

_CALLER = re.compile(r"(?:[^<>]*<)?(?:[a-z][a-z0-9+.-]*\s*:\s*)?(?P<user>[^@;<>]*)", re.IGNORECASE)
_CLIENT = re.compile(r"client\s*:", re.IGNORECASE)  # a browser or an app


def caller(written: str, region: str | None) -> str | None:
    """
    The caller: in E.164 where it is a phone number, else as the carrier gave it; None where the number is withheld.

    Args:
        written: the caller as the carrier gives it, like +972505550134, whatsapp:+972505550134, sip:0505550134@host,
            anonymous.
        region: two letters: the country of numbers without a country code.
    """
    written = written.strip()
    found = None if _CLIENT.match(written) else _CALLER.match(written)
    user = found["user"].strip() if found else ""
    digits = user.removeprefix("+")
    if digits in WITHHELD_DIGITS or digits == "0" * len(digits):
        return None
    try:
        return read(user, region)
    except NoPhoneNumber:
        return user if _count(user) >= 5 and len(user) <= CALLER_MAX else None
