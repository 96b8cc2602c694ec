"""
The checks that the old system's three deaths left behind, by behaviour, on the live database server and broker.

What is live is only looked at.  Whatever must happen happens in a schema and a broker namespace of this run's own, with
a simulated carrier inside this process, and is gone afterwards; a run that was killed is swept away by the next one.
"""

import inspect
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

from outbound import config, db, db_session
from outbound.adopt.old_house import CannotAdopt
from outbound.checks import verify_old
from outbound.checks.verdict import Failed, Verdict, both, check, demand
from outbound.database import migrations
from outbound.errors import UserError

sql = db.statements("checks/verify")

_OWN = "outbound_verify_"
_PATTERN = f"^{_OWN}[0-9a-f]{{12}}$"
_CALL_S = 20  # a call's whole life at the simulator takes a fraction of a second
# What the ten phones do: answer, busy, no answer, out of reach, a machine, no such number, late and early callbacks.
_PHONES = tuple(f"+150055501{fate}" for fate in ("01", "11", "12", "13", "14", "15", "23", "25", "02", "03"))
_SPEED = 100
_ACCOUNT_SID, _AUTH_TOKEN = "AC" + "0" * 32, "verify"  # of the simulated carrier


class CannotVerify(UserError):
    """There is no place for it; the message says what to do."""


def verify(*, old: bool = False, old_schema: str | None = None) -> list[Verdict]:
    """
    Run every check, and say what came of each; takes some ten seconds.

    It must come first in its process: the environment is changed before anything binds to a broker.

    Args:
        old: also on the tables of the system before, which were taken over.
        old_schema: where those are; None: where they were taken over from.

    Raises:
        schema.ForeignTables: the live tables are not ours; names them and the mend.
        CannotVerify: this user may not create a schema in the database, or the connection does not keep to one; or
            nothing was taken over.
        db.Unavailable: the database does not answer.
    """
    with db.connect(needs_schema=not old) as live:  # without it, nothing was taken over
        theirs = _theirs(live, old_schema) if old else []
        migrations.refuse_foreign(live)
        found = [
            check("error_message is nullable text", lambda: _is_column(live, "error_message", "text", None)),
            check(
                "error_code is a nullable varchar(64)",
                lambda: _is_column(live, "error_code", "character varying", 64),
            ),
        ]
        applied = check("migrations are applied", _is_migrated)
        plannable = check("", lambda: _clean_up_fits(live))
        with _place_of_our_own(live) as place:
            first = [
                check("the lead job takes a call_sid and nothing else", _takes_a_call_sid_alone),
                check("it reads the rest from the row", _reads_the_rest_from_the_row),
            ]
            reversible = check("migrations are reversible", lambda: _is_reversible(place))
            last = [
                both("migrations are applied and reversible", applied, reversible),
                both("clean-up closes a stale row and leaves a fresh one", plannable, check("", _cleans_up)),
                check("what is enqueued is the call_sid alone", _enqueues_the_call_sid_alone),
                check("ten calls in sequence leave no stuck row", lambda: _ten_calls(place)),
            ]
    return [*first, *found, *last, *theirs]


def _theirs(live: db.Connection, old_schema: str | None) -> list[Verdict]:
    try:
        return verify_old.look(live, old_schema)
    except CannotAdopt as error:
        raise CannotVerify(str(error)) from None


# What is live: looked at, never moved.


def _is_column(live: db.Connection, name: str, kind: str, length: int | None) -> str:
    column = sql.column_of_call_log(live, name=name)
    demand(column is not None, f"call_log has no column {name}: run `outbound migrate`, then `outbound doctor`")
    is_right = (column.type, column.length, column.nullable) == (kind, length, True)
    demand(is_right, f"call_log.{name} is {column.type}({column.length}), nullable {column.nullable}")
    return f"{kind}({length})" if length else kind


def _is_migrated() -> str:
    missing = migrations.missing_migrations()
    demand(not missing, f"the database lacks {', '.join(missing)}: run `outbound migrate`")
    return f"{len(migrations.known_migrations())} migrations"


def _clean_up_fits(live: db.Connection) -> str:
    """The server plans each statement of clean-up for the live tables; it runs none of them."""
    statements = db.statements("calls/cleanup")
    for name in ("release_overdue_claims", "close_without_call_sid", "renew_lead_nudges", "overdue_calls"):
        try:
            statement = getattr(statements, name)
            db.explain(live, statement, **dict.fromkeys(re.findall(r"%\((\w+)\)s", statement.sql)))
        except db.Error as error:
            raise Failed(f"{name} cannot run on the live tables: {str(error).splitlines()[0]}") from None
    return ""


# A place of our own.


class _Place(NamedTuple):
    name: str  # of the schema, and of the broker namespace
    web: socket.socket  # where callbacks come in
    carrier: Any  # the simulator


@contextmanager
def _place_of_our_own(live: db.Connection) -> Iterator[_Place]:
    from outbound.simulator import server

    left_behind = _sweep(live)
    name = _OWN + secrets.token_hex(6)
    sql.hold(live, name=name)
    with ExitStack() as stack:
        try:
            db.make_schema(live, name)
        except db.NotAllowed:
            raise CannotVerify(
                "it works in a schema of its own, which this user may not create: `grant create on database … to …`"
            ) from None
        stack.callback(db.drop_schema, live, name)
        web = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        carrier = stack.enter_context(server.in_thread(account_sid=_ACCOUNT_SID, auth_token=_AUTH_TOKEN, speed=_SPEED))
        stack.callback(db.close)  # before the schema is dropped
        _settle_in(name, web, carrier.url)
        from outbound.broker import forget_namespace

        stack.callback(forget_namespace, name)
        for left in left_behind:
            forget_namespace(left)
        migrations.migrate()
        yield _Place(name, web, carrier)


def _settle_in(name: str, web: socket.socket, carrier_url: str) -> None:
    """From here on this process knows nothing but the place of its own, and rings no phone."""
    url = config.settings().database_url or ""
    port = web.getsockname()[1]
    # We are nobody's service, and the place's account has one token.
    for other in ("NOTIFY_SOCKET", "TWILIO_AUTH_TOKEN_FILE", "TWILIO_AUTH_TOKEN_SECONDARY"):
        os.environ.pop(other, None)
    os.environ.update(
        DATABASE_URL=db_session.without_search_path(url),
        OUTBOUND_SCHEMA=name,
        OUTBOUND_BROKER_NAMESPACE=name,
        OUTBOUND_CARRIER="simulator",
        TWILIO_API_URL=carrier_url,
        TWILIO_ACCOUNT_SID=_ACCOUNT_SID,
        TWILIO_AUTH_TOKEN=_AUTH_TOKEN,
        OUTBOUND_PUBLIC_URL=f"http://127.0.0.1:{port}",
        OUTBOUND_POLL_S="0.1",
    )
    db.close()
    config.forget()
    # A pooler may drop what the address asks for: then nothing may happen at all, for it would happen to live rows.
    if db.with_connection(migrations.current) != name:
        raise CannotVerify("the connection does not keep to a schema: give DATABASE_URL without a pooler between")
    from outbound import broker

    if getattr(broker.current(), "namespace", name) != name:
        raise RuntimeError("outbound.checks.verify must come first in its process")


def _sweep(live: db.Connection) -> list[str]:
    """Remove the schemas of runs that were killed, and return their names."""
    swept = []
    for left in sql.schemas_left_behind(live, pattern=_PATTERN):
        if sql.hold(live, name=left.name):
            with suppress(db.NotAllowed):  # another role's, of another installation: that one sweeps it
                db.drop_schema(live, left.name)
                swept.append(left.name)
            sql.let_go(live, name=left.name)
    return swept


# The checks, each in the place of our own.


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
            raise CannotVerify("the connection does not keep to a schema")
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
    from outbound.call import Report
    from outbound.calls import events

    call_sid = "CA" + "3" * 32
    call_id = _dialed(_business(), "+15005550906", None)
    events.record(call_id, Report(call_sid, "completed", "callback"))
    messages = [json.loads(data) for data in waiting_messages("default")]
    said = [(message["args"], message["kwargs"]) for message in messages]
    demand(said == [([call_sid], {})], f"{len(said)} messages wait, and they hold {said or 'nothing'}")
    return "read from the broker"


def _ten_calls(place: _Place) -> str:
    from outbound.calls import enqueue

    with _house(place):
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
def _house(place: _Place) -> Iterator[None]:
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
