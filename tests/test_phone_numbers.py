"""The patterns for numbers that are plain digits say what libphonenumber says."""

import random

import phonenumbers
import pytest

from outbound import phone_numbers

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
EACH = 2  # numbers of each beginning


def _begun(*beginnings: str, seed: str) -> list[str]:
    """Digits of every length behind each beginning, one to three digits deep; always the same ones."""
    chance = random.Random(seed)
    deep = [begin + digits for begin in beginnings for digits in ("", *map(str, range(10)))]
    return [
        begin + "".join(chance.choices("0123456789", k=chance.randrange(16))) for begin in deep for _ in range(EACH)
    ]


def _written(text: str, place: int) -> list[str]:
    a, b, c = text[:place], text[place : place + 3], text[place + 3 :]
    return [text, f"{a}-{b}-{c}", f"{a} {b} {c}", f"{a} ({b}) {c}", f"({a}) {b}{c}", f"-{a}{b}--({c}", f"{a})({b} {c}-"]


@pytest.mark.parametrize("code", CODES)
def test_a_number_in_e164_is_what_libphonenumber_says(code: int) -> None:
    metadata = phone_numbers._main_metadata(code)
    prefix = (metadata and metadata.national_prefix) or ""

    for text in _begun(f"+{code}", f"+{code}{prefix}", seed=str(code)):
        for way in _written(text, len(str(code)) + 1):
            assert phone_numbers.normalize(way, None) == phone_numbers._parsed(way, None), way


@pytest.mark.parametrize("region", REGIONS)
def test_a_number_as_it_is_dialed_inside_a_country_is_what_libphonenumber_says(region: str) -> None:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    assert metadata is not None
    example = phonenumbers.example_number(region)
    written = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL) if example else ""
    begin = "".join(filter(str.isdigit, written))

    prefix, code = metadata.national_prefix or "", str(metadata.country_code)
    texts = _begun("", prefix, code, "00", "011", prefix + code, begin[:3], begin[:5], begin[:7], seed=region)
    for text in [written, begin, *texts]:
        for way in _written(text, 3):
            assert phone_numbers.normalize(way, region) == phone_numbers._parsed(way, region), way


def test_plain_numbers_of_most_countries_need_no_libphonenumber(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_numbers, "_parsed", lambda *_: None)

    assert phone_numbers.normalize("+972501234567", None) == "+972501234567"
    assert phone_numbers.normalize("+12015550123", "IL") == "+12015550123"
    assert phone_numbers.normalize("050-123-4567", "IL") == "+972501234567"
    assert phone_numbers.normalize("2015550123", "US") == "+12015550123"
    assert phone_numbers.normalize("+442079460123", None) == "+442079460123"
