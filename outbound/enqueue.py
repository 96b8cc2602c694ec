"""Put calls in the queue, once each: one, or a file of them."""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from outbound import db, phone_numbers

sql = db.statements("enqueue")

CHUNK_ROWS = 1000  # one transaction each: an import that is interrupted keeps what it has, and is repeated whole
REJECTED_SHOWN_MAX = 1000  # the report names this many bad rows and counts the others

_COLUMNS = {
    "to": "to",
    "to_number": "to",
    "phone": "to",
    "from": "from",
    "from_number": "from",
    "at": "at",
    "due_at": "at",
    "key": "key",
    "business": "business",
    "business_id": "business",
}


class BadCall(ValueError):
    """The call cannot be put in the queue; the message says why and what to do, and nothing was changed."""


class BadFile(ValueError):
    """The file cannot be imported at all; nothing was changed."""


@dataclass(frozen=True)
class EnqueuedCall:
    """A call that is in the queue now; `created` is False where it was there already."""

    call_id: int
    status: str
    created: bool


@dataclass
class ImportReport:
    """What came of a file: how many calls are new, how many were there already, and which lines were refused."""

    created: int = 0
    already_there: int = 0
    rejected: int = 0
    rejected_lines: list[tuple[int, str]] = field(default_factory=list)

    def reject(self, line: int, reason: str) -> None:
        """Refuse one line of the file."""
        self.rejected += 1
        if len(self.rejected_lines) < REJECTED_SHOWN_MAX:
            self.rejected_lines.append((line, reason))


def enqueue_call(
    connection: db.Connection,
    *,
    business_id: int,
    to_number: str,
    from_number: str | None = None,
    due_at: datetime | str | None = None,
    key: str | None = None,
) -> EnqueuedCall:
    """
    Put one call in the queue, inside the caller's own transaction; it is dialed after that commits.

    Args:
        connection: a psycopg 3 connection.
        to_number, from_number: any writing of a number; without a country code, the business's region is taken.
            Without from_number, the business's first own number calls.
        due_at: not before this moment; text is ISO 8601, without an offset in the business's time zone.
        key: the caller's own name for this call: the same key never makes a second one.

    Returns:
        the new call, or the one that is there already: same key, or a live call of this business to this number.

    Raises:
        BadCall: says what is wrong and what to do.
    """
    business = _business(connection, business_id)
    call = {
        "business_id": business_id,
        "to_number": _number(to_number, business, "to"),
        "from_number": _caller(from_number, business),
        "due_at": _moment(due_at, business),
        "idempotency_key": key or None,
    }
    for _ in range(5):  # a twin that was committed in this instant is seen at the second look
        row = sql.enqueue_call(connection, **call)
        if row is not None:
            break
    else:
        raise BadCall("another call to this number is being written at this moment: try again")
    if row.borrowed:
        raise BadCall("the from number belongs to another business")
    return EnqueuedCall(row.id, row.status, row.created)


def enqueue(**call: object) -> EnqueuedCall:
    """`enqueue_call` in a transaction of its own."""
    return db.with_connection(lambda connection: enqueue_call(connection, **call))  # type: ignore[arg-type]


def import_calls(
    path: Path,
    *,
    business_id: int | None = None,
    batch: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> ImportReport:
    """
    Put the calls of a CSV file in the queue; importing the same file again adds nothing.

    The first line names the columns: `to`, and if wanted `from`, `at`, `key`, `business`.

    Args:
        business_id: whose calls these are, where the file has no column `business`.
        batch: a name for this set of calls; one number is called once per batch.  By default the file's content is its
            own batch, so a file that has grown must be given the name of its first import.
        progress: called with the number of bytes read so far.

    Raises:
        BadFile: the file cannot be read, or has no column `to`.  A bad line is no reason: it is reported.
    """
    report = ImportReport()
    with _open(path) as file:
        batch = batch or _digest(file)
        reader = _Rows(file, report)
        if business_id is None and "business" not in reader.columns:
            raise BadFile("say whose calls these are: give --business, or a column named business")
        businesses = _Businesses()
        for chunk in _chunks(reader):
            calls = [
                call
                for line, row in chunk
                if (call := _parse(line, row, business_id, batch, businesses, report)) is not None
            ]
            _insert(calls, report)
            progress(file.tell())
    return report


@dataclass(frozen=True)
class _NewCall:
    line: int
    business_id: int
    from_number: str
    to_number: str
    due_at: datetime | None
    key: str


class _Businesses:
    """The businesses of a file, each asked for once."""

    def __init__(self) -> None:
        self._known: dict[int, db.Row] = {}

    def __getitem__(self, business_id: int) -> db.Row:
        if business_id not in self._known:
            self._known[business_id] = db.with_connection(lambda connection: _business(connection, business_id))
        return self._known[business_id]


class _Rows:
    """The rows of a CSV file with their line numbers; what is not CSV is rejected line by line."""

    def __init__(self, file: io.BufferedReader, report: ImportReport) -> None:
        # What is not UTF-8 stays recognizable, so that one bad line does not cost the others.
        self._reader = csv.reader(io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline=""))
        self._report = report
        try:
            header = next(self._reader)
        except StopIteration:
            raise BadFile("the file is empty: its first line must name the columns, `to` among them") from None
        except csv.Error as error:
            raise BadFile(f"the first line is not CSV: {error}") from None
        self.columns = [_COLUMNS.get(name.strip().lower(), "") for name in header]
        if "to" not in self.columns:
            raise BadFile(f"no column is named `to`; the first line names {', '.join(header)[:200] or 'nothing'}")

    def __iter__(self) -> Iterator[tuple[int, dict[str, str]]]:
        while True:
            try:
                values = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                self._report.reject(self._reader.line_num, f"not CSV: {error}")
                continue
            if not any(values):
                continue
            if any("\udc80" <= character <= "\udcff" for value in values for character in value):
                self._report.reject(self._reader.line_num, "not UTF-8")
                continue
            yield self._reader.line_num, dict(zip(self.columns, (value.strip() for value in values), strict=False))


def _open(path: Path) -> io.BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from None


def _digest(file: io.BufferedReader) -> str:
    digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    file.seek(0)
    return digest


def _chunks(rows: _Rows) -> Iterator[list[tuple[int, dict[str, str]]]]:
    chunk = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    yield chunk


def _parse(
    line: int, row: dict[str, str], business_id: int | None, batch: str, businesses: _Businesses, report: ImportReport
) -> _NewCall | None:
    try:
        whose = _whole(row.get("business") or business_id)
        business = businesses[whose]
        to_number = _number(row.get("to", ""), business, "to")
        return _NewCall(
            line,
            whose,
            _caller(row.get("from"), business),
            to_number,
            _moment(row.get("at"), business),
            row.get("key") or f"{batch}:{to_number}",
        )
    except BadCall as error:
        report.reject(line, str(error))
        return None


def _insert(calls: list[_NewCall], report: ImportReport) -> None:
    if not calls:
        return
    borrowed = {
        (row.business_id, row.from_number)
        for row in db.run(
            sql.numbers_of_others,
            business_ids=[call.business_id for call in calls],
            from_numbers=[call.from_number for call in calls],
        )
    }
    own = []
    for call in calls:
        if (call.business_id, call.from_number) in borrowed:
            report.reject(call.line, "the from number belongs to another business")
        else:
            own.append(call)
    created = db.run(
        sql.enqueue_calls,
        business_ids=[call.business_id for call in own],
        from_numbers=[call.from_number for call in own],
        to_numbers=[call.to_number for call in own],
        due_ats=[call.due_at for call in own],
        idempotency_keys=[call.key for call in own],
    ).created
    report.created += created
    report.already_there += len(own) - created


def _business(connection: db.Connection, business_id: int) -> db.Row:
    business = sql.find_business(connection, business_id=business_id)
    if business is None:
        raise BadCall(f"there is no business {business_id}: see `outbound business list`")
    if not business.can_speak:
        raise BadCall(f"business {business_id} has nothing to say: `outbound business set {business_id} --twiml …`")
    return business


def _whole(value: str | int | None) -> int:
    try:
        return int(value or "")
    except ValueError:
        raise BadCall("business is not a number: see `outbound business list`") from None


def _number(text: str, business: db.Row, column: str) -> str:
    number = phone_numbers.normalize(text, business.default_region)
    if number is not None:
        return number
    hint = "" if business.default_region else " (with its country code: the business has no default region)"
    raise BadCall(f"`{column}` is not a phone number{hint}" if text else f"`{column}` is empty")


def _caller(text: str | None, business: db.Row) -> str:
    if text:
        return _number(text, business, "from")
    if business.own_number is None:
        raise BadCall(f"business {business.id} has no number of its own: give a from number")
    return str(business.own_number)


def _moment(value: datetime | str | None, business: db.Row) -> datetime | None:
    if not value:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise BadCall("`at` is not a date and time: write it like 2026-11-30T09:00") from None
    return value if value.tzinfo else value.replace(tzinfo=ZoneInfo(business.time_zone))
