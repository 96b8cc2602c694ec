"""
What more hosts add, and what becomes of the calls of one whose cable is pulled.

A host is a network namespace with a worker, on a bridge; the first two have a scheduler each.  The servers and the
carrier listen on sockets and on loopback; hosts reach them at the bridge's address, over TCP, through `forward`.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from psycopg.conninfo import conninfo_to_dict

from tests.bench import cpu
from tests.bench.cluster import NAMESPACE, Cluster
from tests.bench.options import Options
from tests.bench.report import Line, Round, median
from tests.bench.world import World, carrier, world
from tests.ports import free_ports

_COUNTS = (1, 2, 4)
_SLOW_S = 0.25  # a carrier at which hosts wait rather than compute: they all share this machine's cores
_MOST_S = 300
_BRIDGE = f"ob{os.getpid()}"
_NET = f"198.18.{os.getpid() % 256}"  # of the block that is set aside for such measurements (RFC 2544)
_SETTINGS = {
    "OUTBOUND_RING_S": "600",
    "OUTBOUND_MARGIN_S": "80000",  # the stand-in never calls back
    # A host that is cut off: its claims come back after 5 s; what it had begun is closed after 10 s.
    "OUTBOUND_CLAIM_S": "5",
    "OUTBOUND_CARRIER_TIMEOUT_S": "4",
    "OUTBOUND_ASK_S": "5",
    "OUTBOUND_CLOSE_S": "10",
    "OUTBOUND_TICK_S": "1",
}
_SETTLED = "select count(*) from call_log where call_sid is not null or status = 'failed' and error_code is not null"
_PAUSE = """
    select extract(epoch from max(pause))
      from (select received_at, received_at - lag(received_at) over (order by received_at) as pause
              from call_event
             where source = 'create') as answer
     where received_at > to_timestamp(%s)
"""


def measure(cluster: Cluster, options: Options) -> list[Line]:
    """The rate with one, two and four hosts; then four, of which the first one is cut off in mid-run."""
    if missing := _missing(cluster):
        return [Line("hosts", 0, "", details={"not measured": missing})]
    rounds: dict[int, list[Round]] = {count: [] for count in _COUNTS}
    for _ in range(options.rounds):
        for count in _COUNTS:
            with _world(cluster, options, count) as here:
                rounds[count].append(_rate(here, options, count))
    with _world(cluster, options, _COUNTS[-1]) as here:
        cut = _cut_off(here, options, _COUNTS[-1])
    one = median(rounds[1], "rate")
    each = f"1 process of {options.host_threads} threads, {_SLOW_S * 1000:.0f} ms carrier, TCP through a forwarder"
    return [
        *(
            Line(f"dialing, {count} hosts", median(rounds[count], "rate"), "calls/s", one, "calls/s with one host",
                 details={"each": each} | {key: median(rounds[count], key) for key in rounds[count][0]})
            for count in _COUNTS[1:]
        ),
        Line("a host cut off, calls dialed twice or lost", cut["twice"] + cut["lost"], "calls", target=0, is_at="most",
             details={"ours": cut}),
    ]  # fmt: skip


def _missing(cluster: Cluster) -> str:
    """What there should be and is not."""
    if len(cluster.server_pids) < 2:
        return "needs servers of the bench's own"
    if os.geteuid() == 0 and shutil.which("ip") and _ip("netns", "add", _name(0)) and _ip("netns", "del", _name(0)):
        return ""
    return "needs root and network namespaces"


@contextmanager
def _network(count: int) -> Iterator[None]:
    """A bridge, and so many hosts on it, to whom `localhost` is the bridge: a simulated carrier must live there."""
    with ExitStack() as undo:
        undo.callback(_ip, "link", "del", _BRIDGE)
        _set_up("link", "add", _BRIDGE, "type", "bridge")
        _set_up("addr", "add", f"{_NET}.1/24", "dev", _BRIDGE)
        _set_up("link", "set", _BRIDGE, "up")
        for host in range(1, count + 1):
            name, link, etc = _name(host), _link(host), Path("/etc/netns", _name(host))
            undo.callback(shutil.rmtree, etc, ignore_errors=True)
            etc.mkdir(parents=True)
            (etc / "hosts").write_text(f"{_NET}.1 localhost\n")
            undo.callback(_ip, "netns", "del", name)
            _set_up("netns", "add", name)
            undo.callback(_ip, "link", "del", link)
            _set_up("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
            _set_up("link", "set", link, "master", _BRIDGE, "up")
            _set_up("-n", name, "addr", "add", f"{_NET}.{10 + host}/24", "dev", "eth0")
            _set_up("-n", name, "link", "set", "eth0", "up")
        yield


def _name(host: int) -> str:
    return f"{NAMESPACE}-{host}"


def _link(host: int) -> str:
    return f"{_BRIDGE}h{host}"


def _ip(*words: str) -> bool:
    return subprocess.run(["ip", *words], stderr=subprocess.DEVNULL, check=False).returncode == 0


def _set_up(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def _world(cluster: Cluster, options: Options, count: int) -> Iterator[World]:
    """So many hosts at work, warmed up."""
    shape = {"OUTBOUND_WORKER_PROCESSES": "1", "OUTBOUND_WORKER_THREADS": str(options.host_threads)}
    with _network(count), world(cluster, "hosts", **shape, **_SETTINGS) as here, carrier(here, _SLOW_S):
        at = conninfo_to_dict(here.database_url)
        postgres, broker, calls = free_ports(3)
        routes = {
            postgres: f"{at['host']}/.s.PGSQL.{at['port']}",
            broker: unquote(urlsplit(cluster.redis_url).path),
            calls: here.carrier_url.rpartition(":")[2],
        }
        here.spawn("forward", "tests.bench.forward", f"{_NET}.1", *(f"{port}={to}" for port, to in routes.items()))
        addresses = (
            f"DATABASE_URL=postgresql://postgres@{_NET}.1:{postgres}/{at['dbname']}",
            f"REDIS_URL=redis://{_NET}.1:{broker}",
            f"TWILIO_API_URL=http://localhost:{calls}",
        )
        for host in range(1, count + 1):
            inside = ("ip", "netns", "exec", _name(host), "env", *addresses)
            for process in ("worker", "scheduler") if host <= 2 else ("worker",):
                here.spawn(f"{process} {host}", "outbound", process, through=inside)
        here.wait_for_workers(count)
        here.put_calls(options.warm_calls)
        here.wait(_SETTLED, at_least=options.warm_calls, most_s=_MOST_S)
        yield here


def _rate(here: World, options: Options, count: int) -> dict[str, float]:
    """Calls that came back with a call_sid in a second: of the middle four fifths, as in `dialing`."""
    calls = count * options.host_calls
    before = here.cpu()
    began_at = time.monotonic()
    here.put_calls(calls, first=options.warm_calls)
    here.wait(_SETTLED, at_least=options.warm_calls + calls, most_s=_MOST_S)
    took_s = time.monotonic() - began_at
    used = cpu.between(before, here.cpu())
    span_s = here.number(
        "select extract(epoch from percentile_disc(0.9) within group (order by received_at)"
        " - percentile_disc(0.1) within group (order by received_at))"
        " from call_event where source = 'create' and call_id > %s", options.warm_calls,
    )  # fmt: skip
    return {
        "rate": 0.8 * calls / span_s,
        "cores busy": sum(used.values()) / took_s,
        "CPU ms per call": 1000 * sum(used.values()) / calls,
        "of it forward": 1000 * used["forward"] / calls,
        "of it carrier": 1000 * used["carrier"] / calls,
    }


def _cut_off(here: World, options: Options, count: int) -> dict[str, float]:
    """Pull the first host's cable while half of the calls are still to be dialed; plug it in when all is over."""
    calls = options.warm_calls + count * options.host_calls
    here.put_calls(count * options.host_calls, first=options.warm_calls)
    here.wait(_SETTLED, at_least=calls / 2, most_s=_MOST_S)
    cut_at = here.number("select extract(epoch from clock_timestamp())")
    _ip("link", "set", _link(1), "down")
    here.wait(_SETTLED, at_least=calls, most_s=_MOST_S)
    took_s = here.number("select extract(epoch from clock_timestamp())") - cut_at
    _ip("link", "set", _link(1), "up")
    time.sleep(10)  # what the host does when it is back: nothing may be dialed again
    dialed = [call_id for call_id, _ in here.ask_carrier("/log")]
    closed = [row[0] for row in here.sql("select id from call_log where error_code = 'no_call_sid'")]
    return {
        "twice": len(dialed) - len(set(dialed)),
        "lost": calls - here.number(_SETTLED),
        "until all had ended s": took_s,
        "longest pause of the others s": here.number(_PAUSE, cut_at),
        "claims that came back": here.number("select count(*) from call_log where fence > 1"),
        "closed, whether they rang being unknown": len(closed),
        "of these rang": len(set(closed) & set(dialed)),
    }
