"""Keeps open pages up to date: one reader of this process, however many watch, and only while somebody does."""

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool

from outbound import db, logs
from outbound.page import now_reader, session
from outbound.page.now_reader import Now, Reader

log = logs.get("page")

PERIOD_S = 1.0  # between two reads
REST = 30  # where even the fastest recent read took over PERIOD_S / 30, the pause is so many times as long as it
REST_MAX_S = 3.0  # the longest pause: a page calls its numbers old after 4 s
_READS_KNOWN = 5  # the latest, of which the fastest counts: one that was slow on a busy machine says little of its cost
STREAMS_MAX = 200
STREAMS_OF_SESSION_MAX = 8
RETRY_MS = 2000


KINDS = ("now", "call", "campaign")


class Topic(NamedTuple):
    """
    What a page watches: kind `now` with a business (0 for all), `call` or `campaign` with an id.

    Of `now` also in which language, and whether for somebody who may pause and resume.
    """

    kind: str
    id: int
    language: str = ""
    may_control: bool = False


Render = Callable[[Now, Topic], dict[str, str]]


class _Channel:
    """One topic: its parts as they were last sent, each with the number of the read that changed it."""

    def __init__(self) -> None:
        self.watchers = 0
        self.parts: dict[str, tuple[int, str]] = {}
        self._encoded: dict[int, bytes] = {}

    def publish(self, parts: dict[str, str], read: int) -> None:
        """Take the parts of a read."""
        self._encoded.clear()
        for name, text in parts.items():
            if self.parts.get(name, (0, ""))[1] != text:
                self.parts[name] = (read, text)

    def since(self, read: int) -> bytes:
        """The event with the parts that changed after a read, made once for all who are as far; b'' where none did."""
        if read not in self._encoded:
            changed = {name: text for name, (at, text) in self.parts.items() if at > read}
            self._encoded[read] = f"event: parts\ndata: {json.dumps(changed)}\n\n".encode() if changed else b""
        return self._encoded[read]


class Live:
    """
    The streams of an event loop.

    Args:
        render: makes the parts of the screen Now, by the id of the element that each is put into.
    """

    def __init__(self, reader: Reader, render: Render) -> None:
        self._reader, self._render = reader, render
        self._channels: dict[Topic, _Channel] = {}
        self._streams: Counter[str] = Counter()  # by session
        self._reads = 0
        self._is_away = False
        self._task: asyncio.Task[None] | None = None
        self._end: asyncio.Task[None] | None = None
        self._read = asyncio.Condition()
        self._took: deque[float] = deque(maxlen=_READS_KNOWN)  # seconds that each of the latest reads took

    def is_full(self, session: str) -> bool:
        """Are as many streams open as may be, in all or of this session?"""
        return self._streams.total() >= STREAMS_MAX or self._streams[session] >= STREAMS_OF_SESSION_MAX

    async def stream(
        self,
        topics: Iterable[Topic],
        session: str,
        is_let_in: Callable[[], Awaitable[bool]],
        stopping: asyncio.Event,
    ) -> AsyncIterator[bytes]:
        """
        The events of some topics: `parts` (elements and what they hold), `tick` (a read in which nothing changed) and
        `away` (the database does not answer); it ends once *is_let_in* says no, or the server is *stopping*.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        if self._end is None:
            self._end = asyncio.create_task(self._wake_at_the_end(stopping))
        with self._watching(topics, session) as watched:
            yield f"retry: {RETRY_MS}\n\n".encode()
            seen = 0
            while True:
                async with self._read:
                    if not stopping.is_set():
                        await self._read.wait()
                    if stopping.is_set():
                        return
                    events = [event for channel in watched if (event := channel.since(seen))]
                    seen = self._reads
                if not await is_let_in():
                    yield b"event: ended\ndata:\n\n"
                    return
                if self._is_away:
                    yield b"event: away\ndata:\n\n"
                else:
                    yield b"".join(events) or b"event: tick\ndata:\n\n"

    @contextmanager
    def _watching(self, topics: Iterable[Topic], session: str) -> Iterator[list[_Channel]]:
        """The channels of some topics, which are read for as long as the block lasts."""
        watched = [self._channels.setdefault(topic, _Channel()) for topic in dict.fromkeys(topics)]
        for channel in watched:
            channel.watchers += 1
        self._streams[session] += 1
        try:
            yield watched
        finally:
            self._streams[session] -= 1
            self._streams += Counter()  # which forgets those at 0
            for channel in watched:
                channel.watchers -= 1
            for topic in [topic for topic, channel in self._channels.items() if not channel.watchers]:
                del self._channels[topic]

    async def _wake_at_the_end(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        async with self._read:
            self._read.notify_all()

    async def _run(self) -> None:
        while self._channels:
            began = time.monotonic()
            topics, sessions = list(self._channels), session.asked_lately()
            try:
                live_sessions, parts = await run_in_threadpool(self._look, topics, sessions)
                session.renew(sessions, live_sessions)
                await self._announce(parts)
            except db.Unavailable as error:
                log.outage("page.database_away", error)
                await self._announce(None)
            except Exception as error:  # noqa: BLE001 (whatever it is, the pages go on; its text may hold a row's data)
                log.error("page.fault", error=type(error).__name__, sqlstate=db.fault(error)[0])
                await self._announce(None)
            await asyncio.sleep(self._rest_s(time.monotonic() - began))

    def _look(
        self, topics: list[Topic], sessions: list[bytes]
    ) -> tuple[list[dict[str, Any]], dict[Topic, dict[str, str]]]:
        """
        Read which of these sessions are live, and what the topics are about, and make the topics' parts.

        It runs in a thread, as it takes some ms.
        """
        ids = {kind: sorted({topic.id for topic in topics if topic.kind == kind}) for kind in KINDS}
        found = now_reader.read(ids["now"], ids["call"], ids["campaign"], sessions)
        self._reader.keep(found)
        return found.sessions, {topic: self._parts(topic, found) for topic in topics}

    def _rest_s(self, took: float) -> float:
        """How long nothing is read after a read that took so many seconds."""
        self._took.append(took)
        costly = min(self._took) * REST if len(self._took) == _READS_KNOWN else 0
        return max(PERIOD_S - took, min(costly, REST_MAX_S))

    async def _announce(self, parts: dict[Topic, dict[str, str]] | None) -> None:
        async with self._read:
            self._is_away = parts is None
            if parts is not None:
                self._reads += 1
                for topic, channel in self._channels.items():
                    channel.publish(parts.get(topic, {}), self._reads)
            self._read.notify_all()

    def _parts(self, topic: Topic, found: now_reader.Found) -> dict[str, str]:
        if topic.kind == "now":
            return self._render(found.now[topic.id], topic) if topic.id in found.now else {}
        version = found.versions.get((topic.kind, topic.id))  # None of a topic that came while this was read
        return {} if version is None else {f"{topic.kind}:{topic.id}": version}
