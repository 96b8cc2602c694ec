"""Reads what Twilio sends to us: signatures, status callbacks, verdicts of machine detection, calls that come in."""

import hmac
import re
from collections.abc import Mapping
from typing import Any, Protocol

from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import VoiceResponse

from outbound.call import WITHHELD_DIGITS, WITHHELD_WORDS, CallEvent
from outbound.carrier import accounts, auth_token, twilio_fields
from outbound.carrier.twilio_rest import our_status
from outbound.formats import urls

_WORD = re.compile(r"(?=.{1,64}\Z)[a-z]+(-[a-z]+)*")
SIGNATURE = re.compile(r"[A-Za-z0-9+/]{27}=")  # of a callback: 20 bytes in Base64


class SignedForm(Protocol):
    """A callback's form: every value of a name, repeated ones too."""

    def getlist(self, key: Any) -> list[str]: ...
    def keys(self) -> Any: ...


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


def read_callback(form: Mapping[str, str]) -> CallEvent:
    """
    A status callback in our words.  An optional parameter that cannot be read is left out, and stays in the payload.

    Raises:
        ValueError: CallSid or CallStatus is missing or malformed; the message names it.
    """
    call_sid = _call_sid(form)
    if not _WORD.fullmatch(form.get("CallStatus", "")):
        raise ValueError("CallStatus is missing or malformed")
    return CallEvent(
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
    Return what machine detection says after a while, which has no CallStatus: the call_sid, and who answered.

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


def _call_sid(form: Mapping[str, str]) -> str:
    call_sid = form.get("CallSid", "")
    if not (len(call_sid) == 34 and call_sid.startswith("CA") and call_sid.isascii() and call_sid.isalnum()):
        raise ValueError("CallSid is missing or malformed")
    return call_sid
