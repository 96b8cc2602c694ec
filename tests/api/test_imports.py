"""How far an import over HTTP has come, what it refused, and what is left of one that breaks off."""

import json
import socket
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from outbound.api import context, files, json_body
from outbound.calls import import_record, import_writer, retention
from tests import forked
from tests.api.conftest import Client
from tests.api.test_revoked import half_sent, no_turns
from tests.calls.test_import_twice import workbook
from tests.conftest import World, until
from tests.digest import digest

pytestmark = pytest.mark.rows_only

CSV = {"content-type": "text/csv"}
GOOD = "to\n+12125550101\n+12125550102\nabc\n+12125550101\n"


def send(http: httpx.Client, content: str = GOOD, **headers: str) -> httpx.Response:
    return http.post("/imports", params={"batch": "spring"}, content=content, headers=CSV | headers)


def shown(http: httpx.Client, import_id: int) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"/imports/{import_id}").json()
    return found


def counts(found: dict[str, Any]) -> list[int]:
    return [found[name] for name in ("created", "already_there", "duplicates", "refused")]


def test_an_import_says_what_came_of_it_and_gives_its_refused_lines_back(world: World, client: Client) -> None:
    http = client(business_id=world.business("Shop"))
    report = send(http).json()

    found = shown(http, report["import_id"])
    rejected = http.get(f"/imports/{report['import_id']}/rejected")
    sheet = http.get(f"/imports/{report['import_id']}/rejected", headers={"accept": "text/csv"})

    assert (found["state"], found["received_bytes"], found["reason"]) == ("finished", len(GOOD), None)
    assert counts(found) == counts(report) == [2, 0, 1, 1]
    assert [line["line"] for line in found["refused_lines"]] == [4]
    assert rejected.json() == found["refused_lines"][0]
    assert sheet.text.splitlines()[0] == "line,reason"
    assert found["started_at"] < found["finished_at"]
    assert found["created_by"].startswith("token test (")
    assert world.value("select count(*) from call_log where created_by = %s", found["created_by"]) == 2


def test_one_who_does_not_wait_is_told_where_the_import_is_found(world: World, client: Client) -> None:
    http = client(business_id=world.business("Shop"))

    answer = send(http, prefer="respond-async")

    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
    assert answer.headers["location"] == f"/v1/imports/{answer.json()['id']}"
    until(lambda: shown(http, answer.json()["id"])["state"] == "finished")
    assert counts(shown(http, answer.json()["id"])) == [2, 0, 1, 1]


def test_an_import_that_was_promised_shows_all_that_its_report_would_have_said(world: World, client: Client) -> None:
    """Before, who had got a 202 never learned how dates were read, or how many of its calls were done already."""
    http = client(business_id=world.business("Shop"))
    world.do("update business set default_region = 'US', time_zone = 'America/New_York'")
    year = datetime.now(UTC).year
    lines = [
        {"to": "+12125550101", "at": f"03/04/{year - 1} 10:00", "name": "Dana"},
        {"to": "+12125550102", "at": f"05/04/{year - 1} 10:00", "name": "Avi"},
        {"to": "+12125550102", "at": f"05/04/{year - 1} 10:00", "name": "Avi"},
    ]
    content = "\n\n".join(map(json.dumps, lines))
    asked: dict[str, Any] = {"params": {"batch": "spring"}, "content": content, "headers": _JSON_LINES}
    first = http.post("/imports", **asked).json()
    world.do("update call_log set status = 'completed', ended_at = now()")

    report = http.post("/imports", **asked).json()
    promised = http.post("/imports", **asked | {"headers": _JSON_LINES | {"prefer": "respond-async"}}).json()
    until(lambda: shown(http, promised["id"])["state"] == "finished")
    found, before = shown(http, promised["id"]), shown(http, first["import_id"])

    assert [promised[name] for name in import_record.REPORTED] == [None] * 5
    assert {name: found[name] for name in import_record.REPORTED} == {
        name: report[name] for name in import_record.REPORTED
    }
    assert {name: before[name] for name in import_record.REPORTED} == {
        name: first[name] for name in import_record.REPORTED
    }
    assert (before["overdue"], found["there"]["done"], found["fields"]) == (3, 2, ["name"])
    assert [one["line"] for one in found["remarks"]] == [5]
    assert "dates are read" in found["dates"][0]


@pytest.mark.parametrize("headers", [{}, {"prefer": "respond-async"}])
def test_a_file_that_is_refused_leaves_an_import_only_where_one_was_promised(
    world: World, client: Client, headers: dict[str, str]
) -> None:
    http = client(business_id=world.business("Shop"))
    http.get("/token")
    before = digest(world)

    answer = send(http, "name\nDana\n", **headers)

    if not headers:
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_file")
        assert digest(world) == before
        return
    assert answer.status_code == 202
    until(lambda: shown(http, answer.json()["id"])["state"] == "refused")
    assert shown(http, answer.json()["id"])["reason"]
    assert shown(http, answer.json()["id"])["received_bytes"] == len("name\nDana\n")
    assert world.value("select count(*) from call_log") == 0


def test_a_file_that_is_only_tried_is_no_import(world: World, client: Client) -> None:
    http = client(business_id=world.business("Shop"))
    http.get("/token")
    before = digest(world)

    answer = http.post("/imports", params={"batch": "b", "dry_run": True}, content=GOOD, headers=CSV)

    assert (answer.status_code, answer.json()["import_id"], answer.json()["created"]) == (200, None, 2)
    assert digest(world) == before


@pytest.mark.parametrize("batch", ["a\0b", "a\u202eb", " "])
def test_a_batch_whose_name_cannot_be_is_refused_before_the_file_is_read(
    world: World, client: Client, batch: str
) -> None:
    http = client(business_id=world.business("Shop"))

    answer = http.post("/imports", params={"batch": batch}, content=GOOD, headers=CSV)

    assert (answer.status_code, answer.json()["code"]) == (422, "bad_file")
    assert "name of the batch" in answer.json()["detail"]
    assert http.get("/imports").json()["imports"] == []


def test_a_file_that_is_announced_as_too_large_is_refused_before_it_comes(world: World, client: Client) -> None:
    http = client(business_id=world.business("Shop"))
    where = urlsplit(str(http.base_url))
    head = (
        "POST /v1/imports?batch=spring HTTP/1.1\r\nhost: x\r\ncontent-type: text/csv\r\nexpect: 100-continue\r\n"
        f"authorization: {http.headers['authorization']}\r\ncontent-length: {files.FILE_MAX + 1}\r\n\r\n"
    )

    with socket.create_connection((where.hostname or "", where.port or 80), timeout=30) as line:
        line.sendall(head.encode())
        answer = line.recv(4096)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert http.get("/imports").json()["imports"] == []


@contextmanager
def half_files(http: httpx.Client, count: int, begun: bytes = b"to\n", of: int = 1000) -> Iterator[list[socket.socket]]:
    """So many files of which the beginning has come, and the rest does not."""
    where = urlsplit(str(http.base_url))
    head = (
        "POST /v1/imports?batch=spring HTTP/1.1\r\nhost: x\r\ncontent-type: text/csv\r\n"
        f"content-length: {of}\r\nauthorization: {http.headers['authorization']}\r\n\r\n"
    )
    with ExitStack() as open_lines:
        lines = []
        for _ in range(count):
            line = socket.create_connection((where.hostname or "", where.port or 80), timeout=60)
            lines.append(open_lines.enter_context(line))
            line.sendall(head.encode() + begun)
        until(lambda: len(http.get("/imports", params={"state": "running"}).json()["imports"]) == count)
        yield lines


def answered(line: socket.socket, drip: bytes) -> bytes:
    """What is answered to a file of which this comes now and then."""
    line.settimeout(0.05)
    while True:
        with suppress(TimeoutError):
            return line.recv(65_536)
        line.sendall(drip)


def test_files_that_come_slowly_hold_up_nobody_elses(world: World, client: Client) -> None:
    with ExitStack() as open_files:
        for place in range(3):
            slow = client(business_id=world.business(f"Shop {place}", f"+1212555017{place}"))
            open_files.enter_context(half_files(slow, files.FILES_OF_ONE))
        other = client(business_id=world.business("Bank", "+12125550199"))

        assert other.post("/imports", params={"batch": "b"}, content=GOOD, headers=CSV, timeout=60).status_code == 200


def test_a_file_that_finds_no_place_is_refused_soon_and_is_no_import(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "WAIT_S", 0.1)
    http = client(business_id=world.business("Shop"))

    with half_files(http, files.FILES_OF_ONE):
        answer = send(http)

        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "busy", "30")
        assert len(http.get("/imports").json()["imports"]) == files.FILES_OF_ONE


def test_a_file_for_which_the_disk_has_no_room_is_refused_and_another_is_taken_once_there_is(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SPOOL_MAX", len(GOOD) + 10)
    http = client(business_id=world.business("Shop"))

    refused = send(http, GOOD + "+12125550103\n")
    taken = [send(http).status_code for _ in range(2)]

    assert (refused.status_code, refused.json()["code"], taken) == (503, "busy", [200, 200])


def test_a_file_that_has_come_holds_no_place_while_it_waits_for_its_turn(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "WAIT_S", 0.1)
    http = client(business_id=world.business("Shop"))

    with no_turns(client()):
        answers = [send(http, prefer="respond-async") for _ in range(files.FILES_OF_ONE + 1)]

    assert [one.status_code for one in answers] == [202] * len(answers)
    until(lambda: {one["state"] for one in http.get("/imports").json()["imports"]} == {"finished"})


def test_files_that_are_announced_and_come_slowly_take_no_room_from_others(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SPOOL_MAX", 1000)
    monkeypatch.setattr(files, "SPOOL_OF_ONE", 500)

    with ExitStack() as open_files:
        for place in range(2):
            slow = client(business_id=world.business(f"Shop {place}", f"+1212555017{place}"))
            open_files.enter_context(half_files(slow, 1, of=500))
        other = client(business_id=world.business("Bank", "+12125550199"))

        assert send(other).status_code == 200


def test_a_file_for_which_there_is_no_room_any_more_is_refused_in_its_middle_and_is_no_import(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SPOOL_MAX", 1500)
    http, other = client(business_id=world.business("Shop")), client(business_id=world.business("Bank", "+12125550199"))

    with half_files(http, 1) as (line,), half_files(other, 1, b"to\n" + b"\n" * 600):
        until(lambda: files._Spool._held.total() > 600)
        line.sendall(b"\n" * 950)
        answer = line.recv(65_536)

        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 30\r\n" in answer
        assert b'"code":"busy"' in answer
        assert http.get("/imports").json()["imports"] == []
    until(lambda: send(http).status_code == 200)


def test_no_room_is_said_at_the_start_and_a_file_that_has_come_keeps_its_own(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SPOOL_MAX", 1000)
    http, other = client(business_id=world.business("Shop")), client(business_id=world.business("Bank", "+12125550199"))

    with half_files(http, 1, b"to\n+12125550101\n" + b"\n" * 980) as (line,):
        until(lambda: files._Spool._held.total() > 990)
        refused = send(other)
        line.sendall(b"\n" * (1000 - 980 - len("to\n+12125550101\n")))
        answer = line.recv(65_536)

    assert (refused.status_code, refused.json()["code"], refused.json()["detail"][:9]) == (503, "busy", "the files")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert (other.get("/imports").json()["imports"], send(other).status_code) == ([], 200)


def test_the_files_of_one_business_take_a_part_of_the_room(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SPOOL_OF_ONE", 1000)
    http, other = client(business_id=world.business("Shop")), client(business_id=world.business("Bank", "+12125550199"))

    with half_files(http, 1, b"to\n" + b"\n" * 990):
        until(lambda: files._Spool._held.total() > 990)
        assert (send(http).status_code, send(other).status_code) == (503, 200)
    until(lambda: send(http).status_code == 200)  # the connection broke off, which frees what had come


def test_lines_of_json_take_room_until_the_table_is_made(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(f'{{"to": "+121255501{place}"}}\n' for place in range(10, 20))
    table = len("to\r\n") + 10 * len("+12125550110\r\n")
    monkeypatch.setattr(files, "SPOOL_MAX", table + 2 * len(lines))
    http = client(business_id=world.business("Shop"))

    def send_lines() -> int:
        asked = {"params": {"batch": "b"}, "headers": _JSON_LINES | {"prefer": "respond-async"}}
        return http.post("/imports", content=lines, **asked).status_code  # type: ignore[arg-type]

    with psycopg.connect(world.url) as lock:
        lock.execute("lock table call_log in exclusive mode")
        assert [send_lines(), send_lines(), send_lines()] == [202, 202, 503]
    until(lambda: {one["state"] for one in http.get("/imports").json()["imports"]} == {"finished"})


def test_a_report_says_how_dates_were_read(world: World, client: Client) -> None:
    business_id = world.business("Shop")
    world.do("update business set default_region = 'US', time_zone = 'America/New_York'")
    line = '{"to": "+12125550101", "at": "1/12/2032 10:00"}'

    report = client(business_id=business_id).post(
        "/imports", params={"batch": "b"}, content=f"\n{line}\n", headers=_JSON_LINES
    )

    assert report.json()["dates"] == [
        "dates are read month first, as in US: 1/12/2032 10:00 is Mon 2032-01-12 10:00 America/New_York"
    ]
    assert report.json()["remarks"] == []


def test_a_file_of_which_nothing_was_queued_says_its_batch(world: World, client: Client) -> None:
    http = client(business_id=world.business("Shop"))
    report = http.post("/imports", params={"batch": "b"}, content="to\nnobody\n", headers=CSV).json()

    assert (report["created"], report["refused"], report["batch"]) == (0, 1, "b")
    assert world.value("select details ->> 'batch' from audit where action = 'import_calls'") == "b"


def test_a_table_that_is_larger_than_its_lines_of_json_takes_no_more_room_than_there_is(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = client(business_id=world.business("Shop"))
    names = ", ".join(f'"c{place}": "x"' for place in range(45))
    lines = f'{{"to": "+12125550101", {names}}}\n' + '{"to": "+12125550102"}\n' * 500
    monkeypatch.setattr(files, "SPOOL_OF_ONE", 2 * len(lines))

    refused = http.post("/imports", params={"batch": "b"}, content=lines, headers=_JSON_LINES)

    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert http.get("/imports").json()["imports"] == []
    assert not files._Spool._held


def test_an_import_that_waits_for_its_turn_is_not_interrupted(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ALIVE_S", 0.05)
    http = client(business_id=world.business("Shop"))

    with no_turns(client()):
        import_id = send(http, prefer="respond-async").json()["id"]
        world.do("update call_import set seen_at = now() - interval '1 h'")
        until(lambda: shown(http, import_id)["state"] == "running")
    until(lambda: shown(http, import_id)["state"] == "finished")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SILENT_S", 0.2, b"nothing of the body came for 0.2 seconds: send it again"),
        ("GRACE_S", 0.1, b"the body comes at less than 1024 bytes a second"),
    ],
)
def test_a_file_that_comes_too_slowly_gives_its_place_to_another(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch, name: str, value: float, says: bytes
) -> None:
    http = client(business_id=world.business("Shop"))
    monkeypatch.setattr(json_body, name, value)

    with half_files(http, 1) as (line,):
        answer = answered(line, b"\n" if name == "GRACE_S" else b"")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert says in answer
    assert http.post("/imports", params={"batch": "b"}, content=GOOD, headers=CSV).status_code == 200
    assert [one["state"] for one in http.get("/imports").json()["imports"]] == ["finished"]


def test_a_file_that_began_fast_and_comes_slowly_by_now_is_refused(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_body, "GRACE_S", 0.1)
    http = client(business_id=world.business("Shop"))

    with half_files(http, 1, b"\n" * 100_000, of=100_100) as (line,):
        answer = answered(line, b"\n")

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_call_of_which_a_letter_comes_now_and_then_is_refused(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_body, "SILENT_S", 0.15)
    http = client(business_id=world.business("Shop"))

    with half_sent(http, "/calls", "application/json", b'{"to": "+12125550101"}     ') as line:
        answer = answered(line, b" ")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not come whole within 0.15 seconds: send it again" in answer


@pytest.mark.parametrize("path", ["/calls", "/calls/bulk"])
def test_a_call_that_comes_too_slowly_is_refused(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(json_body, "SILENT_S", 0.1)
    http = client(business_id=world.business("Shop"))

    with half_sent(http, path, "application/json", b'{"to": "+12125550101"}') as line:
        answer = line.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"too_slow"' in answer


def test_a_wish_not_to_wait_is_read_wherever_it_stands(world: World, client: Client) -> None:
    http = client(business_id=world.business("Shop"))
    wishes = [("content-type", "text/csv"), ("prefer", "wait=5"), ("prefer", "respond-async")]

    answer = http.post("/imports", params={"batch": "spring"}, content=GOOD, headers=wishes)

    assert answer.status_code == 202


def break_off(http: httpx.Client, content: bytes, of: int, kind: str = "text/csv", key: str | None = None) -> None:
    """Send the beginning of a file, and hang up once it was read: of what nobody has read the server keeps nothing."""
    where = urlsplit(str(http.base_url))
    with (
        pytest.MonkeyPatch.context() as patch,
        socket.create_connection((where.hostname or "", where.port or 80)) as line,
    ):
        patch.setattr(import_record, "_NOTE_S", 0)
        head = (
            f"POST /v1/imports?batch=spring HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\n"
            f"authorization: {http.headers['authorization']}\r\ncontent-length: {of}\r\n"
        )
        if key is not None:
            head += f"idempotency-key: {key}\r\n"
        line.sendall(head.encode() + b"\r\n" + content)
        until(lambda: [one["received_bytes"] for one in http.get("/imports").json()["imports"]] == [len(content)])


@pytest.mark.parametrize(
    ("content", "numbers"),
    [
        (b"to\n+12125550101\n+12125550102\n+1212555", ["+12125550101", "+12125550102"]),
        (b'to,name\n+12125550101,Dana\n+12125550102,"Noa\n', ["+12125550101"]),
        (b'to,name\n+12125550101,5" pipe\n+12125550102,Noa\n+1212', ["+12125550101", "+12125550102"]),
        (b'to,name\n+12125550101,"a ""b""\nc"\n+12125550102,""""\n+1212', ["+12125550101", "+12125550102"]),
        (b'"to";name\n+12125550101;"a"\n+12125550102;"""b\n+1212', ["+12125550101"]),
        ("to\n+12125550101\n".encode("utf-16"), []),
        (b"to\n+1212", []),
    ],
)
def test_a_connection_that_breaks_off_keeps_its_whole_lines_and_the_import_says_so(
    world: World, client: Client, content: bytes, numbers: list[str]
) -> None:
    http = client(business_id=world.business("Shop"))

    break_off(http, content, of=1000)

    until(lambda: http.get("/imports", params={"state": "running"}).json()["imports"] == [])
    found = http.get("/imports").json()["imports"]
    kept = [row.to_number for row in world.rows("select to_number from call_log order by to_number")]
    assert kept == numbers
    if found:  # without a whole line nothing was queued, and no answer named an import
        assert (found[0]["state"], found[0]["created"]) == ("broken_off", len(numbers))
        assert "send the file again" in found[0]["reason"]
    again = send(http, GOOD).json()
    assert again["created"] == 2 - len(numbers)


def test_a_quotation_mark_within_a_line_of_json_takes_away_no_line_behind_it(world: World, client: Client) -> None:
    http = client(business_id=world.business("Shop"))
    lines = b'{"to": "+12125550101", "name": "a 5\\" pipe"}\n{"to": "+12125550102"}\n{"to": "+1212'

    break_off(http, lines, of=1000, kind="application/x-ndjson")

    until(lambda: [one["state"] for one in http.get("/imports").json()["imports"]] == ["broken_off"])
    assert world.value("select count(*) from call_log") == 2


@pytest.mark.parametrize("path", ["/imports?batch=b", "/suppressions/import"])
def test_a_refused_line_of_json_is_named_by_its_own_number(world: World, client: Client, path: str) -> None:
    http = client(business_id=world.business("Shop"))
    good = '{"to": "+12125550101", "note": "a\\nb\\r\\nc"}'
    lines = f'{{"to": "one"}}\n\n{good}\n{{"to": "four"}}\n{{"to": "five"}}\n'

    answer = http.post(path, content=lines, headers={"content-type": "application/x-ndjson"}).json()

    assert [line["line"] for line in answer["refused_lines"]] == [1, 4, 5]
    if "import_id" in answer:
        assert shown(http, answer["import_id"])["refused_lines"] == answer["refused_lines"]


@pytest.mark.parametrize("path", ["/imports?batch=b", "/suppressions/import", "/consents/import"])
@pytest.mark.parametrize("content", [b"PK\x03\x04", b"%PDF-1.4", b"[{}]"])
def test_a_refusal_of_a_file_names_no_path_of_the_server(
    world: World, client: Client, path: str, content: bytes
) -> None:
    answer = client(business_id=world.business("Shop")).post(path, content=content, headers=CSV)

    assert (answer.status_code, answer.json()["detail"][:11]) == (422, "the file is")


@pytest.mark.parametrize("path", ["/imports?batch=b", "/suppressions/import", "/consents/import"])
@pytest.mark.parametrize("name", ["\\ud800", "\\udfff x", "\\u0000"])
def test_a_field_whose_name_cannot_be_stored_refuses_the_file(
    world: World, client: Client, path: str, name: str
) -> None:
    http = client(business_id=world.business("Shop"))
    http.get("/token")
    before = digest(world)
    line = f'{{"to": "+12125550101", "{name}": "x"}}\n'

    answer = http.post(path, content=line, headers={"content-type": "application/x-ndjson"})

    assert (answer.status_code, answer.json()["code"]) == (422, "bad_file")
    assert answer.json()["detail"].startswith("line 1 ")
    assert digest(world) == before


_JSON_LINES = {"content-type": "application/x-ndjson"}


@pytest.mark.parametrize(
    ("path", "line", "kept"),
    [
        ("/imports?batch=b", {"to": "+12125550101", "name": '="x"'}, "select contact ->> 'name' from call_log"),
        ("/suppressions/import", {"phone": "+12125550101", "reason": '="x"'}, "select reason from suppression"),
        (
            "/consents/import?given_at=2026-01-01T00:00Z",
            {"phone": "+12125550101", "source": '="x"'},
            "select source from consent",
        ),
    ],
)
def test_what_looks_like_a_formula_in_a_line_of_json_stays_as_it_is(
    world: World, client: Client, path: str, line: dict[str, str], kept: str
) -> None:
    http = client(business_id=world.business("Shop"))

    assert http.post(path, content=json.dumps(line), headers=_JSON_LINES).json()["created"] == 1
    assert world.value(kept) == '="x"'


def test_an_answer_of_a_registry_in_a_line_of_json_is_no_formula(world: World, client: Client) -> None:
    path = "/registry/import?checked_at=2026-01-01T00:00Z"
    as_csv = client().post(path, content='to,listed\n+12125550101,="yes"\n', headers=CSV).json()
    line = json.dumps({"to": "+12125550102", "listed": '="yes"'})

    assert as_csv["created"] == 1
    assert client().post(path, content=line, headers=_JSON_LINES).json()["refused"] == 1


@pytest.mark.parametrize("name", ["a;phone;b;c", "a|phone|b|c", "a\tphone\tb\tc", "sep=;", "%PDF", "<html>", "{", "PK"])
def test_a_field_of_a_line_of_json_may_have_any_name(world: World, client: Client, name: str) -> None:
    http = client(business_id=world.business("Shop"))
    line = json.dumps({name: "x", "to": "+12125550101"})

    report = http.post("/imports?batch=b", content=line, headers=_JSON_LINES).json()

    assert (report["created"], report["refused"]) == (1, 0)


def test_a_line_of_json_that_has_names_of_columns_in_it_is_one_refused_line(world: World, client: Client) -> None:
    http = client(business_id=world.business("Shop"))
    rows = ({"to": "phone", "name": "name"}, {"to": "+12125550101", "name": "Dana"})
    lines = "\n".join(map(json.dumps, rows))

    report = http.post("/imports?batch=b&anyway=true", content=lines, headers=_JSON_LINES).json()

    assert (report["created"], [line["line"] for line in report["refused_lines"]]) == (1, [1])
    assert "is not a phone number" in report["refused_lines"][0]["reason"]


@pytest.mark.parametrize("key", ["ab\u200fc", "\u200babc", "abc\u200e", "ab\x07c", " abc", "abc\u00a0", " "])
def test_a_key_that_a_request_may_not_have_is_refused_in_a_line_of_json_with_the_same_words(
    world: World, client: Client, key: str
) -> None:
    http = client(business_id=world.business("Shop"))
    call = {"to": "+12125550101", "key": key}

    asked = http.post("/calls", json=call).json()
    report = http.post("/imports?batch=b", content=json.dumps(call), headers=_JSON_LINES).json()

    assert (asked["code"], report["created"]) == ("bad_call", 0)
    assert [line["reason"] for line in report["refused_lines"]] == [asked["detail"]]


def test_a_file_that_is_refused_names_the_fields_of_the_api(world: World, client: Client) -> None:
    http = client(business_id=world.business("Shop"))

    refused = send(http, "who\nDana\n").json()
    late = send(http, "who\nDana\n", prefer="respond-async").headers["location"].removeprefix("/v1")
    until(lambda: http.get(late).json()["state"] == "refused")

    assert refused["detail"].endswith("for another give `to_column` NAME")
    assert http.get(late).json()["reason"] == refused["detail"]


def test_two_keys_of_a_file_that_differ_in_what_cannot_be_seen_are_not_taken_for_one(
    world: World, client: Client
) -> None:
    http = client(business_id=world.business("Shop"))
    file = "to,key\n+12125550101,abc\n+12125550101,abc\u200f\n+12125550102, def \n"

    report = send(http, file).json()

    (line,) = report["refused_lines"]
    assert (report["created"], report["duplicates"], line["line"]) == (2, 0, 3)
    assert "`key` holds a character that cannot be seen, U+200F" in line["reason"]
    assert world.rows("select idempotency_key from call_log order by id") == [("abc",), ("def",)]


def test_lines_of_json_without_a_number_s_field_are_refused_whatever_stands_in_them(
    world: World, client: Client
) -> None:
    http = client(business_id=world.business("Shop"))
    lines = "\n".join(json.dumps({"x": value}) for value in ("a title", "phone", "+12125550101"))

    refused = http.post("/imports?batch=b", content=lines, headers=_JSON_LINES).json()
    long_names = json.dumps({"x" * 60_000: "y"}) + "\n" + json.dumps({"z" * 60_000: "y"})

    assert (refused["code"], world.value("select count(*) from call_log")) == ("bad_file", 0)
    assert refused["detail"].startswith("no column is named `to`")
    assert http.post("/imports?batch=b", content=long_names, headers=_JSON_LINES).json()["code"] == "bad_file"


def test_an_import_whose_process_was_killed_is_interrupted_after_five_minutes(world: World, client: Client) -> None:
    shop = world.business("Shop")
    http = client(business_id=shop)
    record = import_record.begin("spring", business_id=shop, campaign_id=None, who="test")
    assert shown(http, record.id or 0)["state"] == "running"

    world.do("update call_import set seen_at = now() - make_interval(secs => %s)", import_record.SILENT_S + 1)

    assert shown(http, record.id or 0)["state"] == "interrupted"
    assert len(http.get("/imports", params={"state": "interrupted"}).json()["imports"]) == 1
    assert http.get("/imports", params={"state": ["running", "finished"]}).json()["imports"] == []


def test_a_fault_in_the_middle_is_said_and_keeps_what_was_written(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = client(business_id=world.business("Shop"))
    write = import_writer.Writer.write

    def fails(self: import_writer.Writer, chunks: Iterable[import_writer.Chunk]) -> Generator[import_writer.Chunk]:
        yield from write(self, chunks)
        raise ValueError("+12125550101 Dana")

    monkeypatch.setattr(import_writer.Writer, "write", fails)
    answer = send(http)

    (found,) = http.get("/imports").json()["imports"]
    assert (answer.status_code, found["state"]) == (500, "broken_off")
    assert "Dana" not in answer.text + str(found)
    assert world.value("select count(*) from call_log") == 2


def test_a_command_writes_the_same_row_and_shows_it(world: World, client: Client, tmp_path: Any) -> None:
    shop = world.business("Shop")
    file = tmp_path / "spring.csv"
    file.write_text(GOOD)
    forked.run("import", str(file), "--business", str(shop), "--by", "dana")

    (found,) = client(business_id=shop).get("/imports").json()["imports"]
    listed = forked.run("imports", "list", "--business", "Shop", "--json")
    one = forked.run("imports", "show", str(found["id"]))
    none = forked.run("imports", "show", "99")

    assert (found["state"], found["created_by"], counts(found)) == ("finished", None, [2, 0, 1, 1])
    assert '"created_by": "dana"' in listed.stdout
    assert "line 4:" in one.stdout
    assert (none.returncode, "there is no import 99" in none.stderr) == (2, True)
    assert forked.run("imports", "list", "--state", "odd").returncode == 2


def test_pages_of_imports_go_on_behind_each_other_and_old_ones_go(world: World, client: Client) -> None:
    shop = world.business("Shop")
    for place in range(5):
        import_record.begin(f"b{place}", business_id=shop, campaign_id=None, who="test")
    http, found, before = client(business_id=shop), [], None
    while True:
        page = http.get("/imports", params={"limit": 2} | ({"before": before} if before else {})).json()
        found += [one["batch"] for one in page["imports"]]
        before = page["next"]
        if before is None:
            break
    assert found == ["b4", "b3", "b2", "b1", "b0"]

    world.do("update call_import set started_at = now() - interval '91 days' where batch = 'b0'")
    assert retention.delete_old_rest() == 1
    assert world.value("select count(*) from call_import") == 4


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"to": "+12125550102", "name": true}', "holds in `name` neither a text nor a number"),
        ("{}", "holds nothing: give its fields"),
        ('{"to": null, "phone": " "}', "holds nothing: give its fields"),
        ('{"to": ["+12125550102"]}', "holds in `to` neither a text nor a number"),
        ('{"to": "+12125550102", "a\\nb": {"x": 1}}', "holds an object in `a"),
        (
            '{"to": "+12125550102", "contact": {"name": "Dana"}}',
            "holds an object in `contact`: write its fields beside the others, as texts or numbers",
        ),
        ('["+12125550102"]', "is no JSON object"),
        ('{"to": "+12125550102"', "is no JSON that is read here"),
        ('{"to": "+12125550102", "\\u0000": "x"}', "is no JSON that is read here"),
        ('{"to": "' + "1" * 200_000 + '"}', "has more than 65536 bytes"),
    ],
)
@pytest.mark.parametrize(
    ("path", "field"), [("/imports?batch=b", "to"), ("/suppressions/import", "phone"), ("/imports?batch=b", "to ")]
)
def test_a_line_of_json_that_cannot_be_read_refuses_itself_alone(
    world: World, client: Client, path: str, field: str, line: str, reason: str
) -> None:
    http = client(business_id=world.business("Shop"))
    good = json.dumps({field: "+12125550101"}), json.dumps({field: "+12125550103", "name": "a\nb"})

    report = http.post(path, content="\n".join([good[0], "", line, good[1], line]), headers=_JSON_LINES).json()

    assert (report["created"], report["refused"]) == (2, 2)
    assert [one["line"] for one in report["refused_lines"]] == [3, 5]
    assert report["refused_lines"][0]["reason"].startswith(reason)


@contextmanager
def database_away(world: World) -> Iterator[None]:
    """Nobody has a connection to the database or gets one, as long as the block lasts."""
    name = world.value("select current_database()")
    with psycopg.connect(world.url.replace(name, "postgres"), autocommit=True) as operator:
        operator.execute(f"alter database {name} allow_connections false".encode())
        operator.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
        try:
            yield
        finally:
            operator.execute(f"alter database {name} allow_connections true".encode())


def is_over(world: World, client: Client, monkeypatch: pytest.MonkeyPatch, away_s: float) -> tuple[str, int]:
    """The state of a promised import, and how many calls it queued, whose turn came while the database was away."""
    http, looks = client(business_id=world.business("Shop")), []
    monkeypatch.setattr(files, "AWAY_S", away_s)
    monkeypatch.setattr(files, "AGAIN_S", 0.05)
    find = import_record.of

    def looked(*given: Any, **named: Any) -> Any:
        looks.append(given)
        return find(*given, **named)

    with ExitStack() as waits:
        waits.enter_context(no_turns(client()))
        promised = send(http, prefer="respond-async")
        monkeypatch.setattr(import_record, "of", looked)
        with database_away(world):
            waits.close()  # now it is its turn
            until(lambda: len(looks) >= 2 or (looks and not context.limit("slow", 1).statistics().borrowed_tokens))
    monkeypatch.setattr(import_record, "of", find)
    until(lambda: not context.limit("slow", 1).statistics().borrowed_tokens)
    with psycopg.connect(world.url) as fresh:
        (queued,) = fresh.execute("select count(*) from call_log").fetchone() or (None,)
    return shown(http, promised.json()["id"])["state"], queued


@pytest.mark.rows_only(False)
def test_a_promised_import_waits_for_a_database_that_is_away_as_its_turn_comes(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_over(world, client, monkeypatch, 60) == ("finished", 2)


@pytest.mark.rows_only(False)
def test_a_promised_import_waits_for_the_database_no_longer_than_it_may(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, queued = is_over(world, client, monkeypatch, 0)

    assert queued == 0
    assert state in ("running", "broken_off")  # the first where that could not be written: it is `interrupted` in time


@pytest.mark.parametrize("kind", [files.XLSX, files.CSV])
def test_a_workbook_is_read_whichever_of_its_content_types_is_given(world: World, client: Client, kind: str) -> None:
    business_id = world.business("Acme", "+97235550100")
    world.do("update business set default_region = 'IL', time_zone = 'Asia/Jerusalem'")
    content = workbook([["טלפון", "שם"], ["052-2000001", "דנה"], ["12", "x"]])

    report = client().post(
        "/imports",
        params={"batch": "spring", "business_id": business_id},
        content=content,
        headers={"content-type": kind, "accept-language": "he"},
    )

    assert report.status_code == 200, report.text
    assert (report.json()["created"], [line["line"] for line in report.json()["refused_lines"]]) == (1, [3])
    assert world.value("select contact ->> 'שם' from call_log") == "דנה"


def test_what_is_remarked_of_a_line_is_said_in_hebrew(world: World, client: Client) -> None:
    business_id = world.business("Acme")
    http = client(business_id=business_id)

    report = send(http, "to\n+12125550101\n+12125550101\n", **{"accept-language": "he"})

    (remark,) = report.json()["remarks"]
    assert remark == {"line": 3, "remark": "אותו מספר כמו בשורה \u20682\u2069: תהיה אליו שיחה אחת"}
    assert report.headers["content-language"] == "he"
