"""Signing in with a token, signing out, and the language."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from outbound import db
from outbound.page import inner_api, menu, render, session, words
from outbound.page.route import foreign, problem, set_language
from outbound.page.visit import Refused, language_of, read_form


async def _show(request: Request) -> Response:
    return foreign(request) or _form(request, request.query_params.get("next", ""))


def _form(request: Request, goes_on: str, fault: str | None = None, status: int = 200) -> Response:
    values = {"fault": fault, "next": _next(goes_on), "languages": words.LANGUAGES}
    return render.response(render.text("sign_in.html", language_of(request), values), status)


async def _sign_in(request: Request) -> Response:
    refused = foreign(request)
    if refused is not None:
        return refused
    try:
        fields = await read_form(request)
    except Refused as refusal:
        return problem(request, refusal)
    goes_on = fields.get("next", "")
    api = inner_api.of(request, None, language_of(request))
    text = fields.get("token", "")
    shown = text if text.isascii() and text.isprintable() and text else "none"
    try:
        answer = await api.ask("GET", "/token", headers={"authorization": f"Bearer {shown}"})
        if answer.status == 429:
            return _form(request, goes_on, "sign_in.too_often", 429)
        if answer.status >= 500:
            return _form(request, goes_on, "error.database_away", 503)
        response = RedirectResponse(_next(goes_on), 303, headers=render.HEADERS)
        if answer.is_refused or not await session.begin(answer.body["id"], request, response):
            return _form(request, goes_on, "sign_in.no_token", 401)
    except db.Unavailable:
        return _form(request, goes_on, "error.database_away", 503)
    return response


async def _sign_out(request: Request) -> Response:
    refused = foreign(request)
    if refused is not None:
        return refused
    response = RedirectResponse(f"{menu.ROOT}/sign-in", 303, headers=render.HEADERS)
    try:
        await session.end(request, response)
    except db.Unavailable:
        return _form(request, "", "error.database_away", 503)
    return response


async def _language(request: Request) -> Response:
    refused = foreign(request)
    if refused is not None:
        return refused
    try:
        fields = await read_form(request)
    except Refused as refusal:
        return problem(request, refusal)
    response = RedirectResponse(_next(fields.get("next", "")), 303, headers=render.HEADERS)
    if fields.get("language") in words.LANGUAGES:
        set_language(response, fields["language"])
    return response


def _next(path: str) -> str:
    """Where somebody goes on: one of our own screens, whatever a link to here says."""
    is_own = path.startswith(menu.ROOT + "/") and path.isascii() and path.isprintable() and "\\" not in path
    return path if is_own else f"{menu.ROOT}/"


routes = [
    Route(f"{menu.ROOT}/sign-in", _show, methods=["GET"]),
    Route(f"{menu.ROOT}/sign-in", _sign_in, methods=["POST"]),
    Route(f"{menu.ROOT}/sign-out", _sign_out, methods=["POST"]),
    Route(f"{menu.ROOT}/language", _language, methods=["POST"]),
]
