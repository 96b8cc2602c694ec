"""Put calls in the queue, once each: one, or a file of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from outbound import calls_file, db, new_call
from outbound.calls_file import REJECTED_SHOWN_MAX, BadFile, ImportReport
from outbound.new_call import KEY_MAX, BadCall, NewCall

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

CHUNK_ROWS = 1000  # one transaction each: an import that is interrupted keeps what it has, and is repeated whole
AGAIN_S = 30  # for a chunk that met another import in the opposite order, or a database that is away
BATCH_MAX = 200  # characters; a batch's key is its name and a number

BORROWED = "the from number belongs to another business: give one of its own, see `outbound business list`"
KEY_OF_ANOTHER = "the key belongs to a call of another number: give this call a key of its own, or none"

_Find = Callable[[int], db.Row | None]  # a business by its id


@dataclass(frozen=True)
class EnqueuedCall:
    """A call that is in the queue now; `created` is False where it was there already."""

    call_id: int
    status: str
    created: bool


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
        key: the caller's own name for this call: the same key never makes a second one, and belongs to one number.

    Returns:
        the new call, or the one that is there already: same key, or a live call of this business to this number.

    Raises:
        BadCall: says what is wrong and what to do.
    """
    business = _able(sql.find_business(connection, business_id=business_id))
    call = new_call.read(business, to_number, from_number, due_at, key)
    for _ in range(5):  # a twin that was committed in this instant is seen at the second look
        row = sql.enqueue_call(connection, **call._asdict())
        if row is not None:
            break
    else:
        raise BadCall("another call to this number is being written at this moment: try again")
    if row.borrowed:
        raise BadCall(BORROWED)
    if row.key_of_another:
        raise BadCall(KEY_OF_ANOTHER)
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
    Put the calls of a CSV file in the queue; importing the same file again adds nothing to what came of it.

    A number that another live call holds counts as there already; importing the file again, once that call has ended,
    adds the file's own.  A key belongs to one number: a line that gives it another is rejected.

    The first line names the columns: `to`, and if wanted `from`, `at`, `key`, `business`.

    Args:
        business_id: whose calls these are, where the file has no column `business`.
        batch: a name for this set of calls; one number is called once per batch.  By default the file's content is its
            own batch, so a file that has grown must be given the name of its first import.
        progress: called with the number of bytes read so far.

    Raises:
        BadFile: the file cannot be read, or has no column `to`, or is nobody's.  A bad line is no reason: it is
            reported.
    """
    if batch and (len(batch) > BATCH_MAX or not calls_file.is_text(batch)):
        raise BadFile(f"the name of the batch must be text of {BATCH_MAX} characters at most")
    find = cache(lambda business_id: db.run(sql.find_business, business_id=business_id))
    report = ImportReport()
    with calls_file.open_file(path) as file:
        batch = batch or calls_file.digest(file)
        rows = calls_file.Rows(file, report)
        if "business" not in rows.columns:
            _check_owner(business_id, find)
        for chunk in rows.chunks(CHUNK_ROWS):
            calls = []
            for line, row in chunk:
                try:
                    calls.append((line, _read(row, business_id, batch, find)))
                except BadCall as refusal:
                    report.reject(line, str(refusal))
            _insert(calls, report)
            progress(file.tell())
    return report


def _check_owner(business_id: int | None, find: _Find) -> None:
    if business_id is None:
        raise BadFile("say whose calls these are: give --business, or a column named business")
    try:
        _able(find(business_id))
    except BadCall as refusal:
        raise BadFile(str(refusal)) from None


def _read(row: dict[str, str], business_id: int | None, batch: str, find: _Find) -> NewCall:
    """The call that a row of the file means; without a key of its own it has its batch's and its number's."""
    whose = new_call.business_id(row.get("business") or business_id)
    call = new_call.read(_able(find(whose)), row.get("to", ""), row.get("from"), row.get("at"), row.get("key"))
    return call if call.idempotency_key else call._replace(idempotency_key=f"{batch}:{call.to_number}")


def _insert(calls: list[tuple[int, NewCall]], report: ImportReport) -> None:
    if not calls:
        return
    borrowed = set(
        db.run(
            sql.numbers_of_others,
            business_ids=[call.business_id for _, call in calls],
            from_numbers=[call.from_number for _, call in calls],
        )
    )
    own = []
    for line, call in calls:
        if (call.business_id, call.from_number) in borrowed:
            report.reject(line, BORROWED)
        else:
            own.append((line, call))
    whose = {
        "business_ids": [call.business_id for _, call in own],
        "to_numbers": [call.to_number for _, call in own],
        "idempotency_keys": [call.idempotency_key for _, call in own],
    }
    rest = {"from_numbers": [call.from_number for _, call in own], "due_ats": [call.due_at for _, call in own]}
    created = db.persist(lambda: db.run(sql.enqueue_calls, **whose, **rest).created, for_s=AGAIN_S)
    taken = set(db.run(sql.keys_of_other_numbers, **whose))
    mistaken = [line for line, call in own if (call.business_id, call.to_number, call.idempotency_key) in taken]
    for line in mistaken:
        report.reject(line, KEY_OF_ANOTHER)
    report.created += created
    report.already_there += len(own) - created - len(mistaken)


def _able(business: db.Row | None) -> db.Row:
    """The business that was found, if it can call."""
    if business is None:
        # In a file whose columns are mixed up the id is a phone number: it is not repeated here.
        raise BadCall("there is no such business: see `outbound business list`")
    if not business.can_speak:
        raise BadCall(f"business {business.id} has nothing to say: `outbound business set {business.id} --twiml …`")
    return business
