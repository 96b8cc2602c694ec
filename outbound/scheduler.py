"""Dispatch, reconcile and clean-up, again and again; safe on every host at once.  Nobody else knows APScheduler."""

from collections.abc import Callable
from datetime import UTC
from threading import Event

from apscheduler.schedulers.background import BackgroundScheduler

from outbound import db, logs
from outbound.cleanup import cleanup_stuck_dialing_jobs
from outbound.config import settings
from outbound.dispatch import dispatch_until
from outbound.reconcile import reconcile_overdue_calls

log = logs.get("scheduler")


def run(stop: Event) -> None:
    """Clean up once, then dispatch in this thread and run the duties beside it, until *stop* is set."""
    _survive(cleanup_stuck_dialing_jobs)()
    duties = BackgroundScheduler(timezone=UTC)
    for duty in (cleanup_stuck_dialing_jobs, reconcile_overdue_calls):
        duties.add_job(
            _survive(duty),
            "interval",
            seconds=settings().tick_s,
            id=duty.__name__,
            misfire_grace_time=None,  # a late round is still worth running; APScheduler would drop it after 1 s
            coalesce=True,
            max_instances=1,
        )
    duties.start()
    try:
        dispatch_until(stop)
    finally:
        duties.shutdown(wait=True)


def _survive(duty: Callable[[], object]) -> Callable[[], None]:
    """A round that fails is reported; the next one tries again."""

    def round_() -> None:
        try:
            duty()
        except db.Unavailable as error:
            log.warning("scheduler.database_away", duty=duty.__name__, error=type(error).__name__)
        except Exception:
            log.exception("scheduler.failed", duty=duty.__name__)

    return round_
