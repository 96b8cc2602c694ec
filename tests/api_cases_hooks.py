"""A check that schemathesis makes of some answers: what was refused has changed nothing."""

import os
import random
import urllib.request
from typing import Any

import schemathesis

SHARE = 0.1  # of the cases: a digest of every table takes longer than most of them
_chosen = random.Random(1)
_before: list[str] = []


def _digest() -> str:
    with urllib.request.urlopen(os.environ["DIGEST_URL"], timeout=60) as answer:  # noqa: S310 (the runner's own)
        return str(answer.read().decode())


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Look at the tables before some cases."""
    _before[:] = [_digest()] if _chosen.random() < SHARE else []


@schemathesis.check
def refused_changes_nothing(ctx: Any, response: Any, case: Any) -> None:
    """Look at them again, where the answer says no."""
    if _before and 400 <= response.status_code < 500:
        now = _digest()
        assert now == _before[0], f"{case.method} {case.path} was refused, and changed something"
