"""
The checks of `outbound verify` that move rows, in a process of their own: verify.py starts it and reads what it prints.

Its environment names the scratch schema and broker namespace that verify.py made for it.  The carrier is a simulator
inside this process.
"""

import inspect
import json
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from outbound import config, db, logs
from outbound.checks.verdict import Verdict, check, demand
from outbound.database import migrations
from outbound.errors import UserError
from outbound.processes.parent_death import die_with

sql = db.statements("checks/verify_scratch")

_CALL_S = 20  # a call's whole life at the simulator takes a fraction of a second
# What the ten phones do: answer, busy, no answer, out of reach, a machine, no such number, late and early callbacks.
_PHONES = tuple(f"+150055501{scenario}" for scenario in ("01", "11", "12", "13", "14", "15", "23", "25", "02", "03"))
_SPEED = 100


class _Place(NamedTuple):
    name: str  # of the schema, and of the broker namespace
    web: socket.socket  # where callbacks come in
    carrier: Any  # the simulator


def main(parent_pid: int) -> None:
    """Run the checks, and print `{"verdicts": …}`, or `{"refused": …}` where they cannot run."""
    if end_with_parent := die_with(parent_pid, signal.SIGKILL):
        end_with_parent()
    logs.set_up("ERROR")
    try:
        with _place() as place:
            answer: dict[str, Any] = {"verdicts": _verdicts(place)}
    except UserError as refusal:
        answer = {"refused": str(refusal)}
    print(json.dumps(answer))  # noqa: T201


def _verdicts(place: _Place) -> list[Verdict]:
    return [
        check("the lead job takes a call_sid and nothing else", _takes_a_call_sid_alone),
        check("it reads the rest from the row", _reads_the_rest_from_the_row),
        check("migrations are reversible", lambda: _is_reversible(place)),
        check("clean-up closes a stale row and leaves a fresh one", _cleans_up),
        check("what is enqueued is the call_sid alone", _enqueues_the_call_sid_alone),
        check("ten calls in sequence leave no stuck row", lambda: _ten_calls(place)),
    ]


@contextmanager
def _place() -> Iterator[_Place]:
    """The migrated scratch schema, a port for callbacks, and the simulator."""
    from outbound.simulator import server

    with ExitStack() as stack:
        web = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        sid, token = "AC" + secrets.token_hex(16), secrets.token_hex(16)
        carrier = stack.enter_context(server.in_thread(account_sid=sid, auth_token=token, speed=_SPEED))
        account = {"TWILIO_ACCOUNT_SID": sid, "TWILIO_AUTH_TOKEN": token, "TWILIO_API_URL": carrier.url}
        public_url = f"http://127.0.0.1:{web.getsockname()[1]}"
        config.use(config.environment() | account | {"OUTBOUND_PUBLIC_URL": public_url})
        stack.callback(db.close)
        name = config.settings().database_schema or ""
        # A pooler may drop what the address asks for: then nothing may happen at all, for it would happen to live rows.
        if db.with_connection(migrations.current) != name:
            raise UserError("the connection does not keep to a schema: give DATABASE_URL without a pooler between")
        migrations.migrate()
        yield _Place(name, web, carrier)


def _business(name: str = "Verify") -> int:
    from outbound.rules import business

    return int(business.add(name, twiml="<Response/>"))


def _dialed(business_id: int, to_number: str, call_sid: str | None, overdue_s: float = 0) -> int:
    return int(
        db.run(
            sql.put_dialed_call, business_id=business_id, to_number=to_number, call_sid=call_sid, overdue_s=overdue_s
        )
    )


def _takes_a_call_sid_alone() -> str:
    from outbound.calls.lead import create_lead_from_call_job as job

    parameters = inspect.signature(job.fn).parameters.values()
    named = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    demand(named == ["call_sid"], f"it takes {', '.join(named)}")
    _dialed(_business(), "+15005550901", "CA" + "1" * 32)
    job("CA" + "1" * 32)
    lead = db.run(sql.lead_of, call_sid="CA" + "1" * 32)
    demand(lead is not None, "given the call_sid alone, it made no lead")
    return "create_lead_from_call_job(call_sid)"


def _reads_the_rest_from_the_row() -> str:
    from outbound.calls.lead import create_lead_from_call_job as job

    own, another = _business(), _business()
    _dialed(own, "+15005550902", "CA" + "2" * 32)
    job("CA" + "2" * 32, another, "+15005550903", direction="inbound")  # as the old system sent it, and wrong
    lead = db.run(sql.lead_of, call_sid="CA" + "2" * 32)
    is_right = lead is not None and (lead.business_id, lead.phone) == (own, "+15005550902")
    demand(is_right, "the lead is not what the row says")
    return "whatever else a message says"


def _is_reversible(place: _Place) -> str:
    with db.connect() as connection:
        if migrations.current(connection) != place.name:  # a rollback of what is live would be the end of it
            raise UserError("the connection does not keep to a schema")
        before = migrations.parts(connection)
        sql.empty_tables(connection)
        migrations.rollback("")
        left = [part.name for part in migrations.parts(connection)]
        demand(not left, f"a rollback leaves {', '.join(left)}")
        migrations.migrate()
        demand(migrations.parts(connection) == before, "rolled back and applied again, the schema is another")
    return "back to nothing, and again"


def _cleans_up() -> str:
    from outbound.calls.cleanup import cleanup_stuck_dialing_jobs

    business_id = _business()
    stale = _dialed(business_id, "+15005550904", None, overdue_s=3600)
    fresh = _dialed(business_id, "+15005550905", None)
    cleanup_stuck_dialing_jobs()
    closed, left = (db.run(sql.end_of, call_id=call_id) for call_id in (stale, fresh))
    demand(closed.status == "failed", f"the stale row is {closed.status}")
    demand(bool(closed.error_code and closed.error_message), "the stale row was closed without a reason")
    demand(left.status == "initiated" and not left.was_touched, f"the fresh row was moved: {left.status}")
    return f"closed as {closed.error_code}"


def _enqueues_the_call_sid_alone() -> str:
    from outbound.broker import waiting_messages
    from outbound.call import CallEvent
    from outbound.calls import events

    call_sid = "CA" + "3" * 32
    call_id = _dialed(_business(), "+15005550906", None)
    events.record(call_id, CallEvent(call_sid, "completed", "callback"))
    messages = [json.loads(data) for data in waiting_messages("default")]
    arguments = [(message["args"], message["kwargs"]) for message in messages]
    demand(arguments == [([call_sid], {})], f"{len(messages)} messages wait, and they hold {arguments or 'nothing'}")
    return "read from the broker"


def _ten_calls(place: _Place) -> str:
    from outbound.calls import enqueue

    with _worker_and_web(place):
        business_id = _business()
        for number, phone in enumerate(_PHONES, 1):
            call = enqueue.enqueue(business_id=business_id, to_number=phone, from_number="+15005550006")
            _live(call.call_id, number)
    rings = [entry["status_callback"] for entry in place.carrier.log() if entry["rang"]]
    demand(len(rings) == len(set(rings)), "a phone rang twice")
    return f"{len(_PHONES)} calls, {len(rings)} phones rang once"


def _live(call_id: int, number: int) -> None:
    from outbound.calls.dispatch import dispatch_once

    deadline = time.monotonic() + _CALL_S
    while True:
        dispatch_once()
        call = db.run(sql.end_of, call_id=call_id)
        if call.is_settled:
            return
        demand(time.monotonic() < deadline, f"call {number} of {len(_PHONES)} is stuck: {call.status}")
        time.sleep(0.02)


@contextmanager
def _worker_and_web(place: _Place) -> Iterator[None]:
    """A worker and a web process, as threads of this one."""
    from outbound.processes.worker import in_this_process
    from outbound.web import app

    server = app.server("127.0.0.1", 0)
    listener = threading.Thread(target=server.run, kwargs={"sockets": [place.web]}, daemon=True)
    listener.start()
    workers = in_this_process(4)
    try:
        yield
    finally:
        server.should_exit = True
        workers.stop()
        listener.join(20)


if __name__ == "__main__":
    main(int(sys.argv[1]))
