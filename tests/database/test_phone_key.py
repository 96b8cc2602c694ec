"""One telephone in two E.164 forms is one telephone; and what is no number is none wherever one is taken."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outbound import db
from outbound.calls import dispatch, enqueue, import_calls, lead
from outbound.calls.call_request import BadCall
from outbound.database import migrations
from outbound.rules import business, campaign, consent, registry, suppression
from outbound.rules.business import BadBusiness
from outbound.rules.scope import BadControl, scope_of
from outbound.rules.suppression import BadSuppression
from tests.conftest import World

pytestmark = pytest.mark.rows_only

TWINS = [
    ("+5491123456789", "+541123456789"),
    ("+5511961234567", "+551161234567"),
    ("+5215512345678", "+525512345678"),
]
BEFORE = "0019_dialing_stop"


def _import(step: Callable[..., Any], path: Path, content: str, **given: object) -> Any:
    file = path / "numbers.csv"
    file.write_text(content)
    return step(file, **given)


@pytest.mark.parametrize(("one", "other"), [*TWINS, *((other, one) for one, other in TWINS)])
def test_the_two_forms_of_a_telephone_have_one_key(world: World, one: str, other: str) -> None:
    assert world.value("select phone_key(%s) = phone_key(%s)", one, other)
    assert world.value("select phone_key(phone_key(%s)) = phone_key(%s)", one, one)


@pytest.mark.parametrize(
    "number",
    [
        "+972505550134",
        "+15005550134",
        "+541123456789",
        "+551131234567",
        "+5511961234567",
        "+525512345678",
        "+54911",
        "",
    ],
)
def test_every_other_number_is_its_own_key(world: World, number: str) -> None:
    assert world.value("select phone_key(%s)", number) == number


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_one_telephone_has_one_live_call_and_is_dialed_as_it_was_written(world: World, one: str, other: str) -> None:
    acme = world.business()

    first = enqueue.enqueue(business_id=acme, to_number=one)
    second = enqueue.enqueue(business_id=acme, to_number=other, key="another")

    assert (second.call_id, second.created) == (first.call_id, False)
    assert world.call(first.call_id).to_number == one


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_a_file_that_names_a_telephone_in_both_forms_calls_it_once_however_often(
    world: World, tmp_path: Path, one: str, other: str
) -> None:
    acme = world.business()

    first = _import(import_calls.import_calls, tmp_path, f"to\n{one}\n{other}\n", business_id=acme)
    world.do("update call_log set status = 'canceled'")
    again = _import(import_calls.import_calls, tmp_path, f"to\n{one}\n{other}\n", business_id=acme)

    assert (first.created, first.duplicates) == (again.already_there, again.duplicates) == (1, 1)
    assert again.created == 0


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_a_do_not_call_entry_holds_for_both_forms(world: World, one: str, other: str) -> None:
    acme = world.business()
    waiting = world.queued(acme, other)

    done = suppression.suppress(one, actor="ann")
    assert (done.created, done.canceled) == (True, 1)
    assert world.call(waiting).error_code == "suppressed"
    assert not suppression.suppress(other, actor="ann").created
    assert world.value("select is_suppressed(%s, %s, null)", other, acme)
    assert len(suppression.known_of(other)) == 1
    assert suppression.unsuppress(other, actor="ann")
    assert not world.value("select is_suppressed(%s, %s, null)", one, acme)


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_a_consent_and_a_check_hold_for_both_forms(world: World, tmp_path: Path, one: str, other: str) -> None:
    acme = world.business()

    assert consent.give_consent(one, actor="ann", business_id=acme)
    assert world.value("select has_consent(%s, %s)", acme, other)
    assert consent.revoke_consent(other, actor="ann", business_id=acme)
    assert not world.value("select has_consent(%s, %s)", acme, one)
    report = _import(
        registry.import_registry,
        tmp_path,
        f"phone,listed\n{one},no\n{other},yes\n",
        actor="ann",
        checked_at="2026-01-01",
    )
    assert (report.created, world.rows("select is_listed from registry_check")) == (1, [(True,)])


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_attempts_are_counted_by_the_telephone(world: World, nudges: list[object], one: str, other: str) -> None:
    acme = world.business()
    policy = world.value(
        "insert into retry_ladder (business_id, name, attempts_per_day_max, attempts_per_week_max)"
        " values (%s, 'once', 1, 1) returning id",
        acme,
    )
    world.do("update business set ladder_id = %s where id = %s", policy, acme)
    tried = world.initiated(acme, one, "CA1")
    world.do("update call_log set status = 'completed' where id = %s", tried)
    world.worker()

    again = world.queued(acme, other)
    dispatch.dispatch_once()

    assert (world.call(again).status, world.call(again).held_by) == ("queued", "attempts_per_week")


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_one_telephone_is_one_lead(world: World, one: str, other: str) -> None:
    acme = world.business()
    for sid, number in (("CA1", one), ("CA2", other)):
        world.do("update call_log set status = 'completed' where id = %s", world.initiated(acme, number, sid))
        lead.create_lead_from_call_job(sid)

    assert [row.phone for row in world.rows("select phone from leads")] == [one]
    assert world.value("select count(distinct lead_id) = 1 and bool_and(lead_id is not null) from call_log")


# Callers


@pytest.mark.parametrize(
    "said", ["+972505550134", "0505550134", "whatsapp:+972505550134", "sip:+972505550134@host", "tel:050-5550134"]
)
def test_a_caller_in_any_writing_is_the_lead_of_the_number(world: World, said: str) -> None:
    acme = world.business()
    world.do("update business set default_region = 'IL'")
    call_id = world.initiated(acme, "+972505550134", "CA1")
    world.do("update call_log set status = 'completed' where id = %s", call_id)
    lead.create_lead_from_call_job("CA1")
    world.do(
        "insert into call_log (business_id, direction, from_number, to_number, call_sid, status)"
        " values (%s, 'inbound', %s, '+15005550006', 'CA2', 'completed')",
        acme,
        said,
    )

    lead.create_lead_from_call_job("CA2")

    assert [row.phone for row in world.rows("select phone from leads")] == ["+972505550134"]
    assert world.value("select from_number from call_log where call_sid = 'CA2'") == said


@pytest.mark.parametrize(
    "said",
    [
        "266696687",
        "+2562533",
        "7378742833",
        "86282452253",
        "8656696",
        "sip:anonymous@host",
        "client:123456",
        "1" * 9014,
    ],
)
def test_who_withholds_a_number_is_no_lead(world: World, said: str) -> None:
    acme = world.business()
    world.do(
        "insert into call_log (business_id, direction, from_number, to_number, call_sid, status)"
        " values (%s, 'inbound', %s, '+15005550006', 'CA1', 'completed')",
        acme,
        said,
    )

    lead.create_lead_from_call_job("CA1")

    assert world.rows("select * from leads") == []
    assert world.count("lead", "no_phone") == 1


# One's own


def test_a_business_does_not_call_itself(world: World, tmp_path: Path) -> None:
    acme, other = world.business(phone="+5491123456789"), world.business(phone="+15005560001")

    for own in ("+5491123456789", "+541123456789"):
        with pytest.raises(BadCall, match="a number of the business itself"):
            enqueue.enqueue(business_id=acme, to_number=own)
    with pytest.raises(BadCall, match="a number of the business itself"):
        enqueue.enqueue(business_id=other, to_number="+15005550199", from_number="+15005550199")
    report = _import(import_calls.import_calls, tmp_path, "to\n+541123456789\n+15005550101\n", business_id=acme)

    assert [line for line, _ in report.rejected_lines] == [2]
    assert enqueue.enqueue(business_id=other, to_number="+5491123456789").created


# A migration that runs on a live queue


def test_what_stood_twice_of_one_telephone_is_merged_and_the_call_that_has_come_furthest_stays(
    empty_database: str,
) -> None:
    world = World(empty_database)
    migrations.migrate()
    migrations.rollback(BEFORE)
    one, other = TWINS[0]
    acme = world.business()
    ringing, queued = world.initiated(acme, one, "CA1"), world.queued(acme, other)
    both = [world.initiated(acme, number, sid) for number, sid in zip(TWINS[1], ("CA2", "CA3"), strict=True)]
    for number in (one, other):
        world.do("insert into leads (business_id, phone) values (%s, %s)", acme, number)
        world.do("insert into suppression (phone) values (%s)", number)
        world.do("insert into registry_check values (%s, now(), %s)", number, number == other)
    world.do("insert into consent (business_id, phone, given_at) values (%s, %s, now() - interval '1 day')", acme, one)
    world.do("insert into consent (business_id, phone, revoked_at) values (%s, %s, now())", acme, other)

    migrations.migrate()

    ended = "select id, status, error_code from call_log where status not in ('initiated')"
    assert sorted(world.rows(ended)) == sorted([(queued, "canceled", "superseded"), (both[0], "failed", "superseded")])
    assert {row.id for row in world.rows("select id from call_log where status = 'initiated'")} == {ringing, both[1]}
    assert world.value("select count(*) from leads where duplicate_of is null") == 1
    assert world.value("select count(*) from suppression") == 1
    assert world.rows("select is_listed from registry_check") == [(True,)]
    assert not world.value("select has_consent(%s, %s)", acme, one)
    assert world.value("select count(*) from audit where action = 'merge_phone'") == 3
    world.connection.close()


# What is no number is none wherever a number is given

NO_NUMBERS = ["0505550134.00", "03-5550134/5", "15005550134", "2026-11-30", "0000000000", "050555013", "05055501345"]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_no_command_takes_what_is_no_number(world: World, tmp_path: Path, text: str) -> None:
    acme = world.business()
    world.do("update business set default_region = 'IL'")
    before = world.rows("select * from business_number")
    ours: dict[str, Any] = {"actor": "ann", "business_id": acme}
    ours_of_registry: dict[str, Any] = {"actor": "ann", "checked_at": "2026-01-01", "region": "IL"}

    for refuse, move in (
        (BadCall, lambda: enqueue.enqueue(business_id=acme, to_number=text)),
        (BadCall, lambda: enqueue.enqueue(business_id=acme, to_number="+15005550101", from_number=text)),
        (BadSuppression, lambda: suppression.suppress(text, **ours)),
        (BadSuppression, lambda: suppression.unsuppress(text, **ours)),
        (BadSuppression, lambda: suppression.known_of(text, business_id=acme)),
        (BadSuppression, lambda: consent.give_consent(text, **ours)),
        (BadSuppression, lambda: consent.revoke_consent(text, **ours)),
        (BadBusiness, lambda: business.change(acme, default_region="IL", phones=[text])),
        (campaign.BadCampaign, lambda: campaign.add(acme, {"name": "spring"}, phones=[text], actor="ann")),
        (BadControl, lambda: scope_of("number", text)),
    ):
        with pytest.raises(refuse):
            move()
    for step, header, tail, given in (
        (import_calls.import_calls, "to", "", {"business_id": acme}),
        (suppression.import_suppressions, "phone", "", ours),
        (consent.import_consents, "phone,given", ",2026-01-01", ours),
        (
            registry.import_registry,
            "phone,listed",
            ",no",
            ours_of_registry,
        ),
    ):
        report = _import(step, tmp_path, f"{header}\n{text}{tail}\n", **given)
        assert (report.created, [line for line, _ in report.rejected_lines]) == (0, [2]), step

    nothing = "select from call_log union all select from suppression union all select from consent"
    assert world.rows(f"{nothing} union all select from registry_check") == []
    assert world.rows("select * from business_number") == before


@pytest.mark.rows_only(False)
def test_the_key_is_told_by_the_index_and_not_by_reading_the_table(world: World) -> None:
    with db.connect(world.url) as connection:
        connection.execute("set enable_seqscan = off")
        plan = str(
            connection.execute(
                "explain select from call_log where business_id = 1"
                " and phone_key(to_number) = phone_key('+5491123456789') and direction = 'outbound'"
                " and status in ('queued', 'claimed', 'initiated', 'ringing', 'in-progress')"
            ).fetchall()
        )
    assert "call_log_one_live" in plan
