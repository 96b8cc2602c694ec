"""The web process: the carrier's callbacks, /metrics and /healthz.  Doors only; every decision is a step's."""

import hmac

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from outbound import metrics
from outbound.config import settings
from outbound.web.callbacks import inbound_status, status_callback, voice_inbound


def app() -> Starlette:
    """The ASGI application."""
    doors = Starlette(
        routes=[
            Route("/callbacks/inbound", inbound_status, methods=["POST"]),
            Route("/callbacks/{call_id}", status_callback, methods=["POST"]),
            Route("/voice/inbound", voice_inbound, methods=["POST"]),
            Route("/metrics", show_metrics),
            Route("/healthz", healthz),
        ]
    )
    doors.router.redirect_slashes = False  # such a redirect would lead to whatever host the request names
    return doors


def server(host: str, port: int) -> uvicorn.Server:
    """A server for it; call `run()`."""
    return uvicorn.Server(
        uvicorn.Config(
            app(),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=15,  # no callback takes longer: the carrier gives up after 15 s
        )
    )


async def show_metrics(request: Request) -> Response:
    """What Prometheus reads; with OUTBOUND_METRICS_TOKEN set, only for who shows it."""
    token = settings().metrics_token
    if token is not None:
        wanted = f"Bearer {token.get_secret_value()}"
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), wanted.encode()):
            how = {"www-authenticate": "Bearer"}
            return PlainTextResponse("give OUTBOUND_METRICS_TOKEN as a bearer token\n", 401, headers=how)
    return Response(await run_in_threadpool(metrics.exposition), headers={"content-type": metrics.CONTENT_TYPE})


async def healthz(_request: Request) -> Response:
    """The process is alive."""
    return PlainTextResponse("ok\n")
