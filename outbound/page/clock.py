"""Says by whose clocks a screen shows moments of several businesses."""

from starlette.concurrency import run_in_threadpool

from outbound import db
from outbound.page.visit import Visit

sql = db.statements("page/clock")


async def zone(visit: Visit) -> str:
    """The time zone of the business that somebody may see; of all businesses, the one that most are in."""
    found = await run_in_threadpool(db.run, sql.find_zone, business_id=visit.caller.business_id)
    return str(found or "UTC")
