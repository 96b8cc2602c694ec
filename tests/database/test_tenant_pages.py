"""What a tenant's lists read: a page of its own rows, however many it and the others have."""

from typing import Any

import pytest

from outbound import db, names
from outbound.calls import call_search, import_record, lead_list
from outbound.calls.call_search import Wanted
from outbound.rules import (
    api_token,
    business,
    calling_window,
    campaign,
    control,
    destination,
    retry_policy,
    suppression,
)
from outbound.webhooks import endpoint
from tests.conftest import World
from tests.pages_read import pages_read

OTHERS, MORE_PAGES_MAX = 9000, 10
LISTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "leads": (
        lead_list.sql.newest_leads,
        dict.fromkeys(("since", "until", "before_at", "before_id")) | {"page_max": 20},
    ),
    "suppression": (
        suppression.sql.list_entries,
        dict.fromkeys(("before_id", "campaign_id")) | {"everybody": False, "page_max": 20},
    ),
}


SEARCH = dict.fromkeys(call_search.Wanted._fields) | {
    "before_at": None,
    "before_id": None,
    "page_max": 20,
    "scan_max": 10_000,
}


def add(world: World, table: str, business: int, count: int, first: int = 2_000_000_000) -> None:
    insert = f"insert into {table} (business_id, phone) select %s, '+1' || %s::bigint + 10000 * %s + n"
    world.do(f"{insert} from generate_series(1, %s) as n", business, first, business, count)


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


def pages_of(world: World, statement: Any, asked: dict[str, Any], rows: int = 20, key: str = "id") -> int:
    """
    How many pages of 8 KiB a list reads that has so many rows, by the plan that each connection keeps of it.

    EXPLAIN would be given the values, and plan for these alone.
    """
    with db.connect(world.url, **db.PREPARED) as line, line.transaction(force_rollback=True):
        before = pages_read(line)
        assert len([row for row in statement(line, **asked) if getattr(row, key) is not None]) == rows
        return pages_read(line) - before


@pytest.mark.parametrize("table", LISTS)
def test_a_tenant_s_list_does_not_read_the_rows_of_others(world: World, table: str) -> None:
    mine, other = world.business("Mine"), world.business("Other")
    add(world, table, mine, 30)
    alone = pages(world, table, mine)

    add(world, table, other, OTHERS)

    assert pages(world, table, mine) <= alone + MORE_PAGES_MAX


@pytest.mark.parametrize("table", LISTS)
def test_a_page_of_a_tenant_s_list_does_not_read_the_whole_list(world: World, table: str) -> None:
    mine = world.business("Mine")
    add(world, table, mine, 30)
    alone = pages(world, table, mine)

    add(world, table, mine, OTHERS, first=3_000_000_000)

    assert pages(world, table, mine) <= alone + MORE_PAGES_MAX


@pytest.mark.parametrize("whose", ["everybody", "campaign"])
def test_few_do_not_call_entries_are_listed_without_a_look_at_the_others(world: World, whose: str) -> None:
    mine = world.business("Mine")
    campaign_id = world.value("insert into campaign (business_id, name) values (%s, 'Spring') returning id", mine)
    owner = {"everybody": "null, null", "campaign": f"{mine}, {campaign_id}"}[whose]
    insert = "insert into suppression (business_id, campaign_id, phone) select"
    world.do(f"{insert} {owner}, '+1' || 3000000000 + n from generate_series(1, 20) as n")
    asked = {"before_id": None, "business_id": None, "campaign_id": None, "everybody": False, "page_max": 20}
    asked |= {"everybody": True} if whose == "everybody" else {"campaign_id": campaign_id}
    alone = pages_of(world, suppression.sql.list_entries, asked)

    add(world, "suppression", mine, OTHERS)

    assert pages_of(world, suppression.sql.list_entries, asked) <= alone + MORE_PAGES_MAX


@pytest.mark.parametrize("whose", ["everybody", "business", "campaign"])
def test_do_not_call_entries_are_listed_without_a_look_at_newer_ones_of_others(world: World, whose: str) -> None:
    mine, other = world.business("Mine"), world.business("Other")
    campaign_id = world.value("insert into campaign (business_id, name) values (%s, 'Spring') returning id", mine)
    owner = {"everybody": "null, null", "business": f"{mine}, null", "campaign": f"{mine}, {campaign_id}"}[whose]
    insert = "insert into suppression (business_id, campaign_id, phone) select"
    world.do(f"{insert} {owner}, '+1' || 3000000000 + n from generate_series(1, %s) as n", OTHERS)
    asked = {"before_id": None, "business_id": None, "campaign_id": None, "everybody": whose == "everybody"}
    asked |= {"page_max": 20} | {"business": {"business_id": mine}, "campaign": {"campaign_id": campaign_id}}.get(
        whose, {}
    )
    alone = pages_of(world, suppression.sql.list_entries, asked)

    add(world, "suppression", other, OTHERS)
    world.do("analyze suppression")

    assert pages_of(world, suppression.sql.list_entries, asked) <= alone + MORE_PAGES_MAX


def test_a_tenant_s_search_by_error_does_not_read_the_calls_of_others(world: World) -> None:
    statement = call_search.sql.find_calls
    mine, other = world.business("Mine"), world.business("Other")
    add_failed(world, mine, 30)
    asked = SEARCH | {"error_code": "sip_404", "business_id": mine}
    alone = pages_of(world, statement, asked)

    add_failed(world, other, OTHERS)

    assert pages_of(world, statement, asked) <= alone + 2 * 20  # an index of more rows is one level deeper


def test_a_tenant_s_search_looks_at_no_other_business_and_at_none_of_the_lanes_in_which_others_wait(
    world: World,
) -> None:
    mine = world.business("Mine")
    add_failed(world, mine, 30)
    asked = SEARCH | {"business_id": mine}
    alone = pages_of(world, call_search.sql.find_calls, asked)

    world.do("insert into business (name, twiml) select 'other ' || n, '<Response/>' from generate_series(1, 500) as n")
    world.do(
        "insert into call_log (business_id, from_number, to_number)"
        " select id, '+15005550006', '+12125550101' from business where id <> %s",
        mine,
    )

    assert pages_of(world, call_search.sql.find_calls, asked) <= alone + 2 * 20  # as above


def test_a_tenant_s_batch_is_found_without_a_look_at_those_of_others(world: World) -> None:
    mine, other = world.business("Mine"), world.business("Other")
    insert = "insert into batch (business_id, name) select %s, 'list ' || n from generate_series(1, %s) as n"
    world.do(insert, mine, 5)
    asked = {"name": "list 5", "id": None, "business_id": mine, "campaign_id": None}
    alone = pages_of(world, names.sql.find_batches, asked, 1)

    world.do(insert, other, OTHERS)

    assert pages_of(world, names.sql.find_batches, asked, 1) <= alone + MORE_PAGES_MAX


def test_a_tenant_s_imports_are_listed_without_those_of_others_and_without_their_lines(world: World) -> None:
    mine, other = world.business("Mine"), world.business("Other")
    insert = (
        "insert into call_import (business_id, batch, state, created_by, rejected_lines)"
        """ select %s, 'list', 'finished', 'test', '[{"line": 1, "reason": "odd"}]' from generate_series(1, %s)"""
    )
    world.do(insert, mine, 20)
    asked = dict.fromkeys(("id", "campaign_id", "states", "before_id")) | {"page_max": 20, "silent_s": 300}
    alone = pages_of(world, import_record.sql.find_imports, asked | {"business_id": mine})

    world.do(insert, other, OTHERS)

    assert pages_of(world, import_record.sql.find_imports, asked | {"business_id": mine}) <= alone + MORE_PAGES_MAX
    newest = import_record.find(business_id=mine)[0]
    assert newest.rejected_lines is None
    assert import_record.of(newest.id).rejected_lines == [{"line": 1, "reason": "odd"}]


def test_the_leads_of_all_are_listed_by_a_page(world: World) -> None:
    mine = world.business("Mine")
    insert = "insert into leads (business_id, phone, updated_at)"
    insert += " select %s, '+1' || 2000000000 + n, now() - n * interval '1 s' from generate_series(%s::int, %s) as n"
    world.do(insert, mine, 1, 30)
    statement, asked = LISTS["leads"]
    alone = pages_of(world, statement, asked | {"business_id": None})

    world.do(insert, mine, 31, OTHERS)
    world.do("analyze leads")

    assert pages_of(world, statement, asked | {"business_id": None}) <= alone + 2 * MORE_PAGES_MAX


@pytest.mark.parametrize("of_all", [True, False])
def test_leads_of_one_moment_are_listed_page_by_page_each_once(world: World, of_all: bool) -> None:
    mine = world.business("Mine")
    add(world, "leads", mine, 30)
    statement, asked = LISTS["leads"]
    asked |= {"business_id": None if of_all else mine}
    alone = pages_of(world, statement, asked)

    world.do("delete from leads")
    add(world, "leads", mine, OTHERS)  # in one transaction: one now()
    world.do("analyze leads")

    assert world.value("select count(distinct updated_at) from leads") == 1
    assert pages_of(world, statement, asked) <= alone + 2 * MORE_PAGES_MAX
    wanted = Wanted(**dict.fromkeys(Wanted._fields) | {"business_id": asked["business_id"]})
    place, seen = None, []
    for _ in range(3):
        page = lead_list.find(wanted, limit=1000, before=place)
        seen += [lead["id"] for lead in page.calls]
        place = page.next
    assert seen == sorted(seen, reverse=True)
    assert seen == [row.id for row in world.rows("select id from leads order by id desc limit 3000")]


def add_campaigns(world: World, business: int, count: int) -> None:
    world.do(
        "with added as (insert into campaign (business_id, name)"
        " select %s, gen_random_uuid() from generate_series(1, %s) returning id)"
        " insert into dial_control (scope, key, calls_per_second) select 'campaign', id::text, 1 from added",
        business,
        count,
    )


ADD_POLICIES = """
with added as (insert into business (name) select 'b' || n from generate_series(1, %s) as n returning id)
insert into retry_ladder (business_id, name, attempts_per_day_max, attempts_per_week_max)
select id, 'usual', 1, 2 from added
"""


@pytest.mark.parametrize("statement", [business.sql.list_businesses, retry_policy.sql.list_retry_policies])
def test_a_tenant_s_business_and_policies_are_listed_without_those_of_others(world: World, statement: Any) -> None:
    world.do(ADD_POLICIES, 1)
    asked = {"business_id": 1, "before_id": None, "page_max": None}
    alone = pages_of(world, statement, asked, 1)

    world.do(ADD_POLICIES, 1000)
    world.do("analyze")

    assert pages_of(world, statement, asked, 1) <= alone + 2 * MORE_PAGES_MAX
    assert pages_of(world, statement, asked | {"business_id": None}, 1001) > 1001
    assert pages_of(world, statement, asked | {"business_id": None, "page_max": 20}) < 1001 / 5


# What adds so many rows of a business to a list, and how the list is asked.
_SMALL_LISTS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "tokens": (
        (
            "insert into api_token (public_id, secret_sha256, name, business_id, scopes, created_by)"
            " select translate(lpad((10000 * %s + n)::text, 8, '0'), '0189', 'abcd'), decode(repeat('00', 32), 'hex'),"
            " 'a', %s, '{calls:read}', 'test' from generate_series(1, %s) as n"
        ),
        api_token.sql.list_tokens,
        {"within": None},
    ),
    "endpoints": (
        (
            "insert into webhook_endpoint (url, business_id, created_by)"
            " select 'https://x.test/' || %s, %s, 'test' from generate_series(1, %s)"
        ),
        endpoint.sql.list_endpoints,
        {"endpoint_id": None},
    ),
    "retry policies": (
        (
            "insert into retry_ladder (name, business_id, attempts_per_day_max, attempts_per_week_max)"
            " select %s || ' ' || n, %s, 1, 2 from generate_series(1, %s) as n"
        ),
        retry_policy.sql.list_retry_policies,
        {},
    ),
    "destinations": (
        (
            "insert into destination (place, business_id, allowed)"
            " select '+4420' || (10000 * %s + n), %s, true from generate_series(1, %s) as n"
        ),
        destination.sql.list_destinations,
        {},
    ),
    "windows": (
        (
            "insert into calling_window (name, hours) select %s || ' ' || n || left(%s::text, 0), '{[0,600)}'"
            " from generate_series(1, %s) as n"
        ),
        calling_window.sql.list_windows,
        {"window_id": None, "with_keepers": False},
    ),
}


@pytest.mark.parametrize("name", [name for name in _SMALL_LISTS if name != "windows"])
def test_a_tenant_s_small_lists_do_not_read_the_rows_of_others(world: World, name: str) -> None:
    insert, statement, asked = _SMALL_LISTS[name]
    mine, other = world.business("Mine"), world.business("Other")
    world.do(insert, mine, mine, 30)
    asked |= {"business_id": mine, "before_id": None, "page_max": 20}
    alone = pages_of(world, statement, asked)

    world.do(insert, other, other, OTHERS)
    world.do("analyze")

    assert pages_of(world, statement, asked) <= alone + 2 * MORE_PAGES_MAX


@pytest.mark.parametrize("name", _SMALL_LISTS)
def test_a_page_of_a_small_list_of_all_does_not_read_the_whole_list(world: World, name: str) -> None:
    insert, statement, asked = _SMALL_LISTS[name]
    mine, other = world.business("Mine"), world.business("Other")
    world.do(insert, mine, mine, 30)
    asked |= {"business_id": None, "before_id": None, "page_max": 20}
    alone = pages_of(world, statement, asked)

    world.do(insert, other, other, OTHERS)
    world.do("analyze")

    assert pages_of(world, statement, asked) <= alone + 3 * 20  # an index of more rows is one level deeper


def test_a_business_is_shown_without_a_look_at_all_its_campaigns(world: World) -> None:
    mine = world.business("Mine")
    add_campaigns(world, mine, 30)
    asked = {"business_id": mine, "newest_max": 20}
    alone = pages_of(world, business.sql.campaigns_of, asked)

    add_campaigns(world, mine, OTHERS)
    world.do("analyze")

    assert pages_of(world, business.sql.campaigns_of, asked) <= alone + MORE_PAGES_MAX


@pytest.mark.parametrize(("of_all", "more_of"), [(True, 2), (False, 2), (False, 1)])
def test_campaigns_are_listed_by_a_page_without_a_look_at_the_others(world: World, of_all: bool, more_of: int) -> None:
    mine, _ = world.business("Mine"), world.business("Other")
    add_campaigns(world, mine, 30)
    asked = {"campaign_id": None, "business_id": None if of_all else mine, "before_id": None, "page_max": 20}
    alone = pages_of(world, campaign.sql.list_campaigns, asked)

    add_campaigns(world, more_of, OTHERS)
    world.do("analyze")

    # An index of more rows is one level deeper, for the campaign's row of control and for its numbers.
    assert pages_of(world, campaign.sql.list_campaigns, asked) <= alone + 3 * 20
    (row,), last = campaign.page(business_id=asked["business_id"], limit=1)
    assert row.id == last == (30 if (of_all, more_of) == (False, 2) else 30 + OTHERS)


@pytest.mark.parametrize("of_all", [True, False])
def test_what_is_ruled_is_found_without_a_look_at_all_campaigns_for_each(world: World, of_all: bool) -> None:
    """With 20,000 campaigns that were dialed once, nobody saw what is paused within nine seconds."""
    mine, other = world.business("Mine"), world.business("Other")
    world.do("insert into campaign (business_id, name) values (%s, 'c')", mine)
    world.do("insert into campaign (business_id, name) select %s, 'c' || n from generate_series(1, 2000) as n", other)
    world.do("insert into dial_control (scope, key) select 'campaign', id::text from campaign")
    world.do(
        "update dial_control set state = 'paused', state_since = now()"
        " where scope = 'campaign' and (key = '1' or key like '%%0')"
    )
    asked = {"business_id": None if of_all else mine}

    ruled = pages_of(world, control.sql.list_control, asked | {"account_rate": None}, 202 if of_all else 1, "key")
    paused = pages_of(world, db.statements("page/control").pauses, asked | {"rows_max": 50}, 50 if of_all else 1, "key")

    assert ruled < 10 * 2000
    assert paused < 2000


def test_all_imports_are_listed_by_a_page(world: World) -> None:
    mine = world.business("Mine")
    insert = "insert into call_import (business_id, batch, state, created_by)"
    insert += " select %s, 'list', 'finished', 'test' from generate_series(1, %s)"
    world.do(insert, mine, 20)
    asked = dict.fromkeys(("id", "business_id", "campaign_id", "states", "before_id")) | {
        "page_max": 20,
        "silent_s": 300,
    }
    alone = pages_of(world, import_record.sql.find_imports, asked)

    world.do(insert, mine, OTHERS)
    world.do("analyze call_import")

    assert pages_of(world, import_record.sql.find_imports, asked) <= alone + MORE_PAGES_MAX
    with pytest.raises(import_record.BadImport, match="there is no import"):
        import_record.of(2**63 - 1)


def test_an_endpoint_s_deliveries_are_listed_without_those_of_others(world: World) -> None:
    mine, other = world.business("Mine"), world.business("Other")
    add_endpoint = "insert into webhook_endpoint (business_id, url, created_by) values (%s, 'https://x.test/', 'test')"
    own, others = (world.value(f"{add_endpoint} returning id", whose) for whose in (mine, other))
    add_events = "insert into event_log (public_id, business_id, type, data)"
    add_events += " select 'evt_' || %s || '_' || n, %s, 'call.ended', '{}' from generate_series(1, %s) as n"
    deliver = "insert into webhook_delivery (endpoint_id, event_id) select %s, id from event_log where business_id = %s"
    world.do(add_events, own, mine, 20)
    world.do(deliver, own, mine)
    asked = {"endpoint_id": own, "states": None, "before_id": None, "page_max": 20}
    given = [asked | {"business_id": whose} for whose in (mine, None)]
    alone = [pages_of(world, endpoint.sql.list_deliveries, one, key="event_id") for one in given]

    world.do(add_events, others, other, OTHERS)
    world.do(deliver, others, other)
    world.do("analyze")

    now = [pages_of(world, endpoint.sql.list_deliveries, one, key="event_id") for one in given]
    assert all(more <= before + 2 * 20 for before, more in zip(alone, now, strict=True))  # an index is a level deeper


def test_a_search_is_planned_once_per_connection(world: World) -> None:
    mine = world.business("Mine")
    kept = b"select count(*) from pg_backend_memory_contexts where name = 'CachedPlan' and ident like '%plan_search(%'"

    with db.connect(world.url, **db.PREPARED) as line:
        for _ in range(2):
            call_search.sql.find_calls(line, **SEARCH | {"business_id": mine})
        ((count,),) = line.execute(kept, prepare=False).fetchall()

    assert count == 1
