"""The web process: the carrier's callbacks, /metrics, /healthz, /readyz; what a request means, calls/ decides."""

import asyncio
import hmac

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from outbound.carrier import callback_tag
from outbound.config import settings
from outbound.monitoring import health, metrics
from outbound.web.callback_batcher import CallbackBatcher
from outbound.web.callbacks import answered_by, inbound_status, status_callback, voice_inbound
from outbound.web.presence import keep_saying_so
from outbound.web.protocol import BoundedHttp
from outbound.web.server import make

_READY_S = 8  # a prober gets his answer within this, whatever hangs


class _TagConvertor(StringConvertor):
    regex = callback_tag.TAG.pattern


register_url_convertor("callback_tag", _TagConvertor())


def app() -> Starlette:
    """The ASGI application."""
    application = Starlette(
        routes=[
            Route("/callbacks/inbound", inbound_status, methods=["POST"]),
            Route("/callbacks/{call_id}/{tag:callback_tag}", status_callback, methods=["POST"]),
            Route("/callbacks/{call_id}/{tag:callback_tag}/answered-by", answered_by, methods=["POST"]),
            # As the version before made them: such calls may be in the air.
            Route("/callbacks/{call_id}", status_callback, methods=["POST"]),
            Route("/callbacks/{call_id}/answered-by", answered_by, methods=["POST"]),
            Route("/voice/inbound", voice_inbound, methods=["POST"]),
            Route("/metrics", show_metrics),
            Route("/healthz", healthz),
            Route("/readyz", _Readiness()),
        ]
    )
    application.state.callback_batcher = CallbackBatcher()
    application.router.redirect_slashes = False  # such a redirect would lead to whatever host the request names
    return application


def server(host: str, port: int) -> uvicorn.Server:
    """A server for it; call `run()`."""
    return make(app(), host, port, protocol=BoundedHttp, beside=keep_saying_so)


async def show_metrics(request: Request) -> Response:
    """Return what Prometheus reads; with OUTBOUND_METRICS_TOKEN set, only for who shows it."""
    if not _is_ours(request):
        how = {"www-authenticate": "Bearer"}
        return PlainTextResponse("give OUTBOUND_METRICS_TOKEN as a bearer token\n", 401, headers=how)
    return Response(await run_in_threadpool(metrics.exposition), headers={"content-type": metrics.CONTENT_TYPE})


def _is_ours(request: Request) -> bool:
    """Does this show OUTBOUND_METRICS_TOKEN?  Where none is set, every client may see what it protects."""
    token = settings().metrics_token
    if token is None:
        return True
    wanted = f"Bearer {token.get_secret_value()}"
    return hmac.compare_digest(request.headers.get("authorization", "").encode(), wanted.encode())


async def healthz(_request: Request) -> Response:
    """The process is alive; it says so too while the database is away."""
    return PlainTextResponse("ok\n")


class _Readiness:
    """
    Calls can be made, or 503 and what is missing; a pause is named, and is no 503.

    By whom and why it was paused needs OUTBOUND_METRICS_TOKEN, where that is set: a reason may name somebody.
    There is one look at a time, shared by all who ask meanwhile: probes must not add to the trouble that they find.
    """

    def __init__(self) -> None:
        self._look: asyncio.Task[health.Health] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = await self._found()
        body = found.as_json(with_reasons=_is_ours(Request(scope)))
        answer = JSONResponse(body, 503 if found.missing else 200)
        await answer(scope, receive, send)

    async def _found(self) -> health.Health:
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(run_in_threadpool(health.check))
        try:
            return await asyncio.wait_for(asyncio.shield(self._look), _READY_S)
        except TimeoutError:
            return health.Health({"database": f"gave no answer within {_READY_S} s"}, {})
