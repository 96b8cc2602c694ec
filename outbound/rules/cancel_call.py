"""Cancel one call, on whatever connection."""

import json
from typing import NamedTuple

from outbound.named_sql import Questions, Work
from outbound.rules.decision import BadControl

sql = Questions("rules/control")


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
    [row] = yield sql.cancel_call(call_id=call_id, reason=reason, who=actor)
    answer = json.loads(row.answer)
    if "fault" in answer:
        raise BadControl(answer["fault"])
    return Canceled(**answer)
