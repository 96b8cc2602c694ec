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
DEBIAN_GO = Path("/usr/share/gocode")
pytestmark = pytest.mark.timeout(300)  # Go compiles its own library first, and npm fetches


@dataclass(frozen=True)
class Example:
    """An example that can be started: its directory, and the commands of its README."""

    place: Path
    start: str
    tries: str
    environ: dict[str, str]


@dataclass(frozen=True)
class Shop:
    """An example that runs: where it answers, the commands with which its README tries it, and the business."""

    url: str
    tries: list[str]
    business_id: int


def blocks(readme: str) -> list[str]:
    """What the README has you type: install, start, try."""
    return re.findall(r"^```sh\n(.*?)\n```$", readme, re.M | re.S)


def go_environment(cache: Path) -> dict[str, str]:
    """Where Debian's Go finds Debian's lib/pq; or skip the test."""
    if shutil.which("go") is None or not (DEBIAN_GO / "src/github.com/lib/pq").is_dir():
        pytest.skip("needs Debian's golang-go and golang-github-lib-pq-dev")
    return {"GO111MODULE": "off", "GOPATH": str(DEBIAN_GO), "GOCACHE": str(cache)}


def npm_install(place: Path, command: str) -> None:
    """Install what Node's program needs; or skip the test."""
    if shutil.which("npm") is None:
        pytest.skip("needs Node.js and npm")
    done = subprocess.run(["sh", "-euc", command], cwd=place, capture_output=True, text=True, check=False, timeout=200)
    if done.returncode:
        pytest.skip(f"npm cannot install: {done.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="module", params=NAMES)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Example:
    """A copy of an example, with what it needs; Python's are installed beside the tests."""
    place = tmp_path_factory.mktemp("examples") / request.param
    shutil.copytree(EXAMPLES / request.param, place)
    install, start, tries = blocks((place / "README.md").read_text())
    environ = {}
    if (place / "package.json").exists():
        npm_install(place, install)
    if list(place.glob("*.go")):
        environ = go_environment(tmp_path_factory.mktemp("go"))
    return Example(place, start, tries, environ)


@pytest.fixture
def shop(example: Example, world: World, tmp_path: Path) -> Iterator[Shop]:
    """The example as its README starts it, on another port."""
    [port] = set(re.findall(r"\b50\d\d\b", example.start))
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
    start, tries = (re.sub(rf"\b{port}\b", str(free), block) for block in (example.start, example.tries))
    command = ["sh", "-euc", start]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            command, cwd=example.place, env=environ | example.environ, stdout=log, stderr=log, start_new_session=True
        ) as server,
    ):
        try:
            url = f"http://127.0.0.1:{free}"
            until(lambda: server.poll() is not None or answers(url), timeout_s=200)
            assert server.poll() is None, (tmp_path / "log").read_text()
            yield Shop(url, tries.splitlines(), business_id)
        finally:
            os.killpg(server.pid, signal.SIGKILL)


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
    assert "number" in done.json()["error"]
    assert (orders(world), world.statuses()) == (0, [])


def test_a_second_order_of_a_phone_that_a_call_is_live_to_is_not_saved(shop: Shop, world: World) -> None:
    order = {"item": "Piano", "phone": "+15005550101"}
    first = httpx.post(f"{shop.url}/orders", json=order).json()
    second = httpx.post(f"{shop.url}/orders", json=order)

    assert second.status_code == 409
    assert "another call to this phone" in second.json()["error"]
    assert (orders(world), world.statuses()) == (1, ["queued"])
    assert httpx.delete(f"{shop.url}/orders/{first['order']}").status_code == 200
    assert httpx.post(f"{shop.url}/orders", json=order).status_code == 201
    assert (orders(world), world.statuses()) == (1, ["canceled", "queued"])


@pytest.mark.parametrize("body", ['{"item": "Piano"}', '{"phone": "+15005550101"}', "[]", "null", "Piano"])
def test_a_body_that_is_no_order_is_refused(example: Example, shop: Shop, world: World, body: str) -> None:
    done = httpx.post(f"{shop.url}/orders", content=body, headers={"Content-Type": "application/json"})

    if "fastapi" in example.place.name:  # FastAPI checks the body itself
        assert (done.status_code, bool(done.json()["detail"])) == (422, True)
    else:
        assert (done.status_code, "phone" in done.json()["error"]) == (400, True)
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
