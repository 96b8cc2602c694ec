"""Ports for servers of the tests."""

import pytest

from outbound.local.demo_place import ports_of_our_own


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens to at this moment."""
    with ports_of_our_own(count) as ports:
        return ports


def take_free_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `outbound up` find its ports free, whatever else runs on this machine."""
    names = ("OUTBOUND_WEB_PORT", "OUTBOUND_API_PORT", "OUTBOUND_SIMULATOR_PORT")
    for name, port in zip(names, free_ports(len(names)), strict=True):
        monkeypatch.setenv(name, str(port))
