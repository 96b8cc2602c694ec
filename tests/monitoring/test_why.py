"""Why a call is not being dialed right now, and what a campaign would do if it were launched now."""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import pytest

from outbound import db
from outbound.calls import dispatch
from outbound.calls.reason import Reason
from outbound.monitoring.why import preview, why
from outbound.page import reason_words
from outbound.page.words import Words
from outbound.rules import control
from outbound.rules.limits import set_limits
from outbound.rules.scope import BadControl, Scope
from tests.cli.test_cli import run
from tests.conftest import World, forget_settings
from tests.rules.test_control import queued

pytestmark = pytest.mark.rows_only

# Statements that give the campaign a window: one that is always open, and one whose days off are no longer known.
OPEN = (
    "insert into calling_window (name, hours) values ('always', '{[0,10080)}');"
    "update campaign set window_id = (select id from calling_window);"
)
LISTED = (
    "update campaign set registry_max_age_days = 15;"
    "insert into registry_check (phone, checked_at, is_listed) values ('+15005550101', now(), true)"
)
CLOSED = f"{OPEN} update calling_window set known_until = '2020-01-01';"  # noqa: S608


@pytest.fixture
def campaign_id(world: World) -> int:
    """A campaign of a new business."""
    business_id = world.business()
    return int(world.value("insert into campaign (business_id, name) values (%s, 'May') returning id", business_id))


@pytest.fixture
def call_id(world: World, campaign_id: int) -> int:
    """A call that nothing keeps from being dialed."""
    world.worker()
    world.scheduler()
    return queued(world, campaign_id)


def told(call_id: int, code: str, *words: str) -> Reason:
    """The reason has this code and these words, and its sentence is one."""
    reason = why(call_id)
    assert reason.code == code, reason
    assert all(word in reason.sentence for word in words), reason
    assert reason.sentence.endswith((".", "lets it go."))
    assert reason.sentence[0].isupper()
    return reason


@pytest.mark.parametrize("nobody", [4711, 0, -1, 10**30])
def test_a_call_that_does_not_exist(world: World, nobody: int) -> None:
    assert why(nobody) == Reason("unknown_call", f"There is no call {nobody}.", None, {})


def test_what_stops_all_dialing_comes_before_the_calls_own_reasons(world: World, call_id: int) -> None:
    world.do("insert into dialing_stop (cause, reason) values ('broker', 'The broker takes no writes: see doctor.')")
    world.do("update call_log set due_at = now() + interval '1 day'")

    told(call_id, "stopped_broker", "The broker takes no writes: see doctor. Nothing is dialed since ")


def test_what_stops_all_dialing_is_no_matter_of_a_call_that_has_ended(world: World, call_id: int) -> None:
    world.do("insert into dialing_stop (cause, reason) values ('recovery', 'Run `outbound recover`.')")
    world.do("update call_log set status = 'canceled'")

    told(call_id, "ended")


def test_a_call_that_has_ended_says_how(world: World, call_id: int) -> None:
    world.do("update call_log set status = 'failed', error_code = '21211', error_message = 'No such number.'")

    reason = told(call_id, "ended", "failed", "21211: No such number.")

    assert reason.details["error_code"] == "21211"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("status = 'initiated'", "answer of the carrier is awaited"),
        ("status = 'ringing', call_sid = 'CA1'", "It is in the air: ringing."),
        ("status = 'in-progress', call_sid = 'CA1', hang_up = 'completed'", "asked to hang up"),
    ],
)
def test_a_call_that_is_in_the_air(world: World, call_id: int, change: str, words: str) -> None:
    world.do("update call_log set overdue_at = now()")
    world.do(f"update call_log set {change}")  # noqa: S608

    told(call_id, "in_the_air", words)


def test_a_call_that_is_claimed(world: World, call_id: int) -> None:
    world.do("update call_log set status = 'claimed', overdue_at = now() + interval '30 s'")

    reason = told(call_id, "claimed", "taken back at")

    assert reason.until == world.call(call_id).overdue_at


@pytest.mark.parametrize("what", ["account", "business", "campaign", "number", "call"])
def test_a_call_that_an_operator_paused_says_who_and_why(world: World, call_id: int, what: str) -> None:
    call = world.call(call_id)
    key = {"account": "", "business": call.business_id, "campaign": call.campaign_id, "number": call.from_number}
    scope = Scope(what, str(key.get(what, call_id)))
    control.pause(scope, reason="Lunch.", actor="anna")

    reason = told(call_id, "paused", " by anna: Lunch.", f"`outbound resume {scope}`")

    assert (reason.details["who"], reason.details["paused"]) == ("anna", str(scope))
    assert reason.details["since"] is not None


def test_a_pause_without_a_reason_says_so(world: World, call_id: int) -> None:
    control.pause(Scope("account", ""), actor="anna")

    told(call_id, "paused", "Everything is paused since", "anna: no reason was given.")


def test_a_business_with_nothing_to_say(world: World, call_id: int) -> None:
    world.do("update business set twiml = null")

    told(call_id, "nothing_to_say", "voice URL or TwiML")


def test_a_campaign_that_has_not_started(world: World, call_id: int) -> None:
    world.do("update campaign set starts_at = now() + interval '1 day'")

    reason = told(call_id, "not_started", "campaign starts at")

    assert reason.until == world.value("select starts_at from campaign")


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ("attempt = 1", "not_due", "It is due at"),
        ("attempt = 2", "not_due", "attempt 2"),
        ("put_backs = 1, error_message = 'Not sent: HTTP 429.'", "not_due", "Not sent: HTTP 429. It is tried again"),
        ("held_by = 'attempts_per_day'", "attempts_per_day", "as often as one day allows. It waits until"),
    ],
)
def test_a_call_that_is_not_due(world: World, call_id: int, change: str, code: str, words: str) -> None:
    world.do("update call_log set due_at = now() + interval '1 hour'")
    world.do(f"update call_log set {change}")  # noqa: S608

    reason = told(call_id, code, words)

    assert reason.until == world.call(call_id).due_at


def test_what_will_cancel_a_call_is_said_before_a_pause_and_before_its_time(world: World, call_id: int) -> None:
    """Before, a pause promised that `resume` lets the call go, and one that is due later waited for its time alone."""
    call = world.call(call_id)
    world.do("insert into suppression (phone) values (%s)", call.to_number)
    control.pause(Scope("business", str(call.business_id)), actor="anna")
    now = told(call_id, "suppressed", "It will be canceled in its turn.")
    world.do("update call_log set due_at = date_trunc('minute', now()) + interval '1 day'")

    later = told(call_id, "suppressed", "Unless that changes, it will be canceled in its turn, from ")

    assert now.details["canceled_from"] is None
    assert datetime.fromisoformat(later.details["canceled_from"]) == world.call(call_id).due_at
    assert preview(call.campaign_id).refused.keys() == {"suppressed"}


def test_a_call_that_is_due_behind_the_end_of_its_campaign_says_so(world: World, call_id: int) -> None:
    world.do("update call_log set due_at = now() + interval '2 days'")
    world.do("update campaign set ends_at = date_trunc('minute', now()) + interval '1 day'")

    reason = told(call_id, "campaign_ends_first", "Its campaign ends before it is due. Unless that changes, it will be")

    assert datetime.fromisoformat(reason.details["canceled_at"]) == world.value("select ends_at from campaign")
    assert preview(world.call(call_id).campaign_id).refused.keys() == {"campaign_ends_first"}


@pytest.mark.parametrize(
    ("obstacle", "code"),
    [
        ("update campaign set starts_at = '2020-01-01', ends_at = '2020-01-02'", "campaign_ended"),
        ("insert into suppression (phone) values ('+15005550101')", "suppressed"),
        ("update campaign set consent_required = true", "no_consent"),
        ("update campaign set registry_max_age_days = 15", "registry_check_old"),
        (LISTED, "registry_listed"),
        (OPEN, "no_time_zone"),
        (CLOSED, "outside_window"),
    ],
)
def test_each_obstacle_of_the_claim(world: World, nudges: list[object], call_id: int, obstacle: str, code: str) -> None:
    if code == "no_time_zone":
        world.do("update call_log set to_number = '+80055501010'")  # a number of no country
    world.do(obstacle)

    reason = told(call_id, code)

    dispatch.dispatch_once()
    call = world.call(call_id)
    assert code in (call.error_code, call.held_by)
    assert reason.details["is_final"] == (call.status == "canceled")


def test_a_call_for_which_no_hour_comes_is_never_said_to_wait_for_one(
    world: World, nudges: list[object], call_id: int
) -> None:
    world.do("update call_log set to_number = '+79161234567', time_zone = null")  # in eleven time zones
    world.do(
        "insert into calling_window (name, hours) values ('an hour', '{[600,660)}');"
        "update campaign set window_id = (select id from calling_window)"
    )

    before = told(call_id, "outside_window", "No hour of the next two weeks is inside.")
    dispatch.dispatch_once()
    held = told(call_id, "outside_window", "No hour of the next two weeks is inside.")

    assert world.call(call_id).held_by == "outside_window"
    assert held.sentence == before.sentence
    assert "No hour of the next two weeks is inside." in str(reason_words.why(asdict(held), "UTC", Words("en")))


def test_a_callee_who_was_tried_often_enough(world: World, call_id: int) -> None:
    world.do(
        "with policy as (insert into retry_ladder (business_id, name, attempts_per_day_max, attempts_per_week_max)"
        " select id, 'two', 1, 3 from business returning id) update business set ladder_id = policy.id from policy"
    )
    business_id = world.call(call_id).business_id
    world.do("update call_log set status = 'busy', dialed_at = now() - interval '3 hours' where id = %s", call_id)
    again = world.queued(business_id)

    reason = told(again, "attempts_per_day", "It may be dialed from")

    assert reason.until == world.value("select dialed_at + interval '1 day' from call_log where id = %s", call_id)


def test_a_carrier_in_trouble(world: World, call_id: int) -> None:
    world.do(
        "update dial_control set troubles = 5, carrier_holds = 1, carrier_hold_until = now() + interval '4 s'"
        " where scope = 'account'"
    )

    reason = told(call_id, "hold", "The carrier is in trouble, 5 times in a row", "`outbound resume everything`")
    assert reason.until == world.value("select carrier_hold_until from dial_control where scope = 'account'")

    world.do("update dial_control set hold_until = now() + interval '9 s'")
    told(call_id, "hold", "Everything is held until", "being canceled")

    world.do("update dial_control set carrier_hold_until = now() - interval '1 s', hold_until = null")
    world.claimed(to="+15005550102")
    told(call_id, "trial", "one call at a time is tried")


def test_a_scope_that_has_as_many_live_calls_as_it_may(world: World, call_id: int) -> None:
    call = world.call(call_id)
    set_limits(Scope("business", str(call.business_id)), live_max="1")
    world.initiated(call.business_id, "+15005550102")

    reason = told(call_id, "live_max", f"Business {call.business_id} has 1 calls live, and 1 are allowed")

    assert reason.details["live_max"] == 1


def test_a_scope_that_has_used_up_its_pace(world: World, call_id: int) -> None:
    set_limits(Scope("number", "+15005550006"), calls_per_second="0.5")
    world.do("update dial_control set tokens = 0.25, refilled_at = now() where scope = 'number'")

    reason = told(call_id, "pace", "may begin 0.50 calls per second")

    assert reason.until is not None
    waits_s = (reason.until - world.value("select now()")).total_seconds()
    assert 0 < waits_s <= 2


def test_nobody_is_there_to_dial(world: World, call_id: int) -> None:
    world.do("update worker set seen_at = now() - interval '11 s'")

    told(call_id, "no_worker", "outbound worker")


def test_every_thread_is_busy(world: World, call_id: int) -> None:
    world.do("update worker set threads = 1")
    for number in range(16):
        world.claimed(to=f"+150055502{number:02}")

    told(call_id, "workers_busy", "All 1 worker threads are busy: 16 calls are claimed")


def test_a_due_call_says_how_many_are_before_it(world: World, nudges: list[object], campaign_id: int) -> None:
    first = queued(world, campaign_id, "+15005550102")
    second = queued(world, campaign_id, "+15005550103")
    world.worker()
    world.scheduler()

    told(first, "due", "0 due calls are before it")
    reason = told(second, "due", "1 due calls are before it")

    assert reason.details == {"before": 1}
    dispatch.dispatch_once()
    assert world.statuses() == ["claimed", "claimed"]


def test_without_a_scheduler_nobody_takes_a_due_call(world: World, call_id: int) -> None:
    world.do("update duty set last_success_at = now() - interval '2 minutes'")

    told(call_id, "no_scheduler", "No scheduler is alive", "start `outbound scheduler`.")


@pytest.mark.parametrize(
    ("stated", "business_zone", "shown"),
    [
        ("Asia/Jerusalem", "Europe/Paris", "Fri 2100-01-01 11:00 Asia/Jerusalem"),
        (None, "Europe/Paris", "Fri 2100-01-01 10:00 Europe/Paris"),  # the number is of many zones
        (None, "Mars/Olympus", "Fri 2100-01-01 09:00 UTC"),
    ],
)
def test_moments_are_by_the_callees_clocks_or_else_the_businesss(
    world: World, call_id: int, stated: str | None, business_zone: str, shown: str
) -> None:
    world.do("update business set time_zone = %s", business_zone)
    world.do("update call_log set due_at = '2100-01-01 09:00Z', time_zone = %s", stated)

    told(call_id, "not_due", f"It is due at {shown}.")


def test_an_account_whose_rate_nobody_set_has_that_of_its_carrier(
    world: World, call_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("OUTBOUND_CARRIER", "twilio"), ("OUTBOUND_PUBLIC_URL", "https://calls.example.com")):
        monkeypatch.setenv(name, value)
    forget_settings()
    world.do("update business set default_region = 'US'")
    world.do("update call_log set to_number = '+12015550123'")
    world.do("update dial_control set tokens = 0, refilled_at = now()")

    told(call_id, "pace", "Everything may begin 1.00 calls per second")


def test_a_preview_says_how_many_would_be_dialed_and_what_holds_the_rest(world: World, campaign_id: int) -> None:
    calls = [queued(world, campaign_id, f"+150055502{number:02d}") for number in range(8)]
    world.do("insert into suppression (phone) values ('+15005550200'), ('+15005550201')")
    world.do("update call_log set paused_at = now() where id = %s", calls[2])
    world.do("update call_log set due_at = now() + interval '1 hour' where id = any(%s)", calls[3:5])
    world.do("update call_log set held_by = 'outside_window' where id = %s", calls[4])
    world.initiated(to="+15005550299")  # not waiting

    found = preview(campaign_id)

    assert found.now == 3
    assert {code: part.calls for code, part in found.held.items()} == {"paused": 1, "not_due": 1, "outside_window": 1}
    assert {code: part.calls for code, part in found.refused.items()} == {"suppressed": 2}
    assert found.refused["suppressed"].sentence == "The number is on a do-not-call list."
    assert found.held["not_due"].until == world.call(calls[3]).due_at
    assert (found.to_dial, found.calls_per_second, found.duration_s, found.stopped_by) == (6, None, None, [])
    assert world.statuses() == ["queued"] * 8 + ["initiated"]


def test_a_preview_agrees_with_the_claim(world: World, nudges: list[object], campaign_id: int) -> None:
    world.do(OPEN)
    world.do("update campaign set consent_required = true")
    for number in range(3):
        queued(world, campaign_id, f"+1212555020{number}")
    queued(world, campaign_id, "+12125550300")
    world.do("update call_log set due_at = now() + interval '1 hour' where to_number = '+12125550202'")
    queued(world, campaign_id, "+80055501010")
    world.do(
        "insert into consent (business_id, phone, given_at)"
        " select business_id, to_number, now() from call_log where to_number <> '+12125550300'"
    )
    world.worker()

    found = preview(campaign_id)
    dispatch.dispatch_once()

    refused = {code: part.calls for code, part in found.refused.items()}
    assert refused == {"no_consent": 1, "no_time_zone": 1}
    assert {code: part.calls for code, part in found.held.items()} == {"not_due": 1}
    canceled = world.rows("select error_code, count(*) from call_log where status = 'canceled' group by 1")
    assert dict(canceled) == refused
    assert found.now == world.statuses().count("claimed") == 2


@pytest.mark.parametrize(
    ("limits", "seconds", "limited_by"),
    [
        ([("account", "", {"calls_per_second": "4"})], 2, "everything: 4 calls per second"),
        ([("number", "1", {"calls_per_second": "1"}), ("number", "2", {"calls_per_second": "3"})], 2, "its numbers: 4"),
        ([("number", "1", {"calls_per_second": "1"})], None, None),  # the other one has no limit
        ([("campaign", "", {"live_max": "5"}), ("account", "", {"calls_per_second": "4"})], 12, "5 calls at once"),
        ([("campaign", "", {"live_max": "0"})], None, "0 calls at once"),
    ],
)
def test_a_preview_says_how_long_it_takes_and_because_of_which_limit(
    world: World,
    campaign_id: int,
    limits: list[tuple[str, str, dict[str, str]]],
    seconds: float | None,
    limited_by: str | None,
) -> None:
    for number in range(6):
        queued(world, campaign_id, f"+150055502{number:02d}")
    numbers = {"1": "+15005550006", "2": "+15005550007"}
    for phone in numbers.values():
        world.do("insert into campaign_number values (%s, %s)", campaign_id, phone)
    keys = {"account": "", "campaign": str(campaign_id)}
    for scope, key, limit in limits:
        set_limits(Scope(scope, keys.get(scope) or numbers.get(key, "")), **limit)

    found = preview(campaign_id, call_s=10)

    assert found.duration_s == (None if seconds is None else pytest.approx(seconds))
    assert (limited_by or "") in (found.limited_by or "")


def test_a_call_lasts_as_long_as_the_latest_ones_did(world: World, campaign_id: int) -> None:
    set_limits(Scope("campaign", str(campaign_id)), live_max="1")
    assert (preview(campaign_id).call_s, preview(campaign_id).call_s_from) == (30, "OUTBOUND_RING_S: no call has ended")
    for number, lasted_s in enumerate((20, 40)):
        ended = queued(world, campaign_id, f"+150055502{number:02d}")
        world.do(
            "update call_log set status = 'completed', call_sid = id, dialed_at = now() - interval '1 hour',"
            " ended_at = now() - interval '1 hour' + make_interval(secs => %s) where id = %s",
            lasted_s,
            ended,
        )

    found = preview(campaign_id)

    assert (found.call_s, found.call_s_from) == (30, "the latest calls")


def test_a_preview_says_what_stops_the_whole_campaign(world: World, campaign_id: int) -> None:
    world.do("update business set twiml = null")
    world.do("update campaign set starts_at = '2100-01-01T00:00Z'")
    control.pause(Scope("campaign", str(campaign_id)), reason="Not yet.")

    assert preview(campaign_id).stopped_by == [
        "nobody said what it plays: give it, or its business, a voice URL or TwiML",
        "it starts at Fri 2100-01-01 00:00 UTC",
        f"campaign {campaign_id}: paused: Not yet.",
    ]


def test_a_preview_of_nothing_is_refused(world: World, campaign_id: int) -> None:
    for nobody in (4711, -1, 10**30):
        with pytest.raises(BadControl, match="there is no campaign"):
            preview(nobody)
    for call_s in (0, -1, float("nan"), 1e9):
        with pytest.raises(BadControl, match="--call-s"):
            preview(campaign_id, call_s)


def test_the_commands_why_and_preview(world: World, tmp_path: Path, call_id: int) -> None:
    settings = {"DATABASE_URL": world.url, "REDIS_URL": "memory://", "OUTBOUND_CARRIER": "simulator"}
    campaign = str(world.call(call_id).campaign_id)
    set_limits(Scope("account", ""), calls_per_second="0.5")

    plain = run(tmp_path, settings, "preview", campaign, "--call-s", "5")
    as_json = run(tmp_path, settings, "preview", campaign, "--json")
    unknown = run(tmp_path, settings, "why", "4711")
    reason = run(tmp_path, settings, "why", str(call_id), "--json")

    assert "1 calls take 0:00:03 within their hours" in plain.stdout
    assert json.loads(as_json.stdout)["now"] == 1
    assert (unknown.returncode, unknown.stdout) == (2, "There is no call 4711. `outbound calls` finds calls.\n")
    assert json.loads(reason.stdout)["code"] in ("due", "pace", "no_worker", "no_scheduler")
    assert db.run(dispatch.sql.release_claims, call_ids=[]) == 0
