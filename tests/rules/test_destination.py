"""Where calls may go: what a number is, which destinations are open, and who is refused in the claim and why."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from typer.testing import CliRunner

from outbound.calls import dial, dispatch, enqueue, import_calls
from outbound.checks import database
from outbound.cli.app import app
from outbound.monitoring import why
from outbound.rules import business, campaign, destination
from outbound.rules.limits import set_limits
from outbound.rules.scope import Scope
from outbound.simulator.server import RunningSimulator
from tests import number_ranges
from tests.conftest import PUBLIC_URL, Environment, World, begin, forget_settings

pytestmark = pytest.mark.rows_only

SPECIAL = {
    PhoneNumberType.PREMIUM_RATE: "premium",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.PERSONAL_NUMBER: "personal",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "uan",
    PhoneNumberType.VOICEMAIL: "voicemail",
}
# Calls to such numbers are what toll fraud is made of: satellites, other networks, islands, premium lines.
TOLL_FRAUD = (
    "+881612345678",
    "+870773123456",
    "+88213300655",
    "+8835100001234",
    "+979123456789",
    "+19005550123",
    "+12129765550",
)
MORE = (
    "+80812345678",
    "+18765550123",
    "+18095550123",
    "+14735550123",
    "+12645550123",
    "+16492315555",
    "+25270123456",
    "+2347012345678",
    "+22670123456",
    "+23278123456",
    "+224601123456",
    "+5351234567",
    "+37168123456",
    "+37060123456",
    "+38970123456",
    "+96171123456",
    "+9613123456",
    "+8562012345678",
    "+9607712345",
    "+6857212345",
    "+67570123456",
    "+6777421123",
    "+2693211234",
    "+2399812345",
    "+447012345678",
    "+449012345678",
    "+448712345678",
    "+39899123456",
    "+33899123456",
    "+499001234567",
    "+611900123456",
    "+972122212345",
    "+9721919123456",
)
NEVER = (
    "+1011964771234567"[:16],
    "+97211255501",
    "+972005550134",
    "+97201212345678",
    "+19115550123",
    "+1911555",
    "+44999123456",
    "+44112123456",
    "+491101234567",
    "+390039123456",
    "+9721201",
    "+44118118",
)


def caller(world: World, region: str | None = "US") -> int:
    """A business of a country, with something to say."""
    insert = "insert into business (name, twiml, default_region) values ('Acme', '<Response/>', %s) returning id"
    return int(world.value(insert, region))


@pytest.fixture(autouse=True)
def _phones_ring(database: str) -> Iterator[None]:
    """The settings of a process whose carrier rings phones."""
    with Environment(OUTBOUND_CARRIER="twilio", OUTBOUND_PUBLIC_URL="https://calls.example.com"):
        yield


def kind(world: World, phone: str) -> tuple[str | None, str]:
    row = world.rows("select * from number_place(%s)", phone)[0]
    return row.region, row.kind


# What a number is


def test_the_ranges_are_those_of_libphonenumber(world: World) -> None:
    expected = {(one.first, one.region, one.kinds) for one in number_ranges.ranges()}

    assert {tuple(row) for row in world.rows("select first, region, kinds from number_range")} == expected


def _as_libphonenumber_says(phone: str) -> tuple[str | None, str]:
    number = phonenumbers.parse(phone)
    national = phonenumbers.national_significant_number(number)
    if number.country_code == 1 and re.fullmatch(r"[2-9]\d{2}976\d{4}", national):
        return "US", "premium"
    if not phonenumbers.is_valid_number(number) or phone != f"+{number.country_code}{national}":
        return None, "unknown"
    region = phonenumbers.region_code_for_number(number)
    if re.fullmatch(r"\+1310\d{4}", phone):  # Canada's; longer ones that begin so are of Los Angeles
        return "US", "uan"
    if phone.startswith("+1500"):
        return "US", "test"
    kind = SPECIAL.get(phonenumbers.number_type(number), "ordinary")
    return (None if region == "001" else region), kind


def test_each_number_is_of_the_country_and_the_kind_that_libphonenumber_says(world: World) -> None:
    dice = random.Random(12)
    phones = set()
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind_of in PhoneNumberType.values():
            example = phonenumbers.example_number_for_type(region, kind_of)
            if example is None:
                continue
            digits = phonenumbers.format_number(example, PhoneNumberFormat.E164)
            phones.add(digits)
            for _ in range(6):  # its neighbours, near and far
                place = dice.randrange(len(str(example.country_code)) + 1, len(digits))
                phones.add(digits[:place] + "".join(dice.choice("0123456789") for _ in digits[place:]))
    phones = {phone for phone in phones if re.fullmatch(r"\+[1-9][0-9]{6,14}", phone)}

    # In their order: libphonenumber compiles the patterns of a country again where too many others came between.
    rows = world.rows(
        "select phone, place.* from unnest(%s::text[]) as phone, number_place(phone) as place", sorted(phones)
    )

    wrong = {}
    for row in rows:
        expected = _as_libphonenumber_says(row.phone)
        is_gap = expected[1] == "unknown" and row.kind in ("ordinary", "never")  # among ordinary numbers: DIGITS_TOLD
        if row.kind == expected[1] != "ordinary":  # opened by its own range alone: its country opens nothing
            continue
        if not is_gap and (row.region, row.kind) != expected:
            wrong[row.phone] = (row.region, row.kind), expected
    assert len(rows) == len(phones) > 5000
    assert wrong == {}


@pytest.mark.parametrize("phone", NEVER)
def test_what_looks_like_an_emergency_number_or_a_call_abroad_is_never_dialed(world: World, phone: str) -> None:
    assert kind(world, phone) == (None, "never")


@pytest.mark.parametrize("code", ["870", "881", "882", "883", "979", "808"])
def test_a_code_of_satellites_and_premium_lines_has_no_ordinary_number(world: World, code: str) -> None:
    phones = [f"+{code}{'0123456789'[:digits]}" for digits in range(4, 13)] + [f"+{code}9999999"]
    kinds = {kind(world, phone)[1] for phone in phones if len(phone) <= 16}

    assert kinds <= {"satellite", "premium", "shared_cost"}
    assert len(kinds) == 1


def test_a_number_of_no_country_is_unknown(world: World) -> None:
    for phone in ("+9991234567", "+2101234567", "+8011234567", "+6951234567", "+999999999999999"):
        assert kind(world, phone) == (None, "unknown")


# Where each business may call


def fault(world: World, phone: str, business_id: int) -> str | None:
    found: str | None = world.value("select fault from destination_fault(%s, %s)", phone, business_id)
    return found


def test_a_business_calls_its_own_country_and_no_other(world: World) -> None:
    us, gb, il = caller(world, "US"), caller(world, "gb"), caller(world, "IL")

    assert [fault(world, "+12125550123", whose) for whose in (us, gb, il)] == [None, *["destination_not_allowed"] * 2]
    assert fault(world, "+442079460123", gb) is None
    assert fault(world, "+972501234567", il) is None
    assert fault(world, "+14165550123", us) == "destination_not_allowed", "Canada shares the code of the United States"
    assert fault(world, "+18765550123", us) == "destination_not_allowed"
    assert fault(world, "+447781123456", gb) == "destination_not_allowed", "Guernsey shares that of the United Kingdom"


@pytest.mark.parametrize("region", [None, "ZZ", ""])
def test_a_business_without_a_country_calls_nobody(world: World, region: str | None) -> None:
    assert fault(world, "+12125550123", caller(world, region)) == "destination_not_allowed"


def test_a_business_without_a_region_calls_the_country_of_its_first_number(world: World) -> None:
    business_id = caller(world, None)
    insert = "insert into business_number (business_id, phone, created_at) values (%s, %s, now() - %s::interval)"
    world.do(insert, business_id, "+97235550001", "1 day")
    world.do(insert, business_id, "+12125550199", "1 hour")

    assert fault(world, "+97235550123", business_id) is None
    assert fault(world, "+12125550123", business_id) == "destination_not_allowed"


def test_nobody_s_business_calls_nobody(world: World) -> None:
    assert fault(world, "+12125550123", 10**9) == "destination_not_allowed"
    assert world.value("select fault from destination_fault(null, null)") is not None
    assert world.value("select fault from destination_fault('', 1)") is not None


def test_the_entry_that_says_most_digits_counts_and_the_business_s_before_everybody_s(world: World) -> None:
    acme, other = caller(world, "US"), caller(world, "US")
    london = "+442079460123"

    destination.allow("GB", actor="Dana")
    assert [fault(world, london, whose) for whose in (acme, other)] == [None, None]
    destination.deny("+4420", actor="Dana")
    assert fault(world, london, acme) == "destination_not_allowed"
    assert fault(world, "+441619460123", acme) is None
    destination.allow("+44207", business_id=acme, actor="Dana")
    assert [fault(world, london, whose) for whose in (acme, other)] == [None, "destination_not_allowed"]
    destination.deny("+44207", actor="Dana")
    assert fault(world, london, acme) is None, "of the same length the business's own counts"
    assert destination.remove("+44207", business_id=acme, actor="Dana")
    assert fault(world, london, acme) == "destination_not_allowed"


def test_a_country_says_more_than_its_calling_code_and_less_than_an_area(world: World) -> None:
    acme = caller(world, "IL")
    destination.deny("+1", actor="Dana")
    destination.allow("CA", actor="Dana")
    assert [fault(world, phone, acme) for phone in ("+14165550123", "+12125550123")] == [
        None,
        "destination_not_allowed",
    ]
    destination.deny("+1416", actor="Dana")
    assert fault(world, "+14165550123", acme) == "destination_not_allowed"


def test_a_closed_home_is_closed(world: World) -> None:
    acme = caller(world, "US")
    destination.deny("+1", actor="Dana")

    assert fault(world, "+12125550123", acme) == "destination_not_allowed"


@pytest.mark.parametrize(
    ("phone", "wide", "own"),
    [
        ("+19005550123", ("US", "+1", "+19"), "+1900"),
        ("+12129765550", ("US", "+1", "+1212"), "+1212976"),
        ("+449012345678", ("GB", "+44"), "+449"),
        ("+447012345678", ("GB", "+44", "+447"), "+4470"),
        ("+881612345678", (), "+881"),
        ("+979123456789", (), "+979"),
        ("+80812345678", (), "+808"),
        ("+33899123456", ("FR", "+33"), "+3389"),
        ("+611900123456", ("AU", "+61"), "+61190"),
        ("+12125550199123", ("US", "+1", "+1212"), None),  # too long
    ],
)
def test_special_numbers_are_opened_by_their_own_range_alone(
    world: World, phone: str, wide: tuple[str, ...], own: str | None
) -> None:
    acme = caller(world, "US")
    for place in wide:
        destination.allow(place, actor="Dana")
        assert fault(world, phone, acme) == "destination_not_allowed", place
    if own:
        destination.allow(own, actor="Dana")
        assert fault(world, phone, acme) is None


@pytest.mark.parametrize("phone", NEVER)
def test_nobody_can_allow_what_looks_like_an_emergency_number(world: World, phone: str) -> None:
    acme = caller(world, "US")
    for place in (phone, phone[:6], phone[:4]):
        try:
            destination.allow(place, actor="Dana")
        except destination.BadDestination:
            continue

    assert fault(world, phone, acme) == "not_dialable"


def test_an_entry_by_hand_is_judged_as_one_by_command(world: World) -> None:
    acme = caller(world, "US")
    world.do("insert into destination (place, allowed) values ('+44', true), ('+449', false)")
    world.do("update destination set allowed = true where place = '+449'")

    assert [row.kind for row in world.rows("select kind from destination order by place")] == ["ordinary", "premium"]
    assert fault(world, "+449012345678", acme) is None


def test_the_simulator_calls_ordinary_numbers_of_every_country(world: World) -> None:
    def may(phone: str) -> bool:
        return destination.check(phone, acme).fault is None

    acme = caller(world, None)
    with Environment(OUTBOUND_CARRIER="simulator"):
        for phone in ("+15005550101", "+97235550134", "+442079460123", "+16001000001", "+9991234567"):
            assert may(phone), phone
        for phone in (*TOLL_FRAUD, *NEVER):
            assert not may(phone), phone
        destination.deny("+97235", actor="Dana")
        assert not may("+97235550134")


# In the claim


@pytest.fixture
def busy(world: World) -> World:
    """Workers that are alive, and no limit of pace."""
    world.worker(threads=64)
    world.do("update dial_control set calls_per_second = 1000, tokens = 50, refilled_at = now() - interval '1 min'")
    return world


def _dispatch() -> None:
    while dispatch.dispatch_once():
        pass


def _queue(world: World, business_id: int, phones: tuple[str, ...]) -> list[int]:
    insert = "insert into call_log (business_id, from_number, to_number) values (%s, '+12125550100', %s) returning id"
    return [int(world.value(insert, business_id, phone)) for phone in phones]


def test_toll_fraud_is_refused_with_its_code_and_dialed_once_it_was_allowed(
    busy: World, nudges: list[object], carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_PUBLIC_URL", PUBLIC_URL)
    forget_settings()
    world, acme = busy, caller(busy, "US")
    refused = _queue(world, acme, TOLL_FRAUD + MORE)

    _dispatch()

    assert {(world.call(call_id).status, world.call(call_id).error_code) for call_id in refused} == {
        ("canceled", "destination_not_allowed")
    }
    assert all(world.call(call_id).error_message for call_id in refused)
    assert world.count("refused_by_rule", "destination_not_allowed") == len(refused) >= 37
    assert nudges == []

    for phone in TOLL_FRAUD + MORE:
        destination.allow(phone, business_id=acme, actor="Dana")
    allowed = _queue(world, acme, TOLL_FRAUD + MORE)
    _dispatch()
    assert {world.call(call_id).status for call_id in allowed} == {"claimed"}
    world.do("update call_log set dial_by = null where status = 'claimed'")
    for call_id in allowed:
        dial.dial_call(call_id)

    assert {world.call(call_id).call_sid is not None for call_id in allowed} == {True}
    assert len(carrier.log()) == len(allowed)


def test_what_is_never_dialed_is_refused_with_its_code(busy: World, nudges: list[object]) -> None:
    refused = _queue(busy, caller(busy, "US"), NEVER)

    _dispatch()

    assert [busy.call(call_id).error_code for call_id in refused] == ["not_dialable"] * len(refused)


def test_a_destination_that_was_closed_after_the_claim_is_not_dialed(busy: World, nudges: list[object]) -> None:
    world = busy
    (call_id,) = _queue(world, caller(world, "US"), ("+12125550123",))
    _dispatch()
    assert world.call(call_id).status == "claimed"
    # A paced call must be sent within a moment: on a busy machine it would be given back for that alone.
    world.do("update call_log set dial_by = now() + interval '1 h' where id = %s", call_id)

    destination.deny("+1212", actor="Dana")

    assert begin(call_id) is None
    assert world.call(call_id).status == "queued"
    _dispatch()
    assert world.call(call_id).error_code == "destination_not_allowed"


def test_a_worker_that_does_not_say_which_carrier_it_has_dials_as_if_phones_rang(
    world: World, nudges: list[object]
) -> None:
    acme = caller(world, None)
    (call_id,) = _queue(world, acme, ("+12125550123",))

    told = world.rows(
        "select * from call_obstacle((select call_log from call_log where id = %s), '{}', '{}', null)", call_id
    )

    assert [(row.code, row.is_final) for row in told] == [("destination_not_allowed", True)]


# What people see


@pytest.mark.parametrize(
    ("phone", "words"),
    [
        ("+442079460123", "Calls to GB are not allowed: `outbound destination allow GB` opens them."),
        ("+19005550123", "It is a number of a premium-rate line in US: only an entry for its own range opens it"),
        ("+881612345678", "It is a number of a satellite or international network: only an entry for its own range"),
        ("+9991234567", "It is a number of no known plan"),
        ("+97211255501", "The number begins like an emergency number"),
        ("+12135550123", "Calls to +1213 are not allowed to anybody (a strike): see `outbound destination list`."),
    ],
)
def test_why_and_the_refusal_say_what_to_do(world: World, nudges: list[object], phone: str, words: str) -> None:
    acme = caller(world, "US")
    world.worker()
    destination.deny("+1213", reason="a strike", actor="Dana")
    (call_id,) = _queue(world, acme, (phone,))

    reason = why.why(call_id)
    assert reason.sentence.startswith(words)
    assert reason.sentence.endswith("It will be canceled in its turn.")
    dispatch.dispatch_once()
    assert world.call(call_id).error_message.startswith(words)
    assert phone not in reason.sentence


def test_a_preview_says_how_many_calls_have_no_open_destination(world: World) -> None:
    acme = business.add("Acme", default_region="US", twiml="<Response/>", phones=["+12125550100"])
    spring = campaign.add(acme, {"name": "spring"}, actor="Dana")
    for phone in ("+12125550123", "+442079460123", "+881612345678", "+97211255501"):
        insert = "insert into call_log (business_id, campaign_id, from_number, to_number) values (%s, %s, %s, %s)"
        world.do(insert, acme, spring, "+12125550100", phone)

    found = why.preview(spring)

    assert found.now == 1
    assert {code: part.calls for code, part in found.refused.items()} == {
        "destination_not_allowed": 2,
        "not_dialable": 1,
    }


def test_an_import_refuses_each_line_whose_destination_is_closed_and_takes_it_once_it_is_open(
    world: World, tmp_path: Path
) -> None:
    acme = business.add("Acme", default_region="US", twiml="<Response/>", phones=["+12125550100"])
    file = tmp_path / "calls.csv"
    file.write_text("to\n+12125550123\n+442079460123\n+19005550123\n")

    report = import_calls.import_calls(file, business_id=acme)

    assert (report.created, report.rejected) == (1, 2)
    lines = dict(report.rejected_lines)
    assert lines[3] == (
        "`to` may not be called (destination_not_allowed): Calls to GB are not allowed:"
        " `outbound destination allow GB` opens them."
    )
    assert "premium-rate" in lines[4]
    destination.allow("GB", business_id=acme, actor="Dana")
    assert import_calls.import_calls(file, business_id=acme).created == 1
    with pytest.raises(enqueue.BadCall, match="destination_not_allowed"):
        enqueue.enqueue(business_id=acme, to_number="+33123456789")


def outbound(*arguments: str) -> tuple[int, str]:
    ran = CliRunner().invoke(app, ["destination", *arguments])
    return ran.exit_code, " ".join(ran.output.split())


def test_destinations_are_changed_shown_and_checked_by_command(world: World) -> None:
    acme = str(caller(world, "US"))

    assert outbound("allow", "gb", "--by", "Dana") == (0, "ordinary numbers of GB are allowed for everybody")
    assert outbound("allow", "+1 900", "--business", acme, "--reason", "a hotline", "--by", "Dana") == (
        0,
        f"premium-rate numbers of +1900 are allowed for business {acme}",
    )
    assert outbound("deny", "GB", "--by", "Eli") == (0, "GB is closed for everybody, and was not before")
    assert outbound("check", "+442079460123", "--business", acme)[0] == 1
    assert outbound("check", "+12125550123", "--business", acme) == (0, "ordinary in US: it may be called")
    code, shown = outbound("list", "--json")
    assert code == 0
    assert [(row["place"], row["allowed"], row["kind"]) for row in json.loads(shown)] == [
        ("GB", False, "ordinary"),
        ("+1900", True, "premium"),
    ]
    assert "a hotline" in outbound("list")[1]
    assert outbound("remove", "GB", "--by", "Dana") == (0, "removed")
    assert outbound("remove", "GB", "--by", "Dana")[0] == 1
    audit = [(row.who, row.action, row.scope, row.key) for row in world.rows("select * from audit order by id")]
    assert audit == [
        ("Dana", "allow_destination", "account", ""),
        ("Dana", "allow_destination", "business", acme),
        ("Eli", "deny_destination", "account", ""),
        ("Dana", "remove_destination", "account", ""),
    ]


@pytest.mark.parametrize("place", ["", "XX", "UK", "0044", "44", "+0", "+", "GB+44", "+44" + "1" * 14, "\u05d0\u05d1"])
def test_what_is_no_destination_is_refused_and_changes_nothing(world: World, place: str) -> None:
    with pytest.raises(destination.BadDestination, match="is no destination: give a country's two letters"):
        destination.allow(place, actor="Dana")

    assert world.rows("select from destination") == world.rows("select from audit")


def test_an_entry_of_nobody_s_business_is_refused(world: World) -> None:
    for whose in (77, 2**63, -1):
        with pytest.raises(destination.BadDestination, match="there is no business"):
            destination.allow("GB", business_id=whose, actor="Dana")

    assert world.rows("select from destination") == []


def test_the_doctor_says_what_is_open_and_that_the_carrier_has_permissions_of_its_own(world: World) -> None:
    acme, other = caller(world, "IL"), caller(world, None)
    found = database._destinations()
    assert (found.state, found.text[:37]) == ("warn", "1 businesses may call nobody: they ha")

    destination.allow("GB", business_id=other, actor="Dana")
    destination.allow("+1900", actor="Dana")
    destination.deny("FR", actor="Dana")
    found = database._destinations()
    assert found.state == "warn"
    assert "nothing bounds how many calls" in found.text
    set_limits(Scope("account", ""), calls_per_day="100")
    found = database._destinations()

    assert found.state == "ok"
    assert f"own country (IL), GB for business {other}; special numbers: +1900 (premium)" in found.text
    assert "Geo permissions" in found.text
    assert acme
