"""Put the calls of a file in the queue, once each."""

import io
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from outbound import db, os_user
from outbound.calls import call_request, import_writer, wrong_file
from outbound.calls.call_request import FIELD_MAX, FIELDS_MAX, BadCall, NewCall
from outbound.calls.import_dates import FileDates
from outbound.calls.import_report import CallsReport
from outbound.calls.import_writer import BatchName, Chunk
from outbound.config import settings
from outbound.formats import csv_file, plain_text
from outbound.formats.csv_file import BadFile
from outbound.formats.file_report import ImportReport
from outbound.rules.callee_zone import CalleeZones

__all__ = ["BadFile", "CallsReport", "ImportReport", "import_calls"]

sql = db.statements("calls/enqueue")

CHUNK_ROWS = 5000  # one transaction each: an import that is interrupted keeps what it has, and is repeated whole
CHUNK_CHARS = 2_000_000  # of its contacts, so that long ones do not fill the memory
BOOK_FIELDS_MAX = 300  # columns of an address book, of which each row fills a few: a contact's own bound holds
BATCH_MAX = 200  # characters of its name
BUSINESSES_KEPT = 1000  # of a file: a column of nonsense must not fill the memory
STANDARD_INPUT = Path("-")

T = TypeVar("T")
_Find = Callable[[int | None], db.Row | None]  # who calls, by the id of a business


def import_calls(
    path: Path,
    *,
    business_id: int | None = None,
    campaign_id: int | None = None,
    batch: str | None = None,
    again: bool = False,
    anyway: bool = False,
    dry_run: bool = False,
    to_column: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
    who: str | None = None,
) -> CallsReport:
    """
    Put the calls of a file in the queue; whom this batch has reached is not called by it again.

    A batch reaches a telephone once, whatever else is changed in its line, in its key too, and whatever became of the
    call: also where that was canceled, or is deleted by now.  Numbers that anything of the business called in the hours
    to which it looks back are held out.  A number that another live call holds counts as there already.  A key belongs
    to one number: a line that gives it another is rejected.

    A line names the columns: `to`, or as many programs call what holds a phone number, and if wanted `from`, `at`,
    `key`, `business`, `time_zone`, in English or Hebrew; every other column is a field of the contact.  A title above
    that line is stepped over.  Where several columns hold phone numbers, each row's first that is one is called,
    mobiles before others; the report says all of this.

    Args:
        path: CSV, or a workbook (.xlsx); `-` is standard input.
        business_id: whose calls these are, where the file has no column `business`.
        campaign_id: the campaign they are for, which says its business itself.
        batch: the name of this set of calls in its campaign, or else in its business; by default the file's, or
            where the same content was imported before under another name, that.  What has none must be given one.
        again: whether numbers that were called lately are taken.
        anyway: whether a file is taken of which nearly every line is refused.
        dry_run: whether nothing is written; the report is the same.
        to_column: the one column that holds the number, whatever the file calls it.
        progress: called with the number of bytes read so far.
        who: whose word this is, for the audit, which keeps the file's name, digest and counts; by default the user.

    Raises:
        BadFile: the file cannot be read, or no column holds phone numbers, or it is nobody's, or (WrongFile) nearly
            all of its lines are refused.  Nothing was queued.  A bad line is no reason: it is reported.
    """
    name = _batch_name(path, batch)
    try:
        whose, campaign = call_request.ids(business_id, campaign_id)
    except BadCall as refusal:
        raise BadFile(str(refusal)) from None

    @lru_cache(BUSINESSES_KEPT)
    def find(business_id: int | None) -> db.Row | None:
        return db.run(sql.find_caller, business_id=business_id, campaign_id=campaign, carrier=settings().carrier)

    def zone_of_business(business_id: int) -> str:
        caller = find(business_id)
        return caller.time_zone if caller else "UTC"

    report = CallsReport(kept=True, is_dry=dry_run)
    with csv_file.open_input() if path == STANDARD_INPUT else csv_file.open_file(path) as file:
        sha256 = csv_file.sha256(file)
        writer = import_writer.Writer(
            campaign, BatchName(name, batch is not None, sha256), zone_of_business, again=again, dry=dry_run
        )
        rows = _rows(file, report, whose, find, to_column)
        _check_fields(report.fields, BOOK_FIELDS_MAX if rows.is_address_book else FIELDS_MAX)
        if campaign or "business" not in rows.columns:
            _check_owner(whose, campaign, find)
        zones = CalleeZones()
        dates = FileDates(lambda: _moments(csv_file.again(file), whose, find, to_column))

        def read(row: dict[str, str]) -> NewCall:
            return _read(row, report.fields, whose, campaign, find, dates, zones.of)

        def note(*, is_whole: bool) -> None:
            if not dry_run:
                about = {"file": csv_file.name_of(path), "sha256": sha256, "batch": writer.report.batch or name}
                _note(who, whose, campaign, about | _counts(report, writer.report) | {"is_whole": is_whole})

        try:
            with closing(_ahead(_chunks(file, rows, read, report, dates))) as chunks:
                for place, chunk in enumerate(chunks):
                    if place == 0 and not anyway:
                        _refuse_wrong(chunk, writer, _owner(whose, campaign, find))
                    writer.insert(chunk)
                    progress(chunk.end)
        except BaseException:
            with suppress(db.Error):
                note(is_whole=False)
            raise
        note(is_whole=True)
    report.add(writer.report)
    report.dates, report.clocks = dates.said, dates.clocks
    return report


def _batch_name(path: Path, given: str | None) -> str:
    """What the batch is called, or raise BadFile."""
    csv_file.refuse_directory(path)
    if given is None and (path == STANDARD_INPUT or path.parts[:2] in (("/", "dev"), ("/", "proc"))):
        raise BadFile("what is no file has no name: give --batch NAME, and the same one for the same list next time")
    name = csv_file.name_of(path) if given is None else given
    if not name.strip() or len(name) > BATCH_MAX or not csv_file.is_text(name):
        raise BadFile(f"the name of the batch must be text of {BATCH_MAX} characters at most: give --batch NAME")
    if fault := plain_text.fault(name):
        raise BadFile(f"the name of the batch {fault}")
    return name


def _rows(
    file: io.BufferedReader, report: ImportReport, business_id: int | None, find: _Find, to_column: str | None
) -> csv_file.Rows:
    def holds(number: str, row: dict[str, str]) -> bool:
        caller = _caller(row, business_id, find)
        return caller is not None and call_request.is_number(number, caller)

    return csv_file.Rows(file, report, to_column=to_column, holds=holds)


def _moments(
    file: io.BufferedReader, business_id: int | None, find: _Find, to_column: str | None
) -> Iterator[tuple[int, str]]:
    """The line and the moment of each row of the file."""
    for line, row in _rows(file, ImportReport(), business_id, find, to_column):
        if at := row.get("at"):
            yield line, at


def _owner(business_id: int | None, campaign_id: int | None, find: _Find) -> db.Row | None:
    """Whose the file is, unless each of its rows says that."""
    return None if business_id is None and campaign_id is None else find(business_id)


def _refuse_wrong(chunk: Chunk, writer: import_writer.Writer, caller: db.Row | None) -> None:
    """Raise WrongFile where nearly every line at the beginning is refused."""
    refused = [*chunk.refused, *writer.faults(chunk)]
    lines = len(chunk.refused) + len(chunk.calls)
    wrong_file.refuse(refused, lines, is_all=chunk.is_last, caller=caller)


def _counts(read: ImportReport, written: ImportReport) -> dict[str, int]:
    total = ImportReport()
    total.add(read)
    total.add(written)
    return total.counts()


def _note(who: str | None, business_id: int | None, campaign_id: int | None, details: Mapping[str, object]) -> None:
    scope, key = "account", ""
    if business_id is not None:
        scope, key = "business", str(business_id)
    if campaign_id is not None:
        scope, key = "campaign", str(campaign_id)
    db.run(sql.note_import, who=who or os_user.name(), scope=scope, key=key, details=db.json(dict(details)))


def _check_fields(fields: list[str], fields_max: int) -> None:
    if len(fields) > fields_max:
        raise BadFile(f"the file has {len(fields)} columns about the callee, and {fields_max} are allowed")
    for name in fields:
        if len(name) > FIELD_MAX // 10:
            raise BadFile(f"the name of a column is longer than {FIELD_MAX // 10} characters")
        if fields.count(name) > 1:
            raise BadFile(f"two columns are named `{name}`: rename one of them")


def _check_owner(business_id: int | None, campaign_id: int | None, find: _Find) -> None:
    if business_id is None and campaign_id is None:
        raise BadFile("say whose calls these are: give --business or --campaign, or a column named business")
    try:
        call_request.able(find(business_id), campaign_id)
    except BadCall as refusal:
        raise BadFile(str(refusal)) from None


def _read(
    row: dict[str, str],
    fields: list[str],
    business_id: int | None,
    campaign_id: int | None,
    find: _Find,
    dates: FileDates,
    zone_of: Callable[[str], str | None],
) -> NewCall:
    """The call that a row of the file means, or raise BadCall."""
    if not row.get("business") and business_id is None and campaign_id is None:
        raise BadCall("`business` is empty: give the id of one, see `outbound business list`")
    caller = call_request.able(find(_whose(row, business_id)), campaign_id)
    contact = {name: row[name] for name in fields if name in row}
    given = (row.get("to", ""), row.get("from"), row.get("at"), row.get("key"), contact, row.get("time_zone"))
    region = caller.default_region
    try:
        return call_request.read(caller, *given, zone_of, dates.orders.get(region))
    except call_request.DoubtfulDay:
        if region in dates.orders:
            raise
        call = call_request.read(caller, *given, zone_of, dates.decide(region))
        dates.say(caller, row["at"], call)
        return call


def _whose(row: dict[str, str], business_id: int | None) -> int | None:
    return call_request.row_id(row["business"], "business") if row.get("business") else business_id


def _caller(row: dict[str, str], business_id: int | None, find: _Find) -> db.Row | None:
    """Find the business that a row names; None where it names none that exists."""
    try:
        return find(_whose(row, business_id))
    except BadCall:
        return None


def _chunks(
    file: io.BufferedReader,
    rows: csv_file.Rows,
    read: Callable[[dict[str, str]], NewCall],
    report: ImportReport,
    dates: FileDates,
) -> Iterator[Chunk]:
    """The calls that the file's rows mean; the last chunk may be empty.  What is no call is rejected in *report*."""
    chunk = Chunk()
    seen = chars = 0
    now = datetime.now(UTC)  # only said, and nothing depends on it
    for line, row in rows:
        try:
            call = read(row)
        except BadCall as refusal:
            report.reject(line, str(refusal))
            chunk.refused.append(str(refusal))
        else:
            chunk.lines.append(line)
            chunk.calls.append(call)
            if call.note:
                report.remark(line, call.note)
            dates.show(line, row.get("at", ""), call)
            report.overdue += call.due_at is not None and call.due_at < now
            chars += len(call.contact or "")
        seen += 1
        if seen == CHUNK_ROWS or chars > CHUNK_CHARS:
            chunk.end = file.tell()
            yield chunk
            chunk = Chunk()
            seen = chars = 0
    chunk.end, chunk.is_last = file.tell(), True
    yield chunk


def _ahead(chunks: Iterator[T]) -> Generator[T]:
    """Read each chunk in a thread, while PostgreSQL is busy with the one before."""
    with ThreadPoolExecutor(1, "read-ahead") as reader:
        coming = reader.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = reader.submit(next, chunks, None)
            yield chunk
