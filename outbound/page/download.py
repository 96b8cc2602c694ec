"""Files that a browser saves: the rows that an operation of the API streams, as it finds them."""

import json
from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from outbound.api.files import CSV
from outbound.page import inner_api, render
from outbound.page.route import problem
from outbound.page.visit import Visit, refused_by_api


class Download(Response):
    """
    The answer with a file of CSV.

    Args:
        name: of the file, of ASCII letters; it holds nothing of anybody's.
        parts: the operation's path; *query*: its parameters.
    """

    def __init__(self, visit: Visit, name: str, *parts: str | int, **query: Any) -> None:
        super().__init__()
        self._visit, self._path, self._query = visit, inner_api.path(*parts), query
        self._mark = BOM_UTF8  # without it Excel takes Hebrew for the letters of the machine's own code page
        self._start: Message = {
            "type": "http.response.start",
            "status": 200,
            "headers": _raw(
                render.HEADERS
                | {"content-type": f"{CSV}; charset=utf-8", "content-disposition": f'attachment; filename="{name}"'}
            ),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer: with the file, or with the screen that says why there is none."""
        refused, parts = 0, []

        async def pass_on(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = message["status"] if message["status"] >= 400 else 0
                if not refused:
                    await send(self._start)
            elif refused:
                parts.append(message.get("body", b""))
            else:
                mark, self._mark = self._mark, b""
                await send({**message, "body": mark + message.get("body", b"")})

        await self._visit.api.stream(self._path, self._query, CSV, receive, pass_on)
        if refused:
            refusal = refused_by_api(refused, json.loads(b"".join(parts)), self._visit.t)
            await problem(self._visit.request, refusal)(scope, receive, send)


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]
