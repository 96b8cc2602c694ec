"""Live calls whose last callback was lost: known within two minutes, by the page."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from outbound import db
from outbound.calls import cleanup, confirm, reconcile
from outbound.config import CONFIRM_S
from tests.carrier.test_carrier import Answer, Asked, _anyone
from tests.conftest import ACCOUNT_SID, World, forget_settings

pytestmark = pytest.mark.rows_only

FROM = "+15005550006"
TICK_S = 5  # OUTBOUND_TICK_S
WITHIN_S = 120  # a call that ended is known


def _sid(number: int) -> str:
    return f"CA{number:032x}"


@dataclass
class Account:
    """Another carrier that speaks Twilio's Calls API: its calls, newest first, and what it was asked."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    fails: int = 0  # so many answers, first, are 503
    is_odd: bool = False  # each answer is no call, and no list of calls

    def add(self, call_sid: str, status: str, **more: object) -> None:
        at = format_datetime(datetime.now(UTC) - timedelta(seconds=100))
        call = {"sid": call_sid, "status": status, "date_created": at, "start_time": at, "direction": "outbound-api"}
        over = {"end_time": at, "duration": "7"} if status == "completed" else {}
        self.calls.insert(0, call | over | more)

    def end(self) -> None:
        at = format_datetime(datetime.now(UTC))
        for call in self.calls:
            call |= {"status": "completed", "end_time": at, "duration": "7"}

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if self.fails > 0:
            self.fails -= 1
            return 503, '{"code": 20503, "message": "away"}'
        if self.is_odd:
            return 200, "[]"
        path = urlsplit(asked.path).path
        if not path.endswith("/Calls.json"):
            found = [call for call in self.calls if path.endswith(f"/{call['sid']}.json")]
            return (200, json.dumps(found[0])) if found else (404, '{"code": 20404, "message": "not found"}')
        query = {name: values[0] for name, values in asked.query.items()}
        calls = [call for call in self.calls if query.get("Status") in (None, call["status"])]
        size, place = int(query["PageSize"]), int(query.get("Page", 0))
        more = len(calls) > (place + 1) * size
        status = f"&Status={query['Status']}" if "Status" in query else ""
        following = f"{path}?PageSize={size}&Page={place + 1}{status}" if more else None
        return 200, json.dumps({"calls": calls[place * size : (place + 1) * size], "next_page_uri": following})

    def kinds(self) -> Counter[str]:
        """How often a list of which status was asked for, and single calls."""
        return Counter(
            asked.query.get("Status", ["recent"])[0] if urlsplit(asked.path).path.endswith("/Calls.json") else "single"
            for asked in self.asked
        )


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    with _serving(Account(), monkeypatch) as account:
        yield account


@contextmanager
def _serving(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    with _anyone(account.answer) as server:
        monkeypatch.setenv("TWILIO_API_URL", server.url)
        forget_settings()
        yield account
        forget_settings()


def _live(world: World, count: int, status: str = "in-progress", first: int = 0) -> None:
    """Calls of ours that somebody talks in, or that ring, and of which the carrier was asked just now."""
    world.do(
        "insert into call_log (business_id, from_number, to_number, status, call_sid, dialed_at, looked_at, overdue_at)"
        " select (select min(id) from business), %s, '+1500' || (1000000 + n), %s, 'CA' || lpad(to_hex(n), 32, '0'),"
        " now() - interval '100 s', now(), now() + interval '1 h' from generate_series(%s::int, %s) as n",
        FROM,
        status,
        first,
        first + count - 1,
    )


def _unbound(world: World, count: int) -> None:
    """Calls of a worker that died a minute ago, before it wrote down what the carrier answered."""
    world.do(
        "insert into call_log (business_id, from_number, to_number, status, dialed_at, overdue_at)"
        " select (select min(id) from business), %s, '+1500' || (1000000 + n), 'initiated', now() - interval '62 s',"
        " now() - interval '2 s' from generate_series(0, %s) as n",
        FROM,
        count - 1,
    )


def _pass(world: World, seconds: float) -> None:
    world.do("update call_log set looked_at = looked_at - make_interval(secs => %s)", seconds)


def _rounds_until_known(world: World, seconds: float = WITHIN_S) -> float:
    """Run rounds as the scheduler does, each a tick later; return after how many seconds every call's end was known."""
    passed = 0.0
    while world.value("select count(*) from call_log where status <> 'completed'"):
        assert passed < seconds, "not known in time"
        _pass(world, TICK_S)
        passed += TICK_S
        reconcile.reconcile_overdue_calls()
    return passed


@pytest.mark.parametrize(("calls", "requests_max"), [(1, 1), (60, 4), (3000, 8)])
def test_calls_whose_last_callbacks_are_all_lost_are_known_within_two_minutes(
    world: World, account: Account, nudges: list[object], calls: int, requests_max: int
) -> None:
    world.business()
    _live(world, calls)
    for number in range(calls):
        account.add(_sid(number), "in-progress")
    account.end()

    passed = _rounds_until_known(world)

    assert passed <= WITHIN_S
    assert len(account.asked) <= requests_max
    assert world.value("select count(*) from call_log where duration_s = 7") == calls


def test_calls_that_go_on_cost_one_list_in_a_while_and_keep_their_deadline(world: World, account: Account) -> None:
    world.business()
    _live(world, 60)
    for number in range(60):
        account.add(_sid(number), "in-progress")
    deadline = world.value("select min(overdue_at) from call_log")

    for _ in range(int(3 * CONFIRM_S / TICK_S)):
        _pass(world, TICK_S)
        reconcile.reconcile_overdue_calls()

    assert account.kinds() == {"in-progress": 3}
    assert world.value("select min(overdue_at) from call_log") == deadline
    assert set(world.statuses()) == {"in-progress"}


def test_a_call_that_rings_is_looked_for_where_it_may_have_come_to(
    world: World, account: Account, nudges: list[object]
) -> None:
    world.business()
    _live(world, 4, "ringing")
    for number, status in enumerate(["queued", "ringing", "in-progress", "busy"]):
        account.add(_sid(number), status)
    _pass(world, CONFIRM_S + 1)

    reconcile.reconcile_overdue_calls()

    assert world.statuses() == ["ringing", "ringing", "in-progress", "busy"]
    assert account.kinds() == {"ringing": 1, "in-progress": 1, "single": 2}


def test_an_old_answer_moves_no_call_backwards(world: World, account: Account, nudges: list[object]) -> None:
    world.business()
    _live(world, 5)
    for number, status in enumerate(["queued", "ringing", "ringing", "in-progress", "in-progress"]):
        account.add(_sid(number), status)
    _pass(world, CONFIRM_S + 1)

    reconcile.reconcile_overdue_calls()

    assert set(world.statuses()) == {"in-progress"}


def test_absence_from_a_list_ends_no_call(world: World, account: Account) -> None:
    """The lists lag behind: what is in none of them is asked about by its call_sid."""
    world.business()
    _live(world, 4)
    _pass(world, CONFIRM_S + 1)

    reconcile.reconcile_overdue_calls()

    assert set(world.statuses()) == {"in-progress"}
    assert world.value("select array_agg(looks) from call_log") == [1, 1, 1, 1]
    assert account.kinds() == {"in-progress": 1, "single": 4}


def test_strangers_calls_do_not_keep_ours_from_being_known(
    world: World, account: Account, nudges: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outbound.carrier.twilio_rest.PAGE_SIZE", 20)
    world.business()
    _live(world, 30)
    for number in range(30):
        account.add(_sid(number), "completed")
    for number in range(2000):
        account.add(_sid(100_000 + number), "in-progress" if number % 2 else "completed")

    passed = _rounds_until_known(world)

    assert passed <= WITHIN_S
    assert account.kinds()["single"] == 30
    assert len(account.asked) <= 120


def test_no_minute_has_more_requests_than_the_limit(
    world: World, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outbound.carrier.twilio_rest.PAGE_SIZE", 1)
    world.business()
    _live(world, 300)
    for number in range(300):
        account.add(_sid(number), "in-progress")

    for _ in range(40):  # far less than a minute of this test's life
        _pass(world, CONFIRM_S + 1)
        reconcile.reconcile_overdue_calls()

    assert 60 < len(account.asked) <= 120


def test_what_could_not_be_asked_is_asked_next(
    world: World, account: Account, nudges: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOUND_LOOKUPS_PER_MINUTE", "24")  # two single calls per round
    forget_settings()
    world.business()
    _live(world, 4)  # four, each to be fetched: none is on any list
    _pass(world, CONFIRM_S + 1)

    reconcile.reconcile_overdue_calls()
    reconcile.reconcile_overdue_calls()

    assert world.value("select array_agg(looks) from call_log") == [1, 1, 1, 1]


@pytest.mark.parametrize("calls", [2, 60])
def test_a_carrier_in_trouble_gets_one_request_per_round_and_the_calls_are_due_again_soon(
    world: World, account: Account, nudges: list[object], calls: int
) -> None:
    world.business()
    _live(world, calls)
    for number in range(calls):
        account.add(_sid(number), "completed")
    account.fails = 1
    _pass(world, CONFIRM_S + 1)

    reconcile.reconcile_overdue_calls()
    asked = len(account.asked)
    reconcile.reconcile_overdue_calls()  # too soon
    asked_too_soon = len(account.asked)
    _pass(world, 11)
    reconcile.reconcile_overdue_calls()

    assert (asked, asked_too_soon) == (1, 1)
    assert set(world.statuses()) == {"completed"}


def test_an_answer_that_makes_no_sense_keeps_no_other_call_waiting(
    world: World, account: Account, nudges: list[object]
) -> None:
    world.business()
    _live(world, 2)
    account.add(_sid(0), "completed", account_sid="AC" + "f" * 32)
    account.add(_sid(1), "completed", account_sid=ACCOUNT_SID)
    _pass(world, CONFIRM_S + 1)

    reconcile.reconcile_overdue_calls()

    assert world.statuses() == ["in-progress", "completed"]


def test_two_hosts_confirm_a_call_once(world: World, account: Account) -> None:
    world.business()
    _live(world, 5)
    _pass(world, CONFIRM_S + 1)
    take = {"confirm_s": CONFIRM_S, "batch_max": 3, "silent": []}

    first = db.run(confirm.sql.take_calls_to_confirm, **take)
    second = db.run(confirm.sql.take_calls_to_confirm, **take)
    third = db.run(confirm.sql.take_calls_to_confirm, **take)

    assert (len(first), len(second), len(third)) == (3, 2, 0)
    assert not {row.id for row in first} & {row.id for row in second}


def test_calls_are_asked_about_at_once_after_no_web_process_could_take_callbacks(
    world: World, account: Account, nudges: list[object]
) -> None:
    world.business()
    _live(world, 60)
    for number in range(60):
        account.add(_sid(number), "completed")
    _pass(world, 5)
    confirm.note_web_process()
    reconcile.reconcile_overdue_calls()
    confirm.note_web_process()
    reconcile.reconcile_overdue_calls()
    before = len(account.asked)

    world.do("update web_presence set seen_at = seen_at - interval '45 s'")
    confirm.note_web_process()
    reconcile.reconcile_overdue_calls()

    assert before == 0
    assert set(world.statuses()) == {"completed"}


def test_a_row_without_any_time_is_confirmed_like_the_others(
    world: World, account: Account, nudges: list[object]
) -> None:
    world.business()
    _live(world, 1)
    world.do("alter table call_log alter created_at drop not null")
    world.do("update call_log set dialed_at = null, looked_at = null, created_at = null")
    account.add(_sid(0), "completed")

    reconcile.reconcile_overdue_calls()

    assert world.statuses() == ["completed"]


def _made(account: Account, number: int, to: int, *, seconds_ago: float = 61) -> None:
    at = format_datetime(datetime.now(UTC) - timedelta(seconds=seconds_ago))
    numbers = {"to": f"+1500{1_000_000 + to}", "from": FROM}
    account.add(_sid(number), "completed", date_created=at, start_time=at, end_time=at, **numbers)


def test_many_calls_without_a_call_sid_are_found_together(
    world: World, account: Account, nudges: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """300 calls of a killed worker, half of which the carrier took, among 3,000 of others."""
    monkeypatch.setattr("outbound.carrier.twilio_rest.PAGE_SIZE", 1000)
    world.business()
    _unbound(world, 300)
    for number in range(3_300):
        _made(account, number, number if number < 150 else 100_000 + number)
    for number in range(5_000):  # before
        _made(account, 10_000 + number, 0, seconds_ago=4000)
    account.calls.sort(key=lambda call: int(call["sid"][2:], 16))  # newest first

    passed = 62.0
    while world.value("select count(*) from call_log where status = 'initiated'"):
        assert passed < WITHIN_S
        for column in ("looked_at", "overdue_at"):
            world.do(f"update call_log set {column} = {column} - make_interval(secs => %s)", TICK_S)  # noqa: S608
        passed += TICK_S
        reconcile.reconcile_overdue_calls()
        cleanup.cleanup_stuck_dialing_jobs()

    assert len(account.asked) <= 30
    assert world.value("select count(*) from call_log where status = 'completed' and call_sid is not null") == 150
    absent = "No call_sid came, and the carrier, asked 2 times, knows of no such call."
    assert world.value("select count(*) from call_log where error_message = %s and looks = 2", absent) == 150


def test_of_several_calls_found_together_a_person_decides(world: World, account: Account, nudges: list[object]) -> None:
    world.business()
    _unbound(world, 20)
    for number in range(20):
        _made(account, number, number)
    _made(account, 20, 7)
    _made(account, 21, 8, seconds_ago=200)  # made before this one was dialed
    account.calls[0]["direction"] = account.calls[1]["direction"] = "outbound-api"
    _made(account, 22, 9)
    account.calls[0]["direction"] = "outbound-dial"

    reconcile.reconcile_overdue_calls()

    statuses = Counter(world.statuses())
    assert statuses == {"completed": 19, "failed": 1}
    assert world.value("select to_number from call_log where error_code = 'several_candidates'").endswith("07")


@pytest.mark.parametrize(("page_size", "is_odd"), [(1, False), (1000, True)])
def test_a_list_that_does_not_tell_of_all_is_no_absence(
    world: World,
    account: Account,
    nudges: list[object],
    monkeypatch: pytest.MonkeyPatch,
    page_size: int,
    is_odd: bool,
) -> None:
    """It has too many pages, or cannot be read: what there is time for is asked about singly."""
    monkeypatch.setattr("outbound.carrier.twilio_rest.PAGE_SIZE", page_size)
    world.business()
    _unbound(world, 40)
    for number in range(40):
        _made(account, number, 100_000 + number)
    asked: list[int] = []

    def nothing(call: db.Row) -> list[object]:
        asked.append(call.id)
        return []

    monkeypatch.setattr(reconcile, "_reports", nothing)
    account.is_odd = is_odd

    reconcile.reconcile_overdue_calls()

    assert set(world.statuses()) == {"initiated"}
    assert len(asked) > 0
    assert world.value("select array_agg(id order by id) from call_log where looks > 0") == sorted(asked)
    assert world.value("select count(*) from call_log where looks = 0 and looked_at is null") == 40 - len(asked)
