"""Read the old system's keys in Redis page by page, whatever they hold; nothing here writes."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from redis import Redis
from redis.exceptions import ResponseError

from outbound.adopt.old_job import INFLATED_BYTES_MAX, OldJob, read_job

PAGE = 500  # members or keys of one question
PAGE_BYTES_MAX = 8_000_000  # of the jobs that one question brings
SCAN_COUNT = 1_000  # keys that the server looks at before it lets others in

Where = Literal["queue", "intermediate", "scheduled", "deferred", "ready", "failed", "in progress"]
_REGISTRIES: dict[bytes, Where] = {
    b"scheduled": "scheduled",
    b"deferred": "deferred",
    b"ready": "ready",  # RQ 3
    b"failed": "failed",
    b"wip": "in progress",
}
_PLACE = re.compile(rb"rq:(queue|%s):(.*)" % b"|".join(_REGISTRIES), re.DOTALL)
_INTERMEDIATE = b":intermediate"
_DIALER = re.compile(rb"outbound_(?:(?:queue|queued|slots):(\d{1,18})|inflight:(\d{1,18}):(\d{1,18}))")
QUEUES = b"rq:queues"
JOB = b"rq:job:"


@dataclass(frozen=True)
class Place:
    """
    A list or sorted set of RQ in which jobs lie.

    Attributes:
        key: its key.
        where: what RQ uses it for; `intermediate`: taken from the queue by a worker that has not begun yet.
        queue: the queue's name, fit to be printed.
    """

    key: bytes
    where: Where
    queue: str

    @property
    def type(self) -> bytes:
        """Redis' name of the type that its key should have."""
        return b"list" if self.where in ("queue", "intermediate") else b"zset"


@dataclass(frozen=True)
class DialerKey:
    """A key of the old dialer's own; `job_id` is that of outbound_call_jobs, of `inflight` alone."""

    key: bytes
    what: str  # queue, queued, slots, inflight
    business_id: int
    job_id: int | None

    @property
    def type(self) -> bytes:
        """Redis' name of the type that it should have."""
        return {"queue": b"list", "inflight": b"string"}.get(self.what, b"set")


def no_decoding(redis: Redis) -> None:
    """
    Refuse a client that decodes what it reads: pickles and ids of strangers are bytes.

    Raises:
        ValueError: it does.
    """
    if redis.get_encoder().decode_responses:
        raise ValueError("the old Redis is read as bytes: make the client without decode_responses")


def ask(redis: Redis, commands: Iterable[Sequence[Any]]) -> list[Any]:
    """Send commands in pipelines of PAGE; what the server refused is a ResponseError among the answers."""
    waiting = iter(commands)
    answers: list[Any] = []
    while page := list(islice(waiting, PAGE)):
        with redis.pipeline(transaction=False) as pipeline:
            for command in page:
                pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
            answers.extend(pipeline.execute(raise_on_error=False))
    return answers


def places(redis: Redis) -> list[Place]:
    """
    Return where jobs of RQ lie, in the order of the keys; also queues that `rq:queues` has forgotten, or never knew.
    """
    known = {key for key in _members(redis, QUEUES) if _PLACE.fullmatch(key)}
    found = known | {key for key in scan(redis, b"rq:[qsdrfw]*") if _PLACE.fullmatch(key)}
    return [place for key in sorted(found) if (place := place_of(key)) is not None]


def place_of(key: bytes) -> Place | None:
    """The place of that key; None for any other key."""
    parts = _PLACE.fullmatch(key)
    if parts is None or _INTERMEDIATE + b":first_seen:" in key:
        return None
    kind, name = parts.groups()
    if kind != b"queue":
        return Place(key, _REGISTRIES[kind], printable(name))
    if name.endswith(_INTERMEDIATE):
        return Place(key, "intermediate", printable(name.removesuffix(_INTERMEDIATE)))
    return Place(key, "queue", printable(name))


def dialer_keys(redis: Redis) -> list[DialerKey]:
    """The old dialer's own keys, of every business, in the order of the keys."""
    found = set(scan(redis, b"outbound_*"))
    return [one for key in sorted(found) if (one := dialer_key(key)) is not None]


def dialer_key(key: bytes) -> DialerKey | None:
    """Return what that key is to the old dialer; None for any other key."""
    parts = _DIALER.fullmatch(key)
    if parts is None:
        return None
    of, inflight_of, job = parts.groups()
    what = key.removeprefix(b"outbound_").partition(b":")[0].decode()
    return DialerKey(key, what, int(of or inflight_of), int(job) if job else None)


def scan(redis: Redis, pattern: bytes) -> Iterator[bytes]:
    """Keys that match; one that moves meanwhile may come twice."""
    return redis.scan_iter(match=pattern, count=SCAN_COUNT)


def types(redis: Redis, keys: Iterable[bytes]) -> list[bytes]:
    """Redis' name of each key's type, `none` where there is no such key."""
    return ask(redis, (("TYPE", key) for key in keys))


def members(redis: Redis, place: Place) -> Iterator[list[bytes]]:
    """The members of a place, page by page, in order; nothing where its key has another type."""
    if types(redis, [place.key]) == [place.type]:
        yield from _pages_of(redis, "LRANGE" if place.type == b"list" else "ZRANGE", place.key)


def _pages_of(redis: Redis, command: str, key: bytes) -> Iterator[list[bytes]]:
    start = 0
    while page := ask(redis, [(command, key, start, start + PAGE - 1)])[0]:
        if isinstance(page, ResponseError):
            return  # it has another type by now
        yield page
        start += len(page)


def entries(redis: Redis, key: DialerKey) -> Iterator[list[bytes]]:
    """Return what a list or set of the old dialer holds, page by page; a list in its order."""
    if key.type == b"list":
        yield from _pages_of(redis, "LRANGE", key.key)
    elif key.type == b"set":
        yield list(_members(redis, key.key))


def _members(redis: Redis, key: bytes) -> Iterator[bytes]:
    if types(redis, [key]) == [b"set"]:
        yield from redis.sscan_iter(key, count=SCAN_COUNT)


def jobs(redis: Redis, place: Place) -> Iterator[tuple[bytes, OldJob | None]]:
    """Each job of a place, with its id, in order; None where its hash has expired."""
    for page in members(redis, place):
        ids = _without_executions(redis, page) if place.where == "in progress" else page
        yield from zip(ids, read_jobs(redis, ids), strict=True)


def _without_executions(redis: Redis, entries: list[bytes]) -> list[bytes]:
    """The ids of jobs in progress: RQ 2 adds an execution's id to each, which RQ 1 does not."""
    whole = types(redis, [JOB + entry for entry in entries])
    return [
        entry if of == b"hash" or b":" not in entry else entry.rpartition(b":")[0]
        for entry, of in zip(entries, whole, strict=True)
    ]


def read_jobs(redis: Redis, ids: Sequence[bytes]) -> list[OldJob | None]:
    """Return what the jobs of these ids would do; None where a hash has expired."""
    found: dict[bytes, OldJob | None] = {}
    for job_id, of in zip(ids, types(redis, [JOB + each for each in ids]), strict=True):
        found[job_id] = None if of == b"none" else OldJob(None, refusal="no data" if of == b"hash" else "no hash")
    hashes = [job_id for job_id, job in found.items() if job is not None and job.refusal == "no data"]
    sizes = ask(redis, (("HSTRLEN", JOB + job_id, "data") for job_id in hashes))
    for page in _pages(hashes, sizes, found):
        for job_id, data in zip(page, ask(redis, (("HGET", JOB + each, "data") for each in page)), strict=True):
            if isinstance(data, bytes):
                found[job_id] = read_job(data)
    return [found[job_id] for job_id in ids]


def _pages(hashes: list[bytes], sizes: list[Any], found: dict[bytes, OldJob | None]) -> Iterator[list[bytes]]:
    """Ids whose jobs are to be fetched together; those that are too large are put in *found* at once."""
    page: list[bytes] = []
    room = PAGE_BYTES_MAX
    for job_id, size in zip(hashes, sizes, strict=True):
        if not isinstance(size, int) or not size:
            continue
        if size > INFLATED_BYTES_MAX:
            found[job_id] = OldJob(None, refusal="large")
            continue
        if size > room:
            yield page
            page, room = [], PAGE_BYTES_MAX
        page.append(job_id)
        room -= size
    yield page


def printable(name: bytes) -> str:
    """A name out of Redis, fit for a line of a report: 100 characters at most, none that moves the cursor."""
    text = name.decode("utf-8", "backslashreplace")[:100]
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
