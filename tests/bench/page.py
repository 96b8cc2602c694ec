"""The page: what a hundred who watch cost, how soon they see a commit, and how long each screen takes."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from playwright.sync_api import Page, sync_playwright

from outbound.page.menu import ENTRIES, ROOT
from outbound.rules import api_token
from tests.bench.api import serve
from tests.bench.cluster import Cluster
from tests.bench.flat import _FINISHED, _SLICE
from tests.bench.options import Options
from tests.bench.report import Line, percentile
from tests.bench.world import World, world
from tests.ports import free_ports

WATCHERS = 100
COMMITS = 30
LOOKS = 7  # at each screen, of which the median counts
_WATCH_S = 20
_WARM_S = 15  # an idle connection adds up to 10 s late to the statistics what it did
_SCHEDULER = (
    "insert into duty (name, last_success_at) values ('claimed', now() + interval '1 day')"
    " on conflict (name) do update set last_success_at = excluded.last_success_at"
)
_OWN_FORM = {"sec-fetch-site": "same-origin"}


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """One API process with the page, on a database with history."""
    (port,) = free_ports(1)
    given = {"OUTBOUND_API_PORT": str(port), "OUTBOUND_API_RATE": "100000", "OUTBOUND_PAGE": "true"}
    with world(cluster, "page", **given) as here:
        for begin in range(0, options.rows, _SLICE):
            here.sql(_FINISHED, begin, min(begin + _SLICE, options.rows) - 1)
        here.put_calls(500)
        here.sql("insert into worker (id, threads, seen_at) values (gen_random_uuid(), 8, now() + interval '1 day')")
        here.sql(_SCHEDULER)
        here.sql("vacuum (analyze)")
        url = serve(here)
        with _without_autovacuum(here):  # its transactions would be counted
            watched = _watched(here, url)
        return watched + _seen(here, url) + _screens(url, options)


@contextmanager
def _without_autovacuum(here: World) -> Iterator[None]:
    here.sql("alter system set autovacuum to off")
    here.sql("select pg_reload_conf()")
    yield
    here.sql("alter system reset autovacuum")
    here.sql("select pg_reload_conf()")


def _cookie(url: str) -> dict[str, str]:
    token = api_token.add("bench", scopes=api_token.SCOPES, actor="bench").token
    answer = httpx.post(f"{url}{ROOT}/sign-in", data={"token": token}, headers=_OWN_FORM, timeout=30)
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


def _watched(here: World, url: str) -> list[Line]:
    """A hundred people, each with a session and a stream of their own."""
    cookies = [_cookie(url) for _ in range(WATCHERS)]
    found = asyncio.run(_watch(here, url, cookies))
    seconds, queries, used, events = found
    details = {"streams": WATCHERS, "seconds": seconds, "events of a stream": events / WATCHERS}
    return [
        Line("page, queries of 100 streams", queries / seconds, "queries/s", target=1, is_at="most", details=details),
        Line("page, API process", 100 * used / seconds, "% of a core", target=3, is_at="most", details=details),
    ]


async def _watch(here: World, url: str, cookies: list[dict[str, str]]) -> tuple[float, float, float, int]:
    heard = 0

    async def listen(client: httpx.AsyncClient, cookie: dict[str, str]) -> None:
        nonlocal heard
        page = (await client.get(f"{url}{ROOT}/", headers=cookie)).text
        wanted = {"watch": "now:en", "session": page.partition('data-session="')[2].partition('"')[0]}
        async with client.stream("GET", f"{url}{ROOT}/live", params=wanted, headers=cookie) as answer:
            assert answer.status_code == 200
            async for _ in answer.aiter_bytes():
                heard += 1

    limits = httpx.Limits(max_connections=WATCHERS)
    async with httpx.AsyncClient(timeout=None, limits=limits) as client:  # noqa: S113 (a stream)
        listeners = [asyncio.create_task(listen(client, cookie)) for cookie in cookies]
        await asyncio.sleep(_WARM_S)
        first = _statements(here)
        before = _statements(here)
        at, used, began = heard, here.cpu()["api"], time.monotonic()
        await asyncio.sleep(_WATCH_S)
        seconds, spent, news = time.monotonic() - began, here.cpu()["api"] - used, heard - at
        queries = _statements(here) - before - (before - first)  # without what it costs to count
        for task in listeners:
            task.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
    return seconds, queries, spent, news


def _statements(here: World) -> float:
    """Transactions of the database so far."""
    count = "select sum(xact_commit + xact_rollback) from pg_stat_database where datname = current_database()"
    return here.number(count)


@contextmanager
def _browser(url: str) -> Iterator[Page]:
    token = api_token.add("bench", scopes=api_token.SCOPES, actor="bench").token
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto(f"{url}{ROOT}/")
        tab.fill("#token", token)
        tab.click("button.main")
        tab.wait_for_selector("#live-en-sentence")
        yield tab
        browser.close()


def _seen(here: World, url: str) -> list[Line]:
    """From a commit to the text in a browser, which looks at each frame that it draws."""
    took = []
    with _browser(url) as tab:
        tab.wait_for_timeout(3000)
        for number in range(COMMITS):
            reason = f"reason {number}"
            here.sql(
                "update dial_control set state = 'paused', state_reason = %s, state_since = now()"
                " where scope = 'account'",
                reason,
            )
            began = time.monotonic()
            tab.wait_for_function(
                "reason => document.querySelector('h1').textContent.endsWith(reason)", arg=reason, polling="raf"
            )
            took.append(time.monotonic() - began)
            tab.wait_for_timeout(37 * (number % 27))  # commits fall at any moment between two reads
        here.sql("update dial_control set state = 'running', state_reason = null where scope = 'account'")
    details = {"commits": COMMITS, "p50": percentile(took, 50), "most": max(took)}
    return [Line("page, commit to pixels, p99", percentile(took, 99), "s", target=1, is_at="most", details=details)]


def _screens(url: str, options: Options) -> list[Line]:
    """The time until each screen of the menu is answered."""
    found = {}
    with httpx.Client(headers=_cookie(url), timeout=120) as client:
        for entry in ENTRIES:
            took = []
            for _ in range(LOOKS):
                began = time.monotonic()
                answer = client.get(url + entry.href)
                took.append(1000 * (time.monotonic() - began))
                if answer.status_code == 404:
                    break
            else:
                found[entry.key] = round(percentile(took, 50), 1)
    slowest = max(found.values())
    details = {"rows": options.rows, "screens": found}
    return [Line("page, the slowest screen", slowest, "ms", target=100, is_at="most", details=details)]
