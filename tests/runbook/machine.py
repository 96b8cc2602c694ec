"""A Debian of our own, booted with its systemd in systemd-nspawn: no network but its loopback, gone afterwards."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests import ROOT

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "python3", "python3-venv", "postgresql", "redis-server", "redis-tools"),
    *("prometheus", "curl", "sudo", "procps", "ca-certificates", "iproute2"),
)
BOOT_S = 120
COMMAND_S = 180


class Done(NamedTuple):
    """How a command ended."""

    status: int
    output: str  # both streams
    seconds: float


def why_not() -> str | None:
    """Why no Debian can be booted here; None where it can be tried."""
    if os.geteuid() != 0:
        return "systemd-nspawn needs root"
    lacking = [name for name in ("systemd-nspawn", "debootstrap", "nsenter") if shutil.which(name) is None]
    return f"apt-get install systemd-container debootstrap util-linux (no {', '.join(lacking)})" if lacking else None


def prepare(base: Path) -> None:
    """
    Make the Debian that is booted, once, with the program installed as /opt/outbound; this takes some minutes.

    Raises:
        subprocess.CalledProcessError: there is no way to Debian's packages or to Python's.
    """
    if not base.exists():
        half = base.with_name(f"{base.name}.half")  # what another run did not finish
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        _run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm", half)
        half.rename(base)
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    if certificates.exists():
        shutil.copyfile(certificates, base / "etc/ssl/certs/ca-certificates.crt")
    for name in ("/etc/resolv.conf", "/etc/pip.conf"):
        if Path(name).exists():
            shutil.copyfile(name, base / name[1:])
    wheels = base / "srv" / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, ROOT)
    shutil.copyfile(ROOT / "requirements.lock", base / "srv" / "requirements.lock")
    pip = "/opt/outbound/bin/pip --disable-pip-version-check"
    install = (
        "test -x /opt/outbound/bin/pip || python3 -m venv /opt/outbound; "
        f"{pip} install --quiet --require-hashes -r /srv/requirements.lock && "
        f"{pip} install --quiet --no-deps --force-reinstall /srv/wheels/*.whl && "
        "ln -sf /opt/outbound/bin/outbound /usr/local/bin/outbound"
    )
    _run("chroot", base, "sh", "-c", install)


def _run(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout[-2000:] + done.stderr[-2000:])
        done.check_returncode()


class Machine:
    """
    A booted copy of *base*.  Use as a context: it is powered off and removed at the end.

    Raises:
        TimeoutError: systemd did not come up within BOOT_S seconds.
    """

    def __init__(self, base: Path, log: Path) -> None:
        self._base = base
        self._log = log

    def __enter__(self) -> "Machine":
        command = [
            "systemd-nspawn",
            "--quiet",
            "-D",
            str(self._base),
            "--volatile=overlay",
            "--register=no",
            "--keep-unit",
        ]
        command += ["--boot", "--console=pipe", "--private-network", "--machine=outbound-runbook"]
        self._output = self._log.open("wb")
        self._nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output)
        try:
            self._wait_until_booted()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_until_booted(self) -> None:
        deadline = time.monotonic() + BOOT_S
        while time.monotonic() < deadline and self._nspawn.poll() is None:
            self._init = self._find_init()
            if self._init and self.sh("systemctl is-system-running").output.strip() in ("running", "degraded"):
                return
            time.sleep(0.5)
        raise TimeoutError(f"systemd did not come up:\n{self._log.read_text(errors='replace')[-2000:]}")

    def _find_init(self) -> int | None:
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        for child in children:
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
        return None

    def sh(self, script: str, stdin: str = "", timeout_s: float = COMMAND_S) -> Done:
        """Run a script in bash, as root, with nothing in its environment but what root has after logging in."""
        command = ["nsenter", "--target", str(self._init), "--all", "--", "/usr/bin/env", "-i", "HOME=/root"]
        command += ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "TERM=dumb"]
        command += ["bash", "-c", f"cd /root; {script}"]
        began = time.monotonic()
        try:
            done = subprocess.run(
                command,
                input=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return Done(124, f"no end within {timeout_s:.0f} s: {error.stdout!r}", timeout_s)
        return Done(done.returncode, done.stdout, time.monotonic() - began)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside."""
        written = self.sh(f"install -D -m {mode:o} /dev/stdin {path}", stdin=text)
        assert written.status == 0, written.output

    def __exit__(self, *_: object) -> None:
        for signal_number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):  # power off, end at once, end
            if self._nspawn.poll() is None:
                self._nspawn.send_signal(signal_number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._nspawn.wait(5)
        self._output.close()
