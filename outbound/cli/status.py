"""`outbound status` and `ready`: what is going on at this moment, and what to do about it."""

import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from outbound.cli.common import AsJson, ready
from outbound.formats import moments
from outbound.printing import Table, out, tell, tell_json, visible

if TYPE_CHECKING:
    from outbound.monitoring.situation import Fact

_WATCH_S = 2  # between two looks
_STYLES = {"ok": "green", "broken": "bold red", "held": "yellow", "on_purpose": "yellow"}
_END_KEYS = b"qQ\x03\x04"

Watch = Annotated[bool, typer.Option("--watch", help=f"Look again every {_WATCH_S} s, until q or Ctrl-C.")]


def status(watch: Watch = False, as_json: AsJson = False) -> None:
    """What is going on, what to do about it, and what the queue looks like right now."""
    with ready():
        show = _as_json if as_json else _shown
        if not watch:
            show(*_read())
            return
        signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a script started us with it ignored
        try:
            _watch(None if as_json or out.is_dumb_terminal or not out.is_terminal else _page, show)
        except KeyboardInterrupt:  # the usual end
            return


def _read() -> tuple[list["Fact"], dict[str, Any]]:
    """Return what is going on, and the queue in numbers."""
    from outbound.monitoring import metrics, situation

    facts, numbers = situation.read(), metrics.read()
    return facts, {
        "queue_len": int(metrics.queue_len(numbers)),
        "calls": numbers["calls"],
        "oldest_due_seconds": numbers["oldest_due_seconds"][None],
        "stale": numbers["stale"],
        "pending_without_call_sid": int(numbers["pending_without_call_sid"][None]),
        "worker_threads": int(numbers["worker_threads"][None]),
        "ended": numbers.get("ended", {}),
    }


def _as_json(facts: list["Fact"], summary: dict[str, Any]) -> None:
    tell_json({"now": [fact._asdict() for fact in facts]} | summary)


def _shown(facts: list["Fact"], summary: dict[str, Any]) -> None:
    for fact in facts:
        tell(fact.sentence, style=_STYLES[fact.kind])
    out.print(_table(summary))


def _table(summary: dict[str, Any]) -> Table:
    table = Table("", "", show_header=False)
    for name, value in summary.items():
        text = "  ".join(f"{label} {count:g}" for label, count in value.items()) if isinstance(value, dict) else value
        table.add_row(name.replace("_", " "), str(text))
    return table


def _page(facts: list["Fact"], summary: dict[str, Any]) -> RenderableType:
    """Facts and summary as one screen: the first line says what is going on, the last one how to leave."""
    lines = [Text(visible(fact.sentence), _STYLES[fact.kind]) for fact in facts]
    rest: list[RenderableType] = [_table(summary), _footer()]
    while len(lines) > 1 and len(out.render_lines(Group(*lines, *rest))) > out.size.height:
        lines.pop()  # what matters least
    return Group(*lines, *rest)


def _footer() -> Text:
    return Text(f"{moments.shown(datetime.now(UTC).replace(microsecond=0), 'UTC')}; q or Ctrl-C ends this", "dim")


def _watch(page: Callable[..., RenderableType] | None, show: Callable[..., None]) -> None:
    """Show it again and again: on a screen of its own, or where there is none one after the other."""
    with _keys() as ended:
        if page is None:
            while True:
                try:
                    show(*_read())
                except _away() as error:
                    tell(_why_away(error))
                if ended():
                    return
        from rich.live import Live

        with Live(console=out, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                try:
                    live.update(page(*_read()), refresh=True)
                except _away() as error:
                    live.update(Group(Text(_why_away(error), "bold red"), _footer()), refresh=True)
                if ended():
                    return


def _away() -> tuple[type[BaseException], ...]:
    from outbound import db

    return db.Unavailable


def _why_away(error: BaseException) -> str:
    from outbound import db
    from outbound.database import error_messages

    return error_messages.line_of(db.cause_of(error)) or "the database does not answer"


@contextmanager
def _keys() -> Iterator[Callable[[], bool]]:
    """Give what waits for the time of the next look, and says whether a key asked for the end before."""
    if not sys.stdin.isatty():
        never = threading.Event()
        yield lambda: never.wait(_WATCH_S)
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)  # Ctrl-C still interrupts
    try:
        yield lambda: _is_ended(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _is_ended(terminal: int) -> bool:
    readable, _, _ = select.select([terminal], [], [], _WATCH_S)
    if not readable:
        return False
    try:
        pressed = os.read(terminal, 64)
    except OSError:  # the terminal is gone
        return True
    return not pressed or any(key in _END_KEYS for key in pressed)


def ready_(as_json: AsJson = False) -> None:
    """Can calls be made right now?  Exit status 1, and what is missing, where not; a pause is no fault."""
    with ready(check_schema=False, broker=True):
        from outbound.monitoring import health

        found = health.check()
    if as_json:
        tell_json(found.as_json())
    else:
        held = (f"{name}: {reason}" for name, reason in found.held.items())
        missing = (f"{name}: {reason}" for name, reason in found.missing.items())
        tell(*(missing if found.missing else ("ready",)), *held)
    if found.missing:
        raise typer.Exit(1)


commands = typer.Typer()
commands.command()(status)
commands.command("ready")(ready_)
