"""The help of `outbound`: commands in the order of a day, and messages for misuse."""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from outbound import late_imports
from outbound.cli import option_table
from outbound.errors import UserError
from outbound.formats import digits, plain_text
from outbound.printing import out, visible

# The panels of `outbound --help`, and the commands of each, in the order in which a day needs them: the module of
# outbound.cli that has the command, and the first paragraph of its help, for which no module is imported.
PANELS: dict[str, dict[str, tuple[str, str]]] = {
    "What is going on": {
        "status": ("status", "What is going on, what to do about it, and what the queue looks like right now."),
        "ready": (
            "status",
            "Can calls be made right now?  Exit status 1, and what is missing, where not; a pause is no fault.",
        ),
        "doctor": (
            "checks",
            "Look at everything that calls depend on, and say how to mend it; exit status 1 where something is broken.",
        ),
        "calls": ("calls", "Find calls, the newest first: by when they ended, were dialed, or are due."),
        "call": ("calls", "One call: what became of it; make it again, or at another time."),
        "why": ("control", "Say why a call is not being dialed right now.  Exit status 2 where there is no such call."),
        "leads": ("calls", "List leads, the latest contact first."),
        "control": ("control", "Show what is paused, limited and held, and how much of each limit is used."),
        "events": ("webhook", "Show what happened to calls, leads and campaigns."),
        "audit": ("audit", "Show who did what, and check that the record is complete."),
        "preview": ("control", "Say what a campaign would do if it were launched now; changes nothing."),
    },
    "Put calls in the queue": {
        "import": ("enqueue", "Put a file of calls in the queue.  Exit status 1 where lines were refused."),
        "imports": ("imports", "Files of calls: how far each import has come."),
        "enqueue": ("enqueue", "Put one call in the queue."),
    },
    "Stop and limit": {
        "pause": ("control", "Begin no new call here; those in the air go on."),
        "resume": ("control", "Resume dialing, whether an operator or the breaker paused it."),
        "drain": (
            "control",
            (
                "Pause, and wait until no call is in the air.  Exit status 1 where that was not waited "
                "for; it stays paused."
            ),
        ),
        "cancel": ("control", "Close calls that wait, and end those that ring; who is talking goes on."),
        "stop": ("control", "Pause, and hang up all calls that are in the air, also those in progress."),
        "limit": (
            "control",
            "Say how fast, how many at once, how much in all, and how large a share; what is not given stays.",
        ),
    },
    "Who calls, and what for": {
        "business": ("business", "The tenants."),
        "campaign": ("campaign", "What is called for: numbers, words, retry policy, pace and days."),
        "retry-policy": ("campaign", "How often and when somebody is tried again."),
    },
    "Whom, where and when": {
        "suppress": ("suppression", "The do-not-call list."),
        "consent": ("suppression", "Records of who agreed to be called."),
        "registry": ("suppression", "Results of do-not-call registry checks."),
        "person": ("audit", "All that is known of one person, and its end."),
        "window": ("calling_window", "When callees may be called, by the clocks at their place."),
        "token": ("token", "Tokens of the API: who may see and change what."),
        "webhook": ("webhook", "Endpoints that receive events as signed webhooks."),
        "destination": ("destination", "Where calls may go: countries and first digits, allowed or closed."),
    },
    "Run it": {
        "up": (
            "processes",
            (
                "Run everything on this machine until Ctrl-C: servers where none are configured, simulator "
                "unless Twilio is."
            ),
        ),
        "demo": (
            "processes",
            "Watch calls live and die on a simulated carrier; exit status 0 only if every promise was kept.",
        ),
        "worker": ("processes", "Run the Dramatiq workers that dial and make leads."),
        "scheduler": ("processes", "Run dispatch, reconcile and clean-up; safe on every host at once."),
        "web": ("processes", "Serve the carrier's callbacks, /metrics, /healthz and /readyz."),
        "api": (
            "processes",
            "Serve the HTTP API, on which applications queue calls and read what became of them.",
        ),
        "simulator": (
            "processes",
            "Run a carrier that speaks Twilio's Calls API and rings no phone; a number's end chooses its scenario.",
        ),
        "install-service": (
            "processes",
            "Print systemd's units for worker, scheduler, web and migrate, or install them.",
        ),
    },
    "Look after it": {
        "migrate": ("maintenance", "Bring the database's schema up to date; safe to run twice, and after a kill."),
        "roles": (
            "checks",
            (
                "Make the database's roles (owner, application, reader, voice) and say what each may do; "
                "after each migration."
            ),
        ),
        "verify": (
            "checks",
            "Prove on the live servers, in a place of its own, that the old system's faults cannot come back.",
        ),
        "rollback": (
            "checks",
            "Take back migrations, newest first; what they added is lost for good.  Stop every process before.",
        ),
        "cleanup": ("maintenance", "Close or take back whatever is overdue, now."),
        "purge": (
            "checks",
            "Delete calls that ended more than so many days ago, with their events; or what --what says.",
        ),
        "dump": ("backup", "Write all that the database holds of outbound to one file, while calls go on."),
        "restore": (
            "backup",
            "Bring back what `outbound dump` wrote; then dialing stays stopped until `outbound recover`.",
        ),
        "recover": (
            "recover",
            "After a restore or a failover: take in what the carrier knows, then dial on.  Exit status 1 until then.",
        ),
        "adopt": (
            "adopt",
            "Take over the calls, leads and waiting jobs of the system before, whose tables stay as they are.",
        ),
        "psql": (
            "maintenance",
            "Open psql on the configured database, or on our own, in outbound's schema; further arguments are psql's.",
        ),
        "version": ("maintenance", "Print the version."),
    },
}
_PANEL_OF = {name: panel for panel, commands in PANELS.items() for name in commands}

# What typer.rich_utils imports for another kind of markup than ours, and for an error that nobody expected: with what
# these two import, a third of the time of `outbound --help`.
NOT_FOR_HELP = {"rich.markdown": ("Markdown",), "rich.traceback": ("Traceback",)}

# ClickException of whichever click typer brings.
_NOT_UNDERSTOOD: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


class _Context(typer.Context):
    """The context of each command, whose help can be shown by a terminal that is not of UTF-8."""

    def get_help(self) -> str:
        """The help; where rich draws it, this is the empty string."""
        late_imports.load("typer.rich_utils", NOT_FOR_HELP)
        option_table.use()
        return plain_text.encodable(super().get_help(), out.encoding)


class _Commands(Mapping[str, Any]):
    """Every command by its name, in the order of the panels; its module is imported when it is asked for."""

    def __init__(self, markup: Any) -> None:
        self._markup = markup
        self._loaded: dict[str, Any] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(_PANEL_OF)

    def __len__(self) -> int:
        return len(_PANEL_OF)

    def __contains__(self, name: object) -> bool:
        return name in _PANEL_OF

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._load(PANELS[_PANEL_OF[name]][name][0])
        return self._loaded[name]

    def _load(self, module: str) -> None:
        """All commands of a module, so that each is built once."""
        declared = importlib.import_module(f"outbound.cli.{module}").commands
        declared.rich_markup_mode = self._markup
        group = typer.main.get_group(declared)
        for name, command in group.commands.items():
            command.rich_help_panel = _PANEL_OF[name]  # type: ignore[attr-defined]
            self._loaded[name] = command
        for command in _with_all_below(group):
            command.context_class = _Context
            for param in command.params:
                _take_digits_alone(param)


class Root(TyperGroup):
    """`outbound`: its panels, and errors of one line each that say what to give."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.commands: Any = _Commands(self.rich_markup_mode)
        self.context_class = _Context

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """In the order of the panels."""
        return list(self.commands)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, with what PANELS says of each command."""
        listed = copy(self)
        listed.commands = {
            name: TyperCommand(name, help=text, rich_help_panel=panel)
            for panel, commands in PANELS.items()
            for name, (_, text) in commands.items()
        }
        super(Root, listed).format_help(ctx, formatter)

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
                command = command.commands[word]
        return " ".join(names)

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Refuse what is not understood as every other fault is refused: in one line, with what to give."""
        try:
            yield
        except _NOT_UNDERSTOOD as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                raise
            path = error.ctx.command_path if getattr(error, "ctx", None) else self._path
            raise UserError(visible(_sentence(error, path))) from None


def _take_digits_alone(param: Any) -> None:
    """Have an option or argument that is a number refuse what is not written in digits; its bounds are typer's."""
    kind = digits.kind_of(param.type_descriptor.annotation)
    if kind is None:
        return
    read = param.process_value

    def strictly(ctx: Any, value: Any) -> Any:
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, str) and (fault := digits.fault(text, kind)):
                raise typer.BadParameter(fault, ctx=ctx, param=param)
        return read(ctx, value)

    param.process_value = strictly


def _with_all_below(command: Any) -> Iterator[Any]:
    yield command
    for inner in getattr(command, "commands", {}).values():
        yield from _with_all_below(inner)


def _sentence(error: Any, path: str) -> str:
    """Return what is wrong, and what to give: the help of the one parameter, or of the command."""
    param = getattr(error, "param", None)
    if param is None:
        return f"{error.format_message().rstrip('.?')}: see `{path} --help`"
    name = param.opts[0] if param.param_type_name == "option" else (param.metavar or param.name)
    is_missing = type(error).__name__ == "MissingParameter"
    text = f"{name} is missing" if is_missing else f"{name}: {_plain(error.message)}"
    return f"{text}. {param.help}" if param.help else text


def _plain(message: str) -> str:
    """
    Return what pydantic says of a value, in our words; the value is not in it: it may be a phone number given as an id.
    """
    text = message.rstrip(".").removeprefix("Value error, ").split(", unable")[0]
    return text.replace("Input should", "it should")
