"""Each sentence within an answer that says yes is in each other language; one that has no text there is found."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from outbound.api import tenant_view
from outbound.broker import redis_client
from outbound.calls import call_timeline
from outbound.monitoring import why
from outbound.translation import sentences
from tests import ROOT
from tests.translation.test_sentences import missing

_AT = "Fri 2026-11-27 09:00 UTC"
_FUNCTIONS = (
    *("why_by_status", "why_by_rules", "why_by_limits", "why_by_processes", "pause_sentence", "spend_sentence"),
    *("scheduler_sentence", "account_sentence", "obstacle_sentence", "destination_sentence", "dialing_blockers"),
    *("situation_of_scopes", "cancel_waiting_calls", "kept_call_note"),
)
# Files of SQL whose sentences the API hands on: why a call is not dialed, previews, the situation, what stops all.
_FILES = (
    *(f"functions/{name}" for name in _FUNCTIONS),
    *("monitoring/situation", "monitoring/why", "database/identity", "calls/recover"),
    *("calls/reconcile", "calls/cleanup"),
)
_PYTHON: tuple[Callable[..., Any], ...] = (
    *(call_timeline._ending, call_timeline._asked),
    *(why._preview, why._call_s, why._set_pace),
    *(tenant_view.View.call, tenant_view.View.how_it_ended, tenant_view.View.preview),
)
# Not said by an answer: a lane's name, what only `select outbound.why(null)` says, a regular expression, refusals.
_NOT_SAID = (
    "of business",
    "That is not the id of a call:",
    "returned it as",
    "[.!?] *$",
    "there is no campaign",
    "see `outbound campaign",
)
SENTENCES = (
    "There is no call 7.",
    f"It has ended: no-answer, {_AT}.",
    f"It has ended: failed, {_AT}. Error suppressed: The number is on a do-not-call list.",
    "It has ended: failed. Error 21211: Unreachable.",
    "It has ended: canceled. Error operator_canceled: An operator canceled it: lunch.",
    "It has ended: failed. Error no_call_sid: No call_sid came within 60 s; whether the phone rang is unknown.",
    "No call_sid came within its deadline; whether the phone rang is unknown.",
    "No call_sid came, and the carrier, asked 3 times, knows of no such call.",
    "The carrier, asked 3 times, knows of no call with this call_sid.",
    "Several calls at the carrier could be this one: CA1, CA2.",
    "After a restore, a call of the carrier could be this one or another: CA1, CA2.",
    "It has ended: completed. Found at the carrier after a restore; its row was lost.",
    "It has ended: an operator ended it.",
    "An operator canceled it.",
    "It is being dialed: the answer of the carrier is awaited.",
    "It is in the air: ringing. An operator has asked to hang up.",
    f"A worker was told to dial it; should it not begin, the call is taken back at {_AT}.",
    "Nobody said what the call plays: give its campaign or its business a voice URL or TwiML.",
    (
        "The credentials of account AC1 are missing in 1 of 2 worker processes: put the file AC1.json into"
        " TWILIO_ACCOUNTS_DIR of every host."
    ),
    f"Its campaign starts at {_AT}.",
    f"It is held: odd. It waits until {_AT}.",
    f"Not sent: refused. It is tried again from {_AT} on.",
    f"It is attempt 2, which is due at {_AT}.",
    f"It is due at {_AT}.",
    f"Its campaign has ended. It waits until {_AT}.",
    "the call is under way already",
    f"the call waits for {_AT} already: reschedule it to have it made now",
    f"`at` changes nothing: the call waits for {_AT} already; reschedule it to move it",
    f"Its campaign ends before it is due. Unless that changes, it will be canceled at {_AT}.",
    f"The number is on a do-not-call list. Unless that changes, it will be canceled in its turn, from {_AT} on.",
    "The number is on a do-not-call list. It will be canceled in its turn.",
    (
        "The number begins like an emergency number or a call abroad, or is as short as a short code: it is never"
        " dialed. It will be canceled in its turn."
    ),
    "Calls to this destination are not allowed: see `outbound destination list`.",
    "The campaign demands consent, and none is on record or it has expired. It will be canceled in its turn.",
    "The do-not-call registry lists the number, and there is no consent. It will be canceled in its turn.",
    "The number must be checked against the do-not-call registry again.",
    (
        "The callee's time zone cannot be told: state time_zone, by a name that this PostgreSQL knows. It will be"
        " canceled in its turn."
    ),
    f"The callee was tried as often as one week allows. It may be dialed from {_AT} on.",
    f"The callee was tried as often as one day allows. It may be dialed from {_AT} on.",
    "It is outside the calling hours at the callee's. No hour of the next two weeks is inside.",
    f"Call 7 is paused since {_AT} by Dana: lunch. `outbound resume call 7` lets it go.",
    f"Business 3 (Acme) is paused since {_AT}: no reason was given. `outbound resume business 3` lets it go.",
    (
        f"The carrier is in trouble, 3 times in a row: nothing is dialed before {_AT}, then one call is tried."
        " `outbound resume everything` ends the wait."
    ),
    (
        f"The carrier is in trouble with the account of business 3, 3 times in a row: nothing is dialed before {_AT},"
        " then one call is tried. `outbound resume business 3` ends the wait."
    ),
    (
        "The carrier is in trouble with the account of business 3, 3 times in a row: none of its calls is dialed before"
        f" {_AT}. `outbound resume business 3` ends the wait."
    ),
    f"Campaign 4 is held until {_AT}: calls are being canceled.",
    *(
        f"Business 3 may have 5 {cap}: no more fit in before {_AT}, unless calls in the air, which count with all their"
        " time, end sooner."
        for cap in ("calls per hour", "calls per day", "minutes per hour", "minutes per day")
    ),
    "Everything has 5 calls live, and 5 are allowed at once.",
    "Number +15005550006 has 5 calls live, 2 of them with an unknown outcome, and 5 are allowed at once.",
    "The carrier was in trouble: one call at a time is tried, until it takes one.",
    f"Business 3 may begin 1.00 calls per second; the next one may begin at {_AT}.",
    (
        "Number +15005550006 may begin 0.50 calls per second, slowed because the carrier answers with errors; the next"
        f" one may begin at {_AT}."
    ),
    "No worker is alive: start `outbound worker`.",
    *(f"No worker is alive, so that nothing is dialed: start `outbound {one}`." for one in ("worker", "up")),
    f"No scheduler is alive, so that nothing is dialed or cleaned up (silent since {_AT}): start `outbound scheduler`.",
    "No scheduler is alive, so that nothing is dialed or cleaned up (none has ever run): start `outbound scheduler`.",
    "All 3 worker threads are busy: 40 calls are claimed for them already.",
    "It is due and will be taken in its turn: 3 due calls are before it in its lane.",
    "An operator paused it.",
    "It is not due yet.",
    # What stops all dialing
    (
        "This database was restored from a dump, and calls may be missing. Run `outbound recover`. Nothing is dialed"
        f" since {_AT}."
    ),
    f"An operator began `outbound recover`. Run it again. Nothing is dialed since {_AT}.",
    (
        "This is another database server than the one that dialed last (a restored dump, a copy or an upgrade). Run"
        " `outbound recover`."
    ),
    (
        "The database server is on another time line: it was restored, or a standby was promoted, and calls may be"
        " missing. Run `outbound recover`."
    ),
    "This database, or this schema of it, is a copy of the one that dialed last. Run `outbound recover`.",
    (
        "The database was set back to an earlier moment: it does not know of 7 calls that were begun. Run `outbound"
        " recover`."
    ),
    (
        "The broker or this host last worked for another database, or for a later state of this one. Run `outbound"
        " recover`."
    ),
    f"Calls are being canceled: nothing is dialed before {_AT}.",
    "Everything may have 0 calls at once: `outbound limit everything --live-max ...` sets more.",
    # The situation
    "The next call, 7, waits: Its campaign has ended. It will be canceled in its turn.",
    f"The next call, 7, waits: It is outside the calling hours at the callee's. It may be dialed from {_AT} on.",
    (
        "Calls are due and are dialed in their turn; claimed or in the air: 3. All 3 worker threads are busy: 40 calls"
        " are claimed for them already."
    ),
    "Calls are claimed or in the air: 3; no other one is due.",
    f"The next call may not be dialed before {_AT}: it is outside the calling hours at the callee's.",
    f"The next call is due {_AT}.",
    "Business 3 (Acme) may call nobody, as it has no region and no number: `outbound business set 3 --region ...`.",
    "Calls that are paused one by one: 3, the first is 7; `outbound resume call 7` lets it go.",
    "Nothing waits to be dialed, and no call is in the air.",
    "The carrier refused the last 3 calls of number +15005550006: after five in a row it is paused.",
    # Destinations
    "Calls to GB are not allowed to business 3 (lunch): see `outbound destination list`.",
    "Calls to GB are not allowed to anybody: see `outbound destination list`.",
    (
        "Calls to GB are not allowed, and the business has no region and no number: `outbound destination allow GB`"
        " opens them."
    ),
    "Calls to GB are not allowed: `outbound destination allow GB` opens them.",
    *(
        f"It is a number of {kind} in GB: only an entry for its own range opens it, `outbound destination allow +...`."
        for kind in (
            *("no country", "a premium-rate line", "a shared-cost line", "the personal kind", "a pager"),
            *("a voicemail service", "the company-wide kind (UAN)", "a satellite or international network"),
            "no known plan",
        )
    ),
    # Previews
    "nobody said what it plays: give it, or its business, a voice URL or TwiML",
    f"it starts at {_AT}",
    "business 3: paused: no reason was given",
    "its numbers: paused: lunch",
    "everything: 2 calls per second",
    "campaign 4: 3 calls at once",
    *(f"business 3: 5 calls per {period}" for period in ("hour", "day")),
    *("the latest calls", "OUTBOUND_RING_S: no call has ended"),
    # How a call ended
    "the carrier hung up at the time limit of 60 s",
    "the callee hung up, or what the call played came to its end: the carrier does not say which",
    *("the callee's line was busy", "nobody answered"),
    *(
        f"{who} {did} it{why}"
        for who in ("Dana", "an operator")
        for did in ("stopped", "canceled")
        for why in ("", ": x")
    ),
    # In place of what only the operator may know
    *(tenant_view._HELD, tenant_view._OPERATOR, tenant_view._ENDED, "the operator's limits"),
)
_KNOWN = "\n".join(SENTENCES)
_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_PLACE = re.compile(r"%(?:\d\$)?[sL]")
_PROSE = re.compile(r"[a-z]{2,} [a-z]{2,}")


def _of_sql(path: Path) -> Iterator[str]:
    """The texts of a file of SQL, an x at each place."""
    code = re.sub(r"(?m)^\s*--.*$", "", path.read_text(encoding="utf-8"))
    code = re.sub(r"'\s*\n\s*'", "", code)  # one literal in two lines
    for text in _LITERAL.findall(code):
        yield from _PLACE.split(text.replace("''", "'"))


def _of_python(function: Callable[..., Any]) -> Iterator[str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    spoken = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spoken:
            yield node.value


def _unknown(texts: Iterator[str]) -> list[str]:
    """Those that have words, and stand in no sentence of SENTENCES."""
    said = (text.strip() for text in texts if _PROSE.search(text) and not any(one in text for one in _NOT_SAID))
    return sorted({text for text in said if text not in _KNOWN})


@pytest.mark.parametrize("name", _FILES)
def test_each_sentence_of_sql_is_among_those_that_are_tried(name: str) -> None:
    assert _unknown(_of_sql(ROOT / "sql" / f"{name}.sql")) == []


@pytest.mark.parametrize("function", _PYTHON, ids=lambda one: one.__qualname__)
def test_each_sentence_of_python_is_among_those_that_are_tried(function: Callable[..., Any]) -> None:
    assert _unknown(_of_python(function)) == []


def test_a_sentence_that_is_added_is_found(tmp_path: Path) -> None:
    (tmp_path / "new.sql").write_text("select 'Nobody has' ||\n format(' %s tried this yet', 1)", encoding="utf-8")
    assert _unknown(_of_sql(tmp_path / "new.sql")) == ["Nobody has", "tried this yet"]


@pytest.mark.parametrize("text", SENTENCES)
def test_each_sentence_is_in_hebrew_and_no_words_of_it_are_left(text: str) -> None:
    said, is_whole = sentences.said(text, "he")

    assert is_whole
    assert missing([text]) == []
    assert not _PROSE.search(re.sub(r"`[^`]*`", "", said)), said


def test_what_the_broker_does_not_take_is_in_hebrew() -> None:
    for code, found in redis_client.FAULTS.items():
        fault = redis_client.Fault(code, *found)
        assert missing([f"The broker {fault}, so that no call reaches a worker: {fault.mend}."]) == []
