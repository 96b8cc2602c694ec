"""What the carrier sends: read within bounds, its signature checked before anything else, then handed to a step."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from outbound import callback, db, logs, metrics
from outbound.call import Report
from outbound.carrier import twilio
from outbound.config import settings

log = logs.get("web")

BODY_MAX = 65_536  # bytes; a callback has some hundred
FIELDS_MAX = 200
CALL_ID_DIGITS_MAX = 18  # more do not fit into a bigint

# Which call it is and what became of it: these must be there, or be right, for the callback to be taken at all.
_IDENTITY = ("CallSid", "CallStatus", "AccountSid", "To", "From")

Form = ImmutableMultiDict[str, str]
T = TypeVar("T")

_ANSWERS = {
    "moved": 204,
    "kept": 204,
    "unchanged": 204,
    "unknown_status": 204,
    "set_aside": 204,
    "unknown_call": 404,
    "other_call_sid": 409,
}


@dataclass
class Refused(Exception):
    """The request changes nothing; `reason` is a label of outbound_callbacks_refused_total."""

    status: int
    reason: str
    text: str

    def response(self) -> Response:
        """Count the refusal and say it."""
        metrics.refused_callbacks.labels(self.reason).inc()
        log.warning("web.refused", reason=self.reason)
        return PlainTextResponse(self.text + "\n", self.status)


async def status_callback(request: Request) -> Response:
    """POST /callbacks/{call_id}: a status of one of our outbound calls."""
    with logs.about(call_id=_named_call(request)):
        try:
            form = await _signed_form(request)
            report = _read_report(form)
            return _answer(await request.app.state.together.record(_call_id(request), report))
        except Refused as refused:
            return refused.response()
        except db.Unavailable:
            return _try_again()


async def answered_by(request: Request) -> Response:
    """POST /callbacks/{call_id}/answered-by: what machine detection says of one of our outbound calls."""
    with logs.about(call_id=_named_call(request)):
        try:
            form = await _signed_form(request)
            call_sid, word = _read(form, twilio.read_verdict)
            result = await run_in_threadpool(
                callback.record_answered_by, _call_id(request), call_sid, word, _payload(form)
            )
            return _try_again() if result == "no_call_sid_yet" else _answer(result)
        except Refused as refused:
            return refused.response()
        except db.Unavailable:
            return _try_again()


async def inbound_status(request: Request) -> Response:
    """POST /callbacks/inbound: a status of an inbound call; set it as the number's status callback URL."""
    try:
        report = _read_report(await _signed_form(request))
        return _answer(await run_in_threadpool(callback.record_by_call_sid, report))
    except Refused as refused:
        return refused.response()
    except db.Unavailable:
        return _try_again()


async def voice_inbound(request: Request) -> Response:
    """POST /voice/inbound: somebody calls one of our numbers; answer what its business says."""
    try:
        form = await _signed_form(request)
        report = _read_report(form)
        answer = await run_in_threadpool(
            callback.record_inbound_call, report.call_sid, twilio.caller_of(form), form.get("To", "")
        )
        if answer is None:
            raise Refused(404, "unknown_number", "no business has this number: `outbound business set ID --number …`")
        return Response(twilio.answer_inbound(*answer), media_type="text/xml")
    except Refused as refused:
        return refused.response()
    except db.Unavailable:
        return _try_again()


async def _signed_form(request: Request) -> Form:
    """The form of a request that the carrier signed for our account; nothing is believed before that."""
    form = _parse(request.headers.get("content-type", ""), await _body(request))
    if not twilio.is_genuine(_public_url(request), form, request.headers.get("x-twilio-signature")):
        raise Refused(403, "forged", "the signature does not fit: check OUTBOUND_PUBLIC_URL and TWILIO_AUTH_TOKEN")
    if form.get("AccountSid") != settings().twilio_account_sid:
        raise Refused(403, "other_account", "this is another account's call")
    return form


def _public_url(request: Request) -> str:
    """The URL that the carrier asked for: our own setting and the raw path, nothing that a header says."""
    path, query = (bytes(request.scope[part]).decode("latin-1") for part in ("raw_path", "query_string"))
    return settings().callback_base + path + (f"?{query}" if query else "")


def _call_id(request: Request) -> int:
    call_id = _named_call(request)
    if call_id is None:
        raise Refused(404, "unknown_call", "there is no such call")
    return call_id


def _named_call(request: Request) -> int | None:
    """The call that the path names, which need not exist; None where it could not."""
    digits: str = request.path_params["call_id"]
    fits = digits.isascii() and digits.isdecimal() and len(digits) <= CALL_ID_DIGITS_MAX
    return int(digits) if fits else None


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > BODY_MAX:
                raise Refused(413, "too_large", f"a callback has at most {BODY_MAX} bytes")
    except ClientDisconnect:
        raise Refused(400, "malformed", "the callback broke off") from None
    return body


def _parse(content_type: str, body: bytes) -> Form:
    if content_type.split(";", maxsplit=1)[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Refused(415, "malformed", "a callback is a form")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=FIELDS_MAX,
        )
    except ValueError:
        raise Refused(400, "malformed", "this is not a form that we can read") from None
    if any("\0" in name or ("\0" in value and name in _IDENTITY) for name, value in pairs):
        raise Refused(400, "malformed", "a callback has no NUL in it")
    return ImmutableMultiDict(pairs)


def _read_report(form: Form) -> Report:
    return replace(_read(form, twilio.read_callback), payload=_payload(form))


def _read(form: Form, reader: Callable[[dict[str, str]], T]) -> T:
    """Let *reader* see what is said once: of what is said twice nobody knows which is meant."""
    times = Counter(name for name, _ in form.multi_items())
    repeated = [name for name in _IDENTITY if times[name] > 1]
    if repeated:
        raise Refused(400, "malformed", f"{repeated[0]} is given more than once")
    try:
        return reader({name: value for name, value in form.items() if times[name] == 1})
    except ValueError as error:
        raise Refused(400, "malformed", str(error)) from None


def _payload(form: Form) -> dict[str, object]:
    """All that was said, as it was said; a list of what is said twice.  PostgreSQL has no NUL."""
    said = {name: [value.replace("\0", "") for value in form.getlist(name)] for name in form}
    return {name: values[0] if len(values) == 1 else values for name, values in said.items()}


def _answer(result: str) -> Response:
    status = _ANSWERS[result]
    if status == 204:
        return Response(status_code=204)
    raise Refused(status, result, "there is no such call" if status == 404 else "this call has another call_sid")


def _try_again() -> Response:
    """The database is away: 5xx makes the carrier try again, for 15 s at most; reconcile asks for what is lost then."""
    return PlainTextResponse("try again\n", 503)
