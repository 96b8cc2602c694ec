"""
One call through every step, with a crash between every two: real workers, a real scheduler, a real web process.

Each test puts a call into the state that a crash leaves behind, and watches the living system bring it to its end.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from outbound.call import DialOrder
from outbound.calls import enqueue
from outbound.carrier import CallUnsure, callback_tag
from outbound.carrier.twilio import carrier
from outbound.config import settings
from outbound.failpoint import POINTS
from outbound.local.supervisor import Processes, process_commands
from outbound.simulator.server import RunningSimulator
from tests import forked
from tests.conftest import Environment, Servers, World, let_it_end, open_database, place, until
from tests.ports import free_ports

FAST = {
    "OUTBOUND_TICK_S": "0.5",
    "OUTBOUND_HOLD_MAX_S": "0.2",  # most carriers here are in trouble
    "OUTBOUND_RELOOK_S": "1",
    "OUTBOUND_POLL_S": "0.5",
    "OUTBOUND_LOOKUPS_PER_MINUTE": "6000",
    "OUTBOUND_WORKER_PROCESSES": "2",
    "OUTBOUND_WORKER_THREADS": "4",
}


class System(World):
    """The rows, and the processes that live off them."""

    processes: Processes
    carrier: RunningSimulator

    def claimed(self, business_id: int | None = None, to: str = "+15005550101") -> int:
        """In one transaction: a call that is queued for a moment is claimed by the living system."""
        with self.connection.transaction():
            return super().claimed(business_id, to)

    def initiated(self, business_id: int | None = None, to: str = "+15005550101", call_sid: str | None = None) -> int:
        """In one transaction, as `claimed`."""
        with self.connection.transaction():
            return super().initiated(business_id, to, call_sid)

    def settles(self, call_id: int, status: str) -> None:
        """Wait until a call has its final status, and a lead if it has a call_sid."""

        def settled() -> bool:
            self.processes.tend()
            call = self.call(call_id)
            return call.status == status and (call.call_sid is None or call.lead_id is not None)

        until(settled, timeout_s=30)

    def rings(self) -> Counter[str]:
        """How often each of our calls made a phone ring."""
        return Counter(entry["status_callback"].split("#")[0] for entry in self.carrier.log() if entry["rang"])


@pytest.fixture(scope="module", params=["redis", "memory"])
def system(
    request: pytest.FixtureRequest,
    servers: Servers,
    template: str,
    phones: RunningSimulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    in_process = request.param == "memory"
    port = free_ports(1)[0]
    environment = FAST | {"OUTBOUND_WEB_PORT": str(port), "OUTBOUND_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    environment |= {"TWILIO_API_URL": phones.url, "CRASH_OUTBOUND_AT": str(tmp_path_factory.mktemp("crashes"))}
    environment |= {"REDIS_URL": "memory://"} if in_process else {}
    with open_database(servers, template) as url, Environment(**environment):
        system = System(url)
        system.carrier = phones
        phones.reset()
        with forked.processes(process_commands(simulator=False, in_process=in_process)) as processes:
            system.processes = processes
            until(lambda: system.value("select count(*) from worker") > 0, timeout_s=30)
            yield system
        system.connection.close()


def test_a_call_lives_from_enqueue_to_lead(system: System) -> None:
    business_id = system.business()

    call_id = enqueue.enqueue(business_id=business_id, to_number="+1 500 555 0101").call_id

    system.settles(call_id, "completed")
    until(lambda: _callbacks(system, call_id) == ["completed", "in-progress", "initiated", "ringing"], timeout_s=30)
    call = system.call(call_id)
    assert system.value("select phone from leads where id = %s", call.lead_id) == "+15005550101"
    assert (call.duration_s is not None, call.answered_at is not None) == (True, True)
    assert system.rings()[_callback(system, call_id)] == 1


def test_a_crash_after_the_claim_loses_the_nudge_and_the_call_is_dialed_all_the_same(system: System) -> None:
    call_id = system.claimed(to="+15005550102")
    system.age(call_id, 31)

    system.settles(call_id, "completed")

    assert system.rings()[_callback(system, call_id)] == 1


def test_a_crash_before_the_request_left_closes_the_call_and_nobody_dials_it(system: System) -> None:
    call_id = system.initiated(to="+15005550103")
    system.age(call_id, 61)

    system.settles(call_id, "failed")

    assert system.call(call_id).error_code == "no_call_sid"
    assert system.rings()[_callback(system, call_id)] == 0


def test_a_crash_after_the_request_left_lets_the_first_callback_adopt_the_call(system: System) -> None:
    call_id = system.initiated(to="+15005550104")

    place(carrier(), _order(system, call_id))  # and the worker dies before it stores the answer

    system.settles(call_id, "completed")
    assert system.rings()[_callback(system, call_id)] == 1


def test_a_crash_after_the_request_left_and_no_callback_either_lets_reconcile_find_the_call(system: System) -> None:
    call_id = system.initiated(to="+15005550127")
    with pytest.raises(CallUnsure):
        place(carrier(), _order(system, call_id))
    let_it_end(system.carrier, system.carrier.log()[-1])
    system.age(call_id, 61)
    system.do("update call_log set dialed_at = now() where id = %s", call_id)

    system.settles(call_id, "completed")

    assert system.rings()[_callback(system, call_id)] == 1


def test_a_crash_of_the_web_process_loses_callbacks_and_reconcile_asks_for_them(system: System) -> None:
    business_id = system.business()
    call_id = enqueue.enqueue(business_id=business_id, to_number="+15005550128").call_id  # the last callback is lost
    until(lambda: system.call(call_id).status == "in-progress")

    system.age(call_id, 3700)

    system.settles(call_id, "completed")


def test_a_crash_before_the_lead_job_ran_gets_the_lead_its_nudge_again(system: System) -> None:
    call_id = system.initiated(to="+15005550105", call_sid="CA" + "5" * 32)
    system.do(
        "update call_log set status = 'busy', ended_at = now(), overdue_at = now() - interval '1 s' where id = %s",
        call_id,
    )

    system.settles(call_id, "busy")


def test_killing_every_worker_in_mid_dial_rings_no_phone_twice_and_loses_no_call(system: System) -> None:
    business_id = system.business()
    calls = [
        enqueue.enqueue(business_id=business_id, to_number=f"+1500555{number}{fate}").call_id
        for number, fate in enumerate(["01", "18", "19", "19", "20", "21", "24", "26", "01", "01"], start=21)
    ]
    until(lambda: system.value("select count(*) from call_log where id = any(%s) and status = 'initiated'", calls) >= 2)

    for pid in _worker_pids(system):
        os.kill(pid, signal.SIGKILL)

    def settled() -> bool:
        system.processes.tend()
        overdue = "update call_log set overdue_at = now() - interval '1 s' where id = %s and overdue_at > now()"
        for call_id in calls:  # every deadline passes
            system.do(overdue, call_id)
        alive = "select count(*) from call_log where id = any(%s) and (call_status_rank(status) < 5"
        return bool(system.value(f"{alive} or call_sid is not null and lead_id is null)", calls) == 0)

    until(settled, timeout_s=60)
    assert max(system.rings().values()) == 1


@pytest.mark.parametrize("system", ["redis"], indirect=True)
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_any_commit_boundary_loses_no_call_and_rings_no_phone_twice(system: System, point: str) -> None:
    request = Path(os.environ["CRASH_OUTBOUND_AT"]) / point
    number = POINTS.index(point)
    business_id = system.business()
    answers, silent, lost = (f"+150056{number:02d}{digits}" for digits in ("001", "027", "024"))
    request.touch()

    calls = [enqueue.enqueue(business_id=business_id, to_number=to).call_id for to in (answers, silent, lost)]
    forgotten = system.claimed(business_id, f"+150056{number:02d}002")
    system.age(forgotten, 31)
    calls.append(forgotten)

    def settled() -> bool:
        system.processes.tend()
        if not _begun(system, calls):
            return False
        overdue = "update call_log set overdue_at = now() - interval '1 s' where id = %s and overdue_at > now()"
        for call_id in calls:  # one by one: two rows at once might be held by a process that waits for the other
            system.do(overdue, call_id)
        alive = "select count(*) from call_log where id = any(%s) and (call_status_rank(status) < 5"
        return bool(system.value(f"{alive} or call_sid is not null and lead_id is null)", calls) == 0)

    until(settled, timeout_s=60)
    assert not request.exists(), "nobody came by that point"
    rings = system.rings()
    assert max(rings[_callback(system, call_id)] for call_id in calls) <= 1
    assert all(call.error_code for call in map(system.call, calls) if call.status == "failed")


def _begun(system: System, calls: list[int]) -> bool:
    """Has the carrier been asked for every call, or has a crash before that been found out?"""
    return bool(system.value("select count(*) from call_log where id = any(%s) and status = 'queued'", calls) == 0)


def _worker_pids(system: System) -> list[int]:
    pids = system.processes.pids()
    master = psutil.Process(pids.get("worker") or pids["all"])
    return [process.pid for process in (*master.children(recursive=True), master)]


def _order(system: System, call_id: int) -> DialOrder:
    call = system.call(call_id)
    return DialOrder(call_id, call.from_number, call.to_number, None, "<Response/>")


def _callback(system: System, call_id: int) -> str:
    tag = callback_tag.make(call_id, system.call(call_id).to_number)
    return f"{settings().callback_base}/callbacks/{call_id}/{tag}"


def _callbacks(system: System, call_id: int) -> list[str]:
    """Return the statuses that callbacks reported of a call, sorted: they may come in any order, also after its end."""
    rows = system.rows("select status from call_event where call_id = %s and source = 'callback'", call_id)
    return sorted(row.status for row in rows)
