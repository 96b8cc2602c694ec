"""One event, one line; never a phone number or a name."""

import contextlib
import io
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from outbound import logs


@contextlib.contextmanager
def heard(level: str = "INFO") -> Iterator[io.StringIO]:
    """What this process says on standard error, as an operator reads it, for as long as the block lasts."""
    root = logging.getLogger()
    handlers_before, level_before = list(root.handlers), root.level
    text = io.StringIO()
    with contextlib.redirect_stderr(text):
        logs.set_up(level)
    try:
        yield text
    finally:
        root.handlers[:] = handlers_before
        root.setLevel(level_before)
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
def test_whatever_looks_like_a_phone_number_is_masked(number: str, around: str) -> None:
    with heard() as said:
        logging.getLogger("library").warning(around.format(number).replace("%", "%%"), *())
        logs.get("step").info("step.done", said=around.format(number))

    masked = re.sub(r"timestamp=\S+", "", said.getvalue())
    assert masked.count("+…") == 2
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
        logs.get("dial").warning("dial.refused", call=812, code="21211")

    line = said.getvalue()
    assert line.endswith("level=warning event=dial.refused call=812 code=21211\n")
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
