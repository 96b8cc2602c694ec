"""How `outbound` is understood: commands in the order of a day, and what is said where it is not understood."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from outbound.errors import UserError
from outbound.formats import plain_text
from outbound.printing import out, visible

# The panels of `outbound --help`, and the commands of each, in the order in which a day needs them.
PANELS = {
    "What is going on": (
        *("status", "ready", "doctor", "calls", "call", "why", "leads", "control", "audit"),
        "preview",
    ),
    "Put calls in the queue": ("import", "enqueue"),
    "Stop, slow and let go": ("pause", "resume", "drain", "cancel", "stop", "limit"),
    "Who calls, and what for": ("business", "campaign", "ladder"),
    "Whom, where and when": ("suppress", "consent", "registry", "person", "window", "destination"),
    "Run it": ("up", "demo", "worker", "scheduler", "web", "simulator", "install-service"),
    "Look after it": (
        *("migrate", "roles", "verify", "rollback", "cleanup", "purge", "dump", "restore", "recover", "adopt"),
        *("psql", "version"),
    ),
}
_PLACES = {name: place for place, name in enumerate(name for names in PANELS.values() for name in names)}
_PANEL_OF = {name: panel for panel, names in PANELS.items() for name in names}

# ClickException of whichever click typer brings.
_NOT_UNDERSTOOD: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


class _Context(typer.Context):
    """The context of each command, whose help can be shown by a terminal that is not of UTF-8."""

    def get_help(self) -> str:
        """The help; where rich draws it, this is the empty string."""
        return plain_text.encodable(super().get_help(), out.encoding)


class Root(TyperGroup):
    """`outbound`: its panels, and errors of one line each that say what to give."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        for name, command in self.commands.items():
            command.rich_help_panel = _PANEL_OF.get(name)  # type: ignore[attr-defined]
        for command in _with_all_below(self):
            command.context_class = _Context

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the panels."""
        return sorted(super().list_commands(ctx), key=lambda name: _PLACES.get(name, len(_PLACES)))

    def make_context(self, info_name: Any, args: list[str], *more: Any, **named: Any) -> Any:
        """Read what was given."""
        self._path = self._command_of(args)
        with self._understood():
            return super().make_context(info_name, args, *more, **named)

    def invoke(self, ctx: Any) -> Any:
        """Run what was meant."""
        with self._understood():
            return super().invoke(ctx)

    def _command_of(self, args: list[str]) -> str:
        """The command that is meant: its words among the arguments.  Not every error says where it was found."""
        names, command = ["outbound"], self
        for word in args:
            if word in getattr(command, "commands", {}):
                names.append(word)
                command = command.commands[word]  # type: ignore[assignment]
        return " ".join(names)

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """What is not understood is refused as every other fault is: in one line, with what to give."""
        try:
            yield
        except _NOT_UNDERSTOOD as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                raise
            path = error.ctx.command_path if getattr(error, "ctx", None) else self._path
            raise UserError(visible(_sentence(error, path))) from None


def _with_all_below(command: Any) -> Iterator[Any]:
    yield command
    for inner in getattr(command, "commands", {}).values():
        yield from _with_all_below(inner)


def _sentence(error: Any, path: str) -> str:
    """What is wrong, and what to give: the help of the one parameter, or of the command."""
    param = getattr(error, "param", None)
    if param is None:
        return f"{error.format_message().rstrip('.?')}: see `{path} --help`"
    name = param.opts[0] if param.param_type_name == "option" else (param.metavar or param.name)
    is_missing = type(error).__name__ == "MissingParameter"
    said = f"{name} is missing" if is_missing else f"{name}: {_plain(error.message)}"
    return f"{said}. {param.help}" if param.help else said


def _plain(message: str) -> str:
    """What pydantic says of a value, in our words; the value is not in it: it may be a phone number given as an id."""
    said = message.rstrip(".").removeprefix("Value error, ").split(", unable")[0]
    for theirs, ours in (("Input should", "it should"), ("valid integer", "whole number"), ("valid number", "number")):
        said = said.replace(theirs, ours)
    return said
