"""Finds out whether workers of RQ still live: nothing may be adopted while they take jobs."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis, RedisError

from outbound.adopt import old_keys
from outbound.adopt.old_keys import printable

SILENT_S = 420  # RQ's default: an idle worker sends its heartbeat before
_GRACE_S = 60  # RQ lets a worker's key live this much longer than the interval of its heartbeat

_WORKERS = b"rq:workers"
_WORKER = b"rq:worker:"
_EXECUTIONS = b":executions"  # what RQ 3 keeps beside each
_COMMANDS = b"rq:pubsub:"  # the channel on which a worker of RQ 1.6 and later listens for commands; its name follows


@dataclass(frozen=True)
class Living:
    """
    The processes that still work on the old queues; false where nothing does.

    Attributes:
        workers: names of workers that live, or whose last heartbeat cannot be read.
        busy: queues with jobs in progress, and how many; those of a worker that was killed stay until RQ cleans up.
    """

    workers: tuple[str, ...]
    busy: dict[str, int]

    def __bool__(self) -> bool:
        return bool(self.workers or self.busy)


def living_workers(redis: Redis) -> Living:
    """
    Look for workers of RQ 1 and 2 that live, by Redis' own clock.

    One lives while its last heartbeat is younger than SILENT_S or in the future, cannot be read, or its key still has
    so long to live that its next heartbeat is not due yet (`--worker-ttl`); or while its connection is there.  One that
    reported its death does not.

    Raises:
        ValueError: the client decodes what it reads.
        RedisError: the server cannot be asked.
    """
    old_keys.no_decoding(redis)
    seconds, microseconds = redis.time()
    now = seconds + microseconds / 1e6
    listening = _listening(redis)
    connected = _connected(redis) | listening
    unlisted = (key for key in old_keys.scan(redis, _WORKER + b"*") if not key.endswith(_EXECUTIONS))
    # Another worker takes one out of the list whose key was evicted; it goes on listening.
    keys = sorted({*_registered(redis), *unlisted, *(_WORKER + name for name in listening)})
    names = [printable(key.removeprefix(_WORKER)) for key in keys if _lives(redis, key, now, connected)]
    return Living(tuple(names), _busy(redis))


def _registered(redis: Redis) -> list[bytes]:
    if old_keys.types(redis, [_WORKERS]) != [b"set"]:
        return []
    return [key for key in redis.sscan_iter(_WORKERS) if key.startswith(_WORKER)]


def _lives(redis: Redis, key: bytes, now: float, connected: set[bytes]) -> bool:
    (of,) = old_keys.types(redis, [key])
    if of == b"none":
        return key.removeprefix(_WORKER) in connected  # a key may have been evicted
    if of != b"hash":
        return True
    (heartbeat, death), life_ms = old_keys.ask(redis, [("HMGET", key, "last_heartbeat", "death"), ("PTTL", key)])
    if death is not None:
        return False
    at = _moment(heartbeat)
    return at is None or now - at < SILENT_S or life_ms > _GRACE_S * 1000 or key.removeprefix(_WORKER) in connected


def _moment(text: Any) -> float | None:
    """Seconds since 1970; None where it cannot be read."""
    try:
        line = bytes(text).decode("ascii")
        moment = datetime.fromisoformat(line)  # with and without fractions, as RQ 1 and 2 write it
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        pass
    try:
        seconds = float(text)
    except (TypeError, ValueError):
        return None
    return seconds if math.isfinite(seconds) else None


def _connected(redis: Redis) -> set[bytes]:
    """The names of the connections, which RQ calls like its workers; none where our user may not ask."""
    return {name for name, _ in _connections(redis)}


def _listening(redis: Redis) -> set[bytes]:
    """
    The names of the workers of our database that listen for commands; none where our user may not ask.

    Channels are those of all databases of the server: a connection of that name must have chosen ours.
    """
    try:
        channels: list[Any] = redis.pubsub_channels(_COMMANDS.decode() + "*")
    except RedisError:
        return set()
    ours = str(redis.get_connection_kwargs().get("db") or 0)
    here = {name for name, database in _connections(redis) if database == ours}
    return {channel.removeprefix(_COMMANDS) for channel in channels} & here


def _connections(redis: Redis) -> list[tuple[bytes, str]]:
    """Name and database of each connection; none where our user may not ask."""
    try:
        clients = redis.client_list()
    except RedisError:
        return []
    return [(str(client.get("name", "")).encode(), str(client.get("db", ""))) for client in clients]


def _busy(redis: Redis) -> dict[str, int]:
    wip = [place for place in old_keys.places(redis) if place.where == "in progress"]
    of = old_keys.types(redis, [place.key for place in wip])
    there = [place for place, type_ in zip(wip, of, strict=True) if type_ == b"zset"]
    counts = old_keys.ask(redis, [("ZCARD", place.key) for place in there])
    return {place.queue: count for place, count in zip(there, counts, strict=True) if count}
