"""The Python client: what is given wrongly is named at once, and is not sent."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from outbound_client import Again, AsyncClient, Client, NewCall, NewCalls

from tests.api.conftest import api_url
from tests.clients.test_connections import ANSWER, counting
from tests.clients.test_python_client import token
from tests.conftest import World

pytestmark = pytest.mark.rows_only

__all__ = ["api_url"]  # a fixture
NOBODY = "http://127.0.0.1:1"
LINES = "to\n+12125550101\n"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("given", "error"),
    [
        *(("", ValueError), (" \n", ValueError), ("secret\nx: y", ValueError), ("secret secret", ValueError)),
        *(("secrét", ValueError), ("secret\x00", ValueError), (None, TypeError), (b"secret", TypeError)),
    ],
)
def test_a_token_that_is_none_is_refused_and_not_shown(
    kind: Callable[[str, Any], object], given: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"^token ") as fault:
        kind(NOBODY, given)

    assert "secr" not in str(fault.value)


def test_a_token_is_read_from_a_file_as_it_is(world: World, api_url: str) -> None:
    with Client(f" {api_url}/\n", f" {token()}\r\n") as outbound:
        assert outbound.show_token().name == "client"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    "given",
    [
        *("", "calls.example.com", "localhost:8082", "//calls.example.com", "ftp://calls.example.com", "http://"),
        *("http://[::1", "http://calls.example.com:x", "https://calls.example.com/?a=b", "outbound_live_secret"),
    ],
)
def test_a_url_that_is_none_is_refused_and_not_shown(kind: Callable[[str, str], object], given: str) -> None:
    with pytest.raises(ValueError, match=r"^url must be http:// or https://") as fault:
        kind(given, "t")

    assert "secret" not in str(fault.value)


def test_a_url_is_a_text() -> None:
    with pytest.raises(TypeError, match=r"^url "):
        Client(None, "t")  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["", " a", "a\n", "a\nb", "\u05ea", "a" * 256, 5])
def test_a_key_that_no_header_may_have_is_refused(key: Any) -> None:
    with Client(NOBODY, "t") as outbound, pytest.raises(ValueError, match=r"^idempotency_key is 1 to 255 "):
        outbound.create_call(NewCall(to="+12125550101"), idempotency_key=key)


def test_a_type_that_no_header_may_have_is_refused() -> None:
    with Client(NOBODY, "t") as outbound, pytest.raises(ValueError, match=r"^content_type "):
        outbound.import_calls(LINES, batch="b", content_type="text/csv\n")


async def pieces() -> AsyncIterator[bytes]:
    yield LINES.encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (io.StringIO(LINES), "open it in binary mode"),
        *((one, "^content is bytes, text, a Path") for one in (None, 5, {"to": 1}, NewCall(to="+12125550101"))),
    ],
)
def test_a_file_that_cannot_be_sent_is_refused(content: Any, words: str) -> None:
    with counting(ANSWER) as (url, came):
        with Client(url, "t") as outbound, pytest.raises(TypeError, match=words):
            outbound.import_calls(content, batch="b")
        with pytest.raises(TypeError, match=words):
            asyncio.run(AsyncClient(url, "t").import_calls(content, batch="b"))
        assert came == []


def test_a_file_that_the_other_client_can_send_is_refused() -> None:
    with Client(NOBODY, "t") as outbound, pytest.raises(TypeError, match="an iterator of bytes"):
        outbound.import_calls(pieces(), batch="b")
    with pytest.raises(TypeError, match="an async iterator of bytes"):
        asyncio.run(AsyncClient(NOBODY, "t").import_calls(iter([b"to\n"]), batch="b"))


def test_a_file_is_sent_whatever_holds_it(world: World, api_url: str, tmp_path: Path) -> None:
    path, own = tmp_path / "calls.csv", token(world.business())
    path.write_text(LINES)

    async def send() -> list[int]:
        async with AsyncClient(api_url, own) as outbound:
            contents: list[Any] = [path, LINES, bytearray(LINES.encode())]
            sent = [await outbound.import_calls(one, batch="b") for one in contents]
            sent.append(await outbound.import_calls(pieces(), batch="b"))
            return [one.created + one.already_there for one in sent]

    with Client(api_url, own) as outbound, path.open("rb") as opened:
        contents: list[Any] = [path, opened, LINES, LINES.encode(), memoryview(LINES.encode()), iter([LINES.encode()])]
        reports = [outbound.import_calls(one, batch="b") for one in contents]
        with pytest.raises(FileNotFoundError):
            outbound.import_calls(tmp_path / "other.csv", batch="b")

    assert [one.created + one.already_there for one in reports] == [1] * 6
    assert asyncio.run(send()) == [1] * 4
    assert world.value("select count(*) from call_log") == 1


@pytest.mark.parametrize("body", [{"to": "+12125550101"}, None, "x", NewCalls(calls=[NewCall(to="+12125550101")])])
def test_a_body_that_is_no_model_of_the_operation_is_refused(body: Any) -> None:
    with Client(NOBODY, "t") as outbound:
        with pytest.raises(TypeError, match=f"^body is NewCall, of outbound_client, not {type(body).__name__}$"):
            outbound.create_call(body)
        with pytest.raises(TypeError, match=r"^body is NewCall, "):
            asyncio.run(AsyncClient(NOBODY, "t").create_call(body))
        with pytest.raises(TypeError, match=r"^body is Again or None, "):
            outbound.retry_call(1, {"at": "now"})  # type: ignore[arg-type]


def test_moments_are_given_as_datetimes(world: World, api_url: str) -> None:
    call, now = world.queued(), datetime.now(UTC)
    tomorrow, yesterday = now + timedelta(days=1), now - timedelta(days=1)
    with Client(api_url, token()) as outbound:
        assert [one.id for one in outbound.every_call(since=yesterday, until=tomorrow)] == [call]
        assert outbound.list_calls(since=tomorrow).calls == []
        assert [json.loads(one)["id"] for one in outbound.export_calls(since=yesterday)] == [call]
        with pytest.raises(ValueError, match=r"^since: a datetime needs a time zone"):
            outbound.list_calls(since=datetime(2026, 11, 30))  # noqa: DTZ001
    with pytest.raises(ValueError, match="a datetime needs a time zone"):
        Again(at=datetime(2026, 11, 30))  # noqa: DTZ001
