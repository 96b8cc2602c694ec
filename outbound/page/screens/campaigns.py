"""Campaigns: how each goes and what holds it; and the form that makes one."""

from typing import Any

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from outbound.page import campaign_state
from outbound.page.menu import ROOT
from outbound.page.route import Screens
from outbound.page.visit import Visit, require

screens = Screens()

_TEXTS = ("name", "voice_url", "retry_policy", "starts", "ends")
_NUMBERS = ("calls_per_second", "live_max")


@screens.shows("/campaigns")
async def list_campaigns(visit: Visit) -> Response:
    """Show the campaigns, those that have calls in the queue first."""
    require(visit, "calls:read")
    own = visit.caller.business_id
    before = visit.request.query_params.get("before", "")
    rows, more = await run_in_threadpool(campaign_state.page, own, before)
    businesses: list[Any] = []
    if visit.may("campaigns"):
        businesses = await visit.businesses()
    return visit.show(
        "campaigns.html",
        screen="campaigns",
        campaigns=[row | {"word": campaign_state.state(row)} for row in rows],
        more=more,
        heading=_heading(visit, rows, before=before, more=more),
        businesses=businesses,
        counted_max=campaign_state.LISTED_MAX,
    )


def _heading(visit: Visit, rows: list[campaign_state.Campaign], *, before: str, more: str | None) -> Markup:
    working = sum(row["has_queue"] for row in rows)
    if before:
        return visit.t("campaigns.is.older")
    if not rows:
        return visit.t("campaigns.is.none")
    if working == len(rows) and more:
        return visit.t("campaigns.is.many", n=working)
    return visit.t("campaigns.is.working", n=working) if working else visit.t("campaigns.is.idle")


@screens.does("/campaigns")
async def add(visit: Visit) -> Response:
    """Make a campaign of what a form says."""
    fields = await visit.form()
    body: dict[str, Any] = {name: fields[name] for name in _TEXTS if fields.get(name)}
    body |= {name: number(fields[name]) for name in (*_NUMBERS, "business_id") if fields.get(name)}
    body["numbers"] = [line.strip() for line in fields.get("numbers", "").splitlines() if line.strip()]
    body["consent_required"] = fields.get("consent_required") == "yes"
    made = await visit.send("POST", "campaigns", body=body)
    return visit.go(f"{ROOT}/campaigns/{made['id']}", "campaign_added")


def number(text: str) -> float | str:
    """A number as JSON has it; what is none stays a text, which the API refuses with its reason."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            pass
    return text
