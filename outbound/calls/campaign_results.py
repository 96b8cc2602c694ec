"""Reports what a campaign has come to, callee by callee."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from outbound import db, names
from outbound.formats import row_id
from outbound.rules.campaign import BadCampaign

sql = db.statements("calls/campaign_results")

COLUMNS = (
    *("number", "result", "attempts", "last_call", "last_outcome", "last_error", "last_answered_by", "last_at"),
    *("last_duration_s", "next_call", "next_status", "next_at", "next_held_by"),
)
# Each result, and what it means; in the order in which a summary has them.
RESULTS = {
    "reached": "somebody answered",
    "machine": "only a machine answered",
    "waiting": "a call waits or is in the air",
    "not_reached": "tried, and no call waits any more",
    "refused": "ended by a rule or an operator before it was dialed",
}


@contextmanager
def of(campaign_id: int) -> Iterator[tuple[db.Row, Iterator[dict[str, Any]]]]:
    """
    A campaign, and each of its callees with what came of them: the fields are COLUMNS, `result` is one of RESULTS.

    Reads all calls of the campaign, row by row; a million take a minute.

    Raises:
        BadCampaign: there is no such campaign.
        NoSuchName: this database role may not read phone numbers.
    """
    if not names.sees_numbers():
        raise names.NoSuchName("this database role may not read phone numbers: see `outbound campaign show`")
    campaign = db.run(sql.find_campaign, campaign_id=row_id.possible(campaign_id))
    if campaign is None:
        raise BadCampaign("there is no such campaign: see `outbound campaign list`")
    with db.connect() as connection, connection.transaction():
        db.allow_minutes(connection, 5)
        rows = db.stream(connection, sql.results, campaign_id=campaign.id)
        yield campaign, (row._asdict() for row in rows)
