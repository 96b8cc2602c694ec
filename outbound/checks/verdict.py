"""A check that ends in a sentence: that it passed and what was seen, or that it did not and why."""

from collections.abc import Callable
from typing import NamedTuple


class Verdict(NamedTuple):
    """The result of one check."""

    name: str
    passed: bool
    why: str


class Failed(Exception):
    """A check did not pass; the message says why."""


def demand(holds: bool, why: str) -> None:
    """Go on only where it holds."""
    if not holds:
        raise Failed(why)


def check(name: str, examine: Callable[[], str]) -> Verdict:
    """The verdict of *examine*, which returns what was seen, or raises."""
    try:
        return Verdict(name, True, examine())
    except Exception as error:  # noqa: BLE001 (whatever it is, this check has not passed, and the others still run)
        text = str(error).splitlines()[0] if str(error) else ""
        return Verdict(name, False, text if isinstance(error, Failed) else f"{type(error).__name__}: {text}")


def both(name: str, *parts: Verdict) -> Verdict:
    """One verdict of several."""
    failed = [part.why for part in parts if not part.passed]
    return Verdict(name, not failed, "; ".join(failed or [part.why for part in parts if part.why]))
