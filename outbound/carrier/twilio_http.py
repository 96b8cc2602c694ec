"""The HTTP client of Twilio's REST API: connections, time limits, logins, and whether a request has left."""

import base64
import contextvars
import logging
import os
import ssl
import time
from collections import deque
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from yarl import URL

from outbound.carrier import NoCredentials, accounts
from outbound.settings_model import LOOPBACK, Settings

_OPENED_KEPT = 16  # latest connections, whose quickest says how far away the carrier is
CONNECT_S = 3  # per address: a dial that never left must be known as such before its call is closed
IDLE_S = 1  # servers and what lies between keep an idle connection for 5 s or more


class TooLate(Exception):
    """The moment of a paced dial had passed; nothing was sent."""


class Sending:
    """Has anything of one request been given to a connection?  Nothing is after *send_by*, by time.monotonic()."""

    def __init__(self, send_by: float | None) -> None:
        self.has_begun = False
        self.opening_at = 0.0
        self._send_by = send_by

    def opened(self) -> None:
        """A connection was opened for it: what the quickest of the latest ones took does not make it late."""
        _opened_s.append(time.monotonic() - self.opening_at)
        if self._send_by is not None:
            self._send_by += min(_opened_s)

    def check(self) -> None:
        """Raise TooLate after its moment."""
        if self._send_by is not None and time.monotonic() > self._send_by:
            raise TooLate


_opened_s: deque[float] = deque(maxlen=_OPENED_KEPT)

# Of the dial that the current task is about; a request that nobody asks about has none.
sending: contextvars.ContextVar[Sending | None] = contextvars.ContextVar("sending", default=None)


async def _note_opening(_: object, context: Any, __: object) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.opening_at = time.monotonic()


async def _note_opened(_: object, context: Any, __: object) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.opened()


async def _note_begun(_: object, context: Any, __: object) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.check()
        context.trace_request_ctx.has_begun = True


class HttpClient(AsyncHttpClient):  # type: ignore[misc]
    """
    Keeps connections from one request to the next, but no idle ones; gives up where the client's own waits for ever.

    A connection that lay idle may have been forgotten on its way; what is sent on it gets a reset, and nobody could say
    whether the call was made.  A new one either comes about or it does not.  A create is never sent twice (aiohttp
    repeats only methods that are idempotent).
    """

    def __init__(self, config: Settings) -> None:
        super().__init__(logging.getLogger("twilio.http"), True, None)
        self._config = config
        self._session: aiohttp.ClientSession | None = None
        self._proxy = _proxy_to(config.api_url)
        # A simulator speaks plain HTTP; to read all certificates takes 45 ms of processor time.
        self._tls = _tls() if urlsplit(config.api_url).scheme == "https" else True
        self._accepted: dict[str, str] = {}  # the auth token that the carrier took last, by account

    async def request(
        self,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: Any = None,
        **_: Any,
    ) -> Response:
        """Implements `AsyncHttpClient.request`."""
        asked = sending.get()
        if asked is not None:
            asked.check()
        account = auth[0]
        for user, password in self._logins(account):
            login = base64.b64encode(":".join((user, password)).encode()).decode()
            answer = await self._request_as(login, method, url, params, data, headers, asked)
            if answer.status_code != HTTPStatus.UNAUTHORIZED:
                self._accepted[account] = password
                break  # with 401 the carrier has done nothing: the next token may be the primary one by now
        return answer

    def _logins(self, account: str) -> list[tuple[str, str]]:
        """
        The logins to try one after the other: with auth tokens, one for each, first the one that was accepted last.

        Raises:
            NoCredentials: there are none of this account.
        """
        known = accounts.credentials(account, self._config) if account else None
        if known is None or not known.has_login:
            raise NoCredentials(account)
        if known.api_key:
            return [known.api_key]
        accepted = self._accepted.get(account)
        return [(account, token) for token in sorted(known.auth_tokens, key=lambda token: token != accepted)]

    async def _request_as(
        self, login: str, method: str, url: str, params: Any, data: Any, headers: Any, asked: Sending | None
    ) -> Response:
        if self._session is None:
            self._session = self._open()
        form = {"Authorization": f"Basic {login}", "Content-Type": "application/x-www-form-urlencoded"}
        async with self._session.request(
            method,
            URL(f"{url}?{_encoded(params)}" if params else url, encoded=True),
            data=_encoded(data) if data else None,
            headers=headers | form,
            proxy=self._proxy,
            allow_redirects=False,
            trace_request_ctx=asked,
        ) as answer:
            # Whatever charset the answer claims: that we cannot read it must not look like a request that never left.
            return Response(answer.status, (await answer.read()).decode(errors="replace"), answer.headers)

    def _open(self) -> aiohttp.ClientSession:
        answer_s = self._config.carrier_timeout_s
        each_s = min(CONNECT_S, answer_s)  # per address; a name server, or more addresses, may take as long again
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_start.append(_note_opening)
        tracing.on_connection_create_end.append(_note_opened)
        tracing.on_request_headers_sent.append(_note_begun)  # aiohttp calls it before it writes the first byte
        limits = aiohttp.ClientTimeout(
            connect=2 * each_s, sock_connect=each_s, sock_read=answer_s, total=2 * each_s + answer_s
        )
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S, ssl=self._tls),
            timeout=limits,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[tracing],
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()


def _proxy_to(url: str) -> str | None:
    """
    Return what the environment says, read once; but what is on loopback is not behind a proxy.

    Raises:
        ValueError: it names a proxy that we cannot speak to.
    """
    parts = urlsplit(url)
    if parts.hostname in LOOPBACK or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and urlsplit(proxy).scheme not in ("http", "https"):
        raise ValueError(f"{parts.scheme}_proxy: must be an http:// or https:// address")
    return proxy


def _encoded(fields: Mapping[str, Any]) -> str:
    return urlencode({name: value for name, value in fields.items() if value is not None}, doseq=True)


def _tls() -> ssl.SSLContext:
    """
    Return what the environment says of certificates, as other programs read it; else those that come with the client.
    """
    trusted = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    is_dir = Path(trusted).is_dir()
    return ssl.create_default_context(cafile=None if is_dir else trusted, capath=trusted if is_dir else None)
