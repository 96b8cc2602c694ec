"""`outbound campaign` and `outbound retry-policy`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column

from outbound import os_user
from outbound.cli.common import AsJson, BusinessOption, By, ready
from outbound.errors import UserError
from outbound.formats import moments
from outbound.printing import Table, cell, out, say, tell_added, tell_changed, tell_done, tell_json

if TYPE_CHECKING:
    from outbound.rules.campaign import Given

campaign_app = typer.Typer(
    no_args_is_help=True, help="What is called for: numbers, words, retry policy, pace and days."
)
retry_policy_app = typer.Typer(no_args_is_help=True, help="How often and when somebody is tried again.")
commands = typer.Typer()
commands.add_typer(campaign_app, name="campaign")
commands.add_typer(retry_policy_app, name="retry-policy")

CampaignId = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Its name or id in `outbound campaign list`.")]
Name = Annotated[str | None, typer.Option(help="What people call it.")]
VoiceUrl = Annotated[str | None, typer.Option(help="Where the carrier asks what a call plays; else the business's.")]
Twiml = Annotated[str | None, typer.Option(help="What a call plays, as TwiML; {{field}} is the contact's.")]
Numbers = Annotated[list[str] | None, typer.Option("--number", help="A number that calls; may be repeated.")]
RetryPolicy = Annotated[str | None, typer.Option(help="The name or id of one in `outbound retry-policy list`.")]
LocalPresence = Annotated[
    bool | None,
    typer.Option("--local-presence/--no-local-presence", help="Call from the nearest of the numbers."),
]
MachineDetection = Annotated[str | None, typer.Option(help="Enable, or DetectMessageEnd.")]
ConsentRequired = Annotated[
    bool | None, typer.Option("--consent-required/--no-consent-required", help="Call only who has given consent.")
]
RegistryAge = Annotated[
    int | None,
    typer.Option("--registry-max-age-days", help="How old the registry's answer may be, days."),
]
TimeLimit = Annotated[
    int | None,
    typer.Option("--time-limit-s", help="The carrier hangs up after so many seconds; else OUTBOUND_TIME_LIMIT_S."),
]
CallsPerSecond = Annotated[float | None, typer.Option(help="0.001 to 1000.")]
LiveMax = Annotated[int | None, typer.Option(help="Calls at once, 0 to 1000000.")]
Priority = Annotated[float | None, typer.Option(help="0.01 to 100; one of 2 gets twice the share of its neighbour.")]
Starts = Annotated[str | None, typer.Option(help="Not before this moment, like 2026-11-30T09:00.")]
Ends = Annotated[str | None, typer.Option(help="Nobody is called from this moment on.")]

_CLEARABLE = (
    *("voice_url", "twiml", "retry_policy", "machine_detection", "registry_max_age_days", "time_limit_s"),
    *("calls_per_second", "live_max", "priority", "starts", "ends"),
)


@campaign_app.command("add")
def campaign_add(
    business: BusinessOption,
    name: Name = None,
    voice_url: VoiceUrl = None,
    twiml: Twiml = None,
    number: Numbers = None,
    retry_policy: RetryPolicy = None,
    local_presence: LocalPresence = None,
    machine_detection: MachineDetection = None,
    consent_required: ConsentRequired = None,
    registry_max_age_days: RegistryAge = None,
    time_limit_s: TimeLimit = None,
    calls_per_second: CallsPerSecond = None,
    live_max: LiveMax = None,
    priority: Priority = None,
    starts: Starts = None,
    ends: Ends = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Add a campaign and print its id."""
    given = _given(locals())
    from outbound import names
    from outbound.rules import campaign

    with ready():
        added = campaign.add(names.find("business", business), given, phones=number or [], actor=os_user.named(by))
        row = campaign.show(added)
    tell_added("campaign", {"id": added, "name": name}, as_json=as_json)
    _say_days(row, given)


@campaign_app.command("set")
def campaign_set(
    campaign_id: CampaignId,
    name: Name = None,
    voice_url: VoiceUrl = None,
    twiml: Twiml = None,
    number: Numbers = None,
    drop_number: Annotated[list[str] | None, typer.Option(help="A number that calls no more; may be repeated.")] = None,
    retry_policy: RetryPolicy = None,
    local_presence: LocalPresence = None,
    machine_detection: MachineDetection = None,
    consent_required: ConsentRequired = None,
    registry_max_age_days: RegistryAge = None,
    time_limit_s: TimeLimit = None,
    calls_per_second: CallsPerSecond = None,
    live_max: LiveMax = None,
    priority: Priority = None,
    starts: Starts = None,
    ends: Ends = None,
    clear: Annotated[
        list[str] | None, typer.Option(help="What to take away, like ends or live-max; may be repeated.")
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Update a campaign; options that are not given stay. Waiting calls follow, except for their from-number."""
    given = _given(locals())
    from outbound import names
    from outbound.rules import campaign

    for word in clear or []:
        name_of = word.replace("-", "_")
        if name_of not in _CLEARABLE:
            raise UserError(f"--clear takes one of: {', '.join(_CLEARABLE).replace('_', '-')}")
        given[name_of] = None  # type: ignore[literal-required]
    with ready():
        found = names.find("campaign", campaign_id)
        changed = campaign.change(found, given, phones=number or [], dropped=drop_number or [], actor=os_user.named(by))
        row = campaign.show(found)
        note = campaign.note_of_end(found) if given.get("ends") else None
    tell_changed("campaign", found, changed, as_json=as_json)
    _say_days(row, given)
    if note:
        say(note)


@campaign_app.command("list")
def campaign_list(
    business: Annotated[
        str | None, typer.Option(help="Only this business's: its name or id in `outbound business list`.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many at most, up to 1000.")] = 100,
    before: Annotated[
        int | None, typer.Option(min=1, help="Go on before this campaign: what the page before ended with.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the campaigns, the newest first."""
    from outbound import names
    from outbound.rules import campaign

    with ready():
        own = names.whose(business, None)["business_id"]
        rows, last = campaign.page(business_id=own, before=before, limit=limit)
    if as_json:
        tell_json({"campaigns": [row._asdict() for row in rows], "next": last})
        return
    table = Table("id", "campaign", "business", "state", "numbers", "pace", Column("until", no_wrap=True))
    for row in rows:
        table.add_row(
            str(row.id),
            row.name,
            f"{row.business_id} {row.business}",
            "ended" if row.has_ended else row.state,
            str(len(row.phones)),
            cell(*_pace(row)),
            cell(*(() if row.ends_at is None else moments.shown(row.ends_at, row.time_zone).rsplit(" ", 2))),
        )
    out.print(table)
    if last is not None:
        say(f"more: --before {last}")


def _pace(row: Any) -> list[str]:
    """Return what holds of a campaign's pace; the retry policy last."""
    parts = (
        f"{row.calls_per_second:g} a second" if row.calls_per_second is not None else "",
        f"{row.live_max} at once" if row.live_max is not None else "",
        f"priority {row.weight:g}" if row.weight != 1 else "",
        f"retry policy {row.retry_policy}" if row.retry_policy else "",
    )
    return [part for part in parts if part]


@campaign_app.command("show")
def campaign_show(campaign_id: CampaignId, as_json: AsJson = False) -> None:
    """Show one campaign, and how many of its calls are in each status."""
    from outbound import names
    from outbound.rules import campaign

    with ready():
        row = campaign.show(names.find("campaign", campaign_id))
        shown = row._asdict() | {"calls": campaign.calls(row.id)}
    if as_json:
        tell_json(shown)
        return
    table = Table("", "", show_header=False)
    for name, value in shown.items():
        shows = moments.shown(value, row.time_zone) if isinstance(value, datetime) else _text(value)
        table.add_row(name.replace("_", " "), shows)
    out.print(table)


@campaign_app.command("results")
def campaign_results(
    campaign_id: CampaignId,
    as_csv: Annotated[bool, typer.Option("--csv", help="A row per callee, for a spreadsheet.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a campaign has come to: how many callees were reached; with --csv or --json, each of them."""
    from collections import Counter

    from outbound import names
    from outbound.calls import campaign_results as step
    from outbound.formats.spreadsheet import Writer

    if as_json and as_csv:
        raise UserError("give --json or --csv, one of them")
    with ready(), step.of(names.find("campaign", campaign_id)) as (campaign, callees):
        if as_csv:
            writer = Writer(step.COLUMNS)
            for callee in callees:
                writer.write(callee)
            return
        if as_json:
            tell_json(campaign._asdict() | {"callees": list(callees)})
            return
        counts = Counter(callee["result"] for callee in callees)
    table = Table("callees", "result", "which means", title=cell(f"campaign {campaign.id}: {campaign.name}"))
    for result, meaning in step.RESULTS.items():
        table.add_row(counts[result], result.replace("_", " "), meaning)
    table.add_row(counts.total(), "in all", "`--csv` lists them")
    out.print(table)


@retry_policy_app.command("add")
def retry_policy_add(
    business: BusinessOption,
    name: Annotated[str, typer.Option(help="What people call it.")],
    steps: Annotated[str, typer.Option(help="Like `busy: 5m, 30m; no-answer: 2h, next day; failed: none`.")],
    per_day: Annotated[int | None, typer.Option(help="How often one callee may be dialed in 24 hours.")] = None,
    per_week: Annotated[int | None, typer.Option(help="And in 7 days.")] = None,
    default: Annotated[bool, typer.Option("--default", help="For the business's calls without another.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Add a retry policy and print its id."""
    from outbound import names
    from outbound.rules import retry_policy

    with ready():
        added = retry_policy.add(
            names.find("business", business),
            name,
            steps,
            per_day=per_day,
            per_week=per_week,
            is_default=default,
            actor=os_user.named(by),
        )
    tell_added("retry policy", {"id": added, "name": name}, as_json=as_json)


@retry_policy_app.command("use")
def retry_policy_use(
    business: BusinessOption,
    name: Annotated[str | None, typer.Argument(help="One of the business's; without one, none.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Give a business's calls that have no other retry policy this one, or none."""
    from outbound import names
    from outbound.rules import retry_policy

    with ready():
        found = names.find("business", business)
        is_another = retry_policy.use(found, name, actor=os_user.named(by))
    policy = f"the retry policy {name}" if name else "no retry policy"
    line = f"business {found} has {policy} now"
    if not is_another:
        line = f"nothing changed: business {found} has {policy} already"
    tell_done({"business_id": found, "retry_policy": name, "changed": is_another}, line, as_json=as_json)


@retry_policy_app.command("list")
def retry_policy_list(as_json: AsJson = False) -> None:
    """Show the retry policies."""
    from outbound.rules import retry_policy

    with ready():
        rows = retry_policy.every()
    if as_json:
        tell_json([row._asdict() | {"steps": retry_policy.written(row)} for row in rows])
        return
    table = Table("id", "business", "name", "steps", "per day", "per week", "default")
    for row in rows:
        caps = str(row.attempts_per_day_max), str(row.attempts_per_week_max)
        table.add_row(
            str(row.id),
            str(row.business_id),
            row.name,
            retry_policy.written(row),
            *caps,
            "yes" if row.is_default else "",
        )
    out.print(table)


def _say_days(row: Any, given: "Given") -> None:
    """The moments that were given, as they were understood: by the business's clocks."""
    for name in ("starts", "ends"):
        at = getattr(row, f"{name}_at")
        if given.get(name) and at:
            say(f"{name}: {moments.shown(at, row.time_zone)}")


def _given(options: dict[str, object]) -> "Given":
    """Those of a command's options that are a campaign's, and were given."""
    from outbound.rules.campaign import Given

    given: Given = {}
    for name in Given.__annotations__:
        if options.get(name) is not None:
            given[name] = options[name]  # type: ignore[literal-required]
    return given


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {count}" for name, count in value.items())
    return " ".join(value) if isinstance(value, list) else "" if value is None else str(value)
