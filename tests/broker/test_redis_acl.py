"""The line of ops/redis/outbound.acl is enough for all that outbound does, and doctor says what it cannot see."""

import re
from collections.abc import Iterator
from pathlib import Path

import dramatiq
import pytest
import redis

from outbound import broker
from outbound.broker import redis_broker
from outbound.calls import cleanup, dial, dispatch, lead
from outbound.checks import broker as broker_checks
from outbound.config import settings
from outbound.monitoring import health
from outbound.simulator.server import RunningSimulator
from tests import ROOT
from tests.conftest import World, until
from tests.redis_servers import needs_redis, redis_server

pytestmark = needs_redis
LINE = (ROOT / "ops" / "redis" / "outbound.acl").read_text()


@pytest.fixture
def restricted(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """The address of a server for the user of that line alone, and the server's port."""
    namespace = settings().broker_namespace
    line = re.sub(r"~outbound\b", f"~{namespace}", LINE).replace("CHANGE-ME", "hush")
    file = tmp_path / "users.acl"
    file.write_text(line + "user default on nopass sanitize-payload ~* &* +@all\n")
    with redis_server(tmp_path, "--aclfile", str(file)) as port:
        yield f"redis://outbound:hush@127.0.0.1:{port}", port


def denied(port: int) -> list[object]:
    """What the server denied our user."""
    with redis.Redis(port=port) as client:
        return [f"{entry['reason']} {entry['object']}" for entry in client.acl_log()]


def test_under_that_line_calls_are_dialed_leads_are_made_and_what_is_odd_is_set_aside(
    world: World, carrier: RunningSimulator, restricted: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, port = restricted
    made = broker.make(url)
    assert isinstance(made, redis_broker.RedisBroker)
    made.maintenance_chance = 1_000_000  # each time, and not once in a thousand
    monkeypatch.setattr(broker, "current", lambda: made)
    for actor in (dial.dial_call, lead.create_lead_from_call_job):
        made.declare_actor(actor)
        monkeypatch.setattr(actor, "broker", made)
    world.worker()
    worker = dramatiq.Worker(made, worker_threads=2, worker_timeout=100)
    worker.start()
    try:
        call_id = world.queued()
        dispatch.dispatch_once()
        until(lambda: world.call(call_id).call_sid is not None)
        ended = world.initiated(to="+15005550102", call_sid="CA" + "c" * 32)
        world.do("update call_log set status = 'completed', overdue_at = now() - interval '1 s' where id = %s", ended)
        cleanup.cleanup_stuck_dialing_jobs()
        until(lambda: world.call(ended).lead_id is not None)
        with redis.Redis(port=port) as client:  # nobody can read this one: it is looked for and set aside
            queue = f"{settings().broker_namespace}:dial"
            client.hset(f"{queue}.msgs", "odd", b"\xff no message")
            client.rpush(queue, "odd")
            lead.create_lead_from_call_job.send()  # and this one is refused by its actor
            dial.nudge([4711])
            until(lambda: client.hexists(f"{queue}.XQ.msgs", "odd"))
        broker.waiting_messages("dial")
        assert broker.fault(made) is None
        assert "broker" not in health.check().missing
    finally:
        worker.stop(10_000)
        made.close()

    assert [entry for entry in denied(port) if "client" not in str(entry)] == []


def test_doctor_says_what_it_may_not_look_at_and_fails_nothing_for_it(
    restricted: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = broker.make(restricted[0])
    monkeypatch.setattr(broker, "current", lambda: made)

    found = {
        name: look() for name, look in (("broker", broker_checks._broker), ("policy", broker_checks._broker_policy))
    }

    assert found["broker"].state == found["policy"].state == "warn"
    assert (
        found["broker"].text == "it takes and gives messages; its version was not looked at: this user may not run INFO"
    )
    assert found["policy"].text == "maxmemory-policy was not looked at: this user may not run INFO"
    assert broker_checks._broker_clock().state == "ok"


def test_doctor_fails_where_a_command_that_nudges_need_is_denied_and_names_the_line(
    restricted: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, port = restricted
    made = broker.make(url)
    monkeypatch.setattr(broker, "current", lambda: made)
    with redis.Redis(port=port) as client:
        client.execute_command("ACL", "SETUSER", "outbound", "-blpop")

    found = broker_checks._broker()

    assert (found.state, found.text) == ("fail", "does not allow our user what it needs (NOPERM)")
    assert "ops/redis/outbound.acl" in found.mend
