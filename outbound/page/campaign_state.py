"""How campaigns go: what each has done, what waits and what holds it, and that in a sentence."""

from typing import Any

from markupsafe import Markup

from outbound import db
from outbound.api.problem import not_found
from outbound.api.tenant_view import View
from outbound.formats import row_id
from outbound.monitoring import situation
from outbound.page.reason_words import paused_why, stopped
from outbound.page.words import Words

sql = db.statements("page/campaign_state")

ROWS_MAX = 25  # campaigns of one page
LISTED_MAX = 500  # calls that wait; more are shown as 500+
COUNTED_MAX = 10_000  # the same of one campaign by itself

Campaign = dict[str, Any]


def page(business_id: int | None, before: str) -> tuple[list[Campaign], str | None]:
    """
    Campaigns that a token may see, those with calls in the queue first, and where the next page begins.

    Args:
        before: where the page before ended; '' for the first.
    """
    has_queue, _, number = before.partition("-")
    found = _find(
        business_id,
        before_queue=has_queue == "waiting",
        before_id=row_id.read(number),
        rows_max=ROWS_MAX + 1,
        counted_max=LISTED_MAX,
    )
    rows = found[:ROWS_MAX]
    if len(found) <= ROWS_MAX:
        return rows, None
    return rows, f"{'waiting' if rows[-1]['has_queue'] else 'idle'}-{rows[-1]['id']}"


def one(business_id: int | None, campaign_id: int) -> Campaign:
    """
    One campaign, with what stops all dialing and when its next call is due.

    Raises:
        Problem: 404, there is none, or it is another business's.
    """
    rows = _find(business_id, campaign_id=campaign_id, rows_max=1, counted_max=COUNTED_MAX)
    if not rows:
        raise not_found("campaign")
    blockers = View(business_id).blockers([fact._asdict() for fact in situation.blockers()])
    first = db.run(sql.find_first, campaign_id=campaign_id)
    return rows[0] | {"blockers": blockers, "first": first and first._asdict()}


def _find(business_id: int | None, **asked: Any) -> list[Campaign]:
    nothing = dict.fromkeys(("campaign_id", "before_queue", "before_id"))
    rows = db.run(sql.find_campaigns, business_id=business_id, **nothing | asked)
    view = View(business_id)
    return [view.pause(view.pause(row._asdict()), "business_") for row in rows]


def limits(campaign: Campaign, business_id: int | None) -> list[dict[str, Any]]:
    """The limits that a campaign's calls go through, each with what is used of it."""
    rows = db.run(sql.find_limits, campaign_id=campaign["id"], with_account=business_id is None)
    return [row._asdict() for row in rows]


def numbers(campaign: Campaign) -> list[db.Row]:
    """The numbers that a campaign calls from."""
    return list(db.run(sql.find_numbers, campaign_id=campaign["id"]))


def version(campaign: Campaign) -> str:
    """A text that differs once the campaign has changed."""
    return str(db.run(sql.version, campaign_id=campaign["id"]))


def state(campaign: Campaign) -> tuple[str, str]:
    """A word for the state of a campaign (below `campaign.state.`), and its tone."""
    if campaign["has_ended"]:
        return "ended", ""
    if campaign["state"] != "running":
        return "paused", "warn"
    if campaign["business_state"] != "running":
        return "business_paused", "warn"
    if campaign["is_to_come"]:
        return "to_come", ""
    if campaign["in_the_air"]:
        return "dialing", "good"
    if not campaign["waiting"]:
        return ("done" if campaign["done"] else "empty"), ""
    return ("due", "good") if any(part["code"] == "due" for part in campaign["held"]) else ("held", "")


def sentence(campaign: Campaign, t: Words) -> Markup:
    """What goes on in a campaign (one that `one` has read), for its heading."""
    name, zone, word = campaign["name"], campaign["time_zone"], state(campaign)[0]
    if word == "ended":
        return t("campaign.is.ended", name=name, at=t.moment(campaign["ends_at"], zone))
    if word in ("paused", "business_paused"):
        prefix = "business_" if word == "business_paused" else ""
        pause = {
            "is_breaker": campaign["is_breaker"] and not prefix,
            "who": campaign[f"{prefix}who"],
            "reason": campaign[f"{prefix}reason"],
        }
        since = t.moment(campaign["business_since" if prefix else "state_since"], zone)
        return t(f"campaign.is.{word}", name=name, since=since, why=paused_why(pause, t))
    if word == "to_come":
        return t("campaign.is.to_come", name=name, at=t.moment(campaign["starts_at"], zone))
    if campaign["waiting"] and campaign["blockers"]:
        return t("campaign.is.stopped", name=name, why=stopped(campaign["blockers"][0], zone, t))
    if word == "dialing":
        return t(
            "campaign.is.dialing" if campaign["talking"] else "campaign.is.dialing_nobody_talks",
            name=name,
            n=campaign["talking"],
        )
    return _at_rest(campaign, word, t)


def _at_rest(campaign: Campaign, word: str, t: Words) -> Markup:
    """What is said of a campaign of which nobody is being called at this moment."""
    name, first = campaign["name"], campaign["first"]
    if word == "due":
        due = next(part["calls"] for part in campaign["held"] if part["code"] == "due")
        return t("campaign.is.due", name=name, n=due)
    if word == "held" and first:
        code = first["held_by"] or "not_due"
        at = t.moment(first["due_at"], campaign["time_zone"])
        return t("campaign.is.held", name=name, at=at, why=t.either(f"held.{code}", code))
    if word == "held":
        return t("campaign.is.calls_paused", name=name, n=campaign["waiting"])
    return t(f"campaign.is.{word}", name=name, n=campaign["done"])
