"""Can calls be made right now, and if not, what is missing; /readyz and `outbound ready` say it."""

from typing import NamedTuple

from outbound import broker, db, logs
from outbound.database import migrations
from outbound.monitoring import situation

log = logs.get("health")

_MISSING = {  # what of dialing_blockers must be mended, by the name of what is missing; the rest holds calls
    "stopped_recovery": "dialing",
    "stopped_broker": "broker",
    "no_scheduler": "scheduler",
    "no_worker": "consumers",
}


class Health(NamedTuple):
    """
    The answer whether calls can be made, in sentences by name.

    `missing`: what must be mended (database, schema, broker, dialing, consumers, scheduler); empty where calls can be
    made.  `held`: what a person or a limit wants so, or the carrier: paused, carrier_hold, spend_cap and the like.  No
    process is restarted, and nobody woken, for these: a pause is no fault of this process.
    """

    missing: dict[str, str]
    held: dict[str, str]

    def as_json(self, *, with_reasons: bool = True) -> dict[str, object]:
        """Return what /readyz and `outbound ready --json` answer; without reasons, of what is held only the names."""
        held = self.held if with_reasons else dict.fromkeys(self.held, "`outbound status` says since when and why")
        return {"ready": not self.missing, "missing": self.missing, "held": held}


def check() -> Health:
    """
    Return what a call needs and is not there, and what keeps calls from being dialed though all is there.

    The broker must take a message and give it back.  Takes some 15 s at most where the database or the broker is away.
    Nothing in it is secret: no address, no user of a server, no word of an error but its code.
    """
    fault = broker.fault()
    missing = {} if fault is None else {"broker": str(fault), "consumers": "no nudge reaches them"}
    try:
        lacking = migrations.missing_migrations()
        if lacking:
            db.with_connection(migrations.refuse_foreign)
            return Health(missing | {"schema": f"lacks {len(lacking)} migrations: run `outbound migrate`"}, {})
        blockers = situation.blockers()
    except migrations.ForeignTables as foreign:
        return Health(missing | {"schema": str(foreign)}, {})
    except db.Unavailable as error:
        cause = db.cause_of(error)
        text = str(cause) if isinstance(cause, db.UnfitDatabase) else "does not answer"
        return Health(missing | {"database": text}, {})
    except Exception as error:  # noqa: BLE001 (no permission, a foreign schema: whatever it is, calls cannot be made)
        log.outage("health.unreadable", error)
        return Health(missing | {"database": "cannot be read"}, {})
    found = {_MISSING[fact.code]: fact.sentence for fact in blockers if fact.code in _MISSING}
    held = {fact.code: fact.sentence for fact in blockers if fact.code not in _MISSING}
    return Health(missing | {name: text for name, text in found.items() if name not in missing}, held)
