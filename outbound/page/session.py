"""Sessions: a browser that has shown a token is signed in, and a user whom a proxy in front of us has let in."""

import hashlib
import secrets
import time
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


class Session(NamedTuple):
    """Somebody who is signed in; `by_cookie` is false of a user whom a proxy names, who cannot sign out here."""

    caller: Caller
    by_cookie: bool


_known: dict[bytes, tuple[float, Caller]] = {}


def forget() -> None:
    """Know no session any more."""
    _known.clear()


async def of(request: Request) -> Session | None:
    """
    Return who has sent a request; None where nobody is signed in.

    Raises:
        db.Unavailable: the database does not answer.
    """
    user = _user(request)
    if user is not None:
        scopes = frozenset(settings().page_user_scopes.split())
        return Session(Caller(0, "", user, None, scopes, None, user), by_cookie=False)
    secret = request.cookies.get(COOKIE, "")
    if not secret:
        return None
    digest = _sha256(secret)
    until, caller = _known.get(digest, (0.0, None))
    if caller is None or until < time.monotonic():
        row = await run_in_threadpool(db.run, sql.find_session, secret_sha256=digest)
        _known.pop(digest, None)
        if row is None:
            return None
        caller = Caller(row.id, row.public_id, row.name, row.business_id, frozenset(row.scopes), row.expires_at)
        if len(_known) >= _CACHED:
            _known.clear()
        _known[digest] = (time.monotonic() + _CACHE_S, caller)
    return Session(caller, by_cookie=True)


def _user(request: Request) -> str | None:
    """The user whom a proxy on this host names in the header of the settings; None where there is none."""
    header = settings().page_user_header
    if not header or (request.client is not None and request.client.host not in LOOPBACK):
        return None
    name = request.headers.get(header, "").strip()
    return name if name and len(name) <= USER_MAX and not plain_text.fault(name) else None


async def begin(token_id: int, response: Response) -> bool:
    """Sign the browser in that gets this response, for HOURS; false where the token has just gone."""
    secret = secrets.token_urlsafe(32)
    ends: datetime | None = await run_in_threadpool(
        db.run, sql.begin_session, secret_sha256=_sha256(secret), token_id=token_id, hours=HOURS
    )
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


def _sha256(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
