"""The Python client: what it makes of the API's answers, and that nothing it repeats is done twice."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import httpx
import outbound_client
import pytest
from outbound_client import (
    AsyncClient,
    Client,
    NewCall,
    NewCalls,
    NewCampaign,
    NewToken,
    NotGenuine,
    QueuedCall,
    Refused,
    Selection,
    Unanswered,
    client,
    models,
    transport,
    verify_webhook,
)
from outbound_client.bodies import Body
from pydantic import BaseModel

from outbound.call import CallEvent
from outbound.calls import events
from outbound.rules import api_token
from outbound.webhooks import event_stream, signature
from tests import client_file
from tests.api.conftest import api_url
from tests.conftest import World, forget_settings

pytestmark = pytest.mark.rows_only

__all__ = ["api_url"]  # a fixture


def token(business_id: int | None = None) -> str:
    scopes = [scope for scope in api_token.SCOPES if business_id is None or scope != api_token.OPERATOR]
    return api_token.add("client", scopes=scopes, business_id=business_id, actor="test").token


@contextmanager
def losing_answers(url: str, lost: int) -> Iterator[str]:
    """A proxy that hands every request on, and loses the first *lost* answers on their way back."""
    left = [lost]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {
                name: self.headers[name]
                for name in ("authorization", "content-type", "idempotency-key")
                if self.headers[name]
            }
            answer = httpx.post(url + self.path, content=body, headers=headers, timeout=20)
            left[0] -= 1
            if left[0] >= 0:
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            self.send_header("content-length", str(len(answer.content)))
            self.send_header("content-type", answer.headers["content-type"])
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
        proxy.shutdown()
        thread.join()


def test_the_generated_files_are_what_the_document_says() -> None:
    for path, text in client_file.files().items():
        assert path.read_text() == text, "run `make openapi`"


def test_calls_are_queued_found_and_canceled(world: World, api_url: str) -> None:
    business = world.business()
    with Client(api_url, token(business)) as outbound:
        queued = [outbound.create_call(NewCall(to=f"+1212555010{last}")) for last in range(3)]

        assert all(one.created for one in queued)
        assert {one.id for one in outbound.every_call(status=["queued"])} == {one.call_id for one in queued}
        assert outbound.why_call(queued[0].call_id).code == "no_worker"
        assert outbound.show_call(queued[0].call_id).call.to_number == "+12125550100"
        assert len(list(outbound.export_calls())) == 3
        report = outbound.import_calls("to\n+12125550109\n", batch="b")
        assert report.created == 1
        assert outbound.cancel_calls(Selection(business_id=business)).waiting == 4


def test_all_campaigns_are_read_page_after_page(world: World, api_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound_client.client, "PAGE", 2)
    business = world.business()
    world.do("insert into campaign (business_id, name) select %s, n::text from generate_series(1, 5) as n", business)

    async def read() -> list[int]:
        async with AsyncClient(api_url, token(business)) as outbound:
            return [one.id async for one in outbound.every_campaign()]

    with Client(api_url, token(business)) as outbound:
        assert [one.id for one in outbound.every_campaign(business_id=business)] == [5, 4, 3, 2, 1]
    assert asyncio.run(read()) == [5, 4, 3, 2, 1]


_ADD_ROWS = (
    "insert into business (name, twiml) select n::text, '<Response/>' from generate_series(1, 3) as n",
    "insert into destination (place, allowed) select '+4420' || n, true from generate_series(1, 5) as n",
    "insert into calling_window (name, hours) select n::text, '{[0,600)}' from generate_series(1, 5) as n",
    "insert into webhook_endpoint (url, created_by) select 'https://x.test/' || n, '' from generate_series(1, 5) as n",
    (
        "insert into retry_ladder (business_id, name, attempts_per_day_max, attempts_per_week_max)"
        " select 1, n::text, 1, 2 from generate_series(1, 5) as n"
    ),
)


def test_all_rows_of_each_list_are_read_page_after_page(
    world: World, api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound_client.client, "PAGE", 2)
    world.business()
    world.business()
    for rows in _ADD_ROWS:
        world.do(rows)
    own, *_ = [token() for _ in range(5)]
    names = ("business", "destination", "retry_policy", "token", "webhook", "window")

    async def read(name: str) -> list[int]:
        async with AsyncClient(api_url, own) as outbound:
            return [one.id async for one in getattr(outbound, f"every_{name}")()]

    with Client(api_url, own) as outbound:
        for name in names:
            assert [one.id for one in getattr(outbound, f"every_{name}")()] == [5, 4, 3, 2, 1], name
            assert asyncio.run(read(name)) == [5, 4, 3, 2, 1], name


def test_it_works_without_waiting_too(world: World, api_url: str) -> None:
    business = world.business()

    async def story() -> list[int]:
        async with AsyncClient(api_url, token(business)) as outbound:
            await outbound.create_call(NewCall(to="+12125550101"))
            await outbound.create_call(NewCall(to="+12125550102"))
            assert [line async for line in outbound.export_calls()]
            return [one.id async for one in outbound.every_call()]

    assert len(asyncio.run(story())) == 2


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_a_line_of_an_export_is_whole_whatever_a_text_in_it_holds(world: World, api_url: str, end: str) -> None:
    call = world.queued()
    world.do("update call_log set idempotency_key = %s where id = %s", f"a{end}b", call)

    async def read() -> list[str]:
        async with AsyncClient(api_url, token()) as outbound:
            return [line async for line in outbound.export_calls()]

    with Client(api_url, token()) as outbound:
        lines = list(outbound.export_calls())

    assert [json.loads(line)["key"] for line in lines] == [f"a{end}b"]
    assert asyncio.run(read()) == lines


@pytest.mark.parametrize("lost", [1, 3])
def test_an_answer_that_is_lost_makes_no_second_call(
    world: World, api_url: str, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound_client.transport, "WAIT_S", 0.0)
    business = world.business()
    with losing_answers(api_url, lost) as url, Client(url, token(business)) as outbound:
        call = outbound.create_call(NewCall(to="+12125550101"))
        campaign = outbound.add_campaign(NewCampaign(name="Spring"))

    assert world.rows("select id from call_log") == [(call.call_id,)]
    assert world.rows("select id from campaign") == [(campaign.id,)]


@pytest.mark.parametrize("key", ["appointment-7", "\u05ea\u05d5\u05e8 7"])
def test_a_call_that_has_a_key_of_its_own_is_queued_under_it_once(
    world: World, api_url: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound_client.transport, "WAIT_S", 0.0)
    call, own = NewCall(to="+12125550101", key=key), token(world.business())

    async def create(url: str) -> QueuedCall:
        async with AsyncClient(url, own) as outbound:
            return await outbound.create_call(call)

    with losing_answers(api_url, 1) as url, Client(url, own) as outbound:
        made = outbound.create_call(call)
    with losing_answers(api_url, 1) as url:
        again = asyncio.run(create(url))

    assert again.call_id == made.call_id
    assert world.rows("select id, idempotency_key from call_log") == [(made.call_id, key)]


def test_a_call_without_an_answer_names_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound_client.transport, "WAIT_S", 0.0)
    with answering(503, "0", "") as (url, asked), Client(url, "t") as outbound:
        with pytest.raises(Unanswered) as failure:
            outbound.create_call(NewCall(to="+12125550101", key="appointment-7"))
        with pytest.raises(Unanswered):
            outbound.create_call(NewCall(to="+12125550101", key=""))  # which the API takes for none

    assert failure.value.key == "appointment-7"
    assert len(asked) == transport.TRIES + 1


def test_calls_that_have_keys_are_queued_together_once(
    world: World, api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound_client.transport, "WAIT_S", 0.0)
    calls = [NewCall(to=f"+1212555010{last}", key=f"appointment-{last}") for last in range(2)]
    with losing_answers(api_url, 1) as url, Client(url, token(world.business())) as outbound:
        queued = outbound.create_calls(NewCalls(calls=calls))

    assert [one and one.created for one in queued.calls] == [True, True]
    assert world.rows("select idempotency_key from call_log order by id") == [("appointment-0",), ("appointment-1",)]


def test_no_other_body_has_a_key() -> None:
    bodies = [one for one in vars(models).values() if isinstance(one, type) and issubclass(one, Body)]

    assert [one.__name__ for one in bodies if any("key" in name for name in one.model_fields)] == ["NewCall"]


def test_a_field_is_given_by_its_name_in_python_or_in_the_api(world: World, api_url: str) -> None:
    business = world.business(phone="+15005550006")
    by_name = NewCall(to="+12125550101", from_="+15005550006")
    with Client(api_url, token(business)) as outbound:
        call = outbound.create_call(by_name).call_id
        assert outbound.show_call(call).call.from_number == "+15005550006"

    assert NewCall.model_validate({"to": "+12125550101", "from": "+15005550006"}) == by_name
    aliased = [
        (kind, name, field.alias)
        for kind in vars(models).values()
        if isinstance(kind, type) and issubclass(kind, BaseModel)
        for name, field in kind.model_fields.items()
        if field.alias is not None
    ]
    assert aliased == [(NewCall, "from_", "from")]


def test_the_api_has_a_field_by_its_own_name_alone(world: World, api_url: str) -> None:
    call = {"to": "+12125550101", "from_": "+15005550006"}
    sent = {"authorization": f"Bearer {token(world.business())}"}
    answers = [
        httpx.post(f"{api_url}/v1/calls{path}", headers=sent, json=body)
        for path, body in (("", call), ("/bulk", {"calls": [call]}))
    ]

    one, many = (answer.json() for answer in answers)
    assert [fault["pointer"] for fault in one["errors"]] == ["/from_"]
    assert many["calls"] == [None]
    assert "/calls/0/from_ (" in many["refused"][0]["detail"]


def test_a_datetime_is_sent_as_the_moment_that_it_is(world: World, api_url: str) -> None:
    due = datetime.now(ZoneInfo("Asia/Jerusalem")) + timedelta(days=30)
    with Client(api_url, token(world.business())) as outbound:
        call = outbound.create_call(NewCall(to="+12125550101", due_at=due))
        found = outbound.show_call(call.call_id).call.due_at

    assert found == due
    with pytest.raises(ValueError, match="a datetime needs a time zone"):
        NewCall(to="+12125550101", due_at=datetime(2099, 11, 30, 9, 0))  # noqa: DTZ001


def test_a_file_whose_answer_is_lost_is_sent_again_and_answered_as_before(
    world: World, api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound_client.transport, "WAIT_S", 0.0)
    with losing_answers(api_url, 1) as url, Client(url, token(world.business())) as outbound:
        report = outbound.import_calls("to\n+12125550101\nabc\n", batch="b")

    assert (report.created, report.already_there, report.refused) == (1, 0, 1)


def test_a_file_that_is_used_up_by_being_sent_is_sent_once() -> None:
    asked = [transport.Asking("POST", "/imports", content=one, takes_key=True) for one in (b"to", "to", iter([b"to"]))]

    assert [one.is_safe for one in asked] == [True, True, False]


def test_what_has_no_key_is_sent_once(world: World, api_url: str) -> None:
    with (
        losing_answers(api_url, 1) as url,
        Client(url, token(world.business())) as outbound,
        pytest.raises(Unanswered),
    ):
        outbound.make_token(NewToken(name="x", scopes=["calls:read"]))

    assert world.value("select count(*) from api_token where name = 'x'") == 1


def test_it_gives_up_after_five_tries_and_names_the_key(
    world: World, api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound_client.transport, "WAIT_S", 0.0)
    with (
        losing_answers(api_url, 5) as url,
        Client(url, token(world.business())) as outbound,
        pytest.raises(Unanswered) as failure,
    ):
        outbound.create_call(NewCall(to="+12125550101"), idempotency_key="appointment-7")

    assert failure.value.key == "appointment-7"
    assert world.value("select count(*) from call_log") == 1


@contextmanager
def answering(
    status: int, retry_after: str, body: str, declared: int | None = None, headers: dict[str, str] | None = None
) -> Iterator[tuple[str, list[float]]]:
    """A proxy that answers for the API; when it was asked."""
    asked: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(time.monotonic())
            self.send_response(status)
            self.send_header("content-length", str(declared or len(body)))
            self.send_header("retry-after", retry_after)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}", asked
        proxy.shutdown()
        thread.join()


BUSY = '{"code": "busy", "detail": "try again later"}'
IN_2099 = "Fri, 27 Nov 2099 09:00:00 GMT"


@pytest.mark.parametrize("retry_after", ["60", IN_2099])
@pytest.mark.parametrize(("body", "error"), [(BUSY, Refused), ("<html>", Unanswered)])
def test_who_is_told_to_come_much_later_is_not_sent_again_but_told_when(
    retry_after: str, body: str, error: type[Exception]
) -> None:
    with answering(503, retry_after, body) as (url, asked), Client(url, "t") as outbound, pytest.raises(error) as told:
        outbound.list_calls()

    assert len(asked) == 1
    assert getattr(told.value, "retry_after_s", 0) >= 60


@pytest.mark.parametrize(
    "retry_after",
    [
        *("", "soon", "-1", "1.5", "1e3", "\u0663", "9" * 400, "Fri, 27 Nov 99999999999 09:00:00 GMT", "Fri"),
        *("Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359", "Sat, 28 Nov 2026 09:00:00 -0000"),
    ],
)
def test_whatever_is_said_of_when_to_come_again_the_refusal_is_raised(
    retry_after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound_client.transport, "TRIES", 1)
    with (
        answering(503, retry_after.encode().decode("latin1"), BUSY) as (url, _),
        Client(url, "t") as outbound,
        pytest.raises(Refused) as refusal,
    ):
        outbound.list_calls()

    assert refusal.value.retry_after_s is None or refusal.value.retry_after_s >= 0


def test_a_moment_without_a_zone_is_one_of_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    told = httpx.Response(503, headers={"retry-after": "Fri, 27 Nov 2099 09:00:00 -0000"}, json=json.loads(BUSY))
    of_utc = httpx.Response(503, headers={"retry-after": IN_2099}, json=json.loads(BUSY))
    found = [outbound_client.transport._told_wait(one) for one in (told, of_utc)]
    monkeypatch.undo()
    time.tzset()

    assert found[0] == pytest.approx(found[1], abs=5)


OF_A_PROXY: list[tuple[int, str, dict[str, str]]] = [
    (200, "<html>sign in</html>", {"content-type": "text/html"}),
    (200, '{"status": "up"}', {"content-type": "application/json"}),
    (204, "", {}),
    (200, "not gzip", {"content-encoding": "gzip", "content-type": "application/json"}),
    (302, "", {"location": "https://sso.example.com/"}),
    (502, '{"code": 502, "errors": null}', {"content-type": "application/json"}),
    (502, '{"code": "bad_gateway", "message": "no upstream"}', {"content-type": "application/json"}),
]


@pytest.mark.parametrize(("status", "body", "headers"), OF_A_PROXY)
def test_what_another_answers_in_the_place_of_the_api_is_unanswered(
    status: int, body: str, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound_client.transport, "WAIT_S", 0.0)

    async def ask(url: str) -> None:
        async with AsyncClient(url, "t") as outbound:
            await outbound.create_call(NewCall(to="+12125550101"), idempotency_key="appointment-7")

    async def read(url: str) -> list[str]:
        async with AsyncClient(url, "t") as outbound:
            return [line async for line in outbound.export_calls()]

    with answering(status, "", body, headers=headers) as (url, _), Client(url, "t") as outbound:
        with pytest.raises(Unanswered) as failure:
            outbound.create_call(NewCall(to="+12125550101"), idempotency_key="appointment-7")
        with pytest.raises(Unanswered) as awaited:
            asyncio.run(ask(url))
        if status != 204:
            with pytest.raises(Unanswered):
                list(outbound.export_calls())
            with pytest.raises(Unanswered):
                asyncio.run(read(url))

    assert (failure.value.key, awaited.value.key) == ("appointment-7", "appointment-7")


@pytest.mark.parametrize("odd", ["1/2", "a?b=c", "a#b", "a b", "50%", "..\\x", "שלום", "+12125550101", "a\nb"])
def test_a_text_in_a_path_stays_one_part_of_it(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound_client.transport, "TRIES", 1)
    paths: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return httpx.Response(404, json={"code": "not_found", "detail": "there is none"})

    with Client("http://x", "t") as outbound:
        outbound._http = httpx.Client(base_url="http://x/v1", transport=httpx.MockTransport(answer))
        with pytest.raises(Refused):
            outbound.show_callee(odd)

    (path,) = paths
    assert unquote(path.decode()) == f"/v1/callees/{odd}"
    assert path.count(b"/") == 3
    assert b"?" not in path


@pytest.mark.parametrize("odd", ["", ".", ".."])
def test_a_text_that_would_lead_to_another_path_is_refused(odd: str) -> None:
    with Client("http://x", "t") as outbound, pytest.raises(ValueError, match="names nothing that the API has"):
        outbound.cancel(odd, "calls")


@pytest.mark.parametrize(
    ("given", "error"),
    [
        *((one, TypeError) for one in (None, True, False, 1.0, "1/why", "0", "..", "1", b"1", "", [1])),
        *((one, ValueError) for one in (0, -1)),
    ],
)
def test_what_is_no_id_is_named_and_not_sent(given: Any, error: type[Exception]) -> None:
    with Client("http://x", "t") as outbound:
        for ask in (outbound.show_call, outbound.why_call, outbound.preview_campaign, outbound.export_rejected_lines):
            with pytest.raises(error, match="_id is an id, a whole number from 1 on"):
                ask(given)
    with pytest.raises(error, match="call_id is an id"):
        asyncio.run(AsyncClient("http://x", "t").show_call(given))


@pytest.mark.parametrize("given", [None, True, 1.5, b"+12125550101", ["x"]])
def test_what_is_no_text_is_named_and_not_sent(given: Any) -> None:
    with Client("http://x", "t") as outbound, pytest.raises(TypeError, match=r"^number is a text, not "):
        outbound.show_callee(given)


def test_what_is_still_at_work_is_unanswered_and_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound_client.transport, "WAIT_S", 0.0)
    problem = '{"code": "in_progress", "detail": "it is being answered", "errors": []}'
    with (
        answering(409, "0", problem) as (url, asked),
        Client(url, "t") as outbound,
        pytest.raises(Unanswered, match="still at work") as failure,
    ):
        outbound.import_calls("to\n+12125550101\n", batch="b", idempotency_key="list-7")

    assert failure.value.key == "list-7"
    assert len(asked) == 5


def test_a_stream_that_is_told_to_come_later_is_opened_again_then(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("outbound_client.client.time.sleep", wait)
    with answering(503, "30", BUSY) as (url, asked), Client(url, "t") as outbound, pytest.raises(KeyboardInterrupt):
        next(outbound.follow_events())

    assert (waits, len(asked)) == ([30.0, 30.0], 2)


def test_an_export_that_breaks_off_is_unanswered() -> None:
    async def read(url: str) -> list[str]:
        async with AsyncClient(url, "t") as outbound:
            return [line async for line in outbound.export_calls()]

    with answering(200, "", '{"id": 1}\n', declared=100) as (url, _), Client(url, "t") as outbound:
        with pytest.raises(Unanswered, match="exports/calls"):
            list(outbound.export_calls())
        with pytest.raises(Unanswered, match="exports/calls"):
            asyncio.run(read(url))


def test_what_is_refused_says_what_and_where(world: World, api_url: str) -> None:
    with Client(api_url, token(world.business())) as outbound:
        with pytest.raises(Refused, match="bad_call") as refusal:
            outbound.create_call(NewCall(to="abc"))
        with pytest.raises(Refused) as missing:
            outbound.show_call(812)

    assert (refusal.value.status, missing.value.code) == (422, "not_found")


def ended(world: World, business: int, number: int) -> int:
    call_id = world.initiated(business, f"+1500555{1000 + number}")
    events.record(call_id, CallEvent(f"CA{number:032x}", "completed", "lookup"))
    return call_id


def test_events_are_followed_over_a_stream_that_breaks(
    world: World, api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RECONNECT_S", 0.01)
    business = world.business()
    event_stream.want("test")
    place = str(event_stream.place(None))
    ids = [ended(world, business, number) for number in range(3)]
    with Client(api_url, token(business)) as outbound:
        followed = outbound.follow_events(after=place)
        first = next(followed)
        del followed  # the connection breaks
        again = outbound.follow_events(after=first.place)
        assert [first.data["call_id"], *[next(again).data["call_id"] for _ in range(2)]] == ids

    async def follow() -> list[int]:
        async with AsyncClient(api_url, token(business)) as other:
            found = []
            async for event in other.follow_events(after=place):
                found.append(event.data["call_id"])
                if len(found) == len(ids):
                    break
            return found

    assert asyncio.run(follow()) == ids


def test_a_webhook_is_read_where_its_signature_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_WEBHOOK_KEY", "k" * 32)
    forget_settings()
    told = {"id": "evt_1", "type": "ping", "timestamp": "2026-11-27T03:00:00+00:00", "business_id": 1, "data": {}}
    body = json.dumps(told).encode()

    def headers(at: float) -> dict[str, str]:
        signed = signature.headers("evt_1", int(at), body, endpoint_id=1, generation=1, with_previous=False)
        return {name.title(): value for name, value in signed.items()}

    secret = signature.secret(1, 1)
    assert verify_webhook(secret, headers(time.time()), body).type == "ping"
    now = time.time()
    for other, given, came in (
        (secret, headers(now), body + b" "),
        (secret, headers(now - 600), body),
        (signature.secret(2, 1), headers(now), body),
        (secret, {}, body),
    ):
        with pytest.raises(NotGenuine):
            verify_webhook(other, given, came)
