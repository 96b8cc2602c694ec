"""
Make the virtual environment that a target of the Makefile needs, and show how far that is.

    python ops/make_venv.py VENV STAMP [--project] LOCK...

VENV is made, the packages of each LOCK are installed in it, then the project itself, and STAMP is touched.  Of several
that run at once on one VENV, one works and the others wait for it.  What pip prints is in VENV/pip.log; where it fails,
one line says why and what to do.  Standard library only: nothing is installed yet.
"""

import argparse
import fcntl
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

LINE_EVERY_S = 5  # without a terminal: how often a line says how far it is
RETRIES = "2"  # pip's own are 5, each with a longer wait and a line of its own

_NO_NETWORK = (
    r"NameResolutionError|ConnectionError|ConnectTimeout|ReadTimeout|timed out|Connection (refused|reset|aborted)"
    r"|unreachable|name resolution|Name or service not known|Connection broken"
)
# What pip's log holds, and what it means.  The first that is found counts: a retry that went well is in the log too.
CAUSES = (
    (r"No space left on device|Disk quota exceeded", "the disk is full", "make room"),
    (r"Read-only file system", "the directory is on a read-only file system", "work in a copy that can be written"),
    (r"ermission denied", "a file cannot be written", "let this user own the directory, or work in a copy"),
    (
        r"DO NOT MATCH THE HASHES",
        "a package is not the one that the lock names",
        "do not install it: ask the people who run your package index, or take another one (PIP_INDEX_URL)",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "the certificate of the package index is not trusted here",
        "name your network's certificates (PIP_CERT=/path/to/ca.pem)",
    ),
    (
        r"ProxyError|Tunnel connection failed",
        "the proxy does not let us through to the package index",
        "correct HTTPS_PROXY",
    ),
    (r"\b40[137] (Client )?(Error|Unauthorized|Forbidden)", "the package index refuses us", "correct PIP_INDEX_URL"),
    (
        _NO_NETWORK,
        "the package index cannot be reached",
        (
            "connect to the network, or name a mirror (PIP_INDEX_URL) or a folder of wheels (PIP_NO_INDEX=1 "
            "PIP_FIND_LINKS=/path)"
        ),
    ),
    (
        r"No matching distribution found for (?P<name>\S+)",
        "the package index has no file of {name} for this Python on this machine",
        "take another Python (make PYTHON=python3.12 …) or another index (PIP_INDEX_URL)",
    ),
)


class CannotInstall(Exception):
    """The environment cannot be made; the message is one line, with what to do."""


class Progress:
    """A line that moves on a terminal; without one, a line for each step and one every few seconds."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._moves = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._began = self._said_at = time.monotonic()

    def step(self, text: str) -> None:
        """Something new has begun."""
        self._say(text)

    def going_on(self, text: str) -> None:
        """The same as before, and how far it is."""
        if self._moves or time.monotonic() >= self._said_at + LINE_EVERY_S:
            self._say(text)

    def end(self, text: str) -> None:
        """Leave a last line."""
        self._say(text)
        if self._moves:
            print(file=sys.stderr)

    def _say(self, text: str) -> None:
        self._said_at = time.monotonic()
        line = f"{self._name} {self._said_at - self._began:4.0f} s  {text}"
        if self._moves:
            width = shutil.get_terminal_size().columns - 1
            line = f"\r{line[:width]:{width}}"
        print(line, end="" if self._moves else "\n", file=sys.stderr, flush=True)


def main() -> int:
    """Run from the Makefile; the exit status is 0 only if all is there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("venv", type=Path)
    parser.add_argument("stamp", type=Path)
    parser.add_argument("--project", action="store_true")
    parser.add_argument("locks", type=Path, nargs="+")
    given = parser.parse_args()
    progress = Progress(str(given.venv))
    try:
        with alone(given.venv, progress) as lock:
            if not is_fresh(given.stamp, [*given.locks, Path("pyproject.toml")]):
                install(given.venv, given.locks, progress, lock, project=given.project)
                given.stamp.touch()
                progress.end("ready")
    except KeyboardInterrupt:
        progress.end("interrupted; the next `make` goes on from here")
        return 130
    except (CannotInstall, OSError) as error:
        progress.end("failed")
        print(f"outbound: {error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def alone(venv: Path, progress: Progress) -> Iterator[int]:
    """Wait until nobody else makes this environment.  A process that inherits the descriptor keeps others out, too."""
    venv.mkdir(parents=True, exist_ok=True)
    lock = os.open(venv, os.O_RDONLY)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress.going_on("another `make` is setting it up; waiting for that")
                time.sleep(0.2)
        yield lock
    finally:
        os.close(lock)


def is_fresh(stamp: Path, sources: list[Path]) -> bool:
    """Whether somebody else has just made it; by what `make` goes by."""
    return stamp.exists() and all(stamp.stat().st_mtime >= source.stat().st_mtime for source in sources)


def install(venv: Path, locks: list[Path], progress: Progress, lock: int, *, project: bool) -> None:
    """Make the environment and install the packages in it."""
    progress.step(f"making a virtual environment of Python {sys.version.split()[0]}")
    log = venv / "pip.log"
    log.write_text("")
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True, check=False, pass_fds=[lock]
    )
    if made.returncode != 0:
        log.write_text(made.stdout + made.stderr)
        if "ensurepip" in made.stdout + made.stderr:
            raise CannotInstall(
                "this Python cannot make virtual environments: on Debian and Ubuntu, install python3-venv"
            )
        raise CannotInstall(explained(log))
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    names = [word for one in locks for word in ("-r", str(one))]
    run_pip([*pip, "--require-hashes", *names], packages_in(locks), log, progress, lock)
    if project:
        progress.step("installing outbound itself")
        run_pip([*pip, "--no-deps", "--no-build-isolation", "-e", "."], set(), log, progress, lock)


def packages_in(locks: list[Path]) -> set[str]:
    """Whose versions the locks name, those for other systems too."""
    return {
        found for lock in locks for found in re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[.*?\])?==", lock.read_text(), re.M)
    }


def run_pip(command: list[str], wanted: set[str], log: Path, progress: Progress, lock: int) -> None:
    """Run pip and show what it does, as far as its words and the files it has made say."""
    env = {"PIP_RETRIES": RETRIES, "PIP_DISABLE_PIP_VERSION_CHECK": "1"} | os.environ | {"PYTHONUNBUFFERED": "1"}
    count = Count(len(wanted), Path(command[0]).parents[1])
    reader, writer = os.pipe()
    with log.open("a") as file, os.fdopen(reader, "rb", buffering=0) as said:
        pip = subprocess.Popen(command, stdout=writer, stderr=writer, env=env, pass_fds=[lock])
        os.close(writer)
        for line in lines_of(said, lambda: progress.going_on(count.text())):
            file.write(line)
            file.flush()
            count.read(line)
    if pip.wait() != 0:
        raise CannotInstall(explained(log))


def lines_of(said: FileIO, meanwhile: Callable[[], None]) -> Iterator[str]:
    """Each line of pip's; it is silent for long while it fetches a large file, and while it unpacks."""
    rest = ""
    while True:
        if select.select([said], [], [], 0.5)[0]:
            text = said.read(65536)
            if not text:
                break
            *lines, rest = (rest + text.decode(errors="replace")).split("\n")
            yield from (f"{line}\n" for line in lines)
        meanwhile()
    yield rest


class Count:
    """How far pip is."""

    def __init__(self, wanted: int, venv: Path) -> None:
        self._wanted = wanted
        self._venv = venv
        self._seen: set[str] = set()
        self._now = ""
        self._to_install = 0
        self._before = 0

    def read(self, line: str) -> None:
        """Take in one line of pip's."""
        if re.match(r"\s*Ignoring (\S+): markers", line):
            self._wanted -= 1
        elif found := re.match(r"\s*(?:Collecting|Requirement already satisfied:) ([\w.-]+)", line):
            self._now = found[1]
            self._seen.add(found[1].lower().replace("_", "-"))
        elif found := re.match(r"\s*(?:Downloading|Using cached) (\S+) \((.*)\)", line):
            self._now = f"{Path(found[1]).name.split('-')[0]} ({found[2]})"
        elif found := re.match(r"Installing collected packages: (.*)", line):
            self._to_install = len(found[1].split(","))
            self._before = self._installed()

    def text(self) -> str:
        """What to show."""
        if self._to_install:
            return f"unpacked {self._installed() - self._before} of {self._to_install} packages"
        return (
            f"fetched {len(self._seen)} of {self._wanted} packages: {self._now}" if self._now else "asking for packages"
        )

    def _installed(self) -> int:
        return sum(1 for _ in self._venv.glob("lib/python*/site-packages/*.dist-info"))


def explained(log: Path) -> str:
    """Why it failed and what to do, in one line."""
    text = log.read_text(errors="replace")
    for pattern, what, mend in CAUSES:
        if found := re.search(pattern, text):
            return f"{what.format(**found.groupdict())}: {mend}, then the same again; pip's own words are in {log}"
    errors = (
        re.findall(r"^(?:ERROR|error): (.*)$", text, re.M)
        or re.findall(r"^\s*\w*Error: .*$", text, re.M)
        or text.split("\n")[-2:-1]
        or ["it said nothing"]
    )
    return f"pip failed: {errors[-1]}; its own words are in {log}"


if __name__ == "__main__":
    sys.exit(main())
