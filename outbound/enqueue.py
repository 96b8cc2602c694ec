"""Put calls in the queue, once each: one, or a file of them."""

import io
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from outbound import calls_file, db, new_call, operator, plain_text
from outbound.calls_file import REJECTED_SHOWN_MAX, BadFile, ImportReport
from outbound.config import settings
from outbound.new_call import FIELD_MAX, FIELDS_MAX, KEY_MAX, BadCall, NewCall

__all__ = [
    "KEY_MAX",
    "REJECTED_SHOWN_MAX",
    "BadCall",
    "BadFile",
    "EnqueuedCall",
    "ImportReport",
    "enqueue",
    "enqueue_call",
    "import_calls",
]

sql = db.statements("enqueue")

CHUNK_ROWS = 5000  # one transaction each: an import that is interrupted keeps what it has, and is repeated whole
CHUNK_CHARS = 2_000_000  # of its contacts, so that long ones do not fill the memory
AGAIN_S = 30  # for a chunk that met another import in the opposite order, or a database that is away
BOOK_FIELDS_MAX = 300  # columns of an address book, of which each row fills a few: a contact's own bound holds
BATCH_MAX = 200  # characters; a batch's key is its name and a number
BUSINESSES_KEPT = 1000  # of a file: a column of nonsense must not fill the memory

BORROWED = "the from number belongs to another business: give one of its own, see `outbound business list`"
KEY_OF_ANOTHER = "the key belongs to a call of another number: give this call a key of its own, or none"
_FAULTS = {  # what enqueue_calls leaves out
    "own_number": "`to` is a number of the business itself, which would call itself: give somebody else's",
    "forgotten": "`to` is the number of somebody who asked to be forgotten: nobody may call it, and it is not kept",
    "no_number": "the campaign has no number that may call: `outbound campaign set … --number …`",
    "borrowed": BORROWED,
    "no_such_zone": "`time_zone` is one that this PostgreSQL does not know: update its time zone data",
    "no_zone": "there are calling hours, and the number does not tell the callee's time zone: state `time_zone`",
}

T = TypeVar("T")
_Find = Callable[[int | None], db.Row | None]  # who calls, by the id of a business


@dataclass(frozen=True)
class EnqueuedCall:
    """
    A call that is in the queue now; `created` is False where it was there already.

    `note` says what was made of a due moment that the clocks of that day show twice, or not at all.
    """

    call_id: int
    status: str
    created: bool
    note: str | None = None


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
) -> EnqueuedCall:
    """
    Put one call in the queue, inside the caller's own transaction; it is dialed after that commits.

    Args:
        connection: a psycopg 3 connection.
        business_id, campaign_id: whose call this is; a campaign says its business itself.
        to_number, from_number: any writing of a number; without a country code, the business's region is taken.
            Without from_number, the campaign's that suits the callee, or else the business's first own number calls.
        due_at: not before this moment, at most 2 years ago or 10 ahead; text is ISO 8601 or a date by numbers that can
            only be one, with a time, and without an offset in the business's time zone.
        key: the caller's own name for this call: the same key never makes a second one, and belongs to one number.
        contact: what is known of the callee, for `{{field}}` in TwiML and for call_contact(call_sid); at most 50
            fields of 1,000 characters, 8 KiB in all.
        time_zone: the callee's, an IANA name, which becomes that of today; otherwise it is told from the number.

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
    call = new_call.read(caller, to_number, from_number, due_at, key, contact, time_zone)
    for _ in range(5):  # a twin that was committed in this instant is seen at the second look
        for row in sql.enqueue_calls(connection, campaign_id=campaign, batch=None, **_columns([call])):
            if row.fault:
                raise BadCall(_fault(row))
            if row.created:
                return EnqueuedCall(row.id, "queued", created=True, note=call.note)
        for there in sql.find_calls(connection, since=None, batch=None, **_keys([call])):
            if there.key_of_another:
                raise BadCall(KEY_OF_ANOTHER)
            return EnqueuedCall(there.id, there.status, created=False)
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
    to_column: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
    who: str | None = None,
) -> ImportReport:
    """
    Put the calls of a CSV file in the queue; importing the same file again adds nothing to what came of it.

    A number that another live call holds counts as there already; importing the file again, once that call has ended,
    adds the file's own.  A key belongs to one number: a line that gives it another is rejected.

    A line names the columns: `to`, or as many programs call what holds a phone number, and if wanted `from`, `at`,
    `key`, `business`, `time_zone`, in English or Hebrew; every other column is a field of the contact.  A title above
    that line is stepped over.  Where several columns hold phone numbers, each row's first that is one is called,
    mobiles before others; the report says all of this.

    Args:
        business_id: whose calls these are, where the file has no column `business`.
        campaign_id: the campaign they are for, which says its business itself.
        batch: a name for this set of calls; one number is called once per batch.  By default the file's content is its
            own batch in each campaign, so a file that has grown must be given the name of its first import.
        to_column: the one column that holds the number, whatever the file calls it.
        progress: called with the number of bytes read so far.
        who: whose word this is, for the audit, which keeps the file's name, digest and counts; by default the user.

    Raises:
        BadFile: the file cannot be read, or no column holds phone numbers, or it is nobody's.  A bad line is no reason:
            it is reported.
    """
    if batch and (len(batch) > BATCH_MAX or not calls_file.is_text(batch)):
        raise BadFile(f"the name of the batch must be text of {BATCH_MAX} characters at most")
    if fault := plain_text.fault(batch or ""):
        raise BadFile(f"the name of the batch {fault}")
    try:
        whose, campaign = _ids(business_id, campaign_id)
    except BadCall as refusal:
        raise BadFile(str(refusal)) from None

    @lru_cache(BUSINESSES_KEPT)
    def find(business_id: int | None) -> db.Row | None:
        return db.run(sql.find_caller, business_id=business_id, campaign_id=campaign, carrier=settings().carrier)

    report = ImportReport(kept=True)
    with calls_file.open_file(path) as file:
        sha256 = calls_file.sha256(file)
        batch = batch or sha256[: calls_file.DIGEST_CHARS] + (f" of campaign {campaign}" if campaign else "")
        writer = _Writer(campaign, batch)
        note = {"file": calls_file.name_of(path), "sha256": sha256, "batch": batch}

        def holds(number: str, row: dict[str, str]) -> bool:
            caller = _caller(row, whose, find)
            return caller is not None and new_call.is_number(number, caller)

        rows = calls_file.Rows(file, report, to_column=to_column, holds=holds)
        _check_fields(report.fields, BOOK_FIELDS_MAX if rows.is_address_book else FIELDS_MAX)
        if campaign or "business" not in rows.columns:
            _check_owner(whose, campaign, find)

        def read(row: dict[str, str]) -> NewCall:
            return _read(row, report.fields, whose, campaign, find)

        try:
            with closing(_ahead(_chunks(file, rows, read, report))) as chunks:
                for chunk in chunks:
                    writer.insert(chunk)
                    progress(chunk.end)
        except BaseException:
            with suppress(db.Error):
                _note(who, whose, campaign, note | _counts(report, writer.report) | {"is_whole": False})
            raise
        _note(who, whose, campaign, note | _counts(report, writer.report) | {"is_whole": True})
    report.add(writer.report)
    return report


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
    db.run(sql.note_import, who=who or operator.name(), scope=scope, key=key, details=db.json(dict(details)))


def _ids(business_id: int | None, campaign_id: int | None) -> tuple[int | None, int | None]:
    return (
        None if business_id is None else new_call.row_id(business_id, "business"),
        None if campaign_id is None else new_call.row_id(campaign_id, "campaign"),
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
    row: dict[str, str], fields: list[str], business_id: int | None, campaign_id: int | None, find: _Find
) -> NewCall:
    """The call that a row of the file means, or raise BadCall."""
    if not row.get("business") and business_id is None and campaign_id is None:
        raise BadCall("`business` is empty: give the id of one, see `outbound business list`")
    caller = _able(find(_whose(row, business_id)), campaign_id)
    contact = {name: row[name] for name in fields if name in row}
    given = (row.get("to", ""), row.get("from"), row.get("at"), row.get("key"), contact, row.get("time_zone"))
    return new_call.read(caller, *given)


def _whose(row: dict[str, str], business_id: int | None) -> int | None:
    return new_call.row_id(row["business"], "business") if row.get("business") else business_id


def _caller(row: dict[str, str], business_id: int | None, find: _Find) -> db.Row | None:
    """Who calls by a row, or None where it does not say."""
    try:
        return find(_whose(row, business_id))
    except BadCall:
        return None


class _Chunk(NamedTuple):
    calls: list[NewCall]
    lines: list[int]  # of the file, one for each call
    given: dict[str, str]  # the same calls, as enqueue_calls takes them
    end: int  # how many bytes of the file were read


def _chunks(
    file: io.BufferedReader, rows: calls_file.Rows, read: Callable[[dict[str, str]], NewCall], report: ImportReport
) -> Iterator[_Chunk]:
    """The calls that the file's rows mean; the last chunk may be empty.  What is no call is rejected in *report*."""
    lines: list[int] = []
    calls: list[NewCall] = []
    seen = chars = 0
    now = datetime.now(UTC)  # only said, and nothing depends on it
    for line, row in rows:
        try:
            call = read(row)
        except BadCall as refusal:
            report.reject(line, str(refusal))
        else:
            lines.append(line)
            calls.append(call)
            if call.note:
                report.remark(line, call.note)
            report.overdue += call.due_at is not None and call.due_at < now
            chars += len(call.contact or "")
        seen += 1
        if seen == CHUNK_ROWS or chars > CHUNK_CHARS:
            yield _Chunk(calls, lines, _columns(calls), file.tell())
            lines, calls = [], []
            seen = chars = 0
    yield _Chunk(calls, lines, _columns(calls), file.tell())


def _ahead(chunks: Iterator[T]) -> Generator[T]:
    """The same chunks, each of them read while PostgreSQL is busy with the one before."""
    with ThreadPoolExecutor(1, "read-ahead") as reader:
        coming = reader.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = reader.submit(next, chunks, None)
            yield chunk


class _Writer:
    """Writes chunk after chunk, and reports what came of each line."""

    def __init__(self, campaign_id: int | None, batch: str) -> None:
        self.report = ImportReport()
        self._campaign_id = campaign_id
        self._batch = batch
        self._began_at = db.run(sql.moment)

    def insert(self, chunk: _Chunk) -> None:
        if not chunk.calls:
            return
        insert = partial(db.run, sql.enqueue_calls, campaign_id=self._campaign_id, batch=self._batch, **chunk.given)
        done, *left_out = db.persist(insert, for_s=AGAIN_S)
        faults = {row.place: _fault(row) for row in left_out}
        for place, fault in sorted(faults.items()):
            self.report.reject(chunk.lines[place - 1], fault)
        self.report.created += done.created
        if done.created + len(faults) < len(chunk.calls):
            rest = [place for place in range(1, len(chunk.calls) + 1) if place not in faults]
            self._explain([(chunk.lines[place - 1], chunk.calls[place - 1]) for place in rest], done.created)

    def _explain(self, calls: list[tuple[int, NewCall]], created: int) -> None:
        """Say of the calls that were not all created which ones met whom."""
        keys = _keys([call for _, call in calls])
        found = db.run(sql.find_calls, since=self._began_at, batch=self._batch, **keys)
        mistaken = sorted(row.place for row in found if row.key_of_another)
        for place in mistaken:
            self.report.reject(calls[place - 1][0], KEY_OF_ANOTHER)
        of_this_import = sum(row.is_twin for row in found if not row.key_of_another)
        duplicates = max(0, of_this_import - created)
        self.report.duplicates += duplicates
        self.report.already_there += len(calls) - created - duplicates - len(mistaken)


def _fault(row: db.Row) -> str:
    """Why enqueue_calls left a call out."""
    return f"`to` may not be called ({row.fault}): {row.about}" if row.about else _FAULTS[row.fault]


def _keys(calls: Sequence[NewCall]) -> dict[str, str]:
    return {
        "business_ids": db.array(call.business_id for call in calls),
        "to_numbers": db.array(call.to_number for call in calls),
        "idempotency_keys": db.array(call.idempotency_key for call in calls),
    }


def _columns(calls: Sequence[NewCall]) -> dict[str, str]:
    return _keys(calls) | {
        "from_numbers": db.array(call.from_number for call in calls),
        "due_ats": db.array(call.due_at for call in calls),
        "contacts": db.array(call.contact for call in calls),
        "time_zones": db.array(call.time_zone for call in calls),
    }


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
