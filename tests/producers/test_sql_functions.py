"""enqueue_call and its like in SQL: what is read there, Python reads the same, and the rest is refused."""

import itertools
import json
import os
import re
import subprocess
import unicodedata
import uuid
import zoneinfo
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import phonenumbers
import psycopg
import pytest

import outbound
from outbound import db
from outbound.calls import call_request
from outbound.database import postgres_tools
from outbound.formats import moments, phone_numbers, plain_text, time_zones
from tests.conftest import Servers, World, open_database, until

OWN, TO = "+15005550006", "+15005550101"
TWIML = "<Response><Say>{{name}}</Say></Response>"


@pytest.fixture
def acme(world: World) -> int:
    world.simulated()
    return world.business("Acme", OWN)


@pytest.fixture(scope="module")
def unchanged(servers: Servers, template: str) -> Iterator[World]:
    """One world for all that only reads: business 1, with OWN."""
    with open_database(servers, template) as url:
        world = World(url)
        world.simulated()
        world.business("Acme", OWN)
        world.do("update business set twiml = %s, time_zone = 'Asia/Jerusalem', default_region = 'IL'", TWIML)
        yield world
        world.connection.close()


def asked(world: World, function: str, *given: Any) -> Any:
    values = [json.dumps(one) if isinstance(one, dict | list) else one for one in given]
    return world.value(f"select {function}({', '.join(['%s'] * len(given))})", *values)


# What it does.


@pytest.mark.parametrize("is_terse", [False, True])
def test_a_row_that_breaks_a_constraint_is_in_logs_unless_they_are_terse_and_in_no_fault(
    world: World, acme: int, *, is_terse: bool
) -> None:
    number = f"0{uuid.uuid4().int % 10**12:012}"  # which nothing else in the log has
    insert = "insert into call_log (business_id, from_number, to_number) values (:acme, :'own', :'number');"
    verbosity, least = ("terse", "panic") if is_terse else ("default", "error")
    given = [f"--set={name}" for name in (f"acme={acme}", f"own={OWN}", f"number={number}", f"VERBOSITY={verbosity}")]
    psql = [str(postgres_tools.tool_path("psql")), "-X", *given, world.url]
    options = f"-c log_error_verbosity={verbosity} -c log_min_error_statement={least}"
    failed = subprocess.run(
        psql, input=insert, env=os.environ | {"PGOPTIONS": options}, capture_output=True, text=True, check=True
    )
    server_log = Path(world.value("show data_directory")).parent / "postgres.log"

    assert "violates check constraint" in failed.stderr
    assert (number in failed.stderr) is (number in server_log.read_text(errors="replace")) is not is_terse
    assert number not in asked(world, "enqueue_call", {"business_id": acme, "to_number": number})["fault"]


def test_calls_are_planned_once_in_a_session(world: World, acme: int) -> None:
    """Each call had plans of its own, for its arrays of one, which took three quarters of its processor time."""
    plans: list[str] = []
    with psycopg.connect(world.url, autocommit=True) as connection:
        queue = [f"+1500555{place:04}" for place in range(200, 220)]
        for place, to in enumerate(queue):
            if place == len(queue) - 1:
                connection.execute("set client_min_messages = log")
                connection.execute("set debug_print_plan = on")
                connection.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
            call = json.dumps({"business_id": acme, "to_number": to})
            assert connection.execute("select (enqueue_call(%s))->'created'", [call]).fetchone() == (True,)

    assert plans == []


def test_a_call_is_queued_by_the_commit_and_the_dispatchers_are_woken(world: World, acme: int) -> None:
    call = {"business_id": acme, "to_number": TO, "key": "k", "contact": {"Name": "דנה"}, "time_zone": "Asia/Tokyo"}
    with db.connect() as dispatcher, psycopg.connect(world.url) as connection:
        db.listen(dispatcher, "outbound_due")
        (answer,) = connection.execute("select enqueue_call(%s)", [json.dumps(call)]).fetchone() or ()
        woken_early = db.wait_for_notice(dispatcher, 0.05)
        connection.commit()
        assert db.wait_for_notice(dispatcher, 5)

    row = world.call(answer["call_id"])
    assert (answer["created"], answer["status"], woken_early) == (True, "queued", False)
    assert (row.to_number, row.from_number, row.idempotency_key) == (TO, OWN, "k")
    assert (row.contact, row.time_zone, row.status) == ({"name": "דנה"}, "Asia/Tokyo", "queued")


def test_python_and_sql_answer_the_same_of_the_same_calls(world: World, acme: int) -> None:
    year = datetime.now(UTC).year + 1
    calls: list[dict[str, Any]] = [
        {"to_number": TO, "key": "a"},
        {"to_number": TO},
        {"to_number": "+15005550102", "due_at": f"{year}-01-15T09:00+02:00"},
        {"to_number": "+15005550103", "key": "a"},
        {"to_number": OWN},
        {"to_number": "+15005550104", "from_number": OWN, "contact": {"name": "Dana", "empty": ""}},
        {"to_number": "+15005550105", "due_at": f"{year - 2}-01-15T09:00+02:00"},
        {"to_number": "+15005550106", "due_at": f"{year}-01-15T09:00+02:00"},
        {"to_number": "+15005550107"},
        {"to_number": "+15005550108"},
        {"to_number": "+15005550108", "due_at": f"{year}-01-15T09:00+02:00"},
    ]
    world.initiated(acme, "+15005550106")
    world.claimed(acme, "+15005550107")
    waiting = world.queued(acme, "+15005550108")
    world.do("update call_log set due_at = now() + interval '1 day' where id = %s", waiting)

    with psycopg.connect(world.url) as connection:
        (by_sql,) = connection.execute("select enqueue_calls(%s, %s)", [json.dumps(calls), acme]).fetchone() or ()
        seen = connection.execute("select to_number, from_number, due_at, contact from call_log order by to_number")
        rows_by_sql = seen.fetchall()
        connection.rollback()
        by_python = outbound.enqueue_calls(connection, calls, business_id=acme)
        seen = connection.execute("select to_number, from_number, due_at, contact from call_log order by to_number")
        rows_by_python = seen.fetchall()

    assert "`to_number` is a number of the business itself" in by_sql[4]["fault"]
    kept = ("created", "status", "has_key", "due", "note", "place", "fault")
    said = [{name: value for name, value in vars(answer).items() if name in kept} for answer in by_python]
    notes = [answer.get("note") or "" for answer in by_sql]
    assert [bool(note) for note in notes] == [False] * 6 + [True] * 5
    assert "is past" in notes[6]
    assert "under way" in notes[7]
    assert [{name: value for name, value in answer.items() if name in kept} for answer in by_sql] == said
    assert [row[:2] + row[3:] for row in rows_by_sql] == [row[:2] + row[3:] for row in rows_by_python]
    assert rows_by_sql[1][2] == rows_by_python[1][2]


def test_thousands_are_answered_in_the_order_given(world: World, acme: int) -> None:
    calls: list[Any] = [{"to_number": f"+1500556{n:04d}"} for n in range(3000)]
    calls[7] = {"to_number": "nobody"}
    calls[1500] = calls[3]

    answers = asked(world, "enqueue_calls", calls, acme)

    assert [place for place, answer in enumerate(answers) if "fault" in answer] == [7]
    assert (answers[1500]["created"], answers[1500]["call_id"]) == (False, answers[3]["call_id"])
    numbers = dict(world.rows("select id, to_number from call_log"))
    assert all(numbers[answers[n]["call_id"]] == calls[n]["to_number"] for n in range(3000) if n not in (7, 1500))


def test_after_a_refusal_the_transaction_goes_on(world: World, acme: int) -> None:
    with psycopg.connect(world.url) as connection:
        for wrong in ({}, {"to_number": "nobody"}, {"to_number": TO, "due_at": "2026-02-30T09:00Z"}):
            call = json.dumps({"business_id": acme} | wrong)
            (answer,) = connection.execute("select enqueue_call(%s)", [call]).fetchone() or ()
            assert list(answer) == ["fault"]
        connection.execute("select enqueue_call(%s)", [json.dumps({"business_id": acme, "to_number": TO})])

    assert world.statuses() == ["queued"]


def test_a_call_is_explained_and_canceled(world: World, acme: int) -> None:
    call_id = asked(world, "enqueue_call", {"business_id": acme, "to_number": TO})["call_id"]
    world.do("update call_log set due_at = now() + interval '1 day'")

    assert asked(world, "why", call_id)["code"] == "not_due"
    assert asked(world, "why", 4711)["code"] == "unknown_call"
    assert asked(world, "cancel_call", call_id, "she called", "Dana") == {"waiting": 1, "in_the_air": 0}
    assert asked(world, "cancel_call", call_id) == {"fault": f"call {call_id} has ended: canceled"}
    assert "no such outbound call" in asked(world, "cancel_call", 4711)["fault"]
    assert "one line" in asked(world, "cancel_call", call_id, "two\nlines")["fault"]
    assert world.rows("select action, who, details ->> 'reason' from audit") == [("cancel", "Dana", "she called")]


def test_a_call_that_waits_for_another_moment_says_so_and_is_moved(world: World, acme: int) -> None:
    year = datetime.now(UTC).year + 1
    call = {"business_id": acme, "to_number": TO}
    first = asked(world, "enqueue_call", call | {"due_at": f"{year}-01-15T09:00+02:00"})
    waits = f"the call waits for {first['due']}"

    assert first["note"] is None
    assert asked(world, "enqueue_call", call)["note"] == f"{waits} already: reschedule it to have it made now"
    other = asked(world, "enqueue_call", call | {"due_at": f"{year}-01-16T09:00+02:00"})
    assert other["note"] == f"`due_at` changes nothing: {waits} already; reschedule it to move it"
    world.do("update call_log set time_zone = 'Asia/Tokyo', held_by = 'outside_window'")
    moved = asked(world, "reschedule_call", first["call_id"], f"{year}-01-16T09:00+02:00", "she asked", "Dana")
    assert moved["due"].endswith(f"{year}-01-16 16:00 Asia/Tokyo")
    assert datetime.fromisoformat(moved["was_due_at"]) == datetime(year, 1, 15, 7, tzinfo=UTC)
    assert moved["is_paused"] is False
    assert world.rows("select held_by, due_at from call_log") == [(None, datetime(year, 1, 16, 7, tzinfo=UTC))]
    assert world.rows("select action, who, details ->> 'reason' from audit") == [("reschedule", "Dana", "she asked")]
    assert asked(world, "reschedule_call", first["call_id"], "now")["is_paused"] is False
    assert world.value("select due_at <= now() from call_log")


def test_a_call_is_not_moved_to_what_is_no_moment_to_come(world: World, acme: int) -> None:
    year = datetime.now(UTC).year
    call_id = asked(world, "enqueue_call", {"business_id": acme, "to_number": TO})["call_id"]
    ringing = world.initiated(acme, "+15005550102", "CA1")

    for at in (None, "", "soon", f"{year + 1}-01-15", f"{year + 1}-01-15T09:00"):
        assert "not a moment with an offset" in asked(world, "reschedule_call", call_id, at)["fault"], at
    assert "is past" in asked(world, "reschedule_call", call_id, f"{year - 1}-01-15T09:00Z")["fault"]
    assert "10 years ahead" in asked(world, "reschedule_call", call_id, f"{year + 12}-01-15T09:00Z")["fault"]
    assert "no such call" in asked(world, "reschedule_call", 4711, "now")["fault"]
    assert "does not wait any more: initiated" in asked(world, "reschedule_call", ringing, "now")["fault"]
    assert "one line" in asked(world, "reschedule_call", call_id, "now", "two\nlines")["fault"]
    assert world.value("select count(*) from audit") == 0


def test_a_call_that_is_due_behind_the_end_of_its_campaign_is_refused(world: World, acme: int) -> None:
    """Before, it was taken, waited for its time, and was canceled then."""
    world.do("update business set time_zone = 'Asia/Jerusalem'")
    ends = (datetime.now(UTC) + timedelta(days=1)).replace(second=0, microsecond=0)
    campaign = world.value(
        "insert into campaign (business_id, name, ends_at) values (%s, 'x', %s) returning id", acme, ends
    )
    call = {"campaign_id": campaign, "to_number": TO, "from_number": OWN, "due_at": ends.isoformat()}

    [by_sql] = asked(world, "enqueue_calls", [call])
    with psycopg.connect(world.url) as connection:
        [by_python] = outbound.enqueue_calls(connection, [call])

    begins = f"`due_at` is not before the end of campaign {campaign}, {moments.shown(ends, 'Asia/Jerusalem')}: "
    assert by_sql["fault"] == f"{begins}`outbound campaign set {campaign} --ends ...`"
    assert by_python == outbound.RefusedCall(0, f"{begins}`outbound campaign set {campaign} --ends …`")
    earlier = call | {"due_at": (ends - timedelta(minutes=1)).isoformat()}
    assert asked(world, "enqueue_calls", [earlier])[0]["created"]


def test_a_call_that_rings_is_marked_for_a_hang_up_and_one_that_is_answered_is_not(world: World, acme: int) -> None:
    ringing, talking = world.initiated(acme, TO, "CA1"), world.initiated(acme, "+15005550102", "CA2")
    world.do("update call_log set status = 'in-progress' where id = %s", talking)

    assert asked(world, "cancel_call", ringing, None, "Dana") == {"waiting": 0, "in_the_air": 1}
    assert "outbound stop call" in asked(world, "cancel_call", talking)["fault"]

    assert [world.call(call_id).hang_up for call_id in (ringing, talking)] == ["canceled", None]
    assert world.call(ringing).stopped_by == "Dana"


@contextmanager
def beside(world: World, statement: str, *values: Any) -> Iterator[psycopg.Connection]:
    """A session that has done this, and commits it once somebody waits for its lock."""
    with psycopg.connect(world.url) as other, ThreadPoolExecutor(1) as threads:
        other.execute(statement.encode(), values)

        def commit() -> None:
            waits = "select exists (select from pg_locks where not granted and pid = %s)"
            with psycopg.connect(world.url, autocommit=True) as watch:
                pid = world.connection.info.backend_pid
                until(lambda: (watch.execute(waits, [pid]).fetchone() or [False])[0])
            other.commit()

        committed = threads.submit(commit)
        yield other
        committed.result()


def test_a_call_that_comes_back_unsent_while_it_is_canceled_is_canceled(world: World, acme: int) -> None:
    call_id = world.initiated(acme, TO, call_sid=None)
    put_back = "update call_log set status = 'queued', overdue_at = null where id = %s"

    with beside(world, put_back, call_id):
        answer = asked(world, "cancel_call", call_id, None, "Dana")

    assert answer == {"waiting": 1, "in_the_air": 0}
    assert (world.call(call_id).status, world.call(call_id).stopped_by) == ("canceled", "Dana")


def test_a_call_that_two_sessions_cancel_at_once_is_canceled_by_one(world: World, acme: int) -> None:
    call_id = world.queued(acme, TO)

    with beside(world, "select cancel_call(%s, null, 'Noa')", call_id):
        answer = asked(world, "cancel_call", call_id, None, "Dana")

    assert answer == {"fault": f"call {call_id} has ended: canceled"}
    assert world.call(call_id).stopped_by == "Noa"
    assert world.rows("select who from audit where action = 'cancel'") == [("Noa",)]


def test_a_call_whose_dial_begins_while_it_is_canceled_is_ended_at_the_carrier(world: World, acme: int) -> None:
    call_id = world.claimed(acme, TO)
    begins = "update call_log set status = 'initiated', dialed_at = now(), fence = fence + 1 where id = %s"

    with beside(world, begins, call_id):
        answer = asked(world, "cancel_call", call_id, None, "Dana")

    assert answer == {"waiting": 0, "in_the_air": 1}
    assert (world.call(call_id).status, world.call(call_id).hang_up) == ("initiated", "canceled")


def test_a_call_that_is_deleted_while_it_is_canceled_is_not_there(world: World, acme: int) -> None:
    call_id = world.queued(acme, TO)
    world.do("update call_log set status = 'canceled', ended_at = now() where id = %s", call_id)

    with beside(world, "select delete_call(%s)", call_id):
        answer = asked(world, "cancel_call", call_id)

    assert answer == {"fault": "there is no such outbound call: see `outbound calls`"}
    assert world.rows("select who from audit where action = 'cancel'") == []


def test_why_says_what_to_give_where_no_id_is_given(world: World) -> None:
    answer = world.value("select why(null)")

    assert (answer["code"], answer["sentence"]) == (
        "unknown_call",
        "That is not the id of a call: `enqueue_call` returned it as `call_id`.",
    )


# Which tables they find.

# What another application, or a guest of it, may have where the session looks first.
THEIRS = [
    "create {kind} table {name} (id bigint, status text, direction text, name text, key text, time_zone text)",
    "insert into {name} values (1, 'recorded', 'outbound', 'theirs', 'k', 'UTC')",
]
TABLES = "call_log", "business", "campaign", "audit", "spend_cap", "dialing_stop", "dial_control", "former_zone"


@pytest.fixture(params=["nothing", "another schema", "temporary tables"])
def elsewhere(request: pytest.FixtureRequest, world: World) -> Iterator[World]:
    """A session that sees none of our tables, or others of the same names first."""
    world.simulated()
    world.business("Acme", OWN)
    world.do("update business set time_zone = 'Israel'")
    world.do("insert into dial_control (scope, key) values ('business', '1')")
    world.do("insert into spend_cap (scope, key, calls_per_day) values ('business', '1', 100)")
    path, kind, prefix = {
        "nothing": ("''", None, ""),
        "another schema": ("theirs, public", "", "theirs."),
        "temporary tables": ("public", "temporary", "pg_temp."),
    }[request.param]
    if prefix == "theirs.":
        world.do("create schema theirs")
    if kind is not None:
        for table in TABLES:
            for statement in THEIRS:
                world.do(statement.format(kind=kind, name=f"{prefix}{table}"))
    world.do(f"set search_path to {path}")
    yield world
    world.do("set search_path to public, pg_temp")


def test_they_find_our_tables_wherever_the_session_looks(elsewhere: World) -> None:
    call = json.dumps({"business_id": 1, "to_number": TO, "due_at": "2030-01-01T09:00Z"})
    one = elsewhere.value("select public.enqueue_call(%s)", call)
    (again,) = elsewhere.value("select public.enqueue_calls(%s)", f"[{call}]")
    why = elsewhere.value("select public.why(%s)", one["call_id"])
    waiting = elsewhere.rows("select calls from public.queue_load")
    used = elsewhere.rows("select calls_per_day from public.scope_usage where scope = 'business'")
    canceled = elsewhere.value("select public.cancel_call(%s)", one["call_id"])

    assert (one["created"], again["created"], again["call_id"]) == (True, False, one["call_id"])
    assert (why["code"], waiting, used) == ("not_due", [(1,)], [(100,)])
    assert canceled == {"waiting": 1, "in_the_air": 0}
    assert elsewhere.rows("select status from public.call_log") == [("canceled",)]
    assert elsewhere.rows("select call_id from public.stale_calls") == []


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (None, "a call is a JSON object"),
        ([1], "a call is a JSON object"),
        ({"to_number": 972501234567}, "`to_number` must be text"),
        ({"to_number": TO, "business_id": "1"}, "`business_id` must be the id of one"),
        ({"to_number": TO, "business_id": 1.5}, "`business_id` must be the id of one"),
        ({"to_number": TO, "business_id": 10**30}, "`business_id` must be the id of one"),
        ({"to_number": TO, "business_id": None, "campaign_id": 4711}, "no such campaign"),
        ({"to_number": TO, "campaign_id": 4711}, "not one of business 1"),
        ({"to_number": TO, "business_id": 4711}, "no such business"),
        ({"to_number": TO, "business_id": None}, "say whose call this is"),
        ({"to_number": TO, "phone": TO}, "a call has no field 'phone'"),
        ({"to_number": TO, "x" * 1000: 1}, "a call has no field 'xxx"),
        ({"to_number": None}, "`to_number` is empty"),
        ({"to_number": "050-1234567"}, "write it in E.164"),
        ({"to_number": "1" * 100_000}, "write it in E.164"),
        ({"to_number": TO, "from_number": "nobody"}, "`from_number` is not read"),
        ({"to_number": TO, "due_at": "2026-11-30T09:00"}, "with an offset"),
        ({"to_number": TO, "due_at": "1999-11-30T09:00Z"}, "more than 2 years in the past"),
        ({"to_number": TO, "due_at": "2199-11-30T09:00Z"}, "more than 10 years ahead"),
        ({"to_number": TO, "key": "k" * 256}, "255 characters"),
        ({"to_number": TO, "key": "a\tb"}, "cannot be seen"),
        ({"to_number": TO, "key": "  "}, "`key` begins or ends with a space"),
        ({"to_number": TO, "contact": {"a$b": "x"}}, "(a to z, Hebrew), digits, single spaces and _ . -"),
        ({"to_number": TO, "key": "retry:1"}, "may not begin with retry"),
        ({"to_number": TO, "contact": "Dana"}, "`contact` must be an object"),
        ({"to_number": TO, "contact": {"name": {"first": "Dana"}}}, "must be text"),
        ({"to_number": TO, "contact": {str(n): "x" for n in range(51)}}, "at most 50 fields"),
        ({"to_number": TO, "contact": {"name": "x" * 1001}}, "1000 characters"),
        ({"to_number": TO, "contact": {"name": "a\u202eb"}}, "cannot be seen"),
        ({"to_number": TO, "contact": {"Name": "a", "name": "b"}}, "have one name"),
        ({"to_number": TO, "contact": {str(n): "x" * 1000 for n in range(9)}}, "more than 8192 bytes"),
        ({"to_number": TO, "contact": {"name": "x" * 1000}}, "TwiML"),
        ({"to_number": TO, "time_zone": "EST"}, "not an IANA name"),
    ],
)
def test_what_is_no_call_is_refused_in_a_sentence_without_its_data(unchanged: World, call: Any, fault: str) -> None:
    call = {"business_id": 1} | call if isinstance(call, dict) else call

    answer = unchanged.value("select enqueue_call(%s)", json.dumps(call))

    assert fault in answer["fault"]
    assert list(answer) == ["fault"]
    assert not re.search(r"\d{7}", answer["fault"].replace("+97231234567", ""))
    assert unchanged.statuses() == []


@pytest.mark.parametrize("calls", [{}, "x", None, 1])
def test_what_is_no_list_of_calls_is_refused(unchanged: World, calls: Any) -> None:
    (answer,) = unchanged.value("select enqueue_calls(%s, 1)", json.dumps(calls))

    assert answer == {"place": None, "fault": "give the calls as a JSON array of objects"}


def test_too_many_calls_and_none_at_all_are_answered(unchanged: World) -> None:
    (answer,) = asked(unchanged, "enqueue_calls", [{}] * 10_001, 1)

    assert "more than 10,000" in answer["fault"]
    assert unchanged.value("select enqueue_calls('[]', 1)") == []
    assert unchanged.value("select enqueue_call(null)") == {"fault": unchanged.value("select call_shape_fault('1')")}


# What is read is what Python reads.


def in_sql(world: World, function: str, texts: list[str]) -> list[Any]:
    query = f"select {function}(t) from unnest(%s::text[]) with ordinality as g (t, n) order by n"  # noqa: S608
    return [row[0] for row in world.rows(query, texts)]


def in_python(text: str) -> set[str] | str:
    """The number that Python reads, whatever the region; the numbers, where the region makes a difference."""
    found = set()
    for region in (None, "IL", "US"):
        try:
            found.add(phone_numbers.read(text, region))
        except phone_numbers.NoPhoneNumber as refusal:
            found.add(str(refusal))
    return found.pop() if len(found) == 1 else found


def writings() -> Iterator[str]:
    """Numbers of every country and kind, in the usual writings, whole and damaged."""
    kinds = [getattr(phonenumbers.PhoneNumberType, name) for name in ("FIXED_LINE", "MOBILE", "TOLL_FREE", "VOICEMAIL")]
    kinds += [phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.PERSONAL_NUMBER]
    formats = phonenumbers.PhoneNumberFormat
    for region, kind in itertools.product(sorted(phonenumbers.SUPPORTED_REGIONS), kinds):
        number = phonenumbers.example_number_for_type(region, kind)
        if number is None:
            continue
        plain = phonenumbers.format_number(number, formats.E164)
        national = phonenumbers.national_significant_number(number)
        code = plain.removesuffix(national)
        yield from (plain, plain[:-1], plain + "0", f"{code}0{national}", f"{code}1{national}", f"{code}9{national}")
        yield from (
            phonenumbers.format_number(number, formats.INTERNATIONAL),
            f"{code} (0){national}",
            f"{code}-{national}",
        )
        yield from (phonenumbers.format_number(number, formats.NATIONAL), national, f"00{plain[1:]}", f"({plain})")
        yield from (f"{code} ({national[:2]}) {national[2:]}", f" {plain}", f"{plain} ", f"{plain}x7", f"tel:{plain}")
        yield from (f"{plain[:-2]}{digits}" for digits in ("00", "99", "12", "57"))


def test_a_number_is_read_in_sql_as_in_python_or_refused(unchanged: World) -> None:
    texts = [*writings(), *(f"+{code}{'5' * length}" for code in range(1, 1000) for length in range(5, 13))]
    texts += [
        "",
        "+",
        "+0" * 9,
        "+15005550101\n",
        "+1 500 555 01 01",
        "+1-(500)-555-0101",
        "\uff0b15005550101",
        "+\u0661\u0665\u0660\u0660\u0665\u0665\u0665\u0660\u0661\u0660\u0661",
    ]
    read = 0

    for text, found in zip(texts, in_sql(unchanged, "read_e164", texts), strict=True):
        if found is not None:
            read += 1
            assert in_python(text) == found, text

    assert len(texts) > 10_000
    assert read > 2000


def test_a_moment_is_read_in_sql_as_in_python_or_refused(unchanged: World) -> None:
    days = [
        "2026-11-30",
        "2027-02-28",
        "2027-02-29",
        "2028-02-29",
        "2026-13-01",
        "2026-00-10",
        "2026-04-31",
        "1970-01-01",
    ]
    days += ["30/11/2026", "2026-1-5", "20261130", "2026-W48-1", "2199-12-31", "1900-01-01", "0001-01-01", "2026-06-15"]
    times = ["09:00", "9:00", "24:00", "23:59:59", "23:59:60", "09:00:00.5", "09:00:00.123456", "09:00:00.1234567", ""]
    offsets = [
        "",
        "Z",
        "z",
        "+02:00",
        "-05:30",
        "+0200",
        "+02",
        "+14:59",
        "+15:00",
        "+23:59",
        " UTC",
        "+02:60",
        "-00:00",
    ]
    texts = [f"{d}{t}{time}{o}" for d in days for t in ("T", " ", "t", "  ") for time in times for o in offsets]
    read = 0

    for text, found in zip(texts, in_sql(unchanged, "read_moment", texts), strict=True):
        if found is not None and found.year > 1970:
            read += 1
            assert moments.read(text, "Asia/Jerusalem").at == found, text

    assert read > 100


def test_a_time_zone_is_read_in_sql_as_in_python_or_refused(unchanged: World) -> None:
    names = {row[0] for row in unchanged.rows("select name from pg_timezone_names")} | zoneinfo.available_timezones()
    texts = sorted(names | {name.lower() for name in names} | {"EST", "UTC+3", "", "Israel", "New York"})
    read = 0

    for text, found in zip(texts, in_sql(unchanged, "read_zone", texts), strict=True):
        if found is not None:
            read += 1
            assert time_zones.present(text) == found, text

    assert read > 200


def test_whatever_python_takes_for_unseen_sql_does_too(unchanged: World) -> None:
    characters = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code <= 0xDFFF]
    given = "from unnest(%s::text[]) with ordinality as g (c, n) order by n"
    query = f"select has_unseen(c, false) as alone, has_unseen(c, true) as of_lines {given}"

    for character, found in zip(characters, unchanged.rows(query, characters), strict=True):
        if plain_text.fault(character):
            assert found[0], f"U+{ord(character):04X}"
        if plain_text.cell_fault(character) or plain_text.cell(character) != character:
            assert found[1], f"U+{ord(character):04X}"


def test_whatever_python_takes_for_a_space_sql_does_too(unchanged: World) -> None:
    caller = unchanged.rows("select *, null as ends_at from find_callers('{1}', '{NULL}')")[0]
    odd = [chr(number) for number in range(1, 0x11000) if unicodedata.category(chr(number)) not in ("Cs", "Cn", "Co")]
    keys = [key for one in odd for key in (f"k{one}", f"{one}k")]
    calls = [{"business_id": 1, "to_number": TO, "key": key} for key in keys]
    rows = unchanged.rows("select key, fault from read_calls(%s, null, null) order by place", json.dumps(calls))
    refused = []

    for key in keys:
        try:
            call_request.read(caller, TO, None, None, key, None, None, lambda _: None)
        except call_request.BadCall as refusal:
            refused.append((key, str(refusal).partition(" U+")[0].rstrip(",")))

    assert [(row.key, row.fault.partition(":")[0]) for row in rows if row.fault] == [
        (key, fault.partition(":")[0]) for key, fault in refused
    ]
    assert sum("with a space" in fault for _, fault in refused) == 34


def test_what_is_no_text_in_a_contact_is_refused_in_sql_and_in_python_alike(unchanged: World) -> None:
    values: list[Any] = [0, 0.0, False, True, 5, [], {}, "", None, "0"]
    contacts = [{"a": value} for value in values]
    calls = [{"to_number": TO, "contact": contact} for contact in contacts]
    rows = unchanged.rows("select fault from read_calls(%s, 1, null) order by place", json.dumps(calls))
    caller = unchanged.rows("select *, null as ends_at from find_callers('{1}', '{NULL}')")[0]
    refused = []

    for contact in contacts:
        try:
            call_request.read(caller, TO, None, None, None, contact, None, lambda _: None)
        except call_request.BadCall:
            refused.append(contact)

    assert [contact for contact, row in zip(contacts, rows, strict=True) if row.fault] == refused == contacts[:7]


def test_a_whole_call_is_read_in_sql_as_in_python_or_refused(unchanged: World) -> None:
    soon = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    choices: dict[str, list[Any]] = {
        "to_number": ["+972501234567", "+1 500 555 0101", "050-1234567", "+97250123456", ""],
        "from_number": [None, OWN, "", "x"],
        "due_at": [None, soon.isoformat(), "", "2026-11-30", f"{soon:%Y-%m-%dT%H:%M}+05:45"],
        "key": [None, "", "k", "א" * 255, "k" * 256, "again:1", "a\u200bb", " k "],
        "contact": [
            None,
            {},
            {"Full  Name": "x"},
            {"שם": " דנה "},
            {"name": "a\tb\nc"},
            {"name": ""},
            {"ß": "x"},
            {"a": None},
            {"a": "0"},
        ],
        "time_zone": [None, "", " ", "Asia/Kolkata", "asia/kolkata", "US/Eastern", "EST", "Mars/Olympus"],
    }
    first = {name: values[0] for name, values in choices.items()}
    calls = [first | {name: value} for name, values in choices.items() for value in values]
    calls += [
        first | {one: a, two: b}
        for (one, x), (two, y) in itertools.combinations(choices.items(), 2)
        for a in x
        for b in y
    ]
    rows = unchanged.rows("select * from read_calls(%s, 1, null) order by place", json.dumps(calls))
    caller = unchanged.rows("select *, null as ends_at from find_callers('{1}', '{NULL}')")[0]
    read = 0

    for call, row in zip(calls, rows, strict=True):
        if row.fault is None:
            read += 1
            zone = {"+972501234567": "Asia/Jerusalem"}.get(row.to_number)
            meant = call_request.read(caller, **call, zone_of=lambda _, zone=zone: zone)  # type: ignore[misc]
            contact = meant.contact and json.loads(meant.contact)
            assert (row.from_number, row.to_number, row.due_at, row.key, row.contact, row.time_zone) == (
                *(meant.from_number, meant.to_number, meant.due_at, meant.idempotency_key),
                *(contact, meant.time_zone),
            ), call
            assert row.zone == meant.zone, call

    assert len(calls) > 500
    assert read > 100
