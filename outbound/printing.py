"""
Prints for commands.

Every text that reaches the terminal goes through `visible`: no markup is read in it, characters that cannot be seen, or
that the terminal's encoding does not have, are shown as escapes, and the logins of addresses are masked.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import rich.console
import rich.table
from rich.text import Text

from outbound.formats import plain_text, urls
from outbound.standard_output import is_utf


class Console(rich.console.Console):
    """Prints strings without markup; `visible` shows the characters in them that nobody would see."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    @property
    def encoding(self) -> str:
        """That of the stream of this moment; rich asks only one that it was given."""
        return getattr(self.file, "encoding", None) or "utf-8"

    def render_str(self, text: str, **options: Any) -> Text:
        """The one way of a string to the terminal, whatever it stands in."""
        options |= {"markup": False, "emoji": False}
        return super().render_str("\n".join(map(visible, text.split("\n"))), **options)


class Table(rich.table.Table):
    """
    A table in whose cells a value is one line, whatever it holds.

    Where the terminal is too narrow for the longest word of each column, each row is shown as a block of lines, one for
    each column: no word is broken.
    """

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row of values, and of what `cell` made."""
        super().add_row(*(one if isinstance(one, Text) else cell(one) for one in cells), **options)

    def __rich_console__(
        self, console: rich.console.Console, options: rich.console.ConsoleOptions
    ) -> rich.console.RenderResult:
        """Draw it as a table, or as blocks."""
        narrow = rich.table.Table.__rich_measure__(self, console, options).minimum > options.max_width
        if not (narrow and self.show_header and len(self.columns) > 1 and self.rows):
            yield from super().__rich_console__(console, options)
            return
        if self.title:
            yield self.title
        for place in range(len(self.rows)):
            yield self._block(place)

    def _block(self, place: int) -> rich.table.Table:
        """One row as a table of its own, whose lines are the columns that are not empty."""
        block = Table("", "", show_header=False)
        for column in self.columns:
            value = list(column.cells)[place]
            if value:
                block.add_row(column.header, value)
        return block


out = Console()
err = Console(stderr=True)


def visible(text: str) -> str:
    """A value as one line that can be shown to people here."""
    shown = plain_text.visible(urls.without_password(text))
    return shown if shown.isascii() or is_utf(out.encoding) else plain_text.encodable(shown, out.encoding)


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
    """Break lines between words for somebody at a terminal; for a program each stays one line."""
    for line in lines:
        console.print(Text(visible(str(line)), style), soft_wrap=not console.is_terminal)


def tell_done(done: Mapping[str, Any], *lines: object, as_json: bool) -> None:
    """Say what a command has done, or that nothing changed: as one JSON object, or in *lines* for people."""
    if as_json:
        tell_json(dict(done))
    else:
        tell(*lines)


def tell_added(what: str, added: Mapping[str, Any], *, as_json: bool) -> None:
    """Say what was added: its id alone on standard output, for scripts; the sentence goes to people beside it."""
    if as_json:
        tell_json(dict(added))
        return
    tell(added["id"])
    say(f"{what} {added['id']} was added: {added['name']}")


def tell_changed(what: str, key: object, names: Sequence[str], *, as_json: bool) -> None:
    """Say which parts of something are another now, or that nothing changed."""
    shown = ", ".join(name.replace("_", " ") for name in names)
    line = f"{what} {key} was changed: {shown}" if names else f"nothing changed: {what} {key} was so already"
    tell_done({"id": key, "changed": list(names)}, line, as_json=as_json)


def tell_json(value: Any) -> None:
    """Print a value as JSON, in one line where no person reads it; what cannot be seen is written as an escape."""
    ascii_only = not is_utf(out.encoding)
    text = json.dumps(_masked(value), default=_written, ensure_ascii=ascii_only, indent=2 if out.is_terminal else None)
    # Of what `json.dumps` leaves, only the ends of its own lines are no part of a value.
    print("".join(map(_json_escape, text)) if not text.isprintable() else text)  # noqa: T201


def _json_escape(character: str) -> str:
    if character == "\n" or plain_text.visible(character) == character:
        return character
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return urls.without_password(value)
    if isinstance(value, dict):
        return {_masked(name): _masked(one) for name, one in value.items()}
    return [_masked(one) for one in value] if isinstance(value, list | tuple) else value


def _written(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
