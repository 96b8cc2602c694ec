"""What the carrier is asked with, and what callbacks are signed with: each process has what it needs, and no more."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from outbound import config
from outbound.carrier import CallNotSent, auth_token, twilio
from outbound.errors import SettingsError
from outbound.simulator import server as simulated
from tests.cli.test_logs import heard
from tests.conftest import ACCOUNT_SID, AUTH_TOKEN, World, begin, forget_settings, place, until
from tests.web.test_web import (  # noqa: F401
    CALLER,
    PUBLIC_URL,
    Nudges,
    _path,
    _post,
    _sign,
    _told,
    address,
    call_id,
    database,
    public_url,
    shared_database,
)

# ruff: noqa: F811 (fixtures of test_web)

NOWHERE = "http://127.0.0.1:9"
NEXT = "the-next-token-of-the-account"
KEY = {
    "OUTBOUND_CARRIER": "twilio",
    "TWILIO_API_KEY_SID": "SK" + "0123456789abcdef" * 2,
    "TWILIO_API_KEY_SECRET": "the-secret-of-the-key",
    "OUTBOUND_CALLBACK_KEY": "a-key-of-our-own-for-tags",
}


def _set(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    forget_settings()


# Callbacks


def test_both_tokens_sign_while_they_are_rotated(
    address: str, world: World, nudges: Nudges, call_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, TWILIO_AUTH_TOKEN_SECONDARY=NEXT)
    path = _path(call_id)

    codes = [
        _post(address, path, form, _sign(path, form, token=token)).status_code
        for form, token in ((_told("ringing"), AUTH_TOKEN), (_told("completed"), NEXT), (_told("busy"), "another"))
    ]

    assert codes == [204, 204, 403]


def test_a_token_is_rotated_under_load_without_a_restart_and_without_a_refusal(
    address: str, world: World, nudges: Nudges, call_id: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{AUTH_TOKEN}\n")
    monkeypatch.setattr(auth_token, "LOOK_S", 0.05)
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    _set(monkeypatch, TWILIO_AUTH_TOKEN_FILE=str(file), OUTBOUND_CALLBACK_KEY=KEY["OUTBOUND_CALLBACK_KEY"])
    path, token, over = _path(call_id), [AUTH_TOKEN], threading.Event()
    codes: list[int] = []

    def carrier() -> None:
        while not over.is_set():
            form = _told("ringing", SequenceNumber=str(len(codes)))
            codes.append(_post(address, path, form, _sign(path, form, token=token[0])).status_code)

    def taken() -> Any:
        count = len(codes)
        until(lambda: len(codes) > count + 5)

    calling = threading.Thread(target=carrier)
    calling.start()
    try:
        taken()
        file.write_text(f"{AUTH_TOKEN}\n{NEXT}\n")  # the next one is known,
        until(lambda: _signs(NEXT))
        token[0] = NEXT  # it is promoted at the carrier,
        taken()
        file.write_text(f"{NEXT}\n")  # and the old one goes
        until(lambda: not _signs(AUTH_TOKEN))
        taken()
    finally:
        over.set()
        calling.join(20)

    assert set(codes) == {204}
    form = _told("completed")
    assert _post(address, path, form, _sign(path, form, token=AUTH_TOKEN)).status_code == 403


def _signs(token: str) -> bool:
    return token in auth_token.tokens()


@pytest.mark.parametrize("bad", ["", "  \n", b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_any_more_leaves_the_tokens_that_are_known(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bad: str | bytes | None
) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{AUTH_TOKEN} {NEXT}")
    monkeypatch.setattr(auth_token, "LOOK_S", 0)
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    _set(monkeypatch, TWILIO_AUTH_TOKEN_FILE=str(file))
    assert auth_token.tokens() == (AUTH_TOKEN, NEXT)

    with heard() as said:
        file.unlink()
        if bad is not None:
            file.write_bytes(bad if isinstance(bad, bytes) else bad.encode())

        assert auth_token.tokens() == (AUTH_TOKEN, NEXT)
    assert AUTH_TOKEN not in said.getvalue()


# Asking the carrier


@pytest.fixture
def moving() -> Iterator[simulated.RunningSimulator]:
    """A carrier that knows the next token alone."""
    with simulated.in_thread(account_sid=ACCOUNT_SID, auth_token=NEXT, speed=100) as running:
        yield running


def test_calls_go_on_while_the_token_is_rotated(
    world: World, nudges: Nudges, call_id: int, moving: simulated.RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, TWILIO_API_URL=moving.url, TWILIO_AUTH_TOKEN_SECONDARY=NEXT, OUTBOUND_PUBLIC_URL=NOWHERE)

    sids = {place(twilio.carrier(), _order(number)).call_sid for number in (1, 2)}

    assert len(sids) == 2
    assert len(moving.log()) == 2


def test_a_token_that_nobody_knows_any_more_sends_nothing(
    world: World, nudges: Nudges, call_id: int, moving: simulated.RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, TWILIO_API_URL=moving.url, OUTBOUND_PUBLIC_URL=NOWHERE)

    with pytest.raises(CallNotSent):
        place(twilio.carrier(), _order(1))
    assert moving.log() == []


def _order(number: int) -> Any:
    from outbound.call import DialOrder

    return DialOrder(number, "+15005550006", f"+150055501{number:02d}", None, "<Response/>")


def test_with_an_api_key_the_carrier_is_asked_without_the_auth_token(
    world: World, nudges: Nudges, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    class Carrier(_Anybody):
        def saw(self, headers: Any, path: str) -> None:
            asked.append((headers["Authorization"], path))

    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    with Carrier() as url:
        _set(monkeypatch, **KEY, TWILIO_API_URL=url)
        config.require_account()
        place(twilio.carrier(), _order(1))

    ((login, path),) = asked
    assert requests.auth._basic_auth_str(KEY["TWILIO_API_KEY_SID"], KEY["TWILIO_API_KEY_SECRET"]) == login
    assert path == f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"


class _Anybody:
    """Somebody who takes every call."""

    def saw(self, headers: Any, path: str) -> None:
        raise NotImplementedError

    def __enter__(self) -> str:
        from http.server import BaseHTTPRequestHandler, HTTPServer

        saw = self.saw

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                saw(self.headers, self.path)
                self.rfile.read(int(self.headers["Content-Length"]))
                body = b'{"sid": "CA00000000000000000000000000000001"}'
                self.send_response(201)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_the_tag_of_a_worker_without_the_auth_token_fits_where_callbacks_are_checked(
    world: World, nudges: Nudges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    _set(monkeypatch, **KEY)
    made = _path(7)

    _set(monkeypatch, TWILIO_AUTH_TOKEN=AUTH_TOKEN, OUTBOUND_CARRIER="simulator")

    assert _path(7) == made


# Settings


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"TWILIO_API_KEY_SID": KEY["TWILIO_API_KEY_SID"]}, "TWILIO_API_KEY_SECRET"),
        ({"TWILIO_API_KEY_SECRET": "x"}, "TWILIO_API_KEY_SID"),
        ({"TWILIO_API_KEY_SID": "AC" + "0" * 32, "TWILIO_API_KEY_SECRET": "x"}, "TWILIO_API_KEY_SID"),
        (KEY | {"OUTBOUND_CALLBACK_KEY": "", "TWILIO_AUTH_TOKEN": ""}, "OUTBOUND_CALLBACK_KEY"),
        ({"OUTBOUND_CALLBACK_KEY": "short"}, "OUTBOUND_CALLBACK_KEY"),
        ({"TWILIO_AUTH_TOKEN_SECONDARY": NEXT, "TWILIO_AUTH_TOKEN": ""}, "TWILIO_AUTH_TOKEN_SECONDARY"),
        ({"TWILIO_AUTH_TOKEN_FILE": "/nowhere/at/all"}, "TWILIO_AUTH_TOKEN_FILE"),
        ({"TWILIO_AUTH_TOKEN_FILE": "/dev/null", "TWILIO_AUTH_TOKEN": ""}, "TWILIO_AUTH_TOKEN_FILE"),
    ],
    ids=str,
)
def test_half_a_login_is_refused(
    database: str, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], fault: str
) -> None:
    _set(monkeypatch, **given)

    with pytest.raises(SettingsError) as refused:
        config.settings()

    assert [line for line in refused.value.faults if line.startswith(f"{fault}: ")]
    assert NEXT not in str(refused.value)
    assert KEY["TWILIO_API_KEY_SECRET"] not in str(refused.value)


def test_a_web_process_without_the_auth_token_does_not_start(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    _set(monkeypatch, **KEY)
    config.require_account()

    with pytest.raises(SettingsError, match=r"^TWILIO_AUTH_TOKEN: must be set where callbacks are checked"):
        config.require_auth_token()


def test_a_worker_may_have_the_key_alone(world: World, nudges: Nudges, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    _set(monkeypatch, **KEY)

    assert begin(world.claimed(world.business(), CALLER)) is not None
    assert config.settings().has_login
    assert not config.settings().has_auth_token
    assert PUBLIC_URL
