"""The receivers of examples, with the real frameworks: genuine events are done once, others are refused."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from outbound.webhooks import delivery, endpoint
from tests import ROOT
from tests.conftest import World, until
from tests.ports import free_ports
from tests.webhooks.test_delivery import age, ended, send
from tests.webhooks.test_delivery import receiver as settings_for_webhooks

__all__ = ["settings_for_webhooks"]  # a fixture
RECEIVERS = ROOT / "examples" / "webhook_receivers"


@pytest.fixture(params=sorted(path.name for path in RECEIVERS.glob("*.py")))
def url(request: pytest.FixtureRequest, world: World, settings_for_webhooks: object, tmp_path: Path) -> Iterator[str]:
    """A receiver as its first lines start it, on another port, and the endpoint for it."""
    [command] = re.findall(r": `(.+)`\.$", (RECEIVERS / request.param).read_text(), re.M)
    [port] = re.findall(r"\b50\d\d\b", command)
    [free] = free_ports(1)
    address = f"http://127.0.0.1:{free}/events"
    secret = endpoint.add(address, actor="test").secret
    environ = os.environ | {
        "WEBHOOK_SECRET": secret,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with (tmp_path / "log").open("w+") as log:
        command = command.replace(port, str(free))
        server = subprocess.Popen(
            ["sh", "-euc", command], cwd=RECEIVERS, env=environ, stdout=log, stderr=log, start_new_session=True
        )
        try:
            until(lambda: server.poll() is not None or answers(address), timeout_s=60)
            assert server.poll() is None, (tmp_path / "log").read_text()
            yield address
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def answers(url: str) -> bool:
    """Does it answer already?"""
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def test_each_receiver_does_each_event_once_and_refuses_what_is_not_genuine(
    world: World, url: str, settings_for_webhooks: object
) -> None:
    call_id = ended(world)
    send(world, settings_for_webhooks)  # type: ignore[arg-type]
    assert httpx.get(url).json() == [f"evt_call_ended_{call_id}"]
    assert world.value("select state from webhook_delivery") == "done"

    assert endpoint.replay(1, event_ids=[f"evt_call_ended_{call_id}"], actor="test") == 1
    send(world, settings_for_webhooks)  # type: ignore[arg-type]
    age(world, delivery.SENDING_S)
    assert world.value("select status_code from webhook_delivery") == 204
    assert httpx.get(url).json() == [f"evt_call_ended_{call_id}"]

    forged = {"webhook-id": "evt_x", "webhook-timestamp": "1764200000", "webhook-signature": "v1,AAAA"}
    assert httpx.post(url, content=b'{"id": "evt_x", "type": "ping", "data": {}}', headers=forged).status_code == 400
    assert httpx.post(url, content=b"{}").status_code == 400
    now = {"webhook-id": "evt_x", "webhook-timestamp": str(int(time.time()))}
    for body, signature in ((b"\xff", "v1,AAAA"), (b"{}", "nocomma"), (b"{}", "v1,a,b"), (b"{}", "v1,x")):
        assert httpx.post(url, content=body, headers=now | {"webhook-signature": signature}).status_code == 400
    assert len(httpx.get(url).json()) == 1
