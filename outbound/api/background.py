"""Work that goes on after its request was answered."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from outbound import db, logs

log = logs.get("api")
_tasks: set[asyncio.Task[None]] = set()  # the loop itself holds them but weakly


def start(work: Coroutine[Any, Any, None]) -> None:
    """Begin some work in the event loop that serves."""
    task = asyncio.get_running_loop().create_task(work)
    _tasks.add(task)
    task.add_done_callback(_over)


def _over(task: asyncio.Task[None]) -> None:
    _tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        code, _ = db.fault(error)
        log.error("api.fault", error=type(error).__name__, sqlstate=code)
