"""The list of calls as Twilio's API gives it: filtered, newest first, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from itertools import islice
from urllib.parse import urlencode

from yarl import URL

from outbound.simulator.call_store import CallStore
from outbound.simulator.simulated_call import SimulatedCall
from outbound.simulator.twilio_errors import Form

PAGE = 50  # calls on a page unasked
PAGE_MAX = 1000


def page_of(store: CallStore, url: URL) -> dict[str, object]:
    """The page that *url* asks for, in Twilio's frame. Raises KeyError or ValueError for what makes no sense."""
    asked = url.query
    size = min(max(int(asked.get("PageSize", PAGE)), 1), PAGE_MAX)
    page = max(int(asked.get("Page", 0)), 0)
    skipped = 0 if asked.get("PageToken") else page * size
    calls = list(islice(_matching(store, asked), skipped, skipped + size + 1))  # one more, if there is a next page
    shown = calls[:size]
    filters = {name: value for name, value in asked.items() if not name.startswith("Page")}

    def uri(page: int, **more: str) -> str:
        return f"{url.path}?{urlencode({**filters, 'PageSize': size, 'Page': page, **more})}"

    return {
        "calls": [call.resource() for call in shown],
        "page": page,
        "page_size": size,
        "start": page * size,
        "end": page * size + max(len(shown) - 1, 0),
        "uri": str(url),
        "first_page_uri": uri(0),
        "previous_page_uri": uri(page - 1) if page else None,
        "next_page_uri": uri(page + 1, PageToken=f"PA{shown[-1].sid}") if len(calls) > size else None,
    }


def _matching(store: CallStore, asked: Form) -> Iterator[SimulatedCall]:
    """
    Calls that pass every filter, newest first, from after the page token on.

    Of StartTime and EndTime only the day counts: Twilio's documentation promises no more.
    """
    token = asked.get("PageToken")
    before = store.calls[token.removeprefix("PA")].number if token else len(store.calls)
    calls = store.calls_to.get(asked["To"], []) if asked.get("To") else list(store.calls.values())
    days = {name: day for name in asked if (day := _day_of(name, asked[name])) is not None}
    for call in reversed(calls):
        if call.number < before and _passes(call, asked) and _falls_on(call, days):
            yield call


def _passes(call: SimulatedCall, asked: Form) -> bool:
    return (
        asked.get("From") in (None, "", call.form["From"])
        and asked.get("Status") in (None, "", call.rest_status)
        and not asked.get("ParentCallSid")  # No simulated call has a parent.
    )


def _day_of(name: str, value: str) -> date | None:
    """The day a time filter names; None for any other parameter. Raises ValueError for what is no date."""
    return datetime.fromisoformat(value).date() if name.rstrip("<>") in ("StartTime", "EndTime") else None


def _falls_on(call: SimulatedCall, days: dict[str, date]) -> bool:
    """Return whether the call started and ended on these days; what has not happened falls on none."""
    for name, day in days.items():
        at = call.started_at if name.startswith("Start") else call.ended_at
        if at is None:
            return False
        if not {"<": at.date() <= day, ">": at.date() >= day}.get(name[-1], at.date() == day):
            return False
    return True
