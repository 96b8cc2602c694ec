"""Debian's Prometheus and Alertmanager, with the files that are shipped, on a real run; for test_alerts and others."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import requests

from outbound.processes.parent_death import die_with
from outbound.simulator.server import RunningSimulator
from tests import ROOT
from tests.conftest import Environment, Servers, World, open_database, until
from tests.ports import free_ports

RULES = ROOT / "ops" / "alerts.yml"
DASHBOARD = ROOT / "ops" / "grafana" / "dashboards" / "outbound.json"
TOKEN = "a-metrics-token-of-the-tests"
SCRAPE_S = 1

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="no prometheus and promtool here: apt-get install prometheus",
)
needs_alertmanager = pytest.mark.skipif(
    not (shutil.which("prometheus-alertmanager") and shutil.which("amtool")),
    reason="no prometheus-alertmanager here: apt-get install prometheus-alertmanager",
)


class Prometheus:
    """A running one."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series that a query finds now, those without a number left out."""
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": query}, timeout=10).json()
        assert answer["status"] == "success", f"{query}: {answer}"
        return [series for series in answer["data"]["result"] if not isnan(float(series["value"][1]))]

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {series["metric"]["alertname"] for series in self.ask('ALERTS{alertstate="firing"}')}


@contextmanager
def a_system(servers: Servers, template: str, phones: RunningSimulator, **environment: str) -> Iterator[World]:
    """A database, and the settings of processes that live off it: a fast life, and a web process with a token."""
    port = free_ports(1)[0]
    fast = {"OUTBOUND_TICK_S": "0.5", "OUTBOUND_RELOOK_S": "1", "OUTBOUND_POLL_S": "0.5"}
    fast |= {"OUTBOUND_WEB_PORT": str(port), "OUTBOUND_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    fast |= {"TWILIO_API_URL": phones.url, "OUTBOUND_METRICS_TOKEN": TOKEN}
    with open_database(servers, template) as url, Environment(**(fast | environment)):
        phones.reset()
        world = World(url)
        yield world
        world.connection.close()


@contextmanager
def a_prometheus(directory: Path, rules: str, alertmanager_port: int = 9) -> Iterator[Prometheus]:
    """Prometheus with the prometheus.yml that is shipped, which reads this test's web process every second."""
    port = free_ports(1)[0]
    changes = {"web:8080": f"127.0.0.1:{os.environ['OUTBOUND_WEB_PORT']}", "15s": f"{SCRAPE_S}s", "14s": f"{SCRAPE_S}s"}
    changes |= {"alertmanager:9093": f"127.0.0.1:{alertmanager_port}"}
    config = directory / "prometheus.yml"
    config.write_text(_changed((ROOT / "prometheus.yml").read_text(), changes))
    (directory / "ops").mkdir()
    (directory / "ops" / "alerts.yml").write_text(rules)
    (directory / "metrics_token").write_text(f"{TOKEN}\n")
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with _served(command, f"http://127.0.0.1:{port}", directory / "prometheus.log"):
        yield Prometheus(f"http://127.0.0.1:{port}")


@contextmanager
def an_alertmanager(directory: Path, webhook_url: str) -> Iterator[int]:
    """Alertmanager with the alertmanager.yml that is shipped, which tells a webhook at once; its port."""
    port = free_ports(1)[0]
    told = f"\n    webhook_configs: [{{url: {webhook_url}}}]\n"
    changes = {"name: page\n": f"name: page{told}", "name: ticket\n": f"name: ticket{told}"}
    changes |= {"group_wait: 30s": "group_wait: 0s", "group_interval: 5m": "group_interval: 1s"}
    config = directory / "alertmanager.yml"
    config.write_text(_changed((ROOT / "ops" / "alertmanager.yml").read_text(), changes))
    command = ["prometheus-alertmanager", f"--config.file={config}", f"--storage.path={directory / 'alertmanager'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn"]
    with _served(command, f"http://127.0.0.1:{port}", directory / "alertmanager.log"):
        yield port


def _changed(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"{old!r} is not there to be changed"
        text = text.replace(old, new)
    return text


@contextmanager
def _served(command: list[str], url: str, log: Path) -> Iterator[None]:
    """A server of our own, which ends with this block, or with us."""
    with ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            preexec_fn=die_with(os.getpid(), signal.SIGTERM),  # noqa: PLW1509 (it asks the kernel, and no lock)
        )
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)

        def is_ready() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return requests.get(f"{url}/-/ready", timeout=5).ok
            except requests.ConnectionError:
                return False

        until(is_ready, timeout_s=60)
        yield


def metrics_in(text: str) -> set[str]:
    """The names of our metrics that a text holds."""
    return set(re.findall(r"\boutbound_[a-z_]+", text))
