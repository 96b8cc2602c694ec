"""Measures what the queue looks like right now, asked of the table at scrape time."""

import threading
import time
from collections.abc import Iterable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from outbound import __version__, db, logs
from outbound.broker import redis_client
from outbound.call import FINAL
from outbound.calls.cleanup import RULES
from outbound.config import WORKER_SILENT_S, settings
from outbound.database import migrations
from outbound.monitoring.process_counters import registry
from outbound.rules.retry_policy import OUTCOMES

sql = db.statements("monitoring/metrics")
log = logs.get("metrics")

CONTENT_TYPE = CONTENT_TYPE_LATEST  # Prometheus 3 refuses an answer without it
ROWS_MAX = 50  # businesses, and limited scopes, that a scrape names; who has most to do comes first

_CACHE_S = 2  # several scrapers cost one read

Numbers = dict[str, dict[str | None, float]]


def read() -> Numbers:
    """The queue in numbers, straight from the table: {name: {label: value}}; the label is None where there is none."""
    numbers: Numbers = {}
    for row in db.with_connection(_rows):
        numbers.setdefault(row.name, {})[row.label] = float(row.value)
    return numbers


def _rows(connection: db.Connection) -> list[db.Row]:
    return [
        *sql.read_queue(connection, worker_silent_s=WORKER_SILENT_S, rows_max=ROWS_MAX),
        *sql.read_scopes(connection, account_rate=settings().account_rate, rows_max=ROWS_MAX),
        *sql.read_spending(connection, rows_max=ROWS_MAX),
        *sql.read_webhooks(connection),
        *sql.read_totals(connection),
    ]


def queue_len(numbers: Numbers) -> float:
    """Return how many calls wait to be dialed."""
    return numbers["calls"]["queued"] + numbers["calls"]["claimed"]


def exposition() -> bytes:
    """Everything in Prometheus's text format."""
    return generate_latest(registry)


def families(numbers: Numbers) -> Iterable[Metric]:
    """Convert the numbers to Prometheus metrics."""
    yield _gauge("outbound_queue_len", "Calls that wait to be dialed (queued or claimed).", {None: queue_len(numbers)})
    tasks = dict.fromkeys(_TASKS, 0.0) | numbers.get("task", {})
    for name, text, number, *labels in _GAUGES:
        yield _gauge(name, text, tasks if number == "task" else numbers.get(number, {}), *labels)
    accepted = {"accepted": sum(numbers.get("report.create", {}).values())}
    for name, text, counter, label, known in _TOTALS:
        values = dict.fromkeys(known, 0.0) | numbers.get(counter, {}) | (accepted if counter == "dial" else {})
        yield _fill(CounterMetricFamily(name, text, labels=[label]), values)
    for name, text, counter in _HISTOGRAMS:
        yield _histogram(name, text, numbers.get(counter, {}))


# Name, help, the name in metrics.sql, and its labels.  A business or a campaign is named by its id, for people's names
# and numbers of telephones are nobody's metrics; from-numbers are only counted.
_GAUGES = (
    ("outbound_calls", "Calls that are not at their end, by status.", "calls", "status"),
    ("outbound_due_calls", "Queued calls that may be dialed now, as far as pauses and campaigns go.", "due"),
    (
        "outbound_withheld_calls",
        "Queued calls that are due and that an operator or a cap withholds.",
        "withheld",
        "reason",
    ),
    ("outbound_oldest_due_seconds", "How long the oldest of outbound_due_calls has been due.", "oldest_due_seconds"),
    ("outbound_stale_calls", "Calls whose deadline has passed, by rule.", "stale", "rule"),
    (
        "outbound_oldest_stale_seconds",
        "How long ago the first of these deadlines passed, by rule.",
        "oldest_stale_seconds",
        "rule",
    ),
    (
        "outbound_pending_without_call_sid",
        "Calls whose dial has begun and that have no call_sid yet.",
        "pending_without_call_sid",
    ),
    (
        "outbound_worker_threads",
        "Threads of the living workers; each dials up to 16 calls at once.",
        "worker_threads",
    ),
    (
        "outbound_old_table_writes_due",
        "Calls and leads that are not in the tables of the system before yet, 10,000 at most.",
        "old_table_writes_due",
    ),
    ("outbound_webhook_due", "Webhooks that are due or being sent, 10,000 at most.", "webhook_due"),
    (
        "outbound_webhook_oldest_due_seconds",
        "How long the oldest of them has been due, at endpoints that are on and do not fail.",
        "webhook_oldest_due_seconds",
    ),
    ("outbound_webhook_endpoints_off", "Endpoints that failures or a 410 switched off.", "webhook_endpoints_off"),
    ("outbound_dialing_stopped", "1 while this cause stops all dialing.", "dialing_stopped", "cause"),
    (
        "outbound_task_last_success_timestamp_seconds",
        "When a maintenance task (a clean-up rule, reconcile) last succeeded; 0 where it never did.",
        "task",
        "task",
    ),
    ("outbound_business_live_calls", f"Calls in the air; the {ROWS_MAX} busiest.", "business_live", "business"),
    ("outbound_business_due_calls", "Its part of outbound_due_calls.", "business_due", "business"),
    ("outbound_business_queued_calls", "Its calls that wait and are not paused.", "business_queued", "business"),
    (
        "outbound_business_oldest_due_seconds",
        "How long its oldest due call has been due.",
        "business_oldest_due_seconds",
        "business",
    ),
    (
        "outbound_dial_limit_calls_per_second",
        "Calls per second that a scope may begin, where it has such a limit.",
        "limit_calls_per_second",
        "scope",
        "id",
    ),
    (
        "outbound_dial_pace_calls_per_second",
        "The same at this moment: less than the limit while the carrier is in trouble.",
        "pace_calls_per_second",
        "scope",
        "id",
    ),
    ("outbound_dial_limit_live_calls", "Live calls that a scope may have at once.", "limit_live", "scope", "id"),
    ("outbound_dial_live_calls", "Live calls of a scope that has such a limit.", "limited_live", "scope", "id"),
    ("outbound_limited_scopes", "Scopes that have a limit.", "limited_scopes", "scope"),
    ("outbound_paused_scopes", "Scopes that are not running, by who paused them.", "paused_scopes", "scope", "by"),
    ("outbound_capped_scopes", "Scopes whose cap of calls or minutes leaves no room.", "capped_scopes", "scope"),
    (
        "outbound_business_calls_today",
        f"Calls that began today and have ended; the {ROWS_MAX} businesses that call most.",
        "business_calls_today",
        "business",
    ),
    (
        "outbound_business_calls_usual",
        "The same on a day, as the mean of the seven days before.",
        "business_calls_usual",
        "business",
    ),
    (
        "outbound_business_new_countries",
        "Countries that a business called for the first time within the last hour.",
        "new_countries",
        "business",
    ),
    ("outbound_carrier_hold", "1 while calls wait because the carrier is in trouble.", "carrier_hold"),
    (
        "outbound_oldest_snapshot_seconds",
        "Age of the oldest snapshot, which keeps PostgreSQL from cleaning up, by who holds it.",
        "snapshot_seconds",
        "holder",
    ),
    (
        "outbound_oldest_snapshot_transactions",
        "The same, in transactions begun since.",
        "snapshot_transactions",
        "holder",
    ),
)

_TASKS = (*RULES, "reconcile", "hang_up")

# Name, help, counter in the database, label, and the values that are shown from the start: a series that begins with
# its first event hides that event from increase().
BROKER_FAULTS = (*(code.lower() for code in redis_client.FAULTS), "other")
_EFFECTS = ("moved", "unchanged", "unknown_status", "never_dialed")
_TOTALS = (
    (
        "outbound_claims",
        "Claims that a worker gave back: their moment had passed, or they were forbidden since.",
        "claim",
        "result",
        ("given_back",),
    ),
    ("outbound_dials", "Requests to the carrier, by outcome.", "dial", "result", ("refused", "not_sent", "unknown")),
    ("outbound_callbacks", "Callbacks taken, by effect.", "report.callback", "result", _EFFECTS),
    ("outbound_lookups", "Answers to our questions, by effect.", "report.lookup", "result", _EFFECTS[:3]),
    ("outbound_calls_ended", "Calls that ended; one whose late truth differs counts again.", "ended", "status", FINAL),
    (
        "outbound_calls_held",
        "Due calls that a rule put off to later, each time by reason.",
        "held",
        "reason",
        ("registry_check_old", "attempts_per_week", "attempts_per_day", "outside_window"),
    ),
    (
        "outbound_calls_refused_by_rule",
        "Calls that a rule canceled before they were dialed, by reason.",
        "refused_by_rule",
        "reason",
        (
            "campaign_ended",
            "suppressed",
            "not_dialable",
            "destination_not_allowed",
            "no_consent",
            "registry_listed",
            "no_time_zone",
        ),
    ),
    (
        "outbound_retries",
        "Calls after which another attempt was queued, by how they ended.",
        "retry",
        "status",
        OUTCOMES,
    ),
    (
        "outbound_leads",
        "Lead jobs, by result.",
        "lead",
        "result",
        ("created", "existing", "no_phone", "unknown_call", "set_aside"),
    ),
    ("outbound_cleanup_calls", "Calls moved by clean-up.", "cleanup", "rule", tuple(RULES)),
    (
        "outbound_reconcile_closed",
        "Calls closed by reconcile.",
        "reconcile",
        "reason",
        ("no_call_sid", "several_candidates", "unknown_to_carrier"),
    ),
    (
        "outbound_calls_set_aside",
        "Calls that raised an error wherever they were touched, and were closed, by the step that met it.",
        "set_aside",
        "step",
        ("claim", "begin", "dial", "report", "cleanup", "reconcile", "hang_up", "retention"),
    ),
    (
        "outbound_broker_failures",
        "Times that a dispatcher found the broker away, or refusing, by what it answered.",
        "broker_failure",
        "code",
        BROKER_FAULTS,
    ),
    (
        "outbound_old_table_writes",
        "Writes of calls and leads to the tables of the system before that failed, and that were made good later.",
        "old_bridge",
        "result",
        ("failed", "late"),
    ),
    (
        "outbound_webhook_deliveries",
        "Attempts to deliver a webhook, by result; unknown where their worker did not say what came of it.",
        "webhook",
        "result",
        ("delivered", "failed", "given_up", "unknown", "not_sent"),
    ),
    (
        "outbound_deleted_rows",
        "Rows that were deleted for their age, by kind.",
        "retention",
        "kind",
        ("calls", "leads", "registry", "batches", "audit"),
    ),
)

# Name, help and counter in the database; each counts a duration in a bucket where it ends (seconds_counted in SQL).
_HISTOGRAMS = (
    ("outbound_queue_wait_seconds", "From a call's due time to the begin of its dial.", "queue_wait_seconds"),
    ("outbound_dial_seconds", "From the begin of a dial to the carrier's yes or no.", "dial_seconds"),
    ("outbound_callback_lag_seconds", "From an event at the carrier to its callback here.", "callback_lag_seconds"),
    ("outbound_webhook_seconds", "From an event to an endpoint's 2xx.", "webhook_seconds"),
)
_BOUNDS = ("0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60", "120", "300", "900", "3600", "+Inf")


def _gauge(name: str, text: str, values: Mapping[str | None, float], *labels: str) -> Metric:
    return _fill(GaugeMetricFamily(name, text, labels=labels), values, len(labels))


def _fill(family: Metric, values: Mapping[str | None, float], labels: int = 1) -> Metric:
    for label, value in sorted(values.items(), key=str):
        family.add_metric([] if label is None else label.split(" ", labels - 1), value)  # type: ignore[attr-defined]
    return family


def _histogram(name: str, text: str, counted: Mapping[str | None, float]) -> Metric:
    """Every bucket counts what is less than its bound, so what its neighbours counted too."""
    total = 0.0
    buckets = [(bound, total := total + counted.get(bound, 0)) for bound in _BOUNDS]
    family = HistogramMetricFamily(name, text)
    family.add_metric([], buckets, sum_value=counted.get("sum_ms", 0) / 1000)
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
        """Return what generate_latest asks for."""
        with self._lock:
            if time.monotonic() - self._read_at >= _CACHE_S:
                self._cached = self._read()
                self._read_at = time.monotonic()
            return self._cached

    def _read(self) -> list[Metric]:
        info = _gauge("outbound_build_info", "Always 1; the version is the label.", {__version__: 1}, "version")
        from outbound import broker  # `outbound status` reads the numbers where no broker is configured

        answers: dict[str | None, float] = {None: broker.fault() is None}
        schema_text = "Migrations that this version needs and the database lacks."
        missing: dict[str | None, float] = {}
        found: list[Metric] = []
        failed = 0
        try:
            missing = {None: len(migrations.missing_migrations())}
            found = list(families(read()))
        except Exception as error:  # noqa: BLE001 (an old schema has a dozen ways to fail; the scrape must say so)
            log.outage("metrics.unreadable", error)
            failed = 1
        return [
            *found,
            info,
            _gauge("outbound_broker_up", "1 where the broker took and gave a message of this web process.", answers),
            _gauge("outbound_schema_missing_migrations", schema_text, missing),
            _gauge("outbound_scrape_error", "1 where the database could not be read for this scrape.", {None: failed}),
        ]


registry.register(_Queue())
