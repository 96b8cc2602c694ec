"""`outbound dump` and `outbound restore`: a backup in one file, and its way back."""

from pathlib import Path
from typing import Annotated

import typer

from outbound.cli.common import AsJson, ready
from outbound.printing import say, tell_done


def dump(
    file: Annotated[Path, typer.Argument(help="Where to write it, like calls.dump; only you may read it.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write all that the database holds of outbound to one file, while calls go on."""
    from outbound.database import backup

    with ready(check_schema=False, as_owner=True):
        done = backup.dump(file, overwrite=overwrite)
    line = f"{done.file}: {done.bytes} bytes, all of the schema {done.schema}"
    tell_done(done._asdict(), line, as_json=as_json)


def restore(
    file: Annotated[Path, typer.Argument(help="What `outbound dump` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Take away what the database holds; without, it must be empty.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring back what `outbound dump` wrote; then dialing stays stopped until `outbound recover`."""
    from outbound.database import backup

    with ready(check_schema=False, as_owner=True):
        done = backup.restore(file, replace=replace)
    line = f"restored {done.businesses} businesses and {done.calls} calls into the schema {done.schema}"
    tell_done(done._asdict() | {"dialing_stopped": True}, line, as_json=as_json)
    say(*_next(done.missing_migrations, done.unknown_migrations))


def _next(missing: list[str], unknown: list[str]) -> list[str]:
    steps = [
        "dialing is stopped until `outbound recover`, which takes in what the carrier knows of calls since the dump"
    ]
    if missing:
        steps.insert(0, "the dump is of an older version: run `outbound migrate`")
    if unknown:
        steps.insert(0, f"the dump is of a newer version, which has {unknown[-1]}: run that version")
    return [*steps, "where processes sign in with roles of their own: run `outbound roles`"]


commands = typer.Typer()
for command in (dump, restore):
    commands.command()(command)
