"""An import that cannot ring twice: named batches, the look back, dry runs, and files that are wrong as a whole."""

import io
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pytest

from outbound import BadFile, db, import_calls
from outbound.calls import enqueue, person, retention
from outbound.calls import import_calls as importing
from outbound.calls.import_report import CallsReport
from outbound.calls.wrong_file import WrongFile
from outbound.rules import business, campaign
from tests import forked
from tests.conftest import World, until

pytestmark = pytest.mark.rows_only

OWN = "+15005550006"
ONE, TWO, THREE = "+15005550101", "+15005550102", "+15005550103"
Import = Callable[..., CallsReport]


@pytest.fixture
def acme(world: World) -> int:
    found = world.business("Acme", OWN)
    world.do("update business set default_region = 'US' where id = %s", found)
    return found


@pytest.fixture
def imported(tmp_path: Path, acme: int) -> Import:
    """Imports a text as a file of a name, for Acme."""

    def run(text: str | bytes, name: str = "calls.csv", **options: Any) -> CallsReport:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return import_calls(path, **({"business_id": acme} | options))

    return run


def call_all(world: World, status: str = "completed", hours: int = 1) -> None:
    """All calls were dialed so long ago, and ended so."""
    dialed = None if status == "canceled" else f"{hours} hours"
    world.do(
        "update call_log set status = %s, dialed_at = now() - %s::interval, ended_at = now() - %s::interval,"
        " overdue_at = null where status = 'queued'",
        status,
        dialed,
        f"{hours} hours",
    )


def waiting(world: World) -> list[str]:
    return [row[0] for row in world.rows("select to_number from call_log where status = 'queued' order by 1")]


def split(report: CallsReport) -> dict[str, int]:
    return {
        "queued": report.created,
        "lately": report.called_lately,
        "refused": report.rejected,
        "twice": report.duplicates,
    } | {state: count for state, count in report.there.items() if count}


def only(**counts: int) -> dict[str, int]:
    return dict.fromkeys(("queued", "lately", "refused", "twice"), 0) | counts


# The telephones that a batch has reached.


def test_the_corrected_file_rings_only_who_was_refused(world: World, imported: Import) -> None:
    first = imported(f"to,key,at\n{ONE},a,\n{TWO},,\n50055,c,\n")
    call_all(world, hours=200)  # longer ago than anybody looks back

    corrected = f"to,key,at,name\n{ONE},other key,2032-11-30T09:00,Dana\n{TWO},new key,,\n{THREE},c,,\n"
    dry = imported(corrected, dry_run=True)
    second = imported(corrected)

    assert split(first) == only(queued=2, refused=1)
    assert split(dry) == split(second) == only(queued=1, done=2)
    assert waiting(world) == [THREE]
    assert split(imported(corrected, batch="NEW")) == only(queued=2, waiting=1)


@pytest.mark.parametrize("status", ["completed", "busy", "no-answer", "failed", "canceled"])
def test_whatever_became_of_the_call_its_batch_does_not_ring_again(world: World, imported: Import, status: str) -> None:
    imported(f"to,key\n{ONE},a\n")
    call_all(world, status, hours=100)

    report = imported(f"to\n{ONE}\n", again=True)

    assert waiting(world) == []
    state = "canceled" if status == "canceled" else "done"
    assert split(report) == only(**{state: 1})
    told = " ".join(report.outcome())
    assert ("nothing will be dialed; --batch NEW calls them again" in told) == (status == "canceled")
    assert report.summary() == f"0 queued, 1 there already (1 {state}), 0 refused"


def test_a_batch_is_its_campaign_s_or_its_business_s_and_a_copy_of_the_file_is_the_same(
    world: World, acme: int, imported: Import
) -> None:
    spring = campaign.add(acme, {"name": "spring"}, actor="ann")
    imported(f"to\n{ONE}\n")
    call_all(world, hours=100)

    assert split(imported(f"to\n{ONE}\n", campaign_id=spring)) == only(queued=1)  # another list of the same name
    call_all(world, hours=100)
    copy = imported(f"to\n{ONE}\n", name="calls (1).csv")
    assert split(copy) == only(done=1)
    assert (copy.batch, copy.same_content) == ("calls.csv", True)
    assert split(imported(f"to\n{ONE}\n", name="calls (1).csv", batch="calls (1).csv")) == only(queued=1)


def test_who_was_reached_by_a_call_that_is_deleted_by_now_is_not_rung_again(
    world: World, acme: int, imported: Import
) -> None:
    text = f"to,key\n{ONE},a\n{TWO},\n"
    imported(text)
    call_all(world, hours=24 * 40)
    world.do("update call_log set created_at = now() - interval '40 days'")
    assert retention.purge(30).calls == 2

    dry, report = imported(text, dry_run=True), imported(text)

    assert split(dry) == split(report) == only(done=2)
    assert waiting(world) == []
    # The hash is of the telephone, whichever way it is written, and goes with the person.
    assert len(person.show(ONE)["known"]["batch_reached"]) == 1
    assert person.forget(ONE, actor="ann")["deleted"]["batch_reached"] == 1
    assert split(imported(text)) == only(done=1, refused=1)
    # What nobody imports any more is forgotten, hashes first.
    world.do("update batch set imported_at = now() - interval '40 days'")
    assert retention.purge_rest("batches", 30) == 2
    assert world.value("select count(*) from batch") == 0


def test_somebody_forgotten_leaves_no_hash_to_the_batch_and_no_number_in_its_name(
    world: World, acme: int, imported: Import
) -> None:
    for name in ("list of +15005550101.csv", "list of (500) 555-0101.csv"):
        imported(f"to\n{ONE}\n", batch=name)
    call_all(world)

    person.forget(ONE, actor="ann")

    assert world.value("select count(*) from batch_reached") == 0
    assert sorted(world.rows("select name from batch")) == [("forgotten:1",), ("forgotten:2",)]
    assert split(imported(f"to\n{ONE}\n")) == only(refused=1)


def test_a_further_attempt_is_of_its_batch_and_waits(world: World, acme: int, imported: Import) -> None:
    imported(f"to\n{ONE}\n")
    call_all(world, "no-answer")
    world.do(
        "insert into call_log (business_id, from_number, to_number, retry_of, attempt, batch_id, due_at)"
        " select business_id, from_number, to_number, id, 2, batch_id, now() + interval '1 hour' from call_log"
    )

    assert split(imported(f"to,at\n{ONE},\n")) == only(waiting=1)


def test_two_imports_of_one_batch_at_once_call_each_number_once(world: World, acme: int, tmp_path: Path) -> None:
    numbers = [f"+1201{2_000_000 + n}" for n in range(2500)]
    for folder, lines in (("a", numbers), ("b", list(reversed(numbers)))):
        (tmp_path / folder).mkdir()
        keyed = [f"{number},{folder}{number}" for number in lines]  # no key is twice
        (tmp_path / folder / "calls.csv").write_text("\n".join(["to,key", *keyed]))
    reports: list[CallsReport] = []

    threads = [
        threading.Thread(
            target=lambda name=name: reports.append(import_calls(tmp_path / name / "calls.csv", business_id=acme))
        )
        for name in ("a", "b")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sum(report.created for report in reports) == len(numbers)
    assert sum(report.already_there for report in reports) == len(numbers)
    assert world.value("select count(*) from call_log") == world.value("select count(distinct to_number) from call_log")
    assert world.value("select count(*) from batch") == 1


def test_an_import_waits_for_its_twin_that_is_not_committed_and_adds_nothing(
    world: World, acme: int, imported: Import
) -> None:
    imported(f"to\n{TWO}\n")
    reports: list[CallsReport] = []
    with db.connect() as twin:
        twin.autocommit = False
        twin.execute(
            "insert into call_log (business_id, from_number, to_number, batch_id, status, ended_at)"  # noqa: S608
            f" select {acme}, '{OWN}', '{ONE}', id, 'completed', now() from batch".encode()
        )
        thread = threading.Thread(target=lambda: reports.append(imported(f"to\n{ONE}\n{TWO}\n")))
        thread.start()
        until(lambda: world.value("select count(*) from pg_locks where not granted") == 1)
        twin.commit()
    thread.join(20)

    assert [split(report) for report in reports] == [only(done=1, waiting=1)]


@contextmanager
def uncommitted(number: str, business_id: int) -> Iterator[None]:
    """Another transaction writes a call of a telephone, and gives it up at the end of the block."""
    with db.connect() as other, other.transaction(force_rollback=True):
        other.execute(
            "insert into call_log (business_id, from_number, to_number) values (%s, %s, %s)", (business_id, OWN, number)
        )
        yield


def locks_awaited(world: World) -> int:
    return int(world.value("select count(*) from pg_locks where not granted"))


def wait_for_its_turn(world: World, imported: Import) -> None:
    """Until the first chunk waits for the other transaction, and until another import, as long as a chunk, is over."""
    until(lambda: locks_awaited(world) == 1)
    imported("to\n+15005550109\n", "other.csv")


def test_the_next_lines_are_written_while_the_first_ones_wait(
    world: World, acme: int, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 1)
    with ThreadPoolExecutor(1) as runs, uncommitted(ONE, acme):
        report = runs.submit(imported, f"to\n{ONE}\n{TWO}\n{THREE}\n")
        until(lambda: waiting(world) == [TWO])

    assert split(report.result()) == only(queued=3)


def test_of_a_number_in_two_chunks_the_first_line_is_called_also_where_the_first_chunk_waits(
    world: World, acme: int, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    with ThreadPoolExecutor(1) as runs, uncommitted(ONE, acme):
        report = runs.submit(imported, f"to,key\n{ONE},\n{TWO},first\n{TWO},second\n{THREE},\n50055,\n")
        wait_for_its_turn(world, imported)

    assert split(report.result()) == only(queued=3, twice=1, refused=1)
    assert world.value("select idempotency_key from call_log where to_number = %s", TWO) == "first"


def test_of_a_key_in_two_chunks_the_first_line_has_it_also_where_the_first_chunk_waits(
    world: World, acme: int, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 1)
    with ThreadPoolExecutor(1) as runs, uncommitted(ONE, acme):
        report = runs.submit(imported, f"to,key\n{ONE},one\n{TWO},one\n{THREE},\n")
        wait_for_its_turn(world, imported)

    assert split(report.result()) == only(queued=2, refused=1)
    assert report.result().rejected_lines == [(3, enqueue.KEY_OF_ANOTHER)]
    assert waiting(world) == [ONE, THREE, "+15005550109"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+5215512345678", "+525512345678"),
        ("+5491123456789", "+541123456789"),
        ("+551191234567", "+5511991234567"),
        ("+551161234567", "+5511961234567"),
    ],
)
def test_of_a_telephone_in_two_forms_in_two_chunks_the_first_line_is_called(
    world: World, acme: int, imported: Import, monkeypatch: pytest.MonkeyPatch, one: str, other: str
) -> None:
    """Before, the second line was, and the first was said to be waiting since an earlier import."""
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    text = f"to,key\n{ONE},\n{one},first\n{other},second\n{THREE},\n{TWO},\n"
    dry = imported(text, dry_run=True)
    with ThreadPoolExecutor(1) as runs, uncommitted(ONE, acme):
        report = runs.submit(imported, text)
        wait_for_its_turn(world, imported)

    assert split(report.result()) == split(dry) == only(queued=4, twice=1)
    assert world.rows("select to_number from call_log where idempotency_key is not null") == [(one,)]


def refuse(world: World, number: str) -> None:
    """Have the database refuse a call of a number; it counts how often."""
    world.do("create sequence refused")
    world.do(
        "create function refuses() returns trigger language plpgsql as $$begin"
        f" if new.to_number = '{number}' and nextval('refused') > 0 then raise 'odd'; end if; return new; end$$"
    )
    world.do("create trigger refuses before insert on call_log for each row execute function refuses()")


def noted(world: World) -> list[int]:
    """How many calls were made, as the last import's row and the audit have it."""
    of_audit = "(select (details ->> 'created')::int from audit where action = 'import_calls' order by id desc limit 1)"
    (row,) = world.rows(f"select created, {of_audit} from call_import order by id desc limit 1")  # noqa: S608
    return list(row)


def test_behind_a_chunk_that_is_refused_none_is_written(
    world: World, acme: int, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, the third one was, and nobody counted it."""
    monkeypatch.setattr(importing, "CHUNK_ROWS", 1)
    refuse(world, TWO)
    at_work = (
        "select count(*) from pg_stat_activity"
        " where state = 'active' and query ~ 'from queue_calls' and pid <> pg_backend_pid()"
    )
    with ThreadPoolExecutor(1) as runs, uncommitted(ONE, acme):
        report = runs.submit(imported, f"to\n{ONE}\n{TWO}\n{THREE}\n")
        until(lambda: world.value("select is_called from refused"))
        until(lambda: locks_awaited(world) == world.value(at_work) == 1)

    with pytest.raises(psycopg.errors.RaiseException):
        report.result()
    assert waiting(world) == [ONE]
    assert noted(world) == [1, 1]


def test_a_chunk_that_waits_is_given_up_where_the_one_before_is_refused(
    world: World, acme: int, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, it was waited for, up to a minute, and written, and nobody counted it."""
    monkeypatch.setattr(importing, "CHUNK_ROWS", 1)
    refuse(world, ONE)
    with uncommitted(TWO, acme), pytest.raises(psycopg.errors.RaiseException):
        imported(f"to\n{ONE}\n{TWO}\n{THREE}\n")

    assert waiting(world) == []
    assert noted(world) == [0, 0]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_import_that_waits_ends_at_once_when_it_is_interrupted(
    world: World, acme: int, tmp_path: Path, end: signal.Signals
) -> None:
    """Before, it waited for what had begun to be written, up to a minute."""
    path = tmp_path / "calls.csv"
    rest = "".join(f"+1201{2_000_000 + n}\n" for n in range(importing.CHUNK_ROWS * 2))
    path.write_text(f"to\n{ONE}\n{rest}")
    configured = {"DATABASE_URL": world.url, "REDIS_URL": "memory://", "OUTBOUND_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-m", "outbound", "import", str(path), "--business", str(acme)]
    with uncommitted(ONE, acme):
        process = forked.Popen(command, env=os.environ | configured, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        with process:
            until(lambda: locks_awaited(world) == 1 and len(waiting(world)) == importing.CHUNK_ROWS)
            process.send_signal(end)
            said, _ = process.communicate(timeout=15)

    assert process.returncode == 128 + end, said
    assert len(waiting(world)) == importing.CHUNK_ROWS
    assert noted(world) == [importing.CHUNK_ROWS] * 2


def test_an_import_killed_half_way_counts_what_is_there_and_is_repeated_also_with_other_keys(
    world: World, acme: int, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 1)
    text = f"to,key\n{ONE},a\n{TWO},b\n{THREE},c\n"

    def kill(_: int) -> None:
        until(lambda: waiting(world) == [ONE, TWO])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imported(text, progress=kill)
    assert noted(world) == [2, 2]
    call_all(world, hours=100)

    assert split(imported(text.replace(",", ",x"))) == only(queued=1, done=2)


# Numbers that were called lately.


def test_who_was_called_lately_by_anything_of_the_business_is_held_out_and_listed(
    world: World, acme: int, imported: Import
) -> None:
    enqueue.enqueue(business_id=acme, to_number=ONE)
    call_all(world, hours=23)
    enqueue.enqueue(business_id=acme, to_number=TWO)
    call_all(world, hours=25)
    other = world.business("Other", "+15005550007")
    enqueue.enqueue(business_id=other, to_number=THREE)
    call_all(world)
    text = f"to\n{ONE}\n{TWO}\n{THREE}\n"

    dry, report = imported(text, dry_run=True), imported(text)

    assert split(dry) == split(report) == only(queued=2, lately=1)
    assert waiting(world) == [TWO, THREE]
    ((line, when),) = report.lately_lines
    assert line == 2
    assert when.startswith("was called ")
    assert when.endswith("UTC, call 1")
    assert "1 called lately are held out: --again takes them" in report.outcome()
    assert report.summary() == "2 queued, 0 there already, 1 called lately, 0 refused"
    assert split(imported(text, again=True)) == only(queued=1, waiting=2)


def test_each_business_says_how_far_it_looks_back(world: World, acme: int, imported: Import) -> None:
    business.change(acme, look_back_hours=48)
    enqueue.enqueue(business_id=acme, to_number=ONE)
    call_all(world, hours=47)

    assert split(imported(f"to\n{ONE}\n")) == only(lately=1)
    business.change(acme, look_back_hours=0)
    assert split(imported(f"to\n{ONE}\n")) == only(queued=1)
    for hours in (-1, 169):
        with pytest.raises(business.BadBusiness, match="looks back 0 to 168 hours"):
            business.change(acme, look_back_hours=hours)


# What is there already, and what would come of it.


def test_the_report_says_who_waits_is_in_the_air_done_or_canceled_and_whose_time_is_ignored(
    world: World, acme: int, imported: Import
) -> None:
    numbers = [f"+1500555011{n}" for n in range(6)]
    imported("to,at\n" + "".join(f"{number},2032-03-01T09:00\n" for number in numbers))
    states = ("queued", "queued", "claimed", "ringing", "completed", "canceled")
    for number, status in zip(numbers, states, strict=True):
        world.do("update call_log set status = %s, overdue_at = now() where to_number = %s", status, number)
    text = "to,at\n" + "".join(f"{number},2032-03-0{2 - (n == 0)}T09:00\n" for n, number in enumerate(numbers))

    dry, report = imported(text, dry_run=True), imported(text)

    assert split(dry) == split(report) == only(waiting=3, done=1, canceled=1) | {"in the air": 1}
    assert report.remarks == [(3, "waits for Mon 2032-03-01 09:00 UTC: the other time in the file is ignored")]
    assert report.as_json()["there"] == {"waiting": 3, "in_the_air": 1, "done": 1, "canceled": 1}
    assert (report.keeping_time, report.already_there) == (1, 6)


def test_a_dry_run_says_the_same_and_writes_nothing(
    world: World, acme: int, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    text = (
        f"to,key\n{ONE},a\n+1 500 555 0101,\n{TWO},a\n{THREE},c\n{THREE},c\n50055,\n{OWN},\n"
        "+541123456789,\n+5491123456789,\n+15005550104,\n+15005550104,\n"
    )

    dry = imported(text, dry_run=True)

    tables = ("call_log", "batch", "audit", "audit_change where scope = 'batch'")
    assert [world.value(f"select count(*) from {table}") for table in tables] == [0, 0, 0, 0]  # noqa: S608
    assert dry.summary().startswith("4 would be queued, 0 there already, 4 twice")
    real = imported(text)
    assert split(dry) == split(real) == only(queued=4, twice=4, refused=3)
    assert dry.rejected_lines == real.rejected_lines


# A file that is wrong as a whole.


@pytest.mark.parametrize(
    ("region", "lines", "why"),
    [
        ("US", "050-1234{n:03}", "40 of 40 numbers are not valid in US: is the region right?"),
        (None, "050-1234{n:03}", "40 of 40 numbers are not valid without a country code, and business 1 has no region"),
        ("US", "9.72501E+11", "40 of 40 lines are refused.  *  Most: `to` was rounded by a spreadsheet"),
        ("US", "+972501234{n:03}", "40 of 40 numbers may not be called.  *  Most: `to` may not be called"),
        ("US", "201-200-0{n:03},soon", "40 of 40 lines are refused.  *  Most: `at` is not a date and time"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_stops_before_anything_is_queued(
    world: World, acme: int, imported: Import, region: str | None, lines: str, why: str
) -> None:
    world.do("update business set default_region = %s", region)
    world.do("insert into destination (place, allowed) values ('IL', false)")
    text = "to,at\n" + "".join(lines.format(n=n) + "\n" for n in range(40)) + f"{ONE},\n" * (region is None)

    for dry_run in (True, False):
        with pytest.raises(WrongFile) as refusal:
            imported(text, dry_run=dry_run)
        said = str(refusal.value)
        parts = why.replace("of 40", "of 41" if region is None and "of 41" in said else "of 40").split("*")
        assert all(part in said for part in parts), said
        assert ".." not in said
        assert "--anyway" in said
    assert waiting(world) == []
    assert world.value("select count(*) from batch") == 0

    assert imported(text, anyway=True).rejected == 40


@pytest.mark.parametrize("column", ["date", "Date/Time", "תאריך", "Scheduled"])
def test_a_file_whose_moments_nothing_would_wait_for_stops_before_anybody_is_called_at_once(
    world: World, imported: Import, column: str
) -> None:
    """Before: `30/11/2026 10:00` under `תאריך` was a field of the contact, and the call was made at that moment."""
    to_come = f"30/11/{datetime.now(UTC).year + 1} 10:00"
    text = f"to,name,{column}\n{ONE},Dana,\n{TWO},Noa,{to_come}\n"

    with pytest.raises(WrongFile, match=r"holds moments to come, like .* in line 3, .* name that column `at`"):
        imported(text)
    assert waiting(world) == []

    assert imported(text, anyway=True).created == 2


@pytest.mark.parametrize(
    "text",
    [
        f"to,date\n{ONE},1984-03-02\n{TWO},30/11/2021 10:00\n",
        f"to,date,at\n{ONE},2099-01-01,\n",
        f"to,appointment\n{ONE},2099-01-01 10:00\n",
        f"to,date\n{ONE},soon\n",
    ],
)
def test_a_date_that_is_of_something_else_is_a_field_of_the_contact(imported: Import, text: str) -> None:
    assert imported(text).rejected == 0


@pytest.mark.parametrize("column", ["Call time", "scheduled_at", "מועד שיחה", "תאריך ושעת שיחה"])
def test_a_column_that_says_when_to_call_is_read(world: World, imported: Import, column: str) -> None:
    imported(f"to,{column}\n{ONE},{datetime.now(UTC).year + 1}-01-01T10:00Z\n")

    assert world.value("select due_at > now() from call_log")


def test_some_bad_lines_or_people_without_a_number_do_not_stop_a_file(world: World, imported: Import) -> None:
    some = "to\n" + "12\n" * 7 + "".join(f"{ONE[:-1]}{n}\n" for n in range(3))
    few = f"to,name\n+15005550111,\n{',nobody' * 1}\n" + ",nobody\n" * 40

    assert split(imported(some)) == only(queued=3, refused=7)
    assert imported(few, name="few.csv").created == 1


# Standard input, workbooks and dates.


def test_standard_input_must_be_given_the_name_of_its_batch(
    world: World, acme: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pipe(text: str, batch: str | None) -> CallsReport:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return import_calls(Path("-"), business_id=acme, batch=batch)

    with pytest.raises(BadFile, match="give --batch NAME, and the same one"):
        pipe(f"to\n{ONE}\n", None)
    assert split(pipe(f"to\n{ONE}\n", "may")) == only(queued=1)
    call_all(world, hours=100)
    assert split(pipe(f"to,name\n{ONE},Dana\n{TWO},Al\n", "may")) == only(queued=1, done=1)


def workbook(rows: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_a_workbook_is_read_as_its_rows_say(world: World, acme: int, imported: Import) -> None:
    world.do("update business set time_zone = 'Asia/Jerusalem', default_region = 'IL'")
    nine = datetime(2032, 11, 30, 9, 0)  # noqa: DTZ001 (a cell has no zone)
    content = workbook(
        [
            ["Calls of Monday"],
            [],
            ["Name", "נייד", "at", "age"],
            ["Dana\nLevi", 501234567, nine, 7.0],
            ["Al", "050-1234568", datetime(2032, 11, 30), True],  # noqa: DTZ001
            ["Bo", 972501234569.0, time(9, 0), 1.5],
            [None, None, None],
            ["Ed", "+972501234570", None, None],
        ]
    )

    report = imported(content, name="calls.xlsx")

    assert (report.created, [line for line, _ in report.rejected_lines]) == (2, [5, 6])
    assert "is a date without a time" in report.rejected_lines[0][1]
    assert report.sheet == "read from the sheet `Sheet`"
    first, second = world.rows("select to_number, due_at, contact from call_log order by 1")
    assert first[:2] == ("+972501234567", datetime(2032, 11, 30, 7, 0, tzinfo=UTC))
    assert first[2] == {"name": "Dana Levi", "age": "7"}
    assert second[0] == "+972501234570"


@pytest.mark.parametrize("kind", ["far cell", "far row", "huge part", "no workbook", "cut short", "empty", "hidden"])
def test_a_workbook_of_a_few_bytes_takes_no_more_than_its_bounds(
    world: World, acme: int, imported: Import, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = workbook([] if kind == "empty" else [["to"], [ONE]])
    far = {"far cell": ('r="A2"', 'r="XFD1"'), "far row": ('<row r="2"', '<row r="99999999999"')}
    if kind in far:
        content = rewritten(content, "xl/worksheets/sheet1.xml", *far[kind])
    elif kind == "hidden":
        content = rewritten(content, "xl/workbook.xml", 'state="visible"', 'state="hidden"')
    elif kind == "huge part":
        content = rewritten(content, "xl/workbook.xml", "</workbook>", "</workbook>" + " " * (257 << 20))
    elif kind == "no workbook":
        content = rewritten(content, "xl/workbook.xml", "<workbook", "<nothing")
    elif kind == "cut short":
        content = content[:-2000]
    if kind == "far cell":
        assert imported(content, name="calls.xlsx").created <= 1
        return
    with pytest.raises(BadFile, match="calls"):
        imported(content, name="calls.xlsx")
    assert waiting(world) == []


def rewritten(content: bytes, part: str, text: str, by: str) -> bytes:
    """A workbook, another text in one of its parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            data = before.read(name)
            after.writestr(name, data.replace(text.encode(), by.encode()) if name == part else data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("region", "text", "day"),
    [
        ("IL", "11/12/2032 09:00", "2032-12-11"),
        ("DE", "11.12.32 9:00", "2032-12-11"),
        ("US", "11/12/2032 9:00 AM", "2032-11-12"),
        ("US", "11/12/32 9:00", "2032-11-12"),
        ("CA", "11/12/2032 09:00", None),
        (None, "11/12/2032 09:00", None),
        ("CA", "12-Nov-2032 9:00", "2032-11-12"),
        (None, "Nov 12, 2032 9:00 AM", "2032-11-12"),
        ("IL", "26-11-12 09:00", None),
    ],
)
def test_a_date_is_read_in_the_order_of_the_business_and_said(
    world: World, acme: int, imported: Import, region: str | None, text: str, day: str | None
) -> None:
    world.do("update business set default_region = %s", region)

    report = imported(f'to,at\n{ONE},"{text}"\n')

    due = [row[0] for row in world.rows("select due_at from call_log")]
    assert due == ([datetime.fromisoformat(f"{day}T09:00+00:00")] if day else [])
    doubtful = day is not None and text[:2].isdecimal() and "N" not in text
    assert len(report.dates) == doubtful
    if doubtful:
        order = "month" if region == "US" else "day"
        assert report.dates[0].startswith(f"dates are read {order} first, as in {region}: {text} is ")
        assert f"{day} 09:00 UTC" in report.dates[0]


def test_a_file_that_has_the_other_order_elsewhere_is_not_guessed(world: World, acme: int, imported: Import) -> None:
    report = imported(f"to,at\n{ONE},11/12/2032 09:00\n{TWO},30/11/2032 09:00\n{THREE},11/30/2032 09:00\n")

    assert waiting(world) == [TWO, THREE]
    ((line, why),) = report.rejected_lines
    assert line == 2
    assert "US has the month first, and line 3 the day" in why
