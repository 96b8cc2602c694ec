"""What the queue looks like right now, asked of the table at scrape time.  Nobody else knows prometheus_client."""

import threading
import time
from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from outbound import __version__, db, logs, schema
from outbound.call import FINAL
from outbound.config import WORKER_SILENT_S

sql = db.statements("metrics")
log = logs.get("metrics")

CONTENT_TYPE = CONTENT_TYPE_LATEST  # Prometheus 3 refuses an answer without it

_CACHE_S = 2  # several scrapers cost one read

registry = CollectorRegistry()

# Refusals leave no trace in the database: a flood of forgeries costs it nothing.  Each web process counts its own.
refused_callbacks = Counter(
    "outbound_callbacks_refused",
    "Carrier callbacks that were refused and changed nothing, by reason; counted by this web process.",
    ["reason"],
    registry=registry,
)
for _reason in (
    "forged",
    "malformed",
    "too_large",
    "unknown_call",
    "other_call_sid",
    "other_account",
    "unknown_number",
):
    refused_callbacks.labels(_reason)

Numbers = dict[str, dict[str | None, float]]


def read() -> Numbers:
    """The queue in numbers, straight from the table: {name: {label: value}}; the label is None where there is none."""
    numbers: Numbers = {}
    for row in db.run(sql.read_metrics, worker_silent_s=WORKER_SILENT_S):
        numbers.setdefault(row.name, {})[row.label] = float(row.value)
    return numbers


def queue_len(numbers: Numbers) -> float:
    """How many calls wait to be dialed."""
    return numbers["calls"]["queued"] + numbers["calls"]["claimed"]


def exposition() -> bytes:
    """Everything in Prometheus's text format."""
    return generate_latest(registry)


def families(numbers: Numbers) -> Iterable[Metric]:
    """The same numbers as Prometheus metrics."""
    yield _gauge("outbound_queue_len", "Calls that wait to be dialed (queued or claimed).", {None: queue_len(numbers)})
    yield _gauge("outbound_calls", "Calls that are not at their end, by status.", numbers["calls"], "status")
    yield _gauge("outbound_due_calls", "Queued calls that may be dialed now.", numbers["due"])
    yield _gauge(
        "outbound_oldest_due_seconds", "How long the oldest due call has been due.", numbers["oldest_due_seconds"]
    )
    yield _gauge("outbound_stale_calls", "Calls whose deadline has passed, by rule.", numbers["stale"], "rule")
    yield _gauge(
        "outbound_pending_without_call_sid",
        "Calls whose dial has begun and that have no call_sid yet.",
        numbers["pending_without_call_sid"],
    )
    yield _gauge("outbound_worker_threads", "Calls that living workers can dial at once.", numbers["worker_threads"])
    yield _gauge(
        "outbound_duty_last_success_timestamp_seconds",
        "When a duty (a clean-up rule, reconcile) last succeeded.",
        numbers.get("duty", {}),
        "duty",
    )
    accepted = {"accepted": sum(numbers.get("report.create", {}).values())}
    for name, text, counter, label, known in _TOTALS:
        values = dict.fromkeys(known, 0.0) | numbers.get(counter, {}) | (accepted if counter == "dial" else {})
        yield _fill(CounterMetricFamily(name, text, labels=[label]), values)


# Name, help, counter in the database, label, and the values that are shown from the start: a series that begins with
# its first event hides that event from increase().
_EFFECTS = ("moved", "unchanged", "unknown_status")
_TOTALS = (
    ("outbound_dials", "Requests to the carrier, by outcome.", "dial", "result", ("refused", "not_sent", "unknown")),
    ("outbound_callbacks", "Callbacks taken, by effect.", "report.callback", "result", _EFFECTS),
    ("outbound_lookups", "Answers to our questions, by effect.", "report.lookup", "result", _EFFECTS),
    ("outbound_calls_ended", "Calls that ended; one whose late truth differs counts again.", "ended", "status", FINAL),
    (
        "outbound_leads",
        "Lead jobs, by result.",
        "lead",
        "result",
        ("created", "existing", "no_phone", "unknown_call", "set_aside"),
    ),
    ("outbound_cleanup_calls", "Calls moved by clean-up.", "cleanup", "rule", ("claimed", "no_call_sid", "no_lead")),
    (
        "outbound_reconcile_closed",
        "Calls closed by reconcile.",
        "reconcile",
        "reason",
        ("no_call_sid", "several_candidates", "unknown_to_carrier"),
    ),
)


def _gauge(name: str, text: str, values: dict[str | None, float], label: str | None = None) -> Metric:
    return _fill(GaugeMetricFamily(name, text, labels=[label] if label else []), values)


def _fill(family: Metric, values: dict[str | None, float]) -> Metric:
    for label, value in sorted(values.items(), key=str):
        family.add_metric([label] if label else [], value)  # type: ignore[attr-defined]
    return family


class _Queue:
    """Reads the table when Prometheus asks, not too often; a failed read shows as outbound_scrape_error."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cached: list[Metric] = []
        self._read_at = float("-inf")

    def describe(self) -> list[Metric]:
        """Nothing: a registration must not ask the database."""
        return []

    def collect(self) -> list[Metric]:
        """What generate_latest asks for."""
        with self._lock:
            if time.monotonic() - self._read_at >= _CACHE_S:
                self._cached = self._read()
                self._read_at = time.monotonic()
            return self._cached

    def _read(self) -> list[Metric]:
        info = _gauge("outbound_build_info", "Always 1; the version is the label.", {__version__: 1}, "version")
        schema_text = "Migrations that this version needs and the database lacks."
        missing: dict[str | None, float] = {}
        found: list[Metric] = []
        failed = 0
        try:
            missing = {None: len(schema.missing_migrations())}
            found = list(families(read()))
        except Exception as error:  # noqa: BLE001 (an old schema has a dozen ways to fail; the scrape must say so)
            log.warning("metrics.unreadable", error=type(error).__name__)
            failed = 1
        return [
            *found,
            info,
            _gauge("outbound_schema_missing_migrations", schema_text, missing),
            _gauge("outbound_scrape_error", "1 where the database could not be read for this scrape.", {None: failed}),
        ]


registry.register(_Queue())
