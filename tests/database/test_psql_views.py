"""The views that a person with psql asks: what waits and why, what is overdue, how much of each limit is used."""

from tests.conftest import World


def test_queue_load_tells_calls_that_are_due_from_those_that_wait_for_something(world: World) -> None:
    open_one, paused, capped = (world.business() for _ in range(3))
    world.do(
        "insert into campaign (business_id, name, starts_at) values (%s, 'later', now() + interval '1 day')", open_one
    )
    world.do("insert into dial_control (scope, key, state) values ('business', %s, 'paused')", str(paused))
    world.do("insert into dial_control (scope, key) values ('business', %s)", str(capped))
    world.do("insert into spend_cap (scope, key, calls_per_day) values ('business', %s, 0)", str(capped))
    calls = [world.queued(open_one, f"+1500555010{place}") for place in range(5)]
    world.do("update call_log set due_at = now() + interval '1 hour' where id = %s", calls[1])
    world.do("update call_log set paused_at = now() where id = %s", calls[2])
    world.do("update call_log set campaign_id = 1 where id = %s", calls[3])
    world.queued(paused)
    world.queued(capped)

    load = world.rows("select business_id, campaign_id, state, calls::int from queue_load order by 1, 2 nulls first, 3")

    assert load == [
        (open_one, None, "call_paused", 1),
        (open_one, None, "due", 2),
        (open_one, None, "not_due", 1),
        (open_one, 1, "campaign_not_started", 1),
        (paused, None, "paused", 1),
        (capped, None, "spend_cap", 1),
    ]


def test_stale_calls_names_the_rule_that_is_to_act(world: World) -> None:
    claimed, unbound = world.claimed(), world.initiated(to="+15005550102")
    silent = world.initiated(to="+15005550103", call_sid="CA1")
    in_time = world.claimed(to="+15005550104")
    for call_id in (claimed, unbound, silent):
        world.age(call_id, 1000)

    stale = world.rows("select call_id, rule from stale_calls order by call_id")

    assert stale == [(claimed, "claimed"), (unbound, "no_call_sid"), (silent, "silent")]
    assert in_time not in {row.call_id for row in stale}


def test_scope_usage_shows_each_limit_beside_what_is_used_of_it(world: World) -> None:
    business_id = world.business()
    world.do(
        "insert into dial_control (scope, key, live_max, calls_per_second, tokens) values ('business', %s, 3, 2, 9)",
        str(business_id),
    )
    world.do(
        "insert into spend_cap (scope, key, calls_per_hour, minutes_per_day) values ('business', %s, 1, 6000)",
        str(business_id),
    )
    call_id = world.initiated(business_id, call_sid="CA1")
    world.do(
        "insert into spend_reserved (call_id, business_id, dialed_at, seconds) values (%s, %s, now(), 150)",
        call_id,
        business_id,
    )

    (usage,) = world.rows("select * from scope_usage where business_id = %s", business_id)

    assert (usage.scope, usage.campaign_id, usage.state) == ("business", None, "running")
    assert (usage.live, usage.live_max, usage.calls_per_second, usage.pace) == (1, 3, 2, 2)
    assert (usage.calls_this_hour, usage.calls_per_hour, usage.calls_per_day) == (1, 1, None)
    assert (usage.minutes_today, usage.minutes_per_day) == (3, 6000)
    assert (usage.room, usage.used_up_cap) == (0, "calls_per_hour")
    assert usage.held_until is not None
