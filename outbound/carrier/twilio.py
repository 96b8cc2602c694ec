"""Twilio, or anyone who speaks its Calls API at TWILIO_API_URL: dials, look-ups, lists, hang-ups."""

import asyncio
import atexit
import copy
import os
import threading
from collections.abc import Awaitable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from queue import SimpleQueue
from typing import Any, Literal, TypeVar

import aiohttp
from twilio.rest import Client

from outbound.call import E164, CallEvent, DialOrder
from outbound.carrier import (
    EARLY,
    LATE,
    Accepted,
    Answer,
    Answered,
    CallNotSent,
    CallRefused,
    CallUnsure,
    Carrier,
    CarrierCall,
    CarrierSilent,
    NoCredentials,
    OddAnswer,
    OtherCall,
    SlowDown,
    callback_tag,
    twilio_fields,
    twilio_http,
    twilio_rest,
)
from outbound.carrier.twilio_rest import RestError
from outbound.config import settings
from outbound.settings_model import Settings

EVENTS = ["initiated", "ringing", "answered", "completed"]  # `completed` covers every final status

# Retries of a status callback, within the 15 s that Twilio gives it in all; by default it tries again only when it
# could not connect (connection-overrides page).  A fragment is neither sent nor signed.
RETRY_OVERRIDES = "#ct=2000&rt=5000&tt=15000&rc=5&rp=5xx,ct,rt"

# The account cannot call now (wrong token, no such account, suspended, too many calls at once): nothing rang, and to
# refuse every queued call for it would be our fault.  Codes from Twilio's error dictionary.
_NOT_NOW_CODES = {10001, 10004, 20003, 20005, 20429, 64109, 86008, 90010}
_NOT_NOW_STATUSES = {401, 402, 407, 429}
_CODE_DECIDES = {403, 404, 405}  # these may be about the account or about this one call
_API_CODES = range(20000, 21000)
_TOO_MANY_CODES = {10004, 20429, 64109, 86008}  # at once, or too fast: a slower pace is granted

# Refusals that say nothing of the callee: the next call from this number, or of this campaign, gets the same one.
_NUMBER_CODES = {21210, 21212, 21213, 21606}  # From: not verified, no number, missing, not able to call
_CAMPAIGN_CODES = {
    13227,  # no permission for that country
    21205,  # Url
    21206,  # SendDigits
    21208,  # Timeout
    21215,  # no permission for that country
    21218,  # ApplicationSid
    21219,  # a trial account calls a number that is not verified
    21609,  # StatusCallback
    21626,  # StatusCallbackEvent
}
_NOT_IN_PROGRESS = 21220  # an update of a call that is over

_BATCH_WAIT_S = 0.003  # answers that come within this time of each other are written down together
_CLOSE_S = 5
_NOBODY = "without-an-account"  # the client wants some name and password
_UNUSED = "none"
CODE_CHARS_MAX = 64  # call_log.error_code holds no more

_QUEUED = "queued"
_PAGES_MAX = 1000  # of one list: a carrier whose pages do not end must not keep anybody for ever
_FIND_PAGES_MAX = 4  # a telephone has some calls in two days, where a carrier knows the filter

_DAY = timedelta(days=1)

T = TypeVar("T")


class Twilio:
    """
    Twilio's client for all threads of a process: requests run concurrently, on one thread of its own.

    It asks about the calls of TWILIO_ACCOUNT_SID; `of` gives a client for another account.
    """

    def __init__(self, config: Settings) -> None:
        self._http = twilio_http.HttpClient(config)  # it refuses a wrong environment, before there is a thread
        self._config = config
        self._clients: dict[str | None, Client] = {}
        self._client = self._client_of(None)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="carrier", daemon=True)
        self._thread.start()

    def of(self, account: str | None) -> "Twilio":
        """A client for one account's calls, on these connections; None for TWILIO_ACCOUNT_SID."""
        own = copy.copy(self)
        own._client = self._client_of(account)  # noqa: SLF001 (it is one of these)
        return own

    def _client_of(self, account: str | None) -> Client:
        if account == self._config.twilio_account_sid:
            account = None
        if account not in self._clients:
            sid = account or self._config.twilio_account_sid
            # Each request takes the credentials of its moment.
            client = Client(sid or _NOBODY, _UNUSED, sid, http_client=self._http)
            client.api.base_url = self._config.api_url
            self._clients[account] = client
        return self._clients[account]

    def close(self) -> None:
        """Close every connection, and end the thread; what is still asked gets no answer."""
        with suppress(TimeoutError):  # the loop hangs: a process that ends must not
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_CLOSE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_S)
        if not self._thread.is_alive():
            self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._http.close()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def place_calls(self, orders: Sequence[DialOrder]) -> Iterator[Sequence[Answered]]:
        """Implements `Carrier.place_calls`."""
        groups: SimpleQueue[list[Answered]] = SimpleQueue()
        placing = asyncio.run_coroutine_threadsafe(self._place_all(orders, groups), self._loop)
        placing.add_done_callback(lambda _: groups.put([]))  # the end, whatever became of it
        awaited = {order.call_id for order in orders}
        while awaited:
            answers = groups.get() or [(call_id, CallUnsure("it was given up")) for call_id in awaited]
            while not groups.empty():  # what came while somebody wrote down the group before
                answers += groups.get()
            awaited -= {call_id for call_id, _ in answers}
            yield answers

    async def _place_all(self, orders: Sequence[DialOrder], groups: "SimpleQueue[list[Answered]]") -> None:
        waiting = {asyncio.create_task(self._place(order)) for order in orders}
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if waiting:
                more, waiting = await asyncio.wait(waiting, timeout=_BATCH_WAIT_S)
                done |= more
            groups.put([task.result() for task in done])

    async def _place(self, order: DialOrder) -> Answered:
        sending = twilio_http.Sending(order.send_by)
        twilio_http.sending.set(sending)  # each dial is a task, which has this variable to itself
        try:
            call = await twilio_rest.request(
                self._client_of(order.account), "POST", "/Calls.json", form=self._form_of(order)
            )
        except RestError as error:
            return order.call_id, _outcome(error)
        except twilio_http.TooLate:
            return order.call_id, CallNotSent("its moment had passed")
        except NoCredentials as reason:
            return order.call_id, CallNotSent(str(reason))
        except Exception as error:  # noqa: BLE001 (whatever it is: once something was sent, a phone may be ringing)
            return order.call_id, (CallUnsure if sending.has_begun else CallNotSent)(type(error).__name__)
        call_sid = twilio_fields.text(call.get("sid")) if isinstance(call, Mapping) else None
        if not isinstance(call, Mapping) or call_sid is None:
            return order.call_id, CallUnsure("an answer without a call_sid")
        return order.call_id, Accepted(call_sid, _queue_time_s(call.get("queue_time")))

    def _form_of(self, order: DialOrder) -> dict[str, object]:
        content: dict[str, object] = {"Url": order.voice_url} if order.voice_url else {"Twiml": order.twiml}
        tag = callback_tag.make(order.call_id, order.to_number, self._config)
        callback = f"{self._config.callback_base}/callbacks/{order.call_id}/{tag}"
        if order.machine_detection:  # asynchronous: nobody who picks up waits in silence for the verdict
            content |= {
                "MachineDetection": order.machine_detection,
                "AsyncAmd": "true",
                "AsyncAmdStatusCallback": f"{callback}/answered-by{RETRY_OVERRIDES}",
                "AsyncAmdStatusCallbackMethod": "POST",
            }
        return {
            "To": order.to_number,
            "From": order.from_number,
            "StatusCallback": f"{callback}{RETRY_OVERRIDES}",
            "StatusCallbackEvent": EVENTS,
            "StatusCallbackMethod": "POST",
            "Timeout": self._config.ring_s,
            "TimeLimit": order.limit_s or self._config.time_limit_s,
            **content,
        }

    def fetch_call(self, call_sid: str, order: DialOrder | None = None) -> CallEvent | None:
        """Implements `Carrier.fetch_call`."""
        try:
            call = self._wait(_ask(self._fetch(call_sid)))
        except _NoSuchCall:
            return None
        if order is not None and not _may_be(call, order):
            raise OtherCall("a call of other numbers")
        return call.report()

    async def _fetch(self, call_sid: str) -> CarrierCall:
        return self._read(await twilio_rest.request(self._client, "GET", twilio_rest.path_of(call_sid)), call_sid)

    def _read(self, resource: object, call_sid: str) -> CarrierCall:
        call = twilio_rest.read_call(resource)
        if call is None:
            raise OddAnswer("an answer that is no call")
        if call.call_sid != call_sid or call.account_sid not in (None, self._client.account_sid):
            raise OddAnswer("an answer about another call")
        return call

    def calls_of(self, order: DialOrder, dialed_at: datetime, closed_at: datetime | None = None) -> list[CallEvent]:
        """Implements `Carrier.calls_of`."""
        found: dict[str, CallEvent] = {}
        for place, calls in enumerate(self.list_calls(dialed_at - EARLY, to_number=order.to_number)):
            if place == _FIND_PAGES_MAX:
                raise CarrierSilent(f"more than {_FIND_PAGES_MAX} pages of calls to one number")
            found |= {
                call.call_sid: call.report() for call in calls if may_have_become(order, dialed_at, closed_at, call)
            }
        return list(found.values())

    def list_calls(
        self,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        status: str | None = None,
        to_number: str | None = None,
    ) -> Iterator[list[CarrierCall]]:
        """Implements `Carrier.list_calls`."""
        filters = {"To": to_number, "Status": status}
        lists = [{name: value for name, value in filters.items() if value is not None}]
        if created_after is not None and status != _QUEUED:
            started = {"StartTime>": twilio_rest.day_of(created_after - _DAY)}  # a day more: is_older ends it sooner
            # What waits has no start time: it is asked for apart.
            lists = [lists[0] | {"Status": _QUEUED}] * (status is None) + [lists[0] | started]
        for each in lists:
            for calls in self._pages(each, created_after):
                # The filters once more: not everybody who speaks this API knows them all.
                yield [
                    call
                    for call in calls
                    if to_number in (None, call.to_number)
                    and each.get("Status") in (None, call.carrier_status)
                    and (created_after is None or call.created_at is None or call.created_at >= created_after)
                    and (created_before is None or call.created_at is None or call.created_at < created_before)
                ]

    def _pages(self, filters: Mapping[str, str], created_after: datetime | None) -> Iterator[list[CarrierCall]]:
        query = twilio_rest.first_page(filters)
        for _ in range(_PAGES_MAX):
            try:
                page = self._wait(_ask(twilio_rest.read_page(self._client, query)))
            except _NoSuchCall:
                raise CarrierSilent("the carrier knows no such account") from None
            yield page.calls
            if page.following is None or (
                created_after is not None and twilio_rest.is_older(page.calls, created_after)
            ):
                return
            query = page.following
        raise CarrierSilent(f"more than {_PAGES_MAX} pages")

    def hang_up(self, call_sid: str, status: Literal["canceled", "completed"]) -> CallEvent | None:
        """Implements `Carrier.hang_up`."""

        async def ended() -> CarrierCall:
            try:
                answer = await twilio_rest.request(
                    self._client, "POST", twilio_rest.path_of(call_sid), form={"Status": status}
                )
            except RestError as error:
                if error.code != _NOT_IN_PROGRESS:
                    raise
                return await self._fetch(call_sid)
            return self._read(answer, call_sid)

        try:
            return self._wait(_ask(ended())).report()
        except _NoSuchCall:
            return None


# One per process: a forked child has no thread that would answer it.
_carriers: dict[int, Twilio] = {}
_opening = threading.Lock()


def carrier(account: str | None = None) -> Carrier:
    """The carrier of this process, for what is asked about the calls of one account; None for TWILIO_ACCOUNT_SID."""
    with _opening:
        if os.getpid() not in _carriers:
            _carriers[os.getpid()] = Twilio(settings())
            atexit.register(close)  # whatever opened it: a session that nobody closes complains when the process ends
        line = _carriers[os.getpid()]
        return line if account is None else line.of(account)


def opened() -> Twilio | None:
    """The carrier of this process, if anybody has asked it anything."""
    return _carriers.get(os.getpid())


def close() -> None:
    """Close this process's carrier; the next question opens another."""
    with _opening:
        found = _carriers.pop(os.getpid(), None)
    if found is not None:
        found.close()


class _NoSuchCall(Exception):
    """404 to a question."""


async def _ask(question: Awaitable[T]) -> T:
    try:
        return await question
    except RestError as error:
        # A 404 without a body of Twilio's comes from a proxy and says nothing about the call.
        if error.status == 404 and error.has_body:
            raise _NoSuchCall from error
        raise CarrierSilent(f"HTTP {error.status}") from error
    except (aiohttp.ClientError, TimeoutError, UnicodeError) as error:
        raise CarrierSilent(type(error).__name__) from error
    except (ValueError, RecursionError) as error:  # not JSON
        raise OddAnswer(type(error).__name__) from error


def _outcome(error: RestError) -> Answer:
    """
    Return what an error answer to a create means: by the codes and statuses above, from Twilio's error dictionary.
    """
    if not 400 <= error.status < 500 or error.status == 408:
        return CallUnsure(f"HTTP {error.status}")
    at_fault: Literal["number", "campaign"] | None = (
        "number" if error.code in _NUMBER_CODES else "campaign" if error.code in _CAMPAIGN_CODES else None
    )
    if at_fault is None and _is_of_every_call(error):
        too_many = error.status == 429 or error.code in _TOO_MANY_CODES
        return SlowDown(f"HTTP {error.status}, code {error.code}", of_account=not too_many)
    return CallRefused(error.code_text[:CODE_CHARS_MAX], str(error), at_fault=at_fault)


def _is_of_every_call(error: RestError) -> bool:
    """
    Would the next call get the same answer?  Then nothing of it is this callee's fault.

    A 403, 404 or 405 without a code of Twilio's comes from somebody in between (a proxy, a firewall), who did not let
    us through to Twilio.  With a code it means what the code says: all of 20000 to 20999 are about the API itself.
    """
    if error.code in _NOT_NOW_CODES or error.status in _NOT_NOW_STATUSES:
        return True
    return error.status in _CODE_DECIDES and (error.code is None or error.code in _API_CODES)


def may_have_become(order: DialOrder, dialed_at: datetime, closed_at: datetime | None, call: CarrierCall) -> bool:
    """Is that a call of these numbers, made as we make them, and created when this one was dialed?"""
    latest = min(dialed_at + LATE, closed_at or dialed_at + LATE)
    return (
        call.is_as_ours
        and call.to_number == order.to_number
        and call.from_number == order.from_number
        and call.created_at is not None
        and dialed_at - EARLY <= call.created_at <= latest
    )


def _may_be(call: CarrierCall, order: DialOrder) -> bool:
    """Is that what was dialed?  What the carrier does not say, or writes otherwise than as E.164, proves nothing."""
    numbers = ((call.to_number, order.to_number), (call.from_number, order.from_number))
    return (call.direction is None or call.is_as_ours) and all(
        callback_tag.phone_key(theirs) == callback_tag.phone_key(ours)
        for theirs, ours in numbers
        if theirs and E164.fullmatch(theirs) and E164.fullmatch(ours)
    )


def _queue_time_s(milliseconds: object) -> float:
    """Twilio writes it as text, and not always: what is no number is no wait."""
    return (twilio_fields.whole(milliseconds) or 0) / 1000
