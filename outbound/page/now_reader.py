"""Reads what goes on at this moment, of all businesses and of single ones, in one statement for all who watch."""

import asyncio
import time
from collections.abc import Collection
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool

from outbound import db
from outbound.api.tenant_view import View
from outbound.config import SCHEDULER_SILENT_S, WORKER_SILENT_S

sql = db.statements("page/now_reader")

COUNTED_MAX = 10_000  # calls that wait; more are shown as 10,000+
ROWS_MAX = 20  # campaigns, pauses and latest calls
OF_ALL = 0  # in place of a business's id
_FRESH_S = 0.9  # what was read so lately is shown to who opens a page

Now = dict[str, Any]  # as read_now makes it: what a token of one business may not see is left out


class Found(NamedTuple):
    """
    What was read: `now` by business (OF_ALL for all), a text per (kind, id) that changes with what it is of, and the
    token of each session, as page/session reads it.
    """

    now: dict[int, Now]
    versions: dict[tuple[str, int], str]
    sessions: list[dict[str, Any]]


def read(
    businesses: Collection[int],
    calls: Collection[int] = (),
    campaigns: Collection[int] = (),
    sessions: Collection[bytes] = (),
) -> Found:
    """
    Read what goes on in these businesses, the versions of these calls and campaigns, and the sessions of these digests.

    Raises:
        db.Unavailable: the database does not answer.
    """
    rows = db.run(
        sql.read_now,
        business_ids=list(businesses),
        call_ids=list(calls),
        campaign_ids=list(campaigns),
        secrets_sha256=list(sessions),
        counted_max=COUNTED_MAX,
        rows_max=ROWS_MAX,
        worker_silent_s=WORKER_SILENT_S,
        scheduler_silent_s=SCHEDULER_SILENT_S,
    )
    found = Found({}, {}, [])
    for row in rows:
        if row.kind == "now":
            found.now[row.id] = _seen_by(row.id, row.found)
        elif row.kind == "session":
            found.sessions.append(row.found)
        else:
            found.versions[row.kind, row.id] = row.found
    return found


def _seen_by(business_id: int, now: Now) -> Now:
    """Leave out what is the operator's: who paused it and why, and what is wrong with the installation."""
    view = View(business_id or None)
    if view.is_whole:
        return now
    pauses = [view.pause(pause) for pause in now["pauses"]]
    return now | {"blockers": view.blockers(now["blockers"]), "pauses": pauses, "threads": None}


class Reader:
    """Gives what goes on to who opens a page: of several at once, and of who comes a moment later, one read is made."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[float, Now]] = {}
        self._lock = asyncio.Lock()

    def keep(self, found: Found) -> None:
        """Take over what somebody else has just read."""
        at = time.monotonic()
        self._last |= {business: (at, now) for business, now in found.now.items()}

    async def of(self, business: int) -> Now:
        """
        What goes on in a business, or in all (OF_ALL).

        Raises:
            db.Unavailable: the database does not answer.
        """
        async with self._lock:
            at, now = self._last.get(business, (0.0, {}))
            if not now or time.monotonic() - at > _FRESH_S:
                self.keep(await run_in_threadpool(read, [business]))
                _, now = self._last[business]
            return now
