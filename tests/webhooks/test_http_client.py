"""No webhook reaches an address inside: by a literal, by a name, by a name that changes, or by a redirect."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from outbound.formats import network_addresses
from outbound.settings_model import Settings
from outbound.webhooks import address, http_client
from tests.formats.test_network_addresses import METADATA, REFUSED
from tests.webhooks.receiver import Answer, Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def post(url: str, *, allow: str = "", proxy: str = "") -> http_client.Outcome:
    """Post to an address, with these settings and no others."""

    async def once() -> http_client.Outcome:
        settings = Settings(webhook_allow=allow or None, webhook_proxy=proxy or None)
        client = http_client.Client(settings)
        try:
            return await client.post(url, b"{}", {"webhook-id": "evt_1"}, own_networks=True)
        finally:
            await client.close()

    return asyncio.run(once())


@pytest.fixture
def dialed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The addresses that sockets of this process connect to; nothing leaves it."""
    found: list[Any] = []

    async def refuse(_loop: Any, _sock: socket.socket, address: Any) -> None:
        found.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", refuse)
    return found


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("text", REFUSED)
def test_no_connection_is_made_to_an_address_inside(text: str, scheme: str, dialed: list[Any]) -> None:
    host = f"[{text}]" if ":" in text else text

    assert post(f"{scheme}://{host}/").error == address.REFUSED
    assert dialed == []


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "017700000001", "0x7f.1", "0"])
def test_a_name_of_this_host_leads_nowhere(host: str, dialed: list[Any]) -> None:
    outcome = post(f"https://{host}/")

    assert (outcome.result, dialed) == ("failed", [])


def test_a_name_is_judged_at_each_connection_by_what_it_is_then(
    monkeypatch: pytest.MonkeyPatch, dialed: list[Any]
) -> None:
    answers = iter(["8.8.8.8", "127.0.0.1", "169.254.169.254", "::1"])

    def rebinding(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        text = next(answers)
        family = socket.AF_INET6 if ":" in text else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (text, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    errors = [post("https://rebinding.example/").error for _ in range(4)]

    assert dialed == [("8.8.8.8", 443)]
    assert errors == ["it takes no connection", *[address.REFUSED] * 3]


def test_of_a_name_with_several_addresses_only_the_public_ones_are_tried(
    monkeypatch: pytest.MonkeyPatch, dialed: list[Any]
) -> None:
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 443)) for text in ("10.0.0.1", "8.8.8.8", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    post("https://several.example/")

    assert dialed == [("8.8.8.8", 443)]


@pytest.mark.parametrize("text", METADATA)
def test_a_metadata_service_is_reached_by_no_setting(text: str, dialed: list[Any]) -> None:
    host = f"[{text}]" if ":" in text else text

    assert post(f"http://{host}/", allow="0.0.0.0/0,::/0").error == address.REFUSED
    assert dialed == []


@pytest.mark.parametrize("url", ["http://8.8.8.8/", "https://8.8.8.8:22/", "http://8.8.8.8:443/"])
def test_public_addresses_are_reached_by_https_on_its_port_alone(url: str, dialed: list[Any]) -> None:
    assert post(url, allow="10.0.0.0/8").error == address.REFUSED
    assert dialed == []


@pytest.mark.parametrize("url", ["http://8.8.8.8/", "https://8.8.8.8:22/", "http://8.8.8.8:443/", "https://10.0.0.1/"])
def test_no_endpoint_is_added_whose_address_nothing_would_be_sent_to(url: str) -> None:
    assert address.fault(url, network_addresses.networks("192.168.0.0/16")) == address.REFUSED


def test_a_network_of_one_s_own_is_reached_where_it_is_named(receiver: Receiver) -> None:
    assert post(receiver.url).error == address.REFUSED
    assert post(receiver.url, allow="127.0.0.0/8").result == "delivered"
    assert len(receiver.posts) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answer = lambda _: Answer(status, {"location": receiver.url + "/secret"})

    outcome = post(receiver.url, allow="127.0.0.0/8")

    assert (outcome.result, outcome.status_code) == ("failed", status)
    assert len(receiver.posts) == 1


def test_an_answer_that_has_no_end_is_not_read_to_it(receiver: Receiver) -> None:
    receiver.answer = lambda _: Answer(200, {}, b"x" * 5_000_000)

    assert post(receiver.url, allow="127.0.0.0/8").result == "delivered"


@pytest.mark.parametrize("cut", [b"content-length: 9\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n"])
@pytest.mark.parametrize(("status", "result"), [(410, "gone"), (429, "failed"), (500, "failed")])
def test_an_answer_counts_though_its_body_breaks_off(cut: bytes, status: int, result: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 %d No\r\nretry-after: 7\r\ncontent-type: text/plain\r\n" % status + cut)

        thread = threading.Thread(target=serve)
        thread.start()
        outcome = post(f"http://127.0.0.1:{server.getsockname()[1]}/", allow="127.0.0.0/8")
        thread.join()

    assert (outcome.result, outcome.status_code, outcome.retry_after_s) == (result, status, 7)


def test_an_answer_counts_though_its_body_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "TOTAL_S", 0.5)
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 410 Gone\r\ncontent-length: 9\r\n\r\n")
                is_over.wait(20)

        thread = threading.Thread(target=serve)
        thread.start()
        outcome = post(f"http://127.0.0.1:{server.getsockname()[1]}/", allow="127.0.0.0/8")
        is_over.set()
        thread.join()

    assert (outcome.result, outcome.status_code) == ("gone", 410)


def test_a_proxy_that_is_away_is_not_the_endpoint_s_fault() -> None:
    assert post("https://example.com/", proxy="http://127.0.0.1:1").result == "not_sent"


def test_a_proxy_is_asked_for_names_alone(receiver: Receiver) -> None:
    proxy = receiver.url.removesuffix("/events")

    assert post("https://10.0.0.1/", proxy=proxy).error == address.REFUSED
    assert post("http://example.com/", proxy=proxy).error == address.REFUSED
    assert receiver.posts == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("120", 120), ("0", 0), ("9" * 30, 86_400), ("soon", None), ("-5", None), (None, None)]
)
def test_retry_after_is_read_as_seconds(text: str | None, seconds: float | None) -> None:
    assert http_client._retry_after_s(text) == seconds


def test_retry_after_may_be_a_date() -> None:
    assert http_client._retry_after_s("Wed, 21 Oct 2099 07:28:00 GMT") == 86_400
    assert http_client._retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0


@pytest.mark.parametrize("zone", ["UTC", "Asia/Jerusalem", "America/New_York"])
def test_a_date_without_a_zone_is_in_utc_whatever_the_clock_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    at = time.time() + 600
    try:
        found = http_client._retry_after_s(time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(at)))
    finally:
        monkeypatch.undo()
        time.tzset()

    assert found == pytest.approx(600, abs=30)
