"""Campaign: what goes on in it, what holds its calls, its limits, its numbers and its latest calls."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from outbound.page import campaign_state, limit_form
from outbound.page.menu import ROOT
from outbound.page.route import Screens
from outbound.page.visit import Visit

screens = Screens()

_LATEST = 10
_IMPORTS = 5


@screens.shows("/campaigns/{campaign_id:int}")
async def show(visit: Visit) -> Response:
    """Show one campaign."""
    campaign_id, own = int(visit.request.path_params["campaign_id"]), visit.caller.business_id
    latest = await visit.read("calls", campaign_id=campaign_id, status=["in-the-air", "ended"], limit=_LATEST)
    imports = await visit.read("imports", campaign_id=campaign_id, limit=_IMPORTS)

    def read() -> dict[str, Any]:
        campaign = campaign_state.one(own, campaign_id)
        limits = campaign_state.limits(campaign, own)
        return {
            "campaign": campaign,
            "word": campaign_state.state(campaign),
            "sentence": campaign_state.sentence(campaign, visit.t),
            "limits": limits,
            "fields": limit_form.fields(limit_form.names("campaign", visit), limits[0], {}),
            "numbers": campaign_state.numbers(campaign),
            "version": campaign_state.version(campaign),
        }

    return visit.show(
        "campaign.html",
        screen="campaigns",
        **await run_in_threadpool(read),
        latest=latest["calls"],
        imports=imports["imports"],
        counted_max=campaign_state.COUNTED_MAX,
        limit_names=limit_form.LIMITS,
    )


@screens.shows("/campaigns/{campaign_id:int}/preview")
async def preview(visit: Visit) -> Response:
    """Show what a campaign would do if it were launched now; of 200,000 calls this takes some seconds."""
    campaign_id = int(visit.request.path_params["campaign_id"])
    found = await visit.read("campaigns", campaign_id, "preview")
    return visit.show("preview.html", screen="campaigns", found=found)


@screens.does("/campaigns/{campaign_id:int}/limits")
async def limit(visit: Visit) -> Response:
    """Set the limits that were changed in a form; a field that was emptied takes its limit away."""
    changed, campaign_id = limit_form.changed(await visit.form()), int(visit.request.path_params["campaign_id"])
    if changed:
        await visit.send("PUT", "control", "campaigns", campaign_id, "limits", body=changed)
    return visit.go(f"{ROOT}/campaigns/{campaign_id}", "limit" if changed else "no_limit")
