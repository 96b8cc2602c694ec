"""Lets only our own pages send forms: what another site makes a browser send is refused."""

from urllib.parse import urlsplit

from starlette.requests import Request

from outbound.config import settings
from outbound.settings_model import LOOPBACK


def is_own_host(request: Request) -> bool:
    """Was this host asked for by a name that is ours?  A foreign name that leads here would make us its own site."""
    named = _hostname(f"//{request.headers.get('host', '')}")
    own = _hostname(settings().page_url or "")
    return named in LOOPBACK if own is None else named == own or named in LOOPBACK


def is_own_form(request: Request) -> bool:
    """Was this form sent by one of our pages?  Decided by Sec-Fetch-Site, and by Origin where a browser lacks it."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(request.headers.get("origin", ""))
    return bool(origin.netloc) and origin.netloc == request.headers.get("host")


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # brackets that close nothing
        return None
