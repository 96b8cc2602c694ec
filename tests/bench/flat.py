"""What must cost the same however long the history is: the statements of the hot paths, over few rows and over many."""

import time
from collections.abc import Callable
from typing import Any

import psycopg

from outbound import db
from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, percentile
from tests.bench.watching import Seen, watching
from tests.bench.world import World, world

_EXPLAINED = 10
_SLICE = 500_000
_LOST = 100  # overdue calls to ask the carrier about
_BATCH = 50  # calls that one claim takes, for
_THREADS = 25  # of a worker that is alive
_WATCHED = {
    "claim": ("dispatch.claim_due_calls",),
    "clean-up": ("cleanup.release_overdue_claims", "cleanup.close_without_call_sid", "cleanup.renew_lead_nudges"),
    "reconcile": ("reconcile.take_call_to_ask_about",),
    "metrics": ("metrics.read_queue", "metrics.read_scopes", "metrics.read_spending", "metrics.read_totals"),
    "callback": ("events.record_reports",),
}
_FINISHED = """
insert into call_log (business_id, direction, from_number, to_number, status, call_sid, created_at, due_at, dialed_at,
                      answered_at, ended_at, duration_s, attempt)
select 1 + n %% 5, 'outbound', '+1500555' || lpad((1 + n %% 5)::text, 4, '0'), '+1' || 3000000000 + n %% 3000000,
       (array['completed', 'completed', 'busy', 'no-answer', 'failed'])[1 + n %% 5], 'CAf' || lpad(n::text, 31, '0'),
       now() - n * interval '1 s', now() - n * interval '1 s', now() - n * interval '1 s', null,
       now() - n * interval '1 s', 9, 1
  from generate_series(%s::bigint, %s::bigint) as n
"""

_IN_THE_AIR = """
insert into call_log (business_id, from_number, to_number, status, call_sid, dialed_at, overdue_at)
select 1 + n %% 5, '+15005550001', '+1' || %s::bigint + n, 'initiated', %s::text || lpad(n::text, 28, '0'), now(),
       now() + %s::integer * interval '1 day'
  from generate_series(1, %s::integer) as n
"""


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """Run the statements on equal live rows, beside few finished calls and beside many, alternately."""
    room = {"OUTBOUND_CLAIMS_PER_THREAD": str(_BATCH // _THREADS)}
    with world(cluster, "flat_few", **room) as few, world(cluster, "flat_many", **room) as many:
        began_at = time.monotonic()
        _fill(few, options, options.few_rows)
        _fill(many, options, options.rows)
        filled_s = time.monotonic() - began_at
        seen = _play(few, many, options)
        size = many.sql("select pg_size_pretty(pg_total_relation_size('call_log'))")[0][0]
    history = {"rows": options.rows, "beside": options.few_rows, "call_log": size, "filled in s": filled_s}
    return [_line(name, *seen) for name in _WATCHED] + [Line("flat, history", options.rows, "rows", details=history)]


def _line(name: str, few: Seen, many: Seen) -> Line:
    statements = _WATCHED[name]
    before, after = (sum(percentile(seen.took_ms[one], 99) for one in statements) for seen in (few, many))
    details = {
        one.partition(".")[2]: {
            "p50 ms": [round(percentile(seen.took_ms[one], 50), 2) for seen in (few, many)],
            "p99 ms": [round(percentile(seen.took_ms[one], 99), 2) for seen in (few, many)],
            "buffers": [round(percentile(seen.buffers[one], 50)) for seen in (few, many)],
        }
        for one in statements
    }
    return Line(f"flat, {name} p99", after, "ms", before, "ms with few rows", 1.2, "most", details=details)


def _play(few: World, many: World, options: Options) -> tuple[Seen, Seen]:
    """Each statement many times, as the steps call it; some of them explained, to count what they read."""
    with watching(few.database_url) as in_few, watching(many.database_url) as in_many:
        acts = [(in_few, _acts(few)), (in_many, _acts(many))]
        for position in range(len(_WATCHED)):
            for turn in range(options.repeats + _EXPLAINED):
                for seen, its_acts in acts:
                    seen.explain = turn >= options.repeats
                    seen.run(its_acts[position])
    return in_few, in_many


def _acts(here: World) -> list[Callable[[], object]]:
    """What is watched, in the order of _WATCHED."""
    from outbound.call import CallEvent
    from outbound.calls import cleanup, dispatch, events, reconcile
    from outbound.monitoring import metrics

    waiting = iter(here.sql("select id, call_sid from call_log where call_sid like 'CAlive%'"))

    def report() -> None:
        call_id, call_sid = next(waiting)
        events._record([(call_id, CallEvent(call_sid, "completed", "callback", sequence_number=3))])

    def look() -> None:
        db.run(reconcile.sql.take_call_to_ask_about, relook_s=0, silent=[])

    return [lambda: _claim(dispatch), cleanup.cleanup_stuck_dialing_jobs, look, metrics.read, report]


def _claim(dispatch: Any) -> None:
    """Take a batch, and let it go again as dialed, so that the next claim finds as much room."""
    rows = db.transact(dispatch._claim)
    if len(rows) != _BATCH:
        raise AssertionError(f"a claim took {len(rows)} calls, not {_BATCH}")
    db.transact(
        lambda line: line.execute(
            "update call_log set status = 'failed', error_code = 'bench', overdue_at = null, ended_at = now()"
            " where id = any(%s)",
            [[row.id for row in rows]],
        )
    )


def _fill(here: World, options: Options, history: int) -> None:
    """Finished calls, what waits, and what is in the air: calls that callbacks come for, overdue ones to ask about."""
    turns = options.repeats + _EXPLAINED
    with psycopg.connect(here.database_url, autocommit=True) as connection:
        for begin in range(0, history, _SLICE):
            connection.execute(_FINISHED, [begin, min(begin + _SLICE, history) - 1])
    here.put_calls(_BATCH * turns)
    alive = "insert into worker (id, threads, seen_at) values (gen_random_uuid(), %s, now() + interval '1 day')"
    here.sql(alive, _THREADS)
    here.sql(_IN_THE_AIR, 4_000_000_000, "CAlive", 1, turns)
    here.sql(_IN_THE_AIR, 5_000_000_000, "CAlost", -1, _LOST)
    here.sql("vacuum (analyze) call_log")
    here.sql("checkpoint")
