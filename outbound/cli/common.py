"""Does what all commands share: start-up, options and output."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from outbound import os_user
from outbound.errors import UserError
from outbound.printing import Table, cell, err, out, say, tell, tell_added, tell_done, tell_json

if TYPE_CHECKING:
    from outbound.formats.file_report import ImportReport

__all__ = [
    "AsJson",
    "BusinessOption",
    "DryRun",
    "MaybeBusiness",
    "MaybeCampaign",
    "Number",
    "Region",
    "Table",
    "ToColumn",
    "cell",
    "err",
    "importing",
    "nobody_to_ask",
    "out",
    "ready",
    "say",
    "stop_event",
    "tell",
    "tell_added",
    "tell_done",
    "tell_import",
    "tell_json",
]

BusinessOption = Annotated[str, typer.Option("--business", help="Whose: its name or id in `outbound business list`.")]
ToColumn = Annotated[
    str | None,
    typer.Option(
        "--to-column", help="The file's name of the column that holds the number, where it is not a known one."
    ),
]
By = Annotated[
    str | None,
    typer.Option("--by", help="The person who decided it, for the audit; by default you.", callback=os_user.speak_for),
]
MaybeBusiness = Annotated[str | None, typer.Option("--business", help="Its name or id in `outbound business list`.")]
MaybeCampaign = Annotated[str | None, typer.Option("--campaign", help="Its name or id in `outbound campaign list`.")]
Number = Annotated[str, typer.Argument(help="The number, in any writing.")]
Region = Annotated[str | None, typer.Option(help="Country of numbers without a code, like IL; else the businesses'.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@contextmanager
def ready(
    *, check_schema: bool = True, broker: bool = False, lasting: bool = False, as_owner: bool = False
) -> Iterator[bool]:
    """
    Settings checked, servers there, schema new enough; the processes' and the operator's commands all start so.

    lasting: for processes that stay; broker: for what sends or takes nudges; as_owner: for what changes the tables.
    """
    from outbound import config, db, logs
    from outbound.database import error_messages, migrations
    from outbound.local.environment import prepared_environment
    from outbound.processes import service_settings

    if lasting:
        logs.set_up()
    else:
        logs.for_a_command()
        service_settings.read()
    if as_owner:
        config.use_owner()
    with prepared_environment(broker=broker, lasting=lasting) as owned:
        try:
            if check_schema:
                migrations.require()
            yield owned
        except db.Error as error:
            cause = db.cause_of(error)
            if isinstance(cause, db.UnfitDatabase):
                raise cause from None
            line = error_messages.line_of(cause)
            if line is None:
                raise
            raise UserError(line) from None
        finally:
            db.close()


def nobody_to_ask() -> UserError:
    """The refusal of a command that asks before it changes anything, where nobody is there who could answer."""
    return UserError("nobody can be asked here: give --yes, or --dry-run to see what would be done")


def stop_event() -> Event:
    """An event that SIGTERM and SIGINT set."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


@contextmanager
def importing(file: Path) -> Iterator[Callable[[int], None]]:
    """Show how far a file has been read; call what this yields with the number of bytes."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("importing"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn())
    # Only somebody who looks at a terminal is shown progress.
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task("import", total=file.stat().st_size if file.is_file() else None)
        yield lambda done: progress.update(bar, completed=done)


def tell_import(report: "ImportReport", summary: str, *, as_json: bool) -> None:
    """Say how a file was read, which of its lines were refused and why, and what came of it; exit with 1 if any was."""
    if as_json:
        tell_json(report.as_json())
    else:
        remarks = [f"line {line}: {what}" for line, what in report.remarks]
        say(*report.readings(), *remarks, *(f"line {line}: {why}" for line, why in report.rejected_lines))
        tell(summary)
    if report.rejected:
        raise typer.Exit(1)
