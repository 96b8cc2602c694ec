"""The address of a Redis that Sentinels look after: redis+sentinel://[user:password@]host1,host2/mymaster[/0]."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

SCHEMES = ("redis+sentinel", "rediss+sentinel")  # the second one with TLS, to the Sentinels too
_PORT = 26379
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
_OPTIONS = ("sentinel_username", "sentinel_password", *_TLS_OPTIONS)


@dataclass(frozen=True)
class SentinelUrl:
    """
    The parts of such an address.

    Attributes:
        sentinels: host and port of each; any one that answers is enough.
        service: the name under which they know the primary.
        db: number of the database on that server.
        login: `username` and `password` for the server, those that are given.
        sentinel_login: login of the Sentinels themselves; empty where they ask for none.
        tls: options of redis-py's TLS connection; None without TLS.
    """

    sentinels: tuple[tuple[str, int], ...]
    service: str
    db: int
    login: dict[str, str] = field(repr=False)
    sentinel_login: dict[str, str] = field(repr=False)
    tls: dict[str, str] | None


def is_one(url: str) -> bool:
    """Does this address name Sentinels?"""
    return url.startswith(tuple(f"{scheme}://" for scheme in SCHEMES))


def parse(url: str) -> SentinelUrl:
    """
    Read an address.

    Raises:
        ValueError: says what is wrong, and repeats no part of the address that may be secret.
    """
    scheme, _, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    login, _, hosts = authority.rpartition("@")
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(options.keys() - set(_OPTIONS))
    if unknown or "#" in url:
        raise ValueError(f"knows the options {', '.join(_OPTIONS)}; write %23 for # in a password")
    tls = {name: options[name] for name in _TLS_OPTIONS if name in options}
    if tls and scheme != "rediss+sentinel":
        raise ValueError("has options of TLS: let it start with rediss+sentinel://")
    username, _, password = login.partition(":")
    service, db = _target(path)
    return SentinelUrl(
        sentinels=tuple(_host(host) for host in hosts.split(",")),
        service=service,
        db=db,
        login=_login(unquote(username), unquote(password)),
        sentinel_login=_login(options.get("sentinel_username", ""), options.get("sentinel_password", "")),
        tls=tls if scheme == "rediss+sentinel" else None,
    )


def _login(username: str, password: str) -> dict[str, str]:
    return {name: value for name, value in (("username", username), ("password", password)) if value}


def _target(path: str) -> tuple[str, int]:
    service, _, db = path.rstrip("/").partition("/")
    if not service:
        raise ValueError("must name the primary as the Sentinels know it: redis+sentinel://host1,host2/mymaster")
    if not (db or "0").isascii() or not (db or "0").isdigit():
        raise ValueError("must end in the name of the primary, or in that and the number of a database: /mymaster/0")
    return unquote(service), int(db or 0)


def _host(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":") if text.rpartition("]")[2] else (text, "", "")
    if not colon:
        host, port = text, str(_PORT)
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536
    if not host or " " in host or not is_port:
        raise ValueError("must name each Sentinel as host or host:port, with commas between: host1:26379,host2:26379")
    return host, int(port)
