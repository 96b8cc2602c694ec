"""Limits per scope: calls per second, live calls, a share, caps per hour and day; they hold from the next claim on."""

from collections.abc import Callable, Mapping

from outbound import db, logs
from outbound.errors import Fault
from outbound.formats import digits
from outbound.rules import audit, decision
from outbound.rules.control import sql as control_sql
from outbound.rules.scope import BadControl, Scope

sql = db.statements("rules/limits")
log = logs.get("control")

RATE_MIN = 0.001  # calls per second: one in some twenty minutes
RATE_MAX = 1000  # calls per second
LIVE_MAX = 1_000_000
WEIGHT_MIN, WEIGHT_MAX = 0.01, 100
CAP_MAX = 100_000_000  # calls, or minutes, of an hour or a day
_Limits = dict[str, float | None]  # by name; None takes one away
CAPS = ("calls_per_hour", "calls_per_day", "minutes_per_hour", "minutes_per_day")


def set_limits(
    scope: Scope,
    *,
    calls_per_second: str | None = None,
    live_max: str | None = None,
    weight: str | None = None,
    calls_per_hour: str | None = None,
    calls_per_day: str | None = None,
    minutes_per_hour: str | None = None,
    minutes_per_day: str | None = None,
    actor: str | None = None,
) -> None:
    """
    Limit how fast, how many at once and how much this scope dials, or set its share; what is not given stays.

    Args:
        calls_per_second: RATE_MIN to RATE_MAX, or `none`.
        live_max: calls that are claimed or in the air at once, 0 to LIVE_MAX, or `none`.
        weight: how much a business or a campaign gets beside others, WEIGHT_MIN to WEIGHT_MAX; 1 at first.
        calls_per_hour, calls_per_day, minutes_per_hour, minutes_per_day: how many may begin, and last in all, from 0 to
            CAP_MAX, or `none`.  Hours and days are those of the business's clocks, of the whole account those of UTC.

    Raises:
        BadControl: names everything that is wrong at once.
    """
    actor = decision.actor(actor)
    given = {
        "calls_per_second": calls_per_second,
        "live_max": live_max,
        "weight": weight,
        "calls_per_hour": calls_per_hour,
        "calls_per_day": calls_per_day,
        "minutes_per_hour": minutes_per_hour,
        "minutes_per_day": minutes_per_day,
    }
    values = _read(scope, {name: text for name, text in given.items() if text is not None})
    db.transact(lambda connection: _write(connection, actor, scope, values))
    log.info("control.limit", scope=scope.scope, **values)


def _read(scope: Scope, given: Mapping[str, str]) -> _Limits:
    """The limits that are given, where this scope may have them; else raise BadControl."""
    values: _Limits = {}
    faults: list[Fault] = []
    for name, text in given.items():
        read, fault = _LIMITS[name]
        try:
            values[name] = read(text)
        except ValueError:
            faults.append(Fault(name, fault))
    if scope.scope == "call":
        faults = [Fault("", "one call has no limits: limit its campaign or its business")]
    elif "weight" in given and scope.scope not in ("business", "campaign"):
        faults.append(Fault("weight", "only a business or a campaign has a --weight"))
    elif scope.scope == "number" and values.keys() & set(CAPS):
        faults.append(Fault("", "caps are of everything, a business or a campaign, not of a number"))
    elif not given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in _LIMITS)
        faults = [Fault("", f"say which: {options}")]
    if faults:
        raise BadControl.of(faults)
    return values


def _write(connection: db.Connection, actor: str, scope: Scope, values: _Limits) -> None:
    sets = {"sets_rate": "calls_per_second" in values, "sets_live_max": "live_max" in values}
    limits = {name: values.get(name) for name in ("calls_per_second", "live_max", "weight")}
    sql.set_limits(connection, **scope._asdict(), **sets, **limits)
    if caps := {name: values[name] for name in CAPS if name in values}:
        sql.set_spend_cap(connection, **scope._asdict(), given=db.json(caps))
        if small := [row for row in sql.caps_below_one_call(connection, **scope._asdict()) if row.name in values]:
            raise BadControl.of([Fault(row.name, _below_one_call(row)) for row in small])
    audit.write(connection, actor, "limit", scope, **values)
    control_sql.wake_dispatch(connection)


def _below_one_call(cap: db.Row) -> str:
    return (
        f"--{cap.name.replace('_', '-')} {cap.minutes} lets no call begin, as one may last {cap.needed} minutes: give "
        "at least as many, 0 for no calls, or calls that end earlier (the campaign's --time-limit-s, or "
        "OUTBOUND_TIME_LIMIT_S)"
    )


def _rate(text: str) -> float | None:
    return None if text == "none" else _within(digits.number(text), RATE_MIN, RATE_MAX)


def _live(text: str) -> float | None:
    return None if text == "none" else _within(digits.whole(text), 0, LIVE_MAX)


def _cap(text: str) -> float | None:
    return None if text == "none" else _within(digits.whole(text), 0, CAP_MAX)


def _weight(text: str) -> float:
    return _within(digits.number(text), WEIGHT_MIN, WEIGHT_MAX)


def _within(number: float | None, low: float, high: float) -> float:
    if number is None or not low <= number <= high:
        raise ValueError(number)
    return number


_LIMITS: dict[str, tuple[Callable[[str], float | None], str]] = {
    "calls_per_second": (_rate, f"--calls-per-second is a number from {RATE_MIN} to {RATE_MAX}, or none"),
    "live_max": (_live, f"--live-max is a whole number from 0 to {LIVE_MAX}, or none"),
    "weight": (_weight, f"--weight is a number from {WEIGHT_MIN} to {WEIGHT_MAX}"),
    **{name: (_cap, f"--{name.replace('_', '-')} is a whole number from 0 to {CAP_MAX}, or none") for name in CAPS},
}
