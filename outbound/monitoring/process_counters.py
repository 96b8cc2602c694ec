"""
Counts what a web process refused, for its scrape: a refusal leaves no trace in the database.

A flood of forgeries then costs the database nothing; the numbers begin at 0 with each process.  An API process counts
too, and nobody reads its numbers.
"""

from prometheus_client import CollectorRegistry, Counter

registry = CollectorRegistry()

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
    "wrong_tag",
    "other_leg",
):
    refused_callbacks.labels(_reason)

refused_connections = Counter(
    "outbound_connections_refused",
    "Connections that were ended early, by reason; counted by this web process.",
    ["reason"],
    registry=registry,
)
for _reason in (
    "idle",
    "slow",
    "malformed",
    "upgrade",
    "pipelined",
    "head_too_large",
    "body_too_large",
    "too_many",
    "too_many_of_address",
):
    refused_connections.labels(_reason)
