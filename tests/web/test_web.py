"""The web process, over real HTTP: what the carrier signed is taken, everything else leaves no trace but a counter."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator

from outbound import db
from outbound.carrier import callback_tag
from outbound.monitoring import metrics, process_counters
from outbound.web import app, callbacks, refusals
from tests.cli.test_logs import heard
from tests.conftest import ACCOUNT_SID, AUTH_TOKEN, Servers, World, forget_settings, open_database, until

PUBLIC_URL = "https://calls.example.com/outbound"
SID = "CA" + "5" * 32
OURS = "+15005559001"
CALLER = "+15005550101"

EMPTY = (
    "delete from call_event; delete from call_log; delete from leads; delete from business_number;"
    " delete from business; delete from counter"
)

Nudges = list[tuple[str, tuple[Any, ...]]]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The web server, in a thread; it reads its settings at each request."""
    with serving() as where:
        yield where


@contextmanager
def serving() -> Iterator[str]:
    """A web process in a thread, and its address."""
    server = app.server("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, name="web")
    thread.start()
    until(lambda: server.started)
    host, port = server.servers[0].sockets[0].getsockname()
    yield f"http://{host}:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def shared_database(servers: Servers, template: str) -> Iterator[str]:
    """One database for all of these many requests; `database` empties it."""
    with open_database(servers, template) as url:
        yield url


@pytest.fixture
def database(shared_database: str) -> str:
    forget_settings()
    with psycopg.connect(shared_database) as connection:
        connection.execute(EMPTY)
    return shared_database


@pytest.fixture(autouse=True)
def public_url(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_PUBLIC_URL", PUBLIC_URL)
    forget_settings()


@pytest.fixture
def call_id(world: World, nudges: Nudges) -> int:
    """A call whose dial has begun, of a business that has a number."""
    return world.initiated(world.business(phone=OURS), to=CALLER)


def _told(status: str = "ringing", **more: str) -> dict[str, str]:
    """A status callback as Twilio sends it."""
    return {
        "CallSid": SID,
        "AccountSid": ACCOUNT_SID,
        "From": "+15005550006",
        "To": CALLER,
        "CallStatus": status,
        "Direction": "outbound-api",
        "ApiVersion": "2010-04-01",
        "CallbackSource": "call-progress-events",
        "SequenceNumber": "1",
        "Timestamp": "Sun, 01 Nov 2026 12:00:00 +0000",
    } | more


def _came_in(**more: str) -> dict[str, str]:
    return _told("ringing", Direction="inbound", From=CALLER, To=OURS) | more


def _sign(path: str, form: Any, token: str = AUTH_TOKEN, base: str = PUBLIC_URL) -> dict[str, str]:
    """The header with which Twilio signs this request."""
    return {"X-Twilio-Signature": RequestValidator(token).compute_signature(base + path, form)}


def _path(call_id: int, more: str = "", to: str = CALLER) -> str:
    """Where the carrier calls back about a call to this number."""
    return f"/callbacks/{call_id}/{callback_tag.make(call_id, to)}{more}"


def _post(address: str, path: str, form: Any, headers: dict[str, str] | None = None) -> requests.Response:
    signed = _sign(path, dict(form)) if headers is None else headers
    return requests.post(address + path, data=form, headers=signed, timeout=20)


def _trace(world: World) -> list[Any]:
    """Everything in the database that a request could leave a trace in."""
    return [
        world.rows(query)
        for query in (
            "select * from call_log order by id",
            "select * from call_event order by id",
            "select * from counter order by name, label, slot",
            "select * from leads order by id",
        )
    ]


def _refused(reason: str) -> float:
    return process_counters.registry.get_sample_value("outbound_callbacks_refused_total", {"reason": reason}) or 0


class _NoTrace:
    """Claims that what is done inside is refused for one reason, and changes nothing."""

    def __init__(self, world: World, nudges: Nudges, reason: str) -> None:
        self._world, self._nudges, self._reason = world, nudges, reason

    def __enter__(self) -> None:
        self._rows, self._sent, self._count = _trace(self._world), len(self._nudges), _refused(self._reason)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            assert _trace(self._world) == self._rows
            assert len(self._nudges) == self._sent
            assert _refused(self._reason) == self._count + 1


# What the carrier signed


def test_a_signed_callback_moves_its_call(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    answer = _post(address, _path(call_id), _told("in-progress", Extra="é + ü&=%"))

    assert (answer.status_code, answer.content) == (204, b"")
    call = world.call(call_id)
    assert (call.status, call.call_sid) == ("in-progress", SID)
    assert world.value("select payload ->> 'Extra' from call_event") == "é + ü&=%"
    assert nudges == [("create_lead_from_call_job", (SID,))]


def test_a_repeated_callback_is_taken_and_changes_nothing(
    address: str, world: World, nudges: Nudges, call_id: int
) -> None:
    codes = [_post(address, _path(call_id), _told()).status_code for _ in range(3)]

    assert codes == [204, 204, 204]
    assert world.value("select count(*) from call_event") == 1


def test_an_unknown_word_is_taken(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    assert _post(address, _path(call_id), _told("transmogrified")).status_code == 204

    assert world.call(call_id).status == "initiated"


@pytest.mark.parametrize("query", ["?campaign=a%20b", "?To=%2B15005550101", "??", "?%"])
def test_no_callback_url_of_ours_has_a_query(
    address: str, world: World, nudges: Nudges, call_id: int, query: str
) -> None:
    """What is moved from the form into the URL is signed alike."""
    path = _path(call_id) + query

    with _NoTrace(world, nudges, "malformed"):
        assert _post(address, path, _told()).status_code == 400


def test_an_empty_duration_is_taken(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    assert _post(address, _path(call_id), _told("completed", CallDuration="")).status_code == 204

    assert world.call(call_id).duration_s is None


# Forgeries


@pytest.mark.parametrize("signature", [None, "", "x", "é", "RSOYDt4T1cUTdK1PDd93/VVr8B8="])
def test_what_nobody_signed_is_refused(
    address: str, world: World, nudges: Nudges, call_id: int, signature: str | None
) -> None:
    headers = {} if signature is None else {"X-Twilio-Signature": signature.encode("latin-1")}

    with _NoTrace(world, nudges, "forged"):
        answer = _post(address, _path(call_id), _told(), headers)  # type: ignore[arg-type]

    assert answer.status_code == 403
    assert "OUTBOUND_PUBLIC_URL" in answer.text


def test_what_another_token_signed_is_refused(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    path = _path(call_id)

    with _NoTrace(world, nudges, "forged"):
        assert _post(address, path, _told(), _sign(path, _told(), token="another")).status_code == 403


def test_a_signature_for_another_call_is_refused(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    other = world.initiated(world.business("Other"), to="+15005550199")

    with _NoTrace(world, nudges, "forged"):
        answer = _post(address, _path(call_id), _told(), _sign(_path(other, to="+15005550199"), _told()))

    assert answer.status_code == 403


def test_a_signed_form_that_was_changed_on_its_way_is_refused(
    address: str, world: World, nudges: Nudges, call_id: int
) -> None:
    path = _path(call_id)

    with _NoTrace(world, nudges, "forged"):
        assert _post(address, path, _told("completed"), _sign(path, _told("ringing"))).status_code == 403


@pytest.mark.parametrize(
    "host",
    [
        "calls.example.com",
        "evil.example",
        "calls.example.com/outbound",
        "calls.example.com/outbound/callbacks/{other}?",
        "calls.example.com/outbound/callbacks/{other}#",
        "a@calls.example.com:443",
        "",
        "[::1]:99999",
    ],
)
def test_no_header_says_which_url_was_signed(
    address: str, world: World, nudges: Nudges, call_id: int, host: str
) -> None:
    """A callback that was signed for another of our calls, or for another host, cannot be bent to this one."""
    other = world.initiated(world.business("Other"), to="+15005550199")
    headers = {
        "Host": host.format(other=other),
        "X-Forwarded-Host": "calls.example.com",
        "X-Forwarded-Proto": "https",
        "X-Original-URL": f"/outbound/callbacks/{other}",
    }

    with _NoTrace(world, nudges, "forged"):
        replayed = _sign(_path(other, to="+15005550199"), _told()) | headers
        assert _post(address, _path(call_id), _told(), replayed).status_code == 403
    with _NoTrace(world, nudges, "forged"):
        elsewhere = _sign(_path(call_id), _told(), base="https://evil.example/outbound") | headers
        assert _post(address, _path(call_id), _told(), elsewhere).status_code == 403

    genuine = _sign(_path(call_id), _told()) | headers
    assert _post(address, _path(call_id), _told(), genuine).status_code == 204


def test_another_accounts_call_is_refused(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    for account in ("AC" + "f" * 32, ""):
        with _NoTrace(world, nudges, "other_account"):
            assert _post(address, _path(call_id), _told(AccountSid=account)).status_code == 403


# Signed, and yet not for us


@pytest.mark.parametrize("which", ["999999", "0", "-1", "1x", "٣", "9" * 18, "9" * 19, "9" * 5000, "%31%00"])
def test_a_call_that_is_not_ours_is_refused(
    address: str, world: World, nudges: Nudges, call_id: int, which: str
) -> None:
    path = urlsplit(requests.Request("POST", f"{address}/callbacks/{which}").prepare().url or "").path

    with _NoTrace(world, nudges, "unknown_call"):
        assert _post(address, path, _told()).status_code == 404


def test_a_call_whose_row_is_gone_is_refused(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    for more, form in (("", _told()), ("/answered-by", _verdict())):
        with _NoTrace(world, nudges, "unknown_call"):
            assert _post(address, _path(999_999, more), form).status_code == 404


def test_a_number_of_digits_that_no_call_has_costs_nothing_unsigned(
    address: str, world: World, nudges: Nudges, call_id: int
) -> None:
    with _NoTrace(world, nudges, "forged"):
        assert _post(address, f"/callbacks/{'9' * 5000}", _told(), {}).status_code == 403


def test_another_call_sid_is_refused(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    _post(address, _path(call_id), _told())

    with _NoTrace(world, nudges, "other_call_sid"):
        answer = _post(address, _path(call_id), _told("completed", CallSid="CA" + "6" * 32))

    assert answer.status_code == 409


# Malformed, signed or not

FORM_TYPE = "application/x-www-form-urlencoded"
SOME_SIGNATURE = "X-Twilio-Signature: RSOYDt4T1cUTdK1PDd93/VVr8B8=\r\n"


def _raw(
    address: str,
    path: str,
    body: bytes | Iterator[bytes],
    content_type: str | None = FORM_TYPE,
    signature: str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
) -> requests.Response:
    headers = {"X-Twilio-Signature": signature} | ({} if content_type is None else {"Content-Type": content_type})
    return requests.post(address + path, data=body, headers=headers, timeout=20)


@pytest.mark.parametrize("size", [callbacks.BODY_MAX + 1, 5_000_000])
def test_a_huge_body_is_refused_before_it_is_read_whole(
    address: str, world: World, nudges: Nudges, call_id: int, size: int
) -> None:
    with _NoTrace(world, nudges, "too_large"):
        code = _status_of(
            address,
            f"POST {_path(call_id)} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM_TYPE}\r\n{SOME_SIGNATURE}"
            f"Content-Length: {size}\r\n\r\n",
            b"x" * (callbacks.BODY_MAX + 1),
        )

    assert code == 413


def test_a_huge_body_that_comes_in_pieces_is_refused(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    pieces = (b"%X\r\n%s\r\n" % (8192, b"x" * 8192)) * 9

    with _NoTrace(world, nudges, "too_large"):
        code = _status_of(
            address,
            f"POST {_path(call_id)} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM_TYPE}\r\n{SOME_SIGNATURE}"
            "Transfer-Encoding: chunked\r\n\r\n",
            pieces,
        )

    assert code == 413


def _status_of(address: str, head: str, body: bytes) -> int:
    """The status of the answer to a request that is written by hand and left unfinished."""
    url = urlsplit(address)
    assert url.hostname is not None
    assert url.port is not None
    with closing(socket.create_connection((url.hostname, url.port), timeout=20)) as line:
        line.sendall(head.encode() + body)
        return int(line.makefile("rb").readline().split()[1])


def test_a_callback_that_breaks_off_is_refused(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    url = urlsplit(address)
    head = f"POST {_path(call_id)} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM_TYPE}\r\n{SOME_SIGNATURE}"
    head += "Content-Length: 500\r\n\r\n"
    before = _refused("malformed")

    with heard() as said, socket.create_connection((str(url.hostname), url.port or 0), timeout=20) as line:
        line.sendall(head.encode() + b"CallSid=CA")
        line.close()
        until(lambda: _refused("malformed") == before + 1)

    assert "Traceback" not in said.getvalue()


@pytest.mark.parametrize(
    "content_type", [None, "", "application/json", "multipart/form-data; boundary=x", "text/plain"]
)
def test_what_is_no_form_is_refused(
    address: str, world: World, nudges: Nudges, call_id: int, content_type: str | None
) -> None:
    with _NoTrace(world, nudges, "malformed"):
        answer = _raw(address, _path(call_id), urlencode(_told()).encode(), content_type)

    assert answer.status_code == 415


@pytest.mark.parametrize("content_type", [FORM_TYPE.upper(), f"{FORM_TYPE}; charset=UTF-8", f" {FORM_TYPE} ;x=y"])
def test_a_form_may_name_its_charset(
    address: str, world: World, nudges: Nudges, call_id: int, content_type: str
) -> None:
    path = _path(call_id)
    headers = _sign(path, _told()) | {"Content-Type": content_type.strip()}

    assert _post(address, path, urlencode(_told()), headers).status_code == 204


@pytest.mark.parametrize(
    "body",
    [
        b"CallSid",
        b"CallSid=CA&&CallStatus=ringing",
        b"CallSid=CA&",
        b"CallSid=%FF%FE",
        b"CallSid=%C3",
        "CallSid=é".encode(),
        "CallSid=é".encode("latin-1"),
        b"\xff\xfe\x00",
        b"CallSid=CA%00",
        b"CallSid=CA\x00",
        b"CallSid%00=CA",
        b"&".join(b"f%d=x" % number for number in range(callbacks.FIELDS_MAX + 1)),
        b"&".join(b"%d=" % number for number in range(10_000)),
        b'{"CallSid": "CA"}',
        b"&" * 60_000,
        b"CallSid=%",
        b"CallSid=%zz",
        b"CallSid=%u0041",
        b"=",
        b"+=+",
    ],
    ids=lambda body: repr(body[:16]),
)
def test_what_cannot_be_read_as_a_form_is_refused(
    address: str, world: World, nudges: Nudges, call_id: int, body: bytes
) -> None:
    with _NoTrace(world, nudges, "malformed"):
        answer = _raw(address, _path(call_id), body)

    assert answer.status_code == 400


@pytest.mark.parametrize("name", ["CallSid", "CallStatus", "To", "AccountSid", "CallDuration", "Extra"])
def test_a_signed_callback_that_says_anything_twice_is_refused(
    address: str, world: World, nudges: Nudges, call_id: int, name: str
) -> None:
    path = _path(call_id)
    form = _told(CallDuration="7", Extra="x")
    pairs = [*form.items(), (name, form[name])]
    headers = _sign(path, ImmutableMultiDict(pairs))

    with _NoTrace(world, nudges, "malformed"):
        answer = requests.post(address + path, data=pairs, headers=headers, timeout=20)

    assert (answer.status_code, answer.text) == (400, f"{name} is given more than once\n")


@pytest.mark.parametrize(
    ("odd", "kept"),
    [
        ({"Timestamp": "2026-11-01T12:00:00Z"}, {"ended_at": datetime(2026, 11, 1, 12, tzinfo=UTC)}),
        ({"Timestamp": "1793534400"}, {"ended_at": datetime(2026, 11, 1, 12, tzinfo=UTC)}),
        ({"Timestamp": "Sun, 01 Nov 2026 12:00:00 +1600"}, {}),
        ({"Timestamp": "Sun, 01 Nov 2026 12:00:00 -2359"}, {}),
        ({"Timestamp": "Fri, 31 Dec 9999 23:59:59 -0800"}, {}),
        ({"Timestamp": "yesterday"}, {}),
        ({"CallDuration": "12.0"}, {"duration_s": 12}),
        ({"CallDuration": "-7"}, {"duration_s": None}),
        ({"CallDuration": "9" * 5000}, {"duration_s": None}),
        ({"SequenceNumber": "null"}, {}),
        ({"SequenceNumber": "-1"}, {}),
        ({"SequenceNumber": "99999999999"}, {}),
        ({"SipResponseCode": "486 Busy Here"}, {}),
        ({"SipResponseCode": "487.5"}, {}),
        ({"AnsweredBy": "m" * 5000}, {"answered_by": "m" * 32}),
        ({"AnsweredBy": "hu\0man"}, {"answered_by": None}),
        ({"CallerName": "a\0b"}, {}),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_signed_callback_with_an_odd_field_loses_that_field_and_never_the_status(
    address: str, world: World, nudges: Nudges, call_id: int, odd: dict[str, str], kept: dict[str, object]
) -> None:
    ((name, said),) = odd.items()

    answer = _post(address, _path(call_id), _told(CallStatus="completed", **odd))

    call = world.call(call_id)
    assert (answer.status_code, call.status) == (204, "completed")
    assert {column: getattr(call, column) for column in kept} == kept
    assert world.value("select payload from call_event")[name] == said.replace("\0", "")


def test_a_sip_code_with_its_words_is_that_code(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    told = _told(CallStatus="failed", SipResponseCode="486 Busy Here")

    assert _post(address, _path(call_id), told).status_code == 204
    assert world.call(call_id).error_code == "sip_486"


@pytest.mark.parametrize("fault", [{"CallSid": ""}, {"CallSid": "CA1"}, {"CallStatus": ""}], ids=str)
def test_a_signed_callback_that_does_not_say_which_call_or_what_is_refused(
    address: str, world: World, nudges: Nudges, call_id: int, fault: dict[str, str]
) -> None:
    with _NoTrace(world, nudges, "malformed"):
        answer = _post(address, _path(call_id), _told(**fault))

    assert answer.status_code == 400
    assert answer.text.startswith(next(iter(fault)))


def test_a_signed_callback_as_large_as_may_be_is_taken(
    address: str, world: World, nudges: Nudges, call_id: int
) -> None:
    form = _told() | {f"Extra{number}": "é" * 40 for number in range(callbacks.FIELDS_MAX - len(_told()))}

    assert len(urlencode(form)) < callbacks.BODY_MAX
    assert _post(address, _path(call_id), form).status_code == 204


# Other methods, other paths


@pytest.mark.parametrize("path", ["/callbacks/1", "/callbacks/inbound", "/voice/inbound"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_callbacks_are_posted(address: str, world: World, nudges: Nudges, call_id: int, method: str, path: str) -> None:
    before = _trace(world)

    answer = requests.request(method, address + path, params=_told(), headers=_sign(path, {}), timeout=20)

    assert answer.status_code == 405
    assert _trace(world) == before


@pytest.mark.parametrize("path", ["/", "/callbacks", "/callbacks/", "/callbacks/1/2", "/voice", "/docs", "/metrics/"])
def test_there_is_nothing_else(address: str, path: str) -> None:
    for method in ("GET", "POST"):
        answer = requests.request(
            method, address + path, headers={"Host": "evil.example"}, timeout=20, allow_redirects=False
        )

        assert answer.status_code == 404


# The database is away


@pytest.mark.parametrize("path", ["/callbacks/1", "/callbacks/inbound", "/voice/inbound"])
def test_a_callback_that_cannot_be_kept_now_is_asked_for_again(
    address: str, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    _without_database(monkeypatch)
    path = _path(1) if path == "/callbacks/1" else path
    direction = "inbound" if path.endswith("inbound") else "outbound-api"
    try:
        answer = _post(address, path, _told(Direction=direction))
    finally:
        db.close()

    assert (answer.status_code, answer.text) == (503, "try again\n")


def _without_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pool lead to a port where nobody listens, and give up soon."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@127.0.0.1:{port}/none")
    forget_settings()
    db.close()
    db._pool().timeout = 0.2


# Inbound


def test_who_calls_a_business_hears_what_it_says(address: str, world: World, nudges: Nudges) -> None:
    business_id = world.business(phone=OURS)
    world.do("update business set twiml = '<Response><Say>Good morning</Say></Response>'")

    answers = [_post(address, "/voice/inbound", _came_in()) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.text for answer in answers} == {"<Response><Say>Good morning</Say></Response>"}
    assert answers[0].headers["content-type"].startswith("text/xml")
    call = world.rows("select * from call_log")[0]
    assert (call.business_id, call.direction, call.status, call.from_number) == (
        business_id,
        "inbound",
        "ringing",
        CALLER,
    )
    assert set(nudges) == {("create_lead_from_call_job", (SID,))}
    assert world.value("select count(*) from call_log") == 1


def test_who_calls_a_business_that_has_a_voice_url_is_led_there(address: str, world: World, nudges: Nudges) -> None:
    world.business(phone=OURS)
    world.do("update business set twiml = null, voice_url = 'https://voice.example/hello?a=1&b=2'")

    answer = _post(address, "/voice/inbound", _came_in())

    assert "<Redirect>https://voice.example/hello?a=1&amp;b=2</Redirect>" in answer.text


def test_who_calls_a_business_that_has_nothing_to_say_is_not_led_in_a_circle(
    address: str, world: World, nudges: Nudges
) -> None:
    world.business(phone=OURS)
    world.do("update business set twiml = null")

    answer = _post(address, "/voice/inbound", _came_in())

    assert answer.text.endswith("<Response><Reject /></Response>")


@pytest.mark.parametrize("to", ["+15005559999", "", "sip:someone@example.com"])
def test_a_call_to_a_number_of_nobodys_is_refused(address: str, world: World, nudges: Nudges, to: str) -> None:
    world.business(phone=OURS)

    with _NoTrace(world, nudges, "unknown_number"):
        assert _post(address, "/voice/inbound", _came_in(To=to)).status_code == 404


def test_an_unsigned_call_is_refused(address: str, world: World, nudges: Nudges) -> None:
    world.business(phone=OURS)

    with _NoTrace(world, nudges, "forged"):
        assert _post(address, "/voice/inbound", _came_in(), {}).status_code == 403
    with _NoTrace(world, nudges, "forged"):
        assert _post(address, "/callbacks/inbound", _told(), {}).status_code == 403


def test_callers_who_withhold_their_numbers_have_none_in_common(address: str, world: World, nudges: Nudges) -> None:
    world.business(phone=OURS)

    _post(address, "/voice/inbound", _came_in(From="+266696687"))

    assert world.value("select from_number from call_log") == "anonymous"


def test_an_inbound_call_is_moved_on(address: str, world: World, nudges: Nudges) -> None:
    world.business(phone=OURS)
    _post(address, "/voice/inbound", _came_in())

    codes = [
        _post(address, "/callbacks/inbound", _told(status, Direction="inbound", SequenceNumber=str(number))).status_code
        for number, status in enumerate(("in-progress", "completed"))
    ]

    assert codes == [204, 204]
    assert world.statuses() == ["completed"]


def test_the_status_of_an_inbound_call_that_never_came_in_is_refused(
    address: str, world: World, nudges: Nudges, call_id: int
) -> None:
    with _NoTrace(world, nudges, "unknown_call"):
        answer = _post(address, "/callbacks/inbound", _told("completed", Direction="inbound"))

    assert answer.status_code == 404


# Those who watch


def test_the_process_says_that_it_is_alive(address: str) -> None:
    answer = requests.get(f"{address}/healthz", timeout=20)

    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_prometheus_can_read_the_metrics(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    answer = requests.get(f"{address}/metrics", timeout=20)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == metrics.CONTENT_TYPE
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert ("outbound_queue_len",) in samples
    assert ("outbound_callbacks_refused_total", "forged") in samples


def test_a_scrape_is_answered_while_the_database_is_away(
    address: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_database(monkeypatch)
    for collector in list(process_counters.registry._collector_to_names):
        if isinstance(collector, metrics._Queue):
            monkeypatch.setattr(collector, "_read_at", float("-inf"))  # forget what it read for the last scrape
    try:
        answer = requests.get(f"{address}/metrics", timeout=20)
    finally:
        db.close()

    assert answer.status_code == 200
    assert "outbound_scrape_error 1.0" in answer.text.splitlines()
    assert 'outbound_callbacks_refused_total{reason="forged"}' in answer.text


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer a-long-enough-toke", 401),
        ("a-long-enough-token", 401),
        ("Basic a-long-enough-token", 401),
        ("Bearer a-long-enough-tokén", 401),
        ("Bearer a-long-enough-token", 200),
    ],
)
def test_with_a_metrics_token_only_who_shows_it_may_read(
    address: str, world: World, monkeypatch: pytest.MonkeyPatch, shown: str | None, status: int
) -> None:
    monkeypatch.setenv("OUTBOUND_METRICS_TOKEN", "a-long-enough-token")
    forget_settings()
    headers = {} if shown is None else {"Authorization": shown.encode("latin-1")}

    answer = requests.get(f"{address}/metrics", headers=headers, timeout=20)

    assert answer.status_code == status
    assert ("outbound_" in answer.text) == (status == 200)
    assert answer.headers.get("www-authenticate") == (None if status == 200 else "Bearer")


def test_no_phone_number_is_in_the_metrics_or_in_the_log(
    address: str, world: World, nudges: Nudges, call_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "_pace", refusals._Pace())  # the tests before it may have had this second's lines
    with heard("DEBUG") as said:
        for path, form in (
            (_path(call_id), _told()),
            ("/voice/inbound", _came_in()),
            ("/voice/inbound", _came_in(To="+15005559999", CallSid="CA" + "6" * 32)),
            (_path(999_999), _told()),
            (_path(call_id), _told(Timestamp=CALLER)),
            (_path(call_id), _told(SequenceNumber=CALLER)),
            (_path(call_id) + "?To=%2B15005550101", _told()),
        ):
            _post(address, path, form)
            _post(address, path, form, {})
        shown = requests.get(f"{address}/metrics", timeout=20).text

    assert "web.refused" in said.getvalue()
    told = [line for line in said.getvalue().splitlines() if "event=callback." in line]
    assert sum(f"call_id={call_id}" in line.split() for line in told) == 3
    for number in ("5005550101", "5005550006", "5005559001", "5005559999"):
        assert number not in shown
        assert number not in said.getvalue()


# Machine detection


def _verdict(**more: str) -> dict[str, str]:
    """What asynchronous machine detection tells: no status, no number."""
    return {"CallSid": SID, "AccountSid": ACCOUNT_SID, "AnsweredBy": "human", "MachineDetectionDuration": "2400"} | more


def test_a_signed_verdict_of_machine_detection_is_kept(
    world: World, address: str, call_id: int, nudges: Nudges
) -> None:
    world.do("update call_log set call_sid = %s", SID)

    answer = _post(address, _path(call_id, "/answered-by"), _verdict(AnsweredBy="machine_end_beep"))

    assert answer.status_code == 204
    assert world.call(call_id).answered_by == "machine_end_beep"


def test_a_verdict_before_the_call_sid_is_asked_for_again(world: World, address: str, call_id: int) -> None:
    answer = _post(address, _path(call_id, "/answered-by"), _verdict())

    assert answer.status_code == 503
    assert world.call(call_id).answered_by is None


def test_a_verdict_that_nobody_signed_or_that_is_another_call_s_changes_nothing(
    world: World, address: str, call_id: int, nudges: Nudges
) -> None:
    world.do("update call_log set call_sid = %s", SID)
    path = _path(call_id, "/answered-by")
    other = _verdict(CallSid="CA" + "6" * 32)

    for form, headers, reason, status in (
        (_verdict(), {}, "forged", 403),
        (_verdict(), _sign(_path(call_id), _verdict()), "forged", 403),  # the signature of another address
        (_verdict(AccountSid="AC" + "9" * 32), None, "other_account", 403),
        (_verdict(AnsweredBy=""), None, "malformed", 400),
        (_verdict(CallSid="CA1"), None, "malformed", 400),
        ([*_verdict().items(), ("AnsweredBy", "human")], None, "malformed", 400),
        (_verdict(Direction="outbound-dial"), None, "other_leg", 403),
        (_verdict(ParentCallSid=SID, Direction="outbound-api"), None, "other_leg", 403),
        (other, None, "other_call_sid", 409),
    ):
        signed = _sign(path, ImmutableMultiDict(form)) if headers is None else headers
        with _NoTrace(world, nudges, reason):
            assert _post(address, path, form, signed).status_code == status, reason
    with _NoTrace(world, nudges, "unknown_call"):
        assert _post(address, _path(4711, "/answered-by"), _verdict()).status_code == 404


def test_a_head_without_end_is_refused_before_it_fills_the_memory(address: str) -> None:
    where = urlsplit(address)
    with closing(socket.create_connection((where.hostname, where.port), timeout=20)) as line:
        line.sendall(b"POST /callbacks/1 HTTP/1.1\r\nhost: x\r\nx-much: " + b"a" * 400_000)
        assert line.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_many_requests_on_one_connection_are_no_large_head(address: str) -> None:
    with requests.Session() as session:
        for _ in range(30):
            assert session.get(f"{address}/healthz", headers={"x-much": "a" * 10_000}, timeout=20).ok
