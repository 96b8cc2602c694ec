"""Operations: pause, resume, drain, cancel, stop and limit, per scope; what is going on."""

from collections.abc import Callable
from typing import Any

from fastapi import Path

from outbound.api import models, path_numbers
from outbound.api.context import Context
from outbound.api.problem import Problem, not_found
from outbound.api.route import RequestContext, operation, router
from outbound.monitoring import situation
from outbound.rules import business
from outbound.rules import control as step
from outbound.rules.limits import set_limits
from outbound.rules.scope import Scope, scope_of

control = router("control")

_LOOK_S = 0.001  # of a drain: one look, as nobody waits in a request
_SCOPES = {"businesses": "business", "campaigns": "campaign", "calls": "call"}


def _scope(context: Context, kind: str, key: str) -> Scope:
    """The scope that a path names, as far as the token may see it."""
    if kind == "numbers" or (kind == "everything" and key == "all"):
        if context.caller.business_id is not None:
            raise not_found("scope")
        return scope_of("number", key) if kind == "numbers" else Scope("account", "")
    if kind not in _SCOPES:
        raise Problem(
            404, "a scope is businesses, campaigns, calls or numbers with an id or a number, or everything/all"
        )
    wanted = path_numbers.read(key)
    if wanted is None:
        raise not_found("scope")
    own: dict[str, Callable[[int], int]] = {
        "businesses": context.business,
        "campaigns": context.campaign,
        "calls": context.call,
    }
    return Scope(_SCOPES[kind], str(own[kind](wanted)))


def _reason(body: models.Reasoned | None) -> str | None:
    return None if body is None else body.reason


Kind = Path(description="businesses, campaigns, calls or numbers; or everything, with the key `all`")
Key = Path(description="an id; of a number E.164")


@operation(control, "GET", "/control", scope="calls:read", answer=models.Controls)
async def list_control(context: RequestContext) -> Any:
    """Show what is paused, limited and held, and how much of each limit is used."""

    return await context.read(lambda: {"control": step.rows(context.caller.business_id)})


@operation(control, "POST", "/control/{kind}/{key}/pause", scope="control", answer=models.Paused)
async def pause(context: RequestContext, body: models.Reasoned | None = None, kind: str = Kind, key: str = Key) -> Any:
    """Begin no new call here; those in the air go on."""

    def work() -> Any:
        scope = _scope(context, kind, key)
        done = step.pause(scope, reason=_reason(body), actor=context.caller.who)
        return scope._asdict() | {"paused": True} | done._asdict()

    return await context.write(work)


@operation(control, "POST", "/control/{kind}/{key}/resume", scope="control", answer=models.Resumed)
async def resume(context: RequestContext, kind: str = Kind, key: str = Key) -> Any:
    """Resume dialing, whether an operator or the breaker paused it."""

    def work() -> Any:
        scope = _scope(context, kind, key)
        was_paused = step.resume(scope, actor=context.caller.who)
        return scope._asdict() | {"paused": False, "was_paused": was_paused}

    return await context.write(work)


@operation(control, "POST", "/control/{kind}/{key}/drain", scope="control", answer=models.Drained, status=202)
async def drain(context: RequestContext, body: models.Reasoned | None = None, kind: str = Kind, key: str = Key) -> Any:
    """Pause, and say how many calls are in the air; `live` of `GET /control` says when none is."""

    def work() -> Any:
        scope = _scope(context, kind, key)
        if scope.scope == "call":
            raise Problem(422, "one call is paused or stopped, not drained", code="bad_control")
        live = step.drain(scope, timeout_s=_LOOK_S, reason=_reason(body), actor=context.caller.who)
        return scope._asdict() | {"paused": True, "in_the_air": live}

    return await context.write(work, status=202)


@operation(control, "POST", "/control/{kind}/{key}/cancel", scope="control", answer=models.CanceledScope)
async def cancel(context: RequestContext, body: models.Reasoned | None = None, kind: str = Kind, key: str = Key) -> Any:
    """Close calls that wait, and end those that ring; who is talking goes on."""

    def work() -> Any:
        scope = _scope(context, kind, key)
        canceled = step.cancel(scope, reason=_reason(body), actor=context.caller.who)
        return scope._asdict() | canceled._asdict()

    return await context.write(work, in_parts=True)


@operation(control, "POST", "/control/{kind}/{key}/stop", scope="control", answer=models.Stopped)
async def stop(context: RequestContext, body: models.Reasoned | None = None, kind: str = Kind, key: str = Key) -> Any:
    """Pause, and hang up all calls that are in the air, also those in progress."""

    def work() -> Any:
        scope = _scope(context, kind, key)
        done = step.stop(scope, reason=_reason(body), actor=context.caller.who)
        return scope._asdict() | {"paused": True} | done._asdict()

    return await context.write(work)


@operation(control, "PUT", "/control/{kind}/{key}/limits", scope="control", answer=models.SetLimits)
async def limit(context: RequestContext, body: models.Limits, kind: str = Kind, key: str = Key) -> Any:
    """Say how fast, how many at once, how much in all, and how large a share; what is not given stays."""
    given = {
        name: f"{value:.15g}" if isinstance(value, float) else str(value)
        for name, value in body.model_dump(exclude_none=True).items()
    }
    if "weight" in given and context.caller.business_id is not None:
        raise Problem(403, "a share is one beside other businesses: it needs a token that is of none")

    def work() -> Any:
        scope = _scope(context, kind, key)
        set_limits(scope, **given, actor=context.caller.who)
        return scope._asdict() | {"limits": given}

    return await context.write(work)


@operation(control, "GET", "/status", scope="calls:read", answer=models.QueueState)
async def status(context: RequestContext) -> Any:
    """Show what is going on, and what to do about it; for a token of one business, of that one."""

    def work() -> Any:
        own = context.caller.business_id
        facts = situation.read(own)
        if own is None:
            from outbound.monitoring import metrics  # it imports the broker's client, 6 MB that nothing else here needs

            numbers = metrics.read()
            calls = {str(name): int(count) for name, count in numbers["calls"].items()}
        else:
            calls = business.live(own)
            facts = [context.view.fact(fact) for fact in facts]
        return {"now": [fact._replace(sentence=context.said(fact.sentence)) for fact in facts], "calls": calls}

    return await context.read(work)
