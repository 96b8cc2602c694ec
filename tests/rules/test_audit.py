"""A change of what is dialed, by whatever program, leaves a trace, and a trace that was touched is found."""

import hashlib
import json
import subprocess
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest

from outbound import db
from outbound.calls import dispatch, import_calls
from outbound.database import migrations
from outbound.rules import audit, business, control, suppression
from outbound.rules.limits import set_limits
from outbound.rules.scope import Scope
from tests import forked
from tests.conftest import World, until

pytestmark = pytest.mark.rows_only

TO = "+15005550101"
# Tables whose rows say nobody's decision: what happens to calls, what processes count and say, and the audit itself.
NOT_DECISIONS = {
    *("adopted", "adoption", "audit", "audit_change", "audit_head", "audit_link", "bridge_due", "bridge_region"),
    *(
        "call_event",
        "call_import",
        "call_log",
        "call_set_aside",
        "counter",
        "dials_begun",
        "duty",
        "former_zone",
        "identity",
        "leads",
    ),
    *("number_range", "person_key", "phone_zone", "spend", "spend_reserved", "country_called"),
    # That a token is made or revoked is an entry of the commands; its last use is noted each minute.
    *("api_request", "api_token", "page_session"),
    # A change of an endpoint is an entry, too; each delivery notes whether it takes what it is sent.
    *("event_log", "event_reader", "webhook_delivery", "webhook_endpoint"),
    *("batch_reached", "call_in_question", "untagged_callback", "web_presence", "worker"),
}


def outbound(*arguments: str) -> subprocess.CompletedProcess[str]:
    return forked.run(*arguments)


def changes(world: World, table: str) -> list[Any]:
    return world.rows("select * from audit_change where scope = %s order by id", table)


# What is written


def test_every_table_of_decisions_is_audited_and_each_other_one_is_known_here(world: World) -> None:
    audited = world.rows(
        "select distinct tgrelid::regclass::text as name from pg_trigger where tgname like '%%_audit_update'"
    )

    assert {row.name for row in audited} == set(migrations.known_tables()) - NOT_DECISIONS


def test_a_change_by_hand_is_written_with_the_role_the_user_and_what_was_before(world: World) -> None:
    acme = world.business()
    url = "https://ann:secret@voice.example/1"

    world.do("set outbound.os_user = 'root'; set outbound.by = 'dana'")
    world.do("update business set voice_url = %s, twiml = null where id = %s", url, acme)

    change = changes(world, "business")[-1]
    assert (change.action, change.key, change.who, change.os_user) == ("update", str(acme), "dana", "root")
    assert change.db_user == world.value("select session_user::text")
    assert change.details == {
        "rows": 1,
        "changes": [
            {
                "id": acme,
                "before": {"voice_url": None, "twiml": "<Response/>"},
                "after": {"voice_url": "https://***@voice.example/1", "twiml": None},
            }
        ],
    }


@pytest.mark.parametrize(
    ("table", "insert", "update"),
    [
        ("business_number", "insert into business_number values ('+15005550999', 1)", "created_at = now()"),
        ("campaign", "insert into campaign (business_id, name) values (1, 'May')", "name = 'June'"),
        ("campaign_number", "insert into campaign_number values (1, '+15005550006')", "phone = '+15005550007'"),
        ("retry_ladder", "insert into retry_ladder values (default, 1, 'often', 1, 2)", "name = 'rarely'"),
        ("calling_window", "insert into calling_window (name, hours) values ('day', '{[540,1020)}')", "name = 'night'"),
        ("calling_day", "insert into calling_day (window_id, day) values (1, '2026-01-01')", "note = 'a feast'"),
        ("consent", f"insert into consent (business_id, phone, given_at) values (1, '{TO}', now())", "source = 'form'"),  # noqa: S608
        ("registry_check", f"insert into registry_check values ('{TO}', now(), true)", "is_listed = false"),  # noqa: S608
        ("suppression", f"insert into suppression (phone) values ('{TO}')", "reason = 'asked'"),  # noqa: S608
        ("dialing_stop", "insert into dialing_stop (cause, reason) values ('broker', 'flushed')", "reason = 'lost'"),
        (
            "dial_control",
            "insert into dial_control (scope, key, state) values ('business', '1', 'paused')",
            "weight = 2",
        ),
    ],
)
def test_an_insert_an_update_and_a_delete_are_written(world: World, table: str, insert: str, update: str) -> None:
    world.business()
    if table == "campaign_number":
        world.do("insert into campaign (business_id, name) values (1, 'May')")
    if table == "calling_day":
        world.do("insert into calling_window (name, hours) values ('day', '{[540,1020)}')")
    world.do("delete from dial_control")
    before = len(changes(world, table))

    world.do(insert)
    world.do(f"update {table} set {update}")  # noqa: S608
    world.do(f"update {table} set {update.replace('now()', 'created_at')}")  # noqa: S608 (nothing new)
    world.do(f"delete from {table} where true")  # noqa: S608

    written = changes(world, table)[before:]
    assert [change.action for change in written] == ["insert", "update", "delete"]
    assert TO not in str(written)
    assert audit.verify().broken is None


def test_what_dispatch_and_the_carrier_move_is_not_a_decision(world: World, nudges: list[Any]) -> None:
    acme = world.business()
    world.worker()
    set_limits(Scope("account", ""), calls_per_second="100")
    for place in range(20):
        world.queued(acme, f"+15005571{place:02}01")
    before = len(changes(world, "dial_control"))

    until(lambda: dispatch.dispatch_once() == 0 and len(nudges) > 0)
    world.do("update dial_control set tokens = tokens + 1, served = served + 1, troubles = 3, refilled_at = now()")

    assert world.value("select count(*) from dial_control") > 1
    assert len(changes(world, "dial_control")) == before


def test_a_file_is_written_as_counts_and_its_digest(world: World, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("phone\n" + "".join(f"+1500557{place:04}\n" for place in range(1500)))

    suppression.import_suppressions(file, actor="dana")

    moves = world.rows("select details from audit where action = 'import_suppressions' order by id")
    assert [move.details["new"] for move in moves] == [1000, 500]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert {move.details["sha256"] for move in moves} == {digest}
    assert [change.details for change in changes(world, "suppression")] == [{"rows": 1000}, {"rows": 500}]


def test_an_import_of_calls_is_written_with_its_digest_and_counts(world: World, tmp_path: Path) -> None:
    acme = world.business()
    file = tmp_path / "calls.csv"
    file.write_text("to\n+15005550101\n+15005550102\nnobody\n")

    import_calls.import_calls(file, business_id=acme, actor="dana")

    (entry,) = world.rows("select who, scope, key, details from audit where action = 'import_calls'")
    assert (entry.who, entry.scope, entry.key) == ("dana", "business", str(acme))
    assert entry.details["created"] == 2
    assert entry.details["rejected"] == 1
    assert entry.details["is_whole"] is True
    assert len(entry.details["sha256"]) == 64


def test_the_name_after_by_the_user_and_the_role_are_three(world: World) -> None:
    acme = world.business()

    done = outbound("business", "set", str(acme), "--name", "Acme & sons", "--by", "dana")

    assert done.returncode == 0, done.stderr
    entry = json.loads(outbound("audit", "--last", "1", "--json").stdout)[0]
    assert (entry["scope"], entry["action"], entry["key"]) == ("business", "update", str(acme))
    assert entry["who"] == "dana"
    assert entry["os_user"] not in (None, "dana")
    assert entry["db_user"] == world.value("select session_user::text")
    assert entry["details"]["changes"][0]["after"] == {"name": "Acme & sons"}


def test_nobody_says_who_they_are_in_the_place_of_the_server(world: World) -> None:
    world.do("insert into audit (who, action, scope, key, db_user) values ('eve', 'pause', 'account', '', 'postgres0')")

    assert world.value("select db_user from audit") == world.value("select session_user::text")


# The chain


def broken(world: World) -> tuple[str, str] | None:
    found = audit.verify().broken
    return found and (found.entry, found.fault)


@pytest.fixture
def written(world: World) -> World:
    """Some entries of both kinds, by one role."""
    for place in range(5):
        world.business(f"business {place}")
        control.pause(Scope("account", ""), reason=f"reason {place}", actor="dana")
    assert audit.verify().broken is None
    world.do("set session_replication_role = replica")  # the owner of the tables can
    return world


def test_a_chain_that_nobody_touched_holds(world: World) -> None:
    assert audit.verify() == audit.Chain(0, "0:", None)

    world.business()

    verdict = audit.verify()
    assert verdict.links == world.value("select count(*) from audit_change")
    assert verdict.broken is None


@pytest.mark.parametrize(
    ("tampering", "entry", "fault"),
    [
        ("update audit set who = 'ben' where id = 3", "audit 3", "changed"),
        ("update audit set at = at - interval '1 day' where id = 3", "audit 3", "changed"),
        ("update audit set action = 'resume' where id = 3", "audit 3", "changed"),
        ("update audit set db_user = 'ben' where id = 3", "audit 3", "changed"),
        ("update audit set os_user = 'ben' where id = 3", "audit 3", "changed"),
        ("update audit set scope = 'business' where id = 3", "audit 3", "changed"),
        ("update audit set details = '{}' where id in (3, 4)", "audit 3", "changed"),
        ("update audit set details = '{\"erased\": true}' where id = 3", "audit 3", "erased_by_nobody"),
        ("delete from audit where id = 3", "audit 3", "removed"),
        ("insert into audit (who, action, scope, key) values ('eve', 'pause', 'account', '')", "audit 6", "inserted"),
        ("update audit_change set details = '{}' where id = 2", "audit_change 2", "changed"),
        ("delete from audit_change where id = 2", "audit_change 2", "removed"),
        ("delete from audit_link where place = 3", "*", "missing_link"),
        ("update audit_link set hash = sha256(hash) where place = 3", "*", "changed"),
        ("delete from audit_link where place > 8", "*", "inserted"),
        ("delete from audit_head", "the end", "cut_off"),
    ],
)
def test_the_first_entry_that_was_touched_is_named(written: World, tampering: str, entry: str, fault: str) -> None:
    written.do(tampering)

    found = broken(written)

    assert found is not None
    assert found[1] == fault
    assert entry in ("*", found[0])


def test_a_tail_that_was_cut_off_with_its_entries_is_found_by_the_head(written: World) -> None:
    written.do("delete from audit where id = 5")
    written.do("delete from audit_link where source = 'audit' and entry_id = 5")

    assert broken(written) == ("the end", "cut_off")


def test_a_chain_that_its_owner_wrote_anew_is_found_by_a_head_that_was_kept_outside(written: World) -> None:
    kept = audit.verify().head
    written.do("update audit set who = 'ben' where id = 3")
    hash_ = b""
    for link in written.rows("select * from audit_link order by place"):
        (entry,) = written.rows(f"select * from {link.source} where id = %s", link.entry_id)  # noqa: S608
        content = written.value("select audit_content(%s, %s, %s)", entry.who, entry.key, db.json(entry.details))
        fields = (entry.id, entry.at, entry.db_user, entry.os_user, entry.action, entry.scope, content)
        given = ", ".join(["%s"] * 10)
        hash_ = written.value(f"select audit_hash({given})", hash_, link.place, link.source, *fields)
        written.do("update audit_link set content = %s, hash = %s where place = %s", content, hash_, link.place)
    written.do("update audit_head set hash = %s", hash_)

    assert audit.verify().broken is None
    assert audit.verify(kept).broken is not None


def test_what_is_given_as_a_head_must_be_one(written: World) -> None:
    with pytest.raises(audit.BadAudit, match="--head"):
        audit.verify("12")


def test_an_accident_changes_nothing_of_the_audit(world: World) -> None:
    world.business()

    for statement in ("update audit_change set who = 'x'", "delete from audit_link", "truncate audit"):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="only grows"):
            world.do(statement)


def test_writers_at_the_same_moment_make_one_chain(world: World) -> None:
    def work(name: str) -> None:
        with psycopg.connect(world.url) as connection:
            for place in range(20):
                connection.execute("insert into suppression (phone) values (%s)", (f"+1500558{name}{place:03}",))
                connection.execute("update business set name = %s where id = %s", (f"{name} {place}", int(name) + 1))
                connection.commit()

    for place in range(4):
        world.business(str(place))
    threads = [Thread(target=work, args=(str(name),)) for name in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    verdict = audit.verify()
    assert verdict.broken is None
    assert verdict.links == world.value("select count(*) from audit_change") == 4 * 2 + 4 * 20 * 2


def test_nobody_waits_for_an_audit_entry_whose_transaction_is_open(world: World, nudges: list[Any]) -> None:
    acme = world.business()
    world.worker()
    waiting = world.queued(acme)

    with psycopg.connect(world.url) as somebody:
        somebody.execute("update business set name = 'open'")
        business.add("Another", twiml="<Response/>")
        control.pause(Scope("number", "+15005550006"))
        control.resume(Scope("number", "+15005550006"))
        assert dispatch.dispatch_once() == 1

    assert world.call(waiting).status == "claimed"
    assert audit.verify().broken is None


def test_entries_of_before_are_chained_by_the_upgrade(empty_database: str) -> None:
    world = World(empty_database)
    migrations.migrate()
    migrations.rollback("0029_identity_schema")
    world.do(
        "insert into audit (who, action, scope, key) select 'ann', 'pause', 'account', '' from generate_series(1, 3)"
    )

    migrations.migrate()

    assert audit.verify().links == 3
    assert audit.verify().broken is None
    assert world.rows("select distinct db_user from audit") == [(None,)]
    world.connection.close()


# The command


def test_the_command_names_the_first_broken_link_and_ends_with_1(written: World) -> None:
    good = outbound("audit", "verify")
    written.do("delete from audit where id = 2")
    bad, as_json = outbound("audit", "verify"), outbound("audit", "verify", "--json")

    assert good.returncode == 0, good.stderr
    assert "links hold; head" in good.stdout
    assert "keep `head` outside" in good.stdout
    assert bad.returncode == as_json.returncode == 1
    assert "audit 2: the entry was removed" in bad.stdout
    assert json.loads(as_json.stdout)["broken"]["entry"] == "audit 2"


def test_the_list_shows_moves_and_changes_in_the_order_of_their_commits(world: World) -> None:
    acme = world.business()
    control.pause(Scope("business", str(acme)), actor="dana")

    listed = outbound("audit")
    assert listed.returncode == 0, listed.stderr
    entries = json.loads(outbound("audit", "list", "--json").stdout)

    assert [(entry["scope"], entry["action"]) for entry in entries] == [
        ("business", "insert"),
        ("business_number", "insert"),
        ("dial_control", "insert"),
        ("business", "pause"),
    ]
    assert [entry["place"] for entry in entries] == [1, 2, 3, 4]
