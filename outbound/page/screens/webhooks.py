"""Webhooks: the endpoints that receive events, what waits for each, what became of what was sent, and replays."""

from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from outbound import db
from outbound.formats import row_id
from outbound.page import clock
from outbound.page.menu import ROOT
from outbound.page.route import Screens
from outbound.page.visit import Refused, Visit
from outbound.webhooks.endpoint import STATES
from outbound.webhooks.event import TYPES

screens = Screens()
sql = db.statements("page/webhooks")

_COUNTED_MAX = 1000  # deliveries that wait or were given up, of one endpoint
_PAGE = 50
_HOME = f"{ROOT}/webhooks"


@screens.shows("/webhooks")
async def list_endpoints(visit: Visit) -> Response:
    """Show the endpoints."""
    return await _list(visit)


@screens.does("/webhooks")
async def add(visit: Visit) -> Response:
    """Add an endpoint."""
    fields, types = await _fields(visit)
    body: dict[str, Any] = {
        "url": fields.get("url", ""),
        "event_types": types,
        "payload": fields.get("payload", "full"),
    }
    if fields.get("business_id"):
        body["business_id"] = visit.whole_number(fields["business_id"])
    made = await visit.send("POST", "webhooks", body=body)
    return visit.go(f"{_HOME}/{made['id']}", "webhook_added")


@screens.shows("/webhooks/{endpoint_id:int}")
async def show(visit: Visit) -> Response:
    """Show one endpoint and its deliveries."""
    return await _show(visit)


@screens.does("/webhooks/{endpoint_id:int}/secret")
async def show_secret(visit: Visit) -> Response:
    """Show the same, with the secret with which its receiver verifies."""
    found = await visit.read("webhooks", _id(visit), "secret")
    return await _show(visit, secret=found["secret"])


@screens.does("/webhooks/{endpoint_id:int}/set")
async def change(visit: Visit) -> Response:
    """Switch an endpoint on or off, or change what it receives."""
    fields, types = await _fields(visit)
    endpoint_id, state = _id(visit), fields.get("state")
    if state is not None:
        await visit.send("PATCH", "webhooks", endpoint_id, body={"state": state})
        return visit.go(f"{_HOME}/{endpoint_id}", f"webhook_{'on' if state == 'on' else 'off'}")
    given = {name: fields[name] for name in ("url", "payload") if fields.get(name)}
    await visit.send("PATCH", "webhooks", endpoint_id, body=given | {"event_types": types})
    return visit.go(f"{_HOME}/{endpoint_id}", "webhook_set")


@screens.does("/webhooks/{endpoint_id:int}/test")
async def ping(visit: Visit) -> Response:
    """Send an endpoint a ping."""
    await visit.send("POST", "webhooks", _id(visit), "test")
    return visit.go(f"{_HOME}/{_id(visit)}", "webhook_test")


@screens.does("/webhooks/{endpoint_id:int}/rotate")
async def rotate(visit: Visit) -> Response:
    """Give an endpoint another secret, once somebody has agreed."""
    if (await visit.form()).get("agreed") != "yes":
        return await _ask(visit, "rotate")
    await visit.send("POST", "webhooks", _id(visit), "rotate")
    return visit.go(f"{_HOME}/{_id(visit)}", "webhook_rotate")


@screens.does("/webhooks/{endpoint_id:int}/remove")
async def remove(visit: Visit) -> Response:
    """Remove an endpoint, once somebody has agreed."""
    if (await visit.form()).get("agreed") != "yes":
        return await _ask(visit, "remove")
    await visit.send("DELETE", "webhooks", _id(visit))
    return visit.go(_HOME, "webhook_remove")


@screens.does("/webhooks/{endpoint_id:int}/replay")
async def replay(visit: Visit) -> Response:
    """Send one event once more; or all that was given up, once somebody has agreed."""
    fields = await visit.form()
    event_id = fields.get("event_id")
    if event_id is None and fields.get("agreed") != "yes":
        return await _ask(visit, "replay")
    body: dict[str, Any] = {"event_ids": [event_id]} if event_id else {"given_up_only": True}
    found = await visit.send("POST", "webhooks", _id(visit), "replay", body=body)
    return visit.go(f"{_HOME}/{_id(visit)}", "webhook_replay" if found["replayed"] else "webhook_no_replay")


def _id(visit: Visit) -> int:
    return int(visit.request.path_params["endpoint_id"])


async def _fields(visit: Visit) -> tuple[dict[str, str], list[str]]:
    """The fields of a form, and the types of events that are ticked in it."""
    fields = await visit.form()
    return fields, [name for name in TYPES if fields.get(f"type {name}") == "yes"]


async def _endpoints(visit: Visit) -> list[dict[str, Any]]:
    """The endpoints, each with how many deliveries were given up."""
    endpoints = (await visit.read_every("webhooks", "endpoints"))[::-1]
    read = partial(db.run, sql.given_up, business_id=visit.caller.business_id, counted_max=_COUNTED_MAX)
    given_up = {row.id: row.deliveries for row in await run_in_threadpool(read)}
    return [one | {"given_up": given_up.get(one["id"], 0)} for one in endpoints]


async def _endpoint(visit: Visit) -> dict[str, Any]:
    found = next((one for one in await _endpoints(visit) if one["id"] == _id(visit)), None)
    if found is None:
        raise Refused(404, visit.t.plain("webhook.none_such"))
    return found


async def _list(visit: Visit) -> Response:
    endpoints = await _endpoints(visit)
    is_of_all = visit.caller.business_id is None and visit.may("calls:read")
    businesses = await visit.businesses() if is_of_all else []
    return visit.show(
        "webhooks.html",
        screen="webhooks",
        zone=await clock.zone(visit),
        endpoints=endpoints,
        off=sum(one["state"] == "off" for one in endpoints),
        failing=sum(one["state"] == "on" and one["failing_since"] is not None for one in endpoints),
        counted_max=_COUNTED_MAX,
        businesses=businesses,
        types=TYPES,
    )


async def _show(visit: Visit, *, secret: str | None = None) -> Response:
    endpoint, query = await _endpoint(visit), visit.request.query_params
    state, before = query.get("state", ""), query.get("before", "")
    wanted = {"state": [state] if state in STATES else None, "before": row_id.read(before)}
    page = await visit.read("webhooks", endpoint["id"], "deliveries", **wanted, limit=_PAGE)
    return visit.show(
        "webhook.html",
        screen="webhooks",
        zone=await clock.zone(visit),
        endpoint=endpoint,
        deliveries=page["deliveries"],
        older=page["next"],
        state=state if state in STATES else "",
        states=STATES,
        types=TYPES,
        secret=secret,
        counted_max=_COUNTED_MAX,
    )


async def _ask(visit: Visit, what: str) -> Response:
    endpoint = await _endpoint(visit)
    count = endpoint["given_up"] if what == "replay" else endpoint["due"]
    return visit.show(
        "ask.html",
        screen="webhooks",
        question=visit.t(f"webhook.ask.{what}", n=count, url=endpoint["url"]),
        what=visit.t(f"webhook.what.{what}"),
        action=f"{_HOME}/{endpoint['id']}/{what}",
        button=visit.t(f"webhook.button.{what}"),
        is_grave=what != "replay",
        back=f"{_HOME}/{endpoint['id']}",
    )
