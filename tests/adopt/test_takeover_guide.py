"""Each command of the guide to the take-over runs in a database of the old system, in the guide's order."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
import rq

from outbound.adopt.old_job import LEAD
from outbound.local import embedded_servers
from tests import ROOT, forked, old_system
from tests.conftest import Environment, Servers, address_of_schema
from tests.old_systems import OldSystem, open_old_system, outbound

GUIDES = ("docs/takeover.md", "docs/takeover.he.md")
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.M | re.S)

# What cannot run here: the units and the Redis of another host, and the settings of a shell.
ELSEWHERE = ("systemctl ", "redis-cli ", "export ")
# `doctor` wants the processes, which systemd starts; what else is wrong is tests/checks/test_doctor.py's.
STATUS = {"outbound doctor": 1}

# The business that the guide takes over first.
SEVEN = """
insert into business (id, name, business_type, phone_number, is_active)
values (7, 'Levi Dental', 'clinic', '+97235550007', true);
insert into business_settings (tenant_id, timezone, working_hours) values (7, 'Asia/Jerusalem', '09:00-18:00');
insert into leads (id, tenant_id, name, phone_e164, source, status)
select 700 + n, 7, 'Lead ' || n, '+97250700' || lpad(n::text, 4, '0'), 'form', 'new' from generate_series(1, 12) as n;
insert into outbound_call_runs (id, business_id, concurrency, status, cancel_requested)
values (7, 7, 3, 'running', false);
insert into outbound_call_jobs (id, run_id, lead_id, business_id, status)
select 700 + n, 7, 700 + n, 7, 'queued' from generate_series(1, 12) as n;
"""


def blocks(name: str) -> list[tuple[str, str]]:
    """The code blocks of a guide: language and text, without the indent of a list."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [(language, re.sub(r"^ +", "", body, flags=re.M)) for language, body in _FENCE.findall(text)]


def commands(name: str) -> list[str]:
    return [line for language, body in blocks(name) if language == "sh" for line in body.splitlines() if line]


@pytest.fixture
def system(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldSystem]:
    """An old system with the guide's business, and a Redis in which jobs of it wait."""
    with (
        embedded_servers.servers(tmp_path_factory.mktemp("guide-redis"), postgres=False, durable=False) as own,
        redis.Redis.from_url(own.redis_url or "") as client,
        open_old_system(servers, "whole") as found,
    ):
        found.old.do(SEVEN)
        queue = rq.Queue("default", connection=client)
        queue.enqueue_call(LEAD, (old_system.call_sid(1),), ttl=600)
        queue.enqueue_call("server.jobs.prompts.rebuild_prompt_job", (1,))
        client.rpush("outbound_queue:7", *range(701, 713))
        with Environment(OUTBOUND_SCHEMA="outbound", OLD_REDIS_URL=own.redis_url or ""):
            yield found


def run(command: str) -> tuple[int, str]:
    if command.startswith("outbound verify"):  # it must come first in its process
        ran = forked.run(*command.split()[1:], timeout=200)
        return ran.returncode, ran.stdout + ran.stderr
    done = outbound(*command.split()[1:])
    return done.exit_code, done.output


def test_every_command_of_the_guide_runs_in_its_order(system: OldSystem) -> None:
    before = system.digests()
    ran = [command for command in commands(GUIDES[0]) if not command.startswith(ELSEWHERE)]

    for command in ran:
        assert command.startswith("outbound "), command
        status, said = run(command)
        assert status == STATUS.get(command, 0), f"{command}\n{said}"
        if command == "outbound resume campaign 1":  # no phone rings here: the calls wait, and are given back
            assert system.ours.value("select count(*) from call_log where status = 'queued'") == 13

    assert {command.split()[1] for command in ran} >= {"adopt", "verify", "doctor", "status", "resume", "pause"}
    assert system.digests() == before


def test_the_rights_that_the_guide_gives_are_enough(system: OldSystem) -> None:
    (rights,) = (text for language, text in blocks(GUIDES[0]) if language == "sql" and text.startswith("grant create"))
    database, role = system.old.value("select current_database()"), f"guided_{os.getpid()}"
    system.old.do(f"create role {role} login")
    system.old.do(rights.replace("database crm", f"database {database}").replace("to dialer", f"to {role}"))
    url = system.url.replace("//postgres@", f"//{role}@")
    assert url != system.url
    try:
        with Environment(DATABASE_URL=url):
            done = outbound("adopt", "--old-is-stopped", "--yes")
            assert done.exit_code == 0, done.output
            call_id = system.call_of(701, "job").id
            with psycopg.connect(address_of_schema(url, "outbound")) as dialer:
                for word in ("initiated", "completed"):
                    dialer.execute(
                        "update call_log set status = %s, call_sid = %s, dialed_at = now(), overdue_at = %s"
                        " where id = %s",
                        (word, old_system.sid(701), "infinity" if word == "initiated" else None, call_id),
                    )
            assert system.ours.rows("select * from bridge_due where state <> 'adopted'") == []
            assert system.job(701) == "completed"
            shown = "select count(*) from public.call_log where call_sid = %s"
            assert system.old.value(shown, old_system.sid(701)) == 1
            done = outbound("adopt", "--undo", "--yes")
            assert done.exit_code == 0, done.output
    finally:
        system.old.do(f"drop owned by {role} cascade")
        system.old.do(f"drop role {role}")


def test_both_guides_have_the_same_blocks_of_code() -> None:
    assert blocks(GUIDES[0]) == blocks(GUIDES[1])


def test_the_guides_have_the_same_headings_and_rows() -> None:
    def shape(name: str) -> list[str]:
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        return [found[1] for line in lines if (found := re.match(r" *(#+|\||\d+\.|-) ", line))]

    assert shape(GUIDES[0]) == shape(GUIDES[1])


def test_the_checks_that_the_guide_names_are_those_of_the_command() -> None:
    from outbound.checks import verify, verify_old, verify_scratch

    modules = (verify, verify_old, verify_scratch)
    source = "".join(Path(str(module.__file__)).read_text() for module in modules)
    text = (ROOT / GUIDES[0]).read_text(encoding="utf-8")
    named = re.findall(r"^\| .+ \| \d+: `(.+?)` \|$", text, re.M)

    assert len(named) == 4
    for name in named:
        assert f'"{name}"' in source, name
