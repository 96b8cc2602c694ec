"""Operator controls per scope: pause, resume, drain, cancel, stop and limits; they hold from the next claim on."""

import math
import time
from collections.abc import Callable
from threading import Event
from typing import NamedTuple

from outbound import db, logs, names, os_user
from outbound.call import IN_THE_AIR, WAITING
from outbound.config import settings
from outbound.errors import UserError
from outbound.formats import phone_numbers, plain_text

sql = db.statements("rules/control")
log = logs.get("control")

ID_MAX = 2**63 - 1  # a bigint has no more
RATE_MIN = 0.001  # calls per second: one in some twenty minutes
RATE_MAX = 1000  # calls per second
LIVE_MAX = 1_000_000
WEIGHT_MIN, WEIGHT_MAX = 0.01, 100
CAP_MAX = 100_000_000  # calls, or minutes, of an hour or a day
CAPS = ("calls_per_hour", "calls_per_day", "minutes_per_hour", "minutes_per_day")
TEXT_MAX = 200  # characters of a reason, or of a name

_BATCH = 1000  # calls that are canceled in one transaction: 200,000 would hold their locks for a minute
_TURN_WAIT_S = 40  # a dispatcher that was stopped in its turn loses it after 30 s
_LOOK_S = 1  # between two looks at a scope that is being drained


class BadControl(UserError):
    """That cannot be done; the message says why and what can, and nothing was changed."""


class Scope(NamedTuple):
    """What is controlled: `account` with key '', `business`, `campaign` or `call` with an id, `number` with E.164."""

    scope: str
    key: str

    @property
    def id(self) -> int | None:
        """The id in its key, if it has one."""
        return int(self.key) if self.scope in ("business", "campaign", "call") else None

    def __str__(self) -> str:
        return "everything" if self.scope == "account" else f"{self.scope} {self.key}"


class Canceled(NamedTuple):
    """How many calls were canceled before anybody dialed them, and how many are being canceled at the carrier."""

    waiting: int
    in_the_air: int


def scope_of(what: str, key: str | None = None) -> Scope:
    """
    What an operator means: `everything`, or a business, campaign, number or call and which.

    Raises:
        BadControl: there is no such thing.
    """
    scope = _read_scope(what, key)
    if not db.run(sql.is_known, **scope._asdict(), id=scope.id):
        if scope.scope == "number":
            raise BadControl(
                "nobody calls from this number: no business, no campaign and no call that waits; see `outbound control`"
            )
        if scope.scope == "call":
            raise BadControl(f"there is no outbound {scope}: `outbound enqueue` printed its id")
        raise BadControl(f"there is no {scope}: see `outbound {scope.scope} list`")
    return scope


def _read_scope(what: str, key: str | None) -> Scope:
    if what == "everything":
        if key is not None:
            raise BadControl("nothing comes after `everything`: leave the rest out, or say `business ID` and the like")
        return Scope("account", "")
    if what == "number":
        try:
            return Scope("number", phone_numbers.read(key or "", None))
        except phone_numbers.NoPhoneNumber as refusal:
            raise BadControl(f"which number?  It {refusal}") from None
    if what not in ("business", "campaign", "call"):
        raise BadControl("say what: everything, business ID, campaign ID, number +972…, or call ID")
    if not key:
        raise BadControl(
            f"which {what}?  Give its id" + (", its CA…, its key or its number" if what == "call" else " or name")
        )
    try:
        return Scope(what, str(names.call(key) if what == "call" else names.find(what, key)))  # type: ignore[arg-type]
    except names.NoSuchName as refusal:
        raise BadControl(str(refusal)) from None


def pause(scope: Scope, *, reason: str | None = None, by: str | None = None) -> int:
    """
    Begin nothing new in this scope; what is in the air goes on.  Return how many claims were taken back.

    When this returns no call of the scope is claimed, and none will be; a create that a worker is sending in this
    instant is the last one.

    Raises:
        BadControl: it is a call that cannot be held any more, or the reason is no line of text.
    """
    return _pause(scope, "pause", reason, by)[0]


def stop(scope: Scope, *, reason: str | None = None, by: str | None = None) -> int:
    """
    Pause, and ask for an end of whatever is in the air, also of calls in progress.  Return how many calls that are.

    `hang_up_requested_calls` tells the carrier.

    Raises BadControl as `pause` does, but a call that is in the air can be stopped.
    """
    return _pause(scope, "stop", reason, by)[1]


def _pause(scope: Scope, action: str, reason: str | None, by: str | None) -> tuple[int, int]:
    reason, who = line(reason, "the reason"), _who(by)

    def move(connection: db.Connection) -> tuple[int, int]:
        hold = _hold_call if scope.scope == "call" else _hold_scope
        claims, hang_ups = hold(connection, scope, action, reason, who)
        _audit(connection, who, action, scope, reason=reason, claims_taken_back=claims, hang_ups=hang_ups)
        return claims, hang_ups

    claims, hang_ups = db.persist(lambda: db.transact(move), for_s=_TURN_WAIT_S)
    log.info(f"control.{action}", scope=scope.scope, claims_taken_back=claims, hang_ups=hang_ups)
    return claims, hang_ups


def _hold_scope(connection: db.Connection, scope: Scope, action: str, reason: str | None, who: str) -> tuple[int, int]:
    sql.wait_for_turn(connection)
    claims = sql.pause_scope(connection, **scope._asdict(), reason=reason)
    # After it, as a statement of its own: what a worker began to dial before the pause is seen only now.
    return claims, _ask_for_end(connection, scope, "completed", reason, who) if action == "stop" else 0


def _hold_call(connection: db.Connection, scope: Scope, action: str, reason: str | None, who: str) -> tuple[int, int]:
    stopped = {"who": who, "reason": reason} if action == "stop" else {"who": None, "reason": None}
    was = sql.pause_call(connection, call_id=scope.id, **stopped)
    if was in WAITING:
        return int(was == "claimed"), 0
    if was in IN_THE_AIR and action == "stop":
        return 0, _ask_for_end(connection, scope, "completed", reason, who)
    raise _cannot(scope, was)


def _ask_for_end(connection: db.Connection, scope: Scope, hang_up: str, reason: str | None, who: str) -> int:
    return int(sql.request_hang_ups(connection, **scope._asdict(), hang_up=hang_up, reason=reason, who=who))


def _cannot(scope: Scope, status: str) -> BadControl:
    if status in IN_THE_AIR:
        return BadControl(f"{scope} is {status}: `outbound stop {scope}` hangs up")
    return BadControl(f"{scope} has ended: {status}")


def resume(scope: Scope, *, by: str | None = None) -> bool:
    """
    Resume a scope that an operator or the breaker paused, and reset its counts of refusals and carrier failures.

    Returns:
        was it paused?
    """
    who = _who(by)

    def move(connection: db.Connection) -> bool:
        if scope.scope == "call":
            was_paused = bool(sql.resume_call(connection, call_id=scope.id))
        else:
            was_paused = bool(sql.resume_scope(connection, **scope._asdict()))
        _audit(connection, who, "resume", scope, was_paused=was_paused)
        sql.wake_dispatch(connection)
        return was_paused

    was_paused = db.transact(move)
    log.info("control.resume", scope=scope.scope, was_paused=was_paused)
    return was_paused


def drain(
    scope: Scope,
    *,
    timeout_s: float | None = None,
    stopped: Event | None = None,
    tell: Callable[[int], None] = lambda _: None,
    reason: str | None = None,
    by: str | None = None,
) -> int:
    """
    Pause, and wait until none of the scope's calls is in the air; return how many still are.

    That is not 0 where it took longer than *timeout_s*, or *stopped* was set.  The scope stays paused in any case.

    Args:
        tell: called with the number of calls that are in the air, at every look.

    Raises:
        BadControl: as `pause` does; and one call is not drained.
    """
    if scope.scope == "call":
        raise BadControl("one call is paused or stopped, not drained")
    if timeout_s is not None and not 0 < timeout_s < math.inf:
        raise BadControl("--timeout is a number of seconds, more than 0")
    _pause(scope, "drain", reason, by)
    deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
    stopped = stopped or Event()
    while True:
        live: int = db.persist(lambda: db.run(sql.count_live, **scope._asdict()), for_s=_TURN_WAIT_S)
        tell(live)
        if live == 0 or stopped.wait(max(0, min(_LOOK_S, deadline - time.monotonic()))) or time.monotonic() >= deadline:
            return live


def cancel(
    scope: Scope,
    *,
    reason: str | None = None,
    by: str | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> Canceled:
    """
    Close every call of the scope that waits, and ask for an end of what rings; who is talking is left alone.

    Nothing of the scope is dialed meanwhile; what is put in the queue later is dialed: canceled is not paused.
    `hang_up_requested_calls` tells the carrier.

    Args:
        tell: called with the number of calls that were closed so far.

    Raises:
        BadControl: it is a call that is in progress or has ended, or the reason is no line of text.
    """
    reason, who = line(reason, "the reason"), _who(by)
    one_by_one = scope._asdict() | {"id": scope.id, "batch_max": _BATCH, "reason": reason, "who": who}
    if scope.scope == "call":
        canceled = db.persist(
            lambda: db.transact(lambda c: _cancel_call(c, scope, who, reason, one_by_one)), _TURN_WAIT_S
        )
    else:
        canceled = _cancel_scope(scope, who, reason, one_by_one, tell)
    log.info("control.cancel", scope=scope.scope, waiting=canceled.waiting, in_the_air=canceled.in_the_air)
    return canceled


def _cancel_call(
    connection: db.Connection, scope: Scope, who: str, reason: str | None, batch: dict[str, object]
) -> Canceled:
    waiting = sql.cancel_calls(connection, **batch, id_max=ID_MAX)
    in_the_air = _ask_for_end(connection, scope, "canceled", reason, who)
    if not waiting and not in_the_air:
        raise _cannot(scope, sql.status_of(connection, call_id=scope.id))
    _audit(connection, who, "cancel", scope, reason=reason, waiting=waiting, in_the_air=in_the_air)
    return Canceled(waiting, in_the_air)


def _cancel_scope(
    scope: Scope, who: str, reason: str | None, batch: dict[str, object], tell: Callable[[int], None]
) -> Canceled:
    def begin(connection: db.Connection) -> int:
        sql.wait_for_turn(connection)  # no claim that is being made escapes
        _audit(connection, who, "cancel", scope, reason=reason)
        id_max = int(sql.hold_scope(connection, **scope._asdict()))
        # Before the batches, too: a call that is marked makes no next attempt, and is not queued again.
        _ask_for_end(connection, scope, "canceled", reason, who)
        return id_max

    def one_batch(connection: db.Connection) -> int:
        sql.hold_scope(connection, **scope._asdict())
        return int(sql.cancel_calls(connection, **batch, id_max=id_max))

    id_max = db.persist(lambda: db.transact(begin), for_s=_TURN_WAIT_S)
    waiting = 0
    while moved := db.persist(lambda: db.transact(one_batch), for_s=_TURN_WAIT_S):
        waiting += moved
        tell(waiting)
    in_the_air = db.with_connection(lambda connection: _ask_for_end(connection, scope, "canceled", reason, who))
    db.run(sql.end_hold, **scope._asdict())
    return Canceled(waiting, in_the_air)


def count_to_cancel(scope: Scope) -> tuple[int, int, int]:
    """How many calls of the scope wait, ring, and are talked in: what `cancel` closes, ends, and leaves alone."""
    row = db.run(sql.count_to_cancel, **scope._asdict(), id=scope.id)
    return row.waiting, row.ringing, row.talking


def limit(
    scope: Scope,
    *,
    calls_per_second: str | None = None,
    live_max: str | None = None,
    weight: str | None = None,
    calls_per_hour: str | None = None,
    calls_per_day: str | None = None,
    minutes_per_hour: str | None = None,
    minutes_per_day: str | None = None,
    by: str | None = None,
) -> None:
    """
    Limit how fast, how many at once and how much this scope dials, or set its share; what is not given stays.

    Args:
        calls_per_second: more than 0 and RATE_MAX at most, or `none`.
        live_max: calls that are claimed or in the air at once, from 0, or `none`.
        weight: how much a business or a campaign gets beside others, WEIGHT_MIN to WEIGHT_MAX; 1 at first.
        calls_per_hour, calls_per_day, minutes_per_hour, minutes_per_day: how many may begin, and last in all, from 0 to
            CAP_MAX, or `none`.  Hours and days are those of the business's clocks, of the whole account those of UTC.

    Raises:
        BadControl: names everything that is wrong at once.
    """
    who = _who(by)
    given = {
        "calls_per_second": calls_per_second,
        "live_max": live_max,
        "weight": weight,
        "calls_per_hour": calls_per_hour,
        "calls_per_day": calls_per_day,
        "minutes_per_hour": minutes_per_hour,
        "minutes_per_day": minutes_per_day,
    }
    values: dict[str, float | None] = {}
    faults = []
    for name, text in given.items():
        if text is not None:
            read, fault = _LIMITS[name]
            try:
                values[name] = read(text)
            except (ValueError, OverflowError):
                faults.append(fault)
    if scope.scope == "call":
        faults = ["one call has no limits: limit its campaign or its business"]
    elif weight is not None and scope.scope not in ("business", "campaign"):
        faults.append("only a business or a campaign has a --weight")
    elif scope.scope == "number" and values.keys() & set(CAPS):
        faults.append("caps are of everything, a business or a campaign, not of a number")
    elif not values and not faults:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in _LIMITS)
        faults = [f"say which: {options}"]
    if faults:
        raise BadControl("; ".join(faults))

    def move(connection: db.Connection) -> None:
        sets = {"sets_rate": "calls_per_second" in values, "sets_live_max": "live_max" in values}
        limits = {name: values.get(name) for name in ("calls_per_second", "live_max", "weight")}
        sql.set_limits(connection, **scope._asdict(), **sets, **limits)
        if given_caps := {name: values[name] for name in CAPS if name in values}:
            sql.set_spend_cap(connection, **scope._asdict(), given=db.json(given_caps))
            if small := [row for row in sql.caps_below_one_call(connection, **scope._asdict()) if row.name in values]:
                raise BadControl("; ".join(map(_below_one_call, small)))
        _audit(connection, who, "limit", scope, **values)
        sql.wake_dispatch(connection)

    db.transact(move)
    log.info("control.limit", scope=scope.scope, **values)


def _below_one_call(cap: db.Row) -> str:
    return (
        f"--{cap.name.replace('_', '-')} {cap.minutes} lets no call begin, as one may last {cap.needed} minutes: give "
        "at least as many, 0 for no calls, or calls that end earlier (the campaign's --time-limit-s, or "
        "OUTBOUND_TIME_LIMIT_S)"
    )


def rows() -> list[db.Row]:
    """Every scope that was limited, paused or served: its state and why, its limits, and how much of them is used."""
    return list(db.run(sql.list_control, account_rate=settings().account_rate))


def _audit(connection: db.Connection, who: str, action: str, scope: Scope, **details: object) -> None:
    sql.write_audit(connection, who=who, action=action, **scope._asdict(), details=db.json(details))


def _who(by: str | None) -> str:
    return line(by, "the name after --by") or os_user.name()


def line(text: str | None, what: str) -> str | None:
    """One line of text, None where it is empty; or raise BadControl."""
    if text and len(text) > TEXT_MAX:
        raise BadControl(f"{what} must be one line of {TEXT_MAX} characters at most")
    if text and (fault := plain_text.fault(text)):
        raise BadControl(f"{what} must be one line, and {fault}")
    return text or None


def _rate(text: str) -> float | None:
    return None if text == "none" else _within(float(text), RATE_MIN, RATE_MAX)


def _live(text: str) -> float | None:
    return None if text == "none" else int(_within(int(text), 0, LIVE_MAX))


def _cap(text: str) -> float | None:
    return None if text == "none" else int(_within(int(text), 0, CAP_MAX))


def _weight(text: str) -> float:
    return _within(float(text), WEIGHT_MIN, WEIGHT_MAX)


def _within(number: float, low: float, high: float) -> float:
    if not low <= number <= high:
        raise ValueError(number)
    return number


_LIMITS: dict[str, tuple[Callable[[str], float | None], str]] = {
    "calls_per_second": (_rate, f"--calls-per-second is a number, more than 0 and {RATE_MAX} at most, or none"),
    "live_max": (_live, f"--live-max is a whole number from 0 to {LIVE_MAX}, or none"),
    "weight": (_weight, f"--weight is a number from {WEIGHT_MIN} to {WEIGHT_MAX}"),
    **{name: (_cap, f"--{name.replace('_', '-')} is a whole number from 0 to {CAP_MAX}, or none") for name in CAPS},
}
