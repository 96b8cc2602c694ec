"""How requests are sent, again where that is safe, and what is refused."""

import random
import time
import uuid
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from io import TextIOBase
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from outbound_client.bodies import zoned

T = TypeVar("T")
B = TypeVar("B", bound=BaseModel | None)

TRIES = 5
WAIT_S = 0.25  # before the second try, at most; doubles, up to WAIT_MAX_S
WAIT_MAX_S = 8.0
AGAIN = frozenset({429, 502, 503, 504})  # answers after which the same request may be sent again
_TOLD_MAX_S = 3600.0
IN_PROGRESS = "in_progress"
FILE_TYPE = "text/csv"
KEY_MAX = 255  # characters of an idempotency key
Content = bytes | str | Path | Iterable[bytes] | AsyncIterable[bytes]
_KINDS = "bytes, text, a Path, a file that is open in binary mode, or an iterator of bytes"


def part(name: str, value: object, kind: type[int] | type[str]) -> str:
    """
    A parameter as a part of a path, where `/`, `?` and `#` would end it: an id, or a text, for which an id or a day may
    stand.

    Raises:
        TypeError: it is neither.
        ValueError: nothing has it, or as a part of a path it would name another one.
    """
    if isinstance(value, bool) or not isinstance(value, int if kind is int else str | int | date):
        wanted = "an id, a whole number from 1 on" if kind is int else "a text"
        raise TypeError(f"{name} is {wanted}, not {type(value).__name__}")
    if kind is int and value < 1:  # type: ignore[operator]
        raise ValueError(f"{name} is an id, a whole number from 1 on")
    text = str(value)
    if text in ("", ".", ".."):
        raise ValueError(f"{name}: {text!r} names nothing that the API has")
    return quote(text, safe="")


def model(body: B, kind: Any) -> B:
    """
    A body, of the model that its operation takes.

    Raises:
        TypeError: it is of another type, such as a dict.
    """
    if not isinstance(body, kind):
        names = " or ".join("None" if one is NoneType else one.__name__ for one in get_args(kind) or (kind,))
        raise TypeError(f"body is {names}, of outbound_client, not {type(body).__name__}")
    return body


def file(content: Content) -> Content:
    """
    A file as it is sent; one that is named by its path is read here, so that it can be sent again.

    Raises:
        TypeError: it is nothing that can be sent.
        OSError: the path cannot be read.
    """
    if isinstance(content, Path):
        return content.read_bytes()
    if isinstance(content, TextIOBase):
        raise TypeError("content is a file in text mode: open it in binary mode, as open(path, 'rb'), or give its Path")
    if isinstance(content, bytearray | memoryview):
        return bytes(content)
    if isinstance(content, BaseModel | Mapping) or not isinstance(content, str | Iterable | AsyncIterable):
        raise TypeError(f"content is {_KINDS}, not {type(content).__name__}")
    return content


def _moment(name: str, value: Any) -> Any:
    """
    A parameter as the API reads it: a datetime as a text.

    Raises:
        ValueError: it has no time zone.
    """
    if not isinstance(value, datetime):
        return value
    try:
        return zoned(value).isoformat()
    except ValueError as fault:
        raise ValueError(f"{name}: {fault}") from None


class Splitter:
    """Splits what comes into lines, at line feeds alone: a text within a line may hold other ends, like U+2028."""

    def __init__(self) -> None:
        self._begun = b""

    def take(self, piece: bytes) -> list[str]:
        """The lines that end in this piece."""
        *whole, self._begun = (self._begun + piece).split(b"\n")
        return [line.removesuffix(b"\r").decode() for line in whole]

    def rest(self) -> list[str]:
        """The last line, where no line feed ends it."""
        return [self._begun.decode()] if self._begun else []


def _again_in(seconds: float | None) -> str:
    return "" if seconds is None else f"; again in {seconds:g} s"


class Refused(Exception):
    """
    The API says no: `status`, a stable `code`, the sentence `detail`, and each fault of the request in `errors`.

    `retry_after_s` says in how many seconds the same may be asked again, `key` with which idempotency key; each is None
    where there is none.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: list[dict[str, str]],
        retry_after_s: float | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}{_again_in(retry_after_s)}")
        self.status, self.code, self.detail, self.errors = status, code, detail, errors
        self.retry_after_s, self.key = retry_after_s, key


class Unanswered(Exception):
    """
    No answer came, or none that says what became of the request; with the same key it may be sent again.

    `retry_after_s` says in how many seconds, where somebody told that.
    """

    def __init__(self, key: str | None, cause: str, retry_after_s: float | None = None) -> None:
        super().__init__((f"{cause}; idempotency key {key}" if key else cause) + _again_in(retry_after_s))
        self.key, self.retry_after_s = key, retry_after_s


@dataclass
class Asking:
    """
    One request, and how often it was tried.

    Attributes:
        key: with which it may be sent again: of its body, where that has one, as a call has; else of a header.
        is_safe: it may be sent again: it changes nothing, or has a key, and its body is still there.
    """

    method: str
    path: str
    params: dict[str, Any] = field(default_factory=dict)
    body: BaseModel | None = None
    content: Content | None = None
    content_type: str = FILE_TYPE
    accept: str = "application/json"
    key: str | None = None
    takes_key: bool = False
    tries: int = 0

    def __post_init__(self) -> None:
        self.params = {name: _moment(name, value) for name, value in self.params.items() if value is not None}
        self._check_headers()
        self._header_key = self.key
        if self.takes_key and self.key is None:
            self.key = getattr(self.body, "key", None)
            if self.key is None:
                self.key = self._header_key = str(uuid.uuid4())

    def _check_headers(self) -> None:
        """
        Check what goes into headers, which is no fault of the connection.

        Raises:
            ValueError: the key or the type is nothing that a header may have.
        """
        if self.key is not None and not (_is_header(self.key) and len(self.key) <= KEY_MAX):
            raise ValueError(f"idempotency_key is 1 to {KEY_MAX} printable ASCII characters, with no space around them")
        if not _is_header(self.content_type):
            raise ValueError("content_type is printable ASCII, like text/csv")

    def refuse_iterators(self, kind: Any, instead: str) -> None:
        """
        Refuse a file that this client cannot read.

        Raises:
            TypeError: it is an iterator of the other sort.
        """
        if isinstance(self.content, kind) and not isinstance(self.content, bytes | str):
            raise TypeError(f"content is bytes, text, a Path or {instead}, not {type(self.content).__name__}")

    @property
    def is_safe(self) -> bool:
        """May it be sent again?"""
        is_there = self.content is None or isinstance(self.content, bytes | str)  # an iterator is used up
        return is_there and (self.method == "GET" or bool(self.key))  # of a call, '' is no key

    def arguments(self) -> dict[str, Any]:
        """As httpx takes it."""
        self.tries += 1
        headers: dict[str, str] = {"accept": self.accept}
        if self._header_key is not None:
            headers["idempotency-key"] = self._header_key
        given: dict[str, Any] = {"method": self.method, "url": self.path, "params": self.params, "headers": headers}
        if self.body is not None:
            headers["content-type"] = "application/json"
            given["content"] = self.body.model_dump_json(by_alias=True, exclude_unset=True)
        elif self.content is not None:
            headers["content-type"] = self.content_type
            given["content"] = self.content
        return given

    def wait_after(self, failure: httpx.RequestError | httpx.Response) -> float | None:
        """Seconds until it is sent again; None where it is not."""
        if isinstance(failure, httpx.Response):
            is_passing = failure.status_code in AGAIN or _code(failure) == IN_PROGRESS
            if not is_passing:
                return None
        if not self.is_safe or self.tries >= TRIES:
            return None
        wait: float = min(WAIT_MAX_S, WAIT_S * 2 ** (self.tries - 1)) * random.uniform(0, 1)  # noqa: S311 (no secret)
        told = _told_wait(failure) if isinstance(failure, httpx.Response) else None
        if told is None:
            return wait
        return max(wait, told) if told <= WAIT_MAX_S else None  # the caller decides what to do for so long

    @contextmanager
    def reading(self) -> Iterator[None]:
        """
        Read an answer as it comes.

        Raises:
            Unanswered: the connection broke, perhaps in the middle.
        """
        try:
            yield
        except (Refused, Unanswered):
            raise
        except Exception as error:
            raise self.failed(error) from error

    def failed(self, error: Exception) -> Unanswered:
        """What is raised where no answer came, or none that can be decoded."""
        return Unanswered(self.key, f"{self.method} {self.path}: {type(error).__name__}")

    def read(self, answer: httpx.Response, kind: type[T]) -> T:
        """
        What a success says.

        Raises:
            Unanswered: it is none of the API's, such as the page of a proxy where people sign in.
        """
        try:
            return TypeAdapter(kind).validate_json(answer.content)
        except ValidationError as error:
            raise self._of_another(answer) from error

    def refuse_another_stream(self, answer: httpx.Response) -> None:
        """Raise Unanswered where a stream is none of the API's."""
        if answer.headers.get("content-type", self.accept).partition(";")[0].strip().lower() != self.accept:
            raise self._of_another(answer)

    def _of_another(self, answer: httpx.Response) -> Unanswered:
        cause = f"{self.method} {self.path}: HTTP {answer.status_code}, and no answer of the API that is read here"
        return Unanswered(self.key, cause)


def refuse(answer: httpx.Response, key: str | None = None) -> None:
    """
    Raise what an answer says that is no success.

    Raises:
        Refused: it says no.
        Unanswered: it is none of the API's, such as a proxy's page; or the request with this key is still at work.
    """
    if answer.is_success:
        return
    body, told = _json(answer), _told_wait(answer)
    if not (isinstance(body.get("code"), str) and isinstance(body.get("detail"), str)):
        raise Unanswered(key, f"HTTP {answer.status_code}, and no answer of the API", told)
    if key is not None and body["code"] == IN_PROGRESS:
        raise Unanswered(key, "it is still at work", told)
    faults = body.get("errors")
    raise Refused(
        answer.status_code, body["code"], body["detail"], faults if isinstance(faults, list) else [], told, key
    )


def _told_wait(answer: httpx.Response) -> float | None:
    """Seconds that Retry-After says, as a number or as a moment (RFC 9110); None where it says neither."""
    told = answer.headers.get("retry-after", "").strip()
    if told.isascii() and told.isdigit():
        return float(told)
    try:
        at = parsedate_to_datetime(told)
        moment = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()  # -0000 is UTC
    except (ValueError, OverflowError):
        return None
    return max(0.0, moment - time.time())


class Stumbles:
    """
    Steps over what ends a stream that is opened again, and says when.

    Attributes:
        wait_s: seconds until it is opened again: as long as the API says, an hour at most.
    """

    def __init__(self, wait_s: float) -> None:
        self._usual_s = self.wait_s = wait_s

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Step over a connection that broke, and over an answer after which the same may be asked again, as 503."""
        self.wait_s = self._usual_s
        try:
            yield
        except (Refused, Unanswered) as failure:
            if isinstance(failure, Refused) and failure.status not in AGAIN:
                raise
            self.wait_s = max(self._usual_s, min(failure.retry_after_s or 0.0, _TOLD_MAX_S))


def _is_header(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isprintable() and text.strip() == text != ""


def _code(answer: httpx.Response) -> str:
    return str(_json(answer).get("code", ""))


def _json(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
