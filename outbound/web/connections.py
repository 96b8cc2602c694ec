"""
Bounds how many connections there may be, in all and from one address; who has waited longest makes room for who comes.

First goes one without a whole head, then one that is not known to be let in, and last one whose body comes.
"""

from collections import Counter
from ipaddress import IPv6Address, ip_address
from itertools import chain
from typing import Protocol

_IPV6_PREFIX_BITS = 64  # what one subscriber has
_NO_HEAD, _HEAD, _LET_IN = range(3)  # in what order connections make room


class Connection(Protocol):
    """A connection that has not sent a whole request yet, or that has its answer."""

    def crowd_out(self) -> None:
        """End at once."""


class Connections:
    """
    The connections of one server.

    Args:
        most: in all.
        most_of_address: from one address that is not this host; behind a proxy on this host all are.
    """

    def __init__(self, most: int, most_of_address: int) -> None:
        self._most = most
        self._most_of_address = most_of_address
        self._addresses: dict[Connection, str | None] = {}
        self._of_address: Counter[str] = Counter()
        self._waiting: list[dict[Connection, None]] = [{}, {}, {}]  # for its request: by rank, the longest first

    def admit(self, connection: Connection, peer: str | None) -> str | None:
        """Let *connection* in, in place of another where there is no room; or say why not, in a metric's label."""
        address = _subscriber(peer)
        if address is not None and self._of_address[address] >= self._most_of_address:
            neighbours = (other for other in chain(*self._waiting) if self._addresses[other] == address)
            if not self._make_room(next(neighbours, None)):
                return "too_many_of_address"
        if len(self._addresses) >= self._most and not self._make_room(next(chain(*self._waiting), None)):
            return "too_many"
        self._addresses[connection] = address
        self._waiting[_NO_HEAD][connection] = None
        if address is not None:
            self._of_address[address] += 1
        return None

    def _make_room(self, longest: Connection | None) -> bool:
        if longest is None:
            return False
        self.forget(longest)
        longest.crowd_out()
        return True

    def has_head(self, connection: Connection) -> None:
        """The head of its request is complete."""
        self._wait(connection, _HEAD)

    def is_let_in(self, connection: Connection) -> None:
        """The head of its request shows a live token."""
        if connection in self._waiting[_HEAD]:
            self._wait(connection, _LET_IN)

    def is_answered(self, connection: Connection) -> None:
        """Its request is complete and is being answered: it keeps its place."""
        for rank in self._waiting:
            rank.pop(connection, None)

    def waits(self, connection: Connection) -> None:
        """It has its answer."""
        self._wait(connection, _NO_HEAD)

    def _wait(self, connection: Connection, rank: int) -> None:
        self.is_answered(connection)
        if connection in self._addresses:
            self._waiting[rank][connection] = None

    def forget(self, connection: Connection) -> None:
        """It is over."""
        self.is_answered(connection)
        address = self._addresses.pop(connection, None)
        if address is not None:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]


def _subscriber(peer: str | None) -> str | None:
    """The address, in IPv6 the network, by which connections are counted; None for this host and its sockets."""
    try:
        address = ip_address((peer or "").partition("%")[0])
    except ValueError:
        return None  # a Unix socket
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return _subscriber(str(address.ipv4_mapped))
        if not address.is_loopback:
            return str(IPv6Address(int(address) >> _IPV6_PREFIX_BITS << _IPV6_PREFIX_BITS))
    return None if address.is_loopback else str(address)
