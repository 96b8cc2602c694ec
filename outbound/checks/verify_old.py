"""
Are the three faults gone on the old system's own tables?  What `outbound verify --old` adds to `outbound verify`.

The old tables are only looked at.  What must happen there happens in a transaction that is rolled back, or in a
temporary table of their shape.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from outbound import db
from outbound.adopt.batches import sql as adopt
from outbound.adopt.old_tables import CannotAdopt, find
from outbound.checks.verdict import Verdict, check, demand

sql = db.statements("checks/verify_old")

_LOCK_WAIT_S = 2  # everybody who uses a row that we update waits behind us for as long at most
_AGAIN = "run `outbound adopt` again"
_FRESH, _STALE, _WITH_SID = 1, 2, 3  # ids of the calls that put_copied_calls makes
_COPIED = ("+15005550901", "+15005550902", "+15005550903")


def check_all(connection: db.Connection, old_schema: str | None = None) -> list[Verdict]:
    """
    Run every check on the old tables; takes seconds at a million rows.

    Args:
        old_schema: where the old tables are; None: where they were taken over from.

    Raises:
        CannotAdopt: nothing was taken over, or not from there, or this role may not use those tables.
    """
    adoption = adopt.find_adoption(connection) if adopt.has_adoption(connection) else None
    if adoption is None:
        raise CannotAdopt("nothing was taken over: run `outbound adopt`, then `outbound verify --old`")
    if old_schema not in (None, adoption.old_schema):
        raise CannotAdopt(f"what is here was taken over from the schema {adoption.old_schema}, not {old_schema}")
    find(connection, adoption.old_schema)
    schema = str(adoption.old_schema)
    return [
        check("their error_message is nullable text", lambda: _is_column(connection, schema, "error_message", "text")),
        check(
            "their error_code is a nullable varchar(64)",
            lambda: _is_column(connection, schema, "error_code", "character varying", 64),
        ),
        check("their clean-up runs, and closes what is stale", lambda: _old_clean_up_runs(connection, schema)),
        check("their clean-up leaves what is fresh", lambda: _old_clean_up_leaves_the_fresh(connection, schema)),
        check("their duplicate check: no call_sid counts for 60 s", lambda: _old_duplicate_check(connection, schema)),
        check("no call is live without a call_sid beyond 120 s", lambda: _nothing_without_call_sid(connection)),
        check("each old call and waiting job is accounted for", lambda: _all_have_fates(connection)),
        check("no old worker can take a job that is here", lambda: _jobs_are_out_of_reach(connection)),
        check("each call that ended has its lead", lambda: _leads_are_made(connection)),
    ]


@contextmanager
def _as_the_old_program(connection: db.Connection, schema: str) -> Iterator[None]:
    """Use the old schema as the old program does; everything done inside is rolled back at the end."""
    with connection.transaction(force_rollback=True):
        adopt.wait_briefly(connection, wait_s=_LOCK_WAIT_S)
        db.see_only(connection, schema)
        yield


def _is_column(connection: db.Connection, schema: str, name: str, kind: str, length: int | None = None) -> str:
    column = sql.column_of_old_calls(connection, old_schema=schema, name=name)
    demand(column is not None, f"{schema}.call_log has no column {name}: {_AGAIN}")
    type_text = f"{column.type}({column.length})" if column.length else column.type
    demand(
        (column.type, column.length, column.nullable) == (kind, length, True),
        f"{schema}.call_log.{name} is {type_text}, {'nullable' if column.nullable else 'not nullable'}",
    )
    return str(type_text)


def _old_clean_up_runs(connection: db.Connection, schema: str) -> str:
    with connection.transaction(force_rollback=True):  # one moment for both
        stale = {row.id for row in sql.stale_old_calls(connection)}
        with _as_the_old_program(connection, schema):
            closed = {row.id for row in sql.run_old_clean_up(connection)}
    demand(closed == stale, f"it closes {len(closed - stale)} that are not stale, and leaves {len(stale - closed)}")
    return f"it would close {len(closed)} stale rows; rolled back"


def _old_clean_up_leaves_the_fresh(connection: db.Connection, schema: str) -> str:
    with _copy_of_old_calls(connection, schema):
        closed = [row.id for row in sql.run_old_clean_up(connection)]
    demand(closed == [_STALE], f"of {_STALE} and no other it closed {closed}")
    return "in a temporary table of that shape"


def _old_duplicate_check(connection: db.Connection, schema: str) -> str:
    with _copy_of_old_calls(connection, schema):
        found = [row.id for row in sql.old_duplicates(connection, to_numbers=db.array(_COPIED))]
    demand(found == [_FRESH, _WITH_SID], f"of {[_FRESH, _WITH_SID]} and no other it found {found}")
    return "in a temporary table of that shape"


@contextmanager
def _copy_of_old_calls(connection: db.Connection, schema: str) -> Iterator[None]:
    with _as_the_old_program(connection, schema):
        sql.copy_old_calls(connection)
        sql.put_copied_calls(connection)
        yield


def _nothing_without_call_sid(connection: db.Connection) -> str:
    stuck = sql.count_without_call_sid(connection)
    demand(stuck == 0, f"{stuck} are: does `outbound scheduler` run, and what does `outbound doctor` say?")
    return "none"


def _all_have_fates(connection: db.Connection) -> str:
    left = sql.count_without_fate(connection)
    demand(not (left.calls or left.jobs), f"{left.calls} calls and {left.jobs} waiting jobs have none: {_AGAIN}")
    return f"{left.fates} calls and jobs"


def _jobs_are_out_of_reach(connection: db.Connection) -> str:
    jobs = sql.count_jobs_in_reach(connection)
    demand(not jobs.queued, f"{jobs.queued} of {jobs.taken} are `queued` there again: see who changed them")
    return f"{jobs.taken} jobs"


def _leads_are_made(connection: db.Connection) -> str:
    leads = sql.count_without_lead(connection)
    demand(not leads.waiting, f"{leads.waiting} wait for it: does `outbound worker` run?")
    return f"{leads.made} calls with a lead"
