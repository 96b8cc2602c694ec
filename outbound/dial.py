"""Ring one claimed call, at most once, and write down what came of it."""

import time
from collections.abc import Callable
from functools import partial

import dramatiq

from outbound import broker as nudges
from outbound import callback, db, logs
from outbound.broker import broker
from outbound.call import DialOrder, Report
from outbound.carrier import CallNotSent, CallRefused, CallUnsure
from outbound.carrier.twilio import carrier
from outbound.config import settings
from outbound.failpoint import crash_here

sql = db.statements("dial")
log = logs.get("dial")

# A database that comes back within this time still hears the outcome from us, the only one who knows it first hand.
# After that, callbacks and reconcile find out.
OUTCOME_WAIT_S = 10

_SEND_WITHIN_S = 0.05  # of begin_dial, where calls are paced: sent later, they would bunch up at the carrier


@dramatiq.actor(broker=broker, queue_name="dial", max_retries=0)  # Dramatiq's default, 20, would ring a phone 21 times
def dial_call(call_id: int) -> None:
    """Ring one claimed call, at most once, and write down what the carrier said."""
    asked_at = time.monotonic()
    call = db.run(sql.begin_dial, call_id=call_id, ask_s=settings().ask_s)
    if call is None:
        log.info("dial.not_my_turn", call=call_id)  # another worker has it, or clean-up took it back
        return
    crash_here("dial.begun")
    is_late = call.is_paced and time.monotonic() - asked_at > _SEND_WITHIN_S
    # No transaction is open here: a phone is slow, and a lock must not be.
    write_outcome = _not_sent(call, "its moment had passed") if is_late else _ring(call)
    crash_here("dial.answered")
    db.persist(write_outcome, for_s=OUTCOME_WAIT_S)
    crash_here("dial.written")


def _ring(call: db.Row) -> Callable[[], object]:
    """Ask the carrier, and return how to write down what it said: each way restates what it moves from."""
    order = DialOrder(call.id, call.from_number, call.to_number, call.voice_url, call.twiml)
    try:
        call_sid = carrier().place_call(order)
    except CallRefused as refusal:
        log.warning("dial.refused", call=call.id, code=refusal.code)
        refused = {"error_code": refusal.code, "error_message": str(refusal)}
        return partial(db.run, sql.record_refusal, call_id=call.id, fence=call.fence, **refused)
    except CallNotSent as reason:
        return _not_sent(call, str(reason))
    except CallUnsure as reason:
        # The row says 'initiated' and has a deadline: reconcile asks the carrier, and nobody dials it again.
        log.warning("dial.unsure", call=call.id, reason=str(reason))
        return partial(db.run, sql.record_unsure)
    return partial(callback.record, call.id, Report(call_sid=call_sid, status="initiated", source="create"))


def _not_sent(call: db.Row, reason: str) -> Callable[[], object]:
    log.warning("dial.not_sent", call=call.id, reason=reason)
    return partial(db.run, sql.put_back, call_id=call.id, fence=call.fence, wait_s=settings().put_back_s, reason=reason)


def nudge(call_id: int) -> bool:
    """Ask a worker to dial a claimed call; should the nudge get lost, clean-up takes the claim back."""
    return nudges.nudge(dial_call, call_id)
