"""On a service's host root's commands find the service's own settings; what the environment says counts."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from outbound import config
from outbound.errors import SettingsError
from outbound.processes import service_settings
from tests.cli.test_manners import outbound_here
from tests.conftest import World
from tests.test_config import Setter, given

__all__ = ["given"]  # a fixture: nothing but this in the environment


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A host's /etc/outbound, and root."""
    (tmp_path / "credentials").mkdir(mode=0o700)
    (tmp_path / "credentials" / "TWILIO_AUTH_TOKEN").write_text("hush-hush\n")
    (tmp_path / "outbound.env").write_text('# ours\nOUTBOUND_RING_S=20\n; also\nOUTBOUND_BATCH_MAX="7"\nTZ = UTC\n')
    monkeypatch.setattr(service_settings, "DIRECTORY", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    config.use(None)
    yield tmp_path
    config.use(None)


def test_root_finds_the_settings_of_the_service_and_no_secret_is_in_the_environment(
    service: Path, given: Setter
) -> None:
    given()

    service_settings.read()

    settings = config.settings()
    assert (settings.ring_s, settings.batch_max) == (20, 7)
    assert settings.twilio_auth_token
    assert settings.twilio_auth_token.get_secret_value() == "hush-hush"
    assert not any("hush" in value for value in os.environ.values())


def test_what_the_environment_says_counts_and_another_database_is_told(
    service: Path, given: Setter, capsys: pytest.CaptureFixture[str]
) -> None:
    given(OUTBOUND_RING_S="25", DATABASE_URL="postgresql://me:hush@here.example/copy")

    service_settings.read()

    assert config.settings().ring_s == 25
    assert config.settings().batch_max == 7
    said = capsys.readouterr().err
    assert said == f"outbound: DATABASE_URL as the environment says, all else from {service}\n"


def test_another_database_is_not_left_for_the_service_s_by_its_owner_s_address(service: Path, given: Setter) -> None:
    (service / "credentials" / "OUTBOUND_OWNER_DATABASE_URL").write_text("postgresql://owner@service.example/outbound")
    given(DATABASE_URL="postgresql://me@here.example/copy")

    service_settings.read()
    config.use_owner()

    assert config.settings().database_url == "postgresql://me@here.example/copy"


@pytest.mark.parametrize("name", ["OUTBOUND_DATA_DIR", "CREDENTIALS_DIRECTORY"])
def test_who_names_another_place_is_left_alone(service: Path, given: Setter, name: str) -> None:
    given(**{name: str(service / "elsewhere")})

    service_settings.read()

    assert "OUTBOUND_RING_S" not in config.environment()


def test_who_is_not_root_reads_nothing(service: Path, given: Setter, monkeypatch: pytest.MonkeyPatch) -> None:
    given()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    service_settings.read()

    assert config.settings().ring_s == 30
    assert "CREDENTIALS_DIRECTORY" not in os.environ


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b c", "b c"),
        ("A='b # c'", "b # c"),
        ('A="b \\"c\\""', 'b "c"'),
        ("A=b\\\nc", "bc"),
        ("A=a=b", "a=b"),
        ("A=", ""),
        ("A=\\$b", "$b"),
    ],
)
def test_the_file_is_read_as_systemd_reads_it(tmp_path: Path, text: str, value: str) -> None:
    (tmp_path / "outbound.env").write_text(text + "\nB=1\n")

    assert service_settings._environment_file(tmp_path / "outbound.env") == {"A": value, "B": "1"}


@pytest.mark.parametrize("line", ["hush", "1A=hush", "A='hush", "A B=hush"])
def test_a_line_that_is_none_is_named_by_its_number_and_not_repeated(tmp_path: Path, line: str) -> None:
    (tmp_path / "outbound.env").write_text(f"# first\n{line}\n")

    with pytest.raises(SettingsError, match=r"outbound\.env, line 2: write it as NAME=value") as refused:
        service_settings._environment_file(tmp_path / "outbound.env")
    assert "hush" not in str(refused.value)


def test_a_runbook_s_line_works_as_typed(
    world: World, service: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    world.queued()
    (service / "credentials" / "DATABASE_URL").write_text(world.url)
    (service / "credentials" / "REDIS_URL").write_text("memory://")
    for name in ("DATABASE_URL", "REDIS_URL", "TWILIO_AUTH_TOKEN"):
        os.environ.pop(name, None)
    config.use(None)

    done = outbound_here(monkeypatch, capfd)("status", "--json")

    assert done.returncode == 0, done.stderr
    assert '"queue_len": 1' in done.stdout
