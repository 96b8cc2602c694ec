"""One simulated call: its life so far, as the REST API shows it and as callbacks tell it."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from outbound.simulator.callback_sender import Callback
from outbound.simulator.scenarios import Callbacks, Scenario, Status
from outbound.simulator.twilio_errors import Form, callback_of, events_of, verdict_callback_of

API = "2010-04-01"
PRICED_AFTER_S = 2.0  # the price of a call is not there when it ends
PRICE_PER_MINUTE = 0.013
SIP_CODES: dict[Status, int] = {"completed": 200, "failed": 404, "busy": 486, "no-answer": 487, "canceled": 487}
SUBRESOURCES = ("Events", "Notifications", "Recordings")
ALWAYS_NULL = ("parent_call_sid", "phone_number_sid", "forwarded_from", "group_sid", "caller_name", "trunk_sid")


@dataclass(slots=True)
class RequestLogEntry:
    """One create request as it was asked, and what came of it."""

    at: str
    account_sid: str
    to: str | None
    from_: str | None
    status_callback: str | None
    timeout: str | None
    time_limit: str | None
    live_at_most: int  # calls live at this moment, this one included: the greatest in a log is its peak
    outcome: str = "refused"
    call_sid: str | None = None
    rang: bool = False
    callbacks_taken: int = 0
    callbacks_failed: int = 0

    def as_json(self) -> dict[str, Any]:
        return {name.rstrip("_"): value for name, value in asdict(self).items()}


@dataclass(slots=True, eq=False)
class SimulatedCall:
    """
    One simulated call.

    Attributes:
        speed: how many times faster than life it passes.
        number: how many calls were made before it.
        coming: the rest of its life; after how many seconds, and what it becomes then.
        since: when it became what it is and was.
        reported: set once its first callbacks were delivered, or it ended and there is nothing to tell.
    """

    account_sid: str
    speed: float
    number: int
    form: Form
    scenario: Scenario
    coming: deque[tuple[float, Status]]
    entry: RequestLogEntry
    sid: str = field(default_factory=lambda: f"CA{uuid.uuid4().hex}")
    status: Status = "queued"
    since: dict[Status, datetime] = field(default_factory=lambda: {"queued": datetime.now(UTC)})
    timer: asyncio.TimerHandle | None = None
    told: asyncio.Event = field(default_factory=asyncio.Event)
    sequence: int = 0
    unsent: list[Callback] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return self.status in SIP_CODES

    @property
    def started_at(self) -> datetime | None:
        return self.since.get("initiated")

    @property
    def answered_at(self) -> datetime | None:
        return self.since.get("in-progress")

    @property
    def ended_at(self) -> datetime | None:
        return self.since[self.status] if self.is_over else None

    @property
    def rest_status(self) -> str:
        """The REST API knows no 'initiated'."""
        return "queued" if self.status == "initiated" else self.status

    def become(self, status: Status) -> None:
        """Change status and remember when."""
        self.status, self.since[status] = status, datetime.now(UTC)
        if status == "ringing":
            self.entry.rang = True

    def pending_callbacks(self) -> list[Callback]:
        """The callbacks to be sent now that the status has changed, in this order."""
        event = "completed" if self.is_over else "answered" if self.status == "in-progress" else self.status
        callbacks = []
        url = callback_of(self.form)
        if url is not None and event in events_of(self.form):
            callbacks.append(Callback(url, self._parameters(), str(uuid.uuid4())))
            self.sequence += 1
        url = verdict_callback_of(self.form)
        if url is not None and event == "answered":  # in life some seconds later
            callbacks.append(Callback(url, self._verdict(), str(uuid.uuid4())))
        match self.scenario.callbacks:
            case Callbacks.NONE:
                return []
            case Callbacks.NOT_LAST:
                return [] if self.is_over else callbacks
            case Callbacks.SHUFFLED:
                self.unsent += callbacks
                return [late for late in reversed(self.unsent) for _ in range(2)] if self.is_over else []
            case Callbacks.EACH:
                return callbacks

    def resource(self) -> dict[str, object]:
        """The call as the REST API shows it."""
        to, from_ = self.form["To"], self.form["From"]
        completed = self.status == "completed"
        uri = f"/{API}/Accounts/{self.account_sid}/Calls/{self.sid}"
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "to": to,
            "to_formatted": to,
            "from": from_,
            "from_formatted": from_,
            "status": self.rest_status,
            "direction": "outbound-api",
            "date_created": _written(self.since["queued"]),
            "date_updated": _written(self.since[self.status]),
            "start_time": _written(self.started_at),
            "end_time": _written(self.ended_at) if completed else None,
            "duration": str(self._talked_s()) if completed else None,
            "price": self._price() if completed else None,
            "price_unit": "USD",
            "answered_by": self._answered_by(),
            "queue_time": "0",
            "api_version": API,
            "uri": f"{uri}.json",
            "subresource_uris": {name.lower(): f"{uri}/{name}.json" for name in SUBRESOURCES},
            **dict.fromkeys(ALWAYS_NULL),
        }

    def _parameters(self) -> dict[str, str]:
        """The parameters of a callback about the status it has now."""
        to, from_ = self.form["To"], self.form["From"]
        parameters = {
            "CallSid": self.sid,
            "AccountSid": self.account_sid,
            "From": from_,
            "To": to,
            "Caller": from_,
            "Called": to,
            "Direction": "outbound-api",
            "ApiVersion": API,
            "CallStatus": self.status,
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(self.sequence),
            "Timestamp": format_datetime(self.since[self.status]),
        }
        answered_by = self._answered_by()
        if answered_by and verdict_callback_of(self.form) is None:
            parameters["AnsweredBy"] = answered_by
        if self.is_over:
            parameters["CallDuration"] = str(self._talked_s())
            parameters["Duration"] = str(math.ceil(self._talked_s() / 60))
            parameters["SipResponseCode"] = str(SIP_CODES[self.status])
        return parameters

    def _verdict(self) -> dict[str, str]:
        """The parameters of the callback of asynchronous machine detection, which has no status and no number."""
        return {
            "CallSid": self.sid,
            "AccountSid": self.account_sid,
            "AnsweredBy": self._answered_by() or "unknown",
            "MachineDetectionDuration": "2400",
        }

    def _answered_by(self) -> str | None:
        asked = self.form.get("MachineDetection")
        if not asked or self.answered_at is None:
            return None
        if not self.scenario.machine:
            return "human"
        return "machine_end_beep" if asked == "DetectMessageEnd" else "machine_start"

    def _talked_s(self) -> int:
        """Whole seconds of talk as lived at speed 1, rounded up."""
        if self.answered_at is None or self.ended_at is None:
            return 0
        return max(1, math.ceil((self.ended_at - self.answered_at).total_seconds() * self.speed))

    def _price(self) -> str | None:
        """A negative amount, some time after the call ended; before that, not known."""
        since_s = (datetime.now(UTC) - self.since[self.status]).total_seconds() * self.speed
        minutes = math.ceil(self._talked_s() / 60)
        return f"-{PRICE_PER_MINUTE * minutes:.3f}" if since_s >= PRICED_AFTER_S else None


def _written(at: datetime | None) -> str | None:
    return None if at is None else format_datetime(at)
