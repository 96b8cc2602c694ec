"""The page's routes beside those of the API, in its process."""

from pathlib import Path

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from outbound import db
from outbound.api.app import app as api_app
from outbound.api.context import Caller
from outbound.api.context import sql as context_sql
from outbound.config import settings
from outbound.errors import UserError
from outbound.formats import row_id
from outbound.page import live, menu, now_reader, render, session, signing_in, words
from outbound.page.route import foreign, problem
from outbound.page.screens import (
    callees,
    calls,
    campaign,
    campaign_files,
    campaigns,
    control,
    health,
    leads,
    now,
    tokens,
    webhooks,
    windows,
)
from outbound.page.visit import Refused, language_of
from outbound.rules import api_token

SCREENS = (
    now.screens,
    campaigns.screens,
    campaign.screens,
    campaign_files.screens,
    calls.screens,
    callees.screens,
    leads.screens,
    windows.screens,
    control.screens,
    webhooks.screens,
    tokens.screens,
    health.screens,
)
_STATIC = Path(__file__).parent / "static"
_TOPICS_MAX = 50  # of one stream


def app() -> FastAPI:
    """
    The API's application, with the page.

    Raises:
        UserError: a setting names a scope that there is none of.
    """
    unknown = set(settings().page_user_scopes.split()) - api_token.SCOPES.keys()
    if unknown:
        raise UserError(
            f"OUTBOUND_PAGE_USER_SCOPES: there is no {unknown.pop()}; there are {' '.join(api_token.SCOPES)}"
        )
    application, reader = api_app(), now_reader.Reader()
    application.state.reader = reader
    application.state.examiner = health.Examiner()
    application.state.live = live.Live(reader, now.parts)
    routes = [
        Route("/", _root),
        *signing_in.routes,
        Route(f"{menu.ROOT}/live", _live),
        *(route for screens in SCREENS for route in screens.routes),
    ]
    application.router.routes.extend(routes)
    application.mount(f"{menu.ROOT}/static", _Static(directory=_STATIC))
    application.router.routes.append(Route(menu.ROOT + "{rest:path}", _no_screen))
    return application


class _Static(StaticFiles):
    """Files of the page, which a browser asks for again at each start of a new version."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """Answer with a file."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers.update(render.HEADERS | {"cache-control": "no-cache"})
        return response


async def _root(_: Request) -> Response:
    return RedirectResponse(f"{menu.ROOT}/", 303, headers=render.HEADERS)


async def _no_screen(request: Request) -> Response:
    t = words.of(language_of(request))
    return foreign(request) or problem(request, Refused(404, t.plain("error.no_screen")))


async def _live(request: Request) -> Response:
    refused = foreign(request)
    if refused is not None:
        return refused
    signed_in = await session.of(request)
    if signed_in is None:
        return Response(status_code=401, headers=render.HEADERS)
    streams: live.Live = request.app.state.live
    if streams.is_full(signed_in.mark):
        return Response(status_code=503, headers=render.HEADERS | {"retry-after": "30"})
    if "calls:read" not in signed_in.caller.scopes:
        return Response(status_code=403, headers=render.HEADERS)
    if request.query_params.get("session") != signed_in.mark:
        return Response(status_code=409, headers=render.HEADERS)  # the tab was of another sign-in
    topics = await run_in_threadpool(_topics, request, signed_in.caller)
    if not topics:
        return Response(status_code=400, headers=render.HEADERS)

    async def is_let_in() -> bool:
        try:
            now_in = await session.of(request)
            return now_in is not None and now_in.mark == signed_in.mark
        except db.Unavailable:
            return True

    headers = render.HEADERS | {"x-accel-buffering": "no"}
    return StreamingResponse(
        streams.stream(topics, signed_in.mark, is_let_in, request.state.stopping),
        media_type="text/event-stream",
        headers=headers,
    )


def _topics(request: Request, caller: Caller) -> list[live.Topic]:
    """What a stream is asked to watch, as far as the token may see it: `?watch=now:en&watch=call:7`."""
    own = {"call": context_sql.is_own_call, "campaign": context_sql.is_own_campaign}
    business_id, topics = caller.business_id, []
    for text in request.query_params.getlist("watch")[-_TOPICS_MAX:]:
        kind, _, number = text.partition(":")
        if kind == "now" and number in words.LANGUAGES:
            may_control = "control" in caller.scopes
            topics.append(live.Topic("now", business_id or now_reader.OF_ALL, number, may_control))
        elif kind in own:
            wanted = row_id.read(number)
            if wanted is not None and db.run(own[kind], business_id=business_id, id=wanted):
                topics.append(live.Topic(kind, wanted))
    return topics
