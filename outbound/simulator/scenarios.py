"""
What becomes of a call to the simulator: whether it is taken, how that is answered, and what the phone does.

Pure rules, no sockets and no clock: `exchange.py` plays them out.
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
    """How a create request is answered, whatever the phone does."""

    CREATED = "201 with the call"
    FAULT = "an error"
    STALLED = "201, long after anybody waits for it"
    CUT = "the connection drops"
    GARBLED = "201 with a body that is not JSON"
    OVERTAKEN = "201, after the first callback"


class Post(Enum):
    """What happens to the callbacks."""

    EACH = "each is sent as it happens"
    NONE = "none is sent"
    NOT_LAST = "the terminal one is lost"
    SHUFFLED = "all after the end, last first, each twice"


@dataclass(frozen=True, slots=True)
class Fate:
    """
    What a number does when it is called.

    Attributes:
        ends: the terminal status, or None for a phone that rings until somebody cancels.
        accepted: whether there is a call at all.
        throttled: how many creates to one number get a 429 first.
    """

    tells: str
    ends: Status | None = "completed"
    talk_s: float = STAYS_S["in-progress"]
    machine: bool = False
    accepted: bool = True
    throttled: int = 0
    reply: Reply = Reply.CREATED
    fault: Fault | None = None
    post: Post = Post.EACH


def _refused(fault: Fault, tells: str) -> Fate:
    return Fate(tells, ends=None, accepted=False, reply=Reply.FAULT, fault=fault)


ANSWERED = Fate("answers, talks a moment, hangs up: completed")

FATES: dict[str, Fate] = {
    "11": Fate("rings, then busy", ends="busy"),
    "12": Fate("nobody answers: no-answer", ends="no-answer"),
    "13": Fate("cannot be reached: failed, and nothing rings", ends="failed"),
    "14": Fate("a machine answers (AnsweredBy, when MachineDetection was asked for): completed", machine=True),
    "15": _refused(NO_SUCH_NUMBER, "refused with 400/21211, not a number"),
    "16": _refused(NO_PERMISSION, "refused with 400/21215, country not permitted"),
    "17": Fate("429/20429 for the first two requests, then answers", throttled=2),
    "18": Fate("HTTP 500/20500, yet the phone rings and callbacks come", reply=Reply.FAULT, fault=SERVER_ERROR),
    "19": Fate("the response stalls, yet the phone rings and callbacks come", reply=Reply.STALLED),
    "20": Fate("the connection drops and nothing rings", ends=None, accepted=False, reply=Reply.CUT),
    "21": Fate("the connection drops, yet the phone rings and callbacks come", reply=Reply.CUT),
    "22": Fate("accepted, then not one callback; only the REST API tells", post=Post.NONE),
    "23": Fate("every callback comes after the end, last first, twice", post=Post.SHUFFLED),
    "24": _refused(SERVER_ERROR, "HTTP 500/20500 and nothing rings"),
    "25": Fate("the first callback comes before the response", reply=Reply.OVERTAKEN),
    "26": Fate("201 with a body that is not JSON; the phone rings and callbacks come", reply=Reply.GARBLED),
    "27": Fate("the connection drops, the phone rings, no callback", reply=Reply.CUT, post=Post.NONE),
    "28": Fate("answers, and the last callback is lost", post=Post.NOT_LAST),
    "29": Fate("answers and talks for long (60 s)", talk_s=LONG_TALK_S),
    "30": _refused(UNAVAILABLE, "HTTP 503/20503 and nothing rings"),
    "31": Fate("rings until it is canceled", ends=None),
}


def fate_of(to: str) -> Fate:
    """The fate of a number: its last two digits decide."""
    return FATES.get(to[-2:], ANSWERED)


def fate_rows() -> list[dict[str, object]]:
    """The table for people: digits, what happens, and whether a phone rings."""
    table = {"": ANSWERED, **FATES}
    return [
        {"digits": digits or "any other", "tells": fate.tells, "accepted": fate.accepted, "rings": rings(fate)}
        for digits, fate in table.items()
    ]


def rings(fate: Fate) -> bool:
    """Whether somebody's phone makes a sound."""
    return fate.accepted and fate.ends != "failed"


def life(fate: Fate, *, ring_s: int, talk_max_s: int | None = None) -> list[tuple[float, Status]]:
    """
    All that happens to a queued call: after how many seconds, and what it becomes then.

    Args:
        ring_s: how long it may ring, whole seconds (`Timeout`).
        talk_max_s: how long anybody may talk, whole seconds (`TimeLimit`), or None for no bound.
    """
    dialed: list[tuple[float, Status]] = [(STAYS_S["queued"], "initiated")]
    if fate.ends == "failed":
        return [*dialed, (STAYS_S["initiated"], "failed")]

    rung = [*dialed, (STAYS_S["initiated"], "ringing")]
    if fate.ends is None:
        return rung
    if fate.ends == "no-answer" or ring_s < STAYS_S["ringing"]:
        return [*rung, (min(ring_s, RINGS_OUT_S), "no-answer")]
    if fate.ends == "busy":
        return [*rung, (STAYS_S["ringing"], "busy")]

    talk_s = fate.talk_s if talk_max_s is None else min(fate.talk_s, talk_max_s)
    return [*rung, (STAYS_S["ringing"], "in-progress"), (talk_s, "completed")]
