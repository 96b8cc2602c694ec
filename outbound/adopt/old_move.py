"""
Move keys of the old Redis aside and back, a few at once, so that a process that dies leaves them in one place.

A key goes to `outbound:adopted:<stamp>:<key>`.  There it has no time to live; `outbound:adopted:<stamp>:ttl` remembers
how long it had, and how long the hashes of jobs had.

MULTI/EXEC under WATCH, and no script: every user that RQ works for may run these commands, and reading a job safely
takes Python.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from redis import Redis, WatchError
from redis.client import Pipeline

from outbound.adopt import old_keys
from outbound.adopt.old_keys import PAGE, printable

TRIES = 100  # each reads only the jobs that came since the one before

_PREFIX = b"outbound:adopted:"
_STAMP = re.compile(r"[0-9A-Za-z_.-]{1,40}")
_ASIDE = re.compile(rb"outbound:adopted:([0-9A-Za-z_.-]{1,40}):.*", re.DOTALL)


class OldRedisBusy(RuntimeError):
    """A key changed each time that it was to be moved; it is as it was."""

    def __init__(self, key: bytes) -> None:
        super().__init__(
            f"{printable(key)} changes all the time: stop whatever adds jobs to it, and run the same command again"
        )


def prefix(redis: Redis, stamp: str) -> bytes:
    """
    Return what the names of the keys begin with that are set aside under *stamp*.

    Raises:
        ValueError: it is not 1 to 40 of 0-9 A-Z a-z _ . and -; or the client decodes what it reads.
    """
    old_keys.no_decoding(redis)
    if not _STAMP.fullmatch(stamp):
        raise ValueError("a stamp is 1 to 40 of 0-9 A-Z a-z _ . and -")
    return _PREFIX + stamp.encode() + b":"


def stamps(redis: Redis) -> list[str]:
    """The stamps under which something is set aside, those that sort last first."""
    old_keys.no_decoding(redis)
    found = (_ASIDE.fullmatch(key) for key in old_keys.scan(redis, _PREFIX + b"*"))
    return sorted({parts[1].decode() for parts in found if parts is not None}, reverse=True)


def at_once(redis: Redis, keys: Sequence[bytes], plan: Callable[[Pipeline], int]) -> int:
    """
    Run *plan* until nobody changed *keys* between its looks and its commands; what it returned.

    A plan reads, then calls multi() and adds commands; one that adds none changes nothing.

    Raises:
        OldRedisBusy: TRIES were in vain.
    """
    for _ in range(TRIES):
        with redis.pipeline() as pipeline:
            try:
                pipeline.watch(*keys)  # type: ignore[no-untyped-call]
                result = plan(pipeline)
                pipeline.execute()
            except WatchError:
                continue
            return result
    raise OldRedisBusy(keys[0])


def members(pipeline: Pipeline, key: bytes, of: bytes) -> Any:
    """All of a list, or of a sorted set with its scores, in order; nothing of any other type."""
    if of == b"list":
        return pipeline.lrange(key, 0, -1)
    return dict(pipeline.zrange(key, 0, -1, withscores=True)) if of == b"zset" else []  # type: ignore[arg-type]


def lives(redis: Redis, keys: Iterable[bytes]) -> dict[bytes, int]:
    """Return how long these keys have to live, in ms; -1: for ever, -2: they are gone."""
    asked = list(keys)
    return dict(zip(asked, old_keys.ask(redis, (("PTTL", key) for key in asked)), strict=True))


def remember(pipeline: Pipeline, ttl: bytes, found: dict[bytes, int]) -> None:
    """Keep how long these keys had to live."""
    for page in pages(list(found.items())):
        pipeline.hset(ttl, mapping=dict(page))


def remembered(pipeline: Pipeline, ttl: bytes, keys: Sequence[bytes]) -> dict[bytes, int]:
    """Return how long these keys had to live, in ms, -1: for ever; without those that were not set aside."""
    found: dict[bytes, int] = {}
    for page in pages(keys):
        lives = pipeline.hmget(ttl, page)
        found |= {key: int(life) for key, life in zip(page, lives, strict=True) if life is not None}
    return found


def let_live(pipeline: Pipeline, key: bytes, life_ms: int) -> None:
    """Give a key a time to live; none where it is negative."""
    if life_ms >= 0:
        pipeline.pexpire(key, max(life_ms, 1))


def push(pipeline: Pipeline, key: bytes, ids: Sequence[bytes]) -> None:
    """Put these at the end of a list, in order."""
    for page in pages(ids):
        pipeline.rpush(key, *page)


def put_back(pipeline: Pipeline, key: bytes, aside: bytes, wanted: Sequence[bytes], saved: Sequence[bytes]) -> None:
    """Let a list hold what is wanted, and nothing lie aside; *saved* is what does now."""
    if list(wanted) == list(saved):
        pipeline.rename(aside, key)
        return
    pipeline.delete(key, aside)
    push(pipeline, key, wanted)


def pages(items: Sequence[Any]) -> Iterator[list[Any]]:
    """Pieces of PAGE."""
    waiting = iter(items)
    while page := list(islice(waiting, PAGE)):
        yield page
