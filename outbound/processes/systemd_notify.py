"""Tells systemd of a process, and takes what systemd hands to it; where there is no systemd, nothing happens here."""

import os
import socket
import time

_LISTEN_FDS_START = 3  # fixed by systemd: sd_listen_fds(3)
_EVERY_S = 1  # a faster loop reports no more often than this

_said_at = float("-inf")


def at_work() -> None:
    """
    Say that a loop came round once more: up, where this is the first time, and not hung.

    Call it where work was done, or where it was honestly found that the database is away; never from a timer.
    """
    global _said_at  # noqa: PLW0603 (one process, one supervisor)
    if time.monotonic() - _said_at >= _EVERY_S:
        _said_at = time.monotonic()
        _send("READY=1", "WATCHDOG=1", "STATUS=at work")


def waiting(reason: str, at_most_s: float) -> None:
    """Say why we are not up yet, and that we look again within *at_most_s* seconds: systemd gives us that much more."""
    _send(f"STATUS={reason}", f"EXTEND_TIMEOUT_USEC={int(at_most_s * 1_000_000)}")


def stopping() -> None:
    """
    Say that we end what is in flight and go.

    systemd's watchdog goes on meanwhile and this feeds it for the last time: TimeoutStopSec must be less.
    """
    _send("STOPPING=1", "WATCHDOG=1", "STATUS=ending what is in flight")


def is_supervised() -> bool:
    """Does somebody listen?"""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def inherited_sockets() -> list[socket.socket]:
    """The sockets that systemd listens on for us (sd_listen_fds); our children do not inherit them."""
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()):
        return []
    sockets = [socket.socket(fileno=fd) for fd in range(_LISTEN_FDS_START, _LISTEN_FDS_START + count)]
    for inherited in sockets:
        inherited.set_inheritable(False)
    return sockets


def _send(*assignments: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # a name outside the file system
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            # A supervisor that is busy must not stop us; one sign lost is as good as none sent.
            sender.sendto("\n".join(assignments).encode(), socket.MSG_DONTWAIT, address)
        except OSError:
            return
