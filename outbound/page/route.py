"""Declares screens and actions: who is let in, and what is answered where that is nobody, or where something fails."""

import re
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from outbound import db, logs
from outbound.api import path_numbers
from outbound.api.problem import Problem
from outbound.errors import UserError
from outbound.page import inner_api, menu, render, same_origin, session, words
from outbound.page.visit import LANGUAGE_COOKIE, Refused, Visit, address_of, language_of

path_numbers.bound()
log = logs.get("page")

_SCREEN = re.compile(rf"{menu.ROOT}/(?:[a-z]+(?:/[0-9]+)?)?")  # what a GET shows: a list, or one of its rows

Answer = Callable[[Request], Awaitable[Response]]
Handler = Callable[[Visit], Awaitable[Response]]


class Screens:
    """The routes of one module of screens."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def shows(self, path: str) -> Callable[[Handler], Handler]:
        """Declare what answers a GET below /page."""
        return self._register(path, "GET")

    def does(self, path: str) -> Callable[[Handler], Handler]:
        """Declare what answers a form that is sent to a path below /page."""
        return self._register(path, "POST")

    def _register(self, path: str, method: str) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.routes.append(Route(menu.ROOT + path, guarded(_signed_in(handler)), methods=[method]))
            return handler

        return register


def guarded(answer: Answer) -> Answer:
    """Answer nobody whom another site has sent, and with a screen where something fails."""

    async def guard(request: Request) -> Response:
        try:
            return foreign(request) or await answer(request)
        except Refused as refusal:
            return problem(request, refusal)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it
        except (Problem, UserError) as error:
            return problem(request, Refused(getattr(error, "status", 422), "", str(error)))
        except db.Unavailable as error:
            log.outage("page.database_away", error)
            return problem(request, Refused(503, words.of(language_of(request)).plain("error.database_away")))
        except Exception as error:  # noqa: BLE001 (its text may hold a row's data)
            log.error("page.fault", error=type(error).__name__, sqlstate=db.fault(error)[0])
            return problem(request, Refused(500, words.of(language_of(request)).plain("error.fault")))

    return guard


def _signed_in(handler: Handler) -> Answer:
    async def answer(request: Request) -> Response:
        signed_in = await session.of(request)
        if signed_in is None:
            return _to_sign_in(request)
        request.state.is_let_in()
        return await handler(_visit(request, signed_in))

    return answer


def _visit(request: Request, signed_in: session.Session) -> Visit:
    return Visit(request, signed_in, inner_api.of(request, signed_in.caller))


def foreign(request: Request) -> Response | None:
    """The answer to a request that another site has made a browser send; None where it is ours."""
    t = words.of(language_of(request))
    if not same_origin.is_own_host(request):
        return problem(request, Refused(421, t.plain("error.other_host"), "OUTBOUND_PAGE_URL"))
    if request.method == "POST" and not same_origin.is_own_form(request):
        return problem(request, Refused(403, t.plain("error.other_site")))
    return None


def _to_sign_in(request: Request) -> Response:
    if request.method != "POST":
        return _sign_in_for(address_of(request))
    # A form is not done once somebody has signed in again: they see the screen that it was on, and send it again.
    sent_from = urlsplit(request.headers.get("referer", "")).path
    screen = _SCREEN.match(sent_from) or _SCREEN.match(request.url.path)
    return _sign_in_for(screen[0] if screen else f"{menu.ROOT}/", "&undone=")


def _sign_in_for(back: str, more: str = "") -> Response:
    return RedirectResponse(f"{menu.ROOT}/sign-in?next={quote(back)}{more}", 303, headers=render.HEADERS)


def problem(request: Request, refusal: Refused) -> Response:
    """The screen that says what is not done, and why."""
    values = {
        "status": refusal.status,
        "title": refusal.title,
        "detail": refusal.detail,
        "comes_back": refusal.status == 503 and request.method == "GET",
    }
    return render.response(render.text("problem.html", language_of(request), values), refusal.status)


def set_language(response: Response, language: str) -> None:
    """Keep the language that somebody has chosen, for a year."""
    response.set_cookie(LANGUAGE_COOKIE, language, max_age=31_536_000, path="/", httponly=True, samesite="lax")
