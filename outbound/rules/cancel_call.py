"""Cancel one call, on whatever connection."""

import json
from typing import NamedTuple

from outbound.call import IN_THE_AIR
from outbound.formats import row_id
from outbound.named_sql import Questions, Work
from outbound.rules.decision import BadControl

sql = Questions("rules/control")
audit_sql = Questions("rules/audit")


class Canceled(NamedTuple):
    """
    The number of calls that were canceled before anybody dialed them, and how many are being canceled at the carrier.
    """

    waiting: int
    in_the_air: int


def cancel(call_id: int, *, reason: str | None, actor: str) -> Work[Canceled]:
    """
    Close a call that waits, or ask for an end of one that rings; `hang_up_requested_calls` tells the carrier.

    Raises:
        BadControl: it is in progress, has ended, or there is none.
    """
    scope = {"scope": "call", "key": str(call_id)}
    decided = {"reason": reason, "who": actor}
    [closed] = yield sql.cancel_calls(**scope, **decided, id=call_id, id_max=row_id.MAX, batch_max=1)
    waiting = int(closed.canceled)
    [asked] = yield sql.request_hang_ups(**scope, **decided, hang_up="canceled")
    in_the_air = int(asked.calls)
    if not waiting and not in_the_air:
        found = yield sql.status_of(call_id=call_id)
        if not found:
            raise BadControl(f"there is no outbound call {call_id}: `outbound enqueue` printed its id")
        raise cannot(f"call {call_id}", found[0].status)
    details = {"reason": reason, "waiting": waiting, "in_the_air": in_the_air}
    yield audit_sql.write_audit(who=actor, action="cancel", **scope, details=json.dumps(details))
    return Canceled(waiting, in_the_air)


def cannot(scope: str, status: str) -> BadControl:
    """Return why what is in the air, or has ended, is not held or canceled."""
    if status in IN_THE_AIR:
        return BadControl(f"{scope} is {status}: `outbound stop {scope}` hangs up")
    return BadControl(f"{scope} has ended: {status}")
