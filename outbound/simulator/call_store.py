"""All simulated calls of one account: creates them, advances them, sends their callbacks, keeps the request log."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Any

from outbound.simulator import scenarios
from outbound.simulator.callback_sender import Callback, CallbackSender
from outbound.simulator.scenarios import Scenario, Status
from outbound.simulator.simulated_call import RequestLogEntry, SimulatedCall
from outbound.simulator.twilio_errors import Form, seconds

log = logging.getLogger(__name__)


class CallStore:
    """All calls of one account; a call costs one timer of the running loop."""

    def __init__(self, *, account_sid: str, auth_token: str, speed: float, nobody_at: str | None = None) -> None:
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._speed = speed
        self._nobody_at = nobody_at
        self._tasks: set[asyncio.Task[None]] = set()
        self._forget()

    def _forget(self) -> None:
        self.calls: dict[str, SimulatedCall] = {}
        self.calls_to: defaultdict[str, list[SimulatedCall]] = defaultdict(list)
        self._entries: list[RequestLogEntry] = []
        self._throttled: Counter[str] = Counter()
        self._live = 0

    def note(self, form: Form, at: datetime) -> RequestLogEntry:
        """Write a create request, which arrived *at*, in the log."""
        entry = RequestLogEntry(
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

    def throttles(self, to: str, scenario: Scenario) -> bool:
        """Return whether this request to a number is one too many; each one counts."""
        self._throttled[to] += 1
        return self._throttled[to] <= scenario.throttled

    def accept(self, form: Form, scenario: Scenario, entry: RequestLogEntry) -> SimulatedCall:
        """Make a call and let its life begin."""
        ring_s = seconds(form.get("Timeout")) or scenarios.RING_UNASKED_S
        life = scenarios.life(scenario, ring_s=ring_s, talk_max_s=seconds(form.get("TimeLimit")))
        call = SimulatedCall(self._account_sid, self._speed, len(self.calls), form, scenario, deque(life), entry)
        self.calls[call.sid] = call
        self.calls_to[form["To"]].append(call)
        self._live += 1
        entry.outcome, entry.call_sid, entry.live_at_most = "accepted", call.sid, self._live
        self._wait(call)
        return call

    def end(self, call: SimulatedCall, status: Status) -> None:
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
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        self._forget()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Hang up everything at once; callbacks not yet sent are lost."""
        await self.reset()
        await self._callback_sender.close()

    def _wait(self, call: SimulatedCall) -> None:
        """Set the timer for what comes next, if anything does."""
        if call.coming:
            after_s = call.coming[0][0] / self._speed
            call.timer = asyncio.get_running_loop().call_later(after_s, self._advance, call)

    def _advance(self, call: SimulatedCall) -> None:
        _, status = call.coming.popleft()
        self._become(call, status)
        self._wait(call)

    def _become(self, call: SimulatedCall, status: Status) -> None:
        call.become(status)
        if call.is_over:
            self._live -= 1
        callbacks = call.pending_callbacks()
        if callbacks:
            task = asyncio.get_running_loop().create_task(self._deliver(call, callbacks))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif call.is_over:
            call.told.set()  # no callback will come: end the waits for one

    async def _deliver(self, call: SimulatedCall, callbacks: list[Callback]) -> None:
        for callback in callbacks:
            if await self._callback_sender.deliver(callback):
                call.entry.callbacks_taken += 1
            else:
                call.entry.callbacks_failed += 1
                log.info("simulator.callback_failed call_sid=%s status=%s", call.sid, callback.form.get("CallStatus"))
        call.told.set()

    @cached_property
    def _callback_sender(self) -> CallbackSender:
        # Not sooner: its session needs a running loop.
        return CallbackSender(self._auth_token, nobody_at=self._nobody_at)


def sorted_log(stores: Iterable[CallStore]) -> list[dict[str, Any]]:
    """Every create request of several accounts, oldest first."""
    return sorted((entry for store in stores for entry in store.log()), key=lambda entry: str(entry["at"]))
