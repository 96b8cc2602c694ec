"""What the machine does at best: PostgreSQL, Dramatiq and the stand-in carrier, each alone; and naive actors."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest import mock

import psycopg
import redis

from outbound.database import postgres_tools
from tests.bench import cpu
from tests.bench.cluster import Cluster
from tests.bench.options import Options
from tests.bench.report import Line, median
from tests.bench.world import World, carrier, until, world

_MOST_S = 600
_CLIENTS = 2
_SID = "('CA' || lpad(:call_id::text, 32, '0'))"


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """Floors that no target is bound to: they show how far the others are from what is possible here."""
    rounds = [
        {**_pgbench(cluster, options), "noop": _noop(cluster, options), "carrier": _carrier_rate(cluster, options)}
        for _ in range(options.rounds)
    ]
    said = {
        "dial": ("PostgreSQL alone, begin_dials and record_reports, a call at a time", "calls/s"),
        "callback": ("PostgreSQL alone, record_reports of a callback", "callbacks/s"),
        "noop": ("Dramatiq alone, sent and done", "messages/s"),
        "carrier": ("the stand-in carrier alone, a connection each", "creates/s"),
    }
    return [Line(name, median(rounds, key), unit) for key, (name, unit) in said.items()]


def naive(here: World, options: Options) -> tuple[list[float], float, cpu.Seconds]:
    """Let naive actors dial: when each call had its SID, when the first was inserted, and the CPU used meanwhile."""
    from tests.bench import naive as actors

    here.sql(actors.TABLES)
    _start_actors(here, options)
    _send_naive(here, options.warm_calls, first=0)
    here.wait("select count(call_sid) from naive_call", at_least=options.warm_calls, most_s=60)
    time.sleep(1)
    before, own = here.cpu(), time.process_time()
    began_at = here.number("select extract(epoch from now())")
    _send_naive(here, options.calls, first=options.warm_calls)
    producer_s = time.process_time() - own
    until(lambda: here.ask_carrier("/count") >= options.calls + options.warm_calls, "all calls at the carrier", _MOST_S)
    here.wait("select count(call_sid) from naive_call", at_least=options.calls + options.warm_calls, most_s=30)
    used = cpu.between(before, here.cpu()) | {"producer": producer_s}
    rows = here.sql("select extract(epoch from updated_at) from naive_call where id > %s", options.warm_calls)
    return [float(row[0]) for row in rows], began_at, used


def _send_naive(here: World, calls: int, *, first: int) -> None:
    from tests.bench import naive as actors

    with psycopg.connect(here.database_url) as connection:
        rows = connection.execute(
            "insert into naive_call (business_id, from_number, to_number)"
            " select 1 + n %% 5, '+15005550001', '+1' || 20000000 + n || '50'"
            " from generate_series(%s::bigint, %s::bigint) as n returning id",
            [first, first + calls - 1],
        ).fetchall()
    for (call_id,) in rows:
        actors.dial.send(call_id)


def _noop(cluster: Cluster, options: Options) -> float:
    with world(cluster, "noop") as here:
        from tests.bench import naive as actors

        _start_actors(here, options)
        with redis.Redis.from_url(cluster.redis_url) as line:
            left = f"{actors.broker.namespace}:noop.msgs"
            actors.nothing.send(0)
            until(lambda: line.hlen(left) == 0, "the first message", 60)
            began_at = time.monotonic()
            for number in range(options.noops):
                actors.nothing.send(number)
            while line.hlen(left):
                time.sleep(0.02)
            return options.noops / (time.monotonic() - began_at)


def _start_actors(here: World, options: Options) -> None:
    shape = ("--processes", str(options.processes), "--threads", str(options.threads))
    here.spawn("naive worker", "dramatiq", "tests.bench.naive", *shape)


def _carrier_rate(cluster: Cluster, options: Options) -> float:
    """One client, one connection per call, as our dial makes them."""
    with world(cluster, "carrier") as here, carrier(here, 0):
        port = int(here.carrier_url.rpartition(":")[2])
        body = b"To=%2B15005550100&StatusCallback=http%3A%2F%2F127.0.0.1%2Fcallbacks%2F7"
        request = b"POST /Calls.json HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        began_at = time.monotonic()
        for _ in range(options.statements):
            with socket.create_connection(("127.0.0.1", port)) as line:
                line.sendall(request)
                line.recv(65_536)
        return options.statements / (time.monotonic() - began_at)


def _pgbench(cluster: Cluster, options: Options) -> dict[str, float]:
    """What PostgreSQL does of our own statements where nothing else has to be done."""
    with world(cluster, "pgbench") as here:
        here.put_calls(options.statements)
        here.sql("update call_log set status = 'claimed', overdue_at = now() + interval '1 hour', fence = 1")
        here.sql("vacuum analyze call_log")
        begin, create, ringing = _statements()
        dial_rate = _run_pgbench(here, options, "dial", f"{begin};\n{create};")
        here.sql("vacuum analyze call_log")
        return {"dial": dial_rate, "callback": _run_pgbench(here, options, "callback", f"{ringing};")}


def _run_pgbench(here: World, options: Options, name: str, script: str) -> float:
    each = options.statements // _CLIENTS
    pick = f"\\set n :n + 1\n\\set call_id (:n - 1) * {_CLIENTS} + :client_id + 1\n"
    path = here.cluster.home / f"{name}.pgbench"
    path.write_text(pick + script + "\n")
    command = [
        postgres_tools.tool_path("pgbench"),
        "-n",
        "-M",
        "prepared",
        "-c",
        _CLIENTS,
        "-t",
        each,
    ]
    command += ["-D", "n=0", "-f", path, here.database_url]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if found is None or done.returncode:
        raise RuntimeError(f"pgbench: {done.stderr[-2000:]}")
    return float(found[1])


class _Asked(Exception):
    """What a step asks of the database is all that we want of it."""


def _statements() -> tuple[str, str, str]:
    """begin_dials, and record_reports of an accepted create and of a callback, with all but the call's id filled in."""
    from outbound.call import CallEvent
    from outbound.calls import dial, events

    created = CallEvent(call_sid="", status="initiated", source="create")
    rung = CallEvent(call_sid="", status="ringing", source="callback", sequence_number=1)
    return (
        _asked(lambda: dial.dial_call.fn(0)),
        _asked(lambda: events.record(0, created)),
        _asked(lambda: events.record(0, rung)),
    )


def _asked(of: Callable[[], object]) -> str:
    with mock.patch("outbound.db.run", side_effect=_Asked) as run, suppress(_Asked):
        of()
    (statement,), values = run.call_args
    filled = re.sub(r"%\((\w+)\)s", lambda found: _literal(found[1], values[found[1]]), statement.sql)
    return filled.replace("%%", "%")


def _literal(name: str, value: Any) -> str:
    if name == "call_ids":
        return "array[:call_id]"
    if name == "reports":
        (report,) = value.obj
        fields = [f"'{field}', {_literal(field, told)}" for field, told in report.items()]
        return f"jsonb_build_array(jsonb_build_object({', '.join(fields)}))"
    if name in ("call_id", "call_sid"):
        return ":call_id::bigint" if name == "call_id" else _SID
    if isinstance(value, list):
        return f"'{json.dumps(value)}'::jsonb"
    if value is None or isinstance(value, bool | int | float):
        return "null" if value is None else str(value)
    return f"'{value}'" if isinstance(value, str) else "'{}'::jsonb"
