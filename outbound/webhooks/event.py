"""The types of events, and those events that no single change of a row makes true."""

from outbound import db

sql = db.statements("webhooks/event")

# Their fields are in docs/webhooks.md.  Triggers write those of calls, leads, pauses and imports: event_of_call,
# event_of_pause and event_of_import in SQL.
TYPES = {
    "call.answered": "a call was answered; an endpoint must name it",
    "call.ended": "an attempt came to its end",
    "call.corrected": "a call whose end was reported has another end, or goes on",
    "lead.created": "a call got its lead",
    "campaign.paused": "a campaign was paused, by an operator or by the breaker",
    "campaign.done": "the last call of a campaign has ended",
    "import.done": "an import of a file ended, in whatever way",
    "endpoint.disabled": "another endpoint of the business was switched off",
    "ping": "somebody tries the endpoint",
}


def write_campaigns_done() -> int:
    """Write the event of each campaign whose last call has ended; return how many."""
    return int(db.run(sql.write_campaigns_done))
