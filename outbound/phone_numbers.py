"""What a phone number is; the only file that knows phonenumbers."""

import re

import phonenumbers

# A letter in a number is a slip (050-123456O), and a last single digit is a spreadsheet's (972501234567.0): left to
# phonenumbers they would be dropped, spelled on a keypad or appended, and a stranger's phone would ring.
_SLIP = re.compile(r"[^\W\d_]|\.\d$")

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")  # what call_log takes


def normalize(number: str, region: str | None) -> str | None:
    """A phone number in E.164, or None if it cannot be one; *region* is the country of numbers without a code."""
    text = number.strip().removeprefix("tel:")
    if _SLIP.search(text):
        return None
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    # Possible, not valid: new ranges open faster than tables of them are updated, and the carrier knows better.
    # Possible only within its own town is not possible: it lacks the area code.
    possible = phonenumbers.is_possible_number_with_reason(parsed) == phonenumbers.ValidationResult.IS_POSSIBLE
    if not possible or parsed.extension:
        return None
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return e164 if _E164.fullmatch(e164) else None


def is_region(region: str) -> bool:
    """Is this a country's two letters, like IL?"""
    return region in phonenumbers.SUPPORTED_REGIONS
