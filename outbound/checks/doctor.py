"""
Is everything sound that calls depend on, and if not, how is it mended?  Fit for a gate before and after a deployment.

It changes nothing: what it must make in order to compare is rolled back, and the message that it sends to the broker is
taken back.  One trace is left, since it must ask the web process what a forger would: that process counts one refused
callback.
"""

import base64
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from http.client import HTTPException
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode, urlsplit

from outbound import config, db, db_session
from outbound.config import settings
from outbound.database import error_messages, migrations, roles
from outbound.formats import urls
from outbound.monitoring import situation

sql = db.statements("checks/doctor")

_SPACE = "space for a new table"
_SCRATCH = "outbound_doctor_scratch"  # in a transaction that is rolled back: two doctors wait for each other
_REDIS_MIN = (6, 2)
_SKEW_WARN_S, _SKEW_FAIL_S = 2, 60
_SNAPSHOT_WARN_S, _SNAPSHOT_FAIL_S = 300, 3600
_HTTP_TIMEOUT_S = 10
_NO_CALL = 10**18 - 1  # an id that no call will ever have
_GEO_PERMISSIONS = "Twilio's console: Voice, Settings, Geo permissions"
_NOBODY = "+15005550000"
_NO_SUCH_CALL = "CA" + "0" * 32
_NAMED_MAX = 6  # differences that are told one by one
_TOLD_BY_OTHERS = ("no_worker", "no_scheduler", "stopped_broker", "stopped_recovery", "no_destination")
_RULES = ("claimed", "no_call_sid", "no_lead")

State = Literal["ok", "warn", "fail", "skip"]


class Finding(NamedTuple):
    """What one check found: `mend` says what to do, in words, unless it is ok."""

    check: str
    state: State
    said: str
    mend: str = ""


class _Said(NamedTuple):
    state: State
    said: str
    mend: str = ""


def _ok(said: str) -> _Said:
    return _Said("ok", said)


def _warn(said: str, mend: str) -> _Said:
    return _Said("warn", said, mend)


def _fail(said: str, mend: str) -> _Said:
    return _Said("fail", said, mend)


class _Check(NamedTuple):
    name: str
    look: Callable[[], _Said]
    needs: tuple[str, ...] = ()  # without those others, nothing can be said here


def examine() -> list[Finding]:
    """Run every check; one whose ground is missing says so, and none that fails stops another.  Some 30 s at most."""
    findings = [Finding("settings", "ok", "accepted")]
    return [*findings, *_examine(_checks())]


def refused(faults: Iterable[str]) -> list[Finding]:
    """What is found where the settings are wrong: nothing else can be looked at."""
    mend = "set it as docs/settings.md says"
    wrong = [Finding("settings", "fail", fault, mend) for fault in faults]
    return [*wrong, *(Finding(check.name, "skip", "needs settings") for check in _checks())]


def is_sound(findings: Iterable[Finding]) -> bool:
    """Does nothing fail?  Warnings alone are no reason to stop a deployment."""
    return all(found.state != "fail" for found in findings)


def _examine(checks: Iterable[_Check]) -> list[Finding]:
    found: dict[str, Finding] = {}
    for check in checks:
        missing = [ground for ground in check.needs if found[ground].state in ("fail", "skip")]
        if missing:
            found[check.name] = Finding(check.name, "skip", f"needs {missing[0]}")
        else:
            found[check.name] = Finding(check.name, *_look(check))
    return list(found.values())


def _look(check: _Check) -> _Said:
    try:
        return check.look()
    except db.UnfitDatabase as error:
        return _fail(error.said, error.mend)
    except Exception as error:  # noqa: BLE001 (each part may be away in its own way, and the others are still looked at)
        return _failed(error)


def _failed(error: Exception) -> _Said:
    """What an error that nobody expected here says, and its mend where it is known."""
    if isinstance(error, db.Error):
        words = error_messages.words_of(db.cause_of(error))
        if words is not None:
            return _fail(*words)
    return _fail(f"{type(error).__name__}: {_words(error)}", "mend what it says; the server's log may say more")


def _words(error: Exception) -> str:
    text = str(error).strip()
    return urls.without_password(text.splitlines()[0] if text else type(error).__name__)


def _checks() -> tuple[_Check, ...]:
    return (
        _Check("database", _database),
        _Check("pooler", _pooler, ("database",)),
        _Check("database writable", _writable, ("pooler",)),
        _Check("schema", _schema, ("pooler",)),
        _Check("migrations", _migrations, ("schema",)),
        _Check("database role", _role, ("migrations",)),
        _Check("schema drift", _drift, ("migrations", "database writable")),
        _Check("indexes", _indexes, ("pooler",)),
        _Check("autovacuum", _autovacuum, ("pooler",)),
        _Check("snapshots", _snapshots, ("pooler",)),
        _Check("time zones", _time_zones, ("migrations",)),
        _Check("calls set aside", _set_aside, ("migrations",)),
        _Check("old tables", _old_tables, ("migrations",)),
        _Check("destinations", _destinations, ("migrations",)),
        _Check("database clock", _database_clock, ("pooler",)),
        _Check("identity", _identity, ("migrations",)),
        _Check("broker", _broker),
        _Check("broker policy", _broker_policy, ("broker",)),
        _Check("broker clock", _broker_clock, ("broker",)),
        _Check("carrier", _carrier),
        _Check("carrier accounts", _accounts, ("migrations", "carrier")),
        _Check("public URL", _public_url),
        _Check("callbacks", _callbacks, ("public URL",)),
        _Check("workers", _workers, ("migrations",)),
        _Check("scheduler", _scheduler, ("migrations",)),
        _Check("dialing", _dialing, ("migrations",)),
    )


# The database.


def _database() -> _Said:
    server = db.server()
    db_session.refuse_unfit(server.version_num, server.encoding)
    if server.pooling != "transaction":  # the next check says what is wrong there
        with db.connect():
            pass
    return _ok(f"PostgreSQL {server.version}")


def _writable() -> _Said:
    """Write what a call writes, and a file that grows; all of it is rolled back."""
    server = _server()
    if server.is_standby:
        return _fail(
            "this server is a standby", "let DATABASE_URL lead to the primary (target_session_attrs=read-write)"
        )
    if server.is_read_only:
        return _fail(
            "transactions are read-only",
            "find who set default_transaction_read_only (a full disk? a switch-over?): `alter database … reset …`",
        )
    with db.connect() as connection:
        is_migrated = not migrations.missing_migrations()
        lacking = sql.missing_privileges(connection, names=migrations.known_tables()) if is_migrated else []
        if lacking:
            named = _some([f"{row.privilege} on {row.name}" for row in lacking])
            return _fail(f"this role lacks {named}", "`grant` it, or let DATABASE_URL name the owner of the tables")
        refused = _refused_writes(connection, with_tables=is_migrated)
    if not refused:
        return _ok("yes")
    first = _failed(next(iter(refused.values())))
    return _fail(f"{_some(list(refused))}: {first.said}", first.mend)


def _refused_writes(connection: db.Connection, *, with_tables: bool) -> dict[str, Exception]:
    """What cannot be written, by its table's name, and why; everything is tried, and rolled back."""
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
    """A row may find room in a page that is there already; a megabyte does not.  Who may make no table is spared."""
    write(_SPACE, sql.grow_a_file)
    if isinstance(refused.get(_SPACE), db.NotAllowed):
        del refused[_SPACE]


def _server() -> Any:
    with db.connect() as connection:
        return sql.server(connection)


def _pooler() -> _Said:
    pooling = db.server().pooling
    said, mend = db.TRANSACTION_POOLER
    if pooling == "transaction":
        return _fail(said, mend)
    if pooling == "session":
        return _warn("a pooler stands between, by session as far as can be seen", f"nothing, or {mend}")
    return _ok("none")


def _schema() -> _Said:
    """In which schema we are, and whether those who may read or write its tables get there."""
    here = db.run(sql.schema_here)
    if here is None:
        return _fail("no schema is on the search_path", "`create schema public`, or name one in OUTBOUND_SCHEMA")
    said = f"{here.name}, as OUTBOUND_SCHEMA says" if settings().database_schema else str(here.name)
    said += "" if here.may_create else "; this role makes no tables in it"
    kept_out = [row.name for row in db.run(sql.roles_kept_out)]
    if kept_out:
        return _warn(
            f"{said}; may use its tables, and not the schema: {_some(kept_out)}",
            f"`grant usage on schema {here.name} to {', '.join(kept_out[:_NAMED_MAX])}`",
        )
    if not here.may_create and migrations.missing_migrations():
        mend = f"migrate as its owner, or `grant create on schema {here.name} to {here.role}`"
        return _fail(f"{here.name}: this role may make no tables in it, and migrations are missing", mend)
    return _ok(said)


def _role() -> _Said:
    """A process that dials needs rows, and no right to drop a table, or to read what else is on the server."""
    role = roles.present()
    mend = "`outbound roles`, then let DATABASE_URL of worker, scheduler and web name an account of the application"
    if role.is_superuser:
        return _warn(f"{role.name} is a superuser: whoever gets DATABASE_URL has the whole server", mend)
    if role.is_owner:
        return _warn(f"{role.name} owns the tables: whoever gets DATABASE_URL can drop them", mend)
    return _ok(f"{role.name}: no superuser, and not the owner of the tables")


def _migrations() -> _Said:
    missing, unknown = migrations.missing_migrations(), migrations.unknown_migrations()
    if missing:
        try:
            db.with_connection(migrations.refuse_foreign)
        except migrations.ForeignTables as foreign:
            return _fail(foreign.said, foreign.mend)
        return _fail(f"{len(missing)} are missing: {_some(missing)}", "run `outbound migrate`")
    if unknown:
        return _warn(
            f"{len(unknown)} are of a newer version: {_some(unknown)}",
            "upgrade this host too, or `outbound rollback` with the newer version",
        )
    return _ok(f"{len(migrations.known_migrations())} applied")


def _drift() -> _Said:
    with db.connect() as connection:
        live = migrations.parts(connection)
        try:
            made = migrations.parts_of_migrations(connection, _SCRATCH)
        except db.NotAllowed:
            return _warn(
                "not compared: this user may not create a schema, even for a moment",
                "`grant create on database … to …`, or run doctor as the owner of the database",
            )
    gone = [_called(part) for part in sorted(made.keys() - live.keys())]
    if gone:
        return _fail(f"missing: {_some(gone)}", "restore it as sql/migrations has it; find who took it away")
    other = [part for part in sorted(made) if live[part] != made[part]]
    ruling = [_called(part) for part in other if part.kind != "column"]
    if ruling and not migrations.unknown_migrations():
        return _fail(f"not as the migrations make it: {_some(ruling)}", "alter it back to what sql/migrations says")
    # Columns may be of the system that this one replaced, whose ids were smaller; what no migration made may be theirs.
    ours = {part.owner for part in made}
    more = [part for part in sorted(live.keys() - made.keys()) if part.owner in ours]
    if other or more:
        odd = [_called(part) for part in (*other, *more)]
        return _warn(f"not made by these migrations: {_some(odd)}", "make sure that somebody wants it so")
    return _ok("none")


def _called(part: migrations.Part) -> str:
    own = part.kind in ("table", "view", "function")
    return f"{part.kind} {part.name}" if own else f"{part.kind} {part.owner}.{part.name}"


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _indexes() -> _Said:
    found = db.run(sql.invalid_indexes)
    broken = [row for row in found if not row.is_being_built]
    if broken:
        mends = [
            f"`drop index concurrently {row.name}`" if row.is_leftover else f"`reindex index concurrently {row.name}`"
            for row in broken
        ]
        return _fail(f"invalid: {_some([row.name for row in broken])}", "; ".join(mends[:_NAMED_MAX]))
    if found:
        return _warn(f"being built: {_some([row.name for row in found])}", "look again when it is done")
    return _ok("all valid")


def _autovacuum() -> _Said:
    if not _server().is_vacuumed:
        return _fail("off for the whole server", "`alter system set autovacuum = on` (and track_counts), then reload")
    off = [row.name for row in db.run(sql.tables_without_autovacuum)]
    if off:
        return _fail(f"off for {_some(off)}", f"`alter table {off[0]} reset (autovacuum_enabled)`")
    return _ok("on")


def _snapshots() -> _Said:
    held = db.run(sql.held_snapshots, age_s=_SNAPSHOT_WARN_S)
    slots = [row.name for row in db.run(sql.idle_slots)]
    if held:
        said = f"{held[0].holder} holds one for {held[0].age_s} s"
        mend = "end that transaction (`select pg_terminate_backend(…)`): dead rows pile up behind it"
        return _fail(said, mend) if held[0].age_s > _SNAPSHOT_FAIL_S else _warn(said, mend)
    if slots:
        return _warn(f"replication slots hold rows: {_some(slots)}", "`select pg_drop_replication_slot(…)` if unused")
    if not db.run(sql.sees_snapshots).sees_all:
        return _ok("none of its own is old, those of others are not seen: `grant pg_read_all_stats to …` lets it")
    return _ok("none is old")


def _time_zones() -> _Said:
    """Names that this server does not know: it was replaced, or its tzdata has lost them."""
    found = db.run(sql.unknown_zones)
    if not found:
        return _ok("this server knows all that are used")
    said = f"this server does not know: {_some([f'{row.zone} ({row.users})' for row in found])}"
    mend = (
        "install the server's full tzdata (Debian: `apt-get install tzdata-legacy`) and start PostgreSQL again, or give"
        " the rows their present names: `outbound business set ID --time-zone …`, `update call_log set time_zone = …`"
    )
    closes = any(row.closes for row in found)
    return _fail(f"{said}; the queued calls are closed when they are due", mend) if closes else _warn(said, mend)


def _set_aside() -> _Said:
    found = db.run(sql.set_aside_calls)
    if not found:
        return _ok("none")
    said = _some([f"{row.calls} at {row.step} (call {row.call_id}: {row.reason})" for row in found])
    return _warn(
        said,
        "mend what the reason names, dial again what is wanted with `outbound enqueue`, then `delete from"
        " call_set_aside where call_id = …`",
    )


def _old_tables() -> _Said:
    unwritten = db.run(sql.unwritten_in_old_tables)
    if not unwritten.entries:
        return _ok("nothing waits to be written there")
    return _warn(
        f"{unwritten.entries} calls or leads could not be written to the tables of the system before, the last with"
        f" SQLSTATE {unwritten.failure}",
        "mend what that names in those tables (the server's log has the text); where a column was added, renamed or"
        " removed, run `outbound adopt` again; the scheduler tries each again within five minutes",
    )


def _destinations() -> _Said:
    """Where calls may go, and whether anything bounds how many."""
    if settings().carrier == "simulator":
        return _ok("ordinary numbers of all countries, as no phone rings")
    found = db.run(sql.destinations, names_max=_NAMED_MAX)
    said = f"each business's own country ({', '.join(found.home) or 'none has one'})"
    said += f", {', '.join(found.opened)}" if found.opened else ""
    said += f"; special numbers: {', '.join(found.special)}" if found.special else ""
    said += f"; beyond that the carrier's own permissions decide ({_GEO_PERMISSIONS})"
    if found.no_place:
        return _warn(
            f"{found.no_place} businesses may call nobody: they have no region and no number. Open are {said}",
            "`outbound business set ID --region …`, or `outbound destination allow … --business ID`",
        )
    if not found.is_capped:
        return _warn(
            f"nothing bounds how many calls a day may have. Open are {said}",
            "`outbound limit everything --calls-per-day … --minutes-per-day …`",
        )
    return _ok(said)


def _identity() -> _Said:
    """Is this the database that dialed last, and would we hear of it if it were not?"""
    from outbound.database import identity  # it needs a broker, and that needs settings that are right

    told = db.run(sql.what_is_told)
    if told.reason is not None:
        return _fail(told.reason, "`outbound recover` takes in what the carrier knows, then calls are dialed again")
    untold = [
        name
        for name, tells in (("the cluster", told.tells_cluster), ("its time line", told.tells_timeline))
        if not tells
    ]
    if untold:
        return _warn(
            f"this server does not tell {' and '.join(untold)}: a restore shows by the number of dials alone",
            "`grant execute on function pg_control_system() to …`; on a managed server, stop dialing before a restore",
        )
    if not identity.state_file():
        return _ok("the database that dialed last; this host keeps no number of dials: OUTBOUND_DATA_DIR is not set")
    return _ok("the database that dialed last")


# Clocks.


def _database_clock() -> _Said:
    with db.connect() as connection:
        return _clock("the database", lambda: float(sql.clock(connection)))


def _broker_clock() -> _Said:
    from outbound.broker.redis_client import Refused

    client = _client()
    if client is None:
        return _ok("this process's own")

    def read() -> float:
        seconds, microseconds = client.time()
        return float(seconds) + float(microseconds) / 1e6

    try:
        return _clock("the broker", read)
    except Refused as refusal:
        if refusal.cause != "NOPERM":
            raise
        return _warn("not looked at: this user may not run TIME", "nothing, or let it: `acl setuser … +time`")


def _clock(whose: str, read: Callable[[], float]) -> _Said:
    """How far another clock is from this host's, by the quickest of three questions."""
    asked = []
    for _ in range(3):
        before = time.time()
        theirs = read()
        took_s = time.time() - before
        asked.append((took_s, theirs - before - took_s / 2))
    _, ahead_s = min(asked)
    said = f"{whose} is {abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this host"
    mend = "let NTP set the clocks of both (`timedatectl set-ntp true`)"
    if abs(ahead_s) >= _SKEW_FAIL_S:
        return _fail(said, mend)
    return _warn(said, mend) if abs(ahead_s) >= _SKEW_WARN_S else _ok(f"within {_SKEW_WARN_S} s of this host's")


# The broker.


def _client() -> Any:
    """The connection to Redis; None for the broker inside a process."""
    from outbound.broker import current

    return getattr(current(), "client", None)


def _broker() -> _Said:
    from outbound.broker import fault

    client = _client()
    if client is None:
        return _warn("inside one process", "set REDIS_URL to run on more than one process or host")
    found = fault()
    if found is not None:
        return _fail(str(found), found.mend)
    info = _info(client)
    if info is None:
        return _unseen("it takes and gives messages; its version was not looked at")
    version = str(info.get("redis_version", "0"))
    number = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if number < _REDIS_MIN:
        return _fail(f"Redis {version}", "upgrade it to 6.2 or newer, or use Valkey")
    if info.get("cluster_enabled"):
        return _fail("a Redis Cluster", "use one server, or Sentinel: Dramatiq's scripts do not work on a cluster")
    valkey = info.get("valkey_version")
    return _ok(f"Valkey {valkey}" if valkey else f"Redis {version}")


def _info(client: Any) -> Any:
    """What the server says of itself; None where our user may not ask, which nothing else needs."""
    from outbound.broker.redis_client import Refused

    try:
        return client.info()
    except Refused as refusal:
        if refusal.cause == "NOPERM":
            return None
        raise


def _unseen(said: str) -> _Said:
    return _warn(f"{said}: this user may not run INFO", "nothing, or let it: `acl setuser … +info`")


def _broker_policy() -> _Said:
    client = _client()
    if client is None:
        return _ok("noeviction")
    info = _info(client)
    if info is None:
        return _unseen("maxmemory-policy was not looked at")
    policy = info.get("maxmemory_policy")
    if policy is None:  # some hosted servers do not tell
        return _warn("the server does not tell its maxmemory-policy", "make sure that it is noeviction")
    if policy != "noeviction":
        return _fail(
            f"maxmemory-policy is {policy}: nudges can vanish",
            "`config set maxmemory-policy noeviction`, and in its configuration file too",
        )
    return _ok("noeviction")


# The carrier, and its way back to us.


def _carrier() -> _Said:
    from outbound.carrier import CarrierSilent
    from outbound.carrier.twilio import carrier

    simulated = settings().carrier == "simulator"
    try:
        carrier().fetch_call(_NO_SUCH_CALL)  # it knows none of that name, and must let us in to say so
    except CarrierSilent as silence:
        if str(silence) in ("HTTP 401", "HTTP 403"):
            return _fail(
                f"it does not let us in: {silence}",
                "set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN to one account's, the token its primary one",
            )
        mend = "start `outbound simulator`" if simulated else "look at the carrier's status page, DNS and proxies"
        return _fail(f"it does not answer: {silence}", mend) if simulated else _warn(f"no answer: {silence}", mend)
    if simulated:
        return _warn("a simulator: no phone rings", "set OUTBOUND_CARRIER=twilio when phones shall ring")
    return _ok("it lets us in")


def _accounts() -> _Said:
    """The accounts of businesses: is each one's file here and on every worker's host, and does it let us in?"""
    from outbound.carrier import accounts

    with db.connect() as connection:
        named = {row.account: row for row in sql.accounts_of_businesses(connection)}
    wrong = []
    for account in sorted({*named, *accounts.beside(), *accounts.faults()}):
        fault = _account_fault(account, named.get(account))
        if fault is not None:
            of = f" of business {', '.join(map(str, named[account].businesses))}" if account in named else ""
            wrong.append(f"{account}{of}: {fault}")
    if wrong:
        mend = "put each account's credentials into the file SID.json of TWILIO_ACCOUNTS_DIR, on every host"
        return _fail(_some(wrong), mend)
    return _ok(
        f"{len(named)} beside TWILIO_ACCOUNT_SID, and each lets us in" if named else "none but TWILIO_ACCOUNT_SID"
    )


def _account_fault(account: str, named: db.Row | None) -> str | None:
    from outbound.carrier import CarrierSilent, accounts
    from outbound.carrier.twilio import carrier

    if fault := accounts.faults().get(account):
        return f"its file {fault}"
    if accounts.credentials(account) is None:
        return "its file is missing here"
    if named is not None and named.fault is not None:
        return str(named.fault)
    try:
        carrier(account).fetch_call(_NO_SUCH_CALL)
    except CarrierSilent as silence:
        return f"it does not let us in: {silence}"
    return None


def _public_url() -> _Said:
    url = f"{settings().callback_base}/healthz"
    status, body = _ask(url)
    if status == 200 and body.strip() == "ok":
        return _ok(_shown(url))
    if status is None:
        return _fail(f"{_shown(url)}: {body}", "start `outbound web`, or correct the URL, DNS, TLS or proxy")
    return _fail(
        f"{_shown(url)} answers {status}, and not as ours",
        "let OUTBOUND_PUBLIC_URL lead to `outbound web`; a proxy must strip the path that it adds, and not redirect",
    )


def _callbacks() -> _Said:
    """A callback about a call that does not exist, once as the carrier would sign it and once forged."""
    from outbound.carrier import callback_tag, twilio_webhooks

    if not settings().has_auth_token:
        return _ok("not looked at: only `outbound web` has the auth token that signs them")
    url = f"{settings().callback_base}/callbacks/{_NO_CALL}/{callback_tag.make(_NO_CALL, _NOBODY)}"
    form = {
        "AccountSid": settings().twilio_account_sid or "",
        "CallSid": "CA" + "0" * 32,
        "CallStatus": "completed",
        "Direction": "outbound-api",
        "To": _NOBODY,
    }
    signature = twilio_webhooks.sign(url, form)
    status, body = _ask(url, form, signature)
    if status == 503:
        return _fail("the web process cannot reach its database", "look at the log of `outbound web`")
    if status == 403:
        return _fail(
            "what the carrier signs is refused",
            "give `outbound web` the same TWILIO_AUTH_TOKEN, TWILIO_ACCOUNT_SID, OUTBOUND_CALLBACK_KEY and"
            " OUTBOUND_PUBLIC_URL, and start it again; a proxy must hand on the path as it came",
        )
    if status != 404:
        return _fail(f"a signed callback got {status or body}", "look at the log of `outbound web`, and at proxies")
    forged, _ = _ask(url, form, signature[::-1])
    if forged != 403:
        return _fail(
            f"a forged callback was answered {forged}",
            "nothing but `outbound web` may answer there: take out whatever stands between",
        )
    return _ok("signed ones are taken, forged ones refused")


def _ask(url: str, form: dict[str, str] | None = None, signature: str = "") -> tuple[int | None, str]:
    """What a URL answers: status and text; (None, why) where it cannot be reached.  Redirects are not followed."""
    request = urllib.request.Request(urls.without_login(url), data=urlencode(form).encode() if form else None)  # noqa: S310
    request.add_header("X-Twilio-Signature", signature)
    login = urlsplit(url).netloc.rpartition("@")[0]
    if login:
        request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    on_loopback = urlsplit(url).hostname in config.LOOPBACK
    proxies = urllib.request.ProxyHandler({} if on_loopback else None)
    try:
        with urllib.request.build_opener(_NoRedirect, proxies).open(request, timeout=_HTTP_TIMEOUT_S) as answer:
            return answer.status, answer.read(200).decode(errors="replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""
    except urllib.error.URLError as error:
        return None, urls.without_password(str(error.reason))
    except (OSError, HTTPException) as error:
        return None, _words(error)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The carrier does not repeat a POST elsewhere; neither do we."""

    def redirect_request(self, *_: object) -> None:
        """Do not follow redirects."""


def _shown(url: str) -> str:
    return urls.without_password(url)


# Our processes.


def _workers() -> _Said:
    alive = db.run(sql.consumers, worker_silent_s=config.WORKER_SILENT_S)
    if not alive.threads:
        return _fail("none is alive: no call is dialed", "start `outbound worker`; if it runs, look at its log")
    return _ok(f"{alive.processes} processes, {alive.threads} threads")


def _scheduler() -> _Said:
    ages = {row.name: row.age_s for row in db.run(sql.tasks)}
    silent = [name for name in _RULES if ages.get(name, float("inf")) > config.SCHEDULER_SILENT_S]
    if silent:
        since = "it has never run" if not ages else f"not within {config.SCHEDULER_SILENT_S} s: {', '.join(silent)}"
        return _fail(since, "start `outbound scheduler`; if it runs, look at its log for what fails")
    if ages.get("reconcile", float("inf")) > config.SCHEDULER_SILENT_S:
        return _warn("clean-up runs, reconcile comes to no end", "the carrier does not answer: see the check `carrier`")
    return _ok("its maintenance tasks run")


def _dialing() -> _Said:
    """What keeps calls from being dialed that is no fault of a part: a pause, a cap, the carrier's hold, the hour."""
    facts = [fact for fact in situation.look() if fact.kind != "ok" and fact.code not in _TOLD_BY_OTHERS]
    if not facts:
        return _ok("no pause and no limit is in the way of a call")
    said = " ".join(fact.sentence for fact in facts)
    return _warn(said, "nothing, where somebody wants it so; else what it says")
