"""What docs/webhooks.md says that is sent, is sent: each example beside a real event of its type."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from outbound import db
from outbound.call import CallEvent
from outbound.calls import cleanup, events, import_calls, lead
from outbound.webhooks import delivery, endpoint, event, signature
from outbound.webhooks.http_client import Outcome
from tests import ROOT
from tests.conftest import World, forget_settings

PAGES = ("docs/webhooks.md", "docs/webhooks.he.md")


def examples(page: str) -> dict[str, Any]:
    """The events that a page shows, by their types."""
    shown = re.findall(r"^```json\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)
    told = [json.loads(one) for one in shown]
    return {one["type"]: one for one in told}


def shape(value: Any) -> Any:
    """A JSON value with the names of types in place of what differs from event to event."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value).__name__


def report(call_id: int, status: str, **facts: Any) -> None:
    events.record(call_id, CallEvent(f"CA{call_id:032x}", status, "lookup", **facts))


def live(world: World, campaign_id: int) -> None:
    """A call that is answered, ends and gets its lead, and one that was given up and had been answered."""
    answered, late = world.initiated(1, "+15005550101"), world.initiated(1, "+15005550102")
    world.do(
        "update call_log set campaign_id = %s, idempotency_key = 'appointment-7', contact = %s where id = %s",
        campaign_id,
        '{"name": "Dana"}',
        answered,
    )
    report(answered, "in-progress")
    report(answered, "completed", duration_s=42)
    lead.create_lead_from_call_job(f"CA{answered:032x}")
    world.age(late, 110)
    cleanup.cleanup_stuck_dialing_jobs()
    report(late, "completed", duration_s=42)


@pytest.fixture
def sent(world: World, monkeypatch: pytest.MonkeyPatch, nudges: list[Any], tmp_path: Path) -> dict[str, Any]:
    """One event of each type, as it is posted; of two of a type, the first."""
    monkeypatch.setenv("OUTBOUND_WEBHOOK_KEY", "0123456789abcdef" * 2)
    forget_settings()
    whose = world.business()
    gone = endpoint.add("https://gone.example/", business_id=whose, event_types=["ping"], actor="test")
    made = endpoint.add("https://receiver.example/", business_id=whose, event_types=list(event.TYPES), actor="test")
    campaign_id = world.value("insert into campaign (business_id, name) values (%s, 'spring') returning id", whose)
    live(world, campaign_id)
    world.do(
        "insert into dial_control (scope, key, state, state_reason, refused_calls)"
        " values ('campaign', %s, 'paused', 'Twilio refused five calls in a row with 21210', '{3, 4, 5, 6, 7}')",
        str(campaign_id),
    )
    event.write_campaigns_done()
    (tmp_path / "calls.csv").write_text("to\n+15005550109\n")
    import_calls.import_calls(tmp_path / "calls.csv", campaign_id=campaign_id, batch="spring")
    endpoint.ping(made.id)
    endpoint.ping(gone.id)
    world.do("update webhook_delivery set state = 'claimed'")
    (ping,) = posted(world, gone.id)
    delivery.record([(ping, Outcome("gone", 410, "410", 5))])
    world.do("update webhook_delivery set state = 'claimed' where endpoint_id = %s", made.id)
    told = [json.loads(delivery._body(row)) for row in posted(world, made.id)]
    return {one["type"]: one for one in reversed(told)}


def posted(world: World, endpoint_id: int) -> list[db.Row]:
    ids = [row.id for row in world.rows("select id from event_log")]
    return list(db.run(delivery.sql.begin_deliveries, endpoint_id=endpoint_id, event_ids=ids, sending_s=45))


@pytest.mark.parametrize("page", PAGES)
def test_every_type_is_shown_with_the_fields_that_it_has(page: str, sent: dict[str, Any]) -> None:
    shown = examples(page)

    assert shown.keys() == sent.keys() == event.TYPES.keys()
    assert {name: shape(one) for name, one in shown.items()} == {name: shape(one) for name, one in sent.items()}


def test_the_waits_between_attempts_are_those_of_the_table(world: World) -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|$", (ROOT / PAGES[0]).read_text(), re.M)

    for attempt, wait in rows:
        assert world.value("select webhook_wait(%s) = %s::interval", int(attempt) - 1, wait), attempt
    assert world.value("select webhook_wait(%s)", len(rows) + 1) is None


def test_the_example_in_python_verifies_what_is_sent_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_WEBHOOK_KEY", "0123456789abcdef" * 2)
    forget_settings()
    (source,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / PAGES[0]).read_text(), re.M | re.S)
    told: dict[str, Any] = {}
    exec(source, told)  # noqa: S102 (our own page)
    body = b'{"id":"evt_ping_1"}'
    signed = signature.headers("evt_ping_1", int(time.time()), body, endpoint_id=1, generation=1, with_previous=False)

    assert told["event_of"](body, signed, signature.secret(1, 1)) == {"id": "evt_ping_1"}
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        told["event_of"](body, signed, signature.secret(2, 1))
