"""The page on the API: its commands run as they stand, and its tables are what the code has."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest

from outbound.api import app, problem
from outbound.cli import campaign, control
from outbound.rules import api_token, limits
from tests import ROOT
from tests.api.conftest import is_served
from tests.cli.test_cli import environment
from tests.conftest import World, until
from tests.ports import free_ports

PAGE = (ROOT / "docs" / "http-api.md").read_text()
HEBREW = (ROOT / "docs" / "http-api.he.md").read_text()


def commands(page: str) -> str:
    (block,) = re.findall(r"```bash\n(.*?)```", page, re.S)
    return str(block)


def test_ten_commands_lead_from_an_empty_database_to_a_lead(world: World, tmp_path: Path) -> None:
    web, api, simulator = free_ports(3)
    settings = {
        "DATABASE_URL": world.url,
        "REDIS_URL": "memory://",
        "OUTBOUND_DATA_DIR": str(tmp_path / "data"),
        "OUTBOUND_WEB_PORT": str(web),
        "OUTBOUND_API_PORT": str(api),
        "OUTBOUND_SIMULATOR_PORT": str(simulator),
        "OUTBOUND_SIMULATOR_SPEED": "20",
    }
    env = environment(settings) | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with (tmp_path / "up.log").open("w") as log:
        up = subprocess.Popen(["outbound", "up"], env=env, cwd=tmp_path, stdout=log, stderr=log)
    try:
        until(lambda: is_served(api), 60)
        script = f"set -euo pipefail\n{commands(PAGE)}\n"
        waits = 'for n in $(seq 300); do ask "$API/leads" | grep -q "+15005550101" && break; sleep 0.2; done\n'
        before, last = script.rsplit('ask "$API/leads"', 1)
        done = subprocess.run(
            ["bash", "-c", f'{before}{waits}ask "$API/leads"{last}'],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        up.terminate()
        up.wait(40)

    assert done.returncode == 0, done.stderr
    assert '"created":true' in done.stdout
    assert '"created":false' in done.stdout
    assert done.stdout.rstrip().endswith('"next":null}')
    assert '"phone":"+15005550101"' in done.stdout
    assert world.value("select count(*) from call_log") == 1


def test_the_commands_are_the_same_in_both_languages() -> None:
    assert commands(PAGE) == commands(HEBREW)


def test_the_table_of_scopes_is_that_of_the_code() -> None:
    assert dict(re.findall(r"^\| `([a-z:]+)` \| (.+) \|$", PAGE, re.M)) == api_token.SCOPES


@pytest.mark.parametrize(
    "code", sorted(set(re.findall(r"`(\w+)`", PAGE.split("## What is refused")[1].split("A body")[0])))
)
def test_each_code_that_is_named_has_a_title(code: str) -> None:
    assert code in problem.TITLES or code in ("code", "detail", "errors", "title", "OUTBOUND_API_RATE")


def test_a_limit_has_the_same_bounds_in_the_document_and_wherever_it_is_set() -> None:
    schemas = app.document()["components"]["schemas"]
    bounds = {"calls_per_second": (limits.RATE_MIN, limits.RATE_MAX), "live_max": (0, limits.LIVE_MAX)}
    weights = {"weight": (limits.WEIGHT_MIN, limits.WEIGHT_MAX)}

    for model in ("NewCampaign", "ChangedCampaign"):
        fields = schemas[model]["properties"]
        for name, (low, high) in (bounds | {"priority": weights["weight"]}).items():
            assert (fields[name]["anyOf"][0]["minimum"], fields[name]["anyOf"][0]["maximum"]) == (low, high)
    for name, (low, high) in (bounds | weights).items():
        assert f"{low:g} to {high:.15g}" in schemas["Limits"]["properties"][name]["description"]
    for command in (control.limit, campaign.campaign_add, campaign.campaign_set):
        options = get_type_hints(command, include_extras=True)
        for name, (low, high) in bounds.items():
            assert f"{low:g} to {high:.15g}" in options[name].__metadata__[0].help
    checks = (ROOT / "sql" / "schema.sql").read_text()
    assert f"calls_per_second >= {limits.RATE_MIN}" in checks
    assert f"calls_per_second <= {limits.RATE_MAX}" in checks
