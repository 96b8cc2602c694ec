"""The do-not-call list, and all that is known of a number."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outbound import db, names
from outbound.formats import csv_file, plain_text, row_id
from outbound.formats.csv_file import BadFile, ImportReport, Numbers
from outbound.rules import callee_zone, contact_entry, contact_list
from outbound.rules.contact_entry import BadSuppression, ContactScope

__all__ = [
    "BadFile",
    "BadSuppression",
    "ImportReport",
    "Suppressed",
    "entries",
    "import_suppressions",
    "known_of",
    "suppress",
    "unsuppress",
]

sql = db.statements("rules/suppression")

ENTRIES_MAX = 1_000_000  # that one command lists


@dataclass(frozen=True)
class Suppressed:
    """The number is on the list now: `created` is False where it was before, `canceled` calls waited for it."""

    created: bool
    canceled: int
    phone: str


def suppress(
    phone: str,
    *,
    actor: str,
    business_id: int | None = None,
    campaign_id: int | None = None,
    reason: str = "",
    region: str | None = None,
) -> Suppressed:
    """
    Let nobody call this number from now on, and end its calls that wait; one that is being dialed goes on.

    Args:
        phone: any writing of a number; without a country code, *region*'s or the business's is taken.
        actor: the person who decided it, for `audit`.
        business_id, campaign_id: who may not call it; without either, nobody may.

    Raises:
        BadSuppression: the number, the scope or a text is wrong.
    """
    scope = contact_list.find_scope(business_id, campaign_id, region)
    number, reason = contact_entry.phone(phone, scope), contact_entry.text(reason, "reason")
    row = db.run(sql.suppress_number, phone=number, reason=reason, who=contact_entry.actor(actor), **_entry(scope))
    return Suppressed(row.created, row.canceled, number)


def unsuppress(
    phone: str,
    *,
    actor: str,
    business_id: int | None = None,
    campaign_id: int | None = None,
    region: str | None = None,
) -> bool:
    """
    Take the entry of exactly this scope off the list, and say whether there was one; canceled calls stay so.

    Raises BadSuppression as `suppress` does.
    """
    scope = contact_list.find_scope(business_id, campaign_id, region)
    number = contact_entry.phone(phone, scope)
    return bool(db.run(sql.unsuppress_number, phone=number, who=contact_entry.actor(actor), **_entry(scope)))


def known_of(phone: str, *, business_id: int | None = None, region: str | None = None) -> list[db.Row]:
    """
    The do-not-call entries, consents and registry checks of a number; with a business, only what holds for it.

    Raises BadSuppression as `suppress` does.
    """
    number = contact_entry.phone(phone, contact_list.find_scope(business_id, None, region))
    return list(db.run(sql.known_of, phone=number, business_id=business_id))


def zone_of(phone: str, *, business_id: int | None = None, region: str | None = None) -> str | None:
    """
    By whose clocks what is known of a number is shown: the callee's where the number tells, else the business's.

    Raises BadSuppression as `suppress` does.
    """
    scope = contact_list.find_scope(business_id, None, region)
    return callee_zone.zone_of(contact_entry.phone(phone, scope)) or scope.time_zone


def entries(
    *,
    business_id: int | None = None,
    campaign_id: int | None = None,
    everybody: bool = False,
    limit: int,
    before: int = 0,
) -> tuple[list[dict[str, Any]], int | None]:
    """
    The do-not-call entries, the newest first, *limit* of them at most; and the id before which the next ones are.

    Args:
        business_id, campaign_id: only entries of exactly this scope; `everybody`, only those for everybody.
        before: an entry's id; 0 for none.

    Returns:
        entries with `phone` and `reason` where the database role may see them.
    """
    if not 1 <= limit <= ENTRIES_MAX:
        raise BadSuppression(f"--limit is a whole number from 1 to {ENTRIES_MAX}")
    scope = {"business_id": business_id, "campaign_id": campaign_id, "everybody": everybody}
    rows = db.run(sql.list_entries, before_id=min(before, row_id.MAX) or None, page_max=limit, **scope)
    found = [row._asdict() for row in rows]
    if found and names.sees_numbers():
        words = {row.id: row._asdict() for row in db.run(sql.words_of_entries, ids=[entry["id"] for entry in found])}
        found = [entry | words[entry["id"]] for entry in found if entry["id"] in words]  # some were removed meanwhile
    return found, rows[-1].id if len(rows) == limit else None


def import_suppressions(
    path: Path,
    *,
    actor: str,
    business_id: int | None = None,
    campaign_id: int | None = None,
    reason: str | None = None,
    region: str | None = None,
    to_column: str | None = None,
    progress: contact_list.Progress = lambda _: None,
) -> ImportReport:
    """
    Put the numbers of a CSV file on the list; importing it again adds nothing.

    Calls that wait end when they are due, before any is dialed.  The columns are `phone` and, if wanted, `reason`.
    Where several columns hold phone numbers, each of them goes on the list: who asked not to be called means them all.

    Args:
        reason: of the lines that give none; by default the file's name.

    Raises:
        BadFile: the file cannot be read, or has no column for the number.  A bad line is reported.
        BadSuppression: as `suppress`.
    """
    scope = contact_list.find_scope(business_id, campaign_id, region)
    otherwise = contact_entry.text(csv_file.name_of(path) if reason is None else reason, "reason")
    rest = _entry(scope) | {"who": contact_entry.actor(actor), "details": db.json(contact_list.file_details(path))}

    def read(row: dict[str, str]) -> tuple[str, str]:
        # A do-not-call number is not left out for an odd character of its reason.
        reason = plain_text.visible(" ".join((row.get("reason") or otherwise).splitlines()))
        return contact_entry.phone(row.get("to", ""), scope), contact_entry.text(reason, "reason")

    def write(entries: list[tuple[str, str]]) -> int:
        phones, reasons = map(list, zip(*entries, strict=True))
        return int(db.run(sql.suppress_numbers, phones=phones, reasons=reasons, **rest))

    columns = contact_entry.SUPPRESSION_COLUMNS
    return contact_list.import_file(path, columns, (), to_column, Numbers.EVERY, read, write, progress)


def _entry(scope: ContactScope) -> dict[str, Any]:
    """A scope as a do-not-call entry and its row of audit have it."""
    name, key = "account", ""
    if scope.business_id:
        name, key = "business", str(scope.business_id)
    if scope.campaign_id:
        name, key = "campaign", str(scope.campaign_id)
    return {"business_id": scope.business_id, "campaign_id": scope.campaign_id, "scope": name, "key": key}
