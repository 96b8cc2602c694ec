"""Ring one claimed call, at most once, and write down what came of it."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import dramatiq

from outbound import broker as nudges
from outbound import callback, db, logs, voice
from outbound.broker import broker
from outbound.call import DialOrder, Report
from outbound.carrier import CallNotSent, CallRefused, CallUnsure, SlowDown
from outbound.carrier.twilio import carrier
from outbound.config import settings
from outbound.failpoint import crash_here

sql = db.statements("dial")
log = logs.get("dial")

# A database that comes back within this time still hears the outcome from us, the only one who knows it first hand.
# After that, callbacks and reconcile find out.
OUTCOME_WAIT_S = 10

_SEND_S = 0.1  # after the last moment to begin: a paced call that is sent later would bunch up at the carrier
_PATIENT_PUT_BACKS = 3  # a database whose commits take longer than that must not keep a call from being dialed at all
_CARRIER_QUEUE_MAX_S = 5  # a call that waits there longer rings when nobody expects it, and outside its calling hours


@dramatiq.actor(broker=broker, queue_name="dial", max_retries=0)  # Dramatiq's default, 20, would ring a phone 21 times
def dial_call(call_id: int) -> None:
    """Ring one claimed call, at most once, and write down what the carrier said."""
    asked_at = time.monotonic()
    call = db.run(sql.begin_dial, call_id=call_id, ask_s=settings().ask_s, send_s=_SEND_S)
    if call is None:
        log.info("dial.not_my_turn", call_id=call_id)  # another worker has it, or clean-up took it back
        return
    crash_here("dial.begun")
    is_late = call.send_within_s is not None and time.monotonic() - asked_at > _patience_s(call)
    # No transaction is open here: a phone is slow, and a lock must not be.
    outcome = _not_sent(call, "its moment had passed") if is_late else _ring(call)
    crash_here("dial.answered")
    db.persist(outcome.write, for_s=OUTCOME_WAIT_S)
    # After an acceptance was written, which says that the carrier is well.
    if outcome.is_trouble and settings().hold_max_s:
        log.warning("dial.slow_down", call_id=call.id)
        db.persist(partial(db.run, sql.slow_down, hold_max_s=settings().hold_max_s), for_s=OUTCOME_WAIT_S)
    crash_here("dial.written")


def _patience_s(call: db.Row) -> float:
    return float(call.send_within_s * 2 ** max(0, min(call.put_backs, 10) - _PATIENT_PUT_BACKS))


class _Outcome(NamedTuple):
    """What came of a dial: how to write it down, which restates what it moves from; is the carrier in trouble?"""

    write: Callable[[], object]
    is_trouble: bool = False


def _ring(call: db.Row) -> _Outcome:
    twiml = voice.render(call.twiml, call.contact)
    order = DialOrder(call.id, call.from_number, call.to_number, call.voice_url, twiml, call.machine_detection)
    try:
        accepted = carrier().place_call(order)
    except CallRefused as refusal:
        log.warning("dial.refused", call_id=call.id, code=refusal.code)
        refused = {"error_code": refusal.code, "error_message": str(refusal), "at_fault": refusal.at_fault}
        return _Outcome(partial(_record_refusal, call_id=call.id, fence=call.fence, **refused))
    except CallNotSent as reason:
        return _not_sent(call, str(reason), is_trouble=isinstance(reason, SlowDown))
    except CallUnsure as reason:
        # The row says 'initiated' and has a deadline: reconcile asks the carrier, and nobody dials it again.
        log.warning("dial.unsure", call_id=call.id, reason=str(reason))
        return _Outcome(partial(db.run, sql.record_unsure), is_trouble=True)
    report = Report(call_sid=accepted.call_sid, status="initiated", source="create")
    return _Outcome(partial(callback.record, call.id, report), accepted.queue_time_s > _CARRIER_QUEUE_MAX_S)


def _not_sent(call: db.Row, reason: str, *, is_trouble: bool = False) -> _Outcome:
    log.warning("dial.not_sent", call_id=call.id, reason=reason)
    back = {"call_id": call.id, "fence": call.fence, "wait_s": settings().put_back_s, "reason": reason}
    return _Outcome(partial(db.run, sql.put_back, **back), is_trouble)


def _record_refusal(**refusal: object) -> None:
    tripped = db.run(sql.record_refusal, **refusal)
    if tripped is not None:
        log.error("dial.breaker", scope=tripped.scope, call_id=refusal["call_id"], code=refusal["error_code"])


def nudge(call_ids: Sequence[int]) -> int:
    """
    Ask workers to dial claimed calls, one each; return how many were asked, which are the first ones.

    Should a nudge get lost, clean-up takes the claim back.
    """
    return nudges.nudge_each(dial_call, [(call_id,) for call_id in call_ids])
