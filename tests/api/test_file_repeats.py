"""Files that are sent again with the same Idempotency-Key, at once and one after the other."""

import threading
from collections.abc import Iterable
from typing import Any, NoReturn

import httpx
import psycopg
import pytest

from outbound.api import context, files
from outbound.calls import import_writer
from tests.api.conftest import Client
from tests.api.test_imports import CSV, break_off, send, shown
from tests.api.test_revoked import no_turns
from tests.conftest import World, until
from tests.digest import digest

pytestmark = pytest.mark.rows_only

KEY = {"idempotency-key": "k"}
AT_ONCE = 10
# Each operation that takes a file, with the query that it needs and a file of one line.
FILES = [
    ("/imports", {"batch": "spring"}, "to\n+12125550101\n"),
    ("/suppressions/import", {}, "phone\n+12125550101\n"),
    ("/consents/import", {"given_at": "2026-01-01T00:00Z"}, "phone\n+12125550101\n"),
    ("/registry/import", {"checked_at": "2026-01-01T00:00Z"}, "phone,listed\n+12125550101,yes\n"),
]


def whole(rows: int) -> str:
    return "to\n" + "".join(f"+1212555{1000 + row}\n" for row in range(rows))


def http_that_waits(http: httpx.Client, wait_s: float) -> httpx.Client:
    """A client with the same token that waits no longer for an answer."""
    return httpx.Client(base_url=http.base_url, headers=http.headers, timeout=wait_s)


def at_once(ask: Any) -> list[httpx.Response]:
    """The answers of AT_ONCE requests that begin together; each is sent again while another is being answered."""
    begin = threading.Barrier(AT_ONCE)
    answers: list[httpx.Response] = []

    def work() -> None:
        begin.wait()
        while (answer := ask()).status_code == 409:
            assert answer.json()["code"] == "in_progress"
        answers.append(answer)

    threads = [threading.Thread(target=work) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize("prefer", [{}, {"prefer": "respond-async"}], ids=["waits", "does not wait"])
def test_of_ten_imports_with_one_key_at_once_there_is_one(world: World, client: Client, prefer: dict[str, str]) -> None:
    http = client(business_id=world.business("Shop"))
    http.get("/token")

    answers = at_once(lambda: send(http, whole(3000), **KEY, **prefer))

    assert {one.status_code for one in answers} == {202 if prefer else 200}
    assert len({one.text for one in answers if "idempotent-replayed" in one.headers}) == 1
    assert sum("idempotent-replayed" in one.headers for one in answers) == AT_ONCE - 1
    assert len({one.headers.get("location") for one in answers}) == 1
    (only,) = http.get("/imports").json()["imports"]
    until(lambda: shown(http, only["id"])["state"] == "finished")
    assert shown(http, only["id"])["created"] == 3000
    assert world.value("select count(*) from call_log") == 3000


def test_an_import_that_is_sent_again_while_it_waits_for_its_turn_is_in_progress(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "WAIT_S", 0.1)
    http = client(business_id=world.business("Shop"))

    with no_turns(client()):
        for place in range(files.FILES_OF_ONE):
            with pytest.raises(httpx.ReadTimeout), http_that_waits(http, 0.5) as hasty:
                send(hasty, **{"idempotency-key": f"k{place}"})
        again = send(http, **{"idempotency-key": "k0"})
    until(lambda: [one["state"] for one in http.get("/imports").json()["imports"]] == ["finished"] * 2)

    assert (again.status_code, again.json()["code"]) == (409, "in_progress")


@pytest.mark.parametrize("is_here", [True, False])
def test_a_repeat_of_a_file_that_is_at_work_is_in_progress_also_where_there_is_no_room_for_it(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch, is_here: bool
) -> None:
    http = client(business_id=world.business("Shop"))
    http.get("/token")
    monkeypatch.setattr(files, "SPOOL_MAX", len(whole(2)) + 10)
    monkeypatch.setattr(context, "WAIT_MS", 50)
    answers: list[httpx.Response] = []
    first = threading.Thread(target=lambda: answers.append(send(http, whole(2), **KEY)))

    with psycopg.connect(world.url) as lock:
        lock.execute("lock table call_log in exclusive mode")
        first.start()
        until(lambda: world.value("select count(*) from pg_locks where locktype = 'advisory' and objsubid = 1"))
        if not is_here:
            context._turns.clear()  # another process knows nothing of the turns in this one
        again, other = send(http, whole(2), **KEY), send(http, whole(2), **{"idempotency-key": "other"})
    first.join()
    replayed = send(http, whole(2), **KEY)

    assert (again.status_code, again.json()["code"], again.headers["retry-after"]) == (409, "in_progress", "1")
    assert (other.status_code, other.json()["code"]) == (503, "busy")
    assert (answers[0].status_code, replayed.json()) == (200, answers[0].json())


def test_imports_of_one_batch_at_once_reach_each_telephone_once(world: World, client: Client) -> None:
    http = client(business_id=world.business("Shop"))
    http.get("/token")

    answers = at_once(lambda: send(http, whole(6000)))

    assert {one.status_code for one in answers} == {200}
    assert sum(one.json()["created"] for one in answers) == 6000
    assert {one.json()["created"] + one.json()["already_there"] for one in answers} == {6000}
    assert world.value("select count(distinct to_number) from call_log") == 6000
    assert world.value("select count(*) from call_log") == 6000


@pytest.mark.parametrize(("path", "query", "content"), FILES, ids=[path for path, _, _ in FILES])
def test_a_file_that_is_sent_again_is_answered_as_before_and_changes_nothing(
    world: World, client: Client, path: str, query: dict[str, str], content: str
) -> None:
    world.business("Shop")
    http = client()
    owner = {} if path == "/registry/import" else {"business_id": "1"}

    first = http.post(path, params=query | owner, content=content, headers=CSV | KEY)
    before = digest(world)
    again = http.post(path, params=query | owner, content=content, headers=CSV | KEY)

    assert (first.status_code, again.status_code) == (200, 200), first.text
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert digest(world) == before


@pytest.mark.parametrize(("path", "query", "content"), FILES, ids=[path for path, _, _ in FILES])
def test_another_file_with_the_same_key_is_refused_and_changes_nothing(
    world: World, client: Client, path: str, query: dict[str, str], content: str
) -> None:
    world.business("Shop")
    http = client()
    owner = {} if path == "/registry/import" else {"business_id": "1"}
    assert http.post(path, params=query | owner, content=content, headers=CSV | KEY).is_success
    before = digest(world)

    other = http.post(path, params=query | owner, content=content.replace("0101", "0102"), headers=CSV | KEY)

    assert (other.status_code, other.json()["code"]) == (422, "key_of_another")
    assert digest(world) == before


def test_an_import_whose_answer_was_refused_may_be_sent_again_with_its_key(world: World, client: Client) -> None:
    http = client(business_id=world.business("Shop"))

    refused = send(http, "name\nDana\n", **KEY)
    mended = send(http, **KEY)

    assert (refused.status_code, refused.json()["code"]) == (422, "bad_file")
    assert (mended.status_code, mended.json()["created"]) == (200, 2)


def test_a_file_that_breaks_off_leaves_its_key_to_the_whole_one(world: World, client: Client) -> None:
    http = client(business_id=world.business("Shop"))

    break_off(http, whole(2).encode()[:-3], of=1000, key="k")
    until(lambda: http.get("/imports", params={"state": "running"}).json()["imports"] == [])
    answer = send(http, whole(2), **KEY)

    assert (answer.status_code, answer.json()["created"], answer.json()["already_there"]) == (200, 1, 1)


@pytest.mark.parametrize("end", ["broken_off", "refused", "interrupted"])
def test_an_import_that_was_promised_and_got_lost_is_done_by_the_repeat(
    world: World, client: Client, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = client(business_id=world.business("Shop"))

    def breaks(self: import_writer.Writer, chunks: Iterable[import_writer.Chunk]) -> NoReturn:
        raise psycopg.OperationalError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(import_writer.Writer, "write", breaks)
        lost = send(http, whole(3), **KEY, prefer="respond-async").json()["id"]
        until(lambda: shown(http, lost)["state"] == "broken_off")
    if end == "interrupted":
        world.do("update call_import set state = 'running', seen_at = now() - interval '6 minutes'")
    else:
        world.do("update call_import set state = %s", end)
    other = send(http, whole(2), **KEY, prefer="respond-async")
    again = send(http, whole(3), **KEY, prefer="respond-async")
    once_more = send(http, whole(3), **KEY, prefer="respond-async")

    assert (other.status_code, other.json()["code"]) == (422, "key_of_another")
    assert "idempotent-replayed" not in again.headers
    assert again.json()["id"] == once_more.json()["id"] != lost
    until(lambda: shown(http, again.json()["id"])["state"] == "finished")
    assert world.value("select count(*) from call_log") == 3


def test_an_import_that_was_promised_is_found_again_also_by_one_who_waits(world: World, client: Client) -> None:
    http = client(business_id=world.business("Shop"))

    promised = send(http, **KEY, prefer="respond-async")
    again = send(http, **KEY)

    assert (promised.status_code, again.status_code) == (202, 202)
    assert again.headers["location"] == promised.headers["location"]
    assert again.json() == promised.json()
    until(lambda: shown(http, promised.json()["id"])["state"] == "finished")
    assert len(http.get("/imports").json()["imports"]) == 1
