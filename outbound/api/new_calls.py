"""Puts the calls of requests that wait at the same moment in the queue in one transaction."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from starlette.concurrency import run_in_threadpool

from outbound import db, drivers, failpoint
from outbound.api import models
from outbound.api.context import WAIT_MS, Context, in_progress
from outbound.api.problem import Problem, not_found, of_user_error, pointer_of, sentence_of
from outbound.calls import enqueue
from outbound.calls.call_request import BadCall, NotTheirs
from outbound.calls.enqueue import EnqueuedCall, Requested
from outbound.errors import Fault
from outbound.web.batcher import Batcher

_TOGETHER_MS = 100  # a batch waits so long for another transaction; then each of its calls does so by itself
_NAMES = {"at": "due_at"}  # of fields, where the step has others
_FIELDS = {field.alias or name for name, field in models.NewCall.model_fields.items()}
_FAULTS_SHOWN = 10
_NAME_SHOWN = 60  # characters of a field's name
_WRITERS_MAX = 1  # what a batch costs hardly grows with it: a second writer would halve it
_GATHER_S = 0.003


class Unread(NamedTuple):
    """One call of many that does not fit the document: pointers within it, each with what is wrong there."""

    faults: list[tuple[str, str]]


def _alone(sent: object, read: ValidatorFunctionWrapHandler) -> object:
    """Keep the faults of one call from refusing the others beside it."""
    try:
        return read(sent)
    except ValidationError as error:
        return Unread([(_pointer(fault["loc"]), sentence_of(fault)) for fault in error.errors()])


def _pointer(place: tuple[int | str, ...]) -> str:
    names = [str(one)[:_NAME_SHOWN] for one in place]
    return f"/{pointer_of(names)}" if names else ""


class NewCalls(models.NewCalls):
    __doc__ = models.NewCalls.__doc__

    calls: Annotated[list[Annotated[models.NewCall, WrapValidator(_alone)]], Field(min_length=1, max_length=1000)]


class Asking(NamedTuple):
    """One request for one call."""

    context: Context
    call: Requested


_batchers: list[Batcher[Asking, EnqueuedCall]] = []  # of the event loop that serves


def begin() -> None:
    """Make the batcher of the event loop that begins to serve."""
    _batchers[:] = [
        Batcher(lambda asking: _write(asking, _TOGETHER_MS), _write_one, writers_max=_WRITERS_MAX, gather_s=_GATHER_S)
    ]


async def put(context: Context, call: models.NewCall) -> EnqueuedCall:
    """
    Put the call of one request in the queue, in one transaction with those of requests that wait at this moment.

    Raises:
        Problem: this call is refused; the others are not concerned.
        Unavailable: the database is away, and whether it was written is not known.
    """
    try:
        made = await _batchers[0].write(Asking(context, _requested(context, call, context.key)))
        return _said(context, made)
    except BadCall as refusal:
        raise _refusal(context, refusal) from None
    except db.LockNotAvailable:
        raise in_progress("a call with this key or number is being written") from None


async def faults_beside(context: Context, sent: Mapping[str, Any], at_fault: Container[str]) -> list[dict[str, str]]:
    """What else is wrong with a call that does not fit the document: with the content of the fields that do fit."""
    good = {name: value for name, value in sent.items() if name in _FIELDS and name not in at_fault}
    call = models.NewCall.model_construct(**{"to": "", **good})

    def look() -> list[Fault]:
        request = _requested(context, call, None)
        return db.with_connection(lambda connection: drivers.answer_own(connection, enqueue.faults(request)))

    try:
        found = await run_in_threadpool(look)
    except (Problem, *db.Unavailable):
        return []
    others = [fault for fault in found if _NAMES.get(fault.field, fault.field) not in at_fault]
    return _refusal(context, BadCall.of(others)).errors


def put_all(context: Context, calls: Sequence[models.NewCall | Unread]) -> dict[str, Any]:
    """Put the calls of one request in the queue, within its transaction; one that is refused concerns itself alone."""
    queued: dict[int, EnqueuedCall] = {}
    refused: dict[int, Problem] = {}
    requests: dict[int, Requested] = {}
    for place, call in enumerate(calls):
        try:
            if isinstance(call, Unread):
                shown = call.faults[:_FAULTS_SHOWN]
                where = ", ".join(f"/calls/{place}{pointer} ({context.said(fault)})" for pointer, fault in shown)
                raise Problem(422, f"these do not fit the document: {where}")
            requests[place] = _requested(context, call, None)
        except Problem as problem:
            refused[place] = problem
    done = db.with_connection(lambda connection: enqueue.enqueue_calls(connection, list(requests.values())))
    for place, outcome in zip(requests, done, strict=True):
        if isinstance(outcome, BadCall):
            refused[place] = _refusal(context, outcome)
        else:
            queued[place] = _said(context, outcome)
    return {
        "calls": [vars(queued[place]) if place in queued else None for place in range(len(calls))],
        "refused": [
            {"place": place, "code": one.code, "detail": context.said(_all_of(one))}
            for place, one in sorted(refused.items())
        ],
    }


def _said(context: Context, call: EnqueuedCall) -> EnqueuedCall:
    """A call with its note as the request has it, in the language asked for."""
    named = call.renamed(_NAMES)
    return replace(named, note=context.said(named.note)) if named.note else named


def _all_of(problem: Problem) -> str:
    """All that is wrong with one call of many."""
    return "; ".join(fault["detail"] for fault in problem.errors) or problem.detail


def _write(asking: list[Asking], wait_ms: int) -> list[EnqueuedCall | Exception]:
    with db.one_transaction() as connection:
        db.wait_at_most(connection, wait_ms)
        done = enqueue.enqueue_calls(connection, [one.call for one in asking])
        failpoint.crash_here("api.done")
    failpoint.crash_here("api.committed")
    return list(done)


def _write_one(asking: Asking) -> EnqueuedCall:
    (outcome,) = _write([asking], WAIT_MS)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _requested(context: Context, call: models.NewCall, key: str | None) -> Requested:
    """A call as the step takes it, within what the token may see; or raise Problem."""
    if call.key is not None and key is not None and call.key != key:
        raise Problem(422, "`key` and the Idempotency-Key differ: send one of them", code="key_of_another")
    own = context.caller.business_id
    if own is not None and call.business_id not in (None, own):
        raise not_found("business")
    return Requested(
        to_number=call.to,
        business_id=call.business_id if own is None else own,
        campaign_id=call.campaign_id,
        from_number=call.from_,
        due_at=call.due_at,
        key=key if call.key is None else call.key,
        contact=call.contact,
        time_zone=call.time_zone,
        by=context.caller.who,
        all_faults=True,
        is_tenants=own is not None,
    )


def _refusal(context: Context, refusal: BadCall) -> Problem:
    """Why a call was refused; another tenant's campaign is answered like one that is not there."""
    if isinstance(refusal, NotTheirs) and (refusal.is_none or context.caller.business_id is not None):
        return not_found(refusal.what)
    problem = of_user_error(refusal, fields=_NAMES, known=_FIELDS)
    problem.reword(context.view.text)
    return problem
