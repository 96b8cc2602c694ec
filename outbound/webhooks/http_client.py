"""Posts one webhook: only to addresses that it may go to, by no redirect, and with no more than a short text kept."""

import asyncio
import socket
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from outbound import __version__
from outbound.formats import network_addresses, plain_text
from outbound.formats.network_addresses import Network
from outbound.settings_model import Settings
from outbound.webhooks import address

TOTAL_S = 15  # of one attempt
CONNECT_S = 5
READ_MAX = 2048  # bytes of an answer that are read
TEXT_MAX = 200  # characters of an answer of text/* that are kept, where it says no
RETRY_AFTER_MAX_S = 86_400


class Outcome(NamedTuple):
    """The outcome of one attempt; `result` is delivered, failed, gone, or not_sent for no fault of the endpoint's."""

    result: str
    status_code: int | None
    error: str | None
    took_ms: int
    retry_after_s: float | None = None


class _Refused(OSError):
    """No address of the host is one that it may be sent to."""


class _Resolver(AbstractResolver):
    """Resolves names, and leaves out every address that may not be gone to; what is left is what is connected to."""

    def __init__(self, allowed: list[Network]) -> None:
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Implements `AbstractResolver.resolve`."""
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG
        )
        kept = []
        for known_family, _, protocol, _, socket_address in found:
            parsed = network_addresses.parse(str(socket_address[0]))
            if parsed is not None and address.may_go(parsed, port, self._allowed):
                kept.append(
                    ResolveResult(
                        hostname=host,
                        host=str(socket_address[0]),
                        port=port,
                        family=known_family,
                        proto=protocol,
                        flags=socket.AI_NUMERICHOST,
                    )
                )
        if not kept:
            raise _Refused(address.REFUSED)
        return kept

    async def close(self) -> None:
        """Implements `AbstractResolver.close`."""


class Client:
    """The connections to all endpoints; of one event loop."""

    def __init__(self, config: Settings) -> None:
        self._proxy = config.webhook_proxy
        allowed = network_addresses.networks(config.webhook_allow or "")
        self._allowed: dict[bool, list[Network]] = {False: [], True: allowed}
        self._sessions = {own_networks: self._session(own_networks) for own_networks in self._allowed}

    def _session(self, own_networks: bool) -> aiohttp.ClientSession:
        # A proxy has its own rules, and an address of our own network; what it connects to, it resolves.
        resolver = None if self._proxy else _Resolver(self._allowed[own_networks])
        connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, limit=0, keepalive_timeout=5)
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TOTAL_S, connect=CONNECT_S),
            headers={"user-agent": f"outbound/{__version__}", "content-type": "application/json"},
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # what is read is bounded as it comes
        )

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, own_networks: bool) -> Outcome:
        """
        Post one body; never raises for what a server or a network does.

        Args:
            own_networks: whether it may lead to the networks of OUTBOUND_WEBHOOK_ALLOW.
        """
        began = time.monotonic()
        try:
            if not self._is_open_to(url, self._allowed[own_networks]):
                return Outcome("failed", None, address.REFUSED, 0)
            async with self._sessions[own_networks].post(
                url, data=body, headers=headers, allow_redirects=False, proxy=self._proxy
            ) as answer:
                if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                    return Outcome("delivered", answer.status, None, _ms(began))  # whatever comes of its body
                return _refusal(answer, await _beginning(answer), _ms(began))
        except aiohttp.ClientProxyConnectionError:
            return Outcome("not_sent", None, "the proxy takes no connection", _ms(began))
        except aiohttp.ClientHttpProxyError as error:
            is_ours = error.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
            reason = f"the proxy answered {error.status}"
            return Outcome("not_sent" if is_ours else "failed", None, reason, _ms(began))
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome("failed", None, _reason(error), _ms(began))

    def _is_open_to(self, url: str, allowed: list[Network]) -> bool:
        """May it go to this address?  aiohttp asks no resolver about a host that is an address itself."""
        parts = urlsplit(url)
        if self._proxy:
            return parts.scheme == "https" and network_addresses.parse(parts.hostname or "") is None
        return address.is_open(parts, allowed)

    async def close(self) -> None:
        """Close the connections."""
        for session in self._sessions.values():
            await session.close()


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """The first bytes of a body; none where it breaks off or does not come, since the status counts all the same."""
    try:
        return await answer.content.read(READ_MAX)
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
        return b""


def _refusal(answer: aiohttp.ClientResponse, body: bytes, took_ms: int) -> Outcome:
    status = answer.status
    reason = ""
    if answer.headers.get("content-type", "").startswith("text/"):
        reason = plain_text.visible(body.decode(errors="replace"))[:TEXT_MAX]
    error = f"{status}: {reason}" if reason else str(status)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        error = f"{status}: redirects are not followed"
    result = "gone" if status == HTTPStatus.GONE else "failed"
    return Outcome(result, status, error, took_ms, _retry_after_s(answer.headers.get("retry-after")))


def _retry_after_s(value: str | None) -> float | None:
    """The seconds that Retry-After asks for, as a number or as a date; None where it says neither."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        seconds = float(value[:10])
    else:
        try:
            at = parsedate_to_datetime(value)
            seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(0.0, seconds), RETRY_AFTER_MAX_S)


def _reason(error: BaseException) -> str:
    """Say what went wrong, without addresses."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, _Refused):
        return address.REFUSED
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection within {CONNECT_S} s"
    if isinstance(error, TimeoutError):
        return f"no answer within {TOTAL_S} s"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "it takes no connection"
    return f"the connection broke: {type(error).__name__}"


def _ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
