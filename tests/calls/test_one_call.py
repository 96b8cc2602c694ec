"""A signature speaks for one call: what was signed for another, or said before, changes not a byte of the database."""

# ruff: noqa: F811 (fixtures of test_web)

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import hypothesis.strategies as st
import pytest
import requests
from hypothesis import HealthCheck, given, settings

from outbound import config, db
from outbound.call import CallEvent
from outbound.calls import dispatch, events, reconcile
from outbound.carrier import callback_tag
from outbound.simulator import server as simulated
from tests.conftest import AUTH_TOKEN, CLAIM, World, begin, forget_settings
from tests.digest import digest
from tests.web.test_web import (  # noqa: F401
    CALLER,
    OURS,
    PUBLIC_URL,
    SID,
    Nudges,
    _came_in,
    _NoTrace,
    _path,
    _post,
    _sign,
    _told,
    _verdict,
    address,
    call_id,
    database,
    public_url,
    shared_database,
)

OTHER_SID = "CA" + "6" * 32
OTHER = "+15005550199"


# The tag


def test_a_tag_is_of_one_call_and_one_number(world: World) -> None:
    tags = {callback_tag.make(call_id, number) for call_id in range(1, 20) for number in (CALLER, OTHER)}

    assert len(tags) == 38
    assert all(callback_tag.TAG.fullmatch(tag) for tag in tags)
    assert callback_tag.fits(callback_tag.make(7, CALLER), 7, CALLER)
    assert not callback_tag.fits(callback_tag.make(7, CALLER), 7, OTHER)
    assert not callback_tag.fits(callback_tag.make(7, CALLER), 71, CALLER)
    assert not callback_tag.names_call(callback_tag.make(7, CALLER), 71)


@pytest.mark.parametrize("tag", ["", "x", "A" * 31, "A" * 33, "é" * 32, "A" * 31 + "=", "A" * 31 + "\n"])
def test_what_is_no_tag_fits_nothing(world: World, tag: str) -> None:
    assert not callback_tag.names_call(tag, 7)
    assert not callback_tag.fits(tag, 7, CALLER)


@pytest.mark.parametrize(
    ("written", "told"),
    [("+5491123456789", "+541123456789"), ("+5215512345678", "+525512345678"), ("+551191234567", "+5511991234567")],
)
def test_a_tag_is_of_the_telephone_however_the_carrier_writes_it(world: World, written: str, told: str) -> None:
    assert callback_tag.fits(callback_tag.make(7, written), 7, told) is (
        callback_tag.phone_key(written) == callback_tag.phone_key(told)
    )


def test_telephones_are_told_apart_here_as_in_sql(world: World) -> None:
    numbers = ["+5491123456789", "+541123456789", "+5215512345678", "+551171234567", "+551131234567", "+5511971234567"]
    numbers += [CALLER, "sip:a@b", "", "+54", "+5491123456789\n", "+54911234567890", "+552271234567"]

    assert [callback_tag.phone_key(number) for number in numbers] == [
        world.value("select phone_key(%s)", number) for number in numbers
    ]


def test_tags_of_calls_in_the_air_fit_while_the_token_is_rotated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tag = callback_tag.make(7, CALLER)
    stages: list[Mapping[str, str]] = [
        {"TWILIO_AUTH_TOKEN_SECONDARY": "the-next-token"},
        {"TWILIO_AUTH_TOKEN": "the-next-token", "TWILIO_AUTH_TOKEN_SECONDARY": AUTH_TOKEN},
        {"OUTBOUND_CALLBACK_KEY": "a-key-of-our-own-for-tags"},
    ]
    for stage in stages:
        for name, value in stage.items():
            monkeypatch.setenv(name, value)
        forget_settings()
        assert callback_tag.fits(tag, 7, CALLER), stage

    assert callback_tag.make(7, CALLER) != tag  # with a key of its own
    monkeypatch.delenv("TWILIO_AUTH_TOKEN_SECONDARY")
    forget_settings()
    assert not callback_tag.fits(tag, 7, CALLER)


def test_a_path_without_a_tag_or_with_anothers_is_refused(
    address: str, world: World, nudges: Nudges, call_id: int
) -> None:
    other = world.initiated(world.business("Other"), to=OTHER)
    tag = callback_tag.make(call_id, CALLER)
    bent = ("B" if tag[-1] == "A" else "A").join((tag[:-1], ""))
    for path in (
        f"/callbacks/{call_id}",
        f"/callbacks/{call_id}/{callback_tag.make(other, OTHER)}",
        f"/callbacks/{call_id}/{callback_tag.make(call_id, OTHER)}",
        f"/callbacks/{call_id}/{bent}",
        f"/callbacks/{call_id}/{'A' * 32}",
        f"/callbacks/0{call_id}/{callback_tag.make(other, CALLER)}",
    ):
        for more, form in (("", _told()), ("/answered-by", _verdict())):
            before = digest(world)
            with _NoTrace(world, nudges, "wrong_tag"):
                assert _post(address, path + more, form).status_code == 403, path
            assert digest(world) == before


def test_a_call_is_tagged_with_the_number_that_its_row_has(
    address: str, world: World, nudges: Nudges, call_id: int
) -> None:
    """After a restore, another call may have taken over an id."""
    path = _path(call_id, to=OTHER)

    with _NoTrace(world, nudges, "other_call_sid"):
        assert _post(address, path, _told(To=OTHER, Called=OTHER)).status_code == 409
    with _NoTrace(world, nudges, "wrong_tag"):
        assert _post(address, path, _told()).status_code == 403


# Another leg


@pytest.mark.parametrize(
    "other",
    [
        {"ParentCallSid": OTHER_SID},
        {"ParentCallSid": ""},
        {"Direction": "outbound-dial"},
        {"Direction": "inbound"},
        {"Direction": ""},
        {"Direction": "Outbound-Api"},
        {"Direction": None},
        {"ParentCallSid": OTHER_SID, "Direction": "outbound-dial"},
    ],
    ids=str,
)
def test_what_is_said_of_another_leg_is_refused(
    address: str, world: World, nudges: Nudges, call_id: int, other: dict[str, str | None]
) -> None:
    form = {name: value for name, value in (_told("completed") | other).items() if value is not None}

    for known in (False, True):
        if known:
            world.do("update call_log set call_sid = %s where id = %s", SID, call_id)
        before = digest(world)
        with _NoTrace(world, nudges, "other_leg"):
            assert _post(address, _path(call_id), form).status_code == 403
        assert digest(world) == before


@pytest.mark.parametrize("to", ["", None, OTHER, "1", "+1500555010"])
def test_a_callback_that_does_not_name_our_number_is_refused(
    address: str, world: World, nudges: Nudges, call_id: int, to: str | None
) -> None:
    form = _told("completed", To=to or "")
    if to is None:
        del form["To"]
    for known in (False, True):
        if known:
            world.do("update call_log set call_sid = %s where id = %s", SID, call_id)
        before = digest(world)

        assert _post(address, _path(call_id), form).status_code in (400, 403)
        assert digest(world) == before


@pytest.mark.parametrize(
    "other",
    [
        {"Direction": "outbound-api"},
        {"Direction": "outbound-dial"},
        {"ParentCallSid": OTHER_SID},
        {"ParentCallSid": ""},
    ],
    ids=str,
)
def test_no_leg_of_ours_is_taken_for_a_call_that_came_in(
    address: str, world: World, nudges: Nudges, call_id: int, other: dict[str, str]
) -> None:
    world.do("update call_log set call_sid = %s", SID)

    for path in ("/voice/inbound", "/callbacks/inbound"):
        with _NoTrace(world, nudges, "other_leg"):
            assert _post(address, path, _came_in(**other)).status_code == 403


def test_an_outbound_call_is_not_moved_as_an_inbound_one(
    address: str, world: World, nudges: Nudges, call_id: int
) -> None:
    world.do("update call_log set call_sid = %s", SID)

    with _NoTrace(world, nudges, "unknown_call"):
        assert _post(address, "/callbacks/inbound", _told("completed", Direction="inbound")).status_code == 404


# Calls of the version before


def _upgraded(world: World, *, hours_ago: float) -> None:
    world.do(
        "insert into untagged_callback (dialed_before, accepted_until)"
        " values (now() + interval '1 hour' - make_interval(secs => %s),"
        " now() + interval '1 day' - make_interval(secs => %s))",
        hours_ago * 3600,
        hours_ago * 3600,
    )


@pytest.fixture
def upgraded_at(world: World) -> Any:
    yield lambda hours_ago: _upgraded(world, hours_ago=hours_ago)
    world.do("delete from untagged_callback")


def test_calls_that_were_in_the_air_at_the_upgrade_are_called_back_as_they_were(
    address: str, world: World, nudges: Nudges, call_id: int, upgraded_at: Any
) -> None:
    world.age(call_id, 2 * 3600)
    upgraded_at(1.5)

    codes = [_post(address, f"/callbacks/{call_id}", _told(status)).status_code for status in ("ringing", "completed")]
    verdict = _post(address, f"/callbacks/{call_id}/answered-by", _verdict())

    assert (codes, verdict.status_code) == ([204, 204], 204)
    assert (world.call(call_id).status, world.call(call_id).answered_by) == ("completed", "human")


def test_a_call_that_was_dialed_after_the_upgrade_needs_its_tag(
    address: str, world: World, nudges: Nudges, call_id: int, upgraded_at: Any
) -> None:
    upgraded_at(1.5)

    with _NoTrace(world, nudges, "wrong_tag"):
        assert _post(address, f"/callbacks/{call_id}", _told()).status_code == 403
    assert _post(address, _path(call_id), _told()).status_code == 204


def test_a_day_after_the_upgrade_every_call_needs_its_tag(
    address: str, world: World, nudges: Nudges, call_id: int, upgraded_at: Any
) -> None:
    world.age(call_id, 30 * 3600)
    upgraded_at(25)

    for more, form in (("", _told()), ("/answered-by", _verdict())):
        with _NoTrace(world, nudges, "wrong_tag"):
            assert _post(address, f"/callbacks/{call_id}{more}", form).status_code == 403


@pytest.mark.parametrize("status", ["queued", "claimed"])
def test_a_call_that_was_never_dialed_has_no_untagged_callbacks(
    address: str, world: World, nudges: Nudges, upgraded_at: Any, status: str
) -> None:
    never_dialed = getattr(world, status)(world.business(), CALLER)
    upgraded_at(0)

    with _NoTrace(world, nudges, "wrong_tag"):
        assert _post(address, f"/callbacks/{never_dialed}", _told()).status_code == 403


# Never dialed


@pytest.mark.parametrize("status", ["queued", "claimed"])
@pytest.mark.parametrize(
    "said", ["initiated", "ringing", "in-progress", "completed", "busy", "failed", "transmogrified"]
)
def test_a_call_that_was_never_dialed_is_not_moved_but_held_and_asked_about(
    address: str, world: World, nudges: Nudges, status: str, said: str
) -> None:
    never_dialed = getattr(world, status)(world.business(), CALLER)
    world.worker()

    assert _post(address, _path(never_dialed), _told(said)).status_code == 204

    call = world.call(never_dialed)
    assert (call.status, call.call_sid, call.dialed_at, call.ended_at) == ("queued", None, None, None)
    assert world.value("select payload ->> 'CallStatus' from call_event where call_id = %s", never_dialed) == said
    assert [row[:2] for row in world.rows("select call_id, call_sid from call_in_question")] == [(never_dialed, SID)]
    assert world.count("report.callback", "never_dialed") == 1
    assert db.run(dispatch.sql.claim_due_calls, **CLAIM) == []  # nobody dials it meanwhile
    assert begin(never_dialed) is None
    assert nudges == []


def _ask(carrier: simulated.RunningSimulator, world: World, times: int = 1) -> None:
    for _ in range(times):
        world.do("update call_in_question set looked_at = null")
        reconcile.reconcile_overdue_calls()


def _dialed_elsewhere(carrier: simulated.RunningSimulator, to: str) -> str:
    """A call that the carrier has and this database has forgotten."""
    from tests.conftest import ACCOUNT_SID

    url = f"{carrier.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"
    form = {"To": to, "From": "+15005550006", "Twiml": "<Response/>"}
    return str(requests.post(url, data=form, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5).json()["sid"])


def test_a_forgotten_dial_is_taken_in_once_the_carrier_says_so(
    world: World, nudges: Nudges, carrier: simulated.RunningSimulator
) -> None:
    forgotten = world.queued(world.business(), CALLER)
    sid = _dialed_elsewhere(carrier, CALLER)
    events.record(forgotten, CallEvent(sid, "ringing", "callback", to_number=CALLER))

    _ask(carrier, world)

    call = world.call(forgotten)
    assert call.call_sid == sid
    assert call.status not in ("queued", "claimed")
    assert call.dialed_at is not None
    assert world.value("select answer from call_in_question") == "adopted"


def test_a_call_of_which_the_carrier_knows_nothing_is_dialed_after_all(
    world: World, nudges: Nudges, carrier: simulated.RunningSimulator
) -> None:
    never_dialed = world.queued(world.business(), CALLER)
    world.worker()
    events.record(never_dialed, CallEvent(SID, "completed", "callback", to_number=CALLER))

    _ask(carrier, world)
    assert db.run(dispatch.sql.claim_due_calls, **CLAIM) == []  # lists lag behind: once is not enough
    _ask(carrier, world, times=config.LOOKS_MIN)

    assert world.value("select answer from call_in_question") == "absent"
    assert [row.id for row in db.run(dispatch.sql.claim_due_calls, **CLAIM)] == [never_dialed]


def test_what_was_said_before_the_dial_still_adopts_the_call_once_it_was_dialed(
    world: World, nudges: Nudges, carrier: simulated.RunningSimulator
) -> None:
    call_id = world.claimed(world.business(), CALLER)
    said = CallEvent(SID, "initiated", "callback", to_number=CALLER)
    events.record(call_id, said)
    _ask(carrier, world, times=config.LOOKS_MIN)
    world.do("update call_log set status = 'claimed', overdue_at = now() + interval '30 s' where id = %s", call_id)
    assert begin(call_id) is not None

    assert events.record(call_id, said) == "unchanged"

    assert world.call(call_id).call_sid == SID


def test_a_call_to_another_number_is_not_this_one(
    world: World, nudges: Nudges, carrier: simulated.RunningSimulator
) -> None:
    never_dialed = world.queued(world.business(), CALLER)
    sid = _dialed_elsewhere(carrier, "+15005550102")
    events.record(never_dialed, CallEvent(sid, "completed", "callback", to_number=CALLER))

    _ask(carrier, world)

    assert world.value("select answer from call_in_question") == "other_call"
    assert (world.call(never_dialed).status, world.call(never_dialed).paused_at) == ("queued", None)


def test_a_call_that_an_operator_held_stays_held(
    world: World, nudges: Nudges, carrier: simulated.RunningSimulator
) -> None:
    held = world.queued(world.business(), CALLER)
    world.do("update call_log set paused_at = now()")
    for sid in (SID, OTHER_SID):
        events.record(held, CallEvent(sid, "completed", "callback", to_number=CALLER))

    _ask(carrier, world, times=2 * config.LOOKS_MIN)

    assert world.value("select count(*) from call_in_question where answer = 'absent'") == 2
    assert world.call(held).paused_at is not None


def test_a_call_that_an_operator_canceled_is_not_asked_about(
    world: World, nudges: Nudges, carrier: simulated.RunningSimulator
) -> None:
    canceled = world.queued(world.business(), CALLER)
    events.record(canceled, CallEvent(SID, "completed", "callback", to_number=CALLER))
    world.do("update call_log set status = 'canceled', error_code = 'operator_canceled', ended_at = now()")

    _ask(carrier, world)

    assert world.value("select answer from call_in_question") == "moved_on"


def test_a_carrier_that_is_silent_leaves_the_question_open(
    world: World, nudges: Nudges, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_dialed = world.queued(world.business(), CALLER)
    events.record(never_dialed, CallEvent(SID, "completed", "callback", to_number=CALLER))
    monkeypatch.setenv("TWILIO_API_URL", "http://127.0.0.1:9")
    forget_settings()

    reconcile.reconcile_overdue_calls()

    assert world.value("select answer from call_in_question") is None
    assert world.call(never_dialed).paused_at is not None


# Replays


def test_a_replay_changes_nothing(address: str, world: World, nudges: Nudges, call_id: int) -> None:
    said = [
        (_path(call_id), _told(word, SequenceNumber=str(place)))
        for place, word in enumerate(("ringing", "in-progress", "completed"))
    ]
    said.append((_path(call_id, "/answered-by"), _verdict()))
    for path, form in said:
        assert _post(address, path, form).status_code == 204
    before = digest(world)

    for path, form in [*said, *reversed(said)] * 2:
        assert _post(address, path, form).status_code == 204

    assert digest(world) == before


def test_a_replay_of_what_was_said_of_a_call_that_was_never_dialed_changes_nothing(
    address: str, world: World, nudges: Nudges, carrier: simulated.RunningSimulator
) -> None:
    never_dialed = world.queued(world.business(), CALLER)
    _post(address, _path(never_dialed), _told())
    for asked in (False, True):
        if asked:
            _ask(carrier, world, times=config.LOOKS_MIN)
        before = digest(world)

        assert _post(address, _path(never_dialed), _told()).status_code == 204

        assert digest(world) == before


def test_a_replay_after_a_later_verdict_of_machine_detection_changes_nothing(
    address: str, world: World, nudges: Nudges, call_id: int
) -> None:
    world.do("update call_log set call_sid = %s", SID)
    for word in ("machine_start", "machine_end_beep"):
        _post(address, _path(call_id, "/answered-by"), _verdict(AnsweredBy=word))
    before = digest(world)

    assert _post(address, _path(call_id, "/answered-by"), _verdict(AnsweredBy="machine_start")).status_code == 204

    assert digest(world) == before


# The property

WORDS = ("initiated", "ringing", "in-progress", "completed", "busy", "failed", "queued", "x")


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_request_without_a_valid_signature_of_this_very_call_changes_a_byte(
    address: str, world: World, nudges: Nudges, call_id: int, data: st.DataObject
) -> None:
    victims = [row.id for row in world.rows("select id from call_log order by id")]
    if len(victims) == 1:
        victims.append(world.initiated(world.business("Other"), to=OTHER, call_sid=OTHER_SID))
        victims.append(world.queued(world.business("Third"), to="+15005550198"))
    numbers = {row.id: row.to_number for row in world.rows("select id, to_number from call_log")}
    victim = data.draw(st.sampled_from(victims))
    signed_for = data.draw(st.sampled_from([None, *victims]))
    more = data.draw(st.sampled_from(["", "/answered-by"]))
    form = _verdict() if more else _told(data.draw(st.sampled_from(WORDS)), To=numbers[victim])
    path = _path(victim, more, to=numbers[victim])
    how = data.draw(st.sampled_from(["path", "body", "token", "base", "none", "tag", "untagged", "leg"]))
    sent, headers = dict(form), {}
    if how == "path":
        if signed_for in (victim, None):
            return
        headers = _sign(_path(signed_for, more, to=numbers[signed_for]), form)
    elif how == "body":
        name = data.draw(st.sampled_from(sorted(sent)))
        sent[name] += data.draw(st.sampled_from(["x", " ", "0", "\0"]))
        headers = _sign(path, form)
    elif how == "token":
        headers = _sign(path, form, token="another")
    elif how == "base":
        headers = _sign(path, form, base="https://evil.example")
    elif how == "tag":
        path = _path(victim, more, to="+15005550197")
        headers = _sign(path, form)
    elif how == "untagged":
        path = f"/callbacks/{victim}{more}"
        headers = _sign(path, form)
    elif how == "leg":
        sent = form | {"Direction": "outbound-dial"}
        headers = _sign(path, sent)
    before = digest(world)

    answer = requests.post(address + path, data=urlencode(sent), headers=headers | FORM, timeout=20)

    assert answer.status_code in (400, 403, 404, 409), how
    assert digest(world) == before, how


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
