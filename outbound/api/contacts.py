"""Operations: the do-not-call list, consents, registry checks, one person."""

from typing import Annotated, Any

from fastapi import Query

from outbound.api import models
from outbound.api.context import Context, require
from outbound.api.parameters import DIGITS, OneNumber, Region, Whose
from outbound.api.problem import Problem
from outbound.api.route import RequestContext, operation, router
from outbound.calls import person
from outbound.rules import consent, suppression
from outbound.rules.contact_entry import BadConsent

contacts = router("contacts")


def for_whom(
    context: Context, business_id: int | None, campaign_id: int | None, *, everybody: bool
) -> dict[str, int | None]:
    """
    The scope of a do-not-call entry; a forgotten field does not mean everybody.

    Raises:
        Problem: 422, it is not said, or said twice; 403, everybody is meant by a token of one business.
    """
    if everybody:
        if business_id is not None or campaign_id is not None:
            raise Problem(422, "`everybody` means every business: leave out the others", code="bad_suppression")
        require(context.caller, "", of_all=True)
        return {"business_id": None, "campaign_id": None}
    whose = context.whose(business_id, campaign_id)
    if whose["business_id"] is None and whose["campaign_id"] is None:
        raise Problem(422, "say for whom: business_id, campaign_id or everybody", code="bad_suppression")
    return whose


def owner_of(context: Context, business_id: int | None) -> int:
    """The business whose consent it is; or raise Problem."""
    owner = context.whose(business_id, None)["business_id"]
    if owner is None:
        raise BadConsent.about("business_id", "say whose: give business_id")
    return owner


def known_of(context: Context, number: str, *, business_id: int | None, region: str | None = None) -> list[Any]:
    """The entries of a number; a token of one business is not shown the text of those for everybody."""
    rows = suppression.known_of(number, business_id=business_id, region=region)
    if context.caller.business_id is None:
        return rows
    return [row if row.business_id is not None else row._replace(words=None) for row in rows]


@operation(contacts, "POST", "/suppressions", scope="suppression", answer=models.Suppressed)
async def add_suppression(context: RequestContext, body: models.NewSuppression) -> Any:
    """Let nobody call a number from now on, and end its calls that wait."""

    def work() -> Any:
        whose = for_whom(context, body.business_id, body.campaign_id, everybody=body.everybody)
        done = suppression.suppress(
            body.phone, actor=context.caller.who, **whose, reason=body.reason, region=body.region
        )
        return {"created": done.created, "canceled": done.canceled}

    return await context.write(work)


@operation(contacts, "POST", "/suppressions/remove", scope="suppression", answer=models.Removed)
async def remove_suppression(context: RequestContext, body: models.DropSuppression) -> Any:
    """Take an entry off the list: the one of exactly this scope."""

    def work() -> Any:
        whose = for_whom(context, body.business_id, body.campaign_id, everybody=body.everybody)
        return {"removed": suppression.unsuppress(body.phone, actor=context.caller.who, **whose, region=body.region)}

    return await context.write(work)


@operation(contacts, "GET", "/suppressions", scope="calls:read", answer=models.Suppressions)
async def list_suppressions(
    context: RequestContext,
    business_id: Whose = None,
    campaign_id: Whose = None,
    everybody: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000), DIGITS] = 100,
    before: Annotated[int, Query(ge=0, le=models.ID_MAX), DIGITS] = 0,
) -> Any:
    """List the do-not-call entries, the newest first; a token of one business sees that one's own."""

    def work() -> Any:
        if everybody:
            scope = for_whom(context, business_id, campaign_id, everybody=True)
        else:
            scope = context.filter(business_id, campaign_id)
            if campaign_id is not None:
                scope["business_id"] = None
        rows, last = suppression.entries(**scope, everybody=everybody, limit=limit, before=before)
        return {"entries": rows, "next": last}

    return await context.read(work)


@operation(contacts, "GET", "/suppressions/check", scope="calls:read", answer=models.AllKnown)
async def check_suppression(
    context: RequestContext,
    number: OneNumber,
    business_id: Whose = None,
    region: Region = None,
) -> Any:
    """Show what is known of a number: do-not-call entries, consents, registry checks."""

    def work() -> Any:
        whose = context.filter(business_id, None)["business_id"]
        return {"known": known_of(context, number, business_id=whose, region=region)}

    return await context.read(work)


@operation(contacts, "POST", "/consents", scope="suppression", answer=models.Written)
async def give_consent(context: RequestContext, body: models.NewConsent) -> Any:
    """Record that a number agrees to be called by a business."""

    def work() -> Any:
        new = consent.give_consent(
            body.phone,
            actor=context.caller.who,
            business_id=owner_of(context, body.business_id),
            given_at=body.given_at,
            expires_at=body.expires_at,
            source=body.source,
            region=body.region,
        )
        return {"written": new}

    return await context.write(work)


@operation(contacts, "POST", "/consents/revoke", scope="suppression", answer=models.Written)
async def revoke_consent(context: RequestContext, body: models.RevokedConsent) -> Any:
    """Record that a number does not agree, or no longer."""

    def work() -> Any:
        new = consent.revoke_consent(
            body.phone,
            actor=context.caller.who,
            business_id=owner_of(context, body.business_id),
            region=body.region,
        )
        return {"written": new}

    return await context.write(work)


@operation(contacts, "GET", "/persons/{number}", scope="operator", answer=models.Person, of_all=True)
async def show_person(context: RequestContext, number: str, region: Region = None) -> Any:
    """Show all that is known of a person, for an access request."""
    return await context.read(lambda: person.show(number, region=region))
