"""By whose clocks moments of several businesses are shown."""

from outbound import db

sql = db.statements("page/clock")


def zone(business_id: int | None) -> str:
    """The time zone of a business, or (None) the one of most businesses."""
    return str(db.run(sql.find_zone, business_id=business_id) or "UTC")
