"""A short life of 28 calls on real servers and a simulated carrier, and the proof that every promise was kept."""

import base64
import json
import os
import shutil
import socket
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from outbound import business, campaign, config, control, db, embedded, enqueue, logs, operator, schema
from outbound.control import Scope
from outbound.home import at_home
from outbound.printing import Table, cell
from outbound.up import Processes, doors

sql = db.statements("demo")

TIME_MAX_S = 110
DATABASE = "outbound_demo"

# A call's deadlines, shortened: what takes two minutes in life is over in twenty seconds here.
_FAST = {
    "OUTBOUND_CARRIER": "simulator",
    "OUTBOUND_CARRIER_TIMEOUT_S": "3",
    "OUTBOUND_RING_S": "15",
    "OUTBOUND_TIME_LIMIT_S": "15",
    "OUTBOUND_CLAIM_S": "6",
    "OUTBOUND_ASK_S": "6",
    "OUTBOUND_CLOSE_S": "14",
    "OUTBOUND_RELOOK_S": "2",
    "OUTBOUND_MARGIN_S": "1",
    "OUTBOUND_LEAD_S": "3",
    "OUTBOUND_PUT_BACK_S": "1",
    "OUTBOUND_HOLD_MAX_S": "1",
    "OUTBOUND_POLL_S": "0.5",
    "OUTBOUND_WORKER_THREADS": "3",  # few, so that the queue can be seen to fall
    "OUTBOUND_TICK_S": "1",
    "OUTBOUND_LOOKUPS_PER_MINUTE": "600",
    "OUTBOUND_SIMULATOR_SPEED": "2",
    "OUTBOUND_BROKER_NAMESPACE": DATABASE,
    "OUTBOUND_SCHEMA": "public",  # of a database of its own
}

_STYLES = {"completed": "green", "failed": "red", "in-progress": "bold", "ringing": "bold"}


def run(out: Console, err: Console, *, as_json: bool, keep: bool) -> bool:
    """Play the demo, say how it went, and return whether every promise was kept."""
    logs.set_up("WARNING")
    data_dir = (config.load().data_dir or embedded.default_data_dir()) / "demo"
    os.environ.update(_FAST | {"OUTBOUND_DATA_DIR": str(data_dir)})
    for name in [name for name in os.environ if name.upper().startswith("TWILIO_")] + ["OUTBOUND_PUBLIC_URL"]:
        os.environ.pop(name, None)  # whatever is configured, the demo rings no phone
    os.environ["OUTBOUND_WEB_PORT"], os.environ["OUTBOUND_SIMULATOR_PORT"] = map(str, free_ports(2))
    config.forget()

    with at_home(broker=True, lasting=True):
        os.environ["DATABASE_URL"] = db.recreate_database(DATABASE)
        db.close()
        config.forget()
        schema.migrate()
        try:
            return _play(out, err, _log_dir(data_dir), as_json=as_json, keep=keep)
        finally:
            db.close()


def _play(out: Console, err: Console, log_dir: Path, *, as_json: bool, keep: bool) -> bool:
    settings = config.settings()
    in_process = (settings.redis_url or "").startswith("memory://")
    _say_where(err, settings, log_dir)
    with Processes(doors(simulator=True, in_process=in_process), log_dir) as processes:
        err.print(f"processes  {' '.join(f'{name}={pid}' for name, pid in processes.pids().items())}")
        _wait_for_web(processes, settings)
        limits, paused = _seed(err)
        summary = _watch(processes, None if as_json else out, paused)
        summary["live_max"] = limits
        summary["rung_more_than_once"] = _rung_more_than_once(settings)
        kept = _kept(summary)
        _tell(out, summary, kept=kept, as_json=as_json)
        if keep:
            err.print("everything is still up; Ctrl-C ends it")
            _wait_for_interrupt(processes)
    return kept


def _say_where(err: Console, settings: config.Settings, log_dir: Path) -> None:
    err.print(f"database   {settings.database_url or ''}", soft_wrap=True)
    err.print(f"metrics    {settings.callback_base}/metrics", soft_wrap=True)
    err.print(f"carrier    a simulator at {settings.api_url}: no phone rings", soft_wrap=True)
    err.print(f"logs       {log_dir}", soft_wrap=True)


def _wait_for_web(processes: Processes, settings: config.Settings) -> None:
    """Callbacks and scrapes find somebody in from the first call on."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", settings.web_port), timeout=1):
            return
        processes.tend()
        time.sleep(0.1)


def _seed(err: Console) -> tuple[dict[str, int], Scope]:
    """Two businesses with their limits, calls for both, and a paused campaign; return the limits and the campaign."""
    hello = "<Response><Say>Hello from outbound.</Say></Response>"
    acme = business.add(
        "Acme Dental", time_zone="America/New_York", default_region="US", twiml=hello, phones=["+15005550006"]
    )
    hadar = business.add(
        "מרפאת הדר", time_zone="Asia/Jerusalem", default_region="IL", twiml=hello, phones=["+97235550006"]
    )
    limits = {acme: 4, hadar: 3}
    for business_id, live_max in limits.items():
        control.limit(Scope("business", str(business_id)), live_max=str(live_max))
    recall = campaign.add(acme, {"name": "Winter recall"}, who=operator.name())
    paused = Scope("campaign", str(recall))
    control.pause(paused, reason="until the others are through")
    for last in (1, 2, 3):
        enqueue.enqueue(campaign_id=recall, to_number=f"+1500555070{last}", key=f"recall {last}")
    report = enqueue.import_calls(_calls_csv())
    for line, reason in report.rejected_lines:
        err.print(f"calls.csv line {line}: {reason}")
    err.print(f"imported   {report.created} queued, {report.already_there} there already, {report.rejected} refused")
    err.print("limits     4 live calls of Acme Dental and 3 of מרפאת הדר; campaign Winter recall is paused")
    return {row.name: limits[row.id] for row in business.every()}, paused


def _calls_csv() -> Path:
    """The demo's calls: inside an installed package, or under ops/ in a checkout."""
    here = Path(__file__).parent
    inside = here / "demo_data" / "calls.csv"
    return inside if inside.exists() else here.parent / "ops" / "demo" / "calls.csv"


def _watch(processes: Processes, out: Console | None, paused: Scope) -> dict[str, Any]:
    """Show the calls until all of them are settled, or time is up; return the last summary and the most live calls."""
    deadline = time.monotonic() + TIME_MAX_S
    live_at_most: Counter[str] = Counter()
    resumed = False
    with Live(console=out, refresh_per_second=4, transient=True) if out else nullcontext() as live:
        while True:
            processes.tend()
            summary: dict[str, Any] = db.run(sql.summary)._asdict()
            live_at_most |= Counter(summary.pop("live"))
            if live is not None:
                live.update(_table(db.run(sql.every_call)))
            if summary["unsettled"] == 0 or time.monotonic() > deadline:
                if out:
                    out.print(_table(db.run(sql.every_call)))
                return summary | {"live_at_most": dict(live_at_most)}
            if not resumed and summary["unsettled"] == summary["queue_len"]:  # nobody but the campaign is left
                resumed = control.resume(paused)
            time.sleep(0.25)


def _table(calls: list[db.Row]) -> Table:
    table = Table("call", "business", "its story", "status", "call_sid", "lead", "why")
    for call in calls:
        table.add_row(
            str(call.id),
            call.business,
            call.story,
            cell(call.status, style=_STYLES.get(call.status, "")),
            "yes" if call.has_sid else "-",
            str(call.lead_id or "-"),
            call.why,
        )
    return table


def _rung_more_than_once(settings: config.Settings) -> int:
    """How many of our calls made a phone ring twice, by the simulator's own log."""
    token = settings.twilio_auth_token.get_secret_value() if settings.twilio_auth_token else ""
    key = base64.b64encode(f"{settings.twilio_account_sid}:{token}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 (our own simulator on loopback)
        f"{settings.api_url}/simulator/log", headers={"Authorization": f"Basic {key}"}
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback is behind no proxy
    with direct.open(request, timeout=10) as response:
        entries = json.load(response)
    rings = Counter(entry["status_callback"] for entry in entries if entry["rang"])
    return sum(times > 1 for times in rings.values())


def _kept(summary: Mapping[str, Any]) -> bool:
    zero = ("pending_without_call_sid", "rung_more_than_once", "queue_len", "unsettled")
    within = all(summary["live_at_most"].get(name, 0) <= most for name, most in summary["live_max"].items())
    return summary["calls"] > 0 and within and all(summary[name] == 0 for name in zero)


def _tell(out: Console, summary: dict[str, Any], *, kept: bool, as_json: bool) -> None:
    if as_json:
        told = {name: value for name, value in summary.items() if name != "unsettled"}
        print(json.dumps(told), flush=True)  # noqa: T201 (rich would fold the line)
        return
    ended = ", ".join(f"{count} {status}" for status, count in sorted(summary["by_status"].items()))
    out.print(f"{summary['calls']} calls: {ended}; {summary['leads']} leads")
    out.print(
        f"still waiting {summary['queue_len']}, pending without a call_sid {summary['pending_without_call_sid']}, "
        f"phones rung more than once {summary['rung_more_than_once']}"
    )
    most = ", ".join(
        f"{name} {summary['live_at_most'].get(name, 0)} of {live_max}" for name, live_max in summary["live_max"].items()
    )
    out.print(f"live at once at most: {most}")
    out.print("every promise was kept" if kept else "A PROMISE WAS BROKEN", style="green" if kept else "bold red")


def _wait_for_interrupt(processes: Processes) -> None:
    try:
        while True:
            processes.tend()
            time.sleep(1)
    except KeyboardInterrupt:
        print(file=sys.stderr)  # noqa: T201


def _log_dir(data_dir: Path) -> Path:
    log_dir = data_dir / "logs"
    shutil.rmtree(log_dir, ignore_errors=True)
    log_dir.mkdir(parents=True)
    return log_dir


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens to at this moment."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
