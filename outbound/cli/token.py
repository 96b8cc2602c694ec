"""`outbound token`: the tokens of the API."""

from typing import Annotated

import typer

from outbound import os_user
from outbound.cli.common import AsJson, By, ready
from outbound.formats import moments
from outbound.printing import Table, cell, out, say, tell, tell_done, tell_json

app = typer.Typer(name="token", no_args_is_help=True, help="Tokens of the API: who may see and change what.")
commands = typer.Typer()
commands.add_typer(app)

Business = Annotated[
    str | None, typer.Option(help="The one business it may see: its name or id in `outbound business list`; else all.")
]


@app.command("add")
def add(
    name: Annotated[str, typer.Option(help="What people call it.")],
    scope: Annotated[
        list[str],
        typer.Option(help="What it may do, like calls:read, calls:write, control or operator; may be repeated."),
    ],
    business: Business = None,
    days: Annotated[int | None, typer.Option(help="It is refused after so many days; by default never.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it, this once: only its hash is kept."""
    from dataclasses import asdict

    from outbound import names
    from outbound.rules import api_token

    with ready():
        business_id = names.maybe("business", business, is_strict=True)
        made = api_token.add(
            name, scopes=_split(scope), business_id=business_id, life_days=days, actor=os_user.named(by)
        )
    if as_json:
        tell_json(asdict(made))
        return
    tell(made.token)
    say(f"token {made.id} ({made.public_id}) was made for {_whose(business_id)}: it is shown this once")


@app.command("list")
def list_(business: Business = None, as_json: AsJson = False) -> None:
    """Show the tokens, the newest first, without their text."""
    from outbound import names
    from outbound.rules import api_token

    with ready():
        rows = api_token.every(names.maybe("business", business, is_strict=True))
    if as_json:
        tell_json([row._asdict() for row in rows])
        return
    if not rows:
        tell("there is no token: `outbound token add` makes one")
        return
    table = Table("id", "token", "name", "for", "may", "state", "last used")
    for row in rows:
        whose = "all" if row.business_id is None else f"{row.business_id} {row.business}"
        used = moments.shown(row.last_used_at, "UTC") if row.last_used_at else "never"
        table.add_row(row.id, f"outb_{row.public_id}_…", row.name, whose, cell(*row.scopes), _state(row), used)
    out.print(table)


def _state(row: object) -> str:
    revoked, expires = getattr(row, "revoked_at", None), getattr(row, "expires_at", None)
    if revoked:
        return f"revoked {moments.shown(revoked, 'UTC')}"
    if expires:
        return f"{'until' if getattr(row, 'is_live', False) else 'expired'} {moments.shown(expires, 'UTC')}"
    return "live"


@app.command("revoke")
def revoke(
    token: Annotated[str, typer.Argument(help="Its id in `outbound token list`, or its 8 letters after outb_.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Refuse a token from now on; a running API process takes it for 5 seconds at most."""
    from outbound.rules import api_token

    with ready():
        row = api_token.revoke(token, actor=os_user.named(by))
    line = f"token {row.public_id} ({row.name}) is revoked"
    if not row.is_new:
        line = f"nothing changed: token {row.public_id} ({row.name}) was revoked before"
    tell_done({"public_id": row.public_id, "name": row.name, "changed": row.is_new}, line, as_json=as_json)


def _split(given: list[str]) -> list[str]:
    return [word.strip() for text in given for word in text.split(",") if word.strip()]


def _whose(business_id: int | None) -> str:
    return "all businesses" if business_id is None else f"business {business_id}"
