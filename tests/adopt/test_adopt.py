"""The system before is taken over beside its own tables, tenant by tenant, and given back."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import rq

from outbound.adopt.fates import FATES
from outbound.adopt.old_job import LEAD
from outbound.failpoint import ADOPT_POINTS, ADOPT_REDIS_POINTS, UNDO_POINTS, UNDO_REDIS_POINTS
from outbound.simulator.server import RunningSimulator
from tests import forked, old_system
from tests.calls.test_recover import rung, running_workers
from tests.conftest import SETTINGS, Environment, Servers, until
from tests.old_systems import OldSystem, Templates, adopt, open_old_system, outbound

COUNTED = {
    "business": "public.business",
    "call": "public.call_log",
    "lead": "public.leads",
    "run": "public.outbound_call_runs",
    "job": "public.outbound_call_jobs",
}


@pytest.fixture(scope="module")
def templates(servers: Servers) -> Iterator[Templates]:
    templates = Templates(servers)
    yield templates
    templates.drop()


@pytest.fixture
def system(request: pytest.FixtureRequest, servers: Servers, templates: Templates) -> Iterator[OldSystem]:
    """An old system; our schema beside it is new."""
    with open_old_system(servers, getattr(request, "param", "whole"), templates) as found:
        yield found


@pytest.fixture
def untouched(request: pytest.FixtureRequest, servers: Servers) -> Iterator[OldSystem]:
    """An old system; there is no schema of ours."""
    with open_old_system(servers, getattr(request, "param", "whole")) as found:
        yield found


SHAPES = ("whole", "fixed", "small")


@pytest.mark.parametrize("untouched", SHAPES, indirect=True)
def test_each_old_row_has_one_fate_of_the_list(untouched: OldSystem) -> None:
    adopt()

    for kind, table in COUNTED.items():
        if table.removeprefix("public.") in old_system.tables(untouched.shape):
            assert len(untouched.fates(kind)) == untouched.old.value(f"select count(*) from {table}") > 0, kind  # noqa: S608
            assert set(untouched.fates(kind).values()) <= set(FATES[kind])
            assert "odd_row" not in untouched.fates(kind).values()


def test_whoever_would_ask_the_simulator_about_real_calls_is_told_before(untouched: OldSystem) -> None:
    assert any("is the simulator" in note for note in adopt("--dry-run")["notes"])


@pytest.mark.parametrize("untouched", SHAPES, indirect=True)
def test_a_dry_run_changes_nothing_and_leaves_no_schema(untouched: OldSystem) -> None:
    before = untouched.digests()

    report = adopt("--dry-run")

    assert report["is_rehearsal"]
    assert report["businesses"]
    assert untouched.digests() == before
    assert untouched.old.value("select count(*) from pg_namespace where nspname = 'outbound'") == 0


def test_a_dry_run_says_what_the_run_then_does(untouched: OldSystem) -> None:
    foretold = adopt("--dry-run")
    done = adopt()

    assert foretold["businesses"] == done["businesses"]
    assert foretold["others"] == done["others"]


def test_a_dry_run_beside_what_was_taken_over_changes_nothing_here_either(system: OldSystem) -> None:
    adopt()
    system.old.do(
        "insert into public.outbound_call_jobs (run_id, lead_id, business_id, status) values (1, 140, 1, 'queued')"
    )
    before = system.digests(), system.ours.rows("select * from adopted order by 1, 2"), system.ours.statuses()

    adopt("--dry-run")

    assert (system.digests(), system.ours.rows("select * from adopted order by 1, 2"), system.ours.statuses()) == before


@pytest.mark.parametrize("system", SHAPES, indirect=True)
def test_what_was_given_back_is_as_it_was_to_the_byte(system: OldSystem) -> None:
    before = system.digests()
    adopt()

    done = outbound("adopt", "--undo", "--yes")

    assert done.exit_code == 0, done.output
    assert system.digests() == before
    assert system.ours.value("select count(*) from pg_views where viewname like 'old\\_%%'") == 0
    assert set(system.ours.statuses()).isdisjoint({"queued", "claimed"})


def test_what_was_given_back_can_be_taken_over_again(system: OldSystem) -> None:
    first = adopt()
    outbound("adopt", "--undo", "--yes")

    again = adopt()

    assert [of["fates"] for of in again["businesses"]] == [of["fates"] for of in first["businesses"]]
    assert system.call_of(1, "job").status == "queued"
    assert system.ours.value("select count(*) from call_log where status = 'queued'") == 34


def test_a_second_run_finds_everything_done(system: OldSystem) -> None:
    first = adopt()
    rows = system.ours.rows("select kind, old_id, new_id, fate from adopted order by 1, 2")

    again = adopt()

    assert again["businesses"] == first["businesses"]
    assert system.ours.rows("select kind, old_id, new_id, fate from adopted order by 1, 2") == rows


def test_a_later_run_takes_what_has_come_since(system: OldSystem) -> None:
    adopt()
    system.old.do(
        "insert into public.business (id, name, business_type, phone_number, is_active) "
        "values (7, 'New', 'x', '+97235550007', true)"
    )
    system.old.do(
        "insert into public.outbound_call_jobs (id, run_id, lead_id, business_id, status)"
        " values (200, 1, 140, 1, 'queued')"
    )
    system.old.do("update public.call_log set status = 'completed', call_status = 'completed' where id = 41")

    adopt()

    assert system.fates("business")[7] == "adopted"
    assert system.fates("job")[200] == "queued_here"
    assert system.call_of(41).status == "completed"


def test_a_longer_history_is_taken_when_it_is_asked_for(system: OldSystem) -> None:
    adopt("--history-days", "3")
    assert system.fates("call")[1] == "older"

    adopt("--history-days", "all")

    assert system.fates("call")[1] == "history"
    assert "older" not in system.fates("call").values()


def test_a_lead_that_several_old_calls_made_is_owed_to_the_old_leads_once(system: OldSystem) -> None:
    for number in (1, 2, 3):
        system.old.do(
            "insert into public.call_log (business_id, call_sid, direction, from_number, to_number, status, created_at)"
            " values (1, %s, 'outbound', '+97235550001', '+972509990009', 'completed', now() at time zone 'UTC')",
            old_system.sid(9000 + number),
        )

    adopt()

    owed = "select count(*) from bridge_due inner join call_log on call_log.id = call_id where to_number = %s"
    assert system.ours.value(owed, "+972509990009") == 1


def run_until_killed(crash_at: Path, *words: str) -> None:
    killed = forked.run(*words, env=os.environ | {"CRASH_OUTBOUND_AT": str(crash_at)})
    assert killed.returncode == -signal.SIGKILL, killed.stderr


@pytest.mark.parametrize("point", [*ADOPT_POINTS])
def test_a_run_that_was_killed_is_made_good_by_the_next(untouched: OldSystem, tmp_path: Path, point: str) -> None:
    (tmp_path / point).touch()
    run_until_killed(tmp_path, "adopt", "--old-is-stopped", "--yes", "--json")

    adopt()

    for kind, table in COUNTED.items():
        assert len(untouched.fates(kind)) == untouched.old.value(f"select count(*) from {table}"), kind  # noqa: S608
    assert untouched.ours.value("select count(*) from call_log where status = 'queued'") == 34
    assert untouched.ours.value("select count(*) from call_log") == untouched.ours.value(
        "select count(distinct new_id) from adopted where kind in ('call', 'job')"
    )


@pytest.mark.parametrize("point", [*UNDO_POINTS])
def test_an_undo_that_was_killed_is_made_good_by_the_next(system: OldSystem, tmp_path: Path, point: str) -> None:
    before = system.digests()
    adopt()
    (tmp_path / point).touch()
    run_until_killed(tmp_path, "adopt", "--undo", "--yes")

    done = outbound("adopt", "--undo", "--yes")

    assert done.exit_code == 0, done.output
    assert system.digests() == before


def test_one_business_is_taken_over_and_given_back_by_itself(system: OldSystem) -> None:
    before = system.digests()
    adopt("--business", "2")
    assert system.fates("business") == {2: "adopted"}
    assert system.fates("job") == {108: "queued_here"}
    adopt("--business", "1")
    assert system.fates("job")[1] == "queued_here"

    done = outbound("adopt", "--undo", "--yes", "--business", "1")

    assert done.exit_code == 0, done.output
    assert (system.job(1), system.job(108)) == ("queued", "cancelled")
    outbound("adopt", "--undo", "--yes")
    assert system.digests() == before


def test_a_whole_run_leaves_the_business_alone_that_was_given_back(system: OldSystem) -> None:
    adopt()
    outbound("adopt", "--undo", "--yes", "--business", "1")

    adopt()

    assert system.job(1) == "queued"
    assert system.fates("job")[1] == "no_business"
    adopt("--business", "1")
    assert system.job(1) == "cancelled"
    assert system.call_of(1, "job").status == "queued"


def test_words_of_the_end_are_kept_and_words_over_them_are_not_believed(system: OldSystem) -> None:
    adopt()

    statuses = {old_id: system.call_of(old_id).status for old_id in (*range(1, 15), 40, 42, 50, 60)}

    assert statuses == {
        **dict.fromkeys((1, 2, 3, 4, 5, 11, 12, 13, 40, 42, 50, 60), "completed"),
        6: "busy", 7: "no-answer", 8: "failed", 9: "canceled", 10: "failed", 14: "failed",
    }  # fmt: skip
    assert system.call_of(14).error_code == "unknown_status"
    assert system.ours.value("select note from adopted where kind = 'call' and old_id = 2") == "recorded, completed"


def test_calls_that_may_be_in_the_air_are_asked_about_and_never_dialed(system: OldSystem) -> None:
    adopt()

    for old_id in (20, 21, 22, 23, 24, 29, 61):
        call = system.call_of(old_id)
        assert call.status in ("initiated", "ringing", "in-progress")
        assert call.overdue_at <= system.ours.value("select now()")
    assert system.call_of(30).error_code == "superseded"
    for old_id in (25, 26, 27, 28):
        call = system.call_of(old_id)
        assert (call.status, call.error_code) == ("failed", "no_call_sid")
        assert call.overdue_at is not None
    assert {system.fates("call")[old_id] for old_id in (41, 43)} == {"inbound_stays"}


def test_a_waiting_job_becomes_a_call_of_its_run_s_paused_campaign(system: OldSystem) -> None:
    adopt()

    call = system.call_of(1, "job")
    (control,) = system.ours.rows(
        "select state, live_max, campaign.name from dial_control inner join campaign on key = campaign.id::text"
        " where scope = 'campaign' and campaign.id = %s",
        call.campaign_id,
    )
    assert (call.status, call.idempotency_key, call.to_number) == ("queued", "adopt:job:1", "+972502000001")
    assert (call.from_number, call.contact) == ("+97235550001", {"name": "Lead 1"})
    assert tuple(control) == ("paused", 3, "run 1")
    assert system.job(1) == "cancelled"
    assert system.call_of(105, "job").to_number == "+972501234502"


def test_a_job_that_an_old_worker_takes_meanwhile_is_its_own(system: OldSystem) -> None:
    words = [sys.executable, "-m", "outbound", "adopt", "--old-is-stopped", "--yes"]
    with psycopg.connect(system.url) as old_worker:
        old_worker.execute("update public.outbound_call_jobs set status = 'dialing' where id = 1")
        adopting = forked.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        waits = "select count(*) from pg_locks where locktype in ('transactionid', 'tuple') and not granted"
        until(lambda: system.old.value(waits) > 0 or adopting.poll() is not None, timeout_s=60)
    said, _ = adopting.communicate(timeout=60)

    assert adopting.returncode == 0, said
    assert (system.job(1), system.fates("job").get(1)) == ("dialing", None)
    assert system.fates("job")[2] == "queued_here"


def test_each_job_that_is_no_waiting_one_keeps_its_own_fate(system: OldSystem) -> None:
    adopt()

    fates = system.fates("job")

    assert {job_id: fates[job_id] for job_id in (101, 102, 103, *range(106, 116))} == {
        101: "call_adopted", 102: "call_adopted", 103: "job_over", 106: "no_phone", 107: "no_phone",
        108: "queued_here", 109: "run_over", 110: "run_over", 111: "queued_here", 112: "odd_status", 113: "odd_status",
        114: "job_over", 115: "same_number",
    }  # fmt: skip
    assert (system.job(109), system.job(106), system.job(115)) == ("queued", "queued", "cancelled")


def test_a_row_that_raises_stops_only_itself(system: OldSystem) -> None:
    system.ours.do(
        "alter table call_log add constraint odd check (to_number is distinct from '+972501234509'"
        " and to_number is distinct from '+972502000007')"
    )

    adopt()

    assert system.fates("call")[6] == "odd_row"
    assert system.fates("job")[7] == "odd_row"
    assert list(system.fates("call").values()).count("odd_row") == 1
    assert system.job(7) == "queued"


def test_only_one_adopt_is_at_work(system: OldSystem) -> None:
    system.old.do("select pg_advisory_lock(hashtext('outbound.adopt'))")

    done = forked.run("adopt", "--dry-run")

    assert done.returncode == 2
    assert "another `outbound adopt` is at work" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from-schema", "elsewhere"], "there is no schema elsewhere"),
        (["--from-schema", "empty"], "has no table business, call_log, leads"),
        (["--business", "99"], "there is no old business 99"),
        (["--history-days", "many"], "whole number of days"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_in_one_line_and_changes_nothing(
    untouched: OldSystem, words: list[str], said: str
) -> None:
    untouched.old.do("create schema empty")
    before = untouched.digests()

    done = forked.run("adopt", "--old-is-stopped", "--yes", *words)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert untouched.old.value("select count(*) from pg_namespace where nspname = 'outbound'") == 0
    assert untouched.digests() == before


def test_without_a_look_at_redis_the_operator_must_say_that_the_old_workers_are_stopped(system: OldSystem) -> None:
    done = forked.run("adopt", "--yes")

    assert done.returncode == 2
    assert "--old-is-stopped" in done.stderr


def test_the_rights_that_are_lacking_are_named_each_with_its_mend(untouched: OldSystem) -> None:
    role = f"adopter_{os.getpid()}"
    untouched.old.do(f"create role {role} login")
    untouched.old.do(f"grant create on database {untouched.old.value('select current_database()')} to {role}")
    untouched.old.do(f"grant select on public.business to {role}")
    try:
        url = untouched.url.replace("//postgres@", f"//{role}@")
        with Environment(DATABASE_URL=url):
            done = forked.run("adopt", "--dry-run")
    finally:
        untouched.old.do(f"drop owned by {role}")
        untouched.old.do(f"drop role {role}")

    assert done.returncode == 2
    for mend in (
        f"grant insert, select, update on public.call_log to {role}",
        f"call_log_id_seq to {role}",
        "alter table public.call_log add column",
    ):
        assert mend in done.stderr


def test_a_call_that_is_in_the_air_keeps_everything_from_being_given_back(system: OldSystem) -> None:
    adopt()
    call = system.call_of(1, "job")
    system.ours.do("update call_log set status = 'claimed', overdue_at = now() where id = %s", call.id)
    before = system.digests()

    done = forked.run("adopt", "--undo", "--yes")

    assert done.returncode == 2
    assert "1 calls that came from the old system are being dialed" in done.stderr
    assert system.digests() == before


def test_a_claim_that_began_before_the_undo_keeps_everything_from_being_given_back(system: OldSystem) -> None:
    adopt()
    call = system.call_of(1, "job")
    words = [sys.executable, "-m", "outbound", "adopt", "--undo", "--yes"]
    with psycopg.connect(system.ours.url) as dispatcher:
        dispatcher.execute("select pg_try_advisory_xact_lock(hashtext('outbound.dispatch'), 'call_log'::regclass::int)")
        dispatcher.execute("update call_log set status = 'claimed', overdue_at = now() where id = %s", (call.id,))
        undo = forked.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        until(lambda: system.ours.value(waits) == 1 or undo.poll() is not None, timeout_s=60)
    _, said = undo.communicate(timeout=60)

    assert "1 calls that came from the old system are being dialed" in said
    assert system.job(1) == "cancelled"
    assert system.ours.call(call.id).status == "claimed"


@pytest.mark.parametrize(
    ("end", "code", "word"),
    [("completed", None, "completed"), ("busy", None, "failed"), ("failed", "no_call_sid", "failed")],
)
def test_a_job_whose_phone_may_have_rung_never_waits_again(
    system: OldSystem, end: str, code: str | None, word: str
) -> None:
    adopt()
    call = system.call_of(1, "job")
    system.ours.do(
        "update call_log set status = %s, error_code = %s, call_sid = %s, dialed_at = now(), ended_at = now()"
        " where id = %s",
        end, code, old_system.sid(7777) if code is None else None, call.id,
    )  # fmt: skip

    outbound("adopt", "--undo", "--yes")

    assert system.job(1) == word
    assert system.job(115) == "cancelled"  # the same telephone, in another run
    assert system.job(2) == "queued"
    if code is None:
        sid = system.old.value("select call_sid from public.outbound_call_jobs where id = 1")
        assert sid == old_system.sid(7777)


def test_a_column_in_which_somebody_wrote_meanwhile_stays(system: OldSystem) -> None:
    adopt()
    system.old.do("update public.call_log set error_message = 'theirs' where id = 1")

    done = outbound("adopt", "--undo", "--yes")

    assert "error_message stays" in done.output
    columns = [
        row.attname
        for row in system.old.rows(
            "select attname from pg_attribute where attrelid = 'public.call_log'::regclass and attname like 'error%%'"
            " and not attisdropped"
        )
    ]
    assert columns == ["error_message"]


# What lies in the old Redis


@pytest.fixture
def old(old_redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(old_redis_url) as client:
        client.flushall()
        queue = rq.Queue("default", connection=client)
        for place, args in enumerate([(old_system.call_sid(1),), (old_system.call_sid(50), 1), ("CA" + "f" * 32,)]):
            queue.enqueue_call(LEAD, args, ttl=600, job_id=f"lead-{place}")
        queue.enqueue_call("server.routes_outbound.process_next_queued_job", (1,), ttl=600)
        queue.enqueue_call("server.jobs.prompts.rebuild_prompt_job", (1,))
        client.rpush("outbound_queue:1", 1, 2, 3, 999)
        client.rpush("outbound_queue:2", 108)
        client.sadd("outbound_queued:1", 1, 2, 3)
        yield client


def dumps(old: Any) -> dict[bytes, bytes]:
    return {key: old.dump(key) for key in old.scan_iter(count=1000)}


def test_leads_that_are_asked_for_in_redis_are_made_and_their_jobs_set_aside(
    system: OldSystem, old: redis.Redis, old_redis_url: str
) -> None:
    before = dumps(old)

    report = adopt("--history-days", "1", "--old-redis", old_redis_url)

    assert report["redis"]["leads_asked_for"] == 3
    assert report["redis"]["of_unknown_calls"] == 1
    assert report["redis"]["differing"] == [999]
    assert {system.fates("call")[old_id] for old_id in (1, 50)} <= {"history", "lead_made"}
    assert system.fates("call")[2] == "older"
    assert old.llen("rq:queue:default") == 1
    assert not old.exists("outbound_queue:1", "outbound_queue:2", "outbound_queued:1")
    done = outbound("adopt", "--undo", "--yes", "--old-redis", old_redis_url)
    assert done.exit_code == 0, done.output
    assert dumps(old) == before


def test_one_business_s_keys_are_set_aside_and_given_back_by_themselves(
    system: OldSystem, old: redis.Redis, old_redis_url: str
) -> None:
    adopt("--business", "2", "--old-redis", old_redis_url)
    assert old.exists("outbound_queue:1", "outbound_queued:1") == 2
    assert not old.exists("outbound_queue:2")
    assert old.llen("rq:queue:default") == 5

    adopt("--business", "1", "--old-redis", old_redis_url)
    assert old.llen("rq:queue:default") == 3
    outbound("adopt", "--undo", "--yes", "--business", "2", "--old-redis", old_redis_url)

    assert old.lrange("outbound_queue:2", 0, -1) == [b"108"]
    assert not old.exists("outbound_queue:1")


@pytest.mark.parametrize("point", ADOPT_REDIS_POINTS)
def test_a_run_that_was_killed_at_redis_is_made_good_by_the_next(
    system: OldSystem, old: redis.Redis, old_redis_url: str, tmp_path: Path, point: str
) -> None:
    (tmp_path / point).touch()
    run_until_killed(tmp_path, "adopt", "--old-redis", old_redis_url, "--yes", "--json")

    adopt("--old-redis", old_redis_url)

    assert old.llen("rq:queue:default") == 1
    assert system.call_of(1).lead_id is not None


@pytest.mark.parametrize("point", UNDO_REDIS_POINTS)
def test_an_undo_that_was_killed_at_redis_is_made_good_by_the_next(
    system: OldSystem, old: redis.Redis, old_redis_url: str, tmp_path: Path, point: str
) -> None:
    before = old.lrange("rq:queue:default", 0, -1)
    adopt("--old-redis", old_redis_url)
    (tmp_path / point).touch()
    run_until_killed(tmp_path, "adopt", "--undo", "--old-redis", old_redis_url, "--yes")

    done = outbound("adopt", "--undo", "--old-redis", old_redis_url, "--yes")

    assert done.exit_code == 0, done.output
    assert old.lrange("rq:queue:default", 0, -1) == before


def test_nothing_is_taken_over_while_old_workers_live(system: OldSystem, old: redis.Redis, old_redis_url: str) -> None:
    old.sadd("rq:workers", "rq:worker:one")
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    old.hset("rq:worker:one", mapping={"last_heartbeat": moment, "state": "busy"})
    before = system.digests()

    done = forked.run("adopt", "--old-redis", old_redis_url, "--yes")

    assert done.returncode == 2
    assert "old workers are alive (one)" in done.stderr
    assert system.digests() == before
    adopt("--old-redis", old_redis_url, "--old-is-stopped")


def test_an_undo_without_the_redis_in_which_jobs_were_set_aside_is_refused(
    system: OldSystem, old: redis.Redis, old_redis_url: str
) -> None:
    adopt("--old-redis", old_redis_url)

    done = forked.run("adopt", "--undo", "--yes")

    assert done.returncode == 2
    assert "--old-redis" in done.stderr
    assert system.job(1) == "cancelled"


def test_a_dry_run_changes_nothing_in_redis(system: OldSystem, old: redis.Redis, old_redis_url: str) -> None:
    before = dumps(old)

    report = adopt("--dry-run", "--old-redis", old_redis_url)

    assert report["redis"]["leads_asked_for"] == 3
    assert dumps(old) == before


# Dialing what was taken over


@pytest.fixture
def calling(system: OldSystem, carrier: RunningSimulator) -> Iterator[RunningSimulator]:
    """The system's processes use the simulated carrier."""
    fast = {"OUTBOUND_RELOOK_S": "0.05", "OUTBOUND_LOOKUPS_PER_MINUTE": "6000"}
    with Environment(**SETTINGS, **fast, TWILIO_API_URL=carrier.url):
        yield carrier


def old_worker(system: OldSystem) -> list[str]:
    """What a worker of the system before would dial: it takes whatever job is queued in its table."""
    taken = system.old.rows(
        "update public.outbound_call_jobs as job set status = 'dialing' from public.leads"
        " where leads.id = job.lead_id and job.status = 'queued' returning leads.phone_e164 as phone"
    )
    return [row.phone for row in taken]


def test_no_phone_rings_twice_though_an_old_worker_runs_beside_the_resumed_campaigns(
    system: OldSystem, calling: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopt()
    assert calling.log() == []
    waiting = [row.to_number for row in system.ours.rows("select to_number from call_log where status = 'queued'")]
    system.ours.do("update business set twiml = '<Response/>', window_id = null")
    system.ours.do("update dial_control set live_max = null")  # nobody takes the callbacks that would make room

    with Environment(DATABASE_URL=system.ours.url), running_workers(monkeypatch) as drain:
        drain()
        assert calling.log() == []  # the campaigns are paused
        for campaign in (1, 2, 3):
            assert outbound("resume", "campaign", str(campaign)).exit_code == 0
        by_old = old_worker(system)
        until(lambda: (drain(), "queued" not in system.ours.statuses())[1], timeout_s=60)
        by_old += old_worker(system)

    assert set(rung(calling)) <= set(waiting)
    assert set(rung(calling).values()) == {1}
    assert len(rung(calling)) > len(waiting) / 2  # the others do not ring
    assert set(by_old).isdisjoint(waiting)


def test_the_carrier_is_asked_about_the_live_calls_before_the_jobs_wait(
    system: OldSystem, calling: RunningSimulator
) -> None:
    system.old.do("update public.leads set phone_e164 = '+972501234524' where id = 140")
    system.old.do(
        "insert into public.outbound_call_jobs (id, run_id, lead_id, business_id, status)"
        " values (200, 1, 140, 1, 'queued')"
    )

    adopt()

    assert system.call_of(20).error_code == "unknown_to_carrier"
    assert system.call_of(24).error_code == "no_call_sid"
    assert system.fates("job")[200] == "queued_here"
    assert calling.log() == []


def test_a_job_whose_telephone_is_in_the_air_waits_once_that_call_is_over(system: OldSystem) -> None:
    system.old.do("update public.leads set phone_e164 = '+972501234524' where id = 140")
    system.old.do(
        "insert into public.outbound_call_jobs (id, run_id, lead_id, business_id, status)"
        " values (200, 1, 140, 1, 'queued')"
    )
    adopt()
    assert (system.fates("job")[200], system.job(200)) == ("in_the_air", "cancelled")
    held_by = system.call_of(200, "job").id
    system.ours.do("update call_log set status = 'failed', error_code = 'no_call_sid' where id = %s", held_by)

    adopt()

    assert system.fates("job")[200] == "queued_here"
    assert system.call_of(200, "job").id != held_by
