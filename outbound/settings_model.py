"""Every setting, with its unit, bound and reason; a wrong set of them is refused whole, with all its faults at once."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from outbound.errors import SettingsError
from outbound.formats import digits, network_addresses, plain_text, sentinel_url, urls

TWILIO_API_URL = "https://api.twilio.com"
CLOSED_WITHIN_S = 120  # a call without a call_sid
RETENTION_DAYS_MAX = 36_500
RETENTION_DAYS_MIN = (
    8  # a retry policy's caps count the last 7 days, and the carrier's late report must still find its call
)
LOOPBACK = ("127.0.0.1", "::1", "localhost")

_WITH_A_SCHEME = {
    "DATABASE_URL": ("postgresql", "postgres"),
    "OUTBOUND_OWNER_DATABASE_URL": ("postgresql", "postgres"),
    "REDIS_URL": ("redis", "rediss", "unix", "memory", *sentinel_url.SCHEMES),
    "TWILIO_API_URL": ("http", "https"),
    "OUTBOUND_PUBLIC_URL": ("http", "https"),
    "OUTBOUND_PAGE_URL": ("http", "https"),
    "OUTBOUND_WEBHOOK_PROXY": ("http", "https"),
}

Seconds = Annotated[float, Field(gt=0, le=86_400)]


def _env(name: str, default: Any = None, **bounds: Any) -> Any:
    return Field(default, validation_alias=AliasChoices(name), **bounds)


class Settings(BaseModel):
    """All settings.  docs/settings.md is compared with this class by a test."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    # Where things are
    database_url: str | None = _env("DATABASE_URL", repr=False)  # PostgreSQL 14 or newer; embedded when not set
    # DATABASE_URL's database as the owner of its tables, for migrate, rollback, roles, adopt and verify alone.
    owner_database_url: str | None = Field(None, repr=False)
    # The only schema that we look at; `outbound migrate` makes it.  Not set: the one that holds our tables, else the
    # first of the path.  63 characters: PostgreSQL cuts longer names.
    database_schema: str | None = _env("OUTBOUND_SCHEMA", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    redis_url: str | None = _env("REDIS_URL", repr=False)  # Redis 6.2+, or Sentinels; memory:// for one process
    # One per installation that shares a broker: a nudge of one must not reach a worker of another.
    broker_namespace: str = Field(
        default_factory=lambda given: given.get("database_schema") or "outbound", pattern=r"^[a-z0-9_-]{1,40}$"
    )
    data_dir: Path | None = None  # where embedded servers keep their data
    embedded_postgres: bool = False  # an embedded PostgreSQL may hold calls to real phones, too
    public_url: str | None = Field(None, repr=False)  # where the carrier reaches web; signatures are checked against it

    # The carrier
    carrier: Literal["simulator", "twilio"] = "simulator"  # no phone rings unless this says twilio
    twilio_account_sid: str | None = _env("TWILIO_ACCOUNT_SID", pattern=r"^AC[0-9a-fA-F]{32}$")
    twilio_auth_token: SecretStr | None = _env("TWILIO_AUTH_TOKEN")  # the primary one: it signs the callbacks
    # The next one: it is accepted too, so that it may become the primary one at any moment.
    twilio_auth_token_secondary: SecretStr | None = _env("TWILIO_AUTH_TOKEN_SECONDARY")
    twilio_auth_token_file: Path | None = _env("TWILIO_AUTH_TOKEN_FILE")  # one a line; read again when it changes
    # With it the carrier is asked, in place of the auth token, which then only `outbound web` needs.
    twilio_api_key_sid: str | None = _env("TWILIO_API_KEY_SID", pattern=r"^SK[0-9a-fA-F]{32}$")
    twilio_api_key_secret: SecretStr | None = _env("TWILIO_API_KEY_SECRET")
    # One file of credentials per account that a business names: SID.json (accounts.py); read again when they change.
    twilio_accounts_dir: Path | None = _env("TWILIO_ACCOUNTS_DIR")
    callback_key: SecretStr | None = Field(None, min_length=16)  # of the tags in callback URLs; else of the auth token
    twilio_api_url: str | None = _env("TWILIO_API_URL", repr=False)  # anyone who speaks Twilio's Calls API
    carrier_timeout_s: float = Field(15, ge=1, le=45)  # an answer that takes longer is an unknown outcome

    # Content of calls
    http_voice_urls: bool = False  # off loopback, a voice URL may be http://, which others can read and change

    # The life of a call
    ring_s: int = Field(30, ge=15, le=600)  # how long a phone may ring; under 15 s is not allowed in the UK and US
    time_limit_s: int = Field(900, ge=10, le=86_400)  # the carrier hangs up after this, unless the campaign says other
    claim_s: Seconds = 30  # a claim older than this is taken back; must exceed the slowest broker hop
    ask_s: Seconds = 60  # without a call_sid for this long, the carrier is asked; we give up after about 21 s
    close_s: float = Field(105, gt=0, le=115)  # without a call_sid for this long, a call is closed; 120 s is promised
    relook_s: Seconds = 10  # between two looks at the carrier for one call
    margin_s: Seconds = 30  # on top of ring_s and time_limit_s before a silent call is asked about
    lead_s: Seconds = 30  # an ended call without a lead for this long gets its nudge again
    hold_max_s: float = Field(60, ge=0, le=3600)  # while the carrier is away, one call per so long; 0: no holds
    put_back_s: Seconds = 2  # first wait of a call that was not sent; doubles up to 5 minutes

    # The processes
    worker_processes: int = Field(1, ge=1, le=64)
    worker_threads: int = Field(8, ge=1, le=256)  # of one process; each has up to 16 calls at the carrier
    claims_per_thread: int = Field(16, ge=1, le=100)  # claims outstanding per living worker thread; 16 make one nudge
    batch_max: int = Field(200, ge=1, le=10_000)  # rows that one statement moves at most
    poll_s: Seconds = 1  # dispatch looks at least this often, notified or not
    tick_s: float = Field(5, gt=0, le=10)  # between two rounds of clean-up, and of reconcile
    lookups_per_minute: int = Field(120, ge=1)  # requests about calls that one scheduler makes to the carrier at most
    # Days that data is kept; 0 or none: for ever.  8 or more.  Ended calls; leads without a call, since
    # their last contact; answers of do-not-call registries; details of the audit, of which who and when stay.
    retention_days: int | None = Field(None, ge=0, le=RETENTION_DAYS_MAX)
    lead_days: int | None = Field(None, ge=0, le=RETENTION_DAYS_MAX)
    registry_days: int | None = Field(None, ge=0, le=RETENTION_DAYS_MAX)
    batch_days: int | None = Field(None, ge=0, le=RETENTION_DAYS_MAX)
    audit_days: int | None = Field(None, ge=0, le=RETENTION_DAYS_MAX)
    log_format: Literal["logfmt", "json", "console"] = "logfmt"  # logs.py reads it itself, before there are settings
    web_host: str = "127.0.0.1"  # off loopback, OUTBOUND_METRICS_TOKEN must be set
    web_port: int = Field(8080, ge=0, le=65_535)
    web_connections_max: int = Field(512, ge=8, le=50_000)  # who waited longest for a request makes room for who comes
    web_connections_per_address: int = Field(64, ge=1, le=50_000)  # of one address that is not this host
    metrics_token: SecretStr | None = Field(None, min_length=16)  # a scrape shows it as a bearer token
    api_host: str = "127.0.0.1"  # every request shows a token (`outbound token add`)
    api_port: int = Field(8082, ge=0, le=65_535)
    api_rate: float = Field(50, ge=1, le=100_000)  # requests per second of one token to one API process; twice at once
    # The page for people, which the API's process serves; off loopback, page_url must be https.
    page: bool = False
    page_url: str | None = None  # where browsers find it, like https://calls.example.com
    page_user_header: str | None = Field(None, pattern=r"^[A-Za-z0-9-]{1,60}$")  # where a proxy here names users
    page_user_scopes: str = "calls:read"  # what such users may do, as of tokens, with a space between
    # Webhooks: what each endpoint's secret is derived from, and the key before it while receivers move to the new one.
    webhook_key: SecretStr | None = Field(None, min_length=32)
    webhook_key_old: SecretStr | None = Field(None, min_length=32)
    webhook_allow: str | None = None  # own networks that webhooks may go to, like 10.1.0.0/16; by http:// there alone
    webhook_proxy: str | None = Field(None, repr=False)  # an http:// proxy that every webhook goes through
    simulator_port: int = Field(8081, ge=0, le=65_535)  # on loopback only
    simulator_speed: float = Field(1, gt=0, le=1000)  # how many times faster than life simulated phones ring

    @field_validator("*", mode="before")
    @classmethod
    def _digits_alone(cls, value: Any, about: ValidationInfo) -> Any:
        """Refuse a number that is not written in digits."""
        kind = digits.kind_of(cls.model_fields[str(about.field_name)].annotation)
        if kind is not None and isinstance(value, str) and (fault := digits.fault(value, kind)):
            raise PydanticCustomError("not_digits", fault)
        return value

    @property
    def api_url(self) -> str:
        """Return where the carrier is asked; the simulator's address unless the carrier is twilio."""
        if self.twilio_api_url:
            return self.twilio_api_url.rstrip("/")
        return TWILIO_API_URL if self.carrier == "twilio" else f"http://127.0.0.1:{self.simulator_port}"

    @property
    def account_rate(self) -> float | None:
        """Calls per second of the account where `outbound limit` set none: Twilio grants 1 at first."""
        return 1.0 if self.carrier == "twilio" else None

    @property
    def callback_base(self) -> str:
        """The public URL without a trailing slash."""
        return (self.public_url or f"http://127.0.0.1:{self.web_port}").rstrip("/")

    @property
    def has_auth_token(self) -> bool:
        """Can this process check what the carrier signs?"""
        return bool(self.twilio_auth_token or self.twilio_auth_token_file)

    @property
    def has_login(self) -> bool:
        """Can this process ask the carrier?"""
        return bool(self.twilio_account_sid and (self.has_auth_token or self.api_key))

    @property
    def api_key(self) -> tuple[str, str] | None:
        """The key with which Twilio is asked, and its secret; the simulator knows none."""
        if self.carrier != "twilio" or not (self.twilio_api_key_sid and self.twilio_api_key_secret):
            return None
        return self.twilio_api_key_sid, self.twilio_api_key_secret.get_secret_value()


def read(environ: Mapping[str, str]) -> Settings:
    """
    Read the settings from *environ*, and from files where that says nothing.

    A file is $CREDENTIALS_DIRECTORY/NAME, as systemd's LoadCredential= makes them: a secret in the environment would be
    seen by everybody who may inspect the process.

    Raises:
        SettingsError: names every fault at once.
    """
    faults = _unknown_names(environ)
    given = _given(environ)
    try:
        settings = Settings(**given)
    except ValidationError as errors:
        wrong = {str(error["loc"][0]): error["msg"] for error in errors.errors()}
        faults += [f"{_env_name(key)}: {message}" for key, message in wrong.items()]
        # Defaults in place of the wrong ones, so that the rest can be checked too.
        settings = Settings(**{key: value for key, value in given.items() if key not in wrong})
    faults += _contradictions(settings)
    if faults:
        raise SettingsError(faults)
    return settings


def env_names() -> dict[str, str]:
    """The environment variable of each setting, by field name."""
    return {field: _field_env_name(field) for field in Settings.model_fields}


def _field_env_name(field: str) -> str:
    alias = Settings.model_fields[field].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"OUTBOUND_{field.upper()}"


def _env_name(key: str) -> str:
    return _field_env_name(key) if key in Settings.model_fields else key.upper()


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings that are given, as Settings takes them; the environment wins, an empty value is no setting."""
    values = {name.upper(): value for name, value in environ.items() if value}
    files = {path.name: path for path in _credential_files(environ)}
    found = {}
    for field, name in env_names().items():
        value = values.get(name) or (_content(files[name]) if name in files else "")
        if value:
            found[name if Settings.model_fields[field].validation_alias else field] = value
    return found


def _content(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{file.name}: its file cannot be read: {type(error).__name__}"]) from None


def _credential_files(environ: Mapping[str, str]) -> list[Path]:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    return sorted(Path(directory).iterdir()) if directory and Path(directory).is_dir() else []


def _unknown_names(environ: Mapping[str, str]) -> list[str]:
    known = sorted(env_names().values())
    faults = []
    for name in sorted([*environ, *(path.name for path in _credential_files(environ))]):
        if name.upper().startswith("OUTBOUND_") and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            faults.append(f"{name}: there is no such setting" + (f"; did you mean {near[0]}?" if near else ""))
    return faults


def _contradictions(settings: Settings) -> list[str]:
    return (
        _unseen_faults(settings)
        + _url_faults(settings)
        + _carrier_faults(settings)
        + _credential_faults(settings)
        + _deadline_faults(settings)
        + _webhook_faults(settings)
        + _page_faults(settings)
    )


def _page_faults(settings: Settings) -> list[str]:
    if not settings.page:
        return []
    faults = []
    url = urls.parts(settings.page_url) if settings.page_url else None
    is_here = url is None or url.hostname in LOOPBACK
    if settings.api_host not in LOOPBACK and is_here:
        faults.append(
            "OUTBOUND_PAGE_URL: must be set when OUTBOUND_PAGE is on and OUTBOUND_API_HOST is not loopback: the https"
            " address of a proxy in front of it"
        )
    elif url is not None and url.scheme != "https" and not is_here:
        faults.append("OUTBOUND_PAGE_URL: must be https, or sessions travel in clear")
    if settings.page_user_header and settings.api_host not in LOOPBACK:
        faults.append(
            "OUTBOUND_PAGE_USER_HEADER: OUTBOUND_API_HOST must be loopback, where only a proxy on this host gets in"
        )
    return faults


def _webhook_faults(settings: Settings) -> list[str]:
    try:
        network_addresses.networks(settings.webhook_allow or "")
    except ValueError as fault:
        return [f"OUTBOUND_WEBHOOK_ALLOW: {fault}"]
    return []


def _unseen_faults(settings: Settings) -> list[str]:
    """Characters that were copied along with a value: a token with one of them would sign nothing."""
    faults = []
    for field, name in env_names().items():
        value = getattr(settings, field)
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if name not in _WITH_A_SCHEME and (fault := plain_text.fault(text)):
            faults.append(f"{name}: {fault}")
    return faults


def _url_faults(settings: Settings) -> list[str]:
    faults = []
    fields = {name: field for field, name in env_names().items()}
    for name, allowed in _WITH_A_SCHEME.items():
        url = getattr(settings, fields[name])
        if url and (fault := urls.fault(url, allowed)):
            faults.append(f"{name}: {fault}")
    if (settings.database_schema or "").startswith("pg_") or settings.database_schema == "information_schema":
        faults.append("OUTBOUND_SCHEMA: is PostgreSQL's own: take another name")
    if settings.web_host not in LOOPBACK and settings.metrics_token is None:
        faults.append(
            "OUTBOUND_METRICS_TOKEN: must be set (16 characters or more) when OUTBOUND_WEB_HOST is not loopback"
        )
    return faults


def _carrier_faults(settings: Settings) -> list[str]:
    faults = []
    api = urls.parts(settings.api_url)
    api_host = api.hostname if api else None
    if settings.carrier == "simulator":
        if api_host not in LOOPBACK:
            faults.append("TWILIO_API_URL: the simulator lives on loopback; set OUTBOUND_CARRIER=twilio to ring phones")
        return faults
    for name, value in (
        ("TWILIO_ACCOUNT_SID", settings.twilio_account_sid),
        ("TWILIO_AUTH_TOKEN", settings.has_auth_token or settings.twilio_api_key_sid),
        ("OUTBOUND_PUBLIC_URL", settings.public_url),
    ):
        if not value:
            faults.append(f"{name}: must be set when OUTBOUND_CARRIER is twilio")
    if api and api.scheme != "https" and api_host not in LOOPBACK:
        faults.append("TWILIO_API_URL: must be https, or the auth token travels in clear")
    public = urls.parts(settings.public_url or "") or urlsplit("https://named.already")
    if settings.public_url and api_host not in LOOPBACK and public.scheme != "https":
        faults.append("OUTBOUND_PUBLIC_URL: must be https, or callbacks could be forged on their way")
    if "_" in (public.hostname or ""):
        faults.append("OUTBOUND_PUBLIC_URL: Twilio calls no host with an underscore in its name")
    return faults


def _credential_faults(settings: Settings) -> list[str]:
    faults = []
    if bool(settings.twilio_api_key_sid) != bool(settings.twilio_api_key_secret):
        lacking = "TWILIO_API_KEY_SECRET" if settings.twilio_api_key_sid else "TWILIO_API_KEY_SID"
        faults.append(f"{lacking}: must be set too: an API key is both")
    if settings.api_key and not settings.has_auth_token and not settings.callback_key:
        faults.append(
            "OUTBOUND_CALLBACK_KEY: must be set where there is an API key and no TWILIO_AUTH_TOKEN: 32 random"
            " characters, the same for every process"
        )
    if settings.twilio_auth_token and settings.twilio_auth_token_file:
        faults.append("TWILIO_AUTH_TOKEN_FILE: set either this or TWILIO_AUTH_TOKEN")
    if settings.twilio_auth_token_secondary and not settings.twilio_auth_token:
        faults.append("TWILIO_AUTH_TOKEN_SECONDARY: is the next of two: set TWILIO_AUTH_TOKEN, the present one, too")
    if settings.twilio_auth_token_file:
        try:
            tokens = settings.twilio_auth_token_file.read_text().split()
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"TWILIO_AUTH_TOKEN_FILE: cannot be read: {type(error).__name__}")
        else:
            if not tokens:
                faults.append("TWILIO_AUTH_TOKEN_FILE: is empty: it has the auth tokens, one a line")
    if settings.twilio_accounts_dir and not os.access(settings.twilio_accounts_dir, os.R_OK | os.X_OK):
        faults.append("TWILIO_ACCOUNTS_DIR: is no directory that can be read")
    return faults


def _deadline_faults(settings: Settings) -> list[str]:
    faults = []
    if settings.carrier_timeout_s >= settings.ask_s:
        faults.append(
            "OUTBOUND_CARRIER_TIMEOUT_S: must be less than OUTBOUND_ASK_S, or we would ask while we still dial"
        )
    if settings.close_s <= settings.ask_s:
        faults.append("OUTBOUND_CLOSE_S: must be more than OUTBOUND_ASK_S: the carrier is asked first")
    if 0 < (settings.retention_days or 0) < RETENTION_DAYS_MIN:
        faults.append(f"OUTBOUND_RETENTION_DAYS: must be {RETENTION_DAYS_MIN} or more, or 0 to keep every call")
    for name, days in (
        ("LEAD", settings.lead_days),
        ("REGISTRY", settings.registry_days),
        ("BATCH", settings.batch_days),
        ("AUDIT", settings.audit_days),
    ):
        if 0 < (days or 0) < RETENTION_DAYS_MIN:
            faults.append(f"OUTBOUND_{name}_DAYS: must be {RETENTION_DAYS_MIN} or more, or 0 to keep all")
    if settings.lead_days and not settings.retention_days:
        faults.append("OUTBOUND_LEAD_DAYS: needs OUTBOUND_RETENTION_DAYS: a lead stays as long as one of its calls")
    if settings.close_s + settings.tick_s > CLOSED_WITHIN_S:
        faults.append(f"OUTBOUND_CLOSE_S: with OUTBOUND_TICK_S, must be {CLOSED_WITHIN_S} at most: that is promised")
    return faults
