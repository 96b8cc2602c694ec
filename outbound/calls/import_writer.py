"""Writes the calls of a file into the queue, chunk by chunk, and reports what came of each line."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from outbound import db
from outbound.calls import call_request
from outbound.calls.call_request import KEY_OF_ANOTHER, NewCall, keys
from outbound.calls.import_report import CallsReport
from outbound.carrier.callback_tag import phone_key
from outbound.formats import moments

sql = db.statements("calls/enqueue")

AGAIN_S = 30  # for a chunk that met another import in the opposite order, or a database that is away

_AT_ONCE = 2  # transactions: PostgreSQL takes twice as long for a row as reading it does
_HELD_OUT = {"reached", "lately"}  # what is no fault of the line


@dataclass
class Chunk:
    """
    Calls that are written in one transaction.

    Attributes:
        lines: of the file, one for each call.
        refused: why other lines of it are no calls.
        end: how many bytes of the file were read.
        is_last: whether the file has no more.
        columns: the calls as the statement takes them, made where the file is read, while PostgreSQL is busy.
        telephones: those of the calls, each in the one form that stands for it.
        keys: the keys that the file gives them.
    """

    calls: list[NewCall] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    end: int = 0
    is_last: bool = False
    columns: dict[str, str] = field(default_factory=dict)
    telephones: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)

    def complete(self, end: int, *, is_last: bool = False) -> "Chunk":
        """Say that no call comes in addition."""
        self.end, self.is_last, self.columns = end, is_last, call_request.columns(self.calls)
        self.telephones = {phone_key(call.to_number) for call in self.calls}
        self.keys = {call.idempotency_key for call in self.calls if call.idempotency_key is not None}
        return self

    def is_apart_from(self, other: "Chunk") -> bool:
        """Do they have no telephone and no key in common, so that neither's answer depends on the other?"""
        return self.telephones.isdisjoint(other.telephones) and self.keys.isdisjoint(other.keys)


_Begun = deque[tuple[Chunk, "Future[list[db.Row]]"]]  # the chunks that are being written, in the order of the file


def _has_to_wait(chunk: Chunk, begun: _Begun) -> bool:
    """Is a chunk begun only after the first of those that are?  After one that failed, none is."""
    return len(begun) == _AT_ONCE or any(
        not chunk.is_apart_from(other) or (answer.done() and answer.exception() is not None) for other, answer in begun
    )


@dataclass(frozen=True)
class BatchName:
    """A batch's name, given by the operator (`is_given`) or taken from the file, and the digest of its content."""

    name: str
    is_given: bool
    sha256: str


class Writer:
    """
    Writes one file.  With *dry* it writes nothing and reports the same, and keeps each telephone of the file in memory,
    some 200 bytes each.

    Args:
        again: whether numbers that were called lately are taken.
        by: who the calls are by, where that is not the session's user.
        zone_of: the time zone of a business, for what people read of a call whose callee's nobody asked for.
    """

    def __init__(
        self,
        campaign_id: int | None,
        batch: BatchName,
        zone_of: Callable[[int], str],
        *,
        again: bool,
        dry: bool,
        by: str | None = None,
    ) -> None:
        self.report = CallsReport(batch=batch.name, is_dry=dry)
        self._campaign_id, self._batch, self._zone_of = campaign_id, batch, zone_of
        self._again, self._dry, self._by = again, dry, by
        self._batch_ids: dict[int, int | None] = {}  # by business
        self._created_ats: list[datetime] = []
        self._seen: dict[tuple[int, str], int] = {}  # the first line of each telephone
        self._keys: dict[tuple[int, str], str] = {}

    def faults(self, chunk: Chunk) -> list[str]:
        """Return why calls of a chunk may not be queued; writes nothing."""
        if not chunk.calls:
            return []
        _, *left_out = db.run(sql.import_calls, **self._given(chunk, dry=True))
        return [row.about for row in left_out if row.fault not in _HELD_OUT]

    def write(self, chunks: Iterable[Chunk]) -> Generator[Chunk]:
        """
        Put the calls of chunks in the queue, each in a transaction of its own, and give each chunk when it is written.

        Two are written at once where they are apart; of a telephone that comes twice the first line is called.  Where
        one fails, or nobody takes the next, what is being written is given up, and what was written before that could
        be done is in the report.
        """
        stop = db.Stop()
        begun: _Begun = deque()
        with ThreadPoolExecutor(_AT_ONCE, "import") as writers:
            try:
                for chunk in chunks:
                    while _has_to_wait(chunk, begun):
                        yield self._first_written(begun)
                    begun.append((chunk, writers.submit(self._begin(chunk, stop))))
                while begun:
                    yield self._first_written(begun)
            except BaseException:
                stop.now()
                with suppress(db.Error):
                    self._report_rest(begun)
                raise

    def _begin(self, chunk: Chunk, stop: db.Stop) -> Callable[[], list[db.Row]]:
        """What writes a chunk, and gives what PostgreSQL says of it."""
        if not chunk.calls:
            return list
        self._open_batches(chunk.calls)
        insert = partial(self._run, stop.ends(sql.import_calls), **self._given(chunk, dry=self._dry))
        return partial(db.persist, insert, for_s=AGAIN_S)

    def _first_written(self, begun: _Begun) -> Chunk:
        """Wait until the first chunk is written, and report it."""
        chunk, answer = begun[0]
        rows = answer.result()
        begun.popleft()
        if rows:
            self._report(chunk, *rows)
        return chunk

    def _report_rest(self, begun: _Begun) -> None:
        """Report which chunks were written although they were given up."""
        for chunk, answer in begun:
            if answer.exception() is None and (rows := answer.result()):
                self._report(chunk, *rows)

    def _report(self, chunk: Chunk, done: db.Row, *left_out: db.Row) -> None:
        """Report what came of each line of a chunk."""
        faults = {row.place: row for row in left_out}
        for place, row in sorted(faults.items()):
            if row.fault not in _HELD_OUT:
                self.report.reject(chunk.lines[place - 1], row.about)
        self.report.created += done.created
        if done.created:
            self._created_ats.append(done.at)
        if done.created == len(chunk.calls):
            return
        rest = [
            (line, call, faults[place].fault if place in faults else None)
            for place, (line, call) in enumerate(zip(chunk.lines, chunk.calls, strict=True), start=1)
            if place not in faults or faults[place].fault in _HELD_OUT
        ]
        if done.created < len(rest):
            self._explain(rest, done.created)

    def _run(self, statement: Any, **parameters: object) -> Any:
        """Run a statement in a transaction of its own, by whom the calls are."""
        if self._by is None:
            return db.run(statement, **parameters)
        by = self._by

        def work(connection: db.Connection) -> Any:
            db.speak_for(connection, by)
            return statement(connection, **parameters)

        return db.transact(work)

    def _open_batches(self, calls: Iterable[NewCall]) -> None:
        for business_id in {call.business_id for call in calls} - self._batch_ids.keys():
            find = sql.find_batch if self._dry else sql.open_batch
            found = self._run(
                find,
                business_id=business_id,
                campaign_id=self._campaign_id,
                name=self._batch.name,
                sha256=self._batch.sha256,
                is_given=self._batch.is_given,
            )
            self._batch_ids[business_id] = found and found.id
            self.report.batch = found.name if found else self._batch.name
            self.report.was_there = self.report.was_there or bool(found and not found.is_new)
            self.report.same_content = self.report.batch != self._batch.name

    def _given(self, chunk: Chunk, *, dry: bool) -> dict[str, object]:
        given: dict[str, object] = {"campaign_id": self._campaign_id, "again": self._again, "dry": dry}
        return {**given, **self._batches(), **chunk.columns}

    def _batches(self) -> dict[str, str]:
        return {
            "batch_businesses": db.array(self._batch_ids),
            "batch_ids": db.array(self._batch_ids.values()),
        }

    def _explain(self, calls: list[tuple[int, NewCall, str | None]], created: int) -> None:
        """Say of calls that were not all created what is there instead."""
        found = db.run(
            sql.find_calls_there,
            created_ats=db.array(self._created_ats),
            **self._batches(),
            **keys([call for _, call, _ in calls]),
        )
        twins = 0
        lines: dict[int, int] = {}  # the first one of each call that is there
        for row, (line, call, held_out) in zip(found, calls, strict=True):
            if row.key_of_another:
                self.report.reject(line, KEY_OF_ANOTHER)
                continue
            first = line if row.id is None else lines.setdefault(row.id, line)
            if first != line:
                self._is_twice(line, first)
            if row.is_twin:
                twins += 1
            elif first != line:
                self.report.duplicates += 1
            elif row.id is not None:
                self._is_there(line, row)
            elif held_out == "lately":
                self.report.hold_out(line, f"was called {self._shown(row.dialed_at, call)}, call {row.dialed_id}")
            elif held_out == "reached" or not self._dry:
                self.report.is_there("completed")  # a call that is deleted by now
            else:
                self._would_be_created(line, call, row.telephone)
        self.report.duplicates += max(0, twins - created)

    def _is_twice(self, line: int, first: int) -> None:
        self.report.remark(line, f"the number of line {first} once more: it is called once")

    def _is_there(self, line: int, row: db.Row) -> None:
        self.report.is_there(row.live_status or row.status)
        if row.keeps_time:
            self.report.keeping_time += 1
            self.report.remark(line, f"waits for {row.live_due}: the other time in the file is ignored")

    def _would_be_created(self, line: int, call: NewCall, telephone: str) -> None:
        whose = call.business_id
        key = call.idempotency_key
        if key is not None and self._keys.get((whose, key), telephone) != telephone:
            self.report.reject(line, KEY_OF_ANOTHER)
        elif (whose, telephone) in self._seen:
            self.report.duplicates += 1
            self._is_twice(line, self._seen[whose, telephone])
        else:
            self._seen[whose, telephone] = line
            if key is not None:
                self._keys[whose, key] = telephone
            self.report.created += 1

    def _shown(self, at: str, call: NewCall) -> str:
        return moments.shown(datetime.fromisoformat(at), call.zone or self._zone_of(call.business_id))
