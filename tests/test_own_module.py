"""Processes import nothing from the directory where somebody has started them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import outbound
from tests.api.conftest import is_served
from tests.conftest import World, until
from tests.ports import free_ports

SHADOWS = ("redis", "psycopg", "dramatiq", "uvicorn", "fastapi", "json", "outbound")
LEAVES_A_MARK = "from pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\n"


@pytest.mark.parametrize("name", ["worker", "api"])
def test_a_file_with_the_name_of_a_library_is_not_run(world: World, tmp_path: Path, name: str) -> None:
    for shadow in SHADOWS:
        (tmp_path / f"{shadow}.py").write_text(LEAVES_A_MARK)
    (port,) = free_ports(1)
    is_up: dict[str, Callable[[], object]] = {
        "worker": lambda: world.value("select count(*) from worker") == 1,
        "api": lambda: is_served(port),
    }
    environment = os.environ | {"OUTBOUND_API_PORT": str(port), "OUTBOUND_WORKER_PROCESSES": "1"}

    command = [str(Path(sys.executable).parent / "outbound"), name]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as process:
        until(lambda: is_up[name]() or process.poll() is not None)
        status = process.poll()
        process.terminate()

    assert status is None, "it ended by itself"
    assert sorted(path.name for path in tmp_path.glob("*.ran")) == []


def test_each_process_of_ours_is_started_so() -> None:
    sources = Path(outbound.__file__).parent.rglob("*.py")

    assert [path.name for path in sources if '"-m"' in path.read_text()] == []
