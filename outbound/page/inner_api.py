"""Calls of the API's operations inside this process, as somebody who is signed in to the page."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlencode

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Send

from outbound.api.context import CALLER, IS_STILL_IN, PREFIX, Caller
from outbound.api.problem import not_found
from outbound.page import session


class Answer(NamedTuple):
    """What an operation answered: `body` is its JSON, the problem where the status is 400 or more; None without one."""

    status: int
    body: Any

    @property
    def is_refused(self) -> bool:
        """Did it say no?"""
        return self.status >= 400


class InnerApi:
    """
    The API as one caller sees it, in English: the page shows what is refused in its own language.

    Args:
        api: the API's ASGI application.
        caller: who asks; None for somebody who shows a token in *headers*.
        client: the address and port that the request came from, by which refused tokens are counted.
        is_still_in: asks whether the caller is still signed in, before each request and between its parts.
    """

    def __init__(
        self,
        api: ASGIApp,
        caller: Caller | None,
        client: tuple[str, int] | None,
        is_still_in: Callable[[], Awaitable[bool]],
    ) -> None:
        self._api, self._caller, self._client, self._is_still_in = api, caller, client, is_still_in

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """
        Call an operation and read its whole answer.

        Args:
            path: below /v1, each part as it is: `path("calls", 7)` makes one.
            query: parameters; those that are None or '' are left out, a list gives one for each.
            body: what is sent as JSON; None sends no body.
        """
        sent = b"" if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"content-type": "application/json", "content-length": str(len(sent))}
        return await self._exchange(method, path, query or {}, kind | dict(headers or {}), _once(sent))

    async def send_file(
        self,
        path: str,
        kind: str,
        chunks: AsyncIterator[bytes],
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call an operation that reads a file of a content type as it comes."""
        own = {"content-type": kind, "transfer-encoding": "chunked"}
        return await self._exchange("POST", path, query or {}, own | dict(headers or {}), chunks)

    async def stream(self, path: str, query: Mapping[str, Any], kind: str, receive: Receive, send: Send) -> None:
        """Have an operation answer with rows of a content type as it finds them; its messages go to *send*."""
        await self._api(self._scope("GET", path, query, {"accept": kind}), receive, send)

    async def _exchange(
        self, method: str, path: str, query: Mapping[str, Any], headers: dict[str, str], chunks: AsyncIterator[bytes]
    ) -> Answer:
        status, parts = 500, []

        async def receive() -> Message:
            async for chunk in chunks:
                return {"type": "http.request", "body": chunk, "more_body": True}
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))

        await self._api(self._scope(method, path, query, headers), receive, send)
        content = b"".join(parts)
        return Answer(status, json.loads(content) if content else None)

    def _scope(self, method: str, path: str, query: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(PREFIX + path),
            "raw_path": (PREFIX + path).encode(),
            "root_path": "",
            "query_string": urlencode(given, doseq=True).encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": self._client,
            "server": None,
            CALLER: self._caller,
            IS_STILL_IN: self._is_still_in,
        }


def of(request: Request, caller: Caller | None) -> InnerApi:
    """The API for the sender of a request, as *caller* sees it."""
    client = None if request.client is None else (request.client.host, request.client.port)

    async def is_still_in() -> bool:
        signed_in = await session.of(request)
        return signed_in is not None and signed_in.caller == caller

    return InnerApi(request.app, caller, client, is_still_in)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    if content:
        yield content


def path(*parts: str | int) -> str:
    """
    The path of these parts.

    Raises:
        Problem: 404, one of them has a slash, which would make two of it.
    """
    if any("/" in str(part) for part in parts):
        raise not_found("resource")
    return "".join(f"/{quote(str(part), safe='+:')}" for part in parts)
