"""What any carrier must do, and the ways it may fail: Twilio's adapter against the simulator and against worse."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from starlette.datastructures import ImmutableMultiDict

from outbound import config, settings_model
from outbound.call import DialOrder
from outbound.carrier import (
    Accepted,
    CallNotSent,
    CallRefused,
    CallUnsure,
    CarrierSilent,
    OddAnswer,
    callback_tag,
    twilio,
    twilio_http,
    twilio_webhooks,
)
from outbound.simulator.server import RunningSimulator
from tests.conftest import ACCOUNT_SID, AUTH_TOKEN, forget_settings, let_it_end, place, until

FROM = "+15005550006"
SID = "CA" + "5" * 32

# A certificate that nobody has reason to trust.
CERTIFICATE = """
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjr6Wv0zYtfPhPqae
+I4qspBjawWGS18L6BrykewZgSuhRANCAAR84N3/Jr06qLDS4fweBEHXSFnZrXXq
lI4XoiKZctXsCoXSBXTn63cRCGV1WCdHTKZyWxiOtOSQJhLS62UeZpXo
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBeTCCAR+gAwIBAgIUepJJ+QjhRxTeg0ts7LHT33T785cwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyMTIyNTAyM1oYDzIxMjYxMDI4MjI1
MDIzWjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAR84N3/Jr06qLDS4fweBEHXSFnZrXXqlI4XoiKZctXsCoXSBXTn63cRCGV1WCdH
TKZyWxiOtOSQJhLS62UeZpXoo1MwUTAdBgNVHQ4EFgQUv9lSy707UFyMlS522YES
kjSu6gUwHwYDVR0jBBgwFoAUv9lSy707UFyMlS522YESkjSu6gUwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAwyl10Y3dEY+vd3h9D03ZRd7avQBK
gC27LwCnN9IqLkQCICsTmz/5mnayOy+iBY8qUUZDWYR2PSBqD/C4b96kx7ij
-----END CERTIFICATE-----
"""


_opened: list[twilio.Twilio] = []


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The settings of a process that dials; no database is needed here."""
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", ACCOUNT_SID)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
    monkeypatch.setenv("OUTBOUND_PUBLIC_URL", "http://127.0.0.1:9/outbound/")
    monkeypatch.setenv("OUTBOUND_CARRIER_TIMEOUT_S", "1")
    forget_settings()
    yield
    forget_settings()
    while _opened:
        _opened.pop().close()


def _order(digits: str = "99", voice_url: str | None = None, twiml: str | None = "<Response/>") -> DialOrder:
    """A call to the number of this scenario."""
    return DialOrder(812, FROM, f"+150055501{digits}", voice_url, twiml)


def _at(url: str) -> twilio.Twilio:
    """The adapter for the server at *url*, by settings that a real start might refuse."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWILIO_API_URL", url)
        _opened.append(twilio.Twilio(settings_model.Settings(**settings_model._given(config.environment()))))
        return _opened[-1]


@dataclass
class Asked:
    """One request, as it came."""

    method: str
    path: str
    body: str

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)


@dataclass
class Anyone:
    """An HTTP server that gives the answers it was made with, and remembers what it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)


Answer = tuple[int, str]


class _Listener(ThreadingHTTPServer):
    request_queue_size = 64  # of 5, its default, a sixth at the same time would wait a second


@contextlib.contextmanager
def _anyone(
    answer: Answer | Callable[[Asked], Answer],
    tls: ssl.SSLContext | None = None,
    content_type: str = "application/json",
) -> Iterator[Anyone]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.command, self.path, body.decode())
            server.asked.append(asked)
            status, text = answer(asked) if callable(answer) else answer
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Location", f"{server.url}/elsewhere")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    listener = _Listener(("127.0.0.1", 0), Handler)
    if tls is not None:
        listener.socket = tls.wrap_socket(listener.socket, server_side=True)
    server = Anyone(f"{'https' if tls else 'http'}://127.0.0.1:{listener.server_port}")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def _resource(**changes: object) -> dict[str, object]:
    """A call as Twilio's REST API shows it."""
    ordinary = {
        "sid": SID,
        "status": "in-progress",
        "from": FROM,
        "to": _order().to_number,
        "direction": "outbound-api",
        "date_created": format_datetime(datetime.now(UTC)),
        "start_time": None,
        "end_time": None,
        "duration": None,
        "answered_by": None,
    }
    return ordinary | changes


def _page(*calls: dict[str, object]) -> str:
    page = {"calls": calls, "page": 0, "page_size": 50, "next_page_uri": None, "first_page_uri": "/", "uri": "/"}
    return json.dumps(page)


# Create: accepted, refused


def test_an_accepted_call_has_its_call_sid_and_rings_once(carrier: RunningSimulator) -> None:
    call_sid = place(twilio.carrier(), _order()).call_sid

    assert [(entry["call_sid"], entry["outcome"]) for entry in carrier.log()] == [(call_sid, "accepted")]


@pytest.mark.parametrize(("digits", "code"), [("15", "21211"), ("16", "21215")])
def test_a_refusal_keeps_the_carriers_code_and_words(carrier: RunningSimulator, digits: str, code: str) -> None:
    with pytest.raises(CallRefused, match=r"\w+ .*") as refusal:
        place(twilio.carrier(), _order(digits))

    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        ((400, '{"code": 21216, "message": "blocked", "status": 400}'), "21216", "blocked"),
        ((403, '{"code": 21210, "message": "not verified"}'), "21210", "not verified"),
        ((403, '{"code": 21216, "message": "this callee"}'), "21216", "this callee"),
        ((403, '{"code": "21216", "message": "code as text"}'), "21216", "code as text"),
        ((403, '{"type": "t", "title": "Bad", "status": 403, "code": 21211, "detail": "this one"}'), "21211", "one"),
        ((404, '{"code": 21211, "message": "this number"}'), "21211", "this number"),
        ((405, '{"code": 13224, "message": "this route"}'), "13224", "this route"),
        ((400, '{"code": [21211], "message": "a code that is none"}'), r"[21211]", "none"),
        ((400, '{"code": 21211, "message": {"a": 1}}'), "21211", "Unable"),
        ((400, '["a list"]'), "400", "Unable"),
        ((400, '{"code": 13224, "status": 400}'), "13224", "Unable to create record"),
        ((413, "<html>too large, says the proxy"), "413", "Unable to create record"),
        ((400, '{"code": null, "message": "no code"}'), "400", "no code"),
        ((400, '{"code": "%s", "message": "m"}' % ("9" * 200)), "9" * 64, "m"),
        ((400, '{"type": "t", "title": "Bad", "status": 400, "code": 21211, "detail": "why"}'), "21211", "why"),
        ((400, '{"type": "t", "title": "Bad", "status": 400, "code": 21211}'), "21211", "Bad"),
    ],
)
def test_every_other_4xx_is_a_refusal(answer: Answer, code: str, message: str) -> None:
    with _anyone(answer) as server, pytest.raises(CallRefused, match=message) as refusal:
        place(_at(server.url), _order())

    assert refusal.value.code == code
    assert len(server.asked) == 1


# Create: not sent


def test_429_is_not_sent_and_not_tried_again_by_itself(carrier: RunningSimulator) -> None:
    with pytest.raises(CallNotSent):
        place(twilio.carrier(), _order("17"))

    assert [entry["outcome"] for entry in carrier.log()] == ["not_accepted"]


def test_a_wrong_token_burns_no_call(carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "another")
    forget_settings()

    with pytest.raises(CallNotSent, match="code 20003"):
        place(twilio.carrier(), _order())


@pytest.mark.parametrize(
    "answer",
    [
        (429, '{"code": 20429, "status": 429}'),
        (429, "<html>slow down, says the proxy"),
        (429, '{"type": "t", "title": "Too many", "status": 429, "code": 20429}'),
        (401, '{"code": 20003, "message": "Authenticate", "status": 401}'),
        (401, "<html>who are you, asks the proxy"),
        (403, '{"code": 20005, "message": "Account not active"}'),
        (400, '{"code": 10001, "message": "Account is not active"}'),
        (400, '{"code": 10004, "message": "Call concurrency limit exceeded"}'),
        (400, '{"code": 86008, "message": "concurrency"}'),
        (404, '{"code": 20404, "message": "no such account"}'),
        (403, "<html>not through this wall"),
        (403, '{"code": "20005", "message": "Account not active"}'),
        (403, '{"code": 20403, "message": "not this account"}'),
        (403, '{"code": 20006, "message": "access denied"}'),
        (403, '{"message": "not through this wall either"}'),
        (403, '{"code": null, "message": "nor this one"}'),
        (401, '{"code": 21211, "message": "nobody knows who asks"}'),
        (405, "<html>not here, says the proxy"),
        (407, "<html>not without my leave, says the proxy"),
    ],
)
def test_what_is_wrong_with_the_account_burns_no_call(answer: Answer) -> None:
    with _anyone(answer) as server, pytest.raises(CallNotSent):
        place(_at(server.url), _order())

    assert len(server.asked) == 1


def test_nothing_is_sent_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(CallNotSent):
        place(_at(f"http://127.0.0.1:{port}"), _order())


def test_nothing_is_sent_to_a_host_that_does_not_exist() -> None:
    with pytest.raises(CallNotSent):
        place(_at("https://host.invalid"), _order())


def test_nothing_is_sent_to_an_address_that_is_none() -> None:
    with pytest.raises(CallNotSent):
        place(_at("http://."), _order())


def test_nothing_is_sent_where_no_connection_comes_about_in_time() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for each in waiting:  # fill the backlog: the next one gets no answer
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        try:
            with pytest.raises(CallNotSent, match="ConnectionTimeoutError"):
                place(_at(f"http://127.0.0.1:{full.getsockname()[1]}"), _order())
        finally:
            for each in waiting:
                each.close()


def test_nothing_is_sent_to_a_host_whose_certificate_is_not_trusted(tmp_path: Path) -> None:
    pem = tmp_path / "nobody.pem"
    pem.write_text(CERTIFICATE)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)

    with _anyone((201, json.dumps(_resource())), tls) as server, pytest.raises(CallNotSent):
        place(_at(server.url), _order())

    assert server.asked == []


@pytest.mark.parametrize(
    ("fault", "order"),
    [
        ({"twilio_account_sid": None}, {}),
        ({}, {"to_number": "+1500555\ud800"}),
        ({}, {"twiml": "<Response><Say>\udfff</Say></Response>"}),
    ],
)
def test_nothing_is_sent_where_the_request_cannot_be_made(fault: dict[str, Any], order: dict[str, Any]) -> None:
    with _anyone((201, json.dumps(_resource()))) as server:
        line = _at(server.url)
        line._client.auth = (fault.get("twilio_account_sid", ACCOUNT_SID), AUTH_TOKEN)

        with pytest.raises(CallNotSent):
            place(line, replace(_order(), **order))

    assert server.asked == []


def test_nothing_is_sent_where_an_odd_name_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ["no such thing"])

    with pytest.raises(CallNotSent):
        place(_at("https://api.example.com"), _order())


def test_a_paced_call_is_not_sent_after_its_moment(carrier: RunningSimulator) -> None:
    with pytest.raises(CallNotSent, match="its moment had passed"):
        place(twilio.carrier(), replace(_order(), send_by=time.monotonic()))

    assert carrier.log() == []
    assert place(twilio.carrier(), replace(_order(), send_by=time.monotonic() + 60)).call_sid


def test_a_paced_call_whose_connection_took_longer_than_others_is_not_sent_after_its_moment(
    carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = carrier.url.replace("127.0.0.1", "localhost")
    place(_at(url), _order("01"))  # this far away the carrier is
    line, resolve = _at(url), socket.getaddrinfo
    by = time.monotonic() + 1
    order = replace(_order("02"), send_by=by)

    def late(*given: Any, **options: Any) -> Any:
        until(lambda: time.monotonic() > by + min(twilio_http._opened_s))
        return resolve(*given, **options)

    monkeypatch.setattr(socket, "getaddrinfo", late)

    with pytest.raises(CallNotSent, match="its moment had passed"):
        place(line, order)

    assert len(carrier.log()) == 1


# Create: unsure


@pytest.mark.parametrize("digits", ["18", "19", "20", "21", "24", "26", "27", "30"])
def test_whatever_goes_wrong_after_sending_is_unsure_and_never_sent_again(
    carrier: RunningSimulator, digits: str
) -> None:
    with pytest.raises(CallUnsure):
        place(twilio.carrier(), _order(digits))

    assert len(carrier.log()) == 1


@pytest.mark.parametrize(
    "answer",
    [
        (500, '{"code": 20500, "status": 500}'),
        (502, "<html>bad gateway"),
        (503, '{"code": 20005, "status": 503}'),  # a code that would mean `not sent` in a 4xx
        (500, '{"type": "t", "title": "Broken", "status": 500, "code": 20500}'),
        (307, ""),
        (201, ""),
        (201, "[]"),
        (201, "{}"),
        (201, '"CA"'),
        (201, '{"sid": null}'),
        (200, "<html>welcome to this hotel's network"),
    ],
)
def test_an_answer_without_a_call_sid_is_unsure(answer: Answer) -> None:
    with _anyone(answer) as server, pytest.raises(CallUnsure):
        place(_at(server.url), _order())

    assert len(server.asked) == 1


def test_an_answer_whose_charset_cannot_be_read_was_an_answer() -> None:
    with _anyone((201, json.dumps(_resource())), content_type="application/json; charset=idna") as server:
        assert place(_at(server.url), _order()).call_sid == SID


def test_a_name_that_nobody_resolves_in_time_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(30))
    with pytest.raises(CallNotSent, match="ConnectionTimeoutError"):
        place(_at("https://api.example.com"), _order())
    over.set()


@pytest.mark.parametrize(
    "wrong",
    [{"REQUESTS_CA_BUNDLE": "/nowhere.pem"}, {"https_proxy": "socks5://127.0.0.1:9"}, {"ALL_PROXY": "socks5://a:9"}],
)
def test_what_the_environment_says_wrong_of_the_way_is_found_before_anything_is_begun(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)

    with pytest.raises((ValueError, OSError)):
        _at("https://api.example.com")


def test_nothing_is_sent_to_who_speaks_no_tls() -> None:
    with _anyone((201, json.dumps(_resource()))) as server, pytest.raises(CallNotSent):
        place(_at(server.url.replace("http://", "https://")), _order())


# What is sent


def test_a_create_request_asks_for_every_event_and_has_its_limits() -> None:
    with _anyone((201, json.dumps(_resource()))) as server:
        assert place(_at(server.url), _order()).call_sid == SID

    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json")
    form = parse_qsl(asked.body)
    assert [value for name, value in form if name == "StatusCallbackEvent"] == [
        "initiated",
        "ringing",
        "answered",
        "completed",
    ]
    rest = {name: value for name, value in form if name not in ("StatusCallbackEvent", "StatusCallback")}
    assert rest == {
        "To": _order().to_number,
        "From": FROM,
        "Twiml": "<Response/>",
        "StatusCallbackMethod": "POST",
        "Timeout": "30",
        "TimeLimit": "900",
    }


def test_a_callback_comes_to_the_calls_own_address_and_is_repeated_within_the_carriers_bounds() -> None:
    with _anyone((201, json.dumps(_resource()))) as server:
        place(_at(server.url), _order())

    address = dict(parse_qsl(server.asked[0].body))["StatusCallback"]
    url, _, overrides = address.partition("#")
    assert url == f"http://127.0.0.1:9/outbound/callbacks/812/{callback_tag.make(812, _order().to_number)}"
    how = dict(parse_qsl(overrides, strict_parsing=True))
    assert set(how) == {"ct", "rt", "tt", "rc", "rp"}
    assert 100 <= int(how["ct"]) < int(how["rt"]) < int(how["tt"]) <= 15_000  # milliseconds; more is refused
    assert 1 <= int(how["rc"]) <= 5
    assert set(how["rp"].split(",")) == {"5xx", "ct", "rt"}  # a 4xx is our last word


def test_machines_are_looked_for_while_the_call_goes_on_and_the_verdict_comes_to_an_address_of_its_own() -> None:
    with _anyone((201, json.dumps(_resource()))) as server:
        place(_at(server.url), replace(_order(), machine_detection="DetectMessageEnd"))

    form = dict(parse_qsl(server.asked[0].body))
    assert (form["MachineDetection"], form["AsyncAmd"]) == ("DetectMessageEnd", "true")
    url, _, overrides = form["AsyncAmdStatusCallback"].partition("#")
    assert (url, form["AsyncAmdStatusCallbackMethod"]) == (
        form["StatusCallback"].partition("#")[0] + "/answered-by",
        "POST",
    )
    assert overrides == form["StatusCallback"].partition("#")[2]


@pytest.mark.parametrize(
    ("voice_url", "twiml", "sent", "absent"),
    [
        ("https://voice.example/hello", None, "Url", "Twiml"),
        ("https://voice.example/hello", "<Response/>", "Url", "Twiml"),
        (None, "<Response/>", "Twiml", "Url"),
    ],
)
def test_a_call_plays_a_url_or_twiml_never_both(
    voice_url: str | None, twiml: str | None, sent: str, absent: str
) -> None:
    with _anyone((201, json.dumps(_resource()))) as server:
        place(_at(server.url), _order(voice_url=voice_url, twiml=twiml))

    form = dict(parse_qsl(server.asked[0].body))
    assert form[sent] in (voice_url, twiml)
    assert absent not in form


# Questions


def test_a_call_is_fetched_to_its_end(carrier: RunningSimulator) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    call_sid = place(twilio.carrier(), _order()).call_sid
    let_it_end(carrier, carrier.log()[0])

    report = twilio.carrier().fetch_call(call_sid)

    assert report is not None
    assert (report.call_sid, report.status, report.source) == (call_sid, "completed", "lookup")
    assert report.duration_s is not None
    assert report.duration_s > 0
    assert report.occurred_at is not None
    assert before <= report.occurred_at <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("queued", "initiated"),
        ("initiated", "initiated"),
        ("ringing", "ringing"),
        ("in-progress", "in-progress"),
        ("completed", "completed"),
        ("busy", "busy"),
        ("no-answer", "no-answer"),
        ("failed", "failed"),
        ("canceled", "canceled"),
        ("a-word-of-next-year" * 4, ("a-word-of-next-year" * 4)[:32]),
    ],
)
def test_the_carriers_words_become_ours(theirs: str, ours: str) -> None:
    ended_at = format_datetime(datetime(2026, 11, 1, 12, tzinfo=UTC))
    call = _resource(status=theirs, answered_by="human", duration="7", end_time=ended_at)

    with _anyone((200, json.dumps(call))) as server:
        report = _at(server.url).fetch_call(SID)

    assert report is not None
    assert (report.status, report.duration_s, report.answered_by) == (ours, 7, "human")
    over = ours in ("completed", "busy", "no-answer", "failed", "canceled")
    assert report.occurred_at == (datetime(2026, 11, 1, 12, tzinfo=UTC) if over else None)
    assert report.payload == {"CallStatus": theirs}


def test_a_call_that_the_carrier_does_not_know_is_none(carrier: RunningSimulator) -> None:
    assert twilio.carrier().fetch_call(SID) is None


def test_a_call_is_found_by_its_numbers_and_its_time(carrier: RunningSimulator) -> None:
    ask = twilio.carrier()
    ours = place(ask, _order()).call_sid
    place(ask, DialOrder(813, "+15005550007", _order().to_number, None, "<Response/>"))
    place(ask, _order("98"))
    now = datetime.now(UTC)

    found = ask.calls_of(_order(), now)

    assert [(report.call_sid, report.source) for report in found] == [(ours, "lookup")]
    assert ask.calls_of(_order(), now + timedelta(minutes=10)) == []
    assert ask.calls_of(_order(), now - timedelta(minutes=10)) == []
    assert ask.calls_of(_order("97"), now) == []


def test_a_call_that_waits_at_the_carrier_is_found_too() -> None:
    """Queued calls have no start time: a question by start time alone would miss them."""
    with _anyone(lambda asked: (200, _page(_resource(status="queued")) if "Status" in asked.query else _page())) as (
        server
    ):
        found = _at(server.url).calls_of(_order(), datetime.now(UTC))

    assert [(report.call_sid, report.status) for report in found] == [(SID, "initiated")]
    queued, started = (asked.query for asked in server.asked)
    assert (queued["To"], queued["Status"]) == ([_order().to_number], ["queued"])
    assert not any(name.startswith("StartTime") for name in queued)
    assert datetime.fromisoformat(started["StartTime>"][0]) < datetime.now(UTC) - timedelta(hours=23)


def test_only_calls_made_by_the_api_from_our_number_near_the_dial_are_found() -> None:
    now = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def made(seconds: float) -> str:
        return format_datetime(now + timedelta(seconds=seconds))

    calls = [
        _resource(sid="CA-at-once", date_created=made(0)),
        _resource(sid="CA-a-slow-clock", date_created=made(-50)),
        _resource(sid="CA-after-a-long-wait", date_created=made(110)),
        _resource(sid="CA-before", date_created=made(-70)),
        _resource(sid="CA-after", date_created=made(130)),
        _resource(sid="CA-undated", date_created=None),
        _resource(sid="CA-a-dial-verb", date_created=made(0), direction="outbound-dial"),
        _resource(sid="CA-inbound", date_created=made(0), direction="inbound"),
        _resource(sid="CA-another-from", date_created=made(0), **{"from": "+15005550007"}),
    ]
    with _anyone((200, _page(*calls))) as server:
        found = _at(server.url).calls_of(_order(), now)

    assert [report.call_sid for report in found] == ["CA-at-once", "CA-a-slow-clock", "CA-after-a-long-wait"]


def _listed(server: Anyone, **narrowed: Any) -> list[list[str]]:
    return [[call.call_sid for call in calls] for calls in _at(server.url).list_calls(**narrowed)]


def _pages_of(*pages: list[dict[str, object]]) -> Callable[[Asked], Answer]:
    """The pages of each list, one after the other, as Twilio chains them."""

    def answer(asked: Asked) -> Answer:
        if asked.query.get("Status") == ["queued"]:
            return 200, _page()
        place = int(asked.query.get("Page", ["0"])[0])
        path = urlsplit(asked.path).path
        following = f"{path}?PageSize=1000&Page={place + 1}&PageToken=PA{place}" if place + 1 < len(pages) else None
        return 200, json.dumps({"calls": pages[place], "page": place, "next_page_uri": following})

    return answer


def test_calls_are_listed_by_pages_of_a_thousand_each_of_them_one_request() -> None:
    with _anyone(_pages_of([_resource(sid="CA-1")], [_resource(sid="CA-2")], [_resource(sid="CA-3")])) as server:
        listing = _at(server.url).list_calls(status="in-progress")
        first = next(listing)
        asked_so_far = len(server.asked)
        rest = list(listing)

    assert [call.call_sid for calls in [first, *rest] for call in calls] == ["CA-1", "CA-2", "CA-3"]
    assert asked_so_far == 1
    assert [asked.query.get("PageToken") for asked in server.asked] == [None, ["PA0"], ["PA1"]]
    assert server.asked[0].query == {"Status": ["in-progress"], "PageSize": ["1000"]}


def test_calls_since_a_moment_are_those_that_wait_and_those_that_were_dialed() -> None:
    now = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def made(sid: str, seconds: float, **more: object) -> dict[str, object]:
        at = format_datetime(now + timedelta(seconds=seconds))
        return _resource(sid=sid, date_created=at, **more)

    over = {"status": "busy", "start_time": format_datetime(now - timedelta(hours=1))}
    pages = _pages_of(
        [made("CA-new", 5), made("CA-at", 0), made("CA-before", -1)],
        [made("CA-old", -3700, **over)],
        [made("CA-older", -9000, **over)],
    )
    with _anyone(lambda asked: (200, _page(made("CA-waits", 9))) if "queued" in asked.path else pages(asked)) as server:
        found = _listed(server, created_after=now)

    assert found == [[], ["CA-new", "CA-at"], []]  # CA-waits is not `queued`: that filter was not known
    assert len(server.asked) == 3, "what is older than the moment ends the list"
    queued, started = server.asked[:2]
    assert not any(name.startswith("StartTime") for name in queued.query)
    assert started.query["StartTime>"] == ["2026-10-31T00:00:00Z"]


def test_a_call_that_rings_is_listed_however_old_it_is() -> None:
    """A page that holds one call without an end is no sign that all later pages are older."""
    long_ago = format_datetime(datetime(2026, 11, 1, tzinfo=UTC))
    rings = _resource(sid="CA-1", status="ringing", date_created=long_ago, start_time=long_ago)
    with _anyone(_pages_of([rings], [_resource(sid="CA-2")])) as server:
        assert _listed(server, created_after=datetime(2026, 11, 2, tzinfo=UTC)) == [[], [], ["CA-2"]]


def test_a_list_names_the_calls_of_its_filters_even_where_the_carrier_does_not_know_them() -> None:
    calls = [
        _resource(sid="CA-ours", account_sid=ACCOUNT_SID),
        _resource(sid="CA-elsewhere", account_sid="AC" + "f" * 32),
        _resource(sid="CA-to-another", to="+15005550198"),
        _resource(sid="CA-over", status="completed"),
        _resource(sid=None),
        _resource(sid="CA-no-status", status=None),
        _resource(sid="SM-no-call"),
    ]
    with _anyone((200, _page(*calls))) as server:
        assert _listed(server, status="in-progress", to_number=_order().to_number) == [["CA-ours"]]


def test_a_listed_call_says_what_it_can() -> None:
    odd = _resource(
        sid="CA-odd",
        status="completed",
        to=15005550199,
        date_created="2026-11-01T12:00:00Z",
        start_time=1793534402,
        end_time="Sun, 41 Nov 2026 12:00:00 +0000",
        duration=7,
        answered_by=["human"],
    )
    with _anyone((200, _page(odd))) as server:
        ((call,),) = _at(server.url).list_calls()

    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert (call.created_at, call.started_at, call.ended_at) == (at, at + timedelta(seconds=2), None)
    assert (call.status, call.to_number, call.duration_s, call.answered_by) == ("completed", None, 7, None)


def test_the_next_page_is_asked_for_at_our_own_address_alone() -> None:
    """A server that answers must not make us send our token elsewhere."""
    with _anyone((200, _page())) as elsewhere:
        following = f"{elsewhere.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json?PageToken=PA1"
        first = json.dumps({"calls": [], "next_page_uri": following})
        with _anyone(lambda asked: (200, _page() if "PageToken" in asked.path else first)) as server:
            _listed(server)

        assert len(server.asked) == 2
        assert elsewhere.asked == []


def test_pages_without_an_end_are_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio, "_PAGES_MAX", 5)
    endless = json.dumps({"calls": [], "next_page_uri": f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json?PageToken=PA0"})
    with _anyone((200, endless)) as server, pytest.raises(CarrierSilent):
        _listed(server)


def test_a_stranger_s_call_to_another_number_is_not_found() -> None:
    with _anyone((200, _page(_resource(to="+15005550198")))) as server:
        assert _at(server.url).calls_of(_order(), datetime.now(UTC)) == []


def test_a_found_call_names_the_number_that_it_went_to() -> None:
    with _anyone((200, _page(_resource()))) as server:
        (report,) = _at(server.url).calls_of(_order(), datetime.now(UTC))

    assert report.to_number == _order().to_number


SILENCES: list[Answer] = [
    (429, '{"code": 20429}'),
    (500, "oops"),
    (503, '{"code": 20503}'),
    (401, '{"code": 20003}'),
    (503, '{"type": "t", "title": "Away", "status": 503, "code": 20503}'),
    (200, "<html>"),
    (200, "[1]"),
    (200, "{}"),
    (302, ""),
]


@pytest.mark.parametrize("answer", SILENCES)
def test_a_question_without_a_usable_answer_is_silence(answer: Answer) -> None:
    with _anyone(answer) as server:
        with pytest.raises(CarrierSilent):
            _at(server.url).fetch_call(SID)
        with pytest.raises(CarrierSilent):
            _at(server.url).calls_of(_order(), datetime.now(UTC))
        with pytest.raises(CarrierSilent):
            _listed(server)


def test_a_404_to_a_list_is_silence_and_no_proof_of_absence() -> None:
    with _anyone((404, '{"code": 20404}')) as server, pytest.raises(CarrierSilent):
        _at(server.url).calls_of(_order(), datetime.now(UTC))


def test_a_404_in_the_newer_form_says_that_there_is_no_such_call() -> None:
    with _anyone((404, '{"type": "t", "title": "Not found", "status": 404, "code": 20404}')) as server:
        assert _at(server.url).fetch_call(SID) is None


@pytest.mark.parametrize("answer", [(404, "<html>nothing here, says the proxy"), (404, "[]"), (404, "")])
def test_a_404_that_is_not_the_carrier_s_says_nothing_of_a_call(answer: Answer) -> None:
    with _anyone(answer) as server:
        with pytest.raises(CarrierSilent):
            _at(server.url).fetch_call(SID)
        with pytest.raises(CarrierSilent):
            _at(server.url).hang_up(SID, "completed")


@pytest.mark.parametrize(
    "changes",
    [
        {"sid": "CA" + "6" * 32},
        {"account_sid": "AC" + "f" * 32},
        {"to": "+15005550198"},
        {"from": "+15005550007"},
        {"direction": "inbound"},
        {"direction": "outbound-dial"},
        {"sid": None},
        {"status": None},
        {"status": 5},
        {"status": ""},
    ],
    ids=str,
)
def test_an_answer_about_another_call_is_not_believed(changes: dict[str, object]) -> None:
    with _anyone((200, json.dumps(_resource(**changes)))) as server, pytest.raises(OddAnswer):
        _at(server.url).fetch_call(SID, _order())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"to": None, "from": None, "direction": None, "account_sid": None},
        {"to": "sip:somebody@example.com"},
        {"account_sid": ACCOUNT_SID},
        {"date_created": "2026-11-01T12:00:00Z"},
        {"date_created": 5, "start_time": [], "end_time": {}, "duration": "null", "answered_by": 7},
        {"end_time": "Sun, 41 Nov 2026 12:00:00 +0000"},
    ],
    ids=str,
)
def test_an_answer_with_odd_fields_tells_the_status_all_the_same(changes: dict[str, object]) -> None:
    with _anyone((200, json.dumps(_resource(status="completed") | changes))) as server:
        report = _at(server.url).fetch_call(SID, _order())

    assert report is not None
    assert (report.call_sid, report.status) == (SID, "completed")


def test_a_create_whose_answer_has_odd_fields_was_accepted() -> None:
    odd = _resource(date_created=5, start_time="Sun, 41 Nov 2026 12:00:00 +0000", queue_time=None)
    with _anyone((201, json.dumps(odd))) as server:
        assert place(_at(server.url), _order()) == Accepted(SID, 0)


def test_a_carrier_that_is_away_or_slow_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with pytest.raises(CarrierSilent):
            _at(f"http://127.0.0.1:{port}").fetch_call(SID)

    with pytest.raises(CarrierSilent):
        _at(f"http://127.0.0.1:{port}").calls_of(_order(), datetime.now(UTC))


def test_calls_are_at_the_carrier_side_by_side_and_each_has_its_own_answer() -> None:
    everybody = threading.Barrier(16)  # each answer waits until all have asked

    def answer(asked: Asked) -> Answer:
        everybody.wait(5)
        form = dict(parse_qsl(asked.body))
        number = int(urlsplit(form["StatusCallback"]).path.split("/")[-2])
        return (201, json.dumps(_resource(sid=f"CA{number:032}"))) if number % 2 else (400, '{"code": 21211}')

    orders = [replace(_order(), call_id=number) for number in range(16)]
    with _anyone(answer) as server:
        answered = dict(each for group in _at(server.url).place_calls(orders) for each in group)

    sids = {number: said.call_sid for number, said in answered.items() if isinstance(said, Accepted)}
    assert sids == {number: f"CA{number:032}" for number in range(1, 16, 2)}
    assert all(isinstance(answered[number], CallRefused) for number in range(0, 16, 2))
    assert len(server.asked) == 16


def test_one_answer_that_does_not_come_holds_nobody_s_up() -> None:
    over = threading.Event()

    def answer(asked: Asked) -> Answer:
        if "%2Fcallbacks%2F7%2F" in asked.body:
            over.wait(10)
        return 201, json.dumps(_resource())

    with _anyone(answer) as server:
        groups = _at(server.url).place_calls([replace(_order(), call_id=number) for number in range(8)])
        heard: set[int] = set()
        while len(heard) < 7:
            heard |= {call_id for call_id, _ in next(groups)}
        over.set()
        heard_last = [call_id for call_id, _ in next(groups)]

    assert (7 in heard, heard_last) == (False, [7])


# Signatures: the vectors that Twilio publishes, of a token that is 12345

FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
PATH = "/myapp.php?foo=1&bar=2"
VECTORS = [
    (f"https://mycompany.com{PATH}", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
    (f"http://mycompany.com:1234{PATH}", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
    (f"https://mycompany.com:443{PATH}", "kvajT1Ptam85bY51eRf/AJRuM3w="),
    (f"https://mycompany.com{PATH}", "kvajT1Ptam85bY51eRf/AJRuM3w="),
    (f"http://mycompany.com:80{PATH}", "0ZXoZLH/DfblKGATFgpif+LLRf4="),
    (f"http://mycompany.com{PATH}", "0ZXoZLH/DfblKGATFgpif+LLRf4="),
    (f"https://mycompany.com:8443{PATH}", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),  # over HTTPS Twilio drops the port
    (f"https://user:p%40ss@mycompany.com:8443{PATH}", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),  # and always who logs in
    (f"http://user:pass@mycompany.com:1234{PATH}", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
]


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "12345")
    forget_settings()


def _form(form: dict[str, str]) -> ImmutableMultiDict[str, str]:
    return ImmutableMultiDict(list(form.items()))


@pytest.mark.parametrize(("url", "signature"), VECTORS)
def test_what_the_carrier_signed_is_genuine(token: None, url: str, signature: str) -> None:
    assert twilio_webhooks.is_genuine(url, _form(FORM), signature)


def test_the_documentations_own_example_is_genuine(token: None) -> None:
    form = FORM | {"Caller": "+14158675310", "From": "+14158675310"}

    assert twilio_webhooks.is_genuine(f"https://example.com{PATH}", _form(form), "L/OH5YylLD5NRKLltdqwSvS0BnU=")


def test_a_repeated_parameter_is_signed_with_all_its_values(token: None) -> None:
    pairs = [("Sid", "CA123"), ("SidAccount", "AC123"), *(("Digits", digits) for digits in ("5678", "1234", "1234"))]
    url, signature = f"https://mycompany.com{PATH}", "IK+Dwps556ElfBT0I3Rgjkr1wJU="

    assert twilio_webhooks.is_genuine(url, ImmutableMultiDict(pairs), signature)
    assert not twilio_webhooks.is_genuine(url, ImmutableMultiDict(pairs[:-2]), signature)


@pytest.mark.parametrize("signature", [None, "", " ", "x", "RSOYDt4T1cUTdK1PDd93/VVr8B8", "é" * 28, "\0" * 28])
def test_no_signature_or_another_is_not_genuine(token: None, signature: str | None) -> None:
    assert not twilio_webhooks.is_genuine(VECTORS[0][0], _form(FORM), signature)


@pytest.mark.parametrize(
    "url",
    [
        f"https://mycompany.com.evil.example{PATH}",
        f"http://mycompany.com{PATH}",
        "https://mycompany.com/myapp.php?foo=1",
        f"https://mycompany.com/other{PATH}",
        f"https://mycompany.com:99999{PATH}",
        "https://[",
        "",
    ],
)
def test_a_signature_for_another_url_is_not_genuine(token: None, url: str) -> None:
    assert not twilio_webhooks.is_genuine(url, _form(FORM), VECTORS[0][1])


@pytest.mark.parametrize("form", [FORM | {"Digits": "1235"}, FORM | {"More": ""}, {}])
def test_a_signature_for_another_form_is_not_genuine(token: None, form: dict[str, str]) -> None:
    assert not twilio_webhooks.is_genuine(VECTORS[0][0], _form(form), VECTORS[0][1])


@pytest.mark.parametrize("form", [None, 5, "a string without its hash", object()])
def test_what_makes_the_validator_stumble_is_not_genuine(token: None, form: Any) -> None:
    assert not twilio_webhooks.is_genuine(VECTORS[0][0], form, VECTORS[0][1])


def test_nothing_is_genuine_where_no_token_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    forget_settings()

    assert not twilio_webhooks.is_genuine(VECTORS[0][0], _form(FORM), VECTORS[0][1])


# Callbacks

CALLBACK = {
    "CallSid": SID,
    "CallStatus": "completed",
    "SequenceNumber": "3",
    "Timestamp": "Sun, 01 Nov 2026 12:00:00 +0000",
    "CallDuration": "7",
    "SipResponseCode": "200",
    "AnsweredBy": "human",
    "Extra": "kept",
}


def test_a_callback_is_read_whole() -> None:
    report = twilio_webhooks.read_callback(CALLBACK)

    assert (report.call_sid, report.status, report.source) == (SID, "completed", "callback")
    assert report.occurred_at == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert (report.sequence_number, report.duration_s, report.sip_code, report.answered_by) == (3, 7, 200, "human")
    assert report.payload == CALLBACK


def test_a_callback_may_say_little() -> None:
    report = twilio_webhooks.read_callback({"CallSid": SID, "CallStatus": "queued"})

    assert report.status == "initiated"
    told = (report.sequence_number, report.occurred_at, report.duration_s, report.answered_by, report.sip_code)
    assert told == (None, None, None, None, None)


@pytest.mark.parametrize("name", ["SequenceNumber", "Timestamp", "CallDuration", "SipResponseCode", "AnsweredBy"])
def test_an_empty_parameter_is_a_missing_one(name: str) -> None:
    """Twilio has been seen to send an empty CallDuration."""
    report = twilio_webhooks.read_callback(CALLBACK | {name: ""})

    told = (report.sequence_number, report.occurred_at, report.duration_s, report.answered_by, report.sip_code)
    assert told.count(None) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CallSid", None),
        ("CallSid", ""),
        ("CallSid", "CA"),
        ("CallSid", SID + "5"),
        ("CallSid", "SM" + SID[2:]),
        ("CallSid", SID[:-1] + "-"),
        ("CallSid", SID[:-1] + "\N{ARABIC-INDIC DIGIT FIVE}"),
        ("CallSid", SID[:-1] + "\n"),
        ("CallStatus", None),
        ("CallStatus", ""),
    ],
)
def test_a_malformed_callback_names_its_fault(name: str, value: str | None) -> None:
    form = {key: text for key, text in CALLBACK.items() if key != name} | ({} if value is None else {name: value})

    with pytest.raises(ValueError, match=rf"^{name} is ") as fault:
        twilio_webhooks.read_callback(form)

    assert value in (None, "") or value not in str(fault.value)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("SequenceNumber", "one", None),
        ("SequenceNumber", "null", None),
        ("SequenceNumber", "-1", None),
        ("SequenceNumber", "1.0", 1),
        ("SequenceNumber", "٣", None),
        ("SequenceNumber", "9" * 10, None),
        ("CallDuration", "9" * 5000, None),
        ("CallDuration", " 7", 7),
        ("CallDuration", "12.0", 12),
        ("CallDuration", "12.5", None),
        ("SipResponseCode", "4O4", None),
        ("SipResponseCode", "486 Busy Here", 486),
        ("SipResponseCode", "SIP/2.0 486 Busy Here", 486),
        ("SipResponseCode", "4860", None),
        ("SipResponseCode", "0", None),
        ("AnsweredBy", "x" * 99, "x" * 32),
    ],
)
def test_an_optional_parameter_in_another_form_is_read_or_left_out(name: str, value: str, read: object) -> None:
    report = twilio_webhooks.read_callback(CALLBACK | {name: value})

    told = {
        "SequenceNumber": report.sequence_number,
        "CallDuration": report.duration_s,
        "SipResponseCode": report.sip_code,
        "AnsweredBy": report.answered_by,
    }
    assert told[name] == read
    assert (report.status, report.payload[name]) == ("completed", value)


NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2026-11-01T12:00:00Z", NOON),
        ("2026-11-01 14:00:00+02:00", NOON),
        ("2026-11-01T12:00:00", None),
        ("2026-11-01", None),
        ("1793534400", NOON),
        ("1793534400000", NOON),
        ("1793534400.0", NOON),
        ("0", None),
        ("-1", None),
        ("nan", None),
        ("9" * 400, None),
        ("Sun, 01 Nov 2026 12:00:00 GMT", NOON),
        ("Sun, 01 Nov 2026 12:00:00 +1600", None),
        ("Sun, 01 Nov 2026 12:00:00 -1600", None),
        ("Sun, 01 Nov 2026 12:00:00 +2400", None),
        (f"Sun, 01 Nov 2026 12:00:00 +{'9' * 30}", None),
        ("Sun, 41 Nov 2026 12:00:00 +0000", None),
        ("Fri, 31 Dec 9999 23:59:59 -0800", None),
        ("Sun, 01 Nov 99999999999999999999 12:00:00 +0000", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ("null", None),
    ],
)
def test_a_time_is_read_in_each_usual_form_or_left_out(value: str, read: datetime | None) -> None:
    report = twilio_webhooks.read_callback(CALLBACK | {"Timestamp": value})

    assert report.occurred_at == read
    assert (report.status, report.payload["Timestamp"]) == ("completed", value)


def test_a_time_without_a_zone_is_no_time() -> None:
    assert (
        twilio_webhooks.read_callback(CALLBACK | {"Timestamp": "Sun, 01 Nov 2026 12:00:00 -0000"}).occurred_at is None
    )


# Inbound


@pytest.mark.parametrize("withheld", ["+266696687", "+2562533", "+7378742833", "+86282452253", "+8656696"])
def test_who_withholds_a_number_has_none_even_where_the_carrier_spells_that_in_digits(withheld: str) -> None:
    assert twilio_webhooks.caller_of({"From": withheld}) == "anonymous"


def test_who_shows_a_number_has_it() -> None:
    assert twilio_webhooks.caller_of({"From": "+15005550101"}) == "+15005550101"
    assert twilio_webhooks.caller_of({}) == ""


def test_a_business_answers_with_its_twiml_or_its_url_or_lets_nobody_in() -> None:
    assert twilio_webhooks.answer_inbound("https://voice.example/a?b=1&c=2", "<Response/>") == "<Response/>"
    assert "<Redirect>https://voice.example/a?b=1&amp;c=2</Redirect>" in twilio_webhooks.answer_inbound(
        "https://voice.example/a?b=1&c=2", None
    )
    assert "<Reject" in twilio_webhooks.answer_inbound(None, None)
