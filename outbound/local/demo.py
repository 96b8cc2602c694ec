"""A short life of some calls on real servers and a simulated carrier, and the proof that every promise was kept."""

import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from outbound import config, db, logs, os_user
from outbound.calls import enqueue
from outbound.calls.import_calls import import_calls
from outbound.database import migrations
from outbound.local import demo_report, demo_screen, embedded_servers, page_token
from outbound.local.demo_place import (
    Place,
    database_of_our_own,
    directory_of_our_own,
    ports_of_our_own,
    servers_of_our_own,
)
from outbound.local.supervisor import Processes, process_commands
from outbound.rules import business, campaign, control
from outbound.rules.limits import set_limits
from outbound.rules.scope import Scope
from outbound.settings_model import Settings
from outbound.shipped import shipped

sql = db.statements("local/demo")

TIME_MAX_S = 110
START_S = 60  # for the web process to listen: on a small machine four processes start at once
HELD_S = 4  # for this long the held calls are alone on the screen, so that they are seen

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
    "OUTBOUND_SCHEMA": "public",  # of a database of its own
}


class _Held(NamedTuple):
    """The campaign that is paused."""

    id: int
    name: str

    @property
    def scope(self) -> Scope:
        return Scope("campaign", str(self.id))


def run(out: Console, err: Console, *, as_json: bool, keep: bool) -> bool:
    """Play the demo, say how it went, and return whether every promise was kept."""
    logs.set_up("WARNING")
    config.use({name: value for name, value in config.environment().items() if not _may_ring(name)} | _FAST)
    with directory_of_our_own() as place:
        with _logs_in(place), ports_of_our_own(3) as ports:
            names = ("OUTBOUND_WEB_PORT", "OUTBOUND_SIMULATOR_PORT", "OUTBOUND_API_PORT")
            config.use(config.environment() | dict(zip(names, map(str, ports), strict=True)))
            page_token.switch_on(config.settings())
            _say_where(err, place)
            with servers_of_our_own(place), database_of_our_own(place):
                _say(err, "tables", f"made by {len(migrations.migrate())} migrations")
                kept, look = _play(out, err, place, as_json=as_json, keep=keep)
        if not as_json:
            demo_report.suggest(out, place, "what to try next:", look, ["up"])
    return kept


def _may_ring(name: str) -> bool:
    """Return whether a variable could lead to a real phone: whatever is configured, the demo rings none."""
    return name.upper().startswith("TWILIO_") or name in ("OUTBOUND_PUBLIC_URL", "CREDENTIALS_DIRECTORY")


def _play(out: Console, err: Console, place: Place, *, as_json: bool, keep: bool) -> tuple[bool, list[str]]:
    """Let the calls live; return whether every promise was kept, and the commands that look at what came of them."""
    settings = config.settings()
    in_process = (settings.redis_url or "").startswith("memory://")
    _say(err, "metrics", f"{settings.callback_base}/metrics")
    _say(err, "carrier", f"a simulator at {settings.api_url}: no phone rings")
    if keep:
        where = f"http://{settings.api_host}:{settings.api_port}/v1"
        _say(err, "API", f"{where}, with a token of `outbound token add`")
        if page := page_token.address(settings):
            _say(err, "page", page)
            _say(err, "token", page_token.make("demo", actor="outbound demo"))
    with Processes(process_commands(simulator=True, in_process=in_process, api=keep), place.log_dir) as processes:
        _say(err, "processes", " ".join(f"{name}={pid}" for name, pid in processes.pids().items()))
        _wait_for_web(processes, settings, place)
        limits, held = _seed(err)
        summary = _watch(processes, err if as_json else out, limits, held)
        summary |= {"live_max": limits, "rung_more_than_once": demo_report.rung_more_than_once(settings)}
        kept = demo_report.are_kept(summary)
        demo_report.report(out, summary, kept=kept, as_json=as_json)
        faulty = [call.id for call in db.run(sql.every_call) if call.trace]
        look = ["status", "calls", *(f"why {call_id}" for call_id in faulty[:1])]
        if keep:
            heading = "everything is still up until Ctrl-C; meanwhile, in another terminal:"
            demo_report.suggest(err, place, heading, look)
            _wait_for_interrupt(processes)
    return kept, look


def _say(err: Console, name: str, what: str) -> None:
    err.print(f"{name:10} {what}", soft_wrap=not err.is_terminal)


def _say_where(err: Console, place: Place) -> None:
    _say(err, "data", f"{place.directory}, with the processes' logs in logs/")
    theirs = "PostgreSQL and Valkey of the demo's own are starting there"
    _say(err, "servers", theirs if place.embedded else f"a database of its own on {config.settings().database_url}")


@contextmanager
def _logs_in(place: Place) -> Iterator[None]:
    """No log line of ours stands between what the demo shows."""
    with (place.log_dir / "demo.log").open("a") as file:
        logs.set_up("WARNING", file)
        try:
            yield
        finally:
            logs.set_up("WARNING")


def _wait_for_web(processes: Processes, settings: Settings, place: Place) -> None:
    """Callbacks and scrapes find somebody in from the first call on."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", settings.web_port), timeout=1):
            return
        processes.tend()
        time.sleep(0.1)
    raise embedded_servers.EmbeddedError(f"the web process did not start within {START_S} s: see {place.log_dir}")


def _seed(err: Console) -> tuple[dict[str, int], _Held]:
    """Two businesses with their limits, calls for both, and a paused campaign; return the limits and the campaign."""
    hello = "<Response><Say>Hello from outbound.</Say></Response>"
    acme = business.add(
        "Acme Dental", time_zone="America/New_York", default_region="US", twiml=hello, phones=["+15005550006"]
    )
    hadar = business.add(
        "מרפאת הדר", time_zone="Asia/Jerusalem", default_region="IL", twiml=hello, phones=["+97235550006"]
    )
    live_max = {acme: 4, hadar: 3}
    for business_id, most in live_max.items():
        set_limits(Scope("business", str(business_id)), live_max=str(most))
    recall = "Winter recall"
    held = _Held(campaign.add(acme, {"name": recall}, actor=os_user.name()), recall)
    control.pause(held.scope, reason="until the others are through")
    for last in (1, 2, 3):
        enqueue.enqueue(campaign_id=held.id, to_number=f"+1500555070{last}", key=f"recall {last}")
    report = import_calls(_calls_csv())
    _say(err, "imported", report.summary())
    for line, reason in report.rejected_lines:
        _say(err, "", f"line {line}: {reason}")
    limits = {row.name: live_max[row.id] for row in business.every()}
    waiting = db.run(sql.held, campaign_id=held.id).calls
    _say(err, "limits", ", ".join(f"{most} live calls of {name}" for name, most in limits.items()))
    _say(err, "paused", f"campaign {held.name} with {waiting} calls, until the others are through")
    return limits, held


def _calls_csv() -> Path:
    return shipped("demo_data", "ops/demo") / "calls.csv"


def _watch(processes: Processes, shown_on: Console, limits: dict[str, int], held: _Held) -> dict[str, Any]:
    """Show the calls until all of them are settled, or time is up; return the last summary, and what was seen."""
    deadline = time.monotonic() + TIME_MAX_S
    live_at_most: Counter[str] = Counter()
    pause = _Pause(held)
    restarts = 0
    with demo_screen.display(shown_on, limits) as screen:
        while True:
            notes = [f"process {name} had ended and was started again" for name in _tended(processes)]
            restarts += len(notes)
            summary: dict[str, Any] = db.run(sql.summary)._asdict()
            live_at_most |= Counter(summary["live"])
            notes += pause.check(seen_s=HELD_S if screen.slow else 0)
            calls = db.run(sql.every_call)
            screen.show(summary, calls, notes)
            if summary["unsettled"] == 0 or time.monotonic() > deadline:
                break
            time.sleep(0.25)
    if screen.slow:
        shown_on.print(demo_screen.faults(calls))
    del summary["live"]
    return summary | {"live_at_most": dict(live_at_most), "held": pause.held, "restarts": restarts}


class _Pause:
    """The campaign's pause, which ends when all other calls are through and the held ones were seen to be held."""

    def __init__(self, held: _Held) -> None:
        self._held = held
        self._began = time.monotonic()
        self._alone_since: float | None = None
        self.held: dict[str, Any] | None = None  # once the pause has ended: what it held

    def check(self, *, seen_s: float) -> list[str]:
        """End the pause if it is time; return what there is to say."""
        now = db.run(sql.held, campaign_id=self._held.id)
        if self.held or not now.others_are_through:
            return []
        if self._alone_since is None:
            self._alone_since = time.monotonic()
            return [f"campaign {self._held.name} is still paused: {now.untouched} of its {now.calls} calls are held"]
        if time.monotonic() < self._alone_since + seen_s:
            return []
        held_s = time.monotonic() - self._began
        dialed = now.calls - now.untouched
        self.held = {"calls": now.calls, "dialed": dialed, "seconds": round(held_s, 1)}
        control.resume(self._held.scope)
        return [f"campaign {self._held.name} was resumed after {held_s:.0f} s, {dialed} of its calls dialed before"]


def _tended(processes: Processes) -> list[str]:
    """Start again what has died; return its names."""
    before = processes.pids()
    processes.tend()
    return [name for name, pid in processes.pids().items() if pid != before[name]]


def _wait_for_interrupt(processes: Processes) -> None:
    try:
        while True:
            processes.tend()
            time.sleep(1)
    except KeyboardInterrupt:
        print(file=sys.stderr)  # noqa: T201
