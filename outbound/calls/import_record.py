"""Keeps a row of each import of a file of calls, while it runs and after its end."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from outbound import db
from outbound.calls.import_report import CallsReport
from outbound.errors import UserError
from outbound.formats import row_id

sql = db.statements("calls/import_record")

SILENT_S = 300  # an import whose process writes nothing for so long is interrupted: a chunk takes a minute at most
REPORTED = ("overdue", "there", "fields", "dates", "remarks")  # in the column `report`
STATES = ("running", "finished", "broken_off", "refused", "interrupted")
_NOTE_S = 5  # at most one note in so many seconds, while a file is received
_BROKE_OFF = "it broke off before its end: what was read until then is kept; send the file again under the same batch"


class BadImport(UserError):
    """There is no such import, or no such state of one."""


class Record:
    """
    The row of one import; without an id nothing is written, as for a file that is only tried.

    Attributes:
        is_promised: whether its id was answered before the file was read; a refusal is then kept, too.
        cut: why the file has no end, where it has none.
        line_of: which line of what was sent a line of the file is.
    """

    def __init__(self, import_id: int | None) -> None:
        self.id = import_id
        self.is_promised = False
        self.cut: str | None = None
        self.line_of: Callable[[int], int] = int
        self._report = CallsReport()
        self._received_bytes = 0
        self._noted_at = time.monotonic()

    def received(self, size: int) -> None:
        """Note that so many bytes have come."""
        self._received_bytes = size
        if time.monotonic() - self._noted_at >= _NOTE_S:
            self._note()

    def note_alive(self) -> None:
        """Note that its process has not forgotten it."""
        self._note()

    def wrote(self, report: CallsReport, size: int) -> None:
        """Note what has come of the file's first bytes."""
        self.count(report)
        self._received_bytes = size
        self._note()

    def count(self, report: CallsReport) -> None:
        """Take what has come of the file by now; the next note says it."""
        self._report = report

    def _note(self) -> None:
        self._noted_at = time.monotonic()
        if self.id is not None:
            with suppress(*db.Unavailable):  # the next note says it; what must not be lost are the calls
                db.run(sql.note_progress, id=self.id, received_bytes=self._received_bytes, **self._report.counts())

    def finish(self, report: CallsReport) -> None:
        """Note that the file was read to its end, or to where it was cut."""
        self.wrote(report, self._received_bytes)
        self._end("finished" if self.cut is None else "broken_off", self.cut)

    def break_off(self, reason: str = _BROKE_OFF) -> None:
        """Note that the import is over before its file is."""
        self._end("broken_off", reason)

    def refuse(self, reason: str) -> None:
        """Note that nothing was queued; where the id was not answered yet, there was no import."""
        if self.is_promised:
            self._end("refused", reason)
        else:
            self.forget()

    def forget(self) -> None:
        """Delete the row: there was no import."""
        if self.id is not None:
            db.run(sql.forget_import, id=self.id)

    def _end(self, state: str, reason: str | None) -> None:
        if self.id is None:
            return
        report: dict[str, Any] = self._report.as_json()
        for name in ("refused_lines", "remarks"):
            report[name] = [one | {"line": self.line_of(one["line"])} for one in report[name]]
        given = {"state": state, "reason": reason, "received_bytes": self._received_bytes}
        lines, rest = report["refused_lines"], {name: report[name] for name in REPORTED}
        written = {"rejected_lines": db.json(lines), "report": db.json(rest)}
        db.run(sql.end_import, id=self.id, **given, **written, **self._report.counts())


def begin(batch: str, *, business_id: int | None, campaign_id: int | None, who: str) -> Record:
    """Note that an import begins."""
    given = {"business_id": business_id, "campaign_id": campaign_id, "batch": batch, "who": who}
    return Record(db.run(sql.begin_import, **given))


@contextmanager
def ended(record: Record) -> Iterator[Record]:
    """Have the row say how the import ended, where that is not by `finish`."""
    try:
        yield record
    except UserError as refusal:
        record.refuse(str(refusal))
        raise
    except BaseException:
        with suppress(db.Error):
            record.break_off()
        raise


def find(
    *,
    business_id: int | None = None,
    campaign_id: int | None = None,
    states: Sequence[str] | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[db.Row]:
    """
    Imports, the newest first.

    Raises:
        BadImport: there is no such state.
    """
    if unknown := set(states or ()) - set(STATES):
        raise BadImport(f"an import is never {', '.join(sorted(unknown))[:100]}: give {', '.join(STATES)}")
    return _find(business_id=business_id, campaign_id=campaign_id, states=states, before_id=before, page_max=limit)


def of(import_id: int, *, business_id: int | None = None) -> db.Row:
    """
    One import.

    Raises:
        BadImport: there is none, or it is another business's.
    """
    rows = _find(id=row_id.possible(import_id), business_id=business_id)
    if not rows:
        raise BadImport(f"there is no import {import_id}: see `outbound imports list`")
    return rows[0]


def _find(**asked: Any) -> list[db.Row]:
    nothing = dict.fromkeys(("id", "business_id", "campaign_id", "states", "before_id"))
    return list(db.run(sql.find_imports, **nothing | {"page_max": 1, "silent_s": SILENT_S} | asked))
