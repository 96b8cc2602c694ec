"""Rows that every screen has something to show of."""

from dataclasses import dataclass

from outbound.call import CallEvent
from outbound.calls import enqueue, events
from outbound.rules import business, campaign, control
from outbound.rules.scope import scope_of
from tests.conftest import World

HELLO = "<Response><Say>Hello.</Say></Response>"


@dataclass(frozen=True)
class Rows:
    """Ids of what was made: a running campaign, and calls that wait, that talk and that have ended in several ways."""

    business: int
    campaign: int
    calls: list[int]


def fill(world: World) -> Rows:
    """Make them."""
    world.worker()
    world.scheduler()
    acme = business.add(
        "Acme Dental", time_zone="Asia/Jerusalem", default_region="IL", twiml=HELLO, phones=["+97231234567"]
    )
    recall = campaign.add(acme, {"name": "Winter recall"}, actor="Dana")
    waiting = [enqueue.enqueue(campaign_id=recall, to_number=f"+9723555010{last}").call_id for last in range(4)]
    paused, later = waiting[0], waiting[1]
    control.pause(scope_of("call", str(paused)), reason="wrong number?", actor="Dana")
    world.do("update call_log set due_at = now() + interval '2 days' where id = %s", later)
    talking, busy, failed, done = (
        world.initiated(acme, f"+9723555020{last}", f"CA{last}{'0' * 31}") for last in range(4)
    )
    for call_id, status, sid, rest in (
        (talking, "in-progress", 0, {"answered_by": "human"}),
        (busy, "busy", 1, {"payload": {"SipResponseCode": "486"}}),
        (failed, "failed", 2, {"payload": {"SipResponseCode": "404"}}),
        (done, "completed", 3, {"duration_s": 42, "payload": {"CallDuration": "42"}}),
    ):
        number = world.value("select to_number from call_log where id = %s", call_id)
        event = CallEvent(f"CA{sid}{'0' * 31}", status, "callback", number, sequence_number=3, **rest)
        events.record(call_id, event)
    return Rows(acme, recall, [paused, later, waiting[2], talking, busy, failed, done])
