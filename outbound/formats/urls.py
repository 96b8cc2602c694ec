"""URLs of servers and web pages: what is wrong with one, and how it is shown without its secrets."""

import re
from urllib.parse import SplitResult, urlsplit

from outbound.formats import plain_text, sentinel_url

_ESCAPE = (
    "has a character in its user or password that must be escaped, or a port that is no number:"
    " write %40 for @, %2F for /, %23 for #, %3F for ?"
)
_HOST = re.compile(r"(?:\[[^\[\]]*\]|[^:\[\]]*)(?::[0-9]*)?")
_PAIR = re.compile(r"([A-Za-z_]+)=[^@]*|(?:user|password|options|passfile|sslpassword|sentinel_password)=.*")
_LOGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s'\"<>]*)@")
_USER = re.compile(r"([\w.%-]*)(:.*)?")
_SECRET = re.compile(r"([?&][\w.-]*(?:pass|pw|secret|token|key|sig)[\w.-]*=)[^&\s'\"<>]*", re.IGNORECASE)


def fault(url: str, allowed: tuple[str, ...]) -> str | None:
    """
    Return why an address cannot be used, as a phrase that goes on from its name; it repeats no part of the address.

    Args:
        allowed: the schemes that it may have.
    """
    if not url.startswith(tuple(f"{scheme}://" for scheme in allowed)):
        return f"must start with {' or '.join(f'{scheme}://' for scheme in allowed)}"
    if re.search(r"%(?![0-9A-Fa-f]{2})", url):  # libpq's own error would repeat the password
        return "has a % that is not followed by two hex digits: write %25 for a percent sign"
    if unseen := plain_text.fault(url):
        return unseen
    if not login_is_readable(url):
        return _ESCAPE
    if sentinel_url.is_one(url):
        return _sentinel_fault(url)
    if "https" not in allowed:
        return None  # PostgreSQL's may name several hosts, which no parser here knows
    split = parts(url)
    if not (split and split.hostname) or split.query or split.fragment or " " in url or not url.isascii():
        return "must name a host, and have no space, ? or #"
    return None


def login_is_readable(url: str) -> bool:
    """
    Does every program find the same user, password, host and port in it?

    A password that holds an unescaped @, /, # or ? is cut there by most readers, and its rest is taken for a host, a
    port or a path, which their error messages repeat.
    """
    rest = url.partition("://")[2]
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    path, _, query = rest[len(authority) :].partition("?")
    login, _, hosts = authority.rpartition("@")
    return (
        "@" not in login
        and "@" not in path
        and "#" not in rest
        and all(map(_HOST.fullmatch, hosts.split(",")))
        and all(map(_PAIR.fullmatch, filter(None, query.split("&"))))
    )


def _sentinel_fault(url: str) -> str | None:
    try:
        sentinel_url.parse(url)
    except ValueError as wrong:
        return str(wrong)
    return None


def parts(url: str) -> SplitResult | None:
    """The parts of an address; None where it is none.  The error of urlsplit may repeat a password."""
    try:
        split = urlsplit(url)
        _ = split.port
    except ValueError:
        return None
    return split


def without_login(url: str) -> str:
    """One URL without its user and password: as it is asked for, and as the carrier signs it."""
    split = urlsplit(url)
    return split._replace(netloc=split.netloc.rpartition("@")[2]).geturl()


def without_password(text: str) -> str:
    """
    An address, or a text with some, as it may be shown.

    Whatever stands before the last @ is taken for the login, however it is written; the user is shown where it is one
    of a database or a broker, and written well.
    """
    return _SECRET.sub(r"\1…", _LOGIN.sub(_login_hidden, text)) if "://" in text else text


def _login_hidden(found: re.Match[str]) -> str:
    scheme, login = found.groups()
    user = None if scheme.lower().startswith("http") else _USER.fullmatch(login)
    if user is None:
        return f"{scheme}://…@"
    return f"{scheme}://{user[1]}{':…' if user[2] else ''}@"
