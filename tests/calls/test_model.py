"""
The real SQL against a small model of a call's life: whatever comes in whatever order, both agree.

The model knows five things of a call: where it stands, its call_sid, why it failed, whether its deadline has passed,
and what the carrier really did with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import hypothesis.strategies as st
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from outbound import db
from outbound.call import FINAL, STATUSES, CallEvent
from outbound.calls import cleanup, dial, dispatch, events, lead, reconcile
from outbound.config import LOOKS_MIN
from outbound.rules import retry_policy
from tests.conftest import CLAIM, World, begin

RANK = {status: min(position, 5) for position, status in enumerate(STATUSES)}
PHONES = ("+15005550101", "+15005550102")
AWAITS_TRUTH = ("no_call_sid", "several_candidates", "unknown_to_carrier")


@dataclass
class Modelled:
    """One call as the model sees it."""

    phone: str
    status: str = "queued"
    call_sid: str | None = None
    error_code: str | None = None
    held: bool = False  # until the carrier was asked about a callback of a call that was never dialed
    fence: int = 0
    overdue: bool = False
    looks: int = 0
    told: set[tuple[str, str]] = field(default_factory=set)
    creates: int = 0
    first: int | None = None  # the first attempt of its chain, where it is not that itself
    attempt: int = 1

    @property
    def awaits_truth(self) -> bool:
        """May a later word of the carrier still change it?"""
        return self.status == "failed" and self.error_code in AWAITS_TRUTH

    @property
    def is_in_doubt(self) -> bool:
        """Is the carrier still asked how it ended?"""
        return self.status == "failed" and self.error_code in AWAITS_TRUTH[:2]

    @property
    def is_live(self) -> bool:
        return self.status not in FINAL


class Life(RuleBasedStateMachine):
    """Enqueue, claim, dial, callbacks, clean-up, reconcile and leads, in any order."""

    calls = Bundle("calls")
    dials = Bundle("dials")
    world: World
    waits: ClassVar[Mapping[str, int]] = {}  # of a retry policy: how often each end is tried again

    def __init__(self) -> None:
        super().__init__()
        self.world.empty("call_log", "counter", "duty", "worker", "business")
        self.business = self.world.business(phone="+15005550006")
        self.world.worker(threads=100)
        self.model: dict[int, Modelled] = {}
        if self.waits:
            steps = "; ".join(f"{outcome}: {', '.join(['5m'] * n)}" for outcome, n in self.waits.items())
            retry_policy.add(
                self.business, "usual", steps, per_day=100, per_week=100, is_default=True, actor="the model"
            )

    def _holder(self, phone: str) -> int | None:
        return next((number for number, call in self.model.items() if call.phone == phone and call.is_live), None)

    @rule(target=calls, phone=st.sampled_from(PHONES))
    def enqueue(self, phone: str) -> int:
        from outbound.calls import enqueue

        answer = enqueue.enqueue(business_id=self.business, to_number=phone)
        holder = self._holder(phone)
        assert answer.created == (holder is None)
        if holder is not None:
            assert answer.call_id == holder
        self.model.setdefault(answer.call_id, Modelled(phone))
        return answer.call_id

    @rule()
    def claim(self) -> None:
        self.world.do("update call_log set due_at = now() - interval '1 s' where status = 'queued'")
        claimed = {row.id for row in db.run(dispatch.sql.claim_due_calls, **CLAIM)}
        assert claimed == {number for number, call in self.model.items() if call.status == "queued" and not call.held}
        for number in claimed:
            call = self.model[number]
            call.status, call.overdue, call.fence = "claimed", False, call.fence + 1

    @rule(target=dials, call_id=calls)
    def begins(self, call_id: int) -> tuple[int, int]:
        begun = begin(call_id)
        call = self.model[call_id]
        assert (begun is not None) == (call.status == "claimed" and not call.overdue)
        if begun is None:
            if call.status == "claimed":  # its nudge comes after its deadline
                call.status, call.overdue = "queued", False
            return (call_id, -1)
        call.status, call.overdue, call.looks, call.creates = "initiated", False, 0, call.creates + 1
        assert begun.fence == call.fence
        return (call_id, begun.fence)

    @rule(begun=consumes(dials))
    def accepted(self, begun: tuple[int, int]) -> None:
        call_id, fence = begun
        if fence >= 0:
            self._report(call_id, "initiated", "create", self._sid_of(call_id))

    @rule(begun=dials)
    def refused(self, begun: tuple[int, int]) -> None:
        call_id, fence = begun
        refusal = {"error_code": "21211", "error_message": "no", "at_fault": None}
        db.run(dial.sql.record_refusal, call_id=call_id, fence=fence, **refusal)
        call = self.model[call_id]
        if call.fence == fence and call.call_sid is None and (call.status == "initiated" or call.awaits_truth):
            call.status, call.error_code, call.overdue = "failed", "21211", False

    @rule(begun=dials)
    def not_sent(self, begun: tuple[int, int]) -> None:
        call_id, fence = begun
        db.run(dial.sql.put_back, call_id=call_id, fence=fence, wait_s=2, reason="test")
        call = self.model[call_id]
        if call.fence == fence and call.call_sid is None and call.status == "initiated":
            call.status, call.overdue, call.creates = "queued", False, call.creates - 1
        elif call.fence == fence and call.call_sid is None and call.awaits_truth:
            call.error_code, call.overdue = "not_sent", False

    @rule(call_id=calls, status=st.sampled_from(["initiated", "ringing", "in-progress", *FINAL]))
    def callback(self, call_id: int, status: str) -> None:
        self._report(call_id, status, "callback", self._sid_of(call_id))

    @rule(call_id=calls, status=st.sampled_from(["ringing", "completed"]))
    def the_carrier_has_it(self, call_id: int, status: str) -> None:
        call = self.model[call_id]
        if call.held and call.status == "queued":
            self._report(call_id, status, "lookup", self._sid_of(call_id))
            call.held = False

    @rule(call_id=calls)
    def the_carrier_does_not_know_it(self, call_id: int) -> None:
        call = self.model[call_id]
        question = {"call_id": call_id, "call_sid": self._sid_of(call_id), "answer": "absent"}
        settled = db.run(reconcile.sql.answer_question, **question, looks_min=1)
        assert (settled is not None) == call.held
        call.held = False

    @rule(call_id=calls, status=st.sampled_from(["ringing", "completed"]))
    def callback_of_another_call(self, call_id: int, status: str) -> None:
        if self.model[call_id].call_sid is not None:
            report = CallEvent("CA" + "f" * 32, status, "callback")
            assert events.record(call_id, report) == "other_call_sid"

    @rule(call_id=calls)
    def time_passes(self, call_id: int) -> None:
        """Every deadline that the call has passes."""
        overdue = "update call_log set overdue_at = now() - interval '100 s', looked_at = null where id = %s"
        call = self.model[call_id]
        if self.world.call(call_id).overdue_at is not None:
            self.world.do(overdue, call_id)
            call.overdue = True

    @rule()
    def clean_up(self) -> None:
        cleanup.cleanup_stuck_dialing_jobs()
        for call in self.model.values():
            if not call.overdue:
                continue
            if call.status == "claimed":
                call.status, call.overdue = "queued", False
            elif call.is_live and call.call_sid is None:
                call.status, call.error_code = "failed", "no_call_sid"
                call.overdue = call.looks < LOOKS_MIN
            elif not call.is_live and not call.is_in_doubt:
                call.overdue = False

    @rule(call_id=calls)
    def absent_at_the_carrier(self, call_id: int) -> None:
        call = self.model[call_id]
        row = db.run(reconcile.sql.record_absence, call_id=call_id, call_sid=call.call_sid, looks_min=LOOKS_MIN)
        if call.status not in ("initiated", "ringing", "in-progress") and not call.is_in_doubt:
            assert row is None
            return
        call.looks += 1
        if call.looks >= LOOKS_MIN:
            call.status, call.overdue = "failed", call.call_sid is not None
            call.error_code = "no_call_sid" if call.call_sid is None else "unknown_to_carrier"

    @rule(call_id=calls)
    def several_at_the_carrier(self, call_id: int) -> None:
        call = self.model[call_id]
        db.run(reconcile.sql.close_for_a_human, call_id=call_id, call_sids=["CA1", "CA2"])
        asked_about = call.status in ("initiated", "ringing", "in-progress") or call.is_in_doubt
        if asked_about and call.call_sid is None:
            call.status, call.error_code, call.overdue = "failed", "several_candidates", False

    @rule(call_id=calls)
    def make_the_lead(self, call_id: int) -> None:
        call = self.model[call_id]
        if call.call_sid is not None:
            lead.create_lead_from_call_job(call.call_sid)
            if not call.is_live and not call.is_in_doubt:
                call.overdue = False

    @rule(call_id=calls, status=st.sampled_from(STATUSES))
    def an_illegal_move_by_hand_is_refused(self, call_id: int, status: str) -> None:
        call = self.model[call_id]
        legal = (
            RANK[status] > RANK[call.status]
            or status == call.status
            or (status == "queued" and call.status in ("claimed", "initiated") and call.call_sid is None)
            or (call.awaits_truth and call.call_sid is not None)
        )
        if not legal:
            with pytest.raises(psycopg.errors.CheckViolation):
                self.world.do("update call_log set status = %s, overdue_at = now() where id = %s", status, call_id)

    def _sid_of(self, call_id: int) -> str:
        """The carrier gives one attempt one call_sid, by whatever way it becomes known first."""
        return f"CA{call_id:032d}"

    def _report(self, call_id: int, status: str, source: str, call_sid: str) -> None:
        call = self.model[call_id]
        result = events.record(call_id, CallEvent(call_sid, status, source))  # type: ignore[arg-type]
        if call.status in ("queued", "claimed") and source == "callback":
            assert result == "never_dialed"
            # What it said before holds nothing once the carrier was asked; what is new does.
            call.held = call.held or (source, status) not in call.told
            call.status, call.overdue = ("queued", False) if call.held else (call.status, call.overdue)
            call.told.add((source, status))
            return
        holder = self._holder(call.phone)
        news = RANK[status] > RANK[call.status] or (call.awaits_truth and (status in FINAL or holder is None))
        assert result == ("moved" if news else "unchanged")
        adopted = call.call_sid is None
        if source == "callback" and (source, status) in call.told and not (news or adopted):
            return  # a callback that is repeated changes nothing, not even how often the carrier did not know the call
        call.call_sid = call_sid
        call.looks = 0
        if news:
            call.status, call.overdue = status, False
            call.error_code = "carrier_failed" if status == "failed" else None
            self._try_again(call_id)
        elif adopted:
            call.overdue = False
        call.told.add((source, status))

    def _try_again(self, call_id: int) -> None:
        """The next attempt, where the retry policy has one and nobody else calls that number."""
        call = self.model[call_id]
        first = call.first or call_id
        chain = [other for number, other in self.model.items() if first in (number, other.first)]
        if sum(other.status == call.status for other in chain) > self.waits.get(call.status, 0):
            return
        if self._holder(call.phone) is None:
            row = self.world.rows("select max(id) as id from call_log")[0]
            assert row.id not in self.model, "no next attempt was made"
            self.model[row.id] = Modelled(call.phone, first=first, attempt=call.attempt + 1)

    @invariant()
    def the_rows_say_what_the_model_says(self) -> None:
        rows = {row.id: row for row in self.world.rows("select *, overdue_at < now() as overdue from call_log")}
        assert rows.keys() == self.model.keys()
        for number, call in self.model.items():
            row = rows[number]
            assert (row.status, row.call_sid, row.error_code) == (call.status, call.call_sid, call.error_code)
            assert row.fence == call.fence
            assert (row.retry_of, row.attempt) == (call.first, call.attempt)
            assert call.creates <= 1 or row.put_backs >= call.creates - 1
            if call.is_live and call.status != "queued":
                assert row.overdue_at is not None

    @invariant()
    def one_live_call_holds_a_number(self) -> None:
        live = [call.phone for call in self.model.values() if call.is_live]
        assert len(live) == len(set(live))

    @invariant()
    def one_lead_per_caller(self) -> None:
        assert self.world.value("select count(*) = count(distinct phone) from leads")

    @invariant()
    def events_are_kept_once(self) -> None:
        told = sum(len(call.told) for call in self.model.values())
        assert self.world.value("select count(*) from call_event") == told


class LifeWithARetryPolicy(Life):
    """The model of a call's life, where some ends are followed by another attempt."""

    waits: ClassVar[Mapping[str, int]] = {"busy": 2, "no-answer": 1, "failed": 1}

    @rule(target=Life.calls, phone=st.sampled_from(PHONES))
    def look_at_the_last_attempt(self, phone: str) -> MultipleResults[int]:
        """Let the other rules have it too."""
        return multiple(*[number for number, call in self.model.items() if call.phone == phone and call.first][-1:])

    @rule(phone=st.sampled_from(PHONES), end=st.sampled_from(["busy", "no-answer", "failed"]))
    def the_live_attempt_ends(self, phone: str, end: str) -> None:
        """Often, so that retry policies are used up."""
        holder = self._holder(phone)
        if holder is not None:
            self._report(holder, end, "callback", self._sid_of(holder))


@pytest.mark.timeout(600)  # 100 lives of 40 steps
@pytest.mark.parametrize("life", [Life, LifeWithARetryPolicy])
def test_the_sql_and_the_model_agree_whatever_comes_in_whatever_order(
    world: World, nudges: list[object], life: type[Life]
) -> None:
    life.world = world

    run_state_machine_as_test(
        life,
        settings=settings(
            max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
