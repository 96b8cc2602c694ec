"""The two clients: what each operation of the API needs beside its arguments, and iterators over pages."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import httpx

from outbound_client import models
from outbound_client.events import RECONNECT_S, Lines, WebhookEvent
from outbound_client.operations import AsyncOperations, Operations
from outbound_client.transport import Asking, Splitter, Stumbles, refuse

T = TypeVar("T")
TIMEOUT_S = 30.0
PAGE = 1000


def _settings(url: str, token: str, timeout_s: float) -> dict[str, Any]:
    return {
        "base_url": f"{url.rstrip('/')}/v1",
        "headers": {"authorization": f"Bearer {token}"},
        "timeout": timeout_s,
        "follow_redirects": False,
    }


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
    The API, as functions that wait for the answer.

    Args:
        url: where it is, like https://calls.example.com; without /v1.
        token: of `outbound token add`.
        timeout_s: seconds until a try is given up.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._http = httpx.Client(**_settings(url, token, timeout_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(self, asking: Asking, answer: type[T]) -> T:
        return asking.read(self._sent(asking), answer)

    def _lines(self, asking: Asking) -> Iterator[str]:
        with asking.reading(), self._http.stream(**asking.arguments()) as answer:
            if not answer.is_success:
                answer.read()
            refuse(answer)
            asking.refuse_another_stream(answer)
            splitter = Splitter()
            for piece in answer.iter_bytes():
                yield from splitter.take(piece)
            yield from splitter.rest()

    def _sent(self, asking: Asking) -> httpx.Response:
        while True:
            failure: httpx.RequestError | httpx.Response
            try:
                failure = self._http.request(**asking.arguments())
                if failure.is_success:
                    return failure
            except httpx.RequestError as error:
                failure = error
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

    def every_window(self) -> Iterator[models.Window]:
        """The windows that `list_windows` finds, page after page."""
        for page in _pages(lambda before: self.list_windows(limit=PAGE, before=before)):
            yield from page.windows


class AsyncClient(AsyncOperations):
    """The API, as coroutines; see `Client`."""

    def __init__(self, url: str, token: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._http = httpx.AsyncClient(**_settings(url, token, timeout_s))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(self, asking: Asking, answer: type[T]) -> T:
        return asking.read(await self._sent(asking), answer)

    async def _lines(self, asking: Asking) -> AsyncIterator[str]:
        with asking.reading():
            async with self._http.stream(**asking.arguments()) as answer:
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
        while True:
            failure: httpx.RequestError | httpx.Response
            try:
                failure = await self._http.request(**asking.arguments())
                if failure.is_success:
                    return failure
            except httpx.RequestError as error:
                failure = error
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

    async def every_window(self) -> AsyncIterator[models.Window]:
        """The windows that `list_windows` finds, page after page."""
        async for page in _async_pages(lambda before: self.list_windows(limit=PAGE, before=before)):
            for one in page.windows:
                yield one
