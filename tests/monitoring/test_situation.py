"""What is going on at this moment, as every command that shows it reads it."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from outbound.monitoring import situation, why
from outbound.rules import control
from outbound.rules.scope import Scope
from tests import forked
from tests.cli.test_cli import Outbound, environment, outbound
from tests.conftest import Environment, World

pytestmark = pytest.mark.rows_only

__all__ = ["outbound"]  # a fixture

EVERYTHING = Scope("account", "")
NEXT_WEEK = (datetime.now(UTC) + timedelta(days=7)).isoformat(timespec="minutes")
CLOSED = """
    insert into calling_window (name, hours, known_until) values ('closed', '{[0,10080)}', '2020-01-01');
    update business set window_id = (select id from calling_window)
"""


@pytest.fixture
def alive(world: World) -> World:
    """A world in which everything runs, however long a test takes."""
    world.worker()
    world.scheduler()
    world.do("update worker set seen_at = 'infinity'")
    world.do("update duty set last_success_at = 'infinity'")
    return world


def codes() -> list[str]:
    return [fact.code for fact in situation.read()]


def test_where_nothing_is_wrong_the_sentence_says_what_is_being_done(alive: World) -> None:
    idle = situation.read()
    alive.initiated(call_sid="CA1")
    in_the_air = situation.read()
    alive.queued(to="+15005550102")
    dialing = situation.read()
    alive.do("update call_log set due_at = '2100-01-01 07:00Z' where status = 'queued'")
    waiting = situation.read()

    assert [fact.code for fact in idle] == ["idle"]
    assert [fact.code for fact in in_the_air] == ["in_the_air"]
    assert [fact.code for fact in dialing] == ["dialing"]
    assert dialing[0].sentence.endswith("claimed or in the air: 1.")
    assert [fact.code for fact in waiting] == ["in_the_air", "not_due"]
    assert "Fri 2100-01-01" in waiting[1].sentence
    assert {fact.kind for fact in idle + in_the_air + dialing + waiting} == {"ok"}
    assert situation.after_queueing() == [fact.sentence for fact in waiting]


@pytest.mark.parametrize(
    ("change", "code", "kind", "words"),
    [
        ("delete from worker", "no_worker", "broken", "start `outbound worker`."),
        ("update worker set seen_at = now() - interval '11 s'", "no_worker", "broken", "No worker is alive"),
        ("delete from duty", "no_scheduler", "broken", "(none has ever run): start `outbound scheduler`."),
        ("update duty set last_success_at = now() - interval '61 s'", "no_scheduler", "broken", "(silent since "),
        ("insert into dialing_stop (cause, reason) values ('broker', 'It is away: mend it.')", "stopped_broker",
         "broken", "It is away: mend it. Nothing is dialed since "),
        ("insert into dialing_stop (cause, reason) values ('recovery', 'A copy: recover.')", "stopped_recovery",
         "broken", "A copy: recover. Nothing is dialed since "),
        ("update dial_control set troubles = 7, carrier_holds = 2, carrier_hold_until = '2100-01-01'", "carrier_hold",
         "held", "The carrier is in trouble, 7 times in a row: nothing is dialed before Fri 2100-01-01 00:00 UTC"),
        ("update dial_control set troubles = 7, carrier_holds = 2, carrier_hold_until = now()", "carrier_trial", "held",
         "one call at a time is tried"),
        ("update dial_control set hold_until = '2100-01-01'", "canceling", "held", "Calls are being canceled"),
        ("update dial_control set live_max = 0", "live_max", "on_purpose", "`outbound limit everything"),
        ("insert into spend_cap (scope, key, calls_per_day) values ('account', '', 0)", "spend_cap", "on_purpose",
         "Everything may have 0 calls per day"),
    ],
)  # fmt: skip
def test_what_keeps_every_call_from_being_dialed_is_the_first_sentence(
    alive: World, change: str, code: str, kind: str, words: str
) -> None:
    alive.queued()
    alive.do(change)

    fact = situation.read()[0]

    assert (fact.code, fact.kind) == (code, kind)
    assert words in fact.sentence
    assert [blocker.code for blocker in situation.blockers()] == [code]
    assert situation.after_queueing() == [fact.sentence]


def test_a_pause_says_by_whom_since_when_and_why_whatever_is_paused(alive: World) -> None:
    business_id = alive.business("Acme")
    alive.do("update business set time_zone = 'Asia/Jerusalem'")
    call_id = alive.queued(business_id)
    said = {}
    for scope in (EVERYTHING, Scope("business", str(business_id)), Scope("number", "+15005550006")):
        control.pause(scope, reason="Lunch", actor="anna")
        said[scope.scope] = situation.read()[0]
        control.resume(scope, actor="ben")
    control.pause(Scope("call", str(call_id)), actor="anna")
    one = situation.read()

    for fact in said.values():
        assert (fact.code, fact.kind) == ("paused", "on_purpose")
        assert " by anna: Lunch. `outbound resume " in fact.sentence
        assert fact.since is not None
    assert " UTC by anna" in said["account"].sentence
    assert said["business"].sentence.startswith(f"Business {business_id} (Acme) is paused since ")
    assert " Asia/Jerusalem by anna" in said["business"].sentence
    assert [fact.code for fact in one] == ["paused_calls"]


def test_an_older_pause_is_not_taken_for_the_one_that_holds_now(alive: World) -> None:
    call_id = alive.queued()
    control.pause(EVERYTHING, reason="Lunch", actor="anna")
    control.resume(EVERYTHING)
    alive.do("update dial_control set state = 'paused', state_since = now(), state_reason = 'by hand'")

    assert "anna" not in situation.read()[0].sentence
    assert "anna" not in why.why(call_id).sentence


def test_a_pause_of_one_business_is_no_headline_while_others_are_called(alive: World) -> None:
    paused, other = alive.business("Paused"), alive.business("Other")
    alive.queued(paused)
    alive.queued(other, to="+15005550102")
    control.pause(Scope("business", str(paused)), actor="anna")

    assert codes() == ["dialing", "paused"]
    assert situation.after_queueing(other) == []
    assert len(situation.after_queueing(paused)) == 1


def test_outside_hours_are_said_before_the_claim_and_after_it(alive: World) -> None:
    call_id = alive.queued()
    alive.do(CLOSED)
    before = situation.after_queueing()
    alive.do(
        "update call_log set held_by = 'outside_window', due_at = '2100-01-01 09:00Z', time_zone = 'Asia/Jerusalem'"
    )
    after = situation.read()[0]

    assert before[0].startswith(f"The next call, {call_id}, waits: It is outside the calling hours")
    assert (after.code, after.kind) == ("outside_window", "held")
    assert "before Fri 2100-01-01 11:00 Asia/Jerusalem" in after.sentence


def test_a_business_that_may_call_nobody_is_named(alive: World) -> None:
    alive.do("insert into business (name, twiml) values ('Nowhere', '<Response/>')")

    with Environment(OUTBOUND_CARRIER="twilio", OUTBOUND_PUBLIC_URL="https://calls.example.com"):
        fact = situation.read()[0]

    assert (fact.code, fact.kind) == ("no_destination", "broken")
    assert "`outbound business set 1 --region ...`" in fact.sentence


def test_a_call_that_has_just_been_queued_says_what_keeps_it(alive: World) -> None:
    call_id = alive.queued()
    fine = why.why_new(call_id)
    alive.do("delete from worker")
    due = why.why_new(call_id)
    alive.do("update call_log set due_at = now() + interval '1 day'")
    later = why.why_new(call_id)
    alive.worker()

    assert (fine, why.why_new(call_id)) == ([], [])
    assert len(due) == len(later) == 1
    assert "start `outbound worker`" in due[0]
    assert "start `outbound worker`" in later[0]


def test_the_commands_say_it(alive: World, outbound: Outbound, tmp_path: Path) -> None:
    alive.business()
    control.pause(EVERYTHING, reason="Lunch", actor="anna")
    (tmp_path / "calls.csv").write_text("to\n+15005550102\n")

    status = outbound("status")
    as_json = outbound("status", "--json")
    enqueued = outbound("enqueue", "--business", "1", "--to", "+15005550101")
    imported = outbound("import", str(tmp_path / "calls.csv"), "--business", "1")

    for text in (status.stdout, enqueued.stderr, imported.stderr):
        assert text.replace("\n", " ").startswith("Everything is paused since ")
        assert "by anna: Lunch. `outbound resume everything`" in text.replace("\n", " ")
    assert '"code":"paused"' in as_json.stdout.replace(" ", "")
    assert enqueued.stdout == "call 1 queued\n"


def test_an_import_of_which_a_part_is_dialed_at_once_says_so_beside_what_is_due_later(
    alive: World, outbound: Outbound, tmp_path: Path
) -> None:
    alive.claimed(alive.business())
    (tmp_path / "calls.csv").write_text(f"to,at\n+15005550102,{NEXT_WEEK}\n")

    imported = outbound("import", str(tmp_path / "calls.csv"), "--business", "1").stderr

    assert "claimed or in the air: 1; no other one is due." in imported
    assert "The next call is due " in imported
    assert "No call is due" not in imported


CANCELED_AT_ONCE = """
    create function cancel_at_once() returns trigger language plpgsql as $$
        begin
            update call_log set status = 'canceled', error_code = 'suppressed', error_message = 'It is on a list.'
             where id = new.id;
            return null;
        end
    $$;
    create trigger cancel_at_once after insert on call_log for each row execute function cancel_at_once()
"""


def test_what_would_or_did_cancel_a_new_call_is_said_at_once(alive: World, outbound: Outbound) -> None:
    alive.business()
    alive.do("insert into suppression (phone, reason) values ('+15005550101', 'Asked')")
    new = ("enqueue", "--business", "1", "--to", "+15005550101")
    due = outbound(*new).stderr
    later = outbound(*new, "--at", NEXT_WEEK).stderr
    alive.do(CANCELED_AT_ONCE)  # as the dispatcher does, which may be faster than the command
    enqueued = outbound("enqueue", "--business", "1", "--to", "+15005550102")
    canceled = enqueued.stderr
    again = outbound("call", "retry", enqueued.stdout.split()[1]).stderr

    assert "The number is on a do-not-call list. It will be canceled in its turn." in due
    assert "The number is on a do-not-call list. It will be canceled in its turn." in later
    for said in (canceled, again):
        assert "It has ended: canceled" in said
        assert "Error suppressed: It is on a list." in said


class Terminal:
    """A terminal of 80 columns and 24 lines in which a command runs."""

    def __init__(self, folder: Path, env: dict[str, str], *arguments: str) -> None:
        self.seen = b""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "outbound", *arguments],
            cwd=folder,
            env={name: value for name, value in (environment({"TERM": "xterm"}) | env).items() if name != "COLUMNS"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 (its signals come from here)
        )
        os.close(theirs)

    def until(self, words: bytes) -> None:
        deadline = time.monotonic() + 60
        while words not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self._ours], [], [], 1)[0]:
                self.seen += os.read(self._ours, 65536)

    def press(self, key: bytes) -> None:
        os.write(self._ours, key)

    def ended(self) -> int:
        """The exit status, with all that was seen in `seen`."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                piece = os.read(self._ours, 65536)
            except OSError:  # nobody has it open any more
                break
            if not piece:
                break
            self.seen += piece
        os.close(self._ours)
        return self.process.wait(60)


@pytest.mark.parametrize(
    ("key", "env"),
    [(b"q", {}), (b"q", {"TERM": "dumb"}), (b"\x03", {"NO_COLOR": "1", "PYTHONIOENCODING": "ascii"})],
)
def test_watching_fits_a_screen_and_ends_without_a_traceback(
    alive: World, database: str, tmp_path: Path, key: bytes, env: dict[str, str]
) -> None:
    configured = {"DATABASE_URL": database, "REDIS_URL": "memory://", "OUTBOUND_DATA_DIR": str(tmp_path / "data")}
    terminal = Terminal(tmp_path, configured | env, "status", "--watch")

    terminal.until(b"Nothing waits to be dialed")
    terminal.until(b"worker threads")
    terminal.press(key)

    assert terminal.ended() == 0
    assert b"Traceback" not in terminal.seen
    assert b"Aborted" not in terminal.seen
    if "NO_COLOR" in env or env.get("TERM") == "dumb":
        assert b"\x1b[3" not in terminal.seen
    if env.get("TERM") != "dumb":
        page = terminal.seen.split(b"worker threads")[0]
        assert b"q or Ctrl-C ends this" in terminal.seen
        assert page.count(b"\n") < 24


def test_watching_without_a_terminal_prints_one_look_after_the_other(
    alive: World, database: str, tmp_path: Path
) -> None:
    configured = {"DATABASE_URL": database, "REDIS_URL": "memory://", "OUTBOUND_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-m", "outbound", "status", "--watch"]
    with forked.Popen(
        command, cwd=tmp_path, env=environment(configured), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()

    assert first.startswith("Nothing waits to be dialed")
    assert "Traceback" not in rest
    assert process.returncode == 0


def test_a_terminal_is_shown_sentences_broken_between_words_and_a_program_whole_lines(
    alive: World, database: str, outbound: Outbound, tmp_path: Path
) -> None:
    alive.queued()
    control.pause(
        EVERYTHING, reason="a list that was bought twice must be cleaned up before anybody is called", actor="anna"
    )
    configured = {"DATABASE_URL": database, "REDIS_URL": "memory://", "OUTBOUND_DATA_DIR": str(tmp_path / "data")}
    terminal = Terminal(tmp_path, configured | {"NO_COLOR": "1"}, "why", "1")
    whole = outbound("why", "1").stdout.removesuffix("\n")

    assert terminal.ended() == 0
    shown = terminal.seen.decode().replace("\r", "").removesuffix("\n").split("\n")
    assert "\n" not in whole
    assert len(whole) > 100
    assert " ".join(line.rstrip() for line in shown) == whole
    assert max(map(len, shown)) <= 80
