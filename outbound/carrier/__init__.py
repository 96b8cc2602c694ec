"""What any carrier must do, and the ways it may fail: each error is named for what the caller may do next."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from outbound.call import DialOrder, Report


class CallRefused(Exception):
    """
    The carrier said no, and nothing rang: asking again won't help.

    Attributes:
        code: the carrier's own.
        at_fault: what the next call will be refused for too: its from-`number`, or the `campaign`'s configuration;
            None where the reason lies in this one callee.
    """

    def __init__(self, code: str, message: str, at_fault: Literal["number", "campaign"] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.at_fault = at_fault


class CallNotSent(Exception):
    """Nothing was sent, or the carrier said that it did nothing (429): the call may go back to the queue."""


class SlowDown(CallNotSent):
    """The carrier itself said that it did nothing: the next call had better wait too."""


class CallUnsure(Exception):
    """A phone may be ringing and we cannot know: never dial this call again, ask the carrier."""


class CarrierSilent(Exception):
    """The carrier did not answer a question; ask again later.  Its state is as it was."""


class Accepted(NamedTuple):
    """A call that the carrier took, and how long it says that the call will wait there before it is dialed, seconds."""

    call_sid: str
    queue_time_s: float


Answer = Accepted | CallRefused | CallNotSent | CallUnsure
Answered = tuple[int, Answer]


class Carrier(Protocol):
    """Whoever rings phones for us."""

    def place_calls(self, orders: Sequence[DialOrder]) -> Iterator[Sequence[Answered]]:
        """
        Ring phones, all at the same time; yield what came of each, by its call_id, as the answers come.

        An answer is there once the carrier accepts the call, not when somebody picks up; how it ends arrives later, by
        callback.  Answers that come within some milliseconds are one group.

            Accepted: the carrier has the call.
            CallRefused: the carrier said no.  Nothing rang.
            CallNotSent: nothing was sent (DNS, refused connection).
            SlowDown: the carrier did nothing (429, too many calls at once, account not active).
            CallUnsure: it was sent and no usable answer came (timeout, 5xx, cut connection).
        """

    def fetch_call(self, call_sid: str) -> Report | None:
        """
        Ask how a call is; None where the carrier knows no such call.

        Raises:
            CarrierSilent: no usable answer came.
        """

    def find_calls(self, order: DialOrder, dialed_at: datetime, closed_at: datetime | None = None) -> list[Report]:
        """
        Ask for the calls that *order*, dialed at *dialed_at*, may have become: same numbers, made around that time.

        What was made after *closed_at* is another call: the number was free again.

        Raises:
            CarrierSilent: no usable answer came.
        """

    def hang_up(self, call_sid: str, status: Literal["canceled", "completed"]) -> Report | None:
        """
        End a call, and return how it is now; None where the carrier knows no such call.

        `canceled` ends a call that nobody has answered and leaves alone one that somebody has; `completed` ends both.
        A call that is over already is no error.

        Raises:
            CarrierSilent: no usable answer came.
        """
