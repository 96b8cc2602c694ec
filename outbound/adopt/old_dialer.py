"""Set the old dialer's own keys aside, and give them back, all of one business at once."""

from collections.abc import Collection, Iterable

from redis import Redis
from redis.client import Pipeline

from outbound.adopt import old_keys, old_move
from outbound.adopt.old_keys import DialerKey, printable

# The old dialer's own, for where ours to remember was evicted: a call marked in flight for ever is never dialed again.
_LIFE_MS = {"inflight": 600_000, "queued": 3_600_000}


def by_business(keys: Iterable[DialerKey]) -> dict[int, list[DialerKey]]:
    """The keys of each business."""
    found: dict[int, list[DialerKey]] = {}
    for key in keys:
        found.setdefault(key.business_id, []).append(key)
    return found


def take(redis: Redis, prefix: bytes, keys: list[DialerKey]) -> int:
    """
    Set one business's keys aside; how many.

    Raises:
        OldRedisBusy: they change all the time.
    """
    ttl = prefix + b"ttl"

    def plan(pipeline: Pipeline) -> int:
        there = [one for one, of in zip(keys, _types(redis, keys), strict=True) if of == one.type]
        lives = old_move.lives(redis, [one.key for one in there])
        lists = _lists(pipeline, prefix, there)
        pipeline.multi()
        for one in there:
            aside = prefix + one.key
            saved, now = lists.get(one.key, ([], []))
            if one.type == b"set":
                pipeline.sunionstore(aside, [aside, one.key])
                pipeline.delete(one.key)
            elif saved:  # an earlier run with this stamp
                pipeline.delete(one.key)
                old_move.push(pipeline, aside, _new(now, saved))
            else:
                pipeline.rename(one.key, aside)
            pipeline.persist(aside)
        old_move.remember(pipeline, ttl, lives)
        return len(there)

    return old_move.at_once(redis, _watched(prefix, keys), plan)


def give(redis: Redis, prefix: bytes, keys: list[DialerKey], ended: Collection[bytes]) -> tuple[int, list[str]]:
    """
    Give one business's keys back, without the jobs that have *ended*.

    Returns:
        how many; and the names of those that have another type by now, so that they stay aside.

    Raises:
        OldRedisBusy: they change all the time.
    """
    left: list[str] = []

    def plan(pipeline: Pipeline) -> int:
        types = dict(zip(keys, _types(redis, keys), strict=True))
        back = [one for one in keys if types[one] in (one.type, b"none")]
        left[:] = [printable(one.key) for one in keys if one not in back]
        known = old_move.remembered(pipeline, prefix + b"ttl", [one.key for one in back])
        lists = _lists(pipeline, prefix, back)
        pipeline.multi()
        for one in back:
            aside = prefix + one.key
            if one.type == b"list":
                saved, now = lists[one.key]
                wanted = [each for each in saved if each not in ended] + _new(now, saved)
                old_move.put_back(pipeline, one.key, aside, wanted, saved)
            elif one.type == b"set":
                pipeline.sunionstore(one.key, [one.key, aside])
                pipeline.delete(aside)
                for page in old_move.pages(list(ended)):
                    pipeline.srem(one.key, *page)
            elif types[one] == b"none" and b"%d" % (one.job_id or 0) not in ended:
                pipeline.rename(aside, one.key)
            else:
                pipeline.delete(aside)
                continue  # it has begun again, or ended
            old_move.let_live(pipeline, one.key, known.get(one.key, _LIFE_MS.get(one.what, -1)))
        return len(back)

    return old_move.at_once(redis, _watched(prefix, keys), plan), left


def _watched(prefix: bytes, keys: Iterable[DialerKey]) -> list[bytes]:
    return [key for one in keys for key in (one.key, prefix + one.key)]


def _types(redis: Redis, keys: Iterable[DialerKey]) -> list[bytes]:
    return old_keys.types(redis, [one.key for one in keys])


def _lists(
    pipeline: Pipeline, prefix: bytes, keys: Iterable[DialerKey]
) -> dict[bytes, tuple[list[bytes], list[bytes]]]:
    """What is set aside of each list, and what it holds now."""
    return {
        one.key: tuple(old_move.members(pipeline, key, b"list") for key in (prefix + one.key, one.key))
        for one in keys
        if one.type == b"list"
    }


def _new(now: list[bytes], saved: list[bytes]) -> list[bytes]:
    """Return what came since; the old dialer lets a job wait once."""
    known = set(saved)
    return [each for each in now if each not in known]
