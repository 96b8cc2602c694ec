"""Calls are found by whatever an operator knows of them, newest first, at a cost that does not grow with the table."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from outbound import db, names
from outbound.calls import call_search, campaign_results, lead_list
from outbound.calls.call_search import Asked, BadSearch
from outbound.cli import app
from outbound.rules import control, suppression
from outbound.rules.scope import Scope, scope_of
from tests.cli.test_logs import heard
from tests.conftest import CLAIM, Environment, World, begin
from tests.database.test_flat import HISTORY
from tests.database.test_roles import Roles, four
from tests.pages_read import pages_read

pytestmark = pytest.mark.rows_only

__all__ = ["four"]

Outbound = Callable[..., subprocess.CompletedProcess[str]]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def outbound(database: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Outbound:
    """The command in this process."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["outbound", *arguments])
        monkeypatch.setenv("COLUMNS", "80")
        capfd.readouterr()
        with heard(), pytest.raises(SystemExit) as ended:
            app.main()
        said = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), said.out, said.err)

    return run


class Day:
    """Two businesses and a campaign on one day: calls of every kind."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.acme, self.beta = world.business("Acme"), world.business("Beta")
        world.do("update business set time_zone = 'Asia/Jerusalem', default_region = 'US'")
        add = "insert into campaign (business_id, name) values (%s, %s) returning id"
        self.spring = int(world.value(add, self.acme, "Spring"))
        self.done = self.ended("+15005550101", "completed", minutes=1, answered_by="human", campaign=self.spring)
        self.machine = self.ended("+15005550102", "completed", minutes=2, answered_by="machine_start")
        self.list = self.batch("list.csv", self.spring)
        self.busy = self.ended("+15005550103", "busy", minutes=3, campaign=self.spring, key="Bo", batch=self.list)
        self.failed = self.ended("+15005550104", "failed", minutes=4, error="sip_404")
        self.others = self.ended("+15005550101", "no-answer", minutes=5, business=self.beta)
        self.canceled = self.ended("+15005550105", "canceled", minutes=6, error="operator_canceled", dialed=False)
        self.came_in = self.ended("+15005550101", "completed", minutes=7, inbound=True)
        self.waiting = self.queued("+15005550106", minutes=30, campaign=self.spring, batch=self.list)
        self.paused = self.queued("+15005550107", minutes=20)
        world.do("update call_log set paused_at = now() where id = %s", self.paused)
        self.ringing = world.initiated(self.acme, "+15005550108", "CA8")
        world.do("update call_log set status = 'ringing', dialed_at = %s where id = %s", NOON, self.ringing)

    def batch(self, name: str, campaign: int | None = None, business: int | None = None) -> int:
        insert = "insert into batch (business_id, campaign_id, name) values (%s, %s, %s) returning id"
        return int(self.world.value(insert, business or self.acme, campaign, name))

    def ended(
        self,
        to: str,
        status: str,
        *,
        minutes: float,
        business: int | None = None,
        campaign: int | None = None,
        answered_by: str | None = None,
        error: str | None = None,
        key: str | None = None,
        batch: int | None = None,
        dialed: bool = True,
        inbound: bool = False,
    ) -> int:
        at = NOON - timedelta(minutes=minutes)
        numbers = (to, "+15005550006") if inbound else ("+15005550006", to)
        return int(
            self.world.value(
                "insert into call_log (business_id, campaign_id, direction, from_number, to_number, status, call_sid,"
                " dialed_at, ended_at, created_at, answered_by, error_code, idempotency_key, batch_id)"
                " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning id",
                *(business or self.acme, campaign, "inbound" if inbound else "outbound", *numbers, status),
                *(f"CA{minutes:g}{status}{to[-4:]}", at if dialed and not inbound else None, at, at),
                *(answered_by, error, key, batch),
            )
        )

    def queued(self, to: str, *, minutes: float, campaign: int | None = None, batch: int | None = None) -> int:
        insert = (
            "insert into call_log (business_id, campaign_id, from_number, to_number, due_at, batch_id)"
            " values (%s, %s, '+15005550006', %s, %s, %s) returning id"
        )
        due = NOON + timedelta(minutes=minutes)
        return int(self.world.value(insert, self.acme, campaign, to, due, batch))


@pytest.fixture
def day(world: World) -> Day:
    return Day(world)


def found(limit: int = 100, **asked: Any) -> list[int]:
    return [call["id"] for call in call_search.find(call_search.read(Asked(**asked)), limit=limit).calls]


def test_calls_are_found_by_whatever_is_known_of_them_newest_first(day: Day) -> None:
    newest_first = [
        *(day.waiting, day.paused, day.ringing, day.done, day.machine, day.busy, day.failed, day.others),
        *(day.canceled, day.came_in),
    ]

    assert found() == newest_first
    for number in ("+15005550101", "(500) 555-0101", "1-500-555-0101"):
        assert found(number=number, region="US") == [day.done, day.others, day.came_in]
    assert found(number="+15005550105") == [day.canceled]
    assert found(number="+15005550108") == [day.ringing]
    assert found(statuses=["busy,failed"]) == [day.busy, day.failed]
    assert found(statuses=["busy", "waiting"]) == [day.waiting, day.paused, day.busy]
    assert found(statuses=["in-the-air"]) == [day.ringing]
    assert found(campaign="spring") == [day.waiting, day.done, day.busy]
    assert found(campaign=day.spring, statuses=["ended"]) == [day.done, day.busy]
    assert found(business="Beta") == [day.others]
    assert found(batch="list.csv") == [day.waiting, day.busy]
    assert found(batch="list.csv", statuses=["busy"]) == [day.busy]
    assert found(answered_by="human") == [day.done]
    assert found(error_code="sip_404") == [day.failed]
    assert found(error_code="sip_404", business="Beta") == []
    assert found(answered_by="machine_start", business="Acme", statuses=["completed"]) == [day.machine]
    # Noon in Jerusalem is ten in UTC: the offset of the business's clocks.
    assert found(since="2026-11-24T13:55", until="2026-11-24T13:58") == [day.busy, day.failed, day.others]
    assert found(since="2026-11-24T12:00Z", statuses=["live"]) == [day.waiting, day.paused, day.ringing]
    assert found(number="+15005550101", since="2026-11-24T13:58") == [day.done]


def test_an_error_of_a_call_that_waits_again_is_found_too(day: Day) -> None:
    day.world.do("update call_log set error_code = 'carrier_503' where id = any(%s)", [day.waiting, day.paused])

    assert found(error_code="carrier_503") == [day.waiting, day.paused]
    assert found(error_code="carrier_503", campaign="Spring") == [day.waiting]


def test_page_after_page_shows_each_call_once(day: Day) -> None:
    every: list[dict[str, Any]] = [
        *({}, {"campaign": "Spring"}, {"business": "Acme"}, {"statuses": ["ended"]}, {"number": "+15005550101"}),
        *({"batch": "list.csv"}, {"answered_by": "human"}),
    ]

    for limit in (1, 2, 3, 7):
        for asked in every:
            wanted = call_search.read(Asked(**asked))
            seen: list[int] = []
            place = None
            for _ in range(20):
                page = call_search.find(wanted, limit=limit, before=place)
                seen += [call["id"] for call in page.calls]
                place = page.next and call_search.place_of(str(page.next))
                if place is None:
                    break

            assert seen == found(**asked), (limit, asked)


def test_an_export_has_each_call_once_however_they_lie_in_time(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    ago = (*range(20, 40), *[50] * 9, *[900.5] * 2, 70_000, 1_500_000, 1_500_000.01, *[4_000_000] * 7)
    for place, minutes in enumerate(ago, start=1000):
        day.queued(f"+1500555{place}", minutes=-minutes)
        day.ended(f"+1500556{place}", minutes=minutes, status="busy")
    every: list[dict[str, Any]] = [
        *({}, {"business": "Acme"}, {"statuses": ["ended"]}, {"number": "+15005550101"}, {"answered_by": "human"}),
        *({"since": NOON - timedelta(days=60)}, {"until": NOON - timedelta(days=1)}, {"business": "Beta"}),
    ]

    for page_max in (1, 2, 3, 7):
        for asked in every:
            newest_first = found(limit=1000, **asked)
            with monkeypatch.context() as patched:
                patched.setattr(call_search, "PAGE_MAX", page_max)
                patched.setattr(call_search, "EXPORT_PAGE_MAX", 2 * page_max)
                pages = list(call_search.lines(call_search.read(Asked(**asked))))

            assert [json.loads(line)["id"] for page in pages for line in page.splitlines()] == newest_first, (
                page_max,
                asked,
            )
            assert all(page.count("\n") <= 2 * page_max for page in pages)
            assert sum(not page for page in pages) <= 40  # of years in which nobody was called


def test_all_attempts_of_a_batch_are_found_also_where_it_is_too_large_to_be_sorted(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = day.queued("+15005550103", minutes=45, campaign=day.spring)
    day.world.do(
        "update call_log set batch_id = %s, retry_of = %s, attempt = 2 where id = %s", day.list, day.busy, again
    )

    assert found(batch="list.csv") == [again, day.waiting, day.busy]
    monkeypatch.setattr(call_search, "SCAN_MAX", 2)
    assert found(batch="list.csv") == [again, day.waiting, day.busy]


def test_a_search_that_looks_at_too_many_says_how_far_it_came_and_goes_on_from_there(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_search, "SCAN_MAX", 3)
    monkeypatch.setattr(call_search, "PAGE_MAX", 3)
    monkeypatch.setattr(call_search, "SCANS_MAX", 2)
    for number in range(20):
        day.ended(f"+1500555{number:04}", "completed", minutes=0.01 * number, answered_by="human", campaign=day.spring)
    wanted = call_search.read(Asked(answered_by="fax", campaign="Spring"))

    first = call_search.find(wanted, limit=10)
    rest = list(call_search.pages(wanted, before=first.next))

    assert (first.calls, first.is_cut) == ([], True)
    assert first.next is not None
    assert rest[-1].next is None
    monkeypatch.setattr(call_search, "SCANS_MAX", 50)
    assert found(answered_by="human", campaign="Spring", limit=50)[-1] == day.done


def test_a_search_that_may_look_at_few_is_one_statement(day: Day) -> None:
    for number in range(20):
        day.ended(f"+1500555{number:04}", "completed", minutes=0.01 * number, answered_by="human", campaign=day.spring)
    wanted = call_search.read(Asked(answered_by="fax", campaign="Spring"))

    first = call_search.find(wanted, limit=1, looks_max=10)
    second = call_search.find(wanted, limit=1, looks_max=1000, before=first.next)

    assert (first.calls, first.is_cut, second) == ([], True, ([], None, False))


def test_calls_that_wait_after_an_error_are_all_found_however_few_may_be_looked_at(day: Day) -> None:
    waiting = [day.queued(f"+1500555{number:04}", minutes=number, campaign=day.spring) for number in range(200, 205)]
    day.world.do("update call_log set error_code = '13224' where id = any(%s)", waiting)
    wanted = call_search.read(Asked(error_code="13224", campaign="Spring"))

    found = call_search.find(wanted, limit=50, looks_max=1)

    assert sorted(call["id"] for call in found.calls) == waiting


def test_what_cannot_be_looked_for_is_refused(day: Day) -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"statuses": ["done"]}, "--status is one of queued, claimed"),
        ({"since": "yesterday"}, "--since is not a date and time"),
        ({"until": "2026-02-30"}, "--until is no day: February 2026 has 28 days"),
        ({"since": "2026-11-24", "until": "2026-11-23"}, "--since must lie before --until"),
        ({"region": "Israel"}, "`Israel` is not a region: two letters, like IL"),
        ({"number": ""}, "the number is empty: give a phone number"),
        ({"number": " ", "business": "Acme"}, "the number is empty: give a phone number"),
        ({"batch": " "}, "--batch is one line"),
        ({"error_code": "a\x00"}, "--error is one line"),
        ({"batch": "lis"}, r"there is no batch named lis: there is 1 list.csv \(of campaign 1 Spring\)"),
        ({"batch": "4711"}, "there is no batch named 4711: it is the name of the file, or what --batch called it"),
    ]

    for asked, refusal in refused:
        with pytest.raises((BadSearch, names.NoSuchName), match=refusal):
            call_search.read(Asked(**asked))


def test_a_moment_that_several_clocks_could_mean_needs_an_offset(day: Day) -> None:
    day.world.do("update business set time_zone = 'Europe/London' where id = %s", day.beta)

    with pytest.raises(BadSearch, match=r"--since has no offset.*or name the --business"):
        call_search.read(Asked(since="2026-11-24T12:00"))
    assert call_search.read(Asked(since="2026-11-24T12:00", business="Beta")).since == NOON


# What it costs.

SCAN = 1000  # calls that a statement may look at here
PAGES = 150  # 8 KiB, that one page of calls costs at most, whatever is asked for and however long the history is


@pytest.fixture
def line(world: World) -> Any:
    with db.connect(world.url, **db.PREPARED) as connection:
        _ask(connection, {})  # planned while there was nothing
        yield connection


def _ask(connection: db.Connection, asked: dict[str, Any]) -> list[Any]:
    every = dict.fromkeys(call_search.Wanted._fields) | asked
    rest = {"before_at": None, "before_id": None, "page_max": 20, "scan_max": SCAN}
    return list(call_search.sql.find_calls(connection, **every, **rest))


@pytest.mark.rows_only(False)
def test_no_search_reads_the_whole_table(world: World, line: db.Connection) -> None:
    business_id = world.business()
    campaign_id = world.value("insert into campaign (business_id, name) values (%s, 'x') returning id", business_id)
    world.do(
        "insert into call_log (business_id, campaign_id, from_number, to_number, status, call_sid, dialed_at, ended_at,"
        " answered_by, error_code, batch_id, retry_of)"
        " select %s, case when n %% 2 = 0 then %s::bigint end, '+15005550006', '+1500' || (1000000 + n),"
        " (array['completed', 'busy', 'failed'])[1 + n %% 3], 'CAx' || lpad(n::text, 31, '0'),"
        " now() - n * interval '1 min', now() - n * interval '1 min', case when n %% 3 = 0 then 'human' end,"
        " case when n %% 3 = 2 then 'sip_500' end, n / 15, case when n %% 15 = 7 then n - 1 end"
        " from generate_series(1, %s) as n",
        business_id,
        campaign_id,
        HISTORY,
    )
    world.do(
        "insert into call_log (business_id, campaign_id, from_number, to_number, due_at)"
        " select %s, %s, '+15005550006', '+1501' || (1000000 + n), now() + n * interval '1 s'"
        " from generate_series(1, 2000) as n",
        business_id,
        campaign_id,
    )
    asked: list[tuple[dict[str, Any], int]] = [
        ({}, 20),
        ({"business_id": business_id}, 20),
        ({"campaign_id": campaign_id}, 20),
        ({"statuses": ["failed"]}, 20),
        ({"statuses": ["no-answer"]}, 0),
        ({"statuses": ["queued"]}, 20),
        ({"number": "+15001010000"}, 1),
        ({"number": "+15009999999"}, 0),
        ({"batch_id": 7}, 15),
        ({"batch_id": HISTORY}, 0),
        ({"answered_by": "human"}, 20),
        ({"answered_by": "fax"}, 0),
        ({"error_code": "sip_500"}, 20),
        ({"error_code": "none"}, 0),
        ({"until": datetime.now(UTC) - timedelta(days=10)}, 20),
        ({"campaign_id": campaign_id, "error_code": "sip_500", "since": datetime.now(UTC) - timedelta(minutes=60)}, 20),
    ]

    world.do("vacuum analyze call_log")  # by itself it might come in the middle: the next statement is planned again
    with line.transaction(force_rollback=True):
        _ask(line, {})  # to plan it reads some 200 pages
        for wanted, expected in asked:
            before = pages_read(line)
            rows = [row for row in _ask(line, wanted) if row.id is not None]
            cost = pages_read(line) - before
            assert len(rows) == min(expected, 20) or "since" in wanted, wanted
            # No index has who answered: the calls of a scan are looked at, each where the index of its age leads.
            assert cost <= (PAGES if "answered_by" not in wanted else SCAN + PAGES), (wanted, cost)


def test_a_page_of_who_answered_is_found_among_the_newest_calls(world: World) -> None:
    world.do(
        "insert into call_log (business_id, from_number, to_number, status, ended_at, answered_by)"
        " select %s, '+15005550006', '+1500' || (1000000 + n), 'completed', now() - n * interval '1 min',"
        " case when n %% 2 = 0 then 'human' when n = %s - 1 then 'fax' end from generate_series(1, %s) as n",
        world.business(),
        HISTORY,
        HISTORY,
    )

    with db.one_transaction() as line:
        found = call_search.find(call_search.read(Asked(answered_by="human")), limit=20)
        cost = pages_read(line)
    rare = call_search.find(call_search.read(Asked(answered_by="fax")), limit=20)

    assert [len(page.calls) for page in (found, rare)] == [20, 1]
    assert cost <= SCAN


# An end of those that were found.


def test_a_cancel_by_filters_closes_what_waits_ends_what_rings_and_leaves_the_others_alone(day: Day) -> None:
    talking = day.world.initiated(day.acme, "+15005550109", "CA9")
    day.world.do("update call_log set status = 'in-progress' where id = %s", talking)
    wanted = call_search.read(Asked(business="Acme", since="2020-01-01"))

    counted = call_search.count_to_cancel(wanted)
    before = day.world.statuses()
    done = call_search.cancel(wanted, reason="wrong list", actor="Dana")

    assert counted == (2, 1, 1)
    assert before.count("canceled") == 1, "the dry run changed nothing"
    assert (done.waiting, done.ringing) == (2, 1)
    for call_id in (day.waiting, day.paused):
        call = day.world.call(call_id)
        assert (call.status, call.error_code) == ("canceled", "operator_canceled")
        assert (call.stopped_by, call.stop_reason) == ("Dana", "wrong list")
    ringing = day.world.call(day.ringing)
    assert (ringing.status, ringing.hang_up, ringing.stopped_by) == ("ringing", "canceled", "Dana")
    assert day.world.call(talking).hang_up is None
    ((who, action, details),) = day.world.rows("select who, action, details from audit where action = 'cancel'")
    assert (who, action, details["reason"]) == ("Dana", "cancel", "wrong list")


def test_a_cancel_of_a_slice_leaves_the_rest_of_the_campaign(day: Day) -> None:
    other = day.queued("+15005550110", minutes=40, campaign=day.spring)

    call_search.cancel(call_search.read(Asked(batch="list.csv")), actor="Dana")

    assert day.world.call(day.waiting).status == "canceled"
    assert day.world.call(other).status == "queued"
    assert day.world.count("ended", "canceled") == 1


def test_what_is_enqueued_after_a_cancel_began_is_not_meant(day: Day) -> None:
    late: list[int] = []

    def meanwhile(_closed: int) -> None:
        if not late:
            late.append(day.queued("+15005550111", minutes=50, campaign=day.spring))

    call_search.cancel(call_search.read(Asked(campaign="Spring", until="2026-11-25T00:00Z")), tell=meanwhile)

    assert day.world.call(day.waiting).status == "canceled"
    assert day.world.call(late[0]).status == "queued"


def test_a_cancel_that_means_nothing_is_refused_and_one_of_a_whole_scope_holds_it_meanwhile(day: Day) -> None:
    for asked, refusal in (
        (Asked(), "say which calls"),
        (Asked(statuses=["completed"]), "only calls that wait or ring can be canceled"),
    ):
        with pytest.raises(BadSearch, match=refusal):
            call_search.cancel(call_search.read(asked))
    assert day.world.call(day.waiting).status == "queued"

    def scope_of(**asked: Any) -> Scope | None:
        return call_search.scope_of(call_search.to_cancel(call_search.read(Asked(**asked))))

    assert scope_of(campaign="Spring") == Scope("campaign", str(day.spring))
    assert scope_of(business="Beta", statuses=["live"]) == Scope("business", str(day.beta))
    assert scope_of(statuses=["live"]) == Scope("account", "")
    assert scope_of(campaign="Spring", statuses=["queued"]) is None
    assert scope_of(batch="list.csv") is None


def test_stop_cancel_and_suppress_leave_who_and_why_in_the_row(day: Day) -> None:
    control.stop(scope_of("business", "acme"), reason="complaint", actor="Dana")
    control.cancel(scope_of("business", "acme"), reason="later", actor="Uri")
    suppression.suppress("+15005550107", actor="Noa", reason="asked us")

    ringing, waiting, paused = (day.world.call(call) for call in (day.ringing, day.waiting, day.paused))
    assert (ringing.hang_up, ringing.stopped_by, ringing.stop_reason) == ("completed", "Dana", "complaint")
    assert (waiting.stopped_by, waiting.stop_reason) == ("Uri", "later")
    assert (paused.status, paused.stopped_by) == ("canceled", "Uri")
    again = day.queued("+15005550112", minutes=1)
    control.stop(scope_of("call", str(again)), reason="not now", actor="Dana")
    assert (day.world.call(again).stopped_by, day.world.call(again).stop_reason) == ("Dana", "not now")
    control.resume(scope_of("call", str(again)))
    assert day.world.call(again).stopped_by is None
    suppression.suppress("+15005550112", actor="Noa", reason="asked us")
    assert (day.world.call(again).stopped_by, day.world.call(again).stop_reason) == ("Noa", "asked us")


# Names.


def test_names_work_where_ids_do_and_an_ambiguous_one_lists_its_candidates(day: Day) -> None:
    day.world.business("acme")
    day.world.do("insert into campaign (business_id, name) values (%s, 'Spring')", day.beta)
    day.world.do("insert into calling_window (name, hours) values ('Office', '{[0,60)}')")

    assert names.find("business", " BETA ") == day.beta
    assert names.find("business", str(day.acme)) == day.acme
    assert names.find("campaign", "spring", business_id=day.acme) == day.spring
    assert names.find("window", "office") == 1
    with pytest.raises(names.NoSuchName, match=r"2 businesses are named Acme: give the id of one: 1 Acme .*; 3 acme"):
        names.find("business", "Acme")
    with pytest.raises(names.NoSuchName, match=r"2 campaigns are named Spring.*of business 1 Acme.*of business 2 Beta"):
        names.find("campaign", "Spring")
    with pytest.raises(names.NoSuchName, match=r"there is no business named Bet: .* there is 2 Beta"):
        names.find("business", "Bet")
    others = day.batch("list.csv", business=day.beta)
    with pytest.raises(
        names.NoSuchName, match=r"2 batches .*: 2 list.csv \(of business 2 Beta\); 1 list.csv \(of camp"
    ):
        names.batch("list.csv")
    assert names.batch("list.csv", business_id=day.beta) == names.batch(str(others)) == others
    assert names.batch("list.csv", campaign_id=day.spring) == day.list


def test_a_call_is_meant_by_its_id_its_call_sid_its_key_or_its_number(day: Day) -> None:
    assert names.call(str(day.busy)) == names.call(f"id:{day.busy}") == day.busy
    assert names.call("CA8") == names.call("sid:CA8") == day.ringing
    assert names.call("Bo") == day.busy
    assert names.call("+1 500 555 0106") == names.call("number:5005550106", region="us") == day.waiting
    with pytest.raises(names.NoSuchName, match=rf"2 calls may be meant: id:{day.done} .*id:{day.others} "):
        names.call("+15005550101")
    day.world.do("update call_log set idempotency_key = %s where id = %s", str(day.busy), day.failed)
    with pytest.raises(names.NoSuchName, match=rf"id:{day.busy} \(its id\); id:{day.failed} \(its key"):
        names.call(str(day.busy))
    assert names.call(f"key:{day.busy}") == day.failed
    with pytest.raises(names.NoSuchName, match="there is no call with this number"):
        names.call("+15005559999")


@pytest.mark.parametrize("command", [["why"], ["call", "show"], ["calls", "--number"], ["cancel", "--number"]])
def test_a_number_without_its_country_is_refused_with_the_option_that_says_it(
    day: Day, outbound: Outbound, command: list[str]
) -> None:
    day.world.do("update business set default_region = 'US' where id = %s", day.beta)
    day.world.do("update business set default_region = 'IL' where id <> %s", day.beta)

    done = outbound(*command, "050-555-0134")

    assert (done.returncode, done.stderr.rstrip().endswith("; or give --region, like IL")) == (2, True), done.stderr
    assert names.call("1234567") == 1234567, "an id, whatever else"
    with pytest.raises(names.NoSuchName, match="there is no call order-7654321:"):
        names.call("order-7654321")


def test_every_command_takes_a_name(day: Day, outbound: Outbound) -> None:
    for arguments in (
        ["pause", "campaign", "spring"],
        ["resume", "campaign", "Spring"],
        ["limit", "business", "acme", "--live-max", "3"],
        ["why", "+15005550106"],
        ["business", "show", "Acme"],
        ["business", "set", "Beta", "--region", "IL"],
        ["campaign", "show", "Spring"],
        ["campaign", "set", "spring", "--live-max", "4"],
        ["preview", "Spring"],
        ["window", "add", "--name", "Office", "--hours", "mon-fri 09:00-17:00"],
        ["window", "assign", "--window", "office", "--business", "Acme"],
        ["window", "show", "Office"],
        ["suppress", "add", "+15005550120", "--business", "Acme"],
        ["suppress", "check", "+15005550120", "--business", "acme"],
        ["consent", "give", "+15005550120", "--business", "Acme"],
        ["destination", "allow", "US", "--business", "Beta"],
        ["enqueue", "--campaign", "Spring", "--to", "+15005550121", "--from", "+15005550006"],
        [
            "retry-policy",
            "add",
            "--business",
            "Acme",
            "--name",
            "x",
            "--steps",
            "busy: 5m",
            "--per-day",
            "3",
            "--per-week",
            "5",
        ],
        ["stop", "call", "+15005550106"],
    ):
        done = outbound(*arguments)
        assert done.returncode == 0, (arguments, done.stderr)
    assert outbound("pause", "campaign", "Nothing").stderr.startswith("outbound: there is no campaign named Nothing")
    assert outbound("why", "99999").returncode == 2


# What it looks like.


def test_the_lists_fit_into_a_terminal_and_name_whose_clocks_they_show(day: Day, outbound: Outbound) -> None:
    shown = outbound("calls", "--limit", "4")

    assert shown.returncode == 0, shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert re.search(r"Tue (2026-)?11-24 14:30", shown.stdout)
    assert "times in Asia/Jerusalem" in shown.stdout
    assert "more calls: --before " in shown.stdout
    place = shown.stdout.split("--before ")[1].split()[0]
    rest = json.loads(outbound("calls", "--before", place, "--json").stdout)
    assert [call["id"] for call in rest["calls"]] == found()[4:]
    assert outbound("calls", "--status", "no-such").returncode == 2
    assert outbound("calls", "--json", "--csv").returncode == 2
    assert outbound("cancel").returncode == 2
    assert outbound("cancel", "everything", "--number", "+15005550106").returncode == 2
    dry = outbound("cancel", "--campaign", "Spring", "--dry-run")
    assert "would be canceled: 1 that wait, 0 that ring" in dry.stdout
    assert "0 that wait" not in outbound("cancel", "everything", "--dry-run").stdout
    assert day.world.call(day.waiting).status == "queued"


@pytest.mark.parametrize("what", [["everything"], ["--status", "queued,claimed,initiated,ringing"]])
def test_the_calls_of_everybody_are_canceled_only_where_that_is_confirmed(
    day: Day, outbound: Outbound, what: list[str]
) -> None:
    unconfirmed, for_a_program = outbound("cancel", *what), outbound("cancel", *what, "--json")
    before = day.world.call(day.waiting).status

    done = outbound("cancel", *what, "--yes")

    assert [unconfirmed.returncode, for_a_program.returncode, before] == [2, 2, "queued"]
    assert "give --yes, or --dry-run" in unconfirmed.stderr
    assert (done.returncode, day.world.call(day.waiting).status) == (0, "canceled"), done.stderr


def test_a_dry_run_shows_the_first_calls_and_how_many_others_whichever_scope_is_meant(
    day: Day, outbound: Outbound
) -> None:
    for place in range(12):
        day.queued(f"+150055503{place:02}", minutes=60 + place, campaign=day.spring)

    for what in (["campaign", "Spring"], ["everything"], ["business", "Acme"], ["--campaign", "Spring"]):
        dry = outbound("cancel", *what, "--dry-run").stdout
        assert dry.count(" queued ") == 10, what
        assert re.search(r"^and [0-9]+ more$", dry, re.MULTILINE), what
    one = outbound("cancel", "call", str(day.waiting), "--dry-run").stdout
    assert f" {day.waiting} " in one
    assert one.count(" queued ") == 1
    assert outbound("cancel", "number", "+15005550006", "--dry-run").stdout.count(" queued ") == 10


def test_a_spreadsheet_has_every_row_unless_fewer_are_asked_for(day: Day, outbound: Outbound) -> None:
    for place in range(25):
        day.world.do("insert into leads (business_id, phone) values (%s, %s)", day.acme, f"+150055502{place:02}")
        suppression.suppress(f"+150055503{place:02}", actor="Dana")
        day.queued(f"+150055504{place:02}", minutes=60 + place)

    def rows(*arguments: str) -> int:
        return len(list(csv.DictReader(io.StringIO(outbound(*arguments, "--csv").stdout))))

    assert rows("leads") == rows("suppress", "list") == 25
    assert rows("calls") == day.world.value("select count(*) from call_log")
    assert rows("calls", "--limit", "3") == 3


def test_a_spreadsheet_runs_no_cell_and_numbers_stay_readable(day: Day, outbound: Outbound) -> None:
    odd = ['=HYPERLINK("x")', "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\uff1d1+1", "  =1+1"]
    for place, text in enumerate(odd):
        day.ended(f"+97250000{place:04}", "failed", minutes=60 + place, error="e1")
        day.world.do(
            "update call_log set error_message = %s, stopped_by = %s where to_number = %s",
            *(text, text, f"+97250000{place:04}"),
        )

    rows = list(csv.DictReader(io.StringIO(outbound("calls", "--error", "e1", "--csv", "--limit", "100").stdout)))

    assert [row["number"] for row in rows] == [f"+97250000{place:04}" for place in range(len(odd))]
    assert [row["error_message"] for row in rows] == [f"'{text}" for text in odd]
    assert [row["stopped_by"] for row in rows] == [f"'{text}" for text in odd]
    assert {row["business"] for row in rows} == {"Acme"}


def test_a_campaign_says_of_each_callee_whether_it_was_reached_and_what_is_next(day: Day, outbound: Outbound) -> None:
    day.world.do("delete from call_log where campaign_id is null")
    again = day.queued("+15005550103", minutes=45, campaign=day.spring)
    day.ended("+15005550115", "completed", minutes=9, answered_by="machine_end_beep", campaign=day.spring)
    day.ended("+15005550116", "canceled", minutes=9, error="suppressed", campaign=day.spring, dialed=False)
    day.ended("+15005550117", "no-answer", minutes=9, campaign=day.spring)

    rows = {
        row["number"]: row
        for row in csv.DictReader(io.StringIO(outbound("campaign", "results", "spring", "--csv").stdout))
    }
    whole = json.loads(outbound("campaign", "results", "spring", "--json").stdout)
    table = outbound("campaign", "results", "Spring")

    assert {number: row["result"] for number, row in rows.items()} == {
        "+15005550101": "reached",
        "+15005550103": "waiting",
        "+15005550106": "waiting",
        "+15005550115": "machine",
        "+15005550116": "refused",
        "+15005550117": "not_reached",
    }
    busy = rows["+15005550103"]
    assert (busy["last_outcome"], busy["next_call"], busy["attempts"]) == ("busy", str(again), "1")
    assert busy["next_at"] == "2026-11-24T12:45:00+00:00"
    assert len(whole["callees"]) == len(rows)
    assert tuple(rows["+15005550101"]) == campaign_results.COLUMNS
    assert "6" in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 80


def test_leads_and_the_do_not_call_list_are_listed_newest_first_page_by_page(day: Day, outbound: Outbound) -> None:
    for place in range(5):
        business_id = day.acme if place % 2 else day.beta
        day.world.do(
            "insert into leads (business_id, phone, updated_at) values (%s, %s, now() - make_interval(mins => %s))",
            *(business_id, f"+1500555020{place}", place),
        )
        suppression.suppress(f"+1500555030{place}", actor="Dana", business_id=business_id, reason="=1+1;=1+1")
    day.world.do("update call_log set lead_id = 1 where id = any(%s)", [day.done, day.others])

    newest = lead_list.find(call_search.read(Asked()), limit=2)
    rest = lead_list.find(call_search.read(Asked()), limit=10, before=newest.next)
    first, last = suppression.entries(limit=3)
    others, end = suppression.entries(limit=3, before=last or 0)

    assert [lead["id"] for lead in newest.calls] == [1, 2]
    assert (newest.calls[0]["calls"], newest.calls[0]["call_id"]) == (2, max(day.done, day.others))
    assert ([lead["id"] for lead in rest.calls], rest.next) == ([3, 4, 5], None)
    assert [
        lead["phone"] for lead in lead_list.find(call_search.read(Asked(number="+15005550203")), limit=9).calls
    ] == ["+15005550203"]
    assert [lead["id"] for lead in lead_list.find(call_search.read(Asked(business="Beta")), limit=9).calls] == [1, 3, 5]
    assert ([entry["id"] for entry in first], [entry["id"] for entry in others], end) == ([5, 4, 3], [2, 1], None)
    assert [entry["id"] for entry in suppression.entries(business_id=day.acme, limit=9)[0]] == [4, 2]
    assert suppression.entries(everybody=True, limit=9) == ([], None)
    assert "'=1+1;'=1+1" in outbound("suppress", "list", "--csv").stdout
    for arguments in (["leads"], ["leads", "--csv"], ["suppress", "list"], ["suppress", "list", "--business", "beta"]):
        assert outbound(*arguments).returncode == 0


# A role that sees no number.


def test_the_reader_of_the_database_finds_calls_without_seeing_a_number(
    day: Day, four: Roles, outbound: Outbound
) -> None:
    day.world.do("insert into leads (business_id, phone) values (%s, '+15005550101')", day.acme)
    suppression.suppress("+15005550199", actor="Dana")

    with Environment(DATABASE_URL=four.url("reader")):
        said = [
            outbound(*arguments)
            for arguments in (
                ["calls"],
                ["calls", "--json"],
                ["calls", "--csv"],
                ["calls", "--status", "busy,queued", "--business", "Acme"],
                ["calls", "--campaign", "Spring", "--error", "sip_404"],
                ["call", "show", str(day.busy)],
                ["call", "show", "CA8", "--json"],
                ["call", "show", str(day.waiting)],
                ["leads"],
                ["suppress", "list"],
                ["business", "show", "Acme"],
            )
        ]
        refused = [
            outbound(*arguments) for arguments in (["calls", "--number", "+15005550101"], ["calls", "--batch", "list"])
        ]
    for done in said:
        assert done.returncode == 0, (done.args, done.stderr)
        assert "+1500555" not in done.stdout
    assert json.loads(said[1].stdout)["calls"][0]["id"] == day.waiting
    assert [done.returncode for done in refused] == [2, 2]
    assert "this database role may not" in refused[0].stderr
    with four.connect("reader") as connection:
        query = "select * from find_calls(%s,null,null,null,null,null,null,null,null,null,null,9,9)"
        assert connection.execute(query.encode(), ["+15005550103"]).fetchall() == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select call_moment(call_log) from call_log")


def test_a_call_that_is_being_claimed_is_found(world: World) -> None:
    call_id = world.queued()
    world.worker()
    db.run(db.statements("calls/dispatch").claim_due_calls, **CLAIM)

    assert found(statuses=["claimed"]) == found() == [call_id]
    begin(call_id)
    assert found(statuses=["initiated"]) == [call_id]
