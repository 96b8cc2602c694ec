"""Writes what requests of the same moment ask for in one transaction, because the commit dominates the cost of one."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from starlette.concurrency import run_in_threadpool

from outbound import db

T = TypeVar("T")
R = TypeVar("R")

WRITERS_MAX = 2  # one whose statement is at the database, one that reads its answer
BATCH_MAX = 64  # of one transaction
GATHERS_MAX = 4  # times `gather_s`: a writer waits no longer for more items, however they come


@dataclass(frozen=True)
class _Waiting(Generic[T, R]):
    item: T
    outcome: "asyncio.Future[R]"


class Batcher(Generic[T, R]):
    """
    Writes the items of one event loop; those that arrive during a write form the next batch.

    Args:
        write_all: writes several in one transaction, and gives the outcome of each, or an exception in its place.
        write_one: the same of one alone; it is called where a batch failed, so that each item fails by itself.
        writers_max: so many batches are written at once; fewer make the batches larger.
        gather_s: after a batch, the writer waits so long for the next requests of the same connections, of which each
            sends one when it has its answer; it repeats that while some come, GATHERS_MAX times at most.  0 is never.
            Only where there is one writer.
        name_of: two items of the same name are never in one batch; by default all may be together.
    """

    def __init__(
        self,
        write_all: Callable[[list[T]], Sequence[R | Exception]],
        write_one: Callable[[T], R],
        *,
        writers_max: int = WRITERS_MAX,
        gather_s: float = 0,
        name_of: Callable[[T], Hashable] = id,
    ) -> None:
        self._write_all, self._write_one, self._name_of = write_all, write_one, name_of
        self._waiting: list[_Waiting[T, R]] = []
        if gather_s and writers_max > 1:
            raise ValueError("one writer gathers: several would wake each other")
        self._writers, self._writers_max = 0, writers_max
        self._gather_s, self._expected, self._are_there = gather_s, 0, asyncio.Event()
        self._threads = ThreadPoolExecutor(writers_max, "batch")  # none waits for one: cheaper than the shared ones
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself holds them but weakly

    async def write(self, item: T) -> R:
        """Write one item, with those that wait at the same moment; returns its outcome, or raises it."""
        outcome: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(item, outcome))
        if self._writers < self._writers_max:
            self._writers += 1
            self._start(self._write())
        elif len(self._waiting) >= self._expected:
            self._are_there.set()
        return await outcome

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        # It writes for many: the ids of this request would be on the others' lines.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch = self._next()
                await self._write_together(batch)
                await self._gather(len(batch))
        finally:
            self._writers -= 1  # nothing is awaited since the last look: who comes after it starts a writer

    async def _gather(self, written: int) -> None:
        """Wait for those who were just answered to ask again: a batch costs about as much as ten of its items."""
        self._expected = min(written + len(self._waiting), BATCH_MAX)
        if not self._gather_s or self._expected == 1:
            return
        for _ in range(GATHERS_MAX):
            there = len(self._waiting)
            if there >= self._expected:
                return
            self._are_there.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._gather_s):
                    await self._are_there.wait()
            if len(self._waiting) == there:
                return

    async def _write_together(self, batch: list[_Waiting[T, R]]) -> None:
        try:
            items = [one.item for one in batch]
            outcomes = await asyncio.get_running_loop().run_in_executor(self._threads, self._write_all, items)
        except Exception as error:  # noqa: BLE001 (one of them is odd, and the others must not suffer for it)
            if isinstance(error, db.Unavailable) and not isinstance(error, db.GaveUp):
                outcomes = [error] * len(batch)
            else:  # not by this writer: one that waits long must not hold the others
                for one in batch:
                    self._start(self._write_alone(one))
                return
        for one, outcome in zip(batch, outcomes, strict=True):
            _tell(one, outcome)

    async def _write_alone(self, one: _Waiting[T, R]) -> None:
        try:
            outcome: R | Exception = await run_in_threadpool(self._write_one, one.item)
        except Exception as error:  # noqa: BLE001 (its own request answers for it)
            outcome = error
        _tell(one, outcome)

    def _next(self) -> list[_Waiting[T, R]]:
        """The first ones, at most one of each name; the rest goes on waiting, in its order."""
        first: dict[Hashable, _Waiting[T, R]] = {}
        rest = []
        for one in self._waiting:
            name = self._name_of(one.item)
            if name in first or len(first) == BATCH_MAX:
                rest.append(one)
            else:
                first[name] = one
        self._waiting = rest
        return list(first.values())


def _tell(one: _Waiting[T, R], outcome: R | Exception) -> None:
    with suppress(asyncio.InvalidStateError):  # the request was canceled
        if isinstance(outcome, Exception):
            one.outcome.set_exception(outcome)
        else:
            one.outcome.set_result(outcome)
