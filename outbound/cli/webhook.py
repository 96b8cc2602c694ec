"""`outbound webhook` and `outbound events`: who receives events, and which."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outbound import os_user
from outbound.cli.common import AsJson, By, ready, stop_event
from outbound.formats import moments
from outbound.printing import Table, cell, out, say, tell, tell_done, tell_json

if TYPE_CHECKING:
    from outbound.webhooks.endpoint import SignedEndpoint

app = typer.Typer(name="webhook", no_args_is_help=True, help="Endpoints that receive events as signed webhooks.")
commands = typer.Typer()
commands.add_typer(app)

Business = Annotated[
    str | None,
    typer.Option(help="The one business of whose events: its name or id in `outbound business list`; else all."),
]
Endpoint = Annotated[int, typer.Argument(help="Its id in `outbound webhook list`.")]
Types = Annotated[list[str] | None, typer.Option("--type", help="A type of events, like call.ended; may be repeated.")]
ADDRESS = "Where events are posted to: https://… ; in a network of OUTBOUND_WEBHOOK_ALLOW also http://."


@app.command("add")
def add(
    url: Annotated[str, typer.Argument(help=ADDRESS)],
    business: Business = None,
    type_: Types = None,
    thin: Annotated[bool, typer.Option("--thin", help="Send ids alone: no numbers, keys or contacts.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Post events to an address from now on, and print the secret that verifies them."""
    from outbound import names
    from outbound.webhooks import endpoint

    with ready():
        business_id = names.maybe("business", business, is_strict=True)
        made = endpoint.add(
            url,
            business_id=business_id,
            event_types=type_ or (),
            payload="thin" if thin else "full",
            actor=os_user.named(by),
        )
    _tell_secret(made, f"endpoint {made.id} was added: try it with `outbound webhook test {made.id}`", as_json=as_json)


@app.command("list")
def list_(business: Business = None, as_json: AsJson = False) -> None:
    """Show the endpoints, what waits for each, and whether it takes what it is sent."""
    from outbound import names
    from outbound.webhooks import endpoint

    with ready():
        rows = endpoint.every(names.maybe("business", business, is_strict=True))
    if as_json:
        tell_json([row._asdict() for row in rows])
        return
    if not rows:
        tell("there is no endpoint: `outbound webhook add` makes one")
        return
    table = Table("id", "for", "address", "types", "payload", "state", "waiting")
    for row in rows:
        whose = "all" if row.business_id is None else f"{row.business_id} {row.business}"
        types = cell(*row.event_types) if row.event_types else "all"
        table.add_row(row.id, whose, row.url, types, row.payload, _state(row), _waiting(row))
    out.print(table)


def _state(row: Any) -> str:
    if row.state == "off":
        return f"off since {moments.shown(row.state_since, 'UTC')}: {row.state_reason}"
    if row.failing_since:
        what = f": {row.last_error}" if row.last_error else ""
        return f"fails since {moments.shown(row.failing_since, 'UTC')}, {row.failures} times in a row{what}"
    return "on"


def _waiting(row: Any) -> str:
    if not row.due:
        return "nothing"
    return f"{row.due}{' or more' if row.due == 1000 else ''}, since {moments.shown(row.oldest_at, 'UTC')}"


@app.command("set")
def set_(
    endpoint_id: Endpoint,
    url: Annotated[str | None, typer.Option(help=ADDRESS)] = None,
    type_: Types = None,
    all_types: Annotated[bool, typer.Option("--all-types", help="Send it all types but call.answered.")] = False,
    payload: Annotated[str | None, typer.Option(help="full, or thin: ids alone.")] = None,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Send, or keep what comes until it is on.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Change an endpoint; switched on, what waited for it is sent."""
    from outbound.webhooks import endpoint

    with ready():
        row = endpoint.set_(
            endpoint_id,
            url=url,
            event_types=() if all_types else type_,
            payload=payload,
            state=None if on is None else "on" if on else "off",
            actor=os_user.named(by),
        )
    tell_done({"id": row.id, "state": row.state}, f"endpoint {row.id} is changed, and {row.state}", as_json=as_json)


@app.command("remove")
def remove(endpoint_id: Endpoint, by: By = None, as_json: AsJson = False) -> None:
    """Remove an endpoint, and what was not delivered to it yet."""
    from outbound.webhooks import endpoint

    with ready():
        removed = endpoint.remove(endpoint_id, actor=os_user.named(by))
    line = f"endpoint {endpoint_id} is removed; {removed['waiting']} events were not delivered"
    tell_done(removed, line, as_json=as_json)


@app.command("test")
def ping(endpoint_id: Endpoint, as_json: AsJson = False) -> None:
    """Send an endpoint a ping, as everything else is sent to it."""
    from outbound.webhooks import endpoint

    with ready():
        public_id = endpoint.ping(endpoint_id)
    line = f"{public_id} is on its way: `outbound webhook deliveries {endpoint_id}` shows what comes of it"
    tell_done({"id": public_id}, line, as_json=as_json)


@app.command("rotate")
def rotate(endpoint_id: Endpoint, by: By = None, as_json: AsJson = False) -> None:
    """Give an endpoint another secret; for 24 hours both sign."""
    from outbound.webhooks import endpoint

    with ready():
        made = endpoint.rotate(endpoint_id, actor=os_user.named(by))
    _tell_secret(made, f"endpoint {made.id} verifies with this; the one before is good for 24 hours", as_json=as_json)


@app.command("secret")
def secret(endpoint_id: Endpoint, as_json: AsJson = False) -> None:
    """Print the secret with which an endpoint verifies."""
    from outbound.webhooks import endpoint

    with ready():
        made = endpoint.secret(endpoint_id)
    _tell_secret(made, None, as_json=as_json)


def _tell_secret(made: "SignedEndpoint", line: str | None, *, as_json: bool) -> None:
    if as_json:
        tell_json({"id": made.id, "secret": made.secret})
        return
    tell(made.secret)
    if line:
        say(line)


@app.command("deliveries")
def deliveries(
    endpoint_id: Endpoint,
    state: Annotated[
        list[str] | None, typer.Option(help="due, claimed, sending, done or given_up; may be repeated.")
    ] = None,
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what was sent to an endpoint, the newest first, and what came of it."""
    from outbound.webhooks import endpoint

    with ready():
        rows = endpoint.deliveries(endpoint_id, states=state, limit=last)
    if as_json:
        tell_json([row._asdict() for row in rows])
        return
    if not rows:
        tell("nothing was to be sent to this endpoint yet")
        return
    table = Table("event", "happened", "state", "attempts", "last answer")
    for row in rows:
        again = f", again {moments.shown(row.next_attempt_at, 'UTC')}" if row.next_attempt_at and row.attempts else ""
        answer = row.error or row.status_code or ""
        table.add_row(row.public_id, moments.shown(row.at, "UTC"), row.state + again, row.attempts, str(answer))
    out.print(table)


@app.command("replay")
def replay(
    endpoint_id: Endpoint,
    event: Annotated[list[str] | None, typer.Option(help="The id of an event; may be repeated.")] = None,
    type_: Types = None,
    since: Annotated[str | None, typer.Option(help="Events from this moment on, like 2026-11-30T09:00.")] = None,
    until: Annotated[str | None, typer.Option(help="Events before this moment.")] = None,
    given_up: Annotated[bool, typer.Option("--given-up", help="Only what was given up.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Send events once more, under the ids that they had."""
    from outbound.webhooks import endpoint

    with ready():
        count = endpoint.replay(
            endpoint_id,
            event_ids=event,
            event_types=type_,
            since=_moment(since),
            until=_moment(until),
            given_up_only=given_up,
            actor=os_user.named(by),
        )
    tell_done({"replayed": count}, f"{count} events are sent once more", as_json=as_json)


@app.command("listen")
def listen(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Of this host alone.")] = 9000,
    secret: Annotated[str | None, typer.Option(envvar="WEBHOOK_SECRET", help="Verify with it: whsec_…")] = None,
) -> None:
    """Print the webhooks that come to this host, until Ctrl-C; for who writes a receiver."""
    from outbound.webhooks import listener

    stop = stop_event()
    with listener.listening(port, secret, tell):
        say(f"webhooks to http://127.0.0.1:{port}/ are shown here; outbound sends there where OUTBOUND_WEBHOOK_ALLOW")
        say("names 127.0.0.0/8")
        stop.wait()


def _moment(text: str | None) -> datetime | None:
    from outbound.errors import UserError

    try:
        return moments.read(text, "UTC", day_alone=True).at if text else None
    except moments.BadMoment as fault:
        raise UserError(f"the moment {fault}") from None


@commands.command("events")
def events(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    business: Business = None,
    type_: Types = None,
    after: Annotated[
        str | None, typer.Option(help="After this place, as --json shows it; 0-0 for all that is kept.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """
    Show what happened to calls, leads and campaigns.

    Events are written while there is an endpoint, and for 3 days after somebody looked here.
    """
    import platform

    from outbound import names
    from outbound.webhooks import event_stream

    with ready():
        business_id = names.maybe("business", business, is_strict=True)
        reader = f"{os_user.name()}@{platform.node()}"
        event_stream.want(reader, business_id)
        place = event_stream.place(after or (None if follow else "0-0"))
        if follow:
            stop = stop_event()
            for row in event_stream.follow(place, business_id, type_, reader=reader, is_over=stop.is_set):
                _tell_event(row, as_json=as_json)
                sys.stdout.flush()  # who reads it through a pipe reads it now
            return
        rows = [None]
        while rows:
            rows, place = event_stream.read(place, business_id, type_)
            for row in rows:
                _tell_event(row, as_json=as_json)


def _tell_event(row: Any, *, as_json: bool) -> None:
    if as_json:
        from outbound.webhooks import event_stream

        event = {"place": str(event_stream.place_of(row)), "id": row.public_id, "type": row.type}
        tell_json(event | {"timestamp": row.at, "business_id": row.business_id, "data": row.data})
        return
    facts = [
        f"{name}={row.data[name]}" for name in ("status", "error_code", "campaign", "reason") if row.data.get(name)
    ]
    about = f"call {row.data['call_id']}" if row.data.get("call_id") else f"business {row.business_id}"
    tell(" ".join([moments.shown(row.at, "UTC"), row.type, about, *facts]))
