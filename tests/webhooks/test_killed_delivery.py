"""A scheduler or worker that is killed at any commit of a delivery loses no event."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from outbound.failpoint import WEBHOOK_POINTS
from outbound.local.supervisor import Processes
from outbound.webhooks import endpoint
from tests import forked
from tests.conftest import Environment, Servers, World, open_database, until
from tests.webhooks.receiver import Receiver, receiving
from tests.webhooks.test_delivery import KEY, ended, rows


class System(World):
    """A scheduler and a worker that deliver to a receiver of this test."""

    processes: Processes
    receiver: Receiver


@pytest.fixture(scope="module")
def system(servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    environment = {
        "CRASH_OUTBOUND_AT": str(tmp_path_factory.mktemp("crashes")),
        "OUTBOUND_WEBHOOK_KEY": KEY,
        "OUTBOUND_WEBHOOK_ALLOW": "127.0.0.0/8",
        "REDIS_URL": servers.redis_url,
    }
    with open_database(servers, template) as url, Environment(**environment), receiving() as receiver:
        system = System(url)
        system.receiver = receiver
        with forked.processes({"scheduler": ["scheduler"], "worker": ["worker"]}) as processes:
            system.processes = processes
            until(lambda: system.value("select count(*) from worker") > 0)
            endpoint.add(receiver.url, event_types=["call.ended"], actor="test")
            yield system
        system.connection.close()


@pytest.mark.parametrize("point", WEBHOOK_POINTS)
def test_an_event_whose_delivery_is_killed_arrives_under_its_id(system: System, point: str) -> None:
    request = Path(os.environ["CRASH_OUTBOUND_AT"]) / point
    number = WEBHOOK_POINTS.index(point)
    request.touch()

    call_id = ended(system, f"+1500555011{number}", f"CA{number:032d}")

    def is_delivered() -> bool:
        system.processes.tend()
        system.do("update webhook_delivery set overdue_at = now() - interval '1 s' where not %s", request.exists())
        system.do("update webhook_delivery set due_at = now() where due_at > now()")
        return [row.state for row in rows(system)] == ["done"] * (number + 1) and not request.exists()

    until(is_delivered)
    assert f"evt_call_ended_{call_id}" in system.receiver.ids
