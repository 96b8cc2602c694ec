"""Every kind of fault: what it breaks, so that no two break one thing at the same time, and how long it lasts."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.chaos import faults
from tests.chaos.cluster import Cluster


@dataclass(frozen=True)
class Fault:
    """One kind of trouble: what it breaks, how to cause it, and how many seconds it lasts."""

    target: str
    cause: Callable[[Cluster], AbstractContextManager[None]]
    lasts_s: Callable[[Cluster], tuple[float, float]] = lambda _: (0, 0)


def _some_seconds(_: Cluster) -> tuple[float, float]:
    return 2, 5


def _past_every_deadline(cluster: Cluster) -> tuple[float, float]:
    return cluster.settings.close_s + 1, cluster.settings.close_s + 2


def _broker_out(cluster: Cluster) -> tuple[float, float]:
    return cluster.broker_out_s, cluster.broker_out_s


def _below_timeout(cluster: Cluster) -> tuple[float, float]:
    return 0.3 * cluster.settings.carrier_timeout_s, 0.8 * cluster.settings.carrier_timeout_s


def _above_timeout(cluster: Cluster) -> tuple[float, float]:
    return 1.2 * cluster.settings.carrier_timeout_s, 2 * cluster.settings.carrier_timeout_s


KINDS = {
    "postgres restarted": Fault("postgres", faults.restart_postgres),
    "postgres killed": Fault("postgres", faults.kill_postgres),
    "postgres backends terminated": Fault("postgres", faults.terminate_backends),
    "postgres sockets half-open": Fault("postgres", faults.leave_sockets_half_open, _some_seconds),
    "postgres read-only": Fault("postgres", faults.make_read_only, _some_seconds),
    "postgres disk full": Fault("postgres", faults.fill_the_disk, _some_seconds),
    "broker flushed": Fault("broker", faults.flush_broker),
    "broker restarted": Fault("broker", faults.restart_broker),
    "broker out": Fault("broker", faults.take_broker_away, _broker_out),
    "broker frozen": Fault("broker", faults.freeze_broker, lambda _: (4, 8)),
    "broker failed over": Fault("broker", faults.fail_over_broker),
    "nudges repeated": Fault("broker", faults.repeat_nudges),
    "messages poisoned": Fault("broker", faults.poison_queues),
    "worker process killed": Fault("worker", faults.kill_worker_process),
    "worker master killed": Fault("worker", faults.kill("worker")),
    "worker stopped": Fault("worker", faults.stop("worker"), _past_every_deadline),
    "worker terminated": Fault("worker", faults.terminate("worker")),
    "scheduler killed": Fault("scheduler", faults.kill("scheduler")),
    "scheduler stopped": Fault("scheduler", faults.stop("scheduler"), _past_every_deadline),
    "scheduler terminated": Fault("scheduler", faults.terminate("scheduler")),
    "web killed": Fault("web", faults.kill("web")),
    "web stopped": Fault("web", faults.stop("web"), _some_seconds),
    "web terminated": Fault("web", faults.terminate("web")),
    "clock set": Fault("clock", faults.set_clock),
    "callbacks lost": Fault("callbacks", faults.lose_callbacks, _some_seconds),
    "carrier slow": Fault("carrier", faults.hold_carrier, _below_timeout),
    "carrier silent": Fault("carrier", faults.hold_carrier, _above_timeout),
    "carrier cut": Fault("carrier", faults.cut_carrier),
    "carrier away": Fault("carrier", faults.take_carrier_away, _some_seconds),
}
