"""The Python client: whatever a stranger posts is not genuine, and what outbound signs is read."""

import base64
import json
import time
from typing import Any

import pytest
import standardwebhooks
from hypothesis import example, given, settings
from hypothesis import strategies as st
from outbound_client import NotGenuine, verify_webhook

from outbound.webhooks import listener, signature

KEY = b"k" * 32
SECRET = signature.PREFIX + base64.b64encode(KEY).decode()
EVENT = {"id": "evt_1", "type": "ping", "timestamp": "2026-11-27T03:00:00+00:00", "business_id": 1, "data": {}}
TEXT = st.text(max_size=40) | st.sampled_from(["", "v1,", "v1,a,b", "nocomma", "v1,é", "v1,xx", "v1,=====", "\ud800"])
STAMPS = TEXT | st.sampled_from(["nan", "inf", "1e400", "-1e18", "9" * 20, "1" * 5000, "１"])  # noqa: RUF001


def signed(body: bytes, at: float | None = None) -> dict[str, str]:
    """The headers of a body that outbound signs."""
    timestamp = str(int(time.time() if at is None else at))
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,AAAA {signature.sign(KEY, 'evt_1', timestamp, body)}",
    }


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=40), public_id=TEXT, timestamp=st.none() | STAMPS, given_signature=TEXT)
@example(body=b"\xff", public_id="a", timestamp=None, given_signature="v1,xx")
@example(body=b"{}", public_id="a", timestamp=None, given_signature="nocomma")
@example(body=b"{}", public_id="a", timestamp=None, given_signature="v1,a,b")
@example(body=b"{}", public_id="a", timestamp=None, given_signature="v1,é")
@example(body=b"{}", public_id="a", timestamp=None, given_signature="v1,xx")
@example(body=b"{}", public_id="\ud800", timestamp=None, given_signature="v1,xx")
def test_whatever_a_stranger_posts_is_not_genuine(
    body: bytes, public_id: str, timestamp: str | None, given_signature: str
) -> None:
    headers = {
        "Webhook-Id": public_id,
        "Webhook-Timestamp": str(int(time.time())) if timestamp is None else timestamp,
        "Webhook-Signature": given_signature,
    }

    with pytest.raises(NotGenuine):
        verify_webhook(SECRET, headers, body)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_or_empty_is_not_genuine(missing: str) -> None:
    body = json.dumps(EVENT).encode()
    for value in ({}, {missing: ""}, {missing: None}):
        headers: Any = {name: text for name, text in signed(body).items() if name != missing} | value
        with pytest.raises(NotGenuine):
            verify_webhook(SECRET, headers, body)


@pytest.mark.parametrize(
    "body",
    [
        *(b"\xff", b"", b"x", b"[]", b"null", b'{"id": 1}', b"[" * 100_000),
        *(json.dumps(EVENT | odd).encode() for odd in ({"timestamp": 5}, {"timestamp": "soon"}, {"data": 5})),
    ],
)
def test_a_body_that_is_signed_and_no_event_is_not_genuine(body: bytes) -> None:
    with pytest.raises(NotGenuine, match="no event of outbound"):
        verify_webhook(SECRET, signed(body), body)


def test_what_any_library_of_the_standard_signs_is_read() -> None:
    body = json.dumps(EVENT)
    headers = signed(body.encode())

    standardwebhooks.Webhook(SECRET).verify(body, headers)
    assert verify_webhook(SECRET, headers, body.encode()).id == "evt_1"
    assert verify_webhook(f"{SECRET}\n", headers, body).id == "evt_1"  # of a file, as a text
    assert verify_webhook(SECRET.removeprefix("whsec_"), headers, body).id == "evt_1"


@pytest.mark.parametrize(
    ("given", "word"),
    [
        *(((one, {}, b"{}"), "secret") for one in (None, KEY, SECRET.encode(), 7)),
        *(((SECRET, one, b"{}"), "headers") for one in (None, [("webhook-id", "evt_1")], "webhook-id: evt_1")),
        *(((SECRET, {}, one), "body") for one in (None, EVENT, 7, [b"{}"])),
    ],
)
def test_what_is_not_of_a_request_is_named_as_the_fault(given: Any, word: str) -> None:
    with pytest.raises(TypeError, match=f"^{word} is "):
        verify_webhook(*given)


class Headers:
    """As some frameworks have them, which are no mapping."""

    def __init__(self, given: dict[str, str]) -> None:
        self.items = given.items


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, bytes.decode])
@pytest.mark.parametrize("case", [str.upper, str.title, str.lower])
def test_a_body_and_headers_are_taken_as_frameworks_give_them(kind: Any, case: Any) -> None:
    body = json.dumps(EVENT).encode()
    headers: Any = Headers({case(name): value for name, value in signed(body).items()})

    assert verify_webhook(SECRET, headers, kind(body)).id == "evt_1"


def test_a_body_that_no_bytes_can_be_is_not_genuine() -> None:
    with pytest.raises(NotGenuine):
        verify_webhook(SECRET, signed(b"{}"), "\ud800")
    with pytest.raises(NotGenuine, match="no header webhook-signature"):
        verify_webhook(SECRET, {"Webhook-Id": "evt_1", "Webhook-Timestamp": "1"}, b"{}")
    with pytest.raises(NotGenuine):
        verify_webhook(SECRET, {7: "x", b"webhook-id": "evt_1"}, b"{}")  # type: ignore[dict-item]


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_abc", "é", "whsec_é", SECRET[:-1], SECRET + "AA"])
def test_a_secret_that_is_none_is_named_as_the_fault(secret: str) -> None:
    with pytest.raises(ValueError, match="outbound webhook secret") as fault:
        verify_webhook(secret, signed(b"{}"), b"{}")
    with pytest.raises(listener.BadListener, match="outbound webhook secret"), listener.listening(0, secret, print):
        pass

    assert len(secret) < 9 or secret not in str(fault.value)
