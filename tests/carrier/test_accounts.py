"""A business may have an account of the carrier's: its calls go through that one, and nobody else's account matters."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner

from outbound import config, db
from outbound.call import DialOrder
from outbound.calls import dial, dispatch, hang_up, reconcile, recover
from outbound.carrier import CallNotSent, accounts, auth_token, twilio
from outbound.checks import carrier as carrier_checks
from outbound.cli import app
from outbound.errors import SettingsError
from outbound.monitoring import why
from outbound.rules import business
from outbound.simulator import server as simulated
from tests.cli.test_logs import heard
from tests.conftest import ACCOUNT_SID, AUTH_TOKEN, CLAIM, World, begin, forget_settings, until
from tests.web.test_web import (  # noqa: F401
    CALLER,
    PUBLIC_URL,
    Nudges,
    _came_in,
    _NoTrace,
    _path,
    _post,
    _sign,
    _told,
    _verdict,
    address,
    shared_database,
)

pytestmark = pytest.mark.rows_only

# ruff: noqa: F811 (fixtures of test_web)

OTHER = "AC" + "f" * 32
THIRD = "AC" + "e" * 32
OTHER_TOKEN = "the-token-of-the-other-account"
THIRD_TOKEN = "the-token-of-the-third-account"
SID = "CA" + "5" * 32
KEY = {"api_key_sid": "SK" + "a" * 32, "api_key_secret": "the-secret-of-its-key"}


@dataclass
class System:
    """The directory of credentials, and the simulated carrier that has three accounts."""

    directory: Path
    carrier: simulated.RunningSimulator

    def give(self, account: str, **content: object) -> None:
        """Write an account's file beside its place and move it there, as the runbook says."""
        self.write(account, json.dumps(content))

    def write(self, account: str, text: str) -> None:
        draft = self.directory / "draft"
        draft.write_text(text)
        draft.replace(self.directory / f"{account}.json")

    def asked(self) -> list[tuple[str, str | None]]:
        """Which account asked for a call to whom, in order."""
        return [(entry["account_sid"], entry["to"]) for entry in self.carrier.log()]


@pytest.fixture(scope="module")
def carriers() -> Iterator[simulated.RunningSimulator]:
    tokens = {OTHER: OTHER_TOKEN, THIRD: THIRD_TOKEN}
    with simulated.in_thread(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, others=tokens, speed=100) as running:
        yield running


@pytest.fixture
def database(shared_database: str) -> str:
    """One database for all of these, emptied."""
    forget_settings()
    with psycopg.connect(shared_database) as connection:
        connection.execute("truncate business, call_log, leads, worker, counter, dial_control cascade")
        connection.execute("delete from dialing_stop")
        connection.execute("insert into dial_control (scope, key) values ('account', '')")
    return shared_database


@pytest.fixture
def system(carriers: simulated.RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """OTHER has its file; THIRD has none."""
    monkeypatch.setenv("TWILIO_ACCOUNTS_DIR", str(tmp_path))
    monkeypatch.setenv("TWILIO_API_URL", carriers.url)
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", ACCOUNT_SID)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
    monkeypatch.setenv("OUTBOUND_LOOKUPS_PER_MINUTE", "100000")
    monkeypatch.setattr(auth_token, "LOOK_S", 0)
    forget_settings()
    carriers.reset()
    found = System(tmp_path, carriers)
    found.give(OTHER, auth_token=OTHER_TOKEN)
    yield found
    forget_settings()


@pytest.fixture
def public_url(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_PUBLIC_URL", PUBLIC_URL)
    forget_settings()


def _business(world: World, account: str | None = None) -> int:
    found = world.business()
    world.do("update business set carrier_account = %s where id = %s", account, found)
    return found


def _worker(world: World, *known: str, threads: int = 8) -> None:
    world.do("insert into worker (id, threads, accounts) values (gen_random_uuid(), %s, %s)", threads, list(known))


def _claims() -> list[int]:
    return sorted(row.id for row in db.run(dispatch.sql.claim_due_calls, **CLAIM) if row.status == "claimed")


# Asking the carrier


def test_every_question_about_a_call_goes_to_the_account_that_dialed_it(
    world: World, system: System, nudges: Nudges
) -> None:
    theirs, ours = _business(world, OTHER), _business(world)
    told, cut = world.claimed(theirs, "+15005550122"), world.claimed(theirs, "+15005550127")
    endless, own = world.claimed(theirs, "+15005550131"), world.claimed(ours, "+15005550222")
    dial.dial_call(told, cut, endless, own)

    business.change(theirs, account=THIRD)  # whose file is missing: what is in the air goes on through OTHER
    until(lambda: world.call(endless).call_sid)
    world.do("update call_log set hang_up = 'canceled' where id = %s", endless)
    assert hang_up.hang_up_requested_calls() == 1

    def settled() -> bool:
        world.do("update call_log set overdue_at = now() - interval '1 s', looked_at = null where ended_at is null")
        reconcile.reconcile_overdue_calls()
        return world.statuses() == ["completed", "completed", "canceled", "completed"]

    until(settled)

    assert sorted(system.asked()) == sorted(
        [(OTHER, "+15005550122"), (OTHER, "+15005550127"), (OTHER, "+15005550131"), (ACCOUNT_SID, "+15005550222")]
    )
    assert [world.call(call_id).carrier_account for call_id in (told, cut, endless, own)] == [OTHER, OTHER, OTHER, None]


def test_many_calls_without_a_call_sid_are_looked_for_in_the_list_of_their_own_account(
    world: World, system: System, nudges: Nudges
) -> None:
    theirs, ours = _business(world, OTHER), _business(world)
    calls = [world.claimed(whose, f"+15005550{place}27") for place in range(10) for whose in (theirs, ours)]
    dial.dial_call(*calls)

    def bound() -> bool:
        world.do("update call_log set overdue_at = now() - interval '1 s', looked_at = null where call_sid is null")
        reconcile.reconcile_overdue_calls()
        return not world.value("select count(*) from call_log where call_sid is null")

    until(bound)

    sids = {entry["call_sid"]: entry["account_sid"] for entry in system.carrier.log()}
    rows = world.rows("select call_sid, carrier_account from call_log")
    assert len(rows) == 20
    assert all(sids[row.call_sid] == (row.carrier_account or ACCOUNT_SID) for row in rows)


@pytest.mark.parametrize(("silent", "token"), [(OTHER, "wrong"), (THIRD, None), (ACCOUNT_SID, None)])
def test_an_account_that_gives_no_answer_keeps_no_other_from_its_round(
    world: World, system: System, monkeypatch: pytest.MonkeyPatch, silent: str, token: str | None
) -> None:
    system.give(OTHER, auth_token=token or OTHER_TOKEN)
    if silent == ACCOUNT_SID:
        monkeypatch.setenv("TWILIO_AUTH_TOKEN", "wrong")
        forget_settings()
    whole = {None: _business(world), OTHER: _business(world, OTHER), THIRD: _business(world, THIRD)}
    calls: dict[int, str] = {}
    for account, whose in whole.items():
        for place in range(10):  # more than are hung up, or asked about, at once
            call_id = world.initiated(whose, f"+1500555{place:02}01", f"CA{len(calls):032}")
            world.do("update call_log set carrier_account = %s, hang_up = 'canceled' where id = %s", account, call_id)
            calls[call_id] = account or ACCOUNT_SID
    world.do("update call_log set looked_at = now() - interval '1 hour'")

    hang_up.hang_up_requested_calls()  # the carrier knows none of them: that is an answer
    reconcile.reconcile_overdue_calls()

    looked = [calls[row.id] for row in world.rows("select id from call_log where looks > 0 or status = 'failed'")]
    known = {ACCOUNT_SID, OTHER} - {silent}
    assert Counter(looked) == dict.fromkeys(known, 10)
    told = {calls[row.id] for row in world.rows("select id from call_log where hang_up_asked_at is not null")}
    assert told >= known


# The claim


def test_without_an_accounts_credentials_none_of_its_calls_is_begun_and_all_others_are(
    world: World, system: System
) -> None:
    (system.directory / f"{OTHER}.json").unlink()
    theirs, ours = world.queued(_business(world, OTHER)), world.queued(_business(world), "+15005550201")
    worker = UUID(int=1)
    dispatch.heartbeat(worker, 8)

    assert _claims() == [ours]
    reason = why.why(theirs)
    assert (reason.code, reason.details["account"]) == ("account_missing", OTHER)
    assert f"{OTHER} are missing in 1 of 1 worker processes" in reason.sentence
    assert f"{OTHER}.json" in reason.sentence

    system.give(OTHER, auth_token=OTHER_TOKEN)
    dispatch.heartbeat(worker, 8)
    assert _claims() == [theirs]
    assert begin(theirs).carrier_account == OTHER

    (system.directory / f"{OTHER}.json").unlink()
    dispatch.heartbeat(worker, 8)
    later = world.claimed(world.call(theirs).business_id, "+15005550202")
    assert begin(later) is None  # it was claimed before the file went
    assert (world.call(later).status, world.call(later).carrier_account) == ("queued", None)


def test_one_worker_without_the_credentials_is_enough_to_wait_for(world: World) -> None:
    theirs = world.queued(_business(world, OTHER))
    _worker(world, ACCOUNT_SID, OTHER)
    _worker(world, ACCOUNT_SID, threads=1)

    assert _claims() == []
    assert "in 1 of 2 worker processes" in why.why(theirs).sentence

    world.do("update worker set seen_at = now() - interval '11 s' where threads = 1")  # it died
    assert _claims() == [theirs]


def test_an_account_that_is_named_and_is_ours_needs_no_file(world: World, system: System) -> None:
    call_id = world.queued(_business(world, ACCOUNT_SID))
    dispatch.heartbeat(UUID(int=1), 8)

    assert _claims() == [call_id]
    dial.dial_call(call_id)

    assert system.asked() == [(ACCOUNT_SID, "+15005550101")]


def test_a_preview_says_which_account_lacks_its_credentials(world: World) -> None:
    whose = _business(world, OTHER)
    campaign = world.value("insert into campaign (business_id, name) values (%s, 'c') returning id", whose)
    _worker(world, ACCOUNT_SID)

    assert any(OTHER in stop for stop in why.preview(campaign).stopped_by)

    world.do("update worker set accounts = %s", [ACCOUNT_SID, OTHER])
    assert why.preview(campaign).stopped_by == []


def test_a_dial_whose_credentials_went_at_the_last_moment_is_put_back(world: World, system: System) -> None:
    call_id = world.claimed(_business(world, OTHER))
    (system.directory / f"{OTHER}.json").unlink()

    dial.dial_call(call_id)

    call = world.call(call_id)
    assert (call.status, call.put_backs) == ("queued", 1)
    assert OTHER in call.error_message
    assert system.asked() == []


# Holds


@pytest.mark.parametrize("in_trouble", [OTHER, ACCOUNT_SID])
def test_the_trouble_of_one_account_holds_only_the_calls_of_that_account(
    world: World, system: System, monkeypatch: pytest.MonkeyPatch, in_trouble: str
) -> None:
    system.give(THIRD, auth_token=THIRD_TOKEN)
    if in_trouble == OTHER:
        system.give(OTHER, auth_token="wrong")
    else:
        monkeypatch.setenv("TWILIO_AUTH_TOKEN", "wrong")
        forget_settings()
    whole = {ACCOUNT_SID: _business(world), OTHER: _business(world, OTHER), THIRD: _business(world, THIRD)}
    dispatch.heartbeat(UUID(int=1), 8)
    first = {account: world.queued(whose) for account, whose in whole.items()}
    assert _claims() == sorted(first.values())

    dial.dial_call(*first.values())

    sent = {account for account, call_id in first.items() if world.call(call_id).call_sid}
    assert sent == set(whole) - {in_trouble}
    held = world.rows("select scope, key from dial_control where carrier_hold_until > now()")
    own = ("account", "") if in_trouble == ACCOUNT_SID else ("business", str(whole[OTHER]))
    assert [(row.scope, row.key) for row in held] == [own]

    second = {account: world.queued(whose, "+15005550201") for account, whose in whole.items()}
    stopped = second.pop(in_trouble)
    assert _claims() == sorted(second.values())
    assert all(begin(call_id) for call_id in second.values())
    reason = why.why(stopped)
    assert reason.code == "hold"
    what = "everything" if in_trouble == ACCOUNT_SID else f"business {whole[OTHER]}"
    assert f"`outbound resume {what}`" in reason.sentence

    # After the hold one call of it is tried, and what others have in the air counts for nothing.
    world.do("update dial_control set carrier_hold_until = now() - interval '1 ms', refilled_at = '2020-01-01'")
    world.do("update call_log set due_at = now() where status = 'queued'")
    more = world.queued(whole[in_trouble], "+15005550202")
    (tried,) = _claims()
    assert tried in (stopped, more, first[in_trouble])
    assert _claims() == []


def test_an_accepted_call_of_one_account_ends_no_other_accounts_troubles(world: World, system: System) -> None:
    theirs, ours = _business(world, OTHER), _business(world)
    world.do("insert into dial_control (scope, key, troubles) values ('business', %s, 2)", str(theirs))
    world.do("update dial_control set troubles = 3 where scope = 'account'")

    dial.dial_call(world.claimed(theirs))
    assert world.rows("select scope, troubles from dial_control where troubles > 0") == [("account", 3)]
    world.do("update dial_control set troubles = 2 where scope = 'business' and key = %s", str(theirs))
    dial.dial_call(world.claimed(ours))

    assert world.rows("select scope, troubles from dial_control where troubles > 0") == [("business", 2)]


def test_each_account_of_a_business_has_the_carriers_rate_of_its_own(world: World) -> None:
    theirs = business.add("Acme", twiml="<Response/>", account=OTHER)
    for place in range(5):
        world.queued(theirs, f"+15005550{place}01")
    _worker(world, ACCOUNT_SID, OTHER)
    world.do("update dial_control set calls_per_second = 1000, tokens = 100 where scope = 'account'")

    claimed = [row.id for row in db.run(dispatch.sql.claim_due_calls, **(CLAIM | {"account_rate": 1.0}))]

    assert len(claimed) <= 1


# Callbacks


def test_a_signature_of_one_account_is_believed_for_its_own_calls_alone(
    world: World, system: System, public_url: None, address: str, nudges: Nudges
) -> None:
    theirs, ours = world.claimed(_business(world, OTHER), CALLER), world.claimed(_business(world), CALLER)
    never = world.queued(_business(world, OTHER), CALLER)
    assert begin(theirs)
    assert begin(ours)
    business.change(world.call(theirs).business_id, account="default")  # the call keeps its account
    sids = {theirs: SID, ours: "CA" + "6" * 32, never: "CA" + "7" * 32}
    tokens = {ACCOUNT_SID: AUTH_TOKEN, OTHER: OTHER_TOKEN}

    def post(call_id: int, account: str, token: str, more: str = "") -> int:
        path = _path(call_id, more)
        given = {"AccountSid": account, "CallSid": sids[call_id]}
        form = _verdict(**given) if more else _told("ringing", **given)
        return _post(address, path, form, _sign(path, form, token=token)).status_code

    for more in ("", "/answered-by"):
        for call_id, account in ((theirs, ACCOUNT_SID), (ours, OTHER), (never, ACCOUNT_SID)):
            with _NoTrace(world, nudges, "other_account"):
                assert post(call_id, account, tokens[account], more) == 403
        for account, token in ((OTHER, AUTH_TOKEN), (ACCOUNT_SID, OTHER_TOKEN)):
            with _NoTrace(world, nudges, "forged"):
                assert post(ours, account, token, more) == 403
    with _NoTrace(world, nudges, "forged"):  # without its file nobody can say who signed
        assert post(ours, THIRD, THIRD_TOKEN) == 403

    assert post(theirs, OTHER, OTHER_TOKEN) == 204
    assert post(theirs, OTHER, OTHER_TOKEN, "/answered-by") == 204
    assert post(ours, ACCOUNT_SID, AUTH_TOKEN) == 204
    assert [world.call(call_id).status for call_id in (theirs, ours, never)] == ["ringing", "ringing", "queued"]
    assert post(never, OTHER, OTHER_TOKEN) == 204  # it is held, and the carrier is asked with its account
    assert world.value("select count(*) from call_in_question") == 1


def test_a_call_that_came_in_is_of_the_account_of_its_number(
    world: World, system: System, public_url: None, address: str, nudges: Nudges
) -> None:
    theirs = _business(world, OTHER)
    number = world.value("select phone from business_number where business_id = %s", theirs)
    came = _came_in(To=number, AccountSid=OTHER)
    told = came | {"CallStatus": "completed", "SequenceNumber": "2"}

    def post(path: str, form: dict[str, str], account: str, token: str) -> int:
        form = form | {"AccountSid": account}
        return _post(address, path, form, _sign(path, form, token=token)).status_code

    with _NoTrace(world, nudges, "unknown_number"):
        assert post("/voice/inbound", came, ACCOUNT_SID, AUTH_TOKEN) == 404
    with _NoTrace(world, nudges, "forged"):
        assert post("/voice/inbound", came, OTHER, AUTH_TOKEN) == 403
    with _NoTrace(world, nudges, "other_account"):
        assert post("/voice/inbound", came, THIRD, AUTH_TOKEN) == 403
    assert post("/voice/inbound", came, OTHER, OTHER_TOKEN) == 200
    world.do("update business set carrier_account = null")
    with _NoTrace(world, nudges, "other_account"):
        assert post("/callbacks/inbound", told, ACCOUNT_SID, AUTH_TOKEN) == 403
    assert post("/callbacks/inbound", told, OTHER, OTHER_TOKEN) == 204

    (call,) = world.rows("select * from call_log")
    assert (call.status, call.carrier_account) == ("completed", OTHER)


def test_an_accounts_token_is_rotated_without_a_restart_and_without_a_refusal(
    world: World, system: System, public_url: None, address: str, nudges: Nudges
) -> None:
    call_id = world.claimed(_business(world, OTHER), CALLER)
    begin(call_id)
    path, token, over = _path(call_id), [OTHER_TOKEN], threading.Event()
    codes: list[int] = []

    def carrier() -> None:
        while not over.is_set():
            form = _told("ringing", AccountSid=OTHER, SequenceNumber=str(len(codes)))
            codes.append(_post(address, path, form, _sign(path, form, token=token[0])).status_code)

    def taken() -> None:
        count = len(codes)
        until(lambda: len(codes) > count + 3)

    calling = threading.Thread(target=carrier)
    calling.start()
    try:
        taken()
        system.give(OTHER, auth_token=OTHER_TOKEN, auth_token_secondary="next")
        taken()
        token[0] = "next"  # it is promoted at the carrier
        taken()
        system.give(OTHER, auth_token="next")
        taken()
    finally:
        over.set()
        calling.join(20)

    assert set(codes) == {204}
    form = _told("completed", AccountSid=OTHER)
    assert _post(address, path, form, _sign(path, form, token=OTHER_TOKEN)).status_code == 403


# Files


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"auth_token": ""}',
        '{"auth_token": 3}',
        '{"auth_token": "a-secret", "hush": "a-secret"}',
        '{"a-secret": 1}',
        '{"auth_token_secondary": "a-secret"}',
        '{"auth_token": "a-secret\\u200b"}',
        '{"auth_token": "a-secret", "api_key_sid": "SK1", "api_key_secret": "a-secret"}',
        json.dumps({"api_key_sid": KEY["api_key_sid"], "auth_token": "a-secret"}),
        '{"auth_token": "a-secret' + "x" * accounts.FILE_BYTES_MAX + '"}',
    ],
)
def test_a_file_that_is_no_credentials_is_none_and_none_of_it_is_told(system: System, text: str) -> None:
    system.write(THIRD, text)
    with heard() as said:
        assert accounts.credentials(THIRD) is None
    assert accounts.usable() == sorted([ACCOUNT_SID, OTHER])
    assert accounts.faults()[THIRD]
    assert "secret-" not in accounts.faults()[THIRD]
    assert "a-secret" not in said.getvalue() + accounts.faults()[THIRD]

    system.write(OTHER, text)  # what was known goes on, until a file can be read again or is gone
    assert accounts.credentials(OTHER) == accounts.Credentials((OTHER_TOKEN,))
    (system.directory / f"{OTHER}.json").unlink()
    assert accounts.credentials(OTHER) is None


def test_what_is_given_by_systemd_counts_where_no_directory_was_named(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{OTHER}.json").write_text(json.dumps(KEY | {"auth_token": OTHER_TOKEN}))
    (tmp_path / "DATABASE_URL").write_text("")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    forget_settings()

    # The simulator knows no keys.
    assert accounts.credentials(OTHER) == accounts.Credentials((OTHER_TOKEN,))
    monkeypatch.setenv("OUTBOUND_CARRIER", "twilio")
    monkeypatch.setenv("TWILIO_API_URL", "http://127.0.0.1:9")
    forget_settings()
    assert accounts.credentials(OTHER) == accounts.Credentials(
        (OTHER_TOKEN,), (KEY["api_key_sid"], KEY["api_key_secret"])
    )


def test_a_directory_that_cannot_be_read_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNTS_DIR", "/nowhere/at/all")
    with pytest.raises(SettingsError, match="TWILIO_ACCOUNTS_DIR"):
        config.load()


# Operators


def _run(*words: str) -> Any:
    return CliRunner().invoke(app.app, ["business", *words], catch_exceptions=False)


def test_an_operator_gives_a_business_an_account_and_takes_it_back(world: World, system: System) -> None:
    added = _run("add", "--name", "Acme", "--twiml", "<Response/>", "--account", THIRD)
    whose = int(added.stdout)
    assert f"{THIRD}.json" in added.stderr
    assert _run("set", str(whose), "--name", "Acme Dental").stderr == ""  # what is not given stays
    listed = json.loads(_run("list", "--json").stdout)
    assert [row["carrier_account"] for row in listed] == [THIRD]
    assert _run("set", str(whose), "--account", OTHER).stderr == ""
    assert _run("set", str(whose), "--account", "default").stderr == ""

    changes = world.rows(
        "select details from audit_change"
        " where scope = 'business' and key = %s and details::text ~ 'AC[ef]' order by id",
        str(whose),
    )
    seen = [(change.get("before") or {}, change["after"]) for row in changes for change in row.details["changes"]]
    told = [(before.get("carrier_account"), after.get("carrier_account")) for before, after in seen]
    assert told == [(None, THIRD), (THIRD, OTHER), (OTHER, None)]


@pytest.mark.parametrize("given", ["AC123", "ac" + "f" * 32, "SK" + "f" * 32, OTHER + "\n", "a-secret-token", ""])
def test_what_is_no_account_is_refused_and_changes_nothing(world: World, given: str) -> None:
    whose = _business(world, OTHER)

    with pytest.raises(business.BadBusiness, match="an account is its SID") as refused:
        business.change(whose, account=given, name="Changed")

    assert not given or given not in str(refused.value)
    assert world.rows("select name, carrier_account from business") == [("Acme", OTHER)]


def test_doctor_looks_at_each_account(world: World, system: System) -> None:
    assert carrier_checks._accounts().state == "ok"
    theirs = _business(world, OTHER)
    assert carrier_checks._accounts().state == "ok"

    without = _business(world, THIRD)
    said = carrier_checks._accounts()
    assert (said.state, said.text) == ("fail", f"{THIRD} of business {without}: its file is missing here")
    system.write(THIRD, "{")
    assert "its file is not JSON" in carrier_checks._accounts().text
    system.give(THIRD, auth_token="wrong")
    assert "does not let us in: HTTP 401" in carrier_checks._accounts().text
    system.give(THIRD, auth_token=THIRD_TOKEN)
    _worker(world, ACCOUNT_SID, THIRD)
    assert (
        f"{OTHER} of business {theirs}: The credentials of account {OTHER} are missing"
        in carrier_checks._accounts().text
    )
    world.do("update worker set accounts = %s", [OTHER, THIRD])
    assert carrier_checks._accounts().state == "ok"


def test_after_a_restore_the_calls_of_every_account_are_taken_in(world: World, system: System) -> None:
    theirs, ours = _business(world, OTHER), _business(world)
    world.do("insert into business_number (phone, business_id) values ('+15005550006', %s)", theirs)
    lost, forgotten = world.claimed(theirs), world.claimed(theirs, "+15005550201")
    dial.dial_call(lost, forgotten, world.claimed(ours, "+15005550301"))
    until(lambda: world.call(lost).call_sid and world.call(forgotten).call_sid)
    world.do("delete from call_event")
    world.do("delete from spend_reserved")
    world.do("delete from call_log where id = any(%s)", [lost, forgotten])
    waits = world.queued(theirs, "+15005550201")
    world.age(waits, 3600)
    world.do("update business set carrier_account = %s where id = %s", THIRD, ours)
    since = datetime.now(UTC) - timedelta(hours=1)

    with pytest.raises(recover.CannotRecover, match=f"{THIRD}.json"):
        recover.recover(since, wait=lambda _: None)
    world.do("update business set carrier_account = null")  # of OTHER there is still a file
    report = recover.recover(since, wait=lambda _: None)

    assert (report.known, report.bound, report.added) == (1, 1, 1)
    rows = world.rows("select to_number, carrier_account from call_log order by to_number")
    assert rows == [("+15005550101", OTHER), ("+15005550201", OTHER), ("+15005550301", None)]


def test_nothing_is_sent_without_the_credentials_of_an_account(system: System) -> None:
    order = DialOrder(1, "+15005550006", "+15005550101", None, "<Response/>", account=THIRD)
    ((call_id, answer),) = next(twilio.carrier().place_calls([order]))

    assert call_id == 1
    assert isinstance(answer, CallNotSent)
    assert THIRD in str(answer)
    assert system.asked() == []
