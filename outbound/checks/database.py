"""Is the database sound: reachable, writable, migrated, indexed, vacuumed, and the one that dialed last?"""

from collections.abc import Callable
from typing import Any

from outbound import db, db_session
from outbound.checks.clock import clock
from outbound.checks.finding import NAMED_MAX, Check, Result, fail, failed, ok, some, warn
from outbound.config import settings
from outbound.database import identity, migrations, roles

sql = db.statements("checks/database")

_SPACE = "space for a new table"
_SCRATCH = "outbound_doctor_scratch"  # in a transaction that is rolled back: two doctors wait for each other
_SNAPSHOT_WARN_S, _SNAPSHOT_FAIL_S = 300, 3600
_GEO_PERMISSIONS = "Twilio's console: Voice, Settings, Geo permissions"


def _database() -> Result:
    server = db.server()
    db_session.refuse_unfit(server.version_num, server.encoding)
    if server.pooling != "transaction":  # the next check says what is wrong there
        with db.connect():
            pass
    return ok(f"PostgreSQL {server.version}")


def _writable() -> Result:
    """Write what a call writes, and a file that grows; all of it is rolled back."""
    server = _server()
    if server.is_standby:
        return fail(
            "this server is a standby", "let DATABASE_URL lead to the primary (target_session_attrs=read-write)"
        )
    if server.is_read_only:
        return fail(
            "transactions are read-only",
            "find who set default_transaction_read_only (a full disk? a switch-over?): `alter database … reset …`",
        )
    with db.connect() as connection:
        is_migrated = not migrations.missing_migrations()
        lacking = sql.missing_privileges(connection, names=migrations.known_tables()) if is_migrated else []
        if lacking:
            named = some([f"{row.privilege} on {row.name}" for row in lacking])
            return fail(f"this role lacks {named}", "`grant` it, or let DATABASE_URL name the owner of the tables")
        refused = _refused_writes(connection, with_tables=is_migrated)
    if not refused:
        return ok("yes")
    first = failed(next(iter(refused.values())))
    return fail(f"{some(list(refused))}: {first.text}", first.mend)


def _refused_writes(connection: db.Connection, *, with_tables: bool) -> dict[str, Exception]:
    """Return what cannot be written, by its table's name, and why; everything is tried, and rolled back."""
    refused: dict[str, Exception] = {}

    def write(name: str, statement: Any, **parameters: Any) -> Any:
        try:
            with connection.transaction():
                return statement(connection, **parameters)
        except db.Error as error:
            if connection.closed:
                raise
            refused[name] = error
            return None

    with connection.transaction(force_rollback=True):
        _grow_a_file(write, refused)
        if with_tables:
            business_id = write("business", sql.write_business)
            call_id = write("call_log", sql.write_call_log, business_id=business_id) if business_id else None
            if call_id:
                write("call_log", sql.change_call_log, call_id=call_id)
                write("call_event", sql.write_call_event, call_id=call_id)
            if business_id:
                write("leads", sql.write_leads, business_id=business_id)
            write("counter", sql.write_counter)
            write("worker", sql.write_worker)
            write("duty", sql.write_duty)
            write("audit", sql.write_audit)
    return refused


def _grow_a_file(write: Callable[..., Any], refused: dict[str, Exception]) -> None:
    """Write a megabyte: a row may find room in a page that is there.  The refusal of a role that may make no table
    does not count."""
    write(_SPACE, sql.grow_a_file)
    if isinstance(refused.get(_SPACE), db.NotAllowed):
        del refused[_SPACE]


def _server() -> Any:
    with db.connect() as connection:
        return sql.server(connection)


def _pooler() -> Result:
    pooling = db.server().pooling
    text, mend = db.TRANSACTION_POOLER
    if pooling == "transaction":
        return fail(text, mend)
    if pooling == "session":
        return warn("a pooler stands between, by session as far as can be seen", f"nothing, or {mend}")
    return ok("none")


def _schema() -> Result:
    """In which schema we are, and whether those who may read or write its tables get there."""
    here = db.run(sql.schema_here)
    if here is None:
        return fail("no schema is on the search_path", "`create schema public`, or name one in OUTBOUND_SCHEMA")
    text = f"{here.name}, as OUTBOUND_SCHEMA says" if settings().database_schema else str(here.name)
    text += "" if here.may_create else "; this role makes no tables in it"
    kept_out = [row.name for row in db.run(sql.roles_kept_out)]
    if kept_out:
        return warn(
            f"{text}; may use its tables, and not the schema: {some(kept_out)}",
            f"`grant usage on schema {here.name} to {', '.join(kept_out[:NAMED_MAX])}`",
        )
    if not here.may_create and migrations.missing_migrations():
        mend = f"migrate as its owner, or `grant create on schema {here.name} to {here.role}`"
        return fail(f"{here.name}: this role may make no tables in it, and migrations are missing", mend)
    return ok(text)


def _role() -> Result:
    """A process that dials needs rows, and no right to drop a table, or to read what else is on the server."""
    role = roles.present()
    mend = "`outbound roles`, then let DATABASE_URL of worker, scheduler and web name an account of the application"
    if role.is_superuser:
        return warn(f"{role.name} is a superuser: anyone who gets DATABASE_URL has the whole server", mend)
    if role.is_owner:
        return warn(f"{role.name} owns the tables: anyone who gets DATABASE_URL can drop them", mend)
    return ok(f"{role.name}: no superuser, and not the owner of the tables")


def _migrations() -> Result:
    missing, unknown = migrations.missing_migrations(), migrations.unknown_migrations()
    if missing:
        try:
            db.with_connection(migrations.refuse_foreign)
        except migrations.ForeignTables as foreign:
            return fail(foreign.text, foreign.mend)
        return fail(f"{len(missing)} are missing: {some(missing)}", "run `outbound migrate`")
    if unknown:
        return warn(
            f"{len(unknown)} are of a newer version: {some(unknown)}",
            "upgrade this host too, or `outbound rollback` with the newer version",
        )
    return ok(f"{len(migrations.known_migrations())} applied")


def _drift() -> Result:
    with db.connect() as connection:
        live = migrations.parts(connection)
        try:
            made = migrations.parts_of_migrations(connection, _SCRATCH)
        except db.NotAllowed:
            return warn(
                "not compared: this user may not create a schema, even for a moment",
                "`grant create on database … to …`, or run doctor as the owner of the database",
            )
    gone = [_called(part) for part in sorted(made.keys() - live.keys())]
    if gone:
        return fail(f"missing: {some(gone)}", "restore it as sql/migrations has it; find who took it away")
    other = [part for part in sorted(made) if live[part] != made[part]]
    ruling = [_called(part) for part in other if part.kind != "column"]
    if ruling and not migrations.unknown_migrations():
        return fail(f"not as the migrations make it: {some(ruling)}", "alter it back to what sql/migrations says")
    # Columns may be of the system that this one replaced, whose ids were smaller; what no migration made may be theirs.
    ours = {part.owner for part in made}
    more = [part for part in sorted(live.keys() - made.keys()) if part.owner in ours]
    if other or more:
        odd = [_called(part) for part in (*other, *more)]
        return warn(f"not made by these migrations: {some(odd)}", "make sure that somebody wants it so")
    return ok("none")


def _called(part: migrations.Part) -> str:
    own = part.kind in ("table", "view", "function")
    return f"{part.kind} {part.name}" if own else f"{part.kind} {part.owner}.{part.name}"


def _indexes() -> Result:
    found = db.run(sql.invalid_indexes)
    broken = [row for row in found if not row.is_being_built]
    if broken:
        mends = [
            f"`drop index concurrently {row.name}`" if row.is_leftover else f"`reindex index concurrently {row.name}`"
            for row in broken
        ]
        return fail(f"invalid: {some([row.name for row in broken])}", "; ".join(mends[:NAMED_MAX]))
    if found:
        return warn(f"being built: {some([row.name for row in found])}", "look again when it is done")
    return ok("all valid")


def _autovacuum() -> Result:
    if not _server().is_vacuumed:
        return fail("off for the whole server", "`alter system set autovacuum = on` (and track_counts), then reload")
    off = [row.name for row in db.run(sql.tables_without_autovacuum)]
    if off:
        return fail(f"off for {some(off)}", f"`alter table {off[0]} reset (autovacuum_enabled)`")
    return ok("on")


def _snapshots() -> Result:
    held = db.run(sql.held_snapshots, age_s=_SNAPSHOT_WARN_S)
    slots = [row.name for row in db.run(sql.idle_slots)]
    if held:
        text = f"{held[0].holder} holds one for {held[0].age_s} s"
        mend = "end that transaction (`select pg_terminate_backend(…)`): dead rows pile up behind it"
        return fail(text, mend) if held[0].age_s > _SNAPSHOT_FAIL_S else warn(text, mend)
    if slots:
        return warn(f"replication slots hold rows: {some(slots)}", "`select pg_drop_replication_slot(…)` if unused")
    if not db.run(sql.sees_snapshots).sees_all:
        return ok("none of its own is old, those of others are not seen: `grant pg_read_all_stats to …` lets it")
    return ok("none is old")


def _time_zones() -> Result:
    """Names that this server does not know: it was replaced, or its tzdata has lost them."""
    found = db.run(sql.unknown_zones)
    if not found:
        return ok("this server knows all that are used")
    text = f"this server does not know: {some([f'{row.zone} ({row.users})' for row in found])}"
    mend = (
        "install the server's full tzdata (Debian: `apt-get install tzdata-legacy`) and start PostgreSQL again, or give"
        " the rows their present names: `outbound business set ID --time-zone …`, `update call_log set time_zone = …`"
    )
    closes = any(row.closes for row in found)
    return fail(f"{text}; the queued calls are closed when they are due", mend) if closes else warn(text, mend)


def _set_aside() -> Result:
    found = db.run(sql.set_aside_calls)
    if not found:
        return ok("none")
    text = some([f"{row.calls} at {row.step} (call {row.call_id}: {row.reason})" for row in found])
    return warn(
        text,
        "mend what the reason names, dial again what is wanted with `outbound enqueue`, then `delete from"
        " call_set_aside where call_id = …`",
    )


def _old_tables() -> Result:
    unwritten = db.run(sql.unwritten_in_old_tables)
    if not unwritten.entries:
        return ok("nothing waits to be written there")
    return warn(
        f"{unwritten.entries} calls or leads could not be written to the tables of the system before, the last with"
        f" SQLSTATE {unwritten.failure}",
        "mend what that names in those tables (the server's log has the text); where a column was added, renamed or"
        " removed, run `outbound adopt` again; the scheduler tries each again within five minutes",
    )


def _destinations() -> Result:
    """Return where calls may go, and whether anything bounds how many."""
    if settings().carrier == "simulator":
        return ok("ordinary numbers of all countries, as no phone rings")
    found = db.run(sql.destinations, names_max=NAMED_MAX)
    text = f"each business's own country ({', '.join(found.home) or 'none has one'})"
    text += f", {', '.join(found.opened)}" if found.opened else ""
    text += f"; special numbers: {', '.join(found.special)}" if found.special else ""
    text += f"; beyond that the carrier's own permissions decide ({_GEO_PERMISSIONS})"
    if found.no_place:
        return warn(
            f"{found.no_place} businesses may call nobody: they have no region and no number. Open are {text}",
            "`outbound business set ID --region …`, or `outbound destination allow … --business ID`",
        )
    if not found.is_capped:
        return warn(
            f"nothing bounds how many calls a day may have. Open are {text}",
            "`outbound limit everything --calls-per-day … --minutes-per-day …`",
        )
    return ok(text)


def _identity() -> Result:
    """Is this the database that dialed last, and would we hear of it if it were not?"""
    told = db.run(sql.what_is_told)
    if told.reason is not None:
        return fail(told.reason, "`outbound recover` takes in what the carrier knows, then calls are dialed again")
    untold = [
        name
        for name, tells in (("the cluster", told.tells_cluster), ("its time line", told.tells_timeline))
        if not tells
    ]
    if untold:
        return warn(
            f"this server does not tell {' and '.join(untold)}: a restore shows by the number of dials alone",
            "`grant execute on function pg_control_system() to …`; on a managed server, stop dialing before a restore",
        )
    if not identity.state_file():
        return ok("the database that dialed last; this host keeps no number of dials: OUTBOUND_DATA_DIR is not set")
    return ok("the database that dialed last")


def _database_clock() -> Result:
    with db.connect() as connection:
        return clock("the database", lambda: float(sql.clock(connection)))


CHECKS = (
    Check("database", _database),
    Check("pooler", _pooler, ("database",)),
    Check("database writable", _writable, ("pooler",)),
    Check("schema", _schema, ("pooler",)),
    Check("migrations", _migrations, ("schema",)),
    Check("database role", _role, ("migrations",)),
    Check("schema drift", _drift, ("migrations", "database writable")),
    Check("indexes", _indexes, ("pooler",)),
    Check("autovacuum", _autovacuum, ("pooler",)),
    Check("snapshots", _snapshots, ("pooler",)),
    Check("time zones", _time_zones, ("migrations",)),
    Check("calls set aside", _set_aside, ("migrations",)),
    Check("old tables", _old_tables, ("migrations",)),
    Check("destinations", _destinations, ("migrations",)),
    Check("database clock", _database_clock, ("pooler",)),
    Check("identity", _identity, ("migrations",)),
)
