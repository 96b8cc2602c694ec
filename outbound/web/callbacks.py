"""
Takes what the carrier sends: it is read within bounds, nothing in it is believed before its signature fits, then it
is handed to a step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from outbound import db, logs
from outbound.call import CallEvent
from outbound.calls import events
from outbound.carrier import accounts, callback_form, callback_tag, twilio_webhooks
from outbound.carrier.callback_form import FIELDS_MAX, Unreadable
from outbound.config import settings
from outbound.formats import row_id
from outbound.web import refusals

__all__ = ["BODY_MAX", "FIELDS_MAX", "answered_by", "inbound_status", "status_callback", "voice_inbound"]

BODY_MAX = 65_536  # bytes; a callback has some hundred

# Which call it is and what became of it: there is no NUL in these.
_IDENTITY = ("CallSid", "CallStatus", "AccountSid", "To", "From")

T = TypeVar("T")

_ANSWERS = {
    "moved": 204,
    "kept": 204,
    "unchanged": 204,
    "unknown_status": 204,
    "never_dialed": 204,
    "set_aside": 204,
    "other_account": 403,
    "untagged": 403,
    "unknown_call": 404,
    "other_call_sid": 409,
}
_WRONG_TAG = "this is not the path that was made for this call: check OUTBOUND_CALLBACK_KEY"
_UNKNOWN_NUMBER = "no business of this account has this number: `outbound business set ID --number … --account …`"
_OTHER_ACCOUNT = "this is another account's call"
_FORGED = "the signature does not fit: check OUTBOUND_PUBLIC_URL, and the auth token of the account that calls"
_TOO_LARGE = f"a callback has at most {BODY_MAX} bytes"
_TEXTS = {
    "other_account": _OTHER_ACCOUNT,
    "untagged": _WRONG_TAG,
    "unknown_call": "there is no such call",
    "other_call_sid": "this call has another call_sid",
}


@dataclass
class Refused(Exception):
    """The request changes nothing; `reason` is a label of outbound_callbacks_refused_total."""

    status: int
    reason: str
    text: str

    def response(self, request: Request) -> Response:
        """Count the refusal and say it."""
        refusals.note_callback(self.reason, request.client.host if request.client else None)
        return PlainTextResponse(self.text + "\n", self.status)


async def status_callback(request: Request) -> Response:
    """POST /callbacks/{call_id}/{tag}: a status of one of our outbound calls."""
    with logs.about(call_id=_named_call(request)):
        try:
            form = await _signed_form(request)
            _must_be_of("outbound-api", form)
            if not form.get("To"):
                raise Refused(400, "malformed", "To is missing")
            report = replace(_read_report(form), is_untagged=_must_fit(request, form["To"]))
            return _answer(await request.app.state.callback_batcher.record(_call_id(request), report))
        except Refused as refused:
            return refused.response(request)
        except db.Unavailable:
            return _try_again()


async def answered_by(request: Request) -> Response:
    """POST /callbacks/{call_id}/{tag}/answered-by: what machine detection says of one of our outbound calls."""
    with logs.about(call_id=_named_call(request)):
        try:
            form = await _signed_form(request)
            if "Direction" in form:  # Twilio says neither the direction nor a number here
                _must_be_of("outbound-api", form)
            call_sid, word = _read(form, twilio_webhooks.read_verdict)
            call_id = _call_id(request)
            number = await run_in_threadpool(events.called_number, call_id)
            if number is None:
                raise Refused(404, "unknown_call", _TEXTS["unknown_call"])
            is_untagged = _must_fit(request, number)
            result = await run_in_threadpool(
                events.record_answered_by,
                call_id,
                call_sid,
                word,
                _payload(form),
                is_untagged=is_untagged,
                account=form["AccountSid"],
            )
            return _try_again() if result == "no_call_sid_yet" else _answer(result)
        except Refused as refused:
            return refused.response(request)
        except db.Unavailable:
            return _try_again()


async def inbound_status(request: Request) -> Response:
    """POST /callbacks/inbound: a status of an inbound call; set it as the number's status callback URL."""
    try:
        form = await _signed_form(request)
        _must_be_of("inbound", form)
        return _answer(await run_in_threadpool(events.record_by_call_sid, _read_report(form)))
    except Refused as refused:
        return refused.response(request)
    except db.Unavailable:
        return _try_again()


async def voice_inbound(request: Request) -> Response:
    """POST /voice/inbound: somebody calls one of our numbers; answer what its business says."""
    try:
        form = await _signed_form(request)
        _must_be_of("inbound", form)
        report = _read_report(form)
        answer = await run_in_threadpool(
            events.record_inbound_call,
            report.call_sid,
            twilio_webhooks.caller_of(form),
            form.get("To", ""),
            form["AccountSid"],
        )
        if answer is None:
            raise Refused(404, "unknown_number", _UNKNOWN_NUMBER)
        return Response(twilio_webhooks.answer_inbound(*answer), media_type="text/xml")
    except Refused as refused:
        return refused.response(request)
    except db.Unavailable:
        return _try_again()


async def _signed_form(request: Request) -> Mapping[str, str]:
    """
    The form of a request that the carrier signed for the account that it names; nothing is believed before that.

    Whether that is the account of the call is asked by the statement that writes it down.
    """
    signature = _refuse_by_head(request)
    form = _parse(await _body(request))
    account = form.get("AccountSid", "")
    is_ours = accounts.credentials(account) is not None
    if not twilio_webhooks.is_genuine(
        _public_url(request), ImmutableMultiDict(form), signature, account if is_ours else None
    ):
        raise Refused(403, "forged", _FORGED)
    if not is_ours:
        raise Refused(403, "other_account", _OTHER_ACCOUNT)
    return form


def _refuse_by_head(request: Request) -> str:
    """Return the signature; refuse before the body is read where the headers rule out that it is valid."""
    signature = request.headers.get("x-twilio-signature", "")
    if not twilio_webhooks.SIGNATURE.fullmatch(signature):
        raise Refused(403, "forged", "there is no signature: check OUTBOUND_PUBLIC_URL and TWILIO_AUTH_TOKEN")
    if request.scope["query_string"] or b"?" in request.scope["raw_path"]:
        raise Refused(400, "malformed", "no address of ours has a query")
    tag, call_id = request.path_params.get("tag"), _named_call(request)
    if tag is not None and not (call_id is not None and callback_tag.names_call(tag, call_id)):
        raise Refused(403, "wrong_tag", _WRONG_TAG)
    kind = request.headers.get("content-type", "").split(";", maxsplit=1)[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refused(415, "malformed", "a callback is a form")
    if int(request.headers.get("content-length", "0")) > BODY_MAX:  # the parser lets nothing but digits through
        raise Refused(413, "too_large", _TOO_LARGE)
    return signature


def _must_be_of(direction: str, form: Mapping[str, str]) -> None:
    """Refuse a callback about another leg: one that some TwiML of this call started, or that came from elsewhere."""
    if "ParentCallSid" in form or form.get("Direction") != direction:
        raise Refused(403, "other_leg", f"this is no call whose Direction is {direction}")


def _must_fit(request: Request, number: str) -> bool:
    """Refuse a path that was made for another number; return whether it has no tag at all."""
    tag, call_id = request.path_params.get("tag"), _named_call(request)
    if tag is None:
        return True
    if call_id is None or not callback_tag.fits(tag, call_id, number):
        raise Refused(403, "wrong_tag", _WRONG_TAG)
    return False


def _public_url(request: Request) -> str:
    """The URL that the carrier asked for: our own setting and the raw path, nothing that a header says."""
    return settings().callback_base + bytes(request.scope["raw_path"]).decode("latin-1")


def _call_id(request: Request) -> int:
    call_id = _named_call(request)
    if call_id is None:
        raise Refused(404, "unknown_call", "there is no such call")
    return call_id


def _named_call(request: Request) -> int | None:
    """The call that the path names, which need not exist; None where it could not."""
    return row_id.read(request.path_params.get("call_id", ""))


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > BODY_MAX:
                raise Refused(413, "too_large", _TOO_LARGE)
    except ClientDisconnect:
        raise Refused(400, "malformed", "the callback broke off") from None
    return body


def _parse(body: bytes) -> dict[str, str]:
    try:
        form = dict(callback_form.read(body))
    except Unreadable as error:
        raise Refused(400, "malformed", str(error)) from None
    if any("\0" in form.get(name, "") for name in _IDENTITY):
        raise Refused(400, "malformed", "a callback has no NUL in it")
    return form


def _read_report(form: Mapping[str, str]) -> CallEvent:
    return replace(_read(form, twilio_webhooks.read_callback), payload=_payload(form), account=form["AccountSid"])


def _read(form: Mapping[str, str], reader: Callable[[Mapping[str, str]], T]) -> T:
    try:
        return reader(form)
    except ValueError as error:
        raise Refused(400, "malformed", str(error)) from None


def _payload(form: Mapping[str, str]) -> dict[str, object]:
    """All parameters without NUL, which PostgreSQL does not store."""
    return {name: value.replace("\0", "") for name, value in form.items()}


def _answer(result: str) -> Response:
    status = _ANSWERS[result]
    if status == 204:
        return Response(status_code=204)
    raise Refused(status, "wrong_tag" if result == "untagged" else result, _TEXTS[result])


def _try_again() -> Response:
    """The database is away: 5xx makes the carrier try again, for 15 s at most; reconcile asks for what is lost then."""
    return PlainTextResponse("try again\n", 503)
