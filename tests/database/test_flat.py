"""
What a call costs, in pages of the database: stated here, and the same however long the history is.

The plans are those of the service's own connections, and the worst of them: made while the tables were empty.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
import pytest

from outbound import db
from outbound.calls import cleanup, confirm, dial, dispatch, events, reconcile
from outbound.monitoring import metrics
from tests.conftest import CLAIM, World

HISTORY = 20_000
CALLS = 16  # that one statement moves

# Pages (8 KiB, nearly all in memory) that one call costs, at most, of each statement that every call goes through, and
# of a whole round of the others.
PAGES = {"claim": 64, "begin": 55, "report": 80, "clean-up": 30, "reconcile": 10, "confirm": 60, "metrics": 65}


class _Asked(NamedTuple):
    statement: Any
    parameters: dict[str, Any]
    calls: int = 1


def _all(calls: list[int]) -> dict[str, list[_Asked]]:
    """The statements of the hot paths, as the service asks them for these calls."""
    reports = [
        {
            "call_id": call_id,
            "call_sid": f"CA{call_id:032}",
            "status": "completed",
            "source": "callback",
            "signed_for": [""],
            "payload": {},
        }
        for call_id in calls
    ]
    waits = {"ring_s": 60, "talk_s": 3600, "lead_s": 30, "relook_s": 10}
    stale = {"batch_max": 200, "only_id": None}
    return {
        "claim": [_Asked(dispatch.sql.claim_due_calls, CLAIM | {"claims_per_thread": 4}, CALLS)],
        "begin": [_Asked(dial.sql.begin_dials, {"call_ids": calls, "ask_s": 60, "send_s": 0.1, "life_s": 3600}, CALLS)],
        "report": [_Asked(events.sql.record_reports, {"reports": db.json(reports), **waits}, CALLS)],
        "clean-up": [
            _Asked(cleanup.sql.release_overdue_claims, stale),
            _Asked(cleanup.sql.close_without_call_sid, stale | {"grace_s": 0, "looks_min": 2}),
            _Asked(cleanup.sql.renew_lead_nudges, stale | {"lead_s": 30}),
        ],
        "reconcile": [_Asked(reconcile.sql.take_call_to_ask_about, {"relook_s": 10, "silent": []})],
        "confirm": [
            _Asked(confirm.sql.take_calls_to_confirm, {"confirm_s": 45, "batch_max": 10_000, "silent": []}, CALLS)
        ],
        "metrics": [
            _Asked(metrics.sql.read_queue, {"worker_silent_s": 10, "rows_max": 100}),
            _Asked(metrics.sql.read_scopes, {"account_rate": None, "rows_max": 100}),
            _Asked(metrics.sql.read_spending, {"rows_max": 100}),
            _Asked(metrics.sql.read_webhooks, {}),
            _Asked(metrics.sql.read_totals, {}),
        ],
    }


@pytest.fixture
def line(world: World) -> Iterator[db.Connection]:
    """A connection of the service, which has planned every statement while there was nothing."""
    tables = "select relname::text as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
    for table in world.rows(tables):
        # An autovacuum beside the test would have the statements planned again, which reads up to 120 pages.
        world.do(f"alter table {table.name} set (autovacuum_enabled = false)")
    with db.connect(world.url, **db.PREPARED) as connection:
        for asked in _all([]).values():
            for statement, parameters, _ in asked:
                statement(connection, **parameters)
        yield connection


def _explained(line: db.Connection, asked: _Asked) -> dict[str, Any]:
    """What the plan that *line* keeps does."""
    named = "select name from pg_prepared_statements where statement like %s"
    ((name,),) = line.execute(named, [f"/* %.{asked.statement.__name__} */%"], prepare=False).fetchall()
    order = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", asked.statement.sql)))
    values = [asked.parameters[parameter] for parameter in order]
    with psycopg.ClientCursor(line) as cursor:
        execute = f"execute {name}({', '.join('%s' for _ in order)})" if order else f"execute {name}"
        cursor.execute(f"explain (analyze, buffers, format json) {execute}".encode(), values)
        ((plan,),) = cursor.fetchall()
    found: dict[str, Any] = plan[0]["Plan"]
    return found


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)


def _fill(world: World) -> dict[str, list[int]]:
    """A history, and the calls that each statement finds."""
    business_id = world.business()
    world.do(
        "insert into call_log (business_id, from_number, to_number, status, call_sid, dialed_at, ended_at, lead_id)"
        " select %s, '+15005550006', '+1500' || (1000000 + n), 'completed', 'CAx' || lpad(n::text, 31, '0'),"
        " now() - n * interval '1 min', now() - n * interval '1 min', null from generate_series(1, %s) as n",
        business_id,
        HISTORY,
    )
    claimed = [world.claimed(business_id, f"+15005571{place:02}01") for place in range(CALLS)]
    rung = [world.initiated(business_id, f"+15005572{place:02}01") for place in range(CALLS)]
    for place in range(40):
        world.queued(business_id, f"+15005573{place:02}01")
    world.do(
        "update call_log set call_sid = 'CA' || lpad(id::text, 32, '0'), dialed_at = now() - interval '1 min'"
        " where status = 'initiated'"
    )
    world.worker(threads=8)
    return {"begin": claimed, "report": rung}


@pytest.mark.parametrize("name", list(PAGES))
def test_a_call_costs_so_many_pages_whatever_is_in_the_table(world: World, line: db.Connection, name: str) -> None:
    calls = _fill(world)

    pages = done = 0
    with line.transaction(force_rollback=True):  # one, since psycopg forgets its plans with a rollback
        for asked in _all(calls.get(name, []))[name]:
            plan = _explained(line, asked)
            pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            done = max(done, asked.calls)
            whole = [node["Relation Name"] for node in _nodes(plan) if node["Node Type"] == "Seq Scan"]
            assert not {"call_log", "call_event", "leads"} & set(whole)
            if asked.calls > 1:
                assert plan["Actual Rows"] == asked.calls, "it did what it is measured for"

    assert pages / done <= PAGES[name]
