"""`outbound adopt`: the order in which the system before is taken over.  Each step finds what is done already."""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from redis import Redis

from outbound import db, os_user
from outbound.adopt import bridge, businesses, calls, jobs, messages, old_tables, own_schema
from outbound.adopt.batches import Run, Tell, sql
from outbound.adopt.old_tables import CannotAdopt
from outbound.adopt.report import AdoptionReport, collect
from outbound.config import settings
from outbound.database import migrations
from outbound.failpoint import crash_here

T = TypeVar("T")

__all__ = ["CannotAdopt", "Options", "alone", "take_over"]

_LOCK_WAIT = "10s"
_SIMULATED = (
    "OUTBOUND_CARRIER is the simulator, which knows none of the old live calls: they would be closed as unknown;"
    " set it to twilio before anything else"
)
_UNSEEN = (
    "the old Redis was not looked at: its lead jobs vanish ten minutes after the old workers stop;"
    " --old-redis takes them in"
)


@dataclass(frozen=True)
class Options:
    """
    The options of one run.

    Attributes:
        old_schema: where the old tables are.
        businesses: ids of old businesses; none: all of them.
        history_days: how old calls are at most; None: all of them.
        old_redis: URL of the old system's Redis; None: it is not looked at.
        old_is_stopped: the operator knows that no old worker runs.
    """

    old_schema: str = "public"
    businesses: Sequence[int] = ()
    history_days: int | None = 90
    dry_run: bool = False
    old_redis: str | None = None
    old_is_stopped: bool = False


def alone(work: Callable[[db.Connection], T]) -> T:
    """
    Let *work* use a connection on which no other adopt is at work.

    Raises:
        CannotAdopt: another one is.
    """
    with db.connect(time_limit="0", lock_limit=_LOCK_WAIT, needs_schema=False) as connection:
        if not sql.take_adopt_lock(connection):
            raise CannotAdopt("another `outbound adopt` is at work: wait until it has ended")
        return work(connection)


def take_over(
    options: Options,
    *,
    tell: Tell = lambda _kind, _rows: None,
    wait: Callable[[float], None] = time.sleep,
) -> AdoptionReport:
    """
    Take over what the system before has; run again, it goes on from where it was and takes what has come since.

    With `dry_run`, all of it is done in one transaction, which is rolled back; the carrier is not asked.

    Raises:
        CannotAdopt: says what to do; what was done before stays done.
    """
    return alone(lambda connection: _take_over(connection, options, tell, wait))


def _take_over(
    connection: db.Connection, options: Options, tell: Tell, wait: Callable[[float], None]
) -> AdoptionReport:
    tables = old_tables.find(connection, options.old_schema)
    if unknown := db.missing_ids(connection, options.old_schema, "business", options.businesses):
        raise CannotAdopt(f"there is no old business {', '.join(map(str, unknown))} in the schema {options.old_schema}")
    run = Run(connection, list(options.businesses) or None, options.dry_run, tell)
    with messages.opened(options.old_redis) if options.old_redis else nullcontext() as client:
        if client is not None and not (options.old_is_stopped or options.dry_run):
            messages.refuse_while_alive(client)
        # In a dry run each batch is a savepoint of one transaction; else a transaction.
        with connection.transaction(force_rollback=True) if options.dry_run else nullcontext():
            _prepare(run, tables)
            notes = _begin(run, options)
            tables = sql.find_old_tables(connection, old_schema=options.old_schema)
            _move(run, options, tables, notes, wait)
            redis = _take_messages(run, client, notes) if client is not None else None
            sql.owe_leads_that_were_made(connection)
            report = collect(connection, options.old_schema, tables.our_schema, notes)
    report.is_rehearsal, report.redis = options.dry_run, redis
    return report


def _prepare(run: Run, tables: db.Row) -> None:
    """Our schema, up to date."""
    if not run.is_rehearsal:
        migrations.migrate()
    elif tables.our_schema is None:
        migrations.rehearse(run.connection, own_schema.name())
    elif missing := migrations.missing_migrations():
        raise CannotAdopt(f"the schema {tables.our_schema} lacks {', '.join(missing)}: run `outbound migrate`")


def _begin(run: Run, options: Options) -> list[str]:
    """The views, and the row that says what is taken over from where; return what is to be known of it."""
    notes = [] if options.old_redis else [_UNSEEN]
    if settings().carrier == "simulator":
        notes.append(_SIMULATED)
    present = sql.find_adoption(run.connection)
    if present is not None and present.old_schema != options.old_schema:
        raise CannotAdopt(
            f"what is here was taken over from the schema {present.old_schema}:"
            " give that back first, `outbound adopt --undo`"
        )
    adoption = sql.begin_adoption(run.connection, old_schema=options.old_schema, who=os_user.name())
    if not run.is_rehearsal:
        crash_here("adopt.begun")
        if not old_tables.add_error_columns(run.connection, options.old_schema):
            notes.append(
                "error_message and error_code could not be added to the old call_log, which somebody holds locked:"
                " run `outbound adopt` again"
            )
    with run.connection.transaction():
        sql.make_old_views(run.connection, old_schema=options.old_schema)
        if not run.is_rehearsal:
            bridge.make(run.connection, options.old_schema)
        if adoption.is_new or run.scope:
            sql.retake_businesses(run.connection, businesses=run.scope)
    return notes


def _move(run: Run, options: Options, tables: db.Row, notes: list[str], wait: Callable[[float], None]) -> None:
    since = sql.days_ago(run.connection, days=options.history_days)
    with run.connection.transaction():
        sql.reopen(run.connection, businesses=run.scope, since=since)
    businesses.adopt(run, knows_activity=tables.knows_activity)
    if tables.has_jobs:
        jobs.adopt_runs(run)
    calls.adopt_live(run)
    if run.is_rehearsal:  # jobs last: their old rows stay locked until all of it is rolled back
        _move_history(run, since)
    if tables.has_jobs:
        jobs.adopt_dialing(run)
    if not run.is_rehearsal and (unasked := calls.ask_carrier(run, wait)):
        notes.append(unasked)
    if tables.has_jobs:
        jobs.adopt_waiting(run)
    if not run.is_rehearsal:
        _move_history(run, since)
        crash_here("adopt.moved")


def _take_messages(run: Run, client: Redis, notes: list[str]) -> dict[str, Any]:
    """The leads that are asked for there, and then all of it out of reach of old workers; tells what was found."""
    sids = messages.call_sids(client)
    unknown = 0
    for part in messages.slices(sids):
        calls.adopt_asked_for(run, part)
        unknown += sql.count_unknown_sids(run.connection, call_sids=list(part))
    found = messages.read(client, run, notes) | {"leads_asked_for": len(sids), "of_unknown_calls": unknown}
    if not run.is_rehearsal:
        crash_here("adopt.messages")
        stamp = sql.find_adoption(run.connection).stamp
        found["set_aside"] = messages.set_aside(client, run, stamp, sids)
        crash_here("adopt.set_aside")
    return found


def _move_history(run: Run, since: datetime | None) -> None:
    calls.adopt_ended(run, since)
    calls.adopt_leads(run)
