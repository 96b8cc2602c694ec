"""The commands that run a process, or everything: `worker`, `scheduler`, `web`, `simulator`, `up`, `demo`."""

import os
import sys
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from outbound import own_module
from outbound.cli.common import AsJson, ready, stop_event
from outbound.errors import UserError
from outbound.printing import err, out, say, tell_done, tell_json

if TYPE_CHECKING:
    from outbound.settings_model import Settings

commands = typer.Typer()

LISTEN_S = 10  # a port that cannot be had is refused at once


@commands.command()
def worker(with_web: Annotated[bool, typer.Option(hidden=True)] = False) -> None:
    """Run the Dramatiq workers that dial and make leads."""
    from outbound import config
    from outbound.processes import systemd_units

    with ready(check_schema=False, broker=True, lasting=True) as owned:
        systemd_units.require_schema()
        if (config.settings().redis_url or "").startswith("memory://"):
            _everything_in_this_process(with_web=with_web)
            return
        settings = config.settings()
        command = own_module.command("outbound.processes.dramatiq_master", "outbound.processes.worker:set_up")
        command += ["--processes", str(settings.worker_processes), "--threads", str(settings.worker_threads)]
        # What is in flight ends within the carrier's timeout; then its outcome is written.
        command += ["--worker-shutdown-timeout", str(int((settings.carrier_timeout_s + 15) * 1000))]
        # What is at work counts: with fewer, threads stand idle; with more, a nudge waits here that another could dial.
        environ = config.environment() | {"dramatiq_queue_prefetch": str(settings.worker_threads)}
        if not owned:
            _become(command, environ)  # systemd sees the master itself
        from outbound.local.supervisor import Processes

        with Processes({"worker": ["worker"]}) as processes:
            stop = stop_event()
            while not stop.wait(1):
                processes.tend()


def _become(command: list[str], environ: dict[str, str]) -> NoReturn:
    """Let another program take this process over: pid and sockets stay, what the command needed is left behind."""
    from outbound import db

    db.close()
    os.execve(sys.executable, command, environ)  # noqa: S606 (no shell is wanted)


def _everything_in_this_process(*, with_web: bool) -> None:
    """For REDIS_URL=memory://: the nudges never leave this process, so all who send or take them live in it."""
    from outbound import config
    from outbound.processes import scheduler
    from outbound.processes.worker import in_this_process
    from outbound.web import app

    if with_web:
        config.require_auth_token()
    settings = config.settings()
    stop = stop_event()
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


def _no_port(settings: "Settings") -> UserError:
    return UserError(f"port {settings.web_port} cannot be had: set OUTBOUND_WEB_PORT")


def _needs_shared_broker(command: str) -> None:
    from outbound import config

    if (config.settings().redis_url or "").startswith("memory://"):
        raise UserError(
            f"with REDIS_URL=memory:// one process does everything: run `outbound up`, not `outbound {command}`"
        )


@commands.command()
def scheduler() -> None:
    """Run dispatch, reconcile and clean-up; safe on every host at once."""
    from outbound.processes import systemd_units

    with ready(check_schema=False, broker=True, lasting=True):
        systemd_units.require_schema()
        _needs_shared_broker("scheduler")
        from outbound.processes import scheduler as process

        process.run(stop_event())


@commands.command()
def web() -> None:
    """Serve the carrier's callbacks, /metrics, /healthz and /readyz."""
    from outbound import config
    from outbound.processes import systemd_units

    with ready(check_schema=False, broker=True, lasting=True):
        systemd_units.require_schema()
        _needs_shared_broker("web")
        from outbound.web import app

        config.require_auth_token()
        settings = config.settings()
        sockets = systemd_units.web_sockets()
        server = app.server(settings.web_host, settings.web_port)
        try:
            server.run(sockets=sockets)
        except SystemExit:  # uvicorn's way to say that it cannot listen
            if server.started or server.should_exit:
                raise
            raise _no_port(settings) from None


@commands.command()
def api(
    document: Annotated[
        bool, typer.Option("--document", help="Print the OpenAPI document, and serve nothing.")
    ] = False,
) -> None:
    """Serve the HTTP API, on which applications queue calls and read what became of them."""
    if document:
        from outbound.api.app import document_text

        print(document_text(), end="")  # noqa: T201
        return
    from outbound import config
    from outbound.processes import systemd_units

    with ready(check_schema=False, lasting=True) as owned:
        systemd_units.require_schema()
        application = "outbound.page.app" if config.settings().page else "outbound.api.app"
        if not owned:
            _become(own_module.command("outbound.api", application), config.environment())
        from outbound.api import server

        server.run(application)


@commands.command()
def simulator(
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port on loopback; OUTBOUND_SIMULATOR_PORT by default.")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.001, max=1000, help="How many times faster than life phones ring.")
    ] = None,
) -> None:
    """Run a carrier that speaks Twilio's Calls API and rings no phone; a number's end chooses its scenario."""
    from outbound import config, logs
    from outbound.carrier import accounts, auth_token
    from outbound.local.environment import invent_account
    from outbound.simulator import server

    logs.set_up()
    settings = config.load()
    invent_account(settings)
    settings = config.settings()
    tokens = auth_token.tokens()
    if not (settings.twilio_account_sid and tokens):
        raise UserError("set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN (any will do), or OUTBOUND_CARRIER=simulator")
    server.run(
        "127.0.0.1",
        settings.simulator_port if port is None else port,
        account_sid=settings.twilio_account_sid,
        auth_token=tokens[0],
        speed=speed or settings.simulator_speed,
        others={account: known.auth_tokens[0] for account, known in accounts.beside().items() if known.auth_tokens},
    )


@commands.command()
def up() -> None:
    """Run everything on this machine until Ctrl-C: servers where none are configured, simulator unless Twilio is."""
    from outbound import config
    from outbound.local import page_token
    from outbound.local.supervisor import Processes, process_commands, require_ports

    settings = config.load()
    page_token.switch_on(settings)
    simulated = settings.carrier == "simulator" and settings.twilio_api_url is None
    require_ports(settings, simulator=simulated)
    with ready(broker=True, lasting=True):
        settings = config.settings()
        stop = stop_event()
        in_process = (settings.redis_url or "").startswith("memory://")
        for name, where in (
            ("database", settings.database_url or ""),
            ("web", settings.callback_base),
            ("API", f"http://{settings.api_host}:{settings.api_port}/v1, with a token of `outbound token add`"),
            ("carrier", "simulator, no phone rings" if simulated else settings.api_url),
        ):
            say(f"{name:10} {where}")
        if page := page_token.address(settings):
            shown = page_token.make("up", actor="outbound up") if err.is_terminal else "one of `outbound token add`"
            say(f"{'page':10} {page}", f"{'token':10} {shown}")
        with Processes(process_commands(simulator=simulated, in_process=in_process, api=True)) as processes:
            while not stop.wait(1):
                processes.tend()


@commands.command("install-service")
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


@commands.command()
def demo(
    as_json: AsJson = False,
    keep: Annotated[bool, typer.Option(help="Leave the servers running afterwards, until Ctrl-C.")] = False,
) -> None:
    """Watch calls live and die on a simulated carrier; exit status 0 only if every promise was kept."""
    from outbound.local.demo import run

    if not run(out, err, as_json=as_json, keep=keep):
        raise typer.Exit(1)
