"""Operations: files of calls, numbers, consents and registry checks; lists that are streamed out."""

import csv
import io
import json
import tempfile
from asyncio import Semaphore
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any

from fastapi import Query
from starlette.background import BackgroundTask
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from outbound.api import json_body, models
from outbound.api.calls import wanted
from outbound.api.contacts import for_whom, owner_of
from outbound.api.context import Context, plain, slowly
from outbound.api.parameters import Number, Region, Statuses, When, Whose, Word
from outbound.api.problem import Problem
from outbound.api.route import Asked, Id, operation, router
from outbound.calls import call_search, campaign_results, lead_list
from outbound.calls import import_calls as step
from outbound.calls.call_search import Page, Place
from outbound.formats.spreadsheet import Writer
from outbound.rules import consent, registry, suppression

files = router("files")

CSV, NDJSON = "text/csv", "application/x-ndjson"
FILE_MAX = 256 << 20  # bytes; what is made of it has no more either
FILES_AT_ONCE = 2
_places: list[Semaphore] = []
LINE_MAX = 65_536  # bytes of a line of NDJSON
COLUMNS_MAX = 300  # of a file of NDJSON
PAGE_ROWS = 1000  # of a stream; each page is a statement of its own, so that no snapshot is held

Batch = Annotated[str, Query(min_length=1, max_length=200, description="name of this set of calls")]
Column = Annotated[str | None, Query(max_length=200, description="the column that holds the number")]
_CALL_COLUMNS = (
    *("id", "business_id", "campaign_id", "direction", "from_number", "to_number", "status", "created_at", "due_at"),
    *("dialed_at", "answered_at", "ended_at", "duration_s", "answered_by", "error_code", "attempt", "retry_of"),
    *("call_sid", "key", "batch", "lead_id"),
)
_LEAD_COLUMNS = ("id", "business_id", "phone", "created_at", "updated_at", "calls", "call_id", "call_status")


@asynccontextmanager
async def _spooled() -> AsyncIterator[Path]:
    """A place for a file; few at once, as each may fill FILE_MAX twice."""
    if not _places:
        _places.append(Semaphore(FILES_AT_ONCE))
    async with _places[0]:
        with tempfile.TemporaryDirectory(prefix="outbound-api-") as directory:
            yield Path(directory) / "upload.csv"


async def _receive(request: Request, to: Path) -> None:
    """
    Write the body to a file as it comes; NDJSON becomes CSV.

    Raises:
        Problem: 415 or 413; 400 where a line is no JSON object of texts.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (CSV, NDJSON):
        raise Problem(415, f"send the file as {CSV} or {NDJSON}")
    size = 0
    raw = to if kind == CSV else to.with_name("file.ndjson")
    with raw.open("wb") as file:
        async for piece in request.stream():
            size += len(piece)
            if size > FILE_MAX:
                raise Problem(
                    413, f"a file may have {FILE_MAX} bytes: send it in parts", headers={"connection": "close"}
                )
            await run_in_threadpool(file.write, piece)
    if kind == NDJSON:
        await slowly(lambda: _to_csv(raw, to))


def _to_csv(raw: Path, to: Path) -> None:
    columns: dict[str, None] = {}
    for row in _objects(raw):
        columns.update(dict.fromkeys(row))
        if len(columns) > COLUMNS_MAX:
            raise Problem(422, f"the lines have more than {COLUMNS_MAX} fields between them", code="bad_file")
    if not columns:
        raise Problem(422, "the file is empty", code="bad_file")
    with to.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        for row in _objects(raw):
            writer.writerow(row)
            if file.tell() > FILE_MAX:
                raise Problem(413, f"as a table the file has more than {FILE_MAX} bytes: send it in parts")


def _objects(raw: Path) -> Iterator[dict[str, str]]:
    with raw.open("rb") as file:
        place = 0
        while line := file.readline(LINE_MAX + 1):
            place += 1
            if len(line) > LINE_MAX:
                raise Problem(422, f"line {place} has more than {LINE_MAX} bytes", code="bad_file")
            if not line.strip():
                continue
            try:
                row = json_body.parse(line)
            except Problem as problem:
                raise Problem(422, f"line {place}: {problem.detail}", code="bad_file") from None
            if not isinstance(row, dict):
                raise Problem(422, f"line {place} is no JSON object", code="bad_file")
            yield {name: _text(value, place) for name, value in row.items() if value is not None}


def _text(value: Any, place: int) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Problem(422, f"line {place}: a field holds a text or a number", code="bad_file")
    return str(value)


@operation(files, "POST", "/imports", scope="calls:write", answer=models.ImportReport, file_types=(CSV, NDJSON))
async def import_calls(
    request: Request,
    asked: Asked,
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

    The file is sent as the body and read as `outbound import` reads it.  What was read is kept every 5,000 rows; a file
    that breaks off is simply sent again under the same `batch`, which reaches each telephone once.
    """
    whose = await run_in_threadpool(asked.whose, business_id, campaign_id)
    if whose["business_id"] is None and whose["campaign_id"] is None:
        raise Problem(422, "say whose calls these are: give business_id or campaign_id", code="bad_file")
    async with _spooled() as path:
        await _receive(request, path)

        def work() -> Any:
            report = step.import_calls(
                path,
                business_id=whose["business_id"],
                campaign_id=whose["campaign_id"],
                batch=batch,
                again=again,
                anyway=anyway,
                dry_run=dry_run,
                to_column=to_column,
                actor=asked.caller.who,
                only_business=asked.caller.business_id,
            )
            return _shown(asked, report.as_json())

        return await asked.read(work, is_slow=True)


async def _import(request: Request, asked: Asked, work: Callable[[Path], Any]) -> Any:
    async with _spooled() as path:
        await _receive(request, path)
        return await asked.read(lambda: _shown(asked, work(path).as_json()), is_slow=True)


def _shown(asked: Context, report: dict[str, Any]) -> dict[str, Any]:
    lines = [line | {"reason": asked.view.text(line["reason"])} for line in report["refused_lines"]]
    return report | {"refused_lines": lines}


@operation(files, "POST", "/suppressions/import", scope="suppression", answer=models.Report, file_types=(CSV, NDJSON))
async def import_suppressions(
    request: Request,
    asked: Asked,
    business_id: Whose = None,
    campaign_id: Whose = None,
    everybody: bool = False,
    reason: Word = None,
    region: Region = None,
    to_column: Column = None,
) -> Any:
    """Put a file of numbers on the do-not-call list: phone, reason.  A second time adds nothing."""
    whose = await run_in_threadpool(lambda: for_whom(asked, business_id, campaign_id, everybody=everybody))
    return await _import(
        request,
        asked,
        lambda path: suppression.import_suppressions(
            path,
            actor=asked.caller.who,
            business_id=whose["business_id"],
            campaign_id=whose["campaign_id"],
            reason=reason or "",
            region=region,
            to_column=to_column,
        ),
    )


@operation(files, "POST", "/consents/import", scope="suppression", answer=models.Report, file_types=(CSV, NDJSON))
async def import_consents(
    request: Request,
    asked: Asked,
    business_id: Whose = None,
    given_at: When = None,
    region: Region = None,
    to_column: Column = None,
) -> Any:
    """Record a file of consents: phone, given, expires, source."""
    owner = await run_in_threadpool(owner_of, asked, business_id)
    return await _import(
        request,
        asked,
        lambda path: consent.import_consents(
            path, actor=asked.caller.who, business_id=owner, given_at=given_at, region=region, to_column=to_column
        ),
    )


@operation(
    files, "POST", "/registry/import", scope="operator", answer=models.Report, file_types=(CSV, NDJSON), of_all=True
)
async def import_registry(
    request: Request,
    asked: Asked,
    checked_at: Annotated[str, Query(min_length=1, max_length=60)],
    region: Region = None,
    to_column: Column = None,
) -> Any:
    """Record a registry's answers: phone, listed (yes or no)."""
    return await _import(
        request,
        asked,
        lambda path: registry.import_registry(
            path, actor=asked.caller.who, checked_at=checked_at, region=region, to_column=to_column
        ),
    )


def _wants_csv(request: Request) -> bool:
    return CSV in request.headers.get("accept", "")


def _stream(request: Request, columns: tuple[str, ...], pages: Iterator[list[dict[str, Any]]]) -> StreamingResponse:
    """Rows page by page, as NDJSON or, where that is asked for, as CSV that no spreadsheet runs as a formula."""
    if _wants_csv(request):
        kind, lines = CSV, _csv_lines(columns, pages)
    else:
        kind, lines = NDJSON, _json_lines(columns, pages)
    return StreamingResponse(iterate_in_threadpool(lines), media_type=kind)


def _json_lines(columns: tuple[str, ...], pages: Iterator[list[dict[str, Any]]]) -> Iterator[str]:
    for page in pages:
        rows = [{name: row.get(name) for name in columns} for row in map(plain, page)]
        yield "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)


def _csv_lines(columns: tuple[str, ...], pages: Iterator[list[dict[str, Any]]]) -> Iterator[str]:
    out = io.StringIO()
    writer = Writer(columns, out)
    for page in pages:
        for row in page:
            writer.write(row)
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


@operation(files, "GET", "/exports/calls", scope="calls:read", streams=(NDJSON, CSV))
async def export_calls(
    request: Request,
    asked: Asked,
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
            asked,
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

    found = await run_in_threadpool(search)
    pages = (page.calls for page in call_search.pages(found, page_max=PAGE_ROWS))
    return _stream(request, _CALL_COLUMNS, pages)


@operation(files, "GET", "/exports/leads", scope="leads:read", streams=(NDJSON, CSV))
async def export_leads(
    request: Request, asked: Asked, business_id: Whose = None, since: When = None, until: When = None
) -> Any:
    """Stream leads, the one with the last contact first."""
    found = await run_in_threadpool(lambda: wanted(asked, business_id=business_id, since=since, until=until))

    def pages() -> Iterator[list[dict[str, Any]]]:
        before: Place | None = None
        while True:
            page: Page = lead_list.find(found, limit=PAGE_ROWS, before=before)
            yield page.calls
            if page.next is None:
                return
            before = page.next

    return _stream(request, _LEAD_COLUMNS, pages())


@operation(files, "GET", "/campaigns/{campaign_id:int}/results", scope="calls:read", streams=(NDJSON, CSV))
async def export_campaign_results(request: Request, asked: Asked, campaign_id: Id) -> Any:
    """Stream what came of each callee of a campaign: reached or not, last outcome, next call."""
    await run_in_threadpool(asked.campaign, campaign_id)
    is_csv = _wants_csv(request)
    file = await slowly(lambda: _results(campaign_id, is_csv=is_csv))
    kind = CSV if is_csv else NDJSON
    return StreamingResponse(iterate_in_threadpool(file), media_type=kind, background=BackgroundTask(file.close))


def _results(campaign_id: int, *, is_csv: bool) -> IO[str]:
    """What came of each callee, in a file: the snapshot is given up before anybody reads it."""
    file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (closed once it was sent)
    with campaign_results.of(campaign_id) as (_, rows):
        pages = _pages(rows)
        columns = campaign_results.COLUMNS
        file.writelines(_csv_lines(columns, pages) if is_csv else _json_lines(columns, pages))
    file.seek(0)
    return file


def _pages(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while page := list(islice(rows, PAGE_ROWS)):
        yield page
