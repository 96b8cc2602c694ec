"""Decides to which network addresses a request to somebody else's server may go."""

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Beside what `is_global` of Python 3.11 refuses: it lets in NAT64, 6to4 and Teredo, which lead to IPv4 addresses,
# IPv4-compatible and site-local addresses, multicast, and the relays of 6to4.  After IANA's special-purpose registries.
_NOT_PUBLIC = [
    ipaddress.ip_network(text)
    for text in (
        *(
            "0.0.0.0/8",
            "100.64.0.0/10",
            "192.0.0.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
        *("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32"),
        *("2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
]
# Where clouds answer with credentials; no setting opens it.
_METADATA = [
    ipaddress.ip_network(text)
    for text in (
        *("169.254.0.0/16", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::/32", "fd20:ce::254/128"),
        "fe80::a9fe:a9fe/128",
    )
]
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
_TRANSLATED = ipaddress.ip_network("::ffff:0:0:0/96")
_NAT64 = [ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48")]
_SIXTOFOUR = ipaddress.ip_network("2002::/16")
_COMPATIBLE = ipaddress.ip_network("::/96")


def networks(text: str) -> list[Network]:
    """
    The networks of a list like "10.0.0.0/8, fd12::/16".

    Raises:
        ValueError: names the first part that is none.
    """
    found: list[Network] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(ipaddress.ip_network(part))
        except ValueError:
            raise ValueError(f"{part!r} is no network: write it like 10.0.0.0/8") from None
    return found


def parse(host: str) -> Address | None:
    """The address that a host name is, if it is one; with or without the brackets of a URL."""
    try:
        return ipaddress.ip_address(host.strip("[]").split("%")[0])
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Is it an address of the internet, which leads nowhere else?"""
    plain = _unmapped(address)
    is_known = plain.version == 4 or plain in _PUBLIC_IPV6
    return is_known and plain.is_global and not _is_in(plain, _NOT_PUBLIC)


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Is it in one of the networks that a setting opens?  Addresses of metadata services never are, in any writing."""
    plain = _unmapped(address)
    return not any(_is_in(each, _METADATA) for each in (plain, *_inner(plain))) and _is_in(plain, allowed)


def _is_in(address: Address, given: Sequence[Network]) -> bool:
    return any(address in network for network in given if network.version == address.version)


def _unmapped(address: Address) -> Address:
    """The IPv4 address that ::ffff:a.b.c.d is."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _inner(address: Address) -> list[Address]:
    """The IPv4 addresses to which an IPv6 address may be translated on its way."""
    if not isinstance(address, ipaddress.IPv6Address):
        return []
    found: list[Address] = []
    if any(address in network for network in (*_NAT64, _COMPATIBLE, _TRANSLATED)):
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _SIXTOFOUR and address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found += address.teredo
    return found
