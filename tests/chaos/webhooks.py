"""
No event lost, none out of the order of its call: webhooks under fire, `python -m tests.chaos.webhooks --help`.

Calls end and get leads; two endpoints are well, one fails in every way that there is, one never answers.  Workers,
schedulers, PostgreSQL and the broker are killed meanwhile.  Exit status 0 only with 0 lost, no unknown id, and the
order of each call kept.
"""

import argparse
import asyncio
import random
import secrets
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
from aiohttp import web

from outbound import db
from outbound.webhooks import endpoint
from tests.chaos import faults
from tests.chaos.__main__ import running_cluster, wait_until_ready
from tests.chaos.cluster import Cluster, NotNow
from tests.ports import free_ports

SETTINGS = {"OUTBOUND_WEBHOOK_KEY": "0123456789abcdef" * 2, "OUTBOUND_WEBHOOK_ALLOW": "127.0.0.0/8"}
BATCH = 200  # calls of one transaction
QUIET_CALLS, QUIET_RATE = 1000, 40  # and events per second, before anything is killed
HANG_S = 30
# What the third endpoint does, of a thousand requests; the rest it takes.
TROUBLES = {"500": 120, "close": 80, "301": 45, "429": 50, "hang": 3, "410": 1}
FAULTS = (
    faults.kill("worker"),
    faults.kill_worker_process,
    faults.kill("scheduler"),
    faults.kill_postgres,
    faults.restart_broker,
    faults.flush_broker,
    faults.take_broker_away,
)


class Receiver:
    """Four endpoints on one port; what each took, in its order, and how late."""

    def __init__(self, rng: random.Random) -> None:
        self.taken: dict[str, list[str]] = defaultdict(list)
        self.late_s: dict[str, list[float]] = defaultdict(list)
        self.is_ill = False  # the third fails at times, and the fourth always
        self._rng = rng

    async def answer(self, request: web.Request) -> web.StreamResponse:
        told = await request.json()
        name = request.match_info["name"]
        trouble = self._trouble(name) if self.is_ill else ""
        if trouble:
            return await self._fail(request, trouble)
        self.taken[name].append(told["id"])
        self.late_s[name].append(time.time() - _seconds(told["timestamp"]))
        return web.Response(status=204)

    def _trouble(self, name: str) -> str:
        place = self._rng.randrange(1000)
        for trouble, share in TROUBLES.items():
            if name == "flaky" and place < share:
                return trouble
            place -= share
        return "hang" if name == "dead" else ""

    def healthy_late_s(self) -> list[float]:
        """How late the two that are well took each event."""
        return self.late_s["well-1"] + self.late_s["well-2"]

    async def _fail(self, request: web.Request, how: str) -> web.StreamResponse:
        if how == "hang":
            await asyncio.sleep(HANG_S)
        if how in ("hang", "close"):
            if request.transport is not None:
                request.transport.close()
            return web.Response(status=500)
        return web.Response(status=int(how), headers={"location": "http://127.0.0.1:1/"} if how == "301" else {})


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


@contextmanager
def receiving(receiver: Receiver, port: int) -> Iterator[None]:
    """Serve it by a thread of its own."""
    loop = asyncio.new_event_loop()
    application = web.Application()
    application.router.add_post("/{name}", receiver.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    loop.run_until_complete(runner.setup())
    loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", port).start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def main() -> int:
    """Play a run, and say how it went."""
    options = _options()
    options.seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    home = Path(tempfile.mkdtemp(prefix="outbound-chaos-"))
    home.chmod(0o755)  # as root, PostgreSQL runs as nobody, who must get there
    print(f"seed {options.seed}: repeat with --events {options.events} --seed {options.seed}", flush=True)  # noqa: T201
    with running_cluster(options, home, SETTINGS) as cluster:
        told = _play(cluster, options)
    for name, value in told.items():
        print(f"{name}: {value}")  # noqa: T201
    kept = not (told["lost"] or told["still waiting"] or told["strange ids"] or told["out of order"])
    print("no event lost, every call's order kept" if kept else "A PROMISE WAS BROKEN")  # noqa: T201
    if kept:
        shutil.rmtree(home, ignore_errors=True)
    return 0 if kept else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.webhooks", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="how many events (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="draws the faults (default: drawn, and printed)")
    parser.add_argument("--faults-every", type=float, default=5, metavar="S", help="seconds from fault to fault")
    parser.add_argument("--rate", type=float, default=300, help="events per second (default: %(default)s)")
    return argparse.Namespace(real_deadlines=False, broker_out_s=6.0, **vars(parser.parse_args()))


def _play(cluster: Cluster, options: argparse.Namespace) -> dict[str, Any]:
    receiver = Receiver(cluster.rng)
    (port,) = free_ports(1)
    wait_until_ready(cluster)
    cluster.ask("alter system set fsync = off")  # servers are killed, not the machine: what is committed stays
    cluster.ask("select pg_reload_conf()")
    with receiving(receiver, port):
        for name in ("well-1", "well-2", "flaky", "dead"):
            _add(port, name)
        business = cluster.ask("insert into business (name, twiml) values ('Acme', '<Response/>') returning id")[0].id
        all_well, before_s = _quiet(cluster, receiver, business, 0)
        receiver.is_ill = True
        _end_calls(cluster, business, 900_000, 20, QUIET_RATE, batch=1)  # after which the dead one is known as dead
        beside, beside_s = _quiet(cluster, receiver, business, 1_000_000)
        public_ids: list[str] = []
        made = threading.Thread(
            target=lambda: public_ids.extend(
                _end_calls(cluster, business, 2_000_000, options.events // 2, options.rate, batch=BATCH)
            )
        )
        made.start()
        caused = _cause_faults(cluster, made, options.faults_every)
        expected = [*all_well, *beside, *public_ids]
        took_s = _settle(cluster, receiver, expected)
    return _ledger(cluster, receiver, expected, before_s, beside_s) | {
        "faults": caused,
        "settled within s": round(took_s),
    }


def _quiet(cluster: Cluster, receiver: Receiver, business: int, first: int) -> tuple[list[str], list[float]]:
    """Let calls end one by one while nothing is killed; their events, and how late the healthy endpoints took them."""
    receiver.late_s.clear()
    made = _end_calls(cluster, business, first, QUIET_CALLS, QUIET_RATE, batch=1)
    _wait(lambda: len(receiver.healthy_late_s()) >= 2 * len(made), 120)
    return made, receiver.healthy_late_s()


def _add(port: int, name: str) -> None:
    endpoint.add(f"http://127.0.0.1:{port}/{name}", actor="chaos")


_END = """
with made as (
    insert into call_log (business_id, from_number, to_number, status, dialed_at, overdue_at, call_sid)
    select %(business)s, '+15005550006', '+1650' || lpad((%(first)s + n)::text, 7, '0'), 'initiated', now(),
           now() + interval '1 hour', 'CA' || lpad(to_hex(%(first)s + n), 32, '0')
      from generate_series(0, %(count)s - 1) as n
    returning id
)
select array_agg(id) from made
"""


def _end_calls(cluster: Cluster, business: int, first: int, count: int, rate: float, *, batch: int) -> list[str]:
    """Let so many calls end, each with a lead, also past outages; the public ids of what that makes."""
    found: list[str] = []
    began = time.monotonic()
    for start in range(0, count, batch):
        size = min(batch, count - start)
        while True:
            with suppress(psycopg.OperationalError), psycopg.connect(cluster.database_url) as line:
                made = line.execute(_END, {"business": business, "first": first + start, "count": size}).fetchone()
                assert made is not None
                ids = made[0]
                line.execute(
                    "update call_log set status = 'completed', ended_at = now(), overdue_at = null where id = any(%s)",
                    (ids,),
                )
                line.execute(
                    "with lead as (insert into leads (business_id, phone) select business_id, to_number from call_log"
                    " where id = any(%s) returning id, phone) update call_log set lead_id = lead.id from lead"
                    " where call_log.id = any(%s) and to_number = phone",
                    (ids, ids),
                )
                line.commit()
                found += [f"evt_{kind}_{number}" for number in ids for kind in ("call_ended", "lead_created")]
                break
            time.sleep(0.3)
        time.sleep(max(0, began + 2 * (start + size) / rate - time.monotonic()))
    return found


def _cause_faults(cluster: Cluster, made: threading.Thread, every_s: float) -> int:
    caused = 0
    while made.is_alive():
        until = time.monotonic() + every_s * cluster.rng.uniform(0.5, 1.5)
        while time.monotonic() < until and made.is_alive():
            cluster.tend()
            _hurry(cluster)
            time.sleep(0.5)
        with suppress(NotNow, psutil.NoSuchProcess), cluster.rng.choice(FAULTS)(cluster):
            caused += 1
            time.sleep(cluster.rng.uniform(0, 2))
    return caused


def _settle(cluster: Cluster, receiver: Receiver, expected: list[str]) -> float:
    """Let everything be delivered; the waits between attempts are shortened."""
    began = time.monotonic()
    wanted = set(expected)

    def done() -> bool:
        cluster.tend()
        _hurry(cluster)
        return all(wanted <= set(receiver.taken[name]) for name in ("well-1", "well-2", "flaky"))

    _wait(done, 300 + len(expected) / 50, every_s=1)
    return time.monotonic() - began


def _hurry(cluster: Cluster) -> None:
    """Age what waits for its next attempt, and switch on what said that it is gone."""
    with suppress(psycopg.Error):
        cluster.ask(
            "update webhook_delivery set due_at = now(), attempts = least(attempts, 5)"
            " where state = 'due' and due_at > now() and endpoint_id <= 3"
        )
        cluster.ask(  # what was claimed and not begun when it said that it is gone
            "update webhook_delivery as delivery set overdue_at = now() from webhook_endpoint as endpoint"
            " where endpoint.id = endpoint_id and endpoint.state = 'off' and delivery.state = 'claimed'"
        )
        cluster.ask("update webhook_endpoint set hold_until = null, state = 'on' where id <= 3")


def _wait(condition: Any, at_most_s: float, every_s: float = 0.1) -> None:
    deadline = time.monotonic() + at_most_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(every_s)


def _ledger(
    cluster: Cluster, receiver: Receiver, expected: list[str], before_s: list[float], beside_s: list[float]
) -> dict[str, Any]:
    wanted = set(expected)
    known = {row.public_id for row in cluster.ask("select public_id from event_log")}
    missing = {name: wanted - set(receiver.taken[name]) for name in ("well-1", "well-2", "flaky")}
    waiting = cluster.ask(
        "select endpoint_id, public_id from webhook_delivery inner join event_log on event_log.id = event_id"
        " where state in ('due', 'claimed', 'sending') and endpoint_id <= 3"
    )
    to_come = {name: {row.public_id for row in waiting if row.endpoint_id == n} for n, name in enumerate(missing, 1)}
    taken = sum(len(ids) for ids in receiver.taken.values())
    distinct = sum(len(set(ids)) for ids in receiver.taken.values())
    (given_up,) = cluster.ask("select count(*) from webhook_delivery where state = 'given_up' and endpoint_id <= 3")
    return {
        "events": len(wanted),
        "not taken": {name: len(ids) for name, ids in missing.items()},
        "still waiting": len(waiting),
        "lost": sum(len(ids - to_come[name]) for name, ids in missing.items()),
        "strange ids": sum(len(set(ids) - known) for ids in receiver.taken.values()),
        "out of order": sum(_out_of_order(ids) for ids in receiver.taken.values()),
        "taken twice under one id": taken - distinct,
        "p99 of two endpoints beside two that are well, s": _p99(before_s),
        "p99 of the two beside a flaky and a dead one, s": _p99(beside_s),
        "given up": given_up.count,
    }


def _out_of_order(ids: list[str]) -> int:
    """Leads that were taken before the end of their call was."""
    first: dict[str, int] = {}
    for place, name in enumerate(ids):
        first.setdefault(name, place)
    return sum(
        first.get(f"evt_call_ended_{name.rpartition('_')[2]}", -1) > place
        for name, place in first.items()
        if name.startswith("evt_lead_created_")
    )


def _p99(values: list[float]) -> float:
    return round(statistics.quantiles(values, n=100)[98], 3) if len(values) > 1 else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        db.close()
