"""Caps of calls and minutes an hour and a day: counted from rows, kept in the claim, and shown."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from outbound import db
from outbound.calls import dial, dispatch
from outbound.monitoring import metrics, why
from outbound.rules import business, campaign, control, spend
from outbound.rules.limits import set_limits
from outbound.rules.scope import BadControl, Scope
from outbound.simulator.server import RunningSimulator
from tests.conftest import Environment, World, begin

pytestmark = pytest.mark.rows_only

EVERYTHING = Scope("account", "")
PERIODS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


@pytest.fixture(autouse=True)
def _limit(database: str) -> Iterator[None]:
    """A time limit that no test has to guess."""
    with Environment(OUTBOUND_TIME_LIMIT_S="600"):
        yield


@pytest.fixture
def acme(world: World) -> int:
    world.worker(threads=64)
    return business.add("Acme", time_zone="Asia/Kolkata", twiml="<Response/>", phones=["+15005560100"])


@pytest.fixture
def spring(acme: int) -> int:
    return campaign.add(acme, {"name": "spring"}, actor="Dana")


def queue(world: World, business_id: int, calls: int, campaign_id: int | None = None) -> list[int]:
    insert = (
        "insert into call_log (business_id, campaign_id, from_number, to_number)"
        " select %s, %s, '+15005560100', '+1500555' || lpad((%s + n)::text, 4, '0') from generate_series(1, %s) as n"
        " returning id"
    )
    first = world.value("select count(*) from call_log")
    return [row.id for row in world.rows(insert, business_id, campaign_id, first, calls)]


def claim(world: World) -> int:
    """Dispatch until nothing moves; return how many calls are claimed."""
    while dispatch.dispatch_once():
        pass
    return int(world.value("select count(*) from call_log where status = 'claimed'"))


def end(world: World, call_id: int, seconds: int | None, status: str = "completed") -> None:
    """A call that the carrier took ends, having lasted so long."""
    world.do("update call_log set call_sid = 'CA' || id where id = %s and call_sid is null", call_id)
    world.do(
        "update call_log set status = %s, duration_s = %s, ended_at = now(), overdue_at = null where id = %s",
        status, seconds, call_id,
    )  # fmt: skip


def scope_of(what: str, acme: int, spring: int) -> Scope:
    keys = {"account": "", "business": str(acme), "campaign": str(spring)}
    return Scope(what, keys[what])


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("what", ["account", "business", "campaign"])
def test_no_more_calls_begin_than_a_cap_says_and_the_rest_waits_until_the_next_period(
    world: World, nudges: list[object], acme: int, spring: int, what: str, period: str
) -> None:
    scope = scope_of(what, acme, spring)
    set_limits(scope, **{f"calls_per_{period}": "3"})
    calls = queue(world, acme, 5, spring)

    assert claim(world) == 3
    for call_id in calls[:3]:
        assert begin(call_id)
        end(world, call_id, 5)
    assert claim(world) == 0, "what began counts"
    assert spend.settle_spend() == 3
    assert claim(world) == 0, "and what has ended counts"

    reason = why.why(calls[4])
    assert reason.code == "spend_cap"
    assert reason.details["cap"] == f"calls_per_{period}"
    assert f"may have 3 calls per {period}" in reason.sentence
    zone = ZoneInfo("UTC" if what == "account" else "Asia/Kolkata")
    now = datetime.now(UTC).astimezone(zone)
    begun = now.replace(minute=0, second=0, microsecond=0, hour=now.hour if period == "hour" else 0)
    assert reason.until == begun + PERIODS[period]
    assert world.statuses().count("queued") == 2

    step = PERIODS[period] + timedelta(hours=1)  # it passes
    world.do("update spend set began_at = began_at - %s", step)
    assert claim(world) == 2


def test_a_call_counts_its_time_limit_until_it_has_ended_and_then_its_minutes(
    world: World, nudges: list[object], acme: int
) -> None:
    set_limits(Scope("business", str(acme)), minutes_per_day="25")
    calls = queue(world, acme, 6)

    assert claim(world) == 2, "two calls of 10 minutes at most fit in"
    for call_id in calls[:2]:
        begin(call_id)
    assert claim(world) == 0
    end(world, calls[0], 61)
    end(world, calls[1], None, "no-answer")
    assert claim(world) == 0, "before it is counted it may have taken all its time"
    spend.settle_spend()

    row = world.rows("select calls, seconds from spend where scope = 'business' and period = 'day'")[0]
    assert tuple(row) == (2, 120), "begun minutes are whole ones"
    assert claim(world) == 2, "23 minutes are left"


def test_a_campaign_has_a_time_limit_of_its_own_that_the_carrier_is_told_and_caps_reckon_with(
    world: World, nudges: list[object], acme: int, spring: int, carrier: RunningSimulator
) -> None:
    campaign.change(spring, {"time_limit_s": 120}, actor="Dana")
    set_limits(Scope("campaign", str(spring)), minutes_per_hour="5")
    calls = queue(world, acme, 3, spring)
    assert claim(world) == 2

    dial.dial_call(calls[0])
    other = queue(world, acme, 1)[0]
    assert claim(world) == 2
    dial.dial_call(other)

    assert [entry["time_limit"] for entry in carrier.log()] == ["120", "600"]
    reserved = {row.call_id: row.seconds for row in world.rows("select * from spend_reserved")}
    assert reserved == {calls[0]: 120, other: 600}
    over = {
        row.id: row.s
        for row in world.rows(
            "select id, extract(epoch from over_by - dialed_at)::int as s from call_log where dialed_at is not null"
        )
    }
    assert over[other] - over[calls[0]] == 480


@pytest.mark.parametrize("given", [9, 86_401])
def test_a_time_limit_that_no_carrier_takes_is_refused(world: World, acme: int, given: int) -> None:
    with pytest.raises(campaign.BadCampaign, match="the time limit is seconds, 10 to 86400"):
        campaign.add(acme, {"name": "autumn", "time_limit_s": given}, actor="Dana")


def test_a_session_that_says_no_time_limit_reckons_with_a_day(world: World, acme: int) -> None:
    assert world.value("select call_limit_s(null)") == 86_400
    assert world.value("select call_limit_s(30)") == 30


def test_a_call_that_came_back_unsent_counts_no_more(world: World, nudges: list[object], acme: int) -> None:
    set_limits(EVERYTHING, calls_per_hour="1")
    (call_id,) = queue(world, acme, 1)
    claim(world)
    call = begin(call_id)
    db.run(dial.sql.put_back, call_id=call_id, fence=call.fence, wait_s=1, reason="a test")
    assert spend.settle_spend() == 0, "a worker may be beginning it again at this moment"
    world.do("update spend_reserved set dialed_at = now() - interval '2 min'")
    assert spend.settle_spend() == 1

    assert world.rows("select from spend") == []


def test_an_unknown_outcome_keeps_its_place_until_the_carrier_must_have_ended_it(
    world: World, nudges: list[object], acme: int
) -> None:
    set_limits(EVERYTHING, minutes_per_hour="10")
    first = queue(world, acme, 2)[0]
    claim(world)
    begin(first)
    world.do(
        "update call_log set status = 'failed', error_code = 'no_call_sid', ended_at = now(), overdue_at = null"
        " where id = %s", first,
    )  # fmt: skip

    assert spend.settle_spend() == 0
    world.do("update call_log set over_by = now() where id = %s", first)
    assert spend.settle_spend() == 1

    assert world.value("select seconds from spend where scope = 'account' and period = 'hour'") == 600
    assert claim(world) == 0


def test_a_row_that_is_gone_costs_all_that_it_might_have(world: World, nudges: list[object], acme: int) -> None:
    (call_id,) = queue(world, acme, 1)
    claim(world)
    begin(call_id)
    world.do("delete from call_event")
    world.do("delete from call_log")

    assert spend.settle_spend() == 1
    assert world.value("select seconds from spend where scope = 'business' and period = 'day'") == 600


def test_a_cap_of_a_zone_that_nobody_knows_any_more_goes_by_utc(world: World, nudges: list[object], acme: int) -> None:
    world.do("alter table business disable trigger business_zone")
    world.do("update business set time_zone = 'Nowhere/At_All'")
    set_limits(Scope("business", str(acme)), calls_per_day="1")
    queue(world, acme, 2)

    assert claim(world) == 1


def test_a_cap_of_0_stops_and_one_that_is_taken_away_does_not(world: World, nudges: list[object], acme: int) -> None:
    queue(world, acme, 2)
    set_limits(EVERYTHING, calls_per_day="0", minutes_per_hour="1000")
    assert claim(world) == 0
    set_limits(EVERYTHING, calls_per_day="none")
    assert claim(world) == 2
    shown = next(row for row in control.rows() if row.scope == "account")
    assert (shown.calls_per_day, shown.minutes_per_hour, shown.spend_code) == (None, 1000, None)
    audit = [row.details for row in world.rows("select details from audit where action = 'limit' order by id")]
    assert audit == [{"calls_per_day": 0, "minutes_per_hour": 1000}, {"calls_per_day": None}]


def test_a_cap_that_would_let_no_call_begin_is_refused(world: World, acme: int, spring: int) -> None:
    of_business, of_campaign = Scope("business", str(acme)), Scope("campaign", str(spring))
    with pytest.raises(BadControl, match="--minutes-per-day 9 lets no call begin, as one may last 10 minutes"):
        set_limits(of_business, minutes_per_day="9", minutes_per_hour="10")
    assert world.rows("select from spend_cap") == []

    campaign.change(spring, {"time_limit_s": 1201}, actor="Dana")
    with pytest.raises(BadControl, match="--minutes-per-hour 20 lets no call begin, as one may last 21 minutes"):
        set_limits(of_business, minutes_per_hour="20")
    with pytest.raises(BadControl, match="may last 21 minutes"):
        set_limits(of_campaign, minutes_per_hour="20")
    campaign.change(spring, {"time_limit_s": 60}, actor="Dana")
    for scope, cap in ((of_campaign, "1"), (of_business, "10"), (of_business, "0")):
        set_limits(scope, minutes_per_hour=cap)


@pytest.mark.parametrize("text", ["-1", "1.5", "many", "", "100000001"])
def test_a_cap_that_is_no_number_is_refused_and_changes_nothing(world: World, text: str) -> None:
    with pytest.raises(BadControl, match="--minutes-per-day is a whole number from 0"):
        set_limits(EVERYTHING, calls_per_day="3", minutes_per_day=text)

    assert world.rows("select from spend_cap") == []


def test_a_number_has_no_cap(world: World, acme: int) -> None:
    with pytest.raises(BadControl, match="caps are of everything, a business or a campaign"):
        set_limits(Scope("number", "+15005560100"), calls_per_day="3")


def test_a_cap_without_its_row_of_control_cannot_be_written(world: World) -> None:
    with pytest.raises(Exception, match="foreign key"):
        world.do("insert into spend_cap (scope, key, calls_per_day) values ('business', '77', 1)")


def test_a_preview_says_that_a_cap_is_reached_and_how_long_it_makes_everything(
    world: World, nudges: list[object], acme: int, spring: int
) -> None:
    set_limits(Scope("campaign", str(spring)), calls_per_hour="2")
    queue(world, acme, 6, spring)
    claim(world)

    found = why.preview(spring)

    assert found.limited_by == f"campaign {spring}: 2 calls per hour"
    assert found.stopped_by[0].startswith(f"Campaign {spring} may have 2 calls per hour: no more fit in before ")


def test_a_preview_is_not_stopped_by_a_cap_that_leaves_room(
    world: World, nudges: list[object], acme: int, spring: int
) -> None:
    set_limits(Scope("campaign", str(spring)), calls_per_hour="7")
    queue(world, acme, 6, spring)

    assert why.preview(spring).stopped_by == []


# What is watched


def read() -> dict[str, dict[str | None, float]]:
    return metrics.read()


def test_calls_behind_a_cap_are_withheld_and_not_late(world: World, nudges: list[object], acme: int) -> None:
    set_limits(Scope("business", str(acme)), calls_per_day="0")
    for call_id in queue(world, acme, 2):
        world.age(call_id, 5000)

    numbers = read()

    assert numbers["withheld"]["spend_cap"] == 2
    assert numbers["due"][None] == numbers["oldest_due_seconds"][None] == 0
    assert numbers["capped_scopes"] == {"account": 0, "business": 1, "campaign": 0}


def _begun(world: World, business_id: int, phone: str) -> int:
    insert = "insert into call_log (business_id, from_number, to_number) values (%s, '+15005560100', %s) returning id"
    call_id = int(world.value(insert, business_id, phone))
    claim(world)
    assert begin(call_id)
    return call_id


def test_a_country_that_was_never_called_before_is_told_for_an_hour(
    world: World, nudges: list[object], acme: int
) -> None:
    business.change(acme, default_region="IL")
    for phone in ("+972501234567", "+442079460123", "+442079460124", "+15005550101"):
        _begun(world, acme, phone)

    spend.settle_spend()
    spend.settle_spend()

    assert [tuple(row) for row in world.rows("select business_id, region from country_called")] == [(acme, "GB")]
    assert read()["new_countries"] == {str(acme): 1}
    world.do("update country_called set first_at = now() - interval '61 min'")
    assert "new_countries" not in read()


def test_what_is_called_today_is_shown_beside_what_is_usual(world: World, acme: int) -> None:
    world.do(
        "insert into spend (scope, key, period, began_at, calls)"
        " select 'business', %s, 'day', period_start('day', now(), 'Asia/Kolkata') - n * interval '1 day',"
        " case n when 0 then 300 when 8 then 1000 else 14 end"
        " from generate_series(0, 8) as n", str(acme),
    )  # fmt: skip

    numbers = read()

    assert numbers["business_calls_today"] == {str(acme): 300}
    assert numbers["business_calls_usual"] == {str(acme): 14}


def test_old_totals_are_forgotten(world: World) -> None:
    world.do(
        "insert into spend (scope, key, period, began_at) values ('account', '', 'hour', now() - interval '3 days'),"
        " ('account', '', 'day', now() - interval '3 days'), ('account', '', 'day', now() - interval '41 days')"
    )

    spend.settle_spend()

    assert world.value("select count(*) from spend") == 1


@pytest.mark.rows_only(False)
def test_the_cost_of_a_claim_does_not_grow_with_what_was_spent(world: World, nudges: list[object], acme: int) -> None:
    set_limits(Scope("business", str(acme)), calls_per_day="100000", minutes_per_hour="100000")
    world.do(
        "insert into spend (scope, key, period, began_at, calls)"
        " select 'business', b::text, 'hour', now() - n * interval '1 hour', 1"
        " from generate_series(1, 100) as b, generate_series(1, 48) as n on conflict do nothing"
    )

    def pages(connection: db.Connection) -> int:
        connection.execute(b"analyze spend")
        plan: Any = connection.execute(b"explain (analyze, buffers, format json) select * from spend_room()").fetchone()
        return int(plan[0][0]["Plan"]["Shared Hit Blocks"] + plan[0][0]["Plan"]["Shared Read Blocks"])

    assert db.with_connection(pages) < 40
