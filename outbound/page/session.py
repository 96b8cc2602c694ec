"""Sessions: a browser that has shown a token is signed in, and a user whom a proxy in front of us has let in."""

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from outbound import db
from outbound.api.context import Caller
from outbound.config import settings
from outbound.formats import plain_text
from outbound.settings_model import LOOPBACK

sql = db.statements("page/session")

COOKIE = "__Host-outbound"  # its prefix binds it to this host, to https (or loopback) and to the whole of it
HOURS = 12
USER_MAX = 100  # characters of a user's name
_CACHE_S = 5  # a session whose token was revoked is taken for so long at most
_CACHED = 1000
_ASKED_AGAIN_S = 20  # an open page asks every few seconds; one that did not for so long is closed


class Session(NamedTuple):
    """
    Somebody who is signed in.

    `by_cookie` is false of a user whom a proxy names, who cannot sign out here. `mark` tells sessions apart in a
    browser, and is no secret: tabs of another sign-in share no stream.
    """

    caller: Caller
    by_cookie: bool
    mark: str


@dataclass
class _Known:
    """A session that was looked up: whose it is, until when that is taken for true, and when it was last asked for."""

    caller: Caller
    until: float
    asked_at: float


_known: dict[bytes, _Known] = {}
_looking = asyncio.Lock()


def forget() -> None:
    """Know no session any more."""
    global _looking  # noqa: PLW0603 (a lock belongs to the event loop that has waited for it)
    _known.clear()
    _looking = asyncio.Lock()


async def of(request: Request) -> Session | None:
    """
    Return who has sent a request; None where nobody is signed in.

    Raises:
        db.Unavailable: the database does not answer.
    """
    user = _user(request)
    if user is not None:
        scopes = frozenset(settings().page_user_scopes.split())
        caller = Caller(0, "", user, None, scopes, None, user, is_on_page=True)
        return Session(caller, by_cookie=False, mark=_mark(user.encode()))
    secret = request.cookies.get(COOKIE, "")
    if not secret:
        return None
    digest = _sha256(secret)
    known = _known.get(digest)
    if known is None or known.until < time.monotonic():
        async with _looking:
            known = _known.get(digest)  # somebody who waited before us has looked for all
            if known is None or known.until < time.monotonic():
                await run_in_threadpool(_look_up, digest)
                known = _known.get(digest)
    if known is None:
        return None
    known.asked_at = time.monotonic()
    return Session(known.caller, by_cookie=True, mark=_mark(digest))


def _look_up(digest: bytes) -> None:
    """Look up a session, and with it, since open pages ask again and again, all that were asked for lately."""
    now = time.monotonic()
    asked = {one: known.asked_at for one, known in _known.items() if now - known.asked_at < _ASKED_AGAIN_S}
    asked[digest] = now
    rows = db.run(sql.find_sessions, secrets_sha256=sorted(asked, key=lambda one: -asked[one])[:_CACHED])
    found = {}
    for row in rows:
        scopes = frozenset(row.scopes)
        caller = Caller(row.id, row.public_id, row.name, row.business_id, scopes, row.expires_at, is_on_page=True)
        found[bytes(row.secret_sha256)] = _Known(caller, now + _CACHE_S, asked[bytes(row.secret_sha256)])
    _known.clear()
    _known.update(found)


def _user(request: Request) -> str | None:
    """The user whom a proxy on this host names in the header of the settings; None where there is none."""
    header, peer = settings().page_user_header, getattr(request.state, "peer", None)
    if not header or (peer is not None and peer not in LOOPBACK):  # a socket of a file has no peer's address
        return None
    name = request.headers.get(header, "").strip()
    return name if name and len(name) <= USER_MAX and not plain_text.fault(name) else None


async def begin(token_id: int, request: Request, response: Response) -> bool:
    """
    Sign in the browser that has sent this request, for HOURS; false where the token has just gone.

    The session that it had before ends.
    """
    secret, before = secrets.token_urlsafe(32), _sha256(request.cookies.get(COOKIE, ""))
    ends: datetime | None = await run_in_threadpool(
        db.run, sql.begin_session, secret_sha256=_sha256(secret), before_sha256=before, token_id=token_id, hours=HOURS
    )
    _known.pop(before, None)
    if ends is None:
        return False
    response.set_cookie(COOKIE, secret, expires=ends, path="/", secure=True, httponly=True, samesite="strict")
    return True


async def end(request: Request, response: Response) -> None:
    """Sign out the browser that has sent this request."""
    digest = _sha256(request.cookies.get(COOKIE, ""))
    await run_in_threadpool(db.run, sql.end_session, secret_sha256=digest)
    _known.pop(digest, None)
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")


def _mark(identity: bytes) -> str:
    return hashlib.sha256(b"mark " + identity).hexdigest()[:16]


def _sha256(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
