"""
A callback's form.  The carrier signs the URL and each parameter's name and value, without anything in between.

So one signature would fit many forms: "From" + "+1500To+1501" as well as "From" + "+1500" and "To" + "+1501".  Here one
signed text has one form: what Twilio does not send, in names, in percent-codings, or cut apart, is no form.
Sources: Twilio's page on the security of webhooks, twilio-python's validator, and the parameters of voice requests.
"""

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, quote_plus

FIELDS_MAX = 200

Pairs = Sequence[tuple[str, str]]

_NAME = re.compile(r"(?=[A-Z0-9]*[a-z])[A-Z][A-Za-z0-9]{0,63}(?:_[A-Za-z0-9-]{1,128})?")  # CallSid, SipHeader_X-Account

# What Twilio is known to send with voice callbacks.  It adds others without notice.
_PLACES = ("City", "Country", "State", "Zip")
_KNOWN = (
    *("AccountSid", "AddOns", "AnsweredBy", "ApiVersion", "CallDuration", "CallSid", "CallStatus", "CallToken"),
    *("CallbackSource", "CallerId", "CallerName", "Direction", "Duration", "ErrorCode", "ErrorMessage", "ErrorUrl"),
    *("ForwardedFrom", "MachineDetectionDuration", "ParentCallSid", "QueueTime", "RecordingDuration", "RecordingSid"),
    *("RecordingUrl", "SequenceNumber", "SipCallId", "SipDomain", "SipDomainSid", "SipResponseCode"),
    *("StirPassportToken", "StirStatus", "StirVerstat", "Timestamp"),
    *(f"{whose}{place}" for whose in ("Called", "Caller", "From", "To") for place in _PLACES),
)
_NAMES = frozenset((*_KNOWN, "Called", "Caller", "From", "To"))
# These are English words, or begin some: they are names where a number follows, or an address.
_SHORT = r"(?:Called|Caller|From|To)(?=\+|[0-9]|sips?:|client:)"
_LONG = "|".join(sorted(_KNOWN, key=len, reverse=True))
_CUT_NAME = re.compile(rf"({_LONG})|(?:Called|Caller|From|To)[0-9]")
_SPELLED = re.compile(f"{_LONG}|{_SHORT}")
_COUNT_AND_NAME = re.compile(r"[0-9]+[A-Za-z]")

# How it is written: Java's encoder (Twilio) leaves `*` and codes `~`, others do the opposite.
_JAVA = "*"


class Unreadable(ValueError):
    """This is not a form as the carrier sends it; the message says what is wrong."""


def read(body: bytes) -> Pairs:
    """
    The parameters of a form.

    Raises:
        Unreadable: it is no form, or could be written, or cut into parameters, otherwise than Twilio does.
    """
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError:
        raise Unreadable("this is not a form that we can read") from None
    if text not in (_written(pairs), _written(pairs, safe=_JAVA).replace("~", "%7E")):
        raise Unreadable("its percent-codings are not those of a form that the carrier sends")
    names = [name for name, _ in pairs]
    if not all(map(_NAME.fullmatch, names)):
        raise Unreadable("a parameter has a name that the carrier does not send")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Unreadable(f"{twice} is given more than once")
    if _is_cut_apart(sorted(pairs)):
        raise Unreadable("a parameter's name is part of another's name or value")
    return pairs


def _written(pairs: Pairs, safe: str = "") -> str:
    return "&".join(f"{quote_plus(name, safe=safe)}={quote_plus(value, safe=safe)}" for name, value in pairs)


def _is_cut_apart(pairs: Pairs) -> bool:
    """Does the signed text spell a parameter that the form does not have?"""
    form = dict(pairs)
    if any((found := _CUT_NAME.match(name)) and found[1] not in form for name in form if name not in _NAMES):
        return True
    if _COUNT_AND_NAME.match(form.get("SequenceNumber", "")):
        return True
    text, spans = "", []
    for name, value in pairs:
        spans.append((len(text), len(text) + len(name)))
        text += name + value
    return any(
        found[0] not in form and not any(start <= found.start() and found.end() <= end for start, end in spans)
        for found in _SPELLED.finditer(text)
    )
