"""Where the simulated phones hang: takes calls, plays out their fates, has their callbacks sent, keeps the log."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Any

from outbound.simulator import scenarios
from outbound.simulator.callback_sender import Courier, Letter
from outbound.simulator.scenarios import Fate, Status
from outbound.simulator.simulated_call import Call, Entry
from outbound.simulator.twilio_errors import Form, seconds

log = logging.getLogger(__name__)


class Exchange:
    """All calls of one account; a call costs one timer of the running loop."""

    def __init__(self, *, account_sid: str, auth_token: str, speed: float) -> None:
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._speed = speed
        self._errands: set[asyncio.Task[None]] = set()
        self._forget()

    def _forget(self) -> None:
        self.calls: dict[str, Call] = {}
        self.calls_to: defaultdict[str, list[Call]] = defaultdict(list)
        self._entries: list[Entry] = []
        self._throttled: Counter[str] = Counter()
        self._live = 0

    def note(self, form: Form, at: datetime) -> Entry:
        """Write a create request, which arrived *at*, in the log."""
        entry = Entry(
            at=at.isoformat(),
            account_sid=self._account_sid,
            to=form.get("To"),
            from_=form.get("From"),
            status_callback=form.get("StatusCallback"),
            timeout=form.get("Timeout"),
            time_limit=form.get("TimeLimit"),
            live_at_most=self._live,
        )
        self._entries.append(entry)
        return entry

    def log(self) -> list[dict[str, Any]]:
        """Every create request, oldest first."""
        return [entry.as_json() for entry in self._entries]

    def throttles(self, to: str, fate: Fate) -> bool:
        """Whether this request to a number is one too many; each one counts."""
        self._throttled[to] += 1
        return self._throttled[to] <= fate.throttled

    def accept(self, form: Form, fate: Fate, entry: Entry) -> Call:
        """Make a call and let its life begin."""
        ring_s = seconds(form.get("Timeout")) or scenarios.RING_UNASKED_S
        life = scenarios.life(fate, ring_s=ring_s, talk_max_s=seconds(form.get("TimeLimit")))
        call = Call(self._account_sid, self._speed, len(self.calls), form, fate, deque(life), entry)
        self.calls[call.sid] = call
        self.calls_to[form["To"]].append(call)
        self._live += 1
        entry.outcome, entry.call_sid, entry.live_at_most = "accepted", call.sid, self._live
        self._wait(call)
        return call

    def end(self, call: Call, status: Status) -> None:
        """Cut a life short."""
        if call.timer:
            call.timer.cancel()
        call.coming.clear()
        self._become(call, status)

    async def reset(self) -> None:
        """Forget every call and every request, and send nothing more about them."""
        for call in self.calls.values():
            call.told.set()
            if call.timer:
                call.timer.cancel()
        errands = list(self._errands)
        for errand in errands:
            errand.cancel()
        self._forget()
        await asyncio.gather(*errands, return_exceptions=True)

    async def close(self) -> None:
        """Hang up everything at once; callbacks not yet sent are lost."""
        await self.reset()
        await self._courier.close()

    def _wait(self, call: Call) -> None:
        """Set the timer for what comes next, if anything does."""
        if call.coming:
            after_s = call.coming[0][0] / self._speed
            call.timer = asyncio.get_running_loop().call_later(after_s, self._advance, call)

    def _advance(self, call: Call) -> None:
        _, status = call.coming.popleft()
        self._become(call, status)
        self._wait(call)

    def _become(self, call: Call, status: Status) -> None:
        call.become(status)
        if call.is_over:
            self._live -= 1
        letters = call.news()
        if letters:
            errand = asyncio.get_running_loop().create_task(self._deliver(call, letters))
            self._errands.add(errand)
            errand.add_done_callback(self._errands.discard)
        elif call.is_over:
            call.told.set()  # Nothing will be told: whoever waits for that need not.

    async def _deliver(self, call: Call, letters: list[Letter]) -> None:
        for letter in letters:
            if await self._courier.deliver(letter):
                call.entry.callbacks_taken += 1
            else:
                call.entry.callbacks_failed += 1
                log.info("simulator.callback_failed call_sid=%s status=%s", call.sid, letter.form.get("CallStatus"))
        call.told.set()

    @cached_property
    def _courier(self) -> Courier:
        return Courier(self._auth_token)  # Not sooner: its session needs a running loop.


def sorted_log(exchanges: Iterable[Exchange]) -> list[dict[str, Any]]:
    """Every create request of several accounts, oldest first."""
    return sorted((entry for exchange in exchanges for entry in exchange.log()), key=lambda entry: str(entry["at"]))
