"""The old program goes on beside us: none of its statements fails that did not fail before, and it takes nothing."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import psycopg
import pytest
import redis
import rq

from outbound.local import embedded_servers
from tests import old_program, old_system
from tests.conftest import Environment, Servers, open_database
from tests.old_systems import OldSystem, adopt, open_old_system, outbound

SHAPES: tuple[old_system.Shape, ...] = ("whole", "fixed", "small")
every_shape = pytest.mark.parametrize("shape", SHAPES)


def replay(system: OldSystem, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Run each statement of the old program, each in a transaction of its own; return which failed, and how."""
    failed = {}
    for name, statement in old_program.statements(system.shape).items():
        if name not in without:
            try:
                system.old.do(statement.replace("%", "%%"))
            except psycopg.Error as error:
                failed[name] = str(error.sqlstate)
    return failed


@contextmanager
def copy_of(system: OldSystem, servers: Servers) -> Iterator[OldSystem]:
    """Another system with the same bytes."""
    name = system.old.value("select current_database()")
    system.close()
    with open_database(servers, template=name) as url:
        found = OldSystem(url, system.shape)
        with Environment(TWILIO_ACCOUNT_SID="", TWILIO_AUTH_TOKEN="", OUTBOUND_PUBLIC_URL=""):
            yield found
        found.close()


@every_shape
def test_no_statement_fails_after_adopt_that_did_not_fail_before(servers: Servers, shape: old_system.Shape) -> None:
    with open_old_system(servers, shape) as system:
        before = replay(system)
    with open_old_system(servers, shape) as system:
        adopt()
        after = replay(system)
        adopt()

    assert after.items() <= before.items()
    assert ("clean up" in before) == (shape != "fixed")  # their fix is in
    assert "clean up" not in after


@every_shape
def test_what_the_old_program_did_meanwhile_is_kept_when_all_is_given_back(
    servers: Servers, shape: old_system.Shape
) -> None:
    # In two of the systems it fails where nothing was taken over; what it writes keeps its columns there.
    without = () if shape == "fixed" else ("clean up",)
    with open_old_system(servers, shape) as first, copy_of(first, servers) as system:
        adopt()
        replay(system, without)
        done = outbound("adopt", "--undo", "--yes")
        given_back = system.digests()
        alone = OldSystem(first.url, shape)
        replay(alone, without)
        expected = alone.digests()
        alone.close()

    assert done.exit_code == 0, done.output
    assert given_back == expected


def test_an_old_worker_that_was_started_by_mistake_takes_no_job_of_ours(servers: Servers) -> None:
    with open_old_system(servers, "whole") as system:
        adopt()
        ours = {job for job, fate in system.fates("job").items() if fate in ("queued_here", "same_number", "job_asked")}

        taken = system.old.rows(
            "update outbound_call_jobs set status = 'dialing', dial_lock_token = 'old' where id in"
            " (select id from outbound_call_jobs where status = 'queued' for update skip locked) returning id"
        )

        assert len(ours) > 30
        assert ours.isdisjoint(row.id for row in taken)
        assert {system.fates("job")[row.id] for row in taken} <= {"no_phone", "run_over"}
        assert system.ours.value("select count(*) from call_log where status = 'queued'") == 34


@pytest.fixture
def old_functions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions of the old program, as its worker finds them; each notes that it was called."""
    called: list[str] = []
    for path in (
        "server.jobs.twilio_call_jobs.create_lead_from_call_job",
        "server.routes_outbound.process_next_queued_job",
        "server.jobs.prompts.rebuild_prompt_job",
    ):
        parts = path.split(".")
        for size in range(1, len(parts)):
            name = ".".join(parts[:size])
            if name not in sys.modules:
                monkeypatch.setitem(sys.modules, name, ModuleType(name))
            if size > 1:
                monkeypatch.setattr(
                    sys.modules[".".join(parts[: size - 1])], parts[size - 1], sys.modules[name], raising=False
                )
        monkeypatch.setattr(
            sys.modules[".".join(parts[:-1])], parts[-1], lambda *_, name=parts[-1]: called.append(name), raising=False
        )
    return called


def test_an_rq_worker_finds_no_job_of_ours_and_all_the_others(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory, old_functions: list[str]
) -> None:
    with (
        embedded_servers.servers(tmp_path_factory.mktemp("old-redis"), postgres=False, durable=False) as own,
        redis.Redis.from_url(own.redis_url or "") as client,
        open_old_system(servers, "whole"),
    ):
        queue = rq.Queue("default", connection=client)
        queue.enqueue_call("server.jobs.twilio_call_jobs.create_lead_from_call_job", (old_system.call_sid(1),), ttl=600)
        queue.enqueue_call("server.routes_outbound.process_next_queued_job", (1,), ttl=600)
        queue.enqueue_call("server.jobs.prompts.rebuild_prompt_job", (1,))
        adopt("--old-redis", own.redis_url or "")

        rq.SimpleWorker([queue], connection=client).work(burst=True)

    assert old_functions == ["rebuild_prompt_job"]
