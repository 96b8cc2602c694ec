"""Says in which time zone a screen shows moments that belong to no single call."""

from starlette.concurrency import run_in_threadpool

from outbound import db
from outbound.page.visit import Visit

sql = db.statements("page/zone")


async def of(visit: Visit) -> str:
    """The zone of the business that somebody is let in to; of all businesses, the one that most are in."""
    found = await run_in_threadpool(db.run, sql.zone, business_id=visit.caller.business_id)
    return str(found or "UTC")
