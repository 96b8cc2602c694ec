"""On what a run was made: without these facts its figures mean nothing."""

import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

_SETTINGS = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")
_SYNCS = 100


def facts(database_url: str, redis_url: str, home: Path) -> dict[str, Any]:
    """CPU, memory, disk, versions, what the servers promise to keep, and who else was busy when the run began."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        postgres = {name: _setting(connection, name) for name in _SETTINGS}
    with redis.Redis.from_url(redis_url) as broker:
        info = broker.info()
        appends = broker.config_get("append*")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load_average_before": [round(load, 2) for load in os.getloadavg()],
        "memory_mb": psutil.virtual_memory().total // 2**20,
        "fsync_ms": round(_fsync_ms(home), 3),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": _commit(),
        "postgres": postgres,
        "broker": {"version": info.get("valkey_version") or info["redis_version"], **appends},
    }


def _setting(connection: psycopg.Connection[Any], name: str) -> str:
    row = connection.execute("select current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model n")]
    return names[0] if names else platform.processor()


def _fsync_ms(home: Path) -> float:
    """How long the disk takes to promise 8 KiB: the median of some."""
    times = []
    with tempfile.NamedTemporaryFile(dir=home) as file:
        for _ in range(_SYNCS):
            file.write(b"x" * 8192)
            file.flush()
            began_at = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began_at)
    return statistics.median(times) * 1000


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    said = subprocess.run([git, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"
