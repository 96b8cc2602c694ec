"""What happens to our calls shows in the tables of the system before; whatever is done there harms nothing here."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import psycopg
import pytest

from outbound import db
from outbound.adopt import bridge
from outbound.call import CallEvent
from outbound.calls import dial, events, lead
from outbound.database import migrations
from tests import old_system
from tests.conftest import Environment, Servers, World, address_of_schema, begin, open_database

SHAPES: tuple[old_system.Shape, ...] = ("whole", "fixed", "small")
OFFSET = 500  # between a business's id there and here


@pytest.fixture(scope="module")
def templates(servers: Servers) -> Iterator[Callable[[old_system.Shape], str]]:
    """Of each shape a database with the old tables, our schema beside them and the bridge, to be copied."""
    with ExitStack() as stack:

        @cache
        def template(shape: old_system.Shape) -> str:
            url = stack.enter_context(open_database(servers, template=None))
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(old_system.tables_sql(shape).encode())
                connection.execute(old_system.rows_sql(shape).encode())
                connection.execute(b"create schema outbound")
            with Environment(DATABASE_URL=address_of_schema(url, "outbound")):
                migrations.migrate()
                world = World(address_of_schema(url, "outbound"))
                adopt_businesses(world)
                bridge.make(world.connection, "public")
                world.connection.close()
                return str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])

        yield template


@pytest.fixture
def system(
    request: pytest.FixtureRequest, servers: Servers, templates: Callable[[old_system.Shape], str]
) -> Iterator[World]:
    """An old system of the given shape, its businesses adopted, and the bridge."""
    with open_database(servers, templates(request.param)) as url:
        own = address_of_schema(url, "outbound")
        with Environment(DATABASE_URL=own):
            world = World(own)
            yield world
            world.connection.close()


def adopt_businesses(world: World) -> None:
    world.do(
        "insert into business (id, name, twiml, default_region)"
        " select id + %s, name, '<Response/>', 'IL' from public.business",
        OFFSET,
    )
    world.do(
        "insert into adopted (kind, old_id, new_id, business_id, fate)"
        " select 'business', id, id + %s, id + %s, 'adopted' from public.business",
        OFFSET,
        OFFSET,
    )


@contextmanager
def crm(world: World) -> Iterator[Any]:
    """A connection of the other program: it sees its own tables alone, and commits by itself."""
    with psycopg.connect(
        address_of_schema(world.url, "public"), autocommit=True, row_factory=psycopg.rows.namedtuple_row
    ) as own:
        yield own


whole = pytest.mark.parametrize("system", ["whole"], indirect=True)
every_system = pytest.mark.parametrize("system", SHAPES, indirect=True)

PHONE = "+972541234567"  # nobody's in the old tables
SID, OTHER_SID = "CA" + "b" * 32, "CA" + "c" * 32


def told(call_id: int, status: str, call_sid: str = SID, **more: Any) -> None:
    """What the carrier reports of a call."""
    more = {"source": "callback", "occurred_at": None, **more}
    assert events.record(call_id, CallEvent(call_sid=call_sid, status=status, **more)) in ("moved", "unchanged")


def dialed(world: World, to: str = PHONE, business: int = 1) -> int:
    """A call of an adopted business, that is about to be dialed."""
    call_id = world.claimed(business + OFFSET, to)
    assert begin(call_id) is not None
    return call_id


def make_lead(call_sid: str = SID) -> None:
    lead.create_lead_from_call_job.fn(call_sid)


def old_call(world: World, call_id: int) -> Any:
    """The row of our call in the old call_log; None where there is none, and an error where there are two."""
    rows = world.rows(
        "select o.* from public.call_log as o inner join adopted on kind = 'call' and old_id = o.id and new_id = %s",
        call_id,
    )
    assert len(rows) <= 1
    return rows[0] if rows else None


def due(world: World) -> list[tuple[str, int, str]]:
    return [(row.kind, row.call_id, row.state) for row in world.rows("select * from bridge_due order by 1, 2")]


def write_late(world: World) -> int:
    """A round of the scheduler, some time later."""
    world.do("update bridge_due set failed_at = failed_at - interval '1 h'")
    return bridge.write_late_to_old_tables()


# Calls


@every_system
def test_a_call_shows_in_the_old_table_with_the_old_words(system: World) -> None:
    before = system.value("select count(*) from public.call_log")
    call_id = dialed(system)
    shown = [old_call(system, call_id).status]
    for word in ("ringing", "in-progress", "completed"):
        told(call_id, word)
        shown.append(old_call(system, call_id).status)

    row = old_call(system, call_id)
    assert shown == ["initiated", "ringing", "in_progress", "completed"]
    assert (row.call_sid, row.to_number, row.from_number, row.direction) == (SID, PHONE, "+15005550006", "outbound")
    assert row.business_id == 1
    assert system.value("select age(now() at time zone 'UTC', %s::timestamp) < '1 min'", row.created_at)
    assert system.value("select count(*) from public.call_log") == before + 1
    assert due(system) == []


@pytest.mark.parametrize("system", ["fixed"], indirect=True)
def test_what_the_system_has_columns_for_is_written(system: World) -> None:
    call_id = dialed(system)
    system.do("update call_log set contact = jsonb_build_object('name', repeat('x', 300)) where id = %s", call_id)
    told(call_id, "in-progress")
    twin = old_call(system, call_id)
    told(call_id, "failed", sip_code=486)

    row = old_call(system, call_id)
    assert (twin.status, twin.call_status) == ("in_progress", "in-progress")
    assert (row.status, row.call_status, row.twilio_direction) == ("failed", "failed", "outbound-api")
    assert (row.error_code, row.error_message) == ("sip_486", "The carrier could not complete the call.")
    assert row.customer_name == "x" * 255


@every_system
def test_an_inbound_call_shows_too(system: World) -> None:
    system.do("insert into business_number (phone, business_id) values ('+97235550009', %s)", 1 + OFFSET)
    events.record_inbound_call(SID, "+972541234567", "+97235550009")

    row = old_call(system, system.value("select id from call_log where call_sid = %s", SID))
    assert (row.direction, row.status, row.from_number) == ("inbound", "ringing", "+972541234567")


@whole
def test_a_call_that_was_never_dialed_does_not_show(system: World) -> None:
    call_id = system.queued(1 + OFFSET, PHONE)
    system.do("update call_log set status = 'canceled' where id = %s", call_id)
    system.do("update call_log set error_code = 'operator_canceled' where id = %s", call_id)

    assert old_call(system, call_id) is None


@whole
def test_a_call_that_was_not_sent_is_no_pending_row_there(system: World) -> None:
    call_id = dialed(system)
    db.run(dial.sql.put_back, call_id=call_id, fence=system.call(call_id).fence, wait_s=1, reason="no line")
    put_back = old_call(system, call_id).status
    system.do("update call_log set status = 'claimed', overdue_at = now() + interval '30 s' where id = %s", call_id)
    assert begin(call_id) is not None

    assert (put_back, old_call(system, call_id).status) == ("failed", "initiated")


@whole
def test_a_business_that_was_not_adopted_stays_here(system: World) -> None:
    call_id = system.claimed(system.business(), PHONE)
    begin(call_id)
    told(call_id, "completed")
    make_lead()

    assert old_call(system, call_id) is None
    assert due(system) == []


@whole
@pytest.mark.parametrize(
    ("theirs", "ours", "kept"),
    [
        ("recorded", "completed", "recorded"),
        ("processed", "failed", "processed"),
        ("streaming", "in-progress", "streaming"),
        ("streaming", "completed", "completed"),
        ("ended", "completed", "completed"),
        ("in_progress", "ringing", "in_progress"),
        ("failed", "ringing", "ringing"),
        ("completed", "in-progress", "completed"),
    ],
)
def test_what_the_other_program_wrote_over_a_status_stays_where_it_is_later(
    system: World, theirs: str, ours: str, kept: str
) -> None:
    call_id = dialed(system)
    told(call_id, "initiated")
    with crm(system) as other:
        other.execute("update call_log set status = %s where call_sid = %s", (theirs, SID))
    told(call_id, ours)

    assert old_call(system, call_id).status == kept
    assert old_call(system, call_id).call_status == ours


@every_system
def test_a_row_that_the_other_program_made_for_the_same_call_sid_is_used(system: World) -> None:
    call_id = dialed(system)
    own = old_call(system, call_id).id
    with crm(system) as other:
        insert = (
            "insert into call_log (business_id, call_sid, direction, status) values (1, %s, 'outbound', 'in_progress')"
            " returning id"
        )
        ((theirs,),) = other.execute(insert, (SID,)).fetchall()
    told(call_id, "completed")

    assert old_call(system, call_id).id == theirs
    assert old_call(system, call_id).status == "completed"
    assert system.value("select count(*) from public.call_log where id = %s", own) == 0
    assert due(system) == []


# Leads


def leads_of(world: World, phone: str) -> list[Any]:
    """The old leads that have this phone, whatever its column is called."""
    return world.rows(
        "select * from public.leads where %s in (to_jsonb(leads) ->> 'phone', to_jsonb(leads) ->> 'phone_e164')"
        " order by id",
        phone,
    )


@every_system
def test_a_lead_shows_among_the_old_leads_once(system: World) -> None:
    call_id = system.claimed(1 + OFFSET, PHONE)
    system.do("""update call_log set contact = '{"name": "Noa"}' where id = %s""", call_id)
    begin(call_id)
    told(call_id, "completed")
    make_lead()
    again = dialed(system)
    told(again, "completed", OTHER_SID)
    make_lead(OTHER_SID)

    (row,) = leads_of(system, PHONE)
    assert row.name == "Noa"
    assert (
        system.value("select new_id from adopted where kind = 'lead' and old_id = %s", row.id)
        == system.call(again).lead_id
    )
    assert due(system) == []


@whole
def test_a_new_lead_is_written_as_the_other_program_writes_it(system: World) -> None:
    call_id = dialed(system)
    told(call_id, "completed")
    make_lead()

    (row,) = leads_of(system, PHONE)
    assert (row.tenant_id, row.phone_raw, row.source, row.external_id, row.status) == (1, PHONE, "call", SID, "new")
    assert row.last_call_direction == "outbound"
    assert old_call(system, call_id).lead_id == row.id
    assert system.value("select age(now() at time zone 'UTC', %s::timestamp) < '1 min'", row.created_at)


@whole
@pytest.mark.parametrize(
    "written",
    [PHONE, PHONE[1:], "0541234567", "054-1234567", "054-123-4567", "054 123 4567", "+972-54-123-4567",
     "+972 54-123-4567", "00972541234567"],
)  # fmt: skip
def test_the_newest_of_several_leads_is_touched_and_nothing_of_it_is_overwritten(system: World, written: str) -> None:
    with crm(system) as other:
        insert = (
            "insert into leads (tenant_id, name, phone_e164, status, notes, updated_at, last_contact_at)"
            " values (%s, 'Dana', %s, 'won', 'hers', '2020-01-01', '2020-01-01') returning id"
        )
        ids = [other.execute(insert, (tenant, written)).fetchall()[0].id for tenant in (1, 1, 2)]
    call_id = dialed(system)
    told(call_id, "completed")
    make_lead()

    rows = system.rows("select * from public.leads where phone_e164 = %s order by id", written)
    assert [row.id for row in rows] == ids
    assert [row.last_contact_at.year > 2020 for row in rows] == [False, True, False]
    assert (rows[1].name, rows[1].status, rows[1].notes) == ("Dana", "won", "hers")
    assert old_call(system, call_id).lead_id == ids[1]


@whole
def test_a_lead_that_was_deleted_there_is_made_again_by_the_next_call_alone(system: World) -> None:
    call_id = dialed(system)
    told(call_id, "in-progress")
    make_lead()
    with crm(system) as other:
        other.execute("update call_log set lead_id = null where call_sid = %s", (SID,))
        other.execute("delete from leads where phone_e164 = %s", (PHONE,))
    told(call_id, "completed")
    assert leads_of(system, PHONE) == []
    told(dialed(system), "completed", OTHER_SID)
    make_lead(OTHER_SID)

    assert len(leads_of(system, PHONE)) == 1
    assert due(system) == []


# Jobs


@whole
@pytest.mark.parametrize(("end", "shown"), [("completed", "completed"), ("busy", "failed"), ("no-answer", "failed")])
def test_an_adopted_job_follows_its_call_and_no_old_worker_takes_it(system: World, end: str, shown: str) -> None:
    call_id = system.claimed(1 + OFFSET, PHONE)
    system.do("update public.outbound_call_jobs set status = 'cancelled' where id = 1")
    system.do(
        "insert into adopted (kind, old_id, new_id, business_id, fate) values ('job', 1, %s, %s, 'queued_here')",
        call_id,
        1 + OFFSET,
    )
    words = []
    begin(call_id)
    words.append(system.value("select status from public.outbound_call_jobs where id = 1"))
    for word in ("ringing", end):
        told(call_id, word)
        words.append(system.value("select status from public.outbound_call_jobs where id = 1"))

    (job,) = system.rows("select * from public.outbound_call_jobs where id = 1")
    assert words == ["cancelled", "calling", shown]
    assert (job.call_sid, job.twilio_call_sid, job.call_log_id) == (SID, SID, old_call(system, call_id).id)
    assert job.completed_at is not None
    assert old_call(system, call_id).lead_id == job.lead_id


# Whatever is done there


HARM = {
    "a column that must be given": "alter table {table} add column region varchar(8) not null default 'x';"
    "alter table {table} alter column region drop default",
    "a column that is gone": "alter table {table} drop column updated_at",
    "a trigger that raises": "create function no() returns trigger language plpgsql as"
    " 'begin raise exception ''no''; end'; create trigger no before insert or update on {table} for each row"
    " execute function no()",
    "a check that nothing passes": "alter table {table} add constraint none check (id < 0) not valid",
    "a table that is gone": "drop table {table} cascade",
    "a table that may not be written": "alter table {table} enable row level security;"
    "alter table {table} force row level security",
    "a deferred trigger that raises": "create function no() returns trigger language plpgsql as"
    " 'begin raise exception ''no''; end'; create constraint trigger no after insert or update on {table}"
    " deferrable initially deferred for each row execute function no()",
}


@whole
@pytest.mark.parametrize("table", ["call_log", "leads"])
@pytest.mark.parametrize("harm", HARM)
def test_whatever_is_done_to_the_old_tables_our_calls_live(system: World, harm: str, table: str) -> None:
    with crm(system) as other:
        other.execute(HARM[harm].format(table=table).encode())
    call_id = dialed(system)
    told(call_id, "completed")
    make_lead()

    call = system.call(call_id)
    assert (call.status, call.lead_id is not None) == ("completed", True)
    if "may not" not in harm:  # the tests' user may all
        assert due(system) != []
        assert system.value("select sum(value) from counter where name = 'old_bridge' and label = 'failed'") > 0


@whole
def test_what_could_not_be_written_is_written_later(system: World) -> None:
    with crm(system) as other:
        for table in ("call_log", "leads"):
            other.execute(f"alter table {table} add column region varchar(8) not null default 'x'")
            other.execute(f"alter table {table} alter column region drop default")
    call_id = dialed(system)
    told(call_id, "completed")
    make_lead()
    failed = system.rows("select kind, state, cause from bridge_due order by kind")
    assert write_late(system) == 0
    with crm(system) as other:
        for table in ("call_log", "leads"):
            other.execute(f"alter table {table} alter column region set default 'x'")

    assert write_late(system) == 2
    assert [tuple(row) for row in failed] == [("call", "23502", "call_log region"), ("lead", "23502", "leads region")]
    assert old_call(system, call_id).status == "completed"
    assert old_call(system, call_id).lead_id == leads_of(system, PHONE)[0].id
    assert due(system) == []


@whole
@pytest.mark.parametrize("lock", ["lock table call_log", "lock table leads", "lock table business",
                                  "select from call_log for update", "select from business for update"])  # fmt: skip
def test_a_lock_that_is_held_for_long_delays_nobody(system: World, lock: str) -> None:
    first = dialed(system)
    calls = [system.claimed(1 + OFFSET, f"+97254000{n:04d}") for n in range(64)]
    with crm(system) as other, other.transaction():
        other.execute(lock.encode())
        began_at = system.value("select clock_timestamp()")
        assert len(db.run(dial.sql.begin_dials, call_ids=calls, ask_s=60, send_s=0.1, life_s=3600)) == 64
        told(first, "completed")
        make_lead()
        took_s = system.value("select extract(epoch from clock_timestamp() - %s)", began_at)
    assert took_s < 5  # with 20 ms for each, on a slow machine; who waits for the lock waits for ever
    write_late(system)

    assert due(system) == []
    assert system.value("select count(*) from public.call_log where to_number like '+97254000%%'") == 64
    assert old_call(system, first).status == "completed"
    assert len(leads_of(system, PHONE)) == 1


@whole
def test_of_two_that_hold_each_other_s_rows_ours_gives_way_and_both_go_on(system: World) -> None:
    first = dialed(system)
    told(first, "completed")
    make_lead()
    second = dialed(system)
    told(second, "in-progress", OTHER_SID)
    with crm(system) as other, other.transaction():
        other.execute("select from leads where phone_e164 = %s for update", (PHONE,))
        with system.connection.transaction():
            system.do("update call_log set duration_s = 3 where id = %s", second)  # its old row is ours from here on
            theirs = threading.Thread(
                target=other.execute, args=("update call_log set summary = 'x' where call_sid = %s", (OTHER_SID,))
            )
            theirs.start()
            system.do("update call_log set lead_id = %s where id = %s", system.call(first).lead_id, second)
        theirs.join(20)
        assert not theirs.is_alive()
    assert due(system) == [("lead", second, "55P03")]
    write_late(system)

    assert due(system) == []
    assert len(leads_of(system, PHONE)) == 1


@whole
def test_our_own_limits_and_paths_are_as_before(system: World) -> None:
    call_id = system.claimed(1 + OFFSET, PHONE)
    names = ("lock_timeout", "search_path", "statement_timeout", "enable_seqscan")
    show = "select " + ", ".join(f"current_setting('{name}') as {name}" for name in names)
    with system.connection.transaction():
        before = system.rows(show)
        system.do("update call_log set status = 'initiated', dialed_at = now() where id = %s", call_id)

        assert system.rows(show) == before
    assert old_call(system, call_id) is not None


@whole
def test_a_trigger_of_theirs_sees_their_own_tables(system: World) -> None:
    with crm(system) as other:
        other.execute(
            "create function seen() returns trigger language plpgsql as"
            " 'begin update leads set notes = ''seen'' where id = 1; return new; end'"
        )
        other.execute("create trigger seen before insert on call_log for each row execute function seen()")
    dialed(system)

    assert system.value("select notes from public.leads where id = 1") == "seen"
    assert due(system) == []


@whole
def test_rows_that_were_deleted_there_stay_deleted(system: World) -> None:
    call_id = dialed(system)
    with crm(system) as other:
        other.execute("delete from call_log where to_number = %s", (PHONE,))
    told(call_id, "completed")
    make_lead()

    assert system.value("select count(*) from public.call_log where to_number = %s", PHONE) == 0
    assert due(system) == []


THEIRS = """
insert into call_log (business_id, direction, to_number, status, created_at)
    values (1, 'outbound', $phone, 'initiated', now());
insert into call_log (business_id, call_sid, direction, from_number, status, call_status)
    values (1, 'CA' || md5(random()::text), 'inbound', '+972541234567', 'in_progress', 'in-progress');
update call_log set status = 'in_progress' where call_sid = $sid;
update call_log set status = 'streaming', stream_started_at = now() where call_sid = $sid;
insert into leads (tenant_id, phone_e164, source, status) values (1, $phone, 'whatsapp', 'new');
update leads set name = 'Renamed', phone_e164 = '+972501234501' where id = 3;
update call_log set lead_id = 3 where call_sid = $sid;
update call_log set status = 'recorded', recording_url = 'x' where call_sid = $sid;
insert into business (name, business_type) values ('New', 'other');
update outbound_call_jobs set status = 'failed' where id = 5;
update call_log set lead_id = null where lead_id in (select id from leads where phone_e164 = $phone);
delete from leads where phone_e164 = $phone;
delete from call_log
    where business_id = 1 and id not in (select call_log_id from outbound_call_jobs where call_log_id is not null)
""".replace("$phone", f"'{PHONE}'").replace("$sid", f"'{SID}'")


@whole
def test_nothing_that_the_other_program_does_fails_beside_a_call_of_ours(system: World) -> None:
    call_id = dialed(system)
    moves = iter(("initiated", "ringing", "in-progress", "lead", "completed"))
    with crm(system) as other:
        for number, statement in enumerate(THEIRS.split(";")):
            other.execute(statement.encode())
            if number % 2 == 0 and (move := next(moves, None)):
                make_lead() if move == "lead" else told(call_id, move)

    call = system.call(call_id)
    assert (call.status, call.lead_id is not None) == ("completed", True)
    assert due(system) == []


# On, off, undone


@whole
def test_it_is_silent_in_a_transaction_that_says_so(system: World) -> None:
    with system.connection.transaction():
        system.rows("select set_config('outbound.bridge', 'off', true)")
        silent = system.initiated(1 + OFFSET, PHONE)
    loud = system.initiated(1 + OFFSET, "+972541234568")

    assert (old_call(system, silent), old_call(system, loud).status) == (None, "initiated")


@whole
def test_a_business_that_was_given_back_is_written_no_more(system: World) -> None:
    call_id = dialed(system)
    system.do("update adopted set fate = 'undone' where kind = 'business' and old_id = 1")
    told(call_id, "completed")
    make_lead()

    assert old_call(system, call_id).status == "initiated"
    assert leads_of(system, PHONE) == []


@every_system
def test_undone_it_leaves_what_it_wrote_and_nothing_of_itself(system: World) -> None:
    call_id = dialed(system)
    told(call_id, "ringing")
    bridge.drop(system.connection)
    told(call_id, "completed")
    make_lead()

    assert old_call(system, call_id).status == "ringing"
    functions = system.value("select count(*) from pg_proc where proname like 'old\\_write%%'")
    triggers = system.value("select count(*) from pg_trigger where tgname like 'old\\_%%'")
    assert (functions, triggers) == (0, 0)
    assert due(system) == []


@whole
def test_nothing_is_missing_or_new_where_it_is_made_twice_and_the_drift_check_is_silent(system: World) -> None:
    bridge.make(system.connection, "public")
    with db.connect() as connection:
        here = migrations.parts(connection)
        wanted = migrations.parts_of_migrations(connection, "scratch")

    assert here == wanted
