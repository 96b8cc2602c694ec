"""The simulator, asked by Twilio's own client; its callbacks come to a server that checks every signature."""

from __future__ import annotations

import itertools
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from outbound.simulator import scenarios
from outbound.simulator.server import Overrides, RunningSimulator, in_thread

ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "a made-up token"
FROM = "+15005550006"
URL = "https://example.com/twiml"
ALL_EVENTS = ["initiated", "ringing", "answered", "completed"]
SPEED = 60.0
WAIT_S = 10.0

T = TypeVar("T")
numbers = itertools.count(10_000)


def number(digits: str = "00") -> str:
    """A phone number nobody has called yet, with this scenario."""
    return f"+9725{next(numbers)}{digits}"


def wait_for(look: Callable[[], T], what: str = "") -> T:
    """Look again and again until there is something to see."""
    deadline = time.monotonic() + WAIT_S
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {WAIT_S} s in vain: {what}"
        time.sleep(0.005)
    return seen


@dataclass
class Receiver:
    """A web server that keeps every callback, and answers 204 where no other answer is set."""

    url: str = ""
    heard: list[dict[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    forged: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def of(self, to: str) -> list[dict[str, str]]:
        return [form for form in list(self.heard) if form.get("To") == to]

    def statuses(self, to: str) -> list[str]:
        """What was said about this number, in the order it happened."""
        return [form["CallStatus"] for form in sorted(self.of(to), key=lambda form: int(form["SequenceNumber"]))]

    def take(self, path: str, body: str, headers: Any) -> int:
        form = dict(parse_qsl(body, keep_blank_values=True))
        if not RequestValidator(AUTH_TOKEN).validate(self.url + path, form, headers["X-Twilio-Signature"]):
            self.forged.append(path)
            return 403
        self.tokens.append(headers["I-Twilio-Idempotency-Token"])
        self.heard.append(form)
        return self.answers.pop(0) if self.answers else 204


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    heard = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(heard.take(self.path, body, self.headers))
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        heard.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield heard
        server.shutdown()
        thread.join()
    assert heard.forged == []


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with in_thread(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, speed=SPEED, stall_s=0.5) as running:
        yield running


def client_of(simulator: RunningSimulator, token: str = AUTH_TOKEN, timeout_s: float = 5.0) -> Client:
    client = Client(ACCOUNT_SID, token, http_client=TwilioHttpClient(timeout=timeout_s))
    client.api.base_url = simulator.url
    return client


@pytest.fixture
def client(simulator: RunningSimulator) -> Client:
    return client_of(simulator)


def dial(client: Client, to: str, receiver: Receiver | None = None, **more: Any) -> Any:
    """Ask for a call as our worker does."""
    if receiver is not None:
        more = {"status_callback": f"{receiver.url}/calls/7?x=1", "status_callback_event": ALL_EVENTS, **more}
    return client.calls.create(to=to, from_=FROM, **{"url": URL, **more})


def logged(simulator: RunningSimulator, to: str) -> list[dict[str, Any]]:
    return [entry for entry in simulator.log() if entry["to"] == to]


def ended(client: Client, to: str, status: str = "completed") -> Any:
    """The call to this number, once a list lookup shows that it ended so."""
    return wait_for(lambda: client.calls.list(to=to, status=status), f"{status} in the list")[0]


# The API


def test_a_call_is_made_fetched_and_seen_through_to_its_end_by_the_real_client(
    client: Client, receiver: Receiver
) -> None:
    to = number()

    call = dial(client, to, receiver)

    assert call.sid.startswith("CA")
    assert len(call.sid) == 34
    assert (call.status, call.direction, call.to, call._from) == ("queued", "outbound-api", to, FROM)
    assert (call.queue_time, call.price, call.start_time, call.duration) == ("0", None, None, None)
    assert abs(call.date_created - datetime.now(UTC)) < timedelta(seconds=5)
    wait_for(lambda: len(receiver.of(to)) == 4, "four callbacks")
    after = client.calls(call.sid).fetch()
    assert after.status == "completed"
    assert int(after.duration) >= 1
    assert after.start_time <= after.end_time
    assert wait_for(lambda: client.calls(call.sid).fetch().price, "a price").startswith("-")


def test_callbacks_tell_a_normal_life_in_four_signed_requests(client: Client, receiver: Receiver) -> None:
    to = number()

    call = dial(client, to, receiver)
    wait_for(lambda: len(receiver.of(to)) == 4, "four callbacks")

    assert receiver.statuses(to) == ["initiated", "ringing", "in-progress", "completed"]
    last = max(receiver.of(to), key=lambda form: int(form["SequenceNumber"]))
    expected = {"CallSid": call.sid, "AccountSid": ACCOUNT_SID, "Caller": FROM, "Called": to, "SequenceNumber": "3"}
    assert expected.items() <= last.items()
    assert (last["CallbackSource"], last["Direction"], last["ApiVersion"]) == (
        "call-progress-events",
        "outbound-api",
        "2010-04-01",
    )
    assert (int(last["CallDuration"]) >= 1, last["Duration"], last["SipResponseCode"]) == (True, "1", "200")
    assert last["Timestamp"].endswith("+0000")
    assert "AnsweredBy" not in last


def test_only_the_end_is_told_when_no_event_is_asked_for(
    client: Client, simulator: RunningSimulator, receiver: Receiver
) -> None:
    to = number()

    dial(client, to, receiver, status_callback_event=[])
    wait_for(lambda: logged(simulator, to)[0]["callbacks_taken"], "one callback")

    assert [(form["CallStatus"], form["SequenceNumber"]) for form in receiver.of(to)] == [("completed", "0")]


def test_a_long_list_is_read_page_by_page_newest_first_and_new_calls_do_not_shift_it(client: Client) -> None:
    to = number("31")
    sids = [dial(client, to).sid for _ in range(5)]

    pages = client.calls.page(to=to, page_size=2)
    first = [call.sid for call in pages]
    dial(client, to)
    rest = []
    while (pages := pages.next_page()) is not None:
        rest += [call.sid for call in pages]

    assert first + rest == sids[::-1]
    assert [call.sid for call in client.calls.list(to=to, page_size=4)][1:] == sids[::-1]
    assert len(client.calls.list(to=to, limit=3)) == 3


def test_a_list_is_narrowed_by_number_status_and_day(client: Client) -> None:
    to, now = number("31"), datetime.now(UTC)
    call = dial(client, to)
    wait_for(lambda: client.calls(call.sid).fetch().status == "ringing", "ringing")

    def found(**filters: Any) -> bool:
        return [seen.sid for seen in client.calls.list(to=to, **filters)] == [call.sid]

    day = timedelta(days=1)
    assert found(from_=FROM, status="ringing", start_time_after=now - day, start_time_before=now + day)
    assert not found(from_="+15005550001")
    assert not found(status="queued")
    assert not found(start_time_after=now + day)
    assert not found(start_time_before=now - day)
    assert not found(end_time_after=now - day)


def test_a_queued_call_has_no_start_time_and_no_start_time_filter_finds_it() -> None:
    with in_thread(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, speed=0.001) as slow:
        client = client_of(slow)

        to = dial(client, number()).to

        assert [call.status for call in client.calls.list(to=to, status="queued")] == ["queued"]
        assert client.calls.list(to=to, start_time_after=datetime.now(UTC) - timedelta(days=2)) == []
        assert client.calls.list(to=to)[0].update(status="canceled").status == "canceled"
        assert logged(slow, to)[0]["rang"] is False


def test_an_unanswered_call_can_be_canceled_and_then_it_is_over(client: Client, receiver: Receiver) -> None:
    to = number("31")
    call = dial(client, to, receiver)
    wait_for(lambda: "ringing" in receiver.statuses(to), "ringing")

    canceled = call.update(status="canceled")

    assert canceled.status == "canceled"
    wait_for(lambda: receiver.statuses(to) == ["initiated", "ringing", "canceled"], "the canceled callback")
    with pytest.raises(TwilioRestException) as refusal:
        call.update(status="completed")
    assert (refusal.value.status, refusal.value.code) == (400, 21220)


def test_a_cancel_does_not_touch_a_conversation_but_completed_hangs_up(client: Client, receiver: Receiver) -> None:
    to = number("29")
    call = dial(client, to, receiver)
    wait_for(lambda: "in-progress" in receiver.statuses(to), "an answer")

    assert call.update(status="canceled").status == "in-progress"
    assert call.update(status="completed").status == "completed"

    wait_for(lambda: receiver.statuses(to)[-1] == "completed", "the last callback")


def test_a_call_that_is_not_in_progress_cannot_be_redirected(client: Client) -> None:
    call = dial(client, number("31"))

    with pytest.raises(TwilioRestException) as refusal:
        call.update(url=URL)

    assert refusal.value.code == 21220


def test_a_time_limit_ends_a_conversation(client: Client, receiver: Receiver) -> None:
    to = number("29")

    dial(client, to, receiver, time_limit=1)

    wait_for(lambda: "completed" in receiver.statuses(to), "the end")
    (ended,) = {form["CallDuration"] for form in receiver.of(to) if form["CallStatus"] == "completed"}
    assert int(ended) < scenarios.LONG_TALK_S / 2


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (21201, {"To": ""}),
        (21213, {"From": ""}),
        (21211, {"To": "0501234567"}),
        (21212, {"From": "Alice"}),
        (21205, {"Url": ""}),
        (21205, {"Url": "not an address"}),
        (21206, {"SendDigits": "hello"}),
        (21208, {"Timeout": "601"}),
        (21208, {"Timeout": "soon"}),
        (21626, {"StatusCallbackEvent": "initiated ringing"}),
        (21609, {"StatusCallback": "not an address"}),
        (21609, {"StatusCallback": "http://example.com/callback"}),
        (21609, {"StatusCallback": "http://127.0.0.1.example.com/callback"}),
        (21609, {"StatusCallback": "http://127.0.0.1@192.0.2.1/callback"}),
        (21609, {"StatusCallback": "http://10.0.0.1:8000/callback"}),
    ],
)
def test_a_bad_request_is_refused_with_twilios_code_and_nothing_rings(
    simulator: RunningSimulator, code: int, change: dict[str, str]
) -> None:
    form = {"To": number(), "From": FROM, "Url": URL, **change}

    answer = requests.post(calls_url(simulator), data=form, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5)

    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "message", "more_info", "status"}
    assert (answer.json()["code"], answer.json()["status"]) == (code, 400)
    assert answer.json()["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    last = simulator.log()[-1]
    assert (last["outcome"], last["call_sid"], last["rang"]) == ("refused", None, False)


@pytest.mark.parametrize("instructions", [{"twiml": "<Response/>"}, {"application_sid": "AP" + "0" * 32}])
def test_a_call_needs_a_url_or_twiml_or_an_application(client: Client, instructions: dict[str, str]) -> None:
    call = client.calls.create(to=number(), from_=FROM, **instructions)

    assert call.status == "queued"


def test_callbacks_are_ignored_when_an_application_is_named(
    client: Client, simulator: RunningSimulator, receiver: Receiver
) -> None:
    to = number()

    dial(client, to, receiver, url=None, application_sid="AP" + "0" * 32)

    ended(client, to)
    assert (receiver.of(to), logged(simulator, to)[0]["callbacks_failed"]) == ([], 0)


def calls_url(simulator: RunningSimulator, account_sid: str = ACCOUNT_SID) -> str:
    return f"{simulator.url}/2010-04-01/Accounts/{account_sid}/Calls.json"


def test_nobody_gets_in_without_the_key(simulator: RunningSimulator) -> None:
    before = len(simulator.log())

    with pytest.raises(TwilioRestException) as refusal:
        dial(client_of(simulator, token="another token"), number())

    assert (refusal.value.status, refusal.value.code) == (401, 20003)
    for path in ("/simulator/log", "/simulator/scenarios"):
        assert requests.get(simulator.url + path, timeout=5).status_code == 401
    assert requests.post(simulator.url + "/simulator/reset", timeout=5).status_code == 401
    assert len(simulator.log()) == before


def test_what_is_not_there_is_404(simulator: RunningSimulator, client: Client) -> None:
    call = dial(client, number("31"))

    with pytest.raises(TwilioRestException) as missing:
        client.calls("CA" + "0" * 32).fetch()

    assert (missing.value.status, missing.value.code) == (404, 20404)
    assert requests.get(simulator.url, timeout=5).status_code == 404
    assert requests.delete(f"{simulator.url}{call.uri}", timeout=5).json()["code"] == 20404
    stranger = requests.get(calls_url(simulator, "AC1"), auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5)
    assert stranger.status_code == 404
    assert call.fetch().status in ("queued", "ringing")


@pytest.mark.parametrize("query", ["PageSize=many", "PageToken=PA1", "StartTime%3E=yesterday"])
def test_a_list_that_asks_for_nonsense_is_refused(simulator: RunningSimulator, query: str) -> None:
    answer = requests.get(f"{calls_url(simulator)}?{query}", auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5)

    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


# Scenarios


@pytest.mark.parametrize(
    ("digits", "told", "sip_code"),
    [
        ("11", ["initiated", "ringing", "busy"], "486"),
        ("12", ["initiated", "ringing", "no-answer"], "487"),
        ("13", ["initiated", "failed"], "404"),
    ],
)
def test_a_call_nobody_answers_ends_as_its_number_says(
    client: Client, simulator: RunningSimulator, receiver: Receiver, digits: str, told: list[str], sip_code: str
) -> None:
    to = number(digits)

    call = dial(client, to, receiver, timeout=15)
    wait_for(lambda: receiver.statuses(to) == told, str(told))

    last = next(form for form in receiver.of(to) if form["CallStatus"] == told[-1])
    assert (last["SipResponseCode"], last["CallDuration"], last["Duration"]) == (sip_code, "0", "0")
    assert (call.fetch().status, call.fetch().duration, call.fetch().end_time) == (told[-1], None, None)
    assert [entry["rang"] for entry in logged(simulator, to)] == ["ringing" in told]


@pytest.mark.parametrize(
    ("digits", "asked", "answered_by"),
    [
        ("14", "Enable", "machine_start"),
        ("14", "DetectMessageEnd", "machine_end_beep"),
        ("00", "Enable", "human"),
        ("14", None, None),
    ],
)
def test_who_answered_is_told_when_machine_detection_was_asked_for(
    client: Client, receiver: Receiver, digits: str, asked: str | None, answered_by: str | None
) -> None:
    to = number(digits)

    call = dial(client, to, receiver, machine_detection=asked)
    wait_for(lambda: "completed" in receiver.statuses(to), "the end")

    last = next(form for form in receiver.of(to) if form["CallStatus"] == "completed")
    assert last.get("AnsweredBy") == answered_by
    assert call.fetch().answered_by == answered_by


@pytest.mark.parametrize(("digits", "answered_by"), [("14", "machine_start"), ("01", "human"), ("12", None)])
def test_asynchronous_machine_detection_tells_its_verdict_apart_from_the_status(
    client: Client, receiver: Receiver, digits: str, answered_by: str | None
) -> None:
    to = number(digits)
    verdict_url = receiver.url + "/verdict"

    call = dial(
        client, to, receiver, machine_detection="Enable", async_amd="true", async_amd_status_callback=verdict_url
    )
    wait_for(lambda: receiver.statuses(to)[-1:] in (["completed"], ["no-answer"]), "the end")

    verdicts = [form for form in list(receiver.heard) if form["CallSid"] == call.sid and "CallStatus" not in form]
    assert [form["AnsweredBy"] for form in verdicts] == ([answered_by] if answered_by else [])
    assert all("AnsweredBy" not in form for form in receiver.of(to))
    assert call.fetch().answered_by == answered_by


@pytest.mark.parametrize(
    ("digits", "status", "code", "outcome"),
    [
        ("15", 400, 21211, "refused"),
        ("16", 400, 21215, "refused"),
        ("24", 500, 20500, "not_accepted"),
        ("30", 503, 20503, "not_accepted"),
    ],
)
def test_an_error_of_a_carrier_that_took_no_call_rings_nothing(
    client: Client, simulator: RunningSimulator, digits: str, status: int, code: int, outcome: str
) -> None:
    to = number(digits)

    with pytest.raises(TwilioRestException) as refusal:
        dial(client, to)

    assert (refusal.value.status, refusal.value.code) == (status, code)
    assert [(entry["outcome"], entry["call_sid"]) for entry in logged(simulator, to)] == [(outcome, None)]
    assert client.calls.list(to=to) == []


def test_a_throttled_number_is_taken_the_third_time(
    client: Client, simulator: RunningSimulator, receiver: Receiver
) -> None:
    to = number("17")

    for _ in range(2):
        with pytest.raises(TwilioRestException) as refusal:
            dial(client, to, receiver)
        assert (refusal.value.status, refusal.value.code) == (429, 20429)
    dial(client, to, receiver)

    wait_for(lambda: len(receiver.of(to)) == 4, "four callbacks")
    assert [entry["outcome"] for entry in logged(simulator, to)] == ["not_accepted", "not_accepted", "accepted"]
    assert [entry["rang"] for entry in logged(simulator, to)] == [False, False, True]


def test_a_server_error_after_accepting_still_rings_and_calls_back(
    client: Client, simulator: RunningSimulator, receiver: Receiver
) -> None:
    to = number("18")

    with pytest.raises(TwilioRestException) as error:
        dial(client, to, receiver)

    assert (error.value.status, error.value.code) == (500, 20500)
    rang_and_was_told(simulator, receiver, to)


def test_a_stalled_response_is_a_timeout_yet_the_phone_rings(simulator: RunningSimulator, receiver: Receiver) -> None:
    to = number("19")

    with pytest.raises(requests.exceptions.ReadTimeout):
        dial(client_of(simulator, timeout_s=0.2), to, receiver)

    rang_and_was_told(simulator, receiver, to)


def test_a_stalled_response_comes_to_who_waits_long_enough(client: Client) -> None:
    began = time.monotonic()

    assert dial(client, number("19")).status == "queued"

    assert time.monotonic() - began >= 0.5


def test_a_connection_cut_before_accepting_rings_nothing(
    client: Client, simulator: RunningSimulator, receiver: Receiver
) -> None:
    to = number("20")

    with pytest.raises(requests.exceptions.ConnectionError):
        dial(client, to, receiver)

    assert [(entry["outcome"], entry["call_sid"]) for entry in logged(simulator, to)] == [("not_accepted", None)]
    assert client.calls.list(to=to) == []


def test_a_connection_cut_after_accepting_rings_and_calls_back(
    client: Client, simulator: RunningSimulator, receiver: Receiver
) -> None:
    to = number("21")

    with pytest.raises(requests.exceptions.ConnectionError):
        dial(client, to, receiver)

    rang_and_was_told(simulator, receiver, to)


def test_a_call_without_callbacks_is_seen_through_rest_alone(
    client: Client, simulator: RunningSimulator, receiver: Receiver
) -> None:
    to = number("22")

    call = dial(client, to, receiver)

    wait_for(lambda: call.fetch().status == "completed", "completed")
    assert (receiver.of(to), logged(simulator, to)[0]["rang"]) == ([], True)


def test_callbacks_can_come_twice_and_backwards(client: Client, receiver: Receiver) -> None:
    to = number("23")

    dial(client, to, receiver)
    wait_for(lambda: len(receiver.of(to)) == 8, "eight callbacks")

    assert [form["SequenceNumber"] for form in receiver.of(to)] == list("33221100")
    assert receiver.statuses(to) == [s for s in ("initiated", "ringing", "in-progress", "completed") for _ in range(2)]
    assert len(set(receiver.tokens)) == 4


@pytest.mark.parametrize("events", [ALL_EVENTS, ["completed"]])
def test_a_callback_can_come_before_the_response(client: Client, receiver: Receiver, events: list[str]) -> None:
    to = number("25")

    call = dial(client, to, receiver, status_callback_event=events)

    assert receiver.of(to)[0]["CallSid"] == call.sid
    assert call.status == "queued"


def test_a_response_that_waits_for_callbacks_comes_even_when_there_are_none(client: Client) -> None:
    assert dial(client, number("25")).status == "queued"


def test_a_201_that_is_not_json_is_a_call_all_the_same(
    client: Client, simulator: RunningSimulator, receiver: Receiver
) -> None:
    to = number("26")

    with pytest.raises(ValueError, match="Expecting value"):
        dial(client, to, receiver)

    rang_and_was_told(simulator, receiver, to)


def test_a_call_lost_in_a_cut_without_callbacks_is_found_in_the_list(
    client: Client, simulator: RunningSimulator, receiver: Receiver
) -> None:
    to = number("27")

    with pytest.raises(requests.exceptions.ConnectionError):
        dial(client, to, receiver)

    assert ended(client, to).sid == logged(simulator, to)[0]["call_sid"]
    assert receiver.of(to) == []


def test_the_last_callback_can_be_lost(client: Client, receiver: Receiver) -> None:
    to = number("28")

    dial(client, to, receiver)

    ended(client, to)
    wait_for(lambda: receiver.statuses(to) == ["initiated", "ringing", "in-progress"], "three callbacks")


def test_a_long_talk_lasts_a_minute_of_its_life(client: Client, receiver: Receiver) -> None:
    to = number("29")

    dial(client, to, receiver)
    wait_for(lambda: len(receiver.of(to)) == 4, "four callbacks")

    assert max(int(form.get("CallDuration", 0)) for form in receiver.of(to)) >= scenarios.LONG_TALK_S


def test_a_short_timeout_gives_up_before_anybody_answers(client: Client, receiver: Receiver) -> None:
    to = number()

    dial(client, to, receiver, timeout=1)

    wait_for(lambda: receiver.statuses(to) == ["initiated", "ringing", "no-answer"], "no-answer")


def test_every_fate_in_the_table_is_told_to_people(simulator: RunningSimulator) -> None:
    rows = requests.get(f"{simulator.url}/simulator/scenarios", auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5).json()

    assert [row["digits"] for row in rows] == ["any other", *map(str, range(11, 32))]
    assert all(row["description"] and "\n" not in row["description"] for row in rows)
    assert [row["digits"] for row in rows if not row["accepted"]] == ["15", "16", "20", "24", "30"]


def rang_and_was_told(simulator: RunningSimulator, receiver: Receiver, to: str) -> None:
    """The claim of every scenario that lies about a call it did make."""
    wait_for(lambda: len(receiver.of(to)) == 4, "four callbacks")
    (entry,) = logged(simulator, to)
    assert (entry["outcome"], entry["rang"]) == ("accepted", True)
    assert {form["CallSid"] for form in receiver.of(to)} == {entry["call_sid"]}


# Callbacks


def test_a_callback_address_keeps_its_fragment_and_its_password_to_itself(client: Client, receiver: Receiver) -> None:
    to = number()
    address = receiver.url.replace("://", "://user:secret@") + "/calls/7?x=1#rc=2&rp=all"

    dial(client, to, receiver, status_callback=address)

    wait_for(lambda: len(receiver.of(to)) == 4, "four callbacks that pass the signature check")


@pytest.mark.parametrize(
    ("fragment", "answers", "tries"),
    [
        ("", [503], 1),
        ("#rp=5xx", [503], 2),
        ("#rc=3&rp=4xx,5xx", [503, 429], 3),
        ("#rc=2&rp=all", [500, 500, 500], 3),
        ("#rc=0&rp=all", [500], 1),
    ],
)
def test_a_callback_is_tried_again_as_its_address_asks(
    client: Client, simulator: RunningSimulator, receiver: Receiver, fragment: str, answers: list[int], tries: int
) -> None:
    to, failures = number(), len(answers)
    receiver.answers = list(answers)

    dial(client, to, receiver, status_callback=f"{receiver.url}/{fragment}", status_callback_event=["completed"])
    entry = wait_for(lambda: [e for e in logged(simulator, to) if e["callbacks_taken"] or e["callbacks_failed"]])[0]

    assert len(receiver.of(to)) == tries
    assert entry["callbacks_failed"] == (tries <= failures)
    assert len(set(receiver.tokens)) == 1


def test_a_callback_follows_no_redirect(client: Client, simulator: RunningSimulator, receiver: Receiver) -> None:
    to = number()
    receiver.answers = [307]

    dial(client, to, receiver, status_callback_event=["completed"])

    wait_for(lambda: logged(simulator, to)[0]["callbacks_failed"] == 1, "one failure")
    assert len(receiver.of(to)) == 1


def test_a_receiver_that_is_away_is_counted_and_breaks_nothing(client: Client, simulator: RunningSimulator) -> None:
    to = number()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/"

    dial(client, to, status_callback=address, status_callback_event=ALL_EVENTS)

    wait_for(lambda: logged(simulator, to)[0]["callbacks_failed"] == 4, "four failures")
    assert dial(client, number()).status == "queued"


def test_an_address_that_nobody_listens_at_is_not_tried(receiver: Receiver) -> None:
    with in_thread(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, speed=SPEED, nobody_at=f"{receiver.url}/x") as own:
        silent = dial(client_of(own), number(), receiver, status_callback=f"{receiver.url}/x/calls/7").to
        other = dial(client_of(own), number(), receiver, status_callback=f"{receiver.url}/xy").to
        wait_for(lambda: logged(own, silent)[0]["callbacks_failed"] == 4, "four failures")
        wait_for(lambda: logged(own, other)[0]["callbacks_taken"] == 4, "four callbacks")

    assert receiver.of(silent) == []


def test_a_receiver_that_never_answers_is_given_up(client: Client, simulator: RunningSimulator) -> None:
    to = number()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}/#rt=100&rc=1&rp=rt&tt=150"

        dial(client, to, status_callback=address)

        wait_for(lambda: logged(simulator, to)[0]["callbacks_failed"] == 1, "one failure")


def test_overrides_stay_within_twilios_bounds() -> None:
    assert Overrides.of("http://127.0.0.1/") == Overrides(5.0, 15.0, 15.0, 1, frozenset({"ct"}))
    assert Overrides.of("http://127.0.0.1/#ct=1&rt=99999&tt=x&rc=9&rp=4xx,ct") == Overrides(
        0.1, 15.0, 15.0, 5, frozenset({"4xx", "ct"})
    )


# Log and life


def test_the_log_keeps_every_request_as_it_was_asked(
    client: Client, simulator: RunningSimulator, receiver: Receiver
) -> None:
    to = number("31")

    sids = [dial(client, to, receiver, timeout=15, time_limit=600).sid for _ in range(2)]

    log = requests.get(f"{simulator.url}/simulator/log", auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5).json()
    first, second = (entry for entry in log if entry["to"] == to)
    assert (first["from"], first["status_callback"]) == (FROM, f"{receiver.url}/calls/7?x=1")
    assert (first["timeout"], first["time_limit"], first["outcome"]) == ("15", "600", "accepted")
    assert [first["call_sid"], second["call_sid"]] == sids
    assert second["live_at_most"] >= 2
    assert datetime.fromisoformat(first["at"]) <= datetime.fromisoformat(second["at"])
    wait_for(lambda: [entry["rang"] for entry in logged(simulator, to)] == [True, True], "both rang")


def test_the_log_tells_how_many_calls_were_live_at_once() -> None:
    with in_thread(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, speed=SPEED) as own:
        client = client_of(own)

        ended(client, dial(client, number()).to)
        dial(client, number("31"))
        dial(client, number("31"))

        assert [entry["live_at_most"] for entry in own.log()] == [1, 1, 2]


def test_a_reset_forgets_everything_and_hangs_up_in_silence(receiver: Receiver) -> None:
    with in_thread(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, speed=20) as own:
        client = client_of(own)
        call = dial(client, number(), receiver)
        wait_for(lambda: "ringing" in receiver.statuses(call.to), "ringing")

        answer = requests.post(f"{own.url}/simulator/reset", auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5)

        assert answer.status_code == 204
        assert own.log() == []
        assert client.calls.list() == []
        with pytest.raises(TwilioRestException, match="404"):
            call.update(status="canceled")
        later = dial(client, number(), receiver)
        wait_for(lambda: "completed" in receiver.statuses(later.to), "a whole life after the reset")
        assert receiver.statuses(call.to) == ["initiated", "ringing"]


def test_a_simulator_stops_at_once_even_while_it_stalls() -> None:
    with in_thread(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, stall_s=60.0) as own:
        with pytest.raises(requests.exceptions.ReadTimeout):
            dial(client_of(own, timeout_s=0.05), number("19"))
        began = time.monotonic()

    assert time.monotonic() - began < 3


def test_no_phone_number_is_ever_logged(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    receiver.answers = [500] * 4

    with in_thread(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, speed=SPEED) as own:
        to = dial(client_of(own), number(), receiver).to
        client_of(own).calls.list(to=to)
        wait_for(lambda: logged(own, to)[0]["callbacks_failed"] == 4, "four failures")

    said = [record.getMessage() for record in caplog.records if record.name.startswith(("outbound", "aiohttp"))]
    assert any("simulator.callback_failed" in line for line in said)
    assert not any(to[1:] in line for line in said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_process_cleanly_and_it_prints_nothing(number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    order = f"run('127.0.0.1', {port}, account_sid='AC1', auth_token='x', speed=1)"
    order = f"from outbound.simulator.server import run; {order}"
    process = subprocess.Popen([sys.executable, "-c", order], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def answers() -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/", timeout=1).status_code == 404
        except requests.exceptions.ConnectionError:
            return False

    wait_for(answers, "an answer")
    process.send_signal(number)

    assert process.communicate(timeout=10)[0] == b""
    assert process.returncode == 0
