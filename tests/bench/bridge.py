"""What the bridge to the tables of the system before costs the database: a call's life with it and without it."""

from collections.abc import Callable, Mapping

import psycopg

from outbound import db
from outbound.adopt import bridge
from outbound.calls import dial, dispatch, events, lead
from tests import old_system
from tests.bench import cpu
from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, Round, median
from tests.bench.world import BUSINESSES, World, world

_HISTORY = 100_000  # leads and calls in the old tables
LIVES = 320  # of each round
BATCHES = (1, 16)  # calls whose dials begin, and whose reports are written, together
THREADS = 1000  # of a worker that is alive: the claim takes what it is asked for
_TARGET = 1.3
_CLAIM = {
    "claims_per_thread": 2,
    "claim_s": 600,
    "worker_silent_s": 86_400,
    "ring_s": 30,
    "late_s": 600,
    "heads_min": 20,
    "account_rate": None,
}
_OLD_ROWS = """
insert into business (id, name, business_type) select n, 'business ' || n, 'other' from generate_series(1, %s) as n;
insert into leads (tenant_id, name, phone_e164, created_at)
select 1 + n %% 5, 'lead ' || n, '+1' || 3000000000 + n, now() from generate_series(1, %s) as n;
insert into call_log (business_id, call_sid, direction, from_number, to_number, status, created_at)
select 1 + n %% 5, 'CAo' || lpad(n::text, 31, '0'), 'outbound', '+15005550001', '+1' || 3000000000 + n,
       'processed', now()
  from generate_series(1, %s) as n;
"""


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """CPU time of the server process that does all that a life asks of the database, from the claim to the lead."""
    lines = []
    for batch in BATCHES:
        with world(cluster, "bridge") as here:
            _make_old_tables(here)
            here.sql("insert into worker (id, threads) values (gen_random_uuid(), %s)", THREADS)
            with_it: list[Round] = []
            without: list[Round] = []
            for number in range(options.rounds):
                for is_made, rounds in ((False, without), (True, with_it)):
                    rounds.append({"ms": _life_ms(here, batch, first=2 * number + is_made, is_made=is_made)})
        ours, floor = median(with_it, "ms"), median(without, "ms")
        details = {"history": _HISTORY, "lives": LIVES, "rounds with it": [one["ms"] for one in with_it]}
        lines.append(
            Line(f"bridge, batches of {batch}", ours, "ms/life", floor, "ms/life without it", _TARGET, "most", details)
        )
    return lines


def _make_old_tables(here: World) -> None:
    with psycopg.connect(here.database_url, autocommit=True) as connection:
        connection.execute(b"create schema old")
        connection.execute(b"set search_path to old")
        connection.execute(old_system.tables_sql("fixed").encode())
        for statement, rows in zip(_OLD_ROWS.split(";")[:3], (BUSINESSES, _HISTORY, _HISTORY), strict=True):
            connection.execute(statement.encode(), [rows])
        connection.execute(b"vacuum analyze leads, call_log")
    here.sql(
        "insert into adopted (kind, old_id, new_id, business_id, fate)"
        " select 'business', id, id, id, 'adopted' from business"
    )
    here.sql("update business set default_region = 'US'")


def _life_ms(here: World, batch: int, *, first: int, is_made: bool) -> float:
    """CPU milliseconds of a life with the bridge, or without it."""

    def prepare(connection: db.Connection) -> None:
        if is_made:
            bridge.make(connection, "old")
        else:
            bridge.drop(connection)

    took_ms = life_ms(here, batch, first=first, prepare=prepare)
    if here.number("select count(*) from bridge_due"):
        raise AssertionError("the bridge failed")
    return took_ms


def life_ms(here: World, batch: int, *, first: int, prepare: Callable[[db.Connection], None]) -> float:
    """CPU milliseconds of a life, of LIVES that are lived one batch after the other on one prepared connection."""
    here.put_calls(LIVES, first=first * LIVES)
    here.sql("vacuum analyze call_log")
    with db.connect(time_limit="0", **db.PREPARED) as connection:
        prepare(connection)
        return lives_ms({"": connection}, batch)[""]


def lives_ms(connections: Mapping[str, db.Connection], batch: int) -> dict[str, float]:
    """
    CPU milliseconds of a life in the server process of each connection.

    The connections live one batch each in turn, until no calls are left: what else the machine does meets all alike.
    """
    for connection in connections.values():
        live(connection, batch)  # plans
    took, lived = dict.fromkeys(connections, 0.0), dict.fromkeys(connections, 0)
    names = list(connections)
    while names:
        for name in list(names):
            before = cpu.of_process(connections[name].info.backend_pid)
            calls = live(connections[name], batch)
            took[name] += cpu.of_process(connections[name].info.backend_pid) - before
            lived[name] += calls
            if not calls:
                names.remove(name)
        names.reverse()
    return {name: 1000 * took[name] / lived[name] for name in connections}


def live(connection: db.Connection, batch: int) -> int:
    """Live so many lives from the claim to the lead, on one connection; how many there were."""
    claimed = dispatch.sql.claim_due_calls(connection, batch_max=batch, **_CLAIM)
    ids = [call.id for call in claimed]
    dial.sql.begin_dials(connection, call_ids=ids, ask_s=60, send_s=0.1, life_s=3600)
    for number, status in enumerate(("initiated", "ringing", "in-progress", "completed")):
        said = {
            "status": status,
            "source": "callback",
            "signed_for": [""],
            "sequence_number": number,
            "payload": {"CallStatus": status},
        }
        reports = [{"call_id": call_id, "call_sid": _sid(call_id), **said} for call_id in ids]
        events.sql.record_reports(connection, reports=db.json(reports), ring_s=90, talk_s=3600, lead_s=60, relook_s=60)
    for call_id in ids:
        lead.sql.create_lead(connection, call_sid=_sid(call_id), phone=None, withheld=[])
    return len(ids)


def _sid(call_id: int) -> str:
    return f"CA{call_id:032}"
