"""Twilio, or anyone who speaks its Calls API at TWILIO_API_URL; the only file that knows the twilio client."""

import asyncio
import atexit
import base64
import contextvars
import copy
import hmac
import logging
import os
import re
import ssl
import threading
import time
from collections import deque
from collections.abc import Awaitable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.twiml.voice_response import VoiceResponse
from yarl import URL

from outbound.call import WITHHELD_DIGITS, WITHHELD_WORDS, DialOrder, Report
from outbound.carrier import (
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
    accounts,
    auth_token,
    callback_tag,
    twilio_fields,
    twilio_rest,
)
from outbound.carrier.twilio_rest import RestError, our_status
from outbound.config import LOOPBACK, Settings, settings
from outbound.formats import urls

EVENTS = ["initiated", "ringing", "answered", "completed"]  # `completed` covers every final status

# Retries of a status callback, within the 15 s that Twilio gives it in all; by default it tries again only when it
# could not connect (connection-overrides page).  A fragment is neither sent nor signed.
RETRY_OVERRIDES = "#ct=2000&rt=5000&tt=15000&rc=5&rp=5xx,ct,rt"

# The account cannot call at all (wrong token, no such account, suspended, too many calls at once): nothing rang, and
# burning the queue on it would be our fault.  Codes from Twilio's error dictionary.
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

_OPENED_KEPT = 16  # latest connections, whose quickest says how far away the carrier is
CONNECT_S = 3  # per address: a dial that never left must be known as such before its call is closed
_BATCH_WAIT_S = 0.003  # answers that come within this time of each other are written down together
_CLOSE_S = 5
IDLE_S = 1  # servers and what lies between keep an idle connection for 5 s or more
_NOBODY = "without-an-account"  # the client wants some name and password
_UNUSED = "none"
CODE_CHARS_MAX = 64  # call_log.error_code holds no more

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_OURS = "outbound-api"  # the direction of a call that was made as we make them
_QUEUED = "queued"
_WORD = re.compile(r"(?=.{1,64}\Z)[a-z]+(-[a-z]+)*")
_PAGES_MAX = 1000  # of one list: a carrier whose pages do not end must not keep anybody for ever
_FIND_PAGES_MAX = 4  # a telephone has some calls in two days, where a carrier knows the filter

_DAY = timedelta(days=1)
EARLY = timedelta(minutes=1)  # the carrier's clock may differ from ours by this much
_LATE = timedelta(minutes=2)

SIGNATURE = re.compile(r"[A-Za-z0-9+/]{27}=")  # of a callback: 20 bytes in Base64

T = TypeVar("T")


class _TooLate(Exception):
    """The moment of a paced dial had passed; nothing was sent."""


class _Sending:
    """Has anything of one request been given to a connection?  Nothing is after *send_by*, by time.monotonic()."""

    def __init__(self, send_by: float | None) -> None:
        self.has_begun = False
        self.opening_at = 0.0
        self._send_by = send_by

    def opened(self) -> None:
        """A connection was opened for it: what the quickest of the latest ones took does not make it late."""
        _opened_s.append(time.monotonic() - self.opening_at)
        if self._send_by is not None:
            self._send_by += min(_opened_s)

    def check(self) -> None:
        """Raise _TooLate after its moment."""
        if self._send_by is not None and time.monotonic() > self._send_by:
            raise _TooLate


_opened_s: deque[float] = deque(maxlen=_OPENED_KEPT)

# Of the dial that the current task is about; a request that nobody asks about has none.
_sending: contextvars.ContextVar[_Sending | None] = contextvars.ContextVar("sending", default=None)


async def _note_opening(_: object, context: Any, __: object) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.opening_at = time.monotonic()


async def _note_opened(_: object, context: Any, __: object) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.opened()


async def _note_begun(_: object, context: Any, __: object) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.check()
        context.trace_request_ctx.has_begun = True


class SignedForm(Protocol):
    """A callback's form: every value of a name, repeated ones too."""

    def getlist(self, key: Any) -> list[str]: ...
    def keys(self) -> Any: ...


class Twilio:
    """
    Twilio's client for all threads of a process: requests run concurrently, on one thread of its own.

    It asks about the calls of TWILIO_ACCOUNT_SID; `of` gives a client for another account.
    """

    def __init__(self, config: Settings) -> None:
        self._http = _Http(config)  # it refuses a wrong environment, before there is a thread
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
        sending = _Sending(order.send_by)
        _sending.set(sending)  # each dial is a task, which has this variable to itself
        try:
            call = await twilio_rest.request(
                self._client_of(order.account), "POST", "/Calls.json", form=self._form_of(order)
            )
        except RestError as error:
            return order.call_id, _outcome(error)
        except _TooLate:
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

    def fetch_call(self, call_sid: str, order: DialOrder | None = None) -> Report | None:
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

    def find_calls(self, order: DialOrder, dialed_at: datetime, closed_at: datetime | None = None) -> list[Report]:
        """Implements `Carrier.find_calls`."""
        found: dict[str, Report] = {}
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

    def hang_up(self, call_sid: str, status: Literal["canceled", "completed"]) -> Report | None:
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


class _Http(AsyncHttpClient):  # type: ignore[misc]
    """
    Keeps connections from one request to the next, but no idle ones; gives up where the client's own waits for ever.

    A connection that lay idle may have been forgotten on its way; what is sent on it gets a reset, and nobody could say
    whether the call was made.  A new one either comes about or it does not.  A create is never sent twice (aiohttp
    repeats only methods that are idempotent).
    """

    def __init__(self, config: Settings) -> None:
        super().__init__(logging.getLogger("twilio.http"), True, None)
        self._config = config
        self._session: aiohttp.ClientSession | None = None
        self._proxy = _proxy_to(config.api_url)
        self._tls = _tls()
        self._accepted: dict[str, str] = {}  # the auth token that the carrier took last, by account

    async def request(
        self,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: Any = None,
        **_: Any,
    ) -> Response:
        """Implements `AsyncHttpClient.request`."""
        sending = _sending.get()
        if sending is not None:
            sending.check()
        account = auth[0]
        for user, password in self._logins(account):
            login = base64.b64encode(":".join((user, password)).encode()).decode()
            answer = await self._request_as(login, method, url, params, data, headers, sending)
            if answer.status_code != HTTPStatus.UNAUTHORIZED:
                self._accepted[account] = password
                break  # with 401 the carrier has done nothing: the next token may be the primary one by now
        return answer

    def _logins(self, account: str) -> list[tuple[str, str]]:
        """
        The logins to try in turn: with auth tokens, one for each, first the one that was accepted last.

        Raises:
            NoCredentials: there are none of this account.
        """
        known = accounts.credentials(account, self._config) if account else None
        if known is None or not known.has_login:
            raise NoCredentials(account)
        if known.api_key:
            return [known.api_key]
        accepted = self._accepted.get(account)
        return [(account, token) for token in sorted(known.auth_tokens, key=lambda token: token != accepted)]

    async def _request_as(
        self, login: str, method: str, url: str, params: Any, data: Any, headers: Any, sending: _Sending | None
    ) -> Response:
        if self._session is None:
            self._session = self._open()
        form = {"Authorization": f"Basic {login}", "Content-Type": "application/x-www-form-urlencoded"}
        async with self._session.request(
            method,
            URL(f"{url}?{_encoded(params)}" if params else url, encoded=True),
            data=_encoded(data) if data else None,
            headers=headers | form,
            proxy=self._proxy,
            allow_redirects=False,
            trace_request_ctx=sending,
        ) as answer:
            # Whatever charset the answer claims: that we cannot read it must not look like a request that never left.
            return Response(answer.status, (await answer.read()).decode(errors="replace"), answer.headers)

    def _open(self) -> aiohttp.ClientSession:
        answer_s = self._config.carrier_timeout_s
        each_s = min(CONNECT_S, answer_s)  # per address; a name server, or more addresses, may take as long again
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_start.append(_note_opening)
        tracing.on_connection_create_end.append(_note_opened)
        tracing.on_request_headers_sent.append(_note_begun)  # aiohttp calls it before it writes the first byte
        limits = aiohttp.ClientTimeout(
            connect=2 * each_s, sock_connect=each_s, sock_read=answer_s, total=2 * each_s + answer_s
        )
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S, ssl=self._tls),
            timeout=limits,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[tracing],
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()


def _proxy_to(url: str) -> str | None:
    """
    What the environment says, read once; but what is on loopback is not behind a proxy.

    Raises:
        ValueError: it names a proxy that we cannot speak to.
    """
    parts = urlsplit(url)
    if parts.hostname in LOOPBACK or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and urlsplit(proxy).scheme not in ("http", "https"):
        raise ValueError(f"{parts.scheme}_proxy: must be an http:// or https:// address")
    return proxy


def _encoded(fields: Mapping[str, Any]) -> str:
    return urlencode({name: value for name, value in fields.items() if value is not None}, doseq=True)


def _tls() -> ssl.SSLContext:
    """What the environment says of certificates, as other programs read it; else those that come with the client."""
    trusted = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    is_dir = Path(trusted).is_dir()
    return ssl.create_default_context(cafile=None if is_dir else trusted, capath=trusted if is_dir else None)


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


def is_genuine(url: str, form: SignedForm, signature: str | None, account: str | None = None) -> bool:
    """
    Did the carrier sign this callback with a token of *account*?  None is TWILIO_ACCOUNT_SID.

    *url* is the public one, rebuilt from our own setting and never from headers (Twilio, webhooks security).  Twilio
    logs in with a user and password of the URL, and signs it without them.
    """
    if not signature or not SIGNATURE.fullmatch(signature):
        return False
    try:
        signed = urls.without_login(url)
        known = accounts.credentials(account)
        tokens = known.auth_tokens if known is not None else ()
        # Any of them: the next one becomes the primary one at a moment that the carrier chooses.
        return any(_signed_with(token, signed, form, signature) for token in tokens)
    except Exception:  # noqa: BLE001 (the validator raises TypeError on odd input: that is a no)
        return False


def _signed_with(token: str, url: str, form: SignedForm, signature: str) -> bool:
    validator = RequestValidator(token)
    # Nearly always the URL as it is; the validator also tries it with and without its port, one after the other.
    return hmac.compare_digest(validator.compute_signature(url, form), signature) or bool(
        validator.validate(url, form, signature)
    )


def sign(url: str, form: Mapping[str, str]) -> str:
    """
    The signature that the carrier puts on a callback to *url*; with it the doctor asks our own web process.

    The carrier signs the URL without its user and password.

    Raises:
        RuntimeError: no auth token is known.
    """
    tokens = auth_token.tokens()
    if not tokens:
        raise RuntimeError("TWILIO_AUTH_TOKEN is not set")
    signature: str = RequestValidator(tokens[0]).compute_signature(urls.without_login(url), dict(form))
    return signature


def read_callback(form: Mapping[str, str]) -> Report:
    """
    A status callback in our words.  An optional parameter that cannot be read is left out, and stays in the payload.

    Raises:
        ValueError: CallSid or CallStatus is missing or malformed; the message names it.
    """
    call_sid = _call_sid(form)
    if not _WORD.fullmatch(form.get("CallStatus", "")):
        raise ValueError("CallStatus is missing or malformed")
    return Report(
        call_sid=call_sid,
        status=our_status(form["CallStatus"]),
        source="callback",
        to_number=form.get("To") or None,
        sequence_number=twilio_fields.whole(form.get("SequenceNumber")),
        occurred_at=twilio_fields.moment(form.get("Timestamp")),
        duration_s=twilio_fields.whole(form.get("CallDuration")),
        answered_by=twilio_fields.text(form.get("AnsweredBy"), twilio_fields.WORD_CHARS_MAX),
        sip_code=twilio_fields.sip_code(form.get("SipResponseCode")),
        payload=dict(form),
    )


def read_verdict(form: Mapping[str, str]) -> tuple[str, str]:
    """
    What machine detection says after a while, which has no CallStatus: the call_sid, and who answered.

    Raises:
        ValueError: a parameter is missing or malformed; the message names it.
    """
    call_sid, answered_by = _call_sid(form), form.get("AnsweredBy", "")
    if not answered_by:
        raise ValueError("AnsweredBy is missing")
    return call_sid, answered_by[: twilio_fields.WORD_CHARS_MAX]


def caller_of(form: Mapping[str, str]) -> str:
    """The caller's address as the carrier reports it; `anonymous` where the number is withheld, in any spelling."""
    caller = form.get("From", "")
    name = caller.strip().lower().removeprefix("sip:").partition("@")[0].removeprefix("+")
    return "anonymous" if name in WITHHELD_DIGITS | WITHHELD_WORDS else caller


def answer_inbound(voice_url: str | None, twiml: str | None) -> str:
    """The TwiML with which a business answers its phone; one that has nothing to say lets nobody in."""
    if twiml is not None:
        return twiml
    response = VoiceResponse()
    if voice_url is None:
        response.reject()
    else:
        response.redirect(voice_url)
    return str(response)


class _NoSuchCall(Exception):
    """404 to a question."""


async def _ask(question: Awaitable[T]) -> T:
    try:
        return await question
    except RestError as error:
        # Where the body is none of Twilio's, somebody in between knows no such address: that is no word of the call.
        if error.status == 404 and error.has_body:
            raise _NoSuchCall from error
        raise CarrierSilent(f"HTTP {error.status}") from error
    except (aiohttp.ClientError, TimeoutError, UnicodeError) as error:
        raise CarrierSilent(type(error).__name__) from error
    except (ValueError, RecursionError) as error:  # not JSON
        raise OddAnswer(type(error).__name__) from error


def _outcome(error: RestError) -> Answer:
    """What an error answer to a create means; the table is in Twilio's error dictionary and its outcome classes."""
    if not 400 <= error.status < 500 or error.status == 408:
        return CallUnsure(f"HTTP {error.status}")
    at_fault: Literal["number", "campaign"] | None = (
        "number" if error.code in _NUMBER_CODES else "campaign" if error.code in _CAMPAIGN_CODES else None
    )
    if at_fault is None and _is_of_account(error):
        too_many = error.status == 429 or error.code in _TOO_MANY_CODES
        return SlowDown(f"HTTP {error.status}, code {error.code}", of_account=not too_many)
    return CallRefused(error.code_text[:CODE_CHARS_MAX], str(error), at_fault=at_fault)


def _is_of_account(error: RestError) -> bool:
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
    latest = min(dialed_at + _LATE, closed_at or dialed_at + _LATE)
    return (
        call.direction == _OURS
        and call.to_number == order.to_number
        and call.from_number == order.from_number
        and call.created_at is not None
        and dialed_at - EARLY <= call.created_at <= latest
    )


def _may_be(call: CarrierCall, order: DialOrder) -> bool:
    """Is that what was dialed?  What the carrier does not say, or writes otherwise than as E.164, proves nothing."""
    numbers = ((call.to_number, order.to_number), (call.from_number, order.from_number))
    return call.direction in (None, _OURS) and all(
        callback_tag.phone_key(theirs) == callback_tag.phone_key(ours)
        for theirs, ours in numbers
        if theirs and _E164.fullmatch(theirs) and _E164.fullmatch(ours)
    )


def _queue_time_s(milliseconds: object) -> float:
    """Twilio writes it as text, and not always: what is no number is no wait."""
    return (twilio_fields.whole(milliseconds) or 0) / 1000


def _call_sid(form: Mapping[str, str]) -> str:
    call_sid = form.get("CallSid", "")
    if not (len(call_sid) == 34 and call_sid.startswith("CA") and call_sid.isascii() and call_sid.isalnum()):
        raise ValueError("CallSid is missing or malformed")
    return call_sid
