"""Do-not-call list, consent records and registry checks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from outbound import db, names
from outbound.formats import csv_file, moments, plain_text
from outbound.formats.csv_file import BadFile, ImportReport, Numbers
from outbound.rules import callee_zone, contact_entry
from outbound.rules.callee_zone import CalleeZones
from outbound.rules.contact_entry import BadSuppression, Consent, Scope

__all__ = [
    "BadFile",
    "BadSuppression",
    "ImportReport",
    "Suppressed",
    "entries",
    "give_consent",
    "import_consents",
    "import_registry",
    "import_suppressions",
    "known_of",
    "revoke_consent",
    "suppress",
    "unsuppress",
]

sql = db.statements("rules/suppression")

CHUNK_ROWS = 1000  # one transaction each: an import that is interrupted keeps what it has, and is repeated whole
ENTRIES_MAX = 1_000_000  # that one command lists
SCAN_MAX = 100_000  # entries that one statement looks at
SCANS_MAX = 100
AGAIN_S = 30  # for a chunk that met another import in the opposite order, or a database that is away

_LACKING = {
    "given": "say in it when each consent was given, or with --given-at when all were",
    "listed": "say in it `yes` or `no` for each number",
}

T = TypeVar("T")
Progress = Callable[[int], None]  # is told the number of bytes read so far
Tell = Callable[[str], None]  # is told each given moment as it was understood


def _unheard(_: str) -> None:
    pass


@dataclass(frozen=True)
class Suppressed:
    """The number is on the list now: `created` is False where it was before, `canceled` calls waited for it."""

    created: bool
    canceled: int


def suppress(
    phone: str,
    *,
    who: str,
    business_id: int | None = None,
    campaign_id: int | None = None,
    reason: str = "",
    region: str | None = None,
) -> Suppressed:
    """
    Let nobody call this number from now on, and end its calls that wait; one that is being dialed goes on.

    Args:
        phone: any writing of a number; without a country code, *region*'s or the business's is taken.
        who: whose word this is, for `audit`.
        business_id, campaign_id: who may not call it; without either, nobody may.

    Raises:
        BadSuppression: the number, the scope or a text is wrong.
    """
    scope = _scope(business_id, campaign_id, region)
    number, reason = contact_entry.phone(phone, scope), contact_entry.text(reason, "reason")
    row = db.run(sql.suppress_number, phone=number, reason=reason, who=contact_entry.who(who), **_entry(scope))
    return Suppressed(row.created, row.canceled)


def unsuppress(
    phone: str,
    *,
    who: str,
    business_id: int | None = None,
    campaign_id: int | None = None,
    region: str | None = None,
) -> bool:
    """
    Take the entry of exactly this scope off the list, and say whether there was one; canceled calls stay so.

    Raises BadSuppression as `suppress` does.
    """
    scope = _scope(business_id, campaign_id, region)
    number = contact_entry.phone(phone, scope)
    return bool(db.run(sql.unsuppress_number, phone=number, who=contact_entry.who(who), **_entry(scope)))


def known_of(phone: str, *, business_id: int | None = None, region: str | None = None) -> list[db.Row]:
    """
    The do-not-call entries, consents and registry checks of a number; with a business, only what holds for it.

    Raises BadSuppression as `suppress` does.
    """
    number = contact_entry.phone(phone, _scope(business_id, None, region))
    return list(db.run(sql.known_of, phone=number, business_id=business_id))


def zone_of(phone: str, *, business_id: int | None = None, region: str | None = None) -> str | None:
    """
    By whose clocks what is known of a number is shown: the callee's where the number tells, else the business's.

    Raises BadSuppression as `suppress` does.
    """
    scope = _scope(business_id, None, region)
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
    found: list[dict[str, Any]] = []
    last: int | None = before or None
    for _ in range(SCANS_MAX):
        rows = db.run(sql.list_entries, before_id=last, page_max=limit - len(found), scan_max=SCAN_MAX, **scope)
        found += [row._asdict() for row in rows if row.is_shown]
        last = rows[-1].id if rows and (len(found) == limit or rows[-1].is_end) else None
        if last is None or len(found) == limit:
            break
    if found and names.sees_numbers():
        words = {row.id: row for row in db.run(sql.words_of_entries, ids=[entry["id"] for entry in found])}
        for entry in found:
            entry |= {"phone": words[entry["id"]].phone, "reason": words[entry["id"]].reason}
    for entry in found:
        del entry["is_shown"], entry["is_end"]
    return found, last


def import_suppressions(
    path: Path,
    *,
    who: str,
    business_id: int | None = None,
    campaign_id: int | None = None,
    reason: str | None = None,
    region: str | None = None,
    to_column: str | None = None,
    progress: Progress = lambda _: None,
) -> ImportReport:
    """
    Put the numbers of a CSV file on the list; importing it again adds nothing.

    Calls that wait end as their turn comes, before any is dialed.  The columns are `phone` and, if wanted, `reason`.
    Where several columns hold phone numbers, each of them goes on the list: who asked not to be called means them all.

    Args:
        reason: of the lines that give none; by default the file's name.

    Raises:
        BadFile: the file cannot be read, or has no column for the number.  A bad line is reported.
        BadSuppression: as `suppress`.
    """
    scope = _scope(business_id, campaign_id, region)
    otherwise = contact_entry.text(csv_file.name_of(path) if reason is None else reason, "reason")
    rest = _entry(scope) | {"who": contact_entry.who(who), "details": db.json(_file(path))}

    def read(row: dict[str, str]) -> tuple[str, str]:
        # A do-not-call number is not left out for an odd character of its reason.
        reason = plain_text.visible(" ".join((row.get("reason") or otherwise).splitlines()))
        return contact_entry.phone(row.get("to", ""), scope), contact_entry.text(reason, "reason")

    def write(entries: list[tuple[str, str]]) -> int:
        phones, reasons = map(list, zip(*entries, strict=True))
        return int(db.run(sql.suppress_numbers, phones=phones, reasons=reasons, **rest))

    return _import(path, contact_entry.SUPPRESSION_COLUMNS, (), to_column, Numbers.EVERY, read, write, progress)


def give_consent(
    phone: str,
    *,
    who: str,
    business_id: int,
    given_at: datetime | str | None = None,
    expires_at: datetime | str | None = None,
    source: str = "",
    region: str | None = None,
    tell: Tell = _unheard,
) -> bool:
    """
    Record that a number agrees to be called by a business; False where a newer consent or revocation exists.

    Args:
        given_at: when; by default now.  Text is ISO 8601, without an offset by the callee's clocks where the number
            tells them, else by the business's.
        expires_at: from when it no longer counts; a date alone means its beginning.
        source: how it can be proved: a form, a recording.
        tell: called with each given moment as it was understood.

    Raises BadSuppression as `suppress` does.
    """
    scope = _scope(business_id, None, region)
    consent = contact_entry.consent(phone, given_at, expires_at, source, scope, db.run(sql.clock), callee_zone.zone_of)
    for name, given, at in (("given", given_at, consent.given_at), ("expires", expires_at, consent.expires_at)):
        if given and at:
            tell(f"{name}: {moments.shown(at, consent.zone)}")
    if db.run(sql.is_forgotten, phone=consent.phone):
        raise BadSuppression("this person asked to be forgotten: nothing is written down of them")
    details = {name: value and str(value) for name, value in consent._asdict().items() if name != "zone"}
    return bool(_give([consent], business_id, contact_entry.who(who), "give_consent", details))


def revoke_consent(phone: str, *, who: str, business_id: int, region: str | None = None) -> bool:
    """
    Write down that somebody does not, or no longer, agree; False where that is on record already.

    Raises BadSuppression as `suppress` does.
    """
    number = contact_entry.phone(phone, _scope(business_id, None, region))
    return bool(db.run(sql.revoke_consent, business_id=business_id, phone=number, who=contact_entry.who(who)))


def import_consents(
    path: Path,
    *,
    who: str,
    business_id: int,
    given_at: datetime | str | None = None,
    region: str | None = None,
    to_column: str | None = None,
    progress: Progress = lambda _: None,
    tell: Tell = _unheard,
) -> ImportReport:
    """
    Write down the consents of a CSV file; a later word of somebody, also a revocation, is left as it is.

    The columns are `phone` and, if wanted, `given`, `expires`, `source`; as of `give_consent`.

    Args:
        given_at: of the lines that do not say.  Without it each must: a file that is imported again shall not revive a
            consent that was revoked meanwhile.

    Raises:
        BadFile: the file cannot be read, or lacks a column.  A bad line is reported.
        BadSuppression: as `suppress`.
    """
    scope, now, who = _scope(business_id, None, region), db.run(sql.clock), contact_entry.who(who)
    otherwise = contact_entry.moment(given_at, "given", scope.time_zone, now) if given_at else None
    if otherwise:
        tell(f"given, where a line does not say: {moments.shown(otherwise, scope.time_zone)}")
    file, zones = _file(path), CalleeZones()

    def read(row: dict[str, str]) -> Consent:
        given = row.get("given") or otherwise
        if not given:
            raise BadSuppression("`given` is empty: say when the consent was given")
        return contact_entry.consent(
            row.get("to", ""),
            given,
            row.get("expires"),
            row.get("source") or csv_file.name_of(path),
            scope,
            now,
            zones.of,
        )

    def write(consents: list[Consent]) -> int:
        return _give(consents, business_id, who, "import_consents", file)

    return _import(
        path,
        contact_entry.CONSENT_COLUMNS,
        () if otherwise else ("given",),
        to_column,
        Numbers.ONE,
        read,
        write,
        progress,
    )


def import_registry(
    path: Path,
    *,
    who: str,
    checked_at: datetime | str,
    region: str | None = None,
    to_column: str | None = None,
    progress: Progress = lambda _: None,
    tell: Tell = _unheard,
) -> ImportReport:
    """
    Write down what a do-not-call registry said of the numbers of a CSV file; calls that waited for it are due at once.

    A number that was checked at the same moment or later is there already.  The columns are `phone` and `listed`,
    which is yes or no.

    Args:
        checked_at: when the registry was asked, with an offset; of a date alone, its beginning in UTC.
        region: two letters, like IL: the country of numbers without a code.

    Raises:
        BadFile: the file cannot be read, or lacks a column.  A bad line is reported.
        BadSuppression: the moment lies in the future, or has no offset.
    """
    scope = _scope(None, None, region)
    moment = contact_entry.moment(checked_at, "checked-at", None, db.run(sql.clock))
    tell(f"checked: {moments.shown(moment, None)}")
    details = db.json(_file(path) | {"checked_at": str(moment)})
    rest = {"checked_at": moment, "who": contact_entry.who(who), "details": details}

    def read(row: dict[str, str]) -> tuple[str, bool]:
        return contact_entry.phone(row.get("to", ""), scope), contact_entry.is_listed(row.get("listed", ""))

    def write(checks: list[tuple[str, bool]]) -> int:
        phones, listed = map(list, zip(*checks, strict=True))
        return int(db.run(sql.record_checks, phones=phones, listed=listed, **rest).written)

    return _import(path, contact_entry.REGISTRY_COLUMNS, ("listed",), to_column, Numbers.ONE, read, write, progress)


def _import(
    path: Path,
    columns: Mapping[str, str],
    required: Iterable[str],
    to_column: str | None,
    numbers: Numbers,
    read: Callable[[dict[str, str]], T],
    write: Callable[[list[T]], int],
    progress: Progress,
) -> ImportReport:
    """Read a file and write it down a chunk at a time; *write* says how many rows were new."""
    report = ImportReport()
    with csv_file.open_file(path) as file:
        rows = csv_file.Rows(file, report, columns, to_column=to_column, numbers=numbers)
        for name in required:
            if name not in rows.columns:
                raise BadFile(f"no column is named `{name}`: {rows.found()}; {_LACKING[name]}")
        for chunk in rows.chunks(CHUNK_ROWS):
            entries = []
            for line, row in chunk:
                try:
                    entries.append(read(row))
                except BadSuppression as refusal:
                    report.reject(line, str(refusal))
            new = _persist(write, entries) if entries else 0
            report.created += new
            report.already_there += len(entries) - new
            progress(file.tell())
    return report


def _persist(write: Callable[[list[T]], int], entries: list[T]) -> int:
    return db.persist(lambda: write(entries), for_s=AGAIN_S)


def _give(consents: list[Consent], business_id: int, who: str, action: str, details: dict[str, Any]) -> int:
    phones, given_ats, expires_ats, sources, _ = map(list, zip(*consents, strict=True))
    many = {"phones": phones, "given_ats": given_ats, "expires_ats": expires_ats, "sources": sources}
    one = {"business_id": business_id, "who": who, "action": action, "details": db.json(details)}
    return int(db.run(sql.give_consents, **many, **one))


def _scope(business_id: int | None, campaign_id: int | None, region: str | None) -> Scope:
    region = contact_entry.region(region)
    if business_id is None and campaign_id is None:
        return Scope(None, None, region, None)
    found = db.run(sql.find_scope, business_id=business_id, campaign_id=campaign_id)
    if found is not None:
        return Scope(found.business_id, found.campaign_id, region or found.default_region, found.time_zone)
    if campaign_id is None:
        raise BadSuppression(f"there is no business {business_id}: see `outbound business list`")
    whose = "" if business_id is None else f" of business {business_id}"
    raise BadSuppression(f"there is no campaign {campaign_id}{whose}: see `outbound campaign list`")


def _entry(scope: Scope) -> dict[str, Any]:
    """A scope as a do-not-call entry and its row of audit have it."""
    name, key = "account", ""
    if scope.business_id:
        name, key = "business", str(scope.business_id)
    if scope.campaign_id:
        name, key = "campaign", str(scope.campaign_id)
    return {"business_id": scope.business_id, "campaign_id": scope.campaign_id, "scope": name, "key": key}


def _file(path: Path) -> dict[str, str]:
    """What the audit keeps of a file, beside how many of its rows were new."""
    with csv_file.open_file(path) as file:
        return {"file": csv_file.name_of(path), "sha256": csv_file.sha256(file)}
