"""Make a lead from a call_sid and nothing else."""

from collections.abc import Sequence

from outbound import broker as nudges
from outbound import db, logs
from outbound.call import WITHHELD_DIGITS
from outbound.failpoint import crash_here
from outbound.formats import phone_numbers

sql = db.statements("calls/lead")
log = logs.get("lead")

# Refusals of the database after which a lead is given up; a database or broker that is away does not count.
TRIES_MAX = 5


class MessageSetAside(Exception):
    """The message can never become a lead; it goes to the broker's dead letters, once."""


# The queue and the name are those of the old system, whose messages may still lie there.
@nudges.actor(queue_name="default", max_retries=0, throws=MessageSetAside)
def create_lead_from_call_job(call_sid: str | None = None, *_old: object, **_extras: object) -> None:
    """
    Make the lead of the call that has this call_sid, once however often it is asked for.

    The old system also sent business_id, from_number and direction, and died without them; they are taken and ignored.
    """
    if not isinstance(call_sid, str) or not call_sid:
        db.run(sql.count_set_aside)
        log.error("lead.set_aside", reason="the message has no call_sid")
        raise MessageSetAside
    try:
        lead = _create(call_sid)
    except db.Error as error:
        if not (db.is_of_a_row(error) and call_sid.isprintable()):  # with a NUL in it, it is no call's
            raise
        _give_up(call_sid, error)
        return
    crash_here("lead.made")
    log.info(f"lead.{lead.result}", call_sid=call_sid, lead=lead.lead_id)


def _create(call_sid: str) -> db.Row:
    """The lead of a call; the number of its caller, where it is written in another way than E.164, is read here."""
    withheld = [f"+{number}" for number in WITHHELD_DIGITS]
    lead = db.run(sql.create_lead, call_sid=call_sid, phone=None, withheld=withheld)
    if lead.result == "unread":
        phone = phone_numbers.caller(lead.said, lead.region) or ""
        lead = db.run(sql.create_lead, call_sid=call_sid, phone=phone, withheld=withheld)
    return lead


def _give_up(call_sid: str, error: Exception) -> None:
    """The database refused this one; after some times nobody asks for it again, and the row says why."""
    state, message = db.fault(error)
    call = db.run(sql.give_up_lead, call_sid=call_sid, tries_max=TRIES_MAX, state=state, message=message)
    if call is None:
        return
    with logs.about(call_id=call.id, call_sid=call_sid):
        if call.is_given_up:
            log.error("lead.given_up", state=state, tries=call.lead_tries)
        else:
            log.warning("lead.failed", state=state, tries=call.lead_tries)


def nudge(call_sid: str) -> bool:
    """Ask a worker to make the lead; if the nudge gets lost, clean-up repeats it."""
    return nudge_all([call_sid])


def nudge_all(call_sids: Sequence[str]) -> bool:
    """Send one message for each call_sid; False where the broker did not take them all."""
    return nudges.nudge_each(create_lead_from_call_job, [(call_sid,) for call_sid in call_sids])
