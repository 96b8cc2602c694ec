"""Health: what `outbound doctor` finds, what must be mended first on top, and the processes that are alive."""

import asyncio
import platform
import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from outbound import __version__, db
from outbound.api.context import require
from outbound.calls.confirm import WEB_SILENT_S
from outbound.checks import doctor
from outbound.checks.finding import Finding
from outbound.config import SCHEDULER_SILENT_S, WORKER_SILENT_S
from outbound.page.route import Screens
from outbound.page.visit import Visit

screens = Screens()
sql = db.statements("page/health")

KEPT_S = 10.0  # what was found is shown to all who look for so long
_ORDER = ("fail", "warn", "skip", "ok")


class Examiner:
    """Keeps what doctor found last; of several who look at once, one has it look again and the others wait."""

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._at = float("-inf")
        self._looking: asyncio.Task[list[Finding]] | None = None

    async def findings(self) -> tuple[list[Finding], float]:
        """What is found, worst first, and how many seconds old that is."""
        if time.monotonic() - self._at > KEPT_S:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(run_in_threadpool(doctor.examine))
            # Shielded: who goes away while it looks does not end it for the others.
            found = await asyncio.shield(self._looking)
            if found is not self._found:
                self._found, self._at = found, time.monotonic()
        worst_first = sorted(self._found, key=lambda one: _ORDER.index(one.state))
        return worst_first, time.monotonic() - self._at


@screens.shows("/health")
async def show(visit: Visit) -> Response:
    """Show what is found, and the processes."""
    require(visit.caller, "operator", of_all=True)
    findings, age_s = await visit.request.app.state.examiner.findings()
    seen = await run_in_threadpool(_seen)
    counts = {state: sum(one.state == state for one in findings) for state in _ORDER}
    return visit.show(
        "health.html",
        screen="health",
        findings=findings,
        counts=counts,
        first=findings[0] if findings and findings[0].state in ("fail", "warn") else None,
        age_s=age_s,
        outbound=__version__,
        python=platform.python_version(),
        scheduler_silent_s=SCHEDULER_SILENT_S,
        web_silent_s=WEB_SILENT_S,
        **seen,
    )


def _seen() -> dict[str, Any]:
    """Processes, tasks and versions, as the database knows them."""
    return {
        "workers": list(db.run(sql.workers, worker_silent_s=WORKER_SILENT_S)),
        "tasks": list(db.run(sql.tasks)),
        "web_s": db.run(sql.web),
        "server": db.run(sql.server),
    }
