"""
The carrier's accounts: TWILIO_ACCOUNT_SID, whose credentials are settings, and those of businesses that have their own.

The row of such a business holds the account's SID and no secret.  Its credentials are the file SID.json in
TWILIO_ACCOUNTS_DIR, else among the credentials that systemd gives a service:

    {"api_key_sid": "SK…", "api_key_secret": "…", "auth_token": "…", "auth_token_secondary": "…"}

Who asks the carrier needs the API key or the auth token; who checks callbacks needs the auth token.  Files are read
again when they change: neither a restart nor a signal is needed.
"""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from outbound import config, logs
from outbound.carrier import auth_token
from outbound.formats import plain_text
from outbound.settings_model import Settings

log = logs.get("accounts")

FILE_BYTES_MAX = 16_384
SID = re.compile(r"AC[0-9a-fA-F]{32}")

Secret = Annotated[SecretStr, Field(min_length=1)]


class Credentials(NamedTuple):
    """The secrets with which one account is asked, and with which it signs callbacks: the primary auth token first."""

    auth_tokens: tuple[str, ...] = ()
    api_key: tuple[str, str] | None = None

    @property
    def has_login(self) -> bool:
        """Can the carrier be asked with these?"""
        return bool(self.auth_tokens or self.api_key)


class BadFile(ValueError):
    """A file of credentials cannot be used; the message says why, and repeats nothing of it."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    auth_token: Secret | None = None
    auth_token_secondary: Secret | None = None
    api_key_sid: str | None = Field(None, pattern=r"^SK[0-9a-fA-F]{32}$")
    api_key_secret: Secret | None = None

    @model_validator(mode="after")
    def _complete(self) -> "_File":
        if bool(self.api_key_sid) != bool(self.api_key_secret):
            raise ValueError("api_key_sid and api_key_secret go together")
        if self.auth_token_secondary and not self.auth_token:
            raise ValueError("auth_token_secondary is the next of two: auth_token must be there too")
        if not self.api_key_sid and not self.auth_token:
            raise ValueError("neither an API key nor an auth token is there")
        for name in _File.model_fields:
            value = getattr(self, name)
            text = value.get_secret_value() if isinstance(value, SecretStr) else value or ""
            if fault := plain_text.fault(text):  # copied along with a value: it would sign nothing
                raise ValueError(f"{name} {fault}")
        return self

    def credentials(self, *, simulated: bool) -> Credentials:
        tokens = tuple(token.get_secret_value() for token in (self.auth_token, self.auth_token_secondary) if token)
        if simulated or not (self.api_key_sid and self.api_key_secret):  # the simulator knows no keys
            return Credentials(tokens)
        return Credentials(tokens, (self.api_key_sid, self.api_key_secret.get_secret_value()))


class _Accounts:
    """The accounts of this process beside TWILIO_ACCOUNT_SID, as their files say now."""

    def __init__(self, settings: Settings) -> None:
        self._simulated = settings.carrier == "simulator"
        self.faults: Mapping[str, str] = {}
        self._found: Mapping[str, Credentials] = {}
        self._stamps: dict[str, auth_token.Stamp] = {}
        self._directory = directory(settings)
        self._read_next_at = float("-inf")
        self._lock = threading.Lock()

    def current(self) -> Mapping[str, Credentials]:
        if self._directory is not None and time.monotonic() >= self._read_next_at:
            with self._lock:  # who comes first, reads; nobody goes on with what was not read yet
                if time.monotonic() >= self._read_next_at:
                    self._read(self._directory)
                    self._read_next_at = time.monotonic() + auth_token.LOOK_S
        return self._found

    def _read(self, directory: Path) -> None:
        """A file that is gone is taken back; one that cannot be read leaves what was known of its account."""
        try:
            files = {path.stem: path for path in directory.iterdir() if _is_of_account(path)}
        except OSError as error:
            log.outage("accounts.unreadable", error)
            return
        found: dict[str, Credentials] = {}
        faults: dict[str, str] = {}
        stamps: dict[str, auth_token.Stamp] = {}
        for account, file in files.items():
            try:
                with _explained():
                    stamps[account] = auth_token.stamp_of(file)
                if stamps[account] != self._stamps.get(account) or account in self.faults:
                    found[account] = read(file, simulated=self._simulated)
                else:
                    found[account] = self._found[account]
            except FileNotFoundError:
                stamps.pop(account, None)
            except BadFile as fault:
                faults[account] = str(fault)
                log.outage("accounts.unreadable", str(fault), account=account)
                if account in self._found:
                    found[account] = self._found[account]
        if self._stamps and found != self._found:
            log.info("accounts.changed", accounts=len(found))
        self._found, self.faults, self._stamps = found, faults, stamps


def directory(settings: Settings | None = None) -> Path | None:
    """Return where the files are; None where no directory was named, by a setting or by systemd."""
    settings = settings or config.settings()
    credentials = config.environment().get("CREDENTIALS_DIRECTORY")
    return settings.twilio_accounts_dir or (Path(credentials) if credentials else None)


def read(file: Path, *, simulated: bool = False) -> Credentials:
    """
    Read one account's file.

    Raises:
        BadFile: it cannot be read, or is not what a file of credentials is.
        FileNotFoundError: it is gone.
    """
    with _explained(), file.open("rb") as content:
        text = content.read(FILE_BYTES_MAX + 1)
    if len(text) > FILE_BYTES_MAX:
        raise BadFile(f"has more than {FILE_BYTES_MAX} bytes")
    try:
        return _File.model_validate_json(text).credentials(simulated=simulated)
    except ValidationError as errors:
        raise BadFile("; ".join(map(_fault, errors.errors(include_input=False, include_url=False)))) from None


def credentials(account: str | None, settings: Settings | None = None) -> Credentials | None:
    """
    The credentials of an account; None where this process has none.

    Args:
        account: its SID; None for TWILIO_ACCOUNT_SID.
        settings: those of this process by default.
    """
    settings = settings or config.settings()
    if account in (None, settings.twilio_account_sid):
        return Credentials(auth_token.tokens(settings), settings.api_key)
    return _of(settings).current().get(account or "")


def usable(settings: Settings | None = None) -> list[str]:
    """The SIDs of the accounts that this process can ask."""
    settings = settings or config.settings()
    own = [settings.twilio_account_sid] if settings.twilio_account_sid and settings.has_login else []
    return sorted({*own, *_of(settings).current()})


def beside(settings: Settings | None = None) -> Mapping[str, Credentials]:
    """The accounts that have files, by their SIDs."""
    return _of(settings or config.settings()).current()


def faults() -> Mapping[str, str]:
    """Return what is wrong with files that are there, by the account's SID."""
    accounts = _of(config.settings())
    accounts.current()
    return accounts.faults


def names(account: str | None) -> list[str]:
    """
    Return how rows may name an account: by its SID, and TWILIO_ACCOUNT_SID by nothing, which statements write as ''.
    """
    own = config.settings().twilio_account_sid
    return [own or "", ""] if account in (None, own) else [account or ""]


_of = config.once_per_settings(_Accounts)


def _is_of_account(path: Path) -> bool:
    return path.suffix == ".json" and SID.fullmatch(path.stem) is not None


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadFile(f"cannot be read: {type(error).__name__}") from None


def _fault(error: Mapping[str, object]) -> str:
    where = error.get("loc") or ()
    name = ".".join(map(str, where)) if isinstance(where, tuple) else ""
    if error.get("type") in ("extra_forbidden", "json_invalid"):  # what stands there may be part of a secret
        return "has a name that is none of these" if name else "is not JSON"
    message = str(error.get("msg")).removeprefix("Value error, ")
    return f"{name}: {message}" if name else message
