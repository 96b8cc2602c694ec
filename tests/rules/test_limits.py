"""Pace, caps and fair shares: decided in the claim, counted from rows, and seen so by the carrier."""

import itertools
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from math import ceil
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outbound import db
from outbound.call import CallEvent
from outbound.calls import cleanup, dispatch, events, reconcile
from outbound.local.supervisor import process_commands
from outbound.monitoring import why
from outbound.rules import control
from tests import forked
from tests.conftest import ACCOUNT_SID, AUTH_TOKEN, CLAIM, Environment, Servers, World, begin, open_database, until
from tests.ports import free_ports

pytestmark = pytest.mark.rows_only

SCOPES = ("account", "business", "campaign", "number")
A_NUMBER = "+15005550006"


def _key(world: World, scope: str, call_id: int) -> str:
    call = world.call(call_id)
    keys = {"account": "", "business": call.business_id, "campaign": call.campaign_id, "number": call.from_number}
    return str(keys[scope])


def _limit(world: World, scope: str, key: str, **limits: object) -> None:
    for column, value in limits.items():
        world.do(
            f"insert into dial_control (scope, key, {column}) values (%s, %s, %s)"  # noqa: S608 (a column's name)
            f" on conflict (scope, key) do update set {column} = excluded.{column}",
            scope,
            key,
            value,
        )


def _campaign(world: World, business_id: int, name: str = "spring") -> int:
    insert = "insert into campaign (business_id, name) values (%s, %s) returning id"
    return int(world.value(insert, business_id, name))


_callees = (f"+1500{number}01" for number in itertools.count(10_000))  # 01: they answer and talk


def _queued(world: World, business_id: int, calls: int, campaign_id: int | None = None) -> list[int]:
    """Calls of one lane that are due."""
    return [
        int(
            world.value(
                "insert into call_log (business_id, campaign_id, from_number, to_number) values (%s, %s, %s, %s)"
                " returning id",
                business_id,
                campaign_id,
                A_NUMBER,
                next(_callees),
            )
        )
        for _ in range(calls)
    ]


def _claim(**values: object) -> list[int]:
    """One turn of dispatch; the calls that it claimed."""
    return [row.id for row in db.run(dispatch.sql.claim_due_calls, **(CLAIM | values)) if row.status == "claimed"]


# Caps


@pytest.mark.parametrize("scope", SCOPES)
def test_no_more_calls_are_live_at_once_than_the_cap_allows(world: World, scope: str) -> None:
    business_id = world.business()
    calls = _queued(world, business_id, 9, _campaign(world, business_id))
    world.worker()
    _limit(world, scope, _key(world, scope, calls[0]), live_max=4)

    assert len(_claim()) == 4
    world.do("update call_log set status = 'in-progress' where status = 'claimed'")
    assert _claim() == []

    world.do("update call_log set status = 'completed', overdue_at = null where id = any(%s)", calls[:2])
    assert len(_claim()) == 2


def _ended_unknown(world: World, call_id: int) -> None:
    """A call that is dialed, and closed since nobody could tell what became of it."""
    world.do(
        "update call_log set status = 'claimed', fence = 1, overdue_at = now() + interval '30 s' where id = %s", call_id
    )
    assert begin(call_id) is not None
    world.age(call_id, 200)
    assert db.run(cleanup.sql.close_without_call_sid, batch_max=10, grace_s=60, looks_min=2, only_id=None)
    assert world.call(call_id).status == "failed"


@pytest.mark.parametrize("scope", SCOPES)
def test_a_call_that_was_closed_without_knowing_its_outcome_keeps_its_place_until_it_is_known(
    world: World, scope: str
) -> None:
    business_id = world.business()
    closed, *_ = _queued(world, business_id, 3, _campaign(world, business_id))
    world.worker()
    key = _key(world, scope, closed)
    _limit(world, scope, key, live_max=1)
    _ended_unknown(world, closed)

    assert _claim() == []
    (row,) = [row for row in control.rows() if (row.scope, row.key) == (scope, key)]
    assert (row.live, row.unknown) == (1, 1)
    sentence = why.why(closed + 1).sentence
    assert "has 1 calls live, 1 of them with an unknown outcome, and 1 are allowed at once" in sentence

    for _ in range(2):  # the carrier knows of no such call
        db.run(reconcile.sql.record_absence, call_id=closed, call_sid=None, looks_min=2)
    assert len(_claim()) == 1


def test_a_call_of_unknown_outcome_that_the_carrier_must_have_ended_keeps_no_place(world: World) -> None:
    closed, *_ = _queued(world, world.business(), 2)
    world.worker()
    _limit(world, "account", "", live_max=1)
    _ended_unknown(world, closed)
    db.run(reconcile.sql.close_for_a_human, call_id=closed, call_sids=["CA1", "CA2"])

    assert _claim() == []
    world.do("update call_log set over_by = now() - interval '1 s' where id = %s", closed)
    assert len(_claim()) == 1


def test_a_call_of_unknown_outcome_that_turns_out_to_be_live_counts_once(world: World) -> None:
    closed, *_ = _queued(world, world.business(), 2)
    world.worker()
    _limit(world, "account", "", live_max=2)
    _ended_unknown(world, closed)

    events.record(closed, CallEvent("CA" + "1" * 32, "ringing", "callback"))

    assert world.value("select live from room_of_scopes(array['account'], array[''], null)") == 1
    assert len(_claim()) == 1


@pytest.mark.parametrize("scope", SCOPES)
def test_a_cap_of_zero_lets_nothing_through(world: World, scope: str) -> None:
    business_id = world.business()
    calls = _queued(world, business_id, 1, _campaign(world, business_id))
    world.worker()
    _limit(world, scope, _key(world, scope, calls[0]), live_max=0)

    assert _claim() == []


@pytest.mark.parametrize("scope", SCOPES)
def test_who_is_paused_is_not_dialed_and_holds_up_nobody_else(world: World, scope: str) -> None:
    business_id, other = world.business(), world.business()
    paused = _queued(world, business_id, 30, _campaign(world, business_id))
    world.do(
        "insert into call_log (business_id, from_number, to_number) values (%s, '+15005550007', '+15005550101')", other
    )
    world.worker()
    _limit(world, scope, _key(world, scope, paused[0]), state="paused")

    claimed = _claim()

    assert not set(claimed) & set(paused)
    assert len(claimed) == (0 if scope == "account" else 1)


def test_a_limit_of_one_scope_takes_no_room_from_another(world: World) -> None:
    """A number that may have one call does not use up what the account grants to the other number."""
    business_id = world.business()
    _queued(world, business_id, 20)
    _limit(world, "number", A_NUMBER, live_max=1)
    _limit(world, "account", "", live_max=5)
    for _ in range(20):
        world.do(
            "insert into call_log (business_id, from_number, to_number) values (%s, '+15005550007', %s)",
            business_id,
            next(_callees),
        )
    world.worker()

    _claim()

    claimed = world.rows("select from_number from call_log where status = 'claimed'")
    assert Counter(row.from_number for row in claimed) == {A_NUMBER: 1, "+15005550007": 4}


def _four_businesses(world: World) -> None:
    """Five calls that wait of each, from a number of its own."""
    for place in range(4):
        business_id = world.business(f"business {place}")
        _queued(world, business_id, 5)
        world.do("update call_log set from_number = %s where business_id = %s", f"+1500555000{place}", business_id)


def test_the_cap_of_the_account_holds_over_all_businesses_and_numbers(world: World) -> None:
    _four_businesses(world)
    _limit(world, "account", "", live_max=3)
    world.worker()

    assert len(_claim()) == 3


def test_the_room_of_the_workers_holds_over_all_businesses_and_numbers(world: World) -> None:
    _four_businesses(world)
    world.worker(threads=1)

    assert len(_claim()) == CLAIM["claims_per_thread"]


def test_who_may_not_be_dialed_takes_up_no_room(world: World) -> None:
    calls = _queued(world, world.business(), 3)
    world.do("insert into suppression (phone) select to_number from call_log where id <> %s", calls[2])
    _limit(world, "account", "", live_max=1)
    world.worker()

    assert _claim() == [calls[2]]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    caps=st.lists(st.integers(0, 6), min_size=6, max_size=6),
    calls=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40),
    free=st.integers(1, 30),
)
def test_whatever_the_caps_no_turn_exceeds_one_and_some_turn_fills_them(
    world: World, caps: list[int], calls: list[tuple[int, int, int]], free: int
) -> None:
    """Two businesses with two campaigns each and two numbers for all, every scope with a cap of its own."""
    world.empty("call_log", "leads", "worker", "business", "dial_control")
    world.do("insert into dial_control (scope, key, live_max) values ('account', '', %s)", free)
    world.worker(threads=50)
    businesses = [world.business() for _ in range(2)]
    campaigns = {(b, c): _campaign(world, businesses[b], f"c{c}") for b in range(2) for c in range(2)}
    numbers = ["+15005550006", "+15005550007"]
    limits = dict(zip([*businesses, *numbers], caps[:4], strict=True))
    for key in businesses:
        _limit(world, "business", str(key), live_max=limits[key])
    for number in numbers:
        _limit(world, "number", number, live_max=limits[number])
    limits[campaigns[0, 0]] = caps[4]
    _limit(world, "campaign", str(campaigns[0, 0]), live_max=caps[4])
    for b, c, n in calls:
        world.do(
            "insert into call_log (business_id, campaign_id, from_number, to_number) values (%s, %s, %s, %s)",
            businesses[b], campaigns[b, c], numbers[n], next(_callees),
        )  # fmt: skip

    while _claim():
        live = world.rows("select business_id, campaign_id, from_number from call_log where status = 'claimed'")
        assert len(live) <= free
        for row in live:
            assert sum(other.business_id == row.business_id for other in live) <= limits[row.business_id]
            assert sum(other.from_number == row.from_number for other in live) <= limits[row.from_number]
        assert sum(row.campaign_id == campaigns[0, 0] for row in live) <= caps[4]

    # A call that still waits is denied by a limit that is full.
    live = world.rows("select business_id, campaign_id, from_number from call_log where status = 'claimed'")
    for waiting in world.rows("select business_id, campaign_id, from_number from call_log where status = 'queued'"):
        full = (
            len(live) == free
            or sum(row.business_id == waiting.business_id for row in live) == limits[waiting.business_id]
            or sum(row.from_number == waiting.from_number for row in live) == limits[waiting.from_number]
            or (waiting.campaign_id == campaigns[0, 0]
                and sum(row.campaign_id == campaigns[0, 0] for row in live) == caps[4])
        )  # fmt: skip
        assert full


# Pace


@pytest.mark.parametrize("scope", SCOPES)
def test_tokens_are_spent_in_the_claim_and_come_back_with_time(world: World, scope: str) -> None:
    business_id = world.business()
    calls = _queued(world, business_id, 30, _campaign(world, business_id))
    world.worker(threads=50)
    key = _key(world, scope, calls[0])
    _limit(world, scope, key, calls_per_second=20)
    world.do("update dial_control set refilled_at = now() - interval '1 hour'")

    assert len(_claim()) == 2  # the bucket is full: 1 + 20/20
    assert len(_claim()) <= 1  # what came back meanwhile

    world.do("update dial_control set refilled_at = refilled_at - interval '100 ms'")
    assert 1 <= len(_claim()) <= 2
    assert all(row.dial_by is not None for row in world.rows("select dial_by from call_log where status = 'claimed'"))


def test_without_a_pace_a_claim_has_no_moment_to_miss(world: World) -> None:
    call_id = world.queued()
    world.worker()

    _claim()

    assert world.call(call_id).dial_by is None


def test_a_real_account_that_nobody_limited_goes_at_one_call_a_second(world: World) -> None:
    _queued(world, world.business(), 5)
    world.worker()
    world.do("update dial_control set refilled_at = now() - interval '1 hour'")

    assert len(_claim(account_rate=1.0)) == 1
    assert len(_claim(account_rate=1.0)) == 0


@given(rate=st.floats(0.05, 1000), turns=st.lists(st.integers(1, 400), min_size=1, max_size=300), lag=st.randoms())
def test_no_second_that_slides_over_the_creates_sees_more_than_the_rate(
    rate: float, turns: list[int], lag: Any
) -> None:
    """The arithmetic of pace_tokens: whatever the turns, and however late within 0.25 s each call is sent."""
    now, tokens, creates = 0.0, 1 + rate / 20, []
    for wait_ms in turns:
        now += wait_ms / 1000
        tokens = min(1 + rate / 20, tokens + wait_ms / 1000 * rate * 0.75)
        while tokens >= 1:
            tokens -= 1
            creates.append(now + lag.choice((0, 0.25)))

    assert _most_within_a_second(sorted(creates)) <= ceil(rate)


def _most_within_a_second(moments: list[float]) -> int:
    return max((bisect_left(moments, at + 1) - place for place, at in enumerate(moments)), default=0)


def test_many_lanes_make_no_claim_too_slow_to_be_begun(world: World) -> None:
    for _ in range(300):
        _queued(world, world.business(), 2)
    world.worker()
    world.do("analyze call_log")
    begun = 0

    for _ in range(6):
        world.do("update dial_control set refilled_at = now() - interval '10 s' where scope = 'account'")
        (call_id,) = _claim(account_rate=1.0)
        begun += begin(call_id) is not None

    assert begun == 6


# Fair shares


def test_one_call_beside_two_hundred_thousand_is_dialed_within_two_turns(world: World) -> None:
    big, small = world.business("big"), world.business("small")
    _many(world, big, 200_000)
    world.worker(threads=1)
    _claim(claims_per_thread=1)
    world.do("update call_log set status = 'initiated' where status = 'claimed'")
    alone = _queued(world, small, 1)[0]

    turns = []
    for _ in range(2):
        turns += _claim(claims_per_thread=1)
        world.do("update call_log set status = 'initiated' where status = 'claimed'")

    assert alone in turns


def test_two_hundred_thousand_calls_that_may_not_be_dialed_are_in_nobodys_way(world: World) -> None:
    big, small = world.business("big"), world.business("small")
    _many(world, big, 200_000)
    world.do("insert into suppression (phone) select to_number from call_log")
    world.worker(threads=1)
    alone = _queued(world, small, 1)[0]

    assert _claim() == [alone]


def test_a_claim_reads_a_bounded_number_of_rows_however_many_are_due(world: World) -> None:
    big, small = world.business("big"), world.business("small")
    _many(world, big, 200_000)
    _queued(world, small, 1)
    world.worker(threads=4)
    world.do("vacuum analyze call_log")
    statement = dispatch.sql.claim_due_calls.sql % (CLAIM | {"account_rate": "null"})

    plan = world.value("explain (analyze, buffers, format json) " + statement.replace("%", "%%"))[0]["Plan"]

    reads = [node for node in _nodes(plan) if node.get("Relation Name") == "call_log" and "Scan" in node["Node Type"]]
    rows = sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in reads)
    assert rows <= 10 * (20 + 8), "two lanes, 20 heads at most of each, a few looks at every row"
    assert "Seq Scan" not in [node["Node Type"] for node in reads]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 2000


def test_weights_share_out_what_there_is(world: World) -> None:
    heavy, light = world.business("heavy"), world.business("light")
    _queued(world, heavy, 60)
    _queued(world, light, 60)
    _limit(world, "business", str(heavy), weight=3)
    world.worker(threads=1)

    for _ in range(20):
        _claim()
        world.do("update call_log set status = 'initiated' where status = 'claimed'")

    shares = Counter(
        row.business_id for row in world.rows("select business_id from call_log where status = 'initiated'")
    )
    assert shares[heavy] == 30
    assert shares[light] == 10


def test_campaigns_of_one_business_take_turns_too(world: World) -> None:
    business_id = world.business()
    first, second = _campaign(world, business_id, "first"), _campaign(world, business_id, "second")
    for campaign_id in (first, second, None):
        _queued(world, business_id, 30, campaign_id)
    world.worker(threads=1)

    for _ in range(15):
        _claim(claims_per_thread=1)
        world.do("update call_log set status = 'initiated' where status = 'claimed'")

    begun = world.rows("select campaign_id from call_log where status = 'initiated'")
    assert Counter(row.campaign_id for row in begun) == {first: 5, second: 5, None: 5}


def test_who_was_idle_gets_no_arrears(world: World) -> None:
    busy, idle = world.business("busy"), world.business("idle")
    _queued(world, busy, 60)
    world.worker(threads=1)
    for _ in range(10):
        _claim()
        world.do("update call_log set status = 'initiated' where status = 'claimed'")
    _queued(world, idle, 30)

    late = []
    for _ in range(5):
        late += _claim()
        world.do("update call_log set status = 'initiated' where status = 'claimed'")

    shares = Counter(world.call(call_id).business_id for call_id in late)
    assert abs(shares[busy] - shares[idle]) <= 2


def _many(world: World, business_id: int, calls: int) -> None:
    world.do(
        "insert into call_log (business_id, from_number, to_number)"
        " select %s, '+15005550006', '+1501' || (1000000 + n) from generate_series(1, %s) as n",
        business_id,
        calls,
    )
    world.do("analyze call_log")


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)


# The whole system


@pytest.mark.parametrize("rate", [20, 80])
def test_by_arrival_no_second_sees_more_calls_than_were_granted(servers: Servers, template: str, rate: int) -> None:
    """Whatever is late is given back, so that this holds on a busy machine too; how fast it goes is not asked."""
    web, phones = free_ports(2)
    environment = {
        "OUTBOUND_WEB_PORT": str(web),
        "OUTBOUND_PUBLIC_URL": f"http://127.0.0.1:{web}",
        "OUTBOUND_SIMULATOR_PORT": str(phones),
        "OUTBOUND_SIMULATOR_SPEED": "12",
        "OUTBOUND_WORKER_PROCESSES": "2",
        "OUTBOUND_PUT_BACK_S": "0.1",
    }
    with open_database(servers, template) as url, Environment(**environment):
        world = World(url)
        _limit(world, "account", "", calls_per_second=rate)
        _many(world, world.business(), 20 * rate)
        with forked.processes(process_commands(simulator=True, in_process=False)) as running:

            def enough() -> bool:
                running.tend()
                return bool(world.value("select count(*) >= %s from call_log where call_sid is not null", 4 * rate))

            until(enough, timeout_s=90)
            log = _log(phones)
        world.connection.close()

    moments = sorted(datetime.fromisoformat(entry["at"]).timestamp() for entry in log)
    assert _most_within_a_second(moments) <= rate


def test_the_carrier_never_sees_more_than_was_granted(servers: Servers, template: str) -> None:
    """Eight worker processes, three schedulers, five businesses, 20 calls a second, 10 live, by the simulator's log."""
    web, phones = free_ports(2)
    environment = {
        "OUTBOUND_WEB_PORT": str(web),
        "OUTBOUND_PUBLIC_URL": f"http://127.0.0.1:{web}",
        "OUTBOUND_SIMULATOR_PORT": str(phones),
        "OUTBOUND_SIMULATOR_SPEED": "12",
        "OUTBOUND_WORKER_PROCESSES": "8",
        "OUTBOUND_WORKER_THREADS": "4",
        "OUTBOUND_PUT_BACK_S": "0.1",
    }
    processes = process_commands(simulator=True, in_process=False) | {
        "scheduler 2": ["scheduler"],
        "scheduler 3": ["scheduler"],
    }
    with open_database(servers, template) as url, Environment(**environment):
        world = World(url)
        _limit(world, "account", "", calls_per_second=20, live_max=10)
        for place in range(5):
            business_id = world.business(f"business {place}")
            _limit(world, "business", str(business_id), live_max=3)
            _queued(world, business_id, 40)
        with forked.processes(processes) as running:

            def settled() -> bool:
                running.tend()
                return bool(world.value("select count(*) = 0 from call_log where call_status_rank(status) < 5"))

            until(settled, timeout_s=90)
            log = _log(phones)
        world.connection.close()

    moments = sorted(datetime.fromisoformat(entry["at"]).timestamp() for entry in log)
    assert len(moments) >= 200
    assert _most_within_a_second(moments) <= 20
    assert max(entry["live_at_most"] for entry in log) <= 10
    assert moments[-1] - moments[0] < 60, "slow is no way to keep a limit: 15 a second were possible"


def _log(port: int) -> list[dict[str, Any]]:
    url = f"http://127.0.0.1:{port}/simulator/log"
    entries: list[dict[str, Any]] = requests.get(url, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=10).json()
    return entries
