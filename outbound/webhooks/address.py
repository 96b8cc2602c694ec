"""Decides where webhooks may be sent: by what an endpoint's address says, and by what its name leads to."""

import re
from collections.abc import Sequence
from urllib.parse import SplitResult

from outbound.formats import network_addresses, plain_text, urls
from outbound.formats.network_addresses import Address, Network

URL_MAX = 2000  # characters
HTTPS_PORT = 443
REFUSED = "webhooks may not be sent to this address: OUTBOUND_WEBHOOK_ALLOW opens networks of your own"

_HTTP_PORT = 80
_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]")


def fault(url: str, allowed: Sequence[Network]) -> str | None:
    """
    Say what is wrong with the address of an endpoint; None where nothing is.

    The addresses that its name leads to are checked at each connection, by `may_go`.

    Args:
        allowed: the networks that are open to it, beside the internet.
    """
    parts = urls.parts(url) if len(url) <= URL_MAX and not plain_text.fault(url) and url.isascii() else None
    if parts is None or parts.scheme not in ("https", "http") or not parts.hostname or " " in url:
        return f"an endpoint is an address like https://example.com/events, {URL_MAX} characters at most"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "leave user, password and # out of the address: what is sent is signed"
    if not _HOST.fullmatch(parts.netloc.rpartition(":")[0] if parts.port else parts.netloc):
        return "the address has no valid host: write it like https://example.com/events"
    if not allowed and (parts.scheme != "https" or parts.port not in (None, HTTPS_PORT)):
        return "an endpoint is https:// on port 443; OUTBOUND_WEBHOOK_ALLOW opens networks of your own"
    return None if is_open(parts, allowed) else REFUSED


def is_open(parts: SplitResult, allowed: Sequence[Network]) -> bool:
    """May it go to this address, as far as the address itself says?  A host may be a name, or an address."""
    port = parts.port or (HTTPS_PORT if parts.scheme == "https" else _HTTP_PORT)
    if parts.scheme == "http" and port == HTTPS_PORT:
        return False  # public addresses are open on this port, and nothing goes there that others can read
    address = network_addresses.parse(parts.hostname or "")
    return address is None or may_go(address, port, allowed)


def may_go(address: Address, port: int, allowed: Sequence[Network]) -> bool:
    """May it go to this address of a network?  To the internet on HTTPS_PORT alone."""
    if network_addresses.is_allowed(address, allowed):
        return True
    return port == HTTPS_PORT and network_addresses.is_public(address)
