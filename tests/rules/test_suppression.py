"""The do-not-call list, consents, and the answers of a do-not-call registry."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outbound import db
from outbound.calls import dial, dispatch
from outbound.formats.csv_file import BadFile, ImportReport
from outbound.rules import consent, registry, suppression
from outbound.rules.contact_list import CHUNK_ROWS
from outbound.rules.suppression import BadSuppression, Suppressed
from outbound.simulator.server import RunningSimulator
from tests.cli.test_cli import Outbound, _outbound, refuses, says
from tests.conftest import CLAIM, World, begin, until

pytestmark = pytest.mark.rows_only

TO = "+15005550101"
NO_PHONE = "+97231234567"  # what a refusal shows as an example

Written = Callable[[str | bytes], Path]


@pytest.fixture
def acme(world: World) -> int:
    return world.business("Acme")


@pytest.fixture
def other(world: World) -> int:
    return world.business("Other")


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(content: str | bytes) -> Path:
        file = tmp_path / "numbers.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write


def campaign(
    world: World, business_id: int, *, consent_required: bool = False, registry_max_age_days: int | None = None
) -> int:
    insert = (
        "insert into campaign (business_id, name, consent_required, registry_max_age_days)"
        " select %s, 'number ' || count(*), %s, %s from campaign returning id"
    )
    return int(world.value(insert, business_id, consent_required, registry_max_age_days))


def queued(world: World, business_id: int, to: str = TO, campaign_id: int | None = None, attempt: int = 1) -> int:
    insert = "insert into call_log (business_id, from_number, to_number, campaign_id, attempt)"
    values = "values (%s, '+15005550006', %s, %s, %s) returning id"
    return int(world.value(f"{insert} {values}", business_id, to, campaign_id, attempt))


def dispatched(world: World, call_id: int) -> tuple[str, str | None, str | None]:
    """What a claim made of a call: its status, its final code, and what holds it."""
    world.do("delete from worker")
    world.worker(threads=100)
    dispatch.dispatch_once()
    call = world.call(call_id)
    return call.status, call.error_code, call.held_by


def counts(report: ImportReport) -> tuple[int, int, int]:
    return report.created, report.already_there, report.rejected


CLAIMED = ("claimed", None, None)
SUPPRESSED = ("canceled", "suppressed", None)


# Do not call: for whom an entry holds.


@pytest.mark.parametrize("queued_first", [True, False])
def test_an_entry_holds_for_its_own_scope_and_for_nobody_else(
    world: World, nudges: list[object], queued_first: bool
) -> None:
    acme, other = world.business("Acme"), world.business("Other")
    spring, summer, theirs = campaign(world, acme), campaign(world, acme), campaign(world, other)
    callers = [(acme, None), (acme, spring), (acme, summer), (other, None), (other, theirs)]
    scopes: list[tuple[dict[str, int], set[tuple[int, int | None]]]] = [
        ({}, set(callers)),
        ({"business_id": acme}, {(acme, None), (acme, spring), (acme, summer)}),
        ({"business_id": other}, {(other, None), (other, theirs)}),
        ({"campaign_id": spring}, {(acme, spring)}),
        ({"business_id": acme, "campaign_id": spring}, {(acme, spring)}),
        ({"campaign_id": theirs}, {(other, theirs)}),
    ]
    calls: dict[int, tuple[str, str | None]] = {}
    for row, (scope, forbidden) in enumerate(scopes):
        for column, caller in enumerate(callers):
            to = f"+1500555{row}{column}01"
            if queued_first:
                call_id = queued(world, caller[0], to, caller[1])
                suppression.suppress(to, actor="ann", **scope)  # type: ignore[arg-type]
                expected = ("canceled", "suppressed") if caller in forbidden else ("queued", None)
                assert (world.call(call_id).status, world.call(call_id).error_code) == expected, (scope, caller)
            else:
                suppression.suppress(to, actor="ann", **scope)  # type: ignore[arg-type]
                call_id = queued(world, caller[0], to, caller[1])
            calls[call_id] = ("canceled", "suppressed") if caller in forbidden else ("claimed", None)

    world.worker(threads=100)
    dispatch.dispatch_once()

    found = {row.id: (row.status, row.error_code) for row in world.rows("select * from call_log")}
    assert found == calls


def test_a_suppressed_call_says_so_is_counted_and_is_never_nudged(
    world: World, acme: int, nudges: list[object]
) -> None:
    suppression.suppress(TO, actor="ann")
    call_id = queued(world, acme)

    assert dispatched(world, call_id) == SUPPRESSED

    call = world.call(call_id)
    assert call.error_message == "The number is on a do-not-call list."
    assert call.ended_at is not None
    assert call.overdue_at is None
    assert nudges == []
    assert (world.count("refused_by_rule", "suppressed"), world.count("ended", "canceled")) == (1, 1)


def test_a_retry_is_refused_like_a_first_try(world: World, acme: int, nudges: list[object]) -> None:
    first = queued(world, acme)
    world.do("update call_log set status = 'busy' where id = %s", first)
    suppression.suppress(TO, actor="ann", business_id=acme)
    retry = queued(world, acme, attempt=2)

    assert dispatched(world, retry) == SUPPRESSED


def test_who_suppresses_a_number_ends_its_waiting_calls_at_once_and_no_others(
    world: World, acme: int, other: int
) -> None:
    waiting, claimed, elsewhere = queued(world, acme), world.claimed(other), queued(world, acme, "+15005550102")
    paused = queued(world, world.business("Third"))
    world.do("update call_log set paused_at = now() where id = %s", paused)
    world.do("update call_log set held_by = 'outside_window', due_at = now() + interval '1 day' where id = %s", waiting)

    done = suppression.suppress("+1 (500) 555-0101", actor="ann", reason="asked on the phone")

    assert done == Suppressed(created=True, canceled=3, phone=TO)
    for call_id in (waiting, claimed, paused):
        call = world.call(call_id)
        assert (call.status, call.error_code, call.held_by, call.overdue_at) == ("canceled", "suppressed", None, None)
        assert call.error_message == "The number is on a do-not-call list."
        assert call.ended_at is not None
    assert world.call(elsewhere).status == "queued"
    assert (world.count("refused_by_rule", "suppressed"), world.count("ended", "canceled")) == (3, 3)
    (move,) = world.rows("select who, action, scope, key, details from audit")
    details = {"phone": TO, "reason": "asked on the phone", "new": True, "canceled": 3}
    assert move == ("ann", "suppress", "account", "", details)


def test_a_call_that_was_claimed_when_its_number_was_suppressed_rings_no_phone(
    world: World, acme: int, carrier: RunningSimulator
) -> None:
    call_id = world.claimed(acme)

    suppression.suppress(TO, actor="ann", business_id=acme)
    dial.dial_call(call_id)

    assert carrier.log() == []
    assert world.call(call_id).status == "canceled"


def test_a_call_that_was_claimed_when_a_file_named_its_number_rings_no_phone(
    world: World, acme: int, carrier: RunningSimulator, nudges: list[object], written: Written
) -> None:
    call_id = world.claimed(acme)

    suppression.import_suppressions(written(f"phone\n{TO}\n"), actor="ann", business_id=acme)
    dial.dial_call(call_id)

    assert carrier.log() == []
    assert world.call(call_id).status == "queued"
    assert dispatched(world, call_id) == SUPPRESSED


@pytest.mark.parametrize("status", ["initiated", "ringing", "in-progress", "completed"])
def test_a_call_that_is_dialed_already_goes_on(world: World, acme: int, status: str) -> None:
    call_id = world.initiated(acme)
    world.do("update call_log set status = %s where id = %s", status, call_id)

    assert suppression.suppress(TO, actor="ann").canceled == 0

    assert world.call(call_id).status == status


def test_a_claim_that_did_not_see_the_entry_yet_is_waited_for_and_undone(world: World, acme: int) -> None:
    call_id = queued(world, acme)
    world.worker()
    done: list[Suppressed] = []
    suppressing = Thread(target=lambda: done.append(suppression.suppress(TO, actor="ann", business_id=acme)))
    with psycopg.connect(world.url) as dispatcher:
        dispatcher.execute("set outbound.carrier = 'simulator'")
        dispatch.sql.claim_due_calls(dispatcher, **CLAIM)
        suppressing.start()
        until(lambda: world.value("select count(*) from pg_locks where not granted") == 1)
    suppressing.join(10)

    assert done == [Suppressed(created=True, canceled=1, phone=TO)]
    assert world.call(call_id).status == "canceled"


def test_a_dial_that_did_not_see_the_entry_yet_is_waited_for_and_left(world: World, acme: int) -> None:
    call_id = world.claimed(acme)
    done: list[Suppressed] = []
    suppressing = Thread(target=lambda: done.append(suppression.suppress(TO, actor="ann")))
    with psycopg.connect(world.url) as worker:
        worker.execute("set outbound.carrier = 'simulator'")
        dial.sql.begin_dials(worker, call_ids=[call_id], ask_s=60, send_s=0.1, life_s=3600)
        suppressing.start()
        until(lambda: world.value("select count(*) from pg_locks where not granted") == 1)
    suppressing.join(10)

    assert done == [Suppressed(created=True, canceled=0, phone=TO)]
    assert world.call(call_id).status == "initiated"


def test_a_second_time_nothing_is_added_and_what_was_enqueued_since_ends(world: World, acme: int) -> None:
    suppression.suppress(TO, actor="ann", reason="first")
    queued(world, acme)

    assert suppression.suppress(TO, actor="bob", reason="second") == Suppressed(created=False, canceled=1, phone=TO)

    assert world.rows("select reason from suppression") == [("first",)]
    assert [row.details["new"] for row in world.rows("select details from audit order by id")] == [True, False]


def test_an_entry_is_taken_off_in_exactly_its_scope(world: World, acme: int, nudges: list[object]) -> None:
    spring = campaign(world, acme)
    suppression.suppress(TO, actor="ann", reason="by mistake")
    suppression.suppress(TO, actor="ann", business_id=acme)

    assert not suppression.unsuppress(TO, actor="bob", campaign_id=spring)
    assert suppression.unsuppress(TO, actor="bob")
    assert dispatched(world, queued(world, acme)) == SUPPRESSED
    assert suppression.unsuppress(TO, actor="bob", business_id=acme)
    assert not suppression.unsuppress(TO, actor="bob", business_id=acme)
    assert dispatched(world, queued(world, acme)) == CLAIMED

    moves = world.rows("select who, scope, key, details ->> 'reason' as reason from audit where action = 'unsuppress'")
    assert moves == [("bob", "account", "", "by mistake"), ("bob", "business", str(acme), "")]


def test_what_is_known_of_a_number_is_told_and_to_a_business_only_its_own(world: World, acme: int, other: int) -> None:
    spring = campaign(world, acme)
    suppression.suppress(TO, actor="ann", reason="law")
    suppression.suppress(TO, actor="ann", campaign_id=spring)
    suppression.suppress(TO, actor="ann", business_id=other, reason="secret of the other")
    consent.give_consent(TO, actor="ann", business_id=other, source="form of the other")
    consent.revoke_consent(TO, actor="ann", business_id=acme)

    everything = suppression.known_of("+1 500 555 0101")
    own = suppression.known_of(TO, business_id=acme)

    assert len(everything) == 5
    assert [(row.fact, row.business_id, row.campaign_id) for row in own] == [
        ("consent_revoked", acme, None),
        ("do_not_call", None, None),
        ("do_not_call", acme, spring),
    ]
    assert "other" not in " ".join(row.words for row in own)
    assert suppression.known_of("+15005550109") == []


def test_a_number_is_read_in_the_region_that_is_given_or_its_business_s(world: World, acme: int) -> None:
    world.do("update business set default_region = 'IL' where id = %s", acme)

    suppression.suppress("050-123-4567", actor="ann", region="il")
    suppression.suppress("050-123-4568", actor="ann", business_id=acme)

    assert [row.phone for row in world.rows("select phone from suppression order by 1")] == [
        "+972501234567",
        "+972501234568",
    ]


def test_what_is_wrong_is_refused_with_its_reason_and_changes_nothing(world: World, acme: int, other: int) -> None:
    theirs = campaign(world, other)
    now = datetime.now(UTC)
    bad: list[tuple[Callable[..., object], dict[str, Any], str]] = [
        (suppression.suppress, {"phone": "12"}, "not a phone number"),
        (suppression.suppress, {"phone": "0501234567"}, "country code"),
        (suppression.suppress, {"phone": " "}, "no phone number"),
        (suppression.suppress, {"region": "XX"}, "is not a region"),
        (suppression.suppress, {"business_id": 4711}, "no business 4711"),
        (suppression.suppress, {"business_id": 10**30}, "no business"),
        (suppression.suppress, {"campaign_id": 4711}, "no campaign 4711"),
        (suppression.suppress, {"campaign_id": 10**30}, "no campaign"),
        (suppression.suppress, {"business_id": acme, "campaign_id": theirs}, f"of business {acme}"),
        (suppression.suppress, {"reason": "nul\0"}, "`reason` must be text"),
        (suppression.suppress, {"reason": "r" * 501}, "`reason` must be text"),
        (suppression.suppress, {"actor": " "}, "who decided it"),
        (suppression.unsuppress, {"campaign_id": 4711}, "no campaign 4711"),
        (consent.give_consent, {"business_id": 4711}, "no business 4711"),
        (consent.give_consent, {"business_id": acme, "given_at": now + timedelta(minutes=1)}, "in the future"),
        (consent.give_consent, {"business_id": acme, "given_at": "30/11/2026"}, "`given_at` is not a date"),
        (consent.give_consent, {"business_id": acme, "expires_at": "2020-01-01"}, "`expires_at` is not after"),
        (consent.give_consent, {"business_id": acme, "expires_at": "9999-12-31"}, "in the year 9999"),
        (consent.give_consent, {"business_id": acme, "source": "\ud800"}, "`source` must be text"),
        (consent.revoke_consent, {"business_id": acme, "phone": "nobody"}, "not a phone number"),
    ]

    for move, arguments, why in bad:
        with pytest.raises(BadSuppression) as refusal:
            move(**({"phone": TO, "actor": "ann"} | arguments))
        assert why in str(refusal.value)
        assert TO not in str(refusal.value)

    everything = "select count(*) from suppression full join consent on true full join audit on true"
    assert world.value(everything) == 0


# Consent.


def test_a_campaign_that_demands_consent_calls_only_who_has_given_it(
    world: World, acme: int, other: int, nudges: list[object]
) -> None:
    strict, free = campaign(world, acme, consent_required=True), campaign(world, acme)
    refused = ("canceled", "no_consent", None)
    for place, (prepare, expected) in enumerate(
        [
            ("nothing", refused),
            ("given", CLAIMED),
            ("expires in a moment", CLAIMED),
            ("expired", refused),
            ("revoked", refused),
            ("given to the neighbour", refused),
            ("revoked and given again", CLAIMED),
            ("never given, revoked", refused),
        ]
    ):
        to = f"+150055502{place:02d}"
        if prepare not in ("nothing", "given to the neighbour", "never given, revoked"):
            consent.give_consent(to, actor="ann", business_id=acme, expires_at=datetime.now(UTC) + timedelta(days=365))
        if "expired" in prepare:
            world.do("update consent set given_at = now() - interval '1 year', expires_at = now() where phone = %s", to)
        if "in a moment" in prepare:
            world.do("update consent set expires_at = now() + interval '1 minute' where phone = %s", to)
        if "neighbour" in prepare:
            consent.give_consent(to, actor="ann", business_id=other)
        if "revoked" in prepare:
            assert consent.revoke_consent(to, actor="ann", business_id=acme)
        if "again" in prepare:
            assert consent.give_consent(to, actor="ann", business_id=acme)

        assert dispatched(world, queued(world, acme, to, strict)) == expected, prepare

        world.do("update call_log set status = 'canceled' where status = 'claimed'")
        assert dispatched(world, queued(world, acme, to, free)) == CLAIMED, prepare


def test_a_revocation_reaches_a_call_that_waits_already(world: World, acme: int, nudges: list[object]) -> None:
    strict = campaign(world, acme, consent_required=True)
    consent.give_consent(TO, actor="ann", business_id=acme)
    call_id = queued(world, acme, campaign_id=strict, attempt=2)

    consent.revoke_consent(TO, actor="ann", business_id=acme)

    assert dispatched(world, call_id) == ("canceled", "no_consent", None)
    assert world.call(call_id).error_message.startswith("The campaign demands consent")


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("give"), st.integers(0, 9), st.one_of(st.none(), st.integers(1, 20))),
        st.tuples(st.just("revoke"), st.just(0), st.none()),
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_of_consents_in_any_order_the_latest_word_counts(
    moves: list[tuple[str, int, int | None]], world: World, acme: int
) -> None:
    """Days ago on which it was given, and how many days it held; a revocation is of today and ends all before it."""
    world.empty("consent")
    now = world.value("select now()")
    valid, latest = False, -1
    for move, day, days in moves:
        if move == "revoke":
            consent.revoke_consent(TO, actor="ann", business_id=acme)
            valid, latest = False, 100
        else:
            given_at = now - timedelta(days=10 - day)
            expires_at = None if days is None else given_at + timedelta(days=days, minutes=1)
            new = consent.give_consent(TO, actor="ann", business_id=acme, given_at=given_at, expires_at=expires_at)
            assert new == (day > latest)
            if new:
                valid, latest = days is None or day + days >= 10, day

    assert world.value("select has_consent(%s, %s)", acme, TO) == valid


def test_each_move_of_a_consent_is_in_the_audit_with_what_stood_before(world: World, acme: int) -> None:
    consent.give_consent(TO, actor="ann", business_id=acme, source="form 12", expires_at="2199-01-01")
    assert not consent.give_consent(TO, actor="eve", business_id=acme, given_at="2020-01-01")
    consent.revoke_consent(TO, actor="bob", business_id=acme)
    assert not consent.revoke_consent(TO, actor="eve", business_id=acme)

    first, second = world.rows("select who, action, scope, key, details from audit order by id")
    assert first[:4] == ("ann", "give_consent", "business", str(acme))
    assert (first.details["phone"], first.details["source"]) == (TO, "form 12")
    assert second[:4] == ("bob", "revoke_consent", "business", str(acme))
    assert second.details["source"] == "form 12"


def test_an_expiry_is_read_in_the_business_s_time_zone(world: World, acme: int) -> None:
    world.do("update business set time_zone = 'Asia/Jerusalem'")

    consent.give_consent(TO, actor="ann", business_id=acme, given_at="2026-01-02", expires_at="2199-06-01T12:00")

    (row,) = world.rows("select given_at, expires_at from consent")
    assert row.given_at == datetime(2026, 1, 1, 22, tzinfo=UTC)
    assert row.expires_at == datetime(2199, 6, 1, 9, tzinfo=UTC)


# The registry.


def test_a_check_holds_for_fifteen_days_and_then_the_call_waits_for_another(
    world: World, acme: int, nudges: list[object], written: Written
) -> None:
    israel = campaign(world, acme, registry_max_age_days=15)
    held = ("queued", None, "registry_check_old")
    for place, (age, expected) in enumerate(
        [(None, held), ("14 days 23:59", CLAIMED), ("15 days", held), ("200 days", held)]
    ):
        to = f"+1500555020{place}"
        if age is not None:
            registry.import_registry(written(f"phone,listed\n{to},no\n"), actor="ann", checked_at=datetime.now(UTC))
            world.do("update registry_check set checked_at = now() - %s::interval where phone = %s", age, to)

        call_id = queued(world, acme, to, israel)

        assert dispatched(world, call_id) == expected, age
        if expected == held:
            assert world.value("select due_at > now() + interval '14 minutes' from call_log where id = %s", call_id)


def test_a_listed_number_is_called_only_with_consent(
    world: World, acme: int, nudges: list[object], written: Written
) -> None:
    israel, abroad = campaign(world, acme, registry_max_age_days=15), campaign(world, acme)
    file = written("phone,listed\n" + "".join(f"+1500555030{place},yes\n" for place in range(5)))
    registry.import_registry(file, actor="ann", checked_at=datetime.now(UTC))
    for place in (1, 2, 3):
        consent.give_consent(f"+1500555030{place}", actor="ann", business_id=acme)
    consent.revoke_consent("+15005550302", actor="ann", business_id=acme)
    world.do("update registry_check set checked_at = now() - interval '16 days' where phone like '%%3'")
    calls = [queued(world, acme, f"+1500555030{place}", abroad if place == 4 else israel) for place in range(5)]

    listed = ("canceled", "registry_listed", None)
    # The fourth was checked long ago, and a new check could not change what its consent allows.
    assert [dispatched(world, call_id) for call_id in calls] == [listed, CLAIMED, listed, CLAIMED, CLAIMED]


def test_a_new_check_makes_the_calls_that_waited_for_it_due_at_once_and_no_others(
    world: World, acme: int, other: int, nudges: list[object], written: Written
) -> None:
    israel, theirs = (campaign(world, business_id, registry_max_age_days=15) for business_id in (acme, other))
    calls = [queued(world, acme, campaign_id=israel), queued(world, other, campaign_id=theirs)]
    unchecked = queued(world, acme, "+15005550102", israel)
    outside = queued(world, acme, "+15005550103", israel)
    for call_id in (*calls, unchecked, outside):
        dispatched(world, call_id)
    world.do("update call_log set held_by = 'outside_window' where id = %s", outside)

    file = written(f"phone,listed\n{TO},no\n+15005550103,no\n")
    report = registry.import_registry(file, actor="ann", checked_at=datetime.now(UTC))

    assert counts(report) == (2, 0, 0)
    assert [dispatched(world, call_id) for call_id in calls] == [CLAIMED, CLAIMED]
    assert dispatched(world, unchecked) == ("queued", None, "registry_check_old")
    assert dispatched(world, outside) == ("queued", None, "outside_window")
    (move,) = world.rows("select who, action, scope, key, details ->> 'due' as due from audit")
    assert move == ("ann", "import_registry", "account", "", "2")


def test_of_two_checks_the_newer_counts_and_of_one_moment_the_one_that_forbids(world: World, written: Written) -> None:
    def imported(days_ago: int, *listed: str) -> tuple[int, int, int]:
        file = written("phone,listed\n" + "".join(f"{TO},{word}\n" for word in listed))
        moment = now - timedelta(days=days_ago)
        return counts(registry.import_registry(file, actor="ann", checked_at=moment))

    now = world.value("select now()")
    assert imported(5, "no") == (1, 0, 0)
    assert imported(9, "yes") == (0, 1, 0)
    assert world.value("select is_listed from registry_check") is False
    assert imported(5, "yes") == (1, 0, 0)
    assert imported(5, "no") == (0, 1, 0)
    assert world.value("select is_listed from registry_check") is True
    assert imported(0, "no", "כן", "no") == (1, 2, 0)
    assert world.value("select is_listed from registry_check") is True


def test_when_a_registry_was_asked_must_be_said_in_full_and_is_not_in_the_future(
    world: World, written: Written
) -> None:
    file = written(f"phone,listed\n{TO},no\n")
    for moment, why in (
        ("2026-11-01T09:00", "has no offset"),
        ("yesterday", "is not a date"),
        (datetime.now(UTC) + timedelta(minutes=1), "in the future"),
    ):
        with pytest.raises(BadSuppression, match=why):
            registry.import_registry(file, actor="ann", checked_at=moment)
    assert world.value("select count(*) from registry_check") == 0

    registry.import_registry(file, actor="ann", checked_at="2026-01-30")
    assert world.value("select checked_at from registry_check") == datetime(2026, 1, 30, tzinfo=UTC)


# Files.


def test_a_file_is_imported_once_however_often_and_each_number_keeps_its_reason(
    world: World, acme: int, written: Written
) -> None:
    file = written(f"phone,reason\n{TO},asked\n+15005550102,\n+1 500 555 0101,asked again\n")

    first = suppression.import_suppressions(file, actor="ann", business_id=acme)
    second = suppression.import_suppressions(file, actor="bob", business_id=acme)

    assert (counts(first), counts(second)) == ((2, 1, 0), (0, 3, 0))
    assert world.rows("select phone, reason from suppression order by 1") == [
        (TO, "asked"),
        ("+15005550102", "numbers.csv"),
    ]
    (move,) = world.rows("select who, action, scope, key, details from audit")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    details = {"file": "numbers.csv", "new": 2, "sha256": digest}
    assert move == ("ann", "import_suppressions", "business", str(acme), details)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1255", "utf-16"])
@pytest.mark.parametrize("header", ["phone,reason", "PHONE , Reason", "טלפון,סיבה"])
def test_a_file_may_come_out_of_any_spreadsheet(world: World, written: Written, header: str, encoding: str) -> None:
    file = written(f'{header}\r\n"{TO}","ביקש"\r\n'.encode(encoding))

    assert counts(suppression.import_suppressions(file, actor="ann")) == (1, 0, 0)

    assert world.rows("select phone, reason from suppression") == [(TO, "ביקש")]


def test_bad_lines_are_named_without_their_numbers_and_the_good_ones_go_in(
    world: World, acme: int, written: Written
) -> None:
    file = written(
        b"phone,reason\n+15005550101,\n0501234567,\nnobody,\n,only a reason\n\n+15005550102\n"
        b'+15005550103,"broken"quote\n+15005550104,' + b"r" * 501 + b"\n+15005550105,nul\0\n+15005550106,,,many\n"
        b'+15005550107,"never closed\n+15005550108,\n'
    )

    report = suppression.import_suppressions(file, actor="ann", business_id=acme)

    assert counts(report) == (2, 0, 9)
    reasons = dict(report.rejected_lines)
    assert set(reasons) == {3, 4, 5, 8, 9, 10, 11, 12}
    assert "country code" in reasons[3]
    assert "no phone number" in reasons[5]
    assert "lines 12 to 13" in reasons[12]
    assert not [reason for reason in reasons.values() if "5005550" in reason or "0501234567" in reason]
    assert [row.phone for row in world.rows("select phone from suppression order by 1")] == [TO, "+15005550102"]


def test_bad_lines_of_consents_and_checks_are_named(world: World, acme: int, written: Written) -> None:
    consents = written(
        "phone,given,expires,source\n"
        f"{TO},2026-01-01,2199-01-01,form 1\n"
        "+15005550102,,,\n"
        "+15005550103,2199-01-01,,\n"
        "+15005550104,2026-01-01,2025-01-01,\n"
        "+15005550105,1/2/2026,,\n"
        "+15005550106,2026-01-01,,\n"
        '+15005550107,2026-01-01,,"form 2\nof the fair"\n'
    )
    of_consents = consent.import_consents(consents, actor="ann", business_id=acme)
    checks = written(f"phone,listed\n{TO},yes\n+15005550102,\n+15005550103,perhaps\n+15005550104, No \n")
    of_checks = registry.import_registry(checks, actor="ann", checked_at="2026-01-01")

    assert counts(of_consents) == (3, 0, 4)
    assert [line for line, _ in of_consents.rejected_lines] == [3, 4, 5, 6]
    assert world.rows("select phone, source from consent order by 1") == [
        (TO, "form 1"),
        ("+15005550106", "numbers.csv"),
        ("+15005550107", "form 2 of the fair"),
    ]
    assert counts(of_checks) == (2, 0, 2)
    assert [line for line, _ in of_checks.rejected_lines] == [3, 4]


@pytest.mark.parametrize("content", ["", f"{TO}\n", "reason\nasked\n", f"phone,phone\n{TO},{TO}\n"])
def test_a_file_without_a_column_for_the_number_is_refused_whole(world: World, written: Written, content: str) -> None:
    with pytest.raises(BadFile) as refusal:
        suppression.import_suppressions(written(content), actor="ann")

    assert TO not in str(refusal.value)
    assert world.value("select count(*) from suppression") == 0


def test_a_file_must_say_when_consent_was_given_and_what_the_registry_answered(
    world: World, acme: int, written: Written
) -> None:
    with pytest.raises(BadFile, match="no column is named `given_at`"):
        consent.import_consents(written(f"phone\n{TO}\n"), actor="ann", business_id=acme)
    with pytest.raises(BadFile, match="no column is named `listed`"):
        registry.import_registry(written(f"phone\n{TO}\n"), actor="ann", checked_at="2026-01-01")


def test_a_file_of_consents_that_is_imported_again_revives_none_that_was_revoked(
    world: World, acme: int, written: Written
) -> None:
    file = written(f"phone\n{TO}\n{TO}\n+15005550102\n")
    first = consent.import_consents(file, actor="ann", business_id=acme, given_at="2026-01-01")
    consent.revoke_consent(TO, actor="ann", business_id=acme)
    consent.revoke_consent("+15005550103", actor="ann", business_id=acme)  # before any was on record

    again = consent.import_consents(
        written(f"phone\n{TO}\n{TO}\n+15005550102\n+15005550103\n"),
        actor="ann",
        business_id=acme,
        given_at="2026-01-01",
    )

    assert (counts(first), counts(again)) == ((2, 1, 0), (0, 4, 0))
    valid = "select phone from consent where has_consent(business_id, phone)"
    assert world.rows(valid) == [("+15005550102",)]


CELLS = st.one_of(
    st.sampled_from(
        [TO, "+15005550102", "12", "", "yes", "no", "2026-01-01", "2199-12-31", "0001-01-01T00:00+14", "\0"]
    ),
    st.text(st.characters(codec="utf-8"), max_size=12),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(CELLS, min_size=5, max_size=5), max_size=8))
def test_every_row_of_any_file_is_new_or_there_already_or_refused(
    rows: list[list[str]], world: World, acme: int, tmp_path: Path
) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["phone", "listed", "given", "expires", "reason"], *rows])
    file = tmp_path / "any.csv"
    file.write_bytes(text.getvalue().encode())
    world.empty("suppression", "consent", "registry_check")

    reports = {
        "suppression": suppression.import_suppressions(file, actor="ann"),
        "consent": consent.import_consents(file, actor="ann", business_id=acme),
        "registry_check": registry.import_registry(file, actor="ann", checked_at="2026-01-01"),
    }

    for table, report in reports.items():
        assert sum(counts(report)) == sum(any(map(str.strip, row)) for row in rows), table
    assert reports["suppression"].created == world.value("select count(*) from suppression")
    # A later consent, or an answer that forbids, is news of a number that is there.
    assert reports["consent"].created >= world.value("select count(*) from consent")
    assert reports["registry_check"].created >= world.value("select count(*) from registry_check")


def numbers(count: int) -> list[str]:
    return [f"+1500{5_000_000 + n}" for n in range(count)]


def test_an_import_that_was_interrupted_keeps_what_it_has_and_is_finished_by_a_second(
    world: World, written: Written
) -> None:
    file = written("\n".join(["phone", *numbers(2 * CHUNK_ROWS + 500)]))
    seen: list[int] = []

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        suppression.import_suppressions(file, actor="ann", progress=interrupt)
    assert world.value("select count(*) from suppression") == CHUNK_ROWS

    report = suppression.import_suppressions(file, actor="ann", progress=seen.append)

    assert counts(report) == (CHUNK_ROWS + 500, CHUNK_ROWS, 0)
    assert world.value("select count(*) from suppression") == 2 * CHUNK_ROWS + 500
    assert [row.new for row in world.rows("select details ->> 'new' as new from audit order by id")] == [
        str(CHUNK_ROWS),
        str(CHUNK_ROWS),
        "500",
    ]
    assert len(seen) == 3
    assert seen == sorted(seen)
    assert seen[-1] == file.stat().st_size


def test_two_imports_of_the_same_numbers_in_opposite_orders_both_end(world: World, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join(["phone,listed", *(f"{to},no" for to in numbers(3000))]))
    (tmp_path / "b.csv").write_text("\n".join(["phone,listed", *(f"{to},no" for to in reversed(numbers(3000)))]))
    reports: list[ImportReport] = []

    def run(name: str) -> None:
        reports.append(suppression.import_suppressions(tmp_path / name, actor="ann"))
        reports.append(registry.import_registry(tmp_path / name, actor="ann", checked_at="2026-01-01"))

    threads = [Thread(target=run, args=(name,)) for name in ("a.csv", "b.csv")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sum(report.created for report in reports) == 6000
    assert sum(report.already_there for report in reports) == 6000


@pytest.fixture
def importer(world: World) -> Iterator[psycopg.Connection[Any]]:
    """An import whose chunk is not committed yet."""
    with psycopg.connect(world.url) as connection:
        yield connection
        connection.rollback()


def test_a_chunk_that_is_being_imported_keeps_no_call_from_being_claimed_and_dialed(
    world: World, acme: int, nudges: list[object], importer: psycopg.Connection[Any]
) -> None:
    israel = campaign(world, acme, registry_max_age_days=15)
    waits = queued(world, acme, "+15005550109", israel)
    dispatched(world, waits)
    world.age(waits, 3600)
    free, named = queued(world, acme, "+15005550108"), queued(world, acme)
    audit = {"who": "ann", "details": db.json({})}
    scope = {"business_id": acme, "campaign_id": None, "scope": "business", "key": str(acme)}
    suppression.sql.suppress_numbers(importer, phones=[TO], reasons=[""], **scope, **audit)
    given = {"given_ats": [datetime.now(UTC)], "expires_ats": [None], "sources": [""], "action": "import_consents"}
    consent.sql.give_consents(importer, business_id=acme, phones=[TO], **given, **audit)
    check = {"phones": ["+15005550109"], "listed": [False], "checked_at": datetime.now(UTC)}
    registry.sql.record_checks(importer, **check, **audit)
    world.do("set statement_timeout = '5s'")

    assert dispatched(world, free) == CLAIMED
    assert world.call(named).status == "claimed"  # the entry is not there yet
    assert world.call(waits).status == "queued"  # it is being given its new turn
    assert begin(free) is not None
    queued(world, acme, "+15005550107")

    importer.commit()
    assert begin(named) is None
    assert dispatched(world, named) == SUPPRESSED
    assert world.call(waits).status == "claimed"


def test_an_import_does_not_wait_for_a_dispatcher_in_the_middle_of_its_turn(
    world: World, acme: int, written: Written
) -> None:
    queued(world, acme)
    world.worker()
    with psycopg.connect(world.url) as dispatcher:
        dispatch.sql.claim_due_calls(dispatcher, **CLAIM)

        report = suppression.import_suppressions(written(f"phone\n{TO}\n"), actor="ann", business_id=acme)

    assert counts(report) == (1, 0, 0)


# What it costs.


@pytest.mark.rows_only(False)
def test_a_claim_finds_an_entry_among_a_hundred_thousand_by_the_index(
    world: World, acme: int, nudges: list[object]
) -> None:
    world.do(
        "with many as (select '+1600' || n as phone from generate_series(1000001, 1100000) as n),"
        " suppressed as (insert into suppression (phone) select phone from many),"
        " agreed as (insert into consent (business_id, phone, given_at) select %s, phone, now() from many)"
        " insert into registry_check (phone, checked_at, is_listed) select phone, now(), false from many",
        acme,
    )
    strict = campaign(world, acme, consent_required=True, registry_max_age_days=15)
    for place in range(10):
        queued(world, acme, f"+1500555020{place}", strict)
        queued(world, acme, f"+160010000{place + 10}", strict)
    world.worker(threads=100)

    with psycopg.connect(world.url) as dispatcher:
        moved = dispatch.sql.claim_due_calls(dispatcher, **CLAIM)
        reads = dispatcher.execute(
            "select relname, seq_scan, idx_scan, idx_tup_fetch from pg_stat_xact_user_tables"
            " where relname in ('suppression', 'consent', 'registry_check') order by relname"
        ).fetchall()

    assert len(moved) == 20
    assert len(reads) == 3
    for table, scans, lookups, rows in reads:
        assert scans == 0, table
        assert lookups <= 20, table
        assert rows <= 20, table


@pytest.mark.rows_only(False)
def test_suppressing_one_number_and_a_chunk_of_checks_look_only_at_calls_of_their_numbers(world: World) -> None:
    world.do("insert into business (name, twiml) select 'b' || n, '<Response/>' from generate_series(1, 300) as n")
    world.do(
        "insert into call_log (business_id, from_number, to_number)"
        " select 1 + n %% 300, '+15005550006', '+1500' || (5550001 + n) from generate_series(1, 30000) as n"
    )
    world.do("update call_log set held_by = 'registry_check_old' where id %% 2 = 0")
    world.do("vacuum analyze call_log, business")
    audit = {"who": "ann", "details": db.json({})}
    everybody = {"business_id": None, "campaign_id": None, "scope": "account", "key": ""}
    statements: list[tuple[Any, dict[str, Any]]] = [
        (suppression.sql.suppress_number, {"phone": TO, "reason": "", "who": "ann", **everybody}),
        (
            registry.sql.record_checks,
            {
                "phones": [f"+1500{5_550_000 - n}" for n in range(-1, 999)],
                "listed": [False] * 1000,
                "checked_at": datetime.now(UTC),
                **audit,
            },
        ),
    ]
    for statement, parameters in statements:
        with psycopg.connect(world.url) as connection:
            statement(connection, **parameters)
            ((scans, rows),) = connection.execute(
                "select seq_scan, idx_tup_fetch from pg_stat_xact_user_tables where relname = 'call_log'"
            ).fetchall()
            connection.rollback()

        assert scans == 0
        assert rows <= 4  # two are theirs, each found once and written once


# The command.


@pytest.fixture
def outbound(database: str, tmp_path: Path) -> Outbound:
    return _outbound(database, tmp_path)


def test_the_operator_suppresses_checks_and_takes_off(world: World, outbound: Outbound) -> None:
    world.business()
    queued(world, 1)

    refuses(outbound("suppress", "add", TO), "say for whom: --everybody, or --business, or --campaign")
    refuses(outbound("suppress", "add", "12", "--everybody"), "`phone` is not a phone number")
    on_the_list = f"{TO} is on the do-not-call list of business 1:"
    add = ("suppress", "add", TO, "--business", "1")
    says(outbound(*add, "--by", "ann"), f"{on_the_list} added, 1 waiting calls canceled")
    says(outbound(*add), f"{on_the_list} there already, 0 waiting calls canceled")
    (entry,) = json.loads(outbound("suppress", "check", TO, "--json").stdout)
    assert (entry["fact"], entry["business_id"], entry["campaign_id"]) == ("do_not_call", 1, None)
    says(outbound("suppress", "remove", TO, "--business", "1"), "removed")
    assert outbound("suppress", "remove", TO, "--business", "1").returncode == 1
    says(outbound("suppress", "check", TO), "nothing is known of it")
    assert world.rows("select who from audit order by id")[0] == ("ann",)
    assert all(row.who for row in world.rows("select who from audit"))


def test_a_number_without_a_code_is_read_in_the_region_that_all_businesses_have(
    world: World, outbound: Outbound
) -> None:
    world.business()
    world.do("update business set default_region = 'US'")

    says(
        outbound("suppress", "add", "646-555-0161", "--everybody"),
        "+16465550161 is on the do-not-call list of everybody: added, 0 waiting calls canceled",
    )
    assert "do not call" in outbound("suppress", "check", "646-555-0161").stdout
    says(outbound("suppress", "remove", "646-555-0161", "--everybody"), "removed")
    assert "US" in outbound("destination", "check", "646-555-0161", "--business", "1").stdout
    refuses(outbound("cancel", "number", "(617) 555-0144", "--dry-run"), "nobody calls from this number: ")
    world.business("Hadar")
    world.do("update business set default_region = 'IL' where name = 'Hadar'")
    refuses(outbound("suppress", "add", "646-555-0161", "--everybody"), "`phone` is not a phone number; looks like ")


def test_the_operator_imports_files_and_bad_lines_are_named(world: World, outbound: Outbound, written: Written) -> None:
    world.business()
    file = str(written(f"phone,listed,given\n{TO},yes,2026-01-01\n12,no,2026-01-01\n"))

    moves = [
        ("suppress", "import", file, "--everybody"),
        ("consent", "import", file, "--business", "1"),
        ("registry", "import", file, "--checked-at", "2026-01-01"),
    ]
    for move in moves:
        done = outbound(*move)
        assert done.returncode == 1, done.stderr
        assert done.stdout == "1 new, 0 there already, 1 refused\n"
        assert done.stderr.splitlines()[-1].startswith("line 3: `phone` is not a phone number")

    says(outbound("consent", "revoke", TO, "--business", "1"), "revoked")
    says(outbound("consent", "give", TO, "--business", "1", "--expires-at", "2199-01-01"), "written")
    refuses(outbound("registry", "import", file, "--checked-at", "2199-01-01"), "`checked_at` lies in the future")
