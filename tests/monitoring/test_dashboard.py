"""What an operator sees: every query of the dashboard, asked of a real Prometheus that reads a real run."""

import itertools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from outbound.calls import enqueue
from outbound.local.supervisor import process_commands
from outbound.monitoring import metrics
from outbound.simulator.server import RunningSimulator
from tests import ROOT, forked
from tests.conftest import Servers, World, until
from tests.prometheus import DASHBOARD, RULES, a_prometheus, a_system, metrics_in, needs_prometheus
from tests.webhooks.receiver import receiving

BOARD: dict[str, Any] = json.loads(DASHBOARD.read_text())
PANELS: list[dict[str, Any]] = BOARD["panels"]
QUERIES = {target["expr"]: panel["title"] for panel in PANELS for target in panel["targets"]}
FATES = ("01", "11", "12", "13", "15", "01", "22", "01")  # the last digits of a number; answered, busy, refused, ...


def test_every_panel_has_a_place_of_its_own_and_the_datasource_that_is_chosen_above() -> None:
    squares = [
        (x, y)
        for place in (panel["gridPos"] for panel in PANELS)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(squares) == len(set(squares))
    assert max(x for x, _ in squares) < 24
    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
    assert [variable["name"] for variable in BOARD["templating"]["list"]] == ["datasource"]


def test_every_metric_that_the_dashboard_shows_exists(world: World) -> None:
    world.do("update dial_control set calls_per_second = 3, live_max = 4")
    world.queued()

    assert metrics_in(" ".join(QUERIES)) - metrics_in(metrics.exposition().decode()) == set()


def test_grafana_is_told_where_prometheus_and_the_dashboard_are() -> None:
    provisioning = ROOT / "ops" / "grafana" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"][0]
    provider = yaml.safe_load((provisioning / "dashboards" / "outbound.yml").read_text())["providers"][0]

    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    scraped = re.search(r"scrape_interval: (\w+)", (ROOT / "prometheus.yml").read_text())
    assert scraped is not None
    assert source["jsonData"]["timeInterval"] == scraped[1]  # $__rate_interval follows it
    assert (provider["type"], provider["options"]["path"]) == ("file", "/var/lib/grafana/dashboards")


@contextmanager
def a_busy_system(servers: Servers, template: str, phones: RunningSimulator, **environment: str) -> Iterator[World]:
    """A real run with limits and a pause, whose calls must be fed to it."""
    with a_system(servers, template, phones, **environment) as system:
        system.do("update dial_control set calls_per_second = 8, live_max = 30 where scope = 'account'")
        for name, limits in (("First", "live_max = 6"), ("Second", "weight = 2"), ("Paused", "state = 'paused'")):
            business_id = system.business(name)
            system.do("insert into dial_control (scope, key) values ('business', %s)", str(business_id))
            system.do(f"update dial_control set {limits} where key = %s", str(business_id))  # noqa: S608 (ours)
        with forked.processes(process_commands(simulator=False, in_process=False)) as processes:
            until(lambda: system.value("select count(*) from worker") > 0, timeout_s=30)
            processes.tend()
            yield system


def feed(system: World, numbers: Iterator[int], calls: int, names: str = "First|Second|Paused") -> None:
    """Put more calls of every scenario in the queue, for each of these businesses."""
    for row, number in itertools.product(
        system.rows("select id from business where name ~ %s", names), list(itertools.islice(numbers, calls))
    ):
        enqueue.enqueue(business_id=row.id, to_number=f"+1500{number:05d}{FATES[number % len(FATES)]}")


@needs_prometheus
@pytest.mark.timeout(240)
def test_every_query_of_the_dashboard_finds_what_it_shows(
    servers: Servers, template: str, phones: RunningSimulator, tmp_path: Path
) -> None:
    unanswered = dict(QUERIES)
    numbers = itertools.count(20_000)
    webhooks = {"OUTBOUND_WEBHOOK_KEY": "0123456789abcdef" * 2, "OUTBOUND_WEBHOOK_ALLOW": "127.0.0.0/8"}
    with (
        receiving() as receiver,
        a_busy_system(servers, template, phones, **webhooks) as system,
        a_prometheus(tmp_path, RULES.read_text()) as prometheus,
    ):
        system.do(
            "insert into webhook_endpoint (url, own_networks, created_by) values (%s, true, 'test')", receiver.url
        )
        feed(system, numbers, 5)

        def all_answered() -> bool:
            if system.value("select count(*) from call_log where status = 'queued'") < 30:
                feed(system, numbers, 5, "First|Second")
            for query in list(unanswered):
                if prometheus.ask(query.replace("$__rate_interval", "10s")):
                    del unanswered[query]
            return not unanswered

        with suppress(AssertionError):
            until(all_answered, timeout_s=90)
        assert unanswered == {}
        assert prometheus.ask("sum(outbound_calls_ended_total) > 0")
        assert prometheus.ask('outbound_withheld_calls{reason="paused"} > 0')
