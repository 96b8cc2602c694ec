"""The stream has every event, once, in an order that never goes back."""

import threading

import psycopg
import pytest

from outbound.call import CallEvent
from outbound.calls import events
from outbound.webhooks import event_stream
from tests.conftest import World

pytestmark = pytest.mark.rows_only


@pytest.fixture
def begin(world: World) -> event_stream.Place:
    """The place where the stream begins, of which somebody wants to know."""
    event_stream.want("token 1")
    return event_stream.place(None)


def write(connection: psycopg.Connection[object], name: str, business_id: int) -> None:
    connection.execute("select write_event(%s, 'call.ended', %s, null, '{}')", (business_id, f"evt_call_ended_{name}"))


def read(after: event_stream.Place) -> tuple[list[str], event_stream.Place]:
    rows, place = event_stream.read(after)
    return [row.public_id.removeprefix("evt_call_ended_") for row in rows], place


def test_what_commits_late_is_not_skipped(world: World, begin: event_stream.Place) -> None:
    whose = world.business()
    with psycopg.connect(world.url) as slow, psycopg.connect(world.url) as quick:
        slow.execute("select pg_current_xact_id()")
        write(quick, "quick", whose)
        quick.commit()
        write(slow, "slow", whose)

        seen, place = read(begin)
        assert seen == []  # an older transaction still runs
        slow.commit()
        seen, place = read(place)

    assert sorted(seen) == ["quick", "slow"]
    assert read(place)[0] == []


def test_ids_that_commit_in_another_order_are_all_read_once(world: World, begin: event_stream.Place) -> None:
    """Eight writers with transactions of several events, and a reader beside them."""
    whose = world.business()
    writers, each = 8, 12
    barrier = threading.Barrier(writers)

    def run(number: int) -> None:
        with psycopg.connect(world.url) as connection:
            barrier.wait()
            for place in range(each):
                write(connection, f"{number}_{place}", whose)
                if place % (number + 1) == 0:
                    connection.commit()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    seen: list[str] = []
    place = begin
    while any(thread.is_alive() for thread in threads):
        found, place = read(place)
        seen += found
    found, place = read(place)
    seen += found

    assert len(seen) == len(set(seen))
    assert sorted(seen) == sorted(f"{number}_{place}" for number in range(writers) for place in range(each))


def test_a_reader_of_one_business_and_of_one_type(world: World, begin: event_stream.Place) -> None:
    mine, other = world.initiated(), world.initiated(world.business("Other"))
    for call_id in (mine, other):
        events.record(call_id, CallEvent(f"CA{call_id:032x}", "completed", "lookup"))
    whose = world.call(mine).business_id

    assert [row.data["call_id"] for row in event_stream.read(begin, whose)[0]] == [mine]
    assert event_stream.read(begin, None, ["lead.created"])[0] == []


def test_a_place_is_read_back_and_nonsense_is_refused(world: World, begin: event_stream.Place) -> None:
    assert event_stream.place(str(begin)) == begin
    for text in ("7", "a-b", "1-2-3", "-1-2", "9" * 30 + "-1", "1-" + "9" * 30, "\u0661-\u0660", "1-\u0660"):
        with pytest.raises(event_stream.BadPlace, match="two numbers with a dash"):
            event_stream.place(text)
    with pytest.raises(event_stream.BadPlace, match=r"call\.over is no type of event"):
        event_stream.read(begin, None, ["call.over"])


def test_after_a_restore_into_another_server_the_stream_goes_on(world: World, begin: event_stream.Place) -> None:
    """Its transactions are numbered from the beginning: what was written before has numbers that are yet to come."""
    whose = world.business()
    with psycopg.connect(world.url) as connection:
        write(connection, "before", whose)
    world.do("update event_log set xid = '9000000000'")
    place = event_stream.Place("9000000000", 1)
    event_stream.take_in_restored()
    with psycopg.connect(world.url) as connection:
        write(connection, "after", whose)

    assert read(place)[0] == ["after"]
    assert read(event_stream.place("0-0"))[0] == ["before", "after"]


def test_a_place_that_the_server_has_not_come_to_is_refused(world: World, begin: event_stream.Place) -> None:
    """The database was restored to an earlier moment: what it writes from now on would be skipped up to that place."""
    with psycopg.connect(world.url) as connection:
        write(connection, "before", world.business())
    _, place = read(begin)
    lost = event_stream.Place(str(int(place.xid) + 100), 7)

    for look in (event_stream.read, lambda _: event_stream.place(str(lost))):
        with pytest.raises(event_stream.UnknownPlace, match="restored to an earlier moment"):
            look(lost)
    assert read(place)[0] == []


def test_the_end_of_reading_is_the_end_of_writing(world: World, begin: event_stream.Place) -> None:
    world.do("update event_reader set wanted_until = now() - interval '1 s'")
    events.record(world.initiated(), CallEvent("CA" + "a" * 32, "completed", "lookup"))

    assert event_stream.read(event_stream.place("0-0"))[0] == []


def test_now_is_after_what_was_written_before(world: World, begin: event_stream.Place) -> None:
    """Also on a quiet database, where no transaction has begun since."""
    with psycopg.connect(world.url) as connection:
        write(connection, "before", world.business())
    with psycopg.connect(world.url) as connection:
        now = connection.execute("select pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
    assert now is not None

    assert event_stream.read(event_stream.Place(now[0], 0))[0] == []
    assert event_stream.read(event_stream.place(None))[0] == []


def test_a_reader_of_one_type_does_not_look_at_the_others_again(world: World, begin: event_stream.Place) -> None:
    with psycopg.connect(world.url) as connection:
        write(connection, "other", world.business())

    rows, place = event_stream.read(begin, None, ["lead.created"])

    assert (rows, place != begin) == ([], True)
    with psycopg.connect(world.url) as connection:
        connection.execute("select write_event(1, 'lead.created', 'evt_lead', null, '{}')")
    rows, _ = event_stream.read(place, None, ["lead.created"])
    assert [row.public_id for row in rows] == ["evt_lead"]


def test_two_readers_of_one_name_read_what_each_wants(world: World, begin: event_stream.Place) -> None:
    event_stream.want("token 1", world.business())

    assert world.value("select count(*) from event_reader") == 2
