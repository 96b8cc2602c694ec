"""`outbound adopt`: take over what the system before has, beside it, and give it back."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outbound.cli.common import AsJson, DryRun, nobody_to_ask, ready
from outbound.errors import UserError
from outbound.formats import digits
from outbound.printing import Table, err, out, tell, tell_json

if TYPE_CHECKING:
    from outbound.adopt.batches import Tell
    from outbound.adopt.report import AdoptionReport
    from outbound.adopt.undo import GivenBack

_DAYS_MAX = 99_999
_DOUBTS_MAX = 20
_BUSINESSES_MAX = 20


def adopt(
    from_schema: Annotated[str, typer.Option(help="The schema of the old tables.")] = "public",
    business: Annotated[list[int] | None, typer.Option(help="Only this old business; may be repeated.")] = None,
    history_days: Annotated[str, typer.Option(help="How far back calls are taken over: days, or `all`.")] = "90",
    old_redis: Annotated[
        str | None, typer.Option(help="URL of the old system's Redis.", envvar="OLD_REDIS_URL")
    ] = None,
    dry_run: DryRun = False,
    old_is_stopped: Annotated[
        bool, typer.Option("--old-is-stopped", help="You know that no old worker runs, whatever it looks like.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Give everything back, or one --business.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take over the calls, leads and waiting jobs of the system before, whose tables stay as they are."""
    if not (yes or dry_run or (err.is_terminal and not as_json)):
        raise nobody_to_ask()
    if undo and dry_run:
        raise UserError("--undo changes everything back, or nothing: there is no --dry-run of it")
    if not (undo or dry_run or old_redis or old_is_stopped):
        raise UserError(
            "give --old-redis URL, where old workers are seen that still run; or stop them, and say --old-is-stopped"
        )
    days = _days(history_days)
    with _at_our_schema(), ready(check_schema=False, broker=not (dry_run or undo), as_owner=True):
        from outbound.adopt.take_over import Options, alone, take_over
        from outbound.adopt.undo import undo as give_back

        if undo:
            if not yes:
                typer.confirm("Give back what was taken over?", abort=True, err=True)
            _tell_undo(alone(lambda connection: give_back(connection, business or (), old_redis)), as_json=as_json)
            return
        if not (yes or dry_run):
            typer.confirm(f"Take over what is in the schema {from_schema}?", abort=True, err=True)
        with _progress() as tell:
            report = take_over(
                Options(from_schema, business or (), days, dry_run, old_redis, old_is_stopped), tell=tell
            )
    _tell(report, as_json=as_json)


def _days(text: str) -> int | None:
    if text == "all":
        return None
    days = digits.whole(text)
    if days is None or not 0 <= days <= _DAYS_MAX:
        raise UserError("--history-days is a whole number of days, or `all`")
    return days


@contextmanager
def _at_our_schema() -> Iterator[None]:
    """Work in a schema of our own: the one that is configured, else `outbound`."""
    from outbound.adopt import own_schema
    from outbound.processes import service_settings

    service_settings.read()
    own_schema.use()
    yield


@contextmanager
def _progress() -> "Iterator[Tell]":
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), TextColumn("{task.completed} rows"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bars: dict[str, object] = {}

        def tell(kind: str, rows: int) -> None:
            if kind not in bars:
                bars[kind] = progress.add_task(kind, total=None)
            progress.advance(bars[kind], rows)  # type: ignore[arg-type]

        yield tell


def _tell(report: "AdoptionReport", *, as_json: bool) -> None:
    if as_json:
        tell_json(asdict(report))
        return
    from outbound.adopt.fates import FATES

    if report.is_rehearsal:
        tell("Nothing was changed. This is what would be done:")
    table = Table("", "rows", "what became of them")
    for kind, sentences in FATES.items():
        for fate, rows in report.total(kind).items():
            table.add_row(kind, str(rows), f"{fate}: {sentences.get(fate, '')}")
    out.print(table)
    _tell_businesses(report)
    for business_id, doubt in report.doubts[:_DOUBTS_MAX]:
        whose = "" if business_id is None else f"business {business_id}: "
        tell(f"Doubt: {whose}{doubt}")
    if len(report.doubts) > _DOUBTS_MAX:
        tell(f"{len(report.doubts) - _DOUBTS_MAX} more doubts: --json has them all")
    if report.redis is not None:
        _tell_redis(report.redis)
    for note in report.notes:
        tell(f"Note: {note}")
    for place, step in enumerate(report.next, start=1):
        tell(f"{place}. {step}")


def _tell_businesses(report: "AdoptionReport") -> None:
    table = Table("old", "here", "name", "calls", "leads", "jobs")
    for business in report.businesses[:_BUSINESSES_MAX]:
        of = [sum(business["fates"].get(kind, {}).values()) for kind in ("call", "lead", "job")]
        table.add_row(str(business["old_id"]), str(business["id"]), business["name"], *map(str, of))
    out.print(table)
    if len(report.businesses) > _BUSINESSES_MAX:
        more = len(report.businesses) - _BUSINESSES_MAX
        tell(f"{more} more businesses: --json has each, with the outcomes of its rows")


def _tell_redis(found: dict[str, Any]) -> None:
    table = Table("in the old Redis", "jobs", "of which kind")
    for place, counts in found["places"].items():
        kinds = ", ".join(f"{jobs} {kind}" for kind, jobs in counts["kinds"].items())
        table.add_row(place, str(sum(counts["kinds"].values())), kinds)
    out.print(table)
    asked, unknown = found["leads_asked_for"], found["of_unknown_calls"]
    tell(f"Leads of {asked} calls are asked for there; {unknown} of these calls are not here")
    if "set_aside" in found:
        moved = found["set_aside"]
        tell(f"{moved['jobs']} jobs and {moved['keys']} keys were set aside there")


def _tell_undo(given: "GivenBack", *, as_json: bool) -> None:
    if as_json:
        tell_json(given.as_json())
        return
    tell(
        f"{given.waiting} old jobs are as they were",
        f"{given.reported} old jobs were dialed here: their rows say what became of them",
        f"{given.canceled} calls that waited here are canceled",
        *(
            f"the column {column} stays in the old call_log: something is written there"
            for column in given.kept_columns
        ),
        *given.notes,
    )


commands = typer.Typer()
for command in (adopt,):
    commands.command()(command)
