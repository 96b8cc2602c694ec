"""Make a lead from a call_sid and nothing else."""

from collections.abc import Sequence

import dramatiq

from outbound import broker as nudges
from outbound import db, logs
from outbound.broker import broker
from outbound.failpoint import crash_here

sql = db.statements("lead")
log = logs.get("lead")


class MessageSetAside(Exception):
    """The message can never become a lead; it goes to the broker's dead letters, once."""


# The queue and the name are those of the old system, whose messages may still lie there.
@dramatiq.actor(broker=broker, queue_name="default", max_retries=0, throws=MessageSetAside)
def create_lead_from_call_job(call_sid: str | None = None, *_old: object, **_extras: object) -> None:
    """
    Make the lead of the call that has this call_sid, once however often it is asked for.

    The old system also sent business_id, from_number and direction, and died without them; they are taken and ignored.
    """
    if not isinstance(call_sid, str) or not call_sid:
        db.run(sql.count_set_aside)
        log.error("lead.set_aside", reason="the message has no call_sid")
        raise MessageSetAside
    lead = db.run(sql.create_lead, call_sid=call_sid)
    crash_here("lead.made")
    log.info(f"lead.{lead.result}", call_sid=call_sid, lead=lead.lead_id)


def nudge(call_sid: str) -> bool:
    """Ask a worker to make the lead; should the nudge get lost, clean-up repeats it."""
    return nudge_all([call_sid])


def nudge_all(call_sids: Sequence[str]) -> bool:
    """The same for several, each by a message of its own; False where the broker did not take them all."""
    return nudges.nudge_each(create_lead_from_call_job, [(call_sid,) for call_sid in call_sids])
