"""Calls that ended long ago are deleted, and nothing that is still needed."""

import subprocess
from threading import Event, Thread
from typing import Any

import psycopg
import pytest

from outbound import config
from outbound.call import CallEvent
from outbound.calls import dispatch, events, retention
from outbound.errors import SettingsError
from outbound.processes import scheduler
from outbound.rules import audit
from tests import forked
from tests.conftest import World, forget_settings, until

pytestmark = pytest.mark.rows_only

DAY_S = 86_400
KEEP_DAYS = 30


def sid(number: int) -> str:
    return f"CA{number:032x}"


def ended(world: World, days_ago: float, to: str = "+15005550101", business_id: int | None = None) -> int:
    """A call that was made, answered, reported by the carrier and given its lead that long ago."""
    number = world.value("select count(*) from call_log") + 1
    call_id = world.initiated(business_id, to=to, call_sid=sid(number))
    events.record(call_id, CallEvent(sid(number), "completed", "callback"))
    world.do("update call_log set overdue_at = null where id = %s", call_id)
    grow_old(world, call_id, days_ago)
    return call_id


def grow_old(world: World, call_id: int, days: float) -> None:
    world.age(call_id, days * DAY_S)
    world.do("update call_log set ended_at = ended_at - make_interval(secs => %s) where id = %s", days * DAY_S, call_id)


def ids(world: World) -> list[int]:
    return [row.id for row in world.rows("select id from call_log order by id")]


def test_what_ended_long_ago_is_deleted_with_its_events_and_its_lead_stays(
    world: World, nudges: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.do("insert into webhook_endpoint (url, created_by) values ('https://receiver.example/', 'test')")
    old, recent = ended(world, KEEP_DAYS + 1), ended(world, KEEP_DAYS - 1, "+15005550102")
    world.do("insert into leads (business_id, phone) select business_id, to_number from call_log where id = %s", old)
    world.do("update call_log set lead_id = (select max(id) from leads) where id = %s", old)
    monkeypatch.setenv("OUTBOUND_RETENTION_DAYS", str(KEEP_DAYS))
    forget_settings()

    assert retention.delete_old_calls() == 1

    assert ids(world) == [recent]
    assert world.value("select count(*) from call_event where call_id = %s", old) == 0
    assert world.value("select count(*) from call_event where call_id = %s", recent) == 1
    told = world.rows("select event_log.call_id from webhook_delivery inner join event_log on event_log.id = event_id")
    assert [event.call_id for event in told] == [recent]
    assert world.value("select count(*) from leads") == 1
    assert world.count("retention", "calls") == 1


@pytest.mark.parametrize("days", ["", "0"])
def test_without_the_setting_every_call_is_kept(
    world: World, nudges: list[Any], monkeypatch: pytest.MonkeyPatch, days: str
) -> None:
    call_id = ended(world, 10_000)
    monkeypatch.setenv("OUTBOUND_RETENTION_DAYS", days)
    forget_settings()

    assert retention.delete_old_calls() == 0

    assert ids(world) == [call_id]


def test_nothing_live_is_touched_however_old(world: World, nudges: list[Any]) -> None:
    business_id = world.business()
    waiting = world.queued(business_id, "+15005550201")
    claimed = world.claimed(business_id, "+15005550202")
    dialed = world.initiated(business_id, "+15005550203")
    talking = world.initiated(business_id, "+15005550204", call_sid=sid(900))
    events.record(talking, CallEvent(sid(900), "in-progress", "callback"))
    for call_id in (waiting, claimed, dialed, talking):
        world.age(call_id, 1000 * DAY_S)
    before = world.rows("select * from call_log order by id")

    assert retention.purge(8) == (0, 0)

    assert world.rows("select * from call_log order by id") == before


def test_a_call_whose_lead_is_not_made_or_whose_end_is_in_doubt_is_kept(world: World, nudges: list[Any]) -> None:
    without_lead, in_doubt = ended(world, 100), world.initiated(to="+15005550102")
    world.do("update call_log set overdue_at = now() where id = %s", without_lead)
    close = "update call_log set status = 'failed', error_code = 'no_call_sid', ended_at = now() where id = %s"
    world.do(close, in_doubt)
    grow_old(world, in_doubt, 100)

    assert retention.purge(8).calls == 0

    assert ids(world) == [without_lead, in_doubt]


def test_what_the_carrier_calls_old_and_our_clock_does_not_is_kept(world: World, nudges: list[Any]) -> None:
    call_id = ended(world, 0)
    world.do("update call_log set ended_at = '2001-01-01' where id = %s", call_id)

    assert retention.purge(8).calls == 0


def attempts(world: World, days_ago: list[float]) -> list[int]:
    """A call and its later attempts, which ended that many days ago."""
    business_id = world.business()
    chain: list[int] = []
    for attempt, days in enumerate(days_ago, 1):
        call_id = ended(world, days, business_id=business_id)
        first = chain[0] if chain else None
        world.do("update call_log set attempt = %s, retry_of = %s where id = %s", attempt, first, call_id)
        chain.append(call_id)
    return chain


def test_a_retry_policy_goes_as_a_whole_its_first_attempt_last(
    world: World, nudges: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *later = attempts(world, [40, 38, 36])
    monkeypatch.setenv("OUTBOUND_RETENTION_DAYS", str(KEEP_DAYS))
    forget_settings()

    assert retention.delete_old_calls() == len(later)
    assert ids(world) == [first]

    assert retention.delete_old_calls() == 1
    assert ids(world) == []


def test_a_retry_policy_of_which_an_attempt_is_recent_or_waits_keeps_all_of_them(
    world: World, nudges: list[Any]
) -> None:
    recent, waiting = attempts(world, [40, 38, 2]), attempts(world, [60, 50])
    last = world.queued(world.call(waiting[0]).business_id)
    world.do("update call_log set attempt = 3, retry_of = %s where id = %s", waiting[0], last)

    assert retention.purge(KEEP_DAYS).calls == 0

    assert ids(world) == sorted([*recent, *waiting, last])


def test_the_days_that_a_retry_policy_s_caps_look_back_are_never_deleted(world: World, nudges: list[Any]) -> None:
    call_id = ended(world, 7.5)

    with pytest.raises(retention.KeptTooShortly, match="give 8 or more"):
        retention.purge(7)
    for days in (36_501, 1_000_000, 10**12, 10**30):
        with pytest.raises(retention.KeptTooLong, match="36500 days at most"):
            retention.purge(days)
    assert retention.purge(8).calls == 0

    assert ids(world) == [call_id]


def many_ended(world: World, calls: int, days_ago: int = 100) -> None:
    world.do("insert into business (name) values ('Acme')")
    world.do(
        "insert into call_log (business_id, from_number, to_number, status, call_sid, created_at, dialed_at, ended_at)"
        " select 1, '+15005550006', '+1500' || 5600000 + n, 'completed', 'CA' || n, moment, moment, moment"
        " from generate_series(1, %s) as n"
        " cross join lateral (select now() - make_interval(days => %s, secs => n) as moment) as past",
        calls,
        days_ago,
    )
    world.do(
        "insert into call_event (call_id, call_sid, source, status)"
        " select id, call_sid, 'callback', told from call_log cross join unnest(array['ringing', 'completed']) as told"
    )


def test_a_round_deletes_one_batch_and_the_oldest_first(
    world: World, nudges: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    many_ended(world, 50)
    monkeypatch.setattr(retention, "BATCH_MAX", 20)
    monkeypatch.setenv("OUTBOUND_RETENTION_DAYS", str(KEEP_DAYS))
    forget_settings()

    assert retention.delete_old_calls() == 20

    assert ids(world) == list(range(1, 31))  # in this history, the higher the id the older the call
    assert retention.purge(KEEP_DAYS) == (30, 60)


def test_old_calls_that_another_table_points_to_are_passed_over_however_many_there_are(
    world: World, nudges: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    many_ended(world, 10)
    world.do("create table note as select id as call_id from call_log where id > 5")
    world.do("alter table note add foreign key (call_id) references call_log (id)")
    monkeypatch.setattr(retention, "BATCH_MAX", 2)
    monkeypatch.setenv("OUTBOUND_RETENTION_DAYS", str(KEEP_DAYS))
    forget_settings()

    assert retention.delete_old_calls() == 2, "a round that only set calls aside has found something"

    assert len(ids(world)) == 10
    assert retention.purge(KEEP_DAYS).calls == 5
    assert ids(world) == [6, 7, 8, 9, 10]


def test_a_row_that_somebody_holds_is_left_for_the_next_round(world: World, nudges: list[Any]) -> None:
    held, free = ended(world, 100), ended(world, 100, "+15005550102")

    with psycopg.connect(world.url) as somebody:
        somebody.execute("select from call_log where id = %s for update", (held,))
        assert retention.purge(KEEP_DAYS).calls == 1
        assert ids(world) == [held]

    assert free not in ids(world)
    assert retention.purge(KEEP_DAYS).calls == 1


def test_two_hosts_that_delete_at_once_delete_each_call_once(world: World, nudges: list[Any]) -> None:
    many_ended(world, 3000)
    deleted: list[int] = []
    hosts = [Thread(target=lambda: deleted.append(retention.purge(KEEP_DAYS).calls)) for _ in range(3)]

    for host in hosts:
        host.start()
    for host in hosts:
        host.join(60)

    assert sum(deleted) == 3000
    assert (ids(world), world.value("select count(*) from call_event")) == ([], 0)
    assert world.count("retention", "calls") == 3000


def test_dispatch_goes_on_beside_it(world: World, nudges: list[Any]) -> None:
    many_ended(world, 5000)
    business_id = world.business()
    waiting = [world.queued(business_id, f"+1500557{number:04d}") for number in range(100)]
    world.worker(threads=100)
    purging = Thread(target=retention.purge, args=(KEEP_DAYS,))

    purging.start()
    while purging.is_alive():
        dispatch.dispatch_once()
    purging.join()
    until(lambda: dispatch.dispatch_once() == 0)

    assert ids(world) == waiting
    assert set(world.statuses()) == {"claimed"}
    assert sorted(call_id for _, call_ids in nudges for call_id in call_ids) == waiting


@pytest.mark.rows_only(False)
def test_a_batch_costs_the_same_however_long_the_history_is(world: World, nudges: list[Any]) -> None:
    many_ended(world, 20_000, days_ago=2)
    ended(world, 100)
    world.do("analyze call_log")
    statement = retention.sql.delete_ended_calls.sql

    with psycopg.connect(world.url) as connection:
        plan = connection.execute(
            b"explain (analyze, buffers, costs off, timing off) " + statement.encode(),
            {"keep_days": KEEP_DAYS, "batch_max": 1000, "apart": False},
        ).fetchall()

    text = "\n".join(line for (line,) in plan)
    assert "Index Scan using call_log_ended on call_log" in text
    assert "Seq Scan on call_log" not in text


def test_whoever_points_to_a_call_is_known_here(world: World) -> None:
    # A further table with a foreign key to call_log would stop every batch: decide there what becomes of its rows.
    pointing = world.rows(
        "select conrelid::regclass::text as owner from pg_constraint"
        " where confrelid = 'call_log'::regclass and contype = 'f' order by 1"
    )

    # What was set aside, and what was asked about, goes with its call.
    assert [row.owner for row in pointing] == ["call_event", "call_in_question", "call_log", "call_set_aside"]


def test_the_scheduler_deletes_what_the_setting_lets_go(
    world: World, nudges: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(world, KEEP_DAYS + 1)
    monkeypatch.setenv("OUTBOUND_RETENTION_DAYS", str(KEEP_DAYS))
    monkeypatch.setenv("OUTBOUND_TICK_S", "0.1")
    forget_settings()
    stop = Event()
    running = Thread(target=scheduler.run, args=(stop,))

    running.start()
    until(lambda: ids(world) == [])
    stop.set()
    running.join(30)

    assert not running.is_alive()


def purge_by_hand(*arguments: str) -> subprocess.CompletedProcess[str]:
    return forked.run("purge", *arguments)


def test_an_operator_deletes_by_hand_and_is_told_how_much(world: World, nudges: list[Any]) -> None:
    old, recent = ended(world, 100), ended(world, 9, "+15005550102")

    done = purge_by_hand("--older-than-days", "30")
    refused = purge_by_hand("--older-than-days", "7")

    assert (done.returncode, done.stdout) == (0, "1 calls and 1 events deleted\n"), done.stderr
    assert refused.returncode == 2
    assert "give 8 or more" in refused.stderr
    assert ids(world) == [recent] != [old]


@pytest.mark.parametrize("days", ["1", "7", "-1"])
def test_a_setting_that_would_delete_what_is_needed_is_refused(days: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_RETENTION_DAYS", days)

    with pytest.raises(SettingsError, match="OUTBOUND_RETENTION_DAYS"):
        config.load()


def test_a_call_that_waited_long_and_ended_lately_is_kept(world: World, nudges: list[Any]) -> None:
    call_id = world.queued()
    world.age(call_id, 100 * DAY_S)
    world.do("update call_log set status = 'canceled', ended_at = now()")

    assert retention.purge(KEEP_DAYS).calls == 0

    assert ids(world) == [call_id]


# What else is kept of people


@pytest.fixture
def old_and_new(world: World, nudges: list[Any]) -> World:
    """Of each kind one that is 40 days old and one that is 20."""
    acme = world.business()
    for days in (40, 20):
        phone = f"+150055502{days}"
        world.do(
            "insert into leads (business_id, phone, updated_at) values (%s, %s, now() - make_interval(days => %s))",
            acme,
            phone,
            days,
        )
        world.do("insert into registry_check values (%s, now() - make_interval(days => %s), false)", phone, days)
        world.do(
            "insert into audit (at, who, action, scope, key, details)"
            " values (now() - make_interval(days => %s), 'a', 'suppress', 'account', '', jsonb_build_object('n', %s))",
            days,
            days,
        )
        world.do(
            "insert into batch (business_id, name, imported_at) values (%s, %s, now() - make_interval(days => %s))",
            acme,
            str(days),
            days,
        )
    return world


def rests(world: World) -> dict[str, list[Any]]:
    return {
        "leads": [row.phone for row in world.rows("select phone from leads order by phone")],
        "registry": [row.phone for row in world.rows("select phone from registry_check order by phone")],
        "batches": [row.name for row in world.rows("select name from batch order by name")],
        "audit": [row.details for row in world.rows("select details from audit where action = 'suppress' order by at")],
    }


def test_leads_checks_and_details_of_the_audit_go_when_their_setting_says_so(
    old_and_new: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert retention.delete_old_rest() == 0
    for name in ("RETENTION", "LEAD", "REGISTRY", "BATCH", "AUDIT"):
        monkeypatch.setenv(f"OUTBOUND_{name}_DAYS", str(KEEP_DAYS))
    forget_settings()

    assert retention.delete_old_rest() == 4
    assert retention.delete_old_rest() == 0

    assert rests(old_and_new) == {
        "leads": ["+15005550220"],
        "registry": ["+15005550220"],
        "batches": ["20"],
        "audit": [{"erased": True}, {"n": 20}],
    }
    assert audit.verify().broken is None
    for kind in retention.KINDS:
        assert old_and_new.count("retention", kind) == 1


def test_a_lead_stays_as_long_as_one_of_its_calls_or_twins(old_and_new: World) -> None:
    call_id = ended(old_and_new, 1, "+15005550299", business_id=1)
    old_and_new.do("update call_log set lead_id = (select min(id) from leads) where id = %s", call_id)
    old_and_new.do("insert into leads (business_id, phone) values (1, '+15005550298')")
    old_and_new.do("update leads set duplicate_of = 2, updated_at = now() where id = 3")

    assert retention.purge_rest("leads", 8) == 0

    old_and_new.do("delete from leads where id = 3")
    assert retention.purge_rest("leads", 8) == 1
    assert rests(old_and_new)["leads"] == ["+15005550240"]


def test_an_operator_purges_them_by_hand(old_and_new: World) -> None:
    done = [purge_by_hand("--older-than-days", "30", "--what", what) for what in retention.KINDS]
    refused = purge_by_hand("--older-than-days", "7", "--what", "leads")

    assert [one.stdout.split()[0] for one in done] == ["1", "1", "1", "1"], [one.stderr for one in done]
    assert refused.returncode == 2
    assert "give 8 or more" in refused.stderr


@pytest.mark.parametrize("name", ["LEAD", "REGISTRY", "BATCH", "AUDIT"])
def test_a_setting_that_keeps_them_too_shortly_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"OUTBOUND_{name}_DAYS", "7")

    with pytest.raises(SettingsError, match=f"OUTBOUND_{name}_DAYS: must be 8 or more"):
        config.load()


def test_leads_are_not_kept_less_long_than_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_LEAD_DAYS", "30")

    with pytest.raises(SettingsError, match="OUTBOUND_LEAD_DAYS: needs OUTBOUND_RETENTION_DAYS"):
        config.load()
