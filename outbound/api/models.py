"""Models of the API's bodies and answers; the document is made of these."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from outbound.api.bodies import Body, Moment

ID_MAX = 2**53 - 1  # of ids that every client reads as they are; JavaScript has no more
RowId = Annotated[int, Field(ge=1, le=ID_MAX)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Line = Annotated[str, Field(max_length=200)]
Phone = Annotated[str, Field(min_length=3, max_length=60, description="a phone number in any writing")]
Status = Literal[
    "queued",
    "claimed",
    "initiated",
    "ringing",
    "in-progress",
    "completed",
    "busy",
    "no-answer",
    "failed",
    "canceled",
]


class Answer(BaseModel):
    """An answer; clients must ignore fields that they do not know."""

    model_config = ConfigDict(extra="ignore")


# Answers that say no


class Fault(Answer):
    """One thing that is wrong: where in the body or the query (JSON pointer), and what."""

    pointer: str
    code: str
    detail: str


class ProblemAnswer(Answer):
    """An answer that says no (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[Fault]


# Tokens


class Me(Answer):
    """The token of this request."""

    id: int
    public_id: str
    name: str
    business_id: int | None
    scopes: list[str]
    expires_at: datetime | None


class NewToken(Body):
    """A token to be made; it may do no more than the one that makes it."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    scopes: Annotated[list[Text], Field(min_length=1, max_length=20)]
    business_id: RowId | None = None
    life_days: Annotated[int, Field(ge=1, le=3650)] | None = None


class MadeToken(Me):
    """A token that was made: `token` is its text, which is shown this once."""

    token: str


class Token(Answer):
    """A token, without its text."""

    id: int
    public_id: str
    name: str
    business_id: int | None
    business: str | None
    scopes: list[str]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    is_live: bool


class TokenList(Answer):
    """A page of tokens, the newest first; `next` is `before` of the page behind it, which may be empty, or null."""

    tokens: list[Token]
    next: int | None


class RevokedToken(Answer):
    """A token that is refused; `changed` is false where it was before."""

    public_id: str
    name: str
    changed: bool


# Calls


class NewCall(Body):
    """A call to be queued, for a business or a campaign; of neither, for the token's business."""

    to: Phone
    business_id: RowId | None = None
    campaign_id: RowId | None = None
    from_: Annotated[str | None, Field(alias="from", max_length=60)] = None
    due_at: Moment | None = None
    key: Annotated[
        str | None, Field(max_length=255, description="your name for this call; by default the Idempotency-Key")
    ] = None
    contact: Annotated[dict[str, str] | None, Field(max_length=50)] = None
    time_zone: Annotated[str | None, Field(max_length=60, description="the callee's, like Asia/Jerusalem")] = None


class QueuedCall(Answer):
    """A call that is in the queue; `created` is false where it was there already."""

    call_id: int
    status: Status
    created: bool
    note: str | None = None
    due: str | None = None
    has_key: bool = True


class NewCalls(Body):
    """Up to 1,000 calls; each is queued, or refused, by itself."""

    calls: Annotated[list[NewCall], Field(min_length=1, max_length=1000)]


class RefusedCall(Answer):
    """A call of a list that was not queued, by its place from 0."""

    place: int
    code: str
    detail: str


class QueuedCalls(Answer):
    """The calls that were queued, in the order of the request; null in the place of one that was refused."""

    calls: list[QueuedCall | None]
    refused: list[RefusedCall]


class Call(Answer):
    """A call; moments in ISO 8601."""

    id: int
    business_id: int
    business: str
    campaign_id: int | None
    campaign: str | None
    direction: Literal["outbound", "inbound"]
    status: Status
    call_sid: str | None
    attempt: int
    retry_of: int | None
    created_at: datetime
    due_at: datetime
    dialed_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    duration_s: int | None
    answered_by: str | None
    error_code: str | None
    error_message: str | None
    held_by: str | None
    paused_at: datetime | None
    lead_id: int | None
    from_number: str | None
    to_number: str | None
    key: str | None
    batch: str | None
    stop_reason: str | None


class CallList(Answer):
    """A page of calls, newest first; `next` is `before` of the page behind it, which may be empty, or null."""

    calls: list[Call]
    next: str | None
    is_cut: bool


class Event(Answer):
    """An event of a call; `code` and `details` say the same as `what`, for who tells it in another language."""

    at: datetime
    what: str
    by: str | None
    why: str | None
    code: str
    details: dict[str, Any]


class Ending(Answer):
    """How a call ended, or who asked for that; `code` and `details` say the same as `sentence`."""

    code: str
    sentence: str
    details: dict[str, Any]


class Attempt(Answer):
    """One attempt of a retry policy."""

    id: int
    attempt: int
    status: Status


class ShownCall(Answer):
    """A call with its events, attempts and lead; `time_zone` is the callee's where it is known."""

    call: Call
    time_zone: str
    events: list[Event]
    attempts: list[Attempt]
    again_id: int | None
    again_for_id: int | None
    hung_up: str | None
    ending: Ending | None
    why: str | None


class Why(Answer):
    """Why a call is not being dialed right now."""

    code: str
    sentence: str
    until: datetime | None
    details: dict[str, Any]


class Reasoned(Body):
    """Why somebody wants it; kept with the call or the scope, and in the audit."""

    reason: Line | None = None


class Again(Body):
    """When a call is made again; by default at once."""

    at: Moment | None = None
    reason: Line | None = None


class MadeAgain(Answer):
    """The call in the place of one that ended."""

    retry_of: int
    call_id: int
    status: Status
    created: bool
    is_retry: bool
    may_have_rung: bool
    was: Status
    due: str | None
    note: str | None


class Reschedule(Body):
    """From when on a waiting call may be dialed: a moment, or `now`."""

    at: Moment
    reason: Line | None = None


class Rescheduled(Answer):
    """A call that waits for another moment."""

    call_id: int
    at: datetime
    was: datetime
    zone: str
    is_paused: bool
    note: str | None


class Selection(Body):
    """The waiting or ringing calls that are canceled: those that fit every field given; at least one must be."""

    number: Phone | None = None
    region: Annotated[str | None, Field(max_length=10, description="country of a number without a code")] = None
    status: Annotated[list[Text], Field(max_length=10)] | None = None
    business_id: RowId | None = None
    campaign_id: RowId | None = None
    batch: Text | None = None
    since: Moment | None = None
    until: Moment | None = None
    error_code: Text | None = None
    dry_run: bool = False
    reason: Line | None = None


class Canceled(Answer):
    """The number of calls that waited and rang, and of those in progress, which go on."""

    waiting: int
    in_the_air: int
    talking: int | None = None
    dry_run: bool = False


class Callee(Answer):
    """A fact about a phone number."""

    number: str
    calls: list[Call]
    known: list["Known"]
    leads: list["Lead"]
    destination: "Verdict | None"


# Files


class RefusedLine(Answer):
    """A line that was refused, and why."""

    line: int
    reason: str


class Report(Answer):
    """The report of a file."""

    created: int
    already_there: int
    duplicates: int
    refused: int
    refused_lines: list[RefusedLine]
    overdue: int
    fields: list[str]


class Remark(Answer):
    """A line of which something was understood that may be wrong, and what."""

    line: int
    remark: str


class ImportReport(Report):
    """The report of a file of calls; `dates` says how dates were read that could mean two days."""

    remarks: list[Remark]
    dates: list[str]
    batch: str | None
    dry_run: bool
    there: dict[str, int]
    called_lately: int
    import_id: int | None = None


ImportState = Literal["running", "finished", "broken_off", "refused", "interrupted"]


class Import(Answer):
    """
    An import of a file of calls: how far it has come, and how it ended.

    `broken_off` and `interrupted` (its process fell silent) keep what they have: send the file again under the same
    batch.  `refused` queued nothing: `reason` says why.
    """

    id: int
    business_id: int | None
    campaign_id: int | None
    batch: str
    state: ImportState
    received_bytes: int
    created: int
    already_there: int
    duplicates: int
    refused: int
    called_lately: int
    reason: str | None
    created_by: str | None
    started_at: datetime
    seen_at: datetime
    finished_at: datetime | None


class ShownImport(Import):
    """
    An import, with the first 1,000 lines that were refused; what else its report says is null until it ended.
    """

    refused_lines: list[RefusedLine]
    overdue: int | None
    fields: list[str] | None
    remarks: list[Remark] | None
    dates: list[str] | None
    there: dict[str, int] | None


class ImportList(Answer):
    """A page of imports, the newest first; `next` is `before` of the page behind it, which may be empty, or null."""

    imports: list[Import]
    next: int | None


# Leads


class Lead(Answer):
    """A lead, with its latest call and how many it has (1,000 means that or more)."""

    id: int
    at: datetime
    business_id: int
    business: str
    created_at: datetime
    updated_at: datetime
    call_id: int | None
    call_status: Status | None
    calls: int
    phone: str | None = None


class LeadList(Answer):
    """A page of leads, the one with the last contact first."""

    leads: list[Lead]
    next: str | None


# Tenants


class NewBusiness(Body):
    """A business to be added."""

    name: Text
    time_zone: Annotated[
        str | None, Field(max_length=60, description="an IANA name; by default its place's, where that has one")
    ] = None
    region: Annotated[str | None, Field(max_length=10)] = None
    voice_url: Annotated[str | None, Field(max_length=2000)] = None
    twiml: Annotated[str | None, Field(max_length=4000)] = None
    numbers: Annotated[list[Phone], Field(max_length=1000)] = []
    account: Annotated[str | None, Field(max_length=40)] = None
    any_hour: bool = False


class ChangedBusiness(Body):
    """The fields of a business to be changed; what is not given stays."""

    name: Text | None = None
    time_zone: Annotated[str | None, Field(max_length=60)] = None
    region: Annotated[str | None, Field(max_length=10)] = None
    voice_url: Annotated[str | None, Field(max_length=2000)] = None
    twiml: Annotated[str | None, Field(max_length=4000)] = None
    numbers: Annotated[list[Phone], Field(max_length=1000)] = []
    account: Annotated[str | None, Field(max_length=40)] = None
    look_back_hours: Annotated[int | None, Field(ge=0, le=168)] = None


class AddedBusiness(Answer):
    """A business that was added, and the calling hours that it keeps to."""

    id: int
    name: str
    time_zone: str
    calling_hours: str | None


class ChangedParts(Answer):
    """The parts that were changed; none where all was so already."""

    id: int
    changed: list[str]


class ChangedCampaignParts(ChangedParts):
    """The parts of a campaign that were changed; `note` says how many calls that wait it ends before, or null."""

    note: str | None


class Business(Answer):
    """A business."""

    id: int
    name: str
    time_zone: str
    default_region: str | None
    look_back_hours: int
    voice_url: str | None
    phones: list[str]


class BusinessList(Answer):
    """A page of businesses, the newest first; `next` is `before` of the page behind it, which may be empty, or null."""

    businesses: list[Business]
    next: int | None


class NamedCampaign(Answer):
    """A campaign's id and name."""

    id: int
    name: str
    starts_at: datetime | None
    ends_at: datetime | None


class ShownBusiness(Business):
    """
    A business with its limits, live calls and newest 100 campaigns, the oldest of them first; `campaigns_next` is
    `before` of `GET /campaigns` for the others, or null.
    """

    twiml: str | None
    account: Annotated[
        str | None,
        Field(description="SID of its own account at the carrier; null of none, and for a token of one business"),
    ] = None
    retry_policy: str | None
    window_name: str | None
    state: str
    state_reason: str | None
    state_since: datetime | None
    calls_per_second: float | None
    live_max: int | None
    weight: float
    live: dict[str, int]
    campaigns: list[NamedCampaign]
    campaigns_next: int | None = None


class CampaignFields(Body):
    """The fields of a campaign; null removes a value."""

    name: Annotated[str | None, Field(max_length=100)] = None
    voice_url: Annotated[str | None, Field(max_length=2000)] = None
    twiml: Annotated[str | None, Field(max_length=4000)] = None
    retry_policy: Line | None = None
    local_presence: bool | None = None
    machine_detection: Line | None = None
    consent_required: bool | None = None
    registry_max_age_days: Annotated[int | None, Field(ge=1, le=3650)] = None
    time_limit_s: Annotated[int | None, Field(ge=10, le=86_400)] = None
    calls_per_second: Annotated[float | None, Field(ge=0.001, le=1000)] = None
    live_max: Annotated[int | None, Field(ge=0, le=1_000_000)] = None
    priority: Annotated[float | None, Field(ge=0.01, le=100)] = None
    starts: Moment | None = None
    ends: Moment | None = None
    numbers: Annotated[list[Phone], Field(max_length=1000)] = []


class NewCampaign(CampaignFields):
    """A campaign to be added."""

    business_id: RowId | None = None


class ChangedCampaign(CampaignFields):
    """The fields of a campaign to be changed; what is not given stays."""

    drop_numbers: Annotated[list[Phone], Field(max_length=1000)] = []


class Campaign(Answer):
    """A campaign."""

    id: int
    business_id: int
    business: str
    name: str
    voice_url: str | None
    twiml: str | None
    local_presence: bool
    machine_detection: str | None
    consent_required: bool
    registry_max_age_days: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    time_limit_s: int | None
    window_id: int | None
    created_at: datetime
    time_zone: str
    retry_policy: str | None
    calls_per_second: float | None
    live_max: int | None
    weight: float
    state: str
    has_ended: bool
    phones: list[str]


class CampaignList(Answer):
    """A page of campaigns, the newest first; `next` is `before` of the page behind it, which may be empty, or null."""

    campaigns: list[Campaign]
    next: int | None


class ShownCampaign(Campaign):
    """A campaign, and how many calls of it are in each status."""

    calls: dict[str, int]


class Part(Answer):
    """A number of calls that share a reason."""

    calls: int
    sentence: str
    until: datetime | None


class Preview(Answer):
    """The preview of a campaign, as if it were launched now."""

    campaign_id: int
    name: str
    time_zone: str
    now: int
    to_dial: int
    held: dict[str, Part]
    refused: dict[str, Part]
    stopped_by: list[str]
    calls_per_second: float | None
    limited_by: str | None
    call_s: float
    call_s_from: str
    duration_s: float | None


# Control


class Limits(Body):
    """
    Limits of a scope, each a number, also as text, or `none`, which takes it away; what is not given, or null, stays.
    """

    calls_per_second: Annotated[float | Line | None, Field(description="0.001 to 1000, or none")] = None
    live_max: Annotated[float | Line | None, Field(description="calls at once, 0 to 1000000, or none")] = None
    weight: Annotated[float | Line | None, Field(description="0.01 to 100")] = None
    calls_per_hour: float | Line | None = None
    calls_per_day: float | Line | None = None
    minutes_per_hour: float | Line | None = None
    minutes_per_day: float | Line | None = None


class SetLimits(Answer):
    """Limits that were set."""

    scope: str
    key: str
    limits: dict[str, str]


class Paused(Answer):
    """A scope that is paused."""

    scope: str
    key: str
    paused: bool
    was_paused: bool
    claims_taken_back: int


class Resumed(Answer):
    """A scope that goes on."""

    scope: str
    key: str
    paused: bool
    was_paused: bool


class Drained(Answer):
    """A scope that is paused, and how many of its calls are still in the air."""

    scope: str
    key: str
    paused: bool
    in_the_air: int


class CanceledScope(Answer):
    """The number of calls of a scope that were closed, and of those that ring and are being ended."""

    scope: str
    key: str
    waiting: int
    in_the_air: int


class Stopped(Answer):
    """A scope that is paused, and how many of its calls are being hung up."""

    scope: str
    key: str
    paused: bool
    was_paused: bool
    hung_up: int


class Control(Answer):
    """
    The limits and holds of a scope, and how much of them is used.

    The paths of control name a `scope` by its plural, like `/control/campaigns/3`; the `account` is `everything/all`.
    """

    scope: str
    key: str
    name: str | None
    time_zone: str
    state: str
    state_reason: str | None
    state_since: datetime | None
    weight: float
    calls_per_second: float | None
    live_max: int | None
    live: int
    unknown: int
    hold_until: datetime | None
    calls_per_hour: int | None
    calls_per_day: int | None
    minutes_per_hour: int | None
    minutes_per_day: int | None


class Controls(Answer):
    """The scopes that were limited, paused or dialed for."""

    control: list[Control]


class Fact(Answer):
    """One thing that is so, and what to do about it."""

    code: str
    kind: str
    sentence: str
    since: datetime | None
    until: datetime | None


class QueueState(Answer):
    """The state of the queue; `calls` are the live ones by status."""

    now: list[Fact]
    calls: dict[str, int]


# Rules


class NewRetryPolicy(Body):
    """A retry policy to be added: steps like `busy: 5m, 30m; no-answer: 2h; failed: none`."""

    business_id: RowId | None = None
    name: Annotated[str, Field(min_length=1, max_length=100)]
    steps: Annotated[str, Field(max_length=500)]
    per_day: Annotated[int, Field(ge=1, le=100)]
    per_week: Annotated[int, Field(ge=1, le=100)]
    is_default: bool = False


class RetryPolicy(Answer):
    """A retry policy."""

    id: int
    business_id: int
    name: str
    steps: str
    attempts_per_day_max: int
    attempts_per_week_max: int
    is_default: bool | None


class RetryPolicyList(Answer):
    """A page of policies, the newest first; `next` is `before` of the page behind it, which may be empty, or null."""

    retry_policies: list[RetryPolicy]
    next: int | None


class UseRetryPolicy(Body):
    """The retry policy that is a business's default."""

    name: Annotated[str, Field(min_length=1, max_length=100)]


class Added(Answer):
    """The id of the row that was added."""

    id: int
    name: str


class NewWindow(Body):
    """A calling window to be added: hours like `sun-thu 09:00-20:00, fri 09:00-13:00`, or a preset."""

    name: Line | None = None
    preset: Line | None = None
    hours: Annotated[str | None, Field(max_length=1000)] = None
    days_off: Annotated[list[Line], Field(max_length=1000)] = []
    half_days: Annotated[list[Line], Field(max_length=1000)] = []
    known_until: Line | None = None
    note: Annotated[str, Field(max_length=1000)] = ""


class Window(Answer):
    """A calling window; `days` is how many days have hours of their own."""

    id: int
    name: str
    preset: str | None
    hours: str
    known_until: date | None
    note: str
    days: int


class WindowList(Answer):
    """A page of windows, the newest first; `next` is `before` of the page behind it, which may be empty, or null."""

    windows: list[Window]
    next: int | None


class SpecialDay(Answer):
    """A day that has hours of its own, or `off`."""

    day: date
    hours: str


class ShownWindow(Answer):
    """A calling window with its days."""

    id: int
    name: str
    preset: str | None
    hours: str
    known_until: date | None
    note: str
    days: list[SpecialDay]


class DayHours(Body):
    """A day's own hours, like `09:00-13:00` or `off`; null makes it like its weekday again."""

    hours: Line | None


class AssignWindow(Body):
    """The window of a business or a campaign; null for none."""

    window_id: RowId | None


class AssignedWindow(Answer):
    """Is it another window than before, and how many calls that waited are checked again."""

    changed: bool
    waited: int


class ChangedDay(Answer):
    """Has the day other hours than before?"""

    changed: bool


class Refreshed(Answer):
    """The windows of presets that know more days now."""

    windows: list[dict[str, Any]]


class NewDestination(Body):
    """A destination to be allowed or closed: a country, like GB, or first digits, like +4420."""

    place: Annotated[str, Field(min_length=1, max_length=20)]
    allowed: bool
    business_id: RowId | None = None
    reason: Line = ""


class SetDestination(Answer):
    """A destination that is allowed or closed; `was` is what its entry said before."""

    place: str
    kind: str
    was: bool | None
    allowed: bool
    business_id: int | None


class Destination(Answer):
    """An entry of where calls may go; of no business, it is everybody's."""

    id: int
    business_id: int | None
    place: str
    allowed: bool
    kind: str | None
    reason: str
    created_at: datetime


class DestinationList(Answer):
    """A page of entries, the newest first; `next` is `before` of the page behind it, which may be empty, or null."""

    destinations: list[Destination]
    next: int | None


class Verdict(Answer):
    """May a number be called?"""

    region: str | None
    kind: str
    fault: str | None
    sentence: str | None


class Removed(Answer):
    """Was there an entry?"""

    removed: bool


# Do-not-call list and consents


class NewSuppression(Body):
    """A number that is not called any more, by a business or a campaign; `everybody`: by nobody."""

    phone: Phone
    business_id: RowId | None = None
    campaign_id: RowId | None = None
    everybody: bool = False
    region: Annotated[str | None, Field(max_length=10)] = None
    reason: Annotated[str, Field(max_length=200)] = ""


class Suppressed(Answer):
    """The number is on the list; `canceled` calls waited for it."""

    created: bool
    canceled: int


class DropSuppression(Body):
    """The entry of exactly this scope."""

    phone: Phone
    business_id: RowId | None = None
    campaign_id: RowId | None = None
    everybody: bool = False
    region: Annotated[str | None, Field(max_length=10)] = None


class Suppression(Answer):
    """An entry of the do-not-call list; of no business, it is for everybody."""

    id: int
    business_id: int | None
    business: str | None
    campaign_id: int | None
    campaign: str | None
    created_at: datetime
    phone: str | None = None
    reason: str | None = None


class Suppressions(Answer):
    """A page of the do-not-call list, the newest first; `next` is `before` of the next page."""

    entries: list[Suppression]
    next: int | None


class Known(Answer):
    """A do-not-call entry, a consent or a registry check of a number."""

    fact: str
    business_id: int | None
    campaign_id: int | None
    since: datetime | None
    until: datetime | None
    words: str | None


class AllKnown(Answer):
    """All that is known of a number."""

    known: list[Known]


class NewConsent(Body):
    """A consent to be recorded."""

    phone: Phone
    business_id: RowId | None = None
    given_at: Moment | None = None
    expires_at: Moment | None = None
    source: Annotated[str, Field(max_length=200)] = ""
    region: Annotated[str | None, Field(max_length=10)] = None


class RevokedConsent(Body):
    """A consent that is taken back, or was never given."""

    phone: Phone
    business_id: RowId | None = None
    region: Annotated[str | None, Field(max_length=10)] = None


class Written(Answer):
    """Was it written?  False where something newer, or the same, is on record."""

    written: bool


# Audit


class Entry(Answer):
    """An entry of the audit."""

    place: int
    at: datetime
    who: str
    action: str
    scope: str
    key: str
    details: dict[str, Any]


class Audit(Answer):
    """
    The latest entries, or those before a place, oldest first; `next` is `before` of the page of older ones, or null.
    """

    entries: list[Entry]
    next: int | None


class Verified(Answer):
    """Does the audit's chain hold?  `broken` names the first link that is wrong."""

    links: int
    head: str
    broken: dict[str, Any] | None


class Person(Answer):
    """All that is known of a person, by table."""

    number: str
    is_forgotten: bool
    known: dict[str, list[Any]]


# Webhooks

EventType = Literal[
    "call.answered",
    "call.ended",
    "call.corrected",
    "lead.created",
    "campaign.paused",
    "campaign.done",
    "import.done",
    "endpoint.disabled",
    "ping",
]
Url = Annotated[str, Field(min_length=8, max_length=2000, description="https://… on port 443")]
Payload = Literal["full", "thin"]
DeliveryState = Literal["due", "claimed", "sending", "done", "given_up"]


class NewEndpoint(Body):
    """An endpoint to be added; without types it receives all but call.answered."""

    url: Url
    business_id: RowId | None = None
    event_types: Annotated[list[EventType], Field(max_length=20)] = []
    payload: Payload = "full"


class EndpointChange(Body):
    """The fields of an endpoint to be changed; what is not given stays."""

    url: Url | None = None
    event_types: Annotated[list[EventType] | None, Field(max_length=20)] = None
    payload: Payload | None = None
    state: Literal["on", "off"] | None = None


class AddedEndpoint(Answer):
    """An endpoint that was added; its secret is asked for by itself."""

    id: int


class Endpoint(Answer):
    """An endpoint, what waits for it, and whether it takes what it is sent."""

    id: int
    business_id: int | None
    business: str | None
    url: str
    event_types: list[str]
    payload: str
    state: str
    state_reason: str | None
    state_since: datetime | None
    failures: int
    failing_since: datetime | None
    hold_until: datetime | None
    secret_generation: int
    rotated_at: datetime | None
    created_at: datetime
    due: Annotated[int, Field(description="deliveries that wait, 1000 at most")]
    oldest_at: datetime | None
    last_delivered_at: datetime | None
    last_error: Annotated[
        str | None, Field(description="while it fails: what went wrong last with one of the deliveries that wait")
    ]


class EndpointList(Answer):
    """A page of endpoints, the newest first; `next` is `before` of the page behind it, which may be empty, or null."""

    endpoints: list[Endpoint]
    next: int | None


class EndpointState(Answer):
    """An endpoint that was changed."""

    id: int
    state: str


class EndpointSecret(Answer):
    """The secret with which a receiver verifies, as Standard Webhooks writes it."""

    id: int
    secret: str


class RotatedSecret(Answer):
    """An endpoint whose secret was changed: the one before is good for 24 hours."""

    id: int


class RemovedEndpoint(Answer):
    """An endpoint that was removed, and how many events were not delivered to it."""

    id: int
    waiting: int


class Ping(Answer):
    """A ping on its way."""

    id: str


class Delivery(Answer):
    """An event on its way to an endpoint, or delivered."""

    event_id: int
    public_id: str
    type: str
    call_id: int | None
    at: datetime
    state: str
    attempts: int
    next_attempt_at: datetime | None
    status_code: int | None
    error: str | None
    took_ms: int | None
    done_at: datetime | None
    is_replay: bool


class DeliveryList(Answer):
    """A page of deliveries, the newest event first; `next` is `before` of the page behind it, maybe empty, or null."""

    deliveries: list[Delivery]
    next: int | None


class Replay(Body):
    """The events to be sent once more; at least one field is given."""

    event_ids: Annotated[list[Text] | None, Field(min_length=1, max_length=1000)] = None
    event_types: Annotated[list[EventType] | None, Field(min_length=1, max_length=20)] = None
    since: Moment | None = None
    until: Moment | None = None
    given_up_only: bool = False


class Replayed(Answer):
    """The number of events that are sent once more."""

    replayed: int
