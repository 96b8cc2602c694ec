"""Knows how each country's numbers are made up, as libphonenumber knows it; the only file that imports phonenumbers."""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult

from outbound.call import E164

_CODE = re.compile(r"[1-9][0-9]{0,2}")  # of a country: +049 is not +49
_OLD_MEXICAN = re.compile(r"\+521([0-9]{10})")  # a mobile as it was dialed until 2020; WhatsApp still writes it
_KINDS = ("fixed_line", "mobile", "voip", "personal_number")  # of numbers that people have
_ABROAD_MIN = 10  # digits of a number with its country's code; shorter ones are of islands
_LENGTHS_MAX = 2  # of landlines where a number's length says whether it has a country's code
_HEADS_MIN = 2  # third digits that are in use: a block that is open at one place alone tells nothing of the rest


def is_region(region: str) -> bool:
    """Is this a country's two letters, like IL?"""
    return region in phonenumbers.SUPPORTED_REGIONS


def calling_code(region: str) -> int | None:
    """The calling code of a country's two letters, like 972 of IL; None of what is no country's."""
    return phonenumbers.country_code_for_region(region.upper()) or None


def region_of(number: str) -> str | None:
    """The country's two letters of a number in E.164; None of one that belongs to no country."""
    try:
        region: str | None = phonenumbers.region_code_for_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return None
    return region if region and is_region(region) else None


@lru_cache(maxsize=1000)
def spaced(number: str) -> str:
    """A number in E.164 as its country groups the digits, like +972 50-123-4567; as it is where it cannot be read."""
    try:
        read = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(read, PhoneNumberFormat.INTERNATIONAL)


def e164(digits: str, region: str | None) -> str | None:
    """
    A number in E.164, or None if it cannot be one.

    Args:
        digits: ASCII digits, with a plus in front where they begin with a country code.
        region: the country of numbers without a code.
    """
    return _plain(digits, region) or _parsed(digits, region)


def else_abroad(digits: str, number: str, region: str | None) -> str | None:
    """
    The number of another reading of the same digits: with the plus that they may lack.  None where there is no doubt.

    A German landline may have any length, so that 447700900134 could be 0447 700900134 without its 0, and 491711234567
    a mobile behind the country's code.  Where numbers have a length, it distinguishes digits from those of abroad.

    Args:
        number: what e164 made of the digits.
    """
    meant = "+" + digits
    if number == meant or len(digits) < _ABROAD_MIN or digits[0] in "+0" or not region:
        return None
    return meant if _has_any_length(number, region) and _is_somebodys(meant) else None


def _has_any_length(number: str, region: str) -> bool:
    """Is this no mobile number, in a country whose landlines have more lengths than an area code's can explain?"""
    metadata = PhoneMetadata.metadata_for_region(region, None)
    lengths = (metadata and metadata.fixed_line and metadata.fixed_line.possible_length) or ()
    return len(lengths) > _LENGTHS_MAX and (
        phonenumbers.number_type(phonenumbers.parse(number)) != PhoneNumberType.MOBILE
    )


def _is_somebodys(number: str) -> bool:
    try:
        return _is_in_use(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


def forms(number: str) -> list[str]:
    """The E.164 forms of the same telephone, as phone_key in SQL knows them; the given one first."""
    for pattern, other in _TWINS:
        if pattern.fullmatch(number):
            return [number, pattern.sub(other, number)]
    return [number]


_TWINS = [
    (re.compile(r"\+549([0-9]{10})"), r"+54\1"),
    (re.compile(r"\+54([0-9]{10})"), r"+549\1"),
    (re.compile(r"\+521([0-9]{10})"), r"+52\1"),
    (re.compile(r"\+52([0-9]{10})"), r"+521\1"),
    (re.compile(r"(\+55[1-9]{2})9([6-9][0-9]{7})"), r"\1\2"),
    (re.compile(r"(\+55[1-9]{2})([6-9][0-9]{7})"), r"\g<1>9\2"),
]


def parts(number: str) -> tuple[str, str, str]:
    """The calling code of a number in E.164, the number behind it, and the digits that are dialed in its country."""
    parsed = phonenumbers.parse(number)
    inside = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    code = str(parsed.country_code)
    return code, number.removeprefix(f"+{code}"), "".join(filter(str.isdigit, inside))


def shown(number: str, *, inside: bool) -> str:
    """A number in E.164 as people write it: inside its country like 050-1234567, else like +972 50-123-4567."""
    form = PhoneNumberFormat.NATIONAL if inside else PhoneNumberFormat.INTERNATIONAL
    written = phonenumbers.format_number(phonenumbers.parse(number), form)
    area, _, rest = written.partition("-")
    return f"{area}-{rest.replace('-', '')}" if area.isdecimal() else written


def has_trunk_prefix(region: str | None) -> bool:
    """Do numbers begin with a digit, mostly 0, that spreadsheets lose and that is not dialed from abroad?"""
    metadata = region and PhoneMetadata.metadata_for_region(region, None)
    return bool(metadata and metadata.national_prefix)


def _parsed(digits: str, region: str | None) -> str | None:
    """Return what libphonenumber makes of it."""
    old = _OLD_MEXICAN.fullmatch(digits)
    if old:
        return digits if _parsed(f"+52{old[1]}", None) else None
    try:
        parsed = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    number = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    is_foreign = digits[0] != "+" and parsed.country_code != phonenumbers.country_code_for_region(region or "")
    # Israel's 012 and others choose a carrier; an id that begins so is no number of Spain.
    if is_foreign and not digits.startswith(("00", _international_prefix(region))):
        return None
    return number if E164.fullmatch(number) and _is_in_use(parsed) else None


def _is_in_use(number: PhoneNumber) -> bool:
    """
    May somebody have this number?

    Not only those of libphonenumber's tables: new ranges open faster than tables are updated, and the carrier knows
    better.  But its first two digits and its length must be those of numbers that people have; possible at all, which
    in Israel is whatever has 7 to 12 digits, lets a digit too many pass.
    """
    national = phonenumbers.national_significant_number(number)
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE or _is_one_digit(national):
        return False
    if phonenumbers.is_valid_number(number):
        return phonenumbers.number_type(number) != PhoneNumberType.VOICEMAIL
    return (national[:2], len(national)) in _used(number.country_code or 0)


def _is_one_digit(national: str) -> bool:
    """0000000000, 999999999: what forms and test data hold where nobody gave a number."""
    return national == national[0] * len(national)


@lru_cache(1000)
def _international_prefix(region: str | None) -> str:
    metadata = region and PhoneMetadata.metadata_for_region(region, None)
    prefix = metadata and (metadata.preferred_international_prefix or metadata.international_prefix)
    return prefix if prefix and prefix.isdecimal() else "00"


# Which beginnings of numbers are in use, taken from libphonenumber's patterns


_Shapes = frozenset[tuple[str, int]]  # the first three digits, or all where there are fewer; the length

_NOTHING: _Shapes = frozenset({("", 0)})
_TOKEN = re.compile(r"\\d|\[[^]]+\]|\(\?:|[()|?0-9]|\{\d+(?:,\d+)?\}")  # all that these patterns are made of


def shapes(pattern: str) -> _Shapes:
    """The first three digits and the length of every number that a pattern of libphonenumber's matches."""
    tokens = _TOKEN.findall(pattern)
    if "".join(tokens) != pattern:
        raise ValueError(f"a pattern of libphonenumber's with something new in it: {pattern}")
    return _either(iter([*tokens, ")"]))


def _either(tokens: Iterator[str]) -> _Shapes:
    """Alternatives, up to the closing parenthesis."""
    found: _Shapes = frozenset()
    row, last = _NOTHING, _NOTHING  # `last` may be repeated by what follows it
    for piece in tokens:
        if piece == "?" or piece[0] == "{":
            last = _repeated(last, piece)
            continue
        row, last = _joined(row, last), _NOTHING
        if piece == ")":
            return found | row
        if piece == "|":
            found, row = found | row, _NOTHING
        else:
            last = _either(tokens) if piece[0] == "(" else _digit(piece)
    raise ValueError("a parenthesis is not closed")


@cache
def _digit(piece: str) -> _Shapes:
    return frozenset((digit, 1) for digit in "0123456789" if re.fullmatch(piece, digit))


@lru_cache(1000)
def _repeated(shape: _Shapes, piece: str) -> _Shapes:
    low, _, high = "0,1".partition(",") if piece == "?" else piece.strip("{}").partition(",")
    row = _NOTHING
    found: set[tuple[str, int]] = set()
    for count in range(int(high or low) + 1):
        if count >= int(low):
            found |= row
        row = _joined(row, shape)
    return frozenset(found)


def _joined(first: _Shapes, second: _Shapes) -> _Shapes:
    lengths = {length for _, length in second}
    joined = set()
    for head, length in first:
        if len(head) == 3:
            joined |= {(head, length + more) for more in lengths}
        else:
            joined |= {((head + rest)[:3], length + more) for rest, more in second}
    return frozenset(joined)


@cache
def _used(code: int) -> frozenset[tuple[str, int]]:
    """The first two digits and the length of numbers that people of a country code may have."""
    thirds: dict[tuple[str, int], set[str]] = {}
    voicemail = set()
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code, ()):
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
        for kind in _KINDS:
            for head, length in _shapes_of(metadata, kind):
                thirds.setdefault((head[:2], length), set()).add(head)
        voicemail |= {(head[:2], length) for head, length in _shapes_of(metadata, "voicemail")}
    return frozenset(key for key, heads in thirds.items() if len(heads) >= _HEADS_MIN) - voicemail


def _shapes_of(metadata: PhoneMetadata | None, kind: str) -> _Shapes:
    numbers = getattr(metadata, kind, None)
    pattern = numbers and numbers.national_number_pattern
    return shapes(pattern) if pattern and pattern != "NA" else frozenset()


# Most numbers of a file are plain digits, which libphonenumber only takes apart and puts together again, slowly.  These
# patterns are made of its own tables, and match only where each of its steps would leave the digits as they are.


def _plain(digits: str, region: str | None) -> str | None:
    """Return what libphonenumber would find, where the digits alone decide it."""
    if digits[:1] == "+":
        found = _international(digits[:4])
        if found is None:
            return None
        code, pattern = found
        national = digits[1 + len(str(code)) :]
        return digits if pattern.fullmatch(national) and _is_usual(code, national) else None
    inside = _national(region) if region else None
    if inside is None:
        return None
    code, pattern = inside
    match = pattern.fullmatch(digits)
    if match is None:
        return None
    national = match["after"] or match["bare"]
    return f"+{code}{national}" if _is_usual(code, national) else None


def _is_usual(code: int, national: str) -> bool:
    return (national[:2], len(national)) in _used(code) and not _is_one_digit(national)


@lru_cache(2000)
def _international(head: str) -> tuple[int, re.Pattern[str]] | None:
    """The country code that begins a number in E.164, and what matches the rest that libphonenumber leaves as it is."""
    for end in range(2, len(head) + 1):
        code = head[1:end]
        if _CODE.fullmatch(code) and int(code) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            pattern = _of_country(int(code))
            return (int(code), pattern) if pattern else None
    return None


@cache
def _of_country(code: int) -> re.Pattern[str] | None:
    metadata = _main_metadata(code)
    lengths = _possible(metadata, code)
    if metadata is None or not lengths:
        return None
    return re.compile(f"{_unless(metadata.national_prefix_for_parsing)}{_digits(lengths)}")


@lru_cache(1000)
def _national(region: str) -> tuple[int, re.Pattern[str]] | None:
    """
    A country's code; and what matches one of its numbers as it is dialed inside that country, its rest being `after`
    the national prefix or `bare`.
    """
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if metadata is None or metadata.country_code is None or metadata.general_desc is None:
        return None
    code = metadata.country_code
    lengths = _possible(metadata, code) & _possible(_main_metadata(code), code)
    prefix, viable = metadata.national_prefix_for_parsing or "", metadata.general_desc.national_number_pattern
    if not lengths or not viable or metadata.national_prefix_transform_rule:
        return None
    # Neither with an international prefix nor with the country's own code, which libphonenumber would take off.
    begin = f"{_unless(metadata.international_prefix)}(?!{code})"
    bare = f"{_unless(prefix)}(?P<bare>{_digits(lengths)})"
    after = rf"{prefix}(?=(?:{viable})\Z)(?P<after>{_digits(lengths)})" if prefix.isdecimal() else "(?!)(?P<after>)"
    return code, re.compile(f"{begin}(?:{after}|{bare})")


def _main_metadata(code: int) -> PhoneMetadata | None:
    """
    Return what is known of the numbers of a country code; of several countries, what libphonenumber judges them all by.
    """
    main = phonenumbers.region_code_for_country_code(code)
    return PhoneMetadata.metadata_for_region_or_calling_code(code, main)


def _possible(metadata: PhoneMetadata | None, code: int) -> set[int]:
    """Return how many digits may follow the country code in a number that call_log takes."""
    if metadata is None or metadata.general_desc is None:
        return set()
    lengths = set(metadata.general_desc.possible_length) - set(metadata.general_desc.possible_length_local_only)
    return {length for length in lengths if 7 <= len(str(code)) + length <= 15 and length >= 2}


def _digits(lengths: set[int]) -> str:
    return "(?:" + "|".join(f"[0-9]{{{length}}}" for length in sorted(lengths, reverse=True)) + ")"


def _unless(prefix: str | None) -> str:
    return f"(?!{prefix})" if prefix else ""


class Writing(NamedTuple):
    """
    A way in which numbers are written inside a country: [first digits, groups, prefix] of each kind, as regular
    expressions.
    """

    region: str
    code: str
    formats: list[list[str]]


def writings() -> list[Writing]:
    """Return how numbers are written inside each country, by its two letters."""
    return [
        Writing(region, str(calling_code(region)), _formats(region))
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    ]


def _formats(region: str) -> list[list[str]]:
    main = phonenumbers.region_code_for_country_code(calling_code(region) or 0)  # the others of a code have no formats
    metadata = PhoneMetadata.metadata_for_region(main, None)
    return [
        [
            f"^(?:{form.leading_digits_pattern[-1] if form.leading_digits_pattern else ''})",
            f"^(?:{form.pattern})$",
            # Like 0\1, and in some countries (0\1).
            "".join(c for c in (form.national_prefix_formatting_rule or "").partition("\\1")[0] if c.isdecimal()),
        ]
        for form in (metadata.number_format if metadata else ())
    ]
