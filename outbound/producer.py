"""
Puts, reads and steers calls for an application, inside the transaction of the connection that it gives.

No setting is read, and neither the broker nor a carrier is known here: what is committed is all that the dispatchers
need.  outbound.aio has the same functions for connections that are awaited.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from outbound import drivers
from outbound.calls import call_record, call_request, enqueue, reschedule
from outbound.calls import reason as reasons
from outbound.calls.call_record import CallRecord
from outbound.calls.call_request import BadCall
from outbound.calls.enqueue import EnqueuedCall, RefusedCall, Requested
from outbound.calls.reason import Reason
from outbound.calls.reschedule import Moved
from outbound.errors import UserError
from outbound.named_sql import Work
from outbound.rules import cancel_call as cancels
from outbound.rules import decision
from outbound.rules.cancel_call import Canceled

T = TypeVar("T")


def enqueue_call(
    connection: Any,
    *,
    to_number: str,
    business_id: int | None = None,
    campaign_id: int | None = None,
    from_number: str | None = None,
    due_at: datetime | str | None = None,
    key: str | None = None,
    contact: Mapping[str, str] | None = None,
    time_zone: str | None = None,
) -> EnqueuedCall:
    """
    Put one call in the queue, inside the caller's own transaction; it is dialed after that commits.

    Args:
        connection: one of psycopg 3, a Session or Connection of SQLAlchemy over it, or Django's `connection`.
        business_id, campaign_id: whose call this is; a campaign says its business itself.
        to_number, from_number: any writing of a number; without a country code, the business's region is taken.
            Without from_number, the campaign's that suits the callee, or else the business's first own number calls.
        due_at: not before this moment, at most 2 years ago or 10 ahead; text is ISO 8601 or a date by numbers that can
            only be one, with a time, and without an offset by the callee's clocks where those are known, else by the
            business's.
        key: the caller's own name for this call: the same key never makes a second one, and belongs to one number.
        contact: what is known of the callee, for `{{field}}` in TwiML and for call_contact(call_sid); at most 50
            fields of 1,000 characters, 8 KiB in all.
        time_zone: the callee's, an IANA name, which becomes that of today; otherwise it follows from the number.

    Returns:
        the new call, or the one that is there already: same key, or a live call of this business to this number.

    Raises:
        BadCall: says what is wrong and what to do.
    """
    return drivers.answer(
        connection,
        queueing(Requested(to_number, business_id, campaign_id, from_number, due_at, key, contact, time_zone)),
    )


def enqueue_calls(
    connection: Any,
    calls: Iterable[Mapping[str, Any]],
    *,
    business_id: int | None = None,
    campaign_id: int | None = None,
) -> list[EnqueuedCall | RefusedCall]:
    """
    Put many calls in the queue, by one statement for each campaign; a call that is refused does not hold up the others.

    Args:
        connection: as of `enqueue_call`.
        calls: each a mapping that has `enqueue_call`'s arguments by name; 10,000 at most.
        business_id, campaign_id: whose the calls are that name neither.

    Returns:
        an EnqueuedCall or a RefusedCall for each, in the order in which they were given.

    Raises:
        BadCall: they are too many, or no list of calls; nothing was queued then.
    """
    return drivers.answer(connection, queueing_many(calls, business_id, campaign_id))


def get_call(
    connection: Any, call_id: int | None = None, *, business_id: int | None = None, key: str | None = None
) -> CallRecord | None:
    """
    The call of an id, or of a key of your own in a business; None where there is none.

    Args:
        connection: as of `enqueue_call`.
        call_id: its id.
        business_id, key: whose it is and the key that it was given; both, in place of its id.

    Raises:
        BadCall: neither is given, or both.
    """
    return drivers.answer(connection, call_record.find(call_id, business_id=business_id, key=key))


def why(connection: Any, call_id: int) -> Reason:
    """
    Return why this call is not being dialed right now, in a sentence that says what to do.

    Args:
        connection: as of `enqueue_call`.
        call_id: its id.

    Raises:
        BadCall: that is no id.
    """
    return drivers.answer(connection, explaining(call_id))


def cancel_call(connection: Any, call_id: int, *, reason: str | None = None, by: str | None = None) -> Canceled:
    """
    Close a call that waits; once your transaction commits, ask the carrier for an end of one that rings.

    Args:
        connection: as of `enqueue_call`.
        call_id: its id.
        reason: one line of 200 characters at most, for the call and the audit.
        by: who decided it, for the audit; else the user of this process.

    Raises:
        BadCall: somebody is talking, it has ended, or there is none; it is as it was.
    """
    return drivers.answer(connection, canceling(call_id, reason=reason, by=by))


def reschedule_call(
    connection: Any, call_id: int, at: datetime | str, *, reason: str | None = None, by: str | None = None
) -> Moved:
    """
    Have a call that waits dialed from another moment on.

    Args:
        connection: as of `enqueue_call`.
        call_id: its id.
        at: a moment to come, or `now`; text without an offset is by the callee's clocks where those are known, else by
            the business's.
        reason: one line of 200 characters at most, for the audit.
        by: who decided it, for the audit; else the user of this process.

    Raises:
        BadCall: it does not wait any more, its campaign ends before, or the moment is none; it is as it was.
    """
    return drivers.answer(connection, rescheduling(call_id, at, reason=reason, by=by))


# What is the same however the connection is worked with.

# Fields of a call, by the names of our arguments.
_FIELDS = {
    "to": "to_number",
    "from": "from_number",
    "at": "due_at",
    "business": "business_id",
    "campaign": "campaign_id",
}
# What a command calls our arguments, at the beginning of a refusal.
_ARGUMENTS = {"the reason": "`reason`", "the name after --by": "`by`", "--at": "`at`"}
_OPTION = re.compile(rf"\A(?:{'|'.join(_ARGUMENTS)})")


def queueing(request: Requested) -> Work[EnqueuedCall]:
    """`enqueue_call`, as work."""
    try:
        return (yield from enqueue.one(request)).renamed(_FIELDS)
    except BadCall as refusal:
        refusal.args = (call_request.renamed(str(refusal), _FIELDS),)
        raise


def queueing_many(
    calls: Iterable[Mapping[str, Any]], business_id: int | None, campaign_id: int | None
) -> Work[list[EnqueuedCall | RefusedCall]]:
    """`enqueue_calls`, as work."""
    outcomes = yield from enqueue.many(calls, business_id=business_id, campaign_id=campaign_id)
    return [
        one.renamed(_FIELDS)
        if isinstance(one, EnqueuedCall)
        else replace(one, fault=call_request.renamed(one.fault, _FIELDS))
        for one in outcomes
    ]


def explaining(call_id: int) -> Work[Reason]:
    """`why`, as work."""
    return (yield from reasons.of(call_record.read_id(call_id)))


def canceling(call_id: int, *, reason: str | None = None, by: str | None = None) -> Work[Canceled]:
    """`cancel_call`, as work."""
    return (yield from _decided(cancels.cancel, call_id, reason=reason, by=by))


def rescheduling(call_id: int, at: datetime | str, *, reason: str | None = None, by: str | None = None) -> Work[Moved]:
    """`reschedule_call`, as work."""
    return (yield from _decided(reschedule.reschedule, call_id, at, reason=reason, by=by))


def _decided(step: Callable[..., Work[T]], call_id: int, *rest: Any, reason: str | None, by: str | None) -> Work[T]:
    """A step that somebody decided; whatever refuses it is a BadCall for who calls us."""
    try:
        reason = decision.one_line(reason, "the reason")
        return (yield from step(call_record.read_id(call_id), *rest, reason=reason, actor=decision.actor(by)))
    except BadCall:
        raise
    except UserError as refusal:
        raise BadCall(_OPTION.sub(lambda found: _ARGUMENTS[found[0]], str(refusal))) from None
