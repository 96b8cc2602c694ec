"""
Deliver events to endpoints: claim what is due, post it, write what came of it.

What failed is due again by `record_deliveries`, what was claimed and got lost by `release_overdue_deliveries`.
"""

import asyncio
import json
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Event
from typing import Any

from outbound import broker as nudges
from outbound import db, logs
from outbound.config import WORKER_SILENT_S, settings
from outbound.errors import SettingsError
from outbound.failpoint import crash_here
from outbound.webhooks import event_stream, http_client, signature
from outbound.webhooks.http_client import Outcome

sql = db.statements("webhooks/delivery")
log = logs.get("webhook")

IN_FLIGHT_MAX = 32  # of one endpoint
BATCH_MAX = 200  # of one claim; a nudge has those of one endpoint
SENDING_S = 45  # three times what an attempt may take: then its message is taken for lost, or its worker for dead
POSTS_MAX = 256  # of one process at the same time: each has a socket
LOOKUP_THREADS = 32  # for names of hosts; a name server that does not answer holds one for as long as it takes
FAILURES_IN_A_ROW = 5  # then an endpoint is held
HOLD_S, HOLD_MAX_S = 5, 300
FAILING_DAYS, FAILURES_MIN = 5, 20  # then it is switched off
_OUTCOME_WAIT_S = 10  # for a database that is away; after that it is sent again
_BUSY_WAIT_S = 0.02  # between two claims while there is work
_IDLE_S = 5
_AWAY_WAIT_S = 2


@nudges.actor(queue_name="webhooks", max_retries=0)
def deliver_webhooks(endpoint_id: int, *event_ids: int) -> None:
    """
    Post claimed deliveries of one endpoint.

    They are handed to this process's sender, which waits for the endpoint in a thread of its own: a slow one keeps no
    thread that dials.
    """
    rows = db.run(sql.begin_deliveries, endpoint_id=endpoint_id, event_ids=list(event_ids), sending_s=SENDING_S)
    crash_here("webhook.taken")
    if rows:
        _sender().send(rows)


def deliver_until(stop: Event) -> None:
    """
    Claim what is due and nudge workers, until *stop* is set.

    Wakes on NOTIFY and when the next delivery is due, which it asks every _IDLE_S in case a notification was lost, and
    every poll_s while something is due that no claim takes.
    """
    while not stop.is_set():
        try:
            with db.connect(**db.PREPARED) as connection:
                event_stream.take_in_restored()
                db.listen(connection, "outbound_event")
                db.listen(connection, "outbound_delivery")  # an attempt is over: there is room for the next one
                is_due = True
                while not stop.is_set():
                    claimed = claim_once(connection) if is_due else 0
                    due_in_s = 0 if claimed else sql.next_due_s(connection, at_most_s=_IDLE_S)
                    wait_s = _BUSY_WAIT_S if claimed else due_in_s or settings().poll_s
                    is_due = db.wait_for_notice(connection, wait_s) or due_in_s < _IDLE_S
        except db.Unavailable as error:
            log.outage("webhook.waiting", error)
            stop.wait(_AWAY_WAIT_S)
        except Exception:
            log.exception("webhook.claim_failed")
            stop.wait(_AWAY_WAIT_S)


def claim_once(connection: db.Connection | None = None) -> int:
    """Claim what is due and nudge a worker for each endpoint; return how many deliveries were claimed."""
    rows = db.transact(claim, connection)
    by_endpoint: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        by_endpoint[row.endpoint_id].append(row.event_id)
    if not by_endpoint:
        return 0
    crash_here("webhook.claimed")
    messages = [(endpoint_id, *sorted(event_ids)) for endpoint_id, event_ids in by_endpoint.items()]
    if not nudges.nudge_each(deliver_webhooks, messages):
        db.run(
            sql.release_deliveries,
            endpoint_ids=[row.endpoint_id for row in rows],
            event_ids=[row.event_id for row in rows],
        )
        return 0
    return len(rows)


def claim(connection: db.Connection) -> list[db.Row]:
    """Claim deliveries that are due: rows of endpoint_id and event_id."""
    return list(
        sql.claim_deliveries(
            connection,
            batch_max=BATCH_MAX,
            in_flight_max=IN_FLIGHT_MAX,
            sending_s=SENDING_S,
            worker_silent_s=WORKER_SILENT_S,
        )
    )


def return_overdue_deliveries() -> int:
    """Make due what a worker took and wrote no outcome of; return how many."""
    moved = int(db.run(sql.release_overdue_deliveries, batch_max=settings().batch_max))
    if moved:
        log.warning("webhook.overdue", deliveries=moved)
    return moved


def finish(timeout_s: float) -> None:
    """Wait for what this process is sending, *timeout_s* at most; for a worker that ends."""
    if _made:
        _made[0].finish(timeout_s)


def close() -> None:
    """Close the connections of this process's sender; the next delivery makes another one."""
    with _making:
        if _made:
            _made.pop().close()


class _Sender:
    """Posts deliveries on an event loop of its own, and writes their outcomes together."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(LOOKUP_THREADS, "webhook-names"))
        self._writer = ThreadPoolExecutor(1, "webhook-outcomes")
        self._room = asyncio.Semaphore(POSTS_MAX)
        self._outcomes: list[tuple[db.Row, Outcome]] = []
        self._is_writing = False
        self._open: set[Future[None]] = set()
        self._client: http_client.Client | None = None
        threading.Thread(target=self._loop.run_forever, name="webhooks", daemon=True).start()

    def send(self, rows: Sequence[db.Row]) -> None:
        """Post these; returns at once."""
        for row in rows:
            sending = asyncio.run_coroutine_threadsafe(self._deliver(row), self._loop)
            self._open.add(sending)
            sending.add_done_callback(self._open.discard)

    def finish(self, timeout_s: float) -> None:
        """Wait until nothing is being sent."""
        deadline = time.monotonic() + timeout_s
        for sending in list(self._open):
            with suppress(Exception):
                sending.result(max(0, deadline - time.monotonic()))

    def close(self) -> None:
        """Close the connections, and end the thread."""
        if self._client is not None:
            asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _deliver(self, row: db.Row) -> None:
        try:
            async with self._room:
                outcome = await self._post(row)
        except Exception as error:
            log.exception("webhook.not_sent", endpoint_id=row.endpoint_id, webhook_id=row.public_id)
            outcome = Outcome("not_sent", None, type(error).__name__, 0)
        self._outcomes.append((row, outcome))
        if self._is_writing:
            return  # who writes looks again
        self._is_writing = True
        try:
            while self._outcomes:
                outcomes, self._outcomes = self._outcomes, []
                await self._loop.run_in_executor(self._writer, record, outcomes)
        finally:
            self._is_writing = False

    async def _post(self, row: db.Row) -> Outcome:
        if self._client is None:
            self._client = http_client.Client(settings())
        body = _body(row)
        try:
            headers = signature.headers(
                row.public_id,
                int(time.time()),
                body,
                endpoint_id=row.endpoint_id,
                generation=row.secret_generation,
                with_previous=row.signs_with_previous,
            )
        except SettingsError as error:
            log.error("webhook.no_key", endpoint_id=row.endpoint_id)
            return Outcome("not_sent", None, str(error), 0)
        outcome = await self._client.post(row.url, body, headers, own_networks=row.own_networks)
        crash_here("webhook.answered")
        return outcome


def _body(row: db.Row) -> bytes:
    """The body that is posted and signed."""
    payload: dict[str, Any] = {
        "id": row.public_id,
        "type": row.type,
        "timestamp": row.at.isoformat(),
        "business_id": row.business_id,
        "data": row.data,
    }
    if row.is_replay:
        payload["replayed"] = True
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def record(ended: Sequence[tuple[db.Row, Outcome]]) -> None:
    """Write what came of some attempts; where the database stays away, they are sent again."""
    outcomes = [
        {"endpoint_id": row.endpoint_id, "event_id": row.event_id, "attempts": row.attempts, **outcome._asdict()}
        for row, outcome in ended
    ]
    write = partial(
        db.run,
        sql.record_deliveries,
        outcomes=db.json(outcomes),
        in_a_row=FAILURES_IN_A_ROW,
        hold_s=HOLD_S,
        hold_max_s=HOLD_MAX_S,
        failing_days=FAILING_DAYS,
        failures_min=FAILURES_MIN,
    )
    try:
        for endpoint in db.persist(write, for_s=_OUTCOME_WAIT_S):
            log.error("webhook.endpoint_off", endpoint_id=endpoint.id, reason=endpoint.state_reason)
    except db.Unavailable as error:
        log.outage("webhook.unwritten", error)
    except Exception:
        log.exception("webhook.unwritten")
    crash_here("webhook.written")
    for row, outcome in ended:
        log.info(
            f"webhook.{outcome.result}",
            endpoint_id=row.endpoint_id,
            webhook_id=row.public_id,
            attempt=row.attempts,
            status_code=outcome.status_code,
            took_ms=outcome.took_ms,
        )


_made: list[_Sender] = []
_making = threading.Lock()


def _sender() -> _Sender:
    """The sender of this process, made when there is something to send: after the worker forked."""
    with _making:
        if not _made:
            _made.append(_Sender())
        return _made[0]
