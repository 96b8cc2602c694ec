"""The body of a request: how slowly it may come; and JSON, read strictly and within bounds."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any, NoReturn

from starlette.requests import Request

from outbound.api.problem import Problem

BODY_MAX = 65_536  # bytes; a file is read as it comes, and is not bounded by this
DEPTH_MAX = 32  # of objects and lists within each other
INT_DIGITS_MAX = 40
SILENT_S = 60  # at most, between two pieces of a file, or for the whole of another body
GRACE_S = 30  # each time that we have waited so long for pieces of a file, they must have come at LEAST_RATE
LEAST_RATE = 1024  # bytes a second, on average


async def read(request: Request, most: int = BODY_MAX) -> bytes:
    """
    The body.

    Raises:
        Problem: 413, it has more than *most* bytes; 408, it did not come whole within SILENT_S.
    """
    pieces, size = [], announced(request)
    if size <= most:
        size = 0
        try:
            async with asyncio.timeout(SILENT_S):  # one for all pieces: most bodies come in one
                async for piece in request.stream():
                    pieces.append(piece)
                    size += len(piece)
                    if size > most:
                        break
        except TimeoutError:
            raise _too_slow(f"the body did not come whole within {SILENT_S} seconds: send it again") from None
    if size > most:
        raise Problem(
            413,
            f"a body may have {most} bytes: send less in one request, like fewer calls",
            headers={"connection": "close"},
        )
    return b"".join(pieces)


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """
    A body as it comes; the time in which we do something else with its pieces does not count.

    Raises:
        Problem: 408, nothing came for SILENT_S, or lately less than LEAST_RATE.
    """
    pieces, waited_s, size = request.stream(), 0.0, 0  # since the rate was looked at last
    while True:
        began = time.monotonic()
        try:
            async with asyncio.timeout(SILENT_S):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise _too_slow(f"nothing of the body came for {SILENT_S} seconds: send it again") from None
        waited_s += time.monotonic() - began
        size += len(piece)
        if piece and waited_s >= GRACE_S:
            if size < waited_s * LEAST_RATE:
                raise _too_slow(f"the body comes at less than {LEAST_RATE} bytes a second: send less of it, or faster")
            waited_s, size = 0.0, 0
        yield piece


def _too_slow(message: str) -> Problem:
    return Problem(408, message, headers={"connection": "close"})


def kind_of(request: Request) -> str:
    """The content type of a body, without parameters, in small letters; '' where none is given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def announced(request: Request) -> int:
    """The bytes that a body will have, as its head says; 0 where that says nothing."""
    told = request.headers.get("content-length", "")
    return int(told) if told.isascii() and told.isdigit() else 0


def parse(body: bytes, what: str = "the body") -> Any:
    """
    The JSON value of a body, or of *what* else is named so where it is refused.

    Raises:
        Problem: 400, it is no JSON, names a field twice, is nested too deeply, or holds NaN or NUL.
    """
    try:
        text = body.decode("utf-8-sig")  # some programs begin each text with a mark
        _refuse_depth(text)
        return _decoder.decode(text)
    except UnicodeDecodeError:
        raise Problem(400, f"{what} is no text in UTF-8, as which JSON is sent: encode it so") from None
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"{what} is no JSON that is read here: {_fault(error)}") from None


def _fault(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')} at character {error.pos + 1}"
    return str(error)


def _refuse_depth(text: str) -> None:
    """Count brackets outside of strings, before anything is built."""
    if text.count("[") + text.count("{") <= DEPTH_MAX:
        return
    depth, is_text, is_escaped = 0, False, False
    for letter in text:
        if is_text:
            if is_escaped:
                is_escaped = False
            elif letter == "\\":
                is_escaped = True
            elif letter == '"':
                is_text = False
        elif letter == '"':
            is_text = True
        elif letter in "[{":
            depth += 1
            if depth > DEPTH_MAX:
                raise ValueError(f"it is nested more than {DEPTH_MAX} levels deep")
        elif letter in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError("an object names a field twice")
        if not _is_storable(name) or (isinstance(value, str) and not _is_storable(value)):
            raise ValueError("a text holds a NUL or half of a surrogate pair")
        if isinstance(value, list) and any(isinstance(one, str) and not _is_storable(one) for one in value):
            raise ValueError("a text holds a NUL or half of a surrogate pair")
        found[name] = value
    return found


def _is_storable(text: str) -> bool:
    return "\0" not in text and (text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text))


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def _int(digits: str) -> int:
    if len(digits) > INT_DIGITS_MAX:
        raise ValueError(f"a number has more than {INT_DIGITS_MAX} digits")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return number


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_int, parse_float=_float
)
