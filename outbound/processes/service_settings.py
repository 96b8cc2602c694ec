"""
On a host where systemd runs outbound, root's commands work with the service's own settings, as the units do.

The units read /etc/outbound/outbound.env (EnvironmentFile=) and are handed the files of /etc/outbound/credentials
(LoadCredential=).  A command that root gives there means that database, broker and carrier.  A secret is never put
into the environment, which our child processes and all who may inspect them would see: they get the directory's name.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from outbound import config
from outbound.errors import SettingsError
from outbound.printing import say

DIRECTORY = Path("/etc/outbound")  # where the units find their settings and secrets

# What says itself where to work: then the service is not meant.
_ELSEWHERE = ("CREDENTIALS_DIRECTORY", "OUTBOUND_DATA_DIR")
_OWNER = "OUTBOUND_OWNER_DATABASE_URL"
_WHERE = ("DATABASE_URL", _OWNER, "REDIS_URL")  # another than the service's is reported
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PART = re.compile(r"""'(?P<single>[^']*)'|"(?P<double>(?:\\.|[^"\\])*)"|\\(?P<escaped>.)|(?P<plain>[^'"\\]+)""", re.S)


def read() -> None:
    """
    Add the service's settings to those of this process, where it runs as root on a service's host.

    What the environment says already counts, and a database that it names also for the owner of the tables.  Nothing
    is read where it names another place to work in (CREDENTIALS_DIRECTORY, OUTBOUND_DATA_DIR).

    Raises:
        SettingsError: outbound.env cannot be read, or a line of it is none.
    """
    environ = config.environment()
    if os.geteuid() != 0 or not DIRECTORY.is_dir() or any(environ.get(name) for name in _ELSEWHERE):
        return
    variables = _environment_file(DIRECTORY / "outbound.env")
    own = [name for name in _WHERE if environ.get(name, "") not in ("", variables.get(name))]
    if "DATABASE_URL" in own and _OWNER not in own:
        environ[_OWNER] = environ["DATABASE_URL"]  # the service's owner would lead to the service's database
    if (DIRECTORY / "credentials").is_dir():
        environ["CREDENTIALS_DIRECTORY"] = str(DIRECTORY / "credentials")
    config.use(variables | environ)
    if own:  # a command on another database must not look like one on the service's
        say(f"outbound: {' and '.join(own)} as the environment says, all else from {DIRECTORY}")


def _environment_file(path: Path) -> dict[str, str]:
    """The variables of a file, as systemd.exec(5) reads its EnvironmentFile=; nothing where it is missing."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path} cannot be read: {type(error).__name__}"]) from None
    return dict(_variables(text, path))


def _variables(text: str, path: Path) -> Iterator[tuple[str, str]]:
    number = 0
    lines = iter(text.splitlines())
    for line in lines:
        number += 1
        first = number
        while line.endswith("\\") and not line.lstrip().startswith(("#", ";")):
            line = line[:-1] + next(lines, "")  # noqa: PLW2901 (a line that goes on)
            number += 1
        if not line.strip() or line.lstrip().startswith(("#", ";")):
            continue
        name, equals, value = line.partition("=")
        name, found = name.strip().removeprefix("export "), _value(value.strip())
        if not equals or not _NAME.fullmatch(name) or found is None:  # its text may be a secret, and is not repeated
            raise SettingsError([f"{path}, line {first}: write it as NAME=value"])
        yield name, found


def _value(text: str) -> str | None:
    """A value without its quotes; None where a quote is not closed."""
    found, at = "", 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            return None
        if part["double"] is not None:
            found += re.sub(r'\\([\\"`$])', r"\1", part["double"])
        else:
            found += next(group for group in part.groups() if group is not None)
        at = part.end()
    return found
