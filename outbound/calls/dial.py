"""
Dial claimed calls, each at most once, and record the outcome.

After a SlowDown, such as the carrier's 429, the call goes back into the queue and dialing slows.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial

from outbound import broker as nudges
from outbound import db, logs
from outbound.call import CallEvent, DialOrder
from outbound.calls import events, set_aside
from outbound.carrier import Accepted, Answer, CallNotSent, CallRefused, CallUnsure, SlowDown
from outbound.carrier.twilio import carrier
from outbound.config import settings
from outbound.database import identity
from outbound.failpoint import crash_here
from outbound.formats import twiml_template

sql = db.statements("calls/dial")
log = logs.get("dial")

# A database that comes back within this time still hears the outcome from us, the only one who knows it first hand.
# After that, callbacks and reconcile find out.
OUTCOME_WAIT_S = 10

# After the last moment to begin: a paced call that is sent later would bunch up at the carrier.  pace_tokens in SQL
# allows 0.25 s: 0.15 s until it is begun, 0.05 s until it is sent, and 0.05 s for differences on the way.
_SEND_S = 0.05
_PATIENT_PUT_BACKS = 3  # a database whose commits take longer than that must not keep a call from being dialed at all
_CARRIER_QUEUE_MAX_S = 5  # a call that waits there longer rings when nobody expects it, and outside its calling hours
_MESSAGE_MAX = 1000  # characters of the carrier's reason that are kept
_BATCH_MAX = 16  # calls of one nudge: they are begun by one commit and at the carrier together, and die together


@nudges.actor(queue_name="dial", max_retries=0)  # Dramatiq's default, 20, would ring a phone 21 times
def dial_call(*call_ids: int) -> None:
    """Ring claimed calls, each at most once and all at the same time, and record what the carrier answered."""
    client = carrier()  # where it cannot be had (a proxy, a certificate), nothing is begun
    known = identity.seen()
    asked_at = time.monotonic()
    begun = _begin(call_ids)
    calls = {call.id: call for call in begun}
    for call_id in call_ids:
        if call_id not in calls:
            log.info("dial.not_claimed", call_id=call_id)  # another worker has it, or it was taken back
    if not calls:
        return
    crash_here("dial.begun")
    # Where one row made them begin one by one, connections alternated, and the last count of each slot is the highest.
    counts = {call.slot: call for call in begun}.values()
    if all(identity.report_begun(call.line, call.slot, call.begun, known) for call in counts):
        prepared = [(call.id, _prepared(call, asked_at)) for call in begun]
    else:
        prepared = [(call.id, CallNotSent("the database was restored")) for call in begun]
    failures = []
    # No transaction is open here: a phone is slow, and a lock must not be.
    for answers in client.place_calls([order for _, order in prepared if isinstance(order, DialOrder)]):
        crash_here("dial.answered")
        failures.append(_write_down(calls, answers))
    if unsent := [(call_id, reason) for call_id, reason in prepared if not isinstance(reason, DialOrder)]:
        failures.append(_write_down(calls, unsent))
    for failure in filter(None, failures):
        raise failure


def _life_s() -> float:
    """
    Return how long after its dial began the carrier may still be at a call of our own limit: it may have taken it late.
    """
    config = settings()
    return config.ask_s + config.ring_s + config.time_limit_s + config.margin_s


class _Odd(Exception):
    """The TwiML cannot be made from this call's row; asking again won't help."""


def _begin(call_ids: Sequence[int]) -> list[db.Row]:
    begin = partial(db.run, sql.begin_dials, ask_s=settings().ask_s, send_s=_SEND_S, life_s=_life_s())
    try:
        return list(begin(call_ids=list(call_ids)))
    except db.Error as error:
        if not db.is_of_a_row(error):
            raise
    begun = set_aside.each("begin", call_ids, lambda call_id: begin(call_ids=[call_id]))
    return [call for calls in begun for call in calls]


def _prepared(call: db.Row, asked_at: float) -> DialOrder | CallNotSent | _Odd:
    """
    Return what to ask of the carrier, or why we do not: one odd call must not keep the others of its nudge from theirs.
    """
    try:
        return _order(call, asked_at)
    except Exception as error:  # noqa: BLE001 (whatever it is, the others must not suffer for it)
        log.error("dial.odd", call_id=call.id, error=type(error).__name__)
        return _Odd(type(error).__name__)


def _order(call: db.Row, asked_at: float) -> DialOrder:
    # Parsed here, one by one: JSON may hold what Python does not read (a number of 5,000 digits, a thousand levels).
    twiml = twiml_template.render(call.twiml, None if call.contact is None else json.loads(call.contact))
    send_by = None if call.send_within_s is None else asked_at + _patience_s(call)
    return DialOrder(
        call.id,
        call.from_number,
        call.to_number,
        call.voice_url,
        twiml,
        call.machine_detection,
        call.limit_s,
        send_by=send_by,
        account=call.carrier_account,
    )


def _patience_s(call: db.Row) -> float:
    return float(call.send_within_s * 2 ** max(0, min(call.put_backs, 10) - _PATIENT_PUT_BACKS))


def _write_down(calls: Mapping[int, db.Row], answers: Sequence[tuple[int, Answer | _Odd]]) -> Exception | None:
    """Write what came of some dials; return the last failure, so that one that cannot be written spoils no other."""
    accepted = [(call_id, answer) for call_id, answer in answers if isinstance(answer, Accepted)]
    reports = [(call_id, CallEvent(answer.call_sid, "initiated", "create")) for call_id, answer in accepted]
    writes: list[Callable[[], object]] = [partial(_record_accepted, reports)] if reports else []
    others = [(call_id, answer) for call_id, answer in answers if not isinstance(answer, Accepted)]
    others.sort(key=lambda other: isinstance(other[1], CallUnsure))  # these only count: they come last
    well = {scope for call_id, _ in accepted for scope in _scopes(calls[call_id]).items()}
    writes += [_write_of(calls[call_id], answer, well) for call_id, answer in others]
    if settings().hold_max_s:
        # After the acceptances were written, which say that the carrier is well.
        writes += _slow_downs(calls, answers)
    failure: Exception | None = None
    deadline = time.monotonic() + OUTCOME_WAIT_S
    for write in writes:
        try:
            db.persist(write, for_s=deadline - time.monotonic())
        except db.Unavailable as error:
            failure = error
            break  # it stayed away all the time that there was; callbacks and reconcile find out
        except Exception as error:
            log.exception("dial.unwritten")
            failure = error
    crash_here("dial.written")
    return failure


def _record_accepted(reports: Sequence[tuple[int, CallEvent]]) -> None:
    try:
        events.record_all(reports)
    except db.Unavailable:
        raise
    except db.Error:
        if len(reports) == 1:
            raise
        with ExitStack() as each:  # runs all of them, whichever fails
            for report in reports:
                each.callback(_record_accepted, [report])


def _scopes(call: db.Row) -> dict[str, object]:
    """What a refusal may be the fault of, by the words of CallRefused."""
    return {"number": call.from_number, "campaign": (call.campaign_id, call.business_id)}


def _write_of(
    call: db.Row, answer: CallRefused | CallNotSent | CallUnsure | _Odd, well: Container[tuple[str, object]]
) -> Callable[[], object]:
    """
    Return how to write down what is no acceptance; it restates what it moves from.

    Args:
        well: the scopes of calls that were accepted at this moment: a refusal beside them is not their fault.
    """
    if isinstance(answer, _Odd):
        return partial(set_aside.set_aside, "dial", call.id, answer)
    if isinstance(answer, CallRefused):
        log.warning("dial.refused", call_id=call.id, code=answer.code)
        message = str(answer)[:_MESSAGE_MAX]
        at_fault = answer.at_fault
        if at_fault is not None and (at_fault, _scopes(call)[at_fault]) in well:
            at_fault = None
        refused = {"error_code": answer.code, "error_message": message, "at_fault": at_fault}
        return partial(_record_refusal, call_id=call.id, fence=call.fence, **refused)
    if isinstance(answer, CallNotSent):
        log.outage("dial.not_sent", str(answer), call_id=call.id)
        back = {"call_id": call.id, "fence": call.fence, "wait_s": settings().put_back_s, "reason": str(answer)}
        return partial(db.run, sql.put_back, **back)
    # The row says 'initiated' and has a deadline: reconcile asks the carrier, and nobody dials it again.
    log.outage("dial.unsure", str(answer), call_id=call.id)
    return partial(db.run, sql.record_unsure)


def _is_trouble(answer: Answer) -> bool:
    """Does the answer say that the carrier itself is in trouble, or that we are too fast for it?"""
    if isinstance(answer, Accepted):
        return answer.queue_time_s > _CARRIER_QUEUE_MAX_S
    return isinstance(answer, SlowDown | CallUnsure)


def _slow_downs(calls: Mapping[int, db.Row], answers: Sequence[tuple[int, Answer | _Odd]]) -> list[partial[None]]:
    """
    Return what the troubles among *answers* mean, for each whom they slow: an account's are no concern of another's.

    The answers are of the same moment: errors among them that have a good one beside them are none in a row.
    """
    troubles: defaultdict[int | None, list[Answer]] = defaultdict(list)
    begun_at: dict[int | None, datetime] = {}
    well: set[int | None] = set()
    for call_id, answer in answers:
        call = calls[call_id]
        of = None if call.carrier_account is None else call.business_id
        begun_at[of] = max(call.dialed_at, begun_at.get(of, call.dialed_at))
        if isinstance(answer, _Odd):
            continue
        if _is_trouble(answer):
            troubles[of].append(answer)
        elif isinstance(answer, Accepted | CallRefused):
            well.add(of)
    return [
        partial(_slow_down, found, begun_at=begun_at[of], business_id=of, is_well=of in well)
        for of, found in troubles.items()
    ]


def _slow_down(troubles: Sequence[Answer], begun_at: datetime, business_id: int | None, *, is_well: bool) -> None:
    of_account = any(isinstance(answer, SlowDown) and answer.of_account for answer in troubles)
    slower = db.run(
        sql.slow_down,
        begun_at=begun_at,
        troubles=len(troubles),
        in_a_row=0 if is_well else len(troubles),
        of_account=of_account,
        hold_max_s=settings().hold_max_s,
        business_id=business_id,
    )
    if slower is not None:
        log.warning("dial.slow_down", pace=round(slower.pace, 2), hold_s=slower.hold_s, business_id=business_id)


def _record_refusal(**refusal: object) -> None:
    tripped = db.run(sql.record_refusal, **refusal)
    if tripped is not None:
        log.error("dial.breaker", scope=tripped.scope, call_id=refusal["call_id"], code=refusal["error_code"])


def nudge(call_ids: Sequence[int]) -> bool:
    """
    Ask workers to dial claimed calls; False where the broker did not take all nudges, though it may have taken some.

    If a nudge gets lost, clean-up releases its claims.
    """
    # Never shared out: where all threads are busy, claims follow what was begun, and would come in ever smaller nudges.
    shares = [tuple(call_ids[first : first + _BATCH_MAX]) for first in range(0, len(call_ids), _BATCH_MAX)]
    return nudges.nudge_each(dial_call, shares)
