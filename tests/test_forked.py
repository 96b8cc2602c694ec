"""What the tests start with tests/forked.py is a process like one that Python's own command line starts."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import forked

READ_ON = [sys.executable, "-m", "fileinput"]  # prints what it reads, as long as somebody writes


def started(*arguments: str, **options: Any) -> subprocess.Popen[Any]:
    pipe = subprocess.PIPE
    return forked.Popen([*READ_ON, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True, **options)


def test_it_is_our_child_and_imports_nothing_anew(tmp_path: Path) -> None:
    with started(cwd=tmp_path, env=os.environ | {"MARK": "here"}, start_new_session=True) as process:
        seen = psutil.Process(process.pid)
        assert seen.ppid() == os.getpid()
        assert "tests.forking" in seen.cmdline()
        assert seen.cwd() == str(tmp_path)
        assert os.getsid(process.pid) == process.pid
        process.terminate()
    assert process.returncode == -signal.SIGTERM


def test_its_streams_and_its_end_are_those_of_python_itself(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a line\n")

    def told(make: type[subprocess.Popen[Any]], file: str) -> tuple[str, str, int]:
        pipe = subprocess.PIPE
        process = make([*READ_ON, file], cwd=tmp_path, stdout=pipe, stderr=pipe, text=True)
        said, complaint = process.communicate(timeout=60)
        return said, complaint.rpartition("\n  ")[2], process.returncode

    assert told(forked.Popen, "file") == told(subprocess.Popen, "file")
    assert "a line" in told(forked.Popen, "file")[0]
    assert told(forked.Popen, "nowhere") == told(subprocess.Popen, "nowhere")
    assert told(forked.Popen, "nowhere")[2] == 1


@pytest.mark.parametrize("env", [{"PYTHONHASHSEED": "1"}, {"LC_ALL": "C"}])
def test_what_changes_how_python_starts_is_started_by_python(env: dict[str, str]) -> None:
    with started(env=os.environ | env) as process:
        assert "tests.forking" not in psutil.Process(process.pid).cmdline()
        process.kill()


def test_what_forks_ends_with_the_process_that_it_forks_for() -> None:
    program = "import sys, subprocess; from tests import forked; forked.Popen([sys.executable, '-m', 'fileinput'])"
    program = f"{program}; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        assert parent.stdout.readline()
        children = psutil.Process(parent.pid).children()
        parent.kill()
        parent.communicate()  # which ends what was forked
        _, alive = psutil.wait_procs(children, timeout=60)
    assert len(children) == 2
    assert alive == []
