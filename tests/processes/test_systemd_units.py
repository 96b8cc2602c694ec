"""Systemd's units: right, hardened, with time enough to stop, and the secrets that they hand over are taken."""

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from outbound import config, settings_model
from outbound.processes import systemd_units
from tests import forked
from tests.test_config import Setter, faults, given

__all__ = ["given"]  # a fixture: nothing but this in the environment

EXPOSURE_MAX = 2.0  # of 10, as `systemd-analyze security` counts
SERVICES = (
    "outbound-worker@.service",
    "outbound-scheduler.service",
    "outbound-web.service",
    "outbound-api.service",
    "outbound-migrate.service",
)
UNITS = SERVICES[:4]

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed: apt-get install systemd"
)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as `outbound install-service --to` writes them, for the `outbound` of this checkout."""
    _install_service("--to", str(tmp_path)).check_returncode()
    return tmp_path


def _install_service(*options: str) -> subprocess.CompletedProcess[str]:
    return forked.run("install-service", *options)


def seconds(unit: str, key: str) -> int:
    found = re.search(rf"^{key}=(\d+)$", systemd_units.units(Path("/bin/true"))[unit], re.M)
    assert found, f"{unit} has no {key}"
    return int(found[1])


@needs_systemd
def test_systemd_finds_nothing_wrong_with_any_unit(units: Path) -> None:
    files = [path for path in units.iterdir() if path.is_file()]

    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)

    assert len(files) == 9
    assert (done.returncode, done.stderr) == (0, "")  # an unknown key is on stderr alone


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES)
def test_every_service_is_hardened(units: Path, unit: str) -> None:
    limit = f"--threshold={EXPOSURE_MAX * 10:.0f}"
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", limit, str(units / unit)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-200:]
    assert (units / unit).name.removesuffix(".service") in done.stdout.replace("@i", "@")


@needs_systemd
def test_that_check_sees_a_service_that_is_not_hardened(units: Path) -> None:
    shutil.rmtree(units / "outbound-.service.d")
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(units / "outbound-web.service")]

    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_a_worker_has_time_to_end_its_dials_and_the_watchdog_leaves_it_in_peace_meanwhile() -> None:
    slowest_carrier_s = next(
        bound.le for bound in settings_model.Settings.model_fields["carrier_timeout_s"].metadata if hasattr(bound, "le")
    )

    assert seconds("outbound-worker@.service", "TimeoutStopSec") >= slowest_carrier_s + 15 + 10
    for unit in UNITS:
        assert seconds(unit, "TimeoutStopSec") < seconds(unit, "WatchdogSec")


def test_every_process_is_started_again_for_ever_and_one_signal_stops_it() -> None:
    for unit in UNITS:
        text = systemd_units.units(Path("/bin/true"))[unit]
        for line in ("Restart=always", "StartLimitIntervalSec=0", "KillMode=mixed", "Type=notify"):
            assert line in text.splitlines(), unit


def test_every_secret_comes_as_a_file_that_is_a_setting() -> None:
    texts = "\n".join(systemd_units.units(Path("/bin/true")).values())
    loaded = dict(re.findall(r"^LoadCredential=(\w+):(\S+)$", texts, re.M))

    assert loaded.keys() == SECRETS.keys()
    assert loaded.keys() <= set(settings_model.env_names().values())
    assert all(path == f"/etc/outbound/credentials/{name}" for name, path in loaded.items())


SECRETS = {
    "DATABASE_URL": "postgresql://outbound@db.example/outbound",
    "OUTBOUND_OWNER_DATABASE_URL": "postgresql://owner@db.example/outbound",
    "REDIS_URL": "redis://redis.example",
    "TWILIO_AUTH_TOKEN": "the-auth-token",
    "TWILIO_AUTH_TOKEN_SECONDARY": "the-next-token",
    "TWILIO_API_KEY_SECRET": "the-secret",
    "OUTBOUND_CALLBACK_KEY": "a-key-of-our-own-for-tags",
    "OUTBOUND_METRICS_TOKEN": "a-long-enough-token",
    "OUTBOUND_WEBHOOK_KEY": "a-key-of-our-own-for-webhooks-of-32",
    "OUTBOUND_WEBHOOK_KEY_OLD": "the-key-before-it-for-webhooks-of-32",
}
WEBHOOK_KEYS = {"OUTBOUND_WEBHOOK_KEY", "OUTBOUND_WEBHOOK_KEY_OLD"}
OF_THE_CARRIER = {"TWILIO_API_KEY_SECRET", "OUTBOUND_CALLBACK_KEY"}


NEEDED = {
    "outbound-worker@.service": {"DATABASE_URL", "REDIS_URL", *OF_THE_CARRIER, *WEBHOOK_KEYS},
    "outbound-scheduler.service": {"DATABASE_URL", "REDIS_URL", *OF_THE_CARRIER},
    "outbound-web.service": SECRETS.keys() - {"TWILIO_API_KEY_SECRET", "OUTBOUND_OWNER_DATABASE_URL"} - WEBHOOK_KEYS,
    "outbound-api.service": {"DATABASE_URL", "OUTBOUND_WEBHOOK_KEY"},
    "outbound-migrate.service": {"DATABASE_URL", "OUTBOUND_OWNER_DATABASE_URL"},
}


def test_each_process_is_given_the_secrets_that_it_needs_and_no_other() -> None:
    for unit, text in systemd_units.units(Path("/bin/true")).items():
        assert set(re.findall(r"^LoadCredential=(\w+):", text, re.M)) == NEEDED.get(unit, set()), unit


@pytest.mark.parametrize("unit", SERVICES)
def test_each_process_starts_with_its_own_secrets_and_the_auth_token_is_where_callbacks_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    texts = systemd_units.units(Path("/bin/true"))
    own = texts[unit] + texts["outbound-.service.d/sandbox.conf"]
    loaded = re.findall(r"^LoadCredential=(\w+):", own, re.M)
    for name, value in re.findall(r"^SetCredential=(\w+):(.*)$", own, re.M):
        (tmp_path / name).write_text(value)
    for name in loaded:
        (tmp_path / name).write_text(SECRETS[name])
    environment = {
        "OUTBOUND_CARRIER": "twilio",
        "OUTBOUND_PUBLIC_URL": "https://calls.example.com",
        "OUTBOUND_WEB_HOST": "0.0.0.0",  # noqa: S104
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_API_KEY_SID": "SK" + "0" * 32,
    }
    unset = " ".join(re.findall(r"^UnsetEnvironment=(.*)", own, re.M)).split()
    for name in {*environment, *SECRETS}:
        monkeypatch.delenv(name, raising=False)
    for name in environment.keys() - set(unset):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    config.load()

    assert ("TWILIO_AUTH_TOKEN" in loaded) == (unit == "outbound-web.service")
    assert ("TWILIO_API_KEY_SECRET" in loaded) == (unit in ("outbound-worker@.service", "outbound-scheduler.service"))


def test_the_units_are_printed_for_any_program_and_account() -> None:
    printed = _install_service("--bin", "/opt/outbound/bin/outbound", "--user", "caller").stdout

    assert printed.count("ExecStart=/opt/outbound/bin/outbound ") == len(SERVICES)
    assert "User=caller" in printed
    assert "DynamicUser" not in printed
    assert all(f"# {unit}\n" in printed for unit in SERVICES)


def test_units_that_cannot_be_written_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = _install_service("--to", str(tmp_path / "file"))

    assert done.returncode == 2
    assert done.stderr.startswith("outbound: the units cannot be written: ")
    assert len(done.stderr.splitlines()) == 1


def test_the_target_groups_what_makes_calls() -> None:
    target = configparser.ConfigParser(strict=False)
    target.read_string(systemd_units.units(Path("/bin/true"))["outbound.target"])

    assert set(target["Unit"]["Wants"].split()) == {
        "outbound-workers.target",
        "outbound-scheduler.service",
        "outbound-web.service",
        "outbound-web.socket",
    }


def test_a_worker_that_stands_still_is_started_with_the_others() -> None:
    """`systemctl restart 'outbound-worker@*'` would find no unit then, and say nothing."""
    units = systemd_units.units(Path("/bin/true"))

    assert "PartOf=outbound.target\nWants=outbound-worker@1.service\n" in units["outbound-workers.target"]
    assert "PartOf=outbound-workers.target\n" in units["outbound-worker@.service"]
    assert units["outbound-worker@.service"].endswith("WantedBy=outbound-workers.target\n")


def test_a_setting_may_come_as_a_file(given: Setter, tmp_path: Path) -> None:
    given(CREDENTIALS_DIRECTORY=str(tmp_path))
    (tmp_path / "DATABASE_URL").write_text("postgresql://db.example.com/outbound\n")
    (tmp_path / "OUTBOUND_METRICS_TOKEN").write_text("sixteen-characters-or-more\n")
    (tmp_path / "TWILIO_AUTH_TOKEN").write_text("\n")  # empty: not set

    settings = config.load()

    assert settings.database_url == "postgresql://db.example.com/outbound"
    assert settings.metrics_token is not None
    assert settings.metrics_token.get_secret_value() == "sixteen-characters-or-more"
    assert settings.twilio_auth_token is None


def test_the_environment_wins_over_a_file(given: Setter, tmp_path: Path) -> None:
    given(CREDENTIALS_DIRECTORY=str(tmp_path), DATABASE_URL="postgresql://here.example.com/outbound", REDIS_URL="")
    (tmp_path / "DATABASE_URL").write_text("postgresql://there.example.com/outbound")
    (tmp_path / "REDIS_URL").write_text("redis://there.example.com")

    settings = config.load()

    assert settings.database_url == "postgresql://here.example.com/outbound"
    assert settings.redis_url == "redis://there.example.com"


def test_a_file_with_a_wrong_setting_is_refused_with_all_other_faults(given: Setter, tmp_path: Path) -> None:
    given(CREDENTIALS_DIRECTORY=str(tmp_path), OUTBOUND_RING_S="soon")
    (tmp_path / "OUTBOUND_METRICS_TOKEN").write_text("short")
    (tmp_path / "DATABASE_URL").write_text("mysql://root:hush@localhost/calls")
    (tmp_path / "OUTBOUND_METRIC_TOKEN").write_text("a name that is no setting")

    found = faults()

    assert {fault.split(":")[0] for fault in found} == {
        "OUTBOUND_METRIC_TOKEN",
        "OUTBOUND_METRICS_TOKEN",
        "OUTBOUND_RING_S",
        "DATABASE_URL",
    }
    assert "hush" not in str(found)


def test_a_file_that_cannot_be_read_is_named(given: Setter, tmp_path: Path) -> None:
    given(CREDENTIALS_DIRECTORY=str(tmp_path))
    (tmp_path / "REDIS_URL").mkdir()

    assert faults() == ["REDIS_URL: its file cannot be read: IsADirectoryError"]


def test_a_directory_of_secrets_that_is_not_there_is_no_fault(given: Setter, tmp_path: Path) -> None:
    given(CREDENTIALS_DIRECTORY=str(tmp_path / "none"))

    assert config.load().database_url is None


def test_no_process_finds_secrets_in_its_environment_that_came_as_files(given: Setter, tmp_path: Path) -> None:
    given(CREDENTIALS_DIRECTORY=str(tmp_path))
    (tmp_path / "DATABASE_URL").write_text("postgresql://db.example.com/outbound")

    config.load()

    assert "DATABASE_URL" not in os.environ


@pytest.mark.parametrize("program", ["/opt/nowhere/outbound", "/home/somebody/outbound", "/opt"])
def test_an_installation_that_could_not_start_says_so(tmp_path: Path, program: str) -> None:
    done = _install_service("--to", str(tmp_path), "--bin", program)

    assert done.stderr.splitlines()[-1].startswith(f"outbound: {program} cannot be run: say with --bin")


def test_an_installation_that_can_start_ends_with_what_to_do_next(tmp_path: Path) -> None:
    done = _install_service("--to", str(tmp_path), "--bin", "/bin/true")

    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 10
    assert "outbound: " not in done.stderr
    assert done.stderr.splitlines()[-1].strip().startswith("systemctl daemon-reload")


@pytest.mark.parametrize("how", ["itself", "by a link", "by its Python"])
@pytest.mark.parametrize("closed", ["/home", "/root", "/tmp"])  # noqa: S108
def test_a_program_that_the_sandbox_of_the_units_hides_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str, how: str
) -> None:
    # Real folders stand for those, which are not ours to write to.
    inside, outside = tmp_path / "closed", tmp_path / "opt"
    inside.mkdir()
    outside.mkdir()
    monkeypatch.setattr(systemd_units, "_CLOSED", {str(inside): systemd_units._CLOSED[closed]})
    shutil.copy("/bin/true", inside / "python")
    hidden, program = inside / "outbound", outside / "outbound"
    hidden.write_text("#!/bin/true\n")
    hidden.chmod(0o755)
    if how == "itself":
        program = hidden
    elif how == "by a link":
        program.symlink_to(hidden)
    else:
        program.write_text(f"#!{inside}/python\n")
        program.chmod(0o755)

    fault = systemd_units.why_not_started(program)

    assert fault is not None
    assert fault.startswith(f"the units may not enter {inside} (P")
    assert systemd_units.why_not_started(Path("/bin/true")) is None
