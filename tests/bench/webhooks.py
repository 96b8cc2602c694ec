"""What events cost dialing, and a call's whole life: with nobody who wants them, and with one endpoint."""

import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from outbound import db
from tests.bench import dialing, lives
from tests.bench.bridge import BATCHES, LIVES, THREADS, lives_ms
from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, median
from tests.bench.world import world

# Each arm: its name, what makes it so, and the most that it may cost in lives without triggers.
_WITHOUT = "without triggers"
_ARMS = {
    _WITHOUT: "alter table call_log disable trigger call_log_event",
    "no endpoint": "select",
    "one endpoint": "insert into webhook_endpoint (url, created_by) values ('https://example.com/', 'bench')",
}
_TARGETS = {"no endpoint": 1.01, "one endpoint": 1.1}


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """
    The rate of dialing with triggers beside that without; and CPU time that events add to a call's whole life.

    The latter is measured in the server process that does all that a life asks of the database, and compared with what
    a life costs in all processes of ours.
    """
    lines = _dialing(cluster, options)
    whole = sum(_whole_life(cluster, options).values())
    for batch in BATCHES:
        rounds = [_round(cluster, batch, first=number % len(_ARMS)) for number in range(options.rounds)]
        for name, target in _TARGETS.items():
            more = [{"ms": one[name] - one[_WITHOUT]} for one in rounds]
            details = {
                "lives": LIVES,
                "in PostgreSQL, ms/life": {arm: median(rounds, arm) for arm in (name, _WITHOUT)},
                "added in each round, ms": [round(one["ms"], 3) for one in more],
            }
            said = f"events, {name}, batches of {batch}"
            lines.append(Line(said, whole + median(more, "ms"), "ms/life", whole, "ms/life", target, "most", details))
    return lines


def _dialing(cluster: Cluster, options: Options) -> list[Line]:
    """Calls a second from the queue to the carrier, by worker and scheduler."""
    rates: dict[str, list[float]] = {name: [] for name in _ARMS}
    for number in range(options.rounds):
        for name in sorted(_ARMS, reverse=number % 2 == 1):
            dialed = dialing.one_round(
                cluster, options, threads=options.threads, delay_s=0, name="webhooks", prepare=_ARMS[name]
            )
            rates[name].append(dialed["rate"])
    floor = statistics.median(rates[_WITHOUT])
    return [
        Line(
            f"dialing, {name}", statistics.median(rates[name]), "calls/s", floor, f"calls/s {_WITHOUT}", 1 / target,
            details={arm: [round(rate) for rate in rates[arm]] for arm in (name, _WITHOUT)},
        )
        for name, target in _TARGETS.items()
    ]  # fmt: skip


def _whole_life(cluster: Cluster, options: Options) -> dict[str, float]:
    """CPU milliseconds of a whole life in each process of ours, where nobody wants events."""
    life = lives.one_round(cluster, options)
    return {name: ms for name, ms in life.items() if name.endswith("_cpu_ms") and not name.startswith("simulator")}


def _round(cluster: Cluster, batch: int, *, first: int) -> dict[str, float]:
    """CPU milliseconds of a life in each arm: each has a new database, and they live in turn, another one first."""
    arms = list(_ARMS.items())
    with ExitStack() as stack:
        return lives_ms(
            {
                name: stack.enter_context(_arm(cluster, f"webhooks_{place}", make))
                for place, (name, make) in enumerate(arms[first:] + arms[:first])
            },
            batch,
        )


@contextmanager
def _arm(cluster: Cluster, database: str, make: str) -> Iterator[db.Connection]:
    with world(cluster, database) as here:
        here.sql("insert into worker (id, threads) values (gen_random_uuid(), %s)", THREADS)
        here.sql(make)
        here.put_calls(LIVES)
        here.sql("vacuum analyze call_log")  # not event_log: of a table known as empty, plans read all rows as it grows
        with db.connect(time_limit="0", **db.PREPARED) as connection:
            yield connection
