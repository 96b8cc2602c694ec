"""Reports at the end of a demo: how every call ended, whether each promise was kept, and what to try next."""

import base64
import json
import shlex
import shutil
import sys
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from outbound.local.demo_place import Place
from outbound.local.demo_screen import live_now
from outbound.settings_model import Settings


def rung_more_than_once(settings: Settings) -> int:
    """Return how many of our calls made a phone ring twice, by the simulator's own log."""
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


def are_kept(summary: Mapping[str, Any]) -> bool:
    """Return whether all that the demo counted is as promised."""
    zero = ("pending_without_call_sid", "rung_more_than_once", "queue_len", "unsettled")
    within = all(summary["live_at_most"].get(name, 0) <= most for name, most in summary["live_max"].items())
    held = summary["held"] is not None and summary["held"]["dialed"] == 0
    return summary["calls"] > 0 and within and held and all(summary[name] == 0 for name in zero)


def report(out: Console, summary: Mapping[str, Any], *, kept: bool, as_json: bool) -> None:
    """Print what was counted, and the verdict."""
    if as_json:
        shown = {name: value for name, value in summary.items() if name != "unsettled"}
        print(json.dumps(shown), flush=True)  # noqa: T201 (rich would fold the line)
        return
    ended = ", ".join(f"{count} {status}" for status, count in sorted(summary["by_status"].items()))
    out.print(f"{summary['calls']} calls: {ended}; {summary['leads']} leads")
    if held := summary["held"]:
        out.print(
            f"held by a pause: {held['calls']} calls for {held['seconds']:.0f} s, dialed meanwhile {held['dialed']}"
        )
    out.print(
        f"still waiting {summary['queue_len']}, pending without a call_sid {summary['pending_without_call_sid']}, "
        f"phones rung more than once {summary['rung_more_than_once']}"
    )
    out.print(f"live at once, at most seen: {live_now(summary['live_at_most'], summary['live_max'])}")
    out.print("every promise was kept" if kept else "A PROMISE WAS BROKEN", style="green" if kept else "bold red")


def suggest(console: Console, place: Place, heading: str, there: Sequence[str], elsewhere: Sequence[str] = ()) -> None:
    """
    Print commands that work as they stand, where the demo was started.

    Args:
        there: those that look at the demo's own database; servers of our own start by themselves for one.
        elsewhere: those that need nothing of the demo.
    """
    typed = _as_typed()
    with_data = f"OUTBOUND_DATA_DIR={shlex.quote(str(place.directory))} {typed}"
    console.print(heading)
    for command in there if place.embedded else ():
        console.print(f"  {with_data} {command}", soft_wrap=True)
    for command in elsewhere:
        console.print(f"  {typed} {command}", soft_wrap=True)


def _as_typed() -> str:
    """Return how this program was called, for a line that its user can type."""
    called = Path(sys.argv[0])
    if called.name != "outbound":
        return f"{shlex.quote(sys.executable)} -m outbound"
    on_path = shutil.which("outbound")
    return "outbound" if on_path and called.exists() and Path(on_path).samefile(called) else shlex.quote(str(called))
