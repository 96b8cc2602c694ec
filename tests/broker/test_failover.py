"""A broker that answers and takes no writes is not there: connect again, say so, and go on by itself."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dramatiq
import pytest
import redis

from outbound import broker, db
from outbound.calls import dial, dispatch, lead
from outbound.monitoring import health, why
from outbound.simulator.server import RunningSimulator
from tests.chaos.proxy import Line, Proxy, tcp
from tests.conftest import World, until
from tests.ports import free_ports
from tests.redis_servers import (
    become_primary,
    become_replica,
    needs_redis,
    needs_sentinel,
    redis_server,
    sentinels,
)

pytestmark = needs_redis
_FAILOVER_S = 45
_HELD = (
    "select from pg_locks where locktype = 'advisory'"
    " and database = (select oid from pg_database where datname = current_database())"
)


class Address:
    """A stable address that leads to the one or the other server; who is connected stays connected."""

    def __init__(self, leads_to: int) -> None:
        self.leads_to = leads_to
        self.port = free_ports(1)[0]

    async def dial(self) -> Line:
        return await tcp(self.leads_to)()


@contextmanager
def connected(url: str, patch: pytest.MonkeyPatch) -> Iterator[dramatiq.Broker]:
    """A dispatcher and a worker with this broker."""
    made = broker.make(url)
    patch.setattr(broker, "current", lambda: made)
    for actor in (dial.dial_call, lead.create_lead_from_call_job):
        made.declare_actor(actor)
        patch.setattr(actor, "broker", made)
    worker = dramatiq.Worker(made, worker_threads=2, worker_timeout=100)
    worker.start()
    stop = threading.Event()
    dispatcher = threading.Thread(target=dispatch.dispatch_until, args=(stop,))
    dispatcher.start()
    try:
        yield made
    finally:
        stop.set()
        dispatcher.join(30)
        worker.stop(30_000)
        made.close()


def processes_live_on(world: World) -> None:
    world.scheduler()
    world.worker()
    world.do("update worker set seen_at = now() + interval '1 hour'")


def is_dialed(world: World, call_id: int) -> bool:
    return world.call(call_id).dialed_at is not None


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Two servers that know nothing of each other."""
    with redis_server(tmp_path) as first, redis_server(tmp_path) as second:
        yield first, second


def test_after_a_failover_behind_a_stable_address_calls_are_dialed_and_nobody_cuts_a_connection(
    world: World, carrier: RunningSimulator, pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = pair
    address = Address(old)
    processes_live_on(world)
    with Proxy(address.port, address.dial), connected(f"redis://127.0.0.1:{address.port}", monkeypatch):
        before = world.queued(to="+15005550101")
        until(lambda: is_dialed(world, before))

        address.leads_to = new
        become_replica(old, of=new)
        after = world.queued(to="+15005550102")

        until(lambda: is_dialed(world, after), timeout_s=_FAILOVER_S)
        assert health.check().missing == {}


def test_while_the_only_server_takes_no_writes_that_is_said_everywhere_and_taken_back_afterwards(
    world: World, carrier: RunningSimulator, pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    only, other = pair
    processes_live_on(world)
    monkeypatch.setattr(dispatch, "_STOP_AFTER_S", 0)
    with connected(f"redis://127.0.0.1:{only}", monkeypatch):
        become_replica(only, of=other)
        call_id = world.queued()

        until(lambda: world.rows("select from dialing_stop"), timeout_s=_FAILOVER_S)
        reason = why.why(call_id)
        missing = health.check().missing
        assert not is_dialed(world, call_id)

        become_primary(only)
        until(lambda: is_dialed(world, call_id), timeout_s=_FAILOVER_S)

    assert reason.code == "stopped_broker"
    assert "is a replica, which takes no writes (READONLY)" in reason.sentence
    assert missing == {
        "broker": "is a replica, which takes no writes (READONLY)",
        "consumers": "no nudge reaches them",
    }
    assert world.count("broker_failure", "readonly") >= 1
    assert not world.rows("select from dialing_stop")


@needs_sentinel
def test_by_sentinel_calls_are_dialed_through_whichever_server_is_the_primary(
    world: World, carrier: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes_live_on(world)
    with ExitStack() as stack:
        first = stack.enter_context(redis_server(tmp_path))
        replica = ["--replicaof", "127.0.0.1", str(first), "--repl-diskless-sync-delay", "0"]
        second = stack.enter_context(redis_server(tmp_path, *replica))
        asked = stack.enter_context(sentinels(tmp_path, first))
        until(lambda: all(_sees_a_replica(port) for port in asked), timeout_s=_FAILOVER_S)
        hosts = ",".join(f"127.0.0.1:{port}" for port in asked)
        stack.enter_context(connected(f"redis+sentinel://{hosts}/calls/0", monkeypatch))
        before = world.queued(to="+15005550101")
        until(lambda: is_dialed(world, before))

        with redis.Redis(port=asked[0]) as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", "calls")
        until(lambda: _role(second) == b"master", timeout_s=_FAILOVER_S)
        after = world.queued(to="+15005550102")

        until(lambda: is_dialed(world, after), timeout_s=_FAILOVER_S)


def _sees_a_replica(port: int) -> bool:
    with redis.Redis(port=port) as sentinel:
        state = sentinel.sentinel_masters()["calls"]
        return (state["num-slaves"], state["num-other-sentinels"]) == (1, 2)


def _role(port: int) -> object:
    with redis.Redis(port=port) as client:
        return client.execute_command("ROLE")[0]


REFUSALS = {
    "OOM": ({"maxmemory": "1"}, {"maxmemory": "0"}),
    "NOREPLICAS": ({"min-replicas-to-write": "1"}, {"min-replicas-to-write": "0"}),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_server_that_refuses_writes_takes_no_nudge_and_is_found_well_again(
    tmp_path: Path, database: str, code: str
) -> None:
    breaks, mends = REFUSALS[code]
    with redis_server(tmp_path) as port, redis.Redis(port=port) as client:
        made = broker.make(f"redis://127.0.0.1:{port}")
        assert broker.fault(made) is None
        for name, value in breaks.items():
            client.config_set(name, value)
        refused = broker.fault(made)
        for name, value in mends.items():
            client.config_set(name, value)

        assert refused is not None
        assert refused.code == code
        assert broker.fault(made) is None
        assert client.keys("*proof*") == []


def test_a_password_that_was_changed_is_said_as_such(tmp_path: Path, database: str) -> None:
    with redis_server(tmp_path, "--requirepass", "new") as port:
        fault = broker.fault(broker.make(f"redis://:old@127.0.0.1:{port}"))

    assert fault is not None
    assert (fault.code, fault.text) == ("WRONGPASS", "does not take our user or password")


def test_a_dispatcher_that_cannot_reach_the_broker_does_not_speak_for_one_that_can(world: World) -> None:
    away = {"code": "away", "reason": "It is away.", "away_s": 9, "told_after_s": 5}
    with db.connect() as line:
        dispatch.sql.say_broker_works(line)

        db.run(dispatch.sql.broker_fails, **away)
        assert not world.rows("select from dialing_stop")

    until(lambda: not world.rows(_HELD))
    db.run(dispatch.sql.broker_fails, **away | {"away_s": 4})
    assert not world.rows("select from dialing_stop")
    db.run(dispatch.sql.broker_fails, **away)
    assert world.value("select extract(epoch from now() - since)::int from dialing_stop where cause = 'broker'") == 9
