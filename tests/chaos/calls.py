"""The calls of a run: drawn from the seed, put in the queue while it goes on, some of them more than once."""

import csv
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from outbound import db, logs
from outbound.calls import import_calls
from outbound.rules import business
from outbound.simulator import scenarios

log = logs.get("chaos")

BUSINESSES = 5
_LONG = ("29", "31")  # talks for a minute; rings until it is canceled
_ODD = [digits for digits in scenarios.SCENARIOS if digits not in _LONG]
_PLAIN = [f"{number:02}" for number in range(100) if f"{number:02}" not in scenarios.SCENARIOS]
_PLAIN_SHARE = 0.7
_TWIN_SHARE = 0.03  # called a second time: the same phone under another key
_REPEAT_SHARE = 0.03  # enqueued a second time: the same key


@dataclass(frozen=True)
class Call:
    """One line of an import."""

    business: int
    to: str
    key: str


def draw(count: int, businesses: Sequence[int], seed: int) -> list[Call]:
    """*count* calls to phones that all differ."""
    rng = random.Random(seed)
    fate = [rng.choice(_PLAIN) if rng.random() < _PLAIN_SHARE else rng.choice(_ODD) for _ in range(count)]
    return [
        Call(rng.choice(businesses), f"+1500{number:05}{digits}", f"call-{number}")
        for number, digits in enumerate(fate)
    ]


def open_businesses() -> list[int]:
    """The tenants."""
    hello = "<Response><Say>Hello.</Say></Response>"
    return [
        business.add(f"Business {number}", twiml=hello, phones=[f"+1500999000{number}"]) for number in range(BUSINESSES)
    ]


class Seeder:
    """A thread that imports the calls, *rate* per second, and tries again for as long as the database is away."""

    def __init__(self, calls: list[Call], rate: float, seed: int, directory: Path) -> None:
        self._calls = calls
        self._rate = rate
        self._rng = random.Random(seed + 1)
        self._file = directory / "calls.csv"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="seeder", daemon=True)
        self.rejected = 0

    def __enter__(self) -> "Seeder":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(timeout=60)

    @property
    def done(self) -> bool:
        """Is every call in the queue?"""
        return not self._thread.is_alive()

    def _run(self) -> None:
        given = 0
        began_at = time.monotonic()
        while given < len(self._calls) and not self._stopping.wait(0.5):
            until = min(len(self._calls), 1 + int((time.monotonic() - began_at) * self._rate))
            self._import(self._calls[given:until] + self._again(given))
            given = until

    def _again(self, given: int) -> list[Call]:
        """Some of the earlier calls once more, under the same key, and some under another."""
        earlier = self._calls[max(0, given - 200) : given]
        repeats = [call for call in earlier if self._rng.random() < _REPEAT_SHARE * self._rate / 400]
        twins = [call for call in earlier if self._rng.random() < _TWIN_SHARE * self._rate / 400]
        return repeats + [Call(call.business, call.to, f"twin-{call.key}") for call in twins]

    def _import(self, calls: list[Call]) -> None:
        with self._file.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("business", "to", "key"))
            writer.writerows((call.business, call.to, call.key) for call in calls)
        while not self._stopping.is_set():
            try:
                self.rejected += import_calls.import_calls(self._file).rejected
                return
            except db.Unavailable as error:
                log.info("chaos.import_repeated", error=type(error).__name__)
                self._stopping.wait(0.5)
