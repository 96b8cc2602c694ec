"""Twilio, or anyone who speaks its Calls API at TWILIO_API_URL; the only file that knows the twilio client."""

import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.twiml.voice_response import VoiceResponse

from outbound.call import FINAL, DialOrder, Report
from outbound.carrier import Accepted, CallNotSent, CallRefused, CallUnsure, CarrierSilent, SlowDown
from outbound.config import LOOPBACK, Settings, settings

EVENTS = ["initiated", "ringing", "answered", "completed"]  # `completed` covers every final status

# Retries of a status callback, within the 15 s that Twilio gives it in all; by default it tries again only when it
# could not connect (connection-overrides page).  A fragment is neither sent nor signed.
RETRY_OVERRIDES = "#ct=2000&rt=5000&tt=15000&rc=5&rp=5xx,ct,rt"

# The account cannot call at all (wrong token, no such account, suspended, too many calls at once): nothing rang, and
# burning the queue on it would be our fault.  Codes from Twilio's error dictionary.
_NOT_NOW_CODES = {10001, 10004, 20003, 20005, 20429, 86008}
_NOT_NOW_STATUSES = {401, 402, 403, 404, 405, 407, 429}

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

# What Twilio says in place of a number that the caller withholds: ANONYMOUS, BLOCKED, RESTRICTED, UNAVAILABLE and
# UNKNOWN on a telephone's keys.  They look like numbers, and would make one lead of all who withhold theirs.
_WITHHELD = {"+266696687", "+2562533", "+7378742833", "+86282452253", "+8656696"}

CONNECT_S = 3  # per address: a dial that never left must be known as such before its call is closed
IDLE_S = 1  # servers and what lies between keep an idle connection for 5 s or more
CODE_CHARS_MAX = 64  # call_log.error_code holds no more

_EARLY = timedelta(minutes=1)  # the carrier's clock may differ from ours by this much
_LATE = timedelta(minutes=2)

T = TypeVar("T")

_ErrorAnswer = (TwilioRestException, TwilioServiceException)  # the second is the newer form, RFC 9457


class SignedForm(Protocol):
    """A callback's form: every value of a name, repeated ones too."""

    def getlist(self, key: Any) -> list[str]: ...
    def keys(self) -> Any: ...


class Twilio:
    """The carrier, for one thread: the client's connection pool is not promised to be safe for several."""

    def __init__(self, config: Settings) -> None:
        token = config.twilio_auth_token.get_secret_value() if config.twilio_auth_token else ""
        self._client = Client(config.twilio_account_sid, token, http_client=_Http(config))
        self._client.api.base_url = config.api_url
        self._config = config

    def place_call(self, order: DialOrder) -> Accepted:
        """See `Carrier.place_call`."""
        content = {"url": order.voice_url} if order.voice_url else {"twiml": order.twiml}
        callback = f"{self._config.callback_base}/callbacks/{order.call_id}"
        if order.machine_detection:  # asynchronous: nobody who picks up waits in silence for the verdict
            content |= {
                "machine_detection": order.machine_detection,
                "async_amd": "true",
                "async_amd_status_callback": f"{callback}/answered-by{RETRY_OVERRIDES}",
                "async_amd_status_callback_method": "POST",
            }
        try:
            call = self._client.calls.create(
                to=order.to_number,
                from_=order.from_number,
                status_callback=f"{callback}{RETRY_OVERRIDES}",
                status_callback_event=EVENTS,
                status_callback_method="POST",
                timeout=self._config.ring_s,
                time_limit=self._config.time_limit_s,
                **content,
            )
        except _ErrorAnswer as error:
            raise _outcome(error) from error
        except Exception as error:
            if _never_left(error):
                raise CallNotSent(type(error).__name__) from error
            raise CallUnsure(type(error).__name__) from error
        if not call.sid:
            raise CallUnsure("an answer without a call_sid")
        return Accepted(str(call.sid), _queue_time_s(call.queue_time))

    def fetch_call(self, call_sid: str) -> Report | None:
        """See `Carrier.fetch_call`."""
        try:
            return _ask(lambda: _report(self._client.calls(call_sid).fetch()))
        except _NoSuchCall:
            return None

    def find_calls(self, order: DialOrder, dialed_at: datetime, closed_at: datetime | None = None) -> list[Report]:
        """See `Carrier.find_calls`.  Queued calls have no start time, so they are asked for apart."""
        latest = min(dialed_at + _LATE, closed_at or dialed_at + _LATE)
        day = dialed_at - timedelta(days=1)  # the filter is documented by the day; we look closer ourselves

        def near() -> dict[str, Report]:
            calls = [
                *self._client.calls.list(to=order.to_number, status="queued", limit=100),
                *self._client.calls.list(to=order.to_number, start_time_after=day, limit=100),
            ]
            return {
                call.sid: _report(call)
                for call in calls
                if call.direction == "outbound-api"
                and call._from == order.from_number  # noqa: SLF001 (`from` is a keyword; this is its public name there)
                and call.date_created is not None
                and dialed_at - _EARLY <= call.date_created <= latest
            }

        try:
            return list(_ask(near).values())
        except _NoSuchCall:
            raise CarrierSilent("the carrier knows no such account") from None

    def hang_up(self, call_sid: str, status: Literal["canceled", "completed"]) -> Report | None:
        """See `Carrier.hang_up`."""
        resource = self._client.calls(call_sid)

        def ended() -> Report:
            try:
                return _report(resource.update(status=status))
            except _ErrorAnswer as error:
                if error.code != _NOT_IN_PROGRESS:
                    raise
                return _report(resource.fetch())

        try:
            return _ask(ended)
        except _NoSuchCall:
            return None


class _Http(TwilioHttpClient):  # type: ignore[misc]
    """
    Keeps its connection from one request to the next, but not an idle one.

    A connection that lay idle may have been forgotten on its way; what is sent on it gets a reset, and nobody could say
    whether the call was made.  A new one either comes about or it does not.
    """

    def __init__(self, config: Settings) -> None:
        # What the environment says, read once; but what is on loopback is not behind a proxy.
        is_near = urlsplit(config.api_url).hostname in LOOPBACK
        proxies = {} if is_near else requests.utils.get_environ_proxies(config.api_url)
        super().__init__(proxy=proxies)
        self.session.trust_env = False
        self.session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        self.timeout = (min(CONNECT_S, config.carrier_timeout_s), config.carrier_timeout_s)  # default: for ever
        self._used_at = float("-inf")

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """See `TwilioHttpClient.request`."""
        if time.monotonic() - self._used_at > IDLE_S:
            self.session.close()
        try:
            return super().request(*args, **kwargs)
        finally:
            self._used_at = time.monotonic()


_local = threading.local()


def carrier() -> Twilio:
    """The carrier of this thread."""
    if not hasattr(_local, "carrier"):
        _local.carrier = Twilio(settings())
    twilio: Twilio = _local.carrier
    return twilio


def is_genuine(url: str, form: SignedForm, signature: str | None) -> bool:
    """
    Did the carrier sign this callback?

    *url* is the public one, rebuilt from our own setting and never from headers (Twilio, webhooks security).  Twilio
    logs in with a user and password of the URL, and signs it without them.
    """
    token = settings().twilio_auth_token
    if not signature or token is None:
        return False
    try:
        parts = urlsplit(url)
        signed = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return bool(RequestValidator(token.get_secret_value()).validate(signed, form, signature))
    except Exception:  # noqa: BLE001 (the validator raises TypeError on odd input: that is a no)
        return False


def sign(url: str, form: Mapping[str, str]) -> str:
    """The signature that the carrier puts on a callback to *url*; with it the doctor asks our own web process."""
    token = settings().twilio_auth_token
    if token is None:
        raise RuntimeError("TWILIO_AUTH_TOKEN is not set")
    signature: str = RequestValidator(token.get_secret_value()).compute_signature(url, dict(form))
    return signature


def read_callback(form: Mapping[str, str]) -> Report:
    """
    A status callback in our words.

    Raises:
        ValueError: a parameter is missing or malformed; the message names it.
    """
    call_sid = _call_sid(form)
    if not form.get("CallStatus"):
        raise ValueError("CallStatus is missing")
    return Report(
        call_sid=call_sid,
        status=our_status(form["CallStatus"]),
        source="callback",
        to_number=form.get("To") or None,
        sequence_number=_whole(form, "SequenceNumber"),
        occurred_at=_moment(form.get("Timestamp")),
        duration_s=_whole(form, "CallDuration"),
        answered_by=form.get("AnsweredBy") or None,
        sip_code=_whole(form, "SipResponseCode"),
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
    return call_sid, answered_by[:32]


def our_status(word: str) -> str:
    """Twilio's word for a status, in ours: its `queued` means that it has taken the call."""
    return "initiated" if word == "queued" else word[:32]


def caller_of(form: Mapping[str, str]) -> str:
    """Who calls, as the carrier says it; `anonymous` for who withholds their number."""
    caller = form.get("From", "")
    return "anonymous" if caller in _WITHHELD else caller


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


def _ask(question: Callable[[], T]) -> T:
    try:
        return question()
    except _ErrorAnswer as error:
        if error.status == 404:
            raise _NoSuchCall from error
        raise CarrierSilent(f"HTTP {error.status}") from error
    except (TwilioException, requests.RequestException, ValueError, TypeError, AttributeError) as error:
        raise CarrierSilent(type(error).__name__) from error  # the last three: an answer that is no call


def _outcome(error: TwilioRestException | TwilioServiceException) -> Exception:
    """What an error answer to a create means; the table is in Twilio's error dictionary and its outcome classes."""
    if not 400 <= error.status < 500 or error.status == 408:
        return CallUnsure(f"HTTP {error.status}")
    at_fault: Literal["number", "campaign"] | None = (
        "number" if error.code in _NUMBER_CODES else "campaign" if error.code in _CAMPAIGN_CODES else None
    )
    if at_fault is None and (error.status in _NOT_NOW_STATUSES or error.code in _NOT_NOW_CODES):
        return SlowDown(f"HTTP {error.status}, code {error.code}")
    said = error.msg if isinstance(error, TwilioRestException) else error.detail or error.title
    code = str(error.code or error.status)[:CODE_CHARS_MAX]
    return CallRefused(code, str(said), at_fault=at_fault)


def _never_left(error: BaseException) -> bool:
    """Is it certain that the request was not sent?  Only where no connection was made; everything else is unknown."""
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.InvalidURL):
        return True
    cause = error.args[0] if isinstance(error, requests.exceptions.ConnectionError) and error.args else None
    reason: BaseException | None = cause.reason if isinstance(cause, urllib3.exceptions.MaxRetryError) else None
    if isinstance(reason, urllib3.exceptions.SSLError):  # of these, only a bad certificate is always before the request
        return bool(reason.args) and isinstance(reason.args[0], ssl.SSLCertVerificationError)
    if isinstance(reason, urllib3.exceptions.ProxyError):  # the proxy itself could not be reached
        reason = reason.original_error
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def _report(call: Any) -> Report:
    return Report(
        call_sid=call.sid,
        status=our_status(call.status),
        source="lookup",
        occurred_at=call.end_time if our_status(call.status) in FINAL else None,
        duration_s=int(call.duration) if call.duration else None,
        answered_by=call.answered_by or None,
        payload={"CallStatus": call.status},
    )


def _queue_time_s(milliseconds: object) -> float:
    """Twilio writes it as text, and not always: what is no number is no wait."""
    text = str(milliseconds)
    return int(text) / 1000 if text.isascii() and text.isdigit() and len(text) <= 9 else 0


def _call_sid(form: Mapping[str, str]) -> str:
    call_sid = form.get("CallSid", "")
    if not (len(call_sid) == 34 and call_sid.startswith("CA") and call_sid.isascii() and call_sid.isalnum()):
        raise ValueError("CallSid is missing or malformed")
    return call_sid


def _whole(form: Mapping[str, str], name: str) -> int | None:
    """A whole number that may be missing or empty (Twilio sends an empty CallDuration now and then)."""
    value = form.get(name, "")
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise ValueError(f"{name} is not a whole number")
    return int(value)


def _moment(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value) if value else None
    except (ValueError, OverflowError):
        raise ValueError("Timestamp is not an RFC 2822 date") from None
    return moment if moment is None or moment.tzinfo else None
