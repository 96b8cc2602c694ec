"""Batches concurrent callbacks into one statement."""

from outbound.call import CallEvent
from outbound.calls import events
from outbound.web.batcher import Batcher


class CallbackBatcher:
    """Writes the callbacks of one event loop; of several for one call, the later ones wait for the next batch."""

    def __init__(self) -> None:
        self._batcher: Batcher[tuple[int, CallEvent], str] = Batcher(
            events.record_all, lambda report: events.record(*report), name_of=lambda report: report[0]
        )

    async def record(self, call_id: int, report: CallEvent) -> str:
        """Record one callback of a call; returns and raises what events.record_all does."""
        return await self._batcher.write((call_id, report))
