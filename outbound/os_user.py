"""The user who gives the command, as the audit names them beside the database role that logged in."""

import getpass
import os

from outbound.errors import UserError
from outbound.formats import plain_text

NAME_MAX = 200  # characters

_spoken_for: list[str] = []  # by --by; a command is given once in a process


class BadName(UserError):
    """The name after --by cannot be kept; the message says why, and nothing was changed."""


def name() -> str:
    """The person behind sudo where there is one, else the user of this process, else its number."""
    try:
        return plain_text.visible(os.environ.get("SUDO_USER") or getpass.getuser())
    except (KeyError, OSError):  # a user without an entry in passwd, as in many containers
        return f"uid {os.getuid()}"


def named(by: str | None) -> str:
    """
    The person named with --by, else the user who gives the command.

    Raises:
        BadName: it holds characters that cannot be seen.
    """
    if by and (fault := plain_text.fault(by)):
        raise BadName(f"the name after --by {fault}")
    return by or name()


def spoken_for() -> str | None:
    """The name that was given after --by, 200 characters of it at most; None where none was."""
    return plain_text.visible(_spoken_for[-1])[:NAME_MAX] if _spoken_for else None


def speak_for(given: str | None) -> str | None:
    """Take the name after --by for whatever connection is opened from now on, and return it: typer's callback."""
    if given:
        _spoken_for.append(given)
    return given
