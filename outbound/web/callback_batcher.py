"""Batches concurrent callbacks into one statement, because the commit dominates the cost of one."""

import asyncio
from contextlib import suppress
from contextvars import Context
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool

from outbound import db
from outbound.call import CallEvent
from outbound.calls import events

_WRITERS_MAX = 2  # one whose statement is at the database, one that reads its answer
BATCH_MAX = 64  # callbacks of one statement


class _Waiting(NamedTuple):
    call_id: int
    report: CallEvent
    word: "asyncio.Future[str]"


class CallbackBatcher:
    """Writes the callbacks of one event loop; those that arrive during a write form the next batch."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self._writers = 0
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself holds them but weakly

    async def record(self, call_id: int, report: CallEvent) -> str:
        """Record one callback of a call; returns and raises what events.record_all does."""
        word: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(call_id, report, word))
        if self._writers < _WRITERS_MAX:
            self._writers += 1
            # It writes for many: the ids of this request would be on the others' lines.
            task = asyncio.get_running_loop().create_task(self._write(), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await word

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._write_together(self._next())
        finally:
            self._writers -= 1  # nothing is awaited since the last look: who comes after it starts a writer

    async def _write_together(self, batch: list[_Waiting]) -> None:
        try:
            words = await run_in_threadpool(events.record_all, [(one.call_id, one.report) for one in batch])
        except db.Unavailable as error:
            for one in batch:
                _tell(one, error)
        except Exception:  # noqa: BLE001 (one of them is odd, and the others must not suffer for it)
            for one in batch:
                await self._write_alone(one)
        else:
            for one, word in zip(batch, words, strict=True):
                _tell(one, word)

    async def _write_alone(self, one: _Waiting) -> None:
        try:
            _tell(one, await run_in_threadpool(events.record, one.call_id, one.report))
        except Exception as error:  # noqa: BLE001 (its own request answers for it)
            _tell(one, error)

    def _next(self) -> list[_Waiting]:
        """The first ones, at most one of each call; the rest goes on waiting, in its order."""
        first: dict[int, _Waiting] = {}
        rest = []
        for one in self._waiting:
            if one.call_id in first or len(first) == BATCH_MAX:
                rest.append(one)
            else:
                first[one.call_id] = one
        self._waiting = rest
        return list(first.values())


def _tell(one: _Waiting, outcome: str | Exception) -> None:
    with suppress(asyncio.InvalidStateError):  # the request was canceled
        if isinstance(outcome, Exception):
            one.word.set_exception(outcome)
        else:
            one.word.set_result(outcome)
