"""Server-sent events: one reader of the database per process, however many streams there are."""

import asyncio
import json
import math
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

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
PAUSE_S = 0.2  # between two looks at the database
RETRY_MS = 2000  # what a client waits before it connects again
LOOK_S = 5  # at the database without a notice
WANT_S = 600  # between two times that a stream says that it is there
_LISTEN_S = 1
_AWAY_WAIT_S = 2


class _Page(NamedTuple):
    """What one look at the database found: all events between two places, of all businesses."""

    begins: Place
    rows: list[db.Row]
    ends: Place


class _News:
    """
    Reads what is new, once for all streams of an event loop, and wakes them.

    Args:
        stopping: is set when the server stops: the streams end, each where a client can read on.
    """

    def __init__(self, stopping: asyncio.Event) -> None:
        self.stopping = stopping
        self._loop = asyncio.get_running_loop()
        self._streams: dict[asyncio.Event, Caller] = {}
        self._page: _Page | None = None
        self._stop = threading.Event()
        self._end = asyncio.create_task(self._wake_at_the_end())
        threading.Thread(target=self._listen, name="events", daemon=True).start()

    def join(self, caller: Caller) -> asyncio.Event:
        """
        A new stream: what is set when it should look.

        Raises:
            Problem: 503, there are too many.
        """
        of_token = sum(other.id == caller.id for other in self._streams.values())
        if len(self._streams) >= STREAMS_MAX or of_token >= STREAMS_OF_TOKEN_MAX:
            message = "too many streams are open: close one, or try again"
            raise Problem(503, message, code="busy", headers={"retry-after": "30"})
        woken = asyncio.Event()
        self._streams[woken] = caller
        return woken

    def leave(self, woken: asyncio.Event) -> None:
        """The stream has ended."""
        self._streams.pop(woken, None)

    def after(self, place: Place, business_id: int | None, types: Sequence[str]) -> tuple[list[db.Row], Place] | None:
        """What a stream reads next, out of the last look; None where that look did not begin at its place or before."""
        page = self._page
        if page is None or not _order(page.begins) <= _order(place) <= _order(page.ends):
            return None
        rows = [
            row
            for row in page.rows
            if _order(stream.place_of(row)) > _order(place)
            and business_id in (None, row.business_id)
            and row.type in types
        ]
        return rows, page.ends

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()

    async def _wake_at_the_end(self) -> None:
        await self.stopping.wait()
        self._wake()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with db.connect() as connection:
                    db.listen(connection, "outbound_event")
                    self._look_on(connection)
            except db.Unavailable as error:
                log.outage("api.events_waiting", error)
                self._stop.wait(_AWAY_WAIT_S)
            except Exception:
                log.exception("api.events_unread")
                self._stop.wait(_AWAY_WAIT_S)

    def _look_on(self, connection: db.Connection) -> None:
        """Look while there are streams: after each notice, and every LOOK_S."""
        place: Place | None = None
        looked_at = wanted_at = -math.inf
        is_more = False  # the last page was full
        while not self._stop.is_set():
            is_new = db.wait_for_notice(connection, 0 if is_more else min(_LISTEN_S, LOOK_S))
            callers = list(self._streams.values())
            if not callers:
                place, is_more = None, False  # nobody reads on from there
                continue
            if time.monotonic() - wanted_at >= WANT_S:
                wanted_at = time.monotonic()
                for reader, business_id in {(reader_of(caller), caller.business_id) for caller in callers}:
                    stream.want(reader, business_id)
            if is_new or is_more or time.monotonic() - looked_at >= LOOK_S:
                looked_at = time.monotonic()
                begins = place or stream.place(None)
                rows, place = stream.read(begins)
                with suppress(RuntimeError):  # the loop is closed
                    self._loop.call_soon_threadsafe(self._take, _Page(begins, rows, place))
                is_more = len(rows) == stream.PAGE_MAX
                self._stop.wait(0 if is_more else PAUSE_S)

    def _take(self, page: _Page) -> None:
        self._page = page
        self._wake()

    def _wake(self) -> None:
        for woken in self._streams:
            woken.set()


def _order(place: Place) -> tuple[int, int]:
    return int(place.xid), place.id


_news: list[_News] = []  # of the event loop that serves


def forget() -> None:
    """End the reader of this process: its event loop ends."""
    while _news:
        _news.pop().stop()


def reader_of(caller: Caller) -> str:
    """The name under which a token reads."""
    return f"token {caller.public_id}"


async def begin(context: Context, after: str | None) -> Place:
    """
    Where a stream begins; from now on events are written for it.

    Raises:
        BadPlace: *after* names no place.
        Problem: 409, the server has not come to it.
    """

    def work() -> Place:
        stream.want(reader_of(context.caller), context.caller.business_id)
        try:
            return stream.place(after)
        except stream.UnknownPlace as refusal:
            raise Problem(409, str(refusal)) from None

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
        _news.append(_News(request.state.stopping))
    news = _news[0]
    woken = news.join(caller)
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
    now = asyncio.get_running_loop().time
    told_at = now()
    try:
        yield f"retry: {RETRY_MS}\nid: {place}\n\n"
        while not news.stopping.is_set():
            woken.clear()
            with suppress(*db.Unavailable):
                is_whole = False
                while not is_whole:
                    await let_in(request)  # raises once the token is revoked, as for a request, and ends the stream
                    found = news.after(place, caller.business_id, types)
                    if found is None:
                        found = await run_in_threadpool(stream.read, place, caller.business_id, types)
                    rows, place = found
                    for row in rows:
                        told_at = now()
                        yield _event(stream.place_of(row), row)
                    is_whole = len(rows) < stream.PAGE_MAX
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), LOOK_S)
            if now() - told_at >= COMMENT_S:
                told_at = now()
                yield f": still here\nid: {place}\n\n"
    except (Problem, stream.UnknownPlace):
        return
    finally:
        news.leave(woken)


def _event(place: Place, row: db.Row) -> str:
    event = {
        "id": row.public_id,
        "type": row.type,
        "timestamp": row.at.isoformat(),
        "business_id": row.business_id,
        "data": plain(row.data),
    }
    return f"id: {place}\nevent: {row.type}\ndata: {json.dumps(event)}\n\n"
