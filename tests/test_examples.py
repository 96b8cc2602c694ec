"""The examples: every command of their READMEs, with the real frameworks on a real PostgreSQL."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests import ROOT
from tests.conftest import World, until
from tests.ports import free_ports

EXAMPLES = ROOT / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/README.md"))
CURL = ("curl", "--fail-with-body")


@dataclass(frozen=True)
class Shop:
    """An example that runs: where it answers, the commands with which its README tries it, and the business."""

    url: str
    tries: list[str]
    business_id: int


def blocks(readme: str) -> list[str]:
    """What the README has you type: install, start, try."""
    return re.findall(r"^```sh\n(.*?)\n```$", readme, re.M | re.S)


@pytest.fixture(params=NAMES)
def shop(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Iterator[Shop]:
    """The example as its README starts it, on another port."""
    place = tmp_path / request.param
    shutil.copytree(EXAMPLES / request.param, place)
    _, start, tries = blocks((place / "README.md").read_text())
    [port] = set(re.findall(r"\b50\d\d\b", start))
    [free] = free_ports(1)
    business_id = world.business()
    world.simulated()  # no phone of these numbers could ring
    world.do("update business set default_region = 'US'")
    environ = os.environ | {
        "DATABASE_URL": world.url,
        "BUSINESS_ID": str(business_id),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    log = (tmp_path / "log").open("w+")
    command = ["sh", "-euc", start.replace(port, str(free))]
    server = subprocess.Popen(command, cwd=place, env=environ, stdout=log, stderr=log, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{free}"
        until(lambda: server.poll() is not None or answers(url), timeout_s=60)
        assert server.poll() is None, (tmp_path / "log").read_text()
        yield Shop(url, tries.replace(port, str(free)).splitlines(), business_id)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        log.close()


def answers(url: str) -> bool:
    """Does somebody answer there, whatever it is?"""
    try:
        httpx.get(f"{url}/orders/0/call", timeout=5)
    except httpx.TransportError:
        return False
    return True


def orders(world: World) -> int:
    return int(world.value("select count(*) from shop_order"))


def test_the_commands_of_the_readme_take_an_order_show_its_call_and_cancel_both(shop: Shop, world: World) -> None:
    said = []
    for command in shop.tries:
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        said.append(json.loads(done.stdout))

    taken, shown, canceled = said
    call = world.call(taken["call"])
    assert taken["order"] == 1
    assert (call.business_id, call.to_number, call.idempotency_key) == (shop.business_id, "+15005550101", "order-1")
    assert call.contact == {"item": "Piano"}
    assert (shown["call"], shown["status"]) == (call.id, "queued")
    assert shown["why"]
    assert canceled == {"order": 1, "canceled": True}
    assert (call.status, call.error_message) == ("canceled", "An operator canceled it: the order was canceled.")
    assert orders(world) == 0


def test_an_order_whose_call_is_refused_is_not_saved(shop: Shop, world: World) -> None:
    done = httpx.post(f"{shop.url}/orders", json={"item": "Piano", "phone": "12"})

    assert done.status_code == 422
    assert re.search("12.*(number|digits)|number", done.json()["error"])
    assert (orders(world), world.statuses()) == (0, [])


def test_an_order_that_somebody_talks_about_stays_with_its_call(shop: Shop, world: World) -> None:
    taken = httpx.post(f"{shop.url}/orders", json={"item": "Piano", "phone": "+15005550101"}).json()
    world.do(
        "update call_log set status = 'in-progress', fence = 1, dialed_at = now(), answered_at = now(),"
        " call_sid = 'CA00000000000000000000000000000001', overdue_at = now() + interval '15 min'"
    )
    done = httpx.delete(f"{shop.url}/orders/{taken['order']}")

    assert done.status_code == 422
    assert (orders(world), world.statuses()) == (1, ["in-progress"])


def test_an_order_that_is_not_there_has_no_call(shop: Shop) -> None:
    assert httpx.get(f"{shop.url}/orders/77/call").status_code == 404


def test_each_example_is_in_the_table() -> None:
    table = (EXAMPLES / "README.md").read_text()

    assert sorted(re.findall(r"^\| \[(\w+)\]\(\1/\)", table, re.M)) == NAMES
