"""Tokens of the API: who may see and change what over HTTP."""

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from outbound import db
from outbound.errors import Fault, UserError
from outbound.formats import plain_text

sql = db.statements("rules/api_token")

OPERATOR = "operator"
SCOPES = {
    "calls:read": "see calls, callees, campaigns and what holds them",
    "calls:write": "put calls in the queue, one by one and by the file",
    "campaigns": "add and change campaigns, their limits and windows, and retry policies",
    "control": "pause, resume, cancel, stop and limit, also what an operator paused or limited of the business",
    "suppression": "change the do-not-call list and consents",
    "leads:read": "see leads",
    "webhooks": "add and change endpoints of webhooks, and replay what was sent to them",
    "audit": "see who did what: over HTTP with a token of no business, on the page also of its own",
    "tokens": "make and revoke tokens that may do no more than this one",
    OPERATOR: "what concerns all businesses: businesses, windows, destinations, registry",
}
NAME_MAX = 100  # characters
LIFE_DAYS_MAX = 3650
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH, _SECRET_LENGTH, _CHECK_LENGTH = 8, 32, 6  # 32 of 62 letters are 190 bits
_TOKEN = re.compile(r"outb_([a-z2-7]{8})_([0-9A-Za-z]{32})_([0-9A-Za-z]{6})")


class BadToken(UserError):
    """The error where what was given of a token is wrong; the message says what, and nothing was changed."""


@dataclass(frozen=True)
class NewToken:
    """A token that was just made; `token` is its text, which is shown this once."""

    id: int
    public_id: str
    token: str
    name: str
    business_id: int | None
    scopes: list[str]
    expires_at: datetime | None


def add(
    name: str, *, scopes: Iterable[str], business_id: int | None = None, life_days: int | None = None, actor: str
) -> NewToken:
    """
    Make a token.

    Args:
        name: what people call it, one line of 1 to 100 characters.
        scopes: some of SCOPES; `operator` is for tokens of no business.
        business_id: the one business whose rows it may see and change; None for all.
        life_days: after so many days (1 to 3650) it is refused; None for never.
        actor: the person or token that makes it, for the audit.

    Raises:
        BadToken: names everything that is wrong at once.
    """
    wanted = sorted(set(scopes), key=list(SCOPES).index) if set(scopes) <= SCOPES.keys() else None
    faults: list[Fault] = []
    if not name.strip() or len(name) > NAME_MAX or plain_text.fault(name):
        faults.append(Fault("name", f"a token needs a name: one line of {NAME_MAX} characters at most"))
    if not wanted:
        faults.append(Fault("scopes", f"say what it may do: one or more of {', '.join(SCOPES)}"))
    elif OPERATOR in wanted and business_id is not None:
        message = "`operator` concerns all businesses: leave it out, or make the token for no business"
        faults.append(Fault("scopes", message))
    if life_days is not None and not 1 <= life_days <= LIFE_DAYS_MAX:
        message = f"a token lives 1 to {LIFE_DAYS_MAX} days, or for ever where that is not said"
        faults.append(Fault("life_days", message))
    if faults or not wanted:
        raise BadToken.of(faults)
    name = name.strip()
    public_id = _random(_ID_LETTERS, _ID_LENGTH)
    secret = _random(_LETTERS, _SECRET_LENGTH)
    token = f"outb_{public_id}_{secret}_{_check(public_id + secret)}"
    row = db.run(
        sql.add_token,
        public_id=public_id,
        secret_sha256=_sha256(token),
        name=name,
        business_id=business_id,
        scopes=wanted,
        life_days=life_days,
        who=actor,
    )
    if row is None:
        raise BadToken(f"there is no business {business_id}: see `outbound business list`")
    return NewToken(row.id, public_id, token, name, business_id, wanted, row.expires_at)


def find(text: str) -> db.Row | None:
    """The live token that this text is, as a row of use_token; None where it is none, was revoked or has expired."""
    read = _TOKEN.fullmatch(text)
    if read is None or not hmac.compare_digest(_check(read[1] + read[2]), read[3]):
        return None
    row = db.run(sql.use_token, public_id=read[1])
    if row is None or not hmac.compare_digest(bytes(row.secret_sha256), _sha256(text)) or not row.is_live:
        return None
    return row


def every(business_id: int | None = None) -> list[db.Row]:
    """All tokens, or one business's, the newest first; never their text."""
    return page(business_id)


def page(
    business_id: int | None = None,
    *,
    within: Iterable[str] | None = None,
    before: int | None = None,
    limit: int | None = None,
) -> list[db.Row]:
    """
    The tokens of `every` that have a smaller id than *before*, *limit* at most; None for no bound.

    Args:
        within: only tokens that may do no more than these scopes; None for any.
    """
    scopes = None if within is None else list(within)
    return list(db.run(sql.list_tokens, business_id=business_id, within=scopes, before_id=before, page_max=limit))


def revoke(token: str, *, business_id: int | None = None, within: Iterable[str] | None = None, actor: str) -> db.Row:
    """
    Refuse a token from now on; a process that has just seen it takes it for 5 s at most.

    Args:
        token: its id, or its public id (the 8 letters after `outb_`).
        business_id: only a token of this business.
        within: only a token that may do no more than these scopes; None for any.

    Returns:
        `public_id`, `name`, and `is_new`: False where it was revoked already.

    Raises:
        BadToken: there is no such token.
    """
    named = token.strip()
    if read := _TOKEN.fullmatch(named):  # somebody who found one gives it whole
        named = read[1]
    scopes = None if within is None else list(within)
    row = db.run(sql.revoke_token, token=named, business_id=business_id, within=scopes, who=actor)
    if row is None:
        raise BadToken("there is no such token: see `outbound token list`")
    return row


def is_within(scopes: Iterable[str], of: Iterable[str]) -> bool:
    """Are these scopes all among those *of* another token?"""
    return set(scopes) <= set(of)


def _random(letters: str, length: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(length))


def _check(text: str) -> str:
    """CRC-32 in 6 letters: a scanner for secrets, and we, know a token from a text that looks like one."""
    number = zlib.crc32(text.encode())
    letters = ""
    for _ in range(_CHECK_LENGTH):
        number, place = divmod(number, len(_LETTERS))
        letters = _LETTERS[place] + letters
    return letters


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
