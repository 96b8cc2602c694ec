"""`outbound migrate`, `cleanup`, `psql` and `version`."""

import os

import typer

from outbound import __version__
from outbound.cli.common import AsJson, ready
from outbound.printing import say, tell_done

commands = typer.Typer()


@commands.command()
def version(as_json: AsJson = False) -> None:
    """Print the version."""
    tell_done({"version": __version__}, __version__, as_json=as_json)


@commands.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring the database's schema up to date; safe to run twice, and after a kill."""
    from outbound.database import migrations

    with ready(check_schema=False, as_owner=True):
        applied = migrations.migrate(tell=say)
    lines = [f"applied {name}" for name in applied] or ["nothing to apply"]
    tell_done({"applied": applied}, *lines, as_json=as_json)


@commands.command()
def cleanup(as_json: AsJson = False) -> None:
    """Close or take back whatever is overdue, now."""
    with ready(broker=True):
        from outbound.calls.cleanup import cleanup_stuck_dialing_jobs

        moved = cleanup_stuck_dialing_jobs()
    lines = [f"{rule}: {'failed, see the log' if calls is None else calls}" for rule, calls in moved.items()]
    tell_done({"moved": moved}, *lines, as_json=as_json)
    if None in moved.values():
        raise typer.Exit(1)


@commands.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
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
