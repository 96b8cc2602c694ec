"""The limits of a scope in a form: what each was when the form was made, and which of them somebody has changed."""

from collections.abc import Mapping, Sequence
from typing import Any

from outbound.page.visit import Visit

LIMITS = ("calls_per_second", "live_max", "calls_per_hour", "calls_per_day", "minutes_per_hour", "minutes_per_day")
WEIGHT = "weight"  # always set, and 1 at first
_OF_A_NUMBER = LIMITS[:2]


def names(scope: str, visit: Visit) -> tuple[str, ...]:
    """The limits that this scope can have and somebody may change."""
    if scope == "number":
        return _OF_A_NUMBER
    has_weight = scope in ("business", "campaign") and visit.caller.business_id is None
    return (*LIMITS, WEIGHT) if has_weight else LIMITS


def fields(wanted: Sequence[str], limits: Mapping[str, Any], typed: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """
    Each field as (its name, what stands in it, what was so when the form was made).

    Args:
        limits: what is so now, None or left out where there is no limit.
        typed: what was sent of the same form before, which is kept.
    """
    now = {name: _text(limits.get(name)) for name in wanted}
    return [(name, typed.get(name, now[name]), typed.get(f"was {name}", now[name])) for name in wanted]


def changed(typed: Mapping[str, str]) -> dict[str, str]:
    """
    What somebody has changed in a form, as the API reads it.

    A field that they left as it was is not sent, so that what somebody else has set meanwhile stays.
    """
    given = {name: typed[name] for name in (*LIMITS, WEIGHT) if typed.get(name, "") != typed.get(f"was {name}", "")}
    return {name: value or "none" for name, value in given.items() if value or name != WEIGHT}


def _text(value: float | None) -> str:
    return "" if value is None else f"{float(value):.15g}"
