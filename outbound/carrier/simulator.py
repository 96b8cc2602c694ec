"""
A carrier that rings no phones: Twilio's Calls API, simulated phones, signed callbacks.

The last two digits of `To` decide what happens; `fates.py` has the table.
One asyncio loop does everything and a call costs one timer, so tens of thousands fit.
It calls back to loopback addresses only, and says no phone number in its log.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import math
import signal
import threading
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from email.utils import format_datetime
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import parse_qs, urldefrag, urlencode, urlsplit

import aiohttp
from aiohttp import web
from multidict import MultiDict
from twilio.request_validator import RequestValidator
from yarl import URL

from outbound.carrier import fates
from outbound.carrier.fates import Fate, Fault, Form, Post, Reply, Status

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
T = TypeVar("T")

API = "2010-04-01"
PAGE = 50  # calls on a page unasked
PAGE_MAX = 1000
PRICED_AFTER_S = 2.0  # the price of a call is not there when it ends
LINES = 256  # callbacks under way at once; the rest wait, and their clock does not run
KEEPALIVE_S = 2.0  # shorter than any server keeps an idle connection, so that none is found dead
GOODBYE_S = 0.2  # how long requests may take to end once we stop
SUBRESOURCES = ("Events", "Notifications", "Recordings")
ALWAYS_NULL = ("parent_call_sid", "phone_number_sid", "forwarded_from", "group_sid", "caller_name", "trunk_sid")
RETRY_ALL = frozenset({"4xx", "5xx", "ct", "rt"})


@dataclass(slots=True)
class Entry:
    """One create request as it was asked, and what came of it."""

    at: str
    to: str | None
    from_: str | None
    status_callback: str | None
    timeout: str | None
    time_limit: str | None
    live_at_most: int  # calls live at this moment, this one included: the greatest in a log is its peak
    outcome: str = "refused"
    call_sid: str | None = None
    rang: bool = False
    callbacks_taken: int = 0
    callbacks_failed: int = 0

    def as_json(self) -> dict[str, Any]:
        return {name.rstrip("_"): value for name, value in asdict(self).items()}


@dataclass(slots=True)
class Letter:
    """One callback, ready to be sent; a retry carries the same token."""

    url: str
    form: dict[str, str]
    token: str


@dataclass(slots=True, eq=False)
class Call:
    """One simulated call. `coming` is the rest of its life."""

    sid: str
    number: int
    fate: Fate
    form: Form
    entry: Entry
    coming: deque[tuple[float, Status]]
    status: Status = "queued"
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    timer: asyncio.TimerHandle | None = None
    sequence: int = 0
    unsent: list[Letter] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_over(self) -> bool:
        return self.status in fates.OVER

    @property
    def rest_status(self) -> str:
        """The REST API knows no 'initiated'."""
        return "queued" if self.status == "initiated" else self.status

    @property
    def answered_by(self) -> str | None:
        asked = self.form.get("MachineDetection")
        if not asked or self.answered_at is None:
            return None
        if not self.fate.machine:
            return "human"
        return "machine_end_beep" if asked == "DetectMessageEnd" else "machine_start"

    def become(self, status: Status) -> None:
        """Change status and remember when."""
        now = datetime.now(UTC)
        self.status, self.updated_at = status, now
        if status == "initiated":
            self.started_at = now
        elif status == "ringing":
            self.entry.rang = True
        elif status == "in-progress":
            self.answered_at = now
        elif self.is_over:
            self.ended_at = now

    def talked_s(self, speed: float) -> int:
        """Whole seconds of talk as lived at speed 1, rounded up."""
        if self.answered_at is None or self.ended_at is None:
            return 0
        return max(1, math.ceil((self.ended_at - self.answered_at).total_seconds() * speed))


@dataclass(frozen=True, slots=True)
class Overrides:
    """How hard to try, from the fragment of a callback address: `#ct=2000&rc=3&rp=5xx,ct`."""

    connect_s: float
    read_s: float
    total_s: float
    retries: int
    retry_on: frozenset[str]

    @classmethod
    def of(cls, url: str) -> Overrides:
        asked = {name: values[-1] for name, values in parse_qs(urldefrag(url).fragment).items()}

        def bounded(name: str, low: int, high: int, unasked: int) -> int:
            number = fates.seconds(asked.get(name))
            return unasked if number is None else min(max(number, low), high)

        policy = frozenset(asked.get("rp", "ct").split(","))
        return cls(
            connect_s=bounded("ct", 100, 10_000, 5_000) / 1000,
            read_s=bounded("rt", 100, 15_000, 15_000) / 1000,
            total_s=bounded("tt", 100, 15_000, 15_000) / 1000,
            retries=bounded("rc", 0, 5, 1),
            retry_on=RETRY_ALL if "all" in policy else policy,
        )


class Courier:
    """Delivers signed callbacks, over one session, no more than LINES at once."""

    def __init__(self, auth_token: str) -> None:
        self._signer = RequestValidator(auth_token)
        self._lines = asyncio.Semaphore(LINES)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S)
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    async def close(self) -> None:
        await self._session.close()

    async def deliver(self, letter: Letter) -> bool:
        """Try as often as the address allows; True once it was taken."""
        how = Overrides.of(letter.url)
        address = _bare(letter.url)
        headers = {
            "X-Twilio-Signature": self._signer.compute_signature(address, letter.form),
            "I-Twilio-Idempotency-Token": letter.token,
        }
        async with self._lines:
            try:
                async with asyncio.timeout(how.total_s):
                    for _ in range(1 + how.retries):
                        trouble = await self._try(URL(address, encoded=True), letter.form, headers, how)
                        if trouble not in how.retry_on:
                            return trouble is None
            except TimeoutError:
                pass
        return False

    async def _try(self, url: URL, form: dict[str, str], headers: dict[str, str], how: Overrides) -> str | None:
        """One attempt: None when it was taken, else what went wrong in the words of the retry policy."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=how.connect_s, sock_read=how.read_s)
        try:
            async with self._session.post(
                url, data=form, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                return None if answer.status < 300 else f"{answer.status // 100}xx"
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return "ct"
        except (aiohttp.ClientError, TimeoutError):
            return "rt"


class Simulator:
    """
    Twilio's Calls API on a socket, and the phones behind it.

    Args:
        account_sid, auth_token: the one account there is; requests need them, callbacks are signed with the token.
        speed: how many times faster than life phones ring and people talk.
        stall_s: how long a response that "times out after accepting" is held, seconds, not scaled.
    """

    def __init__(self, *, account_sid: str, auth_token: str, speed: float = 1.0, stall_s: float = 60.0) -> None:
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._key = b"Basic " + base64.b64encode(f"{account_sid}:{auth_token}".encode())
        self._speed = speed
        self._stall_s = stall_s
        self._runner: web.AppRunner | None = None
        self._courier: Courier | None = None
        self._errands: set[asyncio.Task[None]] = set()
        self._forget()

    # Start and stop

    def app(self) -> web.Application:
        """The HTTP application; it must run in one loop, and once."""
        app = web.Application()
        calls = f"/{API}/Accounts/{{account}}/Calls"
        for method, path, handler in (
            ("POST", f"{calls}.json", self._create),
            ("GET", f"{calls}.json", self._list),
            ("GET", f"{calls}/{{call}}.json", self._fetch),
            ("POST", f"{calls}/{{call}}.json", self._update),
            ("GET", "/simulator/log", self._log),
            ("POST", "/simulator/reset", self._reset),
            ("GET", "/simulator/fates", self._fates),
        ):
            app.router.add_route(method, path, self._guarded(handler))
        app.router.add_route("*", "/{nothing:.*}", _nothing_here)
        app.cleanup_ctx.append(self._with_courier)
        return app

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, and return the base URL; port 0 takes any free one."""
        # No access log: the query of a list request holds phone numbers.
        self._runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=GOODBYE_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, backlog=1024).start()
        return str(URL.build(scheme="http", host=host, port=self._runner.addresses[0][1]))

    async def stop(self) -> None:
        """Hang up everything at once; callbacks not yet sent are lost."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _with_courier(self, _app: web.Application) -> Any:
        self._courier = Courier(self._auth_token)
        yield
        await self.reset()
        await self._courier.close()

    async def reset(self) -> None:
        """Forget every call and every request, and send nothing more about them."""
        for call in self._calls.values():
            call.told.set()
            if call.timer:
                call.timer.cancel()
        errands = list(self._errands)
        for errand in errands:
            errand.cancel()
        self._forget()
        await asyncio.gather(*errands, return_exceptions=True)

    def entries(self) -> list[dict[str, Any]]:
        """The log: every create request, oldest first."""
        return [entry.as_json() for entry in self._entries]

    def _forget(self) -> None:
        self._calls: dict[str, Call] = {}
        self._calls_to: defaultdict[str, list[Call]] = defaultdict(list)
        self._throttled: Counter[str] = Counter()
        self._entries: list[Entry] = []
        self._live = 0

    # HTTP

    def _guarded(self, handler: Handler) -> Handler:
        """Let in who knows the key, to the one account there is."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), self._key):
                return _say(fates.WRONG_KEY, {"WWW-Authenticate": 'Basic realm="Twilio API"'})
            if request.match_info.get("account", self._account_sid) != self._account_sid:
                return _say(fates.NOT_FOUND)
            return await handler(request)

        return guarded

    async def _create(self, request: web.Request) -> web.StreamResponse:
        form = await _form_of(request)
        entry = self._note(form)
        fault = fates.fault_in(form)
        if fault is not None:
            return _say(fault)

        fate = fates.fate_of(form["To"])
        if self._throttled[form["To"]] < fate.throttled:
            self._throttled[form["To"]] += 1
            entry.outcome = "not_accepted"
            return _say(fates.TOO_MANY_REQUESTS)
        if fate.accepted:
            return await self._reply_accepted(request, self._accept(form, fate, entry))

        entry.outcome = "refused" if fate.fault and fate.fault.status < 500 else "not_accepted"
        return _say(fate.fault) if fate.fault else _cut(request)

    async def _reply_accepted(self, request: web.Request, call: Call) -> web.StreamResponse:
        """Answer a create request that did make a call, as well or as badly as its fate says."""
        created = web.json_response(self._resource(call), status=201)
        match call.fate.reply:
            case Reply.FAULT:
                return _say(call.fate.fault or fates.SERVER_ERROR)
            case Reply.CUT:
                return _cut(request)
            case Reply.GARBLED:
                return web.Response(text="<html>Created, says the proxy", status=201, content_type="text/html")
            case Reply.STALLED:
                await asyncio.sleep(self._stall_s)
            case Reply.OVERTAKEN:
                await call.told.wait()
        return created

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        call = self._calls.get(request.match_info["call"])
        return _say(fates.NOT_FOUND) if call is None else web.json_response(self._resource(call))

    async def _update(self, request: web.Request) -> web.StreamResponse:
        form = await _form_of(request)
        call = self._calls.get(request.match_info["call"])
        if call is None:
            return _say(fates.NOT_FOUND)
        fault = _fault_in_update(call, form)
        if fault is not None:
            return _say(fault)

        if call.answered_at is None and form.get("Status"):
            self._end(call, "canceled")  # A call nobody answered cannot be 'completed'.
        elif form.get("Status") == "completed":
            self._end(call, "completed")
        return web.json_response(self._resource(call))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        asked = request.query
        try:
            size = min(max(int(asked.get("PageSize", PAGE)), 1), PAGE_MAX)
            page = max(int(asked.get("Page", 0)), 0)
            found = self._matching(asked)
            skipped = 0 if asked.get("PageToken") else page * size
            calls = list(islice(found, skipped, skipped + size + 1))
        except (KeyError, ValueError):
            return _say(fates.BAD_PARAMETER)
        return web.json_response(self._page_of(calls, request, size, page))

    def _matching(self, asked: Form) -> Iterator[Call]:
        """
        Calls that pass every filter, newest first, from after the page token on.

        Of StartTime and EndTime only the day counts: Twilio's documentation promises no more.
        """
        token = asked.get("PageToken")
        before = self._calls[token.removeprefix("PA")].number if token else len(self._calls)
        calls = self._calls_to.get(asked["To"], []) if asked.get("To") else list(self._calls.values())
        days = {name: day for name in asked if (day := _day_of(name, asked[name])) is not None}
        for call in reversed(calls):
            if call.number < before and _passes(call, asked) and _falls_on(call, days):
                yield call

    def _page_of(self, calls: Sequence[Call], request: web.Request, size: int, page: int) -> dict[str, object]:
        """One page in Twilio's frame. *calls* holds one more than fits when there is a next page."""
        filters = {name: value for name, value in request.query.items() if not name.startswith("Page")}

        def uri(page: int, **more: str) -> str:
            return f"{request.path}?{urlencode({**filters, 'PageSize': size, 'Page': page, **more})}"

        shown = calls[:size]
        return {
            "calls": [self._resource(call) for call in shown],
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + max(len(shown) - 1, 0),
            "uri": request.path_qs,
            "first_page_uri": uri(0),
            "previous_page_uri": uri(page - 1) if page else None,
            "next_page_uri": uri(page + 1, PageToken=f"PA{shown[-1].sid}") if len(calls) > size else None,
        }

    async def _log(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(self.entries())

    async def _reset(self, _request: web.Request) -> web.StreamResponse:
        await self.reset()
        return web.Response(status=204)

    async def _fates(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(fates.fate_rows())

    # Phones

    def _note(self, form: Form) -> Entry:
        entry = Entry(
            at=datetime.now(UTC).isoformat(),
            to=form.get("To"),
            from_=form.get("From"),
            status_callback=form.get("StatusCallback"),
            timeout=form.get("Timeout"),
            time_limit=form.get("TimeLimit"),
            live_at_most=self._live,
        )
        self._entries.append(entry)
        return entry

    def _accept(self, form: Form, fate: Fate, entry: Entry) -> Call:
        ring_s = fates.seconds(form.get("Timeout")) or fates.RING_UNASKED_S
        life = fates.life(fate, ring_s=ring_s, talk_max_s=fates.seconds(form.get("TimeLimit")))
        call = Call(f"CA{uuid.uuid4().hex}", len(self._calls), fate, form, entry, deque(life))
        self._calls[call.sid] = call
        self._calls_to[form["To"]].append(call)
        self._live += 1
        entry.outcome, entry.call_sid, entry.live_at_most = "accepted", call.sid, self._live
        self._wait(call)
        return call

    def _wait(self, call: Call) -> None:
        """Set the timer for what comes next, if anything does."""
        if call.coming:
            after_s = call.coming[0][0] / self._speed
            call.timer = asyncio.get_running_loop().call_later(after_s, self._advance, call)

    def _advance(self, call: Call) -> None:
        _, status = call.coming.popleft()
        self._become(call, status)
        self._wait(call)

    def _end(self, call: Call, status: Status) -> None:
        """Cut a life short."""
        if call.timer:
            call.timer.cancel()
        call.coming.clear()
        self._become(call, status)

    def _become(self, call: Call, status: Status) -> None:
        call.become(status)
        if call.is_over:
            self._live -= 1
        letters = self._letters_now(call)
        if letters:
            errand = asyncio.get_running_loop().create_task(self._deliver(call, letters))
            self._errands.add(errand)
            errand.add_done_callback(self._errands.discard)
        elif call.is_over:
            call.told.set()  # Nothing will be told: whoever waits for that need not.

    # Callbacks

    def _letters_now(self, call: Call) -> list[Letter]:
        """What is to be sent now that the status has changed, in this order."""
        url = fates.callback_of(call.form)
        if url is None or fates.EVENTS[call.status] not in fates.events_of(call.form):
            return []
        letter = Letter(url, self._news(call), str(uuid.uuid4()))
        call.sequence += 1
        match call.fate.post:
            case Post.NONE:
                return []
            case Post.NOT_LAST:
                return [] if call.is_over else [letter]
            case Post.SHUFFLED:
                call.unsent.append(letter)
                return [late for late in reversed(call.unsent) for _ in range(2)] if call.is_over else []
            case _:
                return [letter]

    async def _deliver(self, call: Call, letters: list[Letter]) -> None:
        assert self._courier is not None  # noqa: S101  # calls are made only while the application runs
        for letter in letters:
            if await self._courier.deliver(letter):
                call.entry.callbacks_taken += 1
            else:
                call.entry.callbacks_failed += 1
                log.info("simulator.callback_failed call_sid=%s status=%s", call.sid, letter.form["CallStatus"])
        call.told.set()

    def _news(self, call: Call) -> dict[str, str]:
        """The parameters of a callback about the status it has now."""
        to, from_ = call.form["To"], call.form["From"]
        news = {
            "CallSid": call.sid,
            "AccountSid": self._account_sid,
            "From": from_,
            "To": to,
            "Caller": from_,
            "Called": to,
            "Direction": "outbound-api",
            "ApiVersion": API,
            "CallStatus": call.status,
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(call.sequence),
            "Timestamp": format_datetime(call.updated_at),
        }
        if call.answered_by:
            news["AnsweredBy"] = call.answered_by
        if call.is_over:
            talked_s = call.talked_s(self._speed)
            news["CallDuration"] = str(talked_s)
            news["Duration"] = str(math.ceil(talked_s / 60))
            news["SipResponseCode"] = str(fates.SIP_CODES[call.status])
        return news

    # The Call resource

    def _resource(self, call: Call) -> dict[str, object]:
        """A call as the REST API shows it."""
        to, from_ = call.form["To"], call.form["From"]
        completed = call.status == "completed"
        uri = f"/{API}/Accounts/{self._account_sid}/Calls/{call.sid}"
        return {
            "sid": call.sid,
            "account_sid": self._account_sid,
            "to": to,
            "to_formatted": to,
            "from": from_,
            "from_formatted": from_,
            "status": call.rest_status,
            "direction": "outbound-api",
            "date_created": format_datetime(call.created_at),
            "date_updated": format_datetime(call.updated_at),
            "start_time": format_datetime(call.started_at) if call.started_at else None,
            "end_time": format_datetime(call.ended_at) if call.ended_at and completed else None,
            "duration": str(call.talked_s(self._speed)) if completed else None,
            "price": self._price(call),
            "price_unit": "USD",
            "answered_by": call.answered_by,
            "queue_time": "0",
            "api_version": API,
            "uri": f"{uri}.json",
            "subresource_uris": {name.lower(): f"{uri}/{name}.json" for name in SUBRESOURCES},
            **dict.fromkeys(ALWAYS_NULL),
        }

    def _price(self, call: Call) -> str | None:
        """A negative amount, some time after a completed call ended; before that, not known."""
        if call.ended_at is None or call.status != "completed":
            return None
        since_s = (datetime.now(UTC) - call.ended_at).total_seconds() * self._speed
        minutes = math.ceil(call.talked_s(self._speed) / 60)
        return f"-{0.013 * minutes:.3f}" if since_s >= PRICED_AFTER_S else None


async def _form_of(request: web.Request) -> Form:
    return MultiDict((name, str(value)) for name, value in (await request.post()).items())


def _say(fault: Fault, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(fault.body(), status=fault.status, headers=headers)


def _cut(request: web.Request) -> web.Response:
    """Drop the connection; the response is a formality that nobody gets."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _nothing_here(_request: web.Request) -> web.StreamResponse:
    return _say(fates.NOT_FOUND)


def _bare(url: str) -> str:
    """An address as Twilio requests and signs it: without fragment, without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()


def _fault_in_update(call: Call, form: Form) -> Fault | None:
    """Why this update cannot be; a cancel that comes too late for a call in progress is none: it does nothing."""
    if call.is_over:
        return fates.CALL_IS_OVER
    if form.get("Status", "completed") not in ("completed", "canceled"):
        return fates.BAD_PARAMETER
    redirects = form.get("Url") or form.get("Twiml")
    return fates.NOT_IN_PROGRESS if redirects and call.status != "in-progress" else None


def _passes(call: Call, asked: Form) -> bool:
    return (
        asked.get("From") in (None, "", call.form["From"])
        and asked.get("Status") in (None, "", call.rest_status)
        and not asked.get("ParentCallSid")  # No simulated call has a parent.
    )


def _day_of(name: str, value: str) -> date | None:
    """The day a time filter names; None for any other parameter. Raises ValueError for what is no date."""
    return datetime.fromisoformat(value).date() if name.rstrip("<>") in ("StartTime", "EndTime") else None


def _falls_on(call: Call, days: dict[str, date]) -> bool:
    """Whether the call started and ended on these days; what has not happened falls on none."""
    for name, day in days.items():
        at = call.started_at if name.startswith("Start") else call.ended_at
        if at is None:
            return False
        if not {"<": at.date() <= day, ">": at.date() >= day}.get(name[-1], at.date() == day):
            return False
    return True


async def _serve(simulator: Simulator, host: str, port: int) -> None:
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)
    log.info("simulator.up url=%s", await simulator.start(host, port))
    await asked_to_stop.wait()
    await simulator.stop()
    log.info("simulator.down")


def run(host: str, port: int, *, account_sid: str, auth_token: str, speed: float) -> None:
    """Be a carrier until SIGTERM or SIGINT. Call it from the main thread."""
    asyncio.run(_serve(Simulator(account_sid=account_sid, auth_token=auth_token, speed=speed), host, port))


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """A simulator in a thread of its own."""

    url: str
    log: Callable[[], list[dict[str, Any]]]
    reset: Callable[[], None]


@contextmanager
def in_thread(
    *, account_sid: str, auth_token: str, speed: float = 1.0, stall_s: float = 60.0
) -> Iterator[RunningSimulator]:
    """A simulator on a free port of 127.0.0.1, for tests; the arguments are those of `Simulator`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()

    def ask(question: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(question, loop).result(timeout=30)

    simulator = Simulator(account_sid=account_sid, auth_token=auth_token, speed=speed, stall_s=stall_s)

    async def entries() -> list[dict[str, Any]]:
        return simulator.entries()

    try:
        url = ask(simulator.start())
        yield RunningSimulator(url, lambda: ask(entries()), lambda: ask(simulator.reset()))
    finally:
        ask(simulator.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=30)
        loop.close()
