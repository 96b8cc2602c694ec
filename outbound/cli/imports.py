"""`outbound imports`: how files of calls came into the queue."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from outbound.cli.common import AsJson, MaybeBusiness, MaybeCampaign, ready
from outbound.formats import moments
from outbound.printing import Table, out, tell, tell_json

if TYPE_CHECKING:
    from outbound import db

app = typer.Typer(name="imports", no_args_is_help=True, help="Files of calls: how far each import has come.")
commands = typer.Typer()
commands.add_typer(app)

State = Annotated[
    list[str] | None,
    typer.Option(help="running, finished, broken_off, refused or interrupted. May be repeated."),
]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many at most, the newest ones.")]
Before = Annotated[int | None, typer.Option(min=1, help="Only those with a smaller id, to go on behind a page.")]
_COUNTS = ("created", "already_there", "duplicates", "rejected", "called_lately")


def _as_json(row: "db.Row", *, with_lines: bool = False) -> dict[str, object]:
    from outbound.calls.import_record import REPORTED

    shown: dict[str, Any] = row._asdict()
    lines, refused, report = (shown.pop(name) for name in ("rejected_lines", "rejected", "report"))
    shown["refused"] = refused
    if with_lines:
        shown |= dict.fromkeys(REPORTED) | report | {"refused_lines": lines}
    return shown


@app.command("list")
def list_(
    business: MaybeBusiness = None,
    campaign: MaybeCampaign = None,
    state: State = None,
    limit: Limit = 20,
    before: Before = None,
    as_json: AsJson = False,
) -> None:
    """List imports of files of calls, the newest first: how far each has come, and how it ended."""
    from outbound import names
    from outbound.calls import import_record

    with ready():
        rows = import_record.find(
            business_id=names.maybe("business", business, is_strict=True),
            campaign_id=names.maybe("campaign", campaign, is_strict=True),
            states=state,
            before=before,
            limit=limit,
        )
    if as_json:
        tell_json([_as_json(row) for row in rows])
        return
    if not rows:
        tell("there is none: `outbound import` takes a file of calls")
        return
    table = Table("id", "batch", "state", "began", "bytes", *(name.replace("_", " ") for name in _COUNTS))
    for row in rows:
        counts = [getattr(row, name) for name in _COUNTS]
        began = moments.shown(row.started_at, "UTC")
        table.add_row(row.id, row.batch, row.state, began, row.received_bytes, *counts)
    out.print(table)


@app.command("show")
def show(
    import_id: Annotated[int, typer.Argument(metavar="IMPORT", help="Its id in `outbound imports list`.")],
    as_json: AsJson = False,
) -> None:
    """Show an import: its state, how many bytes came, what came of its lines, and the first 1,000 refused ones."""
    from outbound.calls import import_record

    with ready():
        row = import_record.of(import_id)
    if as_json:
        tell_json(_as_json(row, with_lines=True))
        return
    tell(
        f"import {row.id}, batch {row.batch}: {row.state}, {row.received_bytes} bytes, by {row.created_by}",
        ", ".join(f"{getattr(row, name)} {name.replace('_', ' ')}" for name in _COUNTS),
        *([row.reason] if row.reason else []),
        *row.report.get("dates", []),
        *(f"line {line['line']}: {line['remark']}" for line in row.report.get("remarks", [])),
        *(f"line {line['line']}: {line['reason']}" for line in row.rejected_lines),
    )
