"""Operations: tokens and the audit."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Query

from outbound.api import models
from outbound.api.parameters import DIGITS, BeforeId, Limit, page_of_rows
from outbound.api.problem import Problem, not_found
from outbound.api.route import RequestContext, operation, router
from outbound.rules import api_token, audit

tokens = router("tokens")


@operation(tokens, "GET", "/token", scope="", answer=models.Me)
async def show_token(context: RequestContext) -> Any:
    """Show the token of this request: what it may see and do."""
    caller = context.caller
    return await context.read(lambda: caller._asdict() | {"scopes": sorted(caller.scopes)})


@operation(tokens, "POST", "/tokens", scope="tokens", answer=models.MadeToken, status=201)
async def make_token(context: RequestContext, body: models.NewToken) -> Any:
    """
    Make a token that may do no more than this one; its text is in this answer alone.

    An Idempotency-Key is refused here: the answer would be kept, and the token in it.
    """
    if context.key is not None:
        raise Problem(422, "no Idempotency-Key is taken here, as the answer holds a secret")
    caller = context.caller

    def work() -> Any:
        if not api_token.is_within(set(body.scopes) & api_token.SCOPES.keys(), caller.scopes):
            raise Problem(403, "a token gives no scope that it has not")
        if caller.expires_at is not None:
            raise Problem(403, "a token that expires makes no other")
        owner = context.whose(body.business_id, None)["business_id"]
        made = api_token.add(
            body.name, scopes=body.scopes, business_id=owner, life_days=body.life_days, actor=caller.who
        )
        return asdict(made)

    return await context.write(work, status=201)


@operation(tokens, "GET", "/tokens", scope="tokens", answer=models.TokenList)
async def list_tokens(context: RequestContext, limit: Limit = 100, before: BeforeId = None) -> Any:
    """List the tokens that this one may revoke, the newest first, without their text."""
    caller = context.caller

    def work() -> Any:
        rows = api_token.page(caller.business_id, within=caller.scopes, before=before, limit=limit)
        if caller.business_id is not None:
            rows = [row if row.created_by.startswith("token ") else row._replace(created_by="") for row in rows]
        return page_of_rows("tokens", rows, limit)

    return await context.read(work)


@operation(tokens, "DELETE", "/tokens/{token}", scope="tokens", answer=models.RevokedToken)
async def revoke_token(context: RequestContext, token: str) -> Any:
    """Refuse a token, by its id or its 8 letters, from now on; within 5 seconds it is refused everywhere."""

    def work() -> Any:
        try:
            row = api_token.revoke(
                token, business_id=context.caller.business_id, within=context.caller.scopes, actor=context.caller.who
            )
        except api_token.BadToken:
            raise not_found("token") from None
        return {"public_id": row.public_id, "name": row.name, "changed": row.is_new}

    return await context.write(work)


@operation(tokens, "GET", "/audit", scope="audit", answer=models.Audit, of_all=True)
async def list_audit(
    context: RequestContext, last: Annotated[int, Query(ge=1, le=10_000), DIGITS] = 100, before: BeforeId = None
) -> Any:
    """List the latest entries of the audit, or the latest before a place, oldest first."""

    def work() -> Any:
        entries = audit.latest(last, before=before)
        return {"entries": entries, "next": entries[0].place if len(entries) == last else None}

    return await context.read(work)


@operation(tokens, "GET", "/audit/verify", scope="audit", answer=models.Verified, of_all=True)
async def verify_audit(context: RequestContext, head: Annotated[str | None, Query(max_length=100)] = None) -> Any:
    """Recompute the chain of the audit, and name the first link that is wrong."""

    def work() -> Any:
        verdict = audit.verify(head)
        return {"links": verdict.links, "head": verdict.head, "broken": verdict.broken}

    return await context.read(work, is_slow=True)
