"""A sentence over HTTP names operations of the document in place of commands."""

import json
import re

import pytest

from outbound.api import commands
from outbound.rules import control
from outbound.rules.scope import Scope
from tests import ROOT
from tests.api.conftest import Client
from tests.conftest import World

pytestmark = pytest.mark.rows_only

_NAMED = re.compile(r"`outbound ([^`]*)`")
# What is done on the server alone: processes and the schema.
_OF_THE_SERVER = re.compile(r"adopt|doctor|migrate|recover|roles|rollback|scheduler|simulator|web|worker")


@pytest.mark.parametrize(
    ("command", "operation"),
    [
        ("resume everything", "POST /v1/control/everything/all/resume"),
        ("resume campaign 5", "POST /v1/control/campaigns/5/resume"),
        ("resume number +15005550006", "POST /v1/control/numbers/+15005550006/resume"),
        ("stop call 7", "POST /v1/control/calls/7/stop"),
        (
            "limit everything --calls-per-day … --minutes-per-day …",
            'PUT /v1/control/everything/all/limits {"calls_per_day": …, "minutes_per_day": …}',
        ),
        ("campaign set 8 --ends …", 'PATCH /v1/campaigns/8 {"ends": …}'),
        ("business list", "GET /v1/businesses"),
        (
            "destination allow GB --business 1",
            'PUT /v1/destinations {"place": "GB", "allowed": true, "business_id": …}',
        ),
        ("campaign set 8 --number …", 'PATCH /v1/campaigns/8 {"numbers": …}'),
        ("cancel --number …", 'POST /v1/calls/cancel {"number": …}'),
        ("webhook set 2 --on", 'PATCH /v1/webhooks/2 {"state": "on"}'),
        ("webhook deliveries", "GET /v1/webhooks/{endpoint_id}/deliveries"),
        ("call show 7", "GET /v1/calls/7"),
    ],
)
def test_a_command_is_named_as_the_operation_that_does_the_same(command: str, operation: str) -> None:
    assert (
        commands.worded(f"See `outbound {command}`, or `outbound {command}`.")
        == f"See `{operation}`, or `{operation}`."
    )


def test_a_command_that_is_no_operation_stays() -> None:
    for text in ("`outbound doctor` says so", "no command", "`outbound`", "`outbound migrate`, then `outbound worker`"):
        assert commands.worded(text) == text


def test_each_operation_that_a_sentence_names_is_in_the_document() -> None:
    sentences = json.loads((ROOT / "outbound/translation/sentences.he.json").read_text(encoding="utf-8"))
    paths = json.loads((ROOT / "ops/openapi.json").read_text(encoding="utf-8"))["paths"]
    known = [(method.upper(), re.sub(r"\{\w+\}", "[^/]+", path)) for path in paths for method in paths[path]]

    for text in {found for sentence in sentences for found in _NAMED.findall(sentence)}:
        command = re.sub(
            r"\{\w+\}",
            "7",
            text.replace("{scope}", "campaign 5").replace("{what} list", "window list").replace("{what}", "everything"),
        )
        named = commands.worded(f"`outbound {command}`").strip("`")
        if named.startswith("outbound "):
            assert _OF_THE_SERVER.match(command), command
            continue
        method, path = named.split()[:2]
        assert any(method == one and re.fullmatch(known_path, path) for one, known_path in known), (command, named)


def test_what_refuses_and_what_says_why_name_no_command(world: World, client: Client) -> None:
    business_id = world.business("Acme", "+15005550006")
    world.worker()
    world.scheduler()
    call = world.queued(business_id)
    control.pause(Scope("business", str(business_id)), actor="dana")
    http = client()

    refused = http.put(f"/businesses/{business_id}/window", json={"window_id": 4711}).json()
    said = [http.get(f"/calls/{call}/why").json()["sentence"], http.get("/status").text]

    assert refused["detail"] == "there is no window 4711: see `GET /v1/windows`"
    for sentence in said:
        assert f"`POST /v1/control/businesses/{business_id}/resume` lets it go" in sentence
        assert "`outbound " not in sentence
