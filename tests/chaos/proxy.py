"""A proxy in front of a server: its connections are held up, cut or refused, and the server notices nothing."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[], Awaitable[Line]]

_CHUNK_BYTES = 65_536


def tcp(port: int) -> Dial:
    """A server on a port of loopback."""
    return lambda: asyncio.open_connection("127.0.0.1", port)


def unix(path: str) -> Dial:
    """A server on a Unix socket."""
    return lambda: asyncio.open_unix_connection(path)


class Proxy:
    """Listens on *port* of loopback and forwards to a server; use as a context.  It runs in a thread of its own."""

    def __init__(self, port: int, upstream: Dial) -> None:
        self.port = port
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{port}", daemon=True)
        self._flows = asyncio.Event()
        self._lines: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    def hold(self) -> None:
        """Forward nothing and close nothing: to both sides the other has gone quiet."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self) -> None:
        """Forward again, what was held back first."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def lead_to(self, upstream: Dial) -> None:
        """Forward new connections to another server; those that are there stay where they are."""
        self._upstream = upstream

    def cut(self) -> None:
        """Break every connection with a reset."""
        self._do(self._cut())

    def leave(self) -> None:
        """Stop listening, and break every connection: the next one is refused."""
        self._do(self._leave())

    def come_back(self) -> None:
        """Listen again."""
        self._do(self._listen())

    def __enter__(self) -> "Proxy":
        self._thread.start()
        self.flow()
        self._do(self._listen())
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.flow()
        self._do(self._leave())
        self._do(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port, backlog=512)

    async def _leave(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._cut()

    async def _cut(self) -> None:
        for line in list(self._lines):
            line.transport.abort()

    async def _end_tasks(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._lines.add(writer)
        try:
            with suppress(OSError):
                far_reader, far_writer = await self._upstream()
                self._lines.add(far_writer)
                try:
                    await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
                finally:
                    self._lines.discard(far_writer)
                    far_writer.transport.abort()
        finally:
            self._lines.discard(writer)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()
        await self._flows.wait()  # a goodbye is held back like everything else
        if writer.can_write_eof():
            writer.write_eof()
