"""Operations: businesses, campaigns, retry policies, calling windows and destinations."""

from dataclasses import asdict
from typing import Any

from outbound.api import models
from outbound.api.context import Context
from outbound.api.parameters import BeforeId, Limit, OneNumber, Seconds, Whose, page_of_rows
from outbound.api.problem import Problem, not_found
from outbound.api.route import Id, RequestContext, operation, router
from outbound.errors import Fault
from outbound.monitoring import why
from outbound.rules import business, calling_window, campaign, destination, new_business, retry_policy

OWN_OF_PRESET = "a preset has its own `{}`: leave it out, and give days other hours once the window is there"
_OWN_OF_WINDOWS = frozenset({"days_off", "half_days", "known_until", "note"})
CAMPAIGNS_SHOWN = 100  # with their business; `GET /campaigns` has all

tenants = router("tenants")
rules = router("rules")


@operation(tenants, "GET", "/businesses", scope="calls:read", answer=models.BusinessList)
async def list_businesses(context: RequestContext, limit: Limit = 100, before: BeforeId = None) -> Any:
    """List the businesses that the token may see, the newest first."""

    def work() -> Any:
        return page_of_rows("businesses", business.page(context.caller.business_id, before=before, limit=limit), limit)

    return await context.read(work)


@operation(tenants, "POST", "/businesses", scope="operator", answer=models.AddedBusiness, status=201, of_all=True)
async def add_business(context: RequestContext, body: models.NewBusiness) -> Any:
    """Add a business; it keeps to its region's calling hours unless `any_hour` is said."""

    def work() -> Any:
        added = new_business.add(
            body.name,
            actor=context.caller.who,
            time_zone=body.time_zone,
            default_region=body.region,
            voice_url=body.voice_url,
            twiml=body.twiml,
            phones=body.numbers,
            account=body.account,
            any_hour=body.any_hour,
        )
        hours = None if added.hours is None else added.hours.name
        return {"id": added.id, "name": body.name.strip(), "time_zone": added.time_zone, "calling_hours": hours}

    return await context.write(work, status=201)


@operation(tenants, "GET", "/businesses/{business_id:int}", scope="calls:read", answer=models.ShownBusiness)
async def show_business(context: RequestContext, business_id: Id) -> Any:
    """Show one business: its numbers, what it plays, what limits and holds it, and its newest 100 campaigns."""

    def work() -> Any:
        shown = business.show(context.business(business_id), campaigns_max=CAMPAIGNS_SHOWN)
        return shown | {"account": shown.get("carrier_account") if context.view.is_whole else None}

    return await context.read(work)


@operation(tenants, "PATCH", "/businesses/{business_id:int}", scope="operator", answer=models.ChangedParts, of_all=True)
async def change_business(context: RequestContext, business_id: Id, body: models.ChangedBusiness) -> Any:
    """Update a business; what is not given stays."""

    def work() -> Any:
        changed = business.change(
            context.business(business_id),
            name=body.name,
            voice_url=body.voice_url,
            twiml=body.twiml,
            time_zone=body.time_zone,
            default_region=body.region,
            phones=body.numbers,
            account=body.account,
            look_back_hours=body.look_back_hours,
        )
        return {"id": business_id, "changed": changed}

    return await context.write(work)


@operation(tenants, "PUT", "/businesses/{business_id:int}/retry-policy", scope="campaigns", answer=models.ChangedParts)
async def use_retry_policy(context: RequestContext, business_id: Id, body: models.UseRetryPolicy) -> Any:
    """Make a retry policy the default of a business."""

    def work() -> Any:
        is_another = retry_policy.use(context.business(business_id), body.name, actor=context.caller.who)
        return {"id": business_id, "changed": ["retry_policy"] if is_another else []}

    return await context.write(work)


@operation(tenants, "GET", "/campaigns", scope="calls:read", answer=models.CampaignList)
async def list_campaigns(
    context: RequestContext, business_id: Whose = None, limit: Limit = 100, before: BeforeId = None
) -> Any:
    """List campaigns, the newest first."""

    def work() -> Any:
        own = context.filter(business_id, None)["business_id"]
        rows, last = campaign.page(business_id=own, before=before, limit=limit)
        return {"campaigns": rows, "next": last}

    return await context.read(work)


@operation(tenants, "POST", "/campaigns", scope="campaigns", answer=models.Added, status=201)
async def add_campaign(context: RequestContext, body: models.NewCampaign) -> Any:
    """Add a campaign."""

    def work() -> Any:
        owner = context.whose(body.business_id, None)["business_id"]
        if owner is None:
            raise campaign.BadCampaign.about("business_id", "say whose campaign it is: give business_id")
        given = _given(body)
        added = campaign.add(
            owner, given, phones=body.numbers, actor=context.caller.who, is_tenants=not context.view.is_whole
        )
        return {"id": added, "name": (body.name or "").strip()}

    return await context.write(work, status=201)


def _given(body: models.CampaignFields) -> campaign.Given:
    """The fields of a campaign that were sent, also those that are null."""
    sent = body.model_dump(include=set(campaign.Given.__annotations__), exclude_unset=True)
    given: campaign.Given = sent  # type: ignore[assignment]
    return given


@operation(tenants, "GET", "/campaigns/{campaign_id:int}", scope="calls:read", answer=models.ShownCampaign)
async def show_campaign(context: RequestContext, campaign_id: Id) -> Any:
    """Show a campaign, and how many calls of it are in each status."""

    def work() -> Any:
        row = campaign.show(context.campaign(campaign_id))
        return row._asdict() | {"calls": campaign.calls(campaign_id)}

    return await context.read(work)


@operation(tenants, "PATCH", "/campaigns/{campaign_id:int}", scope="campaigns", answer=models.ChangedCampaignParts)
async def change_campaign(context: RequestContext, campaign_id: Id, body: models.ChangedCampaign) -> Any:
    """Update a campaign; what is not given stays, and null takes a thing away."""

    def work() -> Any:
        changed = campaign.change(
            context.campaign(campaign_id),
            _given(body),
            phones=body.numbers,
            dropped=body.drop_numbers,
            actor=context.caller.who,
            is_tenants=not context.view.is_whole,
        )
        note = context.maybe_said(campaign.note_of_end(campaign_id) if body.ends else None)
        return {"id": campaign_id, "changed": changed, "note": note}

    return await context.write(work)


@operation(tenants, "GET", "/campaigns/{campaign_id:int}/preview", scope="calls:read", answer=models.Preview)
async def preview_campaign(context: RequestContext, campaign_id: Id, call_s: Seconds = None) -> Any:
    """Say what a campaign would do if it were launched now."""

    def work() -> Any:
        found = why.preview(context.campaign(campaign_id), call_s)
        return _preview_said(context, context.view.preview(asdict(found) | {"to_dial": found.to_dial}))

    return await context.read(work, is_slow=True)


def _preview_said(context: Context, shown: dict[str, Any]) -> dict[str, Any]:
    """A preview with its sentences in the language asked for."""
    parts = {
        name: {code: part | {"sentence": context.said(part["sentence"])} for code, part in shown[name].items()}
        for name in ("held", "refused")
    }
    given = [name for name in ("limited_by", "call_s_from") if shown[name] not in (None, why.GIVEN)]
    texts = {name: context.said(shown[name]) for name in given}
    return shown | parts | texts | {"stopped_by": [context.said(one) for one in shown["stopped_by"]]}


@operation(rules, "GET", "/retry-policies", scope="calls:read", answer=models.RetryPolicyList)
async def list_retry_policies(
    context: RequestContext, business_id: Whose = None, limit: Limit = 100, before: BeforeId = None
) -> Any:
    """List retry policies, the newest first."""

    def work() -> Any:
        own = context.filter(business_id, None)["business_id"]
        rows = retry_policy.page(own, before=before, limit=limit)
        shown = [row._asdict() | {"steps": retry_policy.written(row)} for row in rows]
        return page_of_rows("retry_policies", rows, limit) | {"retry_policies": shown}

    return await context.read(work)


@operation(rules, "POST", "/retry-policies", scope="campaigns", answer=models.Added, status=201)
async def add_retry_policy(context: RequestContext, body: models.NewRetryPolicy) -> Any:
    """Add a retry policy of a business."""

    def work() -> Any:
        owner = context.whose(body.business_id, None)["business_id"]
        if owner is None:
            message = "say whose retry policy it is: give business_id"
            raise retry_policy.BadRetryPolicy.about("business_id", message)
        added = retry_policy.add(
            owner,
            body.name,
            body.steps,
            per_day=body.per_day,
            per_week=body.per_week,
            is_default=body.is_default,
            actor=context.caller.who,
        )
        return {"id": added, "name": body.name.strip()}

    return await context.write(work, status=201)


@operation(rules, "GET", "/windows", scope="calls:read", answer=models.WindowList)
async def list_windows(context: RequestContext, limit: Limit = 100, before: BeforeId = None) -> Any:
    """List the calling windows, the newest first; a token of one business sees presets, and those it keeps to."""

    def work() -> Any:
        return page_of_rows(
            "windows", calling_window.page(context.caller.business_id, before=before, limit=limit), limit
        )

    return await context.read(work)


@operation(rules, "POST", "/windows", scope="operator", answer=models.Added, status=201, of_all=True)
async def add_window(context: RequestContext, body: models.NewWindow) -> Any:
    """Add a calling window, by its hours or from a preset (us, uk, il)."""

    def work() -> Any:
        if (body.preset is None) == (body.hours is None):
            raise Problem(422, "give `hours`, or a `preset`: one of them", code="bad_window")
        if body.preset is not None:
            if own := sorted(body.model_fields_set & _OWN_OF_WINDOWS):
                raise calling_window.BadWindow.of([Fault(name, OWN_OF_PRESET.format(name)) for name in own])
            name = (body.name or body.preset).strip()
            return {"id": calling_window.add_preset(body.preset, name=name, actor=context.caller.who), "name": name}
        added = calling_window.add(
            body.name or "",
            body.hours or "",
            actor=context.caller.who,
            days_off=body.days_off,
            half_days=body.half_days,
            known_until=body.known_until,
            note=body.note,
        )
        return {"id": added, "name": (body.name or "").strip()}

    return await context.write(work, status=201)


@operation(rules, "GET", "/windows/{window_id:int}", scope="calls:read", answer=models.ShownWindow)
async def show_window(context: RequestContext, window_id: Id) -> Any:
    """Show a calling window with the days that have hours of their own."""

    def work() -> Any:
        try:
            window, days = calling_window.one(window_id, context.caller.business_id)
        except calling_window.NoSuchWindow:
            raise not_found("window") from None
        return window._asdict() | {"days": days}

    return await context.read(work)


@operation(rules, "PUT", "/windows/{window_id:int}/days/{day}", scope="operator", answer=models.ChangedDay, of_all=True)
async def set_window_day(context: RequestContext, window_id: Id, day: str, body: models.DayHours) -> Any:
    """Give one day hours of its own, or close it with `off`."""

    def work() -> Any:
        try:
            return {"changed": calling_window.set_day(window_id, day, body.hours, actor=context.caller.who)}
        except calling_window.NoSuchWindow:
            raise not_found("window") from None

    return await context.write(work)


@operation(rules, "POST", "/windows/refresh", scope="operator", answer=models.Refreshed, of_all=True)
async def refresh_windows(context: RequestContext) -> Any:
    """Let the windows of presets know the days off of this year and the next three."""
    return await context.write(lambda: {"windows": calling_window.refresh(actor=context.caller.who)})


@operation(
    rules, "PUT", "/businesses/{business_id:int}/window", scope="operator", answer=models.AssignedWindow, of_all=True
)
async def assign_business_window(context: RequestContext, business_id: Id, body: models.AssignWindow) -> Any:
    """Let the calls of a business keep to a window, or to none of its own."""
    return await context.write(lambda: _assign(context, "business", context.business(business_id), body.window_id))


@operation(rules, "PUT", "/campaigns/{campaign_id:int}/window", scope="campaigns", answer=models.AssignedWindow)
async def assign_campaign_window(context: RequestContext, campaign_id: Id, body: models.AssignWindow) -> Any:
    """Let the calls of a campaign keep to a window beside its business's, or to none of its own."""
    return await context.write(lambda: _assign(context, "campaign", context.campaign(campaign_id), body.window_id))


def _assign(context: Context, scope: str, key: int, window_id: int | None) -> dict[str, Any]:
    own = context.caller.business_id
    if window_id is not None and own is not None:
        try:
            calling_window.one(window_id, own)
        except calling_window.NoSuchWindow as refusal:
            raise calling_window.BadWindow.about("window_id", str(refusal)) from None
    done = calling_window.assign(scope, key, window_id, actor=context.caller.who)
    return {"changed": done.is_another, "waited": done.waited}


@operation(rules, "GET", "/destinations", scope="calls:read", answer=models.DestinationList)
async def list_destinations(context: RequestContext, limit: Limit = 100, before: BeforeId = None) -> Any:
    """List where calls may go, the newest entry first: for everybody, and for businesses that the token may see."""
    own = context.caller.business_id

    def work() -> Any:
        rows = destination.page(own, before=before, limit=limit)
        if own is not None:
            rows = [row if row.business_id == own else row._replace(reason="") for row in rows]
        return page_of_rows("destinations", rows, limit)

    return await context.read(work)


@operation(rules, "PUT", "/destinations", scope="operator", answer=models.SetDestination, of_all=True)
async def set_destination(context: RequestContext, body: models.NewDestination) -> Any:
    """Allow or close a destination, for everybody or for one business."""

    def work() -> Any:
        owner = None if body.business_id is None else context.business(body.business_id)
        move = destination.allow if body.allowed else destination.deny
        done = move(body.place, business_id=owner, reason=body.reason, actor=context.caller.who)
        return done._asdict() | {"allowed": body.allowed, "business_id": owner}

    return await context.write(work)


@operation(rules, "DELETE", "/destinations/{place}", scope="operator", answer=models.Removed, of_all=True)
async def remove_destination(context: RequestContext, place: str, business_id: Whose = None) -> Any:
    """Take the entry of exactly this place and business away."""

    def work() -> Any:
        owner = None if business_id is None else context.business(business_id)
        return {"removed": destination.remove(place, business_id=owner, actor=context.caller.who)}

    return await context.write(work)


@operation(rules, "GET", "/destinations/check", scope="calls:read", answer=models.Verdict)
async def check_destination(context: RequestContext, number: OneNumber, business_id: Whose = None) -> Any:
    """May this business call this number?"""

    def work() -> Any:
        owner = context.filter(business_id, None)["business_id"]
        if owner is None:
            raise destination.BadDestination.about("business_id", "say for whom: give business_id")
        verdict = destination.check(number, owner)
        return verdict._replace(sentence=context.maybe_said(verdict.sentence))

    return await context.read(work)
