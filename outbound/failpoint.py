"""Die on purpose, once, at a named point: how the tests prove that a crash there costs nothing."""

import os
import signal
from pathlib import Path

# A directory in which a file named after a point asks for a crash there.  Set by tests alone.
_DIRECTORY = "CRASH_OUTBOUND_AT"

POINTS = (
    "dispatch.claimed",
    "dispatch.nudged",
    "dial.begun",
    "dial.answered",
    "dial.written",
    "callback.recorded",
    "lead.made",
    "cleanup.applied",
    "reconcile.taken",
    "reconcile.answered",
    "reconcile.written",
)
WEBHOOK_POINTS = ("webhook.claimed", "webhook.taken", "webhook.answered", "webhook.written")
ADOPT_POINTS = (
    "adopt.begun",
    "adopt.business",
    "adopt.run",
    "adopt.call",
    "adopt.job",
    "adopt.lead",
    "adopt.moved",
)
ADOPT_REDIS_POINTS = ("adopt.messages", "adopt.set_aside")
UNDO_POINTS = ("adopt.given_back", "adopt.columns_dropped")
UNDO_REDIS_POINTS = ("adopt.put_back",)
API_POINTS = ("api.done", "api.committed")  # of a writing request: before its (last) commit, and before its answer
RECOVERY_POINTS = ("recover.taken_in", "recover.recorded", "recover.letting_go")  # of one command, not of a call's life


def crash_here(point: str) -> None:
    """Kill this process as `kill -9` would, if a test asked for it at *point* and no other process died there yet."""
    directory = os.environ.get(_DIRECTORY)
    if directory is None:
        return
    try:
        (Path(directory) / point).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
