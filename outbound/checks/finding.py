"""Holds what a check of `outbound doctor` finds, and how it is written."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from outbound import db
from outbound.database import error_messages
from outbound.formats import urls

NAMED_MAX = 6  # differences that are named one by one

State = Literal["ok", "warn", "fail", "skip"]


class Finding(NamedTuple):
    """The result of one check: `mend` says what to do, in words, unless it is ok."""

    check: str
    state: State
    text: str
    mend: str = ""


class Result(NamedTuple):
    """A finding without the name of its check."""

    state: State
    text: str
    mend: str = ""


class Check(NamedTuple):
    """One check: its name, the function that makes it, and the checks without which nothing can be found here."""

    name: str
    run: Callable[[], Result]
    needs: tuple[str, ...] = ()


def ok(text: str) -> Result:
    """The result of a check that found nothing wrong."""
    return Result("ok", text)


def warn(text: str, mend: str) -> Result:
    """The result of a check that found what is no reason to stop."""
    return Result("warn", text, mend)


def fail(text: str, mend: str) -> Result:
    """The result of a check that found what keeps calls from being made."""
    return Result("fail", text, mend)


def failed(error: Exception) -> Result:
    """The result of a check that raised an unexpected error, with its mend where it is known."""
    if isinstance(error, db.Error):
        words = error_messages.words_of(db.cause_of(error))
        if words is not None:
            return fail(*words)
    return fail(f"{type(error).__name__}: {first_line(error)}", "mend what it says; the server's log may say more")


def first_line(error: Exception) -> str:
    """The first line of an error's text, without passwords; its class where it has no text."""
    text = str(error).strip()
    return urls.without_password(text.splitlines()[0] if text else type(error).__name__)


def some(names: list[str]) -> str:
    """The first NAMED_MAX names, and how many more there are."""
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
