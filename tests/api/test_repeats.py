"""Requests with one Idempotency-Key at the same time, of operations that commit in parts."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from outbound.api import context
from outbound.rules import api_token, control
from tests.api import test_killed as killed
from tests.api.conftest import Client
from tests.conftest import World, until

pytestmark = pytest.mark.rows_only

KEY = {"idempotency-key": "k"}
WAITING = """
select count(*) from pg_locks
 where not granted and pid in (select pid from pg_stat_activity where datname = current_database())
"""
ADVISORY = """
select count(*) from pg_locks
 where locktype = 'advisory' and pid in (select pid from pg_stat_activity where datname = current_database())
"""
AT_ONCE = 20
serving = killed.serving


def waiting_calls(world: World, count: int) -> tuple[int, int]:
    """A campaign of *count* calls that wait, and its business."""
    business = world.business()
    campaign = world.value("insert into campaign (business_id, name) values (%s, 'Spring') returning id", business)
    world.do(
        "insert into call_log (business_id, campaign_id, from_number, to_number, status)"
        " select %s, %s, '+12125550700', '+1212555' || 1000 + place, 'queued' from generate_series(1, %s) as place",
        business,
        campaign,
        count,
    )
    return campaign, business


def cancels(campaign: int) -> list[tuple[str, dict[str, Any]]]:
    """Each operation that commits in parts, as the document has it: a test holds them to the source."""
    return [
        ("/calls/cancel", {"campaign_id": campaign, "status": ["queued"]}),
        (f"/control/campaigns/{campaign}/cancel", {"reason": "wrong text"}),
    ]


def test_these_are_the_operations_that_commit_in_parts() -> None:
    """All besides files, of which test_file_repeats is."""
    sources = [one for one in Path(context.__file__).parent.glob("*.py") if one.name != "files.py"]

    assert sum(source.read_text().count("in_parts=True") for source in sources) == len(cancels(1))


@pytest.mark.parametrize("place", range(2))
def test_of_twenty_cancels_with_one_key_at_once_one_works_and_all_are_answered_alike(
    world: World, client: Client, place: int
) -> None:
    campaign, business = waiting_calls(world, 3000)
    path, body = cancels(campaign)[place]
    http = client(business_id=business)
    http.get("/token")
    begin = threading.Barrier(AT_ONCE)
    answers: list[httpx.Response] = []

    def send() -> None:
        begin.wait()
        while True:
            answer = http.post(path, json=body, headers=KEY)
            if answer.status_code != 409:
                answers.append(answer)
                return
            assert (answer.json()["code"], answer.headers["retry-after"]) == ("in_progress", "1")

    threads = [threading.Thread(target=send) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [one.status_code for one in answers] == [200] * AT_ONCE
    assert {one.json()["waiting"] for one in answers} == {3000}
    assert sum("idempotent-replayed" in one.headers for one in answers) == AT_ONCE - 1
    assert world.value("select count(*) from audit where action like 'cancel%%'") == 1


def locked(world: World, statement: str) -> psycopg.Connection[Any]:
    """A session of another process that has the key of the one token there is, by a statement of ours."""
    other = psycopg.connect(world.url, options="-c lock_timeout=1s")
    token = other.execute("select max(id) from api_token").fetchone()
    assert token is not None
    given = {"token_id": token[0], "key": "k", "body_sha256": b"\0" * 32}
    other.execute(getattr(context.sql, statement).sql.encode(), given)
    return other


@pytest.mark.parametrize("place", range(2))
@pytest.mark.parametrize("statement", ["try_lock_key", "begin_request"])
def test_a_key_that_another_process_is_at_is_in_progress_until_that_one_ends(
    world: World, client: Client, place: int, statement: str
) -> None:
    campaign, business = waiting_calls(world, 3)
    path, body = cancels(campaign)[place]
    http = client(business_id=business)
    http.get("/token")
    other = locked(world, statement)

    held = http.post(path, json=body, headers=KEY)
    left = world.statuses()
    other.close()  # as by kill -9: nothing was given back, nothing committed
    until(lambda: http.post(path, json=body, headers=KEY).status_code == 200)

    assert (held.status_code, held.json()["code"], held.headers["retry-after"]) == (409, "in_progress", "1")
    assert left == ["queued"] * 3
    assert world.statuses() == ["canceled"] * 3


def test_an_operation_of_one_commit_waits_for_a_key_that_is_at_work_in_parts(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "WAIT_MS", 50)
    business = world.business()
    http = client(business_id=business)
    http.get("/token")

    with locked(world, "try_lock_key"):
        held = http.post("/campaigns", json={"name": "Spring"}, headers=KEY)
    until(lambda: http.post("/campaigns", json={"name": "Spring"}, headers=KEY).status_code == 201)

    assert (held.status_code, held.json()["code"]) == (409, "in_progress")
    assert world.value("select count(*) from campaign") == 1


def test_a_request_of_this_process_that_waits_too_long_is_told_to_come_again(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "WAIT_MS", 50)
    campaign, business = waiting_calls(world, 1)
    path, body = cancels(campaign)[0]
    http = client(business_id=business)
    http.get("/token")
    answers: list[httpx.Response] = []
    first = threading.Thread(target=lambda: answers.append(http.post(path, json=body, headers=KEY)))

    with psycopg.connect(world.url) as holder:
        holder.execute("select from call_log for update")
        first.start()
        until(lambda: world.value(WAITING))
        held = http.post(path, json=body, headers=KEY)
    first.join()
    again = http.post(path, json=body, headers=KEY)

    assert (held.status_code, held.json()["code"], held.headers["retry-after"]) == (409, "in_progress", "1")
    assert again.json() == answers[0].json()
    assert again.json()["waiting"] == 1


@pytest.mark.parametrize("place", range(2))
def test_a_key_is_given_back_where_the_work_is_refused(world: World, client: Client, place: int) -> None:
    campaign, business = waiting_calls(world, 2)
    path, body = cancels(campaign)[place]
    http = client(business_id=business)

    refused = http.post(path, json=body | {"reason": "two\nlines"}, headers=KEY)
    locks = world.value(ADVISORY)
    answer = http.post(path, json=body, headers=KEY)

    assert refused.status_code == 422
    assert locks == 0
    assert (answer.status_code, answer.json()["waiting"]) == (200, 2)


@pytest.mark.parametrize("place", range(2))
def test_a_key_of_another_request_is_refused_before_any_work(world: World, client: Client, place: int) -> None:
    campaign, business = waiting_calls(world, 2)
    path, body = cancels(campaign)[place]
    http = client(business_id=business)
    assert http.post("/suppressions", json={"phone": "+12125559999"}, headers=KEY).is_success

    answer = http.post(path, json=body, headers=KEY)

    assert (answer.status_code, answer.json()["code"]) == (422, "key_of_another")
    assert world.statuses() == ["queued"] * 2


def test_a_repeat_goes_on_where_a_process_was_killed_between_two_parts(
    world: World, serving: killed.Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign, _ = waiting_calls(world, 3)
    token = api_token.add("test", scopes=api_token.SCOPES, actor="test").token
    serving.process.kill()
    serving.process.join()
    monkeypatch.setattr(control, "_BATCH", 1)
    serving.start()  # a fork, which has the small batch
    serving.http.headers["authorization"] = f"Bearer {token}"
    path, body = cancels(campaign)[1]

    def send() -> httpx.Response:
        return serving.http.post(f"/v1{path}", json=body, headers=KEY)

    def is_cut_off() -> None:
        with pytest.raises(httpx.HTTPError):
            send()

    first = threading.Thread(target=is_cut_off)
    with psycopg.connect(world.url) as holder:
        holder.execute("select from call_log where id = (select max(id) from call_log) for update")
        first.start()
        until(lambda: world.statuses().count("canceled") == 2)
        until(lambda: world.value(WAITING))
        os.kill(serving.process.pid or 0, signal.SIGKILL)
        serving.process.join()
        first.join()
    serving.start()
    until(lambda: send().status_code == 200)
    again = send()

    assert world.statuses() == ["canceled"] * 3
    assert (again.json()["waiting"], again.headers["idempotent-replayed"]) == (1, "true")
    assert world.value("select count(*) from dial_control where hold_until is not null") == 0
