"""Calling hours: each window's week, its holidays ahead and who keeps to it; and a change of one day."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from outbound.page import clock, window_state
from outbound.page.menu import ROOT
from outbound.page.route import Screens
from outbound.page.visit import Visit

screens = Screens()

PRESETS = ("il", "uk", "us")


@screens.shows("/windows")
async def list_windows(visit: Visit) -> Response:
    """Show the windows, each with its week."""
    own = visit.caller.business_id
    windows = (await visit.read_every("windows", "windows"))[::-1]
    counts = await run_in_threadpool(window_state.counts, own)
    shown = [
        window
        | {
            "week": window_state.week(window["hours"], visit.t),
            "keepers": counts.get(window["id"]),
            "is_nearly_unknown": window_state.is_nearly_unknown(window["known_until"]),
        }
        for window in windows
    ]
    return visit.show(
        "windows.html", screen="windows", windows=shown, presets=PRESETS, may_change=visit.may("operator", of_all=True)
    )


@screens.shows("/windows/{window_id:int}")
async def show_window(visit: Visit) -> Response:
    """Show one window."""
    window_id, own = int(visit.request.path_params["window_id"]), visit.caller.business_id
    window = await visit.read("windows", window_id)
    zone = await clock.zone(visit)

    def read() -> dict[str, Any]:
        return {
            "sentence": window_state.sentence(window, zone, visit.t),
            "days": window_state.ahead(window, visit.t),
            "keepers": window_state.keepers(window_id, own),
        }

    return visit.show(
        "window.html",
        screen="windows",
        window=window,
        week=window_state.week(window["hours"], visit.t),
        is_nearly_unknown=window_state.is_nearly_unknown(window["known_until"]),
        may_change=visit.may("operator", of_all=True),
        **await run_in_threadpool(read),
    )


@screens.does("/windows")
async def add(visit: Visit) -> Response:
    """Add a window: a preset, or of hours of one's own."""
    fields = await visit.form()
    body = {name: fields[name] for name in ("name", "preset", "hours") if fields.get(name)}
    made = await visit.send("POST", "windows", body=body)
    return visit.go(f"{ROOT}/windows/{made['id']}", "window_added")


@screens.does("/windows/{window_id:int}/days")
async def set_day(visit: Visit) -> Response:
    """Give a day hours of its own, close it, or make it like its weekday again."""
    fields, window_id = await visit.form(), int(visit.request.path_params["window_id"])
    own = {"off": "off", "usual": None}.get(fields.get("what", ""), fields.get("hours", ""))
    await visit.send("PUT", "windows", window_id, "days", fields.get("day") or "-", body={"hours": own})
    return visit.go(f"{ROOT}/windows/{window_id}", "window_day")
