"""Calls that came in, the newest first."""

from typing import Any, NamedTuple

from outbound import db

sql = db.statements("page/inbound_calls")

PAGE_MAX = 25
SCAN_MAX = 10_000  # calls of all kinds that one look goes through, as no index has the inbound ones by age


class Page(NamedTuple):
    """Some inbound calls; `next` is where the next page begins, None where there are no older calls."""

    calls: list[dict[str, Any]]
    next: int | None


def find(business_id: int | None, before: int | None) -> Page:
    """The newest inbound calls of a business, or (None) of all, before the call with an id."""
    rows = db.run(sql.newest_inbound, business_id=business_id, before_id=before, page_max=PAGE_MAX, scan_max=SCAN_MAX)
    calls = [row._asdict() for row in rows if row.status is not None]
    return Page(calls, next((row.id for row in rows if row.status is None), None))
