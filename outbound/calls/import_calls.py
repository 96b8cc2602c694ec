"""Put the calls of a file in the queue, once each."""

import io
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TypeVar

from outbound import db, os_user
from outbound.calls import call_request, import_record, import_writer, wrong_file
from outbound.calls.call_request import FIELD_MAX, FIELDS_MAX, BadCall, NewCall
from outbound.calls.import_dates import FileDates
from outbound.calls.import_record import Record
from outbound.calls.import_report import CallsReport
from outbound.calls.import_writer import BatchName, Chunk
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
    actor: str | None = None,
    only_business: int | None = None,
    record: Record | None = None,
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
        business_id: whose calls these are: a line whose column `business` names another one is refused.  Without it
            each line names one.
        campaign_id: the campaign they are for, which says its business itself.
        batch: the name of this set of calls in its campaign, or else in its business; by default the file's, or
            where the same content was imported before under another name, that.  What has none must be given one.
        again: whether numbers that were called lately are taken.
        anyway: whether a file is taken of which nearly every line is refused, or whose calls would not wait for moments
            that it holds.
        dry_run: whether nothing is written; the report is the same.
        to_column: the one column that holds the number, whatever the file calls it.
        progress: called with the number of bytes read so far.
        actor: the person who decided it, for the audit, which keeps the file's name, digest and counts too; by default
            the user of this process.
        only_business: a line whose column `business` names another one is refused, and one whose `from` is not a number
            of this one or of the campaign.
        record: the row that tells how it goes, where that was begun before; a file that is only tried has none.

    Raises:
        BadFile: the file cannot be read, or no column holds phone numbers, or it is nobody's, or (WrongFile) nearly
            all of its lines are refused.  Nothing was queued.  A bad line is no reason: it is reported.
    """
    name = _batch_name(path, batch)
    callers = _callers(business_id, campaign_id, only_business)
    who = actor or os_user.name()
    report = CallsReport(kept=True, is_dry=dry_run)
    with _opened(path) as file:
        sha256 = csv_file.sha256(file)
        named = BatchName(name, batch is not None, sha256)
        writer = import_writer.Writer(callers.campaign_id, named, callers.zone_of, again=again, dry=dry_run, by=actor)
        rows = _rows(file, report, callers, to_column)
        _check_fields(report.fields, BOOK_FIELDS_MAX if rows.is_address_book else FIELDS_MAX)
        if callers.campaign_id or "business" not in rows.columns:
            callers.refuse_unable()
        dates = FileDates(lambda: _moments(csv_file.again(file), callers, to_column))
        read = partial(_read, report.fields, callers, dates, CalleeZones().of)
        details = {"file": csv_file.name_of(path), "sha256": sha256}
        record = record or (Record(None) if dry_run else callers.begin(name, who))
        audited = nullcontext() if dry_run else _audited(who, callers, details, report, writer, record)
        chunks = closing(_ahead(_chunks(file, rows, read, report, dates)))
        with import_record.ended(record):
            with audited, chunks as found:
                unread = [] if "at" in rows.columns else report.fields
                fit = found if anyway else _fit(found, writer, callers.owner, unread)
                with closing(writer.write(fit)) as written:
                    for chunk in written:
                        record.wrote(_total(report, writer.report), chunk.end)
                        progress(chunk.end)
            report.add(writer.report)
            report.dates, report.clocks = dates.readings, dates.clocks
            record.finish(report)
    return report


def _opened(path: Path) -> AbstractContextManager[io.BufferedReader]:
    return csv_file.open_input() if path == STANDARD_INPUT else csv_file.open_file(path)


class _Callers:
    """The businesses that the rows of a file call for: the one of the file, or the one that a row names."""

    def __init__(self, business_id: int | None, campaign_id: int | None, only_business: int | None) -> None:
        self.business_id, self.campaign_id = business_id, campaign_id
        self._only_business = only_business
        self._find = lru_cache(BUSINESSES_KEPT)(self._look_up)

    def _look_up(self, business_id: int | None) -> db.Row | None:
        if self._only_business is not None and business_id not in (None, self._only_business):
            return None
        given = {"business_ids": [business_id], "campaign_ids": [self.campaign_id]}
        return next(iter(db.run(sql.find_callers, **given)), None)

    def refuse_foreign(self, call: NewCall, row: dict[str, str]) -> None:
        """Raise BadCall where a tenant gives a from-number that is not its own."""
        if self._only_business is not None and row.get("from") and call.from_number not in self._numbers:
            raise BadCall(call_request.NO_NUMBER_OF_THEIRS)

    @cached_property
    def _numbers(self) -> set[str]:
        found = db.run(sql.numbers_to_call_from, business_id=self._only_business, campaign_id=self.campaign_id)
        return {row.phone for row in found}

    @property
    def is_given(self) -> bool:
        """Return whether the whole file is of one business or campaign."""
        return self.business_id is not None or self.campaign_id is not None

    @property
    def owner(self) -> db.Row | None:
        """The business of the whole file, unless each of its rows names one."""
        return self._find(self.business_id) if self.is_given else None

    @property
    def scope(self) -> tuple[str, str]:
        """Scope and key of what the file is for, as the audit has them."""
        if self.campaign_id is not None:
            return "campaign", str(self.campaign_id)
        return ("account", "") if self.business_id is None else ("business", str(self.business_id))

    def begin(self, batch: str, who: str) -> Record:
        """The row of an import that begins."""
        return import_record.begin(batch, business_id=self.business_id, campaign_id=self.campaign_id, who=who)

    def zone_of(self, business_id: int) -> str:
        """The time zone of a business."""
        caller = self._find(business_id)
        return caller.time_zone if caller else "UTC"

    def refuse_unable(self) -> None:
        """Raise BadFile where the file is nobody's, or its business cannot call."""
        if not self.is_given:
            raise BadFile("say whose calls these are: give --business or --campaign, or a column named business")
        try:
            _ = self._able_owner
        except BadCall as refusal:
            raise BadFile(str(refusal)) from None

    def of(self, row: dict[str, str]) -> db.Row:
        """The business that a row calls for; raise BadCall where it names none, or one that cannot call."""
        if row.get("business"):
            named = call_request.able(self._named(row), self.campaign_id)
            if self.business_id not in (None, named.id):
                raise BadCall("`business` is another than the file is for: leave the column out, or import it apart")
            return named
        if not self.is_given:
            raise BadCall("`business` is empty: give the id of one, see `outbound business list`")
        return self._able_owner

    @cached_property
    def _able_owner(self) -> db.Row:
        return call_request.able(self.owner, self.campaign_id)

    def holds_number(self, cell: str, row: dict[str, str]) -> bool:
        """Return whether a cell is a number as the row's business would write it."""
        try:
            caller = self._named(row)
        except BadCall:
            return False
        return caller is not None and call_request.is_number(cell, caller)

    def _named(self, row: dict[str, str]) -> db.Row | None:
        named = row.get("business")
        return self._find(call_request.read_id(named, "business") if named else self.business_id)


def _callers(business_id: int | None, campaign_id: int | None, only_business: int | None) -> _Callers:
    try:
        return _Callers(*call_request.ids(business_id, campaign_id), only_business)
    except BadCall as refusal:
        raise BadFile(str(refusal)) from None


def _batch_name(path: Path, given: str | None) -> str:
    """Return what the batch is called, or raise BadFile."""
    csv_file.refuse_directory(path)
    if given is None and (path == STANDARD_INPUT or path.parts[:2] in (("/", "dev"), ("/", "proc"))):
        raise BadFile("what is no file has no name: give --batch NAME, and the same one for the same list next time")
    return checked_batch(csv_file.name_of(path) if given is None else given)


def checked_batch(name: str) -> str:
    """The name of a batch as it was given; or raise BadFile."""
    if fault := plain_text.fault(name):
        raise BadFile(f"the name of the batch {fault}")
    if not name.strip() or len(name) > BATCH_MAX or not csv_file.is_text(name):
        raise BadFile(f"the name of the batch must be text of {BATCH_MAX} characters at most: give --batch NAME")
    return name


def _rows(file: io.BufferedReader, report: ImportReport, callers: _Callers, to_column: str | None) -> csv_file.Rows:
    return csv_file.Rows(file, report, to_column=to_column, holds=callers.holds_number)


def _moments(file: io.BufferedReader, callers: _Callers, to_column: str | None) -> Iterator[tuple[int, str]]:
    """The line and the moment of each row of the file."""
    for line, row in _rows(file, ImportReport(), callers, to_column):
        if at := row.get("at"):
            yield line, at


def _fit(
    chunks: Iterator[Chunk], writer: import_writer.Writer, caller: db.Row | None, unread: list[str]
) -> Iterator[Chunk]:
    """Raise WrongFile where the first says that nearly every line is refused, or that calls would not wait."""
    for place, chunk in enumerate(chunks):
        if place == 0:
            refused = [*chunk.refused, *writer.faults(chunk)]
            lines = len(chunk.refused) + len(chunk.calls)
            wrong_file.refuse(refused, lines, is_all=chunk.is_last, caller=caller)
            wrong_file.refuse_unread_moments(unread, zip(chunk.lines, chunk.calls, strict=True))
        yield chunk


@contextmanager
def _audited(
    who: str,
    callers: _Callers,
    details: Mapping[str, object],
    read: ImportReport,
    writer: import_writer.Writer,
    record: Record,
) -> Iterator[None]:
    """Write an entry of the audit at the end of an import, also of one that was interrupted, which its row counts."""

    def note(*, is_whole: bool) -> None:
        scope, key = callers.scope
        counts = _total(read, writer.report).counts()
        noted = db.json({**details, "batch": writer.report.batch, **counts, "is_whole": is_whole})
        db.run(sql.note_import, who=who, scope=scope, key=key, details=noted)

    try:
        yield
    except BaseException:
        record.count(_total(read, writer.report))
        with suppress(db.Error):
            note(is_whole=False)
        raise
    note(is_whole=True)


def _total(read: ImportReport, written: ImportReport) -> CallsReport:
    total = CallsReport()
    total.add(read)
    total.add(written)
    return total


def _check_fields(fields: list[str], fields_max: int) -> None:
    if len(fields) > fields_max:
        raise BadFile(f"the file has {len(fields)} columns about the callee, and {fields_max} are allowed")
    for name in fields:
        if len(name) > FIELD_MAX // 10:
            raise BadFile(f"the name of a column is longer than {FIELD_MAX // 10} characters")
        if fields.count(name) > 1:
            raise BadFile(f"two columns are named `{name}`: rename one of them")


def _read(
    fields: list[str],
    callers: _Callers,
    dates: FileDates,
    zone_of: Callable[[str], str | None],
    row: dict[str, str],
) -> NewCall:
    """The call that a row of the file means, or raise BadCall."""
    caller = callers.of(row)
    contact = {name: row[name] for name in fields if name in row} if fields else None
    at, key = row.get("at") or None, row.get("key") or None
    given = (row.get("to", ""), row.get("from"), at, key, contact, row.get("time_zone"))
    region = caller.default_region
    try:
        call = call_request.read(caller, *given, zone_of, dates.orders.get(region), are_texts=True)
    except call_request.DoubtfulDay:
        if region in dates.orders:
            raise
        call = call_request.read(caller, *given, zone_of, dates.decide(region), are_texts=True)
        dates.say(caller, row["at"], call)
    callers.refuse_foreign(call, row)
    return call


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
    now = datetime.now(UTC)  # for the report alone
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
            if call.due_at is not None:
                dates.show(line, row.get("at", ""), call)
                report.overdue += call.due_at < now
            if call.contact is not None:
                chars += len(call.contact)
        seen += 1
        if seen == CHUNK_ROWS or chars > CHUNK_CHARS:
            yield chunk.complete(file.tell())
            chunk = Chunk()
            seen = chars = 0
    yield chunk.complete(file.tell(), is_last=True)


def _ahead(chunks: Iterator[T]) -> Generator[T]:
    """Read each chunk in a thread, while PostgreSQL is busy with the one before."""
    with ThreadPoolExecutor(1, "read-ahead") as reader:
        coming = reader.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = reader.submit(next, chunks, None)
            yield chunk
