"""One reader of numbers: what is no number of the country is refused, what is one is read however it is written."""

import random

import phonenumbers
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from outbound.formats import numbering_plan, phone_numbers
from outbound.formats.phone_numbers import NoPhoneNumber

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
EACH = 2  # numbers of each beginning
MOBILE, LANDLINE = "+972505550134", "+97235550134"


def refused(text: str, region: str | None) -> str:
    with pytest.raises(NoPhoneNumber) as refusal:
        phone_numbers.read(text, region)
    return str(refusal.value)


def _reason(text: str, region: str | None) -> str:
    try:
        phone_numbers.read(text, region)
    except NoPhoneNumber as refusal:
        return str(refusal)
    return ""


# What is a number, however it is written


IN_ISRAEL = [
    "0505550134",
    "505550134",  # a spreadsheet took the 0
    "050-5550134",
    "050-555-01-34",
    "050.555.0134",
    "050/5550134",
    "(050) 555 0134",
    "(0505550134)",
    "(+972) 50 5550134",
    "[050] 555 0134",
    "972505550134",
    "972-50-555-0134",
    "00972505550134",
    "+972 (0)50 5550134",
    "+972 050 5550134",
    "\uff0b972505550134",
    "'0505550134",  # a spreadsheet's text
    "\u20190505550134",
    " 0505550134\n",
    "0505550134.",
    "0505550134;",
    "050\u20095550134",  # thin space, and every other
    "050\u00a05550134",
    "050\u202f5550134",
    "050\u30005550134",
    "050\t5550134",
    "050\u05be5550134",  # maqaf, and every other dash
    "050~5550134",
    "050\u22125550134",
    "050\u20145550134",
    "\u202a050\u200e-\u200f555\u200f0134\u202c",  # marks of direction
    "\u2066050\u2069\ufeff-555\u00ad0134\u200b",
    "tel:050-5550134",
    "TEL: 050-5550134",
    "tel:+972-50-555-0134",
    "tel:+972-50-555-0134;phone-context=+972",
    "tel:+972-50-555-0134;phone-context=example.com",
    "tel:050-5550134;phone-context=+972",
    "tel:5550134;phone-context=+97250",
    "whatsapp:+972505550134",
    "\u0660\u0665\u0660\u0665\u0665\u0665\u0660\u0661\u0663\u0664",
    "\uff10\uff15\uff10\uff15\uff15\uff15\uff10\uff11\uff13\uff14",
]


@pytest.mark.parametrize("text", IN_ISRAEL)
def test_a_number_is_read_however_it_is_written(text: str) -> None:
    assert phone_numbers.read(text, "IL") == MOBILE


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+1 500 555 0134", "IL", "+15005550134"),
        ("035550134", "IL", LANDLINE),
        ("1-700-555-013", "IL", "+9721700555013"),
        ("050-1234567", "IL", "+972501234567"),  # in no table yet, and of their shape
        ("(500) 555-0134", "US", "+15005550134"),
        ("1 500 555 0134", "US", "+15005550134"),
        ("500.555.0134", "US", "+15005550134"),
        ("011 972 50 5550134", "US", MOBILE),
        ("905-555-0123", "US", "+19055550123"),  # Canada
        ("020 7946 0123", "GB", "+442079460123"),
        ("07700 900134", "GB", "+447700900134"),
        ("+44 (0)20 7946 0123", "GB", "+442079460123"),
        ("011 15-2345-6789", "AR", "+5491123456789"),
        ("11 2345-6789", "AR", "+541123456789"),
        ("(11) 96123-4567", "BR", "+5511961234567"),
        ("(11) 6123-4567", "BR", "+551161234567"),  # without the ninth digit: dialed as it is written
        ("0 15 11 96123-4567", "BR", "+5511961234567"),  # through a carrier
        ("55 1234 5678", "MX", "+525512345678"),
        ("+52 1 55 1234 5678", "MX", "+5215512345678"),  # as until 2020
        ("030/1234567", "DE", "+49301234567"),
        ("0171 / 1234567", "DE", "+491711234567"),
        ("030 123456-78", "DE", "+493012345678"),  # an extension that belongs to the number
        ("0049 30 1234567", "DE", "+49301234567"),
        ("01.23.45.67.89", "FR", "+33123456789"),
        ("+39 06 1234 5678", None, "+390612345678"),  # a 0 that stays
        ("+15005550006", None, "+15005550006"),
    ],
)
def test_each_country_has_its_own_way(text: str, region: str | None, number: str) -> None:
    assert phone_numbers.read(text, region) == number


# What is none


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0505550134.00", "looks like 050-5550134 with a decimal part"),
        ("0505550134.0", "looks like 050-5550134 with a decimal part"),
        ("505550134,00", "looks like 050-5550134 with a decimal part"),
        ("050.555.0134.00", "looks like 050-5550134 with a decimal part"),
        ("972505550134.0", "looks like 050-5550134 with a decimal part"),
        ("+972505550134.0", "looks like +972 50-555-0134 with a decimal part"),
        ("972,505,550,134", "looks like 050-5550134 with thousands separators"),
        ("9.72505550134E+11", "looks like 050-5550134, and was rounded by a spreadsheet"),
        ("9.7250E+11", "was rounded by a spreadsheet"),
        ("-505550134", "looks like a negative number"),
        ("03-5550134/5", "extension"),
        ("03-5550134 / 5", "extension"),
        ("03-5550134(5)", "extension"),
        ("03-5550134 (5)", "extension"),
        ("03-5550134*5", "extension"),
        ("03-5550134#5", "extension"),
        ("03-5550134 ext. 5", "extension"),
        ("03-5550134 x5", "extension"),
        ("03-5550134;ext=5", "extension"),
        ("tel:+97235550134;ext=5", "extension"),
        ("03-5550134,,5", "extension"),
        ("03-5550134p5", "extension"),
        ("03-5550134 \u05e9\u05dc\u05d5\u05d7\u05d4 5", "extension"),
        ("03-5550134 \u05e9\u05dc' 5", "extension"),
        ("03-5550134-5", "one digit too many for IL"),
        ("03-5550134 5", "one digit too many for IL"),
        ("05055501345", "one digit too many for IL"),
        ("050555013", "one digit too few for IL"),
        ("03-555013", "one digit too few for IL"),
        ("050-5550134 / 03-5550134", "two numbers"),
        ("050-5550134/03-5550134", "two numbers"),
        ("050-5550134, 03-5550134", "two numbers"),
        ("050-5550134;03-5550134", "two numbers"),
        ("050-5550134 or 03-5550134", "two numbers"),
        ("050-5550134 \u05d0\u05d5 03-5550134", "two numbers"),
        ("050-5550134\n03-5550134", "two numbers"),
        ("050-5550134 - 03-5550134", "two numbers"),
        ("0505550134 0525550134", "two numbers"),
        ("+972505550134+97235550134", "two numbers"),
        ("15005550134", "looks like +1 500-555-0134: write the plus"),
        ("15105550134", "looks like +1 510-555-0134: write the plus"),  # voice mail boxes begin with 151 in Israel
        ("447700900134", "looks like +44 7700 900134: write the plus"),
        ("33612345678", "looks like +33 6 12 34 56 78: write the plus"),
        ("2026-11-30", "looks like a date"),
        ("30/11/2026", "looks like a date"),
        ("11/30/2026", "looks like a date"),
        ("30.11.26", "looks like a date"),
        ("2026-11-30 09:00", "looks like a date"),
        ("2026-11-30T09:00:00Z", "looks like a date"),
        ("20261130", "looks like a date"),
        ("30 11 2026", "looks like a date"),
        ("30112026", "looks like a date"),
        ("11/2026", "looks like a date"),
        ("09:00", "looks like a time of day"),
        ("50%", "looks like a percentage"),
        ("\u20aa500000000", "looks like an amount of money"),
        ("$505550134", "looks like an amount of money"),
        ("0000000000", "not a phone number of IL"),
        ("0555555555", "not a phone number of IL"),
        ("123456782", "not a phone number of IL"),  # an identity number
        ("012345674", "not a phone number of IL"),
        ("012 34 911234567", "not a phone number of IL"),  # 012 chooses a carrier for a call abroad
        ("1/2", "not a phone number"),
        ("100", "not a phone number"),
        ("*2421", "a code of the network"),
        ("#31#0505550134", "a code of the network"),
        ("+*2421", "not a phone number"),
        ("++972505550134", "not a phone number"),
        ("1-800-FLOWERS", "not a phone number"),
        ("050-555O134", "letters"),
        ("050 5550134 Dana", "letters"),
        ("050-5550134\u00b2", "not a phone number"),  # a footnote
        ("\u2460505550134", "not a phone number"),
        ("sip:0505550134@example.com", "SIP"),
        ("0505550134@example.com", "SIP"),
        ("tel:050-5550134;phone-context=example.com", "of a domain"),
        ("tel:050-5550134;isub=1", "parameter"),
        ("=0505550134", "not a phone number"),
        ("nobody", "not a phone number"),
        ("-", "is empty"),
        ("", "is empty"),
        ("'", "is empty"),
        (" \u200f", "is empty"),
        ("0" * 1000, "has 1000 characters"),
        ("+972", "not a phone number"),
        ("+9725055501345", "not a phone number of the country"),
    ],
)
def test_what_is_no_number_is_refused_with_what_was_probably_meant(text: str, why: str) -> None:
    assert why in refused(text, "IL")


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("555-0134", "US"),  # it lacks the area code
        ("911", "US"),
        ("0505550134", "US"),
        ("111 222 3333", "US"),
        ("222 222 2222", "US"),
        ("500 555 01345", "US"),
        ("020 7946 012", "GB"),
        ("020 7946 01234", "GB"),
        ("11 2345-678", "AR"),
        ("(11) 96123-45678", "BR"),
        ("55 1234 567", "MX"),
        ("+52 1 55 1234 567", "MX"),
        ("+49 6221/54-0", "DE"),
        ("0505550134", None),
        ("00972505550134", None),
        ("500-555-0134", None),
        ("+049 171 1234567", "DE"),  # a code does not begin with 0
        ("+07700 900136", "GB"),
        ("07700900136", "IL"),
        ("491711234567", "DE"),  # 0491 711234567, or +49 171 1234567
        ("447700900134", "DE"),
        ("15005550134", "LU"),  # whose carriers are chosen by such digits
    ],
)
def test_what_is_no_number_of_another_country_is_refused_too(text: str, region: str | None) -> None:
    why = refused(text, region)

    assert region or "with its country code" in why or "write the plus" in why
    assert "write" in why


@pytest.mark.parametrize(
    ("text", "region", "why"),
    [
        ("491711234567", "DE", "may be 0491 711234567 or +49 171 1234567"),
        ("415-555-26711", "US", "has one digit too many for US"),
        ("33612345678", "US", "or is +33 6 12 34 56 78 without its plus"),
        ("447700900134", "US", "looks like +44 7700 900134: write the plus"),
    ],
)
def test_of_two_meanings_none_is_taken_for_the_other(text: str, region: str, why: str) -> None:
    assert why in refused(text, region)


def test_no_reason_is_without_what_to_do() -> None:
    for text in ("0505550134.00", "03-5550134/5", "2026-11-30", "nobody", "050555013", "447700900134", "12%"):
        why = refused(text, "IL")
        assert phone_numbers.EXAMPLE in why or "write the plus" in why


# Whatever stands in a cell


CHARACTERS = "0123456789" * 3 + "+-./() ,;:#*xe%'\u200e\u05be\u2009\u0665\uff15"


def _digits_of(text: str) -> str:
    return "".join(str(int(character)) for character in text if character.isdecimal())


@settings(max_examples=1500, deadline=None)
@given(text=st.text(CHARACTERS, max_size=24), region=st.sampled_from(["IL", "US", "GB", "AR", "BR", "MX", "DE", None]))
@example(text="0505550134.00", region="IL")
def test_a_number_has_the_digits_of_its_cell_but_for_the_country_s_prefixes(text: str, region: str | None) -> None:
    try:
        number = phone_numbers.read(text, region)
    except NoPhoneNumber:
        return

    parsed = phonenumbers.parse(number)
    national = phonenumbers.national_significant_number(parsed)
    assert phone_numbers.read(number, None) == number
    if region != "AR":  # whose 15 behind the area code becomes a 9 in front of it
        assert _digits_of(text).endswith(national)
        assert len(_digits_of(text)) <= len(str(parsed.country_code) + national) + 5


FORMATS = [
    phonenumbers.PhoneNumberFormat.E164,
    phonenumbers.PhoneNumberFormat.INTERNATIONAL,
    phonenumbers.PhoneNumberFormat.NATIONAL,
    phonenumbers.PhoneNumberFormat.RFC3966,
]


@settings(max_examples=600, deadline=None)
@given(
    region=st.sampled_from(REGIONS),
    kind=st.sampled_from([phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE]),
    tail=st.text("0123456789", min_size=3, max_size=3),
    form=st.sampled_from(FORMATS),
    dash=st.sampled_from(["-", "\u05be", "\u2013", "~"]),
)
def test_a_valid_number_in_any_usual_format_is_that_number(
    region: str, kind: int, tail: str, form: int, dash: str
) -> None:
    known = phonenumbers.example_number_for_type(region, kind)
    assume(known is not None)
    assert known is not None
    number = phonenumbers.format_number(known, phonenumbers.PhoneNumberFormat.E164)[:-3] + tail
    parsed = phonenumbers.parse(number)
    assume(phonenumbers.is_valid_number_for_region(parsed, region) and len(set(number[-7:])) > 1)
    written = phonenumbers.format_number(parsed, form)
    if not written.startswith("tel:"):
        written = written.replace("-", dash)

    if len(_digits_of(written)) <= 8:
        assume("looks like a date" not in _reason(written, region))  # 21-10-00 of Surinam

    assert phone_numbers.read(written, region) == number


# Callers


@pytest.mark.parametrize(
    ("said", "who"),
    [
        (MOBILE, MOBILE),
        ("0505550134", MOBILE),
        ("972505550134", MOBILE),
        ("whatsapp:+972505550134", MOBILE),
        ("tel:050-5550134", MOBILE),
        ("sip:+972505550134@host", MOBILE),
        ("sips:0505550134@10.0.0.1:5060;user=phone", MOBILE),
        ("messenger:1234567890123", "1234567890123"),
        (f"<sip:{MOBILE}@host>", MOBILE),
        (f'"Acme" <sip:{MOBILE}@host>;tag=1', MOBILE),
        ("0000000000", None),
        ("+0000000000", None),
        ("12345", "12345"),  # an extension of one's own exchange
        *((digits, None) for digits in ("266696687", "+2562533", "7378742833", "86282452253", "sip:8656696@host")),
        *((word, None) for word in ("anonymous", "Restricted", "UNKNOWN", "private", "unavailable", "blocked", " ")),
        ("client:alice", None),
        ("client:123456", None),
        ("sip:anonymous@anonymous.invalid", None),
        ("1" * 9014, None),
        ("1" * 65, None),
    ],
)
def test_a_caller_is_a_number_or_known_by_the_carrier_s_word_or_nobody(said: str, who: str | None) -> None:
    assert phone_numbers.caller(said, "IL") == who


# The numbering plan


def _begun(*beginnings: str, seed: str) -> list[str]:
    """Digits of every length behind each beginning, one to three digits deep; always the same ones."""
    chance = random.Random(seed)
    deep = [begin + digits for begin in beginnings for digits in ("", *map(str, range(10)))]
    return [
        begin + "".join(chance.choices("0123456789", k=chance.randrange(16))) for begin in deep for _ in range(EACH)
    ]


@pytest.mark.parametrize("code", CODES)
def test_a_number_in_e164_is_what_libphonenumber_says(code: int) -> None:
    metadata = numbering_plan._main_metadata(code)
    prefix = (metadata and metadata.national_prefix) or ""

    for text in _begun(f"+{code}", f"+{code}{prefix}", seed=str(code)):
        assert numbering_plan.e164(text, None) == numbering_plan._parsed(text, None), text


@pytest.mark.parametrize("region", REGIONS)
def test_a_number_as_it_is_dialed_inside_a_country_is_what_libphonenumber_says(region: str) -> None:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    assert metadata is not None
    known = phonenumbers.example_number(region)
    written = phonenumbers.format_number(known, phonenumbers.PhoneNumberFormat.NATIONAL) if known else ""
    begin = "".join(filter(str.isdigit, written))

    prefix, code = metadata.national_prefix or "", str(metadata.country_code)
    texts = _begun("", prefix, code, "00", "011", prefix + code, begin[:3], begin[:5], begin[:7], seed=region)
    for text in filter(None, [begin, *texts]):
        assert numbering_plan.e164(text, region) == numbering_plan._parsed(text, region), text


def test_plain_numbers_of_most_countries_need_no_libphonenumber(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering_plan, "_parsed", lambda *_: None)

    assert phone_numbers.read("+972501234567", None) == "+972501234567"
    assert phone_numbers.read("+12015550123", "IL") == "+12015550123"
    assert phone_numbers.read("050-123-4567", "IL") == "+972501234567"
    assert phone_numbers.read("2015550123", "US") == "+12015550123"
    assert phone_numbers.read("+442079460123", None) == "+442079460123"


@pytest.mark.parametrize(
    ("pattern", "shapes"),
    [
        ("", {("", 0)}),
        ("12", {("12", 2)}),
        ("1|23", {("1", 1), ("23", 2)}),
        ("1[2-4]?", {("1", 1), ("12", 2), ("13", 2), ("14", 2)}),
        ("(?:1|2[05])3{1,2}", {("13", 2), ("133", 3), ("203", 3), ("253", 3), ("203", 4), ("253", 4)}),
        ("1(?:23){2}", {("123", 5)}),
        (r"12[34]\d{4}", {("123", 7), ("124", 7)}),
    ],
)
def test_the_shapes_of_a_pattern_are_those_of_what_it_matches(pattern: str, shapes: set[tuple[str, int]]) -> None:
    assert numbering_plan.shapes(pattern) == shapes


@pytest.mark.parametrize("region", ["IL", "GB", "MX", "US"])
def test_every_number_that_people_of_a_country_have_is_in_its_plan(region: str) -> None:
    code = phonenumbers.country_code_for_region(region)
    for kind in (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE):
        known = phonenumbers.example_number_for_type(region, kind)
        assert known is not None
        national = phonenumbers.national_significant_number(known)
        assert (national[:2], len(national)) in numbering_plan._used(code)
