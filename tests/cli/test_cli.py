"""The `outbound` command, as the processes that an operator starts."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from outbound import logs, settings_model
from outbound.cli import app
from outbound.local import environment as home
from outbound.local.embedded_servers import EmbeddedError
from tests import ROOT, forked
from tests.conftest import World
from tests.ports import free_ports, take_free_ports

Outbound = Callable[..., subprocess.CompletedProcess[str]]

HELLO = "<Response><Say>Hello</Say></Response>"
PHONE = re.compile(r"\+?\d{7,}")


def run(folder: Path, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """`outbound` in a folder of its own, with nothing configured but *env*."""
    return forked.run(*arguments, cwd=folder, env=environment(env))


def environment(env: dict[str, str]) -> dict[str, str]:
    ours = set(settings_model.env_names().values())
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    return inherited | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"} | env


@pytest.fixture
def outbound(database: str, tmp_path: Path) -> Outbound:
    """`outbound` with a configured database; a keyword is one more setting."""
    return _outbound(database, tmp_path)


def _outbound(url: str, folder: Path) -> Outbound:
    configured = {"DATABASE_URL": url, "REDIS_URL": "memory://", "OUTBOUND_DATA_DIR": str(folder / "data")}
    return lambda *arguments, **settings: run(folder, configured | settings, *arguments)


def says(done: subprocess.CompletedProcess[str], *lines: str) -> None:
    """It succeeded, said exactly this, and no phone number in its log."""
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == list(lines)
    assert not PHONE.search(done.stderr)


def refuses(done: subprocess.CompletedProcess[str], *beginnings: str) -> list[str]:
    """It ended with status 2 and one line per fault, without a traceback."""
    lines = done.stderr.splitlines()
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(lines) == len(beginnings), done.stderr
    for line, beginning in zip(lines, beginnings, strict=True):
        assert line.startswith(f"outbound: {beginning}")
    return lines


def test_businesses_are_added_changed_and_listed(world: World, outbound: Outbound) -> None:
    added = outbound("business", "add", "--name", "Acme", "--twiml", HELLO, "--number", "+15005550006")
    changed = outbound("business", "set", "1", "--region", "US", "--number", "+15005550007")
    listed = outbound("business", "list", "--json")
    shown = outbound("business", "list")

    says(added, "1")
    says(changed, "business 1 was changed: default region, phones")
    assert json.loads(listed.stdout) == [
        {
            "id": 1,
            "name": "Acme",
            "time_zone": "UTC",
            "default_region": "US",
            "look_back_hours": 24,
            "carrier_account": None,
            "voice_url": None,
            "has_twiml": True,
            "phones": ["+15005550006", "+15005550007"],
        }
    ]
    assert "Acme" in shown.stdout


def test_a_bad_business_is_refused_in_one_line(world: World, outbound: Outbound) -> None:
    done = outbound("business", "add", "--name", "Acme", "--time-zone", "Nowhere", "--number", "nobody")

    (line,) = refuses(done, "Nowhere is not an IANA time zone")
    assert "own number 1" in line
    assert world.rows("select * from business") == []


def test_a_call_is_enqueued_once(world: World, outbound: Outbound) -> None:
    world.business()

    first = outbound("enqueue", "--business", "1", "--to", "+1 500 555 0101", "--at", "2026-11-30T09:00", "--key", "a")
    second = outbound("enqueue", "--business", "1", "--to", "+15005550101")

    says(first, "call 1 queued")
    says(second, "call 1 was there already, queued")


def test_a_bad_call_is_refused_in_one_line_without_its_number(world: World, outbound: Outbound) -> None:
    world.business()

    done = outbound("enqueue", "--business", "1", "--to", "500-5550101")

    refuses(done, "`to` is not a phone number: write it like +97231234567, with its country code")
    assert "5550101" not in done.stderr
    assert world.statuses() == []


def test_a_file_with_bad_lines_ends_with_status_1_and_names_them(
    world: World, outbound: Outbound, tmp_path: Path
) -> None:
    world.business()
    (tmp_path / "calls.csv").write_text("to,at\n+15005550101,\n500-5550102,\n+15005550103,some other day\n")

    done = outbound("import", "calls.csv", "--business", "1")

    assert done.returncode == 1
    assert done.stdout == "1 queued, 0 there already, 2 refused\n"
    third, fourth, *now = (line for line in done.stderr.splitlines() if line.strip())
    assert "start `outbound worker`" in now[-1]
    assert third.startswith("line 3: `to` is not a phone number: write it like +97231234567, with its country code")
    assert fourth == "line 4: `at` is not a date and time: write it like 2026-11-30T09:00"


def test_a_good_file_ends_with_status_0_and_a_second_time_adds_nothing(
    world: World, outbound: Outbound, tmp_path: Path
) -> None:
    world.business()
    (tmp_path / "calls.csv").write_text("to\n+15005550101\n+15005550102\n")

    says(outbound("import", "calls.csv", "--business", "1"), "2 queued, 0 there already, 0 refused")
    says(outbound("import", "calls.csv", "--business", "1"), "0 queued, 2 there already (2 waiting), 0 refused")


def test_a_file_that_is_none_is_refused_in_one_line(world: World, outbound: Outbound, tmp_path: Path) -> None:
    world.business()
    (tmp_path / "headless.csv").write_text("+15005550101\n")

    missing = outbound("import", "missing.csv", "--business", "1")
    headless = outbound("import", "headless.csv", "--business", "1")

    assert missing.returncode == headless.returncode == 2
    assert "outbound: missing.csv: No such file or directory" in missing.stderr
    assert "outbound: no column is named `to`" in headless.stderr
    assert not PHONE.search(headless.stderr)


def test_the_status_is_one_json_object(world: World, outbound: Outbound) -> None:
    world.queued()
    world.initiated(world.business("Other"), to="+15005550102")

    done = outbound("status", "--json")

    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert (status["queue_len"], status["pending_without_call_sid"]) == (1, 1)
    assert (status["calls"]["queued"], status["calls"]["initiated"]) == (1, 1)
    assert outbound("status").returncode == 0


def test_clean_up_by_hand_closes_what_is_overdue(world: World, outbound: Outbound) -> None:
    world.age(world.initiated(), 3600)

    done = outbound("cleanup")

    assert done.returncode == 0, done.stderr
    assert world.statuses() == ["failed"]
    assert not PHONE.search(done.stderr)


def test_migrate_says_what_it_applied_and_then_that_there_is_nothing(empty_database: str, tmp_path: Path) -> None:
    outbound = _outbound(empty_database, tmp_path)

    first, second = outbound("migrate"), outbound("migrate")

    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[0] == "applied 0001_business_call_log_leads"
    says(second, "nothing to apply")


def test_the_version_needs_no_settings(tmp_path: Path) -> None:
    says(run(tmp_path, {"OUTBOUND_NONSENSE": "1"}, "version"), "0.1.0")


def test_wrong_settings_are_named_line_by_line(outbound: Outbound) -> None:
    done = outbound(
        "status", OUTBOUND_RING_S="soon", OUTBOUND_CARRIER="twilio", OUTBOUND_WORKERS="2", TWILIO_AUTH_TOKEN=""
    )

    refuses(
        done,
        "OUTBOUND_WORKERS: there is no such setting",
        "OUTBOUND_RING_S: ",
        "TWILIO_ACCOUNT_SID: must be set",
        "TWILIO_AUTH_TOKEN: must be set",
        "OUTBOUND_PUBLIC_URL: must be set",
    )


@pytest.mark.parametrize("command", ["status", "worker", "scheduler", "web"])
def test_no_process_starts_on_an_old_schema(empty_database: str, tmp_path: Path, command: str) -> None:
    done = _outbound(empty_database, tmp_path)(command)

    (line,) = refuses(done, "the database lacks 0001_business_call_log_leads, ")
    assert line.endswith("run `outbound migrate`")


@pytest.mark.parametrize("command", ["status", "migrate", "cleanup"])
def test_a_database_that_does_not_answer_is_named_in_one_line(tmp_path: Path, command: str) -> None:
    done = _outbound("postgresql://outbound:hush@127.0.0.1:1/outbound", tmp_path)(command)

    (line,) = refuses(done, "the database does not answer: ")
    assert "refused" in line
    assert line.endswith("check DATABASE_URL")
    assert "hush" not in line


def test_an_address_that_is_no_database_s_is_refused_in_one_line_without_its_password(tmp_path: Path) -> None:
    done = _outbound("postgresql://outbound:hu%sh@127.0.0.1/outbound", tmp_path)("status")

    (line,) = refuses(done, "DATABASE_URL: has a % that is not followed by two hex digits")
    assert "hu%sh" not in line


@pytest.mark.parametrize("command", ["scheduler", "web"])
def test_without_a_broker_one_process_does_everything(outbound: Outbound, command: str) -> None:
    done = outbound(command, REDIS_URL="memory://")

    refuses(done, f"with REDIS_URL=memory:// one process does everything: run `outbound up`, not `outbound {command}`")


@pytest.mark.parametrize("command", [("web",), ("worker", "--with-web"), ("api",)])
def test_without_its_port_no_process_that_listens_goes_on(world: World, outbound: Outbound, command: list[str]) -> None:
    setting = "OUTBOUND_API_PORT" if "api" in command else "OUTBOUND_WEB_PORT"
    world.queued()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        broker = "memory://" if "--with-web" in command else "redis://127.0.0.1:1"
        done = outbound(*command, REDIS_URL=broker, **{setting: str(port)})

    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == f"outbound: port {port} cannot be had: set {setting}"
    assert world.statuses() == ["queued"]
    assert world.value("select count(*) from worker") == 0


PROCESSES = {name: {"broker": True, "lasting": True} for name in ("up", "worker", "scheduler", "web")}
ONE_SHOTS = (
    *("migrate", "status", "psql", "business list", "business add --name A", "business set 1"),
    *("enqueue --business 1 --to 2", "import calls.csv"),
)


@pytest.mark.parametrize(
    ("command", "needs"),
    [
        *PROCESSES.items(),
        *((command, {"broker": False, "lasting": False}) for command in ONE_SHOTS),
        ("cleanup", {"broker": True, "lasting": False}),
    ],
)
def test_only_what_stays_owns_servers_that_stay_and_only_who_nudges_needs_a_broker(
    monkeypatch: pytest.MonkeyPatch, command: str, needs: dict[str, bool]
) -> None:
    def prepared_environment(**asked: bool) -> None:
        raise EmbeddedError(asked)

    monkeypatch.setattr(home, "prepared_environment", prepared_environment)
    monkeypatch.setattr(logs, "set_up", lambda *_: None)  # it would write to the runner's output for ever
    take_free_ports(monkeypatch)

    done = CliRunner().invoke(app.app, command.split())

    assert isinstance(done.exception, EmbeddedError), done.output
    assert done.exception.args == (needs,)


def test_a_data_directory_that_cannot_be_written_is_named_in_one_line(outbound: Outbound, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = outbound("status", OUTBOUND_DATA_DIR=str(tmp_path / "file" / "below"))

    refuses(done, "the simulator's account cannot be kept: ")


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A new directory that `nobody` may pass: pytest's own are private."""
    folder = Path(tempfile.mkdtemp(prefix="outbound-cli-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_with_nothing_configured_calls_are_kept_from_one_command_to_the_next(reachable: Path) -> None:
    env = {"OUTBOUND_DATA_DIR": str(reachable)}

    added = run(
        reachable,
        env,
        "business",
        "add",
        "--name",
        "Acme",
        "--twiml",
        HELLO,
        "--number",
        "03-5550006",
        "--region",
        "IL",
    )
    queued = run(reachable, env, "enqueue", "--business", "1", "--to", "050-5550101")
    status = run(reachable, env, "status", "--json")

    says(added, "1")
    says(queued, "call 1 queued")
    assert status.returncode == 0, status.stderr
    assert json.loads(status.stdout)["queue_len"] == 1
    assert "start `outbound up`" in status.stdout
    assert not re.search("`outbound (worker|scheduler)`", status.stdout)
    account = reachable / "simulator.json"
    assert account.stat().st_mode & 0o777 == 0o600
    assert not PHONE.search(status.stderr)


@contextmanager
def up(folder: Path, env: dict[str, str]) -> Iterator[None]:
    """`outbound up` in another terminal, from when it is ready on."""
    web, simulator = map(str, free_ports(2))
    env = environment(env | {"OUTBOUND_WEB_PORT": web, "OUTBOUND_SIMULATOR_PORT": simulator})
    with forked.Popen([sys.executable, "-m", "outbound", "up"], cwd=folder, env=env, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr
            assert any(line.startswith(b"carrier") for line in process.stderr)
            yield
        finally:
            process.terminate()
            process.communicate(timeout=60)


def test_beside_an_up_without_redis_in_another_terminal_the_commands_work(reachable: Path) -> None:
    env = {"OUTBOUND_DATA_DIR": str(reachable)}

    with up(reachable, env | {"REDIS_URL": "memory://"}):
        added = run(reachable, env, "business", "add", "--name", "Acme", "--twiml", HELLO)
        status = run(reachable, env, "status", "--json")
        cleanup = run(reachable, env, "cleanup")

    says(added, "1")
    assert status.returncode == 0, status.stderr
    (line,) = refuses(cleanup, "the owner of ")  # its nudges would reach nobody
    assert "does not run all we need" in line


def test_a_private_umask_does_not_keep_the_embedded_servers_out(reachable: Path) -> None:
    env = {"OUTBOUND_DATA_DIR": str(reachable / "new")}
    before = os.umask(0o077)
    try:
        done = run(reachable, env, "business", "add", "--name", "Acme", "--twiml", HELLO)
    finally:
        os.umask(before)

    says(done, "1")


def test_where_outbound_is_a_service_no_command_begins_a_queue_of_its_own(tmp_path: Path) -> None:
    done = run(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)}, "status")

    assert done.returncode == 2
    assert "this host runs outbound as a service" in done.stderr
