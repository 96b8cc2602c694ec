"""One signed text has one form: what Twilio does not send, in names, codings, or cut apart, is refused."""

import itertools
import random
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from outbound.carrier import callback_form
from outbound.carrier.callback_form import Unreadable

SID = "CA" + "5" * 32
RINGING = {
    "CallSid": SID,
    "AccountSid": "AC" + "0" * 32,
    "From": "+15005550006",
    "To": "+15005550101",
    "Caller": "+15005550006",
    "Called": "+15005550101",
    "CallStatus": "ringing",
    "Direction": "outbound-api",
    "ApiVersion": "2010-04-01",
    "CallbackSource": "call-progress-events",
    "SequenceNumber": "1",
    "StirStatus": "B",
    "Timestamp": "Sun, 01 Nov 2026 12:00:00 +0000",
}
COMPLETED = RINGING | {
    "CallStatus": "completed",
    "SequenceNumber": "3",
    "CallDuration": "7",
    "Duration": "1",
    "SipResponseCode": "200",
    "CalledCity": "",
    "CalledCountry": "US",
    "CalledState": "CA",
    "CalledZip": "94107",
    "CallerName": "MCDONALD AND SON",
    "FromCity": "TOLEDO",
    "ToCity": "FROMBERG",
    "ToCountry": "US",
    "RecordingUrl": "https://api.twilio.com/2010-04-01/Accounts/AC0/Recordings/RE0",
    "RecordingSid": "RE" + "0" * 32,
}
VERDICT = {
    "CallSid": SID,
    "AccountSid": "AC" + "0" * 32,
    "AnsweredBy": "machine_end_beep",
    "MachineDetectionDuration": "2400",
}
SIP = RINGING | {"To": "sip:a@b.example", "SipHeader_X-Account": "ToName CallSid", "SipDomain": "b.example"}

# Of these depend the call that is meant, the state that it gets, and whether an event is a new one.
REQUIRED = {
    True: ("CallSid", "AccountSid", "CallStatus", "To", "Direction"),
    False: ("CallSid", "AccountSid", "AnsweredBy"),
}
DECISIVE = ("CallSid", "AccountSid", "CallStatus", "To", "Direction", "ParentCallSid", "SequenceNumber", "AnsweredBy")


def _signed_text(form: dict[str, str]) -> str:
    return "".join(name + form[name] for name in sorted(form))


@pytest.mark.parametrize("form", [RINGING, COMPLETED, VERDICT, RINGING | {"NewInTheYear2030": "x", "CallReason": ""}])
def test_what_twilio_sends_is_read(form: dict[str, str]) -> None:
    assert dict(callback_form.read(urlencode(form).encode())) == form


def test_headers_of_sip_calls_are_read() -> None:
    form = SIP | {"SipHeader_X-Account": "4711"}

    assert dict(callback_form.read(urlencode(form).encode())) == form


@pytest.mark.parametrize("text", ["a*b", "a~b", "é+ü&=%", "John Doe", "-._", "/:?#[]@!$'(),;"])
def test_each_of_the_two_common_encoders_is_read(text: str) -> None:
    java = quote(text, safe="*").replace("~", "%7E").replace("%20", "+")

    for written in (urlencode({"CallerName": text}), f"CallerName={java}"):
        assert dict(callback_form.read(written.encode())) == {"CallerName": text}


@pytest.mark.parametrize(
    "body",
    [
        "CallSid=%43A",  # a letter is not coded
        "CallSid=CA%30",
        "%43allSid=CA",
        "CallerName=a%20b",  # a space is a plus sign
        "CallerName=a%2fb",  # small letters
        "CallerName=a/b",  # not coded at all
        "CallerName=a:b@c",
        "CallerName=a%2Db",
        "CallerName=a*b%2A",  # of both kinds at once
        "CallerName=%",
        "CallerName=%zz",
        "CallerName=%E9",  # not UTF-8
        "CallerName=%C3",
        "CallerName",
        "CallSid=a&&To=b",
        "CallSid=a&",
        "callSid=CA",
        "9CallSid=CA",
        "_CallSid=CA",
        "Call-Sid=CA",
        "Call+Sid=CA",
        "Call.Sid=CA",
        "CallSid%00=CA",
        "%2Fanswered-byCallSid=CA",
        "=",
        "+=+",
        "=x",
    ],
)
def test_what_twilio_does_not_write_is_no_form(body: str) -> None:
    with pytest.raises(Unreadable):
        callback_form.read(body.encode())


@pytest.mark.parametrize("name", ["CallSid", "To", "Extra"])
def test_nothing_is_said_twice(name: str) -> None:
    form = RINGING | {"Extra": "x"}

    with pytest.raises(Unreadable, match=f"{name} is given more than once"):
        callback_form.read(urlencode([*form.items(), (name, form[name])]).encode())


def test_a_message_repeats_nothing_that_a_stranger_wrote() -> None:
    with pytest.raises(Unreadable) as refusal:
        callback_form.read(b"number%2B15005550101=x")

    assert "5005550101" not in str(refusal.value)


def _cut_otherwise(chance: random.Random, form: dict[str, str]) -> dict[str, str]:
    """Another form that has the same signed text; the same one where it cannot be."""
    text = _signed_text(form)
    cuts, at = [], 0
    for name in sorted(form):
        cuts += [at + len(name), at + len(name) + len(form[name])]
        at = cuts[-1]
    # Most of the old cuts stay, one or two go, one or two move by a little, and some are new.
    cuts = [
        cut + chance.choice([-2, -1, 1, 2]) * (chance.random() < 0.05) for cut in cuts[:-1] if chance.random() > 0.05
    ]
    cuts += chance.sample(range(1, len(text)), chance.choice([0, 0, 1, 1, 2]))
    places = [0, *sorted(cuts), len(text)]
    parts = [text[start:end] for start, end in itertools.pairwise(places)]
    other = dict(zip(parts[::2], [*parts[1::2], ""], strict=False))
    return other if _signed_text(other) == text else form


@pytest.mark.parametrize("form", [RINGING, COMPLETED, VERDICT])
def test_no_other_cut_of_a_signed_text_says_anything_else_of_a_call(form: dict[str, str]) -> None:
    chance, tried = random.Random(12), 0
    for _ in range(15_000):
        other = _cut_otherwise(chance, form)
        if other == form:
            continue
        tried += 1
        try:
            read = dict(callback_form.read(urlencode(other).encode()))
        except Unreadable:
            continue
        if all(name in read for name in REQUIRED["CallStatus" in form]):  # what lacks one of these is refused later
            assert {name: read.get(name) for name in DECISIVE} == {name: form.get(name) for name in DECISIVE}
    assert tried > 50


@pytest.mark.parametrize(
    ("taken", "put"),
    [
        (["SequenceNumber"], {"SequenceNumber1": ""}),
        (["SequenceNumber"], {"Sequence": "Number1"}),
        (["SequenceNumber"], {"From": "+15005550006SequenceNumber1"}),
        (["SequenceNumber", "StirStatus"], {"SequenceNumber": "1StirStatusB"}),
        (["SequenceNumber", "StirStatus"], {"SequenceNumber": "1Stir", "StatusB": ""}),
        (["To"], {"Timestamp": "Sun, 01 Nov 2026 12:00:00 +0000To+15005550101"}),
        (["From"], {"Direction": "outbound-apiFrom+15005550006"}),
        (["Timestamp"], {"StirStatus": "BTimestampSun, 01 Nov 2026 12:00:00 +0000"}),
    ],
)
def test_a_form_that_was_cut_apart_is_no_form(taken: list[str], put: dict[str, str]) -> None:
    form = {name: value for name, value in RINGING.items() if name not in taken} | put
    assert _signed_text(form) == _signed_text(RINGING)

    with pytest.raises(Unreadable):
        callback_form.read(urlencode(form).encode())


def test_a_leg_cannot_be_hidden_in_the_value_before_it() -> None:
    leg = RINGING | {"ParentCallSid": "CA" + "6" * 32}
    hidden = RINGING | {"From": f"{RINGING['From']}ParentCallSid{leg['ParentCallSid']}"}
    assert _signed_text(leg) == _signed_text(hidden)

    with pytest.raises(Unreadable):
        callback_form.read(urlencode(hidden).encode())


def test_a_form_is_read_as_it_was_written() -> None:
    body = urlencode(COMPLETED)

    assert list(callback_form.read(body.encode())) == parse_qsl(body, keep_blank_values=True)
