"""Put calls in the queue, once each: one, or a file of them."""

import io
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from outbound import db, os_user
from outbound.calls import call_request, import_writer, wrong_file
from outbound.calls.call_request import FIELD_MAX, FIELDS_MAX, KEY_MAX, BadCall, NewCall
from outbound.calls.import_dates import FileDates
from outbound.calls.import_report import CallsReport
from outbound.calls.import_writer import BORROWED, KEY_OF_ANOTHER, BatchName, Chunk
from outbound.config import settings
from outbound.formats import csv_file, moments, plain_text
from outbound.formats.csv_file import REJECTED_SHOWN_MAX, BadFile
from outbound.formats.file_report import ImportReport
from outbound.rules.callee_zone import CalleeZones, zone_of

__all__ = [
    "BORROWED",
    "KEY_MAX",
    "KEY_OF_ANOTHER",
    "REJECTED_SHOWN_MAX",
    "BadCall",
    "BadFile",
    "CallsReport",
    "EnqueuedCall",
    "ImportReport",
    "enqueue",
    "enqueue_call",
    "import_calls",
]

sql = db.statements("calls/enqueue")

CHUNK_ROWS = 5000  # one transaction each: an import that is interrupted keeps what it has, and is repeated whole
CHUNK_CHARS = 2_000_000  # of its contacts, so that long ones do not fill the memory
BOOK_FIELDS_MAX = 300  # columns of an address book, of which each row fills a few: a contact's own bound holds
BATCH_MAX = 200  # characters of its name
BUSINESSES_KEPT = 1000  # of a file: a column of nonsense must not fill the memory
STANDARD_INPUT = Path("-")

_NO_BATCH = {"batch_businesses": "{}", "batch_ids": "{}"}

T = TypeVar("T")
_Find = Callable[[int | None], db.Row | None]  # who calls, by the id of a business


@dataclass(frozen=True)
class EnqueuedCall:
    """
    A call that is in the queue now; `created` is False where it was there already.

    `note` says what was made of a due moment that the clocks of that day show twice, or not at all; `due` is the moment
    as it was understood, with weekday and zone, where one was given.  `has_key` is False where another key, or none,
    has the call that was there already: it is a live one to the same telephone.
    """

    call_id: int
    status: str
    created: bool
    note: str | None = None
    due: str | None = None
    has_key: bool = True


def enqueue_call(
    connection: db.Connection,
    *,
    to_number: str,
    business_id: int | None = None,
    campaign_id: int | None = None,
    from_number: str | None = None,
    due_at: datetime | str | None = None,
    key: str | None = None,
    contact: Mapping[str, str] | None = None,
    time_zone: str | None = None,
    own_key: str | None = None,
) -> EnqueuedCall:
    """
    Put one call in the queue, inside the caller's own transaction; it is dialed after that commits.

    Args:
        connection: a psycopg 3 connection.
        business_id, campaign_id: whose call this is; a campaign says its business itself.
        to_number, from_number: any writing of a number; without a country code, the business's region is taken.
            Without from_number, the campaign's that suits the callee, or else the business's first own number calls.
        due_at: not before this moment, at most 2 years ago or 10 ahead; text is ISO 8601 or a date by numbers that can
            only be one, with a time, and without an offset by the callee's clocks where those are known, else by the
            business's.
        key: the caller's own name for this call: the same key never makes a second one, and belongs to one number.
        contact: what is known of the callee, for `{{field}}` in TwiML and for call_contact(call_sid); at most 50
            fields of 1,000 characters, 8 KiB in all.
        time_zone: the callee's, an IANA name, which becomes that of today; otherwise it is told from the number.
        own_key: a key of our own making, which no caller may give.

    Returns:
        the new call, or the one that is there already: same key, or a live call of this business to this number.

    Raises:
        BadCall: says what is wrong and what to do.
    """
    if business_id is None and campaign_id is None:
        raise BadCall("say whose call this is: give a business or a campaign")
    whose, campaign = _ids(business_id, campaign_id)
    found = sql.find_caller(connection, business_id=whose, campaign_id=campaign, carrier=settings().carrier)
    caller = _able(found, campaign)
    call = call_request.read(
        caller, to_number, from_number, due_at, key, contact, time_zone, lambda number: zone_of(number, connection)
    )
    if own_key is not None:
        call = call._replace(idempotency_key=own_key)
    for _ in range(5):  # a twin that was committed in this instant is seen at the second look
        given = import_writer.columns([call]) | _NO_BATCH
        for row in sql.enqueue_calls(connection, campaign_id=campaign, again=True, dry=False, **given):
            if row.fault:
                raise BadCall(import_writer.fault_of(row))
            if row.created:
                return EnqueuedCall(row.id, "queued", True, call.note, _understood(call))
        for there in sql.find_calls(connection, created_ats="{}", **import_writer.keys([call]), **_NO_BATCH):
            if there.key_of_another:
                raise BadCall(KEY_OF_ANOTHER)
            if there.id is not None:
                return EnqueuedCall(there.id, there.status, created=False, has_key=there.has_key)
    raise BadCall("another call to this number is being written at this moment: try again")


def enqueue(**call: object) -> EnqueuedCall:
    """`enqueue_call` in a transaction of its own."""
    return db.with_connection(lambda connection: enqueue_call(connection, **call))  # type: ignore[arg-type]


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
        whose, campaign = _ids(business_id, campaign_id)
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


def _ids(business_id: int | None, campaign_id: int | None) -> tuple[int | None, int | None]:
    return (
        None if business_id is None else call_request.row_id(business_id, "business"),
        None if campaign_id is None else call_request.row_id(campaign_id, "campaign"),
    )


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
        _able(find(business_id), campaign_id)
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
    caller = _able(find(_whose(row, business_id)), campaign_id)
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


def _understood(call: NewCall) -> str | None:
    return moments.shown(call.due_at, call.zone) if call.due_at else None


def _able(caller: db.Row | None, campaign_id: int | None) -> db.Row:
    """The business that was found, if it can call, and for this campaign."""
    if caller is None:
        # In a file whose columns are mixed up the id is a phone number: it is not repeated here.
        what = "business" if campaign_id is None else "campaign"
        raise BadCall(f"there is no such {what}: see `outbound {what} list`")
    if campaign_id is not None and caller.campaign_id is None:
        raise BadCall(f"the campaign is not one of business {caller.id}: see `outbound campaign list`")
    if caller.has_ended:
        raise BadCall(f"campaign {campaign_id} has ended: `outbound campaign set {campaign_id} --ends …`")
    if not caller.can_speak:
        raise BadCall(f"business {caller.id} has nothing to say: `outbound business set {caller.id} --twiml …`")
    return caller
