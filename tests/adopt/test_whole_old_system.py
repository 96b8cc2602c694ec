"""Ten thousand jobs of RQ and a thousand waiting calls: each is accounted for, none rings twice, and all comes back."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import rq

from outbound.adopt.old_job import LEAD
from outbound.simulator.server import RunningSimulator
from tests import old_system
from tests.adopt.test_adopt import old_worker
from tests.adopt.test_old_job import SHAPES, Bomb, packed
from tests.adopt.test_old_redis import NUDGE, PROMPT, add_raw, everything
from tests.calls.test_recover import rung, running_workers
from tests.conftest import SETTINGS, Environment, Servers, until
from tests.old_systems import OldSystem, adopt, open_old_system, outbound

CALLS = range(20_001, 23_001)  # ended calls without a lead: RQ's jobs ask for one, each call several times
JOBS = range(10_001, 11_001)  # bulk jobs that wait

ROWS = f"""
insert into call_log (id, business_id, call_sid, direction, from_number, to_number, status, call_status, duration,
                      created_at, updated_at)
select id, 1, 'CA' || lpad(id::text, 32, '0'), 'outbound', '+97235550001', '+97255' || lpad(id::text, 7, '0'),
       'completed', 'completed', 30, now() - interval '1 h', now() - interval '1 h'
  from generate_series({CALLS[0]}, {CALLS[-1]}) as id;
insert into leads (id, tenant_id, name, phone_e164, source, status, created_at)
select id, 1, 'Lead ' || id, '+97254' || lpad(id::text, 7, '0'), 'imported_outbound', 'new', now()
  from generate_series({JOBS[0]}, {JOBS[-1]}) as id;
insert into outbound_call_jobs (id, run_id, lead_id, business_id, status)
select id, 1, id, 1, 'queued' from generate_series({JOBS[0]}, {JOBS[-1]}) as id;
select setval(pg_get_serial_sequence(name, 'id'), 100000)
  from unnest(array['leads', 'call_log', 'outbound_call_jobs']) as name;
"""  # noqa: S608


@pytest.fixture
def system(servers: Servers) -> Iterator[OldSystem]:
    with open_old_system(servers, "whole") as found:
        found.old.do(ROWS)
        yield found


@pytest.fixture
def old(request: pytest.FixtureRequest, old_redis_url: str, tmp_path: Path) -> Iterator[Any]:
    """
    A thousand bulk jobs, and ten thousand as RQ writes them, or as many as the test says.

    RQ's are of six shapes, two functions that are not ours, bombs and garbage.
    """
    of_rq = getattr(request, "param", 10_000)
    with redis.Redis.from_url(old_redis_url) as client:
        client.flushall()
        jobs = []
        for number in range(of_rq * 96 // 100):
            args, kwargs = SHAPES[number % len(SHAPES)](old_system.call_sid(CALLS[number % len(CALLS)]))
            function = (LEAD, LEAD, LEAD, NUDGE, PROMPT)[number % 5]
            jobs.append(rq.Queue.prepare_data(function, args, kwargs, ttl=600, timeout=300))
        rq.Queue("default", connection=client).enqueue_many(jobs)
        for _ in range(of_rq // 50):
            add_raw(client, packed(LEAD, None, (Bomb(tmp_path / "run"),), {}))
            add_raw(client, b"\x80garbage")
        client.rpush("outbound_queue:1", *JOBS)
        client.sadd("outbound_queued:1", *JOBS)
        yield client


@pytest.mark.timeout(600)
def test_each_job_has_one_fate_and_all_comes_back_to_the_byte(
    system: OldSystem, old: Any, old_redis_url: str, tmp_path: Path
) -> None:
    tables, keys = system.digests(), everything(old)
    asked = {CALLS[number % len(CALLS)] for number in range(9_600) if number % 5 < 3}

    report = adopt("--history-days", "all", "--old-redis", old_redis_url)

    assert report["redis"]["leads_asked_for"] == len(asked)
    assert report["redis"]["of_unknown_calls"] == 0
    fates_of_jobs, fates_of_calls = system.fates("job"), system.fates("call")
    assert Counter(fates_of_jobs[job] for job in JOBS) == {"queued_here": len(JOBS)}
    assert {fates_of_calls[call] for call in asked} == {"lead_made"}
    ours = system.ours.rows(
        "select lead_id from adopted inner join call_log on call_log.id = new_id"
        " where kind = 'call' and old_id = any(%s)",
        sorted(asked),
    )
    assert len({row.lead_id for row in ours} - {None}) == len(asked)
    assert old.llen("rq:queue:default") == 9_600 / 5 + 400  # what is not ours, or cannot be read, stays
    assert not (tmp_path / "run").exists()

    done = outbound("adopt", "--undo", "--yes", "--old-redis", old_redis_url)

    assert done.exit_code == 0, done.output
    assert system.digests() == tables
    assert everything(old) == keys


@pytest.mark.timeout(600)
@pytest.mark.parametrize("old", [1_000], indirect=True)  # of RQ's, which ring nobody
def test_of_a_thousand_jobs_none_rings_twice_beside_an_old_worker(
    system: OldSystem, old: Any, old_redis_url: str, carrier: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = {"OUTBOUND_RELOOK_S": "0.05", "OUTBOUND_LOOKUPS_PER_MINUTE": "6000", "OUTBOUND_HOLD_MAX_S": "0"}
    with Environment(**SETTINGS, **fast, TWILIO_API_URL=carrier.url):
        adopt("--old-redis", old_redis_url)
        system.ours.do("update business set twiml = '<Response/>', window_id = null")
        system.ours.do("update dial_control set live_max = null")  # nobody takes the callbacks that would make room
        bulk = {f"+97254{job:07d}" for job in JOBS}

        with Environment(DATABASE_URL=system.ours.url), running_workers(monkeypatch) as drain:
            for campaign in (1, 2, 3):
                assert outbound("resume", "campaign", str(campaign)).exit_code == 0
            by_old = old_worker(system)
            until(lambda: (drain(), "queued" not in system.ours.statuses())[1], timeout_s=120)
            by_old += old_worker(system)

    assert set(rung(carrier).values()) == {1}
    assert len(bulk & set(rung(carrier))) > len(bulk) / 2  # the others do not ring
    assert set(by_old).isdisjoint(bulk)
