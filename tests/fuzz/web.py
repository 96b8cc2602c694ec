"""Attacks on the web process: forged, re-coded, re-cut, child legs, raw bytes, trailers, silence, upgrades."""

import base64
import hashlib
import hmac
import http.client
import itertools
import os
import random
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import psutil

from outbound import db
from outbound.carrier import callback_tag
from outbound.database import migrations
from outbound.local import embedded_servers
from tests import forked
from tests.conftest import ACCOUNT_SID, AUTH_TOKEN, Environment, World, until
from tests.digest import digest
from tests.fuzz.result import Result

PUBLIC_URL = "https://calls.example.com"
LOOK_EVERY = 500  # tries between two looks at the whole database
WARM_UP = 300  # tries, after which a process has what it needs
NUMBERS = ("+15005550101", "+15005550102", "+15005550103", "+15005550104")
STATUSES = ("initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled")


@dataclass
class Target:
    """One web process, and four calls: dialed, in the air, ended, and never dialed."""

    port: int
    process: psutil.Process
    log: Path
    world: World
    calls: dict[int, str]
    sids: dict[int, str]


@dataclass
class Request:
    """A callback as the carrier would sign it."""

    path: str
    form: dict[str, str]
    signature: str

    @property
    def body(self) -> bytes:
        return urlencode(self.form).encode()


def run(seed: int, count: int) -> Result:
    """Send *count* attacks chosen by *seed*; each is to be refused, and to change nothing."""
    chance = random.Random(seed)
    result = Result("web")
    with _target() as target:
        before = digest(target.world)
        for number in range(count):
            if number == min(WARM_UP, count // 2):
                result.memory_before = target.process.memory_info().rss
            attack = chance.choices([one for one, _ in ATTACKS], [weight for _, weight in ATTACKS])[0]
            status = attack(chance, target)
            result.tries += 1
            if status is not None and status < 400:
                result.believed += 1
                print(f"believed: seed {seed}, try {number}, {attack.__name__}", file=sys.stderr)  # noqa: T201
            result.server_errors += status is not None and status >= 500
            if number % LOOK_EVERY == LOOK_EVERY - 1 or number == count - 1:
                after = digest(target.world)
                result.state_changes += sum(before[name] != after[name] for name in before)
                before = after
        result.memory_after = target.process.memory_info().rss
        result.tracebacks = target.log.read_text(errors="replace").count("Traceback")
    return result


@contextmanager
def _target() -> Iterator[Target]:
    directory = Path(tempfile.mkdtemp(prefix="outbound-fuzz-"))
    directory.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "OUTBOUND_PUBLIC_URL": PUBLIC_URL,
        "OUTBOUND_WEB_PORT": str(port),
        "OUTBOUND_BROKER_NAMESPACE": "fuzz",
        "OUTBOUND_SCHEMA": "public",
    }
    try:
        with embedded_servers.servers(directory, postgres=True, broker=True, durable=False) as servers:
            urls = {"DATABASE_URL": servers.database_url or "", "REDIS_URL": servers.redis_url or ""}
            with Environment(**settings, **urls), _web(directory / "web.log", port) as process:
                world = World(urls["DATABASE_URL"])
                with closing(world.connection):
                    yield Target(port, process, directory / "web.log", world, *_calls(world))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _web(log: Path, port: int) -> Iterator[psutil.Process]:
    migrations.migrate()
    db.close()
    with log.open("wb") as file:
        command = [sys.executable, "-m", "outbound", "web"]
        process = forked.Popen(command, stdout=file, stderr=file, env=os.environ.copy())
    try:
        until(lambda: _listens(port), timeout_s=60)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _calls(world: World) -> tuple[dict[int, str], dict[int, str]]:
    business_id = world.business()
    dialed, in_the_air, ended = (
        world.initiated(business_id, to, sid)
        for to, sid in zip(NUMBERS, (None, "CA" + "1" * 32, "CA" + "2" * 32), strict=False)
    )
    world.do("update call_log set status = 'completed', ended_at = now(), overdue_at = null where id = %s", ended)
    world.do("update call_log set overdue_at = now() + interval '1 day' where overdue_at is not null")
    never = world.queued(business_id, NUMBERS[3])
    sids = {dialed: "CA" + "5" * 32, in_the_air: "CA" + "1" * 32, ended: "CA" + "2" * 32, never: "CA" + "6" * 32}
    return dict(zip((dialed, in_the_air, ended, never), NUMBERS, strict=True)), sids


# Requests


def _genuine(chance: random.Random, target: Target, call_id: int | None = None) -> Request:
    """A request as the carrier would send it about one of the calls; the others are made by changing it."""
    call_id = chance.choice(list(target.calls)) if call_id is None else call_id
    number = target.calls[call_id]
    verdict = chance.random() < 0.2
    form = {"CallSid": target.sids[call_id], "AccountSid": ACCOUNT_SID}
    if verdict:
        form |= {"AnsweredBy": chance.choice(["human", "machine_start"]), "MachineDetectionDuration": "2400"}
    else:
        form |= {
            "From": "+15005550006",
            "To": number,
            "CallStatus": chance.choice(STATUSES),
            "Direction": "outbound-api",
            "ApiVersion": "2010-04-01",
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(chance.randrange(4)),
            "Timestamp": "Sun, 01 Nov 2026 12:00:00 +0000",
        }
        if chance.random() < 0.5:
            form |= {"CallDuration": "7", "Duration": "1", "SipResponseCode": "200", "CallerName": "JOHN DOE"}
    path = f"/callbacks/{call_id}/{callback_tag.make(call_id, number)}" + ("/answered-by" if verdict else "")
    return Request(path, form, _sign(path, form))


def _sign(path: str, form: dict[str, str], token: str = AUTH_TOKEN) -> str:
    text = PUBLIC_URL + path + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(errors="replace"), hashlib.sha1)).decode()


def _post(target: Target, path: str, body: bytes, signature: str | None, **headers: str) -> int | None:
    line = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
    with closing(line):
        try:
            line.putrequest("POST", path, skip_accept_encoding=True)
            for name, value in ({"Content-Type": "application/x-www-form-urlencoded"} | headers).items():
                line.putheader(name.replace("_", "-"), value)
            if signature is not None:
                line.putheader("X-Twilio-Signature", signature.encode("latin-1", "replace"))
            line.putheader("Content-Length", str(len(body)))
            line.endheaders(body)
            return line.getresponse().status
        except (OSError, http.client.HTTPException, ValueError):
            return None


# Attacks: each returns the status of the answer, None where there is none


def forged(chance: random.Random, target: Target) -> int | None:
    """No signature, or one that is not of this."""
    request = _genuine(chance, target)
    signatures = [None, "", "x", _sign(request.path, request.form, "another"), _sign("/", request.form), "A" * 27 + "="]
    return _post(target, request.path, request.body, chance.choice(signatures))


def changed(chance: random.Random, target: Target) -> int | None:
    """A signed form with another value, or another parameter."""
    request = _genuine(chance, target)
    form = dict(request.form)
    name = chance.choice([*form, "Extra", "ParentCallSid"])
    form[name] = form.get(name, "") + chance.choice(["x", "0", " ", "\0", "é"])
    return _post(target, request.path, urlencode(form).encode(), request.signature)


def for_another_call(chance: random.Random, target: Target) -> int | None:
    """The signature of one call at the path of another."""
    one, other = chance.sample(list(target.calls), 2)
    request, victim = _genuine(chance, target, one), _genuine(chance, target, other)
    return _post(target, victim.path, chance.choice([request.body, victim.body]), request.signature)


def signed_without_tag(chance: random.Random, target: Target) -> int | None:
    """Signed, at a path that we did not make."""
    request = _genuine(chance, target)
    call_id = request.path.split("/")[2]
    tag = base64.urlsafe_b64encode(chance.randbytes(24)).decode()
    other = callback_tag.make(int(call_id), "+15005550999")
    path = chance.choice([f"/callbacks/{call_id}", f"/callbacks/{call_id}/{tag}", f"/callbacks/{call_id}/{other}"])
    return _post(target, path, request.body, _sign(path, request.form))


def re_coded(chance: random.Random, target: Target) -> int | None:
    """A signed form, coded as the carrier does not."""
    request = _genuine(chance, target)
    name = chance.choice(list(request.form))
    letter = request.form[name][:1] or "x"
    coded = {
        **{each: quote(value, safe="") for each, value in request.form.items()},
        name: f"%{ord(letter):02X}" + quote(request.form[name][1:], safe=""),
    }
    body = "&".join(f"{each}={value}" for each, value in coded.items())
    body = chance.choice([body, request.body.decode() + "&", request.body.decode().replace("=", "%3D", 1), "&" + body])
    return _post(target, request.path, body.encode(), request.signature)


def re_cut(chance: random.Random, target: Target) -> int | None:
    """The signed text, cut into other names and values, or moved between URL and form."""
    request = _genuine(chance, target)
    text = "".join(name + request.form[name] for name in sorted(request.form))
    cuts, at = [], 0
    for name in sorted(request.form):
        cuts += [at + len(name), at + len(name) + len(request.form[name])]
        at = cuts[-1]
    moved = chance.randrange(len(cuts) - 1)
    way = chance.randrange(4)
    if way == 0:
        cuts[moved] += chance.choice([-2, -1, 1, 2])
    elif way == 1:
        del cuts[moved & ~1 : (moved & ~1) + 2]
    elif way == 2:
        cuts = sorted([*cuts, *chance.sample(range(1, len(text)), 2)])
    path = request.path
    if way == 3:
        part = chance.randrange(1, 40)
        path, text = path + chance.choice(["", "?"]) + quote(text[:part], safe="/=&?+"), text[part:]
        cuts = sorted(chance.sample(range(1, len(text)), 9))
    places = sorted([0, *cuts[: len(cuts)], len(text)])
    parts = [text[start:end] for start, end in itertools.pairwise(places)]
    form = list(zip(parts[::2], [*parts[1::2], ""], strict=False))
    if form == sorted(request.form.items()):
        return None
    return _post(target, path, urlencode(form).encode(), request.signature)


def child_leg(chance: random.Random, target: Target) -> int | None:
    """Signed, and about another leg, another number, or no direction at all."""
    request = _genuine(chance, target)
    other: dict[str, str] = chance.choice(
        [
            {"ParentCallSid": "CA" + "7" * 32, "Direction": "outbound-dial"},
            {"Direction": "inbound"},
            {"ParentCallSid": ""},
        ]
    )
    form = request.form | ({"Direction": "outbound-api"} | other)
    path = chance.choice([request.path, request.path, "/callbacks/inbound", "/voice/inbound"])
    if path.endswith("inbound"):
        form = form | {"Direction": "outbound-api"}
    return _post(target, path, urlencode(form).encode(), _sign(path, form))


def odd_signed(chance: random.Random, target: Target) -> int | None:
    """Signed, and no callback: a parameter is missing, twice, or not what it should be."""
    request = _genuine(chance, target)
    form = dict(request.form)
    name = chance.choice(
        ["CallSid", "AccountSid", *(("To", "CallStatus", "Direction") if "To" in form else ("AnsweredBy",))]
    )
    how = chance.randrange(3)
    if how == 0:
        del form[name]
    elif how == 1:
        form[name] = chance.choice(["", "\0", "é" * 50, "x" * 5000]) if name != "AnsweredBy" else ""
    body = urlencode(form) if how < 2 else urlencode([*form.items(), (name, form[name])])
    return _post(target, request.path, body.encode(), _sign(request.path, form))


def raw(chance: random.Random, target: Target) -> int | None:
    """Bytes that are no request, or half of one."""
    request = _genuine(chance, target)
    head = f"POST {request.path} HTTP/1.1\r\nHost: x\r\n".encode()
    inner = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    bodies: list[Callable[[], bytes]] = [
        lambda: chance.randbytes(chance.randrange(1, 400)),
        lambda: head[: chance.randrange(len(head))],
        lambda: head + b"X: " + b"a" * chance.randrange(60_000),
        lambda: head + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + b"X-T: y\r\n" * chance.randrange(9000),
        lambda: head + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;x=y\r\na\r\n" * chance.randrange(9000),
        lambda: head + b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner,
        lambda: head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
        lambda: head + b"Content-Length: 500\r\n\r\nCallSid=CA",
        lambda: inner * 0 + (head + b"Content-Length: 0\r\n\r\n") * chance.randrange(1, 50),
        lambda: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + chance.randbytes(50),
    ]
    sent = chance.choice(bodies)()
    with suppress(OSError), socket.create_connection(("127.0.0.1", target.port), 30) as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        said = b""
        while piece := line.recv(65_536):
            said += piece
        codes = [int(code) for code in re.findall(rb"^HTTP/1\.1 ([0-9]{3})", said, re.M)]
        return 200 if b"outbound_" in said else max(codes, default=None)
    return None


_silent: list[socket.socket] = []  # connections that say nothing, or half of it


def silence(chance: random.Random, target: Target) -> int | None:
    """A connection that is left open; the last fifty stay so."""
    with suppress(OSError):
        line = socket.create_connection(("127.0.0.1", target.port), 30)
        line.sendall(chance.choice([b"", b"P", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"]))
        _silent.append(line)
    while len(_silent) > 50:
        _silent.pop(0).close()
    return None


ATTACKS: list[tuple[Callable[[random.Random, Target], int | None], float]] = [
    (forged, 20),
    (changed, 15),
    (for_another_call, 10),
    (signed_without_tag, 10),
    (re_coded, 10),
    (re_cut, 15),
    (child_leg, 10),
    (odd_signed, 10),
    (raw, 8),
    (silence, 2),
]
