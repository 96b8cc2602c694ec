"""Does what the do-not-call list, consents and registry checks have in common: their scope, and files of them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from outbound import db, names
from outbound.formats import csv_file
from outbound.formats.csv_file import BadFile, ImportReport, Numbers
from outbound.rules import contact_entry
from outbound.rules.contact_entry import BadSuppression, ContactScope

sql = db.statements("rules/contact_list")

CHUNK_ROWS = 1000  # one transaction each: an import that is interrupted keeps what it has, and is repeated whole
AGAIN_S = 30  # for a chunk that met another import in the opposite order, or a database that is away

_LACKING = {
    "given_at": "say in it when each consent was given, or with --given-at when all were",
    "listed": "say in it `yes` or `no` for each number",
}

T = TypeVar("T")
Progress = Callable[[int], None]  # called with the number of bytes read so far
Tell = Callable[[str], None]  # called with each given moment as it was understood


def say_nothing(_: str) -> None:
    """Take a sentence that nobody reads."""


def now() -> datetime:
    """The database's clock."""
    moment: datetime = db.run(sql.clock)
    return moment


def import_file(
    path: Path,
    columns: Mapping[str, str],
    required: Iterable[str],
    to_column: str | None,
    numbers: Numbers,
    read: Callable[[dict[str, str]], T],
    write: Callable[[list[T]], int],
    progress: Progress,
    phone_of: Callable[[T], str] | None = None,
) -> ImportReport:
    """
    Read a file and write it a chunk at a time; *write* returns how many rows were new.

    Args:
        phone_of: the number of what is written down of nobody who was forgotten; their lines are refused.
    """
    report = ImportReport()
    with csv_file.open_file(path) as file:
        rows = csv_file.Rows(file, report, columns, to_column=to_column, numbers=numbers)
        for name in required:
            if name not in rows.columns:
                raise BadFile(f"no column is named `{name}`: {rows.found()}; {_LACKING[name]}")
        for chunk in rows.chunks(CHUNK_ROWS):
            found: list[tuple[int, T]] = []  # a line may have several numbers
            for line, row in chunk:
                try:
                    found.append((line, read(row)))
                except BadSuppression as refusal:
                    report.reject(line, str(refusal))
            forgotten = _forgotten_of([phone_of(entry) for _, entry in found]) if phone_of else set()
            entries = []
            for line, entry in found:
                if phone_of and phone_of(entry) in forgotten:
                    report.reject(line, contact_entry.FORGOTTEN)
                else:
                    entries.append(entry)
            new = _persist(write, entries) if entries else 0
            report.created += new
            report.already_there += len(entries) - new
            progress(file.tell())
    return report


def _forgotten_of(phones: list[str]) -> set[str]:
    """Those of the numbers whose person was forgotten."""
    return {row.phone for row in db.run(sql.forgotten_of, phones=phones)} if phones else set()


def _persist(write: Callable[[list[T]], int], entries: list[T]) -> int:
    return db.persist(lambda: write(entries), for_s=AGAIN_S)


def find_scope(business_id: int | None, campaign_id: int | None, region: str | None) -> ContactScope:
    """The scope of a business, of a campaign, or of everybody; or raise BadSuppression."""
    region = contact_entry.region(region)
    if business_id is None and campaign_id is None:
        return ContactScope(None, None, region or names.region_of(), None)
    found = db.run(sql.find_scope, business_id=business_id, campaign_id=campaign_id)
    if found is not None:
        return ContactScope(found.business_id, found.campaign_id, region or found.default_region, found.time_zone)
    if campaign_id is None:
        raise BadSuppression(f"there is no business {business_id}: see `outbound business list`")
    whose = "" if business_id is None else f" of business {business_id}"
    raise BadSuppression(f"there is no campaign {campaign_id}{whose}: see `outbound campaign list`")


def file_details(path: Path) -> dict[str, str]:
    """Return what the audit keeps of a file, beside how many of its rows were new."""
    with csv_file.open_file(path) as file:
        return {"file": csv_file.name_of(path), "sha256": csv_file.sha256(file)}
