"""Campaigns: numbers, script, retry policy, rate and dates."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TypedDict

from outbound import db, names
from outbound.config import settings
from outbound.errors import Fault, UserError
from outbound.formats import moments, phone_numbers, plain_text, row_id, twiml_template
from outbound.rules import limits

sql = db.statements("rules/campaign")

NAME_MAX = 100  # characters
NUMBERS_MAX = 1000
LISTED_MAX = 1000  # in one page
MACHINE_DETECTIONS = ("Enable", "DetectMessageEnd")

_ALWAYS = ("name", "local_presence", "consent_required")
_COLUMNS = {
    "retry_policy": "ladder_id",
    "priority": "weight",
    "starts": "starts_at",
    "ends": "ends_at",
}  # of other names
_NAMELESS = Fault("name", "a campaign needs a name: give --name")
_BOUNDS: dict[str, tuple[float, float, str]] = {
    "registry_max_age_days": (1, 3650, "the age of the registry's answer is whole days"),
    "time_limit_s": (10, 86_400, "the time limit is seconds,"),
    "calls_per_second": (limits.RATE_MIN, limits.RATE_MAX, "calls per second are"),
    "live_max": (0, limits.LIVE_MAX, "calls at once are"),
    "priority": (limits.WEIGHT_MIN, limits.WEIGHT_MAX, "the priority is"),
}


class BadCampaign(UserError):
    """The error where what was given of a campaign is wrong; the message says what, and nothing was changed."""


class Given(TypedDict, total=False):
    """
    The values that are given of a campaign; None takes a thing away again.

    voice_url, twiml: what its calls play; one of them, or neither, and they play what the business's do.
    retry_policy: the name of one of the business's; without one, the business's own default counts.
    local_presence: call from the number that is nearest to the callee's.
    machine_detection: `Enable`, or `DetectMessageEnd`, which waits for the end of the greeting.
    consent_required: only who has given consent is called.
    registry_max_age_days: whole days, 1 to 3650; how old the registry's answer about a callee may be.
    time_limit_s: whole seconds, 10 to 86400, after which the carrier hangs up; without one, OUTBOUND_TIME_LIMIT_S.
    calls_per_second: 0.001 to 1000.  live_max: calls at once, 0 to 1,000,000.
    priority: 0.01 to 100; a campaign of priority 2 gets twice the share of its neighbour.
    starts, ends: moments; text is ISO 8601, without an offset in the business's time zone.
    """

    name: str
    voice_url: str | None
    twiml: str | None
    retry_policy: str | None
    local_presence: bool
    machine_detection: str | None
    consent_required: bool
    registry_max_age_days: int | None
    time_limit_s: int | None
    calls_per_second: float | None
    live_max: int | None
    priority: float | None
    starts: datetime | str | None
    ends: datetime | str | None


def add(business_id: int, given: Given, *, phones: Sequence[str] = (), actor: str, is_tenants: bool = False) -> int:
    """
    Add a campaign of a business and return its id.

    Args:
        phones: the numbers that call, in any writing; each callee has an order of them, and each attempt takes the
            next.  Without any, the business's first own number calls.
        actor: the person who decided it, for `audit`.
        is_tenants: whether a tenant asks, whose numbers must be its own: another's is refused like nobody's.

    Raises:
        BadCampaign: names everything that is wrong at once.
    """
    business = db.run(sql.find_business, business_id=row_id.possible(business_id))
    if business is None:
        raise BadCampaign("there is no such business: see `outbound business list`")
    faults = [] if given.get("name") else [_NAMELESS]
    if not (given.get("voice_url") or given.get("twiml") or business.can_speak):
        faults.append(Fault("", "neither the campaign nor its business has anything to say: give a voice URL or TwiML"))
    values, numbers, _ = _checked(business, given, phones, (), faults, is_tenants=is_tenants)
    return int(_write(sql.add_campaign, business_id=business.id, given=values, phones=numbers, who=actor))


def change(
    campaign_id: int,
    given: Given,
    *,
    phones: Sequence[str] = (),
    dropped: Sequence[str] = (),
    actor: str,
    is_tenants: bool = False,
) -> list[str]:
    """
    Update a campaign; numbers are added and dropped.  What was enqueued keeps its from-number.

    Args:
        is_tenants: as of `add`.

    Returns the columns that are another now, `phones` among them; none where all was so already.

    Raises BadCampaign as `add` does.
    """
    campaign = show(campaign_id)
    business = db.run(sql.find_business, business_id=campaign.business_id)
    faults = [_NAMELESS] if given.get("name") == "" else []
    kept = [name for name in _ALWAYS if given.get(name, "") is None]
    faults += [
        Fault(name, f"a campaign always has a value of `{name}`: give another one, or leave it out") for name in kept
    ]
    values, numbers, gone = _checked(business, given, phones, dropped, faults, campaign, is_tenants=is_tenants)
    changed = _write(sql.set_campaign, campaign_id=campaign.id, given=values, phones=numbers, dropped=gone, who=actor)
    return list(changed)


def note_of_end(campaign_id: int) -> str | None:
    """Say how many calls that wait a campaign ends before; None of none."""
    calls = db.run(sql.calls_behind_end, campaign_id=campaign_id)
    return f"calls that wait and will be canceled, as the campaign ends before they are due: {calls}" if calls else None


def page(*, business_id: int | None = None, before: int | None = None, limit: int) -> tuple[list[db.Row], int | None]:
    """
    The campaigns of a business, or of all, with their numbers and their pace, the newest first: *limit* at most.

    Args:
        before: a campaign's id, behind which the page begins; None for the first.
        limit: from 1 to LISTED_MAX.

    Returns:
        them, and the id before which the next ones are, or None.

    Raises BadCampaign where the limit is none.
    """
    if not 1 <= limit <= LISTED_MAX:
        raise BadCampaign(f"--limit is a whole number from 1 to {LISTED_MAX}")
    before_id = None if before is None else min(before, row_id.MAX)
    rows = _listed(business_id=business_id, before_id=before_id, page_max=limit)
    return rows, rows[-1].id if len(rows) == limit else None


def show(campaign_id: int) -> db.Row:
    """One campaign, or raise BadCampaign."""
    found = _listed(campaign_id=row_id.possible(campaign_id), page_max=1)
    if not found:
        raise BadCampaign("there is no such campaign: see `outbound campaign list`")
    return found[0]


def _listed(
    *, campaign_id: int | None = None, business_id: int | None = None, before_id: int | None = None, page_max: int
) -> list[db.Row]:
    return list(
        db.run(
            sql.list_campaigns,
            campaign_id=campaign_id,
            business_id=business_id,
            before_id=before_id,
            page_max=page_max,
        )
    )


def calls(campaign_id: int) -> dict[str, int]:
    """
    Return how many calls of a campaign are in each status; each attempt is one.  Reads all of the campaign's calls.
    """
    return {row.status: row.calls for row in db.run(sql.count_calls, campaign_id=campaign_id)}


def _write(statement: object, *, given: dict[str, object], **values: object) -> db.Row:
    try:
        return db.run(statement, given=db.json(given), **values)
    except db.Conflict:
        name = given.get("name")
        message = f"the business has a campaign named {name} already: give another name, or change that one"
        raise BadCampaign.about("name", message) from None


def _checked(
    business: db.Row,
    given: Given,
    phones: Sequence[str],
    dropped: Sequence[str],
    faults: list[Fault],
    campaign: db.Row | None = None,
    *,
    is_tenants: bool = False,
) -> tuple[dict[str, object], list[str], list[str]]:
    """Return what is given as columns, and the numbers in E.164; or raise BadCampaign with *faults* and all others."""
    values = {_COLUMNS.get(name, name): value for name, value in given.items()}
    if name := given.get("name"):
        values["name"] = name.strip()
    faults += twiml_template.faults(given.get("voice_url"), given.get("twiml"), may_be_http=settings().http_voice_urls)
    for mine, others in (("voice_url", "twiml"), ("twiml", "voice_url")):
        if values.get(mine):  # one replaces the other
            values.setdefault(others, None)
    faults += _plain_faults(given)
    if "priority" in given:
        values["weight"] = given["priority"] or 1
    retry_policy = given.get("retry_policy")
    if retry_policy is not None:
        values["ladder_id"] = db.run(sql.find_retry_policy, business_id=business.id, name=retry_policy.strip())
        if values["ladder_id"] is None:
            message = (
                f"business {business.id} has no retry policy named `{plain_text.visible(retry_policy)}`:"
                " see `outbound retry-policy list`"
            )
            faults.append(Fault("retry_policy", message))
    starts, ends = _moments(given, business, campaign, faults)
    for name, moment in (("starts", starts), ("ends", ends)):
        if name in given:
            values[f"{name}_at"] = moment and moment.isoformat()
    numbers = _numbers(phones, "numbers", business, faults)
    gone = _numbers(dropped, "drop_numbers", business, faults)
    if is_tenants:
        their_campaign = campaign and campaign.id
        if db.run(sql.numbers_not_own, business_id=business.id, campaign_id=their_campaign, phones=numbers):
            faults.append(Fault("numbers", "one of the numbers is not the business's own: give those that are"))
    elif db.run(sql.numbers_of_others, business_id=business.id, phones=numbers):
        message = "one of the numbers belongs to another business: see `outbound business list`"
        faults.append(Fault("numbers", message))
    if faults:
        raise BadCampaign.of(faults)
    return values, numbers, gone


def _plain_faults(given: Given) -> Iterator[Fault]:
    name = given.get("name")
    fault = plain_text.fault(name or "")
    if name and (fault or not name.strip() or len(name) > NAME_MAX):
        more = f", and this {fault}" if fault else ""
        yield Fault("name", f"a campaign's name is one line of {NAME_MAX} characters at most{more}")
    if name and row_id.read(name.strip()) is not None:
        yield Fault("name", names.DIGITS)
    if given.get("machine_detection") not in (None, *MACHINE_DETECTIONS):
        yield Fault("machine_detection", f"machine detection is {' or '.join(MACHINE_DETECTIONS)}")
    for name, (low, high, what) in _BOUNDS.items():
        value = given.get(name)
        if isinstance(value, int | float) and not low <= value <= high:
            yield Fault(name, f"{what} {low} to {high}")


def _moments(
    given: Given, business: db.Row, campaign: db.Row | None, faults: list[Fault]
) -> tuple[datetime | None, datetime | None]:
    """Return when it starts and ends: as is given, else as it is."""
    bounds = {"starts": campaign and campaign.starts_at, "ends": campaign and campaign.ends_at}
    for name in bounds.keys() & given.keys():
        value = given[name]  # type: ignore[literal-required]
        try:
            bounds[name] = moments.read(value, business.time_zone, day_alone=True).at if value else None
        except moments.BadMoment as fault:
            faults.append(Fault(name, f"`{name}` {fault}"))
    starts, ends = bounds["starts"], bounds["ends"]
    if given.get("ends") and ends and ends < datetime.now(UTC) - moments.JUST_TYPED:  # all that waits would be canceled
        faults.append(Fault("ends", f"`ends` {moments.shown(ends, business.time_zone)} is past: give a moment to come"))
    if starts and ends and starts >= ends:
        faults.append(Fault("", "the campaign must start before it ends"))
    return starts, ends


def _numbers(phones: Sequence[str], field: str, business: db.Row, faults: list[Fault]) -> list[str]:
    numbers = set()
    what = "number" if field == "numbers" else "dropped number"
    for place, phone in enumerate(phones, start=1):
        try:
            numbers.add(phone_numbers.read(phone, business.default_region))
        except phone_numbers.NoPhoneNumber as refusal:
            faults.append(Fault(f"{field}/{place - 1}", f"{what} {place} {refusal}"))
    if len(numbers) > NUMBERS_MAX:
        faults.append(Fault(field, f"a campaign has at most {NUMBERS_MAX} numbers"))
    return sorted(numbers)
