"""
The `outbound` command: how it starts, and how it refuses.

A command's module is imported when the command is run, or asked for its help: PANELS in help.py names it.
"""

import signal
import sys
from typing import Annotated, NoReturn

import typer

from outbound import __version__
from outbound.cli.help import Root
from outbound.errors import UserError
from outbound.printing import say, tell
from outbound.standard_output import is_utf, standard_output

app = typer.Typer(
    cls=Root,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,  # a local may be a phone number or a token
    help="An outbound call queue: PostgreSQL is the truth, workers dial through Twilio, no phone rings twice.",
)


def main() -> None:
    """Run the command; an error that the user can mend is one clear line, and exit status 2."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an end like any other: what was started is stopped
    with standard_output():
        try:
            # Without frames where the terminal has no characters for them.
            app.rich_markup_mode = "rich" if is_utf(getattr(sys.stdout, "encoding", None)) else None
            app(prog_name="outbound")
        except UserError as error:
            _refuse(str(error))
        except UnicodeEncodeError:
            _refuse("what was given holds bytes that are no text: write it in UTF-8, and let LANG name a UTF-8 locale")
        except Exception as error:
            line = _line_of_the_database(error)
            if line is None:
                raise
            _refuse(line)


def _refuse(message: str) -> NoReturn:
    say(*(f"outbound: {line}" for line in message.split("\n")), style="red")
    sys.exit(2)


def _line_of_the_database(error: Exception) -> str | None:
    """Return what an error of the database means, in one line; None where it is another error."""
    from outbound import db  # imported by the code that raised such an error
    from outbound.database import error_messages

    return error_messages.line_of(db.cause_of(error)) if isinstance(error, db.Error) else None


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
        from outbound import config, logs

        if log_format not in logs.FORMATS:
            raise UserError(f"--log-format is {', '.join(logs.FORMATS[:-1])} or {logs.FORMATS[-1]}")
        config.use(config.environment() | {logs.FORMAT_SETTING: log_format})
