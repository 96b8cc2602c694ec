"""`outbound verify --old`: the three faults are gone on the old system's own tables, and where not, it says so."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from outbound import db
from outbound.checks import verify_old
from tests import forked, old_system
from tests.conftest import Environment, Servers
from tests.old_systems import OldSystem, adopt, open_old_system

CHECKS, THEIRS = 17, 9
SHAPES: tuple[old_system.Shape, ...] = ("whole", "fixed", "small")
# The checks on the old tables, in their order.
ERROR_MESSAGE, ERROR_CODE, CLEAN_UP, FRESH, DUPLICATES, NO_CALL_SID, FATES, REACH, LEADS = range(THEIRS)


@pytest.fixture
def system(request: pytest.FixtureRequest, servers: Servers) -> Iterator[OldSystem]:
    with open_old_system(servers, getattr(request, "param", "whole")) as found:
        yield found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return forked.run("verify", *arguments, env=os.environ | {"COLUMNS": "200"}, timeout=100)


def failed(system: OldSystem) -> dict[int, str]:
    """Which of the checks on the old tables fail, and why."""
    with Environment(DATABASE_URL=system.ours.url), db.connect() as connection:
        verdicts = verify_old.check_all(connection)
    assert len(verdicts) == THEIRS
    return {number: verdict.why for number, verdict in enumerate(verdicts) if not verdict.passed}


def settle(system: OldSystem) -> None:
    """What was taken over live is over by now, as the scheduler closes it."""
    system.ours.do(
        "update call_log set status = 'failed', error_code = 'no_call_sid', overdue_at = null, ended_at = now()"
        " where status in ('initiated', 'ringing', 'in-progress')"
    )


@pytest.mark.parametrize("system", SHAPES, indirect=True)
def test_after_adopt_every_check_on_their_tables_passes_and_nothing_there_is_touched(system: OldSystem) -> None:
    adopt()
    before = system.digests(), system.ours.rows("select * from call_log order by id")

    assert failed(system) == {}

    assert (system.digests(), system.ours.rows("select * from call_log order by id")) == before


def test_the_command_runs_the_checks_of_both_and_says_how_many_stale_rows_it_tried(system: OldSystem) -> None:
    system.old.do("update public.call_log set created_at = created_at - interval '1 h' where id in (24, 30)")
    adopt()
    before = system.digests()

    ran = run("--old")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{CHECKS}/{CHECKS} passed" in ran.stdout
    assert "it would close 3 stale rows; rolled back" in ran.stdout
    assert system.digests() == before
    assert system.old.value("select count(*) from pg_namespace where nspname like 'outbound_verify%%'") == 0


def test_the_command_fails_where_a_check_on_their_tables_does(system: OldSystem) -> None:
    adopt()
    system.old.do("update public.outbound_call_jobs set status = 'queued' where id = 1")

    ran = run("--old")

    assert ran.returncode == 1
    assert "are `queued` there again" in ran.stdout


@pytest.mark.parametrize(
    ("change", "fails"),
    [
        ("alter table public.call_log drop column error_message", {ERROR_MESSAGE, CLEAN_UP, FRESH}),
        ("alter table public.call_log drop column error_code", {ERROR_CODE, CLEAN_UP, FRESH}),
        ("alter table public.call_log alter column error_message type varchar(9)", {ERROR_MESSAGE, CLEAN_UP, FRESH}),
        ("alter table public.call_log alter column error_code type varchar(99)", {ERROR_CODE}),
        ("alter table public.call_log alter column error_message set not null", {ERROR_MESSAGE}),
        (
            "alter table public.call_log add constraint odd check (status <> 'failed' or error_code is null)",
            {CLEAN_UP},
        ),
        (
            (
                "create function keep() returns trigger language plpgsql as 'begin return null; end';"
                " create trigger keep before update on public.call_log for each row execute function keep()"
            ),
            {CLEAN_UP},
        ),
        ("update public.outbound_call_jobs set status = 'queued' where id = 1", {REACH}),
        (
            "insert into public.outbound_call_jobs (run_id, lead_id, business_id, status) values (1, 140, 1, 'queued')",
            {FATES},
        ),
        (
            (
                "update outbound.call_log set status = 'initiated', dialed_at = now() - interval '121 s',"
                " call_sid = null, overdue_at = now() where idempotency_key = 'adopt:job:1'"
            ),
            {NO_CALL_SID},
        ),
        (
            (
                "insert into outbound.call_log (business_id, direction, status, call_sid, from_number, to_number,"
                " dialed_at, ended_at, overdue_at) values (1, 'outbound', 'completed',"
                " 'CA00000000000000000000000000007777', '+97235550001', '+972509990001', now(), now(),"
                " now() - interval '121 s')"
            ),
            {LEADS},
        ),
    ],
)
def test_each_fault_fails_its_own_check_and_says_why(system: OldSystem, change: str, fails: set[int]) -> None:
    adopt()
    system.old.do("update public.call_log set error_message = 'theirs'")
    system.old.do("drop view if exists outbound.old_call_meaning, outbound.old_call cascade")
    system.old.do(change)
    system.ours.do("select make_old_views('public')")

    found = failed(system)

    assert set(found) == fails
    assert all(found.values())


def test_a_live_call_of_theirs_that_was_taken_over_counts_from_then(system: OldSystem) -> None:
    adopt()
    assert system.call_of(61).status == "initiated"
    system.ours.do("update call_log set dialed_at = now() - interval '1 h' where status = 'initiated'")
    assert failed(system) == {}

    system.ours.do("update adopted set adopted_at = now() - interval '121 s' where kind = 'call'")

    assert set(failed(system)) == {NO_CALL_SID}
    settle(system)
    assert failed(system) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--old"], "run `outbound adopt`"),
        (["--from-schema", "public"], "--from-schema goes with --old"),
    ],
)
def test_what_was_not_taken_over_cannot_be_verified(system: OldSystem, words: list[str], said: str) -> None:
    ran = run(*words)

    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_another_schema_than_that_which_was_taken_over_is_refused(system: OldSystem) -> None:
    adopt()

    ran = run("--old", "--from-schema", "elsewhere")

    assert ran.returncode == 2
    assert "was taken over from the schema public" in ran.stderr
