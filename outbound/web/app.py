"""The web process: the carrier's callbacks, /metrics, /healthz, /readyz; what a request means, calls/ decides."""

import asyncio
import hmac
import socket
from contextlib import suppress
from functools import partial
from types import FrameType

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
from outbound.processes import systemd_notify
from outbound.web.callback_batcher import CallbackBatcher
from outbound.web.callbacks import answered_by, inbound_status, status_callback, voice_inbound
from outbound.web.connections import Connections
from outbound.web.presence import keep_saying_so
from outbound.web.protocol import BoundedHttp

_TICK_S = 1  # between two looks at the clock, for the answers' Date, and at whether it is time to stop
_LAST_REQUESTS_S = 0.5  # who was let in just before we stop has this long to say what he wants
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
    connections = Connections(settings().web_connections_max, settings().web_connections_per_address)
    return _Server(
        uvicorn.Config(
            app(),
            host=host,
            port=port,
            http=partial(BoundedHttp, connections=connections),  # type: ignore[arg-type]
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=15,  # no callback takes longer: the carrier gives up after 15 s
            callback_notify=_Pulse() if systemd_notify.is_supervised() else None,
            timeout_notify=_TICK_S,
        )
    )


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told_to_stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Tick until it is time to stop; uvicorn's own wakes ten times a second."""
        self._loop = asyncio.get_running_loop()
        presence = self._loop.create_task(keep_saying_so())
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told_to_stop.wait(), _TICK_S)
        presence.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: stop at once, not at the next tick."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told_to_stop.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting and finish open requests; under socket activation new ones wait for the next process."""
        systemd_notify.stopping()
        for listener in self.servers:
            listener.close()
        await asyncio.sleep(_LAST_REQUESTS_S)  # uvicorn would hang up on who has not spoken yet
        await super().shutdown(sockets)


class _Pulse:
    """Pings the systemd watchdog from a thread of the pool, at the event loop's request: both must be working."""

    def __init__(self) -> None:
        self._beat: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        if self._beat is None or self._beat.done():
            self._beat = asyncio.create_task(run_in_threadpool(systemd_notify.at_work))


async def show_metrics(request: Request) -> Response:
    """What Prometheus reads; with OUTBOUND_METRICS_TOKEN set, only for who shows it."""
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

    Who paused and why needs OUTBOUND_METRICS_TOKEN, where that is set: a reason may name somebody.
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
            self._look = asyncio.create_task(run_in_threadpool(health.look))
        try:
            return await asyncio.wait_for(asyncio.shield(self._look), _READY_S)
        except TimeoutError:
            return health.Health({"database": f"gave no answer within {_READY_S} s"}, {})
