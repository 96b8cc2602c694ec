"""Answers that say no: problem+json (RFC 9457) with a code for programs and a sentence for people."""

import re
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from starlette.responses import JSONResponse

from outbound.api import commands, preference
from outbound.calls.call_request import KEY_OF_ANOTHER, renamed
from outbound.errors import SEPARATOR, UserError
from outbound.translation import sentences

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "tag:outbound,2026:problem/"

# By code: the title.  Other codes have the title of their status.
TITLES = {
    "unreadable": "The request cannot be read",
    "no_token": "A token is needed",
    "bad_token": "The token is not valid",
    "scope_missing": "The token may not do this",
    "not_found": "There is no such thing here",
    "method_not_allowed": "This method is not answered here",
    "conflict": "It is not in a state that allows this",
    "in_progress": "The same request is being answered",
    "too_large": "The body is too large",
    "too_slow": "The request comes too slowly",
    "unsupported_coding": "The body is coded otherwise than is read here",
    "unsupported_type": "The body has another content type than is read here",
    "invalid": "The request does not fit the document",
    "key_of_another": "The idempotency key belongs to another request",
    "too_many_requests": "The token sends too many requests",
    "unavailable": "The database does not answer",
    "took_too_long": "It takes too long",
    "busy": "Too much of this kind is being done",
    "fault": "Something broke on our side",
    "bad_call": "The call cannot be queued",
    "bad_file": "The file cannot be taken",
    "bad_control": "That cannot be controlled so",
    "bad_campaign": "The campaign cannot be so",
    "bad_business": "The business cannot be so",
    "bad_suppression": "That cannot be put on the list",
    "bad_consent": "The consent cannot be recorded so",
    "bad_registry_entry": "The registry's answer cannot be recorded so",
    "bad_destination": "There is no such destination",
    "bad_window": "The window cannot be so",
    "bad_retry_policy": "The retry policy cannot be so",
    "bad_endpoint": "The endpoint cannot be so",
    "bad_place": "The stream has no such place",
    "bad_search": "That cannot be searched for",
    "bad_retry": "The call cannot be made again so",
    "bad_token_request": "The token cannot be made",
    "not_set_up": "The server is not set up for that",
    "bad_number": "That is no phone number",
    "no_such_name": "Nothing has this name",
}
_LANGUAGES = {"en": ("en", "*"), "he": ("he", "iw", "*")}  # `iw` is Hebrew to older programs
_STATUS_CODES = {
    400: "unreadable",
    401: "bad_token",
    403: "scope_missing",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "conflict",
    413: "too_large",
    415: "unsupported_type",
    422: "invalid",
    429: "too_many_requests",
    501: "unsupported_coding",
    503: "unavailable",
}
# Options of the command line, but not of the commands that a sentence names; and those that a request calls otherwise.
_OPTION = re.compile(r"`outbound [^`]*`|--([a-z]+(?:-[a-z]+)*)")
_NAMED = re.compile(r"`(\w+)`")  # a field that a sentence begins with, or a value
_FIELDS = {"error": "error_code", "business": "business_id", "campaign": "campaign_id"}
_RENAMED = {
    "bad_token": "bad_token_request",  # the first is that of a request without a live one
    "wrong_file": "bad_file",
    "doubtful_day": "bad_call",
    "not_theirs": "bad_call",
}


class Problem(Exception):
    """An answer that says no: its HTTP status, its code, what is wrong and how it is mended."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str | None = None,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code or _STATUS_CODES.get(status, "fault")
        self.errors = errors or []
        self.pointer: str | None = None  # to the field that the detail begins with
        self.headers = dict(headers or {})

    def reword(self, word: Callable[[str], str]) -> None:
        """Say each of its sentences as *word* does."""
        self.detail = word(self.detail)
        self.errors = [fault | {"detail": word(fault["detail"])} for fault in self.errors]


def not_found(what: str) -> Problem:
    """404, alike for a row that is not there and for one of another tenant."""
    return Problem(404, f"there is no such {what}, or it is not this token's")


def of_user_error(
    error: UserError,
    *,
    fields: Mapping[str, str] | None = None,
    known: Container[str] = (),
    of_query: Container[str] = (),
) -> Problem:
    """
    The answer for a refused request: 422 with a code made of the error's name, and pointers to the fields at fault.

    Args:
        fields: what the request calls a field, by the name that it has elsewhere.
        known: the fields of the request; a sentence may also begin with a value.
        of_query: those that are parameters of its query.
    """

    def place(field: str) -> str:
        if field in of_query:
            return f"?{field}"
        return f"/{field}" if not known or field.partition("/")[0] in known else ""  # it is one of the path

    named = fields or {}
    if "number" in known and "phone" not in known:
        named = {"phone": "number"}  # as a list of contacts has it
    begins = _NAMED.match(worded(str(error)))
    problem = Problem(422, _worded(str(error), named), code=_code(error, str(error)))
    if begins and (field := named.get(begins[1], begins[1])) in known:
        problem.pointer = place(field)
    problem.errors = [
        {
            "pointer": place(named.get(fault.field, fault.field)) if fault.field else "",
            "code": _code(error, fault.sentence),
            "detail": _worded(fault.sentence, named),
        }
        for fault in error.field_faults
    ]
    return problem


def _code(error: UserError, sentence: str) -> str:
    if sentence == KEY_OF_ANOTHER:
        return "key_of_another"
    code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()
    return _RENAMED.get(code, code)


def worded(sentence: str) -> str:
    """A sentence with the names that requests have for the options of commands."""
    return _OPTION.sub(_field, sentence)


def _worded(sentence: str, fields: Mapping[str, str]) -> str:
    return renamed(worded(sentence), fields)


def _field(option: re.Match[str]) -> str:
    name = option[1]
    return option[0] if name is None else f"`{_FIELDS.get(name, name.replace('-', '_'))}`"


def response(problem: Problem, language: str, *, is_on_page: bool = False) -> JSONResponse:
    """
    The answer in the language that was asked for; a sentence that has no text in it stays English.

    Args:
        is_on_page: a person reads it, who may have the command that it names; else it names an operation.
    """
    title = TITLES.get(problem.code) or TITLES[_STATUS_CODES.get(problem.status, "fault")]
    errors = problem.errors or _pointed(problem)
    details = [fault["detail"] for fault in errors]
    said = {text: in_language(text, language) for text in {title, *details}}
    if problem.detail == SEPARATOR.join(details):  # sentence by sentence: one may have a semicolon of its own
        said[problem.detail] = SEPARATOR.join(said[text][0] for text in details), all(said[text][1] for text in details)
    else:
        said[problem.detail] = in_language(problem.detail, language)
    shown = {text: one if is_on_page else commands.worded(one) for text, (one, _) in said.items()}
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + problem.code.replace("_", "-"),
        "title": shown[title],
        "status": problem.status,
        "code": problem.code,
        "detail": shown[problem.detail],
        "errors": [fault | {"detail": shown[fault["detail"]]} for fault in errors],
    }
    headers = problem.headers | language_headers(language, is_whole=all(is_whole for _, is_whole in said.values()))
    return JSONResponse(body, problem.status, headers=headers, media_type=CONTENT_TYPE)


def language_headers(language: str, *, is_whole: bool) -> dict[str, str]:
    """The headers of an answer whose sentences are in a language: all of them, or some in English."""
    return {"content-language": language if is_whole else f"{language}, en", "vary": "accept-language"}


def in_language(text: str, language: str) -> tuple[str, bool]:
    """A sentence in `en` or `he`, and is all of it; what has no text in it stays English."""
    return (text, True) if language == "en" else sentences.said(text, language)


def _pointed(problem: Problem) -> list[dict[str, str]]:
    return [{"pointer": problem.pointer, "code": problem.code, "detail": problem.detail}] if problem.pointer else []


def language_of(accept_language: str) -> str:
    """The one of `en` and `he` that an Accept-Language header asks for; English where it asks for neither."""
    return preference.best(re.sub(r"-[\w-]*", "", accept_language), _LANGUAGES)


# Validation errors whose message repeats what was sent, which may be a number or a secret.
_ECHOES = frozenset({"literal_error", "enum", "value_error", "string_pattern_mismatch"})


# Those of which the message names a class of ours.
_NO_OBJECTS = frozenset({"model_type", "model_attributes_type", "dict_type"})


def sentence_of(fault: Mapping[str, Any]) -> str:
    """What a validation error says, without what was sent."""
    if fault["type"] in _NO_OBJECTS:
        return "it must be a JSON object"
    return "it has none of the values that are read here" if fault["type"] in _ECHOES else str(fault["msg"])


def pointer_of(place: Iterable[str | int]) -> str:
    """A JSON pointer (RFC 6901), without the slash at its beginning."""
    return "/".join(str(one).replace("~", "~0").replace("/", "~1") for one in place)
