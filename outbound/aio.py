"""
The functions of an application whose connections are awaited: each does what its namesake in `outbound` does.

A connection is one of psycopg 3 (AsyncConnection) or asyncpg (also out of a pool), or an AsyncSession or
AsyncConnection of SQLAlchemy over either.  Nothing is committed here.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from outbound import drivers, producer
from outbound.calls import call_record
from outbound.calls.call_record import CallRecord
from outbound.calls.enqueue import EnqueuedCall, RefusedCall, Requested
from outbound.calls.reason import Reason
from outbound.calls.reschedule import Moved
from outbound.rules.cancel_call import Canceled

__all__ = ["cancel_call", "enqueue_call", "enqueue_calls", "get_call", "reschedule_call", "why"]


async def enqueue_call(
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
    """Put one call in the queue, as `outbound.enqueue_call` does."""
    return await drivers.answer_later(
        connection,
        producer.queueing(Requested(to_number, business_id, campaign_id, from_number, due_at, key, contact, time_zone)),
    )


async def enqueue_calls(
    connection: Any,
    calls: Iterable[Mapping[str, Any]],
    *,
    business_id: int | None = None,
    campaign_id: int | None = None,
) -> list[EnqueuedCall | RefusedCall]:
    """Put many calls in the queue, as `outbound.enqueue_calls` does."""
    return await drivers.answer_later(connection, producer.queueing_many(calls, business_id, campaign_id))


async def get_call(
    connection: Any, call_id: int | None = None, *, business_id: int | None = None, key: str | None = None
) -> CallRecord | None:
    """Find a call, as `outbound.get_call` does."""
    return await drivers.answer_later(connection, call_record.find(call_id, business_id=business_id, key=key))


async def why(connection: Any, call_id: int) -> Reason:
    """Say why a call is not being dialed, as `outbound.why` does."""
    return await drivers.answer_later(connection, producer.explaining(call_id))


async def cancel_call(connection: Any, call_id: int, *, reason: str | None = None, by: str | None = None) -> Canceled:
    """Cancel a call, as `outbound.cancel_call` does."""
    return await drivers.answer_later(connection, producer.canceling(call_id, reason=reason, by=by))


async def reschedule_call(
    connection: Any, call_id: int, at: datetime | str, *, reason: str | None = None, by: str | None = None
) -> Moved:
    """Move a call to another time, as `outbound.reschedule_call` does."""
    return await drivers.answer_later(connection, producer.rescheduling(call_id, at, reason=reason, by=by))
