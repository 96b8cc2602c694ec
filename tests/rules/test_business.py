"""The tenants: who they are, which numbers are theirs, and what they say on the phone."""

from typing import Any

import pytest

from outbound.formats.twiml_template import TWIML_MAX
from outbound.rules import business
from outbound.rules.business import BadBusiness
from tests.conftest import World, forget_settings

pytestmark = pytest.mark.rows_only

HELLO = "<Response><Say>Hello</Say></Response>"


def snapshot(world: World) -> object:
    return world.rows("select * from business order by id"), world.rows("select * from business_number order by phone")


def test_a_business_is_added_with_its_numbers_and_listed(world: World) -> None:
    added = business.add(
        "מרפאת הדר",
        time_zone="Asia/Jerusalem",
        default_region="il",
        twiml=HELLO,
        phones=["03-5550006", "+972 3 555 0006", "+15005550006"],
    )

    (row,) = business.every()
    assert (row.id, row.name, row.time_zone, row.default_region) == (added, "מרפאת הדר", "Asia/Jerusalem", "IL")
    assert (row.voice_url, row.has_twiml) == (None, True)
    assert row.phones == ["+15005550006", "+97235550006"]


def test_a_business_without_numbers_or_region_is_one_too(world: World) -> None:
    added = business.add("Acme", voice_url="https://acme.example.com:8443/voice?x=1")

    (row,) = business.every()
    assert (row.id, row.time_zone, row.default_region, row.phones) == (added, "UTC", None, [])
    assert (row.voice_url, row.has_twiml) == ("https://acme.example.com:8443/voice?x=1", False)


def test_only_what_is_given_is_changed_and_numbers_are_added(world: World) -> None:
    added = business.add("Acme", default_region="US", twiml=HELLO, phones=["+15005550006"])

    business.change(added, time_zone="America/New_York", phones=["+15005550007"])

    (row,) = business.every()
    assert (row.name, row.time_zone, row.default_region, row.has_twiml) == ("Acme", "America/New_York", "US", True)
    assert sorted(row.phones) == ["+15005550006", "+15005550007"]


def test_a_number_without_its_country_s_code_is_of_the_business_s_region(world: World) -> None:
    added = business.add("Acme", default_region="IL", twiml=HELLO, phones=["03-555-0134"])

    business.change(added, phones=["03-555-0135"])
    business.change(added, default_region="US", phones=["(500) 555-0006"])

    (row,) = business.every()
    assert sorted(row.phones) == ["+15005550006", "+97235550134", "+97235550135"]


def test_a_number_that_is_its_own_already_is_no_fault(world: World) -> None:
    added = business.add("Acme", twiml=HELLO, phones=["+15005550006"])

    business.change(added, name="Acme Dental", phones=["+15005550006", "+15005550007"])

    (row,) = business.every()
    assert (row.name, sorted(row.phones)) == ("Acme Dental", ["+15005550006", "+15005550007"])


def test_a_voice_url_replaces_twiml_and_the_other_way_round(world: World) -> None:
    added = business.add("Acme", twiml=HELLO)

    business.change(added, voice_url="https://acme.example.com/voice")
    (with_url,) = business.every()
    business.change(added, twiml=HELLO)
    (with_twiml,) = business.every()

    assert (with_url.voice_url, with_url.has_twiml) == ("https://acme.example.com/voice", False)
    assert (with_twiml.voice_url, with_twiml.has_twiml) == (None, True)


def test_every_fault_of_a_new_business_is_named_at_once(world: World) -> None:
    with pytest.raises(BadBusiness) as refusal:
        business.add(
            " ", time_zone="Israel Standard Time", default_region="ISR", phones=["+15005550006", "nobody", "123"]
        )

    assert str(refusal.value).split("; ") == [
        "a business needs a name, in one line",
        "Israel Standard Time is not an IANA time zone, like Asia/Jerusalem",
        "`ISR` is not a region: two letters, like IL",
        "a call must play something: give a voice URL or TwiML (--voice-url, --twiml)",
        "own number 2 is not a phone number: write it like +97231234567",
        "own number 3 is not a phone number: write it like +97231234567",
    ]
    assert business.every() == []


def test_a_bad_change_is_refused_and_changes_nothing(world: World) -> None:
    added = business.add("Acme", twiml=HELLO, phones=["+15005550006"])
    before = snapshot(world)

    bad: list[tuple[dict[str, Any], str]] = [
        ({"name": ""}, "needs a name"),
        ({"name": "Ac\0me"}, "needs a name"),
        ({"name": "Ac\udcffme"}, "needs a name"),
        ({"time_zone": ""}, "is not an IANA time zone"),
        ({"time_zone": "../UTC"}, "is not an IANA time zone"),
        ({"default_region": "XX"}, "is not a region"),
        ({"default_region": "001"}, "is not a region"),
        ({"default_region": "uk"}, "`UK` is not a region: the United Kingdom is GB"),
        ({"voice_url": ""}, "the voice URL must"),
        ({"voice_url": "ftp://acme.example.com/voice"}, "the voice URL must"),
        ({"voice_url": "https://"}, "the voice URL must"),
        ({"voice_url": "https://[acme"}, "the voice URL must"),
        ({"voice_url": "https://acme.example.com:port/"}, "the voice URL must"),
        ({"voice_url": "https://acme.example.com/a b"}, "the voice URL must"),
        ({"voice_url": "https://acme.example.com/\0"}, "the voice URL must"),
        ({"voice_url": "https://acme.example.com", "twiml": HELLO}, "not both"),
        ({"twiml": ""}, "is not XML"),
        ({"twiml": "Hello"}, "is not XML"),
        ({"twiml": "<Response>"}, "is not XML"),
        ({"twiml": "<Response>\0</Response>"}, "is not XML"),
        ({"twiml": "<Response>\udcff</Response>"}, "is not XML"),
        ({"twiml": "<Say>Hello</Say>"}, "one <Response> element"),
        ({"twiml": "<response/>"}, "one <Response> element"),
        ({"twiml": f"<Response><Say>{'a' * TWIML_MAX}</Say></Response>"}, f"{TWIML_MAX} are allowed"),
    ]
    for change, why in bad:
        with pytest.raises(BadBusiness, match=why):
            business.change(added, **change)

    assert snapshot(world) == before


def test_the_longest_twiml_is_accepted_in_any_letters(world: World) -> None:
    room = TWIML_MAX - len("<Response><Say></Say></Response>")
    twiml = f"<Response><Say>{'ש' * room}</Say></Response>"

    added = business.add("Acme", twiml=twiml)

    assert world.value("select twiml from business where id = %s", added) == twiml


def test_a_bomb_of_entities_is_refused_at_once(world: World) -> None:
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 9))
    bomb = f'<!DOCTYPE l [<!ENTITY l0 "lol">{lol}]><Response>&l8;</Response>'

    with pytest.raises(BadBusiness, match="has a DOCTYPE"):
        business.add("Acme", twiml=bomb)


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE Response>",
        '<!DOCTYPE Response SYSTEM "https://acme.example.com/x.dtd">',
        '<!DOCTYPE Response [<!ENTITY a "b">]>',
        '<?xml version="1.0"?><!DOCTYPE Response [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>',
        "<!-- first --><!DOCTYPE Response [ ]>",
    ],
)
def test_twiml_with_a_doctype_is_refused(world: World, doctype: str) -> None:
    with pytest.raises(BadBusiness, match="has a DOCTYPE: leave it out"):
        business.add("Acme", twiml=f"{doctype}<Response><Say>Hello</Say></Response>")

    assert business.add("Acme", twiml="<Response><!-- <!DOCTYPE x> --><Say>&amp;&#65;</Say></Response>")


def test_a_voice_url_without_tls_is_one_of_this_host_or_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in ("http://acme.example.com/v", "http://127.0.0.1.example.com/v", "http://10.0.0.1/v", "HTTP://acme/v"):
        with pytest.raises(BadBusiness, match=r"must be https://.*OUTBOUND_HTTP_VOICE_URLS=true"):
            business.add("Acme", voice_url=url)
    for url in (
        "http://127.0.0.1:8000/v",
        "http://127.1.2.3/v",
        "http://[::1]/v",
        "http://localhost/v",
        "https://acme/v",
    ):
        business.add("Acme", voice_url=url)

    monkeypatch.setenv("OUTBOUND_HTTP_VOICE_URLS", "true")
    forget_settings()
    business.add("Acme", voice_url="http://acme.example.com/v")


def test_a_voice_url_whose_login_is_not_escaped_is_refused_and_not_repeated(world: World) -> None:
    for login in ("u:p@hush", "u:p/hush", "u:p#hush", "u:1/hush"):
        with pytest.raises(BadBusiness) as refusal:
            business.add("Acme", voice_url=f"https://{login}@acme.example.com/v")
        assert "hush" not in str(refusal.value)
    business.add("Acme", voice_url="https://u:p%40hush@acme.example.com/v?a=1&b")


def test_a_number_of_another_business_is_refused_and_nothing_is_changed(world: World) -> None:
    business.add("Acme", twiml=HELLO, phones=["+15005550006"])
    other = business.add("Other", twiml=HELLO)
    before = snapshot(world)

    with pytest.raises(BadBusiness, match=r"belongs to business \d+ already") as on_add:
        business.add("Third", twiml=HELLO, phones=["+15005550007", "+15005550006"])
    with pytest.raises(BadBusiness, match=r"belongs to business \d+ already") as on_change:
        business.change(other, name="Another", phones=["+15005550006"])

    assert snapshot(world) == before
    for refusal in (on_add, on_change):
        assert "5550006" not in str(refusal.value)


def test_a_business_that_is_not_there_cannot_be_changed(world: World) -> None:
    for unknown in (4711, 10**30, -1):
        with pytest.raises(BadBusiness, match="outbound business list"):
            business.change(unknown, name="Acme", phones=["+15005550006"])

    assert snapshot(world) == ([], [])
