"""Operations: files of calls, numbers, consents and registry checks; lists that are streamed out."""

import asyncio
import csv
import hashlib
import io
import json
import re
import tempfile
import time
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any, ClassVar, NamedTuple

from fastapi import Query
from pydantic import TypeAdapter
from starlette.background import BackgroundTask
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from outbound import db, logs
from outbound.api import background, json_body, models, preference
from outbound.api.calls import wanted
from outbound.api.contacts import for_whom, owner_of
from outbound.api.context import PAGES_AT_ONCE, REPLAYED, Context, limit, plain, slowly
from outbound.api.parameters import PLUS, BeforeId, Limit, Number, Region, Statuses, When, Whose, Word, page_of_rows
from outbound.api.problem import Problem, not_found, worded
from outbound.api.route import Id, RequestContext, log_fault, operation, router
from outbound.calls import call_search, campaign_results, import_record, lead_list
from outbound.calls import import_calls as step
from outbound.calls.call_search import Page, Place
from outbound.calls.import_record import Record
from outbound.errors import UserError
from outbound.formats import plain_text
from outbound.formats.csv_file import TABLE
from outbound.formats.file_text import BadFile
from outbound.formats.spreadsheet import Writer
from outbound.rules import audit, consent, registry, suppression

files = router("files")
log = logs.get("api")

CSV, NDJSON = "text/csv", "application/x-ndjson"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FILES = (CSV, NDJSON, XLSX)  # that are taken; a workbook is known by its bytes, also one that is called CSV
_KINDS = {NDJSON: (NDJSON, "application/*", "*/*"), CSV: (CSV, "text/*", "*/*")}  # of a stream
FILE_MAX = 256 << 20  # bytes; what is made of it has no more either
FILES_AT_ONCE = 16  # that are being received
FILES_OF_ONE = 2  # of these, of the tokens of one business, and of all tokens that are of none
WAIT_S = 10  # for a place among them
SPOOL_MAX = 4 * FILE_MAX  # bytes of all files until they were read
SPOOL_OF_ONE = SPOOL_MAX // 2  # of these, of the same tokens: a file of NDJSON and its table fit
ALIVE_S = 60  # between two notes that an import is at work, or waits for its turn
AWAY_S = 180  # that a promised import waits for the database; with ALIVE_S less than import_record.SILENT_S
AGAIN_S = 1  # between two looks whether it is back
_CUT = "the connection broke off: what came until then is kept; send the file again under the same batch"
LINE_MAX = 65_536  # bytes of a line of NDJSON
COLUMNS_MAX = 300  # of a file of NDJSON
_NAME_SHOWN = 50  # characters of a field's name, in what is said of a line
_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_MARKS = re.compile(b'"+')
_SEPARATORS = b",;\t|"
_PIECE_CHARS = 65_536  # of a stream that lies in a file
PAGE_ROWS = 1000  # of a stream; each page is a statement of its own, so that no snapshot is held

Batch = Annotated[str, Query(min_length=1, max_length=200, description="name of this set of calls")]
Column = Annotated[str | None, Query(max_length=200, description="the column that holds the number")]
_PAGES = ThreadPoolExecutor(PAGES_AT_ONCE, "page")  # the threads in which pages of exports are read
_CALL_COLUMNS = (
    *("id", "business_id", "campaign_id", "direction", "from_number", "to_number", "status", "created_at", "due_at"),
    *("dialed_at", "answered_at", "ended_at", "duration_s", "answered_by", "error_code", "attempt", "retry_of"),
    *("call_sid", "key", "batch", "lead_id"),
)
_PARSED_MAX = 500  # lines of a page at once: no other thread runs meanwhile, some 2 ms
_AUDIT_COLUMNS = ("place", "at", "who", "db_user", "os_user", "action", "scope", "key", "details")
_SHOWN: TypeAdapter[Any] = TypeAdapter(models.ShownImport)
_LEAD_COLUMNS = ("id", "business_id", "phone", "created_at", "updated_at", "calls", "call_id", "call_status")


class _Spool:
    """
    Where one file is kept until it was read.

    Attributes:
        folder: of its own.
        kind: the content type of the file.
        places: those that it holds among the files that are being received.
    """

    _held: ClassVar[Counter[int | None]] = Counter()  # bytes of all of them, by the business whose token sends them

    def __init__(self, folder: Path, kind: str, owner: int | None, places: ExitStack) -> None:
        self.folder, self.kind, self.places = folder, kind, places
        self._owner = owner
        self._own = 0

    def look(self, size: int) -> None:
        """Raise Problem, 503, where there is no room for a file of so many bytes now; nothing is counted for it."""
        self._find(self._needed(size))

    def receive(self, size: int) -> None:
        """Count the bytes of a file of which so many have come; or raise Problem, 503, there is no room for them."""
        self.hold(self._needed(size))

    def hold(self, size: int) -> None:
        """Count so many bytes for it in all; or raise Problem, 503, there is no room for them."""
        self._find(size)
        _Spool._held[self._owner] += size - self._own
        self._own = size
        if not _Spool._held[self._owner]:
            del _Spool._held[self._owner]

    def _find(self, size: int) -> None:
        """Raise Problem, 503, where there is no room for so many bytes of it in all."""
        more = size - self._own
        of_one, of_all = _Spool._held[self._owner] + more, _Spool._held.total() + more
        if more > 0 and (of_one > SPOOL_OF_ONE or of_all > SPOOL_MAX):
            raise _busy(
                "the files that are being received or read take all the room that they may have: try again later"
            )

    def _needed(self, size: int) -> int:
        """The bytes of a file, and of NDJSON those of the table that is made of it."""
        return size if self.kind == CSV else 2 * size


@asynccontextmanager
async def _spooled(request: Request, context: Context) -> AsyncIterator[_Spool]:
    """
    A place for a file.  Room is taken as its bytes come: an announcement alone takes none from others.

    Raises:
        Problem: 415 or 413; 409, the same is at work; 503, no place was free for WAIT_S, or there is no room
            for as many bytes as are announced.
    """
    kind, size = _kind_of(request), json_body.announced(request)
    if size > FILE_MAX:
        raise _too_large()
    with _hanging_up():
        await context.refuse_at_work()
    owner = context.caller.business_id
    with ExitStack() as stack:
        places = stack.enter_context(ExitStack())
        await _take_places(places, owner)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="outbound-api-"))
        spool = _Spool(Path(folder), kind, owner, places)
        stack.callback(spool.hold, 0)
        spool.look(size)
        yield spool


async def _take_places(places: ExitStack, owner: int | None) -> None:
    """Wait for a place among the files of one business, and of all; or raise Problem, 503."""
    upload = object()  # not the task: another one may go on with the file
    try:
        async with asyncio.timeout(WAIT_S):
            for limiter in (limit(f"files of {owner}", FILES_OF_ONE), limit("files", FILES_AT_ONCE)):
                await limiter.acquire_on_behalf_of(upload)
                places.callback(limiter.release_on_behalf_of, upload)
    except TimeoutError:
        raise _busy("as many files are being received as may be: try again later") from None


def _busy(message: str) -> Problem:
    return Problem(503, message, code="busy", headers={"retry-after": "30", "connection": "close"})


def _kind_of(request: Request) -> str:
    """How a file is read: as NDJSON, or else as CSV, which may be a workbook; or raise Problem, 415."""
    kind = json_body.kind_of(request)
    if kind not in FILES:
        raise Problem(415, f"send the file as {CSV} or {NDJSON}, or a workbook as {XLSX}")
    return NDJSON if kind == NDJSON else CSV


class _Lines:
    """
    Tells which line of NDJSON a line of the CSV was made of; of a file that came as CSV, it is that line.

    The CSV has a line of names, none for an empty line, and further ones where a text holds ends of lines.
    """

    def __init__(self) -> None:
        self._begins, self._more = array("q", [0]), array("q", [0])  # where another number is to be taken off, and it

    def note(self, first: int, last: int, line: int) -> None:
        """The lines *first* to *last* of the CSV, of which the last is reported, were made of this line."""
        if last - line != self._more[-1]:
            self._begins.append(first)
            self._more.append(last - line)

    def of(self, line: int) -> int:
        """The line of the file that was sent."""
        return line - self._more[bisect_right(self._begins, line) - 1]


class _Received(NamedTuple):
    """
    A file that has come.

    Attributes:
        path: of what is to be read.
        lines: which line was sent for each that is read.
        sha256: of what was sent; None where it broke off.
    """

    path: Path
    lines: _Lines
    sha256: bytes | None


async def _receive(request: Request, spool: _Spool, record: Record | None = None) -> _Received:
    """
    Write the body to a file as it comes; NDJSON becomes a table.  Of an import that is recorded, what comes before the
    connection breaks off is kept, to its last whole line.

    Raises:
        Problem: 413, 408 or 503; 422 where no line is a JSON object of texts.
    """
    is_csv = spool.kind == CSV
    raw = path = spool.folder / ("upload.csv" if is_csv else "upload.ndjson")
    lines, sha256 = _Lines(), None
    try:
        sha256 = await _write(request, raw, spool, record)
    except ClientDisconnect:
        if record is None or not await slowly(lambda: _cut(raw, is_csv=is_csv)):
            raise
        record.cut = _CUT
    if not is_csv:
        path = raw.with_suffix(TABLE)
        lines = await slowly(lambda: _to_table(raw, path))
        raw.unlink()
    spool.hold(path.stat().st_size)
    if record is not None:
        record.line_of = lines.of
    return _Received(path, lines, sha256)


async def _write(request: Request, to: Path, spool: _Spool, record: Record | None) -> bytes:
    """Write the body to a file as it comes, then give its places to others; its SHA-256."""
    size, digest = 0, hashlib.sha256()
    with spool.places, to.open("wb") as file:
        async for piece in json_body.pieces_of(request):
            with _hanging_up():
                await request.state.context.stay_in()
            size += len(piece)
            if size > FILE_MAX:
                raise _too_large()
            spool.receive(size)
            await run_in_threadpool(file.write, piece)
            digest.update(piece)
            if record is not None:
                await run_in_threadpool(record.received, size)
    return digest.digest()


@contextmanager
def _hanging_up() -> Iterator[None]:
    """End the connection with a refusal, as the rest of the file is not read."""
    try:
        yield
    except Problem as problem:
        problem.headers["connection"] = "close"
        raise


def _too_large() -> Problem:
    return Problem(413, f"a file may have {FILE_MAX} bytes: send it in parts", headers={"connection": "close"})


def _cut(raw: Path, *, is_csv: bool) -> bool:
    """Take away what stands behind the last whole line, of CSV outside of quotation marks; is anything left?"""
    end = place = 0
    is_quoted = is_begun = False
    with raw.open("r+b") as file:
        if b"\0" in file.read(4):  # two bytes a letter, or a workbook: where a line ends is not plain
            return False
        file.seek(0)
        while line := file.readline(LINE_MAX):
            place += len(line)
            is_quoted = is_csv and _is_quoted(line, is_begun=is_begun, is_quoted=is_quoted)
            is_begun = not line.endswith(b"\n")
            if not is_begun and not is_quoted:
                end = place
        file.truncate(end)
    return end > 0


def _is_quoted(line: bytes, *, is_begun: bool, is_quoted: bool) -> bool:
    """Does a cell in quotation marks go on behind this line?  Within a cell without them, a mark is a letter."""
    for marks in _MARKS.finditer(line):
        begins_cell = line[marks.start() - 1] in _SEPARATORS if marks.start() else not is_begun
        if is_quoted or begins_cell:
            is_quoted ^= len(marks[0]) % 2 == 1  # two together are one mark within the cell
    return is_quoted


class _BadLine(Exception):
    """A line of NDJSON that is no object of texts and numbers; the message says why, in words that go on from it."""


def _to_table(raw: Path, to: Path) -> _Lines:
    """
    Write the objects of NDJSON as a table, in which a line that is none says why: csv_file.Rows refuses that alone.

    Raises:
        Problem: 422, no line can be read, or they have too many fields between them; 413, the table is too large.
    """
    columns: dict[str, None] = {}
    first_bad: tuple[int, _BadLine] | None = None
    for line, row in _objects(raw):
        if isinstance(row, _BadLine):
            first_bad = first_bad or (line, row)
            continue
        columns.update(dict.fromkeys(row))
        if len(columns) > COLUMNS_MAX:
            raise Problem(422, f"the lines have more than {COLUMNS_MAX} fields between them", code="bad_file")
    if not columns:
        raise Problem(422, f"line {first_bad[0]} {first_bad[1]}" if first_bad else "the file is empty", code="bad_file")
    with to.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        lines, last = _Lines(), _height(columns)
        for line, row in _objects(raw):
            values = _cells(row, columns)
            writer.writerow(values)
            if file.tell() > FILE_MAX:
                raise Problem(413, f"as a table the file has more than {FILE_MAX} bytes: send it in parts")
            first, last = last + 1, last + _height(values)
            lines.note(first, last, line)
    return lines


def _cells(row: dict[str, str] | _BadLine, columns: Iterable[str]) -> list[str]:
    if isinstance(row, _BadLine):
        return [*("" for _ in columns), str(row)]
    return [row.get(name, "") for name in columns]


def _height(cells: Iterable[str]) -> int:
    """The number of lines that a row of CSV takes."""
    return 1 + sum(len(_LINE_ENDS.findall(cell)) for cell in cells)


def _objects(raw: Path) -> Iterator[tuple[int, dict[str, str] | _BadLine]]:
    """The object of each line that is not empty, or why it is none."""
    with raw.open("rb") as file:
        for place, line in enumerate(_lines_of(file), start=1):
            if line.strip():
                try:
                    yield place, _object(line)
                except _BadLine as fault:
                    yield place, fault


def _lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file, of a long one its first LINE_MAX + 1 bytes."""
    while line := file.readline(LINE_MAX + 1):
        rest = line
        while len(rest) > LINE_MAX and not rest.endswith(b"\n"):
            rest = file.readline(LINE_MAX + 1)
        yield line


def _object(line: bytes) -> dict[str, str]:
    if len(line) > LINE_MAX:
        raise _BadLine(f"has more than {LINE_MAX} bytes")
    try:
        row = json_body.parse(line, "")
    except Problem as problem:
        raise _BadLine(problem.detail.lstrip()) from None
    if not isinstance(row, dict):
        raise _BadLine("is no JSON object")
    for name, value in row.items():
        shown = plain_text.visible(name[:_NAME_SHOWN])
        if isinstance(value, dict):
            raise _BadLine(f"holds an object in `{shown}`: write its fields beside the others, as texts or numbers")
        if value is not None and (isinstance(value, bool) or not isinstance(value, str | int | float)):
            raise _BadLine(f"holds in `{shown}` neither a text nor a number")
    texts = {name: str(value) for name, value in row.items() if value is not None}
    if not "".join(texts.values()).strip():
        raise _BadLine("holds nothing: give its fields, or leave the line out")  # a table's empty row is skipped
    return texts


@operation(
    files,
    "POST",
    "/imports",
    scope="calls:write",
    answer=models.ImportReport,
    file_types=FILES,
    later=models.ShownImport,
)
async def import_calls(
    request: Request,
    context: RequestContext,
    batch: Batch,
    business_id: Whose = None,
    campaign_id: Whose = None,
    again: bool = False,
    anyway: bool = False,
    dry_run: bool = False,
    to_column: Column = None,
) -> Any:
    """
    Put a file of calls in the queue, CSV or NDJSON; the report names each line that was refused.

    The file is sent as the body and read as `outbound import` reads it.  What was read is kept every 5,000 rows, and
    of a connection that breaks off what came until then: `GET /imports/{import_id}` says how far it came.  The file is
    simply sent again under the same `batch`, which reaches each telephone once.  With `Prefer: respond-async` the
    answer is 202 once the file has come, with the place of the import in `Location`; a repeat with the same
    Idempotency-Key is answered with that import, or works again where that one ended before its file was read.
    """
    whose = await run_in_threadpool(context.whose, business_id, campaign_id)
    if whose["business_id"] is None and whose["campaign_id"] is None:
        raise Problem(422, "say whose calls these are: give business_id or campaign_id", code="bad_file")
    _kind_of(request)
    step.checked_batch(batch)  # before it is written, and before the file comes

    def begin() -> Record:
        return Record(None) if dry_run else import_record.begin(batch, **whose, who=context.caller.who)

    def work(path: Path, record: Record) -> Any:
        return step.import_calls(
            path,
            business_id=whose["business_id"],
            campaign_id=whose["campaign_id"],
            batch=batch,
            again=again,
            anyway=anyway,
            dry_run=dry_run,
            to_column=to_column,
            actor=context.caller.who,
            only_business=context.caller.business_id,
            record=record,
        ).as_json() | {"import_id": record.id}

    return await _import_recorded(request, context, begin, work, is_later=_wants_202(request) and not dry_run)


async def _import_recorded(
    request: Request,
    context: Context,
    begin: Callable[[], Record],
    work: Callable[[Path, Record], Any],
    *,
    is_later: bool,
) -> Response:
    """Receive a file and read it, which goes on after the answer where *is_later* says so; the answer."""
    async with AsyncExitStack() as stack:
        spool = await stack.enter_async_context(_spooled(request, context))
        record = await run_in_threadpool(begin)  # not before there is a place: what waits for one has not begun
        await stack.enter_async_context(_ended(record))
        await stack.enter_async_context(_alive(record))
        received = await _receive(request, spool, record)
        context = context.of_file(received.sha256)
        await run_in_threadpool(context.forget_lost_promise, import_record.SILENT_S)
        report = partial(_reported, context, lambda path: work(path, record), received)
        if is_later:
            answer = await context.answering(_SHOWN).write(lambda: _import_shown(context, record.id or 0), status=202)
        else:
            answer = await context.write(report, in_parts=True)
        if REPLAYED in answer.headers:
            await run_in_threadpool(record.forget)
        elif is_later:
            record.is_promised = True
            # What the page has taken goes on when its sender signs out.
            let_in = None if context.caller.is_on_page else context.let_in
            background.start(_go_on(stack.pop_all(), report, record.id or 0, let_in))
    if answer.status_code == 202:
        place = f"{request.url.path}/{json.loads(bytes(answer.body))['id']}"
        answer.headers.update({"location": place, "preference-applied": "respond-async"})
    return answer


@asynccontextmanager
async def _ended(record: Record) -> AsyncIterator[None]:
    """Have the row of an import say how it ended, also where its file never came."""
    try:
        yield
    except (Problem, UserError) as refusal:
        message = getattr(refusal, "detail", None) or str(refusal)
        await run_in_threadpool(record.refuse, message)
        raise
    except BaseException:
        with suppress(db.Error):
            await run_in_threadpool(record.break_off)
        raise


@asynccontextmanager
async def _alive(record: Record) -> AsyncIterator[None]:
    """Have the row of an import say that it is not over, also while it waits, as long as the block lasts."""

    async def note() -> None:
        while True:
            await asyncio.sleep(ALIVE_S)
            await run_in_threadpool(record.note_alive)

    noting = asyncio.create_task(note())
    try:
        yield
    finally:
        noting.cancel()


async def _go_on(
    stack: AsyncExitStack, work: Callable[[], Any], import_id: int, let_in: Callable[[], Awaitable[object]] | None
) -> None:
    """
    Read a file after its request was answered; its row says what comes of it.  Where the database is away as its turn
    comes, it waits for AWAY_S.
    """

    async def begin() -> None:
        until = time.monotonic() + AWAY_S
        while True:
            try:
                await run_in_threadpool(import_record.of, import_id)  # the token may be known without the database
                if let_in is not None:
                    await let_in()
                return
            except db.Unavailable:
                if time.monotonic() >= until:
                    raise
                await asyncio.sleep(AGAIN_S)

    with suppress(Problem, UserError, *db.Unavailable):
        async with stack:
            await slowly(work, begin)


def _wants_202(request: Request) -> bool:
    wishes = preference.sent(request, "prefer").lower().split(",")
    return any(wish.partition(";")[0].strip() == "respond-async" for wish in wishes)


def _import_of(context: Context, import_id: int) -> Any:
    try:
        return import_record.of(import_id, business_id=context.caller.business_id)
    except import_record.BadImport:
        raise not_found("import") from None


def _import_shown(context: Context, import_id: int) -> dict[str, Any]:
    row = _import_of(context, import_id)
    report: dict[str, Any] = {"refused_lines": row.rejected_lines} | row.report
    return _listed(context, row) | dict.fromkeys(import_record.REPORTED) | _said(context, report)


def _said(context: Context, report: dict[str, Any], line_of: Callable[[int], int] = int) -> dict[str, Any]:
    """A report in the language of the request, with the lines of the file that was sent."""

    def line(sentence: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return lambda one: {"line": line_of(one["line"]), sentence: context.said(worded(one[sentence]))}

    parts: dict[str, Callable[[Any], Any]] = {
        "refused_lines": line("reason"),
        "remarks": line("remark"),
        "dates": context.said,
    }
    return report | {name: [say(one) for one in report[name]] for name, say in parts.items() if name in report}


def _listed(context: Context, row: Any) -> dict[str, Any]:
    shown: dict[str, Any] = row._asdict()
    reason = context.maybe_said(row.reason and worded(row.reason))
    return shown | {"refused": row.rejected, "reason": reason, "created_by": context.view.who(row.created_by)}


@operation(files, "GET", "/imports", scope="calls:read", answer=models.ImportList)
async def list_imports(
    context: RequestContext,
    business_id: Whose = None,
    campaign_id: Whose = None,
    state: Annotated[list[models.ImportState] | None, Query(max_length=5)] = None,
    limit: Limit = 100,
    before: BeforeId = None,
) -> Any:
    """List imports of files of calls, the newest first: how far each has come, and how it ended."""

    def work() -> Any:
        whose = context.filter(business_id, campaign_id)
        rows = import_record.find(**whose, states=state, before=before, limit=limit)
        return page_of_rows("imports", rows, limit) | {"imports": [_listed(context, row) for row in rows]}

    return await context.read(work)


@operation(files, "GET", "/imports/{import_id:int}", scope="calls:read", answer=models.ShownImport)
async def show_import(context: RequestContext, import_id: Id) -> Any:
    """Show an import: its state, how many bytes came, what came of its lines, and the first 1,000 refused ones."""
    return await context.read(lambda: _import_shown(context, import_id))


@operation(files, "GET", "/imports/{import_id:int}/rejected", scope="calls:read", streams=(NDJSON, CSV))
async def export_rejected_lines(request: Request, context: RequestContext, import_id: Id) -> Any:
    """Stream the first 1,000 lines of an import that were refused, with the reason of each."""
    shown = await run_in_threadpool(lambda: _import_shown(context, import_id))
    return await _stream(request, ("line", "reason"), iter([shown["refused_lines"]]))


async def _import(request: Request, context: RequestContext, work: Callable[[Path], Any]) -> Any:
    async with _spooled(request, context) as spool:
        received = await _receive(request, spool)
        return await context.of_file(received.sha256).write(
            lambda: _reported(context, lambda given: work(given).as_json(), received), in_parts=True
        )


def _reported(context: Context, work: Callable[[Path], dict[str, Any]], received: _Received) -> dict[str, Any]:
    """The report of a file as its sender knows it: by its lines, and without a path of this machine."""
    try:
        report = work(received.path)
    except BadFile as refusal:
        raise BadFile(str(refusal).replace(str(received.path), "the file")) from None
    return _said(context, report, received.lines.of)


@operation(files, "POST", "/suppressions/import", scope="suppression", answer=models.Report, file_types=FILES)
async def import_suppressions(
    request: Request,
    context: RequestContext,
    business_id: Whose = None,
    campaign_id: Whose = None,
    everybody: bool = False,
    reason: Word = None,
    region: Region = None,
    to_column: Column = None,
) -> Any:
    """Put a file of numbers on the do-not-call list: phone, reason.  A second time adds nothing."""
    whose = await run_in_threadpool(lambda: for_whom(context, business_id, campaign_id, everybody=everybody))
    return await _import(
        request,
        context,
        lambda path: suppression.import_suppressions(
            path,
            actor=context.caller.who,
            business_id=whose["business_id"],
            campaign_id=whose["campaign_id"],
            reason=reason or "",
            region=region,
            to_column=to_column,
        ),
    )


@operation(files, "POST", "/consents/import", scope="suppression", answer=models.Report, file_types=FILES)
async def import_consents(
    request: Request,
    context: RequestContext,
    business_id: Whose = None,
    given_at: When = None,
    region: Region = None,
    to_column: Column = None,
) -> Any:
    """Record a file of consents: phone, given_at, expires_at, source."""
    owner = await run_in_threadpool(owner_of, context, business_id)
    return await _import(
        request,
        context,
        lambda path: consent.import_consents(
            path, actor=context.caller.who, business_id=owner, given_at=given_at, region=region, to_column=to_column
        ),
    )


@operation(files, "POST", "/registry/import", scope="operator", answer=models.Report, file_types=FILES, of_all=True)
async def import_registry(
    request: Request,
    context: RequestContext,
    checked_at: Annotated[str, Query(min_length=1, max_length=60), PLUS],
    region: Region = None,
    to_column: Column = None,
) -> Any:
    """Record a registry's answers: phone, listed (yes or no)."""
    return await _import(
        request,
        context,
        lambda path: registry.import_registry(
            path, actor=context.caller.who, checked_at=checked_at, region=region, to_column=to_column
        ),
    )


def _wants_csv(request: Request) -> bool:
    return preference.best(preference.sent(request, "accept"), _KINDS) == CSV


async def _stream(
    request: Request, columns: tuple[str, ...], pages: Iterator[list[dict[str, Any]]]
) -> StreamingResponse:
    """Rows page by page, as NDJSON or, where that is asked for, as CSV that no spreadsheet runs as a formula."""
    plain_pages = ([plain(row) for row in page] for page in pages)
    if _wants_csv(request):
        return await _streaming(request, CSV, _csv_lines(columns, plain_pages))
    return await _streaming(request, NDJSON, _json_lines(columns, plain_pages))


async def _streaming(
    request: Request, kind: str, pieces: Iterator[str], background: BackgroundTask | None = None
) -> StreamingResponse:
    """
    What comes in pieces, each of which is sent only while the token is live.

    The first is there before the answer begins: where it cannot be had, that is said.
    """
    first = await run_in_threadpool(next, pieces, "")
    context: Context = request.state.context

    async def all_pieces() -> AsyncIterator[str]:
        yield first
        try:
            async for piece in iterate_in_threadpool(pieces):
                yield ""  # comes back once the reader has taken most of what was sent
                await context.stay_in()
                yield piece
        except Problem:
            raise ConnectionAbortedError from None  # as below
        except Exception as error:  # noqa: BLE001 (its text may hold a row's data, and would be logged)
            if isinstance(error, db.Unavailable) and db.fault(error)[0] != db.TOOK_TOO_LONG:
                log.outage("api.database_away", error)
            else:
                log_fault(error)
            raise ConnectionAbortedError from None  # the server hangs up, by which the client knows

    return StreamingResponse(all_pieces(), media_type=kind, background=background)


def _json_lines(columns: tuple[str, ...], pages: Iterator[list[dict[str, Any]]]) -> Iterator[str]:
    for page in pages:
        rows = [{name: row.get(name) for name in columns} for row in page]
        yield "".join(json.dumps(row, ensure_ascii=False, default=_text_of) + "\n" for row in rows)


def _text_of(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _csv_lines(columns: tuple[str, ...], pages: Iterator[list[dict[str, Any]]]) -> Iterator[str]:
    out = io.StringIO()
    writer = Writer(columns, out)
    for page in pages:
        for row in page:
            writer.write(row)
        yield _taken(out)
    yield out.getvalue()


@operation(files, "GET", "/exports/calls", scope="calls:read", streams=(NDJSON, CSV))
async def export_calls(
    request: Request,
    context: RequestContext,
    number: Number = None,
    region: Region = None,
    status: Statuses = None,
    business_id: Whose = None,
    campaign_id: Whose = None,
    batch: Word = None,
    since: When = None,
    until: When = None,
    answered_by: Word = None,
    error_code: Word = None,
) -> Any:
    """
    Stream the calls that `GET /calls` finds, newest first.

    No snapshot is held for it: a call that moves meanwhile may be missed, or come twice.
    """

    def search() -> call_search.Wanted:
        return wanted(
            context,
            number=number,
            region=region,
            status=status,
            business_id=business_id,
            campaign_id=campaign_id,
            batch=batch,
            since=since,
            until=until,
            answered_by=answered_by,
            error_code=error_code,
        )

    is_csv = _wants_csv(request)
    pages = _one_ahead(call_search.lines(await run_in_threadpool(search), as_cells=is_csv))
    if is_csv:
        return await _streaming(request, CSV, _sheet(_CALL_COLUMNS, pages))
    return await _streaming(request, NDJSON, pages)


def _one_ahead(pages: Iterator[str]) -> Iterator[str]:
    """Give each page while PostgreSQL makes the next one."""
    coming = _PAGES.submit(next, pages, None)
    while (page := coming.result()) is not None:
        coming = _PAGES.submit(next, pages, None)
        yield page


def _sheet(columns: tuple[str, ...], pages: Iterator[str]) -> Iterator[str]:
    """Pages whose lines are arrays of texts as CSV."""
    out = io.StringIO()
    writer = Writer(columns, out)
    for page in pages:
        lines = page.split("\n")[:-1]
        for place in range(0, len(lines), _PARSED_MAX):
            writer.write_texts(json.loads(f"[{','.join(lines[place : place + _PARSED_MAX])}]"))
        yield _taken(out)


def _taken(out: io.StringIO) -> str:
    """What was written, which is then no longer there."""
    text = out.getvalue()
    out.seek(0)
    out.truncate()
    return text


@operation(files, "GET", "/exports/leads", scope="leads:read", streams=(NDJSON, CSV))
async def export_leads(
    request: Request, context: RequestContext, business_id: Whose = None, since: When = None, until: When = None
) -> Any:
    """Stream leads, the one with the last contact first."""
    found = await run_in_threadpool(lambda: wanted(context, business_id=business_id, since=since, until=until))

    def pages() -> Iterator[list[dict[str, Any]]]:
        before: Place | None = None
        while True:
            page: Page = lead_list.find(found, limit=PAGE_ROWS, before=before)
            yield page.calls
            if page.next is None:
                return
            before = page.next

    return await _stream(request, _LEAD_COLUMNS, pages())


@operation(files, "GET", "/exports/audit", scope="audit", streams=(NDJSON, CSV), of_all=True)
async def export_audit(request: Request) -> Any:
    """Stream the audit, the newest entry first, each with its place in the chain."""
    return await _stream(request, _AUDIT_COLUMNS, audit.pages(PAGE_ROWS))


@operation(files, "GET", "/campaigns/{campaign_id:int}/results", scope="calls:read", streams=(NDJSON, CSV))
async def export_campaign_results(request: Request, context: RequestContext, campaign_id: Id) -> Any:
    """Stream what came of each callee of a campaign: reached or not, last outcome, next call."""
    await run_in_threadpool(context.campaign, campaign_id)
    is_csv = _wants_csv(request)
    file = await slowly(lambda: _results(campaign_id, is_csv=is_csv))
    await context.let_in()
    pieces = iter(partial(file.read, _PIECE_CHARS), "")
    return await _streaming(request, CSV if is_csv else NDJSON, pieces, BackgroundTask(file.close))


def _results(campaign_id: int, *, is_csv: bool) -> IO[str]:
    """Export what came of each callee; the snapshot is given up before anybody reads it."""
    file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (closed once it was sent)
    with campaign_results.of(campaign_id) as (_, rows):
        pages = _pages(rows)
        columns = campaign_results.COLUMNS
        file.writelines(_csv_lines(columns, pages) if is_csv else _json_lines(columns, pages))
    file.seek(0)
    return file


def _pages(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while page := [plain(row) for row in islice(rows, PAGE_ROWS)]:
        yield page
