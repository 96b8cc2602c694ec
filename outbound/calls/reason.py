"""Says why one call is not being dialed, on whatever connection."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outbound.named_sql import Questions, Work

sql = Questions("calls/reason")


@dataclass(frozen=True)
class Reason:
    """
    The reason why a call is not being dialed.

    Attributes:
        code: one word for machines; `unknown_call` where there is no such call.
        sentence: the text for people, with what to do about it.
        until: when this reason ends, where that is known.
        details: the numbers and names behind the sentence.
    """

    code: str
    sentence: str
    until: datetime | None
    details: dict[str, Any]


def of(call_id: int) -> Work[Reason]:
    """The first reason that holds, as it is where every setting of outbound has its default."""
    [row] = yield sql.why(call_id=call_id)
    answer = json.loads(row.answer)
    return Reason(**answer | {"until": answer["until"] and datetime.fromisoformat(answer["until"])})
