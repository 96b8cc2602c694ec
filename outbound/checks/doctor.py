"""
Is everything sound that calls depend on, and if not, how is it mended?  Fit for a gate before and after a deployment.

It changes nothing: what it must make in order to compare is rolled back, and the message that it sends to the broker is
taken back.  One trace is left, since it must ask the web process what a forger would: that process counts one refused
callback.
"""

from collections.abc import Iterable

from outbound import db
from outbound.checks import broker, carrier, database, processes, webhooks
from outbound.checks.finding import Check, Finding, Result, fail, failed

CHECKS = (*database.CHECKS, *broker.CHECKS, *carrier.CHECKS, *processes.CHECKS, *webhooks.CHECKS)


def examine() -> list[Finding]:
    """Run every check; one whose ground is missing says so, and none that fails stops another.  Some 30 s at most."""
    findings = [Finding("settings", "ok", "accepted")]
    return [*findings, *_examine(CHECKS)]


def refused(faults: Iterable[str]) -> list[Finding]:
    """Return what is found where the settings are wrong: nothing else can be looked at."""
    mend = "set it as docs/settings.md says"
    wrong = [Finding("settings", "fail", fault, mend) for fault in faults]
    return [*wrong, *(Finding(check.name, "skip", "needs settings") for check in CHECKS)]


def is_sound(findings: Iterable[Finding]) -> bool:
    """Does nothing fail?  Warnings alone are no reason to stop a deployment."""
    return all(found.state != "fail" for found in findings)


def _examine(checks: Iterable[Check]) -> list[Finding]:
    found: dict[str, Finding] = {}
    for check in checks:
        missing = [ground for ground in check.needs if found[ground].state in ("fail", "skip")]
        if missing:
            found[check.name] = Finding(check.name, "skip", f"needs {missing[0]}")
        else:
            found[check.name] = Finding(check.name, *_run(check))
    return list(found.values())


def _run(check: Check) -> Result:
    try:
        return check.run()
    except db.UnfitDatabase as error:
        return fail(error.text, error.mend)
    except Exception as error:  # noqa: BLE001 (each part may be away in its own way, and the others are still looked at)
        return failed(error)
