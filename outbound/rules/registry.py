"""Answers of do-not-call registries about numbers."""

from datetime import datetime
from pathlib import Path

from outbound import db
from outbound.formats import moments
from outbound.formats.csv_file import ImportReport, Numbers
from outbound.rules import contact_entry, contact_list

sql = db.statements("rules/registry")


@contact_entry.refusing_as(contact_entry.BadRegistryEntry)
def import_registry(
    path: Path,
    *,
    actor: str,
    checked_at: datetime | str,
    region: str | None = None,
    to_column: str | None = None,
    progress: contact_list.Progress = lambda _: None,
    tell: contact_list.Tell = contact_list.say_nothing,
) -> ImportReport:
    """
    Record the answers of a do-not-call registry from a CSV file; calls that waited for one are due at once.

    A number that was checked at the same moment or later is there already.  The columns are `phone` and `listed`,
    which is yes or no.

    Args:
        checked_at: when the registry was asked, with an offset; of a date alone, its beginning in UTC.
        region: two letters, like IL: the country of numbers without a code.

    Raises:
        BadFile: the file cannot be read, or lacks a column.  A bad line is reported.
        BadRegistryEntry: the moment lies in the future, or has no offset.
    """
    scope = contact_list.find_scope(None, None, region)
    moment = contact_entry.moment(checked_at, "checked_at", None, contact_list.now())
    tell(f"checked: {moments.shown(moment, None)}")
    details = db.json(contact_list.file_details(path) | {"checked_at": str(moment)})
    rest = {"checked_at": moment, "who": contact_entry.actor(actor), "details": details}

    def read(row: dict[str, str]) -> tuple[str, bool]:
        return contact_entry.phone(row.get("to", ""), scope), contact_entry.is_listed(row.get("listed", ""))

    def write(checks: list[tuple[str, bool]]) -> int:
        phones, listed = map(list, zip(*checks, strict=True))
        return int(db.run(sql.record_checks, phones=phones, listed=listed, **rest).written)

    columns = contact_entry.REGISTRY_COLUMNS
    return contact_list.import_file(
        path, columns, ("listed",), to_column, Numbers.ONE, read, write, progress, lambda check: check[0]
    )
