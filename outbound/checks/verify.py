"""
The checks that the old system's three deaths left behind, by behaviour, on the live database server and broker.

What is live is only read.  What moves rows runs in a child process (verify_scratch.py), in a schema and a broker
namespace of this run's own, which are removed afterwards; those of a run that was killed, by the next one.
"""

import json
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from outbound import broker, config, db, db_session, own_module
from outbound.adopt.old_tables import CannotAdopt
from outbound.checks import verify_old
from outbound.checks.verdict import Failed, Verdict, both, check, demand
from outbound.database import migrations
from outbound.errors import UserError

sql = db.statements("checks/verify")

_OWN = "outbound_verify_"
_PATTERN = f"^{_OWN}[0-9a-f]{{12}}$"


class CannotVerify(UserError):
    """There is no place for it; the message says what to do."""


def verify(*, old: bool = False, old_schema: str | None = None) -> list[Verdict]:
    """
    Run every check, and return what came of each; takes some ten seconds.

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
        with _scratch_schema(live) as name:
            *first, reversible, cleans_up, enqueued, ten_calls = _in_a_process_of_its_own(name)
    both_ways = both("migrations are applied and reversible", applied, reversible)
    return [*first, *found, both_ways, both(cleans_up.name, plannable, cleans_up), enqueued, ten_calls, *theirs]


def _theirs(live: db.Connection, old_schema: str | None) -> list[Verdict]:
    try:
        return verify_old.check_all(live, old_schema)
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
    for name in (
        *("release_overdue_claims", "close_without_call_sid", "renew_lead_nudges"),
        *("cancel_calls_of_ended_campaigns", "suspect_calls"),
    ):
        try:
            statement = getattr(statements, name)
            db.explain(live, statement, **dict.fromkeys(re.findall(r"%\((\w+)\)s", statement.sql)))
        except db.Error as error:
            raise Failed(f"{name} cannot run on the live tables: {str(error).splitlines()[0]}") from None
    return ""


# What moves rows: in a scratch schema, by a process of its own.


@contextmanager
def _scratch_schema(live: db.Connection) -> Iterator[str]:
    """A schema and a broker namespace of this name, both gone afterwards; *live* holds the lock that marks them."""
    left_behind = _sweep(live)
    name = _OWN + secrets.token_hex(6)
    sql.lock_schema(live, name=name)
    try:
        try:
            db.make_schema(live, name)
        except db.NotAllowed:
            raise CannotVerify(
                "it works in a schema of its own, which this user may not create: `grant create on database … to …`"
            ) from None
        yield name
    finally:
        with db.connect() as connection:  # a signal may have come while the other one waited for an answer
            db.drop_schema(connection, name)
        for namespace in (name, *left_behind):
            broker.forget_namespace(namespace)


def _in_a_process_of_its_own(name: str) -> list[Verdict]:
    """Run verify_scratch in the schema and namespace *name*, and return its verdicts."""
    command = own_module.command("outbound.checks.verify_scratch", str(os.getpid()))
    ran = subprocess.run(command, env=_environment(name), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
    if ran.returncode:
        raise CannotVerify(f"its process ended with status {ran.returncode}: the error stands above")
    answer = json.loads(ran.stdout)
    if "refused" in answer:
        raise CannotVerify(answer["refused"])
    return [Verdict(*verdict) for verdict in answer["verdicts"]]


def _environment(name: str) -> dict[str, str]:
    """This process's environment, with the schema and namespace *name*; nothing of it leads to a real phone."""
    others = ("NOTIFY_SOCKET", "TWILIO_AUTH_TOKEN_FILE", "TWILIO_AUTH_TOKEN_SECONDARY")
    return {key: value for key, value in config.environment().items() if key not in others} | {
        "DATABASE_URL": db_session.without_search_path(config.settings().database_url or ""),
        "OUTBOUND_SCHEMA": name,
        "OUTBOUND_BROKER_NAMESPACE": name,
        "OUTBOUND_CARRIER": "simulator",
        "OUTBOUND_POLL_S": "0.1",
    }


def _sweep(live: db.Connection) -> list[str]:
    """Remove the schemas of runs that were killed, and return their names."""
    swept = []
    for left in sql.schemas_left_behind(live, pattern=_PATTERN):
        if sql.lock_schema(live, name=left.name):
            with suppress(db.NotAllowed):  # another role's, of another installation: that one sweeps it
                db.drop_schema(live, left.name)
                swept.append(left.name)
            sql.unlock_schema(live, name=left.name)
    return swept
