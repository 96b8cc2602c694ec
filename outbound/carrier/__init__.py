"""Says what any carrier must do, and how it may fail: each error is named for what the caller may do next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Protocol

from outbound.call import FINAL, CallEvent, DialOrder

# How much earlier, and later, than our dial the carrier may say that a call was created: its clock is not ours.
EARLY, LATE = timedelta(minutes=1), timedelta(minutes=2)


class CallRefused(Exception):
    """
    The carrier refused, and nothing rang: asking again won't help.

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
    """Nothing was sent, or the carrier answered that it did nothing (429): the call may go back to the queue."""


class SlowDown(CallNotSent):
    """
    The carrier itself answered that it did nothing: the next call had better wait too.

    Attributes:
        of_account: no call of this account can be made at all (wrong token, suspended); else there were too many.
    """

    def __init__(self, message: str, *, of_account: bool = False) -> None:
        super().__init__(message)
        self.of_account = of_account


class CallUnsure(Exception):
    """A phone may be ringing and we cannot know: never dial this call again, ask the carrier."""


class CarrierSilent(Exception):
    """The carrier did not answer a question; ask again later.  Its state is as it was."""


class NoCredentials(CarrierSilent):
    """This process lacks the credentials of the account that had to be asked; nobody was."""

    def __init__(self, account: str) -> None:
        super().__init__(f"the credentials of account {account} are missing: {account}.json in TWILIO_ACCOUNTS_DIR")
        self.account = account


class OddAnswer(CarrierSilent):
    """An answer came that cannot be believed: it is no call, or another one.  The next question may fare better."""


class OtherCall(OddAnswer):
    """The carrier has that call, and it is of other numbers, or was not made as we make ours."""


class Accepted(NamedTuple):
    """A call that the carrier took; `queue_time_s` is its estimate of how long the call waits there to be dialed."""

    call_sid: str
    queue_time_s: float


@dataclass(frozen=True)
class CarrierCall:
    """
    One call as the carrier shows it; None where it says nothing, or nothing that can be read.

    It may be a stranger's: other systems may use the same account.

    Attributes:
        call_sid: the carrier's id of the call.
        status: one of IN_THE_AIR and FINAL, or the carrier's own word where we do not know it.
        carrier_status: the carrier's word.
        to_number, from_number: as the carrier writes them; E.164 for telephones.
        direction: `outbound-api` for calls that were made as we make them; others are `inbound` and `outbound-dial`.
        account_sid: the account that made the call.
        parent_call_sid: the call that this one is a leg of.
        created_at: when the carrier took the call, UTC.
        started_at: when the carrier dialed it; None while it waits there.
        ended_at: when it ended; often None where nobody answered.
        duration_s: how long it lasted, whole seconds.
        answered_by: who picked up, in the carrier's words.
    """

    call_sid: str
    status: str
    carrier_status: str
    to_number: str | None = None
    from_number: str | None = None
    direction: str | None = None
    account_sid: str | None = None
    parent_call_sid: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: int | None = None
    answered_by: str | None = None

    @property
    def is_as_ours(self) -> bool:
        """Return whether it was made as we make ours."""
        return self.direction == "outbound-api"

    @property
    def is_final(self) -> bool:
        """Return whether it is over."""
        return self.status in FINAL

    def report(self) -> CallEvent:
        """Return what a look at the carrier found, for `events.record`."""
        return CallEvent(
            call_sid=self.call_sid,
            status=self.status,
            source="lookup",
            to_number=self.to_number,
            occurred_at=self.ended_at if self.is_final else None,
            duration_s=self.duration_s,
            answered_by=self.answered_by,
            payload={"CallStatus": self.carrier_status},
        )


Answer = Accepted | CallRefused | CallNotSent | CallUnsure
Answered = tuple[int, Answer]


class Carrier(Protocol):
    """The methods that a carrier must have.  One object asks about the calls of one account."""

    def place_calls(self, orders: Sequence[DialOrder]) -> Iterator[Sequence[Answered]]:
        """
        Ring phones, each with its own account; yield what came of each, by its call_id, as the answers come.

        All are asked for at the same time.  An answer is there once the carrier accepts the call, not when somebody
        picks up; how it ends arrives later, by callback.  Answers that come within some milliseconds are one group.

            Accepted: the carrier has the call.
            CallRefused: the carrier refused.  Nothing rang.
            CallNotSent: nothing was sent (DNS, refused connection, no credentials of its account).
            SlowDown: the carrier did nothing (429, too many calls at once, account not active).
            CallUnsure: it was sent and no usable answer came (timeout, 5xx, cut connection).
        """

    def fetch_call(self, call_sid: str, order: DialOrder | None = None) -> CallEvent | None:
        """
        Ask how a call is; None where the carrier knows no such call.

        Args:
            order: what was dialed, where that was an outbound call: a call of other numbers is not this one.

        Raises:
            OddAnswer: the answer is no call, or another one.
            CarrierSilent: no usable answer came.
        """

    def calls_of(self, order: DialOrder, dialed_at: datetime, closed_at: datetime | None = None) -> list[CallEvent]:
        """
        Ask for the calls that *order*, dialed at *dialed_at*, may have become: same numbers, made around that time.

        What was made after *closed_at* is another call: the number was free again.

        Raises:
            CarrierSilent: no usable answer came.
        """

    def list_calls(
        self,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        status: str | None = None,
        to_number: str | None = None,
    ) -> Iterator[list[CarrierCall]]:
        """
        List the account's calls, strangers' too, newest first, by pages of up to 1,000.

        Each page is one request, made when the page is asked for: the caller counts them, and stops where its budget
        ends.  The carrier's lists lag behind: that a call is not in one does not prove that there is none.

        Args:
            created_after: leave out calls that the carrier took before; the pages end there.  Calls that wait to be
                dialed come on pages of their own, before the others; a call that is dialed meanwhile may come twice.
            created_before: leave out calls that the carrier took then or later.
            status: one of Twilio's words: `queued`, `ringing`, `in-progress` or a final one.
            to_number: only calls to this number.

        Raises:
            CarrierSilent: while it is iterated: no usable answer came, or the pages do not end.
        """

    def hang_up(self, call_sid: str, status: Literal["canceled", "completed"]) -> CallEvent | None:
        """
        End a call, and return how it is now; None where the carrier knows no such call.

        `canceled` ends a call that nobody has answered and leaves alone one that somebody has; `completed` ends both.
        A call that is over already is no error.

        Raises:
            CarrierSilent: no usable answer came.
        """
