"""Supervises the processes of one machine: starts them, restarts one that dies, and stops all in order."""

import errno
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import IO

from outbound import config, logs, own_module
from outbound.errors import UserError
from outbound.processes.parent_death import die_with
from outbound.settings_model import Settings

log = logs.get("up")

STOP_S = 65  # a worker finishes the dials that it has begun: 45 s at most, and what it takes to write them down
_LONG_LIFE_S = 10  # a process that lived this long is started again at once
_WAIT_MAX_S = 30


class _Child:
    def __init__(self, name: str, arguments: list[str], output: IO[bytes] | None, more: dict[str, str]) -> None:
        self.name = name
        self._more = more
        self._arguments = arguments
        self._output = output
        self._wait_s = 0.5
        self.start()

    def start(self) -> None:
        self._started_at = time.monotonic()
        self.process = subprocess.Popen(
            own_module.command("outbound", *self._arguments),
            stdout=self._output,
            stderr=self._output,
            stdin=subprocess.DEVNULL,
            env=config.environment() | self._more,
            start_new_session=True,  # Ctrl-C reaches us alone: a second signal would make Dramatiq drop its dials
            preexec_fn=die_with(os.getpid(), signal.SIGTERM),  # noqa: PLW1509 (no threads yet)
        )

    def restart_if_dead(self) -> None:
        if self.process.poll() is None:
            return
        lived_s = time.monotonic() - self._started_at
        self._wait_s = 0.5 if lived_s > _LONG_LIFE_S else self._wait_s
        if lived_s < self._wait_s:
            return
        self._wait_s = min(self._wait_s * 2, _WAIT_MAX_S)
        log.warning("up.restart", process=self.name, exit_status=self.process.returncode)
        self.start()


class Processes:
    """
    Our own processes as children, by name: `{"web": ["web"]}`.  Use as a context: leaving it stops them all.

    Args:
        log_dir: where each writes NAME.log; without it they share our output.
        more: what they find in their environment beside ours.
    """

    def __init__(
        self, commands: dict[str, list[str]], log_dir: Path | None = None, more: dict[str, str] | None = None
    ) -> None:
        self._files = [(log_dir / f"{name}.log").open("ab") for name in commands] if log_dir else []
        outputs: list[IO[bytes] | None] = [*self._files] or [None] * len(commands)
        self._children = [
            _Child(name, arguments, output, more or {})
            for (name, arguments), output in zip(commands.items(), outputs, strict=True)
        ]

    def pids(self) -> dict[str, int]:
        """The process id of each."""
        return {child.name: child.process.pid for child in self._children}

    def tend(self) -> None:
        """Start again what has died; call it every second or so, from the main thread."""
        for child in self._children:
            child.restart_if_dead()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.process.terminate()
        deadline = time.monotonic() + STOP_S
        for child in self._children:
            try:
                child.process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("up.killed", process=child.name)
                child.process.kill()
                child.process.wait()
        for file in self._files:
            file.close()


def process_commands(*, simulator: bool, in_process: bool, api: bool = False) -> dict[str, list[str]]:
    """
    Return which processes one machine runs; with the in-process broker, one does what worker, scheduler and web do.
    """
    ours = (
        {"all": ["worker", "--with-web"]} if in_process else {name: [name] for name in ("worker", "scheduler", "web")}
    )
    beside = ["simulator"] * simulator + ["api"] * api
    return {name: [name] for name in beside} | ours


class PortTaken(UserError):
    """A port that is needed cannot be had; the message names it and what to do, and nothing was started."""


def require_ports(settings: Settings, *, simulator: bool) -> None:
    """
    Refuse to start where web, the API or the simulator could not listen: they would be started again and again.

    Raises:
        PortTaken: somebody else listens there, or nobody may.
    """
    wanted = [
        ("web", settings.web_host, settings.web_port, "OUTBOUND_WEB_PORT"),
        ("the API", settings.api_host, settings.api_port, "OUTBOUND_API_PORT"),
    ]
    if simulator:
        wanted.append(("the simulator", "127.0.0.1", settings.simulator_port, "OUTBOUND_SIMULATOR_PORT"))
    for place, (process, _, port, _) in enumerate(wanted):
        for other, _, other_port, setting in wanted[place + 1 :]:
            if port and port == other_port:
                raise PortTaken(f"{process} and {other} cannot share port {port}: set {setting}")
    faults = [fault for process, host, port, name in wanted if (fault := _port_fault(process, host, port, name))]
    if faults:
        raise PortTaken("\n".join(faults))


def _port_fault(process: str, host: str, port: int, setting: str) -> str | None:
    """Return why nobody can listen there, and what to do; None where one can."""
    if port == 0:
        return None
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return f"{process} cannot listen on {host}, which is no address of this host: set {_host_setting(setting)}"
    for family, kind, protocol, _, address in addresses:
        try:
            with socket.socket(family, kind, protocol) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
                listener.listen(1)
        except OSError as error:
            return _why_not(error, process, host, port, setting)
    return None


def _host_setting(port_setting: str) -> str:
    return port_setting.replace("_PORT", "_HOST")


def _why_not(error: OSError, process: str, host: str, port: int, setting: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host}, which {process} needs, is taken: end what listens there"
            f" (`ss -ltnp 'sport = :{port}'` shows it; another `outbound up`?), or set {setting} to another port"
        )
    if error.errno == errno.EACCES:
        return f"this user may not listen on port {port}, which {process} needs: set {setting} to one from 1024 on"
    what = f"set {_host_setting(setting)} to an address of this host"
    if process == "the simulator":
        what = f"set {setting} to another port"
    return f"{process} cannot listen on port {port} of {host} ({error.strerror}): {what}"
