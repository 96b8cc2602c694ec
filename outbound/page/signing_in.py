"""Signing in with a token, signing out, and the language."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from outbound.page import inner_api, menu, render, session, words
from outbound.page.route import guarded, set_language
from outbound.page.visit import language_of, read_form


async def _show(request: Request) -> Response:
    return _form(request, request.query_params.get("next", ""), was_undone="undone" in request.query_params)


def _form(
    request: Request, goes_on: str, fault: str | None = None, status: int = 200, *, was_undone: bool = False
) -> Response:
    values = {"fault": fault, "was_undone": was_undone, "next": _next(goes_on), "languages": words.LANGUAGES}
    return render.response(render.text("sign_in.html", language_of(request), values), status)


async def _sign_in(request: Request) -> Response:
    fields = await read_form(request)
    goes_on = fields.get("next", "")
    api = inner_api.of(request, None)
    text = fields.get("token", "")
    shown = text if text.isascii() and text.isprintable() and text else "none"
    answer = await api.ask("GET", "/token", headers={"authorization": f"Bearer {shown}"})
    if answer.status == 429:
        return _form(request, goes_on, "sign_in.too_often", 429)
    if answer.status >= 500:
        return _form(request, goes_on, "error.database_away", 503)
    response = RedirectResponse(_next(goes_on), 303, headers=render.HEADERS)
    if answer.is_refused or not await session.begin(answer.body["id"], request, response):
        return _form(request, goes_on, "sign_in.no_token", 401)
    return response


async def _sign_out(request: Request) -> Response:
    response = RedirectResponse(f"{menu.ROOT}/sign-in", 303, headers=render.HEADERS)
    await session.end(request, response)
    return response


async def _language(request: Request) -> Response:
    fields = await read_form(request)
    response = RedirectResponse(_next(fields.get("next", "")), 303, headers=render.HEADERS)
    if fields.get("language") in words.LANGUAGES:
        set_language(response, fields["language"])
    return response


def _next(path: str) -> str:
    """Where somebody goes on: one of our own screens, whatever a link to here says."""
    is_own = path.startswith(menu.ROOT + "/") and path.isascii() and path.isprintable() and "\\" not in path
    return path if is_own else f"{menu.ROOT}/"


routes = [
    Route(f"{menu.ROOT}/sign-in", guarded(_show), methods=["GET"]),
    Route(f"{menu.ROOT}/sign-in", guarded(_sign_in), methods=["POST"]),
    Route(f"{menu.ROOT}/sign-out", guarded(_sign_out), methods=["POST"]),
    Route(f"{menu.ROOT}/language", guarded(_language), methods=["POST"]),
]
