"""Says what a call is: its statuses, which of them are final, and what a carrier needs in order to ring it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

# In the order of a call's life.  The same words, in the same order, rank in SQL (call_status_rank); tests compare them.
WAITING: Final = ("queued", "claimed")
RINGING: Final = ("initiated", "ringing")
IN_THE_AIR: Final = (*RINGING, "in-progress")
FINAL: Final = ("completed", "busy", "no-answer", "failed", "canceled")
STATUSES: Final = WAITING + IN_THE_AIR + FINAL

E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")  # a telephone's number, as call_log takes it

# What stands in the place of a number that the caller withholds: a word, or ANONYMOUS, BLOCKED, RESTRICTED, UNAVAILABLE
# and UNKNOWN on a telephone's keys.  Those look like numbers, and would make one lead of all who withhold theirs.
WITHHELD_DIGITS: Final = frozenset({"266696687", "2562533", "7378742833", "86282452253", "8656696"})
WITHHELD_WORDS: Final = frozenset({"anonymous", "blocked", "private", "restricted", "unavailable", "unknown"})


@dataclass(frozen=True)
class DialOrder:
    """
    One attempt to ring one phone.

    Attributes:
        call_id: our id; it travels in the status-callback URL and comes back with every callback.
        from_number, to_number: E.164.
        voice_url, twiml: what the call plays; exactly one of them is set.
        machine_detection: `Enable` or `DetectMessageEnd` where the carrier is to tell whether a machine picked up.
        limit_s: after so many seconds the carrier hangs up; None for OUTBOUND_TIME_LIMIT_S.
        account: the SID of the carrier's account that it is dialed with; None for TWILIO_ACCOUNT_SID.
        send_by: on time.monotonic(), the last moment at which it may be sent; None where its pace is not limited.
    """

    call_id: int
    from_number: str
    to_number: str
    voice_url: str | None
    twiml: str | None
    machine_detection: str | None = None
    limit_s: int | None = None
    send_by: float | None = None
    account: str | None = None


@dataclass(frozen=True)
class CallEvent:
    """
    The report of the carrier about one call: in its answer to a create or a look-up, or by a callback.

    Attributes:
        call_sid: the carrier's id of the call.
        status: one of IN_THE_AIR and FINAL, or the carrier's own word where we do not know it.
        source: `create` (the answer to our request), `callback`, or `lookup` (we asked).
        to_number: the number that the carrier called, where it says so.
        sequence_number: the carrier's count of the events of this call, from 0.
        occurred_at: when it happened, by the carrier's clock.
        duration_s: how long the call lasted, whole seconds.
        answered_by: a human, a machine or a fax, in the carrier's words.
        sip_code: the last SIP answer, three digits.
        payload: all that the carrier sent, unchanged.
        is_untagged: a callback whose path has no tag, as the version before made them.
        account: the SID of the account that signed a callback; None for TWILIO_ACCOUNT_SID.
    """

    call_sid: str
    status: str
    source: Literal["create", "callback", "lookup"]
    to_number: str | None = None
    sequence_number: int | None = None
    occurred_at: datetime | None = None
    duration_s: int | None = None
    answered_by: str | None = None
    sip_code: int | None = None
    payload: Mapping[str, object] = field(default_factory=dict)
    is_untagged: bool = False
    account: str | None = None
