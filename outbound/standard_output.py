"""Writes what a command prints: a file that is full, or a reader who has left, is no traceback."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

_FAILED = 1
_DESCRIPTOR = 1


class _NotWritten(Exception):
    """The error where what was printed could not be written."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause.strerror)
        self.cause = cause


class _Descriptor(io.FileIO):
    """Standard output itself, whose errors can be distinguished from those of any other file."""

    def __init__(self) -> None:
        super().__init__(_DESCRIPTOR, "w", closefd=False)

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        """Write what the descriptor takes of *data*; bytes, or a view of some."""
        try:
            return super().write(data)
        except OSError as error:
            raise _NotWritten(error) from None


@contextmanager
def standard_output() -> Iterator[None]:
    """
    Let what is printed inside reach standard output before the process ends.

    Where it cannot be written the exit status is 1: with one line that says why, or in silence where the reader left
    (as after `| head`).
    """
    before = sys.stdout
    if before is None:  # closed by the parent process: nothing is printed, as Python has it
        yield
        return
    sys.stdout = _checked(before)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except _NotWritten as failure:
        _give_up(failure.cause)
    finally:
        sys.stdout = before


def is_utf(encoding: str | None) -> bool:
    """Can every character be written in this encoding?"""
    return (encoding or "utf-8").lower().startswith("utf")


def _checked(like: TextIO) -> TextIO:
    """Wrap a stream so that characters its encoding lacks are written as escapes instead of raising."""
    errors = like.errors if is_utf(like.encoding) else "backslashreplace"
    output = io.BufferedWriter(_Descriptor())
    return io.TextIOWrapper(output, encoding=like.encoding, errors=errors, line_buffering=like.isatty())


def _give_up(cause: OSError) -> None:
    """Say so, and let whatever is still in a buffer go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _DESCRIPTOR)
    if cause.errno != errno.EPIPE:
        with suppress(OSError):
            print(f"outbound: what was printed could not be written: {cause.strerror}", file=sys.stderr)  # noqa: T201
    sys.exit(_FAILED)
