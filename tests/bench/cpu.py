"""How much of the machine each group of processes used."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

Seconds = dict[str, float]


def spent(pids: Mapping[str, int]) -> Seconds:
    """CPU seconds of each process and of all that it started, ended ones too, since they began."""
    return {name: _of_tree(pid) for name, pid in pids.items()}


def between(before: Seconds, after: Seconds) -> Seconds:
    """CPU seconds used from *before* to *after*."""
    return {name: after[name] - before.get(name, 0) for name in after}


def of_process(pid: int) -> float:
    """CPU seconds of one process alone: to the nanosecond on Linux, elsewhere to the clock tick of 10 ms."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def memory_mb(pid: int) -> float:
    """What a process and its children occupy, MB: PSS, which shares out shared pages; RSS where there is none."""
    total = 0
    for process in _tree(pid):
        try:
            full = process.memory_full_info()
        except psutil.Error:
            continue
        total += getattr(full, "pss", full.rss)
    return total / 1e6


def most_mb(pid: int) -> float:
    """The most that a process itself, without its children, ever occupied, MB."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def _of_tree(pid: int) -> float:
    total = 0.0
    for process in _tree(pid):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
        total += getattr(times, "children_user", 0) + getattr(times, "children_system", 0)  # ended, and waited for
    return total


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
