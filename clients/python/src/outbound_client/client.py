"""The two clients: what each operation of the API needs beside its arguments, and iterators over pages."""

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar
from urllib.request import getproxies

import httpx

from outbound_client import models
from outbound_client.events import RECONNECT_S, Lines, WebhookEvent
from outbound_client.operations import AsyncOperations, Operations
from outbound_client.transport import Asking, Splitter, Stumbles, refuse

T = TypeVar("T")
TIMEOUT_S = 30.0
PAGE = 1000


def _settings(url: str, token: str, timeout_s: float) -> dict[str, Any]:
    base_url = f"{_url(url)}/v1"
    return {
        "base_url": base_url,
        "headers": {"authorization": f"Bearer {_token(token)}"},
        "timeout": timeout_s,
        "follow_redirects": False,
        "verify": _tls(base_url),
    }


def _tls(base_url: str) -> ssl.SSLContext:
    """
    Made once: it reads the certificates of all authorities, which takes longer than many requests.  Where neither the
    API nor a proxy speaks TLS it reads none.
    """
    urls = (base_url, *getproxies().values())
    if any(url.lower().startswith("https:") for url in urls):
        return httpx.create_ssl_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # it knows no authority, and so takes nobody's certificate


def _url(url: str) -> str:
    """
    The API's address, without a slash at its end.  A fault does not repeat it, as it may be a token in a wrong place.

    Raises:
        TypeError: it is no text.
        ValueError: it is no address.
    """
    if not isinstance(url, str):
        raise TypeError(f"url is a text like https://calls.example.com, not {type(url).__name__}")
    try:
        read = httpx.URL(url.strip())
    except httpx.InvalidURL:
        read = httpx.URL()
    if read.scheme not in ("http", "https") or not read.host or read.query or read.fragment:
        raise ValueError("url must be http:// or https://, a host and no query, like https://calls.example.com")
    return url.strip().rstrip("/")


def _token(token: str) -> str:
    """
    A token without the spaces and line feeds around it, as a file has them.  A fault does not repeat it.

    Raises:
        TypeError: it is no text.
        ValueError: it is no token.
    """
    if not isinstance(token, str):
        raise TypeError(f"token is the text that `outbound token add` prints, not {type(token).__name__}")
    stripped = token.strip()
    if not stripped:
        raise ValueError("token is empty: give the text that `outbound token add` prints")
    if not (stripped.isascii() and stripped.isprintable()) or " " in stripped:
        raise ValueError("token has characters that none has: give the text that `outbound token add` prints, alone")
    return stripped


class _Closed(RuntimeError):
    """The client was closed."""

    def __init__(self) -> None:
        super().__init__("this client was closed: make another one")


class _Page(Protocol):
    """A page of a list, and `before` of the one behind it."""

    @property
    def next(self) -> str | int | None: ...


P = TypeVar("P", bound=_Page)


def _pages(find: Callable[[Any], P]) -> Iterator[P]:
    """Each page that *find* gives, from the first on: it is asked with `before`."""
    before = None
    while True:
        page = find(before)
        yield page
        if (before := page.next) is None:
            return


async def _async_pages(find: Callable[[Any], Awaitable[P]]) -> AsyncIterator[P]:
    """`_pages`, of a coroutine."""
    before = None
    while True:
        page = await find(before)
        yield page
        if (before := page.next) is None:
            return


class Client(Operations):
    """
    The API, as functions that wait for the answer.  Threads may share it; a process that is forked has connections of
    its own.

    Args:
        url: where it is, like https://calls.example.com; without /v1.
        token: of `outbound token add`; spaces and line feeds around it are left out.
        timeout_s: seconds until a try is given up.

    Raises:
        ValueError: the url or the token is none.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._settings = _settings(url, token, timeout_s)
        self._http, self._pid = httpx.Client(**self._settings), os.getpid()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a forked process leaves those of its parent open."""
        self._is_closed = True
        if self._pid == os.getpid():
            self._http.close()

    def _connections(self) -> httpx.Client:
        """The connections of this process: two that write to one socket would read each other's answers."""
        if self._is_closed:
            raise _Closed
        if self._pid != os.getpid():
            self._http, self._pid = httpx.Client(**self._settings), os.getpid()
        return self._http

    def _ask(self, asking: Asking, answer: type[T]) -> T:
        return asking.read(self._sent(asking), answer)

    def _lines(self, asking: Asking) -> Iterator[str]:
        http, arguments = self._connections(), asking.arguments()
        with asking.reading(), http.stream(**arguments) as answer:
            if not answer.is_success:
                answer.read()
            refuse(answer)
            asking.refuse_another_stream(answer)
            splitter = Splitter()
            for piece in answer.iter_bytes():
                yield from splitter.take(piece)
            yield from splitter.rest()

    def _sent(self, asking: Asking) -> httpx.Response:
        asking.refuse_iterators(AsyncIterable, "an iterator of bytes")
        while True:
            failure: httpx.RequestError | httpx.Response
            http, arguments = self._connections(), asking.arguments()
            try:
                failure = http.request(**arguments)
                if failure.is_success:
                    return failure
            except httpx.RequestError as error:
                failure = error
            except Exception as error:
                raise asking.failed(error) from error
            wait_s = asking.wait_after(failure)
            if wait_s is not None:
                time.sleep(wait_s)
            elif isinstance(failure, httpx.Response):
                refuse(failure, asking.key)
            else:
                raise asking.failed(failure) from failure

    def follow_events(self, *, after: str | None = None, types: list[str] | None = None) -> Iterator[WebhookEvent]:
        """
        Each event as it happens, for ever; after a stream that broke it goes on behind the last one.

        Args:
            after: the `place` of an event; by default it begins now.
            types: of events; by default all.

        Raises:
            Refused: the API says no.
        """
        lines, stumbles = Lines(after), Stumbles(RECONNECT_S)
        while True:
            with stumbles.passing():
                for line in self.stream_events(event_type=types, after=lines.place):
                    yield from lines.read(line)
            time.sleep(stumbles.wait_s)

    def every_call(self, **filters: Any) -> Iterator[models.Call]:
        """The calls that `list_calls` finds, page after page."""
        for page in _pages(lambda before: self.list_calls(**filters, limit=PAGE, before=before)):
            yield from page.calls

    def every_campaign(self, **filters: Any) -> Iterator[models.Campaign]:
        """The campaigns that `list_campaigns` finds, page after page."""
        for page in _pages(lambda before: self.list_campaigns(**filters, limit=PAGE, before=before)):
            yield from page.campaigns

    def every_lead(self, **filters: Any) -> Iterator[models.Lead]:
        """The leads that `list_leads` finds, page after page."""
        for page in _pages(lambda before: self.list_leads(**filters, limit=PAGE, before=before)):
            yield from page.leads

    def every_business(self) -> Iterator[models.Business]:
        """The businesses that `list_businesses` finds, page after page."""
        for page in _pages(lambda before: self.list_businesses(limit=PAGE, before=before)):
            yield from page.businesses

    def every_destination(self) -> Iterator[models.Destination]:
        """The entries that `list_destinations` finds, page after page."""
        for page in _pages(lambda before: self.list_destinations(limit=PAGE, before=before)):
            yield from page.destinations

    def every_retry_policy(self, **filters: Any) -> Iterator[models.RetryPolicy]:
        """The retry policies that `list_retry_policies` finds, page after page."""
        for page in _pages(lambda before: self.list_retry_policies(**filters, limit=PAGE, before=before)):
            yield from page.retry_policies

    def every_token(self) -> Iterator[models.Token]:
        """The tokens that `list_tokens` finds, page after page."""
        for page in _pages(lambda before: self.list_tokens(limit=PAGE, before=before)):
            yield from page.tokens

    def every_webhook(self) -> Iterator[models.Endpoint]:
        """The endpoints that `list_webhooks` finds, page after page."""
        for page in _pages(lambda before: self.list_webhooks(limit=PAGE, before=before)):
            yield from page.endpoints

    def every_delivery(self, endpoint_id: int, **filters: Any) -> Iterator[models.Delivery]:
        """The deliveries that `list_webhook_deliveries` finds, page after page."""
        pages = _pages(lambda before: self.list_webhook_deliveries(endpoint_id, **filters, limit=PAGE, before=before))
        for page in pages:
            yield from page.deliveries

    def every_window(self) -> Iterator[models.Window]:
        """The windows that `list_windows` finds, page after page."""
        for page in _pages(lambda before: self.list_windows(limit=PAGE, before=before)):
            yield from page.windows


class AsyncClient(AsyncOperations):
    """The API, as coroutines; see `Client`.  Event loops may share it, one after the other or side by side."""

    def __init__(self, url: str, token: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._settings = _settings(url, token, timeout_s)
        self._pools: dict[tuple[int, asyncio.AbstractEventLoop], httpx.AsyncClient] = {}
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections of this event loop; those of others end with them."""
        self._is_closed = True
        here = self._pools.pop((os.getpid(), asyncio.get_running_loop()), None)
        self._pools.clear()
        if here is not None:
            await here.aclose()

    def _connections(self) -> httpx.AsyncClient:
        """The connections of this process and event loop; those of a loop that has ended are of no use."""
        if self._is_closed:
            raise _Closed
        here = os.getpid(), asyncio.get_running_loop()
        if here not in self._pools:
            for pid, loop in list(self._pools):
                if pid != here[0] or loop.is_closed():
                    self._pools.pop((pid, loop), None)
            self._pools[here] = httpx.AsyncClient(**self._settings)
        return self._pools[here]

    async def _ask(self, asking: Asking, answer: type[T]) -> T:
        return asking.read(await self._sent(asking), answer)

    async def _lines(self, asking: Asking) -> AsyncIterator[str]:
        http, arguments = self._connections(), asking.arguments()
        with asking.reading():
            async with http.stream(**arguments) as answer:
                if not answer.is_success:
                    await answer.aread()
                refuse(answer)
                asking.refuse_another_stream(answer)
                splitter = Splitter()
                async for piece in answer.aiter_bytes():
                    for line in splitter.take(piece):
                        yield line
                for line in splitter.rest():
                    yield line

    async def _sent(self, asking: Asking) -> httpx.Response:
        asking.refuse_iterators(Iterable, "an async iterator of bytes")
        while True:
            failure: httpx.RequestError | httpx.Response
            http, arguments = self._connections(), asking.arguments()
            try:
                failure = await http.request(**arguments)
                if failure.is_success:
                    return failure
            except httpx.RequestError as error:
                failure = error
            except Exception as error:
                raise asking.failed(error) from error
            wait_s = asking.wait_after(failure)
            if wait_s is not None:
                await asyncio.sleep(wait_s)
            elif isinstance(failure, httpx.Response):
                refuse(failure, asking.key)
            else:
                raise asking.failed(failure) from failure

    async def follow_events(
        self, *, after: str | None = None, types: list[str] | None = None
    ) -> AsyncIterator[WebhookEvent]:
        """Each event as it happens; see `Client.follow_events`."""
        lines, stumbles = Lines(after), Stumbles(RECONNECT_S)
        while True:
            with stumbles.passing():
                stream: Any = self.stream_events(event_type=types, after=lines.place)
                async with aclosing(stream):  # at once where nobody reads on, not when it is collected
                    async for line in stream:
                        for event in lines.read(line):
                            yield event
            await asyncio.sleep(stumbles.wait_s)

    async def every_call(self, **filters: Any) -> AsyncIterator[models.Call]:
        """The calls that `list_calls` finds, page after page."""
        async for page in _async_pages(lambda before: self.list_calls(**filters, limit=PAGE, before=before)):
            for one in page.calls:
                yield one

    async def every_campaign(self, **filters: Any) -> AsyncIterator[models.Campaign]:
        """The campaigns that `list_campaigns` finds, page after page."""
        async for page in _async_pages(lambda before: self.list_campaigns(**filters, limit=PAGE, before=before)):
            for one in page.campaigns:
                yield one

    async def every_lead(self, **filters: Any) -> AsyncIterator[models.Lead]:
        """The leads that `list_leads` finds, page after page."""
        async for page in _async_pages(lambda before: self.list_leads(**filters, limit=PAGE, before=before)):
            for one in page.leads:
                yield one

    async def every_business(self) -> AsyncIterator[models.Business]:
        """The businesses that `list_businesses` finds, page after page."""
        async for page in _async_pages(lambda before: self.list_businesses(limit=PAGE, before=before)):
            for one in page.businesses:
                yield one

    async def every_destination(self) -> AsyncIterator[models.Destination]:
        """The entries that `list_destinations` finds, page after page."""
        async for page in _async_pages(lambda before: self.list_destinations(limit=PAGE, before=before)):
            for one in page.destinations:
                yield one

    async def every_retry_policy(self, **filters: Any) -> AsyncIterator[models.RetryPolicy]:
        """The retry policies that `list_retry_policies` finds, page after page."""
        async for page in _async_pages(lambda before: self.list_retry_policies(**filters, limit=PAGE, before=before)):
            for one in page.retry_policies:
                yield one

    async def every_token(self) -> AsyncIterator[models.Token]:
        """The tokens that `list_tokens` finds, page after page."""
        async for page in _async_pages(lambda before: self.list_tokens(limit=PAGE, before=before)):
            for one in page.tokens:
                yield one

    async def every_webhook(self) -> AsyncIterator[models.Endpoint]:
        """The endpoints that `list_webhooks` finds, page after page."""
        async for page in _async_pages(lambda before: self.list_webhooks(limit=PAGE, before=before)):
            for one in page.endpoints:
                yield one

    async def every_delivery(self, endpoint_id: int, **filters: Any) -> AsyncIterator[models.Delivery]:
        """The deliveries that `list_webhook_deliveries` finds, page after page."""
        pages = _async_pages(
            lambda before: self.list_webhook_deliveries(endpoint_id, **filters, limit=PAGE, before=before)
        )
        async for page in pages:
            for one in page.deliveries:
                yield one

    async def every_window(self) -> AsyncIterator[models.Window]:
        """The windows that `list_windows` finds, page after page."""
        async for page in _async_pages(lambda before: self.list_windows(limit=PAGE, before=before)):
            for one in page.windows:
                yield one
