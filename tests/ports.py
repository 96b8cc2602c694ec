"""Ports for servers of the tests."""

from outbound.local.demo_place import ports_of_our_own


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens to at this moment."""
    with ports_of_our_own(count) as ports:
        return ports
