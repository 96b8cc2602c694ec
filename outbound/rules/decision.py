"""The person who decided something, and the reason: a line of text each, as the audit keeps them."""

from outbound import os_user
from outbound.errors import UserError
from outbound.formats import plain_text

REASON = "the reason"  # what `one_line` is asked about where a field of that name is meant
TEXT_MAX = 200  # characters of a reason, or of a name


class BadControl(UserError):
    """That cannot be done; the message says why and what can, and nothing was changed."""


def actor(by: str | None) -> str:
    """The person who decided it: the name after --by, else the user of this process; or raise BadControl."""
    return one_line(by, "the name after --by") or os_user.name()


def one_line(text: str | None, what: str) -> str | None:
    """One line of text, None where it is empty; or raise BadControl."""
    if text is not None and not isinstance(text, str):  # who calls from Python may give anything
        raise _bad(what, f"{what} must be text")
    if text and len(text) > TEXT_MAX:
        raise _bad(what, f"{what} must be one line of {TEXT_MAX} characters at most")
    if text and (fault := plain_text.fault(text)):
        raise _bad(what, f"{what} must be one line, and {fault}")
    return text or None


def _bad(what: str, sentence: str) -> BadControl:
    return BadControl.about("reason", sentence) if what == REASON else BadControl(sentence)
