"""`outbound webhook` and `outbound events`, as an operator types them."""

import json
import os
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest

from outbound.call import CallEvent
from outbound.calls import events
from outbound.webhooks import listener, signature
from tests import ROOT, forked
from tests.conftest import World, forget_settings, until
from tests.ports import free_ports

pytestmark = pytest.mark.rows_only

KEY = "0123456789abcdef" * 2


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return forked.run(*arguments, env=os.environ | {"OUTBOUND_WEBHOOK_KEY": KEY, "COLUMNS": "200"} | env)


def told(*arguments: str, **env: str) -> Any:
    done = run(*arguments, "--json", **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_endpoint_from_its_first_day_to_its_last(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_WEBHOOK_KEY", KEY)
    forget_settings()
    added = run("webhook", "add", "https://example.com/events", "--type", "call.ended", "--by", "dana")
    assert (added.returncode, added.stdout.strip()) == (0, signature.secret(1, 1))
    assert "try it with `outbound webhook test 1`" in added.stderr

    pinged = told("webhook", "test", "1")
    assert told("webhook", "deliveries", "1")[0]["public_id"] == pinged["id"]
    shown = run("webhook", "deliveries", "1")
    assert "due" in shown.stdout
    assert run("webhook", "rotate", "1").stdout.strip() == signature.secret(1, 2)
    assert run("webhook", "secret", "1").stdout.strip() == signature.secret(1, 2)
    assert told("webhook", "set", "1", "--off", "--by", "dana") == {"id": 1, "state": "off"}
    listed = run("webhook", "list")
    assert "off since" in listed.stdout
    assert told("webhook", "set", "1", "--all-types", "--on")["state"] == "on"
    assert told("webhook", "replay", "1", "--given-up") == {"replayed": 0}
    assert told("webhook", "remove", "1") == {"id": 1, "waiting": 1}
    assert run("webhook", "list").stdout.strip() == "there is no endpoint: `outbound webhook add` makes one"
    actions = [row.action for row in world.rows("select action from audit order by id")]
    assert actions == [f"webhook.{verb}" for verb in ("add", "rotate", "set", "set", "replay", "remove")]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "http://example.com/"), "an endpoint is https:// on port 443"),
        (("add", "https://user:pw@example.com/"), "leave user, password and # out of the address"),
        (("add", "https://169.254.169.254/latest"), "webhooks may not be sent to this address"),
        (("add", "example.com"), "an endpoint is an address like https://example.com/events"),
        (("add", "https://example.com/", "--type", "call.over"), "call.over is no type of event: call.answered, "),
        (("add", "https://example.com/", "--business", "77"), "77"),
        (("set", "7", "--on"), "there is no such endpoint: see `outbound webhook list`"),
        (("deliveries", "7"), "there is no such endpoint"),
        (("replay", "1"), "say which events: by their ids, types, or time, or all that were given up"),
        (("replay", "1", "--since", "soon"), "the moment"),
        (("replay", "1", "--since", "2026-11-30", "--until", "2026-11-29"), "--since must lie before --until"),
        (("listen", "--secret", "whsec_?"), "a secret is whsec_ and base64"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_changes_nothing(
    world: World, arguments: tuple[str, ...], says: str
) -> None:
    done = run("webhook", *arguments)

    assert done.returncode == 2
    assert says in done.stderr
    assert "pw@" not in done.stderr
    assert world.value("select count(*) from webhook_endpoint") == 0


def test_without_the_key_no_endpoint_is_added(world: World) -> None:
    done = run("webhook", "add", "https://example.com/", OUTBOUND_WEBHOOK_KEY="")

    assert done.returncode == 2
    assert "OUTBOUND_WEBHOOK_KEY: must be set where webhooks are signed" in done.stderr


def test_events_are_shown_from_the_first_look_on(world: World) -> None:
    assert run("events").stdout == ""
    call_id = world.initiated(to="+15005550123")
    events.record(call_id, CallEvent("CA" + "a" * 32, "busy", "lookup"))

    shown = run("events")
    assert f"call.ended call {call_id} status=busy" in shown.stdout
    (event,) = [json.loads(line) for line in run("events", "--json").stdout.splitlines()]
    assert (event["id"], event["data"]["to"]) == (f"evt_call_ended_{call_id}", "+15005550123")
    assert run("events", "--after", event["place"]).stdout == ""
    assert "no place" not in run("events", "--after", "soon").stderr
    assert run("events", "--after", "soon").returncode == 2


def test_followed_events_come_as_they_happen(world: World) -> None:
    command = [sys.executable, "-m", "outbound", "events", "--follow", "--json"]
    with forked.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        until(lambda: world.value("select count(*) from event_reader") == 1)
        until(lambda: world.value("select count(*) from pg_stat_activity where query like 'listen%%'") == 1)
        call_id = world.initiated()
        events.record(call_id, CallEvent("CA" + "a" * 32, "busy", "lookup"))
        assert json.loads(following.stdout.readline())["data"]["call_id"] == call_id
        following.terminate()
        assert following.wait(20) == 0


def test_the_listener_shows_what_comes_and_whether_it_is_genuine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_WEBHOOK_KEY", KEY)
    forget_settings()
    (port,) = free_ports(1)
    shown: list[str] = []
    body = b'{"type":"ping"}'
    signed = signature.headers("evt_1", int(time.time()), body, endpoint_id=1, generation=1, with_previous=False)
    old = signature.headers("evt_1", int(time.time()) - 301, body, endpoint_id=1, generation=1, with_previous=False)
    with listener.listening(port, signature.secret(1, 1), shown.append):
        url = f"http://127.0.0.1:{port}/"
        assert httpx.post(url, content=body, headers=signed).status_code == 204
        assert httpx.post(url, content=body, headers=old).status_code == 400
        assert httpx.post(url, content=body + b" ", headers=signed).status_code == 400
        assert httpx.post(url, content=body).status_code == 400

    assert shown[0] == 'verified: {"type":"ping"}'
    assert [line.partition(":")[0] for line in shown[1:]] == ["not verified"] * 3
