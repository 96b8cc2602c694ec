"""A carrier that refuses everything, is in trouble, or is too slow stops us before the queue is burnt."""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from outbound import db
from outbound.call import CallEvent
from outbound.calls import dial, dispatch, events
from outbound.carrier import Accepted, Answer, CallRefused, CallUnsure
from outbound.rules import control
from outbound.rules.limits import set_limits
from outbound.rules.scope import Scope
from outbound.simulator.server import RunningSimulator
from tests.conftest import World, begin, forget_settings

pytestmark = pytest.mark.rows_only

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
    take_your_time(world)
    calls = [call_id for actor, args in nudges if actor == "dial_call" for call_id in args]
    for call_id in calls:
        dial.dial_call(call_id)
    return len(calls)


def take_your_time(world: World) -> None:
    """On a busy machine a paced claim would often be too late to be dialed."""
    world.do(
        "update call_log set dial_by = now() + interval '1 minute' where status = 'claimed' and dial_by is not null"
    )


def account(world: World) -> Any:
    return world.rows(
        "select control.*, control.carrier_hold_until - now() as hold, room.rate, room.room"
        " from dial_control as control"
        " inner join room_of_scopes(array['account'], array[''], null) as room using (scope, key)"
    )[0]


def let_pass(world: World, seconds: float) -> None:
    """Let *seconds* pass for the carrier's pace and holds, and for what was dialed."""
    world.do(
        "update dial_control set carrier_hold_until = carrier_hold_until - %s, slowed_at = slowed_at - %s,"
        " window_began_at = window_began_at - %s, refilled_at = refilled_at - %s where scope = 'account'",
        *[timedelta(seconds=seconds)] * 4,
    )
    world.do(
        "update call_log set dialed_at = dialed_at - %s, over_by = over_by - %s where dialed_at is not null",
        *[timedelta(seconds=seconds)] * 2,
    )


def let_the_hold_end(world: World) -> None:
    hold = world.value("select greatest(carrier_hold_until - now(), '0') from dial_control where key = ''")
    let_pass(world, hold.total_seconds() + 0.1)
    world.do("update dial_control set refilled_at = refilled_at - interval '1 minute' where scope = 'account'")


def fails(troubles: int = 1, *, of_account: bool = False, begun_at: datetime | None = None) -> Any:
    """So many calls, begun at a moment, are answered with errors, and no other at that moment."""
    of = {"begun_at": begun_at, "of_account": of_account, "business_id": None}
    return db.run(dial.sql.slow_down, troubles=troubles, in_a_row=troubles, hold_max_s=60, **of)


def answered_at_once(world: World, answers: str, campaign_id: int | None = None) -> None:
    """Calls are begun, and each is answered at one moment: `.` is an accepted call, `x` an error, `r` a refusal."""
    call_ids = queue(world, campaign_id, len(answers), "01")
    world.do(
        "update call_log set status = 'claimed', fence = 1, overdue_at = now() + interval '30 s' where id = any(%s)",
        call_ids,
    )
    calls = {call_id: begin(call_id) for call_id in call_ids}
    errors: dict[str, Answer] = {"x": CallUnsure("500"), "r": CallRefused("21205", "no", "campaign")}
    said = [
        (call_id, errors.get(answer, Accepted(f"CA{call_id:032}", 0)))
        for call_id, answer in zip(call_ids, answers, strict=True)
    ]
    assert dial._write_down(calls, said) is None


class Carrier:
    """Answers to calls that were begun, one after the other, at a number of calls per second."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._business_id = world.business("answered")
        self._numbers = itertools.count()

    def takes(self, calls: int) -> None:
        """The next calls are accepted, each by the statement that records it."""
        if not calls:
            return
        first = next(self._numbers) * 10_000
        rows = self._world.rows(
            "insert into call_log (business_id, from_number, to_number, status, dialed_at, overdue_at)"
            " select %s, '+15005550006', '+1700' || (1000000 + %s + n), 'initiated', now(), now() + interval '60 s'"
            " from generate_series(1, %s) as n returning id",
            self._business_id,
            first,
            calls,
        )
        events.record_all([(row.id, CallEvent(f"CA{row.id:032}", "initiated", "create")) for row in rows])

    def answers(self, sequence: str, per_second: float) -> list[Any]:
        """`.` is an accepted call and `x` an error; the account's row after each error."""
        accounts = []
        for taken in sequence.split("x")[:-1]:
            let_pass(self._world, (len(taken) + 1) / per_second)
            self.takes(len(taken))
            fails()
            accounts.append(account(self._world))
        self.takes(len(sequence.rpartition("x")[2]))
        return accounts


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
    set_limits(Scope("campaign", str(campaign_id)), live_max="3")

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


def test_refusals_that_have_an_accepted_call_of_their_campaign_beside_them_pause_nothing(
    world: World, campaign_id: int
) -> None:
    for answers in (".rrrrr", "rrr.rr", "rrrr"):
        answered_at_once(world, answers, campaign_id)
    answered_at_once(world, ".")  # of the business alone
    (campaign,) = world.rows("select * from dial_control where scope = 'campaign'")
    assert (campaign.state, len(campaign.refused_calls)) == ("running", 4)

    answered_at_once(world, "r", campaign_id)
    assert world.value("select state from dial_control where scope = 'campaign'") == "paused"


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
    assert (first.troubles, first.carrier_holds, first.slow_factor) == (4, 0, 1)
    assert world.statuses() == ["queued"] * 4

    for _ in range(20):
        let_the_hold_end(world)
        world.do("update call_log set due_at = least(due_at, now()) where status = 'queued'")
        turn(world, nudges)
    assert all(world.call(call_id).call_sid is not None for call_id in calls)
    assert (account(world).troubles, account(world).carrier_holds) == (0, 0)
    assert max(len([e for e in carrier.log() if e["to"] == entry["to"]]) for entry in carrier.log()) == 3


def test_a_call_that_was_claimed_before_a_hold_is_not_begun_during_it(
    world: World, carrier: RunningSimulator, campaign_id: int
) -> None:
    call_id = world.claimed(world.value("select business_id from campaign where id = %s", campaign_id))
    world.do(
        "insert into dial_control (scope, key, carrier_hold_until) values ('account', '', now() + interval '1 min')"
        " on conflict (scope, key) do update set carrier_hold_until = excluded.carrier_hold_until"
    )

    dial.dial_call(call_id)

    assert carrier.log() == []
    assert world.call(call_id).dialed_at is None


@pytest.mark.parametrize("digits", ["24", "30", "20"])
def test_a_carrier_that_answers_nothing_but_errors_costs_one_call_per_hold(
    world: World, carrier: RunningSimulator, nudges: list[Any], campaign_id: int, digits: str
) -> None:
    queue(world, campaign_id, 4, digits)
    assert turn(world, nudges) == 4
    assert account(world).hold is None
    queue(world, campaign_id, 50, digits)
    holds = []
    set_limits(Scope("account", ""), live_max="5")  # one more: the fifth error in a row

    for _ in range(9):
        before = len(carrier.log())
        turn(world, nudges)
        assert len(carrier.log()) == before + 1
        set_limits(Scope("account", ""), live_max="none")
        assert turn(world, nudges) == 0  # while it lasts
        holds.append(account(world).hold.total_seconds())
        let_the_hold_end(world)

    assert [round(hold) for hold in holds] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert world.statuses().count("queued") == 41
    assert account(world).slow_factor >= 0.05


def test_after_a_hold_one_call_is_tried_and_the_first_that_is_taken_lets_the_others_go(
    world: World, carrier: RunningSimulator, nudges: list[Any], campaign_id: int
) -> None:
    fails(5)
    queue(world, campaign_id, 8, "01")
    assert turn(world, nudges) == 0
    let_the_hold_end(world)
    nudges.clear()

    dispatch.dispatch_once()
    dispatch.dispatch_once()
    ((_, (tried,)),) = nudges
    assert world.statuses().count("claimed") == 1
    take_your_time(world)
    dial.dial_call(tried)

    assert (account(world).troubles, account(world).carrier_holds) == (0, 0)
    let_the_hold_end(world)
    assert turn(world, nudges) > 1


@pytest.mark.parametrize("one_in", [200, 50])
def test_a_trickle_of_errors_neither_slows_nor_holds(world: World, one_in: int) -> None:
    set_limits(Scope("account", ""), calls_per_second="16")
    luck = random.Random(1)
    sequence = "".join("x" if luck.random() < 1 / one_in else "." for _ in range(3000))

    accounts = Carrier(world).answers(sequence, per_second=12)

    assert len(accounts) >= 10
    assert sum(row.rate for row in accounts) / len(accounts) >= 0.95 * 16
    assert all(row.hold is None and row.room > 0 for row in accounts)


@pytest.mark.parametrize("calls_per_second", ["16", "none"])
def test_where_a_third_are_errors_dialing_goes_on_at_a_part_of_its_rate(world: World, calls_per_second: str) -> None:
    set_limits(Scope("account", ""), calls_per_second=calls_per_second)

    accounts = Carrier(world).answers("..x.x....x" * 100, per_second=8)

    late = accounts[len(accounts) // 3 :]
    whole = 16 if calls_per_second == "16" else 8 / 0.75
    assert 0.15 < sum(row.rate for row in late) / len(late) / whole < 0.8
    assert all(row.hold is None for row in accounts)


def test_a_carrier_that_grants_a_part_gets_about_that_part(world: World) -> None:
    set_limits(Scope("account", ""), calls_per_second="10")
    carrier, asked, taken = Carrier(world), 0.0, 0

    for second in range(90):
        calls = round(account(world).rate * 0.75)
        granted = min(calls, 2)  # per second
        carrier.answers("." * granted + "x" * (calls - granted) if calls < 6 else "xxx.xx.x"[:calls], per_second=calls)
        if second >= 30:
            asked, taken = asked + calls, taken + granted

    assert taken >= 60 * 2 * 0.6
    assert asked <= 60 * 2 * 1.75


def test_five_errors_in_a_row_hold_and_an_accepted_call_between_does_not(world: World) -> None:
    carrier = Carrier(world)

    assert all(row.hold is None for row in carrier.answers("xxxx.xxxx.xxxx.", per_second=1000))
    assert [row.hold is None for row in carrier.answers("xxxxx", per_second=1000)] == [True] * 4 + [False]


def test_errors_that_have_an_accepted_call_beside_them_are_none_in_a_row(world: World) -> None:
    """Sixteen calls are dialed at once: at 500 a second and one error in fifty, dialing was held within a second."""
    world.business()
    for answers in ("..xxx...xx", "xxx.", ".xxx", "xx", "xx"):
        answered_at_once(world, answers)
    assert (account(world).hold, account(world).troubles) == (None, 4)

    answered_at_once(world, "x")
    assert account(world).carrier_holds == 1


def test_a_hold_leaves_a_part_of_the_rate_that_was_dialed_at_where_none_is_set(world: World) -> None:
    set_limits(Scope("account", ""), calls_per_second="none")
    Carrier(world).answers("x" + "." * 300 + "x", per_second=300)

    fails(5)

    assert 140 < account(world).rate < 260


@pytest.mark.parametrize("window", ["null", "now() - interval '7 days'"])
def test_without_a_window_of_the_last_minute_a_hold_leaves_half_of_a_hundred(world: World, window: str) -> None:
    """All answers since the installation, in one second, left 666,740 calls a second."""
    set_limits(Scope("account", ""), calls_per_second="none")
    world.do("insert into counter (name, label, slot, value) values ('report.create', 'moved', 7, 100000000)")
    world.do(f"update dial_control set window_began_at = {window} where scope = 'account'")  # noqa: S608 (ours)

    fails(5)

    assert 45 < account(world).rate < 55


def test_errors_of_calls_that_were_begun_before_a_hold_ended_prolong_nothing(world: World) -> None:
    before = world.value("select now()")
    fails(5, begun_at=before)
    hold = account(world)
    for _ in range(8):
        fails(3, begun_at=before)

    assert (account(world).carrier_hold_until, account(world).carrier_holds) == (hold.carrier_hold_until, 1)

    let_the_hold_end(world)
    fails(1, begun_at=world.value("select now()"))  # the one that was tried
    assert account(world).carrier_holds == 2


def test_an_account_that_may_not_call_is_held_at_once(
    world: World, nudges: list[Any], campaign_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Carrier(world).takes(50)
    queue(world, campaign_id, 3, "01")

    with carrier_that_says(monkeypatch, lambda: (401, {"code": 20003, "message": "Authenticate", "status": 401})):
        turn(world, nudges)

    assert account(world).carrier_holds == 1
    assert world.statuses().count("queued") == 3


@pytest.mark.parametrize("code", [20429, 10004])
def test_one_call_too_many_at_once_holds_nothing(
    world: World, nudges: list[Any], campaign_id: int, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    Carrier(world).takes(50)
    queue(world, campaign_id, 1, "01")

    with carrier_that_says(monkeypatch, lambda: (429, {"code": code, "message": "Too many", "status": 429})):
        turn(world, nudges)

    assert (account(world).hold, account(world).slow_factor) == (None, 1)


def test_a_hold_takes_back_what_is_claimed_so_that_only_the_trial_is_dialed_after_it(
    world: World, campaign_id: int
) -> None:
    claims = [world.claimed(to=f"+150055503{number:02}") for number in range(3)]

    fails(5)

    assert [world.call(claim).status for claim in claims] == ["queued"] * 3


@pytest.mark.parametrize("lost", ["nudge", "worker"])
def test_a_trial_that_got_lost_lets_the_next_be_tried(
    world: World, nudges: list[Any], campaign_id: int, lost: str
) -> None:
    queue(world, campaign_id, 4, "01")
    fails(5)
    let_the_hold_end(world)
    dispatch.dispatch_once()
    dispatch.dispatch_once()
    ((_, (tried,)),) = nudges
    if lost == "worker":
        take_your_time(world)
        assert begin(tried) is not None
    world.do("alter table call_log disable trigger call_log_guard")
    world.do("update call_log set updated_at = now() - interval '6 s' where id = %s", tried)
    world.do("alter table call_log enable trigger call_log_guard")
    let_pass(world, 21)
    world.do("update dial_control set refilled_at = now() - interval '1 minute' where scope = 'account'")

    dispatch.dispatch_once()

    assert len(nudges) == 2
    assert account(world).carrier_holds == 1, "a lost nudge is no error of the carrier"


def test_a_hold_of_the_carrier_and_one_of_an_operator_end_each_by_itself(world: World) -> None:
    fails(5)
    db.run(control.sql.begin_cancel_barrier, scope="account", key="")
    until = account(world).carrier_hold_until

    db.run(control.sql.end_cancel_barrier, scope="account", key="")
    assert (account(world).hold_until, account(world).carrier_hold_until) == (None, until)

    db.run(control.sql.begin_cancel_barrier, scope="account", key="")
    Carrier(world).takes(1)
    assert account(world).carrier_hold_until is None
    assert account(world).room == 0, "the operator's hold goes on"


def test_an_operator_ends_the_hold_of_the_carrier(world: World) -> None:
    fails(5)
    assert account(world).room == 0

    control.resume(Scope("account", ""))

    assert (account(world).hold, account(world).carrier_holds, account(world).troubles) == (None, 0, 0)


def test_a_refusal_shows_that_the_carrier_is_well(world: World, campaign_id: int) -> None:
    world.do("update dial_control set troubles = 3 where scope = 'account'")

    refuse(initiated(world, campaign_id), "21211", None)

    assert account(world).troubles == 0


def test_the_pace_comes_back_within_a_minute(world: World) -> None:
    set_limits(Scope("account", ""), calls_per_second="10")
    fails(of_account=True)
    rates = []
    for age_s in (0, 30, 30):
        world.do("update dial_control set slowed_at = slowed_at - make_interval(secs => %s)", age_s)
        rates.append(round(world.value("select rate from room_of_scopes(array['account'], array[''], null)"), 1))

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
