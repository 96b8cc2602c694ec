"""Ask the carrier to end calls that an operator stopped or canceled."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from outbound import db, logs
from outbound.calls import events, set_aside
from outbound.carrier import CarrierSilent
from outbound.carrier.twilio import carrier
from outbound.config import settings

sql = db.statements("calls/hang_up")
log = logs.get("hang_up")

_LINES = 8  # requests to the carrier at once
_CALLS_MAX = 1000  # per round, and
_ROUND_S = 60  # what is left waits for the next one: a slow carrier must not keep a task at work for minutes


def hang_up_requested_calls() -> int:
    """
    One round: tell the carrier of each call that is to end; return how many it has accepted.

    Safe on many hosts at once.  An account for which the carrier does not answer is left alone until the next round.
    """
    ended = 0
    silent: set[str] = set()
    deadline = time.monotonic() + _ROUND_S
    with ThreadPoolExecutor(_LINES) as lines:
        while ended < _CALLS_MAX and time.monotonic() < deadline:
            calls = _take(silent)
            if not calls:
                break
            answered = list(lines.map(_hang_up, calls))
            ended += sum(answered)
            unanswered = [call for call, has_answered in zip(calls, answered, strict=True) if not has_answered]
            silent |= {call.carrier_account or "" for call in unanswered}
    return ended


def _take(silent: set[str]) -> list[db.Row]:
    config = {"relook_s": settings().relook_s, "silent": list(silent)}
    try:
        return list(db.run(sql.take_hang_ups, batch_max=_LINES, only_id=None, **config))
    except db.Error as error:
        if not db.is_of_a_row(error):
            raise
    wanted = [row.id for row in db.run(sql.wanted_hang_ups, batch_max=_CALLS_MAX)]
    take = partial(db.run, sql.take_hang_ups, batch_max=1, **config)
    taken = set_aside.each("hang_up", wanted, lambda call_id: take(only_id=call_id))
    return [call for calls in taken for call in calls]


def _hang_up(call: db.Row) -> bool:
    """Tell the carrier, and write down what it says of the call then; False where it did not answer."""
    try:
        report = carrier(call.carrier_account).hang_up(call.call_sid, call.hang_up)
    except CarrierSilent as reason:
        log.outage("hang_up.carrier_silent", str(reason), call_id=call.id)
        return False
    except Exception:
        log.exception("hang_up.failed", call_id=call.id)  # one odd answer must not end the others' round
        return True
    log.info("hang_up.told", call_id=call.id, status=report and report.status)
    if report is not None:
        events.record(call.id, report)
    return True
