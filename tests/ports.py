"""Ports for servers of the tests."""

import pytest

from outbound.local.demo_place import ports_of_our_own


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens to at this moment."""
    with ports_of_our_own(count) as ports:
        return ports


def ports_for_up() -> dict[str, str]:
    """Settings with which `outbound up` finds its ports free, whatever else runs on this machine."""
    names = ("OUTBOUND_WEB_PORT", "OUTBOUND_API_PORT", "OUTBOUND_SIMULATOR_PORT")
    return dict(zip(names, map(str, free_ports(len(names))), strict=True))


def take_free_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `outbound up` find its ports free."""
    for name, port in ports_for_up().items():
        monkeypatch.setenv(name, port)
