"""Endpoints over HTTP, and the stream of events: it begins anywhere, misses nothing, and ends with its token."""

import json
import threading
from typing import Any

import httpx
import pytest

from outbound.api import app, context, event_stream
from outbound.call import CallEvent
from outbound.calls import events
from outbound.rules import api_token
from outbound.webhooks import event_stream as stream_of_events
from outbound.webhooks import signature
from tests.api.conftest import Client, served
from tests.conftest import World, forget_settings, until

pytestmark = pytest.mark.rows_only


def end(world: World, business_id: int, number: int = 1) -> int:
    call_id = world.initiated(business_id, f"+1500555{1000 + number}")
    events.record(call_id, CallEvent(f"CA{number:032x}", "completed", "lookup"))
    return call_id


class Stream:
    """A stream that is read in a thread of its own, until it ends or the test does."""

    def __init__(self, http: httpx.Client, **params: Any) -> None:
        self.events: list[tuple[str, Any]] = []
        self.has_begun = threading.Event()
        self.has_ended = threading.Event()
        self.is_whole = False  # the server has ended it, and did not cut it off
        self._http, self._params = http, params
        threading.Thread(target=self._read, daemon=True).start()
        assert self.has_begun.wait(20)

    def _read(self) -> None:
        place = ""
        try:
            with self._http.stream("GET", "/events", params=self._params, timeout=60) as answer:
                for line in answer.iter_lines():
                    self.has_begun.set()
                    if line.startswith("id: "):
                        place = line.removeprefix("id: ")
                    elif line.startswith("data: "):
                        self.events.append((place, json.loads(line.removeprefix("data: "))))
            self.is_whole = True
        except httpx.HTTPError:
            pass
        finally:
            self.has_ended.set()


def test_an_endpoint_is_added_changed_tried_and_removed(world: World, client: Client) -> None:
    own = world.business()
    http = client("webhooks", business_id=own)
    made = http.post("/webhooks", json={"url": "https://example.com/events", "event_types": ["call.ended"]})
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    path = f"/webhooks/{number}"

    assert http.get(f"{path}/secret").json()["secret"] == signature.secret(number, 1)
    assert http.post(f"{path}/rotate").json() == {"id": number}
    assert http.get(f"{path}/secret").json()["secret"] == signature.secret(number, 2)
    (ping,) = [http.post(f"{path}/test").json()["id"]]
    (delivery,) = http.get(f"{path}/deliveries").json()["deliveries"]
    assert (delivery["public_id"], delivery["state"]) == (ping, "due")
    assert http.patch(path, json={"state": "off"}).json()["state"] == "off"
    assert http.get("/webhooks").json()["endpoints"][0]["due"] == 1
    assert http.delete(path).json() == {"id": number, "waiting": 1}
    assert http.get(f"{path}/secret").status_code == 404


def test_no_secret_is_in_the_database(world: World, client: Client) -> None:
    http = client("webhooks")
    key = {"idempotency-key": "k"}
    number = http.post("/webhooks", json={"url": "https://example.com/"}, headers=key).json()["id"]
    secret = http.get(f"/webhooks/{number}/secret").json()["secret"]

    for table in ("webhook_endpoint", "api_request", "audit"):
        assert secret not in world.value(f"select coalesce(string_agg(t::text, ''), '') from {table} as t")  # noqa: S608


def test_what_is_wrong_with_an_endpoint_is_said(client: Client) -> None:
    http = client("webhooks")
    for url in (
        "http://example.com/",
        "https://127.0.0.1/",
        "https://example.com:8443/",
        "ftp://example.com/",
        "https:///",
    ):
        answer = http.post("/webhooks", json={"url": url})
        assert answer.status_code == 422, url
        assert "https://" in answer.text or "may not be sent to this address" in answer.text
    assert http.post("/webhooks", json={"url": "https://a.example/", "event_types": ["call.over"]}).status_code == 422
    number = http.post("/webhooks", json={"url": "https://example.com/"}).json()["id"]
    assert http.post(f"/webhooks/{number}/replay", json={}).status_code == 422
    assert http.post(f"/webhooks/{number}/replay", json={"since": "soon"}).status_code == 422
    assert http.post(f"/webhooks/{number}/replay", json={"given_up_only": True}).json() == {"replayed": 0}


def test_events_come_as_they_happen_and_go_on_after_the_last_one_seen(world: World, client: Client) -> None:
    own = world.business()
    http = client("calls:read", business_id=own)
    stream = Stream(http)
    first, second = end(world, own, 1), end(world, own, 2)
    until(lambda: len(stream.events) == 2)
    assert [told["data"]["call_id"] for _, told in stream.events] == [first, second]
    assert stream.events[0][1]["data"]["to"] == "+15005551001"

    again = Stream(http, after=stream.events[0][0])
    third = end(world, own, 3)
    until(lambda: len(again.events) == 2)
    assert [told["data"]["call_id"] for _, told in again.events] == [second, third]


def test_many_streams_cost_the_queries_of_one(world: World, client: Client, monkeypatch: Any) -> None:
    """One reads for all; a stream reads by itself until it has come to where that one is."""
    looks: list[str] = []
    read = stream_of_events.read

    def look(*given: Any) -> Any:
        looks.append(threading.current_thread().name)
        return read(*given)

    monkeypatch.setattr(stream_of_events, "read", look)
    own, other = world.business(), world.business("Other")
    http, of_other = client("calls:read", business_id=own), client("calls:read", business_id=other)
    streams = [Stream(http) for _ in range(8)]
    stranger = Stream(of_other)
    until(lambda: "events" in looks)
    before = len(looks)
    for number in range(5):
        end(world, own, number)
        until(lambda: {len(stream.events) for stream in streams} == {number + 1})  # noqa: B023 (it is called at once)

    by_themselves = [name for name in looks[before:] if name != "events"]
    assert len(by_themselves) < 5 * len(streams) / 2
    assert stranger.events == []


def test_many_events_of_one_commit_come_at_once_also_to_a_token_of_one_business(
    world: World, client: Client, monkeypatch: Any
) -> None:
    """Of a page that one reads for all, such a token has a part: that is no sign that nothing is left."""
    monkeypatch.setattr(stream_of_events, "PAGE_MAX", 5)
    monkeypatch.setattr(event_stream, "LOOK_S", 30)
    own, other = world.business(), world.business("Other")
    stream = Stream(client("calls:read", business_id=own))
    end(world, own, 1)
    until(lambda: len(stream.events) == 1)

    world.do(
        "select write_event(case when n %% 2 = 0 then %s::bigint else %s end, 'call.ended', 'evt_' || n, null, '{}')"
        " from generate_series(1, 60) as n",
        own,
        other,
    )

    until(lambda: len(stream.events) == 31)


def test_a_place_of_after_a_restore_is_refused(world: World, client: Client) -> None:
    http = client("calls:read", business_id=world.business())

    answer = http.get("/events", params={"after": "900000000000-7"})

    assert answer.status_code == 409
    assert "restored to an earlier moment" in answer.json()["detail"]


def test_what_happens_after_a_token_was_refused_does_not_reach_its_stream(
    world: World, client: Client, monkeypatch: Any
) -> None:
    monkeypatch.setattr(event_stream, "LOOK_S", 30)
    monkeypatch.setattr(context, "TOKEN_CACHE_S", 0)
    own = world.business()
    http, other = client("calls:read", business_id=own), client("calls:read", business_id=own)
    stream, of_other = Stream(http), Stream(other)
    end(world, own, 1)
    until(lambda: len(stream.events) == len(of_other.events) == 1)

    api_token.revoke(http.headers["authorization"].split("_")[1], actor="test")
    end(world, own, 2)

    assert stream.has_ended.wait(20)
    until(lambda: len(of_other.events) == 2)
    assert len(stream.events) == 1


def test_a_revoked_token_reads_no_longer(world: World, client: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(event_stream, "LOOK_S", 0.1)
    monkeypatch.setattr(context, "TOKEN_CACHE_S", 0)
    own = world.business()
    http = client("calls:read", business_id=own)
    stream = Stream(http)
    api_token.revoke(http.headers["authorization"].split("_")[1], actor="test")

    assert stream.has_ended.wait(20)


def test_a_server_that_stops_ends_its_streams_where_they_are(world: World, monkeypatch: Any) -> None:
    """Cut off after 15 s, each restart would take as long."""
    monkeypatch.setattr(event_stream, "LOOK_S", 30)
    with served(app.app, monkeypatch) as url:
        token = api_token.add("test", scopes=["calls:read"], actor="test").token
        http = httpx.Client(base_url=f"{url}/v1", headers={"authorization": f"Bearer {token}"})
        streams = [Stream(http) for _ in range(2)]
    assert all(stream.has_ended.wait(20) for stream in streams)
    assert all(stream.is_whole for stream in streams)
    assert world.value("select count(*) from event_log") == 0, "no event has woken them"


def test_streams_are_bounded(world: World, client: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(event_stream, "STREAMS_OF_TOKEN_MAX", 1)
    http = client("calls:read", business_id=world.business())
    Stream(http)

    assert http.get("/events").status_code == 503


def test_nonsense_is_no_place(client: Client) -> None:
    http = client("calls:read")

    assert http.get("/events", params={"after": "soon"}).status_code == 422
    assert http.get("/events", params={"event_type": "call.over"}).status_code == 422


def test_a_server_without_the_webhooks_key_says_that_it_is_not_set_up(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = client(business_id=world.business("Acme"))
    monkeypatch.delenv("OUTBOUND_WEBHOOK_KEY")
    forget_settings()

    refused = http.post("/webhooks", json={"url": "https://example.com/"})

    assert (refused.status_code, refused.json()["code"]) == (409, "not_set_up")
    assert "OUTBOUND" not in refused.text
