"""When a human is called: each alert by its unit tests, and one of them from a stuck call to the all-clear."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from outbound.monitoring import metrics
from outbound.simulator.server import RunningSimulator
from tests import ROOT, forked
from tests.conftest import Servers, World, until
from tests.prometheus import (
    RULES,
    a_prometheus,
    a_system,
    an_alertmanager,
    metrics_in,
    needs_alertmanager,
    needs_prometheus,
)

UNIT_TESTS = ROOT / "ops" / "alerts.test.yml"
RUNBOOK = ROOT / "ops" / "runbook.md"
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]


def _run(*command: object, cwd: Path = ROOT) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# The files


@needs_prometheus
def test_promtool_finds_no_fault_in_what_is_shipped(tmp_path: Path) -> None:
    (tmp_path / "ops").mkdir()
    for name in ("prometheus.yml", "ops/alerts.yml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "metrics_token").write_text("a-token-of-somebody")

    assert f"{len(ALERTS)} rules found" in _run("promtool", "check", "config", "prometheus.yml", cwd=tmp_path)
    assert "SUCCESS" in _run("promtool", "check", "rules", RULES)


@needs_alertmanager
def test_amtool_finds_no_fault_in_what_is_shipped() -> None:
    assert "SUCCESS" in _run("amtool", "check-config", "ops/alertmanager.yml")


@needs_prometheus
def test_each_alert_fires_when_it_should_and_stays_quiet_when_it_should() -> None:
    assert "SUCCESS" in _run("promtool", "test", "rules", UNIT_TESTS)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_each_alert_is_shown_to_fire_and_to_stay_quiet(alert: dict[str, Any]) -> None:
    expected = [
        bool(check["exp_samples"])
        for test in yaml.safe_load(UNIT_TESTS.read_text())["tests"]
        for check in test.get("promql_expr_test", [])
        if f'"{alert["alert"]}"' in check["expr"]
    ]

    assert set(expected) == {True, False}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_each_alert_says_how_bad_it_is_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert re.fullmatch(r"Outbound[A-Z][A-Za-z]+", alert["alert"])
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"ops/runbook.md#{alert['alert'].lower()}"


def test_each_alert_leads_to_a_section_of_the_runbook() -> None:
    sections = re.findall(r"^#+ (\w+)\s*$", RUNBOOK.read_text(), re.M)

    assert {alert["alert"] for alert in ALERTS} <= set(sections)


def test_every_metric_that_an_alert_asks_for_exists(world: World) -> None:
    world.do("update dial_control set calls_per_second = 3, live_max = 4")
    world.queued()

    asked = set.union(*(metrics_in(alert["expr"]) for alert in ALERTS))

    assert asked
    assert asked - metrics_in(metrics.exposition().decode()) == set()


# The real thing


class _Pager(ThreadingHTTPServer):
    """A receiver of alerts, by a webhook."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _PagerEndpoint)
        self.told: list[tuple[str, str]] = []  # alert and status, in the order in which they came


class _PagerEndpoint(BaseHTTPRequestHandler):
    server: _Pager

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.told += [(alert["labels"]["alertname"], alert["status"]) for alert in told["alerts"]]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _a_pager() -> Iterator[_Pager]:
    with _Pager() as pager:
        thread = threading.Thread(target=pager.serve_forever, daemon=True)
        thread.start()
        yield pager
        pager.shutdown()
        thread.join(10)


@needs_prometheus
@needs_alertmanager
@pytest.mark.timeout(240)
def test_a_call_that_sticks_calls_a_human_and_clean_up_gives_the_all_clear(
    servers: Servers, template: str, phones: RunningSimulator, tmp_path: Path
) -> None:
    impatient = re.sub(r"for: \w+", "for: 0s", RULES.read_text())
    with (
        a_system(servers, template, phones) as system,
        forked.processes({"web": ["web"], "worker": ["worker"]}),
        _a_pager() as pager,
        an_alertmanager(tmp_path, f"http://127.0.0.1:{pager.server_port}/") as alertmanager_port,
        a_prometheus(tmp_path, impatient, alertmanager_port) as prometheus,
    ):
        until(lambda: prometheus.ask("outbound_worker_threads > 0"), timeout_s=60)
        assert "OutboundCallsStuck" not in prometheus.firing()

        call_id = system.initiated()  # its worker was killed, and no scheduler is alive
        system.age(call_id, 1000)
        until(lambda: "OutboundCallsStuck" in prometheus.firing(), timeout_s=30)
        until(lambda: ("OutboundCallsStuck", "firing") in pager.told, timeout_s=30)

        with forked.processes({"scheduler": ["scheduler"]}):
            until(lambda: system.call(call_id).status == "failed", timeout_s=30)
            until(lambda: "OutboundCallsStuck" not in prometheus.firing(), timeout_s=30)
            until(lambda: ("OutboundCallsStuck", "resolved") in pager.told, timeout_s=30)
            until(lambda: not prometheus.firing(), timeout_s=30)  # and nothing else is wrong
        assert system.call(call_id).error_code == "no_call_sid"
