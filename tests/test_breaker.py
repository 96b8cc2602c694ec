"""A carrier that refuses everything, is in trouble, or is too slow stops us before the queue is burnt."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from outbound import control, db, dial, dispatch
from outbound.carrier.simulator import RunningSimulator
from outbound.control import Scope
from tests.conftest import World, forget_settings

NUMBER = "+15005550006"


@pytest.fixture
def campaign_id(world: World) -> int:
    world.worker()
    business_id = world.business()
    return int(world.value("insert into campaign (business_id, name) values (%s, 'May') returning id", business_id))


def queue(world: World, campaign_id: int | None, calls: int, digits: str) -> list[int]:
    """Calls that wait, to numbers that end in these digits."""
    business_id = world.value("select min(id) from business")
    before = world.value("select count(*) from call_log")
    return [
        int(
            world.value(
                "insert into call_log (business_id, campaign_id, from_number, to_number) values (%s, %s, %s, %s)"
                " returning id",
                business_id,
                campaign_id,
                NUMBER,
                f"+1500{1_000_000 + before + place}{digits}",
            )
        )
        for place in range(calls)
    ]


def turn(world: World, nudges: list[Any]) -> int:
    """One dispatch turn, and a worker that dials all that was claimed; how many calls that were."""
    nudges.clear()
    dispatch.dispatch_once()
    calls = [call_id for actor, args in nudges if actor == "dial_call" for call_id in args]
    for call_id in calls:
        dial.dial_call(call_id)
    return len(calls)


def account(world: World) -> Any:
    return world.rows("select *, hold_until - now() as hold from dial_control where scope = 'account'")[0]


def let_the_hold_end(world: World) -> None:
    hold = world.value("select greatest(hold_until - now(), '0') + interval '1.1 s' from dial_control where key = ''")
    world.do(
        "update dial_control set hold_until = hold_until - %s, slowed_at = slowed_at - %s,"
        " refilled_at = refilled_at - interval '1 minute' where scope = 'account'",
        hold,
        hold,
    )
    world.do("update call_log set dialed_at = dialed_at - %s where status <> 'queued'", hold)


def refuse(call_id: int, code: str, at_fault: str | None) -> Any:
    refused = {"error_code": code, "error_message": "no", "at_fault": at_fault}
    return db.run(dial.sql.record_refusal, call_id=call_id, fence=1, **refused)


def initiated(world: World, campaign_id: int | None) -> int:
    (call_id,) = queue(world, campaign_id, 1, "01")
    world.do(
        "update call_log set status = 'claimed', fence = 1, overdue_at = now() + interval '30 s' where id = %s",
        call_id,
    )
    world.do("update call_log set status = 'initiated', dialed_at = now() where id = %s", call_id)
    return call_id


@contextmanager
def carrier_that_says(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[], tuple[int, dict[str, Any]]]
) -> Iterator[None]:
    """A carrier with one answer to everything."""

    class Says(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = answer()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Says)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("TWILIO_API_URL", f"http://127.0.0.1:{server.server_port}")
    forget_settings()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def test_five_refusals_in_a_row_for_the_same_fault_pause_the_campaign_and_name_the_calls(
    world: World, carrier: RunningSimulator, nudges: list[Any], campaign_id: int
) -> None:
    calls = queue(world, campaign_id, 12, "16")  # 21215: no permission for that country
    control.limit(Scope("campaign", str(campaign_id)), live_max="3")

    dialed = [turn(world, nudges) for _ in range(6)]

    assert sum(dialed) - world.statuses().count("queued") <= 12
    assert world.statuses().count("failed") == 5
    assert len(carrier.log()) == 5
    (row,) = world.rows("select * from dial_control where state = 'paused'")
    assert (row.scope, row.key, row.refused_calls) == ("campaign", str(campaign_id), calls[:5])
    named = ", ".join(map(str, calls[:5]))
    assert row.state_reason == f"The carrier refused 5 calls in a row, the last with 21215: calls {named}."
    audit = world.rows("select * from audit where who = 'breaker'")
    assert [(entry.action, entry.scope, entry.key, entry.details["calls"]) for entry in audit] == [
        ("pause", "campaign", str(campaign_id), calls[:5])
    ]

    control.resume(Scope("campaign", str(campaign_id)))
    assert turn(world, nudges) == 3
    assert world.value("select cardinality(refused_calls) from dial_control where scope = 'campaign'") == 3


def test_a_campaign_that_is_refused_does_not_stop_the_others(
    world: World, carrier: RunningSimulator, nudges: list[Any], campaign_id: int
) -> None:
    queue(world, campaign_id, 5, "16")
    turn(world, nudges)
    world.do("update call_log set from_number = '+15005550007'")
    other = world.value("insert into campaign (business_id, name) select id, 'June' from business returning id")
    queue(world, int(other), 2, "01")

    assert turn(world, nudges) == 2


@pytest.mark.parametrize(
    ("at_fault", "in_campaign", "scope"),
    [
        ("number", True, ("number", NUMBER)),
        ("campaign", True, ("campaign", "1")),
        ("campaign", False, ("business", "1")),
        (None, True, None),
    ],
)
def test_who_is_paused_is_who_is_at_fault(
    world: World, campaign_id: int, at_fault: str | None, in_campaign: bool, scope: tuple[str, str] | None
) -> None:
    claims = queue(world, campaign_id if in_campaign else None, 2, "02")
    world.do("update call_log set status = 'claimed', overdue_at = now() + interval '30 s'")
    neighbour = world.claimed(world.business("neighbour"), "+15005550303")
    world.do("update call_log set from_number = '+15005550009' where id = %s", neighbour)

    dialing = [initiated(world, campaign_id if in_campaign else None) for _ in range(6)]
    tripped = [refuse(call_id, "21210", at_fault) for call_id in dialing]

    paused = world.rows("select scope, key from dial_control where state = 'paused'")
    assert [tuple(row) for row in paused] == ([scope] if scope else [])
    assert [row and tuple(row) for row in tripped] == [None] * 4 + [scope] + [None]
    assert [world.call(claim).status for claim in claims] == [("queued" if scope else "claimed")] * 2
    assert world.call(neighbour).status == "claimed"


@pytest.mark.parametrize(
    ("code", "at_fault"), [("21210", "number"), ("21212", "number"), ("21215", "campaign"), ("21211", None)]
)
def test_whose_fault_a_refusal_is(
    world: World, nudges: list[Any], campaign_id: int, monkeypatch: pytest.MonkeyPatch, code: str, at_fault: str | None
) -> None:
    queue(world, campaign_id, 5, "01")

    with carrier_that_says(monkeypatch, lambda: (400, {"code": int(code), "message": "no", "status": 400})):
        while turn(world, nudges):
            pass

    paused = world.rows("select scope from dial_control where state = 'paused'")
    assert [row.scope for row in paused] == ([at_fault] if at_fault else [])


def test_a_call_that_is_accepted_ends_the_row_of_refusals(
    world: World, carrier: RunningSimulator, nudges: list[Any], campaign_id: int
) -> None:
    for digits in ("16", "16", "16", "16", "01", "16", "16", "16", "16"):
        queue(world, campaign_id, 1, digits)
        assert turn(world, nudges) == 1

    (row,) = world.rows("select * from dial_control where scope = 'campaign'")
    assert (row.state, len(row.refused_calls)) == ("running", 4)


def test_an_accepted_call_writes_no_row_of_control_that_says_so_already(
    world: World, carrier: RunningSimulator, campaign_id: int
) -> None:
    (call_id,) = queue(world, campaign_id, 1, "01")
    world.do("update call_log set status = 'claimed', overdue_at = now() + interval '30 s'")
    before = world.rows("select xmin, ctid, scope from dial_control")

    dial.dial_call(call_id)

    assert world.call(call_id).call_sid is not None
    assert world.rows("select xmin, ctid, scope from dial_control") == before


def test_a_carrier_that_throttles_is_given_time_and_nothing_is_lost(
    world: World, carrier: RunningSimulator, nudges: list[Any], campaign_id: int
) -> None:
    calls = queue(world, campaign_id, 4, "17")  # 429 for the first two requests to each number

    assert turn(world, nudges) == 4
    first = account(world)
    assert (first.troubles, first.slow_factor) == (1, 0.5)
    assert 0 < first.hold.total_seconds() <= 1
    assert len(carrier.log()) == 1  # the others had been claimed, and were not begun
    assert world.statuses() == ["queued"] * 4

    world.do("update call_log set due_at = now()")
    assert turn(world, nudges) == 0

    for _ in range(20):
        let_the_hold_end(world)
        world.do("update call_log set due_at = least(due_at, now()) where status = 'queued'")
        turn(world, nudges)
    assert all(world.call(call_id).call_sid is not None for call_id in calls)
    assert account(world).troubles == 0
    assert max(len([e for e in carrier.log() if e["to"] == entry["to"]]) for entry in carrier.log()) == 3


@pytest.mark.parametrize("digits", ["24", "30", "20"])
def test_a_carrier_that_answers_nothing_but_errors_burns_one_call_per_hold(
    world: World, carrier: RunningSimulator, nudges: list[Any], campaign_id: int, digits: str
) -> None:
    queue(world, campaign_id, 50, digits)
    holds = []

    for _ in range(9):
        before = len(carrier.log())
        turn(world, nudges)
        assert len(carrier.log()) == before + 1
        assert turn(world, nudges) == 0  # while it lasts
        holds.append(account(world).hold.total_seconds())
        let_the_hold_end(world)

    assert [round(hold) for hold in holds] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert world.statuses().count("queued") == 41
    assert account(world).slow_factor >= 0.05


def test_after_a_trouble_one_call_is_tried_and_the_first_that_is_taken_lets_the_others_go(
    world: World, carrier: RunningSimulator, nudges: list[Any], campaign_id: int
) -> None:
    queue(world, campaign_id, 1, "24")
    turn(world, nudges)
    queue(world, campaign_id, 8, "01")
    let_the_hold_end(world)
    nudges.clear()

    dispatch.dispatch_once()
    dispatch.dispatch_once()
    ((_, (tried,)),) = nudges
    assert world.statuses().count("claimed") == 1
    dial.dial_call(tried)

    assert account(world).troubles == 0
    let_the_hold_end(world)
    assert turn(world, nudges) > 1


def test_a_refusal_shows_that_the_carrier_is_well(world: World, campaign_id: int) -> None:
    world.do("update dial_control set troubles = 3 where scope = 'account'")

    refuse(initiated(world, campaign_id), "21211", None)

    assert account(world).troubles == 0


def test_troubles_within_one_second_are_one(world: World) -> None:
    for _ in range(8):
        db.run(dial.sql.slow_down, hold_max_s=60)

    assert account(world).troubles == 1


def test_the_pace_comes_back_within_a_minute(world: World) -> None:
    control.limit(Scope("account", ""), calls_per_second="10")
    db.run(dial.sql.slow_down, hold_max_s=60)
    rates = []
    for age_s in (0, 30, 30):
        world.do("update dial_control set slowed_at = slowed_at - make_interval(secs => %s)", age_s)
        rates.append(round(world.value("select rate from dial_scope(null) where scope = 'account'"), 1))

    assert rates == [5.0, 7.5, 10.0]


def test_a_network_that_is_down_is_no_trouble_of_the_carrier(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    call_id = world.claimed()
    monkeypatch.setenv("TWILIO_API_URL", "http://127.0.0.1:1")
    forget_settings()

    dial.dial_call(call_id)

    assert world.call(call_id).status == "queued"
    assert account(world).troubles == 0


@pytest.mark.parametrize(("queue_time", "troubles"), [("5001", 1), ("5000", 0), ("0", 0), (None, 0), ("soon", 0)])
def test_a_long_queue_at_the_carrier_slows_us_down(
    world: World, monkeypatch: pytest.MonkeyPatch, queue_time: str | None, troubles: int
) -> None:
    call_id = world.claimed()
    created = {"sid": "CA" + "1" * 32, "status": "queued", "queue_time": queue_time}

    with carrier_that_says(monkeypatch, lambda: (201, created)):
        dial.dial_call(call_id)

    assert world.call(call_id).call_sid == created["sid"]
    assert account(world).troubles == troubles
