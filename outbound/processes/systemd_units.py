"""Run as a service: systemd's units, and what the processes do otherwise where systemd looks after them."""

import os
import socket
import sys
import sysconfig
import time
from contextlib import suppress
from pathlib import Path

from outbound import config, db, logs, settings_model
from outbound.database import migrations
from outbound.errors import SettingsError
from outbound.processes import systemd_notify
from outbound.shipped import shipped

log = logs.get("service")

PROGRAM = "/usr/local/bin/outbound"  # what the units say until they are installed
NEXT = """
next:
  /etc/outbound/credentials/   a file each, 0600: DATABASE_URL, REDIS_URL, TWILIO_AUTH_TOKEN (web alone),
                               TWILIO_API_KEY_SECRET, OUTBOUND_CALLBACK_KEY (worker, scheduler), OUTBOUND_METRICS_TOKEN,
                               OUTBOUND_WEBHOOK_KEY (worker, api) and OUTBOUND_WEBHOOK_KEY_OLD for webhooks,
                               and OUTBOUND_OWNER_DATABASE_URL for migrate alone, after `outbound roles`
  /etc/outbound/outbound.env   every other setting, NAME=value
  systemctl daemon-reload && systemctl start outbound-migrate && systemctl enable --now outbound.target"""
# Where the sandbox of the units (sandbox.conf) lets nobody in, and what closes it; nothing is written there.
_CLOSED = dict.fromkeys(("/home", "/root", "/run/user"), "ProtectHome=yes") | dict.fromkeys(
    ("/tmp", "/var/tmp"),  # noqa: S108  # nosec B108
    "PrivateTmp=yes",
)
_AGAIN_S = 2
_LOOK_S = 60  # for one look at a database, that finds it away or not


def require_schema() -> None:
    """
    Refuse to work on an old schema; a database that is away is waited for where systemd looks on.

    It would start us again and again, and each of these starts would fail; by hand, one should fail at once.

    Raises:
        schema.SchemaTooOld: says what is missing and which command to run.
        db.Unavailable: the database does not answer, and nobody looks after us.
    """
    while True:
        systemd_notify.waiting("looking for the database", _LOOK_S)
        try:
            return migrations.require()
        except db.Unavailable as error:
            if not systemd_notify.is_supervised():
                raise
            log.outage("service.database_away", error)
        systemd_notify.waiting("the database does not answer", _LOOK_S)
        time.sleep(_AGAIN_S)


def web_sockets() -> list[socket.socket] | None:
    """
    Return what systemd listens on for the web process; None where nobody does.

    Raises:
        SettingsError: others than this host can get there, and /metrics has no token.
    """
    sockets = systemd_notify.inherited_sockets()
    for listener in sockets:
        host = listener.getsockname()[0] if listener.family != socket.AF_UNIX else "localhost"
        if host not in settings_model.LOOPBACK and config.settings().metrics_token is None:
            raise SettingsError(["OUTBOUND_METRICS_TOKEN: must be set: systemd's socket is not on loopback"])
    return sockets or None


def this_program() -> Path:
    """The `outbound` beside the Python that runs, or where this Python's pip puts programs."""
    beside = Path(sys.executable).parent / "outbound"
    return beside if beside.exists() else Path(sysconfig.get_path("scripts")) / "outbound"


def units(program: Path, user: str | None = None) -> dict[str, str]:
    """
    The unit files, by name.

    Args:
        program: the `outbound` that they run; a path that the user of the service can enter (not under /home or /root).
        user: an account that exists; without it, systemd makes up a user `outbound` while something runs.
    """
    files = [path for path in sorted(_unit_dir().rglob("outbound*")) if path.is_file()]
    files += sorted(_unit_dir().glob("outbound-.service.d/*.conf"))
    texts = {}
    for path in files:
        text = path.read_text().replace(PROGRAM, str(program))
        if user is not None:
            text = text.replace("User=outbound\nDynamicUser=yes\n", f"User={user}\n")
        texts[path.relative_to(_unit_dir()).as_posix()] = text
    return texts


def install(to: Path, texts: dict[str, str]) -> list[Path]:
    """
    Write the units into the directory *to*, in place of older ones; what is changed by drop-ins stays.

    Raises:
        OSError: it cannot be written there.
    """
    written = []
    for name, text in texts.items():
        path = to / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}")
        draft.write_text(text)
        draft.replace(path)  # systemd never reads half a unit
        written.append(path)
    return written


def _unit_dir() -> Path:
    return shipped("systemd", "ops/systemd")


def why_not_started(program: Path) -> str | None:
    """Return why the units could not start this program, and what to do; None where they can."""
    if not (program.is_file() and os.access(program, os.X_OK)):
        return f"{program} cannot be run: say with --bin where outbound is"
    for path in _needed(program):
        for closed, directive in _CLOSED.items():
            if path.is_relative_to(closed):
                return (
                    f"the units may not enter {closed} ({directive}), and {path} is there: install outbound and its"
                    " Python elsewhere, like /opt/outbound, and say with --bin where"
                )
    return None


def _needed(program: Path) -> list[Path]:
    """
    Return what systemd must reach in order to start a program: its path, where that leads to, and who interprets it.
    """
    found = [program, program.resolve()]
    with suppress(OSError), program.open("rb") as file:
        first = file.readline(4096)
        words = os.fsdecode(first[2:]).split() if first.startswith(b"#!") else []
        if words:
            found += [Path(words[0]), Path(words[0]).resolve()]
    return found
