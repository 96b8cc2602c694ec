"""Operations: endpoints of webhooks, what is sent to them, and the stream of events."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import Query, Request

from outbound.api import event_stream, models
from outbound.api.parameters import DIGITS, BeforeId, Limit, page_of_rows
from outbound.api.problem import Problem, not_found
from outbound.api.route import Id, RequestContext, operation, router, tokens
from outbound.formats import moments
from outbound.webhooks import endpoint
from outbound.webhooks.event import TYPES

webhooks = router("webhooks")
T = TypeVar("T")


def _found(work: Callable[[], T]) -> T:
    try:
        return work()
    except endpoint.NoSuchEndpoint:
        raise not_found("endpoint") from None


@operation(webhooks, "POST", "/webhooks", scope="webhooks", answer=models.AddedEndpoint, status=201)
async def add_webhook(context: RequestContext, body: models.NewEndpoint) -> Any:
    """Post events to an address from now on."""

    def work() -> Any:
        made = endpoint.add(
            body.url,
            business_id=context.whose(body.business_id, None)["business_id"],
            event_types=body.event_types,
            payload=body.payload,
            is_operators=context.caller.business_id is None,
            actor=context.caller.who,
        )
        return {"id": made.id}

    return await context.write(work, status=201)


@operation(webhooks, "GET", "/webhooks", scope="webhooks", answer=models.EndpointList)
async def list_webhooks(context: RequestContext, limit: Limit = 100, before: BeforeId = None) -> Any:
    """List the endpoints, the newest first, what waits for each, and whether it takes what it is sent."""

    def work() -> Any:
        return page_of_rows("endpoints", endpoint.page(context.caller.business_id, before=before, limit=limit), limit)

    return await context.read(work)


@operation(webhooks, "PATCH", "/webhooks/{endpoint_id:int}", scope="webhooks", answer=models.EndpointState)
async def change_webhook(context: RequestContext, endpoint_id: Id, body: models.EndpointChange) -> Any:
    """Change an endpoint; switched on, what waited for it is sent."""
    return await context.write(
        lambda: _found(
            lambda: endpoint.set_(
                endpoint_id,
                business_id=context.caller.business_id,
                url=body.url,
                event_types=body.event_types,
                payload=body.payload,
                state=body.state,
                is_operators=context.caller.business_id is None,
                actor=context.caller.who,
            )
        )
    )


@operation(webhooks, "DELETE", "/webhooks/{endpoint_id:int}", scope="webhooks", answer=models.RemovedEndpoint)
async def remove_webhook(context: RequestContext, endpoint_id: Id) -> Any:
    """Remove an endpoint, and what was not delivered to it yet."""
    own = context.caller.business_id
    return await context.write(
        lambda: _found(lambda: endpoint.remove(endpoint_id, business_id=own, actor=context.caller.who))
    )


@operation(webhooks, "GET", "/webhooks/{endpoint_id:int}/secret", scope="webhooks", answer=models.EndpointSecret)
async def show_webhook_secret(context: RequestContext, endpoint_id: Id) -> Any:
    """Show the secret with which an endpoint verifies; it is derived, and stored nowhere."""

    def work() -> Any:
        found = _found(lambda: endpoint.secret(endpoint_id, context.caller.business_id))
        return {"id": found.id, "secret": found.secret}

    return await context.read(work)


@operation(webhooks, "POST", "/webhooks/{endpoint_id:int}/rotate", scope="webhooks", answer=models.RotatedSecret)
async def rotate_webhook(context: RequestContext, endpoint_id: Id) -> Any:
    """Give an endpoint another secret; for 24 hours both sign."""
    own = context.caller.business_id

    def work() -> Any:
        return {"id": _found(lambda: endpoint.rotate(endpoint_id, business_id=own, actor=context.caller.who)).id}

    return await context.write(work)


@operation(webhooks, "POST", "/webhooks/{endpoint_id:int}/test", scope="webhooks", answer=models.Ping)
async def test_webhook(context: RequestContext, endpoint_id: Id) -> Any:
    """Send an endpoint a ping, as everything else is sent to it."""
    own = context.caller.business_id

    def work() -> Any:
        return {"id": _found(lambda: endpoint.ping(endpoint_id, business_id=own))}

    return await context.write(work)


@operation(webhooks, "GET", "/webhooks/{endpoint_id:int}/deliveries", scope="webhooks", answer=models.DeliveryList)
async def list_webhook_deliveries(
    context: RequestContext,
    endpoint_id: Id,
    state: Annotated[list[models.DeliveryState] | None, Query(max_length=5)] = None,
    before_id: Annotated[
        int | None,
        Query(ge=1, le=models.ID_MAX, description="as `before`, which comes first", deprecated=True),
        DIGITS,
    ] = None,
    limit: Limit = 100,
    before: BeforeId = None,
) -> Any:
    """List what was sent to an endpoint, the newest event first, and what came of it."""

    def work() -> Any:
        rows = _found(
            lambda: endpoint.deliveries(
                endpoint_id,
                business_id=context.caller.business_id,
                states=state,
                before_id=before or before_id,
                limit=limit,
            )
        )
        return {"deliveries": rows, "next": rows[-1].event_id if len(rows) == limit else None}

    return await context.read(work)


@operation(webhooks, "POST", "/webhooks/{endpoint_id:int}/replay", scope="webhooks", answer=models.Replayed)
async def replay_webhook(context: RequestContext, endpoint_id: Id, body: models.Replay) -> Any:
    """Send events once more, under the ids that they had."""

    faults: list[dict[str, str]] = []
    since, until = _moment(body.since, "/since", faults), _moment(body.until, "/until", faults)
    if faults:
        raise Problem(422, "a moment is not one", errors=faults)

    def work() -> Any:
        count = _found(
            lambda: endpoint.replay(
                endpoint_id,
                business_id=context.caller.business_id,
                event_ids=body.event_ids,
                event_types=body.event_types,
                since=since,
                until=until,
                given_up_only=body.given_up_only,
                actor=context.caller.who,
            )
        )
        return {"replayed": count}

    return await context.write(work)


def _moment(text: str | None, pointer: str, faults: list[dict[str, str]]) -> datetime | None:
    """The moment; one that is none is named in *faults*."""
    try:
        return moments.read(text, "UTC", day_alone=True).at if text else None
    except moments.BadMoment as fault:
        faults.append({"pointer": pointer, "code": "moment", "detail": f"the moment {fault}"})
        return None


@operation(webhooks, "GET", "/events", scope="calls:read", streams=("text/event-stream",))
async def stream_events(
    request: Request,
    context: RequestContext,
    event_type: Annotated[list[models.EventType] | None, Query(max_length=20)] = None,
    after: Annotated[
        str | None, Query(max_length=40, description="the id of an event; by default Last-Event-ID, else now")
    ] = None,
) -> Any:
    """
    Stream events as they happen (server-sent events), after the one that Last-Event-ID names.

    Events are written while there is an endpoint, and for 3 days after somebody read here.
    """
    place = await event_stream.begin(context, request.headers.get("last-event-id") or after)
    return event_stream.response(request, context.caller, tokens.caller, place, event_type or TYPES)
