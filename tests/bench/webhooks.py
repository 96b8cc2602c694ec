"""What events cost a call's life in the database: with nobody who wants them, and with one endpoint."""

from tests.bench.bridge import BATCHES, LIVES, THREADS, life_ms
from tests.bench.house import House
from tests.bench.options import Options
from tests.bench.report import Line, Round, median
from tests.bench.world import world

# Each arm: its name, what makes it so, and the most that it may cost in lives without triggers.
_WITHOUT = "without triggers"
_ENABLE = "alter table call_log enable trigger call_log_event;"
_ADD = "insert into webhook_endpoint (url, created_by) values ('https://example.com/', 'bench')"
_ARMS = {
    _WITHOUT: "alter table call_log disable trigger call_log_event",
    "no endpoint": _ENABLE,
    "one endpoint": _ENABLE + _ADD,
}
_TARGETS = {"no endpoint": 1.01, "one endpoint": 1.1}


def measure(house: House, options: Options) -> list[Line]:
    """CPU time of the server process that does all that a life asks of the database, from the claim to the lead."""
    lines = []
    for batch in BATCHES:
        with world(house, "webhooks") as here:
            here.sql("insert into worker (id, threads) values (gen_random_uuid(), %s)", THREADS)
            found: dict[str, list[Round]] = {name: [] for name in _ARMS}
            place = 0
            for number in range(options.rounds):
                for name, make in list(_ARMS.items())[:: -1 if number % 2 else 1]:  # the table grows
                    here.sql("delete from webhook_endpoint")
                    here.sql(make)
                    found[name].append({"ms": life_ms(here, batch, first=place)})
                    place += 1
        floor = median(found[_WITHOUT], "ms")
        for name, target in _TARGETS.items():
            details = {"lives": LIVES, "rounds": [one["ms"] for one in found[name]]}
            ours = median(found[name], "ms")
            lines.append(
                Line(
                    f"events, {name}, batches of {batch}",
                    ours,
                    "ms/life",
                    floor,
                    f"ms/life {_WITHOUT}",
                    target,
                    "most",
                    details,
                )
            )
    return lines
