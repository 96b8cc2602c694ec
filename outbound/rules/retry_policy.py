"""Retry policies: after which outcomes, when and how often a callee is called again."""

import re
from datetime import timedelta
from typing import NamedTuple

from outbound import db
from outbound.errors import Fault, UserError
from outbound.formats import plain_text, row_id

sql = db.statements("rules/retry_policy")

EXAMPLE = "busy: 5m, 30m; no-answer: 2h, next day; failed: none"
OUTCOMES = ("busy", "no-answer", "failed")
STEPS_MAX = 20  # of one retry policy
ATTEMPTS_MAX = 100  # of one callee, in a day or a week: a bound against slips, not a recommendation
NAME_MAX = 100  # characters
WAIT_MIN, WAIT_MAX = timedelta(minutes=1), timedelta(days=30)

_WAIT = re.compile(r"([0-9]{1,6})\s*([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class BadRetryPolicy(UserError):
    """The error where what was given of a retry policy is wrong; the message says what, and nothing was changed."""


class Step(NamedTuple):
    """The time to wait after the *step*-th end of this kind, from 1."""

    outcome: str
    step: int
    wait: timedelta


def add(
    business_id: int,
    name: str,
    steps: str,
    *,
    per_day: int | None,
    per_week: int | None,
    is_default: bool = False,
    actor: str,
) -> int:
    """
    Add a retry policy and return its id.

    Args:
        steps: `busy: 5m, 30m; no-answer: 2h, next day; failed: none`.  What is not named is not tried again.
        per_day, per_week: how often one callee of the business may be dialed within 24 hours and within 7 days, over
            all of its campaigns, 1 to 100; there is no retry policy without them.
        is_default: calls of no campaign, and of campaigns that have no retry policy of their own, take this one.
        actor: the person who decided it, for `audit`.

    Raises:
        BadRetryPolicy: names everything that is wrong at once.
    """
    read_steps, step_faults = _read(steps)
    of_steps = [Fault("steps", fault) for fault in step_faults]
    if faults := [*_name_faults(name), *of_steps, *_cap_faults(per_day, per_week)]:
        raise BadRetryPolicy.of(faults)
    name = name.strip()
    details = {"business": business_id, "name": name, "steps": steps, "per_day": per_day, "per_week": per_week}
    try:
        added = db.run(
            sql.add_retry_policy,
            business_id=business_id,
            name=name,
            per_day=per_day,
            per_week=per_week,
            outcomes=[step.outcome for step in read_steps],
            steps=[step.step for step in read_steps],
            waits=[step.wait for step in read_steps],
            is_default=is_default,
            who=actor,
            details=db.json(details | {"is_default": is_default}),
        )
    except db.Conflict:
        message = f"the business has a retry policy named {name} already: give another name"
        raise BadRetryPolicy.about("name", message) from None
    if added is None:
        raise BadRetryPolicy(f"there is no business {business_id}: see `outbound business list`")
    return int(added)


def _name_faults(name: str) -> list[Fault]:
    if name.strip() and name.isprintable() and len(name) <= NAME_MAX:
        return []
    return [Fault("name", f"a retry policy needs a name, in one line of {NAME_MAX} characters at most")]


def _cap_faults(per_day: int | None, per_week: int | None) -> list[Fault]:
    faults = [
        Fault(f"per_{period}", f"say how often one callee may be dialed per {period}: 1 to {ATTEMPTS_MAX}")
        for period, cap in (("day", per_day), ("week", per_week))
        if cap is None or not 1 <= cap <= ATTEMPTS_MAX
    ]
    if per_day is not None and per_week is not None and per_week < per_day:
        faults.append(Fault("per_week", "the cap per week is lower than the one per day"))
    return faults


def use(business_id: int, name: str | None, *, actor: str) -> bool:
    """
    Give a business's calls that have no other retry policy this one, or none.

    Returns:
        Whether it is another than before.

    Raises:
        BadRetryPolicy: there is no such business, or it has no such retry policy.
    """
    name = name and name.strip()
    is_another = db.run(sql.use_retry_policy, business_id=row_id.possible(business_id), name=name, who=actor)
    if is_another is None and not db.run(sql.is_business, business_id=row_id.possible(business_id)):
        raise BadRetryPolicy(f"there is no business {business_id}: see `outbound business list`")
    if is_another is None:
        message = (
            f"business {business_id} has no retry policy {plain_text.visible(name or '')}:"
            " see `outbound retry-policy list`"
        )
        raise BadRetryPolicy.about("name", message)
    return bool(is_another)


def every(business_id: int | None = None) -> list[db.Row]:
    """All retry policies, business by business, or those of one, by their names."""
    return sorted(page(business_id), key=lambda policy: (policy.business_id, policy.name))


def page(business_id: int | None = None, *, before: int | None = None, limit: int | None = None) -> list[db.Row]:
    """The policies of `every`, the newest first: *limit* at most with a smaller id than *before*; None for no bound."""
    return list(db.run(sql.list_retry_policies, business_id=business_id, before_id=before, page_max=limit))


def written(policy: db.Row) -> str:
    """The steps of a row of `every`, as `add` reads them."""
    waits: dict[str, list[str]] = {}
    for outcome, seconds in zip(policy.outcomes, policy.waits_s, strict=True):
        unit = next(unit for unit in "dhm" if seconds % _UNITS[unit].total_seconds() == 0)
        waits.setdefault(outcome, []).append(f"{seconds // int(_UNITS[unit].total_seconds())}{unit}")
    return "; ".join(f"{outcome}: {', '.join(waits.get(outcome, ['none']))}" for outcome in OUTCOMES)


def _read(text: str) -> tuple[list[Step], list[str]]:
    """The steps that a text means, and everything that is wrong with it."""
    steps: list[Step] = []
    faults: list[str] = []
    named: set[str] = set()
    for part in filter(str.strip, text.split(";")):
        name, colon, waits = (piece.strip().lower() for piece in part.partition(":"))
        outcome = re.sub(r"[\s_]+", "-", name)
        if outcome not in OUTCOMES or not colon:
            faults.append(
                f"{name[:20]!r} is not an outcome: write `busy: 5m, 30m; no-answer: 2h, next day; failed: none`"
            )
            continue
        if outcome in named:
            faults.append(f"{outcome} is there twice")
        named.add(outcome)
        words = [] if waits == "none" else waits.split(",")
        steps += [Step(outcome, place, _wait(word.strip())) for place, word in enumerate(words, start=1)]
    if not named and not faults:
        faults.append(f"a retry policy needs steps: write `{EXAMPLE}`")
    if len(steps) > STEPS_MAX:
        faults.append(f"a retry policy has at most {STEPS_MAX} steps, and this has {len(steps)}")
    else:
        faults += [
            f"wait {step.step} of {step.outcome} must be like 5m, 2h, 3d or next day, from 1m to 30d"
            for step in steps
            if not WAIT_MIN <= step.wait <= WAIT_MAX
        ]
    return steps, faults


def _wait(word: str) -> timedelta:
    """Return how long a step waits; nothing where that is no wait at all."""
    if word == "next day":
        return timedelta(days=1)
    number = _WAIT.fullmatch(word)
    return int(number[1]) * _UNITS[number[2]] if number else timedelta()
