"""The leads, the latest contact first."""

from typing import Any

from outbound import db, names
from outbound.calls.call_search import LIMIT_MAX, PAGE_MAX, SCANS_MAX, Page, Place, Wanted, check_limit

sql = db.statements("calls/lead_list")


def find(wanted: Wanted, *, limit: int, before: Place | None = None) -> Page:
    """
    The leads of a business, of a number or of a time (of their last contact), *limit* at most; what else is wanted of
    calls does not matter.

    Each row has the lead's id, its `phone` where the database role may see it, its latest call and how many it has
    (1,000 means that or more).

    Raises BadSearch where the limit is none.
    """
    check_limit(limit)
    if wanted.number is not None:
        rows = db.run(sql.leads_of_number, number=wanted.number, business_id=wanted.business_id)
        return Page(_named([row._asdict() for row in rows][:limit]), None, is_cut=False)
    found: list[dict[str, Any]] = []
    for _ in range(SCANS_MAX + LIMIT_MAX // PAGE_MAX):
        page_max = min(PAGE_MAX, limit - len(found))
        rows = db.run(
            sql.newest_leads,
            business_id=wanted.business_id,
            since=wanted.since,
            until=wanted.until,
            before_at=before and before.at,
            before_id=before and before.id,
            page_max=page_max,
        )
        page = [row._asdict() for row in rows if row.id is not None]
        found += _named(page)
        cut = next((Place(row.at, row.cut_id) for row in rows if row.id is None), None)
        before = Place(page[-1]["at"], page[-1]["id"]) if len(page) == page_max else cut
        if before is None or len(found) >= limit:
            break
    return Page(found, before, is_cut=False)


def _named(leads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    phones = {}
    if leads and names.sees_numbers():
        phones = {row.id: row.phone for row in db.run(sql.phones_of_leads, lead_ids=[lead["id"] for lead in leads])}
    for lead in leads:
        del lead["cut_id"]
        if phones:
            lead["phone"] = phones.get(lead["id"])
    return leads
