"""Consents: who agreed to be called by a business, since when and until when, and who revoked it."""

from datetime import datetime
from pathlib import Path
from typing import Any

from outbound import db
from outbound.formats import csv_file, moments
from outbound.formats.csv_file import ImportReport, Numbers
from outbound.rules import callee_zone, contact_entry, contact_list
from outbound.rules.callee_zone import CalleeZones
from outbound.rules.contact_entry import BadConsent, Consent

sql = db.statements("rules/consent")


@contact_entry.refusing_as(BadConsent)
def give_consent(
    phone: str,
    *,
    actor: str,
    business_id: int,
    given_at: datetime | str | None = None,
    expires_at: datetime | str | None = None,
    source: str = "",
    region: str | None = None,
    tell: contact_list.Tell = contact_list.say_nothing,
) -> bool:
    """
    Record that a number agrees to be called by a business; False where a newer consent or revocation exists.

    Args:
        given_at: when; by default now.  Text is ISO 8601, without an offset by the callee's clocks where the number
            tells them, else by the business's.
        expires_at: from when it no longer counts; a date alone means its beginning.
        source: how it can be proved: a form, a recording.
        tell: called with each given moment as it was understood.

    Raises BadConsent as `suppress` does BadSuppression.
    """
    scope = contact_list.find_scope(business_id, None, region)
    consent = contact_entry.consent(phone, given_at, expires_at, source, scope, contact_list.now(), callee_zone.zone_of)
    for name, given, at in (("given", given_at, consent.given_at), ("expires", expires_at, consent.expires_at)):
        if given and at:
            tell(f"{name}: {moments.shown(at, consent.zone)}")
    if db.run(sql.is_forgotten, phone=consent.phone):
        raise BadConsent(contact_entry.FORGOTTEN)
    details = {name: value and str(value) for name, value in consent._asdict().items() if name != "zone"}
    return bool(_give([consent], business_id, contact_entry.actor(actor), "give_consent", details))


@contact_entry.refusing_as(BadConsent)
def revoke_consent(phone: str, *, actor: str, business_id: int, region: str | None = None) -> bool:
    """
    Write down that somebody does not, or no longer, agree; False where that is on record already.

    Raises BadConsent as `suppress` does BadSuppression.
    """
    number = contact_entry.phone(phone, contact_list.find_scope(business_id, None, region))
    return bool(db.run(sql.revoke_consent, business_id=business_id, phone=number, who=contact_entry.actor(actor)))


@contact_entry.refusing_as(BadConsent)
def import_consents(
    path: Path,
    *,
    actor: str,
    business_id: int,
    given_at: datetime | str | None = None,
    region: str | None = None,
    to_column: str | None = None,
    progress: contact_list.Progress = lambda _: None,
    tell: contact_list.Tell = contact_list.say_nothing,
) -> ImportReport:
    """
    Write down the consents of a CSV file; a later word of somebody, also a revocation, is left as it is.

    The columns are `phone` and, if wanted, `given_at`, `expires_at`, `source`; as of `give_consent`.

    Args:
        given_at: of the lines that do not say.  Without it each must: a file that is imported again shall not revive a
            consent that was revoked meanwhile.

    Raises:
        BadFile: the file cannot be read, or lacks a column.  A bad line is reported.
        BadConsent: as `suppress` does BadSuppression.
    """
    scope, now = contact_list.find_scope(business_id, None, region), contact_list.now()
    actor = contact_entry.actor(actor)
    otherwise = contact_entry.moment(given_at, "given_at", scope.time_zone, now) if given_at else None
    if otherwise:
        tell(f"given, where a line does not say: {moments.shown(otherwise, scope.time_zone)}")
    file, zones = contact_list.file_details(path), CalleeZones()

    def read(row: dict[str, str]) -> Consent:
        given = row.get("given_at") or otherwise
        if not given:
            raise BadConsent("`given_at` is empty: say when the consent was given")
        source = contact_entry.in_one_line(row.get("source") or csv_file.name_of(path))
        return contact_entry.consent(row.get("to", ""), given, row.get("expires_at"), source, scope, now, zones.of)

    def write(consents: list[Consent]) -> int:
        return _give(consents, business_id, actor, "import_consents", file)

    columns, needed = contact_entry.CONSENT_COLUMNS, () if otherwise else ("given_at",)
    return contact_list.import_file(
        path, columns, needed, to_column, Numbers.ONE, read, write, progress, lambda consent: consent.phone
    )


def _give(consents: list[Consent], business_id: int, actor: str, action: str, details: dict[str, Any]) -> int:
    phones, given_ats, expires_ats, sources, _ = map(list, zip(*consents, strict=True))
    many = {"phones": phones, "given_ats": given_ats, "expires_ats": expires_ats, "sources": sources}
    one = {"business_id": business_id, "who": actor, "action": action, "details": db.json(details)}
    return int(db.run(sql.give_consents, **many, **one))
