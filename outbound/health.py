"""Can calls be made right now, and if not, what is missing; /readyz and `outbound ready` say it."""

from outbound import broker, db, logs, schema
from outbound.config import WORKER_SILENT_S

sql = db.statements("health")
log = logs.get("health")


def missing() -> dict[str, str]:
    """
    What a call needs and is not there, by name: database, schema, broker, dialing, consumers; empty where calls can be
    made.

    The broker must take a message and give it back.  Takes some 15 s at most where the database or the broker is away.
    Nothing in it is secret: no address, no user, no word of an error but its code.
    """
    fault = broker.fault()
    found = {} if fault is None else {"broker": str(fault), "consumers": "no nudge reaches them"}
    try:
        lacking = schema.missing_migrations()
        if lacking:
            db.with_connection(schema.refuse_foreign)
            return found | {"schema": f"lacks {len(lacking)} migrations: run `outbound migrate`"}
        stopped = db.run(sql.dialing_stopped)
        threads = db.run(sql.living_worker_threads, worker_silent_s=WORKER_SILENT_S)
    except schema.ForeignTables as foreign:
        return found | {"schema": str(foreign)}
    except db.Unavailable as error:
        cause = db.cause_of(error)
        if isinstance(cause, db.UnfitDatabase):
            return found | {"database": str(cause)}
        return found | {"database": "does not answer"}
    except Exception as error:  # noqa: BLE001 (no permission, a foreign schema: whatever it is, calls cannot be made)
        log.outage("health.unreadable", error)
        return found | {"database": "cannot be read"}
    if stopped is not None:
        found["dialing"] = stopped
    if not threads:
        found["consumers"] = "no worker is alive"
    return found
