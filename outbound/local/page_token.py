"""Switches the page on for a demo and for `outbound up`, and makes a token that opens it."""

from outbound import config
from outbound.rules import api_token
from outbound.settings_model import LOOPBACK, Settings

LIFE_DAYS = 1


def switch_on(settings: Settings) -> None:
    """Switch the page on where nobody has decided about it, and where nobody but this machine can reach it."""
    if "OUTBOUND_PAGE" not in config.environment() and settings.api_host in LOOPBACK:
        config.use(config.environment() | {"OUTBOUND_PAGE": "true"})


def address(settings: Settings) -> str | None:
    """The address at which a browser finds the page; None where it is off."""
    if not settings.page:
        return None
    return f"{settings.page_url or f'http://{settings.api_host}:{settings.api_port}'}/page/"


def make(name: str, *, actor: str) -> str:
    """Make a token of this name that may do everything for LIFE_DAYS; the ones of this name before it are revoked."""
    for row in api_token.every():
        if row.name == name and row.is_live:
            api_token.revoke(row.public_id, actor=actor)
    return api_token.add(name, scopes=api_token.SCOPES, life_days=LIFE_DAYS, actor=actor).token
