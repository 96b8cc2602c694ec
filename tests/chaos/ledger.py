"""What must be true when everything has settled: asked of the table, and of the simulator, which is the referee."""

import base64
import json
import urllib.request
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from outbound.settings_model import Settings
from outbound.simulator import scenarios
from tests.chaos.calls import Call
from tests.chaos.cluster import Cluster

# Each counts what must not be there.
_MUST_BE_ZERO = {
    "live rows": "select count(*) from call_log where call_status_rank(status) < 5",
    "failed without a reason": "select count(*) from call_log where status = 'failed'"
    " and (error_code is null or coalesce(error_message, '') = '')",
    "ended without a time": "select count(*) from call_log where call_status_rank(status) = 5 and ended_at is null",
    "call_sid without a lead": "select count(*) from call_log where call_sid is not null and lead_id is null",
    "overdue for ever": "select count(*) from call_log where call_status_rank(status) = 5 and overdue_at is not null",
    "leads of one phone": "select count(*) from (select from leads where duplicate_of is null"
    " group by business_id, phone having count(*) > 1) as twins",
    "leads of nobody": "select count(*) from leads where not exists (select from call_log where lead_id = leads.id)",
    "leads of another": "select count(*) from call_log join leads on leads.id = lead_id"
    " where leads.business_id <> call_log.business_id or leads.phone <> call_log.to_number",
}
_ENDED = "select coalesce(sum(value), 0)::bigint as n from counter where name = 'ended'"
_CLOSED = (
    "select coalesce(sum(value), 0)::bigint as n from counter"
    " where name in ('cleanup', 'reconcile') and label in ('no_call_sid', 'several_candidates')"
)
_PENDING_TOO_LONG = """
select id, extract(epoch from dialed_at)::float8 as began, extract(epoch from ended_at)::float8 as ended
  from call_log
 where call_sid is null and dialed_at is not null and ended_at - dialed_at > make_interval(secs => %s)
"""


def simulator_log(settings: Settings, url: str) -> list[dict[str, Any]]:
    """Every create request that the simulator has seen."""
    token = settings.twilio_auth_token.get_secret_value() if settings.twilio_auth_token else ""
    key = base64.b64encode(f"{settings.twilio_account_sid}:{token}".encode()).decode()
    request = urllib.request.Request(f"{url}/simulator/log", headers={"Authorization": f"Basic {key}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 (our own, on loopback)
        entries: list[dict[str, Any]] = json.load(response)
    return entries


def check(cluster: Cluster, calls: list[Call], log: list[dict[str, Any]], bound_s: float) -> dict[str, Any]:
    """The ledger: every line of `faults` must be zero, the rest is worth knowing."""
    rows = cluster.ask("select id, idempotency_key as key, to_number, status, call_sid, error_code from call_log")
    faults = {name: cluster.ask(query)[0].count for name, query in _MUST_BE_ZERO.items()}
    faults |= _of_keys(rows, calls) | _of_rings(rows, log)
    faults["pending beyond the bound"] = _pending_too_long(cluster, bound_s)
    ended, closed = cluster.ask(_ENDED)[0].n, cluster.ask(_CLOSED)[0].n
    faults["ended counter astray"] = int(not len(rows) <= ended <= len(rows) + closed)  # an adopted call ends twice
    return {
        "faults": faults,
        "calls": len(calls),
        "rows": len(rows),
        "by_status": dict(Counter(row.status for row in rows)),
        "by_error": dict(Counter(row.error_code for row in rows if row.error_code)),
        "creates": dict(Counter(entry["outcome"] for entry in log)),
        "closed_though_it_rang": _closed_though_it_rang(rows, log),
    }


def _of_keys(rows: list[Any], calls: list[Call]) -> dict[str, int]:
    """Every key once: a call that is not there is lost, one that is there twice was dialed twice."""
    keys = Counter(row.key for row in rows)
    return {
        "calls without a row": sum(keys[call.key] == 0 for call in calls),
        "keys with several rows": sum(count > 1 for count in keys.values()),
    }


def _of_rings(rows: list[Any], log: list[dict[str, Any]]) -> dict[str, int]:
    """By the referee's log; a callback address is one attempt."""
    accepted = Counter(entry["status_callback"] for entry in log if entry["outcome"] == "accepted")
    rang = Counter(entry["status_callback"] for entry in log if entry["rang"])
    sids = {entry["call_sid"] for entry in log}
    return {
        "attempts accepted twice": sum(count > 1 for count in accepted.values()),
        "rung twice": sum(count > 1 for count in rang.values()),
        "call_sid that the carrier never gave": sum(
            row.call_sid is not None and row.call_sid not in sids for row in rows
        ),
        "ended otherwise than the phone did": sum(
            row.call_sid is not None and row.status != scenarios.scenario_of(row.to_number).ends for row in rows
        ),
    }


def _pending_too_long(cluster: Cluster, bound_s: float) -> int:
    rows = cluster.ask(_PENDING_TOO_LONG, bound_s)
    return sum(row.ended - row.began - cluster.outages.within(row.began, row.ended) > bound_s for row in rows)


def _closed_though_it_rang(rows: list[Any], log: list[dict[str, Any]]) -> dict[str, int]:
    """What cannot be promised, by outcome: it rang, and neither answer, callback nor look-up came in time."""
    rang = {_call_id(entry["status_callback"]) for entry in log if entry["rang"]}
    return dict(Counter(row.to_number[-2:] for row in rows if row.call_sid is None and row.id in rang))


def _call_id(status_callback: str) -> int:
    return int(urlsplit(status_callback).path.split("/")[2])  # /callbacks/{call_id}/{tag}


def verdict(ledger: Mapping[str, Any], stuck_seen: int) -> dict[str, int]:
    """The three numbers that must be zero; every fault of the ledger is one of them."""
    faults = ledger["faults"]
    stuck = ("live rows", "pending beyond the bound", "overdue for ever")
    rung = ("rung twice", "attempts accepted twice", "keys with several rows")
    return {
        "lost": sum(count for name, count in faults.items() if name not in (*stuck, *rung)),
        "rung_twice": sum(faults[name] for name in rung),
        "stuck": sum(faults[name] for name in stuck) + stuck_seen,
    }
