"""Server-sent events: one reader of the database's notices per process, however many streams there are."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from outbound import db, logs
from outbound.api.context import Caller, Context, plain
from outbound.api.problem import Problem
from outbound.webhooks import event_stream as stream
from outbound.webhooks.event_stream import Place

log = logs.get("api")
LetIn = Callable[[Request], Awaitable[Caller]]

STREAMS_MAX = 200  # of one process
STREAMS_OF_TOKEN_MAX = 20
COMMENT_S = 15  # without an event, a comment keeps the connection open
PAUSE_S = 0.2  # between two looks of a stream at the database
RETRY_MS = 2000  # what a client waits before it connects again
LOOK_S = 5  # at the database without a notice, and at the token: a revoked one reads no longer
_LISTEN_S = 1
_AWAY_WAIT_S = 2


class _News:
    """Wakes all streams of an event loop when there is something new."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._streams: dict[asyncio.Event, int] = {}
        self._stop = threading.Event()
        threading.Thread(target=self._listen, name="events", daemon=True).start()

    def join(self, token_id: int) -> asyncio.Event:
        """
        A new stream: what is set when it should look.

        Raises:
            Problem: 503, there are too many.
        """
        of_token = sum(other == token_id for other in self._streams.values())
        if len(self._streams) >= STREAMS_MAX or of_token >= STREAMS_OF_TOKEN_MAX:
            raise Problem(503, "too many streams are open: close one, or try again", headers={"retry-after": "30"})
        woken = asyncio.Event()
        self._streams[woken] = token_id
        return woken

    def leave(self, woken: asyncio.Event) -> None:
        """The stream has ended."""
        self._streams.pop(woken, None)

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with db.connect() as connection:
                    db.listen(connection, "outbound_event")
                    while not self._stop.is_set():
                        if db.wait_for_notice(connection, _LISTEN_S):
                            with suppress(RuntimeError):  # the loop is closed
                                self._loop.call_soon_threadsafe(self._wake)
            except db.Unavailable as error:
                log.outage("api.events_waiting", error)
                self._stop.wait(_AWAY_WAIT_S)

    def _wake(self) -> None:
        for woken in self._streams:
            woken.set()


_news: list[_News] = []  # of the event loop that serves


def forget() -> None:
    """End the reader of this process: its event loop ends."""
    while _news:
        _news.pop().stop()


def reader_of(caller: Caller) -> str:
    """The name under which a token reads."""
    return f"token {caller.public_id}"


async def begin(asked: Context, after: str | None) -> Place:
    """
    Where a stream begins; from now on events are written for it.

    Raises:
        BadPlace: *after* names no place.
    """

    def work() -> Place:
        stream.want(reader_of(asked.caller), asked.caller.business_id)
        return stream.place(after)

    return await run_in_threadpool(work)


def response(request: Request, caller: Caller, let_in: LetIn, place: Place, types: Iterable[str]) -> StreamingResponse:
    """
    The stream after a place.

    Args:
        let_in: raises Problem once the request's token is no longer good.

    Raises:
        Problem: 503, too many are open.
    """
    if not _news:
        _news.append(_News())
    news = _news[0]
    woken = news.join(caller.id)
    return StreamingResponse(
        _events(request, let_in, caller, place, sorted(types), news, woken),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _events(
    request: Request,
    let_in: LetIn,
    caller: Caller,
    place: Place,
    types: list[str],
    news: _News,
    woken: asyncio.Event,
) -> AsyncIterator[str]:
    reader, business_id = reader_of(caller), caller.business_id
    quiet_s = 0.0
    try:
        yield f"retry: {RETRY_MS}\nid: {place}\n\n"
        while True:
            woken.clear()
            with suppress(*db.Unavailable):
                is_whole = False
                while not is_whole:
                    rows, place = await run_in_threadpool(_read, reader, place, business_id, types)
                    for row in rows:
                        yield _event(stream.place_of(row), row)
                    is_whole = len(rows) < stream.PAGE_MAX
                    quiet_s = 0 if rows else quiet_s
            await asyncio.sleep(PAUSE_S)
            try:
                await asyncio.wait_for(woken.wait(), LOOK_S)
            except TimeoutError:
                quiet_s += LOOK_S
            with suppress(*db.Unavailable):
                await let_in(request)  # raises where the token was revoked, and ends the stream
            if quiet_s >= COMMENT_S:
                quiet_s = 0
                yield f": still here\nid: {place}\n\n"
    except Problem:
        return
    finally:
        news.leave(woken)


def _read(reader: str, place: Place, business_id: int | None, types: list[str]) -> tuple[list[db.Row], Place]:
    stream.want(reader, business_id)  # which writes once an hour
    return stream.read_on(place, business_id, types)


def _event(place: Place, row: db.Row) -> str:
    told = {
        "id": row.public_id,
        "type": row.type,
        "timestamp": row.at.isoformat(),
        "business_id": row.business_id,
        "data": plain(row.data),
    }
    return f"id: {place}\nevent: {row.type}\ndata: {json.dumps(told)}\n\n"
