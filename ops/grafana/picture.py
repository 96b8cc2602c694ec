"""
Draw the dashboard as a picture where there is no Grafana: its own queries, a real Prometheus' answers, Chromium.

    python ops/grafana/picture.py http://127.0.0.1:9090 outbound.png [MINUTES [RATE_INTERVAL [END, in Unix time]]]
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from html import escape
from math import isnan
from pathlib import Path
from typing import Any

import requests

BOARD = json.loads((Path(__file__).parent / "dashboards" / "outbound.json").read_text())
COLUMN, ROW, GAP = 58, 27, 8  # pixels, like Grafana's grid of 24 columns
POINTS = 240
LEFT = 56  # of a graph, for what its lines are worth
COLORS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#ffa6b0", "#96d98d", "#c8f2c2")
STYLE = """
body { margin: 0; background: #111217; color: #ccccdc; font: 12px "DejaVu Sans", sans-serif; }
.panel { position: absolute; background: #181b1f; border: 1px solid #2c3235; border-radius: 3px; overflow: hidden; }
.title { padding: 5px 8px 0; font-weight: 600; white-space: nowrap; }
.stat { font-size: 34px; text-align: center; padding-top: 8px; }
.legend { padding: 0 8px; font-size: 10px; line-height: 13px; } .legend b { margin: 0 3px 0 7px; }
table { width: 100%; border-collapse: collapse; margin-top: 6px; } td, th { text-align: left; padding: 4px 8px; }
tr + tr td { border-top: 1px solid #2c3235; } text { fill: #9fa7b3; font-size: 10px; }
"""


class Prometheus:
    """What it says of some minutes, and of their end."""

    def __init__(self, url: str, minutes: float, rate_interval: str, end: float) -> None:
        self._url, self._rate_interval = url, rate_interval
        self.start, self.end = end - minutes * 60, end

    def ask(self, query: str, **span: float) -> list[dict[str, Any]]:
        """The series of a query: at the end, or over a span."""
        wanted: dict[str, str | float] = {"query": query.replace("$__rate_interval", self._rate_interval)}
        wanted |= span or {"time": self.end}
        path = "query_range" if span else "query"
        answer = requests.get(f"{self._url}/api/v1/{path}", params=wanted, timeout=30).json()
        return list(answer["data"]["result"])

    def over_time(self, query: str) -> list[dict[str, Any]]:
        """The series of a query over all of the time."""
        return self.ask(query, start=self.start, end=self.end, step=(self.end - self.start) / POINTS)


def shown(value: float, unit: str) -> str:
    """A value as Grafana would write it, more or less."""
    if unit == "s":
        sizes = ((3600, "h"), (60, "min"), (1, "s"), (0.001, "ms"))
        size, name = next((step for step in sizes if value >= step[0] * 0.99), sizes[-1])
        return f"{value / size:.3g} {name}" if value else "0 s"
    return f"{value:.3g}{' c/s' if unit == 'cps' else ''}"


def named(legend: str, labels: dict[str, str]) -> str:
    """A legend with its labels filled in."""
    for label in ("status", "result", "rule", "reason", "scope", "id", "by", "holder", "task"):
        legend = legend.replace("{{" + label + "}}", labels.get(label, ""))
    return legend.strip()


def stat(panel: dict[str, Any], prometheus: Prometheus) -> str:
    """One big number, in the color of its threshold."""
    defaults = panel["fieldConfig"]["defaults"]
    found = prometheus.ask(panel["targets"][0]["expr"])
    value = float(found[0]["value"][1]) if found else 0
    steps = defaults.get("thresholds", {"steps": [{"color": "#73bf69", "value": None}]})["steps"]
    color = [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]
    words = {key: word["text"] for mapping in defaults.get("mappings", []) for key, word in mapping["options"].items()}
    text = words.get(f"{value:g}", shown(value, defaults["unit"]))
    color = {"green": "#73bf69", "yellow": "#f2cc0c", "red": "#f2495c"}.get(color, color)
    return f'<div class="stat" style="color: {color}">{text}</div>'


def table(panel: dict[str, Any], prometheus: Prometheus) -> str:
    """A row per business, with a column per query."""
    columns = [
        {series["metric"]["business"]: float(series["value"][1]) for series in prometheus.ask(target["expr"])}
        for target in panel["targets"]
    ]
    names = panel["transformations"][1]["options"]["renameByName"]
    heads = [names["business"], *(names[f"Value #{target['refId']}"] for target in panel["targets"])]
    rows = []
    for key in sorted(columns[0], key=lambda key: -columns[0][key]):
        units = ("s" if head == "oldest due" else "" for head in heads[1:])
        cells = zip(columns, units, strict=True)
        rows.append([key, *(shown(column.get(key, 0), unit) for column, unit in cells)])
    return f"<table>{_row('th', heads)}{''.join(_row('td', row) for row in rows)}</table>"


def _row(cell: str, values: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{cell}>{value}</{cell}>' for value in values)}</tr>"


def timeseries(panel: dict[str, Any], prometheus: Prometheus) -> str:
    """Lines over time, or areas upon each other, and their legend."""
    custom, unit = panel["fieldConfig"]["defaults"]["custom"], panel["fieldConfig"]["defaults"]["unit"]
    lines = [
        (named(target["legendFormat"], series["metric"]), {float(at): float(value) for at, value in series["values"]})
        for target in panel["targets"]
        for series in prometheus.over_time(target["expr"])
    ]
    lines = [(name, {at: value for at, value in line.items() if not isnan(value)}) for name, line in lines]
    is_stacked = custom["stacking"]["mode"] == "normal"
    floor: dict[float, float] = {}
    drawn = []
    for name, line in lines:
        floors = {at: floor.get(at, 0) if is_stacked else 0 for at in line}
        tops = {at: value + floors[at] for at, value in line.items()}
        drawn.append((name, tops, floors))
        floor |= tops
    width, height = panel["gridPos"]["w"] * COLUMN - GAP - 16, panel["gridPos"]["h"] * ROW - GAP - 64
    top = max((value for _, tops, _ in drawn for value in tops.values()), default=0) * 1.1 or 1

    def spot(at: float, value: float) -> str:
        x = LEFT + (at - prometheus.start) / (prometheus.end - prometheus.start) * (width - LEFT - 2)
        return f"{x:.1f},{height - value / top * (height - 6):.1f}"

    parts = []
    for part in (0, 0.5, 1):
        y = height - part * (height - 6)
        parts.append(f'<line x1="{LEFT}" x2="{width}" y1="{y:.0f}" y2="{y:.0f}" stroke="#25282d"/>')
        parts.append(f'<text x="{LEFT - 4}" y="{y + 3:.0f}" text-anchor="end">{shown(top * part, unit)}</text>')
    for number, (_, tops, floors) in enumerate(drawn):
        color = COLORS[number % len(COLORS)]
        upper = [spot(at, value) for at, value in tops.items()]
        lower = [spot(at, value) for at, value in reversed(floors.items())]
        parts.append(f'<polygon points="{" ".join(upper + lower)}" fill="{color}" opacity="{custom["fillOpacity"]}%"/>')
        parts.append(f'<polyline points="{" ".join(upper)}" fill="none" stroke="{color}" stroke-width="1.3"/>')
    for part in (0, 0.25, 0.5, 0.75, 1):
        at = prometheus.start + part * (prometheus.end - prometheus.start)
        clock, anchor = time.strftime("%H:%M", time.localtime(at)), "end" if part == 1 else "middle"
        parts.append(f'<text x="{spot(at, 0).split(",")[0]}" y="{height + 13}" text-anchor="{anchor}">{clock}</text>')
    legend = "".join(
        f'<b style="color: {COLORS[number % len(COLORS)]}">—</b>{escape(name)}'
        for number, (name, *_) in enumerate(drawn)
    )
    return f'<svg width="{width}" height="{height + 16}">{"".join(parts)}</svg><div class="legend">{legend}</div>'


def page(prometheus: Prometheus) -> str:
    """All of the dashboard."""
    parts = []
    for panel in BOARD["panels"]:
        place = {name: panel["gridPos"][name] * (COLUMN if name in "xw" else ROW) for name in "xywh"}
        draw = {"stat": stat, "table": table, "timeseries": timeseries}[panel["type"]]
        parts.append(
            f'<div class="panel" style="left: {place["x"] + GAP}px; top: {place["y"] + GAP}px;'
            f' width: {place["w"] - GAP}px; height: {place["h"] - GAP}px">'
            f'<div class="title">{escape(panel["title"])}</div>{draw(panel, prometheus)}</div>'
        )
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{''.join(parts)}"


def main(url: str, png: str, minutes: str = "10", rate_interval: str = "1m", end: str = "") -> None:
    """Ask, draw, take the picture."""
    prometheus = Prometheus(url, float(minutes), rate_interval, float(end or time.time()))
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in BOARD["panels"]) * ROW + GAP
    with tempfile.TemporaryDirectory() as directory:
        html = Path(directory) / "board.html"
        html.write_text(page(prometheus))
        command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--screenshot={Path(png).resolve()}"]
        command += [
            f"--window-size={24 * COLUMN + GAP},{height}",
            f"--user-data-dir={directory}/profile",
            html.as_uri(),
        ]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, timeout=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
