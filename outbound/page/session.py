"""Sessions: of browsers that signed in with a token, and of users whom a proxy in front of us names."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

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
_CACHE_S = 5  # a session whose token was revoked is still accepted for at most so long
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
                asked = [digest, *asked_lately()]
                renew(asked, await run_in_threadpool(_found, asked), new=digest)
                known = _known.get(digest)
    if known is None:
        return None
    known.asked_at = time.monotonic()
    return Session(known.caller, by_cookie=True, mark=_mark(digest))


def asked_lately() -> list[bytes]:
    """The digests of the sessions that open pages ask for, the latest first, _CACHED at most."""
    since = time.monotonic() - _ASKED_AGAIN_S
    lately = [(known.asked_at, digest) for digest, known in _known.items() if known.asked_at > since]
    return [digest for _, digest in sorted(lately, reverse=True)[:_CACHED]]


def renew(digests: Iterable[bytes], found: Iterable[dict[str, Any]], new: bytes = b"") -> None:
    """
    Take over what was just read of these sessions; those that were not found are over.

    Args:
        digests: the sessions that were looked for. One that is no longer known was signed out meanwhile, unless it is
            *new*.
        found: what `page_sessions` returns of each.
        new: the one that was not known before.
    """
    now = time.monotonic()
    callers = {bytes.fromhex(one["secret_sha256"].removeprefix("\\x")): _caller(one) for one in found}
    for digest in digests:
        known = _known.pop(digest, None)
        if digest in callers and (known is not None or digest == new):
            caller, asked_at = callers[digest], now if known is None else known.asked_at
            _known[digest] = _Known(caller, now + caller.holds_s(_CACHE_S), asked_at)
    for digest in [one for one, known in _known.items() if known.asked_at < now - _ASKED_AGAIN_S]:
        del _known[digest]


def _found(digests: list[bytes]) -> list[dict[str, Any]]:
    return [row[0] for row in db.run(sql.find_sessions, secrets_sha256=digests)]


def _caller(token: dict[str, Any]) -> Caller:
    expires_at = token["expires_at"] and datetime.fromisoformat(token["expires_at"])
    scopes = frozenset(token["scopes"])
    return Caller(
        token["id"], token["public_id"], token["name"], token["business_id"], scopes, expires_at, is_on_page=True
    )


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
