"""
Nothing lost, no phone rung twice: prove it under fire.

Runs the whole system on servers of its own, with simulated phones, breaks things at random from a printed seed, lets it
settle and checks the ledger.  Exit status 0 only with 0 lost, 0 rung twice, 0 stuck.
"""

import argparse
import os
import random
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rich.console import Console

from outbound import config, db, logs
from outbound.database import migrations
from tests import forked, host_clock
from tests.chaos import calls, ledger, scoreboard, servers
from tests.chaos.cluster import Cluster
from tests.chaos.fault_schedule import FaultSchedule
from tests.chaos.proxy import Proxy, tcp, unix
from tests.chaos.watch import Watch
from tests.ports import free_ports

# A tenth of life; ring_s and time_limit_s as short as they may be.
_DEADLINES = {
    "OUTBOUND_CARRIER_TIMEOUT_S": "1.5",
    "OUTBOUND_CLAIM_S": "3",
    "OUTBOUND_ASK_S": "6",
    "OUTBOUND_CLOSE_S": "10.5",
    "OUTBOUND_RELOOK_S": "1",
    "OUTBOUND_MARGIN_S": "3",
    "OUTBOUND_LEAD_S": "3",
    "OUTBOUND_PUT_BACK_S": "0.5",
    "OUTBOUND_HOLD_MAX_S": "0",  # the carrier is in trouble all the time; holds have test_breaker
    "OUTBOUND_TICK_S": "0.5",
    "OUTBOUND_RING_S": "15",
    "OUTBOUND_TIME_LIMIT_S": "10",
}
_BESIDES = {
    "OUTBOUND_CARRIER": "simulator",
    "OUTBOUND_LOOKUPS_PER_MINUTE": "6000",
    "OUTBOUND_SIMULATOR_SPEED": "30",
    "OUTBOUND_BROKER_NAMESPACE": "chaos",
    "TWILIO_ACCOUNT_SID": "AC" + "0123456789abcdef" * 2,
    "TWILIO_AUTH_TOKEN": "a-token-that-signs-nothing-real",
}
# In life 120 s are promised, close_s is 105 and tick_s 5: ten seconds for all else, and these no setting shortens.
_SLACK_S = 10
_CARRIER = {"simulator": ["simulator"]}
_PROCESSES = {
    "web": ["web"],
    "worker-1": ["worker"],
    "worker-2": ["worker"],
    "scheduler-1": ["scheduler"],
    "scheduler-2": ["scheduler"],
}
_READY_S = 60
_OURS = ("OUTBOUND_", "TWILIO_", "DATABASE_URL", "REDIS_URL")


def main() -> int:
    """Play a run, and say how it went."""
    options = _options()
    options.seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    out = Console(width=None if sys.stdout.isatty() else 120)
    out.print(
        f"seed {options.seed}: repeat this run with --calls {options.calls} --seed {options.seed}", highlight=False
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    home = Path(tempfile.mkdtemp(prefix="outbound-chaos-"))
    home.chmod(0o755)  # as root, PostgreSQL runs as nobody, who must get there
    boring = False
    try:
        with running_cluster(options, home) as cluster:
            told = _play(cluster, options, home)
        scoreboard.tell(out, told)
        boring = kept = not (told["lost"] or told["rung_twice"] or told["stuck"])
        out.print(
            "nothing lost, no phone rung twice, nothing stuck" if kept else "A PROMISE WAS BROKEN",
            style="green" if kept else "bold red",
        )
        if options.json:
            print(scoreboard.as_line(told), flush=True)  # noqa: T201 (rich would fold the line)
    except KeyboardInterrupt:
        out.print("interrupted: everything is stopped")
        boring = True
        return 130
    finally:
        if boring and not options.keep:
            shutil.rmtree(home, ignore_errors=True)
        else:
            out.print(f"logs and data are kept in {home}", soft_wrap=True, highlight=False)
    return 0 if kept else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--calls", type=int, default=1000, help="how many calls (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="draws the calls and the faults (default: drawn, and printed)")
    parser.add_argument("--faults-every", type=float, default=2.5, metavar="S", help="seconds from fault to fault")
    parser.add_argument("--at-once", type=int, default=3, metavar="N", help="faults at one time; 1 waits for recovery")
    parser.add_argument("--rate", type=float, help="calls enqueued per second (default: 12 to 40)")
    parser.add_argument("--broker-out-s", type=float, default=6, metavar="S", help="how long the broker stays away")
    parser.add_argument("--real-deadlines", action="store_true", help="60 and 120 s, not a tenth of them")
    parser.add_argument("--keep", action="store_true", help="keep logs and data also of a run that went well")
    parser.add_argument("--json", action="store_true", help="the result once more, as one line of JSON")
    return parser.parse_args()


@contextmanager
def running_cluster(
    options: argparse.Namespace, home: Path, settings: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """Servers, proxies and processes, with more *settings*; everything is stopped at the end, whatever happens."""
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        del os.environ[name]
    logs.set_up("WARNING")
    database_port, broker_port, carrier_port, callback_port, simulator_port, web_port = free_ports(6)
    with ExitStack() as stack:
        postgres, brokers = stack.enter_context(servers.running(home))
        url = postgres.url
        real_port = int(url.rpartition("@")[2].split(":")[1].split("/")[0])
        database_proxy = stack.enter_context(Proxy(database_port, tcp(real_port)))
        broker_proxy = stack.enter_context(Proxy(broker_port, unix(servers.socket_path(brokers[0].url))))
        carrier_proxy = stack.enter_context(Proxy(carrier_port, tcp(simulator_port)))
        callback_proxy = stack.enter_context(Proxy(callback_port, tcp(web_port)))
        os.environ.update(_BESIDES | ({} if options.real_deadlines else _DEADLINES) | dict(settings or {}))
        os.environ.update(
            {
                "DATABASE_URL": url.replace(f":{real_port}/", f":{database_port}/"),
                "REDIS_URL": f"redis://127.0.0.1:{broker_port}",
                "TWILIO_API_URL": f"http://127.0.0.1:{carrier_port}",
                "OUTBOUND_PUBLIC_URL": f"http://127.0.0.1:{callback_port}",
                "OUTBOUND_WEB_PORT": str(web_port),
                "OUTBOUND_SIMULATOR_PORT": str(simulator_port),
            }
        )
        config.use(None)
        migrations.migrate()
        stack.callback(db.close)
        log_dir = home / "logs"
        log_dir.mkdir()
        library = host_clock.build(home)
        clock = host_clock.HostClock(library, home / "clock") if library else None
        carrier = stack.enter_context(forked.processes(_CARRIER, log_dir))  # its clock is its own
        processes = stack.enter_context(forked.processes(_PROCESSES, log_dir, clock.environment if clock else None))
        yield Cluster(
            settings=config.settings(),
            rng=random.Random(options.seed),
            database_url=url,
            postgres=postgres,
            brokers=brokers,
            database_proxy=database_proxy,
            broker_proxy=broker_proxy,
            carrier_proxy=carrier_proxy,
            callback_proxy=callback_proxy,
            clock=clock,
            carrier=carrier,
            processes=processes,
            broker_out_s=options.broker_out_s,
        )


def _play(cluster: Cluster, options: argparse.Namespace, home: Path) -> dict[str, object]:
    settings = cluster.settings
    bound_s = settings.close_s + settings.tick_s + _SLACK_S
    drawn = calls.draw(options.calls, calls.open_businesses(), options.seed)
    wait_until_ready(cluster)
    referee = cluster.carrier.pids()["simulator"]
    rate = options.rate or min(40, max(12, options.calls / 25))
    began_at = time.monotonic()
    with Watch(cluster, bound_s) as watch, calls.Seeder(drawn, rate, options.seed, home) as seeder:
        schedule = FaultSchedule(cluster, watch, options.faults_every, options.at_once)
        try:
            _cause_faults(cluster, schedule, seeder, watch, deadline=began_at + 120 + 3 * options.calls / rate)
        finally:
            schedule.stop()
        unmeasured = watch.expect_no_more()
        took_s = time.monotonic() - began_at
        _settle(cluster, watch, began_at=time.monotonic(), most_s=bound_s + settings.ring_s + settings.margin_s + 60)
        settled_s = time.monotonic() - began_at - took_s
    if cluster.carrier.pids()["simulator"] != referee:
        raise SystemExit("the simulator died and forgot its log: this run proves nothing")
    log = ledger.simulator_log(settings, f"http://127.0.0.1:{settings.simulator_port}")
    result = ledger.check(cluster, drawn, log, bound_s)
    result["faults"]["lines refused by the import"] = seeder.rejected
    return scoreboard.summary(
        result,
        ledger.verdict(result, len(watch.stuck)),
        schedule,
        watch,
        {
            "seed": options.seed,
            "took_s": round(took_s, 1),
            "settled_s": round(settled_s, 1),
            "database_away_s": round(cluster.outages.total_s(), 1),
            "recoveries_unmeasured": unmeasured,
            "stuck_seen": sorted(watch.stuck),
        },
    )


def wait_until_ready(cluster: Cluster) -> None:
    """Wait until the workers have a heartbeat, and the referee and the web process listen."""
    deadline = time.monotonic() + _READY_S
    while cluster.ask("select count(*) from worker")[0].count < 2 or not _listens(cluster.settings.simulator_port):
        if time.monotonic() > deadline:
            raise SystemExit("the processes did not start: see the logs")
        cluster.tend()
        time.sleep(0.2)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _cause_faults(
    cluster: Cluster, schedule: FaultSchedule, seeder: calls.Seeder, watch: Watch, deadline: float
) -> None:
    """Break things until every call has been enqueued and the queue is empty."""
    while not (seeder.done and watch.waiting == 0) and time.monotonic() < deadline:
        cluster.tend()
        schedule.step()
        time.sleep(0.1)


def _settle(cluster: Cluster, watch: Watch, began_at: float, most_s: float) -> None:
    """Wait until every call has ended and every lead is made."""
    looks = watch.looks
    while time.monotonic() < began_at + most_s:
        cluster.tend()
        if watch.looks > looks + 4 and watch.waiting == 0 and watch.unsettled == 0:
            return
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
