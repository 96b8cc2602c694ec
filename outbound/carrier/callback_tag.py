"""
The unguessable part of a callback's path: who knows it was given it by us, for this call and this number.

It is made of the call's id and number, not stored: it survives a restore, and a row that took over an id has another.
"""

import base64
import hashlib
import hmac
import re

from outbound import config
from outbound.carrier import auth_token
from outbound.settings_model import Settings

_ID_BYTES = 8  # of the id alone: checked before the body is read, which names the number
_NUMBER_BYTES = 16  # 128 bits
TAG_CHARS = 4 * (_ID_BYTES + _NUMBER_BYTES) // 3  # of URL-safe Base64, without padding
TAG = re.compile(rf"[A-Za-z0-9_-]{{{TAG_CHARS}}}")


class NoKey(Exception):
    """Neither OUTBOUND_CALLBACK_KEY nor an auth token is known: no call may be dialed that nobody could call back."""


def make(call_id: int, to_number: str, settings: Settings | None = None) -> str:
    """
    The tag of a call.

    Args:
        settings: those of this process by default.

    Raises:
        NoKey: there is nothing to make it with.
    """
    for key in _keys(settings):
        return base64.urlsafe_b64encode(_of_id(key, call_id) + _of_number(key, call_id, to_number)).decode()
    raise NoKey


def names_call(tag: str, call_id: int) -> bool:
    """Was *tag* made for this id?  It says nothing of the number yet."""
    made = _bytes(tag)
    return any(hmac.compare_digest(made[:_ID_BYTES], _of_id(key, call_id)) for key in _keys())


def fits(tag: str, call_id: int, to_number: str) -> bool:
    """Was *tag* made for this call, and this number, whichever of its two E.164 forms it is written in?"""
    made = _bytes(tag)
    wanted = [_of_id(key, call_id) + _of_number(key, call_id, to_number) for key in _keys()]
    return any(hmac.compare_digest(made, each) for each in wanted)


def _keys(settings: Settings | None = None) -> list[bytes]:
    """
    First the one that tags are made with, then those that calls in the air may have been tagged with.

    An auth token that is being rotated, or that was all there was before OUTBOUND_CALLBACK_KEY was set, still counts:
    who knows it can sign callbacks anyway.
    """
    settings = settings or config.settings()
    given = [settings.callback_key.get_secret_value()] if settings.callback_key else []
    return [_derived(secret) for secret in (*given, *auth_token.tokens(settings))]


def _derived(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"outbound callback tag", hashlib.sha256)


def _of_id(key: bytes, call_id: int) -> bytes:
    return hmac.digest(key, b"id %d" % call_id, hashlib.sha256)[:_ID_BYTES]


def _of_number(key: bytes, call_id: int, to_number: str) -> bytes:
    text = f"call {call_id} {phone_key(to_number)}".encode(errors="replace")
    return hmac.digest(key, text, hashlib.sha256)[:_NUMBER_BYTES]


def _bytes(tag: str) -> bytes:
    return base64.urlsafe_b64decode(tag) if TAG.fullmatch(tag) else b""


# As the function of this name in SQL, which says why; a test compares them.
_COUNTRIES = ("+52", "+54", "+55")  # that have several forms
_FORMS = (
    (re.compile(r"\+549([0-9]{10})"), r"+54\1"),
    (re.compile(r"\+521([0-9]{10})"), r"+52\1"),
    (re.compile(r"(\+55[1-9]{2})([6-9][0-9]{7})"), r"\g<1>9\2"),
)


def phone_key(number: str) -> str:
    """The form of a number that stands for its telephone."""
    for form, key in _FORMS if number.startswith(_COUNTRIES) else ():
        if form.fullmatch(number):
            return form.sub(key, number)
    return number
