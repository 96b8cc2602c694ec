"""Calls over HTTP: queued once, found, steered."""

import pytest

from outbound.api import calls
from tests.api.conftest import Client
from tests.conftest import World


def test_a_call_is_queued_once_for_each_key(world: World, client: Client) -> None:
    business = world.business()
    http = client(business_id=business)
    body = {"to": "+12125550101", "contact": {"name": "Dana"}}
    first = http.post("/calls", json=body, headers={"idempotency-key": "appointment-7"})
    again = http.post("/calls", json=body, headers={"idempotency-key": "appointment-7"})
    other = http.post("/calls", json=body | {"to": "+12125550102"}, headers={"idempotency-key": "appointment-7"})

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 422), other.text
    assert first.json()["created"] is True
    assert again.json() | {"created": True} == first.json()
    assert other.headers["content-type"] == "application/problem+json"
    assert [row.key for row in world.rows("select idempotency_key as key from call_log")] == ["appointment-7"]


def test_pages_of_campaigns_go_on_behind_each_other(world: World, client: Client) -> None:
    mine, other = world.business("Mine"), world.business("Other")
    for place in range(5):
        for whose in (mine, other):
            world.do("insert into campaign (business_id, name) values (%s, %s)", whose, f"c{place}")

    for http, asked in ((client(business_id=mine), {}), (client(), {"business_id": mine})):
        found, before = [], None
        while True:
            page = http.get("/campaigns", params=asked | {"limit": 2} | ({"before": before} if before else {})).json()
            found.append([one["name"] for one in page["campaigns"]])
            before = page["next"]
            if before is None:
                break
        assert found == [["c4", "c3"], ["c2", "c1"], ["c0"]]
    assert len(client().get("/campaigns").json()["campaigns"]) == 10
    for wrong in ({"limit": 0}, {"limit": 1001}, {"before": 0}, {"before": "c4"}):
        assert client().get("/campaigns", params=wrong).status_code == 422


def test_a_call_is_shown_found_and_moved(world: World, client: Client) -> None:
    business = world.business()
    http = client(business_id=business)
    call = http.post("/calls", json={"to": "+12125550101"}).json()["call_id"]

    assert http.get("/calls", params={"number": "212 555 0101", "region": "US"}).json()["calls"][0]["id"] == call
    shown = http.get(f"/calls/{call}")
    assert shown.status_code == 200, shown.text
    assert shown.json()["call"]["to_number"] == "+12125550101"
    assert http.get(f"/calls/{call}/why").json()["code"] == "no_worker"
    moved = http.post(f"/calls/{call}/reschedule", json={"at": "2032-01-05T10:00"})
    assert moved.status_code == 200, moved.text
    paused = http.post(f"/control/calls/{call}/pause", json={"reason": "wrong text"})
    assert paused.json() == {
        "scope": "call",
        "key": str(call),
        "paused": True,
        "was_paused": False,
        "claims_taken_back": 0,
    }
    assert http.post(f"/control/calls/{call}/resume").json()["was_paused"] is True
    assert http.post(f"/control/calls/{call}/cancel").json()["waiting"] == 1
    assert world.call(call).status == "canceled"
    assert world.call(call).stopped_by.startswith("token test (")


@pytest.mark.parametrize("kind", ["business", "everything", "queues"])
def test_a_scope_of_no_kind_is_answered_with_those_that_there_are(world: World, client: Client, kind: str) -> None:
    answer = client().post(f"/control/{kind}/{world.business()}/pause", json={})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.json()["detail"].startswith("a scope is businesses, campaigns, calls or numbers with ")


def test_a_list_looks_at_a_bounded_number_of_calls_and_says_where_it_goes_on(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LOOKS_MAX", 50)
    business = world.business()
    world.do(
        "insert into call_log (business_id, from_number, to_number, status, ended_at, answered_by)"
        " select %s, '+15005550006', '+1500' || (1000000 + n), 'completed', now() - n * interval '1 min',"
        " case when n = 100 then 'fax' else 'human' end from generate_series(1, 120) as n",
        business,
    )
    http = client(business_id=business)
    pages = [http.get("/calls", params={"answered_by": "fax", "limit": 5}).json()]
    while before := pages[-1]["next"]:
        pages.append(http.get("/calls", params={"answered_by": "fax", "limit": 5, "before": before}).json())

    assert [call["answered_by"] for page in pages for call in page["calls"]] == ["fax"]
    assert len(pages) > 2
    assert [page["is_cut"] for page in pages] == [True] * (len(pages) - 1) + [False]


def test_a_batch_of_more_calls_than_a_list_looks_at_is_found_whole(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LOOKS_MAX", 3)
    business = world.business()
    batch = world.value("insert into batch (business_id, name) values (%s, 'spring') returning id", business)
    world.do(
        "insert into call_log (business_id, batch_id, from_number, to_number, status, ended_at)"
        " select %s, case when n > 150 then %s::bigint end, '+15005550006', '+1500' || (1000000 + n), 'completed',"
        " now() - n * interval '1 min' from generate_series(1, 160) as n",
        business,
        batch,
    )

    found = client(business_id=business).get("/calls", params={"batch": "spring"}).json()

    assert (len(found["calls"]), found["next"], found["is_cut"]) == (10, None, False)


def test_a_preview_says_how_many_calls_wait_for_what(world: World, client: Client) -> None:
    business = world.business("Shop")
    campaign = world.value("insert into campaign (business_id, name) values (%s, 'Recall') returning id", business)
    for place in range(2):
        call_id = world.queued(business, f"+1212555010{place}")
        world.do(
            "update call_log set campaign_id = %s, due_at = now() + interval '1 hour' where id = %s", campaign, call_id
        )

    found = client().get(f"/campaigns/{campaign}/preview").json()

    assert (found["now"], found["to_dial"]) == (0, 2)
    assert found["held"]["not_due"]["calls"] == 2


def test_a_call_that_is_made_again_is_created_once(world: World, client: Client) -> None:
    call = world.queued(world.business())
    world.do("update call_log set status = 'completed', ended_at = now() where id = %s", call)
    path, http = f"/calls/{call}/retry", client()

    made = http.post(path, headers={"idempotency-key": "once more"})
    replayed = http.post(path, headers={"idempotency-key": "once more"})
    there = http.post(path)

    assert (made.status_code, made.json()["created"]) == (201, True), made.text
    assert (replayed.status_code, replayed.json()) == (201, made.json())
    assert (there.status_code, there.json()) == (200, made.json() | {"created": False, "was": "completed"})
    assert world.value("select count(*) from call_log") == 2
