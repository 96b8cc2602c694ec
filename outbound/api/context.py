"""One request: whose token it shows, what that may do and whose rows it may see, and its work as one transaction."""

import asyncio
import hashlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from types import NoneType
from typing import Any, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from anyio import CapacityLimiter, to_thread
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from outbound import db, failpoint
from outbound.api import commands, preference
from outbound.api.problem import Problem, in_language, language_headers, language_of, not_found
from outbound.api.tenant_view import View
from outbound.calls.call_request import KEY_MAX
from outbound.config import settings
from outbound.rules import api_token

sql = db.statements("api/context")
T = TypeVar("T")
Status = int | Callable[[Any], int]

TOKEN_CACHE_S = 5  # a token that was revoked is still accepted for at most so long
TOKENS_CACHED = 10_000
REFUSED_AT_ONCE = 30  # requests that one address may send at once without a live token
REFUSED_PER_S = 1.0  # that it may send after those
ADDRESSES_KEPT = 10_000
WAIT_MS = 2000  # for a request with the same key
SLOW_AT_ONCE = 4  # requests that may take minutes
SLOW_CONNECTIONS = 4  # of each of them: the lock of its key, two chunks of a file, and what is asked while it is read
PAGES_AT_ONCE = 4  # of all exports
_SLOW_WAITING_MAX = 8
_WHOLE = frozenset({NoneType, bool, int, float, str, datetime})  # types that hold no rows
_BURST_S = 2  # a token may send the requests of so long at once
REPLAYED = "idempotent-replayed"  # the header of an answer that was given before
PREFIX = "/v1"  # of the paths of all operations
CALLER = "outbound.caller"  # in the scope of a request from this process: who it is for; nobody else can put it there
IS_STILL_IN = "outbound.is_still_in"  # beside it: asks whether they are still signed in


def made(found: Mapping[str, Any]) -> int:
    """The status of an answer about something that was made, or was there already, as its `created` says."""
    return 201 if found["created"] else 200


class Caller(NamedTuple):
    """
    A live token, or a user whom a proxy has let in.

    `business_id` is the one business that it may see, None for all; `user` is the user's name, None of a token. With
    `is_on_page` somebody looks at the page: their requests are counted apart from those of the token's applications.
    """

    id: int
    public_id: str
    name: str
    business_id: int | None
    scopes: frozenset[str]
    expires_at: datetime | None
    user: str | None = None
    is_on_page: bool = False

    @property
    def who(self) -> str:
        """As the audit names it."""
        return f"user {self.user}" if self.user else f"token {self.name} ({self.public_id})"

    def holds_s(self, most_s: float) -> float:
        """Seconds for which what was found of the token is taken for true: *most_s*, and no longer than it lives."""
        if self.expires_at is None:
            return most_s
        return min(most_s, (self.expires_at - datetime.now(UTC)).total_seconds())


class _Bucket:
    """The number of requests that one sender may still send to this process now."""

    def __init__(self, burst: float) -> None:
        self.tokens = burst
        self.at = time.monotonic()

    def fill(self, rate: float, burst: float) -> float:
        """Let in what has come since the last look, *rate* a second; how much there is, *burst* at most."""
        now = time.monotonic()
        self.tokens = min(burst, self.tokens + (now - self.at) * rate)
        self.at = now
        return self.tokens


class _Refusals:
    """Counts how often each address has lately been refused for want of a token."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}

    def look(self, request: Request) -> None:
        """
        Let nobody guess on.

        Raises:
            Problem: 429, this address was refused too often.
        """
        bucket = self._buckets.get(_address(request))
        if bucket is not None and bucket.fill(REFUSED_PER_S, REFUSED_AT_ONCE) < 1:
            message = "this address has sent too many requests without a valid token: try again in a second"
            raise Problem(429, message, headers={"retry-after": "1"})

    def note(self, request: Request) -> None:
        """Count a request that was refused."""
        address = _address(request)
        if address not in self._buckets and len(self._buckets) >= ADDRESSES_KEPT:
            self._buckets.clear()
        self._buckets.setdefault(address, _Bucket(REFUSED_AT_ONCE)).tokens -= 1


def _address(request: Request) -> str:
    """The address that a request comes from; of IPv6 the network, all of which one sender has."""
    host = request.client.host if request.client else ""
    return ":".join(host.split(":")[:4]) if ":" in host else host


class Tokens:
    """The tokens that this process has seen in the last TOKEN_CACHE_S, and how fast each sends."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[float, Caller | None]] = {}
        self._looks: dict[bytes, asyncio.Task[Caller | None]] = {}
        self._buckets: dict[tuple[int, str | None, bool], _Bucket] = {}
        self._refusals = _Refusals()

    async def caller(self, request: Request) -> Caller:
        """
        The token that this request shows.

        Raises:
            Problem: 401, it shows no token that is live; 429, its address has shown too many such.
        """
        known: Caller | None = request.scope.get(CALLER)
        if known is not None:
            if not await request.scope[IS_STILL_IN]():
                raise _no_live_token()
            return known
        try:
            return await self._live(request)
        except Problem as problem:
            if problem.status == 401:
                self._refusals.note(request)
            raise

    async def _live(self, request: Request) -> Caller:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        challenge = {"www-authenticate": 'Bearer realm="outbound"'}
        if scheme.lower() != "bearer" or not text.strip():
            self._refusals.look(request)
            raise Problem(401, "send `Authorization: Bearer outb_…`", code="no_token", headers=challenge)
        digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
        until, caller = self._known.get(digest, (0.0, None))
        # A token that was live a moment ago, or as this request began, is not held up by who guesses beside it.
        if caller is None and getattr(request.state, "caller", None) is None:
            self._refusals.look(request)
        if until < time.monotonic():
            caller = await self._found(digest, text.strip())
        if caller is None:
            raise _no_live_token()
        return caller

    async def _found(self, digest: bytes, text: str) -> Caller | None:
        """Look a token up, once for all requests that show it at this moment."""
        look = self._looks.get(digest)
        if look is None:
            look = self._looks[digest] = asyncio.create_task(self._look_up(digest, text))
        return await asyncio.shield(look)

    async def _look_up(self, digest: bytes, text: str) -> Caller | None:
        began = time.monotonic()
        try:
            caller = await run_in_threadpool(_find, text)
        finally:
            self._looks.pop(digest, None)
        if len(self._known) >= TOKENS_CACHED:
            self._known.clear()
        self._known[digest] = (began + (TOKEN_CACHE_S if caller is None else caller.holds_s(TOKEN_CACHE_S)), caller)
        return caller

    def forget(self) -> None:
        """Know no token and no address any more."""
        self._known.clear()
        self._looks.clear()
        self._buckets.clear()
        self._refusals = _Refusals()

    def take(self, caller: Caller) -> dict[str, str]:
        """
        Count a request, and say in headers how many more there may be.

        Raises:
            Problem: 429, there were too many.
        """
        rate = settings().api_rate
        burst = rate * _BURST_S
        bucket = self._buckets.setdefault((caller.id, caller.user, caller.is_on_page), _Bucket(burst))
        bucket.fill(rate, burst)
        policy = {"ratelimit-policy": f'"token";q={math.floor(burst)};w={_BURST_S}'}
        if bucket.tokens < 1:
            wait = max(1, math.ceil((1 - bucket.tokens) / rate))
            headers = policy | {"ratelimit": f'"token";r=0;t={wait}', "retry-after": str(wait)}
            raise Problem(429, f"at most {rate:g} requests per second: try again in {wait} s", headers=headers)
        bucket.tokens -= 1
        return policy | {"ratelimit": f'"token";r={math.floor(bucket.tokens)};t=1'}


def _no_live_token() -> Problem:
    challenge = {"www-authenticate": 'Bearer realm="outbound", error="invalid_token"'}
    return Problem(401, "the token is unknown, revoked or expired: make another one", headers=challenge)


def _find(text: str) -> Caller | None:
    row = api_token.find(text)
    if row is None:
        return None
    return Caller(row.id, row.public_id, row.name, row.business_id, frozenset(row.scopes), row.expires_at)


def require(caller: Caller, scope: str, *, of_all: bool) -> None:
    """
    Refuse a token that lacks a scope, or is of one business where all are concerned.

    Raises:
        Problem: 403, names what is missing.
    """
    if scope and scope not in caller.scopes:
        raise Problem(403, f"the token lacks the scope `{scope}`: make one that has it")
    if of_all and caller.business_id is not None:
        raise Problem(403, "this concerns all businesses: it needs a token that is of none")


@dataclass(frozen=True)
class Context:
    """
    A request that was let in.

    Attributes:
        key: its Idempotency-Key, None where it has none.
        digest: SHA-256 of its method, path and body: what a repeat with the same key must have too.  Of a file's body,
            see of_file.
        model: of the answer, which holds no field that the model has not.
        let_in: asks once more for the token, as what takes long does; raises Problem, 401, where it is not live.
        accept_language: the header of this name.
        worded: of each sentence of the answer that was said in that language, was it said whole.
    """

    caller: Caller
    key: str | None
    digest: bytes
    model: TypeAdapter[Any]
    let_in: Callable[[], Awaitable[object]]
    accept_language: str = ""
    worded: list[bool] = field(default_factory=list)

    def of_file(self, sha256: bytes | None) -> "Context":
        """
        The context of a request whose body, a file, has come by now.

        Args:
            sha256: of the file; None where it was cut off: nobody takes that answer, and the key is for the whole file.
        """
        if sha256 is None:
            return replace(self, key=None)
        return replace(self, digest=hashlib.sha256(self.digest + sha256).digest())

    def answering(self, model: TypeAdapter[Any]) -> "Context":
        """The context of a request that has another answer than the usual one."""
        return replace(self, model=model)

    def forget_lost_promise(self, silent_s: float) -> None:
        """Take the key back from an import that was promised (202) and got lost: a repeat does the work."""
        if self.key is not None:
            db.run(sql.forget_lost_promise, body_sha256=self.digest, silent_s=silent_s, **self._name)

    @cached_property
    def view(self) -> View:
        """The view that the token has of its rows; one for the whole request, which asks but once whose tokens are."""
        return View(self.caller.business_id)

    def said(self, sentence: str) -> str:
        """A sentence within an answer: what the token may see of it, in the language asked for."""
        text, is_whole = in_language(self.view.text(sentence), self._language)
        self.worded.append(is_whole)
        return text if self.caller.is_on_page else commands.worded(text)

    def maybe_said(self, sentence: str | None) -> str | None:
        """`said`, where there is a sentence."""
        return sentence and self.said(sentence)

    @cached_property
    def _language(self) -> str:
        return language_of(self.accept_language)

    async def stay_in(self) -> None:
        """
        Ask once more for the token between two parts of a body; a database that is away is asked at the next one.

        Raises:
            Problem: 401, it is no longer live.
        """
        with suppress(*db.Unavailable):
            await self.let_in()

    async def read(self, work: Callable[[], Any], *, is_slow: bool = False) -> Response:
        """Answer with what *work* finds; it may take minutes where *is_slow* says so."""

        def answer() -> Response:
            return self._answer(work(), 200)

        if not is_slow:
            return await run_in_threadpool(answer)
        found = await slowly(answer)
        await self.let_in()
        return found

    def answer_created(self, found: dict[str, Any]) -> Response:
        """Answer 201 with what was made new, as its `created` says; 200 where it was there already."""
        return self._answer(found, made)

    async def write(self, work: Callable[[], Any], *, status: Status = 200, in_parts: bool = False) -> Response:
        """
        Answer with what *work* did: its effect and the kept answer are one commit.

        Args:
            status: of the answer, or what tells it from what the work did.
            in_parts: the work commits in several parts, each of which may be repeated; the answer is kept after it.
                Where the process is killed before that, a repeat goes on with the work.
        """
        if not in_parts:
            return await run_in_threadpool(self._at_once, work, status)
        async with self._alone():
            return await slowly(lambda: self._in_parts(work, status), self.let_in)

    def _at_once(self, work: Callable[[], Any], status: Status) -> Response:
        with db.one_transaction() as connection:
            if self.key is not None and (kept := self._claim_key(connection)):
                return kept
            db.speak_for(connection, self.caller.who)
            answer = self._answer(work(), status)
            if self.key is not None:
                self._keep(connection, answer)
            failpoint.crash_here("api.done")
        failpoint.crash_here("api.committed")
        return answer

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Wait for the request of this process that has the same key: here a wait takes no thread or connection."""
        if self.key is None:
            yield
            return
        turn = _turns.setdefault((self.caller.id, self.key), asyncio.Lock())
        try:
            await asyncio.wait_for(turn.acquire(), WAIT_MS / 1000)
        except TimeoutError:
            raise _in_progress() from None
        try:
            yield
        finally:
            turn.release()

    async def refuse_at_work(self) -> None:
        """
        Look before the body comes whether a request with this key is at work; the answer to a repeat is looked for
        after it, as the body is a part of what must be the same.

        Raises:
            Problem: 409, it is.
        """
        if self.key is None:
            return
        async with self._alone():
            if await run_in_threadpool(db.run, sql.is_key_locked, **self._name):
                raise _in_progress()

    def _in_parts(self, work: Callable[[], Any], status: Status) -> Response:
        def by_caller() -> Any:
            with db.speaking_for(self.caller.who):
                return work()

        if self.key is None:
            return self._answer(by_caller(), status)
        return db.with_connection(lambda connection: self._once(connection, by_caller, status))

    def _once(self, connection: db.Connection, work: Callable[[], Any], status: Status) -> Response:
        """
        Work, unless the answer is kept, as the only one of all processes that has the key.

        The lock is the session's: it ends with the connection, so that a process that is killed leaves none, and a host
        that lost its power leaves one for half a minute.
        """
        if not sql.try_lock_key(connection, **self._name):
            raise _in_progress()
        try:
            if (row := sql.find_request(connection, **self._name)) is not None:
                return self._again(row)
            answer = self._answer(work(), status)
            failpoint.crash_here("api.done")
            self._keep(connection, answer)
            failpoint.crash_here("api.committed")
            return answer
        finally:
            try:
                sql.unlock_key(connection, **self._name)
            except db.Unavailable:
                connection.close()  # with which the lock ends

    def _answer(self, found: Any, status: Status) -> Response:
        """The answer, as its model has it: a column that the document does not name is not shown."""
        body = self.model.dump_json(self.model.validate_python(plain(found)), by_alias=True)
        said = language_headers(self._language, is_whole=all(self.worded)) if self.worded else None
        code = status(found) if callable(status) else status
        return Response(body, code, headers=said, media_type="application/json")

    def _claim_key(self, connection: db.Connection) -> Response | None:
        """Claim the key for this request: None where it is new, else the answer that was given to it before."""
        db.wait_at_most(connection, WAIT_MS)
        try:
            is_new = sql.begin_request(connection, body_sha256=self.digest, **self._name)
        except db.LockNotAvailable:
            raise _in_progress() from None
        db.wait_at_most(connection, 0)
        return None if is_new else self._again(sql.find_request(connection, **self._name))

    @property
    def _name(self) -> dict[str, Any]:
        """The key, and the token whose it is."""
        return {"token_id": self.caller.id, "key": self.key}

    def _again(self, row: db.Row | None) -> Response:
        if row is None:  # it grew old between two statements
            raise _in_progress()
        if bytes(row.body_sha256) != self.digest:
            raise Problem(
                422,
                "this Idempotency-Key was sent with another request: take a new key for it",
                code="key_of_another",
            )
        said = {"content-language": row.content_language} if row.content_language else {}
        return JSONResponse(row.answer, row.status, headers=said | {REPLAYED: "true"})

    def _keep(self, connection: db.Connection, answer: Response) -> None:
        sql.keep_answer(
            connection,
            body_sha256=self.digest,
            status=answer.status_code,
            answer=bytes(answer.body).decode(),
            content_language=answer.headers.get("content-language"),
            **self._name,
        )

    def business(self, business_id: int) -> int:
        """A business that this token may see; or raise Problem, 404."""
        return self._own(sql.is_own_business, business_id, "business")

    def campaign(self, campaign_id: int) -> int:
        """A campaign that this token may see; or raise Problem, 404."""
        return self._own(sql.is_own_campaign, campaign_id, "campaign")

    def call(self, call_id: int) -> int:
        """A call that this token may see; or raise Problem, 404."""
        return self._own(sql.is_own_call, call_id, "call")

    def _own(self, statement: Any, wanted: int, what: str) -> int:
        if not db.run(statement, business_id=self.caller.business_id, id=wanted):
            raise not_found(what)
        return wanted

    def filter(self, business_id: int | None, campaign_id: int | None) -> dict[str, int | None]:
        """`business_id` and `campaign_id` of a search: what was asked for, and never more than the token may see."""
        if campaign_id is not None:
            self.campaign(campaign_id)
        if business_id is not None:
            self.business(business_id)
        return {"business_id": business_id or self.caller.business_id, "campaign_id": campaign_id}

    def whose(self, business_id: int | None, campaign_id: int | None) -> dict[str, int | None]:
        """`business_id` and `campaign_id` of what is written; of neither, the token's own business."""
        if campaign_id is not None:
            self.campaign(campaign_id)
        elif business_id is None:
            business_id = self.caller.business_id
        if business_id is not None:
            self.business(business_id)
        return {"business_id": business_id, "campaign_id": campaign_id}


def in_progress(what: str) -> Problem:
    """The refusal of what another request is doing at this moment."""
    return Problem(409, f"{what}: send it again in a second", code="in_progress", headers={"retry-after": "1"})


def _in_progress() -> Problem:
    return in_progress("a request with this Idempotency-Key is being answered")


_limits: dict[str, CapacityLimiter] = {}  # of the event loop that serves
# Whose turn it is of the requests with one key, in the event loop that serves.
_turns: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()


def limit(name: str, at_once: int) -> CapacityLimiter:
    """The one limit of this name in the event loop that serves: *at_once* may hold it."""
    if name not in _limits:
        _limits[name] = CapacityLimiter(at_once)
    return _limits[name]


async def slowly(work: Callable[[], T], let_in: Callable[[], Awaitable[object]] | None = None) -> T:
    """
    Do in a thread what may take minutes: a file, a long list.  A few at once, so that the others are answered.

    Args:
        let_in: is asked once it is this work's turn, for which it may have waited for minutes.

    Raises:
        Problem: 503, many wait for that already; what *let_in* raises.
    """
    limiter = limit("slow", SLOW_AT_ONCE)
    if limiter.statistics().tasks_waiting >= _SLOW_WAITING_MAX:
        message = "many files and long lists are at work: try again later"
        raise Problem(503, message, code="busy", headers={"retry-after": "30"})
    async with limiter:
        if let_in is not None:
            await let_in()
        return await to_thread.run_sync(work, limiter=limit("slow_threads", SLOW_AT_ONCE))


def forget_limits() -> None:
    """Forget which slow requests are at work: for the event loop that begins to serve."""
    _limits.clear()
    _turns.clear()


def of_request(
    request: Request,
    caller: Caller,
    body: bytes,
    model: TypeAdapter[Any],
    let_in: Callable[[], Awaitable[object]],
) -> Context:
    """
    The context of a request that was let in.

    Raises:
        Problem: 400, its Idempotency-Key is none.
    """
    key = request.headers.get("idempotency-key")
    if key is not None:
        key = key.strip(" \t")  # which are no part of a header's value (RFC 9110, 5.5)
    if key is not None and not (0 < len(key) <= KEY_MAX and key.isascii() and key.isprintable()):
        raise Problem(400, f"an Idempotency-Key is 1 to {KEY_MAX} printable ASCII characters")
    scope = request.scope
    target = f"{scope['method']} {scope['path']}?".encode() + scope["query_string"] + b"\n"
    accepted = preference.sent(request, "accept-language")
    return Context(caller, key, hashlib.sha256(target + body).digest(), model, let_in, accepted)


def plain(value: Any) -> Any:
    """A value whose rows are mappings, as the models read them."""
    if type(value) in _WHOLE:
        return value
    if isinstance(value, dict):
        is_plain = _WHOLE.issuperset(map(type, value.values()))  # most rows are: a list has a hundred of them
        return value if is_plain else {name: plain(one) for name, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return value
