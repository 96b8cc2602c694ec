"""Callbacks that come at the same time: one statement for many, and nobody suffers for another."""

import asyncio
from collections.abc import Sequence

import pytest

from outbound.call import CallEvent
from outbound.calls import events
from outbound.web.callback_batcher import CallbackBatcher
from tests.conftest import World, until


def _of(call_id: int, status: str = "ringing", sequence_number: int = 1) -> CallEvent:
    return CallEvent(f"CA{call_id:032}", status, "callback", sequence_number=sequence_number)


def _calls(world: World, number: int) -> list[int]:
    business_id = world.business()
    return [world.initiated(business_id, f"+15005570{place:02}01") for place in range(number)]


def test_what_comes_during_one_write_is_written_by_the_next(world: World, nudges: list[object]) -> None:
    calls = _calls(world, 40)
    written: list[int] = []

    async def all_at_once() -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            record_all = events.record_all

            def counted(reports: Sequence[tuple[int, CallEvent]]) -> list[str]:
                written.append(len(reports))
                return record_all(reports)

            patch.setattr(events, "record_all", counted)
            together = CallbackBatcher()
            return await asyncio.gather(*[together.record(call_id, _of(call_id)) for call_id in calls])

    assert asyncio.run(all_at_once()) == ["moved"] * 40
    assert sum(written) == 40
    assert len(written) <= 3
    assert {call.status for call in world.rows("select status from call_log")} == {"ringing"}


def test_several_reports_of_one_call_are_all_kept_and_the_furthest_stands(world: World, nudges: list[object]) -> None:
    (call_id,) = _calls(world, 1)
    story = ["ringing", "in-progress", "completed"]

    async def all_at_once() -> list[str]:
        together = CallbackBatcher()
        told = [together.record(call_id, _of(call_id, word, sequence_number=n)) for n, word in enumerate(story)]
        return await asyncio.gather(*told)

    assert set(asyncio.run(all_at_once())) <= {"moved", "unchanged"}
    assert {row.status for row in world.rows("select status from call_event")} == set(story)
    assert world.call(call_id).status == "completed"


def test_a_report_that_the_database_refuses_spoils_nobody_else_s(world: World, nudges: list[object]) -> None:
    calls = _calls(world, 5)
    world.do(
        "create function refuses() returns trigger language plpgsql as"
        f" $$begin if new.id = {calls[2]} and new.status = 'ringing' then raise 'odd'; end if; return new; end$$"
    )
    world.do("create trigger refuses before update on call_log for each row execute function refuses()")

    async def all_at_once() -> list[object]:
        together = CallbackBatcher()
        recording = [together.record(call_id, _of(call_id)) for call_id in calls]
        return list(await asyncio.gather(*recording, return_exceptions=True))

    words = asyncio.run(all_at_once())

    assert words.pop(2) == "set_aside"
    assert words == ["moved"] * 4
    assert world.call(calls[2]).error_code == "odd_row"


def test_whoever_gives_up_waiting_takes_nobody_along(world: World, nudges: list[object]) -> None:
    calls = _calls(world, 3)

    async def one_leaves() -> list[str]:
        together = CallbackBatcher()
        recording = [asyncio.create_task(together.record(call_id, _of(call_id))) for call_id in calls]
        await asyncio.sleep(0)
        recording[0].cancel()
        return await asyncio.gather(*recording[1:])

    assert asyncio.run(one_leaves()) == ["moved"] * 2
    until(lambda: world.call(calls[0]).status == "ringing")  # the carrier had reported it, and it was kept


def test_who_comes_in_the_moment_when_the_last_writers_end_has_a_writer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def in_one_turn() -> list[str]:
        at_the_database: list[asyncio.Future[None]] = []

        async def answered(_: object, __: object, reports: list[object]) -> list[str]:
            at_the_database.append(asyncio.get_running_loop().create_future())
            await at_the_database[-1]
            return ["moved"] * len(reports)

        async def writes(number: int) -> None:
            while len(at_the_database) < number:
                await asyncio.sleep(0)

        monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", answered)
        together = CallbackBatcher()
        told = []
        for call_id in (1, 2):
            told.append(asyncio.create_task(together.record(call_id, _of(call_id))))
            await asyncio.wait_for(writes(call_id), 10)
        for answer in at_the_database:
            answer.set_result(None)
        told.append(asyncio.create_task(together.record(3, _of(3))))
        await asyncio.wait_for(writes(3), 10)
        at_the_database[-1].set_result(None)
        return await asyncio.gather(*told)

    assert asyncio.run(in_one_turn()) == ["moved"] * 3
