"""One row that raises wherever it is touched stops only itself: the others are dialed, written down and cleaned up."""

import importlib.resources
from typing import Any

import psycopg
import pytest

from outbound import db
from outbound.call import CallEvent
from outbound.calls import cleanup, dial, dispatch, events, hang_up, lead, reconcile, retention
from outbound.checks import database
from outbound.monitoring import metrics, why
from outbound.simulator.server import RunningSimulator
from tests.conftest import World

pytestmark = pytest.mark.rows_only

UNKNOWN = "US/Gone"  # a name that no server ever knew is to a row what one is that this server has forgotten


@pytest.fixture
def acme(world: World) -> int:
    """A business whose calls have calling hours, all of the week."""
    business_id = world.business()
    world.do(
        "insert into calling_window (name, hours, known_until) values ('always', '{[0,10080)}', current_date + 300)"
    )
    world.do("update business set window_id = (select id from calling_window)")
    return business_id


def poison(world: World, call_id: int, values: str) -> None:
    """Give a row what no command would let in, as a restored database may hold it."""
    world.do("set session_replication_role = replica")
    world.do(f"update call_log set {values} where id = %s", call_id)  # noqa: S608 (the tests' own words)
    world.do("set session_replication_role = default")


def refuse(world: World, call_id: int) -> None:
    """Let every update of this row fail, as a constraint that fails on an old row does."""
    world.do(f"alter table call_log add constraint odd check (id <> {int(call_id)}) not valid")


def called_today(world: World, business_id: int, number: str) -> int:
    """A call to a number that the business's retry policy lets be called once a day."""
    world.do(
        "with added as (insert into retry_ladder (business_id, name, attempts_per_day_max, attempts_per_week_max)"
        " values (%s, 'twice', 1, 1) returning id) update business set ladder_id = added.id from added",
        business_id,
    )
    call_id = world.initiated(business_id, number, call_sid="CA1")
    world.do("update call_log set status = 'completed', overdue_at = null where id = %s", call_id)
    return call_id


def outcome(world: World, call_id: int) -> tuple[str, str | None]:
    (call,) = world.rows("select status, error_code from call_log where id = %s", call_id)
    return call.status, call.error_code


@pytest.mark.parametrize(
    ("values", "becomes"),
    [
        ("fence = 9223372036854775807", ("failed", "odd_row")),
        (f"time_zone = '{UNKNOWN}'", ("canceled", "no_time_zone")),
        ("time_zone = ''", ("canceled", "no_time_zone")),
        ("time_zone = 'US/Eastern'", ("claimed", None)),
        ("attempt = 2147483647, put_backs = 2147483647, looks = 2147483647", ("claimed", None)),
        ("dialed_at = 'infinity', created_at = '-infinity', answered_at = 'infinity'", ("claimed", None)),
        ("due_at = '4713-01-01 BC'", ("claimed", None)),
        ("contact = ('{\"n\": ' || repeat('9', 5000) || '}')::jsonb", ("claimed", None)),
        ("error_message = repeat('x', 100000)", ("claimed", None)),
    ],
)
def test_an_odd_row_at_the_head_of_the_queue_keeps_nobody_from_being_dialed(
    world: World, acme: int, nudges: list[Any], values: str, becomes: tuple[str, str | None]
) -> None:
    odd, other = world.queued(acme, "+12125550101"), world.queued(acme, "+12125550102")
    poison(world, odd, values)
    world.worker()

    dispatch.dispatch_once()

    assert world.call(other).status == "claimed"
    assert outcome(world, odd) == becomes


def test_an_odd_row_that_cannot_even_be_closed_is_kept_out_of_every_claim(
    world: World, acme: int, nudges: list[Any]
) -> None:
    odd, other = world.queued(acme, "+12125550101"), world.queued(acme, "+12125550102")
    refuse(world, odd)
    world.worker()

    dispatch.dispatch_once()
    later = world.queued(acme, "+12125550103")
    dispatch.dispatch_once()

    assert [world.call(call_id).status for call_id in (odd, other, later)] == ["queued", "claimed", "claimed"]
    assert world.rows("select call_id, step from call_set_aside") == [(odd, "claim")]
    assert metrics.read()["set_aside"] == {"claim": 1}


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ("closed", "error_code"),
        ("closed", "error_message"),
        ("closed", "ended_at"),
        ("held", "held_by"),
        ("held", "due_at"),
        ("claimed", "overdue_at"),
        ("claimed", "fence"),
    ],
)
def test_a_row_that_a_constraint_keeps_from_one_change_keeps_nobody_from_being_dialed(
    world: World, acme: int, nudges: list[Any], change: str, column: str
) -> None:
    if change == "held":
        called_today(world, acme, "+12125550101")
    odd, other = world.queued(acme, "+12125550101"), world.queued(acme, "+12125550102")
    if change == "closed":
        poison(world, odd, f"time_zone = '{UNKNOWN}'")
    now = world.value(f"select quote_nullable({column}::text) from call_log where id = %s", odd)  # noqa: S608
    world.do(f"alter table call_log add check (id <> {odd} or {column}::text is not distinct from {now})")
    world.worker()

    dispatch.dispatch_once()

    assert outcome(world, other)[0] == "claimed"
    assert outcome(world, odd)[0] in ("failed", "queued")  # closed, where the constraint lets it be
    assert world.rows("select call_id, step from call_set_aside") == [(odd, "claim")]


def test_what_is_set_aside_says_why_without_what_the_row_holds(world: World, acme: int, nudges: list[Any]) -> None:
    odd = world.queued(acme, "+12125550101")
    world.do(
        "create function odd() returns trigger language plpgsql as"
        " $$ begin raise 'no \"+12125550101\" here: 12125550101'; end $$"
    )
    world.do(
        "create trigger odd before update on call_log for each row when (new.status = 'claimed') execute function odd()"
    )
    world.worker()

    dispatch.dispatch_once()

    call = world.call(odd)
    assert (call.status, call.error_code) == ("failed", "odd_row")
    assert "P0001" in call.error_message
    assert "2125550101" not in call.error_message
    assert why.why(odd).code == "ended"


@pytest.mark.parametrize("column", ["dialed_at", "ended_at"])
@pytest.mark.parametrize("moment", ["infinity", "-infinity", "294276-12-31"])
def test_an_odd_moment_in_a_callee_s_history_stops_nobody(
    world: World, acme: int, nudges: list[Any], column: str, moment: str
) -> None:
    history = called_today(world, acme, "+12125550101")
    poison(world, history, f"{column} = '{moment}'")
    held, other = world.queued(acme, "+12125550101"), world.queued(acme, "+12125550102")
    world.worker()

    dispatch.dispatch_once()

    assert outcome(world, other)[0] == "claimed"
    assert outcome(world, held)[0] in ("queued", "claimed")


def test_odd_numbers_of_a_campaign_and_of_a_scope_stop_nobody(world: World, acme: int, nudges: list[Any]) -> None:
    world.do(
        "insert into campaign (business_id, name, registry_max_age_days, starts_at, ends_at)"
        " values (%s, 'odd', 2147483647, '-infinity', 'infinity')",
        acme,
    )
    world.do("insert into dial_control (scope, key, served) values ('business', %s, 'NaN')", str(acme))
    world.do("update dial_control set served_floor = 'Infinity' where scope = 'account'")
    odd, other = world.queued(acme, "+12125550101"), world.queued(acme, "+12125550102")
    world.do("update call_log set campaign_id = (select id from campaign) where id = %s", odd)
    world.worker()

    dispatch.dispatch_once()

    assert world.call(other).status == "claimed"
    assert world.value("select served from dial_control where scope = 'business'") < 100


def test_a_prefix_whose_zone_the_server_has_forgotten_closes_its_own_calls(
    world: World, acme: int, nudges: list[Any]
) -> None:
    world.do("update phone_zone set zones = array[%s] where prefix = '1212'", UNKNOWN)
    odd, other = world.queued(acme, "+12125550101"), world.queued(acme, "+13125550102")
    world.worker()

    dispatch.dispatch_once()

    assert world.call(other).status == "claimed"
    assert outcome(world, odd) == ("canceled", "no_time_zone")


def test_a_zone_that_nobody_knows_closes_its_call_and_says_which(world: World, nudges: list[Any]) -> None:
    odd = world.queued()  # its business has no calling hours
    poison(world, odd, f"time_zone = '{UNKNOWN}'")
    world.worker()

    dispatch.dispatch_once()

    assert outcome(world, odd) == ("canceled", "no_time_zone")
    assert UNKNOWN in world.call(odd).error_message


# Time zones that are given


@pytest.mark.parametrize(("given", "kept"), [("US/Eastern", "America/New_York"), ("Israel", "Asia/Jerusalem")])
def test_a_former_name_of_a_zone_becomes_the_present_one(world: World, given: str, kept: str) -> None:
    call_id = world.queued()
    world.do("update call_log set time_zone = %s", given)
    world.do("update business set time_zone = %s", given)

    assert world.call(call_id).time_zone == kept
    assert world.value("select time_zone from business") == kept


def test_a_zone_is_asked_for_when_it_comes_in_and_never_again(world: World) -> None:
    business_id = world.business()
    call_id = world.queued(business_id)
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        world.do("update call_log set time_zone = %s", UNKNOWN)
    poison(world, call_id, f"time_zone = '{UNKNOWN}'")

    world.do("update call_log set status = 'claimed', overdue_at = now() where id = %s", call_id)
    world.do("update call_log set time_zone = time_zone where id = %s", call_id)


def test_former_names_are_those_of_tzdata(world: World) -> None:
    data = importlib.resources.files("tzdata") / "zoneinfo"
    lines = [line.split() for line in (data / "tzdata.zi").read_text().splitlines()]
    links = {line[2] for line in lines if line and line[0] == "L"}
    present = {line.split("\t")[2] for line in (data / "zone.tab").read_text().splitlines() if line[0] != "#"}
    pseudo = {"CET", "EET", "EST", "GMT", "GMT+0", "GMT-0", "GMT0", "Greenwich", "HST", "MET", "MST", "UCT", "UTC"}
    pseudo |= {"Universal", "WET", "Zulu"} | {name for name in links if name.startswith("Etc/")}
    known = {row.name for row in world.rows("select name from former_zone")}

    assert links - present - pseudo <= known
    assert not known & present
    assert not known & pseudo
    assert {row.present for row in world.rows("select present from former_zone")} <= present
    differ = (
        "select name from former_zone where case when are_time_zones(array[name, present])"
        " then now() at time zone name <> now() at time zone present end"
    )
    assert world.rows(differ) == []


# What comes after the claim


def test_the_reports_that_come_with_an_odd_one_are_written_down(world: World, nudges: list[Any]) -> None:
    business_id = world.business()
    odd, other = (world.initiated(business_id, f"+1212555010{n}", call_sid=f"CA{n}") for n in (1, 2))
    refuse(world, odd)

    words = events.record_all(
        [(odd, CallEvent("CA1", "busy", "callback")), (other, CallEvent("CA2", "busy", "callback"))]
    )

    assert words == ["set_aside", "moved"]
    assert world.call(other).status == "busy"
    assert world.rows("select call_id, step from call_set_aside") == [(odd, "report")]


def test_a_row_with_a_forgotten_zone_hears_its_callbacks_and_is_tried_again(world: World, nudges: list[Any]) -> None:
    business_id = world.business()
    world.do(
        "with added as (insert into retry_ladder (business_id, name, attempts_per_day_max, attempts_per_week_max)"
        " values (%s, 'twice', 9, 9) returning id), chosen as (update business set ladder_id = added.id from added)"
        " insert into retry_step select id, 'busy', 1, interval '1 minute' from added",
        business_id,
    )
    call_id = world.initiated(business_id, call_sid="CA1")
    poison(world, call_id, f"time_zone = '{UNKNOWN}', attempt = 2147483640")

    assert events.record(call_id, CallEvent("CA1", "busy", "callback")) == "moved"

    assert world.statuses() == ["busy", "queued"]


@pytest.mark.parametrize(
    "report",
    [
        CallEvent("CA1", "x" * 9000, "callback"),
        CallEvent("CA1", "busy", "lookup", duration_s=2**40, sequence_number=-5, sip_code=2**31),
        CallEvent("CA1", "busy", "callback", answered_by="".join(map(chr, range(32, 9000)))),
        CallEvent("CA1", "busy", "lookup", to_number=None, payload={"a\0b": "c\0d", "half": "\ud800"}),
    ],
)
def test_a_report_is_written_down_whatever_one_of_its_fields_holds(
    world: World, nudges: list[Any], report: CallEvent
) -> None:
    call_id = world.initiated(call_sid="CA1")

    assert events.record(call_id, report) in ("moved", "unknown_status")

    assert world.call(call_id).status == ("busy" if report.status == "busy" else "initiated")


def test_a_contact_that_python_cannot_read_keeps_no_other_call_of_its_nudge(
    world: World, carrier: RunningSimulator
) -> None:
    business_id = world.business()
    world.do("update business set twiml = '<Response><Say>{{n}}</Say></Response>'")
    huge, deep, other = (world.claimed(business_id, f"+1212555010{n}") for n in (1, 2, 3))
    poison(world, huge, "contact = ('{\"n\": ' || repeat('9', 5000) || '}')::jsonb")
    poison(world, deep, "contact = ('{\"n\": ' || repeat('[', 4000) || repeat(']', 4000) || '}')::jsonb")

    dial.dial_call(huge, deep, other)

    assert outcome(world, huge) == ("failed", "odd_row")
    assert world.value("select dialed_at from call_log where id = %s", huge) is None
    assert world.call(other).call_sid is not None
    assert outcome(world, deep)[0] in ("failed", "initiated")


def test_a_row_that_cannot_be_begun_keeps_no_other_call_of_its_nudge(world: World, carrier: RunningSimulator) -> None:
    business_id = world.business()
    odd, other = (world.claimed(business_id, f"+1212555010{n}") for n in (1, 2))
    refuse(world, odd)

    dial.dial_call(odd, other)

    assert world.call(other).call_sid is not None
    assert world.rows("select call_id, step from call_set_aside") == [(odd, "begin")]


def test_clean_up_steps_over_an_odd_row(world: World, nudges: list[Any]) -> None:
    business_id = world.business()
    odd, claimed = (world.claimed(business_id, f"+1212555010{n}") for n in (1, 2))
    silent = world.initiated(business_id, "+12125550103")
    moment = world.initiated(business_id, "+12125550104")
    for call_id in (odd, claimed, silent, moment):
        world.age(call_id, 600)
    poison(world, moment, "dialed_at = '-infinity'")
    refuse(world, odd)

    moved = cleanup.cleanup_stuck_dialing_jobs()

    assert moved == {"claimed": 1, "no_call_sid": 2, "no_lead": 0, "campaign_ended": 0}
    assert [world.call(call_id).status for call_id in (odd, claimed, silent)] == ["claimed", "queued", "failed"]
    assert set(cleanup.cleanup_stuck_dialing_jobs().values()) == {0}


def test_clean_up_steps_over_an_odd_row_of_an_ended_campaign(world: World, nudges: list[Any]) -> None:
    business_id = world.business()
    odd, other = (world.queued(business_id, f"+1212555010{n}") for n in (1, 2))
    ended = world.value("insert into campaign (business_id, name, ends_at) values (1, 'x', now()) returning id")
    world.do("update call_log set campaign_id = %s", ended)
    refuse(world, odd)

    assert cleanup.cleanup_stuck_dialing_jobs()["campaign_ended"] == 1
    assert [world.call(call_id).status for call_id in (odd, other)] == ["queued", "canceled"]
    assert world.rows("select call_id, step from call_set_aside") == [(odd, "cleanup")]
    assert cleanup.cleanup_stuck_dialing_jobs()["campaign_ended"] == 0


def test_reconcile_asks_about_a_row_that_lacks_its_moments(world: World, carrier: RunningSimulator) -> None:
    business_id = world.business()
    world.do("alter table call_log alter column created_at drop not null")
    odd, other = (world.initiated(business_id, f"+1212555010{n}") for n in (1, 2))
    for call_id in (odd, other):
        world.age(call_id, 65)
    poison(world, odd, "dialed_at = null, created_at = null")

    assert reconcile.reconcile_overdue_calls() == 2

    assert [world.call(call_id).looks for call_id in (odd, other)] == [1, 1]


def test_one_odd_answer_does_not_end_the_round_of_the_others(
    world: World, carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    business_id = world.business()
    odd, other = (world.initiated(business_id, f"+1212555010{n}") for n in (1, 2))
    for call_id in (odd, other):
        world.age(call_id, 65)
    look_up = reconcile._reports
    monkeypatch.setattr(reconcile, "_reports", lambda call: 1 / 0 if call.id == odd else look_up(call))

    reconcile.reconcile_overdue_calls()

    assert world.call(other).looks == 1


def test_hang_ups_step_over_an_odd_row(world: World, carrier: RunningSimulator) -> None:
    business_id = world.business()
    odd, other = (world.initiated(business_id, f"+1212555010{n}", call_sid=f"CA{n:032}") for n in (1, 2))
    world.do("update call_log set hang_up = 'completed'")
    refuse(world, odd)

    hang_up.hang_up_requested_calls()

    assert world.call(other).hang_up_asked_at is not None
    assert world.rows("select call_id, step from call_set_aside") == [(odd, "hang_up")]


def test_a_call_that_somebody_s_table_points_to_stays_and_the_others_are_deleted(world: World) -> None:
    business_id = world.business()
    odd, other = (world.initiated(business_id, f"+1212555010{n}", call_sid=f"CA{n}") for n in (1, 2))
    world.do("update call_log set status = 'completed', ended_at = now() - interval '90 days', overdue_at = null")
    world.do("update call_log set dialed_at = ended_at, created_at = ended_at")
    world.do("create table note (call_id bigint references call_log (id))")
    world.do("insert into note values (%s)", odd)

    assert retention.purge(30).calls == 1

    assert [row.id for row in world.rows("select id from call_log")] == [odd]
    assert world.call(odd).status == "completed"
    assert other


# Leads


def _inbound(world: World, caller: str) -> str:
    business_id = world.business()
    world.do(
        "insert into call_log (business_id, direction, from_number, to_number, call_sid, status, overdue_at, ended_at)"
        " values (%s, 'inbound', %s, '+12125550100', 'CA1', 'completed', now(), now())",
        business_id,
        caller,
    )
    return "CA1"


def test_a_caller_id_that_is_no_number_makes_no_lead_and_says_so(world: World, nudges: list[Any]) -> None:
    _inbound(world, "".join(chr(48 + n * n % 75) for n in range(9014)))

    lead.create_lead_from_call_job("CA1")

    call = world.rows("select * from call_log")[0]
    assert (call.status, call.error_code, call.overdue_at) == ("completed", "no_phone", None)
    assert call.error_message


def test_a_lead_that_the_database_refuses_is_given_up(world: World, nudges: list[Any]) -> None:
    _inbound(world, "+12125550101")
    world.do("alter table leads add check (length(phone) < 5)")

    for _ in range(lead.TRIES_MAX):
        assert world.value("select overdue_at from call_log") is not None
        lead.create_lead_from_call_job("CA1")

    call = world.rows("select * from call_log")[0]
    assert (call.status, call.error_code, call.overdue_at) == ("completed", "no_phone", None)
    assert "23514" in call.error_message
    assert "2125550101" not in call.error_message
    assert world.count("lead", "no_phone") == 1


def test_a_caller_id_longer_than_any_number_names_nobody(world: World, nudges: list[Any]) -> None:
    world.business(phone="+12125550100")

    events.record_inbound_call("CA1", "9" * 9014, "+12125550100")

    assert world.value("select from_number from call_log") == "anonymous"


# What an operator sees


def test_doctor_counts_what_was_set_aside_and_the_zones_that_nobody_knows(world: World) -> None:
    business_id = world.business()
    odd = world.queued(business_id)
    poison(world, odd, f"time_zone = '{UNKNOWN}'")
    world.do("update business set time_zone = 'Mars/Olympus'")

    zones, aside = database._time_zones(), database._set_aside()
    assert (zones.state, aside.state) == ("fail", "ok")
    assert f"{UNKNOWN} (1 queued calls)" in zones.text
    assert "Mars/Olympus (1 businesses)" in zones.text

    world.do("select set_aside(%s, 'claim', '23514', 'it says \"x\"')", odd)
    world.do("update business set time_zone = 'UTC'")
    assert (database._time_zones().state, database._set_aside().state) == ("ok", "warn")
    assert "1 at claim" in database._set_aside().text


def test_the_classes_of_errors_are_the_same_in_sql(world: World) -> None:
    states = ["21000", "22003", "23514", "25006", "40P01", "42501", "53100", "54000", "57014", "P0001", "XX001"]
    for state in states:
        error = psycopg.errors.lookup(state)()
        assert db.is_of_a_row(error) == world.value("select is_of_a_row(%s)", state)
