"""Reads, sets aside and gives back what lies in the old system's Redis; nothing in it is ever run."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from redis import Redis, RedisError

from outbound.adopt import old_dialer, old_keys, old_move, old_queues
from outbound.adopt.old_job import OldJob, read_job
from outbound.adopt.old_keys import DialerKey, Place, jobs, places
from outbound.adopt.old_move import OldRedisBusy, stamps
from outbound.adopt.old_queues import Mine
from outbound.adopt.old_workers import Living, living_workers

__all__ = [
    "Counts", "Dialer", "Living", "Mine", "Moved", "OldJob", "OldRedis", "OldRedisBusy", "Place", "give_back", "jobs",
    "jobs_aside", "living_workers", "of_calls", "places", "read", "read_job", "set_aside", "stamps",
]  # fmt: skip

FUNCTIONS_MAX = 200  # different names that are counted apart
_OTHER_FUNCTIONS = "(other functions)"


@dataclass
class Counts:
    """
    The jobs of one place.

    Attributes:
        kinds: how many of each kind; `missing`: the queue has an id whose hash has expired.
        functions: how many of each function that is not ours.
        refusals: how many could not be read, by code (see old_job.REFUSALS).
    """

    kinds: Counter[str] = field(default_factory=Counter)
    functions: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)

    def add(self, job: OldJob | None) -> None:
        """Count one more; None is one whose hash has expired."""
        self.kinds["missing" if job is None else job.kind] += 1
        if job is not None and job.refusal is not None:
            self.refusals[job.refusal] += 1
        elif job is not None and job.kind == "other":
            name = job.function or ""
            is_known = name in self.functions or len(self.functions) < FUNCTIONS_MAX
            self.functions[name if is_known else _OTHER_FUNCTIONS] += 1


@dataclass
class Dialer:
    """
    The old dialer's own keys of one business: ids of outbound_call_jobs.

    Attributes:
        waiting: in the order in which they wait.
        queued, slots, inflight: as the old dialer uses them, in order of the ids.
        odd: entries that are no ids.
    """

    waiting: list[int] = field(default_factory=list)
    queued: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    inflight: list[int] = field(default_factory=list)
    odd: int = 0


@dataclass
class OldRedis:
    """
    The content of the old system's Redis.

    Attributes:
        places: each list and sorted set of RQ with jobs in it.
        dialer: the old dialer's own keys, by business.
        odd_keys: names of keys of another type than they should be; they are left alone.
        may_evict: whether the server drops keys when it is full, those set aside too; None: it does not say.
    """

    places: dict[Place, Counts] = field(default_factory=dict)
    dialer: dict[int, Dialer] = field(default_factory=dict)
    odd_keys: list[str] = field(default_factory=list)
    may_evict: bool | None = None


@dataclass
class Moved:
    """
    The result of one run of set_aside or give_back.

    Attributes:
        jobs: jobs of ours that were moved, by the key that they lie in.
        keys: keys of the old dialer that were moved, by business.
        left: keys that stay aside, since another one of another type has their name now.
    """

    jobs: Counter[str] = field(default_factory=Counter)
    keys: Counter[int] = field(default_factory=Counter)
    left: list[str] = field(default_factory=list)


def read(redis: Redis) -> OldRedis:
    """
    Count what lies there; nothing is changed and nothing in it is run.

    Jobs are read in pages; only ids of the old dialer are kept.

    Raises:
        ValueError: the client decodes what it reads.
        RedisError: the server cannot be asked.
    """
    old_keys.no_decoding(redis)
    found = OldRedis(may_evict=_may_evict(redis))
    there = old_keys.places(redis)
    for place, of in zip(there, old_keys.types(redis, [one.key for one in there]), strict=True):
        if of not in (place.type, b"none"):
            found.odd_keys.append(old_keys.printable(place.key))
            continue
        counts = Counts()
        for _, job in old_keys.jobs(redis, place):
            counts.add(job)
        if counts.kinds:
            found.places[place] = counts
    dialer = old_keys.dialer_keys(redis)
    for key, of in zip(dialer, old_keys.types(redis, [one.key for one in dialer]), strict=True):
        if of == key.type:
            _add(redis, found.dialer.setdefault(key.business_id, Dialer()), key)
        elif of != b"none":
            found.odd_keys.append(old_keys.printable(key.key))
    for of_business in found.dialer.values():
        for ids in (of_business.queued, of_business.slots, of_business.inflight):
            ids.sort()
    return found


def _add(redis: Redis, dialer: Dialer, key: DialerKey) -> None:
    if key.job_id is not None:
        dialer.inflight.append(key.job_id)
        return
    for page in old_keys.entries(redis, key):
        ids = [int(entry) for entry in page if entry.isdigit() and len(entry) <= 18]
        dialer.odd += len(page) - len(ids)
        {"queue": dialer.waiting, "queued": dialer.queued, "slots": dialer.slots}[key.what].extend(ids)


def _may_evict(redis: Redis) -> bool | None:
    try:
        memory = redis.info("memory")
    except RedisError:
        return None
    policy = memory.get("maxmemory_policy")
    return None if policy is None else bool(memory.get("maxmemory")) and policy != "noeviction"


def of_calls(call_sids: Collection[str]) -> Mine:
    """For set_aside: the lead jobs all of whose call_sids are among these, and no nudge."""
    return lambda job: job.kind != "nudge" and bool(job.call_sids) and all(sid in call_sids for sid in job.call_sids)


def set_aside(
    redis: Redis, stamp: str, *, mine: Mine | None = None, businesses: Collection[int] | None = None
) -> Moved:
    """
    Take lead jobs and nudges out of RQ's queues, and the old dialer's keys, so that an old worker finds none of them.

    Other jobs, those that cannot be read and those that have expired stay where they are, in their order.  Run again
    with the same stamp or another one, it takes what has come since.  Each list, and each business's keys, moves at
    once: a run that was killed is made good by the next one, or by give_back.

    Args:
        stamp: the argument of give_back; 1 to 40 of 0-9 A-Z a-z _ . and -.
        mine: of the lead jobs and nudges, which ones (see of_calls); None: all of them.
        businesses: whose keys of the old dialer; None: everybody's.

    Raises:
        OldRedisBusy: see there; what was moved before stays moved.
        ValueError: the stamp is not one, or the client decodes what it reads.
        RedisError: the server cannot be asked; run it again.
    """
    prefix = old_move.prefix(redis, stamp)
    ours = old_queues.Ours(redis, mine)
    moved = Moved()
    for place in old_keys.places(redis):
        if place.where in old_queues.MOVED:
            moved.jobs[old_keys.printable(place.key)] += old_queues.take(redis, prefix, place, ours)
    for business_id, keys in old_dialer.by_business(old_keys.dialer_keys(redis)).items():
        if businesses is None or business_id in businesses:
            moved.keys[business_id] += old_dialer.take(redis, prefix, keys)
    return Moved(+moved.jobs, +moved.keys)


def jobs_aside(redis: Redis, stamp: str) -> Iterator[tuple[bytes, OldJob | None]]:
    """
    The jobs in the lists that are set aside under *stamp*, with their ids: for give_back's *done*.

    Those of others are among them: a list is set aside whole, so that it keeps the order.
    """
    prefix = old_move.prefix(redis, stamp)
    for key in sorted(set(old_keys.scan(redis, prefix + b"*"))):
        place = old_keys.place_of(key.removeprefix(prefix))
        if place is not None:
            yield from old_keys.jobs(redis, replace(place, key=key))


def give_back(redis: Redis, stamp: str, *, done: Collection[bytes] = (), ended: Collection[int] = ()) -> Moved:
    """
    Put back what set_aside took under *stamp*, before what has come since; run again, it does what is left to do.

    Where nothing came or went meanwhile, each key is as it was, and lives as long as it then had to live.
    After several stamps, give the newest back first, as `stamps` lists them.

    Args:
        done: ids of RQ's jobs that are not to come back; their hashes get the time to live that they had.
        ended: ids of outbound_call_jobs that the old dialer is not to take up again.

    Raises:
        OldRedisBusy: see there; what was given back before stays given back.
        ValueError: the stamp is not one, or the client decodes what it reads.
        RedisError: the server cannot be asked; run it again.
    """
    prefix = old_move.prefix(redis, stamp)
    done, over = frozenset(done), frozenset(b"%d" % job_id for job_id in ended)
    moved = Moved()
    keys = sorted({key.removeprefix(prefix) for key in old_keys.scan(redis, prefix + b"*")})
    for place in (place for key in keys if (place := old_keys.place_of(key))):
        given = old_queues.give(redis, prefix, place, done)
        if given is None:
            moved.left.append(old_keys.printable(place.key))
        else:
            moved.jobs[old_keys.printable(place.key)] = given
    dialer = (one for key in keys if (one := old_keys.dialer_key(key)))
    for business_id, of_business in old_dialer.by_business(dialer).items():
        moved.keys[business_id], left = old_dialer.give(redis, prefix, of_business, over)
        moved.left.extend(left)
    if not moved.left:
        redis.delete(prefix + b"ttl")
    return moved
