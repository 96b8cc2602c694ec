"""The Python client: what it makes of the API's answers, and that nothing it repeats is done twice."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import outbound_client
import pytest
from outbound_client import AsyncClient, Client, NewCall, NewCampaign, NewToken, Refused, Selection, Unanswered

from outbound.rules import api_token
from tests import client_file
from tests.api.conftest import api_url
from tests.conftest import World

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


def test_it_works_without_waiting_too(world: World, api_url: str) -> None:
    business = world.business()

    async def story() -> list[int]:
        async with AsyncClient(api_url, token(business)) as outbound:
            await outbound.create_call(NewCall(to="+12125550101"))
            await outbound.create_call(NewCall(to="+12125550102"))
            assert [line async for line in outbound.export_calls()]
            return [one.id async for one in outbound.every_call()]

    assert len(asyncio.run(story())) == 2


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


def test_what_is_refused_says_what_and_where(world: World, api_url: str) -> None:
    with Client(api_url, token(world.business())) as outbound:
        with pytest.raises(Refused, match="bad_call") as refusal:
            outbound.create_call(NewCall(to="abc"))
        with pytest.raises(Refused) as missing:
            outbound.show_call(812)

    assert (refusal.value.status, missing.value.code) == (422, "not_found")
