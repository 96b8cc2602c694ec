"""What statements that are asked again and again read beside campaigns that were dialed once and are over."""

from typing import Any

import pytest

from outbound import db
from outbound.calls import dispatch
from outbound.monitoring import metrics
from outbound.rules import control
from tests.conftest import CLAIM, World
from tests.pages_read import pages_read

OTHERS, MORE_PAGES_MAX = 3000, 25  # a look at all of them reads 100 pages and more
LIMITS = {"account_rate": 10}
STATEMENTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "claim": (dispatch.sql.claim_due_calls, CLAIM | LIMITS),
    "queue": (metrics.sql.read_queue, {"worker_silent_s": 10, "rows_max": 50}),
    "scopes": (metrics.sql.read_scopes, LIMITS | {"rows_max": 50}),
    "control": (control.sql.list_control, LIMITS | {"business_id": None}),
}
QUERIES = {
    "why": "select * from why_not_dialed((select max(id) from call_log where status = 'queued'), 10)",
    "situation": "select * from situation_of_scopes(array(select lane from lane))",
    "first": "select * from first_waiting_call(array(select lane from lane))",
    "pauses": "select * from page_pauses(null, 50)",
}


def _pages(world: World, name: str) -> int:
    """How many pages of 8 KiB it reads, by the plan that a connection of the service makes of it now."""
    with db.connect(world.url, **db.PREPARED) as line, line.transaction(force_rollback=True):
        if name in STATEMENTS:
            statement, asked = STATEMENTS[name]
            before, found = pages_read(line), statement(line, **asked)
        else:
            before, found = pages_read(line), line.execute(QUERIES[name].encode()).fetchall()
        assert found
        return pages_read(line) - before


@pytest.mark.parametrize("name", [*STATEMENTS, *QUERIES])
def test_campaigns_that_were_dialed_once_cost_nothing(world: World, name: str) -> None:
    """Beside 20,000 of them each claim took 0.7 s, and each scrape of the metrics 1 s."""
    business_id = world.business()
    world.worker()
    world.do("insert into dial_control (scope, key) select 'business', id::text from business")
    _add_campaigns(world, business_id, 4)
    world.do("update dial_control set state = 'paused', state_reason = 'x', state_since = now() where key = '4'")
    call_ids = [world.queued(business_id, f"+1500555010{place}") for place in range(1, 5)]
    world.do("update call_log set campaign_id = 1 + id %% 4 where id = any(%s)", call_ids)
    alone = _pages(world, name)

    _add_campaigns(world, business_id, OTHERS)

    assert _pages(world, name) <= alone + MORE_PAGES_MAX


def _add_campaigns(world: World, business_id: int, count: int) -> None:
    added = "insert into campaign (business_id, name) select %s, gen_random_uuid() from generate_series(1, %s)"
    world.do(added, business_id, count)
    insert = "insert into dial_control (scope, key, served) select 'campaign', id::text, 1 from campaign"
    world.do(f"{insert} on conflict do nothing")
    world.do("analyze campaign, dial_control")
