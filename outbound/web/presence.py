"""Says in the database, every few seconds, that a web process can write down callbacks."""

import asyncio

from starlette.concurrency import run_in_threadpool

from outbound import db, logs
from outbound.calls import confirm

log = logs.get("web")

BEAT_S = 3  # well under confirm.WEB_SILENT_S


async def keep_saying_so() -> None:
    """Until it is canceled.  While the database is away nothing is written, which shows that callbacks may be lost."""
    while True:
        await run_in_threadpool(_say_so)
        await asyncio.sleep(BEAT_S)


def _say_so() -> None:
    try:
        confirm.note_web_process()
    except db.Unavailable:
        pass  # each callback that it costs is answered, and counted, as such
    except Exception as error:  # noqa: BLE001 (no permission, an older schema: callbacks are taken all the same)
        log.warning("web.presence_unwritten", error=type(error).__name__)
