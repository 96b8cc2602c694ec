"""The screens that the menu leads to, in its order, and what a token needs to see each."""

from collections.abc import Callable
from typing import NamedTuple

ROOT = "/page"


class Entry(NamedTuple):
    """A screen: the key of its name below `menu.`, where it is, and the scope that it needs."""

    key: str
    path: str
    scope: str
    of_all: bool = False

    @property
    def href(self) -> str:
        """Its address."""
        return ROOT + self.path


ENTRIES = (
    Entry("now", "/", "calls:read"),
    Entry("campaigns", "/campaigns", "calls:read"),
    Entry("calls", "/calls", "calls:read"),
    Entry("callees", "/callees", "calls:read"),
    Entry("leads", "/leads", "leads:read"),
    Entry("windows", "/windows", "calls:read"),
    Entry("control", "/control", "calls:read"),
    Entry("webhooks", "/webhooks", "webhooks"),
    Entry("tokens", "/tokens", "tokens"),
    Entry("health", "/health", "operator", of_all=True),
)


def address_of(key: str) -> str:
    """Where a screen of the menu is."""
    return next(entry.href for entry in ENTRIES if entry.key == key)


def entries(may: Callable[..., bool]) -> list[Entry]:
    """The screens that somebody may see."""
    return [entry for entry in ENTRIES if may(entry.scope, of_all=entry.of_all)]
