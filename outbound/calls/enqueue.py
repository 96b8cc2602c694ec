"""Put one call in the queue, once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from outbound import db
from outbound.calls import call_request, import_writer
from outbound.calls.call_request import KEY_MAX, BadCall, NewCall
from outbound.calls.import_writer import KEY_OF_ANOTHER
from outbound.config import settings
from outbound.formats import moments
from outbound.rules.callee_zone import zone_of

__all__ = [
    "KEY_MAX",
    "KEY_OF_ANOTHER",
    "BadCall",
    "EnqueuedCall",
    "enqueue",
    "enqueue_call",
]

sql = db.statements("calls/enqueue")

_NO_BATCH = {"batch_businesses": "{}", "batch_ids": "{}"}


@dataclass(frozen=True)
class EnqueuedCall:
    """
    A call that is in the queue now; `created` is False where it was there already.

    `note` says what was made of a due moment that the clocks of that day show twice, or not at all; `due` is the moment
    as it was understood, with weekday and zone, where one was given.  `has_key` is False where another key, or none,
    has the call that was there already: it is a live one to the same telephone.
    """

    call_id: int
    status: str
    created: bool
    note: str | None = None
    due: str | None = None
    has_key: bool = True


def enqueue_call(
    connection: db.Connection,
    *,
    to_number: str,
    business_id: int | None = None,
    campaign_id: int | None = None,
    from_number: str | None = None,
    due_at: datetime | str | None = None,
    key: str | None = None,
    contact: Mapping[str, str] | None = None,
    time_zone: str | None = None,
    own_key: str | None = None,
) -> EnqueuedCall:
    """
    Put one call in the queue, inside the caller's own transaction; it is dialed after that commits.

    Args:
        connection: a psycopg 3 connection.
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
        own_key: a key of our own making, which no caller may give.

    Returns:
        the new call, or the one that is there already: same key, or a live call of this business to this number.

    Raises:
        BadCall: says what is wrong and what to do.
    """
    if business_id is None and campaign_id is None:
        raise BadCall("say whose call this is: give a business or a campaign")
    whose, campaign = call_request.ids(business_id, campaign_id)
    found = sql.find_caller(connection, business_id=whose, campaign_id=campaign, carrier=settings().carrier)
    caller = call_request.able(found, campaign)
    call = call_request.read(
        caller, to_number, from_number, due_at, key, contact, time_zone, lambda number: zone_of(number, connection)
    )
    if own_key is not None:
        call = call._replace(idempotency_key=own_key)
    for _ in range(5):  # a twin that was committed in this instant is seen at the second look
        given = import_writer.columns([call]) | _NO_BATCH
        for row in sql.enqueue_calls(connection, campaign_id=campaign, again=True, dry=False, **given):
            if row.fault:
                raise BadCall(import_writer.fault_of(row))
            if row.created:
                return EnqueuedCall(row.id, "queued", True, call.note, _understood(call))
        for there in sql.find_calls(connection, created_ats="{}", **import_writer.keys([call]), **_NO_BATCH):
            if there.key_of_another:
                raise BadCall(KEY_OF_ANOTHER)
            if there.id is not None:
                return EnqueuedCall(there.id, there.status, created=False, has_key=there.has_key)
    raise BadCall("another call to this number is being written at this moment: try again")


def enqueue(**call: object) -> EnqueuedCall:
    """`enqueue_call` in a transaction of its own."""
    return db.with_connection(lambda connection: enqueue_call(connection, **call))  # type: ignore[arg-type]


def _understood(call: NewCall) -> str | None:
    return moments.shown(call.due_at, call.zone) if call.due_at else None
