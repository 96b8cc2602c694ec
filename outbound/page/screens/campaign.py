"""Campaign: what goes on in it, what holds its calls, its limits, its numbers and its latest calls."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from outbound.page import campaign_state
from outbound.page.menu import ROOT
from outbound.page.route import Screens
from outbound.page.visit import Visit

screens = Screens()

LIMITS = ("calls_per_second", "live_max", "calls_per_hour", "calls_per_day", "minutes_per_hour", "minutes_per_day")
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
        return {
            "campaign": campaign,
            "word": campaign_state.state(campaign),
            "sentence": campaign_state.sentence(campaign, visit.t),
            "limits": campaign_state.limits(campaign, own),
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
        limit_names=LIMITS,
    )


@screens.shows("/campaigns/{campaign_id:int}/preview")
async def preview(visit: Visit) -> Response:
    """Show what a campaign would do if it were launched now; of 200,000 calls this takes some seconds."""
    campaign_id = int(visit.request.path_params["campaign_id"])
    found = await visit.read("campaigns", campaign_id, "preview")
    return visit.show("preview.html", screen="campaigns", found=found)


@screens.does("/campaigns/{campaign_id:int}/limits")
async def limit(visit: Visit) -> Response:
    """Set the limits that a form gives; a field that is empty sets none."""
    fields, campaign_id = await visit.form(), int(visit.request.path_params["campaign_id"])
    given = {name: fields[name] or "none" for name in LIMITS if name in fields}
    if fields.get("weight"):
        given["weight"] = fields["weight"]
    await visit.send("PUT", "control", "campaigns", campaign_id, "limits", body=given)
    return visit.go(f"{ROOT}/campaigns/{campaign_id}", "limits")
