"""
Decides what becomes of a call to the simulator: whether it is taken, how that is answered, and what the phone does.

Pure rules, no sockets and no clock: `call_store.py` plays them out.
Every time is in seconds of a life at speed 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from outbound.simulator.twilio_errors import NO_PERMISSION, NO_SUCH_NUMBER, SERVER_ERROR, UNAVAILABLE, Fault

Status = Literal[
    "queued", "initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"
]

STAYS_S: dict[Status, float] = {"queued": 0.3, "initiated": 1.7, "ringing": 2.0, "in-progress": 5.0}
LONG_TALK_S = 60.0
RING_UNASKED_S = 60  # Twilio's default of Timeout
RINGS_OUT_S = 10.0  # a no-answer rings its whole Timeout or this long, so that nobody waits a minute to see one


class Reply(Enum):
    """The answer to a create request, whatever the phone does."""

    CREATED = "201 with the call"
    FAULT = "an error"
    STALLED = "201, long after anybody waits for it"
    CUT = "the connection drops"
    GARBLED = "201 with a body that is not JSON"
    OVERTAKEN = "201, after the first callback"


class Callbacks(Enum):
    """The way that callbacks go, or get lost."""

    EACH = "each is sent as it happens"
    NONE = "none is sent"
    NOT_LAST = "the terminal one is lost"
    SHUFFLED = "all after the end, last first, each twice"


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    The course of a call to a number.

    Attributes:
        ends: the terminal status, or None for a phone that rings until somebody cancels.
        accepted: whether there is a call at all.
        throttled: how many creates to one number get a 429 first.
    """

    description: str
    ends: Status | None = "completed"
    talk_s: float = STAYS_S["in-progress"]
    machine: bool = False
    accepted: bool = True
    throttled: int = 0
    reply: Reply = Reply.CREATED
    fault: Fault | None = None
    callbacks: Callbacks = Callbacks.EACH


def _refused(fault: Fault, description: str) -> Scenario:
    return Scenario(description, ends=None, accepted=False, reply=Reply.FAULT, fault=fault)


ANSWERED = Scenario("answers, talks a moment, hangs up: completed")

SCENARIOS: dict[str, Scenario] = {
    "11": Scenario("rings, then busy", ends="busy"),
    "12": Scenario("nobody answers: no-answer", ends="no-answer"),
    "13": Scenario("cannot be reached: failed, and nothing rings", ends="failed"),
    "14": Scenario("a machine answers (AnsweredBy, when MachineDetection was asked for): completed", machine=True),
    "15": _refused(NO_SUCH_NUMBER, "refused with 400/21211, not a number"),
    "16": _refused(NO_PERMISSION, "refused with 400/21215, country not permitted"),
    "17": Scenario("429/20429 for the first two requests, then answers", throttled=2),
    "18": Scenario("HTTP 500/20500, yet the phone rings and callbacks come", reply=Reply.FAULT, fault=SERVER_ERROR),
    "19": Scenario("the response stalls, yet the phone rings and callbacks come", reply=Reply.STALLED),
    "20": Scenario("the connection drops and nothing rings", ends=None, accepted=False, reply=Reply.CUT),
    "21": Scenario("the connection drops, yet the phone rings and callbacks come", reply=Reply.CUT),
    "22": Scenario("accepted, then not one callback; only the REST API tells", callbacks=Callbacks.NONE),
    "23": Scenario("every callback comes after the end, last first, twice", callbacks=Callbacks.SHUFFLED),
    "24": _refused(SERVER_ERROR, "HTTP 500/20500 and nothing rings"),
    "25": Scenario("the first callback comes before the response", reply=Reply.OVERTAKEN),
    "26": Scenario("201 with a body that is not JSON; the phone rings and callbacks come", reply=Reply.GARBLED),
    "27": Scenario("the connection drops, the phone rings, no callback", reply=Reply.CUT, callbacks=Callbacks.NONE),
    "28": Scenario("answers, and the last callback is lost", callbacks=Callbacks.NOT_LAST),
    "29": Scenario("answers and talks for long (60 s)", talk_s=LONG_TALK_S),
    "30": _refused(UNAVAILABLE, "HTTP 503/20503 and nothing rings"),
    "31": Scenario("rings until it is canceled", ends=None),
}


def scenario_of(to: str) -> Scenario:
    """The scenario of a number: its last two digits decide."""
    return SCENARIOS.get(to[-2:], ANSWERED)


def scenario_rows() -> list[dict[str, object]]:
    """The table for people: digits, what happens, and whether a phone rings."""
    table = {"": ANSWERED, **SCENARIOS}
    return [
        {
            "digits": digits or "any other",
            "description": scenario.description,
            "accepted": scenario.accepted,
            "rings": rings(scenario),
        }
        for digits, scenario in table.items()
    ]


def rings(scenario: Scenario) -> bool:
    """Return whether somebody's phone makes a sound."""
    return scenario.accepted and scenario.ends != "failed"


def life(scenario: Scenario, *, ring_s: int, talk_max_s: int | None = None) -> list[tuple[float, Status]]:
    """
    All that happens to a queued call: after how many seconds, and what it becomes then.

    Args:
        ring_s: how long it may ring, whole seconds (`Timeout`).
        talk_max_s: how long anybody may talk, whole seconds (`TimeLimit`), or None for no bound.
    """
    dialed: list[tuple[float, Status]] = [(STAYS_S["queued"], "initiated")]
    if scenario.ends == "failed":
        return [*dialed, (STAYS_S["initiated"], "failed")]

    rung = [*dialed, (STAYS_S["initiated"], "ringing")]
    if scenario.ends is None:
        return rung
    if scenario.ends == "no-answer" or ring_s < STAYS_S["ringing"]:
        return [*rung, (min(ring_s, RINGS_OUT_S), "no-answer")]
    if scenario.ends == "busy":
        return [*rung, (STAYS_S["ringing"], "busy")]

    talk_s = scenario.talk_s if talk_max_s is None else min(scenario.talk_s, talk_max_s)
    return [*rung, (STAYS_S["ringing"], "in-progress"), (talk_s, "completed")]
