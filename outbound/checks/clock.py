"""Measures how far another clock is from this host's."""

import time
from collections.abc import Callable

from outbound.checks.finding import Result, fail, ok, warn

_SKEW_WARN_S, _SKEW_FAIL_S = 2, 60


def clock(whose: str, read: Callable[[], float]) -> Result:
    """Return how far another clock is from this host's, by the quickest of three questions."""
    asked = []
    for _ in range(3):
        before = time.time()
        theirs = read()
        took_s = time.time() - before
        asked.append((took_s, theirs - before - took_s / 2))
    _, ahead_s = min(asked)
    text = f"{whose} is {abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this host"
    mend = "let NTP set the clocks of both (`timedatectl set-ntp true`)"
    if abs(ahead_s) >= _SKEW_FAIL_S:
        return fail(text, mend)
    return warn(text, mend) if abs(ahead_s) >= _SKEW_WARN_S else ok(f"within {_SKEW_WARN_S} s of this host's")
