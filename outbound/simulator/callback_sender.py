"""Delivers the simulator's callbacks, signed, with the retries that the fragment of their URL asks for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import parse_qs, urldefrag, urlsplit

import aiohttp
from twilio.request_validator import RequestValidator
from yarl import URL

from outbound.simulator.twilio_errors import seconds

CONNECTIONS_MAX = 256  # callbacks under way at once; others wait, and the clock of their timeout does not run
KEEPALIVE_S = 2.0  # shorter than any server keeps an idle connection, so that none is found dead
RETRY_ALL = frozenset({"4xx", "5xx", "ct", "rt"})


@dataclass(slots=True)
class Callback:
    """One callback, ready to be sent; a retry carries the same token."""

    url: str
    form: dict[str, str]
    token: str


@dataclass(frozen=True, slots=True)
class Overrides:
    """The timeouts and retries of a callback, from the fragment of a callback address: `#ct=2000&rc=3&rp=5xx,ct`."""

    connect_s: float
    read_s: float
    total_s: float
    retries: int
    retry_on: frozenset[str]

    @classmethod
    def of(cls, url: str) -> Overrides:
        asked = {name: values[-1] for name, values in parse_qs(urldefrag(url).fragment).items()}

        def bounded(name: str, low: int, high: int, unasked: int) -> int:
            number = seconds(asked.get(name))
            return unasked if number is None else min(max(number, low), high)

        policy = frozenset(asked.get("rp", "ct").split(","))
        return cls(
            connect_s=bounded("ct", 100, 10_000, 5_000) / 1000,
            read_s=bounded("rt", 100, 15_000, 15_000) / 1000,
            total_s=bounded("tt", 100, 15_000, 15_000) / 1000,
            retries=bounded("rc", 0, 5, 1),
            retry_on=RETRY_ALL if "all" in policy else policy,
        )


class CallbackSender:
    """
    Delivers signed callbacks over one session, at most CONNECTIONS_MAX at once; make it where its loop runs.

    Args:
        nobody_at: the base of addresses where nobody listens; what is for them fails without a try.
    """

    def __init__(self, auth_token: str, *, nobody_at: str | None = None) -> None:
        self._signer = RequestValidator(auth_token)
        self._nobody_at = nobody_at
        self._lines = asyncio.Semaphore(CONNECTIONS_MAX)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S)
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    async def close(self) -> None:
        await self._session.close()

    async def deliver(self, callback: Callback) -> bool:
        """Try as often as the address allows; True once it was taken."""
        if self._nobody_at is not None and callback.url.startswith(f"{self._nobody_at}/"):
            return False
        how = Overrides.of(callback.url)
        async with self._lines:
            try:
                async with asyncio.timeout(how.total_s):
                    for _ in range(1 + how.retries):
                        trouble = await self._try(callback, how)
                        if trouble not in how.retry_on:
                            return trouble is None
            except TimeoutError:
                pass
        return False

    async def _try(self, callback: Callback, how: Overrides) -> str | None:
        """One attempt: None when it was taken, else what went wrong in the words of the retry policy."""
        address = _bare(callback.url)
        headers = {
            "X-Twilio-Signature": self._signer.compute_signature(address, callback.form),
            "I-Twilio-Idempotency-Token": callback.token,
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=how.connect_s, sock_read=how.read_s)
        try:
            async with self._session.post(
                URL(address, encoded=True), data=callback.form, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                return None if answer.status < 300 else f"{answer.status // 100}xx"
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return "ct"
        except (aiohttp.ClientError, TimeoutError):
            return "rt"


def _bare(url: str) -> str:
    """An address as Twilio requests and signs it: without fragment, without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
