"""Batches: one writer waits for those whom it has just answered, and not for those who do not come again."""

import asyncio
from threading import Event

from outbound.web.batcher import Batcher


def _sizes_of_batches(gather_s: float, first: int, *others: int) -> list[int]:
    """Let clients write so many items each, one after the other, through one writer; the others begin in its first."""
    sizes: list[int] = []
    is_first_written, are_others_there = asyncio.Event(), Event()

    async def all_at_once() -> None:
        loop = asyncio.get_running_loop()

        def write_all(items: list[object]) -> list[object]:
            loop.call_soon_threadsafe(is_first_written.set)
            assert are_others_there.wait(60)
            sizes.append(len(items))
            return items

        together = Batcher(write_all, id, writers_max=1, gather_s=gather_s)

        async def write(items: int) -> None:
            for item in [object() for _ in range(items)]:
                assert await together.write(item) is item

        async def begin_later() -> None:
            await is_first_written.wait()
            writing = [loop.create_task(write(items)) for items in others]
            loop.call_soon(are_others_there.set)  # behind the first item of each
            await asyncio.gather(*writing)

        async with asyncio.timeout(60):
            await asyncio.gather(write(first), begin_later())

    asyncio.run(all_at_once())
    return sizes


def test_who_was_just_answered_is_waited_for() -> None:
    assert _sizes_of_batches(600, 6, 5, 5, 5) == [1, 4, 4, 4, 4, 4]


def test_who_does_not_come_again_holds_nobody_up() -> None:
    assert sum(_sizes_of_batches(0.001, 9, 1, 1)) == 11


def test_while_some_come_the_writer_waits_for_the_others() -> None:
    sizes: list[int] = []

    def write_all(items: list[int]) -> list[int]:
        sizes.append(len(items))
        return items

    async def one_comes_late() -> None:
        together = Batcher(write_all, int, writers_max=1, gather_s=0.05)
        await asyncio.gather(*map(together.write, range(3)))
        is_late = asyncio.Event()
        asyncio.get_running_loop().call_later(0.06, is_late.set)

        async def write_late() -> None:
            await is_late.wait()
            await together.write(4)

        async with asyncio.timeout(60):
            await asyncio.gather(together.write(3), write_late())

    asyncio.run(one_comes_late())
    assert sizes == [3, 2]
