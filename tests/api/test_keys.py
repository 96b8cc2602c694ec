"""The key of a call has no spaces around it, whichever way the call comes."""

import json
import socket
from collections.abc import Callable

import httpx
import pytest
from typer.testing import CliRunner

import outbound
from outbound.cli import app
from tests.api.conftest import Client
from tests.conftest import World

TO = "+12125550101"
REFUSED = "`key` begins or ends with a space: leave that out"
Refusal = Callable[[str], str | None]


def refusals(world: World, http: httpx.Client, business: int) -> dict[str, Refusal]:
    """What each way in says of a key; None where it takes it."""

    def python(key: str) -> str | None:
        try:
            outbound.enqueue_call(world.connection, business_id=business, to_number=TO, key=key)
        except outbound.BadCall as refusal:
            return str(refusal)
        return None

    def python_many(key: str) -> str | None:
        (done,) = outbound.enqueue_calls(world.connection, [{"to_number": TO, "key": key}], business_id=business)
        return done.fault if isinstance(done, outbound.RefusedCall) else None

    def sql(key: str) -> str | None:
        call = {"business_id": business, "to_number": TO, "key": key}
        fault: str | None = world.value("select enqueue_call(%s) ->> 'fault'", json.dumps(call))
        return fault

    def command(key: str) -> str | None:
        done = CliRunner().invoke(app.app, ["enqueue", "--to", TO, "--business", str(business), "--key", key])
        return str(done.exception) if done.exit_code else None

    def field(key: str) -> str | None:
        answer = http.post("/calls", json={"to": TO, "key": key})
        return None if answer.is_success else str(answer.json()["detail"])

    def many(key: str) -> str | None:
        refused = http.post("/calls/bulk", json={"calls": [{"to": TO, "key": key}]}).json()["refused"]
        return refused[0]["detail"] if refused else None

    return {"python": python, "many": python_many, "sql": sql, "command": command, "field": field, "bulk": many}


def sent(http: httpx.Client, key: bytes) -> bytes:
    """The begin of the answer to a call with this Idempotency-Key, as httpx sends none that has spaces around it."""
    body, token = json.dumps({"to": TO}).encode(), http.headers["authorization"].encode()
    with socket.create_connection((http.base_url.host, http.base_url.port or 0), timeout=30) as connection:
        connection.sendall(
            b"POST /v1/calls HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: %s\r\n"
            b"idempotency-key:%s\r\ncontent-length: %d\r\n\r\n%s" % (token, key, len(body), body)
        )
        return connection.recv(65_536)


@pytest.mark.parametrize("key", ["   ", " k", "k ", "\u00a0k", "k\u3000"])
def test_a_key_with_spaces_around_it_is_refused_whichever_way_it_comes(world: World, client: Client, key: str) -> None:
    business = world.business()

    said = {way: ask(key) for way, ask in refusals(world, client(business_id=business), business).items()}

    assert {way: REFUSED in str(refusal) for way, refusal in said.items()} == dict.fromkeys(said, True), said
    assert world.value("select count(*) from call_log") == 0


def test_a_key_with_spaces_within_it_is_taken_whichever_way_it_comes(world: World, client: Client) -> None:
    business = world.business()

    said = {way: ask("a  b") for way, ask in refusals(world, client(business_id=business), business).items()}

    assert said == dict.fromkeys(said)
    assert world.rows("select idempotency_key from call_log") == [("a  b",)]


def test_the_cells_of_a_file_are_read_without_the_spaces_around_them(world: World, client: Client) -> None:
    http = client(business_id=world.business())
    content = f'to,key\n{TO}," k "\n+12125550102,"  "\n'

    report = http.post("/imports?batch=b", content=content, headers={"content-type": "text/csv"}).json()

    assert report["created"] == 2, report
    assert world.rows("select idempotency_key from call_log order by to_number") == [("k",), (None,)]


def test_a_header_comes_without_the_spaces_around_it(world: World, client: Client) -> None:
    http = client(business_id=world.business())

    blank, around = (sent(http, key) for key in (b"   ", b"\t  k \t"))

    assert blank.startswith(b"HTTP/1.1 400 ")
    assert around.startswith(b"HTTP/1.1 201 ")
    assert world.rows("select idempotency_key from call_log") == [("k",)]
