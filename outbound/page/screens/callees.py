"""Callee: may a number be called, for whom, when and why not; what is known of it; and the entries that change that."""

from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from outbound import db, names
from outbound.config import settings
from outbound.errors import UserError
from outbound.page.route import Screens
from outbound.page.visit import Refused, Visit

screens = Screens()
sql = db.statements("page/callee")

_ROWS_MAX = 20  # businesses that are judged, and campaigns of one: of both the statement looks for one more
_VERBS = {
    "suppress": ("suppressions",),
    "unsuppress": ("suppressions", "remove"),
    "consent": ("consents",),
    "revoke": ("consents", "revoke"),
}
_GIVEN = {"suppress": ("reason",), "consent": ("source", "expires_at")}


@screens.shows("/callees")
async def ask(visit: Visit) -> Response:
    """Ask for a number."""
    return await _form(visit, {})


@screens.does("/callees")
async def find(visit: Visit) -> Response:
    """Show a callee, after what a form says was done to the number, which stands in no address."""
    fields = await visit.form()
    business_id = _business(visit, fields)
    try:
        phone = await run_in_threadpool(partial(names.number_of, fields.get("number", ""), business_id=business_id))
    except UserError as fault:
        return await _form(visit, fields, str(fault))
    verb = fields.get("verb", "")
    if verb in _VERBS:
        await visit.send("POST", *_VERBS[verb], body={"phone": phone} | _body(visit, verb, fields))
    return await _callee(visit, phone, business_id, done=f"done.{verb}" if verb in _VERBS else None)


@screens.shows("/calls/{call_id:int}/callee")
async def of_call(visit: Visit) -> Response:
    """Show who is called by a call, or who has called."""
    call = (await visit.read("calls", visit.request.path_params["call_id"]))["call"]
    phone = call["from_number"] if call["direction"] == "inbound" else call["to_number"]
    if not phone:
        raise Refused(404, visit.t.plain("callee.no_number"))
    is_open = "suppress" in visit.request.query_params
    return await _callee(visit, phone, call["business_id"], call=call, is_open=is_open)


def _business(visit: Visit, fields: dict[str, str]) -> int | None:
    """The business that is asked for; of a token of one business that one; None for all."""
    own, asked = visit.caller.business_id, fields.get("business_id")
    return visit.whole_number(asked) if own is None and asked else own


def _body(visit: Visit, verb: str, fields: dict[str, str]) -> dict[str, Any]:
    """The scope that a form names in `for`, as the API reads it: `everybody`, `business 3` or `campaign 5`."""
    kind, _, key = fields.get("for", "").partition(" ")
    body: dict[str, Any] = {name: fields[name] for name in _GIVEN.get(verb, ()) if fields.get(name)}
    if kind == "everybody" and verb in ("suppress", "unsuppress"):
        return body | {"everybody": True}
    if kind not in ("business", "campaign") or (kind == "campaign" and verb in ("consent", "revoke")):
        raise Refused(400, visit.t.plain("error.unreadable"))
    return body | {f"{kind}_id": visit.whole_number(key)}


async def _form(visit: Visit, fields: dict[str, str], fault: str | None = None) -> Response:
    businesses = await visit.businesses()
    status = 422 if fault else 200
    return visit.show(
        "callees.html", screen="callees", status=status, fields=fields, fault=fault, businesses=businesses, callee=None
    )


async def _callee(
    visit: Visit,
    phone: str,
    business_id: int | None,
    *,
    call: dict[str, Any] | None = None,
    done: str | None = None,
    is_open: bool = False,
) -> Response:
    callee = await visit.read("callees", phone, business_id=business_id)
    businesses = await visit.businesses()
    room_s = settings().claim_s + settings().ring_s
    found = await run_in_threadpool(
        partial(db.run, sql.verdicts, phone=phone, business_id=business_id, rows_max=_ROWS_MAX + 1, room_s=room_s)
    )
    verdicts, left_out = _first(found)
    return visit.show(
        "callees.html",
        screen="callees",
        callee=callee,
        call=call,
        phone=phone,
        business_id=business_id,
        businesses=businesses,
        askable=[one for one in businesses if business_id in (None, one["id"])],
        names={one["id"]: one["name"] for one in businesses},
        campaign_names={row.campaign_id: row.campaign for row in verdicts if row.campaign_id},
        verdicts=verdicts,
        verdict=_verdict(verdicts, left_out),
        left_out=left_out,
        rows_max=_ROWS_MAX,
        zone=verdicts[0].zone if verdicts else "UTC",
        zones=verdicts[0].zones if verdicts else [],
        fields={"number": phone, "business_id": business_id or ""},
        fault=None,
        done=done,
        is_open=is_open,
    )


def _first(found: list[db.Row]) -> tuple[list[db.Row], str]:
    """The first businesses and the newest campaigns; and of which there are more: `businesses`, `campaigns` or ''."""
    businesses = [row for row in found if not row.campaign_id]
    campaigns = [row for row in found if row.campaign_id]
    more = {"businesses": len(businesses) > _ROWS_MAX, "campaigns": len(campaigns) > _ROWS_MAX}
    return businesses[:_ROWS_MAX] + campaigns[-_ROWS_MAX:], next((name for name, is_so in more.items() if is_so), "")


def _verdict(verdicts: list[db.Row], left_out: str) -> tuple[str, db.Row | None]:
    """
    The answer in a word, and the row that says why.

    It is `now`, `later` or `never`; `differs` where it depends; `many` where it may depend on a business that was not
    looked at.
    """
    kinds = {_kind(row) for row in verdicts}
    if len(kinds) != 1:
        return ("differs" if kinds else "nobody"), None
    if left_out == "businesses":
        return "many", None
    return kinds.pop(), verdicts[0]


def _kind(row: db.Row) -> str:
    if row.code is None:
        return "now"
    return "never" if row.is_final else "later"
