"""What must not be in a log line goes, whatever its writing; ids, times and counts stay."""

import re

import pytest

from outbound import redaction

SECRET = [
    "the number 15005550101 is unverified",
    "calling 972501234567 now",
    "Invalid 'To' Phone Number: 972501234567",
    "sip:dana@example.com",
    "<sip:+15005550101@pbx.example.com;user=phone>",
    "sips:972501234567@h",
    "tel:5550101",
    "+\u0669\u0667\u0662\u0665\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667",
    "\u0660\u0665\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667",
    "\u06f0\u06f5\u06f0\u06f1\u06f2\u06f3\u06f4\u06f5\u06f6\u06f7",
    "\uff10\uff15\uff10\uff0d\uff11\uff12\uff13\uff0d\uff14\uff15\uff16\uff17",
    "\uff0b\uff19\uff17\uff12\uff15\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17",
    "972501234567",
    "00972501234567",
    "00 972 50 123 4567",
    "011972501234567",
    "050 123 4567",
    "050\u200e1234567",
    "972-50-123-4567",
    "972 50 123 4567",
    "44 7700 900123",
    "1-500-555-0101",
    "501234567",
    "Authorization: Bearer abc.def.ghi",
    "bearer eyJhbGciOiJIUzI1NiJ9.x.y",
    "Authorization: Basic dXNlcjpwdw==",
    "{'Authorization': 'Bearer abcdef'}",
    "token=abcdefgh",
    "auth_token=hunter2hunter2",
    "'password': 'hush'",
    "password: hush",
    "signed with whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "whsec_hush",
    "the token outb_abcdefgh_0123456789ABCDEFGHIJKLMNOPQRSTUV_abcdef",
    "X-Twilio-Signature: Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
    "https://u:pw@host/x",
    "postgresql://u:p@ss@host/db",
    "from_number=15005550101",
    "customerPhone=5005550101",
    "/PhoneNumbers/15005550101",
    "Caller ID 15005550101",
    "to=5005550101",
    "(7, 15005550101)",
    "15005550101, 15005550102",
    "15005550101.",
    "whatsapp:+15005550101",
    "+1(500)555-0101",
    "call(15005550101)",
    "Recipient: 5005550101",
    "could not call 972501234567",
    "0097250-123-4567",
]

HARMLESS = [
    "CA01234567890123456789012345678901",
    "2026-11-01T12:00:00.123456Z",
    "2026-11-01 12:00:00,123",
    "Sun, 01 Nov 2026 12:00:00 +0530",
    "1793534400",
    "1793534400123",
    "1793534400.123456",
    "127.0.0.1:54321",
    "192.168.100.200",
    "pid=1234567",
    "total=15005550101",
    "call=1234567890",
    "lead=5005550101",
    "lead 5005550101",
    "'call_id': 5005550101",
    '{"call_id": 5005550101}',
    "call_id=972501234567",
    "104857600 bytes",
    "took 123456789 ns",
    "deleted 1234567 rows",
    "batch of 200, fence 7",
    "1 000 000 000",
    "30-11-2026",
    "2026-11-30 09:00 to 2026-12-01",
    "01234567-8901-4234-8567-012345678901",
    "0.0123456789 s",
    "00000000deadbeef",
    "tokens=12",
    "token bucket is empty",
    "basic authentication",
    "HTTP 429, code 20429",
    "id 972501234567",
    "20261130090000",
    "from=2026-11-01",
    "status 200 1234567 bytes",
    "OUTBOUND_METRICS_TOKEN: must be set",
    "/callbacks/956953",
    "0/12345678",
    "counts 120 340 560 780",
    "psycopg 3.3.9, PostgreSQL 18.6",
    "12345678",
    "scope=business key=812",
    "version 9.13.0",
    "calls=15005550101",
    "00:00:00.000001",
    "digest 0123456789abcdef0123456789abcdef",
    "1793534400123456",
    "file 0001_business.sql",
    "2026-W48-4",
    "Mozilla/5.0 537.36",
]

# What is left of a number or a secret, if something is.
LEFT = r"\d{4}|dana|abc|hunter|hush|eyJ|dXNl|Zmvh|pw"


@pytest.mark.parametrize("text", SECRET)
@pytest.mark.parametrize("around", ["{}", "said: {}", "({}, 7)", "<{}>", "x\n{}\ny"])
def test_a_number_or_a_secret_goes(text: str, around: str) -> None:
    shown = redaction.masked("event", around.format(text))

    assert "\u2026" in shown
    plain = "".join(str(int(c)) if c.isdecimal() else c for c in shown)
    assert not re.search(LEFT, plain), shown


@pytest.mark.parametrize("text", HARMLESS)
@pytest.mark.parametrize("around", ["{}", "before ({}), after"])
def test_an_id_a_time_or_a_count_stays(text: str, around: str) -> None:
    assert redaction.masked("event", around.format(text)) == around.format(text)


@pytest.mark.parametrize("name", ["auth_token", "api_key", "password", "client_secret", "authorization"])
def test_what_is_called_a_secret_is_none_of_the_log_s_business(name: str) -> None:
    assert redaction.masked(name, "anything") == "\u2026"
    assert redaction.masked(name, None) is None


@pytest.mark.parametrize(
    "text",
    [
        "a\x1b[31mb",
        "a\x9bb",
        "a\x7fb",
        "a\u202eb",
        "a\u200fb",
        "a\ufeffb",
        "a\u2028b",
        "a\u2029b",
        "a\rb",
        "a\x00b",
        "a\x85b",
    ],
)
def test_what_cannot_be_seen_is_an_escape(text: str) -> None:
    shown = redaction.masked("event", text)

    assert shown.isprintable()
    assert shown.startswith("a\\")


def test_a_number_goes_from_the_names_of_values_too() -> None:
    assert redaction.masked("calls", {"+15005550101": {"to": 15005550102}}) == {"+\u2026": {"to": "+\u2026"}}
    assert redaction.masked("calls", {"call_id": 15005550101, "n": [1, 2.5, None, True]}) == {
        "call_id": 15005550101,
        "n": [1, 2.5, None, True],
    }
