"""Refusals are counted one by one, and logged at most some a second: a flood must not become one of log lines."""

import time

from outbound import logs
from outbound.monitoring import process_counters

log = logs.get("web")

LINES_PER_S = 5  # of the log, of both kinds together


class _Pace:
    """Says whether a line may be written now, and how many were not since the last one."""

    def __init__(self) -> None:
        self._second = 0
        self._lines = 0
        self._suppressed = 0

    def take(self) -> int | None:
        """Return how many lines were held back since the last one; None where this one is too."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._lines = second, 0
        if self._lines >= LINES_PER_S:
            self._suppressed += 1
            return None
        self._lines += 1
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed


_pace = _Pace()


def note_callback(reason: str, peer: str | None) -> None:
    """A callback was refused and changed nothing; *reason* is a label of outbound_callbacks_refused_total."""
    process_counters.refused_callbacks.labels(reason).inc()
    _write("web.refused", reason, peer)


def note_connection(reason: str, peer: str | None) -> None:
    """A connection was ended early; *reason* is a label of outbound_connections_refused_total."""
    process_counters.refused_connections.labels(reason).inc()
    _write("web.connection_refused", reason, peer)


def _write(event: str, reason: str, peer: str | None) -> None:
    suppressed = _pace.take()
    if suppressed is not None:
        log.warning(event, reason=reason, peer=peer, **({"more": suppressed} if suppressed else {}))
