"""Set the jobs of ours in RQ's queues aside, and give them back; the jobs of others keep their order throughout."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

from redis import Redis
from redis.client import Pipeline

from outbound.adopt import old_keys, old_move
from outbound.adopt.old_job import OldJob
from outbound.adopt.old_keys import JOB, QUEUES, Place

MOVED = ("queue", "intermediate", "scheduled")  # from where a worker of RQ takes jobs by itself
DONE_MS = 500_000  # a done job that had no time to live gets the one that RQ gives to results

_OURS = frozenset({"lead", "lead of no call", "lead of several calls", "nudge"})

Mine = Callable[[OldJob], bool]


class Ours:
    """The jobs that are to be set aside; each is read once, however often a queue must be looked at."""

    def __init__(self, redis: Redis, mine: Mine | None) -> None:
        self._redis = redis
        self._mine = mine
        self._known: dict[bytes, bool] = {}

    def among(self, ids: Iterable[bytes]) -> set[bytes]:
        """Those of *ids* that are."""
        unread = list(dict.fromkeys(each for each in ids if each not in self._known))
        for page in old_move.pages(unread):
            for job_id, job in zip(page, old_keys.read_jobs(self._redis, page), strict=True):
                self._known[job_id] = job is not None and job.kind in _OURS and (self._mine is None or self._mine(job))
        return {each for each in ids if self._known[each]}


def take(redis: Redis, prefix: bytes, place: Place, ours: Ours) -> int:
    """
    Set the jobs of ours in one place aside.

    The whole list is renamed, and the others' ids are put back: it keeps where ours stood among them.

    Returns:
        how many.

    Raises:
        OldRedisBusy: jobs are added all the time.
    """
    aside, ttl = prefix + place.key, prefix + b"ttl"

    def plan(pipeline: Pipeline) -> int:
        if old_keys.types(redis, [place.key]) != [place.type]:
            return 0
        found = old_move.members(pipeline, place.key, place.type)
        taken = ours.among(found)
        if not taken:
            return 0
        saved = old_move.members(pipeline, aside, place.type)
        known = old_move.remembered(pipeline, ttl, [JOB + each for each in {*taken, *saved}])
        lives = old_move.lives(redis, [JOB + each for each in taken])
        pipeline.multi()
        if place.type == b"zset":
            for page in old_move.pages(list(taken)):
                pipeline.zadd(aside, {each: found[each] for each in page})
                pipeline.zrem(place.key, *page)
        else:
            if saved:  # an earlier run with this stamp
                whole = merged(saved, found, {each for each in saved if JOB + each in known})
                pipeline.delete(place.key, aside)
                old_move.push(pipeline, aside, whole)
            else:
                pipeline.rename(place.key, aside)
            old_move.push(pipeline, place.key, [each for each in found if each not in taken])
        # One that lives for ever now may do so since an earlier place of the same job.
        further = {key: life for key, life in lives.items() if life >= 0 or key not in known}
        old_move.remember(pipeline, ttl, further)
        for key in further:
            pipeline.persist(key)
        return sum(each in taken for each in found)

    return old_move.at_once(redis, [place.key, aside, ttl], plan)


def give(redis: Redis, prefix: bytes, place: Place, done: Collection[bytes]) -> int | None:
    """
    Give back what lies aside from one place, before what has come since, without the jobs that are *done*.

    Returns:
        how many jobs of ours; None where the key has another type by now, so that nothing was done.

    Raises:
        OldRedisBusy: jobs are added all the time.
    """
    aside, ttl = prefix + place.key, prefix + b"ttl"

    def plan(pipeline: Pipeline) -> int:
        of, list_of_queues = old_keys.types(redis, [place.key, QUEUES])
        if of not in (place.type, b"none"):
            return -1
        saved = old_move.members(pipeline, aside, place.type)
        now = old_move.members(pipeline, place.key, place.type)
        known = old_move.remembered(pipeline, ttl, [JOB + each for each in dict.fromkeys(saved)])
        known = known or _still_to_do(redis, saved)
        back = {each for each in saved if JOB + each in known and each not in done}
        lasting = [key for key, life in old_move.lives(redis, known).items() if life == -1]
        pipeline.multi()
        if place.type == b"list":
            old_move.put_back(pipeline, place.key, aside, merged(saved, now, back), saved)
        else:
            for page in old_move.pages(list(back)):
                pipeline.zadd(place.key, {each: saved[each] for each in page}, nx=True)
            pipeline.delete(aside)
        if place.where == "queue" and back and list_of_queues in (b"set", b"none"):
            pipeline.sadd(QUEUES, place.key)
        for key in lasting:
            is_done = key.removeprefix(JOB) in done
            old_move.let_live(pipeline, key, DONE_MS if is_done and known[key] < 0 else known[key])
        return sum(each in back for each in saved)

    given = old_move.at_once(redis, [place.key, aside, ttl], plan)
    return None if given < 0 else given


def _still_to_do(redis: Redis, ids: Iterable[bytes]) -> dict[bytes, int]:
    """Return what must be ours where the server evicted what we remembered: nobody did it; it lives for ever now."""
    keys = [JOB + each for each in ids]
    hashes = [key for key, of in zip(keys, old_keys.types(redis, keys), strict=True) if of == b"hash"]
    states = old_keys.ask(redis, [("HGET", key, "status") for key in hashes])
    return {key: -1 for key, state in zip(hashes, states, strict=True) if state in (b"queued", b"scheduled")}


def merged(saved: Sequence[bytes], now: Sequence[bytes], back: Collection[bytes]) -> list[bytes]:
    """Return what was set aside in its order, without those of others that are gone, then what has come since."""
    left = Counter(now)
    placed: Counter[bytes] = Counter()
    first: list[bytes] = []
    for each in saved:
        if placed[each] < left[each]:
            placed[each] += 1
            first.append(each)
        elif each in back:
            first.append(each)
    since: list[bytes] = []
    for each in now:
        if placed[each]:
            placed[each] -= 1
        else:
            since.append(each)
    return first + since
