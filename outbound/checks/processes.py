"""Are workers and the scheduler alive, and does anything keep calls from being dialed?"""

from outbound import config, db
from outbound.calls.cleanup import RULES
from outbound.checks.finding import Check, Result, fail, ok, warn
from outbound.monitoring import situation

sql = db.statements("checks/processes")

_OF_OTHER_CHECKS = ("no_worker", "no_scheduler", "stopped_broker", "stopped_recovery", "no_destination")


def _workers() -> Result:
    alive = db.run(sql.consumers, worker_silent_s=config.WORKER_SILENT_S)
    if not alive.threads:
        mend = config.as_started("start `outbound worker`; if it runs, look at its log")
        return fail("none is alive: no call is dialed", mend)
    return ok(f"{alive.processes} processes, {alive.threads} threads")


def _scheduler() -> Result:
    ages = {row.name: row.age_s for row in db.run(sql.tasks)}
    silent = [name for name in RULES if ages.get(name, float("inf")) > config.SCHEDULER_SILENT_S]
    if silent:
        since = "it has never run" if not ages else f"not within {config.SCHEDULER_SILENT_S} s: {', '.join(silent)}"
        mend = config.as_started("start `outbound scheduler`; if it runs, look at its log for what fails")
        return fail(since, mend)
    if ages.get("reconcile", float("inf")) > config.SCHEDULER_SILENT_S:
        return warn("clean-up runs, reconcile comes to no end", "the carrier does not answer: see the check `carrier`")
    return ok("its maintenance tasks run")


def _dialing() -> Result:
    """
    Return what keeps calls from being dialed that is no fault of a part: a pause, a cap, the carrier's hold, the hour.
    """
    facts = [fact for fact in situation.read() if fact.kind != "ok" and fact.code not in _OF_OTHER_CHECKS]
    if not facts:
        return ok("no pause and no limit is in the way of a call")
    text = " ".join(fact.sentence for fact in facts)
    return warn(text, "nothing, where somebody wants it so; else what it says")


CHECKS = (
    Check("workers", _workers, ("migrations",)),
    Check("scheduler", _scheduler, ("migrations",)),
    Check("dialing", _dialing, ("migrations",)),
)
