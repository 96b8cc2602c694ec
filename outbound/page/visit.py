"""One request of somebody who is signed in: what was asked for, the API as they see it, and how it is answered."""

from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Message

from outbound.api.context import Caller
from outbound.api.files import FILE_MAX
from outbound.page import inner_api, menu, render, words
from outbound.page.session import Session

FORM_MAX = 64 << 10  # bytes
FIELDS_MAX = 200


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
        return body_of(await self.api.ask("GET", inner_api.path(*parts), query=query))

    async def send(self, method: str, *parts: str | int, body: Any = None) -> Any:
        """
        What an operation that writes answers.

        Raises:
            Refused: the API says no, and nothing was changed.
        """
        return body_of(await self.api.ask(method, inner_api.path(*parts), body=body))

    async def form(self) -> dict[str, str]:
        """
        The fields of a form, each once.

        Raises:
            Refused: it is too large, or no form.
        """
        content = b""
        async for chunk in self.request.stream():
            content += chunk
            if len(content) > FORM_MAX:
                raise Refused(413, self.t.plain("error.too_large"))
        try:
            fields = parse_qs(content.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)
        except ValueError:
            raise Refused(400, self.t.plain("error.unreadable")) from None
        return {name: values[-1].strip() for name, values in fields.items()}

    async def file_form(self) -> FormData:
        """
        The fields of a form with a file, which is kept on the disk meanwhile.

        Raises:
            Refused: it is too large, or no form.
        """
        size = 0

        async def receive() -> Message:
            nonlocal size
            message = await self.request.receive()
            size += len(message.get("body", b""))
            if size > FILE_MAX + FORM_MAX:
                raise Refused(413, self.t.plain("error.too_large"))
            return message

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
        }
        return render.response(render.text(template, self.t.language, given | values), status)

    def go(self, where: str, done: str) -> Response:
        """Answer a form: go to a screen, which says what was done (a key below `done.`)."""
        return RedirectResponse(f"{where}{'&' if '?' in where else '?'}done={done}", 303, headers=render.HEADERS)


def require(visit: Visit, scope: str) -> None:
    """
    Refuse a token that lacks a scope, for what the page does before the API is asked, or without it.

    Raises:
        Refused: names the scope.
    """
    if not visit.may(scope):
        raise Refused(403, visit.t.plain("error.scope"), f"the token lacks the scope `{scope}`: make one that has it")


def language_of(request: Request) -> str:
    """The language that somebody has chosen, else the first of their browser that we speak."""
    from outbound.api.problem import language_of as of_header

    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in words.LANGUAGES else of_header(request.headers.get("accept-language", ""))


LANGUAGE_COOKIE = "outbound-language"


def done(request: Request) -> str | None:
    """The key of what was done before this screen was shown; None where nothing was, or nobody knows the word."""
    key = f"done.{request.query_params.get('done', '')}"
    return key if words.of("en").has(key) else None


def body_of(answer: inner_api.Answer) -> Any:
    """
    What an operation answered.

    Raises:
        Refused: it says no.
    """
    if answer.is_refused:
        body = answer.body or {}
        raise Refused(answer.status, body.get("title", ""), body.get("detail", ""))
    return answer.body
