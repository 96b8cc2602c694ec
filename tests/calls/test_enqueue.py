"""Put calls in the queue, once each: one, or a file of them."""

import csv
import io
import json
import os
import re
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

import outbound
from outbound import BadCall, BadFile, ImportReport, db, import_calls
from outbound.calls import call_request, enqueue
from outbound.calls import import_calls as importing
from outbound.calls.enqueue import EnqueuedCall
from outbound.formats import plain_text
from outbound.formats.csv_file import REJECTED_SHOWN_MAX, ROW_MAX
from tests.conftest import Servers, World, open_database, until

pytestmark = pytest.mark.rows_only

OWN, OTHER = "+15005550006", "+15005550007"
TO = "+15005550101"


@pytest.fixture
def acme(world: World) -> int:
    return world.business("Acme", OWN)


@pytest.fixture
def other(world: World) -> int:
    return world.business("Other", OTHER)


@pytest.fixture(scope="module")
def unchanged(servers: Servers, template: str) -> Iterator[World]:
    """One world for all the refusals: businesses 1, with OWN, and 2, with OTHER."""
    with open_database(servers, template) as url:
        world = World(url)
        world.business("Acme", OWN)
        world.business("Other", OTHER)
        yield world
        world.connection.close()


# One call.


def test_a_call_is_put_in_the_queue_due_now_from_the_first_own_number(world: World, acme: int) -> None:
    made = enqueue.enqueue(business_id=acme, to_number="+1 (500) 555-0101")

    call = world.call(made.call_id)
    assert made == EnqueuedCall(call.id, "queued", created=True)
    assert (call.business_id, call.from_number, call.to_number) == (acme, OWN, TO)
    assert (call.direction, call.status, call.call_sid) == ("outbound", "queued", None)
    assert world.value("select due_at <= now() from call_log")


def test_the_same_key_never_makes_a_second_call_even_after_the_first_has_ended(world: World, acme: int) -> None:
    first = enqueue.enqueue(business_id=acme, to_number=TO, key="invoice 12")
    world.do("update call_log set status = 'canceled'")

    second = enqueue.enqueue(business_id=acme, to_number=TO, key="invoice 12")

    assert second == EnqueuedCall(first.call_id, "canceled", created=False)
    assert world.value("select count(*) from call_log") == 1


def test_a_key_that_belongs_to_a_call_of_another_number_is_no_duplicate_but_a_mistake(world: World, acme: int) -> None:
    enqueue.enqueue(business_id=acme, to_number=TO, key="spring")
    enqueue.enqueue(business_id=acme, to_number="+15005550103")

    for number in ("+15005550102", "+15005550103"):  # the second has a live call, of no key
        with pytest.raises(BadCall, match="the key belongs to a call of another number") as refusal:
            enqueue.enqueue(business_id=acme, to_number=number, key="spring")
        assert not re.search(r"\d{7}", str(refusal.value))

    assert world.value("select count(*) from call_log") == 2


def test_a_key_is_its_business_s_own(world: World, acme: int, other: int) -> None:
    enqueue.enqueue(business_id=acme, to_number=TO, key="invoice 12")

    assert enqueue.enqueue(business_id=other, to_number=TO, key="invoice 12").created


def test_a_live_call_to_the_number_answers_for_a_new_one(world: World, acme: int) -> None:
    first = enqueue.enqueue(business_id=acme, to_number=TO)

    for status in ("queued", "claimed", "initiated", "ringing", "in-progress"):
        world.do("update call_log set status = %s, overdue_at = now()", status)
        second = enqueue.enqueue(business_id=acme, to_number="+1-500-555-0101", key=status)
        note = None if status == "queued" else "the call is under way already"
        assert second == EnqueuedCall(first.call_id, status, created=False, note=note, has_key=False)


def test_after_a_call_has_ended_the_number_may_be_called_again(world: World, acme: int) -> None:
    for status in ("completed", "busy", "no-answer", "failed", "canceled"):
        made = enqueue.enqueue(business_id=acme, to_number=TO)
        assert made.created
        world.do("update call_log set status = %s where id = %s", status, made.call_id)


def test_another_business_may_call_the_same_number(world: World, acme: int, other: int) -> None:
    enqueue.enqueue(business_id=acme, to_number=TO)

    assert enqueue.enqueue(business_id=other, to_number=TO).created


def test_a_live_inbound_call_does_not_keep_us_from_calling(world: World, acme: int) -> None:
    world.do(
        "insert into call_log (business_id, direction, from_number, to_number, status, overdue_at)"
        " values (%s, 'inbound', %s, %s, 'in-progress', now())",
        acme,
        TO,
        TO,
    )

    assert enqueue.enqueue(business_id=acme, to_number=TO).created


# Two at once, and the caller's own transaction.


class Rival:
    """Another enqueue of the same call, in a thread of its own, once it waits for the first."""

    def __init__(self, world: World, business_id: int) -> None:
        self.result: EnqueuedCall | None = None
        self._thread = threading.Thread(target=self._run, args=(business_id,))
        self._thread.start()
        until(lambda: world.value("select count(*) from pg_locks where not granted") == 1)

    def _run(self, business_id: int) -> None:
        self.result = enqueue.enqueue(business_id=business_id, to_number=TO)

    def outcome(self) -> EnqueuedCall:
        self._thread.join(10)
        assert self.result is not None
        return self.result


@pytest.fixture
def mine(database: str, world: World) -> Iterator[psycopg.Connection[Any]]:
    """The caller's own connection, with whatever row factory the caller likes."""
    world.simulated()
    with psycopg.connect(database, row_factory=dict_row) as connection:
        yield connection


def test_a_rival_that_waited_for_a_commit_answers_with_the_committed_call(
    world: World, acme: int, mine: psycopg.Connection[Any]
) -> None:
    first = outbound.enqueue_call(mine, business_id=acme, to_number=TO)
    rival = Rival(world, acme)

    mine.commit()

    assert rival.outcome() == EnqueuedCall(first.call_id, "queued", created=False, has_key=False)
    assert world.value("select count(*) from call_log") == 1


def test_a_rival_that_waited_for_a_rollback_puts_its_own_call_in_the_queue(
    world: World, acme: int, mine: psycopg.Connection[Any]
) -> None:
    outbound.enqueue_call(mine, business_id=acme, to_number=TO)
    rival = Rival(world, acme)

    mine.rollback()

    assert rival.outcome().created
    assert world.statuses() == ["queued"]


def test_many_at_once_make_one_call_and_all_get_its_id(world: World, acme: int) -> None:
    results: list[EnqueuedCall] = []
    start = threading.Barrier(8)

    def rush() -> None:
        start.wait()
        results.append(enqueue.enqueue(business_id=acme, to_number=TO))

    threads = [threading.Thread(target=rush) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len({result.call_id for result in results}) == 1
    assert sorted(result.created for result in results) == [False] * 7 + [True]


def test_the_callers_rollback_takes_the_call_back(world: World, acme: int, mine: psycopg.Connection[Any]) -> None:
    mine.execute("create table invoice (id int)")
    outbound.enqueue_call(mine, business_id=acme, to_number=TO)

    mine.rollback()

    assert world.statuses() == []
    assert world.value("select to_regclass('invoice') is null")


def test_the_dispatchers_are_woken_by_the_callers_commit_and_not_before(
    world: World, acme: int, mine: psycopg.Connection[Any]
) -> None:
    with db.connect() as dispatcher:
        db.listen(dispatcher, "outbound_due")
        outbound.enqueue_call(mine, business_id=acme, to_number=TO)
        woken_early = db.wait_for_notice(dispatcher, 0.05)

        mine.commit()

        assert db.wait_for_notice(dispatcher, 5)
        assert not woken_early


def test_nobody_is_woken_for_a_call_that_was_there_already(world: World, acme: int) -> None:
    enqueue.enqueue(business_id=acme, to_number=TO)

    with db.connect() as dispatcher:
        db.listen(dispatcher, "outbound_due")
        enqueue.enqueue(business_id=acme, to_number=TO)

        assert not db.wait_for_notice(dispatcher, 0.05)


def test_after_a_refusal_the_callers_transaction_goes_on(
    world: World, acme: int, mine: psycopg.Connection[Any]
) -> None:
    for number in ("+49110", "+49" + "1" * 15, "nobody"):
        with pytest.raises(BadCall):
            outbound.enqueue_call(mine, business_id=acme, to_number=number)

    outbound.enqueue_call(mine, business_id=acme, to_number=TO)
    mine.commit()

    assert world.statuses() == ["queued"]


# Bad input: what to do is said, and nothing is changed.


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"business_id": 4711}, "outbound business list"),
        ({"business_id": 10**30}, "outbound business list"),
        ({"to_number": ""}, "give a phone number"),
        ({"to_number": "nobody"}, "write it like +97231234567"),
        ({"to_number": "+1500555"}, "write it like"),  # short
        ({"to_number": "500-555-0101"}, "with its country code"),  # the business has no region
        ({"to_number": "+15005550101 ext. 7"}, "write it like"),
        ({"to_number": "+15005550101/02"}, "write it like"),
        ({"to_number": "+150055501O1"}, "write it like"),  # a letter O
        ({"to_number": "+972501234567.0"}, "write it like"),  # a spreadsheet's number
        ({"to_number": "+4911"}, "write it like"),  # shorter than call_log takes
        ({"to_number": "+49" + "1" * 15}, "write it like"),  # longer
        ({"to_number": "1" * 1000}, "write it like"),
        ({"from_number": "nobody"}, "`from` is not a phone number"),
        ({"from_number": OTHER}, "one of its own"),
        ({"due_at": "tomorrow"}, "write it like 2026-11-30T09:00"),
        ({"due_at": "2026-13-01T09:00"}, "write it like"),
        ({"due_at": "9999-12-31T23:59"}, "between 1970 and 2199"),
        ({"due_at": "0001-01-01T00:00+14:00"}, "between 1970"),
        ({"due_at": datetime(3000, 1, 1, tzinfo=UTC)}, "between 1970"),
        ({"due_at": "2026-11-30"}, "`at` is a date without a time: write it like 2026-11-30T09:00"),
        ({"due_at": date(2026, 11, 30)}, "a date without a time"),
        ({"due_at": "1970-01-01T00:00"}, "as an empty date is saved"),
        ({"due_at": datetime(1970, 1, 1, tzinfo=UTC)}, "as an empty date is saved"),
        ({"due_at": "11/12/2026 09:00"}, "may be day and month or month and day"),
        ({"due_at": datetime.now(UTC) - timedelta(days=900)}, "more than 2 years in the past"),
        ({"due_at": datetime.now(UTC) + timedelta(days=4000)}, "more than 10 years ahead"),
        ({"time_zone": "EST"}, "write America/New_York"),
        ({"time_zone": "Etc/GMT+5"}, "write a place"),
        ({"time_zone": "Factory"}, "like Asia/Jerusalem"),
        ({"key": "nul\0"}, "`key` must be text"),
        ({"key": "\udcff"}, "`key` must be text"),
        ({"key": "k" * 256}, "255 characters"),
    ],
)
def test_a_bad_call_is_refused_with_what_to_do(unchanged: World, change: dict[str, Any], hint: str) -> None:
    call = {"business_id": 1, "to_number": TO} | change

    with pytest.raises(BadCall) as refusal:
        enqueue.enqueue(**call)

    assert hint in str(refusal.value)
    assert not re.search(r"\d{7}", str(refusal.value).replace("+97231234567", ""))
    assert unchanged.statuses() == []


def test_a_business_with_nothing_to_say_calls_nobody(world: World, acme: int) -> None:
    world.do("update business set twiml = null")

    with pytest.raises(BadCall, match=f"outbound business set {acme} --twiml"):
        enqueue.enqueue(business_id=acme, to_number=TO)

    assert world.statuses() == []


def test_without_a_number_of_its_own_a_business_must_say_who_calls(world: World, acme: int) -> None:
    world.do("delete from business_number")

    with pytest.raises(BadCall, match="give a from number"):
        enqueue.enqueue(business_id=acme, to_number=TO)

    assert enqueue.enqueue(business_id=acme, to_number=TO, from_number=OWN).created


def test_a_business_whose_time_zone_nobody_knows_is_told_so(world: World, acme: int) -> None:
    world.do("update business set time_zone = 'Mars/Olympus'")

    with pytest.raises(BadCall, match=f"outbound business set {acme} --time-zone"):
        enqueue.enqueue(business_id=acme, to_number=TO, due_at="2032-11-30T09:00")

    assert enqueue.enqueue(business_id=acme, to_number=TO, due_at="2032-11-30T09:00Z").created


def test_a_longest_key_of_any_letters_fits(world: World, acme: int) -> None:
    key = "".join(chr(0x1F300 + n) for n in range(enqueue.KEY_MAX))

    assert enqueue.enqueue(business_id=acme, to_number=TO, key=key).created
    assert not enqueue.enqueue(business_id=acme, to_number=TO, key=key).created


def test_a_call_that_waits_for_another_moment_says_that_the_new_one_changes_nothing(world: World, acme: int) -> None:
    """Before, the second moment was dropped without a word."""
    next_year = datetime.now(UTC).year + 1
    call = {"business_id": acme, "to_number": TO, "key": "appointment-7"}
    first = enqueue.enqueue(**call, due_at=f"{next_year}-03-02T10:00Z")
    other = enqueue.enqueue(**call, due_at=f"{next_year}-03-09T10:00Z")
    same = enqueue.enqueue(**call, due_at=f"{next_year}-03-02T10:00Z")
    again = enqueue.enqueue(**call)

    assert (other.call_id, other.created) == (first.call_id, False)
    assert other.note is not None
    assert re.fullmatch(
        rf"`at` changes nothing: the call waits for .*{next_year}-03-02 .* already; reschedule .*", other.note
    )
    assert first.note is same.note is None
    assert re.fullmatch(rf"the call waits for .*{next_year}-03-02 .* already: reschedule it .*", again.note or "")
    world.do("update call_log set status = 'canceled', ended_at = now()")
    assert enqueue.enqueue(**call, due_at=f"{next_year}-03-09T10:00Z").note is None


def test_a_moment_without_an_offset_is_in_the_time_zone_of_the_business(world: World, acme: int) -> None:
    world.do("update business set time_zone = 'Asia/Jerusalem'")
    moments: list[tuple[str | datetime, str]] = [
        ("2032-01-15T09:00", "2032-01-15T07:00"),  # winter, +2
        ("2032-07-15T09:00", "2032-07-15T06:00"),  # summer, +3
        ("2032-03-26T02:30", "2032-03-26T00:30"),  # an hour that never is: as if the clock had not gone forward
        ("2032-10-31T01:30", "2032-10-30T22:30"),  # an hour that comes twice: the first
        ("2032-07-15T09:00+00:00", "2032-07-15T09:00"),
        ("2032-07-15T09:00+23:00", "2032-07-14T10:00"),  # an offset that PostgreSQL does not know
        ("15/07/2032 9:00", "2032-07-15T06:00"),
        (datetime(2032, 7, 15, 9, 0), "2032-07-15T06:00"),  # noqa: DTZ001 (naive on purpose)
        (datetime(2032, 7, 15, 9, 0, tzinfo=UTC), "2032-07-15T09:00"),
    ]

    for place, (at, utc) in enumerate(moments):
        made = enqueue.enqueue(business_id=acme, to_number=f"+150055502{place:02d}", due_at=at)
        assert world.call(made.call_id).due_at == datetime.fromisoformat(utc + "+00:00"), at


def test_a_time_that_the_clocks_show_twice_or_not_at_all_is_said(world: World, acme: int) -> None:
    world.do("update business set time_zone = 'Asia/Jerusalem'")

    gap = enqueue.enqueue(business_id=acme, to_number=TO, due_at="2032-03-26T02:30")
    fold = enqueue.enqueue(business_id=acme, to_number="+15005550102", due_at="2032-10-31T01:30")

    assert gap.note == "`at` 02:30 does not exist that day in Asia/Jerusalem: taken as 03:30"
    assert fold.note == "`at` 01:30 comes twice that day in Asia/Jerusalem: taken as the first, +0300"


def test_a_former_name_of_a_time_zone_is_kept_as_that_of_today(world: World, acme: int) -> None:
    for place, (name, zone) in enumerate(
        (("US/Eastern", "America/New_York"), ("Israel", "Asia/Jerusalem"), ("asia/calcutta", "Asia/Kolkata"))
    ):
        made = enqueue.enqueue(business_id=acme, to_number=f"+150055502{place:02d}", time_zone=name)
        assert world.call(made.call_id).time_zone == zone


def test_a_number_may_be_written_as_people_write_it(world: World, acme: int) -> None:
    ways = [
        ("050-123-4567", "IL"),
        ("00972 50 1234567", "IL"),
        ("\u202a+972 50-123-4567\u202c", None),  # copied out of Hebrew text
        ("'+972501234567", None),  # a spreadsheet's text
        ("tel:+972-50-1234567", None),
        ("٠٥٠١٢٣٤٥٦٧", "IL"),
        ("(050) 1234567", "IL"),
    ]

    for written, region in ways:
        world.do("update business set default_region = %s", region)
        made = enqueue.enqueue(business_id=acme, to_number=written)
        assert world.call(made.call_id).to_number == "+972501234567", written


def test_a_slip_of_the_pen_rings_no_stranger(world: World, acme: int) -> None:
    world.do("update business set default_region = 'IL'")

    for written in ("050-123456O", "1-800-FLOWERS", "100", "972501234567.0", "+1 555-0101"):
        with pytest.raises(BadCall):
            enqueue.enqueue(business_id=acme, to_number=written)

    world.do("update business set default_region = 'US'")
    with pytest.raises(BadCall):
        enqueue.enqueue(business_id=acme, to_number="555-0101")  # it lacks the area code
    assert world.statuses() == []


# A file of calls.


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "calls.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


Written = Callable[[str | bytes], Path]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows in a transaction as the report names rejected lines."""
    monkeypatch.setattr(importing, "CHUNK_ROWS", 1000)


def counts(report: ImportReport) -> tuple[int, int, int]:
    return report.created, report.already_there, report.rejected


def test_a_file_is_put_in_the_queue_and_a_second_time_adds_nothing(world: World, acme: int, written: Written) -> None:
    file = written(f"to,from,at,key\n{TO},,,\n+15005550102,+15005550099,2032-11-30T09:00,mine\n")

    first, second = (import_calls(file, business_id=acme) for _ in range(2))

    assert (counts(first), counts(second)) == ((2, 0, 0), (0, 2, 0))
    a, b = world.rows("select * from call_log order by to_number")
    assert (a.from_number, a.to_number, b.from_number, b.to_number) == (OWN, TO, "+15005550099", "+15005550102")
    assert (b.due_at, b.idempotency_key) == (datetime(2032, 11, 30, 9, tzinfo=UTC), "mine")


def test_a_second_import_adds_nothing_even_after_the_calls_have_ended(
    world: World, acme: int, written: Written
) -> None:
    file = written(f"to\n{TO}\n")
    import_calls(file, business_id=acme)
    world.do("update call_log set status = 'canceled'")

    assert counts(import_calls(file, business_id=acme)) == (0, 1, 0)


def test_an_import_that_was_interrupted_is_repeated_whole_and_each_call_is_there_once(
    world: World, acme: int, written: Written
) -> None:
    rows, kept = importing.CHUNK_ROWS * 2 + 7, importing.CHUNK_ROWS * 2  # as many are written at once
    file = written("to\n" + "".join(f"+1500{5_000_000 + n}\n" for n in range(rows)))

    def interrupt(_: int) -> None:
        until(lambda: world.value("select count(*) from call_log") == kept)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_calls(file, business_id=acme, progress=interrupt)
    report = import_calls(file, business_id=acme)

    assert counts(report) == (rows - kept, kept, 0)
    assert world.value("select count(distinct to_number) from call_log") == rows
    assert world.value("select count(*) from call_log") == rows


def test_progress_ends_at_the_size_of_the_file(world: World, acme: int, written: Written, small_chunks: None) -> None:
    file = written("to\n" + "".join(f"+1500{5_000_000 + n}\n" for n in range(2500)))
    seen: list[int] = []

    import_calls(file, business_id=acme, progress=seen.append)

    assert len(seen) == 3
    assert seen == sorted(seen)
    assert seen[-1] == file.stat().st_size


def test_bad_lines_are_named_with_their_reason_and_the_good_ones_go_in(
    world: World, acme: int, other: int, written: Written
) -> None:
    lines: list[tuple[bytes, str | None]] = [
        (b"+15005550101,,,,", None),
        (b"12,,,,", "`to` is not a phone number"),
        (b",,,,only a key", "`to` is empty"),
        (b"+15005550102", None),  # too few columns, and all that it needs
        (b"+15005550103,,someday,,", "`at` is not a date and time"),
        (b"+15005550104,,,4711,", "no such business"),
        (b"+15005550105,,,+15005550105,", "`business` is not the id"),
        (b"+15005550106,,,5550106,", "no such business"),  # a phone number perhaps, not repeated
        (b"+15005550107,,,,\xe9\xff", "not UTF-8"),
        (b"+15005550108,,,," + b"x" * ROW_MAX, f"more than {ROW_MAX} characters"),
        (b"+15005550109,,,,nul\0", "not UTF-8 text"),
        (b"+15005550110,,,," + b"k" * 256, "`key` must be text of 255"),
        (b'+15005550111,,,,"broken"key', "not CSV"),
        (b"", None),  # blank, and no row
        (b"+15005550112," + OTHER.encode() + b",,,", "belongs to another business"),
        (b"+15005550113,,2032-11-30T09:00+20:00,,", None),
        (b"+49110,,,,", "`to` is not a phone number"),
        (b"+15005550114,,,,,,,too many columns", "more cells than the first line has names"),
        (b"9.72501E+11,,,,", "rounded by a spreadsheet"),
        (b"+15005550118,,,,,,,", None),  # a spreadsheet's empty columns
        (b"+15005550119,,,,retry:1:2", "`key` may not begin with retry:"),
        (b'+15005550115,,,,"never closed', "not CSV"),
    ]
    file = written(b"\n".join([b"to,from,at,business,key", *(line for line, _ in lines)]))

    report = import_calls(file, business_id=acme)

    expected = {place: reason for place, (_, reason) in enumerate(lines, start=2) if reason}
    reasons = dict(report.rejected_lines)
    assert set(reasons) == set(expected)
    for place, reason in expected.items():
        assert reason in reasons[place]
    assert counts(report) == (4, 0, len(expected))
    assert not re.search(r"\d{7}", " ".join(reasons.values()).replace("+97231234567", ""))
    assert [row.to_number for row in world.rows("select to_number from call_log order by 1")] == [
        "+15005550101",
        "+15005550102",
        "+15005550113",
        "+15005550118",
    ]


def test_only_so_many_bad_lines_are_named_and_all_are_counted(world: World, acme: int, written: Written) -> None:
    file = written("to\n" + "x\n" * (REJECTED_SHOWN_MAX + 5))

    report = import_calls(file, business_id=acme, anyway=True)

    assert report.rejected == REJECTED_SHOWN_MAX + 5
    assert len(report.rejected_lines) == REJECTED_SHOWN_MAX


def test_a_header_may_be_written_in_many_ways(world: World, acme: int, written: Written) -> None:
    headers = [
        "to,key",
        "\ufeffto,key",
        "TO,Key",
        " to , key ",
        "to_number,key",
        "phone,key",
        "Phone,KEY",
        '"to","key"',
    ]
    ways = [(header, newline) for header in headers for newline in ("\n", "\r\n", "\r")]

    for place, (header, newline) in enumerate(ways):
        file = written(newline.join([header, f"+150055502{place:02d},key {place}", ""]))
        assert counts(import_calls(file, business_id=acme)) == (1, 0, 0), (header, newline)

    keys = {row.idempotency_key for row in world.rows("select idempotency_key from call_log")}
    assert keys == {f"key {place}" for place in range(len(ways))}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "the file is empty"),
        ("\n", "no column is named `to`"),
        (f"{TO},2026-11-30\n", "no column is named `to`"),  # no header
        (f"to/key\n{TO}/a\n", "no column is named `to`"),
        (f"to,to\n{TO},{TO}\n", "two columns are named `to`"),
        (f"to,at,מועד\n{TO},,\n", "two columns mean `at`"),
        (f"to,name,Name\n{TO},a,b\n", "two columns are named `name`"),
        ("to," + ",".join(f"f{n}" for n in range(51)) + f"\n{TO}\n", "51 columns about the callee, and 50 are allowed"),
        (f"to,{'n' * 101}\n{TO},a\n", "longer than 100 characters"),
        (f"to\n{TO}\n".encode("utf-16-le"), "not UTF-8"),  # without its mark
        (b"\x7fELF\x01\0\0\0", "not UTF-8 text"),
        ("t" * (ROW_MAX + 1), "not CSV"),
        ('"to', "not CSV"),
        ('name;phones\n"Levi ""Gingi""";050\n', "found are `name`, `phones`"),  # with commas its quotes are wrong
    ],
)
def test_a_file_that_is_no_list_of_calls_is_refused_whole(
    unchanged: World, written: Written, content: str | bytes, why: str
) -> None:
    with pytest.raises(BadFile) as refusal:
        import_calls(written(content), business_id=1)

    assert why in str(refusal.value)
    assert TO not in str(refusal.value)
    assert unchanged.statuses() == []


def test_what_cannot_be_read_is_refused(world: World, acme: int, tmp_path: Path) -> None:
    for path, why in ((tmp_path / "missing.csv", "No such file"), (tmp_path, "directory")):
        with pytest.raises(BadFile, match=why):
            import_calls(path, business_id=acme)

    reading, writing = os.pipe()
    os.close(writing)
    try:
        for batch, why in (
            (None, "what is no file has no name: give --batch NAME"),
            ("may", "save it as a file first"),
        ):
            with pytest.raises(BadFile, match=why):
                import_calls(Path(f"/dev/fd/{reading}"), business_id=acme, batch=batch)
    finally:
        os.close(reading)


def test_a_file_of_nobodys_calls_is_refused_whole(world: World, acme: int, written: Written) -> None:
    file = written(f"to\n{TO}\n")

    with pytest.raises(BadFile, match="give --business"):
        import_calls(file)
    with pytest.raises(BadFile, match="no such business"):
        import_calls(file, business_id=4711)


def test_a_number_that_is_twice_in_a_file_is_called_once(world: World, acme: int, written: Written) -> None:
    file = written(f"to\n{TO}\n+1 500 555 0101\n")

    dry = import_calls(file, business_id=acme, dry_run=True)
    first, second = (import_calls(file, business_id=acme) for _ in range(2))

    assert (counts(first), first.duplicates) == (counts(dry), dry.duplicates) == ((1, 0, 0), 1)
    assert (counts(second), second.duplicates) == ((0, 1, 0), 1)
    for report in (dry, first, second):
        assert report.remarks == [(3, "the number of line 2 once more: it is called once")]


def test_a_number_that_comes_back_in_a_later_chunk_is_a_duplicate_too(
    world: World, acme: int, written: Written
) -> None:
    numbers = [f"+1500{5_000_000 + n}" for n in range(importing.CHUNK_ROWS)]

    report = import_calls(written("\n".join(["to", *numbers, *numbers[:7]])), business_id=acme)

    assert (counts(report), report.duplicates) == ((len(numbers), 0, 0), 7)


def test_one_number_is_called_once_in_a_batch_and_again_in_the_next(world: World, acme: int, written: Written) -> None:
    file, grown = written(f"to\n{TO}\n"), f"to\n{TO}\n+15005550102\n"
    import_calls(file, business_id=acme, batch="may")
    world.do("update call_log set status = 'canceled'")

    same = import_calls(written(grown), business_id=acme, batch="may")
    next_ = import_calls(written(grown), business_id=acme, batch="june")

    assert counts(same) == (1, 1, 0)
    assert counts(next_) == (1, 1, 0)  # the one that ended; the other still waits
    with pytest.raises(BadFile, match="200 characters"):
        import_calls(file, business_id=acme, batch="b" * 201)


def test_each_row_is_read_with_the_region_of_its_business(
    world: World, acme: int, other: int, written: Written
) -> None:
    world.do("update business set default_region = 'IL' where id = %s", acme)
    world.do("update business set default_region = 'US' where id = %s", other)
    file = written(f"business_id,to\n{acme},050-1234567\n{other},(500) 555-0101\n")

    report = import_calls(file)

    assert counts(report) == (2, 0, 0)
    assert world.rows("select business_id, to_number from call_log order by 1") == [
        (acme, "+972501234567"),
        (other, TO),
    ]


def test_a_line_whose_key_belongs_to_a_call_of_another_number_is_rejected(
    world: World, acme: int, written: Written, small_chunks: None
) -> None:
    enqueue.enqueue(business_id=acme, to_number="+15005550999", key="old")
    numbers = [f"+1500{5_000_000 + n}" for n in range(importing.CHUNK_ROWS)]
    file = written("\n".join(["to,key", "+15005550101,old", *(f"{number},spring" for number in numbers)]))

    first, second = (import_calls(file, business_id=acme) for _ in range(2))

    assert counts(first) == (1, 0, len(numbers))  # no call that has no row is answered with "there already"
    assert counts(second) == (0, 1, len(numbers))
    assert {reason for _, reason in first.rejected_lines} == {enqueue.KEY_OF_ANOTHER}
    lines = dict(first.rejected_lines)
    assert 2 in lines
    assert len(numbers) + 2 in lines  # in the next chunk
    assert world.value("select count(*) from call_log") == 2


def test_lines_that_an_open_quote_swallowed_are_named_and_counted(world: World, acme: int, written: Written) -> None:
    swallowed = "".join(f"+1500{5_550_200 + n},n\n" for n in range(100))
    before, after = f'to,name\n{TO},a\n+15005550102,"Bob\n', '+15005550103,"Al"\n+15005550104,z\n'

    open_to_the_end = import_calls(written(before + swallowed), business_id=acme)
    open_to_the_next = import_calls(written(before + swallowed + after), business_id=acme)

    reason = "lines 3 to {} were read as one: a quote is not closed"
    assert counts(open_to_the_end) == (1, 0, 101)
    assert open_to_the_end.rejected_lines == [(3, reason.format(103))]
    assert counts(open_to_the_next) == (1, 1, 102)
    assert open_to_the_next.rejected_lines == [(3, reason.format(104))]


def test_a_number_that_another_live_call_holds_is_added_by_a_later_import(
    world: World, acme: int, written: Written
) -> None:
    file = written(f"to\n{TO}\n")
    other_call = enqueue.enqueue(business_id=acme, to_number=TO)

    assert counts(import_calls(file, business_id=acme)) == (0, 1, 0)
    world.do("update call_log set status = 'canceled' where id = %s", other_call.call_id)

    assert counts(import_calls(file, business_id=acme)) == (1, 0, 0)


def test_an_import_that_was_given_up_to_end_a_deadlock_is_tried_again(
    world: World, acme: int, written: Written, mine: psycopg.Connection[Any]
) -> None:
    file = written("to,key\n+15005550101,a\n+15005550102,b\n")
    reports: list[ImportReport] = []
    mine.execute("set deadlock_timeout = '1 min'")  # so that PostgreSQL gives up the import, not us
    outbound.enqueue_call(mine, business_id=acme, to_number="+15005550109", key="b")
    importing = threading.Thread(target=lambda: reports.append(import_calls(file, business_id=acme)))
    importing.start()
    until(lambda: world.value("select count(*) from pg_locks where not granted") == 1)  # it has `a` and waits for `b`

    outbound.enqueue_call(mine, business_id=acme, to_number="+15005550108", key="a")
    mine.rollback()
    importing.join(20)

    assert [counts(report) for report in reports] == [(2, 0, 0)]


def test_two_imports_of_the_same_numbers_at_once_call_each_number_once(world: World, acme: int, tmp_path: Path) -> None:
    numbers = [f"+1500{5_000_000 + n}" for n in range(3000)]
    (tmp_path / "a.csv").write_text("\n".join(["to", *numbers]))
    (tmp_path / "b.csv").write_text("\n".join(["to", *reversed(numbers)]))
    reports: list[ImportReport] = []

    threads = [
        threading.Thread(target=lambda name=name: reports.append(import_calls(tmp_path / name, business_id=acme)))
        for name in ("a.csv", "b.csv")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sum(report.created for report in reports) == 3000
    assert sum(report.already_there for report in reports) == 3000


# What is known of the callee, and where the callee is.


def test_every_other_column_is_kept_with_the_call_and_said_in_the_report(
    world: World, acme: int, written: Written
) -> None:
    file = written(f"to,Name,  Appointment\u200f ,empty,\n{TO},דנה,30/11 09:00,,nameless\n+15005550102,=1+1,,,\n")

    report = import_calls(file, business_id=acme)

    assert report.fields == ["name", "appointment", "empty"]
    contacts = [row.contact for row in world.rows("select contact from call_log order by to_number")]
    assert contacts == [{"name": "דנה", "appointment": "30/11 09:00"}, {"name": "=1+1"}]


def test_a_contact_has_its_bounds(world: World, acme: int, written: Written) -> None:
    names = [f"f{n}" for n in range(9)]
    lines = [
        [TO, *["x" * 1000] * 8, ""],
        ["+15005550102", "x" * 1001, *[""] * 8],
        ["+15005550103", *["x" * 950] * 9],
    ]
    report = import_calls(written("\n".join(",".join(line) for line in [["to", *names], *lines])), business_id=acme)

    assert counts(report) == (1, 0, 2)
    assert report.rejected_lines == [
        (3, "field 1 of the contact must be text of 1000 characters at most"),
        (4, "the contact's fields have more than 8192 bytes in all"),
    ]
    with pytest.raises(BadCall, match="at most 50 fields"):
        enqueue.enqueue(business_id=acme, to_number=TO, contact={f"f{n}": "x" for n in range(51)})
    bad: list[dict[str, Any]] = [{"name": "a\0b"}, {"a\udcff": "b"}, {" ": "b"}, {"name": 7}, {"n" * 101: "b"}]
    empty: list[Any] = [0, 0.0, False, [], {}, b""]
    bad += [{"name": value} for value in empty]
    for contact in bad:
        with pytest.raises(BadCall, match="must be text"):
            enqueue.enqueue(business_id=acme, to_number=TO, contact=contact)


def test_a_contact_with_whom_the_twiml_becomes_too_long_is_refused(world: World, acme: int) -> None:
    world.do("update business set twiml = '<Response><Say>' || repeat('{{name}}', 5) || '</Say></Response>'")

    with pytest.raises(BadCall, match="the TwiML has 50"):
        enqueue.enqueue(business_id=acme, to_number=TO, contact={"name": "x" * 1000})

    assert enqueue.enqueue(business_id=acme, to_number=TO, contact={"Name": "x" * 100}).created


def test_a_voice_application_finds_the_contact_by_the_call_sid(world: World, acme: int) -> None:
    made = enqueue.enqueue(business_id=acme, to_number=TO, contact={"name": "Dana"})
    world.do(
        "update call_log set status = 'initiated', overdue_at = now(), call_sid = 'CA1' where id = %s", made.call_id
    )

    assert world.value("select call_contact('CA1')") == {"name": "Dana"}
    assert world.value("select call_contact('CA2')") is None


def test_a_time_zone_is_checked_and_kept(world: World, acme: int, written: Written) -> None:
    file = written(f"to,tz\n{TO},Asia/Jerusalem\n+15005550102,Israel Standard Time\n+15005550103,\n")

    report = import_calls(file, business_id=acme)

    assert report.rejected_lines == [(3, "`time_zone` is not an IANA time zone, like Asia/Jerusalem")]
    assert world.rows("select time_zone from call_log order by to_number") == [("Asia/Jerusalem",), (None,)]


def test_an_empty_moment_or_key_is_refused_but_in_a_file(world: World, acme: int, written: Written) -> None:
    """A variable that was not set rang somebody at once, and again at the next run."""
    for name in ("due_at", "key"):
        with pytest.raises(BadCall, match=" is empty: leave it out"):
            enqueue.enqueue(business_id=acme, to_number=TO, **{name: ""})
        answer = world.value(
            "select enqueue_call(%s::jsonb)", json.dumps({"business_id": acme, "to_number": TO, name: ""})
        )
        assert answer["fault"].startswith(f"`{name}` is "), answer
    assert world.value("select count(*) from call_log") == 0

    assert counts(import_calls(written(f"to,at,key\n{TO},,\n"), business_id=acme)) == (1, 0, 0)


@pytest.mark.parametrize("name", ["UTC", "Etc/UTC", "Zulu"])
def test_nobody_lives_by_the_clocks_of_utc(world: World, acme: int, written: Written, name: str) -> None:
    """An application's default let an Israeli window open from 11:00 to 22:00."""
    with pytest.raises(BadCall, match="`time_zone` is UTC"):
        enqueue.enqueue(business_id=acme, to_number=TO, time_zone=name)
    report = import_calls(written(f"to,tz\n{TO},{name}\n"), business_id=acme)

    assert (counts(report), world.value("select count(*) from call_log")) == ((0, 0, 1), 0)


def test_a_line_of_a_file_of_one_business_that_names_another_is_refused(
    world: World, acme: int, written: Written
) -> None:
    """It was dialed by the other business, while the one that was named was paused."""
    other = world.business("Other")
    report = import_calls(written(f"to,business\n{TO},{acme}\n+15005550102,{other}\n"), business_id=acme)

    assert counts(report) == (1, 0, 1)
    assert report.rejected_lines[0][1].startswith("`business` is another than the file is for")
    assert world.value("select count(*) from call_log where business_id = %s", other) == 0


def test_a_zone_that_only_python_knows_is_refused_and_stops_nobody(
    world: World, acme: int, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_request, "_known_zones", lambda: {"Mars/Olympus"})

    report = import_calls(written(f"to,tz\n{TO},Mars/Olympus\n+15005550102,Europe/London\n"), business_id=acme)

    assert (counts(report), report.rejected_lines[0][0]) == ((1, 0, 1), 2)
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        world.do("update call_log set time_zone = 'Mars/Olympus'")


def test_where_there_are_calling_hours_the_callee_s_zone_must_be_known(
    world: World, acme: int, written: Written
) -> None:
    world.do(
        "with hours as (insert into calling_window (name, hours) values ('always', '{[0,10080)}') returning id)"
        " update business set window_id = hours.id from hours"
    )
    nowhere = "+881612345678"  # satellites and the like have no zone
    world.do("insert into destination (place, allowed) values ('+8816', true)")

    report = import_calls(
        written(f"to,tz\n{nowhere},\n+972501234567,\n+881612345679,Europe/London\n"), business_id=acme
    )

    assert counts(report) == (2, 0, 1)
    assert "state `time_zone`" in report.rejected_lines[0][1]
    with pytest.raises(BadCall, match="state `time_zone`"):
        enqueue.enqueue(business_id=acme, to_number=nowhere)
    world.do("update business set window_id = null")
    assert enqueue.enqueue(business_id=acme, to_number=nowhere).created


def test_a_zone_that_a_longer_prefix_takes_away_is_missed(world: World, acme: int, written: Written) -> None:
    world.do(
        "with hours as (insert into calling_window (name, hours) values ('always', '{[0,10080)}') returning id)"
        " update business set window_id = hours.id from hours"
    )
    world.do("insert into phone_zone (prefix, zones) values ('972501234', '{}'), ('88161234', '{UTC}')")
    world.do("insert into destination (place, allowed) values ('+8816', true)")
    file = written("to\n+972501234567\n+972501244667\n+881612345678\n+881612355678\n")

    report = import_calls(file, business_id=acme)

    assert [line for line, _ in report.rejected_lines] == [2, 5]


# Files as spreadsheets write them.


def test_a_file_in_hebrew_is_read_whatever_the_spreadsheet_made_of_it(
    world: World, acme: int, written: Written
) -> None:
    world.do("update business set default_region = 'IL'")
    rows = [["נייד", "שם", "שעה", "מפתח"], ["050-1234567", "דנה כהן", "2032-11-30T09:00", "א1"]]
    ways = [
        (encoding, delimiter, said)
        for encoding, said in (
            ("utf-8", "UTF-8"),
            ("utf-8-sig", "UTF-8"),
            ("utf-16", "UTF-16"),
            ("cp1255", "windows-1255"),
        )
        for delimiter in ",;\t"
    ]

    for encoding, delimiter, said in ways:
        world.do("delete from call_log")
        text = "".join(delimiter.join(row) + "\r\n" for row in rows)
        report = import_calls(written(text.encode(encoding)), business_id=acme, batch=f"{encoding} {delimiter!r}")

        assert (counts(report), report.encoding) == ((1, 0, 0), said), (encoding, delimiter, report)
        call = world.rows("select to_number, contact, idempotency_key from call_log")[0]
        assert call == ("+972501234567", {"שם": "דנה כהן"}, "א1"), (encoding, delimiter)


def test_a_spreadsheet_s_own_first_line_is_no_header(world: World, acme: int, written: Written) -> None:
    report = import_calls(written(f"sep=;\r\nto;name\r\n{TO};Dana\r\nx;Al\r\n"), business_id=acme)

    assert counts(report) == (1, 0, 1)
    assert report.rejected_lines[0][0] == 4


def test_other_languages_of_one_byte_a_letter_are_not_read_as_hebrew(world: World, acme: int, written: Written) -> None:
    for name, encoding in (
        ("José Ibáñez", "cp1252"),
        ("Jürgen Müller", "latin-1"),
        ("Иванов", "cp1251"),
        ("Παπαδόπουλος", "cp1253"),
        ("محمد", "cp1256"),
    ):
        report = import_calls(written(f"to,name\n{TO},{name}\n".encode(encoding)), business_id=acme)

        assert report.rejected_lines == [(2, "not UTF-8 text: save the file as CSV UTF-8")], name


def test_one_bad_line_does_not_turn_a_file_of_utf_8_into_another(world: World, acme: int, written: Written) -> None:
    content = f"to,name\n{TO},דנה\n".encode() + b"+15005550102,\xe0\xe1\n" + "+15005550103,רון\n".encode()

    report = import_calls(written(content), business_id=acme)

    assert (counts(report), report.rejected_lines) == ((2, 0, 1), [(3, "not UTF-8 text: save the file as CSV UTF-8")])
    assert world.rows("select contact ->> 'name' from call_log order by to_number") == [("דנה",), ("רון",)]


def test_a_number_that_was_saved_as_a_formula_is_that_number(world: World, acme: int, written: Written) -> None:
    world.do("update business set default_region = 'IL'")
    file = written('to,name\n="0501234567",a\n"=""0501234568""",b\n')

    assert counts(import_calls(file, business_id=acme)) == (2, 0, 0)
    assert world.rows("select to_number from call_log order by 1") == [("+972501234567",), ("+972501234568",)]


def test_a_line_of_ten_megabytes_is_refused_and_the_rest_goes_on(world: World, acme: int, written: Written) -> None:
    huge = b"x" * 10_000_000
    file = written(b"to,name\n" + huge + b"\n" + TO.encode() + b',"' + huge + b'"\n+15005550102,b\n')

    tracemalloc.start()
    report = import_calls(file, business_id=acme)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert counts(report) == (1, 0, 2)
    assert [line for line, _ in report.rejected_lines] == [2, 3]
    assert peak < 8_000_000


def test_a_row_of_many_lines_in_quotes_ends_somewhere(world: World, acme: int, written: Written) -> None:
    file = written(f"to,name\n{TO}" + ',"a\n"' * ROW_MAX)

    report = import_calls(file, business_id=acme)

    assert report.created == 0
    assert report.rejected > ROW_MAX / 10
    assert "were read as one" in report.rejected_lines[0][1]


def test_the_memory_does_not_grow_with_the_file(
    world: World, acme: int, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 500)  # both files have more than one

    def peak(rows: int) -> int:
        file = written("to,business,name\n" + "".join(f"x{n},{n},n{n}\n" for n in range(rows)))
        tracemalloc.start()
        import_calls(file, business_id=acme, anyway=True)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    small, large = peak(2_500), peak(7_500)

    assert large < small + 500_000, "more than 100 bytes of each row are kept"


# Whatever a file holds.

# Texts that come near to something, and any text at all.
NUMBERS = st.sampled_from([TO, "+15005550102", "050-1234567", "+49110", "+4911111111111111", "12", "", "0501234567.0"])
CELLS = st.one_of(
    NUMBERS,
    st.sampled_from(["1", "2", "4711", "2032-11-30T09:00", "2026-11-30T09:00+23:59", "9999-12-31", OTHER, " ", "\0"]),
    st.text(st.characters(codec="utf-8"), max_size=20),
)
ANY_FILE = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@ANY_FILE
@given(rows=st.lists(st.lists(CELLS, min_size=1, max_size=7), max_size=12))
def test_every_row_of_any_file_is_created_or_there_already_or_rejected(
    rows: list[list[str]], world: World, acme: int, tmp_path: Path
) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["to", "from", "at", "key", "business"], *rows])
    (tmp_path / "any.csv").write_bytes(text.getvalue().encode())
    before = world.value("select count(*) from call_log")

    report = import_calls(tmp_path / "any.csv", business_id=acme, anyway=True)

    assert sum(counts(report)) + report.duplicates == sum(
        any(plain_text.cell(cell).strip() for cell in row) for row in rows
    )
    assert world.value("select count(*) from call_log") - before == report.created
    assert len(report.rejected_lines) == report.rejected


@ANY_FILE
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.text(st.sampled_from('to,"\n\r\0+15005\ufeff\x85\u2028x'), max_size=60).map(str.encode),
    ),
    headed=st.booleans(),
)
def test_no_file_whatever_its_bytes_breaks_an_import(
    content: bytes, headed: bool, world: World, acme: int, tmp_path: Path
) -> None:
    (tmp_path / "any.csv").write_bytes(b"to,key\n" * headed + content)
    before = world.value("select count(*) from call_log")

    try:
        report = import_calls(tmp_path / "any.csv", business_id=acme, anyway=True)
    except BadFile:
        assert not headed or content.startswith(b"\xff")
        return

    assert world.value("select count(*) from call_log") - before == report.created


@pytest.mark.parametrize(
    ("to", "time_zone", "hour", "understood"),
    [
        ("+12125550101", None, 14, "Mon 2032-01-05 09:00 America/New_York"),  # the number tells
        ("+12125550101", "America/Los_Angeles", 17, "Mon 2032-01-05 09:00 America/Los_Angeles"),  # who knows better
        ("+18005550101", None, 7, "Mon 2032-01-05 09:00 Asia/Jerusalem"),  # of many zones: the business's
    ],
)
def test_nine_o_clock_is_by_the_callees_clocks_where_they_are_known(
    world: World, acme: int, written: Written, to: str, time_zone: str | None, hour: int, understood: str
) -> None:
    world.do("update business set time_zone = 'Asia/Jerusalem', default_region = 'US'")
    nine = datetime(2032, 1, 5, hour, tzinfo=UTC)

    one = enqueue.enqueue(business_id=acme, to_number=to, due_at="2032-01-05T09:00", time_zone=time_zone)
    exact = enqueue.enqueue(business_id=acme, to_number=to, due_at=nine, key="exact", time_zone=time_zone)
    world.do("update call_log set status = 'canceled'")
    report = import_calls(written(f"to,at,time_zone\n{to},2032-01-05 09:00,{time_zone or ''}\n"), business_id=acme)

    assert f"`at` in line 2, 2032-01-05 09:00, is {understood}" in report.readings()[-1]
    assert (one.due, exact.due) == (understood, None)  # the second is the first
    assert world.rows("select due_at from call_log order by id") == [(nine,), (nine,)]


def test_a_moment_that_is_past_is_said_to_be(world: World, acme: int) -> None:
    now = datetime.now(UTC)
    past, just = now - timedelta(hours=1), now - timedelta(seconds=5)
    calls = [{"to_number": f"+1500555020{n}", "due_at": at} for n, at in enumerate((past, just, None, str(past)))]

    made = enqueue.enqueue(business_id=acme, to_number=TO, due_at=past)
    with db.connect() as connection:
        many = outbound.enqueue_calls(connection, calls, business_id=acme)

    assert made.note == "`at` is past: the call is due at once"
    assert made.due is not None
    assert [call.note for call in many if isinstance(call, EnqueuedCall)] == [
        "`due_at` is past: the call is due at once",
        None,
        None,
        "`due_at` is past: the call is due at once",
    ]


def test_a_call_that_is_under_way_is_said_to_be_whatever_moment_is_given(world: World, acme: int) -> None:
    call_id = world.initiated(acme)

    later = enqueue.enqueue(business_id=acme, to_number=TO, due_at=datetime.now(UTC) + timedelta(days=1))

    assert (later.call_id, later.note) == (call_id, "the call is under way already")


def test_a_campaign_that_never_ends_takes_a_call_for_later(world: World, acme: int) -> None:
    """`infinity` is no moment that Python reads."""
    campaign_id = world.value(
        "insert into campaign (business_id, name, ends_at) values (%s, 'x', 'infinity') returning id", acme
    )

    later = datetime.now(UTC) + timedelta(days=1)
    assert enqueue.enqueue(campaign_id=campaign_id, to_number=TO, due_at=later).created


def test_an_error_of_a_connection_of_ours_stays_the_drivers_so_that_a_database_away_is_no_wrong_request(
    acme: int,
) -> None:
    with db.connect() as connection:
        connection.execute("set default_transaction_read_only = on")
        with pytest.raises(db.Unavailable):
            enqueue.enqueue_call(connection, business_id=acme, to_number=TO)
