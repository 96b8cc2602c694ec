"""What is refused is said in the language that is asked for, over real HTTP; codes and pointers stay the same."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from outbound.api import problem
from outbound.api.problem import Problem
from outbound.config import settings
from outbound.rules import control
from outbound.rules.limits import set_limits
from outbound.rules.scope import Scope
from outbound.translation import sentences
from tests.api.conftest import Client
from tests.conftest import World, forget_settings

pytestmark = pytest.mark.rows_only

HEBREW = {"accept-language": "he"}
_LETTERS = re.compile("[\u05d0-\u05ea]")
_CODE = re.compile("\u2068`(\\w+)`\u2069")


def _both(http: httpx.Client, method: str, path: str, **sent: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The problem that a request is answered with in English, and in Hebrew; they differ in nothing but the words."""
    headers = sent.pop("headers", {})
    english = http.request(method, path, headers=headers, **sent)
    hebrew = http.request(method, path, headers=headers | HEBREW, **sent)
    assert english.headers["content-language"] == "en"
    assert hebrew.headers["content-language"] == "he"
    assert english.status_code == hebrew.status_code
    said, meant = hebrew.json(), english.json()
    for name in ("type", "status", "code"):
        assert said[name] == meant[name]
    assert [(one["pointer"], one["code"]) for one in said["errors"]] == [
        (one["pointer"], one["code"]) for one in meant["errors"]
    ]
    for text in (said["title"], said["detail"], *(one["detail"] for one in said["errors"])):
        assert _LETTERS.search(text), text
    return meant, said


def test_several_faults_of_one_request_are_each_said_in_hebrew(client: Client) -> None:
    meant, said = _both(client(), "POST", "/calls", json={"to": "1", "contact": {"a": 1}, "nonesuch": True})
    assert [one["detail"] for one in said["errors"]] == [
        "נדרשים \u20683\u2069 תווים לפחות",
        "צריך להיות טקסט",
        "אין כאן שדה כזה",
    ]
    assert said["detail"] == "השדות האלה אינם תקינים: \u2068/to, /contact/a, /nonesuch\u2069"
    assert len(meant["errors"]) == 3


def test_faults_with_semicolons_of_their_own_are_said_in_hebrew_one_after_the_other(
    world: World, client: Client
) -> None:
    policy = {"business_id": world.business(), "name": "x", "steps": "busy: 5x; lala: 3m", "per_day": 5, "per_week": 1}
    campaign = {"business_id": policy["business_id"], "name": "x", "voice_url": "http://q", "machine_detection": "x"}

    for path, sent in (("/retry-policies", policy), ("/campaigns", campaign)):
        answer = client().post(path, json=sent, headers={"accept-language": "he"})

        assert answer.headers["content-language"] == "he", answer.text
        assert answer.json()["detail"] == "; ".join(one["detail"] for one in answer.json()["errors"])
        assert len(answer.json()["errors"]) >= 2


def test_what_is_wrong_with_a_call_is_said_in_hebrew_with_its_fields_readable(world: World, client: Client) -> None:
    body = {"to": "call me", "due_at": "soon", "contact": {"Name": "A", "name ": "B"}, "business_id": world.business()}
    _, said = _both(client(), "POST", "/calls", json=body)

    assert (said["status"], said["code"]) == (422, "bad_call")
    assert [one["pointer"] for one in said["errors"]] == ["/to", "/due_at", "/contact"]
    assert [_CODE.findall(one["detail"]) for one in said["errors"]] == [["to"], ["due_at"], []]
    assert "\u2068+97231234567\u2069" in said["errors"][0]["detail"]
    assert said["detail"] == said["errors"][0]["detail"]


def test_a_request_that_cannot_be_read_is_refused_in_hebrew(client: Client) -> None:
    sent = {"content": b'{"to": 1,}', "headers": {"content-type": "application/json"}}
    meant, said = _both(client(), "POST", "/calls", **sent)
    assert meant["code"] == "unreadable"
    assert said["detail"].startswith("גוף הבקשה אינו JSON שאפשר לקרוא כאן: ")
    assert said["title"] == "אי אפשר לקרוא את הבקשה"
    _, said = _both(client(), "POST", "/calls", content=b" " * 70_000, headers={"content-type": "application/json"})
    assert (said["status"], said["detail"]) == (
        413,
        "גוף בקשה יכול להכיל עד \u206865536\u2069 בתים: יש לשלוח פחות בבקשה אחת, למשל פחות שיחות",
    )
    _, said = _both(client(), "POST", "/calls", content=b"{}", headers={"content-type": "text/plain"})
    assert said["detail"] == "יש לשלוח את גוף הבקשה כ־\u2068`application/json`\u2069"


def test_who_is_not_let_in_reads_so_in_hebrew(client: Client, api_url: str) -> None:
    with httpx.Client(base_url=f"{api_url}/v1") as nobody:
        _, said = _both(nobody, "GET", "/calls")
        assert (said["code"], said["detail"]) == ("no_token", "יש לשלוח \u2068`Authorization: Bearer outb_…`\u2069")
        _, said = _both(nobody, "GET", "/calls", headers={"authorization": "Bearer outb_none"})
        assert said["code"] == "bad_token"
    _, said = _both(client("leads:read"), "GET", "/calls")
    assert (said["status"], said["code"]) == (403, "scope_missing")
    assert "\u2068`calls:read`\u2069" in said["detail"]


def test_what_is_not_there_and_what_the_state_forbids_is_said_in_hebrew(world: World, client: Client) -> None:
    http = client()
    for method, path, status in (
        ("GET", "/calls/812", 404),
        ("GET", "/nothing", 404),
        ("DELETE", "/calls", 405),
        ("GET", "/calls?limit=x", 422),
        ("GET", "/calls?limit=5&limit=6", 422),
        ("GET", "/calls?odd=1", 422),
        ("GET", "/calls?since=2026-11-24&until=2026-11-23", 422),
        ("GET", "/events?after=never", 422),
        ("GET", "/events?after=999999999-1", 409),
    ):
        _, said = _both(http, method, path)
        assert said["status"] == status, path


def test_a_token_that_sends_too_much_reads_so_in_hebrew(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    http = client("calls:read")
    monkeypatch.setenv("OUTBOUND_API_RATE", "1")
    forget_settings()
    assert settings().api_rate == 1
    refused = [http.get("/token", headers=HEBREW) for _ in range(4)][-1]
    assert (refused.status_code, refused.headers["content-language"]) == (429, "he")
    assert refused.json()["detail"] == "לכל היותר \u20681\u2069 בקשות בשנייה: יש לנסות שוב בעוד שנייה"


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("he", "he"),
        ("he-IL, en;q=0.9", "he"),
        ("iw", "he"),
        ("he;q=0.1, en", "en"),
        ("he;q=0", "en"),
        ("fr", "en"),
        ("", "en"),
        ("*", "en"),
    ],
)
def test_the_sentence_is_in_the_language_with_the_largest_weight(client: Client, asked: str, language: str) -> None:
    answer = client("calls:read").get("/calls/812", headers={"accept-language": asked})
    assert answer.headers["content-language"] == language
    assert bool(_LETTERS.search(answer.json()["detail"])) is (language == "he")


def test_a_sentence_without_a_text_stays_english_and_the_header_says_so() -> None:
    answer = problem.response(Problem(409, "nobody has a text for this"), "he")
    body = json.loads(bytes(answer.body))
    assert answer.headers["content-language"] == "he, en"
    assert body["detail"] == "nobody has a text for this"
    assert body["title"] == "המצב הנוכחי אינו מאפשר זאת"


def test_a_number_of_a_contact_that_is_none_is_refused_in_hebrew(client: Client) -> None:
    """Half of it was English, and Content-Language said that it was Hebrew."""
    _, said = _both(client(), "POST", "/suppressions", json={"phone": "123", "everybody": True})

    assert said["detail"].startswith("\u2068`phone`\u2069 אינו מספר טלפון")


def test_an_answer_says_in_which_language_it_refuses(world: World, client: Client) -> None:
    http, body = client(), {"calls": [{"to": "call me", "business_id": world.business()}]}
    refused = http.post("/calls/bulk", json=body, headers=HEBREW).headers
    taken = http.post(
        "/calls/bulk", json={"calls": [body["calls"][0] | {"to": "+12125550101"}]}, headers=HEBREW
    ).headers
    missing = http.get("/calls/812").headers

    assert (refused["content-language"], refused["vary"]) == ("he", "accept-language")
    assert "content-language" not in taken
    assert (missing["content-language"], missing["vary"]) == ("en", "accept-language")


def test_each_call_of_a_list_that_is_refused_says_why_in_hebrew(world: World, client: Client) -> None:
    body = {"calls": [{"to": "call me", "due_at": "soon", "business_id": world.business()}]}
    (refused,) = client().post("/calls/bulk", json=body, headers=HEBREW).json()["refused"]
    assert (refused["place"], refused["code"]) == (0, "bad_call")
    number, moment = refused["detail"].split("; ")
    assert number.startswith("\u2068`to`\u2069 אינו מספר טלפון: יש לכתוב אותו כמו \u2068+97231234567\u2069")
    assert moment == "\u2068`due_at`\u2069 אינו תאריך ושעה: יש לכתוב כמו \u20682026-11-30T09:00\u2069"


def test_a_call_of_a_list_that_does_not_fit_the_document_is_refused_in_hebrew_whole(
    world: World, client: Client
) -> None:
    answer = client().post("/calls/bulk", json={"calls": [{"business_id": world.business()}]}, headers=HEBREW)

    (refused,) = answer.json()["refused"]
    assert (answer.headers["content-language"], "שדה חובה" in refused["detail"]) == ("he", True)


def test_a_repeat_is_the_answer_that_was_given_in_its_language(world: World, client: Client) -> None:
    http, key = client(), {"idempotency-key": "once"}
    body = {"calls": [{"to": "call me", "business_id": world.business()}]}
    english = http.post("/calls/bulk", json=body, headers=key)
    again = http.post("/calls/bulk", json=body, headers=key | HEBREW)
    assert (again.headers["idempotent-replayed"], again.headers["content-language"]) == ("true", "en")
    assert again.json() == english.json()
    assert "is not a phone number" in again.json()["refused"][0]["detail"]

    (first, second) = (http.post("/calls/bulk", json=body, headers={"idempotency-key": "2"} | HEBREW) for _ in "12")
    assert [one.headers["content-language"] for one in (first, second)] == ["he", "he"]


def test_the_lines_of_a_file_that_are_refused_say_why_in_hebrew(world: World, client: Client) -> None:
    http, business_id = client(), world.business()
    lines = "to\n+972545550198\ncall me\n"
    query = {"batch": "a", "business_id": str(business_id)}
    report = http.post("/imports", params=query, content=lines, headers=HEBREW | {"content-type": "text/csv"}).json()
    (line,) = report["refused_lines"]
    assert line["line"] == 3
    assert line["reason"].startswith("\u2068`to`\u2069 אינו מספר טלפון: יש לכתוב אותו כמו \u2068+97231234567\u2069")
    place = f"/imports/{report['import_id']}"
    assert http.get(place, headers=HEBREW).json()["refused_lines"] == [line]
    assert "is not a phone number" in http.get(place).json()["refused_lines"][0]["reason"]


def test_no_catalogue_is_loaded_before_hebrew_is_asked_for(client: Client) -> None:
    sentences.catalogue.cache_clear()
    sentences._index.cache_clear()
    http = client("calls:read")
    assert http.get("/calls").status_code == 200
    assert http.get("/calls", headers=HEBREW).status_code == 200
    assert http.get("/calls/812").status_code == 404
    assert sentences.catalogue.cache_info().currsize == 0
    assert http.get("/calls/812", headers=HEBREW).status_code == 404
    assert sentences.catalogue.cache_info().currsize == 1


def test_why_a_call_waits_and_how_one_ended_is_said_in_hebrew(world: World, client: Client) -> None:
    http, business = client(), world.business()
    waits, ended = world.queued(business, "+12125550101"), world.queued(business, "+12125550102")
    control.pause(Scope("business", str(business)), reason="lunch", actor="Dana")
    world.do("update call_log set status = 'completed', ended_at = now(), duration_s = 3 where id = %s", ended)

    meant, said = (http.get(f"/calls/{waits}/why", headers=asked) for asked in ({}, HEBREW))
    shown, over = (http.get(f"/calls/{one}", headers=HEBREW) for one in (waits, ended))

    assert meant.headers["content-language"] == "en"
    assert (said.headers["content-language"], said.headers["vary"]) == ("he", "accept-language")
    assert said.json() | {"sentence": ""} == meant.json() | {"sentence": ""}
    assert "\u2068Dana\u2069: \u2068lunch\u2069. לחידוש: " in said.json()["sentence"]
    assert f"\u2068`POST /v1/control/businesses/{business}/resume`\u2069" in said.json()["sentence"]
    assert shown.json()["why"] == said.json()["sentence"]
    assert over.json()["hung_up"] == over.json()["ending"]["sentence"]
    assert over.json()["ending"]["sentence"].startswith("הנמען ניתק")
    assert over.json()["ending"]["code"] == "far_end"


def test_the_end_of_a_call_that_failed_keeps_its_code_and_what_the_carrier_said(world: World, client: Client) -> None:
    http, business = client(), world.business()
    own, other = world.queued(business, "+12125550101"), world.queued(business, "+12125550102")
    fail = "update call_log set status = 'failed', ended_at = now(), error_code = %s, error_message = %s where id = %s"
    world.do(fail, "suppressed", "The number is on a do-not-call list.", own)
    world.do(fail, "21211", "Nobody has written this.", other)

    ours, theirs = (http.get(f"/calls/{one}", headers=HEBREW) for one in (own, other))

    assert ours.json()["ending"]["sentence"] == "suppressed: המספר ברשימת ״לא להתקשר״."
    assert ours.headers["content-language"] == "he"
    assert theirs.json()["ending"]["sentence"] == "21211: Nobody has written this."
    assert theirs.headers["content-language"] == "he, en"


def test_a_preview_and_the_situation_are_said_in_hebrew(world: World, client: Client) -> None:
    business = world.business()
    campaign = world.value("insert into campaign (business_id, name) values (%s, 'Spring') returning id", business)
    call = world.queued(business, "+12125550101")
    world.do("update call_log set campaign_id = %s, due_at = now() + interval '1 day' where id = %s", campaign, call)
    control.pause(Scope("campaign", str(campaign)), reason=None, actor="Dana")
    set_limits(Scope("campaign", str(campaign)), live_max="2", actor="Dana")
    paths = (f"/campaigns/{campaign}/preview", "/status")

    for http in (client(), client(business_id=business)):
        for path in paths:
            meant, said = (http.get(path, headers=asked) for asked in ({}, HEBREW))
            english, hebrew = (list(_sentences_of(one.json())) for one in (meant, said))
            assert (meant.headers["content-language"], said.headers["content-language"]) == ("en", "he")
            assert len(english) == len(hebrew) > 0
            assert not any(map(_LETTERS.search, english))
            assert all(map(_LETTERS.search, hebrew))


def _sentences_of(answer: dict[str, Any]) -> Iterator[str]:
    """The sentences of a preview, or of the situation."""
    if isinstance(answer["now"], list):
        yield from (fact["sentence"] for fact in answer["now"])
    yield from (part["sentence"] for name in ("held", "refused") for part in answer.get(name, {}).values())
    yield from (text for text in (answer.get("limited_by"), answer.get("call_s_from")) if text)
    yield from answer.get("stopped_by", ())


def test_why_a_number_may_not_be_called_is_said_in_hebrew_without_the_operator_s_reason(
    world: World, client: Client
) -> None:
    business = world.business()
    world.do("insert into destination (place, allowed, reason) values ('GB', false, 'secret')")
    http, asked = client(business_id=business), {"number": "+442079460000"}

    said = http.get("/destinations/check", params=asked, headers=HEBREW)
    known = http.get("/callees/+442079460000", headers=HEBREW).json()["destination"]
    fine = http.get("/destinations/check", params={"number": "+12125550101"}, headers=HEBREW)

    assert said.json()["sentence"].startswith("שיחות אל \u2068GB\u2069 אסורות על ")
    assert "secret" not in said.text
    assert said.headers["content-language"] == "he"
    assert known["sentence"] == said.json()["sentence"]
    assert (fine.json()["sentence"], "content-language" in fine.headers) == (None, False)
