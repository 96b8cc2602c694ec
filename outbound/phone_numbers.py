"""What a phone number is; the only file that knows phonenumbers."""

import phonenumbers


def normalize(number: str, region: str | None) -> str | None:
    """A phone number in E.164, or None if it cannot be one; *region* is the country of numbers without a code."""
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    # Possible, not valid: new ranges open faster than tables of them are updated, and the carrier knows better.
    if not phonenumbers.is_possible_number(parsed) or parsed.extension:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def is_region(region: str) -> bool:
    """Is this a country's two letters, like IL?"""
    return region in phonenumbers.SUPPORTED_REGIONS
