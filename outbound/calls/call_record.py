"""Reads one call for an application, on whatever connection."""

from dataclasses import dataclass
from datetime import datetime

from outbound.calls.call_request import BadCall
from outbound.formats import row_id
from outbound.formats.file_text import is_text
from outbound.named_sql import Questions, Work

sql = Questions("calls/call_record")

_MOMENTS = ("due_at", "dialed_at", "answered_at", "ended_at")


@dataclass(frozen=True)
class CallRecord:
    """A call as it is now; `retry_of` is the first attempt, where this is a further one."""

    call_id: int
    business_id: int
    campaign_id: int | None
    to_number: str
    from_number: str
    status: str
    key: str | None
    attempt: int
    retry_of: int | None
    due_at: datetime
    dialed_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    duration_s: int | None
    answered_by: str | None
    call_sid: str | None
    error_code: str | None
    error_message: str | None
    lead_id: int | None


def read_id(call_id: object) -> int:
    """The id of a call, or raise BadCall."""
    if isinstance(call_id, int) and not isinstance(call_id, bool) and row_id.possible(call_id) == call_id:
        return int(call_id)
    raise BadCall("that is not the id of a call: `enqueue_call` returned it as `call_id`")


def find(
    call_id: int | None = None, *, business_id: int | None = None, key: str | None = None
) -> Work[CallRecord | None]:
    """
    The call of an id, or of a key in a business; None where there is no such outbound call.

    Raises:
        BadCall: neither is given, or both.
    """
    if (call_id is None) == (key is None) or (key is None) != (business_id is None):
        raise BadCall("give the call's id, or its business and its key")
    ids = None if call_id is None else read_id(call_id), None if business_id is None else read_id(business_id)
    if key is not None and not (isinstance(key, str) and is_text(key)):
        raise BadCall("`key` must be text")
    found = yield sql.find_call(call_id=ids[0], business_id=ids[1], key=key)
    if not found:
        return None
    values = {name: getattr(found[0], name) for name in CallRecord.__dataclass_fields__}
    return CallRecord(**values | {name: _moment(values[name]) for name in _MOMENTS})


def _moment(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None
