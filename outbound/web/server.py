"""Serves an ASGI application: within bounds, and so that no request is lost at a restart."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp
from uvicorn.server import Server

from outbound.config import settings
from outbound.processes import systemd_notify
from outbound.web.connections import Connections
from outbound.web.protocol import BoundedHttp

_TICK_S = 1  # between two looks at the clock, for the answers' Date, and at whether it is time to stop
LAST_REQUESTS_S = 0.5  # who was let in just before we stop has this long to say what he wants


def make(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    protocol: type[BoundedHttp],
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> uvicorn.Server:
    """
    A server; call `run()`.

    Args:
        beside: what runs in its event loop as long as it serves.
    """
    connections = Connections(settings().web_connections_max, settings().web_connections_per_address)
    return _Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=partial(protocol, connections=connections),  # type: ignore[arg-type]
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=15,  # no callback takes longer: the carrier gives up after 15 s
            callback_notify=_Pulse() if systemd_notify.is_supervised() else None,
            timeout_notify=_TICK_S,
        ),
        beside,
    )


class _Server(Server):
    def __init__(self, config: uvicorn.Config, beside: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        super().__init__(config)
        self._beside = beside
        self._told_to_stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Each request's `state` has an event, `stopping`, for an answer that would go on for ever."""
        self.lifespan.state["stopping"] = self._told_to_stop
        await super().startup(sockets)

    async def main_loop(self) -> None:
        """Tick until it is time to stop; uvicorn's own wakes ten times a second."""
        self._loop = asyncio.get_running_loop()
        beside = None if self._beside is None else self._loop.create_task(self._beside())
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told_to_stop.wait(), _TICK_S)
        if beside is not None:
            beside.cancel()

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
        await asyncio.sleep(LAST_REQUESTS_S)  # uvicorn would hang up on who has not spoken yet
        await super().shutdown(sockets)


class _Pulse:
    """Pings the systemd watchdog from a thread of the pool, at the event loop's request: both must be working."""

    def __init__(self) -> None:
        self._beat: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        if self._beat is None or self._beat.done():
            self._beat = asyncio.create_task(run_in_threadpool(systemd_notify.at_work))
