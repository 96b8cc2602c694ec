"""The `outbound` command: each subcommand is one call to one step."""

import os
import signal
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Annotated, NoReturn

import typer
from rich.text import Text

from outbound import __version__, config, logs, os_user
from outbound.cli import adopt as cli_adopt
from outbound.cli import audit as cli_audit
from outbound.cli import backup as cli_backup
from outbound.cli import business as cli_business
from outbound.cli import calling_window as cli_window
from outbound.cli import calls as cli_calls
from outbound.cli import campaign as cli_campaign
from outbound.cli import checks as cli_doctor
from outbound.cli import control as cli_control
from outbound.cli import destination as cli_destination
from outbound.cli import recover as cli_recover
from outbound.cli import status as cli_now
from outbound.cli import suppression as cli_suppression
from outbound.cli.common import AsJson, By, ToColumn, importing, ready, tell_import, until_told_to_stop
from outbound.cli.help import Root
from outbound.database import error_messages
from outbound.errors import UserError
from outbound.formats import moments
from outbound.printing import Table, cell, err, out, say, tell, tell_added, tell_changed, tell_done, tell_json
from outbound.standard_output import is_utf, standard_output

app = typer.Typer(
    cls=Root,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,  # a local may be a phone number or a token
    help="An outbound call queue: PostgreSQL is the truth, workers dial through Twilio, no phone rings twice.",
)
business_app = typer.Typer(no_args_is_help=True, help="The tenants.")
app.add_typer(business_app, name="business")
app.add_typer(cli_campaign.campaign_app, name="campaign")
app.add_typer(cli_campaign.ladder_app, name="ladder")
app.add_typer(cli_window.app, name="window")
app.add_typer(cli_calls.call_app, name="call")
app.add_typer(cli_destination.app, name="destination")
for group in (*cli_suppression.groups, *cli_audit.groups):
    app.add_typer(group)
for command in (
    *cli_calls.commands,
    *cli_control.commands,
    *cli_doctor.commands,
    *cli_backup.commands,
    *cli_recover.commands,
    *cli_adopt.commands,
):
    app.command()(command)

MaybeBusiness = Annotated[
    str | None, typer.Option("--business", help="Whose: its name or id in `outbound business list`.")
]
MaybeCampaign = Annotated[
    str | None, typer.Option("--campaign", help="For which: its name or id in `outbound campaign list`.")
]
BusinessArgument = Annotated[str, typer.Argument(help="Its name or id in `outbound business list`.")]

Account = Annotated[
    str | None,
    typer.Option(
        help="SID of the Twilio account that its calls are dialed with, AC…; `default` is TWILIO_ACCOUNT_SID."
    ),
]

LISTEN_S = 10  # a port that cannot be had is refused at once


def main() -> None:
    """Run the command; an error that the user can mend is one clear line, and exit status 2."""
    from outbound import db

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an end like any other: what was started is stopped
    with standard_output():
        try:
            # Without frames where the terminal has no characters for them.
            app.rich_markup_mode = "rich" if is_utf(getattr(sys.stdout, "encoding", None)) else None
            app(prog_name="outbound")
        except UserError as error:
            _refuse(str(error))
        except db.Error as error:
            line = error_messages.line_of(db.cause_of(error))
            if line is None:
                raise
            _refuse(line)
        except UnicodeEncodeError:
            _refuse("what was given holds bytes that are no text: write it in UTF-8, and let LANG name a UTF-8 locale")


def _refuse(message: str) -> NoReturn:
    say(*(f"outbound: {line}" for line in message.split("\n")), style="red")
    sys.exit(2)


def _tell_version(asked: bool) -> None:
    if asked:
        tell(__version__)
        raise typer.Exit


@app.callback()
def common(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_tell_version, is_eager=True)
    ] = False,
    log_format: Annotated[
        str | None, typer.Option("--log-format", help="Form of the log: logfmt, json or console.")
    ] = None,
) -> None:
    """Take what is meant for every command; our child processes inherit it."""
    if log_format is not None:
        if log_format not in logs.FORMATS:
            raise UserError(f"--log-format is {', '.join(logs.FORMATS[:-1])} or {logs.FORMATS[-1]}")
        os.environ[logs.FORMAT_SETTING] = log_format


@app.command()
def version(as_json: AsJson = False) -> None:
    """Print the version."""
    tell_done({"version": __version__}, __version__, as_json=as_json)


@app.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring the database's schema up to date; safe to run twice, and after a kill."""
    from outbound.database import migrations

    with ready(check_schema=False, as_owner=True):
        applied = migrations.migrate(tell=say)
    lines = [f"applied {name}" for name in applied] or ["nothing to apply"]
    tell_done({"applied": applied}, *lines, as_json=as_json)


@business_app.command("add")
def business_add(
    name: Annotated[str, typer.Option(help="What people call it.")],
    voice_url: Annotated[str | None, typer.Option(help="Where the carrier asks what a call plays.")] = None,
    twiml: Annotated[str | None, typer.Option(help="What a call plays, as TwiML.")] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="IANA name, like Asia/Jerusalem; by default the region's, where that has one.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Country of numbers without a code, like IL.")] = None,
    number: Annotated[list[str] | None, typer.Option(help="A number of its own; may be repeated.")] = None,
    account: Account = None,
    any_hour: Annotated[
        bool, typer.Option("--any-hour", help="Call at any hour; else it keeps to its region's calling hours.")
    ] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Add a business and print its id."""
    from outbound.rules import new_business

    zone, why = (time_zone, "") if time_zone else cli_business.time_zone_of(region, number or [])
    with ready():
        added = new_business.add(
            name,
            who=os_user.named(by),
            time_zone=zone,
            default_region=region,
            voice_url=voice_url,
            twiml=twiml,
            phones=number or [],
            account=account,
            any_hour=any_hour,
        )
    hours = None if added.hours is None else added.hours.name
    tell_added("business", {"id": added.id, "name": name, "time_zone": zone, "calling_hours": hours}, as_json=as_json)
    cli_business.say_hours(added, zone, why, new_business.place(region, number or [], zone), any_hour=any_hour)
    _tell_of_account(account)


@business_app.command("set")
def business_set(
    business_id: BusinessArgument,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    voice_url: Annotated[str | None, typer.Option(help="Where the carrier asks what a call plays.")] = None,
    twiml: Annotated[str | None, typer.Option(help="What a call plays, as TwiML.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="IANA name, like Asia/Jerusalem.")] = None,
    region: Annotated[str | None, typer.Option(help="Country of numbers without a code, like IL.")] = None,
    number: Annotated[list[str] | None, typer.Option(help="One more number; may be repeated.")] = None,
    account: Account = None,
    look_back_hours: Annotated[
        int | None,
        typer.Option(min=0, max=168, help="An import holds out who was called since; 0 to 168, 24 at first."),
    ] = None,
    _by: By = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given of a business."""
    from outbound import names
    from outbound.rules import business

    with ready():
        found = names.find("business", business_id)
        changed = business.change(
            found,
            name=name,
            voice_url=voice_url,
            twiml=twiml,
            time_zone=time_zone,
            default_region=region,
            phones=number or [],
            account=account,
            look_back_hours=look_back_hours,
        )
    tell_changed("business", found, changed, as_json=as_json)
    _tell_of_account(account)


def _tell_of_account(account: str | None) -> None:
    from outbound.carrier import accounts
    from outbound.rules import business

    if account not in (None, business.DEFAULT_ACCOUNT) and accounts.credentials(account) is None:
        say(f"its calls wait until every worker's host has {account}.json in TWILIO_ACCOUNTS_DIR; this one has not")


@business_app.command("list")
def business_list(as_json: AsJson = False) -> None:
    """Show the businesses."""
    from outbound.rules import business

    with ready():
        rows = business.every()
    if as_json:
        tell_json([row._asdict() for row in rows])
        return
    has_accounts = any(row.carrier_account for row in rows)
    table = Table("id", "name", "time zone", "region", "own numbers", *["account"] * has_accounts, "plays")
    for row in rows:
        account = [row.carrier_account or ""] * has_accounts
        plays = row.voice_url or ("TwiML" if row.has_twiml else "nothing: it cannot call")
        table.add_row(
            str(row.id), row.name, row.time_zone, row.default_region or "", " ".join(row.phones), *account, plays
        )
    out.print(table)


@business_app.command("show")
def business_show(business: BusinessArgument, as_json: AsJson = False) -> None:
    """Show one business: its numbers, what it plays, what limits and holds it, and its campaigns."""
    from outbound import names
    from outbound.rules import business as step

    with ready():
        shown = step.show(names.find("business", business))
    if as_json:
        tell_json(shown)
        return
    table = Table("", "", show_header=False)
    for name, value in shown.items():
        if value not in (None, [], {}):
            table.add_row(name.removesuffix("_name").replace("_", " "), _shown_value(value, shown["time_zone"]))
    out.print(table)


def _shown_value(value: object, zone: str) -> Text:
    """A list as a line each, counts beside their names, a moment by the business's clocks."""
    if isinstance(value, datetime):
        return cell(moments.shown(value, zone))
    if isinstance(value, dict):
        return cell("  ".join(f"{name} {count}" for name, count in value.items()))
    if isinstance(value, list):
        return cell(*(f"{one['id']} {one['name']}" if isinstance(one, dict) else one for one in value))
    return cell(value)


@app.command()
def enqueue(
    to: Annotated[str, typer.Option(help="The number to call.")],
    business: MaybeBusiness = None,
    campaign: MaybeCampaign = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="The number that calls; the campaign's choice, the business's first.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="Not before this moment, with its time, like 2026-11-30T09:00: by the callee's clocks where those are"
            " known, else the business's."
        ),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Your name for this call: one key never makes two calls.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="The callee's, like Asia/Jerusalem.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put one call in the queue."""
    from outbound import names
    from outbound.calls import enqueue as step
    from outbound.monitoring.why import why_new

    with ready():
        whose = names.whose(business, campaign)
        call = step.enqueue(**whose, to_number=to, from_number=from_, due_at=at, key=key, time_zone=time_zone)
        waits = why_new(call.call_id)
    state = "queued" if call.created else f"was there already, {call.status}"
    if call.note:
        say(call.note)
    tell_done(asdict(call), f"call {call.call_id} {state}", as_json=as_json)
    say(*([f"at: {call.due}"] if call.due else []), *waits)


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV or .xlsx, or - for standard input; a line names the columns: to (or phone_number, mobile,"
            " טלפון …), from, at, key, business, time_zone, and what is known of the callee."
        ),
    ],
    business: MaybeBusiness = None,
    campaign: MaybeCampaign = None,
    batch: Annotated[
        str | None,
        typer.Option(help="Name of this set of calls, in its campaign or business; by default the file's."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Take numbers that were called lately, too.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Take a file of which nearly all is refused.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would come of it.")] = False,
    to_column: ToColumn = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """
    Put a file of calls in the queue.  Exit status 1 where lines were refused.

    Correct the refused lines and import the file again: whom this batch has reached is not called by it again, whatever
    was changed in the line, and neither is a call that was canceled; `--batch NEW` calls them again.  Who was called
    lately by anything of the business (`outbound business set ID --look-back-hours`, 24) is held out and listed;
    `--again` takes them.

    The number's column may be called as VICIdial, HubSpot, Salesforce, Google Contacts, Outlook, ElevenLabs, Vapi,
    Bolna and Hebrew spreadsheets call it; of several, each row's first number counts, mobiles before others.  A title
    above the columns' names is stepped over.  `at` needs a time (2026-11-30T09:00, or 30/11/2026 09:00 with day and
    month in the order of the business's region): a date alone is refused.
    """
    from outbound import names
    from outbound.calls.enqueue import import_calls
    from outbound.monitoring import situation

    with ready(), importing(file) as progress:
        whose = names.whose(business, campaign)
        report = import_calls(
            file,
            **whose,
            batch=batch,
            again=again,
            anyway=anyway,
            dry_run=dry_run,
            to_column=to_column,
            progress=progress,
            who=by or os_user.name(),
        )
        waits = [] if dry_run else situation.after_queueing(whose["business_id"], whose["campaign_id"])
    if not as_json:
        say(*report.outcome())
    try:
        tell_import(report, report.summary(), as_json=as_json)
    finally:  # also where refused lines end it
        say(*waits)


app.command()(cli_now.status)


@app.command()
def cleanup(as_json: AsJson = False) -> None:
    """Close or take back whatever is overdue, now."""
    with ready(broker=True):
        from outbound.calls.cleanup import cleanup_stuck_dialing_jobs

        moved = cleanup_stuck_dialing_jobs()
    lines = [f"{rule}: {'failed, see the log' if calls is None else calls}" for rule, calls in moved.items()]
    tell_done({"moved": moved}, *lines, as_json=as_json)
    if None in moved.values():
        raise typer.Exit(1)


@app.command()
def worker(with_web: Annotated[bool, typer.Option(hidden=True)] = False) -> None:
    """Run the Dramatiq workers that dial and make leads."""
    from outbound.processes import systemd_units

    with ready(check_schema=False, broker=True, lasting=True) as owned:
        systemd_units.require_schema()
        if (config.settings().redis_url or "").startswith("memory://"):
            _everything_in_this_process(with_web=with_web)
            return
        settings = config.settings()
        command = [sys.executable, "-m", "outbound.processes.dramatiq_master", "outbound.processes.worker:set_up"]
        command += ["--processes", str(settings.worker_processes), "--threads", str(settings.worker_threads)]
        # What is in flight ends within the carrier's timeout; then its outcome is written.
        command += ["--worker-shutdown-timeout", str(int((settings.carrier_timeout_s + 15) * 1000))]
        # What is at work counts: with fewer, threads stand idle; with more, a nudge waits here that another could dial.
        os.environ["dramatiq_queue_prefetch"] = str(settings.worker_threads)  # noqa: SIM112 (its name)
        if not owned:
            from outbound import db

            db.close()
            os.execv(sys.executable, command)  # noqa: S606 (systemd sees the master itself)
        from outbound.local.supervisor import Processes

        with Processes({"worker": ["worker"]}) as processes:
            stop = until_told_to_stop()
            while not stop.wait(1):
                processes.tend()


def _everything_in_this_process(*, with_web: bool) -> None:
    """For REDIS_URL=memory://: the nudges never leave this process, so all who send or take them live in it."""
    from outbound.processes import scheduler
    from outbound.processes.worker import in_this_process
    from outbound.web import app

    if with_web:
        config.require_auth_token()
    settings = config.settings()
    stop = until_told_to_stop()
    server = app.server(settings.web_host, settings.web_port)
    listener = Thread(target=server.run, name="web", daemon=True)
    if with_web:
        listener.start()
        deadline = time.monotonic() + LISTEN_S
        while not server.started:  # Nobody is rung before the carrier can call back.
            if not listener.is_alive() or time.monotonic() > deadline:
                raise _no_port(settings)
            time.sleep(0.02)
    workers = in_this_process(settings.worker_threads)
    try:
        scheduler.run(stop)
    finally:
        server.should_exit = True
        workers.stop(timeout=int((settings.carrier_timeout_s + 15) * 1000))
        if with_web:
            listener.join(20)


def _no_port(settings: config.Settings) -> UserError:
    return UserError(f"port {settings.web_port} cannot be had: set OUTBOUND_WEB_PORT")


def _needs_shared_broker(door: str) -> None:
    if (config.settings().redis_url or "").startswith("memory://"):
        raise UserError(
            f"with REDIS_URL=memory:// one process does everything: run `outbound up`, not `outbound {door}`"
        )


@app.command()
def scheduler() -> None:
    """Run dispatch, reconcile and clean-up; safe on every host at once."""
    from outbound.processes import systemd_units

    with ready(check_schema=False, broker=True, lasting=True):
        systemd_units.require_schema()
        _needs_shared_broker("scheduler")
        from outbound.processes import scheduler as door

        door.run(until_told_to_stop())


@app.command()
def web() -> None:
    """Serve the carrier's callbacks, /metrics, /healthz and /readyz."""
    from outbound.processes import systemd_units

    with ready(check_schema=False, broker=True, lasting=True):
        systemd_units.require_schema()
        _needs_shared_broker("web")
        from outbound.web import app as door

        config.require_auth_token()
        settings = config.settings()
        sockets = systemd_units.web_sockets()
        server = door.server(settings.web_host, settings.web_port)
        try:
            server.run(sockets=sockets)
        except SystemExit:  # uvicorn's way to say that it cannot listen
            if server.started or server.should_exit:
                raise
            raise _no_port(settings) from None


@app.command()
def simulator(
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port on loopback; OUTBOUND_SIMULATOR_PORT by default.")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.001, max=1000, help="How many times faster than life phones ring.")
    ] = None,
) -> None:
    """Run a carrier that speaks Twilio's Calls API and rings no phone; a number's last two digits choose its fate."""
    from outbound.carrier import accounts, auth_token
    from outbound.local.environment import invent_account
    from outbound.simulator import server as door

    logs.set_up()
    settings = config.load()
    invent_account(settings)
    settings = config.settings()
    tokens = auth_token.tokens()
    if not (settings.twilio_account_sid and tokens):
        raise UserError("set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN (any will do), or OUTBOUND_CARRIER=simulator")
    door.run(
        "127.0.0.1",
        settings.simulator_port if port is None else port,
        account_sid=settings.twilio_account_sid,
        auth_token=tokens[0],
        speed=speed or settings.simulator_speed,
        others={account: known.auth_tokens[0] for account, known in accounts.beside().items() if known.auth_tokens},
    )


@app.command()
def up() -> None:
    """Run everything on this machine until Ctrl-C: servers where none are configured, simulator unless Twilio is."""
    from outbound.local.supervisor import Processes, doors, require_ports

    settings = config.load()
    simulated = settings.carrier == "simulator" and settings.twilio_api_url is None
    require_ports(settings, simulator=simulated)
    with ready(broker=True, lasting=True):
        settings = config.settings()
        stop = until_told_to_stop()
        in_process = (settings.redis_url or "").startswith("memory://")
        for name, where in (
            ("database", settings.database_url or ""),
            ("web", settings.callback_base),
            ("carrier", "simulator, no phone rings" if simulated else settings.api_url),
        ):
            say(f"{name:10} {where}")
        with Processes(doors(simulator=simulated, in_process=in_process)) as processes:
            while not stop.wait(1):
                processes.tend()


app.command("ready")(cli_now.ready_)


@app.command("install-service")
def install_service(
    to: Annotated[
        Path | None, typer.Option(help="Directory to write to: /etc/systemd/system; else print them.")
    ] = None,
    program: Annotated[Path | None, typer.Option("--bin", help="The `outbound` to run; by default this one.")] = None,
    user: Annotated[str | None, typer.Option(help="Account to run as; by default systemd makes one up.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print systemd's units for worker, scheduler, web and migrate, or install them."""
    from outbound.processes import systemd_units

    path = (program or systemd_units.this_program()).absolute()
    units = systemd_units.units(path, user)
    if to is None:
        if as_json:
            tell_json({"units": units})
        else:
            print("\n".join(f"# {name}\n{text}" for name, text in units.items()))  # noqa: T201
        return
    try:
        written = systemd_units.install(to, units)
    except OSError as error:
        raise UserError(
            f"the units cannot be written: {error.filename}: {error.strerror}; --to is a directory, like"
            " /etc/systemd/system"
        ) from None
    tell_done({"written": written}, *(f"wrote {unit}" for unit in written), as_json=as_json)
    say(*systemd_units.NEXT.split("\n"))
    if fault := systemd_units.why_not_started(path):
        say(f"outbound: {fault}", style="red")


@app.command()
def demo(
    as_json: AsJson = False,
    keep: Annotated[bool, typer.Option(help="Leave the servers running afterwards, until Ctrl-C.")] = False,
) -> None:
    """Watch calls live and die on a simulated carrier; exit status 0 only if every promise was kept."""
    from outbound.local.demo import run

    if not run(out, err, as_json=as_json, keep=keep):
        raise typer.Exit(1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open psql on the configured database, or on our own, in outbound's schema; further arguments are psql's."""
    import subprocess

    from outbound import db
    from outbound.database.postgres_tools import tool_path

    with ready(check_schema=False):
        # The password is not on the command line, which everybody on this machine may read.
        address, secret = db.address_for_psql()
        finished = subprocess.run([tool_path("psql"), address, *context.args], env=os.environ | secret, check=False)
    raise typer.Exit(finished.returncode)
