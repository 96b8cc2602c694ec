"""One transaction for each batch of old rows; a row that raises stops only itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from outbound import db, logs
from outbound.failpoint import crash_here
from outbound.formats import phone_numbers, row_id

sql = db.statements("adopt/batches")
log = logs.get("adopt")

BATCH_MAX = 2000  # rows of one transaction, so that the locks that it holds last for a fraction of a second
BEYOND = row_id.MAX  # greater than the id of every row

Tell = Callable[[str, int], None]


@dataclass
class Run:
    """
    One run of adopt.

    Attributes:
        connection: the only one that it writes by; it waits for no lock longer than some seconds.
        businesses: ids of the old businesses that were asked for; None: all of them.
        is_rehearsal: all of it is rolled back.
        tell: called with a kind and how many more rows of it have their outcome.
        numbers: what was read already, by what was written and region.
    """

    connection: db.Connection
    businesses: list[int] | None
    is_rehearsal: bool
    tell: Tell = lambda _kind, _rows: None
    numbers: dict[tuple[str, str | None], str | None] = field(default_factory=dict)

    @property
    def scope(self) -> str | None:
        """The businesses, as a parameter of a statement."""
        return None if self.businesses is None else db.array(self.businesses)


def pages(run: Run, kind: str) -> Iterator[list[int]]:
    """Ids of old rows of *kind* in scope that have no outcome, newest first."""
    before = BEYOND
    while True:
        rows = sql.page(run.connection, kind=kind, businesses=run.scope, before=before, batch_max=BATCH_MAX)
        if not rows:
            return
        ids = [row.id for row in rows]
        before = ids[-1]
        yield ids


def slices(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """*ids*, a batch at a time."""
    for first in range(0, len(ids), BATCH_MAX):
        yield ids[first : first + BATCH_MAX]


def give_fates(run: Run, kind: str, ids: Sequence[int], move: Callable[[Sequence[int]], object]) -> None:
    """
    Let *move* take over the rows with these ids, all in one transaction.

    Where that fails by what is in a row, each half is tried by itself, and the row that cannot be taken over gets the
    outcome `odd_row`.  Some of the ids may get no outcome: somebody was faster.

    Raises:
        Error: the database's, where it is not one that a row raises.
    """
    try:
        with run.connection.transaction():
            sql.still_bridge(run.connection)
            move(ids)
    except db.Error as error:
        if not db.is_of_a_row(error):
            raise
        if len(ids) > 1:
            half = len(ids) // 2
            give_fates(run, kind, ids[:half], move)
            give_fates(run, kind, ids[half:], move)
            return
        state, _ = db.fault(error)
        log.warning("adopt.odd_row", kind=kind, old_id=ids[0], state=state)
        write_fate(run, kind, ids[0], "odd_row", note=f"SQLSTATE {state}")
    run.tell(kind, len(ids))
    if not run.is_rehearsal:
        crash_here(f"adopt.{kind}")


def write_fate(run: Run, kind: str, old_id: int, fate: str, *, note: str | None = None) -> None:
    """Say that nothing was made of an old row, and why."""
    sql.write_fate(run.connection, kind=kind, old_id=old_id, new_id=None, business_id=None, fate=fate, note=note)


def read_numbers(run: Run, rows: Sequence[db.Row]) -> dict[str, str]:
    """Return what our reader makes of the numbers of *rows* (said, region), as parameters of a statement."""
    read = []
    for row in rows:
        key = (row.said, row.region)
        if key not in run.numbers:
            run.numbers[key] = _read(*key)
        if run.numbers[key] is not None:
            read.append((*key, run.numbers[key]))
    if len(run.numbers) > 100_000:
        run.numbers.clear()
    return {
        "said": db.array(number for number, _, _ in read),
        "regions": db.array(region for _, region, _ in read),
        "phones": db.array(phone for _, _, phone in read),
    }


def _read(number: str, region: str | None) -> str | None:
    try:
        return phone_numbers.read(number, region)
    except phone_numbers.NoPhoneNumber:
        return None
