"""Operations: calls, callees and leads."""

from dataclasses import asdict
from typing import Any

from outbound.api import models, new_calls
from outbound.api.contacts import known_of
from outbound.api.context import Context, made
from outbound.api.parameters import Before, Limit, Number, Region, Statuses, When, Whose, Word
from outbound.api.problem import Problem
from outbound.api.route import Id, RequestContext, operation, router
from outbound.call import WAITING
from outbound.calls import call_again, call_search, call_timeline, lead_list
from outbound.calls.call_search import Page
from outbound.monitoring import why as why_step
from outbound.rules import control, destination

# Calls that one list looks at, where no index has all that is asked for, or a page of each business and status.
LOOKS_MAX = 5000

calls = router("calls")
leads = router("leads")


def wanted(
    context: Context,
    *,
    number: str | None = None,
    region: str | None = None,
    status: list[str] | None = None,
    business_id: int | None = None,
    campaign_id: int | None = None,
    batch: str | None = None,
    since: str | None = None,
    until: str | None = None,
    answered_by: str | None = None,
    error_code: str | None = None,
) -> call_search.Wanted:
    """A search that finds no more than the token may see."""
    whose = context.filter(business_id, campaign_id)
    return call_search.read(
        call_search.Asked(
            number=number,
            region=region,
            statuses=status or (),
            business=whose["business_id"],
            campaign=whose["campaign_id"],
            batch=batch,
            since=since,
            until=until,
            answered_by=answered_by,
            error_code=error_code,
        )
    )


def page_of(context: Context, page: Page, what: str) -> dict[str, Any]:
    """A page as it is answered."""
    view = context.view
    found = {what: [view.call(row) for row in page.calls], "next": page.next and str(page.next)}
    return found | ({"is_cut": page.is_cut} if what == "calls" else {})


@operation(calls, "POST", "/calls", scope="calls:write", answer=models.QueuedCall, status=201, also=200)
async def create_call(context: RequestContext, body: models.NewCall) -> Any:
    """
    Put one call in the queue; the same key never makes a second one.

    Send a `key`, or an Idempotency-Key, with every call: after a timeout the same request is then safe to repeat.  A
    call that was there already is answered with 200 and `created: false`.
    """
    return context.answer_created(vars(await new_calls.put(context, body)))


@operation(calls, "POST", "/calls/bulk", scope="calls:write", answer=models.QueuedCalls)
async def create_calls(context: RequestContext, body: new_calls.NewCalls) -> Any:
    """Put up to 1,000 calls in the queue at once; the others are queued where one is refused."""
    return await context.write(lambda: new_calls.put_all(context, body.calls))


@operation(calls, "GET", "/calls", scope="calls:read", answer=models.CallList)
async def list_calls(
    context: RequestContext,
    number: Number = None,
    region: Region = None,
    status: Statuses = None,
    business_id: Whose = None,
    campaign_id: Whose = None,
    batch: Word = None,
    since: When = None,
    until: When = None,
    answered_by: Word = None,
    error_code: Word = None,
    limit: Limit = 100,
    before: Before = None,
) -> Any:
    """
    Find calls, the newest first: by when they ended, were dialed, or are due.

    A page may end before it has `limit` calls (`is_cut`) where few of very many fit; the next one goes on behind it.
    """

    def work() -> Any:
        search = wanted(
            context,
            number=number,
            region=region,
            status=status,
            business_id=business_id,
            campaign_id=campaign_id,
            batch=batch,
            since=since,
            until=until,
            answered_by=answered_by,
            error_code=error_code,
        )
        place = call_search.place_of(before)
        return page_of(context, call_search.find(search, limit=limit, before=place, looks_max=LOOKS_MAX), "calls")

    return await context.read(work)


@operation(calls, "GET", "/calls/{call_id:int}", scope="calls:read", answer=models.ShownCall)
async def show_call(context: RequestContext, call_id: Id) -> Any:
    """Show a call: its row, events, attempts and lead, and why it waits."""

    def work() -> Any:
        timeline, view = call_timeline.of(context.call(call_id)), context.view
        waits = timeline.call["status"] in WAITING
        ending = _ending(context, view.how_it_ended(timeline.call, timeline.ending))
        return {
            "call": view.call(timeline.call),
            "time_zone": timeline.zone,
            "events": [view.event(entry) for entry in timeline.entries],
            "attempts": timeline.attempts,
            "again_id": timeline.again_id,
            "again_for_id": timeline.again_for_id,
            "hung_up": ending and ending["sentence"],
            "ending": ending,
            "why": _why(context, call_id)["sentence"] if waits else None,
        }

    return await context.read(work)


@operation(calls, "GET", "/calls/{call_id:int}/why", scope="calls:read", answer=models.Why)
async def why_call(context: RequestContext, call_id: Id) -> Any:
    """Say why a call is not being dialed right now."""
    return await context.read(lambda: _why(context, context.call(call_id)))


def _why(context: Context, call_id: int) -> dict[str, Any]:
    reason = context.view.why(call_id, asdict(why_step.why(call_id)))
    return reason | {"sentence": context.said(reason["sentence"])}


def _ending(context: Context, ending: dict[str, Any] | None) -> dict[str, Any] | None:
    """How a call ended in the language asked for; of one that failed, its code stays, and what the carrier said."""
    if ending is None or ending["code"] != "failed":
        return ending and ending | {"sentence": context.said(ending["sentence"])}
    code, message = ending["details"]["error_code"], ending["details"]["message"]
    return ending | {"sentence": ": ".join(filter(None, [code, message and context.said(message)]))}


@operation(
    calls, "POST", "/calls/{call_id:int}/retry", scope="calls:write", answer=models.MadeAgain, status=201, also=200
)
async def retry_call(context: RequestContext, call_id: Id, body: models.Again | None = None) -> Any:
    """
    Make a call that has ended once more: a new call, within all rules; asked twice, it is one.

    A call that was there already is answered with 200 and `created: false`.
    """
    given = body or models.Again()

    def work() -> Any:
        again = call_again.retry(context.call(call_id), at=given.at, reason=given.reason, actor=context.caller.who)
        return {"retry_of": call_id} | asdict(again) | {"note": context.maybe_said(again.note)}

    return await context.write(work, status=made)


@operation(calls, "POST", "/calls/{call_id:int}/reschedule", scope="calls:write", answer=models.Rescheduled)
async def reschedule_call(context: RequestContext, call_id: Id, body: models.Reschedule) -> Any:
    """Have a call that waits dialed from another moment on; one that is being dialed is not moved."""

    def work() -> Any:
        moved = call_again.reschedule(context.call(call_id), body.at, reason=body.reason, actor=context.caller.who)
        return {"call_id": call_id} | asdict(moved) | {"note": context.maybe_said(moved.note)}

    return await context.write(work)


@operation(calls, "POST", "/calls/cancel", scope="control", answer=models.Canceled)
async def cancel_calls(context: RequestContext, body: models.Selection) -> Any:
    """Close the calls that wait and end those that ring, of all that are like this; with `dry_run`, count them."""

    given = body.model_dump(exclude_none=True, exclude={"region", "dry_run", "reason"})
    if not given:
        raise Problem(422, "say which calls: by number, campaign_id, batch ...; or business_id for all of one")

    def work() -> Any:
        search = wanted(
            context,
            number=body.number,
            region=body.region,
            status=body.status,
            business_id=body.business_id,
            campaign_id=body.campaign_id,
            batch=body.batch,
            since=body.since,
            until=body.until,
            error_code=body.error_code,
        )
        if body.dry_run:
            found = call_search.count_to_cancel(search)
            return {"waiting": found.waiting, "in_the_air": found.ringing, "talking": found.talking, "dry_run": True}
        scope = call_search.scope_of(call_search.to_cancel(search))
        if scope is not None:
            waiting, in_the_air = control.cancel(scope, reason=body.reason, actor=context.caller.who)
        else:
            waiting, in_the_air, _ = call_search.cancel(search, reason=body.reason, actor=context.caller.who)
        return {"waiting": waiting, "in_the_air": in_the_air, "talking": None, "dry_run": False}

    return await context.write(work, in_parts=True)


@operation(calls, "GET", "/callees/{number}", scope="calls:read", answer=models.Callee)
async def show_callee(context: RequestContext, number: str, business_id: Whose = None, region: Region = None) -> Any:
    """Show what is known of a number: its calls, do-not-call entries, consents and, with `leads:read`, leads."""

    def work() -> Any:
        whose = context.filter(business_id, None)["business_id"]
        found = call_search.read(call_search.Asked(number=number, region=region, business=whose))
        phone = found.number or ""
        verdict, view = destination.check(phone, whose) if whose is not None else None, context.view
        return {
            "number": phone,
            "calls": [view.call(row) for row in call_search.find(found, limit=100).calls],
            "known": known_of(context, phone, business_id=whose),
            "leads": lead_list.find(found, limit=100).calls if "leads:read" in context.caller.scopes else [],
            "destination": verdict and verdict._replace(sentence=context.maybe_said(verdict.sentence)),
        }

    return await context.read(work)


@operation(leads, "GET", "/leads", scope="leads:read", answer=models.LeadList)
async def list_leads(
    context: RequestContext,
    number: Number = None,
    region: Region = None,
    business_id: Whose = None,
    since: When = None,
    until: When = None,
    limit: Limit = 100,
    before: Before = None,
) -> Any:
    """List leads, the one with the last contact first."""

    def work() -> Any:
        search = wanted(context, number=number, region=region, business_id=business_id, since=since, until=until)
        place = call_search.place_of(before)
        return page_of(context, lead_list.find(search, limit=limit, before=place), "leads")

    return await context.read(work)
