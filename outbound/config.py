"""The settings of this process: where they are read from, when, and what each process needs of them."""

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from outbound import extras
from outbound.errors import SettingsError

if TYPE_CHECKING:
    from outbound.settings_model import Settings

HEARTBEAT_S = 2  # a worker process says this often that it is alive
WORKER_SILENT_S = 10  # and one without a heartbeat for this long gets no more calls
SCHEDULER_SILENT_S = (
    60  # a scheduler that ended no maintenance task for this long is dead: its rules run every 10 s at most
)
PACE_LATE_S = 0.15  # a paced call that is begun later goes back: pace_tokens in SQL allows 0.25 s until it is sent
LOOKS_MIN = 2  # the carrier's lists lag behind: absence is believed when it was seen twice, some seconds apart
CONFIRM_S = 45  # the carrier is asked about a live call this often: twice within two minutes, even if one round fails

T = TypeVar("T")


def load() -> "Settings":
    """
    Read the settings from `environment`, and from files where that says nothing.

    Raises:
        SettingsError: names every fault at once.
    """
    with extras.named():  # pydantic is no part of what an application needs that only puts calls in the queue
        from outbound import settings_model
    return settings_model.read(environment())


def require_account() -> None:
    """
    Refuse to dial without an account: `outbound worker` makes one up for the simulator, nobody else does.

    Raises:
        SettingsError: names what is not set.
    """
    config = settings()
    given = {
        "TWILIO_ACCOUNT_SID": config.twilio_account_sid,
        "TWILIO_AUTH_TOKEN": config.has_auth_token or config.api_key,
    }
    if faults := [f"{name}: must be set, or run `outbound worker`" for name, value in given.items() if not value]:
        raise SettingsError(faults)


def require_auth_token() -> None:
    """
    Refuse to take callbacks without what they are checked with; an API key signs none.

    Raises:
        SettingsError: names what is not set.
    """
    if not settings().has_auth_token:
        raise SettingsError(["TWILIO_AUTH_TOKEN: must be set where callbacks are checked: an API key signs none"])


_environ: Mapping[str, str] | None = None  # None: os.environ
_START = re.compile("`outbound (?:worker|scheduler)`")
_is_started_by_up = False
_present: "Settings | None" = None
_reading = threading.Lock()  # so that what was read before `use` is not kept after it


def settings() -> "Settings":
    """The settings of this process, read once."""
    global _present  # noqa: PLW0603 (one per process)
    present = _present
    if present is None:
        with _reading:
            present = _present = _present or load()
    return present


def environment() -> dict[str, str]:
    """The environment that the settings are read from, and that our child processes are given."""
    return dict(os.environ if _environ is None else _environ)


def use(environ: Mapping[str, str] | None) -> None:
    """
    Read the settings from *environ* from now on, in place of os.environ, which stays as it is.

    None: read os.environ again, as it is now.
    """
    global _environ, _present
    with _reading:
        _environ, _present = environ, None


def once_per_settings(make: "Callable[[Settings], T]") -> "Callable[[Settings], T]":
    """*make*, whose result is kept for as long as it is asked for the same settings."""
    kept: list[tuple[Settings, T]] = []

    def of(settings: "Settings") -> T:
        found = kept[0] if kept else None
        if found is None or found[0] is not settings:
            found = (settings, make(settings))
            kept[:] = [found]
        return found[1]

    return of


def use_owner() -> None:
    """Connect as the owner of the tables from now on, where OUTBOUND_OWNER_DATABASE_URL says who that is."""
    owner = load().owner_database_url
    if owner is not None:
        use(environment() | {"DATABASE_URL": owner})


@contextmanager
def started_by_up(is_so: bool) -> Iterator[None]:
    """Let `as_started` know whether `outbound up` starts all processes here, beside servers of our own."""
    global _is_started_by_up  # noqa: PLW0603
    before, _is_started_by_up = _is_started_by_up, is_so
    try:
        yield
    finally:
        _is_started_by_up = before


def as_started(text: str) -> str:
    """A text that says which process to start, with the command that starts it here."""
    return _START.sub("`outbound up`", text) if _is_started_by_up else text
