"""Does the broker take nudges, keep them, and agree about the time?"""

import re
from typing import Any

from outbound import broker
from outbound.broker.redis_client import Refused
from outbound.checks.clock import clock
from outbound.checks.finding import Check, Result, fail, ok, warn

_REDIS_MIN = (6, 2)


def _client() -> Any:
    """The connection to Redis; None for the broker inside a process."""
    return getattr(broker.current(), "client", None)


def _broker() -> Result:
    client = _client()
    if client is None:
        return warn("inside one process", "set REDIS_URL to run on more than one process or host")
    found = broker.fault()
    if found is not None:
        return fail(str(found), found.mend)
    info = _info(client)
    if info is None:
        return _unseen("it takes and gives messages; its version was not looked at")
    version = str(info.get("redis_version", "0"))
    number = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if number < _REDIS_MIN:
        return fail(f"Redis {version}", "upgrade it to 6.2 or newer, or use Valkey")
    if info.get("cluster_enabled"):
        return fail("a Redis Cluster", "use one server, or Sentinel: Dramatiq's scripts do not work on a cluster")
    valkey = info.get("valkey_version")
    return ok(f"Valkey {valkey}" if valkey else f"Redis {version}")


def _info(client: Any) -> Any:
    """Return what the server says of itself; None where our user may not ask, which nothing else needs."""
    try:
        return client.info()
    except Refused as refusal:
        if refusal.cause == "NOPERM":
            return None
        raise


def _unseen(text: str) -> Result:
    return warn(f"{text}: this user may not run INFO", "nothing, or let it: `acl setuser … +info`")


def _broker_policy() -> Result:
    client = _client()
    if client is None:
        return ok("noeviction")
    info = _info(client)
    if info is None:
        return _unseen("maxmemory-policy was not looked at")
    policy = info.get("maxmemory_policy")
    if policy is None:  # some hosted servers do not tell
        return warn("the server does not tell its maxmemory-policy", "make sure that it is noeviction")
    if policy != "noeviction":
        return fail(
            f"maxmemory-policy is {policy}: nudges can vanish",
            "`config set maxmemory-policy noeviction`, and in its configuration file too",
        )
    return ok("noeviction")


def _broker_clock() -> Result:
    client = _client()
    if client is None:
        return ok("this process's own")

    def read() -> float:
        seconds, microseconds = client.time()
        return float(seconds) + float(microseconds) / 1e6

    try:
        return clock("the broker", read)
    except Refused as refusal:
        if refusal.cause != "NOPERM":
            raise
        return warn("not looked at: this user may not run TIME", "nothing, or let it: `acl setuser … +time`")


CHECKS = (
    Check("broker", _broker),
    Check("broker policy", _broker_policy, ("broker",)),
    Check("broker clock", _broker_clock, ("broker",)),
)
