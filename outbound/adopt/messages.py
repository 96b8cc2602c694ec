"""The old system's Redis while adopt runs: which workers live there, which leads are asked for, what is set aside."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis

from outbound import db
from outbound.adopt import old_redis
from outbound.adopt.batches import Run, sql
from outbound.adopt.old_tables import CannotAdopt

_TIMEOUT_S = 10
_BATCH_MAX = 2000  # call_sids of one statement
_NAMED_MAX = 50  # jobs that the report names
_EVICTS = (
    "the old Redis drops keys when it is full, also those that are set aside:"
    " `config set maxmemory-policy noeviction` until all of it is over"
)


@contextmanager
def opened(url: str) -> Iterator[redis.Redis]:
    """
    A client of the old Redis.

    Raises:
        CannotAdopt: the URL is invalid, the server does not answer, or it refused a command.
    """
    try:
        client = redis.Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
    except ValueError:
        raise CannotAdopt("--old-redis is no address of a Redis: write it like redis://host:6379/0") from None
    with client:
        try:
            yield client
        except old_redis.OldRedisBusy as busy:
            raise CannotAdopt(str(busy)) from None
        except redis.RedisError as error:
            raise CannotAdopt(
                f"the old Redis does not do what it is asked ({type(error).__name__}): look at --old-redis and its log,"
                " and run the same command again"
            ) from None


def refuse_while_alive(client: redis.Redis) -> None:
    """
    Refuse to begin while old workers take jobs.

    Raises:
        CannotAdopt: names them.
    """
    living = old_redis.living_workers(client)
    if living:
        actor = ", ".join(living.workers[:_NAMED_MAX]) or "none that is known by name"
        busy = ", ".join(f"{jobs} in {queue}" for queue, jobs in sorted(living.busy.items()))
        raise CannotAdopt(
            f"old workers are alive ({actor}{'; jobs in progress: ' + busy if busy else ''}): stop them, or say"
            " --old-is-stopped if you know that they are"
        )


def call_sids(client: redis.Redis) -> list[str]:
    """The calls of which a lead is asked for, in any queue of RQ's that no worker is at."""
    found: dict[str, None] = {}
    for place in old_redis.places(client):
        if place.where != "in progress":
            for _, job in old_redis.jobs(client, place):
                if job is not None and job.kind in ("lead", "lead of several calls"):
                    found |= dict.fromkeys(job.call_sids)
    return list(found)


def slices(sids: Sequence[str]) -> Iterator[Sequence[str]]:
    """*sids*, so many as one statement takes."""
    for first in range(0, len(sids), _BATCH_MAX):
        yield sids[first : first + _BATCH_MAX]


def read(client: redis.Redis, run: Run, notes: list[str]) -> dict[str, Any]:
    """
    Return what lies there, as the report has it; and where the old dialer's lists differ from what was taken over.
    """
    there = old_redis.read(client)
    if there.may_evict:
        notes.append(_EVICTS)
    waiting = sorted({job for dialer in there.dialer.values() for job in dialer.waiting})
    differing = [row.id for row in sql.jobs_not_here(run.connection, ids=waiting)] if waiting else []
    if differing:
        notes.append(
            f"{len(differing)} jobs wait in the old dialer's lists that do not wait in its table:"
            f" {', '.join(map(str, differing[:_NAMED_MAX]))}"
        )
    return {
        "places": {
            place.key.decode("utf-8", "replace"): {
                "kinds": dict(counts.kinds),
                "functions": dict(counts.functions),
                "refusals": dict(counts.refusals),
            }
            for place, counts in there.places.items()
        },
        "waiting_in_lists": len(waiting),
        "differing": differing,
        "odd_keys": there.odd_keys,
    }


def set_aside(client: redis.Redis, run: Run, stamp: str, sids: Sequence[str]) -> dict[str, int]:
    """Put what was taken over out of reach of old workers: RQ's jobs under *stamp*, each business's keys apart."""
    of_all = [row.old_id for row in sql.list_adopted_businesses(run.connection) if row.fate == "adopted"]
    mine = of_all if run.businesses is None else [one for one in run.businesses if one in of_all]
    if run.businesses is None:
        moved = old_redis.set_aside(client, stamp, businesses=()).jobs
    else:
        known = {row.call_sid for part in slices(sids) for row in _known(run, part)}
        moved = old_redis.set_aside(client, stamp, mine=old_redis.of_calls(known), businesses=()).jobs
    keys = 0
    for business_id in mine:
        found = old_redis.set_aside(client, f"{stamp}.{business_id}", mine=lambda _: False, businesses=[business_id])
        keys += found.keys.total()
    sql.note_redis(run.connection)
    return {"jobs": moved.total(), "keys": keys}


def _known(run: Run, sids: Sequence[str]) -> list[db.Row]:
    return list(sql.call_sids_of(run.connection, call_sids=list(sids), businesses=run.scope))


def give_back(client: redis.Redis, stamp: str, businesses: Sequence[int], ended: Sequence[int]) -> list[str]:
    """
    Put back what was set aside, of these businesses or of all; return what stays aside.

    Args:
        ended: old jobs that were dialed here: the old dialer does not take them up again.
    """
    wanted = {f"{stamp}.{business_id}" for business_id in businesses}
    left = []
    for found in old_redis.stamps(client):
        if found in wanted or (not businesses and (found == stamp or found.startswith(f"{stamp}."))):
            left += old_redis.give_back(client, found, ended=ended).left
    return left
