"""The scheduler process: dispatch, and maintenance tasks beside it; safe on every host at once."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from threading import Event, Thread

from apscheduler.schedulers.background import BackgroundScheduler

from outbound import db, logs
from outbound.adopt.bridge import write_late_to_old_tables
from outbound.calls.cleanup import cleanup_stuck_dialing_jobs
from outbound.calls.dispatch import dispatch_until
from outbound.calls.hang_up import hang_up_requested_calls
from outbound.calls.reconcile import reconcile_overdue_calls
from outbound.calls.retention import delete_old_calls, delete_old_rest
from outbound.config import settings
from outbound.processes import systemd_notify
from outbound.rules.spend import settle_spend
from outbound.webhooks.delivery import deliver_until, return_overdue_deliveries
from outbound.webhooks.event import write_campaigns_done

log = logs.get("scheduler")

_SELDOM_TICKS = 12  # a minute at the default tick


def seldom(task: Callable[[], int]) -> Callable[[], int]:
    """A task that runs each tick while its rounds find something, and else once in _SELDOM_TICKS."""
    ticks_off = 0

    @wraps(task)
    def round_() -> int:
        nonlocal ticks_off
        if ticks_off:
            ticks_off -= 1
            return 0
        found = task()
        ticks_off = 0 if found else _SELDOM_TICKS - 1
        return found

    return round_


_TASKS: tuple[Callable[[], object], ...] = (
    cleanup_stuck_dialing_jobs,
    reconcile_overdue_calls,
    hang_up_requested_calls,
    settle_spend,
    seldom(delete_old_calls),
    seldom(delete_old_rest),
    write_late_to_old_tables,
    return_overdue_deliveries,
    write_campaigns_done,
)
_CLOCK_LOOK_S = 1  # between two readings of the host's clock
_CLOCK_SET_S = 1  # a clock that is further than this from where it should be was set
_ROUND_MAX_S = 600  # ten questions to a carrier that takes its 45 s for each, and more; a longer round hangs


def run(stop: Event) -> None:
    """Clean up once, then dispatch in this thread and run the maintenance tasks beside it, until *stop* is set."""
    rounds = _Rounds()
    rounds.of(cleanup_stuck_dialing_jobs)()
    tasks = BackgroundScheduler(timezone=UTC)
    tick_s = settings().tick_s
    for place, task in enumerate(_TASKS, 1):
        tasks.add_job(
            rounds.of(task),
            "interval",
            seconds=tick_s,
            # One after the other, not all at the same moment: they share a connection, and keep no dispatch waiting.
            next_run_time=datetime.now(UTC) + timedelta(seconds=tick_s * place / len(_TASKS)),
            id=task.__name__,
            misfire_grace_time=None,  # a late round is still worth running; APScheduler would drop it after 1 s
            coalesce=True,
            max_instances=1,
        )
    tasks.start()
    Thread(target=_follow_clock, args=(tasks, stop), name="clock", daemon=True).start()
    Thread(target=deliver_until, args=(stop,), name="webhooks", daemon=True).start()
    try:
        dispatch_until(stop, rounds.report)
    finally:
        systemd_notify.stopping()
        tasks.shutdown(wait=True)


def _follow_clock(tasks: BackgroundScheduler, stop: Event) -> None:
    """
    Run every task at once after the host's clock was set, until *stop* is set.

    APScheduler plans by that clock: set back by an hour, it would run nothing for an hour.  Elapsed time says that the
    clock was set, and after the round that runs at once each task is planned again.
    """
    clock = HostClock()
    while not stop.wait(_CLOCK_LOOK_S):
        if by_s := clock.jump_s():
            log.warning("scheduler.clock_set", by_s=round(by_s))
            for task in tasks.get_jobs():
                task.modify(next_run_time=datetime.now(UTC))


class HostClock:
    """Compares the host's clock with elapsed time."""

    def __init__(self) -> None:
        self._offset_s = self._offset()

    def jump_s(self) -> float:
        """Seconds by which the clock jumped since the last jump that was returned; 0 where that is under a second."""
        offset_s = self._offset()
        by_s = offset_s - self._offset_s
        if abs(by_s) < _CLOCK_SET_S:
            return 0
        self._offset_s = offset_s
        return by_s

    @staticmethod
    def _offset() -> float:
        return time.time() - time.monotonic()


class _Rounds:
    """The ends of the last rounds of the maintenance tasks."""

    def __init__(self) -> None:
        self._ended_at = {task.__name__: time.monotonic() for task in _TASKS}

    def report(self) -> None:
        """Feed systemd's watchdog, unless a task's round hangs."""
        if time.monotonic() - min(self._ended_at.values()) < _ROUND_MAX_S:
            systemd_notify.at_work()

    def of(self, task: Callable[[], object]) -> Callable[[], None]:
        """One round of a task; one that fails is logged, and the next one tries again."""

        def round_() -> None:
            try:
                task()
            except db.Unavailable as error:
                log.outage("scheduler.database_away", error, task=task.__name__)
            except Exception:
                log.exception("scheduler.failed", task=task.__name__)
            finally:
                self._ended_at[task.__name__] = time.monotonic()

        return round_
