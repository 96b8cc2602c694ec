"""Leads and inbound: who was reached, with the latest call of each; and who called us."""

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from outbound.formats import row_id
from outbound.page import clock, inbound_calls
from outbound.page.download import Download
from outbound.page.route import Screens
from outbound.page.visit import Visit

screens = Screens()

_PAGE = 25


@screens.shows("/leads")
async def list_leads(visit: Visit) -> Response:
    """Show leads, the one with the last contact first, and inbound calls beside them; each is paged by itself."""
    asked, own = visit.request.query_params, visit.caller.business_id
    before, before_call = asked.get("before", ""), asked.get("before_call", "")
    leads = await visit.read("leads", before=before, limit=_PAGE)
    zone = await clock.zone(visit)
    calls = None
    if visit.may("calls:read"):
        calls = await run_in_threadpool(inbound_calls.find, own, row_id.read(before_call))
    return visit.show(
        "leads.html",
        screen="leads",
        leads=leads["leads"],
        more=leads["next"],
        calls=calls,
        zone=zone,
        before=before,
        before_call=before_call,
        scan_max=inbound_calls.SCAN_MAX,
    )


@screens.shows("/leads.csv")
async def save_leads(visit: Visit) -> Response:
    """Give leads as a file."""
    return Download(visit, "leads.csv", "exports", "leads")
