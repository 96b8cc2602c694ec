"""What happens to calls, leads and campaigns is written as events, in the transaction that makes it true."""

import re
from pathlib import Path
from typing import Any

import pytest

from outbound.call import CallEvent
from outbound.calls import cleanup, events, import_calls, lead, retention
from outbound.database import migrations
from outbound.rules import control
from outbound.rules.scope import Scope
from outbound.webhooks import event
from tests.conftest import World

pytestmark = pytest.mark.rows_only

SID = "CA" + "a" * 32


@pytest.fixture
def told(world: World) -> World:
    """A world of which an endpoint wants to know everything."""
    world.do(
        "insert into webhook_endpoint (url, event_types, created_by) values ('https://example.com/', %s, 'test')",
        ["call.answered", "call.ended", "call.corrected", "lead.created", "campaign.paused"],
    )
    return world


def written(world: World) -> list[Any]:
    return world.rows("select public_id, type, call_id, data from event_log order by id")


def types(world: World) -> list[str]:
    return [event.type for event in written(world)]


def report(call_id: int, status: str, **more: Any) -> None:
    events.record(call_id, CallEvent(SID, status, "create" if status == "initiated" else "lookup", **more))


def test_nobody_wants_to_know_and_nothing_is_written(world: World) -> None:
    call_id = world.initiated()
    report(call_id, "in-progress")
    report(call_id, "completed")

    assert written(world) == []


def test_a_call_s_answer_end_and_lead_are_written_in_their_order(told: World) -> None:
    call_id = told.initiated()
    report(call_id, "ringing")
    report(call_id, "in-progress")
    report(call_id, "completed", duration_s=12)
    lead.create_lead_from_call_job(SID)

    found = written(told)
    assert [(event.type, event.public_id) for event in found] == [
        ("call.answered", f"evt_call_answered_{call_id}"),
        ("call.ended", f"evt_call_ended_{call_id}"),
        ("lead.created", f"evt_lead_created_{call_id}"),
    ]
    end = found[1].data
    assert (end["status"], end["duration_s"], end["attempt"], end["is_last_attempt"]) == ("completed", 12, 1, True)
    assert found[2].data["is_new"] is True
    assert told.value("select count(*) from webhook_delivery where state = 'due'") == 3


def test_no_number_stands_in_an_event(told: World) -> None:
    call_id = told.initiated(to="+15005550123")
    report(call_id, "completed")
    lead.create_lead_from_call_job(SID)

    assert "5005550" not in str(written(told))


def test_an_end_names_the_next_attempt(told: World) -> None:
    call_id = told.initiated()
    told.do(
        "insert into retry_ladder (business_id, name, attempts_per_day_max, attempts_per_week_max)"
        " values (1, 'often', 5, 9)"
    )
    told.do("insert into retry_step (ladder_id, outcome, step, wait) values (1, 'busy', 1, '1 hour')")
    told.do("update business set ladder_id = 1")

    report(call_id, "busy")

    (end,) = written(told)
    assert end.data["is_last_attempt"] is False
    assert end.data["next_attempt_at"] is not None


def test_a_call_that_was_told_to_have_failed_is_corrected_once_for_each_status(told: World) -> None:
    call_id = told.initiated()
    told.age(call_id, 110)
    cleanup.cleanup_stuck_dialing_jobs()
    report(call_id, "in-progress")
    report(call_id, "in-progress")
    report(call_id, "completed")

    assert [(event.type, event.data["status"]) for event in written(told)] == [
        ("call.ended", "failed"),
        ("call.corrected", "in-progress"),
        ("call.corrected", "completed"),
    ]
    assert written(told)[1].data["was"] == "failed"


def test_a_call_that_goes_on_twice_is_corrected_twice(told: World) -> None:
    call_id = told.initiated()
    told.age(call_id, 110)
    cleanup.cleanup_stuck_dialing_jobs()
    for status in ("ringing", "in-progress"):
        report(call_id, status)
        told.do(
            "update call_log set status = 'failed', error_code = 'unknown_to_carrier', ended_at = now(),"
            " overdue_at = null where id = %s",
            call_id,
        )
    report(call_id, "ringing")

    corrections = written(told)[1:]
    assert [(event.public_id, event.data["status"]) for event in corrections] == [
        (f"evt_call_corrected_{call_id}_ringing", "ringing"),
        (f"evt_call_corrected_{call_id}_failed", "failed"),
        (f"evt_call_corrected_{call_id}_in-progress", "in-progress"),
        (f"evt_call_corrected_{call_id}_failed_2", "failed"),
        (f"evt_call_corrected_{call_id}_ringing_2", "ringing"),
    ]


def test_what_is_rolled_back_is_no_event(told: World) -> None:
    call_id = told.initiated()
    with told.connection.transaction(force_rollback=True):
        told.do("update call_log set status = 'canceled' where id = %s", call_id)
        assert types(told) == ["call.ended"]

    assert written(told) == []


def test_a_campaign_that_is_paused_is_told_once_with_its_reason(told: World) -> None:
    whose = told.business()
    campaign = told.value("insert into campaign (business_id, name) values (%s, 'spring') returning id", whose)

    for _ in range(2):
        control.pause(Scope("campaign", str(campaign)), reason="the text is wrong", actor="dana")

    (event,) = written(told)
    assert (event.type, event.data["campaign_id"], event.data["by"]) == ("campaign.paused", campaign, "operator")


@pytest.mark.parametrize(
    ("wanted", "is_told"),
    [([], True), (["call.ended"], True), (["lead.created"], False), (["call.answered"], False)],
)
def test_an_endpoint_is_told_of_the_types_that_it_names(world: World, wanted: list[str], is_told: bool) -> None:
    world.do("insert into webhook_endpoint (url, event_types, created_by) values ('https://a/', %s, 'test')", wanted)
    report(world.initiated(), "completed")

    assert bool(written(world)) is is_told


def test_an_endpoint_of_one_business_hears_nothing_of_another(world: World) -> None:
    mine, other = world.business(), world.business("Other")
    world.do("insert into webhook_endpoint (url, business_id, created_by) values ('https://a/', %s, 't')", other)
    report(world.initiated(mine), "completed")

    assert written(world) == []


def test_the_reader_of_the_stream_is_written_for_without_an_endpoint(world: World) -> None:
    world.do("insert into event_reader (name, wanted_until) values ('token 1', now() + interval '1 hour')")
    report(world.initiated(), "completed")

    assert types(world) == ["call.ended"]
    assert world.value("select count(*) from webhook_delivery") == 0


def test_every_type_that_sql_writes_is_known_to_python(world: World) -> None:
    sources = world.rows(
        "select prosrc from pg_proc where proname in ('event_of_call', 'event_of_pause', 'event_of_import')"
    )
    text = "".join(row.prosrc for row in sources)
    written_by_triggers = set(re.findall(r"'((?:call|lead|campaign|import)\.\w+)'", text))
    assert written_by_triggers == event.TYPES.keys() - {"ping", "endpoint.disabled", "campaign.done"}


def test_a_campaign_whose_last_call_has_ended_is_done_once_for_each_such_end(told: World) -> None:
    told.do("update webhook_endpoint set event_types = '{campaign.done}'")
    whose = told.business()
    campaign = told.value("insert into campaign (business_id, name) values (%s, 'spring') returning id", whose)
    first, second = told.initiated(whose, "+15005550101"), told.initiated(whose, "+15005550102")
    told.do("update call_log set campaign_id = %s", campaign)
    report(first, "completed")
    assert event.write_campaigns_done() == 0  # another call of it is live

    events.record(second, CallEvent("CA" + "b" * 32, "busy", "lookup"))
    assert event.write_campaigns_done() == 1
    assert event.write_campaigns_done() == 0
    (done,) = written(told)
    assert (done.type, done.data["campaign_id"], done.data["campaign"]) == ("campaign.done", campaign, "spring")

    third = told.initiated(whose, "+15005550103")
    told.do("update call_log set campaign_id = %s where id = %s", campaign, third)
    events.record(third, CallEvent("CA" + "c" * 32, "completed", "lookup"))
    assert event.write_campaigns_done() == 1
    assert len(written(told)) == 2


def test_what_happened_more_than_thirty_days_ago_is_forgotten(told: World) -> None:
    report(told.initiated(), "completed")
    told.do("update event_log set at = at - interval '29 days'")
    assert retention.delete_old_rest() == 0
    told.do("update event_log set at = at - interval '2 days'")

    assert retention.delete_old_rest() == 1
    assert told.value("select count(*) from webhook_delivery") == 0


def test_an_import_that_ended_is_told_with_its_counts(told: World, tmp_path: Path) -> None:
    told.do("update webhook_endpoint set event_types = '{import.done}'")
    whose = told.business()
    file = tmp_path / "calls.csv"
    file.write_text("to\n+15005550101\n+15005550102\n+15005550101\nnobody\n")

    import_calls.import_calls(file, business_id=whose, batch="spring", anyway=True)

    (event,) = written(told)
    assert (event.type, event.public_id) == ("import.done", "evt_import_done_1")
    counts = {name: event.data[name] for name in ("state", "created", "already_there", "duplicates", "rejected")}
    assert counts == {"state": "finished", "created": 2, "already_there": 0, "duplicates": 1, "rejected": 1}


def test_who_wants_corrections_alone_receives_them(told: World) -> None:
    told.do("update webhook_endpoint set event_types = '{call.corrected}'")
    call_id = told.initiated()
    told.age(call_id, 110)
    cleanup.cleanup_stuck_dialing_jobs()
    report(call_id, "in-progress")
    report(call_id, "completed")

    assert [(event.type, event.data["status"]) for event in written(told)] == [
        ("call.corrected", "in-progress"),
        ("call.corrected", "completed"),
    ]
    assert written(told)[0].data["was"] == "failed"


def test_who_may_change_a_call_may_write_its_events_before_the_roles_are_made_again(world: World) -> None:
    """Between `migrate` and `outbound roles` the application's role has the rights that the migration gave it."""
    migrations.rollback("0048_call_import")
    name = f"app_{world.value('select pg_backend_pid()')}"
    world.do(f"create role {name} nologin")
    try:
        world.do(f"grant select, insert, update on call_log, business, leads, campaign to {name}")
        migrations.migrate()
        call_id = world.initiated()
        with world.connection.transaction():
            world.do(f"set local role {name}")
            world.do(
                "update call_log set status = 'completed', ended_at = now(), overdue_at = null where id = %s", call_id
            )
        assert world.call(call_id).status == "completed"
    finally:
        world.do(f"drop owned by {name}")
        world.do(f"drop role {name}")
