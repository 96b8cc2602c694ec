"""
What a command prints.

Every text that reaches the terminal goes through `visible`: no markup is read in it, characters that cannot be seen are
shown as escapes, and the logins of addresses are masked.
"""

import json
from typing import Any

import rich.console
import rich.table
from rich.text import Text

from outbound import addresses, plain_text


class Console(rich.console.Console):
    """Prints strings as they are, but for what `visible` does to each line of them."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """The one way of a string to the terminal, whatever it stands in."""
        options |= {"markup": False, "emoji": False}
        return super().render_str("\n".join(map(visible, text.split("\n"))), **options)


class Table(rich.table.Table):
    """A table in whose cells a value is one line, whatever it holds."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row of values, and of what `cell` made."""
        super().add_row(*(one if isinstance(one, Text) else cell(one) for one in cells), **options)


out = Console()
err = Console(stderr=True)


def visible(text: str) -> str:
    """A value as one line that can be shown to people."""
    return plain_text.visible(addresses.without_password(text))


def cell(*values: object, style: str = "") -> Text:
    """A cell of a table, each of whose lines is a value; None is an empty one."""
    return Text("\n".join("" if value is None else visible(str(value)) for value in values), style)


def tell(*lines: object, style: str = "") -> None:
    """Print lines that the command was asked for."""
    _print(out, lines, style)


def say(*lines: object, style: str = "") -> None:
    """Tell the operator what goes on, beside what the command prints."""
    _print(err, lines, style)


def _print(console: Console, lines: tuple[object, ...], style: str) -> None:
    for line in lines:
        console.print(Text(visible(str(line)), style), soft_wrap=True)


def tell_json(value: Any) -> None:
    """Print a value as JSON, in one line where no person reads it; what cannot be seen is written as an escape."""
    text = json.dumps(_masked(value), default=_written, ensure_ascii=False, indent=2 if out.is_terminal else None)
    # Of what `json.dumps` leaves, only the ends of its own lines are no part of a value.
    print("".join(map(_json_escape, text)) if not text.isprintable() else text)  # noqa: T201


def _json_escape(character: str) -> str:
    if character == "\n" or plain_text.visible(character) == character:
        return character
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return addresses.without_password(value)
    if isinstance(value, dict):
        return {_masked(name): _masked(one) for name, one in value.items()}
    return [_masked(one) for one in value] if isinstance(value, list | tuple) else value


def _written(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
