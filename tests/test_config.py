"""Every setting, with its unit, bound and reason; a wrong set of them is refused whole, with all its faults at once."""

import os
import re
from collections.abc import Callable
from typing import get_args

import pytest

from outbound import config, settings_model
from outbound.errors import SettingsError
from outbound.formats import urls

Setter = Callable[..., None]

TWILIO = {
    "OUTBOUND_CARRIER": "twilio",
    "TWILIO_ACCOUNT_SID": "AC" + "0123456789abcdef" * 2,
    "TWILIO_AUTH_TOKEN": "a-secret-token",
    "OUTBOUND_PUBLIC_URL": "https://calls.example.com",
}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Setter:
    """Set these, and nothing else, in the environment."""
    for name in list(os.environ):
        if name.upper() in settings_model.env_names().values() or name.upper().startswith("OUTBOUND_"):
            monkeypatch.delenv(name)

    def give(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return give


def faults() -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        config.load()
    assert str(refusal.value) == "\n".join(refusal.value.faults)
    return refusal.value.faults


def test_nothing_configured_is_right_and_rings_no_phone(given: Setter) -> None:
    given()

    settings = config.load()

    assert settings.carrier == "simulator"
    assert settings.api_url == "http://127.0.0.1:8081"
    assert settings.callback_base == "http://127.0.0.1:8080"
    assert (settings.database_url, settings.redis_url, settings.data_dir) == (None, None, None)


def test_an_empty_setting_is_one_that_is_not_set(given: Setter) -> None:
    given(OUTBOUND_RING_S="", DATABASE_URL="", OUTBOUND_CARRIER="")

    settings = config.load()

    assert (settings.ring_s, settings.database_url, settings.carrier) == (30, None, "simulator")


def test_every_fault_is_named_at_once(given: Setter) -> None:
    given(
        OUTBOUND_RING_S="soon",  # not a number
        OUTBOUND_WEB_PORT="70000",  # out of bounds
        OUTBOUND_WEB_HOST="::",  # contradicts the absence of a token
        OUTBOUND_CLOSE_S="50",  # contradicts ask_s
        OUTBOUND_WEBPORT="8080",  # no such setting
        DATABASE_URL="mysql://root@localhost/calls",
    )

    found = faults()

    assert [fault.split(":")[0] for fault in found] == [
        "OUTBOUND_WEBPORT",
        "OUTBOUND_RING_S",
        "OUTBOUND_WEB_PORT",
        "DATABASE_URL",
        "OUTBOUND_METRICS_TOKEN",
        "OUTBOUND_CLOSE_S",
    ]
    assert "did you mean OUTBOUND_WEB_PORT?" in found[0]
    assert "postgresql://" in found[3]


def test_the_environment_is_as_it_was_after_faults_were_found(given: Setter) -> None:
    given(OUTBOUND_RING_S="soon")

    faults()

    assert os.environ["OUTBOUND_RING_S"] == "soon"


def test_a_fault_in_small_letters_is_found_too(given: Setter) -> None:
    given(outbound_ring_s="soon", outbound_rign_s="30")

    found = faults()

    assert found[0] == "outbound_rign_s: there is no such setting; did you mean OUTBOUND_RING_S?"
    assert found[1].startswith("OUTBOUND_RING_S:")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OUTBOUND_RING_S", "14"),
        ("OUTBOUND_RING_S", "601"),
        ("OUTBOUND_TIME_LIMIT_S", "9"),
        ("OUTBOUND_CLAIM_S", "0"),
        ("OUTBOUND_CLAIM_S", "inf"),
        ("OUTBOUND_POLL_S", "nan"),
        ("OUTBOUND_LEAD_S", "-1"),
        ("OUTBOUND_CLOSE_S", "116"),
        ("OUTBOUND_TICK_S", "11"),
        ("OUTBOUND_CARRIER_TIMEOUT_S", "46"),
        ("OUTBOUND_WORKER_THREADS", "0"),
        ("OUTBOUND_BATCH_MAX", "1.5"),
        ("OUTBOUND_CARRIER", "Twillio"),
        ("OUTBOUND_BROKER_NAMESPACE", "two words"),
        ("OUTBOUND_METRICS_TOKEN", "short"),
        ("OUTBOUND_SIMULATOR_SPEED", "0"),
        ("TWILIO_ACCOUNT_SID", "ACshort"),
        ("DATABASE_URL", "localhost/outbound"),
        ("DATABASE_URL", "postgresql:outbound"),
        ("DATABASE_URL", "postgresql://u:100%@db/outbound"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis+sentinel://:hush@/calls"),
        ("REDIS_URL", "redis+sentinel://one,two"),
        ("REDIS_URL", "redis+sentinel://one,,two/calls"),
        ("REDIS_URL", "redis+sentinel://one:0,two/calls"),
        ("REDIS_URL", "redis+sentinel://one:port/calls"),
        ("REDIS_URL", "redis+sentinel://one/calls/zero"),
        ("REDIS_URL", "redis+sentinel://one/calls/0/1"),
        ("REDIS_URL", "redis+sentinel://one/calls?password=hush"),
        ("REDIS_URL", "redis+sentinel://one/calls?ssl_ca_certs=/etc/ca.pem"),
        ("TWILIO_API_URL", "http://[::1"),
        ("TWILIO_API_URL", "http://127.0.0.1:port"),
        ("OUTBOUND_PUBLIC_URL", "calls.example.com"),
        ("OUTBOUND_PUBLIC_URL", "https://"),
        ("OUTBOUND_PUBLIC_URL", "https://calls.example.com/?tenant=1"),
        ("OUTBOUND_PUBLIC_URL", "https://calls.example.com/ outbound"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_name(given: Setter, name: str, value: str) -> None:
    given(**{name: value})

    found = faults()

    assert {fault.split(":")[0] for fault in found} == {name}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://u:p%40w@/outbound?host=%2Frun%2Fpostgresql"),
        ("DATABASE_URL", "postgres://one.example.com:5432,two.example.com/outbound?target_session_attrs=read-write"),
        ("REDIS_URL", "rediss://:password@redis.example.com:6380/2"),
        ("REDIS_URL", "unix:///run/valkey.sock"),
        ("REDIS_URL", "memory://"),
        ("REDIS_URL", "redis+sentinel://one,two:26380,[::1]:26379/calls"),
        ("REDIS_URL", "redis+sentinel://calls:p%40w@one:26379,two:26379/calls/2?sentinel_password=p%26w"),
        ("REDIS_URL", "rediss+sentinel://one/calls?ssl_ca_certs=/etc/ca.pem"),
        ("OUTBOUND_PUBLIC_URL", "https://example.com:8443/calls/"),
    ],
)
def test_an_address_that_its_server_understands_is_accepted(given: Setter, name: str, value: str) -> None:
    given(**{name: value})

    config.load()


def test_real_phones_ring_when_twilio_is_configured_on_purpose(given: Setter) -> None:
    given(**TWILIO)

    settings = config.load()

    assert settings.api_url == "https://api.twilio.com"


def test_the_simulator_never_speaks_to_a_carrier_elsewhere(given: Setter) -> None:
    given(TWILIO_API_URL="https://api.twilio.com")

    found = faults()

    assert len(found) == 1
    assert "OUTBOUND_CARRIER=twilio" in found[0]


@pytest.mark.parametrize("missing", ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "OUTBOUND_PUBLIC_URL"])
def test_twilio_needs_all_of_its_settings(given: Setter, missing: str) -> None:
    given(**{name: value for name, value in TWILIO.items() if name != missing})

    assert faults() == [f"{missing}: must be set when OUTBOUND_CARRIER is twilio"]


def test_all_that_twilio_lacks_is_named_at_once_even_beside_a_bad_address(given: Setter) -> None:
    given(OUTBOUND_CARRIER="twilio", TWILIO_API_URL="https://[bad")

    assert {fault.split(":")[0] for fault in faults()} == {
        "TWILIO_API_URL",
        "TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN",
        "OUTBOUND_PUBLIC_URL",
    }


@pytest.mark.parametrize(
    ("url", "why"), [("http://calls.example.com", "must be https"), ("https://my_calls.example.com", "underscore")]
)
def test_a_public_address_that_twilio_cannot_call_safely_is_refused(given: Setter, url: str, why: str) -> None:
    given(**TWILIO | {"OUTBOUND_PUBLIC_URL": url})

    (fault,) = faults()

    assert fault.startswith("OUTBOUND_PUBLIC_URL:")
    assert why in fault


def test_a_carrier_on_loopback_may_call_back_over_http(given: Setter) -> None:
    given(**TWILIO | {"OUTBOUND_PUBLIC_URL": "http://127.0.0.1:8080", "TWILIO_API_URL": "http://127.0.0.1:8081/"})

    settings = config.load()

    assert settings.api_url == "http://127.0.0.1:8081"


@pytest.mark.parametrize(("host", "allowed"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("::", False)])
def test_a_listener_off_loopback_needs_a_metrics_token(given: Setter, host: str, allowed: bool) -> None:
    given(OUTBOUND_WEB_HOST=host)

    if allowed:
        config.load()
    else:
        assert [fault.split(":")[0] for fault in faults()] == ["OUTBOUND_METRICS_TOKEN"]

    given(OUTBOUND_METRICS_TOKEN="0123456789abcdef")
    config.load()


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"OUTBOUND_CARRIER_TIMEOUT_S": "20", "OUTBOUND_ASK_S": "20"}, "OUTBOUND_CARRIER_TIMEOUT_S"),
        ({"OUTBOUND_ASK_S": "105"}, "OUTBOUND_CLOSE_S"),
        ({"OUTBOUND_ASK_S": "90", "OUTBOUND_CLOSE_S": "80"}, "OUTBOUND_CLOSE_S"),
        ({"OUTBOUND_CLOSE_S": "115", "OUTBOUND_TICK_S": "6"}, "OUTBOUND_CLOSE_S"),  # 121 s, and 120 s is promised
    ],
)
def test_deadlines_that_contradict_each_other_are_refused(given: Setter, values: dict[str, str], name: str) -> None:
    given(**values)

    assert [fault.split(":")[0] for fault in faults()] == [name]


def test_no_secret_is_shown_by_the_settings(given: Setter) -> None:
    given(
        **TWILIO,
        DATABASE_URL="postgresql://outbound:hush-db@db/outbound",
        REDIS_URL="redis://:hush-redis@redis/0",
        OUTBOUND_METRICS_TOKEN="hush-metrics-0123456789",
    )

    settings = config.load()

    for shown in (repr(settings), str(settings)):
        assert "hush" not in shown
        assert TWILIO["TWILIO_AUTH_TOKEN"] not in shown


def test_no_secret_is_shown_by_a_fault(given: Setter) -> None:
    given(
        DATABASE_URL="postgres//outbound:hush-db@db/outbound",
        REDIS_URL="redis//:hush-redis@redis/0",
        OUTBOUND_METRICS_TOKEN="hush-metrics",
        OUTBOUND_WEB_HOST="::",
        OUTBOUND_CARRIER="twilio",
        TWILIO_ACCOUNT_SID="AChush",
        TWILIO_API_URL="https://user:hush-api@[bad",
        OUTBOUND_PUBLIC_URL="http://user:hush-public@calls.example.com:hush",
    )

    with pytest.raises(SettingsError) as refusal:
        config.load()

    assert len(refusal.value.faults) >= 6
    assert "hush" not in str(refusal.value)
    assert refusal.value.__context__ is None  # a traceback would repeat what pydantic was given


@pytest.mark.parametrize(
    "login",
    [
        "user:pass@hush",
        "user:pass/hush",
        "user:pass#hush",
        "user:pass?hush",
        "user:1/hush",
        "user:1?hush",
        "user:1?a=hush",
    ],
)
@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("DATABASE_URL", "postgresql://{}@db.example.com/outbound"),
        ("OUTBOUND_OWNER_DATABASE_URL", "postgresql://{}@db.example.com/outbound"),
        ("REDIS_URL", "redis://{}@redis.example.com/0"),
        ("REDIS_URL", "rediss://{}@redis.example.com/0"),
        ("REDIS_URL", "redis+sentinel://{}@one,two/calls"),
        ("TWILIO_API_URL", "https://{}@127.0.0.1"),
        ("OUTBOUND_PUBLIC_URL", "https://{}@calls.example.com"),
    ],
)
def test_a_password_that_is_not_escaped_is_refused_and_no_piece_of_it_is_shown(
    given: Setter, name: str, form: str, login: str
) -> None:
    url = form.format(login)
    given(**{name: url})

    found = faults()

    assert found[0].startswith(f"{name}: ")
    assert not re.search("hush|pass(?!word)", " ".join(found))
    assert "hush" not in urls.without_password(url)
    given(**{name: form.format("user:pass%40%2F%23%3Fhush")})
    if name != "TWILIO_API_URL":
        config.load()


@pytest.mark.parametrize("name", ["TWILIO_AUTH_TOKEN", "OUTBOUND_DATA_DIR", "DATABASE_URL", "OUTBOUND_WEB_HOST"])
def test_a_character_that_was_copied_along_with_a_value_is_named(given: Setter, name: str) -> None:
    given(**{name: "postgresql://u:hush@db/outbound\u200f"})

    assert f"{name}: holds a character that cannot be seen, U+200F: leave it out" in faults()
    assert "hush" not in str(faults())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hu@sh/hush@h/db", "postgresql://u:…@h/db"),
        ("https://u:hush@h/voice", "https://…@h/voice"),
        ("https://hush@h/voice?token=hush&a=1", "https://…@h/voice?token=…&a=1"),
        ("connection to redis://:hush@h failed", "connection to redis://:…@h failed"),
        ("postgresql://u:hush@h:5432/db", "postgresql://u:…@h:5432/db"),
        ("postgresql://h:5432/db", "postgresql://h:5432/db"),
        ("postgresql://u@/db?password=hush&host=%2Frun", "postgresql://u@/db?password=…&host=%2Frun"),
        ("redis://:hush@h/0", "redis://:…@h/0"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert urls.without_password(url) == shown


@pytest.mark.parametrize("text", ["5_0", "+50", " 50", "\u0665\u0660", "1e2", "nan", "inf", "0x50", "50.", ".5"])
def test_a_setting_that_is_a_number_is_written_in_digits(text: str) -> None:
    fields = settings_model.Settings.model_fields.items()
    kinds = {field: {int, float} & {about.annotation, *get_args(about.annotation)} for field, about in fields}
    names = {settings_model.env_names()[field]: kind for field, kind in kinds.items() if kind}

    with pytest.raises(SettingsError) as refusal:
        settings_model.read(dict.fromkeys(names, text))

    assert len(names) > 20
    for name, kind in names.items():
        what = "a whole number in digits, like 50" if kind == {int} else "a number in digits, like 50 or 0.5"
        assert f"{name}: write {what}" in refusal.value.faults
