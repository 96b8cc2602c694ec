"""Completes the settings of a process: embedded servers, and an invented account for the simulator."""

import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from outbound import config
from outbound.database import migrations
from outbound.local import embedded_servers, machine_faults
from outbound.processes import service_settings
from outbound.settings_model import Settings


@contextmanager
def prepared_environment(*, broker: bool, lasting: bool) -> Iterator[bool]:
    """
    Complete the settings of this process and of its children; True where servers were started for it.

    What is configured is left alone.  A database of our own is brought up to date; a configured one is not, that is
    its operator's move.

    Args:
        broker: this process sends or takes nudges; without, it gets along beside an owner that has no broker.
        lasting: it is there to stay, and so must its servers be; see embedded_servers.servers.

    Raises:
        SettingsError, embedded_servers.EmbeddedError: say what to do.
    """
    settings = config.load()
    wants_postgres, wants_broker = settings.database_url is None, broker and settings.redis_url is None
    if not (wants_postgres or wants_broker):
        invent_account(settings)
        yield False
        return
    _refuse_beside_a_service(settings)
    if wants_postgres and settings.carrier == "twilio" and not settings.embedded_postgres:
        raise embedded_servers.EmbeddedError(
            "DATABASE_URL is not set, and an embedded server, which nobody backs up, would hold calls to real phones:"
            " set it, or OUTBOUND_EMBEDDED_POSTGRES=true if that is what you want"
        )
    with embedded_servers.servers(
        _data_dir(settings), postgres=wants_postgres, broker=wants_broker, lasting=lasting
    ) as servers:
        invent_account(settings)  # after them: they make the directory so that their users can enter it
        lead_to(servers)
        if wants_postgres and servers.owned:
            migrations.migrate()
        with config.started_by_up(wants_postgres):
            yield servers.owned


def _refuse_beside_a_service(settings: Settings) -> None:
    """
    Refuse servers of our own where outbound runs as a service: a forgotten DATABASE_URL must not lead to an empty queue
    of our own.
    """
    directory = service_settings.DIRECTORY
    if config.environment().get("CREDENTIALS_DIRECTORY") or (settings.data_dir is None and directory.is_dir()):
        mend = (
            f"each is a file of {directory}/credentials" if os.geteuid() == 0 else "give the command as root (`sudo`)"
        )
        raise embedded_servers.EmbeddedError(
            f"DATABASE_URL or REDIS_URL is not set, and this host runs outbound as a service: {mend};"
            " OUTBOUND_DATA_DIR means servers of our own all the same"
        )


def _data_dir(settings: Settings) -> Path:
    return settings.data_dir or embedded_servers.default_data_dir()


def lead_to(servers: embedded_servers.Servers) -> None:
    """Use these servers, where no other ones are configured."""
    environ = config.environment()
    for name, url in (("DATABASE_URL", servers.database_url), ("REDIS_URL", servers.redis_url)):
        if url is not None and not environ.get(name):
            environ[name] = url
    config.use(environ)


def invent_account(settings: Settings) -> None:
    """
    An account for the simulator, made once per data directory, so that all our processes agree on it.

    Raises:
        embedded_servers.EmbeddedError: the data directory cannot be written.
    """
    if settings.carrier != "simulator" or (settings.twilio_account_sid and settings.has_auth_token):
        return
    path = _data_dir(settings) / "simulator.json"
    try:
        account = _made_once(path)
    except OSError as error:
        lacking = machine_faults.of_error(error, path.parent) or f"{error}; {embedded_servers.ELSEWHERE}"
        raise embedded_servers.EmbeddedError(f"the simulator's account cannot be kept: {lacking}") from None
    names = {"TWILIO_ACCOUNT_SID": account["account_sid"], "TWILIO_AUTH_TOKEN": account["auth_token"]}
    config.use(config.environment() | names)


def _made_once(path: Path) -> dict[str, str]:
    """The account in *path*; of several processes that make it at once, one succeeds and all read the same."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix="simulator.") as draft:  # 0600
            json.dump({"account_sid": "AC" + secrets.token_hex(16), "auth_token": secrets.token_hex(16)}, draft)
            draft.flush()
            with suppress(FileExistsError):
                os.link(draft.name, path)
    account: dict[str, str] = json.loads(path.read_text())
    return account
