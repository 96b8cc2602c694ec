"""Operator controls per scope: pause, resume, drain, cancel, stop; they hold from the next claim on."""

import math
import time
from collections.abc import Callable
from functools import partial
from threading import Event
from typing import NamedTuple

from outbound import db, drivers, logs
from outbound.call import IN_THE_AIR, WAITING
from outbound.config import settings
from outbound.rules import audit, cancel_call, decision
from outbound.rules.cancel_call import Canceled
from outbound.rules.scope import BadControl, Scope

sql = db.statements("rules/control")
log = logs.get("control")


_BATCH = 1000  # calls that are canceled in one transaction: 200,000 would hold their locks for a minute
_LOCK_WAIT_S = 40  # a stopped dispatcher loses the dispatch lock after 30 s
_LOOK_S = 1  # between two looks at a scope that is being drained


class Paused(NamedTuple):
    """What a pause or a stop found and did: `was_paused` where an operator or the breaker had paused it before."""

    was_paused: bool
    claims_taken_back: int
    hung_up: int

    def counts(self) -> dict[str, int]:
        """What was done, as the audit has it."""
        return {"claims_taken_back": self.claims_taken_back, "hang_ups": self.hung_up}


def pause(scope: Scope, *, reason: str | None = None, actor: str | None = None) -> Paused:
    """
    Begin nothing new in this scope; what is in the air goes on.

    When this returns no call of the scope is claimed, and none will be; a create that a worker is sending in this
    instant is the last one.

    Raises:
        BadControl: it is a call that cannot be held any more, or the reason is no line of text.
    """
    return _pause(scope, "pause", reason, actor)


def stop(scope: Scope, *, reason: str | None = None, actor: str | None = None) -> Paused:
    """
    Pause, and ask for an end of whatever is in the air, also of calls in progress: `hung_up` of them.

    `hang_up_requested_calls` tells the carrier.

    Raises BadControl as `pause` does, but a call that is in the air can be stopped.
    """
    return _pause(scope, "stop", reason, actor)


def _pause(scope: Scope, action: str, reason: str | None, actor: str | None) -> Paused:
    reason, actor = decision.one_line(reason, "the reason"), decision.actor(actor)

    def move(connection: db.Connection) -> Paused:
        pause_it = _pause_call if scope.scope == "call" else _pause_scope
        paused = pause_it(connection, scope, action, reason, actor)
        audit.write(connection, actor, action, scope, reason=reason, **paused.counts())
        return paused

    paused = db.persist(lambda: db.transact(move), for_s=_LOCK_WAIT_S)
    log.info(f"control.{action}", scope=scope.scope, **paused.counts())
    return paused


def _pause_scope(connection: db.Connection, scope: Scope, action: str, reason: str | None, actor: str) -> Paused:
    sql.take_dispatch_lock(connection)
    was = sql.pause_scope(connection, **scope._asdict(), reason=reason)
    # After it, as a statement of its own: what a worker began to dial before the pause is seen only now.
    hung_up = _ask_for_end(connection, scope, "completed", reason, actor) if action == "stop" else 0
    return Paused(was.was_paused, was.claims, hung_up)


def _pause_call(connection: db.Connection, scope: Scope, action: str, reason: str | None, actor: str) -> Paused:
    stopped = {"who": actor, "reason": reason} if action == "stop" else {"who": None, "reason": None}
    status, was_paused = sql.pause_call(connection, call_id=scope.id, **stopped) or ("deleted", False)
    if status in WAITING:
        return Paused(was_paused, int(status == "claimed"), 0)
    if status in IN_THE_AIR and action == "stop":
        return Paused(was_paused, 0, _ask_for_end(connection, scope, "completed", reason, actor))
    raise _cannot(scope, status)


def _ask_for_end(connection: db.Connection, scope: Scope, hang_up: str, reason: str | None, actor: str) -> int:
    return int(sql.request_hang_ups(connection, **scope._asdict(), hang_up=hang_up, reason=reason, who=actor))


def _cannot(scope: Scope, status: str) -> BadControl:
    if status in IN_THE_AIR:
        return BadControl(f"{scope} is {status}: `outbound stop {scope}` hangs up")
    return BadControl(f"{scope} has ended: {status}")


def resume(scope: Scope, *, actor: str | None = None) -> bool:
    """
    Resume a scope that an operator or the breaker paused, and reset its counts of refusals and carrier failures.

    Returns:
        was it paused?
    """
    actor = decision.actor(actor)

    def move(connection: db.Connection) -> bool:
        if scope.scope == "call":
            was_paused = bool(sql.resume_call(connection, call_id=scope.id))
        else:
            was_paused = bool(sql.resume_scope(connection, **scope._asdict()))
        audit.write(connection, actor, "resume", scope, was_paused=was_paused)
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
    actor: str | None = None,
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
    _pause(scope, "drain", reason, actor)
    deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
    stopped = stopped or Event()
    while True:
        live: int = db.persist(lambda: db.run(sql.count_live, **scope._asdict()), for_s=_LOCK_WAIT_S)
        tell(live)
        if live == 0 or stopped.wait(max(0, min(_LOOK_S, deadline - time.monotonic()))) or time.monotonic() >= deadline:
            return live


def cancel(
    scope: Scope,
    *,
    reason: str | None = None,
    actor: str | None = None,
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
    reason, actor = decision.one_line(reason, "the reason"), decision.actor(actor)
    if scope.id is not None and scope.scope == "call":
        work = partial(cancel_call.cancel, scope.id, reason=reason, actor=actor)
        canceled = db.persist(lambda: db.transact(lambda own: drivers.answer_own(own, work())), for_s=_LOCK_WAIT_S)
    else:
        canceled = _cancel_scope(scope, actor, reason, tell)
    log.info("control.cancel", scope=scope.scope, waiting=canceled.waiting, in_the_air=canceled.in_the_air)
    return canceled


def _cancel_scope(scope: Scope, actor: str, reason: str | None, tell: Callable[[int], None]) -> Canceled:
    batch = scope._asdict() | {"id": scope.id, "batch_max": _BATCH, "reason": reason, "who": actor}

    def begin(connection: db.Connection) -> int:
        sql.take_dispatch_lock(connection)  # no claim that is being made escapes
        audit.write(connection, actor, "cancel", scope, reason=reason)
        id_max = int(sql.begin_cancel_barrier(connection, **scope._asdict()))
        # Before the batches, too: a call that is marked makes no next attempt, and is not queued again.
        _ask_for_end(connection, scope, "canceled", reason, actor)
        return id_max

    def one_batch(connection: db.Connection) -> int:
        sql.begin_cancel_barrier(connection, **scope._asdict())
        return int(sql.cancel_calls(connection, **batch, id_max=id_max))

    id_max = db.persist(lambda: db.transact(begin), for_s=_LOCK_WAIT_S)
    waiting = 0
    while moved := db.persist(lambda: db.transact(one_batch), for_s=_LOCK_WAIT_S):
        waiting += moved
        tell(waiting)
    in_the_air = db.with_connection(lambda connection: _ask_for_end(connection, scope, "canceled", reason, actor))
    db.run(sql.end_cancel_barrier, **scope._asdict())
    return Canceled(waiting, in_the_air)


def count_to_cancel(scope: Scope) -> tuple[int, int, int]:
    """
    Return how many calls of the scope wait, ring, and are talked in: what `cancel` closes, ends, and leaves alone.
    """
    row = db.run(sql.count_to_cancel, **scope._asdict(), id=scope.id)
    return row.waiting, row.ringing, row.talking


def rows(business_id: int | None = None) -> list[db.Row]:
    """
    Scopes, or those of one business: state and why, limits, and how much of them is used.

    Of campaigns, which become many, those alone that are limited, capped, paused, held or weighed or have calls in the
    air.
    """
    return list(db.run(sql.list_control, account_rate=settings().account_rate, business_id=business_id))
