"""What `outbound up` and a demo that is kept print of the page opens it; a log gets no token of `outbound up`."""

import os
import pty
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests import forked
from tests.cli.test_cli import environment
from tests.conftest import World, until
from tests.ports import free_ports

_ENDS_S = 60


@contextmanager
def started(env: dict[str, str], folder: Path, *command: str, stderr: int) -> Iterator[None]:
    """A command of outbound, from its start to its end."""
    arguments = [sys.executable, "-m", "outbound", *command]
    with forked.Popen(arguments, env=env, cwd=folder, stdout=stderr, stderr=stderr) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(_ENDS_S)


def up(world: World, folder: Path) -> dict[str, str]:
    ports = dict(zip(("WEB", "API", "SIMULATOR"), map(str, free_ports(3)), strict=True))
    settings = {"DATABASE_URL": world.url, "REDIS_URL": "memory://", "OUTBOUND_DATA_DIR": str(folder / "data")}
    return environment(settings | {f"OUTBOUND_{name}_PORT": port for name, port in ports.items()})


def opens(page: str, token: str) -> bool:
    try:
        form = {"sec-fetch-site": "same-origin"}
        answer = httpx.post(f"{page}sign-in", data={"token": token}, headers=form)
    except httpx.TransportError:
        return False  # it is starting
    return answer.status_code == 303 and answer.headers["location"] == "/page/"


def printed(line: str, said: str) -> str:
    """What stands behind a word at the begin of a line; '' before it is there."""
    found = re.search(rf"^{line} +(\S.*?)\r?$", said, re.M)
    return found[1] if found else ""


@pytest.mark.timeout(240)
def test_up_prints_on_a_terminal_where_the_page_is_and_a_token_that_opens_it(world: World, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with started(up(world, tmp_path), tmp_path, "up", stderr=theirs):
        said = b""
        while not printed("token", said.decode()):
            said += os.read(ours, 65536)
        page, token = printed("page", said.decode()), printed("token", said.decode())
        assert page.endswith("/page/")
        until(lambda: opens(page, token), _ENDS_S)
    os.close(theirs)
    os.close(ours)


@pytest.mark.timeout(240)
def test_up_prints_no_token_into_a_log(world: World, tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    with log.open("wb") as file, started(up(world, tmp_path), tmp_path, "up", stderr=file.fileno()):
        until(lambda: printed("token", log.read_text()), _ENDS_S)
    assert "outbound token add" in printed("token", log.read_text())
    assert "outb_" not in log.read_text()
    assert world.value("select count(*) from api_token") == 0


@pytest.mark.timeout(240)
def test_a_demo_that_is_kept_prints_where_its_page_is_and_a_token_that_opens_it(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="outbound-demo-"))  # whose path is short enough for a socket in it
    folder.chmod(0o755)
    log = tmp_path / "demo.log"
    try:
        with (
            log.open("wb") as file,
            started(environment({"OUTBOUND_DATA_DIR": str(folder)}), folder, "demo", "--keep", stderr=file.fileno()),
        ):
            until(lambda: printed("token", log.read_text()), 2 * _ENDS_S)
            page, token = printed("page", log.read_text()), printed("token", log.read_text())
            until(lambda: opens(page, token), _ENDS_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
