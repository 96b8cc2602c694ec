"""Knows what Twilio objects to in a request, and in which words.  Pure rules: no sockets and no clock."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass

from multidict import MultiMapping
from yarl import URL

Form = MultiMapping[str]

EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})  # that a callback may tell
DETECTIONS = ("Enable", "DetectMessageEnd")
RING_MAX_S = 600  # Twilio's own bound on Timeout
CALLBACK_MAX_CHARS = 4000
E164 = re.compile(r"\+[1-9]\d{6,14}")
SEND_DIGITS = re.compile(r"[0-9*#wW]{0,32}")


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as Twilio words it: the HTTP status, and the code that says more."""

    status: int
    code: int
    message: str

    def body(self) -> dict[str, object]:
        return {**asdict(self), "more_info": f"https://www.twilio.com/docs/errors/{self.code}"}


WRONG_KEY = Fault(401, 20003, "Authenticate")
NOT_FOUND = Fault(404, 20404, "There is nothing at this address.")
BAD_PARAMETER = Fault(400, 20001, "A parameter of this request makes no sense here.")
CALL_IS_OVER = Fault(400, 21220, "The call is over.")
NOT_IN_PROGRESS = Fault(400, 21220, "Only a call in progress can be redirected.")
NO_SUCH_NUMBER = Fault(400, 21211, "'To' is not a phone number.")
NO_PERMISSION = Fault(400, 21215, "This account may not call that country.")
TOO_MANY_REQUESTS = Fault(429, 20429, "Too many requests at once; this one was not processed.")
SERVER_ERROR = Fault(500, 20500, "Something broke here.")
UNAVAILABLE = Fault(503, 20503, "Not available just now.")


def fault_in(form: Form) -> Fault | None:
    """The first thing Twilio would object to in a create request, or None."""
    return next((fault for objects, fault in _FAULTS if objects(form)), None)


def callback_of(form: Form) -> str | None:
    """Return where callbacks go. With an ApplicationSid Twilio ignores the StatusCallback parameters."""
    return None if form.get("ApplicationSid") else form.get("StatusCallback") or None


def verdict_callback_of(form: Form) -> str | None:
    """Return where asynchronous machine detection tells its verdict."""
    asked = form.get("MachineDetection") and form.get("AsyncAmd") == "true"
    return form.get("AsyncAmdStatusCallback") or None if asked else None


def events_of(form: Form) -> frozenset[str]:
    """The events that the request names; by default only the end is reported."""
    return frozenset(form.getall("StatusCallbackEvent", ["completed"]))


def seconds(text: str | None) -> int | None:
    """A whole number (Twilio's parameters count seconds, its overrides milliseconds), or None for anything else."""
    return int(text) if text and text.isascii() and text.isdecimal() else None


def _lacks_instructions(form: Form) -> bool:
    if form.get("Url"):
        return not _is_web_address(form["Url"])
    return not (form.get("Twiml") or form.get("ApplicationSid"))


def _rings_too_long(form: Form) -> bool:
    return "Timeout" in form and not 1 <= (seconds(form["Timeout"]) or 0) <= RING_MAX_S


def _calls_back_elsewhere(url: str | None) -> bool:
    """Return whether a callback would leave this machine, or could not be sent at all."""
    return url is not None and (len(url) > CALLBACK_MAX_CHARS or not _is_web_address(url) or not _is_here(url))


def _is_web_address(url: str) -> bool:
    try:
        parts = URL(url, encoded=True)
        return parts.scheme in ("http", "https") and bool(parts.host) and parts.port is not None
    except ValueError:
        return False


def _is_here(url: str) -> bool:
    host = URL(url, encoded=True).host or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_FAULTS: tuple[tuple[Callable[[Form], bool], Fault], ...] = (
    (lambda form: not form.get("To"), Fault(400, 21201, "'To' is missing.")),
    (lambda form: not form.get("From"), Fault(400, 21213, "'From' is missing.")),
    (lambda form: not E164.fullmatch(form["To"]), NO_SUCH_NUMBER),
    (lambda form: not E164.fullmatch(form["From"]), Fault(400, 21212, "'From' is not a phone number.")),
    (_lacks_instructions, Fault(400, 21205, "A Url that is one, a Twiml or an ApplicationSid is needed.")),
    (lambda form: not SEND_DIGITS.fullmatch(form.get("SendDigits", "")), Fault(400, 21206, "Bad 'SendDigits'.")),
    (_rings_too_long, Fault(400, 21208, "'Timeout' is whole seconds, at most 600.")),
    (lambda form: not events_of(form) <= EVENTS, Fault(400, 21626, "Unknown 'StatusCallbackEvent'.")),
    (
        lambda form: _calls_back_elsewhere(callback_of(form)) or _calls_back_elsewhere(verdict_callback_of(form)),
        Fault(400, 21609, "'StatusCallback' must be an address on this machine."),
    ),
    (
        lambda form: form.get("MachineDetection", "Enable") not in DETECTIONS,
        Fault(400, 20001, "'MachineDetection' is Enable or DetectMessageEnd."),
    ),
)
