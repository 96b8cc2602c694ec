"""Calls: finding them; and Call: the life of one, why it waits, its attempts and its lead."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from outbound import db
from outbound.call import IN_THE_AIR, STATUSES, WAITING
from outbound.formats import row_id
from outbound.page import clock, reason_words
from outbound.page.menu import ROOT
from outbound.page.route import Screens
from outbound.page.visit import Refused, Visit
from outbound.page.words import Words

screens = Screens()
sql = db.statements("page/call")

_FILTERS = ("status", "campaign_id", "business_id", "error_code", "batch", "since", "until", "before")
_PAGE = 50


@screens.shows("/calls")
async def list_calls(visit: Visit) -> Response:
    """Show the calls that fit the filters of the address, the newest first."""
    return await _found(visit, {name: visit.request.query_params.get(name, "") for name in _FILTERS})


@screens.does("/calls")
async def search_calls(visit: Visit) -> Response:
    """Show the calls that fit a form, which may hold a number: that stands in no address."""
    fields = await visit.form()
    return await _found(visit, {name: fields.get(name, "") for name in (*_FILTERS, "number")})


async def _found(visit: Visit, wanted: dict[str, str]) -> Response:
    number, campaign = wanted.get("number", ""), wanted["campaign_id"]
    if campaign and row_id.read(campaign) is None:
        raise Refused(422, visit.t.plain("calls.no_campaign_number"))
    page = await visit.read("calls", **wanted, limit=_PAGE)
    return visit.show(
        "calls.html",
        screen="calls",
        page=page,
        wanted=wanted | {"number": number},
        statuses=STATUSES,
        zone=await clock.zone(visit),
    )


@screens.shows("/calls/{call_id:int}")
async def show_call(visit: Visit) -> Response:
    """Show one call."""
    call_id = int(visit.request.path_params["call_id"])
    shown = await visit.read("calls", call_id)
    call: dict[str, Any] = shown["call"]
    zone: str = shown["time_zone"]
    why = await visit.read("calls", call_id, "why") if call["status"] in WAITING else None
    deliveries = []
    if visit.may("webhooks"):
        own = visit.caller.business_id
        deliveries = await run_in_threadpool(db.run, sql.deliveries, call_id=call_id, business_id=own)
    version = await run_in_threadpool(db.run, sql.version, call_id=call_id)
    return visit.show(
        "call.html",
        screen="calls",
        shown=shown,
        call=call,
        why=why and reason_words.why(why, zone, visit.t),
        ending=shown["ending"] and reason_words.ending(shown["ending"], visit.t),
        life=[_told(entry, zone, visit.t) for entry in shown["events"]],
        deliveries=deliveries,
        version=version,
        is_waiting=call["status"] in WAITING,
        is_live=call["status"] in IN_THE_AIR,
    )


def _told(entry: dict[str, Any], zone: str, t: Words) -> dict[str, Any]:
    return {
        "at": entry["at"],
        "what": reason_words.event(entry, zone, t),
        "by": reason_words.event_by(entry, t),
        "why": reason_words.event_why(entry, t),
    }


@screens.does("/calls/{call_id:int}/retry")
async def retry(visit: Visit) -> Response:
    """Make a call that has ended once more."""
    fields = await visit.form()
    made = await visit.send(
        "POST", "calls", visit.request.path_params["call_id"], "retry", body={"reason": fields.get("reason") or None}
    )
    return visit.go(f"{ROOT}/calls/{made['call_id']}", "retry")


@screens.does("/calls/{call_id:int}/reschedule")
async def reschedule(visit: Visit) -> Response:
    """Have a waiting call dialed from another moment on."""
    fields, call_id = await visit.form(), int(visit.request.path_params["call_id"])
    await visit.send("POST", "calls", call_id, "reschedule", body={"at": fields.get("at") or "now"})
    return visit.go(f"{ROOT}/calls/{call_id}", "reschedule")
