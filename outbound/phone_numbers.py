"""What a phone number is; the only file that knows phonenumbers."""

import re
from functools import cache, lru_cache

import phonenumbers

# A letter in a number is a slip (050-123456O), and a last single digit is a spreadsheet's (972501234567.0): left to
# phonenumbers they would be dropped, spelled on a keypad or appended, and a stranger's phone would ring.
_SLIP = re.compile(r"[^\W\d_]|\.\d$")

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")  # what call_log takes


def normalize(number: str, region: str | None) -> str | None:
    """A phone number in E.164, or None if it cannot be one; *region* is the country of numbers without a code."""
    text = number.strip().removeprefix("tel:")
    return _plain(text, region) or _parsed(text, region)


def _parsed(text: str, region: str | None) -> str | None:
    """What libphonenumber makes of it, of all the ways to write a number."""
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


# Most numbers of a file are plain digits, which libphonenumber only takes apart and puts together again, slowly.  These
# patterns are made of its own tables, and match only where each of its steps would leave the digits as they are.

_SEPARATORS = str.maketrans("", "", "-() ")


def _plain(text: str, region: str | None) -> str | None:
    """What libphonenumber would say, where that can be told from the digits alone."""
    digits = text.translate(_SEPARATORS) if text.isascii() and not text[1:].isdecimal() else text
    if digits[:1] == "+":
        pattern = _international(digits[:4])
        return digits if pattern and pattern.fullmatch(digits) else None
    begin, inside = _national(region) if region else (None, None)
    found = inside and inside.fullmatch(digits)
    return begin + (found["after"] or found["bare"]) if begin and found else None


@lru_cache(2000)
def _international(head: str) -> re.Pattern[str] | None:
    """What matches a number in E.164 whose first four characters these are, if libphonenumber takes it as it is."""
    for end in range(2, len(head) + 1):
        code = head[1:end]
        if code.isdecimal() and code.isascii() and int(code) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return _of_country(int(code))
    return None


@cache
def _of_country(code: int) -> re.Pattern[str] | None:
    metadata = _main_metadata(code)
    lengths = _possible(metadata, code)
    if metadata is None or not lengths:
        return None
    prefix = metadata.national_prefix_for_parsing
    return re.compile(rf"\+{code}{_unless(prefix)}{_digits(lengths)}")


@lru_cache(1000)
def _national(region: str) -> tuple[str, re.Pattern[str]] | tuple[None, None]:
    """
    How a country's numbers begin in E.164; and what matches one of them as it is dialed inside that country, its rest
    being `after` the national prefix or `bare`.
    """
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    if metadata is None or metadata.country_code is None or metadata.general_desc is None:
        return None, None
    code = metadata.country_code
    lengths = _possible(metadata, code) & _possible(_main_metadata(code), code)
    prefix, viable = metadata.national_prefix_for_parsing or "", metadata.general_desc.national_number_pattern
    if not lengths or not viable or metadata.national_prefix_transform_rule:
        return None, None
    # Neither with an international prefix nor with the country's own code, which libphonenumber would take off.
    begin = f"{_unless(metadata.international_prefix)}(?!{code})"
    bare = f"{_unless(prefix)}(?P<bare>{_digits(lengths)})"
    after = rf"{prefix}(?=(?:{viable})\Z)(?P<after>{_digits(lengths)})" if prefix.isdecimal() else "(?!)(?P<after>)"
    return f"+{code}", re.compile(f"{begin}(?:{after}|{bare})")


def _main_metadata(code: int) -> phonenumbers.PhoneMetadata | None:
    """What is known of the numbers of a country code; of several countries, what libphonenumber judges them all by."""
    main = phonenumbers.region_code_for_country_code(code)
    return phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, main)


def _possible(metadata: phonenumbers.PhoneMetadata | None, code: int) -> set[int]:
    """How many digits may follow the country code in a number that call_log takes."""
    if metadata is None or metadata.general_desc is None:
        return set()
    lengths = set(metadata.general_desc.possible_length) - set(metadata.general_desc.possible_length_local_only)
    return {length for length in lengths if 7 <= len(str(code)) + length <= 15 and length >= 2}


def _digits(lengths: set[int]) -> str:
    return "(?:" + "|".join(f"[0-9]{{{length}}}" for length in sorted(lengths, reverse=True)) + ")"


def _unless(prefix: str | None) -> str:
    return f"(?!{prefix})" if prefix else ""


def is_region(region: str) -> bool:
    """Is this a country's two letters, like IL?"""
    return region in phonenumbers.SUPPORTED_REGIONS
