"""
A carrier that rings no phones: Twilio's Calls API, simulated phones, signed callbacks.

The last two digits of `To` decide what happens; `scenarios.py` has the table.
One asyncio loop does everything and a call costs one timer, so tens of thousands fit.
It calls back to loopback addresses only, and says no phone number in its log.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web
from yarl import URL

from outbound.simulator.call_store import CallStore, sorted_log
from outbound.simulator.callback_sender import Overrides
from outbound.simulator.rest_api import CallsApi

__all__ = ["Overrides", "RunningSimulator", "Simulator", "in_thread", "run"]

log = logging.getLogger(__name__)

T = TypeVar("T")

GOODBYE_S = 0.2  # how long requests may take to end once we stop


class Simulator:
    """
    Twilio's Calls API on a socket, and the phones behind it; it must run in one loop, and once.

    Args:
        account_sid, auth_token: an account; requests need them, callbacks are signed with the token.
        others: more accounts, by their SIDs, and the auth token of each; each has calls of its own.
        speed: how many times faster than life phones ring and people talk.
        stall_s: how long a response that "times out after accepting" is held, seconds, not scaled.
        nobody_at: the base of callback addresses where nobody listens, so that none is tried.
    """

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        others: Mapping[str, str] | None = None,
        speed: float = 1.0,
        stall_s: float = 60.0,
        nobody_at: str | None = None,
    ) -> None:
        tokens = {account_sid: auth_token} | dict(others or {})
        self._stores = {
            account: CallStore(account_sid=account, auth_token=token, speed=speed, nobody_at=nobody_at)
            for account, token in tokens.items()
        }
        api = CallsApi(self._stores, tokens, stall_s=stall_s)
        # No access log: the query of a list request holds phone numbers.
        self._runner = web.AppRunner(api.app(), access_log=None, shutdown_timeout=GOODBYE_S)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, and return the base URL; port 0 takes any free one."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, backlog=1024).start()
        return str(URL.build(scheme="http", host=host, port=self._runner.addresses[0][1]))

    async def stop(self) -> None:
        """Hang up everything at once; callbacks not yet sent are lost."""
        await self._runner.cleanup()
        for store in self._stores.values():
            await store.close()

    async def reset(self) -> None:
        """Forget every call and every request, and send nothing more about them."""
        for store in self._stores.values():
            await store.reset()

    def entries(self) -> list[dict[str, Any]]:
        """The log: every create request of every account, oldest first."""
        return sorted_log(self._stores.values())


async def _serve(simulator: Simulator, host: str, port: int) -> None:
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)
    log.info("simulator.up url=%s", await simulator.start(host, port))
    await asked_to_stop.wait()
    await simulator.stop()
    log.info("simulator.down")


def run(
    host: str, port: int, *, account_sid: str, auth_token: str, speed: float, others: Mapping[str, str] | None = None
) -> None:
    """Be a carrier until SIGTERM or SIGINT. Call it from the main thread."""
    simulator = Simulator(account_sid=account_sid, auth_token=auth_token, others=others, speed=speed)
    asyncio.run(_serve(simulator, host, port))


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """A simulator in a thread of its own."""

    url: str
    log: Callable[[], list[dict[str, Any]]]
    reset: Callable[[], None]


@contextmanager
def in_thread(
    *,
    account_sid: str,
    auth_token: str,
    others: Mapping[str, str] | None = None,
    speed: float = 1.0,
    stall_s: float = 60.0,
    nobody_at: str | None = None,
) -> Iterator[RunningSimulator]:
    """A simulator on a free port of 127.0.0.1, for tests; the arguments are those of `Simulator`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()

    def ask(question: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(question, loop).result(timeout=30)

    simulator = Simulator(
        account_sid=account_sid,
        auth_token=auth_token,
        others=others,
        speed=speed,
        stall_s=stall_s,
        nobody_at=nobody_at,
    )

    async def entries() -> list[dict[str, Any]]:
        return simulator.entries()

    try:
        url = ask(simulator.start())
        yield RunningSimulator(url, lambda: ask(entries()), lambda: ask(simulator.reset()))
    finally:
        ask(simulator.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=30)
        loop.close()
