"""Connections to Redis or Valkey: by one address or by Sentinels, and what a server that refuses us means."""

import re
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection, SentinelManagedSSLConnection

from outbound.formats import sentinel_url

_CONNECT_TIMEOUT_S = 2
_SENTINEL_TIMEOUT_S = 2  # they answer from memory; one that is slower is away, and the next one is asked


class Fault(NamedTuple):
    """
    The reason why no message gets through.

    Attributes:
        code: the server's own word, like READONLY; AWAY where it does not answer.
        text: what is so, to be read after "the broker".
        mend: what to do about it.
    """

    code: str
    text: str
    mend: str

    def __str__(self) -> str:
        """Return what is so, with the server's word for it."""
        return self.text if self.code == "AWAY" else f"{self.text} ({self.code})"


_A_REPLICA = ("is a replica, which takes no writes", "let REDIS_URL lead to the primary")
_NO_LOGIN = ("does not take our user or password", "set those of REDIS_URL to what the server knows")
_A_CLUSTER = ("is a Redis Cluster", "use one server, or Sentinel: Dramatiq's scripts do not work on a cluster")
FAULTS: dict[str, tuple[str, str]] = {
    "AWAY": ("does not answer", "start Redis or Valkey, or correct REDIS_URL"),
    "READONLY": _A_REPLICA,
    "MASTERDOWN": _A_REPLICA,
    "UNBLOCKED": _A_REPLICA,  # the answer to a blocked client when its server becomes a replica
    "OOM": ("is full", "give it memory, or see who else fills it; keep maxmemory-policy noeviction"),
    "MISCONF": ("takes no writes while it cannot save", "make room on its disk, and see its log"),
    "NOREPLICAS": ("has too few replicas to take writes", "bring them back, or lower min-replicas-to-write"),
    "LOADING": ("is still loading its data", "wait until it is done"),
    "BUSY": ("is busy with a script of somebody", "`script kill`, and find whose it is"),
    "NOPERM": ("does not allow our user what it needs", "give the user the line in ops/redis/outbound.acl"),
    "NOAUTH": _NO_LOGIN,
    "WRONGPASS": _NO_LOGIN,
    "MAXCLIENTS": ("has no connection left for us", "raise maxclients, or see who holds them"),
    "CLUSTERDOWN": _A_CLUSTER,
    "TRYAGAIN": _A_CLUSTER,
    "MOVED": _A_CLUSTER,
    "ASK": _A_CLUSTER,
    "CROSSSLOT": _A_CLUSTER,
}
_OTHER = ("refuses what we ask", "see its log, and what stands in front of it")
_TEXTS = {
    "max number of clients": "MAXCLIENTS",
    "can't run this command": "NOPERM",  # inside a script, up to Redis 6.2
    "can't access at least one of the keys": "NOPERM",
    "Authentication required": "NOAUTH",
    "invalid password": "WRONGPASS",
    "invalid username-password": "WRONGPASS",
}


class Refused(redis.ConnectionError):
    """
    The server answered, and did not do what it was asked; the connection is closed.

    A connection error, since the same is to be done: connect again, perhaps to another server, and try again later.
    All that we ever ask of it is fixed, so that any error that it answers is its own trouble.
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"the broker answers {code}")
        self.cause = code


def fault(error: BaseException) -> Fault:
    """Return what a failure of a command means."""
    code = error.cause if isinstance(error, Refused) else "AWAY"
    return Fault(code, *FAULTS.get(code, _OTHER))


def client(url: str, socket_timeout_s: float) -> redis.Redis:
    """
    A client of the server at *url*, or of the one that the Sentinels of *url* call the primary.

    Nothing is connected before the first command, and none is repeated.  A server that refuses a command gets no
    further one on the connections that there are: the next ones look its address up again.
    """
    options: dict[str, Any] = {
        "socket_timeout": socket_timeout_s,
        "socket_connect_timeout": _CONNECT_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),  # redis-py would try for 15 s; we look again at the next tick
    }
    pool = _sentinel_pool(url, options) if sentinel_url.is_one(url) else _pool(url, options)
    known = weakref.ref(pool)

    def drop_idle() -> None:
        found = known()
        if found is not None:
            found.disconnect(inuse_connections=False)

    pool.connection_kwargs["drop_idle"] = drop_idle
    return redis.Redis(connection_pool=pool)


def _pool(url: str, options: dict[str, Any]) -> redis.ConnectionPool:
    address = options | parse_url(url)  # type: ignore[no-untyped-call]
    return redis.ConnectionPool(**address | {"connection_class": _OURS[address.get("connection_class", Connection)]})


def _sentinel_pool(url: str, options: dict[str, Any]) -> redis.ConnectionPool:
    address = sentinel_url.parse(url)
    tls = address.tls or {}
    asking = options | {"socket_timeout": _SENTINEL_TIMEOUT_S} | address.sentinel_login | tls
    sentinels = Sentinel(  # type: ignore[no-untyped-call]
        list(address.sentinels), sentinel_kwargs=asking | {"ssl": address.tls is not None}
    )
    theirs = SentinelManagedConnection if address.tls is None else SentinelManagedSSLConnection
    return SentinelConnectionPool(  # type: ignore[no-untyped-call]
        address.service, sentinels, connection_class=_OURS[theirs], db=address.db, **options | address.login | tls
    )


class _Refusing:
    """Part of a connection: what the server refuses closes it, and is raised as Refused."""

    def __init__(self, *args: Any, drop_idle: Callable[[], None] | None = None, **options: Any) -> None:
        self._is_greeting = False
        self._drop_idle = drop_idle
        super().__init__(*args, **options)

    def connect_check_health(self, *args: Any, **options: Any) -> None:
        """Connect as redis.Connection does; a server may refuse the optional parts of the greeting (name, version)."""
        self._is_greeting = True
        try:
            super().connect_check_health(*args, **options)  # type: ignore[misc]
        except redis.RedisError as error:
            raise _refusal(error) or error from None
        finally:
            self._is_greeting = False

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Send commands as redis.Connection does."""
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]
        except redis.RedisError as error:
            refusal = None if self._is_greeting else _refusal(error)
            if refusal is None:
                raise
            self.disconnect()  # type: ignore[attr-defined]
            if self._drop_idle is not None:
                self._drop_idle()
            raise refusal from None


def _refusal(error: redis.RedisError) -> Refused | None:
    """An error that the server answered; None for any other, and for a script that it was not given yet."""
    if isinstance(error, Refused):
        return error
    if isinstance(error.__context__, redis.ReadOnlyError):  # Sentinel's connections put another one in its place
        return Refused("READONLY")
    if isinstance(error, redis.exceptions.NoScriptError) or not (
        isinstance(error, redis.ResponseError) or error.status_code
    ):
        return None
    text = f"{error.status_code or ''} {error}"
    for words, code in _TEXTS.items():
        if words in text:
            return Refused(code)
    # Scripts repeat what went wrong inside them, older servers at the end of a sentence of their own.
    found = [code for code in re.findall(r"\b[A-Z]{3,}\b", text) if code in FAULTS]
    first = re.match(r"\s*([A-Z]{2,20})\b", text)
    return Refused(found[0] if found else first[1] if first else "ERR")


_OURS: dict[type[Any], type[Any]] = {
    theirs: type(f"Refusing{theirs.__name__}", (_Refusing, theirs), {})
    for theirs in (
        Connection,
        SSLConnection,
        UnixDomainSocketConnection,
        SentinelManagedConnection,
        SentinelManagedSSLConnection,
    )
}
