"""Tokens: who may see and change what; making one that may do no more than the one that makes it, and revoking one."""

from typing import Any

from starlette.responses import Response

from outbound.page import clock
from outbound.page.menu import ROOT
from outbound.page.route import Screens
from outbound.page.visit import Refused, Visit
from outbound.rules.api_token import OPERATOR, SCOPES

screens = Screens()

_HOME = f"{ROOT}/tokens"


@screens.shows("/tokens")
async def list_tokens(visit: Visit) -> Response:
    """Show the tokens that may be seen and revoked from here."""
    return await _show(visit)


@screens.does("/tokens")
async def make(visit: Visit) -> Response:
    """Make a token, and show its text in this answer alone."""
    fields = await visit.form()
    body: dict[str, Any] = {
        "name": fields.get("name", ""),
        "scopes": [scope for scope in SCOPES if fields.get(f"scope {scope}") == "yes"],
    }
    for name in ("business_id", "life_days"):
        if fields.get(name):
            body[name] = visit.whole_number(fields[name])
    if not body["scopes"]:
        raise Refused(422, visit.t.plain("token.no_scope"))
    return await _show(visit, made=await visit.send("POST", "tokens", body=body))


@screens.does("/tokens/{public_id:str}/revoke")
async def revoke(visit: Visit) -> Response:
    """Revoke a token, once somebody has agreed."""
    public_id = visit.request.path_params["public_id"]
    if (await visit.form()).get("agreed") == "yes":
        await visit.send("DELETE", "tokens", public_id)
        return visit.go(_HOME, "token_revoke")
    token = next((one for one in await _tokens(visit) if one["public_id"] == public_id), None)
    if token is None:
        raise Refused(404, visit.t.plain("token.none_such"))
    return visit.show(
        "ask.html",
        screen="tokens",
        question=visit.t("token.ask", name=token["name"]),
        what=visit.t("token.what"),
        action=f"{_HOME}/{public_id}/revoke",
        button=visit.t("token.revoke"),
        is_grave=True,
        back=_HOME,
    )


async def _tokens(visit: Visit) -> list[dict[str, Any]]:
    return await visit.read_every("tokens", "tokens")


async def _show(visit: Visit, *, made: dict[str, Any] | None = None) -> Response:
    tokens = await _tokens(visit)
    is_of_all = visit.caller.business_id is None
    businesses = await visit.businesses() if is_of_all and visit.may("calls:read") else []
    return visit.show(
        "tokens.html",
        screen="tokens",
        zone=await clock.zone(visit),
        tokens=tokens,
        live=sum(one["is_live"] for one in tokens),
        made=made,
        businesses=businesses,
        scopes=[scope for scope in SCOPES if scope in visit.caller.scopes],
        operator=OPERATOR,
        may_make=visit.caller.expires_at is None,
    )
