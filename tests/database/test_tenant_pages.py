"""What a tenant's lists read: its own rows, however many the others have."""

from typing import Any

import pytest

from outbound import db
from outbound.calls import call_search, lead_list
from outbound.rules import suppression
from tests.conftest import World

OTHERS, MORE_PAGES_MAX = 9000, 10
LISTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "leads": (
        lead_list.sql.newest_leads,
        dict.fromkeys(("since", "until", "before_at", "before_id")) | {"page_max": 20, "scan_max": 10_000},
    ),
    "suppression": (
        suppression.sql.list_entries,
        dict.fromkeys(("before_id", "campaign_id")) | {"everybody": False, "page_max": 20, "scan_max": 10_000},
    ),
}


OF_ERROR = {"page_max": 20, "scan_max": 10_000, "error_code": "sip_404"}


def add(world: World, table: str, business: int, count: int) -> None:
    insert = f"insert into {table} (business_id, phone) select %s, '+1' || 2000000000 + 10000 * %s + n"
    world.do(f"{insert} from generate_series(1, %s) as n", business, business, count)


def add_failed(world: World, business: int, count: int) -> None:
    world.do(
        "insert into call_log (business_id, from_number, to_number, status, error_code, ended_at)"
        " select %s, '+15005550006', '+1' || 2000000000 + 10000 * %s + n, 'failed', 'sip_404', now()"
        " from generate_series(1, %s) as n",
        business,
        business,
        count,
    )


def pages(world: World, table: str, business: int) -> int:
    """How many pages of 8 KiB one page of a list reads."""
    statement, parameters = LISTS[table]
    return pages_of(world, statement, parameters | {"business_id": business})


def pages_of(world: World, statement: Any, asked: dict[str, Any]) -> int:
    """How many pages of 8 KiB a list reads that has 20 rows."""
    with db.connect(world.url, **db.PREPARED) as line:
        assert len([row for row in statement(line, **asked) if row.id is not None]) == 20
        plan: Any = line.execute(f"explain (analyze, buffers, format json) {statement.sql}".encode(), asked).fetchone()
    read = plan[0][0]["Plan"]
    return int(read["Shared Hit Blocks"] + read["Shared Read Blocks"])


@pytest.mark.parametrize("table", LISTS)
def test_a_tenant_s_list_does_not_read_the_rows_of_others(world: World, table: str) -> None:
    mine, other = world.business("Mine"), world.business("Other")
    add(world, table, mine, 30)
    alone = pages(world, table, mine)

    add(world, table, other, OTHERS)

    assert pages(world, table, mine) <= alone + MORE_PAGES_MAX


def test_a_tenant_s_search_by_error_does_not_read_the_calls_of_others(world: World) -> None:
    statement = call_search.sql.find_calls
    names = ("number", "campaign_id", "statuses", "answered_by", "batch_id", "since", "until", "before_at", "before_id")
    mine, other = world.business("Mine"), world.business("Other")
    add_failed(world, mine, 30)
    asked = dict.fromkeys(names) | OF_ERROR | {"business_id": mine}
    alone = pages_of(world, statement, asked)

    add_failed(world, other, OTHERS)

    assert pages_of(world, statement, asked) <= alone + 2 * 20  # an index of more rows is one level deeper
