"""The worker process: its actors, and the heartbeat that lets dispatch claim calls for them."""

import multiprocessing
import signal
import threading
import uuid
from typing import Any

import dramatiq

from outbound import db, logs
from outbound.broker import current
from outbound.calls import dial, dispatch, lead
from outbound.config import HEARTBEAT_S, require_account
from outbound.database import migrations
from outbound.errors import SettingsError
from outbound.processes import systemd_notify
from outbound.processes.parent_death import die_with
from outbound.webhooks import delivery, http_client

__all__ = ["delivery", "dial", "in_this_process", "lead", "set_up"]  # the actors are defined with their modules

log = logs.get("worker")


class Heartbeat(dramatiq.Middleware):
    """Says every few seconds that this process is alive; without it nothing is claimed."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._id = uuid.uuid4()

    def after_process_boot(self, _broker: dramatiq.Broker) -> None:
        """
        In a process that Dramatiq's command forked: stop when the master is killed, and refuse to work without an
        account, a database or a schema that is new enough.

        Dramatiq logs an exception of this and goes on, but it lets SystemExit through; systemd, or the parent
        process, starts the master again.
        """
        _die_with_master()
        logs.set_up()
        try:
            require_account()
            migrations.require()
        except (SettingsError, migrations.SchemaTooOld) as error:
            raise SystemExit(f"outbound worker: {error}") from None
        except db.Unavailable as error:
            raise SystemExit(f"outbound worker: the database does not answer ({type(error).__name__})") from None
        except Exception as error:
            log.exception("worker.not_started")
            raise SystemExit(f"outbound worker: not started ({type(error).__name__})") from None

    def after_worker_boot(self, _broker: dramatiq.Broker, worker: Any) -> None:
        """Begin, once the threads can take messages."""
        self._id = uuid.uuid4()  # a process of its own: forks must not share an id
        threading.Thread(target=self._beat, args=(worker,), name="heartbeat", daemon=True).start()

    def before_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Any) -> None:
        """Stop before the threads do, so that nothing more is claimed for them."""
        self._stopped.set()
        systemd_notify.stopping()
        try:
            dispatch.farewell(self._id)
        except db.Unavailable as error:
            log.outage("worker.farewell_unheard", error)

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Any) -> None:
        """Let the webhooks that are being sent come to their end."""
        delivery.finish(http_client.TOTAL_S)

    def _beat(self, worker: Any) -> None:
        while not self._stopped.is_set():
            alive = sum(thread.is_alive() for thread in worker.workers)
            try:
                if alive:
                    dispatch.heartbeat(self._id, alive)
            except db.Unavailable as error:
                log.outage("worker.heartbeat_unheard", error)
            except Exception:
                log.exception("worker.heartbeat_failed")  # without the next one, nothing would be claimed for us again
            if alive:  # the database answered, or was found away; a process whose threads all died is no use to anybody
                systemd_notify.at_work()
            self._stopped.wait(HEARTBEAT_S)


def set_up() -> dramatiq.Broker:
    """Give this process its broker, with the actors and one heartbeat.  Dramatiq's command calls it by name."""
    broker = current()
    if not any(isinstance(known, Heartbeat) for known in broker.middleware):
        broker.add_middleware(Heartbeat())
    dramatiq.set_broker(broker)  # Dramatiq's command takes it from there
    return broker


def in_this_process(threads: int) -> dramatiq.Worker:
    """Start worker threads inside this process, for a broker that lives in it too."""
    worker = dramatiq.Worker(set_up(), worker_threads=threads)
    worker.start()
    return worker


def _die_with_master() -> None:
    """
    Without the master a worker's log has no reader, and the first full pipe would stop it for ever, unseen.

    So it dies at once, and what it held is found out as after any crash.
    """
    master = multiprocessing.parent_process()
    ask = die_with(master.pid, signal.SIGKILL) if master is not None and master.pid else None
    if ask is not None:
        ask()
