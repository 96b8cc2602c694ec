"""One request of somebody who is signed in: what was asked for, the API as they see it, and how it is answered."""

from asyncio import Semaphore
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Message

from outbound.api import json_body
from outbound.api.context import Caller
from outbound.api.files import FILE_MAX
from outbound.api.parameters import LIMIT_MAX
from outbound.api.problem import language_of as accepted_language
from outbound.formats import row_id
from outbound.page import inner_api, menu, render, words
from outbound.page.session import Session

FORM_MAX = 64 << 10  # bytes
FILES_AT_ONCE = 2
FIELDS_MAX = 200
LANGUAGE_COOKIE = "outbound-language"
DONE_COOKIE = "outbound-done"
_files = Semaphore(FILES_AT_ONCE)  # that are kept on the disk


class Refused(Exception):
    """
    Something that was asked for is not done; it is shown with its mend.

    Args:
        status: of HTTP.
        title: a short text of the language.
        detail: what is wrong and how it is mended, from the API in English; '' for none.
    """

    def __init__(self, status: int, title: str, detail: str = "") -> None:
        super().__init__(title)
        self.status, self.title, self.detail = status, title, detail


class Visit:
    """
    A request of somebody who is signed in.

    Attributes:
        caller: who it is, and what they may do.
        t: the words of their language.
        api: the API as they see it.
    """

    def __init__(self, request: Request, session: Session, api: inner_api.InnerApi) -> None:
        self.request, self.session, self.api = request, session, api
        self.caller: Caller = session.caller
        self.t = words.of(language_of(request))

    def may(self, scope: str, *, of_all: bool = False) -> bool:
        """Does the token have this scope, and is it of all businesses where that is needed?"""
        return scope in self.caller.scopes and not (of_all and self.caller.business_id is not None)

    async def read(self, *parts: str | int, **query: Any) -> Any:
        """
        What an operation that reads answers: `read("calls", 7, "why")`.

        Raises:
            Refused: the API says no.
        """
        return body_of(await self.api.ask("GET", inner_api.path(*parts), query=query), self.t)

    async def read_every(self, part: str, name: str) -> list[dict[str, Any]]:
        """
        All rows of a list that has pages, the newest first: `read_every("webhooks", "endpoints")`.

        Raises:
            Refused: the API says no.
        """
        found: list[dict[str, Any]] = []
        before = None
        while True:
            page = await self.read(part, limit=LIMIT_MAX, before=before)
            found += page[name]
            if (before := page["next"]) is None:
                return found

    async def businesses(self) -> list[dict[str, Any]]:
        """
        All businesses that they see, oldest first.

        Raises:
            Refused: the API says no.
        """
        return (await self.read_every("businesses", "businesses"))[::-1]

    async def send(self, method: str, *parts: str | int, body: Any = None) -> Any:
        """
        What an operation that writes answers.

        Raises:
            Refused: the API says no, and nothing was changed.
        """
        return body_of(await self.api.ask(method, inner_api.path(*parts), body=body), self.t)

    async def form(self) -> dict[str, str]:
        """
        The fields of a form, each once.

        Raises:
            Refused: it is too large, or no form.
        """
        return await read_form(self.request)

    def whole_number(self, text: str) -> int:
        """
        The whole number, like a row's id, that a field gives.

        Raises:
            Refused: it is none.
        """
        found = row_id.read(text)
        if found is None:
            raise Refused(400, self.t.plain("error.unreadable"))
        return found

    async def file_form(self) -> FormData:
        """
        The fields of a form with a file, which is kept on the disk meanwhile.

        Raises:
            Refused: it is too large, or no form, or others are sending as many files as are taken at once.
        """
        if _files.locked():
            raise Refused(503, self.t.plain("error.files"))
        async with _files:
            return await self._file_form()

    async def _file_form(self) -> FormData:
        size, pieces = 0, json_body.pieces_of(self.request)

        async def receive() -> Message:
            nonlocal size
            piece = await anext(pieces, None)
            size += len(piece or b"")
            if size > FILE_MAX + FORM_MAX:
                raise Refused(413, self.t.plain("error.too_large"))
            return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

        try:
            return await Request(self.request.scope, receive).form(max_files=1, max_fields=20)
        except HTTPException:
            raise Refused(400, self.t.plain("error.unreadable")) from None

    def show(self, template: str, *, screen: str, status: int = 200, **values: Any) -> Response:
        """Answer with a template; *screen* is the entry of the menu that it belongs to."""
        given = {
            "visit": self,
            "menu": menu.entries(self.may),
            "screen": screen,
            "done": done(self.request),
            "languages": words.LANGUAGES,
            "here": address_of(self.request) if self.request.method == "GET" else menu.address_of(screen),
        }
        response = render.response(render.text(template, self.t.language, given | values), status)
        if DONE_COOKIE in self.request.cookies:
            response.delete_cookie(DONE_COOKIE, path=menu.ROOT, httponly=True, samesite="strict")
        return response

    def go(self, where: str, done: str) -> Response:
        """Answer a form: go to a screen, which says once what was done (a key below `done.`)."""
        response = RedirectResponse(where, 303, headers=render.HEADERS)
        response.set_cookie(DONE_COOKIE, done, max_age=30, path=menu.ROOT, httponly=True, samesite="strict")
        return response


def require(visit: Visit, scope: str) -> None:
    """
    Refuse a token that lacks a scope, for what the page does before the API is asked, or without it.

    Raises:
        Refused: names the scope.
    """
    if not visit.may(scope):
        raise Refused(403, visit.t.plain("error.scope"), f"the token lacks the scope `{scope}`: make one that has it")


async def read_form(request: Request) -> dict[str, str]:
    """
    The fields of a form, each once.

    Raises:
        Refused: it is too large, or no form.
    """
    t, content = words.of(language_of(request)), b""
    async for chunk in json_body.pieces_of(request):
        content += chunk
        if len(content) > FORM_MAX:
            raise Refused(413, t.plain("error.too_large"))
    try:
        fields = parse_qs(content.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        raise Refused(400, t.plain("error.unreadable")) from None
    return {name: values[-1].strip() for name, values in fields.items()}


def language_of(request: Request) -> str:
    """The language that somebody has chosen, else the first of their browser that we speak."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in words.LANGUAGES else accepted_language(request.headers.get("accept-language", ""))


def address_of(request: Request) -> str:
    """The address of a screen with its filters, in which no number ever stands."""
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def done(request: Request) -> str | None:
    """The key of what was done before this screen was shown; None where nothing was, or nobody knows the word."""
    key = f"done.{request.cookies.get(DONE_COOKIE, '')}"
    return key if words.of("en").has(key) else None


def body_of(answer: inner_api.Answer, t: words.Words) -> Any:
    """
    What an operation answered.

    Raises:
        Refused: it says no.
    """
    if answer.is_refused:
        raise refused_by_api(answer.status, answer.body, t)
    return answer.body


def refused_by_api(status: int, body: Any, t: words.Words) -> Refused:
    """A refusal of the API, with its title in the language of these words."""
    said = body or {}
    title = said.get("title", "")
    return Refused(status, title and t.sentence(title), said.get("detail", ""))
