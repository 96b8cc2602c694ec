"""What is called for: its numbers, words, retry policy, pace and days."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from outbound import BadCall, BadFile, db, import_calls, logs
from outbound.call import CallEvent, DialOrder
from outbound.calls import dial, dispatch, enqueue, events
from outbound.carrier import Answered, CallNotSent
from outbound.cli import app
from outbound.errors import UserError
from outbound.formats import twiml_template
from outbound.rules import campaign, retry_policy
from outbound.rules.campaign import BadCampaign, Given
from tests.conftest import CLAIM, World

pytestmark = pytest.mark.rows_only

HELLO = "<Response><Say>Hello {{name}}</Say></Response>"
OWN, SECOND, NEAR = "+15005550006", "+15005550007", "+12125550008"
TO = "+15005550101"


@pytest.fixture
def acme(world: World) -> int:
    return world.business("Acme", OWN)


def add(business_id: int, phones: tuple[str, ...] = (), **given: Any) -> int:
    terms: Given = {"name": "May"}
    terms.update(cast("Given", given))
    return campaign.add(business_id, terms, phones=phones, actor="dana")


def change(campaign_id: int, phones: tuple[str, ...] = (), dropped: tuple[str, ...] = (), **given: Any) -> None:
    campaign.change(campaign_id, cast("Given", given), phones=phones, dropped=dropped, actor="ron")


def snapshot(world: World) -> list[Any]:
    queries = (
        "select * from campaign order by id",
        "select * from campaign_number order by 1, 2",
        "select * from dial_control order by 1, 2",
        "select * from audit order by id",
    )
    return [world.rows(query) for query in queries]


# What a campaign is.


def test_a_campaign_is_added_with_all_that_it_has(world: World, acme: int) -> None:
    world.do("update business set time_zone = 'Asia/Jerusalem', default_region = 'US'")
    retry_policy.add(acme, "usual", "busy: 5m", per_day=1, per_week=2, actor="dana")

    added = add(
        acme,
        ("(500) 555-0006", SECOND),
        voice_url="https://acme.example.com/voice",
        retry_policy="usual",
        local_presence=True,
        machine_detection="Enable",
        consent_required=True,
        registry_max_age_days=15,
        calls_per_second=2.5,
        live_max=7,
        priority=3,
        starts="2030-12-01T09:00",
        ends=datetime(2030, 12, 31, tzinfo=UTC),
    )

    row = campaign.show(added)
    assert (row.business_id, row.name, row.phones, row.retry_policy) == (acme, "May", [OWN, SECOND], "usual")
    assert (row.voice_url, row.twiml, row.local_presence) == ("https://acme.example.com/voice", None, True)
    assert (row.machine_detection, row.consent_required, row.registry_max_age_days) == ("Enable", True, 15)
    assert (row.calls_per_second, row.live_max, row.weight, row.state) == (2.5, 7, 3, "running")
    assert row.starts_at == datetime(2030, 12, 1, 7, tzinfo=UTC)
    assert row.ends_at == datetime(2030, 12, 31, tzinfo=UTC)
    assert campaign.page(limit=100) == ([row], None)


def test_a_campaign_needs_a_name_alone_where_its_business_speaks(world: World, acme: int) -> None:
    row = campaign.show(add(acme))

    assert (row.voice_url, row.twiml, row.phones, row.retry_policy, row.ends_at) == (None, None, [], None, None)
    assert (row.calls_per_second, row.live_max, row.weight, row.has_ended) == (None, None, 1, False)


def test_only_what_is_given_is_changed_and_none_takes_away(world: World, acme: int) -> None:
    added = add(acme, (OWN, SECOND), twiml=HELLO, live_max=7, priority=3, ends="2030-12-31", registry_max_age_days=3)

    change(added, calls_per_second=1)
    first = campaign.show(added)
    change(added, (NEAR,), (OWN,), ends=None, live_max=None, priority=None, voice_url="https://a.example.com/")
    second = campaign.show(added)

    assert (first.calls_per_second, first.live_max, first.weight, first.twiml) == (1, 7, 3, HELLO)
    assert (second.calls_per_second, second.live_max, second.weight, second.ends_at) == (1, None, 1, None)
    assert (second.voice_url, second.twiml, second.registry_max_age_days) == ("https://a.example.com/", None, 3)
    assert second.phones == [NEAR, SECOND]


def test_a_change_of_pace_keeps_what_an_operator_paused(world: World, acme: int) -> None:
    added = add(acme)
    world.do("update dial_control set state = 'paused', tokens = 0.5, served = 9 where scope = 'campaign'")

    change(added, calls_per_second=1)

    row = world.rows("select state, tokens, served, calls_per_second from dial_control where scope = 'campaign'")
    assert row == [("paused", 0.5, 9, 1)]


def test_every_move_is_written_down_with_who_made_it(world: World, acme: int) -> None:
    added = add(acme, (OWN,), live_max=7)

    change(added, (SECOND,), (OWN,), name="June")

    audit = world.rows("select who, action, scope, key, details from audit order by id")
    assert [(row.who, row.action, row.scope, row.key) for row in audit] == [
        ("dana", "campaign.add", "campaign", str(added)),
        ("ron", "campaign.set", "campaign", str(added)),
    ]
    assert audit[0].details == {"name": "May", "live_max": 7, "numbers": [OWN]}
    assert audit[1].details == {"name": "June", "numbers": [SECOND], "dropped": [OWN]}


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({"name": ""}, ["a campaign needs a name"]),
        ({"name": " "}, ["one line of 100 characters"]),
        ({"name": "a\0b"}, ["one line of 100 characters"]),
        ({"voice_url": "ftp://x"}, ["the voice URL must"]),
        ({"voice_url": "https://a.example.com/{{name}}"}, ["does not go into a URL"]),
        ({"voice_url": "https://a.example.com", "twiml": HELLO}, ["not both"]),
        ({"twiml": "Hello"}, ["is not XML"]),
        ({"machine_detection": "enable"}, ["Enable or DetectMessageEnd"]),
        ({"registry_max_age_days": 0}, ["whole days 1 to 3650"]),
        ({"calls_per_second": 0}, ["calls per second are"]),
        ({"calls_per_second": float("nan")}, ["calls per second are"]),
        ({"calls_per_second": float("inf")}, ["calls per second are"]),
        ({"live_max": -1}, ["calls at once are"]),
        ({"live_max": 10**30}, ["calls at once are"]),
        ({"priority": 0}, ["the priority is"]),
        ({"retry_policy": "nobody's"}, ["no retry policy named `nobody's`"]),
        ({"retry_policy": ""}, ["no retry policy named ``"]),
        ({"starts": "tomorrow"}, ["`starts` is not a date"]),
        ({"starts": "2030-12-02", "ends": "2030-12-01"}, ["must start before it ends"]),
        ({"phones": ("+15005550006", "nobody")}, ["number 2 is not a phone number"]),
        ({"phones": ("+15005550009",)}, ["belongs to another business"]),
        (
            {"name": " ", "twiml": "x", "live_max": -1, "retry_policy": "x", "ends": "soon", "phones": ("y",)},
            ["one line", "is not XML", "calls at once", "no retry policy", "`ends`", "number 1"],
        ),
    ],
)
def test_a_bad_campaign_is_refused_with_all_its_faults_at_once_and_changes_nothing(
    world: World, acme: int, given: dict[str, Any], faults: list[str]
) -> None:
    world.business("Other", "+15005550009")
    there = add(acme, name="there")
    before = snapshot(world)

    for attempt in (lambda: add(acme, **given), lambda: change(there, **given)):
        with pytest.raises(BadCampaign) as refusal:
            attempt()
        for fault in faults:
            assert fault in str(refusal.value), (fault, str(refusal.value))
        assert "5550009" not in str(refusal.value)

    assert snapshot(world) == before


def test_an_end_before_the_start_that_is_there_already_is_refused(world: World, acme: int) -> None:
    added = add(acme, starts="2030-12-02")

    with pytest.raises(BadCampaign, match="must start before it ends"):
        change(added, ends="2030-12-01")


def test_a_campaign_of_nobody_or_that_is_not_there_or_twice_is_refused(world: World, acme: int) -> None:
    added = add(acme)
    other = add(acme, name="June")

    for business_id in (4711, 10**30, -1):
        with pytest.raises(BadCampaign, match="business list"):
            add(business_id)
    for campaign_id in (4711, 10**30, -1):
        with pytest.raises(BadCampaign, match="campaign list"):
            change(campaign_id, name="July")
        with pytest.raises(BadCampaign, match="campaign list"):
            campaign.show(campaign_id)
    with pytest.raises(BadCampaign, match="named May already"):
        add(acme)
    with pytest.raises(BadCampaign, match="named May already"):
        change(other, name="May")
    world.do("update business set twiml = null")
    with pytest.raises(BadCampaign, match="anything to say"):
        add(acme, name="silent")

    assert [row.id for row in campaign.page(limit=100)[0]] == [other, added]
    assert [row.id for row in campaign.page(limit=100, before=10**30)[0]] == [other, added]


def test_the_calls_of_a_campaign_are_counted_by_status(world: World, acme: int) -> None:
    added, other = add(acme), add(acme, name="June")
    for number in range(5):
        enqueue.enqueue(campaign_id=added, to_number=f"+150055502{number:02d}")
    enqueue.enqueue(campaign_id=other, to_number="+15005550301")
    world.do("update call_log set status = 'canceled' where to_number in ('+15005550200', '+15005550201')")

    assert campaign.calls(added) == {"queued": 3, "canceled": 2}


# Whose calls they are, and who calls.


def test_a_call_of_a_campaign_is_its_business_s_and_from_one_of_its_numbers(world: World, acme: int) -> None:
    added = add(acme, (SECOND,))

    made = enqueue.enqueue(campaign_id=added, to_number=TO)
    with_from = enqueue.enqueue(campaign_id=added, to_number="+15005550102", from_number=OWN)

    call = world.call(made.call_id)
    assert (call.business_id, call.campaign_id, call.from_number, call.attempt) == (acme, added, SECOND, 1)
    assert world.call(with_from.call_id).from_number == OWN


def test_a_campaign_without_numbers_calls_from_its_business_s(world: World, acme: int) -> None:
    made = enqueue.enqueue(campaign_id=add(acme), to_number=TO)

    assert world.call(made.call_id).from_number == OWN


def test_callees_are_spread_over_the_numbers_and_each_attempt_takes_the_next(
    world: World, acme: int, nudges: list[object]
) -> None:
    numbers = tuple(f"+1500555900{n}" for n in range(4))
    retry_policy.add(acme, "usual", "busy: 5m, 5m, 5m, 5m", per_day=10, per_week=10, actor="dana")
    added = add(acme, numbers, retry_policy="usual")
    for number in range(200):
        enqueue.enqueue(campaign_id=added, to_number=f"+1500556{number:04d}")

    spread = dict(world.rows("select from_number, count(*) from call_log group by 1"))
    assert set(spread) == set(numbers)
    assert min(spread.values()) > 25

    for call_id in (row.id for row in world.rows("select id from call_log order by id limit 10")):
        following, used = call_id, []
        for _ in range(5):
            used.append(world.call(following).from_number)
            world.do("update call_log set status = 'initiated', overdue_at = now() where id = %s", following)
            events.record(following, CallEvent(f"CA{following:032d}", "busy", "callback"))
            chained = world.rows("select max(id) as id from call_log where retry_of = %s", call_id)
            following = chained[0].id
        assert set(used[:4]) == set(numbers)
        assert used[4] == used[0]


def test_with_local_presence_the_nearest_number_calls(world: World, acme: int) -> None:
    added = add(acme, (OWN, NEAR, "+442079460000"), local_presence=True)

    for to, expected in (("+12125550199", NEAR), ("+442079461111", "+442079460000"), ("+15005550199", OWN)):
        made = enqueue.enqueue(campaign_id=added, to_number=to)
        assert world.call(made.call_id).from_number == expected, to


def test_a_number_that_became_another_business_s_calls_no_more(world: World, acme: int, nudges: list[object]) -> None:
    retry_policy.add(acme, "usual", "busy: 5m", per_day=10, per_week=10, is_default=True, actor="dana")
    added = add(acme, (SECOND, NEAR))
    made = enqueue.enqueue(campaign_id=added, to_number=TO)
    world.do("delete from campaign_number where phone = %s", NEAR)
    other = world.business("Other", SECOND)

    with pytest.raises(BadCall, match="belongs to another business"):
        enqueue.enqueue(campaign_id=added, to_number="+15005550102", from_number=SECOND)
    assert enqueue.enqueue(campaign_id=added, to_number="+15005550103").created  # from the business's own
    world.do("update call_log set status = 'initiated', overdue_at = now() where id = %s", made.call_id)
    events.record(made.call_id, CallEvent("CA" + "1" * 32, "busy", "callback"))

    assert world.rows("select from_number from call_log where to_number = '+15005550103'") == [(OWN,)]
    assert other != acme


def test_a_campaign_that_has_ended_or_is_another_business_s_takes_no_calls(world: World, acme: int) -> None:
    other = world.business("Other", "+15005550009")
    ended, running = add(acme), add(acme, name="June")
    world.do("update campaign set ends_at = now() where id = %s", ended)

    refused: list[tuple[dict[str, Any], str]] = [
        ({"campaign_id": ended}, "has ended"),
        ({"campaign_id": running, "business_id": other}, "not one of business"),
        ({"campaign_id": 4711, "business_id": acme}, "not one of business"),
        ({"campaign_id": 4711}, "no such campaign"),
        ({"campaign_id": 10**30}, "campaign list"),
        ({}, "give a business or a campaign"),
    ]
    for whose, why in refused:
        with pytest.raises(BadCall, match=why):
            enqueue.enqueue(to_number=TO, **whose)

    assert world.statuses() == []


# A file for a campaign.

Written = Callable[[str], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(content: str) -> Path:
        path = tmp_path / "calls.csv"
        path.write_text(content)
        return path

    return write


def test_a_file_of_a_campaign_needs_no_business_and_no_numbers(world: World, acme: int, written: Written) -> None:
    added = add(acme, (SECOND,), twiml=HELLO)
    file = written(f"to,name\n{TO},Dana\n+15005550102,\n{TO},Dana again\n")

    first, second = (import_calls(file, campaign_id=added) for _ in range(2))

    assert (first.created, first.duplicates, first.rejected, first.fields) == (2, 1, 0, ["name"])
    assert (second.created, second.already_there, second.duplicates) == (0, 2, 1)
    assert world.rows("select campaign_id, from_number, contact from call_log order by to_number") == [
        (added, SECOND, {"name": "Dana"}),
        (added, SECOND, None),
    ]


def test_the_same_file_may_serve_two_campaigns(world: World, acme: int, written: Written) -> None:
    file = written(f"to\n{TO}\n")
    import_calls(file, campaign_id=add(acme))
    world.do("update call_log set status = 'canceled'")

    assert import_calls(file, campaign_id=add(acme, name="June")).created == 1


def test_a_line_that_names_another_business_than_the_campaign_s_is_refused(
    world: World, acme: int, written: Written
) -> None:
    other = world.business("Other", "+15005550009")
    added = add(acme)
    file = written(f"to,business\n{TO},{other}\n+15005550102,{acme}\n+15005550103,\n+15005550104,4711\n")

    report = import_calls(file, campaign_id=added)

    assert (report.created, [line for line, _ in report.rejected_lines]) == (2, [2, 5])
    with pytest.raises(BadFile, match="not one of business"):
        import_calls(file, campaign_id=added, business_id=other)
    for campaign_id in (4711, 10**30):
        with pytest.raises(BadFile, match="campaign list"):
            import_calls(file, campaign_id=campaign_id)


# What is said.


def test_a_field_is_said_as_text_whatever_is_in_it() -> None:
    twiml = '<Response><Say language="{{Lang}}">Hello {{ Name }}, {{missing}}!</Say></Response>'
    contact = {"name": "Dana & <Hangup/> \"'\x0b\ud800", "LANG": 'he"><Play/><x y="'}

    said = twiml_template.render(twiml, contact)

    assert said == (
        '<Response><Say language="he&quot;&gt;&lt;Play/&gt;&lt;x y=&quot;">'
        "Hello Dana &amp; &lt;Hangup/&gt; &quot;&apos;, !</Say></Response>"
    )
    assert not list(twiml_template.faults(None, said))
    assert twiml_template.render(twiml, None) == '<Response><Say language="">Hello , !</Say></Response>'
    assert twiml_template.render("<Response><Say>{{n}}</Say></Response>", {"n": 7, "other": [None]}) == (
        "<Response><Say>7</Say></Response>"
    )
    assert twiml_template.render(None, contact) is None


def test_a_field_may_stand_only_in_what_is_said() -> None:
    for good in (
        "<Response><Say>{{a}}</Say></Response>",
        "<Response><Gather><Say>Hi <emphasis>{{a}}</emphasis> {{b}}</Say></Gather></Response>",
        '<Response><Say language="{{a}}">x</Say></Response>',
    ):
        assert not list(twiml_template.faults(None, good)), good
    for bad in (
        "<Response><Dial>{{a}}</Dial></Response>",
        "<Response><Redirect>https://x.example.com/{{a}}</Redirect></Response>",
        '<Response><Gather action="/{{a}}"><Say>x</Say></Gather></Response>',
        "<Response><!-- {{a}} --><Say>x</Say></Response>",
        "<Response><Say>x</Say>{{a}}</Response>",
        "<Response><?say {{a}}?></Response>",
    ):
        (fault,) = twiml_template.faults(None, bad)
        assert fault == ("twiml", "a {{field}} may stand only in what <Say> says"), bad


def test_what_is_dialed_says_the_contact_s_fields_and_asks_for_machines(
    world: World, acme: int, monkeypatch: pytest.MonkeyPatch, nudges: list[object]
) -> None:
    orders: list[DialOrder] = []

    class Carrier:
        def place_calls(self, asked: Sequence[DialOrder]) -> Iterator[list[Answered]]:
            orders.extend(asked)
            yield [(order.call_id, CallNotSent("only looked at")) for order in asked]

    monkeypatch.setattr(dial, "carrier", Carrier)
    added = add(acme, twiml=HELLO, machine_detection="DetectMessageEnd")
    enqueue.enqueue(campaign_id=added, to_number=TO, contact={"name": "Dana & Ron"})
    enqueue.enqueue(business_id=acme, to_number="+15005550102")
    world.worker()
    for row in db.run(dispatch.sql.claim_due_calls, **CLAIM):
        dial.dial_call(row.id)

    asked = {order.to_number: (order.twiml, order.machine_detection) for order in orders}
    assert asked == {
        TO: ("<Response><Say>Hello Dana &amp; Ron</Say></Response>", "DetectMessageEnd"),
        "+15005550102": ("<Response/>", None),
    }


def test_an_inbound_caller_hears_no_placeholder(world: World, acme: int, nudges: list[object]) -> None:
    world.do("update business set twiml = %s", HELLO)

    answer = events.record_inbound_call("CA" + "1" * 32, TO, OWN)

    assert answer == (None, "<Response><Say>Hello </Say></Response>")


# At the command line.


@pytest.fixture
def outbound(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command inside this process, and return what it says on both its outputs."""
    monkeypatch.setattr(logs, "set_up", lambda *_: None)  # it would write to the runner's output for ever
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> str:
        done = CliRunner().invoke(app.app, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return run


def test_a_campaign_is_run_from_the_command_line(
    world: World, acme: int, written: Written, outbound: Callable[..., str]
) -> None:
    caps = ("--per-day", "2", "--per-week", "5")
    outbound(
        "retry-policy", "add", "--business", str(acme), "--name", "usual", "--steps", "busy: 5m", *caps, "--default"
    )
    outbound("retry-policy", "use", "--business", str(acme), "usual", "--by", "Ron")
    policies = json.loads(outbound("retry-policy", "list", "--json"))
    more = ("--number", SECOND, "--retry-policy", "usual", "--live-max", "3", "--local-presence", "--twiml", HELLO)
    added = outbound("campaign", "add", "--business", str(acme), "--name", "May", *more).split()[0]
    outbound("campaign", "set", added, "--clear", "live-max", "--no-local-presence", "--by", "Ron")
    made = outbound("enqueue", "--campaign", added, "--to", TO, "--time-zone", "Europe/London")
    report = outbound("import", str(written("to,name\n+15005550102,Dana\n+15005550102,Al\n")), "--campaign", added)
    shown = json.loads(outbound("campaign", "show", added, "--json"))

    assert [row["steps"] for row in policies] == ["busy: 5m; no-answer: none; failed: none"]
    assert "call 1 queued" in made
    assert "1 queued, 0 there already, 1 twice in the file, 0 refused" in report
    assert "kept with each call, for {{…}} in TwiML: name" in report
    assert (shown["name"], shown["live_max"], shown["local_presence"], shown["retry_policy"]) == (
        "May",
        None,
        False,
        "usual",
    )
    assert (shown["phones"], shown["calls"]) == ([SECOND], {"queued": 2})
    assert "May" in outbound("campaign", "list")
    assert outbound("campaign", "list", "--business", str(acme), "--limit", "1").endswith(f"more: --before {added}\n")
    assert json.loads(outbound("campaign", "list", "--before", added, "--json")) == {"campaigns": [], "next": None}
    assert "May" in outbound("campaign", "show", added)
    assert "usual" in outbound("retry-policy", "list")
    assert world.rows("select distinct who from audit where action in ('retry_policy.use', 'campaign.set')") == [
        ("Ron",)
    ]


def test_an_end_that_is_before_waiting_calls_says_how_many_it_cancels(
    world: World, acme: int, outbound: Callable[..., str]
) -> None:
    """Before, a campaign was shortened without a word of the calls that were due behind its new end."""
    added = campaign.add(acme, {"name": "May"}, actor="anna")
    for hours in (1, 30, 50):
        call_id = world.queued(acme, f"+1500555{hours:04}")
        moved = "update call_log set campaign_id = %s, due_at = now() + make_interval(hours => %s) where id = %s"
        world.do(moved, added, hours, call_id)

    later, sooner, first = (datetime.now(UTC) + timedelta(minutes=minutes) for minutes in (3600, 1200, 10))
    said = [
        outbound("campaign", "set", str(added), "--ends", ends.isoformat(timespec="minutes"))
        for ends in (later, sooner, first)
    ]

    assert "canceled" not in said[0]
    assert [text.splitlines()[-1].rpartition(": ")[::2] for text in said[1:]] == [
        ("calls that wait and will be canceled, as the campaign ends before they are due", calls) for calls in "23"
    ]
    assert "canceled" not in outbound("campaign", "set", str(added), "--name", "June")


def test_an_end_that_is_past_is_refused_as_all_that_waits_would_be_canceled(world: World, acme: int) -> None:
    added = campaign.add(acme, {"name": "May"}, actor="anna")

    with pytest.raises(BadCampaign, match=r"`ends` .* is past: give a moment to come"):
        campaign.change(added, {"ends": f"{datetime.now(UTC).year - 1}-11-30T09:00"}, actor="anna")
    campaign.change(added, {"ends": datetime.now(UTC).isoformat()}, actor="anna")
    campaign.change(added, {"name": "June"}, actor="anna")  # of one that has ended


def test_what_cannot_be_cleared_is_said(outbound: Callable[..., str]) -> None:
    with pytest.raises(UserError, match="--clear takes one of: voice-url"):
        outbound("campaign", "set", "1", "--clear", "name")
