"""What is refused before any work, how it is said, and what a repeat is answered."""

import csv
import io
import json
import re
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest
from starlette.requests import Request

from outbound import db
from outbound.api import app, context, files, json_body, problem, route
from outbound.config import settings
from outbound.formats import spreadsheet
from outbound.rules import api_token
from tests import ROOT
from tests.api.conftest import Client, served
from tests.conftest import World, forget_settings, until
from tests.digest import digest
from tests.web.test_bounded import CODED, asked_first, coded
from tests.web.test_bounded import _codes as codes
from tests.web.test_bounded import _said as said

pytestmark = pytest.mark.rows_only

JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}


QUERIES = (
    "",
    "limit=5",
    "limit=0",
    "limit=1.5",
    "limit=",
    "limit=5&limit=6",
    "limit=x&campaign_id=0&number=" + "1" * 61,
    "status=busy&status=queued,claimed",
    "status=" + "&status=".join(["busy"] * 21),
    "status=odd",
    "before=never",
    "region=Israel",
    "odd=1",
    "business_id=2",
    "error_code=",
    "since=2026-11-24&until=2026-11-23",
)


def test_a_list_that_is_answered_beside_the_frame_is_answered_as_the_frame_does(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    business_id = world.business()
    world.queued(business_id)
    made = app.app()
    with served(lambda: made, monkeypatch) as url:
        token = api_token.add("test", scopes=["calls:read"], business_id=business_id, actor="test").token
        with httpx.Client(headers={"authorization": f"Bearer {token}"}) as http:
            direct = [http.get(f"{url}/v1/calls?{query}") for query in QUERIES]
            assert ("GET", "/v1/calls") in made.direct  # type: ignore[attr-defined]
            made.direct.clear()  # type: ignore[attr-defined]
            framed = [http.get(f"{url}/v1/calls?{query}") for query in QUERIES]

    assert [answer.status_code for answer in direct[:3]] == [200, 200, 422]
    for one, other in zip(direct, framed, strict=True):
        assert (one.status_code, one.content, one.headers.keys()) == (
            other.status_code,
            other.content,
            other.headers.keys(),
        )


def test_an_application_answers_with_the_routes_that_were_declared_and_makes_none_again() -> None:
    declared = [declared_route for router in app.ROUTERS for declared_route in router.routes]

    served_routes = [one for one in app.app().routes if isinstance(one, route.Operation)]

    assert len(declared) > 50
    assert list(map(id, served_routes)) == list(map(id, declared))


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", JSON, 400, "unreadable"),
        (b"\xff", JSON, 400, "unreadable"),
        (b'{"to": "+12125550101", "to": "+12125550102"}', JSON, 400, "unreadable"),
        (b'{"to": NaN}', JSON, 400, "unreadable"),
        (b'{"to": "a\\u0000"}', JSON, 400, "unreadable"),
        (b'{"to": "\\ud800"}', JSON, 400, "unreadable"),
        (b'{"contact": {"a": "\\u0000"}, "to": "+12125550101"}', JSON, 400, "unreadable"),
        (b"[" * 40 + b"]" * 40, JSON, 400, "unreadable"),
        (b'{"to": ' + b"9" * 50 + b"}", JSON, 400, "unreadable"),
        (b'{"to": "+12125550101"}', {"content-type": "text/plain"}, 415, "unsupported_type"),
        (b'{"to": "+12125550101"}', {}, 415, "unsupported_type"),
        (b'{"to": "+12125550101"}', JSON | {"content-encoding": "gzip"}, 415, "unsupported_type"),
        (b'{"to": "' + b"1" * json_body.BODY_MAX + b'"}', JSON, 413, "too_large"),
        (b'{"to": 12125550101}', JSON, 422, "invalid"),
        (b'{"to": "+12125550101", "form": "+12125550100"}', JSON, 422, "invalid"),
        (b"[]", JSON, 422, "invalid"),
        (b"", JSON, 422, "invalid"),
        (b'{"to": "+12125550101", "business_id": 9007199254740992}', JSON, 422, "invalid"),
        (b'{"to": "abc"}', JSON, 422, "bad_call"),
        (b'{"to": "+12125550101"}', JSON | {"idempotency-key": "x" * 256}, 400, "unreadable"),
    ],
)
def test_a_body_that_cannot_be_read_changes_nothing_and_is_told_why(
    world: World, client: Client, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    http = client(business_id=world.business())
    http.get("/token")
    before = digest(world)

    answer = http.post("/calls", content=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == problem.CONTENT_TYPE
    assert answer.json()["detail"]
    assert digest(world) == before


@pytest.mark.parametrize(("lines", "status"), CODED)
def test_a_body_whose_end_may_be_seen_elsewhere_is_refused_by_its_head(api_url: str, lines: bytes, status: int) -> None:
    assert codes(said(api_url, coded(b"/v1/calls", lines))) == [status]


@pytest.mark.parametrize(
    ("path", "kind", "body", "status"),
    [
        ("/calls", "application/json", b'{"to": "+12125550101"}', 201),
        ("/imports?batch=b", "text/csv", b"to\n+12125550101\n", 200),
    ],
)
def test_one_who_waits_until_the_body_is_wanted_is_answered(
    world: World, client: Client, path: str, kind: str, body: bytes, status: int
) -> None:
    http = client(business_id=world.business())
    head = f"POST /v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: {http.headers['authorization']}\r\n"
    head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"

    assert asked_first(str(http.base_url), head.encode(), body) == [100, status]
    assert world.value("select count(*) from call_log") == 1


@pytest.mark.parametrize("name", ["idempotency-key", "authorization", "content-type", "last-event-id"])
def test_a_header_that_is_sent_twice_is_refused_and_not_half_read(world: World, client: Client, name: str) -> None:
    http = client(business_id=world.business())
    http.get("/token")
    before = digest(world)
    once = [*JSON.items(), ("idempotency-key", "a"), ("authorization", http.headers["authorization"])]
    url = f"{http.base_url}calls"

    answer = httpx.post(url, content=b'{"to": "+12125550101"}', headers=[*once, ("last-event-id", "5-5"), (name, "b")])

    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable")
    assert name in answer.json()["detail"].lower()
    assert digest(world) == before


def test_a_parameter_that_is_sent_twice_is_refused_unless_it_is_a_list(world: World, client: Client) -> None:
    own, other = world.business("Mine"), world.business("Other")
    http = client()

    answer = http.get(f"/calls?business_id={own}&business_id={other}")

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "?business_id")
    assert http.get("/calls?status=queued&status=failed").status_code == 200


def test_an_empty_filter_does_not_find_everything(world: World, client: Client) -> None:
    world.queued(world.business())
    http = client()

    for path in ("/calls?number=", "/calls?before=", "/exports/calls?number=", "/leads?number=", "/leads?before="):
        answer = http.get(path)
        assert (answer.status_code, "+1" in answer.text) == (422, False), path


@pytest.mark.parametrize("end", ["%0a", "%0d%0a", "%00", "%e2%80%a8"])
def test_a_path_with_the_end_of_a_line_is_none(world: World, client: Client, end: str) -> None:
    call = world.queued(world.business())

    answer = client().get(f"/calls/{call}{end}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_slash_or_dots_that_are_sent_encoded_lead_to_no_other_path(world: World, client: Client) -> None:
    call = world.queued(world.business())
    http = client()

    for path in ("%2Fwhy", "%2fwhy", "%2F", "%2F%2E%2E", "/%2e%2e", "/why/%2e%2e", "/%2e%2e/1", "%2F..%2F1%2Fwhy"):
        answer = http.get(f"/calls/{call}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    for path in ("/calls/x%2F1", "/tokens%2F1", "/webhooks/1%2Ftest", "/control/campaign%2F1/resume"):
        assert http.get(path).status_code == 404
    assert httpx.get(str(http.base_url).replace("/v1", "/v1%2Fcalls"), headers=http.headers).status_code == 404
    assert http.get(f"/calls/{call}/why").status_code == 200


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"to": "a\tb"}', "Invalid control character at character 10"),
        (b'{"to": ', "Expecting value at character 8"),
        (b"\xff\xfe{", "the body is no text in UTF-8, as which JSON is sent: encode it so"),
    ],
)
def test_a_body_that_is_no_json_is_told_where(client: Client, body: bytes, detail: str) -> None:
    answer = client().post("/calls", content=body, headers=JSON)

    assert answer.json()["detail"].endswith(detail)


@pytest.mark.parametrize("path", ["/calls", "/businesses"])
@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"null", b"3"])
def test_a_body_that_is_no_object_is_told_so_without_a_name_of_ours(client: Client, path: str, body: bytes) -> None:
    answer = client().post(path, content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 422
    told = answer.json()
    assert told["detail"] == "the body is missing, or no JSON object: send one"
    assert {fault["detail"] for fault in told["errors"]} <= {"it must be a JSON object", "Field required"}


def test_a_body_may_begin_with_the_mark_of_its_encoding(world: World, client: Client) -> None:
    http = client(business_id=world.business())

    assert http.post("/calls", content=b'\xef\xbb\xbf{"to": "+12125550101"}', headers=JSON).status_code == 201


def test_all_faults_are_told_at_once_with_their_place(world: World, client: Client) -> None:
    http = client(business_id=world.business())

    answer = http.post("/calls", json={"to": 1, "due_at": 2, "contact": {"name": 3}}).json()

    assert {fault["pointer"] for fault in answer["errors"]} == {"/to", "/due_at", "/contact/name"}


def test_all_that_is_wrong_of_a_call_is_said_at_once(world: World, client: Client) -> None:
    http = client(business_id=world.business("Acme", "+12125550100"))
    call = {
        "to": "nobody",
        "from": "x",
        "due_at": "yesterday",
        "key": "again:1",
        "time_zone": "Mars/Olympus",
        "contact": {"name": "a\u202e", "Name": "b"},
    }

    answer = http.post("/calls", json=call).json()
    (refused,) = http.post("/calls/bulk", json={"calls": [call]}).json()["refused"]
    one = http.post("/calls", json={"to": "+12125550101", "contact": {"name": "x" * 1001}}).json()

    pointers = ["/to", "/from", "/due_at", "/key", "/contact", "/time_zone"]
    assert [fault["pointer"] for fault in answer["errors"]] == pointers
    assert answer["detail"] == answer["errors"][0]["detail"]
    assert {fault["code"] for fault in answer["errors"]} == {"bad_call"}
    assert "`due_at` is not a date and time" in answer["errors"][2]["detail"]
    assert all(fault["detail"] in refused["detail"] for fault in answer["errors"])
    assert [fault["pointer"] for fault in one["errors"]] == ["/contact"]


def test_what_does_not_fit_and_what_is_wrong_with_the_rest_are_said_at_once(world: World, client: Client) -> None:
    """The types and the content of a call were two answers, and who mended the first met the second."""
    business_id = world.business("Acme", "+12125550100")
    http, of_all = client(business_id=business_id), client()
    call = {"to": 5, "bogus": 1, "from": "x", "due_at": "yesterday", "key": "again:1", "time_zone": "Mars/Olympus"}

    answer = http.post("/calls", json=call).json()
    of_nobody = of_all.post("/calls", json={**call, "business_id": business_id + 1}).json()

    misfits = [("/to", "string_type"), ("/bogus", "extra_forbidden")]
    bad = [(f"/{field}", "bad_call") for field in ("from", "due_at", "key", "time_zone")]
    assert [(fault["pointer"], fault["code"]) for fault in answer["errors"]] == misfits + bad
    assert [(fault["pointer"], fault["code"]) for fault in of_nobody["errors"]] == misfits


@pytest.mark.parametrize(
    ("method", "path", "sent", "pointers"),
    [
        (
            "POST",
            "/businesses",
            {
                "name": "a\u202e",
                "time_zone": "Mars/X",
                "region": "ZZ",
                "numbers": ["+12125550101", "1234"],
                "account": "x",
            },
            ["/name", "/time_zone", "/region", "", "/account", "/numbers/1"],
        ),
        (
            "POST",
            "/campaigns",
            {
                "voice_url": "ftp:/x",
                "twiml": "<x",
                "retry_policy": "none",
                "machine_detection": "x",
                "numbers": ["123"],
            },
            ["/name", "", "/voice_url", "/twiml", "/machine_detection", "/retry_policy", "/numbers/0"],
        ),
        (
            "POST",
            "/windows",
            {"name": "a\u202e", "hours": "x", "days_off": ["2026-12-25", "y"], "half_days": ["z"], "note": "a\nb"},
            ["/name", "/note", "/hours", "/days_off/1", "/half_days/0"],
        ),
        (
            "POST",
            "/retry-policies",
            {"name": "a\u202e", "steps": "x", "per_day": 5, "per_week": 4},
            ["/name", "/steps", "/per_week"],
        ),
        (
            "PUT",
            "/control/businesses/{}/limits",
            {"calls_per_second": "x", "live_max": "y"},
            ["/calls_per_second", "/live_max"],
        ),
        ("POST", "/webhooks", {"url": "ftp://x.example.com"}, ["/url"]),
        ("PUT", "/destinations", {"place": "nowhere", "allowed": True}, ["/place"]),
        ("POST", "/suppressions", {"phone": "123", "everybody": True}, ["/phone"]),
        ("POST", "/suppressions", {"phone": "+12125550101", "everybody": True, "region": "ZZ"}, ["/region"]),
        ("POST", "/suppressions", {"phone": "+12125550101", "everybody": True, "reason": "a\nb"}, ["/reason"]),
        ("POST", "/suppressions", {"phone": "+12125550101", "everybody": True, "reason": "a\tb"}, ["/reason"]),
        ("POST", "/consents", {"phone": "+12125550101", "given_at": "2099-01-01"}, ["/given_at"]),
        ("POST", "/consents", {"phone": "+12125550101", "source": "a\r\nb"}, ["/source"]),
        ("POST", "/windows", {"name": "7", "hours": "mon 09:00-10:00"}, ["/name"]),
        ("POST", "/windows", {"preset": "nowhere"}, ["/preset"]),
        (
            "POST",
            "/windows",
            {"preset": "il", "days_off": ["2031-01-01"], "note": "ours", "known_until": "2031-12-31"},
            ["/days_off", "/known_until", "/note"],
        ),
        ("PUT", "/businesses/{}/window", {"window_id": 4711}, ["/window_id"]),
        ("PUT", "/businesses/{}/retry-policy", {"name": "nowhere"}, ["/name"]),
        ("POST", "/control/businesses/{}/pause", {"reason": "a\nb"}, ["/reason"]),
        (
            "POST",
            "/businesses",
            {"name": "B", "region": "US", "twiml": "<Response/>", "time_zone": "UTC"},
            ["/numbers/1"],
        ),
    ],
)
def test_each_fault_points_to_a_field_of_the_request(
    world: World, client: Client, method: str, path: str, sent: dict[str, Any], pointers: list[str]
) -> None:
    business_id = world.business("Acme", "+12125550100")
    of_one = {"business_id": business_id} if path in ("/campaigns", "/retry-policies", "/consents") else {}
    numbers = {"numbers": ["+12125550109", "+12125550100"]} if pointers == ["/numbers/1"] else {}
    http = client()
    before = digest(world)

    answer = http.request(method, path.format(business_id), json=sent | of_one | numbers)

    assert (answer.status_code, [fault["pointer"] for fault in answer.json()["errors"]]) == (422, pointers)
    assert answer.json()["detail"] == "; ".join(fault["detail"] for fault in answer.json()["errors"])
    assert digest(world) == before


@pytest.mark.parametrize(
    ("method", "path", "sent", "pointer"),
    [
        ("GET", "/calls?number=abc", None, "?number"),
        ("GET", "/calls?number=0501234567&region=QQ", None, "?region"),
        ("GET", "/exports/calls?number=abc", None, "?number"),
        ("GET", "/leads?number=abc", None, "?number"),
        ("GET", "/persons/+12125550101?region=QQ", None, "?region"),
        ("POST", "/calls/cancel", {"number": "abc"}, "/number"),
        ("GET", "/callees/abc", None, ""),
        ("DELETE", "/destinations/nowhere", None, ""),
    ],
)
def test_a_number_or_a_region_that_is_none_is_pointed_at_where_it_stands(
    world: World, client: Client, method: str, path: str, sent: dict[str, str] | None, pointer: str
) -> None:
    world.business("Acme")

    answer = client().request(method, path, json=sent)

    assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, [pointer]), answer.text


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/businesses", {"region": "US", "time_zone": "America/New_York", "twiml": "<Response/>"}),
        ("/campaigns", {"business_id": 1}),
        ("/windows", {"hours": "mon 09:00-10:00"}),
        ("/windows", {"preset": "il"}),
        ("/retry-policies", {"business_id": 1, "steps": "busy: 5m", "per_day": 1, "per_week": 1}),
        ("/tokens", {"scopes": ["calls:read"]}),
    ],
)
def test_a_name_is_kept_without_the_spaces_around_it(
    world: World, client: Client, path: str, sent: dict[str, Any]
) -> None:
    business_id = world.business("Acme", "+12125550100")
    own = {"business_id": business_id} if "business_id" in sent else {}

    added = client().post(path, json=sent | own | {"name": " spring sale "})

    assert (added.status_code, added.json()["name"]) == (201, "spring sale"), added.text
    tables = {"/businesses": "business", "/campaigns": "campaign", "/windows": "calling_window"} | {
        "/retry-policies": "retry_ladder",
        "/tokens": "api_token",
    }
    kept = world.value(f"select name from {tables[path]} where id = %s", added.json()["id"])  # noqa: S608 (a table of ours)
    assert kept == "spring sale"


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/campaigns", {"name": "spring"}),
        ("/retry-policies", {"name": "gentle", "steps": "busy: 5m", "per_day": 1, "per_week": 1}),
        ("/windows", {"name": "mine", "hours": "mon 09:00-10:00"}),
    ],
)
def test_a_name_that_is_taken_is_pointed_at(world: World, client: Client, path: str, sent: dict[str, Any]) -> None:
    own = {} if path == "/windows" else {"business_id": world.business("Acme", "+12125550100")}
    http = client()

    first, second = (http.post(path, json=sent | own | {"name": name}) for name in (sent["name"], f"{sent['name']} "))

    assert first.status_code == 201, first.text
    assert (second.status_code, [one["pointer"] for one in second.json()["errors"]]) == (422, ["/name"]), second.text


def test_a_field_of_several_types_is_named_once(world: World, client: Client) -> None:
    answer = client().put(f"/control/businesses/{world.business()}/limits", json={"live_max": True})

    assert answer.json()["detail"] == "these do not fit the document: /live_max"
    assert {one["pointer"] for one in answer.json()["errors"]} == {"/live_max"}


@pytest.mark.parametrize("path", ["/campaigns", "/retry-policies", "/consents"])
def test_a_missing_business_is_pointed_at(world: World, client: Client, path: str) -> None:
    world.business()
    policy = {"steps": "busy: 5m", "per_day": 1, "per_week": 1}
    sent = {"phone": "+12125550101"} if path == "/consents" else {"name": "x"} | (policy if "retry" in path else {})

    answer = client().post(path, json=sent)

    assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, ["/business_id"])


def test_each_moment_of_a_replay_that_is_none_is_named(world: World, client: Client) -> None:
    http = client()
    made = http.post("/webhooks", json={"url": "https://example.com/events"}).json()

    answer = http.post(f"/webhooks/{made['id']}/replay", json={"since": "x", "until": "2026-02-30"})

    assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, ["/since", "/until"])


def test_the_audit_is_read_page_by_page(world: World, client: Client) -> None:
    for place in range(5):
        world.business(f"Shop {place}")
    http = client()
    places: list[int] = []
    before: int | None = None

    while before != 0:
        found = http.get("/audit", params={"last": 3} | ({"before": before} if before else {})).json()
        places = [entry["place"] for entry in found["entries"]] + places
        before = found["next"] or 0

    assert len(places) >= 5
    assert places == list(range(1, places[-1] + 1))


def test_a_business_shows_its_account_to_an_operator_alone(world: World, client: Client) -> None:
    business_id, account = world.business(), f"AC{7:032x}"
    of_all, of_one = client(), client(business_id=business_id)

    of_all.patch(f"/businesses/{business_id}", json={"account": account}).raise_for_status()

    assert of_all.get(f"/businesses/{business_id}").json()["account"] == account
    assert of_one.get(f"/businesses/{business_id}").json()["account"] is None


def test_a_campaign_keeps_to_no_window_that_its_token_may_not_see(world: World, client: Client) -> None:
    business_id, operator = world.business(), client()
    http = client(business_id=business_id)
    window = operator.post("/windows", json={"name": "another's", "hours": "mon 09:00-10:00"}).json()["id"]
    campaign = http.post("/campaigns", json={"name": "spring", "twiml": "<Response/>"}).json()["id"]

    refused = http.put(f"/campaigns/{campaign}/window", json={"window_id": window})
    operator.put(f"/businesses/{business_id}/window", json={"window_id": window}).raise_for_status()
    taken = http.put(f"/campaigns/{campaign}/window", json={"window_id": window})

    assert (refused.status_code, [one["pointer"] for one in refused.json()["errors"]]) == (422, ["/window_id"])
    assert taken.json()["changed"] is True


def test_a_value_that_a_refusal_begins_with_is_no_field(world: World, client: Client) -> None:
    """`/x` was pointed to, where `x` is what was given."""
    http = client()
    window_id = http.post("/windows", json={"name": "week", "hours": "sun-thu 09:00-20:00"}).json()["id"]

    answer = http.put(f"/windows/{window_id}/days/x", json={"hours": "off"})

    assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, [""])


def test_a_filter_that_is_misspelt_finds_nothing(client: Client) -> None:
    answer = client("calls:read").get("/calls", params={"campain_id": 1})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "?campain_id")


@pytest.mark.parametrize(
    ("asked", "title"),
    [
        ("he", "אין כאן דבר כזה"),
        ("fr, he;q=0.8, en;q=0.5", "אין כאן דבר כזה"),
        ("en-GB,en;q=0.9,he;q=0.1", "There is no such thing here"),
        ("", "There is no such thing here"),
        ("he;q=0", "There is no such thing here"),
        (";;;q=,,", "There is no such thing here"),
        ("he-IL", "אין כאן דבר כזה"),
        ("en;Q=0.1, he", "אין כאן דבר כזה"),
        ("*;q=0.5, he;q=0.4", "There is no such thing here"),
        ("*;q=0.1, en;q=0", "אין כאן דבר כזה"),
        ("*", "There is no such thing here"),
    ],
)
def test_a_title_is_in_the_language_that_is_asked_for(client: Client, asked: str, title: str) -> None:
    answer = client("calls:read").get("/calls/812", headers={"accept-language": asked})

    assert (answer.status_code, answer.json()["title"]) == (404, title)


def test_a_path_tells_all_of_its_methods(client: Client) -> None:
    answer = client("calls:read").delete("/calls")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert answer.json()["code"] == "method_not_allowed"
    assert client("calls:read").post("../healthz").headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["healthz", "openapi.json"])
def test_what_monitors_ask_for_is_answered_without_its_body(world: World, client: Client, path: str) -> None:
    answers = [client("calls:read").request(method, f"../{path}") for method in ("GET", "HEAD")]

    assert [one.status_code for one in answers] == [200, 200]
    assert answers[1].content == b""
    assert len({one.headers["content-length"] for one in answers}) == 1


def test_the_document_is_served_as_it_is_committed(api_url: str) -> None:
    """It was made by the first request for it, and nothing else was answered in that second of processor time."""
    answer = httpx.get(f"{api_url}/openapi.json")

    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("application/json", "no-cache")
    assert answer.content == (ROOT / "ops" / "openapi.json").read_bytes()


def test_a_path_that_is_none_is_no_page(client: Client) -> None:
    answer = client("calls:read").get("/nothing")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_token_that_sends_too_much_is_told_when_to_go_on(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    http, other = client("calls:read"), client("calls:read")
    monkeypatch.setenv("OUTBOUND_API_RATE", "1")
    forget_settings()
    answers = [http.get("/token") for _ in range(4)]

    assert [one.status_code for one in answers][:2] == [200, 200]
    refused = answers[-1]
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["ratelimit-policy"] == '"token";q=2;w=2'
    assert other.get("/token").status_code == 200
    assert settings().api_rate == 1


def test_who_guesses_tokens_is_held_up_and_who_has_one_beside_him_is_not(
    client: Client, api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = client("calls:read")
    assert http.get("/token").status_code == 200
    monkeypatch.setattr(context, "REFUSED_AT_ONCE", 3)
    monkeypatch.setattr(context, "REFUSED_PER_S", 0.0)
    wrong = {"authorization": "Bearer outb_abcdefgh_x"}

    answers = [httpx.get(f"{api_url}/v1/token", headers=wrong) for _ in range(5)]
    nobody = httpx.get(f"{api_url}/v1/token")

    assert [one.status_code for one in answers] == [401, 401, 401, 429, 429]
    assert (nobody.status_code, nobody.json()["code"], nobody.headers["retry-after"]) == (429, "too_many_requests", "1")
    assert http.get("/token").status_code == 200


def test_addresses_that_were_refused_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "ADDRESSES_KEPT", 10)
    refusals = context._Refusals()
    for place in range(100):
        refusals.note(Request({"type": "http", "client": (f"10.0.0.{place}", 1)}))
        refusals.note(Request({"type": "http", "client": (f"2001:db8:1:2::{place}", 1)}))

    assert len(refusals._buckets) <= 10
    assert context._address(Request({"type": "http", "client": ("2001:db8:1:2:3:4:5:6", 1)})) == "2001:db8:1:2"


@pytest.mark.rows_only(False)
def test_a_slow_reader_of_a_list_holds_no_snapshot(world: World, client: Client) -> None:
    business = world.business()
    world.do(
        "insert into call_log (business_id, from_number, to_number, status, ended_at, error_message)"
        " select %s, '+12125550100', '+1' || 2000000000 + n, 'failed', now(), 'x' from generate_series(1, 30000) as n",
        business,
    )
    http = client(business_id=business)
    with http.stream("GET", "/exports/calls") as answer:
        pieces = answer.iter_raw(1000)
        lines = next(pieces).count(b"\n")
        held = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        until(lambda: world.value(f"{held} and (state <> 'idle' or backend_xmin is not null)") == 0)
        lines += sum(piece.count(b"\n") for piece in pieces)

    assert lines == 30_000


def test_the_audit_is_streamed_whole_by_the_page(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PAGE_ROWS", 7)
    for place in range(20):
        world.business(f"Shop {place}")
    http = client()

    rows = [json.loads(line) for line in http.get("/exports/audit").text.splitlines()]
    sheet = http.get("/exports/audit", headers={"accept": "text/csv"}).text.splitlines()

    places = [row["place"] for row in rows]
    assert len(places) >= 20
    assert places == list(range(places[0], 0, -1))
    assert len(sheet) == len(rows) + 1
    assert [json.loads(row["details"]) for row in csv.DictReader(sheet)] == [row["details"] for row in rows]


@pytest.mark.rows_only(False)
def test_a_database_that_is_away_is_said_and_nothing_is_lost(
    client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    business = world.business()
    http = client(business_id=business)
    assert http.get("/token").status_code == 200
    monkeypatch.setattr(route.tokens, "_known", dict(route.tokens._known))
    name = world.value("select current_database()")
    elsewhere = world.url.replace(name, "postgres")
    with psycopg.connect(elsewhere, autocommit=True) as operator:
        operator.execute(f"alter database {name} allow_connections false".encode())
        operator.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and pid <> pg_backend_pid()",
            [name],
        )
        answer = http.post("/calls", json={"to": "+12125550101"}, headers={"idempotency-key": "k"})
        operator.execute(f"alter database {name} allow_connections true".encode())

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    until(lambda: http.post("/calls", json={"to": "+12125550101"}, headers={"idempotency-key": "k"}).is_success)
    with psycopg.connect(world.url) as fresh:
        assert fresh.execute("select count(*) from call_log").fetchone() == (1,)


# Repeats


def test_a_repeat_is_answered_as_before_and_does_nothing(world: World, client: Client) -> None:
    business = world.business()
    http = client(business_id=business)
    body = {"name": "Spring"}
    first = http.post("/campaigns", json=body, headers={"idempotency-key": "k"})
    before = digest(world)

    again = http.post("/campaigns", json=body, headers={"idempotency-key": "k"})
    other = http.post("/campaigns", json={"name": "Autumn"}, headers={"idempotency-key": "k"})
    elsewhere = http.post("/suppressions", json={"phone": "+12125550101"}, headers={"idempotency-key": "k"})

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    for refused in (other, elsewhere):
        assert (refused.status_code, refused.json()["code"]) == (422, "key_of_another")
    assert digest(world) == before


def test_what_was_refused_is_not_kept(world: World, client: Client) -> None:
    http = client(business_id=world.business())
    bad = {"name": "Spring", "starts": "2027-02-30"}

    assert http.post("/campaigns", json=bad, headers={"idempotency-key": "k"}).status_code == 422
    assert world.value("select count(*) from api_request") == 0
    assert http.post("/campaigns", json={"name": "Spring"}, headers={"idempotency-key": "k"}).status_code == 201


def test_of_two_with_one_key_at_the_same_time_one_works_and_the_other_waits_or_is_told(
    world: World, client: Client
) -> None:
    http = client(business_id=world.business())
    answers: list[httpx.Response] = []

    def send() -> None:
        answers.append(http.post("/campaigns", json={"name": "Spring"}, headers={"idempotency-key": "k"}))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {one.status_code for one in answers} <= {201, 409}
    assert world.value("select count(*) from campaign") == 1
    assert len({one.text for one in answers if one.status_code == 201}) == 1


def test_one_who_waits_for_the_same_key_is_told_to_come_again(world: World, client: Client) -> None:
    business = world.business()
    http = client(business_id=business)
    http.get("/token")
    with psycopg.connect(world.url) as holder:
        holder.execute(
            "insert into api_request (token_id, key, body_sha256) select id, 'k', sha256('x') from api_token"
        )
        answer = http.post("/campaigns", json={"name": "Spring"}, headers={"idempotency-key": "k"})

    assert (answer.status_code, answer.json()["code"]) == (409, "in_progress")
    assert answer.headers["retry-after"] == "1"


def test_answers_are_kept_for_72_hours(world: World, client: Client) -> None:
    from outbound.calls import retention

    http = client(business_id=world.business())
    for key, hours in (("old", 73), ("young", 71)):
        assert http.post("/campaigns", json={"name": key}, headers={"idempotency-key": key}).is_success
        world.do("update api_request set at = now() - make_interval(hours => %s) where key = %s", hours, key)

    assert retention.delete_old_rest() == 1
    assert [row.key for row in world.rows("select key from api_request")] == ["young"]


def test_a_list_of_calls_is_queued_one_by_one(world: World, client: Client) -> None:
    http = client(business_id=world.business())
    calls: list[dict[str, Any]] = [{"to": "+12125550101", "key": "a"}, {"to": "abc"}, {"to": "+12125550103"}]

    answer = http.post("/calls/bulk", json={"calls": calls}, headers={"idempotency-key": "k"}).json()

    assert [one and one["created"] for one in answer["calls"]] == [True, None, True]
    assert [one["place"] for one in answer["refused"]] == [1]
    assert world.value("select count(*) from call_log") == 2


def test_a_file_of_json_lines_is_read_like_one_of_commas(world: World, client: Client) -> None:
    http = client(business_id=world.business())
    lines = '{"to": "+12125550101", "name": "Dana"}\n\n{"to": "+12125550102", "age": 7}\n{"to": "x"}\n'

    report = http.post(
        "/imports",
        params={"batch": "b", "anyway": True},
        content=lines,
        headers={"content-type": "application/x-ndjson"},
    )

    assert report.status_code == 200, report.text
    assert (report.json()["created"], report.json()["refused"]) == (2, 1)
    assert world.value("select contact ->> 'name' from call_log where to_number = '+12125550101'") == "Dana"


def test_lists_are_streamed_as_json_lines_or_as_a_spreadsheet(world: World, client: Client) -> None:
    business = world.business()
    for last in range(3):
        world.queued(business, f"+1212555010{last}")
    http = client(business_id=business)

    lines = http.get("/exports/calls")
    sheet = http.get("/exports/calls", headers={"accept": "text/csv"})

    assert lines.headers["content-type"].startswith("application/x-ndjson")
    assert lines.text.count("\n") == 3
    (newest, *_), (cells, *others) = map(json.loads, lines.text.splitlines()), csv.DictReader(io.StringIO(sheet.text))
    due_at = datetime.fromisoformat(newest["due_at"])
    assert due_at == world.value("select due_at from call_log where id = %s", newest["id"])
    assert list(cells) == list(newest)
    assert (cells["to_number"], cells["campaign_id"]) == (newest["to_number"], "")
    assert cells["due_at"] == due_at.isoformat(timespec="seconds")
    assert len(others) == 2
    assert http.get("/exports/leads").text == ""


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv", "text/csv"),
        ("TEXT/CSV; charset=utf-8", "text/csv"),
        ("text/*", "text/csv"),
        ("text/csv;q=0.5, application/x-ndjson;q=0.4", "text/csv"),
        ("text/csv;q=0, */*", "application/x-ndjson"),
        ("application/x-ndjson, text/csv;q=0.5", "application/x-ndjson"),
        ("text/csvx", "application/x-ndjson"),
        ("*/*", "application/x-ndjson"),
        ("", "application/x-ndjson"),
    ],
)
def test_a_list_comes_as_the_client_would_rather_have_it(client: Client, accept: str, kind: str) -> None:
    http = client()

    for path in ("/exports/calls", "/exports/audit"):
        answer = http.get(path, headers={"accept": accept})
        assert answer.headers["content-type"].partition(";")[0] == kind


@pytest.mark.parametrize("path", ["/exports/calls", "/exports/leads", "/exports/audit"])
@pytest.mark.parametrize("accept", ["text/csv", "application/x-ndjson"])
@pytest.mark.rows_only(False)
def test_a_list_whose_first_page_cannot_be_had_is_no_success(
    world: World, client: Client, path: str, accept: str
) -> None:
    http = client()
    http.get("/token")
    world.do("alter table call_log rename to away")
    world.do("alter table audit rename to gone")

    answer = http.get(path, headers={"accept": accept})

    assert (answer.status_code, answer.json()["code"]) == (500, "fault")


def test_a_list_that_breaks_off_has_no_end_and_nothing_of_it_is_logged(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def pages(_: int) -> Iterator[list[dict[str, Any]]]:
        yield [{"place": 1}]
        raise ValueError("+12125550101 Dana")

    monkeypatch.setattr("outbound.rules.audit.pages", pages)

    with pytest.raises(httpx.RemoteProtocolError):
        client().get("/exports/audit")

    assert "Dana" not in caplog.text


def test_odd_texts_come_out_of_an_export_as_json_and_csv_write_them(world: World, client: Client) -> None:
    odd = [
        "",
        "a,b",
        'a "b"',
        "a;=1+1",
        "=1+1",
        "+1",
        "-1+1",
        "@SUM(A1)",
        "\tx",
        "a\r\nb",
        "1,2\n3",
        "-5",
        "{",
        "a\\nb",
    ]
    odd += ["\u05e9\u05dc\u05d5\u05dd", "\U0001f600", "\uff1d1+1", "\u202e", " =1", "http://user:pass@host", "plain"]
    business = world.business()
    for place, text in enumerate(odd):
        world.do(
            "insert into call_log (business_id, from_number, to_number, status, ended_at, error_code, idempotency_key)"
            " values (%s, '+12125550100', '+12125550101', 'failed',"
            " timestamptz '2026-11-27 09:00:00.98Z' - %s * interval '1 s', %s, %s)",
            *(business, place, text, None if place % 5 == 0 else f"{text}{place}"),
        )
    http = client(business_id=business)

    lines = http.get("/exports/calls").content.decode()
    sheet = http.get("/exports/calls", headers={"accept": "text/csv"}).content.decode()

    rows = [json.loads(line) for line in lines.split("\n")[:-1]]
    assert [row["error_code"] for row in rows] == odd
    assert lines == "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    wanted = io.StringIO()
    writer = csv.writer(wanted, lineterminator="\n")
    writer.writerow(rows[0])
    for row in rows:
        moments = {name: value and datetime.fromisoformat(value) for name, value in row.items() if name.endswith("_at")}
        writer.writerow([spreadsheet.cell(value) for value in (row | moments).values()])
    assert sheet == wanted.getvalue()
    assert ",2026-11-27T09:00:00+00:00," in sheet


def test_no_list_has_a_cell_that_a_spreadsheet_runs_where_semicolons_part_cells(world: World, client: Client) -> None:
    business = world.business()
    http = client()
    call = {"to": "+12125550101", "business_id": business, "key": "a;=1+1"}
    assert http.post("/calls", json=call).is_success
    assert http.post(f"/control/businesses/{business}/pause", json={"reason": "a;=1+1"}).is_success

    sheets = [http.get(path, headers={"accept": "text/csv"}).text for path in ("/exports/calls", "/exports/audit")]

    for sheet in sheets:
        assert "a;'=1+1" in sheet
        assert ";=1" not in sheet


@pytest.mark.parametrize("path", ["/calls/bulk", "/calls/cancel", "/windows/refresh"])
def test_a_word_in_the_place_of_an_id_is_no_id(client: Client, path: str) -> None:
    answer = client().get(path)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert client().get("/calls/x").status_code == 404


@pytest.mark.parametrize("body", [{}, {"reason": "x"}, {"campaign_id": None}, {"dry_run": True}])
def test_a_cancel_that_names_no_calls_cancels_none(world: World, client: Client, body: dict[str, Any]) -> None:
    business = world.business()
    call = world.queued(business)

    answer = client(business_id=business).post("/calls/cancel", json=body)

    assert (answer.status_code, world.call(call).status) == (422, "queued")


def test_a_body_that_is_too_large_is_refused_with_its_bound_and_what_to_do(client: Client) -> None:
    calls = {"calls": [{"to": "+12125550101", "business_id": 1, "key": "k" * 100}] * 1000}

    answer = client().post("/calls/bulk", json=calls)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert f"{json_body.BODY_MAX} bytes: send less in one request, like fewer calls" in answer.json()["detail"]


def test_json_lines_that_become_a_larger_table_than_allowed_are_refused(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FILE_MAX", 5000)
    first = json.dumps({f"field {place}": "x" for place in range(100)} | {"to": "+12125550101"})
    lines = first + "\n" + "{}\n" * 200

    answer = client(business_id=world.business()).post(
        "/imports", params={"batch": "b"}, content=lines, headers={"content-type": "application/x-ndjson"}
    )

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_fault_is_answered_without_what_a_row_holds(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ValueError("+12125550101 Dana")

    http = client(business_id=world.business())
    monkeypatch.setattr("outbound.rules.business.page", fails)

    answer = http.get("/businesses")

    assert (answer.status_code, answer.json()["code"]) == (500, "fault")
    assert "Dana" not in answer.text + caplog.text


@pytest.mark.parametrize("field", ["name", "local_presence", "consent_required"])
def test_what_a_campaign_always_has_cannot_be_taken_away(world: World, client: Client, field: str) -> None:
    http = client(business_id=world.business())
    campaign = http.post("/campaigns", json={"name": "Spring"}).json()["id"]
    before = digest(world)

    answer = http.patch(f"/campaigns/{campaign}", json={field: None})

    assert (answer.status_code, answer.json()["code"]) == (422, "bad_campaign")
    assert f"`{field}`" in answer.json()["detail"]
    assert digest(world) == before


@pytest.mark.parametrize("field", ["name", "time_zone", "region", "look_back_hours", "voice_url", "account"])
def test_no_null_breaks_a_change_of_a_business(world: World, client: Client, field: str) -> None:
    business = world.business()

    answer = client().patch(f"/businesses/{business}", json={field: None})

    assert answer.status_code in (200, 422), answer.text


@pytest.mark.parametrize(
    ("query", "pointer", "detail"),
    [
        ("since=2026-02-30", "?since", "`since` is no day: February 2026 has 28 days"),
        ("before=x", "?before", "`before` is what the page before ended with, like "),
        ("status=nope", "?status", "`status` is one of queued, "),
        ("batch=", "?batch", "`batch` is one line of 1 to 200 characters"),
        ("error_code=", "?error_code", "`error_code` is one line of 1 to 200 characters"),
        ("since=2026-01-02&until=2026-01-01", "?since", "`since` must lie before `until`"),
    ],
)
def test_a_refusal_names_the_field_as_the_request_does(client: Client, query: str, pointer: str, detail: str) -> None:
    found = client().get(f"/calls?{query}").json()

    assert found["detail"].startswith(detail)
    assert found["errors"] == [{"pointer": pointer, "code": "bad_search", "detail": found["detail"]}]


@pytest.mark.parametrize(
    ("method", "path", "sent", "pointer"),
    [
        ("GET", "/suppressions/check?number=0501234567", None, "?number"),
        ("GET", "/audit/verify?head=x", None, "?head"),
        ("POST", "/calls/cancel", {"since": "2026-01-02", "until": "2026-01-01"}, "/since"),
        ("GET", "/exports/calls?since=2026-01-02&until=2026-01-01", None, "?since"),
        ("POST", "/consents/import?business_id=1&given_at=2199-01-01", None, "?given_at"),
        ("POST", "/registry/import?checked_at=2199-01-01", None, "?checked_at"),
    ],
)
def test_a_refusal_says_whether_a_field_is_of_the_query_or_of_the_body(
    world: World, client: Client, method: str, path: str, sent: dict[str, str] | None, pointer: str
) -> None:
    world.business("Acme")
    file = {"content": "phone\n", "headers": CSV}

    answer = client().request(method, path, **(file if "/import" in path else {"json": sent}))

    found = answer.json()
    assert (answer.status_code, [one["pointer"] for one in found["errors"]]) == (422, [pointer])
    assert found["detail"].startswith(f"`{pointer[1:]}` ")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("calls?number=+12125550101", "number"),
        ("leads?number=+1212-555-0101", "number"),
        ("exports/calls?number=+12125550101", "number"),
        ("suppressions/check?number=+12125550101", "number"),
        ("destinations/check?number=+12125550101&business_id=1", "number"),
        ("calls?since=2026-01-01T09:00+02:00", "since"),
        ("calls?until=2026-01-01T09:00:05.5+0200", "until"),
    ],
)
def test_a_plus_that_came_as_a_space_is_asked_for_as_it_is_written_in_a_query(
    world: World, client: Client, query: str, field: str
) -> None:
    world.business("Acme")
    http = client()

    found = http.get(f"/{query}").json()

    (fault,) = found["errors"]
    assert (found["code"], fault["pointer"]) == ("invalid", f"?{field}")
    assert fault["detail"].endswith("write it %2B")
    assert http.get(f"/{query}".replace("+", "%2B")).is_success


def test_a_number_without_its_country_names_the_field_that_says_it(world: World, client: Client) -> None:
    world.do("insert into business (name, default_region) values ('Acme', 'US'), ('Shop', 'IL')")
    http, mend = client(), "; or give `region`, like IL"
    number = {"number": "050-555-0134"}

    refused = [
        http.get("/calls", params=number),
        http.get("/suppressions/check", params=number),
        http.get("/callees/050-555-0134"),
        http.get("/persons/050-555-0134"),
        http.post("/calls/cancel", json=number),
        http.post("/suppressions", json={"phone": "050-555-0134", "everybody": True}),
    ]

    assert [one.json()["detail"].endswith(mend) for one in refused] == [True] * 6
    assert http.post("/calls/cancel", json=number | {"region": "IL"}).is_success
    assert http.post("/calls/cancel", json={"region": "IL"}).status_code == 422


@pytest.mark.parametrize(
    ("path", "sent", "code"),
    [
        ("/suppressions", {"phone": "+12125550101"}, "bad_suppression"),
        ("/consents", {"phone": "+12125550101"}, "bad_consent"),
        ("/consents", {"phone": "123", "business_id": 1}, "bad_consent"),
        ("/consents/revoke", {"phone": "123", "business_id": 1}, "bad_consent"),
        ("/consents/import?business_id=1&given_at=2199-01-01", None, "bad_consent"),
        ("/registry/import?checked_at=2199-01-01", None, "bad_registry_entry"),
    ],
)
def test_what_is_no_entry_of_the_do_not_call_list_is_refused_with_a_code_of_its_own(
    world: World, client: Client, path: str, sent: dict[str, Any] | None, code: str
) -> None:
    world.business("Acme")

    answer = client().post(path, **({"content": "phone\n", "headers": CSV} if sent is None else {"json": sent}))

    found = answer.json()
    assert (answer.status_code, found["code"]) == (422, code)
    assert {fault["code"] for fault in found["errors"]} <= {code}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("due_at", "2026-02-30T10:00"),
        ("due_at", "03/04/2032 10:00"),
        ("to", "nobody"),
        ("from", "+1"),
        ("time_zone", "GMT+3"),
    ],
)
def test_a_call_that_is_refused_points_to_the_field_at_fault(
    world: World, client: Client, field: str, value: str
) -> None:
    given = {"to": "+972541234567", "business_id": world.business("Acme"), field: value}

    refused = client().post("/calls", json=given).json()
    (in_bulk,) = client().post("/calls/bulk", json={"calls": [given]}).json()["refused"]

    assert refused["errors"] == [{"pointer": f"/{field}", "code": "bad_call", "detail": refused["detail"]}]
    assert refused["detail"].startswith(f"`{field}` ")
    assert in_bulk["detail"] == refused["detail"]


def test_a_note_of_a_call_names_the_field_as_the_request_does(world: World, client: Client) -> None:
    http = client(business_id=world.business("Acme"))
    given = {"to": "+972541234567", "due_at": "2032-03-28T02:30", "time_zone": "Europe/Berlin"}

    (in_bulk,) = http.post("/calls/bulk", json={"calls": [given]}).json()["calls"]
    alone = http.post("/calls", json=given | {"to": "+972541234568"}).json()

    assert alone["note"] == in_bulk["note"] == "`due_at` 02:30 does not exist that day in Europe/Berlin: taken as 03:30"
    there = http.post("/calls", json=given | {"due_at": "2032-03-29T10:00"}, headers={"accept-language": "he"})
    assert (there.status_code, there.headers["content-language"]) == (200, "he")
    assert re.search("due_at.* אינו משנה דבר", there.json()["note"])


def test_two_fields_of_a_contact_that_have_one_name_are_refused(world: World, client: Client) -> None:
    http = client(business_id=world.business("Acme"))

    answer = http.post("/calls", json={"to": "+972541234567", "contact": {"Name": "Dana", "name ": "Noa"}})

    assert (answer.status_code, answer.json()["code"]) == (422, "bad_call")
    assert world.value("select count(*) from call_log") == 0


def test_a_limit_is_named_as_the_request_does(world: World, client: Client) -> None:
    business_id = world.business("Acme")
    refused = client().put(f"/control/businesses/{business_id}/limits", json={"minutes_per_day": "1"}).json()

    assert refused["detail"].startswith("`minutes_per_day` 1 lets no call begin")
    assert refused["errors"][0]["pointer"] == "/minutes_per_day"
    assert "--" not in refused["detail"]


@pytest.mark.parametrize("written", ["5_0", "50.0.", "%2050", "50%20", "%2B50", "5e1", "\u0665", "nan", "inf"])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("/calls?business_id={}", 422), ("/calls?limit={}", 422), ("/imports?before={}", 422)),
        *(("/campaigns/50/preview?call_s={}", 422), ("/businesses/{}", 404)),
    ],
)
def test_a_number_of_a_path_or_a_query_is_digits_alone(
    world: World, client: Client, path: str, status: int, written: str
) -> None:
    world.do("insert into business (id, name) values (50, 'Acme')")

    answer = client().get(path.format(written))

    assert answer.status_code == status, answer.text
    assert status == 404 or "digits" in answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/calls?business_id={}"),
        ("GET", "/calls?before=2026-11-30T09:00:00Z/{}"),
        ("GET", "/calls/{}"),
        ("GET", "/imports/{}/rejected"),
        ("POST", "/control/campaigns/{}/cancel"),
        ("GET", "/callees/{}"),
        ("GET", "/calls?number={}"),
        ("GET", "/calls?since={}"),
    ],
)
@pytest.mark.parametrize("digits", [40, 41, 4301, 12_000])
def test_a_number_of_thousands_of_digits_is_no_fault_of_ours(
    world: World, client: Client, method: str, path: str, digits: int
) -> None:
    world.business()

    answer = client().request(method, path.format("9" * digits))

    assert answer.status_code in (404, 422), answer.text


def test_limits_are_taken_as_numbers_and_as_texts(world: World, client: Client) -> None:
    path, http = f"/control/businesses/{world.business('Acme')}/limits", client()
    set_ = "select calls_per_second::float8, live_max from dial_control where scope = 'business'"

    numbers = http.put(path, json={"calls_per_second": 1.5, "live_max": 5})
    assert (numbers.status_code, numbers.json()["limits"]) == (200, {"calls_per_second": "1.5", "live_max": "5"})
    assert world.rows(set_) == [(1.5, 5)]
    assert http.put(path, json={"calls_per_second": "2", "live_max": None, "minutes_per_day": 600.0}).status_code == 200
    assert world.rows(set_) == [(2.0, 5)]
    assert http.put(path, json={"calls_per_second": "none", "live_max": 0}).status_code == 200
    assert world.rows(set_) == [(None, 0)]
    for wrong in ({"live_max": -1}, {"live_max": 1.5}, {"calls_per_second": 0}, {"calls_per_hour": 1e300}):
        refused = http.put(path, json=wrong).json()
        assert (refused["code"], refused["errors"][0]["pointer"]) == ("bad_control", f"/{next(iter(wrong))}")
        assert "number" in refused["detail"]
    assert http.put(path, json={"live_max": True}).json()["code"] == "invalid"
    assert http.put(path, json={"live_max": None}).json()["detail"].startswith("say which")


@pytest.mark.parametrize("number", ["0101", "nobody"])
@pytest.mark.parametrize("path", ["/calls?number={}", "/callees/{}", "/leads?number={}", "/exports/calls?number={}"])
def test_what_is_no_phone_number_is_refused_as_none(world: World, client: Client, path: str, number: str) -> None:
    answer = client(business_id=world.business()).get(path.format(number))

    assert (answer.status_code, answer.json()["code"]) == (422, "bad_number"), answer.text
    assert answer.json()["title"] == "That is no phone number"
    assert answer.json()["detail"].startswith("the number is not a phone number")


def test_what_is_no_region_and_no_batch_is_refused_as_that(client: Client) -> None:
    asked = {"/callees/0101?region=Israel": "bad_search", "/calls?number=1&region=Israel": "bad_search"}
    asked["/calls?batch=spring"] = "no_such_name"

    assert {path: client().get(path).json()["code"] for path in asked} == asked


@pytest.mark.parametrize(
    ("given", "zone"),
    [
        ({"region": "IL"}, "Asia/Jerusalem"),
        ({"numbers": ["+97235550006"]}, "Asia/Jerusalem"),
        ({"region": "US", "time_zone": "America/Chicago"}, "America/Chicago"),
        ({"region": "US"}, None),
        ({}, None),
    ],
)
def test_a_business_has_the_time_zone_of_its_place(
    world: World, client: Client, given: dict[str, Any], zone: str | None
) -> None:
    answer = client().post("/businesses", json={"name": "Acme", "twiml": "<Response/>", **given})

    if zone:
        assert (answer.status_code, answer.json()["time_zone"]) == (201, zone)
        assert world.value("select time_zone from business") == zone
    else:
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/time_zone")
        assert world.value("select count(*) from business") == 0


def test_a_business_without_a_time_zone_is_told_of_all_that_is_wrong(world: World, client: Client) -> None:
    refused = client().post("/businesses", json={"name": " ", "region": "US"}).json()

    assert [one["pointer"] for one in refused["errors"]][:2] == ["/time_zone", "/name"]
    assert "US has several, like America/New_York" in refused["detail"]


@pytest.mark.parametrize("path", ["/businesses", "/campaigns"])
def test_a_name_of_digits_alone_would_be_taken_for_an_id(world: World, client: Client, path: str) -> None:
    sent: dict[str, Any] = {
        "/businesses": {"time_zone": "UTC", "twiml": "<Response/>"},
        "/campaigns": {"business_id": world.business()},
    }

    refused = client().post(path, json={"name": "4", **sent[path]}).json()

    assert (refused["errors"][0]["pointer"], "taken for an id" in refused["detail"]) == ("/name", True)


def test_a_fault_of_a_field_of_several_types_points_to_the_field(world: World, client: Client) -> None:
    path = f"/control/businesses/{world.business()}/limits"

    refused = client().put(path, json={"live_max": True}).json()

    assert {one["pointer"] for one in refused["errors"]} == {"/live_max"}


def test_an_empty_key_is_refused_by_post_and_by_bulk(world: World, client: Client) -> None:
    call = {"to": "+15005550101", "business_id": world.business(), "key": ""}

    alone = client().post("/calls", json=call)
    (in_bulk,) = client().post("/calls/bulk", json={"calls": [call]}).json()["refused"]

    assert (alone.status_code, alone.json()["errors"][0]["pointer"]) == (422, "/key")
    assert alone.json()["detail"] == in_bulk["detail"]
    assert world.value("select count(*) from call_log") == 0


def test_a_fault_of_a_contact_s_field_points_to_it_whatever_its_name(world: World, client: Client) -> None:
    call = {"to": "+15005550101", "business_id": world.business(), "contact": {"int": 5}}

    assert client().post("/calls", json=call).json()["errors"][0]["pointer"] == "/contact/int"


@pytest.mark.parametrize("path", ["/calls", "/calls/bulk"])
def test_a_database_that_takes_no_writes_is_503_and_no_fault_of_the_request(
    world: World, client: Client, path: str
) -> None:
    business_id = world.business(phone="+15005550006")
    name = world.value("select current_database()")
    http = client()
    call = {"to": "+15005550101", "business_id": business_id}
    assert http.get("/calls").status_code == 200  # which notes the use of the token
    world.do(f"alter database {name} set default_transaction_read_only = on")
    db.close()
    try:
        answer = http.post(path, json={"calls": [call]} if path.endswith("bulk") else call)
    finally:
        world.do("set default_transaction_read_only = off")
        world.do(f"alter database {name} reset default_transaction_read_only")
        db.close()

    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1")
