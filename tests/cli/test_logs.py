"""One event, one line; never a phone number or a name."""

import contextlib
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, get_args

import dramatiq
import pytest
import structlog

from outbound import broker, logs
from outbound.call import CallEvent
from outbound.calls import events
from outbound.settings_model import Settings
from tests import forked
from tests.conftest import World, until


@contextlib.contextmanager
def heard(level: str = "INFO") -> Iterator[io.StringIO]:
    """What this process says on standard error, as an operator reads it, for as long as the block lasts."""
    root = logging.getLogger()
    handlers_before, level_before = list(root.handlers), root.level
    hooks_before = sys.excepthook, threading.excepthook
    text = io.StringIO()
    with contextlib.redirect_stderr(text):
        logs.set_up(level)
    try:
        yield text
    finally:
        root.handlers[:] = handlers_before
        root.setLevel(level_before)
        sys.excepthook, threading.excepthook = hooks_before
        logging.captureWarnings(False)
        structlog.reset_defaults()


NUMBERS = [
    "+15005550101",
    "+972501234567",
    "+1 (500) 555-0101",
    "+972 50-123-4567",
    "+44 7700 900123",
    "+1.500.555.0101",
    "%2B15005550101",
    "%2b15005550101",
    "0501234567",
    "050-1234567",
    "050-123-4567",
    "07700900123",
    "(500) 555-0101",
    "(500)555-0101",
    "500-555-0101",
    "500.555.0101",
    "'15005550101'",
    '"5005550101"',
    "from_number=15005550101",
    "to: 5005550101",
    "Caller=5005550101",
    "'phone': 5005550101",
]

NOT_NUMBERS = [
    "CA" + "0123456789" * 3 + "01",
    "AC01234567890123456789012345678901",
    "01234567-8901-4234-8567-012345678901",
    "90123456-0789-4234-8567-890123456789",
    "call=812",
    "call=1234567890",
    "lead=5005550101",
    "code=21211",
    "2026-11-01T12:00:00.123456Z",
    "2026-11-01 12:00:00,123",
    "2026-11-01T12:00:00+00:00",
    "Sun, 01 Nov 2026 12:00:00 +0000",
    "Sun, 01 Nov 2026 12:00:00 +0530",
    "1793534400",
    "1793534400.123456",
    "1793534400123",
    "127.0.0.1:54321",
    "port 54321",
    "pid=1234567",
    "0.0123456789 s",
    "12.0512345678 ms",
    "took 1500 ms",
    "HTTP 429, code 20429",
    "total=15005550101",
    "'812'",
    "fence 7, batch of 200",
    "psycopg 3.3.9, PostgreSQL 18.6",
    "00000000deadbeef",
]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("around", ["{}", "to {}.", "<{}>", "({}, 7)", "a {}, b"])
@pytest.mark.parametrize("form", logs.FORMATS)
def test_whatever_looks_like_a_phone_number_is_masked(
    number: str, around: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(logs.FORMAT_SETTING, form)
    with heard() as said:
        logging.getLogger("library").warning(around.format(number).replace("%", "%%"), *())
        logs.get("step").info("step.done", said=around.format(number))

    masked = re.sub(r'timestamp=\S+|"timestamp": "[^"]*"|^\S+T\S+Z', "", said.getvalue(), flags=re.M)
    assert masked.replace("\\u2026", "…").count("+…") == 2
    masked = masked.replace("\\u2026", "…")
    assert not re.search(r"\d{3}", masked)


@pytest.mark.parametrize("harmless", NOT_NUMBERS)
def test_ids_times_and_ports_are_left_alone(harmless: str) -> None:
    with heard() as said:
        logging.getLogger("library").warning("%s", harmless)
        logging.getLogger("library").warning("before (%s), after", harmless)

    assert said.getvalue().count(harmless) == 2
    assert "…" not in said.getvalue()


def test_an_event_is_one_line_with_its_ids() -> None:
    with heard() as said:
        logs.get("dial").warning("dial.refused", code="21211", call_id=812)

    line = said.getvalue()
    assert line.endswith("level=warning event=dial.refused call_id=812 code=21211\n")
    assert line.startswith("timestamp=20")
    assert line.count("\n") == 1


def test_a_number_in_the_arguments_of_a_librarys_message_is_masked() -> None:
    with heard() as said:
        logging.getLogger("library").error("no route to %s from %r", "+15005550101", {"From": "15005550102"})

    assert "no route to +… from {'From': '+…'}" in said.getvalue()


def test_a_traceback_is_one_line_and_shows_no_number() -> None:
    def fail() -> None:
        try:
            raise LookupError("Key (business_id, to_number)=(1, +15005550101) already exists")
        except LookupError as error:
            raise RuntimeError("url: /Calls.json?To=%2B15005550102&From='15005550103'") from error

    with heard() as said:
        for log in (logs.get("step"), logging.getLogger("library")):
            try:
                fail()
            except RuntimeError:
                log.exception("step.failed")

    text = said.getvalue()
    assert text.count("Traceback") == 4
    assert text.count("\n") == 2
    assert "(1, +…) already exists" in text
    assert "555010" not in text


def test_a_row_that_postgresql_refused_and_a_password_in_a_url_are_not_shown() -> None:
    detail = 'violates check\nDETAIL:  Failing row contains (7, {"name": "Dana Levi"}).'
    with heard() as said:
        try:
            raise RuntimeError(detail)
        except RuntimeError:
            logs.get("step").exception("step.failed", where="postgresql://u:secretpw@host/db")

    assert "violates check" in said.getvalue()
    assert "Dana" not in said.getvalue()
    assert "secretpw" not in said.getvalue()


def test_line_breaks_in_what_a_stranger_sent_begin_no_new_line() -> None:
    with heard() as said:
        logs.get("web").info("web.told", status="busy\ntimestamp=1 level=info event=dial.accepted\r\n")
        logging.getLogger("library").info("told %s", "a\nb")

    assert said.getvalue().count("\n") == 2


def test_the_twilio_clients_log_of_whole_requests_is_off() -> None:
    with heard() as said:
        logging.getLogger("twilio.http_client").info("-- BEGIN Twilio API Request --")
        logging.getLogger("apscheduler.executors.default").info("a tick")

    assert said.getvalue() == ""


# Forms.


def test_as_json_each_event_is_an_object_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(logs.FORMAT_SETTING, "json")
    with heard() as said:
        logs.get("dial").warning("dial.refused", call_id=812, code="21211")
        logging.getLogger("library").error("no route to %s", "a\nb")

    ours, theirs = (json.loads(line) for line in said.getvalue().splitlines())
    assert ours.pop("timestamp").startswith("20")
    assert ours == {"level": "warning", "event": "dial.refused", "call_id": 812, "code": "21211"}
    assert theirs["event"] == "no route to a\nb"


@pytest.mark.parametrize("form", logs.FORMATS)
def test_a_number_is_masked_wherever_in_an_event_it_is(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(logs.FORMAT_SETTING, form)
    number = 15005550101

    class Odd:
        def __str__(self) -> str:
            return f"<odd +{number}>"

    with heard() as said:
        logs.get("step").info("step.done", to=number, caller=str(number), deep={"a": [f"+{number}"]}, odd=Odd())
        logs.get("step").info("step.done", call_id=5005550101, took_ms=1500)

    masked, left = said.getvalue().splitlines()
    assert "5005550101" not in masked
    assert "5005550101" in left


def test_what_is_written_to_a_journal_begins_with_its_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")
    with heard("DEBUG") as said:
        for level in ("debug", "info", "warning", "error", "critical"):
            getattr(logs.get("step"), level)("step.done")
        monkeypatch.delenv("JOURNAL_STREAM")
        logs.get("step").info("step.done")

    assert re.findall(r"^(<\d>)?timestamp", said.getvalue(), re.M) == ["<7>", "<6>", "<4>", "<3>", "<2>", ""]


def test_every_line_of_a_traceback_in_a_journal_has_the_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")
    monkeypatch.setenv(logs.FORMAT_SETTING, "console")
    with heard() as said:
        try:
            raise LookupError("no such thing")
        except LookupError:
            logs.get("step").exception("step.failed")

    lines = said.getvalue().splitlines()
    assert len(lines) > 3
    assert all(line.startswith("<3>") for line in lines)


def test_the_settings_and_the_log_know_the_same_forms() -> None:
    assert get_args(Settings.model_fields["log_format"].annotation) == logs.FORMATS


DYING = """
import sys, threading
from outbound import logs
logs.set_up()
def die():
    raise LookupError("Key (to_number)=(+15005550101) already exists")
threading.Thread(target=die, name="hand").start()
die()
"""


def test_an_error_that_nobody_caught_is_one_line_without_a_number() -> None:
    died = subprocess.run([sys.executable, "-c", DYING], capture_output=True, text=True, timeout=60, check=False)

    assert died.returncode == 1
    lines = died.stderr.splitlines()
    assert sorted(re.findall(r"event=(\S+)", died.stderr)) == ["process.died", "process.thread_died"]
    assert len(lines) == 2
    assert "5005550101" not in died.stderr
    assert died.stderr.count("Traceback") == 2


# Ids.


def test_every_line_of_an_actor_carries_the_id_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = broker.make(broker.IN_PROCESS)

    @dramatiq.actor(broker=quiet, max_retries=0)
    def dial_somebody(call_id: int) -> None:
        logging.getLogger("library").warning("asked")
        raise LookupError("gone")

    @dramatiq.actor(broker=quiet, max_retries=0)
    def make_somebody(call_sid: str | None = None, *_old: object) -> None:
        logs.get("lead").info("lead.made")

    with heard() as said:
        worker = dramatiq.Worker(quiet, worker_threads=1)
        worker.start()
        dial_somebody.send(812)
        make_somebody.send("CA1", 7)
        make_somebody.send(call_sid="CA2")
        until(lambda: said.getvalue().count("lead.made") == 2)
        worker.stop()
        logs.get("step").info("step.done")

    lines = {line.split("event=")[1].split()[0]: line for line in said.getvalue().splitlines()}
    told = [line for line in said.getvalue().splitlines() if "event=asked" in line or "Failed to process" in line]
    assert len(told) == 2
    assert all(" call_id=812" in line for line in told)  # Dramatiq's own too
    made = [line for line in said.getvalue().splitlines() if "lead.made" in line]
    assert ["call_sid=CA1" in made[0], "call_sid=CA2" in made[1]] == [True, True]
    assert not any("call_id" in line for line in (*made, lines["step.done"]))


def test_every_line_of_a_callback_carries_call_id_and_call_sid(
    world: World, nudges: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    call_id, call_sid = world.initiated(), "CA" + "a" * 32
    with heard() as said:
        events.record(call_id, CallEvent(call_sid, "completed", "callback"))
        logs.get("step").info("step.done")

    *inside, after = said.getvalue().splitlines()
    assert inside
    assert all(f" call_id={call_id} call_sid={call_sid} " in line for line in inside), inside
    assert "call_" not in after


# Everybody's lines.


@pytest.mark.parametrize("name", ["worker", "scheduler", "web"])
def test_every_line_of_every_process_is_in_the_form_that_was_asked_for(world: World, name: str) -> None:
    command = [sys.executable, "-m", "outbound", "--log-format", "json", name]
    environment = os.environ | {"OUTBOUND_WEB_PORT": "0", "JOURNAL_STREAM": ""}
    environment.pop("JOURNAL_STREAM")
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    said: list[str] = []
    if name == "scheduler":  # which says nothing when all is well
        until(lambda: world.value("select count(*) from duty") > 0, timeout_s=60)
    else:
        wanted = {"worker": "is booting up", "web": "Uvicorn running"}[name]
        for line in process.stderr:
            said.append(line)
            if wanted in json.loads(line)["event"]:
                break
        assert wanted in said[-1], said
    if name == "worker":
        until(lambda: world.value("select count(*) from worker") == 1, timeout_s=60)

    process.send_signal(signal.SIGTERM)
    said += process.communicate(timeout=60)[1].splitlines()

    for line in said:
        json.loads(line)["event"]


def test_a_form_that_there_is_not_is_refused(world: World) -> None:
    ran = forked.run("status", env=os.environ | {"OUTBOUND_LOG_FORMAT": "xml"})

    assert ran.returncode == 2
    assert "OUTBOUND_LOG_FORMAT: Input should be 'logfmt', 'json' or 'console'" in ran.stderr
