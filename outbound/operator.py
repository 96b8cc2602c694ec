"""Who gives the command: what the audit says of them, beside the role that logged in to the database."""

import getpass
import os

NAME_MAX = 200  # characters

_named: list[str] = []  # by --by; a command is given once in a process


def name() -> str:
    """The person behind sudo where there is one, else the user of this process, else its number."""
    try:
        return _one_line(os.environ.get("SUDO_USER") or getpass.getuser())
    except (KeyError, OSError):  # a user without an entry in passwd, as in many containers
        return f"uid {os.getuid()}"


def named() -> str | None:
    """The name that was given after --by, as one line; None where none was."""
    return _one_line(_named[-1]) if _named else None


def speak_for(given: str | None) -> str | None:
    """Take the name after --by for whatever connection is opened from now on, and return it: typer's callback."""
    if given:
        _named.append(given)
    return given


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:NAME_MAX])
