"""A person is shown what is known of them; one who asked to be forgotten is found nowhere and stays away."""

import json
import re
import subprocess
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest

from outbound import db
from outbound.call import CallEvent
from outbound.calls import dispatch, enqueue, events, import_calls, lead, person, recover
from outbound.database import postgres_tools
from outbound.formats import numbering_plan
from outbound.rules import audit, consent, control, registry, suppression
from outbound.rules.scope import Scope
from tests import forked
from tests.conftest import World, begin, until

pytestmark = pytest.mark.rows_only

ISRAELI = "+972501234567"
NUMBERS = {
    "Israel": (ISRAELI, "050-123-4567", "IL"),
    "the United States": ("+14155550123", "(415) 555-0123", "US"),
    "Germany": ("+4915112345678", "0151 12345678", "DE"),
    "Argentina": ("+5491123456789", "011 15-2345-6789", "AR"),
    "Brazil": ("+5511987654321", "(11) 98765-4321", "BR"),
}
SOMEBODY = "+15005550188"


def sid(number: int) -> str:
    return f"CA{number:032x}"


def outbound(*arguments: str) -> subprocess.CompletedProcess[str]:
    return forked.run(*arguments)


def writings(number: str) -> list[str]:
    """The digits by which the number would be found: with and without a plus, and as it is dialed in its country."""
    found = []
    for form in numbering_plan.forms(number):
        code, national, inside = numbering_plan.parts(form)
        found += [form, code + national, "0" + national, inside, national]
    return found


def everything(world: World) -> str:
    """Every value of every row of every table, as text, without what stands between digits."""
    tables = world.rows(
        "select format('%%I.%%I', schemaname, tablename) as name from pg_tables"
        " where schemaname not in ('pg_catalog', 'information_schema')"
    )
    rows = [str(row) for table in tables for row in world.rows(f"select t::text from {table.name} as t")]  # noqa: S608
    return "\n".join(rows)


def traces(world: World, number: str) -> list[str]:
    """Whatever holds one of the writings."""
    sought, plain = writings(number), re.sub(r"[ ().-]", "", everything(world))
    found = [writing for writing in sought if writing in plain]
    return [line for line in plain.splitlines() if any(writing in line for writing in found)] if found else []


def lived(world: World, number: str, written: str) -> int:
    """Somebody with a whole history, as commands and the carrier write it: the call's id."""
    acme = world.business()
    world.do("insert into webhook_endpoint (url, created_by) values ('https://receiver.example/', 'test')")
    country = numbering_plan.region_of(number)
    world.do("update business set default_region = %s", country)
    contact = {"name": "Dana", "phone2": written, "note": f"call {number} or {written}"}
    call = enqueue.enqueue(business_id=acme, to_number=written, key=f"lead {written}", contact=contact)
    world.worker()
    dispatch.dispatch_once()
    begin(call.call_id)
    payload = {"To": number, "Called": number, "CallStatus": "completed", "ToFormatted": written}
    for status in ("ringing", "completed"):
        events.record(call.call_id, CallEvent(sid(call.call_id), status, "callback", payload=payload))
    lead.create_lead_from_call_job(sid(call.call_id))
    consent.give_consent(written, actor="dana", business_id=acme, source=f"recording of {written}")
    consent.revoke_consent(written, actor="dana", business_id=acme)
    world.do("insert into registry_check (phone, checked_at, is_listed) values (%s, now(), false)", number)
    suppression.suppress(written, actor="dana", business_id=acme, reason=f"{written} asked twice")
    suppression.suppress(written, actor=f"clerk {number}", region=country, reason="asked")
    # Somebody else's rows, in which the number stands.
    world.queued(acme, SOMEBODY)
    world.do(
        "update call_log set contact = jsonb_build_object('referred_by', %s::text), idempotency_key = %s"
        " where to_number = %s",
        written,
        f"friend of {number.removeprefix('+')}",
        SOMEBODY,
    )
    control.pause(Scope("business", str(acme)), reason=f"complaint of {written}", actor="dana")
    assert traces(world, number)
    return call.call_id


@pytest.fixture
def forgotten(world: World, nudges: list[Any]) -> World:
    lived(world, ISRAELI, "050-123-4567")
    person.forget(ISRAELI, actor="dana")
    return world


# What is gone


@pytest.mark.parametrize("country", NUMBERS)
def test_nothing_in_the_whole_database_holds_a_forgotten_number(
    world: World, nudges: list[Any], country: str, tmp_path: Path
) -> None:
    number, written, region = NUMBERS[country]
    lived(world, number, written)

    receipt = person.forget(written, actor="dana", region=region)

    assert traces(world, number) == []
    assert receipt["deleted"] == {
        "call_log": 1,
        "call_event": 2,
        "event_log": 2,
        "call_set_aside": 0,
        "leads": 1,
        "consent": 1,
        "registry_check": 1,
        "destination": 0,
        "batch_reached": 0,
        "suppression": 2,
    }
    assert receipt["rewritten"]["call_log"] == 1
    assert audit.verify().broken is None


def test_nothing_in_a_dump_holds_it(forgotten: World) -> None:
    command = [str(postgres_tools.tool_path("psql").parent / "pg_dump"), forgotten.url]
    dump = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)

    plain = re.sub(r"[ ().-]", "", dump.stdout)
    assert [writing for writing in writings(ISRAELI) if writing in plain] == []


@pytest.mark.parametrize(
    "text",
    [
        *("+972501234567", "972501234567", "0501234567", "050-123-4567", "050 1234567", "(050) 123.45.67"),
        *("+972 50-123-4567", "+972 (0)50 123 4567", "00972501234567", "tel:+972-50-1234567", "%2B972501234567"),
        *("sip:+972501234567@example.com", "501234567", "call 0501234567, please", "972-50-123-4567x"),
    ],
)
def test_a_number_is_found_in_whichever_way_it_is_written(world: World, text: str) -> None:
    acme = world.business()
    call_id = world.queued(acme, SOMEBODY)
    world.do("update call_log set contact = jsonb_build_object('note', %s::text) where id = %s", text, call_id)

    assert person.show(ISRAELI)["known"]["call_log"][0]["id"] == call_id
    person.forget(ISRAELI, actor="dana")

    assert "1234567" not in re.sub(r"\D", "", str(world.call(call_id).contact))


def test_the_slow_pattern_is_asked_about_no_row_that_lacks_the_digits(world: World) -> None:
    world.queued(world.business(), SOMEBODY)
    search = {"core": "9999999", "pattern": "("}  # no regular expression: to ask it is an error

    assert world.rows("select source from rows_that_mention(%s, %s)", *search.values()) == []
    assert world.rows("select source from unmention(%s, %s)", *search.values()) == []
    assert db.run(person.sql.lock_calls, **search) == []
    with pytest.raises(db.Error, match="parentheses"):
        db.run(person.sql.lock_calls, core="150055", pattern="(")


@pytest.mark.parametrize("text", ["+9725012345678", "1972501234567", "05012345678", "+972502234567", "150123456"])
def test_another_s_number_is_left_as_it_is(world: World, text: str) -> None:
    call_id = world.queued(world.business(), SOMEBODY)
    world.do("update call_log set contact = jsonb_build_object('note', %s::text) where id = %s", text, call_id)

    person.forget(ISRAELI, actor="dana")

    assert world.call(call_id).contact == {"note": text}


def test_a_number_in_json_that_is_no_text_goes_too(world: World) -> None:
    call_id = world.queued(world.business(), SOMEBODY)
    world.do('update call_log set contact = \'{"phone": 972501234567, "age": 40}\' where id = %s', call_id)

    person.forget(ISRAELI, actor="dana")

    assert world.call(call_id).contact == {"phone": 0, "age": 40}


def test_an_inbound_call_with_its_lead_goes_too(world: World, nudges: list[Any]) -> None:
    world.do("update business set default_region = 'IL' where id = %s", world.business(phone="+15005550006"))
    events.record_inbound_call(sid(1), "0501234567", "+15005550006")
    events.record_by_call_sid(CallEvent(sid(1), "completed", "callback"))
    lead.create_lead_from_call_job(sid(1))
    assert world.value("select count(*) from leads") == 1

    person.forget(ISRAELI, actor="dana", region="IL")

    assert world.value("select count(*) from call_log") == world.value("select count(*) from leads") == 0
    assert traces(world, ISRAELI) == []


def test_what_is_about_others_stays_without_the_number(forgotten: World) -> None:
    (call,) = forgotten.rows("select * from call_log")
    assert (call.to_number, call.status, call.contact) == (SOMEBODY, "queued", {"referred_by": "0"})
    assert call.idempotency_key == f"forgotten:{call.id}"
    assert forgotten.value("select state from dial_control where scope = 'business'") == "paused"
    actions = [row.action for row in forgotten.rows("select distinct action from audit order by 1")]
    assert {"suppress", "give_consent", "revoke_consent", "pause", "erase", "forget_person"} <= set(actions)


def test_the_receipt_has_counts_and_no_number(world: World, nudges: list[Any]) -> None:
    lived(world, ISRAELI, "050-123-4567")

    done = outbound("person", "forget", "050-123-4567", "--by", "dana")

    assert done.returncode == 0, done.stderr
    receipt = json.loads(done.stdout)
    assert not [
        writing for writing in writings(ISRAELI) if writing in re.sub(r"[ ().-]", "", done.stdout + done.stderr)
    ]
    assert receipt["was_on_list"] is False
    assert receipt["deleted"]["call_log"] == 1
    assert receipt["audit_erased"] > 3
    assert "the carrier keeps its own records" in str(receipt["left_alone"])
    (entry,) = world.rows("select * from audit where action = 'forget_person'")
    assert (entry.id, entry.who) == (receipt["audit_entry"], "dana")


# People who stay away


def test_the_number_is_kept_as_a_keyed_hash_alone(forgotten: World) -> None:
    (entry,) = forgotten.rows("select hash from forgotten")

    assert entry.hash == forgotten.value("select person_hash(%s)", ISRAELI)
    forgotten.do("update person_key set key = sha256(key)")
    assert entry.hash != forgotten.value("select person_hash(%s)", ISRAELI)


def test_who_is_forgotten_again_is_on_the_list_once(forgotten: World) -> None:
    receipt = person.forget(ISRAELI, actor="ben")

    assert receipt["was_on_list"] is True
    assert set(receipt["deleted"].values()) == {0}
    assert forgotten.value("select count(*) from forgotten") == 1


def test_a_call_to_somebody_forgotten_is_refused_with_the_reason(forgotten: World) -> None:
    with pytest.raises(enqueue.BadCall, match="asked to be forgotten"):
        enqueue.enqueue(business_id=1, to_number="050-123-4567")

    assert traces(forgotten, ISRAELI) == []


def test_the_next_import_brings_nobody_back(forgotten: World, tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"
    file.write_text("to,note\n050-123-4567,a friend\n050-7654321,new\n")
    calls = import_calls.import_calls(file, business_id=1)
    file.write_text("phone,given,listed\n0501234567,2026-01-01,yes\n0507654321,2026-01-01,yes\n")
    listed = suppression.import_suppressions(file, actor="dana", business_id=1)
    consents = consent.import_consents(file, actor="dana", business_id=1)
    checks = registry.import_registry(file, actor="dana", checked_at="2026-01-01", region="IL")

    assert (calls.created, calls.rejected) == (1, 1)
    assert "asked to be forgotten" in calls.rejected_lines[0][1]
    assert (listed.created, listed.already_there) == (1, 1)
    for report in (consents, checks):
        (refused,) = report.rejected_lines
        assert (report.created, report.already_there, refused[0]) == (1, 0, 2)
        assert "asked to be forgotten" in refused[1]
    assert traces(forgotten, ISRAELI) == []


def test_single_entries_bring_nobody_back(forgotten: World) -> None:
    assert suppression.suppress(ISRAELI, actor="dana", reason="again").created is False
    with pytest.raises(suppression.BadSuppression, match="asked to be forgotten"):
        consent.give_consent(ISRAELI, actor="dana", business_id=1)
    consent.revoke_consent(ISRAELI, actor="dana", business_id=1)

    assert traces(forgotten, ISRAELI) == []
    assert suppression.known_of(ISRAELI)[0].fact == "forgotten"


def test_rows_by_hand_bring_nobody_back(forgotten: World) -> None:
    forgotten.do("insert into call_log (business_id, from_number, to_number) values (1, '+15005550006', %s)", ISRAELI)
    forgotten.do("insert into leads (business_id, phone) values (1, %s)", ISRAELI)

    assert traces(forgotten, ISRAELI) == []


def test_the_claim_and_the_dial_refuse_whoever_is_on_the_list(world: World, nudges: list[Any]) -> None:
    acme = world.business()
    waiting, claimed = world.queued(acme, ISRAELI), world.claimed(acme, SOMEBODY)
    world.worker()
    for number in (ISRAELI, SOMEBODY):
        world.do("insert into forgotten (hash) values (person_hash(%s))", number)

    dispatch.dispatch_once()

    assert (world.call(waiting).status, world.call(waiting).error_code) == ("canceled", "suppressed")
    assert begin(claimed) is None
    assert not nudges


def test_either_writing_of_a_telephone_is_refused(world: World, nudges: list[Any]) -> None:
    acme = world.business()
    person.forget("+5491123456789", actor="dana")

    with pytest.raises(enqueue.BadCall, match="asked to be forgotten"):
        enqueue.enqueue(business_id=acme, to_number="+541123456789")


def test_a_replayed_callback_and_a_late_job_bring_nobody_back(world: World, nudges: list[Any]) -> None:
    call_id = lived(world, ISRAELI, "050-123-4567")
    person.forget(ISRAELI, actor="dana")
    before = everything(world)

    events.record(call_id, CallEvent(sid(call_id), "completed", "callback", payload={"To": ISRAELI}))
    lead.create_lead_from_call_job(sid(call_id))

    assert traces(world, ISRAELI) == []
    assert world.value("select count(*) from call_event") == 0
    assert before.count("\n") <= everything(world).count("\n")  # counters may have grown


def test_what_the_carrier_lists_after_a_restore_brings_nobody_back(forgotten: World) -> None:
    forgotten.do("insert into dialing_stop (cause, reason) values ('recovery', 'restored')")
    told = [{"call_sid": sid(77), "from_number": "+15005550006", "to_number": ISRAELI, "created_at": "2026-01-01"}]
    forgotten.do("insert into business_number (phone, business_id) values ('+15005550006', 1) on conflict do nothing")

    (found,) = db.run(recover.sql.take_in, calls=db.json(told), early_s=5, late_s=60)

    assert found.what == "stranger"
    assert traces(forgotten, ISRAELI) == []


def test_a_call_that_was_being_written_meanwhile_goes_too(world: World, nudges: list[Any]) -> None:
    acme = world.business()
    with psycopg.connect(world.url) as slow:
        insert = "insert into call_log (business_id, from_number, to_number) values (%s, '+15005550006', %s)"
        slow.execute(insert, (acme, ISRAELI))
        receipt: dict[str, Any] = {}
        forgetting = Thread(target=lambda: receipt.update(person.forget(ISRAELI, actor="dana")))
        forgetting.start()
        until(lambda: world.value("select count(*) from forgotten") == 1)
        slow.commit()
        forgetting.join(30)

    assert receipt["deleted"]["call_log"] == 1
    assert traces(world, ISRAELI) == []


# People who cannot be forgotten now


@pytest.mark.parametrize("status", ["queued", "claimed", "initiated", "in-doubt"])
def test_somebody_whose_call_is_live_is_not_forgotten_yet(world: World, status: str) -> None:
    acme = world.business()
    make = {"queued": world.queued, "claimed": world.claimed}.get(status, world.initiated)
    call_id = make(acme, ISRAELI)
    if status == "in-doubt":
        world.do("update call_log set status = 'failed', error_code = 'no_call_sid', ended_at = now()")
    before = everything(world)

    refused = outbound("person", "forget", ISRAELI)

    assert refused.returncode == 2
    assert f"a call with this person is live: {call_id}" in refused.stderr
    assert everything(world) == before


def test_a_number_of_ones_own_is_no_person(world: World) -> None:
    world.business(phone="+15005550006")

    for refused in (outbound("person", "forget", "+15005550006"), outbound("person", "show", "+15005550006")):
        assert refused.returncode == 2
        assert "the number of a business" in refused.stderr


@pytest.mark.parametrize("number", ["", "nobody", "050-123-4567", "+972"])
def test_what_is_no_number_is_refused_by_a_clear_error(world: World, number: str) -> None:
    with pytest.raises(person.BadPerson, match="what was given"):
        person.forget(number, actor="dana")


# What is known


def test_all_that_is_known_is_shown(world: World, nudges: list[Any]) -> None:
    call_id = lived(world, ISRAELI, "050-123-4567")
    before = everything(world)

    shown = outbound("person", "show", "050-123-4567")

    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    known = found["known"]
    assert (found["number"], found["is_forgotten"]) == (ISRAELI, False)
    assert known["call_log"][0]["id"] == call_id
    assert len(known["call_event"]) == 2
    assert {event["type"] for event in known["event_log"]} == {"call.ended", "lead.created"}
    for table in ("leads", "consent", "registry_check", "suppression", "audit", "audit_change"):
        assert known[table], table
    assert everything(world) == before


def test_of_who_was_forgotten_only_that_is_known(forgotten: World) -> None:
    found = person.show(ISRAELI)

    assert found["is_forgotten"] is True
    assert set(found["known"]) <= {"audit_change"}
    assert {row["scope"] for row in found["known"].get("audit_change", [])} <= {"forgotten"}


def test_every_column_that_can_hold_a_text_is_looked_at(world: World) -> None:
    columns = world.rows(
        "select table_name, column_name from information_schema.columns"
        " where table_schema = 'public' and table_name not like '%%yoyo%%'"
        " and data_type in ('text', 'character varying', 'character', 'json', 'jsonb', 'ARRAY', 'xml')"
        " and udt_name not in ('_int8', '_int4') and table_name in (select tablename from pg_tables)"
    )
    looked_at = {row.source: row.content for row in world.rows("select * from columns_with_text()")}

    assert [row for row in columns if f"{row.column_name}::text" not in looked_at.get(row.table_name, "")] == []


def test_a_number_of_another_country_that_ends_alike_is_another_person(world: World, nudges: list[Any]) -> None:
    singapore = "+6592123456"
    lived(world, singapore, singapore)

    assert person.forget("+16592123456", actor="dana")["deleted"]["call_log"] == 0

    assert world.value("select count(*) from call_log where to_number = %s", singapore) == 1


def test_whose_very_number_was_closed_as_a_destination_can_be_forgotten(world: World, nudges: list[Any]) -> None:
    lived(world, ISRAELI, ISRAELI)
    world.do("insert into destination (place, allowed) values (%s, false)", ISRAELI)

    assert person.forget(ISRAELI, actor="dana")["deleted"]["destination"] == 1

    assert traces(world, ISRAELI) == []


def test_kept_answers_whose_keys_write_one_number_in_two_ways_are_no_obstacle(world: World) -> None:
    world.do(
        "insert into api_token (public_id, secret_sha256, name, scopes, created_by)"
        " values ('abcdefgh', sha256('s'), 'app', '{calls:read}', 'test')"
    )
    for key in ("call +12125550101", "call +1 (212) 555-0101", "other"):
        world.do("insert into api_request (token_id, key, body_sha256) values (1, %s, sha256('b'))", key)

    person.forget("+12125550101", actor="dana")

    keys = [row.key for row in world.rows("select key from api_request order by key")]
    assert [key.partition(":")[0] for key in keys] == ["forgotten", "forgotten", "other"]
